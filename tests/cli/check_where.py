"""cat --where and export --where: the rows that Python takes, and only what must be is read."""

import datetime
import json
import os
import random

from util import data, ingest, json_lines, main, tool, tool_json, write


def where(ds, expr, *opts):
    """Rows and what was read."""
    out, said = tool("cat", ds, "--where", expr, "--json", *opts)
    return json_lines(out), json.loads(said)


def make(tmp, lines, *opts):
    path = write(os.path.join(tmp, "rows.jsonl"), "".join(json.dumps(x) + "\n" for x in lines))
    ds = os.path.join(tmp, "ds")
    ingest(ds, *opts, path)
    return ds


def rows_of_years(n):
    """Ordered by year, as data often is by time; name and x are not."""
    rng = random.Random(5)
    return [{"id": i, "year": 1900 + i // 500, "name": rng.choice(("Anna", "Bert", "it's", "\u00e4")),
             "x": None if i % 7 == 0 else rng.random(), "ids": list(range(i % 5)),
             "text": "%d " % rng.getrandbits(400) * 3} for i in range(n)]


def test_rows_are_those_of_python(tmp):
    rows = rows_of_years(20000)
    ds = make(tmp, rows, "--row-group-bytes", "256K", "--shard-bytes", "160K")
    cases = [
        ("year = 1903", lambda r: r["year"] == 1903),
        ("year < 1901 OR year >= 1939", lambda r: r["year"] < 1901 or r["year"] >= 1939),
        ("name = 'it''s' AND x > 0.5",
         lambda r: r["name"] == "it's" and r["x"] is not None and r["x"] > 0.5),
        ("NOT x > 0.5", lambda r: r["x"] is not None and not r["x"] > 0.5),
        ("x IS NULL && id != 7", lambda r: r["x"] is None and r["id"] != 7),
        ("length(ids) >= 3 AND NOT (name LIKE 'B%' OR name = '\u00e4')",
         lambda r: len(r["ids"]) >= 3 and not (r["name"][0] == "B" or r["name"] == "\u00e4")),
        ("id IN (5, 6, 19999, -1, 6.5)", lambda r: r["id"] in (5, 6, 19999)),
        ("id BETWEEN 100 AND 110", lambda r: 100 <= r["id"] <= 110),
        ("false", lambda r: False),
    ]
    for expr, keep in cases:
        got, n = where(ds, expr)
        want = [r for r in rows if keep(r)]
        assert [r["id"] for r in got] == [r["id"] for r in want], expr
        assert got == want, expr
        assert n["rows"] == len(want), (expr, n)
        # Columns that are not those of the filter, in another order, and a limit.
        got, n = where(ds, expr, "--columns", "text,id", "-n", "9")
        assert got == [{"text": r["text"], "id": r["id"]} for r in want[:9]], expr
        assert n["rows"] == min(9, len(want))


def test_skips_shards_and_row_groups(tmp):
    rows = rows_of_years(20000)
    ds = make(tmp, rows, "--row-group-bytes", "256K", "--shard-bytes", "160K")
    info = tool_json("info", ds)
    assert info["shards"] > 5 and info["row_groups"] > 20, info
    got, n = where(ds, "year = 1920")
    assert len(got) == 500
    assert 1 <= n["groups_read"] <= 3, n
    assert n["groups_read"] + n["groups_skipped"] == info["row_groups"], n
    assert n["shards_skipped"] >= info["shards"] - 2, n
    got, n = where(ds, "x > 0.5 OR x <= 0.5 OR x IS NULL")  # nothing can be skipped
    assert len(got) == 20000 and n["groups_read"] == info["row_groups"], n
    # What is skipped is not opened: all shards but the needed ones may be missing.
    for name in os.listdir(os.path.join(ds, "shards")):
        path = os.path.join(ds, "shards", name)
        os.rename(path, path + "-")
    assert where(ds, "year = 1700") == (
        [], {"rows": 0, "groups_read": 0, "groups_skipped": info["row_groups"],
             "shards_skipped": info["shards"]})
    tool("cat", ds, "--where", "year = 1920", status=1)


