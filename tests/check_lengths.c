/* Lengths without values: what the index says, what is read for it, and what damage does to it. */
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
#include "shardfmt/lengths.h"
#include "tests/fmt_util.h"
#include "tests/suite.h"

/* An index where it is cheap (long), and none where it would not be. */
#define COLUMNS "row:uint64,long:list<int32>?,x:list<float32>?,s:sparse<int8>,t:string?,y:binary"
enum { COL_ROW, COL_LONG, N_COLUMNS = 6 };

static char dir[256];
static struct shard_error err;
static struct shard_dataset *ds;

static void
setup(void)
{
    fmt_util_tmpdir(dir);
    ds = NULL;
}

static void
teardown(void)
{
    shard_dataset_close(ds);
    fmt_util_rmtree(dir);
}

static void
make(int zstd_level, uint32_t page_bytes)
{
    const struct fmt_util_spec spec = {.columns = COLUMNS,
                                       .n_shards = 2,
                                       .groups_per_shard = 3,
                                       .rows_per_group = 230,
                                       .vary = true,
                                       .seed = 3,
                                       .zstd_level = zstd_level,
                                       .page_bytes = page_bytes};

    ck_assert_msg(fmt_util_make(dir, &spec, &err) == 0, "%s", err.text);
    ck_assert_msg(shard_dataset_open(dir, &ds, &err) == 0, "%s", err.text);
}

/* Open shard 0 of the dataset. */
static struct fmt_footer *
footer(int *ret_fd)
{
    const struct fmt_snapshot *s = fmt_dataset_snapshot(ds);
    struct fmt_footer *f = NULL;

    ck_assert_msg(fmt_shard_open(fmt_dataset_dirfd(ds), &s->shards[0], &s->schema, ret_fd, &f,
                                 &err) == 0, "%s", err.text);
    return f;
}

/* Bytes that this process has read so far; 0 where the system does not say. */
static uint64_t
bytes_read(void)
{
    FILE *f = fopen("/proc/self/io", "r");
    uint64_t n = 0;

    if (f == NULL || fscanf(f, "rchar: %" SCNu64, &n) != 1)
        n = 0;
    if (f)
        (void)fclose(f);
    return n;
}

START_TEST(test_lengths_are_those_of_the_values)
{
    struct shard_group *g, *l;
    uint64_t n_null = 0, n_out_of_line = 0;

    make(_i % 2 ? 3 : 0, _i / 2 ? 4096 : 0);
    ck_assert_int_eq(shard_group_new(&g), 0);
    ck_assert_int_eq(shard_group_new(&l), 0);
    for (uint64_t group = 0; group < shard_dataset_n_groups(ds); group++) {
        ck_assert_int_eq(shard_dataset_read_group(ds, group, NULL, 0, g, &err), 0);
        for (uint32_t c = 1; c < N_COLUMNS; c++) {
            const struct shard_array *a = shard_group_array(g, c), *b;
            const uint32_t *len;

            ck_assert_msg(shard_dataset_read_lengths(ds, group, c, l, &err) == 0, "%s", err.text);
            b = shard_group_array(l, 0);
            len = b->values;
            ck_assert_int_eq(b->type, SHARD_TYPE_UINT32);
            ck_assert_uint_eq(b->n_rows, a->n_rows);
            ck_assert_uint_eq(shard_group_n_rows(l), a->n_rows);
            ck_assert_uint_eq(b->n_nulls, a->n_nulls);
            for (uint64_t i = 0; i < a->n_rows; i++) {
                ck_assert_uint_eq(len[i], (uint32_t)(a->offsets[i + 1] - a->offsets[i]));
                ck_assert_int_eq(fmt_array_is_null(a, i), fmt_array_is_null(b, i));
                n_null += fmt_array_is_null(b, i);
                n_out_of_line += len[i] * 4 > FMT_INLINE_MAX;
            }
        }
    }
    ck_assert_uint_gt(n_null, 100);
    ck_assert_uint_gt(n_out_of_line, 3);
    ck_assert_int_eq(shard_dataset_read_lengths(ds, 0, COL_ROW, l, &err), -EINVAL);
    ck_assert_int_eq(shard_dataset_read_lengths(ds, 0, N_COLUMNS, l, &err), -EINVAL);
    ck_assert_int_eq(shard_dataset_read_lengths(ds, 6, COL_LONG, l, &err), -EINVAL);
    shard_group_free(g);
    shard_group_free(l);
}
END_TEST

START_TEST(test_an_index_is_there_where_it_costs_little)
{
    struct fmt_footer *f;
    int fd;

    make(_i ? 3 : 0, 0);
    f = footer(&fd);
    for (uint32_t g = 0; g < f->n_groups; g++) {
        for (uint32_t c = 0; c < N_COLUMNS; c++) {
            const struct fmt_page *p = fmt_lengths_find(f, g, c);
            uint64_t off, len;

            ck_assert_int_eq(p != NULL, c == COL_LONG);
            if (p == NULL)
                continue;
            fmt_chunk_extent(f, g, c, &off, &len);
            ck_assert_uint_le((p->stored_len + 24) * UINT64_C(100), len);
        }
    }
    fmt_footer_free(f);
    (void)close(fd);
}
END_TEST

