/* Row group images: out-of-line values first, cut into pieces, then the chunks column by column,
 * each in pages. zstd goes over every page and piece and stays where it saves a thirty-second. */
#include "config.h"
#include "shardfmt/group.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "lib/arith.h"
#include "lib/compiler.h"
#include "lib/endian.h"
#include "lib/fail.h"
#include "lib/hash.h"
#include "shardfmt/bits.h"
#include "shardfmt/column.h"
#include "shardfmt/encode.h"
#include "shardfmt/lengths.h"
#include "shardfmt/newer.h"
#include "shardfmt/spooled.h"
#include "shardfmt/stats.h"

uint64_t
fmt_group_raw_limit(uint32_t n_columns)
{
    const uint64_t want = (uint64_t)n_columns << 16;

    return BASE_MIN(BASE_MAX(want, FMT_GROUP_RAW_MIN), FMT_GROUP_RAW_MAX);
}

const char *
fmt_encoding_name(enum fmt_encoding e)
{
    static const char *const names[] = {
        [FMT_ENC_PLAIN] = "plain", [FMT_ENC_CONST] = "constant", [FMT_ENC_RLE] = "rle",
        [FMT_ENC_DICT] = "dict",   [FMT_ENC_FOR] = "for",        [FMT_ENC_DELTA] = "delta",
        [FMT_ENC_BSS] = "bss",
    };

    return (unsigned)e < BASE_ARRAY_LEN(names) ? names[e] : "unknown";
}

int
fmt_encoding_parse(const char *name)
{
    if (strcmp(name, "auto") == 0)
        return FMT_ENC_AUTO;
    for (unsigned e = 0; e <= FMT_ENC_LAST; e++)
        if (e != FMT_ENC_CONST && strcmp(name, fmt_encoding_name((enum fmt_encoding)e)) == 0)
            return (int)e;
    return -1;
}

bool
fmt_encoding_fits(const struct shard_field *f, unsigned encoding)
{
    const struct fmt_type t = fmt_type_of(f->type, f->elem);
    const bool text = t.kind == FMT_KIND_BYTES || t.kind == FMT_KIND_STRINGS;

    switch (encoding) {
    case FMT_ENC_AUTO:
    case FMT_ENC_PLAIN:
        return true;
    case FMT_ENC_DICT:
        return t.kind != FMT_KIND_BIT;
    case FMT_ENC_RLE:
    case FMT_ENC_BSS:
        return t.kind != FMT_KIND_BIT && !text;
    default:
        return t.kind != FMT_KIND_BIT && !text && t.number != FMT_NUMBER_FLOAT;
    }
}

#define SMALL_PAGE  (16u << 10) /* raw bytes */
#define SMALL_LEVEL 1
#define LARGE_TEXT  (128u << 10)

/* What fmt_image_encode() works with. */
struct imaging {
    struct fmt_image *im;
    const struct fmt_encode_opts *opts;
    struct fmt_encode_opts column; /* the same, with what is asked for the column at hand */
    bool text;                     /* the column at hand is strings: see zstd_level() */
    struct base_codec *codec;
    const struct base_dict *dict; /* of the column at hand, or NULL */
    struct fmt_encoder encoder;
    struct base_buf pages, pieces, overflow; /* struct fmt_page; struct fmt_overflow */
    struct base_buf sources;                 /* struct fmt_image_piece, of each piece */
    bool spooled;                            /* some piece is not in the image */
    struct base_buf lengths, length_columns; /* struct fmt_page; uint32 */
    struct base_buf numbers;                 /* uint32: lengths of rows */
    uint32_t *over_first;                    /* n_columns + 1: the column's part of overflow */
};

/* Where the level was left to us it is that of the measurements in docs/performance.md: 3, but for
 * small pages, which are as small at level 1, in less time, and much text. */
static int
zstd_level(const struct imaging *g, size_t raw_len)
{
    const struct fmt_encode_opts *o = &g->column;

    if (!o->zstd_adapt)
        return o->zstd_level;
    if (raw_len <= SMALL_PAGE)
        return SMALL_LEVEL;
    return g->text && raw_len > LARGE_TEXT ? BASE_LEVEL_TEXT : o->zstd_level;
}

