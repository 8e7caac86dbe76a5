"""cat --where and export --where: the rows that Python takes, and only what must be is read."""

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
    for expr in ("year = 'x'", "name > 5", "(", "year = ", "ids = 3", "year = 1 1", "x = NULL", ""):
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
