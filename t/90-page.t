# 90-page.t - the first page in a real browser, against the real server: what
# is built is seen line by line, a failure is seen as one, and no output is
# taken for markup (promises 1 and 5, and DESIGN.md section 6: output is
# hostile)
use strict;
use warnings;
use Test::More;
use BuildLog::Test;

run_page_test('first-page.mjs', seconds => 180, env => {
    DEMO_OK   => project('page/ok'),
    DEMO_FAIL => project('page/fails'),
    DEMO_XSS  => project('page/markup'),
});

done_testing;
