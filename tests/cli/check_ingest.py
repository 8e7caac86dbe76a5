"""shardtool ingest on small generated inputs: what decides the bytes and what does not, duplicates,
splits, bad records, wrong options, outputs that are something else."""

import fcntl
import io
import json
import os
import random
import subprocess
import tarfile

from util import TOOL, check_sums, ingest, json_lines, main, tool, tool_json, tree, write

WORDS = "the of and a to in he have it that for they with as not on she at by this".split()


def corpus(tmp, seed=1, files=5, rows=3000):
    """Several files of JSON lines with repeats, and a tar of gzipped text."""
    rng = random.Random(seed)
    paths = []
    for i in range(files):
        lines = []
        for k in range(rows):
            text = " ".join(rng.choice(WORDS) for _ in range(rng.randrange(1, 5)))
            lines.append(json.dumps({"text": text, "n": rng.randrange(5), "k": {"x": k % 3}}))
        paths.append(write(os.path.join(tmp, "part%d.jsonl" % i), "\n".join(lines) + "\n"))
    return paths


def all_rows(ds, *args):
    out, _ = tool("cat", ds, *args)
    return json_lines(out)


def test_same_bytes_for_any_threads_and_memory(tmp):
    # Files of almost a megabyte are read side by side, each in several pieces.
    paths = corpus(tmp, files=4, rows=20000)
    opts = ("--dedup", "exact", "--split", "train=0.8,test=0.2", "--row-group-bytes", "20K",
            "--shard-bytes", "16K")
    trees = []
    for i, how in enumerate((("-j", "1"), ("-j", "2"), ("-j", "5"), ("-j", "2", "--memory", "64M"),
                             ("-j", "3", "--memory", "2G"))):
        ds = os.path.join(tmp, "ds%d" % i)
        r = ingest(ds, *opts, *how, *paths)
        assert r["shards"] > 3 and r["duplicates"] > 0, r
        trees.append(tree(ds))
    for t in trees[1:]:
        assert t == trees[0]


def test_options_decide_bytes_but_not_the_fingerprint(tmp):
    paths = corpus(tmp, files=2)
    prints = set()
    snapshots = set()
    for i, opts in enumerate(((), ("--codec", "none"), ("--row-group-bytes", "10K"),
                              ("--split", "a=1,b=1"), ("--page-bytes", "4K"))):
        r = ingest(os.path.join(tmp, "ds%d" % i), *opts, *paths)
        prints.add(r["fingerprint"])
        snapshots.add(r["snapshot"])
    assert len(prints) == 1 and len(snapshots) == 5, (prints, snapshots)
    r = ingest(os.path.join(tmp, "other"), paths[0])
    assert r["fingerprint"] not in prints


def test_dedup_keeps_the_first(tmp):
    paths = corpus(tmp)
    want, seen = [], set()
    for p in paths:
        for line in open(p):
            if line not in seen:
                seen.add(line)
                want.append(json.loads(line))
    ds = os.path.join(tmp, "ds")
    r = ingest(ds, "--dedup", "exact", "-j", "2", "--row-group-bytes", "10K", "--shard-bytes", "8K",
               *paths)
    assert r["shards"] > 3, r
    assert r["rows_written"] == len(want) and r["duplicates"] == 15000 - len(want), r
    assert all_rows(ds) == want
    ds = os.path.join(tmp, "key")
    ingest(ds, "--dedup", "exact", "--dedup-key", "text", *paths)
    want, seen = [], set()
    for p in paths:
        for line in open(p):
            row = json.loads(line)
            if row["text"] not in seen:
                seen.add(row["text"])
                want.append(row)
    assert all_rows(ds) == want


