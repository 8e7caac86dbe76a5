#include "config.h"

#include "tests/train_util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/compiler.h"
#include "tests/random.h"

static void *
must(void *p)
{
    if (p == NULL)
        abort();
    return p;
}

void
mem_data_init(struct mem_data *d, const enum shard_type *types, uint32_t n_cols)
{
    memset(d, 0, sizeof(*d));
    d->n_cols = n_cols;
    for (uint32_t i = 0; i < n_cols; i++) {
        d->cols[i].a.type = types[i];
        d->cols[i].a.elem = types[i] == SHARD_TYPE_SPARSE ? SHARD_TYPE_FLOAT64 : 0;
    }
}

static size_t
unit(const struct mem_col *c)
{
    return c->a.type == SHARD_TYPE_STRING ? 1 : 8;
}

static void
put(struct mem_data *d, uint32_t col, const void *data, size_t n)
{
    struct mem_col *c = &d->cols[col];

    if (d->n_rows == d->cap_rows) {
        d->cap_rows = d->cap_rows ? 2 * d->cap_rows : 64;
        for (uint32_t i = 0; i < d->n_cols; i++) {
            struct mem_col *k = &d->cols[i];

            k->offsets = must(realloc(k->offsets, (d->cap_rows + 1) * sizeof(int32_t)));
            k->validity = must(realloc(k->validity, d->cap_rows));
            k->offsets[0] = 0;
        }
    }
    if (c->len + n > c->cap) {
        c->cap = 2 * (c->len + n) + 64;
        c->values = must(realloc(c->values, c->cap * unit(c)));
        c->indices = must(realloc(c->indices, c->cap * sizeof(uint32_t)));
    }
    if (n)
        memcpy(c->values + c->len * unit(c), data, n * unit(c));
    c->len += n;
    c->offsets[d->n_rows + 1] = (int32_t)c->len;
    c->validity[d->n_rows] = 1;
}

void
mem_put_text(struct mem_data *d, uint32_t col, const char *text, size_t len)
{
    put(d, col, text, len);
}

void
mem_put_int(struct mem_data *d, uint32_t col, int64_t v)
{
    put(d, col, &v, 1);
}

void
mem_put_double(struct mem_data *d, uint32_t col, double v)
{
    put(d, col, &v, 1);
}

void
mem_put_sparse(struct mem_data *d, uint32_t col, const uint32_t *idx, const double *val, size_t n)
{
    put(d, col, val, n);
    if (n)
        memcpy(d->cols[col].indices + d->cols[col].len - n, idx, n * sizeof(*idx));
}

void
mem_put_null(struct mem_data *d, uint32_t col)
{
    static const uint64_t zero;
    const enum shard_type type = d->cols[col].a.type;

    put(d, col, &zero, type == SHARD_TYPE_STRING || type == SHARD_TYPE_SPARSE ? 0 : 1);
    d->cols[col].validity[d->n_rows] = 0;
}

void
mem_end_row(struct mem_data *d)
{
    d->n_rows++;
}

static void
seal(struct mem_col *c, uint64_t n_rows)
{
    uint8_t *bits = must(calloc(n_rows / 8 + 1, 1));

    c->a.n_rows = n_rows;
    for (uint64_t i = 0; i < n_rows; i++) {
        bits[i / 8] |= (uint8_t)(c->validity[i] << (i % 8));
        c->a.n_nulls += !c->validity[i];
    }
    free(c->validity);
    c->validity = bits;
    c->a.validity = c->a.n_nulls ? bits : NULL;
    c->a.n_values = c->len;
    c->a.values = c->values;
    c->a.offsets = c->offsets;
    c->a.indices = c->indices;
}

void
mem_data_seal(struct mem_data *d)
{
    for (uint32_t i = 0; i < d->n_cols; i++)
        seal(&d->cols[i], d->n_rows);
}

void
mem_data_done(struct mem_data *d)
{
    for (uint32_t i = 0; i < d->n_cols; i++) {
        free(d->cols[i].values);
        free(d->cols[i].validity);
        free(d->cols[i].offsets);
        free(d->cols[i].indices);
    }
    memset(d, 0, sizeof(*d));
}

/* ---- the feed ---- */

struct mem_feed {
    struct train_feed base;
    const struct mem_data *d;
    uint64_t seed, step, perm_epoch;
    bool as_stored;
    uint32_t *perm;
    uint32_t *first;
    struct mem_data batch;
    const struct shard_array *cols[MEM_COLS_MAX];
};

static void
shuffle(struct mem_feed *f, uint64_t epoch)
{
    uint64_t state = f->seed * 1000003 + epoch;

    for (uint32_t i = 0; i < f->d->n_rows; i++)
        f->perm[i] = i;
    for (uint32_t i = (uint32_t)f->d->n_rows; !f->as_stored && i > 1; i--) {
        const uint32_t k = (uint32_t)(test_random(&state) % i), t = f->perm[i - 1];

        f->perm[i - 1] = f->perm[k];
        f->perm[k] = t;
    }
    f->perm_epoch = epoch;
}

