#include "config.h"

#include "tools/ingest/plan_columns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/fail.h"
#include "tools/ingest/infer.h"

static void
column_done(struct ingest_column *c)
{
    free(c->source);
    free(c->name);
}

void
ingest_columns_done(struct ingest_columns *c)
{
    for (size_t i = 0; i < c->count; i++)
        column_done(&c->items[i]);
    free(c->items);
    memset(c, 0, sizeof(*c));
}

/* Copies the names. */
static int
columns_add(struct ingest_columns *c, const struct ingest_column *column)
{
    struct ingest_column *item;

    if (c->count == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 16;
        void *p = realloc(c->items, cap * sizeof(*c->items));

        if (p == NULL)
            return -ENOMEM;
        c->items = p;
        c->cap = cap;
    }
    item = &c->items[c->count];
    *item = *column;
    item->source = strdup(column->source);
    item->name = strdup(column->name);
    if (item->source == NULL || item->name == NULL) {
        column_done(item);
        return -ENOMEM;
    }
    c->count++;
    return 0;
}

static struct ingest_column *
columns_find(const struct ingest_columns *c, const char *name)
{
    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->items[i].name, name) == 0)
            return &c->items[i];
    return NULL;
}

static int
from_sample(const struct ingest_infer *in, struct ingest_columns *ret, struct shard_error *err)
{
    struct fmt_schema schema;
    int r = ingest_infer_columns(in, &schema, err);

    if (r < 0)
        return r;
    for (uint32_t i = 0; i < schema.n_fields && r == 0; i++) {
        const struct shard_field *f = &schema.fields[i];
        char *name = (char *)(uintptr_t)f->name; /* only copied */
        const struct ingest_column column = {name, name, *f, -1};

        r = columns_add(ret, &column);
    }
    fmt_schema_done(&schema);
    return r < 0 ? base_fail(err, r, "the columns") : 0;
}

/* One "name:type" of --schema. */
static int
take_given(char *item, struct ingest_columns *ret, struct shard_error *err)
{
    struct ingest_column column = {.path_column = -1};
    char *colon, *end;
    int r;

    item += strspn(item, " \t\n");
    for (end = item + strlen(item); end > item && strchr(" \t\n", end[-1]); end--)
        end[-1] = '\0';
    colon = strrchr(item, ':');
    if (colon == NULL || colon == item)
        return base_fail(err, SHARD_EPARSE, "--schema: \"%s\" is not NAME:TYPE", item);
    *colon = '\0';
    r = fmt_type_parse(colon + 1 + strspn(colon + 1, " "), &column.field, err);
    if (r < 0)
        return base_fail_in(err, r, "--schema");
    if (columns_find(ret, item))
        return base_fail(err, SHARD_EPARSE, "--schema names column %s twice", item);
    if (strcmp(item, "_extra") == 0)
        return base_fail(err, SHARD_EPARSE,
                         "--schema: leave _extra out: with a given schema, records that do not fit "
                         "it are rejected");
    if (strlen(item) > FMT_NAME_MAX)
        return base_fail(err, SHARD_EPARSE, "--schema: a column cannot be called %.64s", item);
    column.source = column.name = item;
    r = columns_add(ret, &column);
    return r < 0 ? base_fail(err, r, "--schema") : 0;
}

/* The next item of the list at *p, which ends at a line end or a comma, but not one that stands in the
 * <> of a type; NULL at the end. */
static char *
next_item(char **p)
{
    char *item = *p + strspn(*p, ",\n"), *end = item;
    bool within = false;

    for (; *end && *end != '\n' && (within || *end != ','); end++) {
        within = within || (*end == '<' && memchr(item, ':', (size_t)(end - item)));
        within = within && *end != '>';
    }
    if (end == item)
        return NULL;
    *p = *end ? end + 1 : end;
    *end = '\0';
    return item;
}

/* "a:t,b:u", or lines, which is what `shardtool schema` prints. */
static int
from_option(const char *text, struct ingest_columns *ret, struct shard_error *err)
{
    char *copy = strdup(text), *p = copy, *item;
    int r = 0;

    if (copy == NULL)
        return base_fail(err, -ENOMEM, "--schema");
    while (r == 0 && (item = next_item(&p)) != NULL)
        r = take_given(item, ret, err);
    free(copy);
    if (r == 0 && ret->count == 0)
        r = base_fail(err, SHARD_EPARSE, "--schema names no column");
    return r;
}

static int
set_text(char **to, const char *from)
{
    char *copy = strdup(from);

    if (copy == NULL)
        return -ENOMEM;
    free(*to);
    *to = copy;
    return 0;
}

/* With an inferred schema the columns have the input's names so far; a given one names the
 * dataset's, and the input's are those before the renaming. */
