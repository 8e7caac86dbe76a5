/* Random access: rows by number are the rows that were written, in the order asked for; every page
 * is read once; what is damaged is named. */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/compiler.h"
#include "shardfmt/dataset.h"
#include "shardfmt/take.h"
#include "tests/fmt_util.h"
#include "tests/random.h"
#include "tests/suite.h"

#define SEED 23

static char dir[256];
static struct shard_error err;
static struct shard_dataset *ds;
static struct shard_taker *taker;

static void
setup(void)
{
    fmt_util_tmpdir(dir);
    memset(&err, 0, sizeof(err));
    ds = NULL;
    taker = NULL;
}

static void
teardown(void)
{
    shard_taker_close(taker);
    shard_dataset_close(ds);
    fmt_util_rmtree(dir);
}

static void
make(const struct fmt_util_spec *spec)
{
    must_ok(fmt_util_make(dir, spec, &err));
    must_ok(shard_dataset_open(dir, &ds, &err));
}

static void
open_taker(uint32_t io, uint32_t threads, uint64_t memory)
{
    const struct shard_taker_opts o = {
        .struct_size = sizeof(o), .io = io, .threads = threads, .memory = memory};

    shard_taker_close(taker);
    taker = NULL;
    must_ok(shard_taker_open(ds, &o, &taker, &err));
}

static uint64_t
draw(uint64_t *state, uint64_t below)
{
    return test_random(state) % below;
}

/* Rows asked for: none, some, many with duplicates, all backwards; runs of neighbours. */
static uint64_t *
rows_make(unsigned kind, uint64_t n_all, uint64_t *ret_n)
{
    const uint64_t n = kind == 0 ? 0 : kind == 1 ? 7 : kind == 2 ? 3 * n_all : n_all;
    uint64_t *rows = calloc(n + 1, sizeof(*rows)), state = kind, at = 0;

    ck_assert_ptr_nonnull(rows);
    for (uint64_t i = 0; i < n; i++) {
        if (kind == 4 && draw(&state, 10) == 0)
            at = draw(&state, n_all);
        rows[i] = kind == 3 ? n_all - 1 - i : kind == 4 ? (at + i) % n_all : draw(&state, n_all);
    }
    *ret_n = n;
    return rows;
}

/* That the i-th array, of column col, has these rows of fmt_util_fill(). */
static void
array_is_right(uint32_t i, uint32_t col, const uint64_t *rows, uint64_t n)
{
    const struct shard_field *f = shard_dataset_field(ds, col);
    const struct shard_array *a = shard_taker_array(taker, i);
    struct fmt_column c;
    struct shard_array want;
    uint64_t row, n_nulls = 0;

    fmt_column_init_field(&c, f);
    ck_assert_uint_eq(a->n_rows, n);
    for (uint64_t k = 0; k < n; k++) {
        fmt_column_reset(&c);
        ck_assert_int_ge(fmt_util_fill(f, SEED, rows[k], 1, &c), 0);
        fmt_column_array(&c, &want);
        ck_assert_msg(fmt_util_equal(a, k, &want, 0, 1, &row), "column %s: place %" PRIu64
                      ", row %" PRIu64, f->name, k, rows[k]);
        n_nulls += want.n_nulls;
    }
    ck_assert_uint_eq(a->n_nulls, n_nulls);
    if (a->offsets)
        ck_assert_int_eq(a->offsets[0], 0);
    ck_assert_uint_eq((uintptr_t)a->values % 64, 0);
    fmt_column_done(&c);
}

static void
take_is_right(const uint64_t *rows, uint64_t n, const uint32_t *cols, uint32_t n_cols)
{
    must_ok(shard_taker_take(taker, rows, n, cols, n_cols, &err));
    for (uint32_t i = 0; i < (cols ? n_cols : shard_dataset_n_columns(ds)); i++)
        array_is_right(i, cols ? cols[i] : i, rows, n);
    ck_assert_ptr_null(shard_taker_array(taker, cols ? n_cols : shard_dataset_n_columns(ds)));
}

