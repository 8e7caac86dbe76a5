/* Records to typed rows: schema inference, then parsing of blocks. Pure functions of the block and
 * the plan, run by many threads. */
#ifndef INGEST_PARSE_H
#define INGEST_PARSE_H

#include <regex.h>

#include "shardfmt/column.h"
#include "shardfmt/rowhash.h"
#include "shardfmt/schema.h"
#include "tools/ingest/block.h"

/* --path-column 'NAME=REGEX[:-DEFAULT]' */
struct ingest_path_column {
    char *name;
    regex_t regex;
    char *fallback; /* NULL = null */
};

/* --min-length COLUMN=BYTES */
struct ingest_min_length {
    char *column;
    uint64_t bytes;
};

struct ingest_rename {
    char *from, *to;
};

struct ingest_parse_opts {
    struct ingest_path_column *path_columns;
    size_t n_path_columns;
    struct ingest_min_length *min_lengths;
    size_t n_min_lengths;
    char **columns; /* --columns: keep these, in this order; NULL = all */
    size_t n_columns;
    struct ingest_rename *renames;
    size_t n_renames;
    const char *schema; /* --schema TEXT or NULL */
    char **dedup_key;   /* NULL = all columns */
    size_t n_dedup_key;
    char **split_key; /* NULL = the dedup key */
    size_t n_split_key;
    uint32_t max_columns;    /* of an inferred schema; 0 = 16384; further keys go to _extra */
    uint32_t max_json_depth; /* 0 = 1024 */
};

/* ------------------------------------------------------------------------------- inference */

struct ingest_infer; /* what was seen so far; merging is associative, order decides column order */

SHARD_NODISCARD int ingest_infer_new(const struct ingest_parse_opts *opts,
                                     struct ingest_infer **ret);
/* Look at a block (any format). Rejected records are ignored here. Pure but for in. */
SHARD_NODISCARD int ingest_infer_block(struct ingest_infer *in, const struct ingest_block *b,
                                       struct shard_error *err);
/* Add what src saw (later in input order) to dst. */
SHARD_NODISCARD int ingest_infer_merge(struct ingest_infer *dst, const struct ingest_infer *src);
void ingest_infer_free(struct ingest_infer *in); /* accepts NULL */

/* ------------------------------------------------------------------------------------ plan */

/* What parsing needs to know: the schema, where each column comes from, what is hashed. Read-only
 * after it is made: share freely. */
struct ingest_plan {
    struct fmt_schema schema;       /* of the dataset; _extra last where there is one */
    struct fmt_rowhash *row_hash;   /* all columns: fingerprint */
    struct fmt_rowhash *dedup_hash; /* NULL where it is the same as row_hash */
    struct fmt_rowhash *split_hash; /* NULL where it is the same as the dedup hash */
    int extra;                      /* column _extra, or -1 */
    const struct ingest_parse_opts *opts;
    struct ingest_plan_impl *impl;
};
/* The schema that was inferred, or opts->schema. SHARD_EPARSE / SHARD_ENOTFOUND name the option
 * that does not fit (an unknown column in --min-length, --dedup-key, ...). */
SHARD_NODISCARD int ingest_plan_make(const struct ingest_parse_opts *opts,
                                     const struct ingest_infer *in, struct ingest_plan **ret_plan,
                                     struct shard_error *err);
void ingest_plan_free(struct ingest_plan *p);

/* ----------------------------------------------------------------------------------- parse */

/* The rows of one block. Reusable. */
struct ingest_rows {
    struct fmt_column *cols; /* plan->schema.n_fields */
    uint32_t n_cols;
    uint64_t n_rows; /* that passed the filters */
    uint64_t n_filtered;
    struct base_hash128 *row_hash;    /* n_rows */
    struct base_hash128 *dedup_hash;  /* n_rows; may equal row_hash */
    struct base_hash128 *split_hash;  /* n_rows; may equal dedup_hash */
    struct base_hash128 filtered_sum; /* fingerprint of the filtered rows */
    struct ingest_rejects rejects;
    uint64_t bytes; /* of the block */
};
SHARD_NODISCARD int ingest_rows_new(const struct ingest_plan *plan, struct ingest_rows **ret);
void ingest_rows_free(struct ingest_rows *r); /* accepts NULL */
uint64_t ingest_rows_memory(const struct ingest_rows *r);

struct ingest_parser; /* per-thread state (simdjson, scratch) */
SHARD_NODISCARD int ingest_parser_new(const struct ingest_plan *plan, struct ingest_parser **ret);
void ingest_parser_free(struct ingest_parser *p); /* accepts NULL */
/* Parse a block into rows (reset first). Bad records become rejects; an error is only lack of
 * memory and such. */
SHARD_NODISCARD int ingest_parse_block(struct ingest_parser *p, const struct ingest_block *b,
                                       struct ingest_rows *rows, struct shard_error *err);

/* ---------------------------------------------------------------------------------- export */

/* What export needs from row to row; not thread-safe. Arrays are one per field of the schema. */
struct ingest_export;
SHARD_NODISCARD int ingest_export_new(struct ingest_export **ret); /* 0, -ENOMEM */
void ingest_export_free(struct ingest_export *x);                  /* accepts NULL */

/* A value that is not in its array (see struct shard_far) becomes a mark in the JSON text: a NUL,
 * which JSON never holds, and the address of its struct shard_far. */
#define INGEST_FAR_MARK (1 + sizeof(void *))

/* Row `row` as one JSON text without newline, appended: dotted columns nested again, _extra merged
 * back, numbers in their shortest exact form. SHARD_ECORRUPT where _extra is no JSON. */
SHARD_NODISCARD int ingest_export_json(struct ingest_export *x, const struct fmt_schema *s,
                                       const struct shard_array *arrays, uint64_t row,
                                       struct base_buf *out, struct shard_error *err);
/* Likewise as one CSV record with LF (RFC 4180 quoting; null is an empty cell, an empty string "";
 * lists as JSON). Values of _extra that belong to a cell go there. What is left over, such as a
 * JSON null or a nested array, stands in the column _extra; without with_extra that is
 * SHARD_EUNSUPPORTED. */
SHARD_NODISCARD int ingest_export_csv(struct ingest_export *x, const struct fmt_schema *s,
                                      const struct shard_array *arrays, uint64_t row,
                                      char delimiter, bool with_extra, struct base_buf *out,
                                      struct shard_error *err);
/* 1 where something is left over for the CSV column _extra, 0 where not. For a dataset that came
 * from CSV mostly no row has: one pass over the rows whose _extra is not null tells whether the
 * column is needed. */
SHARD_NODISCARD int ingest_export_csv_left(struct ingest_export *x, const struct fmt_schema *s,
                                           const struct shard_array *arrays, uint64_t row,
                                           struct shard_error *err);
SHARD_NODISCARD int ingest_export_csv_header(const struct fmt_schema *s, char delimiter,
                                             bool with_extra, struct base_buf *out);

/* Base64 of bytes; to come in parts, their lengths must be multiples of 3. 0 or -ENOMEM. */
SHARD_NODISCARD int ingest_export_base64(const uint8_t *p, size_t len, struct base_buf *out);

/* For a row now and then: the same, with _extra as a CSV column. */
SHARD_NODISCARD int ingest_row_to_json(const struct fmt_schema *s, const struct shard_array *arrays,
                                       uint64_t row, struct base_buf *out, struct shard_error *err);
SHARD_NODISCARD int ingest_row_to_csv(const struct fmt_schema *s, const struct shard_array *arrays,
                                      uint64_t row, char delimiter, struct base_buf *out,
                                      struct shard_error *err);

#endif
