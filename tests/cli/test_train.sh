#!/bin/sh
# shardtrain from outside: the same model for any number of threads, killed and resumed, told to
# stop, refused; the model read by Python alone, and its answers computed there.
set -u
: "${SHARDTOOL:?}" "${SHARDTRAIN:?}" "${PYTHON:?}"
tmp=$(mktemp -d "${TMPDIR:-/tmp}/test_train.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
fail() { echo "FAIL: $*" >&2; exit 1; }
# want STATUS COMMAND...: run it with output in $tmp/out and $tmp/err.
want() {
    w=$1; shift
    "$@" >"$tmp/out" 2>"$tmp/err"
    s=$?
    [ $s = "$w" ] || { cat "$tmp/out" "$tmp/err" >&2; fail "status $s, not $w: $*"; }
}
says() { grep -q -- "$1" "$tmp/$2" || { cat "$tmp/$2" >&2; fail "no \"$1\" in $2"; }; }
hash_of() { sed -n 's/.*"model_hash":"\([0-9a-f]\{16\}\)".*/\1/p' "$1"; }

# ---- data: three made-up languages, and a row in fifty without a label
"$PYTHON" - "$tmp" <<'EOF' || fail "python"
import json, random, sys
r = random.Random(7)
syl = {"aa": "ka ki ku ta to".split(), "bb": "str spl mek gro".split(), "cc": "\u0436\u043e \u0449\u0443 \u0440\u0430".split()}
def word(l): return "".join(r.choice(syl[l]) for _ in range(r.randint(1, 4)))
def rows(n, f, extra=None):
    with open(f, "w", encoding="utf8") as o:
        for i in range(n):
            l = r.choice(sorted(syl))
            t = " ".join(word(l) for _ in range(r.randint(3, 12)))
            lab = None if i % 50 == 49 else l
            if extra and i % 10 == 3: lab = extra
            o.write(json.dumps({"text": t, "label": lab, "len": len(t), "n": i % 7}) + "\n")
rows(9000, sys.argv[1] + "/train.jsonl")
rows(1000, sys.argv[1] + "/test.jsonl")
rows(500, sys.argv[1] + "/odd.jsonl", "zz")
with open(sys.argv[1] + "/sparse.svm", "w") as o:
    for i in range(3000):
        y = r.randint(0, 1)
        f = sorted({r.randint(0, 40) for _ in range(6)} | {41 + y if r.random() < .95 else 42 - y})
        o.write("%d %s\n" % (y, " ".join("%d:%g" % (k, r.randint(1, 8) / 4) for k in f)))
EOF
cd "$tmp" || exit 1
want 0 "$SHARDTOOL" ingest --progress never --split-name train -o data train.jsonl
want 0 "$SHARDTOOL" ingest --progress never --split-name test -o test train.jsonl test.jsonl
want 0 "$SHARDTOOL" ingest --progress never --split-name test -o odd odd.jsonl
want 0 "$SHARDTOOL" ingest --progress never --format libsvm --split-name train -o sparse sparse.svm
fit() { "$SHARDTRAIN" fit data --model text --minn 1 --maxn 3 --buckets 20000 --epochs 3 \
    --progress never "$@"; }
# For where the process is killed: a function in the background would be a shell around it.
fit_args='fit data --model text --minn 1 --maxn 3 --buckets 20000 --epochs 60 --progress never'

# ---- a file size limit is an error like a full disk, and a fit that died at once can start again
(ulimit -f 0; "$SHARDTRAIN" fit data --model text --buckets 100 -o limit 2>&1) | cat >limit.err
grep -q "File too large" limit.err || { cat limit.err; fail "ulimit -f"; }
mkdir died && : >died/config.json.tmp-1
want 0 "$SHARDTRAIN" fit data --model text --buckets 100 --epochs 1 -o died --progress never
# ---- a bad record may quote half a character
printf '1 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\303\251:1\n1 2:1\n' >half.svm
want 0 "$SHARDTRAIN" fit sparse --model linear --epochs 1 -o run-half --progress never
want 3 "$SHARDTRAIN" predict run-half half.svm
[ "$(wc -l <out)" = 2 ] || fail "an answer is missing"

# ---- a finished run whose model is damaged is not taken for a good one
"$PYTHON" -c 'import sys; f = open(sys.argv[1], "r+b"); f.seek(-1, 2); f.write(b"~")' \
    run-half/model.safetensors
want 1 "$SHARDTRAIN" resume run-half

# ---- what a killed process left of a checkpoint goes away with the next one
want 0 "$SHARDTRAIN" fit sparse --model linear --checkpoint-every 10 -o run-left --progress never
rm run-left/model.safetensors "$(ls run-left/checkpoints/* | tail -n 1)"
: >run-left/checkpoints/.step-000000000007.ckpt.tmp
want 0 "$SHARDTRAIN" resume run-left --progress never
[ ! -e run-left/checkpoints/.step-000000000007.ckpt.tmp ] || fail "half a checkpoint stays"

# ---- labels of any characters come back
printf '{"text":"a a","label":"x\\u0000y"}\n{"text":"b","label":"\\n\\""}\n' >strange.jsonl
want 0 "$SHARDTOOL" ingest --progress never -o strange strange.jsonl
want 0 "$SHARDTRAIN" fit strange --model text --buckets 100 --epochs 1 -o run-strange
want 0 "$SHARDTRAIN" eval run-strange --split train --json
says '"name":"x\\u0000y","rows":1' out
want 0 "$SHARDTRAIN" resume run-strange

# ---- the same bits
for t in 1 2 3; do
    want 0 fit -o "run$t" --threads $t --json
    hash_of out >"hash$t"
    [ -s "hash$t" ] || fail "no model_hash"
done
cmp hash1 hash2 && cmp hash1 hash3 || fail "the model depends on the number of threads"
want 0 fit -o run-seed --seed 2 --json
[ "$(hash_of out)" != "$(cat hash1)" ] || fail "the seed does not matter"
for k in finished loss accuracy samples seconds samples_per_second stall_fraction model_hash; do
    says "\"$k\":" out
done
[ "$(wc -l <run1/metrics.jsonl)" -gt 50 ] || fail "metrics are too few"

# ---- killed at an instant of its own choosing, twice; then resumed
want 0 fit -o whole --epochs 60 --threads 2 --json
hash_of out >hash-whole
lines=$(wc -l <whole/metrics.jsonl)
# kill_after DIR COMMAND...: kill -9 as soon as there are two checkpoints, the newest a new one.
newest() { ls "$1/checkpoints" 2>/dev/null | tail -n 1; }
kill_after() {
    d=$1 was=$(newest "$1"); shift
    "$@" >/dev/null 2>&1 &
    pid=$!
    i=0
    while [ $i -lt 1000 ] && { [ "$(newest "$d")" = "$was" ] ||
        [ "$(ls "$d/checkpoints" 2>/dev/null | wc -l)" -lt 2 ]; }; do
        sleep 0.01; i=$((i + 1))
    done
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
}
# shellcheck disable=SC2086
kill_after killed "$SHARDTRAIN" $fit_args -o killed --checkpoint-every 100 --threads 1
[ ! -f killed/model.safetensors ] || fail "it was over before it was killed"
kill_after killed "$SHARDTRAIN" resume killed --threads 2
want 0 "$SHARDTRAIN" info killed --json
says '"finished":false' out
# the newest one is damaged: the one before it serves
printf 'X' | dd of="killed/checkpoints/$(newest killed)" bs=1 seek=5000 conv=notrunc 2>/dev/null
want 0 "$SHARDTRAIN" resume killed --threads 3 --json --progress never
says "damaged" err
hash_of out >hash-killed
cmp hash-whole hash-killed || fail "a killed and resumed run ends with other bits"
[ "$(wc -l <killed/metrics.jsonl)" = "$lines" ] || { cut -d, -f1 killed/metrics.jsonl >a; cut -d, -f1 whole/metrics.jsonl | diff - a; fail "metrics differ after a resume"; }
want 0 "$SHARDTRAIN" resume killed
says "is finished" err

# ---- Ctrl-C
# shellcheck disable=SC2086
"$SHARDTRAIN" $fit_args -o stopped --threads 2 >out-stop 2>err-stop &
pid=$!
i=0
while [ $i -lt 500 ] && [ ! -s stopped/metrics.jsonl ]; do sleep 0.01; i=$((i + 1)); done
want 1 "$SHARDTRAIN" resume stopped
says "another" err
kill -TERM $pid
wait $pid
s=$?
[ $s = 143 ] || fail "stopped with status $s, not as the signal"
says "shardtrain resume stopped" err-stop
want 1 "$SHARDTRAIN" eval stopped test
says "resume" err
want 0 "$SHARDTRAIN" resume stopped --json --progress never
[ "$(hash_of out)" = "$(cat hash-whole)" ] || fail "a stopped and resumed run ends with other bits"

# ---- refusals
want 2 fit -o run1
says "not empty" err
want 2 "$SHARDTRAIN" fit data --model text --label nope -o no --json
says "len:int" err
says '"error"' out
want 2 "$SHARDTRAIN" fit data --model text --text len -o no
says "string" err
want 2 "$SHARDTRAIN" fit data --model text --mode hogwild -o no
says "later" err
want 2 "$SHARDTRAIN" fit data --model text --optimizer adam -o no
want 2 "$SHARDTRAIN" fit data --model mlp -o no
want 2 "$SHARDTRAIN" fit data --model text --batch-size 100 --partitions 16 -o no
want 2 "$SHARDTRAIN" fit data --model text --split nope -o no
says "train" err
want 2 "$SHARDTRAIN" eval run-strange --split nope --json
says 'no split "nope"' err
want 2 "$SHARDTRAIN" fit data --model text
[ ! -e no ] || fail "a refused run left a directory"
want 1 "$SHARDTRAIN" info data

# ---- eval
want 0 "$SHARDTRAIN" eval run1 test --json --progress never
cp out eval1
want 0 "$SHARDTRAIN" eval run1 test --json --progress never --threads 1
"$PYTHON" - eval1 out odd.jsonl <<'EOF' || fail "eval"
import json, sys
a, b = (json.load(open(f)) for f in sys.argv[1:3])
for k in ("loss", "accuracy", "samples", "model_hash", "classes"):
    assert a[k] == b[k], k
assert a["accuracy"] > 0.99, a["accuracy"]
assert a["samples"] == 9800 and a["unlabelled"] == 200, a
assert [c["name"] for c in a["classes"]] == ["aa", "bb", "cc"]
assert sum(c["rows"] for c in a["classes"]) == 9800
EOF
want 0 "$SHARDTRAIN" eval run1 odd --json --progress never
"$PYTHON" - out <<'EOF' || fail "eval of strangers"
import json, sys
e = json.load(open(sys.argv[1]))
z = e["classes"][-1]
assert z["name"] == "zz" and z["rows"] == 50 and z["recall"] == 0 and z["precision"] is None, z
assert e["accuracy"] <= 1 - 50 / e["samples"]
EOF
want 0 "$SHARDTRAIN" eval run1 test
says "accuracy" out

# ---- predict
printf 'kakitu kata\nstrspl mek gro\n\n' >lines
want 0 "$SHARDTRAIN" predict run1 lines --top 3
"$PYTHON" - out <<'EOF' || fail "predict"
import json, sys
r = [json.loads(l) for l in open(sys.argv[1])]
assert len(r) == 3 and r[0]["label"] == "aa" and r[1]["label"] == "bb", r
for x in r:
    assert x["top"][0]["label"] == x["label"] and len(x["top"]) == 3
    assert abs(sum(t["score"] for t in x["top"]) - 1) < 1e-5
EOF
printf '{"text": "kakitu kata"}\n{"text": 5}\nnope\n"strspl mek gro"\n' >some.jsonl
want 3 "$SHARDTRAIN" predict run1 some.jsonl
says '"line":2' out
says '"line":3' out
says "line 3" err
[ "$(wc -l <out)" = 4 ] || fail "an answer for every record"
want 0 "$SHARDTRAIN" predict run1 <lines
want 1 "$SHARDTRAIN" predict run1 not-there

# ---- linear: numbers; sparse, with Python as an independent reader and judge
want 0 "$SHARDTRAIN" fit data --model linear --features len,n -o numbers --progress never
printf '{"len": 5, "n": 1}\n{"n": null}\n{"len": true}\n' >n.jsonl
want 0 "$SHARDTRAIN" predict numbers n.jsonl
want 0 "$SHARDTRAIN" fit sparse --model linear -o lin --progress never --json
want 0 "$SHARDTRAIN" fit data --model linear --text text --maxn 2 --buckets 5000 -o bow \
    --progress never --json
want 0 "$SHARDTRAIN" predict lin sparse.svm
"$PYTHON" - lin/model.safetensors run1/model.safetensors sparse.svm out <<'EOF' || fail "safetensors"
import json, math, struct, sys
def load(path):
    b = open(path, "rb").read()
    n, = struct.unpack("<Q", b[:8])
    assert (8 + n) % 64 == 0
    h = json.loads(b[8:8 + n])
    meta = h.pop("__metadata__")
    assert all(isinstance(v, str) for v in meta.values())
    data, end, t = b[8 + n:], 0, {}
    for name, e in sorted(h.items(), key=lambda x: x[1]["data_offsets"]):
        lo, hi = e["data_offsets"]
        assert lo == end and e["dtype"] == "F32" and hi - lo == 4 * math.prod(e["shape"])
        t[name] = (e["shape"], struct.unpack("<%df" % ((hi - lo) // 4), data[lo:hi]))
        end = hi
    assert end == len(data), "no holes and nothing behind"
    return meta, t
meta, t = load(sys.argv[2])
assert t["embedding"][0] == [20000, 16] and t["output"][0] == [3, 16]
assert json.loads(meta["classes"])["names"] == ["aa", "bb", "cc"]
meta, t = load(sys.argv[1])
shape, w = t["weight"]
bias, = t["bias"][1]
assert shape == [43, 1] and meta["model"] == "linear", shape
right = total = 0
for line, answer in zip(open(sys.argv[3]), open(sys.argv[4])):
    y, *f = line.split()
    s = bias + sum(w[int(k)] * float(v) for k, v in (x.split(":") for x in f))
    a = json.loads(answer)
    p = 1 / (1 + math.exp(-s))
    assert abs(a["score"] - max(p, 1 - p)) < 1e-4, (s, a)
    assert abs(s) < 1e-4 or a["label"] == str(int(s > 0)), (s, a)
    right += a["label"] == y
    total += 1
assert total == 3000 and right > 0.9 * total, right
EOF

# ---- memory: the highest resident set within the budget and 32 MiB
want 2 "$SHARDTRAIN" fit data --model text --buckets 20000 --memory 1M -o small
least=$(sed -n 's/.*at least \([0-9]*\) bytes.*/\1/p' err)
want 0 "$SHARDTRAIN" fit data --model text --buckets 20000 --memory "$least" -o small --epochs 1 \
    --progress never
"$PYTHON" - "$SHARDTRAIN" <<'EOF' || fail "memory"
import os, resource, subprocess, sys
if "asan" in os.environ.get("LD_PRELOAD", "") or os.environ.get("SHARDLINE_SANITIZED"):
    sys.exit(0)
subprocess.run([sys.argv[1], "fit", "data", "--model", "text", "--maxn", "3", "--buckets", "20000",
                "--memory", "48M", "--progress", "never", "-o", "tight"], check=True,
               stderr=subprocess.DEVNULL)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
assert peak <= (48 + 32) * 1024, "%d KiB resident" % peak
EOF
echo "shardtrain: all good"
