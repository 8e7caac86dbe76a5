/* Checked arithmetic on sizes. Each returns 0, or -EOVERFLOW and leaves *ret untouched. */
#ifndef BASE_ARITH_H
#define BASE_ARITH_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

static inline int
base_add_size(size_t a, size_t b, size_t *ret)
{
    size_t v;

    if (__builtin_add_overflow(a, b, &v))
        return -EOVERFLOW;
    *ret = v;
    return 0;
}

static inline int
base_mul_size(size_t a, size_t b, size_t *ret)
{
    size_t v;

    if (__builtin_mul_overflow(a, b, &v))
        return -EOVERFLOW;
    *ret = v;
    return 0;
}

static inline int
base_add_u64(uint64_t a, uint64_t b, uint64_t *ret)
{
    uint64_t v;

    if (__builtin_add_overflow(a, b, &v))
        return -EOVERFLOW;
    *ret = v;
    return 0;
}

/* a * b / c without overflow in between; c must not be 0 and the result must fit. */
static inline uint64_t
base_muldiv_u64(uint64_t a, uint64_t b, uint64_t c)
{
    return (uint64_t)((unsigned __int128)a * b / c);
}

/* v rounded up to a multiple of align, a power of two; v + align must not overflow. */
static inline uint64_t
base_align_up(uint64_t v, uint64_t align)
{
    return (v + align - 1) & ~(align - 1);
}

#endif
