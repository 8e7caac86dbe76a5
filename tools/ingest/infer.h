/* Inside of inference, shared by infer*.c and the plan. */
#ifndef INGEST_INFER_H
#define INGEST_INFER_H

#include "tools/ingest/csv.h"
#include "tools/ingest/json_dom.h"
#include "tools/ingest/parse.h"
#include "tools/ingest/trie.h"

#define INGEST_MAX_COLUMNS 16384u /* default of max_columns */
#define INGEST_MAX_DEPTH   1024u /* default of max_json_depth */
#define INGEST_DEPTH_MAX   4096u /* its limit: records are walked by recursion */

/* How often values of each kind stood at one place. */
struct ingest_json_seen {
    uint64_t bools, strings, floats;
    uint64_t ints, negative, above_int64;                   /* ints: all of them */
    uint64_t lists, list_negative, list_above, list_floats; /* not empty, of numbers only */
    uint64_t string_lists;                                  /* not empty, of strings only */
    bool value; /* anything but objects: it may be a column */
};

/* What the cells of one CSV column were like. */
struct ingest_csv_seen {
    uint64_t cells; /* that are not null */
    bool not_int, not_float, negative, above_int64;
};

struct ingest_infer {
    const struct ingest_parse_opts *opts;
    struct ingest_trie keys; /* of JSON objects; nodes are parallel to json */
    struct ingest_json_seen *json;
    uint32_t cap_json;
    struct ingest_json_seen record; /* records that are no objects */
    bool any_record;
    struct ingest_trie names; /* of CSV columns; parallel to csv */
    struct ingest_csv_seen *csv;
    uint32_t cap_csv;
    size_t csv_width; /* cells of the first record without a header; 0 = none seen */
    bool any_json, any_csv, any_text, any_svm, any_files;
    bool content_binary;
    bool label_float, label_f64, value_f64; /* libsvm: what does not fit the narrower type */
    /* scratch of this thread */
    struct ingest_json *parser;
    struct ingest_csv reader;
    struct base_buf table;
};

/* One block of each family. */
SHARD_NODISCARD int ingest_infer_json(struct ingest_infer *in, const struct ingest_block *b);
SHARD_NODISCARD int ingest_infer_csv(struct ingest_infer *in, const struct ingest_block *b);
SHARD_NODISCARD int ingest_infer_svm(struct ingest_infer *in, const struct ingest_block *b);
SHARD_NODISCARD int ingest_infer_json_merge(struct ingest_infer *dst,
                                            const struct ingest_infer *src);
SHARD_NODISCARD int ingest_infer_csv_merge(struct ingest_infer *dst,
                                           const struct ingest_infer *src);

/* The column types that what was seen asks for; false where there is none to have. */
bool ingest_json_seen_type(const struct ingest_json_seen *s, enum shard_type *ret_type,
                           enum shard_type *ret_elem);
enum shard_type ingest_csv_seen_type(const struct ingest_csv_seen *s);

/* A JSON key that can be part of a column's name: dots separate, and names are C strings. */
bool ingest_json_key_fits(const char *key, size_t len, bool top);

static inline uint32_t
ingest_max_columns(const struct ingest_parse_opts *opts)
{
    return opts->max_columns ? opts->max_columns : INGEST_MAX_COLUMNS;
}

static inline uint32_t
ingest_max_depth(const struct ingest_parse_opts *opts)
{
    const uint32_t depth = opts->max_json_depth ? opts->max_json_depth : INGEST_MAX_DEPTH;

    return depth < INGEST_DEPTH_MAX ? depth : INGEST_DEPTH_MAX;
}

/* The columns that the sample asks for, in order: names are those of the input. SHARD_EPARSE where
 * two formats want one name for things that cannot share a column. */
SHARD_NODISCARD int ingest_infer_columns(const struct ingest_infer *in, struct fmt_schema *ret,
                                         struct shard_error *err);

#endif
