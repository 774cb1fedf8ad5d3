# 53-busy.t - a reload ends the streams of a child of httpd that cannot end yet,
# for another client's request holds it
#
# Promises: 8 (a permission that a reload takes away is gone for open streams), 6
# (viewers come back).
#
# MPM: event worker prefork
use strict;
use warnings;
use Test::More;
use BuildLog::Test qw(wait_until);
use BuildLog::Kinds;
use BuildLog::Server;
use IO::Select;
use IO::Socket::INET;

# One child; in prefork a request is all that it can do.
my $s = BuildLog::Server->start(<<'END', tls => 1);
Timeout 300
RequestReadTimeout header=300 body=300
BuildLogPing 1h
<IfModule prefork.c>
    StartServers 1
    ServerLimit 1
    MaxRequestWorkers 1
</IfModule>
<IfModule !prefork.c>
    StartServers 1
    ServerLimit 1
    ThreadsPerChild 8
    MaxRequestWorkers 8
</IfModule>
END

my $v = viewer($s, 'plain', '', headers => { Accept => 'text/event-stream' });
is $v->status, 200, 'a viewer';
my $first = $v->until(sub { ($_->{event} // '') eq 'ping' }, 10);
ok $first, 'has its first ping';

# It says half of what it has to say, and then nothing.
my $slow = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $s->port, Timeout => 5) or die "connect: $!\n";
print {$slow} join "\r\n", 'POST /api/project/build HTTP/1.1', 'Host: 127.0.0.1',
    'Content-Type: application/x-www-form-urlencoded', 'Content-Length: 1000', '', 'projectPath=';
$slow->flush;
my $port = $slow->sockport;
wait_until { grep { $_ == $port } connections($s) } 10, 'a child has taken its connection';

$s->graceful;
my @rest = eval { $v->rest(20) };
is $@, '', 'the reload ends the stream';
ok scalar(grep { defined $_->{retry} } @rest), '... which is told to come back';
ok !IO::Select->new($slow)->can_read(0), '... while the slow request is still waited for';
$v->close;
close $slow;
wait_until { $s->error_log =~ /resuming normal operations.*resuming normal operations/s } 20, 'the new generation';
$s->wait_until_it_answers;
$v = viewer($s, 'plain', '', headers => { Accept => 'text/event-stream' });
is $v->status, 200, 'and can';
$v->until(sub { ($_->{event} // '') eq 'ping' }, 10);
ok !IO::Select->new($v->socket)->can_read(1), '... and stays';
$v->close;
done_testing;
