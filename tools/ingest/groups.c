#include "config.h"

#include "tools/ingest/groups.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "lib/fail.h"

#define QUEUE_CAP    64u
#define HASH_ROWS    4096u /* checked at a time */

/* Some rows of one block. */
struct gather_run {
    uint32_t block, n_rows;
};

/* The rows that one group takes from one batch. */
struct gather {
    struct ingest_batch *batch; /* a reference */
    struct gather *next;
    struct base_buf runs;       /* struct gather_run */
    struct base_buf rows;       /* uint32_t, those of the runs one after the other */
};

struct ingest_group {
    struct ingest_work work;
    struct ingest_groups *owner;
    struct ingest_lane *lane;
    struct ingest_group *next_out;
    struct fmt_column *cols;     /* n_fields; the work item's while busy */
    uint64_t n_rows, raw_bytes;  /* that were added, gathered or not */
    struct base_hash128 sum;     /* of their hashes */
    struct gather *queued, **queued_end; /* not yet given to a work item */
    struct gather *running;      /* the work item's */
    bool busy, closed;
    bool final;                  /* the work item encodes, too; set before it is submitted */
    bool encoded;
    struct fmt_image *image;     /* once encoded */
    struct fmt_zdicts zdicts;    /* the trainer's, once encoded */
};

static void
group_kick(struct ingest_group *g);

/* Rows of the dataset, not records in quarantine. */
static bool
has_rows(const struct ingest_lane *lane)
{
    return lane->hash != NULL;
}

/* How the lane's groups are encoded. The dictionaries are constant by the time that any group but
 * their trainer is encoded, or any group of rows is written. */
static struct fmt_encode_opts
lane_opts(const struct ingest_groups *gs, const struct ingest_lane *lane)
{
    struct fmt_encode_opts opts = gs->encode;

    if (!has_rows(lane))
        opts.columns = NULL;
    else if (gs->zdicts.of)
        opts.zdicts = &gs->zdicts;
    return opts;
}

/* ---------------------------------------------------------------------------------- storage */

static void
gather_free(struct gather *ga)
{
    base_buf_done(&ga->runs);
    base_buf_done(&ga->rows);
    ingest_batch_unref(ga->batch);
    free(ga);
}

static void
gathers_free(struct gather *list)
{
    while (list) {
        struct gather *ga = list;

        list = ga->next;
        gather_free(ga);
    }
}

static void
group_free_columns(struct ingest_group *g)
{
    for (uint32_t c = 0; g->cols && c < g->lane->schema->n_fields; c++)
        fmt_column_done(&g->cols[c]);
    free(g->cols);
    g->cols = NULL;
}

static void
group_free(struct ingest_group *g)
{
    if (g == NULL)
        return;
    gathers_free(g->queued);
    gathers_free(g->running);
    group_free_columns(g);
    fmt_image_free(g->image);
    fmt_zdicts_done(&g->zdicts);
    free(g);
}

static struct ingest_group *
group_new(struct ingest_groups *gs, struct ingest_lane *lane)
{
    const uint32_t n = lane->schema->n_fields;
    struct ingest_group *g = calloc(1, sizeof(*g));

    if (g == NULL)
        return NULL;
    g->cols = calloc(n ? n : 1, sizeof(*g->cols));
    if (g->cols == NULL) {
        free(g);
        return NULL;
    }
    for (uint32_t c = 0; c < n; c++)
        fmt_column_init_field(&g->cols[c], &lane->schema->fields[c]);
    g->owner = gs;
    g->lane = lane;
    g->queued_end = &g->queued;
    return g;
}

/* ------------------------------------------------------- gather and encode, on a pool thread */

static int
gather_column(const struct gather *ga, uint32_t c, struct fmt_column *col)
{
    const struct gather_run *runs = (const void *)ga->runs.data;
    const size_t n_runs = ga->runs.len / sizeof(*runs);
    const uint32_t *rows = (const void *)ga->rows.data;
    int r = 0;

    for (size_t i = 0; i < n_runs && r == 0; i++) {
        const uint32_t n = runs[i].n_rows;
        struct shard_array a;

        fmt_column_array(&ga->batch->rows[runs[i].block]->cols[c], &a);
        if (rows[n - 1] - rows[0] == n - 1) /* ascending: a run without gaps */
            r = fmt_column_append_run(col, &a, rows[0], n);
        else
            r = fmt_column_append_rows(col, &a, rows, n);
        rows += n;
    }
    return r;
}

