#!/bin/sh
# The loader against zstd alone, on the same pages and cores: T-like text, shuffled and not.
#
#     tests/bench/loader.sh BUILDDIR [BYTES] [THREADS] [WORKDIR]
#
# BYTES of text (default 1000000000) are generated once in WORKDIR (default $TMPDIR or /tmp) from
# $SHARDLINE_DATA/ag_news/test.csv and ingested as they are. Everything is warm: both sides read from
# the page cache. Each of PAIRS rounds (default 5, after one that does not count) runs zstd alone and
# then every kind of run once, so that a figure compares neighbours in time; what is printed is the
# median of the rounds and [the least .. the greatest]. The promise: unshuffled 0.9, shuffled 0.8.
#
# "bytes/s": Arrow bytes that the loader delivers per second against raw bytes that zstd alone gives.
# "pages/s": the same pages, so just the quotient of the times (Arrow's offsets are not paid for).
# "CPU": the quotient of user + system seconds, all threads; it stays true while others use the cores.
set -eu
build=${1:?usage: loader.sh BUILDDIR [BYTES] [THREADS] [WORKDIR]}
bytes=${2:-1000000000}
threads=${3:-2}
work=${4:-${TMPDIR:-/tmp}/shardline-bench-$bytes}
csv=${SHARDLINE_DATA:?the folder of real data}/ag_news/test.csv
: "${PYTHON:=/usr/bin/python3}" "${PAIRS:=5}"

make -C "$build" shardtool tests/bench/bench_pages tests/bench/make_text >/dev/null
mkdir -p "$work"
if ! "$build/shardtool" info "$work/ds" >/dev/null 2>&1; then
    rm -rf "$work/ds" # none yet, or of another version of the format
    "$build/tests/bench/make_text" "$bytes" "$csv" >"$work/t.jsonl"
    "$build/shardtool" ingest -o "$work/ds" "$work/t.jsonl" --dedup none --split-name train
    rm "$work/t.jsonl"
fi
exec "$PYTHON" - "$build" "$work/ds" "$threads" "$PAIRS" <<'END'
import json, statistics, subprocess, sys

build, ds, threads, pairs = sys.argv[1:]
zstd = [build + "/tests/bench/bench_pages", ds, "train", threads]
bench = [build + "/shardtool", "bench", ds, "--json", "--progress", "never", "--threads", threads]
kinds = {
    "unshuffled": ["--shuffle", "none"],
    "unshuffled --no-hash": ["--shuffle", "none", "--no-hash"],
    "shuffled": [],
    "shuffled --no-hash": ["--no-hash"],
    "shuffled --no-hash, 256M": ["--no-hash", "--memory", "256M"],
    "shuffled --no-hash, 1 partition": ["--no-hash", "--partitions", "1"],
}


def run(args):
    return json.loads(subprocess.run(args, check=True, stdout=subprocess.PIPE).stdout)


def spread(values, form="%.2f"):
    return ("%s [%s .. %s]" % (form, form, form)) % (statistics.median(values), min(values), max(values))


rounds = []
for i in range(int(pairs) + 1):
    r = {"zstd": run(zstd)}
    r["cold"] = run(zstd + ["1", "cold"])
    for name, more in kinds.items():
        r[name] = run(bench + more)
    if i > 0:
        rounds.append(r)

mean = lambda key, name: statistics.median(r[name][key] for r in rounds)
print("%d rounds, %s threads, %.0f MB of raw pages" % (len(rounds), threads, mean("bytes", "zstd") / 1e6))
print("%-32s %s s, CPU %s s" % ("zstd alone", spread([r["zstd"]["seconds"] for r in rounds], "%.3f"),
                                spread([r["zstd"]["cpu_seconds"] for r in rounds], "%.3f")))
print("%-32s %s s, CPU %s s" % ("zstd alone into 40 buffers",
                                spread([r["cold"]["seconds"] for r in rounds], "%.3f"),
                                spread([r["cold"]["cpu_seconds"] for r in rounds], "%.3f")))
print("%-32s %-21s %-21s %-21s" % ("of zstd alone", "bytes/s", "pages/s", "CPU"))
for name in kinds:
    pages = [r["zstd"]["seconds"] / r[name]["seconds"] for r in rounds]
    rates = [p * r[name]["bytes_decoded"] / r["zstd"]["bytes"] for p, r in zip(pages, rounds)]
    cpu = [r["zstd"]["cpu_seconds"] / r[name]["cpu_seconds"] for r in rounds]
    print("%-32s %-21s %-21s %-21s" % (name, spread(rates), spread(pages), spread(cpu)))
print("%-32s %8s %8s %8s %8s %8s   %s" % ("CPU seconds (medians)", "all", "decode", "gather", "rest",
                                          "MB rss", "first batch, limit"))
for name in kinds:
    cpu, decode, gather = (mean(k, name) for k in ("cpu_seconds", "decode_cpu_seconds",
                                                  "gather_cpu_seconds"))
    print("%-32s %8.3f %8.3f %8.3f %8.3f %8d   %.0f ms, %s" % (
        name, cpu, decode, gather, cpu - decode - gather, mean("peak_memory", name) / 1e6,
        mean("first_batch_seconds", name) * 1e3, rounds[-1][name]["limit"]))
END
