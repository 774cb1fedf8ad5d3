# 52-lost.t - the runner is killed in the middle of builds: they are lost and
# say so, nothing of them runs on, and a project is not built again before
#
# Promises: 6 (a killed runner: builds are lost, nothing left running, the next
# build works), 5 (one final state, no process left); R1 of bl_orphans.h: no
# stranger is touched.
#
# KILLS: so often the runner is killed (3).
#
# Every process of a build holds a lock that the build took first: the next
# build of the project has it only when none of them is left.
#
# MPM: event
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Puppet;
use BuildLog::Server;
use JSON::PP ();
use List::Util qw(max);
use POSIX ();
use Time::HiRes qw(time);

my $json     = JSON::PP->new->utf8;
my $times    = $ENV{KILLS} || 3;
my $projects = project('');

# Closing its files is the last that a process does, a moment behind the one
# in which it is seen no more: for so long the lock is waited for. Less than the
# grace that those have who do not end by themselves.
my $moment = 1;

my %does = (
    plain    => 'echo ready; exec sleep 300',
    deaf     => 'trap "" TERM INT HUP; echo ready; while :; do sleep 0.1; done',
    sessions => 'sleep 300 & setsid sleep 300 & (setsid nohup sh -c "sleep 300; touch x" &); echo ready; wait',
    loud     => 'echo ready; while :; do echo line; sleep 0.01; done',
    many     => 'for i in 1 2 3 4 5 6 7 8 9 10; do sh -c "sleep 300; :" & done; echo ready; wait',
);
my @names = sort keys %does;
$does{patient} = $does{deaf};    # but its keeper would wait long
# Without a runner nobody reads what it prints: loud ends by that alone.
my @stay = grep { $_ ne 'loud' } @names;

my $s = BuildLog::Server->start(<<"END");
BuildLogMaxBuilds 10
BuildLogMaxQueue 100
<Directory "${projects}made-lost-*">
    BuildLog On
    BuildLogStep run "sh ./run.sh"
    BuildLogKillGrace 1500ms
</Directory>
<Directory "${projects}made-lost-patient">
    BuildLogKillGrace 60s
</Directory>
END

my %path = map { $_ => make_project("lost-$_", <<"END") } keys %does;
exec 9>>lock
flock -w $moment 9 || { echo "somebody is here"; exit 9; }
if [ -e works ]; then echo works; exit 0; fi
$does{$_}
END

sub start { my ($name) = @_; return start_build($path{$name}, port => $s->port) }

# Only a server that begins forgets how often its runner has died.
sub begin_anew
{
    $s->stop or die "the server does not stop\n";
    my ($status, $out) = $s->begin;
    die "the server does not start: $out\n" if $status != 0;
    return;
}

sub says
{
    my ($id, $text) = @_;
    return eval { scalar grep { $_->{text} eq $text } @{ $s->log_records($id) } };
}

# A build of each, in the middle of it.
sub begin_all
{
    unlink "$path{$_}/works" for @_;
    my %id = map { $_ => start($_) } @_;
    for my $name (@_) {
        wait_until { says($id{$name}, 'ready') } 20, "$name begins";
    }
    write_file("$path{$_}/works", '') for @_;
    return %id;
}

