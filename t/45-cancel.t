# 45-cancel.t - a build that is cancelled: who may, what is said, and that
# nothing of it is left
#
# Promises: 5 (one final state; no process is left), 8 (who may); section 5 of
# the contract.
#
# CANCELS: so many trees of processes are cancelled one after the other (10).
#
# MPM: event
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Puppet;
use BuildLog::Server;
use IO::Socket::INET;
use JSON::PP ();
use List::Util qw(max sum);
use MIME::Base64 qw(encode_base64);
use Time::HiRes qw(time);

my $json  = JSON::PP->new->utf8;
my $times = $ENV{CANCELS} || 10;
my $grace = 1;     # of all projects below, in seconds
my $busy  = 15;    # by so much a busy machine may be slower

my $projects = project('');
my $s = BuildLog::Server->start(<<"END");
BuildLogMaxBuilds 10
BuildLogMaxQueue 100
<Directory "${projects}puppet-tree-*">
    BuildLogStep tree "sh -c 'sleep 300 & setsid sleep 300 & (setsid nohup sh -c \\"sleep 300; touch x\\" &) ; wait'"
</Directory>
<Directory "${projects}puppet-deaf-*">
    BuildLogStep deaf "trap '' TERM INT HUP; setsid sh -c 'while :; do sleep 0.1; done' & while :; do sleep 0.1; done"
</Directory>
<Directory "${projects}puppet-cancel-steps">
    BuildLogStep first "echo one"
    BuildLogStep second "exec perl ${projects}puppet/play.pl"
    BuildLogStep third "touch third"
</Directory>
<Directory "${projects}puppet-cancel-twice">
    BuildLogKillGrace 60s
</Directory>
<Directory "${projects}puppet-cancel-said">
    BuildLogMessage cancelled "Nobody wants it"
</Directory>
END
my $p = BuildLog::Puppet->new('cancel-a', server => $s);

sub cancel { my ($id, %opt) = @_; return $s->request('POST', "/api/project/builds/$id/cancel", %opt) }

