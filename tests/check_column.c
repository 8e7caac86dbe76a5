/* Schemas, columns being built, and row hashes. */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/compiler.h"
#include "shardfmt/bits.h"
#include "shardfmt/column.h"
#include "shardfmt/rowhash.h"
#include "tests/fmt_util.h"
#include "tests/random.h"
#include "tests/suite.h"

/* ------------------------------------------------------------------------------------ schemas */

START_TEST(test_type_names_go_both_ways)
{
    static const char *const names[] = {
        "bool", "int8", "uint64?", "float32", "string", "binary", "list<float64>",
        "sparse<float32>?", "float16", "bfloat16?", "list<bfloat16>", "list<string>?",
        "timestamp[s]", "timestamp[ms]?", "timestamp[us]", "timestamp[ns]", "tensor<uint8,28,28>",
        "tensor<float16,1,2,3,4,5,6,7,8>?", "tensor<uint8,2147483647>"};

    for (size_t i = 0; i < BASE_ARRAY_LEN(names); i++) {
        struct shard_field f = {.name = "x"};
        char text[SHARD_TYPE_NAME_MAX];

        ck_assert_int_eq(fmt_type_parse(names[i], &f, NULL), 0);
        ck_assert_str_eq(shard_field_type_name(&f, text), names[i]);
    }
}
END_TEST

START_TEST(test_type_names_have_parameters)
{
    struct shard_field f = {.name = "x"};
    char text[SHARD_TYPE_NAME_MAX];

    ck_assert_int_eq(fmt_type_parse("tensor<int16, 3, 5>?", &f, NULL), 0);
    ck_assert_int_eq(f.type, SHARD_TYPE_TENSOR);
    ck_assert_int_eq(f.elem, SHARD_TYPE_INT16);
    ck_assert(f.nullable && f.n_dims == 2 && f.dims[0] == 3 && f.dims[1] == 5);
    ck_assert_uint_eq(fmt_field_width(&f), 15);
    ck_assert_int_eq(fmt_type_parse("timestamp", &f, NULL), 0);
    ck_assert_int_eq(f.unit, SHARD_UNIT_US);
    ck_assert(f.n_dims == 0 && !f.nullable);
    ck_assert_str_eq(shard_field_type_name(&f, text), "timestamp[us]");
}
END_TEST

/* What a reader does not understand of parameters it keeps, for that column alone. */
START_TEST(test_parameters_that_cannot_be_are_kept)
{
    static const struct {
        enum shard_type type, elem;
        uint8_t params[12];
        uint32_t len;
    } cases[] = {
        {SHARD_TYPE_TIMESTAMP, 0, {4}, 1},
        {SHARD_TYPE_TIMESTAMP, 0, {2, 0}, 2},
        {SHARD_TYPE_TIMESTAMP, 0, {0}, 0},
        {SHARD_TYPE_INT8, 0, {0}, 1},
        {SHARD_TYPE_TENSOR, SHARD_TYPE_INT8, {0, 0, 0, 0}, 4},
        {SHARD_TYPE_TENSOR, SHARD_TYPE_INT8, {1, 0, 0, 0, 0, 0, 0, 0}, 8},            /* of 0 */
        {SHARD_TYPE_TENSOR, SHARD_TYPE_INT8, {2, 0, 0, 0, 5, 0, 0, 0}, 8},            /* one short */
        {SHARD_TYPE_TENSOR, SHARD_TYPE_INT8, {1, 1, 0, 0, 5, 0, 0, 0}, 8},            /* reserved */
        {SHARD_TYPE_TENSOR, SHARD_TYPE_INT16, {1, 0, 0, 0, 0, 0, 0, 0x40}, 8},        /* 2 GiB */
        {SHARD_TYPE_TENSOR, SHARD_TYPE_INT8, {2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0}, 12}, /* 2^32 */
        {SHARD_TYPE_TENSOR, SHARD_TYPE_STRING, {1, 0, 0, 0, 2, 0, 0, 0}, 8},
        {(enum shard_type)77, SHARD_TYPE_INT8, {1, 2, 3}, 3},
        {(enum shard_type)77, 0, {0}, 0},
    };

    for (size_t i = 0; i < BASE_ARRAY_LEN(cases); i++) {
        struct shard_field f = {.name = "x", .type = cases[i].type, .elem = cases[i].elem};
        uint8_t out[12];

        fmt_params_read(&f, cases[i].params, cases[i].len);
        ck_assert_msg(fmt_field_type(&f).kind == FMT_KIND_UNKNOWN, "case %zu", i);
        ck_assert_uint_eq(fmt_params_len(&f), cases[i].len);
        fmt_params_write(&f, out);
        ck_assert_int_eq(memcmp(out, cases[i].params, cases[i].len), 0);
    }
}
END_TEST

