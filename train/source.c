#include "config.h"

#include "train/source.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/hash.h"
#include "shardfmt/half.h"
#include "shardfmt/schema.h"

void
train_features_done(struct train_features *f)
{
    free(f->ids);
    free(f->vals);
    *f = (struct train_features){0};
}

static int
features_reserve(struct train_features *f, size_t extra, bool values)
{
    size_t cap = f->cap ? f->cap : 4096;
    uint32_t *ids;
    float *vals;

    if (f->n + extra <= f->cap)
        return 0;
    while (cap < f->n + extra)
        cap *= 2;
    ids = realloc(f->ids, cap * sizeof(*ids));
    if (ids == NULL)
        return -ENOMEM;
    f->ids = ids;
    if (values) {
        vals = realloc(f->vals, cap * sizeof(*vals));
        if (vals == NULL)
            return -ENOMEM;
        f->vals = vals;
    }
    f->cap = cap;
    return 0;
}

static bool
is_null(const struct shard_array *a, uint64_t i)
{
    return a->validity != NULL && !(a->validity[i / 8] >> (i % 8) & 1);
}

static float
number_at(enum shard_type type, const void *values, uint64_t i)
{
    switch (type) {
    case SHARD_TYPE_BOOL:
        return ((const uint8_t *)values)[i / 8] >> (i % 8) & 1;
    case SHARD_TYPE_INT8:
        return ((const int8_t *)values)[i];
    case SHARD_TYPE_INT16:
        return ((const int16_t *)values)[i];
    case SHARD_TYPE_INT32:
        return (float)((const int32_t *)values)[i];
    case SHARD_TYPE_INT64:
        return (float)((const int64_t *)values)[i];
    case SHARD_TYPE_UINT8:
        return ((const uint8_t *)values)[i];
    case SHARD_TYPE_UINT16:
        return ((const uint16_t *)values)[i];
    case SHARD_TYPE_UINT32:
        return (float)((const uint32_t *)values)[i];
    case SHARD_TYPE_UINT64:
        return (float)((const uint64_t *)values)[i];
    case SHARD_TYPE_FLOAT16:
        return fmt_float16(((const uint16_t *)values)[i]);
    case SHARD_TYPE_BFLOAT16:
        return fmt_bfloat16(((const uint16_t *)values)[i]);
    case SHARD_TYPE_FLOAT32:
        return ((const float *)values)[i];
    case SHARD_TYPE_FLOAT64:
        return (float)((const double *)values)[i];
    default:
        return 0;
    }
}

bool
train_source_takes(enum train_source_kind kind, enum shard_type type)
{
    if (kind == TRAIN_SOURCE_TEXT)
        return type == SHARD_TYPE_STRING || type == SHARD_TYPE_BINARY;
    if (kind == TRAIN_SOURCE_SPARSE)
        return type == SHARD_TYPE_SPARSE;
    return type == SHARD_TYPE_BOOL || fmt_type_is_number(type);
}

static int
text_row(const struct train_source *s, const struct shard_array *a, uint64_t row, const void *table,
         size_t row_bytes, struct train_features *f)
{
    const uint8_t *text = (const uint8_t *)a->values + a->offsets[row];
    const size_t len = is_null(a, row) ? 0 : (size_t)(a->offsets[row + 1] - a->offsets[row]);

    if (features_reserve(f, TRAIN_ROW_IDS_MAX, false) < 0)
        return -ENOMEM;
    f->n += train_ngram_ids(&s->ngram, text, len, table, row_bytes, f->ids + f->n);
    return 0;
}

static int
sparse_row(const struct train_source *s, const struct shard_array *a, uint64_t row,
           struct train_features *f)
{
    const uint64_t from = (uint64_t)a->offsets[row], to = (uint64_t)a->offsets[row + 1];

    if (features_reserve(f, to - from, true) < 0)
        return -ENOMEM;
    for (uint64_t i = from; i < to; i++) {
        uint32_t id = a->indices[i];

        if (s->buckets > 0)
            id = (uint32_t)(((base_hash64(&id, sizeof(id), 0) >> 32) * s->buckets) >> 32);
        f->ids[f->n] = id;
        f->vals[f->n++] = number_at(a->elem, a->values, i);
    }
    return 0;
}

int
train_source_row(const struct train_source *s, const struct train_batch *b, uint64_t row,
                 const void *table, size_t row_bytes, struct train_features *f)
{
    if (s->kind == TRAIN_SOURCE_TEXT)
        return text_row(s, b->cols[s->col0], row, table, row_bytes, f);
    if (s->kind == TRAIN_SOURCE_SPARSE)
        return sparse_row(s, b->cols[s->col0], row, f);
    if (features_reserve(f, s->n_cols, true) < 0)
        return -ENOMEM;
    for (uint32_t i = 0; i < s->n_cols; i++) {
        const struct shard_array *a = b->cols[s->col0 + i];

        if (is_null(a, row))
            continue;
        f->ids[f->n] = i;
        f->vals[f->n++] = number_at(a->type, a->values, row);
    }
    return 0;
}
