# 62-leaving.t - however viewers leave, and whoever ends their connection,
# nothing of them is left, and nothing is lost or doubled for who comes back
#
# Promises: 6 (graceful, restart, a killed child: viewers come back without a
# missing or double line), 3 and 4 (who stands still delays nobody; what is
# kept for viewers goes with them), 1 (each line once, in order).
#
# MPM: event worker prefork
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Follower;
use BuildLog::Kinds;
use BuildLog::Puppet;
use BuildLog::Server;
use File::Temp ();
use POSIX ();
use Socket qw(SOL_SOCKET SO_RCVBUF);
use Time::HiRes qw(sleep time);

# One test below kills children.
allow_in_log(qr/AH00052: child pid \d+ exit signal Killed/);

# Viewers that may be there, of any kind and of each: a quarter of the threads
# may be held. That one has left is seen without a ping.
my $places = 8;
my $config = one_child($places * 4) . odd_place() . <<"END";
BuildLogMaxClients $places
BuildLogMaxParked $places
BuildLogPing 60s
Timeout 120
END

sub is_text { my ($t) = @_; return sub { !exists $_->{event} && ($_->{data} // '') =~ /\] \Q$t\E$/ } }

# ---- without a word ---------------------------------------------------------------------

# Who is there no more is let go, who only takes nothing is not. That takes its
# time: it goes on in a server of its own beside the other tests.

my $threads = 48;
my $far = BuildLog::Server->start(one_child($threads) . odd_place() . <<'END', tls => 1);
BuildLogPing 1s
Timeout 120
END
my $sea   = BuildLog::Puppet->new('leaving-far', server => $far);
my $flood = $sea->start('flood 3000000', 'out all');
$sea->wait_for('all');

my (%silent, %stalled);
for my $way (ways()) {
    my $kind = kind_of($way);
    # One that had everything, and one to which something is on its way.
    $silent{"$kind, idle"} = viewer($far, $way, '');
    $silent{"$kind, idle"}->event(5) for 1 .. 3;
    $silent{"$kind, reading"} = viewer($far, $way, "?build=$flood");
    $silent{"$kind, reading"}->until(is_text('all'), 20);
    $stalled{$kind} = viewer($far, $way, "?build=$flood", rcvbuf => 4096);
}
my $began = time;
vanish($_) for values %silent;
$sea->cue('slow 20 5');

# Of each when its connection was closed: looked at by a process, for the other
# tests do not come by in time.
my $patience = 40;
my $watched  = File::Temp->new(UNLINK => 1);
my $watcher  = fork // die "fork: $!\n";
if (!$watcher) {
    my $parent = getppid;
    my %port = ((map { $_ => BuildLog::Kinds::port_of($silent{$_}) } keys %silent),
                (map { ("$_, stalled" => BuildLog::Kinds::port_of($stalled{$_})) } keys %stalled));
    POSIX::close(fileno $_->socket) for values %BuildLog::Stream::open;
    $watched->autoflush(1);
    while (time - $began < $patience && getppid == $parent) {
        my %open = map { $_ => 1 } connections($far);
        for my $name (grep { !$open{ $port{$_} } } keys %port) {
            printf {$watched} "%.1f %s\n", time - $began, $name;
            delete $port{$name};
        }
        sleep 0.1;
    }
    print {$watched} "0 over\n";
    POSIX::_exit(0);
}

# ---- the clients leave --------------------------------------------------------------------

my $s = BuildLog::Server->start($config, tls => 1);
my $p = BuildLog::Puppet->new('leaving', server => $s);
my $before = descriptors($s);

# All places are taken: some look at all builds, some at one.
sub crowd
{
    my ($way, $id) = @_;
    my @v = map { viewer($s, $way, $_ % 2 ? "?build=$id" : '') } 1 .. $places;
    for my $v (@v) {
        $v->event(5) for 1 .. 2;
    }
    return @v;
}

my %leave = (
    'in an orderly way' => sub { $_[0]->close },
    'by a reset'        => sub { $_[0]->reset },
    'by half'           => sub { shutdown $_[0]->socket, 1 },
);
for my $way (ways()) {
    my $kind = kind_of($way);
    for my $how (sort keys %leave) {
        my $name = "$kind, left $how";
        my $id = $p->start('out begin');
        $p->wait_for('begin');
        my @v = crowd($way, $id);
        $leave{$how}->($_) for @v;
        ok eval { wait_until { !connections($s) } 5 }, "$name: the connections are closed"
            or diag join ' ', connections($s);
        $_->close for @v;
        descriptors_are($s, $before, $name);
        places_are_free($s, $way, $places, $name);
        $p->cue('exit 0');
        $s->wait_for_state($id, 'succeeded', 10);
    }

    # While there is more to write than the socket takes.
    my $id = $p->start('flood 2000000', 'out done');
    $p->wait_for('done');
    my @v = map { viewer($s, $way, "?build=$id", rcvbuf => 4096) } 1 .. $places;
    $_ % 2 ? $v[$_]->close : $v[$_]->reset for 0 .. $#v;
    descriptors_are($s, $before, "$kind, left with a full socket");
    places_are_free($s, $way, $places, "$kind, left with a full socket");
    $p->cue('exit 0');
    $s->wait_for_state($id, 'succeeded', 10);

    # One goes and comes back, again and again.
    $id = $p->start('count 200', 'slow 200 10', 'out done');
    my (@seen, $last);
    my @how = sort keys %leave;
    for my $hop (1 .. 9) {
        my $v = viewer($s, $way, "?build=$id", headers => { defined $last ? ('Last-Event-ID' => $last) : () });
        while (lines_of(@seen) < 40 * $hop) {
            push @seen, $v->event(10) // last;
        }
        $last = $v->last_id;
        $leave{ $how[$hop % @how] }->($v);
        $v->close;
    }
    $p->wait_for('done');
    $p->cue('exit 0');
    my $v = viewer($s, $way, "?build=$id", headers => { 'Last-Event-ID' => $last });
    push @seen, $v->rest(10);
    $v->close;
    is_deeply [lines_of(@seen)], [stored_lines($s, $id)], "$kind, left 9 times: each line once, in order";
    is scalar(grep { ($_->{event} // '') eq 'gap' } @seen), 0, "$kind, left 9 times: no gap";
}

# ---- the build ends ---------------------------------------------------------------------------

for my $way (ways()) {
    my $kind = kind_of($way);
    my $id = $p->start('count 100');
    my @v  = map { viewer($s, $way, "?build=$id") } 1 .. $places;
    $p->cue('count 100', 'exit 0');
    my @ends = map { ($_->rest(10))[-1]{event} // '' } @v;
    is_deeply \@ends, [('end') x $places], "$kind: a build ends, and all its viewers have the end";
    is scalar(grep { !$_->at_end } @v), 0, "$kind: and that of their connection";
    $_->close for @v;
    descriptors_are($s, $before, "$kind, a build ends");
    places_are_free($s, $way, $places, "$kind, a build ends");
}

# ---- the server ends them ------------------------------------------------------------------------

sub fd_count { my ($pid) = @_; return scalar(() = glob "/proc/$pid/fd/*") }

# Viewers of each kind look at a build that prints while something is done to
# the server, so many times. Their streams together are the log, and old
# children go.
sub through
{
    my ($name, $times, $do, %opt) = @_;
    my $pids = wait_until { my $now = $s->pids; !@{ $now->{keepers} } && $now } 20, 'no keeper';
    my @fds  = map { fd_count($_) } @$pids{qw(parent runner)};
    my $id   = $p->start('count 300');
    my @way  = map { ($_) x 2 } ways();
    my @f    = map { follower($s, $_, "?build=$id", seconds => 120) } @way;
    for my $round (1 .. $times) {
        my %old = map { $_ => 1 } @{ $s->pids->{children} };
        $p->cue('slow 40 5', 'count 60', "out round $round");
        $do->(\%old);
        last if $opt{ends};
        $p->wait_for("round $round");
        ok eval { wait_until { !grep { $old{$_} } @{ $s->pids->{children} } } 15 },
            "$name, round $round: the old children have gone"
            or diag join ' ', grep { $old{$_} } @{ $s->pids->{children} } if !$opt{stay};
    }
    if (!$opt{ends}) {
        is $s->pids->{runner}, $pids->{runner}, "$name: the same runner";
        $p->cue('exit 0');
    }
    my @stored;
    for my $i (0 .. $#f) {
        my $kind = kind_of($way[$i]);
        my $seen = eval { $f[$i]->finish(30) } // { %{ $f[$i]->seen }, died => $@ };
        is $seen->{died}, '', "$name: the $kind viewer comes to the end";
        cmp_ok $seen->{connections}, '>=', 2, "$name: the $kind viewer, in $seen->{connections} connections"
            if !$opt{stay};
        @stored = stored_lines($s, $id) if !@stored;
        is_deeply [$f[$i]->lines], \@stored, "$name: the $kind viewer has each line once, in order";
        is $seen->{gaps}, 0, "$name: the $kind viewer has no gap";
    }
    $opt{after}->() if $opt{after};
    places_are_free($s, $_, $places, $name) for ways();
    if (!$opt{ends}) {
        my @now;
        eval { wait_until { "@{[@now = map { fd_count($_) } @$pids{qw(parent runner)}]}" eq "@fds" } 20 };
        is_deeply \@now, \@fds, "$name: parent and runner have the same descriptors";
    }
    return;
}

sub generations { return scalar(() = $s->error_log =~ /resuming normal operations/g) }

sub again
{
    my ($how) = @_;
    my $had = generations();
    my %old = map { $_ => 1 } @{ $s->pids->{children} };
    $s->$how;
    wait_until {
        generations() > $had && !grep { $old{$_} } @{ $s->pids->{children} };
    } 20, "$how is done, and the old children have gone";
    return;
}

through('graceful', 3, sub { again('graceful') });
through('restart', 2, sub { again('restart') });

# What they are told: not all the same, or they all come in one moment.
{
    my @ways = ways();
    my @way  = map { $ways[ $_ % @ways ] } 1 .. $places;
    my @v;
    for my $way (@way) {
        push @v, wait_until { comes($s, $way) } 10, 'a place';
    }
    again('graceful');
    my @last = map { ($_->rest(10))[-1] } @v;
    is scalar(grep { keys %{ $_ // {} } != 1 || !exists $_->{retry} } @last), 0,
        'graceful: the last that viewers are told is when to come back' or diag explain \@last;
    my @retry = map { $_->{retry} // 0 } @last;
    is scalar(grep { $_ < 200 || $_ > 2000 } @retry), 0, 'in 200 to 2000 ms' or diag "@retry";
    my %differ = map { $_ => 1 } @retry;
    cmp_ok scalar(keys %differ), '>', $places / 2, 'each at another time' or diag "@retry";
    is scalar(grep { @{ $_->{cut} } } @v), 0, 'behind a whole event';
    $_->close for @v;
}

# Who stands still does not keep an old child from its end.
for my $way (ways()) {
    my $kind = kind_of($way);
    my $id = $p->start('flood 2000000', 'out done');
    $p->wait_for('done');
    my $v = viewer($s, $way, "?build=$id", rcvbuf => 4096);
    my @fast = map { viewer($s, 'plain', "?build=$id") } 1 .. 2;
    # These have all, so that one has what it takes.
    $_->until(is_text('done'), 20) for @fast;
    my %old = map { $_ => 1 } @{ $s->pids->{children} };
    $s->graceful;
    my $gone = sub { return !grep { $old{$_} } @{ $s->pids->{children} } };
    ok eval { wait_until { $gone->() } 10 }, "$kind, graceful: one that takes nothing does not hold it up";
    my @lines = lines_of(eval { $v->rest(20) });
    my $last = $v->last_id;
    $_->close for $v, @fast;
    wait_until { $gone->() } 40, 'the old children go';
    $p->cue('exit 0');
    my $w = viewer($s, $way, "?build=$id", headers => { 'Last-Event-ID' => $last });
    push @lines, lines_of($w->rest(20));
    $w->close;
    is_deeply \@lines, [stored_lines($s, $id)], "$kind, graceful: and it comes back without a gap";
}

# ---- the MPM renews its children ------------------------------------------------------------------

# One that holds its only thread cannot be renewed: it does not answer others.
my $renewed = mpm() eq 'prefork' ? 'plain' : '';
{
    $s->configure("$config\nMaxConnectionsPerChild 12\n");
    again('graceful');
    my $knock = sub {
        my ($done) = @_;
        wait_until {
            for (1 .. 20) {
                eval { $s->request('GET', '/api/project/projects', timeout => 5) };
            }
            $done->();
        } 40, 'children are renewed';
    };
    through('MaxConnectionsPerChild', 2, sub {
        my ($old) = @_;
        my $now = sub { return scalar grep { $old->{$_} } @{ $s->pids->{children} } };
        my $most = $renewed ? keys(%$old) / 2 : 0;
        $knock->(sub { $now->() <= $most });
    }, stay => $renewed, after => sub {
        $s->configure($config);
        again('graceful');
    });
}

# ---- a child is killed -------------------------------------------------------------------------------

through('killed children', 2, sub {
    my ($old) = @_;
    kill 'KILL', keys %$old;
    wait_until_gone(10, keys %$old);
    wait_until { eval { $s->request('GET', '/api/project/projects', timeout => 2)->{status} == 200 } } 20, 'new children';
});

# ---- the server stops ---------------------------------------------------------------------------------

# Its build is lost then: it is said so.
sub begins_again
{
    my ($status, $text) = $s->begin;
    is $status, 0, 'the server begins again' or diag $text;
    return;
}

through('stop', 1, sub {
    ok $s->stop(10), 'stop: all processes end in time';
    begins_again();
}, ends => 1);

through('graceful-stop', 1, sub {
    my $parent = $s->parent;
    my @pids = ($parent, processes_below($parent, deep => 1));
    kill 'WINCH', $parent or die "graceful-stop: $!\n";
    ok eval { wait_until_gone(10, @pids) }, 'graceful-stop: all processes end in time' or diag $@;
    waitpid $s->{pid}, POSIX::WNOHANG();
    begins_again();
}, ends => 1);

# ---- those without a word again ------------------------------------------------------------------------

{
    wait_until { waitpid($watcher, POSIX::WNOHANG()) != 0 } $patience + 10, 'the watcher';
    open my $in, '<', $watched->filename or die $!;
    my %closed = map { /^([\d.]+) (.*)$/ ? ($2 => $1) : () } <$in>;
    ok exists $closed{over}, 'the watcher has looked all the time';
    # httpd lingers on the connection of one that was held: that it is let go
    # shows in the number that may be.
    my ($way) = grep { kind_of($_) eq 'held' } ways();
    my @all;
    eval { wait_until { push @all, comes($far, $way) // (); @all == $threads / 4 } 30 };
    ok !comes($far, $way), 'held: no more than may be';
    is @all, $threads / 4, 'held, idle and reading: those that vanished are let go';
    $_->close for @all;
    for my $name (grep { !/^held/ } sort keys %silent) {
        ok defined $closed{$name}, "$name: one that vanished is let go within $patience s"
            and cmp_ok $closed{$name}, '>=', 8, "$name: not at once ($closed{$name} s)";
    }
    note "$_ $closed{$_}" for sort keys %closed;
    $_->reset for values %silent;
    for my $kind (sort keys %stalled) {
        my $at = $closed{"$kind, stalled"};
        # A held one has its 30 s, and some for its last bytes.
        ok !defined $at || ($kind eq 'held' && $at >= 29),
            "$kind: one that only takes nothing stays" or diag "let go after $at s";
        $sea->cue('exit 0') if $kind eq (sort keys %stalled)[0];
        # A window that opens again.
        setsockopt $stalled{$kind}->socket, SOL_SOCKET, SO_RCVBUF, 1 << 20;
        my @lines = lines_of($stalled{$kind}->rest(30));
        my $last = $stalled{$kind}->last_id;
        $stalled{$kind}->close;
        my $v = viewer($far, 'plain', "?build=$flood", headers => { 'Last-Event-ID' => $last });
        push @lines, lines_of($v->rest(10));
        $v->close;
        is_deeply \@lines, [stored_lines($far, $flood)], "$kind, stalled: nothing lost, nothing doubled";
    }
}

done_testing;
