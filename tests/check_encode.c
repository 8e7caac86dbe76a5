/* Property tests: whatever is encoded comes back, for every type, with and without nulls, for
 * lengths around the sizes of bytes and blocks, several distributions, and every kind of option. */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/compiler.h"
#include "lib/cursor.h"
#include "shardfmt/bits.h"
#include "shardfmt/bitpack.h"
#include "shardfmt/dict.h"
#include "tests/fmt_util.h"
#include "tests/random.h"
#include "tests/shard_util.h"
#include "tests/suite.h"

enum shape { CONSTANT, FEW, SMALL, RANDOM, EXTREME, SORTED, SKEWED, N_SHAPES };
static const char *const shape_names[] = {"constant", "few",    "small", "random",
                                          "extreme",  "sorted", "skewed"};
static const uint32_t lengths[] = {0, 1, 8, 9, 65, 1023, 1024, 1025, 5000};
static const char *const types[] = {
    "bool",         "int8",          "int16",         "int32",         "int64",
    "uint8",        "uint16",        "uint32",        "uint64",        "float32",
    "float64",      "string",        "binary",        "list<int8>",    "list<uint16>",
    "list<int32>",  "list<float64>", "list<uint64>",  "sparse<float32>", "sparse<int64>",
    "float16",      "bfloat16",      "timestamp[s]",  "timestamp[ns]", "list<float16>",
    "sparse<bfloat16>", "tensor<float32,2,3>", "tensor<uint8,5>", "tensor<bfloat16,1>",
    "tensor<int64,3,3,3>", "list<string>",
};

static uint64_t
number(uint64_t *st, enum shape shape, uint64_t row)
{
    switch (shape) {
    case CONSTANT:
        return UINT64_C(0x8123456789abcdef);
    case FEW:
        return UINT64_C(0xfedcba9876543210) * (1 + test_random(st) % 5);
    case SMALL:
        return 1000 + test_random(st) % 100;
    case EXTREME:
        return test_random(st) % 2 ? UINT64_C(0x8000000000000000)
                                       : UINT64_C(0x7fffffffffffffff);
    case SORTED:
        return row * 3 - 5;
    case SKEWED:
        return test_random(st) % 50 ? 0 : test_random(st);
    default:
        return test_random(st);
    }
}

static int
append_list(struct fmt_column *c, uint64_t *st, enum shape shape, uint64_t row)
{
    uint32_t indices[40], at = 0;
    uint64_t values[40];
    const size_t n = shape == CONSTANT ? 3 : test_random(st) % BASE_ARRAY_LEN(values);
    const size_t size = shard_type_size(c->elem);

    for (size_t i = 0; i < n; i++) {
        const uint64_t v = number(st, shape, row + i);

        memcpy((uint8_t *)values + i * size, &v, size);
        at += 1 + (uint32_t)(test_random(st) % 1000);
        indices[i] = at;
    }
    return c->type == SHARD_TYPE_SPARSE ? fmt_column_append_sparse(c, indices, values, n)
                                        : fmt_column_append_list(c, values, n);
}

static int
append_tensor(struct fmt_column *c, uint64_t *st, enum shape shape, uint64_t row)
{
    uint64_t values[27];

    ck_assert_uint_le(c->width, BASE_ARRAY_LEN(values));
    for (uint32_t i = 0; i < c->width; i++)
        memcpy((uint8_t *)values + i * c->is.size, &(uint64_t){number(st, shape, row + i)},
               c->is.size);
    return fmt_column_append_tensor(c, values);
}

static int
append_strings(struct fmt_column *c, uint64_t *st, enum shape shape, uint64_t row)
{
    const size_t n = shape == CONSTANT ? 2 : test_random(st) % 7;
    uint32_t lens[6];
    char text[6 * 40];
    size_t len = 0;

    for (size_t i = 0; i < n; i++) {
        const uint64_t v = number(st, shape, row + i);

        lens[i] = (uint32_t)(v % 40);
        memset(text + len, 'a' + (int)(v % 26), lens[i]);
        len += lens[i];
    }
    return fmt_column_append_strings(c, text, lens, n);
}

