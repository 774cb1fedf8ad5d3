# 26-cgroup.t - BuildLogCgroup: each build in a control group of its own, which
# ends with it, whatever it does; limits of memory and processes, and what is
# said of them; and what is said when there can be no group
#
# Issue 6, item 6; promises 5 (no process of a build is left) and 6 (a killed
# runner), G1 to G3 of bl_cgroup.h.
#
# MPM: event
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Server;

my $projects = project('');
my ($cgroup, $none) = @ENV{qw(TEST_CGROUP NO_TEST_CGROUP)};
$none //= 'see t/suite.sh';

sub slurp
{
    my ($path) = @_;
    open my $in, '<', $path or return '';
    local $/;
    return <$in> // '';
}

# ---- what cannot be used ------------------------------------------------------

{
    my $dir = top() . '/tmp/cgroup';
    mkdir $dir or $!{EEXIST} or die "$dir: $!\n";
    my $s = BuildLog::Server->make("BuildLogCgroup $dir\n");
    my ($status, $out) = $s->begin;
    isnt $status, 0, 'a directory like any other: the server does not start';
    my $why = "BL0116 BuildLogCgroup cannot be used: $dir is no directory of a cgroup2 file system";
    like $s->error_log, qr/crit\].* \Q$why\E/, '... and says why';
    ($status, $out) = httpd('-d', $s->dir, '-f', $s->dir . '/httpd.conf', '-t');
    isnt $status, 0, 'nor does httpd -t find it right';
    like $out, qr/\Q$why\E/, '... and says why';
}

if ($none ne '') {
    note "no control group: $none";
    done_testing;
    exit;
}

# ---- a server whose builds have groups ---------------------------------------------

my %has = map { $_ => 1 } split ' ', slurp("$cgroup/cgroup.controllers");

# Groups below it have limits if it hands the controllers on.
for (grep { $has{$_} } qw(memory pids)) {
    open my $out, '>', "$cgroup/cgroup.subtree_control" or die "$cgroup: $!\n";
    syswrite $out, "+$_" or die "$cgroup: $_: $!\n";
}
my $group = "$cgroup/builds";
my @limits = (($has{memory} ? 'memory=48M' : ()), ($has{pids} ? 'pids=40' : ()));
my $conf = <<"END";
BuildLogCgroup $group/ @limits
BuildLogMaxBuilds 4
<Directory "${projects}made-cgroup-*">
    BuildLog On
    BuildLogKillGrace 300ms
    BuildLogStep run "sh ./run.sh"
</Directory>
<Directory "${projects}made-cgroup-steps">
    BuildLogStep one ". ./run.sh"
    BuildLogStep two "cat /proc/self/cgroup"
</Directory>
END
my $s = BuildLog::Server->start($conf);

sub start { my ($name, $script) = @_; return start_build(make_project("cgroup-$name", $script), port => $s->port) }
sub ended { my ($id) = @_; return $s->wait_for_state($id, 'succeeded|failed|cancelled|timed-out|lost', 60) }
sub cancel { my ($id) = @_; return $s->request('POST', "/api/project/builds/$id/cancel")->{status} }

sub lines
{
    my ($id, %opt) = @_;
    return map { $_->{text} } grep { !grep { /^(?:build|end)$/ || ($_ eq 'note' && !$opt{notes}) } @{ $_->{tags} } }
        @{ $s->log_records($id) };
}

# The group of a process, below $cgroup.
sub group_of
{
    my ($pid) = @_;
    return slurp("/proc/$pid/cgroup") =~ m{^0::\S*\Q@{[ $cgroup =~ m{([^/]+)$} ]}\E(/\S*)$}m ? $1 : 'none of ours';
}
sub groups { return sort map { m{([^/]+)/$} } glob "$group/*/" }
sub has_gone { my ($id) = @_; return eval { wait_until { !-d "$group/build-$id" } 20, 'the group goes' } }

# A build that waits in its script until the test says go.
sub begin
{
    my ($name, $script) = @_;
    # Without another process: there may be none to be had.
    my $path = make_project("cgroup-$name", "$script\n: >began\n"
        . "exec perl -e 'select undef, undef, undef, 0.02 until -e q(go)'");
    unlink map { "$path/$_" } qw(began go left);
    my $id = start_build($path, port => $s->port);
    wait_until { -e "$path/began" } 20, "$name begins";
    return ($id, "$path/go");
}

