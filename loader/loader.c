/* The public face of the loader: open, next, close, statistics; and the planner thread. */
#include "config.h"

#include "loader/loader_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/compiler.h"
#include "lib/fail.h"

#define IO_DEPTH     64u
#define THREADS_MAX  1024u
#define REAP_MAX     64u

/* ----------------------------------------------------------------------------------- planner */

/* Hand what schedule.c put in line to the engine, and wait for something to happen. */
static int
planner_round(struct shard_loader *l, struct loader_read *rd, struct shard_error *err)
{
    struct base_io_req *done[REAP_MAX];
    int r = 0, i, n;

    if (rd) {
        loader_reads_queue(l, rd);
        r = base_io_submit(l->io, err);
        if (r < 0)
            return r;
    }
    n = base_io_reap(l->io, done, REAP_MAX, -1, err);
    (void)pthread_mutex_lock(&l->lock);
    for (i = 0; i < n; i++)
        loader_reads_done(l, done[i]->user);
    (void)pthread_mutex_unlock(&l->lock);
    return n < 0 ? n : 0;
}

static void
planner_stats(struct shard_loader *l)
{
    struct base_io_stats io;

    base_io_get_stats(l->io, &io);
    l->stats.reads = io.reads + l->piece_reads;
    l->stats.bytes_read = io.bytes + l->piece_bytes;
    l->stats.submits = io.submits + l->piece_reads;
}

static void *
planner_main(void *arg)
{
    struct shard_loader *l = arg;
    struct shard_error err = {0};
    int r = 0;

    (void)pthread_mutex_lock(&l->lock);
    while (!l->closing && r == 0) {
        struct loader_read *rd;

        loader_schedule_loads(l);
        rd = l->read_first;
        l->read_first = l->read_last = NULL;
        (void)pthread_mutex_unlock(&l->lock);
        r = planner_round(l, rd, &err);
        (void)pthread_mutex_lock(&l->lock);
        planner_stats(l);
    }
    if (r < 0)
        loader_fail_at(l, l->next_gather, &err);
    (void)pthread_mutex_unlock(&l->lock);
    return NULL;
}

/* Signals are for the program's own threads. */
static int
planner_start(struct shard_loader *l, struct shard_error *err)
{
    sigset_t all, old;
    int r;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    r = pthread_create(&l->planner, NULL, planner_main, l);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (r != 0)
        return base_fail(err, -r, "starting the loader's thread");
    l->planner_runs = true;
    return 0;
}

/* ------------------------------------------------------------------------------ open and close */

/* Take over what the caller's options say; fields that it does not know are 0. */
static int
opts_take(const struct shard_loader_opts *opts, struct shard_loader_opts *ret,
          struct shard_error *err)
{
    const uint32_t size = opts ? opts->struct_size : (uint32_t)sizeof(*ret);
    uint32_t i;

    memset(ret, 0, sizeof(*ret));
    if (opts)
        memcpy(ret, opts, BASE_MIN(size, sizeof(*ret)));
    for (i = sizeof(*ret); opts && i < size; i++)
        if (((const uint8_t *)opts)[i] != 0)
            return base_fail(err, -E2BIG, "options of a newer version");
    if (opts && size < sizeof(uint32_t))
        return base_say(err, -EINVAL, "options without SHARD_LOADER_OPTS_INIT");
    if ((ret->flags & ~(SHARD_LOADER_DROP_LAST | SHARD_LOADER_DIRECT)) || ret->reserved)
        return base_say(err, -EINVAL, "unknown loader flags 0x%" PRIx32, ret->flags);
    if (ret->io > SHARD_IO_PREAD)
        return base_say(err, -EINVAL, "unknown I/O backend %" PRIu32, ret->io);
    if (ret->threads > THREADS_MAX)
        return base_say(err, -EINVAL, "%" PRIu32 " threads", ret->threads);
    return 0;
}

static int
locks_init(struct shard_loader *l)
{
    pthread_condattr_t attr;

    if (pthread_condattr_init(&attr) != 0)
        return -ENOMEM;
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&l->ready, &attr);
    (void)pthread_condattr_destroy(&attr);
    (void)pthread_mutex_init(&l->lock, NULL);
    return 0;
}

