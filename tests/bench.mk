# Benchmarks: scripts that anybody can run and no test does. The programs that they need are built by
# hand (the scripts do).
EXTRA_PROGRAMS = tests/bench/bench_encode tests/bench/bench_lmdb tests/bench/bench_pages \
	tests/bench/bench_pages_unchecked tests/bench/bench_take tests/bench/dump_columns \
	tests/bench/make_table tests/bench/make_text
tests_bench_bench_encode_SOURCES = tests/bench/bench_encode.c
tests_bench_bench_encode_LDADD = shardfmt/libfmt.la lib/libbase.la
# Random access: through the installed library alone, as a user would; and LMDB.
tests_bench_bench_take_SOURCES = tests/bench/bench_take.c tests/bench/random_rows.h
tests_bench_bench_take_LDADD = libshardline.la
tests_bench_bench_lmdb_SOURCES = tests/bench/bench_lmdb.c tests/bench/random_rows.h
tests_bench_bench_lmdb_LDADD = libshardline.la -llmdb
tests_bench_bench_pages_SOURCES = tests/bench/bench_pages.c
tests_bench_bench_pages_LDADD = shardfmt/libfmt.la lib/libbase.la
# The checksums' cost: the same program with a group.c that does not compare them.
tests_bench_bench_pages_unchecked_SOURCES = tests/bench/bench_pages.c shardfmt/group.c
tests_bench_bench_pages_unchecked_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
tests_bench_bench_pages_unchecked_LDADD = shardfmt/libfmt.la lib/libbase.la
tests_bench_dump_columns_SOURCES = tests/bench/dump_columns.c
tests_bench_dump_columns_LDADD = shardfmt/libfmt.la lib/libbase.la
tests_bench_make_table_SOURCES = tests/bench/make_table.c
tests_bench_make_table_LDADD = -lm
tests_bench_make_text_SOURCES = tests/bench/make_text.c
CLEANFILES += $(EXTRA_PROGRAMS)
EXTRA_DIST += tests/bench/common.sh tests/bench/decode.sh tests/bench/encode.sh \
	tests/bench/pairs.py tests/bench/random_access.sh tests/bench/size.sh tests/bench/size_duckdb.js \
	tests/bench/size_table.py
