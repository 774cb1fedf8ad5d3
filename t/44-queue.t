# 44-queue.t - builds that wait: who begins next, what is told of one's place,
# and that a build that waits outlives restarts and a killed runner
#
# Promises: 5 (one final state), 6 (restarts; a killed runner: the next build
# works), 7 (a clear message when the queue is full), 8 (what an order holds is
# its owner's alone); sections 5 and 7 of the contract.
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Follower;
use BuildLog::Puppet;
use BuildLog::Server;
use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use Time::HiRes qw(time);

my $json = JSON::PP->new->utf8;
my ($top, $projects) = (top(), project(''));
my $secret = 'opened "sesame" = 1';
my %as = map { $_->[0] => { Authorization => 'Basic ' . encode_base64(join(':', @$_), '') } }
    ['alice', 'wonderland'], ['bob', 'builder'];

sub conf
{
    my ($builds, $queue) = @_;
    return <<"END";
BuildLogMaxBuilds $builds
BuildLogMaxQueue $queue
<Directory "${projects}puppet-queue-secret">
    # Outlives two runners on a machine with much else to do. (Each of them ends
    # it after 8 s all the same: PATIENCE in bl_orphans.c.)
    BuildLogKillGrace 60s
    BuildLogTitle "A secret"
    BuildLogSetEnv SECRET "@{[$secret =~ s/"/\\"/gr]}"
    BuildLogStep say "echo \\"secret: \$SECRET\\""
    BuildLogStep play "exec perl ${projects}puppet/play.pl"
</Directory>
<Location "/as/">
    AuthType Basic
    AuthName "builds"
    AuthBasicProvider file
    AuthUserFile "$top/t/conf/users"
    Require valid-user
</Location>
<Location "/as/api/project/build">
    SetHandler buildlog-build
</Location>
END
}

my $s = BuildLog::Server->start(conf(1, 20));
my %p = map { $_ => BuildLog::Puppet->new("queue-$_", server => $s) } qw(a b c d e f g h);

sub limits
{
    my ($builds, $queue) = @_;
    $s->configure(conf($builds, $queue));
    $s->graceful;
    wait_until { ($s->error_log =~ /.*new limits: (.*)/s) && $1 =~ /^$builds builds, $queue waiting/ } 15,
        'the runner has the limits';
    return;
}

sub order
{
    my ($path, $who) = @_;
    my ($status, $answer) = $s->post_build($path,
        $who ? (to => '/as/api/project/build', headers => $as{$who}) : ());
    return $status == 202 ? $answer->{build}{id} : die "no build of $path: $status\n";
}

sub cancel { return $s->request('POST', "/api/project/builds/$_[0]/cancel") }
sub record { return $s->build_record($_[0]) }

# ---- one's place ------------------------------------------------------------------

