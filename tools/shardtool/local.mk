# tools/shardtool/: the program, one file per verb. tools/cli.c is shared with shardtrain: link
# tools/libcli.la.
noinst_LTLIBRARIES += tools/libcli.la
tools_libcli_la_SOURCES = tools/cli.c tools/cli.h
tools_libcli_la_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tools_libcli_la_LIBADD = lib/libreport.la
