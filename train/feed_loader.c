/* The feed that training uses: a thin face over <shardline/loader.h>. */
#include "config.h"

#include "train/feed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <shardline/loader.h>

#include "lib/compiler.h"
#include "lib/fail.h"

struct loader_feed {
    struct train_feed base;
    struct shard_loader *loader;
    const struct shard_array **cols; /* of the batch that is out; one at a time */
    uint32_t n_cols;
    bool out; /* a batch was handed out and not yet released */
};

static int
loader_feed_next(struct train_feed *f, struct train_batch *ret, int64_t timeout_ms,
                 struct shard_error *err)
{
    struct loader_feed *l = BASE_CONTAINER_OF(f, struct loader_feed, base);
    struct shard_batch *b;
    int r;

    if (l->out)
        return base_fail(err, -EINVAL, "a batch of this feed is still out");
    r = shard_loader_next(l->loader, &b, timeout_ms, err);
    if (r != 1)
        return r;
    for (uint32_t i = 0; i < l->n_cols; i++)
        l->cols[i] = shard_batch_array(b, i);
    *ret = (struct train_batch){
        .step = shard_batch_step(b),
        .epoch = shard_batch_epoch(b),
        .n_rows = shard_batch_n_rows(b),
        .n_partitions = f->plan.partitions,
        .n_cols = l->n_cols,
        .partition_first = shard_batch_partition_first(b),
        .cols = l->cols,
        .owner = b,
    };
    l->out = true;
    return 1;
}

static void
loader_feed_release(struct train_feed *f, struct train_batch *b)
{
    struct loader_feed *l = BASE_CONTAINER_OF(f, struct loader_feed, base);

    shard_batch_unref(b->owner);
    b->owner = NULL;
    l->out = false;
}

static void
loader_feed_close(struct train_feed *f)
{
    struct loader_feed *l = BASE_CONTAINER_OF(f, struct loader_feed, base);

    shard_loader_close(l->loader);
    free(l->cols);
    free(l);
}

int
train_feed_open_loader(void *user, const struct train_feed_opts *opts, struct train_feed **ret_feed,
                       struct shard_error *err)
{
    struct shard_loader_opts lo = SHARD_LOADER_OPTS_INIT;
    struct shard_loader_plan plan;
    struct loader_feed *l;
    int r;

    (void)user;
    l = calloc(1, sizeof(*l));
    if (l == NULL)
        return base_fail(err, -ENOMEM, "a feed");
    l->n_cols = opts->n_columns;
    l->cols = calloc(opts->n_columns + 1, sizeof(*l->cols));
    if (l->cols == NULL) {
        r = base_fail(err, -ENOMEM, "a feed");
        goto fail;
    }
    lo.batch_size = opts->batch_size;
    lo.partitions = opts->partitions;
    lo.window = opts->window;
    lo.seed = opts->seed;
    lo.split = opts->split;
    lo.columns = opts->columns;
    lo.n_columns = opts->n_columns;
    lo.epochs = opts->epochs;
    lo.threads = opts->threads;
    lo.shuffle = opts->as_stored ? SHARD_SHUFFLE_NONE : SHARD_SHUFFLE_WINDOW;
    lo.memory = opts->memory;
    lo.start_step = opts->start_step;
    r = shard_loader_open(opts->path, &lo, &l->loader, err);
    if (r < 0)
        goto fail;
    shard_loader_get_plan(l->loader, &plan);
    l->base.next = loader_feed_next;
    l->base.release = loader_feed_release;
    l->base.close = loader_feed_close;
    l->base.plan = (struct train_feed_plan){
        .batch_size = plan.batch_size,
        .partitions = plan.partitions,
        .window = plan.window,
        .epochs = plan.epochs,
        .n_rows = plan.split_rows,
        .steps_per_epoch = plan.steps_per_epoch,
        .stop_step = plan.stop_step,
        .memory_min = plan.memory_min,
    };
    memcpy(l->base.plan.snapshot, plan.snapshot, sizeof(plan.snapshot));
    *ret_feed = &l->base;
    return 0;
fail:
    free(l->cols);
    free(l);
    return r;
}
