/* Columns being built.
 *
 * Every append first makes room in all buffers that it needs and only then writes, so that a failed
 * one leaves the column as it was. Invariants: validity is empty while no row is null, else it has
 * a bit per row; offsets are empty while there is no row, else there are n_rows + 1 of them. */
#include "config.h"
#include "shardfmt/column.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/compiler.h"
#include "lib/endian.h"
#include "shardfmt/bits.h"
#include "shardfmt/spooled.h"

#define GATHER_BLOCK 256u /* rows whose lengths are summed, and bytes prefetched, before the copy */

/* What offsets and empty values point to. */
static const uint8_t zeros[64] BASE_ALIGNED(64);

void
fmt_column_init(struct fmt_column *c, enum shard_type type, enum shard_type elem)
{
    const struct shard_field f = {.type = type, .elem = elem};

    assert(fmt_params_len(&f) == 0);
    fmt_column_init_field(c, &f);
}

void
fmt_column_init_field(struct fmt_column *c, const struct shard_field *f)
{
    *c = (struct fmt_column){.type = f->type,
                             .elem = f->elem,
                             .width = fmt_field_width(f),
                             .is = fmt_field_type(f)};
}

/* Let go of the values of the far rows from the i-th on. */
static void
forget_far(struct fmt_column *c, size_t i)
{
    struct shard_far *far = (void *)c->far.data;
    const size_t n = c->far.len / sizeof(*far);

    for (size_t k = i; k < n; k++)
        fmt_spooled_unref(far[k].source);
    c->far.len = i * sizeof(*far);
}

void
fmt_column_reset(struct fmt_column *c)
{
    forget_far(c, 0);
    c->n_rows = c->n_nulls = c->n_values = 0;
    base_buf_reset(&c->validity);
    base_buf_reset(&c->offsets);
    base_buf_reset(&c->indices);
    base_buf_reset(&c->values);
    base_buf_reset(&c->elem_offsets);
}

void
fmt_column_done(struct fmt_column *c)
{
    forget_far(c, 0);
    base_buf_done(&c->far);
    base_buf_done(&c->validity);
    base_buf_done(&c->offsets);
    base_buf_done(&c->indices);
    base_buf_done(&c->values);
    base_buf_done(&c->elem_offsets);
    c->n_rows = c->n_nulls = c->n_values = 0;
}

/* Values of a row that is not of any length. */
static uint64_t
row_values(const struct fmt_column *c)
{
    return c->is.kind == FMT_KIND_TENSOR ? c->width : 1;
}

/* Room for n rows, nulls among them or not, that hold n_values values; n_bytes is what those of a
 * list<string> have. */
static int
column_reserve(struct fmt_column *c, uint64_t n, bool nulls, uint64_t n_values, uint64_t n_bytes)
{
    const size_t size = c->is.size;
    const bool strings = c->is.kind == FMT_KIND_STRINGS;
    int r = 0;

    if (n > INT32_MAX - c->n_rows || n_values > INT32_MAX - c->n_values ||
        (strings && n_bytes > INT32_MAX - c->values.len))
        return SHARD_ELIMIT;
    if (nulls || c->n_nulls)
        r = base_buf_reserve(&c->validity, fmt_bits_bytes(c->n_rows + n) - c->validity.len);
    if (r == 0 && c->is.offsets)
        r = base_buf_reserve(&c->offsets, (size_t)(n + 1) * sizeof(int32_t));
    if (r == 0 && c->is.kind == FMT_KIND_SPARSE)
        r = base_buf_reserve(&c->indices, (size_t)n_values * sizeof(uint32_t));
    if (r == 0 && strings)
        r = base_buf_reserve(&c->elem_offsets, (size_t)(n_values + 1) * sizeof(int32_t));
    if (r < 0)
        return r;
    if (strings)
        return base_buf_reserve(&c->values, (size_t)n_bytes);
    return base_buf_reserve(&c->values, size ? (size_t)n_values * size
                                             : fmt_bits_bytes(c->n_rows + n) - c->values.len);
}

/* Note n rows in the validity bits: src's from row0 on, or all alike where src is NULL. The room is
 * there. Does not touch n_rows. */
