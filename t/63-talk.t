# 63-talk.t - a viewer that says something, which nobody asked for, stays one
#
# mod_reqtimeout counts the time of a request's body. The stream's request has
# none; what a client sends behind it (a byte; with TLS 1.3 its library may send
# on its own) must not start that clock and end the stream.
#
# Promises: 1 (each line reaches each of its viewers).
#
# MPM: event worker prefork
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Kinds;
use BuildLog::Server;

my $s = BuildLog::Server->start(one_child(16) . odd_place() . <<'END', tls => 1);
RequestReadTimeout header=20 body=1
BuildLogPing 400ms
END

for my $way (ways()) {
    my $kind = kind_of($way);
    my $v = viewer($s, $way, '');
    # So many pings are more than the second that a body has.
    for my $round (1 .. 3) {
        my $pings = 0;
        my $came = eval { $v->until(sub { ($_->{event} // '') eq 'ping' && ++$pings == 5 }, 15); 1 };
        ok $came, "$way, $kind: it is still there, $round" or do { diag $@; last };
        syswrite $v->socket, "x\n" or last;
    }
    $v->close;
}
unlike $s->error_log, qr/AH01382/, 'no request took too long';

done_testing;
