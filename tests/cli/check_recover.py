"""shardtool recover: what is whole comes back, what is lost is named, and nothing is removed. Rows
are compared with those of the input, losses with row groups as `cat` gave them before."""

import fcntl
import json
import os
import random
import shutil
import signal
import subprocess

from util import TOOL, ingest, main, need_reader, tool, tool_json, tree, write

need_reader()
from shardline_reader import Shard  # noqa: E402

N = 3000


def rows(first=0, n=N):
    return [{"id": i, "text": "row %d %s" % (i, "abcdefgh" * (i % 50))} for i in range(first, first + n)]


def dataset(tmp, name="ds", records=None, args=()):
    """Many small shards in two splits; the rows of each in order."""
    lines = [json.dumps(r) for r in records or rows()]
    lines[7:7] = ["not json"]
    path = write(os.path.join(tmp, name + ".jsonl"), "\n".join(lines))
    ds = os.path.join(tmp, name)
    ingest(ds, path, "--split", "train=0.8,test=0.2", "--row-group-bytes", "16K", "--shard-bytes", "8K",
           *args, status=3)
    return ds


def cat(ds, *args):
    out, _ = tool("cat", ds, *args)
    return [json.loads(line) for line in out.splitlines()]


def files(ds, prefix):
    return sorted(rel for rel in tree(ds) if rel.startswith(prefix))


def damage(ds, rel, at=None):
    path = os.path.join(ds, rel)
    at = os.path.getsize(path) // 2 if at is None else at
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)
        f.seek(at)
        f.write(bytes([byte[0] ^ 0x10]))


def recover(ds, status, *args):
    """A dry run says the same and changes nothing; recover removes nothing."""
    before = tree(ds)
    dry = tool_json("recover", "--dry-run", ds, *args, status=status)
    assert tree(ds) == before
    out, _ = tool("recover", "--dry-run", ds, *args, status=status)
    assert out
    r = tool_json("recover", ds, *args, status=status)
    after = tree(ds)
    for rel in before:  # files are named by their content: a damaged one may get its own bytes back
        assert rel in after, rel
        assert after[rel] == before[rel] or rel in [d["file"] for d in r["damaged"]], rel
    for key in ("rows", "rows_lost", "rejects_lost", "fingerprint", "damaged", "lost", "taken", "left_out", "ignored", "base",
                "exact", "ok", "sound"):
        assert dry[key] == r[key], (key, dry[key], r[key])
    if r["published"]:
        assert tool_json("verify", "--decode", ds)["ok"]
        info = tool_json("info", ds)
        assert info["rows"] == r["rows"] and info["fingerprint"] == r["fingerprint"], (info, r)
        again = tool_json("recover", ds)
        assert again["sound"] and again["published"] is None, again
    return r


def same_splits(ds, want):
    for split, records in want.items():
        assert cat(ds, "--split", split) == records, split


def splits(ds):
    return {s: cat(ds, "--split", s) for s in ("train", "test")}


def test_nothing_to_do(tmp):
    ds = dataset(tmp)
    before = tree(ds)
    r = recover(ds, 0)
    assert r["sound"] and r["published"] is None and r["rows"] == N and tree(ds) == before
    out, _ = tool("recover", ds)
    assert b"nothing to do" in out
    tool("recover", os.path.join(tmp, "none"), status=1)
    tool("recover", status=2)
    os.mkdir(os.path.join(tmp, "empty"))
    tool("recover", os.path.join(tmp, "empty"), status=1)


