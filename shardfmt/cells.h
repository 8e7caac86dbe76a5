/* The cells of roots and segments: reading hostile ones, and building new ones. */
#ifndef FMT_CELLS_H
#define FMT_CELLS_H

#include "shardfmt/table.h"

struct fmt_table_field {
    const char *name;
    enum shard_type type, elem;
};

/* Load a table of exactly these fields: those columns of it whose bits are set. The caller ends it
 * with fmt_table_done(). */
SHARD_NODISCARD int fmt_manifest_load(int dirfd, const char *path,
                                      const struct fmt_table_field *fields, size_t n,
                                      uint32_t columns, struct fmt_table *ret,
                                      struct shard_error *err);

/* A copy of a text cell as a C string: 0, -ENOMEM, or SHARD_ECORRUPT where it holds a NUL byte. */
SHARD_NODISCARD int fmt_cell_text(const struct shard_array *a, uint64_t row, char **ret);
/* A hash cell: 16 bytes, or none, which is the hash 0 of a fact that has none; else
 * SHARD_ECORRUPT. */
SHARD_NODISCARD int fmt_cell_hash(const struct shard_array *a, uint64_t row,
                                  struct base_hash128 *ret);

static inline uint64_t
fmt_cell_u64(const struct shard_array *a, uint64_t row)
{
    return ((const uint64_t *)a->values)[row];
}

/* The columns of a table being built. */
#define FMT_BUILDER_COLUMNS 9
struct fmt_builder {
    struct fmt_schema schema;
    struct fmt_column cols[FMT_BUILDER_COLUMNS];
};

/* fmt_builder_done() also after a failure. n is at most FMT_BUILDER_COLUMNS. */
SHARD_NODISCARD int fmt_builder_init(struct fmt_builder *b, const struct fmt_table_field *fields,
                                     size_t n);
void fmt_builder_done(struct fmt_builder *b);
SHARD_NODISCARD int fmt_put_text(struct fmt_column *c, const char *text);
SHARD_NODISCARD int fmt_put_hash(struct fmt_column *c, struct base_hash128 hash);

#endif
