#!/bin/sh
# test.sh - all tests, one after the other, and a summary; `make test` calls it
#
# Goes on after a failure, so that one run shows everything; only without a
# module there is nothing to go on with.
set -eu
cd "$(dirname "$0")/.."
make="make --no-print-directory"
jobs=-j$(nproc)
summary=
failed=0

part() { # NAME COMMAND...
    name=$1
    shift
    echo "== $name"
    if "$@"; then
        result=ok
    else
        result=FAILED
        failed=1
    fi
    summary="$summary$(printf '%-24s %s' "$name" "$result")
"
}

part build $make "$jobs" all
if [ $failed = 0 ]; then
    part lint $make lint
    part "unit, fuzz replays" $make "$jobs" unit
    for mpm in event worker prefork; do
        part "suite, $mpm MPM" $make suite MPM=$mpm
    done
fi

echo "== summary"
printf '%s' "$summary"
if [ $failed = 0 ]; then
    echo "Result: PASS"
else
    echo "Result: FAIL"
fi
exit $failed
