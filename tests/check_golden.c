/* Files written once, by an earlier build, hold the values that a formula says: tests/golden_util.h.
 * tests/cli/check_golden.py does the same without any of our code. */
#include "config.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "shardfmt/lengths.h"
#include "tests/fmt_util.h"
#include "tests/golden_util.h"
#include "tests/shard_util.h"
#include "tests/suite.h"

#define GOLDEN SRCDIR "/tests/golden"

static struct shard_error err;

/* Lengths of the rows of a in b, null where they are. */
static void
check_lengths(const struct shard_array *a, const struct shard_array *b)
{
    ck_assert_uint_eq(a->n_rows, b->n_rows);
    for (uint64_t i = 0; i < a->n_rows; i++) {
        ck_assert_int_eq(fmt_array_is_null(a, i), fmt_array_is_null(b, i));
        ck_assert_uint_eq(((const uint32_t *)b->values)[i],
                          (uint32_t)(a->offsets[i + 1] - a->offsets[i]));
    }
}

/* a holds the rows from row0 on that f should have. */
static void
check_values(const char *file, const struct shard_field *f, const struct shard_array *a,
             uint64_t row0)
{
    struct fmt_column c;
    struct shard_array want;
    uint64_t row;

    fmt_column_init_field(&c, f);
    must_ok(golden_fill(f, row0, a->n_rows, &c));
    fmt_column_array(&c, &want);
    ck_assert_uint_eq(a->n_nulls, want.n_nulls);
    ck_assert_msg(fmt_util_equal(a, 0, &want, 0, a->n_rows, &row), "%s: column %s, row %llu", file,
                  f->name, (unsigned long long)(row0 + row));
    fmt_column_done(&c);
}

static void
check_schema(const struct golden_file *f, const struct fmt_schema *have)
{
    struct fmt_schema want;
    uint8_t *encodings;

    must_ok(golden_schema(f, &want, &encodings, &err));
    ck_assert_msg(fmt_schema_equal(&want, have), "%s: columns", f->name);
    fmt_schema_done(&want);
    free(encodings);
}

START_TEST(test_files_hold_what_the_formula_says)
{
    const struct golden_file *f = &golden_files[_i];
    struct base_codec *codec;
    struct fmt_decoded *d, *d2;
    const struct fmt_page *page;
    struct fmt_footer *footer;
    struct base_buf file = {0};
    struct shard_array a, lengths;
    uint64_t row0 = 0;
    char path[512];

    (void)snprintf(path, sizeof(path), "%s/%s.shard", GOLDEN, f->name);
    fmt_util_read(AT_FDCWD, path, &file);
    must_ok(shard_util_load(file.data, file.len, 0, &footer, &err));
    must_ok(base_codec_new(&codec));
    must_ok(fmt_decoded_new(&d));
    must_ok(fmt_decoded_new(&d2));
    check_schema(f, &footer->schema);
    ck_assert_uint_eq(footer->n_groups, f->n_groups);
    for (uint32_t g = 0; g < f->n_groups; row0 += f->group_rows[g++]) {
        ck_assert_uint_eq(footer->group_rows[g], f->group_rows[g]);
        for (uint32_t c = 0; c < footer->n_columns; c++) {
            must_ok(shard_util_decode(footer, &file, g, c, codec, d, &a, &err));
            ck_assert_uint_eq(a.n_rows, f->group_rows[g]);
            check_values(f->name, &footer->schema.fields[c], &a, row0);
            page = fmt_lengths_find(footer, g, c);
            if (page) {
                must_ok(fmt_lengths_decode(footer, g, c, file.data + page->off, codec, f->name, d2,
                                           &lengths, &err));
                check_lengths(&a, &lengths);
            }
        }
    }
    fmt_decoded_free(d);
    fmt_decoded_free(d2);
    base_codec_free(codec);
    fmt_footer_free(footer);
    base_buf_done(&file);
}
END_TEST

START_TEST(test_dataset_holds_what_the_formula_says)
{
    const struct golden_file *f = &golden_dataset;
    struct shard_dataset *ds;
    struct shard_group *g;
    uint64_t row0 = 0;

    must_ok(shard_dataset_open(GOLDEN "/" GOLDEN_DATASET, &ds, &err));
    must_ok(shard_group_new(&g));
    ck_assert_uint_eq(shard_dataset_n_groups(ds), f->n_groups);
    for (uint32_t i = 0; i < f->n_groups; row0 += f->group_rows[i++]) {
        struct shard_group_info info;

        shard_dataset_group_info(ds, i, &info);
        ck_assert_str_eq(shard_dataset_split_name(ds, info.split), golden_splits[i]);
        must_ok(shard_dataset_read_group(ds, i, NULL, shard_dataset_n_columns(ds), g, &err));
        ck_assert_uint_eq(shard_group_n_rows(g), f->group_rows[i]);
        for (uint32_t c = 0; c < shard_dataset_n_columns(ds); c++)
            check_values("dataset", shard_dataset_field(ds, c), shard_group_array(g, c), row0);
    }
    shard_group_free(g);
    shard_dataset_close(ds);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("golden");
    TCase *t = tcase_create("golden");

    suite_add_tcase(s, t);
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, test_files_hold_what_the_formula_says, 0, (int)golden_n_files);
    tcase_add_test(t, test_dataset_holds_what_the_formula_says);
    return test_run(s);
}