def test_splits_do_not_leak(tmp):
    paths = corpus(tmp)
    ds = os.path.join(tmp, "ds")
    r = ingest(ds, "--split", "train=0.7,dev=0.2,test=0.1", "--split-key", "text", *paths)
    info = tool_json("info", ds)
    assert list(info["splits"]) == ["train", "dev", "test"], info["splits"]
    assert sum(info["splits"].values()) == r["rows_written"] == 15000
    texts = {s: {row["text"] for row in all_rows(ds, "--split", s)} for s in info["splits"]}
    assert not texts["train"] & texts["test"] and not texts["train"] & texts["dev"]
    assert not texts["dev"] & texts["test"]
    for split, share in (("train", 0.7), ("dev", 0.2), ("test", 0.1)):
        n = sum(map(len, texts.values()))
        assert abs(len(texts[split]) / n - share) < 0.02, (split, len(texts[split]) / n)
    # Each row on its own: the default key is the whole row.
    ds = os.path.join(tmp, "rows")
    ingest(ds, "--split", "a=1,b=3", *paths)
    info = tool_json("info", ds)
    assert abs(info["splits"]["a"] / 15000 - 0.25) < 0.05, info["splits"]
    ds = os.path.join(tmp, "named")
    ingest(ds, "--split-name", "val", *paths)
    assert tool_json("info", ds)["splits"] == {"val": 15000}


def test_order_of_inputs_and_directories(tmp):
    d = os.path.join(tmp, "in")
    os.makedirs(os.path.join(d, "b", "c"))
    write(os.path.join(d, "z.txt"), "z1\nz2")
    write(os.path.join(d, "b", "a.txt"), "ba\n\n")
    write(os.path.join(d, "b", "c", "x.txt"), "")
    ds = os.path.join(tmp, "ds")
    ingest(ds, "--format", "text", d)
    assert [r["text"] for r in all_rows(ds)] == ["ba", "", "z1", "z2"]
    ds = os.path.join(tmp, "rev")
    ingest(ds, "--format", "text", os.path.join(d, "z.txt"), os.path.join(d, "b", "a.txt"))
    assert [r["text"] for r in all_rows(ds)] == ["z1", "z2", "ba", ""]


def test_archives_within_archives(tmp):
    import gzip
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:xz") as t:
        for name, text in (("man/de/a.1.gz", "eins\nzwei\n"), ("man/b.1.gz", "one\n"),
                           ("doc/c.gz", "no\n")):
            raw = gzip.compress(text.encode())
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            t.addfile(info, io.BytesIO(raw))
    path = os.path.join(tmp, "outer.tar")
    with tarfile.open(path, "w") as t:
        info = tarfile.TarInfo("data.tar.xz")
        info.size = len(inner.getvalue())
        t.addfile(info, io.BytesIO(inner.getvalue()))
    ds = os.path.join(tmp, "ds")
    r = ingest(ds, "--format", "text", "--include", "man/*", "--path-column",
               "lang=man/([a-z]+)/:-en", path)
    assert all_rows(ds) == [{"text": "eins", "lang": "de"}, {"text": "zwei", "lang": "de"},
                            {"text": "one", "lang": "en"}], all_rows(ds)
    assert r["bytes_in"] == len("eins\nzwei\none\n"), r


def test_standard_input(tmp):
    path = write(os.path.join(tmp, "x.jsonl"), '{"a": 1}\n{"a": 2}\n')
    raw = open(path, "rb").read()
    ds = os.path.join(tmp, "ds")
    r = ingest(ds, "-", stdin=raw)
    assert r["rows_written"] == 2
    r = ingest(ds, "-", stdin=raw)
    assert r["already_there"], r
    ingest(ds, "-", stdin=raw + b'{"a": 3}\n', status=2)
    r = ingest(os.path.join(tmp, "csv"), "--format", "csv", "-", stdin=b"a,b\n1,x\n")
    assert r["rows_written"] == 1, r
    big = b"".join(b'{"a": %d, "b": "%s"}\n' % (i, b"x" * (i % 100)) for i in range(40000))
    r = ingest(os.path.join(tmp, "big"), "-", stdin=big)
    assert r["rows_written"] == 40000 and r["bytes_in"] == len(big), r


def test_empty_inputs(tmp):
    empty = write(os.path.join(tmp, "empty.jsonl"), "")
    ds = os.path.join(tmp, "ds")
    r = ingest(ds, empty)
    assert r["rows_read"] == 0 and r["snapshot"], r
    assert tool_json("info", ds)["rows"] == 0
    tool("verify", ds)
    one = write(os.path.join(tmp, "one.csv"), "a,b\n")
    r = ingest(os.path.join(tmp, "ds2"), one)
    assert r["rows_read"] == 0, r


