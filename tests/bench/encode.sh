#!/bin/sh
# Encoding on 2 threads, as ingest does it by default, against zstd -3 (the library, on the same threads)
# of the same raw bytes: text, numbers, and tables of the data folder. Everything in memory. What level 3
# everywhere would give (--codec zstd:3) is printed beside it.
#
#   sh tests/bench/encode.sh [TEXT-BYTES] [ROWS-OF-NUMBERS]     default: 60 MB, 1 million
set -eu
me=encode
. "$(dirname "$0")/common.sh"
text=${1:-60000000} rows=${2:-1000000}
need_data
need_build shardtool tests/bench/bench_encode tests/bench/make_text tests/bench/make_table
scratch
make() { # NAME OPTIONS... INPUT: several row groups, so that both threads have work
    name=$1
    shift
    tool ingest --dedup none -o "$tmp/$name" "$@" 2>"$tmp/log" || fail "$(cat "$tmp/log")"
}
"$build/tests/bench/make_table" numbers "$rows" >"$tmp/numbers.csv"
make text "$(text_file "$text")"
make numbers --schema "$("$build/tests/bench/make_table" schema)" "$tmp/numbers.csv"
make gharchive "$data/gharchive/2015-01-01-0.json.gz"
make tables --row-group-bytes 2M "$data"/tennis_atp/*.csv
make sparse --format libsvm --row-group-bytes 1M "$data/libsvm/a9a"
"$PYTHON" - "$build" "$tmp" <<'END'
import statistics, sys
from pairs import SECONDS, Verdicts, pairs, run, spread

build, tmp = sys.argv[1:]
v = Verdicts("encode")
for ds, rounds in (("text", 1), ("numbers", 1), ("gharchive", 2), ("tables", 4), ("sparse", 4)):
    def encode(what, *level):
        return run([build + "/tests/bench/bench_encode", tmp + "/" + ds, "2", str(rounds), what, *level])
    t = pairs(lambda: encode("zstd"), lambda: encode("encode"))
    v.bar("%s, encode / zstd -3" % ds, [z[SECONDS] / e[SECONDS] for z, e in t], least=0.8,
          note=" (%.0f of %.0f MB/s, %d of %d bytes)" % (
              statistics.median(e["bytes"] / e[SECONDS] for z, e in t) / 1e6,
              statistics.median(z["bytes"] / z[SECONDS] for z, e in t) / 1e6,
              t[0][1]["stored"], t[0][0]["stored"]))
    t = pairs(lambda: encode("zstd"), lambda: encode("encode", "3"))
    print("    with --codec zstd:3 %s, %d bytes" % (
        spread([z[SECONDS] / e[SECONDS] for z, e in t]), t[0][1]["stored"]))
sys.exit(v.status())
END
