# 90-page.t - home and the view of a build in a real browser, against the real
# server: what is built is seen line by line, a failure is seen as one, what is
# complete is said to be only when it was compared, and no output is taken for
# markup (promises 1 and 5, and DESIGN.md section 6: output is hostile)
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Puppet;
use BuildLog::Server;

BuildLog::Puppet->new($_) for qw(view home);
# Nothing to build, and no room for viewers.
my $empty  = BuildLog::Server->start(<<"END");
BuildLogMaxClients 0
<Directory "@{[top()]}/t/projects/puppet-*">
    BuildLog Off
</Directory>
@{[ BuildLog::Server::page() ]}
END
my %env = (
    DEMO_OK   => project('page/ok'),
    DEMO_FAIL => project('page/fails'),
    DEMO_XSS  => project('page/markup'),
    HOSTILE   => project('page/hostile'),
    STEPS     => project('page/steps'),
    CORPUS    => project('page/corpus'),
    EMPTY_URL => $empty->url,
);
run_page_test('home.mjs',  seconds => 180, env => \%env);
run_page_test('build.mjs', seconds => 240, env => \%env);
run_page_test('build-log.mjs', seconds => 240, env => \%env);

done_testing;