def test_existing_dataset(tmp):
    a = write(os.path.join(tmp, "a.csv"), "x,y\n1,2\n3,4\n")
    b = write(os.path.join(tmp, "b.csv"), "x,y\n5,6\n")
    ds = os.path.join(tmp, "ds")
    first = ingest(ds, a, b)
    before = tree(ds)
    again = ingest(ds, a, b, "-j", "1", "--memory", "200M")
    assert again["already_there"] and again["snapshot"] == first["snapshot"]
    for key in ("rows_read", "rows_written", "fingerprint", "shards", "bytes_in", "bytes_out"):
        assert again[key] == first[key], key
    for args in ((a,), (b, a), (a, b, "--dedup", "exact"), (a, b, "--split-name", "test"),
                 (a, b, "--codec", "none")):
        r = ingest(ds, *args, status=2)
        assert "error" in r and "exists" in r["error"], r
    write(b, "x,y\n5,7\n")  # the same name and size
    assert "content" in ingest(ds, a, b, status=2)["error"]
    assert tree(ds) == before


def test_output_that_is_something_else(tmp):
    a = write(os.path.join(tmp, "a.txt"), "x\n")
    d = os.path.join(tmp, "dir")
    os.mkdir(d)
    write(os.path.join(d, "precious"), "keep me")
    ingest(d, a, status=2)
    assert os.listdir(d) == ["precious"]
    f = write(os.path.join(tmp, "file"), "keep me, too")
    ingest(f, a, status=2)
    assert open(f).read() == "keep me, too"
    # Folders called like ours, with something in them that no ingest left there.
    d = os.path.join(tmp, "likeours")
    os.makedirs(os.path.join(d, "tmp"))
    write(os.path.join(d, "tmp", "notes"), "keep me")
    ingest(d, a, status=2)
    assert open(os.path.join(d, "tmp", "notes")).read() == "keep me"
    d = os.path.join(tmp, "empty")
    os.mkdir(d)
    ingest(d, a)
    ingest(os.path.join(tmp, "no", "such", "parent"), a, status=1)


def test_leftovers_of_an_interrupted_ingest(tmp):
    paths = corpus(tmp, files=1)
    good = os.path.join(tmp, "good")
    ingest(good, *paths)
    ds = os.path.join(tmp, "ds")
    for folder in ("roots", "segments", "shards", "quarantine", "tmp"):
        os.makedirs(os.path.join(ds, folder))
    write(os.path.join(ds, "tmp", "1-abc.shard"), "half")
    write(os.path.join(ds, "shards", "train-" + 32 * "0" + ".shard"), "old")
    write(os.path.join(ds, "segments", 32 * "0" + ".seg"), "old")
    ingest(ds, *paths)
    assert tree(ds) == tree(good)
    assert os.listdir(os.path.join(ds, "tmp")) == []


def test_two_at_once(tmp):
    ds = os.path.join(tmp, "ds")
    p = subprocess.Popen([TOOL, "ingest", "-o", ds, "-"], stdin=subprocess.PIPE,
                         stderr=subprocess.DEVNULL)
    p.stdin.write(b'{"a": 1}\n')
    p.stdin.flush()
    while not os.path.isdir(os.path.join(ds, "tmp")):
        pass
    a = write(os.path.join(tmp, "a.txt"), "x\n")
    r = ingest(ds, a, status=1)
    assert "another" in r["error"], r
    p.stdin.close()
    assert p.wait() == 0
    assert tool_json("info", ds)["rows"] == 1


BAD = '{"a": 1}\n{"a": \n{"a": 2}\n\xff\n{"a": 3, "a": 4}\n'.encode("latin-1")


