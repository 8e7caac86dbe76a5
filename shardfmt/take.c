/* Random access: the public calls, and the order of rows before and after. */
#include "config.h"

#include "shardfmt/take.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/compiler.h"
#include "lib/fail.h"

#define MEMORY_DEFAULT (256ull << 20)
#define MEMORY_MIN     (1ull << 20)
#define THREADS_MAX    1024u
#define DEPTH_DEFAULT  128u
#define SCRATCH_KEEP   (32ull << 20) /* of all threads never above a quarter of a wave */
#define ROWS_MAX       0x7fffffffu /* of a call: offsets of arrays are int32 */

/* ------------------------------------------------------------------------------ open and close */

static int
opts_take(const struct shard_taker_opts *opts, struct shard_taker_opts *ret,
          struct shard_error *err)
{
    const uint32_t size = opts ? opts->struct_size : (uint32_t)sizeof(*ret);

    memset(ret, 0, sizeof(*ret));
    if (opts)
        memcpy(ret, opts, BASE_MIN(size, sizeof(*ret)));
    for (uint32_t i = sizeof(*ret); opts && i < size; i++)
        if (((const uint8_t *)opts)[i] != 0)
            return base_fail(err, -E2BIG, "options of a newer version");
    if (opts && size < sizeof(uint32_t))
        return base_say(err, -EINVAL, "options without SHARD_TAKER_OPTS_INIT");
    if (ret->io > SHARD_IO_PREAD)
        return base_say(err, -EINVAL, "unknown I/O backend %" PRIu32, ret->io);
    if (ret->threads > THREADS_MAX)
        return base_say(err, -EINVAL, "%" PRIu32 " threads", ret->threads);
    if (ret->memory && ret->memory < MEMORY_MIN)
        return base_say(err, SHARD_EBUDGET, "a memory budget of %" PRIu64
                        " bytes; the smallest is %llu", ret->memory, MEMORY_MIN);
    if (ret->memory == 0)
        ret->memory = MEMORY_DEFAULT;
    if (ret->depth == 0)
        ret->depth = DEPTH_DEFAULT;
    return 0;
}

static int
taker_start(struct shard_taker *t, const struct shard_taker_opts *o, struct shard_error *err)
{
    const struct base_io_opts io = {.backend = (enum base_io_backend)o->io, .depth = o->depth};
    int r;

    t->n_threads = o->threads ? o->threads : base_cpu_count();
    t->wave_max = o->memory / 2;
    t->scratch_keep = BASE_MIN(SCRATCH_KEEP, t->wave_max / (4 * (t->n_threads + 1)));
    r = fmt_cache_init(&t->cache, t->ds->dirfd, &t->ds->snapshot, FMT_CACHE_SHARDS, o->memory / 2);
    if (r < 0)
        return base_fail(err, r, "opening a taker");
    r = base_io_open(&io, &t->io, err);
    if (r == 0 && t->n_threads > 1)
        r = base_pool_open(t->n_threads, "shard-take", &t->pool, err);
    if (r < 0)
        return r;
    t->self.id = t->n_threads;
    t->scratch = calloc(t->n_threads + 1, sizeof(*t->scratch));
    t->column_slot = calloc((size_t)t->ds->snapshot.schema.n_fields + 1, sizeof(*t->column_slot));
    if (t->scratch == NULL || t->column_slot == NULL || base_codec_new(&t->self.codec) < 0)
        return base_fail(err, -ENOMEM, "opening a taker");
    t->stats.io = base_io_backend(t->io) == BASE_IO_URING ? SHARD_IO_URING : SHARD_IO_PREAD;
    return 0;
}

int
shard_taker_open(struct shard_dataset *ds, const struct shard_taker_opts *opts,
                 struct shard_taker **ret_taker, struct shard_error *err)
{
    struct shard_taker_opts o;
    struct shard_taker *t;
    int r;

    if (ds == NULL || ret_taker == NULL)
        return base_fail(err, -EINVAL, "no dataset");
    r = opts_take(opts, &o, err);
    if (r < 0)
        return r;
    t = calloc(1, sizeof(*t));
    if (t == NULL)
        return base_fail(err, -ENOMEM, "opening a taker");
    t->ds = ds;
    (void)pthread_mutex_init(&t->lock, NULL);
    r = taker_start(t, &o, err);
    if (r < 0) {
        shard_taker_close(t);
        return r;
    }
    *ret_taker = t;
    return 0;
}

/* What the columns of the last call hold. */
static void
slots_drop(struct shard_taker *t)
{
    for (uint32_t i = 0; i < t->n_slots; i++) {
        fmt_column_done(&t->slots[i].collected);
        fmt_column_done(&t->slots[i].result);
        free(t->slots[i].place);
    }
    t->n_slots = 0;
}

