/* Shard files: what is written is read, what is cut, flipped, foreign or hostile is refused. */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/compiler.h"
#include "lib/endian.h"
#include "lib/fail.h"
#include "shardfmt/footer_write.h"
#include "shardfmt/spooled.h"
#include "tests/fmt_util.h"
#include "tests/random.h"
#include "tests/shard_util.h"
#include "tests/suite.h"

#define GROUPS 3

/* A shard in memory, and what went into it. */
struct sample {
    struct fmt_schema s;
    struct fmt_column *cols; /* [group][column] */
    struct shard_array *arrays;
    uint32_t n_groups;
    struct base_buf file;
    struct fmt_shard_info info;
    struct fmt_footer *f;
    struct base_codec *codec;
    struct fmt_decoded *d;
};

static void
sample_begin(struct sample *x, const char *columns, uint32_t n_groups)
{
    memset(x, 0, sizeof(*x));
    x->n_groups = n_groups;
    ck_assert_int_eq(fmt_util_schema(columns, &x->s, NULL), 0);
    x->cols = calloc((size_t)n_groups * x->s.n_fields, sizeof(*x->cols));
    x->arrays = calloc((size_t)n_groups * x->s.n_fields, sizeof(*x->arrays));
    for (uint32_t i = 0; i < n_groups * x->s.n_fields; i++)
        fmt_column_init_field(&x->cols[i], &x->s.fields[i % x->s.n_fields]);
    ck_assert_int_eq(base_codec_new(&x->codec), 0);
    ck_assert_int_eq(fmt_decoded_new(&x->d), 0);
}

static void
sample_write(struct sample *x, const struct fmt_encode_opts *opts)
{
    struct shard_error err = {0};

    for (uint32_t i = 0; i < x->n_groups * x->s.n_fields; i++)
        fmt_column_array(&x->cols[i], &x->arrays[i]);
    ck_assert_msg(shard_util_write(&x->s, opts, x->arrays, x->n_groups, &x->file, &x->info,
                                   &err) == 0,
                  "%s", err.text);
    ck_assert_msg(shard_util_load(x->file.data, x->file.len, x->info.footer_bytes, &x->f, &err) ==
                      0,
                  "%s", err.text);
}

static void
sample_make(struct sample *x, const char *columns, uint32_t rows,
            const struct fmt_encode_opts *opts)
{
    sample_begin(x, columns, GROUPS);
    for (uint32_t g = 0; g < GROUPS; g++)
        for (uint32_t c = 0; c < x->s.n_fields; c++)
            ck_assert_int_eq(fmt_util_fill(&x->s.fields[c], 1, g * rows, rows,
                                           &x->cols[g * x->s.n_fields + c]),
                             0);
    sample_write(x, opts);
}

static void
sample_done(struct sample *x)
{
    for (uint32_t i = 0; i < x->n_groups * x->s.n_fields; i++)
        fmt_column_done(&x->cols[i]);
    free(x->cols);
    free(x->arrays);
    free(x->info.group_rows);
    base_buf_done(&x->file);
    fmt_footer_free(x->f);
    fmt_decoded_free(x->d);
    base_codec_free(x->codec);
    fmt_schema_done(&x->s);
}

/* Decode every chunk; compare with what went in where compare is set. The first error. */
static int
sample_decode(struct sample *x, const struct fmt_footer *f, const struct base_buf *file,
              bool compare, struct shard_error *err)
{
    for (uint32_t g = 0; g < f->n_groups; g++)
        for (uint32_t c = 0; c < f->n_columns; c++) {
            struct shard_array a;
            uint64_t row = 0;
            int r = shard_util_decode(f, file, g, c, x->codec, x->d, &a, err);

            if (r < 0)
                return r;
            if (compare)
                ck_assert_msg(fmt_util_equal(&x->arrays[g * f->n_columns + c], 0, &a, 0, a.n_rows,
                                             &row),
                              "group %u column %u row %lu", g, c, (unsigned long)row);
        }
    return 0;
}

static const char *const all_types =
    "a:bool?,b:int8,c:int16?,d:int32,e:int64,f:uint8,g:uint16,h:uint32,i:uint64?,j:float32,"
    "k:float64?,l:string?,m:binary,n:list<int32>?,o:sparse<float32>,p:float16,q:bfloat16?,"
    "r:timestamp[ms]?,s:tensor<int16,2,3>?,t:list<string>?,u:list<string>";

/* ------------------------------------------------------------------------------ writing, reading */

