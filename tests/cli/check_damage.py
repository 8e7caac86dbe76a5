"""shardtool on datasets that are broken: every flipped byte is found and named, nothing crashes."""

import json
import os
import random
import shutil
import struct

import forge
from util import ingest, main, tool, tool_json, tree, write


def dataset(tmp):
    lines = ['{"id": %d, "text": "row %d of it", "f": %f}' % (i, i % 7, i / 3) for i in range(400)]
    lines[7] = "not json"
    path = write(os.path.join(tmp, "x.jsonl"), "\n".join(lines))
    ds = os.path.join(tmp, "ds")
    ingest(ds, path, "--split", "train=0.8,test=0.2", status=3)
    return ds


def verify_finds(ds, rel):
    """verify exits with 4, in both forms, and names the file."""
    r = tool_json("verify", ds, status=4)
    assert not r["ok"] and r["errors"], r
    assert any(e["file"] == rel for e in r["errors"]), (rel, r)
    for e in r["errors"]:
        for key in ("file", "row_group", "column", "page", "reason", "rows_lost"):
            assert key in e, e
    out, err = tool("verify", ds, status=4)
    assert rel.encode() in out + err


def flip(path, at, bit):
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 1 << bit]))


def test_flipped_bits_are_found(tmp):
    ds = dataset(tmp)
    rng = random.Random(11)
    for rel in sorted(tree(ds)):
        path = os.path.join(ds, rel)
        size = os.path.getsize(path)
        for at in [0, size - 1] + [rng.randrange(size) for _ in range(10)]:
            bit = rng.randrange(8)
            flip(path, at, bit)
            verify_finds(ds, rel)
            for verb in ("info", "cat", "rejects"):
                tool(verb, ds, status=None)  # may fail, must not crash
            flip(path, at, bit)
    assert tool_json("verify", ds)["ok"]


