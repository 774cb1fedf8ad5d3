#!/bin/sh
# test.sh - all tests, and a summary; `make test` calls it
#
# Goes on after a failure, so that one run shows everything; only without a
# module there is nothing to go on with. Tests wait more than they compute: the
# suites under worker and prefork run beside the one under event, and are shown
# after it.
set -eu
cd "$(dirname "$0")/.."
make="make --no-print-directory"
jobs=-j$(nproc)
summary=
failed=0

result() { # NAME STATUS
    result=ok
    if [ "$2" != 0 ]; then
        result=FAILED
        failed=1
    fi
    summary="$summary$(printf '%-24s %s' "$1" "$result")
"
}

part() { # NAME COMMAND...
    name=$1
    shift
    echo "== $name"
    status=0
    "$@" || status=$?
    result "$name" $status
}

suite() { # MPM
    $make suite MPM="$1"
}

beside=
out=
finish() {
    if [ -n "$beside" ]; then
        kill "$beside" 2>/dev/null || true
        wait "$beside" || true
    fi
    [ -z "$out" ] || rm -rf "$out"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

part build $make "$jobs" all
if [ $failed = 0 ]; then
    part lint $make lint
    part "unit, fuzz replays" $make "$jobs" unit
    out=$(mktemp -d)
    setsid sh -c 'trap "trap - TERM; kill 0" TERM
        for mpm in worker prefork; do
            status=0
            make --no-print-directory suite MPM=$mpm >"$1/$mpm" 2>&1 </dev/null & wait $! || status=$?
            echo $status >"$1/$mpm.status"
        done' suites "$out" &
    beside=$!
    part "suite, event MPM" suite event
    wait "$beside" || true
    beside=
    for mpm in worker prefork; do
        echo "== suite, $mpm MPM"
        cat "$out/$mpm"
        result "suite, $mpm MPM" "$(cat "$out/$mpm.status")"
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
