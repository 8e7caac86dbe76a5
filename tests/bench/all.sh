#!/bin/sh
# All bars of the format (issue 3), one script after the other; then the lines with a bar once more, and
# whether all were met. About 5 minutes on an idle machine with 2 cores, more where the
# gigabyte of text is yet to be made; root, for cold figures.
#
#   sh tests/bench/all.sh [BUILD [OUTPUT [SCRIPT...]]]     default: build, BUILD/bench.txt, all of them
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
SHARDLINE_BUILD=$(cd "${1:-$top/build}" && pwd) || exit 2
export SHARDLINE_BUILD
out=${2:-$SHARDLINE_BUILD/bench.txt}
[ $# -lt 2 ] || shift
[ $# -lt 1 ] || shift
[ $# -gt 0 ] || set -- size decode encode random_access open memory verify
text=1057500000 # bytes of generated text for both that take a gigabyte: it is made once
say() { printf "%s\n" "$@" | tee -a "$out"; } # lines

: >"$out" || exit 2
say "$(date -u '+%Y-%m-%d %H:%M') $(git -C "$top" rev-parse --short HEAD 2>/dev/null)" \
    "$(nproc) cores of $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)" \
    "$(awk '/^MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)" \
    "load average $(cut -d ' ' -f 1 /proc/loadavg)"
failed=0
for script; do
    options=
    case $script in
    size) options="--text $text" ;;
    random_access) options=$text ;;
    esac
    say "" "== $script.sh $options"
    start=$(date +%s)
    # The status goes through a file, as the one of a pipe is that of its end.
    # shellcheck disable=SC2086
    { sh "$top/tests/bench/$script.sh" $options 2>&1; echo $? >"$out.status"; } | tee -a "$out"
    case $(cat "$out.status") in
    0 | 1) ;;
    *)
        failed=$((failed + 1))
        say "$script: NOT MET, the script failed" ;;
    esac
    say "($(($(date +%s) - start)) s)"
done
rm -f "$out.status"
bars=$(grep -E ': (met|NOT MET)' "$out")
say "" "== bars" "$bars"
missed=$(printf '%s\n' "$bars" | grep -c 'NOT MET')
say "" "$missed of $(printf '%s\n' "$bars" | grep -c .) bars not met, $failed scripts failed"
[ "$missed" = 0 ]
