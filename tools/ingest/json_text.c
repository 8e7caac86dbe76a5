#include "config.h"

#include "tools/ingest/json_text.h"

#include <errno.h>
#include <stdbool.h>

#include "lib/hash.h"

static inline bool
must_escape(unsigned char c)
{
    return c < 0x20 || c == '"' || c == '\\';
}

static size_t
escape_byte(unsigned char c, char *out)
{
    static const char hex[] = "0123456789abcdef";
    static const char letters[0x20] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};

    out[0] = '\\';
    if (c >= 0x20) {
        out[1] = (char)c;
        return 2;
    }
    if (letters[c]) {
        out[1] = letters[c];
        return 2;
    }
    memcpy(out + 1, "u00", 3);
    out[4] = hex[c >> 4];
    out[5] = hex[c & 15];
    return 6;
}

int
ingest_json_put_text(struct base_buf *out, const char *text, size_t len)
{
    size_t from = 0, at;
    char escaped[6];
    int r;

    for (at = 0; at < len; at++) {
        if (!must_escape((unsigned char)text[at]))
            continue;
        r = base_buf_append(out, text + from, at - from);
        if (r == 0)
            r = base_buf_append(out, escaped, escape_byte((unsigned char)text[at], escaped));
        if (r < 0)
            return r;
        from = at + 1;
    }
    return base_buf_append(out, text + from, len - from);
}

int
ingest_json_put_string(struct base_buf *out, const char *text, size_t len)
{
    int r = base_buf_reserve(out, len + 2);

    if (r < 0)
        return r;
    base_buf_put(out, "\"", 1);
    r = ingest_json_put_text(out, text, len);
    return r < 0 ? r : base_buf_append(out, "\"", 1);
}

/* Recursion is bounded by the depth that the parser allowed. */
int
ingest_json_put_node(struct base_buf *out, const struct ingest_json_node *node)
{
    const bool object = node->kind == INGEST_JSON_OBJECT;
    const struct ingest_json_node *child = node + 1;
    int r;

    if (node->kind == INGEST_JSON_STRING)
        return ingest_json_put_string(out, node->text, node->text_len);
    if (node->kind < INGEST_JSON_ARRAY)
        return base_buf_append(out, node->text, node->text_len);
    r = base_buf_append(out, object ? "{" : "[", 1);
    for (uint32_t i = 0; i < node->n && r == 0; i++) {
        if (i)
            r = base_buf_append(out, ",", 1);
        if (r == 0 && object)
            r = ingest_json_put_string(out, child->key, child->key_len);
        if (r == 0 && object)
            r = base_buf_append(out, ":", 1);
        if (r == 0)
            r = ingest_json_put_node(out, child);
        child += child->span;
    }
    return r < 0 ? r : base_buf_append(out, object ? "}" : "]", 1);
}

static bool
same_key(const struct ingest_json_node *a, const struct ingest_json_node *b)
{
    return a->key_len == b->key_len && memcmp(a->key, b->key, a->key_len) == 0;
}

/* Few members: all pairs. */
static const struct ingest_json_node *
twin_of_few(const struct ingest_json_node *object)
{
    const struct ingest_json_node *a = object + 1, *b;

    for (uint32_t i = 0; i < object->n; i++, a += a->span) {
        b = object + 1;
        for (uint32_t k = 0; k < i; k++, b += b->span)
            if (same_key(a, b))
                return a;
    }
    return NULL;
}

struct slot {
    uint64_t hash;
    const struct ingest_json_node *node;
};

static int
twin_of_many(const struct ingest_json_node *object, struct base_buf *table,
             const struct ingest_json_node **ret)
{
    size_t cap = 32;
    const struct ingest_json_node *child = object + 1;
    struct slot *slots;

    while (cap < (size_t)object->n * 2)
        cap *= 2;
    base_buf_reset(table);
    if (base_buf_append_zero(table, cap * sizeof(*slots)) < 0)
        return -ENOMEM;
    slots = (struct slot *)(void *)table->data;
    for (uint32_t i = 0; i < object->n; i++, child += child->span) {
        uint64_t hash = base_hash64(child->key, child->key_len, 0);
        size_t at = hash & (cap - 1);

        for (; slots[at].node; at = (at + 1) & (cap - 1)) {
            if (slots[at].hash == hash && same_key(slots[at].node, child)) {
                *ret = child;
                return 0;
            }
        }
        slots[at].hash = hash;
        slots[at].node = child;
    }
    return 0;
}

int
ingest_json_find_twin(const struct ingest_json_node *nodes, struct base_buf *table,
                      const struct ingest_json_node **ret_twin)
{
    const uint32_t n = nodes->span;
    int r = 0;

    *ret_twin = NULL;
    for (uint32_t i = 0; i < n && r == 0 && *ret_twin == NULL; i++) {
        if (nodes[i].kind != INGEST_JSON_OBJECT || nodes[i].n < 2)
            continue;
        if (nodes[i].n <= 6)
            *ret_twin = twin_of_few(&nodes[i]);
        else
            r = twin_of_many(&nodes[i], table, ret_twin);
    }
    return r;
}
