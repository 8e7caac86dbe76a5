/* Where row groups come from: opening shards, reading the wanted chunks of a row group in as few
 * requests as they allow, decoding, and keeping the storage for the next one. */
#include "config.h"

#include "loader/loader_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/arith.h"
#include "lib/clock.h"
#include "lib/fail.h"
#include "lib/fs.h"
#include "shardfmt/open.h"

#define DIRECT_ALIGN   4096u

/* ------------------------------------------------------------------------------------ shards */

static void
shard_charge(struct shard_loader *l, struct loader_shard *s, uint64_t bytes)
{
    l->footer_bytes += bytes;
    l->footer_bytes -= s->charged;
    l->footer_peak = BASE_MAX(l->footer_peak, l->footer_bytes);
    s->charged = bytes;
}

static void
shard_close(struct shard_loader *l, struct loader_shard *s)
{
    if (s->state != LOADER_SHARD_OPEN)
        return;
    l->n_open_shards--;
    shard_charge(l, s, 0);
    fmt_footer_free(s->footer);
    s->footer = NULL;
    (void)close(s->fd);
    if (s->direct_fd >= 0)
        (void)close(s->direct_fd);
    s->state = LOADER_SHARD_CLOSED;
}

/* Close shards that are not in line, those first that were in it longest ago, until so many more
 * bytes of footers and so many more files fit. */
static bool
shards_make_room(struct shard_loader *l, uint64_t bytes, uint32_t n)
{
    while (l->footer_bytes + bytes > l->footers_max ||
           l->n_open_shards + l->n_opening + n > l->shards_max) {
        struct loader_shard *oldest = NULL;
        uint32_t i;

        for (i = 0; i < l->n_shards; i++) {
            struct loader_shard *s = &l->shards[i];

            if (s->state == LOADER_SHARD_OPEN && s->pins == 0 && s->wanted != l->pass &&
                (oldest == NULL || s->wanted < oldest->wanted))
                oldest = s;
        }
        if (oldest == NULL)
            return false;
        shard_close(l, oldest);
    }
    return true;
}

uint64_t
loader_footer_memory(const struct shard_loader *l, const struct loader_shard *s)
{
    const uint64_t chunks = ((uint64_t)s->entry->n_groups + 1) * l->schema->n_fields;

    return s->footer_memory ? s->footer_memory : chunks * l->footer_unit * 17 / 16;
}

/* What opening gave, put in place: under l->lock. */
static void
shard_opened(struct shard_loader *l, struct loader_shard *s, const struct loader_shard *opened)
{
    s->status = opened->status;
    s->err = opened->err;
    s->state = LOADER_SHARD_CLOSED;
    if (opened->status < 0) {
        shard_charge(l, s, 0);
        return;
    }
    s->state = LOADER_SHARD_OPEN;
    s->footer = opened->footer;
    s->footer_memory = s->footer->memory;
    s->fd = opened->fd;
    s->direct_fd = opened->direct_fd;
    l->n_open_shards++;
    shard_charge(l, s, s->footer_memory);
}

/* The slow part, without lock: into ret->status, err, footer, fd, direct_fd. */
static void
shard_load(const struct shard_loader *l, const struct loader_shard *s, struct loader_shard *ret)
{
    const int dirfd = fmt_dataset_dirfd(l->ds);
    int r;

    ret->fd = ret->direct_fd = -1;
    r = fmt_shard_open(dirfd, s->entry, l->schema, &ret->fd, &ret->footer, &ret->err);
    ret->status = r < 0 ? r : 0;
    if (r == 0)
        fmt_footer_forget_stats(ret->footer);
#ifdef O_DIRECT
    if (r == 0 && l->direct) /* refused by some file systems: then reads are buffered */
        ret->direct_fd = openat(dirfd, s->entry->path, O_RDONLY | O_CLOEXEC | O_DIRECT);
#endif
}