START_TEST(test_written_is_read)
{
    static const struct fmt_encode_opts opts[] = {
        {.zstd_level = 3}, {.zstd_level = 0}, {.zstd_level = 3, .plain_only = true}};
    struct shard_error err = {0};
    struct sample x;
    uint64_t rows = 0;

    sample_make(&x, all_types, 500, &opts[_i]);
    ck_assert_msg(sample_decode(&x, x.f, &x.file, true, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(x.f->n_rows, 1500);
    ck_assert_uint_eq(x.info.n_rows, 1500);
    ck_assert_uint_eq(x.info.file_bytes, x.file.len);
    ck_assert(fmt_schema_equal(&x.f->schema, &x.s));
    ck_assert_int_eq(x.f->stats == NULL, opts[_i].plain_only);
    for (uint32_t g = 0; g < x.f->n_groups; g++)
        rows += x.f->group_rows[g];
    ck_assert_uint_eq(rows, x.f->n_rows);
    sample_done(&x);
}
END_TEST

START_TEST(test_tail_of_any_assumed_size_opens)
{
    static const uint32_t tails[] = {0, 1, 64, 65, 300, 100000};
    const struct fmt_encode_opts opts = {.zstd_level = 3};
    struct sample x;

    sample_make(&x, all_types, 100, &opts);
    for (size_t i = 0; i < BASE_ARRAY_LEN(tails); i++) {
        struct fmt_footer *f = NULL;

        ck_assert_int_eq(shard_util_load(x.file.data, x.file.len, tails[i], &f, NULL), 0);
        ck_assert(base_hash128_eq(f->hash, x.info.hash));
        fmt_footer_free(f);
    }
    sample_done(&x);
}
END_TEST

START_TEST(test_shard_without_rows)
{
    const struct fmt_encode_opts opts = {.zstd_level = 3};
    struct sample x;

    sample_begin(&x, "a:int32,b:string", 0);
    sample_write(&x, &opts);
    ck_assert_uint_eq(x.f->n_rows, 0);
    ck_assert_uint_eq(x.f->n_columns, 2);
    ck_assert_uint_eq(x.f->n_groups, 0);
    sample_done(&x);
}
END_TEST

START_TEST(test_same_rows_give_the_same_bytes)
{
    const struct fmt_encode_opts opts = {.zstd_level = 3};
    struct sample x, y;

    sample_make(&x, all_types, 300, &opts);
    sample_make(&y, all_types, 300, &opts);
    ck_assert_uint_eq(x.file.len, y.file.len);
    ck_assert_mem_eq(x.file.data, y.file.data, x.file.len);
    sample_done(&x);
    sample_done(&y);
}
END_TEST

/* Random words: zstd makes something else of them at each level. */
static void
words(char *dst, size_t len, uint64_t *st)
{
    for (size_t i = 0; i < len;) {
        uint64_t x = test_random(st) % 4000 * UINT64_C(0x9e3779b97f4a7c15);

        for (size_t n = 2 + (x >> 61); n && i < len; n--, x /= 26)
            dst[i++] = (char)('a' + x % 26);
        if (i < len)
            dst[i++] = ' ';
    }
}

/* Bytes in the file are what zstd makes of them at this level. */
static void
check_level(struct sample *x, const struct fmt_page *p, int level)
{
    const uint8_t *stored = x->file.data + p->off;
    uint8_t *out = malloc(base_codec_bound(p->raw_len));
    struct base_buf raw = {0};
    int64_t n;

    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(p->codec, FMT_CODEC_ZSTD);
    ck_assert_int_eq(fmt_page_unpack(p, stored, x->codec, NULL, &raw, NULL), 0);
    n = base_codec_compress(x->codec, level, out, base_codec_bound(p->raw_len), raw.data, raw.len);
    ck_assert_msg(n == p->stored_len && memcmp(out, stored, (size_t)n) == 0, "%u bytes: not level %d",
                  p->raw_len, level);
    base_buf_done(&raw);
    free(out);
}

/* The level of a page goes by its size and type where none was asked for; pieces of values have the column's. */
START_TEST(test_levels_of_pages_and_pieces)
{
    static const struct {
        const char *column;
        uint32_t n_rows, len; /* bytes of a row */
        int adapted;          /* the level where none was asked for */
    } cases[] = {
        {"a:string", 100, 100, 1},
        {"a:string", 600, 100, 3},
        {"a:string", 6000, 100, BASE_LEVEL_TEXT},
        {"a:binary", 6000, 100, BASE_LEVEL_TEXT},
        {"a:list<string>", 6000, 100, BASE_LEVEL_TEXT},
        {"a:tensor<uint8,100>", 100, 100, 1},
        {"a:tensor<uint8,100>", 6000, 100, 3},
        {"a:string", 1, FMT_INLINE_MAX + 16000, 3},
        {"a:list<uint8>", 1, FMT_INLINE_MAX + 16000, 3},
    };
    const struct fmt_encode_opts opts[] = {{.zstd_level = 3, .zstd_adapt = true}, {.zstd_level = 5}};

    for (size_t i = 0; i < BASE_ARRAY_LEN(cases); i++)
        for (int asked = 0; asked < 2; asked++) {
            char *text = malloc(cases[i].len);
            uint64_t st = i;
            bool out_of_line;
            struct sample x;

            ck_assert_ptr_nonnull(text);
            sample_begin(&x, cases[i].column, 1);
            for (uint32_t row = 0; row < cases[i].n_rows; row++) {
                words(text, cases[i].len, &st);
                ck_assert_int_eq(x.cols->type == SHARD_TYPE_TENSOR
                                     ? fmt_column_append_tensor(x.cols, text)
                                 : x.cols->elem == SHARD_TYPE_STRING
                                     ? fmt_column_append_strings(x.cols, text, &cases[i].len, 1)
                                 : x.cols->type == SHARD_TYPE_LIST
                                     ? fmt_column_append_list(x.cols, text, cases[i].len)
                                     : fmt_column_append_bytes(x.cols, text, cases[i].len),
                                 0);
            }
            sample_write(&x, &opts[asked]);
            out_of_line = cases[i].len > FMT_INLINE_MAX;
            ck_assert_uint_eq(x.f->n_pieces, out_of_line ? 2 : 0);
            for (uint32_t k = 0; k < (out_of_line ? 2 : 1); k++)
                check_level(&x, out_of_line ? &x.f->pieces[k] : &x.f->pages[k],
                            asked ? 5 : cases[i].adapted);
            sample_done(&x);
            free(text);
        }
}
END_TEST

START_TEST(test_statistics_bound_the_values)
{
    const struct fmt_encode_opts opts = {.zstd_level = 3};
    static const double d[] = {3.5, NAN, -2.25, 0.0};
    static const char *const s[] = {"banana", "apple pie with a lot of cream", "",
                                    "zebra crossing the long road"};
    const struct fmt_chunk_stats *st;
    double lo, hi;
    struct sample x;

    sample_begin(&x, "d:float64?,s:string,i:int8,n:int64?", 1);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(fmt_column_append_number(&x.cols[0], &d[i]), 0);
        ck_assert_int_eq(fmt_column_append_bytes(&x.cols[1], s[i], strlen(s[i])), 0);
        ck_assert_int_eq(fmt_column_append_number(&x.cols[2], &(int8_t){(int8_t)(i * 5 - 10)}), 0);
        ck_assert_int_eq(fmt_column_append_null(&x.cols[3]), 0);
    }
    sample_write(&x, &opts);
    st = x.f->stats;
    memcpy(&lo, st[0].min, 8);
    memcpy(&hi, st[0].max, 8);
    ck_assert(lo == -2.25 && hi == 3.5);
    ck_assert_uint_eq(st[0].flags, FMT_STATS_MINMAX | FMT_STATS_NAN);
    ck_assert_mem_eq(st[1].min, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    ck_assert_mem_eq(st[1].max, "zebra crossing t", 16);
    ck_assert_uint_eq(st[1].flags, FMT_STATS_MINMAX | FMT_STATS_MAX_TRUNCATED);
    ck_assert_int_eq((int64_t)base_load_le64(st[2].min), -10);
    ck_assert_int_eq((int64_t)base_load_le64(st[2].max), 5);
    ck_assert_uint_eq(st[3].flags, 0);
    ck_assert_uint_eq(st[3].n_nulls, 4);
    sample_done(&x);
}
END_TEST

START_TEST(test_statistics_of_small_floats_and_timestamps)
{
    const struct fmt_encode_opts opts = {.zstd_level = 3};
    static const uint16_t h[] = {0xc100, 0x0001, 0x7c01, 0x7bff}; /* -2.5, 2^-24, NaN, 65504 */
    static const uint16_t b[] = {0x8000, 0x0000, 0x8000, 0x0000}; /* zeros */
    static const uint16_t i[] = {0xff80, 0x3f80, 0x0080, 0x4049}; /* -inf, 1, 2^-126, 3.140625 */
    static const int64_t t[] = {-7, INT64_MAX, INT64_MIN, 0};
    const struct fmt_chunk_stats *st;
    double lo, hi;
    struct sample x;

    sample_begin(&x, "h:float16,b:bfloat16,i:bfloat16,t:timestamp[s],x:tensor<int8,2>,"
                     "l:list<string>,n:list<int32>", 1);
    for (int k = 0; k < 4; k++) {
        ck_assert_int_eq(fmt_column_append_number(&x.cols[0], &h[k]), 0);
        ck_assert_int_eq(fmt_column_append_number(&x.cols[1], &b[k]), 0);
        ck_assert_int_eq(fmt_column_append_number(&x.cols[2], &i[k]), 0);
        ck_assert_int_eq(fmt_column_append_number(&x.cols[3], &t[k]), 0);
        ck_assert_int_eq(fmt_column_append_tensor(&x.cols[4], "ab"), 0);
        ck_assert_int_eq(fmt_column_append_strings(&x.cols[5], "ab", (uint32_t[]){1, 1}, 2), 0);
        ck_assert_int_eq(fmt_column_append_list(&x.cols[6], (int32_t[]){5, 5}, 2), 0);
    }
    sample_write(&x, &opts);
    st = x.f->stats;
    memcpy(&lo, st[0].min, 8);
    memcpy(&hi, st[0].max, 8);
    ck_assert(lo == -2.5 && hi == 65504);
    ck_assert_uint_eq(st[0].flags, FMT_STATS_MINMAX | FMT_STATS_NAN);
    memcpy(&lo, st[1].min, 8);
    memcpy(&hi, st[1].max, 8);
    ck_assert(lo == 0 && signbit(lo) && hi == 0 && !signbit(hi));
    memcpy(&lo, st[2].min, 8);
    memcpy(&hi, st[2].max, 8);
    ck_assert(isinf(lo) && lo < 0 && hi == 3.140625);
    ck_assert_int_eq((int64_t)base_load_le64(st[3].min), INT64_MIN);
    ck_assert_int_eq((int64_t)base_load_le64(st[3].max), INT64_MAX);
    for (int k = 4; k < 7; k++) {
        ck_assert_uint_eq(st[k].flags, 0);
        ck_assert_uint_eq(st[k].n_distinct, 0);
    }
    sample_done(&x);
}
END_TEST

/* 10,000 columns open. The figure in docs/performance.md is measured elsewhere. */
START_TEST(test_wide_table_comes_back)
{
    const struct fmt_encode_opts opts = {.zstd_level = 1};
    enum { WIDE = 2000 };
    struct base_buf columns = {0};
    struct shard_error err = {0};
    struct sample x;

    for (int i = 0; i < WIDE; i++)
        ck_assert_int_eq(base_buf_printf(&columns, "%sc%d:%s", i ? "," : "", i,
                                         i % 2 ? "int32?" : "string"),
                         0);
    sample_make(&x, (const char *)columns.data, 5, &opts);
    ck_assert_msg(sample_decode(&x, x.f, &x.file, true, &err) == 0, "%s", err.text);
    sample_done(&x);
    base_buf_done(&columns);
}
END_TEST

/* --------------------------------------------------------------------------- out-of-line values */

START_TEST(test_values_out_of_line_come_back)
{
    static const size_t sizes[] = {0,           1u << 20, (1u << 20) + 8, 17, 5u << 20,
                                   (1u << 20) + 16, 0,    3};
    const struct fmt_encode_opts opts = {.zstd_level = _i ? 3 : 0};
    struct shard_error err = {0};
    uint8_t *data = malloc(6u << 20);
    uint32_t *indices = malloc((6u << 20) / 4);
    uint64_t st = 5;
    struct sample x;

    for (size_t i = 0; i < 6u << 20; i++)
        data[i] = i % 4096 < 1000 ? 'x' : (uint8_t)test_random(&st);
    for (size_t i = 0; i < (6u << 20) / 4 / 4; i++)
        indices[i] = (uint32_t)i * 3;
    sample_begin(&x, "s:binary?,l:list<int64>,p:sparse<float64>?", 2);
    for (uint32_t g = 0; g < 2; g++)
        for (size_t i = 0; i < BASE_ARRAY_LEN(sizes); i++) {
            struct fmt_column *c = &x.cols[g * 3];

            ck_assert_int_eq(fmt_column_append_bytes(&c[0], data + g, sizes[i]), 0);
            ck_assert_int_eq(fmt_column_append_list(&c[1], data, sizes[i] / 8), 0);
            ck_assert_int_eq(fmt_column_append_sparse(&c[2], indices, data, sizes[i] / 16), 0);
            if (i % 3 == 0) {
                ck_assert_int_eq(fmt_column_append_null(&c[0]), 0);
                ck_assert_int_eq(fmt_column_append_list(&c[1], data, 1), 0);
                ck_assert_int_eq(fmt_column_append_null(&c[2]), 0);
            }
        }
    sample_write(&x, &opts);
    ck_assert_uint_gt(x.f->n_pieces, 2 * (2 + 5 + 2));
    ck_assert_msg(sample_decode(&x, x.f, &x.file, true, &err) == 0, "%s", err.text);
    /* A piece that is damaged is found. */
    x.file.data[x.f->pieces[3].off + 100] ^= 4;
    ck_assert_int_eq(sample_decode(&x, x.f, &x.file, false, &err), SHARD_ECHECKSUM);
    sample_done(&x);
    free(data);
    free(indices);
}
END_TEST

/* n strings of lengths that repeat, len bytes in all with 4 for each. */
static int
append_strings(struct fmt_column *c, const void *bytes, size_t len)
{
    const size_t n = len / 100;
    uint32_t *lens = calloc(n + 1, sizeof(*lens));
    int r;

    for (size_t i = 0; i < n; i++) /* the last one has what is left */
        lens[i] = i + 1 < n ? (uint32_t)(i % 96) : 0;
    for (size_t i = 0, sum = 0; i < n; sum += lens[i++] + 4)
        if (i + 1 == n)
            lens[i] = (uint32_t)(len - sum - 4);
    r = fmt_column_append_strings(c, bytes, lens, n);
    free(lens);
    return r;
}

START_TEST(test_strings_and_tensors_out_of_line_come_back)
{
    static const size_t sizes[] = {0,           1u << 20, (1u << 20) + 100, 170, 3u << 20,
                                   (1u << 20) + 1600, 0,  300};
    const struct fmt_encode_opts opts = {.zstd_level = _i & 1 ? 3 : 0,
                                         .page_bytes = _i & 2 ? 4096 : 0};
    struct shard_error err = {0};
    uint8_t *data = malloc(6u << 20);
    uint64_t st = 5;
    struct sample x;

    for (size_t i = 0; i < 6u << 20; i++)
        data[i] = i % 4096 < 1000 ? 'x' : (uint8_t)test_random(&st);
    sample_begin(&x, "l:list<string>?,e:list<string>,t:tensor<int32,3,1000,100>?,"
                     "u:tensor<uint8,1048576>,v:tensor<uint8,3,3000000>", 2);
    for (uint32_t g = 0; g < 2; g++)
        for (size_t i = 0; i < BASE_ARRAY_LEN(sizes); i++) {
            struct fmt_column *c = &x.cols[g * 5];
            uint32_t *empty = calloc(sizes[i] / 4 + 1, sizeof(*empty));

            ck_assert_int_eq(append_strings(&c[0], data + g, sizes[i]), 0);
            ck_assert_int_eq(fmt_column_append_strings(&c[1], "", empty, sizes[i] / 4), 0);
            ck_assert_int_eq(i % 3 ? fmt_column_append_tensor(&c[2], data + i)
                                   : fmt_column_append_null(&c[2]), 0);
            ck_assert_int_eq(fmt_column_append_tensor(&c[3], data + 2 * i), 0);
            if (i < 4 && g == 1) {
                ck_assert_int_eq(fmt_column_append_null(&c[0]), 0);
                ck_assert_int_eq(fmt_column_append_strings(&c[1], "abc", (uint32_t[]){1, 2}, 2), 0);
                ck_assert_int_eq(fmt_column_append_null(&c[2]), 0);
                ck_assert_int_eq(fmt_column_append_tensor(&c[3], data), 0);
            }
            free(empty);
        }
    for (uint32_t g = 0; g < 2; g++)
        for (uint64_t i = 0; i < x.cols[g * 5].n_rows; i++)
            ck_assert_int_eq(fmt_column_append_null(&x.cols[g * 5 + 4]), 0);
    x.s.fields[4].nullable = true; /* 9 MB a row, and none is there */
    sample_write(&x, &opts);
    ck_assert_msg(sample_decode(&x, x.f, &x.file, true, &err) == 0, "%s", err.text);
    for (uint32_t i = 0; i < x.f->n_pages; i++) /* nobody reads more than that for one row */
        ck_assert(x.f->pages[i].n_rows == 1 || x.f->pages[i].data_len <= 4u << 20);
    x.file.data[x.f->pieces[x.f->piece_first[1] - 3].off + 100] ^= 4;
    ck_assert_int_eq(sample_decode(&x, x.f, &x.file, false, &err), SHARD_ECHECKSUM);
    sample_done(&x);
    free(data);
}
END_TEST

/* ------------------------------------------------------------------------------------- damage */

START_TEST(test_every_proper_prefix_is_refused)
{
    const struct fmt_encode_opts opts = {.zstd_level = 3};
    struct sample x;

    sample_make(&x, "a:int32,b:string?", 60, &opts);
    for (size_t len = 0; len < x.file.len; len++) {
        struct shard_error err = {0};
        struct fmt_footer *f = NULL;

        ck_assert_msg(shard_util_load(x.file.data, len, 0, &f, &err) < 0, "%zu bytes", len);
        ck_assert(err.text[0] != '\0');
    }
    sample_done(&x);
}
END_TEST

/* Mark what pages and pieces cover. */
static void
cover(uint8_t *map, const struct fmt_page *p, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        memset(map + p[i].off, 1, p[i].stored_len);
}

/* Does anything notice that the bytes of file are not right? */
static bool
damage_found(struct sample *x, const struct base_buf *file)
{
    struct fmt_footer *f = NULL;
    uint8_t *map;
    bool found = true;

    if (shard_util_load(file->data, file->len, x->info.footer_bytes, &f, NULL) < 0)
        return true;
    if (memcmp(file->data, f->header, sizeof(f->header)) != 0)
        goto out;
    map = calloc(1, file->len);
    cover(map, f->pages, f->n_pages);
    cover(map, f->pieces, f->n_pieces);
    found = false;
    for (size_t i = FMT_HEADER_SIZE; i < f->footer_off; i++)
        found |= !map[i] && file->data[i] != 0;
    free(map);
    found |= sample_decode(x, f, file, false, NULL) < 0;
out:
    fmt_footer_free(f);
    return found;
}

START_TEST(test_every_flipped_byte_is_found)
{
    const struct fmt_encode_opts opts = {.zstd_level = _i ? 3 : 0};
    uint64_t st = 99;
    struct sample x;

    sample_make(&x, "a:int32,b:string?,c:list<float32>,d:bool", 40, &opts);
    ck_assert(!damage_found(&x, &x.file));
    for (size_t i = 0; i < x.file.len; i++) {
        const uint8_t bit = (uint8_t)(1u << test_random(&st) % 8);

        x.file.data[i] ^= bit;
        ck_assert_msg(damage_found(&x, &x.file), "byte %zu of %zu, bit %u", i, x.file.len, bit);
        x.file.data[i] ^= bit;
    }
    sample_done(&x);
}
END_TEST

START_TEST(test_foreign_files_are_refused)
{
    static const char png[] = "\x89PNG\r\n\x1a\n";
    struct base_buf b = {0};
    struct shard_error err = {0};
    struct fmt_footer *f = NULL;
    uint64_t st = 3;

    ck_assert_int_lt(shard_util_load("", 0, 0, &f, &err), 0);
    ck_assert_int_lt(shard_util_load(png, sizeof(png), 0, &f, &err), 0);
    ck_assert_int_eq(base_buf_append_zero(&b, 100000), 0);
    ck_assert_int_eq(shard_util_load(b.data, b.len, 0, &f, &err), SHARD_ECORRUPT);
    for (size_t i = 0; i < b.len; i++)
        b.data[i] = (uint8_t)test_random(&st);
    ck_assert_int_eq(shard_util_load(b.data, b.len, 0, &f, &err), SHARD_ECORRUPT);
    memcpy(b.data, FMT_MAGIC, 8);
    ck_assert_int_eq(shard_util_load(b.data, b.len, 0, &f, &err), SHARD_ETRUNC);
    base_buf_done(&b);
}
END_TEST

/* ---------------------------------------------------------------------- what this build lacks */

/* Change one byte of the raw page of the only chunk (codec none), with its hash put right, and
 * decode. */
static int
decode_with(struct sample *x, size_t at, uint8_t value, struct shard_error *err)
{
    struct fmt_page *p = &x->f->pages[0];
    uint8_t *raw = x->file.data + p->off, was = raw[at];
    struct shard_array a;
    int r;

    raw[at] = value;
    p->hash = base_hash64(raw, p->stored_len, p->off);
    r = shard_util_decode(x->f, &x->file, 0, 0, x->codec, x->d, &a, err);
    raw[at] = was;
    p->hash = base_hash64(raw, p->stored_len, p->off);
    return r;
}

/* Three entries take codes of two bits: all ones are one too many. Codes end the page. */
START_TEST(test_codes_stay_within_the_dictionary)
{
    static const char *const words[] = {"a rather long word", "another one of them", "the third"};
    const struct fmt_encode_opts opts = {.zstd_level = 0};
    struct shard_error err = {0};
    struct sample x;

    sample_begin(&x, _i ? "a:float64" : "a:string", 1);
    for (int i = 0; i < 2000; i++) {
        const double v = 1.0 / (1 + i % 3);

        ck_assert_int_eq(_i ? fmt_column_append_number(&x.cols[0], &v)
                            : fmt_column_append_bytes(&x.cols[0], words[i % 3],
                                                      strlen(words[i % 3])),
                         0);
    }
    sample_write(&x, &opts);
    ck_assert_uint_ne(x.f->encodings[0] & 1u << FMT_ENC_DICT, 0);
    ck_assert_int_eq(decode_with(&x, x.f->pages[0].stored_len - 100, 0xff, &err), SHARD_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, "code 3 of a dictionary of 3"));
    ck_assert_int_eq(sample_decode(&x, x.f, &x.file, true, &err), 0);
    sample_done(&x);
}
END_TEST

/* One value of more than 1 MiB. Of its entry, the last 24 bytes of the page, the last 4 are reserved. */
START_TEST(test_reserved_bits_of_out_of_line_values_are_refused)
{
    const struct fmt_encode_opts opts = {.zstd_level = 0};
    const size_t len = FMT_INLINE_MAX + 1;
    struct shard_error err = {0};
    uint8_t *value = calloc(len, 1);
    struct sample x;

    sample_begin(&x, "a:binary", 1);
    ck_assert_int_eq(fmt_column_append_bytes(&x.cols[0], value, len), 0);
    free(value);
    sample_write(&x, &opts);
    ck_assert_uint_eq(x.f->n_pieces, 2);
    ck_assert_int_eq(sample_decode(&x, x.f, &x.file, true, &err), 0);
    for (uint32_t i = 1; i <= 4; i++) {
        ck_assert_int_eq(decode_with(&x, x.f->pages[0].stored_len - i, 1, &err),
                         SHARD_EUNSUPPORTED);
        ck_assert_ptr_nonnull(strstr(err.text, "reserved bits"));
    }
    sample_done(&x);
}
END_TEST

/* A segment lists the rows of a shard's row groups as one value, of up to 4 MiB: in its page, as
 * readers of restricted files know nothing else. */
START_TEST(test_restricted_files_have_no_out_of_line_values)
{
    const struct fmt_encode_opts opts = {.zstd_level = 3, .plain_only = true};
    const uint32_t n = FMT_SHARD_GROUPS_MAX;
    uint32_t *rows = calloc(n, sizeof(*rows));
    struct shard_error err = {0};
    struct sample x;

    for (uint32_t i = 0; i < n; i++)
        rows[i] = i;
    sample_begin(&x, "group_rows:list<uint32>", 1);
    ck_assert_int_eq(fmt_column_append_list(&x.cols[0], rows, n), 0);
    free(rows);
    sample_write(&x, &opts);
    ck_assert_uint_eq(x.f->n_pieces, 0);
    ck_assert_uint_eq(x.f->n_pages, 1);
    ck_assert_int_eq(sample_decode(&x, x.f, &x.file, true, &err), 0);
    sample_done(&x);
}
END_TEST

START_TEST(test_unknown_things_are_named)
{
    static const struct {
        size_t at; /* in the page: head, then the first descriptor */
        uint8_t value;
        const char *text;
    } cases[] = {
        {5, 1, "page of kind 1"},
        {FMT_PAGE_HEAD, 200, "role 200"},
        {FMT_PAGE_HEAD + 1, 99, "encoding 99"},
        {FMT_PAGE_HEAD + 1, FMT_ENC_LAST + 1, "encoding 7"},
        {FMT_PAGE_HEAD + 2, 7, "version 7"},
    };
    const struct fmt_encode_opts opts = {.zstd_level = 0};
    struct shard_error err = {0};
    struct sample x;

    sample_make(&x, "a:int64", 100, &opts);
    ck_assert_int_eq(decode_with(&x, 0, x.file.data[x.f->pages[0].off], &err), 0);
    for (size_t i = 0; i < BASE_ARRAY_LEN(cases); i++) {
        ck_assert_msg(decode_with(&x, cases[i].at, cases[i].value, &err) == SHARD_EUNSUPPORTED,
                      "case %zu: %s", i, err.text);
        ck_assert_ptr_nonnull(strstr(err.text, cases[i].text));
        ck_assert_ptr_nonnull(strstr(err.text, "file: row group 0, column 0 (a), page 0"));
    }
    x.f->pages[0].codec = 9;
    ck_assert_int_eq(sample_decode(&x, x.f, &x.file, false, &err), SHARD_EUNSUPPORTED);
    x.f->pages[0].codec = 0;
    x.f->pages[0].flags = 1;
    ck_assert_int_eq(sample_decode(&x, x.f, &x.file, false, &err), SHARD_EUNSUPPORTED);
    x.f->pages[0].flags = 0;
    x.f->schema.fields[0].type = (enum shard_type)77;
    ck_assert_int_eq(sample_decode(&x, x.f, &x.file, false, &err), SHARD_EUNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.text, "type77"));
    x.f->schema.fields[0].type = SHARD_TYPE_INT64;
    ck_assert_int_eq(sample_decode(&x, x.f, &x.file, true, &err), 0);
    sample_done(&x);
}
END_TEST

