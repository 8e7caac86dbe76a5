/* Decoding a column chunk: its pages, one behind the other, into one array.
 *
 * How large the array gets is known from the footer (data_len of the pages) before a page is looked
 * at, and every page must come out at exactly its part of it. So each buffer is allocated once, and
 * every write below is to a place whose room was checked. Text of a chunk with one zstd page is not
 * copied: the array points into the decompressed page. */
#include "config.h"
#include "shardfmt/shard.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "lib/arith.h"
#include "lib/compiler.h"
#include "lib/endian.h"
#include "lib/fail.h"
#include "shardfmt/bits.h"
#include "shardfmt/decode.h"
#include "shardfmt/newer.h"
#include "shardfmt/nulls.h"
#include "shardfmt/spooled.h"

#define ROLE(r) (1u << FMT_ROLE_##r)
#define SHORT_COPY 32u /* strings up to this length are copied as so many bytes */

struct fmt_decoded {
    struct base_buf page; /* decompressed */
    struct base_buf validity, offsets, indices, values;
    struct base_buf elem_offsets;  /* of lists of strings */
    struct base_buf dict_offsets;  /* uint32, of a string dictionary's entries */
    struct base_buf piece, stored; /* of out-of-line values */
    struct base_buf far;           /* struct shard_far; source: a struct fmt_spooled that is ours, or NULL */
    uint64_t far_bytes;            /* longer values are far; 0: none are */
};

int
fmt_decoded_new(struct fmt_decoded **ret)
{
    struct fmt_decoded *d = calloc(1, sizeof(*d));

    if (d == NULL)
        return -ENOMEM;
    *ret = d;
    return 0;
}

/* Let go of the far values. */
static void
forget_far(struct fmt_decoded *d)
{
    const struct shard_far *far = (const void *)d->far.data;

    for (size_t i = 0; i < d->far.len / sizeof(*far); i++)
        fmt_spooled_unref(far[i].source);
    base_buf_reset(&d->far);
}

void
fmt_decoded_clear(struct fmt_decoded *d)
{
    base_buf_done(&d->page);
    base_buf_done(&d->validity);
    base_buf_done(&d->offsets);
    base_buf_done(&d->indices);
    base_buf_done(&d->values);
    base_buf_done(&d->elem_offsets);
    base_buf_done(&d->dict_offsets);
    base_buf_done(&d->piece);
    base_buf_done(&d->stored);
    forget_far(d);
    base_buf_done(&d->far);
}

void
fmt_decoded_free(struct fmt_decoded *d)
{
    if (d == NULL)
        return;
    fmt_decoded_clear(d);
    free(d);
}

void
fmt_decoded_set_far(struct fmt_decoded *d, uint64_t bytes)
{
    d->far_bytes = bytes;
}

void
fmt_decoded_set_source(struct fmt_decoded *d, uint32_t i, struct fmt_spooled *value)
{
    struct shard_far *far = (struct shard_far *)(void *)d->far.data + i;

    fmt_spooled_unref(far->source);
    far->source = value;
}

uint64_t
fmt_decoded_memory(const struct fmt_decoded *d)
{
    return sizeof(*d) + (uint64_t)d->page.cap + d->validity.cap + d->offsets.cap + d->indices.cap +
           d->values.cap + d->elem_offsets.cap + d->dict_offsets.cap + d->piece.cap +
           d->stored.cap + d->far.cap;
}

/* A chunk on its way. */
struct decoding {
    const struct fmt_footer *f;
    const struct shard_field *field;
    uint32_t group;
    struct fmt_decoded *d;
    struct base_codec *codec;
    const struct base_dict *dict; /* of the column, or NULL */
    fmt_read_fn read;
    void *read_arg;
    struct shard_error *err;
    struct fmt_type is;
    uint32_t width;              /* of a tensor */
    size_t size;                 /* is.size */
    uint64_t n_rows, n_values;   /* of the chunk; n_values of lists of strings: so far */
    uint64_t n_bytes;            /* of the chunk: data_len without the 4 bytes of offsets per row */
    uint64_t row, value;         /* where the page at hand begins */
    uint64_t byte;               /* the same in the bytes of lists of strings */
    uint64_t n_nulls;
    bool one_page;
    const struct fmt_page *page;
    struct fmt_page_in in;
    uint32_t present;            /* rows of the page at hand that are not null */
    uint64_t page_values;        /* of the page at hand */
    const uint8_t *in_place;     /* values that need no copy, or NULL */
};

static int
fail_memory(const struct decoding *c)
{
    return base_fail(c->err, -ENOMEM, "no memory for %" PRIu64 " values", c->n_values);
}

/* Room for len bytes in a buffer whose content does not matter. */
static int
room(const struct decoding *c, struct base_buf *b, uint64_t len)
{
    base_buf_reset(b);
    return base_buf_reserve_exact(b, (size_t)len) < 0 ? fail_memory(c) : 0;
}

/* Where the values of the page at hand go. Room is made at the first call, for the whole chunk. */
static uint8_t *
values_at(struct decoding *c)
{
    struct base_buf *b = &c->d->values;
    const uint64_t len = c->size ? c->n_values * c->size : fmt_bits_bytes(c->n_values);

    if (b->len == 0 && room(c, b, len) < 0)
        return NULL;
    b->len = (size_t)len;
    return b->data + c->value * c->size;
}

/* ----------------------------------------------------------------------------------- validity */

/* The bits of the page at hand behind those before; NULL and 0 where no row of it is null. */
static int
decode_validity(struct decoding *c)
{
    const struct fmt_stream_in *s = &c->in.streams[FMT_ROLE_VALIDITY];
    const uint32_t n = c->in.n_rows;
    struct base_buf *b = &c->d->validity;
    uint32_t present = n;

    c->present = n;
    if (s->data == NULL && b->len == 0)
        return 0;
    if (s->data && !c->field->nullable)
        return base_fail(c->err, SHARD_ECORRUPT, "nulls in a column that has none");
    if (b->len == 0) {
        if (room(c, b, fmt_bits_bytes(c->n_rows)) < 0)
            return -ENOMEM;
        b->len = fmt_bits_bytes(c->n_rows);
        fmt_bits_append_same(b->data, 0, true, c->row);
    }
    if (s->data == NULL) {
        fmt_bits_append_same(b->data, c->row, true, n);
        return 0;
    }
    if (s->encoding != FMT_ENC_CONST && s->encoding != FMT_ENC_PLAIN)
        return fmt_fail_encoding(s->encoding, s->role, c->err);
    if (s->count != n || s->size != 0)
        return base_fail(c->err, SHARD_ECORRUPT, "validity of %" PRIu32 " rows", s->count);
    if (s->encoding == FMT_ENC_CONST && s->len == 1 && *s->data <= 1) {
        present = *s->data ? n : 0;
        fmt_bits_append_same(b->data, c->row, *s->data, n);
    } else if (s->encoding == FMT_ENC_PLAIN && s->len == fmt_bits_bytes(n) &&
               fmt_bits_tail_clear(s->data, n)) {
        present = (uint32_t)fmt_bits_count(s->data, 0, n);
        fmt_bits_append(b->data, c->row, s->data, 0, n);
    } else {
        return base_fail(c->err, SHARD_ECORRUPT, "validity bits are broken");
    }
    c->n_nulls += n - present;
    c->present = present;
    return 0;
}

static bool
page_has_nulls(const struct decoding *c)
{
    return c->present < c->in.n_rows;
}

