/* Columns being built.
 *
 * Every append first makes room in all buffers that it needs and only then writes, so that a failed
 * one leaves the column as it was. Invariants: validity is empty while no row is null, else it has
 * a bit per row; offsets are empty while there is no row, else there are n_rows + 1 of them. */
#include "config.h"
#include "shardfmt/column.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/compiler.h"
#include "lib/endian.h"
#include "shardfmt/bits.h"

#define GATHER_BLOCK 256u /* rows whose lengths are summed, and bytes prefetched, before the copy */

/* What offsets and empty values point to. */
static const uint8_t zeros[64] BASE_ALIGNED(64);

void
fmt_column_init(struct fmt_column *c, enum shard_type type, enum shard_type elem)
{
    *c = (struct fmt_column){.type = type, .elem = elem};
}

void
fmt_column_reset(struct fmt_column *c)
{
    c->n_rows = c->n_nulls = c->n_values = 0;
    base_buf_reset(&c->validity);
    base_buf_reset(&c->offsets);
    base_buf_reset(&c->indices);
    base_buf_reset(&c->values);
}

void
fmt_column_done(struct fmt_column *c)
{
    base_buf_done(&c->validity);
    base_buf_done(&c->offsets);
    base_buf_done(&c->indices);
    base_buf_done(&c->values);
    fmt_column_init(c, c->type, c->elem);
}

static bool
has_offsets(enum shard_type t)
{
    return t == SHARD_TYPE_STRING || t == SHARD_TYPE_BINARY || t == SHARD_TYPE_LIST ||
           t == SHARD_TYPE_SPARSE;
}

/* Bytes of one of the things that n_values counts; 0 for bool. */
static size_t
value_size(enum shard_type type, enum shard_type elem)
{
    if (type == SHARD_TYPE_STRING || type == SHARD_TYPE_BINARY)
        return 1;
    return shard_type_size(has_offsets(type) ? elem : type);
}

