# Benchmarks: scripts that anybody can run and no test does. The programs that they need are built by
# hand (the scripts do).
EXTRA_DIST += tests/bench/common.sh tests/bench/all.sh tests/bench/pairs.py
EXTRA_PROGRAMS =
bench_libs = shardfmt/libfmt.la lib/libbase.la

EXTRA_PROGRAMS += tests/bench/make_table tests/bench/make_text
tests_bench_make_table_SOURCES = tests/bench/make_table.c
tests_bench_make_table_LDADD = -lm
tests_bench_make_text_SOURCES = tests/bench/make_text.c

EXTRA_DIST += tests/bench/size.sh tests/bench/size_duckdb.js tests/bench/size_table.py
EXTRA_PROGRAMS += tests/bench/dump_columns
tests_bench_dump_columns_SOURCES = tests/bench/dump_columns.c
tests_bench_dump_columns_LDADD = $(bench_libs)

# The checksums' cost: the same program with a group.c that does not compare them.
EXTRA_DIST += tests/bench/decode.sh
EXTRA_PROGRAMS += tests/bench/bench_pages tests/bench/bench_pages_unchecked
tests_bench_bench_pages_SOURCES = tests/bench/bench_pages.c
tests_bench_bench_pages_LDADD = $(bench_libs)
tests_bench_bench_pages_unchecked_SOURCES = tests/bench/bench_pages.c shardfmt/group.c
tests_bench_bench_pages_unchecked_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
tests_bench_bench_pages_unchecked_LDADD = $(bench_libs)

EXTRA_DIST += tests/bench/encode.sh
EXTRA_PROGRAMS += tests/bench/bench_encode
tests_bench_bench_encode_SOURCES = tests/bench/bench_encode.c
tests_bench_bench_encode_LDADD = $(bench_libs)

EXTRA_DIST += tests/bench/memory.sh tests/bench/verify.sh

EXTRA_DIST += tests/bench/defaults.sh
EXTRA_PROGRAMS += tests/bench/bench_defaults
tests_bench_bench_defaults_SOURCES = tests/bench/bench_defaults.c $(shard_util)
tests_bench_bench_defaults_LDADD = $(bench_libs) -lm

EXTRA_DIST += tests/bench/levels.sh
EXTRA_PROGRAMS += tests/bench/bench_levels
tests_bench_bench_levels_SOURCES = tests/bench/bench_levels.c
tests_bench_bench_levels_LDADD = $(bench_libs)

EXTRA_DIST += tests/bench/open.sh
EXTRA_PROGRAMS += tests/bench/bench_open
tests_bench_bench_open_SOURCES = tests/bench/bench_open.c
tests_bench_bench_open_LDADD = $(bench_libs)

# Random access: through the installed library alone, as a user would; and LMDB.
EXTRA_DIST += tests/bench/random_access.sh
EXTRA_PROGRAMS += tests/bench/bench_take tests/bench/bench_lmdb
tests_bench_bench_take_SOURCES = tests/bench/bench_take.c tests/bench/random_rows.h
tests_bench_bench_take_LDADD = libshardline.la
tests_bench_bench_lmdb_SOURCES = tests/bench/bench_lmdb.c tests/bench/random_rows.h
tests_bench_bench_lmdb_LDADD = libshardline.la -llmdb

CLEANFILES += $(EXTRA_PROGRAMS)
