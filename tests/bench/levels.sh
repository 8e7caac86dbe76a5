#!/bin/sh
# The measurement behind the default level of zstd: the pages of the data folder's tables and texts and of
# generated text, at several levels, by size (see bench_levels.c). Prints a table; no bar.
#
#   sh tests/bench/levels.sh [TEXT-BYTES]      default: 20 MB
set -eu
me=levels
. "$(dirname "$0")/common.sh"
text=${1:-20000000}
need_data
need_build shardtool tests/bench/bench_levels tests/bench/make_text
scratch
make() { # NAME OPTIONS... INPUT
    name=$1
    shift
    tool ingest --dedup none -o "$tmp/$name" "$@" 2>"$tmp/log" || fail "$(cat "$tmp/log")"
}
make adult --format csv "$data/adult/adult.data"
make marvel "$data/fivethirtyeight/comic-characters__marvel-wikia-data.csv"
make tennis "$data"/tennis_atp/*.csv
make play "$data/google_play/googleplaystore.csv"
make gharchive "$data/gharchive/2015-01-01-0.json.gz"
make gsm8k "$data"/gsm8k/*.jsonl
make persona "$data"/persona_jsonl/*.jsonl
make sst2 "$data"/sst2/*.tsv
make novels "$data"/novels/*.txt
make a9a --format libsvm "$data/libsvm/a9a"
make text "$(text_file "$text")"
rm -f "$tmp/log"
"$build/tests/bench/bench_levels" "$tmp"/*
