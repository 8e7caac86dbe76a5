/* From options to a plan: which split, which columns, which order, and how much memory for what. */
#include "config.h"

#include "loader/loader_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "lib/arith.h"
#include "lib/compiler.h"
#include "lib/fail.h"

#define MEMORY_DEFAULT  (UINT64_C(512) << 20)
#define FOOTERS_MIN     (UINT64_C(1) << 20)
#define FOOTERS_MAX     (UINT64_C(64) << 20)
#define BATCHES_MAX     (UINT64_C(64) << 20) /* more memory for batches ahead helps nobody */
#define RING_MAX        256u                 /* batches ahead */
#define UNIT_ROWS       4096u                /* rows that one task gathers */
#define UNIT_STEPS_MAX  32u
#define SHARDS_EXACT    8u                   /* so many footers may be read while planning */
#define LONGEST_TOGETHER 4u                  /* of the longest rows of a split, in a step of average ones */
#define PARTITIONS_MAX  65536u               /* each has windows open, and these are no row groups */
#define ROWS_PER_STEP_MAX (UINT64_C(1) << 31)

/* ------------------------------------------------------------------------ split and columns */

static int
plan_split(struct shard_loader *l, const char *name, struct shard_error *err)
{
    const uint32_t n = shard_dataset_n_splits(l->ds);
    int64_t found;

    if (name == NULL)
        name = n == 1 ? shard_dataset_split_name(l->ds, 0) : "train";
    found = shard_dataset_find_split(l->ds, name);
    if (found < 0)
        return base_fail(err, SHARD_ENOTFOUND, "the dataset has no split \"%s\"%s%s%s", name,
                         n ? "; it has \"" : "", n ? shard_dataset_split_name(l->ds, 0) : "",
                         n > 1 ? "\" and others" : n ? "\"" : "");
    (void)snprintf(l->plan.split, sizeof(l->plan.split), "%s", name);
    return 0;
}

static int
plan_columns(struct shard_loader *l, const struct shard_loader_opts *o, struct shard_error *err)
{
    uint32_t i;

    if (o->columns && o->n_columns == 0)
        return base_say(err, -EINVAL, "no columns were chosen");
    if (o->columns == NULL && o->n_columns > 0)
        return base_say(err, -EINVAL, "%" PRIu32 " columns without names", o->n_columns);
    l->n_columns = o->columns ? o->n_columns : shard_dataset_n_columns(l->ds);
    l->columns = calloc(l->n_columns ? l->n_columns : 1, sizeof(*l->columns));
    if (l->columns == NULL)
        return base_fail(err, -ENOMEM, "%" PRIu32 " columns", l->n_columns);
    for (i = 0; i < l->n_columns; i++) {
        int64_t found = i;

        if (o->columns)
            found = shard_dataset_find_column(l->ds, o->columns[i]);
        if (found < 0)
            return base_fail(err, SHARD_ENOTFOUND, "the dataset has no column \"%s\"",
                             o->columns[i]);
        l->columns[i] = (uint32_t)found;
    }
    return 0;
}

/* Count shards and row groups of the split, those that hold rows. */
static int
plan_count(struct shard_loader *l, const struct fmt_snapshot *s, struct shard_error *err)
{
    uint64_t n_groups = 0, n_shards = 0;
    uint32_t i, g;

    for (i = 0; i < s->n_shards; i++) {
        if (strcmp(s->shards[i].split, l->plan.split) != 0)
            continue;
        n_shards++;
        for (g = 0; g < s->shards[i].n_groups; g++)
            n_groups += s->shards[i].group_rows[g] > 0;
    }
    if (n_groups >= UINT32_MAX)
        return base_fail(err, SHARD_ELIMIT, "%" PRIu64 " row groups in a split", n_groups);
    l->n_groups = (uint32_t)n_groups;
    l->n_shards = (uint32_t)n_shards;
    l->shards = calloc(n_shards ? n_shards : 1, sizeof(*l->shards));
    l->infos = calloc(n_groups ? n_groups : 1, sizeof(*l->infos));
    l->groups = calloc(n_groups ? n_groups : 1, sizeof(struct loader_group *));
    if (l->shards == NULL || l->infos == NULL || l->groups == NULL)
        return base_fail(err, -ENOMEM, "%" PRIu64 " row groups", n_groups);
    return 0;
}