/* That the columns hold the rows which were read: their hashes have the same sum. */
static int
check_hash(const struct ingest_group *g, const struct shard_array *arrays, struct shard_error *err)
{
    struct base_hash128 *hashes, sum = {0, 0};

    hashes = malloc(HASH_ROWS * sizeof(*hashes));
    if (hashes == NULL)
        return base_fail(err, -ENOMEM, "checking a row group");
    for (uint64_t row = 0; row < g->n_rows; row += HASH_ROWS) {
        const uint64_t n = BASE_MIN(HASH_ROWS, g->n_rows - row);

        fmt_rowhash_rows(g->lane->hash, arrays, row, n, hashes);
        for (uint64_t i = 0; i < n; i++)
            sum = base_hash128_add(sum, hashes[i]);
    }
    free(hashes);
    if (!base_hash128_eq(sum, g->sum))
        return base_fail(err, SHARD_ECHECKSUM,
                         "the rows of a row group are not those that were read: a fault of this "
                         "program or of this machine's memory");
    return 0;
}

/* Train dictionaries on the group as it is encoded, and encode it again where there are any. */
static int
group_train(struct ingest_group *g, const struct shard_array *arrays, struct base_codec *codec,
            struct shard_error *err)
{
    struct fmt_encode_opts opts = g->owner->encode;
    int r = fmt_zdicts_train(g->image, &opts, codec, &g->zdicts);

    if (r < 0)
        return base_fail(err, r, "training dictionaries");
    if (g->zdicts.of == NULL)
        return 0;
    fmt_image_free(g->image);
    g->image = NULL;
    opts.zdicts = &g->zdicts;
    return fmt_image_encode(g->lane->schema, arrays, &opts, codec, &g->image, err);
}

static int
group_encode(struct ingest_group *g, struct base_codec *codec, struct shard_error *err)
{
    const struct fmt_schema *schema = g->lane->schema;
    const struct fmt_encode_opts opts = lane_opts(g->owner, g->lane);
    struct shard_array *arrays;
    int r = 0;

    arrays = calloc(schema->n_fields ? schema->n_fields : 1, sizeof(*arrays));
    if (arrays == NULL)
        return base_fail(err, -ENOMEM, "encoding a row group");
    for (uint32_t c = 0; c < schema->n_fields; c++)
        fmt_column_array(&g->cols[c], &arrays[c]);
    if (g->lane->hash)
        r = check_hash(g, arrays, err);
    if (r == 0)
        r = fmt_image_encode(schema, arrays, &opts, codec, &g->image, err);
    if (r == 0 && g == g->owner->trainer)
        r = group_train(g, arrays, codec, err);
    free(arrays);
    group_free_columns(g);
    return r;
}

static void
group_run(struct ingest_work *w, struct base_worker *worker)
{
    struct ingest_group *g = BASE_CONTAINER_OF(w, struct ingest_group, work);
    int r = 0;

    for (const struct gather *ga = g->running; ga && r == 0; ga = ga->next) {
        for (uint32_t c = 0; c < g->lane->schema->n_fields && r == 0; c++)
            r = gather_column(ga, c, &g->cols[c]);
        if (r < 0)
            base_fail(&w->err, r, "gathering rows");
    }
    if (r == 0 && g->final)
        r = group_encode(g, worker->codec, &w->err);
    w->result = r;
}

/* ----------------------------------------------------------------------- the writer's thread */

static int
lane_add_shard(struct ingest_lane *lane, const char *path, const struct fmt_shard_info *info)
{
    if (lane->n_shards == lane->cap_shards) {
        const size_t cap = lane->cap_shards ? 2 * lane->cap_shards : 8;
        struct ingest_stored *p = realloc(lane->shards, cap * sizeof(*p));

        if (p == NULL)
            return -ENOMEM;
        lane->shards = p;
        lane->cap_shards = cap;
    }
    memcpy(lane->shards[lane->n_shards].path, path, sizeof(lane->shards->path));
    lane->shards[lane->n_shards++].info = *info;
    return 0;
}