START_TEST(test_refuses_what_is_no_type)
{
    static const char *const names[] = {"",           "int",          "list",       "list<>",
                                        "list<list>", "list<bool>",   "int32??",    "list<int32",
                                        "int32<int>", "?",            "list<int8>x",
                                        "sparse<string>", "tensor", "tensor<int8>",
                                        "tensor<int8,0>", "tensor<int8,-1>", "tensor<string,2>",
                                        "tensor<int8,1,1,1,1,1,1,1,1,1>", "tensor<int8,2",
                                        "tensor<int16,1073741824>", "tensor<int8,65536,65536>",
                                        "tensor<int8,4294967297>", "timestamp[", "timestamp[]",
                                        "timestamp[ps]", "timestamp[s", "timestamp<s>",
                                        "list<timestamp>", "list<timestamp[s]>", "int8[s]"};

    for (size_t i = 0; i < BASE_ARRAY_LEN(names); i++) {
        struct shard_error err = {0};
        struct shard_field f;

        ck_assert_int_eq(fmt_type_parse(names[i], &f, &err), SHARD_EPARSE);
        ck_assert(err.text[0] != '\0');
    }
}
END_TEST

START_TEST(test_schema_finds_copies_and_sees_doubles)
{
    struct fmt_schema s, t;
    char name[16];

    fmt_schema_init(&s);
    for (int i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof(name), "c%d", i);
        ck_assert_int_eq(fmt_schema_add(&s, name, SHARD_TYPE_INT8, 0, i % 2, (uint32_t)i), 0);
    }
    ck_assert_int_eq(fmt_schema_find(&s, "c42"), 42);
    ck_assert_int_eq(fmt_schema_find(&s, "c100"), -1);
    ck_assert_int_eq(fmt_schema_find_double(&s), -1);
    ck_assert_int_eq(fmt_schema_copy(&t, &s), 0);
    ck_assert(fmt_schema_equal(&s, &t));
    ck_assert_int_eq(fmt_schema_add(&t, "c7", SHARD_TYPE_LIST, SHARD_TYPE_INT8, false, 0), 0);
    ck_assert(!fmt_schema_equal(&s, &t));
    ck_assert_int_eq(fmt_schema_find_double(&t), 100);
    ck_assert_int_eq(fmt_schema_add(&t, "x", SHARD_TYPE_SPARSE, SHARD_TYPE_STRING, false, 0), -EINVAL);
    ck_assert_int_eq(fmt_schema_add(&t, "x", SHARD_TYPE_INT8, SHARD_TYPE_INT8, false, 0), -EINVAL);
    ck_assert_int_eq(fmt_schema_add(&t, "x", (enum shard_type)99, 0, false, 0), -EINVAL);
    fmt_schema_done(&s);
    fmt_schema_done(&t);
}
END_TEST

/* --------------------------------------------------------------------------------------- bits */

START_TEST(test_bits_append_at_any_place)
{
    uint8_t src[40], dst[40], expect[40];
    uint64_t st = (uint64_t)_i;

    for (size_t i = 0; i < sizeof(src); i++)
        src[i] = (uint8_t)test_random(&st);
    for (uint64_t at = 0; at < 20; at++)
        for (uint64_t n = 0; n < 150; n += 1 + n / 10) {
            const uint64_t from = test_random(&st) % 100;

            memset(dst, 0xff, sizeof(dst));
            memset(dst, 0, fmt_bits_bytes(at));
            memset(expect, 0, sizeof(expect));
            for (uint64_t i = 0; i < n; i++)
                expect[(at + i) / 8] |= (uint8_t)(fmt_bits_get(src, from + i) << (at + i) % 8);
            fmt_bits_append(dst, at, src, from, n);
            ck_assert_mem_eq(dst, expect, fmt_bits_bytes(at + n));
            ck_assert_uint_eq(fmt_bits_count(dst, at, n), fmt_bits_count(src, from, n));
            memset(dst, 0, sizeof(dst));
            fmt_bits_append_same(dst, at, true, n);
            ck_assert_uint_eq(fmt_bits_count(dst, 0, 300), n);
            ck_assert_uint_eq(fmt_bits_count(dst, at, n), n);
        }
}
END_TEST

