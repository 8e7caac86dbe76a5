#!/bin/sh
# Build below build/ (or $SHARDLINE_BUILD) and print nothing unless it fails: for quickstart.sh and
# run.sh. Usage: sh tools/build.sh [configure arguments]; the log is in the build folder.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
dir=${SHARDLINE_BUILD:-$top/build}
mkdir -p "$dir"
log=$dir/build.log
jobs=$(nproc 2>/dev/null || echo 2)

step() { # what, command...
    what=$1
    shift
    "$@" >>"$log" 2>&1 || {
        tail -n 30 "$log" >&2
        echo "build: $what failed; the whole log is $log" >&2
        exit 1
    }
}

: >"$log"
cd "$top"
newer() { [ ! -e "$1" ] || [ -n "$(find configure.ac Makefile.am ./*/local.mk ./*/*/local.mk tests/*.mk \
    -newer "$1" 2>/dev/null | head -n 1)" ]; }
if newer configure; then
    step "autoreconf" autoreconf -i
fi
cd "$dir"
if [ ! -e Makefile ] || [ "$(cat configure.args 2>/dev/null)" != "$*" ]; then
    step "configure" "$top/configure" "$@"
    echo "$*" >configure.args
fi
step "make" make -j"$jobs"
