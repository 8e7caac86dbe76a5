/* Streams of numbers: every encoding gives back what it was given, whatever the values, at every width
 * and around the sizes of blocks and runs; has the bytes that docs/format.md says; and refuses every
 * other number of bytes without looking beyond them. */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/compiler.h"
#include "shardfmt/group.h"
#include "shardfmt/ints.h"
#include "tests/random.h"
#include "tests/suite.h"

#define N_MAX 5000u

static const size_t lengths[] = {1, 2, 255, 256, 257, 1023, 1024, 1025, N_MAX};
static const struct fmt_ints_kind kinds[] = {
    {1, true, false}, {1, true, true},   {2, true, false},  {2, true, true},
    {4, true, false}, {4, true, true},   {8, true, false},  {8, true, true},
    {2, false, false}, {4, false, false}, {8, false, false}, /* floats */
};
static const struct fmt_ints_way ways[] = {
    {FMT_ENC_PLAIN, 0, 0},
    {FMT_ENC_RLE, 0, 0},
    {FMT_ENC_FOR, 0, 0},
    {FMT_ENC_BSS, 0, 0},
    {FMT_ENC_DELTA, FMT_ENC_PLAIN, 0},
    {FMT_ENC_DELTA, FMT_ENC_RLE, 0},
    {FMT_ENC_DELTA, FMT_ENC_FOR, 0},
    {FMT_ENC_DELTA, FMT_ENC_BSS, 0},
};
enum shape { SAME, NARROW, RUNS, RISING, JUMPS, ENDS, N_SHAPES };

static bool
way_fits(struct fmt_ints_way w, struct fmt_ints_kind k)
{
    return k.is_int || (w.encoding != FMT_ENC_FOR && w.encoding != FMT_ENC_DELTA);
}

/* n values of w significant bits. */
static void
make_values(uint8_t *dst, size_t size, size_t n, enum shape shape, unsigned w, uint64_t seed)
{
    const uint64_t mask = w ? ~UINT64_C(0) >> (64 - w) : 0;
    uint64_t st = seed, v = test_random(&st);

    for (size_t i = 0; i < n; i++) {
        const uint64_t x = test_random(&st);

        switch (shape) {
        case SAME:
            break;
        case NARROW: /* of either sign */
            v = x >> 63 ? ~(x & mask) : x & mask;
            break;
        case RUNS: /* short ones, and some of over 256 */
            if (x % 700 == 0 || (i / 1000 % 2 && x % 3 == 0))
                v = test_random(&st) & mask;
            break;
        case RISING:
            v += x & mask;
            break;
        case JUMPS: /* steps of one, now and then another place */
            v = x % 100 ? v + 1 : test_random(&st);
            break;
        default:
            v = x & 1 ? UINT64_C(0x8000000080008080) : UINT64_C(0x7fffffff7fff7f7f);
            break;
        }
        memcpy(dst + i * size, &v, size);
    }
}

/* Decode len bytes, of which there is a copy without room behind it. */
static int
decode(const uint8_t *data, size_t len, uint8_t encoding, uint8_t stored, struct fmt_ints_kind k,
       size_t n, uint8_t *ret)
{
    uint8_t *copy = malloc(len ? len : 1);
    const struct fmt_stream_in s = {.data = copy,
                                    .count = (uint32_t)n,
                                    .len = (uint32_t)len,
                                    .role = FMT_ROLE_VALUES,
                                    .encoding = encoding,
                                    .size = stored};
    struct shard_error err = {0};
    int r;

    ck_assert_ptr_nonnull(copy);
    if (len)
        memcpy(copy, data, len);
    r = fmt_ints_all(&s, k.size, k.is_int, k.is_signed, n, ret, &err);
    ck_assert(r == 0 || err.text[0] != '\0');
    free(copy);
    return r;
}

