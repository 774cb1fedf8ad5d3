# 59-health.t - is it alive, would it take a build: for who balances and watches
#
# Item 1 of "at home in httpd". Promise 7: a full disk, a vanished directory, a
# process that stands still: a clear message, and service goes on.
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Faults;
use BuildLog::Puppet;
use BuildLog::Server;

my $disk = small_disk();
my $s = BuildLog::Server->start('', $disk ? (state => "$disk/state") : ());
my $logs = $s->state . '/logs';

sub health { return $s->request('GET', "/api/health/$_[0]", timeout => 30) }

sub is_ready
{
    my ($name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok eval { wait_until { health('ready')->{status} == 200 } 20 }, "$name: ready";
}

# And says why; also when it is asked again and again.
sub is_not_ready
{
    my ($name, $why) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $r;
    # What was found a moment ago holds for a moment.
    eval { wait_until { ($r = health('ready'))->{status} == 503 } 20 };
    is $r->{status}, 503, "$name: not ready";
    like $r->{json}{detail}, $why, '... and why';
    is $r->{headers}{'content-type'}, 'application/problem+json', '... as a problem';
    like $r->{headers}{'retry-after'}, qr/^\d+$/, '... with Retry-After';
    is health('ready')->{status}, 503, '... nor in the next moment';
    is health('live')->{status}, 200, '... but alive';
    return;
}

# ---- all is well ---------------------------------------------------------------

for my $what (qw(live ready)) {
    my $r = health($what);
    is $r->{status}, 200, $what;
    is_deeply $r->{json}, { status => $what }, '... says so';
    is $r->{headers}{'content-type'}, 'application/json', '... in JSON';
    is $r->{headers}{'cache-control'}, 'no-store', '... of now';
    is $s->request('HEAD', "/api/health/$what")->{status}, 200, '... HEAD';
    is $s->request('POST', "/api/health/$what", body => '')->{status}, 405, '... POST';
}
is health('other')->{status}, 404, 'nothing else';
is_ready('again') for 1 .. 20;
is_deeply [grep { /probe/ } glob "$logs/* $logs/.*"], [], 'nothing stays in the logs';

# ---- the disk ------------------------------------------------------------------

SKIP: {
    skip why_no_disk(), 7 if !$disk;
    fill($disk);
    is_not_ready('a full disk', qr/^The log of a build cannot be stored: No space left on device\.$/);
    make_room($disk);
    is_ready('with room');
}

chmod 0550, $logs or die "$logs: $!\n";
is_not_ready('a directory that may not be written', qr/Permission denied/);
chmod 0750, $logs or die "$logs: $!\n";
is_ready('when it may');

rename $logs, "$logs.away" or die "$logs: $!\n";
is_not_ready('no directory', qr/No such file/);
rename "$logs.away", $logs or die "$logs: $!\n";
is_ready('with it');

# ---- the runner ----------------------------------------------------------------

{
    my $runner = $s->pids->{runner};
    kill 'STOP', $runner;
    is_not_ready('a runner that stands still', qr/does not answer/);
    # From some time on nobody asks it any more.
    wait_until { health('ready')->{json}{detail} =~ /does not answer\.$/ } 30, 'it is known';
    my $asked = () = $s->error_log =~ /BL0106/g;
    is health('ready')->{status}, 503, 'known' for 1 .. 10;
    is scalar(() = $s->error_log =~ /BL0106/g), $asked, 'and no request waits for it any more';
    kill 'CONT', $runner;
    is_ready('when it goes on');
    is $s->pids->{runner}, $runner, 'and is the same';
}
$s->kill_runner;
is_ready('another runner');

my $p = BuildLog::Puppet->new('health', server => $s);
my $id = $p->start('exit 0');
ok $s->wait_for_state($id, 'succeeded', 20), 'and a build is taken';

done_testing;
