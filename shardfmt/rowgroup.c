/* Reading row groups: one request for chunks that touch, then every chunk through its checks. */
#include "config.h"

#include "shardline/fmt.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "lib/arith.h"
#include "lib/buf.h"
#include "lib/codec.h"
#include "lib/fail.h"
#include "lib/fs.h"
#include "shardfmt/dataset.h"
#include "shardfmt/lengths.h"
#include "shardfmt/open.h"

struct shard_group {
    struct base_codec *codec;
    uint64_t n_rows;
    uint64_t far_bytes; /* see shard_group_set_far() */
    uint32_t cap;
    struct shard_array *arrays;   /* cap */
    struct fmt_decoded **decoded; /* cap; made on first use */
    struct chunk *chunks;         /* cap */
    const uint8_t **stored;       /* pages of the chunk being decoded */
    uint32_t cap_stored;
    struct base_buf buf; /* stored bytes of all chunks; no array points into it */
    struct base_buf lengths; /* uint32 */
};

/* One wanted chunk of a row group. */
struct chunk {
    uint32_t i, column; /* the i-th that was asked for */
    uint64_t off, len;  /* in the file */
    size_t at;          /* where it stands in the buffer */
};

int
shard_group_new(struct shard_group **ret_group)
{
    struct shard_group *g = calloc(1, sizeof(*g));
    int r;

    if (g == NULL)
        return -ENOMEM;
    r = base_codec_new(&g->codec);
    if (r < 0) {
        free(g);
        return r;
    }
    *ret_group = g;
    return 0;
}

void
shard_group_free(struct shard_group *g)
{
    if (g == NULL)
        return;
    for (uint32_t i = 0; i < g->cap; i++)
        fmt_decoded_free(g->decoded[i]);
    free(g->decoded);
    free(g->arrays);
    free(g->chunks);
    free(g->stored);
    base_buf_done(&g->buf);
    base_buf_done(&g->lengths);
    base_codec_free(g->codec);
    free(g);
}

void
shard_group_set_far(struct shard_group *g, uint64_t size)
{
    g->far_bytes = size && size < FMT_INLINE_MAX ? FMT_INLINE_MAX : size;
}

uint64_t
shard_group_n_rows(const struct shard_group *g)
{
    return g->n_rows;
}

const struct shard_array *
shard_group_array(const struct shard_group *g, uint32_t i)
{
    return &g->arrays[i];
}

/* Room for n columns. */
static int
group_reserve(struct shard_group *g, uint32_t n)
{
    void *p;

    if (n <= g->cap)
        return 0;
    p = reallocarray(g->arrays, n, sizeof(*g->arrays));
    if (p == NULL)
        return -ENOMEM;
    g->arrays = p;
    p = reallocarray(g->chunks, n, sizeof(*g->chunks));
    if (p == NULL)
        return -ENOMEM;
    g->chunks = p;
    p = reallocarray(g->decoded, n, sizeof(*g->decoded));
    if (p == NULL)
        return -ENOMEM;
    g->decoded = p;
    for (uint32_t i = g->cap; i < n; i++)
        g->decoded[i] = NULL;
    g->cap = n;
    return 0;
}

static int
chunk_compare(const void *a, const void *b)
{
    const struct chunk *x = a, *y = b;

    return x->off != y->off ? (x->off < y->off ? -1 : 1) : x->i < y->i ? -1 : x->i > y->i;
}

/* End of the run of touching (or equal) chunks that begins with chunk i of n; its bytes. */
static uint32_t
run_end(const struct chunk *chunks, uint32_t i, uint32_t n, uint64_t *ret_len)
{
    const uint64_t off = chunks[i].off;
    uint64_t end = off + chunks[i].len;

    for (i++; i < n && chunks[i].off <= end; i++)
        if (chunks[i].off + chunks[i].len > end)
            end = chunks[i].off + chunks[i].len;
    *ret_len = end - off;
    return i;
}