static int
apply_renames(const struct ingest_parse_opts *opts, bool given, struct ingest_columns *c,
              struct shard_error *err)
{
    for (size_t i = 0; i < opts->n_renames; i++) {
        const struct ingest_rename *rename = &opts->renames[i];
        struct ingest_column *column = columns_find(c, given ? rename->to : rename->from);
        int r;

        if (column == NULL)
            return base_fail(err, SHARD_ENOTFOUND, "--rename %s=%s: %s %s%s", rename->from,
                             rename->to, given ? "--schema has no column" : "there is no column",
                             given ? rename->to : rename->from,
                             given ? "" : "; without it --dry-run shows the columns");
        if (!given && (columns_find(c, rename->to) || strcmp(rename->to, "_extra") == 0 ||
                       rename->to[0] == '\0' || strlen(rename->to) > FMT_NAME_MAX))
            return base_fail(err, SHARD_EPARSE,
                             "--rename %s=%s: there is a column of that name already, or it cannot "
                             "be one",
                             rename->from, rename->to);
        r = given ? set_text(&column->source, rename->from) : set_text(&column->name, rename->to);
        if (r < 0)
            return base_fail(err, r, "--rename");
    }
    return 0;
}

static int
add_path_columns(const struct ingest_parse_opts *opts, bool given, struct ingest_columns *c,
                 struct shard_error *err)
{
    for (size_t i = 0; i < opts->n_path_columns; i++) {
        const struct ingest_path_column *p = &opts->path_columns[i];
        const struct ingest_column column = {
            p->name, p->name,
            {.type = SHARD_TYPE_STRING, .nullable = p->fallback == NULL}, (int32_t)i};
        struct ingest_column *twin = columns_find(c, p->name);
        int r = 0;

        if (twin && given && twin->path_column < 0 && twin->field.type == SHARD_TYPE_STRING) {
            twin->path_column = (int32_t)i;
            twin->field.nullable = p->fallback == NULL;
        } else if (twin || strcmp(p->name, "_extra") == 0 || p->name[0] == '\0' ||
                   strlen(p->name) > FMT_NAME_MAX) {
            r = base_fail(err, SHARD_EPARSE,
                          "--path-column %s: there is a column of that name already, or it cannot "
                          "be one; take another name",
                          p->name);
        } else if (columns_add(c, &column) < 0) {
            r = base_fail(err, -ENOMEM, "--path-column");
        }
        if (r < 0)
            return r;
    }
    return 0;
}

/* Move the column to the end of dst: its names go along. */
static int
move_column(struct ingest_columns *dst, struct ingest_column *column)
{
    int r = columns_add(dst, column);

    if (r == 0) {
        column_done(column);
        column->source = column->name = NULL;
    }
    return r;
}

/* The columns that one name of --columns asks for: that column (by its new or old name), or all of
 * the nested ones below it. Returns how many, or -ENOMEM. */
static int
take_wanted(struct ingest_columns *from, const char *name, struct ingest_columns *to)
{
    const size_t len = strlen(name);
    int n = 0;

    for (int pass = 0; pass < 3 && n == 0; pass++) {
        for (size_t i = 0; i < from->count; i++) {
            struct ingest_column *c = &from->items[i];
            bool hit;

            if (c->name == NULL)
                continue;
            if (pass == 0)
                hit = strcmp(c->name, name) == 0;
            else if (pass == 1)
                hit = strcmp(c->source, name) == 0;
            else
                hit = strncmp(c->name, name, len) == 0 && c->name[len] == '.';
            if (hit && move_column(to, c) < 0)
                return -ENOMEM;
            n += hit;
        }
    }
    return n;
}

static int
select_columns(const struct ingest_parse_opts *opts, struct ingest_columns *c,
               struct shard_error *err)
{
    struct ingest_columns kept = {0};
    int r = 0;

    for (size_t i = 0; i < opts->n_columns && r >= 0; i++) {
        if (strcmp(opts->columns[i], "_extra") == 0)
            continue; /* comes of its own where it is needed */
        if (columns_find(&kept, opts->columns[i]))
            r = base_fail(err, SHARD_EPARSE, "--columns names %s twice", opts->columns[i]);
        else
            r = take_wanted(c, opts->columns[i], &kept);
        if (r == 0)
            r = base_fail(err, SHARD_ENOTFOUND,
                          "--columns: there is no column %s; without it --dry-run shows the columns",
                          opts->columns[i]);
    }
    for (size_t i = 0; i < c->count && r >= 0; i++)
        if (c->items[i].name && c->items[i].path_column >= 0)
            r = move_column(&kept, &c->items[i]); /* asked for by its own option */
    if (r < 0) {
        ingest_columns_done(&kept);
        return r == -ENOMEM ? base_fail(err, r, "--columns") : r;
    }
    ingest_columns_done(c);
    *c = kept;
    return 0;
}

int
ingest_columns_make(const struct ingest_parse_opts *opts, const struct ingest_infer *in,
                    struct ingest_columns *ret, struct shard_error *err)
{
    const bool given = opts->schema != NULL;
    struct ingest_columns c = {0};
    int r = 0;

    if (given)
        r = from_option(opts->schema, &c, err);
    else if (in)
        r = from_sample(in, &c, err);
    if (r == 0)
        r = apply_renames(opts, given, &c, err);
    if (r == 0)
        r = add_path_columns(opts, given, &c, err);
    if (r == 0 && opts->columns)
        r = select_columns(opts, &c, err);
    if (r < 0) {
        ingest_columns_done(&c);
        return r;
    }
    *ret = c;
    return 0;
}