static int
append_value(struct fmt_column *c, uint64_t *st, enum shape shape, uint64_t row)
{
    char text[300];
    uint64_t v = number(st, shape, row);
    size_t len;

    switch (c->type) {
    case SHARD_TYPE_BOOL:
        return fmt_column_append_bool(c, shape == CONSTANT || v % 3 == 0);
    case SHARD_TYPE_STRING:
    case SHARD_TYPE_BINARY:
        memset(text, 'a' + (int)(v % 26), sizeof(text));
        len = shape == RANDOM ? v % sizeof(text) : v % 40;
        for (size_t i = 0; i + 8 <= len && shape == RANDOM; i += 8)
            memcpy(text + i, &(uint64_t){test_random(st)}, 8);
        return fmt_column_append_bytes(c, text, len);
    case SHARD_TYPE_TENSOR:
        return append_tensor(c, st, shape, row);
    case SHARD_TYPE_LIST:
    case SHARD_TYPE_SPARSE:
        return c->elem == SHARD_TYPE_STRING ? append_strings(c, st, shape, row)
                                            : append_list(c, st, shape, row);
    default:
        return fmt_column_append_number(c, &v);
    }
}

/* nulls: 0 none, 1 some, in every other 500 rows few, 2 all. */
static void
fill(struct fmt_column *c, uint32_t n, enum shape shape, int nulls, uint64_t seed)
{
    uint64_t st = seed;

    for (uint32_t i = 0; i < n; i++) {
        const bool null = nulls == 2 || (nulls == 1 && test_random(&st) % (i / 500 % 2 ? 300 : 4) == 0);

        ck_assert_int_eq(null ? fmt_column_append_null(c) : append_value(c, &st, shape, i), 0);
    }
}

static const struct fmt_encode_opts all_opts[] = {
    {.zstd_level = 0},
    {.zstd_level = 3},
    {.zstd_level = 1, .page_bytes = 4096},
    {.zstd_level = 0, .page_bytes = 4096},
    {.zstd_level = 3, .plain_only = true},
    {.zstd_level = 0, .plain_only = true},
};

/* Row group g of a file equals array a. */
static void
check_group(const struct fmt_footer *f, const struct base_buf *file, uint32_t g,
            const struct shard_array *a, struct base_codec *codec, struct fmt_decoded *d,
            const char *what)
{
    struct shard_error err = {0};
    struct shard_array b;
    uint64_t row = 0;

    ck_assert_msg(shard_util_decode(f, file, g, 0, codec, d, &b, &err) == 0, "%s: %s", what,
                  err.text);
    ck_assert_msg(a->n_rows == b.n_rows && a->n_nulls == b.n_nulls && a->n_values == b.n_values,
                  "%s, group %u: counts", what, g);
    ck_assert_msg(fmt_util_equal(a, 0, &b, 0, a->n_rows, &row), "%s, group %u: row %lu", what, g,
                  (unsigned long)row);
    ck_assert_msg((uintptr_t)b.values % 64 == 0 && (uintptr_t)b.offsets % 64 == 0 &&
                      (uintptr_t)b.validity % 64 == 0 && (uintptr_t)b.indices % 64 == 0 &&
                      (uintptr_t)b.elem_offsets % 64 == 0,
                  "%s, group %u: alignment", what, g);
}

/* A fresh decoder stays within the bound that the footer gives. */
static void
check_bound(const struct fmt_footer *f, const struct base_buf *file, uint32_t g,
            struct base_codec *codec, const char *what)
{
    struct fmt_decoded *d = NULL;
    struct shard_array b;

    ck_assert_int_eq(fmt_decoded_new(&d), 0);
    ck_assert_int_eq(shard_util_decode(f, file, g, 0, codec, d, &b, NULL), 0);
    ck_assert_msg(fmt_decoded_memory(d) <= fmt_chunk_decoded_bound(f, g, 0),
                  "%s, group %u: %lu bytes, bound %lu", what, g,
                  (unsigned long)fmt_decoded_memory(d),
                  (unsigned long)fmt_chunk_decoded_bound(f, g, 0));
    fmt_decoded_free(d);
}

