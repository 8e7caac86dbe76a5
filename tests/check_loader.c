/* The loader end to end on small datasets: what is served, in which order, under which budgets,
 * and what happens when things go wrong. */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/fs.h"
#include "tests/fmt_util.h"
#include "tests/loader_util.h"
#include "tests/suite.h"

#define ALL_TYPES "row:uint64,b:bool,b2:bool?,i8:int8,i16:int16?,i32:int32,i64:int64?,u8:uint8?,"  \
                  "u16:uint16,u32:uint32?,f:float32?,d:float64,text:string?,t2:string,raw:binary," \
                  "x:list<float32>?,y:list<uint8>,sp:sparse<float32>?,sq:sparse<float64>,h:float16?,"    \
                  "bf:bfloat16,ts:timestamp[ms]?,t3:tensor<float32,2,3>?,t4:tensor<uint8,5>,"        \
                  "ls:list<string>?,lt:list<string>,lh:list<float16>"

static char root[256];

static void
setup(void)
{
    fmt_util_tmpdir(root);
}

static void
teardown(void)
{
    fmt_util_rmtree(root);
}

static void
make(const struct fmt_util_spec *spec, char path[300])
{
    static unsigned n;
    struct shard_error err;

    (void)snprintf(path, 300, "%s/%u", root, n++);
    ck_assert_msg(fmt_util_make(path, spec, &err) == 0, "%s", err.text);
}

static struct shard_loader_opts
options(uint32_t batch, uint32_t parts, uint32_t window)
{
    struct shard_loader_opts o = SHARD_LOADER_OPTS_INIT;

    o.batch_size = batch;
    o.partitions = parts;
    o.window = window;
    o.seed = 42;
    o.threads = 2;
    return o;
}

static void
run_ok(const char *path, const struct shard_loader_opts *o, const struct loader_truth *t,
       struct loader_run *run)
{
    loader_run(path, o, t, run);
    ck_assert_msg(run->status == 0, "%d: %s", run->status, run->err.text);
}

/* ----------------------------------------------------------------------------------- content */

START_TEST(test_every_row_arrives_whole_and_once)
{
    static const struct fmt_util_spec specs[] = {
        {.columns = ALL_TYPES, .n_shards = 3, .groups_per_shard = 5, .rows_per_group = 200,
         .vary = true, .seed = 1, .zstd_level = 3},
        {.columns = ALL_TYPES, .n_shards = 2, .groups_per_shard = 4, .rows_per_group = 333,
         .page_bytes = 4096, .seed = 2},
        {.n_shards = 30, .rows_per_group = 50, .vary = true, .seed = 3, .zstd_level = 1},
    };
    static const uint32_t shapes[][3] = {{16, 4, 2}, {6, 3, 1}, {40, 1, 3}, {64, 64, 2}};
    struct loader_truth t;
    char path[300];
    uint32_t s, shuffle;
    uint64_t i;

    make(&specs[_i], path);
    loader_truth_load(&t, path);
    for (s = 0; s < 4; s++)
        for (shuffle = 0; shuffle < 3; shuffle++) {
            struct shard_loader_opts o = options(shapes[s][0], shapes[s][1], shapes[s][2]);
            struct loader_run run = {.seen = calloc(t.n_rows, 1)};

            o.shuffle = shuffle;
            o.epochs = 2;
            run_ok(path, &o, &t, &run);
            ck_assert_uint_eq(run.rows, 2 * t.n_rows);
            for (i = 0; i < t.n_rows; i++)
                ck_assert_uint_eq(run.seen[i], 2);
            free(run.seen);
        }
    loader_truth_done(&t);
}
END_TEST

/* Every type, whatever the run: contents are compared with the dataset, the order with its oracle. */
START_TEST(test_types_come_alike_in_every_run)
{
    static const struct fmt_util_spec spec = {.columns = ALL_TYPES, .n_shards = 2, .vary = true,
                                              .groups_per_shard = 6, .rows_per_group = 90, .seed = 21,
                                              .zstd_level = 1};
    struct shard_loader_opts o = options(24, 4, 1);
    struct loader_run base = {0}, run = {0};
    struct loader_truth t;
    char path[300];
    uint32_t i;

    make(&spec, path);
    loader_truth_load(&t, path);
    o.shuffle = (uint32_t)_i;
    run_ok(path, &o, &t, &base);
    for (i = 0; i < 12; i++) {
        o.threads = 1 + i % 3;
        o.io = i % 2 ? SHARD_IO_PREAD : SHARD_IO_AUTO;
        o.memory = base.plan.memory_min + (i < 6 ? 0 : 16 << 20);
        run_ok(path, &o, &t, &run);
        ck_assert_uint_eq(run.order_hash, base.order_hash);
        ck_assert_uint_eq(run.rows, t.n_rows);
        ck_assert_uint_le(run.stats.memory_peak, o.memory);
    }
    loader_truth_done(&t);
}
END_TEST

START_TEST(test_columns_come_as_asked_for)
{
    const struct fmt_util_spec spec = {.columns = ALL_TYPES, .groups_per_shard = 6, .seed = 4};
    const char *const names[] = {"sp", "row", "text", "b2"};
    struct shard_loader_opts o = options(32, 2, 1);
    struct shard_loader *l;
    struct loader_run run = {0};
    struct loader_truth t;
    char path[300];
    uint32_t i;

    make(&spec, path);
    loader_truth_load(&t, path);
    o.columns = names;
    o.n_columns = 4;
    run_ok(path, &o, &t, &run);
    ck_assert_uint_eq(run.plan.n_columns, 4);
    ck_assert_int_eq(shard_loader_open(path, &o, &l, NULL), 0);
    for (i = 0; i < 4; i++)
        ck_assert_str_eq(shard_loader_field(l, i)->name, names[i]);
    ck_assert_ptr_null(shard_loader_field(l, 4));
    shard_loader_close(l);
    loader_truth_done(&t);
}
END_TEST

