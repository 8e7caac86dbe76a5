#include "config.h"

#include "tests/loader_util.h"

#include <check.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fmt_util.h"

void
loader_truth_load(struct loader_truth *t, const char *path)
{
    struct shard_group *g;
    struct shard_error err;
    uint64_t i;
    uint32_t c;

    ck_assert_msg(shard_dataset_open(path, &t->ds, &err) == 0, "%s", err.text);
    t->n_columns = shard_dataset_n_columns(t->ds);
    t->n_rows = shard_dataset_n_rows(t->ds);
    t->columns = calloc(t->n_columns, sizeof(*t->columns));
    t->arrays = calloc(t->n_columns, sizeof(*t->arrays));
    ck_assert(t->columns && t->arrays && shard_group_new(&g) == 0);
    for (c = 0; c < t->n_columns; c++) {
        const struct shard_field *f = shard_dataset_field(t->ds, c);

        fmt_column_init_field(&t->columns[c], f);
    }
    for (i = 0; i < shard_dataset_n_groups(t->ds); i++) {
        ck_assert_msg(shard_dataset_read_group(t->ds, i, NULL, 0, g, &err) == 0, "%s", err.text);
        for (c = 0; c < t->n_columns; c++)
            ck_assert_int_eq(fmt_column_append_run(&t->columns[c], shard_group_array(g, c), 0,
                                                   shard_group_n_rows(g)), 0);
    }
    for (c = 0; c < t->n_columns; c++)
        fmt_column_array(&t->columns[c], &t->arrays[c]);
    shard_group_free(g);
}

void
loader_truth_done(struct loader_truth *t)
{
    uint32_t c;

    for (c = 0; c < t->n_columns; c++)
        fmt_column_done(&t->columns[c]);
    free(t->columns);
    free(t->arrays);
    shard_dataset_close(t->ds);
}

/* The order over the same split, and where its row groups begin in the snapshot. */
struct oracle {
    struct loader_order order;
    struct loader_epoch epoch;
    uint64_t *row0;
    bool has_epoch;
};

static void
oracle_make(struct oracle *k, const struct shard_loader *l, const struct shard_loader_opts *o,
            const char *path)
{
    struct shard_loader_plan plan;
    struct shard_dataset *ds;
    uint32_t *rows, n = 0;
    uint64_t i, n_groups;
    int64_t split;

    shard_loader_get_plan(l, &plan);
    ck_assert_int_eq(shard_dataset_open(path, &ds, NULL), 0);
    n_groups = shard_dataset_n_groups(ds);
    split = shard_dataset_find_split(ds, plan.split);
    rows = calloc(n_groups + 1, sizeof(*rows));
    k->row0 = calloc(n_groups + 1, sizeof(*k->row0));
    ck_assert(rows && k->row0);
    for (i = 0; i < n_groups; i++) {
        struct shard_group_info info;

        shard_dataset_group_info(ds, i, &info);
        if (info.split != split || info.n_rows == 0)
            continue;
        k->row0[n] = info.row0;
        rows[n++] = info.n_rows;
    }
    ck_assert_int_eq(loader_order_init(&k->order, rows, n, o->seed, o->window ? o->window : 2,
                                       plan.partitions, plan.batch_size, o->shuffle,
                                       o->flags & SHARD_LOADER_DROP_LAST, NULL), 0);
    ck_assert_uint_eq(k->order.steps, plan.steps_per_epoch);
    k->has_epoch = false;
    free(rows);
    shard_dataset_close(ds);
}

static void
oracle_done(struct oracle *k)
{
    if (k->has_epoch)
        loader_epoch_done(&k->epoch);
    loader_order_done(&k->order);
    free(k->row0);
}