static void
shard_open_run(struct base_task *task, struct base_worker *worker)
{
    struct loader_shard *s = BASE_CONTAINER_OF(task, struct loader_shard, task), opened = {0};
    struct shard_loader *l = s->l;

    (void)worker;
    shard_load(l, s, &opened);
    (void)pthread_mutex_lock(&l->lock);
    loader_account(l);
    l->n_opening--;
    shard_opened(l, s, &opened);
    (void)pthread_mutex_unlock(&l->lock);
    base_io_wake(l->io);
}

int
loader_shard_open_now(struct shard_loader *l, struct loader_shard *s, struct shard_error *err)
{
    struct loader_shard opened = {0};

    if (s->state == LOADER_SHARD_CLOSED && s->status == 0) {
        shard_load(l, s, &opened);
        shard_opened(l, s, &opened);
    }
    if (s->status < 0 && err)
        *err = s->err;
    return s->status;
}

bool
loader_shard_want(struct shard_loader *l, struct loader_shard *s, bool first)
{
    const uint64_t bytes = LOADER_FOOTER_OPENING * loader_footer_memory(l, s);

    s->wanted = l->pass;
    if (s->state != LOADER_SHARD_CLOSED || s->status < 0)
        return true;
    if (!shards_make_room(l, bytes, 1) && !(first && l->n_open_shards + l->n_opening == 0))
        return false;
    s->state = LOADER_SHARD_OPENING;
    s->task.run = shard_open_run;
    s->task.priority = LOADER_PRIORITY_FOOTER;
    shard_charge(l, s, bytes);
    l->n_opening++;
    base_pool_submit(l->pool, &s->task);
    return true;
}

void
loader_shards_trim(struct shard_loader *l)
{
    l->pass++;
    (void)shards_make_room(l, 0, 0);
}

void
loader_shards_close(struct shard_loader *l)
{
    uint32_t i;

    for (i = 0; l->shards && i < l->n_shards; i++)
        shard_close(l, &l->shards[i]);
    free(l->shards);
    l->shards = NULL;
}

/* ----------------------------------------------------------------------------- group storage */

static void
slot_free(struct shard_loader *l, struct loader_slot *slot)
{
    uint32_t i;

    if (slot == NULL)
        return;
    for (i = 0; i < l->n_columns; i++)
        fmt_decoded_free(slot->columns[i]);
    base_budget_give(&l->load_mem->budget, slot->charged);
    free(slot);
}

static struct loader_slot *
slot_new(struct shard_loader *l)
{
    struct loader_slot *slot = calloc(1, sizeof(*slot) + l->n_columns * sizeof(slot->columns[0]));
    uint32_t i;

    for (i = 0; slot && i < l->n_columns; i++)
        if (fmt_decoded_new(&slot->columns[i]) < 0) {
            slot_free(l, slot);
            return NULL;
        }
    return slot;
}

/* Whether the array of a chunk will point into its one decompressed page, which then has all its
 * values, none out of line: what the shard says of the column's encodings tells. A file that lies
 * about them costs memory that was not asked for, at most as much again, which the account then
 * shows. */
static bool
chunk_stays_in_page(const struct fmt_footer *f, uint32_t group, uint32_t column)
{
    const size_t chunk = (size_t)group * f->n_columns + column;
    const uint32_t first = f->chunk_first[chunk];
    const struct fmt_type is = fmt_field_type(&f->schema.fields[column]);
    const uint64_t offsets = ((uint64_t)f->group_rows[group] + 1) * sizeof(int32_t);

    if (f->chunk_first[chunk + 1] - first != 1 || f->pages[first].codec != FMT_CODEC_ZSTD ||
        f->pages[first].raw_len + (is.offsets ? offsets : 0) < f->pages[first].data_len)
        return false;
    if (is.kind == FMT_KIND_BYTES) /* lengths may be packed */
        return (f->encodings[column] & 1u << FMT_ENC_DICT) == 0;
    return f->encodings[column] == 1u << FMT_ENC_PLAIN &&
           (is.kind == FMT_KIND_NUMBER || is.kind == FMT_KIND_TENSOR);
}

