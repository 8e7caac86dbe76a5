#!/bin/sh
# The walls of the house: each folder includes only its own headers and those of folders before it,
# the libraries of others stay where they belong, and nothing else stands at the top of the tree.
set -u
export LC_ALL=C
: "${top_srcdir:?}" "${top_builddir:?}"
fail=0 n=0
bad() { echo "FAIL: $*"; fail=1; }
cd "$top_srcdir" || exit 1

# The place of a path in the order; a higher one may use a lower one.
layer_of() {
    case $1 in
    lib/*|shardline/status.h) layer=1 ;;
    shardfmt/*|shardline/fmt.h) layer=2 ;;
    loader/*|shardline/loader.h) layer=3 ;;
    train/*) layer=4 ;;
    tools/ingest/*) layer=5 ;;
    tools/*) layer=6 ;;
    *) layer= ;;
    esac
}

# May the file $1 include <$2> of another project?
foreign() {
    case $2 in
    archive.h|archive_entry.h|simdjson.h)
        case $1 in tools/ingest/*) return 0 ;; esac
        return 1 ;;
    jansson.h)
        case $1 in lib/report.*|train/*|tools/*) return 0 ;; esac
        return 1 ;;
    liburing.h)
        case $1 in lib/io_uring.c) return 0 ;; esac
        return 1 ;;
    check.h)
        return 1 ;;
    esac
    return 0
}

check_file() { # path
    layer_of "$1"
    mine=$layer
    for included in $(sed -n 's/^[ \t]*#[ \t]*include[ \t]*[<"]\([^>"]*\)[>"].*/\1/p' "$1"); do
        n=$((n + 1))
        foreign "$1" "$included" || bad "$1 includes $included, which does not belong there"
        case $included in
        tests/*) bad "$1 includes $included"; continue ;;
        esac
        layer_of "$included"
        if [ -z "$layer" ] && [ -e "${1%/*}/$included" ]; then
            bad "$1 includes \"$included\" without its folder"
        elif [ -n "$layer" ] && [ "$layer" -gt "$mine" ]; then
            bad "$1 includes $included of a layer below its own"
        fi
    done
}

for folder in lib shardfmt loader train tools; do
    [ -d "$folder" ] || { bad "no folder $folder"; continue; }
    for path in $(find "$folder" -name '*.[ch]' -o -name '*.cc' -o -name '*.cpp' -o -name '*.hpp'); do
        check_file "$path"
    done
done
[ "$n" -gt 100 ] || bad "only $n #include lines were found"

# The top level: from git where this is a checkout, else what a tarball holds.
if [ -e .git ] && git rev-parse --git-dir >/dev/null 2>&1; then
    top=$(git ls-files | sed 's,/.*,,' | sort -u)
elif [ "$(pwd -P)" = "$(cd "$top_builddir" && pwd -P)" ]; then
    echo "built within the sources: the top level is not looked at"
    top=
else
    top=$(ls -A)
fi
for name in $top; do
    case $name in
    lib|shardfmt|loader|train|tools|tests|docs) ;;
    LICENSE|README.md|Makefile.am|configure.ac|m4|build-aux|.*) ;;
    # made by autoreconf, and the build directories of distcheck and of tools/build.sh
    configure|aclocal.m4|Makefile.in|config.h.in|config.h.in~|autom4te.cache|_build|_inst|build) ;;
    *) bad "$name stands at the top level" ;;
    esac
done

[ "$fail" = 0 ] && echo "$n #include lines keep to the order of the layers"
exit "$fail"
