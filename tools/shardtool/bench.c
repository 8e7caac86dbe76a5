/* shardtool bench: run the loader as training would, and say how fast it was, what it waited for
 * and what came, as hashes that runs can be compared by. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/fail.h"
#include "lib/report.h"
#include "loader/order.h"
#include "shardfmt/schema.h"
#include "tools/cli.h"
#include "tools/shardtool/shardtool.h"

enum {
    OPT_SPLIT = 1, OPT_COLUMNS, OPT_BATCH, OPT_SEED, OPT_EPOCHS, OPT_PARTITIONS, OPT_WINDOW,
    OPT_SHUFFLE, OPT_THREADS, OPT_MEMORY, OPT_IO, OPT_DIRECT, OPT_RANK, OPT_RANKS, OPT_START,
    OPT_STOP, OPT_DROP_LAST, OPT_STEP_US, OPT_NO_HASH, OPT_PROGRESS,
};

static const struct cli_opt opts[] = {
    {0, "split", "NAME", "which split (the only one, or train)", OPT_SPLIT},
    {0, "columns", "A,B", "which columns (all)", OPT_COLUMNS},
    {0, "batch-size", "N", "rows of a global batch (256)", OPT_BATCH},
    {0, "seed", "N", "of the order (0)", OPT_SEED},
    {0, "epochs", "N", "how often (1)", OPT_EPOCHS},
    {0, "partitions", "N", "streams that an epoch is cut into (gcd(batch size, 16))",
     OPT_PARTITIONS},
    {0, "window", "N", "row groups that are permuted together (2)", OPT_WINDOW},
    {0, "shuffle", "HOW", "none, window or full (window)", OPT_SHUFFLE},
    {0, "threads", "N", "decoding threads (cores)", OPT_THREADS},
    {0, "memory", "SIZE", "budget of the loader (512M, or what the plan needs)", OPT_MEMORY},
    {0, "io", "HOW", "auto, uring or pread (auto)", OPT_IO},
    {0, "direct", NULL, "read past the page cache", OPT_DIRECT},
    {0, "rank", "N", "be this one of ...", OPT_RANK},
    {0, "ranks", "N", "... so many processes (1)", OPT_RANKS},
    {0, "start-step", "N", "first step, counted over all epochs (0)", OPT_START},
    {0, "stop-step", "N", "step to stop before (the end)", OPT_STOP},
    {0, "drop-last", NULL, "leave out steps that are not full in every partition", OPT_DROP_LAST},
    {0, "step-us", "N", "be a consumer that takes so many microseconds per step (0)", OPT_STEP_US},
    {0, "no-hash", NULL, "spend no time on content_hash and order_hash", OPT_NO_HASH},
    CLI_OPT_JSON,
    {0, "progress", "HOW", "auto, always or never", OPT_PROGRESS},
    {0},
};
static const struct cli_usage usage = {
    "DATASET",
    "Stream a dataset through the loader as training would. Prints how fast that went, what limits\n"
    "it, and two hashes: of the rows that came and of the order in which they came.",
    opts, NULL};

#define COLUMNS_MAX 4096
#define SIGNAL_MS   200 /* so often a signal is looked for while no batch comes */

struct bench {
    const char *path;
    struct shard_loader_opts o;
    char *column_list;                  /* owned; o.columns points into it */
    const char *columns[COLUMNS_MAX];
    unsigned step_us;
    bool no_hash;
    enum base_progress_mode progress;

    struct shard_loader_plan plan;
    struct shard_loader_stats stats;
    uint64_t wall_ns, cpu_ns, hash_ns;
    uint64_t content_hash, order_hash;
    uint64_t *row_hashes;               /* of the batch at hand */
    uint32_t row_hashes_cap;
};

/* ----------------------------------------------------------------------------------- options */

