#!/bin/sh
# Language identification: shardtrain against fastText (Debian package fasttext), on the same rows,
# the same split, the same options and two threads, in turns.
#
#   sh tests/bench/langid.sh [DATASET]     default: build/quickstart/manpages.data
#
# Rows are exported with shardtool and shuffled once for fastText, which reads its file in order.
# fastText does not say how long it trained. Its runs of 2 and 4 epochs read, count and save alike, so
# their difference is the time of 2 epochs of training. Ends with 0 where shardtrain's accuracy is at
# most half a point below and its training time at most twice as long.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
build=${SHARDLINE_BUILD:-$top/build}
data=${1:-$build/quickstart/manpages.data}
runs=${RUNS:-3}
label=${LABEL:-lang} text=${TEXT:-text}
command -v fasttext >/dev/null || { echo "langid: fasttext is missing: apt-get install fasttext" >&2; exit 2; }
[ -d "$data" ] || { echo "langid: no dataset $data; run tools/quickstart.sh first" >&2; exit 2; }
tmp=$(mktemp -d "${TMPDIR:-/tmp}/langid.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
python=/usr/bin/python3
[ -x $python ] || python=python3

for split in train test; do
    "$build/shardtool" cat --split $split "$data" | "$python" -c '
import json, random, sys
rows = []
for line in sys.stdin:
    r = json.loads(line)
    rows.append("__label__%s %s\n" % (r[sys.argv[2]], r[sys.argv[1]].replace("\n", " ")))
random.Random(1).shuffle(rows)
sys.stdout.reconfigure(encoding="utf8")
sys.stdout.writelines(rows)' "$text" "$label" >"$tmp/$split"
    echo "$split: $(wc -l <"$tmp/$split") rows" >&2
done

field() { sed -n "s/.*\"$1\":\([0-9.e-]*\).*/\1/p" "$2"; }
now() { date +%s.%N; }
ft() { # EPOCHS: seconds of wall time
    t=$(now)
    fasttext supervised -input "$tmp/train" -output "$tmp/ft" -dim 16 -wordNgrams 1 -minn 2 -maxn 4 \
        -epoch "$1" -bucket 2000000 -lr 0.5 -thread 2 >"$tmp/ft.log" 2>&1
    awk -v a="$t" -v b="$(now)" 'BEGIN { print b - a }'
}
: >"$tmp/table"
for i in $(seq "$runs"); do
    one=$(ft 2) two=$(ft 4)
    # Both read, make the dictionary and save alike: the difference is two epochs of training.
    ft_s=$(awk -v a="$one" -v b="$two" 'BEGIN { print b - a }')
    one=$(ft 2)
    ft_acc=$(fasttext test "$tmp/ft.bin" "$tmp/test" | awk '$1 == "P@1" { print $2 }')
    rm -rf "$tmp/run"
    t=$(now)
    "$build/shardtrain" fit "$data" --model text --text "$text" --label "$label" --epochs 2 --lr 0.5 \
        --dim 16 --word-ngrams 1 --minn 2 --maxn 4 --buckets 2000000 --threads 2 --progress never \
        --json -o "$tmp/run" >"$tmp/fit.json" 2>/dev/null
    wall=$(awk -v a="$t" -v b="$(now)" 'BEGIN { print b - a }')
    "$build/shardtrain" eval "$tmp/run" "$data" --split test --json --progress never >"$tmp/eval.json"
    echo "$i $ft_s $one $ft_acc $(field seconds "$tmp/fit.json") $wall" \
        "$(field accuracy "$tmp/eval.json") $(field stall_fraction "$tmp/fit.json")" >>"$tmp/table"
    tail -n 1 "$tmp/table" >&2
done
"$python" - "$tmp/table" <<'EOF'
import statistics, sys
rows = [list(map(float, l.split())) for l in open(sys.argv[1])]
m = lambda i: statistics.median(r[i] for r in rows)
print("                        training s   whole command s   accuracy")
print("fastText                  %8.2f          %8.2f     %.4f" % (m(1), m(2), m(3)))
print("shardtrain                %8.2f          %8.2f     %.4f" % (m(4), m(5), m(6)))
print("shardtrain / fastText     %8.2f          %8.2f     %+.4f   (medians of %d)"
      % (m(4) / m(1), m(5) / m(2), m(6) - m(3), len(rows)))
print("training waited for data %.1f %% of its time" % (100 * m(7)))
sys.exit(0 if m(6) >= m(3) - 0.005 and m(4) <= 2 * m(1) else 1)
EOF
