# tools/ingest/: raw corpora to datasets; the only user of libarchive and of JSON parsing.
noinst_LTLIBRARIES += tools/ingest/libingest.la
tools_ingest_libingest_la_CFLAGS = $(AM_CFLAGS) $(LIBARCHIVE_CFLAGS)
tools_ingest_libingest_la_CXXFLAGS = $(AM_CXXFLAGS) $(SIMDJSON_CFLAGS)
tools_ingest_libingest_la_LIBADD = $(LIBARCHIVE_LIBS) $(SIMDJSON_LIBS)

# Sources: archives and files as streams of entries, entries as blocks of records.
tools_ingest_libingest_la_SOURCES = \
	tools/ingest/block.h tools/ingest/crc32.c tools/ingest/crc32.h tools/ingest/entry.h \
	tools/ingest/level.c tools/ingest/level.h \
	tools/ingest/reject.c tools/ingest/reject.h \
	tools/ingest/sniff.c tools/ingest/sniff.h \
	tools/ingest/source.c tools/ingest/source.h \
	tools/ingest/walk.c
