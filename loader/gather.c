/* From windows to batches: which rows a step takes of which row groups, and the task that fetches
 * them. The windows of a queued unit are complete, so all that it reads is constant; whether there
 * are more windows behind them it never looks. */
#include "config.h"

#include "loader/loader_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/fail.h"

/* ----------------------------------------------------------------------------------- sources */

/* Where the rows of a unit come from; under the budget of batches. */
struct scratch {
    struct loader_block *block;
    struct loader_source *sources;
    uint64_t *images;
};

#define SCRATCH_ROW (sizeof(struct loader_source) + sizeof(uint64_t))

uint64_t
loader_scratch_bytes(uint64_t n_rows)
{
    return loader_block_round(n_rows * SCRATCH_ROW);
}

static int
scratch_get(struct shard_loader *l, uint64_t n_rows, struct scratch *ret)
{
    ret->block = loader_block_get(l->batch_mem, n_rows * SCRATCH_ROW, true);
    if (ret->block == NULL)
        return -ENOMEM;
    ret->sources = (struct loader_source *)(void *)ret->block->data;
    ret->images = (uint64_t *)(void *)(ret->sources + n_rows);
    return 0;
}

/* Which row group of the set holds virtual position v. */
static inline uint32_t
set_find(const struct loader_set *set, uint64_t v)
{
    const uint64_t *at = set->starts;
    uint32_t n = set->n_groups;

    while (n > 1) { /* without branches that guess wrong half of the time */
        const uint32_t half = n / 2;

        at += at[half] <= v ? half : 0;
        n -= half;
    }
    return (uint32_t)(at - set->starts);
}

/* The rows that positions [v, v + count) of the window serve. */
static void
window_sources(const struct loader_window *w, uint64_t v, uint32_t count, uint64_t *images,
               struct loader_source *ret_sources, uint64_t *ret_rows)
{
    uint32_t i;

    loader_bijection_run(&w->bijection, v - w->base, count, images);
    for (i = 0; i < count; i++) {
        const uint64_t x = w->base + images[i];
        const uint32_t place = set_find(w->set, x);
        const struct loader_group *g = w->set->groups[place];
        const uint32_t row = (uint32_t)(x - w->set->starts[place]);

        ret_sources[i].arrays = g->arrays;
        ret_sources[i].row = row;
        ret_rows[i] = g->row_numbers ? g->row_numbers[row] : g->row0 + row;
    }
}

/* ------------------------------------------------------------------------------------- units */

/* An empty batch of step u->step + s, its partitions laid out. */
static int
unit_batch(struct shard_loader *l, const struct loader_unit *u, uint32_t s, struct shard_batch **ret)
{
    struct loader_batch_head head = {.step = u->step + s, .n_parts = l->n_parts,
                                     .epoch = (uint32_t)(u->step / l->order.steps)};
    uint64_t begin, end, rows = 0;
    uint32_t p;
    int r;

    for (p = 0; p < l->n_parts; p++) {
        loader_part_range(l, &l->parts[p], head.step, 1, &begin, &end);
        rows += end - begin;
    }
    head.n_rows = (uint32_t)rows;
    if (rows == l->step_rows && u->expected <= u->n_steps * l->batch_bytes)
        head.len = l->batch_bytes;
    r = loader_batch_new(l->batch_mem, l->schema->fields, l->columns, l->n_columns, &head, ret);
    if (r < 0)
        return r;
    (*ret)->first[0] = 0;
    for (p = 0; p < l->n_parts; p++) {
        loader_part_range(l, &l->parts[p], head.step, 1, &begin, &end);
        (*ret)->first[p + 1] = (*ret)->first[p] + (uint32_t)(end - begin);
    }
    return 0;
}

/* All rows that the unit takes of part p: into the batches' row numbers and slots, and into
 * sources, where the rows of batch s begin at s times rows_max. */
