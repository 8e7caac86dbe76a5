/* What the trainer's tests share: columns built in memory, and a feed over them that serves batches
 * as the loader does (partitions of a seeded permutation), so that training can be tested without
 * a dataset. */
#ifndef TESTS_TRAIN_UTIL_H
#define TESTS_TRAIN_UTIL_H

#include <stddef.h>
#include <stdint.h>

#include "train/feed.h"

#define MEM_COLS_MAX 8

/* A column being built. */
struct mem_col {
    struct shard_array a; /* valid after mem_data_seal() */
    uint8_t *values, *validity;
    int32_t *offsets;
    uint32_t *indices;
    size_t len, cap; /* of values: bytes, or elements of a sparse column */
};

struct mem_data {
    struct mem_col cols[MEM_COLS_MAX];
    uint32_t n_cols;
    uint64_t n_rows, cap_rows;
};

/* Columns first, then rows: for each row one mem_put_* per column in order, then mem_end_row(). */
void mem_data_init(struct mem_data *d, const enum shard_type *types, uint32_t n_cols);
void mem_put_text(struct mem_data *d, uint32_t col, const char *text, size_t len);
void mem_put_int(struct mem_data *d, uint32_t col, int64_t v);   /* SHARD_TYPE_INT64 */
void mem_put_double(struct mem_data *d, uint32_t col, double v); /* SHARD_TYPE_FLOAT64 */
void mem_put_sparse(struct mem_data *d, uint32_t col, const uint32_t *idx, const double *val,
                    size_t n); /* of float64 */
void mem_put_null(struct mem_data *d, uint32_t col);
void mem_end_row(struct mem_data *d);
void mem_data_seal(struct mem_data *d);
void mem_data_done(struct mem_data *d);

/* A feed over all columns of d, which must outlive it. as_stored: rows in order. */
struct train_feed *mem_feed_open(const struct mem_data *d, uint32_t batch_size, uint32_t partitions,
                                 uint32_t epochs, uint64_t seed, uint64_t start_step,
                                 bool as_stored);

/* Read a libsvm text file: columns label (int64) and features (sparse). False if it is not there.
 */
bool mem_read_libsvm(struct mem_data *d, const char *path);

#endif