static void
check_way(struct fmt_ints_way w, struct fmt_ints_kind k, const uint8_t *values, size_t n)
{
    struct fmt_ints_scratch scratch = {0};
    struct base_buf out = {0};
    uint8_t *back = malloc(n * k.size);
    int stored;

    ck_assert_ptr_nonnull(back);
    ck_assert_int_eq(base_buf_append(&out, "before", 6), 0);
    stored = fmt_ints_append(&out, &scratch, w, k, values, n);
    ck_assert_int_gt(stored, 0);
    ck_assert_mem_eq(out.data, "before", 6);
    ck_assert_int_eq(decode(out.data + 6, out.len - 6, w.encoding, (uint8_t)stored, k, n, back), 0);
    ck_assert_mem_eq(back, values, n * k.size);
    /* One byte less or more, one value less or more. (A run more may be one of its values less.) */
    ck_assert_int_lt(decode(out.data + 6, out.len - 7, w.encoding, (uint8_t)stored, k, n, back), 0);
    ck_assert_int_eq(base_buf_append(&out, "", 1), 0);
    ck_assert_int_lt(decode(out.data + 6, out.len - 6, w.encoding, (uint8_t)stored, k, n, back), 0);
    if (w.encoding != FMT_ENC_FOR && w.inner != FMT_ENC_FOR)
        ck_assert_int_lt(
            decode(out.data + 6, out.len - 7, w.encoding, (uint8_t)stored, k, n - 1, back), 0);
    if (k.is_int && w.encoding != FMT_ENC_DELTA) { /* told how many bytes suffice: the same */
        const size_t end = out.len;

        w.bytes = (uint8_t)fmt_ints_narrowest(fmt_range_of(values, k.size, k.is_signed, n), k.size,
                                              k.is_signed);
        ck_assert_int_eq(fmt_ints_append(&out, &scratch, w, k, values, n), stored);
        ck_assert_uint_eq(out.len - end, end - 7);
        ck_assert_mem_eq(out.data + end, out.data + 6, end - 7);
    }
    free(back);
    base_buf_done(&out);
    fmt_ints_scratch_done(&scratch);
}

START_TEST(test_every_encoding_gives_values_back)
{
    const struct fmt_ints_kind k = kinds[_i];
    uint8_t *values = malloc((size_t)N_MAX * 8);

    ck_assert_ptr_nonnull(values);
    for (size_t l = 0; l < BASE_ARRAY_LEN(lengths); l++)
        for (unsigned width = 0; width <= 8u * k.size; width += lengths[l] > 300 ? 7 : 1)
            for (int shape = 0; shape < N_SHAPES; shape++) {
                make_values(values, k.size, lengths[l], (enum shape)shape, width, width + l + 1);
                for (size_t w = 0; w < BASE_ARRAY_LEN(ways); w++)
                    if (way_fits(ways[w], k))
                        check_way(ways[w], k, values, lengths[l]);
            }
    free(values);
}
END_TEST

/* Against a comparison of every value. */
START_TEST(test_ranges)
{
    const struct fmt_ints_kind k = kinds[_i];
    uint8_t values[300 * 8];

    for (size_t n = 1; n < 300; n += 1 + n / 7) {
        struct fmt_range expect = {0, 0}, r;

        make_values(values, k.size, n, NARROW, (unsigned)(n % (8 * k.size)), n);
        for (size_t i = 0; i < n; i++) {
            const unsigned unused = 64 - 8 * k.size;
            uint64_t v = 0;

            memcpy(&v, values + i * k.size, k.size);
            if (k.is_signed)
                v = (uint64_t)((int64_t)(v << unused) >> unused);
            if (i == 0)
                expect = (struct fmt_range){v, v};
            if (k.is_signed ? (int64_t)v < (int64_t)expect.lo : v < expect.lo)
                expect.lo = v;
            if (k.is_signed ? (int64_t)v > (int64_t)expect.hi : v > expect.hi)
                expect.hi = v;
        }
        r = fmt_range_of(values, k.size, k.is_signed, n);
        ck_assert_uint_eq(r.lo, expect.lo);
        ck_assert_uint_eq(r.hi, expect.hi);
        /* The least value counts wherever it stands. */
        memset(values + (n - 1) * k.size, 0, k.size);
        ck_assert_uint_eq(fmt_range_of(values, k.size, false, n).lo, 0);
    }
}
END_TEST