def test_a_lost_or_damaged_root_costs_no_row(tmp):
    ds = dataset(tmp)
    want, info = splits(ds), tool_json("info", ds)
    fingerprint = info["fingerprint"]
    root = os.path.join(ds, files(ds, "roots/")[0])
    whole = open(root, "rb").read()
    for segments in (True, False):
        for content in (whole[:-9], b"", None):
            copy = os.path.join(tmp, "copy")
            shutil.copytree(ds, copy)
            if content is None:
                os.unlink(os.path.join(copy, files(ds, "roots/")[0]))
            else:
                write(os.path.join(copy, files(ds, "roots/")[0]), content)
            for rel in files(ds, "segments/"):
                if not segments:
                    damage(copy, rel)
            r = recover(copy, 4)  # that no shard is missing cannot be proven
            assert r["base"] is None and r["rows_lost"] == 0 and not r["exact"], r
            assert r["fingerprint"] == fingerprint and r["rows"] == N
            assert r["published"] == (1 if content is None else 2)
            assert not r["left_out"] and len(r["taken"]) == info["shards"]
            same_splits(copy, want)
            assert tool("rejects", copy)[0] == tool("rejects", ds)[0]
            shutil.rmtree(copy)


def test_a_damaged_segment_is_put_together_again(tmp):
    ds = dataset(tmp)
    want, fingerprint = splits(ds), tool_json("info", ds)["fingerprint"]
    [segment] = files(ds, "segments/")
    for content in (b"", None):
        copy = os.path.join(tmp, "copy")
        shutil.copytree(ds, copy)
        if content is None:
            os.unlink(os.path.join(copy, segment))
        else:
            write(os.path.join(copy, segment), content)
        r = recover(copy, 0)
        assert r["base"] == 1 and r["published"] == 2 and r["exact"] and r["ok"], r
        assert r["fingerprint"] == fingerprint and cat(copy) == cat(ds)
        # Its own bytes again: the old snapshot is whole, too.
        assert tree(copy)[segment] == tree(ds)[segment]
        assert tool_json("info", copy)["splits"] == tool_json("info", ds)["splits"]
        shutil.rmtree(copy)


def test_a_folder_in_place_of_a_segment_is_set_aside(tmp):
    ds = dataset(tmp)
    want, whole = cat(ds), tree(ds)
    [segment] = files(ds, "segments/")
    for aside in (".old-1", ".old-2"):  # what the first recovery set aside stays where it is
        os.unlink(os.path.join(ds, segment))
        os.mkdir(os.path.join(ds, segment))
        write(os.path.join(ds, segment, "mine"), aside)
        dry = tool_json("recover", "--dry-run", ds)
        assert os.listdir(os.path.join(ds, segment)) == ["mine"]
        r = tool_json("recover", ds)
        assert r["damaged"] == dry["damaged"] and segment in [d["file"] for d in r["damaged"]], r
        assert r["published"] and r["ok"] and r["rows"] == dry["rows"] == N and cat(ds) == want, r
        assert tree(ds)[segment] == whole[segment] and tool_json("verify", ds)["ok"]
        with open(os.path.join(ds, segment + aside, "mine")) as f:
            assert f.read() == aside


def row_numbers(ds, path):
    """First and last row of a shard, as verify says where it is cut off."""
    whole = open(os.path.join(ds, path), "rb").read()
    write(os.path.join(ds, path), whole[:-1])
    [e] = tool_json("verify", "--quick", ds, status=4)["errors"]
    write(os.path.join(ds, path), whole)
    assert e["file"] == path
    return e["row_first"], e["row_last"] + 1


