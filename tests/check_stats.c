/* Statistics of random columns against a comparison of every value. */
#include "config.h"

#include <check.h>
#include <math.h>
#include <string.h>

#include "lib/compiler.h"
#include "shardfmt/stats.h"
#include "tests/fmt_util.h"
#include "tests/random.h"
#include "tests/suite.h"

static const char *const types[] = {"bool?",    "int8?",    "int16?",   "int32?",   "int64?",
                                    "uint8?",   "uint16?",  "uint32?",  "uint64?",  "timestamp[ms]?",
                                    "float16?", "bfloat16?", "float32?", "float64?", "string?",
                                    "binary?"};
static const uint32_t lengths[] = {0, 1, 64, 65, 1023, 1024, 1025, 3000};
enum { ANY, SPECIAL, ZEROS, NANS, INFINITIES, N_SHAPES };
enum { NONE, SOME, FEW, ALL, ALL_BUT_ONE, BLOCKS, N_NULLS };

/* Zeros, infinities, NaNs and ends of ranges, as one type or another takes their low bytes. */
static const uint64_t special[] = {
    0,      0x80,   0x7f,   0x8000,     0x7c00,     0xfc00,     0x7e01,
    0x7f80, 0xff80, 0x7fc1, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00001,
    UINT64_C(0x8000000000000000), UINT64_C(0x7ff0000000000000), UINT64_C(0xfff0000000000000),
    UINT64_C(0x7ff8000000000001), UINT64_C(0x7fffffffffffffff), UINT64_MAX};

static uint64_t
value(enum shard_type type, int shape, uint64_t *st)
{
    const uint64_t x = test_random(st), sign = x >> 63;

    switch (shape) {
    case SPECIAL:
        return special[x % BASE_ARRAY_LEN(special)];
    case ZEROS:
        return type == SHARD_TYPE_FLOAT64 ? sign << 63 : type == SHARD_TYPE_FLOAT32 ? sign << 31 : sign << 15;
    case NANS:
        return UINT64_C(0x7ff8000000000001) | (type == SHARD_TYPE_FLOAT64 ? 0 : 0x7fc07fc1);
    case INFINITIES: /* the positive one: the minimum is infinite, too */
        return type == SHARD_TYPE_FLOAT64   ? UINT64_C(0x7ff0000000000000)
               : type == SHARD_TYPE_FLOAT32 ? 0x7f800000
               : type == SHARD_TYPE_FLOAT16 ? 0x7c00
                                            : 0x7f80;
    default:
        return x;
    }
}

static void
fill(struct fmt_column *c, uint32_t n, int shape, int nulls, uint64_t *st)
{
    const uint64_t one = n ? test_random(st) % n : 0;

    for (uint64_t i = 0; i < n; i++) {
        const uint64_t v = value(c->type, shape, st);
        uint8_t text[24];
        bool null = nulls == ALL;

        if (nulls == SOME)
            null = test_random(st) % 4 == 0;
        else if (nulls == FEW) /* with 64 rows that have none between */
            null = test_random(st) % 300 == 0;
        else if (nulls == ALL_BUT_ONE)
            null = i != one;
        else if (nulls == BLOCKS)
            null = i / 1024 % 2 == 0;
        for (size_t k = 0; k < sizeof(text); k++) /* long common beginnings, zeros among them */
            text[k] = shape == ANY ? (uint8_t)test_random(st) : test_random(st) % 16 ? 'a' : 0;
        ck_assert_int_eq(null ? fmt_column_append_null(c)
                         : c->type == SHARD_TYPE_BOOL ? fmt_column_append_bool(c, v & 1)
                         : c->is.kind == FMT_KIND_BYTES
                             ? fmt_column_append_bytes(c, text, v % (sizeof(text) + 1))
                             : fmt_column_append_number(c, &v),
                         0);
    }
}

/* Binary16 and bfloat16 by what they mean. */
static double
small_float(uint16_t v, int exponent_bits)
{
    const int mantissa_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
    const int e = v >> mantissa_bits & ((1 << exponent_bits) - 1), m = v & ((1 << mantissa_bits) - 1);
    double d;

    if (e == (1 << exponent_bits) - 1)
        d = m ? (double)NAN : (double)INFINITY;
    else
        d = ldexp(m + (e ? 1 << mantissa_bits : 0), BASE_MAX(e, 1) - bias - mantissa_bits);
    return v >> 15 ? -d : d;
}

static double
float_at(const struct shard_array *a, uint64_t row)
{
    if (a->type == SHARD_TYPE_FLOAT64)
        return ((const double *)a->values)[row];
    if (a->type == SHARD_TYPE_FLOAT32)
        return (double)((const float *)a->values)[row];
    return small_float(((const uint16_t *)a->values)[row], a->type == SHARD_TYPE_FLOAT16 ? 5 : 8);
}

