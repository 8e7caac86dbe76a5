/* Inference from JSON: how often values of each kind stood at each path. Counts only, so that it
 * does not matter how the sample was cut into blocks. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/compiler.h"
#include "tools/ingest/infer.h"
#include "tools/ingest/json_records.h"
#include "tools/ingest/json_text.h"
#include "tools/ingest/number.h"

/* Objects used as maps bring ever new keys: learning stops far above what columns are wanted. */
#define KEYS_PER_COLUMN 16u

bool
ingest_json_key_fits(const char *key, size_t len, bool top)
{
    return len && len <= FMT_NAME_MAX && memchr(key, '.', len) == NULL &&
           memchr(key, '\0', len) == NULL && !(top && len == 6 && memcmp(key, "_extra", 6) == 0);
}

/* The counters of every key, as many as there are nodes. */
static int
seen_reserve(struct ingest_infer *in)
{
    uint32_t cap = in->keys.cap;
    void *p;

    if (in->keys.n_nodes <= in->cap_json)
        return 0;
    p = realloc(in->json, cap * sizeof(*in->json));
    if (p == NULL)
        return -ENOMEM;
    in->json = p;
    memset(in->json + in->cap_json, 0, (cap - in->cap_json) * sizeof(*in->json));
    in->cap_json = cap;
    return 0;
}

static bool
all_strings(const struct ingest_json_node *list)
{
    for (uint32_t i = 1; i <= list->n; i++)
        if (list[i].kind != INGEST_JSON_STRING)
            return false;
    return list->n > 0;
}

static void
count_list(struct ingest_json_seen *s, const struct ingest_json_node *list)
{
    bool negative = false, above = false, floats = false;

    if (list->span == list->n + 1 && all_strings(list)) {
        s->string_lists++;
        return;
    }
    for (uint32_t i = 1; i <= list->n; i++) {
        if (list->span != list->n + 1) /* something nested */
            return;
        switch (list[i].kind) {
        case INGEST_JSON_INT:
            negative = negative || list[i].v.i < 0;
            break;
        case INGEST_JSON_UINT:
            above = true;
            break;
        case INGEST_JSON_FLOAT:
            floats = true;
            break;
        default:
            return;
        }
    }
    if (list->n == 0)
        return;
    s->lists++;
    s->list_negative += negative;
    s->list_above += above;
    s->list_floats += floats;
}

static void
count_value(struct ingest_json_seen *s, const struct ingest_json_node *node)
{
    s->value = true;
    switch (node->kind) {
    case INGEST_JSON_BOOL:
        s->bools++;
        break;
    case INGEST_JSON_INT:
        s->ints++;
        s->negative += node->v.i < 0;
        break;
    case INGEST_JSON_UINT:
        s->ints++;
        s->above_int64++;
        break;
    case INGEST_JSON_FLOAT:
        s->floats++;
        break;
    case INGEST_JSON_STRING:
        s->strings++;
        break;
    case INGEST_JSON_ARRAY:
        count_list(s, node);
        break;
    default:
        break; /* null, what fits no type, objects: no hint */
    }
}

/* Depth is bounded by the parser's limit; name_len keeps names within FMT_NAME_MAX. */
static int
count_object(struct ingest_infer *in, const struct ingest_json_node *object, uint32_t parent,
             size_t name_len)
{
    const uint32_t max_nodes = ingest_max_columns(in->opts) * KEYS_PER_COLUMN;
    const struct ingest_json_node *child = object + 1;
    uint32_t hint = in->keys.nodes[parent].first, id;
    int r = 0;

    for (uint32_t i = 0; i < object->n && r == 0; i++, child += child->span) {
        const size_t len = name_len + child->key_len + 1;

        id = ingest_trie_find(&in->keys, parent, hint, child->key, child->key_len);
        if (id == INGEST_TRIE_NONE) {
            if (len > FMT_NAME_MAX || in->keys.n_nodes >= max_nodes ||
                !ingest_json_key_fits(child->key, child->key_len, parent == INGEST_TRIE_ROOT))
                continue;
            r = ingest_trie_add(&in->keys, parent, child->key, child->key_len, &id);
            if (r == 0)
                r = seen_reserve(in);
            if (r < 0)
                return r;
        }
        hint = in->keys.nodes[id].next;
        if (child->kind == INGEST_JSON_OBJECT)
            r = count_object(in, child, id, len);
        else
            count_value(&in->json[id], child);
    }
    return r;
}

