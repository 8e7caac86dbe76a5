# tools/ingest/: raw corpora to datasets; the only user of libarchive and of JSON parsing.
noinst_LTLIBRARIES += tools/ingest/libingest.la
tools_ingest_libingest_la_CFLAGS = $(AM_CFLAGS) $(LIBARCHIVE_CFLAGS)
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
	tools/ingest/column_opts.c tools/ingest/column_opts.h \
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

# The only C++, in a library of its own: libtool leaves -lstdc++ out of what a C++ library asks for,
# but not out of what a C library does. So whoever links libingest.la needs nothing of his own for it.
noinst_LTLIBRARIES += tools/ingest/libcxx.la
tools_ingest_libcxx_la_SOURCES = \
	tools/ingest/cxx.h tools/ingest/json_dom.cc tools/ingest/json_dom.h
tools_ingest_libcxx_la_CXXFLAGS = $(AM_CXXFLAGS) $(SIMDJSON_CFLAGS)
tools_ingest_libingest_la_LIBADD += tools/ingest/libcxx.la -lstdc++

# Parsing: blocks to typed rows, and rows back to text.
tools_ingest_libingest_la_SOURCES += \
	tools/ingest/csv.c tools/ingest/csv.h tools/ingest/csv_names.c \
	tools/ingest/export.h tools/ingest/export_csv.c tools/ingest/export_json.c \
	tools/ingest/extra.c tools/ingest/extra.h \
	tools/ingest/infer.c tools/ingest/infer.h tools/ingest/infer_csv.c \
	tools/ingest/infer_json.c tools/ingest/infer_svm.c \
	tools/ingest/json_records.c tools/ingest/json_records.h \
	tools/ingest/json_text.c tools/ingest/json_text.h \
	tools/ingest/json_tree.c tools/ingest/json_tree.h \
	tools/ingest/number.c tools/ingest/number.h \
	tools/ingest/parse.c tools/ingest/parse.h tools/ingest/parse_csv.c \
	tools/ingest/parse_files.c tools/ingest/parse_json.c tools/ingest/parse_libsvm.c \
	tools/ingest/parse_text.c tools/ingest/parser.h \
	tools/ingest/plan.c tools/ingest/plan.h \
	tools/ingest/plan_columns.c tools/ingest/plan_columns.h \
	tools/ingest/row.c tools/ingest/row.h \
	tools/ingest/svm.c tools/ingest/svm.h \
	tools/ingest/trie.c tools/ingest/trie.h \
	tools/ingest/utf8.c tools/ingest/utf8.h
