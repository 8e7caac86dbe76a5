#!/bin/sh
# The whole way on a real corpus: build, raw archives -> dataset -> model -> accuracy.
#
#   sh tools/quickstart.sh        the translated manual pages of Debian, fetched with apt-get
#                                 download: learns to tell the language of a line
#   sh tools/quickstart.sh DIR    your own text files, laid out as DIR/LABEL/...: learns LABEL
#
# Everything is written below build/quickstart (or $SHARDLINE_QUICKSTART). What is there already is
# used again, so that a second run is quick; what was made from other files is made anew.
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
die() { printf 'quickstart: %s\n' "$*" >&2; exit 2; }
now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.1f", b - a }'; }
# field NAME FILE: a number or string of a one-line JSON object.
field() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^,\"}]*\).*/\1/p" "$2" | head -n 1; }

if [ $# = 1 ]; then
    [ -d "$1" ] || die "$1 is not a folder"
    labels=$(find "$1/" -mindepth 2 -type f -size +0 | sed "s|^.\{$(printf '%s/' "$1" | wc -m)\}||; s|^/*||; s|/.*||" |
        sort -u | wc -l)
    [ "$labels" -ge 2 ] || die "$1 holds files of $labels labels, and a model needs two to tell" \
        "apart: lay your text files out as DIR/LABEL/..., at least two folders LABEL"
fi

say "installing what is missing, building (a minute or two; the log is $build/build.log)"
t=$(now)
sh "$top/tools/deps.sh" build
sh "$top/tools/build.sh"
build_s=$(since "$t")
PATH=$build:$PATH
mkdir -p "$work"

if [ $# = 1 ]; then
    name=$(basename "$(cd "$1" && pwd)")
    label=label
    example='Some line of text.'
    set -- --path-column 'label=^([^/]+)/' -- "$1"
else
    name=manpages
    label=lang
    example='Das ist eine Zeile.'
    mkdir -p "$work/debs/partial"
    cd "$work/debs"
    for p in manpages manpages-dev manpages-cs manpages-da manpages-de manpages-es manpages-fr \
        manpages-hu manpages-it manpages-ja manpages-nl manpages-pl manpages-pt-br manpages-ro \
        manpages-sv manpages-tr manpages-uk manpages-zh; do
        ls "${p}"_*.deb >/dev/null 2>&1 || need="${need-} $p"
    done
    if [ -n "${need-}" ]; then
        command -v apt-get >/dev/null 2>&1 ||
            die "the corpus comes by apt-get, which is not here; try: sh tools/quickstart.sh DIR"
        say "downloading the raw corpora with apt-get (25 MB)"
        cd partial
        # As root apt would drop to a user that may not write here.
        download() { apt-get -qq -o APT::Sandbox::User=root download "$1"; }
        for p in $need; do
            printf ' %s' "$p" >&2
            # A download that was cut short stays in partial/ and is not taken for a package.
            rm -f ./*.deb
            # Package lists may be missing on a fresh machine, or old: they are fetched once.
            if download "$p" || { [ -z "${tried-}" ] && [ ! -e ../lists ] && tried=yes &&
                sh "$top/tools/deps.sh" lists && : >../lists && download "$p"; }; then
                mv ./*.deb ..
            else
                echo "quickstart: could not get $p; going on without it" >&2
            fi
        done
        echo >&2
    fi
    cd "$top"
    ls "$work"/debs/*.deb >/dev/null 2>&1 || die "nothing could be downloaded"
    set -- --include 'usr/share/man/*' --path-column 'lang=man/([a-z][a-zA-Z_]+)/:-en' -- \
        "$work"/debs/*.deb
fi
data=$work/$name.data run=$work/$name.run out=$work/$name

say "shardtool ingest: raw archives -> dataset"
t=$(now)
ingest() {
    status=0
    shardtool ingest --json --format text --min-length text=60 --dedup exact \
        --split train=0.8,test=0.2 --split-key text -o "$data" "$@" >"$out.ingest.json" || status=$?
}
ingest "$@"
if [ $status = 2 ] && [ -d "$data" ]; then
    echo "the dataset in $data is of other files: making it anew" >&2
    rm -rf "$data"
    ingest "$@"
fi
# 3: complete, but some records are in quarantine; the table says how many.
[ $status = 0 ] || [ $status = 3 ] || exit $status
ingest_s=$(since "$t")
[ "$(field rows_written "$out.ingest.json")" != 0 ] ||
    die "no line has 60 bytes or more (shorter ones are left out): nothing to learn from"

say "shardtool bench: what the loader reaches"
shardtool bench --json --split train --batch-size 256 "$data" >"$out.bench.json"

say "shardtrain fit: dataset -> model"
t=$(now)
if [ -n "$(find "$run/model.safetensors" -newer "$data/roots" 2>/dev/null)" ]; then
    echo "the model in $run is newer than the dataset: kept" >&2
else
    rm -rf "$run"
    shardtrain fit "$data" --model text --text text --label "$label" --split train --epochs 2 \
        --lr 0.5 --dim 16 --word-ngrams 1 --minn 2 --maxn 4 -o "$run" --json >"$out.fit.json"
fi
fit_s=$(since "$t")

say "shardtrain eval: how well, on lines it has never seen"
t=$(now)
shardtrain eval "$run" "$data" --split test --json >"$out.eval.json"
eval_s=$(since "$t")
shardtrain eval "$run" "$data" --split test --progress never

commas() { printf '%s' "$1" | awk '{ s = ""; while (length($0) > 3) { s = "," substr($0, length($0) - 2) s
    $0 = substr($0, 1, length($0) - 3) } print $0 s }'; }
row() { printf '  %-28s %18s\n' "$1" "$2"; }
share() { awk -v x="$1" 'BEGIN { printf "%.2f %%", 100 * x }'; }
{
    echo
    row "rows read" "$(commas "$(field rows_read "$out.ingest.json")")"
    row "rows written" "$(commas "$(field rows_written "$out.ingest.json")")"
    row "filtered out" "$(commas "$(field filtered "$out.ingest.json")")"
    row "duplicates" "$(commas "$(field duplicates "$out.ingest.json")")"
    row "rejected" "$(commas "$(field rejected "$out.ingest.json")")"
    row "bytes in (unpacked)" "$(commas "$(field bytes_in "$out.ingest.json")")"
    row "bytes out" "$(commas "$(field bytes_out "$out.ingest.json")")"
    row "loader, decoded" "$(awk -v b="$(field bytes_decoded "$out.bench.json")" \
        -v s="$(field seconds "$out.bench.json")" 'BEGIN { printf "%.0f MB/s", b / s / 1e6 }')"
    row "training waited for data" "$(share "$(field stall_fraction "$out.fit.json")") of its time"
    row "accuracy on the test split" "$(share "$(field accuracy "$out.eval.json")")"
    row "seconds: build" "$build_s"
    row "seconds: ingest" "$ingest_s"
    row "seconds: fit" "$fit_s"
    row "seconds: eval" "$eval_s"
    echo
    echo "  dataset  $data"
    echo "  model    $run"
    echo "  try      echo '$example' | '$build/shardtrain' predict '$run'"
}