/* The split's shards and row groups, and the order over them. */
static int
plan_groups(struct shard_loader *l, const struct shard_loader_opts *o, struct shard_error *err)
{
    const struct fmt_snapshot *s = fmt_dataset_snapshot(l->ds);
    uint32_t i, g, shard = 0, n = 0, *rows;
    uint64_t row0 = 0;
    int r;

    r = plan_count(l, s, err);
    if (r < 0)
        return r;
    rows = calloc(l->n_groups ? l->n_groups : 1, sizeof(*rows));
    if (rows == NULL)
        return base_fail(err, -ENOMEM, "%" PRIu32 " row groups", l->n_groups);
    for (i = 0; i < s->n_shards; i++) {
        const struct fmt_shard_entry *e = &s->shards[i];
        const bool ours = strcmp(e->split, l->plan.split) == 0;

        for (g = 0; g < e->n_groups; g++) {
            if (ours && e->group_rows[g] > 0) {
                l->infos[n].row0 = row0;
                l->infos[n].shard = shard;
                l->infos[n].index = g;
                rows[n++] = e->group_rows[g];
            }
            row0 += e->group_rows[g];
        }
        if (ours) {
            l->shards[shard].l = l;
            l->shards[shard].entry = e;
            l->shards[shard++].fd = -1;
        }
    }
    r = loader_order_init(&l->order, rows, n, o->seed, l->plan.window, l->plan.partitions,
                          l->plan.batch_size, o->shuffle, o->flags & SHARD_LOADER_DROP_LAST, err);
    free(rows);
    return r;
}

/* ------------------------------------------------------------------------------------- sizes */

static uint32_t
gcd(uint32_t a, uint32_t b)
{
    while (b) {
        const uint32_t t = a % b;

        a = b;
        b = t;
    }
    return a;
}

static int
plan_shape(struct shard_loader *l, const struct shard_loader_opts *o, struct shard_error *err)
{
    struct shard_loader_plan *p = &l->plan;
    const uint32_t n_ranks = o->n_ranks ? o->n_ranks : 1;
    uint64_t end;

    p->batch_size = o->batch_size ? o->batch_size : 256;
    p->partitions = o->partitions ? o->partitions : gcd(p->batch_size, 16);
    p->window = o->window ? o->window : 2;
    p->epochs = o->epochs ? o->epochs : 1;
    if (p->batch_size % p->partitions != 0)
        return base_say(err, -EINVAL, "a batch of %" PRIu32 " rows cannot be cut into %" PRIu32
                        " equal partitions: make the batch size a multiple of the partitions",
                        p->batch_size, p->partitions);
    if (p->partitions > PARTITIONS_MAX)
        return base_say(err, -EINVAL, "%" PRIu32 " partitions: at most %u", p->partitions,
                        PARTITIONS_MAX);
    if (o->rank >= n_ranks)
        return base_say(err, -EINVAL, "rank %" PRIu32 " of %" PRIu32 " (ranks count from 0)",
                        o->rank, n_ranks);
    if (n_ranks > p->partitions)
        return base_say(err, -EINVAL, "%" PRIu32 " ranks cannot share %" PRIu32 " partitions: "
                        "give at least as many partitions", n_ranks, p->partitions);
    p->first_partition = (uint32_t)base_muldiv_u64(o->rank, p->partitions, n_ranks);
    end = base_muldiv_u64((uint64_t)o->rank + 1, p->partitions, n_ranks);
    p->n_partitions = (uint32_t)(end - p->first_partition);
    l->n_parts = p->n_partitions;
    if ((uint64_t)l->n_parts * (p->batch_size / p->partitions) > ROWS_PER_STEP_MAX)
        return base_fail(err, SHARD_ELIMIT, "batches of %" PRIu32 " rows", p->batch_size);
    return 0;
}