/* Everything that runs or is lent. */
static int
loader_start(struct shard_loader *l, const struct shard_loader_opts *o, struct shard_error *err)
{
    struct base_io_opts io = {.backend = (enum base_io_backend)o->io, .depth = IO_DEPTH};
    int r;

    r = loader_arena_new(l->load_share, &l->load_mem);
    if (r == 0)
        r = loader_arena_new(l->batch_share, &l->batch_mem);
    if (r == 0)
        r = loader_schedule_init(l);
    if (r < 0)
        return base_fail(err, r, "the loader's plan");
    r = base_pool_open(o->threads, "shard-decode", &l->pool, err);
    if (r < 0)
        return r;
    r = base_io_open(&io, &l->io, err);
    if (r < 0)
        return r;
    l->stats.io = base_io_backend(l->io) == BASE_IO_URING ? SHARD_IO_URING : SHARD_IO_PREAD;
    return planner_start(l, err);
}

int
shard_loader_open(const char *path, const struct shard_loader_opts *opts,
                  struct shard_loader **ret_loader, struct shard_error *err)
{
    struct shard_loader_opts o;
    struct shard_loader *l;
    int r;

    r = opts_take(opts, &o, err);
    if (r < 0)
        return r;
    l = calloc(1, sizeof(*l));
    if (l == NULL)
        return base_fail(err, -ENOMEM, "a loader");
    l->open_ns = l->account_ns = base_now_ns();
    r = locks_init(l);
    if (r < 0) {
        free(l);
        return base_fail(err, r, "a loader");
    }
    r = shard_dataset_open(path, &l->ds, err);
    if (r == 0)
        r = loader_plan_make(l, &o, err);
    if (r == 0)
        r = loader_start(l, &o, err);
    if (r < 0) {
        shard_loader_close(l);
        return r;
    }
    *ret_loader = l;
    return 0;
}

void
shard_loader_close(struct shard_loader *l)
{
    if (l == NULL)
        return;
    atomic_store_explicit(&l->cancelled, true, memory_order_relaxed);
    (void)pthread_mutex_lock(&l->lock);
    l->closing = true;
    (void)pthread_mutex_unlock(&l->lock);
    if (l->planner_runs) {
        base_io_wake(l->io);
        (void)pthread_join(l->planner, NULL);
    }
    if (l->pool)
        base_pool_drain(l->pool);
    base_pool_close(l->pool); /* before the engine that its tasks wake */
    base_io_close(l->io);     /* before the buffers that it reads into */
    loader_reads_drop(l);
    loader_schedule_free(l);
    loader_groups_free(l);
    loader_shards_close(l);
    loader_order_done(&l->order);
    loader_arena_unref(l->load_mem);
    loader_arena_unref(l->batch_mem);
    shard_dataset_close(l->ds);
    free(l->infos);
    free(l->columns);
    (void)pthread_cond_destroy(&l->ready);
    (void)pthread_mutex_destroy(&l->lock);
    free(l);
}

/* -------------------------------------------------------------------------------------- next */

/* Wait for the ring's head: 1 it is there, 0 the end, or an error. Under l->lock. */
static int
next_wait(struct shard_loader *l, int64_t timeout_ms, struct shard_error *err)
{
    const struct timespec deadline = base_deadline(BASE_MAX(timeout_ms, 0));
    int r = 1;

    for (;;) {
        if (l->head >= l->plan.stop_step)
            return 0;
        if (l->ring[l->head % l->ring_cap])
            return 1;
        if (l->head >= l->fail_step) {
            if (err)
                *err = l->fail;
            return l->fail.code < 0 ? l->fail.code : -EIO;
        }
        if (r == -ETIMEDOUT)
            return base_fail(err, -ETIMEDOUT, "step %" PRIu64, l->head);
        loader_account(l);
        l->waiting = true;
        r = timeout_ms < 0 ? pthread_cond_wait(&l->ready, &l->lock)
                           : pthread_cond_timedwait(&l->ready, &l->lock, &deadline);
        loader_account(l);
        l->waiting = false;
        r = -r;
    }
}

int
shard_loader_next(struct shard_loader *l, struct shard_batch **ret_batch, int64_t timeout_ms,
                  struct shard_error *err)
{
    uint64_t now = base_now_ns(), begin = now;
    struct shard_batch *b;
    int r;

