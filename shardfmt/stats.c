/* Statistics: minimum and maximum of what is neither null nor NaN. Zeros compare equal, so that a
 * minimum of zero is written -0.0 and a maximum 0.0, whichever stood there. */
#include "config.h"
#include "shardfmt/stats.h"

#include <math.h>
#include <string.h>

#include "lib/compiler.h"
#include "lib/endian.h"
#include "shardfmt/bits.h"
#include "shardfmt/column.h"
#include "shardfmt/half.h"
#include "shardfmt/nulls.h"
#include "shardfmt/range.h"
#include "shardfmt/spooled.h"

#define BLOCK 1024u /* values that are looked at at once */

/* Values [i, i + BLOCK) of those that are not null: in place, or copied to tmp. */
static const void *
present_block(const struct shard_array *a, size_t size, uint64_t i, uint64_t tmp[BLOCK],
              size_t *ret_n)
{
    const void *values = (const uint8_t *)a->values + i * size;
    const size_t n = (size_t)BASE_MIN(a->n_rows - i, BLOCK);

    *ret_n = a->validity ? (size_t)fmt_bits_count(a->validity, i, n) : n;
    if (*ret_n == n)
        return values;
    fmt_nulls_squeeze(a->validity, i, values, size, n, tmp);
    return tmp;
}

static void
stats_ints(const struct shard_array *a, struct fmt_type t, struct fmt_chunk_stats *s)
{
    const bool is_signed = t.number == FMT_NUMBER_SIGNED;
    struct fmt_range all = {0, 0};
    uint64_t tmp[BLOCK];

    for (uint64_t i = 0; i < a->n_rows; i += BLOCK) {
        size_t n;
        const void *values = present_block(a, t.size, i, tmp, &n);
        struct fmt_range r;

        if (n == 0)
            continue;
        r = fmt_range_of(values, t.size, is_signed, n);
        all = s->flags & FMT_STATS_MINMAX ? fmt_range_join(all, r, is_signed) : r;
        s->flags |= FMT_STATS_MINMAX;
    }
    if (s->flags & FMT_STATS_MINMAX) {
        base_store_le64(s->min, all.lo);
        base_store_le64(s->max, all.hi);
    }
}

/* lo and hi of n values, NaNs left out: no comparison with one is true. */
#define FLOAT_RANGE(T, value)                                                                      \
    do {                                                                                           \
        const T *v = values;                                                                       \
        for (size_t k = 0; k < n; k++) {                                                           \
            const double d = (double)(value);                                                      \
            lo = d < lo ? d : lo;                                                                  \
            hi = d > hi ? d : hi;                                                                  \
            nan |= d != d;                                                                         \
        }                                                                                          \
    } while (0)

static void
stats_floats(const struct shard_array *a, struct fmt_type t, struct fmt_chunk_stats *s)
{
    double lo = INFINITY, hi = -INFINITY;
    uint64_t tmp[BLOCK];
    bool nan = false;

    for (uint64_t i = 0; i < a->n_rows; i += BLOCK) {
        size_t n;
        const void *values = present_block(a, t.size, i, tmp, &n);

        switch (a->type) {
        case SHARD_TYPE_FLOAT16:
            FLOAT_RANGE(uint16_t, fmt_float16(v[k]));
            break;
        case SHARD_TYPE_BFLOAT16:
            FLOAT_RANGE(uint16_t, fmt_bfloat16(v[k]));
            break;
        case SHARD_TYPE_FLOAT32:
            FLOAT_RANGE(float, v[k]);
            break;
        default:
            FLOAT_RANGE(double, v[k]);
            break;
        }
    }
    if (nan)
        s->flags |= FMT_STATS_NAN;
    if (lo > hi) /* there was none */
        return;
    s->flags |= FMT_STATS_MINMAX;
    lo = lo == 0 ? -0.0 : lo;
    hi = hi == 0 ? 0.0 : hi;
    memcpy(s->min, &lo, sizeof(lo));
    memcpy(s->max, &hi, sizeof(hi));
}

static void
stats_bools(const struct shard_array *a, struct fmt_chunk_stats *s)
{
    uint64_t ones = 0, present = a->n_rows - s->n_nulls;

    if (present == 0)
        return;
    ones = fmt_bits_count(a->values, 0, a->n_rows); /* null rows hold zeros */
    s->min[0] = ones == present;
    s->max[0] = ones != 0;
    s->flags |= FMT_STATS_MINMAX;
}

struct text {
    const uint8_t *p;
    size_t len;
    uint64_t head; /* the first 8 bytes, big-endian, so that numbers compare as the bytes do */
};

static inline struct text
text_at(const struct shard_array *a, uint64_t row)
{
    const struct shard_far *far = fmt_array_far(a, row);
    struct text t = {(const uint8_t *)a->values + a->offsets[row],
                     (size_t)(a->offsets[row + 1] - a->offsets[row]), 0};

    if (far) /* more than the prefix does not count, but that there is more */
        t = (struct text){((const struct fmt_spooled *)far->source)->head, FMT_STATS_PREFIX + 1, 0};
    if (t.len >= 8)
        t.head = base_load_le64(t.p);
    else if (t.len)
        memcpy(&t.head, t.p, t.len);
    t.head = __builtin_bswap64(t.head);
    return t;
}