/* Append raw bytes to the image, compressed where that pays, and describe them in *p. */
static int
image_store(struct imaging *g, int level, const void *raw, size_t raw_len, struct fmt_page *p)
{
    struct base_buf *b = &g->im->bytes;
    const size_t aligned = (size_t)base_align_up(b->len, FMT_ALIGN);
    int64_t n = (int64_t)raw_len;

    p->raw_len = (uint32_t)raw_len;
    p->codec = FMT_CODEC_NONE;
    if (base_buf_reserve(b, FMT_ALIGN + BASE_MAX(base_codec_bound(raw_len), raw_len)) < 0)
        return -ENOMEM;
    if (level != 0) {
        uint8_t *dst = b->data + b->len;

        n = g->dict ? base_codec_compress_with(g->codec, g->dict, dst, b->cap - b->len, raw, raw_len)
                    : base_codec_compress(g->codec, level, dst, b->cap - b->len, raw, raw_len);
        if (n < 0)
            return (int)n;
        if (fmt_zstd_pays(raw_len, (size_t)n))
            p->codec = g->dict ? FMT_CODEC_ZDICT : FMT_CODEC_ZSTD;
    }
    if (p->codec == FMT_CODEC_NONE) {
        memset(b->data + b->len, 0, aligned - b->len);
        b->len = aligned;
        memcpy(b->data + aligned, raw, raw_len);
        n = (int64_t)raw_len;
    }
    p->off = b->len;
    p->stored_len = (uint32_t)n;
    b->len += (size_t)n;
    return 0;
}

/* ------------------------------------------------------------------------ out-of-line values */

/* Append a piece to the image. */
static int
put_piece(struct imaging *g, const uint8_t *data, size_t len)
{
    const struct fmt_image_piece here = {NULL, 0};
    struct fmt_page p = {0};
    int r = image_store(g, g->column.zstd_level, data, len, &p); /* as of those that fmt_spool makes */

    if (r == 0)
        r = base_buf_append(&g->pieces, &p, sizeof(p));
    return r < 0 ? r : base_buf_append(&g->sources, &here, sizeof(here));
}

/* The value of a row that is not in memory: its pieces are made already. */
static int
put_spooled(struct imaging *g, const struct shard_far *far)
{
    struct fmt_spooled *value = far->source;
    const struct fmt_overflow o = {.row = far->row,
                                   .len = value->len,
                                   .first = (uint32_t)(g->pieces.len / sizeof(struct fmt_page)),
                                   .n_pieces = value->n_pieces};
    int r = 0;

    g->spooled = true;
    for (uint32_t i = 0; i < value->n_pieces && r == 0; i++) {
        struct fmt_image_piece source = {value, i};

        r = base_buf_append(&g->pieces, &value->pieces[i], sizeof(value->pieces[i]));
        if (r == 0)
            r = base_buf_append(&g->sources, &source, sizeof(source));
        if (r == 0)
            (void)fmt_spooled_ref(value);
    }
    return r < 0 ? r : base_buf_append(&g->overflow, &o, sizeof(o));
}

/* Cut bytes into pieces. */
static int
put_pieces(struct imaging *g, const uint8_t *data, size_t len)
{
    int r = 0;

    for (size_t at = 0; at < len && r == 0; at += FMT_INLINE_MAX)
        r = put_piece(g, data + at, BASE_MIN(len - at, FMT_INLINE_MAX));
    return r;
}

/* The lengths of n strings that end at ends[1], ends[2], ... */
static int
put_length_pieces(struct imaging *g, const int32_t *ends, size_t n)
{
    struct base_buf lens = {0};
    const size_t most = FMT_INLINE_MAX / sizeof(uint32_t);
    int r = base_buf_reserve_exact(&lens, BASE_MIN(n, most) * sizeof(uint32_t));

    for (size_t i = 0; i < n && r == 0;) {
        const size_t k = BASE_MIN(n - i, most);

        for (size_t j = 0; j < k; j++)
            base_store_le32(lens.data + j * sizeof(uint32_t),
                            (uint32_t)(ends[i + j + 1] - ends[i + j]));
        r = put_piece(g, lens.data, k * sizeof(uint32_t));
        i += k;
    }
    base_buf_done(&lens);
    return r;
}

