/* Encoding a page: the streams of its type are prepared one by one, each with the encoding that
 * choose.c finds cheapest, and then laid behind a header that describes them. */
#include "config.h"
#include "shardfmt/encode.h"

#include <errno.h>

#include "lib/arith.h"
#include "lib/compiler.h"
#include "lib/endian.h"
#include "shardfmt/bitpack.h"
#include "shardfmt/bits.h"
#include "shardfmt/column.h"
#include "shardfmt/nulls.h"

#define DICT_SAMPLE      2048u  /* values that say whether a dictionary is worth trying */
#define DICT_ENTRIES_MAX 65536u

void
fmt_encoder_init(struct fmt_encoder *e, const struct fmt_encode_opts *opts)
{
    *e = (struct fmt_encoder){.opts = opts, .encoding = FMT_ENC_AUTO};
}

void
fmt_encoder_done(struct fmt_encoder *e)
{
    base_buf_done(&e->page);
    base_buf_done(&e->arena);
    base_buf_done(&e->lengths);
    base_buf_done(&e->present);
    base_buf_done(&e->inlined);
    base_buf_done(&e->inlined2);
    base_buf_done(&e->dict_lengths);
    base_buf_done(&e->dict_bytes);
    base_buf_done(&e->sample);
    base_buf_done(&e->packed);
    base_buf_done(&e->deltas);
    fmt_ints_scratch_done(&e->scratch);
    fmt_dict_done(&e->dict);
}

/* ----------------------------------------------------------------------------------- streams */

static struct fmt_stream_out *
stream_add(struct fmt_encoder *e, enum fmt_role role, enum fmt_encoding enc, size_t size,
           size_t count, size_t len)
{
    struct fmt_stream_out *s = &e->streams[e->n_streams++];

    *s = (struct fmt_stream_out){.role = (uint8_t)role,
                                 .encoding = (uint8_t)enc,
                                 .size = (uint8_t)size,
                                 .count = (uint32_t)count,
                                 .len = (uint32_t)len};
    e->used |= 1u << enc;
    return s;
}

/* A stream whose bytes stand elsewhere until the page is put together. */
static void
put_ext(struct fmt_encoder *e, enum fmt_role role, size_t size, size_t count, const void *data,
        size_t len)
{
    stream_add(e, role, FMT_ENC_PLAIN, size, count, len)->ext = data;
}

/* A stream of len bytes for the caller to fill in, in the arena; NULL on lack of memory. */
static uint8_t *
put_arena(struct fmt_encoder *e, enum fmt_role role, enum fmt_encoding enc, size_t size,
          size_t count, size_t len)
{
    if (base_buf_reserve(&e->arena, len) < 0)
        return NULL;
    stream_add(e, role, enc, size, count, len)->off = e->arena.len;
    e->arena.len += len;
    return e->arena.data + e->arena.len - len;
}

static int
put_bytes(struct fmt_encoder *e, enum fmt_role role, enum fmt_encoding enc, size_t size,
          size_t count, const void *data, size_t len)
{
    uint8_t *p = put_arena(e, role, enc, size, count, len);

    if (p == NULL)
        return -ENOMEM;
    if (len)
        memcpy(p, data, len);
    return 0;
}

/* Numbers, stored as planned. Restricted files have them at full size. */
static int
put_planned(struct fmt_encoder *e, enum fmt_role role, struct fmt_ints_way way,
            const void *values, struct fmt_ints_kind kind, size_t n)
{
    const size_t off = e->arena.len;
    struct fmt_stream_out *s;
    int size;

    if (n == 0 || e->opts->plain_only)
        return put_bytes(e, role, FMT_ENC_PLAIN, kind.size, n, values, n * kind.size);
    size = fmt_ints_append(&e->arena, &e->scratch, way, kind, values, n);
    if (size < 0)
        return size;
    s = stream_add(e, role, (enum fmt_encoding)way.encoding, (size_t)size, n, e->arena.len - off);
    s->off = off;
    return 0;
}

