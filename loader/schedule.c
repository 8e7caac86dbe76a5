/* What the pipeline does next: which windows open, which row groups are read, which steps are
 * gathered. Everything here runs under loader.lock and does no I/O of its own. */
#include "config.h"

#include "loader/loader_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/fail.h"
#include "shardfmt/open.h"

#define LOOKAHEAD 16u /* row groups in line whose shards are opened ahead */

/* ---------------------------------------------------------------------------------- accounts */

static enum loader_blame
pipeline_blame(const struct shard_loader *l)
{
    const uint32_t busy = l->n_decoding + l->n_units;

    if (busy >= base_pool_threads(l->pool))
        return LOADER_BLAME_DECODE;
    if (l->memory_blocked)
        return LOADER_BLAME_MEMORY;
    if (l->n_reads_in_flight >= 4)
        return LOADER_BLAME_DISK;
    return l->n_reads_in_flight > 0 || l->n_opening > 0 ? LOADER_BLAME_READ : LOADER_BLAME_DECODE;
}

void
loader_account(struct shard_loader *l)
{
    const uint64_t now = base_now_ns(), passed = now - l->account_ns;

    if (l->waiting)
        l->blame[pipeline_blame(l)] += passed;
    if (l->memory_blocked)
        l->stats.memory_wait_ns += passed;
    if (l->n_reads_in_flight > 0 && l->n_decoding == 0)
        l->stats.read_wait_ns += passed;
    l->account_ns = now;
}

void
loader_fail_at(struct shard_loader *l, uint64_t step, const struct shard_error *err)
{
    if (step >= l->fail_step)
        return;
    l->fail_step = step;
    l->fail = *err;
    (void)pthread_cond_broadcast(&l->ready);
}

/* -------------------------------------------------------------------------------------- sets */

static void
set_free(struct loader_set *set)
{
    free(set->err);
    free(set->indices);
    free(set->asks);
    free(set->starts);
    free(set->groups);
    free(set->waits);
    free(set);
}

/* Where a row group stands in the file, and in its set. */
struct placed {
    uint32_t index, place;
};

static int
placed_cmp(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;

    return x->index < y->index ? -1 : x->index > y->index;
}

/* Row groups are asked for in the order of the files, so that those side by side are read together. */
static int
set_asks(struct loader_set *set)
{
    struct placed *placed = calloc(set->n_groups, sizeof(*placed));
    uint32_t i;

    set->asks = calloc(set->n_groups, sizeof(*set->asks));
    if (placed && set->asks) {
        for (i = 0; i < set->n_groups; i++)
            placed[i] = (struct placed){set->indices[i], i};
        qsort(placed, set->n_groups, sizeof(*placed), placed_cmp);
        for (i = 0; i < set->n_groups; i++)
            set->asks[i] = placed[i].place;
    }
    i = placed && set->asks;
    free(placed);
    return i ? 0 : -ENOMEM;
}

static struct loader_set *
set_new(const struct loader_epoch *e, uint32_t place, uint32_t n_groups)
{
    struct loader_set *set = calloc(1, sizeof(*set));
    uint32_t i;

    if (set == NULL)
        return NULL;
    set->refs = 1;
    set->n_groups = set->n_missing = n_groups;
    set->indices = calloc(n_groups, sizeof(*set->indices));
    set->starts = calloc((size_t)n_groups + 1, sizeof(*set->starts));
    set->groups = calloc(n_groups, sizeof(struct loader_group *));
    set->waits = calloc(n_groups, sizeof(*set->waits));
    if (!set->indices || !set->starts || !set->groups || !set->waits) {
        set_free(set);
        return NULL;
    }
    for (i = 0; i < n_groups; i++)
        set->indices[i] = e->groups[place + i];
    for (i = 0; i <= n_groups; i++)
        set->starts[i] = e->starts[place + i];
    if (set_asks(set) < 0) {
        set_free(set);
        return NULL;
    }
    return set;
}

void
loader_set_unref(struct shard_loader *l, struct loader_set *set)
{
    uint32_t i;

    if (set == NULL || --set->refs > 0)
        return;
    for (i = 0; i < set->n_groups; i++)
        if (set->groups[i])
            loader_group_release(l, set->groups[i]);
    set_free(set);
}

static void
set_fail(struct loader_set *set, int status, const struct shard_error *err)
{
    if (set->status < 0)
        return;
    set->status = status;
    set->err = malloc(sizeof(*set->err));
    if (set->err)
        *set->err = *err;
}