static int
lane_finish_shard(struct ingest_groups *gs, struct ingest_lane *lane, struct shard_error *err)
{
    struct fmt_shard_info info = {0};
    char path[256];
    int r;

    r = fmt_writer_finish(lane->writer, &info, err);
    fmt_writer_free(lane->writer);
    lane->writer = NULL;
    if (r < 0)
        return r;
    r = fmt_shard_place(gs->dirfd, lane->tmp_path, lane->folder, lane->label, info.hash, path,
                        err);
    if (r == 0) {
        r = lane_add_shard(lane, path, &info);
        if (r < 0)
            base_fail(err, r, "writing a shard");
    }
    if (r < 0)
        free(info.group_rows);
    return r;
}

/* Rows of the lane's finished shards. */
static uint64_t
lane_rows(const struct ingest_lane *lane)
{
    uint64_t n = 0;

    for (size_t i = 0; i < lane->n_shards; i++)
        n += lane->shards[i].info.n_rows;
    return n;
}

static int
write_group(struct ingest_groups *gs, struct ingest_group *g, struct shard_error *err)
{
    struct ingest_lane *lane = g->lane;
    int r;

    gs->bytes_out += g->image->bytes.len;
    for (uint32_t i = 0; g->image->spooled && i < g->image->n_pieces; i++)
        gs->bytes_out += g->image->spooled[i].value ? g->image->pieces[i].stored_len : 0;
    if (gs->dirfd < 0)
        return 0;
    if (lane->writer == NULL) {
        const struct fmt_encode_opts opts = lane_opts(gs, lane);

        r = fmt_tmp_path("shard", lane->tmp_path, err);
        if (r == 0)
            r = fmt_writer_open(gs->dirfd, lane->tmp_path, lane->schema, &opts,
                                &lane->writer, err);
        if (r == 0)
            r = fmt_writer_set_origin(lane->writer, lane->label, (uint32_t)(lane - gs->lanes),
                                      lane_rows(lane));
        if (r < 0)
            return r;
    }
    r = fmt_writer_append(lane->writer, g->image, err);
    if (r == 0 && fmt_writer_bytes(lane->writer) >= gs->shard_bytes)
        r = lane_finish_shard(gs, lane, err);
    return r;
}

/* Messages of writers name files by their place in the dataset. */
static void
writer_ended(struct ingest_groups *gs, int r)
{
    gs->writer_result = r < 0 ? base_fail_in(&gs->writer_err, r, "%s", gs->dataset) : r;
}

static void *
writer_main(void *arg)
{
    struct ingest_groups *gs = arg;
    void *item;

    while (base_queue_pop(&gs->queue, &item, -1) == 1) {
        struct ingest_group *g = item;

        /* After a failure groups are only handed back. */
        if (gs->writer_result == 0)
            writer_ended(gs, write_group(gs, g, &gs->writer_err));
        g->work.result = gs->writer_result;
        g->work.err = gs->writer_err;
        fmt_image_free(g->image);
        g->image = NULL;
        ingest_crew_post(&g->work);
    }
    for (size_t i = 0; i < gs->n_lanes && gs->writer_result == 0; i++) {
        if (gs->lanes[i].writer)
            writer_ended(gs, lane_finish_shard(gs, &gs->lanes[i], &gs->writer_err));
    }
    return NULL;
}

/* Signals are the main thread's business. */
static int
writer_start(struct ingest_groups *gs)
{
    sigset_t all, old;
    int r;

    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    r = pthread_create(&gs->writer, NULL, writer_main, gs);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return -r;
}

/* -------------------------------------------------------------------- on the deciding thread */

static void
groups_fail(struct ingest_groups *gs, int result, const struct shard_error *err)
{
    if (gs->result < 0 || result == -ECANCELED)
        return;
    gs->result = result;
    gs->err = *err;
    gs->err.code = result;
}

static void
written_done(struct ingest_work *w)
{
    struct ingest_group *g = BASE_CONTAINER_OF(w, struct ingest_group, work);

    g->owner->n_closed--;
    if (w->result < 0)
        groups_fail(g->owner, w->result, &w->err);
    g->owner->sum = base_hash128_add(g->owner->sum, g->sum);
    group_free(g);
}