static const struct fmt_ints_kind u32_kind = {sizeof(uint32_t), true, false};

/* Lengths, indices, codes. */
static int
put_u32s(struct fmt_encoder *e, enum fmt_role role, const uint32_t *values, size_t n)
{
    struct fmt_plan plan = {0};
    int r = fmt_plan_numbers(e, values, u32_kind, n, &plan);

    e->plain_cost += plan.cost;
    return r < 0 ? r : put_planned(e, role, plan.way, values, u32_kind, n);
}

/* Bits [row0, row0 + n) as a stream; constant where all are alike. */
static int
put_bits(struct fmt_encoder *e, enum fmt_role role, const uint8_t *bits, uint64_t row0, uint32_t n)
{
    const uint64_t ones = fmt_bits_count(bits, row0, n);
    uint8_t *p;

    if (!e->opts->plain_only && n && (ones == 0 || ones == n))
        return put_bytes(e, role, FMT_ENC_CONST, 0, n, ones ? "\1" : "\0", 1);
    p = put_arena(e, role, FMT_ENC_PLAIN, 0, n, fmt_bits_bytes(n));
    if (p == NULL)
        return -ENOMEM;
    fmt_bits_append(p, 0, bits, row0, n);
    return 0;
}

/* Bytes that a stream starts at a multiple of: large plain ones can then be used in place. */
static size_t
stream_align(const struct fmt_stream_out *s)
{
    return s->encoding == FMT_ENC_PLAIN && s->len >= FMT_STREAM_ALIGN_MIN ? FMT_ALIGN : 1;
}

/* Header, descriptors and streams into e->page. */
static int
page_assemble(struct fmt_encoder *e, uint32_t n)
{
    size_t len = FMT_PAGE_HEAD + e->n_streams * FMT_STREAM_ENTRY;
    uint8_t *p;

    for (uint32_t i = 0; i < e->n_streams; i++)
        len = base_align_up(len, stream_align(&e->streams[i])) + e->streams[i].len;
    base_buf_reset(&e->page);
    if (base_buf_reserve(&e->page, len) < 0)
        return -ENOMEM;
    p = e->page.data;
    base_store_le32(p, n);
    base_store_le32(p + 4, e->n_streams);
    len = FMT_PAGE_HEAD;
    for (uint32_t i = 0; i < e->n_streams; i++, len += FMT_STREAM_ENTRY) {
        const struct fmt_stream_out *s = &e->streams[i];

        p[len] = s->role;
        p[len + 1] = s->encoding;
        p[len + 2] = 0; /* version */
        p[len + 3] = s->size;
        base_store_le32(p + len + 4, s->count);
        base_store_le32(p + len + 8, s->len);
    }
    for (uint32_t i = 0; i < e->n_streams; i++) {
        const struct fmt_stream_out *s = &e->streams[i];
        const size_t off = base_align_up(len, stream_align(s));

        memset(p + len, 0, off - len);
        if (s->len)
            memcpy(p + off, s->ext ? s->ext : e->arena.data + s->off, s->len);
        len = off + s->len;
    }
    e->page.len = len;
    return 0;
}

/* ----------------------------------------------------------------------------------- numbers */

struct numbers {
    const uint8_t *values;
    size_t n;
    struct fmt_ints_kind kind;
};

static inline __attribute__((always_inline)) void
take_every(const uint8_t *values, size_t size, size_t stride, size_t n, uint8_t *dst)
{
    for (size_t i = 0; i < n; i++)
        memcpy(dst + i * size, values + i * stride * size, size);
}