/* The footer of x, taken out of the file and unpacked. */
static void
footer_raw(struct sample *x, struct base_buf *ret)
{
    const uint8_t *t = x->file.data + x->file.len - FMT_TRAILER_SIZE;
    const uint32_t stored = base_load_le32(t + 8), raw = base_load_le32(t + 12);

    ck_assert_int_eq(base_buf_reserve(ret, raw), 0);
    ret->len = raw;
    if (stored == raw)
        memcpy(ret->data, t - stored, raw);
    else
        ck_assert_int_eq(base_codec_decompress(x->codec, ret->data, raw, t - stored, stored, NULL),
                         0);
}

/* The file of x with another footer, with hashes that fit. */
static void
with_footer(const struct sample *x, const struct fmt_version *v, const void *footer, size_t len,
            struct base_buf *ret)
{
    uint8_t trailer[FMT_TRAILER_SIZE];

    base_buf_reset(ret);
    fmt_trailer_write(v, x->f->footer_off, footer, (uint32_t)len, (uint32_t)len, trailer);
    ck_assert_int_eq(base_buf_append(ret, x->file.data, (size_t)x->f->footer_off), 0);
    fmt_header_write(v, ret->data);
    ck_assert_int_eq(base_buf_append(ret, footer, len), 0);
    ck_assert_int_eq(base_buf_append(ret, trailer, sizeof(trailer)), 0);
}