{
    my ($id, $go) = begin('where', 'sleep 600 & setsid sleep 600 & (setsid sh -c "sleep 600 & wait" &)');
    my $p = $s->pids;
    is group_of($p->{runner}), '/builds/runner', 'the runner is in a group';
    is group_of($_), '/builds/runner', '... and so is the keeper' for @{ $p->{keepers} };
    wait_until { build_processes($id) >= 5 } 20, 'its processes';
    is_deeply [grep { $_ ne "/builds/build-$id" } map { group_of($_->[0]) } build_processes($id)], [],
        'all that the build has begun is in its own';
    isnt group_of($_), '/builds/runner', 'httpd is not' for $p->{parent}, @{ $p->{children} };
    SKIP: {
        skip 'the kernel has no controller for memory here', 1 if !$has{memory};
        is slurp("$group/build-$id/memory.max"), 48 * 2**20 . "\n", 'memory=';
    }
    SKIP: {
        skip 'the kernel has no controller for processes here', 1 if !$has{pids};
        is slurp("$group/build-$id/pids.max"), "40\n", 'pids=';
    }
    write_file($go, '');
    is ended($id)->{state}, 'succeeded', 'it ends';
    ok has_gone($id), '... and its group has gone';
    is_deeply [build_processes($id)], [], '... with all that was in it';
}
{
    my $id = start('steps', 'cat /proc/self/cgroup');
    ended($id);
    is scalar(grep { m{/build-$id$} } lines($id)), 2, 'each step is in it';
}
{
    my ($id) = begin('deaf', <<'END');
trap "" TERM
for i in 1 2 3 4 5; do (trap "" TERM; while :; do sleep 0.05; done) & done
END
    is cancel($id), 202, 'one that does not hear TERM is cancelled';
    is ended($id)->{state}, 'cancelled', '... and ends';
    is_deeply [build_processes($id)], [], '... to the last process';
    ok has_gone($id), '... and its group has gone';
}

# The groups belong to the user that builds: what it does with them does not
# keep a build from its end.
{
    my ($id) = begin('hostile', <<"END");
mkdir $group/build-\$BUILDLOG_ID/inner
sh -c 'echo 0 >$group/build-\$BUILDLOG_ID/inner/cgroup.procs; exec sleep 600' &
setsid sh -c 'echo 0 >$group/runner/cgroup.procs; : >left; exec sleep 600' &
until [ -e left ]; do sleep 0.02; done
END
    cmp_ok scalar(grep { group_of($_->[0]) eq '/builds/runner' } build_processes($id)), '>', 0, 'a build leaves its group';
    cancel($id);
    is ended($id)->{state}, 'cancelled', '... it ends';
    is_deeply [build_processes($id)], [], '... to the last process';
    ok has_gone($id), '... and its group has gone, with what it has made in it';
}

{
    chmod 0500, $group or die "$group: $!\n";
    my $mark = length $s->error_log;
    my $id   = start('refused', 'echo never');
    my $end  = ended($id);
    chmod 0755, $group or die "$group: $!\n";
    is $end->{reason}, 'its control group could not be made: Permission denied', 'no group: the build fails, and says why';
    like substr($s->error_log, $mark), qr/BL0208 build $id: no control group for it/, '... so does the error log';
    $id = start('again', 'echo works');
    is ended($id)->{state}, 'succeeded', '... the next one works';
}

# ---- a keeper that is killed, and a runner ------------------------------------------

{
    my ($id) = begin('keeper', 'setsid sleep 600 &');
    kill 'KILL', @{ $s->pids->{keepers} };
    is ended($id)->{state}, 'lost', 'the keeper is killed: the build is lost';
    is_deeply [build_processes($id)], [], '... nothing of it runs';
    ok has_gone($id), '... and its group has gone';
}
{
    # Without its environment nothing tells whose they are but the group.
    my ($id) = begin('runner', 'setsid env -i sh -c "echo \$\$ >hidden; exec sleep 600" &' . "\nuntil [ -s hidden ]; do sleep 0.02; done");
    my ($hidden) = slurp(project('made-cgroup-runner') . '/hidden') =~ /(\d+)/;
    my $next = start_build(project('made-cgroup-runner'), port => $s->port);
    my $keepers = $s->pids->{keepers};
    $s->kill_runner(@$keepers);
    is $s->wait_for_state($id, 'lost', 20)->{state}, 'lost', 'runner and keeper are killed: the build is lost';
    ok process_is_alive($hidden), '... a process that hides is still there';
    is $s->build_record($next)->{state}, 'queued', '... and holds its project';
    is group_of($s->pids->{runner}), '/builds/runner', '... the next runner is in a group, too';
    ok eval { wait_until_gone(60, $hidden) }, '... which finds it, and ends it';
    write_file(project('made-cgroup-runner') . '/go', '');
    is ended($next)->{state}, 'succeeded', '... the next build works';
    ok eval { wait_until { !-d "$group/build-$id" } 30, 'swept' }, '... and the group that was left is removed';
}

