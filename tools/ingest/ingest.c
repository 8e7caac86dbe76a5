/* The pipeline, put together:
 *
 *   input files --read--> batches --parse--> rows        pool: reader.c, sample.c
 *        rows --sequence--> row groups                   this thread: sequencer.c
 *        row groups --gather, encode--> images           pool: groups.c
 *        images --write--> shards --> snapshot           writer thread: groups.c; this thread
 *
 * The pool does all the work that takes a core; this thread decides and sleeps. Memory: what
 * the row groups and the threads need at most is set aside at the start; the rest of the budget is
 * for reading ahead and for the keys of dedup. */
#include "config.h"

#include "tools/ingest/ingest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/fail.h"
#include "tools/ingest/provenance.h"
#include "tools/ingest/sample.h"
#include "tools/ingest/sequencer.h"
#include "tools/ingest/target.h"

#define MEMORY_DEFAULT (1ull << 30)
#define SAMPLE_DEFAULT (64ull << 20)
#define SHARD_DEFAULT  (256ull << 20)
#define GROUP_OPEN     2u           /* memory of a group's columns in raw limits: they grow by doubling */
#define GROUP_CLOSED   4u           /* of one that is encoded: columns, scratch and image */
#define THREAD_MEMORY  (6ull << 20) /* a thread's parser and compression contexts */
#define READ_MEMORY    (24ull << 20) /* to get forward at all: one file open, one batch */
#define TRAIN_MEMORY  (40ull << 20) /* to train dictionaries: samples, and tables of zstd */
#define STOP_WAIT_MS   2000u

struct pipeline {
    const struct ingest_opts *opts;
    struct ingest_result *ret;
    struct base_budget budget;
    struct ingest_crew crew;
    struct ingest_reader reader;
    struct ingest_plan *plan;
    struct ingest_parse_opts parse_nothing; /* for an input without records */
    struct ingest_target target;
    struct ingest_groups groups;
    struct ingest_sequencer sq;
    struct ingest_lane *lanes;          /* splits, then quarantine */
    size_t n_splits;
    struct fmt_schema quarantine_schema;
    struct fmt_column_opts *column_opts; /* of the rows' columns, or NULL */
    unsigned groups_max;                /* closed ones at a time */
    uint64_t bytes_total;               /* of the input files; 0 = unknown */
};

/* ---------------------------------------------------------------------------------- options */

static uint64_t
opt_memory(const struct ingest_opts *o)
{
    return o->memory ? o->memory : MEMORY_DEFAULT;
}

/* What a thread's compression context takes, by level; zstd's own tables, rounded up. The levels that
 * zstd_adapt turns to take no more than the default one has here. */
static uint64_t
thread_memory(const struct ingest_opts *o)
{
    const int zstd_level = ingest_column_opts_level(o->column_opts, o->n_column_opts, o->zstd_level);

    return THREAD_MEMORY + (zstd_level > 12 ? 88ull << 20 : zstd_level > 6 ? 16ull << 20 : 0);
}

static struct fmt_encode_opts
encode_opts(const struct pipeline *p)
{
    return (struct fmt_encode_opts){.zstd_level = p->opts->zstd_level,
                                    .zstd_adapt = p->opts->zstd_adapt,
                                    .columns = p->column_opts,
                                    .page_bytes = p->opts->page_bytes};
}

static uint64_t
memory_needed(const struct pipeline *p, uint64_t raw_limit, unsigned n_threads, unsigned n_closed)
{
    const struct fmt_encode_opts encode = encode_opts(p);

    return (p->n_splits * GROUP_OPEN + (uint64_t)n_closed * GROUP_CLOSED) * raw_limit +
           n_threads * thread_memory(p->opts) + READ_MEMORY +
           (fmt_zdicts_wanted(&encode) ? TRAIN_MEMORY : 0);
}

/* --------------------------------------------------------------------------------- stopping */

static int
check_stop(void *arg, struct shard_error *err)
{
    struct pipeline *p = arg;
    struct ingest_walk_counts counts;

    ingest_reader_get_counts(&p->reader, &counts);
    p->sq.share = p->bytes_total ? (double)counts.bytes_raw / (double)p->bytes_total : 0;
    if (p->opts->progress &&
        p->opts->progress(p->opts->progress_arg, counts.bytes_raw, p->bytes_total,
                          p->ret->rows_read) != 0)
        return base_fail(err, -ECANCELED, "stopped");
    return 0;
}

/* ------------------------------------------------------------------------------------ stages */

/* The level of the column of long files, asked for or not. */
static int
spool_level(const struct ingest_opts *o, const char *column)
{
    int level = o->zstd_level;

    for (size_t i = 0; i < o->n_column_opts; i++)
        if (o->column_opts[i].want.zstd_level != FMT_LEVEL_DEFAULT &&
            strcmp(o->column_opts[i].column, column) == 0)
            level = o->column_opts[i].want.zstd_level;
    return level;
}