static inline bool
text_less(const struct text *x, const struct text *y)
{
    const size_t n = BASE_MIN(x->len, y->len);
    int c;

    if (x->head != y->head)
        return x->head < y->head;
    c = n ? memcmp(x->p, y->p, n) : 0;
    return c ? c < 0 : x->len < y->len;
}

static void
stats_strings(const struct shard_array *a, struct fmt_chunk_stats *s)
{
    struct text lo = {0}, hi = {0};

    for (uint64_t i = 0; i < a->n_rows; i += 64) {
        uint64_t w = fmt_array_valid_word(a, i);

        for (; w; w &= w - 1) {
            const struct text t = text_at(a, i + (uint64_t)__builtin_ctzll(w));

            if (!(s->flags & FMT_STATS_MINMAX))
                lo = hi = t;
            s->flags |= FMT_STATS_MINMAX;
            if (text_less(&t, &lo))
                lo = t;
            else if (text_less(&hi, &t))
                hi = t;
        }
    }
    if (!(s->flags & FMT_STATS_MINMAX))
        return;
    if (lo.len)
        memcpy(s->min, lo.p, BASE_MIN(lo.len, FMT_STATS_PREFIX));
    if (hi.len)
        memcpy(s->max, hi.p, BASE_MIN(hi.len, FMT_STATS_PREFIX));
    if (hi.len > FMT_STATS_PREFIX)
        s->flags |= FMT_STATS_MAX_TRUNCATED;
}

bool
fmt_stats_ordered(enum shard_type type)
{
    const enum fmt_kind kind = fmt_type_of(type, 0).kind;

    return kind == FMT_KIND_BIT || kind == FMT_KIND_NUMBER || kind == FMT_KIND_BYTES;
}

/* How minima or maxima of a type stand to each other: < 0, 0, > 0. */
static int
bound_compare(enum shard_type type, const uint8_t a[FMT_STATS_PREFIX],
              const uint8_t b[FMT_STATS_PREFIX])
{
    const struct fmt_type t = fmt_type_of(type, 0);
    const uint64_t x = base_load_le64(a), y = base_load_le64(b);
    double f, g;

    if (t.kind == FMT_KIND_BYTES)
        return memcmp(a, b, FMT_STATS_PREFIX);
    if (t.number == FMT_NUMBER_SIGNED)
        return ((int64_t)x > (int64_t)y) - ((int64_t)x < (int64_t)y);
    if (t.number != FMT_NUMBER_FLOAT)
        return (x > y) - (x < y);
    memcpy(&f, &x, sizeof(f));
    memcpy(&g, &y, sizeof(g));
    return (f > g) - (f < g);
}

bool
fmt_stats_merge(enum shard_type type, struct fmt_chunk_stats *sum,
                const struct fmt_chunk_stats *chunk, uint64_t n_rows)
{
    const uint32_t flags = chunk->flags;
    const bool told = flags & (FMT_STATS_MINMAX | FMT_STATS_NAN) || chunk->n_nulls >= n_rows;

    sum->n_nulls += chunk->n_nulls;
    sum->raw_bytes += chunk->raw_bytes;
    sum->flags |= flags & ~(FMT_STATS_MINMAX | FMT_STATS_MAX_TRUNCATED);
    if (flags & FMT_STATS_MINMAX) {
        const bool first = !(sum->flags & FMT_STATS_MINMAX);
        const int c = bound_compare(type, chunk->max, sum->max);

        if (first || bound_compare(type, chunk->min, sum->min) < 0)
            memcpy(sum->min, chunk->min, FMT_STATS_PREFIX);
        if (first || c > 0) {
            memcpy(sum->max, chunk->max, FMT_STATS_PREFIX);
            sum->flags &= ~FMT_STATS_MAX_TRUNCATED;
        }
        if (first || c >= 0)
            sum->flags |= flags & FMT_STATS_MAX_TRUNCATED;
        sum->flags |= FMT_STATS_MINMAX;
    }
    return told;
}

void
fmt_stats_compute(const struct shard_array *a, struct fmt_chunk_stats *s)
{
    const struct fmt_type t = fmt_type_of(a->type, a->elem);

    *s = (struct fmt_chunk_stats){.raw_bytes = fmt_array_raw_bytes(a, 0, a->n_rows)};
    if (a->validity)
        s->n_nulls = a->n_rows - fmt_bits_count(a->validity, 0, a->n_rows);
    switch (t.kind) {
    case FMT_KIND_BIT:
        stats_bools(a, s);
        break;
    case FMT_KIND_NUMBER:
        if (t.number == FMT_NUMBER_FLOAT)
            stats_floats(a, t, s);
        else
            stats_ints(a, t, s);
        break;
    case FMT_KIND_BYTES:
        stats_strings(a, s);
        break;
    default: /* no order */
        break;
    }
}
