# tests/: one fragment per layer, so that each is edited by whoever works on the layer.
#
# Every test sees:
#   SHARDLINE_DATA   the folder of real data, where there is one (tests skip loudly without)
#   top_srcdir, top_builddir   absolute
#   SHARDTOOL, SHARDTRAIN      the programs in the build tree
#   PYTHON                     Debian's own python3
AM_TESTS_ENVIRONMENT = \
	if test -z "$$SHARDLINE_DATA" && test -d '$(abs_top_srcdir)/../shared/data'; then \
		SHARDLINE_DATA='$(abs_top_srcdir)/../shared/data'; fi; \
	if test -x /usr/bin/python3; then PYTHON=/usr/bin/python3; else PYTHON=python3; fi; \
	top_srcdir='$(abs_top_srcdir)'; top_builddir='$(abs_top_builddir)'; \
	SHARDTOOL='$(abs_top_builddir)/shardtool'; SHARDTRAIN='$(abs_top_builddir)/shardtrain'; \
	OMP_WAIT_POLICY=passive; CC='$(CC)'; \
	export SHARDLINE_DATA PYTHON top_srcdir top_builddir SHARDTOOL SHARDTRAIN OMP_WAIT_POLICY CC;

include tests/base.mk
include tests/fmt.mk
include tests/golden.mk
include tests/fuzz.mk
include tests/ingest.mk
include tests/loader.mk
include tests/train.mk
include tests/cli.mk
include tests/docs.mk
include tests/bench.mk

EXTRA_DIST += tests/run.sh tests/random.h tests/suite.h
