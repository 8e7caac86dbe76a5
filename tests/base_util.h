/* What the tests of lib/ share. */
#ifndef TESTS_BASE_UTIL_H
#define TESTS_BASE_UTIL_H

#include <stddef.h>
#include <stdint.h>

/* A new directory below $TMPDIR or /tmp; base_test_rmdir() removes it with the files in it. */
char *base_test_mkdir(void);
void base_test_rmdir(char *dir); /* also frees dir */

void base_test_fill(void *dst, size_t len, uint64_t seed);

#endif