START_TEST(test_newer_versions_and_sections)
{
    static const struct {
        struct fmt_version v;
        int expect;
    } cases[] = {
        {{2, 0, 0, 0, 0}, 0},
        {{2, 77, 0, 0, 0}, 0},
        {{2, 0, 0, 1, 8}, 0},
        {{1, 0, 0, 0, 0}, SHARD_EUNSUPPORTED},
        {{3, 0, 0, 0, 0}, SHARD_EUNSUPPORTED},
        {{2, 0, 4, 0, 0}, SHARD_EUNSUPPORTED},
    };
    const struct fmt_encode_opts opts = {.zstd_level = 3};
    struct base_buf footer = {0}, file = {0};
    struct fmt_footer *f = NULL;
    struct sample x;

    sample_make(&x, "a:int64", 100, &opts);
    footer_raw(&x, &footer);
    for (size_t i = 0; i < BASE_ARRAY_LEN(cases); i++) {
        with_footer(&x, &cases[i].v, footer.data, footer.len, &file);
        ck_assert_int_eq(shard_util_load(file.data, file.len, 0, &f, NULL), cases[i].expect);
        if (cases[i].expect == 0)
            fmt_footer_free(f);
    }
    /* The last section (ENCODINGS) gets an unknown number: skipped, unless it is critical. */
    for (int critical = 0; critical < 2; critical++) {
        uint8_t *last =
            footer.data + FMT_FOOTER_HEAD + (base_load_le32(footer.data) - 1) * FMT_SECTION_ENTRY;

        base_store_le16(last, 1000);
        base_store_le16(last + 2, (uint16_t)critical);
        with_footer(&x, &cases[0].v, footer.data, footer.len, &file);
        ck_assert_int_eq(shard_util_load(file.data, file.len, 0, &f, NULL),
                         critical ? SHARD_EUNSUPPORTED : 0);
        if (!critical)
            fmt_footer_free(f);
    }
    base_buf_done(&footer);
    base_buf_done(&file);
    sample_done(&x);
}
END_TEST