static bool
row_is_null(const struct decoding *c, uint64_t i)
{
    return page_has_nulls(c) && !fmt_bits_get(c->d->validity.data, c->row + i);
}

/* Elements of a row that is not of any length. */
static uint64_t
row_values(const struct decoding *c)
{
    return c->is.kind == FMT_KIND_TENSOR ? c->width : 1;
}

/* The rows of size bytes that are there go where they belong; null rows hold zeros. */
static void
spread(const struct decoding *c, void *rows, size_t size)
{
    if (page_has_nulls(c))
        fmt_nulls_spread(c->d->validity.data, c->row, rows, size, c->in.n_rows, c->present);
}

/* ------------------------------------------------------------------------------------ numbers */

#define GATHER(T)                                                                                  \
    do {                                                                                           \
        T *d = (T *)(void *)dst;                                                                   \
        for (int i = 0; i < n; i++)                                                                \
            memcpy(&d[i], dict + (size_t)codes[i] * sizeof(T), sizeof(T));                         \
    } while (0)

/* Values of a dictionary for n codes, all of which were checked. */
static void
gather(const uint8_t *dict, const uint32_t *codes, int n, size_t size, uint8_t *dst)
{
    switch (size) {
    case 1:
        GATHER(uint8_t);
        break;
    case 2:
        GATHER(uint16_t);
        break;
    case 4:
        GATHER(uint32_t);
        break;
    default:
        GATHER(uint64_t);
        break;
    }
}

/* The next codes, all below n_entries. Returns how many. */
static int
codes_next(struct fmt_ints_reader *r, uint32_t n_entries, uint32_t codes[FMT_FOR_BLOCK],
           struct shard_error *err)
{
    int n = fmt_ints_next(r, codes, err);
    uint32_t top = 0;

    for (int i = 0; i < n; i++)
        top = codes[i] > top ? codes[i] : top;
    if (n > 0 && top >= n_entries)
        return base_fail(err, SHARD_ECORRUPT, "code %" PRIu32 " of a dictionary of %" PRIu32, top,
                         n_entries);
    return n;
}

static int
decode_number_dict(struct decoding *c, uint64_t n, uint8_t *dst)
{
    const struct fmt_stream_in *dict = &c->in.streams[FMT_ROLE_DICT_VALUES];
    uint32_t codes[FMT_FOR_BLOCK];
    struct fmt_ints_reader r;
    int k;

    if (dict->data == NULL || c->in.streams[FMT_ROLE_CODES].data == NULL ||
        c->in.streams[FMT_ROLE_VALUES].len != 0)
        return base_fail(c->err, SHARD_ECORRUPT, "a dictionary is incomplete");
    if (dict->encoding != FMT_ENC_PLAIN)
        return fmt_fail_encoding(dict->encoding, dict->role, c->err);
    if (dict->size != c->size ||
        dict->len != (uint64_t)dict->count * c->size)
        return base_fail(c->err, SHARD_ECORRUPT, "dictionary of %" PRIu32 " values in %" PRIu32
                         " bytes", dict->count, dict->len);
    k = fmt_ints_open(&r, &c->in.streams[FMT_ROLE_CODES], sizeof(uint32_t), true, false,
                      (size_t)n, c->err);
    while (k >= 0 && r.left) {
        k = codes_next(&r, dict->count, codes, c->err);
        if (k >= 0) {
            gather(dict->data, codes, k, c->size, dst);
            dst += (size_t)k * c->size;
        }
    }
    return k < 0 ? k : 0;
}

/* n values of VALUES, by themselves or through a dictionary. */
static int
decode_numbers(struct decoding *c, uint64_t n, uint8_t *dst)
{
    const struct fmt_stream_in *s = &c->in.streams[FMT_ROLE_VALUES];

    if (s->encoding != FMT_ENC_DICT) {
        if (c->in.streams[FMT_ROLE_CODES].data || c->in.streams[FMT_ROLE_DICT_VALUES].data)
            return base_fail(c->err, SHARD_ECORRUPT, "a dictionary that nothing refers to");
        return fmt_ints_all(s, c->size, c->is.number != FMT_NUMBER_FLOAT,
                            c->is.number == FMT_NUMBER_SIGNED, (size_t)n, dst, c->err);
    }
    if (s->count != n || s->size != c->size)
        return base_fail(c->err, SHARD_ECORRUPT, "%" PRIu32 " values of %u bytes", s->count,
                         s->size);
    return decode_number_dict(c, n, dst);
}

/* A plain stream that the array can point at: the only page, decompressed, aligned. */
static uint8_t *
in_place(const struct decoding *c, const struct fmt_stream_in *s, uint64_t n)
{
    const uint8_t *page = c->d->page.data;

    if (!c->one_page || n < c->page_values || c->page->codec == FMT_CODEC_NONE ||
        s->encoding != FMT_ENC_PLAIN || s->size != c->size || s->count != n || s->len != n * c->size ||
        (uintptr_t)s->data % FMT_ALIGN || c->in.streams[FMT_ROLE_CODES].data ||
        c->in.streams[FMT_ROLE_DICT_VALUES].data)
        return NULL;
    return c->d->page.data + (s->data - page);
}

/* n values of VALUES to where they belong; *ret says where that is. */
static int
place_numbers(struct decoding *c, uint64_t n, uint8_t **ret)
{
    uint8_t *dst = in_place(c, &c->in.streams[FMT_ROLE_VALUES], n);

    if (dst) {
        c->in_place = dst;
        *ret = dst;
        return 0;
    }
    dst = values_at(c);
    if (dst == NULL)
        return -ENOMEM;
    *ret = dst;
    return decode_numbers(c, n, dst);
}

static int
decode_bools(struct decoding *c)
{
    const struct fmt_stream_in *s = &c->in.streams[FMT_ROLE_VALUES];
    const uint32_t n = c->present;
    uint8_t *dst = values_at(c);

    if (dst == NULL)
        return -ENOMEM;
    if (s->encoding != FMT_ENC_CONST && s->encoding != FMT_ENC_PLAIN)
        return fmt_fail_encoding(s->encoding, s->role, c->err);
    if (s->count != n || s->size != 0)
        return base_fail(c->err, SHARD_ECORRUPT, "%" PRIu32 " bits", s->count);
    if (s->encoding == FMT_ENC_CONST && s->len == 1 && *s->data <= 1) {
        if (page_has_nulls(c) && *s->data)
            fmt_bits_append(dst, c->row, c->d->validity.data, c->row, c->in.n_rows);
        else
            fmt_bits_append_same(dst, c->row, *s->data, c->in.n_rows);
    } else if (s->encoding == FMT_ENC_PLAIN && s->len == fmt_bits_bytes(n) &&
               fmt_bits_tail_clear(s->data, n)) {
        if (page_has_nulls(c)) {
            fmt_bits_append_same(dst, c->row, false, c->in.n_rows);
            fmt_nulls_spread_bits(c->d->validity.data, c->row, s->data, c->in.n_rows, dst);
        } else {
            fmt_bits_append(dst, c->row, s->data, 0, n);
        }
    } else {
        return base_fail(c->err, SHARD_ECORRUPT, "bits are broken");
    }
    return 0;
}

