/* Batches: one block of memory for what its row count fixes, one for values of any length, and the
 * loops that copy rows from many row groups into them. */
#include "config.h"

#include "loader/loader_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/arith.h"
#include "lib/compiler.h"
#include "lib/fail.h"
#include "shardfmt/schema.h"

#define ALIGN          64u
#define AHEAD_FIXED    64u /* rows whose offsets, or values of fixed size, are fetched ahead */
#define AHEAD_VALUES   16u /* rows whose values of any length are */
#define AHEAD_BYTES    512 /* of a value at most; the hardware goes on from there */

/* ------------------------------------------------------------------------------------ layout */

static struct fmt_type
type_of(const struct shard_array *a)
{
    return fmt_type_of(a->type, a->elem);
}

/* Bytes of n rows of which each has as many. */
static uint64_t
fixed_bytes(const struct shard_array *a, struct fmt_type is, uint64_t n)
{
    if (is.kind == FMT_KIND_BIT)
        return (n + 7) / 8;
    return n * is.size * (is.kind == FMT_KIND_TENSOR ? a->width : 1);
}

uint64_t
loader_array_bytes(const struct shard_array *a)
{
    const struct fmt_type is = type_of(a);
    uint64_t len = a->validity ? (a->n_rows + 7) / 8 : 0;

    if (!is.offsets)
        return len + fixed_bytes(a, is, a->n_rows);
    len += (a->n_rows + 1) * sizeof(*a->offsets);
    if (is.kind == FMT_KIND_STRINGS)
        return len + (a->n_values + 1) * sizeof(*a->elem_offsets) +
               (uint64_t)a->elem_offsets[a->n_values];
    return len + a->n_values * is.size +
           (is.kind == FMT_KIND_SPARSE ? a->n_values * sizeof(*a->indices) : 0);
}

uint64_t
loader_array_row_max(const struct shard_array *a)
{
    const struct fmt_type is = type_of(a);
    const size_t elem = is.size + (is.kind == FMT_KIND_SPARSE ? sizeof(*a->indices) : 0);
    const uint64_t fixed = sizeof(*a->offsets) + 1; /* and a bit of validity */
    uint64_t i, most = 0;

    if (!is.offsets)
        return fixed_bytes(a, is, 1) + 1;
    if (is.kind != FMT_KIND_STRINGS) {
        for (i = 0; i < a->n_rows && a->n_values > 0; i++)
            most = BASE_MAX(most, (uint64_t)(a->offsets[i + 1] - a->offsets[i]));
        return most * elem + fixed;
    }
    for (i = 0; i < a->n_rows; i++) {
        const int32_t *off = a->offsets + i, *ends = a->elem_offsets;

        most = BASE_MAX(most, (uint64_t)(ends[off[1]] - ends[off[0]]) +
                                  (uint64_t)(off[1] - off[0]) * sizeof(*ends));
    }
    return most + fixed;
}

uint64_t
loader_batch_bytes(uint64_t n_rows, uint32_t n_columns, uint64_t data_bytes)
{
    const uint64_t len = data_bytes + data_bytes / 8 + n_rows * 12 + 1024 +
                         n_columns * UINT64_C(256);

    return loader_block_round(len);
}

/* The next len bytes of a block, aligned; base NULL: only count. */
static void *
carve(uint8_t *base, size_t *pos, size_t len)
{
    void *p = base ? base + *pos : NULL;

    *pos += base_align_up(len, ALIGN);
    return p;
}

/* Lay the batch out at base, or only measure it where base is NULL. */
static size_t
batch_layout(struct shard_batch *b, uint8_t *base, const struct shard_field *fields,
             const uint32_t *columns, uint32_t n_columns, const struct loader_batch_head *head)
{
    const size_t n = head->n_rows;
    size_t pos = 0;
    uint32_t i;

    (void)carve(base, &pos, sizeof(*b));
    b->first = carve(base, &pos, ((size_t)head->n_parts + 1) * sizeof(*b->first));
    b->rows = carve(base, &pos, n * sizeof(*b->rows));
    b->slots = carve(base, &pos, n * sizeof(*b->slots));
    b->arrays = carve(base, &pos, n_columns * sizeof(*b->arrays));
    for (i = 0; i < n_columns; i++) {
        const struct shard_field *f = &fields[columns[i]];
        const struct fmt_type is = fmt_field_type(f);
        struct shard_array a = {.type = f->type, .elem = f->elem, .n_rows = n};

        a.width = fmt_field_width(f);
        if (f->nullable)
            a.validity = carve(base, &pos, (n + 7) / 8);
        if (is.offsets)
            a.offsets = carve(base, &pos, (n + 1) * sizeof(*a.offsets));
        else
            a.values = carve(base, &pos, fixed_bytes(&a, is, n));
        if (base)
            b->arrays[i] = a;
    }
    return pos; /* a multiple of ALIGN */
}