def test_missing_and_damaged_shards_cost_their_rows(tmp):
    ds = dataset(tmp)
    want = cat(ds)
    shards = files(ds, "shards/")
    rng = random.Random(3)
    for case in ("missing", "cut", "empty", "page", "header", "renamed", "swapped"):
        copy = os.path.join(tmp, "copy")
        shutil.copytree(ds, copy)
        one, two = rng.sample(shards, 2)
        path = os.path.join(copy, one)
        first, end = row_numbers(copy, one)
        if case == "missing":
            os.unlink(path)
        elif case == "cut":
            write(path, open(path, "rb").read()[:-20])
        elif case == "empty":
            write(path, b"")
        elif case == "page":
            damage(copy, one, 100)
        elif case == "header":
            damage(copy, one, 20)
        elif case == "renamed":
            os.rename(path, os.path.join(copy, "shards/other.shard"))
        elif case == "swapped":
            os.rename(path, path + ".x")
            os.rename(os.path.join(copy, two), path)
            os.rename(path + ".x", os.path.join(copy, two))
        r = recover(copy, 0 if case in ("header", "renamed", "swapped") else 4)
        assert r["exact"] and r["published"] == 2 and r["base"] == 1
        assert r["rows"] + r["rows_lost"] == N
        if case in ("header", "renamed", "swapped"):
            assert r["ok"] and cat(copy) == want, case
            assert r["rewritten"] == (case == "header")
        else:
            lost = [(e["row_first"], e["row_last"] + 1) for e in r["lost"]]
            assert all(e["rows_of"] == "snapshot" and e["file"] == one for e in r["lost"])
            if case == "page":
                assert len(lost) == 1 and first <= lost[0][0] < lost[0][1] <= end, (lost, first, end)
            else:
                assert lost == [(first, end)], (case, lost)
            assert cat(copy) == want[:lost[0][0]] + want[lost[0][1]:], case
            assert sum(b - a for a, b in lost) == r["rows_lost"]
        # An ingest of the same input does not take it for what it would make.
        if r["rows_lost"]:
            e = ingest(copy, os.path.join(tmp, "ds.jsonl"), "--split", "train=0.8,test=0.2",
                       "--row-group-bytes", "16K", "--shard-bytes", "8K", status=2)
            assert "recovered" in e["error"], e
        shutil.rmtree(copy)


