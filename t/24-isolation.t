# 24-isolation.t - what a build, and the processes that keep it, have of httpd:
# nothing; what they may do: no more than their user; and that a build which
# takes what it can get takes nothing else along
#
# Issue 6, items 5 (environment, descriptors) and 6 (no_new_privs, RLimits);
# promise 7.
#
# MPM: event
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Server;
use POSIX ();

my $projects = project('');
$ENV{BUILDLOG_TEST_SECRET} = 'of-httpd-alone';

# Processes and threads of this user, on the whole machine: all count.
sub tasks
{
    my $n = 0;
    for my $dir (glob '/proc/[0-9]*') {
        next unless ((stat $dir)[4] // -1) == $< || is_own($dir);
        $n += () = glob "$dir/task/*";
    }
    return $n;
}

# /proc says root of those that nobody may look into.
sub is_own
{
    my ($dir) = @_;
    open my $in, '<', "$dir/status" or return 0;
    return grep { /^Uid:\s+$<\s/ } <$in>;
}

sub conf
{
    my ($nproc) = @_;
    return <<"END";
BuildLogMaxBuilds 4
CustomLog "@{[ top() ]}/tmp/isolation_access" "%h"
CustomLog "|$^X @{[ top() ]}/tmp/isolation_logger" "%h"
<Directory "${projects}made-isolation-*">
    BuildLog On
    BuildLogKillGrace 300ms
    BuildLogStep run "sh ./run.sh"
</Directory>
<Directory "${projects}made-isolation-bomb">
    RLimitNPROC $nproc
</Directory>
<Directory "${projects}made-isolation-hog">
    RLimitMEM 150000000
</Directory>
<Directory "${projects}made-isolation-busy">
    RLimitCPU 1
</Directory>
END
}

# A program that writes a log, as rotatelogs is one: it ends when nobody can
# write to it any more.
my $logger = top() . '/tmp/isolation_logger';
write_file($logger, <<'END');
use POSIX ();
$SIG{$_} = 'IGNORE' for qw(TERM HUP INT USR1);
open my $out, '>>', "$0.pids"; syswrite $out, "$$\n"; close $out;
1 while <STDIN>;
END
unlink "$logger.pids";

my $s = BuildLog::Server->start(conf(1000));

# start('NAME', 'script'): a build of $s, or of another server.
sub start
{
    my ($name, $script, $server) = @_;
    return start_build(make_project("isolation-$name", $script), port => ($server // $s)->port);
}
sub ended { my ($id) = @_; return $s->wait_for_state($id, 'succeeded|failed|cancelled|timed-out|lost', 60) }

sub said
{
    my ($id) = @_;
    return map { $_->{text} } grep { !grep { /^(?:note|build|end)$/ } @{ $_->{tags} } } @{ $s->log_records($id) };
}

sub slurp
{
    my ($path) = @_;
    open my $in, '<', $path or return '';
    local $/;
    return <$in> // '';
}

# ---- what a build finds -------------------------------------------------------

# The keeper is the parent of a step, the runner that of the keeper.
my $looks = <<'END';
pid=$$ name=
until [ "$name" = buildlog-runner ]; do
    name=$(cat /proc/$pid/comm)
    echo "== $name"
    tr '\0' '\n' 2>&1 </proc/$pid/environ
    ls -l /proc/$pid/fd/ 2>&1
    head -c 1 2>&1 </proc/$pid/mem
    pid=$(cut -d ' ' -f 4 /proc/$pid/stat)
done
echo "== status"
cat /proc/self/status
END

{
    my $id = start('looks', $looks);
    is ended($id)->{state}, 'succeeded', 'a build looks around';
    my $all = join "\n", said($id);
    unlike $all, qr/of-httpd-alone/, 'nothing of httpd\'s environment is there';
    my %of = $all =~ /^== (\S+)\n(.*?)(?=^== |\z)/msg;
    is_deeply [sort $of{sh} =~ /^([A-Za-z_]+)=/mg],
        [qw(BUILDLOG_ID BUILDLOG_PROJECT BUILDLOG_SERVER CI FORCE_COLOR HOME LANG PATH)],
        'its own is what README.md says' or diag $of{sh};
    for ('buildlog-keeper', 'buildlog-runner') {
        unlike $of{$_} // '', qr/=| -> /, "of $_ it sees no variable and no descriptor" or diag $of{$_};
        is scalar(() = ($of{$_} // '') =~ /Permission denied/g), 3, '... nor its memory: permission denied' or diag $of{$_};
    }
    like $of{status}, qr/^NoNewPrivs:\s+1$/m, 'set-uid programs give it no other rights';
    like $of{status}, qr/^$_:\s+0+$/m, "... it has none: $_" for qw(CapInh CapPrm CapEff CapAmb);
}

# ---- what the runner keeps open --------------------------------------------------

# It lives on when logs are rotated: it must hold none of them, nor the pipe of
# a program that writes one.
{
    my $t    = BuildLog::Server->start(conf(1000), cores => 1);
    my $runner = $t->pids->{runner};
    my $path = make_project('isolation-stays', 'touch began; until [ -e go ]; do sleep 0.02; done');
    unlink "$path/began", "$path/go";
    my $id = start_build($path, port => $t->port);
    wait_until { -e "$path/began" } 20, 'a build runs';
    my ($keeper) = @{ $t->pids->{keepers} };
    my @loggers = split ' ', slurp("$logger.pids");
    my $mine = $loggers[-1];    # the first server has one, too
    ok process_is_alive($mine), 'a program writes a log';
    for (['runner', $runner], ['keeper', $keeper]) {
        my ($name, $pid) = @$_;
        my @open = map { readlink // () } glob "/proc/$pid/fd/*";
        cmp_ok scalar(@open), '>', 3, "the $name can be looked into";
        is_deeply [grep { /access/ } @open], [], '... and holds no access log';
    }
    $t->graceful;
    ok eval { wait_until_gone(20, $mine) }, 'after a reload the program has ended, though the runner lives on';
    is $t->pids->{runner}, $runner, '... the same';
    write_file("$path/go", '');
    is $t->wait_for_state($id, 'succeeded', 20)->{state}, 'succeeded', '... and the build with it';
    $t->stop;
}

# ---- what a build may take ---------------------------------------------------------

# While it takes all that it can get: others are served, and built.
sub all_is_well
{
    my ($name) = @_;
    is $s->request('GET', '/api/project/projects')->{status}, 200, "$name: requests are answered";
    my $id = start('well', 'for i in 1 2 3 4 5; do sh -c "echo \$0" "$i"; done');
    is ended($id)->{state}, 'succeeded', '... another build works';
    is_deeply [said($id)], [1 .. 5], '... and prints what it has to';
    return;
}

sub is_over
{
    my ($id, $name) = @_;
    is $s->request('POST', "/api/project/builds/$id/cancel", headers => { 'Sec-Fetch-Site' => 'none' })->{status},
        202, "$name: cancelled";
    is ended($id)->{state}, 'cancelled', '... it is over';
    is_deeply [build_processes($id)], [], '... and nothing of it runs';
    return;
}

# First a harmless program: does the limit hold? Then all that fork can do, some
# 130 processes whatever happens. What else this user runs counts, too, and may
# change meanwhile: then it is tried again.
my $bomb = <<'END';
limit=$(awk '/^Max processes/ { print $3 }' /proc/self/limits)
[ "$limit" = NPROC ] || { echo "no limit: $limit"; exit 1; }
exec perl -e '
    $| = 1;
    my (@children, $refused);
    for (1 .. 200) {
        my $pid = fork;
        if (!defined $pid) { $refused = "$!"; last }
        if (!$pid) { sleep 600; exit }
        push @children, $pid;
    }
    kill 9, @children;
    waitpid $_, 0 for @children;
    if (!$refused) { print "not refused\n"; exit 1 }
    print "refused: $refused\n";
    for my $depth (1 .. 7) { fork }
    print "bomb\n";
    while (1) {
        select undef, undef, undef, 0.2;
        my $pid = fork // next;
        exit if !$pid;
        waitpid $pid, 0;
    }'
END
sub begin_bomb
{
    my $nproc  = tasks() + 80;
    $s->configure(conf($nproc));
    $s->reload;
    my $id = start('bomb', $bomb =~ s/NPROC/$nproc/gr);
    wait_until { (grep { $_ eq 'bomb' } said($id)) >= 2 || $s->build_record($id)->{state} !~ /queued|running/ } 60, 'the bomb';
    return $id;
}

{
    my $id;
    for my $try (1 .. 5) {
        $id = begin_bomb();
        last if $s->build_record($id)->{state} eq 'running';
        diag "try $try: ", said($id);
    }
    is((said($id))[0], 'refused: Resource temporarily unavailable', 'RLimitNPROC: more processes are refused');
    is $s->build_record($id)->{state}, 'running', '... and it goes on trying';
    all_is_well('RLimitNPROC');
    is_over($id, 'RLimitNPROC');
}

{
    my $id = start('hog', <<'END');
perl -e 'my $x = "x" x 200_000_000; print "the limit does not hold\n"' && exit 1
touch began
# Each takes what it can get, again and again.
for i in 1 2 3; do
    (until [ -e enough ]; do perl -e 'my @x; push @x, "x" x 10_000_000 for 1 .. 50'; done) 2>/dev/null &
done
wait
END
    my $path = project('made-isolation-hog');
    wait_until { -e "$path/began" || $s->build_record($id)->{state} !~ /queued|running/ } 60, 'the hog';
    is $s->build_record($id)->{state}, 'running', 'RLimitMEM: a program that wants more gets an error' or diag said($id);
    all_is_well('RLimitMEM');
    is_over($id, 'RLimitMEM');
}

{
    my $end = ended(start('busy', 'exec perl -e "1 while 1"'));
    is $end->{state}, 'failed', 'RLimitCPU: who takes longer is ended';
    like $end->{reason}, qr/^step "run" (?:was ended by signal (?:XCPU|KILL)|exited with code (?:152|137))$/, '... and it is said how';
}

done_testing;
