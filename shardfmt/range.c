/* Smallest and largest. Vectors of SSE2 compare 8 and 16 bits; with wider values each of a few lanes keeps
 * its own, so that no comparison waits for the one before. */
#include "config.h"
#include "shardfmt/range.h"

/* gcc vectorises the loops below at -O3 only; clang does at -O2. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__)
#pragma GCC optimize("O3")
#endif

#define RANGE(T, LANES)                                                                           \
    do {                                                                                           \
        const T *v = values;                                                                       \
        T lo[LANES], hi[LANES];                                                                    \
        size_t i = 0;                                                                              \
        for (unsigned l = 0; l < LANES; l++)                                                       \
            lo[l] = hi[l] = v[0];                                                                  \
        for (; i + LANES <= n; i += LANES) {                                                       \
            for (unsigned l = 0; l < LANES; l++) {                                                 \
                lo[l] = v[i + l] < lo[l] ? v[i + l] : lo[l];                                       \
                hi[l] = v[i + l] > hi[l] ? v[i + l] : hi[l];                                       \
            }                                                                                      \
        }                                                                                          \
        for (; i < n; i++) {                                                                       \
            lo[0] = v[i] < lo[0] ? v[i] : lo[0];                                                   \
            hi[0] = v[i] > hi[0] ? v[i] : hi[0];                                                   \
        }                                                                                          \
        for (unsigned l = 1; l < LANES; l++) {                                                     \
            lo[0] = lo[l] < lo[0] ? lo[l] : lo[0];                                                 \
            hi[0] = hi[l] > hi[0] ? hi[l] : hi[0];                                                 \
        }                                                                                          \
        r = (struct fmt_range){(uint64_t)lo[0], (uint64_t)hi[0]};                                  \
    } while (0)

struct fmt_range
fmt_range_of(const void *values, size_t size, bool is_signed, size_t n)
{
    struct fmt_range r;

    switch (size * 2 + is_signed) {
    case 2:
        RANGE(uint8_t, 1);
        break;
    case 3:
        RANGE(int8_t, 1);
        break;
    case 4:
        RANGE(uint16_t, 1);
        break;
    case 5:
        RANGE(int16_t, 1);
        break;
    case 8:
        RANGE(uint32_t, 4);
        break;
    case 9:
        RANGE(int32_t, 4);
        break;
    case 16:
        RANGE(uint64_t, 4);
        break;
    default:
        RANGE(int64_t, 4);
        break;
    }
    return r;
}