/* Row groups of one column through a file and back. */
static void
round_trip(const struct shard_field *field, const struct shard_array *groups, uint32_t n_groups,
           const struct fmt_encode_opts *opts, const char *what)
{
    struct fmt_shard_info info = {0};
    struct shard_error err = {0};
    struct fmt_footer *f = NULL;
    struct fmt_decoded *d = NULL;
    struct base_codec *codec = NULL;
    struct base_buf file = {0};
    struct fmt_schema s;

    fmt_schema_init(&s);
    ck_assert_int_eq(fmt_schema_add_field(&s, field), 0);
    ck_assert_msg(shard_util_write(&s, opts, groups, n_groups, &file, &info, &err) == 0, "%s: %s",
                  what, err.text);
    ck_assert_msg(shard_util_load(file.data, file.len, info.footer_bytes, &f, &err) == 0, "%s: %s",
                  what, err.text);
    ck_assert(base_hash128_eq(f->hash, info.hash));
    ck_assert(fmt_schema_equal(&f->schema, &s));
    ck_assert_int_eq(fmt_decoded_new(&d), 0);
    ck_assert_int_eq(base_codec_new(&codec), 0);
    for (uint32_t g = 0; g < n_groups; g++) {
        const uint64_t after = fmt_decoded_after(d, f, g, 0, false);

        check_group(f, &file, g, &groups[g], codec, d, what);
        ck_assert_msg(fmt_decoded_memory(d) <= after, "%s, group %u: %lu bytes, bound %lu", what, g,
                      (unsigned long)fmt_decoded_memory(d), (unsigned long)after);
        check_bound(f, &file, g, codec, what);
        ck_assert_uint_eq(info.group_rows[g], groups[g].n_rows);
    }
    fmt_decoded_free(d);
    base_codec_free(codec);
    fmt_footer_free(f);
    free(info.group_rows);
    base_buf_done(&file);
    fmt_schema_done(&s);
}

/* Many strings in a row, and a dictionary of more of them than there are rows. */
START_TEST(test_dictionary_of_more_strings_than_rows)
{
    const struct shard_field f = {.name = "tags", .type = SHARD_TYPE_LIST, .elem = SHARD_TYPE_STRING};
    struct fmt_column_opts dict = FMT_COLUMN_DEFAULT;
    struct fmt_encode_opts opts = {.zstd_level = 3, .columns = &dict};
    struct fmt_column c;
    struct shard_array a;
    uint64_t st = 3;

    dict.encoding = FMT_ENC_DICT;
    fmt_column_init_field(&c, &f);
    for (uint32_t row = 0; row < 1000; row++) {
        uint32_t lens[50];
        char text[50 * 5 + 1];

        for (size_t i = 0; i < 50; i++) {
            lens[i] = 5;
            (void)snprintf(text + 5 * i, 6, "%05u", (unsigned)(test_random(&st) % 20000));
        }
        ck_assert_int_eq(fmt_column_append_strings(&c, text, lens, 50), 0);
    }
    fmt_column_array(&c, &a);
    round_trip(&f, &a, 1, &opts, "tags");
    fmt_column_done(&c);
}
END_TEST

static void
round_trips(const char *type, enum shape shape, int nulls)
{
    struct fmt_column c[BASE_ARRAY_LEN(lengths)];
    struct shard_array groups[BASE_ARRAY_LEN(lengths)];
    struct shard_error err;
    struct shard_field f = {.name = "col"};
    char what[128];

    ck_assert_int_eq(fmt_type_parse(type, &f, &err), 0);
    f.nullable = nulls != 0;
    for (size_t i = 0; i < BASE_ARRAY_LEN(lengths); i++) {
        fmt_column_init_field(&c[i], &f);
        fill(&c[i], lengths[i], shape, nulls, 1 + lengths[i] + 100 * (uint64_t)shape);
        fmt_column_array(&c[i], &groups[i]);
    }
    for (size_t o = 0; o < BASE_ARRAY_LEN(all_opts); o++) {
        (void)snprintf(what, sizeof(what), "%s, %s, nulls %d, options %zu", type,
                       shape_names[shape], nulls, o);
        round_trip(&f, groups, BASE_ARRAY_LEN(lengths), &all_opts[o], what);
    }
    for (size_t i = 0; i < BASE_ARRAY_LEN(lengths); i++)
        fmt_column_done(&c[i]);
}

START_TEST(test_encoded_comes_back)
{
    const char *type = types[_i];

    for (int shape = 0; shape < N_SHAPES; shape++)
        for (int nulls = 0; nulls < 3; nulls++)
            round_trips(type, (enum shape)shape, nulls);
}
END_TEST

