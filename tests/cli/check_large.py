"""Files larger than the memory that there is for them: in, out again as a stream, checked, and never
whole in memory."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tarfile

from util import TOOL, ingest, json_lines, main, tool, tool_json, tree, write

MB = 1 << 20


def long_bytes(seed, size):
    """Half of it random, half of it text, so that some pieces shrink and others do not."""
    rng = random.Random(seed)
    out = bytearray()
    while len(out) < size:
        out += rng.randbytes(3 * MB // 2)
        out += b"".join(b"line %d of %d\n" % (rng.randrange(1000), seed) for _ in range(100000))
    return bytes(out[:size])


def corpus(tmp):
    """Long and short ones in turn, one twice."""
    d = os.path.join(tmp, "in")
    os.mkdir(d)
    files = {"a.bin": long_bytes(1, 41 * MB + 17), "b.txt": b"short\n", "c.bin": long_bytes(2, 4 * MB),
             "d.bin": long_bytes(3, 4 * MB + 1), "e.bin": b"", "f.bin": long_bytes(1, 41 * MB + 17),
             "g.bin": long_bytes(4, 9 * MB)}
    for name, content in files.items():
        write(os.path.join(d, name), content)
    return d, files


def write_long(path, n):
    """n times 16 MiB, never held as a whole; returns their SHA-256."""
    h = hashlib.sha256()
    with open(path, "wb") as f:
        for i in range(n):
            part = long_bytes(i, 16 * MB)
            h.update(part)
            f.write(part)
    return h.digest()


def run_measured(*args, status=0):
    """Output and the highest resident set in bytes."""
    # A small process between: the kernel counts for a child what its parent had when it was forked.
    between = ("import resource, subprocess, sys; s = subprocess.call(sys.argv[1:]);"
               "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr); sys.exit(s)")
    p = subprocess.run([sys.executable, "-c", between, TOOL, *map(str, args)],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert p.returncode == status, p.stderr
    return p.stdout, int(p.stderr.split()[-1]) * 1024


def row_of(ds):
    """Row numbers by path."""
    rows = json_lines(tool("cat", ds, "--columns", "path")[0])
    return {r["path"]: i for i, r in enumerate(rows)}


def same_contents(ds, want):
    rows = {os.path.basename(p): i for p, i in row_of(ds).items()}
    assert rows.keys() == want.keys(), rows
    for name, i in rows.items():
        out, _ = tool("get", ds, i, "--raw", "content")
        assert hashlib.sha256(out).digest() == hashlib.sha256(want[name]).digest(), name


def test_long_files_come_back_whole(tmp):
    d, files = corpus(tmp)
    ds = os.path.join(tmp, "ds")
    r = ingest(ds, "--format", "files", "--dedup", "none", d)
    assert r["rows_written"] == len(files) and r["rejected"] == 0, r
    rows = row_of(ds)
    assert len(rows) == len(files)
    for name, content in files.items():
        out, _ = tool("get", ds, rows[next(p for p in rows if p.endswith(name))], "--raw", "content")
        assert hashlib.sha256(out).digest() == hashlib.sha256(content).digest(), name
    assert tool_json("verify", ds)["ok"]
    sizes = {os.path.basename(r["path"]): r["size"]
             for r in json_lines(tool("cat", ds, "--columns", "path,size")[0])}
    assert sizes == {n: len(c) for n, c in files.items()}, sizes


def test_the_same_bytes_for_any_threads_memory_and_way_in(tmp):
    d, files = corpus(tmp)
    trees = []
    for i, how in enumerate((("-j", "1"), ("-j", "2"), ("-j", "5"), ("--memory", "96M"))):
        ds = os.path.join(tmp, "ds%d" % i)
        ingest(ds, "--format", "files", *how, d)
        trees.append(tree(ds))
    assert all(t == trees[0] for t in trees[1:])
    # From an archive the names differ, so the rows do; but contents are told to be the same.
    tar = os.path.join(tmp, "x.tar")
    with tarfile.open(tar, "w") as t:
        t.add(d, "in")
    r = ingest(os.path.join(tmp, "tar"), "--format", "files", "--dedup", "exact", "--dedup-key", "content", tar)
    assert r["duplicates"] == 1 and r["rows_written"] == len(files) - 1, r
    dry = tool_json("ingest", "--dry-run", "--format", "files", "--dedup", "exact", "--dedup-key", "content", tar)
    assert dry["fingerprint"] == r["fingerprint"], (dry, r)


def test_memory_does_not_grow_with_the_value(tmp):
    d = os.path.join(tmp, "in")
    os.mkdir(d)
    digest = write_long(os.path.join(d, "big.bin"), 24)
    ds = os.path.join(tmp, "ds")
    _, rss = run_measured("ingest", "-o", ds, "--format", "files", "--memory", "96M", d)
    assert rss < (96 + 32) * MB, rss
    out, rss = run_measured("get", ds, "0", "--raw", "content")
    assert hashlib.sha256(out).digest() == digest
    assert rss < 64 * MB, rss
    _, err = tool("get", ds, "0", status=1)  # it is one page, and no stream
    assert b"--raw COLUMN" in err and tool("get", ds, "0", "--columns", "size")[0] == b'{"size":%d}\n' % (24 * 16 * MB)
    info = tool_json("info", ds, "--encodings")
    stored = sum(s["bytes"] for c in info["columns"] for s in c["stored"])
    assert 0.999 * info["bytes"] < stored < info["bytes"], (stored, info["bytes"])
    _, rss = run_measured("verify", ds)
    assert rss < 128 * MB, rss
    out, rss = run_measured("export", ds, "-o", os.path.join(tmp, "out.jsonl"))
    assert rss < 128 * MB, rss
    _, rss = run_measured("recover", ds)
    assert rss < 128 * MB, rss
    import base64
    with open(os.path.join(tmp, "out.jsonl"), "rb") as f:
        row = json.loads(f.read())
    assert hashlib.sha256(base64.b64decode(row["content"])).digest() == digest


def test_row_groups_of_long_values_are_recovered(tmp):
    """Values below and above what goes through memory, as bytes and as text; of each kind one that is lost
    and some that are written anew."""
    d, files = corpus(tmp)
    text = "\u00e4\u20ac\n" * (MB // 6)
    texts = {"%d.txt" % i: str(i) + text * (1, 3, 9)[i % 3] for i in range(9)}
    t = os.path.join(tmp, "texts")
    os.mkdir(t)
    for name, content in texts.items():
        write(os.path.join(t, name), content)
    for what, folder, want in (("binary", d, files), ("string", t, {n: c.encode() for n, c in texts.items()})):
        ds = os.path.join(tmp, what)
        ingest(ds, "--format", "files", "--dedup", "none", "--row-group-bytes", "4M", folder)
        types = {c["name"]: c["type"] for c in tool_json("info", ds)["columns"]}
        assert types["content"].startswith(what), types
        [shard] = os.listdir(os.path.join(ds, "shards"))
        rows, fingerprint = row_of(ds), tool_json("info", ds)["fingerprint"]
        # Its header: all of it is written anew.
        with open(os.path.join(ds, "shards", shard), "r+b") as f:
            f.seek(20)
            f.write(b"?")
        r = tool_json("recover", ds)
        assert r["ok"] and r["rewritten"] == 1 and r["rows_lost"] == 0 and r["rows"] == len(want), r
        assert r["fingerprint"] == fingerprint and row_of(ds) == rows, r
        same_contents(ds, want)
        # A row group: the others are.
        [shard] = set(os.listdir(os.path.join(ds, "shards"))) - {shard}
        with open(os.path.join(ds, "shards", shard), "r+b") as f:
            f.seek(os.path.getsize(f.name) // 2)
            byte = f.read(1)
            f.seek(-1, os.SEEK_CUR)
            f.write(bytes([byte[0] ^ 1]))
        r = tool_json("recover", ds, status=4)
        [lost] = r["lost"]
        gone = {os.path.basename(p) for p, i in rows.items() if lost["row_first"] <= i <= lost["row_last"]}
        assert r["rows_lost"] == len(gone) > 0 and r["rewritten"] > 0, r
        same_contents(ds, {n: c for n, c in want.items() if n not in gone})
        assert tool_json("verify", "--decode", ds)["ok"] and os.listdir(os.path.join(ds, "tmp")) == []
        assert tool_json("recover", ds)["sound"]


def test_recovery_of_a_long_value_needs_no_memory_for_it(tmp):
    """It is hashed and written anew, as a row group beside it is damaged."""
    d = os.path.join(tmp, "in")
    os.mkdir(d)
    write(os.path.join(d, "a.bin"), random.Random(7).randbytes(9 * MB))
    digest = write_long(os.path.join(d, "b.bin"), 16)
    ds = os.path.join(tmp, "ds")
    ingest(ds, "--format", "files", "--row-group-bytes", "4M", d)
    [shard] = os.listdir(os.path.join(ds, "shards"))
    with open(os.path.join(ds, "shards", shard), "r+b") as f:
        f.seek(4 * MB)
        f.write(bytes(8))
    out, rss = run_measured("recover", "--json", ds, status=4)
    r = json.loads(out)
    assert r["rows"] == 1 and r["rows_lost"] == 1 and r["rewritten"] == 1, r
    assert rss < 128 * MB, rss
    out, _ = tool("get", ds, "0", "--raw", "content")
    assert hashlib.sha256(out).digest() == digest


def test_a_long_text_is_checked_and_comes_back_as_text(tmp):
    d = os.path.join(tmp, "in")
    os.mkdir(d)
    text = "\u00e4\u20ac\U0001f600\"\\\n" * (8 * MB // 10)
    write(os.path.join(d, "long.txt"), text)
    write(os.path.join(d, "short.txt"), "x")
    ds = os.path.join(tmp, "ds")
    ingest(ds, "--format", "files", d)
    types = {c["name"]: c["type"] for c in tool_json("info", ds)["columns"]}
    assert types["content"].startswith("string"), types
    rows = {os.path.basename(r["path"]): r["content"] for r in json_lines(tool("cat", ds)[0])}
    assert rows["long.txt"] == text and rows["short.txt"] == "x"
    # One byte that is not UTF-8, far behind what stands in memory.
    bad = bytearray(text.encode())
    bad[7 * MB] = 0xff
    write(os.path.join(d, "bad.txt"), bytes(bad))
    r = ingest(os.path.join(tmp, "bad"), "--format", "files", "--schema",
               "path:string,content:string,size:int64", "--max-bad", "100%", d, status=3)
    assert r["rejected"] == 1 and r["rows_written"] == 2, r
    rejected, = tool_json("rejects", os.path.join(tmp, "bad"))["rejects"]
    assert rejected["length"] == len(bad), rejected


def test_a_long_value_may_be_interrupted_in_its_middle(tmp):
    big = os.path.join(tmp, "big.bin")
    with open(big, "wb") as f:
        f.truncate(384 * MB)
    ds = os.path.join(tmp, "ds")
    ingest(ds, "--format", "files", big)
    out = os.path.join(tmp, "out")
    os.mkdir(out)
    for _ in range(10):  # now and then one may be faster than we are
        p = subprocess.Popen([TOOL, "export", ds, "-o", os.path.join(out, "x")],
                             stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while p.poll() is None and not any(e.stat().st_size for e in os.scandir(out)):
            pass
        p.send_signal(signal.SIGINT)
        _, err = p.communicate()
        if p.returncode == -signal.SIGINT and os.listdir(out) == []:
            assert b"interrupted" in err, err
            return
        os.unlink(os.path.join(out, "x"))
    raise AssertionError("it cannot be interrupted")


def test_an_archive_that_breaks_off_in_a_long_file(tmp):
    d, _ = corpus(tmp)
    tar = os.path.join(tmp, "x.tar")
    with tarfile.open(tar, "w") as t:
        t.add(os.path.join(d, "b.txt"), "b.txt")
        t.add(os.path.join(d, "a.bin"), "a.bin")
    with open(tar, "r+b") as f:
        f.truncate(20 * MB)
    ds = os.path.join(tmp, "ds")
    r = ingest(ds, "--format", "files", "--max-bad", "100%", tar, status=3)
    assert r["rows_written"] == 1 and r["rejected"] == 2, r # the file, and what was behind it
    assert os.listdir(os.path.join(ds, "tmp")) == []


def test_more_long_files_than_may_be_open(tmp):
    d = os.path.join(tmp, "in")
    os.mkdir(d)
    for i in range(100):
        with open(os.path.join(d, "%d.bin" % i), "wb") as f:
            f.write(b"%d" % i)
            f.truncate(4 * MB + 1)
    ds = os.path.join(tmp, "ds")
    p = subprocess.run("ulimit -n 60; exec %s ingest -j 2 -o %s --format files --json %s" % (TOOL, ds, d),
                       shell=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert p.returncode == 0, p
    assert json.loads(p.stdout)["rows_written"] == 100, p
    free = os.path.join(tmp, "free")
    ingest(free, "--format", "files", d)
    assert tree(free) == tree(ds)


# A test run in the background may have been told to ignore it, and so would what it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
main(globals())
