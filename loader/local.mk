# loader/: the sample order and the pipeline that serves it.
noinst_LTLIBRARIES += loader/libloader.la
loader_libloader_la_SOURCES = loader/order.c loader/order.h
shardlineinclude_HEADERS += loader/include/shardline/loader.h
