#!/bin/sh
# Peak resident set of writing (shardtool ingest) and reading (shardtool bench, the loader) tables of 1
# to 10,000 columns, and values of 1 GB, against --memory, which may be exceeded by 32 MiB for the program
# itself: at the smallest budget that is accepted, and at one between. Other commands have no budget:
# what they take is printed, with a bar of 64 MiB for those that hand out large values.
#
#   sh tests/bench/memory.sh [MB-PER-TABLE [MB-PER-VALUE]]      default: 40, 1000
set -eu
me=memory
. "$(dirname "$0")/common.sh"
mb=${1:-40} value=${2:-1000}
need_data
need_build shardtool tests/bench/make_table tests/bench/make_text
scratch
"$build/tests/bench/make_text" $((mb * 1000000)) "$data/ag_news/test.csv" |
    sed 's/^{"text": "\(.*\)", "label.*/\1/' >"$tmp/1.txt"
"$build/tests/bench/make_table" numbers $((mb * 1000000 / 70)) >"$tmp/8.csv"
for columns in 100 1000 10000; do
    "$build/tests/bench/make_table" wide $columns $((mb * 1000000 / columns / 4)) >"$tmp/$columns.csv"
done
mkdir "$tmp/value"
{ head -c $((value * 500000)) /dev/urandom; head -c $((value * 500000)) /dev/zero; } >"$tmp/value/a.bin"
echo short >"$tmp/value/b.txt"
"$PYTHON" - "$build/shardtool" "$tmp" "$value" <<'END'
import os, re, shutil, subprocess, sys
from pairs import Verdicts

tool, tmp, value = sys.argv[1:]
v = Verdicts("memory")


def run(*args):
    """(status, peak in MiB, what it said)"""
    with open(tmp + "/out", "w") as out:
        p = subprocess.Popen([tool, *args], stdout=out, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    return p.returncode, usage.ru_maxrss / 1024, open(tmp + "/out", errors="replace").read(100000)


def smallest(*args):
    """The budget that refusals name, in MiB. (The first of ingest's comes before there is a schema.)"""
    low = 1
    while True:
        status, _, text = run(*args, "--memory", "%dM" % low)
        m = re.search(r"(?:--memory |\()(\d+)M", text)
        if status != 2:
            return low
        if not m or int(m.group(1)) <= low:
            raise SystemExit("memory: no smallest budget: " + text)
        low = int(m.group(1))


def over(what, budget, *args):
    status, peak, text = run(*args, "--memory", "%dM" % budget)
    if status:
        raise SystemExit("memory: %s: %s" % (args, text))
    v.bar("%s, --memory %dM, MiB resident" % (what, budget), [peak], most=budget + 32, form="%.0f")


def table(what, *inputs):
    ingest = ["ingest", "--progress", "never", "--dedup", "none", "-o", ds, *inputs]
    low = smallest(*ingest)
    for budget in sorted({low, max(2 * low, 256)}):
        shutil.rmtree(ds, ignore_errors=True)
        over("ingest of " + what, budget, *ingest)
    bench = ["bench", "--no-hash", "--progress", "never", ds]
    low = smallest(*bench)
    for budget in sorted({low, max(2 * low, 256)}):
        over("loader, " + what, budget, *bench)
    for verb in ("verify", "cat"):
        status, peak, text = run(verb, ds)
        print("    %s, %s: %.0f MiB" % (verb, what, peak), flush=True)


ds = tmp + "/ds"
table("1 column", tmp + "/1.txt")
for n in ("8", "100", "1000", "10000"):
    shutil.rmtree(ds)
    table(n + " columns", tmp + "/" + n + ".csv")
shutil.rmtree(ds)
table("a value of %s MB" % value, "--format", "files", tmp + "/value")
for verb in (["get", "--raw", "content", ds, "0"], ["verify", "--decode", ds]):
    status, peak, text = run(*verb)
    if status:
        raise SystemExit("memory: %s: %s" % (verb, text))
    v.bar("%s, a value of %s MB, MiB resident" % (verb[0], value), [peak], most=64, form="%.0f")
sys.exit(v.status())
END