START_TEST(test_nothing_is_no_bytes)
{
    uint8_t back[8];

    for (size_t w = 0; w < 4; w++) {
        ck_assert_int_eq(decode(back, 0, ways[w].encoding, 4, kinds[4], 0, back), 0);
        ck_assert_int_eq(decode((const uint8_t *)"\0\0\0\0\0", 5, ways[w].encoding, 4, kinds[4], 0, back),
                         SHARD_ECORRUPT);
    }
}
END_TEST

/* The examples of docs/format.md, by hand. */
START_TEST(test_bytes_are_as_specified)
{
    static const struct {
        struct fmt_ints_way way;
        int64_t values[5];
        size_t n;
        int stored;
        const char *bytes;
        size_t len;
    } cases[] = {
        {{FMT_ENC_PLAIN, 0, 0}, {1, -2, 300}, 3, 2, "\x01\x00\xfe\xff\x2c\x01", 6},
        {{FMT_ENC_RLE, 0, 0}, {7, 7, 7, -1, 5}, 5, 1, "\x02\x00\x00\x07\xff\x05", 6},
        {{FMT_ENC_BSS, 0, 0}, {0x010203, -1, 5}, 3, 3, "\x03\xff\x05\x02\xff\x00\x01\xff\x00", 9},
        {{FMT_ENC_DELTA, FMT_ENC_PLAIN, 0},
         {1000, 1010, 1015, 1013},
         4,
         8,
         "\xde\x03\0\0\0\0\0\0\x00\x01\x0a\x0a\x05\xfe",
         14},
    };
    const struct fmt_ints_kind k = {8, true, true};

    for (size_t i = 0; i < BASE_ARRAY_LEN(cases); i++) {
        struct fmt_ints_scratch scratch = {0};
        struct base_buf out = {0};

        ck_assert_int_eq(fmt_ints_append(&out, &scratch, cases[i].way, k, cases[i].values, cases[i].n),
                         cases[i].stored);
        ck_assert_uint_eq(out.len, cases[i].len);
        ck_assert_mem_eq(out.data, cases[i].bytes, out.len);
        base_buf_done(&out);
        fmt_ints_scratch_done(&scratch);
    }
}
END_TEST

START_TEST(test_long_runs_are_several)
{
    uint32_t values[600] = {0};
    struct fmt_ints_scratch scratch = {0};
    struct base_buf out = {0};

    ck_assert_int_eq(fmt_ints_append(&out, &scratch, (struct fmt_ints_way){FMT_ENC_RLE, 0, 0}, kinds[4],
                                     values, 600),
                     1);
    ck_assert_uint_eq(out.len, 6);
    ck_assert_mem_eq(out.data, "\xff\xff\x57\0\0\0", 6);
    base_buf_done(&out);
    fmt_ints_scratch_done(&scratch);
}
END_TEST

