/* Snapshots: what is published comes back, equal content gives equal bytes, writers that race lose
 * nothing, a crash at any step leaves the last snapshot, and nothing hostile is believed. */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/compiler.h"
#include "lib/endian.h"
#include "shardfmt/manifest.h"
#include "shardfmt/table.h"
#include "shardfmt/utf8.h"
#include "tests/fmt_util.h"
#include "tests/suite.h"

static char dir[256];
static int dirfd_ = -1;
static struct shard_error err;

static void
setup(void)
{
    fmt_util_tmpdir(dir);
    dirfd_ = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(dirfd_, 0);
    memset(&err, 0, sizeof(err));
}

static void
teardown(void)
{
    (void)close(dirfd_);
    fmt_util_rmtree(dir);
}

static const struct base_hash128 no_hash = {0, 0};

/* With the statistics of the shards. */
static int
load_whole(uint64_t number, struct fmt_snapshot *ret, struct shard_error *e)
{
    int r = fmt_snapshot_load(dirfd_, number, ret, e);

    if (r >= 0)
        r = fmt_snapshot_load_stats(dirfd_, ret, e);
    if (r < 0)
        fmt_snapshot_done(ret);
    return r;
}

static void
entry_equal(const struct fmt_shard_entry *a, const struct fmt_shard_entry *b)
{
    ck_assert_str_eq(a->path, b->path);
    ck_assert_str_eq(a->split, b->split);
    ck_assert_uint_eq(a->split_index, b->split_index);
    ck_assert_uint_eq(a->n_rows, b->n_rows);
    ck_assert_uint_eq(a->file_bytes, b->file_bytes);
    ck_assert_uint_eq(a->raw_bytes, b->raw_bytes);
    ck_assert_uint_eq(a->footer_bytes, b->footer_bytes);
    ck_assert(base_hash128_eq(a->hash, b->hash));
    ck_assert_uint_eq(a->n_groups, b->n_groups);
    ck_assert_mem_eq(a->group_rows, b->group_rows, a->n_groups * sizeof(uint32_t));
    ck_assert_uint_eq(a->stats_len, b->stats_len);
    if (a->stats_len)
        ck_assert_mem_eq(a->stats, b->stats, a->stats_len);
}

static void
snapshot_equal(const struct fmt_snapshot *a, const struct fmt_snapshot *b)
{
    ck_assert_uint_eq(a->number, b->number);
    ck_assert(base_hash128_eq(a->hash, b->hash));
    ck_assert(base_hash128_eq(a->fingerprint, b->fingerprint));
    ck_assert_uint_eq(a->parent_number, b->parent_number);
    ck_assert(base_hash128_eq(a->parent_hash, b->parent_hash));
    ck_assert(fmt_schema_equal(&a->schema, &b->schema));
    ck_assert_uint_eq(a->n_shards, b->n_shards);
    for (uint32_t i = 0; i < a->n_shards; i++)
        entry_equal(&a->shards[i], &b->shards[i]);
    ck_assert_uint_eq(a->n_splits, b->n_splits);
    for (uint32_t i = 0; i < a->n_splits; i++) {
        ck_assert_str_eq(a->splits[i].name, b->splits[i].name);
        ck_assert_uint_eq(a->splits[i].n_rows, b->splits[i].n_rows);
    }
    ck_assert_uint_eq(a->n_rejects, b->n_rejects);
    for (uint32_t i = 0; i < a->n_rejects; i++) {
        ck_assert_str_eq(a->rejects[i].path, b->rejects[i].path);
        ck_assert_uint_eq(a->rejects[i].n_rows, b->rejects[i].n_rows);
        ck_assert_uint_eq(a->rejects[i].file_bytes, b->rejects[i].file_bytes);
        ck_assert(base_hash128_eq(a->rejects[i].hash, b->rejects[i].hash));
    }
    ck_assert_uint_eq(a->n_facts, b->n_facts);
    for (uint32_t i = 0; i < a->n_facts; i++) {
        ck_assert_str_eq(a->facts[i].kind, b->facts[i].kind);
        ck_assert_str_eq(a->facts[i].name, b->facts[i].name);
        ck_assert_str_eq(a->facts[i].text, b->facts[i].text);
        ck_assert_uint_eq(a->facts[i].number, b->facts[i].number);
        ck_assert_uint_eq(a->facts[i].bytes, b->facts[i].bytes);
        ck_assert(base_hash128_eq(a->facts[i].hash, b->facts[i].hash));
    }
}

/* An invented shard: publishing does not look at shard files. */
static void
add_invented(struct fmt_snapshot *s, uint32_t i, const char *split, uint32_t n_groups)
{
    struct fmt_shard_info info = {.file_bytes = 256u << 20,
                                  .raw_bytes = 700u << 20,
                                  .n_groups = n_groups,
                                  .footer_bytes = 4000 + i % 100};
    char path[256], hex[BASE_HEX128_LEN + 1];

    info.group_rows = calloc(n_groups ? n_groups : 1, sizeof(uint32_t));
    ck_assert_ptr_nonnull(info.group_rows);
    for (uint32_t g = 0; g < n_groups; g++) {
        info.group_rows[g] = 10000 + (i * 31 + g * 17) % 5000;
        info.n_rows += info.group_rows[g];
    }
    info.hash = base_hash128(&i, sizeof(i), 1);
    base_hex128(info.hash, hex);
    (void)snprintf(path, sizeof(path), "shards/%s-%s.shard", split, hex);
    ck_assert_int_eq(fmt_snapshot_add_shard(s, path, split, &info), 0);
    free(info.group_rows);
}

/* A snapshot of one column and n invented shards, in memory. */
static void
invent(struct fmt_snapshot *s, uint32_t n, uint32_t n_groups)
{
    fmt_snapshot_init(s);
    ck_assert_int_eq(fmt_schema_add(&s->schema, "text", SHARD_TYPE_STRING, 0, true, 0), 0);
    for (uint32_t i = 0; i < n; i++)
        add_invented(s, i, i % 10 ? "train" : "test", n_groups);
}

/* --------------------------------------------------------------------------------- coming back */

START_TEST(test_published_snapshot_loads_equal)
{
    const struct fmt_util_spec spec = {.columns = FMT_UTIL_ALL_COLUMNS,
                                       .splits = "train,test",
                                       .n_shards = 5,
                                       .groups_per_shard = 3,
                                       .rows_per_group = 20,
                                       .vary = true,
                                       .seed = 7,
                                       .zstd_level = 3,
                                       .n_rejects = 4};
    struct fmt_snapshot s, back;

    must_ok(fmt_util_shards(dirfd_, &spec, 0, &s, &err));
    ck_assert_int_eq(fmt_snapshot_add_split(&s, "validation"), 0);
    ck_assert_int_eq(fmt_snapshot_add_fact(&s, "input", "a b\xc3\xa4.tar!x", 5, 1u << 31,
                                           (struct base_hash128){1, UINT64_MAX}, ""),
                     0);
    ck_assert_int_eq(fmt_snapshot_add_fact(&s, "option", "codec", 0, 0, no_hash, "zstd:3"), 0);
    ck_assert_int_eq(fmt_snapshot_add_fact(&s, "count", "rows_read", UINT64_MAX, 0, no_hash, ""),
                     0);
    must_ok(fmt_publish(dirfd_, 0, &s, &err));
    ck_assert_uint_eq(s.number, 1);
    must_ok(load_whole(1, &back, &err));
    snapshot_equal(&s, &back);
    ck_assert_uint_eq(fmt_snapshot_rows(&s), fmt_snapshot_rows(&back));
    ck_assert_uint_eq(fmt_snapshot_fact(&back, "input", "a b\xc3\xa4.tar!x")->bytes, 1u << 31);
    ck_assert_ptr_null(fmt_snapshot_fact(&back, "input", "another"));
    fmt_snapshot_done(&s);
    fmt_snapshot_done(&back);
}
END_TEST

