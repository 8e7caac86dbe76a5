/* Running the loader in tests: what was served is checked row by row against the dataset read
 * without it, and against the order as loader/order.h computes it row by row. */
#ifndef TESTS_LOADER_UTIL_H
#define TESTS_LOADER_UTIL_H

#include "loader/order.h"
#include "shardfmt/column.h"
#include "shardline/loader.h"

/* A whole dataset in memory. */
struct loader_truth {
    struct shard_dataset *ds;
    uint32_t n_columns;
    uint64_t n_rows;
    struct fmt_column *columns;   /* n_columns, all rows */
    struct shard_array *arrays;   /* views of them */
};

void loader_truth_load(struct loader_truth *t, const char *path);
void loader_truth_done(struct loader_truth *t);

/* What a run came to. */
struct loader_run {
    uint64_t order_hash, rows, batches;
    int status;                   /* 0, or what next() said */
    struct shard_error err;
    struct shard_loader_plan plan;
    struct shard_loader_stats stats;
    uint8_t *seen;                /* per row of the snapshot: how often; NULL = not wanted */
};

/* Run to the end or the first error. truth may be NULL: then contents are not compared. */
void loader_run(const char *path, const struct shard_loader_opts *o,
                const struct loader_truth *truth, struct loader_run *ret);

#endif