/* At every place of a buffer that ends where the bits do (a sanitizer sees what is read behind it). */
START_TEST(test_bits_of_a_word)
{
    for (size_t len = 1; len <= 20; len++) {
        uint8_t *bits = malloc(len);
        uint64_t st = len;

        ck_assert_ptr_nonnull(bits);
        for (size_t i = 0; i < len; i++)
            bits[i] = (uint8_t)test_random(&st);
        for (uint64_t from = 0; from < 8 * len; from++)
            for (uint64_t n = 0; n <= 64 && from + n <= 8 * len; n++) {
                uint64_t expect = 0;

                for (uint64_t i = 0; i < n; i++)
                    expect |= (uint64_t)fmt_bits_get(bits, from + i) << i;
                ck_assert_uint_eq(fmt_bits_word(bits, from, n), expect);
            }
        free(bits);
    }
}
END_TEST

/* ------------------------------------------------------------------------------------ columns */

static const char *const types = "a:bool?,b:int8,c:uint16?,d:int32,e:float64?,f:string?,g:binary,"
                                 "h:list<int16>?,i:sparse<float32>?,j:string,k:uint64,l:float16?,"
                                 "m:timestamp[s],n:tensor<int16,3>?,o:tensor<float64,2,2>,"
                                 "p:list<string>?,q:list<string>";

/* Rows gathered one by one, in runs and by number are the same as rows made in that order. */
START_TEST(test_gather_equals_one_by_one)
{
    struct fmt_schema s;
    uint64_t st = 11, row;
    uint32_t rows[700];

    ck_assert_int_eq(fmt_util_schema(types, &s, NULL), 0);
    for (size_t i = 0; i < BASE_ARRAY_LEN(rows); i++)
        rows[i] = (uint32_t)(test_random(&st) % 1000);
    for (uint32_t c = 0; c < s.n_fields; c++) {
        const struct shard_field *f = &s.fields[c];
        struct fmt_column src, one, many;
        struct shard_array a, b, m;

        fmt_column_init_field(&src, f);
        fmt_column_init_field(&one, f);
        fmt_column_init_field(&many, f);
        ck_assert_int_eq(fmt_util_fill(f, 5, 0, 1000, &src), 0);
        fmt_column_array(&src, &a);
        for (size_t i = 0; i < BASE_ARRAY_LEN(rows); i++) {
            ck_assert_int_eq(fmt_column_append_run(&one, &a, rows[i], 1), 0);
            fmt_column_array(&one, &b);
            if (i % 50 == 0)
                ck_assert(fmt_util_equal(&a, rows[i], &b, i, 1, &row));
        }
        ck_assert_int_eq(fmt_column_append_rows(&many, &a, rows, 3), 0);
        ck_assert_int_eq(fmt_column_append_rows(&many, &a, rows + 3, 0), 0);
        ck_assert_int_eq(fmt_column_append_rows(&many, &a, rows + 3, 697), 0);
        fmt_column_array(&one, &b);
        fmt_column_array(&many, &m);
        ck_assert_uint_eq(m.n_nulls, b.n_nulls);
        ck_assert_uint_eq(m.n_values, b.n_values);
        ck_assert_msg(fmt_util_equal(&b, 0, &m, 0, 700, &row), "%s row %lu", f->name,
                      (unsigned long)row);
        fmt_column_done(&src);
        fmt_column_done(&one);
        fmt_column_done(&many);
    }
    fmt_schema_done(&s);
}
END_TEST

