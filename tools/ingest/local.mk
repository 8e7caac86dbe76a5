# tools/ingest/: raw corpora to datasets; the only user of libarchive and of JSON parsing.
noinst_LTLIBRARIES += tools/ingest/libingest.la
tools_ingest_libingest_la_CFLAGS = $(AM_CFLAGS) $(LIBARCHIVE_CFLAGS)
tools_ingest_libingest_la_CXXFLAGS = $(AM_CXXFLAGS) $(SIMDJSON_CFLAGS)
tools_ingest_libingest_la_LIBADD = $(LIBARCHIVE_LIBS) $(SIMDJSON_LIBS)

# Sources: archives and files as streams of entries, entries as blocks of records.
tools_ingest_libingest_la_SOURCES = \
	tools/ingest/block.h tools/ingest/crc32.c tools/ingest/crc32.h tools/ingest/cutter.c \
	tools/ingest/detect.c tools/ingest/detect.h tools/ingest/entry.h \
	tools/ingest/level.c tools/ingest/level.h \
	tools/ingest/reject.c tools/ingest/reject.h \
	tools/ingest/sniff.c tools/ingest/sniff.h \
	tools/ingest/source.c tools/ingest/source.h \
	tools/ingest/walk.c

# The pipeline: blocks of records to a dataset.
tools_ingest_libingest_la_SOURCES += \
	tools/ingest/crew.c tools/ingest/crew.h \
	tools/ingest/dedup.c tools/ingest/dedup.h \
	tools/ingest/groups.c tools/ingest/groups.h \
	tools/ingest/ingest.c tools/ingest/ingest.h \
	tools/ingest/provenance.c tools/ingest/provenance.h \
	tools/ingest/quarantine.c tools/ingest/quarantine.h \
	tools/ingest/reader.c tools/ingest/reader.h \
	tools/ingest/sample.c tools/ingest/sample.h \
	tools/ingest/sequencer.c tools/ingest/sequencer.h \
	tools/ingest/splitter.c tools/ingest/splitter.h \
	tools/ingest/target.c tools/ingest/target.h
