# 93-origin.t - a page over HTTP/2 takes its stream from an HTTP/1.1 address of
# the same server, where there is one, and from its own where there is not
#
# Promises: 1 (each line exactly once, in order); section 3 of the contract:
# BuildLogStreamOrigin, with CORS.
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Puppet;
use BuildLog::Server;

my $tls    = top() . '/tls';
my $other  = BuildLog::Server::_free_port();
my $s = BuildLog::Server->make('', tls => 1, protocols => 'h2 http/1.1');
my $p = BuildLog::Puppet->new('origin', server => $s);

sub configuration
{
    my ($origin, $allowed) = @_;
    return <<"END";
@{[ BuildLog::Server::page() ]}
CustomLog access_log "%{local}p %r %>s"
Listen 127.0.0.1:$other
<VirtualHost 127.0.0.1:$other>
    SSLEngine On
    SSLCertificateFile "$tls/cert.pem"
    SSLCertificateKeyFile "$tls/key.pem"
    Protocols http/1.1
    CustomLog access_log "%{local}p %r %>s"
</VirtualHost>
<Location "/api">
    BuildLogStreamOrigin $origin
    $allowed
</Location>
END
}

sub streams
{
    my ($port) = @_;
    open my $in, '<', $s->dir . '/access_log' or die "access log: $!\n";
    return grep { m{^$port GET /api/log/push\?} } <$in>;
}

my $page = $s->tls_url =~ s{/$}{}r;
# The page's test stands between: a shared worker's requests are seen by nobody
# else in time.
my $port   = BuildLog::Server::_free_port();
my $origin = "https://127.0.0.1:$port";
for (['allows the page',        $other, "BuildLogAllowOrigin $page", 1],
     ['does not name the page', $other, '',                          0],
     ['is not there',           '',     "BuildLogAllowOrigin $page", 0]) {
    my ($name, $behind, $allowed, $used) = @$_;
    $s->configure(configuration($origin, $allowed));
    my ($status, $out) = $s->begin;
    is $status, 0, "an origin that $name" or diag $out;
    # Long enough that the page comes while it runs: an ended build needs no stream.
    $p->prepare('slow 400 10', 'exit 0');
    my $before = () = streams($other);
    run_page_test('origin.mjs', seconds => 90, env => {
        BASE_URL => $s->tls_url,
        CERT     => "$tls/cert.pem",
        ORIGIN   => $origin,
        BEHIND   => $behind,
        USED     => $used,
        PROJECT  => $p->path,
        NODE_EXTRA_CA_CERTS => "$tls/cert.pem",
    });
    eval { wait_until { streams($other) > $before } 20 } if $used;
    my @there = splice @{ [streams($other)] }, $before;
    is scalar(grep { m{ HTTP/1\.1 20[04]$} } @there), scalar @there, "$name: what was asked there was HTTP/1.1";
    cmp_ok scalar(@there), $used ? '>=' : '<=', $used || $behind ? 2 : 0, "$name: " . @there . ' streams there';
    $s->stop;
}

done_testing;