/* "A,B" into o.columns; false where there are too many. */
static bool
take_columns(struct bench *b, const char *list)
{
    char *rest, *name;
    uint32_t n = 0;

    free(b->column_list);
    rest = b->column_list = strdup(list);
    while ((name = cli_cut_name(&rest)) != NULL) {
        if (n == COLUMNS_MAX)
            return false;
        b->columns[n++] = name;
    }
    b->o.columns = b->columns;
    b->o.n_columns = n;
    return n > 0;
}

static void
take_option(struct bench *b, struct cli_args *a, int id)
{
    static const char *const shuffles[] = {"window", "none", "full", NULL};
    static const char *const ios[] = {"auto", "uring", "pread", NULL};
    struct shard_loader_opts *o = &b->o;
    int word = -1;

    switch (id) {
    case OPT_SPLIT:
        o->split = a->value;
        break;
    case OPT_COLUMNS:
        if (!take_columns(b, a->value))
            cli_arg_bad(a, "must be 1 to %d names", COLUMNS_MAX);
        break;
    case OPT_BATCH:
        cli_arg_unsigned(a, 1, 1u << 30, &o->batch_size);
        break;
    case OPT_SEED:
        cli_arg_u64(a, 0, UINT64_MAX, &o->seed);
        break;
    case OPT_EPOCHS:
        cli_arg_unsigned(a, 1, UINT32_MAX, &o->epochs);
        break;
    case OPT_PARTITIONS:
        cli_arg_unsigned(a, 1, 65536, &o->partitions);
        break;
    case OPT_WINDOW:
        cli_arg_unsigned(a, 1, UINT32_MAX, &o->window);
        break;
    case OPT_SHUFFLE:
        cli_arg_word(a, shuffles, &word);
        if (word >= 0)
            o->shuffle = (uint32_t)word; /* in the order of enum shard_shuffle */
        break;
    case OPT_THREADS:
        cli_arg_unsigned(a, 1, 1024, &o->threads);
        break;
    case OPT_MEMORY:
        cli_arg_size(a, &o->memory);
        break;
    case OPT_IO:
        cli_arg_word(a, ios, &word);
        if (word >= 0)
            o->io = (uint32_t)word; /* in the order of enum shard_io */
        break;
    case OPT_DIRECT:
        o->flags |= SHARD_LOADER_DIRECT;
        break;
    case OPT_RANK:
        cli_arg_unsigned(a, 0, UINT32_MAX, &o->rank);
        break;
    case OPT_RANKS:
        cli_arg_unsigned(a, 1, UINT32_MAX, &o->n_ranks);
        break;
    case OPT_START:
        cli_arg_u64(a, 0, UINT64_MAX, &o->start_step);
        break;
    case OPT_STOP:
        cli_arg_u64(a, 1, UINT64_MAX, &o->stop_step);
        break;
    case OPT_DROP_LAST:
        o->flags |= SHARD_LOADER_DROP_LAST;
        break;
    case OPT_STEP_US:
        cli_arg_unsigned(a, 0, 1000000000, &b->step_us);
        break;
    case OPT_NO_HASH:
        b->no_hash = true;
        break;
    case OPT_PROGRESS:
        cli_arg_progress(a, &b->progress);
        break;
    default: /* --json: cli_json() knows */
        break;
    }
}

/* ------------------------------------------------------------------------------------ hashes */

#define NULL_HASH UINT64_C(0x6e756c6c6e756c6c)

/* Lengths and bytes of the strings of a row. */
static uint64_t
hash_strings(const struct shard_array *a, uint64_t row)
{
    const int32_t *ends = a->elem_offsets;
    uint64_t h = 0;

    for (int32_t i = a->offsets[row]; i < a->offsets[row + 1]; i++)
        h = loader_order_mix(h + base_hash64((const uint8_t *)a->values + ends[i],
                                             (size_t)(ends[i + 1] - ends[i]), 0));
    return h;
}

/* Every row's hash takes in its value in this column: the hash of its bytes, mixed with the column's
 * seed; that of a row is their sum, mixed. (XXH3 is seeded only afterwards: with a seed it derives a
 * secret for every value of over 240 bytes.) */