/* A dataset of one column of blobs, most of them over the limit for values in line. */
static void
make_blobs(char path[300], uint32_t n_rows, size_t len)
{
    struct fmt_encode_opts opts = {.zstd_level = 1};
    struct base_codec *codec = NULL;
    struct fmt_shard_info info;
    struct fmt_snapshot snap;
    struct fmt_schema schema;
    struct fmt_column column;
    struct fmt_writer *w = NULL;
    char tmp[FMT_TMP_PATH_MAX], place[256];
    uint8_t *blob = malloc(len);
    uint32_t i, g;
    size_t k;
    int dirfd;

    (void)snprintf(path, 300, "%s/blobs", root);
    ck_assert_int_eq(base_mkdir(AT_FDCWD, path, NULL), 0);
    dirfd = open(path, O_RDONLY | O_DIRECTORY);
    ck_assert_int_eq(fmt_dataset_mkdirs(dirfd, NULL), 0);
    ck_assert_int_eq(fmt_util_schema("blob:binary?", &schema, NULL), 0);
    ck_assert_int_eq(base_codec_new(&codec), 0);
    ck_assert_int_eq(fmt_tmp_path("shard", tmp, NULL), 0);
    ck_assert_int_eq(fmt_writer_open(dirfd, tmp, &schema, &opts, &w, NULL), 0);
    fmt_column_init(&column, SHARD_TYPE_BINARY, 0);
    for (g = 0; g < 3; g++) {
        struct fmt_image *im = NULL;
        struct shard_array a;

        fmt_column_reset(&column);
        for (i = 0; i < n_rows; i++) {
            for (k = 0; k < len; k++)
                blob[k] = (uint8_t)(k * k >> 7 ^ i ^ g << 4);
            if (i % 4 == 3)
                ck_assert_int_eq(fmt_column_append_null(&column), 0);
            else
                ck_assert_int_eq(fmt_column_append_bytes(&column, blob, len - 1000 * (i + g)), 0);
        }
        fmt_column_array(&column, &a);
        ck_assert_int_eq(fmt_image_encode(&schema, &a, &opts, codec, &im, NULL), 0);
        ck_assert_int_eq(fmt_writer_append(w, im, NULL), 0);
        fmt_image_free(im);
    }
    ck_assert_int_eq(fmt_writer_finish(w, &info, NULL), 0);
    fmt_writer_free(w);
    ck_assert_int_eq(fmt_shard_place(dirfd, tmp, FMT_DIR_SHARDS, "train", info.hash, place, NULL),
                     0);
    fmt_snapshot_init(&snap);
    ck_assert_int_eq(fmt_schema_copy(&snap.schema, &schema), 0);
    ck_assert_int_eq(fmt_snapshot_add_shard(&snap, place, "train", &info), 0);
    ck_assert_int_eq(fmt_publish(dirfd, 0, &snap, NULL), 0);
    fmt_snapshot_done(&snap);
    free(info.group_rows);
    fmt_column_done(&column);
    fmt_schema_done(&schema);
    base_codec_free(codec);
    free(blob);
    (void)close(dirfd);
}

START_TEST(test_values_out_of_line_arrive)
{
    struct shard_loader_opts o = options(4, 2, 1);
    struct loader_run run = {0};
    struct loader_truth t;
    char path[300];

    make_blobs(path, 6, 2500000);
    loader_truth_load(&t, path);
    run_ok(path, &o, &t, &run);
    ck_assert_uint_eq(run.rows, 18);
    o.flags = SHARD_LOADER_DIRECT;
    run_ok(path, &o, &t, &run);
    loader_truth_done(&t);
}
END_TEST

/* ------------------------------------------------------------------------------------- order */

static const struct fmt_util_spec order_spec = {
    .columns = "row:uint64,text:string?", .n_shards = 4, .groups_per_shard = 9,
    .rows_per_group = 150, .vary = true, .seed = 5, .zstd_level = 1,
};

START_TEST(test_order_does_not_depend_on_how_it_is_run)
{
    struct loader_run run = {0}, other;
    struct shard_loader_opts o = options(32, 4, 2);
    char path[300];
    uint32_t threads, io;
    uint64_t memory;

    make(&order_spec, path);
    o.epochs = 2;
    o.shuffle = (uint32_t)_i;
    run_ok(path, &o, NULL, &run);
    ck_assert_uint_ne(run.order_hash, 0);
    for (threads = 1; threads <= 3; threads++)
        for (io = SHARD_IO_AUTO; io <= SHARD_IO_PREAD; io++)
            for (memory = run.plan.memory_min; memory < 1u << 30; memory *= 40) {
                memset(&other, 0, sizeof(other));
                o.threads = threads;
                o.io = io;
                o.memory = memory;
                o.flags = threads == 3 ? SHARD_LOADER_DIRECT : 0;
                loader_run(path, &o, NULL, &other);
                if (io == SHARD_IO_URING && other.status < 0 && other.rows == 0) {
                    printf("io_uring is not to be had here: %s\n", other.err.text);
                    continue;
                }
                ck_assert_msg(other.status == 0, "%s", other.err.text);
                ck_assert_uint_eq(run.order_hash, other.order_hash);
            }
    o.seed++;
    run_ok(path, &o, NULL, &other);
    if (o.shuffle == SHARD_SHUFFLE_NONE)
        ck_assert_uint_eq(run.order_hash, other.order_hash);
    else
        ck_assert_uint_ne(run.order_hash, other.order_hash);
}
END_TEST

