/* Schema inference: what was seen in the sample, and the columns that it asks for. */
#include "config.h"

#include "tools/ingest/parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/fail.h"
#include "tools/ingest/infer.h"
#include "tools/ingest/utf8.h"

int
ingest_infer_new(const struct ingest_parse_opts *opts, struct ingest_infer **ret)
{
    struct ingest_infer *in = calloc(1, sizeof(*in));
    int r;

    if (in == NULL)
        return -ENOMEM;
    in->opts = opts;
    r = ingest_trie_init(&in->keys);
    if (r == 0)
        r = ingest_trie_init(&in->names);
    if (r < 0) {
        ingest_infer_free(in);
        return r;
    }
    *ret = in;
    return 0;
}

void
ingest_infer_free(struct ingest_infer *in)
{
    if (in == NULL)
        return;
    ingest_trie_done(&in->keys);
    ingest_trie_done(&in->names);
    free(in->json);
    free(in->csv);
    ingest_json_free(in->parser);
    ingest_csv_done(&in->reader);
    base_buf_done(&in->table);
    free(in);
}

int
ingest_infer_block(struct ingest_infer *in, const struct ingest_block *b, struct shard_error *err)
{
    int r = 0;

    if (b->data.len == 0 && b->format != INGEST_FILES && b->header.len == 0)
        return 0;
    switch (b->format) {
    case INGEST_JSONL:
    case INGEST_JSON:
        r = ingest_infer_json(in, b);
        break;
    case INGEST_CSV:
    case INGEST_TSV:
        r = ingest_infer_csv(in, b);
        break;
    case INGEST_TEXT:
        in->any_text = true;
        break;
    case INGEST_LIBSVM:
        r = ingest_infer_svm(in, b);
        break;
    case INGEST_FILES:
        in->any_files = true;
        in->content_binary = in->content_binary ||
                             !(b->spooled ? b->spooled_utf8
                                          : ingest_utf8_valid(b->data.data, b->data.len));
        break;
    default:
        return base_fail(err, -EINVAL, "a block of no known format");
    }
    return r < 0 ? base_fail(err, r, "schema inference of %s", b->entry->path) : 0;
}

int
ingest_infer_merge(struct ingest_infer *dst, const struct ingest_infer *src)
{
    int r = ingest_infer_json_merge(dst, src);

    if (r == 0)
        r = ingest_infer_csv_merge(dst, src);
    dst->any_text = dst->any_text || src->any_text;
    dst->any_svm = dst->any_svm || src->any_svm;
    dst->any_files = dst->any_files || src->any_files;
    dst->content_binary = dst->content_binary || src->content_binary;
    dst->label_float = dst->label_float || src->label_float;
    dst->label_f64 = dst->label_f64 || src->label_f64;
    dst->value_f64 = dst->value_f64 || src->value_f64;
    return r;
}

/* The columns gathered so far, and their names. */
struct columns {
    struct fmt_schema schema;
    struct ingest_trie names;
    uint32_t *index; /* by node */
    uint32_t cap_index;
    uint32_t max;
};

static bool
is_number(enum shard_type t)
{
    return fmt_type_is_number(t);
}

/* Two formats have a column of this name: one type for both, where values that do not fit can go to
 * _extra. */
static int
share_column(struct shard_field *f, const char *name, enum shard_type type, enum shard_type elem,
             bool nullable, bool flexible, struct shard_error *err)
{
    f->nullable = f->nullable || nullable;
    if (f->type == type && f->elem == elem)
        return 0;
    if (!flexible)
        return base_fail(err, SHARD_EPARSE,
                         "the inputs are of several formats, and column %s has another type in "
                         "each: ingest them apart, or give --schema",
                         name);
    f->type = is_number(f->type) && is_number(type) ? SHARD_TYPE_FLOAT64 : SHARD_TYPE_STRING;
    f->elem = 0;
    return 0;
}

static int
add_column(struct columns *c, const char *name, enum shard_type type, enum shard_type elem,
           bool nullable, uint32_t flags, bool flexible, struct shard_error *err)
{
    const uint32_t before = c->names.n_nodes;
    uint32_t id;
    int r;

    if (flexible && c->schema.n_fields >= c->max)
        return 0; /* its values go to _extra */
    r = ingest_trie_add(&c->names, INGEST_TRIE_ROOT, name, strlen(name), &id);
    if (r < 0)
        return r;
    if (id < before)
        return share_column(&c->schema.fields[c->index[id]], name, type, elem, nullable, flexible,
                            err);
    if (id >= c->cap_index) {
        void *p = realloc(c->index, c->names.cap * sizeof(*c->index));

        if (p == NULL)
            return -ENOMEM;
        c->index = p;
        c->cap_index = c->names.cap;
    }
    c->index[id] = c->schema.n_fields;
    return fmt_schema_add(&c->schema, name, type, elem, nullable, flags);
}