/* A footer of nothing: found by fuzzing, where a section that is not there was looked into. */
START_TEST(test_footer_without_sections_is_refused)
{
    const struct fmt_encode_opts opts = {.zstd_level = 3};
    const struct fmt_version v = {.major = FMT_MAJOR};
    const uint8_t nothing[FMT_FOOTER_HEAD] = {0};
    struct base_buf file = {0};
    struct fmt_footer *f = NULL;
    struct sample x;

    sample_make(&x, "a:int64", 10, &opts);
    for (size_t len = 0; len <= sizeof(nothing); len += 16) {
        with_footer(&x, &v, nothing, len, &file);
        ck_assert_int_eq(shard_util_load(file.data, file.len, 0, &f, NULL), SHARD_ECORRUPT);
    }
    base_buf_done(&file);
    sample_done(&x);
}
END_TEST

/* ----------------------------------------------------------------------------------- hostility */

/* A few bytes of something, changed. */
static void
mutate(uint8_t *data, size_t len, uint64_t *st)
{
    static const uint8_t odd[] = {0, 1, 0x7f, 0x80, 0xff, 64, 16};
    const unsigned n = 1 + (unsigned)(test_random(st) % 4);

    for (unsigned i = 0; i < n && len; i++) {
        const uint64_t v = test_random(st);
        /* Most of what matters stands in front. */
        const size_t at = (size_t)(v >> 32) % (v % 3 ? BASE_MIN(len, 120) : len);

        data[at] = v & 8 ? odd[(v >> 4) % sizeof(odd)] : (uint8_t)(v >> 8);
    }
}