static void
hash_column(const struct shard_array *a, uint64_t seed, uint64_t *rows)
{
    const struct fmt_type is = fmt_type_of(a->type, a->elem);
    const size_t elem = is.size, width = is.kind == FMT_KIND_TENSOR ? a->width : 1;
    const uint64_t of_null = loader_order_mix(NULL_HASH + seed);
    uint64_t i;

    for (i = 0; i < a->n_rows; i++) {
        uint64_t h;

        if (a->validity && !(a->validity[i >> 3] >> (i & 7) & 1)) {
            rows[i] += of_null;
            continue;
        }
        if (is.kind == FMT_KIND_STRINGS) {
            h = hash_strings(a, i);
        } else if (a->offsets) {
            const size_t off = (size_t)a->offsets[i], n = (size_t)(a->offsets[i + 1] - a->offsets[i]);

            h = base_hash64((const uint8_t *)a->values + off * elem, n * elem, 0);
            if (a->indices)
                h += loader_order_mix(base_hash64(a->indices + off, n * sizeof(*a->indices), 0));
        } else if (is.kind == FMT_KIND_TENSOR) {
            h = base_hash64((const uint8_t *)a->values + i * width * elem, width * elem, 0);
        } else if (is.kind == FMT_KIND_BIT) {
            h = ((const uint8_t *)a->values)[i >> 3] >> (i & 7) & 1;
        } else {
            h = 0;
            memcpy(&h, (const uint8_t *)a->values + i * elem, elem);
        }
        rows[i] += loader_order_mix(h + seed);
    }
}

static int
hash_batch(struct bench *b, const struct shard_batch *batch)
{
    const uint64_t *numbers = shard_batch_row_numbers(batch);
    const uint32_t *slots = shard_batch_slots(batch), n = shard_batch_n_rows(batch);
    uint32_t c, i;

    if (n > b->row_hashes_cap) {
        free(b->row_hashes);
        b->row_hashes = calloc(n, sizeof(*b->row_hashes));
        b->row_hashes_cap = b->row_hashes ? n : 0;
        if (b->row_hashes == NULL)
            return -ENOMEM;
    }
    if (n == 0)
        return 0;
    memset(b->row_hashes, 0, n * sizeof(*b->row_hashes));
    for (c = 0; c < b->plan.n_columns; c++)
        hash_column(shard_batch_array(batch, c), loader_order_mix(c + 1), b->row_hashes);
    for (i = 0; i < n; i++) {
        b->content_hash += loader_order_mix(b->row_hashes[i]);
        b->order_hash += loader_order_hash(shard_batch_epoch(batch), shard_batch_step(batch),
                                           slots[i], numbers[i]);
    }
    return 0;
}

/* --------------------------------------------------------------------------------------- run */

/* Until deadline_ns of the monotonic clock. */
static void
sleep_until(uint64_t deadline_ns)
{
    const struct timespec t = {(time_t)(deadline_ns / 1000000000),
                               (long)(deadline_ns % 1000000000)};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR && !cli_signal())
        ;
}

static int
consume(struct bench *b, const struct shard_batch *batch)
{
    const uint64_t begin = base_now_ns();
    int r = 0;

    if (!b->no_hash) {
        r = hash_batch(b, batch);
        b->hash_ns += base_now_ns() - begin;
    }
    if (b->step_us)
        sleep_until(begin + b->step_us * UINT64_C(1000));
    return r;
}

