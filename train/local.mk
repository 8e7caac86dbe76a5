# train/: models, optimisers, the parallel step.
noinst_LTLIBRARIES += train/libtrain.la
train_libtrain_la_SOURCES = train/model.c
train_libtrain_la_CFLAGS = $(AM_CFLAGS) $(OPENMP_CFLAGS) $(JANSSON_CFLAGS)