/* Names that look alike where they touch in the segment's column. */
START_TEST(test_splits_of_shards_load_equal)
{
    static const char *const split[] = {"ab", "ab", "a", "b", "ab", "abab", "ba", "ba", "a", "a"};
    struct fmt_snapshot s, back;

    must_ok(fmt_dataset_mkdirs(dirfd_, &err));
    for (uint32_t n = 1; n <= 128; n *= 2) { /* compressed or not */
        fmt_snapshot_init(&s);
        ck_assert_int_eq(fmt_schema_add(&s.schema, "text", SHARD_TYPE_STRING, 0, true, 0), 0);
        for (uint32_t i = 0; i < n; i++)
            add_invented(&s, i, split[i % BASE_ARRAY_LEN(split)], i % 4);
        must_ok(fmt_publish(dirfd_, 0, &s, &err));
        must_ok(load_whole(1, &back, &err));
        snapshot_equal(&s, &back);
        for (uint32_t i = 0; i < n; i++)
            ck_assert_str_eq(back.shards[i].split, split[i % BASE_ARRAY_LEN(split)]);
        fmt_snapshot_done(&s);
        fmt_snapshot_done(&back);
        ck_assert_int_eq(unlinkat(dirfd_, "roots/00000000000000000001.root", 0), 0);
    }
}
END_TEST

START_TEST(test_snapshot_without_rows_loads)
{
    struct shard_dataset *ds;
    struct fmt_snapshot s;

    invent(&s, 0, 0);
    ck_assert_int_eq(fmt_snapshot_add_split(&s, "train"), 0);
    must_ok(fmt_dataset_mkdirs(dirfd_, &err));
    must_ok(fmt_publish(dirfd_, 0, &s, &err));
    must_ok(shard_dataset_open(dir, &ds, &err));
    ck_assert_uint_eq(shard_dataset_n_rows(ds), 0);
    ck_assert_uint_eq(shard_dataset_n_groups(ds), 0);
    ck_assert_uint_eq(shard_dataset_n_splits(ds), 1);
    shard_dataset_close(ds);
    fmt_snapshot_done(&s);
}
END_TEST

/* Compare a row group as read, columns cols[] (NULL = all), with what fmt_util_fill() gives. */
static void
group_is_right(struct shard_dataset *ds, uint64_t group, const uint32_t *cols, uint32_t n_cols,
               uint64_t seed, struct shard_group *g)
{
    struct shard_group_info info;

    shard_dataset_group_info(ds, group, &info);
    must_ok(shard_dataset_read_group(ds, group, cols, n_cols, g, &err));
    ck_assert_uint_eq(shard_group_n_rows(g), info.n_rows);
    for (uint32_t i = 0; i < (cols ? n_cols : shard_dataset_n_columns(ds)); i++) {
        const struct shard_field *f = shard_dataset_field(ds, cols ? cols[i] : i);
        struct fmt_column c;
        struct shard_array want;
        uint64_t row;

        fmt_column_init_field(&c, f);
        ck_assert_int_ge(fmt_util_fill(f, seed, info.row0, info.n_rows, &c), 0);
        fmt_column_array(&c, &want);
        ck_assert_msg(fmt_util_equal(shard_group_array(g, i), 0, &want, 0, info.n_rows, &row),
                      "row group %" PRIu64 ", column %s differs at row %" PRIu64, group, f->name,
                      row);
        ck_assert_uint_eq(shard_group_array(g, i)->n_nulls, want.n_nulls);
        fmt_column_done(&c);
    }
}

START_TEST(test_dataset_gives_the_rows_back)
{
    const struct fmt_util_spec spec = {.columns = FMT_UTIL_ALL_COLUMNS,
                                       .splits = "train,test",
                                       .n_shards = 4,
                                       .groups_per_shard = 3,
                                       .rows_per_group = 50,
                                       .vary = true,
                                       .seed = 11,
                                       .zstd_level = _i ? 3 : 0,
                                       .page_bytes = _i == 2 ? 256 : 0};
    const uint32_t some[] = {11, 0, 11, 4, 16};
    struct shard_group_info info;
    struct shard_dataset *ds;
    struct shard_group *g;
    uint64_t rows = 0;

    must_ok(fmt_util_make(dir, &spec, &err));
    must_ok(shard_dataset_open(dir, &ds, &err));
    ck_assert_int_eq(shard_group_new(&g), 0);
    ck_assert_uint_eq(shard_dataset_n_columns(ds), 23);
    ck_assert_int_eq(shard_dataset_find_column(ds, "text"), 11);
    ck_assert_int_eq(shard_dataset_find_column(ds, "nothing"), SHARD_ENOTFOUND);
    ck_assert_uint_eq(shard_dataset_n_groups(ds), 12);
    ck_assert_int_eq(shard_dataset_find_split(ds, "test"), 1);
    ck_assert_int_eq(shard_dataset_find_split(ds, "tes"), SHARD_ENOTFOUND);
    ck_assert_uint_eq(strlen(shard_dataset_snapshot(ds)), 32);
    for (uint64_t i = 0; i < 12; i++) {
        shard_dataset_group_info(ds, i, &info);
        ck_assert_uint_eq(info.row0, rows);
        ck_assert_uint_eq(info.shard, i / 3);
        ck_assert_uint_eq(info.index, i % 3);
        ck_assert_uint_eq(info.split, i / 3 % 2);
        ck_assert_uint_eq(info.n_rows,
                          fmt_util_group_rows(&spec, (uint32_t)i / 3, (uint32_t)i % 3));
        rows += info.n_rows;
        group_is_right(ds, i, NULL, 0, spec.seed, g);
        group_is_right(ds, 11 - i, some, 5, spec.seed, g);
        group_is_right(ds, i, some, 0, spec.seed, g);
    }
    ck_assert_uint_eq(shard_dataset_n_rows(ds), rows);
    ck_assert_uint_eq(shard_dataset_split_rows(ds, 0) + shard_dataset_split_rows(ds, 1), rows);
    must_fail(shard_dataset_read_group(ds, 12, NULL, 0, g, &err), -EINVAL, "12");
    must_fail(shard_dataset_read_group(ds, 0, &(uint32_t){23}, 1, g, &err), -EINVAL, "23");
    shard_group_free(g);
    shard_dataset_close(ds);
}
END_TEST

static int
count_fds(void)
{
    int n = 0;

    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* What one reading thread does; it reports by counting. */
struct reader {
    pthread_t thread;
    struct shard_dataset *ds;
    uint64_t first, wrong, failed;
};

static void *
reader_run(void *arg)
{
    struct reader *r = arg;
    const uint64_t n = shard_dataset_n_groups(r->ds);
    struct shard_group *g;

    if (shard_group_new(&g) < 0) {
        r->failed++;
        return NULL;
    }
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t group = (r->first + i * 7) % n;
        struct shard_group_info info;

        shard_dataset_group_info(r->ds, group, &info);
        if (shard_dataset_read_group(r->ds, group, NULL, 0, g, NULL) < 0) {
            r->failed++;
            continue;
        }
        for (uint32_t row = 0; row < info.n_rows; row++)
            r->wrong += ((const uint64_t *)shard_group_array(g, 0)->values)[row] != info.row0 + row;
    }
    shard_group_free(g);
    return NULL;
}

