/* Row hashes. docs/format.md, "Row hash", is normative:
 *
 *   seed of a column  XXH3-64 of its name, seeded with type + 256 * elem; where the type has
 *                     parameters, XXH3-64 of them, seeded with that
 *   cell              XXH3-128 of the value's bytes, seeded with the column's seed
 *   row               XXH3-128 of the cells of its non-null columns in name order, seed 0
 *
 * Rows are hashed in blocks, column by column within a block, so that the inner loops know their
 * type. Floats compare by value: -0.0 counts as 0.0 and every NaN as one. */
#include "config.h"
#include "shardfmt/rowhash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/compiler.h"
#include "lib/endian.h"
#include "shardfmt/bits.h"
#include "shardfmt/column.h"
#include "shardfmt/spooled.h"

#define CELL_SIZE   16u
#define BLOCK_CELLS 1024u /* on the stack: 16 KiB */
#define BLOCK_ROWS  128u

struct plan_column {
    const char *name; /* borrowed while the plan is made */
    uint32_t index;   /* of the field */
    uint64_t seed;
    struct fmt_type is;
};

struct fmt_rowhash {
    uint32_t n_cols;
    struct plan_column cols[]; /* in name order */
};

static int
plan_compare(const void *a, const void *b)
{
    const struct plan_column *x = a, *y = b;

    return strcmp(x->name, y->name);
}

uint64_t
fmt_rowhash_seed(const char *name, enum shard_type type, enum shard_type elem)
{
    return base_hash64(name, strlen(name), (uint64_t)type + 256 * (uint64_t)elem);
}

static uint64_t
column_seed(const struct shard_field *f)
{
    const uint64_t seed = fmt_rowhash_seed(f->name, f->type, f->elem);
    uint8_t params[FMT_PARAMS_MAX];
    const size_t len = f->params ? 0 : fmt_params_len(f); /* else no row of it was ever decoded */

    if (len == 0)
        return seed;
    fmt_params_write(f, params);
    return base_hash64(params, len, seed);
}

int
fmt_rowhash_new(const struct fmt_schema *s, const uint32_t *cols, uint32_t n_cols,
                struct fmt_rowhash **ret)
{
    struct fmt_rowhash *h;

    if (cols == NULL)
        n_cols = s->n_fields;
    h = malloc(sizeof(*h) + n_cols * sizeof(h->cols[0]));
    if (h == NULL)
        return -ENOMEM;
    h->n_cols = n_cols;
    for (uint32_t i = 0; i < n_cols; i++) {
        const uint32_t index = cols ? cols[i] : i;
        const struct shard_field *f = &s->fields[index];

        h->cols[i] = (struct plan_column){
            .name = f->name,
            .index = index,
            .seed = column_seed(f),
            .is = fmt_field_type(f)};
    }
    qsort(h->cols, n_cols, sizeof(h->cols[0]), plan_compare);
    *ret = h;
    return 0;
}

void
fmt_rowhash_free(struct fmt_rowhash *h)
{
    free(h);
}

/* Floats as they are hashed; the bits of a number otherwise. */
static inline uint32_t
canon32(uint32_t v)
{
    if ((v & 0x7fffffffu) > 0x7f800000u)
        return 0x7fc00000u;
    return v == 0x80000000u ? 0 : v;
}

static inline uint64_t
canon64(uint64_t v)
{
    if ((v & UINT64_C(0x7fffffffffffffff)) > UINT64_C(0x7ff0000000000000))
        return UINT64_C(0x7ff8000000000000);
    return v == UINT64_C(0x8000000000000000) ? 0 : v;
}

static inline uint16_t
canon16(uint16_t v, uint16_t infinity, uint16_t nan)
{
    if ((v & 0x7fffu) > infinity)
        return nan;
    return v == 0x8000u ? 0 : v;
}

/* n floats of type t, made canonical. */
static void
canon_floats(enum shard_type t, const uint8_t *src, size_t n, uint8_t *dst)
{
    switch (t) {
    case SHARD_TYPE_FLOAT16:
        for (size_t i = 0; i < n; i++)
            base_store_le16(dst + i * 2, canon16(base_load_le16(src + i * 2), 0x7c00u, 0x7e00u));
        break;
    case SHARD_TYPE_BFLOAT16:
        for (size_t i = 0; i < n; i++)
            base_store_le16(dst + i * 2, canon16(base_load_le16(src + i * 2), 0x7f80u, 0x7fc0u));
        break;
    case SHARD_TYPE_FLOAT32:
        for (size_t i = 0; i < n; i++)
            base_store_le32(dst + i * 4, canon32(base_load_le32(src + i * 4)));
        break;
    default:
        for (size_t i = 0; i < n; i++)
            base_store_le64(dst + i * 8, canon64(base_load_le64(src + i * 8)));
        break;
    }
}