/* The set cannot have g: its error, and which rows are missing. */
static void
set_fail_group(struct loader_set *set, const struct loader_group *g)
{
    const struct loader_group_info *info = &g->l->infos[g->index];
    struct shard_error err = g->err;

    (void)fmt_fail_rows(&err, g->status, info->row0, g->shard->entry->group_rows[info->index]);
    set_fail(set, g->status, &err);
}

void
loader_set_ready(struct loader_group *g)
{
    while (g->waits) {
        struct loader_wait *w = g->waits;

        g->waits = w->next;
        if (g->status < 0)
            set_fail_group(w->set, g);
        else
            w->set->n_missing--;
    }
}

/* The set holds g from now on, and waits for it where it must. */
static void
set_hold(struct loader_set *set, struct loader_group *g)
{
    const uint32_t place = set->asks[set->n_asked++];
    struct loader_wait *wait = &set->waits[place];

    set->groups[place] = g;
    if (g->state == LOADER_GROUP_READY) {
        set->n_missing--;
    } else if (g->state == LOADER_GROUP_FAILED) {
        set_fail_group(set, g);
    } else {
        wait->set = set;
        wait->next = g->waits;
        g->waits = wait;
    }
}

static bool
set_ready(const struct loader_set *set)
{
    return set->n_missing == 0;
}

/* ------------------------------------------------------------------------------------- parts */

/* Where the part ends in this epoch: at its border, or at the last step that is wanted. */
static uint64_t
part_end(const struct shard_loader *l, const struct loader_part *part, uint32_t epoch)
{
    const uint64_t first = epoch * l->order.steps, rows = part->hi - part->lo;
    uint64_t steps;

    if (first >= l->plan.stop_step)
        return part->lo;
    steps = BASE_MIN(l->order.steps, l->plan.stop_step - first);
    return part->lo + BASE_MIN(rows, steps * l->order.quota);
}

/* After part->next moved: go to the next epoch where this one is done, and say when. */
static void
part_settle(struct shard_loader *l, struct loader_part *part)
{
    part->next_step = l->plan.stop_step;
    if (part->next >= part_end(l, part, part->epoch)) {
        part->epoch++;
        part->next = part->lo;
        if (part->next >= part_end(l, part, part->epoch))
            return;
    }
    part->next_step = part->epoch * l->order.steps + (part->next - part->lo) / l->order.quota;
}

void
loader_part_range(const struct shard_loader *l, const struct loader_part *part, uint64_t step,
                  uint32_t n_steps, uint64_t *ret_begin, uint64_t *ret_end)
{
    const uint64_t s = step % l->order.steps, rows = part->hi - part->lo;

    *ret_begin = part->lo + BASE_MIN(rows, s * l->order.quota);
    *ret_end = part->lo + BASE_MIN(rows, (s + n_steps) * l->order.quota);
}

/* Steps below this one have all that they need of the part. */
static uint64_t
part_ready(struct shard_loader *l, const struct loader_part *part)
{
    const struct loader_window *w;

    for (w = part->first; w; w = w->next) {
        if (w->set->status < 0) {
            const struct shard_error fallback = {.code = w->set->status};

            loader_fail_at(l, w->first_step, w->set->err ? w->set->err : &fallback);
        }
        if (!set_ready(w->set))
            return w->first_step;
    }
    return part->next_step;
}

bool
loader_part_done(struct shard_loader *l, struct loader_part *part, struct loader_window *w,
                 uint64_t begin, uint64_t end)
{
    bool closed = false;

    for (; begin < end; w = w->next) {
        const uint64_t upto = BASE_MIN(end, w->end);

        w->rows_left -= upto - begin;
        begin = upto;
    }
    while (part->first && part->first->rows_left == 0) {
        w = part->first;
        part->first = w->next;
        if (part->last == w)
            part->last = NULL;
        if (part->gather == w)
            part->gather = w->next;
        part->n_windows--;
        loader_set_unref(l, w->set);
        free(w);
        closed = true;
    }
    return closed;
}

/* ----------------------------------------------------------------------------------- windows */

/* Cursors move in the order of steps, so that they are in two epochs at most. */
static struct loader_epoch *
epoch_get(struct shard_loader *l, uint32_t epoch)
{
    struct loader_epoch *e = &l->epochs[epoch % 2];

    if (e->groups && e->epoch == epoch)
        return e;
    loader_epoch_done(e);
    return loader_epoch_init(e, &l->order, epoch) < 0 ? NULL : e;
}