START_TEST(test_ranks_add_up)
{
    static const uint32_t n_ranks[] = {2, 3, 5, 8};
    struct shard_loader_opts o = options(64, 8, 1);
    struct loader_run run = {0}, part = {0};
    char path[300];
    uint32_t n, rank;

    make(&order_spec, path);
    o.epochs = 2;
    run_ok(path, &o, NULL, &run);
    for (n = 0; n < 4; n++) {
        uint64_t hash = 0, rows = 0;

        o.n_ranks = n_ranks[n];
        for (rank = 0; rank < n_ranks[n]; rank++) {
            memset(&part, 0, sizeof(part));
            o.rank = rank;
            run_ok(path, &o, NULL, &part);
            hash += part.order_hash;
            rows += part.rows;
            ck_assert_uint_eq(part.batches, run.batches);
        }
        ck_assert_uint_eq(hash, run.order_hash);
        ck_assert_uint_eq(rows, run.rows);
    }
}
END_TEST

START_TEST(test_runs_cut_at_any_step_add_up)
{
    struct shard_loader_opts o = options(128, 4, 2);
    struct loader_run run = {0}, part = {0};
    char path[300];
    uint64_t step, total;

    make(&order_spec, path);
    o.epochs = 2;
    o.flags = _i ? SHARD_LOADER_DROP_LAST : 0;
    run_ok(path, &o, NULL, &run);
    total = run.plan.stop_step;
    ck_assert_uint_eq(total, 2 * run.plan.steps_per_epoch);
    for (step = 1; step < total; step++) {
        uint64_t hash;

        o.start_step = 0;
        o.stop_step = step;
        run_ok(path, &o, NULL, &part);
        ck_assert_uint_eq(part.batches, step);
        hash = part.order_hash;
        o.start_step = step;
        o.stop_step = step % 2 ? 0 : total + 10;
        run_ok(path, &o, NULL, &part);
        ck_assert_uint_eq(part.batches, total - step);
        ck_assert_msg(hash + part.order_hash == run.order_hash, "cut at %" PRIu64, step);
    }
}
END_TEST

START_TEST(test_last_step_reads_only_its_windows)
{
    struct shard_loader_opts o = options(32, 4, 1);
    struct loader_run run = {0}, last = {0};
    char path[300];

    make(&order_spec, path);
    run_ok(path, &o, NULL, &run);
    o.start_step = run.plan.stop_step - 1;
    run_ok(path, &o, NULL, &last);
    ck_assert_uint_eq(last.batches, 1);
    ck_assert_uint_le(last.stats.reads, 8); /* 4 partitions, at most 2 windows of 1 group each */
    ck_assert_uint_gt(run.stats.bytes_read, 3 * last.stats.bytes_read);
}
END_TEST

START_TEST(test_reads_are_merged)
{
    struct fmt_util_spec spec = order_spec;
    struct shard_loader_opts o = options(64, 4, 2);
    struct loader_run run = {0};
    char path[300];

    make(&spec, path);
    run_ok(path, &o, NULL, &run);
    ck_assert_uint_lt(run.stats.reads, 36 * 2);
    ck_assert_uint_lt(run.stats.submits, run.stats.reads);
}
END_TEST

/* Of a split permuted whole all row groups are wanted at once: those side by side are one read, but
 * there are always some to overlap. Contents are compared, so what comes stands where it should. */
START_TEST(test_neighbours_are_read_together)
{
    static const struct fmt_util_spec spec = {.columns = "text:string", .n_shards = 2, .vary = true,
                                              .groups_per_shard = 20, .rows_per_group = 300,
                                              .seed = 15};
    struct shard_loader_opts o = options(64, 16, 2);
    struct loader_run run = {0};
    struct loader_truth t;
    char path[300];

    make(&spec, path);
    loader_truth_load(&t, path);
    o.io = _i ? SHARD_IO_PREAD : SHARD_IO_AUTO;
    run_ok(path, &o, &t, &run);
    ck_assert_uint_eq(run.plan.permuted_whole, 1);
    ck_assert_uint_eq(run.rows, t.n_rows);
    ck_assert_uint_lt(run.stats.reads, 40 / 2); /* a column, 40 row groups */
    ck_assert_uint_lt(run.stats.submits, run.stats.reads);
    loader_truth_done(&t);
}
END_TEST

/* ------------------------------------------------------------------------------------- shapes */