static void
column_put_validity(struct fmt_column *c, const uint8_t *src, uint64_t row0, uint64_t n, bool same)
{
    const uint64_t nulls = src ? n - fmt_bits_count(src, row0, n) : same ? 0 : n;

    if (nulls == 0 && c->n_nulls == 0)
        return;
    if (c->n_nulls == 0)
        fmt_bits_append_same(c->validity.data, 0, true, c->n_rows);
    if (src)
        fmt_bits_append(c->validity.data, c->n_rows, src, row0, n);
    else
        fmt_bits_append_same(c->validity.data, c->n_rows, same, n);
    c->validity.len = fmt_bits_bytes(c->n_rows + n);
    c->n_nulls += nulls;
}

/* The place for the next end offsets; puts the 0 in front of the first. */
static int32_t *
ends_of(struct base_buf *offsets)
{
    if (offsets->len == 0) {
        memset(offsets->data, 0, sizeof(int32_t));
        offsets->len = sizeof(int32_t);
    }
    return (int32_t *)(void *)(offsets->data + offsets->len);
}

/* The row's end where rows are of any length. */
static void
put_end(struct fmt_column *c)
{
    if (!c->is.offsets)
        return;
    *ends_of(&c->offsets) = (int32_t)c->n_values;
    c->offsets.len += sizeof(int32_t);
    if (c->is.kind == FMT_KIND_STRINGS)
        (void)ends_of(&c->elem_offsets);
}

/* One more row of n values of size bytes each. */
static int
append_one(struct fmt_column *c, const void *values, size_t n, size_t size)
{
    int r = column_reserve(c, 1, false, n, 0);

    if (r < 0)
        return r;
    base_buf_put(&c->values, values, n * size);
    c->n_values += n;
    put_end(c);
    column_put_validity(c, NULL, 0, 1, true);
    c->n_rows++;
    return 0;
}

int
fmt_column_append_null(struct fmt_column *c)
{
    const uint64_t n = c->is.offsets ? 0 : row_values(c);
    int r = column_reserve(c, 1, true, n, 0);

    if (r < 0)
        return r;
    c->n_values += n;
    put_end(c);
    if (c->is.kind == FMT_KIND_BIT) {
        fmt_bits_append_same(c->values.data, c->n_rows, false, 1);
        c->values.len = fmt_bits_bytes(c->n_rows + 1);
    } else if (n) {
        memset(c->values.data + c->values.len, 0, (size_t)n * c->is.size);
        c->values.len += (size_t)n * c->is.size;
    }
    column_put_validity(c, NULL, 0, 1, false);
    c->n_rows++;
    return 0;
}

int
fmt_column_append_bool(struct fmt_column *c, bool v)
{
    int r = column_reserve(c, 1, false, 1, 0);

    if (r < 0)
        return r;
    fmt_bits_append_same(c->values.data, c->n_rows, v, 1);
    c->values.len = fmt_bits_bytes(c->n_rows + 1);
    c->n_values++;
    column_put_validity(c, NULL, 0, 1, true);
    c->n_rows++;
    return 0;
}

int
fmt_column_append_number(struct fmt_column *c, const void *v)
{
    return append_one(c, v, 1, c->is.size);
}

int
fmt_column_append_bytes(struct fmt_column *c, const void *data, size_t len)
{
    return append_one(c, data, len, 1);
}

int
fmt_column_append_spooled(struct fmt_column *c, struct fmt_spooled *value)
{
    const struct shard_far far = {.row = c->n_rows, .size = value->len, .source = value};
    int r = base_buf_reserve(&c->far, sizeof(far));

    if (r == 0)
        r = append_one(c, NULL, 0, 1);
    if (r < 0)
        return r;
    base_buf_put(&c->far, &far, sizeof(far));
    (void)fmt_spooled_ref(value);
    return 0;
}

/* Those of the rows whose values are not in the array: their values become the column's, too. Row i is
 * to be row row0 + i. */
static int
append_far_rows(struct fmt_column *c, const struct shard_array *src, const uint32_t *rows,
                uint64_t n, uint64_t row0)
{
    int r = 0;

    for (uint64_t i = 0; i < n && r == 0; i++) {
        const struct shard_far *from = fmt_array_far(src, rows[i]);
        struct shard_far to;

        if (from == NULL)
            continue;
        to = *from;
        to.row = row0 + i;
        r = base_buf_append(&c->far, &to, sizeof(to));
        if (r == 0)
            (void)fmt_spooled_ref(to.source);
    }
    return r;
}

