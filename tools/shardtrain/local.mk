# tools/shardtrain/: the program, one file per verb.
dist_man_MANS += docs/shardtrain.1
bin_PROGRAMS += shardtrain
shardtrain_SOURCES = \
	tools/shardtrain/main.c tools/shardtrain/verbs.h tools/shardtrain/watch.c \
	tools/shardtrain/fit.c tools/shardtrain/resume.c tools/shardtrain/eval.c \
	tools/shardtrain/predict.c tools/shardtrain/records.c tools/shardtrain/records.h \
	tools/shardtrain/info.c
shardtrain_CFLAGS = $(AM_CFLAGS) $(OPENMP_CFLAGS) $(JANSSON_CFLAGS)
shardtrain_LDADD = train/libtrain.la loader/libloader.la shardfmt/libfmt.la tools/libcli.la \
	lib/libreport.la lib/libbase.la $(JANSSON_LIBS)