def test_whole_row_groups_of_a_damaged_shard_are_kept(tmp):
    path = write(os.path.join(tmp, "x.jsonl"), "\n".join(map(json.dumps, rows())))
    ds = os.path.join(tmp, "ds")
    ingest(ds, path, "--row-group-bytes", "16K")
    [shard] = files(ds, "shards/")
    size = os.path.getsize(os.path.join(ds, shard))
    damage(ds, shard, size // 3)
    [e] = tool_json("verify", ds, status=4)["errors"]
    r = recover(ds, 4)
    assert r["rewritten"] == 2 and len(r["lost"]) == 1, r
    first, end = r["lost"][0]["row_first"], r["lost"][0]["row_last"] + 1
    assert first <= e["row_first"] <= e["row_last"] < end and 0 < first < end < N
    assert cat(ds) == rows()[:first] + rows()[end:]
    # Then the roots and segments go, too: the parts know their places.
    for rel in files(ds, "roots/") + files(ds, "segments/"):
        damage(ds, rel)
    again = recover(ds, 4)
    assert again["rows_lost"] == r["rows_lost"] and cat(ds) == rows()[:first] + rows()[end:]
    [gap] = again["lost"]
    assert (gap["row_first"], gap["row_last"] + 1, gap["rows_of"]) == (first, end, "split")


def test_damage_that_costs_no_row(tmp):
    """Padding and length indices: the rows are all there, and so is the fingerprint."""
    rng = random.Random(5)
    records = [{"id": i, "tokens": [rng.getrandbits(30) for _ in range(i % 97)]} for i in range(N)]
    path = write(os.path.join(tmp, "x.jsonl"), "\n".join(map(json.dumps, records)))
    ds = os.path.join(tmp, "ds")
    ingest(ds, path, "--row-group-bytes", "150K")
    want = tool_json("info", ds)["fingerprint"]
    [rel] = files(ds, "shards/")
    shard = Shard(os.path.join(ds, rel))
    assert len(shard.groups) > 2
    column = [f.name for f in shard.fields].index("tokens")
    indices = [g.lengths[column] for g in shard.groups[:-1]]  # each the last thing before the next group
    ends = [p.off + p.stored_len for p in indices]
    padding = next(e for e in ends if e % 64)
    assert not any(shard.data[padding:padding + -padding % 64])
    for at in (indices[1].off, padding):
        copy = os.path.join(tmp, "copy")
        shutil.copytree(ds, copy)
        damage(copy, rel, at)
        [e] = tool_json("verify", copy, status=4)["errors"]
        assert e["rows_lost"] == 0, e
        r = recover(copy, None)
        assert r["fingerprint"] == want and r["rows"] == N and r["rows_lost"] == 0, r
        assert cat(copy) == records
        shutil.rmtree(copy)


def test_row_groups_with_a_dictionary_are_kept(tmp):
    """Random words of a fixed list in small pages: codec 2, whose dictionary stands in the footer."""
    rng = random.Random(13)
    words = ["%x" % rng.getrandbits(40) for _ in range(2000)]
    lines = [" ".join(rng.choice(words) for _ in range(12)) for _ in range(20000)]
    ds = os.path.join(tmp, "ds")
    ingest(ds, write(os.path.join(tmp, "x.txt"), "\n".join(lines) + "\n"), "--page-bytes", "4K",
           "--row-group-bytes", "300K")
    [shard] = files(ds, "shards/")
    assert Shard(os.path.join(ds, shard)).dicts[0] is not None
    damage(ds, shard, os.path.getsize(os.path.join(ds, shard)) // 2)
    [e] = tool_json("verify", ds, status=4)["errors"]
    r = recover(ds, 4)
    first, end = r["lost"][0]["row_first"], r["lost"][0]["row_last"] + 1
    assert len(r["lost"]) == 1 and first <= e["row_first"] < end and 0 < first < end < len(lines), r
    assert [x["text"] for x in cat(ds)] == lines[:first] + lines[end:]


def test_whole_folders_are_lost(tmp):
    ds = dataset(tmp)
    want = splits(ds)
    for folders in (("roots",), ("segments",), ("roots", "segments", "quarantine", "tmp")):
        copy = os.path.join(tmp, "copy")
        shutil.copytree(ds, copy)
        for folder in folders:
            shutil.rmtree(os.path.join(copy, folder))
        r = recover(copy, 4 if "roots" in folders else 0)
        assert r["rows"] == N and r["rows_lost"] == 0, r
        same_splits(copy, want)
        shutil.rmtree(copy)
    for folders in (("shards",), ("shards", "roots")):  # nothing is published then
        copy = os.path.join(tmp, "copy")
        shutil.copytree(ds, copy)
        for folder in folders:
            shutil.rmtree(os.path.join(copy, folder))
        before = tree(copy)
        assert "error" in tool_json("recover", copy, status=1) and tree(copy) == before
        shutil.rmtree(copy)


def test_without_a_root_gaps_are_named(tmp):
    ds = dataset(tmp)
    want = splits(ds)
    shards = files(ds, "shards/train")
    first, end = row_numbers(ds, shards[1])  # train stands first: numbers of the split, too
    os.unlink(os.path.join(ds, shards[1]))
    for rel in files(ds, "roots/") + files(ds, "segments/"):
        damage(ds, rel)
    r = recover(ds, 4)
    if end < len(want["train"]):
        assert [(e["row_first"], e["row_last"] + 1) for e in r["lost"]] == [(first, end)], r["lost"]
        assert r["rows_lost"] == end - first
    want["train"][first:end] = []
    same_splits(ds, want)


def test_without_a_root_a_shard_that_is_damaged_all_over_is_lost(tmp):
    """The last one of its split: nothing comes behind it that would tell of a gap, but its footer."""
    ds = dataset(tmp)
    want = splits(ds)
    ends = {rel: row_numbers(ds, rel) for rel in files(ds, "shards/train")}
    last, (first, end) = max(ends.items(), key=lambda item: item[1])
    assert end == len(want["train"])
    for group in Shard(os.path.join(ds, last)).groups:
        page = group.columns[0][0]
        damage(ds, last, page.off + page.stored_len // 2)
    for rel in files(ds, "roots/") + files(ds, "segments/"):
        damage(ds, rel)
    r = recover(ds, 4)
    assert r["rows_lost"] == end - first and r["rows"] == N - (end - first), r
    assert last in [d["file"] for d in r["damaged"]] and last not in [d["file"] for d in r["taken"]]
    assert (r["lost"][0]["row_first"], r["lost"][-1]["row_last"] + 1) == (first, end), r["lost"]
    del want["train"][first:]
    same_splits(ds, want)


def test_a_shard_under_the_name_of_another_one_is_left_out(tmp):
    """A segment that is whole tells which content a name has; else nobody does."""
    ds, other = os.path.join(tmp, "ds"), os.path.join(tmp, "other")
    for name, first in ((ds, 100000), (other, 200000)):  # row groups of the same rows, one in a shard
        path = write(name + ".jsonl", "\n".join(map(json.dumps, rows(first))))
        ingest(name, path, "--row-group-bytes", "16K", "--shard-bytes", "1")
    want = cat(ds)
    ends = {row_numbers(ds, rel): rel for rel in files(ds, "shards/")}
    foreign = {row_numbers(other, rel): rel for rel in files(other, "shards/")}
    (first, end), victim = sorted(ends.items())[3]
    shutil.copy(os.path.join(other, foreign[first, end]), os.path.join(ds, victim))
    os.unlink(os.path.join(ds, files(ds, "roots/")[0]))
    copy = os.path.join(tmp, "copy")
    shutil.copytree(ds, copy)
    r = recover(ds, 4)
    [out] = r["left_out"]
    assert out["file"] == victim and "another content" in out["reason"], r["left_out"]
    assert [(e["row_first"], e["row_last"] + 1) for e in r["lost"]] == [(first, end)], r["lost"]
    assert cat(ds) == want[:first] + want[end:]
    damage(copy, files(copy, "segments/")[0])
    assert victim in [d["file"] for d in recover(copy, 4)["taken"]]


def test_foreign_files_and_other_datasets(tmp):
    ds = dataset(tmp)
    want, n = cat(ds), len(files(ds, "shards/"))
    other = os.path.join(tmp, "other")
    ingest(other, write(os.path.join(tmp, "o.jsonl"), '{"x": 1}\n{"x": 2}'))
    [alien] = files(other, "shards/")
    shutil.copy(os.path.join(other, alien), os.path.join(ds, alien))
    write(os.path.join(ds, "shards/README.txt"), "read me")
    write(os.path.join(ds, "shards/a b.shard"), "x")
    write(os.path.join(ds, "shards/text.shard"), "x" * 5000)
    os.mkdir(os.path.join(ds, "shards/dir.shard"))
    shutil.copy(os.path.join(ds, files(ds, "shards/train")[0]), os.path.join(ds, "shards/twin.shard"))
    os.mkfifo(os.path.join(ds, "shards/pipe.shard"))
    r = tool_json("recover", ds)
    assert r["sound"], r  # they are nobody's
    os.unlink(os.path.join(ds, "shards/pipe.shard"))
    for rel in files(ds, "roots/") + files(ds, "segments/"):
        damage(ds, rel)
    r = recover(ds, 4)
    assert r["rows"] == N and len(r["taken"]) == n and cat(ds) == want
    assert {e["file"] for e in r["left_out"]} in ({alien, "shards/twin.shard"},
                                                 {alien, files(ds, "shards/train")[0]})
    assert {e["file"] for e in r["ignored"]} == {"shards/README.txt", "shards/a b.shard"}


def test_what_an_interrupted_ingest_left_is_no_second_copy(tmp):
    """Shards of the same places that no segment lists, beside those that one does."""
    ds = dataset(tmp)
    want = splits(ds)
    other = dataset(tmp, "other", rows(100000, N))
    for rel in files(other, "shards/"):
        shutil.copy(os.path.join(other, rel), os.path.join(ds, rel))
    assert tool_json("recover", ds)["sound"]
    damage(ds, files(ds, "roots/")[0])
    r = recover(ds, 4)
    assert r["rows"] == N and {e["file"] for e in r["left_out"]} >= set(files(other, "shards/")) - {
        e["file"] for e in r["taken"]}
    same_splits(ds, want)


def test_lost_records_of_the_quarantine_are_said_to_be(tmp):
    """They are no rows: the exit status is that of the rows."""
    ds = dataset(tmp)
    [q] = files(ds, "quarantine/")
    want, roots = tool("rejects", ds)[0], os.path.join(tmp, "roots")
    assert want
    shutil.copytree(ds, roots)
    damage(ds, q, 100)
    r = recover(ds, 0)
    assert r["published"] == 2 and r["rows_lost"] == 0 and r["ok"] and r["rejects_lost"], r
    assert tool("rejects", ds)[0].count(b"\n") == 0
    assert not tool_json("recover", ds)["rejects_lost"]  # the new snapshot is whole
    # Without a root, too; as the table says.
    damage(roots, files(roots, "roots/")[0])
    copy = os.path.join(tmp, "copy")
    shutil.copytree(roots, copy)
    r = recover(copy, 4)
    assert not r["rejects_lost"] and tool("rejects", copy)[0] == want, r
    for at in (100, -3):  # a page, the footer
        copy = os.path.join(tmp, "copy%d" % at)
        shutil.copytree(roots, copy)
        damage(copy, q, at % os.path.getsize(os.path.join(copy, q)))
        out, _ = tool("recover", "--dry-run", copy, status=4)
        assert b"Records of the quarantine are lost." in out and b"damaged: " + q.encode() in out, out
        r = recover(copy, 4)
        assert r["rejects_lost"] and r["rows_lost"] == 0 and r["rows"] == N, r
        assert q in [d["file"] for d in r["damaged"]]
    assert b"0 no row is lost" in tool("recover", "--help")[0]


def test_a_copy_in_the_quarantine_is_taken_once(tmp):
    ds = dataset(tmp)
    [q] = files(ds, "quarantine/")
    want = tool("rejects", ds)[0]
    shutil.copy(os.path.join(ds, q), os.path.join(ds, q + ".bak"))
    shutil.copy(os.path.join(ds, q), os.path.join(ds, "quarantine", "0.shard"))
    damage(ds, files(ds, "roots/")[0])
    r = recover(ds, 4)
    assert not r["rejects_lost"] and tool("rejects", ds)[0] == want, r
    assert [d["file"] for d in r["left_out"]] == [q, q + ".bak"], r["left_out"]


def test_an_older_root(tmp):
    """The newest root is damaged, the one before is not: rows of both are there."""
    ds = dataset(tmp)
    [segment] = files(ds, "segments/")
    os.unlink(os.path.join(ds, segment))
    recover(ds, 0)  # publishes root 2 with all rows
    want, info = cat(ds), tool_json("info", ds)
    damage(ds, files(ds, "roots/")[1])
    tool("info", ds, status=1)  # never a silent step back
    r = recover(ds, 4)
    assert r["base"] == 1 and r["newest"] == 2 and r["published"] == 3 and r["rows_lost"] == 0, r
    assert cat(ds) == want and tool_json("info", ds)["fingerprint"] == info["fingerprint"]
    assert [d["file"] for d in r["damaged"]] == ["roots/00000000000000000002.root"]


def test_killed_recovery_changes_nothing(tmp):
    ds = dataset(tmp)
    want = cat(ds)
    damage(ds, files(ds, "segments/")[0])
    damage(ds, files(ds, "shards/train")[2], 20)  # a header: it is written anew
    rng = random.Random(5)
    for i in range(25):
        p = subprocess.Popen([TOOL, "recover", ds], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            p.wait(rng.random() * 0.04)
        except subprocess.TimeoutExpired:
            p.send_signal(signal.SIGKILL)
            p.wait()
    left = write(os.path.join(ds, "tmp", "1-0123456789abcdef0123456789abcdef.shard"), "what a killed one left")
    os.mkdir(os.path.join(ds, "tmp", "folder"))
    tool("recover", "--dry-run", ds, status=None)
    assert os.path.exists(left)
    tool("recover", ds)
    assert cat(ds) == want and tool_json("verify", ds)["ok"]
    assert os.listdir(os.path.join(ds, "tmp")) == ["folder"]  # not ours
    write(left, "and where there is nothing to do")
    assert tool_json("recover", ds)["sound"] and not os.path.exists(left)
    # Not while somebody else holds the dataset.
    write(left, "being written")
    fd = os.open(ds, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    tool("recover", ds, status=1)
    assert os.path.exists(left)
    os.close(fd)


main(globals())
