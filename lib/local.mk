# lib/: what every layer uses. libbase goes into libshardline; libreport is for the programs.
noinst_LTLIBRARIES += lib/libbase.la lib/libreport.la
lib_libbase_la_SOURCES = \
	lib/arith.h lib/buf.c lib/buf.h lib/budget.c lib/budget.h lib/clock.c lib/clock.h \
	lib/codec.c lib/codec.h lib/compiler.h lib/cpu.c lib/cpu.h lib/cursor.h lib/endian.h \
	lib/fail.c lib/fail.h lib/fs.c lib/fs.h lib/hash.c lib/hash.h \
	lib/io.c lib/io.h lib/io_backend.h lib/io_pread.c lib/io_uring.c \
	lib/parse.c lib/parse.h lib/pool.c lib/pool.h lib/queue.c lib/queue.h
lib_libbase_la_LIBADD = $(URING_LIBS) $(ZSTD_LIBS) $(XXHASH_LIBS)
if HASH_AVX2
noinst_LTLIBRARIES += lib/libhash_avx2.la
lib_libhash_avx2_la_SOURCES = lib/hash_avx2.c lib/hash_avx2.h
lib_libhash_avx2_la_CFLAGS = $(AM_CFLAGS) -mavx2
lib_libbase_la_LIBADD += lib/libhash_avx2.la
endif
lib_libreport_la_SOURCES = lib/progress.c lib/progress.h lib/report.c lib/report.h
lib_libreport_la_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
lib_libreport_la_LIBADD = $(JANSSON_LIBS)

# The one installed library.
lib_LTLIBRARIES += libshardline.la
libshardline_la_SOURCES =
libshardline_la_LIBADD = loader/libloader.la shardfmt/libfmt.la lib/libbase.la
libshardline_la_LDFLAGS = -no-undefined -version-info 0:0:0 \
	-Wl,--version-script=$(srcdir)/lib/shardline.map
EXTRA_libshardline_la_DEPENDENCIES = lib/shardline.map
EXTRA_DIST += lib/shardline.map
pkgconfig_DATA += lib/shardline.pc
shardlineinclude_HEADERS += lib/include/shardline/status.h