static int
run(struct bench *b, struct shard_error *err)
{
    const uint64_t wall = base_now_ns(), cpu = base_cpu_ns();
    struct base_progress *bar = NULL;
    struct shard_loader *l = NULL;
    struct shard_batch *batch;
    uint64_t steps = 0;
    int r;

    r = shard_loader_open(b->path, &b->o, &l, err);
    if (r < 0)
        return r;
    shard_loader_get_plan(l, &b->plan);
    bar = base_progress_new(b->progress, "bench", "steps", false,
                            b->plan.stop_step - b->plan.start_step);
    while (!cli_signal()) {
        r = shard_loader_next(l, &batch, SIGNAL_MS, err);
        if (r == -ETIMEDOUT)
            continue;
        if (r != 1)
            break;
        r = consume(b, batch);
        shard_batch_unref(batch);
        if (r < 0) {
            (void)base_fail(err, r, "hashing");
            break;
        }
        if (++steps % 64 == 0)
            base_progress_update(bar, steps, NULL);
    }
    base_progress_update(bar, steps, NULL);
    base_progress_finish(bar);
    b->wall_ns = base_now_ns() - wall;
    b->cpu_ns = base_cpu_ns() - cpu;
    shard_loader_get_stats(l, &b->stats);
    shard_loader_close(l);
    return r < 0 && r != -ETIMEDOUT ? r : 0;
}

/* ------------------------------------------------------------------------------------ results */

static double
seconds(uint64_t ns)
{
    return (double)ns / 1e9;
}

static json_t *
hash_json(const struct bench *b, uint64_t hash)
{
    return b->no_hash ? json_null() : base_report_hash64(hash);
}

static const char *
io_name(uint32_t io)
{
    return io == SHARD_IO_URING ? "uring" : "pread";
}

static double
stall_fraction(const struct bench *b)
{
    return b->wall_ns ? (double)b->stats.stall_ns / (double)b->wall_ns : 0;
}

static int
print_json(const struct bench *b)
{
    const struct shard_loader_plan *p = &b->plan;
    const struct shard_loader_stats *s = &b->stats;
    json_t *obj, *more;
    int r;

    obj = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:I, s:s, s:o, s:o}",
        "rows", (json_int_t)s->rows, "bytes_decoded", (json_int_t)s->bytes_decoded, "bytes_read",
        (json_int_t)s->bytes_read, "reads", (json_int_t)s->reads, "submits",
        (json_int_t)s->submits, "seconds", seconds(b->wall_ns), "cpu_seconds", seconds(b->cpu_ns),
        "first_batch_seconds", seconds(s->first_batch_ns), "stall_fraction", stall_fraction(b),
        "peak_memory", (json_int_t)base_peak_rss(), "limit", shard_limit_name(s->limit),
        "content_hash", hash_json(b, b->content_hash), "order_hash",
        hash_json(b, b->order_hash));
    more = json_pack(
        "{s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:I, s:b, s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:f, "
        "s:f, s:f, s:s}",
        "batches", (json_int_t)s->batches, "steps_per_epoch", (json_int_t)p->steps_per_epoch,
        "start_step", (json_int_t)p->start_step, "stop_step", (json_int_t)p->stop_step, "split",
        p->split, "batch_size", (json_int_t)p->batch_size, "partitions",
        (json_int_t)p->partitions, "window", (json_int_t)p->window, "permuted_whole",
        (int)p->permuted_whole, "io", io_name(s->io), "memory", (json_int_t)p->memory,
        "memory_min", (json_int_t)p->memory_min, "memory_used", (json_int_t)s->memory_peak,
        "stall_seconds", seconds(s->stall_ns), "read_wait_seconds", seconds(s->read_wait_ns),
        "memory_wait_seconds", seconds(s->memory_wait_ns), "decode_cpu_seconds",
        seconds(s->decode_ns), "gather_cpu_seconds", seconds(s->gather_ns), "hash_seconds",
        seconds(b->hash_ns), "advice", shard_limit_advice(s->limit));
    r = obj && more ? json_object_update(obj, more) : -1;
    json_decref(more);
    if (r < 0) {
        json_decref(obj);
        obj = NULL;
    }
    return cli_print_json(obj);
}