/* The same of a run of rows. */
static int
append_far_run(struct fmt_column *c, const struct shard_array *src, uint64_t first, uint64_t n,
               uint64_t row0)
{
    int r = 0;

    for (uint32_t i = 0; i < src->n_far && r == 0; i++) {
        struct shard_far to = src->far[i];

        if (to.row < first || to.row - first >= n)
            continue;
        to.row = row0 + (to.row - first);
        r = base_buf_append(&c->far, &to, sizeof(to));
        if (r == 0)
            (void)fmt_spooled_ref(to.source);
    }
    return r;
}

int
fmt_column_append_list(struct fmt_column *c, const void *values, size_t n)
{
    return append_one(c, values, n, c->is.size);
}

int
fmt_column_append_tensor(struct fmt_column *c, const void *values)
{
    return append_one(c, values, c->width, c->is.size);
}

int
fmt_column_append_strings(struct fmt_column *c, const void *bytes, const uint32_t *lens, size_t n)
{
    uint64_t len = 0, end;
    int32_t *ends;
    int r;

    for (size_t i = 0; i < n; i++)
        len += lens[i];
    r = column_reserve(c, 1, false, n, len);
    if (r < 0)
        return r;
    ends = ends_of(&c->elem_offsets);
    end = c->values.len;
    for (size_t i = 0; i < n; i++) {
        end += lens[i];
        ends[i] = (int32_t)end;
    }
    c->elem_offsets.len += n * sizeof(*ends);
    base_buf_put(&c->values, bytes, (size_t)len);
    c->n_values += n;
    put_end(c);
    column_put_validity(c, NULL, 0, 1, true);
    c->n_rows++;
    return 0;
}

int
fmt_column_append_sparse(struct fmt_column *c, const uint32_t *indices, const void *values,
                         size_t n)
{
    int r = append_one(c, values, n, c->is.size);

    if (r == 0)
        base_buf_put(&c->indices, indices, n * sizeof(*indices));
    return r;
}

/* n offsets of src from from on, as ends behind those that are there. at: where the first of the
 * things that they count goes. */
static void
put_ends(struct base_buf *offsets, const int32_t *src, uint64_t from, uint64_t n, uint64_t at)
{
    int32_t *ends = ends_of(offsets);
    const int32_t shift = (int32_t)((int64_t)at - (int64_t)src[from]);

    for (uint64_t i = 0; i < n; i++)
        ends[i] = src[from + i + 1] + shift;
    offsets->len += (size_t)n * sizeof(*ends);
}

int
fmt_column_append_run(struct fmt_column *c, const struct shard_array *src, uint64_t row0,
                      uint64_t n)
{
    const size_t size = c->is.size;
    const bool strings = c->is.kind == FMT_KIND_STRINGS;
    uint64_t v0 = row0 * row_values(c), n_values = n * row_values(c), from, len;
    int r;

    if (n == 0)
        return 0;
    if (c->is.offsets) {
        v0 = (uint64_t)src->offsets[row0];
        n_values = (uint64_t)(src->offsets[row0 + n] - src->offsets[row0]);
    }
    from = v0 * size;
    len = n_values * size;
    if (strings) {
        from = (uint64_t)src->elem_offsets[v0];
        len = (uint64_t)src->elem_offsets[v0 + n_values] - from;
    }
    r = column_reserve(c, n, src->validity != NULL, n_values, len);
    if (r < 0)
        return r;
    if (c->is.offsets)
        put_ends(&c->offsets, src->offsets, row0, n, c->n_values);
    if (strings)
        put_ends(&c->elem_offsets, src->elem_offsets, v0, n_values, c->values.len);
    if (c->is.kind == FMT_KIND_SPARSE)
        base_buf_put(&c->indices, src->indices + v0, (size_t)n_values * sizeof(uint32_t));
    if (size) {
        base_buf_put(&c->values, (const uint8_t *)src->values + from, (size_t)len);
    } else {
        fmt_bits_append(c->values.data, c->n_rows, src->values, row0, n);
        c->values.len = fmt_bits_bytes(c->n_rows + n);
    }
    column_put_validity(c, src->validity, row0, n, true);
    c->n_values += n_values;
    c->n_rows += n;
    r = append_far_run(c, src, row0, n, c->n_rows - n);
    if (r < 0)
        fmt_column_truncate(c, c->n_rows - n);
    return r;
}

