"""shardtool get: rows by number are those of cat, whatever the pages, the order and the backend."""

import json
import os
import random

from util import ingest, main, tool, tool_json, write


def make(tmp, n, *opts):
    rng = random.Random(5)
    rows = "".join('{"i": %d, "x": %s, "t": "%s", "l": [%s]}\n' % (
        i, rng.choice(("null", "1.5", "-2e9")), "ab " * rng.randrange(90),
        ", ".join(str(rng.randrange(999)) for _ in range(rng.randrange(5)))) for i in range(n))
    ds = os.path.join(tmp, "ds%d" % len(os.listdir(tmp)))
    ingest(ds, *opts, write(os.path.join(tmp, "in.jsonl"), rows))
    return ds, tool("cat", ds)[0].splitlines()


def lines(*args, **kw):
    return tool("get", *args, **kw)[0].splitlines()


def test_get_is_cat(tmp):
    rng = random.Random(6)
    for opts in ((), ("--page-bytes", "4K"), ("--page-bytes", "4K", "--row-group-bytes", "20K",
                                              "--shard-bytes", "30K", "--split", "a=1,b=1")):
        ds, want = make(tmp, 3000, *opts)
        assert lines(ds, "0-2999") == want
        for io in ("auto", "pread"):
            rows = [rng.randrange(3000) for _ in range(200)]
            got = lines("--io", io, ds, ",".join(map(str, rows[:100])), *rows[100:])
            assert got == [want[r] for r in rows]


def test_order_and_ranges(tmp):
    ds, want = make(tmp, 50)
    assert lines(ds, "7,3-5", "3", "0-0,49") == [want[i] for i in (7, 3, 4, 5, 3, 0, 49)]
    assert lines(ds, "--columns", "i", "2", "1") == [b'{"i":2}', b'{"i":1}']
    got = lines(ds, "1", "-", "2", stdin=b"4\n\n 6,8-9 \r\n0")
    assert got == [want[i] for i in (1, 4, 6, 8, 9, 0, 2)]
    assert lines(ds, "-", stdin=b"") == []
    assert lines(ds, "-", stdin=b"\n".join(b"%d" % (i % 50) for i in range(40000))) == want * 800


def test_names_with_commas(tmp):
    row = {"a,b": 1, 'q"u,o"te': 2, "c": 3, '"half': 4, "a": 5}
    ds, path = os.path.join(tmp, "ds"), write(os.path.join(tmp, "x.jsonl"), json.dumps(row))
    ingest(ds, path)
    for names, want in (('"a,b"', ["a,b"]), ('"a,b",c', ["a,b", "c"]), ('c,"q""u,o""te","a"', ["c", 'q"u,o"te', "a"]),
                        ('"half,a', ['"half', "a"]), ('"""half"', ['"half'])):
        want = json.dumps([[k, row[k]] for k in want])
        for verb in (["get", ds, "0"], ["cat", ds]):
            out, _ = tool(*verb, "--columns", names)
            assert json.dumps(json.loads(out, object_pairs_hook=list)) == want, (names, out)
        assert tool_json("bench", ds, "--columns", names)["rows"] == 1
    for names in ("a,b", '"a,b', '"a,b"c', '"a,b",', ""):
        tool("get", ds, "0", "--columns", names, status=2)
    kept = os.path.join(tmp, "kept")
    ingest(kept, path, "--columns", '"a,b",c', "--dedup", "exact", "--dedup-key", '"a,b"')
    assert json.loads(tool("cat", kept)[0]) == {"a,b": 1, "c": 3}


def test_what_is_wrong_is_said(tmp):
    ds, _ = make(tmp, 50)
    for args, status, word in ((["50"], 1, "50"), (["0-50"], 1, "no row 50"), (["x"], 2, "'x'"),
                               (["1,"], 2, "''"), (["5-3"], 2, "'5-3'"), ([], 2, "which rows"),
                               (["99999999999999999999"], 2, "9999"), (["0", "--columns", "q"], 2, "'q'"),
                               (["1-"], 2, "'1-'"), (["0", "--io", "fast"], 2, "fast")):
        out, err = tool("get", ds, *args, status=status)
        assert out == b"" and word in err.decode(), (args, out, err)
    _, err = tool("get", ds, "-", stdin=b"1\n2\nthree\n", status=1)
    assert b"line 3" in err and b"three" in err, err
    for raw in ((), ("--raw", "t")):  # arguments are usage, standard input is data
        assert b"'x'" in tool("get", ds, "x", *raw, status=2)[1]
        assert b"line 1: 'x'" in tool("get", ds, "-", *raw, stdin=b"x\n", status=1)[1]
    _, err = tool("get", os.path.join(tmp, "none"), "1", status=1)
    assert b"none" in err


def test_a_line_is_read_to_its_end(tmp):
    ds, _ = make(tmp, 50)
    _, err = tool("get", ds, "-", stdin=b"1\n2\0 3\n", status=1)
    assert b"line 2" in err and b"zero byte" in err, err


def test_raw_is_of_one_row_and_of_bytes(tmp):
    ds, _ = make(tmp, 50)
    _, err = tool("get", ds, "50", "--raw", "t", status=1)
    assert err == tool("get", ds, "50", status=1)[1] and b"has no row 50" in err, err
    for args, word in ((["0,1", "--raw", "t"], "one row"), (["0", "--raw", "q"], "'q'"),
                       (["0", "--raw", "t", "--columns", "i"], "exclude"), (["0", "--columns", "i", "--raw", "t"], "exclude"),
                       (["0", "--raw", "i"], "column i is not of strings or bytes")):
        out, err = tool("get", ds, *args, status=2)
        assert out == b"" and word in err.decode(), (args, out, err)


if __name__ == "__main__":
    main(globals())
