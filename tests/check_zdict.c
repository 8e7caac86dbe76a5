/* zstd dictionaries of columns: trained where they pay and nowhere else, always the same, stored with
 * the shard that needs them, and what is wrong with one costs its column alone. */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/compiler.h"
#include "lib/endian.h"
#include "shardfmt/footer_write.h"
#include "shardfmt/zdict.h"
#include "tests/fmt_util.h"
#include "tests/random.h"
#include "tests/shard_util.h"
#include "tests/suite.h"

#define ROWS 30000u
#define N    3u /* columns: text that shares its words, a number, noise */

static struct fmt_schema schema;
static struct fmt_column cols[N];
static struct shard_array arrays[N];
static struct base_codec *codec;
static struct shard_error err;
static const struct fmt_encode_opts opts = {.zstd_level = 3, .page_bytes = 4096};

/* Words of a fixed list in any order: a page of 4 KiB holds few of them twice. */
static void
put_text(struct fmt_column *c, uint64_t *st)
{
    char words[512];
    size_t len = 0;

    for (unsigned i = 0; i < 12; i++) {
        uint64_t word = test_random(st) % 3000;

        word = test_random(&word); /* 8 bytes that always are the same for this word */
        for (unsigned k = 0; k < 8; k++)
            words[len++] = (char)('a' + (word >> 8 * k & 0xff) % 26);
        words[len++] = ' ';
    }
    ck_assert_int_eq(fmt_column_append_bytes(c, words, len), 0);
}

static void
setup(void)
{
    uint64_t st = 7;

    memset(&err, 0, sizeof(err));
    ck_assert_int_eq(base_codec_new(&codec), 0);
    ck_assert_int_eq(fmt_util_schema("text:string,n:uint32,noise:binary", &schema, &err), 0);
    for (uint32_t c = 0; c < N; c++)
        fmt_column_init_field(&cols[c], &schema.fields[c]);
    for (uint32_t i = 0; i < ROWS; i++) {
        uint8_t noise[24];

        put_text(&cols[0], &st);
        ck_assert_int_eq(fmt_column_append_number(&cols[1], &i), 0);
        for (size_t k = 0; k < sizeof(noise); k++)
            noise[k] = (uint8_t)test_random(&st);
        ck_assert_int_eq(fmt_column_append_bytes(&cols[2], noise, sizeof(noise)), 0);
    }
    for (uint32_t c = 0; c < N; c++)
        fmt_column_array(&cols[c], &arrays[c]);
}

static void
teardown(void)
{
    for (uint32_t c = 0; c < N; c++)
        fmt_column_done(&cols[c]);
    fmt_schema_done(&schema);
    base_codec_free(codec);
}

static void
train(const struct fmt_encode_opts *o, struct fmt_zdicts *ret)
{
    struct fmt_image *im;

    ck_assert_int_eq(fmt_image_encode(&schema, arrays, o, codec, &im, &err), 0);
    ck_assert_int_eq(fmt_zdicts_train(im, o, codec, ret), 0);
    fmt_image_free(im);
}

/* A shard with the dictionaries, or without: its bytes. */
static void
make(const struct fmt_zdicts *z, struct base_buf *ret)
{
    struct fmt_encode_opts o = opts;
    struct fmt_shard_info info;

    o.zdicts = z;
    ck_assert_int_eq(shard_util_write(&schema, &o, arrays, 1, ret, &info, &err), 0);
    free(info.group_rows);
}

static int
decode(const struct fmt_footer *f, const struct base_buf *file, uint32_t c)
{
    struct fmt_decoded *d;
    struct shard_array a;
    uint64_t row;
    int r;

    ck_assert_int_eq(fmt_decoded_new(&d), 0);
    r = shard_util_decode(f, file, 0, c, codec, d, &a, &err);
    if (r == 0)
        ck_assert(fmt_util_equal(&a, 0, &arrays[c], 0, ROWS, &row));
    fmt_decoded_free(d);
    return r;
}

