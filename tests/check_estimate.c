/* The estimate of what zstd makes of some bytes: near to what it does make, and the same whatever was
 * estimated before. */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/codec.h"
#include "lib/compiler.h"
#include "shardfmt/estimate.h"
#include "tests/random.h"
#include "tests/suite.h"

#define LEN 16384u

enum shape { NOISE, SAME, WORDS, HEX, NARROW, SKEWED, RISING, RUNS, RECORDS, PERIOD, N_SHAPES };
static const char *const names[] = {"noise",  "same",   "words", "hex",     "narrow",
                                    "skewed", "rising", "runs",  "records", "period"};

static void
make(uint8_t *dst, size_t len, enum shape shape)
{
    uint64_t st = (uint64_t)shape + 1;
    uint32_t v = 0;
    size_t i = 0;

    while (i < len) {
        const uint64_t x = test_random(&st);
        char text[32];
        size_t n;

        switch (shape) {
        case NOISE:
            memcpy(text, &x, n = 8);
            break;
        case SAME:
            memset(text, 7, n = 8);
            break;
        case WORDS: /* 1 of 700, some much more often, of 2 to 9 letters */
            n = 0;
            for (uint64_t y = x % 30 * (x >> 32 & 31) * 0x9e3779b97f4a7c15u, k = 2 + (y >> 60) / 2; k; k--)
                text[n++] = (char)('a' + (y >> 4 * k) % 26);
            text[n++] = ' ';
            break;
        case HEX:
            n = (size_t)snprintf(text, sizeof(text), "%016llx", (unsigned long long)x);
            break;
        case NARROW: /* 4 bytes each, of which one says something */
            v = (uint32_t)(x % 200);
            memcpy(text, &v, n = 4);
            break;
        case SKEWED:
            text[0] = (char)__builtin_ctzll(x | 1ull << 40);
            n = 1;
            break;
        case RISING:
            v += (uint32_t)(x % 50);
            memcpy(text, &v, n = 4);
            break;
        case RUNS:
            memset(text, (int)(x % 5), n = 1 + (x >> 32) % 30);
            break;
        case RECORDS: /* two constants, a few values, noise */
            memcpy(text, "id=", 3);
            text[3] = (char)('0' + x % 10);
            memcpy(text + 4, ";value=", 7);
            memcpy(text + 11, &x, n = 3);
            n += 11;
            break;
        default:
            memcpy(text, &(const uint64_t){0x0102030405060708u * (i % 96 / 8 + 1)}, n = 8);
            break;
        }
        n = BASE_MIN(n, len - i);
        memcpy(dst + i, text, n);
        i += n;
    }
}

START_TEST(test_near_to_zstd)
{
    struct fmt_estimator *e = calloc(1, sizeof(*e));
    const size_t cap = base_codec_bound(LEN);
    uint8_t *data = malloc(LEN), *out = malloc(cap);
    struct base_codec *codec;

    ck_assert(e && data && out && base_codec_new(&codec) == 0);
    for (size_t len = 512; len <= LEN; len *= 2)
        for (int shape = 0; shape < N_SHAPES; shape++) {
            int64_t zstd, got;

            make(data, len, (enum shape)shape);
            zstd = base_codec_compress(codec, 1, out, cap, data, len);
            ck_assert_int_gt(zstd, 0);
            zstd = BASE_MIN(zstd, (int64_t)len);
            got = (int64_t)fmt_estimate(e, data, len);
            ck_assert_msg(got <= (int64_t)len && llabs(got - zstd) <= zstd / 6 + 24,
                          "%s, %zu bytes: %lld, zstd makes %lld", names[shape], len, (long long)got,
                          (long long)zstd);
        }
    base_codec_free(codec);
    free(data);
    free(out);
    free(e);
}
END_TEST

START_TEST(test_nothing_is_remembered)
{
    struct fmt_estimator *fresh = calloc(1, sizeof(*fresh)), *used = calloc(1, sizeof(*used));
    uint8_t *data = malloc(LEN);

    ck_assert(fresh && used && data);
    for (int shape = 0; shape < N_SHAPES; shape++) {
        make(data, LEN, (enum shape)shape);
        memset(fresh, 0, sizeof(*fresh));
        for (int i = 0; i < 2; i++)
            ck_assert_uint_eq(fmt_estimate(used, data, LEN), fmt_estimate(fresh, data, LEN));
        used->begun = UINT32_MAX - LEN / 2; /* positions begin anew */
    }
    free(data);
    free(fresh);
    free(used);
}
END_TEST

/* Every length up to some, in memory that ends there. */
START_TEST(test_short)
{
    struct fmt_estimator *e = calloc(1, sizeof(*e));

    ck_assert_ptr_nonnull(e);
    for (size_t len = 0; len < 200; len++) {
        uint8_t *data = malloc(len + 1);

        ck_assert_ptr_nonnull(data);
        for (int shape = 0; shape < N_SHAPES; shape++) {
            make(data + 1, len, (enum shape)shape);
            ck_assert_uint_le(fmt_estimate(e, data + 1, len), len);
        }
        free(data);
    }
    free(e);
}
END_TEST

static Suite *
suite(void)
{
    Suite *s = suite_create("estimate");
    TCase *tc = tcase_create("estimate");

    tcase_add_test(tc, test_near_to_zstd);
    tcase_add_test(tc, test_nothing_is_remembered);
    tcase_add_test(tc, test_short);
    suite_add_tcase(s, tc);
    return s;
}

int
main(void)
{
    return test_run(suite());
}
