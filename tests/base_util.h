/* What the tests of lib/ share. */
#ifndef TESTS_BASE_UTIL_H
#define TESTS_BASE_UTIL_H

#include <check.h>
#include <stddef.h>
#include <stdint.h>

/* A new directory below $TMPDIR or /tmp; base_test_rmdir() removes it with the files in it. */
char *base_test_mkdir(void);
void base_test_rmdir(char *dir); /* also frees dir */

/* SplitMix64: a small generator, so that a seed in a message is enough to repeat a failure. */
uint64_t base_test_random(uint64_t *state);
void base_test_fill(void *dst, size_t len, uint64_t seed);

/* Run the suite; the exit status of main(). */
int base_test_run(Suite *suite);

#endif
