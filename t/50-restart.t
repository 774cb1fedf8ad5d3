# 50-restart.t - restarts and killed processes, in the middle of builds
#
# Promises: 6 (graceful, restart, a killed child: no build is harmed, viewers
# miss and double nothing; a killed runner: builds are lost, said so, nothing
# left running, the next build works), 5 (one final state, no process left).
#
# MPM: event worker prefork
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Follower;
use BuildLog::Puppet;
use BuildLog::Server;
use JSON::PP ();
use Time::HiRes qw(time);

my $json  = JSON::PP->new->utf8;
my $event = mpm() eq 'event';
# Processes are killed below; httpd says so.
allow_in_log(qr/AH00052: child pid \d+ exit signal Killed/);

my $s = BuildLog::Server->start("BuildLogMaxBuilds 3\n", cores => 1);
my $p = BuildLog::Puppet->new('restart', server => $s);
my $q = BuildLog::Puppet->new('restart-other', server => $s);

sub text { return $_[0]{data} =~ s/^\[[^\]]*\] //r }

# ---- what a log must be, whatever happened to httpd ----------------------------

# The build's own lines are all there, once, in order; it has one end.
sub log_is_whole
{
    my ($id, $name, %expected) = @_;
    open my $in, '<', $s->state . "/logs/$id.log" or die "log of $id: $!\n";
    my (%next, @wrong, $last, @ends, $count);
    while (<$in>) {
        my ($time, $stream, $tags, $line) = /^(\S+) (stdout|stderr) (\S+) (.*)$/
            or push(@wrong, "no record: $_"), next;
        push @wrong, "time $time after $last" if defined $last && $time le $last;
        $last = $time;
        push @ends, $line if $tags =~ /\bend\b/;
        next unless $line =~ /^([OEF]) (\d+) x+$/;
        $count++;
        push @wrong, "$1 $2 after $1 " . ($next{$1} // 0) if $2 != ($next{$1} // 0) + 1;
        $next{$1} = $2;
    }
    is_deeply \@wrong, [], "$name: the log has each line once, in order";
    is $count // 0, $expected{lines}, "$name: and all of them" if exists $expected{lines};
    is @ends, 1, "$name: and one end";
    my $end = $json->decode($ends[0] // '{}');
    is $end->{state}, $expected{state}, "$name: $expected{state}";
    return $end;
}

# What a viewer saw is what the log has.
sub saw_all
{
    my ($f, $id, $name) = @_;
    my $seen = $f->finish(30);
    is $seen->{died}, '', "$name: the viewer reached the end";
    my $whole = $s->open_stream("/api/log/push?build=$id");
    my @all = map { "$_->{id} " . text($_) } grep { !exists $_->{event} && exists $_->{data} } $whole->rest(20);
    $whole->close;
    is_deeply [$f->lines], \@all, "$name: the viewer has each line once, in order";
    is $seen->{gaps}, 0, "$name: no gap";
    return $seen;
}

# How often httpd has (re)started.
sub generations
{
    my $n = () = $s->error_log =~ /resuming normal operations/g;
    return $n;
}

# Restart and wait until it is done.
sub again
{
    my ($how) = @_;
    my $before = generations();
    $s->$how;
    wait_until { generations() > $before } 20, "$how is done";
    return;
}

# ---- graceful, again and again, during one build ------------------------------------

sub restarts
{
    my ($how, $times) = @_;
    my $runner   = $s->pids->{runner};
    my %children = map { $_ => 1 } @{ $s->pids->{children} };
    my $id = $p->start('count 2000');
    my @f  = map { BuildLog::Follower->start($s, "/api/log/push?build=$id") } 1 .. 3;
    my $all = BuildLog::Follower->start($s, '/api/log/push',
        until => sub { ($_->{event} // '') eq 'build' && $_->{data} =~ /"id":$id,.*"succeeded"/ });
    my $count = 2000;
    for my $i (1 .. $times) {
        $p->cue('slow 20 2', 'count 80');
        $count += 100;
        again($how);
        is $s->pids->{runner}, $runner, "$how $i: the same runner" if $i == 1 || $i == $times;
    }
    is $s->build_record($id)->{state}, 'running', "$how x $times: the build goes on";
    $p->cue('exit 0');
    $s->wait_for_state($id, 'succeeded', 20);
    pass "$how x $times: and ends well";
    log_is_whole($id, "$how x $times", state => 'succeeded', lines => $count);
    my $connections = 0;
    for my $i (0 .. $#f) {
        my $seen = saw_all($f[$i], $id, "$how x $times, viewer $i");
        $connections += $seen->{connections};
    }
    cmp_ok $connections, '>=', @f * 2, "$how x $times: viewers had to come back ($connections connections)";
    my $seen = $all->finish(20);
    is $seen->{died}, '', "$how x $times: the viewer of all builds reached the end";
    my @lines = grep { /^\d+ [OE] \d/ } $all->lines;
    my %twice;
    is scalar(grep { $twice{$_}++ } @lines), 0, "$how x $times: all builds: nothing doubled";
    is $lines[-1] =~ s/^\d+ //r, ($f[0]->lines)[-2] =~ s/^\d+ //r, "$how x $times: all builds: the last line";
    # From the first line that it saw on there is no hole.
    my @own = grep { /^\d+ [OE] \d/ } $f[0]->lines;
    my ($first) = grep { $own[$_] eq $lines[0] } 0 .. $#own;
    is_deeply \@lines, [@own[$first .. $#own]], "$how x $times: all builds: nothing missing";

    my @old = grep { $children{$_} } @{ $s->pids->{children} };
    ok eval { wait_until_gone(10, @old) }, "$how x $times: the old children have gone" or diag $@;
    return;
}

restarts('graceful', $event ? 20 : 5);
restarts('restart', $event ? 5 : 2);

# ---- what a viewer is told ------------------------------------------------------------

for my $how ('graceful', 'restart') {
    my $id = $p->start('out hello');
    my @v  = map { $s->open_stream($_) } '/api/log/push', "/api/log/push?build=$id";
    $v[0]->event(5) for 1 .. 2;
    $v[1]->until(sub { exists $_->{data} && $_->{data} =~ /\] hello$/ }, 5);
    my @old   = @{ $s->pids->{children} };
    my $began = time;
    again($how);
    my @retry;
    for my $v (@v) {
        my @rest = $v->rest(10);
        push @retry, $rest[-1]{retry};
        is_deeply $v->{cut}, [], "$how: the stream ends with a whole event";
        $v->close;
    }
    is scalar(grep { !defined $_ || $_ < 100 || $_ > 3000 } @retry), 0,
        "$how: viewers are told to come back soon" or diag explain \@retry;
    ok eval { wait_until_gone(10, @old) }, "$how: the old children exit" or diag $@;
    cmp_ok time - $began, '<', 30, "$how: promptly";    # they would watch on for ever
    $p->cue('exit 0');
    $s->wait_for_state($id, 'succeeded', 10);
}

# A viewer that takes nothing does not keep its child from exiting.
{
    my $id = $p->start('flood 4000000', 'out done');
    my $v  = $s->open_stream("/api/log/push?build=$id", rcvbuf => 4096);
    $p->wait_for('done');
    my @old = @{ $s->pids->{children} };
    my $began = time;
    $s->graceful;
    ok eval { wait_until_gone(10, @old) }, 'a viewer that stands still does not hold up a graceful restart' or diag $@;
    note sprintf 'old children exited in %.1f s', time - $began;
    my @rest = eval { $v->rest(20) };
    my ($last) = grep { exists $_->{id} } reverse @rest;
    $v->close;
    my $w = $s->open_stream("/api/log/push?build=$id", headers => { 'Last-Event-ID' => $last->{id} });
    $p->cue('exit 0');
    my @more = $w->rest(20);
    $w->close;
    my @n = map { text($_) =~ /^F (\d+)/ ? $1 : () } grep { !exists $_->{event} && exists $_->{data} } @rest, @more;
    is scalar(grep { $n[$_] != $_ + 1 } 0 .. $#n), 0, 'and comes back without a gap';
    is $more[-1]{event}, 'end', 'to the end';
}

# ---- a child is killed --------------------------------------------------------------------

{
    my $id = $p->start('count 500');
    my @f  = map { BuildLog::Follower->start($s, "/api/log/push?build=$id") } 1 .. 4;
    for my $round (1 .. 3) {
        my @children = @{ $s->pids->{children} };
        kill 'KILL', @children;
        $p->cue('count 300', 'slow 10 5');
        wait_until_gone(10, @children);
        wait_until {
            my @now = @{ $s->pids->{children} };
            @now && eval { $s->request('GET', '/api/project/projects', timeout => 2)->{status} == 200 };
        } 20, 'new children';
    }
    $p->cue('exit 0');
    saw_all($f[$_], $id, "children killed, viewer $_") for 0 .. $#f;
    log_is_whole($id, 'children killed', state => 'succeeded', lines => 500 + 3 * 310);
}

# ---- new limits, rotated logs -----------------------------------------------------------

{
    my $runner = $s->pids->{runner};
    $s->configure("BuildLogMaxBuilds 1\n");
    again('graceful');
    my $one = $p->start('out one');
    $s->wait_for_state($one, 'running', 10);
    my $two = $q->start('out two', 'exit 0');
    is $s->build_record($two)->{state}, 'queued', 'graceful: BuildLogMaxBuilds 1 holds';

    rename $s->dir . '/error_log', $s->dir . '/error_log.1' or die $!;
    $s->configure("BuildLogMaxBuilds 2\n");
    $s->graceful;
    $s->wait_for_state($two, 'succeeded', 15);
    pass 'graceful: what waits begins when the new limit allows it';
    is $s->build_record($one)->{state}, 'running', 'while the other one runs';
    is $s->pids->{runner}, $runner, 'by the same runner';
    wait_until { $s->error_log =~ /BL0211 build $two / } 10, 'a line of the runner in the new log';
    like $s->error_log, qr/BL0210 build $two .* begins/, 'the runner writes to the new error log';
    my @old = grep { (readlink($_) // '') =~ /error_log\.1/ } glob "/proc/$runner/fd/*";
    is @old, 0, 'and has let go of the old one';
    $p->cue('exit 0');
    $s->wait_for_state($one, 'succeeded', 10);
    # Both parts, so that the check at the end sees all.
    open my $in, '<', $s->dir . '/error_log.1' or die $!;
    is_deeply [BuildLog::Test::bad_lines(join '', <$in>)], [], 'nothing bad in the old log';
}

# ---- the runner is killed ------------------------------------------------------------------

my $last_build;

# Kill it and wait for the next.
sub kill_runner
{
    my $old = $s->pids->{runner};
    kill 'KILL', $old;
    return wait_until {
        my $new = $s->pids->{runner};
        $new && $new != $old && $s->error_log =~ /BL0240 runner $new begins/ ? $new : undef;
    } 90, 'a new runner';
}

# Of a build in this server: what its projects' directories run.
sub alive_in
{
    my ($puppet) = @_;
    return grep { (readlink("/proc/$_->[0]/cwd") // '') eq $puppet->path } build_processes();
}

{
    # One that runs, deaf to TERM and with a child, one more, and one that waits.
    my $one = $p->start('child', 'stubborn', 'child', 'count 200', 'out last words');
    my $two = $q->start('count 100', 'out last words');
    $_->wait_for('last words') for $p, $q;
    my (undef, $answer) = $s->post_build($q->path);
    my $three = $answer->{build}{id};
    $q->prepare('out I waited', 'exit 0');
    my $f   = BuildLog::Follower->start($s, "/api/log/push?build=$one");
    my $all = $s->open_stream('/api/log/push');
    $all->event(5) for 1 .. 2;
    ok scalar(alive_in($p)), 'processes of the build are there';
    # 200 lines, the command and the words; in which order, nobody says.
    wait_until { $f->lines >= 202 } 10, 'the viewer is there';
    my @shown = $f->lines;

    my $new = kill_runner();
    my $end = $s->wait_for_state($one, 'lost', 10);
    is $end->{state}, 'lost', 'the runner is killed: its build is lost';
    is $s->wait_for_state($two, 'lost', 10)->{state}, 'lost', 'the other one too';
    like $end->{reason}, qr/runner ended/, 'with the reason';
    log_is_whole($one, 'runner killed', state => 'lost', lines => 200);
    saw_all($f, $one, 'runner killed');
    my @lines = $f->lines;
    is_deeply [@lines[0 .. $#shown]], \@shown, 'nothing that was shown is taken back';
    is @lines, 203, 'one more line';
    like $lines[-1], qr/^\d+ Build lost: .*runner/, 'it says what happened';
    ok eval { wait_until { !alive_in($p) && !alive_in($q) } 10, 'they end' },
        'no process of the builds is left' or diag explain [alive_in($p), alive_in($q)];
    my @seen = $all->until(sub { ($_->{event} // '') eq 'build' && $_->{data} =~ /"id":$two,.*"lost"/ }, 10);
    ok scalar(@seen), 'the feed of all builds says so, on the same connection';
    $all->close;

    # What waited goes on waiting, until nothing of the lost build is left.
    is $s->wait_for_state($three, 'succeeded', 20)->{state}, 'succeeded',
        'a build that waited outlives the runner';
    log_is_whole($three, 'it waited', state => 'succeeded');
    is_deeply [glob($s->state . '/queue/*')], [], 'and its order is cleared away';

    my $next = $p->start('out works again', 'exit 0');
    cmp_ok $next, '>', $three, 'the next build has a new number';
    is $s->wait_for_state($next, 'succeeded', 15)->{state}, 'succeeded', 'and works';
    my $v = $s->open_stream("/api/log/push?build=$next");
    my ($first) = grep { exists $_->{id} } $v->rest(10);
    $v->close;
    cmp_ok $first->{id}, '>', $f->seen->{events}[-1]{id}, 'ids go on growing';

    # Again at once: the back-off lasts, but it comes.
    my $again = kill_runner();
    isnt $again, $new, 'killed again: one more runner';
    $last_build = $p->start('out and again', 'exit 0');
    cmp_ok $last_build, '>', $next, 'numbers go on';
    is $s->wait_for_state($last_build, 'succeeded', 15)->{state}, 'succeeded', 'builds go on';
}

# ---- numbers do not come again, even if the newest log was removed -----------------------

if ($event) {
    unlink $s->state . "/logs/$last_build.log" or die $!;
    kill_runner();
    my $next = wait_until {
        my ($status, $answer) = $s->post_build($q->path);
        $status == 202 ? $answer->{build}{id} : undef;
    } 10, 'a runner';
    cmp_ok $next, '>', $last_build, 'the number of a removed build is not given again';
    # Its cue is that of the build before.
    $q->cue('exit 0');
    $s->wait_for_state($next, 'succeeded', 10);
}

# ---- a keeper is killed ---------------------------------------------------------------------

{
    my $one = $p->start('child', 'stubborn', 'child', 'count 50', 'out ready');
    $p->wait_for('ready');
    # That of the build before may just be about to end.
    my $keeper = wait_until { my @k = @{ $s->pids->{keepers} }; @k == 1 && $k[0] } 20, 'one keeper';
    is process_name($keeper), 'buildlog-keeper', 'a keeper';
    my $two = $q->start('child', 'count 50', 'out ready');
    $q->wait_for('ready');
    my $f = BuildLog::Follower->start($s, "/api/log/push?build=$one");
    my $runner = $s->pids->{runner};

    kill 'KILL', $keeper;
    my $end = $s->wait_for_state($one, 'lost', 10);
    is $end->{state}, 'lost', 'a keeper is killed: its build is lost';
    ok eval { wait_until { !alive_in($p) } 10, 'they end' }, 'nothing of it is left'
        or diag explain [alive_in($p)];
    log_is_whole($one, 'keeper killed', state => 'lost', lines => 50);
    saw_all($f, $one, 'keeper killed');
    like(($f->lines)[-1], qr/Build lost: .*killed/, 'keeper killed: said so');
    is $s->build_record($two)->{state}, 'running', 'the other build goes on';
    cmp_ok scalar(alive_in($q)), '>=', 2, 'with all its processes';
    is $s->pids->{runner}, $runner, 'and so does the runner';
    $q->cue('exit 0');
    is $s->wait_for_state($two, 'succeeded', 10)->{state}, 'succeeded', 'to its end';
}

done_testing;
