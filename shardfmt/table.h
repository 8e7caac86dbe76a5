/* Restricted shard files: a small table of a fixed schema in a file of its own, plain and zstd,
 * without statistics, one row group. Roots and segments are such tables, so that the code that
 * writes, checks and shows shards does the same for them. */
#ifndef FMT_TABLE_H
#define FMT_TABLE_H

#include "shardfmt/shard.h"

/* A table of n file bytes may hold up to FMT_TABLE_RAW_BASE + n * FMT_TABLE_RATIO_MAX raw bytes:
 * what opening a hostile file can cost. */
#define FMT_TABLE_FILE_MAX  (256u << 20)
#define FMT_TABLE_RAW_BASE  (16u << 20)
#define FMT_TABLE_RATIO_MAX 256u
#define FMT_TABLE_LEVEL     9 /* of zstd; part of "same content, same bytes" */

/* A loaded table. The arrays live until fmt_table_done(). */
struct fmt_table {
    uint64_t n_rows;
    uint32_t n_columns;
    struct shard_array *arrays;   /* n_columns, as the schema has them; zeros where not loaded */
    struct fmt_decoded **decoded; /* n_columns; what the arrays point to */
    uint8_t *stored;              /* the stored pages; text may point there */
    uint64_t file_bytes;
    uint64_t ro_compat;       /* features that forbid successors; unknown ones only */
    struct base_hash128 hash; /* content hash: the caller compares it with what it expects */
};

/* Load of the table at dirfd/path the columns whose bits are set, and check that it begins with
 * those of the schema. ret need not be initialised, and holds nothing after an error. */
SHARD_NODISCARD int fmt_table_load(int dirfd, const char *path, const struct fmt_schema *schema,
                                   uint32_t columns, struct fmt_table *ret, struct shard_error *err);
void fmt_table_done(struct fmt_table *t);

/* Write cols (one per field of schema, all of the same number of rows) as the table dirfd/path,
 * which must not exist, and sync it; level is that of zstd, 0 for none. A file begun is removed again
 * after an error. */
struct fmt_table_info {
    uint64_t file_bytes;
    struct base_hash128 hash;
};
SHARD_NODISCARD int fmt_table_write(int dirfd, const char *path, const struct fmt_schema *schema,
                                    const struct fmt_column *cols, int level,
                                    struct fmt_table_info *ret, struct shard_error *err);

/* A cell of a string or binary column: its bytes and their number. */
static inline const char *
fmt_table_bytes(const struct shard_array *a, uint64_t row, size_t *ret_len)
{
    *ret_len = (size_t)(a->offsets[row + 1] - a->offsets[row]);
    return (const char *)a->values + a->offsets[row];
}

#endif