# Reads a stream until it says that a build has this place (undef: none).
sub told
{
    my ($stream, $id, $place) = @_;
    return $stream->until(sub {
        return 0 if ($_->{event} // '') ne 'build';
        my $build = $json->decode($_->{data});
        return $build->{id} == $id && ($build->{position} // 0) == ($place // 0);
    }, 10);
}

{
    my $first = $p{a}->start;
    $s->wait_for_state($first, 'running', 10);
    my %id = map { $_ => $p{$_}->start } qw(b c d e);
    is_deeply [map { record($id{$_})->{position} } qw(b c d e)], [1 .. 4], 'who comes later stands behind';
    my $own = $s->open_stream($id{e});
    my $all = $s->open_stream('/api/log/push');
    my @seen = told($own, $id{e}, 4);
    # All live builds are named to who comes: the last is e.
    told($all, $id{e}, 4);

    # One that waits knows of each who leaves before it: it began, or was cancelled.
    my $soonest = 1e9;
    for (['the first begins', sub { $p{a}->cue('exit 0') }, { c => 1, d => 2, e => 3 }],
         ['one before it is cancelled', sub { cancel($id{c}) }, { d => 1, e => 2 }],
         ['two leave at once', sub { cancel($id{d}); $p{b}->cue('exit 0') }, { e => undef }]) {
        my ($what, $do, $places) = @$_;
        my $from = time;
        $do->();
        # The runner knows at once, viewers a moment later.
        ok eval { wait_until { !grep { (record($id{$_})->{position} // 0) != ($places->{$_} // 0) } keys %$places }
            10, 'the records' }, "$what: the records of the others" or diag $@;
        ok eval { push @seen, told($own, $id{e}, $places->{e}); 1 }, "$what: the stream of the last one" or diag $@;
        my $took = time - $from;
        $soonest = $took if $took < $soonest;
        for my $name (sort keys %$places) {
            last if !defined $places->{$name};    # it does not wait any more
            ok eval { told($all, $id{$name}, $places->{$name}); 1 }, "$what: the feed of all builds, $name" or diag $@;
        }
    }
    # A machine with much else to do may need longer for one of them.
    note sprintf 'a place is told after %.2f s', $soonest;
    cmp_ok $soonest, '<', 4, 'within about a second';
    $s->wait_for_state($id{e}, 'running', 10);
    $p{e}->cue('exit 0');
    push @seen, $own->rest(10);
    my @places = map { $_->{state} eq 'queued' ? $_->{position} : $_->{state} }
        map { $json->decode($_->{data}) } grep { ($_->{event} // '') eq 'build' } @seen;
    my ($last, @wrong) = (100);
    for (grep { /^\d+$/ } @places) {
        push @wrong, "$_ after $last" if $_ >= $last;
        $last = $_;
    }
    is_deeply \@wrong, [], 'a place is told once, and only gets better' or diag "@places";
    is_deeply [grep { !/^\d+$/ } @places], [qw(running succeeded)], 'then it runs, and ends'
        or diag "@places";
    is record($id{e})->{position}, undef, 'who runs or has ended has no place';
    is record($id{$_})->{state}, 'cancelled', "$_ was cancelled" for qw(c d);
    $_->close for $own, $all;
}

# ---- first come, first served --------------------------------------------------------

# Of builds that have all ended, by their own times: one at a time of each
# project, so many at once, and nobody is passed over without need.
sub is_in_order
{
    my ($most, @ids) = @_;
    my @builds = map { record($_) } @ids;
    my @wrong;
    for my $b (@builds) {
        my @beside = grep { $_->{id} != $b->{id} && $_->{started} le $b->{started} && $_->{ended} gt $b->{started} } @builds;
        push @wrong, "$b->{id} runs beside " . join ' ', map { $_->{id} } @beside if @beside >= $most;
        push @wrong, "$b->{id} and $_->{id} are of one project" for grep { $_->{project} eq $b->{project} } @beside;
        for my $passed (grep { $_->{id} < $b->{id} && $_->{started} gt $b->{started} } @builds) {
            push @wrong, "$b->{id} is before $passed->{id}"
                unless grep { $_->{project} eq $passed->{project} } @beside, $b;
        }
    }
    is_deeply \@wrong, [], "first come, first served; $most at once, one of each project";
    return;
}

# One directory, whatever it is called.
my $link = project('puppet-queue-link');
symlink $p{f}->path, $link or die "$link: $!\n";
{
    my $first = $p{f}->start('out hello');
    $s->wait_for_state($first, 'running', 10);
    my ($status, $answer) = $s->post_build($link);
    is $status, 202, 'a project by another path';
    my $second = $answer->{build}{id};
    is record($second)->{project}, $p{f}->path, 'is the same project';
    is record($second)->{state}, 'queued', 'and waits for it';
    limits(3, 20);
    my $third = $p{g}->start('exit 0');
    $s->wait_for_state($third, 'succeeded', 10);
    is record($second)->{state}, 'queued', 'also when others may run';
    $p{f}->prepare('exit 0');
    # The one that runs has the old cue file; it ends as a cancelled one.
    is cancel($first)->{status}, 202, 'the first ends';
    $s->wait_for_state($second, 'succeeded', 10);
    cmp_ok record($first)->{ended}, 'lt', record($second)->{started}, 'one after the other';
}

for my $most (2, 1) {
    limits($most, 20);
    $_->prepare('out hello', 'slow 3 10', 'exit 0') for @p{qw(f g h)};
    my @ids = map { order($_) } $p{f}->path, $link, $p{g}->path, $p{f}->path, $p{h}->path,
        $p{g}->path, $link, $p{h}->path, $p{f}->path;
    $s->wait_for_state($_, 'succeeded', 30) for @ids;
    is_in_order($most, @ids);
}

# ---- full --------------------------------------------------------------------------

{
    limits(1, 2);
    my $running = $p{a}->start;
    $s->wait_for_state($running, 'running', 10);
    my @waiting = map { $p{$_}->start } qw(b c);
    my ($status, undef, $r) = $s->post_build($p{d}->path);
    is $status, 503, 'the queue is full: 503';
    like $r->{headers}{'retry-after'} // '', qr/^[1-9]\d*$/, 'with Retry-After';
    like $r->{json}{detail}, qr/2 builds are waiting.*BuildLogMaxQueue/, 'that names the limit';
    is cancel($waiting[0])->{json}{build}{state}, 'cancelled', 'one of them is cancelled';
    push @waiting, $p{d}->start;
    is record($waiting[2])->{position}, 2, 'and there is room again';
    is cancel($_)->{status}, 202, 'cancelled' for @waiting[1, 2], $running;
    $s->wait_for_state($running, 'cancelled', 10);
}

# ---- what waits outlives httpd's restarts and the runner --------------------------------

sub again
{
    my ($how) = @_;
    my $before = () = $s->error_log =~ /resuming normal operations/g;
    $s->$how;
    wait_until { (() = $s->error_log =~ /resuming normal operations/g) > $before } 20, "$how is done";
    wait_until { eval { record(1)->{id} } } 10, 'the server answers';
    return;
}

sub queue_files
{
    return map { [s{.*/}{}r, sprintf '%04o', (stat)[2] & 07777] } sort glob $s->state . '/queue/*';
}

{
    limits(1, 20);
    my $q = BuildLog::Puppet->new('queue-secret', server => $s);
    my $first = $q->start('stubborn', 'out ready');
    $q->wait_for('ready');
    open my $cue, '>>', $q->path . '/cue' or die "cue: $!\n";    # of the first one
    $q->prepare('out I waited', 'exit 0');
    my @waiting = map { order($q->path, $_) } 'alice', 'bob', 'alice', undef;
    my %before  = map { $_ => record($_) } @waiting;
    is_deeply [map { [@$_{qw(state position user title)}] } @before{@waiting}],
        [['queued', 1, 'alice', 'A secret'], ['queued', 2, 'bob', 'A secret'],
         ['queued', 3, 'alice', 'A secret'], ['queued', 4, undef, 'A secret']], 'four that wait';
    is_deeply [map { $_->{name} } @{ $before{ $waiting[0] }{steps} }], ['say', 'play'], 'with their steps';

    my $is_as_before = sub {
        my ($what) = @_;
        my %now = map { $_ => record($_) } @waiting;
        is_deeply \%now, \%before, "$what: all of their records is as it was";
    };
    my @v = map { BuildLog::Follower->start($s, "/api/log/push?build=$_") } @waiting[0, 3];
    again('graceful');
    $is_as_before->('graceful');
    my @children = @{ $s->pids->{children} };
    again('restart');
    $is_as_before->('restart');
    is_deeply [queue_files()], [map { ["$_.order", '0600'] } sort @waiting], 'an order each, its owner\'s alone';
    is sprintf('%04o', (stat $s->state . '/queue')[2] & 0777), '0700', 'as is the directory';

    # From here on nobody has to come back: both are at children that stay.
    wait_until_gone(20, @children);
    $s->wait_for_viewers(2);
    my @connections;
    wait_until {
        my @seen;
        for my $v (@v) { push @seen, $v->seen }
        @connections = map { $_->{connections} } @seen;
        !grep { $_->{connections} < 3 || $_->{connections} != @{ $_->{lived} } + 1 } @seen;
    } 20, 'the viewers are back';
    my $all = $s->open_stream('/api/log/push');
    $all->event(10) for 1 .. 2;
    for my $time ('once', 'twice') {
        $s->kill_runner;
        is $s->wait_for_state($first, 'lost', 10)->{state}, 'lost', "the runner is killed $time: what ran is lost";
        # What ran ignores TERM, and holds its project for as long as it lives.
        cmp_ok scalar(build_processes($first)), '>', 0, '... but still there';
        $is_as_before->("killed $time");
    }
    is_deeply [queue_files()], [map { ["$_.order", '0600'] } sort @waiting], 'their orders are there';

    # One of them, and the last, does not want any more.
    my $r = cancel($waiting[2]);
    is $r->{status}, 202, 'one that has outlived two runners is cancelled';
    is $r->{json}{build}{state}, 'cancelled', 'at once';
    is_deeply [map { $_->[0] } queue_files()], [map { "$_.order" } sort @waiting[0, 1, 3]], 'and its order is gone';
    ok eval { wait_until { (record($waiting[3])->{position} // 0) == 3 } 10, 'it moves up' }, 'the one behind it moves up';

    syswrite $cue, "exit 0\n";
    $s->wait_for_state($_, 'succeeded', 30) for @waiting[0, 1, 3];
    is_in_order(1, @waiting[0, 1, 3]);
    for my $id (@waiting[0, 1, 3]) {
        my $build = record($id);
        is_deeply [@$build{qw(created user title)}], [@{ $before{$id} }{qw(created user title)}], "$id: created, user";
        is_deeply [map { [@$_{qw(name state)}] } @{ $build->{steps} }],
            [['say', 'succeeded'], ['play', 'succeeded']], "$id: its steps";
        my @said = map { $_->{text} } grep { !grep { /note|build|end/ } @{ $_->{tags} } } @{ $s->log_records($id) };
        is_deeply \@said, ["secret: $secret", 'I waited'], "$id: its environment outlived the runners; it ran once";
        is scalar(grep { /end/ } map { @{ $_->{tags} } } @{ $s->log_records($id) }), 1, "$id: one end";
    }
    for my $i (0, 1) {
        my $seen = $v[$i]->finish(20);
        my $id   = $waiting[$i * 3];
        is $seen->{died}, '', "the viewer of $id reached its end";
        is $seen->{connections}, $connections[$i], '... on the connection that it had';
        is $seen->{gaps}, 0, '... without a gap';
        is_deeply [map { s/^\d+ //r } $v[$i]->lines],
            [map { $_->{text} } grep { !grep { /build|end/ } @{ $_->{tags} } } @{ $s->log_records($id) }], '... and saw each line';
    }
    ok eval { $all->until(sub { ($_->{event} // '') eq 'build' && $_->{data} =~ /"id":$waiting[3],.*"succeeded"/ }, 10) },
        'so did the viewer of all builds' or diag $@;
    $all->close;

    # The secret is in no other file of the state directory.
    open my $grep, '-|', 'grep', '-rlF', 'SECRET', $s->state or die "grep: $!\n";
    is_deeply [grep { !m{/logs/} } <$grep>], [], 'the secret is nowhere else';
    close $grep;
}

is_deeply [queue_files()], [], 'nothing waits: queue/ is empty';
is_deeply [glob $s->state . '/queue/.*[!.]*'], [], '... also of what does not show';
unlink $link;
done_testing;
