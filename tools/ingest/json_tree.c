#include "config.h"

#include "tools/ingest/json_tree.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/hash.h"
#include "tools/ingest/json_text.h"

#define NONE  UINT32_MAX
#define ROOT  0u
#define LARGE 64u /* nodes: smaller trees are searched child by child */

static bool
has_key(const struct ingest_tree_node *node, const char *key, size_t len)
{
    return node->key_len == len && memcmp(node->key, key, len) == 0;
}

/* ---------------------------------------------------------- the table: open addressing, half full */

/* Where a node stands in the table, or where it would. */
static uint32_t *
table_slot(const struct ingest_tree *t, uint32_t parent, const char *key, size_t len)
{
    uint32_t i = (uint32_t)base_hash64(key, len, parent);

    for (;; i++) {
        uint32_t *slot = &t->table[i & (t->table_cap - 1)];

        if (*slot == NONE || (t->nodes[*slot].parent == parent && has_key(&t->nodes[*slot], key, len)))
            return slot;
    }
}

/* Make it anew for twice as many nodes as there are. */
static int
table_grow(struct ingest_tree *t)
{
    uint32_t cap = LARGE * 4, *table;

    while (cap < t->n_nodes * 4)
        cap *= 2;
    if (cap > t->table_cap) {
        table = realloc(t->table, cap * sizeof(*table));
        if (table == NULL)
            return -ENOMEM;
        t->table = table;
        t->table_cap = cap;
    }
    memset(t->table, 0xff, t->table_cap * sizeof(*t->table));
    for (uint32_t i = 0; i < t->n_nodes; i++)
        *table_slot(t, t->nodes[i].parent, t->nodes[i].key, t->nodes[i].key_len) = i;
    return 0;
}

/* A node has been added; from LARGE nodes on there is a table. */
static int
table_add(struct ingest_tree *t, uint32_t id)
{
    const struct ingest_tree_node *node = &t->nodes[id];

    if (t->n_nodes < LARGE)
        return 0;
    if (t->n_nodes == LARGE || t->n_nodes * 2 > t->table_cap)
        return table_grow(t);
    *table_slot(t, node->parent, node->key, node->key_len) = id;
    return 0;
}

/* ------------------------------------------------------------------------------------- the tree */

static int
add_node(struct ingest_tree *t, uint32_t parent, const char *key, size_t key_len, uint32_t *ret)
{
    struct ingest_tree_node *node;

    if (t->n_nodes == t->cap) {
        uint32_t cap = t->cap ? t->cap * 2 : 64;
        void *p = realloc(t->nodes, cap * sizeof(*t->nodes));

        if (p == NULL)
            return -ENOMEM;
        t->nodes = p;
        t->cap = cap;
    }
    *ret = t->n_nodes++;
    node = &t->nodes[*ret];
    *node = (struct ingest_tree_node){key, key_len, 0, 0, parent, NONE, NONE, NONE, false};
    if (parent != NONE && t->nodes[parent].last == NONE)
        t->nodes[parent].first = *ret;
    else if (parent != NONE)
        t->nodes[t->nodes[parent].last].next = *ret;
    if (parent != NONE)
        t->nodes[parent].last = *ret;
    return table_add(t, *ret);
}

int
ingest_tree_reset(struct ingest_tree *t)
{
    uint32_t root;

    t->n_nodes = 0;
    base_buf_reset(&t->text);
    return add_node(t, NONE, "", 0, &root);
}

void
ingest_tree_done(struct ingest_tree *t)
{
    free(t->nodes);
    free(t->table);
    base_buf_done(&t->text);
    memset(t, 0, sizeof(*t));
}

/* Neighbours in a schema mostly share their parent: the last child is tried first. */
static uint32_t
find(const struct ingest_tree *t, uint32_t parent, const char *key, size_t len)
{
    uint32_t id = t->nodes[parent].last;

    if (id == NONE || has_key(&t->nodes[id], key, len))
        return id;
    if (t->n_nodes >= LARGE)
        return *table_slot(t, parent, key, len);
    for (id = t->nodes[parent].first; id != NONE; id = t->nodes[id].next)
        if (has_key(&t->nodes[id], key, len))
            break;
    return id;
}

void
ingest_tree_begin(struct ingest_tree *t)
{
    t->leaf_off = t->text.len;
}

static void
make_leaf(struct ingest_tree *t, uint32_t id)
{
    struct ingest_tree_node *node = &t->nodes[id];

    node->leaf = true;
    node->text_off = t->leaf_off;
    node->text_len = t->text.len - t->leaf_off;
}

int
ingest_tree_end(struct ingest_tree *t, const char *name)
{
    uint32_t parent = ROOT, id;
    const char *dot;
    int r;

    while ((dot = strchr(name, '.')) != NULL) {
        id = find(t, parent, name, (size_t)(dot - name));
        if (id != NONE && t->nodes[id].leaf)
            break;
        if (id == NONE) {
            r = add_node(t, parent, name, (size_t)(dot - name), &id);
            if (r < 0)
                return r;
        }
        parent = id;
        name = dot + 1;
    }
    id = find(t, parent, name, strlen(name));
    if (id != NONE && t->nodes[id].first != NONE) { /* CSV can have both "a" and "a.b" */
        parent = id;
        name = "";
        id = find(t, parent, "", 0);
    }
    if (id == NONE) {
        r = add_node(t, parent, name, strlen(name), &id);
        if (r < 0)
            return r;
    }
    make_leaf(t, id);
    return 0;
}

/* Recursion is bounded by the depth that the parser of _extra allowed. */
static int
merge_below(struct ingest_tree *t, uint32_t parent, const struct ingest_json_node *object)
{
    const struct ingest_json_node *child = object + 1;
    const bool fresh = t->nodes[parent].first == NONE; /* an object's keys differ: none to find */
    uint32_t id;
    int r = 0;

    for (uint32_t i = 0; i < object->n && r == 0; i++, child += child->span) {
        id = fresh ? NONE : find(t, parent, child->key, child->key_len);
        if (id == NONE)
            r = add_node(t, parent, child->key, child->key_len, &id);
        if (r < 0)
            return r;
        if (child->kind == INGEST_JSON_OBJECT && child->n) {
            t->nodes[id].leaf = false;
            r = merge_below(t, id, child);
        } else {
            ingest_tree_begin(t);
            r = ingest_json_put_node(&t->text, child);
            make_leaf(t, id);
        }
    }
    return r;
}

int
ingest_tree_merge(struct ingest_tree *t, const struct ingest_json_node *object)
{
    return merge_below(t, ROOT, object);
}

static int
print_node(const struct ingest_tree *t, uint32_t id, struct base_buf *out)
{
    const struct ingest_tree_node *node = &t->nodes[id];
    int r;

    if (node->leaf)
        return base_buf_append(out, t->text.data + node->text_off, node->text_len);
    r = base_buf_append(out, "{", 1);
    for (uint32_t child = node->first; child != NONE && r == 0; child = t->nodes[child].next) {
        if (child != node->first)
            r = base_buf_append(out, ",", 1);
        if (r == 0)
            r = ingest_json_put_string(out, t->nodes[child].key, t->nodes[child].key_len);
        if (r == 0)
            r = base_buf_append(out, ":", 1);
        if (r == 0)
            r = print_node(t, child, out);
    }
    return r < 0 ? r : base_buf_append(out, "}", 1);
}

int
ingest_tree_print(const struct ingest_tree *t, struct base_buf *out)
{
    return print_node(t, ROOT, out);
}