/* Pieces of the n values from v0 on, of a row or tensor; *ret_len: their bytes. What there is two
 * of (indices and values, lengths and bytes) is cut separately. */
static int
put_value(struct imaging *g, const struct shard_array *a, uint64_t v0, uint64_t n,
          uint64_t *ret_len)
{
    const struct fmt_type t = fmt_type_of(a->type, a->elem);
    uint64_t from = v0 * t.size, len = n * t.size;
    int r = 0;

    *ret_len = len;
    if (t.kind == FMT_KIND_SPARSE) {
        *ret_len += n * sizeof(uint32_t);
        r = put_pieces(g, (const uint8_t *)(a->indices + v0), n * sizeof(uint32_t));
    } else if (t.kind == FMT_KIND_STRINGS) {
        from = (uint64_t)a->elem_offsets[v0];
        len = (uint64_t)a->elem_offsets[v0 + n] - from;
        *ret_len = n * sizeof(uint32_t) + len;
        r = put_length_pieces(g, a->elem_offsets + v0, n);
    }
    return r < 0 ? r : put_pieces(g, (const uint8_t *)a->values + from, len);
}

/* The value of a row that is too long for a page. */
static int
put_overflow_row(struct imaging *g, const struct shard_array *a, uint64_t row)
{
    struct fmt_overflow o = {.row = row};
    const size_t n_before = g->pieces.len;
    int r = a->offsets
                ? put_value(g, a, (uint64_t)a->offsets[row],
                            (uint64_t)(a->offsets[row + 1] - a->offsets[row]), &o.len)
                : put_value(g, a, row * a->width, a->width, &o.len);

    if (r < 0)
        return r;
    o.first = (uint32_t)(n_before / sizeof(struct fmt_page));
    o.n_pieces = (uint32_t)((g->pieces.len - n_before) / sizeof(struct fmt_page));
    return base_buf_append(&g->overflow, &o, sizeof(o));
}

/* Whether the value of a row, which is not null, stands out of line. */
static bool
row_outside(const struct shard_array *a, struct fmt_type t, uint64_t row)
{
    uint64_t v0, n;

    if (t.kind == FMT_KIND_TENSOR)
        return !fmt_array_is_null(a, row);
    v0 = (uint64_t)a->offsets[row];
    n = (uint64_t)a->offsets[row + 1] - v0;
    if (t.kind == FMT_KIND_STRINGS)
        return n * sizeof(uint32_t) + (uint64_t)(a->elem_offsets[v0 + n] - a->elem_offsets[v0]) >
               FMT_INLINE_MAX;
    return n * (t.size + (t.kind == FMT_KIND_SPARSE ? sizeof(uint32_t) : 0)) > FMT_INLINE_MAX;
}

static int
put_overflow_column(struct imaging *g, const struct shard_array *a)
{
    const struct fmt_type t = fmt_type_of(a->type, a->elem);
    int r = 0;

    if (g->opts->plain_only)
        return 0; /* restricted files have none: a segment may list many row groups in one value */
    if (t.kind == FMT_KIND_TENSOR ? !fmt_tensor_outside(a->width, t.size)
                                  : !t.offsets || fmt_array_raw_bytes(a, 0, a->n_rows) <=
                                                      FMT_INLINE_MAX + sizeof(int32_t))
        return 0;
    for (uint64_t i = 0; i < a->n_rows && r == 0; i++) {
        const struct shard_far *far = fmt_array_far(a, i);

        if (far)
            r = put_spooled(g, far);
        else if (row_outside(a, t, i))
            r = put_overflow_row(g, a, i);
    }
    return r;
}

/* -------------------------------------------------------------------------------------- pages */

/* How many rows from row0 on make a page: those that fit the limit, out-of-line values included, but
 * one at least. So whoever wants one row of a page gets at no more than that. */
static uint32_t
page_rows(const struct shard_array *a, uint64_t row0, uint64_t limit)
{
    uint64_t bytes = 0, row = row0;

    if (a->offsets == NULL) {
        const uint64_t k = limit / fmt_array_raw_bytes(a, row0, 1);

        return (uint32_t)BASE_MIN(a->n_rows - row0, BASE_MAX(k, 1));
    }
    if (fmt_array_raw_bytes(a, row0, a->n_rows - row0) <= limit)
        return (uint32_t)(a->n_rows - row0);
    for (; row < a->n_rows; row++) {
        bytes += fmt_array_raw_bytes(a, row, 1);
        if (bytes > limit && row > row0)
            break;
    }
    return (uint32_t)(row - row0);
}