/* What column i of a slot will hold at most once it was decoded into (NULL: of a new slot). */
static uint64_t
column_after(const struct shard_loader *l, const struct fmt_decoded *d, const struct fmt_footer *f,
             uint32_t group, uint32_t i)
{
    const uint32_t column = l->columns[i];

    return fmt_decoded_after(d, f, group, column, chunk_stays_in_page(f, group, column));
}

static uint64_t
slot_after(const struct shard_loader *l, const struct loader_slot *slot, const struct fmt_footer *f,
           uint32_t group)
{
    uint64_t sum = 0;
    uint32_t i;

    for (i = 0; i < l->n_columns; i++)
        sum += column_after(l, slot->columns[i], f, group, i);
    return sum;
}

/* Release what the row group does not need, so that what it does need fits into what was charged:
 * columns with much of it first, none where it fits anyway, as with groups that are alike. The slot
 * is the caller's alone. */
static void
slot_fit(const struct shard_loader *l, struct loader_slot *slot, const struct fmt_footer *f,
         uint32_t group)
{
    uint64_t after = slot_after(l, slot, f, group), least;
    uint32_t i;

    if (after <= slot->charged)
        return;
    for (least = after - slot->charged;; least /= 2) {
        for (i = 0; i < l->n_columns; i++) {
            const uint64_t less = column_after(l, slot->columns[i], f, group, i) -
                                  column_after(l, NULL, f, group, i);

            if (less == 0 || less < least)
                continue;
            fmt_decoded_clear(slot->columns[i]);
            after -= less;
            if (after <= slot->charged)
                return;
        }
        if (least == 0)
            return;
    }
}

/* A kept slot: one that is large enough, the smallest of them, else the largest. */
static struct loader_slot *
slot_take(struct shard_loader *l, uint64_t bound)
{
    struct loader_slot **at, **best = NULL, *slot;

    for (at = &l->slots; *at; at = &(*at)->next) {
        const uint64_t c = (*at)->charged, b = best ? (*best)->charged : 0;

        if (best == NULL || (c >= bound ? b < bound || c < b : b < bound && c > b))
            best = at;
    }
    if (best == NULL)
        return slot_new(l);
    slot = *best;
    *best = slot->next;
    return slot;
}

static void
slot_keep(struct shard_loader *l, struct loader_slot *slot)
{
    slot->next = l->slots;
    l->slots = slot;
}

static void
group_free(struct shard_loader *l, struct loader_group *g)
{
    if (g == NULL)
        return;
    if (g->slot)
        slot_keep(l, g->slot);
    loader_block_put(g->raw);
    free(g->reads);
    free(g->arrays);
    shard_batch_unref(g->spilled);
    free(g);
}

/* Forget a group that no set holds. */
static void
group_evict(struct shard_loader *l, struct loader_group *g)
{
    l->groups[g->index] = NULL;
    l->n_live--;
    group_free(l, g);
}

static void
kept_remove(struct shard_loader *l, struct loader_group *g)
{
    *(g->prev ? &g->prev->next : &l->kept_first) = g->next;
    *(g->next ? &g->next->prev : &l->kept_last) = g->prev;
    g->prev = g->next = NULL;
}

void
loader_group_ref(struct shard_loader *l, struct loader_group *g)
{
    if (g->refs++ == 0)
        kept_remove(l, g);
}

void
loader_group_release(struct shard_loader *l, struct loader_group *g)
{
    if (--g->refs > 0)
        return;
    if (g->row_numbers) { /* a spilled batch: in no table */
        group_free(l, g);
        return;
    }
    if (!l->keep || g->state != LOADER_GROUP_READY) {
        group_evict(l, g);
        return;
    }
    g->prev = l->kept_last;
    g->next = NULL;
    *(l->kept_last ? &l->kept_last->next : &l->kept_first) = g;
    l->kept_last = g;
}