static int
plan_steps(struct shard_loader *l, const struct shard_loader_opts *o, struct shard_error *err)
{
    struct shard_loader_plan *p = &l->plan;
    uint64_t total;

    if (__builtin_mul_overflow(l->order.steps, (uint64_t)p->epochs, &total) ||
        total > UINT64_MAX / 2)
        return base_fail(err, SHARD_ELIMIT, "%" PRIu32 " epochs of %" PRIu64 " steps", p->epochs,
                         l->order.steps);
    if (o->stop_step && o->start_step > o->stop_step)
        return base_say(err, -EINVAL, "start step %" PRIu64 " is behind stop step %" PRIu64,
                        o->start_step, o->stop_step);
    p->split_rows = l->order.n_rows;
    p->steps_per_epoch = l->order.steps;
    p->permuted_whole = l->order.whole;
    p->n_columns = l->n_columns;
    p->window = l->order.window;
    p->stop_step = o->stop_step ? BASE_MIN(o->stop_step, total) : total;
    p->start_step = BASE_MIN(o->start_step, p->stop_step);
    (void)snprintf(p->snapshot, sizeof(p->snapshot), "%s", shard_dataset_snapshot(l->ds));
    return 0;
}

/* ------------------------------------------------------------------------------------ memory */

/* What the row groups of the split come to in memory, as far as is known. */
struct sizes {
    struct loader_group_sizes max;        /* of one row group */
    uint64_t decoded_sum, data_sum;
    uint64_t row_bytes;                   /* of an average row, decoded */
    uint64_t step_data;                   /* decoded, of a step of the longest rows */
    uint64_t footer;                      /* of the largest footer */
    uint64_t *column_data, n_rows;        /* per wanted column, and rows, of the groups that are known */
};

/* How wanted columns compare with the raw bytes of all that the segments tell: the most that any
 * of the shards whose footers were read says. */
struct shares {
    double decoded, stored, data;
};

/* Bytes of group i as its segment tells: all columns, raw, an average of its shard. */
static uint64_t
group_raw(const struct shard_loader *l, uint32_t i)
{
    const struct fmt_shard_entry *e = l->shards[l->infos[i].shard].entry;

    return base_muldiv_u64(e->raw_bytes, l->order.rows[i], e->n_rows ? e->n_rows : 1);
}

/* The row group that the segments say is largest: a good sample of what the footers will say. */
static uint32_t
group_largest(const struct shard_loader *l)
{
    uint32_t i, best = 0;

    for (i = 1; i < l->n_groups; i++)
        if (group_raw(l, i) > group_raw(l, best))
            best = i;
    return best;
}

/* What raw bytes come to by a share of them that is known elsewhere, and something to spare. */
static uint64_t
share_of(uint64_t raw, double share)
{
    return (uint64_t)((double)raw * share * 1.0625);
}

/* Row groups by the size of their average row: rows and bytes per eighth of a power of two. */
struct spread {
    uint64_t n_rows[64 * 8], bytes[64 * 8];
};

static void
spread_add(struct spread *s, uint64_t n_rows, uint64_t bytes)
{
    const uint64_t avg = bytes / BASE_MAX(n_rows, 1) * 8 + 8; /* 8 or more */
    const unsigned log = 63 - (unsigned)__builtin_clzll(avg);
    const unsigned i = log * 8 + (unsigned)(avg >> (log - 3) & 7);

    s->n_rows[i] += n_rows;
    s->bytes[i] += bytes;
}

/* Bytes of n_rows rows if they are the longest, as far as averages of row groups tell. */
static uint64_t
spread_longest(const struct spread *s, uint64_t n_rows)
{
    uint64_t bytes = 0;
    unsigned i;

    for (i = BASE_ARRAY_LEN(s->n_rows); i-- > 0 && n_rows > 0;) {
        const uint64_t n = BASE_MIN(n_rows, s->n_rows[i]);

        if (n == 0)
            continue;
        bytes += base_muldiv_u64(s->bytes[i], n, s->n_rows[i]);
        n_rows -= n;
    }
    return bytes;
}

/* What a step of this rank comes to if it meets the longest rows. A split permuted whole mixes
 * them: then a few of the longest come with average ones. Groups whose footers are not read count by their share of the raw bytes. */
