#!/bin/sh
# Build the fuzz targets with clang's libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer, and
# run them one after the other.
#
#     sh tests/fuzz/run.sh [SECONDS [TARGET...]]
#
# SECONDS per target, 60 without. Targets: footer page dataset filter records dict root segment;
# page:N is page with encoding N in many streams (docs/format.md has the numbers). What is found stands in finds/ of FUZZ_DIR
# (else build-fuzz/ of the source), beside the corpus, which later runs go on with.
# Prints for each target how many inputs it had, its seconds of processor time and its exit status;
# ends with "fuzz: N targets, N finds", status 1 if there were any.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
dir=${FUZZ_DIR:-$top/build-fuzz}
seconds=${1:-60}
[ $# = 0 ] || shift
[ $# != 0 ] || set -- footer page dataset filter records dict root segment page:1 page:2 page:4 page:5 page:6

mkdir -p "$dir/finds" && cd "$dir" || exit 1
[ -x "$top/configure" ] || (cd "$top" && autoreconf -i) || exit 1
if [ ! -f Makefile ]; then
    "$top/configure" CC=clang CXX=clang++ --enable-fuzzing --disable-shared --enable-static \
        CFLAGS='-g -O1' CXXFLAGS='-g -O1' >configure.out 2>&1 || { tail -n 20 configure.out; exit 1; }
fi
make -j2 fuzz >make.out 2>&1 || { tail -n 40 make.out; exit 1; }

tests/fuzz/make_seeds seeds || exit 1

# liblzma asks for the dictionary that a header tells of, up to 4 GiB, and touches what data it fills with:
# hence the limit of one allocation, where the memory in use has a smaller one.
# Freed memory is kept from use for a while, but not until the limit below is reached.
export ASAN_OPTIONS="${ASAN_OPTIONS-}:quarantine_size_mb=64"

# Seconds of processor time of children between two outputs of times, one after the other in a file.
cpu() {
    tr 'ms' '  ' <"$1" | awk 'NR % 2 == 0 { s[NR / 2] = $1 * 60 + $2 + $3 * 60 + $4 }
        END { printf "%.0f\n", s[2] - s[1] }'
}

n=0 finds=0
for t in "$@"; do
    name=${t%%:*} encoding=
    [ "$t" = "$name" ] || encoding=${t#*:}
    mkdir -p "corpus/$name" "seeds/$name"
    times >times.out
    FUZZ_ENCODING=$encoding "tests/fuzz/fuzz_$name" -max_total_time="$seconds" -rss_limit_mb=2048 -malloc_limit_mb=4200 \
        -timeout=25 -max_len=8192 -print_final_stats=1 -artifact_prefix="finds/$name-" \
        "corpus/$name" "seeds/$name" "$top/tests/fuzz/corpus/$name" >"$name.out" 2>&1
    status=$?
    times >>times.out
    n=$((n + 1))
    echo "$t: $(sed -n 's/^stat::number_of_executed_units: *//p' "$name.out") inputs," \
        "$(cpu times.out) s of CPU, status $status"
    if [ $status != 0 ]; then
        finds=$((finds + 1))
        grep -E 'ERROR|SUMMARY|runtime error|fuzz:|Test unit' "$name.out"
    fi
done
echo "fuzz: $n targets, $finds finds"
[ $finds = 0 ]