static int
count_record(void *arg, const struct ingest_json_node *nodes, size_t start, size_t end)
{
    struct ingest_infer *in = arg;
    const struct ingest_json_node *twin;
    int r = ingest_json_find_twin(nodes, &in->table, &twin);

    (void)start;
    (void)end;
    if (r < 0 || twin)
        return r;
    if (nodes->kind == INGEST_JSON_OBJECT)
        return count_object(in, nodes, INGEST_TRIE_ROOT, 0);
    in->any_record = true;
    count_value(&in->record, nodes);
    return 0;
}

static int
ignore_bad(void *arg, const struct ingest_json_bad *bad, size_t start, size_t end)
{
    (void)arg;
    (void)bad;
    (void)start;
    (void)end;
    return 0;
}

int
ingest_infer_json(struct ingest_infer *in, const struct ingest_block *b)
{
    const struct ingest_json_sink sink = {count_record, ignore_bad, in};
    int r = 0;

    in->any_json = true;
    if (in->parser == NULL)
        r = ingest_json_new(&in->parser);
    return r < 0 ? r : ingest_json_records(in->parser, b, ingest_max_depth(in->opts), &sink);
}

static void
seen_add(struct ingest_json_seen *dst, const struct ingest_json_seen *src)
{
    dst->bools += src->bools;
    dst->strings += src->strings;
    dst->floats += src->floats;
    dst->ints += src->ints;
    dst->negative += src->negative;
    dst->above_int64 += src->above_int64;
    dst->lists += src->lists;
    dst->list_negative += src->list_negative;
    dst->list_above += src->list_above;
    dst->list_floats += src->list_floats;
    dst->string_lists += src->string_lists;
    dst->value = dst->value || src->value;
}

static int
merge_below(struct ingest_infer *dst, uint32_t to, const struct ingest_infer *src, uint32_t from)
{
    const uint32_t max_nodes = ingest_max_columns(dst->opts) * KEYS_PER_COLUMN;
    uint32_t id, child;
    int r = 0;

    for (child = src->keys.nodes[from].first; child != INGEST_TRIE_NONE && r == 0;
         child = src->keys.nodes[child].next) {
        const char *name = ingest_trie_name(&src->keys, child);
        const size_t len = src->keys.nodes[child].name_len;

        if (dst->keys.n_nodes >= max_nodes &&
            ingest_trie_lookup(&dst->keys, to, name, len) == INGEST_TRIE_NONE)
            continue;
        r = ingest_trie_add(&dst->keys, to, name, len, &id);
        if (r == 0)
            r = seen_reserve(dst);
        if (r < 0)
            return r;
        if (child < src->cap_json)
            seen_add(&dst->json[id], &src->json[child]);
        r = merge_below(dst, id, src, child);
    }
    return r;
}

int
ingest_infer_json_merge(struct ingest_infer *dst, const struct ingest_infer *src)
{
    dst->any_json = dst->any_json || src->any_json;
    dst->any_record = dst->any_record || src->any_record;
    seen_add(&dst->record, &src->record);
    return merge_below(dst, INGEST_TRIE_ROOT, src, INGEST_TRIE_ROOT);
}

static enum shard_type
integer_type(bool negative, bool above)
{
    return above && !negative ? SHARD_TYPE_UINT64 : SHARD_TYPE_INT64;
}

/* The kind that was seen most often; among equals, the one that is asked first. */
bool
ingest_json_seen_type(const struct ingest_json_seen *s, enum shard_type *ret_type,
                      enum shard_type *ret_elem)
{
    const uint64_t numbers = s->ints + s->floats, lists = BASE_MAX(s->lists, s->string_lists);

    *ret_elem = 0;
    if (s->strings && s->strings >= numbers && s->strings >= s->bools && s->strings >= lists) {
        *ret_type = SHARD_TYPE_STRING;
    } else if (numbers && numbers >= s->bools && numbers >= lists) {
        *ret_type = s->floats ? SHARD_TYPE_FLOAT64 : integer_type(s->negative, s->above_int64);
    } else if (s->string_lists && s->string_lists >= s->bools && s->string_lists > s->lists) {
        *ret_type = SHARD_TYPE_LIST;
        *ret_elem = SHARD_TYPE_STRING;
    } else if (s->lists && s->lists >= s->bools) {
        *ret_type = SHARD_TYPE_LIST;
        *ret_elem =
            s->list_floats ? SHARD_TYPE_FLOAT64 : integer_type(s->list_negative, s->list_above);
    } else if (s->bools) {
        *ret_type = SHARD_TYPE_BOOL;
    } else {
        return false;
    }
    return true;
}
