"""One call of the system fails, or one allocation, at every place where it can (or at a spread of them,
where there are many): no crash, no hang, no wrong result, the right exit status, and of a dataset either
nothing or a good one. The calls are made to fail by tests/fault_inject.c."""

import errno
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from util import TOOL, ingest, main, tool, tool_json, tree, write

SO = os.path.join(os.environ["top_builddir"], "tests/fault_inject.so")
FULL = bool(os.environ.get("SHARDLINE_FAULTS_ALL"))  # every place: takes minutes
SPREAD = 16
N = 1500


class Run:
    """A verb, made to fail. prepare(place) gives its arguments; good(place, out) says whether what it left
    and printed is right; bad(place) the same after a failure."""

    def __init__(self, tmp, prepare, good, bad=lambda place: True, fine=(0,)):
        self.tmp, self.prepare, self.good, self.bad, self.fine = tmp, prepare, good, bad, fine

    def once(self, name, fault):
        place = os.path.join(self.tmp, name)
        os.mkdir(place)
        try:
            log = os.path.join(place, "log")
            env = dict(os.environ, LD_PRELOAD=SO, SHARDLINE_FAULT=fault, SHARDLINE_FAULT_LOG=log)
            p = subprocess.run([TOOL, *self.prepare(place)], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, timeout=60)
            count, failed = map(int, open(log).read().split()) if os.path.exists(log) else (0, 1)
            if p.returncode in self.fine:
                ok = self.good(place, p.stdout)
            else:
                ok = p.stderr.startswith(b"shardtool") or b"\nshardtool" in p.stderr
                ok = (ok or p.returncode == 4 and p.stdout) and self.bad(place)
                if fault.split(":")[0] in ("write", "sync", "place"):  # which dataset it is about
                    ok = ok and os.fsencode(place) in p.stderr
            return p.returncode, count, failed, ok, p.stderr.decode(errors="replace")[-600:]
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def sweep(self, kind, how, allowed, must_fail=False):
        """All n of one kind of call. allowed: exit statuses of a run in which the call failed."""
        status, total, _, ok, err = self.once("none", "%s:%s:0" % (kind, how))
        assert status in self.fine and ok, (kind, status, err)
        step = 1 if FULL else max(1, total // SPREAD)
        places = sorted(set(range(1, total + 1, step)) | {total}) if total else []
        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(
                lambda n: self.once("%s-%s-%d" % (kind, how, n), "%s:%s:%d" % (kind, how, n)), places))
        for n, (status, _, failed, ok, err) in zip(places, results):
            what = "%s %s, call %d of %d: status %d\n%s" % (kind, how, n, total, status, err)
            if not failed:  # a call fewer than in the first run, as threads take turns
                assert status in self.fine and ok, what
            assert ok, what
            assert status in allowed or status in self.fine and not must_fail, what
        return total


def sweep_reading(run, damage=(1,)):
    assert run.sweep("read", "short", ()) > 0
    run.sweep("read", errno.EINTR, ())
    if damage:
        run.sweep("read", errno.EIO, damage)
    assert run.sweep("open", errno.EMFILE, (1,)) > 0
    run.sweep("open", errno.EACCES, (1,))
    assert run.sweep("alloc", errno.ENOMEM, (1,)) > 0


def sweep_writing(run, reading=(1,)):
    sweep_reading(run, reading)
    run.sweep("write", "short", ())
    run.sweep("write", errno.EINTR, ())
    assert run.sweep("write", errno.ENOSPC, (1,), must_fail=True) > 0
    run.sweep("write", errno.EIO, (1,), must_fail=True)
    assert run.sweep("sync", errno.EIO, (1,), must_fail=True) > 0
    assert run.sweep("place", errno.EIO, (1,), must_fail=True) > 0


def rows():
    return [json.dumps({"id": i, "text": "row %d of it" % (i * i % 97), "f": i / 3, "l": [i, i % 5]})
            for i in range(N)]


OPTIONS = ("--split", "train=0.8,test=0.2", "--row-group-bytes", "16K", "--shard-bytes", "24K", "-j", "2")


def source(tmp):
    return write(os.path.join(tmp, "x.jsonl"), "\n".join(rows()))


def test_ingest(tmp):
    path = source(tmp)
    ds = os.path.join(tmp, "ds")
    ingest(ds, path, *OPTIONS)
    want = tree(ds)

    def complete(place, _=None):
        return tree(os.path.join(place, "ds")) == want

    def nothing_or_all(place):
        """And another try makes it what it should have been."""
        out = os.path.join(place, "ds")
        if any(rel.startswith("roots") for rel in (tree(out) if os.path.isdir(out) else ())):
            if not complete(place):
                return False
        ingest(out, path, *OPTIONS)
        return complete(place)

    run = Run(tmp, lambda place: ["ingest", "-o", os.path.join(place, "ds"), path, *OPTIONS], complete,
              nothing_or_all)
    sweep_writing(run)


