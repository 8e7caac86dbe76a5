"""What the end-to-end tests of shardtool share. Each test_*() of a script is one case; main() runs
them all, prints what failed and exits 1 then. Programs and data come from the environment
(tests/local.mk)."""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import traceback

TOOL = os.environ["SHARDTOOL"]
DATA = os.environ.get("SHARDLINE_DATA")


class Skip(Exception):
    pass


def need_reader():
    """Make tests/shardline_reader.py importable, or skip the whole script where its modules are
    missing."""
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    for package in ("xxhash", "zstandard"):
        if importlib.util.find_spec(package) is None:
            print("SKIP: no python3-%s, which the second reader needs (sh tools/deps.sh test)" % package)
            sys.exit(77)


def tool(*args, status=0, stdin=None, env=None, **kw):
    """Run shardtool, check its exit status, give (stdout, stderr) as bytes."""
    e = dict(os.environ, **(env or {}))
    if stdin is None:
        kw.setdefault("stdin", subprocess.DEVNULL)
    p = subprocess.run([TOOL, *map(str, args)], input=stdin, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, env=e, timeout=300, **kw)
    if status is not None and p.returncode != status:
        raise AssertionError("shardtool %s: status %d, not %d\n%s%s" % (
            " ".join(map(str, args)), p.returncode, status,
            p.stdout[-2000:].decode(errors="replace"), p.stderr[-2000:].decode(errors="replace")))
    return p.stdout, p.stderr


def tool_json(*args, status=0, **kw):
    out, _ = tool(*args, "--json", status=status, **kw)
    assert out.count(b"\n") == 1, out
    return json.loads(out)


def check_sums(r):
    assert r["rows_read"] == (r["rows_written"] + r["duplicates"] + r["near_duplicates"] +
                              r["filtered"] + r["rejected"]), r


def ingest(ds, *args, status=0, **kw):
    r = tool_json("ingest", "-o", ds, *args, status=status, **kw)
    check_sums(r)
    return r


def data(*parts):
    """A file of the data folder."""
    if not DATA or not os.path.isdir(DATA):
        raise Skip("no data folder")
    path = os.path.join(DATA, *parts)
    assert os.path.exists(path), path
    return path


def write(path, content):
    if isinstance(content, str):
        content = content.encode()
    with open(path, "wb") as f:
        f.write(content)
    return path


def tree(ds):
    """Every file of a dataset but those in tmp, with the hash of its content."""
    found = {}
    for folder, _, names in os.walk(ds):
        for name in names:
            path = os.path.join(folder, name)
            rel = os.path.relpath(path, ds)
            if not rel.startswith("tmp"):
                with open(path, "rb") as f:
                    found[rel] = hashlib.sha256(f.read()).hexdigest()
    return found


def same_json(a, b):
    """Equal as JSON values: floats by value, true is not 1, absent is not null."""
    if isinstance(a, bool) or isinstance(b, bool) or a is None or b is None:
        return a is b
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(
            same_json(v, b[k]) for k, v in a.items())
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(map(same_json, a, b))
    if isinstance(a, str) or isinstance(b, str):
        return isinstance(a, str) and isinstance(b, str) and a == b
    if isinstance(a, (dict, list)) or isinstance(b, (dict, list)):
        return False
    return a == b or (a != a and b != b)


def json_lines(raw):
    return [json.loads(line) for line in raw.split(b"\n") if line]


def same_records(want, got):
    assert len(want) == len(got), "%d records, not %d" % (len(got), len(want))
    for i, (a, b) in enumerate(zip(want, got)):
        assert same_json(a, b), "record %d:\n in  %.600s\n out %.600s" % (i, a, b)


def main(namespace):
    failed = 0
    only = sys.argv[1:]
    cases = [(n, f) for n, f in namespace.items() if n.startswith("test_") and callable(f)]
    for name, case in cases:
        if only and name not in only:
            continue
        tmp = tempfile.mkdtemp(prefix="shardtool-test.")
        try:
            case(tmp)
            print("ok", name, flush=True)
        except Skip as skip:
            print("SKIP-DATA: %s (%s)" % (name, skip), flush=True)
        except Exception:
            failed += 1
            print("FAIL", name, flush=True)
            traceback.print_exc(file=sys.stdout)
        finally:
            shutil.rmtree(tmp, ignore_errors=True)
    sys.exit(1 if failed else 0)