static void
print_people(const struct bench *b)
{
    const struct shard_loader_plan *p = &b->plan;
    const struct shard_loader_stats *s = &b->stats;
    const double wall = seconds(b->wall_ns);
    char n[32], x[16], y[16];

    printf("%-14s %s of split %s, in %" PRIu64 " batches of %" PRIu32 "\n", "rows",
           base_human_count(s->rows, n), p->split, s->batches, p->batch_size);
    printf("%-14s %" PRIu32 " partition%s, ", "order", p->partitions, p->partitions == 1 ? "" : "s");
    if (b->o.shuffle == SHARD_SHUFFLE_NONE)
        printf("rows as stored");
    else if (p->permuted_whole)
        printf("permuted whole");
    else
        printf("windows of %" PRIu32 " row group%s", p->window, p->window == 1 ? "" : "s");
    printf("; %s\n", io_name(s->io));
    printf("%-14s %.3f s wall, %.3f s CPU (decode %.3f, gather %.3f, hashes %.3f)\n", "time", wall,
           seconds(b->cpu_ns), seconds(s->decode_ns), seconds(s->gather_ns), seconds(b->hash_ns));
    printf("%-14s %s/s decoded, %s rows/s\n", "speed",
           base_human_bytes((uint64_t)((double)s->bytes_decoded / wall), x),
           base_human_count((uint64_t)((double)s->rows / wall), n));
    printf("%-14s %s decoded, %s read in %" PRIu64 " reads, %" PRIu64 " submits\n", "bytes",
           base_human_bytes(s->bytes_decoded, x), base_human_bytes(s->bytes_read, y), s->reads,
           s->submits);
    printf("%-14s %.1f ms\n", "first batch", seconds(s->first_batch_ns) * 1e3);
    printf("%-14s %.1f%% of the time (reads %.3f s, memory %.3f s)\n", "waited",
           100 * stall_fraction(b), seconds(s->read_wait_ns), seconds(s->memory_wait_ns));
    printf("%-14s %s resident, %s used", "memory", base_human_bytes(base_peak_rss(), x),
           base_human_bytes(s->memory_peak, y));
    printf(" of %s", base_human_bytes(p->memory, x));
    printf(" (at least %s)\n", base_human_bytes(p->memory_min, x));
    if (!b->no_hash)
        printf("%-14s content %016" PRIx64 ", order %016" PRIx64 "\n", "hashes", b->content_hash,
               b->order_hash);
    printf("%-14s %s: %s\n", "limit", shard_limit_name(s->limit), shard_limit_advice(s->limit));
}

/* Whether the error is the user's: of what was not found, a split or a column, but not the dataset. */
static bool
is_usage(const struct bench *b, int r)
{
    struct shard_dataset *ds;

    if (r == SHARD_ENOTFOUND && shard_dataset_open(b->path, &ds, NULL) == 0) {
        shard_dataset_close(ds);
        return true;
    }
    return r == -EINVAL || r == SHARD_EBUDGET;
}

int
cmd_bench(int argc, char **argv)
{
    struct bench *b = calloc(1, sizeof(*b));
    struct shard_error err = {0};
    struct cli_args a;
    int id, r, status = CLI_OK;

    if (b == NULL)
        return cli_fail(CLI_FAILED, "out of memory");
    b->o = (struct shard_loader_opts)SHARD_LOADER_OPTS_INIT;
    cli_args_init(&a, &usage, argc, argv);
    while ((id = cli_args_next(&a)) > 0)
        take_option(b, &a, id);
    if (id < 0 || !cli_args_one(&a, "DATASET", &b->path)) {
        status = a.status;
        goto out;
    }
    cli_catch_signals();
    /* Row groups go back to the system when freed, rather than staying as holes in the heap: else
     * the resident set tells nothing about the budget. */
    (void)mallopt(M_MMAP_THRESHOLD, 256 << 10);
    if (b->step_us)
        (void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); /* sleep as long as was asked */
    r = run(b, &err);
    if (r < 0)
        status = cli_fail_err(is_usage(b, r) ? CLI_USAGE : CLI_FAILED, &err);
    else if (cli_json())
        status = print_json(b);
    else
        print_people(b);
out:
    free(b->row_hashes);
    free(b->column_list);
    free(b);
    return status;
}
