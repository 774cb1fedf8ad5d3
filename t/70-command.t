# 70-command.t - the command buildlog: a build started, followed, listed and
# cancelled from a shell; it ends as the build does
#
# Promises: 1 (each line once, across broken connections), 5 (one final state),
# 8 (who may); item 5 of the tools around the core.
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Puppet;
use BuildLog::Server;
use IO::Socket::INET;
use POSIX ();

my $command  = top() . '/buildlog';
my $projects = project('');
my $s = BuildLog::Server->start(<<"END", tls => 1);
BuildLogPing 1s
<Directory "${projects}puppet-command-slow">
    BuildLogTimeout 1s
    BuildLogKillGrace 100ms
</Directory>
<Directory "${projects}made-command-bytes">
    BuildLog On
    BuildLogStep run "sh ./run.sh"
    Require all granted
</Directory>
<Directory "${projects}puppet-command-closed">
    Require all denied
</Directory>
END
my $p   = BuildLog::Puppet->new('command', server => $s);
my $api = 'http://127.0.0.1:' . $s->port . '/api';
my $dir = top() . '/command';
mkdir $dir or die "$dir: $!\n";

# Starts it; finish() waits for it.
my $runs = 0;
sub begin
{
    my (@words) = @_;
    my $n   = ++$runs;
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        $ENV{BUILDLOG_URL} //= $api;
        open STDIN,  '<', '/dev/null';
        open STDOUT, '>', "$dir/$n.out";
        open STDERR, '>', "$dir/$n.err";
        exec $command, @words or POSIX::_exit(99);
    }
    return { pid => $pid, n => $n };
}

sub text_of
{
    my ($path) = @_;
    open my $in, '<', $path or return '';
    local $/;
    return <$in> // '';
}
sub out { return text_of("$dir/$_[0]{n}.out") }
sub err { return text_of("$dir/$_[0]{n}.err") }

sub finish
{
    my ($run) = @_;
    my $status;
    wait_until { waitpid($run->{pid}, POSIX::WNOHANG()) == $run->{pid} && defined($status = $?) } 30, 'the command ends';
    return { status => $status & 127 ? 128 + ($status & 127) : $status >> 8, out => out($run), err => err($run) };
}
sub run { return finish(begin(@_)) }

# ---- build ------------------------------------------------------------------

{
    $p->prepare('out hello', 'err oops', 'raw half ', 'out whole', 'exit 0');
    my $r = run('build', $p->path, '--follow');
    is $r->{status}, 0, 'a build that succeeds: 0';
    like $r->{out}, qr/\A\$ .*\nhello\n/, 'what it printed, from its start';
    is scalar(() = $r->{out} =~ /^(?:hello|oops|half whole)$/mg), 3, 'both streams, pieces put together';
    like $r->{err}, qr/^Build \d+ of .*\nBuild \d+ succeeded$/, 'its own words stand elsewhere';

    my ($id) = $r->{err} =~ /^Build (\d+)/;
    is run('log', $id)->{out}, $r->{out}, 'its log afterwards: the same';
    is run('log', $id, '-f', '-q')->{out}, $r->{out}, 'and followed after its end';
}
for my $end (['exit 3', 3, 'the exit code of the step'], ['exit 64', 64, 'whatever it is']) {
    $p->prepare($end->[0]);
    is run('build', $p->path, '-f')->{status}, $end->[1], "a build that fails: $end->[2]";
}
{
    my $killed = BuildLog::Puppet->new('command-killed', server => $s);
    $killed->prepare('out x', 'kill TERM');
    my $slow = BuildLog::Puppet->new('command-slow', server => $s);
    $slow->prepare('out x');
    is run('build', $killed->path, '-f')->{status}, 143, 'a step that a signal ends: 128 and the signal';
    is run('build', $slow->path, '-f')->{status}, 124, 'a build that takes too long: 124';
}
{
    $p->prepare('out begun');
    my $r = run('build', $p->path);
    is $r->{status}, 0, 'without --follow: 0 as soon as it is accepted';
    like $r->{out}, qr/\A\d+\n\z/, 'and its number alone';
    chomp(my $id = $r->{out});
    my $follower = begin('log', $id, '--follow');
    $p->cue('out ready');
    wait_until { out($follower) =~ /^ready$/m } 15, 'the line arrives while it runs';
    pass 'a line is there while the build runs, in a file, too';
    is run('cancel', $id)->{status}, 0, 'cancel: 0';
    is finish($follower)->{status}, 130, 'who follows it: 130';
    is run('cancel', $id)->{status}, 66, 'cancelled again: 66';
    like run('list', '-n', 1)->{out}, qr/^ +$id +cancelled +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +puppet-command +\Q@{[$p->path]}\E$/, 'the list tells';
    like run('list', $p->path, '--state', 'failed', '--json')->{out}, qr/"builds": \[/, 'and as JSON';
}

# ---- connections break ------------------------------------------------------

for my $way (['http', $api], ['TLS', 'https://127.0.0.1:' . $s->tls_port . '/api']) {
    local $ENV{BUILDLOG_URL} = $way->[1];
    $p->prepare('count 1000', 'out ready');
    my $run = begin('build', $p->path, '-f', '--cacert', top() . '/tls/cert.pem');
    wait_until { out($run) =~ /^ready$/m } 20, 'it follows';
    for my $round (1 .. 3) {
        $s->graceful;
        $p->cue('count 1000', "out round $round");
        wait_until { out($run) =~ /^round $round$/m } 30, "lines after graceful $round";
    }
    $p->cue('exit 0');
    my $r = finish($run);
    is $r->{status}, 0, "$way->[0]: followed across reloads to its end";
    my @got = $r->{out} =~ /^([OE] \d+) /mg;
    is @got, 4000, "$way->[0]: all lines";
    my %seen;
    is scalar(grep { $seen{$_}++ } @got), 0, "$way->[0]: each once";
}
{
    $p->prepare('out ready');
    my $run = begin('build', $p->path, '-f');
    wait_until { out($run) =~ /^ready$/m } 20, 'it follows';
    kill 'INT', $run->{pid};
    my $r = finish($run);
    is $r->{status}, 130, 'Ctrl-C: 130';
    like $r->{err}, qr/^The build goes on\. To end it: buildlog cancel \d+$/m, 'and says what becomes of the build';
    my ($id) = $r->{err} =~ /^Build (\d+)/;
    is run('cancel', $id)->{status}, 0, 'which is so';
}
{
    my $deaf = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 1) or die "listen: $!\n";
    local $ENV{BUILDLOG_URL} = 'http://127.0.0.1:' . $deaf->sockport . '/api';
    my $run = begin('build', $p->path);
    my $asks = $deaf->accept;
    sysread $asks, my $some, 1000;
    kill 'INT', $run->{pid};
    my $r = finish($run);
    is $r->{status}, 130, 'Ctrl-C before there is an answer: 130';
    like $r->{err}, qr/\Abuildlog: whether the build was accepted is not known.*\n\z/, '... and what that means';
}

