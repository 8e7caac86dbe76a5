#!/bin/sh
# Decoding all columns from memory on 2 threads: text against zstd alone on the same pages, numbers in
# GB/s of decoded values, and what the checksums cost (bench_pages_unchecked is built without them).
#
#   sh tests/bench/decode.sh [TEXT-BYTES] [ROWS-OF-NUMBERS]     default: 200 MB, 2 million
set -eu
me=decode
. "$(dirname "$0")/common.sh"
text=${1:-200000000} rows=${2:-2000000}
need_data
need_build shardtool tests/bench/bench_pages tests/bench/bench_pages_unchecked \
    tests/bench/make_text tests/bench/make_table
scratch
"$build/tests/bench/make_table" numbers "$rows" >"$tmp/numbers.csv"
schema=$("$build/tests/bench/make_table" schema)
tool ingest --dedup none -o "$tmp/text" "$(text_file "$text")" 2>"$tmp/log" || fail "$(cat "$tmp/log")"
tool ingest --dedup none --schema "$schema" -o "$tmp/numbers" "$tmp/numbers.csv" 2>"$tmp/log" ||
    fail "$(cat "$tmp/log")"
tool ingest --dedup none --schema "$schema" --codec none -o "$tmp/numbers.plain" "$tmp/numbers.csv" \
    2>"$tmp/log" || fail "$(cat "$tmp/log")"
"$PYTHON" - "$build" "$tmp" "$schema" <<'END'
import statistics, sys
from pairs import SECONDS, Verdicts, pairs, run

build, tmp, schema = sys.argv[1:]
v = Verdicts("decode")


def pages(ds, what, rounds, threads=2, column=None, program="bench_pages"):
    args = [build + "/tests/bench/" + program, tmp + "/" + ds, "train", str(threads), str(rounds), what]
    return run(args + ([column] if column else []))


def rate(b, threads=1):
    """GB/s of one thread."""
    return b["bytes"] / b[SECONDS] / 1e9 / (1 if SECONDS == "cpu_seconds" else threads)


t = pairs(lambda: pages("text", "zstd", 2), lambda: pages("text", "decode", 2))
print("text: zstd alone %.2f GB/s per core, decode %.2f GB/s" % (
    statistics.median(rate(z, 2) for z, d in t), statistics.median(rate(d, 2) for z, d in t)))
v.bar("text, decode / zstd alone on the same pages", [z[SECONDS] / d[SECONDS] for z, d in t],
      least=0.9)
for ds, bar in (("numbers", 2), ("numbers.plain", 4)):
    t = pairs(lambda: pages(ds, "decode", 8), lambda: pages(ds, "decode", 8, 1))
    v.bar("numbers %s zstd, 2 threads, GB/s per core" % ("with" if bar == 2 else "without"),
          [rate(two, 2) for two, one in t], least=bar,
          note="; 1 thread " + "%.2f" % statistics.median(rate(one) for two, one in t))
    for name in schema.split(","):
        column, kind = name.split(":")
        print("    %-8s %-8s %6.2f GB/s, 1 thread" % (column, kind, rate(
            pages(ds, "decode", 8, 1, column))))
for ds in ("text", "numbers", "numbers.plain"):
    rounds = 2 if ds == "text" else 8
    t = pairs(lambda: pages(ds, "decode", rounds),
              lambda: pages(ds, "decode", rounds, program="bench_pages_unchecked"))
    v.bar("checksums of %s, %% of the time" % ds,
          [100 * (1 - off[SECONDS] / on[SECONDS]) for on, off in t], most=5, form="%.1f")
sys.exit(v.status())
END