static void
copy_row(struct mem_feed *f, uint64_t row)
{
    struct mem_data *to = &f->batch;

    for (uint32_t i = 0; i < f->d->n_cols; i++) {
        const struct mem_col *c = &f->d->cols[i];
        const size_t at = (size_t)c->offsets[row], n = (size_t)c->offsets[row + 1] - at;

        if (c->a.type == SHARD_TYPE_SPARSE)
            mem_put_sparse(to, i, c->indices + at, (const double *)(const void *)c->values + at, n);
        else
            put(to, i, c->values + at * unit(c), n);
        if (!(c->validity[row / 8] >> (row % 8) & 1))
            to->cols[i].validity[to->n_rows] = 0;
    }
    mem_end_row(to);
}

static int
mem_next(struct train_feed *base, struct train_batch *ret, int64_t timeout_ms,
         struct shard_error *err)
{
    struct mem_feed *f = BASE_CONTAINER_OF(base, struct mem_feed, base);
    const struct train_feed_plan *plan = &base->plan;
    const uint64_t q = plan->batch_size / plan->partitions;
    enum shard_type types[MEM_COLS_MAX];
    uint64_t s;

    (void)timeout_ms;
    (void)err;
    if (f->step == plan->stop_step)
        return 0;
    if (f->perm_epoch != f->step / plan->steps_per_epoch)
        shuffle(f, f->step / plan->steps_per_epoch);
    s = f->step % plan->steps_per_epoch;
    for (uint32_t i = 0; i < f->d->n_cols; i++)
        types[i] = f->d->cols[i].a.type;
    mem_data_init(&f->batch, types, f->d->n_cols);
    for (uint64_t p = 0; p < plan->partitions; p++) {
        const uint64_t lo = p * f->d->n_rows / plan->partitions;
        const uint64_t hi = (p + 1) * f->d->n_rows / plan->partitions;

        f->first[p] = (uint32_t)f->batch.n_rows;
        for (uint64_t i = lo + s * q; i < hi && i < lo + (s + 1) * q; i++)
            copy_row(f, f->perm[i]);
    }
    f->first[plan->partitions] = (uint32_t)f->batch.n_rows;
    mem_data_seal(&f->batch);
    for (uint32_t i = 0; i < f->d->n_cols; i++)
        f->cols[i] = &f->batch.cols[i].a;
    *ret = (struct train_batch){
        .step = f->step,
        .epoch = (uint32_t)(f->step / plan->steps_per_epoch),
        .n_rows = (uint32_t)f->batch.n_rows,
        .n_partitions = plan->partitions,
        .n_cols = f->d->n_cols,
        .partition_first = f->first,
        .cols = f->cols,
    };
    f->step++;
    return 1;
}

static void
mem_release(struct train_feed *base, struct train_batch *b)
{
    struct mem_feed *f = BASE_CONTAINER_OF(base, struct mem_feed, base);

    (void)b;
    mem_data_done(&f->batch);
}

static void
mem_close(struct train_feed *base)
{
    struct mem_feed *f = BASE_CONTAINER_OF(base, struct mem_feed, base);

    free(f->perm);
    free(f->first);
    free(f);
}

struct train_feed *
mem_feed_open(const struct mem_data *d, uint32_t batch_size, uint32_t partitions, uint32_t epochs,
              uint64_t seed, uint64_t start_step, bool as_stored)
{
    struct mem_feed *f = must(calloc(1, sizeof(*f)));
    const uint64_t q = batch_size / partitions;
    const uint64_t longest = (d->n_rows + partitions - 1) / partitions;

    f->base.next = mem_next;
    f->base.release = mem_release;
    f->base.close = mem_close;
    f->base.plan = (struct train_feed_plan){
        .batch_size = batch_size,
        .partitions = partitions,
        .window = 2,
        .epochs = epochs,
        .n_rows = d->n_rows,
        .steps_per_epoch = (longest + q - 1) / q,
        .stop_step = (longest + q - 1) / q * epochs,
        .snapshot = "00000000000000000000000000000000",
    };
    f->d = d;
    f->seed = seed;
    f->step = start_step;
    f->perm_epoch = UINT64_MAX;
    f->as_stored = as_stored;
    f->perm = must(calloc(d->n_rows + 1, sizeof(*f->perm)));
    f->first = must(calloc(partitions + 1, sizeof(*f->first)));
    return &f->base;
}

bool
mem_read_libsvm(struct mem_data *d, const char *path)
{
    static const enum shard_type types[] = {SHARD_TYPE_INT64, SHARD_TYPE_SPARSE};
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;

    if (f == NULL)
        return false;
    mem_data_init(d, types, 2);
    while (getline(&line, &cap, f) > 0) {
        uint32_t idx[1000];
        double val[1000];
        size_t n = 0;
        char *p;

        mem_put_int(d, 0, strtol(line, &p, 10));
        for (char *q = p; n < BASE_ARRAY_LEN(idx); p = q) {
            const unsigned long k = strtoul(p, &q, 10);

            if (*q != ':')
                break;
            idx[n] = (uint32_t)k;
            val[n++] = strtod(q + 1, &q);
        }
        mem_put_sparse(d, 1, idx, val, n);
        mem_end_row(d);
    }
    free(line);
    (void)fclose(f);
    mem_data_seal(d);
    return true;
}
