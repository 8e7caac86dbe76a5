/* The numbers of a model: a table with a row per feature, a dense part, and for Adagrad the sums of
 * squared gradients of both.
 *
 *   text    table = embedding [buckets][dim]        dense = output [classes][dim]
 *   linear  table = weight [features][outputs]      dense = bias [outputs]
 *
 * Two classes of a linear model have one output (logistic), more have one each (softmax). Rows are
 * train_stride(width) floats apart, with zeros between.
 *
 * The table of a linear model over unhashed indices grows as larger indices are met.
 *
 * Threads: whoever changes it makes sure that nobody else reads.
 */
#ifndef TRAIN_MODEL_H
#define TRAIN_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shardline/status.h"

enum train_model_kind { TRAIN_MODEL_TEXT = 0, TRAIN_MODEL_LINEAR = 1 };
enum train_optimizer { TRAIN_SGD = 0, TRAIN_ADAGRAD = 1 };

struct train_model_opts {
    enum train_model_kind kind;
    enum train_optimizer optimizer;
    uint32_t n_classes;
    uint32_t dim;     /* text: width of the embedding */
    uint64_t n_table; /* rows of the table to begin with */
    bool growable;    /* linear: more rows as they are needed */
    bool trainable;   /* false: no optimiser state */
    uint64_t memory;  /* bytes that it may take; 0 = TRAIN_MODEL_MEMORY */
    uint64_t seed;    /* of the embedding's start */
};

#define TRAIN_MODEL_MEMORY (UINT64_C(4) << 30)

struct train_model {
    struct train_model_opts opts;
    uint32_t n_outputs;           /* scores of a row */
    uint32_t width, stride;       /* of a table row */
    uint64_t n_table;             /* rows in use */
    uint64_t cap_table;           /* rows that there is memory for */
    uint64_t n_dense;             /* floats in dense */
    float *table, *table_squares; /* squares: NULL but for Adagrad */
    float *dense, *dense_squares;
};

/* One array of a model, as it is saved: rows x width numbers, stride apart. */
struct train_tensor {
    const char *name;
    float *data;
    uint64_t rows;
    uint32_t width, stride;
    bool vector; /* of one dimension: [width] */
    bool state;  /* of the optimiser, not of the model */
};
#define TRAIN_TENSORS_MAX 4

/* Bytes that a model of these options takes at the start; UINT64_MAX where it overflows. */
uint64_t train_model_bytes(const struct train_model_opts *o);
/* The model before its first step: embedding uniform in +-1/dim by seed and position, all else
 * zero. SHARD_ELIMIT above opts->memory, -ENOMEM. */
SHARD_NODISCARD int train_model_new(const struct train_model_opts *o,
                                    struct train_model **ret_model, struct shard_error *err);
void train_model_free(struct train_model *m); /* accepts NULL */

/* Make the table at least n_rows long; new rows are zero. */
SHARD_NODISCARD int train_model_grow(struct train_model *m, uint64_t n_rows,
                                     struct shard_error *err);
/* The model's arrays in their fixed order; returns their number. */
unsigned train_model_tensors(const struct train_model *m,
                             struct train_tensor ret[TRAIN_TENSORS_MAX]);
/* XXH3-64 over names, shapes and numbers of the model's arrays, without optimiser state. */
uint64_t train_model_hash(const struct train_model *m);
/* Whether every number of it is finite. */
bool train_model_is_finite(const struct train_model *m);

#endif
