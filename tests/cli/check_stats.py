"""shardtool stats: what Python counts in the input, from the footers alone."""

import csv
import json
import os
import struct

from util import data, ingest, main, tool, tool_json, write

SMALL = ("--row-group-bytes", "64K", "--shard-bytes", "100K")


def stats(ds, *columns):
    return {c["name"]: c for c in tool_json("stats", ds, *columns)["columns"]}


def prefix(text):
    """The first 16 bytes, to a whole character."""
    return text.encode()[:16].decode(errors="ignore")


def check(got, values, kind=None):
    """One column against all its values; None is null. kind: "number", "text", "list" or None."""
    there = [v for v in values if v is not None]
    assert got["rows"] == len(values) and got["nulls"] == len(values) - len(there), got
    if kind in ("number", "text") and there:
        keys = [v.encode() for v in there] if kind == "text" else there
        low, high = there[keys.index(min(keys))], there[keys.index(max(keys))]
        if kind == "text":
            cut = [len(v.encode()) > 16 for v in (low, high)]
            assert got["max_cut"] == cut[1] and (got["min_cut"] or not cut[0]), got
            low, high = prefix(low), prefix(high)
        assert (got["min"], got["max"]) == (low, high), (got, low, high)
        n = len({json.dumps(v) for v in there})  # so that both zeros count
        assert got["distinct_min"] <= n <= got["distinct_max"], (got, n)
        assert got["distinct"] in (None, n), (got, n)
    else:
        assert got["min"] is None and got["max"] is None, got
    if kind in ("text", "list"):
        total = sum(len(v.encode()) if kind == "text" else len(v) for v in there)
        assert got["total_length"] == total, (got, total)
        assert got["mean_length"] == (total / len(there) if there else None), (got, total)
    else:
        assert got["total_length"] is None and got["mean_length"] is None, got


def test_adult(tmp):
    path = data("adult", "adult.data")
    with open(path, newline="") as f:
        rows = [r for r in csv.reader(f) if r]
    for i, opts in enumerate(((), SMALL)):
        ds = os.path.join(tmp, "ds%d" % i)
        ingest(ds, "--format", "csv", "--no-header", "--dedup", "none", *opts, path)
        info, got = tool_json("info", ds), stats(ds)
        assert (info["row_groups"] > 20 and info["shards"] > 3) if opts else info["row_groups"] < 5, info["row_groups"]
        assert len(got) == 16 and got["_extra"]["nulls"] == len(rows), got["_extra"]
        for c in info["columns"][:-1]:
            values = [r[int(c["name"][1:])] for r in rows]
            if c["type"] == "string":
                check(got[c["name"]], values, "text")
            else:
                check(got[c["name"]], [int(v) for v in values], "number")
            assert (got[c["name"]]["bytes"], got[c["name"]]["raw_bytes"]) == (c["bytes"], c["raw_bytes"])


def test_gsm8k(tmp):
    path = data("gsm8k", "train.jsonl")
    with open(path) as f:
        rows = [json.loads(line) for line in f]
    ds = os.path.join(tmp, "ds")
    ingest(ds, "--dedup", "none", *SMALL, path)
    got = stats(ds)
    for name in ("answer", "question"):
        check(got[name], [r[name] for r in rows], "text")


def rows_of_all_types(n):
    for i in range(n):
        yield {"u": 2**63 + i * 10**14 if i % 5 else None, "i": -2**63 + i, "small": i * 7 % 100 - 50, "zero": 0.0,
               "t": "20%02d-01-01T00:00:00.%03dZ" % (i * 80 // n, i % 1000),
               "h": (i - n / 2) / 64, "f": -0.0 if i % 3 else 0.0, "b": i % 2 == 0 if i % 7 else None,
               "none": None, "x": [i % 100, -1], "ls": ["a"] * (i % 3), "l": list(range(i % 4)) if i % 6 else None,
               "empty": [], "s": ("\u00e4" * 7 + "a\u20ac" + str(i)) if i % 2 else "" if i % 4 else "b"}


def test_all_types(tmp):
    rows = list(rows_of_all_types(5000))
    ds = os.path.join(tmp, "ds")
    ingest(ds, "--dedup", "none", *SMALL, "--schema",
           "u:uint64?,i:int64,small:int8,zero:float32,t:timestamp[ms],h:float16,f:float32,b:bool?,none:int16?,x:tensor<int8,2>,"
           "ls:list<string>,l:list<int32>?,empty:list<int8>,s:string",
           write(os.path.join(tmp, "in.jsonl"), "".join(json.dumps(r) + "\n" for r in rows)))
    assert tool_json("info", ds)["row_groups"] > 5
    got = stats(ds)
    kinds = {"l": "list", "empty": "list", "s": "text", "x": None, "ls": None, "none": "number"}
    for name, column in got.items():
        values = [r[name] for r in rows]
        if name == "h":
            values = [struct.unpack("<e", struct.pack("<e", v))[0] for v in values]
        check(column, values, kinds.get(name, "number"))
    assert json.dumps([got["f"]["min"], got["f"]["max"]]) in ("[0.0, 0.0]", "[0, 0]")
    assert got["zero"]["distinct_min"] == 1, got["zero"]
    assert got["none"]["distinct"] == 0 and got["b"]["distinct"] == 2, got
    assert got["small"]["distinct_max"] == 100 and got["small"]["distinct_min"] >= 2, got["small"]


def test_values_of_a_small_table_are_counted(tmp):
    """As Python counts them: those of any column but numbers of one byte, none of which is here."""
    path = data("titanic", "titanic.csv")
    ds = os.path.join(tmp, "ds")
    ingest(ds, path)
    with open(path, newline="") as f:
        rows = list(csv.DictReader(f))
    got = {c["name"]: c for c in tool_json("stats", ds)["columns"]}
    for name in rows[0]:
        assert got[name]["distinct"] == len({r[name] for r in rows if r[name]}), got[name]


def test_reads_no_values_and_picks_columns(tmp):
    ds = os.path.join(tmp, "ds")
    rows = [{"a": i, "b": "text %d" % i} for i in range(1000)]
    ingest(ds, write(os.path.join(tmp, "in.jsonl"), "".join(json.dumps(r) + "\n" for r in rows)))
    before = stats(ds)
    assert list(stats(ds, "b", "a", "b")) == ["b", "a"] and stats(ds, "a") == {"a": before["a"]}
    (name,) = os.listdir(os.path.join(ds, "shards"))
    with open(os.path.join(ds, "shards", name), "r+b") as f:
        f.seek(64)
        f.write(b"\xff" * 100)
    assert stats(ds) == before
    tool("cat", ds, status=1)
    out = tool("stats", ds)[0].decode()
    assert "null 0" in out and "min 0" in out and "max 999" in out and '"text 999"' in out, out
    out = tool("stats", ds, "a", "nope", "--json", status=2)[0]
    assert "no column 'nope'" in json.loads(out)["error"], out
    tool("stats", status=2)


main(globals())