static void
state_begin(XXH3_state_t *st, uint64_t seed)
{
    st->seed = 0; /* what reset looks at before it sets them */
    st->extSecret = NULL;
    (void)XXH3_128bits_reset_withSeed(st, seed);
}

/* Feed n numbers to a hash, floats made canonical. */
static void
update_numbers(XXH3_state_t *st, struct fmt_type is, enum shard_type t, const uint8_t *values,
               size_t n)
{
    uint8_t buf[512];

    if (is.number != FMT_NUMBER_FLOAT) {
        base_hash_update(st, values, n * is.size);
        return;
    }
    while (n) {
        const size_t k = BASE_MIN(n, sizeof(buf) / is.size);

        canon_floats(t, values, k, buf);
        base_hash_update(st, buf, k * is.size);
        values += k * is.size;
        n -= k;
    }
}

static inline XXH128_hash_t
hash_bytes(const uint8_t *bytes, size_t len, uint64_t seed)
{
    const struct base_hash128 h = base_hash128(bytes, len, seed);

    return (XXH128_hash_t){.low64 = h.lo, .high64 = h.hi};
}

/* The cell of n numbers from the from-th on: of a row, a list, a tensor. */
static XXH128_hash_t
hash_numbers(const struct shard_array *a, struct fmt_type is, size_t from, size_t n, uint64_t seed)
{
    const enum shard_type t = a->elem ? a->elem : a->type;
    const uint8_t *values = (const uint8_t *)a->values + from * is.size;
    XXH3_state_t st;

    if (is.number != FMT_NUMBER_FLOAT)
        return hash_bytes(values, n * is.size, seed);
    state_begin(&st, seed);
    update_numbers(&st, is, t, values, n);
    return XXH3_128bits_digest(&st);
}

/* Indices, then values. */
static XXH128_hash_t
hash_sparse(const struct shard_array *a, struct fmt_type is, size_t from, size_t n, uint64_t seed)
{
    XXH3_state_t st;

    state_begin(&st, seed);
    base_hash_update(&st, a->indices + from, n * sizeof(*a->indices));
    update_numbers(&st, is, a->elem, (const uint8_t *)a->values + from * is.size, n);
    return XXH3_128bits_digest(&st);
}

/* The lengths of the strings, then their bytes. No two lists give the same: with fewer strings the
 * lengths would have to add up to more. */
static XXH128_hash_t
hash_strings(const struct shard_array *a, size_t from, size_t n, uint64_t seed)
{
    const int32_t *ends = a->elem_offsets + from;
    uint8_t buf[512];
    XXH3_state_t st;

    state_begin(&st, seed);
    for (size_t i = 0; i < n;) {
        const size_t k = BASE_MIN(n - i, sizeof(buf) / 4);

        for (size_t j = 0; j < k; j++)
            base_store_le32(buf + j * 4, (uint32_t)(ends[i + j + 1] - ends[i + j]));
        base_hash_update(&st, buf, k * 4);
        i += k;
    }
    base_hash_update(&st, (const uint8_t *)a->values + ends[0], (size_t)(ends[n] - ends[0]));
    return XXH3_128bits_digest(&st);
}

/* The cell of a value that is not in memory was made when it was. */
static XXH128_hash_t
far_cell(const struct shard_array *a, const struct shard_far *far)
{
    const struct fmt_spooled *value = far->source;
    const struct base_hash128 h =
        a->type == SHARD_TYPE_STRING ? value->string_cell : value->binary_cell;

    return (XXH128_hash_t){.low64 = h.lo, .high64 = h.hi};
}