/* Less than zero, zero or more; rows are not null. */
static int
compare(const struct shard_array *a, uint64_t x, uint64_t y)
{
    const struct fmt_type t = fmt_type_of(a->type, a->elem);
    const uint8_t *p = a->values;
    uint64_t v = 0, w = 0;

    if (t.kind == FMT_KIND_BYTES) {
        const int32_t *o = a->offsets, n = o[x + 1] - o[x], m = o[y + 1] - o[y];
        const int c = memcmp(p + o[x], p + o[y], (size_t)BASE_MIN(n, m));

        return c ? c : n - m;
    }
    if (t.kind == FMT_KIND_BIT)
        return fmt_bits_get(p, x) - fmt_bits_get(p, y);
    if (t.number == FMT_NUMBER_FLOAT)
        return (float_at(a, x) > float_at(a, y)) - (float_at(a, x) < float_at(a, y));
    memcpy(&v, p + x * t.size, t.size);
    memcpy(&w, p + y * t.size, t.size);
    if (t.number == FMT_NUMBER_SIGNED) { /* as far from the least one */
        v ^= UINT64_C(1) << (8 * t.size - 1);
        w ^= UINT64_C(1) << (8 * t.size - 1);
    }
    return (v > w) - (v < w);
}

/* The bound that a row makes, as docs/format.md, STATS, has it. */
static void
check_bound(const struct shard_array *a, uint64_t row, bool is_min, const uint8_t got[FMT_STATS_PREFIX])
{
    const struct fmt_type t = fmt_type_of(a->type, a->elem);
    uint8_t want[FMT_STATS_PREFIX] = {0};
    uint64_t v = 0;
    double d;

    if (t.kind == FMT_KIND_BYTES) {
        memcpy(want, (const uint8_t *)a->values + a->offsets[row],
               BASE_MIN((size_t)(a->offsets[row + 1] - a->offsets[row]), FMT_STATS_PREFIX));
    } else if (t.kind == FMT_KIND_BIT) {
        want[0] = fmt_bits_get(a->values, row);
    } else if (t.number == FMT_NUMBER_FLOAT) {
        d = float_at(a, row);
        d = d != 0 ? d : is_min ? -0.0 : 0.0;
        memcpy(want, &d, sizeof(d));
    } else {
        memcpy(&v, (const uint8_t *)a->values + row * t.size, t.size);
        if (t.number == FMT_NUMBER_SIGNED && t.size < 8 && v >> (8 * t.size - 1))
            v |= UINT64_MAX << 8 * t.size;
        memcpy(want, &v, sizeof(v));
    }
    ck_assert_mem_eq(got, want, sizeof(want));
}

static void
check(const struct shard_array *a)
{
    const struct fmt_type t = fmt_type_of(a->type, a->elem);
    const bool is_float = t.kind == FMT_KIND_NUMBER && t.number == FMT_NUMBER_FLOAT;
    uint64_t n_nulls = 0, min = UINT64_MAX, max = 0;
    struct fmt_chunk_stats s;
    uint32_t flags = 0;

    for (uint64_t i = 0; i < a->n_rows; i++) {
        if (fmt_array_is_null(a, i)) {
            n_nulls++;
        } else if (is_float && isnan(float_at(a, i))) {
            flags |= FMT_STATS_NAN;
        } else {
            if (min == UINT64_MAX)
                min = max = i;
            min = compare(a, i, min) < 0 ? i : min;
            max = compare(a, i, max) > 0 ? i : max;
        }
    }
    if (min != UINT64_MAX)
        flags |= FMT_STATS_MINMAX;
    if (min != UINT64_MAX && t.kind == FMT_KIND_BYTES &&
        a->offsets[max + 1] - a->offsets[max] > (int32_t)FMT_STATS_PREFIX)
        flags |= FMT_STATS_MAX_TRUNCATED;
    fmt_stats_compute(a, &s);
    ck_assert_uint_eq(s.n_nulls, n_nulls);
    ck_assert_uint_eq(s.flags, flags);
    if (flags & FMT_STATS_MINMAX) {
        check_bound(a, min, true, s.min);
        check_bound(a, max, false, s.max);
    }
}

START_TEST(test_statistics_are_of_every_value)
{
    uint64_t st = (uint64_t)_i;
    struct shard_error err;
    struct shard_field f = {.name = "x"};

    must_ok(fmt_type_parse(types[_i], &f, &err));
    for (size_t k = 0; k < BASE_ARRAY_LEN(lengths); k++)
        for (int shape = 0; shape < N_SHAPES; shape++)
            for (int nulls = 0; nulls < N_NULLS; nulls++) {
                struct fmt_column c;
                struct shard_array a;

                fmt_column_init_field(&c, &f);
                fill(&c, lengths[k], shape, nulls, &st);
                fmt_column_array(&c, &a);
                check(&a);
                fmt_column_done(&c);
            }
}
END_TEST

static Suite *
suite(void)
{
    Suite *s = suite_create("stats");
    TCase *tc = tcase_create("stats");

    tcase_add_loop_test(tc, test_statistics_are_of_every_value, 0, (int)BASE_ARRAY_LEN(types));
    suite_add_tcase(s, tc);
    return s;
}

int
main(void)
{
    return test_run(suite());
}
