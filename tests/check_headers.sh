#!/bin/sh
# Every header compiles alone: the installed ones as strict C11 and C++17 with nothing but the
# installed ones in reach, the private ones as our own sources include them. Each is included
# twice, to see its guard.
set -u
: "${top_srcdir:?}" "${top_builddir:?}"
cc=${CC:-cc} cxx=${CXX:-c++}
fail=0 n=0
tmp=$(mktemp -d "${TMPDIR:-/tmp}/check_headers.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT

compile() { # compiler, language, header as included, flags
    compiler=$1 language=$2 header=$3
    shift 3
    printf '%s#include "%s"\n#include "%s"\n' "$first" "$header" "$header" >"$tmp/alone.$language"
    n=$((n + 1))
    # The compiler may be "gcc -m64" or "ccache gcc".
    # shellcheck disable=SC2086
    if ! $compiler -fsyntax-only -Wall -Wextra -Werror "$@" "$tmp/alone.$language"; then
        echo "FAIL: $header alone, $compiler $*"
        fail=1
    fi
}

public=
for folder in lib shardfmt loader; do
    public="$public -I$top_srcdir/$folder/include"
done

cd "$top_srcdir" || exit 1
first=
have_cxx=yes
echo 'int main() { return 0; }' >"$tmp/try.cc"
# shellcheck disable=SC2086
$cxx -std=c++17 -fsyntax-only "$tmp/try.cc" 2>/dev/null || { have_cxx=no; echo "SKIP: no C++17"; }
for path in */include/shardline/*.h; do
    header=shardline/${path##*/}
    # shellcheck disable=SC2086
    compile "$cc" c "$header" -std=c11 -Wpedantic -Wstrict-prototypes $public
    # shellcheck disable=SC2086
    [ "$have_cxx" = no ] || compile "$cxx" cc "$header" -std=c++17 -Wpedantic $public
done

first='#include "config.h"
'
flags=$(pkg-config --cflags liburing libzstd libxxhash libarchive jansson check 2>/dev/null)
for path in $(find lib shardfmt loader train tools tests -name '*.h' ! -path '*/include/*' | sort); do
    case $path in
    tests/*_util.h|lib/*|shardfmt/*|loader/*|train/*|tools/*) ;;
    *) continue ;;
    esac
    # shellcheck disable=SC2086
    compile "$cc" c "$path" -std=gnu11 $public -I. -I"$top_builddir" $flags
done

[ "$fail" = 0 ] && echo "$n compilations of headers alone passed"
exit "$fail"