/* What is asked for column col. */
static void
take_column(struct imaging *g, uint32_t col)
{
    g->column = *g->opts;
    g->encoder.encoding = FMT_ENC_AUTO;
    if (g->opts->columns == NULL)
        return;
    g->encoder.encoding = g->opts->columns[col].encoding;
    if (fmt_column_has_level(g->opts, col)) {
        g->column.zstd_level = g->opts->columns[col].zstd_level;
        g->column.zstd_adapt = g->opts->columns[col].zstd_adapt;
    }
}

/* Of the page that stands behind before and the plain one that stands behind end, leave the smaller. */
static void
keep_smaller(struct imaging *g, size_t before, size_t end, struct fmt_page *p,
             const struct fmt_page *plain, uint32_t chosen)
{
    struct base_buf *b = &g->im->bytes;

    if (plain->stored_len >= p->stored_len) {
        b->len = end;
        g->encoder.used = chosen;
        return;
    }
    *p = *plain;
    p->off = plain->codec == FMT_CODEC_NONE ? base_align_up(before, FMT_ALIGN) : before;
    memset(b->data + before, 0, (size_t)p->off - before);
    memmove(b->data + p->off, b->data + plain->off, p->stored_len);
    b->len = (size_t)p->off + p->stored_len;
}

/* The page that the encoder made. */
static int
store_page(struct imaging *g, struct fmt_page *p)
{
    const struct base_buf *page = &g->encoder.page;

    return image_store(g, zstd_level(g, page->len), page->data, page->len, p);
}

/* Encode and store one page of rows [row0, row0 + n). */
static int
put_page(struct imaging *g, const struct shard_array *a, uint64_t row0, uint32_t n,
         const struct fmt_overflow *over, uint32_t n_over)
{
    const uint64_t data_len = fmt_array_raw_bytes(a, row0, n);
    struct fmt_page p = {.n_rows = n, .data_len = data_len}, plain = p;
    const size_t before = g->im->bytes.len;
    const uint32_t used = g->encoder.used;
    const uint8_t asked = g->encoder.encoding;
    int r = fmt_encode_page(&g->encoder, a, row0, n, over, n_over);

    if (r == 0 && g->encoder.page.len > FMT_PAGE_RAW_LIMIT) { /* as runs of one byte each */
        g->encoder.encoding = FMT_ENC_PLAIN;
        g->encoder.used = used;
        r = fmt_encode_page(&g->encoder, a, row0, n, over, n_over);
        g->encoder.encoding = asked;
    }
    if (r == 0)
        r = store_page(g, &p);
    if (r == 0 && g->encoder.alternative &&
        p.stored_len > g->encoder.plain_cost - g->encoder.plain_cost / 8) {
        /* The sample promised more than the page keeps (its estimates are on the high side, as they are
         * of level 1): is it smaller without? */
        const uint32_t chosen = g->encoder.used, n_distinct = g->encoder.n_distinct;
        const size_t end = g->im->bytes.len;

        g->encoder.encoding = FMT_ENC_PLAIN;
        g->encoder.used = used;
        r = fmt_encode_page(&g->encoder, a, row0, n, over, n_over);
        g->encoder.encoding = asked;
        g->encoder.n_distinct = n_distinct; /* of the values, however they are stored */
        if (r == 0)
            r = store_page(g, &plain);
        if (r == 0)
            keep_smaller(g, before, end, &p, &plain, chosen);
    }
    return r < 0 ? r : base_buf_append(&g->pages, &p, sizeof(p));
}

