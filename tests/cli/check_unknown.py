"""Things of a newer version are refused exactly where they stand: a column, a shard or the snapshot, and
whatever can be read without them reads as before. docs/format.md, chapters 10 and 19, is the list. Files
are made by forge.py, with every checksum right."""

import json
import os
import shutil
import struct

import forge
from util import ingest, main, tool, tool_json, tree, write

N = 2000
NEWER = b"written by a newer Shardline?"
COLUMNS = ["id", "text", "f", "flag", "_extra"]


def dataset(tmp):
    """Two shards, of one split each, several row groups in the first."""
    lines = [json.dumps({"id": i * i % 997, "text": "row %d of it" % (i % 7), "f": i / 3,
                         "flag": i % 3 == 0 if i % 5 else None}) for i in range(N)]
    ds = os.path.join(tmp, "ds")
    ingest(ds, write(os.path.join(tmp, "x.jsonl"), "\n".join(lines)), "--split", "train=0.8,test=0.2",
           "--row-group-bytes", "16K")
    return ds


class Known:
    """What the dataset gives before anything is changed."""

    def __init__(self, ds):
        self.ds = ds
        self.rows = tool("cat", ds)[0].splitlines()
        self.without = {c: tool("cat", ds, "--columns", ",".join(x for x in COLUMNS if x != c))[0]
                        for c in COLUMNS}
        self.test = tool("cat", ds, "--split", "test")[0]
        d = forge.Dataset(ds)
        self.groups = d.shards[0].groups
        self.shard = [e["path"].encode() for e in d.segment.rows]


