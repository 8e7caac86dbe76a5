#!/bin/sh
# The measurement behind the defaults: page bytes, row group bytes and level of zstd on text, images,
# tensors, tokens and a wide table (see bench_defaults.c). Prints tables; no bar.
#
#   sh tests/bench/defaults.sh [BYTES]      of each kind; default 16 MiB, 64 MiB for steadier figures
set -eu
me=defaults
. "$(dirname "$0")/common.sh"
bytes=${1:-16777216}
need_data
need_build shardtool tests/bench/bench_defaults tests/bench/make_text
scratch
bench() { "$build/tests/bench/bench_defaults" "$@" "$bytes"; }
"$build/tests/bench/make_text" $((bytes * 4)) "$data/ag_news/test.csv" >"$tmp/text.jsonl"
tool ingest --dedup none --schema text:string -o "$tmp/text" "$tmp/text.jsonl" 2>"$tmp/log" ||
    fail "$(cat "$tmp/log")"
tool ingest --dedup none -o "$tmp/wide" "$data/gharchive/2015-01-01-0.json.gz" 2>"$tmp/log" ||
    fail "$(cat "$tmp/log")"
sed 's/^{"text": "\(.*\)", "label.*/\1/' "$tmp/text.jsonl" >"$tmp/text.txt"
zcat "$data/fashion_mnist/train-images-idx3-ubyte.gz" >"$tmp/images.idx"
printf 'text: '
bench dataset "$tmp/text"
printf '\nimages, tensor<uint8,28,28>: '
bench images "$tmp/images.idx"
printf '\ntensors, tensor<float32,256>: '
bench tensors -
printf '\ntokens, list<uint16>: '
bench tokens "$tmp/text.txt"
printf '\na wide table, gharchive: '
bench dataset "$tmp/wide"
