"""An ingest that is stopped in the middle: by Ctrl-C, by kill -9 at any instant, by a full disk.
There is no dataset then, or a good one, and the next try succeeds with the same bytes."""

import os
import random
import signal
import subprocess
import tempfile
import time

from util import TOOL, ingest, main, tool, tool_json, tree, write

ROWS = 60000
OPTS = ("--dedup", "exact", "--split", "train=0.8,test=0.2", "--row-group-bytes", "256K",
        "--shard-bytes", "200K")


def corpus(tmp):
    rng = random.Random(7)
    lines = ['{"id": %d, "text": "%s"}' % (i, "%x" % rng.getrandbits(200)) for i in range(ROWS)]
    lines[100] = "bad"
    path = write(os.path.join(tmp, "x.jsonl"), "\n".join(lines) + "\n")
    good = os.path.join(tmp, "good")
    start = time.monotonic()
    ingest(good, *OPTS, path, status=3)
    return path, tree(good), time.monotonic() - start


def start(ds, path):
    return subprocess.Popen([TOOL, "ingest", "-o", ds, *OPTS, path], stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def is_good(ds, want):
    return tree(ds) == want and tool("verify", ds)[0]


def test_kill_9_at_random_times(tmp):
    path, want, seconds = corpus(tmp)
    rng = random.Random(3)
    ds = os.path.join(tmp, "ds")
    killed = 0
    for i in range(60):
        if killed >= 8 and i >= 20:
            break
        p = start(ds, path)
        time.sleep(rng.random() * seconds * 1.1)
        p.kill()
        p.wait()
        p.stderr.close()
        if p.returncode == -signal.SIGKILL:
            killed += 1
        else:
            seconds *= 0.8  # the machine got faster since this was measured
        roots = os.path.join(ds, "roots")
        if os.path.isdir(roots) and os.listdir(roots):
            assert is_good(ds, want), "try %d" % i
        elif os.path.isdir(ds):
            tool("info", ds, status=1)  # nothing there, and it says so
        if i % 2:
            # At times try again over what the last one left, at times afresh.
            r = ingest(ds, *OPTS, path, status=None)
            assert r["rows_written"] == ROWS - 1, r
            assert is_good(ds, want), "try %d" % i
            assert os.listdir(os.path.join(ds, "tmp")) == []
            subprocess.check_call(["rm", "-rf", ds])
    assert killed >= 5, "only %d were killed in time" % killed


def test_signals_leave_nothing(tmp):
    path, want, seconds = corpus(tmp)
    rng = random.Random(4)
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        ds = os.path.join(tmp, "ds")
        p = start(ds, path)
        while not os.path.isdir(ds) and p.poll() is None:
            time.sleep(0.001)
        time.sleep(rng.random() * seconds * 0.5)
        p.send_signal(sig)
        _, err = p.communicate(timeout=20)
        if p.returncode != 3:
            assert p.returncode == -sig, (p.returncode, err)
            assert b"interrupted" in err, err
            assert not os.path.exists(ds), os.listdir(ds)
        else:
            assert is_good(ds, want)
        subprocess.check_call(["rm", "-rf", ds])


def test_interrupt_while_standard_input_is_silent(tmp):
    ds = os.path.join(tmp, "ds")
    p = subprocess.Popen([TOOL, "ingest", "-o", ds, "-"], stdin=subprocess.PIPE,
                         stderr=subprocess.PIPE)
    time.sleep(0.3)
    p.send_signal(signal.SIGINT)
    deadline = time.monotonic() + 10
    while p.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert p.returncode == -signal.SIGINT, p.returncode
    p.stderr.close()
    p.stdin.close()
    assert not os.path.exists(ds)


def test_file_size_limit(tmp):
    path, want, _ = corpus(tmp)
    ds = os.path.join(tmp, "ds")
    for blocks in (0, 1, 8, 100, 150):
        p = subprocess.run("ulimit -f %d; trap '' XFSZ; exec %s ingest -o %s %s %s" % (
            blocks, TOOL, ds, " ".join(OPTS), path), shell=True, stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE)
        assert p.returncode == 1, (blocks, p)
        assert b"arge" in p.stderr, p.stderr  # "File too large"
        assert not os.path.exists(ds), (blocks, tree(ds))
    ingest(ds, *OPTS, path, status=3)
    assert is_good(ds, want)


def test_full_disk(tmp):
    """Needs to mount a small tmpfs; where that is forbidden the limit above has to do."""
    path, want, _ = corpus(tmp)
    disk = tempfile.mkdtemp(dir=tmp)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "none", disk],
                      stderr=subprocess.DEVNULL).returncode != 0:
        print("no mount here: not run")
        return
    try:
        ds = os.path.join(disk, "ds")
        r = ingest(ds, *OPTS, path, status=1)
        assert "No space" in r["error"], r
        assert os.listdir(disk) == [], os.listdir(disk)
        subprocess.check_call(["mount", "-o", "remount,size=50m", disk])
        ingest(ds, *OPTS, path, status=3)
        assert is_good(ds, want)
    finally:
        subprocess.check_call(["umount", disk])


def test_unwritable_output(tmp):
    path = write(os.path.join(tmp, "a.txt"), "x\n")
    r = ingest("/proc/nowhere", path, status=1)
    assert r["error"]
    r = tool_json("ingest", "-o", os.path.join(tmp, "a.txt", "ds"), path, status=1)
    assert r["error"]


# A test run in the background may have been told to ignore it, and so would what it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
main(globals())