START_TEST(test_many_threads_read_more_shards_than_are_kept_open)
{
    const struct fmt_util_spec spec = {.columns = "row:uint64,t:string",
                                       .n_shards = 100,
                                       .groups_per_shard = 2,
                                       .rows_per_group = 5,
                                       .seed = 3};
    struct reader readers[80]; /* more than shards are kept open, so that all may be in use */
    struct shard_dataset *ds;
    int before;

    must_ok(fmt_util_make(dir, &spec, &err));
    before = count_fds();
    must_ok(shard_dataset_open(dir, &ds, &err));
    for (int i = 0; i < 80; i++) {
        readers[i] = (struct reader){.ds = ds, .first = (uint64_t)i * 40};
        ck_assert_int_eq(pthread_create(&readers[i].thread, NULL, reader_run, &readers[i]), 0);
    }
    for (int i = 0; i < 80; i++) {
        (void)pthread_join(readers[i].thread, NULL);
        ck_assert_uint_eq(readers[i].failed, 0);
        ck_assert_uint_eq(readers[i].wrong, 0);
    }
    ck_assert_int_le(count_fds(), before + 1 + 64);
    shard_dataset_close(ds);
    ck_assert_int_eq(count_fds(), before);
}
END_TEST

START_TEST(test_no_dataset_is_not_found)
{
    char path[300];
    struct shard_dataset *ds;

    must_fail(shard_dataset_open(dir, &ds, &err), SHARD_ENOTFOUND, dir);
    (void)snprintf(path, sizeof(path), "%s/nothing", dir);
    must_fail(shard_dataset_open(path, &ds, &err), SHARD_ENOTFOUND, "nothing");
    must_ok(fmt_dataset_mkdirs(dirfd_, &err));
    must_ok(fmt_dataset_mkdirs(dirfd_, &err)); /* again is fine */
    must_fail(shard_dataset_open(dir, &ds, &err), SHARD_ENOTFOUND, "no snapshot");
}
END_TEST

/* ------------------------------------------------------------------------------------ same bytes
 */

START_TEST(test_same_content_same_bytes)
{
    const struct fmt_util_spec spec = {.columns = FMT_UTIL_ALL_COLUMNS,
                                       .splits = "train,test",
                                       .n_shards = 3,
                                       .groups_per_shard = 2,
                                       .seed = 5,
                                       .zstd_level = 3,
                                       .n_rejects = 3};
    struct base_buf x = {0}, y = {0};
    char **a, **b, other[256];
    size_t n, m;
    int fd;

    fmt_util_tmpdir(other);
    must_ok(fmt_util_make(dir, &spec, &err));
    must_ok(fmt_util_make(other, &spec, &err));
    fd = open(other, O_RDONLY | O_DIRECTORY);
    a = fmt_util_files(dir, &n);
    b = fmt_util_files(other, &m);
    ck_assert_uint_eq(n, m);
    ck_assert_uint_eq(n, 1 + 1 + 3 + 1);
    for (size_t i = 0; i < n; i++) {
        ck_assert_str_eq(a[i], b[i]);
        fmt_util_read(dirfd_, a[i], &x);
        fmt_util_read(fd, b[i], &y);
        ck_assert_uint_eq(x.len, y.len);
        ck_assert_mem_eq(x.data, y.data, x.len);
    }
    fmt_util_files_free(a, n);
    fmt_util_files_free(b, m);
    base_buf_done(&x);
    base_buf_done(&y);
    (void)close(fd);
    fmt_util_rmtree(other);
}
END_TEST

/* What tests/shardline_reader.py finds, which follows docs/format.md and shares no code with us. */
START_TEST(test_second_reader_agrees)
{
    const struct fmt_util_spec spec = {.columns = FMT_UTIL_ALL_COLUMNS,
                                       .splits = "train,test,dev",
                                       .n_shards = _i ? 100 : 4,
                                       .groups_per_shard = 3,
                                       .rows_per_group = 4,
                                       .vary = true,
                                       .zstd_level = 1,
                                       .n_rejects = 2};
    char command[1024], said[256] = "", want[256];
    struct shard_dataset *ds;
    FILE *p;

    must_ok(fmt_util_make(dir, &spec, &err));
    must_ok(shard_dataset_open(dir, &ds, &err));
    (void)snprintf(
        want, sizeof(want), "%s %" PRIu64 " train=%" PRIu64 " test=%" PRIu64 " dev=%" PRIu64 "\n",
        shard_dataset_snapshot(ds), shard_dataset_n_rows(ds), shard_dataset_split_rows(ds, 0),
        shard_dataset_split_rows(ds, 1), shard_dataset_split_rows(ds, 2));
    shard_dataset_close(ds);
    if (system("/usr/bin/python3 -c 'import xxhash, zstandard' 2>/dev/null") != 0) {
        (void)printf("no python3 with xxhash and zstandard: the second reader was not asked\n");
        return;
    }
    (void)snprintf(command, sizeof(command), "/usr/bin/python3 %s/tests/shardline_reader.py %s 2>&1",
                   SRCDIR, dir);
    p = popen(command, "r");
    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_nonnull(fgets(said, sizeof(said), p));
    ck_assert_msg(pclose(p) == 0, "%s", said);
    ck_assert_str_eq(said, want);
}
END_TEST

START_TEST(test_root_and_segment_of_a_small_dataset_are_small)
{
    const struct fmt_util_spec spec = {.columns = "text:string,lang:string",
                                       .splits = "train,test",
                                       .n_shards = 2,
                                       .groups_per_shard = 8,
                                       .rows_per_group = 20};
    uint64_t sum = 0;
    struct stat st;
    char **files;
    size_t n;

    must_ok(fmt_util_make(dir, &spec, &err));
    files = fmt_util_files(dir, &n);
    for (size_t i = 0; i < n; i++) {
        ck_assert_int_eq(fstatat(dirfd_, files[i], &st, 0), 0);
        if (strncmp(files[i], "shards/", 7) != 0) {
            (void)printf("%s: %lld bytes\n", files[i], (long long)st.st_size);
            sum += (uint64_t)st.st_size;
        }
    }
    ck_assert_uint_lt(sum, 2560);
    fmt_util_files_free(files, n);
}
END_TEST

/* -------------------------------------------------------------------------------------- writers */

START_TEST(test_second_writer_gets_conflict_and_nothing_is_lost)
{
    struct fmt_snapshot a, b, back;
    uint64_t number;

    must_ok(fmt_dataset_mkdirs(dirfd_, &err));
    invent(&a, 3, 2);
    invent(&b, 5, 2);
    must_ok(fmt_publish(dirfd_, 0, &a, &err));
    must_fail(fmt_publish(dirfd_, 0, &b, &err), SHARD_ECONFLICT, "another writer");
    must_ok(fmt_newest_root(dirfd_, &number, &err));
    ck_assert_uint_eq(number, 1);
    must_ok(load_whole(1, &back, &err));
    snapshot_equal(&a, &back);
    fmt_snapshot_done(&back);
    must_ok(fmt_publish(dirfd_, 1, &b, &err)); /* the loser may follow the winner */
    ck_assert_uint_eq(b.number, 2);
    must_ok(load_whole(2, &back, &err));
    snapshot_equal(&b, &back);
    ck_assert(base_hash128_eq(back.parent_hash, a.hash));
    must_fail(fmt_publish(dirfd_, 7, &b, &err), SHARD_ENOTFOUND, "7");
    fmt_snapshot_done(&a);
    fmt_snapshot_done(&b);
    fmt_snapshot_done(&back);
}
END_TEST

struct racer {
    pthread_t thread;
    pthread_barrier_t *start;
    struct fmt_snapshot s;
    int r;
};

static void *
racer_run(void *arg)
{
    struct racer *r = arg;

    (void)pthread_barrier_wait(r->start);
    r->r = fmt_publish(dirfd_, 0, &r->s, NULL);
    return NULL;
}

