#!/bin/sh
# Ingest of the quickstart's raw archives with -j 1 and -j 2, in turns: the ratio of their times, and
# that both give the same snapshot.
#
#   sh tests/bench/ingest_jobs.sh [FILE...]     default: build/quickstart/debs/*.deb
#
# Ends with 0 where -j 2 is at least 1.5 times as fast. RUNS pairs, 5 by default.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
build=${SHARDLINE_BUILD:-$top/build}
runs=${RUNS:-5}
[ $# -gt 0 ] || set -- "$build"/quickstart/debs/*.deb
[ -f "$1" ] || { echo "ingest_jobs: no input; run tools/quickstart.sh first" >&2; exit 2; }
tmp=$(mktemp -d "${TMPDIR:-/tmp}/ingest_jobs.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

ingest() { # JOBS INPUT...: "seconds snapshot"
    jobs=$1
    shift
    rm -rf "$tmp/data"
    "$build/shardtool" ingest --json --progress never -j "$jobs" --format text --min-length text=60 \
        --dedup exact --split train=0.8,test=0.2 --split-key text --include 'usr/share/man/*' \
        --path-column 'lang=man/([a-z][a-zA-Z_]+)/:-en' -o "$tmp/data" "$@" |
        sed 's/.*"seconds":\([0-9.e-]*\).*"snapshot":"\([0-9a-f]*\)".*/\1 \2/'
}
cat "$@" >/dev/null # into the page cache
for _ in $(seq "$runs"); do
    a=$(ingest 1 "$@")
    b=$(ingest 2 "$@")
    [ "${a#* }" = "${b#* }" ] || { echo "ingest_jobs: the snapshots differ: $a, $b" >&2; exit 1; }
    echo "${a% *} ${b% *}" >>"$tmp/times"
done
awk '{ r[NR] = $1 / $2; a[NR] = $1; b[NR] = $2 }
    function median(x, n,   i, j, t) {
        for (i = 1; i <= n; i++)
            for (j = i + 1; j <= n; j++)
                if (x[j] < x[i]) { t = x[i]; x[i] = x[j]; x[j] = t }
        return (x[int((n + 1) / 2)] + x[int((n + 2) / 2)]) / 2
    }
    END {
        m = median(r, NR)
        printf "-j 1 %.2f s, -j 2 %.2f s: %.2f times as fast [%.2f .. %.2f], median of %d pairs\n",
            median(a, NR), median(b, NR), m, r[1], r[NR], NR
        exit m >= 1.5 ? 0 : 1
    }' "$tmp/times"
