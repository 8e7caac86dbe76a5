# train/: models, optimisers, the parallel step.
noinst_LTLIBRARIES += train/libtrain.la
train_libtrain_la_SOURCES = \
	train/checkpoint.c train/checkpoint.h train/classes.c train/classes.h \
	train/eval.c train/eval.h \
	train/feed.h train/feed_loader.c train/file.c train/file.h train/kernel.h \
	train/model.c train/model.h train/ngram.c train/ngram.h train/options.c train/options.h \
	train/run.c train/run.h train/safetensors.c train/safetensors.h \
	train/source.c train/source.h train/step.c train/step.h
train_libtrain_la_CFLAGS = $(AM_CFLAGS) $(OPENMP_CFLAGS) $(JANSSON_CFLAGS)
train_libtrain_la_LIBADD = $(JANSSON_LIBS)
