#!/bin/sh
# The installed library as a user meets it: make install into a folder of its own, find it with
# pkg-config, compile the example against it in C and in C++, and run it on a dataset.
set -eu
: "${top_srcdir:=.}" "${top_builddir:=.}" "${CC:=cc}" "${SHARDTOOL:=$top_builddir/shardtool}"
command -v pkg-config >/dev/null || { echo "no pkg-config here"; exit 77; }

tmp=$(mktemp -d "${TMPDIR:-/tmp}/shardline-install.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
fail()
{
    echo "FAIL: $*" >&2
    exit 1
}

unset MAKEFLAGS MFLAGS MAKELEVEL DESTDIR
make -C "$top_builddir" install DESTDIR="$tmp/root" >"$tmp/log" 2>&1 ||
    { tail -n 20 "$tmp/log" >&2; fail "make install"; }
pc=$(find "$tmp/root" -name shardline.pc)
[ -n "$pc" ] || fail "shardline.pc was not installed"
PKG_CONFIG_PATH=$(dirname "$pc")
PKG_CONFIG_SYSROOT_DIR=$tmp/root
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
flags=$(pkg-config --cflags --libs shardline)
if [ -z "$(find "$tmp/root" -name 'libshardline.so')" ]; then
    echo "configured without a shared library: there is nothing to link as a user would"
    exit 77
fi
if nm -D "$(find "$tmp/root" -name 'libshardline.so')" | grep -q -e __asan_ -e __tsan_; then
    echo "built with a sanitizer: a plain program cannot link it"
    exit 77
fi
libdir=$(dirname "$(find "$tmp/root" -name libshardline.so)")

# what the program is linked with must be enough: no other library is named
# shellcheck disable=SC2086
$CC -std=c11 -Wall -Wextra -Werror "$top_srcdir/docs/examples/count_rows.c" $flags \
    -o "$tmp/count_rows" || fail "the example does not compile in C"
if command -v c++ >/dev/null; then
    # shellcheck disable=SC2086
    printf '#include <shardline/loader.h>\nint main() { return shard_limit_name(0) == nullptr; }\n' |
        c++ -x c++ -std=c++17 -Wall -Wextra -Werror - $flags -o "$tmp/cxx" ||
        fail "the headers do not compile in C++"
    LD_LIBRARY_PATH=$libdir "$tmp/cxx" || fail "the C++ program"
fi

i=0
while [ $i -lt 1000 ]; do
    echo "line $i of some text"
    i=$((i + 1))
done >"$tmp/lines.txt"
"$SHARDTOOL" ingest --format text -o "$tmp/ds" "$tmp/lines.txt" >/dev/null 2>&1 || fail "ingest"
out=$(LD_LIBRARY_PATH=$libdir "$tmp/count_rows" "$tmp/ds") || fail "the example"
want=$(($(wc -c <"$tmp/lines.txt") - 1000)) # bytes without the ends of lines
case $out in
"1000 rows, $want values in column 0; limited by: "*) ;;
*) fail "the example says: $out" ;;
esac
if LD_LIBRARY_PATH=$libdir "$tmp/count_rows" "$tmp/nothing" 2>"$tmp/err"; then
    fail "the example found a dataset where there is none"
fi
[ -s "$tmp/err" ] || fail "no message for a dataset that is not there"