def test_reads_only_the_columns_it_needs(tmp):
    """Damage in a column that is neither filtered by nor printed is not seen; nor is it where no row
    of the group is wanted."""
    rows = rows_of_years(5000)
    ds = make(tmp, rows, "--codec", "none")
    (name,) = os.listdir(os.path.join(ds, "shards"))
    path = os.path.join(ds, "shards", name)
    with open(path, "r+b") as f:
        raw = f.read()
        at = raw.index(rows[17]["text"].encode())
        f.seek(at)
        f.write(b"~")
    assert len(where(ds, "x > 0.9", "--columns", "id,name")[0]) > 300
    assert where(ds, "x > 7")[0] == []  # read by statistics or not: no row
    assert where(ds, "name = 'Ann'")[0] == []  # the statistics cannot tell
    tool("cat", ds, "--where", "x > 0.9", status=1)
    tool("cat", ds, "--where", "text LIKE '%a'", status=1)


def test_exact_numbers_and_nan(tmp):
    big = [{"i": 2**53}, {"i": 2**53 + 1}, {"i": -2**63}, {"i": 2**63 - 1}]
    ds = make(tmp, big)
    for expr, want in (("i = 9007199254740993", [big[1]]), ("i > 9007199254740992.0", [big[1], big[3]]),
                       ("i < 9223372036854775807", big[:3]), ("i >= 9223372036854775808", []),
                       ("i IN (9007199254740992)", big[:1])):
        assert where(ds, expr)[0] == want, expr


def test_timestamps_are_compared_with_times(tmp):
    start = datetime.datetime(1969, 12, 31, 20, tzinfo=datetime.timezone.utc)
    times = [start + datetime.timedelta(milliseconds=1250 * i) for i in range(20000)]
    lines = [{"id": i, "t": None if i % 9 == 0 else t.isoformat()} for i, t in enumerate(times)]
    ds = make(tmp, lines, "--schema", "id:int32,t:timestamp[ms]?", "--row-group-bytes", "16K")

    def at(text):
        t = datetime.datetime.fromisoformat(text)
        return t if t.tzinfo else t.replace(tzinfo=datetime.timezone.utc)

    ops = {"=": "__eq__", "<>": "__ne__", "<": "__lt__", "<=": "__le__", ">": "__gt__", ">=": "__ge__"}
    for text in ("1970-01-01", "1969-12-31T20:00:01.250Z", "1970-01-01 02:00:00+02:00", "1969-12-31T21:00:00.001",
                 "1800-01-01", "9999-12-31T23:59:59.999Z"):
        for op, name in ops.items():
            want = [i for i, t in enumerate(times) if i % 9 and getattr(t, name)(at(text))]
            got, n = where(ds, "t %s '%s'" % (op, text), "--columns", "id")
            assert [r["id"] for r in got] == want, (op, text)
        if text[:4] == "1800":
            assert where(ds, "'%s' >= t" % text)[1]["groups_read"] == 0
    got, n = where(ds, "t BETWEEN '1970-01-01' AND '1970-01-01T00:00:10Z' OR t IN ('1969-12-31T20:00:02.5Z', 0)")
    assert [r["id"] for r in got] == [2] + [i for i, t in enumerate(times) if i % 9 and 0 <= t.timestamp() <= 10]
    assert n["groups_skipped"] > n["groups_read"] > 0, n
    for text in ("soon", "2026-02-30", "1970-01-01T00:00:00.0001Z", "", "1e999"):
        said = tool("cat", ds, "--where", "t > '%s'" % text, status=2)[1].decode()
        assert "no time" in said and "timestamp[ms]" in said, said
    for expr in ("t LIKE '1970%'", "t > true", "length(t) = 1", "t IS NAN", "t > x'00'"):
        tool("cat", ds, "--where", expr, status=2)


def test_types_without_order(tmp):
    lines = [{"id": i, "x": None if i % 4 == 0 else [i % 100, 1], "ls": None if i % 5 == 0 else ["a"] * (i % 3),
              "h": i / 4, "c": i / 4} for i in range(200)]
    ds = make(tmp, lines, "--schema", "id:int32,x:tensor<int8,2>?,ls:list<string>?,h:float16,c:bfloat16")
    for expr, keep in (("x IS NULL", lambda r: r["x"] is None), ("x IS NOT NULL", lambda r: r["x"] is not None),
                       ("ls IS NULL", lambda r: r["ls"] is None),
                       ("length(ls) = 2", lambda r: r["ls"] is not None and len(r["ls"]) == 2),
                       ("h = 12.25 OR h >= 49.5", lambda r: r["h"] == 12.25 or r["h"] >= 49.5),
                       ("h < 0.1", lambda r: r["h"] < 0.1), ("c BETWEEN 2.5 AND 3", lambda r: 2.5 <= r["c"] <= 3)):
        assert [r["id"] for r in where(ds, expr)[0]] == [r["id"] for r in lines if keep(r)], expr
    for expr, word in (("x = 3", "only IS NULL goes with it"), ("x = '[1,2]'", "only IS NULL goes with it"),
                       ("length(x) = 2", "has no length"), ("ls = 'a'", "only IS NULL and length()"),
                       ("ls LIKE 'a'", "only IS NULL and length()"), ("h = 'a'", "cannot be compared")):
        said = tool("cat", ds, "--where", expr, status=2)[1].decode()
        assert word in said, (expr, said)


