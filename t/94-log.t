# 94-log.t - the log of the page by itself (htdocs/js/log): rows, colours,
# folding, following, search, lines, large and long logs, and whether all was
# received (promises 1 and 4; output is hostile)
#
# The page is t/page/log-lab.html, the lines are made there.
use strict;
use warnings;
use Test::More;
use BuildLog::Test;

run_page_test('log-rows.mjs',    seconds => 180);
run_page_test('log-random.mjs',  seconds => 240);
run_page_test('log-tools.mjs',   seconds => 240);
run_page_test('log-follow.mjs',  seconds => 240);
run_page_test('log-colours.mjs', seconds => 120);
run_page_test('log-big.mjs',     seconds => 400);

done_testing;
