#!/bin/sh
# page.sh - measures the page in Chromium, with a real server and real builds;
# `make bench-page` calls it, and `make bench` as its last part
#
# ONLY   some of: finished burst million
set -eu
cd "$(dirname "$0")/../.."
for needed in t/page/node_modules/playwright-core htdocs/vendor/ansi_up.mjs "${CHROMIUM:-/usr/bin/chromium}"; do
    [ -e "$needed" ] || {
        echo "bench: the page is left out: no $needed (make deps-test brings it)" >&2
        exit 0
    }
done
# What it prints are notes of a test; of the test itself only what is wrong.
{ t/suite.sh event t/page/bench.t 2>&1 || echo "bench: failed"; } | awk '
    sub(/^# bench.mjs: /, "") { print; fflush(); next }
    /Failed test|^suite: / { print }
    /^bench: failed/ { failed = 1 }
    END { exit failed }'