static void
load_line_push(struct shard_loader *l, struct loader_set *set)
{
    *(l->load_last ? &l->load_last->load_next : &l->load_first) = set;
    l->load_last = set;
    set->refs++; /* the line's */
}

static void
load_line_pop(struct shard_loader *l)
{
    struct loader_set *set = l->load_first;

    l->load_first = set->load_next;
    if (l->load_first == NULL)
        l->load_last = NULL;
    loader_set_unref(l, set);
}

/* The set of a window: its own, or that of all where the split is permuted whole. */
static struct loader_set *
window_set(struct shard_loader *l, const struct loader_epoch *e, const struct loader_window_span *span,
           uint64_t step)
{
    struct loader_set *set = l->whole;

    if (set == NULL) {
        set = set_new(e, span->place, span->n_places);
        if (set == NULL)
            return NULL;
        set->first_step = step;
        load_line_push(l, set);
        if (!l->order.whole)
            return set;
        l->whole = set;
    }
    set->refs++;
    return set;
}

static int
window_open(struct shard_loader *l, struct loader_part *part)
{
    struct loader_window *w = calloc(1, sizeof(*w));
    struct loader_epoch *e = epoch_get(l, part->epoch);
    struct loader_window_span span;

    if (w == NULL || e == NULL)
        goto fail;
    loader_order_window(&l->order, e, part->partition, part->next, &span);
    w->set = window_set(l, e, &span, part->next_step);
    if (w->set == NULL)
        goto fail;
    w->epoch = part->epoch;
    w->first_step = part->next_step;
    w->begin = part->next;
    w->end = BASE_MIN(span.hi, part_end(l, part, part->epoch));
    w->rows_left = w->end - w->begin;
    w->base = span.base;
    w->bijection = span.bijection;
    *(part->last ? &part->last->next : &part->first) = w;
    part->last = w;
    if (part->gather == NULL)
        part->gather = w;
    part->n_windows++;
    part->next = w->end;
    part_settle(l, part);
    return 0;
fail:
    free(w);
    return -ENOMEM;
}

/* The step that takes the last row of the window. */
static uint64_t
window_last_step(const struct shard_loader *l, const struct loader_part *part,
                 const struct loader_window *w)
{
    return w->epoch * l->order.steps + (w->end - 1 - part->lo) / l->order.quota;
}

/* Windows that may be open in all parts together, but for those that a step needs. While the consumer
 * takes batches as fast as they come, few are opened ahead: what is decoded long before it is
 * gathered has left the cache by then. Once batches wait for the consumer there is time for more. */
static uint64_t
windows_max(const struct shard_loader *l)
{
    if ((l->next_gather - l->head) * 2 >= l->ring_cap)
        return (uint64_t)l->n_parts * l->windows_max;
    return l->n_parts + l->windows_ahead;
}

/* The part whose next window is needed first, or NULL where none needs one by now. To wait is safe
 * only where a window of the part closes before that step: its closing wakes the planner. */
static struct loader_part *
part_to_open(struct shard_loader *l)
{
    struct loader_part *best = &l->parts[0];
    uint64_t n_windows = 0;
    uint32_t i;

    for (i = 0; i < l->n_parts; i++) {
        n_windows += l->parts[i].n_windows;
        if (l->parts[i].next_step < best->next_step)
            best = &l->parts[i];
    }
    if (best->next_step >= l->plan.stop_step || best->next_step >= l->fail_step)
        return NULL;
    if (best->n_windows > 0 && n_windows >= windows_max(l) &&
        best->next_step > l->next_gather + l->unit_steps &&
        window_last_step(l, best, best->first) < best->next_step)
        return NULL;
    return best;
}

static uint32_t
line_length(const struct shard_loader *l)
{
    const struct loader_set *set;
    uint32_t n = 0;

    for (set = l->load_first; set && n < LOOKAHEAD; set = set->load_next)
        n += set->n_groups - set->n_asked;
    return n;
}

static void
windows_open(struct shard_loader *l)
{
    struct loader_part *part;

    while (line_length(l) < LOOKAHEAD && (part = part_to_open(l)) != NULL)
        if (window_open(l, part) < 0) {
            struct shard_error err = {0};

            (void)base_fail(&err, -ENOMEM, "opening a window");
            loader_fail_at(l, part->next_step, &err);
        }
}

