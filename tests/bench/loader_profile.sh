#!/bin/sh
# Where the loader's CPU time goes, as a table that adds up: `perf record` of `shardtool bench`.
#
#     tests/bench/loader_profile.sh BUILDDIR DATASET [BENCH-OPTIONS...]
#
# Needs perf (Debian: linux-perf) and the right to record the kernel (root, or
# kernel.perf_event_paranoid <= 1), and a build with symbols. Sums ROUNDS runs (default 3).
set -eu
build=${1:?usage: loader_profile.sh BUILDDIR DATASET [BENCH-OPTIONS...]}
ds=${2:?usage: loader_profile.sh BUILDDIR DATASET [BENCH-OPTIONS...]}
shift 2
: "${PYTHON:=/usr/bin/python3}" "${ROUNDS:=3}"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
i=0
while [ "$i" -lt "$ROUNDS" ]; do
    perf record -q -e cpu-clock -F 4000 -o "$tmp/data" \
        "$build/shardtool" bench "$ds" --progress never --json "$@" >"$tmp/json.$i"
    perf report -i "$tmp/data" --stdio --sort comm,dso,sym -g none -n --field-separator=';' 2>/dev/null \
        >"$tmp/report.$i"
    i=$((i + 1))
done
"$PYTHON" - "$tmp" "$ROUNDS" <<'END'
import collections, json, sys

tmp, rounds = sys.argv[1], int(sys.argv[2])
CLEAR = ("clear_page", "folio_zero", "clear_huge")
COPY = ("copy_to_iter", "copy_user", "rep_movs", "filemap_", "copy_page_to_iter", "copyout")
GATHER = ("gather_", "loader_batch_fill", "window_sources", "loader_unit_run", "unit_", "batch_")
ORDER = ("run_block", "loader_bijection")
HASH = ("hash_", "cmd_bench", "loader_order_hash", "consume", "run")


def kind(comm, dso, sym):
    pool = comm.startswith("shard-decode")
    if "libzstd" in dso:
        return "zstd"
    if "kernel" in dso or sym.startswith("[k]"):
        name = sym.split()[-1]
        if any(w in name for w in CLEAR):
            return "kernel: clearing pages at their first use"
        if any(w in name for w in COPY):
            return "kernel: copying out of the page cache"
        return "kernel: faults, waking, the rest"
    name = sym.split()[-1]
    if "XXH" in name:
        return "XXH3 over pages" if pool else "bench: hashes of rows"
    if "memmove" in name or "memcpy" in name:
        return "gather: copying rows" if pool else "rest"
    if any(name.startswith(w) for w in ORDER):
        return "gather: the order's bijection"
    if pool and any(name.startswith(w) for w in GATHER):
        return "gather: finding rows, offsets, numbers"
    if not pool and any(name.startswith(w) for w in HASH):
        return "bench: hashes of rows"
    return "decode but zstd (lengths to offsets, ...)" if pool else "rest"


samples, cpu = collections.Counter(), 0
for i in range(rounds):
    cpu += json.load(open("%s/json.%d" % (tmp, i)))["cpu_seconds"]
    for line in open("%s/report.%d" % (tmp, i)):
        f = [x.strip() for x in line.split(";")]
        if line.startswith("#") or len(f) < 5:
            continue
        samples[kind(f[2], f[3], f[4])] += int(f[1])
total = sum(samples.values())
print("%d runs, %.3f s of CPU each, %d samples" % (rounds, cpu / rounds, total))
for name, n in samples.most_common():
    print("%-46s %5.1f %%   %.3f s" % (name, 100 * n / total, cpu / rounds * n / total))
END