/* Bits rows[0..n) of src behind the first at bits of dst; returns how many of them are ones. */
static uint64_t
gather_bits(uint8_t *dst, uint64_t at, const uint8_t *src, const uint32_t *rows, uint64_t n)
{
    uint64_t ones = 0;

    for (uint64_t i = 0; i < n; i++, at++) {
        const bool bit = fmt_bits_get(src, rows[i]);

        if ((at & 7) == 0)
            dst[at >> 3] = 0;
        dst[at >> 3] |= (uint8_t)(bit << (at & 7));
        ones += bit;
    }
    return ones;
}

static void
gather_validity(struct fmt_column *c, const uint8_t *src, const uint32_t *rows, uint64_t n)
{
    uint64_t nulls;

    if (src == NULL) {
        column_put_validity(c, NULL, 0, n, true);
        return;
    }
    if (c->n_nulls == 0)
        fmt_bits_append_same(c->validity.data, 0, true, c->n_rows);
    nulls = n - gather_bits(c->validity.data, c->n_rows, src, rows, n);
    c->n_nulls += nulls;
    if (c->n_nulls)
        c->validity.len = fmt_bits_bytes(c->n_rows + n);
}

#define GATHER_LOOP(T)                                                                             \
    do {                                                                                           \
        T *d = dst;                                                                                \
        const T *s = src;                                                                          \
        for (uint64_t i = 0; i < n; i++)                                                           \
            d[i] = s[rows[i]];                                                                     \
    } while (0)

static void
gather_numbers(void *dst, const void *src, const uint32_t *rows, uint64_t n, size_t size)
{
    switch (size) {
    case 1:
        GATHER_LOOP(uint8_t);
        break;
    case 2:
        GATHER_LOOP(uint16_t);
        break;
    case 4:
        GATHER_LOOP(uint32_t);
        break;
    default:
        GATHER_LOOP(uint64_t);
        break;
    }
}

/* Rows of so many bytes each, one copy per row. */
static void
gather_wide(uint8_t *dst, const uint8_t *src, const uint32_t *rows, uint64_t n, size_t stride)
{
    for (uint64_t i = 0; i < n; i++)
        memcpy(dst + i * stride, src + rows[i] * stride, stride);
}

static int
append_fixed_rows(struct fmt_column *c, const struct shard_array *src, const uint32_t *rows,
                  uint64_t n)
{
    const size_t size = c->is.size;
    const uint64_t n_values = n * row_values(c);
    uint8_t *dst;
    int r = column_reserve(c, n, src->validity != NULL, n_values, 0);

    if (r < 0)
        return r;
    dst = c->values.data + c->values.len;
    if (size == 0)
        (void)gather_bits(c->values.data, c->n_rows, src->values, rows, n);
    else if (c->is.kind == FMT_KIND_TENSOR)
        gather_wide(dst, src->values, rows, n, c->width * size);
    else
        gather_numbers(dst, src->values, rows, n, size);
    c->values.len = size ? c->values.len + (size_t)n_values * size : fmt_bits_bytes(c->n_rows + n);
    gather_validity(c, src->validity, rows, n);
    c->n_values += n_values;
    c->n_rows += n;
    return 0;
}