START_TEST(test_what_does_not_fit_is_refused)
{
    static const struct {
        uint8_t encoding, stored;
        struct fmt_ints_kind kind;
        const char *bytes;
        size_t len, n;
        int status;
    } cases[] = {
        {FMT_ENC_PLAIN, 3, {4, true, false}, "\0\0\0", 3, 1, SHARD_ECORRUPT},
        {FMT_ENC_PLAIN, 8, {4, true, false}, "\0\0\0\0\0\0\0", 8, 1, SHARD_ECORRUPT},
        {FMT_ENC_PLAIN, 2, {4, false, false}, "\0", 2, 1, SHARD_ECORRUPT}, /* no narrow floats */
        {FMT_ENC_BSS, 3, {4, false, false}, "\0\0", 3, 1, SHARD_ECORRUPT},
        {FMT_ENC_BSS, 0, {4, true, false}, "", 0, 1, SHARD_ECORRUPT},
        {FMT_ENC_BSS, 5, {4, true, false}, "\0\0\0\0", 5, 1, SHARD_ECORRUPT},
        {FMT_ENC_RLE, 3, {4, true, false}, "\0\0\0", 4, 1, SHARD_ECORRUPT},
        {FMT_ENC_RLE, 1, {4, true, false}, "\1\0\0\0", 4, 2, SHARD_ECORRUPT}, /* 3 values */
        {FMT_ENC_RLE, 1, {4, true, false}, "\1\0\0\0", 4, 4, SHARD_ECORRUPT},
        {FMT_ENC_FOR, 4, {4, false, false}, "\0\0\0\0", 5, 1, SHARD_EUNSUPPORTED},
        {FMT_ENC_DELTA, 4, {4, false, false}, "\0\0\0\0\0\4\0\0\0", 10, 1, SHARD_EUNSUPPORTED},
        {FMT_ENC_DELTA, 4, {4, true, false}, "\0\0\0\0", 5, 1, SHARD_ECORRUPT},
        {FMT_ENC_DELTA, 4, {4, true, false}, "\0\0\0\0\5\4\0\0\0\0\0\1", 13, 1, SHARD_EUNSUPPORTED},
        {FMT_ENC_DELTA, 4, {4, true, false}, "\0\0\0\0\3\4", 6, 1, SHARD_EUNSUPPORTED},
        {FMT_ENC_DELTA, 4, {4, true, false}, "\0\0\0\0\x63\4", 6, 1, SHARD_EUNSUPPORTED},
        {FMT_ENC_DICT, 4, {4, true, false}, "", 0, 1, SHARD_EUNSUPPORTED},
    };
    uint8_t back[64];

    for (size_t i = 0; i < BASE_ARRAY_LEN(cases); i++)
        ck_assert_msg(decode((const uint8_t *)cases[i].bytes, cases[i].len, cases[i].encoding,
                             cases[i].stored, cases[i].kind, cases[i].n, back) == cases[i].status,
                      "case %zu", i);
}
END_TEST

/* Whatever the bytes are, there is a status and nothing else; ASan and UBSan are the judges. */
START_TEST(test_random_bytes_do_no_harm)
{
    uint8_t data[600], *back = malloc(3000 * 8);
    uint64_t st = 99;

    ck_assert_ptr_nonnull(back);
    for (int round = 0; round < 200000; round++) {
        const uint64_t x = test_random(&st);
        const struct fmt_ints_kind k = kinds[x % BASE_ARRAY_LEN(kinds)];
        const size_t len = x >> 8 & 255, n = x >> 20 & 1 ? len : (x >> 24) % 3000;

        for (size_t i = 0; i < len; i++)
            data[i] = (uint8_t)(test_random(&st) % (x >> 62 ? 256 : 9));
        (void)decode(data, len, x >> 40 & 7, x >> 50 & 1 ? k.size : x >> 52 & 15, k, n, back);
    }
    free(back);
}
END_TEST

static Suite *
suite(void)
{
    Suite *s = suite_create("ints");
    TCase *tc = tcase_create("ints");

    tcase_add_loop_test(tc, test_every_encoding_gives_values_back, 0, (int)BASE_ARRAY_LEN(kinds));
    tcase_add_loop_test(tc, test_ranges, 0, 8);
    tcase_add_test(tc, test_nothing_is_no_bytes);
    tcase_add_test(tc, test_bytes_are_as_specified);
    tcase_add_test(tc, test_long_runs_are_several);
    tcase_add_test(tc, test_what_does_not_fit_is_refused);
    tcase_add_test(tc, test_random_bytes_do_no_harm);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(s, tc);
    return s;
}

int
main(void)
{
    return test_run(suite());
}