/* Open the shards of the next row groups in line, as far as their footers have room. */
static void
shards_open_ahead(struct shard_loader *l)
{
    const struct loader_set *set;
    bool first = true;
    uint32_t i, n = 0;

    l->pass++;
    for (set = l->load_first; set && n < LOOKAHEAD; set = set->load_next)
        for (i = set->n_asked; i < set->n_groups && n < LOOKAHEAD; i++, n++) {
            const uint32_t index = set->indices[set->asks[i]];

            if (l->groups[index])
                continue;
            if (!loader_shard_want(l, &l->shards[l->infos[index].shard], first))
                return;
            first = false;
        }
}

/* ------------------------------------------------------------------------------------- loads */

/* Nothing is under way that would free memory, and the next step waits for the set. */
static bool
stuck(const struct shard_loader *l, const struct loader_set *set)
{
    return l->n_reading == 0 && l->n_decoding == 0 && l->n_units == 0 && l->n_opening == 0 &&
           set->first_step <= l->next_gather && l->next_gather < l->fail_step;
}

/* Copy away the rows that the next step needs of windows that end in it, and free those. */
static int
spill_windows(struct shard_loader *l, bool *ret_any, struct shard_error *err)
{
    uint32_t i;
    int r;

    *ret_any = false;
    for (i = 0; i < l->n_parts; i++) {
        struct loader_part *part = &l->parts[i];
        struct loader_window *w;
        uint64_t begin, end;

        loader_part_range(l, part, l->next_gather, 1, &begin, &end);
        for (w = part->first; w && w->end <= end && set_ready(w->set); w = w->next) {
            if (w->epoch != l->next_gather / l->order.steps)
                break;
            if (w->set == l->whole || w->set->groups[0]->row_numbers)
                continue;
            r = loader_window_spill(l, w, err);
            if (r < 0)
                return r;
            *ret_any = true;
        }
    }
    return 0;
}

/* The budget is full and only spilling can help. True where the set may be asked for again. */
static bool
unstick(struct shard_loader *l, const struct loader_set *set, uint64_t need)
{
    struct shard_error err = {0};
    bool any;

    if (!stuck(l, set))
        return false;
    if (spill_windows(l, &any, &err) == 0) {
        if (any)
            return true;
        (void)base_fail(&err, SHARD_EBUDGET, "the memory budget of %" PRIu64 " bytes is too small: "
                        "a row group takes %" PRIu64 " bytes more; at least %" PRIu64
                        " will do", l->plan.memory, need, l->plan.memory + need +
                        l->n_parts * (uint64_t)(l->order.window - 1) * need);
    }
    loader_fail_at(l, l->next_gather, &err);
    return false;
}

/* Ask for the set's next row group: 1 asked for, 0 must wait. */
static int
set_ask_next(struct shard_loader *l, struct loader_set *set)
{
    const uint32_t index = set->indices[set->asks[set->n_asked]];
    struct loader_group *g = l->groups[index];
    struct loader_shard *s = &l->shards[l->infos[index].shard];
    uint64_t need = 0;
    int r;

    if (g) {
        loader_group_ref(l, g);
        set_hold(set, g);
        return 1;
    }
    if (s->state != LOADER_SHARD_OPEN && s->status == 0) {
        shards_open_ahead(l); /* it is the first in line now */
        return 0;
    }
    do {
        r = loader_group_start(l, index, &need);
    } while (r == -EAGAIN && unstick(l, set, need));
    if (r == -EAGAIN) {
        l->memory_blocked = true;
        return 0;
    }
    if (r < 0) {
        struct shard_error err = {0};

        (void)base_fail(&err, r, "reading row group %" PRIu32, index);
        set_fail(set, r, &err);
        return 0;
    }
    set_hold(set, l->groups[index]);
    return 1;
}

/* Whether so much is under way that more would only take memory. Half of it is let finish before
 * more is begun, so that reads are handed over several at a time. */
static bool
flight_full(struct shard_loader *l)
{
    const uint32_t n = l->n_reading + l->n_decoding;

    if (n >= l->flight_max)
        l->flight_full = true;
    else if (n <= l->flight_max / 2)
        l->flight_full = false;
    return l->flight_full;
}

