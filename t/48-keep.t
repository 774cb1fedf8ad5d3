# 48-keep.t - BuildLogKeep: which builds are kept, and what those are told who
# look at one that is not (promises 1, 4 and 7: nobody misses a line unsaid,
# old logs fill no disk)
#
# What it takes and refuses is in t/10-config.t.
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Puppet;
use BuildLog::Server;
use JSON::PP ();
use List::Util qw(sum);
use Time::HiRes qw(time);

my $json = JSON::PP->new->utf8;
my $none = 'count=0 age=0 size=0';    # no limit at all

my $s = BuildLog::Server->start("BuildLogKeep count=3 age=0 size=0\nBuildLogMaxBuilds 3\n", cores => 1);
my $p = BuildLog::Puppet->new('keep-a', server => $s);
my $q = BuildLog::Puppet->new('keep-b', server => $s);

# So many builds, one after the other; their numbers.
sub builds
{
    my ($count, @cues) = @_;
    return map {
        my $id = $q->start(@cues ? @cues : 'out hello', 'exit 0');
        $q->wait_for(qr/^Build finished$/);
        $id;
    } 1 .. $count;
}

sub logs { return sort { $a <=> $b } map { m{/(\d+)\.log$} } glob $s->state . '/logs/*.log' }

# Numbers and sizes are looked at when a build has ended, and ages, and what a
# reload has changed, each ten seconds.
sub are_kept
{
    my ($name, @ids) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $from = time;
    eval { wait_until { "@{[logs()]}" eq "@ids" } 25, 'the logs' };
    is_deeply [logs()], \@ids, $name or return;
    note sprintf '%s: after %.1f s', $name, time - $from;
    return;
}

sub keep
{
    my ($limits, %opt) = @_;
    my $before = () = $s->error_log =~ /BL0245 new limits/g;
    $s->configure("BuildLogKeep $limits\nBuildLogMaxBuilds 3\n");
    $s->graceful;
    wait_until { (() = $s->error_log =~ /BL0245 new limits/g) > $before } 20, 'the runner has the limits';
    return;
}

sub is_listed
{
    my ($id) = @_;
    return scalar grep { $_->{id} == $id } @{ $s->request('GET', '/api/project/builds')->{json}{builds} };
}

sub is_gone
{
    my ($id) = @_;
    my @wrong;
    for my $path ("project/builds/$id", "project/builds/$id/log", "project/builds/$id/log?format=json",
                  "log/push?build=$id", "log/push?build=$id&tail=5", "log/push?build=$id&lastEventId=1") {
        my $r = $s->request('GET', "/api/$path");
        push @wrong, "$path: $r->{status}" if $r->{status} != 404;
    }
    my $r = $s->request('POST', "/api/project/builds/$id/cancel");
    push @wrong, "cancel: $r->{status}" if $r->{status} != 404;
    return @wrong;
}

# ---- by number --------------------------------------------------------------------

my $running = $p->start('out ready');
$p->wait_for('ready');
my (undef, $answer) = $s->post_build($p->path);
my $waiting = $answer->{build}{id};
my $v = $s->open_stream('/api/log/push');
$v->event(5) for 1 .. 4;    # retry, ping, two builds
my $place = $v->last_id;
$v->close;

