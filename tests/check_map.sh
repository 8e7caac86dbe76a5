#!/bin/sh
# What libshardline exports, what lib/shardline.map lists and what the installed headers declare
# with SHARD_API are the same names, and the library needs none of the programs' libraries.
set -u
export LC_ALL=C
: "${top_srcdir:?}" "${top_builddir:?}"
lib=$top_builddir/.libs/libshardline.so
map=$top_srcdir/lib/shardline.map
fail=0
bad() { echo "FAIL: $*"; fail=1; }

if [ ! -e "$lib" ]; then
    echo "SKIP: no shared library was built ($lib)"
    exit 77
fi
tmp=$(mktemp -d "${TMPDIR:-/tmp}/check_map.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT

# The name before the first parenthesis of every declaration marked SHARD_API.
for header in "$top_srcdir"/*/include/shardline/*.h; do
    grep -v '^ *#' "$header" | tr '\n' ' ' | tr ';' '\n' | grep SHARD_API |
        sed 's/.*SHARD_API//; s/(.*//; s/.*[ *]//'
done | sort >"$tmp/declared"
# The names between "global:" and "local:" of every version.
sed -n '/global:/,/local:/p' "$map" | tr -d ' \t' | sed -n 's/^\([A-Za-z0-9_]*\);$/\1/p' |
    sort >"$tmp/listed"
# Without the versions, and without the versions' own absolute symbols.
${NM:-nm} -D --defined-only "$lib" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' |
    sort >"$tmp/exported"

for list in declared listed exported; do
    [ -s "$tmp/$list" ] || bad "no names $list"
    for name in $(uniq -d "$tmp/$list"); do
        bad "$name is $list twice"
    done
done
compare() { # what is in $1 and not in $2
    for name in $(comm -23 "$tmp/$1" "$tmp/$2"); do
        bad "$name is $1, but not $2"
    done
}
compare exported listed
compare listed declared
compare declared listed
compare listed exported

# Training code that links the library needs neither an archive reader nor a JSON parser.
for needless in archive jansson simdjson stdc++ gomp; do
    if ${READELF:-readelf} -d "$lib" | grep NEEDED | grep -F "lib$needless."; then
        bad "libshardline needs lib$needless"
    fi
done

[ "$fail" = 0 ] && echo "$(wc -l <"$tmp/exported") exported names agree with the map and the headers"
exit "$fail"
