#!/bin/sh
# proxy.sh - measures how much later a line arrives behind nginx, HAProxy and
# httpd, with the settings of README.md; `make bench-proxy` calls it
#
# LINES  for each way (300), one each 20 ms
set -eu
cd "$(dirname "$0")/../.."
# What it prints are notes of a test; of the test itself only what is wrong.
{ LINES=${LINES:-300} t/suite.sh event t/bench/proxy.t 2>&1 || echo "bench: failed"; } | awk '
    sub(/^# /, "") { print; fflush(); next }
    /Failed test|^suite: |^not in time/ { print }
    /^bench: failed/ { failed = 1 }
    END { exit failed }'
