# Read by the benchmarks of this folder (". common.sh" after setting $me): where things are.
#
#   SHARDLINE_BUILD        the build folder; default build/ of the checkout
#   SHARDLINE_DATA         the folder of real data; default ../shared/data beside the checkout
#   SHARDLINE_BENCH_CACHE  where peers are installed and large inputs kept from run to run
#   RUNS                   interleaved pairs per figure, default 5
top=$(cd "$(dirname "$0")/../.." && pwd)
build=${SHARDLINE_BUILD:-$top/build}
data=${SHARDLINE_DATA:-$top/../shared/data}
cache=${SHARDLINE_BENCH_CACHE:-${TMPDIR:-/tmp}/shardline-bench-cache}
runs=${RUNS:-5}
PYTHON=${PYTHON:-/usr/bin/python3}
[ -x "$PYTHON" ] || PYTHON=python3
export PYTHONPATH="$top/tests/bench" PYTHONDONTWRITEBYTECODE=1
mkdir -p "$cache"

fail() { echo "$me: $*" >&2; exit 2; }
need() { command -v "$1" >/dev/null || fail "$1 is missing: apt-get install $2"; }
need_build() { make -s -C "$build" "$@" >/dev/null || fail "make in $build failed"; }
need_data() { [ -d "$data/ag_news" ] || fail "no data in $data: set SHARDLINE_DATA"; }
need_duckdb() {
    need node nodejs
    [ -d "$cache/duckdb/node_modules/@duckdb/node-api" ] ||
        npm install --silent --prefix "$cache/duckdb" @duckdb/node-api >&2 ||
        fail "npm install @duckdb/node-api failed"
}
# T-like text as JSON lines, made once: prints the file's name.
text_file() { # BYTES
    [ -f "$cache/text-$1.jsonl" ] || {
        "$build/tests/bench/make_text" "$1" "$data/ag_news/test.csv" >"$cache/text.tmp"
        mv "$cache/text.tmp" "$cache/text-$1.jsonl"
    }
    echo "$cache/text-$1.jsonl"
}
tool() { "$build/shardtool" "$@" --progress never; }
scratch() {
    tmp=$(mktemp -d "${TMPDIR:-/tmp}/$me.XXXXXX")
    trap 'rm -rf "$tmp"' EXIT
}
