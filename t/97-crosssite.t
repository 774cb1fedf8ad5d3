# 97-crosssite.t - in a browser: pages of other sites, and of a name that leads
# here, start nothing, end nothing and read nothing (promise 8)
#
# What is answered to whom is in 26-crosssite.t.
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Puppet;
use BuildLog::Server;

my $friend = 'http://friend.example.org:' . BuildLog::Server::_free_port();
my $s = BuildLog::Server->start(BuildLog::Server::page() . addresses('/friends', "BuildLogAllowOrigin $friend"));
my $p = BuildLog::Puppet->new('crosssite', server => $s);
my $q = BuildLog::Puppet->new('crosssite-runs', server => $s);
my $ended = $p->start('out hello', 'exit 0');
$s->wait_for_state($ended, 'succeeded', 15);
$p->prepare('out hello', 'exit 0');
my $running = $q->start('out here');
$q->wait_for('here');

run_page_test('crosssite.mjs', seconds => 240, env => {
    BASE_URL => $s->url, FRIEND => $friend, PROJECT => $p->path, BUILD => $ended, RUNNING => $running,
});

$q->cue('exit 0');
is $s->wait_for_state($running, 'succeeded|cancelled|failed', 15)->{state}, 'succeeded', 'what ran through all of it ends by itself';
done_testing;
