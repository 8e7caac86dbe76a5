/* The plan: the dataset's schema, and how each name of the input leads to a column. */
#include "config.h"

#include "tools/ingest/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/fail.h"
#include "tools/ingest/plan_columns.h"

int32_t
ingest_plan_column(const struct ingest_plan_impl *impl, const char *name)
{
    const uint32_t id = ingest_trie_lookup(&impl->names, INGEST_TRIE_ROOT, name, strlen(name));

    return id == INGEST_TRIE_NONE ? INGEST_COL_NONE : impl->name_col[id];
}

static void
impl_free(struct ingest_plan_impl *impl, uint32_t n_cols)
{
    if (impl == NULL)
        return;
    for (uint32_t i = 0; impl->cols && i < n_cols; i++)
        free(impl->cols[i].source);
    free(impl->cols);
    ingest_trie_done(&impl->keys);
    ingest_trie_done(&impl->names);
    free(impl->key_col);
    free(impl->key_below);
    free(impl->name_col);
    free(impl->required);
    free(impl->min_col);
    free(impl);
}

void
ingest_plan_free(struct ingest_plan *p)
{
    if (p == NULL)
        return;
    fmt_rowhash_free(p->row_hash);
    fmt_rowhash_free(p->dedup_hash);
    fmt_rowhash_free(p->split_hash);
    impl_free(p->impl, p->schema.n_fields);
    fmt_schema_done(&p->schema);
    free(p);
}

/* ------------------------------------------------------------------------- names to columns */

/* The node of a dotted name. */
static int
add_key_path(struct ingest_trie *t, const char *name, uint32_t *ret_id)
{
    uint32_t id = INGEST_TRIE_ROOT;
    int r = 0;

    for (;;) {
        const char *dot = strchrnul(name, '.');

        r = ingest_trie_add(t, id, name, (size_t)(dot - name), &id);
        if (r < 0 || *dot == '\0')
            break;
        name = dot + 1;
    }
    *ret_id = id;
    return r;
}

/* A growing array of what nodes mean; new ones mean nothing. */
static int
set_meaning(int32_t **array, uint32_t *cap, const struct ingest_trie *t, uint32_t id, int32_t col)
{
    if (t->n_nodes > *cap) {
        int32_t *p = realloc(*array, t->cap * sizeof(*p));

        if (p == NULL)
            return -ENOMEM;
        for (uint32_t i = *cap; i < t->cap; i++)
            p[i] = INGEST_COL_NONE;
        *array = p;
        *cap = t->cap;
    }
    if ((*array)[id] == INGEST_COL_NONE)
        (*array)[id] = col;
    return 0;
}

struct name_maps {
    uint32_t cap_keys, cap_names;
};

static int
map_name(struct ingest_plan_impl *impl, struct name_maps *m, const char *name, int32_t col,
         bool keys)
{
    uint32_t id;
    int r;

    r = ingest_trie_add(&impl->names, INGEST_TRIE_ROOT, name, strlen(name), &id);
    if (r == 0)
        r = set_meaning(&impl->name_col, &m->cap_names, &impl->names, id, col);
    if (r < 0 || !keys)
        return r;
    r = add_key_path(&impl->keys, name, &id);
    return r < 0 ? r : set_meaning(&impl->key_col, &m->cap_keys, &impl->keys, id, col);
}

/* First the input's names, then those that options made: where nothing may be dropped, a record
 * that has such a name itself could not be given back. */
static int
map_names(struct ingest_plan *p)
{
    struct ingest_plan_impl *impl = p->impl;
    struct name_maps m = {0};
    int r = 0;

    for (uint32_t i = 0; i < p->schema.n_fields && r == 0; i++)
        if (impl->cols[i].path_column < 0 && (int)i != p->extra)
            r = map_name(impl, &m, impl->cols[i].source, (int32_t)i,
                         !(p->schema.fields[i].flags & SHARD_FIELD_RECORD));
    for (uint32_t i = 0; i < p->schema.n_fields && r == 0; i++)
        if ((int)i != p->extra && impl->keep_unknown &&
            !(p->schema.fields[i].flags & SHARD_FIELD_RECORD))
            r = map_name(impl, &m, p->schema.fields[i].name, INGEST_COL_RESERVED, true);
    if (r == 0) /* there are arrays even where there are no names */
        r = set_meaning(&impl->key_col, &m.cap_keys, &impl->keys, INGEST_TRIE_ROOT,
                        INGEST_COL_NONE);
    if (r == 0)
        r = set_meaning(&impl->name_col, &m.cap_names, &impl->names, INGEST_TRIE_ROOT,
                        INGEST_COL_NONE);
    return r;
}