static int
decode_fixed(struct decoding *c)
{
    const uint32_t dict =
        c->is.kind == FMT_KIND_BIT ? 0 : ROLE(DICT_VALUES) | ROLE(CODES);
    uint8_t *values;
    int r = fmt_page_expect(&c->in, ROLE(VALUES), ROLE(VALIDITY) | dict, c->err);

    if (r < 0)
        return r;
    if (c->is.kind == FMT_KIND_BIT)
        return decode_bools(c);
    r = place_numbers(c, c->present * row_values(c), &values);
    if (r == 0)
        spread(c, values, (size_t)row_values(c) * c->size);
    return r;
}

/* -------------------------------------------------------------------------- out-of-line values */

struct overflow {
    uint32_t row, first, n_pieces, reserved;
    uint64_t len; /* bytes */
};

static struct overflow
overflow_load(const struct decoding *c, uint32_t i)
{
    const uint8_t *p = c->in.streams[FMT_ROLE_OVERFLOW].data + (size_t)i * FMT_OVERFLOW_ENTRY;

    return (struct overflow){.row = base_load_le32(p),
                             .first = base_load_le32(p + 4),
                             .len = base_load_le64(p + 8),
                             .n_pieces = base_load_le32(p + 16),
                             .reserved = base_load_le32(p + 20)};
}

static uint32_t
overflow_count(const struct decoding *c)
{
    const struct fmt_stream_in *s = &c->in.streams[FMT_ROLE_OVERFLOW];

    return s->data ? s->count : 0;
}

/* Bytes of one element in values and indices together; what those of an out-of-line value are a
 * multiple of. */
static size_t
elem_bytes(const struct decoding *c)
{
    return c->size + (c->is.kind == FMT_KIND_SPARSE ? sizeof(uint32_t) : 0);
}

/* Whether the value stays out of the array. */
static bool
is_far(const struct decoding *c, const struct overflow *o)
{
    return c->d->far_bytes && c->is.kind == FMT_KIND_BYTES && o->len > c->d->far_bytes;
}

/* One entry: a row that is there, whose pieces exist and have its bytes. */
static int
overflow_check(const struct decoding *c, const struct overflow *o, int64_t last_row)
{
    const uint32_t first = c->f->piece_first[c->group];
    const uint32_t n = c->f->piece_first[c->group + 1] - first;
    uint64_t len = 0;

    if (o->reserved)
        return base_fail(c->err, SHARD_EUNSUPPORTED, "out-of-line value with reserved bits" FMT_NEWER);
    if (o->row >= c->in.n_rows || o->row <= last_row || row_is_null(c, o->row))
        return base_fail(c->err, SHARD_ECORRUPT, "out-of-line value of row %" PRIu32, o->row);
    if (o->first > n || o->n_pieces > n - o->first)
        return base_fail(c->err, SHARD_ECORRUPT, "piece %" PRIu32 " of %" PRIu32, o->first, n);
    for (uint32_t i = 0; i < o->n_pieces; i++)
        len += c->f->pieces[first + o->first + i].raw_len;
    if (len != o->len || (len > FMT_CHUNK_DATA_MAX && !is_far(c, o)) || len % elem_bytes(c))
        return base_fail(c->err, SHARD_ECORRUPT,
                         "out-of-line value of %" PRIu64 " bytes in pieces of %" PRIu64, o->len,
                         len);
    return 0;
}

static int
overflow_stream_check(const struct decoding *c)
{
    const struct fmt_stream_in *s = &c->in.streams[FMT_ROLE_OVERFLOW];

    if (s->data && s->encoding != FMT_ENC_PLAIN)
        return fmt_fail_encoding(s->encoding, s->role, c->err);
    if (s->data && (s->size != FMT_OVERFLOW_ENTRY ||
                    s->len != (uint64_t)s->count * FMT_OVERFLOW_ENTRY))
        return base_fail(c->err, SHARD_ECORRUPT, "%" PRIu32 " out-of-line values in %" PRIu32
                         " bytes", s->count, s->len);
    return 0;
}

/* Put the lengths of out-of-line rows into lens, where they must be 0. *ret: their elements. */
static int
overflow_lengths(const struct decoding *c, uint32_t *lens, uint64_t *ret)
{
    int64_t last_row = -1;
    uint64_t sum = 0;
    int r = overflow_stream_check(c);

    if (r < 0)
        return r;
    for (uint32_t i = 0; i < overflow_count(c); i++) {
        const struct overflow o = overflow_load(c, i);

        r = overflow_check(c, &o, last_row);
        if (r < 0)
            return r;
        if (lens[o.row] != 0)
            return base_fail(c->err, SHARD_ECORRUPT, "row %" PRIu32 " has two values", o.row);
        if (!is_far(c, &o))
            lens[o.row] = (uint32_t)(o.len / elem_bytes(c));
        sum += lens[o.row];
        last_row = o.row;
    }
    *ret = sum;
    return 0;
}

/* Read, verify and unpack a piece into d->piece. */
static int
piece_fetch(const struct decoding *c, const struct fmt_page *piece)
{
    struct fmt_decoded *d = c->d;
    int r;

    if (c->read == NULL)
        return base_fail(c->err, SHARD_EUNSUPPORTED, "out-of-line values cannot be read here");
    if (room(c, &d->stored, piece->stored_len) < 0)
        return -ENOMEM;
    r = c->read(c->read_arg, piece->off, d->stored.data, piece->stored_len, c->err);
    return r < 0 ? r : fmt_page_unpack(piece, d->stored.data, c->codec, NULL, &d->piece, c->err);
}

/* Bytes that go to one place, then to another: a sparse vector's indices and values. */
struct sink {
    uint8_t *to[2];
    size_t left[2];
};

static void
sink_put(struct sink *s, const uint8_t *data, size_t len)
{
    for (int i = 0; i < 2; i++) {
        const size_t k = BASE_MIN(len, s->left[i]);

        if (k == 0)
            continue;
        memcpy(s->to[i], data, k);
        s->to[i] += k;
        s->left[i] -= k;
        data += k;
        len -= k;
    }
}

static int
overflow_fetch(const struct decoding *c, const struct overflow *o, struct sink *s)
{
    const uint32_t first = c->f->piece_first[c->group] + o->first;
    int r = 0;

    for (uint32_t i = 0; i < o->n_pieces && r == 0; i++) {
        r = piece_fetch(c, &c->f->pieces[first + i]);
        if (r == 0)
            sink_put(s, c->d->piece.data, c->d->piece.len);
    }
    return r;
}

/* Elements of inline rows stand packed at the end of the page's part of an array; move those of
 * rows [from, to) to where they belong. */
static void
move_inline(const int32_t *ends, uint64_t value0, uint32_t from, uint32_t to, size_t size,
            uint8_t *base, uint8_t **inlined)
{
    const uint64_t a = (uint64_t)ends[(int64_t)from - 1] - value0;
    const uint64_t b = (uint64_t)ends[(int64_t)to - 1] - value0;
    const size_t len = (size_t)(b - a) * size;

    memmove(base + a * size, *inlined, len);
    *inlined += len;
}

/* Interleave inline elements with out-of-line ones. values and indices (NULL but for sparse) are
 * the page's parts, their last n_inline elements being the inline ones. The places to write to never
 * overtake those still to be read: what is between them is the out-of-line rows still to come. */