/* How many pages of the columns hold these rows, and what bytes they have: counted row by row. */
static uint64_t
pages_of(const uint64_t *rows, uint64_t n, const uint32_t *cols, uint32_t n_cols,
         uint64_t *ret_bytes)
{
    uint64_t count = 0;

    *ret_bytes = 0;
    for (uint64_t g = 0; g < shard_dataset_n_groups(ds); g++) {
        struct shard_group_info info;
        struct fmt_footer *f;
        int fd;

        shard_dataset_group_info(ds, g, &info);
        must_ok(fmt_shard_open(ds->dirfd, &ds->snapshot.shards[info.shard], NULL, &fd, &f, &err));
        for (uint32_t c = 0; c < n_cols; c++) {
            const size_t chunk = (size_t)info.index * f->n_columns + cols[c];
            uint64_t row = info.row0;

            for (uint32_t p = f->chunk_first[chunk]; p < f->chunk_first[chunk + 1]; p++) {
                bool wanted = false;

                for (uint64_t i = 0; i < n; i++)
                    wanted |= rows[i] >= row && rows[i] < row + f->pages[p].n_rows;
                count += wanted;
                *ret_bytes += wanted ? f->pages[p].stored_len : 0;
                row += f->pages[p].n_rows;
            }
        }
        fmt_footer_free(f);
        (void)close(fd);
    }
    return count;
}

/* ---------------------------------------------------------------------------------- what comes */

static const struct {
    uint32_t page_bytes, io, threads;
    uint64_t memory;
    int level;
} cases[] = {
    {0, SHARD_IO_AUTO, 1, 0, 3},         {0, SHARD_IO_PREAD, 3, 0, 0},
    {256, SHARD_IO_AUTO, 3, 0, 3},       {256, SHARD_IO_PREAD, 1, 1u << 20, 3},
    {4096, SHARD_IO_AUTO, 2, 1u << 20, 0}, {4096, SHARD_IO_PREAD, 2, 0, 3},
};

START_TEST(test_takes_the_rows_that_were_written)
{
    const struct fmt_util_spec spec = {.columns = FMT_UTIL_ALL_COLUMNS,
                                       .splits = "train,test",
                                       .n_shards = 3,
                                       .groups_per_shard = 3,
                                       .rows_per_group = 120,
                                       .vary = true,
                                       .seed = SEED,
                                       .zstd_level = cases[_i].level,
                                       .page_bytes = cases[_i].page_bytes};
    const uint32_t some[] = {11, 0, 11, 4, 16, 1};

    make(&spec);
    open_taker(cases[_i].io, cases[_i].threads, cases[_i].memory);
    for (unsigned kind = 0; kind < 5; kind++) {
        uint64_t n, *rows = rows_make(kind, shard_dataset_n_rows(ds), &n);

        take_is_right(rows, n, NULL, 0);
        take_is_right(rows, n, some, BASE_ARRAY_LEN(some));
        take_is_right(rows, n, some, 1);
        take_is_right(rows, n, some, 0);
        free(rows);
    }
}
END_TEST

START_TEST(test_out_of_line_values_come)
{
    const struct fmt_util_spec spec = {.columns = "row:uint64,huge:string,text:string",
                                       .rows_per_group = 160,
                                       .groups_per_shard = 2,
                                       .seed = SEED,
                                       .zstd_level = 1,
                                       .page_bytes = _i ? 4096 : 0};
    const uint64_t rows[] = {50, 49, 51, 100, 50, 250, 0, 319};
    struct shard_taker_stats stats;

    make(&spec);
    open_taker(SHARD_IO_AUTO, 2, 0);
    take_is_right(rows, BASE_ARRAY_LEN(rows), NULL, 0);
    shard_taker_get_stats(taker, &stats);
    ck_assert_uint_gt(stats.piece_reads, 0);
    ck_assert_uint_gt(stats.piece_bytes, 0);
}
END_TEST