/* A key's own column, then those below it. */
static int
add_keys(struct columns *c, const struct ingest_infer *in, uint32_t parent, struct base_buf *name,
         struct shard_error *err)
{
    enum shard_type type, elem;
    int r = 0;

    for (uint32_t id = in->keys.nodes[parent].first; id != INGEST_TRIE_NONE && r == 0;
         id = in->keys.nodes[id].next) {
        if (ingest_json_seen_type(&in->json[id], &type, &elem)) {
            base_buf_reset(name);
            r = ingest_trie_path(&in->keys, id, name);
            if (r == 0)
                r = base_buf_append(name, "", 1);
            if (r == 0 && !(in->any_record && strcmp((const char *)name->data, "value") == 0))
                r = add_column(c, (const char *)name->data, type, elem, true, 0, true, err);
        }
        if (r == 0)
            r = add_keys(c, in, id, name, err);
    }
    return r;
}

static int
add_json(struct columns *c, const struct ingest_infer *in, struct shard_error *err)
{
    enum shard_type type, elem;
    struct base_buf name = {0};
    int r = add_keys(c, in, INGEST_TRIE_ROOT, &name, err);

    if (r == 0 && in->any_record && ingest_json_seen_type(&in->record, &type, &elem))
        r = add_column(c, "value", type, elem, true, SHARD_FIELD_RECORD, true, err);
    base_buf_done(&name);
    return r;
}

static int
add_csv(struct columns *c, const struct ingest_infer *in, struct shard_error *err)
{
    int r = 0;

    for (uint32_t id = 1; id < in->names.n_nodes && r == 0; id++) {
        const char *name = ingest_trie_name(&in->names, id);

        if (strcmp(name, "_extra") != 0)
            r = add_column(c, name, ingest_csv_seen_type(&in->csv[id]), 0, true, 0, true, err);
    }
    return r;
}

static int
add_svm(struct columns *c, const struct ingest_infer *in, bool mixed, struct shard_error *err)
{
    enum shard_type label = in->label_f64 ? SHARD_TYPE_FLOAT64 : SHARD_TYPE_FLOAT32;
    enum shard_type value = in->value_f64 ? SHARD_TYPE_FLOAT64 : SHARD_TYPE_FLOAT32;
    int r;

    if (!in->label_float)
        label = SHARD_TYPE_INT32;
    r = add_column(c, "label", label, 0, mixed, 0, false, err);
    return r < 0 ? r : add_column(c, "features", SHARD_TYPE_SPARSE, value, mixed, 0, false, err);
}

static int
add_files(struct columns *c, const struct ingest_infer *in, bool mixed, struct shard_error *err)
{
    const enum shard_type content = in->content_binary ? SHARD_TYPE_BINARY : SHARD_TYPE_STRING;
    int r = add_column(c, "path", SHARD_TYPE_STRING, 0, mixed, 0, false, err);

    if (r == 0)
        r = add_column(c, "content", content, 0, mixed, 0, false, err);
    if (r == 0)
        r = add_column(c, "size", SHARD_TYPE_UINT64, 0, mixed, 0, false, err);
    return r < 0 ? r : add_column(c, "type", SHARD_TYPE_STRING, 0, true, 0, false, err);
}

int
ingest_infer_columns(const struct ingest_infer *in, struct fmt_schema *ret, struct shard_error *err)
{
    const bool mixed = in->any_json + in->any_csv + in->any_text + in->any_svm + in->any_files > 1;
    struct columns c = {.max = ingest_max_columns(in->opts)};
    int r = ingest_trie_init(&c.names);

    fmt_schema_init(&c.schema);
    if (r == 0 && in->any_json)
        r = add_json(&c, in, err);
    if (r == 0 && in->any_csv)
        r = add_csv(&c, in, err);
    if (r == 0 && in->any_text)
        r = add_column(&c, "text", SHARD_TYPE_STRING, 0, mixed, 0, false, err);
    if (r == 0 && in->any_svm)
        r = add_svm(&c, in, mixed, err);
    if (r == 0 && in->any_files)
        r = add_files(&c, in, mixed, err);
    ingest_trie_done(&c.names);
    free(c.index);
    if (r < 0) {
        fmt_schema_done(&c.schema);
        return r == -ENOMEM ? base_fail(err, r, "schema inference") : r;
    }
    *ret = c.schema;
    return 0;
}
