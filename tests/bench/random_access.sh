#!/bin/sh
# Random access: rows of text by number out of a dataset with pages of 16 KiB, against LMDB (Debian:
# liblmdb-dev) with the same rows. 100 calls of 1,000 rows warm and cold, single rows warm, size.
# Cold is after sync and dropping the page cache, which only root may: else it is left out.
#
#   sh tests/bench/random_access.sh [TEXT-BYTES] [INGEST-OPTION...]     default: 1057500000, 4.5 million rows
set -eu
me=random_access
. "$(dirname "$0")/common.sh"
text=${1:-1057500000}
[ $# = 0 ] || shift
need_data
[ -f /usr/include/lmdb.h ] || fail "lmdb.h is missing: apt-get install liblmdb-dev"
need_build shardtool tests/bench/bench_take tests/bench/bench_lmdb tests/bench/make_text
scratch
file=$(text_file "$text")
tool ingest --columns text --dedup none --page-bytes 16K "$@" -o "$tmp/ds" "$file" 2>"$tmp/log" ||
    fail "$(cat "$tmp/log")"
"$build/tests/bench/bench_lmdb" load "$tmp/ds" text "$tmp/lmdb"
"$PYTHON" - "$build/tests/bench" "$tmp" <<'END'
import os, statistics, subprocess, sys
from pairs import Verdicts, pairs, run

bench, tmp = sys.argv[1:]
v = Verdicts("random_access")
seed = iter(range(1, 1000))


def ours(calls, rows, seed, threads=2):
    return run([bench + "/bench_take", tmp + "/ds", "text", str(calls), str(rows), str(threads), str(seed)])


def lmdb(calls, rows, seed):
    return run([bench + "/bench_lmdb", "take", tmp + "/lmdb", str(calls), str(rows), str(seed)])


def drop():
    subprocess.run(["sync"], check=True)
    with open("/proc/sys/vm/drop_caches", "w") as f:
        f.write("3\n")


def both(calls, rows, cold=False):
    """The same rows by both, in turns."""
    def one(f):
        def go():
            if cold:
                drop()
            return f(calls, rows, one.seed)
        return go
    out = []
    for _ in range(int(os.environ.get("RUNS", "5"))):
        one.seed = next(seed)
        out += pairs(one(ours), one(lmdb), 1)
        assert out[-1][0]["sum"] == out[-1][1]["sum"], "not the same rows"
    return out


def rates(t, i):
    return [p[i]["rows_per_second"] for p in t]


def size(path):
    return sum(os.path.getsize(os.path.join(d, n)) for d, _, names in os.walk(path) for n in names)


both(20, 1000)  # into the page cache
ours(1, 100000, 0)
t = both(100, 1000)
v.bar("warm, rows/s", rates(t, 0), least=80000, form="%.0f",
      note="; LMDB one by one %.0f" % statistics.median(rates(t, 1)))
print("    %s pages, %s reads, %s batches handed over (%s)" % tuple(
    t[0][0][k] for k in ("pages", "reads", "submits", "io")))
v.bar("bytes read per row", [a["bytes_read_per_row"] for a, _ in t], most=20480, form="%.0f")
t = both(20000, 1)
v.bar("a single row warm, 99th percentile, us", [a["p99_us"] for a, _ in t], most=1000, form="%.0f",
      note="; median %.0f; LMDB %.0f" % (statistics.median(a["p50_us"] for a, _ in t),
                                        statistics.median(b["p99_us"] for _, b in t)))
if os.access("/proc/sys/vm/drop_caches", os.W_OK):
    t = both(100, 1000, cold=True)
    v.bar("cold, rows/s", rates(t, 0), least=35000, form="%.0f",
          note="; LMDB one by one %.0f" % statistics.median(rates(t, 1)))
else:
    print("random_access: cold: left out, dropping the page cache needs root")
a, b = size(tmp + "/ds"), os.path.getsize(tmp + "/lmdb")
v.bar("size / LMDB's", [a / b], most=0.55, form="%.3f", note="; %.0f of %.0f MB" % (a / 1e6, b / 1e6))
sys.exit(v.status())
END