def test_bad_records(tmp):
    path = write(os.path.join(tmp, "bad.jsonl"), BAD)
    ds = os.path.join(tmp, "ds")
    r = ingest(ds, path, status=3)
    assert r["rows_read"] == 5 and r["rows_written"] == 2 and r["rejected"] == 3, r
    rejects = tool_json("rejects", ds)
    assert rejects["rejected"] == 3
    assert [x["line"] for x in rejects["rejects"]] == [2, 4, 5], rejects
    assert rejects["rejects"][0]["file"] == "bad.jsonl"
    assert [x["offset"] for x in rejects["rejects"]] == [9, 25, 27], rejects
    assert all(x["reason"] for x in rejects["rejects"])
    assert len(tool_json("rejects", ds, "-n", "1")["rejects"]) == 1
    out, _ = tool("rejects", ds)
    assert b"line 2" in out and b"line 5" in out
    tool("verify", ds)
    ds = os.path.join(tmp, "skip")
    r = ingest(ds, path, "--on-bad", "skip")
    assert r["rejected"] == 3 and tool_json("rejects", ds)["rejected"] == 0
    ds = os.path.join(tmp, "abort")
    r = ingest(ds, path, "--on-bad", "abort", status=1)
    assert "line 2" in r["error"] and not os.path.exists(ds), r
    assert ingest(ds, path, "--max-bad", "2", status=5)["error"]
    assert not os.path.exists(ds)
    r = ingest(ds, path, "--max-bad", "1%", status=5)
    assert "bad.jsonl, line 2" in r["error"] and "--max-bad" in r["error"], r
    assert not os.path.exists(ds)
    ingest(ds, path, "--max-bad", "60%", status=3)
    again = ingest(ds, path, "--max-bad", "3", status=0)  # does not decide the bytes
    assert again["already_there"] and again["rejected"] == 3


def test_rejects_show_what_the_value_was(tmp):
    bad = b'{"a":"7"}\n{"a":7.5}\n{"a":[7]}\n{"a":{"b":7}}\n{"a":"\\u001b[1m\\n"}\n'
    path, ds = tmp + "/bad.jsonl", tmp + "/ds"
    with open(path, "wb") as f:
        f.write(bad)
    tool("ingest", "-o", ds, "--schema", "a:int64", path, status=3)
    text = tool("rejects", ds)[0].decode()
    for what in ('"7"', "7.5", "an array", "an object", '"\\x1b[1m\\x0a"'):
        assert "type: %s does not fit column a of type int64\n" % what in text, (what, text)
    assert "\x1b" not in text