/* Cutting at any row and going on gives what was there before. */
START_TEST(test_truncate_forgets_the_rest)
{
    struct fmt_schema s;

    ck_assert_int_eq(fmt_util_schema(types, &s, NULL), 0);
    for (uint32_t c = 0; c < s.n_fields; c++) {
        const struct shard_field *f = &s.fields[c];
        struct fmt_column all, cut;
        struct shard_array a, b;
        uint64_t row;

        fmt_column_init_field(&all, f);
        fmt_column_init_field(&cut, f);
        ck_assert_int_eq(fmt_util_fill(f, 9, 0, 300, &all), 0);
        fmt_column_array(&all, &a);
        for (uint64_t n = 0; n < 300; n = n * 2 + 1) {
            ck_assert_int_eq(fmt_column_append_run(&cut, &a, cut.n_rows, 300 - cut.n_rows), 0);
            fmt_column_truncate(&cut, n);
            ck_assert_uint_eq(cut.n_rows, n);
            ck_assert_int_eq(fmt_column_append_run(&cut, &a, n, 300 - n), 0);
            fmt_column_array(&cut, &b);
            ck_assert_uint_eq(b.n_nulls, a.n_nulls);
            ck_assert(fmt_util_equal(&a, 0, &b, 0, 300, &row));
            fmt_column_truncate(&cut, n);
        }
        fmt_column_done(&all);
        fmt_column_done(&cut);
    }
    fmt_schema_done(&s);
}
END_TEST

START_TEST(test_empty_column_has_an_offset)
{
    struct fmt_column c;
    struct shard_array a;

    fmt_column_init(&c, SHARD_TYPE_STRING, 0);
    fmt_column_array(&c, &a);
    ck_assert_uint_eq(a.n_rows, 0);
    ck_assert_int_eq(a.offsets[0], 0);
    ck_assert_ptr_nonnull(a.values);
    fmt_column_done(&c);
}
END_TEST

/* 2 GiB in one column are refused, and the column stays as it was. */
START_TEST(test_refuses_more_than_offsets_can_count)
{
    struct fmt_column c;

    fmt_column_init(&c, SHARD_TYPE_BINARY, 0);
    ck_assert_int_eq(fmt_column_append_bytes(&c, "abc", 3), 0);
    ck_assert_int_eq(fmt_column_append_bytes(&c, "", INT32_MAX - 2u), SHARD_ELIMIT);
    ck_assert_uint_eq(c.n_rows, 1);
    ck_assert_uint_eq(c.n_values, 3);
    fmt_column_done(&c);
}
END_TEST

START_TEST(test_raw_bytes_count_values_and_offsets)
{
    struct fmt_column c;
    struct shard_array a;
    static const uint32_t at[] = {1, 5};
    static const float v[] = {1, 2};

    fmt_column_init(&c, SHARD_TYPE_SPARSE, SHARD_TYPE_FLOAT32);
    ck_assert_int_eq(fmt_column_append_sparse(&c, at, v, 2), 0);
    ck_assert_int_eq(fmt_column_append_null(&c), 0);
    fmt_column_array(&c, &a);
    ck_assert_uint_eq(fmt_array_raw_bytes(&a, 0, 2), 2 * 4 + 2 * (4 + 4));
    ck_assert_uint_eq(fmt_array_raw_bytes(&a, 1, 1), 4);
    fmt_column_done(&c);
    fmt_column_init(&c, SHARD_TYPE_BOOL, 0);
    ck_assert_int_eq(fmt_column_append_bool(&c, true), 0);
    fmt_column_array(&c, &a);
    ck_assert_uint_eq(fmt_array_raw_bytes(&a, 0, 1), 1);
    fmt_column_done(&c);
    fmt_column_init(&c, SHARD_TYPE_LIST, SHARD_TYPE_STRING);
    ck_assert_int_eq(fmt_column_append_strings(&c, "abcde", (uint32_t[]){2, 0, 3}, 3), 0);
    ck_assert_int_eq(fmt_column_append_null(&c), 0);
    fmt_column_array(&c, &a);
    ck_assert_uint_eq(fmt_array_raw_bytes(&a, 0, 2), 2 * 4 + 3 * 4 + 5);
    ck_assert_uint_eq(fmt_array_raw_bytes(&a, 1, 1), 4);
    fmt_column_done(&c);
}
END_TEST

/* ----------------------------------------------------------------------------------- row hashes */

/* One row of up to eight columns. */
struct one_row {
    struct fmt_schema s;
    struct fmt_column cols[8];
    struct shard_array arrays[8];
};