START_TEST(test_odd_shapes)
{
    static const struct {
        uint32_t shards, groups, rows, batch, parts, window;
    } cases[] = {
        {1, 1, 1, 1, 1, 1},     {1, 1, 1, 64, 16, 2},    {1, 2, 3, 64, 32, 1},
        {3, 7, 5, 1000, 1, 2},  {3, 7, 5, 1000, 2, 1},   {2, 10, 9, 30, 10, 50},
        {2, 20, 1, 6, 3, 2},    {5, 8, 2, 512, 8, 1},    {4, 16, 33, 7, 7, 4},
        {1, 60, 10, 400, 4, 3}, {20, 3, 4, 300, 3, 1},
    };
    const struct fmt_util_spec spec = {.n_shards = cases[_i].shards, .seed = 6, .vary = true,
                                       .groups_per_shard = cases[_i].groups,
                                       .rows_per_group = cases[_i].rows};
    struct shard_loader_opts o = options(cases[_i].batch, cases[_i].parts, cases[_i].window);
    struct loader_truth t;
    char path[300];
    uint32_t drop, i;

    make(&spec, path);
    loader_truth_load(&t, path);
    for (drop = 0; drop < 2; drop++) {
        struct loader_run run = {.seen = calloc(t.n_rows, 1)};

        o.epochs = 3;
        o.flags = drop ? SHARD_LOADER_DROP_LAST : 0;
        run_ok(path, &o, &t, &run);
        for (i = 0; i < t.n_rows; i++) {
            ck_assert_uint_le(run.seen[i], 3);
            if (!drop)
                ck_assert_uint_eq(run.seen[i], 3);
        }
        if (drop)
            ck_assert_uint_eq(run.rows, run.batches * run.plan.batch_size);
        free(run.seen);
    }
    loader_truth_done(&t);
}
END_TEST

START_TEST(test_empty_split_is_no_batches)
{
    const struct fmt_util_spec spec = {.seed = 7};
    struct shard_loader_opts o = options(8, 2, 1);
    struct loader_run run = {0};
    struct fmt_snapshot snap;
    struct shard_error err;
    char path[300];
    int dirfd;

    (void)snprintf(path, sizeof(path), "%s/empty", root);
    ck_assert_int_eq(base_mkdir(AT_FDCWD, path, NULL), 0);
    dirfd = open(path, O_RDONLY | O_DIRECTORY);
    ck_assert_int_eq(fmt_dataset_mkdirs(dirfd, NULL), 0);
    ck_assert_msg(fmt_util_shards(dirfd, &spec, 0, &snap, &err) == 0, "%s", err.text);
    ck_assert_int_eq(fmt_snapshot_add_split(&snap, "test"), 0);
    ck_assert_msg(fmt_publish(dirfd, 0, &snap, &err) == 0, "%s", err.text);
    fmt_snapshot_done(&snap);
    (void)close(dirfd);
    o.split = "test";
    o.epochs = 5;
    run_ok(path, &o, NULL, &run);
    ck_assert_uint_eq(run.batches, 0);
    ck_assert_uint_eq(run.plan.split_rows, 0);
    o.split = NULL; /* train: there are two */
    run_ok(path, &o, NULL, &run);
    ck_assert_uint_eq(run.rows, 500);
}
END_TEST

START_TEST(test_splits_are_apart)
{
    const struct fmt_util_spec spec = {.n_shards = 6, .groups_per_shard = 3, .seed = 8,
                                       .splits = "train,test,validation"};
    static const char *const names[] = {"train", "test", "validation"};
    struct loader_truth t;
    struct loader_run run = {0};
    char path[300];
    uint64_t i;
    uint32_t s;

    make(&spec, path);
    loader_truth_load(&t, path);
    run.seen = calloc(t.n_rows, 1);
    for (s = 0; s < 3; s++) {
        struct shard_loader_opts o = options(10, 2, 1);

        o.split = names[s];
        run_ok(path, &o, &t, &run);
        ck_assert_uint_eq(run.rows, t.n_rows / 3);
    }
    for (i = 0; i < t.n_rows; i++)
        ck_assert_uint_eq(run.seen[i], 1);
    free(run.seen);
    loader_truth_done(&t);
}
END_TEST

START_TEST(test_nonsense_is_refused)
{
    const struct fmt_util_spec spec = {.seed = 9};
    struct shard_loader_opts o;
    const char *const no_column[] = {"row", "nothing"};
    struct shard_loader *l = NULL;
    struct shard_error err;
    char path[300];

    make(&spec, path);
#define REFUSED(code, change)                                                                      \
    do {                                                                                           \
        o = options(32, 4, 2);                                                                     \
        change;                                                                                    \
        err.text[0] = '\0';                                                                        \
        ck_assert_int_eq(shard_loader_open(path, &o, &l, &err), code);                             \
        ck_assert_uint_gt(strlen(err.text), 10);                                                   \
        ck_assert_ptr_null(l);                                                                     \
    } while (0)
    REFUSED(-EINVAL, o.partitions = 5);
    REFUSED(-EINVAL, o.n_ranks = 5);
    REFUSED(-EINVAL, o.rank = 1);
    REFUSED(-EINVAL, o.shuffle = 9);
    REFUSED(-EINVAL, o.io = 9);
    REFUSED(-EINVAL, o.flags = 64);
    REFUSED(-EINVAL, o.reserved = 1);
    REFUSED(-EINVAL, (o.start_step = 3, o.stop_step = 2));
    REFUSED(SHARD_ENOTFOUND, o.split = "nothing");
    REFUSED(SHARD_ENOTFOUND, (o.columns = no_column, o.n_columns = 2));
    REFUSED(-EINVAL, (o.columns = no_column, o.n_columns = 0));
    REFUSED(SHARD_EBUDGET, o.memory = 1000);
#undef REFUSED
    ck_assert_int_eq(shard_loader_open("/nowhere", NULL, &l, &err), SHARD_ENOTFOUND);
}
END_TEST

