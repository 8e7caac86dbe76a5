#!/bin/sh
# shardtool bench as DESIGN promises it: the same hashes however it is run, parts that add up, all
# names of its JSON, and memory within the budget.
set -eu
: "${SHARDTOOL:=./shardtool}" "${PYTHON:=python3}"
tmp=$(mktemp -d "${TMPDIR:-/tmp}/shardline-bench.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
"$PYTHON" - "$SHARDTOOL" "$tmp" <<'END'
import json, random, signal, subprocess, sys

tool, tmp = sys.argv[1:]
rng = random.Random(5)
words = ["w%d" % i for i in range(5000)]
with open(tmp + "/rows.jsonl", "w") as f:
    for i in range(60000):
        f.write(json.dumps({"id": i, "text": " ".join(rng.choices(words, k=rng.randrange(30)))}) + "\n")
ds = tmp + "/ds"
open(tmp + "/none.jsonl", "w").close()
subprocess.run([tool, "ingest", "-o", tmp + "/none", tmp + "/none.jsonl", "--schema", "id:int64"], check=True,
               capture_output=True)
none = subprocess.run([tool, "bench", "--json", tmp + "/none"], check=True, capture_output=True)
none = json.loads(none.stdout)
assert none["rows"] == 0 and none["limit"] == "none" and "decod" not in none["advice"], none
subprocess.run([tool, "ingest", "-o", ds, tmp + "/rows.jsonl", "--row-group-bytes", "64K",
                "--dedup", "none"], check=True, capture_output=True)


def bench(*args, fails=0):
    p = subprocess.run([tool, "bench", ds, "--json", *map(str, args)], capture_output=True, text=True)
    if fails:
        assert p.returncode == fails, (args, p.returncode, p.stderr)
        return json.loads(p.stdout)["error"]
    assert p.returncode == 0, (args, p.stderr)
    return json.loads(p.stdout)


base = ["--epochs", 2, "--seed", 9, "--batch-size", 64, "--partitions", 8]
whole = bench(*base)
for name in ("rows bytes_decoded bytes_read reads submits seconds cpu_seconds first_batch_seconds "
             "stall_fraction peak_memory limit content_hash order_hash").split():
    assert name in whole, name
assert whole["rows"] == 120000 and whole["limit"] in "disk read decode memory consumer".split()
assert len(whole["order_hash"]) == 16 and whole["permuted_whole"] is False
hashes = whole["content_hash"], whole["order_hash"]

for args in (["--threads", 1], ["--threads", 3], ["--io", "pread"], ["--direct"],
             ["--memory", whole["memory_min"]], ["--memory", "1G", "--threads", 2]):
    b = bench(*base, *args)
    assert (b["content_hash"], b["order_hash"]) == hashes, args
for args in (["--shuffle", "none"], ["--shuffle", "full"], ["--seed", 10], ["--window", 1]):
    b = bench(*base, *args)
    assert b["content_hash"] == hashes[0] and b["order_hash"] != hashes[1], args


def total(runs):
    return tuple("%016x" % (sum(int(r[k], 16) for r in runs) % 2**64)
                 for k in ("content_hash", "order_hash"))


for n in (2, 3, 5):
    assert total([bench(*base, "--ranks", n, "--rank", r) for r in range(n)]) == hashes, n
for cut in (1, 500, 938, whole["stop_step"] - 1):
    parts = [bench(*base, "--stop-step", cut), bench(*base, "--start-step", cut)]
    assert total(parts) == hashes, cut

two = bench(*base, "--columns", "text,id")
one = bench(*base, "--columns", "id")
assert one["bytes_read"] < two["bytes_read"] and one["bytes_decoded"] >= 120000 * 8
assert one["bytes_decoded"] < two["bytes_decoded"] and two["submits"] < two["reads"]
last = bench(*base, "--start-step", whole["stop_step"] - 1)
assert last["batches"] == 1 and last["reads"] <= 8 * 4

for mb in (64, 128):
    b = bench(*base, "--memory", "%dM" % mb)
    assert b["peak_memory"] <= (mb + 32) << 20, (mb, b["peak_memory"])
    assert b["memory_used"] <= mb << 20
text = bench(*base, "--memory", 1000, fails=2)
assert str(whole["memory_min"]) in text, text
slow = bench("--batch-size", 4096, "--step-us", 20000)
assert slow["limit"] == "consumer" or slow["stall_fraction"] > 0.02, slow
quiet = bench("--no-hash")
assert quiet["content_hash"] is None and quiet["order_hash"] is None
bench("--partitions", 7, fails=2)
bench("--split", "nothing", fails=2)
bench("--columns", "nothing", fails=2)
bench("--partitions", 65537, "--batch-size", 65537, fails=2)
# In the middle of a long run; the next one is as ever. A shell's background job ignores SIGINT.
for name in ("SIGINT", "SIGTERM", "SIGKILL"):
    p = subprocess.Popen([tool, "bench", ds, "--epochs", "1000", "--progress", "always"],
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                         preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    assert p.stderr.read(1), name
    p.send_signal(getattr(signal, name))
    p.communicate()
    assert p.returncode == -getattr(signal, name), (name, p.returncode)
assert (bench(*base)["order_hash"]) == hashes[1]
table = subprocess.run([tool, "bench", ds], capture_output=True, text=True, check=True).stdout
assert "rows" in table and "limit" in table
END