START_TEST(test_more_shards_than_are_kept_open)
{
    const struct fmt_util_spec spec = {.columns = "row:uint64,text:string?",
                                       .n_shards = 300,
                                       .rows_per_group = 4,
                                       .seed = SEED};
    uint64_t n, *rows;

    make(&spec);
    open_taker(SHARD_IO_AUTO, 2, 1u << 20);
    for (unsigned kind = 2; kind < 4; kind++) {
        rows = rows_make(kind, shard_dataset_n_rows(ds), &n);
        take_is_right(rows, n, NULL, 0);
        free(rows);
    }
}
END_TEST

START_TEST(test_a_dataset_without_rows)
{
    struct fmt_snapshot s;
    int fd;

    fmt_snapshot_init(&s);
    ck_assert_int_eq(fmt_schema_add(&s.schema, "text", SHARD_TYPE_STRING, 0, true, 0), 0);
    ck_assert_int_eq(fmt_snapshot_add_split(&s, "train"), 0);
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must_ok(fmt_dataset_mkdirs(fd, &err));
    must_ok(fmt_publish(fd, 0, &s, &err));
    (void)close(fd);
    fmt_snapshot_done(&s);
    must_ok(shard_dataset_open(dir, &ds, &err));
    open_taker(SHARD_IO_AUTO, 0, 0);
    must_ok(shard_taker_take(taker, NULL, 0, NULL, 0, &err));
    ck_assert_uint_eq(shard_taker_array(taker, 0)->n_rows, 0);
    must_fail(shard_taker_take(taker, &(uint64_t){0}, 1, NULL, 0, &err), SHARD_ENOTFOUND, "no row 0");
}
END_TEST

/* --------------------------------------------------------------------------------- how it reads */

START_TEST(test_reads_every_page_once_and_in_one_batch)
{
    const struct fmt_util_spec spec = {.columns = "row:uint64,text:string?,l:list<int32>",
                                       .n_shards = 2,
                                       .groups_per_shard = 2,
                                       .rows_per_group = 3000,
                                       .seed = SEED,
                                       .zstd_level = 3,
                                       .page_bytes = 1024};
    const uint32_t cols[] = {1, 2};
    struct shard_taker_stats before, after;
    uint64_t n, *rows, n_pages, bytes;

    make(&spec);
    open_taker(_i ? SHARD_IO_PREAD : SHARD_IO_AUTO, 2, 0);
    for (unsigned kind = 1; kind < 5; kind++) {
        rows = rows_make(kind, shard_dataset_n_rows(ds), &n);
        shard_taker_get_stats(taker, &before);
        must_ok(shard_taker_take(taker, rows, n, cols, 2, &err));
        shard_taker_get_stats(taker, &after);
        n_pages = pages_of(rows, n, cols, 2, &bytes);
        ck_assert_uint_eq(after.pages - before.pages, n_pages);
        ck_assert_uint_le(after.reads - before.reads, n_pages);
        ck_assert_uint_le(after.submits - before.submits, after.reads - before.reads);
        ck_assert_uint_ge(after.bytes_read - before.bytes_read, bytes);
        ck_assert_uint_le(after.bytes_read - before.bytes_read,
                          bytes + (n_pages - (after.reads - before.reads)) * 4096);
        ck_assert_uint_eq(after.rows - before.rows, n);
        if (kind == 1 && _i)
            ck_assert_uint_eq(after.submits - before.submits, 1);
        free(rows);
    }
}
END_TEST

/* ------------------------------------------------------------------------------- what is wrong */

