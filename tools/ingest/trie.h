/* Names by parent: the tree of JSON keys, and flat sets of column names (all below the root).
 * Children keep the order in which they were added. Read-only use may be shared by threads. */
#ifndef INGEST_TRIE_H
#define INGEST_TRIE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"

#define INGEST_TRIE_ROOT 0u
#define INGEST_TRIE_NONE UINT32_MAX

struct ingest_trie_node {
    uint32_t parent, first, last, next; /* first and last child, next sibling; or NONE */
    uint32_t name_len;
    size_t name_off;
    uint64_t hash;
};

struct ingest_trie {
    struct ingest_trie_node *nodes;
    uint32_t n_nodes, cap;
    struct base_buf names;
    uint32_t *table; /* open addressing, a power of two; NONE = free */
    uint32_t table_cap;
};

SHARD_NODISCARD int ingest_trie_init(struct ingest_trie *t); /* with a root */
void ingest_trie_done(struct ingest_trie *t);                /* zeroed is fine */
/* Find or add. 0, -ENOMEM. */
SHARD_NODISCARD int ingest_trie_add(struct ingest_trie *t, uint32_t parent, const char *name,
                                    size_t len, uint32_t *ret_id);
uint32_t ingest_trie_lookup(const struct ingest_trie *t, uint32_t parent, const char *name,
                            size_t len);
/* The names from below the root to id, joined by dots, appended. */
SHARD_NODISCARD int ingest_trie_path(const struct ingest_trie *t, uint32_t id,
                                     struct base_buf *out);

static inline const char *
ingest_trie_name(const struct ingest_trie *t, uint32_t id)
{
    return (const char *)t->names.data + t->nodes[id].name_off;
}

/* Like lookup, trying hint first: records mostly repeat the order of their keys. */
static inline uint32_t
ingest_trie_find(const struct ingest_trie *t, uint32_t parent, uint32_t hint, const char *name,
                 size_t len)
{
    if (hint != INGEST_TRIE_NONE && t->nodes[hint].name_len == len &&
        memcmp(ingest_trie_name(t, hint), name, len) == 0)
        return hint;
    return ingest_trie_lookup(t, parent, name, len);
}

#endif