def test_closed_standard_descriptors_take_no_files(tmp):
    """Else the first shards get numbers 0 to 2, and messages end up in them."""
    path = write(os.path.join(tmp, "x.txt"), "a line\n" * 1000)
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        ds = os.path.join(tmp, "ds" + closed.replace(" ", ""))
        p = subprocess.run(["sh", "-c", "exec \"$@\" " + closed, "sh", TOOL, "ingest", "-o", ds,
                            "--progress", "always", path], stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert p.returncode == 0, (closed, p)
        tool("verify", ds)
        assert len(all_rows(ds)) == 1000
    p = subprocess.run(["sh", "-c", "exec \"$@\" <&-", "sh", TOOL, "ingest", "-o",
                        os.path.join(tmp, "none"), "-"], stderr=subprocess.PIPE)
    assert p.returncode == 1 and b"standard input: Bad file descriptor" in p.stderr, p


def test_output_below_an_input_directory(tmp):
    """A second run sees what the first one saw."""
    d = os.path.join(tmp, "in")
    os.makedirs(os.path.join(d, "more"))
    write(os.path.join(d, "more", "a.txt"), "one\n")
    ds = os.path.join(d, "more", "ds")
    assert ingest(ds, d)["rows_written"] == 1
    r = ingest(ds, d)
    assert r["already_there"] and r["rows_written"] == 1, r
    assert ingest(d, d, status=2)["error"]
    assert ingest(os.path.join(tmp, "other"), ds)["rows_read"] > 0  # another's is a folder of files


def test_links_in_directories_are_skipped_and_counted(tmp):
    d = os.path.join(tmp, "in")
    os.makedirs(d)
    write(os.path.join(d, "a.txt"), "one\n")
    os.symlink("a.txt", os.path.join(d, "b.txt"))
    os.symlink(".", os.path.join(d, "loop"))
    os.symlink("nowhere", os.path.join(d, "gone"))
    os.mkfifo(os.path.join(d, "pipe"))
    r = ingest(os.path.join(tmp, "ds"), d)
    assert r["rows_written"] == 1 and r["links_skipped"] == 4, r


def test_bad_records_have_the_same_order_for_any_threads(tmp):
    rng = random.Random(5)
    paths = []
    for i in range(4):
        lines = ['{"a": %d}' % k if rng.random() < 0.5 else "bad %d" % k for k in range(20000)]
        paths.append(write(os.path.join(tmp, "%d.jsonl" % i), "\n".join(lines)))
    trees = []
    for j in ("1", "4"):
        ds = os.path.join(tmp, j)
        ingest(ds, *paths, "--max-bad", "60%", "-j", j, status=3)
        trees.append(tree(ds))
    assert trees[0] == trees[1]
    r = ingest(os.path.join(tmp, "far"), *paths, "--max-bad", "1%", status=5)
    assert r["rows_read"] < 80000, "should have stopped early"


def test_a_printed_schema_can_be_given(tmp):
    path = write(os.path.join(tmp, "x.jsonl"), '{"a": 1, "b": {"c": "x"}}\n{"a": 2}\n')
    first, second = os.path.join(tmp, "first"), os.path.join(tmp, "second")
    ingest(first, path)
    schema, _ = tool("schema", first)
    assert "_extra" in ingest(second, "--schema", schema.decode(), path, status=2)["error"]
    schema = "".join(line for line in schema.decode().splitlines(True) if "_extra" not in line)
    ingest(second, "--schema", schema, path)
    assert all_rows(second) == [{"a": 1, "b": {"c": "x"}}, {"a": 2}], all_rows(second)


def test_columns_rename_filter(tmp):
    path = write(os.path.join(tmp, "x.csv"), "a,b,c\n1,xx,3\n4,y,6\n7,,9\n")
    ds = os.path.join(tmp, "ds")
    r = ingest(ds, path, "--columns", "c,b", "--rename", "c=z", "--min-length", "b=2")
    assert r["filtered"] == 2 and r["rows_written"] == 1, r
    assert all_rows(ds) == [{"z": 3, "b": "xx"}]
    assert all_rows(ds, "--columns", "b") == [{"b": "xx"}]
    tool("cat", ds, "--columns", "nope", status=2)
    tool("cat", ds, "--split", "nope", status=2)


def test_csv_options(tmp):
    path = write(os.path.join(tmp, "x.csv"), "1;2\n3;4\n")
    ds = os.path.join(tmp, "ds")
    ingest(ds, path, "--delimiter", ";", "--no-header")
    assert all_rows(ds) == [{"c0": 1, "c1": 2}, {"c0": 3, "c1": 4}], all_rows(ds)


def test_dry_run_writes_nothing(tmp):
    paths = corpus(tmp, files=1)
    r = tool_json("ingest", "--dry-run", *paths)
    check_sums(r)
    assert r["rows_written"] == 3000 and r["snapshot"] is None
    assert [c["name"] for c in r["columns"]] == ["text", "n", "k.x", "_extra"], r["columns"]
    ds = os.path.join(tmp, "ds")
    full = ingest(ds, *paths)
    assert full["fingerprint"] == r["fingerprint"]
    r = ingest(os.path.join(tmp, "other"), "--dry-run", *paths)
    assert not os.path.exists(os.path.join(tmp, "other"))


def test_wrong_usage(tmp):
    a = write(os.path.join(tmp, "a.csv"), "x,y\n1,2\n")
    ds = os.path.join(tmp, "ds")
    for args in ((), (a,), ("-o", ds), ("-o", ds, "--nope", a), ("-o", ds, "--format", "parquet", a),
                 ("-o", ds, "--split", "train", a), ("-o", ds, "--split", "a=0,b=0", a),
                 ("-o", ds, "--split", "a=1,a=1", a), ("-o", ds, "--split", "a/b=1", a),
                 ("-o", ds, "--split", "a=1", "--split-name", "x", a), ("-o", ds, "--memory", "1X", a),
                 ("-o", ds, "--dedup", "some", a), ("-o", ds, "--dedup", "near", a),
                 ("-o", ds, "--codec", "zstd:99", a), ("-o", ds, "--codec", "lzma", a),
                 ("-o", ds, "--codec", "x=lzma", a), ("-o", ds, "--codec", "=zstd:3", a),
                 ("-o", ds, "--codec", "nope=zstd:3", a), ("-o", ds, "--encoding", "nope=rle", a),
                 ("-o", ds, "--encoding", "x", a), ("-o", ds, "--encoding", "x=constant", a),
                 ("-o", ds, "--encoding", "x=lzw", a),
                 ("-o", ds, "--schema", "x:string,y:float32", "--encoding", "x=delta", a),
                 ("-o", ds, "--schema", "x:string,y:float32", "--encoding", "y=for", a),
                 ("-o", ds, "--schema", "x:bool,y:float32", "--encoding", "x=rle", a),
                 ("-o", ds, "--path-column", "x", a), ("-o", ds, "--path-column", "x=(", a),
                 ("-o", ds, "--path-column", "x=a", a), ("-o", ds, "--max-bad", "200%", a),
                 ("-o", ds, "--min-length", "nope=3", a), ("-o", ds, "--dedup-key", "nope", a),
                 ("-o", ds, "--columns", "nope", a), ("-o", ds, "-j", "0", a),
                 ("-o", ds, "--schema", "a:strange", a), ("-o", ds, "-", "-"),
                 ("-o", ds, "--memory", "2M", a), ("-o", ds, "--delimiter", "ab", a),
                 ("-o", ds, "--page-bytes", "1", a), ("-o", ds, "--append", a)):
        out, err = tool("ingest", *args, status=2)
        assert err and not out, args
        assert not os.path.exists(ds), args
    _, err = tool("ingest", "-o", ds, "--schema", "x:string,y:float32", "--encoding", "x=delta", a, status=2)
    assert b"--encoding x=delta: the column is string, for which there are auto, plain, dict\n" in err, err
    out, err = tool("ingest", "-o", ds, "--nope", a, "--json", status=2)
    assert "nope" in json.loads(out)["error"] and b"--help" in err
    tool("ingest", "-o", ds, os.path.join(tmp, "no such file"), status=1)
    assert not os.path.exists(ds)
    tool("ingest", "-o", ds, "--memory", "2M", a, status=2)
    _, err = tool("ingest", "-o", ds, "--memory", "2M", a, status=2)
    assert b"smallest" in err or b"would do" in err, err


def test_help_version_and_unknown_verbs(tmp):
    out, _ = tool("--help")
    verbs = [l.split()[0].decode() for l in out.split(b"Commands:")[1].splitlines()
             if l.startswith(b"  ")]
    assert {"ingest", "info", "schema", "head", "cat", "verify", "rejects", "export"} <= set(verbs)
    for v in verbs:
        out, err = tool(v, "--help")
        assert out.startswith(b"Usage: shardtool " + v.encode()) and not err, v
        out, _ = tool(v, "--version")
        assert out.startswith(b"shardtool")
        tool(v, "--no-such-option", status=2)
        tool(v, status=2)
    for v in ("plan", "gc", "diff"):
        _, err = tool(v, status=2)
        assert b"not built" in err
    tool("nonsense", status=2)
    tool(status=2)
    tool("--version")


def test_looking_at_datasets(tmp):
    paths = corpus(tmp, files=1)
    ds = os.path.join(tmp, "ds")
    r = ingest(ds, *paths, "--split", "train=1,test=1")
    info = tool_json("info", ds)
    for key in ("rows", "bytes", "raw_bytes", "shards", "row_groups", "snapshot", "fingerprint",
                "splits", "columns"):
        assert key in info, key
    assert info["rows"] == 3000 and info["fingerprint"] == r["fingerprint"]
    assert info["bytes"] == r["bytes_out"] == sum(
        os.path.getsize(os.path.join(ds, p)) for p in tree(ds))
    assert sum(c["raw_bytes"] for c in info["columns"]) == info["raw_bytes"]
    assert sum(c["bytes"] for c in info["columns"]) < info["bytes"]
    assert all(c["encodings"] and c["type"] and "nullable" in c for c in info["columns"])
    assert b"rows" in tool("info", ds)[0]
    assert len(tool("head", ds)[0].splitlines()) == 10
    assert len(tool("head", "-n", "3", ds)[0].splitlines()) == 3
    assert len(tool("cat", ds)[0].splitlines()) == 3000
    schema = tool("schema", ds)[0].decode().split()
    assert schema == ["text:string?", "n:int64?", "k.x:int64?", "_extra:string?"], schema
    out = os.path.join(tmp, "out.jsonl")
    tool("export", ds, "-o", out)
    assert open(out, "rb").read() == tool("cat", ds)[0]
    for verb in ("info", "schema", "head", "cat", "verify", "rejects"):
        _, err = tool(verb, os.path.join(tmp, "nothing"), status=1)
        assert err
    tool("export", ds, status=2)
    tool("export", ds, "--to", "libsvm", "-o", "-", status=2)
    v = tool_json("verify", ds)
    assert v["ok"] and v["pages_checked"] > 0 and v["errors"] == []


def stored(ds):
    """Of each column, {(encoding, codec): pages' figures}."""
    return {c["name"]: {(s["encoding"], s["codec"]): s for s in c["stored"]}
            for c in tool_json("info", ds, "--encodings")["columns"]}


def test_a_forced_encoding_stays_readable(tmp):
    """Runs of one byte each would make a page larger than any reader takes."""
    n = (4 << 20) + 5
    path = write(os.path.join(tmp, "x.csv"), b"x\n" + b"".join(b"%d\n" % (i & 255) for i in range(n)))
    ds = os.path.join(tmp, "ds")
    ingest(ds, "--schema", "x:uint8", "--encoding", "x=rle", path)
    assert tool_json("verify", "--decode", ds)["ok"]
    assert tool_json("info", ds)["rows"] == n
    out = os.path.join(tmp, "out.csv")
    tool("export", ds, "--to", "csv", "-o", out)
    assert open(out, "rb").read() == open(path, "rb").read()


def test_encodings_and_codecs_of_columns(tmp):
    rng = random.Random(17)
    rows = [{"id": 10**9 + 3 * i, "n": rng.randrange(50), "x": rng.random(), "b": i % 3 == 0,
             "word": rng.choice(("red", "green", "blue")), "text": "%x" % rng.getrandbits(64),
             "l": [i, i + 7], "ls": [rng.choice("ab") * 3] * (i % 3)} for i in range(4000)]
    path = write(os.path.join(tmp, "a.jsonl"), "".join(json.dumps(r) + "\n" for r in rows))
    schema = ("id:int64,n:uint8,x:float64,b:bool,word:string,text:string,l:list<int32>,ls:list<string>")
    fit = {"id": ("plain", "rle", "dict", "for", "delta", "bss"), "x": ("plain", "rle", "dict", "bss"),
           "word": ("plain", "dict"), "ls": ("plain", "dict"), "b": ("plain",)}
    fit["n"] = fit["l"] = fit["id"]
    plain = os.path.join(tmp, "auto")
    ingest(plain, "--schema", schema, path)
    want = tool("cat", plain)[0]
    for k, name in enumerate(("plain", "rle", "dict", "for", "delta", "bss")):
        opts = [o for c, names in fit.items() if name in names for o in ("--encoding", "%s=%s" % (c, name))]
        trees = []
        for jobs in ("1", "2", "5") if name == "rle" else ("2",):
            ds = os.path.join(tmp, name + jobs)
            ingest(ds, "--schema", schema, "--row-group-bytes", "50K", "-j", jobs, *opts, path)
            trees.append(tree(ds))
            assert tool("cat", ds)[0] == want, name
            for column, got in stored(ds).items():
                if name in fit.get(column, ()):
                    assert {e for e, _ in got} == {name}, (column, name, got)
        assert all(t == trees[0] for t in trees), name
    # A level or none for single columns, the rest as it is; later options count.
    ds = os.path.join(tmp, "levels")
    ingest(ds, "--schema", schema, "--codec", "none", "--codec", "word=zstd:19", "--encoding", "word=plain",
           "--codec", "text=zstd:1", "--codec", "text=zstd", "--codec", "n=zstd:3", "--codec", "n=none", path)
    assert tool("cat", ds)[0] == want
    codecs = {c: {codec for _, codec in got} for c, got in stored(ds).items()}
    assert codecs.pop("word") == codecs.pop("text") == {"zstd"}
    assert all(c == {"none"} for c in codecs.values()), codecs
    # The figures are those of the footer, and what is saved is the difference.
    info = tool_json("info", plain, "--encodings")
    for c in info["columns"]:
        assert sum(s["bytes"] for s in c["stored"]) == c["bytes"], c
        assert sum(s["raw_bytes"] for s in c["stored"]) == c["raw_bytes"], c
        assert all(s["saved_bytes"] == s["raw_bytes"] - s["bytes"] and s["pages"] == info["row_groups"]
                   for s in c["stored"]), c
    lines = tool("info", plain, "--encodings")[0].decode().splitlines()
    assert [l.split()[:4] for l in lines if l.startswith("text ")] == [["text", "plain", "zstd", "1"]], lines


def test_no_file_behind_a_closed_standard_output(tmp):
    """/dev/stdout names what stands in for it: that must not swallow the rows."""
    ds = os.path.join(tmp, "ds")
    ingest(ds, write(os.path.join(tmp, "a.txt"), "x\n"))
    for path, closed in (("/dev/stdout", ">&-"), ("/dev/fd/1", ">&-"), ("/dev/stderr", "2>&-"), ("-", ">&-")):
        p = subprocess.run(["sh", "-c", "exec \"$@\" " + closed, "sh", TOOL, "export", ds, "-o", path],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert p.returncode == 1, (path, p)
        assert closed[0] == "2" or p.stderr.startswith(b"shardtool export: "), (path, p)


def test_export_goes_through_a_link(tmp):
    """As /dev/stdout is one, which must not be replaced, whatever it leads to."""
    ds = os.path.join(tmp, "ds")
    ingest(ds, write(os.path.join(tmp, "a.txt"), "x\n"))
    link, target = os.path.join(tmp, "link"), os.path.join(tmp, "target")
    os.symlink(target, link)
    for _ in range(2): # the target is not there, and is
        tool("export", ds, "-o", link)
        assert os.path.islink(link) and open(target).read() == '{"text":"x"}\n', open(target).read()
    assert b"directory" in tool("export", ds, "-o", tmp, status=1)[1]


def test_closed_and_full_outputs(tmp):
    paths = corpus(tmp, files=2)
    ds = os.path.join(tmp, "ds")
    ingest(ds, *paths)
    p = subprocess.run("%s cat %s 2>%s/err | head -n 1" % (TOOL, ds, tmp), shell=True,
                       stdout=subprocess.PIPE)
    assert len(p.stdout.splitlines()) == 1
    assert open(os.path.join(tmp, "err")).read() == ""
    # Nor is there a message where the broken pipe comes as an error.
    for args in (["cat", ds], ["get", ds, "0"], ["info", ds], ["info", ds, "--json"]):
        r, w = os.pipe()
        os.close(r)
        p = subprocess.run([TOOL, *args], stdout=w, stderr=subprocess.PIPE, restore_signals=False)
        os.close(w)
        assert p.returncode == 1 and p.stderr == b"", p
    with open("/dev/full", "wb") as full:
        p = subprocess.run([TOOL, "cat", ds], stdout=full, stderr=subprocess.PIPE)
    assert p.returncode == 1 and b"No space" in p.stderr, p
    _, err = tool("export", ds, "-o", os.path.join(tmp, "no", "dir"), status=1)
    assert err
    # A file of several MB onto a limit: nothing half may stay.
    out = os.path.join(tmp, "part.jsonl")
    p = subprocess.run("ulimit -f 20; trap '' XFSZ; exec %s export %s -o %s" % (TOOL, ds, out),
                       shell=True, stderr=subprocess.PIPE)
    assert p.returncode == 1 and not os.path.exists(out), p
    assert [n for n in os.listdir(tmp) if n.startswith("part.jsonl")] == []


def test_a_dataset_that_is_locked(tmp):
    """By whatever program."""
    path, ds = write(os.path.join(tmp, "a.txt"), "x\n"), os.path.join(tmp, "ds")
    os.mkdir(ds)
    fd = os.open(ds, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    for args in (("ingest", "-o", ds, path), ("recover", ds)):
        e = tool_json(*args, status=1)["error"]
        assert ds + ": another program is writing to it; wait until it ends" in e, e
    os.close(fd)


main(globals())