static inline XXH128_hash_t
hash_cell(const struct shard_array *a, struct fmt_type is, uint64_t row, uint64_t seed)
{
    const uint8_t *values = a->values;
    const size_t from = is.offsets ? (size_t)a->offsets[row] : row;
    const size_t n = is.offsets ? (size_t)a->offsets[row + 1] - from : 1;
    const struct shard_far *far;
    uint8_t buf[8];

    switch (is.kind) {
    case FMT_KIND_BYTES:
        far = n == 0 ? fmt_array_far(a, row) : NULL;
        if (far)
            return far_cell(a, far);
        return hash_bytes(values + from, n, seed);
    case FMT_KIND_BIT:
        buf[0] = fmt_bits_get(values, row);
        return XXH3_128bits_withSeed(buf, 1, seed);
    case FMT_KIND_NUMBER:
        if (is.number != FMT_NUMBER_FLOAT)
            return XXH3_128bits_withSeed(values + row * is.size, is.size, seed);
        canon_floats(a->type, values + row * is.size, 1, buf);
        return XXH3_128bits_withSeed(buf, is.size, seed);
    case FMT_KIND_TENSOR:
        return hash_numbers(a, is, row * a->width, a->width, seed);
    case FMT_KIND_LIST:
        return hash_numbers(a, is, from, n, seed);
    case FMT_KIND_SPARSE:
        return hash_sparse(a, is, from, n, seed);
    case FMT_KIND_STRINGS:
        return hash_strings(a, from, n, seed);
    case FMT_KIND_UNKNOWN: /* nobody can have decoded it */
        break;
    }
    return XXH3_128bits_withSeed(NULL, 0, seed);
}

/* A cell as it goes into its row's hash: low half, high half, little-endian. */
static inline void
cell_store(uint8_t *ret, XXH128_hash_t h)
{
    base_store_le64(ret, h.low64);
    base_store_le64(ret + 8, h.high64);
}

/* n <= BLOCK_ROWS rows of a plan of which n rows fit into the block's cells. */
static void
hash_block(const struct fmt_rowhash *h, const struct shard_array *arrays, uint64_t row0,
           uint64_t n, struct base_hash128 *ret)
{
    uint8_t cells[BLOCK_CELLS * CELL_SIZE];
    uint16_t lens[BLOCK_ROWS] = {0}; /* bytes of cells of each row so far */
    const size_t stride = (size_t)h->n_cols * CELL_SIZE;

    for (uint32_t c = 0; c < h->n_cols; c++) {
        const struct shard_array *a = &arrays[h->cols[c].index];
        const uint64_t seed = h->cols[c].seed;

        for (uint64_t i = 0; i < n; i++) {
            if (fmt_array_is_null(a, row0 + i))
                continue;
            cell_store(cells + i * stride + lens[i], hash_cell(a, h->cols[c].is, row0 + i, seed));
            lens[i] += CELL_SIZE;
        }
    }
    for (uint64_t i = 0; i < n; i++)
        ret[i] = base_hash128(cells + i * stride, lens[i], 0);
}

/* A row of more columns than a block has cells. */
static struct base_hash128
hash_wide_row(const struct fmt_rowhash *h, const struct shard_array *arrays, uint64_t row)
{
    struct base_hash128 r;
    XXH128_hash_t sum;
    XXH3_state_t st;
    uint8_t cell[CELL_SIZE];

    (void)XXH3_128bits_reset(&st);
    for (uint32_t c = 0; c < h->n_cols; c++) {
        const struct shard_array *a = &arrays[h->cols[c].index];

        if (fmt_array_is_null(a, row))
            continue;
        cell_store(cell, hash_cell(a, h->cols[c].is, row, h->cols[c].seed));
        base_hash_update(&st, cell, sizeof(cell));
    }
    sum = XXH3_128bits_digest(&st);
    r.lo = sum.low64;
    r.hi = sum.high64;
    return r;
}

void
fmt_rowhash_rows(const struct fmt_rowhash *h, const struct shard_array *arrays, uint64_t row0,
                 uint64_t n, struct base_hash128 *ret)
{
    uint64_t block = BLOCK_ROWS;

    if (h->n_cols > BLOCK_CELLS) {
        for (uint64_t i = 0; i < n; i++)
            ret[i] = hash_wide_row(h, arrays, row0 + i);
        return;
    }
    if (h->n_cols > BLOCK_CELLS / BLOCK_ROWS)
        block = BLOCK_CELLS / h->n_cols;
    for (uint64_t i = 0; i < n; i += block)
        hash_block(h, arrays, row0 + i, BASE_MIN(n - i, block), ret + i);
}
