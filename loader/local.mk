# loader/: the sample order and the pipeline that serves it.
noinst_LTLIBRARIES += loader/libloader.la
loader_libloader_la_SOURCES = \
	loader/arena.c loader/arena.h loader/batch.c loader/gather.c loader/join.c loader/loader.c \
	loader/loader_internal.h loader/order.c loader/order.h loader/plan.c loader/schedule.c \
	loader/source.c
shardlineinclude_HEADERS += loader/include/shardline/loader.h
