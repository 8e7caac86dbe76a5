# tools/shardtool/: the program, one file per verb. tools/cli.c is shared with shardtrain: link
# tools/libcli.la.
noinst_LTLIBRARIES += tools/libcli.la
tools_libcli_la_SOURCES = tools/cli.c tools/cli.h
tools_libcli_la_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tools_libcli_la_LIBADD = lib/libreport.la

bin_PROGRAMS += shardtool
shardtool_SOURCES = \
	tools/shardtool/bench.c tools/shardtool/cat.c tools/shardtool/export.c tools/shardtool/get.c \
	tools/shardtool/info.c tools/shardtool/info_encodings.c tools/shardtool/info_encodings.h \
	tools/shardtool/ingest.c tools/shardtool/ingest_args.c tools/shardtool/ingest_args.h \
	tools/shardtool/main.c tools/shardtool/raw.c tools/shardtool/recover.c tools/shardtool/rejects.c \
	tools/shardtool/rows.c \
	tools/shardtool/rows.h tools/shardtool/schema.c tools/shardtool/shardtool.h \
	tools/shardtool/stats.c tools/shardtool/verify.c
shardtool_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
shardtool_LDADD = tools/libcli.la tools/ingest/libingest.la loader/libloader.la \
	shardfmt/libfmt.la lib/libreport.la lib/libbase.la