void
loader_groups_free(struct shard_loader *l)
{
    uint32_t i;

    for (i = 0; l->groups && i < l->n_groups; i++)
        group_free(l, l->groups[i]);
    free(l->groups);
    l->groups = NULL;
    while (l->slots) {
        struct loader_slot *slot = l->slots;

        l->slots = slot->next;
        slot_free(l, slot);
    }
}

/* Give something up that is only kept, for a group of bound bytes: false where nothing is. The last
 * slot stays, as the group will stand in it, unless it is larger than needed. */
static bool
memory_give_up(struct shard_loader *l, uint64_t bound)
{
    struct loader_slot **at, **least = NULL, *slot;
    unsigned n = 0;

    if (l->kept_first) {
        struct loader_group *g = l->kept_first;

        kept_remove(l, g);
        group_evict(l, g);
        return true;
    }
    for (at = &l->slots; *at; at = &(*at)->next) {
        if ((*at)->charged == 0)
            continue;
        n++;
        if (least == NULL || (*at)->charged < (*least)->charged)
            least = at;
    }
    if (least == NULL || (n == 1 && (*least)->charged <= bound))
        return false;
    slot = *least;
    *least = slot->next;
    slot_free(l, slot);
    return true;
}

/* What to charge a slot for a group of bound bytes: all that it will hold if nothing of it is
 * released, where the plan has room for that. */
static uint64_t
slot_want(const struct shard_loader *l, const struct loader_group *g, const struct loader_slot *slot,
          uint64_t bound)
{
    const uint64_t after = slot_after(l, slot, g->shard->footer, l->infos[g->index].index);

    return BASE_MAX(bound, BASE_MIN(after, l->slot_max));
}

/* Room for a decoded group of bound bytes and raw_len bytes as stored: 0, -EAGAIN or -ENOMEM. */
static int
group_memory(struct shard_loader *l, struct loader_group *g, uint64_t bound, uint64_t raw_len)
{
    bool spare = true; /* room for what the slot need not hold */

    for (;;) {
        struct loader_slot *slot = slot_take(l, bound);
        uint64_t want, more;
        bool lacking = false; /* memory itself, not only room in the budget */

        if (slot == NULL)
            return -ENOMEM;
        want = spare ? slot_want(l, g, slot, bound) : bound;
        more = want > slot->charged ? want - slot->charged : 0;
        if (loader_arena_take(l->load_mem, more)) {
            slot->charged += more;
            g->raw = loader_block_get(l->load_mem, raw_len, false);
            if (g->raw) {
                g->slot = slot;
                return 0;
            }
            lacking = errno == ENOMEM;
            slot->charged -= more; /* untouched so far */
            base_budget_give(&l->load_mem->budget, more);
        }
        slot_keep(l, slot);
        if (lacking)
            return -ENOMEM;
        if (!spare && !memory_give_up(l, bound))
            return -EAGAIN;
        spare = false;
    }
}

/* ------------------------------------------------------------------------------------- reads */

struct extent {
    uint64_t off, len;
};

static int
extent_cmp(const void *a, const void *b)
{
    const struct extent *x = a, *y = b;

    return x->off < y->off ? -1 : x->off > y->off;
}

/* The wanted chunks of a row group as stretches of the file that are read in one go each, into
 * ret[n_columns]. Returns their number; *ret_bytes: their length, aligned as buffers will be. */
static uint32_t
group_extents(const struct shard_loader *l, const struct fmt_footer *f, uint32_t group, bool direct,
              struct extent *ret, uint64_t *ret_bytes)
{
    const uint64_t align = direct ? DIRECT_ALIGN : 64;
    uint32_t i, n = 0, n_all = 0;