static int
put_chunk(struct imaging *g, const struct shard_array *a, uint32_t col)
{
    static const struct fmt_overflow none;
    const struct fmt_overflow *all = g->overflow.data ? (const void *)g->overflow.data : &none;
    const struct fmt_overflow *over = all + g->over_first[col];
    const struct fmt_overflow *end = all + g->over_first[col + 1];
    const uint64_t limit = g->opts->page_bytes ? g->opts->page_bytes : FMT_PAGE_RAW_MAX;
    const struct fmt_type t = fmt_type_of(a->type, a->elem);
    const enum fmt_kind kind = t.kind;
    const bool one_value = kind == FMT_KIND_NUMBER || kind == FMT_KIND_BYTES; /* in a row */
    struct fmt_chunk_stats *stats = g->im->stats ? &g->im->stats[col] : NULL;
    int r;

    /* Dictionaries are made for the level of all columns. */
    g->dict = g->opts->zdicts && !fmt_column_has_level(g->opts, col) ? g->opts->zdicts->of[col] : NULL;
    if (stats)
        fmt_stats_compute(a, stats);
    g->text = kind == FMT_KIND_BYTES || kind == FMT_KIND_STRINGS;
    g->encoder.used = 0;
    for (uint64_t row = 0; row < a->n_rows;) {
        const uint32_t n = page_rows(a, row, limit);
        uint32_t n_over = 0;

        while (over + n_over < end && over[n_over].row < row + n)
            n_over++;
        r = put_page(g, a, row, n, over, n_over);
        if (r < 0)
            return r;
        if (stats && n == a->n_rows && one_value)
            stats->n_distinct = g->encoder.n_distinct;
        over += n_over;
        row += n;
    }
    g->im->encodings[col] = g->encoder.used;
    return 0;
}

/* ------------------------------------------------------------------------------ length indices */

/* The index of a column, unless it would cost too much. */
static int
put_lengths(struct imaging *g, const struct shard_array *a, uint32_t col)
{
    const struct fmt_page *pages = (const void *)g->pages.data;
    const size_t before = g->im->bytes.len;
    struct fmt_page p = {.n_rows = (uint32_t)a->n_rows};
    struct shard_array lengths;
    uint64_t chunk = 0;
    int r;

    for (uint32_t i = g->im->chunk_first[col]; i < g->im->chunk_first[col + 1]; i++)
        chunk += pages[i].stored_len;
    if (fmt_lengths_allowed(chunk) <= FMT_LENGTHS_ENTRY) /* most columns of most row groups */
        return 0;
    take_column(g, col);
    g->encoder.encoding = FMT_ENC_AUTO; /* what is asked for holds for the values */
    g->text = false;
    g->dict = NULL;
    r = fmt_lengths_of(a, &g->numbers, &lengths);
    if (r == 0)
        r = fmt_encode_page(&g->encoder, &lengths, 0, p.n_rows, NULL, 0);
    if (r < 0 || g->encoder.page.len > FMT_INLINE_MAX)
        return r;
    r = store_page(g, &p);
    if (r == 0 && g->im->bytes.len - before + FMT_LENGTHS_ENTRY > fmt_lengths_allowed(chunk)) {
        g->im->bytes.len = before;
        return 0;
    }
    if (r == 0)
        r = base_buf_append(&g->lengths, &p, sizeof(p));
    return r < 0 ? r : base_buf_append(&g->length_columns, &col, sizeof(col));
}

/* ----------------------------------------------------------------------------------- checking */

static bool
indices_ascend(const struct shard_array *a)
{
    for (uint64_t row = 0; row < a->n_rows; row++)
        for (int32_t i = a->offsets[row] + 1; i < a->offsets[row + 1]; i++)
            if (a->indices[i - 1] >= a->indices[i])
                return false;
    return true;
}

/* Does the array hold what the field says? */
static int
array_check(const struct shard_field *f, const struct shard_array *a, uint64_t n_rows,
            struct shard_error *err)
{
    const struct fmt_type t = fmt_field_type(f);
    char name[SHARD_TYPE_NAME_MAX];

