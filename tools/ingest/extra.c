#include "config.h"

#include "tools/ingest/extra.h"

#include <errno.h>
#include <stdlib.h>

#include "tools/ingest/json_text.h"

static int
push(struct ingest_extra *x, const char *key, size_t len)
{
    if (x->depth == x->cap) {
        uint32_t cap = x->cap ? x->cap * 2 : 32;
        void *p = realloc(x->levels, cap * sizeof(*x->levels));

        if (p == NULL)
            return -ENOMEM;
        x->levels = p;
        x->cap = cap;
    }
    x->levels[x->depth++] = (struct ingest_extra_level){key, len, false, false};
    return 0;
}

int
ingest_extra_begin(struct ingest_extra *x)
{
    base_buf_reset(&x->text);
    base_buf_reset(&x->loose_text);
    x->depth = 0;
    return push(x, "", 0);
}

int
ingest_extra_enter(struct ingest_extra *x, const char *key, size_t len)
{
    return push(x, key, len);
}

int
ingest_extra_leave(struct ingest_extra *x)
{
    const bool open = x->levels[--x->depth].open;

    return open ? base_buf_append(&x->text, "}", 1) : 0;
}

/* A comma where it is due, then the key. */
static int
put_key(struct ingest_extra *x, struct ingest_extra_level *in, const char *key, size_t len)
{
    int r = 0;

    if (in->comma)
        r = base_buf_append(&x->text, ",", 1);
    in->comma = true;
    if (r == 0)
        r = ingest_json_put_string(&x->text, key, len);
    return r < 0 ? r : base_buf_append(&x->text, ":", 1);
}

int
ingest_extra_key(struct ingest_extra *x, const char *key, size_t len)
{
    uint32_t i = x->depth;
    int r = 0;

    while (i > 0 && !x->levels[i - 1].open)
        i--;
    for (; i < x->depth && r == 0; i++) {
        if (i > 0)
            r = put_key(x, &x->levels[i - 1], x->levels[i].key, x->levels[i].key_len);
        if (r == 0)
            r = base_buf_append(&x->text, "{", 1);
        x->levels[i].open = true;
    }
    return r < 0 ? r : put_key(x, &x->levels[x->depth - 1], key, len);
}

int
ingest_extra_loose(struct ingest_extra *x, const char *name)
{
    return base_buf_append(&x->loose_text, name, strlen(name) + 1);
}

void
ingest_extra_record(struct ingest_extra *x)
{
    x->levels[0].open = false; /* no object, so nothing to close */
}

static int
merge_text(void *arg, const struct ingest_json_node *nodes, size_t start, size_t end)
{
    (void)start;
    (void)end;
    return ingest_tree_merge(arg, nodes);
}

/* Put the loose values to those that were written in place. */
static int
merge_loose(struct ingest_extra *x)
{
    const char *p = (const char *)x->loose_text.data, *end = p + x->loose_text.len;
    struct ingest_json_bad bad;
    int r = ingest_tree_reset(&x->tree);

    if (r == 0 && x->text.len && x->parser == NULL)
        r = ingest_json_new(&x->parser);
    if (r == 0 && x->text.len)
        r = ingest_json_parse(x->parser, (const char *)x->text.data, x->text.len,
                              INGEST_EXTRA_DEPTH, false, merge_text, &x->tree, &bad);
    while (p < end && r == 0) {
        const char *name = p, *json = name + strlen(name) + 1;

        p = json + strlen(json) + 1;
        ingest_tree_begin(&x->tree);
        r = base_buf_append(&x->tree.text, json, strlen(json));
        if (r == 0)
            r = ingest_tree_end(&x->tree, name);
    }
    base_buf_reset(&x->merged);
    return r ? -ENOMEM : ingest_tree_print(&x->tree, &x->merged);
}

int
ingest_extra_end(struct ingest_extra *x, const struct base_buf **ret_text)
{
    int r = 0;

    if (x->depth && x->levels[0].open)
        r = base_buf_append(&x->text, "}", 1);
    *ret_text = &x->text;
    if (r < 0 || x->loose_text.len == 0)
        return r;
    *ret_text = &x->merged;
    return merge_loose(x);
}

void
ingest_extra_done(struct ingest_extra *x)
{
    base_buf_done(&x->text);
    free(x->levels);
    base_buf_done(&x->loose_text);
    base_buf_done(&x->merged);
    ingest_tree_done(&x->tree);
    ingest_json_free(x->parser);
    memset(x, 0, sizeof(*x));
}
