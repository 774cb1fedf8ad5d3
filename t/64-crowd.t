# 64-crowd.t - viewers come and leave, many at once and again and again, in
# every way that a client can; nothing of them is left
#
# Promises: 4 (memory, and all else, does not grow with time), 7 (what cannot
# be let in is told so; service goes on). CROWD is how many come on each kind
# of connection (800).
#
# MPM: event worker prefork
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Kinds;
use BuildLog::Puppet;
use BuildLog::Server;
use IO::Select;
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(time);

my $json  = JSON::PP->new->utf8;
my $count = $ENV{CROWD} || 800;
# A busy machine, a sanitizer, a handshake each: 120 ms are many times enough.
my $patience = 180 + $count * 0.12;

my $crowd = top() . '/tmp/crowd';
system('cc', '-std=gnu99', '-D_GNU_SOURCE', '-O2', '-o', $crowd, top() . '/t/bench/crowd.c',
    '-lssl', '-lcrypto', '-lpthread') == 0
    or plan skip_all => 'no compiler, or no OpenSSL, for t/bench/crowd.c';

my $places = 48;
my $h2 = mpm() ne 'prefork';
my $s  = BuildLog::Server->start(odd_place() . <<"END",
BuildLogMaxClients $places
BuildLogMaxParked $places
BuildLogPing 200ms
<IfModule !mpm_prefork_module>
    ServerLimit 2
    ThreadsPerChild 32
    MaxRequestWorkers 64
    MinSpareThreads 64
    MaxSpareThreads 96
</IfModule>
<IfModule mpm_prefork_module>
    StartServers 64
    MaxRequestWorkers 64
    MinSpareServers 1
    MaxSpareServers 65
</IfModule>
Protocols h2c http/1.1
END
    cores => 1, tls => 1, protocols => $h2 ? 'h2 http/1.1' : 'http/1.1');
my $p = BuildLog::Puppet->new('crowd', server => $s);

# What it printed, and its exit code.
sub run_crowd
{
    my (@options) = @_;
    my $pid = open(my $out, '-|') // die "fork: $!\n";
    if (!$pid) {
        open STDERR, '>&', \*STDOUT;
        # -W: ms for an answer.
        exec $crowd, '-T', 16, '-n', $count, '-W', 30000, @options or POSIX::_exit(127);
    }
    my $text = '';
    eval {
        my $deadline = time + $patience;
        my $select = IO::Select->new($out);
        while (1) {
            $select->can_read($deadline - time) or die "the crowd does not end in $patience s\n";
            sysread $out, $text, 65536, length $text or last;
        }
        1;
    } or do {
        $text .= $@;
        kill 'KILL', $pid;
    };
    close $out;
    return ($text, $? >> 8 || $? & 127);
}

# Of all children, kB.
sub memory
{
    my $sum = 0;
    for my $pid (@{ $s->pids->{children} }) {
        open my $in, '<', "/proc/$pid/status" or next;
        /^VmRSS:\s+(\d+)/ and $sum += $1 while <$in>;
    }
    return $sum;
}

# Each kind: crowd's name, the path, the way of BuildLog::Kinds.
my @kinds = map { [$_ eq 'odd' ? 'plain' : $_, $_ eq 'odd' ? '/odd/push' : '/api/log/push', $_] } ways();
push @kinds, ['h2', '/api/log/push', undef], ['h2c', '/api/log/push', undef] if $h2;

# One build that prints most of the time: who leaves is written to.
my $id = $p->start('out begin');
$p->wait_for('begin');
my $before = descriptors($s);
my $fds = sub { return map { scalar(() = glob "/proc/$_/fd/*") } @{ $s->pids }{qw(parent runner)} };
my @fds = $fds->();

for my $kind (@kinds) {
    my ($k, $path, $way) = @$kind;
    my $name = defined $way ? kind_of($way) . " ($way)" : "polled ($k)";
    my $memory;
    for my $query ('', "?build=$id") {
        $p->cue('slow ' . int($count / 8) . ' 5');
        my $began = time;
        my ($text, $status) = run_crowd('-p', $k =~ /^(?:tls|h2)$/ ? $s->tls_port : $s->port,
            '-k', $k, '-u', "$path$query");
        my ($line) = $text =~ /^(\{.*\})$/m;
        my $r = $line ? $json->decode($line) : {};
        my $ok = is $status, 0, "$name, $count of '$query': exit code 0";
        $ok &= is $r->{connections}, $count, "$name: all have come";
        $ok &= is $r->{errors}{all}, 0, "$name: no errors";
        $ok &= cmp_ok $r->{answered} // 0, '>', $count / 2, "$name: and were answered";
        diag $text if !$ok;
        $memory //= memory();
        note sprintf '%s: %.1f s, %d kB, %s', $name, time - $began, memory(), $text;
    }
    # Some for each child that comes to serve one at all. A sanitizer keeps what
    # was freed.
    cmp_ok memory() - $memory, '<', 8000 + 300 * keys(%$before) + $count / 2, "$name: the second $count take no more memory than the first"
        if index(vars()->{httpd}, top()) != 0;
    descriptors_are($s, $before, $name);
    places_are_free($s, $way, $places, $name) if defined $way && kind_of($way) ne 'held';
}
# Those of other kinds have not taken a place from these.
places_are_free($s, 'plain', $places, 'all have left');
eval { wait_until { "@{[$fds->()]}" eq "@fds" } 20 };
is_deeply [$fds->()], \@fds, 'parent and runner have the same descriptors';
$p->cue('exit 0');
is $s->wait_for_state($id, 'succeeded', $patience)->{state}, 'succeeded', 'the build went on and ends well';

done_testing;