    (void)pthread_mutex_lock(&l->lock);
    if (l->delivered_ns)
        l->stats.consumer_ns += now - l->delivered_ns;
    loader_schedule_gather(l);
    r = next_wait(l, timeout_ms, err);
    now = base_now_ns();
    l->stats.stall_ns += now - begin;
    l->delivered_ns = now;
    if (r == 1) {
        b = l->ring[l->head % l->ring_cap];
        l->ring[l->head % l->ring_cap] = NULL;
        l->head++;
        if (l->stats.batches++ == 0) {
            l->stats.first_batch_ns = now - l->open_ns;
            l->first_stall_ns = l->stats.stall_ns;
        }
        l->stats.rows += b->n_rows;
        l->stats.bytes_decoded += b->data_bytes;
        *ret_batch = b;
    }
    (void)pthread_mutex_unlock(&l->lock);
    return r;
}

/* --------------------------------------------------------------------------------- what it is */

void
shard_loader_get_plan(const struct shard_loader *l, struct shard_loader_plan *ret)
{
    *ret = l->plan;
}

const struct shard_field *
shard_loader_field(const struct shard_loader *l, uint32_t i)
{
    return i < l->n_columns ? &l->schema->fields[l->columns[i]] : NULL;
}

/* Waiting below a fiftieth of the time is what DESIGN promises; above it, the stage that was busy
 * or missing while the consumer waited is to blame. A short run of a slow consumer is not judged by
 * the wait for its first batch. */
static uint32_t
verdict(const struct shard_loader *l)
{
    static const uint32_t limits[LOADER_BLAME_COUNT] = {
        [LOADER_BLAME_DECODE] = SHARD_LIMIT_DECODE, [LOADER_BLAME_DISK] = SHARD_LIMIT_DISK,
        [LOADER_BLAME_READ] = SHARD_LIMIT_READ, [LOADER_BLAME_MEMORY] = SHARD_LIMIT_MEMORY,
    };
    const uint64_t consumer = l->stats.consumer_ns;
    uint64_t stall = l->stats.stall_ns;
    uint32_t i, worst = 0;

    if (l->stats.rows == 0)
        return SHARD_LIMIT_NONE;
    if (consumer > stall)
        stall -= l->first_stall_ns;
    if (stall * 50 <= stall + consumer)
        return SHARD_LIMIT_CONSUMER;
    for (i = 1; i < LOADER_BLAME_COUNT; i++)
        if (l->blame[i] > l->blame[worst])
            worst = i;
    return limits[worst];
}

void
shard_loader_get_stats(const struct shard_loader *loader, struct shard_loader_stats *ret)
{
    struct shard_loader *l = (struct shard_loader *)(uintptr_t)loader; /* to lock it */

    (void)pthread_mutex_lock(&l->lock);
    *ret = l->stats;
    ret->memory_peak = atomic_load_explicit(&l->load_mem->budget.peak, memory_order_relaxed) +
                       atomic_load_explicit(&l->batch_mem->budget.peak, memory_order_relaxed) +
                       l->footer_peak;
    ret->memory_peak = BASE_MAX(ret->memory_peak, l->plan_peak);
    ret->limit = verdict(l);
    (void)pthread_mutex_unlock(&l->lock);
}

const char *
shard_limit_name(uint32_t limit)
{
    static const char *const names[] = {"consumer", "disk", "read", "decode", "memory", "none"};

    return limit < BASE_ARRAY_LEN(names) ? names[limit] : "unknown";
}

const char *
shard_limit_advice(uint32_t limit)
{
    switch (limit) {
    case SHARD_LIMIT_CONSUMER:
        return "the consumer is the slower one: the loader keeps up";
    case SHARD_LIMIT_DISK:
        return "the disk is at its limit: compress more when ingesting, or use a faster disk";
    case SHARD_LIMIT_READ:
        return "too few reads are in flight: raise the memory budget or the window";
    case SHARD_LIMIT_DECODE:
        return "decoding is at its limit: give the loader more threads, or choose fewer columns";
    case SHARD_LIMIT_MEMORY:
        return "the memory budget holds reading back: raise it, or take fewer partitions";
    case SHARD_LIMIT_NONE:
        return "no row was read, so that nothing can be said";
    default:
        return "unknown limit";
    }
}
