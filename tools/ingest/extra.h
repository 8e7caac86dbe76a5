/* Building the text of _extra for one row: a JSON object with exactly the values that the typed
 * columns cannot give back, at their nested places. Reusable; not thread-safe. */
#ifndef INGEST_EXTRA_H
#define INGEST_EXTRA_H

#include "tools/ingest/json_tree.h"

/* How deep the text of _extra may be nested: the deepest record (INGEST_DEPTH_MAX) and the most
 * parts that a column's name has. */
#define INGEST_EXTRA_DEPTH 8192u

struct ingest_extra_level {
    const char *key; /* borrowed until the object is left */
    size_t key_len;
    bool open, comma;
};

/* Zeroed is a valid empty one. */
struct ingest_extra {
    struct base_buf text;
    struct ingest_extra_level *levels;
    uint32_t depth, cap;
    /* Values whose place is not where the walk is: put in at the end. */
    struct base_buf loose_text; /* name NUL json NUL ... */
    struct base_buf merged;
    struct ingest_tree tree;
    struct ingest_json *parser; /* made when first needed */
};

/* Forget the last row. */
SHARD_NODISCARD int ingest_extra_begin(struct ingest_extra *x);
/* Into the object under key, and out again; key lives until then. Nothing is written for objects
 * that get no value. */
SHARD_NODISCARD int ingest_extra_enter(struct ingest_extra *x, const char *key, size_t len);
SHARD_NODISCARD int ingest_extra_leave(struct ingest_extra *x);
/* "key": is written; the caller appends the value's JSON to x->text. */
SHARD_NODISCARD int ingest_extra_key(struct ingest_extra *x, const char *key, size_t len);
/* A value at a dotted name, wherever the walk is: append its JSON, then a NUL, to x->loose_text. */
SHARD_NODISCARD int ingest_extra_loose(struct ingest_extra *x, const char *name);
/* The whole record is no object: append its JSON to x->text. */
void ingest_extra_record(struct ingest_extra *x);
/* The text; empty where the row has nothing extra. Valid until the next begin. */
SHARD_NODISCARD int ingest_extra_end(struct ingest_extra *x, const struct base_buf **ret_text);
void ingest_extra_done(struct ingest_extra *x);

#endif
