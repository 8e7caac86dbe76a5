# Tests of loader.
EXTRA_DIST += tests/data/order_v1.txt tests/order_reference.py docs/order.md \
	docs/examples/count_rows.c tests/bench/loader.sh tests/bench/loader_profile.sh

# From outside: the installed library and the example, shardtool bench.
loader_scripts = tests/check_bench.sh tests/check_budget.sh tests/check_install.sh
TESTS += $(loader_scripts)
EXTRA_DIST += $(loader_scripts)

if HAVE_CHECK
check_PROGRAMS += tests/check_order
TESTS += tests/check_order
tests_check_order_SOURCES = tests/check_order.c
tests_check_order_CPPFLAGS = $(AM_CPPFLAGS) -DSRCDIR='"$(abs_srcdir)"'
tests_check_order_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_order_LDADD = loader/libloader.la shardfmt/libfmt.la lib/libbase.la $(CHECK_LIBS)

check_PROGRAMS += tests/check_loader
TESTS += tests/check_loader
# The example must compile against the headers as they stand here, too.
check_PROGRAMS += tests/example_count_rows
tests_example_count_rows_SOURCES = docs/examples/count_rows.c
tests_example_count_rows_LDADD = loader/libloader.la shardfmt/libfmt.la lib/libbase.la
tests_check_loader_SOURCES = tests/check_loader.c tests/loader_util.c tests/loader_util.h \
	tests/fmt_util.c tests/fmt_util.h
tests_check_loader_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_loader_LDADD = loader/libloader.la shardfmt/libfmt.la lib/libbase.la $(CHECK_LIBS)
endif