    for (i = 0; i < l->n_columns; i++) {
        struct extent e;

        fmt_chunk_extent(f, group, l->columns[i], &e.off, &e.len);
        if (e.len > 0)
            ret[n_all++] = e;
    }
    qsort(ret, n_all, sizeof(*ret), extent_cmp);
    for (i = 0; i < n_all; i++) {
        struct extent e = ret[i];

        if (n > 0 && e.off <= ret[n - 1].off + ret[n - 1].len + LOADER_READ_GAP_MAX) {
            const uint64_t end = BASE_MAX(e.off + e.len, ret[n - 1].off + ret[n - 1].len);

            ret[n - 1].len = end - ret[n - 1].off;
        } else {
            ret[n++] = e;
        }
    }
    *ret_bytes = 0;
    for (i = 0; i < n; i++)
        *ret_bytes += base_align_up(ret[i].off + ret[i].len, align) - ret[i].off / align * align;
    return n;
}

/* Decoded bytes of a chunk, values out of line included. */
static uint64_t
chunk_data(const struct fmt_footer *f, size_t chunk)
{
    uint64_t data = 0;
    uint32_t p;

    for (p = f->chunk_first[chunk]; p < f->chunk_first[chunk + 1]; p++)
        data += f->pages[p].data_len;
    return data;
}

void
loader_group_sizes(const struct shard_loader *l, const struct fmt_footer *f, uint32_t group,
                   struct loader_group_sizes *ret)
{
    uint64_t off, len, data;
    uint32_t i;

    memset(ret, 0, sizeof(*ret));
    for (i = 0; i < l->n_columns; i++) {
        const uint32_t column = l->columns[i];
        const size_t chunk = (size_t)group * f->n_columns + column;

        fmt_chunk_extent(f, group, column, &off, &len);
        ret->decoded += column_after(l, NULL, f, group, i);
        ret->stored += len;
        data = chunk_data(f, chunk);
        ret->data += data;
        if (data > ret->largest_data) {
            ret->largest_data = data;
            ret->largest = i;
        }
    }
}

void
loader_column_sizes(const struct shard_loader *l, const struct fmt_footer *f, uint32_t group,
                    uint64_t *sums)
{
    uint32_t i;

    for (i = 0; i < l->n_columns; i++)
        sums[i] += chunk_data(f, (size_t)group * f->n_columns + l->columns[i]);
}

void
loader_read_want(struct shard_loader *l, struct loader_read *rd)
{
    rd->next = NULL;
    *(l->read_last ? &l->read_last->next : &l->read_first) = rd;
    l->read_last = rd;
}

/* Cut g->raw into the buffers of its reads. */
static void
group_reads(struct shard_loader *l, struct loader_group *g, const struct extent *extents, uint32_t n)
{
    const bool direct = g->shard->direct_fd >= 0;
    const uint64_t align = direct ? DIRECT_ALIGN : 64;
    uint8_t *buf = g->raw->data;
    uint32_t i;

    for (i = 0; i < n; i++) {
        struct loader_read *rd = &g->reads[i];
        const uint64_t begin = extents[i].off / align * align;
        const uint64_t end = base_align_up(extents[i].off + extents[i].len, align);

        rd->group = g;
        rd->direct = direct;
        rd->skip = (size_t)(extents[i].off - begin);
        rd->need = rd->skip + (size_t)extents[i].len;
        rd->req.fd = direct ? g->shard->direct_fd : g->shard->fd;
        rd->req.buf = buf;
        rd->req.off = begin;
        rd->req.len = direct ? (size_t)(end - begin) : rd->need;
        rd->req.user = rd;
        buf += end - begin;
        loader_read_want(l, rd);
    }
    g->n_reads = g->n_pending = n;
    l->n_reads_in_flight += n;
}

static void group_decode_run(struct base_task *task, struct base_worker *worker);

/* All bytes are there, or the reading failed. */
static void
group_to_decode(struct shard_loader *l, struct loader_group *g)
{
    loader_account(l);
    l->n_reading--;
    l->n_decoding++;
    g->state = LOADER_GROUP_DECODING;
    g->task.run = group_decode_run;
    g->task.priority = LOADER_PRIORITY_DECODE;
    base_pool_submit(l->pool, &g->task);
}