# ---- what a build lacks --------------------------------------------------------------

SKIP: {
    skip 'the kernel has no controller for memory here: ' . slurp("$cgroup/cgroup.controllers"), 1 if !$has{memory};
    my $id  = start('hog', 'exec perl -e \'$| = 1; print "hog\n"; my @x; push @x, "x" x 1_000_000 for 1 .. 400; print "no limit\n"\'');
    my $end = ended($id);
    is $end->{state}, 'failed', 'memory: a build that wants more fails';
    is $end->{reason}, 'step "run" exited with code 137: out of memory, the kernel ended 1 process (BuildLogCgroup memory=48M)',
        '... and its reason says why';
    unlike join(' ', lines($id)), qr/no limit/, '... it got no further';
    $id  = start('hogs', 'perl -e \'my @x; push @x, "x" x 1_000_000 for 1 .. 400; print "no limit\n"\'; echo "on: $?"');
    $end = ended($id);
    is $end->{state}, 'succeeded', 'memory: a build that can do without goes on';
    is_deeply [lines($id, notes => 1)], ['$ sh ./run.sh', 'Killed', 'on: 137',
        'In this step: out of memory, the kernel ended 1 process (BuildLogCgroup memory=48M)', 'Build finished'],
        '... and its log says what happened'
        or diag explain [lines($id, notes => 1)];
}
SKIP: {
    skip 'the kernel has no controller for processes here: ' . slurp("$cgroup/cgroup.controllers"), 1 if !$has{pids};
    # First a harmless program: does the limit hold? Then some 130 processes, at
    # most, that try again and again.
    my ($id) = begin('bomb', <<'END');
perl -e '
    my ($n, @children) = 0;
    for (1 .. 100) {
        my $pid = fork // last;
        if (!$pid) { sleep 600; exit }
        $n = push @children, $pid;
    }
    kill 9, @children;
    print "begun: $n\n";
    exit($n > 40)' || exit 1
perl -e '
    for (1 .. 7) { fork }
    while (1) {
        select undef, undef, undef, 0.2;
        my $pid = fork // next;
        exit if !$pid;
        waitpid $pid, 0;
    }' &
END
    my $n = wait_until { (lines($id))[0] } 20, 'how many there were';
    like $n, qr/^begun: (?:[1-3]?\d|40)$/, 'pids: more processes are refused';
    is $s->request('GET', '/api/project/projects')->{status}, 200, '... requests are answered';
    my $well = start('well', 'for i in 1 2 3; do sh -c "echo \$0" "$i"; done');
    is ended($well)->{state}, 'succeeded', '... another build works';
    is cancel($id), 202, '... it is cancelled';
    is ended($id)->{state}, 'cancelled', '... it ends';
    is_deeply [build_processes($id)], [], '... to the last process';
    $id = start('few', 'perl -e \'for (1 .. 60) { my $p = fork // exit 7; if (!$p) { sleep 600; exit } }\'');
    like ended($id)->{reason}, qr/^step "run" exited with code 7: \d+ process(?:es)? could not be begun \(BuildLogCgroup pids=40\)$/,
        'pids: the reason says why';
}

# ---- limits that the kernel does not have here, and a reload --------------------------------

for (grep { !$has{ $_->[1] } } ['memory=64M', 'memory'], ['pids=100', 'pids']) {
    my ($limit, $controller) = @$_;
    my $none = BuildLog::Server->make("BuildLogCgroup $cgroup/none $limit\n");
    my ($status, $out) = $none->begin;
    isnt $status, 0, "$limit without the controller: the server does not start";
    like $none->error_log, qr/BL0116 BuildLogCgroup cannot be used: \w+= needs the controller $controller, which is not/,
        '... and says why';
}
{
    my $mark = length $s->error_log;
    $s->configure($conf =~ s/^BuildLogCgroup .*$/BuildLogCgroup $cgroup\/other/mr);
    $s->graceful;
    wait_until { substr($s->error_log, $mark) =~ /resuming normal operations/ } 20, 'a reload';
    like substr($s->error_log, $mark), qr/BL0117 BuildLogCgroup stays as it was/, 'a reload changes nothing, and says so';
    my $id = start('reload', 'cat /proc/self/cgroup');
    ended($id);
    is scalar(grep { m{/builds/build-$id$} } lines($id)), 1, '... a build is where builds were';
}
ok has_gone($_), 'no group is left' for grep { defined } map { /^build-(\d+)$/ ? $1 : () } groups();
is_deeply [groups()], ['runner'], 'but that of the runner';

done_testing;