/* ------------------------------------------------------------------------------- bit packing */

static void
check_for(const void *values, size_t size, bool is_signed, size_t n, size_t expect_len)
{
    const size_t len = fmt_for_size(values, size, is_signed, n);
    uint8_t *packed = malloc(len + 1), *back = malloc(n * size + 1), *p = back;
    struct fmt_for_reader r;
    struct shard_error err;

    if (expect_len)
        ck_assert_uint_eq(len, expect_len);
    fmt_for_encode(values, size, is_signed, n, packed);
    ck_assert_int_eq(fmt_for_open(&r, packed, len, size, n, &err), 0);
    while (r.left) {
        const int k = fmt_for_next(&r, p, &err);

        ck_assert_int_gt(k, 0);
        p += (size_t)k * size;
    }
    ck_assert_mem_eq(back, values, n * size);
    /* One byte less or more is noticed. */
    for (int more = -1; more <= 1 && n; more += 2) {
        int k = fmt_for_open(&r, packed, len + (size_t)more, size, n, &err);

        for (p = back; k >= 0 && r.left; p += k > 0 ? (size_t)k * size : 0)
            k = fmt_for_next(&r, p, &err);
        ck_assert_int_eq(k, SHARD_ECORRUPT);
    }
    free(packed);
    free(back);
}

START_TEST(test_every_width_packs)
{
    static const size_t sizes[] = {1, 2, 4, 8};
    static const size_t counts[] = {1, 31, 1023, 1024, 1025, 3000};
    uint64_t st = 7;

    for (size_t s = 0; s < BASE_ARRAY_LEN(sizes); s++) {
        for (unsigned w = 0; w <= 8 * sizes[s]; w++) {
            for (size_t k = 0; k < BASE_ARRAY_LEN(counts); k++) {
                uint8_t values[3000 * 8];
                const uint64_t mask = w ? ~UINT64_C(0) >> (64 - w) : 0;
                const uint64_t base = test_random(&st) & (~UINT64_C(0) >> (64 - 8 * sizes[s]));

                for (size_t i = 0; i < counts[k]; i++) {
                    const uint64_t v = base + (test_random(&st) & mask);

                    memcpy(values + i * sizes[s], &v, sizes[s]);
                }
                check_for(values, sizes[s], false, counts[k], 0);
                check_for(values, sizes[s], true, counts[k], 0);
            }
        }
    }
}
END_TEST

/* The layout of docs/format.md, computed bit by bit: value i of a whole block of 32-bit lanes is at
 * bit (i / 32) * w of lane i % 32, whose word k is word 32 k + lane. */
START_TEST(test_packed_layout_is_as_specified)
{
    uint8_t packed[1 + 8 + 128 * 64];
    uint64_t values[1024], st = 3;

    for (unsigned w = 1; w <= 64; w++) {
        const unsigned bits = w <= 32 ? 32 : 64, lanes = 1024 / bits;

        for (int i = 0; i < 1024; i++)
            values[i] = test_random(&st) & (~UINT64_C(0) >> (64 - w));
        values[0] = 0; /* the base */
        values[1] = ~UINT64_C(0) >> (64 - w);
        ck_assert_uint_eq(fmt_for_size(values, 8, false, 1024), 1 + 8 + 128 * w);
        fmt_for_encode(values, 8, false, 1024, packed);
        ck_assert_uint_eq(packed[0], w);
        for (unsigned i = 0; i < 1024; i++) {
            uint64_t v = 0;

            for (unsigned b = 0; b < w; b++) {
                const unsigned at = i / lanes * w + b, word = at / bits * lanes + i % lanes;
                const size_t bit = (size_t)word * bits + at % bits;

                v |= (uint64_t)fmt_bits_get(packed + 9, bit) << b;
            }
            ck_assert_uint_eq(v, values[i]);
        }
    }
    /* The last block is one string of bits. Checked by hand: base 10, width 3, values 0 5 7 2. */
    {
        static const uint8_t in[] = {10, 15, 17, 12}, expect[] = {3, 10, 0xe8, 0x05};

        ck_assert_uint_eq(fmt_for_size(in, 1, false, 4), sizeof(expect));
        fmt_for_encode(in, 1, false, 4, packed);
        ck_assert_mem_eq(packed, expect, sizeof(expect));
    }
}
END_TEST