/* Whether a sample of the values repeats enough for a dictionary to be worth building. */
static int
dict_sample_numbers(struct fmt_encoder *e, const struct numbers *v)
{
    const size_t n = BASE_MIN(v->n, DICT_SAMPLE), stride = v->n / n;

    base_buf_reset(&e->sample);
    if (base_buf_reserve(&e->sample, n * v->kind.size) < 0)
        return -ENOMEM;
    switch (v->kind.size) { /* a constant size is a plain load and store */
    case 2:
        take_every(v->values, 2, stride, n, e->sample.data);
        break;
    case 4:
        take_every(v->values, 4, stride, n, e->sample.data);
        break;
    default:
        take_every(v->values, 8, stride, n, e->sample.data);
        break;
    }
    /* All of a few are counted, however many differ. */
    return fmt_dict_numbers(&e->dict, e->sample.data, v->kind.size, n,
                            (uint32_t)(n < v->n ? n - n / 10 : n));
}

/* Bits of the codes of n entries. */
static unsigned
code_bits(uint32_t n)
{
    return n > 1 ? 32 - (unsigned)__builtin_clz(n - 1) : 0;
}

/* Build e->dict over v: first with a table for four times what the sample had, then a large one. */
static int
dict_build(struct fmt_encoder *e, const struct numbers *v)
{
    const uint32_t max = (uint32_t)BASE_MIN(v->n / 2, DICT_ENTRIES_MAX);
    const uint32_t few = BASE_MIN(max, 4 * e->dict.n + 64);
    int r = fmt_dict_numbers(&e->dict, v->values, v->kind.size, v->n, few);

    if (r == 0 && few < max)
        r = fmt_dict_numbers(&e->dict, v->values, v->kind.size, v->n, max);
    return r;
}

/* Is a dictionary cheaper than other? 1: it is built, and *ret is how to store the codes. */
static int
plan_dict(struct fmt_encoder *e, const struct numbers *v, const struct fmt_plan *other,
          struct fmt_plan *ret)
{
    int64_t values_cost;
    int r;

    if (v->kind.size == 1 || v->n < 2)
        return 0;
    r = dict_sample_numbers(e, v);
    if (r > 0 && v->n <= DICT_SAMPLE) { /* that was all of them */
        e->n_distinct = e->dict.n;
        if (e->dict.n > v->n - v->n / 10)
            return 0;
    }
    if (r <= 0 || (code_bits(e->dict.n) + 1) * (uint64_t)v->n >= 8 * other->raw)
        return r < 0 ? r : 0;
    r = dict_build(e, v);
    if (r <= 0)
        return r;
    e->n_distinct = e->dict.n;
    r = fmt_plan_numbers(e, e->dict.codes.data, u32_kind, v->n, ret);
    if (r < 0)
        return r;
    values_cost = fmt_cost_bytes(e, e->dict.values.data, e->dict.values.len);
    if (values_cost < 0)
        return (int)values_cost;
    return ret->cost + (uint64_t)values_cost + 3 * FMT_STREAM_ENTRY < other->cost;
}

static int
put_dict(struct fmt_encoder *e, const struct numbers *v, const struct fmt_plan *codes)
{
    (void)stream_add(e, FMT_ROLE_VALUES, FMT_ENC_DICT, v->kind.size, v->n, 0);
    put_ext(e, FMT_ROLE_DICT_VALUES, v->kind.size, e->dict.n, e->dict.values.data,
            e->dict.values.len);
    return put_planned(e, FMT_ROLE_CODES, codes->way, e->dict.codes.data, u32_kind, v->n);
}

/* A dictionary was asked for: 1 where one can be built. */
static int
force_dict(struct fmt_encoder *e, const struct numbers *v, struct fmt_plan *ret)
{
    const uint32_t max = (uint32_t)BASE_MIN(v->n, DICT_ENTRIES_MAX);
    int r = fmt_dict_numbers(&e->dict, v->values, v->kind.size, v->n, max);

    if (r <= 0)
        return r;
    e->n_distinct = e->dict.n;
    r = fmt_plan_numbers(e, e->dict.codes.data, u32_kind, v->n, ret);
    return r < 0 ? r : 1;
}