# ---- the server goes --------------------------------------------------------

{
    my $t = BuildLog::Server->start("BuildLogMaxBuilds 1\nBuildLogMaxQueue 0\n");
    local $ENV{BUILDLOG_URL} = $t->url . '/api';
    my $q = BuildLog::Puppet->new('command', server => $t);
    my $begin = sub {
        $q->prepare('out ready');
        my $run = begin('build', $q->path, '-f');
        wait_until { out($run) =~ /^ready$/m } 20, 'it follows';
        return $run;
    };
    my $run = $begin->();
    my $r   = run('build', BuildLog::Puppet->new('command-other', server => $t)->path);
    is $r->{status}, 75, 'no room in the queue: 75';
    like $r->{err}, qr/^buildlog: .*BuildLogMaxQueue/, '... and why';
    $t->kill_runner;
    $r = finish($run);
    is $r->{status}, 125, 'a build whose runner was killed: 125';
    like $r->{err}, qr/^Build \d+ lost\b/m, '... and it says so';

    wait_until { ($t->pids->{runner} // 0) != 0 } 30, 'another runner';
    wait_until { $t->request('GET', '/api/health/ready')->{status} == 200 } 30, 'ready';
    $run = $begin->();
    ok $t->stop, 'a stop while somebody follows';
    is +($t->begin)[0], 0, '... and a start';
    $r = finish($run);
    is $r->{status}, 130, '... a build that the stop cancelled: 130';
    like $r->{err}, qr/^Build \d+ cancelled: the server stopped$/m, '... and why';
    is scalar(() = $r->{out} =~ /^ready$/mg), 1, '... each line once';
}

# ---- who reads goes ---------------------------------------------------------

# Its output goes into a pipe that nobody reads any more, or to a full disk.
sub run_into
{
    my ($open, @words) = @_;
    my $n = ++$runs;
    pipe my $out, my $in or die "pipe: $!\n";
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        $ENV{BUILDLOG_URL} //= $api;
        close $out;
        open STDERR, '>', "$dir/$n.err";
        $open->($in);
        exec $command, @words or POSIX::_exit(99);
    }
    close $_ for $in, $out;
    return finish({ pid => $pid, n => $n });
}
my $pipe = sub { open STDOUT, '>&', $_[0]; return };
my $full = sub { open STDOUT, '>', '/dev/full'; return };
my $none = sub { close STDOUT; close $_[0]; return };
{
    $p->prepare('count 3', 'exit 0');
    my ($id) = run('build', $p->path, '-f')->{err} =~ /^Build (\d+)/;
    for (['log', $id], ['log', $id, '-f'], ['list']) {
        my $words = join ' ', @$_;
        my $r = run_into($pipe, @$_);
        is $r->{status}, 141, "buildlog $words | head: ends as SIGPIPE would";
        is $r->{err} =~ s/^Build.*\n//mgr, '', '... quietly';
        $r = run_into($full, @$_);
        is $r->{status}, 74, "buildlog $words on a full disk: 74";
        like $r->{err}, qr/^buildlog: stdout: No space/m, '... and why';
        is run_into($none, @$_)->{status}, 74, "buildlog $words without a stdout: 74";
    }
    # Of a build that says little it is seen with its next line.
    $p->prepare('out one');
    my $n = ++$runs;
    pipe my $from, my $to or die "pipe: $!\n";
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        $ENV{BUILDLOG_URL} //= $api;
        close $from;
        open STDOUT, '>&', $to;
        open STDERR, '>', "$dir/$n.err";
        exec $command, 'build', $p->path, '-f' or POSIX::_exit(99);
    }
    close $to;
    my $got = '';
    while ($got !~ /^one$/m) { sysread $from, $got, 100, length $got or last }
    close $from;
    ($id) = text_of("$dir/$n.err") =~ /^Build (\d+)/;
    $p->{build} = $id;
    $p->cue('out two');
    is finish({ pid => $pid, n => $n })->{status}, 141, 'nobody reads what is followed: it ends with the next line';
    is run('cancel', $id)->{status}, 0, '... and the build goes on';
    $s->wait_for_state($id, 'cancelled', 30);
}