/* Give the writer what is encoded, in order of closing. */
static void
push_out(struct ingest_groups *gs)
{
    while (gs->out && gs->out->encoded && gs->result == 0) {
        struct ingest_group *g = gs->out;

        gs->out = g->next_out;
        if (gs->out == NULL)
            gs->out_end = &gs->out;
        g->work.done = written_done;
        ingest_crew_promise(gs->crew, &g->work);
        if (base_queue_push(&gs->queue, g) < 0) { /* closed; cannot be */
            g->work.result = -ECANCELED;
            ingest_crew_post(&g->work);
        }
    }
}

/* The dictionaries are there: now the groups that waited for them can be encoded. */
static void
training_end(struct ingest_group *g)
{
    struct ingest_groups *gs = g->owner;

    gs->zdicts = g->zdicts;
    g->zdicts = (struct fmt_zdicts){0};
    gs->trainer = NULL;
    gs->train = false;
    for (g = gs->out; g; g = g->next_out)
        group_kick(g);
}

static void
group_done(struct ingest_work *w)
{
    struct ingest_group *g = BASE_CONTAINER_OF(w, struct ingest_group, work);

    g->busy = false;
    gathers_free(g->running);
    g->running = NULL;
    if (w->result < 0) {
        groups_fail(g->owner, w->result, &w->err);
        return; /* freed by ingest_groups_done() */
    }
    if (g->final) {
        g->encoded = true;
        if (g == g->owner->trainer)
            training_end(g);
        push_out(g->owner);
    } else {
        group_kick(g);
    }
}

/* Let a work item do what there is to do. */
static void
group_kick(struct ingest_group *g)
{
    const bool wait = g->owner->train && has_rows(g->lane) && g != g->owner->trainer;

    if (g->busy || g->final || g->owner->result < 0 || (g->queued == NULL && (!g->closed || wait)))
        return;
    g->running = g->queued;
    g->queued = NULL;
    g->queued_end = &g->queued;
    g->final = g->closed && !wait;
    g->busy = true;
    g->work.run = group_run;
    g->work.done = group_done;
    ingest_crew_submit(g->owner->crew, &g->work, INGEST_PRIO_GROUP);
}

static void
lane_close_group(struct ingest_groups *gs, struct ingest_lane *lane)
{
    struct ingest_group *g = lane->open;

    lane->open = NULL;
    g->closed = true;
    if (gs->train && gs->trainer == NULL && has_rows(lane))
        gs->trainer = g;
    *gs->out_end = g;
    gs->out_end = &g->next_out;
    gs->n_closed++;
    group_kick(g);
}

/* The last of the group's gathers, for rows of b. */
static struct gather *
group_gather(struct ingest_group *g, struct ingest_batch *b)
{
    struct gather *ga;

    if (g->queued) {
        ga = BASE_CONTAINER_OF(g->queued_end, struct gather, next);
        if (ga->batch == b)
            return ga;
    }
    ga = calloc(1, sizeof(*ga));
    if (ga == NULL)
        return NULL;
    ga->batch = b;
    b->n_refs++;
    *g->queued_end = ga;
    g->queued_end = &ga->next;
    return ga;
}

static int
gather_add(struct gather *ga, uint32_t block, uint32_t row)
{
    struct gather_run *last = NULL;
    const struct gather_run run = {block, 1};
    int r;

    if (ga->runs.len)
        last = (void *)(ga->runs.data + ga->runs.len - sizeof(*last));
    if (last && last->block == block) {
        last->n_rows++;
    } else {
        r = base_buf_append(&ga->runs, &run, sizeof(run));
        if (r < 0)
            return r;
    }
    return base_buf_append(&ga->rows, &row, sizeof(row));
}

static int
lane_need_group(struct ingest_groups *gs, struct ingest_lane *lane)
{
    if (lane->open == NULL)
        lane->open = group_new(gs, lane);
    return lane->open ? 0 : -ENOMEM;
}