static int
put_numbers(struct fmt_encoder *e, const struct numbers *v)
{
    const bool force = e->encoding != FMT_ENC_AUTO && e->encoding != FMT_ENC_DICT;
    struct fmt_plan plan, codes;
    int r = force ? fmt_plan_forced(e, v->values, v->kind, v->n, &plan)
                  : fmt_plan_numbers(e, v->values, v->kind, v->n, &plan);

    if (r < 0)
        return r;
    if (plan.way.encoding == FMT_ENC_CONST)
        e->n_distinct = 1;
    else if (e->encoding == FMT_ENC_DICT && v->n)
        r = force_dict(e, v, &codes);
    else if (!e->opts->plain_only && !force)
        r = plan_dict(e, v, &plan, &codes);
    e->plain_cost += plan.plain;
    e->alternative = e->encoding == FMT_ENC_AUTO && (r > 0 || plan.way.encoding != FMT_ENC_PLAIN);
    if (r != 0)
        return r < 0 ? r : put_dict(e, v, &codes);
    if (plan.way.encoding == FMT_ENC_PLAIN && !v->kind.is_int) {
        put_ext(e, FMT_ROLE_VALUES, v->kind.size, v->n, v->values, v->n * v->kind.size);
        return 0;
    }
    return put_planned(e, FMT_ROLE_VALUES, plan.way, v->values, v->kind, v->n);
}

static void
numbers_kind(struct numbers *v, struct fmt_type t)
{
    v->kind = (struct fmt_ints_kind){(uint8_t)t.size, t.number != FMT_NUMBER_FLOAT,
                                     t.number == FMT_NUMBER_SIGNED};
}

/* Rows of size bytes without the null ones: in place, or copied to e->present. NULL on lack of memory. */
static const void *
take_present(struct fmt_encoder *e, const struct shard_array *a, const void *rows, size_t size,
             uint64_t row0, uint32_t n, uint32_t present)
{
    if (present == n)
        return rows;
    base_buf_reset(&e->present);
    if (base_buf_reserve(&e->present, (size_t)present * size) < 0)
        return NULL;
    fmt_nulls_squeeze(a->validity, row0, rows, size, n, e->present.data);
    return e->present.data;
}

/* Numbers, so many per row. */
static int
encode_fixed(struct fmt_encoder *e, const struct shard_array *a, uint64_t row0, uint32_t n,
             uint32_t present, uint32_t width)
{
    struct numbers v = {.n = (size_t)present * width};
    size_t row_size;

    numbers_kind(&v, fmt_type_of(a->type, a->elem));
    row_size = width * v.kind.size;
    v.values = take_present(e, a, (const uint8_t *)a->values + row0 * row_size, row_size, row0, n,
                            present);
    return v.values == NULL ? -ENOMEM : put_numbers(e, &v);
}

static int
encode_bits(struct fmt_encoder *e, const struct shard_array *a, uint64_t row0, uint32_t n,
            uint32_t present)
{
    if (present == n)
        return put_bits(e, FMT_ROLE_VALUES, a->values, row0, n);
    base_buf_reset(&e->present);
    if (base_buf_reserve(&e->present, fmt_bits_bytes(present)) < 0)
        return -ENOMEM;
    fmt_nulls_squeeze_bits(a->validity, row0, a->values, row0, n, e->present.data);
    return put_bits(e, FMT_ROLE_VALUES, e->present.data, 0, present);
}

/* ----------------------------------------------------------------------- out-of-line values */

/* Out-of-line rows, if any: where their pieces are. */
static int
put_overflow(struct fmt_encoder *e, uint64_t row0, const struct fmt_overflow *over,
             uint32_t n_over)
{
    uint8_t *p;

    if (n_over == 0)
        return 0;
    p = put_arena(e, FMT_ROLE_OVERFLOW, FMT_ENC_PLAIN, FMT_OVERFLOW_ENTRY, n_over,
                  (size_t)n_over * FMT_OVERFLOW_ENTRY);
    if (p == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < n_over; i++, p += FMT_OVERFLOW_ENTRY) {
        base_store_le32(p, (uint32_t)(over[i].row - row0));
        base_store_le32(p + 4, over[i].first);
        base_store_le64(p + 8, over[i].len);
        base_store_le32(p + 16, over[i].n_pieces);
        base_store_le32(p + 20, 0);
    }
    return 0;
}

