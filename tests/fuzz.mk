# Fuzz targets. `make check` replays tests/fuzz/corpus with a plain driver; ./configure --enable-fuzzing
# with clang makes libFuzzer's programs of them (tests/fuzz/run.sh does all that).
fuzz_util = tests/fuzz/fuzz.h tests/fuzz/fuzz_util.c tests/shard_util.c tests/shard_util.h
if FUZZING
fuzz_ldflags = -fsanitize=fuzzer
else
fuzz_util += tests/fuzz/fuzz_driver.c
fuzz_ldflags =
endif
fuzz_chunk = tests/fuzz/fuzz_chunk.c tests/fuzz/fuzz_chunk.h
fuzz_table = tests/fuzz/fuzz_table.c tests/fuzz/fuzz_table.h
fuzz_libs = shardfmt/libfmt.la lib/libbase.la
fuzz_programs = tests/fuzz/fuzz_dataset tests/fuzz/fuzz_dict tests/fuzz/fuzz_filter \
	tests/fuzz/fuzz_footer tests/fuzz/fuzz_page tests/fuzz/fuzz_records tests/fuzz/fuzz_root \
	tests/fuzz/fuzz_segment
noinst_PROGRAMS += $(fuzz_programs)
tests_fuzz_fuzz_dataset_SOURCES = tests/fuzz/fuzz_dataset.c $(fuzz_table) $(fuzz_util) \
	tests/fmt_util.c tests/fmt_util.h
tests_fuzz_fuzz_dataset_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_dataset_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_dict_SOURCES = tests/fuzz/fuzz_dict.c $(fuzz_chunk) $(fuzz_util)
tests_fuzz_fuzz_dict_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_dict_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_filter_SOURCES = tests/fuzz/fuzz_filter.c $(fuzz_util) tests/fmt_util.c \
	tests/fmt_util.h
tests_fuzz_fuzz_filter_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_filter_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_footer_SOURCES = tests/fuzz/fuzz_footer.c $(fuzz_util)
tests_fuzz_fuzz_footer_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_footer_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_page_SOURCES = tests/fuzz/fuzz_page.c $(fuzz_chunk) $(fuzz_util)
tests_fuzz_fuzz_page_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_page_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_records_SOURCES = tests/fuzz/fuzz_records.c $(fuzz_table) $(fuzz_util)
tests_fuzz_fuzz_records_LDADD = tools/ingest/libingest.la $(fuzz_libs)
tests_fuzz_fuzz_records_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_root_SOURCES = tests/fuzz/fuzz_root.c $(fuzz_table) $(fuzz_util)
tests_fuzz_fuzz_root_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_root_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_segment_SOURCES = tests/fuzz/fuzz_segment.c $(fuzz_table) $(fuzz_util)
tests_fuzz_fuzz_segment_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_segment_LDFLAGS = $(fuzz_ldflags)

# Inputs to begin with, of every type and encoding.
noinst_PROGRAMS += tests/fuzz/make_seeds
tests_fuzz_make_seeds_SOURCES = tests/fuzz/make_seeds.c tests/fuzz/fuzz_chunk.c \
	tests/fuzz/fuzz_chunk.h tests/fuzz/fuzz.h tests/fuzz/fuzz_util.c tests/fmt_util.c \
	tests/fmt_util.h tests/shard_util.c tests/shard_util.h
tests_fuzz_make_seeds_LDADD = $(fuzz_libs)

.PHONY: fuzz
fuzz: $(fuzz_programs) tests/fuzz/make_seeds
if !FUZZING
TESTS += tests/fuzz/check_corpus.sh
endif
EXTRA_DIST += tests/fuzz/run.sh tests/fuzz/check_corpus.sh tests/fuzz/corpus
