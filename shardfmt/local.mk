# shardfmt/: the format. No threads of its own but in verify and recover.
noinst_LTLIBRARIES += shardfmt/libfmt.la
shardfmt_libfmt_la_SOURCES = \
	shardfmt/bitpack.c shardfmt/bitpack.h \
	shardfmt/bits.c shardfmt/bits.h \
	shardfmt/bss.c shardfmt/bss.h \
	shardfmt/choose.c \
	shardfmt/chunk.c \
	shardfmt/column.c shardfmt/column.h \
	shardfmt/decode.c shardfmt/decode.h \
	shardfmt/delta.c shardfmt/delta.h \
	shardfmt/dict.c shardfmt/dict.h \
	shardfmt/encode.c shardfmt/encode.h \
	shardfmt/estimate.c shardfmt/estimate.h \
	shardfmt/filter.c shardfmt/filter.h \
	shardfmt/filter_parse.c shardfmt/filter_tree.h \
	shardfmt/footer.c \
	shardfmt/footer_write.c shardfmt/footer_write.h \
	shardfmt/group.c shardfmt/group.h \
	shardfmt/ints.c shardfmt/ints.h \
	shardfmt/layout.h \
	shardfmt/lengths.c shardfmt/lengths.h \
	shardfmt/newer.h \
	shardfmt/nulls.c shardfmt/nulls.h \
	shardfmt/rle.c shardfmt/rle.h \
	shardfmt/rowhash.c shardfmt/rowhash.h \
	shardfmt/schema.c shardfmt/schema.h \
	shardfmt/shard.h \
	shardfmt/shard_stats.c shardfmt/shard_stats.h \
	shardfmt/spooled.c shardfmt/spooled.h \
	shardfmt/stats.c shardfmt/stats.h \
	shardfmt/timestamp.c shardfmt/timestamp.h \
	shardfmt/value.c \
	shardfmt/writer.c \
	shardfmt/zdict.c shardfmt/zdict.h
shardfmt_libfmt_la_SOURCES += \
	shardfmt/cache.c shardfmt/cache.h \
	shardfmt/cells.c shardfmt/cells.h \
	shardfmt/dataset.c shardfmt/dataset.h \
	shardfmt/half.h \
	shardfmt/inspect.c shardfmt/inspect.h \
	shardfmt/manifest.h \
	shardfmt/open.c shardfmt/open.h \
	shardfmt/publish.c \
	shardfmt/range.c shardfmt/range.h \
	shardfmt/recover.c shardfmt/recover.h \
	shardfmt/root.c shardfmt/rowgroup.c \
	shardfmt/segment.c \
	shardfmt/select.c shardfmt/select.h \
	shardfmt/snapshot.c shardfmt/snapshot.h \
	shardfmt/survey.c shardfmt/survey.h \
	shardfmt/table.c shardfmt/table.h \
	shardfmt/take.c shardfmt/take.h shardfmt/take_plan.c shardfmt/take_run.c \
	shardfmt/utf8.c shardfmt/utf8.h \
	shardfmt/verify.c
shardlineinclude_HEADERS += shardfmt/include/shardline/fmt.h
EXTRA_DIST += docs/format.md
