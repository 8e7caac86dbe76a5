# Tests of train.
if HAVE_CHECK
check_PROGRAMS += tests/check_train tests/check_train_kernel
TESTS += tests/check_train tests/check_train_kernel
tests_check_train_SOURCES = tests/check_train.c tests/train_util.c tests/train_util.h
tests_check_train_CFLAGS = $(AM_CFLAGS) $(OPENMP_CFLAGS) $(JANSSON_CFLAGS) $(CHECK_CFLAGS)
tests_check_train_LDADD = train/libtrain.la shardfmt/libfmt.la lib/libbase.la $(JANSSON_LIBS) \
	$(CHECK_LIBS)
tests_check_train_kernel_SOURCES = tests/check_train_kernel.c tests/train_util.c tests/train_util.h
tests_check_train_kernel_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)
tests_check_train_kernel_LDADD = $(CHECK_LIBS)
endif
TESTS += tests/cli/test_train.sh
EXTRA_DIST += tests/cli/test_train.sh
EXTRA_DIST += tests/bench/langid.sh tests/bench/linear.sh