{
    my @ids = builds(3);
    is_deeply [logs()], [$running, $waiting, @ids], 'as many as are kept';
    push @ids, builds(2);
    are_kept('the oldest have gone, but what runs or waits has not', $running, $waiting, @ids[2 .. 4]);
    is_deeply [map { is_gone($_) } @ids[0, 1]], [], 'a removed build is 404 wherever one asks';
    is_deeply [map { $s->build_record($_)->{state} } $running, $waiting, @ids[2 .. 4]],
        [qw(running queued succeeded succeeded succeeded)], 'the others are there';
    my $o = $s->open_stream($ids[2]);
    is(($o->rest(10))[-1]{event}, 'end', 'with their logs');
    $o->close;
    # When they have gone.
    ok eval { wait_until { $s->error_log =~ /BL0215 BuildLogKeep: 1 old builds were removed, from $ids[1] on/ } 20 }, 'the log says so';
    my @held;
    eval { wait_until { !(@held = grep { (readlink($_) // '') =~ /deleted/ } glob '/proc/' . $s->pids->{runner} . '/fd/*') } 20 };
    is_deeply \@held, [], 'the runner holds no file that is gone';

    # Reload.
    keep('count=1 age=0 size=0');
    push @ids, builds(1);
    are_kept('a reload: fewer', $running, $waiting, $ids[5]);

    # The oldest is the one that ended first, whenever it began: nobody's log
    # goes in the moment in which it is complete.
    my $live = $s->open_stream($running);
    $p->prepare('exit 0');
    is $s->request('POST', "/api/project/builds/$running/cancel")->{status}, 202, 'what ran ends';
    $s->wait_for_state($waiting, 'succeeded', 10);
    are_kept('the one that ended last is kept, not the last number', $waiting);
    my @seen = $live->rest(10);
    $live->close;
    like $seen[-1]{event} // 'nothing', qr/^(?:end|gap)$/, 'who looked at the other one was told how it ended, or of a gap';
}

# ---- no limit, and by size ------------------------------------------------------------

my @all;
{
    keep($none);
    @all = ($waiting, builds(8), builds(5, 'flood 300000'));
    # Each of them has been a reason to look.
    is_deeply [logs()], \@all, '0: no limit';
    my %size = map { $_ => (stat $s->state . "/logs/$_.log")[12] * 512 } @all;
    my $limit = int($size{ $all[-1] } + $size{ $all[-2] } + $size{ $all[-3] } / 2);
    keep("count=0 age=0 size=$limit");
    my ($new) = builds(1, 'flood 300000');
    are_kept('size: the oldest go until the rest fits', $all[-1], $new);
    cmp_ok sum(@size{ @all[-2, -1] }, (stat $s->state . "/logs/$new.log")[12] * 512), '>', $limit,
        'and not one more than that';
    my $k = int($limit / 3 / 1024);
    keep("count=0 age=0 size=${k}K");
    my ($large) = builds(1, 'flood 900000');
    are_kept('one that is larger than all may be is not kept');
    is_deeply [is_gone($large)], [], 'it is gone';
}

# ---- by age -----------------------------------------------------------------------------

{
    keep($none);
    my @ids = builds(3);
    my $id  = $p->start('out ready');
    $p->wait_for('ready');
    keep('count=0 age=1h size=0');
    push @ids, builds(1);
    is_deeply [logs()], [sort { $a <=> $b } @ids, $id], 'age: young ones are kept';
    keep('count=0 age=1s size=0');
    are_kept('age: old ones are not, but what runs is', $id);
    is_deeply [map { is_gone($_) } @ids], [], 'they are gone';
    keep($none);
    $p->cue('exit 0');
    $s->wait_for_state($id, 'succeeded', 10);
    # Numbers are never given again.
    my ($next) = builds(1);
    cmp_ok $next, '>', $ids[-1], 'the next number is new';
}

# ---- in the middle of a log -----------------------------------------------------------------

sub text { return $_[0]{data} =~ s/^\[[^\]]*\] //r }

{
    keep('count=1 age=0 size=0');
    my ($id) = builds(1, 'flood 6000000');
    my $build = $s->build_record($id);
    # Small windows: all but a little is still in the file.
    my @slow = map { $s->open_stream("/api/log/push?build=$id$_", rcvbuf => 4096) } '', '&format=json';
    my @seen = map { [$_->until(sub { ($_->{data} // '') =~ /F 50 / }, 10)] } @slow;
    my $load = BuildLog::Stream->new(path => "/api/project/builds/$id/log", port => $s->port, rcvbuf => 4096,
        headers => { Accept => '*/*', Connection => 'close' });
    my ($next) = builds(1);
    are_kept('a log is removed while somebody reads it', $next);
    is_deeply [is_gone($id)], [], 'it is gone for who comes now';
    for my $i (0, 1) {
        my @more = $slow[$i]->rest(30);
        is_deeply $slow[$i]{cut}, [], 'a slow viewer: the stream ends with a whole event';
        $slow[$i]->close;
        my @events = (@{ $seen[$i] }, @more);
        my @n = map { ($_->{data} // '') =~ /\bF (\d+) x/ ? $1 : () } grep { !exists $_->{event} } @events;
        is scalar(grep { $n[$_] != $_ + 1 } 0 .. $#n), 0, '... each line once, in order';
        my ($end) = grep { ($_->{event} // '') eq 'end' } @events;
        my $last = $events[-1];
        if ($end) {
            is scalar(@n) + 2, $build->{lines}, '... all of them';
            is $last->{event}, 'end', '... and the end';
        }
        else {
            is $last->{event}, 'gap', '... or it is told that the rest is missing';
            is_deeply [@{ $json->decode($last->{data}) }{qw(after from)}],
                [(map { $_->{id} } grep { exists $_->{id} } @events)[-1], undef], '... from where on, and that nothing comes';
        }
        note sprintf 'a slow viewer got %d of %d lines, then %s', scalar @n, $build->{lines}, $last->{event};
    }
    my $body = $load->body(30);
    $load->close;
    is length $body, $build->{bytes}, 'a download that had begun gets all of it';
}

# ---- a feed of all builds over what is gone ---------------------------------------------------

# What somebody is told who comes back to a place: gap, or the first event of
# a build.
sub first_told
{
    my ($at) = @_;
    my $c = $s->open_stream('/api/log/push', headers => { 'Last-Event-ID' => $at });
    my @events = $c->until(sub { ($_->{event} // '') =~ /^(?:gap|build)$/ }, 10);
    $c->close;
    return $events[-1];
}

{
    my $is_told = sub {
        my ($when, $from, $to) = @_;
        my $gap = first_told($from);
        is $gap->{event}, 'gap', "$when: a place before what is gone: a gap";
        is eval { $json->decode($gap->{data})->{after} }, $from, '... that says from where on';
        is first_told($to)->{event}, 'build', '... and a place behind it: none';
    };
    keep('count=2 age=0 size=0');
    my @ids = builds(5);
    are_kept('three of five are gone', @ids[3, 4]);
    # The end of the third is the last that is gone.
    my $o = $s->open_stream($ids[3]);
    my ($first) = grep { exists $_->{id} && ($_->{event} // '') eq 'build' } $o->rest(10);
    $o->close;
    my $behind = $first->{id} - 1;
    $is_told->('at once', $place, $behind);
    $s->kill_runner;
    $is_told->('after the runner was killed', $place, $behind);
    are_kept('the next runner keeps as many', @ids[3, 4]);
    push @ids, builds(1);
    are_kept('and goes on', @ids[4, 5]);
    $s->stop or die "the server does not stop\n";
    my ($status, $out) = $s->begin;
    is $status, 0, 'the server is stopped and begun' or diag $out;
    $o = $s->open_stream($ids[4]);
    ($first) = grep { exists $_->{id} && ($_->{event} // '') eq 'build' } $o->rest(10);
    $o->close;
    $is_told->('after that', $place, $first->{id} - 1);
    $is_told->('and once more', $behind, $first->{id} - 1);
}

# ---- by hand ------------------------------------------------------------------------------

# Who removes a log himself says so by a reload.
{
    keep($none);
    my @ids = builds(3);
    wait_until { is_listed($ids[2]) } 10, 'the list has them';
    unlink $s->state . "/logs/$ids[1].log" or die "$ids[1].log: $!\n";
    $s->graceful;
    wait_until { !is_listed($ids[1]) } 20, 'the list forgets the build whose log was removed';
    is_deeply [is_gone($ids[1])], [], '... which is nowhere any more';
    ok is_listed($_), "... build $_ is still there" for @ids[0, 2];
    my $answer = $s->request('GET', "/api/project/builds/$ids[0]/log");
    is $answer->{status}, 200, '... with its log';
}

# ---- nothing is left, and the clock is behind -----------------------------------------------

# What is removed had ids that nobody else may get: a viewer may stand there.
{
    $s->stop or die "the server does not stop\n";
    unlink glob $s->state . '/logs/*.log';
    my $ahead = int((time + 7200) * 1e6);
    write_file($s->state . '/last-build', "900\n$ahead\n");
    my ($status, $out) = $s->begin;
    is $status, 0, 'a server whose logs are all removed, two hours ahead' or diag $out;
    my ($id) = builds(1);
    is $id, 901, 'the next number';
    my $o = $s->open_stream($id);
    my ($first) = grep { exists $_->{id} && ($_->{event} // '') eq 'build' } $o->rest(10);
    $o->close;
    cmp_ok $first->{id}, '>', $ahead, 'and its ids are behind what is removed';
}

done_testing;