START_TEST(test_more_partitions_than_memory_are_refused)
{
    const struct fmt_util_spec spec = {.seed = 9};
    struct shard_loader_opts o = options(65537, 65537, 1);
    struct shard_loader *l = NULL;
    char path[300];

    make(&spec, path);
    ck_assert_int_eq(shard_loader_open(path, &o, &l, NULL), -EINVAL);
    ck_assert_ptr_null(l);
    o.partitions = 1;
    ck_assert_int_eq(shard_loader_open(path, &o, &l, NULL), 0);
    shard_loader_close(l);
}
END_TEST

START_TEST(test_options_of_other_versions)
{
    const struct fmt_util_spec spec = {.seed = 9};
    struct {
        struct shard_loader_opts o;
        uint64_t more;
    } newer = {.o = options(32, 4, 2)};
    struct shard_loader *l = NULL;
    struct shard_loader_plan plan;
    char path[300];

    make(&spec, path);
    newer.o.struct_size = sizeof(newer);
    ck_assert_int_eq(shard_loader_open(path, &newer.o, &l, NULL), 0);
    shard_loader_close(l);
    newer.more = 1;
    ck_assert_int_eq(shard_loader_open(path, &newer.o, &l, NULL), -E2BIG);
    newer.o.struct_size = 8; /* knew no more than the batch size */
    ck_assert_int_eq(shard_loader_open(path, &newer.o, &l, NULL), 0);
    shard_loader_get_plan(l, &plan);
    ck_assert_uint_eq(plan.batch_size, 32);
    ck_assert_uint_eq(plan.partitions, 16);
    shard_loader_close(l);
    ck_assert_int_eq(shard_loader_open(path, NULL, &l, NULL), 0);
    shard_loader_get_plan(l, &plan);
    ck_assert_uint_eq(plan.batch_size, 256);
    shard_loader_close(l);
}
END_TEST

/* Small row groups behind a large one: all windows of a partition end in the very step that needs
 * the next one. None closes before it, so nobody would open that one later. */
START_TEST(test_small_windows_behind_a_large_one_do_not_hang)
{
    static const uint32_t rows[][6] = {{10008, 1, 1, 1, 1, 1000}, {10001, 3, 3, 3, 3, 2000}};
    const struct fmt_util_spec spec = {.columns = "row:uint64", .groups_per_shard = 6,
                                       .group_rows = rows[_i], .seed = 13};
    struct shard_loader_opts o = options(16, 1, 1);
    struct loader_run run = {0};
    struct loader_truth t;
    char path[300];

    make(&spec, path);
    loader_truth_load(&t, path);
    o.shuffle = SHARD_SHUFFLE_NONE;
    for (o.threads = 1; o.threads <= 2; o.threads++) {
        run_ok(path, &o, &t, &run);
        ck_assert_uint_eq(run.rows, t.n_rows);
    }
    loader_truth_done(&t);
}
END_TEST

/* ------------------------------------------------------------------------------------- memory */

static const struct fmt_util_spec big_spec = {
    .columns = "row:uint64,text:string?,x:list<float32>", .n_shards = 2, .groups_per_shard = 14,
    .rows_per_group = 6000, .vary = true, .seed = 10, .zstd_level = 1,
};

START_TEST(test_smallest_budget_works_and_no_smaller)
{
    static const uint32_t shapes[][3] = {{64, 4, 1}, {64, 4, 2}, {4096, 2, 3}, {30000, 3, 1},
                                         {20000, 1, 1}, {64, 16, 8}};
    struct shard_loader_opts o = options(shapes[_i][0], shapes[_i][1], shapes[_i][2]);
    struct loader_run run = {0}, small = {0};
    char path[300], number[32];

    make(&big_spec, path);
    o.epochs = 2;
    run_ok(path, &o, NULL, &run);
    o.memory = run.plan.memory_min;
    run_ok(path, &o, NULL, &small);
    ck_assert_uint_eq(run.order_hash, small.order_hash);
    ck_assert_uint_le(small.stats.memory_peak, o.memory);
    o.memory--;
    loader_run(path, &o, NULL, &small);
    ck_assert_int_eq(small.status, SHARD_EBUDGET);
    (void)snprintf(number, sizeof(number), "%" PRIu64, run.plan.memory_min);
    ck_assert_ptr_nonnull(strstr(small.err.text, number));
}
END_TEST

/* Footers are memory, too: of many shards with many columns only some are open at a time. */
START_TEST(test_footers_stay_in_the_budget)
{
    struct fmt_util_spec spec = {.n_shards = 24, .groups_per_shard = 3, .rows_per_group = 5,
                                 .seed = 14};
    struct shard_loader_opts o = options(20, _i ? 4 : 1, 1);
    struct loader_run run = {0}, small = {0};
    static char columns[16 * 700];
    char path[300];
    size_t len;
    uint32_t i;

    len = (size_t)snprintf(columns, sizeof(columns), "row:uint64");
    for (i = 0; i < 700; i++)
        len += (size_t)snprintf(columns + len, sizeof(columns) - len, ",c%" PRIu32 ":int8", i);
    spec.columns = columns;
    make(&spec, path);
    o.shuffle = _i ? SHARD_SHUFFLE_WINDOW : SHARD_SHUFFLE_NONE;
    run_ok(path, &o, NULL, &run);
    o.memory = run.plan.memory_min;
    run_ok(path, &o, NULL, &small);
    ck_assert_uint_eq(run.order_hash, small.order_hash);
    ck_assert_uint_le(small.stats.memory_peak, o.memory);
}
END_TEST