# What its log tells of a lost build; nothing to complain of is an empty list.
sub wrong_with
{
    my ($id) = @_;
    my @wrong;
    my $records = $s->log_records($id);
    my @ends = grep { grep { $_ eq 'end' } @{ $_->{tags} } } @$records;
    push @wrong, "$id: " . @ends . ' ends' if @ends != 1;
    push @wrong, "$id: the end is not last" if @ends && $ends[-1] != $records->[-1];
    my $last = $records->[-2]{text};
    push @wrong, "$id: $last" if $last ne 'Build lost: the runner ended while it was running';
    push @wrong, "$id: the record differs" if $json->decode($records->[-1]{text})->{state} ne 'lost';
    my $stream = $s->open_stream($id);
    my @events = $stream->rest(10);
    $stream->close;
    push @wrong, "$id: its stream" if ($events[-1]{event} // '') ne 'end'
        || 1 != grep { ($_->{event} // '') eq 'end' } @events;
    return @wrong;
}

# The next builds, each of which begins when nothing of the one before is left.
my @strangers;

sub is_left
{
    my ($id) = @_;
    return grep { my $pid = $_->[0]; !grep { $_ == $pid } @strangers } build_processes($id);
}

sub next_ones_work
{
    my ($name, $first, $next) = @_;
    my @wrong;
    for (sort keys %$first) {
        my $build = $s->wait_for_state($next->{$_}, 'succeeded|failed|cancelled|timed-out|lost', 60);
        push @wrong, "$_, $next->{$_}: $build->{state}" if $build->{state} ne 'succeeded';
        push @wrong, "$_, $next->{$_}: " . (says($next->{$_}, 'somebody is here') ? 'too early' : 'nothing said')
            if !says($next->{$_}, 'works');
        push @wrong, "$_, $first->{$_}: still there" if is_left($first->{$_});
        push @wrong, "$_: something went on" if -e "$path{$_}/x";
    }
    is_deeply \@wrong, [], "$name: the next builds begin when nothing of them is left, and work";
    return;
}

# ---- strangers --------------------------------------------------------------------

# A process of the same user that looks like one of a build, but is none.
sub stranger
{
    my ($id, $path, $state) = @_;
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        chdir '/';
        open STDOUT, '>', '/dev/null';
        exec 'env', '-i', "BUILDLOG_ID=$id", "BUILDLOG_PROJECT=$path", "BUILDLOG_SERVER=$state", 'sleep', '600' or POSIX::_exit(127);
    }
    push @strangers, $pid;
    wait_until { (process_name($pid) // '') eq 'sleep' } 10, 'a stranger';
    return $pid;
}

sub end_strangers
{
    my @found = splice @strangers;
    my $alive = grep { process_is_alive($_) } @found;
    kill 'KILL', @found;
    waitpid $_, 0 for @found;
    return $alive == @found;
}

END {
    local $?;
    end_strangers();
}

# ---- the runner is killed ------------------------------------------------------------

my $longest = 0;
for my $round (1 .. $times) {
    if ($round > 1 && $round % 3 == 1) {
        begin_anew();
    }
    my %first = begin_all(@names);
    # In turns: what follows waits already, or comes when the new one is there.
    my %next = $round % 2 ? map { $_ => start($_) } @names : ();
    stranger($first{plain}, '/nowhere', $s->state);
    stranger($first{plain} + 10_000, $path{plain}, $s->state);
    stranger($first{plain}, $path{plain}, '/another');    # the same project, built by another server
    my $from = time;
    $s->kill_runner;
    my $begun = time;
    %next = map { $_ => start($_) } @names if !%next;
    my @late = grep { !eval { $s->wait_for_state($first{$_}, 'lost', 10) } } @names;
    is_deeply \@late, [], "$round: all five builds are lost";
    $longest = max($longest, time - $begun);
    is_deeply [map { wrong_with($first{$_}) } @names], [], "$round: each says so, and has one end";
    next_ones_work($round, \%first, \%next);
    ok end_strangers(), "$round: strangers are left alone";
    is_deeply [glob $s->state . '/queue/*'], [], "$round: nothing waits any more";
}
note sprintf 'lost at most %.2f s after the new runner had begun', $longest;

# ---- and again, before it was done with them -------------------------------------------

# The runner that begins last has not seen how the build was lost.
{
    begin_anew();
    my %first = begin_all(@names, 'patient');
    $s->kill_runner;
    $s->wait_for_state($_, 'lost', 10) for values %first;
    my $next = start('patient');
    $s->kill_runner;
    my %next = (patient => $next, map { $_ => start($_) } @names);
    cmp_ok scalar(build_processes($first{patient})), '>', 0, 'killed twice, and one is still there';
    is $s->build_record($next)->{state}, 'queued', 'it holds its project';
    is_deeply [map { wrong_with($_) } values %first], [], 'killed twice: one end each, all the same';
    next_ones_work('killed twice', \%first, \%next);
}

# ---- the keepers are killed in the same moment ---------------------------------------------

# Nobody is left who ends what they kept: the next runner does.
for my $how ('in the same moment', 'and the next runner') {
    begin_anew();
    my %first = begin_all(@names);
    stranger($first{$_}, '/nowhere', $s->state) for @names;
    my @keepers = @{ $s->pids->{keepers} };
    is scalar(@keepers), 5, 'five keepers';
    my $mark = length $s->error_log;
    my %next = map { $_ => start($_) } @stay;
    $s->kill_runner(@keepers);
    $s->wait_for_state($first{$_}, 'lost', 10) for @names;
    cmp_ok scalar(build_processes($first{$_})), '>', 0, "keepers, $how: $_ is still there" for @stay;
    $s->kill_runner if $how =~ /next/;
    my @early = grep { $s->build_record($next{$_})->{state} ne 'queued' } @stay;
    is_deeply \@early, [], '... and holds its project';
    $next{loud} = start('loud');
    next_ones_work("keepers, $how", \%first, \%next);
    for my $name (@stay) {
        my @said = substr($s->error_log, $mark) =~ /(BL0205 \d+ processes of build $first{$name} outlived .*)/g;
        is scalar(@said), 1, "... BL0205 tells of $name, once";
    }
    ok end_strangers(), '... strangers are left alone';
    is_deeply [map { wrong_with($first{$_}) } @names], [], '... each is lost, and has one end';
}

is_deeply [build_processes()], [], 'no process of any build is left';
done_testing;
