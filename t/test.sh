#!/bin/sh
# test.sh - all tests, and a summary; `make test` calls it
#
# Goes on after a failure, so that one run shows everything; only without a
# module there is nothing to go on with. Tests wait more than they compute: those
# of the page (t/9*.t), and then the suite under prefork, run beside the others,
# and are shown after them.
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
        dir=$1
        run() { # NAME VARIABLE=VALUE...
            name=$1 status=0
            shift
            make --no-print-directory suite "$@" >"$dir/$name" 2>&1 </dev/null & wait $! || status=$?
            echo $status >"$dir/$name.status"
        }
        run "page, event MPM" MPM=event TESTS="$2"
        run "suite, prefork MPM" MPM=prefork' suites "$out" "$(echo t/9*.t)" &
    beside=$!
    part "suite, event MPM" $make suite MPM=event TESTS="$(echo t/[0-8]*.t)"
    part "suite, worker MPM" $make suite MPM=worker
    wait "$beside" || true
    beside=
    [ "$(id -u)" != 0 ] || part "as root" $make root
    for name in "page, event MPM" "suite, prefork MPM"; do
        echo "== $name"
        cat "$out/$name"
        result "$name" "$(cat "$out/$name.status")"
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
