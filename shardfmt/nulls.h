/* Null rows take no place in a page: what has an entry per row there has one per row that is not null.
 * On the way in they are squeezed out, on the way back the others are spread again. */
#ifndef FMT_NULLS_H
#define FMT_NULLS_H

#include <stddef.h>
#include <stdint.h>

/* valid: a bitmap, of which bit `bit` is that of row 0. Rows have size bytes, any number of them. */

/* Those of n rows that are not null to dst. */
void fmt_nulls_squeeze(const uint8_t *valid, uint64_t bit, const void *rows, size_t size, size_t n,
                       void *dst);
/* In place: the n_present rows at the front of rows, which has room for n, go where they belong; null
 * rows become zero. n_present is the number of ones among the bits. */
void fmt_nulls_spread(const uint8_t *valid, uint64_t bit, void *rows, size_t size, size_t n,
                      size_t n_present);
/* The same for bits: from those of rows [row0, row0 + n) to dst; from src to bits [bit, bit + n) of dst,
 * which is zero from there on. */
void fmt_nulls_squeeze_bits(const uint8_t *valid, uint64_t bit, const uint8_t *bits, uint64_t row0,
                            size_t n, uint8_t *dst);
void fmt_nulls_spread_bits(const uint8_t *valid, uint64_t bit, const uint8_t *src, size_t n,
                           uint8_t *dst);

#endif
