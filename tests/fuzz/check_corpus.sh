#!/bin/sh
# Replay what fuzzing has found and where it got to, inputs of every type and encoding, and some changed
# inputs of each; what breaks a promise aborts. With sanitizers it sees more.
set -u
seeds=$(mktemp -d "${TMPDIR:-/tmp}/shardline-seeds.XXXXXX") || exit 1
trap 'rm -rf "$seeds"' EXIT
"$top_builddir/tests/fuzz/make_seeds" "$seeds" || exit 1
for t in dataset dict filter footer page records root segment; do
    set -- "$top_srcdir/tests/fuzz/corpus/$t"
    [ ! -d "$seeds/$t" ] || set -- "$@" "$seeds/$t"
    "$top_builddir/tests/fuzz/fuzz_$t" -n "${FUZZ_N:-3}" "$@" || {
        echo "fuzz_$t: status $?"
        exit 1
    }
done