/* Children come after their parents, so one pass from the end tells what lies below. */
static int
mark_below(struct ingest_plan_impl *impl)
{
    impl->key_below = calloc(impl->keys.n_nodes, sizeof(*impl->key_below));
    if (impl->key_below == NULL)
        return -ENOMEM;
    for (uint32_t id = impl->keys.n_nodes - 1; id > 0; id--)
        impl->key_below[impl->keys.nodes[id].parent] = true;
    return 0;
}

/* --------------------------------------------------------------------------------- columns */

static void
place_misfits(struct ingest_plan_column *c, const char *name)
{
    const char *a = strrchr(c->source, '.'), *b = strrchr(name, '.');
    const size_t len_a = a ? (size_t)(a - c->source) : 0, len_b = b ? (size_t)(b - name) : 0;

    c->extra_key = b ? b + 1 : name;
    c->same_parent = len_a == len_b && memcmp(c->source, name, len_a) == 0;
}

static int
add_field(struct ingest_plan *p, const struct ingest_column *c, uint32_t flags)
{
    struct ingest_plan_impl *impl = p->impl;
    struct ingest_plan_column *col = &impl->cols[p->schema.n_fields];
    struct shard_field field = c->field;
    int r;

    col->source = strdup(c->source);
    col->path_column = c->path_column;
    if (col->source == NULL)
        return -ENOMEM;
    field.name = c->name;
    field.flags = flags;
    r = fmt_schema_add_field(&p->schema, &field);
    if (r < 0) {
        free(col->source);
        col->source = NULL;
        return r;
    }
    place_misfits(col, p->schema.fields[p->schema.n_fields - 1].name);
    if (flags & SHARD_FIELD_RECORD)
        impl->record = (int)p->schema.n_fields - 1;
    return 0;
}

static int
add_fields(struct ingest_plan *p, const struct ingest_columns *columns,
           const struct ingest_infer *in)
{
    static char extra_name[] = "_extra";
    const struct ingest_column extra = {
        extra_name, extra_name, {.type = SHARD_TYPE_STRING, .nullable = true}, -1};
    struct ingest_plan_impl *impl = p->impl;
    int r = 0;

    impl->cols = calloc(columns->count + 1, sizeof(*impl->cols));
    impl->required = calloc(columns->count + 1, sizeof(*impl->required));
    if (impl->cols == NULL || impl->required == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < columns->count && r == 0; i++) {
        const struct ingest_column *c = &columns->items[i];
        uint32_t flags = c->field.flags;

        if (impl->strict && in && in->any_record && strcmp(c->source, "value") == 0)
            flags |= SHARD_FIELD_RECORD;
        if (!c->field.nullable && c->path_column < 0)
            impl->required[impl->n_required++] = (uint32_t)i;
        r = add_field(p, c, flags);
    }
    if (r == 0 && !impl->strict && in && (in->any_json || in->any_csv)) {
        p->extra = (int)p->schema.n_fields;
        r = add_field(p, &extra, SHARD_FIELD_EXTRA);
    }
    return r;
}

/* -------------------------------------------------------------------- what options refer to */

static int
find_field(const struct ingest_plan *p, const char *option, const char *name, uint32_t *ret,
           struct shard_error *err)
{
    int64_t i = fmt_schema_find(&p->schema, name);

    if (i < 0)
        return base_fail(err, SHARD_ENOTFOUND,
                         "%s: there is no column %s; without it --dry-run shows the columns", option,
                         name);
    *ret = (uint32_t)i;
    return 0;
}

