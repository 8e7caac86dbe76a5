# train/: models, optimisers, the parallel step.
noinst_LTLIBRARIES += train/libtrain.la
train_libtrain_la_SOURCES = \
	train/classes.c train/classes.h train/feed.h train/feed_loader.c train/kernel.h \
	train/model.c train/model.h train/ngram.c train/ngram.h \
	train/source.c train/source.h train/step.c train/step.h
train_libtrain_la_CFLAGS = $(AM_CFLAGS) $(OPENMP_CFLAGS) $(JANSSON_CFLAGS)
train_libtrain_la_LIBADD = $(JANSSON_LIBS)