START_TEST(test_reads_no_values)
{
    struct shard_group *g;
    struct fmt_footer *f;
    uint64_t asking, before, after, off, len;
    int fd;

    make(3, 0);
    f = footer(&fd);
    ck_assert_int_eq(shard_group_new(&g), 0);
    ck_assert_int_eq(shard_dataset_read_lengths(ds, 0, COL_LONG, g, &err), 0); /* opens the shard */
    asking = bytes_read();
    before = bytes_read();
    asking = before - asking; /* what it costs to ask */
    ck_assert_int_eq(shard_dataset_read_lengths(ds, 1, COL_LONG, g, &err), 0);
    after = bytes_read();
    fmt_chunk_extent(f, 1, COL_LONG, &off, &len);
    if (after)
        ck_assert_uint_lt(after - before - asking, 100 + fmt_lengths_find(f, 1, COL_LONG)->stored_len);
    ck_assert_uint_gt(len, 300000);
    shard_group_free(g);
    fmt_footer_free(f);
    (void)close(fd);
}
END_TEST

/* Flip a byte of shard 0 and say what its index and its values give. */
static void
flip(const struct fmt_page *p, int *ret_lengths, int *ret_values)
{
    const uint32_t cols[] = {COL_LONG};
    const int fd =
        openat(fmt_dataset_dirfd(ds), fmt_dataset_snapshot(ds)->shards[0].path, O_RDWR | O_CLOEXEC);
    struct shard_group *g;
    uint8_t byte;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pread(fd, &byte, 1, (off_t)p->off), 1);
    byte ^= 1;
    ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)p->off), 1);
    ck_assert_int_eq(shard_group_new(&g), 0);
    *ret_values = shard_dataset_read_group(ds, 0, cols, 1, g, &err);
    *ret_lengths = shard_dataset_read_lengths(ds, 0, COL_LONG, g, &err);
    shard_group_free(g);
    byte ^= 1;
    ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)p->off), 1);
    (void)close(fd);
}

static void
keep_last(void *arg, const struct fmt_damage *d)
{
    *(struct fmt_damage *)arg = *d;
}

START_TEST(test_damage_is_found_where_it_is)
{
    struct fmt_verify_result res;
    struct fmt_damage damage = {.rows_lost = 99};
    struct fmt_footer *f;
    const struct fmt_page *p;
    int fd, lengths, values;
    uint8_t byte;

    make(3, 0);
    f = footer(&fd);
    flip(&f->pages[f->chunk_first[COL_LONG]], &lengths, &values);
    ck_assert_int_eq(lengths, 0);
    ck_assert_int_eq(values, SHARD_ECHECKSUM);
    p = fmt_lengths_find(f, 0, COL_LONG);
    flip(p, &lengths, &values);
    ck_assert_int_eq(lengths, SHARD_ECHECKSUM);
    ck_assert_ptr_nonnull(strstr(err.text, "(long), length index"));
    ck_assert_int_eq(values, 0);
    (void)close(fd);
    fd = openat(fmt_dataset_dirfd(ds), fmt_dataset_snapshot(ds)->shards[0].path, O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(pread(fd, &byte, 1, (off_t)p->off), 1);
    byte ^= 1;
    ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)p->off), 1);
    ck_assert_int_eq(fmt_verify(fmt_dataset_dirfd(ds), FMT_VERIFY_DECODE, 1, keep_last, &damage,
                                &res, &err), 0);
    ck_assert_uint_eq(res.n_damages, 1);
    ck_assert_int_eq(damage.row_group, 0);
    ck_assert_int_eq(damage.column, COL_LONG);
    ck_assert_uint_eq(damage.rows_lost, 0); /* all rows are still there */
    fmt_footer_free(f);
    (void)close(fd);
}
END_TEST

/* As for values: the rows of a shard that is gone are named, and once. */
START_TEST(test_a_lost_shard_is_said_as_for_values)
{
    const uint32_t cols[] = {COL_LONG};
    char values[SHARD_ERROR_TEXT_MAX];
    struct shard_group *g;

    make(3, 0);
    ck_assert_int_eq(unlinkat(fmt_dataset_dirfd(ds), fmt_dataset_snapshot(ds)->shards[0].path, 0), 0);
    ck_assert_int_eq(shard_group_new(&g), 0);
    ck_assert_int_eq(shard_dataset_read_group(ds, 0, cols, 1, g, &err), -ENOENT);
    memcpy(values, err.text, sizeof(values));
    ck_assert_int_eq(shard_dataset_read_lengths(ds, 0, COL_LONG, g, &err), -ENOENT);
    ck_assert_str_eq(err.text, values);
    shard_group_free(g);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("lengths");
    TCase *t = tcase_create("index");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, test_lengths_are_those_of_the_values, 0, 4);
    tcase_add_loop_test(t, test_an_index_is_there_where_it_costs_little, 0, 2);
    tcase_add_test(t, test_reads_no_values);
    tcase_add_test(t, test_damage_is_found_where_it_is);
    tcase_add_test(t, test_a_lost_shard_is_said_as_for_values);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    return test_run(s);
}