/* At most GATHER_BLOCK rows: sum the lengths and ask for the bytes, then copy. */
static int
append_var_block(struct fmt_column *c, const struct shard_array *src, const uint32_t *rows,
                 uint64_t n)
{
    const size_t size = c->is.size;
    const uint8_t *from = src->values;
    const int32_t *offsets = src->offsets;
    uint64_t n_values = 0;
    uint8_t *to, *to_index = NULL;
    int32_t *ends, end = (int32_t)c->n_values;
    int r;

    for (uint64_t i = 0; i < n; i++) {
        const size_t v0 = (size_t)offsets[rows[i]];

        n_values += (uint64_t)((size_t)offsets[rows[i] + 1] - v0);
        __builtin_prefetch(from + v0 * size);
        __builtin_prefetch(from + v0 * size + 64);
    }
    r = column_reserve(c, n, src->validity != NULL, n_values, 0);
    if (r < 0)
        return r;
    ends = ends_of(&c->offsets);
    to = c->values.data + c->values.len;
    if (c->is.kind == FMT_KIND_SPARSE)
        to_index = c->indices.data + c->indices.len;
    for (uint64_t i = 0; i < n; i++) {
        const size_t v0 = (size_t)offsets[rows[i]], len = (size_t)offsets[rows[i] + 1] - v0;

        memcpy(to, from + v0 * size, len * size);
        to += len * size;
        if (to_index) {
            memcpy(to_index, src->indices + v0, len * sizeof(uint32_t));
            to_index += len * sizeof(uint32_t);
        }
        end += (int32_t)len;
        ends[i] = end;
    }
    c->values.len += (size_t)n_values * size;
    c->offsets.len += (size_t)n * sizeof(*ends);
    if (to_index)
        c->indices.len += (size_t)n_values * sizeof(uint32_t);
    gather_validity(c, src->validity, rows, n);
    c->n_values += n_values;
    c->n_rows += n;
    return 0;
}

/* The same of lists of strings. */
static int
append_strings_block(struct fmt_column *c, const struct shard_array *src, const uint32_t *rows,
                     uint64_t n)
{
    const int32_t *offsets = src->offsets, *ends = src->elem_offsets;
    uint64_t n_values = 0, n_bytes = 0;
    int r;

    for (uint64_t i = 0; i < n; i++) {
        const int32_t v0 = offsets[rows[i]], v1 = offsets[rows[i] + 1];

        n_values += (uint64_t)(v1 - v0);
        n_bytes += (uint64_t)(ends[v1] - ends[v0]);
        __builtin_prefetch((const uint8_t *)src->values + ends[v0]);
    }
    r = column_reserve(c, n, src->validity != NULL, n_values, n_bytes);
    if (r < 0)
        return r;
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t v0 = (uint64_t)offsets[rows[i]], k = (uint64_t)offsets[rows[i] + 1] - v0;

        put_ends(&c->elem_offsets, ends, v0, k, c->values.len);
        base_buf_put(&c->values, (const uint8_t *)src->values + ends[v0],
                     (size_t)(ends[v0 + k] - ends[v0]));
        c->n_values += k;
        *ends_of(&c->offsets) = (int32_t)c->n_values;
        c->offsets.len += sizeof(int32_t);
    }
    gather_validity(c, src->validity, rows, n);
    c->n_rows += n;
    return 0;
}

int
fmt_column_append_rows(struct fmt_column *c, const struct shard_array *src, const uint32_t *rows,
                       uint64_t n)
{
    const uint64_t n_before = c->n_rows;
    int r = 0;

    if (n == 0)
        return 0;
    if (!c->is.offsets)
        return append_fixed_rows(c, src, rows, n);
    for (uint64_t i = 0; i < n && r == 0; i += GATHER_BLOCK) {
        const uint64_t k = BASE_MIN(n - i, GATHER_BLOCK);

        r = c->is.kind == FMT_KIND_STRINGS ? append_strings_block(c, src, rows + i, k)
                                           : append_var_block(c, src, rows + i, k);
    }
    if (r == 0 && src->n_far)
        r = append_far_rows(c, src, rows, n, n_before);
    if (r < 0)
        fmt_column_truncate(c, n_before);
    return r;
}

/* How many far values stand in rows before row. */
static size_t
far_before(const struct fmt_column *c, uint64_t row)
{
    const struct shard_far *far = (const void *)c->far.data;
    size_t n = c->far.len / sizeof(*far);

    while (n && far[n - 1].row >= row)
        n--;
    return n;
}