static void
unit_part(struct shard_loader *l, const struct loader_unit *u, uint32_t p, uint64_t rows_max,
          const struct scratch *scratch)
{
    const struct loader_part *part = &l->parts[p];
    const uint32_t slot0 = part->partition * l->order.quota;
    const struct loader_window *w = u->first[p];
    uint64_t v, end;
    uint32_t s;

    for (s = 0; s < u->n_steps; s++) {
        struct shard_batch *b = u->batches[s];
        uint32_t at = b->first[p], i;

        for (i = 0; i < b->first[p + 1] - at; i++)
            b->slots[at + i] = slot0 + i;
        loader_part_range(l, part, u->step + s, 1, &v, &end);
        while (v < end) {
            uint32_t count;

            while (v >= w->end || w->epoch != b->epoch)
                w = w->next;
            count = (uint32_t)(BASE_MIN(end, w->end) - v);
            window_sources(w, v, count, scratch->images, scratch->sources + s * rows_max + at,
                           b->rows + at);
            v += count;
            at += count;
        }
    }
}

/* Into the ring, all at once: waking the consumer for every batch would cost more than making it. */
static void
unit_deliver(struct shard_loader *l, const struct loader_unit *u, uint32_t n)
{
    uint32_t s;

    (void)pthread_mutex_lock(&l->lock);
    for (s = 0; s < n; s++)
        l->ring[(u->step + s) % l->ring_cap] = u->batches[s];
    if (l->waiting && l->head >= u->step && l->head < u->step + n)
        (void)pthread_cond_signal(&l->ready);
    (void)pthread_mutex_unlock(&l->lock);
}

/* Make and deliver all batches; returns how many came out before an error. */
static uint32_t
unit_make(struct shard_loader *l, struct loader_unit *u, struct shard_error *err)
{
    const uint64_t rows_max = l->step_rows;
    struct scratch scratch;
    uint32_t s, p, made = 0;

    if (scratch_get(l, rows_max * u->n_steps, &scratch) < 0) {
        (void)base_fail(err, -ENOMEM, "step %" PRIu64, u->step);
        return 0;
    }
    for (s = 0; s < u->n_steps; s++)
        if (unit_batch(l, u, s, &u->batches[s]) < 0) {
            (void)base_fail(err, -ENOMEM, "step %" PRIu64, u->step + s);
            break;
        }
    u->n_steps = s;
    for (p = 0; p < l->n_parts; p++)
        unit_part(l, u, p, rows_max, &scratch);
    for (s = 0; s < u->n_steps; s++) {
        struct shard_batch *b = u->batches[s];
        const bool full = s + 1 < u->n_steps && b->n_rows == rows_max; /* the next stands behind it */
        const uint64_t n_all = b->n_rows + (full ? u->batches[s + 1]->n_rows : 0);

        if (made == s && loader_batch_fill(b, l->n_columns, scratch.sources + s * rows_max, n_all,
                                           err) == 0)
            made++;
        else
            shard_batch_unref(b);
    }
    loader_block_put(scratch.block);
    unit_deliver(l, u, made);
    return made;
}

/* Let go of the windows that the unit has emptied. Under l->lock. */
static bool
unit_close_windows(struct shard_loader *l, const struct loader_unit *u, uint32_t n_steps)
{
    bool closed = false;
    uint32_t p;

    for (p = 0; p < l->n_parts; p++) {
        uint64_t begin, end;

        loader_part_range(l, &l->parts[p], u->step, n_steps, &begin, &end);
        if (loader_part_done(l, &l->parts[p], u->first[p], begin, end))
            closed = true;
    }
    return closed;
}