def forged(tmp, known, change):
    copy = os.path.join(tmp, "copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(known.ds, copy)
    d = forge.Dataset(copy)
    change(d)
    d.write()
    return copy


def refused(*args, status=1, also=()):
    """The verb fails, and one line of stderr says why."""
    out, err = tool(*args, status=status)
    lines = [line for line in err.splitlines() if NEWER in line]
    assert len(lines) == 1, (args, out, err)
    for word in also:
        assert word in lines[0], (args, word, lines[0])
    return lines[0]


def same(ds, known):
    assert tool("cat", ds)[0].splitlines() == known.rows
    assert tool("get", ds, "5,%d" % (N - 1))[0].splitlines() == [known.rows[5], known.rows[-1]]
    assert tool_json("verify", "--decode", ds)["ok"]
    assert tool_json("bench", ds)["rows"] > 0
    assert tool_json("recover", ds)["sound"]


def nothing_changes(ds, *also):
    """recover takes what it does not know for no damage."""
    before = tree(ds)
    refused("recover", ds, also=also)
    assert tree(ds) == before


def only_the_column(tmp, known, ds, column, word, group=1):
    """Column of that row group (None: of all) cannot be read; everything else can."""
    name = COLUMNS[column]
    others = ",".join(c for c in COLUMNS if c != name)
    first = sum(known.groups[:group]) if group else 0
    end = first + known.groups[group] if group is not None else known.groups[0]
    place = (known.shard[0], b"row group %d" % (group or 0), b"column %d (%s)" % (column, name.encode()),
             b"page 0", b"rows %d to %d cannot be read" % (first, end - 1), word)

    assert tool("cat", ds, "--columns", others)[0] == known.without[name]
    assert tool_json("bench", ds, "--columns", others)["rows"] > 0
    if group is not None:
        assert tool("cat", ds, "--split", "test")[0] == known.test
        rows = "0-%d,%d-%d" % (first - 1, end, N - 1)
        assert tool("get", ds, rows)[0].splitlines() == known.rows[:first] + known.rows[end:]
    refused("cat", ds, also=place)
    refused("get", ds, str(first), also=place)
    refused("get", ds, "--columns", name, str(end - 1), also=place)
    out = os.path.join(tmp, "out")
    refused("export", ds, "-o", out, also=place)
    assert not os.path.exists(out)
    refused("bench", ds, also=(known.shard[0], b"column %d (%s)" % (column, name.encode()), word, b"rows "))
    assert tool_json("verify", ds)["ok"] and tool_json("verify", "--decode", ds)["ok"]
    tool("info", ds)
    tool("schema", ds)
    nothing_changes(ds, b"column %d (%s)" % (column, name.encode()), word)


def descriptor(page, role):
    """Where the descriptor of a role stands."""
    raw = page.raw
    return next(at for at in range(8, 8 + 12 * raw[4], 12) if raw[at] == role)


def test_nothing_forged(tmp):
    known = Known(dataset(tmp))
    same(forged(tmp, known, lambda d: None), known)


def test_pages(tmp):
    known = Known(dataset(tmp))
    VALIDITY, LENGTHS, VALUES, BYTES = 1, 2, 4, 5

    def codec(p):
        p.kind = 9

    def flag(p):
        p.kind |= 0x100

    def reserved(p):
        p.kind |= 0x10000

    def delta(p):
        """VALUES as DELTA, whose inner encoding is unknown."""
        n = p.n_rows
        data = bytes(8) + bytes([99, 8]) + bytes(8 * n)
        p.raw = struct.pack("<IBBHBBBBII", n, 1, 0, 0, VALUES, 5, 0, 8, n, len(data)) + data

    def packed_floats(p):
        """What the ingest chose may be plain, which would stand elsewhere in the page."""
        n = p.n_rows
        p.raw = struct.pack("<IBBHBBBBII", n, 1, 0, 0, VALUES, 4, 0, 8, n, 8 * n) + bytes(8 * n)

    def poke(at, *values):
        return lambda p: p.poke(at, *values)

    def role(number, at, *values):
        return lambda p: p.poke(descriptor(p, number) + at, *values)

    cases = [
        ("text", codec, b"codec 9"),
        ("text", flag, b"page flags 0x1"),
        ("id", reserved, b"page flags 0x100"),
        ("id", poke(5, 1), b"page of kind 1"),
        ("id", poke(6, 0, 2), b"reserved bits 0x200"),
        ("f", poke(4, 17), b"17 streams"),
        ("f", role(VALUES, 0, 200), b"role 200"),
        ("f", role(VALUES, 1, 77), b"encoding 77"),
        ("f", role(VALUES, 2, 1), b"version 1 of encoding"),
        ("f", packed_floats, b"encoding 4 (for) of the stream of values"),
        ("id", delta, b"encoding 99"),
        ("flag", role(VALIDITY, 1, 2), b"encoding 2 (rle) of the stream of validity"),
        ("flag", role(VALUES, 1, 2), b"encoding 2 (rle) of the stream of values"),
        ("flag", role(VALIDITY, 2, 255), b"version 255 of encoding"),
    ]
    for name, change, word in cases:
        column = COLUMNS.index(name)
        ds = forged(tmp, known, lambda d: change(d.shards[0].page(1, column)))
        only_the_column(tmp, known, ds, column, word)
    for number in (LENGTHS, BYTES):  # in whatever the ingest made of the text
        def plain(d):
            p, text = d.shards[0].page(1, 1), b"x" * known.groups[1]
            n = len(text)
            p.raw = forge.plain_page([(LENGTHS, 1, n, b"\1" * n), (BYTES, 1, n, text)], n)
            p.data_len = 5 * n
            p.poke(descriptor(p, number) + 1, 8)
        only_the_column(tmp, known, forged(tmp, known, plain), 1, b"encoding 8")


def test_types(tmp):
    known = Known(dataset(tmp))
    column = COLUMNS.index("f")

    def retype(kind, elem, params, text):
        def change(d):
            for s in d.shards:
                s.columns[column][0:2] = [kind, elem]
                s.columns[column][6] = params
            facts = [f for f in d.root.rows if f["kind"] == "column"]
            facts[column]["text"] = text
        return change

    for kind, elem, params, text, word in (
            (99, 0, b"", "widget?", b"type99"),
            (99, 3, b"seven b", "widget<7>?", b"type99"),
            (24, 99, b"", "list<widget>?", b"type"),
            (20, 0, b"\7", "timestamp[fs]?", b"type"),
            (21, 12, bytes([9, 0, 0, 0]) + bytes(36), "tensor<float32,0,0,0,0,0,0,0,0,0>?", b"type"),
            (13, 0, b"?", "float64<?>?", b"type")):
        ds = forged(tmp, known, retype(kind, elem, params, text))
        only_the_column(tmp, known, ds, column, word, group=None)
        if kind == 99:
            schema = tool("schema", ds)[0] + tool("info", ds)[0]
            assert text.rstrip("?").encode() in schema, schema


def only_the_shard(tmp, known, ds, *words):
    """The shard of train cannot be read; test can."""
    n = N - len(known.test.splitlines())
    place = (known.shard[0], b"rows 0 to %d cannot be read" % (n - 1)) + words
    assert tool("cat", ds, "--split", "test")[0] == known.test
    assert tool("get", ds, str(n))[0].splitlines() == [known.test.splitlines()[0]]
    assert tool_json("bench", ds, "--split", "test")["rows"] == N - n
    refused("cat", ds, also=place)
    refused("get", ds, "0", also=place)
    refused("bench", ds, "--split", "train", also=(known.shard[0],) + words)
    [e] = tool_json("verify", ds, status=4)["errors"]
    assert e["file"].encode() == known.shard[0] and e["rows_lost"] == n and NEWER in e["reason"].encode()
    nothing_changes(ds, known.shard[0], *words)


def test_shards(tmp):
    known = Known(dataset(tmp))

    def put(name, value):
        return lambda s: setattr(s, name, value)

    def attribute(s):
        s.columns[0][2] |= 2

    def reserved(s):
        s.columns[0][3] = 1

    for change, word in (
            (put("version", [3, 0]), b"format version 3.0"),
            (put("features", [4, 0, 0]), b"features 0x4"),
            (put("features", [1 << 63, 0, 0]), b"features 0x8000000000000000"),
            (put("trailer_reserved", 1), b"trailer"),
            (put("footer_reserved", 1), b"footer"),
            (lambda s: s.more.append([77, 1, b"x"]), b"section 77"),
            (lambda s: s.more.append([77, 2, b"x"]), b"section 77 has flags 0x2"),
            (lambda s: s.section(forge.STATS).__setitem__(1, 4), b"section 6 has flags 0x4"),
            (attribute, b"attributes"),
            (reserved, b"attributes")):
        ds = forged(tmp, known, lambda d: change(d.shards[0]))
        only_the_shard(tmp, known, ds, word)


def test_what_may_be_ignored(tmp):
    known = Known(dataset(tmp))

    def minor(d):
        for s in d.shards + [d.root, d.segment]:
            s.version, s.features[2] = [2, 9], 1 << 40

    def sections(d):
        for s in d.shards + [d.root, d.segment]:
            s.more[0:0] = [[77, 0, b"who knows"], [65535, 0, b""]]

    def column_flags(d):
        for s in d.shards:
            s.columns[0][4] |= 1 << 30
        next(f for f in d.root.rows if f["kind"] == "column")["number"] |= 1 << 30

    def encodings(d):
        d.shards[0].section(forge.ENCODINGS)[2][3] = 0x80

    def facts(d):
        d.root.rows.append({"kind": "weather", "name": "sky", "number": 7, "bytes": 8, "hash": b"",
                            "text": "blue"})

    def more_columns(d):
        for t in (d.root, d.segment):
            t.more = []
            t.columns.append([forge.UINT64, 0, 0, 0, 0, b"more", b""])
            t.columns.append([99, 0, 0, 0, 0, b"and more", b"parameter"])
            for i, row in enumerate(t.rows):
                row["more"] = i

            def tweak(t=t):
                t.pages[-1] = forge.Page(b"?", 1, len(t.rows), 7, 0)
            t.tweak = tweak
            for row in t.rows:
                row["and more"] = b""

    for change in (minor, sections, column_flags, encodings, facts, more_columns):
        ds = forged(tmp, known, change)
        same(ds, known)
        tool("info", ds)

    # Dropping a segment makes recover publish a successor: it keeps facts that it does not know.
    ds = forged(tmp, known, facts)
    os.unlink(os.path.join(ds, forge.Dataset(ds).fact["name"]))
    tool("recover", ds)
    assert [f["text"] for f in forge.Dataset(ds).root.rows if f["kind"] == "weather"] == ["blue"]


def test_ro_compat_is_read_and_not_succeeded(tmp):
    known = Known(dataset(tmp))
    for which in ("root", "segment", "shard"):
        ds = forged(tmp, known, lambda d: (d.shards[0] if which == "shard" else getattr(d, which))
                    .features.__setitem__(1, 2))
        assert tool("cat", ds)[0].splitlines() == known.rows
        assert tool_json("verify", "--decode", ds)["ok"]
        nothing_changes(ds, b"features 0x2")


def test_statistics_of_a_newer_kind_skip_nothing(tmp):
    """Flags that nobody knows: minimum and maximum may then mean anything."""
    known = Known(dataset(tmp))
    where = ("cat", known.ds, "--where", "id >= 0")
    want = tool(*where)[0]
    assert len(want.splitlines()) == N

    def lie(d):
        e = d.segment.rows[0]
        stats = bytearray(e["stats"])
        assert struct.unpack_from("<I", stats)[0] == 0
        struct.pack_into("<Iqq8x", stats, 4, 1 | 1 << 9, 0, -5)  # flags, nulls, min
        struct.pack_into("<q", stats, 32, -4)
        e["stats"] = bytes(stats)
        s = d.shards[0]
        raw, n = s.section(forge.STATS)[2], len(s.groups) * len(s.columns)
        for g in range(len(s.groups)):
            i = g * len(s.columns)
            struct.pack_into("<I", raw, 24 * n + 4 * i, 1 | 1 << 9)
            struct.pack_into("<q", raw, 28 * n + 16 * i, -5)
            struct.pack_into("<q", raw, 44 * n + 16 * i, -4)

    ds = forged(tmp, known, lie)
    assert tool("cat", ds, "--where", "id >= 0")[0] == want
    same(ds, known)

    def lie_plainly(d):  # the same with known flags is believed: the test does test something
        lie(d)
        e = d.segment.rows[0]
        e["stats"] = b""
        s = d.shards[0]
        raw, n = s.section(forge.STATS)[2], len(s.groups) * len(s.columns)
        for g in range(len(s.groups)):
            struct.pack_into("<I", raw, 24 * n + 4 * g * len(s.columns), 1)
    ds = forged(tmp, known, lie_plainly)
    assert len(tool("cat", ds, "--where", "id >= 0")[0].splitlines()) < N


def only_the_snapshot(known, ds, file, *words):
    for args in (["cat", ds], ["info", ds], ["get", ds, "0"], ["bench", ds], ["rejects", ds]):
        refused(*args, also=(file,) + words)
    r = tool_json("verify", ds, status=4)
    assert [e["file"].encode() for e in r["errors"]] == [file] and NEWER in r["errors"][0]["reason"].encode()
    nothing_changes(ds, *words)


def test_roots_and_segments(tmp):
    known = Known(dataset(tmp))

    def fact(d):
        d.root.rows.append({"kind": "!deletes", "name": "x", "number": 3, "bytes": 0, "hash": b"", "text": ""})

    def dataset_version(d):
        d.root.rows[0]["number"] = 3

    def table(which, name, value):
        return lambda d: setattr(getattr(d, which), name, value)

    def codec(which):
        def change(d):
            t = getattr(d, which)
            t.tweak = lambda: setattr(t.pages[0], "kind", 9)
        return change

    def encoding(which):
        def change(d):
            t = getattr(d, which)
            t.tweak = lambda: t.pages[2].poke(descriptor(t.pages[2], 4) + 1, 9)
        return change

    for change, word in ((fact, b'"deletes"'), (dataset_version, b"version 3 of the dataset format")):
        ds = forged(tmp, known, change)
        only_the_snapshot(known, ds, b"roots/00000000000000000001.root", word)
    for which in ("root", "segment"):
        for change, word in ((table(which, "version", [3, 1]), b"format version 3.1"),
                             (table(which, "features", [2, 0, 0]), b"features 0x2"),
                             (table(which, "more", [[77, 1, b""]]), b"section 77"),
                             (codec(which), b"codec 9"),
                             (encoding(which), b"encoding 9")):
            ds = forged(tmp, known, change)
            file = b"roots/00000000000000000001.root"
            if which == "segment":
                file = os.path.join("segments", os.listdir(os.path.join(ds, "segments"))[0]).encode()
            only_the_snapshot(known, ds, file, word)


main(globals())