START_TEST(test_of_many_writers_one_wins)
{
    struct racer racers[8];
    pthread_barrier_t start;
    struct fmt_snapshot back;
    char **files;
    size_t n;
    int won = -1;

    must_ok(fmt_dataset_mkdirs(dirfd_, &err));
    ck_assert_int_eq(pthread_barrier_init(&start, NULL, 8), 0);
    for (int i = 0; i < 8; i++) {
        invent(&racers[i].s, (uint32_t)i + 1, 3);
        racers[i].start = &start;
        ck_assert_int_eq(pthread_create(&racers[i].thread, NULL, racer_run, &racers[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        (void)pthread_join(racers[i].thread, NULL);
        if (racers[i].r == 0) {
            ck_assert_int_eq(won, -1);
            won = i;
        } else {
            ck_assert_int_eq(racers[i].r, SHARD_ECONFLICT);
        }
    }
    ck_assert_int_ge(won, 0);
    must_ok(load_whole(1, &back, &err));
    snapshot_equal(&racers[won].s, &back);
    fmt_snapshot_done(&back);
    for (int i = 0; i < 8; i++)
        fmt_snapshot_done(&racers[i].s);
    (void)pthread_barrier_destroy(&start);
    files = fmt_util_files(dir, &n);
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(strncmp(files[i], "tmp/", 4) != 0, "%s was left behind", files[i]);
    fmt_util_files_free(files, n);
}
END_TEST

START_TEST(test_append_writes_no_full_segment_again)
{
    const uint32_t n = FMT_SEGMENT_SHARDS_MAX + 10;
    char first[FMT_SEGMENT_PATH_MAX], second[FMT_SEGMENT_PATH_MAX];
    struct fmt_snapshot s, back, fresh;
    struct stat before, after;

    must_ok(fmt_dataset_mkdirs(dirfd_, &err));
    invent(&s, n, 2);
    must_ok(fmt_publish(dirfd_, 0, &s, &err));
    ck_assert_uint_eq(s.n_segments, 2);
    fmt_segment_path(s.segments[0].hash, first);
    fmt_segment_path(s.segments[1].hash, second);
    fmt_snapshot_done(&s);
    ck_assert_int_eq(fstatat(dirfd_, first, &before, 0), 0);

    /* Statistics that were not loaded cannot be written again, and are not lost. */
    must_ok(fmt_snapshot_load(dirfd_, 1, &back, &err));
    add_invented(&back, n, "train", 2);
    must_fail(fmt_publish(dirfd_, 1, &back, &err), -EINVAL, "segment");
    must_ok(fmt_snapshot_load_stats(dirfd_, &back, &err));
    must_ok(fmt_publish(dirfd_, 1, &back, &err));
    ck_assert_int_eq(fstatat(dirfd_, first, &after, 0), 0);
    ck_assert_uint_eq(before.st_ino, after.st_ino);
    ck_assert_int_eq(fstatat(dirfd_, second, &after, 0), 0); /* the first snapshot's own */
    ck_assert_uint_eq(back.n_segments, 2);

    /* The same list, written in one go, has the same segments. */
    invent(&fresh, n, 2);
    add_invented(&fresh, n, "train", 2);
    must_ok(fmt_publish(dirfd_, 2, &fresh, &err));
    ck_assert_mem_eq(&fresh.segments[1].hash, &back.segments[1].hash, 16);

    /* An entry that was changed by hand is noticed. */
    fresh.shards[5].raw_bytes++;
    must_ok(fmt_publish(dirfd_, 3, &fresh, &err));
    ck_assert_mem_ne(&fresh.segments[0].hash, &back.segments[0].hash, 16);
    fmt_snapshot_done(&back);
    must_ok(load_whole(4, &back, &err));
    ck_assert_uint_eq(back.shards[5].raw_bytes, fresh.shards[5].raw_bytes);
    fmt_snapshot_done(&fresh);
    fmt_snapshot_done(&back);
}
END_TEST

START_TEST(test_thousand_shards_open_fast)
{
    struct shard_dataset *ds;
    struct fmt_snapshot s;
    uint64_t t0, ms, best = UINT64_MAX;

    must_ok(fmt_dataset_mkdirs(dirfd_, &err));
    invent(&s, 1000, 64);
    must_ok(fmt_publish(dirfd_, 0, &s, &err));
    for (int i = 0; i < 5; i++) {
        t0 = base_now_ns();
        must_ok(shard_dataset_open(dir, &ds, &err));
        ms = (base_now_ns() - t0) / 1000;
        best = ms < best ? ms : best;
        ck_assert_uint_eq(shard_dataset_n_groups(ds), 64000);
        ck_assert_uint_gt(shard_dataset_n_rows(ds), 640 * 1000 * 1000);
        shard_dataset_close(ds);
    }
    (void)printf("1000 shards of 64 row groups open in %" PRIu64 " us\n", best);
    ck_assert_uint_lt(best, 100 * 1000);
    fmt_snapshot_done(&s);
}
END_TEST

/* ------------------------------------------------------------------------------- interrupted */

/* A writer that was killed leaves what it did so far. `step` says how far it came. */
static void
leave_behind(int step, const struct fmt_snapshot *s)
{
    struct fmt_segment g;
    struct base_hash128 hash;
    char path[256];

    switch (step) {
    case 0: /* within a shard */
        fmt_util_write(dirfd_, "tmp/1-00ff.shard", "\x89SHD", 4);
        break;
    case 1: /* a shard placed, nothing refers to it */
        fmt_util_write(dirfd_, "tmp/1-00fe.shard", "complete", 8);
        must_ok(fmt_shard_place(dirfd_, "tmp/1-00fe.shard", FMT_DIR_SHARDS, "train",
                                (struct base_hash128){3, 4}, path, &err));
        break;
    case 2: /* within a segment */
        fmt_util_write(dirfd_, "tmp/1-00fd.seg", "", 0);
        break;
    case 3: /* segments in place */
        must_ok(fmt_segment_write(dirfd_, s, 0, s->n_shards, &g, &err));
        break;
    case 4: /* within the root */
        fmt_util_write(dirfd_, "tmp/1-00fc.root", "\x89SHD\r\n", 6);
        break;
    case 5: /* a whole root, not linked */
        must_ok(fmt_root_write(dirfd_, "tmp/1-00fb.root", s, &hash, &err));
        break;
    case 6: /* linked, the temporary name still there, folders not synced */
        ck_assert_int_eq(
            linkat(dirfd_, "roots/00000000000000000001.root", dirfd_, "tmp/1-00fa.root", 0), 0);
        break;
    default:
        ck_abort();
    }
}

START_TEST(test_writer_killed_at_any_step_leaves_last_snapshot)
{
    const struct fmt_util_spec spec = {.n_shards = 2, .seed = 1};
    struct fmt_snapshot s, more, back;
    struct shard_dataset *ds;
    uint64_t number;

    must_ok(fmt_util_shards(dirfd_, &spec, 0, &s, &err));
    must_ok(fmt_publish(dirfd_, 0, &s, &err));
    invent(&more, 9, 2);
    for (int step = 0; step <= _i; step++)
        leave_behind(step, &more);
    must_ok(fmt_newest_root(dirfd_, &number, &err));
    ck_assert_uint_eq(number, 1);
    must_ok(load_whole(1, &back, &err));
    snapshot_equal(&s, &back);
    must_ok(shard_dataset_open(dir, &ds, &err));
    ck_assert_uint_eq(shard_dataset_n_rows(ds), 200);
    shard_dataset_close(ds);
    must_ok(fmt_publish(dirfd_, 1, &more, &err)); /* and the next one goes through */
    fmt_snapshot_done(&back);
    must_ok(load_whole(2, &back, &err));
    snapshot_equal(&more, &back);
    fmt_snapshot_done(&back);
    fmt_snapshot_done(&more);
    fmt_snapshot_done(&s);
}
END_TEST

START_TEST(test_failed_publish_changes_nothing)
{
    static const char *const folders[] = {"segments", "tmp", "shards", "quarantine"};
    struct fmt_snapshot s, more, back;
    uint64_t number;

    must_ok(fmt_dataset_mkdirs(dirfd_, &err));
    invent(&s, 2, 2);
    must_ok(fmt_publish(dirfd_, 0, &s, &err));
    invent(&more, 3, 2);
    /* Without the folder nothing can be written to or synced in it. */
    ck_assert_int_eq(renameat(dirfd_, folders[_i], dirfd_, "away"), 0);
    ck_assert_int_lt(fmt_publish(dirfd_, 1, &more, &err), 0);
    ck_assert_msg(strstr(err.text, folders[_i]) != NULL, "%s", err.text);
    ck_assert_int_eq(renameat(dirfd_, "away", dirfd_, folders[_i]), 0);
    must_ok(fmt_newest_root(dirfd_, &number, &err));
    ck_assert_uint_eq(number, 1);
    must_ok(load_whole(1, &back, &err));
    snapshot_equal(&s, &back);
    must_ok(fmt_publish(dirfd_, 1, &more, &err));
    fmt_snapshot_done(&s);
    fmt_snapshot_done(&more);
    fmt_snapshot_done(&back);
}
END_TEST

/* No file can grow beyond `limit` bytes, as on a disk that is full. */
static void
limit_files(rlim_t limit)
{
    struct rlimit lim;

    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &lim), 0);
    lim.rlim_cur = limit;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &lim), 0);
}