static int
plan_step_data(const struct shard_loader *l, const struct shares *shares, struct sizes *sizes)
{
    struct spread *spread;
    uint32_t i;

    spread = calloc(1, sizeof(*spread));
    if (spread == NULL)
        return -ENOMEM;
    for (i = 0; i < l->n_groups; i++) {
        const struct loader_shard *s = &l->shards[l->infos[i].shard];
        struct loader_group_sizes g = {0};

        if (s->footer)
            loader_group_sizes(l, s->footer, l->infos[i].index, &g);
        else
            g.data = share_of(group_raw(l, i), shares->data);
        spread_add(spread, l->order.rows[i], g.data);
    }
    sizes->step_data = spread_longest(spread, l->step_rows);
    if (l->order.whole)
        sizes->step_data = BASE_MIN(sizes->step_data, l->step_rows * sizes->row_bytes +
                                                          LONGEST_TOGETHER * spread_longest(spread, 1));
    free(spread);
    return 0;
}

/* Whether the footer of shard i is read while planning: that of every shard where they are few, else
 * of the one with the largest row group and of some from first to last. */
static bool
plan_reads_footer(const struct shard_loader *l, uint32_t i, uint32_t largest)
{
    const uint64_t n = l->n_shards;

    if (n <= SHARDS_EXACT || i == largest)
        return true;
    return (i + 1) * (SHARDS_EXACT - 1) / n != i * (SHARDS_EXACT - 1) / n;
}

/* A column that no budget can hold: all of a row group stands in one array. */
static int
fail_chunk(const struct shard_loader *l, const struct loader_shard *s,
           const struct loader_group_sizes *g, struct shard_error *err)
{
    const char *name = l->schema->fields[l->columns[g->largest]].name;

    return base_fail(err, SHARD_ELIMIT, "%s: column \"%s\" has %" PRIu64 " bytes in one row group, "
                     "more than an array holds (2 GiB): choose columns without it; its values can be "
                     "read as streams (shard_value_open, shardtool get)", s->entry->path, name,
                     g->largest_data);
}

/* What the open shards' footers say of memory: of themselves, and of row groups. */
static int
plan_known(struct shard_loader *l, struct shares *shares, struct sizes *ret, struct shard_error *err)
{
    uint32_t i, g = 0;

    *shares = (struct shares){2.0, 1.0, 2.0};
    for (i = 0; i < l->n_shards; i++) {
        const struct loader_shard *s = &l->shards[i];
        struct loader_group_sizes sum = {0}, one;
        uint64_t raw = 0;

        for (; g < l->n_groups && l->infos[g].shard == i; g++) {
            if (s->footer == NULL)
                continue;
            loader_group_sizes(l, s->footer, l->infos[g].index, &one);
            if (one.largest_data > FMT_CHUNK_DATA_MAX)
                return fail_chunk(l, s, &one, err);
            loader_column_sizes(l, s->footer, l->infos[g].index, ret->column_data);
            ret->n_rows += l->order.rows[g];
            raw += group_raw(l, g);
            sum.decoded += one.decoded;
            sum.stored += one.stored;
            sum.data += one.data;
            ret->max.decoded = BASE_MAX(ret->max.decoded, one.decoded);
            ret->max.stored = BASE_MAX(ret->max.stored, one.stored);
        }
        if (raw == 0)
            continue;
        if (ret->decoded_sum == 0)
            *shares = (struct shares){0};
        ret->decoded_sum += sum.decoded;
        ret->data_sum += sum.data;
        shares->decoded = BASE_MAX(shares->decoded, (double)sum.decoded / (double)raw);
        shares->stored = BASE_MAX(shares->stored, (double)sum.stored / (double)raw);
        shares->data = BASE_MAX(shares->data, (double)sum.data / (double)raw);
        l->footer_unit = BASE_MAX(l->footer_unit, s->footer_memory / BASE_MAX(l->schema->n_fields, 1) /
                                                          (s->entry->n_groups + 1) + 1);
    }
    return 0;
}

