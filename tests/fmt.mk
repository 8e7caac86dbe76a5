# Tests of fmt. fmt_util makes small datasets; tests of other layers list it in their sources, too.
fmt_util = tests/fmt_util.c tests/fmt_util.h
EXTRA_DIST += $(fmt_util) tests/shardline_reader.py
# shard_util writes one shard and reads it from memory.
shard_util = tests/shard_util.c tests/shard_util.h
EXTRA_DIST += $(shard_util) tests/rowhash_reference.py
# Datasets of any columns for scripts.
check_PROGRAMS += tests/make_dataset
tests_make_dataset_SOURCES = tests/make_dataset.c $(fmt_util)
tests_make_dataset_LDADD = shardfmt/libfmt.la lib/libbase.la
if HAVE_CHECK
fmt_core_check = tests/check_column tests/check_encode tests/check_estimate tests/check_filter tests/check_ints \
	tests/check_lengths tests/check_shard tests/check_stats tests/check_zdict
check_PROGRAMS += $(fmt_core_check)
TESTS += $(fmt_core_check)
fmt_core_libs = shardfmt/libfmt.la lib/libbase.la $(CHECK_LIBS)
tests_check_column_SOURCES = tests/check_column.c $(fmt_util)
tests_check_column_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_column_LDADD = $(fmt_core_libs)
tests_check_shard_SOURCES = tests/check_shard.c $(shard_util) $(fmt_util)
tests_check_shard_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_shard_LDADD = $(fmt_core_libs)
tests_check_stats_SOURCES = tests/check_stats.c $(fmt_util)
tests_check_stats_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_stats_LDADD = $(fmt_core_libs) -lm
tests_check_estimate_SOURCES = tests/check_estimate.c
tests_check_estimate_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_estimate_LDADD = $(fmt_core_libs)
tests_check_ints_SOURCES = tests/check_ints.c
tests_check_ints_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_ints_LDADD = $(fmt_core_libs)
tests_check_lengths_SOURCES = tests/check_lengths.c $(fmt_util)
tests_check_lengths_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_lengths_LDADD = $(fmt_core_libs)
tests_check_filter_SOURCES = tests/check_filter.c $(fmt_util)
tests_check_filter_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_filter_LDADD = $(fmt_core_libs)
tests_check_zdict_SOURCES = tests/check_zdict.c $(shard_util) $(fmt_util)
tests_check_zdict_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_zdict_LDADD = $(fmt_core_libs)
tests_check_encode_SOURCES = tests/check_encode.c $(shard_util) $(fmt_util)
tests_check_encode_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_encode_LDADD = $(fmt_core_libs)
endif

if HAVE_CHECK
fmt_check_programs = tests/check_snapshot tests/check_take tests/check_verify
check_PROGRAMS += $(fmt_check_programs)
TESTS += $(fmt_check_programs)
fmt_check_libs = shardfmt/libfmt.la lib/libbase.la $(CHECK_LIBS)
tests_check_snapshot_SOURCES = tests/check_snapshot.c $(fmt_util)
tests_check_snapshot_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) -DSRCDIR='"$(abs_srcdir)"'
tests_check_snapshot_LDADD = $(fmt_check_libs)
tests_check_take_SOURCES = tests/check_take.c $(fmt_util)
tests_check_take_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_take_LDADD = $(fmt_check_libs)
tests_check_verify_SOURCES = tests/check_verify.c $(fmt_util)
tests_check_verify_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_verify_LDADD = $(fmt_check_libs)
endif
# Measured on demand: tests/bench/bench_codec [FILE]
noinst_PROGRAMS += tests/bench/bench_codec
tests_bench_bench_codec_SOURCES = tests/bench/bench_codec.c $(shard_util)
tests_bench_bench_codec_LDADD = shardfmt/libfmt.la lib/libbase.la