/* Room for n rows, nulls among them or not, that hold n_values values. */
static int
column_reserve(struct fmt_column *c, uint64_t n, bool nulls, uint64_t n_values)
{
    const size_t size = value_size(c->type, c->elem);
    int r = 0;

    if (n > INT32_MAX - c->n_rows || n_values > INT32_MAX - c->n_values)
        return SHARD_ELIMIT;
    if (nulls || c->n_nulls)
        r = base_buf_reserve(&c->validity, fmt_bits_bytes(c->n_rows + n) - c->validity.len);
    if (r == 0 && has_offsets(c->type))
        r = base_buf_reserve(&c->offsets, (size_t)(n + 1) * sizeof(int32_t));
    if (r == 0 && c->type == SHARD_TYPE_SPARSE)
        r = base_buf_reserve(&c->indices, (size_t)n_values * sizeof(uint32_t));
    if (r == 0)
        r = base_buf_reserve(&c->values, size ? (size_t)n_values * size
                                              : fmt_bits_bytes(c->n_rows + n) - c->values.len);
    return r;
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

/* The place for the end offsets of the next rows; puts the 0 in front of the first row's. */
static int32_t *
column_ends(struct fmt_column *c)
{
    if (c->offsets.len == 0) {
        memset(c->offsets.data, 0, sizeof(int32_t));
        c->offsets.len = sizeof(int32_t);
    }
    return (int32_t *)(void *)(c->offsets.data + c->offsets.len);
}

/* One more row of n values of size bytes each. */
static int
append_one(struct fmt_column *c, const void *values, size_t n, size_t size)
{
    int r = column_reserve(c, 1, false, n);

    if (r < 0)
        return r;
    base_buf_put(&c->values, values, n * size);
    c->n_values += n;
    if (has_offsets(c->type)) {
        *column_ends(c) = (int32_t)c->n_values;
        c->offsets.len += sizeof(int32_t);
    }
    column_put_validity(c, NULL, 0, 1, true);
    c->n_rows++;
    return 0;
}

int
fmt_column_append_null(struct fmt_column *c)
{
    const bool offsets = has_offsets(c->type);
    int r = column_reserve(c, 1, true, offsets ? 0 : 1);

    if (r < 0)
        return r;
    if (offsets) {
        *column_ends(c) = (int32_t)c->n_values;
        c->offsets.len += sizeof(int32_t);
    } else if (c->type == SHARD_TYPE_BOOL) {
        fmt_bits_append_same(c->values.data, c->n_rows, false, 1);
        c->values.len = fmt_bits_bytes(c->n_rows + 1);
        c->n_values++;
    } else {
        base_buf_put(&c->values, zeros, value_size(c->type, c->elem));
        c->n_values++;
    }
    column_put_validity(c, NULL, 0, 1, false);
    c->n_rows++;
    return 0;
}

int
fmt_column_append_bool(struct fmt_column *c, bool v)
{
    int r = column_reserve(c, 1, false, 1);

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
    return append_one(c, v, 1, value_size(c->type, c->elem));
}

int
fmt_column_append_bytes(struct fmt_column *c, const void *data, size_t len)
{
    return append_one(c, data, len, 1);
}

int
fmt_column_append_list(struct fmt_column *c, const void *values, size_t n)
{
    return append_one(c, values, n, value_size(c->type, c->elem));
}

int
fmt_column_append_sparse(struct fmt_column *c, const uint32_t *indices, const void *values,
                         size_t n)
{
    int r = append_one(c, values, n, value_size(c->type, c->elem));

    if (r == 0)
        base_buf_put(&c->indices, indices, n * sizeof(*indices));
    return r;
}

int
fmt_column_append_run(struct fmt_column *c, const struct shard_array *src, uint64_t row0,
                      uint64_t n)
{
    const bool offsets = has_offsets(c->type);
    const size_t size = value_size(c->type, c->elem);
    uint64_t v0 = row0, n_values = n;
    int r;

    if (n == 0)
        return 0;
    if (offsets) {
        v0 = (uint64_t)src->offsets[row0];
        n_values = (uint64_t)(src->offsets[row0 + n] - src->offsets[row0]);
    }
    r = column_reserve(c, n, src->validity != NULL, n_values);
    if (r < 0)
        return r;
    if (offsets) {
        int32_t *ends = column_ends(c);
        const int32_t shift = (int32_t)((int64_t)c->n_values - (int64_t)v0);

        for (uint64_t i = 0; i < n; i++)
            ends[i] = src->offsets[row0 + i + 1] + shift;
        c->offsets.len += (size_t)n * sizeof(*ends);
    }
    if (c->type == SHARD_TYPE_SPARSE)
        base_buf_put(&c->indices, src->indices + v0, (size_t)n_values * sizeof(uint32_t));
    if (size) {
        base_buf_put(&c->values, (const uint8_t *)src->values + v0 * size,
                     (size_t)n_values * size);
    } else {
        fmt_bits_append(c->values.data, c->n_rows, src->values, row0, n);
        c->values.len = fmt_bits_bytes(c->n_rows + n);
    }
    column_put_validity(c, src->validity, row0, n, true);
    c->n_values += n_values;
    c->n_rows += n;
    return 0;
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

static int
append_fixed_rows(struct fmt_column *c, const struct shard_array *src, const uint32_t *rows,
                  uint64_t n)
{
    const size_t size = value_size(c->type, c->elem);
    int r = column_reserve(c, n, src->validity != NULL, n);

    if (r < 0)
        return r;
    if (size) {
        gather_numbers(c->values.data + c->values.len, src->values, rows, n, size);
        c->values.len += (size_t)n * size;
    } else {
        (void)gather_bits(c->values.data, c->n_rows, src->values, rows, n);
        c->values.len = fmt_bits_bytes(c->n_rows + n);
    }
    gather_validity(c, src->validity, rows, n);
    c->n_values += n;
    c->n_rows += n;
    return 0;
}

/* At most GATHER_BLOCK rows: sum the lengths and ask for the bytes, then copy. */
static int
append_var_block(struct fmt_column *c, const struct shard_array *src, const uint32_t *rows,
                 uint64_t n)
{
    const size_t size = value_size(c->type, c->elem);
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
    r = column_reserve(c, n, src->validity != NULL, n_values);
    if (r < 0)
        return r;
    ends = column_ends(c);
    to = c->values.data + c->values.len;
    if (c->type == SHARD_TYPE_SPARSE)
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

int
fmt_column_append_rows(struct fmt_column *c, const struct shard_array *src, const uint32_t *rows,
                       uint64_t n)
{
    const uint64_t n_before = c->n_rows;

    if (n == 0)
        return 0;
    if (!has_offsets(c->type))
        return append_fixed_rows(c, src, rows, n);
    for (uint64_t i = 0; i < n; i += GATHER_BLOCK) {
        int r = append_var_block(c, src, rows + i, BASE_MIN(n - i, GATHER_BLOCK));

        if (r < 0) {
            fmt_column_truncate(c, n_before);
            return r;
        }
    }
    return 0;
}

void
fmt_column_truncate(struct fmt_column *c, uint64_t n_rows)
{
    const size_t size = value_size(c->type, c->elem);

    if (n_rows == 0)
        fmt_column_reset(c);
    if (n_rows >= c->n_rows)
        return;
    if (c->n_nulls) {
        c->n_nulls = n_rows - fmt_bits_count(c->validity.data, 0, n_rows);
        c->validity.len = c->n_nulls ? fmt_bits_bytes(n_rows) : 0;
        fmt_bits_cut(c->validity.data, n_rows);
    }
    c->n_rows = c->n_values = n_rows;
    if (has_offsets(c->type)) {
        c->n_values = base_load_le32(c->offsets.data + n_rows * sizeof(int32_t));
        c->offsets.len = (size_t)(n_rows + 1) * sizeof(int32_t);
    }
    if (c->type == SHARD_TYPE_SPARSE)
        c->indices.len = (size_t)c->n_values * sizeof(uint32_t);
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
                                .n_rows = c->n_rows,
                                .n_nulls = c->n_nulls,
                                .n_values = c->n_values,
                                .validity = c->n_nulls ? c->validity.data : NULL,
                                .values = c->values.len ? c->values.data : nothing};
    if (has_offsets(c->type))
        ret->offsets = c->n_rows ? (const void *)c->offsets.data : nothing;
    if (c->type == SHARD_TYPE_SPARSE)
        ret->indices = c->indices.len ? (const void *)c->indices.data : nothing;
}

uint64_t
fmt_column_memory(const struct fmt_column *c)
{
    return (uint64_t)c->validity.cap + c->offsets.cap + c->indices.cap + c->values.cap;
}

uint64_t
fmt_array_raw_bytes(const struct shard_array *a, uint64_t row0, uint64_t n)
{
    const size_t size = value_size(a->type, a->elem);
    uint64_t n_values;

    if (!has_offsets(a->type))
        return n * (size ? size : 1);
    n_values = (uint64_t)(a->offsets[row0 + n] - a->offsets[row0]);
    return n * sizeof(int32_t) +
           n_values * (size + (a->type == SHARD_TYPE_SPARSE ? sizeof(uint32_t) : 0));
}