static int
overflow_merge(const struct decoding *c, uint8_t *values, uint8_t *indices, uint64_t n_inline)
{
    const int32_t *ends = (const int32_t *)(const void *)c->d->offsets.data + c->row + 1;
    uint8_t *from = values + (c->page_values - n_inline) * c->size;
    uint8_t *from_index =
        indices ? indices + (c->page_values - n_inline) * sizeof(uint32_t) : NULL;
    const uint32_t n = overflow_count(c);
    uint32_t row = 0;

    for (uint32_t i = 0; i <= n; i++) {
        const struct overflow o = i < n ? overflow_load(c, i) : (struct overflow){.row = 0};
        const uint32_t to = i < n ? o.row : c->in.n_rows;
        uint64_t at, count;
        struct sink s;
        int r;

        if (i < n && is_far(c, &o))
            continue; /* a row without elements */
        move_inline(ends, c->value, row, to, c->size, values, &from);
        if (indices)
            move_inline(ends, c->value, row, to, sizeof(uint32_t), indices, &from_index);
        if (i == n)
            break;
        at = (uint64_t)ends[(int64_t)o.row - 1] - c->value;
        count = o.len / elem_bytes(c);
        s = indices ? (struct sink){{indices + at * sizeof(uint32_t), values + at * c->size},
                                    {(size_t)count * sizeof(uint32_t), (size_t)count * c->size}}
                    : (struct sink){{values + at * c->size, NULL}, {(size_t)count * c->size, 0}};
        r = overflow_fetch(c, &o, &s);
        if (r < 0)
            return r;
        row = o.row + 1;
    }
    return 0;
}

/* -------------------------------------------------------------------- lengths become offsets */

/* Turn n lengths, null rows' zeros included, into the offsets behind start. They must add up to
 * sum. */
static int
lengths_sum(const struct decoding *c, uint32_t *lens, uint64_t n, uint64_t start, uint64_t sum)
{
    int32_t *ends = (int32_t *)(void *)lens;
    uint64_t end = start, limit = start + sum;

    for (uint64_t i = 0; i < n; i++) {
        end += lens[i];
        if (end > limit)
            return base_fail(c->err, SHARD_ECORRUPT, "lengths exceed the %" PRIu64 " of the page",
                             sum);
        ends[i] = (int32_t)end;
    }
    if (end != limit)
        return base_fail(c->err, SHARD_ECORRUPT, "lengths add up to %" PRIu64 " instead of %" PRIu64,
                         end - start, sum);
    return 0;
}

/* LENGTHS into the page's part of the offsets, which are not summed up yet. */
static int
take_lengths(struct decoding *c)
{
    uint32_t *lens = (uint32_t *)(void *)c->d->offsets.data + c->row + 1;
    int r = fmt_ints_all(&c->in.streams[FMT_ROLE_LENGTHS], sizeof(*lens), true, false, c->present,
                         lens, c->err);

    if (r == 0)
        spread(c, lens, sizeof(*lens));
    return r;
}

/* LENGTHS and OVERFLOW into the page's part of the offsets. *ret_inline: elements in the page. */
static int
decode_lengths(struct decoding *c, uint64_t *ret_inline)
{
    uint32_t *lens = (uint32_t *)(void *)c->d->offsets.data + c->row + 1;
    uint64_t n_over = 0;
    int r = take_lengths(c);

    if (r == 0)
        r = overflow_lengths(c, lens, &n_over);
    if (r < 0)
        return r;
    if (n_over > c->page_values)
        return base_fail(c->err, SHARD_ECORRUPT, "out-of-line values exceed the page");
    *ret_inline = c->page_values - n_over;
    return lengths_sum(c, lens, c->in.n_rows, c->value, c->page_values);
}

/* ------------------------------------------------------------------------------------ strings */

/* Offsets of the dictionary's entries into d->dict_offsets. n_strings: of the page. */
static int
decode_dict_lengths(struct decoding *c, uint64_t n_strings)
{
    const struct fmt_stream_in *lengths = &c->in.streams[FMT_ROLE_DICT_LENGTHS];
    const struct fmt_stream_in *bytes = &c->in.streams[FMT_ROLE_DICT_BYTES];
    struct base_buf *b = &c->d->dict_offsets;
    const uint32_t n = lengths->count;
    uint64_t end = 0;
    uint32_t *offsets;
    int r;

    if (n > n_strings)
        return base_fail(c->err, SHARD_ECORRUPT, "dictionary of %" PRIu32 " for %" PRIu64 " strings",
                         n, n_strings);
    if (bytes->encoding != FMT_ENC_PLAIN)
        return fmt_fail_encoding(bytes->encoding, bytes->role, c->err);
    if (bytes->size != 1 || bytes->count != bytes->len)
        return base_fail(c->err, SHARD_ECORRUPT, "dictionary bytes are broken");
    if (room(c, b, ((uint64_t)n + 1) * sizeof(*offsets)) < 0)
        return -ENOMEM;
    offsets = (uint32_t *)(void *)b->data;
    offsets[0] = 0;
    r = fmt_ints_all(lengths, sizeof(*offsets), true, false, n, offsets + 1, c->err);
    for (uint32_t i = 1; i <= n && r == 0; i++) {
        end += offsets[i];
        if (end > bytes->len)
            r = base_fail(c->err, SHARD_ECORRUPT, "dictionary entries exceed its bytes");
        offsets[i] = (uint32_t)end;
    }
    if (r == 0 && end != bytes->len)
        r = base_fail(c->err, SHARD_ECORRUPT, "dictionary bytes that no entry has");
    return r;
}

/* Lengths of n strings, by their codes. */
static int
dict_lengths(struct decoding *c, uint64_t n, uint32_t *lens)
{
    const uint32_t *entry = (const uint32_t *)(const void *)c->d->dict_offsets.data;
    const uint32_t n_entries = c->in.streams[FMT_ROLE_DICT_LENGTHS].count;
    uint32_t codes[FMT_FOR_BLOCK];
    struct fmt_ints_reader rd;
    int r = fmt_ints_open(&rd, &c->in.streams[FMT_ROLE_CODES], sizeof(uint32_t), true, false,
                          (size_t)n, c->err);

    while (r >= 0 && rd.left) {
        r = codes_next(&rd, n_entries, codes, c->err);
        for (int i = 0; i < r; i++)
            *lens++ = entry[codes[i] + 1] - entry[codes[i]];
    }
    return r < 0 ? r : 0;
}

/* Offsets of the rows of the page, by their codes. */
static int
dict_offsets(struct decoding *c)
{
    uint32_t *lens = (uint32_t *)(void *)c->d->offsets.data + c->row + 1;
    int r = dict_lengths(c, c->present, lens);

    if (r < 0)
        return r;
    spread(c, lens, sizeof(*lens));
    return lengths_sum(c, lens, c->in.n_rows, c->value, c->page_values);
}

/* Copy len bytes, SHORT_COPY at a time where there is room to read so many. What is written behind
 * len is overwritten by the next row, or lies in the buffer's slack. */
static inline void
copy_short(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t *src_end)
{
    if (len <= SHORT_COPY && SHORT_COPY <= (size_t)(src_end - src))
        memcpy(dst, src, SHORT_COPY);
    else
        memcpy(dst, src, len);
}

/* The bytes of n strings, by their codes. Their offsets are done, so codes and room are known to be
 * good. */
