# Golden files: docs/testing.md. `make golden` writes them anew, into the source tree.
include tests/golden/files.mk
golden_util = tests/golden_util.c tests/golden_util.h
EXTRA_DIST += $(golden_files) $(golden_util)
check_PROGRAMS += tests/make_golden
tests_make_golden_SOURCES = tests/make_golden.c $(golden_util) $(fmt_util)
tests_make_golden_LDADD = shardfmt/libfmt.la lib/libbase.la
golden: tests/make_golden
	tests/make_golden $(srcdir)/tests/golden
.PHONY: golden
if HAVE_CHECK
check_PROGRAMS += tests/check_golden
TESTS += tests/check_golden
tests_check_golden_SOURCES = tests/check_golden.c $(golden_util) $(shard_util) $(fmt_util)
tests_check_golden_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) -DSRCDIR='"$(abs_srcdir)"'
tests_check_golden_LDADD = shardfmt/libfmt.la lib/libbase.la $(CHECK_LIBS)
endif
