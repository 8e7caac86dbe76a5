#!/bin/sh
# Build and run everything that `make check` runs, installing what it needs. The README's second
# command. Ends with "N passed, N failed"; exits 1 if anything failed.
#   SHARDLINE_DATA       folder of real data; else ../shared/data beside the checkout
#   SHARDLINE_BUILD      where to build; else build/
#   SHARDLINE_CONFIGURE  more arguments for configure
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
build=${SHARDLINE_BUILD:-$top/build}
if [ -z "${SHARDLINE_DATA-}" ] && [ -d "$top/../shared/data" ]; then
    SHARDLINE_DATA=$(cd "$top/../shared/data" && pwd)
    export SHARDLINE_DATA
fi

sh "$top/tools/deps.sh" test || exit 1
echo "building in $build (the log is build.log there)" >&2
# shellcheck disable=SC2086
SHARDLINE_BUILD=$build sh "$top/tools/build.sh" ${SHARDLINE_CONFIGURE-} || exit 1

cd "$build" || exit 1
grep -q '^CHECK_LIBS = .*check' Makefile || {
    echo "most tests need libcheck, which configure did not find; see $build/config.log" >&2
    exit 1
}
echo "building and running the tests, some minutes (log: $build/check.log)" >&2
make -j2 check >check.log 2>&1
status=$?
grep -E '^(PASS|FAIL|XPASS|ERROR|SKIP):' check.log
count() { sed -n "s/^# $1: *//p" check.log | tail -n 1; }
passed=$(count PASS) failed=$(count FAIL) errors=$(count ERROR) skipped=$(count SKIP)
if [ -z "$passed" ]; then
    tail -n 40 check.log
    echo "the tests could not be built; the log is $build/check.log"
    exit 1
fi
if [ "$status" != 0 ]; then
    # Show what failed, so that CI output suffices.
    find tests -name '*.trs' -exec grep -lE ':test-result: *(FAIL|ERROR|XPASS)' {} + |
        while read -r trs; do
            echo "---- ${trs%.trs}.log"
            tail -n 60 "${trs%.trs}.log"
        done
fi
lacking=$(find tests -name '*.log' -exec cat {} + | grep -c '^SKIP-DATA' || true)
if [ "$lacking" != 0 ]; then
    echo "$lacking tests were skipped for lack of the data folder (set SHARDLINE_DATA)"
fi
failed=$((${failed:-0} + ${errors:-0}))
echo "${skipped:-0} skipped by the machine, $lacking skipped for lack of data"
echo "$passed passed, $failed failed"
[ "$status" = 0 ] && [ "$failed" = 0 ]