static void
one_row_init(struct one_row *r, const char *columns)
{
    ck_assert_int_eq(fmt_util_schema(columns, &r->s, NULL), 0);
    for (uint32_t i = 0; i < r->s.n_fields; i++)
        fmt_column_init_field(&r->cols[i], &r->s.fields[i]);
}

static struct base_hash128
one_row_hash(struct one_row *r)
{
    struct fmt_rowhash *h = NULL;
    struct base_hash128 hash;

    for (uint32_t i = 0; i < r->s.n_fields; i++)
        fmt_column_array(&r->cols[i], &r->arrays[i]);
    ck_assert_int_eq(fmt_rowhash_new(&r->s, NULL, 0, &h), 0);
    fmt_rowhash_rows(h, r->arrays, 0, 1, &hash);
    fmt_rowhash_free(h);
    for (uint32_t i = 0; i < r->s.n_fields; i++)
        fmt_column_done(&r->cols[i]);
    fmt_schema_done(&r->s);
    return hash;
}

static void
expect_hash(struct one_row *r, const char *hex)
{
    char text[BASE_HEX128_LEN + 1];

    base_hex128(one_row_hash(r), text);
    ck_assert_str_eq(text, hex);
}

/* The constants are the output of tests/rowhash_reference.py, which was written from
 * docs/format.md and uses Debian's python3-xxhash. */
START_TEST(test_rowhash_equals_an_independent_one)
{
    uint8_t bytes[1000];
    double big[1000];
    struct one_row r;

    one_row_init(&r, "text:string");
    ck_assert_int_eq(fmt_column_append_bytes(&r.cols[0], "hello", 5), 0);
    expect_hash(&r, "406f2e8affda48d66d950b91ce0668d5");

    one_row_init(&r, "text:string,label:int32?");
    ck_assert_int_eq(fmt_column_append_bytes(&r.cols[0], "hello", 5), 0);
    ck_assert_int_eq(fmt_column_append_number(&r.cols[1], &(int32_t){-7}), 0);
    expect_hash(&r, "407724df5b414566aa95cdd62bf2a594");

    one_row_init(&r, "text:string?,label:int32?");
    ck_assert_int_eq(fmt_column_append_null(&r.cols[0]), 0);
    ck_assert_int_eq(fmt_column_append_null(&r.cols[1]), 0);
    expect_hash(&r, "99aa06d3014798d86001c324468d497f");

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i % 250);
    one_row_init(&r, "b:bool,f:float32,d:float64,u:uint8,x:binary");
    ck_assert_int_eq(fmt_column_append_bool(&r.cols[0], true), 0);
    ck_assert_int_eq(fmt_column_append_number(&r.cols[1], &(float){-0.0f}), 0);
    ck_assert_int_eq(fmt_column_append_number(&r.cols[2], &(double){-nan("77")}), 0);
    ck_assert_int_eq(fmt_column_append_number(&r.cols[3], &(uint8_t){255}), 0);
    ck_assert_int_eq(fmt_column_append_bytes(&r.cols[4], bytes, sizeof(bytes)), 0);
    expect_hash(&r, "9d01dfd55b88b96db6f1982097220be0");

    one_row_init(&r, "l:list<float32>,s:sparse<float64>,t:list<int16>");
    ck_assert_int_eq(
        fmt_column_append_list(&r.cols[0], (float[]){1.5f, -0.0f, nanf("5"), INFINITY}, 4), 0);
    ck_assert_int_eq(fmt_column_append_sparse(&r.cols[1], (uint32_t[]){3, 9},
                                              (double[]){-0.0, 2.25}, 2),
                     0);
    ck_assert_int_eq(fmt_column_append_list(&r.cols[2], (int16_t[]){-1, 2, 300}, 3), 0);
    expect_hash(&r, "db3237a3fc46135613e6765dab966f4d");

    for (int i = 0; i < 1000; i++)
        big[i] = i;
    one_row_init(&r, "big:list<float64>");
    ck_assert_int_eq(fmt_column_append_list(&r.cols[0], big, 1000), 0);
    expect_hash(&r, "d697a3464f8c9b4ee27d81ef410b3497");
}
END_TEST