START_TEST(test_pays_for_shared_words_and_not_for_noise)
{
    struct base_buf with = {0}, without = {0};
    struct fmt_zdicts z, again;
    struct fmt_footer *f;
    const void *data, *data2;
    size_t len, len2;

    train(&opts, &z);
    ck_assert_ptr_nonnull(z.of);
    ck_assert_ptr_nonnull(z.of[0]);
    ck_assert_ptr_null(z.of[1]);
    ck_assert_ptr_null(z.of[2]);
    train(&opts, &again);
    data = base_dict_data(z.of[0], &len);
    data2 = base_dict_data(again.of[0], &len2);
    ck_assert_uint_eq(len, len2);
    ck_assert_mem_eq(data, data2, len);
    make(&z, &with);
    make(NULL, &without);
    ck_assert_uint_lt(with.len, without.len - without.len / 10);
    ck_assert_int_eq(shard_util_load(with.data, with.len, 0, &f, &err), 0);
    ck_assert_uint_eq(f->pages[0].codec, FMT_CODEC_ZDICT);
    ck_assert_uint_gt(f->memory, len);
    for (uint32_t c = 0; c < N; c++)
        ck_assert_int_eq(decode(f, &with, c), 0);
    fmt_footer_free(f);
    ck_assert_int_eq(shard_util_load(without.data, without.len, 0, &f, &err), 0);
    ck_assert_ptr_null(f->zdicts.of);
    fmt_footer_free(f);
    fmt_zdicts_done(&z);
    fmt_zdicts_done(&again);
    base_buf_done(&with);
    base_buf_done(&without);
}
END_TEST

START_TEST(test_large_pages_and_no_zstd_get_none)
{
    static const struct fmt_encode_opts cases[] = {
        {.zstd_level = 0, .page_bytes = 4096},
        {.zstd_level = 3},
        {.zstd_level = 3, .page_bytes = 128 << 10},
    };
    struct fmt_zdicts z;

    for (size_t i = 0; i < BASE_ARRAY_LEN(cases); i++) {
        train(&cases[i], &z);
        ck_assert_ptr_null(z.of);
    }
}
END_TEST

/* Give the file of f, the footer of which is raw, another footer with hashes that fit. */
static void
with_footer(const struct fmt_footer *f, const struct base_buf *file, const struct base_buf *raw,
            struct base_buf *ret)
{
    const struct fmt_version v = {.major = FMT_MAJOR, .minor = FMT_MINOR};
    uint8_t trailer[FMT_TRAILER_SIZE];

    base_buf_reset(ret);
    fmt_trailer_write(&v, f->footer_off, raw->data, (uint32_t)raw->len, (uint32_t)raw->len, trailer);
    ck_assert_int_eq(base_buf_append(ret, file->data, (size_t)f->footer_off), 0);
    ck_assert_int_eq(base_buf_append(ret, raw->data, raw->len), 0);
    ck_assert_int_eq(base_buf_append(ret, trailer, sizeof(trailer)), 0);
}

