# Tests of base.
if HAVE_CHECK
base_check_programs = tests/check_base tests/check_io tests/check_pool tests/check_report
check_PROGRAMS += $(base_check_programs)
TESTS += $(base_check_programs)
base_util = tests/base_util.c tests/base_util.h
base_check_libs = lib/libbase.la $(CHECK_LIBS)
tests_check_base_SOURCES = tests/check_base.c $(base_util)
tests_check_base_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_base_LDADD = $(base_check_libs)
tests_check_io_SOURCES = tests/check_io.c $(base_util)
tests_check_io_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_io_LDADD = $(base_check_libs)
tests_check_pool_SOURCES = tests/check_pool.c $(base_util)
tests_check_pool_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_pool_LDADD = $(base_check_libs)
tests_check_report_SOURCES = tests/check_report.c $(base_util)
tests_check_report_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(JANSSON_CFLAGS)
tests_check_report_LDADD = lib/libreport.la $(base_check_libs)
endif
base_check_scripts = tests/check_map.sh tests/check_headers.sh tests/check_layers.sh
TESTS += $(base_check_scripts)
EXTRA_DIST += $(base_check_scripts)
