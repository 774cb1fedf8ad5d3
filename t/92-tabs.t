# 92-tabs.t - seven tabs of one browser, over HTTPS and HTTP/2: each shows every
# line once, the site answers them all the time, and one press of the button is
# one build, also while the server restarts
#
# Promises: 1 (each line to each viewer exactly once, in order), 3 (no viewer
# delays another), 6 (graceful: no build is harmed, viewers come back without a
# missing or double line).
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Puppet;
use BuildLog::Server;

my $s = BuildLog::Server->start(<<"END", tls => 1, protocols => 'h2 http/1.1');
@{[ BuildLog::Server::page() ]}
CustomLog access_log "%r %>s"
END
my $watched = BuildLog::Puppet->new('tabs', server => $s);
my $pressed = BuildLog::Puppet->new('tabs-pressed', server => $s);
my $runner = $s->pids->{runner};

my ($polls_before, $builds) = (0, 0);
# All by one stream, and each by its own.
for my $shared (1, 0) {
    # The page gives the other cues, as it sees the lines come.
    $watched->prepare('count 200');
    $pressed->prepare('count 20', 'exit 0');
    run_page_test('tabs.mjs', seconds => 150, env => {
        BASE_URL  => $s->tls_url,
        WATCHED   => $watched->path,
        PRESSED   => $pressed->path,
        PRESSES   => 5,
        SHARED    => $shared,
        HTTPD_PID => $s->parent,
        ERROR_LOG => $s->dir . '/error_log',
        CERT      => top() . '/tls/cert.pem',
        NODE_EXTRA_CA_CERTS => top() . '/tls/cert.pem',
    });
    my $name = $shared ? 'shared' : 'each its own';
    $builds += 6;
    open my $in, '<', $s->dir . '/access_log' or die "access log: $!\n";
    my @log = <$in>;
    is scalar(grep { m{^POST /api/project/build } } @log), $builds, "$name: six presses, six POSTs in the access log";
    is scalar(() = glob $s->state . '/logs/*.log'), $builds, "$name: and six builds";
    my @polls = grep { m{^GET /api/log/push\?} } @log;
    is scalar(grep { !m{ HTTP/2\.0 20[04]$} } @polls), 0, "$name: all polls over HTTP/2, none refused";
    my $polls = @polls - $polls_before;
    cmp_ok $polls, '>', 7 * 3, "$name: $polls polls";
    $polls_before = @polls;
    is $s->pids->{runner}, $runner, "$name: the same runner";
}

done_testing;
