# 96-streams.t - the streams of the page by themselves (htdocs/js/stream*.mjs):
# tabs that share a connection, or cannot; breaks of each kind; what is told of
# them
#
# Promises: 1 (each line to each viewer exactly once, in order), 3 (no viewer
# delays another), 6 (restarts and killed children: viewers come back without a
# missing or double line).
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Puppet;
use BuildLog::Server;

# Children are killed; httpd says so.
allow_in_log(qr/AH00052: child pid \d+ exit signal Killed/);


sub server
{
    my ($more, %opt) = @_;
    return BuildLog::Server->start(<<"END", %opt);
@{[ BuildLog::Server::page() ]}
BuildLogPing 1s
BuildLogMaxBuilds 20
$more
END
}

sub run_with
{
    my ($s, $file, %opt) = @_;
    return run_page_test($file, seconds => $opt{seconds}, env => {
        SERVER_URL => $opt{url} // $s->url,
        HTTPD_PID  => $s->parent,
        ERROR_LOG  => $s->dir . '/error_log',
        %{ $opt{env} },
    });
}

run_page_test('stream-hub.mjs', seconds => 90);

my $s = server('');
my @puppets = map { BuildLog::Puppet->new("streams-$_", server => $s) } 1 .. 8;
my $p = $puppets[0];

sub watched { return { WATCHED => $p->path } }

$p->prepare('count 500');
run_with($s, 'stream-tabs.mjs', seconds => 240, env => watched());

$_->prepare() for @puppets;
run_with($s, 'stream-slow.mjs', seconds => 240,
    env => { %{ watched() }, OTHERS => join ' ', map { $_->path } @puppets });

for my $shared (1, 0) {
    $p->prepare();
    # A name is no secure context: no Web Locks there.
    run_with($s, 'stream-breaks.mjs', seconds => 180,
        env => { %{ watched() }, SHARED => $shared, HOST => 'build.internal' });
}
$s->stop;

$s = server("BuildLogMaxClients 1\n");
$p = BuildLog::Puppet->new('streams-full', server => $s);
$p->prepare();
run_with($s, 'stream-told.mjs', seconds => 180, env => watched());

$s->stop;

$s = server('', tls => 1, protocols => 'h2 http/1.1');
$p = BuildLog::Puppet->new('streams-polled', server => $s);
for my $shared (1, 0) {
    $p->prepare();
    run_with($s, 'stream-polled.mjs', seconds => 120, url => $s->tls_url, env => {
        %{ watched() }, SHARED => $shared,
        CERT => top() . '/tls/cert.pem', NODE_EXTRA_CA_CERTS => top() . '/tls/cert.pem',
    });
}

done_testing;