def test_reading_verbs(tmp):
    ds = os.path.join(tmp, "ds")
    ingest(ds, source(tmp), *OPTIONS)

    def same(*args):
        want = tool(*args)[0]
        return Run(tmp, lambda place: list(args), lambda place, out: out == want)

    sweep_reading(same("cat", ds))
    sweep_reading(same("get", ds, "--io", "pread", "3,77,500-520,1499,0"))
    sweep_reading(same("info", "--json", ds))

    def export(place):
        return ["export", ds, "-o", os.path.join(place, "out")]

    want = tool("export", ds, "-o", "-")[0]
    run = Run(tmp, export, lambda place, _: open(os.path.join(place, "out"), "rb").read() == want,
              lambda place: not os.path.exists(os.path.join(place, "out")))
    sweep_reading(run)
    assert run.sweep("sync", errno.EIO, (1,), must_fail=True) > 0
    assert run.sweep("place", errno.EIO, (1,), must_fail=True) > 0


def test_a_full_disk_behind_standard_output(tmp):
    """These write through stdio, out of the library's reach."""
    ds = os.path.join(tmp, "ds")
    ingest(ds, source(tmp), *OPTIONS)
    for args in (["cat"], ["head"], ["get", "1"], ["info"], ["info", "--json"], ["schema"], ["schema", "--json"],
                 ["verify"], ["verify", "--json"], ["bench", "--split", "train"], ["recover", "--json"],
                 ["bench", "--split", "train", "--json"], ["export", "-o", "-"], ["rejects"], ["--help"]):
        with open("/dev/full", "wb") as full:
            p = subprocess.run([TOOL, args[0], *([] if args[0][0] == "-" else [ds]), *args[1:]], stdout=full,
                               stderr=subprocess.PIPE, timeout=60)
        if args != ["rejects"]:  # there are none
            assert p.returncode == 1 and b"space" in p.stderr, (args, p.returncode, p.stderr)
            assert p.stderr.count(b"annot write") + p.stderr.count(b"writing") == 1, (args, p.stderr)


def test_verify(tmp):
    ds = os.path.join(tmp, "ds")
    ingest(ds, source(tmp), *OPTIONS)
    for args in (["verify", "-j", "2", ds], ["verify", "--decode", "-j", "1", ds], ["verify", "--quick", ds]):
        want = tool(*args)[0]
        sweep_reading(Run(tmp, lambda place: args, lambda place, out: out == want), damage=(1, 4))


def test_bench(tmp):
    ds = os.path.join(tmp, "ds")
    ingest(ds, source(tmp), *OPTIONS)
    args = ["bench", ds, "--split", "train", "--io", "pread", "--threads", "2", "--json"]
    want = tool_json(*args[:-1])

    def same(_, out):
        have = json.loads(out)
        return all(have[k] == want[k] for k in ("rows", "content_hash", "order_hash"))

    sweep_reading(Run(tmp, lambda place: args, same))


def test_recover(tmp):
    """What an interrupted recovery leaves is not less than what was there."""
    ds = os.path.join(tmp, "ds")
    ingest(ds, source(tmp), *OPTIONS)
    want = tool("cat", ds)[0]
    [segment] = os.listdir(os.path.join(ds, "segments"))
    with open(os.path.join(ds, "segments", segment), "r+b") as f:
        f.truncate(200)
    shard = sorted(os.listdir(os.path.join(ds, "shards")))[0]
    with open(os.path.join(ds, "shards", shard), "r+b") as f:
        f.write(b"?")  # its header: it is written anew
    before = tree(ds)

    def prepare(place):
        shutil.copytree(ds, os.path.join(place, "ds"))
        return ["recover", "-j", "2", os.path.join(place, "ds")]

    def recovered(place, _=None):
        return tool("cat", os.path.join(place, "ds"))[0] == want

    def no_less(place):
        copy = os.path.join(place, "ds")
        after = tree(copy)
        if any(rel not in after for rel in before):
            return False
        tool("recover", copy)
        return recovered(place) and not leftovers(copy)

    def no_file_less(place):
        """Where the disk gives an error, rows are lost, and the rest is a dataset."""
        copy = os.path.join(place, "ds")
        after = tree(copy)
        status = tool_json("recover", copy, status=None)
        rows = set(tool("cat", copy)[0].splitlines())
        return not status.get("error") and all(rel in after for rel in before) and rows <= all_rows

    def leftovers(copy):
        return [name for name in os.listdir(os.path.join(copy, "tmp")) if name.endswith(".shard")]

    all_rows = set(want.splitlines())
    Run(tmp, prepare, recovered, no_file_less).sweep("read", errno.EIO, (1, 4))
    run = Run(tmp, prepare, recovered, no_less)
    sweep_writing(run, reading=None)
    # A folder that breaks off has not ended. Without the root all of them are read.
    root = sorted(os.listdir(os.path.join(ds, "roots")))[0]
    os.truncate(os.path.join(ds, "roots", root), 100)
    os.truncate(os.path.join(ds, "segments", segment), 0)
    before = tree(ds)

    def unpublished(place):
        after = tree(os.path.join(place, "ds"))
        return all(rel in after for rel in before) and len(os.listdir(os.path.join(place, "ds/roots"))) == 1

    run = Run(tmp, prepare, recovered, unpublished, fine=(4,))
    assert run.sweep("list", errno.EIO, (1,), must_fail=True) > 3


if __name__ == "__main__":
    if os.path.getsize(SO) == 0:
        print("SKIP: a sanitizer has the allocator and the calls that tests/fault_inject.c wants to replace")
        sys.exit(77)
    main(globals())