/* ----------------------------------------------------------------------------------- strings */

static size_t
row_len(const struct shard_array *a, uint64_t row)
{
    return (size_t)(a->offsets[row + 1] - a->offsets[row]);
}

/* Lengths of the rows that are not null, 0 where the value stands out of line, as the stream of that
 * role. */
static int
take_lengths(struct fmt_encoder *e, enum fmt_role role, const struct shard_array *a, uint64_t row0,
             uint32_t n, uint32_t present, const struct fmt_overflow *over, uint32_t n_over)
{
    const int32_t *ends = a->offsets + row0;
    uint32_t *len, k = 0;

    base_buf_reset(&e->lengths);
    if (base_buf_reserve(&e->lengths, (size_t)present * sizeof(*len)) < 0)
        return -ENOMEM;
    len = (uint32_t *)(void *)e->lengths.data;
    if (present == n) {
        for (uint32_t i = 0; i < n; i++)
            len[i] = (uint32_t)(ends[i + 1] - ends[i]);
    } else {
        for (uint32_t i = 0; i < n; i += 64) {
            uint64_t w = fmt_bits_word(a->validity, row0 + i, BASE_MIN(n - i, 64));

            for (; w; w &= w - 1) {
                const uint32_t row = i + (uint32_t)__builtin_ctzll(w);

                len[k++] = (uint32_t)(ends[row + 1] - ends[row]);
            }
        }
    }
    for (uint32_t i = 0; i < n_over; i++) {
        const uint64_t before = over[i].row - row0;

        len[present == n ? before : fmt_bits_count(a->validity, row0, before)] = 0;
    }
    return put_u32s(e, role, len, present);
}

/* The elements of size bytes of the rows, those of out-of-line rows left out: in place, or copied
 * to buf. NULL on lack of memory. */
static const uint8_t *
take_inline(struct base_buf *buf, const struct shard_array *a, const void *data, size_t size,
            uint64_t row0, uint32_t n, const struct fmt_overflow *over, uint32_t n_over,
            size_t *ret_n)
{
    const uint8_t *p = data;
    size_t from = (size_t)a->offsets[row0], end = (size_t)a->offsets[row0 + n], total = end - from;

    *ret_n = total;
    if (n_over == 0)
        return p + from * size;
    for (uint32_t i = 0; i < n_over; i++)
        total -= row_len(a, over[i].row);
    base_buf_reset(buf);
    if (base_buf_reserve(buf, total * size) < 0)
        return NULL;
    for (uint32_t i = 0; i < n_over; i++) {
        const size_t to = (size_t)a->offsets[over[i].row];

        base_buf_put(buf, p + from * size, (to - from) * size);
        from = (size_t)a->offsets[over[i].row + 1];
    }
    base_buf_put(buf, p + from * size, (end - from) * size);
    *ret_n = total;
    return buf->data;
}

/* Lengths and bytes of the dictionary's strings. */
static int
dict_collect(struct fmt_encoder *e, const struct shard_array *a)
{
    const uint32_t *rows = (const uint32_t *)(const void *)e->dict.rows.data;
    const uint8_t *values = a->values;

    base_buf_reset(&e->dict_lengths);
    base_buf_reset(&e->dict_bytes);
    if (base_buf_reserve(&e->dict_lengths, e->dict.n * sizeof(uint32_t)) < 0 ||
        base_buf_reserve(&e->dict_bytes, (size_t)e->dict.n_bytes) < 0)
        return -ENOMEM;
    for (uint32_t i = 0; i < e->dict.n; i++) {
        const uint32_t len = (uint32_t)row_len(a, rows[i]);

        base_buf_put(&e->dict_lengths, &len, sizeof(len));
        base_buf_put(&e->dict_bytes, values + a->offsets[rows[i]], len);
    }
    return 0;
}