/* A row of every shard, and each shard has a footer that counts. */
START_TEST(test_footers_of_a_wave_stay_within_the_memory)
{
    const struct fmt_util_spec spec = {.columns = "row:uint64,a:string?,b:string?,c:string?",
                                       .n_shards = 30,
                                       .groups_per_shard = 100,
                                       .rows_per_group = 1,
                                       .seed = SEED};
    struct shard_taker_stats stats;
    uint64_t rows[30], sum = 0;

    make(&spec);
    for (uint32_t i = 0; i < 30; i++) {
        struct fmt_footer *f;
        int fd;

        rows[i] = i * 100;
        must_ok(fmt_shard_open(ds->dirfd, &ds->snapshot.shards[i], NULL, &fd, &f, &err));
        sum += f->memory;
        (void)close(fd);
        fmt_footer_free(f);
    }
    ck_assert_uint_gt(sum, 1u << 20);
    open_taker(SHARD_IO_PREAD, 2, 1u << 20);
    take_is_right(rows, 30, NULL, 0);
    shard_taker_get_stats(taker, &stats);
    ck_assert_uint_ge(stats.submits, sum / (512u << 10));
}
END_TEST

START_TEST(test_idle_threads_hold_little)
{
    const struct fmt_util_spec spec = {
        .columns = "text:string", .rows_per_group = 6000, .seed = SEED, .zstd_level = 1};
    uint64_t n, *rows;

    make(&spec);
    open_taker(0, 2, 2u << 20);
    rows = rows_make(1, shard_dataset_n_rows(ds), &n);
    take_is_right(rows, n, NULL, 0);
    free(rows);
    for (unsigned i = 0; i <= 2; i++)
        if (taker->scratch[i].decoded)
            ck_assert_uint_le(fmt_decoded_memory(taker->scratch[i].decoded), (1u << 20) / 12);
}
END_TEST

START_TEST(test_refuses_rows_columns_and_options_that_are_not)
{
    const struct fmt_util_spec spec = {.columns = "row:uint64,text:string?", .rows_per_group = 10};
    const uint64_t rows[] = {3, 9, 10, 2};
    struct shard_taker_opts o = SHARD_TAKER_OPTS_INIT;
    struct {
        struct shard_taker_opts o;
        uint64_t more;
    } newer = {.o = SHARD_TAKER_OPTS_INIT};

    make(&spec);
    open_taker(0, 0, 0);
    must_fail(shard_taker_take(taker, rows, 4, NULL, 0, &err), SHARD_ENOTFOUND, "no row 10");
    must_fail(shard_taker_take(taker, &(uint64_t){UINT64_MAX}, 1, NULL, 0, &err), SHARD_ENOTFOUND,
              "18446744073709551615");
    must_fail(shard_taker_take(taker, rows, 2, &(uint32_t){2}, 1, &err), -EINVAL, "column 2 of 2");
    must_ok(shard_taker_take(taker, rows, 2, NULL, 0, &err));
    shard_taker_close(taker);
    taker = NULL;
    o.io = 3;
    must_fail(shard_taker_open(ds, &o, &taker, &err), -EINVAL, "backend 3");
    o.io = 0;
    o.memory = 1000;
    must_fail(shard_taker_open(ds, &o, &taker, &err), SHARD_EBUDGET, "1048576");
    newer.o.struct_size = sizeof(newer);
    newer.more = 1;
    must_fail(shard_taker_open(ds, &newer.o, &taker, &err), -E2BIG, "newer");
    newer.more = 0;
    must_ok(shard_taker_open(ds, &newer.o, &taker, &err));
}
END_TEST

START_TEST(test_a_budget_that_is_too_small_names_the_one_that_does)
{
    const struct fmt_util_spec spec = {
        .columns = "huge:string", .rows_per_group = 160, .seed = SEED, .zstd_level = 1};
    const uint64_t rows[] = {50, 51};
    const char *number;

    make(&spec);
    open_taker(0, 2, 1u << 20);
    must_fail(shard_taker_take(taker, rows, 2, NULL, 0, &err), SHARD_EBUDGET, "a memory budget of ");
    number = strstr(err.text, "a memory budget of ") + strlen("a memory budget of ");
    open_taker(0, 2, strtoull(number, NULL, 10) << 20);
    take_is_right(rows, 2, NULL, 0);
}
END_TEST

