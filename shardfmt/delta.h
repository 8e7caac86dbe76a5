/* Differences, encoding FMT_ENC_DELTA. docs/format.md, "DELTA", is normative.
 *
 *   start          size bytes
 *   u8 encoding, u8 size, and the differences, one per value, encoded as that says
 *
 * A value is start plus all differences up to its own, modulo 2^(8 size). The writer makes the first
 * difference like the second, so that it costs nothing. */
#ifndef FMT_DELTA_H
#define FMT_DELTA_H

#include <stddef.h>
#include <stdint.h>

#define FMT_DELTA_HEAD(size) ((size) + 2u)

/* The differences of n > 0 values of size 1, 2, 4 or 8 bytes at dst; returns start, of which the low
 * size bytes count. */
uint64_t fmt_delta_split(const void *values, size_t size, size_t n, void *dst);
/* Replace differences by values. acc is the value before the first one (start at the beginning);
 * returns the last value. */
uint64_t fmt_delta_join(void *values, size_t size, size_t n, uint64_t acc);

#endif