/* Everything about the batch but its values. */
static void
batch_check_order(struct oracle *k, const struct shard_loader_plan *plan,
                  const struct shard_batch *b, struct loader_run *run)
{
    const uint32_t *first = shard_batch_partition_first(b), *slots = shard_batch_slots(b);
    const uint64_t *rows = shard_batch_row_numbers(b);
    const uint64_t step = shard_batch_step(b), s = step % k->order.steps;
    uint32_t p, i;

    ck_assert_uint_eq(shard_batch_epoch(b), step / k->order.steps);
    if (!k->has_epoch || k->epoch.epoch != shard_batch_epoch(b)) {
        if (k->has_epoch)
            loader_epoch_done(&k->epoch);
        ck_assert_int_eq(loader_epoch_init(&k->epoch, &k->order, shard_batch_epoch(b)), 0);
        k->has_epoch = true;
    }
    ck_assert_uint_eq(first[0], 0);
    ck_assert_uint_eq(first[plan->n_partitions], shard_batch_n_rows(b));
    for (p = 0; p < plan->n_partitions; p++) {
        const uint32_t part = plan->first_partition + p, q = k->order.quota;
        uint64_t lo, hi, begin;

        loader_order_partition(&k->order, part, &lo, &hi);
        begin = s * q < hi - lo ? s * q : hi - lo;
        ck_assert_uint_eq(first[p + 1] - first[p], hi - lo - begin < q ? hi - lo - begin : q);
        for (i = first[p]; i < first[p + 1]; i++) {
            const struct loader_row row = loader_order_row(&k->order, &k->epoch, part,
                                                           begin + i - first[p]);

            ck_assert_uint_eq(slots[i], part * q + i - first[p]);
            ck_assert_uint_eq(rows[i], k->row0[row.group] + row.row);
            run->order_hash += loader_order_hash(shard_batch_epoch(b), step, slots[i], rows[i]);
            if (run->seen)
                run->seen[rows[i]]++;
        }
    }
}

static void
batch_check_values(const struct shard_loader *l, const struct loader_truth *t,
                   const struct shard_loader_plan *plan, const struct shard_batch *b)
{
    const uint64_t *rows = shard_batch_row_numbers(b);
    uint32_t c, i;

    for (c = 0; c < plan->n_columns; c++) {
        const struct shard_field *f = shard_loader_field(l, c);
        const int64_t column = shard_dataset_find_column(t->ds, f->name);
        const struct shard_array *a = shard_batch_array(b, c);
        uint64_t bad;

        ck_assert_uint_eq(a->n_rows, shard_batch_n_rows(b));
        ck_assert_uint_eq((uintptr_t)a->values % 64, 0);
        if (a->offsets)
            ck_assert_uint_eq(a->n_values, (uint64_t)a->offsets[a->n_rows]);
        else
            ck_assert_uint_eq(a->n_values, (uint64_t)a->n_rows * (a->width ? a->width : 1));
        for (i = 0; i < a->n_rows; i++)
            ck_assert_msg(fmt_util_equal(a, i, &t->arrays[column], rows[i], 1, &bad),
                          "column %s: step %" PRIu64 ", row %" PRIu32 ", in the snapshot %" PRIu64,
                          f->name, shard_batch_step(b), i, rows[i]);
    }
}

void
loader_run(const char *path, const struct shard_loader_opts *o, const struct loader_truth *truth,
           struct loader_run *ret)
{
    struct shard_loader *l = NULL;
    struct shard_batch *b;
    struct oracle oracle;
    uint64_t step;
    int r;

    ret->order_hash = ret->rows = ret->batches = 0;
    ret->status = shard_loader_open(path, o, &l, &ret->err);
    if (ret->status < 0)
        return;
    shard_loader_get_plan(l, &ret->plan);
    oracle_make(&oracle, l, o, path);
    step = ret->plan.start_step;
    while ((r = shard_loader_next(l, &b, 20000, &ret->err)) == 1) {
        ck_assert_uint_eq(shard_batch_step(b), step++);
        batch_check_order(&oracle, &ret->plan, b, ret);
        if (truth)
            batch_check_values(l, truth, &ret->plan, b);
        ret->rows += shard_batch_n_rows(b);
        ret->batches++;
        shard_batch_unref(b);
    }
    ret->status = r;
    if (r == 0) {
        ck_assert_uint_eq(step, ret->plan.stop_step);
        ck_assert_int_eq(shard_loader_next(l, &b, -1, NULL), 0);
    }
    shard_loader_get_stats(l, &ret->stats);
    ck_assert_uint_eq(ret->stats.rows, ret->rows);
    ck_assert_uint_eq(ret->stats.batches, ret->batches);
    oracle_done(&oracle);
    shard_loader_close(l);
}