int
loader_batch_new(struct loader_arena *a, const struct shard_field *fields, const uint32_t *columns,
                 uint32_t n_columns, const struct loader_batch_head *head,
                 struct shard_batch **ret)
{
    struct shard_batch measure = {0}, *b;
    struct loader_block *block;
    const size_t len = batch_layout(&measure, NULL, fields, columns, n_columns, head);

    block = loader_block_get(a, BASE_MAX(len, head->len), true);
    if (block == NULL)
        return -ENOMEM;
    b = (struct shard_batch *)(void *)block->data;
    memset(b, 0, sizeof(*b));
    b->refs = 1;
    b->fixed = block;
    b->step = head->step;
    b->epoch = head->epoch;
    b->n_rows = head->n_rows;
    b->fixed_len = len;
    (void)batch_layout(b, block->data, fields, columns, n_columns, head);
    *ret = b;
    return 0;
}

/* ------------------------------------------------------------------------------------ gather */

/* The array's buffers are const for those who read it; while it is made they are ours. */
static void *
writable(const void *p)
{
    return (void *)(uintptr_t)p;
}

static void
gather_validity(struct shard_array *a, const struct loader_source *src, uint32_t c)
{
    uint8_t *bits = writable(a->validity);
    uint64_t i, n_valid = 0;
    bool any = false;

    for (i = 0; i < a->n_rows && !any; i++)
        any = src[i].arrays[c].validity != NULL;
    if (!any) {
        a->validity = NULL;
        return;
    }
    memset(bits, 0, (a->n_rows + 7) / 8);
    for (i = 0; i < a->n_rows; i++) {
        const struct shard_array *s = &src[i].arrays[c];
        unsigned bit = s->validity == NULL;

        if (s->validity && s->n_nulls < s->n_rows) /* where all are null, don't fetch the bit */
            bit = s->validity[src[i].row >> 3] >> (src[i].row & 7) & 1;
        bits[i >> 3] = (uint8_t)(bits[i >> 3] | bit << (i & 7));
        n_valid += bit;
    }
    a->n_nulls = a->n_rows - n_valid;
    if (a->n_nulls == 0)
        a->validity = NULL;
}

static void
gather_bool(struct shard_array *a, const struct loader_source *src, uint32_t c)
{
    uint8_t *bits = writable(a->values);
    uint64_t i;

    memset(bits, 0, (a->n_rows + 7) / 8);
    for (i = 0; i < a->n_rows; i++) {
        const uint8_t *v = src[i].arrays[c].values;
        const unsigned bit = v[src[i].row >> 3] >> (src[i].row & 7) & 1;

        bits[i >> 3] = (uint8_t)(bits[i >> 3] | bit << (i & 7));
    }
}

#define GATHER_FIXED(T)                                                                            \
    static void gather_##T(struct shard_array *a, const struct loader_source *src, uint64_t n_all, \
                           uint32_t c)                                                             \
    {                                                                                              \
        T *out = writable(a->values);                                                              \
        uint64_t i;                                                                                \
        for (i = 0; i < a->n_rows; i++) {                                                          \
            const struct loader_source *t = &src[BASE_MIN(i + AHEAD_FIXED, n_all - 1)];            \
            __builtin_prefetch((const T *)t->arrays[c].values + t->row);                           \
            out[i] = ((const T *)src[i].arrays[c].values)[src[i].row];                             \
        }                                                                                          \
    }
GATHER_FIXED(uint8_t)
GATHER_FIXED(uint16_t)
GATHER_FIXED(uint32_t)
GATHER_FIXED(uint64_t)

static void
gather_tensor(struct shard_array *a, const struct loader_source *src, uint32_t c)
{
    const size_t len = (size_t)fixed_bytes(a, type_of(a), 1);
    uint8_t *out = writable(a->values);
    uint64_t i;

    for (i = 0; i < a->n_rows; i++)
        memcpy(out + i * len, (const uint8_t *)src[i].arrays[c].values + src[i].row * len, len);
}

