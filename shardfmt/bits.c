/* Bitmaps: counting, and appending at any bit position. */
#include "config.h"
#include "shardfmt/bits.h"

#include <string.h>

#include "lib/endian.h"

uint64_t
fmt_bits_count(const uint8_t *bits, uint64_t from, uint64_t n)
{
    uint64_t ones = 0, i = from, end = from + n;

    for (; i < end && (i & 7); i++)
        ones += fmt_bits_get(bits, i);
    for (; i + 64 <= end; i += 64)
        ones += (uint64_t)__builtin_popcountll(base_load_le64(bits + i / 8));
    for (; i < end; i++)
        ones += fmt_bits_get(bits, i);
    return ones;
}

/* n <= 8 bits of src at bit from, in the low bits; touches no byte behind the last one needed. */
static inline uint8_t
bits_load(const uint8_t *src, uint64_t from, unsigned n)
{
    const unsigned shift = from & 7;
    unsigned v = src[from >> 3] >> shift;

    if (shift + n > 8)
        v |= (unsigned)src[(from >> 3) + 1] << (8 - shift);
    return (uint8_t)(v & (0xffu >> (8 - n)));
}

void
fmt_bits_append(uint8_t *dst, uint64_t dst_n, const uint8_t *src, uint64_t from, uint64_t n)
{
    if (n == 0)
        return;
    if (dst_n & 7) { /* fill the byte that is begun */
        const unsigned room = 8 - (unsigned)(dst_n & 7), k = n < room ? (unsigned)n : room;

        dst[dst_n >> 3] |= (uint8_t)(bits_load(src, from, k) << (dst_n & 7));
        dst_n += k, from += k, n -= k;
    }
    dst += dst_n >> 3;
    if ((from & 7) == 0) {
        memcpy(dst, src + (from >> 3), (size_t)(n / 8));
        dst += n / 8, from += n & ~UINT64_C(7), n &= 7;
    }
    for (; n >= 8; n -= 8, from += 8)
        *dst++ = bits_load(src, from, 8);
    if (n)
        *dst = bits_load(src, from, (unsigned)n);
}

void
fmt_bits_append_same(uint8_t *dst, uint64_t dst_n, bool value, uint64_t n)
{
    const uint64_t end = dst_n + n;

    if (n == 0)
        return;
    if (dst_n & 7) {
        if (value)
            dst[dst_n >> 3] |= (uint8_t)(0xffu << (dst_n & 7));
        dst_n = (dst_n | 7) + 1;
    }
    if (dst_n < end)
        memset(dst + (dst_n >> 3), value ? 0xff : 0, fmt_bits_bytes(end) - (size_t)(dst_n >> 3));
    fmt_bits_cut(dst, end);
}

void
fmt_bits_cut(uint8_t *bits, uint64_t n)
{
    if (n & 7)
        bits[n >> 3] &= (uint8_t)(0xffu >> (8 - (n & 7)));
}
