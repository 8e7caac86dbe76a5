#!/bin/sh
# The loader's budget: memory_min works, with the same rows in the same order and the resident set
# within 32 MiB of it, and a byte less is refused with that very number. Over datasets of many
# shapes, each loaded in several ways; every run is a process of its own.
set -eu
: "${SHARDTOOL:=./shardtool}" "${PYTHON:=python3}"
tmp=$(mktemp -d "${TMPDIR:-/tmp}/shardline-budget.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
"$PYTHON" - "$SHARDTOOL" "$tmp" <<'END'
import json, os, random, subprocess, sys

tool, tmp = sys.argv[1:]
rng = random.Random(11)
ballast = b"x" * (100 << 20) # what the resident set of the programs must not take over from us
# A sanitizer keeps freed memory back, and shadows all of it: then the account alone is checked.
asan = b"libasan" in subprocess.run(["ldd", tool], capture_output=True).stdout


def words(n):
    return " ".join(rng.choices(["alpha", "beta", "gamma", "x", "of", "delta-%d" % n], k=n))


def lines(name, rows):
    with open("%s/%s.jsonl" % (tmp, name), "w") as f:
        for r in rows:
            f.write(json.dumps(r) + "\n")
    return ["%s/%s.jsonl" % (tmp, name)]


def files(name, sizes):
    os.mkdir("%s/%s" % (tmp, name))
    for i, n in enumerate(sizes):
        with open("%s/%s/%d" % (tmp, name, i), "wb") as f:
            f.write(rng.randbytes(n))
    return ["%s/%s" % (tmp, name), "--format", "files"]


def clump(i):
    return words(12000 if i % 4000 < 20 else 2)


sets = {
    "numbers": lines("numbers", ({"n": i * i} for i in range(60000))),
    "text": lines("text", ({"id": i, "text": words(rng.randrange(60))} for i in range(20000))),
    "sorted": lines("sorted", ({"t": words(i // 25)} for i in range(5000))),
    "clumps": lines("clumps", ({"id": i, "t": clump(i)} for i in range(12000))),
    "lists": lines("lists", ({"l": [rng.randrange(99)] * rng.randrange(40),
                              "s": [words(2)] * rng.randrange(6), "b": None if i % 3 else True}
                             for i in range(8000))),
    "wide": lines("wide", ({"c%d" % k: i + k for k in range(1500)} for i in range(60))),
    "empty lists": lines("empty", ({"l": [], "z": None, "k": [1] if i == 0 else []}
                                   for i in range(3000))),
    "two kinds": lines("two", ({"a" if i < 9000 else "b": words(60)} for i in range(18000))),
    "one row": lines("one", [{"a": "b" * 100000}]),
    "large": files("large", [3 << 20, 9 << 20, 1 << 20, 5, 0, 2 << 20, 17 << 20, 1200000]),
}
sets["many shards"] = sets["text"] + ["--shard-bytes", "64K"]
shapes = [
    [],
    ["--batch-size", 7, "--partitions", 7, "--window", 1, "--shuffle", "none"],
    ["--batch-size", 3000, "--partitions", 2, "--window", 3, "--io", "pread"],
    ["--batch-size", 1, "--shuffle", "full"],
    ["--batch-size", 16, "--partitions", 16, "--window", 1, "--shuffle", "none", "--threads", 3],
]


def bench(ds, *args):
    p = subprocess.run([tool, "bench", ds, "--json", "--progress", "never", *map(str, args)],
                       capture_output=True, text=True)
    return p.returncode, json.loads(p.stdout)


for i, (name, inputs) in enumerate(sets.items()):
    ds = "%s/ds%d" % (tmp, i)
    subprocess.run([tool, "ingest", "-o", ds, *inputs, "--dedup", "none", "--row-group-bytes", "256K"],
                   check=True, capture_output=True)
    for shape in shapes:
        if name in ("numbers", "text", "clumps", "many shards") and "full" in shape:
            shape = shape + ["--batch-size", 64]
        where = name, shape
        status, free = bench(ds, *shape)
        assert status == 0, (where, free)
        least = free["memory_min"]
        status, b = bench(ds, *shape, "--memory", least)
        assert status == 0, (where, b)
        for key in ("rows", "content_hash", "order_hash"):
            assert b[key] == free[key], (where, key)
        assert asan or b["peak_memory"] <= least + (32 << 20), (where, least, b["peak_memory"])
        assert b["memory_used"] <= least + (4 << 20), (where, least, b["memory_used"])
        status, less = bench(ds, *shape, "--memory", least - 1)
        assert status == 2 and " %d bytes " % least in less["error"], (where, status, less)
END