START_TEST(test_a_wrong_dictionary_costs_its_column)
{
    struct base_buf file = {0}, raw = {0}, bad = {0};
    struct fmt_footer *f, *g;
    struct fmt_zdicts z;
    const uint8_t *t;
    uint8_t *entry, *lens;
    uint32_t n_sections, stored;
    size_t len;

    train(&opts, &z);
    (void)base_dict_data(z.of[0], &len);
    make(&z, &file);
    ck_assert_int_eq(shard_util_load(file.data, file.len, 0, &f, &err), 0);
    t = file.data + file.len - FMT_TRAILER_SIZE;
    stored = base_load_le32(t + 8);
    ck_assert_int_eq(base_buf_append_zero(&raw, base_load_le32(t + 12)), 0);
    ck_assert_int_eq(base_codec_decompress(codec, raw.data, raw.len, t - stored, stored, &err), 0);
    n_sections = base_load_le32(raw.data);
    entry = raw.data + FMT_FOOTER_HEAD + (n_sections - 1) * FMT_SECTION_ENTRY;
    ck_assert_uint_eq(base_load_le16(entry), FMT_SECTION_ZDICTS); /* it is the last */
    ck_assert_uint_eq(base_load_le32(entry + 4), 4 * N + len);
    lens = raw.data + raw.len - len - 4 * N;
    ck_assert_uint_eq(base_load_le32(lens), len);

    /* No dictionary by its first bytes. */
    raw.data[raw.len - len] ^= 1;
    with_footer(f, &file, &raw, &bad);
    ck_assert_int_eq(shard_util_load(bad.data, bad.len, 0, &g, &err), 0);
    ck_assert_int_eq(decode(g, &bad, 0), SHARD_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, "column 0 (text), page 0"));
    ck_assert_int_eq(decode(g, &bad, 1), 0);
    ck_assert_int_eq(decode(g, &bad, 2), 0);
    fmt_footer_free(g);
    raw.data[raw.len - len] ^= 1;

    /* The dictionary of another column. */
    base_store_le32(lens, 0);
    base_store_le32(lens + 4, (uint32_t)len);
    with_footer(f, &file, &raw, &bad);
    ck_assert_int_eq(shard_util_load(bad.data, bad.len, 0, &g, &err), 0);
    ck_assert_int_eq(decode(g, &bad, 0), SHARD_ECORRUPT);
    ck_assert_int_eq(decode(g, &bad, 1), 0);
    fmt_footer_free(g);

    /* Lengths that are not those of the section, or above the limit. */
    base_store_le32(lens, (uint32_t)len - 1);
    base_store_le32(lens + 4, 0);
    with_footer(f, &file, &raw, &bad);
    ck_assert_int_eq(shard_util_load(bad.data, bad.len, 0, &g, &err), SHARD_ECORRUPT);
    base_store_le32(lens, (uint32_t)len + 1);
    with_footer(f, &file, &raw, &bad);
    ck_assert_int_eq(shard_util_load(bad.data, bad.len, 0, &g, &err), SHARD_ECORRUPT);
    base_store_le32(lens, (uint32_t)len);

    /* A piece of it changed: every page fails or comes out as it was, no other way. */
    for (size_t at = 8; at < len; at += len / 50 + 1) {
        raw.data[raw.len - len + at] ^= 0x55;
        with_footer(f, &file, &raw, &bad);
        ck_assert_int_eq(shard_util_load(bad.data, bad.len, 0, &g, &err), 0);
        {
            struct fmt_decoded *d;
            struct shard_array a;

            ck_assert_int_eq(fmt_decoded_new(&d), 0);
            (void)shard_util_decode(g, &bad, 0, 0, codec, d, &a, &err);
            fmt_decoded_free(d);
        }
        ck_assert_int_eq(decode(g, &bad, 1), 0);
        fmt_footer_free(g);
        raw.data[raw.len - len + at] ^= 0x55;
    }
    fmt_footer_free(f);
    fmt_zdicts_done(&z);
    base_buf_done(&file);
    base_buf_done(&raw);
    base_buf_done(&bad);
}
END_TEST

START_TEST(test_a_writer_without_the_dictionary_refuses_its_pages)
{
    struct fmt_encode_opts o = opts;
    struct fmt_writer *w;
    struct fmt_image *im;
    struct fmt_zdicts z;
    char dir[256], path[300];

    train(&opts, &z);
    o.zdicts = &z;
    ck_assert_int_eq(fmt_image_encode(&schema, arrays, &o, codec, &im, &err), 0);
    fmt_util_tmpdir(dir);
    (void)snprintf(path, sizeof(path), "%s/x.shard", dir);
    ck_assert_int_eq(fmt_writer_open(AT_FDCWD, path, &schema, &opts, &w, &err), 0);
    ck_assert_int_eq(fmt_writer_append(w, im, &err), -EINVAL);
    fmt_writer_free(w);
    fmt_image_free(im);
    fmt_zdicts_done(&z);
    fmt_util_rmtree(dir);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("zdict");
    TCase *t = tcase_create("zdict");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, test_pays_for_shared_words_and_not_for_noise);
    tcase_add_test(t, test_large_pages_and_no_zstd_get_none);
    tcase_add_test(t, test_a_wrong_dictionary_costs_its_column);
    tcase_add_test(t, test_a_writer_without_the_dictionary_refuses_its_pages);
    suite_add_tcase(s, t);
    return test_run(s);
}
