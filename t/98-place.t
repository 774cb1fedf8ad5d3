# 98-place.t - the page works at any path of a site: `make install` puts it at
# /buildlog/ (issue 7, item 6)
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Puppet;
use BuildLog::Server;

my $page = BuildLog::Server::page();
$page =~ s/^DocumentRoot /Alias "\/buildlog" /m;
my $s = BuildLog::Server->start($page);
my $p = BuildLog::Puppet->new('place', server => $s);
$p->prepare('out at a path', 'exit 0');
run_page_test('place.mjs', seconds => 90, env => { BASE_URL => $s->url, PROJECT => $p->path });

done_testing;
