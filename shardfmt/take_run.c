/* A wave: all reads in one batch, every page decoded by the pool as soon as it is there. */
#include "config.h"

#include "shardfmt/take.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "lib/compiler.h"
#include "lib/fail.h"
#include "lib/fs.h"
#include "shardfmt/open.h"

#define REAP_MAX 64u

/* ----------------------------------------------------------------------------------- decoding */

/* Of all failures that of the first page is told, so that the message does not depend on threads. */
static void
wave_fail(struct shard_taker *t, uint64_t page, const struct shard_error *err)
{
    (void)pthread_mutex_lock(&t->lock);
    if (page < t->fail_page) {
        t->fail_page = page;
        t->fail = *err;
    }
    (void)pthread_mutex_unlock(&t->lock);
}

static bool
wave_failed_before(struct shard_taker *t, uint64_t page)
{
    bool failed;

    (void)pthread_mutex_lock(&t->lock);
    failed = t->fail_page < page;
    (void)pthread_mutex_unlock(&t->lock);
    return failed;
}

/* How out-of-line values are read. */
struct piece_reader {
    int fd;
    const char *path;
    uint64_t reads, bytes;
};

static int
piece_read(void *arg, uint64_t off, void *buf, size_t len, struct shard_error *err)
{
    struct piece_reader *p = arg;

    p->reads++;
    p->bytes += len;
    return base_pread_full(p->fd, buf, len, off, p->path, err);
}

static int
scratch_prepare(struct take_scratch *s, uint32_t n_rows)
{
    if (s->decoded == NULL && fmt_decoded_new(&s->decoded) < 0)
        return -ENOMEM;
    if (n_rows > s->cap_rows) {
        free(s->rows);
        s->rows = calloc(n_rows, sizeof(*s->rows));
        s->cap_rows = s->rows ? n_rows : 0;
    }
    return s->rows ? 0 : -ENOMEM;
}

/* Between pages. What a large one took is not kept: the next may be another thread's. */
static void
scratch_settle(struct take_scratch *s, uint64_t keep)
{
    if (s->decoded && fmt_decoded_memory(s->decoded) > keep) {
        fmt_decoded_free(s->decoded);
        s->decoded = NULL;
    }
}

/* What the footer says of it. */
static const struct fmt_page *
take_page_of(const struct shard_taker *t, const struct take_page *p)
{
    const struct fmt_footer *f = p->o->footer;
    const size_t chunk = (size_t)p->group * f->n_columns + t->slots[p->slot].column;

    return &f->pages[f->chunk_first[chunk] + p->page];
}

/* Append the wanted rows of the decoded page to its column. */
static int
page_collect(struct shard_taker *t, const struct take_page *p, const struct shard_array *a,
             const struct piece_reader *pieces, uint32_t *rows)
{
    struct take_slot *slot = &t->slots[p->slot];
    uint64_t at;
    int r;

    for (uint32_t i = 0; i < p->n; i++)
        rows[i] = (uint32_t)(t->wanted[p->first + i] - p->row0);
    (void)pthread_mutex_lock(&t->lock);
    at = slot->collected.n_rows;
    r = fmt_column_append_rows(&slot->collected, a, rows, p->n);
    t->stats.pages++;
    t->stats.piece_reads += pieces->reads;
    t->stats.piece_bytes += pieces->bytes;
    (void)pthread_mutex_unlock(&t->lock);
    for (uint32_t i = 0; i < p->n && r == 0; i++)
        slot->place[p->first + i] = (uint32_t)(at + i);
    return r;
}

static int
page_decode(struct shard_taker *t, const struct take_page *p, const struct take_read *read,
            struct take_scratch *s, struct base_codec *codec, struct shard_error *err)
{
    const struct fmt_footer *f = p->o->footer;
    const uint32_t column = t->slots[p->slot].column;
    const struct fmt_page *page = take_page_of(t, p);
    const uint8_t *stored = t->buf.data + read->at + (page->off - read->req.off);
    struct piece_reader pieces = {.fd = p->o->fd, .path = t->ds->snapshot.shards[p->o->shard].path};
    struct shard_array a;
    int r;

