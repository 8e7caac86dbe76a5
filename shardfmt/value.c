/* One value as a stream: what stands out of line is read piece by piece, so that a value of any size
 * takes the memory of two pieces. A value that stands in its page is held whole: it is small. */
#include "config.h"

#include "shardline/fmt.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "lib/codec.h"
#include "lib/compiler.h"
#include "lib/fail.h"
#include "lib/fs.h"
#include "shardfmt/column.h"
#include "shardfmt/dataset.h"
#include "shardfmt/open.h"

struct shard_value {
    struct shard_dataset *ds;
    struct fmt_open_shard *shard; /* held until close */
    const char *path;
    struct base_codec *codec;
    uint64_t row; /* of the dataset */
    uint64_t size, at;
    bool is_null;
    const struct fmt_page *pieces; /* of the footer; NULL where the value is inline */
    uint32_t n_pieces, piece;      /* piece: the one in raw, counted from 0 */
    uint64_t piece_at;             /* where in the value it begins */
    bool loaded;
    struct base_buf stored, raw;   /* raw: the piece, or the inline value */
};

/* The page that holds row `row` of a chunk; *row becomes the row of the page. */
static uint32_t
find_page(const struct fmt_page *pages, uint64_t *row)
{
    uint32_t i = 0;

    for (; *row >= pages[i].n_rows; i++)
        *row -= pages[i].n_rows;
    return i;
}

/* Row of the array into v. */
static int
take_row(struct shard_value *v, const struct shard_array *a, uint64_t row,
         const struct fmt_footer *f, uint32_t group)
{
    const struct shard_far *far = fmt_array_far(a, row);
    const size_t from = (size_t)a->offsets[row], len = (size_t)a->offsets[row + 1] - from;

    v->is_null = fmt_array_is_null(a, row);
    if (far == NULL) {
        v->size = len;
        return base_buf_append(&v->raw, (const uint8_t *)a->values + from, len);
    }
    v->size = far->size;
    v->pieces = f->pieces + f->piece_first[group] + far->first_piece;
    v->n_pieces = far->n_pieces;
    return 0;
}

/* Read and decode the page that holds the row. */
static int
value_find(struct shard_value *v, uint32_t group, uint32_t col, uint64_t row,
           struct shard_error *err)
{
    const struct fmt_footer *f = v->shard->footer;
    const size_t chunk = (size_t)group * f->n_columns + col;
    const struct fmt_page *pages = f->pages + f->chunk_first[chunk];
    const uint32_t page = find_page(pages, &row);
    const struct fmt_page *p = &pages[page];
    struct fmt_file file = {v->shard->fd, v->path};
    const uint8_t *stored;
    struct fmt_decoded *d = NULL;
    struct shard_array a;
    int r;

    if (fmt_decoded_new(&d) < 0 || base_buf_reserve_exact(&v->stored, p->stored_len) < 0)
        return base_fail(err, -ENOMEM, "%s", v->path);
    fmt_decoded_set_far(d, FMT_INLINE_MAX);
    stored = v->stored.data;
    r = base_pread_full(v->shard->fd, v->stored.data, p->stored_len, p->off, v->path, err);
    if (r == 0)
        r = fmt_pages_decode(f, group, col, page, 1, &stored, v->codec, fmt_file_read, &file, v->path,
                             d, &a, err);
    if (r == 0 && take_row(v, &a, row, f, group) < 0)
        r = base_fail(err, -ENOMEM, "%s", v->path);
    fmt_decoded_free(d);
    return r;
}

/* The row group that holds the row. */
static uint64_t
find_group(const struct shard_dataset *ds, uint64_t row, struct shard_group_info *ret)
{
    uint64_t lo = 0, hi = ds->n_groups;

    while (hi - lo > 1) {
        const uint64_t mid = lo + (hi - lo) / 2;

        shard_dataset_group_info(ds, mid, ret);
        if (ret->row0 <= row)
            lo = mid;
        else
            hi = mid;
    }
    shard_dataset_group_info(ds, lo, ret);
    return lo;
}