START_TEST(test_rowhash_of_types_with_parameters)
{
    static const uint16_t floats[] = {0x3c00, 0x8000, 0xfe01, 0x7c00, 0x3400, 0xc000};
    static const char bytes[] = "abcd";
    uint32_t lens[300];
    struct one_row r;
    char text[1000];
    int at = 0;

    one_row_init(&r, "h:float16,b:bfloat16,i:float16,v:float16,w:bfloat16");
    ck_assert_int_eq(fmt_column_append_number(&r.cols[0], &(uint16_t){0x8000}), 0);
    ck_assert_int_eq(fmt_column_append_number(&r.cols[1], &(uint16_t){0xff81}), 0);
    ck_assert_int_eq(fmt_column_append_number(&r.cols[2], &(uint16_t){0x7c01}), 0);
    ck_assert_int_eq(fmt_column_append_number(&r.cols[3], &(uint16_t){0x3800}), 0);
    ck_assert_int_eq(fmt_column_append_number(&r.cols[4], &(uint16_t){0xc040}), 0);
    expect_hash(&r, "084bae755d890823297c4b521ff7d8aa");

    one_row_init(&r, "t:timestamp[ms],u:timestamp[ns]");
    ck_assert_int_eq(fmt_column_append_number(&r.cols[0], &(int64_t){-5}), 0);
    ck_assert_int_eq(fmt_column_append_number(&r.cols[1], &(int64_t){INT64_C(1) << 60}), 0);
    expect_hash(&r, "da1c4514a3ae0d5dc7698242a5e97674");

    one_row_init(&r, "t:timestamp[s]");
    ck_assert_int_eq(fmt_column_append_number(&r.cols[0], &(int64_t){-5}), 0);
    expect_hash(&r, "5c92b4f24d5e0b0738eec6acada16138");

    one_row_init(&r, "x:tensor<float16,2,3>,y:tensor<uint8,4>");
    ck_assert_int_eq(fmt_column_append_tensor(&r.cols[0], floats), 0);
    ck_assert_int_eq(fmt_column_append_tensor(&r.cols[1], (uint8_t[]){1, 2, 3, 255}), 0);
    expect_hash(&r, "f5900a402849c5f217f3269d1b2affcb");

    one_row_init(&r, "x:tensor<float16,3,2>");
    ck_assert_int_eq(fmt_column_append_tensor(&r.cols[0], floats), 0);
    expect_hash(&r, "e40f8df5763a7471d2dc1d0aee5d680a");

    for (int i = 0; i < 300; i++) {
        lens[i] = (uint32_t)snprintf(text + at, sizeof(text) - (size_t)at, "%d", i);
        at += (int)lens[i];
    }
    one_row_init(&r, "l:list<string>,e:list<string>,m:list<string>");
    ck_assert_int_eq(fmt_column_append_strings(&r.cols[0], bytes, (uint32_t[]){1, 0, 3}, 3), 0);
    ck_assert_int_eq(fmt_column_append_strings(&r.cols[1], "", NULL, 0), 0);
    ck_assert_int_eq(fmt_column_append_strings(&r.cols[2], text, lens, 300), 0);
    expect_hash(&r, "056c59e05f243999364f1007c5599192");

    one_row_init(&r, "l:list<string>");
    ck_assert_int_eq(fmt_column_append_strings(&r.cols[0], bytes, (uint32_t[]){0, 1, 3}, 3), 0);
    expect_hash(&r, "8e47487e6972e82ec82509d632e4a8c3");
}
END_TEST

/* Hashes do not depend on the order of columns, on columns that are null, or on blocks. */
START_TEST(test_rowhash_depends_on_content_only)
{
    static const char *const orders[] = {"a:int32?,b:string?,c:float64?",
                                         "c:float64?,a:int32?,b:string?"};
    struct base_hash128 *hashes[2];
    enum { N = 1000 };

    for (int o = 0; o < 2; o++) {
        struct fmt_schema s;
        struct fmt_column cols[3];
        struct shard_array arrays[3];
        struct fmt_rowhash *h;

        hashes[o] = calloc(N, sizeof(*hashes[o]));
        ck_assert_int_eq(fmt_util_schema(orders[o], &s, NULL), 0);
        for (uint32_t c = 0; c < 3; c++) {
            fmt_column_init_field(&cols[c], &s.fields[c]);
            ck_assert_int_eq(fmt_util_fill(&s.fields[c], 4, 0, N, &cols[c]), 0);
            fmt_column_array(&cols[c], &arrays[c]);
        }
        ck_assert_int_eq(fmt_rowhash_new(&s, NULL, 0, &h), 0);
        for (uint64_t i = 0; i < N;) {
            const uint64_t n = o ? BASE_MIN(N - i, 77) : N;

            fmt_rowhash_rows(h, arrays, i, n, hashes[o] + i);
            i += n;
        }
        fmt_rowhash_free(h);
        for (uint32_t c = 0; c < 3; c++)
            fmt_column_done(&cols[c]);
        fmt_schema_done(&s);
    }
    ck_assert_mem_eq(hashes[0], hashes[1], N * sizeof(*hashes[0]));
    free(hashes[0]);
    free(hashes[1]);
}
END_TEST

