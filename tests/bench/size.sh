#!/bin/sh
# The size of datasets, default settings, all their files counted, against DuckDB's Parquet with zstd
# of the same typed columns (npm's @duckdb/node-api; dump_columns hands it the columns as they are
# stored) and zstd -3 of the raw input.
#
#   sh tests/bench/size.sh [--columns] [--text BYTES] [SET...]
#
# --text says how much text is generated for the set "text" (default 1G bytes; it takes 30 s; 0: none).
# --columns lists the columns that take more bytes than in Parquet. Ends with 0 where no set is larger
# than Parquet, the tables are 10% smaller in sum, and a file of 60 KB has at most 4 KiB of
# overhead over what zstd -3 makes of its columns. gsm8k, persona_jsonl and sst2 are long texts with a few
# columns beside them, so they do not count as tables; the sum with them is printed, too.
set -eu
me=size
. "$(dirname "$0")/common.sh"
columns= text=1000000000
while :; do
    case ${1-} in
    --columns) columns=--columns; shift ;;
    --text) text=$2; shift 2 ;;
    -*) fail "usage: size.sh [--columns] [--text BYTES] [SET...]" ;;
    *) break ;;
    esac
done
[ $# -gt 0 ] || set -- adult marvel tennis_atp google_play gharchive gsm8k persona_jsonl sst2 \
    tweeteval_emoji novels a9a fashion_mnist small text
need_data
need zstd zstd
need_duckdb
need_build shardtool tests/bench/dump_columns tests/bench/make_text
scratch

one() { # NAME KIND OPTIONS INPUT...: the last files are the raw bytes, too
    name=$1 kind=$2 options=$3
    shift 3
    # shellcheck disable=SC2086
    tool ingest --json --dedup none $options -o "$tmp/ds" "$@" >"$tmp/ingest.json" 2>"$tmp/log" ||
        { cat "$tmp/log" >&2; exit 1; }
    "$build/shardtool" info --json "$tmp/ds" >"$tmp/info.json"
    "$build/tests/bench/dump_columns" "$tmp/ds" >"$tmp/columns.csv"
    node "$top/tests/bench/size_duckdb.js" "$cache/duckdb/node_modules" "$tmp/info.json" \
        "$tmp/columns.csv" "$tmp/out.parquet" >"$tmp/parquet.json"
    rm -f "$tmp/columns.csv" "$tmp/out.parquet"
    ours=$(find "$tmp/ds" -type f -printf '%s\n' | awk '{ n += $1 } END { printf "%d", n }')
    zstd=$(for f; do case $f in *.gz) zcat "$f" ;; *) cat "$f" ;; esac; done | zstd -3 -c -T2 | wc -c)
    rm -rf "$tmp/ds"
    "$PYTHON" "$top/tests/bench/size_table.py" row "$tmp" "$name" "$kind" "$ours" "$zstd" $columns
}

"$PYTHON" "$top/tests/bench/size_table.py" head
for set; do
    case $set in
    adult) one $set table '--format csv' "$data/adult/adult.data" ;;
    marvel) one $set table '' "$data/fivethirtyeight/comic-characters__marvel-wikia-data.csv" ;;
    tennis_atp) one $set table '' "$data"/tennis_atp/*.csv ;;
    google_play) one $set table '' "$data/google_play/googleplaystore.csv" ;;
    gharchive) one $set table '' "$data/gharchive/2015-01-01-0.json.gz" ;;
    gsm8k) one $set texts '' "$data"/gsm8k/*.jsonl ;;
    persona_jsonl) one $set texts '' "$data"/persona_jsonl/*.jsonl ;;
    sst2) one $set texts '' "$data"/sst2/*.tsv ;;
    tweeteval_emoji) one $set text '' "$data"/tweeteval_emoji/*_text.txt "$data"/tweeteval_emoji/*_labels.txt ;;
    novels) one $set text '' "$data"/novels/*.txt ;;
    a9a) one $set sparse '--format libsvm' "$data/libsvm/a9a" ;;
    fashion_mnist) one $set images '' "$data"/fashion_mnist/*images*.gz "$data"/fashion_mnist/*labels*.gz ;;
    small) one $set small '' "$data/titanic/titanic.csv" ;;
    text)
        [ "$text" != 0 ] || continue
        one $set text '' "$(text_file "$text")" ;;
    *) fail "no set $set" ;;
    esac
done
"$PYTHON" "$top/tests/bench/size_table.py" end "$tmp"