static int
start_crew(struct pipeline *p, struct shard_error *err)
{
    const struct ingest_opts *o = p->opts;
    struct ingest_cut_opts cut = o->cut;
    unsigned n_threads = o->n_threads ? o->n_threads : base_cpu_count();
    int r;

    base_budget_init(&p->budget, opt_memory(o));
    /* The result does not depend on it: rather fewer threads than no work at all. */
    while (n_threads > 1 && memory_needed(p, FMT_GROUP_RAW_MIN, n_threads, 1) > p->budget.limit)
        n_threads--;
    r = ingest_crew_open(&p->crew, n_threads, err);
    if (r < 0)
        return r;
    cut.block_bytes = INGEST_BATCH_BYTES;
    cut.spool_dirfd = p->target.dirfd;
    cut.spool_name = o->output;
    for (size_t i = 0; i < o->parse.n_renames; i++)
        if (strcmp(o->parse.renames[i].from, "content") == 0)
            cut.spool_column = o->parse.renames[i].to;
    cut.spool_level = spool_level(o, cut.spool_column ? cut.spool_column : "content");
    cut.max_record = BASE_MIN(INGEST_RECORD_MAX, p->budget.limit / INGEST_RECORD_SHARE);
    for (size_t i = 0; i < o->files->count; i++)
        p->bytes_total += o->files->items[i].size;
    r = ingest_reader_open(&p->reader, &p->crew, &p->budget, o->files, &cut, &o->parse, err);
    p->reader.spare = p->budget.limit / 2; /* until it is known what the row groups take */
    return r;
}

static int
make_plan(struct pipeline *p, struct shard_error *err)
{
    const struct ingest_opts *o = p->opts;
    struct ingest_infer *infer = NULL;
    int r = 0;

    if (o->parse.schema == NULL)
        r = ingest_sample(&p->reader, o->sample_bytes ? o->sample_bytes : SAMPLE_DEFAULT,
                          check_stop, p, &infer, err);
    if (r == 0)
        r = ingest_plan_make(&o->parse, infer, &p->plan, err);
    ingest_infer_free(infer);
    if (r == 0 && p->plan->schema.n_fields == 0) {
        /* Nothing was there to infer from, and a dataset needs a column. */
        ingest_plan_free(p->plan);
        p->plan = NULL;
        p->parse_nothing = o->parse;
        p->parse_nothing.schema = "value:string?";
        r = ingest_plan_make(&p->parse_nothing, NULL, &p->plan, err);
    }
    if (r < 0)
        return r;
    p->reader.plan = p->plan;
    r = fmt_schema_copy(&p->ret->schema, &p->plan->schema);
    return r < 0 ? base_fail(err, r, "keeping the schema") : 0;
}

/* Set aside what row groups and threads need at most. */
static int
reserve_memory(struct pipeline *p, uint64_t raw_limit, struct shard_error *err)
{
    const unsigned n_threads = base_pool_threads(p->crew.pool);
    const uint64_t needed = memory_needed(p, raw_limit, n_threads, 1);

    if (needed > p->budget.limit)
        return base_fail(err, SHARD_EBUDGET,
                         "a memory budget of %" PRIu64 " MiB is too small for %zu split%s with row "
                         "groups of %" PRIu64 " MiB; the smallest is --memory %" PRIu64 "M",
                         p->budget.limit >> 20, p->n_splits, p->n_splits == 1 ? "" : "s",
                         raw_limit >> 20, (needed >> 20) + 1);
    p->groups_max = 1;
    while (p->groups_max <= n_threads &&
           memory_needed(p, raw_limit, n_threads, p->groups_max + 1) <= p->budget.limit / 3 * 2)
        p->groups_max++;
    base_budget_force(&p->budget,
                      memory_needed(p, raw_limit, n_threads, p->groups_max) - READ_MEMORY);
    p->reader.spare = p->budget.limit / 16;
    return 0;
}