static int
dict_copy(struct decoding *c, uint64_t n, uint8_t *dst)
{
    const uint32_t *entry = (const uint32_t *)(const void *)c->d->dict_offsets.data;
    const uint8_t *dict = c->in.streams[FMT_ROLE_DICT_BYTES].data;
    uint32_t codes[FMT_FOR_BLOCK];
    struct fmt_ints_reader rd;
    int r = fmt_ints_open(&rd, &c->in.streams[FMT_ROLE_CODES], sizeof(uint32_t), true, false,
                          (size_t)n, c->err);

    while (r >= 0 && rd.left) {
        r = fmt_ints_next(&rd, codes, c->err);
        for (int i = 0; i < r; i++) {
            const uint32_t from = entry[codes[i]], len = entry[codes[i] + 1] - from;

            copy_short(dst, dict + from, len, c->in.end);
            dst += len;
        }
    }
    return r < 0 ? r : 0;
}

/* BYTES of a page with a dictionary: none, but n in all that the codes give. */
static int
dict_bytes_expect(const struct decoding *c, uint64_t n)
{
    const struct fmt_stream_in *s = &c->in.streams[FMT_ROLE_BYTES];

    if (s->count != n || s->len != 0)
        return base_fail(c->err, SHARD_ECORRUPT, "%" PRIu32 " bytes instead of %" PRIu64, s->count,
                         n);
    return 0;
}

static int
decode_string_dict(struct decoding *c)
{
    uint8_t *dst;
    int r = fmt_page_expect(&c->in,
                            ROLE(BYTES) | ROLE(DICT_LENGTHS) | ROLE(DICT_BYTES) | ROLE(CODES),
                            ROLE(VALIDITY), c->err);

    if (r < 0)
        return r;
    r = decode_dict_lengths(c, c->present);
    if (r == 0)
        r = dict_bytes_expect(c, c->page_values);
    if (r == 0)
        r = dict_offsets(c);
    if (r < 0)
        return r;
    dst = values_at(c);
    return dst == NULL ? -ENOMEM : dict_copy(c, c->present, dst);
}

/* BYTES as they are: n of them, PLAIN. */
static int
bytes_expect(const struct decoding *c, uint64_t n)
{
    const struct fmt_stream_in *s = &c->in.streams[FMT_ROLE_BYTES];

    if (s->encoding != FMT_ENC_PLAIN)
        return fmt_fail_encoding(s->encoding, s->role, c->err);
    if (s->size != 1 || s->count != s->len || s->len != n)
        return base_fail(c->err, SHARD_ECORRUPT, "%" PRIu32 " bytes instead of %" PRIu64, s->len,
                         n);
    return 0;
}

static int
decode_strings(struct decoding *c)
{
    const struct fmt_stream_in *s = &c->in.streams[FMT_ROLE_BYTES];
    uint64_t n_inline;
    uint8_t *dst;
    int r;

    if (s->data && s->encoding == FMT_ENC_DICT)
        return decode_string_dict(c);
    r = fmt_page_expect(&c->in, ROLE(LENGTHS) | ROLE(BYTES), ROLE(VALIDITY) | ROLE(OVERFLOW),
                        c->err);
    if (r == 0)
        r = decode_lengths(c, &n_inline);
    if (r == 0)
        r = bytes_expect(c, n_inline);
    if (r < 0)
        return r;
    c->in_place = in_place(c, s, c->page_values);
    if (c->in_place)
        return 0;
    dst = values_at(c);
    if (dst == NULL)
        return -ENOMEM;
    memcpy(dst + (c->page_values - n_inline), s->data, s->len);
    return overflow_count(c) ? overflow_merge(c, dst, NULL, n_inline) : 0;
}

/* -------------------------------------------------------------------------- lists and sparse */

static int
decode_indices(struct decoding *c, uint64_t n_inline, uint8_t **ret)
{
    struct base_buf *b = &c->d->indices;
    uint8_t *dst;

    if (b->len == 0 && room(c, b, c->n_values * sizeof(uint32_t)) < 0)
        return -ENOMEM;
    b->len = (size_t)c->n_values * sizeof(uint32_t);
    *ret = b->data + c->value * sizeof(uint32_t);
    dst = *ret + (c->page_values - n_inline) * sizeof(uint32_t);
    return fmt_ints_all(&c->in.streams[FMT_ROLE_INDICES], sizeof(uint32_t), true, false,
                        (size_t)n_inline, dst, c->err);
}

/* The indices of every row ascend. */
static int
check_indices(const struct decoding *c)
{
    const int32_t *offsets = (const int32_t *)(const void *)c->d->offsets.data + c->row;
    const uint32_t *indices = (const uint32_t *)(const void *)c->d->indices.data;

    for (uint32_t row = 0; row < c->in.n_rows; row++)
        for (int32_t i = offsets[row] + 1; i < offsets[row + 1]; i++)
            if (indices[i - 1] >= indices[i])
                return base_fail(c->err, SHARD_ECORRUPT, "indices of row %" PRIu32
                                 " do not ascend", row);
    return 0;
}

static int
decode_lists(struct decoding *c)
{
    const bool sparse = c->is.kind == FMT_KIND_SPARSE;
    uint8_t *values, *indices = NULL;
    uint64_t n_inline;
    int r = fmt_page_expect(&c->in,
                            ROLE(LENGTHS) | ROLE(VALUES) | (sparse ? ROLE(INDICES) : 0),
                            ROLE(VALIDITY) | ROLE(DICT_VALUES) | ROLE(CODES) | ROLE(OVERFLOW),
                            c->err);

    if (r == 0)
        r = decode_lengths(c, &n_inline);
    if (r == 0 && sparse)
        r = decode_indices(c, n_inline, &indices);
    if (r < 0)
        return r;
    if (overflow_count(c) == 0) {
        r = place_numbers(c, n_inline, &values);
    } else {
        values = values_at(c);
        if (values == NULL)
            return -ENOMEM;
        r = decode_numbers(c, n_inline, values + (c->page_values - n_inline) * c->size);
        if (r == 0)
            r = overflow_merge(c, values, indices, n_inline);
    }
    return r == 0 && sparse ? check_indices(c) : r;
}

/* ----------------------------------------------------------------------------- lists of strings */

/* Room for the page's part of the lengths of strings, behind the 0 of the first offset; NULL on lack
 * of memory. Of a single page it is known how many there are; else there are no more than all the
 * chunk's bytes leave room for. */
static uint32_t *
elem_lengths_at(struct decoding *c)
{
    struct base_buf *b = &c->d->elem_offsets;
    const uint64_t most = c->one_page ? c->page_values * sizeof(int32_t) : c->n_bytes;

    if (c->row == 0) {
        if (room(c, b, most + sizeof(int32_t)) < 0)
            return NULL;
        memset(b->data, 0, sizeof(int32_t));
    }
    return (uint32_t *)(void *)b->data + c->value + 1;
}

/* Where the page's bytes go; NULL on lack of memory. */
static uint8_t *
elem_bytes_at(struct decoding *c, uint64_t page_bytes)
{
    struct base_buf *b = &c->d->values;
    const uint64_t len = c->one_page ? page_bytes : c->n_bytes;

    if (c->row == 0 && room(c, b, len) < 0)
        return NULL;
    b->len = (size_t)len;
    return b->data + c->byte;
}

/* LENGTHS, and how many strings and bytes the page has with and without out-of-line rows, whose
 * lengths are theirs, too. */
struct strings_count {
    uint64_t n_inline, bytes, bytes_inline; /* strings; bytes of strings */
};

