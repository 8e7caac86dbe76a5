/* Squeezing null rows out and spreading the others again. Spreading, which readers wait for, has no branch
 * that depends on a row. */
#include "config.h"
#include "shardfmt/nulls.h"

#include <string.h>

#include "lib/compiler.h"
#include "shardfmt/bits.h"

/* Rows of 64 at a time, so that runs of nulls and of others cost next to nothing. */
#define SQUEEZE(T)                                                                                 \
    do {                                                                                           \
        const T *from = rows;                                                                      \
        T *to = dst;                                                                               \
        for (size_t i = 0; i < n; i += 64) {                                                       \
            uint64_t w = fmt_bits_word(valid, bit + i, BASE_MIN(n - i, 64));                       \
            if (w == UINT64_MAX) {                                                                 \
                memcpy(to, from + i, 64 * sizeof(T));                                              \
                to += 64;                                                                          \
                continue;                                                                          \
            }                                                                                      \
            for (; w; w &= w - 1)                                                                  \
                *to++ = from[i + (size_t)__builtin_ctzll(w)];                                      \
        }                                                                                          \
    } while (0)

void
fmt_nulls_squeeze(const uint8_t *valid, uint64_t bit, const void *rows, size_t size, size_t n,
                  void *dst)
{
    const uint8_t *p = rows;
    uint8_t *d = dst;

    switch (size) {
    case 1:
        SQUEEZE(uint8_t);
        break;
    case 2:
        SQUEEZE(uint16_t);
        break;
    case 4:
        SQUEEZE(uint32_t);
        break;
    case 8:
        SQUEEZE(uint64_t);
        break;
    default:
        for (size_t i = 0; i < n; i++) {
            if (fmt_bits_get(valid, bit + i)) {
                memcpy(d, p + i * size, size);
                d += size;
            }
        }
        break;
    }
}

/* From the last row down, so that no row is overwritten before it was moved; those before the first null
 * row stay. What is read for a null row is one that was moved already, or this very row. */
#define SPREAD(T)                                                                                  \
    do {                                                                                           \
        T *v = rows;                                                                               \
        for (size_t i = n; i-- > k;) {                                                             \
            const size_t one = fmt_bits_get(valid, bit + i);                                       \
            k -= one;                                                                              \
            v[i] = v[k] & (T)(0 - (T)one);                                                         \
        }                                                                                          \
    } while (0)

void
fmt_nulls_spread(const uint8_t *valid, uint64_t bit, void *rows, size_t size, size_t n,
                 size_t n_present)
{
    uint8_t *p = rows;
    size_t k = n_present;

    switch (size) {
    case 1:
        SPREAD(uint8_t);
        break;
    case 2:
        SPREAD(uint16_t);
        break;
    case 4:
        SPREAD(uint32_t);
        break;
    case 8:
        SPREAD(uint64_t);
        break;
    default:
        for (size_t i = n; i-- > k;) {
            if (fmt_bits_get(valid, bit + i))
                memmove(p + i * size, p + --k * size, size);
            else
                memset(p + i * size, 0, size);
        }
        break;
    }
}

void
fmt_nulls_squeeze_bits(const uint8_t *valid, uint64_t bit, const uint8_t *bits, uint64_t row0,
                       size_t n, uint8_t *dst)
{
    uint64_t k = 0;

    for (size_t i = 0; i < n; i++) {
        if (!fmt_bits_get(valid, bit + i))
            continue;
        if (k % 8 == 0)
            dst[k / 8] = 0;
        dst[k / 8] |= (uint8_t)(fmt_bits_get(bits, row0 + i) << k % 8);
        k++;
    }
}

void
fmt_nulls_spread_bits(const uint8_t *valid, uint64_t bit, const uint8_t *src, size_t n, uint8_t *dst)
{
    uint64_t k = 0;

    for (uint64_t i = bit; i < bit + n; i++) {
        if (!fmt_bits_get(valid, i))
            continue;
        dst[i / 8] |= (uint8_t)(fmt_bits_get(src, k) << i % 8);
        k++;
    }
}
