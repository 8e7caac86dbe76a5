#!/bin/sh
# Opening: a dataset of 1,000 shards against opening 20 plain files and reading the first 4 KB of each;
# a shard of 10,000 columns against 10 ms. Warm, and cold where caches may be dropped (root).
#
#   sh tests/bench/open.sh
set -eu
me=open
. "$(dirname "$0")/common.sh"
need_build shardtool tests/bench/bench_open tests/bench/make_table
scratch
make() { # NAME OPTIONS...
    name=$1
    shift
    tool ingest --dedup none -o "$tmp/$name" "$@" "$tmp/$name.csv" 2>"$tmp/log" || fail "$(cat "$tmp/log")"
}
"$build/tests/bench/make_table" numbers 50000 >"$tmp/shards.csv"
"$build/tests/bench/make_table" wide 10000 200 >"$tmp/wide.csv"
make shards --row-group-bytes 4K --shard-bytes 1K
make wide
mkdir "$tmp/files"
for i in $(seq 20); do head -c 100000 /dev/urandom >"$tmp/files/$i"; done
sync
"$PYTHON" - "$build/tests/bench/bench_open" "$tmp" <<'END'
import glob, os, statistics, sys
from pairs import RUNS, Verdicts, run

program, tmp = sys.argv[1:]
v = Verdicts("open")
how = ["warm"] + (["cold"] if os.access("/proc/sys/vm/drop_caches", os.W_OK) else [])
if "cold" not in how:
    print("open: no cold figures: dropping caches takes root")
for h in how:
    b = run([program, str(RUNS), h, tmp + "/shards"] + glob.glob(tmp + "/files/*"))
    v.bar("%s, dataset of %d shards / 4 KB of 20 files" % (h, b["shards"]),
          [x / y for x, y in zip(b["ours"], b["files"])], most=1,
          note=" (%.2f and %.2f ms)" % (1e3 * statistics.median(b["ours"]),
                                        1e3 * statistics.median(b["files"])))
    b = run([program, str(RUNS), h, tmp + "/wide"])
    v.bar("%s, shard of %d columns, ms" % (h, b["columns"]), [1e3 * x for x in b["ours"]], most=10)
sys.exit(v.status())
END