/* Pages that lie, with hashes that fit: an error or rows, never more. Under a sanitizer this is
 * what looks for writes out of bounds. */
START_TEST(test_lying_pages_do_no_harm)
{
    static const char *const columns[] = {"a:string?",       "a:int32?",          "a:binary",
                                          "a:list<float64>", "a:sparse<float32>?", "a:bool?",
                                          "a:uint64",        "a:list<uint8>",
                                          "a:list<string>?", "a:list<string>",
                                          "a:tensor<int16,3,2>?", "a:float16"};
    const struct fmt_encode_opts opts = {.zstd_level = 0};
    struct base_buf keep = {0};
    uint64_t st = 1000 + (uint64_t)_i;
    int refused = 0;
    struct sample x;

    sample_make(&x, columns[_i], 1500, &opts);
    for (int round = 0; round < 3000; round++) {
        struct fmt_page *p = &x.f->pages[round % x.f->n_pages];
        uint8_t *raw = x.file.data + p->off;
        struct shard_array a;

        base_buf_reset(&keep);
        ck_assert_int_eq(base_buf_append(&keep, raw, p->stored_len), 0);
        mutate(raw, p->stored_len, &st);
        p->hash = base_hash64(raw, p->stored_len, p->off);
        refused += shard_util_decode(x.f, &x.file, (uint32_t)round % x.f->n_pages, 0, x.codec,
                                     x.d, &a, NULL) < 0;
        memcpy(raw, keep.data, keep.len);
        p->hash = base_hash64(raw, p->stored_len, p->off);
    }
    ck_assert_int_gt(refused, 300);
    base_buf_done(&keep);
    sample_done(&x);
}
END_TEST