/* Batches are counted by the rows that they hold, not by the average row. */
START_TEST(test_long_rows_at_the_end_stay_in_the_budget)
{
    static const struct fmt_util_spec spec = {.columns = "row:uint64,late:string",
                                              .groups_per_shard = 24, .rows_per_group = 200,
                                              .seed = 11, .zstd_level = 1};
    struct shard_loader_opts o = options(_i ? 400 : 50, 1, 2);
    struct loader_run run = {0}, small = {0};
    struct loader_truth t;
    char path[300];

    make(&spec, path);
    loader_truth_load(&t, path);
    o.shuffle = SHARD_SHUFFLE_NONE;
    run_ok(path, &o, NULL, &run);
    o.memory = run.plan.memory_min;
    run_ok(path, &o, &t, &small);
    ck_assert_uint_eq(run.order_hash, small.order_hash);
    ck_assert_uint_le(small.stats.memory_peak, o.memory);
    loader_truth_done(&t);
}
END_TEST

/* All long rows of a row group in a few steps, of all partitions at once: the average of their row
 * group says nothing of them, and the plan cannot know. */
START_TEST(test_clumps_of_long_rows_exceed_the_budget_by_two_steps)
{
    static const struct fmt_util_spec spec = {.columns = "row:uint64,clump:string",
                                              .groups_per_shard = 8,
                                              .rows_per_group = FMT_UTIL_CLUMP_ROWS,
                                              .seed = 15, .zstd_level = 1};
    struct shard_loader_opts o = options(16, 4, 1);
    const uint64_t step = 16 * (160 << 10); /* the longest; the consumer has one, too */
    struct loader_run run = {0}, small = {0};
    char path[300];

    make(&spec, path);
    o.shuffle = SHARD_SHUFFLE_NONE;
    run_ok(path, &o, NULL, &run);
    for (o.memory = run.plan.memory_min; o.memory < 200u << 20; o.memory += 48u << 20) {
        run_ok(path, &o, NULL, &small);
        ck_assert_uint_eq(run.order_hash, small.order_hash);
        ck_assert_msg(small.stats.memory_peak <= o.memory + 2 * step + (1 << 20), "%" PRIu64
                      " of %" PRIu64, small.stats.memory_peak, o.memory);
    }
}
END_TEST

/* They are not in the pages that the footer tells of, and are still paid for. */
START_TEST(test_out_of_line_values_have_room_in_the_smallest_budget)
{
    static const struct fmt_util_spec spec = {.columns = "row:uint64,huge:string,text:string?",
                                              .groups_per_shard = 8, .rows_per_group = 200,
                                              .seed = 12, .zstd_level = 1};
    struct shard_loader_opts o = options(4, _i ? 1 : 2, 1);
    struct loader_run run = {0}, small = {0};
    char path[300];

    make(&spec, path);
    o.shuffle = _i ? SHARD_SHUFFLE_FULL : SHARD_SHUFFLE_WINDOW;
    run_ok(path, &o, NULL, &run);
    ck_assert_uint_lt(run.plan.memory_min, 64u << 20); /* values of 36 MB, and pages of nothing */
    o.memory = run.plan.memory_min;
    run_ok(path, &o, NULL, &small);
    ck_assert_uint_eq(run.order_hash, small.order_hash);
}
END_TEST

/* Of few long rows there is one batch, however many rows would fit in it: the budget is for what there
 * is. */
START_TEST(test_few_large_values_need_no_more_than_they_are)
{
    struct shard_loader_opts o = options(_i ? 1 : 100000, 1, 2);
    struct loader_run run = {0}, small = {0};
    const uint64_t data = UINT64_C(3) * 3 * (3 << 20); /* 3 row groups of 3 values and a null */
    char path[300];

    make_blobs(path, 4, 3 << 20);
    run_ok(path, &o, NULL, &run);
    ck_assert_uint_eq(run.rows, 12);
    ck_assert_uint_lt(run.plan.memory_min, 3 * data);
    ck_assert_uint_gt(run.plan.memory_min, data);
    o.memory = run.plan.memory_min;
    run_ok(path, &o, NULL, &small);
    ck_assert_uint_eq(run.order_hash, small.order_hash);
    ck_assert_uint_le(small.stats.memory_peak, o.memory);
}
END_TEST

START_TEST(test_small_data_is_read_once)
{
    struct shard_loader_opts o = options(64, 16, 2);
    struct loader_run once = {0}, run = {0};
    char path[300];

    make(&big_spec, path);
    run_ok(path, &o, NULL, &once);
    ck_assert_uint_eq(once.plan.permuted_whole, 1);
    ck_assert_uint_lt(once.stats.reads, 28);
    o.epochs = 4;
    run_ok(path, &o, NULL, &run);
    ck_assert_uint_le(run.stats.reads, 28);
    ck_assert_uint_lt(run.stats.bytes_read, once.stats.bytes_read + 28 * 64); /* and gaps */
    o.partitions = 2; /* windows, but all fits */
    run_ok(path, &o, NULL, &run);
    ck_assert_uint_eq(run.plan.permuted_whole, 0);
    ck_assert_uint_le(run.stats.reads, 28);
    ck_assert_uint_lt(run.stats.bytes_read, once.stats.bytes_read + 28 * 64);
}
END_TEST

