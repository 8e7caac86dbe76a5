/* A column being built: growable storage in the layout of struct shard_array. What parsers append
 * to, what row groups are gathered into, and what batches are made of. Not thread-safe.
 *
 * Appends return 0, -ENOMEM, or SHARD_ELIMIT above INT32_MAX bytes or elements. */
#ifndef FMT_COLUMN_H
#define FMT_COLUMN_H

#include "lib/buf.h"
#include "shardfmt/bits.h"
#include "shardfmt/schema.h"

struct fmt_column {
    enum shard_type type, elem;
    uint32_t width;           /* elements per row of a tensor; else 0 */
    struct fmt_type is;
    uint64_t n_rows, n_nulls, n_values;
    struct base_buf validity; /* bits; empty until the first null */
    struct base_buf offsets;  /* int32; holds n_rows + 1 for types that have offsets */
    struct base_buf indices;  /* uint32; sparse only */
    struct base_buf values;
    struct base_buf far;      /* struct shard_far; source: a reference to a struct fmt_spooled */
    struct base_buf elem_offsets; /* int32; list<string> only; holds n_values + 1 once a row is there */
};

/* A column of a type without parameters. */
void fmt_column_init(struct fmt_column *c, enum shard_type type, enum shard_type elem);
/* One of f's type, which this build knows. */
void fmt_column_init_field(struct fmt_column *c, const struct shard_field *f);
void fmt_column_reset(struct fmt_column *c); /* keep memory, forget rows */
void fmt_column_done(struct fmt_column *c);

SHARD_NODISCARD int fmt_column_append_null(struct fmt_column *c);
SHARD_NODISCARD int fmt_column_append_bool(struct fmt_column *c, bool v);
/* A number of c->type's size at v (unaligned is fine). */
SHARD_NODISCARD int fmt_column_append_number(struct fmt_column *c, const void *v);
/* string and binary; the caller has checked UTF-8. */
SHARD_NODISCARD int fmt_column_append_bytes(struct fmt_column *c, const void *data, size_t len);
/* The same of a value that is not in memory, which the column takes a reference to. */
struct fmt_spooled;
SHARD_NODISCARD int fmt_column_append_spooled(struct fmt_column *c, struct fmt_spooled *value);
/* list: n elements of c->elem's size. */
SHARD_NODISCARD int fmt_column_append_list(struct fmt_column *c, const void *values, size_t n);
/* list<string>: n strings of lens[i] bytes, which touch. The caller has checked UTF-8. */
SHARD_NODISCARD int fmt_column_append_strings(struct fmt_column *c, const void *bytes,
                                              const uint32_t *lens, size_t n);
/* tensor: c->width elements of c->elem's size. */
SHARD_NODISCARD int fmt_column_append_tensor(struct fmt_column *c, const void *values);
SHARD_NODISCARD int fmt_column_append_sparse(struct fmt_column *c, const uint32_t *indices,
                                             const void *values, size_t n);
/* Append rows [row0, row0 + n) of src, which has the same types. Fast path for runs. */
SHARD_NODISCARD int fmt_column_append_run(struct fmt_column *c, const struct shard_array *src,
                                          uint64_t row0, uint64_t n);
/* Append n rows of src in the order of rows[]. Fast: the loader's inner loop. */
SHARD_NODISCARD int fmt_column_append_rows(struct fmt_column *c, const struct shard_array *src,
                                           const uint32_t *rows, uint64_t n);
/* Forget all rows from n_rows on. */
void fmt_column_truncate(struct fmt_column *c, uint64_t n_rows);
/* A view; valid until the next append. */
void fmt_column_array(const struct fmt_column *c, struct shard_array *ret);
/* Bytes of memory held. */
uint64_t fmt_column_memory(const struct fmt_column *c);

/* Raw bytes of rows [row0, row0 + n) of an array: what row group limits and `raw_bytes` count:
 * values, 4 bytes per offset (of rows, of elements), 4 per index, 1 per bool, nothing for validity. */
uint64_t fmt_array_raw_bytes(const struct shard_array *a, uint64_t row0, uint64_t n);

/* The row's value where it is not in the array; else NULL. */
const struct shard_far *fmt_array_find_far(const struct shard_array *a, uint64_t row);
static inline const struct shard_far *
fmt_array_far(const struct shard_array *a, uint64_t row)
{
    return a->n_far ? fmt_array_find_far(a, row) : NULL;
}

static inline bool
fmt_array_is_null(const struct shard_array *a, uint64_t row)
{
    return a->validity && !(a->validity[row >> 3] >> (row & 7) & 1);
}

/* Which of rows [row, row + 64) there are and not null: the bits of a word, for loops over them. */
static inline uint64_t
fmt_array_valid_word(const struct shard_array *a, uint64_t row)
{
    const uint64_t n = a->n_rows - row < 64 ? a->n_rows - row : 64;

    return a->validity ? fmt_bits_word(a->validity, row, n) : UINT64_MAX >> (64 - n);
}

#endif
