# shardfmt/: the format. No threads of its own but in verify.
noinst_LTLIBRARIES += shardfmt/libfmt.la
shardfmt_libfmt_la_SOURCES = \
	shardfmt/bits.c shardfmt/bits.h \
	shardfmt/column.c shardfmt/column.h \
	shardfmt/group.h shardfmt/layout.h \
	shardfmt/rowhash.c shardfmt/rowhash.h \
	shardfmt/schema.c shardfmt/schema.h \
	shardfmt/shard.h \
	shardfmt/snapshot.h
shardfmt_libfmt_la_SOURCES += \
	shardfmt/dataset.c \
	shardfmt/inspect.c shardfmt/inspect.h \
	shardfmt/manifest.c shardfmt/manifest.h \
	shardfmt/open.c shardfmt/open.h \
	shardfmt/publish.c \
	shardfmt/snapshot.c \
	shardfmt/table.c shardfmt/table.h \
	shardfmt/utf8.c shardfmt/utf8.h \
	shardfmt/verify.c
shardlineinclude_HEADERS += shardfmt/include/shardline/fmt.h