START_TEST(test_batches_outlive_the_loader)
{
    struct shard_loader_opts o = options(500, 2, 1);
    struct shard_batch *batches[400];
    struct shard_loader *l;
    struct shard_loader_plan plan;
    struct loader_truth t;
    char path[300];
    uint32_t n = 0, i, k;
    uint64_t bad;
    int r;

    make(&big_spec, path);
    loader_truth_load(&t, path);
    ck_assert_int_eq(shard_loader_open(path, &o, &l, NULL), 0);
    shard_loader_get_plan(l, &plan);
    shard_loader_close(l);
    o.memory = plan.memory_min; /* the consumer keeps more than the budget holds */
    ck_assert_int_eq(shard_loader_open(path, &o, &l, NULL), 0);
    while (n < 400 && (r = shard_loader_next(l, &batches[n], 20000, NULL)) == 1)
        n++;
    ck_assert_uint_gt(n, 200);
    ck_assert_int_eq(r, 0);
    shard_loader_close(l);
    for (k = 0; k < n; k++) {
        const uint64_t *rows = shard_batch_row_numbers(batches[k]);

        ck_assert_ptr_eq(shard_batch_ref(batches[k]), batches[k]);
        for (i = 0; i < shard_batch_n_rows(batches[k]); i += 50)
            ck_assert(fmt_util_equal(shard_batch_array(batches[k], 1), i, &t.arrays[1], rows[i], 1,
                                     &bad));
        shard_batch_unref(batches[k]);
        shard_batch_unref(batches[k]);
    }
    loader_truth_done(&t);
}
END_TEST

/* ------------------------------------------------------------------------------------- damage */

/* Change one byte of the first shard's first page. */
static void
damage(const char *path, uint64_t off, bool cut)
{
    struct base_buf buf = {0};
    size_t n, i;
    char **files = fmt_util_files(path, &n);
    int dirfd = open(path, O_RDONLY | O_DIRECTORY);

    for (i = 0; i < n && strncmp(files[i], FMT_DIR_SHARDS, strlen(FMT_DIR_SHARDS)) != 0; i++)
        ;
    ck_assert_uint_lt(i, n);
    fmt_util_read(dirfd, files[i], &buf);
    buf.data[off] ^= 4;
    fmt_util_write(dirfd, files[i], buf.data, cut ? buf.len / 2 : buf.len);
    base_buf_done(&buf);
    fmt_util_files_free(files, n);
    (void)close(dirfd);
}

START_TEST(test_damage_surfaces_with_its_place)
{
    struct shard_loader_opts o = options(64, 2, 1);
    struct loader_run run = {0};
    struct loader_truth t;
    struct shard_dataset *ds;
    const struct fmt_shard_entry *e;
    struct fmt_footer *f;
    char path[300];
    int fd;

    make(&order_spec, path);
    loader_truth_load(&t, path);
    ck_assert_int_eq(shard_dataset_open(path, &ds, NULL), 0);
    e = &fmt_dataset_snapshot(ds)->shards[0];
    ck_assert_int_eq(fmt_shard_open(fmt_dataset_dirfd(ds), e, NULL, &fd, &f, NULL), 0);
    {
        struct fmt_footer *g = f;
        uint64_t off, len;

        fmt_chunk_extent(f, 5, 1, &off, &len); /* row group 5, column 1: text */
        ck_assert_uint_gt(len, 0);
        fmt_footer_free(g);
        (void)close(fd);
        {
            int dirfd = fmt_dataset_dirfd(ds);
            struct base_buf buf = {0};

            fmt_util_read(dirfd, e->path, &buf);
            buf.data[off + len / 2] ^= 1;
            fmt_util_write(dirfd, e->path, buf.data, buf.len);
            base_buf_done(&buf);
        }
    }
    o.shuffle = (uint32_t)_i % 3;
    o.memory = _i < 3 ? 0 : 1u << 30;
    loader_run(path, &o, &t, &run); /* what comes before it is checked in there */
    ck_assert_int_eq(run.status, SHARD_ECHECKSUM);
    ck_assert_msg(strstr(run.err.text, e->path) != NULL, "%s", run.err.text);
    ck_assert_msg(strstr(run.err.text, "row group 5") != NULL, "%s", run.err.text);
    ck_assert_msg(strstr(run.err.text, "text") != NULL, "%s", run.err.text);
    shard_dataset_close(ds);
    loader_truth_done(&t);
}
END_TEST

START_TEST(test_broken_shards_are_errors)
{
    struct shard_loader_opts o = options(64, 2, 1);
    struct loader_run run = {0};
    char path[300], shards[400];

    make(&order_spec, path);
    damage(path, 3000, true);
    loader_run(path, &o, NULL, &run);
    ck_assert_msg(run.status < -10000, "%d: %s", run.status, run.err.text);
    ck_assert_ptr_nonnull(strstr(run.err.text, FMT_DIR_SHARDS));
    (void)snprintf(shards, sizeof(shards), "%s/%s", path, FMT_DIR_SHARDS);
    fmt_util_rmtree(shards);
    loader_run(path, &o, NULL, &run);
    ck_assert_int_lt(run.status, 0);
    ck_assert_uint_eq(run.rows, 0);
}
END_TEST

/* -------------------------------------------------------------------------------------- life */