void
loader_unit_run(struct base_task *task, struct base_worker *worker)
{
    struct loader_unit *u = BASE_CONTAINER_OF(task, struct loader_unit, task);
    struct shard_loader *l = u->l;
    const uint64_t cpu = base_thread_cpu_ns();
    const uint32_t n_steps = u->n_steps;
    struct shard_error err = {0};
    uint32_t made = 0;
    bool wake;

    (void)worker;
    if (!atomic_load_explicit(&l->cancelled, memory_order_relaxed))
        made = unit_make(l, u, &err);
    (void)pthread_mutex_lock(&l->lock);
    loader_account(l);
    l->n_units--;
    l->bytes_out -= u->bytes;
    l->stats.gather_ns += base_thread_cpu_ns() - cpu;
    if (made < n_steps)
        loader_fail_at(l, u->step + made, &err);
    wake = unit_close_windows(l, u, n_steps);
    u->next = l->units;
    l->units = u;
    loader_schedule_gather(l);
    wake |= l->memory_blocked && l->n_units == 0; /* nothing else will give memory back */
    (void)pthread_mutex_unlock(&l->lock);
    if (wake)
        base_io_wake(l->io);
}

/* ------------------------------------------------------------------------------------- spill */

/* A row group that is nothing but the rows of batch b; takes ownership of b on success. */
static struct loader_group *
spilled_group(struct shard_loader *l, struct shard_batch *b)
{
    struct loader_group *g = calloc(1, sizeof(*g));
    uint32_t i;

    if (g)
        g->arrays = calloc(l->n_columns, sizeof(*g->arrays));
    if (g == NULL || g->arrays == NULL) {
        free(g);
        return NULL;
    }
    for (i = 0; i < l->n_columns; i++)
        g->arrays[i] = b->arrays[i];
    g->l = l;
    g->state = LOADER_GROUP_READY;
    g->refs = 1;
    g->data_bytes = b->data_bytes;
    for (i = 0; i < l->n_columns; i++)
        g->row_max += loader_array_row_max(&b->arrays[i]);
    g->row_numbers = b->rows;
    g->spilled = b;
    return g;
}

/* A complete set of g alone, which serves positions [begin, end); takes ownership of g. */
static struct loader_set *
spilled_set(struct loader_group *g, uint64_t begin, uint64_t end)
{
    struct loader_set *set = calloc(1, sizeof(*set));

    if (set == NULL)
        return NULL;
    set->starts = calloc(2, sizeof(*set->starts));
    set->groups = calloc(1, sizeof(struct loader_group *));
    if (set->starts == NULL || set->groups == NULL) {
        free(set->starts);
        free(set->groups);
        free(set);
        return NULL;
    }
    set->refs = set->n_groups = set->n_asked = 1;
    set->starts[0] = begin;
    set->starts[1] = end;
    set->groups[0] = g;
    return set;
}

int
loader_window_spill(struct shard_loader *l, struct loader_window *w, struct shard_error *err)
{
    const uint64_t begin = w->end - w->rows_left;
    const uint32_t n = (uint32_t)w->rows_left;
    struct loader_batch_head head = {.step = l->next_gather, .epoch = w->epoch, .n_rows = n};
    struct scratch scratch = {0};
    struct shard_batch *b = NULL;
    struct loader_group *g = NULL;
    struct loader_set *set;
    int r;

    r = loader_batch_new(l->batch_mem, l->schema->fields, l->columns, l->n_columns, &head, &b);
    if (r == 0)
        r = scratch_get(l, n, &scratch);
    if (r < 0) {
        (void)base_fail(err, r, "step %" PRIu64, l->next_gather);
        goto out;
    }
    window_sources(w, begin, n, scratch.images, scratch.sources, b->rows);
    r = loader_batch_fill(b, l->n_columns, scratch.sources, n, err);
    if (r < 0)
        goto out;
    r = base_fail(err, -ENOMEM, "step %" PRIu64, l->next_gather);
    g = spilled_group(l, b);
    if (g == NULL)
        goto out;
    b = NULL;
    set = spilled_set(g, begin, w->end);
    if (set == NULL) {
        loader_group_release(l, g);
        goto out;
    }
    loader_set_unref(l, w->set);
    w->set = set;
    w->base = begin;
    w->bijection.n = 0;
    r = 0;
out:
    shard_batch_unref(b);
    loader_block_put(scratch.block);
    return r;
}