/* Place every run in the buffer, at the same distance from a multiple of 64 as in the file, so that
 * the decoder reads aligned what is aligned there; then read each in one request. */
static int
chunks_read(struct shard_group *g, uint32_t n, const struct fmt_open_shard *o, const char *path,
            struct shard_error *err)
{
    uint64_t len, total = 0;
    uint32_t end;
    int r = 0;

    for (uint32_t i = 0; i < n; i = end) {
        end = run_end(g->chunks, i, n, &len);
        total = base_align_up(total, 64) + g->chunks[i].off % 64;
        for (uint32_t j = i; j < end; j++)
            g->chunks[j].at = (size_t)(total + (g->chunks[j].off - g->chunks[i].off));
        total += len;
    }
    base_buf_reset(&g->buf);
    if (base_buf_reserve_exact(&g->buf, (size_t)total) < 0)
        return base_fail(err, -ENOMEM, "%s: a row group of %" PRIu64 " bytes", path, total);
    for (uint32_t i = 0; r >= 0 && i < n; i = end) {
        end = run_end(g->chunks, i, n, &len);
        r = base_pread_full(o->fd, g->buf.data + g->chunks[i].at, (size_t)len, g->chunks[i].off,
                            path, err);
    }
    return r;
}

static int
chunk_decode(struct shard_group *g, const struct chunk *c, const struct fmt_open_shard *o,
             uint32_t group, const char *path, struct shard_error *err)
{
    const struct fmt_footer *f = o->footer;
    const uint32_t *const first = &f->chunk_first[(size_t)group * f->n_columns + c->column];
    const uint32_t n_pages = first[1] - first[0];
    struct fmt_file file = {o->fd, path};
    int r;

    if (n_pages > g->cap_stored) {
        const uint8_t **p = reallocarray(g->stored, n_pages, sizeof(*p));

        if (p == NULL)
            return base_fail(err, -ENOMEM, "%s: %" PRIu32 " pages", path, n_pages);
        g->stored = p;
        g->cap_stored = n_pages;
    }
    for (uint32_t i = 0; i < n_pages; i++)
        g->stored[i] = g->buf.data + c->at + (f->pages[first[0] + i].off - c->off);
    if (g->decoded[c->i] == NULL) {
        r = fmt_decoded_new(&g->decoded[c->i]);
        if (r < 0)
            return base_fail(err, r, "%s", path);
    }
    fmt_decoded_set_far(g->decoded[c->i], g->far_bytes);
    return fmt_chunk_decode(f, group, c->column, g->stored, g->codec, fmt_file_read, &file, path,
                            g->decoded[c->i], &g->arrays[c->i], err);
}

/* Read and decode chunks of row group `group` of shard o into g. */
static int
group_read(struct shard_group *g, const struct fmt_open_shard *o, uint32_t group,
           const uint32_t *cols, uint32_t n, const char *path, struct shard_error *err)
{
    int r;

    for (uint32_t i = 0; i < n; i++) {
        struct chunk *c = &g->chunks[i];

        c->i = i;
        c->column = cols ? cols[i] : i;
        fmt_chunk_extent(o->footer, group, c->column, &c->off, &c->len);
    }
    if (n > 1)
        qsort(g->chunks, n, sizeof(*g->chunks), chunk_compare);
    r = chunks_read(g, n, o, path, err);
    for (uint32_t i = 0; r >= 0 && i < n; i++)
        r = chunk_decode(g, &g->chunks[i], o, group, path, err);
    return r;
}

/* Have get, group_read() or lengths_read(), take columns of the row group out of its shard. */
static int
group_of_dataset(struct shard_dataset *ds, uint64_t group, const uint32_t *cols, uint32_t n,
                 int (*get)(struct shard_group *g, const struct fmt_open_shard *o, uint32_t group,
                            const uint32_t *cols, uint32_t n, const char *path,
                            struct shard_error *err),
                 struct shard_group *g, struct shard_error *err)
{
    const uint32_t n_all = ds->snapshot.schema.n_fields;
    struct shard_group_info info;
    struct fmt_open_shard *o = NULL;
    int r;

