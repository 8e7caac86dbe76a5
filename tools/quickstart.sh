#!/bin/sh
# The whole way on a real corpus: build, raw archives -> dataset -> model -> accuracy.
#
#   sh tools/quickstart.sh        the translated manual pages of Debian, fetched with apt-get
#                                 download: learns to tell the language of a line
#   sh tools/quickstart.sh DIR    your own text files, laid out as DIR/LABEL/...: learns LABEL
#
# Everything is written below build/quickstart (or $SHARDLINE_QUICKSTART). What is there already is
# used again, so that a second run is quick.
set -eu
case ${1-} in
-h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
-*) echo "usage: sh tools/quickstart.sh [DIR]" >&2; exit 2 ;;
esac
[ $# -le 1 ] || { echo "usage: sh tools/quickstart.sh [DIR]" >&2; exit 2; }
top=$(cd "$(dirname "$0")/.." && pwd)
build=${SHARDLINE_BUILD:-$top/build}
work=${SHARDLINE_QUICKSTART:-$build/quickstart}
say() { printf '\n== %s\n' "$*" >&2; }
now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.1f", b - a }'; }
# field NAME FILE: a number or string of a one-line JSON object.
field() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^,\"}]*\).*/\1/p" "$2" | head -n 1; }

say "installing what is missing, building"
t=$(now)
sh "$top/tools/deps.sh" build
sh "$top/tools/build.sh"
build_s=$(since "$t")
PATH=$build:$PATH
mkdir -p "$work"

if [ $# = 1 ]; then
    [ -d "$1" ] || { echo "quickstart: $1 is not a folder" >&2; exit 2; }
    name=$(basename "$(cd "$1" && pwd)")
    data=$work/$name.data run=$work/$name.run
    label=label
    set -- --path-column 'label=^([^/]+)/' "$1"
else
    data=$work/manpages.data run=$work/manpages.run
    label=lang
    mkdir -p "$work/debs"
    cd "$work/debs"
    for p in manpages manpages-dev manpages-cs manpages-da manpages-de manpages-es manpages-fr \
        manpages-hu manpages-it manpages-ja manpages-nl manpages-pl manpages-pt-br manpages-ro \
        manpages-sv manpages-tr manpages-uk manpages-zh; do
        ls "${p}"_*.deb >/dev/null 2>&1 || need="${need-} $p"
    done
    if [ -n "${need-}" ]; then
        say "downloading the raw corpora:$need"
        for p in $need; do
            # As root apt would drop to a user that may not write here.
            apt-get -qq -o APT::Sandbox::User=root download "$p" ||
                echo "quickstart: this distribution has no $p; going on without it" >&2
        done
    fi
    cd "$top"
    ls "$work"/debs/*.deb >/dev/null 2>&1 || {
        echo "quickstart: nothing could be downloaded; try: apt-get update" >&2
        exit 1
    }
    set -- --include 'usr/share/man/*' --path-column 'lang=man/([a-z][a-zA-Z_]+)/:-en' \
        "$work"/debs/*.deb
fi

say "shardtool ingest: raw archives -> dataset"
t=$(now)
status=0
shardtool ingest --json --format text --min-length text=60 --dedup exact \
    --split train=0.8,test=0.2 --split-key text -o "$data" "$@" >"$work/ingest.json" || status=$?
# 3: complete, but some records are in quarantine; the table says how many.
[ $status = 0 ] || [ $status = 3 ] || exit $status
ingest_s=$(since "$t")

say "shardtool bench: what the loader reaches"
shardtool bench --json --split train --batch-size 256 "$data" >"$work/bench.json"

say "shardtrain fit: dataset -> model"
t=$(now)
if [ -n "$(find "$run/model.safetensors" -newer "$data/roots" 2>/dev/null)" ]; then
    echo "the model in $run is newer than the dataset: kept" >&2
else
    rm -rf "$run"
    shardtrain fit "$data" --model text --text text --label "$label" --split train --epochs 2 \
        --lr 0.5 --dim 16 --word-ngrams 1 --minn 2 --maxn 4 -o "$run" --json >"$work/fit.json"
fi
fit_s=$(since "$t")

say "shardtrain eval: how well, on lines it has never seen"
t=$(now)
shardtrain eval "$run" "$data" --split test --json >"$work/eval.json"
eval_s=$(since "$t")
shardtrain eval "$run" "$data" --split test --progress never

commas() { printf '%s' "$1" | awk '{ s = ""; while (length($0) > 3) { s = "," substr($0, length($0) - 2) s
    $0 = substr($0, 1, length($0) - 3) } print $0 s }'; }
row() { printf '  %-28s %18s\n' "$1" "$2"; }
share() { awk -v x="$1" 'BEGIN { printf "%.2f %%", 100 * x }'; }
{
    echo
    row "rows read" "$(commas "$(field rows_read "$work/ingest.json")")"
    row "rows written" "$(commas "$(field rows_written "$work/ingest.json")")"
    row "filtered out" "$(commas "$(field filtered "$work/ingest.json")")"
    row "duplicates" "$(commas "$(field duplicates "$work/ingest.json")")"
    row "rejected" "$(commas "$(field rejected "$work/ingest.json")")"
    row "bytes in (unpacked)" "$(commas "$(field bytes_in "$work/ingest.json")")"
    row "bytes out" "$(commas "$(field bytes_out "$work/ingest.json")")"
    row "loader, decoded" "$(awk -v b="$(field bytes_decoded "$work/bench.json")" \
        -v s="$(field seconds "$work/bench.json")" 'BEGIN { printf "%.0f MB/s", b / s / 1e6 }')"
    row "training waited for data" "$(share "$(field stall_fraction "$work/fit.json")") of its time"
    row "accuracy on the test split" "$(share "$(field accuracy "$work/eval.json")")"
    row "seconds: build" "$build_s"
    row "seconds: ingest" "$ingest_s"
    row "seconds: fit" "$fit_s"
    row "seconds: eval" "$eval_s"
    echo
    echo "  dataset  $data"
    echo "  model    $run"
    echo "  try      echo 'Das ist eine Zeile.' | $build/shardtrain predict $run"
}