static int
resolve_min_lengths(struct ingest_plan *p, struct shard_error *err)
{
    const struct ingest_parse_opts *opts = p->opts;
    int r = 0;

    p->impl->min_col = calloc(opts->n_min_lengths + 1, sizeof(*p->impl->min_col));
    if (p->impl->min_col == NULL)
        return base_fail(err, -ENOMEM, "--min-length");
    for (size_t i = 0; i < opts->n_min_lengths && r == 0; i++) {
        const char *name = opts->min_lengths[i].column;
        uint32_t col = 0;

        r = find_field(p, "--min-length", name, &col, err);
        if (r == 0 && p->schema.fields[col].type != SHARD_TYPE_STRING &&
            p->schema.fields[col].type != SHARD_TYPE_BINARY)
            r = base_fail(err, SHARD_EPARSE, "--min-length: column %s is no text", name);
        p->impl->min_col[i] = col;
    }
    return r;
}

/* NULL where no key is given. */
static int
make_hash(const struct ingest_plan *p, const char *option, char *const *key, size_t n_key,
          struct fmt_rowhash **ret, struct shard_error *err)
{
    uint32_t *cols;
    int r = 0;

    if (key == NULL)
        return 0;
    cols = calloc(n_key + 1, sizeof(*cols));
    if (cols == NULL)
        return base_fail(err, -ENOMEM, "%s", option);
    for (size_t i = 0; i < n_key && r == 0; i++)
        r = find_field(p, option, key[i], &cols[i], err);
    if (r == 0) {
        r = fmt_rowhash_new(&p->schema, cols, (uint32_t)n_key, ret);
        if (r < 0)
            (void)base_fail(err, r, "%s", option);
    }
    free(cols);
    return r;
}

static int
make_hashes(struct ingest_plan *p, struct shard_error *err)
{
    const struct ingest_parse_opts *opts = p->opts;
    int r = fmt_rowhash_new(&p->schema, NULL, 0, &p->row_hash);

    if (r < 0)
        return base_fail(err, r, "the columns' hash");
    r = make_hash(p, "--dedup-key", opts->dedup_key, opts->n_dedup_key, &p->dedup_hash, err);
    if (r < 0)
        return r;
    return make_hash(p, "--split-key", opts->split_key, opts->n_split_key, &p->split_hash, err);
}

/* ------------------------------------------------------------------------------------ all */

static int
impl_new(const struct ingest_parse_opts *opts, const struct ingest_infer *in,
         struct ingest_plan_impl **ret)
{
    struct ingest_plan_impl *impl = calloc(1, sizeof(*impl));
    int r;

    if (impl == NULL)
        return -ENOMEM;
    impl->strict = opts->schema != NULL;
    impl->keep_unknown = opts->schema == NULL && opts->columns == NULL;
    impl->record = -1;
    impl->max_depth = ingest_max_depth(opts);
    impl->csv_width = in ? in->csv_width : 0;
    r = ingest_trie_init(&impl->keys);
    if (r == 0)
        r = ingest_trie_init(&impl->names);
    if (r < 0) {
        impl_free(impl, 0);
        return r;
    }
    *ret = impl;
    return 0;
}

static int
fill(struct ingest_plan *p, const struct ingest_infer *in, struct shard_error *err)
{
    struct ingest_columns columns = {0};
    int r = impl_new(p->opts, in, &p->impl);

    if (r < 0)
        return base_fail(err, r, "the plan");
    r = ingest_columns_make(p->opts, in, &columns, err);
    if (r < 0)
        return r;
    r = add_fields(p, &columns, in);
    if (r == 0)
        r = map_names(p);
    if (r == 0)
        r = mark_below(p->impl);
    ingest_columns_done(&columns);
    if (r < 0)
        return base_fail(err, r, "the plan");
    r = resolve_min_lengths(p, err);
    return r < 0 ? r : make_hashes(p, err);
}

int
ingest_plan_make(const struct ingest_parse_opts *opts, const struct ingest_infer *in,
                 struct ingest_plan **ret_plan, struct shard_error *err)
{
    struct ingest_plan *p = calloc(1, sizeof(*p));
    int r;

    if (p == NULL)
        return base_fail(err, -ENOMEM, "the plan");
    fmt_schema_init(&p->schema);
    p->opts = opts;
    p->extra = -1;
    r = fill(p, in, err);
    if (r < 0) {
        ingest_plan_free(p);
        return r;
    }
    *ret_plan = p;
    return 0;
}