# Several requests in the same moment; their statuses in the same order.
sub at_once
{
    my @sockets = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $s->port) // die "connect: $!\n" } @_;
    for my $i (0 .. $#_) {
        syswrite $sockets[$i], "POST /api/project/builds/$_[$i]/cancel HTTP/1.1\r\nHost: x\r\n"
            . "Content-Length: 0\r\nConnection: close\r\n\r\n";
    }
    return map { local $/; (<$_> // '') =~ m{^HTTP/1\.1 (\d+)} ? $1 : 'none' } @sockets;
}

# The build has one end and no more than one, wherever one looks. The last line
# is this (pattern).
sub ends_once
{
    my ($id, $state, $last, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my @wrong;
    my $records = $s->log_records($id);
    my @ends = grep { grep { $_ eq 'end' } @{ $_->{tags} } } @$records;
    push @wrong, @ends . ' ends in the log' if @ends != 1;
    push @wrong, 'something behind the end' if @ends && $ends[-1] != $records->[-1];
    my @last = map { $_->{text} } grep { $_->{text} =~ /^(?:Build |Nobody)/ } @$records;
    push @wrong, "last lines: @last" if @last != 1 || $last[0] !~ $last;
    push @wrong, 'it is not the last line' if $records->[-2]{text} ne ($last[0] // '');

    my $stream = $s->open_stream($id);
    my @events = $stream->rest(10);
    $stream->close;
    my @end    = grep { ($_->{event} // '') eq 'end' } @events;
    push @wrong, @end . ' ends in the stream' if @end != 1 || ($events[-1]{event} // '') ne 'end';
    my %final = map { $_->{data} => 1 } grep { ($_->{event} // '') =~ /^(?:build|end)$/
        && $json->decode($_->{data})->{state} !~ /^(?:queued|running)$/ } @events;
    push @wrong, keys(%final) . ' final records in the stream' if keys %final != 1;

    my $build = $s->build_record($id);
    push @wrong, "$build->{state} in the API" if $build->{state} ne $state;
    for my $other (map { $_->{text} } @ends) {
        push @wrong, "log: $other" if JSON::PP->new->canonical->encode($json->decode($other)) ne JSON::PP->new->canonical->encode($build);
    }
    is_deeply \@wrong, [], "$name: one end, $state, in log, stream and API";
    return $build;
}

# ---- one build that runs ------------------------------------------------------------

{
    my $all  = $s->open_stream('/api/log/push');
    my $id   = $p->start('child', 'count 20', 'out ready');
    my $live = $s->open_stream($id);
    $p->wait_for('ready');
    my $r = cancel($id);
    is $r->{status}, 202, 'a build that runs: 202';
    is $r->{headers}{'content-type'}, 'application/json', 'JSON';
    is $r->{json}{build}{id}, $id, 'with its record';
    is $r->{headers}{'cache-control'}, 'no-store', 'which nobody shall keep';
    my @seen  = $live->rest(10);
    my $build = ends_once($id, 'cancelled', qr/^Build cancelled: by 127\.0\.0\.1$/, 'cancelled');
    is $build->{reason}, 'by 127.0.0.1', 'the reason names the address';
    is_deeply [map { $_->{state} } @{ $build->{steps} }], ['failed'], 'the step did not succeed';
    is scalar(grep { ($_->{event} // '') eq 'end' } @seen), 1, 'who looks on is told of the end, once';
    is $json->decode($seen[-1]{data})->{state}, 'cancelled', 'as it is';
    my @told = $all->until(sub { ($_->{event} // '') eq 'build' && $_->{data} =~ /"id":$id,.*"cancelled"/ }, 10);
    ok scalar(@told), 'who looks at all builds too';
    is_deeply [build_processes($id)], [], 'no process of it is left';

    $r = cancel($id);
    is $r->{status}, 409, 'once more: 409';
    is $r->{headers}{'content-type'}, 'application/problem+json', 'as a problem';
    like $r->{json}{detail}, qr/over already/, 'that says why';
    ends_once($id, 'cancelled', qr/^Build cancelled: by/, 'and nothing has changed');
    $_->close for $live, $all;
}

{
    my $q  = BuildLog::Puppet->new('cancel-said', server => $s);
    my $id = $q->start('out ready');
    $q->wait_for('ready');
    cancel($id);
    $s->wait_for_state($id, 'cancelled', 10);
    ends_once($id, 'cancelled', qr/^Nobody wants it: by 127\.0\.0\.1$/, 'with a message of the project');
}

{
    my $q  = BuildLog::Puppet->new('cancel-steps', server => $s);
    my $id = $q->start('out ready');
    $q->wait_for('ready');
    cancel($id);
    my $build = $s->wait_for_state($id, 'cancelled', 10);
    is_deeply [map { $_->{state} } @{ $build->{steps} }], [qw(succeeded failed pending)], 'the steps, in the second';
    ok !-e $q->path . '/third', 'and the third has not begun';
}

# ---- too late, unknown, not allowed ------------------------------------------------------

for (['succeeded', 'exit 0'], ['failed', 'exit 1']) {
    my ($state, $cue) = @$_;
    my $id = $p->start($cue);
    $s->wait_for_state($id, $state, 10);
    is cancel($id)->{status}, 409, "a build that has $state: 409";
    ends_once($id, $state, qr/^Build (?:finished|failed)/, $state);
}

# Its steps are over, and what they left behind is being ended.
{
    my $id = $p->start('stubborn', 'child', 'out ready', 'exit 0');
    $p->wait_for(qr/left behind/);
    is cancel($id)->{status}, 409, 'a build whose last step is over: 409';
    $s->wait_for_state($id, 'succeeded|failed|cancelled', 10);
    ends_once($id, 'succeeded', qr/^Build finished$/, 'its result stands');
}

is cancel(4711)->{status}, 404, 'an unknown build: 404';
for my $odd ('0', 'x', '-1', '1x', '99999999999999999999', '') {
    is cancel($odd)->{status}, 404, "'$odd': 404";
}

{
    my $id = $p->start('out ready');
    $p->wait_for('ready');
    my $at = "/api/project/builds/$id/cancel";
    for my $method (qw(GET PUT DELETE)) {
        my $r = $s->request($method, $at);
        is $r->{status}, 405, "$method: 405";
        like $r->{headers}{allow} // '', qr/\bPOST\b/, '... POST is allowed';
    }
    for (['another site', 'Sec-Fetch-Site' => 'cross-site'], ['a sister of this site', 'Sec-Fetch-Site' => 'same-site'],
         ['another origin', Origin => 'https://evil.example.org']) {
        my ($who, %headers) = @$_;
        is cancel($id, headers => \%headers)->{status}, 403, "a page of $who: 403";
    }
    is $s->request('POST', "$at/x")->{status}, 405, 'nor is anything behind it';
    is $s->build_record($id)->{state}, 'running', 'and the build goes on';
    is cancel($id, headers => { 'Sec-Fetch-Site' => 'same-origin' })->{status}, 202, 'a page of its own may';
    $s->wait_for_state($id, 'cancelled', 10);
}

# alice and bob, and a project that is hers alone (t/22-auth.t).
{
    my %as = map { $_->[0] => { Authorization => 'Basic ' . encode_base64(join(':', @$_), '') } }
        ['alice', 'wonderland'], ['bob', 'builder'];
    my $api  = '/private/api/project';
    my $hers = project('alice');
    write_file("$hers/wait", '');
    my (undef, $answer) = post_build($hers, to => "$api/build", headers => $as{alice});
    my $id = $answer->{build}{id};
    my $see = sub { request('GET', "$api/builds/$id", headers => $as{alice})->{json} };
    wait_until { $see->()->{state} eq 'running' } 20, 'it runs';
    my $try = sub {
        my ($who, $n, $at) = @_;
        return request('POST', ($at // $api) . "/builds/$n/cancel", headers => $as{$who} // {});
    };
    my ($bob, $none) = ($try->('bob', $id), $try->('bob', $id + 100_000));
    is $bob->{status}, 404, 'a build that bob may not see: 404';
    is $bob->{body}, $none->{body}, '... as if it were not there';
    is $try->('nobody', $id, '/api/project')->{status}, 404, 'nor without a name';
    is $try->('nobody', $id)->{status}, 401, 'nor where one is asked for';
    is $see->()->{state}, 'running', 'it goes on';
    is $try->('alice', $id)->{status}, 202, 'alice may';
    my $build = wait_until { my $b = $see->(); $b->{state} eq 'cancelled' && $b } 10, 'her build is cancelled';
    is $build->{reason}, 'by alice', 'the reason names the user';
    my $log = request('GET', "$api/builds/$id/log", headers => $as{alice});
    like $log->{body}, qr/\nBuild cancelled: by alice\n\z/, 'and so does the last line';
    is $try->('bob', $id)->{status}, 404, 'bob is told nothing of that';
    unlink "$hers/wait";
}

# ---- one that waits -----------------------------------------------------------------

{
    my $first = $p->start('out ready');
    $p->wait_for('ready');
    my $second = $p->start("out never");
    is $s->build_record($second)->{state}, 'queued', 'one that waits';
    my $live = $s->open_stream($second);
    my $r = cancel($second);
    is $r->{status}, 202, 'is cancelled: 202';
    is $r->{json}{build}{state}, 'cancelled', 'at once';
    my @seen = $live->rest(10);
    $live->close;
    is $seen[-1]{event}, 'end', 'who looks on is told';
    my $build = ends_once($second, 'cancelled', qr/^Build cancelled: by 127\.0\.0\.1$/, 'it');
    is $build->{started}, undef, 'it has not begun';
    is_deeply [map { $_->{state} } @{ $build->{steps} }], ['pending'], 'nor its step';
    is cancel($second)->{status}, 409, 'once more: 409';
    is $s->build_record($first)->{state}, 'running', 'the one that it waited for goes on';
    is cancel($first)->{status}, 202, 'and is cancelled, too';
    $s->wait_for_state($first, 'cancelled', 10);
    my $third = $p->start('exit 0');
    $s->wait_for_state($third, 'succeeded', 10);
    unlike $s->error_log, qr/BL0210 build $second /, 'of the second no process was ever begun';
    is_deeply [glob $s->state . '/queue/*'], [], 'and its order is gone';
}

# ---- two at once, and in the last moment --------------------------------------------------

# It ignores TERM: it is there until the second one has come, however busy the
# machine is.
my $twice = BuildLog::Puppet->new('cancel-twice', server => $s);
for my $round (1 .. 5) {
    my $id = $twice->start('stubborn', 'out ready');
    $twice->wait_for('ready');
    is_deeply [at_once($id, $id)], [202, 202], 'two cancel at once: both 202';
    $twice->cue('exit 0');
    $s->wait_for_state($id, 'cancelled', 10);
    ends_once($id, 'cancelled', qr/^Build cancelled: by/, 'cancelled twice');
}

{
    my $rounds = max($times, 20);
    my (%got, @wrong);
    for my $round (1 .. $rounds) {
        my $id = $p->start('out ready');
        $p->wait_for('ready');
        $p->cue('exit 0');
        # The end is some 10 ms away: each round comes a little later.
        select undef, undef, undef, 0.030 * $round / $rounds;
        my $status = cancel($id)->{status};
        my $build  = $s->wait_for_state($id, 'cancelled|succeeded|failed', 10);
        $got{"$status $build->{state}"}++;
        my @ends = grep { grep { $_ eq 'end' } @{ $_->{tags} } } @{ $s->log_records($id) };
        push @wrong, "$id: $status, $build->{state}, " . @ends . ' ends'
            if @ends != 1 || "$status $build->{state}" !~ /^(?:202 cancelled|409 succeeded)$/;
    }
    is_deeply \@wrong, [], 'in the last moment: accepted and cancelled, or too late and succeeded; one end';
    note 'in the last moment: ', join ', ', map { "$_: $got{$_}" } sort keys %got;
}

# ---- trees of processes ------------------------------------------------------------------

# Until nothing of it is there, from now on; in seconds.
sub time_to_go
{
    my ($from, @ids) = @_;
    wait_until { !map { build_processes($_) } @ids } 60, "no process of @ids is left";
    return time - $from;
}

# All of it is there: so many sleep.
sub is_up
{
    my ($id, $count, $name) = @_;
    return wait_until { (grep { $_->[1] =~ $name } build_processes($id)) >= $count } 30, "the tree of $id";
}

sub figures
{
    my ($what, @took) = @_;
    note sprintf "%s: gone after %.3f s on average, %.3f s at most (%d builds; %d s grace)",
        $what, sum(@took) / @took, max(@took), scalar @took, $grace;
    cmp_ok max(@took), '<', ($grace + 1) * $busy, "$what: within the grace and a second (and a busy machine)";
    return;
}

{
    my $q = BuildLog::Puppet->new('tree-a', server => $s);
    my (@took, @wrong);
    for my $round (1 .. $times) {
        my $id = $q->start;
        is_up($id, 3, qr/^sleep 300/);
        my $from   = time;
        my $status = cancel($id)->{status};
        push @took, time_to_go($from, $id);
        my $build = $s->wait_for_state($id, 'cancelled', 10);
        push @wrong, "$id: $status" if $status != 202;
        push @wrong, "$id: something went on" if -e $q->path . '/x';
    }
    is_deeply \@wrong, [], "a tree with sessions of its own is cancelled $times times";
    figures('a tree', @took);
}

{
    my $q = BuildLog::Puppet->new('deaf-a', server => $s);
    my @took;
    for my $round (1 .. max(2, int($times / 5))) {
        my $id = $q->start;
        is_up($id, 3, qr/sleep|sh/);
        my $from = time;
        cancel($id);
        push @took, time_to_go($from, $id);
        $s->wait_for_state($id, 'cancelled', 10);
    }
    cmp_ok $took[0], '>=', $grace * 0.9, 'who does not hear TERM has its grace';
    figures('deaf ones', @took);
}

for my $kind ('tree', 'deaf') {
    my @q   = map { BuildLog::Puppet->new("$kind-$_", server => $s) } 'a' .. 'j';
    my @ids = map { $_->start } @q;
    is_up($_, 3, $kind eq 'tree' ? qr/^sleep 300/ : qr/sleep|sh/) for @ids;
    # Those of builds before may just be about to end.
    ok eval { wait_until { @{ $s->pids->{keepers} } == 10 } 20 }, "ten at once ($kind): all run";
    my $from   = time;
    my @status = at_once(@ids);
    is_deeply \@status, [(202) x 10], '... all are cancelled';
    figures("ten at once ($kind)", time_to_go($from, @ids));
    for my $id (@ids) {
        $s->wait_for_state($id, 'cancelled', 20);
        ends_once($id, 'cancelled', qr/^Build cancelled: by 127\.0\.0\.1$/, "build $id");
    }
    ok !(grep { -e $_->path . '/x' } @q), '... and nothing of them went on';
}

ok eval { wait_until { !@{ $s->pids->{keepers} } } 10, 'keepers end' }, 'no keeper is left';
is_deeply [build_processes()], [], 'nor any process';
done_testing;