START_TEST(test_close_at_any_moment)
{
    struct shard_loader_opts o = options(64, 4, 2);
    struct timespec pause = {0, 0};
    char path[300];
    uint32_t i, k;

    make(&big_spec, path);
    for (i = 0; i < 60; i++) {
        struct shard_loader *l = NULL;
        struct shard_batch *b;

        o.threads = 1 + i % 3;
        o.io = i % 2 ? SHARD_IO_PREAD : SHARD_IO_AUTO;
        o.epochs = 3;
        o.shuffle = i % 5 == 0;
        ck_assert_int_eq(shard_loader_open(path, &o, &l, NULL), 0);
        pause.tv_nsec = (long)(i * 97 % 40) * 100000;
        (void)nanosleep(&pause, NULL);
        for (k = 0; k < i % 7 * 30; k++) {
            ck_assert_int_eq(shard_loader_next(l, &b, 20000, NULL), 1);
            shard_batch_unref(b);
        }
        shard_loader_close(l);
    }
    shard_loader_close(NULL);
    shard_batch_unref(NULL);
}
END_TEST

START_TEST(test_next_gives_up_in_time)
{
    struct shard_loader_opts o = options(64, 4, 2);
    struct shard_loader *l = NULL;
    struct shard_batch *b;
    uint64_t batches = 0, timeouts = 0;
    char path[300];
    int r;

    make(&big_spec, path);
    ck_assert_int_eq(shard_loader_open(path, &o, &l, NULL), 0);
    while ((r = shard_loader_next(l, &b, 0, NULL)) != 0) {
        if (r == -ETIMEDOUT) {
            timeouts++;
            continue;
        }
        ck_assert_int_eq(r, 1);
        shard_batch_unref(b);
        batches++;
    }
    ck_assert_uint_gt(timeouts, 0); /* nothing can be there right after open */
    ck_assert_uint_gt(batches, 100);
    shard_loader_close(l);
}
END_TEST

START_TEST(test_verdict_names_a_slow_consumer)
{
    struct shard_loader_opts o = options(64, 4, 1);
    struct timespec pause = {0, 1000000};
    struct shard_loader_stats stats;
    struct shard_loader *l = NULL;
    struct shard_batch *b;
    char path[300];
    uint32_t i = 0;

    make(&order_spec, path);
    o.epochs = 100;
    ck_assert_int_eq(shard_loader_open(path, &o, &l, NULL), 0);
    /* Slower and slower, as on a busy machine the loader has to wait for its turn, too. */
    do {
        for (uint32_t end = i + 200; i < end; i++) {
            ck_assert_int_eq(shard_loader_next(l, &b, -1, NULL), 1);
            shard_batch_unref(b);
            (void)nanosleep(&pause, NULL);
        }
        pause.tv_nsec *= 2;
        shard_loader_get_stats(l, &stats);
    } while (stats.limit != SHARD_LIMIT_CONSUMER && i < 1400);
    ck_assert_uint_gt(stats.consumer_ns, 200000000);
    ck_assert_uint_gt(stats.decode_ns, 0);
    ck_assert_uint_gt(stats.gather_ns, 0);
    ck_assert_uint_gt(stats.bytes_read, 0);
    ck_assert_uint_gt(stats.bytes_decoded, 0);
    ck_assert_uint_gt(stats.first_batch_ns, 0);
    ck_assert_str_eq(shard_limit_name(stats.limit), "consumer");
    ck_assert_uint_gt(strlen(shard_limit_advice(stats.limit)), 10);
    shard_loader_close(l);
}
END_TEST

int
main(void)
{
    const struct {
        const char *name;
        const TTest *test;
        int loops;
    } tests[] = {
        {"content", test_every_row_arrives_whole_and_once, 3},
        {"content", test_columns_come_as_asked_for, 1},
        {"content", test_types_come_alike_in_every_run, 3},
        {"content", test_values_out_of_line_arrive, 1},
        {"order", test_order_does_not_depend_on_how_it_is_run, 3},
        {"order", test_ranks_add_up, 1},
        {"order", test_runs_cut_at_any_step_add_up, 2},
        {"order", test_last_step_reads_only_its_windows, 1},
        {"order", test_reads_are_merged, 1},
        {"order", test_neighbours_are_read_together, 2},
        {"shapes", test_odd_shapes, 11},
        {"shapes", test_empty_split_is_no_batches, 1},
        {"shapes", test_splits_are_apart, 1},
        {"shapes", test_nonsense_is_refused, 1},
        {"shapes", test_options_of_other_versions, 1},
        {"shapes", test_more_partitions_than_memory_are_refused, 1},
        {"shapes", test_small_windows_behind_a_large_one_do_not_hang, 2},
        {"memory", test_smallest_budget_works_and_no_smaller, 6},
        {"memory", test_footers_stay_in_the_budget, 2},
        {"memory", test_long_rows_at_the_end_stay_in_the_budget, 2},
        {"memory", test_clumps_of_long_rows_exceed_the_budget_by_two_steps, 1},
        {"memory", test_out_of_line_values_have_room_in_the_smallest_budget, 2},
        {"memory", test_few_large_values_need_no_more_than_they_are, 2},
        {"memory", test_small_data_is_read_once, 1},
        {"memory", test_batches_outlive_the_loader, 1},
        {"damage", test_damage_surfaces_with_its_place, 6},
        {"damage", test_broken_shards_are_errors, 1},
        {"life", test_close_at_any_moment, 1},
        {"life", test_next_gives_up_in_time, 1},
        {"life", test_verdict_names_a_slow_consumer, 1},
    };
    Suite *s = suite_create("loader");
    size_t i;

    for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        TCase *tc = tcase_create(tests[i].name);

        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_set_timeout(tc, 120);
        tcase_add_loop_test(tc, tests[i].test, 0, tests[i].loops);
        suite_add_tcase(s, tc);
    }
    return test_run(s);
}