/* Batches that no budget can hold, by the average row: a column of one stands in one array. */
static int
plan_check_batch(const struct shard_loader *l, const struct sizes *sizes, struct shard_error *err)
{
    uint32_t i;

    for (i = 0; i < l->n_columns && sizes->n_rows > 0; i++) {
        const uint64_t row = sizes->column_data[i] / sizes->n_rows;

        if (row > 0 && l->step_rows > INT32_MAX / row)
            return base_fail(err, SHARD_ELIMIT, "column \"%s\" has %" PRIu64 " bytes in a row on "
                             "average, and a batch of %" PRIu64 " such rows would be more than an "
                             "array holds (2 GiB): take batches of at most %" PRIu64 " rows, or choose "
                             "columns without it", l->schema->fields[l->columns[i]].name, row,
                             l->step_rows, BASE_MAX(INT32_MAX / row, 1));
    }
    return 0;
}

/* Sizes by the footers of a few shards, exact where these are all; else what those say of the
 * share of the wanted columns is taken for the rest, with something to spare. Shards that cannot
 * be opened will say so when their turn comes. */
static int
plan_sizes(struct shard_loader *l, struct sizes *ret, struct shard_error *err)
{
    const uint32_t largest = l->n_groups ? l->infos[group_largest(l)].shard : 0;
    uint64_t raw_max = 0, raw_sum = 0;
    struct shares shares;
    uint32_t i;
    int r;

    memset(ret, 0, sizeof(*ret));
    ret->column_data = calloc(l->n_columns + UINT64_C(1), sizeof(*ret->column_data));
    if (ret->column_data == NULL)
        return base_fail(err, -ENOMEM, "the loader's plan");
    for (i = 0; i < l->n_shards; i++)
        if (plan_reads_footer(l, i, largest))
            loader_shard_open_now(l, &l->shards[i], NULL);
    r = plan_known(l, &shares, ret, err);
    if (r == 0)
        r = plan_check_batch(l, ret, err);
    free(ret->column_data);
    if (r < 0)
        return r;
    for (i = 0; i < l->n_groups; i++)
        if (l->shards[l->infos[i].shard].footer == NULL) {
            raw_max = BASE_MAX(raw_max, group_raw(l, i));
            raw_sum += group_raw(l, i);
        }
    if (raw_sum > 0) {
        ret->max.decoded = BASE_MAX(ret->max.decoded, share_of(raw_max, shares.decoded));
        ret->max.stored = BASE_MAX(ret->max.stored, share_of(raw_max, shares.stored));
        ret->decoded_sum += share_of(raw_sum, shares.decoded);
        ret->data_sum += share_of(raw_sum, shares.data);
    }
    for (i = 0; i < l->n_shards; i++)
        ret->footer = BASE_MAX(ret->footer, loader_footer_memory(l, &l->shards[i]));
    ret->row_bytes = l->order.n_rows ? ret->data_sum / l->order.n_rows + 1 : 1;
    if (plan_step_data(l, &shares, ret) < 0)
        return base_fail(err, -ENOMEM, "the loader's plan");
    return 0;
}

static void
plan_ahead(struct shard_loader *l, uint32_t threads)
{
    uint64_t n;

    n = l->batch_share / l->batch_bytes;
    l->ring_cap = (uint32_t)BASE_MAX(BASE_MIN(n, RING_MAX), 2);
    n = BASE_MIN(BASE_MIN(UNIT_ROWS / BASE_MAX(l->step_rows, 1), UNIT_STEPS_MAX), l->ring_cap / (2 * threads));
    l->unit_steps = (uint32_t)BASE_MAX(n, 1);
    l->flight_max = 2 * threads + 4;
    /* The windows behind the open ones, of all parts together, keep the threads busy. */
    l->windows_ahead = (l->flight_max - 1) / l->order.window + 1;
    n = (l->windows_ahead + l->n_parts - 1) / l->n_parts;
    l->windows_max = (uint32_t)(1 + n);
}

/* Slots that groups with large columns of one kind and then of another were decoded into would hold
 * both. They may where any number of groups that must be held together still fits, and by an eighth. */
static uint64_t
plan_slot_max(const struct sizes *sizes, uint64_t groups, uint64_t room)
{
    const uint64_t each = room / BASE_MAX(groups, 1), max = sizes->max.decoded;

    return each < max ? 0 : BASE_MIN(each, max + max / 8);
}

