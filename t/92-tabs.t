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

my $htdocs = top() . '/htdocs';
my $s = BuildLog::Server->start(<<"END", tls => 1, protocols => 'h2 http/1.1');
DocumentRoot "$htdocs"
<Directory "$htdocs">
    Require all granted
</Directory>
DirectoryIndex index.html
AddType text/html       .html
AddType text/css        .css
AddType text/javascript .mjs
AddType image/svg+xml   .svg
CustomLog access_log "%r %>s"
END
my $watched = BuildLog::Puppet->new('tabs', server => $s);
my $pressed = BuildLog::Puppet->new('tabs-pressed', server => $s);
# The page gives the other cues, as it sees the lines come.
$watched->prepare('count 200');
$pressed->prepare('count 20', 'exit 0');
my $runner = $s->pids->{runner};

run_page_test('tabs.mjs', seconds => 150, env => {
    BASE_URL  => $s->tls_url,
    WATCHED   => $watched->path,
    PRESSED   => $pressed->path,
    PRESSES   => 5,
    HTTPD_PID => $s->parent,
    ERROR_LOG => $s->dir . '/error_log',
    CERT      => top() . '/tls/cert.pem',
    NODE_EXTRA_CA_CERTS => top() . '/tls/cert.pem',
});

open my $in, '<', $s->dir . '/access_log' or die "access log: $!\n";
my @log = <$in>;
is scalar(grep { m{^POST /api/project/build } } @log), 6, 'six presses, six POSTs in the access log';
is scalar(() = glob $s->state . '/logs/*.log'), 6, 'and six builds';
my @polls = grep { m{^GET /api/log/push\?} } @log;
cmp_ok scalar(@polls), '>', 7 * 3, scalar(@polls) . ' polls';
is scalar(grep { !m{ HTTP/2\.0 20[04]$} } @polls), 0, 'all over HTTP/2, none refused';
is $s->pids->{runner}, $runner, 'the same runner';

done_testing;