static int
count_strings(struct decoding *c, struct strings_count *ret)
{
    uint32_t *lens = (uint32_t *)(void *)c->d->offsets.data + c->row + 1;
    uint64_t n = 0, n_over = 0, over = 0, left = c->page->data_len;
    int64_t last_row = -1;
    int r = take_lengths(c);

    if (r == 0)
        r = overflow_stream_check(c);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < c->in.n_rows; i++)
        n += lens[i];
    left -= (uint64_t)c->in.n_rows * sizeof(int32_t); /* count_values() has looked at that */
    if (n > left / sizeof(int32_t))
        return base_fail(c->err, SHARD_ECORRUPT, "%" PRIu64 " strings in %" PRIu64 " bytes of data",
                         n, c->page->data_len);
    left -= n * sizeof(int32_t);
    for (uint32_t i = 0; i < overflow_count(c); i++) {
        const struct overflow o = overflow_load(c, i);

        r = overflow_check(c, &o, last_row);
        if (r < 0)
            return r;
        if (o.len / sizeof(uint32_t) < lens[o.row] ||
            o.len - lens[o.row] * sizeof(uint32_t) > left - over)
            return base_fail(c->err, SHARD_ECORRUPT, "%" PRIu32 " strings of row %" PRIu32
                             " in %" PRIu64 " bytes", lens[o.row], o.row, o.len);
        n_over += lens[o.row];
        over += o.len - lens[o.row] * sizeof(uint32_t);
        last_row = o.row;
    }
    c->page_values = n;
    c->n_values += n;
    *ret = (struct strings_count){n - n_over, left, left - over};
    return lengths_sum(c, lens, c->in.n_rows, c->value, n);
}

static uint64_t
sum_lengths(const uint32_t *lens, uint64_t n)
{
    uint64_t sum = 0;

    for (uint64_t i = 0; i < n; i++)
        sum += lens[i];
    return sum;
}

/* As overflow_merge(): lengths and bytes of inline strings stand packed at the end of the page's
 * parts, and both move to the front while the others are put between them. */
static int
strings_merge(const struct decoding *c, const struct strings_count *count, uint32_t *lens,
              uint8_t *bytes)
{
    const int32_t *ends = (const int32_t *)(const void *)c->d->offsets.data + c->row + 1;
    uint32_t *from_lens = lens + (c->page_values - count->n_inline);
    uint8_t *from = bytes + (count->bytes - count->bytes_inline);
    const uint32_t n = overflow_count(c);
    uint32_t row = 0;
    int r = 0;

    for (uint32_t i = 0; i <= n && r == 0; i++) {
        const struct overflow o = i < n ? overflow_load(c, i) : (struct overflow){.row = 0};
        const uint32_t to = i < n ? o.row : c->in.n_rows;
        const uint64_t k = (uint64_t)(ends[(int64_t)to - 1] - ends[(int64_t)row - 1]);
        const uint64_t len = sum_lengths(from_lens, k);
        uint64_t n_over, over;
        struct sink s;

        memmove(lens, from_lens, k * sizeof(*lens));
        memmove(bytes, from, len);
        lens += k;
        from_lens += k;
        bytes += len;
        from += len;
        if (i == n)
            break;
        n_over = (uint64_t)(ends[o.row] - ends[(int64_t)o.row - 1]);
        over = o.len - n_over * sizeof(*lens);
        s = (struct sink){{(uint8_t *)lens, bytes}, {n_over * sizeof(*lens), over}};
        r = overflow_fetch(c, &o, &s);
        if (r == 0 && sum_lengths(lens, n_over) != over)
            r = base_fail(c->err, SHARD_ECORRUPT, "lengths of the strings of row %" PRIu32
                          " do not add up to %" PRIu64, o.row, over);
        lens += n_over;
        bytes += over;
        row = o.row + 1;
    }
    return r;
}

static int
decode_strings_plain(struct decoding *c, const struct strings_count *count)
{
    const struct fmt_stream_in *s = &c->in.streams[FMT_ROLE_BYTES];
    uint32_t *lens = elem_lengths_at(c), *inlined;
    uint8_t *dst;
    int r;

    if (lens == NULL)
        return -ENOMEM;
    inlined = lens + (c->page_values - count->n_inline);
    r = fmt_ints_all(&c->in.streams[FMT_ROLE_ELEM_LENGTHS], sizeof(*lens), true, false,
                     (size_t)count->n_inline, inlined, c->err);
    if (r == 0)
        r = bytes_expect(c, count->bytes_inline);
    if (r < 0)
        return r;
    if (sum_lengths(inlined, count->n_inline) != count->bytes_inline)
        return base_fail(c->err, SHARD_ECORRUPT, "lengths of strings do not add up to %" PRIu64,
                         count->bytes_inline);
    c->in_place = overflow_count(c) ? NULL : in_place(c, s, count->bytes);
    if (c->in_place == NULL) {
        dst = elem_bytes_at(c, count->bytes);
        if (dst == NULL)
            return -ENOMEM;
        memcpy(dst + (count->bytes - count->bytes_inline), s->data, s->len);
        if (overflow_count(c))
            r = strings_merge(c, count, lens, dst);
    }
    return r < 0 ? r : lengths_sum(c, lens, c->page_values, c->byte, count->bytes);
}

static int
decode_strings_dict(struct decoding *c, const struct strings_count *count)
{
    uint32_t *lens = elem_lengths_at(c);
    uint8_t *dst;
    int r;

    if (lens == NULL)
        return -ENOMEM;
    r = decode_dict_lengths(c, c->page_values);
    if (r == 0)
        r = dict_bytes_expect(c, count->bytes);
    if (r == 0)
        r = dict_lengths(c, c->page_values, lens);
    if (r == 0)
        r = lengths_sum(c, lens, c->page_values, c->byte, count->bytes);
    if (r < 0)
        return r;
    dst = elem_bytes_at(c, count->bytes);
    return dst == NULL ? -ENOMEM : dict_copy(c, c->page_values, dst);
}

static int
decode_string_lists(struct decoding *c)
{
    const struct fmt_stream_in *s = &c->in.streams[FMT_ROLE_BYTES];
    const bool dict = s->data && s->encoding == FMT_ENC_DICT;
    struct strings_count count = {0};
    int r = dict ? fmt_page_expect(&c->in, ROLE(LENGTHS) | ROLE(BYTES) | ROLE(DICT_LENGTHS) |
                                               ROLE(DICT_BYTES) | ROLE(CODES),
                                   ROLE(VALIDITY), c->err)
                 : fmt_page_expect(&c->in, ROLE(LENGTHS) | ROLE(BYTES) | ROLE(ELEM_LENGTHS),
                                   ROLE(VALIDITY) | ROLE(OVERFLOW), c->err);

    if (r == 0)
        r = count_strings(c, &count);
    if (r == 0)
        r = dict ? decode_strings_dict(c, &count) : decode_strings_plain(c, &count);
    if (r == 0)
        c->byte += count.bytes;
    return r;
}

/* ------------------------------------------------------------------------------------- tensors */