START_TEST(test_lying_footers_do_no_harm)
{
    const struct fmt_encode_opts opts = {.zstd_level = 3};
    const struct fmt_version v = {.major = FMT_MAJOR};
    struct base_buf footer = {0}, keep = {0}, file = {0};
    uint64_t st = 5;
    int refused = 0;
    struct sample x;

    sample_make(&x, "a:string?,b:int32", 50, &opts);
    footer_raw(&x, &keep);
    for (int round = 0; round < 3000; round++) {
        struct fmt_footer *f = NULL;

        base_buf_reset(&footer);
        ck_assert_int_eq(base_buf_append(&footer, keep.data, keep.len), 0);
        mutate(footer.data, footer.len, &st);
        if (round % 5 == 0)
            footer.len -= 1 + test_random(&st) % 40;
        with_footer(&x, &v, footer.data, footer.len, &file);
        if (shard_util_load(file.data, file.len, 0, &f, NULL) < 0) {
            refused++;
            continue;
        }
        (void)sample_decode(&x, f, &file, false, NULL);
        fmt_footer_free(f);
    }
    ck_assert_int_gt(refused, 300);
    base_buf_done(&footer);
    base_buf_done(&keep);
    base_buf_done(&file);
    sample_done(&x);
}
END_TEST

/* ------------------------------------------------------------------------------ misuse, failures */

static int
encode_two(const char *columns, const struct fmt_column *a, const struct fmt_column *b)
{
    const struct fmt_encode_opts opts = {.zstd_level = 0};
    struct shard_array arrays[2];
    struct fmt_image *im = NULL;
    struct fmt_schema s;
    int r;

    ck_assert_int_eq(fmt_util_schema(columns, &s, NULL), 0);
    fmt_column_array(a, &arrays[0]);
    fmt_column_array(b, &arrays[1]);
    r = fmt_image_encode(&s, arrays, &opts, NULL, &im, NULL);
    fmt_image_free(im);
    fmt_schema_done(&s);
    return r;
}

START_TEST(test_refuses_rows_that_break_the_schema)
{
    struct fmt_column i, p;

    fmt_column_init(&i, SHARD_TYPE_INT32, 0);
    fmt_column_init(&p, SHARD_TYPE_SPARSE, SHARD_TYPE_INT8);
    ck_assert_int_eq(fmt_column_append_null(&i), 0);
    ck_assert_int_eq(fmt_column_append_sparse(&p, (uint32_t[]){4, 4}, (int8_t[]){1, 2}, 2), 0);
    ck_assert_int_eq(encode_two("i:int32?,i2:int32?", &i, &i), 0);
    ck_assert_int_eq(encode_two("i:int32?,i2:int32", &i, &i), -EINVAL);
    ck_assert_int_eq(encode_two("i:int32?,i2:int64?", &i, &i), -EINVAL);
    ck_assert_int_eq(encode_two("i:int32?,p:sparse<int8>", &i, &p), -EINVAL);
    fmt_column_truncate(&p, 0);
    ck_assert_int_eq(encode_two("i:int32?,p:sparse<int8>", &i, &p), -EINVAL);
    fmt_column_done(&i);
    fmt_column_done(&p);
}
END_TEST