/* Build e->dict over the rows, if it may pay, going by a sample where they are many. 1: built. */
static int
dict_try_strings(struct fmt_encoder *e, const struct shard_array *a, uint64_t row0, uint32_t n,
                 uint32_t present)
{
    const uint64_t n_bytes = (uint64_t)(a->offsets[row0 + n] - a->offsets[row0]);
    const uint32_t most = DICT_SAMPLE - DICT_SAMPLE / 10;
    int r;

    if (present < 2 || n_bytes == 0)
        return 0;
    if (e->encoding == FMT_ENC_DICT)
        return fmt_dict_strings(&e->dict, a, row0, n, 1, BASE_MIN(present, DICT_ENTRIES_MAX),
                                n_bytes);
    if (present <= DICT_SAMPLE) { /* few enough to count them all */
        r = fmt_dict_strings(&e->dict, a, row0, n, 1, present, n_bytes);
        if (r > 0)
            e->n_distinct = e->dict.n;
        return r > 0 && (e->dict.n > present / 2 || e->dict.n_bytes > n_bytes / 2) ? 0 : r;
    }
    r = fmt_dict_strings(&e->dict, a, row0, DICT_SAMPLE, n / DICT_SAMPLE, most, n_bytes);
    return r <= 0 ? r
                  : fmt_dict_strings(&e->dict, a, row0, n, 1,
                                     BASE_MIN(present / 2, DICT_ENTRIES_MAX), n_bytes / 2);
}

/* 1 where the page went in as a dictionary, 0 where that does not pay. */
static int
encode_string_dict(struct fmt_encoder *e, const struct shard_array *a, uint64_t row0, uint32_t n,
                   uint32_t present)
{
    const uint8_t *bytes = (const uint8_t *)a->values + a->offsets[row0];
    const size_t n_bytes = (size_t)(a->offsets[row0 + n] - a->offsets[row0]);
    struct fmt_plan codes;
    int64_t cost_plain, cost_dict;
    int r = dict_try_strings(e, a, row0, n, present);

    if (r <= 0)
        return r;
    e->n_distinct = e->dict.n;
    r = dict_collect(e, a);
    if (r == 0)
        r = fmt_plan_numbers(e, e->dict.codes.data, u32_kind, present, &codes);
    if (r < 0)
        return r;
    cost_plain = fmt_cost_bytes(e, bytes, n_bytes);
    cost_dict = fmt_cost_bytes(e, e->dict_bytes.data, e->dict_bytes.len);
    if (cost_plain < 0 || cost_dict < 0)
        return -ENOMEM;
    /* An entry's length costs about what a row's length does: count a byte for either. */
    if (e->encoding == FMT_ENC_AUTO && codes.cost + (uint64_t)cost_dict + e->dict.n +
                                               2 * FMT_STREAM_ENTRY >=
                                           (uint64_t)cost_plain + present)
        return 0;
    e->alternative = e->encoding == FMT_ENC_AUTO;
    e->plain_cost += (uint64_t)cost_plain + present;
    (void)stream_add(e, FMT_ROLE_BYTES, FMT_ENC_DICT, 1, n_bytes, 0);
    r = put_u32s(e, FMT_ROLE_DICT_LENGTHS, (const uint32_t *)(const void *)e->dict_lengths.data,
                 e->dict.n);
    if (r < 0)
        return r;
    put_ext(e, FMT_ROLE_DICT_BYTES, 1, e->dict_bytes.len, e->dict_bytes.data, e->dict_bytes.len);
    r = put_planned(e, FMT_ROLE_CODES, codes.way, e->dict.codes.data, u32_kind, present);
    return r < 0 ? r : 1;
}