    g->n_rows = 0;
    if (group >= ds->n_groups)
        return base_fail(err, -EINVAL, "row group %" PRIu64 " of %" PRIu64, group, ds->n_groups);
    for (uint32_t i = 0; cols && i < n; i++)
        if (cols[i] >= n_all)
            return base_fail(err, -EINVAL, "column %" PRIu32 " of %" PRIu32, cols[i], n_all);
    if (group_reserve(g, n) < 0)
        return base_fail(err, -ENOMEM, "%" PRIu32 " columns", n);
    shard_dataset_group_info(ds, group, &info);
    r = fmt_cache_acquire(&ds->cache, info.shard, &o, err);
    if (r >= 0) {
        r = get(g, o, info.index, cols, n, ds->snapshot.shards[info.shard].path, err);
        fmt_cache_release(&ds->cache, o);
        if (r < 0)
            (void)fmt_fail_rows(err, r, info.row0, info.n_rows);
    }
    if (r < 0)
        return base_fail_in(err, r, "%s", ds->path);
    g->n_rows = info.n_rows;
    return 0;
}

int
shard_dataset_read_group(struct shard_dataset *ds, uint64_t group, const uint32_t *cols,
                         uint32_t n_cols, struct shard_group *g, struct shard_error *err)
{
    return group_of_dataset(ds, group, cols, cols ? n_cols : ds->snapshot.schema.n_fields,
                            group_read, g, err);
}

/* Read and decode the length index of a chunk. */
static int
index_read(struct shard_group *g, const struct fmt_open_shard *o, uint32_t group, uint32_t col,
           const struct fmt_page *page, const char *path, struct shard_error *err)
{
    int r = 0;

    base_buf_reset(&g->buf);
    if (base_buf_reserve_exact(&g->buf, page->stored_len) < 0)
        return base_fail(err, -ENOMEM, "%s: %" PRIu32 " bytes", path, page->stored_len);
    if (g->decoded[0] == NULL)
        r = fmt_decoded_new(&g->decoded[0]);
    if (r < 0)
        return base_fail(err, r, "%s", path);
    r = base_pread_full(o->fd, g->buf.data, page->stored_len, page->off, path, err);
    if (r == 0)
        r = fmt_lengths_decode(o->footer, group, col, g->buf.data, g->codec, path, g->decoded[0],
                               &g->arrays[0], err);
    return r;
}

/* Lengths from the index, or else from the column, which is one. */
static int
lengths_read(struct shard_group *g, const struct fmt_open_shard *o, uint32_t group,
             const uint32_t *cols, uint32_t n, const char *path, struct shard_error *err)
{
    const struct fmt_page *page = fmt_lengths_find(o->footer, group, cols[0]);
    const uint64_t far_bytes = g->far_bytes;
    struct shard_array a;
    int r;

    if (page) {
        r = index_read(g, o, group, cols[0], page, path, err);
        if (r != SHARD_EUNSUPPORTED) /* an index of a newer version is as none */
            return r;
    }
    g->far_bytes = FMT_INLINE_MAX; /* of large values the page says how long they are */
    r = group_read(g, o, group, cols, n, path, err);
    g->far_bytes = far_bytes;
    if (r < 0)
        return r;
    a = g->arrays[0];
    r = fmt_lengths_of(&a, &g->lengths, &g->arrays[0]);
    return r < 0 ? base_fail(err, r, "%s: lengths", path) : 0;
}

int
shard_dataset_read_lengths(struct shard_dataset *ds, uint64_t group, uint32_t col,
                           struct shard_group *g, struct shard_error *err)
{
    const struct fmt_schema *s = &ds->snapshot.schema;

    g->n_rows = 0;
    if (col < s->n_fields && !fmt_field_type(&s->fields[col]).offsets)
        return base_fail(err, -EINVAL, "column %s has no lengths", s->fields[col].name);
    return group_of_dataset(ds, group, &col, 1, lengths_read, g, err);
}