# ---- any bytes --------------------------------------------------------------

{
    my $q = make_project('command-bytes', q(perl -e 'print "y" x 1000000, "\n\xff\xfe\x00 x\n\033[31mred\033[0m\033]0;title\007\n"'));
    my $r = run('build', $q, '-f');
    is $r->{status}, 0, 'a line of a megabyte, and bytes that are no text';
    is length((split /\n/, $r->{out})[1]), 1_000_000, '... the line is one';
    like $r->{out}, qr/^(?:\xef\xbf\xbd){3} x$/m, '... what is no UTF-8 is U+FFFD';
    like $r->{out}, qr/^red$/m, '... no colours in a pipe, no title';
    SKIP: {
        my ($script) = grep { -x } '/usr/bin/script';
        skip 'no script (bsdutils): no terminal', 3 if !$script;
        my $n = ++$runs;
        my $pid = fork // die "fork: $!\n";
        if (!$pid) {
            ($ENV{BUILDLOG_URL}, $ENV{TERM}) = ($api, 'xterm');
            open STDIN, '<', '/dev/null';
            open STDOUT, '>', "$dir/$n.out";
            exec $script, '-qec', "$command build $q -f", '/dev/null' or POSIX::_exit(99);
        }
        $r = finish({ pid => $pid, n => $n });
        is $r->{status}, 0, 'on a terminal';
        like $r->{out}, qr/\e\[31mred\e\[0m/, '... colours';
        unlike $r->{out}, qr/title|\e\]/, '... and no title';
    }
}

# ---- what may not be --------------------------------------------------------

my $closed = BuildLog::Puppet->new('command-closed', server => $s);
for my $wrong (
    [['build', $closed->path], 77, qr/not a project/, 'a project of others'],
    [['log', '999999'], 66, qr/no such build/i, 'no such build'],
    [['log', 'x'], 64, qr/number of a build/, 'no number'],
    [['log', ' 1'], 64, qr/number of a build/, 'a number and more'],
    [['list', '-s', 'odd'], 64, qr/state must be/, 'no such state'],
    [['build'], 64, qr/which directory/, 'no directory'],
    [['paint'], 64, qr/build, log, list or cancel/, 'no such verb'],
    [['list', '--url', 'http://127.0.0.1:1/api'], 69, qr{127\.0\.0\.1:1/api: .*connect}i, 'no server'],
    [['list', '--url', $api . '/nothing'], 69, qr/not as mod_buildlog/, 'another address'],
    [['list', '--url', 'file:///etc'], 69, qr/protocol/i, 'no file is an address'],
) {
    my ($words, $status, $said, $name) = @$wrong;
    my $r = run(@$words);
    is $r->{status}, $status, "$name: $status";
    like $r->{err}, qr/^buildlog: /, "$name: one sees who says it";
    like $r->{err}, $said, "$name: and what";
    is $r->{out}, '', "$name: nothing on stdout";
}
like run('--help')->{out}, qr/^Usage: buildlog build DIR/, '--help';

done_testing;
