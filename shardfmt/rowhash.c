/* Row hashes. docs/format.md, "Row hash", is normative:
 *
 *   seed of a column  XXH3-64 of its name, seeded with type + 256 * elem
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

#define CELL_SIZE   16u
#define BLOCK_CELLS 1024u /* on the stack: 16 KiB */
#define BLOCK_ROWS  128u

struct plan_column {
    const char *name; /* borrowed while the plan is made */
    uint32_t index;   /* of the field */
    uint64_t seed;
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
            .seed = base_hash64(f->name, strlen(f->name),
                                (uint64_t)f->type + 256 * (uint64_t)f->elem)};
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

/* Feed n values of a list to a hash, floats made canonical. */
static void
update_values(XXH3_state_t *st, enum shard_type elem, const uint8_t *values, size_t n)
{
    const size_t size = shard_type_size(elem);
    uint8_t buf[512];

    if (elem != SHARD_TYPE_FLOAT32 && elem != SHARD_TYPE_FLOAT64) {
        (void)XXH3_128bits_update(st, values, n * size);
        return;
    }
    while (n) {
        const size_t k = BASE_MIN(n, sizeof(buf) / size);

        for (size_t i = 0; i < k; i++) {
            if (size == 4)
                base_store_le32(buf + i * 4, canon32(base_load_le32(values + i * 4)));
            else
                base_store_le64(buf + i * 8, canon64(base_load_le64(values + i * 8)));
        }
        (void)XXH3_128bits_update(st, buf, k * size);
        values += k * size;
        n -= k;
    }
}

/* The cell of a list or a sparse vector: indices, then values. */
static XXH128_hash_t
hash_var(const struct shard_array *a, uint64_t row, uint64_t seed)
{
    const size_t size = shard_type_size(a->elem), v0 = (size_t)a->offsets[row];
    const size_t n = (size_t)a->offsets[row + 1] - v0;
    const uint8_t *values = (const uint8_t *)a->values + v0 * size;
    XXH3_state_t st;

    if (a->type == SHARD_TYPE_LIST && a->elem != SHARD_TYPE_FLOAT32 &&
        a->elem != SHARD_TYPE_FLOAT64)
        return XXH3_128bits_withSeed(values, n * size, seed);
    (void)XXH3_128bits_reset_withSeed(&st, seed);
    if (a->type == SHARD_TYPE_SPARSE)
        (void)XXH3_128bits_update(&st, a->indices + v0, n * sizeof(*a->indices));
    update_values(&st, a->elem, values, n);
    return XXH3_128bits_digest(&st);
}

static inline XXH128_hash_t
hash_cell(const struct shard_array *a, uint64_t row, uint64_t seed)
{
    const uint8_t *values = a->values;
    uint8_t buf[8];
    size_t size;

    switch (a->type) {
    case SHARD_TYPE_STRING:
    case SHARD_TYPE_BINARY:
        return XXH3_128bits_withSeed(values + a->offsets[row],
                                     (size_t)(a->offsets[row + 1] - a->offsets[row]), seed);
    case SHARD_TYPE_LIST:
    case SHARD_TYPE_SPARSE:
        return hash_var(a, row, seed);
    case SHARD_TYPE_BOOL:
        buf[0] = fmt_bits_get(values, row);
        return XXH3_128bits_withSeed(buf, 1, seed);
    case SHARD_TYPE_FLOAT32:
        base_store_le32(buf, canon32(base_load_le32(values + row * 4)));
        return XXH3_128bits_withSeed(buf, 4, seed);
    case SHARD_TYPE_FLOAT64:
        base_store_le64(buf, canon64(base_load_le64(values + row * 8)));
        return XXH3_128bits_withSeed(buf, 8, seed);
    default:
        size = shard_type_size(a->type);
        return XXH3_128bits_withSeed(values + row * size, size, seed);
    }
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
            cell_store(cells + i * stride + lens[i], hash_cell(a, row0 + i, seed));
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
        cell_store(cell, hash_cell(a, row, h->cols[c].seed));
        (void)XXH3_128bits_update(&st, cell, sizeof(cell));
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