    if (t.kind == FMT_KIND_UNKNOWN)
        return base_fail(err, SHARD_EUNSUPPORTED, "column \"%s\": type %s, which this build lacks",
                         f->name, shard_field_type_name(f, name));
    if (a->type != f->type || a->elem != f->elem || a->width != fmt_field_width(f) ||
        a->n_rows != n_rows)
        return base_fail(err, -EINVAL, "column \"%s\": array of type %d with %" PRIu64 " rows",
                         f->name, (int)a->type, a->n_rows);
    if (!f->nullable && a->validity && fmt_bits_count(a->validity, 0, n_rows) < n_rows)
        return base_fail(err, -EINVAL, "column \"%s\": nulls, but it is not nullable", f->name);
    if (a->indices && !indices_ascend(a))
        return base_fail(err, -EINVAL, "column \"%s\": sparse indices do not ascend", f->name);
    if (a->n_far == 0 && fmt_array_raw_bytes(a, 0, n_rows) > FMT_CHUNK_DATA_MAX)
        return base_fail(err, SHARD_ELIMIT, "column \"%s\": over 2 GiB in one row group", f->name);
    return 0;
}

static int
arrays_check(const struct fmt_schema *s, const struct shard_array *arrays,
             const struct fmt_encode_opts *opts, struct shard_error *err)
{
    const uint64_t n_rows = s->n_fields ? arrays[0].n_rows : 0;
    int r = 0;

    if (n_rows > FMT_GROUP_ROWS_MAX)
        return base_fail(err, SHARD_ELIMIT, "row group of %" PRIu64 " rows", n_rows);
    if (opts->page_bytes > FMT_PAGE_RAW_MAX)
        return base_fail(err, -EINVAL, "pages of %" PRIu32 " bytes", opts->page_bytes);
    for (uint32_t c = 0; c < s->n_fields && r == 0; c++)
        r = array_check(&s->fields[c], &arrays[c], n_rows, err);
    return r;
}

/* ------------------------------------------------------------------------------------ the whole */

static struct fmt_image *
image_new(uint32_t n_columns, uint32_t n_rows, bool stats)
{
    struct fmt_image *im = calloc(1, sizeof(*im));

    if (im == NULL)
        return NULL;
    im->n_columns = n_columns;
    im->n_rows = n_rows;
    im->chunk_first = calloc((size_t)n_columns + 1, sizeof(*im->chunk_first));
    im->encodings = calloc((size_t)n_columns + 1, sizeof(*im->encodings));
    if (stats)
        im->stats = calloc((size_t)n_columns + 1, sizeof(*im->stats));
    if (im->chunk_first == NULL || im->encodings == NULL || (stats && im->stats == NULL)) {
        fmt_image_free(im);
        return NULL;
    }
    return im;
}

void
fmt_image_free(struct fmt_image *im)
{
    if (im == NULL)
        return;
    for (uint32_t i = 0; im->spooled && i < im->n_pieces; i++)
        fmt_spooled_unref(im->spooled[i].value);
    free(im->spooled);
    base_buf_done(&im->bytes);
    free(im->pages);
    free(im->pieces);
    free(im->lengths);
    free(im->length_column);
    free(im->chunk_first);
    free(im->stats);
    free(im->encodings);
    free(im);
}

/* Of an image that did not come about. */
static void
sources_done(struct base_buf *sources)
{
    const struct fmt_image_piece *p = (const void *)sources->data;

    for (size_t i = 0; i < sources->len / sizeof(*p); i++)
        fmt_spooled_unref(p[i].value);
    base_buf_done(sources);
}

static int
image_fill(struct imaging *g, const struct fmt_schema *s, const struct shard_array *arrays)
{
    struct fmt_image *im = g->im;
    int r = 0;

    for (uint32_t c = 0; c < s->n_fields && r == 0; c++) {
        take_column(g, c);
        r = put_overflow_column(g, &arrays[c]);
        g->over_first[c + 1] = (uint32_t)(g->overflow.len / sizeof(struct fmt_overflow));
    }
    for (uint32_t c = 0; c < s->n_fields && r == 0; c++) {
        take_column(g, c);
        r = put_chunk(g, &arrays[c], c);
        im->chunk_first[c + 1] = (uint32_t)(g->pages.len / sizeof(struct fmt_page));
    }
    for (uint32_t c = 0; c < s->n_fields && r == 0 && !g->opts->plain_only; c++)
        if (fmt_lengths_wanted(arrays[c].type, arrays[c].elem))
            r = put_lengths(g, &arrays[c], c);
    return r;
}

