# 91-everyone.t - the page breaks no rule of accessibility that a program can
# check, in any view, light or dark; screen readers, keyboards, phones, high
# contrast and two languages are served (issue 5, item 7)
use strict;
use warnings;
use Test::More;
use BuildLog::Test;
use BuildLog::Puppet;
use BuildLog::Server;

BuildLog::Puppet->new($_) for qw(axe everyone);
my $empty  = BuildLog::Server->start(<<"END");
<Directory "@{[top()]}/t/projects/puppet-*">
    BuildLog Off
</Directory>
@{[ BuildLog::Server::page() ]}
END
run_page_test('axe.mjs', seconds => 400, env => {
    DEMO_FAIL => project('page/fails'),
    EMPTY_URL => $empty->url,
});
run_page_test('everyone.mjs', seconds => 240, env => { DEMO_FAIL => project('page/fails') });

done_testing;
