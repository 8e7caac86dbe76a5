/* Bitmaps, least significant bit first, as Arrow has them. The bits behind the last one of a bitmap
 * are zero; every function here keeps it so. */
#ifndef FMT_BITS_H
#define FMT_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/endian.h"

static inline size_t
fmt_bits_bytes(uint64_t n)
{
    return (size_t)((n + 7) / 8);
}

static inline bool
fmt_bits_get(const uint8_t *bits, uint64_t i)
{
    return bits[i >> 3] >> (i & 7) & 1;
}

/* Bits [from, from + n), n <= 64, in the low bits of a word; reads no byte behind the last one needed. For
 * loops over ones: for (w = ...; w; w &= w - 1), the lowest being __builtin_ctzll(w). */
static inline uint64_t
fmt_bits_word(const uint8_t *bits, uint64_t from, uint64_t n)
{
    const unsigned shift = from & 7;
    const uint64_t len = (shift + n + 7) / 8;
    uint64_t v = 0;

    bits += from >> 3;
    if (len >= 8)
        v = base_load_le64(bits);
    else
        for (uint64_t i = 0; i < len; i++)
            v |= (uint64_t)bits[i] << 8 * i;
    v >>= shift;
    if (len > 8)
        v |= (uint64_t)bits[8] << (64 - shift);
    return n < 64 ? v & ((UINT64_C(1) << n) - 1) : v;
}

/* Whether the bits of the last byte behind bit n - 1 are zero. */
static inline bool
fmt_bits_tail_clear(const uint8_t *bits, uint64_t n)
{
    return n % 8 == 0 || bits[n / 8] >> (n % 8) == 0;
}

/* Ones among bits [from, from + n). */
uint64_t fmt_bits_count(const uint8_t *bits, uint64_t from, uint64_t n);
/* Append n bits, taken from src at bit from, to a bitmap of dst_n bits. dst has room for
 * fmt_bits_bytes(dst_n + n); the bits behind dst_n in its last byte must be zero. */
void fmt_bits_append(uint8_t *dst, uint64_t dst_n, const uint8_t *src, uint64_t from, uint64_t n);
/* The same with n ones (value true) or zeros. */
void fmt_bits_append_same(uint8_t *dst, uint64_t dst_n, bool value, uint64_t n);
/* Cut a bitmap to n bits: clears what stands behind in the last byte. */
void fmt_bits_cut(uint8_t *bits, uint64_t n);

#endif