void
fmt_column_truncate(struct fmt_column *c, uint64_t n_rows)
{
    const size_t size = c->is.size;

    if (n_rows == 0)
        fmt_column_reset(c);
    if (n_rows >= c->n_rows)
        return;
    if (c->n_nulls) {
        c->n_nulls = n_rows - fmt_bits_count(c->validity.data, 0, n_rows);
        c->validity.len = c->n_nulls ? fmt_bits_bytes(n_rows) : 0;
        fmt_bits_cut(c->validity.data, n_rows);
    }
    forget_far(c, far_before(c, n_rows));
    c->n_rows = n_rows;
    c->n_values = n_rows * row_values(c);
    if (c->is.offsets) {
        c->n_values = base_load_le32(c->offsets.data + n_rows * sizeof(int32_t));
        c->offsets.len = (size_t)(n_rows + 1) * sizeof(int32_t);
    }
    if (c->is.kind == FMT_KIND_SPARSE)
        c->indices.len = (size_t)c->n_values * sizeof(uint32_t);
    if (c->is.kind == FMT_KIND_STRINGS) {
        c->values.len = base_load_le32(c->elem_offsets.data + c->n_values * sizeof(int32_t));
        c->elem_offsets.len = (size_t)(c->n_values + 1) * sizeof(int32_t);
        return;
    }
    c->values.len = size ? (size_t)c->n_values * size : fmt_bits_bytes(n_rows);
    if (size == 0)
        fmt_bits_cut(c->values.data, n_rows);
}

void
fmt_column_array(const struct fmt_column *c, struct shard_array *ret)
{
    const void *nothing = zeros;

    *ret = (struct shard_array){.type = c->type,
                                .elem = c->elem,
                                .width = c->width,
                                .n_rows = c->n_rows,
                                .n_nulls = c->n_nulls,
                                .n_values = c->n_values,
                                .validity = c->n_nulls ? c->validity.data : NULL,
                                .values = c->values.len ? c->values.data : nothing};
    if (c->far.len) {
        ret->n_far = (uint32_t)(c->far.len / sizeof(*ret->far));
        ret->far = (const void *)c->far.data;
    }
    if (c->is.offsets)
        ret->offsets = c->n_rows ? (const void *)c->offsets.data : nothing;
    if (c->is.kind == FMT_KIND_SPARSE)
        ret->indices = c->indices.len ? (const void *)c->indices.data : nothing;
    if (c->is.kind == FMT_KIND_STRINGS)
        ret->elem_offsets = c->n_rows ? (const void *)c->elem_offsets.data : nothing;
}

uint64_t
fmt_column_memory(const struct fmt_column *c)
{
    return (uint64_t)c->validity.cap + c->offsets.cap + c->indices.cap + c->values.cap +
           c->elem_offsets.cap + c->far.cap;
}

const struct shard_far *
fmt_array_find_far(const struct shard_array *a, uint64_t row)
{
    uint32_t lo = 0, hi = a->n_far;

    while (lo < hi) {
        const uint32_t mid = lo + (hi - lo) / 2;

        if (a->far[mid].row < row)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < a->n_far && a->far[lo].row == row ? &a->far[lo] : NULL;
}

/* Bytes of the values in rows [row0, row0 + n) that are not in the array. */
static uint64_t
far_bytes(const struct shard_array *a, uint64_t row0, uint64_t n)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < a->n_far; i++)
        if (a->far[i].row >= row0 && a->far[i].row - row0 < n)
            sum += a->far[i].size;
    return sum;
}

uint64_t
fmt_array_raw_bytes(const struct shard_array *a, uint64_t row0, uint64_t n)
{
    const struct fmt_type t = fmt_type_of(a->type, a->elem);
    uint64_t v0, n_values;

    if (!t.offsets)
        return n * (t.kind == FMT_KIND_TENSOR ? (uint64_t)a->width * t.size : t.size ? t.size : 1);
    v0 = (uint64_t)a->offsets[row0];
    n_values = (uint64_t)a->offsets[row0 + n] - v0;
    if (t.kind == FMT_KIND_STRINGS)
        return (n + n_values) * sizeof(int32_t) +
               (uint64_t)(a->elem_offsets[v0 + n_values] - a->elem_offsets[v0]);
    return n * sizeof(int32_t) + far_bytes(a, row0, n) +
           n_values * (t.size + (t.kind == FMT_KIND_SPARSE ? sizeof(uint32_t) : 0));
}