static int
group_new(struct shard_loader *l, uint32_t index, struct loader_group **ret)
{
    struct loader_group *g = calloc(1, sizeof(*g));

    if (g)
        g->arrays = calloc(l->n_columns, sizeof(*g->arrays));
    if (g == NULL || g->arrays == NULL) {
        free(g);
        return -ENOMEM;
    }
    g->l = l;
    g->index = index;
    g->row0 = l->infos[index].row0;
    g->shard = &l->shards[l->infos[index].shard];
    *ret = g;
    return 0;
}

/* Put g into the table with one reference. */
static void
group_enter(struct shard_loader *l, struct loader_group *g, enum loader_group_state state)
{
    g->state = state;
    g->refs = 1;
    l->groups[g->index] = g;
    l->n_live++;
}

int
loader_group_start(struct shard_loader *l, uint32_t index, uint64_t *ret_need)
{
    struct extent *extents = NULL;
    struct loader_group *g = NULL;
    struct loader_group_sizes sizes;
    uint64_t raw_len;
    uint32_t n;
    int r;

    r = group_new(l, index, &g);
    if (r < 0)
        return r;
    if (g->shard->status < 0) {
        g->status = g->shard->status;
        g->err = g->shard->err;
        group_enter(l, g, LOADER_GROUP_FAILED);
        return 0;
    }
    extents = calloc(l->n_columns, sizeof(*extents));
    r = -ENOMEM;
    if (extents == NULL)
        goto out;
    loader_group_sizes(l, g->shard->footer, l->infos[index].index, &sizes);
    n = group_extents(l, g->shard->footer, l->infos[index].index, g->shard->direct_fd >= 0,
                      extents, &raw_len);
    *ret_need = sizes.decoded + raw_len;
    g->reads = calloc(n ? n : 1, sizeof(*g->reads));
    if (g->reads == NULL)
        goto out;
    r = group_memory(l, g, sizes.decoded, raw_len);
    if (r < 0)
        goto out;
    group_enter(l, g, LOADER_GROUP_READING);
    l->n_reading++;
    g->shard->pins++;
    group_reads(l, g, extents, n);
    if (n == 0)
        group_to_decode(l, g);
    g = NULL;
out:
    if (g)
        group_free(l, g);
    free(extents);
    return r;
}

/* Returns true where the read must be handed to the engine again. */
static bool
read_judge(struct loader_read *rd)
{
    struct loader_group *g = rd->group;
    const int64_t got = rd->req.result;

    if (rd->direct && got == -EINVAL) { /* opened, but not for such reads: through the cache */
        rd->direct = false;
        rd->req.fd = g->shard->fd;
        return true;
    }
    if (g->status < 0)
        return false;
    if (got < 0)
        g->status = base_fail(&g->err, (int)got, "%s: row group %" PRIu32 ": reading %zu bytes at "
                              "byte %" PRIu64, g->shard->entry->path,
                              g->l->infos[g->index].index, rd->req.len, rd->req.off);
    else if ((uint64_t)got < rd->need)
        g->status = base_fail(&g->err, SHARD_ETRUNC, "%s: row group %" PRIu32 ": the file ends at "
                              "byte %" PRIu64 ", inside it", g->shard->entry->path,
                              g->l->infos[g->index].index, rd->req.off + (uint64_t)got);
    return false;
}

void
loader_read_done(struct shard_loader *l, struct loader_read *rd)
{
    struct loader_group *g = rd->group;

    if (read_judge(rd)) {
        loader_read_want(l, rd);
        return;
    }
    loader_account(l);
    l->n_reads_in_flight--;
    if (--g->n_pending == 0)
        group_to_decode(l, g);
}

/* ------------------------------------------------------------------------------------ decode */

/* For out-of-line values: read at once, in the decoding thread. */
struct piece_reader {
    struct fmt_file file;
    uint64_t bytes, reads;
};

static int
piece_read(void *arg, uint64_t off, void *buf, size_t len, struct shard_error *err)
{
    struct piece_reader *pr = arg;

    pr->bytes += len;
    pr->reads++;
    return fmt_file_read(&pr->file, off, buf, len, err);
}

