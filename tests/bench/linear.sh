#!/bin/sh
# Sparse linear models: shardtrain against LIBLINEAR (Debian package liblinear-tools) on a9a and
# agaricus of the data folder.
#
#   sh tests/bench/linear.sh      SHARDLINE_DATA, or ../shared/data beside the checkout
#
# Ends with 0 where shardtrain reaches 0.849 on a9a.t and 1.0 on agaricus.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
build=${SHARDLINE_BUILD:-$top/build}
data=${SHARDLINE_DATA:-$top/../shared/data}/libsvm
command -v liblinear-train >/dev/null || {
    echo "linear: liblinear is missing: apt-get install liblinear-tools" >&2; exit 2; }
[ -f "$data/a9a" ] || { echo "linear: no data in $data" >&2; exit 2; }
tmp=$(mktemp -d "${TMPDIR:-/tmp}/linear.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
field() { sed -n "s/.*\"$1\":\([0-9.e-]*\).*/\1/p" "$2"; }
now() { date +%s.%N; }
status=0
printf '%-10s %-34s %10s %10s\n' data trainer seconds accuracy
compare() { # NAME TRAIN TEST FLOOR
    t=$(now)
    liblinear-train -q -s 0 "$data/$2" "$tmp/ll.model"
    ll_s=$(awk -v a="$t" -v b="$(now)" 'BEGIN { print b - a }')
    ll=$(liblinear-predict "$data/$3" "$tmp/ll.model" "$tmp/ll.out" | sed -n 's/Accuracy = \([0-9.]*\)%.*/\1/p')
    printf '%-10s %-34s %10.2f %10.4f\n' "$1" "LIBLINEAR -s 0, with reading" "$ll_s" \
        "$(awk -v a="$ll" 'BEGIN { print a / 100 }')"
    "$build/shardtool" ingest --progress never --format libsvm --split-name train -o "$tmp/$1" \
        "$data/$2" 2>"$tmp/log" || { cat "$tmp/log" >&2; exit 1; }
    "$build/shardtool" ingest --progress never --format libsvm --split-name test -o "$tmp/$1.t" \
        "$data/$3" 2>"$tmp/log" || { cat "$tmp/log" >&2; exit 1; }
    for optimizer in adagrad sgd; do
        rm -rf "$tmp/run"
        "$build/shardtrain" fit "$tmp/$1" --model linear --optimizer $optimizer --threads 2 \
            --epochs "$5" --progress never --json -o "$tmp/run" >"$tmp/fit.json" 2>/dev/null
        "$build/shardtrain" eval "$tmp/run" "$tmp/$1.t" --progress never --json >"$tmp/eval.json"
        acc=$(field accuracy "$tmp/eval.json")
        printf '%-10s %-34s %10.2f %10.4f\n' "$1" "shardtrain $optimizer, $5 epochs" \
            "$(field seconds "$tmp/fit.json")" "$acc"
        awk -v a="$acc" -v floor="$4" 'BEGIN { exit !(a >= floor) }' || {
            echo "linear: $1 is below $4" >&2; status=1; }
    done
}
compare a9a a9a a9a.t 0.849 5
compare agaricus agaricus_train.txt agaricus_test.txt 1.0 20
exit $status
