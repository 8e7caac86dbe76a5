#!/bin/sh
# shardtool verify against cat of the same files to a pipe and against xxhsum (Debian package xxhash),
# warm, 2 threads; and cold, past the page cache, against cat alone. No bar but the speed of disk or hash.
#
#   sh tests/bench/verify.sh [TEXT-BYTES]      default: 500 MB
set -eu
me=verify
. "$(dirname "$0")/common.sh"
text=${1:-500000000}
need_data
need xxhsum xxhash
need_build shardtool tests/bench/make_text
scratch
tool ingest --dedup none --shard-bytes 32M -o "$tmp/ds" "$(text_file "$text")" 2>"$tmp/log" ||
    fail "$(cat "$tmp/log")"
"$PYTHON" - "$build/shardtool" "$tmp/ds" <<'END'
import glob, os, statistics, subprocess, sys, time
from pairs import RUNS, Verdicts, spread

tool, ds = sys.argv[1:]
v = Verdicts("verify")
files = sorted(glob.glob(ds + "/*/*"))
size = sum(map(os.path.getsize, files))
cold = os.access("/proc/sys/vm/drop_caches", os.W_OK)


def seconds(args, drop=False):
    if drop:
        os.sync()
        open("/proc/sys/vm/drop_caches", "w").write("3")
        for program in (tool, "xxhsum", "cat"):  # the programs are not what is to be read
            subprocess.run([program, "--version"], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
    t = time.monotonic()
    subprocess.run(args, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - t


def two(command):
    """The files by two processes at once."""
    return ["xargs", "-a", ds + ".list", "-n", "1", "-P", "2"] + command


open(ds + ".list", "w").write("".join(f + "\n" for f in files))
verify, quick, decode = [tool, "verify", ds], [tool, "verify", "--quick", ds], [tool, "verify", "--decode", ds]
sums = two(["xxhsum", "-q", "-H3"] if b"H3" in subprocess.run(
    ["xxhsum", "--help"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout else ["xxhsum", "-q"])
cat = ["sh", "-c", 'cat "$@" | cat >/dev/null', "cat"] + files
for how in (False, True) if cold else (False,):
    runs = [(seconds(verify, how), seconds(sums, how), seconds(cat, how)) for _ in range(RUNS)]
    for i, what in ((1, "xxhsum, 2 processes"), (2, "cat")):
        v.bar("%s, speed of verify / of %s" % ("cold" if how else "warm", what),
              [r[i] / r[0] for r in runs], least=0.9, note=" (%.2f of %.2f GB/s)" % (
                  size / statistics.median(r[0] for r in runs) / 1e9,
                  size / statistics.median(r[i] for r in runs) / 1e9))
print("    verify --quick %s ms, --decode %s s" % (
    spread([1e3 * seconds(quick) for _ in range(RUNS)], "%.1f"),
    spread([seconds(decode) for _ in range(RUNS)])))
sys.exit(v.status())
END
