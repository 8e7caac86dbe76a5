/* From wanted rows to pages and reads. Footers are the only thing that is read here. */
#include "config.h"

#include "shardfmt/take.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>

#include "lib/arith.h"
#include "lib/compiler.h"
#include "lib/fail.h"

#define READ_GAP_MAX  4096u       /* unwanted bytes between pages that are read along */
#define READ_JOIN_MAX (1u << 20)  /* a read that is longer takes no more pages */
#define WAVE_PAGES    (1u << 16)

/* One more thing behind n of them. */
static void *
grow(void *p, uint32_t *cap, uint32_t n, size_t size)
{
    const uint32_t more = *cap ? *cap * 2 : 64;

    if (n < *cap)
        return p;
    p = reallocarray(p, more, size);
    if (p)
        *cap = more;
    return p;
}

static int
put_page(struct shard_taker *t, const struct take_page *page)
{
    struct take_page *p = grow(t->pages, &t->cap_pages, t->n_pages, sizeof(*p));

    if (p == NULL)
        return -ENOMEM;
    t->pages = p;
    t->pages[t->n_pages++] = *page;
    return 0;
}

/* Let the last read bring the page, or a new one. */
static int
put_read(struct shard_taker *t, const struct take_page *page, const struct fmt_page *p)
{
    struct take_read *last = t->n_reads ? &t->reads[t->n_reads - 1] : NULL, *reads;

    if (last && last->req.fd == page->o->fd && last->req.len < READ_JOIN_MAX &&
        p->off >= last->req.off + last->req.len &&
        p->off - (last->req.off + last->req.len) <= READ_GAP_MAX) {
        last->req.len = (size_t)(p->off + p->stored_len - last->req.off);
        last->n++;
        t->stored = last->at + last->req.len;
        return 0;
    }
    reads = grow(t->reads, &t->cap_reads, t->n_reads, sizeof(*reads));
    if (reads == NULL)
        return -ENOMEM;
    t->reads = reads;
    /* As far from a multiple of FMT_ALIGN as in the file, so that what is aligned there is here. */
    t->stored = base_align_up(t->stored, FMT_ALIGN) + p->off % FMT_ALIGN;
    reads[t->n_reads++] = (struct take_read){
        .req = {.fd = page->o->fd, .len = p->stored_len, .off = p->off},
        .t = t,
        .first = t->n_pages - 1,
        .n = 1,
        .at = (size_t)t->stored};
    t->stored += p->stored_len;
    return 0;
}

/* Add the page to the wave: 1, or 0 where the wave is full. */
static int
wave_add(struct shard_taker *t, const struct take_page *page, struct shard_error *err)
{
    const struct fmt_footer *f = page->o->footer;
    const uint32_t column = t->slots[page->slot].column;
    const struct fmt_page *p =
        &f->pages[f->chunk_first[(size_t)page->group * f->n_columns + column] + page->page];
    const uint64_t bound = fmt_page_decoded_bound(f, page->group, column, page->page);
    const uint64_t all = t->stored + READ_GAP_MAX + p->stored_len +
                         BASE_MIN(t->n_pages + 1, t->n_threads) * BASE_MAX(t->bound, bound);

    if (t->n_pages == 0 && all > t->wave_max)
        return base_say(err, SHARD_EBUDGET,
                        "%s: row group %" PRIu32 ", column %" PRIu32 ", page %" PRIu32 " takes %"
                        PRIu64 " MiB to decode; a memory budget of %" PRIu64 " MiB would do",
                        t->ds->snapshot.shards[page->o->shard].path, page->group, column,
                        page->page, (bound >> 20) + 1, (2 * all >> 20) + 1);
    if (t->n_pages > 0 && (all > t->wave_max || t->n_pages >= WAVE_PAGES))
        return 0;
    if (put_page(t, page) < 0 || put_read(t, page, p) < 0)
        return base_fail(err, -ENOMEM, "%" PRIu32 " pages", t->n_pages);
    t->bound = BASE_MAX(t->bound, bound);
    return 1;
}

/* The pages of one column of the row group at hand that have wanted rows. Returns as wave_add(). */
static int
plan_column(struct shard_taker *t, struct fmt_open_shard *o, uint32_t group,
            struct shard_error *err)
{
    struct take_cursor *c = &t->cursor;
    const struct fmt_footer *f = o->footer;
    const struct fmt_page *pages =
        f->pages + f->chunk_first[(size_t)group * f->n_columns + t->slots[c->slot].column];