/* A schema of more columns than a block has cells goes another way, to the same hash. */
START_TEST(test_rowhash_of_wide_rows)
{
    enum { WIDE = 1500 };
    struct fmt_schema s;
    struct fmt_column *cols = calloc(WIDE, sizeof(*cols));
    struct shard_array *arrays = calloc(WIDE, sizeof(*arrays));
    struct base_hash128 all[2], some;
    uint32_t picked[WIDE];
    struct fmt_rowhash *h;
    uint32_t n_picked = 0;

    fmt_schema_init(&s);
    for (uint32_t c = 0; c < WIDE; c++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "c%04u", c);
        ck_assert_int_eq(fmt_schema_add(&s, name, SHARD_TYPE_INT32, 0, true, 0), 0);
        fmt_column_init(&cols[c], SHARD_TYPE_INT32, 0);
        if (c % 3)
            ck_assert_int_eq(fmt_column_append_null(&cols[c]), 0);
        else
            ck_assert_int_eq(fmt_column_append_number(&cols[c], &c), 0);
        if (c % 3 == 0)
            picked[n_picked++] = c;
        fmt_column_array(&cols[c], &arrays[c]);
    }
    ck_assert_int_eq(fmt_rowhash_new(&s, NULL, 0, &h), 0);
    fmt_rowhash_rows(h, arrays, 0, 1, all);
    fmt_rowhash_free(h);
    ck_assert_int_eq(fmt_rowhash_new(&s, picked, n_picked, &h), 0);
    fmt_rowhash_rows(h, arrays, 0, 1, &some);
    fmt_rowhash_free(h);
    ck_assert(base_hash128_eq(all[0], some));
    for (uint32_t c = 0; c < WIDE; c++)
        fmt_column_done(&cols[c]);
    free(cols);
    free(arrays);
    fmt_schema_done(&s);
}
END_TEST

static Suite *
suite(void)
{
    Suite *s = suite_create("column");
    TCase *tc = tcase_create("schema");

    tcase_add_test(tc, test_type_names_go_both_ways);
    tcase_add_test(tc, test_type_names_have_parameters);
    tcase_add_test(tc, test_parameters_that_cannot_be_are_kept);
    tcase_add_test(tc, test_refuses_what_is_no_type);
    tcase_add_test(tc, test_schema_finds_copies_and_sees_doubles);
    suite_add_tcase(s, tc);
    tc = tcase_create("column");
    tcase_add_test(tc, test_bits_of_a_word);
    tcase_add_loop_test(tc, test_bits_append_at_any_place, 0, 3);
    tcase_add_test(tc, test_gather_equals_one_by_one);
    tcase_add_test(tc, test_truncate_forgets_the_rest);
    tcase_add_test(tc, test_empty_column_has_an_offset);
    tcase_add_test(tc, test_refuses_more_than_offsets_can_count);
    tcase_add_test(tc, test_raw_bytes_count_values_and_offsets);
    suite_add_tcase(s, tc);
    tc = tcase_create("row hash");
    tcase_add_test(tc, test_rowhash_equals_an_independent_one);
    tcase_add_test(tc, test_rowhash_of_types_with_parameters);
    tcase_add_test(tc, test_rowhash_depends_on_content_only);
    tcase_add_test(tc, test_rowhash_of_wide_rows);
    suite_add_tcase(s, tc);
    return s;
}

int
main(void)
{
    return test_run(suite());
}
