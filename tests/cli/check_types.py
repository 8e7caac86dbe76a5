"""Types beyond those of a first look at JSON: lists of strings are inferred; timestamps, floats of 16 bits
and tensors are asked for by --schema. In, out, and what does not fit."""

import datetime
import json
import math
import os
import struct

from util import ingest, json_lines, main, same_records, tool, tool_json, write


def lines(tmp, rows, name="in.jsonl"):
    return write(os.path.join(tmp, name), "".join(json.dumps(r) + "\n" for r in rows))


def types_of(ds):
    return {c["name"]: c["type"] for c in tool_json("info", ds)["columns"]}


def test_lists_of_strings_are_inferred(tmp):
    rows = [{"tags": ["a", "", "\u00e4\u20ac"]}, {"tags": []}, {"tags": None}, {}, {"tags": ["x"] * 300},
            {"tags": ["a", 1]}, {"tags": ["a", None]}, {"tags": "a"}, {"tags": [["a"]]}] * 50
    ds = os.path.join(tmp, "ds")
    ingest(ds, lines(tmp, rows))
    assert types_of(ds)["tags"] == "list<string>", types_of(ds)
    same_records(rows, json_lines(tool("cat", ds)[0]))
    assert tool_json("verify", "--decode", ds)["ok"]


def test_timestamps(tmp):
    utc = datetime.timezone.utc
    texts = ["2026-11-21T14:05:00Z", "1970-01-01T00:00:00.000001Z", "1969-12-31T23:59:59.999999Z",
             "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "2024-02-29 12:00:00+02:00",
             "2000-01-01", "1900-03-01T00:00:00.5-11:30"]
    ds = os.path.join(tmp, "ds")
    ingest(ds, "--schema", "t:timestamp[us]?", lines(tmp, [{"t": t} for t in texts] + [{"t": None}]))
    assert types_of(ds)["t"] in ("timestamp[us]", "timestamp[us]?"), types_of(ds)
    got = [r.get("t") for r in json_lines(tool("cat", ds)[0])]
    assert got[-1] is None
    for text, back in zip(texts, got):
        want = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
        want = want if want.tzinfo else want.replace(tzinfo=utc)
        assert datetime.datetime.fromisoformat(back.replace("Z", "+00:00")) == want, (text, back)
        assert len(back) == 27 and back.endswith("Z"), back
    # Numbers are counts of the unit; what is finer than it, or no date, is a reject.
    csv = write(os.path.join(tmp, "in.csv"), "t\n2026-01-01T00:00:00Z\n1500\n2026-01-01T00:00:00.5Z\n"
                "2026-02-30\n2026-01-01T24:00:00Z\nsoon\n")
    ds = os.path.join(tmp, "csv")
    r = ingest(ds, "--schema", "t:timestamp[s]", "--max-bad", "100%", csv, status=3)
    assert r["rows_written"] == 2 and r["rejected"] == 4, r
    out = os.path.join(tmp, "out.csv")
    tool("export", ds, "--to", "csv", "-o", out)
    assert open(out).read() == "t\n2026-01-01T00:00:00Z\n1970-01-01T00:25:00Z\n", open(out).read()


def test_all_of_a_timestamp_can_be_read_back(tmp):
    ends = ["1677-09-21T00:12:43.145224192Z", "2262-04-11T23:47:16.854775807Z"]
    ds = os.path.join(tmp, "ds")
    r = ingest(ds, "--schema", "t:timestamp[ns]", "--max-bad", "100%", lines(tmp, [{"t": t} for t in (
        ends[0], -2**63, ends[0].replace("192Z", "191Z"), ends[1], 2**63 - 1, ends[1].replace("807Z", "808Z"))]), status=3)
    assert r["rejected"] == 2, r
    assert [x["t"] for x in json_lines(tool("cat", ds)[0])] == [ends[0]] * 2 + [ends[1]] * 2
    assert len(json_lines(tool("cat", ds, "--where", "t = '%s'" % ends[0])[0])) == 2


def half(x):
    return struct.unpack("<e", struct.pack("<e", x))[0]


def bfloat(x):
    bits = struct.unpack("<I", struct.pack("<f", x))[0]
    bits += 0x7fff + (bits >> 16 & 1)
    return struct.unpack("<f", struct.pack("<I", bits & 0xffff0000))[0]


def test_floats_of_16_bits(tmp):
    values = [0.0, -0.0, 1, 0.1, -2.5, 65504, 6e-8, 1e-9, 2049, 3.14159, 1 / 3, 1e-5]
    ds = os.path.join(tmp, "ds")
    ingest(ds, "--schema", "h:float16,b:bfloat16,l:list<float16>",
           lines(tmp, [{"h": v, "b": v, "l": [v, 1]} for v in values]))
    for v, r in zip(values, json_lines(tool("cat", ds)[0])):
        assert half(r["h"]) == half(v) and bfloat(r["b"]) == bfloat(v), (v, r)
        assert r["l"] == [r["h"], 1], (v, r)
        assert len(repr(r["h"]).strip("-").replace("0.", "").split("e")[0]) <= 7, r
    assert json_lines(tool("cat", ds)[0])[3]["h"] == 0.1
    r = ingest(os.path.join(tmp, "big"), "--schema", "h:float16", "--max-bad", "100%",
               lines(tmp, [{"h": 65519}, {"h": 65520}], "big.jsonl"), status=3)
    assert r["rows_written"] == 1 and r["rejected"] == 1, r