void
loader_schedule_loads(struct shard_loader *l)
{
    loader_account(l);
    l->memory_blocked = false;
    while (!l->closing && !flight_full(l)) {
        struct loader_set *set;

        windows_open(l);
        shards_open_ahead(l);
        set = l->load_first;
        if (set == NULL)
            break;
        while (set->n_asked < set->n_groups && set->status == 0 && !flight_full(l))
            if (set_ask_next(l, set) == 0)
                break;
        if (set->n_asked < set->n_groups && set->status == 0)
            break;
        load_line_pop(l);
    }
    loader_schedule_gather(l);
}

/* ------------------------------------------------------------------------------------ gather */

static struct loader_unit *
unit_get(struct shard_loader *l)
{
    struct loader_unit *u = l->units;

    if (u) {
        l->units = u->next;
        return u;
    }
    u = calloc(1, sizeof(*u) + l->n_parts * sizeof(u->first[0]));
    if (u == NULL)
        return NULL;
    u->l = l;
    u->batches = calloc(l->unit_steps, sizeof(struct shard_batch *));
    if (u->batches == NULL) {
        free(u);
        return NULL;
    }
    return u;
}

/* Hand steps [next_gather, + n) to the pool, of so many bytes, and no more than so many. */
static void
unit_submit(struct shard_loader *l, uint32_t n, uint64_t expected, uint64_t bytes)
{
    struct loader_unit *u = unit_get(l);
    const uint32_t epoch = (uint32_t)(l->next_gather / l->order.steps);
    uint64_t begin, end;
    uint32_t i;

    if (u == NULL) {
        struct shard_error err = {0};

        (void)base_fail(&err, -ENOMEM, "step %" PRIu64, l->next_gather);
        loader_fail_at(l, l->next_gather, &err);
        return;
    }
    u->step = l->next_gather;
    u->n_steps = n;
    u->expected = expected;
    u->bytes = bytes;
    for (i = 0; i < l->n_parts; i++) {
        struct loader_part *part = &l->parts[i];

        u->first[i] = part->gather;
        loader_part_range(l, part, u->step, n, &begin, &end);
        while (begin < end && part->gather && part->gather->epoch == epoch &&
               part->gather->end <= end)
            part->gather = part->gather->next;
    }
    loader_account(l);
    l->next_gather += n;
    l->n_units++;
    l->bytes_out += bytes;
    u->task.run = loader_unit_run;
    u->task.priority = LOADER_PRIORITY_GATHER;
    base_pool_submit(l->pool, &u->task);
}

/* Of an average row of a complete set, at least 1. */
static uint64_t
set_row_bytes(struct loader_set *set)
{
    const uint64_t n_rows = set->starts[set->n_groups] - set->starts[0];
    uint64_t bytes = 0;
    uint32_t i;

    if (set->row_bytes == 0) {
        for (i = 0; i < set->n_groups; i++) {
            bytes += set->groups[i]->data_bytes;
            set->row_max = BASE_MAX(set->row_max, set->groups[i]->row_max);
        }
        set->data_bytes = bytes;
        set->row_bytes = bytes / BASE_MAX(n_rows, 1) + 1;
    }
    return set->row_bytes;
}

/* What the batch of a step will take, by the averages of the windows that it comes from: where
 * rows are of very different sizes, so are batches. *ret_most: what it may take if it meets the
 * longest rows. All windows are complete. */
static uint64_t
step_bytes(const struct shard_loader *l, uint64_t step, uint64_t *ret_most)
{
    uint64_t n_rows = 0, bytes = 0, most = 0, at, end;
    uint32_t i;

    for (i = 0; i < l->n_parts; i++) {
        const struct loader_window *w = l->parts[i].gather;

        loader_part_range(l, &l->parts[i], step, 1, &at, &end);
        n_rows += end - at;
        for (; at < end; w = w->next) {
            const uint64_t upto = BASE_MIN(end, w->end);

            if (upto <= at || w->epoch != step / l->order.steps)
                continue;
            bytes += (upto - at) * set_row_bytes(w->set);
            most += BASE_MIN((upto - at) * w->set->row_max, w->set->data_bytes);
            at = upto;
        }
    }
    bytes = BASE_MAX(loader_batch_bytes(n_rows, l->n_columns, bytes), l->batch_bytes);
    most = loader_batch_bytes(n_rows, l->n_columns, most);
    *ret_most = most > bytes ? bytes + most : bytes; /* values that do not fit get a block */
    return bytes;
}

