/* Byte-stream split. Each loop has a constant number of planes, so that compilers turn it into vector
 * code. */
#include "config.h"
#include "shardfmt/bss.h"

#if defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__)
#pragma GCC optimize("O3")
#endif

#define SPLIT(T)                                                                                   \
    do {                                                                                           \
        const T *v = values;                                                                       \
        for (unsigned b = 0; b < n_planes; b++, dst += n)                                          \
            for (size_t i = 0; i < n; i++)                                                         \
                dst[i] = (uint8_t)(v[i] >> 8 * b);                                                 \
    } while (0)

void
fmt_bss_split(const void *values, size_t size, size_t n, size_t n_planes, uint8_t *dst)
{
    switch (size) {
    case 1:
        SPLIT(uint8_t);
        break;
    case 2:
        SPLIT(uint16_t);
        break;
    case 4:
        SPLIT(uint32_t);
        break;
    default:
        SPLIT(uint64_t);
        break;
    }
}

/* k planes to type U; S is the signed type of the same size. */
#define JOIN_PLANES(U, S, k)                                                                       \
    do {                                                                                           \
        const unsigned unused = 8 * (unsigned)(sizeof(U) - (k));                                   \
        U *restrict d = dst;                                                                       \
        if (is_signed && unused) {                                                                 \
            for (size_t i = 0; i < n; i++) {                                                       \
                U v = 0;                                                                           \
                for (unsigned b = 0; b < (k); b++)                                                 \
                    v |= (U)((U)src[b * stride + i] << 8 * b);                                     \
                d[i] = (U)((S)(U)(v << unused) >> unused);                                         \
            }                                                                                      \
        } else {                                                                                   \
            for (size_t i = 0; i < n; i++) {                                                       \
                U v = 0;                                                                           \
                for (unsigned b = 0; b < (k); b++)                                                 \
                    v |= (U)((U)src[b * stride + i] << 8 * b);                                     \
                d[i] = v;                                                                          \
            }                                                                                      \
        }                                                                                          \
    } while (0)

static void
join16(const uint8_t *src, size_t stride, size_t k, bool is_signed, size_t n, void *dst)
{
    if (k == 1)
        JOIN_PLANES(uint16_t, int16_t, 1);
    else
        JOIN_PLANES(uint16_t, int16_t, 2);
}

static void
join32(const uint8_t *src, size_t stride, size_t k, bool is_signed, size_t n, void *dst)
{
    switch (k) {
    case 1:
        JOIN_PLANES(uint32_t, int32_t, 1);
        break;
    case 2:
        JOIN_PLANES(uint32_t, int32_t, 2);
        break;
    case 3:
        JOIN_PLANES(uint32_t, int32_t, 3);
        break;
    default:
        JOIN_PLANES(uint32_t, int32_t, 4);
        break;
    }
}

static void
join64(const uint8_t *src, size_t stride, size_t k, bool is_signed, size_t n, void *dst)
{
    switch (k) {
    case 1:
        JOIN_PLANES(uint64_t, int64_t, 1);
        break;
    case 2:
        JOIN_PLANES(uint64_t, int64_t, 2);
        break;
    case 3:
        JOIN_PLANES(uint64_t, int64_t, 3);
        break;
    case 4:
        JOIN_PLANES(uint64_t, int64_t, 4);
        break;
    case 5:
        JOIN_PLANES(uint64_t, int64_t, 5);
        break;
    case 6:
        JOIN_PLANES(uint64_t, int64_t, 6);
        break;
    case 7:
        JOIN_PLANES(uint64_t, int64_t, 7);
        break;
    default:
        JOIN_PLANES(uint64_t, int64_t, 8);
        break;
    }
}

void
fmt_bss_join(const uint8_t *src, size_t stride, size_t n_planes, bool is_signed, size_t n, void *dst,
             size_t size)
{
    switch (size) {
    case 1:
        JOIN_PLANES(uint8_t, int8_t, 1);
        break;
    case 2:
        join16(src, stride, n_planes, is_signed, n, dst);
        break;
    case 4:
        join32(src, stride, n_planes, is_signed, n, dst);
        break;
    default:
        join64(src, stride, n_planes, is_signed, n, dst);
        break;
    }
}