    while (c->at < c->end) {
        const uint64_t end_row = c->row0 + pages[c->page].n_rows;
        struct take_page page = {.o = o,
                                 .first = c->at,
                                 .row0 = c->row0,
                                 .group = group,
                                 .page = c->page,
                                 .slot = c->slot};
        uint64_t end = c->at;

        while (end < c->end && t->wanted[end] < end_row)
            end++;
        page.n = (uint32_t)(end - c->at);
        if (page.n) {
            int r = wave_add(t, &page, err);

            if (r <= 0)
                return r;
        }
        c->at = end;
        c->page++;
        c->row0 = end_row;
    }
    return 1;
}

/* The row group that has the row. */
static uint64_t
group_of(const struct shard_dataset *ds, uint64_t row)
{
    uint64_t lo = 0, n = ds->n_groups;

    while (n > 1) {
        const uint64_t half = n / 2;

        if (ds->group_row0[lo + half] <= row)
            lo += half;
        n -= half;
    }
    return lo;
}

static void
column_begin(struct take_cursor *c, const struct shard_dataset *ds)
{
    c->at = c->wanted;
    c->page = 0;
    c->row0 = ds->group_row0[c->group];
}

/* Go on to the row group of the next wanted row. */
static void
group_begin(struct shard_taker *t)
{
    struct take_cursor *c = &t->cursor;
    struct shard_group_info info;

    c->wanted = c->end;
    c->group = group_of(t->ds, t->wanted[c->wanted]);
    shard_dataset_group_info(t->ds, c->group, &info);
    while (c->end < t->n_wanted && t->wanted[c->end] < info.row0 + info.n_rows)
        c->end++;
    c->slot = 0;
    column_begin(c, t->ds);
}

/* Whether the wave may pin one more footer of so many bytes; a first one in any case. */
static bool
footer_fits(const struct shard_taker *t, uint64_t memory)
{
    for (uint32_t i = 0; i < t->n_open; i++)
        memory += t->open[i]->footer->memory;
    return t->n_open == 0 || memory <= t->cache.bytes_max;
}

/* The shard, pinned by the wave: 1, or 0 where the wave has too many. */
static int
wave_shard(struct shard_taker *t, uint32_t shard, struct fmt_open_shard **ret,
           struct shard_error *err)
{
    int r;

    if (t->n_open && t->open[t->n_open - 1]->shard == shard) {
        *ret = t->open[t->n_open - 1];
        return 1;
    }
    if (t->n_open == TAKE_SHARDS_MAX)
        return 0;
    r = fmt_cache_acquire(&t->cache, shard, ret, err);
    if (r < 0)
        return r;
    if (!footer_fits(t, (*ret)->footer->memory)) {
        fmt_cache_release(&t->cache, *ret);
        return 0;
    }
    /* Nothing of what stands around a page will be wanted. Refused, it is only slower. */
    (void)posix_fadvise((*ret)->fd, 0, 0, POSIX_FADV_RANDOM);
    t->open[t->n_open++] = *ret;
    return 1;
}

int
take_plan_wave(struct shard_taker *t, struct shard_error *err)
{
    struct take_cursor *c = &t->cursor;
    int r = 1;

    t->stored = t->bound = 0;
    while (t->n_slots && r > 0) {
        struct shard_group_info info;
        struct fmt_open_shard *o;

        if (c->wanted == c->end || c->slot == t->n_slots) {
            if (c->end == t->n_wanted)
                break;
            group_begin(t);
        }
        shard_dataset_group_info(t->ds, c->group, &info);
        r = wave_shard(t, info.shard, &o, err);
        for (; r > 0 && c->slot < t->n_slots; column_begin(c, t->ds)) {
            r = plan_column(t, o, info.index, err);
            if (r <= 0)
                break;
            c->slot++;
        }
    }
    return r < 0 ? r : t->n_pages > 0;
}

void
take_end_wave(struct shard_taker *t)
{
    for (uint32_t i = 0; i < t->n_open; i++)
        fmt_cache_release(&t->cache, t->open[i]);
    t->n_open = t->n_pages = t->n_reads = 0;
}