/* The budget: a share for row groups, one for batches, one for footers. */
static int
plan_memory(struct shard_loader *l, const struct shard_loader_opts *o, uint32_t threads,
            struct shard_error *err)
{
    const uint64_t n_rows = l->step_rows = BASE_MIN((uint64_t)l->n_parts * l->order.quota,
                                                    l->order.n_rows);
    struct shard_loader_plan *p = &l->plan;
    uint64_t load_min, batch_min, in_flight, groups, footers;
    struct sizes sizes;
    int r;

    r = plan_sizes(l, &sizes, err);
    if (r < 0)
        return r;
    l->batch_bytes = loader_batch_bytes(n_rows, l->n_columns, n_rows * sizes.row_bytes);
    batch_min = loader_batch_bytes(n_rows, l->n_columns, sizes.step_data);
    /* In the making, spilled, ready, with the consumer; but not more than there are. */
    batch_min = BASE_MAX(batch_min, l->batch_bytes) *
                BASE_MAX(BASE_MIN(p->stop_step - p->start_step, 4), 1) + loader_scratch_bytes(n_rows);
    groups = (uint64_t)l->n_parts * l->order.window;
    load_min = l->order.whole ? sizes.decoded_sum : BASE_MIN(sizes.decoded_sum, groups * sizes.max.decoded);
    in_flight = loader_block_round(sizes.max.stored + UINT64_C(8192) * l->n_columns);
    load_min += in_flight;
    footers = BASE_MAX((1 + LOADER_FOOTER_OPENING) * sizes.footer, FOOTERS_MIN);
    p->memory_min = load_min + batch_min + footers;
    p->memory = o->memory ? o->memory : BASE_MAX(MEMORY_DEFAULT, 2 * p->memory_min);
    if (p->memory < p->memory_min)
        return base_fail(err, SHARD_EBUDGET, "a memory budget of %" PRIu64 " bytes is too small for "
                         "%" PRIu32 " partitions and a window of %" PRIu32 " row groups%s: at "
                         "least %" PRIu64 " bytes (%" PRIu64 "M) will do, or take fewer partitions "
                         "or a smaller window", p->memory, l->n_parts, p->window,
                         l->order.whole ? " (so small a split is held whole)" : "",
                         p->memory_min, (p->memory_min + (1 << 20) - 1) >> 20);
    l->footers_max = BASE_MIN(BASE_MAX(BASE_MIN(p->memory / 32, FOOTERS_MAX), footers),
                              p->memory - load_min - batch_min);
    loader_shards_trim(l);
    l->plan_peak = l->footer_peak; /* while there was nothing but footers */
    l->footer_peak = l->footer_bytes;
    l->batch_share = BASE_MAX(batch_min, BASE_MIN(p->memory / 8, BATCHES_MAX));
    l->batch_share = BASE_MIN(l->batch_share, p->memory - load_min - l->footers_max);
    l->load_share = p->memory - l->batch_share - l->footers_max;
    l->keep = sizes.decoded_sum + in_flight <= l->load_share;
    l->slot_max = plan_slot_max(&sizes, groups, l->load_share - in_flight);
    plan_ahead(l, threads);
    return 0;
}

static uint32_t
open_files_max(void)
{
    struct rlimit lim;

    if (getrlimit(RLIMIT_NOFILE, &lim) < 0 || lim.rlim_cur == RLIM_INFINITY)
        return 128;
    return (uint32_t)BASE_MIN(BASE_MAX(lim.rlim_cur / 8, 32), 256);
}

int
loader_plan_make(struct shard_loader *l, const struct shard_loader_opts *o,
                 struct shard_error *err)
{
    const uint32_t threads = o->threads ? o->threads : base_cpu_count();
    int r;

    l->schema = fmt_dataset_schema(l->ds);
    l->direct = o->flags & SHARD_LOADER_DIRECT;
    l->shards_max = open_files_max();
    l->footers_max = FOOTERS_MAX;
    r = plan_shape(l, o, err);
    if (r == 0)
        r = plan_split(l, o->split, err);
    if (r == 0)
        r = plan_columns(l, o, err);
    if (r == 0)
        r = plan_groups(l, o, err);
    if (r == 0)
        r = plan_steps(l, o, err);
    if (r == 0)
        r = plan_memory(l, o, threads, err);
    return r;
}