static int
encode_strings(struct fmt_encoder *e, const struct shard_array *a, uint64_t row0, uint32_t n,
               uint32_t present, const struct fmt_overflow *over, uint32_t n_over)
{
    const uint8_t *bytes;
    size_t n_bytes;
    int r;

    if (n_over == 0 && !e->opts->plain_only && e->encoding != FMT_ENC_PLAIN) {
        r = encode_string_dict(e, a, row0, n, present);
        if (r != 0)
            return r < 0 ? r : 0;
    }
    r = take_lengths(e, FMT_ROLE_LENGTHS, a, row0, n, present, over, n_over);
    if (r < 0)
        return r;
    bytes = take_inline(&e->inlined, a, a->values, 1, row0, n, over, n_over, &n_bytes);
    if (bytes == NULL)
        return -ENOMEM;
    put_ext(e, FMT_ROLE_BYTES, 1, n_bytes, bytes, n_bytes);
    return put_overflow(e, row0, over, n_over);
}

/* ------------------------------------------------------------------------- lists and sparse */

static int
encode_lists(struct fmt_encoder *e, const struct shard_array *a, uint64_t row0, uint32_t n,
             uint32_t present, const struct fmt_overflow *over, uint32_t n_over)
{
    const struct fmt_type t = fmt_type_of(a->type, a->elem);
    struct numbers v = {0};
    int r = take_lengths(e, FMT_ROLE_LENGTHS, a, row0, n, present, over, n_over);

    if (r < 0)
        return r;
    numbers_kind(&v, t);
    if (t.kind == FMT_KIND_SPARSE) {
        size_t n_indices;
        const uint8_t *indices = take_inline(&e->inlined2, a, a->indices, sizeof(uint32_t), row0,
                                             n, over, n_over, &n_indices);

        if (indices == NULL)
            return -ENOMEM;
        r = put_u32s(e, FMT_ROLE_INDICES, (const uint32_t *)(const void *)indices, n_indices);
        if (r < 0)
            return r;
    }
    v.values = take_inline(&e->inlined, a, a->values, v.kind.size, row0, n, over, n_over, &v.n);
    if (v.values == NULL)
        return -ENOMEM;
    r = put_numbers(e, &v);
    return r < 0 ? r : put_overflow(e, row0, over, n_over);
}

/* The strings of a list<string> as rows of their own. */
static struct shard_array
strings_of(const struct shard_array *a)
{
    return (struct shard_array){.type = SHARD_TYPE_STRING,
                                .n_rows = a->n_values,
                                .n_values = (uint64_t)a->elem_offsets[a->n_values],
                                .offsets = a->elem_offsets,
                                .values = a->values};
}

/* Copy the strings of rows [row0, row0 + n) but for those of out-of-line rows: their lengths to
 * e->lengths, their bytes to e->inlined. */
static int
inline_strings(struct fmt_encoder *e, const struct shard_array *a, uint64_t row0, uint32_t n,
               const struct fmt_overflow *over, uint32_t n_over)
{
    const int32_t *ends = a->elem_offsets;
    const uint8_t *bytes = a->values;
    uint64_t row = row0;

    base_buf_reset(&e->lengths);
    base_buf_reset(&e->inlined);
    for (uint32_t i = 0; i <= n_over; i++) {
        const uint64_t to = i < n_over ? over[i].row : row0 + n;
        const int32_t v0 = a->offsets[row], v1 = a->offsets[to];

        if (base_buf_reserve(&e->lengths, (size_t)(v1 - v0) * sizeof(uint32_t)) < 0 ||
            base_buf_append(&e->inlined, bytes + ends[v0], (size_t)(ends[v1] - ends[v0])) < 0)
            return -ENOMEM;
        for (int32_t v = v0; v < v1; v++)
            base_buf_put(&e->lengths, &(const uint32_t){(uint32_t)(ends[v + 1] - ends[v])},
                         sizeof(uint32_t));
        row = to + 1;
    }
    return 0;
}

