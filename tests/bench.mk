# Benchmarks: scripts that anybody can run and no test does. The programs that they need are built by
# hand (the scripts do).
EXTRA_PROGRAMS = tests/bench/bench_pages tests/bench/dump_columns tests/bench/make_text
tests_bench_bench_pages_SOURCES = tests/bench/bench_pages.c
tests_bench_bench_pages_LDADD = shardfmt/libfmt.la lib/libbase.la
tests_bench_dump_columns_SOURCES = tests/bench/dump_columns.c
tests_bench_dump_columns_LDADD = shardfmt/libfmt.la lib/libbase.la
tests_bench_make_text_SOURCES = tests/bench/make_text.c
CLEANFILES += $(EXTRA_PROGRAMS)
EXTRA_DIST += tests/bench/common.sh tests/bench/size.sh tests/bench/size_duckdb.js \
	tests/bench/size_table.py