def test_nulls_and_lengths_of_lists_need_no_values(tmp):
    """Damage in the values of long lists is not seen where only their lengths are asked for."""
    rng = random.Random(7)
    lines = [{"id": i, "l": None if i % 8 == 0 else [rng.getrandbits(31) for _ in range(rng.randrange(2000))]}
             for i in range(400)]
    ds = make(tmp, lines, "--schema", "id:int32,l:list<int32>?", "--codec", "none")
    (name,) = os.listdir(os.path.join(ds, "shards"))
    with open(os.path.join(ds, "shards", name), "r+b") as f:
        f.seek(os.path.getsize(f.name) // 2)
        f.write(b"~" * 100)
    for expr, keep in (("l IS NULL", lambda v: v is None), ("length(l) > 1500", lambda v: v and len(v) > 1500)):
        got = where(ds, expr, "--columns", "id")[0]
        assert [r["id"] for r in got] == [r["id"] for r in lines if keep(r["l"])], expr
    tool("cat", ds, "--where", "l IS NULL", status=1)


def test_nulls_and_lengths_of_large_strings_need_no_values(tmp):
    rng = random.Random(8)
    lines = [{"id": i, "s": None if i == 3 else "%x" % rng.getrandbits(4 * 3000000) if i == 1 else "short"}
             for i in range(5)]
    ds = make(tmp, lines, "--codec", "none")
    (name,) = os.listdir(os.path.join(ds, "shards"))
    with open(os.path.join(ds, "shards", name), "r+b") as f:
        f.seek(os.path.getsize(f.name) // 2)
        f.write(b"~" * 100)
    for expr, want in (("s IS NULL", [3]), ("length(s) > 2900000", [1]), ("length(s) = 5 AND s IS NOT NULL", [0, 2, 4])):
        assert [r["id"] for r in where(ds, expr, "--columns", "id")[0]] == want, expr
    tool("cat", ds, "--where", "s = 'short'", "--columns", "id", status=1)


def test_export(tmp):
    rows = rows_of_years(3000)
    ds = make(tmp, rows)
    out = os.path.join(tmp, "out.jsonl")
    n = tool_json("export", ds, "--where", "year = 1903 and x is null", "-o", out)
    with open(out, "rb") as f:
        got = json_lines(f.read())
    assert got == [r for r in rows if r["year"] == 1903 and r["x"] is None]
    assert n["rows"] == len(got)
    tool("export", ds, "--where", "year = 1903", "--to", "csv", "--columns", "id", "-o", out)
    with open(out) as f:
        assert f.read().split() == ["id"] + [str(r["id"]) for r in rows if r["year"] == 1903]


def test_mistakes_are_wrong_usage(tmp):
    ds = make(tmp, rows_of_years(10))
    out, said = tool("cat", ds, "--where", "name = 'a' AND yeer = 5", status=2)
    lines = said.decode().split("\n")
    assert out == b"" and "no column yeer" in lines[0], said
    assert lines[2].index("^") == lines[1].index("yeer"), said
    for expr in ("year = 'x'", "name > 5", "(", "year = ", "ids = 3", "year = 1 1", "x = NULL", "",
                 "name LIKE x'5c'", "name LIKE x'5c00'"):
        out, said = tool("cat", ds, "--where", expr, "--json", status=2)
        assert "where" in json.loads(out)["error"], (expr, out)
    tool("cat", ds, "--where", "(" * 5000 + "x", status=2)


def test_data_folder(tmp):
    path = data("adult")
    names = [n for n in sorted(os.listdir(path)) if n.endswith((".data", ".csv", ".csv.gz", ".data.gz"))]
    assert names, os.listdir(path)
    ds = os.path.join(tmp, "adult")
    ingest(ds, "--format", "csv", "--no-header", os.path.join(path, names[0]), status=None)
    rows = json_lines(tool("cat", ds)[0])
    want = [r for r in rows if r.get("c0", "")[:1] == "8" and len(r["c0"]) == 2]
    assert where(ds, "c0 LIKE '8_'")[0] == want and want


main(globals())