/* Flip a bit of page p of chunk (g, c) of the first shard, or cut the file off there. */
static void
damage(uint32_t g, uint32_t c, uint32_t p, bool cut)
{
    struct fmt_footer *f;
    struct fmt_page page;
    char path[512];
    uint8_t byte;
    int fd;

    must_ok(fmt_shard_open(ds->dirfd, &ds->snapshot.shards[0], NULL, &fd, &f, &err));
    page = f->pages[f->chunk_first[(size_t)g * f->n_columns + c] + p];
    (void)close(fd);
    fmt_footer_free(f);
    (void)snprintf(path, sizeof(path), "%s/%s", dir, ds->snapshot.shards[0].path);
    fd = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    if (cut) {
        ck_assert_int_eq(ftruncate(fd, (off_t)(page.off + page.stored_len / 2)), 0);
    } else {
        ck_assert_int_eq(pread(fd, &byte, 1, (off_t)page.off + 5), 1);
        byte ^= 4;
        ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)page.off + 5), 1);
    }
    (void)close(fd);
}

static void
make_for_damage(void)
{
    const struct fmt_util_spec spec = {.columns = "row:uint64,text:string",
                                       .groups_per_shard = 2,
                                       .rows_per_group = 500,
                                       .seed = SEED,
                                       .zstd_level = 3,
                                       .page_bytes = 1024};

    make(&spec);
}

START_TEST(test_a_damaged_page_is_named_and_others_come)
{
    uint64_t n, *rows;

    make_for_damage();
    damage(1, 1, 3, false);
    open_taker(_i ? SHARD_IO_PREAD : SHARD_IO_AUTO, 2, 0);
    rows = rows_make(3, 1000, &n);
    must_fail(shard_taker_take(taker, rows, n, NULL, 0, &err), SHARD_ECHECKSUM,
              "row group 1, column 1 (text), page 3");
    ck_assert_ptr_nonnull(strstr(err.text, ds->snapshot.shards[0].path));
    ck_assert_ptr_nonnull(strstr(err.text, dir));
    take_is_right(rows, n, &(uint32_t){0}, 1);
    take_is_right(rows + 500, 500, NULL, 0); /* row group 0, backwards */
    take_is_right(rows, 1, NULL, 0);
    free(rows);
}
END_TEST

START_TEST(test_a_file_cut_off_while_open_is_an_error)
{
    make_for_damage();
    open_taker(_i ? SHARD_IO_PREAD : SHARD_IO_AUTO, 2, 0);
    take_is_right(&(uint64_t){999}, 1, NULL, 0);
    damage(1, 1, 3, true);
    must_fail(shard_taker_take(taker, &(uint64_t){999}, 1, NULL, 0, &err), SHARD_ETRUNC,
              ds->snapshot.shards[0].path);
    take_is_right(&(uint64_t){0}, 1, NULL, 0);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("take");
    TCase *t = tcase_create("what comes");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, test_takes_the_rows_that_were_written, 0, (int)BASE_ARRAY_LEN(cases));
    tcase_add_loop_test(t, test_out_of_line_values_come, 0, 2);
    tcase_add_test(t, test_more_shards_than_are_kept_open);
    tcase_add_test(t, test_a_dataset_without_rows);
    suite_add_tcase(s, t);
    t = tcase_create("how it reads");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, test_reads_every_page_once_and_in_one_batch, 0, 2);
    suite_add_tcase(s, t);
    t = tcase_create("what is wrong");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, test_footers_of_a_wave_stay_within_the_memory);
    tcase_add_test(t, test_idle_threads_hold_little);
    tcase_add_test(t, test_refuses_rows_columns_and_options_that_are_not);
    tcase_add_test(t, test_a_budget_that_is_too_small_names_the_one_that_does);
    tcase_add_loop_test(t, test_a_damaged_page_is_named_and_others_come, 0, 2);
    tcase_add_loop_test(t, test_a_file_cut_off_while_open_is_an_error, 0, 2);
    suite_add_tcase(s, t);
    return test_run(s);
}