/* Lists of strings: LENGTHS count strings, of out-of-line rows, too. */
static int
encode_string_lists(struct fmt_encoder *e, const struct shard_array *a, uint64_t row0, uint32_t n,
                    uint32_t present, const struct fmt_overflow *over, uint32_t n_over)
{
    const struct shard_array strings = strings_of(a);
    const uint64_t v0 = (uint64_t)a->offsets[row0];
    const uint32_t n_values = (uint32_t)((uint64_t)a->offsets[row0 + n] - v0);
    size_t n_bytes;
    int r = take_lengths(e, FMT_ROLE_LENGTHS, a, row0, n, present, NULL, 0);

    if (r == 0 && n_over == 0 && !e->opts->plain_only && e->encoding != FMT_ENC_PLAIN) {
        r = encode_string_dict(e, &strings, v0, n_values, n_values);
        if (r != 0)
            return r < 0 ? r : 0;
    }
    if (r < 0)
        return r;
    if (n_over == 0) {
        n_bytes = (size_t)(strings.offsets[v0 + n_values] - strings.offsets[v0]);
        put_ext(e, FMT_ROLE_BYTES, 1, n_bytes,
                (const uint8_t *)strings.values + strings.offsets[v0], n_bytes);
        return take_lengths(e, FMT_ROLE_ELEM_LENGTHS, &strings, v0, n_values, n_values, NULL,
                            0);
    }
    r = inline_strings(e, a, row0, n, over, n_over);
    if (r < 0)
        return r;
    put_ext(e, FMT_ROLE_BYTES, 1, e->inlined.len, e->inlined.data, e->inlined.len);
    r = put_overflow(e, row0, over, n_over);
    return r < 0 ? r
                 : put_u32s(e, FMT_ROLE_ELEM_LENGTHS, (const uint32_t *)(void *)e->lengths.data,
                            e->lengths.len / sizeof(uint32_t));
}

int
fmt_encode_page(struct fmt_encoder *e, const struct shard_array *a, uint64_t row0, uint32_t n,
                const struct fmt_overflow *over, uint32_t n_over)
{
    const struct fmt_type t = fmt_type_of(a->type, a->elem);
    const uint32_t present = a->validity ? (uint32_t)fmt_bits_count(a->validity, row0, n) : n;
    int r = 0;

    e->n_streams = 0;
    e->n_distinct = 0;
    e->alternative = false;
    e->plain_cost = FMT_PAGE_HEAD + 4 * FMT_STREAM_ENTRY + (present < n ? fmt_bits_bytes(n) : 0);
    base_buf_reset(&e->arena);
    if (present < n)
        r = put_bits(e, FMT_ROLE_VALIDITY, a->validity, row0, n);
    if (r < 0)
        return r;
    switch (t.kind) {
    case FMT_KIND_BIT:
        r = encode_bits(e, a, row0, n, present);
        break;
    case FMT_KIND_NUMBER:
        r = encode_fixed(e, a, row0, n, present, 1);
        break;
    case FMT_KIND_TENSOR:
        if (fmt_tensor_outside(a->width, t.size))
            r = put_overflow(e, row0, over, n_over);
        else
            r = encode_fixed(e, a, row0, n, present, a->width);
        break;
    case FMT_KIND_BYTES:
        r = encode_strings(e, a, row0, n, present, over, n_over);
        break;
    case FMT_KIND_LIST:
    case FMT_KIND_SPARSE:
        r = encode_lists(e, a, row0, n, present, over, n_over);
        break;
    case FMT_KIND_STRINGS:
        r = encode_string_lists(e, a, row0, n, present, over, n_over);
        break;
    case FMT_KIND_UNKNOWN: /* fmt_image_encode() has refused it */
        break;
    }
    if (present == 0)
        e->n_distinct = 0;
    return r < 0 ? r : page_assemble(e, n);
}
