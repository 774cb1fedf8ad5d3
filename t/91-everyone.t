# 91-everyone.t - the page breaks no rule of accessibility that a program can
# check, in any view, light or dark
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Puppet;
use BuildLog::Server;

BuildLog::Puppet->new('axe');
my $empty  = BuildLog::Server->start(<<"END");
<Directory "@{[top()]}/t/projects/puppet-*">
    BuildLog Off
</Directory>
@{[ BuildLog::Server::page() ]}
END
run_page_test('axe.mjs', seconds => 180, env => {
    DEMO_FAIL => project('page/fails'),
    EMPTY_URL => $empty->url,
});

done_testing;