int
fmt_image_encode(const struct fmt_schema *s, const struct shard_array *arrays,
                 const struct fmt_encode_opts *opts, struct base_codec *codec,
                 struct fmt_image **ret_image, struct shard_error *err)
{
    struct imaging g = {.opts = opts, .codec = codec};
    int r = arrays_check(s, arrays, opts, err);

    if (r < 0)
        return r;
    fmt_encoder_init(&g.encoder, &g.column);
    g.im = image_new(s->n_fields, s->n_fields ? (uint32_t)arrays[0].n_rows : 0, !opts->plain_only);
    g.over_first = calloc((size_t)s->n_fields + 1, sizeof(*g.over_first));
    if (g.im == NULL || g.over_first == NULL) {
        r = base_fail(err, -ENOMEM, "row group");
        goto out;
    }
    r = image_fill(&g, s, arrays);
    if (r < 0) {
        (void)base_fail(err, r, "row group");
        goto out;
    }
    g.im->n_pages = (uint32_t)(g.pages.len / sizeof(struct fmt_page));
    g.im->n_pieces = (uint32_t)(g.pieces.len / sizeof(struct fmt_page));
    g.im->pages = (void *)g.pages.data; /* memory of base_buf is free()d */
    g.im->pieces = (void *)g.pieces.data;
    g.im->n_lengths = (uint32_t)(g.lengths.len / sizeof(struct fmt_page));
    g.im->lengths = (void *)g.lengths.data;
    g.im->length_column = (void *)g.length_columns.data;
    g.pages = g.pieces = g.lengths = g.length_columns = (struct base_buf){0};
    if (g.spooled) {
        g.im->spooled = (void *)g.sources.data;
        g.sources = (struct base_buf){0};
    }
    *ret_image = g.im;
    g.im = NULL;
out:
    fmt_encoder_done(&g.encoder);
    base_buf_done(&g.pages);
    base_buf_done(&g.pieces);
    base_buf_done(&g.overflow);
    sources_done(&g.sources);
    base_buf_done(&g.lengths);
    base_buf_done(&g.length_columns);
    base_buf_done(&g.numbers);
    free(g.over_first);
    fmt_image_free(g.im);
    return r;
}

int
fmt_page_unpack(const struct fmt_page *p, const uint8_t *stored, struct base_codec *codec,
                const struct base_dict *dict, struct base_buf *buf, struct shard_error *err)
{
    int r = fmt_page_verify(p, stored, err);

    if (r < 0)
        return r;
    base_buf_reset(buf);
    if (base_buf_reserve_exact(buf, p->raw_len) < 0)
        return base_fail(err, -ENOMEM, "page of %" PRIu32 " bytes", p->raw_len);
    if (p->codec == FMT_CODEC_NONE)
        memcpy(buf->data, stored, p->raw_len);
    else if (p->codec == FMT_CODEC_ZSTD)
        r = base_codec_decompress(codec, buf->data, p->raw_len, stored, p->stored_len, err);
    else if (dict)
        r = base_codec_decompress_with(codec, dict, buf->data, p->raw_len, stored, p->stored_len,
                                       err);
    else
        r = base_fail(err, SHARD_ECORRUPT, "the dictionary that it needs is not there, or is none");
    buf->len = r < 0 ? 0 : p->raw_len;
    return r;
}

int
fmt_page_verify(const struct fmt_page *p, const uint8_t *stored, struct shard_error *err)
{
    if (p->flags || p->reserved)
        return base_fail(err, SHARD_EUNSUPPORTED, "page flags 0x%x" FMT_NEWER,
                         p->flags | p->reserved << 8u);
    if (p->codec > FMT_CODEC_ZDICT)
        return base_fail(err, SHARD_EUNSUPPORTED, "codec %u" FMT_NEWER, p->codec);
    if (p->codec == FMT_CODEC_NONE && p->raw_len != p->stored_len)
        return base_fail(err, SHARD_ECORRUPT, "%" PRIu32 " bytes stored for %" PRIu32,
                         p->stored_len, p->raw_len);
#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    if (base_hash64(stored, p->stored_len, p->off) != p->hash)
        return base_fail(err, SHARD_ECHECKSUM, "checksum mismatch in %" PRIu32 " bytes at byte %"
                         PRIu64, p->stored_len, p->off);
#else
    (void)stored;
#endif
    return 0;
}