START_TEST(test_never_writes_over_a_file)
{
    const struct fmt_encode_opts opts = {.zstd_level = 3};
    struct fmt_writer *w = NULL;
    struct shard_error err = {0};
    char dir[256], path[300];
    struct fmt_schema s;

    fmt_util_tmpdir(dir);
    (void)snprintf(path, sizeof(path), "%s/x", dir);
    ck_assert_int_eq(fmt_util_schema("a:int32", &s, NULL), 0);
    ck_assert_int_eq(fmt_writer_open(-100, path, &s, &opts, &w, &err), 0);
    fmt_writer_free(w);
    ck_assert_int_eq(fmt_writer_open(-100, path, &s, &opts, &w, &err), -EEXIST);
    ck_assert_ptr_nonnull(strstr(err.text, path));
    fmt_schema_done(&s);
    fmt_util_rmtree(dir);
}
END_TEST

/* A value has the same pieces whether it came through a file or stood in memory: a small last one, too. */
START_TEST(test_pieces_are_the_same_either_way)
{
    const size_t len = FMT_INLINE_MAX + 5000;
    struct shard_field field = {.name = "x", .type = SHARD_TYPE_STRING};
    const struct fmt_schema schema = {.fields = &field, .n_fields = 1};
    const struct fmt_encode_opts opts = {.zstd_level = 3, .zstd_adapt = true};
    struct shard_error err = {0};
    struct fmt_spooled *value;
    struct base_codec *codec;
    char dir[256], *text = malloc(len);
    struct fmt_image *im[2];
    int fd;

    ck_assert(text && base_codec_new(&codec) == 0);
    for (uint64_t i = 0, st = 3; i < len; i++)
        text[i] = "the quick brown fox "[(i * i + test_random(&st) % 3) % 20];
    fmt_util_tmpdir(dir);
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(mkdirat(fd, "tmp", 0700), 0);
    must_ok(fmt_spooled_new(fd, "x", 3, &value, &err));
    must_ok(fmt_spooled_put(value, text, len, &err));
    must_ok(fmt_spooled_end(value, &err));
    for (int spooled = 0; spooled < 2; spooled++) {
        struct fmt_column c;
        struct shard_array a;

        fmt_column_init_field(&c, &field);
        ck_assert_int_eq(spooled ? fmt_column_append_spooled(&c, value)
                                 : fmt_column_append_bytes(&c, text, len),
                         0);
        fmt_column_array(&c, &a);
        must_ok(fmt_image_encode(&schema, &a, &opts, codec, &im[spooled], &err));
        fmt_column_done(&c);
    }
    ck_assert_uint_eq(im[0]->n_pieces, 2);
    ck_assert_uint_eq(im[1]->n_pieces, 2);
    for (uint32_t i = 0; i < 2; i++) {
        const struct fmt_page *p = &im[0]->pieces[i], *q = &im[1]->pieces[i];
        uint8_t *stored = malloc(FMT_INLINE_MAX);

        ck_assert_ptr_nonnull(stored);
        ck_assert_uint_eq(p->codec, FMT_CODEC_ZSTD);
        ck_assert_uint_eq(q->codec, FMT_CODEC_ZSTD);
        ck_assert_uint_eq(p->stored_len, q->stored_len);
        must_ok(fmt_spooled_read(value, i, stored, &err));
        ck_assert_mem_eq(im[0]->bytes.data + p->off, stored, p->stored_len);
        free(stored);
    }
    fmt_image_free(im[0]);
    fmt_image_free(im[1]);
    fmt_spooled_unref(value);
    base_codec_free(codec);
    (void)close(fd);
    fmt_util_rmtree(dir);
    free(text);
}
END_TEST

static Suite *
suite(void)
{
    Suite *s = suite_create("shard");
    TCase *tc = tcase_create("whole");

    tcase_add_loop_test(tc, test_written_is_read, 0, 3);
    tcase_add_test(tc, test_tail_of_any_assumed_size_opens);
    tcase_add_test(tc, test_shard_without_rows);
    tcase_add_test(tc, test_same_rows_give_the_same_bytes);
    tcase_add_test(tc, test_levels_of_pages_and_pieces);
    tcase_add_test(tc, test_statistics_bound_the_values);
    tcase_add_test(tc, test_statistics_of_small_floats_and_timestamps);
    tcase_add_test(tc, test_wide_table_comes_back);
    tcase_add_loop_test(tc, test_values_out_of_line_come_back, 0, 2);
    tcase_add_loop_test(tc, test_strings_and_tensors_out_of_line_come_back, 0, 4);
    tcase_add_test(tc, test_pieces_are_the_same_either_way);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(s, tc);
    tc = tcase_create("damaged");
    tcase_add_test(tc, test_every_proper_prefix_is_refused);
    tcase_add_loop_test(tc, test_every_flipped_byte_is_found, 0, 2);
    tcase_add_test(tc, test_foreign_files_are_refused);
    tcase_add_loop_test(tc, test_codes_stay_within_the_dictionary, 0, 2);
    tcase_add_test(tc, test_reserved_bits_of_out_of_line_values_are_refused);
    tcase_add_test(tc, test_restricted_files_have_no_out_of_line_values);
    tcase_add_test(tc, test_unknown_things_are_named);
    tcase_add_test(tc, test_newer_versions_and_sections);
    tcase_add_test(tc, test_footer_without_sections_is_refused);
    tcase_add_loop_test(tc, test_lying_pages_do_no_harm, 0, 12);
    tcase_add_test(tc, test_lying_footers_do_no_harm);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(s, tc);
    tc = tcase_create("misuse");
    tcase_add_test(tc, test_refuses_rows_that_break_the_schema);
    tcase_add_test(tc, test_never_writes_over_a_file);
    suite_add_tcase(s, tc);
    return s;
}

int
main(void)
{
    return test_run(suite());
}
