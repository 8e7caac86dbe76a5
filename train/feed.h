/* Where a training run gets its steps from.
 *
 * A feed serves global batches in the order of docs/order.md: the columns a model asked for, and
 * where each partition's rows begin. The trainer knows data only through this interface: one
 * implementation stands over shard_loader (feed_loader.c), the tests have one in memory.
 *
 * Threads: one thread at a time; a batch may be read by any thread until it is released.
 */
#ifndef TRAIN_FEED_H
#define TRAIN_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include <shardline/fmt.h>

/* One step. Everything is borrowed from the feed until release. */
struct train_batch {
    uint64_t step;  /* counted over all epochs */
    uint32_t epoch; /* from 0 */
    uint32_t n_rows;
    uint32_t n_partitions;
    uint32_t n_cols;
    const uint32_t *partition_first;       /* n_partitions + 1 row positions */
    const struct shard_array *const *cols; /* n_cols, in the order asked for */
    void *owner;                           /* the feed's */
};

struct train_feed_plan {
    uint32_t batch_size, partitions, window, epochs;
    uint64_t n_rows; /* of the split */
    uint64_t steps_per_epoch;
    uint64_t stop_step;  /* one past the last step of all epochs */
    uint64_t memory_min; /* the smallest budget that this plan works with */
    char snapshot[33];
};

struct train_feed {
    /* 1 and a batch that goes back through release; 0 at the end; -ETIMEDOUT; other errors are
     * final. */
    int (*next)(struct train_feed *f, struct train_batch *ret, int64_t timeout_ms,
                struct shard_error *err);
    void (*release)(struct train_feed *f, struct train_batch *b);
    void (*close)(struct train_feed *f); /* frees f */
    struct train_feed_plan plan;
};

/* What to read. Strings are borrowed during the open only. */
struct train_feed_opts {
    const char *path;
    const char *split;
    const char *const *columns;
    uint32_t n_columns;
    uint32_t batch_size, partitions, window, epochs;
    uint32_t threads;
    bool as_stored; /* no shuffle */
    uint64_t seed;
    uint64_t memory; /* bytes for the loader; 0 = its default */
    uint64_t start_step;
};

/* How a run gets its feed; user is the caller's. */
typedef int train_feed_open_fn(void *user, const struct train_feed_opts *opts,
                               struct train_feed **ret_feed, struct shard_error *err);

/* A feed over the loader; user is not looked at. Errors are those of shard_loader_open(). */
train_feed_open_fn train_feed_open_loader;

#endif
