/* Appending one row at a time to columns: what all parsers share. A row is begun, gets values in
 * any order, and is committed or rejected; columns that got none are null. Not thread-safe. */
#ifndef INGEST_ROW_H
#define INGEST_ROW_H

#include "tools/ingest/extra.h"
#include "tools/ingest/parse.h"
#include "tools/ingest/plan.h"

struct ingest_row {
    const struct ingest_plan *plan;
    struct ingest_rows *rows;
    struct ingest_rejects *rejects; /* where they go: rows->rejects */
    const struct ingest_block *block;
    uint64_t n;        /* rows committed; columns may lag behind, with nulls to come */
    uint32_t *touched; /* columns that this row has a value in */
    uint32_t n_touched;
    struct ingest_extra extra;
    struct base_buf list; /* scratch: elements of a list, */
    struct base_buf lens; /* and where they are strings, their lengths */
    size_t counted_off;   /* bytes of the block, and the line they end in */
    uint64_t counted_line;
};

SHARD_NODISCARD int ingest_row_init(struct ingest_row *w, const struct ingest_plan *plan);
void ingest_row_done(struct ingest_row *w);
void ingest_row_start(struct ingest_row *w, struct ingest_rows *rows, const struct ingest_block *b);
SHARD_NODISCARD int ingest_row_begin(struct ingest_row *w);

/* 1, 0 where the value does not fit the column's type, or an error. */
SHARD_NODISCARD int ingest_row_node(struct ingest_row *w, uint32_t col,
                                    const struct ingest_json_node *node);
SHARD_NODISCARD int ingest_row_text(struct ingest_row *w, uint32_t col, const char *p, size_t len);
SHARD_NODISCARD int ingest_row_bytes(struct ingest_row *w, uint32_t col, const void *p, size_t len);
/* A value that is not in memory, for a column of strings or bytes. */
SHARD_NODISCARD int ingest_row_spooled(struct ingest_row *w, uint32_t col,
                                       struct fmt_spooled *value);
SHARD_NODISCARD int ingest_row_sparse(struct ingest_row *w, uint32_t col, const uint32_t *indices,
                                      const void *values, size_t n);

/* The row is whole: it stood at bytes [start, end) of the block. Rejects it where a column that
 * may not be null is. 0 or an error. */
SHARD_NODISCARD int ingest_row_commit(struct ingest_row *w, size_t start, size_t end);
/* Forget the row's values and note why. 0 or an error. */
SHARD_NODISCARD int ingest_row_reject(struct ingest_row *w, const char *reason, const char *column,
                                      size_t start, size_t end, const char *detail, ...)
    __attribute__((format(printf, 6, 7)));
/* Go back to n rows. */
void ingest_row_rollback(struct ingest_row *w, uint64_t n);
/* The block is done: every column gets as many rows, path columns their value. */
SHARD_NODISCARD int ingest_row_finish(struct ingest_row *w);

#endif