/* Where the byte at off of the file stands in memory. */
static const uint8_t *
group_byte(const struct loader_group *g, uint64_t off)
{
    uint32_t i;

    for (i = 0; i < g->n_reads; i++) {
        const struct base_io_req *req = &g->reads[i].req;

        if (off >= req->off && off - req->off < req->len)
            return (const uint8_t *)req->buf + (off - req->off);
    }
    return g->raw->data; /* a page of no bytes */
}

static int
group_decode_column(struct loader_group *g, uint32_t i, struct base_worker *worker,
                    struct piece_reader *pr)
{
    const struct shard_loader *l = g->l;
    const struct fmt_footer *f = g->shard->footer;
    const uint32_t column = l->columns[i], group = l->infos[g->index].index;
    const size_t chunk = (size_t)group * f->n_columns + column;
    const uint32_t first = f->chunk_first[chunk], n_pages = f->chunk_first[chunk + 1] - first;
    const uint8_t *few[8], **stored = few;
    uint32_t p;
    int r;

    if (n_pages > BASE_ARRAY_LEN(few)) {
        stored = calloc(n_pages, sizeof(*stored));
        if (stored == NULL)
            return base_fail(&g->err, -ENOMEM, "%" PRIu32 " pages", n_pages);
    }
    for (p = 0; p < n_pages; p++)
        stored[p] = group_byte(g, f->pages[first + p].off);
    r = fmt_chunk_decode(f, group, column, stored, worker->codec, piece_read, pr,
                         g->shard->entry->path, g->slot->columns[i], &g->arrays[i], &g->err);
    if (stored != few)
        free(stored);
    return r;
}

/* What the slot really holds now. */
static void
slot_recount(struct shard_loader *l, struct loader_slot *slot)
{
    uint64_t held = 0;
    uint32_t i;

    for (i = 0; i < l->n_columns; i++)
        held += fmt_decoded_memory(slot->columns[i]);
    if (held > slot->charged)
        base_budget_force(&l->load_mem->budget, held - slot->charged);
    else
        base_budget_give(&l->load_mem->budget, slot->charged - held);
    slot->charged = held;
}

static void
group_decode_run(struct base_task *task, struct base_worker *worker)
{
    struct loader_group *g = BASE_CONTAINER_OF(task, struct loader_group, task);
    struct piece_reader pr = {.file = {g->shard->fd, g->shard->entry->path}};
    struct shard_loader *l = g->l;
    const uint64_t cpu = base_thread_cpu_ns();
    uint32_t i;

    if (atomic_load_explicit(&l->cancelled, memory_order_relaxed))
        g->status = base_fail(&g->err, -ECANCELED, "the loader is being closed");
    slot_fit(l, g->slot, g->shard->footer, l->infos[g->index].index);
    for (i = 0; i < l->n_columns && g->status >= 0; i++)
        g->status = group_decode_column(g, i, worker, &pr);
    for (i = 0; i < l->n_columns && g->status >= 0; i++) {
        g->data_bytes += loader_array_bytes(&g->arrays[i]);
        g->row_max += loader_array_row_max(&g->arrays[i]);
    }
    loader_block_put(g->raw);
    g->raw = NULL;

    (void)pthread_mutex_lock(&l->lock);
    loader_account(l);
    l->n_decoding--;
    l->stats.decode_ns += base_thread_cpu_ns() - cpu;
    l->piece_bytes += pr.bytes;
    l->piece_reads += pr.reads;
    free(g->reads);
    g->reads = NULL;
    g->shard->pins--;
    slot_recount(l, g->slot);
    g->state = g->status < 0 ? LOADER_GROUP_FAILED : LOADER_GROUP_READY;
    loader_set_ready(g);
    loader_schedule_gather(l);
    (void)pthread_mutex_unlock(&l->lock);
    base_io_wake(l->io);
}
