/* From a row of a batch to its features: (id, value) pairs that name rows of the model's table. */
#ifndef TRAIN_SOURCE_H
#define TRAIN_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "train/feed.h"
#include "train/ngram.h"

enum train_source_kind {
    TRAIN_SOURCE_TEXT = 0,    /* one string or binary column: hashed n-grams, no values */
    TRAIN_SOURCE_SPARSE = 1,  /* one sparse column: its indices, or hashes of them */
    TRAIN_SOURCE_NUMBERS = 2, /* columns of numbers and bools: id = position in the list */
};

struct train_source {
    enum train_source_kind kind;
    uint32_t col0, n_cols;         /* the batch's columns that it reads */
    uint32_t buckets;              /* sparse: hash into so many; 0 = indices as they are */
    struct train_ngram_opts ngram; /* text */
};

/* A buffer of features; vals is NULL where every value is 1. */
struct train_features {
    uint32_t *ids;
    float *vals;
    size_t n, cap;
};

void train_features_done(struct train_features *f);

static inline bool
train_source_has_values(const struct train_source *s)
{
    return s->kind != TRAIN_SOURCE_TEXT;
}

/* Append the features of a row to f. A null text has the one feature that every text has, a null
 * number and a null sparse vector have none. Table rows (may be NULL) are prefetched.
 * Returns 0 or -ENOMEM. */
SHARD_NODISCARD int train_source_row(const struct train_source *s, const struct train_batch *b,
                                     uint64_t row, const void *table, size_t row_bytes,
                                     struct train_features *f);
/* Whether a column of this type can be read by a source of this kind. */
bool train_source_takes(enum train_source_kind kind, enum shard_type type);

#endif