START_TEST(test_full_disk_at_any_byte_leaves_last_snapshot)
{
    struct fmt_snapshot s, more, back;
    uint64_t number;
    unsigned failures = 0;
    int r = -1;

    must_ok(fmt_dataset_mkdirs(dirfd_, &err));
    invent(&s, 2, 2);
    must_ok(fmt_publish(dirfd_, 0, &s, &err));
    invent(&more, 40, 3);
    (void)signal(SIGXFSZ, SIG_IGN);
    for (rlim_t limit = 0; r < 0 && limit < 100000; limit += 61) {
        size_t n;
        char **files;

        limit_files(limit);
        r = fmt_publish(dirfd_, 1, &more, &err);
        limit_files(RLIM_INFINITY);
        must_ok(fmt_newest_root(dirfd_, &number, &err));
        ck_assert_uint_eq(number, r < 0 ? 1 : 2);
        must_ok(load_whole(1, &back, &err));
        snapshot_equal(&s, &back);
        fmt_snapshot_done(&back);
        files = fmt_util_files(dir, &n);
        for (size_t i = 0; i < n; i++)
            ck_assert_msg(strncmp(files[i], "tmp/", 4) != 0, "%s was left behind", files[i]);
        fmt_util_files_free(files, n);
        failures += r < 0;
    }
    ck_assert_int_eq(r, 0);
    ck_assert_uint_gt(failures, 10);
    must_ok(load_whole(2, &back, &err));
    snapshot_equal(&more, &back);
    fmt_snapshot_done(&back);
    fmt_snapshot_done(&more);
    fmt_snapshot_done(&s);
}
END_TEST

/* ------------------------------------------------------------------------------------- foreign */

START_TEST(test_foreign_names_in_roots_are_ignored)
{
    static const char *const names[] = {"roots/2.root",
                                        "roots/00000000000000000002.root~",
                                        "roots/0000000000000000000a.root",
                                        "roots/.00000000000000000002.root",
                                        "roots/99999999999999999999.root",
                                        "roots/00000000000000000002.ROOT",
                                        "roots/00000000000000000000.root",
                                        "roots/README",
                                        "roots/+0000000000000000002.root",
                                        "roots/000000000000000000002.root"};
    uint64_t number;

    must_ok(fmt_newest_root(dirfd_, &number, &err));
    ck_assert_uint_eq(number, 0);
    must_ok(fmt_dataset_mkdirs(dirfd_, &err));
    for (size_t i = 0; i < BASE_ARRAY_LEN(names); i++) {
        fmt_util_write(dirfd_, names[i], "x", 1);
        must_ok(fmt_newest_root(dirfd_, &number, &err));
        ck_assert_msg(number == 0, "%s counts as %" PRIu64, names[i], number);
    }
    fmt_util_write(dirfd_, "roots/18446744073709551615.root", "x", 1);
    must_ok(fmt_newest_root(dirfd_, &number, &err));
    ck_assert_uint_eq(number, UINT64_MAX);
}
END_TEST

START_TEST(test_damaged_newest_root_is_an_error_not_a_step_back)
{
    static const char root2[] = "roots/00000000000000000002.root";
    struct base_buf b = {0};
    struct fmt_snapshot s;
    struct shard_dataset *ds;

    must_ok(fmt_dataset_mkdirs(dirfd_, &err));
    invent(&s, 2, 2);
    must_ok(fmt_publish(dirfd_, 0, &s, &err));
    must_ok(fmt_publish(dirfd_, 1, &s, &err));
    fmt_snapshot_done(&s);
    fmt_util_read(dirfd_, root2, &b);
    b.data[b.len / 2] ^= 4;
    ck_assert_int_eq(unlinkat(dirfd_, root2, 0), 0);
    fmt_util_write(dirfd_, root2, b.data, b.len);
    ck_assert_int_lt(shard_dataset_open(dir, &ds, &err), 0);
    ck_assert_msg(strstr(err.text, root2) != NULL, "%s", err.text);
    ck_assert_msg(strstr(err.text, dir) != NULL, "%s", err.text);
    fmt_util_write(dirfd_, root2, "", 0);
    ck_assert_int_lt(shard_dataset_open(dir, &ds, &err), 0);
    ck_assert_msg(strstr(err.text, root2) != NULL, "%s", err.text);
    ck_assert_int_eq(unlinkat(dirfd_, root2, 0), 0);
    ck_assert_int_eq(mkdirat(dirfd_, root2, 0777), 0);
    ck_assert_int_lt(shard_dataset_open(dir, &ds, &err), 0);
    ck_assert_msg(strstr(err.text, root2) != NULL, "%s", err.text);
    ck_assert_int_eq(unlinkat(dirfd_, root2, AT_REMOVEDIR), 0);
    ck_assert_int_eq(mkfifoat(dirfd_, root2, 0666), 0); /* does not hang */
    ck_assert_int_lt(shard_dataset_open(dir, &ds, &err), 0);
    ck_assert_msg(strstr(err.text, root2) != NULL, "%s", err.text);
    base_buf_done(&b);
}
END_TEST

START_TEST(test_copied_root_is_an_error)
{
    struct base_buf b = {0};
    struct fmt_snapshot s;

    must_ok(fmt_dataset_mkdirs(dirfd_, &err));
    invent(&s, 2, 2);
    must_ok(fmt_publish(dirfd_, 0, &s, &err));
    fmt_snapshot_done(&s);
    fmt_util_read(dirfd_, "roots/00000000000000000001.root", &b);
    fmt_util_write(dirfd_, "roots/00000000000000000003.root", b.data, b.len);
    must_fail(load_whole(3, &s, &err), SHARD_ECORRUPT, "renamed or copied");
    base_buf_done(&b);
}
END_TEST