void
shard_taker_close(struct shard_taker *t)
{
    if (t == NULL)
        return;
    base_pool_close(t->pool);
    base_io_close(t->io);
    fmt_cache_done(&t->cache);
    base_codec_free(t->self.codec);
    for (unsigned i = 0; t->scratch && i <= t->n_threads; i++) {
        fmt_decoded_free(t->scratch[i].decoded);
        free(t->scratch[i].rows);
    }
    slots_drop(t);
    (void)pthread_mutex_destroy(&t->lock);
    base_buf_done(&t->buf);
    free(t->scratch);
    free(t->wanted);
    free(t->which);
    free(t->slots);
    free(t->column_slot);
    free(t->array_slot);
    free(t->pages);
    free(t->reads);
    free(t);
}

/* --------------------------------------------------------------------------------------- rows */

/* A row asked for, and at which place. */
struct asked {
    uint64_t row;
    uint32_t at;
};

static int
asked_compare(const void *a, const void *b)
{
    const struct asked *x = a, *y = b;

    return x->row != y->row ? (x->row < y->row ? -1 : 1) : x->at < y->at ? -1 : x->at > y->at;
}

static int
rows_check(const struct shard_taker *t, const uint64_t *rows, uint64_t n, bool *ret_ascend,
           struct shard_error *err)
{
    const uint64_t n_all = t->ds->n_rows;

    *ret_ascend = true;
    if (n > ROWS_MAX)
        return base_say(err, SHARD_ELIMIT, "%" PRIu64 " rows in one call; at most %u", n, ROWS_MAX);
    for (uint64_t i = 0; i < n; i++) {
        if (rows[i] >= n_all)
            return base_say(err, SHARD_ENOTFOUND,
                            "%s has no row %" PRIu64 ": its %" PRIu64 " rows are counted from 0",
                            t->ds->path, rows[i], n_all);
        *ret_ascend &= i == 0 || rows[i - 1] < rows[i];
    }
    return 0;
}

static int
rows_reserve(struct shard_taker *t, uint64_t n)
{
    if (n <= t->cap_rows)
        return 0;
    free(t->wanted);
    free(t->which);
    t->wanted = calloc(n, sizeof(*t->wanted));
    t->which = calloc(n, sizeof(*t->which));
    t->cap_rows = t->wanted && t->which ? n : 0;
    return t->cap_rows ? 0 : -ENOMEM;
}

/* Which rows are wanted, each once, ascending; and which of them every row asked for is. */
static int
rows_sort(struct shard_taker *t, const uint64_t *rows, uint64_t n, struct shard_error *err)
{
    struct asked *asked;
    bool ascend;
    int r = rows_check(t, rows, n, &ascend, err);

    if (r < 0)
        return r;
    if (rows_reserve(t, n) < 0)
        return base_fail(err, -ENOMEM, "%" PRIu64 " rows", n);
    t->n_rows = n;
    if (ascend) {
        for (uint64_t i = 0; i < n; i++) {
            t->wanted[i] = rows[i];
            t->which[i] = (uint32_t)i;
        }
        t->n_wanted = n;
        return 0;
    }
    asked = calloc(n, sizeof(*asked));
    if (asked == NULL)
        return base_fail(err, -ENOMEM, "%" PRIu64 " rows", n);
    for (uint64_t i = 0; i < n; i++)
        asked[i] = (struct asked){rows[i], (uint32_t)i};
    qsort(asked, n, sizeof(*asked), asked_compare);
    t->n_wanted = 0;
    for (uint64_t i = 0; i < n; i++) {
        if (i == 0 || asked[i - 1].row != asked[i].row)
            t->wanted[t->n_wanted++] = asked[i].row;
        t->which[asked[i].at] = (uint32_t)(t->n_wanted - 1);
    }
    free(asked);
    return 0;
}

/* ------------------------------------------------------------------------------------ columns */

static int
columns_reserve(struct shard_taker *t, uint32_t n)
{
    void *p;

    if (n > t->cap_arrays) {
        p = reallocarray(t->array_slot, n, sizeof(*t->array_slot));
        if (p == NULL)
            return -ENOMEM;
        t->array_slot = p;
        t->cap_arrays = n;
    }
    slots_drop(t);
    if (n > t->cap_slots) {
        p = reallocarray(t->slots, n, sizeof(*t->slots));
        if (p == NULL)
            return -ENOMEM;
        t->slots = p;
        t->cap_slots = n;
    }
    return 0;
}

/* Whether the last call had the same columns: then the slots stand. */
static bool
columns_same(const struct shard_taker *t, const uint32_t *cols, uint32_t n)
{
    if (t->n_slots == 0 || t->n_arrays != n)
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (t->slots[t->array_slot[i]].column != (cols ? cols[i] : i))
            return false;
    return true;
}

