#!/bin/sh
# unit.sh PROGRAM... - runs unit tests and fuzz replays; `make unit` calls it
#
# Both print TAP. A replay (build/replay/fuzz_NAME) is a fuzz target that reads
# the files named on its command line; a corpus without a file is a failure.
set -eu
cd "$(dirname "$0")/.."

if [ "${1:-}" = --one ]; then # what prove calls for each program
    program=$2
    case $program in
    */replay/*) ;;
    *) exec "$program" ;;
    esac
    name=$(basename "$program")
    name=${name#fuzz_}
    set -- t/fuzz/corpus/"$name"/*
    if [ ! -e "$1" ]; then
        printf '1..1\nnot ok 1 - t/fuzz/corpus/%s has a file\n' "$name"
        exit 1
    fi
    exec "$program" "$@"
fi

[ $# != 0 ] || { echo "unit: no unit tests" >&2; exit 1; }
# Leaks are nothing here: pools live until the end.
export ASAN_OPTIONS=detect_leaks=0
exec prove -j "$(nproc)" --exec 't/unit.sh --one' "$@"