    if (scratch_prepare(s, p->n) < 0)
        return base_fail(err, -ENOMEM, "%s: a page", pieces.path);
    r = fmt_pages_decode(f, p->group, column, p->page, 1, &stored, codec, piece_read, &pieces,
                         pieces.path, s->decoded, &a, err);
    if (r < 0)
        return r;
    r = page_collect(t, p, &a, &pieces, s->rows);
    return r < 0 ? base_fail(err, r, "column %" PRIu32 " (%s) of the rows asked for", column,
                             f->schema.fields[column].name)
                 : 0;
}

/* Whether the read brought its bytes. */
static int
read_check(const struct take_read *read, const char *path, struct shard_error *err)
{
    const struct base_io_req *q = &read->req;

    if (q->result < 0)
        return base_fail(err, (int)q->result, "%s: reading %zu bytes at byte %" PRIu64, path,
                         q->len, q->off);
    if ((uint64_t)q->result < q->len)
        return base_fail(err, SHARD_ETRUNC, "%s: ends at byte %" PRIu64, path,
                         q->off + (uint64_t)q->result);
    return 0;
}

static void
read_decode(struct take_read *read, struct take_scratch *s, struct base_codec *codec)
{
    struct shard_taker *t = read->t;
    const uint32_t shard = t->pages[read->first].o->shard;
    struct shard_error err = {0};
    uint64_t i = read->first;
    int r = read_check(read, t->ds->snapshot.shards[shard].path, &err);

    for (; r == 0 && i < read->first + read->n && !wave_failed_before(t, i); i++) {
        r = page_decode(t, &t->pages[i], read, s, codec, &err);
        scratch_settle(s, t->scratch_keep);
        if (r < 0)
            break;
    }
    if (r < 0) {
        const struct take_page *p = &t->pages[i];

        (void)fmt_fail_rows(&err, r, p->row0, take_page_of(t, p)->n_rows);
        wave_fail(t, i, &err);
    }
}

static void
read_run(struct base_task *task, struct base_worker *worker)
{
    struct take_read *read = BASE_CONTAINER_OF(task, struct take_read, task);

    read_decode(read, &read->t->scratch[worker->id], worker->codec);
}

/* ------------------------------------------------------------------------------------ reading */

/* The engine is done for: what it holds must not outlive the wave. */
static int
io_fail(struct shard_taker *t, int code)
{
    base_io_close(t->io);
    t->io = NULL;
    return code;
}

static int
wave_read(struct shard_taker *t, struct shard_error *err)
{
    const bool alone = t->pool == NULL || t->n_reads == 1;
    struct base_io_req *done[REAP_MAX];
    uint32_t left = t->n_reads;
    int r;

    for (uint32_t i = 0; i < t->n_reads; i++) {
        struct take_read *read = &t->reads[i];

        read->req.buf = t->buf.data + read->at;
        read->task.run = read_run;
        read->req.user = read;
        base_io_queue(t->io, &read->req);
    }
    r = base_io_submit(t->io, err);
    while (r >= 0 && left) {
        r = base_io_reap(t->io, done, REAP_MAX, -1, err);
        for (int i = 0; i < r; i++, left--) {
            struct take_read *read = done[i]->user;

            if (alone)
                read_decode(read, &t->scratch[t->n_threads], t->self.codec);
            else
                base_pool_submit(t->pool, &read->task);
        }
    }
    if (r < 0)
        r = io_fail(t, r);
    if (t->pool)
        base_pool_drain(t->pool);
    return r < 0 ? r : 0;
}

int
take_run_wave(struct shard_taker *t, struct shard_error *err)
{
    int r;

    t->fail_page = UINT64_MAX;
    base_buf_reset(&t->buf);
    if (base_buf_reserve_exact(&t->buf, (size_t)t->stored) < 0)
        return base_fail(err, -ENOMEM, "%" PRIu64 " bytes of pages", t->stored);
    r = wave_read(t, err);
    if (r < 0)
        return r;
    if (t->fail_page != UINT64_MAX) {
        if (err)
            *err = t->fail;
        return t->fail.code;
    }
    return 0;
}