/* A slot per wanted column, in the order of the file. */
static int
columns_pick(struct shard_taker *t, const uint32_t *cols, uint32_t n, struct shard_error *err)
{
    const struct fmt_schema *s = &t->ds->snapshot.schema;

    for (uint32_t i = 0; cols && i < n; i++)
        if (cols[i] >= s->n_fields)
            return base_fail(err, -EINVAL, "column %" PRIu32 " of %" PRIu32, cols[i], s->n_fields);
    if (columns_same(t, cols, n))
        return 0;
    t->n_arrays = 0;
    if (columns_reserve(t, n) < 0)
        return base_fail(err, -ENOMEM, "%" PRIu32 " columns", n);
    memset(t->column_slot, 0, s->n_fields * sizeof(*t->column_slot));
    for (uint32_t i = 0; i < n; i++)
        t->column_slot[cols ? cols[i] : i] = 1;
    for (uint32_t c = 0; c < s->n_fields; c++) {
        if (t->column_slot[c] == 0)
            continue;
        t->slots[t->n_slots] = (struct take_slot){.column = c};
        fmt_column_init_field(&t->slots[t->n_slots].collected, &s->fields[c]);
        fmt_column_init_field(&t->slots[t->n_slots].result, &s->fields[c]);
        t->column_slot[c] = ++t->n_slots;
    }
    for (uint32_t i = 0; i < n; i++)
        t->array_slot[i] = t->column_slot[cols ? cols[i] : i] - 1;
    t->n_arrays = n;
    return 0;
}

/* ------------------------------------------------------------------------------------ the call */

static int
slots_begin(struct shard_taker *t, struct shard_error *err)
{
    for (uint32_t i = 0; i < t->n_slots; i++) {
        struct take_slot *s = &t->slots[i];

        fmt_column_reset(&s->collected);
        fmt_column_reset(&s->result);
        free(s->place);
        s->place = calloc(t->n_wanted + 1, sizeof(*s->place));
        if (s->place == NULL)
            return base_fail(err, -ENOMEM, "%" PRIu64 " rows", t->n_wanted);
    }
    return 0;
}

/* From the order in which rows were collected to the caller's. */
static int
slot_finish(struct shard_taker *t, struct take_slot *s, uint32_t *order)
{
    const struct fmt_column *c = &s->collected;
    bool same = t->n_rows == c->n_rows;
    struct shard_array a;
    int r;

    for (uint64_t i = 0; i < t->n_rows; i++) {
        order[i] = s->place[t->which[i]];
        same &= order[i] == i;
    }
    if (!same) {
        fmt_column_array(c, &a);
        r = fmt_column_append_rows(&s->result, &a, order, t->n_rows);
        if (r < 0)
            return r;
        c = &s->result;
    }
    fmt_column_array(c, &s->array);
    return 0;
}

static int
slots_finish(struct shard_taker *t, struct shard_error *err)
{
    const struct fmt_schema *schema = &t->ds->snapshot.schema;
    uint32_t *order = calloc(t->n_rows + 1, sizeof(*order));
    int r = 0;

    if (order == NULL)
        return base_fail(err, -ENOMEM, "%" PRIu64 " rows", t->n_rows);
    for (uint32_t i = 0; i < t->n_slots && r == 0; i++) {
        r = slot_finish(t, &t->slots[i], order);
        if (r < 0)
            r = base_fail(err, r, "column %" PRIu32 " (%s) of the rows asked for",
                          t->slots[i].column, schema->fields[t->slots[i].column].name);
    }
    free(order);
    return r;
}

static int
taker_take(struct shard_taker *t, struct shard_error *err)
{
    int r = slots_begin(t, err);

    t->cursor = (struct take_cursor){0};
    while (r == 0) {
        r = take_plan_wave(t, err);
        if (r > 0) {
            r = take_run_wave(t, err);
            take_end_wave(t);
        } else {
            take_end_wave(t);
            break;
        }
    }
    return r == 0 ? slots_finish(t, err) : r;
}

int
shard_taker_take(struct shard_taker *t, const uint64_t *rows, uint64_t n_rows,
                 const uint32_t *cols, uint32_t n_cols, struct shard_error *err)
{
    int r;

    if (t->io == NULL)
        return base_say(err, -EINVAL, "reading has failed before; close the taker");
    r = columns_pick(t, cols, cols ? n_cols : t->ds->snapshot.schema.n_fields, err);
    if (r == 0)
        r = rows_sort(t, rows, n_rows, err);
    if (r < 0)
        return r;
    r = taker_take(t, err);
    if (r < 0)
        return base_fail_in(err, r, "%s", t->ds->path);
    t->stats.rows += n_rows;
    return 0;
}

const struct shard_array *
shard_taker_array(const struct shard_taker *t, uint32_t i)
{
    return i < t->n_arrays ? &t->slots[t->array_slot[i]].array : NULL;
}

void
shard_taker_get_stats(const struct shard_taker *t, struct shard_taker_stats *ret)
{
    struct base_io_stats io = {0};

    *ret = t->stats;
    if (t->io)
        base_io_get_stats(t->io, &io);
    ret->reads = io.reads;
    ret->bytes_read = io.bytes;
    ret->submits = io.submits;
}