static void
lane_count(struct ingest_groups *gs, struct ingest_lane *lane, uint64_t raw)
{
    struct ingest_group *g = lane->open;

    g->n_rows++;
    g->raw_bytes += raw;
    if (g->raw_bytes >= lane->raw_limit || g->n_rows == INGEST_GROUP_ROWS_MAX)
        lane_close_group(gs, lane);
}

int
ingest_groups_add(struct ingest_groups *gs, struct ingest_lane *lane, struct ingest_batch *b,
                  uint32_t block, uint32_t row)
{
    struct gather *ga;
    int r;

    r = lane_need_group(gs, lane);
    if (r < 0)
        return r;
    ga = group_gather(lane->open, b);
    if (ga == NULL)
        return -ENOMEM;
    r = gather_add(ga, block, row);
    if (r < 0)
        return r;
    lane->open->sum = base_hash128_add(lane->open->sum, b->rows[block]->row_hash[row]);
    lane_count(gs, lane, b->raw_bytes[block][row]);
    return 0;
}

int
ingest_groups_columns(struct ingest_groups *gs, struct ingest_lane *lane,
                      struct fmt_column **ret_cols)
{
    int r = lane_need_group(gs, lane);

    if (r == 0)
        *ret_cols = lane->open->cols;
    return r;
}

void
ingest_groups_added(struct ingest_groups *gs, struct ingest_lane *lane, uint64_t raw)
{
    lane_count(gs, lane, raw);
}

void
ingest_groups_end_batch(struct ingest_groups *gs)
{
    for (size_t i = 0; i < gs->n_lanes; i++) {
        if (gs->lanes[i].open)
            group_kick(gs->lanes[i].open);
    }
}

void
ingest_groups_close_all(struct ingest_groups *gs)
{
    for (size_t i = 0; i < gs->n_lanes; i++) {
        if (gs->lanes[i].open)
            lane_close_group(gs, &gs->lanes[i]);
    }
}

int
ingest_groups_open(struct ingest_groups *gs, struct ingest_crew *crew, int dirfd,
                   const char *dataset, const struct fmt_encode_opts *encode, uint64_t shard_bytes,
                   struct ingest_lane *lanes, size_t n_lanes, struct shard_error *err)
{
    int r;

    memset(gs, 0, sizeof(*gs));
    gs->crew = crew;
    gs->dirfd = dirfd;
    gs->dataset = dataset;
    gs->encode = *encode;
    gs->train = fmt_zdicts_wanted(encode);
    gs->shard_bytes = shard_bytes;
    gs->lanes = lanes;
    gs->n_lanes = n_lanes;
    gs->out_end = &gs->out;
    r = base_queue_init(&gs->queue, QUEUE_CAP);
    if (r < 0)
        return base_fail(err, r, "starting the writer");
    r = writer_start(gs);
    if (r < 0) {
        base_queue_done(&gs->queue);
        return base_fail(err, r, "starting the writer");
    }
    gs->started = true;
    return 0;
}

static void
writer_stop(struct ingest_groups *gs)
{
    base_queue_close(&gs->queue);
    (void)pthread_join(gs->writer, NULL);
    base_queue_done(&gs->queue);
    gs->started = false;
}

int
ingest_groups_finish(struct ingest_groups *gs, struct shard_error *err)
{
    writer_stop(gs);
    if (gs->result == 0 && gs->writer_result < 0)
        groups_fail(gs, gs->writer_result, &gs->writer_err);
    if (gs->result < 0)
        *err = gs->err;
    return gs->result;
}

void
ingest_groups_done(struct ingest_groups *gs)
{
    if (gs->started) {
        gs->writer_result = gs->writer_result ? gs->writer_result : -ECANCELED;
        writer_stop(gs);
    }
    while (gs->out) {
        struct ingest_group *g = gs->out;

        gs->out = g->next_out;
        group_free(g);
    }
    for (size_t i = 0; i < gs->n_lanes; i++) {
        struct ingest_lane *lane = &gs->lanes[i];

        group_free(lane->open);
        fmt_writer_free(lane->writer);
        for (size_t s = 0; s < lane->n_shards; s++)
            free(lane->shards[s].info.group_rows);
        free(lane->shards);
    }
    fmt_zdicts_done(&gs->zdicts);
    memset(gs, 0, sizeof(*gs));
}