START_TEST(test_wrong_shard_file_is_named)
{
    /* Numbers without any order, in enough shards that two have the same size. */
    const struct fmt_util_spec spec = {.columns = "u:uint64,d:float64", .n_shards = 60, .seed = 2};
    struct base_buf mine = {0}, other = {0};
    const struct fmt_shard_entry *e;
    struct shard_dataset *ds;
    struct shard_group *g;
    const char *path;
    uint32_t one = 0, twin = 0;

    must_ok(fmt_util_make(dir, &spec, &err));
    must_ok(shard_dataset_open(dir, &ds, &err));
    ck_assert_int_eq(shard_group_new(&g), 0);
    e = fmt_dataset_snapshot(ds)->shards;
    while (twin == one || e[twin].file_bytes != e[one].file_bytes) {
        if (++twin < 60)
            continue;
        twin = 0;
        ck_assert_uint_lt(++one, 60);
    }
    path = e[one].path;
    fmt_util_read(dirfd_, path, &mine);
    fmt_util_read(dirfd_, e[twin].path, &other);

    ck_assert_int_eq(unlinkat(dirfd_, path, 0), 0);
    must_fail(shard_dataset_read_group(ds, one, NULL, 0, g, &err), -ENOENT, path);
    fmt_util_write(dirfd_, path, mine.data, mine.len - 1);
    must_fail(shard_dataset_read_group(ds, one, NULL, 0, g, &err), SHARD_ETRUNC, path);
    fmt_util_write(dirfd_, path, mine.data, mine.len + 1);
    must_fail(shard_dataset_read_group(ds, one, NULL, 0, g, &err), SHARD_ECORRUPT, path);
    /* Another shard of the same dataset, whole and sound: */
    fmt_util_write(dirfd_, path, other.data, other.len);
    must_fail(shard_dataset_read_group(ds, one, NULL, 0, g, &err), SHARD_ECHECKSUM, path);
    fmt_util_write(dirfd_, path, mine.data, mine.len);
    must_ok(shard_dataset_read_group(ds, one, NULL, 0, g, &err)); /* and it goes on */
    base_buf_done(&mine);
    base_buf_done(&other);
    shard_group_free(g);
    shard_dataset_close(ds);
}
END_TEST

/* ------------------------------------------------------------------------------------- hostile */

START_TEST(test_paths_stay_in_their_folder)
{
    static const char *const good[] = {"shards/a", "shards/train-0f.shard", "shards/A_b-c.9"};
    static const char *const bad[] = {"",
                                      "shards",
                                      "shards/",
                                      "/etc/passwd",
                                      "shards/..",
                                      "shards/.",
                                      "shards/../roots/x",
                                      "shards/a/b",
                                      "shards//a",
                                      "shards/.hidden",
                                      "../shards/a",
                                      "segments/a",
                                      "Shards/a",
                                      "shards/a b",
                                      "shards/a\nb",
                                      "shards/a\\b",
                                      "shards/\xc3\xa4",
                                      "./shards/a",
                                      "shardsx/a"};
    char path[400];

    for (size_t i = 0; i < BASE_ARRAY_LEN(good); i++)
        ck_assert_msg(fmt_path_ok(good[i], FMT_DIR_SHARDS), "%s", good[i]);
    for (size_t i = 0; i < BASE_ARRAY_LEN(bad); i++)
        ck_assert_msg(!fmt_path_ok(bad[i], FMT_DIR_SHARDS), "%s", bad[i]);
    memset(path, 'a', sizeof(path));
    memcpy(path, "shards/", 7);
    path[FMT_PATH_MAX] = '\0';
    ck_assert(fmt_path_ok(path, FMT_DIR_SHARDS));
    path[FMT_PATH_MAX] = 'a';
    path[FMT_PATH_MAX + 1] = '\0';
    ck_assert(!fmt_path_ok(path, FMT_DIR_SHARDS));
}
END_TEST

START_TEST(test_labels_become_harmless_names)
{
    static const struct {
        const char *label, *want;
    } cases[] = {{"train", "shards/train-"},
                 {"", "shards/0"},
                 {"../x y", "shards/_._x_y-"},
                 {"\xc3\xa4", "shards/__-"}};
    char path[256];

    must_ok(fmt_dataset_mkdirs(dirfd_, &err));
    for (size_t i = 0; i < BASE_ARRAY_LEN(cases); i++) {
        fmt_util_write(dirfd_, "tmp/x", "x", 1);
        must_ok(fmt_shard_place(dirfd_, "tmp/x", FMT_DIR_SHARDS, cases[i].label,
                                (struct base_hash128){1, 2}, path, &err));
        ck_assert_msg(strncmp(path, cases[i].want, strlen(cases[i].want)) == 0, "%s", path);
        ck_assert_int_eq(faccessat(dirfd_, path, R_OK, 0), 0);
    }
    ck_assert_str_eq(path, "shards/__-00000000000000020000000000000001.shard");
    ck_assert_int_lt(fmt_shard_place(dirfd_, "tmp/none", FMT_DIR_SHARDS, "", no_hash, path, &err),
                     0);
}
END_TEST

START_TEST(test_utf8)
{
    static const char *const good[] = {"",
                                       "abc",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xe2\x82",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf8\x88\x80\x80\x80",
                                      "\xff",
                                      "a\xc2z"};

    for (size_t i = 0; i < BASE_ARRAY_LEN(good); i++)
        ck_assert_msg(fmt_utf8_ok(good[i], strlen(good[i])), "good %zu", i);
    for (size_t i = 0; i < BASE_ARRAY_LEN(bad); i++)
        ck_assert_msg(!fmt_utf8_ok(bad[i], strlen(bad[i])), "bad %zu", i);
}
END_TEST

START_TEST(test_writers_cannot_list_what_no_reader_takes)
{
    uint32_t rows[] = {5, 5};
    struct fmt_shard_info info = {
        .n_rows = 10, .file_bytes = 100, .footer_bytes = 10, .n_groups = 2, .group_rows = rows};
    struct fmt_snapshot s;

    fmt_snapshot_init(&s);
    ck_assert_int_eq(fmt_snapshot_add_shard(&s, "shards/../x", "train", &info), -EINVAL);
    ck_assert_int_eq(fmt_snapshot_add_shard(&s, "quarantine/x", "train", &info), -EINVAL);
    ck_assert_int_eq(fmt_snapshot_add_shard(&s, "shards/x", "", &info), -EINVAL);
    ck_assert_int_eq(fmt_snapshot_add_shard(&s, "shards/x", "a\nb", &info), -EINVAL);
    ck_assert_int_eq(fmt_snapshot_add_reject(&s, "shards/x", &info), -EINVAL);
    ck_assert_int_eq(fmt_snapshot_add_fact(&s, "segment", "", 0, 0, no_hash, ""), -EINVAL);
    ck_assert_int_eq(fmt_snapshot_add_fact(&s, "!x", "", 0, 0, no_hash, ""), -EINVAL);
    ck_assert_int_eq(fmt_snapshot_add_fact(&s, "", "", 0, 0, no_hash, ""), -EINVAL);
    rows[1] = 4;
    ck_assert_int_eq(fmt_snapshot_add_shard(&s, "shards/x", "train", &info), -EINVAL);
    rows[1] = 5;
    ck_assert_uint_eq(s.n_shards, 0);
    ck_assert_int_eq(fmt_snapshot_add_shard(&s, "shards/x", "train", &info), 0);
    ck_assert_uint_eq(fmt_snapshot_rows(&s), 10);
    fmt_snapshot_done(&s);
}
END_TEST

/* A root made of facts that a writer would never write. */
struct raw_fact {
    const char *kind, *name;
    uint64_t number;
    const char *text;
    size_t hash_len; /* bytes of the hash cell */
    size_t name_len; /* 0 = strlen(name) */
};

