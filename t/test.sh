#!/bin/sh
# test.sh - all tests, and a summary; `make test` calls it
#
# Goes on after a failure, so that one run shows everything; only without a
# module there is nothing to go on with. Tests wait more than they compute, so
# there are three lanes: the suite under event is shown as it runs, the others
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

lanes=
out=
finish() {
    for lane in $lanes; do
        kill "$lane" 2>/dev/null || true
        wait "$lane" || true
    done
    [ -z "$out" ] || rm -rf "$out"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A lane is a process group of its own: a signal ends all of it.
lane() { # SCRIPT, which calls: run NAME COMMAND...
    setsid sh -c 'trap "trap - TERM; kill 0" TERM
        run() {
            name=$1 status=0
            shift
            "$@" >"$out/$name" 2>&1 </dev/null & wait $! || status=$?
            echo $status >"$out/$name.status"
        }
        '"$1" lane &
    lanes="$lanes $!"
}
shown() { # NAME: a part that ran in a lane
    echo "== $1"
    cat "$out/$1" || true
    result "$1" "$(cat "$out/$1.status" || echo none)"
}

part build $make "$jobs" all
if [ $failed = 0 ]; then
    part lint $make lint
    out=$(mktemp -d)
    page=$(echo t/9*.t)
    export make jobs out page
    lane 'run "page, event MPM" $make suite MPM=event TESTS="$page"
        run "suite, prefork MPM" $make suite MPM=prefork'
    lane 'run "unit, fuzz replays" $make "$jobs" unit
        run "suite, worker MPM" $make suite MPM=worker'
    part "suite, event MPM" $make suite MPM=event TESTS="$(echo t/[0-8]*.t)"
    for lane in $lanes; do
        wait "$lane" || true
    done
    lanes=
    [ "$(id -u)" != 0 ] || part "as root" $make root
    shown "unit, fuzz replays"
    shown "suite, worker MPM"
    shown "page, event MPM"
    shown "suite, prefork MPM"
fi

echo "== summary"
printf '%s' "$summary"
if [ $failed = 0 ]; then
    echo "Result: PASS"
else
    echo "Result: FAIL"
fi
exit $failed
