/* Differences. The sum is one addition per value that waits for the one before, a cycle: not worth
 * the shuffles that would spare it. */
#include "config.h"
#include "shardfmt/delta.h"

#if defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__)
#pragma GCC optimize("O3")
#endif

#define SPLIT(T)                                                                                   \
    do {                                                                                           \
        const T *v = values;                                                                       \
        T *d = dst;                                                                                \
        for (size_t i = 1; i < n; i++)                                                             \
            d[i] = (T)(v[i] - v[i - 1]);                                                           \
        d[0] = n > 1 ? d[1] : 0;                                                                   \
        return (T)(v[0] - d[0]);                                                                   \
    } while (0)

uint64_t
fmt_delta_split(const void *values, size_t size, size_t n, void *dst)
{
    switch (size) {
    case 1:
        SPLIT(uint8_t);
    case 2:
        SPLIT(uint16_t);
    case 4:
        SPLIT(uint32_t);
    default:
        SPLIT(uint64_t);
    }
}

#define JOIN(T)                                                                                    \
    do {                                                                                           \
        T *v = values, sum = (T)acc;                                                               \
        for (size_t i = 0; i < n; i++)                                                             \
            v[i] = sum = (T)(sum + v[i]);                                                          \
        return sum;                                                                                \
    } while (0)

uint64_t
fmt_delta_join(void *values, size_t size, size_t n, uint64_t acc)
{
    switch (size) {
    case 1:
        JOIN(uint8_t);
    case 2:
        JOIN(uint16_t);
    case 4:
        JOIN(uint32_t);
    default:
        JOIN(uint64_t);
    }
}