def test_floats_round_by_one_rule(tmp):
    """Too small: zero, with its sign. Too large: refused. Whole numbers that float32 holds exactly: taken."""
    tiny = ["1e-8", "-1e-46", "1e-400", "-0.%s1e-9" % ("0" * 400), "3e-45"]
    small = write(os.path.join(tmp, "s.jsonl"),
                  "".join('{"h": %s, "b": %s, "f": %s, "d": %s, "l": [%s]}\n' % ((v,) * 5) for v in tiny))
    table = write(os.path.join(tmp, "s.csv"), "h,b,f,d\n" + "".join("%s,%s,%s,%s\n" % ((v,) * 4) for v in tiny))
    for name, path, types in (("json", small, ",l:list<float64>"), ("csv", table, "")):
        ds = os.path.join(tmp, name)
        ingest(ds, "--schema", "h:float16,b:bfloat16,f:float32,d:float64" + types, path)
        for text, r in zip(tiny, json_lines(tool("cat", ds)[0]), strict=True):
            v = float(text)
            single = struct.unpack("<f", struct.pack("<f", v))[0]
            assert struct.unpack("<f", struct.pack("<f", r["f"]))[0] == single and r["d"] == v, (text, r)
            assert half(r["h"]) == half(v) and bfloat(r["b"]) == bfloat(v), (text, r)
            assert all(math.copysign(1, r[k]) == math.copysign(1, v) for k in "hbfd"), (text, r)
    whole = [2**63, 2**64 - 2**40, 2**53, -2**63]
    ds = os.path.join(tmp, "whole")
    ingest(ds, "--schema", "f:float32,d:float64", lines(tmp, [{"f": v, "d": v} for v in whole], "w.jsonl"))
    got = json_lines(tool("cat", ds)[0])
    assert [struct.pack("<f", r["f"]) for r in got] == [struct.pack("<f", v) for v in whole], got
    bad = [{"f": 2**63 + 1}, {"f": 2**64 - 2**39}, {"f": 2**24 + 1}, {"f": 1e39}, {"f": -1e39}]
    r = ingest(os.path.join(tmp, "bad"), "--schema", "f:float32", "--max-bad", "100%",
               lines(tmp, bad, "bad.jsonl"), status=3)
    assert r["rejected"] == len(bad), r


def test_tensors(tmp):
    def tensor(k):
        return [[[(k * 7 + i * 12 + j * 4 + n) % 251 for n in range(4)] for j in range(3)] for i in range(2)]

    rows = [{"x": tensor(k), "y": k} for k in range(500)]
    rows[3]["x"] = None
    ds = os.path.join(tmp, "ds")
    ingest(ds, "--schema", "x:tensor<uint8,2,3,4>?,y:int64", lines(tmp, rows))
    assert types_of(ds)["x"].startswith("tensor<uint8,2,3,4>"), types_of(ds)
    got = json_lines(tool("cat", ds)[0])
    assert all(r.get("x") == w["x"] and r["y"] == w["y"] for r, w in zip(got, rows))
    # What the schema command prints makes the same dataset; flat is understood, another shape is not.
    schema = tool("schema", ds)[0].decode()
    bad = [{"x": sum(sum(tensor(1), []), []), "y": 1}, {"x": tensor(1)[:1], "y": 2},
           {"x": [1] * 23, "y": 3}, {"x": tensor(1)[:1] + [[[1] * 4] * 3], "y": 4},
           {"x": [[[1, 2, 3, 256]] * 3] * 2, "y": 5}]
    r = ingest(os.path.join(tmp, "bad"), "--schema", schema, "--max-bad", "100%",
               lines(tmp, bad, "bad.jsonl"), status=3)
    assert r["rows_written"] == 2 and r["rejected"] == 3, r
    assert json_lines(tool("cat", os.path.join(tmp, "bad"))[0])[0]["x"] == tensor(1)


def test_types_that_are_none(tmp):
    path = lines(tmp, [{"x": 1}])
    for schema in ("x:tensor<uint8>", "x:tensor<string,3>", "x:tensor<uint8,0>", "x:timestamp[h]",
                   "x:list<list<int8>>", "x:tensor<uint8,65536,65536>", "x:tensor<uint8,1,2", "x:float8"):
        tool("ingest", "-o", os.path.join(tmp, "ds"), "--schema", schema, path, status=2)


main(globals())
