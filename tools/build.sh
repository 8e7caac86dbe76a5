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

# One at a time: a build that was interrupted may still be ending.
if command -v flock >/dev/null 2>&1; then
    exec 9>"$dir/build.lock"
    flock 9
fi
: >"$log"
cd "$top"
# What an interrupted autoreconf or configure left behind is not to be relied on.
unsure=$dir/configure.unfinished
newer() { [ ! -e "$1" ] || [ -n "$(find configure.ac Makefile.am ./*/local.mk ./*/*/local.mk tests/*.mk \
    -newer "$1" 2>/dev/null | head -n 1)" ]; }
if [ -e "$unsure" ]; then
    rm -f "$dir/Makefile"
    step "autoreconf" autoreconf -i -f
elif newer Makefile.in || [ ! -e configure ] || [ ! -e config.h.in ]; then
    : >"$unsure"
    step "autoreconf" autoreconf -i
fi
cd "$dir"
# Tests are built where libcheck is there, so that its coming is a reason to configure again.
args="$* (check $(pkg-config --modversion check 2>/dev/null || echo missing))"
if [ ! -e Makefile ] || [ "$(cat configure.args 2>/dev/null)" != "$args" ]; then
    : >"$unsure"
    step "configure" "$top/configure" "$@"
    echo "$args" >configure.args
fi
rm -f "$unsure"
step "make" make -j"$jobs"
