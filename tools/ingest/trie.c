#include "config.h"

#include "tools/ingest/trie.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/hash.h"

static int
append_node(struct ingest_trie *t, uint32_t parent, const char *name, size_t len, uint64_t hash,
            uint32_t *ret_id)
{
    struct ingest_trie_node *node;

    if (t->n_nodes == t->cap) {
        uint32_t cap = t->cap ? t->cap * 2 : 64;
        void *p = realloc(t->nodes, cap * sizeof(*t->nodes));

        if (p == NULL)
            return -ENOMEM;
        t->nodes = p;
        t->cap = cap;
    }
    node = &t->nodes[t->n_nodes];
    node->name_off = t->names.len;
    if (base_buf_append(&t->names, name, len) < 0 || base_buf_append(&t->names, "", 1) < 0)
        return -ENOMEM;
    node->parent = parent;
    node->first = node->last = node->next = INGEST_TRIE_NONE;
    node->name_len = (uint32_t)len;
    node->hash = hash;
    *ret_id = t->n_nodes++;
    return 0;
}

int
ingest_trie_init(struct ingest_trie *t)
{
    uint32_t id;

    memset(t, 0, sizeof(*t));
    return append_node(t, INGEST_TRIE_NONE, "", 0, 0, &id);
}

void
ingest_trie_done(struct ingest_trie *t)
{
    free(t->nodes);
    free(t->table);
    base_buf_done(&t->names);
    memset(t, 0, sizeof(*t));
}

static void
table_put(struct ingest_trie *t, uint32_t id)
{
    uint32_t mask = t->table_cap - 1;
    uint32_t i = (uint32_t)t->nodes[id].hash & mask;

    while (t->table[i] != INGEST_TRIE_NONE)
        i = (i + 1) & mask;
    t->table[i] = id;
}

static int
table_grow(struct ingest_trie *t)
{
    uint32_t cap = t->table_cap ? t->table_cap * 2 : 128;
    uint32_t *table = malloc(cap * sizeof(*table));

    if (table == NULL)
        return -ENOMEM;
    memset(table, 0xff, cap * sizeof(*table));
    free(t->table);
    t->table = table;
    t->table_cap = cap;
    for (uint32_t id = 1; id < t->n_nodes; id++)
        table_put(t, id);
    return 0;
}

static uint32_t
lookup(const struct ingest_trie *t, uint32_t parent, const char *name, size_t len, uint64_t hash)
{
    uint32_t mask, i;

    if (t->table_cap == 0)
        return INGEST_TRIE_NONE;
    mask = t->table_cap - 1;
    for (i = (uint32_t)hash & mask; t->table[i] != INGEST_TRIE_NONE; i = (i + 1) & mask) {
        const struct ingest_trie_node *node = &t->nodes[t->table[i]];

        if (node->hash == hash && node->parent == parent && node->name_len == len &&
            memcmp(ingest_trie_name(t, t->table[i]), name, len) == 0)
            return t->table[i];
    }
    return INGEST_TRIE_NONE;
}

uint32_t
ingest_trie_lookup(const struct ingest_trie *t, uint32_t parent, const char *name, size_t len)
{
    return lookup(t, parent, name, len, base_hash64(name, len, parent));
}

int
ingest_trie_add(struct ingest_trie *t, uint32_t parent, const char *name, size_t len,
                uint32_t *ret_id)
{
    uint64_t hash = base_hash64(name, len, parent);
    uint32_t id = lookup(t, parent, name, len, hash);
    int r;

    if (id != INGEST_TRIE_NONE) {
        *ret_id = id;
        return 0;
    }
    if ((uint64_t)t->n_nodes * 2 >= t->table_cap && (r = table_grow(t)) < 0)
        return r;
    r = append_node(t, parent, name, len, hash, &id);
    if (r < 0)
        return r;
    table_put(t, id);
    if (t->nodes[parent].last == INGEST_TRIE_NONE)
        t->nodes[parent].first = id;
    else
        t->nodes[t->nodes[parent].last].next = id;
    t->nodes[parent].last = id;
    *ret_id = id;
    return 0;
}

int
ingest_trie_path(const struct ingest_trie *t, uint32_t id, struct base_buf *out)
{
    int r;

    if (t->nodes[id].parent != INGEST_TRIE_ROOT) {
        r = ingest_trie_path(t, t->nodes[id].parent, out);
        if (r < 0)
            return r;
        r = base_buf_append(out, ".", 1);
        if (r < 0)
            return r;
    }
    return base_buf_append(out, ingest_trie_name(t, id), t->nodes[id].name_len);
}
