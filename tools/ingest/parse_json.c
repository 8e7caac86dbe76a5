/* JSON records to rows: known paths to their columns, all else to _extra. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "tools/ingest/json_records.h"
#include "tools/ingest/json_text.h"
#include "tools/ingest/parser.h"
#include "tools/ingest/utf8.h"

#define CLIP 80u /* bytes of a key or value in a message */

/* One record on its way; row is rejected by the first thing that cannot be. */
struct record {
    struct ingest_parser *p;
    size_t start, end; /* in the block */
};

static int
put_extra(struct record *rec, const char *key, size_t len, const struct ingest_json_node *node)
{
    struct ingest_extra *x = &rec->p->row.extra;
    int r;

    if (rec->p->plan->extra < 0)
        return 1;
    r = ingest_extra_key(x, key, len);
    if (r == 0)
        r = ingest_json_put_node(&x->text, node);
    return r < 0 ? r : 1;
}

static int
put_loose(struct record *rec, const char *name, const struct ingest_json_node *node)
{
    struct ingest_extra *x = &rec->p->row.extra;
    int r = ingest_extra_loose(x, name);

    if (r == 0)
        r = ingest_json_put_node(&x->loose_text, node);
    if (r == 0)
        r = base_buf_append(&x->loose_text, "", 1);
    return r < 0 ? r : 1;
}

static int
reject_type(struct record *rec, uint32_t col, const struct ingest_json_node *node)
{
    const struct shard_field *f = &rec->p->plan->schema.fields[col];
    const char *quote = node->kind == INGEST_JSON_STRING ? "\"" : "";
    const char *text = node->kind == INGEST_JSON_ARRAY    ? "an array"
                       : node->kind == INGEST_JSON_OBJECT ? "an object"
                                                          : node->text;
    const size_t len = text == node->text ? node->text_len : strlen(text);
    char type[SHARD_TYPE_NAME_MAX];

    return ingest_row_reject(&rec->p->row, INGEST_BAD_TYPE, f->name, rec->start, rec->end,
                             "%s%.*s%s does not fit column %s of type %s", quote,
                             ingest_utf8_clip(text, len, CLIP), text, quote, f->name,
                             shard_field_type_name(f, type));
}

/* A value that its column cannot hold, null among them. 1 = go on, 0 = rejected. */
static int
put_misfit(struct record *rec, uint32_t col, const struct ingest_json_node *node)
{
    const struct ingest_plan *plan = rec->p->plan;
    const struct ingest_plan_column *c = &plan->impl->cols[col];

    if (plan->impl->strict && node->kind == INGEST_JSON_NULL)
        return 1; /* the column's null, or what commit rejects */
    if (plan->impl->strict)
        return reject_type(rec, col, node);
    if (plan->extra < 0)
        return 1;
    if (c->same_parent)
        return put_extra(rec, c->extra_key, strlen(c->extra_key), node);
    return put_loose(rec, plan->schema.fields[col].name, node);
}

static int
put_value(struct record *rec, uint32_t col, const struct ingest_json_node *node)
{
    int r = ingest_row_node(&rec->p->row, col, node);

    return r ? r : put_misfit(rec, col, node);
}

static int
reject_clash(struct record *rec, const struct ingest_json_node *node)
{
    return ingest_row_reject(&rec->p->row, INGEST_BAD_TYPE, "", rec->start, rec->end,
                             "the key \"%.*s\" has the name of a column that an option made",
                             ingest_utf8_clip(node->key, node->key_len, CLIP), node->key);
}

/* Depth is bounded by the parser's limit. 1 = go on, 0 = rejected, or an error. */
static int
put_object(struct record *rec, const struct ingest_json_node *object, uint32_t parent)
{
    const struct ingest_plan_impl *impl = rec->p->plan->impl;
    const struct ingest_trie *keys = &impl->keys;
    const struct ingest_json_node *child = object + 1;
    uint32_t hint = keys->nodes[parent].first, id;
    int r = 1;

    for (uint32_t i = 0; i < object->n && r == 1; i++, child += child->span) {
        int32_t col = INGEST_COL_NONE;

        id = ingest_trie_find(keys, parent, hint, child->key, child->key_len);
        if (id != INGEST_TRIE_NONE) {
            hint = keys->nodes[id].next;
            col = impl->key_col[id];
        }
        if (col == INGEST_COL_RESERVED) {
            r = reject_clash(rec, child);
        } else if (id != INGEST_TRIE_NONE && child->kind == INGEST_JSON_OBJECT && child->n &&
                   impl->key_below[id]) {
            r = ingest_extra_enter(&rec->p->row.extra, child->key, child->key_len);
            if (r == 0)
                r = put_object(rec, child, id);
            if (r == 1)
                r = ingest_extra_leave(&rec->p->row.extra) < 0 ? -ENOMEM : 1;
        } else if (col >= 0) {
            r = put_value(rec, (uint32_t)col, child);
        } else if (impl->keep_unknown) {
            r = put_extra(rec, child->key, child->key_len, child);
        }
    }
    return r;
}

/* A record that is no object: the column `value`, or whole in _extra. */
static int
put_record(struct record *rec, const struct ingest_json_node *node)
{
    const struct ingest_plan *plan = rec->p->plan;
    struct ingest_row *w = &rec->p->row;
    int r = 0;

    if (plan->impl->record >= 0)
        r = ingest_row_node(w, (uint32_t)plan->impl->record, node);
    if (r)
        return r;
    if (plan->extra < 0 && plan->impl->record >= 0)
        return put_misfit(rec, (uint32_t)plan->impl->record, node);
    if (plan->extra < 0)
        return ingest_row_reject(w, INGEST_BAD_TYPE, "", rec->start, rec->end,
                                 "the record is no object, and there is no column for it");
    ingest_extra_record(&w->extra);
    r = ingest_json_put_node(&w->extra.text, node);
    return r < 0 ? r : 1;
}

static int
take_record(void *arg, const struct ingest_json_node *nodes, size_t start, size_t end)
{
    struct ingest_parser *p = arg;
    struct record rec = {p, start, end};
    const struct ingest_json_node *twin;
    int r = ingest_json_find_twin(nodes, &p->table, &twin);

    if (r < 0)
        return r;
    r = ingest_row_begin(&p->row);
    if (r < 0)
        return r;
    if (twin)
        return ingest_row_reject(&p->row, INGEST_BAD_JSON_DUPKEY, "", start, end,
                                 "the key \"%.*s\" stands twice in one object",
                                 ingest_utf8_clip(twin->key, twin->key_len, CLIP), twin->key);
    r = nodes->kind == INGEST_JSON_OBJECT ? put_object(&rec, nodes, INGEST_TRIE_ROOT)
                                          : put_record(&rec, nodes);
    return r == 1 ? ingest_row_commit(&p->row, start, end) : r;
}

static int
take_bad(void *arg, const struct ingest_json_bad *bad, size_t start, size_t end)
{
    struct ingest_parser *p = arg;

    if (p->row.block->format == INGEST_JSON) {
        ingest_row_rollback(&p->row, 0);
        ingest_rejects_done(p->row.rejects);
    }
    return ingest_row_reject(&p->row, bad->reason, "", start, end, "%s, at byte %zu of %zu",
                             bad->detail, bad->offset, end - start);
}

int
ingest_parse_json(struct ingest_parser *p, const struct ingest_block *b)
{
    const struct ingest_json_sink sink = {take_record, take_bad, p};

    return ingest_json_records(p->json, b, p->plan->impl->max_depth, &sink);
}