/* ------------------------------------------------------------------------------- dictionaries */

START_TEST(test_dictionary_keeps_order_of_appearance)
{
    static const int32_t values[] = {7, 7, -1, 7, 3, -1};
    static const uint32_t codes[] = {0, 0, 1, 0, 2, 1};
    static const int32_t entries[] = {7, -1, 3};
    struct fmt_dict d = {0};

    ck_assert_int_eq(fmt_dict_numbers(&d, values, 4, 6, 3), 1);
    ck_assert_uint_eq(d.n, 3);
    ck_assert_mem_eq(d.codes.data, codes, sizeof(codes));
    ck_assert_mem_eq(d.values.data, entries, sizeof(entries));
    ck_assert_int_eq(fmt_dict_numbers(&d, values, 4, 6, 2), 0);
    fmt_dict_done(&d);
}
END_TEST

/* -------------------------------------------------------------------------------- the choice */

static uint32_t
encodings_of(const struct fmt_column *col, const struct fmt_encode_opts *opts)
{
    struct shard_error err;
    struct fmt_image *im = NULL;
    struct base_codec *codec = NULL;
    struct shard_array a;
    struct fmt_schema s;
    uint32_t used;

    fmt_schema_init(&s);
    ck_assert_int_eq(fmt_schema_add(&s, "c", col->type, col->elem, true, 0), 0);
    ck_assert_int_eq(base_codec_new(&codec), 0);
    fmt_column_array(col, &a);
    ck_assert_int_eq(fmt_image_encode(&s, &a, opts, codec, &im, &err), 0);
    used = im->encodings[0];
    fmt_image_free(im);
    base_codec_free(codec);
    fmt_schema_done(&s);
    return used;
}

START_TEST(test_choice_fits_the_values)
{
    static const struct {
        const char *type;
        enum shape shape;
        uint32_t want;
    } cases[] = {
        {"int64", CONSTANT, 1u << FMT_ENC_CONST}, {"int64", FEW, 1u << FMT_ENC_DICT},
        {"int64", SMALL, 1u << FMT_ENC_FOR},      {"int64", RANDOM, 1u << FMT_ENC_PLAIN},
        {"int64", EXTREME, 1u << FMT_ENC_DICT},   {"float64", FEW, 1u << FMT_ENC_DICT},
        {"float64", RANDOM, 1u << FMT_ENC_PLAIN}, {"string", FEW, 1u << FMT_ENC_DICT},
        {"string", RANDOM, 1u << FMT_ENC_PLAIN},  {"bool", CONSTANT, 1u << FMT_ENC_CONST},
    };

    for (size_t i = 0; i < BASE_ARRAY_LEN(cases); i++) {
        const struct fmt_encode_opts plain = {.plain_only = true}, none = {.zstd_level = 0};
        struct shard_field f;
        struct fmt_column c;

        ck_assert_int_eq(fmt_type_parse(cases[i].type, &f, NULL), 0);
        fmt_column_init_field(&c, &f);
        fill(&c, 20000, cases[i].shape, 0, 5);
        ck_assert_msg(encodings_of(&c, &none) & cases[i].want, "%s %s", cases[i].type,
                      shape_names[cases[i].shape]);
        ck_assert_uint_eq(encodings_of(&c, &plain), 1u << FMT_ENC_PLAIN);
        fmt_column_done(&c);
    }
}
END_TEST

static Suite *
suite(void)
{
    Suite *s = suite_create("encode");
    TCase *tc = tcase_create("round trips");

    tcase_add_loop_test(tc, test_encoded_comes_back, 0, (int)BASE_ARRAY_LEN(types));
    tcase_add_test(tc, test_dictionary_of_more_strings_than_rows);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(s, tc);
    tc = tcase_create("parts");
    tcase_add_test(tc, test_every_width_packs);
    tcase_add_test(tc, test_packed_layout_is_as_specified);
    tcase_add_test(tc, test_dictionary_keeps_order_of_appearance);
    tcase_add_test(tc, test_choice_fits_the_values);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(s, tc);
    return s;
}

int
main(void)
{
    return test_run(suite());
}
