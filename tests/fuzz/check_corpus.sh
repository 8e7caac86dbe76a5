#!/bin/sh
# Replay what fuzzing has found and where it got to, and some changed inputs of each; what breaks a
# promise aborts. With sanitizers it sees more.
set -u
for t in dict footer page root segment; do
    "$top_builddir/tests/fuzz/fuzz_$t" -n "${FUZZ_N:-10}" "$top_srcdir/tests/fuzz/corpus/$t" || {
        echo "fuzz_$t: status $?"
        exit 1
    }
done