/* One lane per split, and one for what could not be read. */
static int
make_lanes(struct pipeline *p, uint64_t raw_limit, struct shard_error *err)
{
    const struct ingest_opts *o = p->opts;
    int r;

    p->lanes = calloc(p->n_splits + 1, sizeof(*p->lanes));
    if (p->lanes == NULL)
        return base_fail(err, -ENOMEM, "making splits");
    for (size_t i = 0; i < p->n_splits; i++) {
        p->lanes[i].label = o->n_splits ? o->splits[i].name
                            : o->split_name ? o->split_name : "train";
        p->lanes[i].folder = FMT_DIR_SHARDS;
        p->lanes[i].schema = &p->plan->schema;
        p->lanes[i].hash = p->plan->row_hash;
        p->lanes[i].raw_limit = raw_limit;
    }
    r = fmt_quarantine_schema(&p->quarantine_schema);
    if (r < 0)
        return base_fail(err, r, "making the quarantine");
    p->lanes[p->n_splits].label = "";
    p->lanes[p->n_splits].folder = FMT_DIR_QUARANTINE;
    p->lanes[p->n_splits].schema = &p->quarantine_schema;
    p->lanes[p->n_splits].raw_limit = FMT_GROUP_RAW_MIN;
    return 0;
}

static int
start_sequencer(struct pipeline *p, struct shard_error *err)
{
    const struct ingest_opts *o = p->opts;
    const uint64_t raw_limit = o->group_bytes ? o->group_bytes
                                              : fmt_group_raw_limit(p->plan->schema.n_fields);
    struct fmt_encode_opts encode;
    int r;

    r = ingest_column_opts(&p->plan->schema, o->column_opts, o->n_column_opts, &p->column_opts, err);
    if (r == 0)
        r = reserve_memory(p, raw_limit, err);
    if (r == 0)
        r = make_lanes(p, raw_limit, err);
    encode = encode_opts(p);
    if (r == 0)
        r = ingest_groups_open(&p->groups, &p->crew, p->target.dirfd, o->output,
                               &encode, o->shard_bytes ? o->shard_bytes : SHARD_DEFAULT, p->lanes,
                               p->n_splits + 1, err);
    if (r < 0)
        return r;
    p->sq.opts = o;
    p->sq.ret = p->ret;
    p->sq.groups = &p->groups;
    p->sq.lanes = p->lanes;
    p->sq.quarantine = &p->lanes[p->n_splits];
    r = ingest_splitter_init(&p->sq.splitter, o->splits, o->n_splits);
    return r < 0 ? base_fail(err, r, "making splits") : 0;
}

static int
check_failed(const struct pipeline *p, struct shard_error *err)
{
    if (p->reader.result < 0) {
        *err = p->reader.err;
        return p->reader.result;
    }
    if (p->groups.result < 0)
        *err = p->groups.err;
    return p->groups.result;
}

/* Everything from the parsed batches to the last group written. */
static int
run_rows(struct pipeline *p, struct shard_error *err)
{
    bool closed = false;
    int r;

    for (;;) {
        struct ingest_batch *b;

        r = check_stop(p, err);
        if (r == 0)
            r = check_failed(p, err);
        while (r == 0 && p->groups.n_closed < p->groups_max &&
               (b = ingest_reader_take(&p->reader)) != NULL) {
            r = ingest_sequence(&p->sq, b, err);
            ingest_batch_unref(b);
        }
        if (r < 0)
            return r;
        ingest_reader_pump(&p->reader);
        if (ingest_reader_ended(&p->reader)) {
            if (!closed)
                ingest_groups_close_all(&p->groups);
            closed = true;
            if (p->groups.n_closed == 0)
                break;
        }
        ingest_crew_wait(&p->crew, 100);
    }
    r = ingest_sequence_end(&p->sq, err);
    return r == 0 ? ingest_groups_finish(&p->groups, err) : r;
}

/* What came in is what went out or was dropped. */
static int
settle_accounts(struct pipeline *p, struct shard_error *err)
{
    struct ingest_result *ret = p->ret;
    struct ingest_walk_counts counts;
    const struct base_hash128 out = base_hash128_add(p->groups.sum, p->sq.dropped_sum);

    ret->bytes_out = p->groups.bytes_out; /* of the pages; the whole files' once published */
    ingest_reader_get_counts(&p->reader, &counts);
    ret->bytes_in = counts.bytes_unpacked;
    ret->entries = counts.entries;
    ret->entries_skipped = counts.entries_skipped;
    ret->links_skipped = counts.links_skipped + p->opts->files->links_skipped;
    ret->fingerprint = p->groups.sum;
    if (!base_hash128_eq(out, p->sq.read_sum) ||
        ret->rows_read != ret->rows_written + ret->duplicates + ret->filtered + ret->rejected)
        return base_fail(err, SHARD_ECHECKSUM,
                         "what was written is not what was read: a fault of this program");
    return 0;
}