/* Rows that are too large for a page: each is out of line, or null. */
static int
decode_large_tensors(struct decoding *c)
{
    const uint64_t len = (uint64_t)c->width * c->size;
    uint8_t *dst = values_at(c);
    int64_t last_row = -1;
    uint32_t next = 0;
    int r = fmt_page_expect(&c->in, 0, ROLE(VALIDITY) | ROLE(OVERFLOW), c->err);

    if (r == 0)
        r = overflow_stream_check(c);
    if (r == 0 && dst == NULL)
        r = -ENOMEM;
    for (uint32_t row = 0; row < c->in.n_rows && r == 0; row++, dst += len) {
        struct overflow o = {.row = UINT32_MAX};
        struct sink s = {{dst, NULL}, {(size_t)len, 0}};

        if (row_is_null(c, row)) {
            memset(dst, 0, (size_t)len);
            continue;
        }
        if (next < overflow_count(c))
            o = overflow_load(c, next++);
        if (o.row != row || o.len != len)
            return base_fail(c->err, SHARD_ECORRUPT, "row %" PRIu32 " has no %" PRIu64 " bytes", row,
                             len);
        r = overflow_check(c, &o, last_row);
        if (r == 0)
            r = overflow_fetch(c, &o, &s);
        last_row = row;
    }
    if (r == 0 && next != overflow_count(c))
        r = base_fail(c->err, SHARD_ECORRUPT, "out-of-line values of no row");
    return r;
}

static int
decode_tensors(struct decoding *c)
{
    return fmt_tensor_outside(c->width, c->size) ? decode_large_tensors(c) : decode_fixed(c);
}

/* ---------------------------------------------------------------------------------- the chunk */

/* Values in data_len raw bytes of n rows; false where they do not go up. Of lists of strings only
 * the page knows: 0. */
static bool
count_values(const struct decoding *c, uint64_t data_len, uint64_t n, uint64_t *ret)
{
    const size_t each = c->size ? elem_bytes(c) : 1;

    if (!c->is.offsets) {
        *ret = n * row_values(c);
        return data_len == *ret * each;
    }
    if (data_len < n * sizeof(int32_t))
        return false;
    data_len -= n * sizeof(int32_t);
    if (c->is.kind == FMT_KIND_STRINGS) {
        *ret = 0;
        return true;
    }
    *ret = data_len / each;
    return data_len % each == 0;
}

/* Verify, unpack and parse a page, into c->in. */
static int
page_open(struct decoding *c, const struct fmt_page *p, const uint8_t *stored)
{
    const uint8_t *raw = stored;
    int r;

    if (p->codec == FMT_CODEC_NONE) {
        r = fmt_page_verify(p, stored, c->err);
    } else {
        r = fmt_page_unpack(p, stored, c->codec, c->dict, &c->d->page, c->err);
        raw = c->d->page.data;
    }
    return r < 0 ? r : fmt_page_parse(raw, p->raw_len, p->n_rows, &c->in, c->err);
}

/* Note which values of a page stay out of the array. *ret: their bytes. */
static int
page_note_far(struct decoding *c, const struct fmt_page *p, const uint8_t *stored, uint64_t row0,
              uint64_t *ret)
{
    int r;

    *ret = 0;
    if (c->d->far_bytes == 0 || c->is.kind != FMT_KIND_BYTES || p->data_len <= c->d->far_bytes)
        return 0;
    r = page_open(c, p, stored);
    if (r == 0)
        r = overflow_stream_check(c);
    for (uint32_t i = 0; r == 0 && i < overflow_count(c); i++) {
        const struct overflow o = overflow_load(c, i);
        const struct shard_far far = {.row = row0 + o.row,
                                      .size = o.len,
                                      .first_piece = o.first,
                                      .n_pieces = o.n_pieces};

        if (!is_far(c, &o))
            continue;
        if (o.len > p->data_len - *ret)
            return base_fail(c->err, SHARD_ECORRUPT, "out-of-line values exceed the page");
        *ret += o.len;
        if (base_buf_append(&c->d->far, &far, sizeof(far)) < 0)
            return fail_memory(c);
    }
    return r;
}

/* Bytes of the far values in n rows from the row at hand on. */
static uint64_t
far_bytes(const struct decoding *c, uint32_t n)
{
    const struct shard_far *far = (const void *)c->d->far.data;
    uint64_t sum = 0;

    for (size_t i = 0; i < c->d->far.len / sizeof(*far); i++)
        if (far[i].row >= c->row && far[i].row - c->row < n)
            sum += far[i].size;
    return sum;
}

/* Verify, unpack and decode one page behind what is there. */
static int
decode_page(struct decoding *c, const uint8_t *stored)
{
    const struct fmt_page *p = c->page;
    int r;

    if (!count_values(c, p->data_len - far_bytes(c, p->n_rows), p->n_rows, &c->page_values))
        return base_fail(c->err, SHARD_ECORRUPT, "%" PRIu64 " bytes of data in %" PRIu32 " rows",
                         p->data_len, p->n_rows);
    r = page_open(c, p, stored);
    if (r == 0)
        r = decode_validity(c);
    if (r < 0)
        return r;
    switch (c->is.kind) {
    case FMT_KIND_BIT:
    case FMT_KIND_NUMBER:
        r = decode_fixed(c);
        break;
    case FMT_KIND_BYTES:
        r = decode_strings(c);
        break;
    case FMT_KIND_LIST:
    case FMT_KIND_SPARSE:
        r = decode_lists(c);
        break;
    case FMT_KIND_STRINGS:
        r = decode_string_lists(c);
        break;
    case FMT_KIND_TENSOR:
        r = decode_tensors(c);
        break;
    case FMT_KIND_UNKNOWN: /* refused before */
        break;
    }
    c->row += p->n_rows;
    c->value += c->page_values;
    return r;
}

/* What the footer says about the chunk. */
static int
decoding_begin(struct decoding *c, const struct fmt_page *pages, uint32_t n_pages,
               const uint8_t *const *stored)
{
    char name[SHARD_TYPE_NAME_MAX];
    uint64_t data_len = 0, row = 0, far;
    int r;

    c->is = fmt_field_type(c->field);
    c->size = c->is.size;
    c->width = fmt_field_width(c->field);
    c->one_page = n_pages == 1;
    forget_far(c->d);
    for (uint32_t i = 0; i < n_pages; i++) {
        r = page_note_far(c, &pages[i], stored[i], row, &far);
        if (r < 0)
            return r;
        data_len += pages[i].data_len - far;
        row += pages[i].n_rows;
    }
    if (c->is.kind == FMT_KIND_UNKNOWN)
        return base_fail(c->err, SHARD_EUNSUPPORTED, "type %s, which this build lacks" FMT_NEWER,
                         shard_field_type_name(c->field, name));
    if (data_len > FMT_CHUNK_DATA_MAX)
        return base_fail(c->err, SHARD_ELIMIT, "%" PRIu64 " bytes of data, more than an array holds",
                         data_len);
    if (!count_values(c, data_len, c->n_rows, &c->n_values))
        return base_fail(c->err, SHARD_ECORRUPT, "%" PRIu64 " bytes of data in %" PRIu64 " rows",
                         data_len, c->n_rows);
    base_buf_reset(&c->d->validity);
    base_buf_reset(&c->d->indices);
    base_buf_reset(&c->d->values);
    if (c->is.offsets) {
        c->n_bytes = data_len - c->n_rows * sizeof(int32_t);
        if (room(c, &c->d->offsets, (c->n_rows + 1) * sizeof(int32_t)) < 0)
            return -ENOMEM;
        memset(c->d->offsets.data, 0, sizeof(int32_t));
    }
    return 0;
}

