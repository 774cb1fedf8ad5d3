# 99-proxy.t - the page behind nginx, HAProxy and httpd, over HTTP/2: lines are
# seen when they are printed
#
# Issue 7, item 7; promise 1. The settings are those of README.md (t/82-proxy.t).
#
# MPM: event
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Proxy;
use BuildLog::Puppet;
use BuildLog::Server;

my $behind = BuildLog::Proxy->settings('behind') =~ s/^Listen .*\n//mr;
# No ping may push a line through.
my $s = BuildLog::Server->start($behind . BuildLog::Server::page() . "<Location /api>\nBuildLogPing 1h\n</Location>\n");
my $p = BuildLog::Puppet->new('proxy-page', server => $s);

for my $what (qw(nginx haproxy httpd)) {
    SKIP: {
        my $why = BuildLog::Proxy->why_not($what);
        skip $why, 1 if $why;
        my $proxy = BuildLog::Proxy->start($what, $s);
        my $mark = length $s->error_log;
        $p->prepare('out line 1');
        run_page_test('proxy.mjs', seconds => 120, env => {
            BASE_URL => 'https://127.0.0.1:' . $proxy->port,
            CERT     => top() . '/tls/cert.pem',
            PROJECT  => $p->path,
            NODE_EXTRA_CA_CERTS => top() . '/tls/cert.pem',
        });
        like substr($s->error_log, $mark), qr/BL0402 .*detached/, "$what: for httpd it was a stream, not polls";
        $proxy->stop;
    }
}

done_testing;