static void
raw_root(const struct raw_fact *facts, size_t n)
{
    static const uint8_t hash[32] = {1, 2, 3};
    static const enum shard_type types[] = {SHARD_TYPE_STRING, SHARD_TYPE_STRING,
                                            SHARD_TYPE_UINT64, SHARD_TYPE_UINT64,
                                            SHARD_TYPE_BINARY, SHARD_TYPE_STRING};
    struct fmt_table_info info;
    struct fmt_schema schema;
    struct fmt_column c[6];
    const uint64_t zero = 0;
    int r = 0;

    must_ok(fmt_dataset_mkdirs(dirfd_, &err));
    must_ok(fmt_util_schema("kind:string,name:string,number:uint64,bytes:uint64,hash:binary,"
                            "text:string",
                            &schema, &err));
    for (int i = 0; i < 6; i++)
        fmt_column_init(&c[i], types[i], 0);
    for (size_t i = 0; i < n; i++) {
        r |= fmt_column_append_bytes(&c[0], facts[i].kind, strlen(facts[i].kind));
        r |= fmt_column_append_bytes(&c[1], facts[i].name,
                                     facts[i].name_len ? facts[i].name_len : strlen(facts[i].name));
        r |= fmt_column_append_number(&c[2], &facts[i].number);
        r |= fmt_column_append_number(&c[3], &zero);
        r |= fmt_column_append_bytes(&c[4], hash, facts[i].hash_len);
        r |= fmt_column_append_bytes(&c[5], facts[i].text, strlen(facts[i].text));
    }
    ck_assert_int_eq(r, 0);
    (void)unlinkat(dirfd_, "roots/00000000000000000001.root", 0);
    must_ok(fmt_table_write(dirfd_, "roots/00000000000000000001.root", &schema, c, 9, &info, &err));
    for (int i = 0; i < 6; i++)
        fmt_column_done(&c[i]);
    fmt_schema_done(&schema);
}

#define FORMAT                                                                                     \
    {                                                                                              \
        "format", "shardline", 2, "", 0, 0                                                         \
    }
#define FINGER                                                                                     \
    {                                                                                              \
        "fingerprint", "", 0, "", 16, 0                                                            \
    }
#define COLUMN                                                                                     \
    {                                                                                              \
        "column", "a", 0, "int32", 0, 0                                                            \
    }

START_TEST(test_hostile_roots_are_refused)
{
    static const struct {
        struct raw_fact facts[6];
        int want;
        const char *word;
    } cases[] = {
        {{FORMAT, FINGER, COLUMN}, 0, ""},
        {{FORMAT, FINGER, COLUMN, {"whatever", "x", 3, "y", 16, 0}}, 0, ""},
        {{FORMAT, FINGER, COLUMN, {"!deletes", "x", 3, "y", 16, 0}}, SHARD_EUNSUPPORTED, "deletes"},
        {{{"format", "", 1, "", 0, 0}, FINGER, COLUMN}, SHARD_EUNSUPPORTED, "version 1"},
        {{{"format", "", 3, "", 0, 0}, FINGER, COLUMN}, SHARD_EUNSUPPORTED, "version 3"},
        {{FINGER, FORMAT, COLUMN}, SHARD_ECORRUPT, "first fact"},
        {{FORMAT, FORMAT, FINGER, COLUMN}, SHARD_ECORRUPT, "out of place"},
        {{FORMAT, COLUMN}, SHARD_ECORRUPT, "no fingerprint"},
        {{FORMAT, FINGER, FINGER, COLUMN}, SHARD_ECORRUPT, "two fingerprints"},
        {{FORMAT, FINGER}, SHARD_ECORRUPT, "no columns"},
        {{FORMAT, FINGER, COLUMN, COLUMN}, SHARD_ECORRUPT, "two columns"},
        {{FORMAT, FINGER, {"column", "a", 0, "int33<x>?", 0, 0}}, 0, ""},
        {{FORMAT, FINGER, {"column", "a", 0, "\xff", 0, 0}}, SHARD_ECORRUPT, "column 0"},
        {{FORMAT, FINGER, {"column", "\xff", 0, "int32", 0, 0}}, SHARD_ECORRUPT, "column 0"},
        {{FORMAT, FINGER, {"column", "a\0b", 0, "int32", 0, 3}}, SHARD_ECORRUPT, "fact 2"},
        {{FORMAT, FINGER, {"column", "a", UINT64_MAX, "int32", 0, 0}}, SHARD_ECORRUPT, "column 0"},
        {{FORMAT, {"fingerprint", "", 0, "", 15, 0}, COLUMN}, SHARD_ECORRUPT, "fact 1"},
        {{FORMAT, {"fingerprint", "", 0, "", 17, 0}, COLUMN}, SHARD_ECORRUPT, "fact 1"},
        {{FORMAT, FINGER, COLUMN, {"split", "s", 5, "", 0, 0}}, SHARD_ECORRUPT, "rows"},
        {{FORMAT, FINGER, COLUMN, {"split", "s", 0, "", 0, 0}}, 0, ""},
        {{FORMAT, FINGER, COLUMN, {"split", "s", 0, "", 0, 0}, {"split", "s", 0, "", 0, 0}},
         SHARD_ECORRUPT,
         "split 1"},
        {{FORMAT,
          FINGER,
          COLUMN,
          {"split", "s", UINT64_MAX, "", 0, 0},
          {"split", "t", 1, "", 0, 0}},
         SHARD_ECORRUPT,
         "split 1"},
        {{FORMAT, FINGER, COLUMN, {"split", "", 0, "", 0, 0}}, SHARD_ECORRUPT, "split 0"},
        {{FORMAT, FINGER, COLUMN, {"parent", "", 1, "", 16, 0}}, SHARD_ECORRUPT, "renamed"},
        {{FORMAT, FINGER, COLUMN, {"parent", "", UINT64_MAX, "", 16, 0}}, SHARD_ECORRUPT, "rename"},
        {{FORMAT, FINGER, COLUMN, {"parent", "", 0, "", 16, 0}}, SHARD_ECORRUPT, "parent"},
        {{FORMAT, FINGER, COLUMN, {"segment", "segments/../../x", 1, "", 16, 0}},
         SHARD_ECORRUPT,
         "segment 0"},
        {{FORMAT,
          FINGER,
          COLUMN,
          {"segment", "segments/00000000000000000000000000030202.seg", 0, "", 16, 0}},
         SHARD_ECORRUPT,
         "segment 0"},
        {{FORMAT, FINGER, COLUMN, {"quarantine", "quarantine/../shards/x", 1, "", 16, 0}},
         SHARD_ECORRUPT,
         "quarantine file 0"},
        {{FORMAT, FINGER, COLUMN, {"quarantine", "/etc/passwd", 1, "", 16, 0}},
         SHARD_ECORRUPT,
         "quarantine file 0"},
        {{FORMAT, FINGER, COLUMN, {"quarantine", "quarantine/x.shard", 1, "", 16, 0}}, 0, ""},
    };

    for (size_t i = 0; i < BASE_ARRAY_LEN(cases); i++) {
        struct fmt_snapshot s;
        size_t n = 0;
        int r;

        while (n < 6 && cases[i].facts[n].kind)
            n++;
        raw_root(cases[i].facts, n);
        memset(&err, 0, sizeof(err));
        r = load_whole(1, &s, &err);
        ck_assert_msg(r == cases[i].want, "case %zu gave %d, %s", i, r, err.text);
        ck_assert_msg(strstr(err.text, cases[i].word) != NULL, "case %zu says %s", i, err.text);
        if (r < 0)
            ck_assert_msg(strstr(err.text, "roots/00000000000000000001.root") != NULL,
                          "case %zu says %s", i, err.text);
        if (r >= 0)
            fmt_snapshot_done(&s);
    }
}
END_TEST

/* Give an entry statistics of n columns, all the same. */
static void
put_stats(struct fmt_shard_entry *e, uint32_t n, uint32_t column, uint64_t n_nulls)
{
    static uint8_t spare[48 * 66];

    e->stats = spare;
    memset(spare, 0, sizeof(spare));
    ck_assert_uint_le(n * 48, sizeof(spare));
    e->stats_len = n * 48;
    for (uint32_t i = 0; i < n; i++) {
        base_store_le32(e->stats + 48 * (size_t)i, column + (n > 2 ? i : 0));
        base_store_le64(e->stats + 48 * (size_t)i + 8, n_nulls);
    }
}