int
shard_value_open(struct shard_dataset *ds, uint64_t row, uint32_t col,
                 struct shard_value **ret_value, struct shard_error *err)
{
    const struct fmt_schema *s = &ds->snapshot.schema;
    struct shard_group_info info;
    struct shard_value *v;
    int r;

    if (row >= shard_dataset_n_rows(ds))
        return base_say(err, -EINVAL,
                        "%s has no row %" PRIu64 ": its %" PRIu64 " rows are counted from 0",
                        ds->path, row, shard_dataset_n_rows(ds));
    if (col >= s->n_fields || (s->fields[col].type != SHARD_TYPE_STRING &&
                               s->fields[col].type != SHARD_TYPE_BINARY))
        return base_fail(err, -EINVAL, "%s: column %" PRIu32 " is not of strings or bytes",
                         ds->path, col);
    v = calloc(1, sizeof(*v));
    if (v == NULL || base_codec_new(&v->codec) < 0) {
        shard_value_close(v);
        return base_fail(err, -ENOMEM, "%s", ds->path);
    }
    (void)find_group(ds, row, &info);
    v->ds = ds;
    v->row = row;
    v->path = ds->snapshot.shards[info.shard].path;
    r = fmt_cache_acquire(&ds->cache, info.shard, &v->shard, err);
    if (r >= 0) {
        r = value_find(v, info.index, col, row - info.row0, err);
        if (r < 0)
            (void)fmt_fail_rows(err, r, row, 1);
    }
    if (r < 0) {
        shard_value_close(v);
        return base_fail_in(err, r, "%s", ds->path);
    }
    *ret_value = v;
    return 0;
}

void
shard_value_close(struct shard_value *v)
{
    if (v == NULL)
        return;
    if (v->shard)
        fmt_cache_release(&v->ds->cache, v->shard);
    base_codec_free(v->codec);
    base_buf_done(&v->stored);
    base_buf_done(&v->raw);
    free(v);
}

bool
shard_value_is_null(const struct shard_value *v)
{
    return v->is_null;
}

uint64_t
shard_value_size(const struct shard_value *v)
{
    return v->size;
}

/* Have the piece that holds v->at in v->raw. */
static int
piece_load(struct shard_value *v, struct shard_error *err)
{
    const struct fmt_page *p;
    int r;

    if (v->loaded && v->at >= v->piece_at && v->at - v->piece_at < v->raw.len)
        return 0;
    if (!v->loaded || v->at < v->piece_at) {
        v->piece = 0;
        v->piece_at = 0;
    }
    while (v->at - v->piece_at >= v->pieces[v->piece].raw_len)
        v->piece_at += v->pieces[v->piece++].raw_len;
    p = &v->pieces[v->piece];
    base_buf_reset(&v->stored);
    if (base_buf_reserve_exact(&v->stored, p->stored_len) < 0)
        return base_fail(err, -ENOMEM, "%s", v->path);
    r = base_pread_full(v->shard->fd, v->stored.data, p->stored_len, p->off, v->path, err);
    if (r == 0)
        r = fmt_page_unpack(p, v->stored.data, v->codec, NULL, &v->raw, err);
    v->loaded = r == 0;
    if (r == 0)
        return 0;
    (void)base_fail_in(err, r, "%s: piece %" PRIu32 " of a large value", v->path, v->piece);
    return fmt_fail_rows(err, r, v->row, 1);
}

int64_t
shard_value_read(struct shard_value *v, void *buf, size_t len, struct shard_error *err)
{
    size_t from, n;
    int r;

    if (v->at >= v->size || len == 0)
        return 0;
    if (v->pieces) {
        r = piece_load(v, err);
        if (r < 0)
            return r;
    }
    from = (size_t)(v->at - v->piece_at);
    n = BASE_MIN(len, v->raw.len - from);
    memcpy(buf, v->raw.data + from, n);
    v->at += n;
    return (int64_t)n;
}

void
shard_value_seek(struct shard_value *v, uint64_t at)
{
    v->at = BASE_MIN(at, v->size);
}