def test_rows_before_the_damage_are_printed(tmp):
    """Two row groups; of the second nothing is left but its place."""
    lines = ['{"id": %d, "text": "%s"}' % (i, random.Random(i).randbytes(20).hex()) for i in range(3000)]
    path = write(os.path.join(tmp, "x.jsonl"), "\n".join(lines))
    ds = os.path.join(tmp, "ds")
    ingest(ds, path, "--row-group-bytes", "64K")
    whole, _ = tool("cat", ds)
    shard, = [os.path.join(ds, rel) for rel in tree(ds) if rel.startswith("shards")]
    size = os.path.getsize(shard)
    with open(shard, "r+b") as f:
        f.seek(size // 2)
        f.write(bytes(200))
    for args in [], ["--where", "id >= 0"]:
        out, err = tool("cat", ds, *args, status=1)
        assert b"damaged" in err or b"checksum" in err, err
        n = out.count(b"\n")
        assert 500 < n < 2500 and out.endswith(b"\n"), n
        assert whole.startswith(out)


def test_truncated_and_missing_and_foreign_files(tmp):
    ds = dataset(tmp)
    rng = random.Random(12)
    for rel in sorted(tree(ds)):
        path = os.path.join(ds, rel)
        whole = open(path, "rb").read()
        for content in (b"", whole[:rng.randrange(len(whole))], whole[:-1], whole + b"x",
                        b"PK\3\4" + 200 * b"foreign", None):
            if content is None:
                os.unlink(path)
            else:
                write(path, content)
            if not (rel.startswith("roots") and content is None):
                verify_finds(ds, rel)
            for verb in ("info", "cat", "rejects"):
                _, err = tool(verb, ds, status=None)
            write(path, whole)
    assert tool_json("verify", ds)["ok"]


def test_unknown_splits_and_columns_are_wrong_usage(tmp):
    ds = dataset(tmp)
    out = os.path.join(tmp, "out")
    for option in (["--split", "nope"], ["--columns", "id,nope"], ["--columns", ""]):
        for verb in (["cat"], ["head"], ["export", "-o", out], ["bench"]):
            _, err = tool(*verb, ds, *option, status=2)
            assert b"no split" in err or b"no column" in err or b"--columns" in err, err
            assert not os.path.exists(out)
    tool("get", ds, "--columns", "nope", "1", status=2)
    tool("get", ds, "--raw", "nope", "1", status=2)
    for verb in (["cat"], ["export", "-o", out], ["bench"]):  # no dataset: failed
        tool(*verb, os.path.join(tmp, "none"), "--split", "nope", status=1)


def test_damage_is_an_error_with_its_place(tmp):
    ds = dataset(tmp)
    train = tool_json("info", ds)["splits"]["train"]
    total = sum(os.path.getsize(os.path.join(ds, rel)) for rel in tree(ds))
    tool("verify", "--quick", "--decode", ds, status=2)
    for rel in tree(ds):
        if rel.startswith("shards") and "train" in rel:
            flip(os.path.join(ds, rel), 100, 3)
            _, err = tool("cat", ds, status=1)
            assert rel.encode() in err and b"rows 0 to %d cannot be read" % (train - 1) in err, err
            tool("verify", "--quick", ds)
            for depth in ([], ["--decode"]):
                r = tool_json("verify", *depth, ds, status=4)
                assert len(r["errors"]) == 1 and r["bytes_checked"] == total, r
                e = r["errors"][0]
                assert e["column"] and e["row_group"] == e["page"] == 0, e
                assert (e["rows_lost"], e["row_first"], e["row_last"]) == (train, 0, train - 1), e
            flip(os.path.join(ds, rel), 100, 3)
    root = [rel for rel in tree(ds) if rel.startswith("roots")][0]
    flip(os.path.join(ds, root), os.path.getsize(os.path.join(ds, root)) // 2, 0)
    _, err = tool("info", ds, status=1)
    assert root.encode() in err, err
    # An ingest over it refuses, too: there is a dataset.
    path = os.path.join(tmp, "x.jsonl")
    before = tree(ds)
    r = ingest(ds, path, status=1)
    assert r["error"] and tree(ds) == before
    shutil.rmtree(os.path.join(ds, "roots"))
    tool("verify", ds, status=1)


def test_an_error_behind_rows_goes_where_the_rows_do_not(tmp):
    rng = random.Random(13)
    lines = ['{"id": %d, "text": "%s"}' % (i, rng.randbytes(200).hex()) for i in range(4000)]
    path = write(os.path.join(tmp, "x.jsonl"), "\n".join(lines))
    ds = os.path.join(tmp, "ds")
    ingest(ds, path, "--dedup", "none", "--shard-bytes", "300K", "--row-group-bytes", "500K")
    want, _ = tool("cat", ds)
    shards = [rel for rel in tree(ds) if rel.startswith("shards")]
    behind = 0
    for rel in shards:
        gone = os.path.join(ds, rel)
        os.rename(gone, gone + ".away")
        for verb in (("cat", ds), ("head", ds, "-n", "4000"), ("export", ds, "-o", "-")):
            out, err = tool(*verb, "--json", status=1)
            if b'"error"' in out:  # nothing was printed yet
                assert list(json.loads(out)) == ["error"], out
            else:
                assert out and want.startswith(out), out[-200:]
                assert list(json.loads(err.splitlines()[-1])) == ["error"], err
                behind += 1
        os.rename(gone + ".away", gone)
    assert behind == 3 * (len(shards) - 1) > 0, (behind, shards)


def test_a_root_that_decodes_to_gigabytes_is_refused(tmp):
    """Every page a constant: some hundred bytes that say they hold 20 million rows."""
    ds, n = dataset(tmp), 20 << 20
    root = forge.Dataset(ds).root

    def constants():
        root.groups = [n]
        root.pages = []
        for c in root.columns:
            size = 8 if c[0] == forge.UINT64 else 4
            role = 4 if c[0] == forge.UINT64 else 2
            raw = struct.pack("<IBBHBBBBII", n, 1 + (role == 2), 0, 0, role, 1, 0, size, n, size)
            if role == 2:
                raw += struct.pack("<BBBBII", 5, 0, 0, 1, 0, 0)
            raw += bytes(size)
            root.pages.append(forge.Page(raw, len(raw), n, size * n, 0))

    root.tweak = constants
    root.write(os.path.join(ds, "roots/00000000000000000001.root"))
    _, err = tool("info", ds, status=1)
    assert b"more than this build takes" in err, err


def test_every_verb_names_the_rows_of_a_damaged_page(tmp):
    """Many pages: what is lost is the rows of one, counted within the dataset."""
    lines = ['{"id": %d, "text": "row %d %s"}' % (i, i, "abcdefgh" * (i * i % 13)) for i in range(3000)]
    ds = os.path.join(tmp, "ds")
    ingest(ds, write(os.path.join(tmp, "y.jsonl"), "\n".join(lines)), "--split", "a=0.5,b=0.5",
           "--row-group-bytes", "32K", "--page-bytes", "4K")
    rows = tool("cat", ds)[0].splitlines()
    d = forge.Dataset(ds)
    s, before = d.shards[1], d.segment.rows[0]["rows"]
    group0 = before + s.groups[0]
    pages = s.chunks[len(s.columns) + 1]
    assert pages > 2 and len(s.groups) > 2, (s.groups, s.chunks)
    first = group0 + s.page(1, 1, 0).n_rows
    end = first + s.page(1, 1, 1).n_rows
    whole = open(os.path.join(ds, d.segment.rows[1]["path"]), "rb").read()
    at = whole.index(s.page(1, 1, 1).stored)
    flip(os.path.join(ds, d.segment.rows[1]["path"]), at + 7, 2)

    path = d.segment.rows[1]["path"].encode()
    page = (path, b"row group 1", b"column 1 (text)", b"page 1")
    group_rows = b"rows %d to %d cannot be read" % (group0, group0 + s.groups[1] - 1)
    page_rows = b"rows %d to %d cannot be read" % (first, end - 1)
    out = os.path.join(tmp, "out")
    for args, words in ((["cat", ds], (group_rows,)), (["export", ds, "-o", out], (group_rows,)),
                        (["bench", ds, "--split", "b"], (group_rows,)),
                        (["get", ds, str(first)], (page_rows,)),
                        (["get", ds, "--io", "pread", "0,%d" % (end - 1)], (page_rows,)),
                        (["get", ds, "--raw", "text", str(first)], (b"row %d cannot be read" % first,))):
        _, err = tool(*args, status=1)
        for word in page + words:
            assert word in err, (args, word, err)
    [e] = tool_json("verify", ds, status=4)["errors"]
    assert (e["row_group"], e["column"], e["page"]) == (1, "text", 1), e
    assert (e["row_first"], e["row_last"], e["rows_lost"]) == (first, end - 1, end - first), e
    others = tool("get", ds, "0-%d,%d-2999" % (first - 1, end))[0].splitlines()
    assert others == rows[:first] + rows[end:]


main(globals())
