# Tests of fmt. fmt_util makes small datasets; tests of other layers list it in their sources, too.
fmt_util = tests/fmt_util.c tests/fmt_util.h
EXTRA_DIST += $(fmt_util)