static void
gather_fixed(struct shard_array *a, const struct loader_source *src, uint64_t n_all, uint32_t c)
{
    const struct fmt_type is = type_of(a);

    a->n_values = a->n_rows * (is.kind == FMT_KIND_TENSOR ? a->width : 1);
    if (is.kind == FMT_KIND_TENSOR) {
        gather_tensor(a, src, c);
        return;
    }
    switch (is.size) {
    case 0:
        gather_bool(a, src, c);
        break;
    case 1:
        gather_uint8_t(a, src, n_all, c);
        break;
    case 2:
        gather_uint16_t(a, src, n_all, c);
        break;
    case 4:
        gather_uint32_t(a, src, n_all, c);
        break;
    default:
        gather_uint64_t(a, src, n_all, c);
    }
}

/* Offsets of the batch's rows; false where they pass INT32_MAX. */
static bool
gather_offsets(struct shard_array *a, const struct loader_source *src, uint64_t n_all, uint32_t c)
{
    int32_t *out = writable(a->offsets);
    const uint64_t n = a->n_rows;
    uint64_t i, total = 0;

    out[0] = 0;
    for (i = 0; i < n; i++) {
        const struct shard_array *s = &src[i].arrays[c];
        const struct loader_source *t = &src[BASE_MIN(i + AHEAD_FIXED, n_all - 1)];

        if (t->arrays[c].n_values > 0)
            __builtin_prefetch(t->arrays[c].offsets + t->row);
        if (s->n_values > 0) { /* where all are empty, don't fetch the offsets */
            const int32_t *off = s->offsets + src[i].row;

            total += (uint64_t)(off[1] - off[0]);
            if (BASE_UNLIKELY(total > INT32_MAX))
                return false;
        }
        out[i + 1] = (int32_t)total;
    }
    a->n_values = total;
    return true;
}

/* The elements of all rows, size bytes each, out of values (or, for sparse, indices). Rows that
 * stand together in the source are copied in one go. */
static void
gather_elements(const struct shard_array *a, const struct loader_source *src, uint64_t n_all,
                uint32_t c, size_t size, bool indices, uint8_t *out)
{
    const uint64_t n = a->n_rows;
    const uint8_t *run = NULL;
    size_t run_len = 0;
    uint64_t i;

    for (i = 0; i < n; i++) {
        const struct shard_array *s = &src[i].arrays[c];
        const size_t off = (size_t)s->offsets[src[i].row] * size;
        const size_t len = (size_t)(a->offsets[i + 1] - a->offsets[i]) * size;
        const uint8_t *from = (indices ? (const uint8_t *)s->indices
                                       : (const uint8_t *)s->values) + off;

        if (i + AHEAD_VALUES < n_all) {
            const struct loader_source *t = &src[i + AHEAD_VALUES];
            const struct shard_array *ta = &t->arrays[c];
            const uint8_t *p = indices ? (const uint8_t *)ta->indices : (const uint8_t *)ta->values;
            const size_t at = ta->n_values ? (size_t)ta->offsets[t->row] * size : 0;
            const size_t end = ta->n_values ? (size_t)ta->offsets[t->row + 1] * size : 0;
            size_t k;

            for (k = at; k < end && k < at + AHEAD_BYTES; k += 64)
                __builtin_prefetch(p + k);
        }
        if (len == 0)
            continue;
        if (from == run + run_len && run_len > 0) {
            run_len += len;
            continue;
        }
        if (run_len > 0)
            memcpy(out, run, run_len);
        out += run_len;
        run = from;
        run_len = len;
    }
    if (run_len > 0)
        memcpy(out, run, run_len);
}

/* Bytes of the strings of all rows of a list<string>. */
static uint64_t
strings_bytes(const struct shard_array *a, const struct loader_source *src, uint32_t c)
{
    uint64_t i, total = 0;

    for (i = 0; i < a->n_rows; i++) {
        const struct shard_array *s = &src[i].arrays[c];
        const int32_t *off = s->offsets + src[i].row;

        total += (uint64_t)(s->elem_offsets[off[1]] - s->elem_offsets[off[0]]);
    }
    return total;
}

/* The strings of all rows, and where each ends. The room is there. */
static void
gather_strings(const struct shard_array *a, const struct loader_source *src, uint32_t c)
{
    uint8_t *out = writable(a->values);
    int32_t *ends = writable(a->elem_offsets), end = 0;
    uint64_t i;

    *ends++ = 0;
    for (i = 0; i < a->n_rows; i++) {
        const struct shard_array *s = &src[i].arrays[c];
        const int32_t *off = s->offsets + src[i].row, *from = s->elem_offsets + off[0];
        const int32_t n = off[1] - off[0], shift = end - from[0];
        int32_t k;

        for (k = 1; k <= n; k++)
            *ends++ = from[k] + shift;
        memcpy(out + end, (const uint8_t *)s->values + from[0], (size_t)(from[n] - from[0]));
        end += from[n] - from[0];
    }
}

