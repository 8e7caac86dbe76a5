/* One JSON object put together from parts that come in any order: dotted columns, and the members
 * of _extra. Reusable; not thread-safe. */
#ifndef INGEST_JSON_TREE_H
#define INGEST_JSON_TREE_H

#include "lib/buf.h"
#include "tools/ingest/json_dom.h"

struct ingest_tree_node {
    const char *key; /* borrowed until the reset */
    size_t key_len;
    size_t text_off, text_len; /* of a leaf, in text */
    uint32_t parent, first, last, next;
    bool leaf;
};

/* Zeroed is a valid empty tree. */
struct ingest_tree {
    struct ingest_tree_node *nodes;
    uint32_t n_nodes, cap;
    uint32_t *table; /* of nodes by parent and key, in trees that are large; else not used */
    uint32_t table_cap;
    struct base_buf text; /* JSON of the leaves */
    size_t leaf_off;
};

SHARD_NODISCARD int ingest_tree_reset(struct ingest_tree *t); /* before use, too */
void ingest_tree_done(struct ingest_tree *t);
/* A leaf at a dotted name: append its JSON to t->text between begin and end. Where a part of the
 * name is a value already, the rest of the name stays one key with its dots; a value where there is
 * an object goes into it under the empty key. */
void ingest_tree_begin(struct ingest_tree *t);
SHARD_NODISCARD int ingest_tree_end(struct ingest_tree *t, const char *name);
/* Merge an object's members in; they win over what is there. */
SHARD_NODISCARD int ingest_tree_merge(struct ingest_tree *t, const struct ingest_json_node *object);
SHARD_NODISCARD int ingest_tree_print(const struct ingest_tree *t, struct base_buf *out);

#endif
