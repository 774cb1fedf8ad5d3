#!/bin/sh
# fuzz.sh SECONDS PROGRAM... - lets libFuzzer work on each target
#
# Begins with the committed corpus; what it finds in addition stays in
# build/corpus/NAME for the next run. An input that breaks something is kept as
# build/crash-*: fix the fault and add the input to t/fuzz/corpus/NAME.
set -eu
cd "$(dirname "$0")/.."
seconds=$1
shift
[ $# != 0 ] || { echo "fuzz: no targets" >&2; exit 1; }
failed=
for program in "$@"; do
    name=$(basename "$program")
    name=${name#fuzz_}
    mkdir -p "build/corpus/$name"
    echo "fuzz: $name for $seconds s"
    ASAN_OPTIONS=detect_leaks=0 "$program" -max_total_time="$seconds" \
        -verbosity=0 -print_final_stats=1 -artifact_prefix="build/crash-$name-" \
        "build/corpus/$name" "t/fuzz/corpus/$name" || failed="$failed $name"
done
[ -z "$failed" ] || { echo "fuzz: broken:$failed (see build/crash-*)" >&2; exit 1; }
