#!/bin/sh
# The loader against zstd alone, on the same pages and cores: T-like text, shuffled and not.
#
#     tests/bench/loader.sh BUILDDIR [BYTES] [THREADS] [WORKDIR]
#
# BYTES of text (default 1000000000) are generated once in WORKDIR (default $TMPDIR or /tmp) from
# $SHARDLINE_DATA/ag_news/test.csv and ingested as they are. Each figure is the best of three;
# warm, as both sides read from the page cache. The promise: unshuffled 0.9, shuffled 0.8.
set -eu
build=${1:?usage: loader.sh BUILDDIR [BYTES] [THREADS] [WORKDIR]}
bytes=${2:-1000000000}
threads=${3:-2}
work=${4:-${TMPDIR:-/tmp}/shardline-bench-$bytes}
csv=${SHARDLINE_DATA:?the folder of real data}/ag_news/test.csv
: "${PYTHON:=/usr/bin/python3}"

make -C "$build" shardtool tests/bench/bench_pages tests/bench/make_text >/dev/null
mkdir -p "$work"
if [ ! -d "$work/ds/roots" ]; then
    "$build/tests/bench/make_text" "$bytes" "$csv" >"$work/t.jsonl"
    "$build/shardtool" ingest -o "$work/ds" "$work/t.jsonl" --dedup none --split-name train
    rm "$work/t.jsonl"
fi
exec "$PYTHON" - "$build" "$work/ds" "$threads" <<'END'
import json, subprocess, sys

build, ds, threads = sys.argv[1:]


def best(args, key):
    runs = [json.loads(subprocess.run(args, check=True, stdout=subprocess.PIPE).stdout)
            for _ in range(3)]
    return max(runs, key=key)


def per_second(b):
    return b["bytes_decoded"] / b["seconds"]


pages = best([build + "/tests/bench/bench_pages", ds, "train", threads],
             lambda b: b["bytes_per_second"])
bar = pages["bytes_per_second"]
print("%-28s %7.0f MB/s, %.2f s CPU per GB" % ("zstd alone", bar / 1e6,
                                              pages["cpu_seconds"] * 1e9 / pages["bytes"]))
for name, more in (("unshuffled", ["--shuffle", "none"]), ("shuffled", []),
                   ("shuffled, 256M", ["--memory", "256M"]),
                   ("shuffled, hashes", None)):
    args = [build + "/shardtool", "bench", ds, "--json", "--progress", "never", "--threads",
            threads] + (more + ["--no-hash"] if more is not None else [])
    b = best(args, per_second)
    print("%-28s %7.0f MB/s = %.2f of zstd alone; CPU decode %.2f, gather %.2f of %.2f s; "
          "first batch %.0f ms, %d MB resident, limit %s" % (
              name, per_second(b) / 1e6, per_second(b) / bar, b["decode_cpu_seconds"],
              b["gather_cpu_seconds"], b["cpu_seconds"], b["first_batch_seconds"] * 1e3,
              b["peak_memory"] >> 20, b["limit"]))
END
