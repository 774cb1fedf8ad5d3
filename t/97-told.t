# 97-told.t - what the page tells of its connection: what is refused and why,
# what is tried again and what is not, silence, a log that is gone
#
# Promises: 1 (each line exactly once, in order), 7 (a clear message to the
# right person), 8 (nobody sees what httpd's configuration does not let them,
# any more).
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Puppet;
use BuildLog::Server;

# What the page's test writes into now.conf counts from the next reload on.
my $s = BuildLog::Server->make('');
my $dir = $s->dir;
$s->configure(<<"END");
@{[ BuildLog::Server::page() ]}
BuildLogPing 1s
BuildLogMaxBuilds 20
BuildLogKeep count=3 age=0 size=0
CustomLog access_log "%>s %r"
IncludeOptional $dir/now.conf
END
my ($status, $out) = $s->begin;
die "the server does not start ($status): $out\n" if $status != 0;
my @puppets = map { BuildLog::Puppet->new("told-$_", server => $s) } qw(a b c);
$_->prepare() for @puppets;
run_page_test('told.mjs', seconds => 300, env => {
    SERVER_URL => $s->url,
    HTTPD_PID  => $s->parent,
    ERROR_LOG  => "$dir/error_log",
    ACCESS_LOG => "$dir/access_log",
    NOW_CONF   => "$dir/now.conf",
    PATHS      => join(' ', map { $_->path } @puppets),
});
$s->stop;

done_testing;