/* Ways to bend the entries of a snapshot that no writer would. */
static void
bend(struct fmt_snapshot *s, int how)
{
    struct fmt_shard_entry *e = &s->shards[1];
    static const char *const paths[] = {
        "../outside", "/etc/passwd", "shards/../x", "shards/a/b", "segments/x", "", "shards/"};

    if (how < 7) {
        e->path = paths[how];
        return;
    }
    switch (how) {
    case 7: /* a split that the root does not name */
        e->split = "other";
        break;
    case 8: /* rows that the groups do not have */
        e->n_rows++;
        s->splits[e->split_index].n_rows++;
        break;
    case 9: /* a row group of nothing */
        e->group_rows[0] += e->group_rows[1];
        e->group_rows[1] = 0;
        break;
    case 10: /* sums that overflow */
        e->n_rows = UINT64_MAX;
        break;
    case 11: /* a footer longer than its file */
        e->footer_bytes = 1000;
        e->file_bytes = 999;
        break;
    case 12: /* splits whose rows are not those of their shards */
        s->splits[0].n_rows++;
        s->splits[1].n_rows--;
        break;
    case 13: /* no groups but rows */
        e->n_groups = 0;
        break;
    case 14: /* statistics that are cut off */
        put_stats(e, 1, 0, 0);
        e->stats_len--;
        break;
    case 15: /* those of a column that is not there */
        put_stats(e, 1, 1, 0);
        break;
    case 16: /* those of one column twice */
        put_stats(e, 2, 0, 0);
        break;
    case 17: /* more nulls than rows */
        put_stats(e, 1, 0, e->n_rows + 1);
        break;
    case 18: /* of more columns than are kept */
        put_stats(e, 65, 0, 0);
        break;
    default:
        ck_abort();
    }
}

START_TEST(test_hostile_segments_are_refused)
{
    struct fmt_snapshot s, back;
    struct base_hash128 hash;
    struct fmt_segment *g;
    int r;

    must_ok(fmt_dataset_mkdirs(dirfd_, &err));
    invent(&s, 12, 3);
    bend(&s, _i);
    g = fmt_snapshot_new_segment(&s);
    must_ok(fmt_segment_write(dirfd_, &s, 0, s.n_shards, g, &err));
    g->n_rows = fmt_snapshot_rows(&s);
    must_ok(fmt_root_write(dirfd_, "roots/00000000000000000001.root", &s, &hash, &err));
    r = load_whole(1, &back, &err);
    ck_assert_msg(r == SHARD_ECORRUPT, "%d: %s", r, err.text);
    ck_assert_msg(strstr(err.text, _i == 12 ? "roots/" : "segments/") != NULL, "%s", err.text);
    fmt_snapshot_done(&s);
}
END_TEST

/* A megabyte of one letter compresses to nothing: a small root that fills the memory. No writer may
 * publish one, as no reader would open it. */
START_TEST(test_root_that_explodes_is_refused)
{
    struct fmt_snapshot s, more;
    char *text = malloc(FMT_FACT_TEXT_MAX + 2);
    uint64_t number;

    ck_assert_ptr_nonnull(text);
    memset(text, 'a', FMT_FACT_TEXT_MAX + 1);
    text[FMT_FACT_TEXT_MAX + 1] = '\0';
    must_ok(fmt_dataset_mkdirs(dirfd_, &err));
    invent(&s, 2, 2);
    must_ok(fmt_publish(dirfd_, 0, &s, &err));
    invent(&more, 2, 2);
    ck_assert_int_eq(fmt_snapshot_add_fact(&more, "x", "", 0, 0, no_hash, text), -EINVAL);
    text[FMT_FACT_TEXT_MAX] = '\0';
    ck_assert_int_eq(fmt_snapshot_add_fact(&more, "x", "", 0, 0, no_hash, text), 0);
    must_ok(fmt_publish(dirfd_, 1, &more, &err)); /* one is fine, and stays in line */
    for (int i = 0; i < 40; i++)
        ck_assert_int_eq(fmt_snapshot_add_fact(&more, "x", "", 0, 0, no_hash, text), 0);
    must_fail(fmt_publish(dirfd_, 2, &more, &err), SHARD_ELIMIT, "more than this build takes");
    must_ok(fmt_newest_root(dirfd_, &number, &err));
    ck_assert_uint_eq(number, 2);
    fmt_snapshot_done(&s);
    fmt_snapshot_done(&more);
    free(text);
}
END_TEST

START_TEST(test_wrong_segment_is_named)
{
    struct fmt_snapshot a, b, back;
    char mine[FMT_SEGMENT_PATH_MAX], other[FMT_SEGMENT_PATH_MAX];
    struct base_buf buf = {0};

    must_ok(fmt_dataset_mkdirs(dirfd_, &err));
    invent(&a, 2, 2);
    must_ok(fmt_publish(dirfd_, 0, &a, &err));
    invent(&b, 3, 2);
    must_ok(fmt_publish(dirfd_, 1, &b, &err));
    fmt_segment_path(a.segments[0].hash, other);
    fmt_segment_path(b.segments[0].hash, mine);
    fmt_util_read(dirfd_, other, &buf);
    fmt_util_write(dirfd_, mine, buf.data, buf.len); /* sound, but another one */
    must_fail(load_whole(2, &back, &err), SHARD_ECHECKSUM, mine);
    ck_assert_int_eq(unlinkat(dirfd_, mine, 0), 0);
    must_fail(load_whole(2, &back, &err), -ENOENT, mine);
    fmt_util_read(dirfd_, "roots/00000000000000000001.root", &buf);
    fmt_util_write(dirfd_, mine, buf.data, buf.len); /* a root is no segment */
    must_fail(load_whole(2, &back, &err), SHARD_ECORRUPT, mine);
    base_buf_done(&buf);
    fmt_snapshot_done(&a);
    fmt_snapshot_done(&b);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("snapshot");
    TCase *t = tcase_create("back");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_published_snapshot_loads_equal);
    tcase_add_test(t, test_splits_of_shards_load_equal);
    tcase_add_test(t, test_snapshot_without_rows_loads);
    tcase_add_loop_test(t, test_dataset_gives_the_rows_back, 0, 3);
    tcase_add_test(t, test_many_threads_read_more_shards_than_are_kept_open);
    tcase_add_test(t, test_no_dataset_is_not_found);
    tcase_add_test(t, test_same_content_same_bytes);
    tcase_add_loop_test(t, test_second_reader_agrees, 0, 2);
    tcase_add_test(t, test_root_and_segment_of_a_small_dataset_are_small);
    suite_add_tcase(suite, t);

    t = tcase_create("writers");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_second_writer_gets_conflict_and_nothing_is_lost);
    tcase_add_test(t, test_of_many_writers_one_wins);
    tcase_add_test(t, test_append_writes_no_full_segment_again);
    tcase_add_test(t, test_thousand_shards_open_fast);
    tcase_add_loop_test(t, test_writer_killed_at_any_step_leaves_last_snapshot, 0, 7);
    tcase_add_loop_test(t, test_failed_publish_changes_nothing, 0, 4);
    tcase_add_test(t, test_full_disk_at_any_byte_leaves_last_snapshot);
    tcase_add_test(t, test_labels_become_harmless_names);
    tcase_add_test(t, test_writers_cannot_list_what_no_reader_takes);
    suite_add_tcase(suite, t);

    t = tcase_create("foreign");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_foreign_names_in_roots_are_ignored);
    tcase_add_test(t, test_damaged_newest_root_is_an_error_not_a_step_back);
    tcase_add_test(t, test_copied_root_is_an_error);
    tcase_add_test(t, test_wrong_shard_file_is_named);
    tcase_add_test(t, test_wrong_segment_is_named);
    tcase_add_test(t, test_paths_stay_in_their_folder);
    tcase_add_test(t, test_utf8);
    tcase_add_test(t, test_root_that_explodes_is_refused);
    tcase_add_test(t, test_hostile_roots_are_refused);
    tcase_add_loop_test(t, test_hostile_segments_are_refused, 0, 19);
    suite_add_tcase(suite, t);
    return test_run(suite);
}