static int
publish(struct pipeline *p, struct shard_error *err)
{
    struct ingest_result *ret = p->ret;
    struct fmt_snapshot s;
    int r;

    fmt_snapshot_init(&s);
    r = fmt_schema_copy(&s.schema, &p->plan->schema);
    for (size_t l = 0; l <= p->n_splits && r == 0; l++) {
        const struct ingest_lane *lane = &p->lanes[l];

        if (l < p->n_splits)
            r = fmt_snapshot_add_split(&s, lane->label);
        for (size_t i = 0; i < lane->n_shards && r == 0; i++) {
            const struct ingest_stored *shard = &lane->shards[i];

            r = l < p->n_splits
                    ? fmt_snapshot_add_shard(&s, shard->path, lane->label, &shard->info)
                    : fmt_snapshot_add_reject(&s, shard->path, &shard->info);
        }
    }
    if (r < 0)
        base_fail(err, r, "listing the shards");
    s.fingerprint = ret->fingerprint;
    ret->shards = s.n_shards;
    if (r == 0)
        r = ingest_provenance_add(&s, p->opts, p->reader.facts, ret, err);
    if (r == 0)
        r = fmt_publish(p->target.dirfd, 0, &s, err);
    if (r < 0)
        (void)base_fail_in(err, r, "%s", p->opts->output);
    else
        base_hex128(s.hash, ret->snapshot);
    fmt_snapshot_done(&s);
    return r;
}

/* The dataset exists: is it the one that would come out? */
static int
compare_existing(struct pipeline *p, struct shard_error *err)
{
    struct fmt_snapshot s;
    int r;

    r = fmt_snapshot_load(p->target.dirfd, p->target.newest, &s, err);
    if (r < 0)
        return base_fail_in(err, r, "%s exists, but cannot be read", p->opts->output);
    r = ingest_provenance_compare(&s, p->opts, err);
    if (r == 0) {
        ingest_provenance_counts(&s, p->ret);
        p->ret->already_there = true;
        p->ret->fingerprint = s.fingerprint;
        p->ret->shards = s.n_shards;
        base_hex128(s.hash, p->ret->snapshot);
        r = fmt_schema_copy(&p->ret->schema, &s.schema);
        (void)ingest_clean_tmp(p->target.dirfd, NULL);
    }
    fmt_snapshot_done(&s);
    return r;
}

static int
run_stages(struct pipeline *p, struct shard_error *err)
{
    int r;

    r = start_crew(p, err);
    if (r == 0)
        r = make_plan(p, err);
    if (r == 0)
        r = start_sequencer(p, err);
    if (r == 0)
        r = run_rows(p, err);
    if (r == 0)
        r = settle_accounts(p, err);
    if (r == 0 && !p->opts->dry_run)
        r = publish(p, err);
    return r;
}

/* False where a thread is stuck in a read from a silent pipe: then all is left to the end of the
 * process. */
static bool
free_stages(struct pipeline *p)
{
    if (p->crew.pool && !ingest_crew_stop(&p->crew, STOP_WAIT_MS))
        return false;
    ingest_groups_done(&p->groups);
    ingest_reader_close(&p->reader);
    ingest_sequence_done(&p->sq);
    ingest_crew_close(&p->crew);
    ingest_plan_free(p->plan);
    fmt_schema_done(&p->quarantine_schema);
    free(p->column_opts);
    free(p->lanes);
    return true;
}

static int
open_target(struct pipeline *p, struct shard_error *err)
{
    int r;

    r = ingest_target_open(&p->target, p->opts->output, err);
    if (r < 0 || p->target.newest > 0)
        return r;
    r = ingest_target_prepare(&p->target, err);
    if (r < 0)
        ingest_target_abandon(&p->target);
    return r;
}

int
ingest_run(const struct ingest_opts *opts, struct ingest_result *ret, struct shard_error *err)
{
    const uint64_t start = base_now_ns();
    struct pipeline *p;
    bool freed = true;
    int r = 0;

    memset(ret, 0, sizeof(*ret));
    fmt_schema_init(&ret->schema);
    p = calloc(1, sizeof(*p));
    if (p == NULL)
        return base_fail(err, -ENOMEM, "starting");
    p->opts = opts;
    p->ret = ret;
    p->n_splits = opts->n_splits ? opts->n_splits : 1;
    p->target.dirfd = -1;
    ingest_dedup_init(&p->sq.dedup, &p->budget);
    fmt_schema_init(&p->quarantine_schema);
    if (!opts->dry_run)
        r = open_target(p, err);
    if (r == 0 && p->target.newest > 0) {
        r = compare_existing(p, err);
    } else if (r == 0) {
        r = run_stages(p, err);
        freed = free_stages(p);
        if (r < 0 && p->target.dirfd >= 0)
            ingest_target_abandon(&p->target);
    }
    if (r == 0 && p->target.dirfd >= 0)
        r = ingest_dataset_bytes(p->target.dirfd, &ret->bytes_out, err);
    ingest_target_close(&p->target);
    if (freed)
        free(p);
    ret->seconds = (double)(base_now_ns() - start) / 1e9;
    return r;
}
