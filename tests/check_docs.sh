#!/bin/sh
# The documents name files, options and verbs that exist: every path in README.md's map and in
# docs/architecture.md, and every option of --help in the man pages, the other way round too.
set -u
: "${top_srcdir:?}" "${SHARDTOOL:?}" "${SHARDTRAIN:?}"
fail=0
bad() { echo "FAIL: $*"; fail=1; }

# A path in back quotes with a slash in it, or one of the known top-level files, must exist.
for doc in README.md docs/architecture.md; do
    [ -f "$top_srcdir/$doc" ] || { bad "$doc is missing"; continue; }
    # shellcheck disable=SC2016
    for path in $(grep -o '`[A-Za-z0-9_.][A-Za-z0-9_./-]*/[A-Za-z0-9_./-]*`' "$top_srcdir/$doc" |
            tr -d '`' | sort -u); do
        case $path in
        build/*|/*|../*|*...*) continue ;; # made, not shipped; or outside
        esac
        [ -e "$top_srcdir/$path" ] || bad "$doc names $path, which does not exist"
    done
done

# Options: what a verb's --help shows stands in the man page, and nothing else does.
check_options() { # program, man page, verbs
    prog=$1 man=$top_srcdir/docs/$2
    shift 2
    [ -x "$prog" ] || { bad "$prog is not built"; return; }
    [ -f "$man" ] || { bad "$man is missing"; return; }
    in_help=$(for verb in "$@"; do "$prog" "$verb" --help; done | grep -o -e '--[a-z][a-z-]*' | sort -u)
    in_man=$(sed 's/\\-/-/g; s/\\f[A-Z]//g' "$man" | grep -o -e '--[a-z][a-z-]*' | sort -u)
    for o in $in_help; do
        echo "$in_man" | grep -qx -e "$o" || bad "$2 lacks $o, which --help of $prog shows"
    done
    for o in $in_man; do
        echo "$in_help" | grep -qx -e "$o" || bad "$2 has $o, which no --help of $prog shows"
    done
}
verbs() { "$1" --help | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p'; }
# shellcheck disable=SC2046
check_options "$SHARDTOOL" shardtool.1 $(verbs "$SHARDTOOL")
# shellcheck disable=SC2046
check_options "$SHARDTRAIN" shardtrain.1 $(verbs "$SHARDTRAIN")

[ "$fail" = 0 ] && echo "the documents agree with the tree and the programs"
exit "$fail"