/* Room for the values of the columns whose size only their offsets tell. Returns 0, -ENOMEM,
 * SHARD_ELIMIT. */
static int
batch_values(struct shard_batch *b, uint32_t n_columns, const struct loader_source *src)
{
    uint8_t *base = NULL;
    size_t pos;
    uint32_t i;
    int pass;

    for (pass = 0; pass < 2; pass++) { /* measure, then hand out */
        for (pos = 0, i = 0; i < n_columns; i++) {
            struct shard_array *a = &b->arrays[i];
            const struct fmt_type is = type_of(a);
            uint64_t len = a->n_values * is.size;

            if (a->offsets == NULL)
                continue;
            if (is.kind == FMT_KIND_STRINGS) {
                len = strings_bytes(a, src, i);
                if (len > INT32_MAX)
                    return SHARD_ELIMIT;
                a->elem_offsets = carve(base, &pos, (a->n_values + 1) * sizeof(*a->elem_offsets));
            }
            a->values = carve(base, &pos, len);
            if (is.kind == FMT_KIND_SPARSE)
                a->indices = carve(base, &pos, a->n_values * sizeof(*a->indices));
        }
        if (pass == 1 || pos == 0)
            break;
        if (pos + ALIGN <= b->fixed->cap - b->fixed_len) {
            base = b->fixed->data + b->fixed_len;
            continue;
        }
        b->values = loader_block_get(b->fixed->arena, pos + ALIGN, true);
        if (b->values == NULL)
            return -ENOMEM;
        base = b->values->data;
    }
    return 0;
}

static int
fail_batch(const struct shard_batch *b, int r, struct shard_error *err)
{
    if (r == -ENOMEM)
        return base_fail(err, r, "step %" PRIu64, b->step);
    return base_fail(err, r, "step %" PRIu64 ": a column of a batch of %" PRIu32
                     " rows is over 2 GiB; take smaller batches", b->step, b->n_rows);
}

int
loader_batch_fill(struct shard_batch *b, uint32_t n_columns, const struct loader_source *src,
                  uint64_t n_all, struct shard_error *err)
{
    uint32_t c;
    int r;

    for (c = 0; c < n_columns; c++) {
        struct shard_array *a = &b->arrays[c];

        if (a->validity)
            gather_validity(a, src, c);
        if (a->offsets == NULL)
            gather_fixed(a, src, n_all, c);
        else if (!gather_offsets(a, src, n_all, c))
            return fail_batch(b, SHARD_ELIMIT, err);
    }
    r = batch_values(b, n_columns, src);
    if (r < 0)
        return fail_batch(b, r, err);
    for (c = 0; c < n_columns; c++) {
        struct shard_array *a = &b->arrays[c];
        const struct fmt_type is = type_of(a);

        if (is.kind == FMT_KIND_STRINGS) {
            gather_strings(a, src, c);
        } else if (a->offsets && a->n_values > 0) {
            gather_elements(a, src, n_all, c, is.size, false, writable(a->values));
            if (is.kind == FMT_KIND_SPARSE)
                gather_elements(a, src, n_all, c, sizeof(*a->indices), true, writable(a->indices));
        }
        b->data_bytes += loader_array_bytes(a);
    }
    return 0;
}

/* ------------------------------------------------------------------------------------ public */

struct shard_batch *
shard_batch_ref(struct shard_batch *b)
{
    (void)__atomic_add_fetch(&b->refs, 1, __ATOMIC_RELAXED);
    return b;
}

void
shard_batch_unref(struct shard_batch *b)
{
    struct loader_block *fixed;

    if (b == NULL || __atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    fixed = b->fixed; /* holds b itself */
    loader_block_put(b->values);
    loader_block_put(fixed);
}

uint64_t
shard_batch_step(const struct shard_batch *b)
{
    return b->step;
}

uint32_t
shard_batch_epoch(const struct shard_batch *b)
{
    return b->epoch;
}

uint32_t
shard_batch_n_rows(const struct shard_batch *b)
{
    return b->n_rows;
}

const uint32_t *
shard_batch_partition_first(const struct shard_batch *b)
{
    return b->first;
}

const struct shard_array *
shard_batch_array(const struct shard_batch *b, uint32_t i)
{
    return &b->arrays[i];
}

const uint64_t *
shard_batch_row_numbers(const struct shard_batch *b)
{
    return b->rows;
}

const uint32_t *
shard_batch_slots(const struct shard_batch *b)
{
    return b->slots;
}
