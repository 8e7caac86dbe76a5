/* The smallest and the largest of many integers. */
#ifndef FMT_RANGE_H
#define FMT_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fmt_range {
    uint64_t lo, hi; /* extended to 64 bits, with their sign where they have one */
};

/* Of n > 0 values of size 1, 2, 4 or 8 bytes. */
struct fmt_range fmt_range_of(const void *values, size_t size, bool is_signed, size_t n);

static inline bool
fmt_range_less(uint64_t a, uint64_t b, bool is_signed)
{
    return is_signed ? (int64_t)a < (int64_t)b : a < b;
}

/* The range of both. */
static inline struct fmt_range
fmt_range_join(struct fmt_range a, struct fmt_range b, bool is_signed)
{
    return (struct fmt_range){fmt_range_less(b.lo, a.lo, is_signed) ? b.lo : a.lo,
                              fmt_range_less(a.hi, b.hi, is_signed) ? b.hi : a.hi};
}

#endif