static void
decoding_array(const struct decoding *c, struct shard_array *ret)
{
    static const uint8_t nothing[FMT_ALIGN] BASE_ALIGNED(FMT_ALIGN);
    const struct fmt_decoded *d = c->d;

    *ret = (struct shard_array){.type = c->field->type,
                                .elem = c->field->elem,
                                .width = c->width,
                                .n_rows = c->n_rows,
                                .n_nulls = c->n_nulls,
                                .n_values = c->n_values,
                                .validity = c->n_nulls ? d->validity.data : NULL,
                                .values = nothing};
    if (c->in_place)
        ret->values = c->in_place;
    else if (d->values.len)
        ret->values = d->values.data;
    if (c->is.offsets)
        ret->offsets = (const void *)d->offsets.data;
    if (d->far.len) {
        ret->n_far = (uint32_t)(d->far.len / sizeof(*ret->far));
        ret->far = (const void *)d->far.data;
    }
    if (c->is.kind == FMT_KIND_STRINGS)
        ret->elem_offsets = c->n_rows ? (const void *)d->elem_offsets.data : (const void *)nothing;
    if (c->is.kind == FMT_KIND_SPARSE)
        ret->indices = d->indices.len ? (const void *)d->indices.data : (const void *)nothing;
}

int
fmt_pages_decode(const struct fmt_footer *f, uint32_t group, uint32_t column, uint32_t first,
                 uint32_t n_pages, const uint8_t *const *stored, struct base_codec *codec,
                 fmt_read_fn read, void *read_arg, const char *file, struct fmt_decoded *d,
                 struct shard_array *ret_array, struct shard_error *err)
{
    const size_t chunk = (size_t)group * f->n_columns + column;
    const struct fmt_page *pages = f->pages + f->chunk_first[chunk] + first;
    struct decoding c = {.f = f,
                         .field = &f->schema.fields[column],
                         .group = group,
                         .d = d,
                         .codec = codec,
                         .dict = f->zdicts.of ? f->zdicts.of[column] : NULL,
                         .read = read,
                         .read_arg = read_arg,
                         .err = err};
    uint32_t i = 0;
    int r;

    for (uint32_t k = 0; k < n_pages; k++)
        c.n_rows += pages[k].n_rows;
    r = decoding_begin(&c, pages, n_pages, stored);
    for (; i < n_pages && r == 0; i++) {
        c.page = &pages[i];
        r = decode_page(&c, stored[i]);
    }
    if (r < 0)
        return base_fail_in(err, r, "%s: row group %" PRIu32 ", column %" PRIu32 " (%s), page %"
                            PRIu32, file, group, column, c.field->name, first + (i ? i - 1 : 0));
    decoding_array(&c, ret_array);
    return 0;
}

int
fmt_page_decode_alone(const struct fmt_page *page, const struct shard_field *field,
                      const uint8_t *stored, struct base_codec *codec, struct fmt_decoded *d,
                      struct shard_array *ret_array, struct shard_error *err)
{
    struct decoding c = {.field = field,
                         .d = d,
                         .codec = codec,
                         .err = err,
                         .n_rows = page->n_rows,
                         .page = page};
    int r = decoding_begin(&c, page, 1, &stored);

    if (r == 0)
        r = decode_page(&c, stored);
    if (r == 0)
        decoding_array(&c, ret_array);
    return r;
}

int
fmt_chunk_decode(const struct fmt_footer *f, uint32_t group, uint32_t column,
                 const uint8_t *const *stored, struct base_codec *codec, fmt_read_fn read,
                 void *read_arg, const char *file, struct fmt_decoded *d,
                 struct shard_array *ret_array, struct shard_error *err)
{
    const size_t chunk = (size_t)group * f->n_columns + column;

    return fmt_pages_decode(f, group, column, 0, f->chunk_first[chunk + 1] - f->chunk_first[chunk],
                            stored, codec, read, read_arg, file, d, ret_array, err);
}

/* Bytes of the buffers of a struct fmt_decoded, by what makes them large; far values aside. */
struct decoded_parts {
    uint64_t page, rows, dict, values, pieces;
};

/* What pages [first, first + n) of the chunk need at most. */
static struct decoded_parts
parts_needed(const struct fmt_footer *f, uint32_t group, uint32_t column, uint32_t first, uint32_t n)
{
    const struct fmt_page *pages =
        f->pages + f->chunk_first[(size_t)group * f->n_columns + column] + first;
    const struct fmt_type is = fmt_field_type(&f->schema.fields[column]);
    uint64_t raw = 0, data = 0, pieces = 0, dict = 0, n_rows = 0, offsets;
    bool out_of_line = false;

    for (uint32_t i = 0; i < n; i++) {
        n_rows += pages[i].n_rows;
        raw = BASE_MAX(raw, pages[i].raw_len);
        data += pages[i].data_len;
        if (is.kind == FMT_KIND_STRINGS) /* 4 bytes per element, and so per entry of a dictionary */
            dict = BASE_MAX(dict, pages[i].data_len);
        out_of_line |= pages[i].data_len > FMT_INLINE_MAX; /* as one such value is longer */
    }
    data = BASE_MIN(data, FMT_CHUNK_DATA_MAX); /* more is refused */
    if (n > 1 && is.kind == FMT_KIND_STRINGS)
        data *= 2; /* how much of it is lengths shows only later: either has room for all */
    if (out_of_line && f->piece_first[group + 1] > f->piece_first[group])
        pieces = 2 * (uint64_t)FMT_INLINE_MAX;
    if (dict)
        dict = base_buf_round(BASE_MIN(dict, FMT_CHUNK_DATA_MAX) + sizeof(uint32_t));
    offsets = is.offsets ? BASE_MIN(n_rows * sizeof(int32_t), data) : 0;
    /* Rows: offsets and validity. Values: with indices and offsets of elements. */
    return (struct decoded_parts){.page = base_buf_round(raw),
                                  .rows = offsets + n_rows / 8,
                                  .dict = dict + (n_rows + 2) * sizeof(uint32_t),
                                  .values = base_buf_round(data) - offsets,
                                  .pieces = pieces};
}

static uint64_t
parts_sum(const struct decoded_parts *p)
{
    return p->page + p->rows + p->dict + p->values + p->pieces +
           8 * (uint64_t)(2 * BASE_BUF_SLACK) + sizeof(struct fmt_decoded);
}

uint64_t
fmt_decoded_after(const struct fmt_decoded *d, const struct fmt_footer *f, uint32_t group,
                  uint32_t column, bool in_page)
{
    const size_t chunk = (size_t)group * f->n_columns + column;
    struct decoded_parts p = parts_needed(f, group, column, 0,
                                          f->chunk_first[chunk + 1] - f->chunk_first[chunk]);

    if (in_page)
        p.values = 0;
    if (d) {
        p.page = BASE_MAX(p.page, d->page.cap);
        p.rows = BASE_MAX(p.rows, (uint64_t)d->offsets.cap + d->validity.cap);
        p.dict = BASE_MAX(p.dict, d->dict_offsets.cap);
        p.values = BASE_MAX(p.values,
                            (uint64_t)d->values.cap + d->indices.cap + d->elem_offsets.cap);
        p.pieces = BASE_MAX(p.pieces, (uint64_t)d->piece.cap + d->stored.cap);
    }
    return parts_sum(&p);
}

uint64_t
fmt_page_decoded_bound(const struct fmt_footer *f, uint32_t group, uint32_t column, uint32_t page)
{
    const struct decoded_parts p = parts_needed(f, group, column, page, 1);

    return parts_sum(&p);
}

uint64_t
fmt_chunk_decoded_bound(const struct fmt_footer *f, uint32_t group, uint32_t column)
{
    return fmt_decoded_after(NULL, f, group, column, false);
}