/* Steps that may be gathered now as far as the ring and memory go, and their bytes; 0 = wait. want
 * is how many could be. What they may come to must have room; where it has none, one step at a time
 * may be in the making if an average one has room, as then its size is known before the next. */
static uint32_t
gather_room(struct shard_loader *l, uint64_t want, uint64_t *ret_expected, uint64_t *ret_bytes)
{
    const uint64_t ahead = l->next_gather - l->head;
    uint64_t n = BASE_MIN(want, l->unit_steps), room, expected = 0, most = 0, i;

    if (ahead >= l->ring_cap)
        return 0;
    n = BASE_MIN(n, l->ring_cap - ahead);
    if (n < l->unit_steps && n < want && ahead >= l->unit_steps)
        return 0; /* wait until a whole unit fits */
    room = loader_arena_room(l->batch_mem);
    room = room > l->bytes_out ? room - l->bytes_out : 0;
    for (i = 0; i < n; i++) {
        const uint64_t scratch = loader_scratch_bytes((i + 1) * l->step_rows);
        uint64_t step_most;
        const uint64_t step = step_bytes(l, l->next_gather + i, &step_most);

        /* With nothing ahead the consumer holds all the memory there is for batches, and wants
         * one more. */
        if (most + step_most + scratch > room &&
            (i > 0 || l->n_units > 0 || (ahead > 0 && step + scratch > room)))
            break;
        expected += step;
        most += step_most;
    }
    *ret_expected = expected;
    *ret_bytes = most + loader_scratch_bytes(i * l->step_rows);
    return (uint32_t)i;
}

void
loader_schedule_gather(struct shard_loader *l)
{
    while (!l->closing && l->next_gather < l->plan.stop_step) {
        const uint64_t epoch_end = (l->next_gather / l->order.steps + 1) * l->order.steps;
        uint64_t ready = BASE_MIN(epoch_end, l->plan.stop_step), expected = 0, bytes = 0;
        uint32_t i, n;

        for (i = 0; i < l->n_parts; i++)
            ready = BASE_MIN(ready, part_ready(l, &l->parts[i]));
        ready = BASE_MIN(ready, l->fail_step);
        if (ready <= l->next_gather)
            return;
        n = gather_room(l, ready - l->next_gather, &expected, &bytes);
        if (n == 0)
            return;
        unit_submit(l, n, expected, bytes);
    }
}

/* -------------------------------------------------------------------------------- life cycle */

int
loader_schedule_init(struct shard_loader *l)
{
    const uint64_t start = l->plan.start_step, steps = l->order.steps;
    uint32_t i;

    l->parts = calloc(l->n_parts, sizeof(*l->parts));
    l->ring = calloc(l->ring_cap, sizeof(struct shard_batch *));
    if (l->parts == NULL || l->ring == NULL)
        return -ENOMEM;
    l->head = l->next_gather = start;
    l->fail_step = UINT64_MAX;
    for (i = 0; i < l->n_parts; i++) {
        struct loader_part *part = &l->parts[i];

        part->partition = l->plan.first_partition + i;
        loader_order_partition(&l->order, part->partition, &part->lo, &part->hi);
        part->next = part->lo;
        part->next_step = l->plan.stop_step;
        if (steps == 0 || start >= l->plan.stop_step)
            continue;
        part->epoch = (uint32_t)(start / steps);
        part->next = part->lo + BASE_MIN(part->hi - part->lo, start % steps * l->order.quota);
        part_settle(l, part);
    }
    return 0;
}

void
loader_schedule_free(struct shard_loader *l)
{
    uint32_t i;

    while (l->load_first)
        load_line_pop(l);
    for (i = 0; l->parts && i < l->n_parts; i++)
        while (l->parts[i].first) {
            struct loader_window *w = l->parts[i].first;

            l->parts[i].first = w->next;
            loader_set_unref(l, w->set);
            free(w);
        }
    loader_set_unref(l, l->whole);
    l->whole = NULL;
    while (l->units) {
        struct loader_unit *u = l->units;

        l->units = u->next;
        free(u->batches);
        free(u);
    }
    for (i = 0; l->ring && i < l->ring_cap; i++)
        shard_batch_unref(l->ring[i]);
    free(l->ring);
    free(l->parts);
    loader_epoch_done(&l->epochs[0]);
    loader_epoch_done(&l->epochs[1]);
}
