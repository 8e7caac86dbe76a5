# Tests of ingest.

# Parsing.
if HAVE_CHECK
parse_check_programs = tests/check_csv tests/check_json tests/check_parse
check_PROGRAMS += $(parse_check_programs)
TESTS += $(parse_check_programs)
parse_util = tests/parse_util.c tests/parse_util.h
parse_check_libs = tools/ingest/libingest.la shardfmt/libfmt.la lib/libbase.la $(CHECK_LIBS)
tests_check_csv_SOURCES = tests/check_csv.c $(parse_util)
tests_check_csv_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(JANSSON_CFLAGS)
tests_check_csv_LDADD = $(parse_check_libs) $(JANSSON_LIBS)
tests_check_json_SOURCES = tests/check_json.c $(parse_util)
tests_check_json_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS) $(JANSSON_CFLAGS)
tests_check_json_LDADD = $(parse_check_libs) $(JANSSON_LIBS)
tests_check_parse_SOURCES = tests/check_parse.c $(parse_util)
tests_check_parse_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_parse_LDADD = $(parse_check_libs)
endif

# The pipeline.
if HAVE_CHECK
check_PROGRAMS += tests/check_ingest
TESTS += tests/check_ingest
tests_check_ingest_SOURCES = tests/check_ingest.c
tests_check_ingest_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_ingest_LDADD = tools/ingest/libingest.la shardfmt/libfmt.la lib/libbase.la \
	$(CHECK_LIBS)
endif

# Sources: sniffing, walking, cutting.
if HAVE_CHECK
source_check_programs = tests/check_sniff tests/check_source tests/check_cutter
check_PROGRAMS += $(source_check_programs)
TESTS += $(source_check_programs)
source_util = tests/source_util.c tests/source_util.h
source_check_cflags = $(AM_CFLAGS) $(CHECK_CFLAGS) $(LIBARCHIVE_CFLAGS)
source_check_libs = tools/ingest/libingest.la shardfmt/libfmt.la lib/libbase.la $(LIBARCHIVE_LIBS) $(CHECK_LIBS)
tests_check_sniff_SOURCES = tests/check_sniff.c $(source_util)
tests_check_sniff_CFLAGS = $(source_check_cflags)
tests_check_sniff_LDADD = $(source_check_libs)
tests_check_source_SOURCES = tests/check_source.c $(source_util)
tests_check_source_CFLAGS = $(source_check_cflags)
tests_check_source_LDADD = $(source_check_libs)
tests_check_cutter_SOURCES = tests/check_cutter.c $(source_util)
tests_check_cutter_CFLAGS = $(source_check_cflags)
tests_check_cutter_LDADD = $(source_check_libs)
endif
