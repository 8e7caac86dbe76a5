/* Schemas: lists of named, typed columns, and how types are written as text.
 *
 * One table holds every type that this build knows: its number (on disk), its name and the size of
 * one value. A type that is not in it can still stand in a loaded footer; then its column cannot be
 * decoded, and its name is "type<number>". */
#include "config.h"
#include "shardfmt/schema.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/compiler.h"
#include "lib/fail.h"
#include "lib/hash.h"

#define TYPE_NAME_MAX 32u /* shard_field_type_name() promises it */

struct type_entry {
    enum shard_type type;
    uint8_t size;  /* bytes of one number; 0 where a value is no number */
    bool has_elem; /* written name<elem> */
    const char *name;
};

static const struct type_entry types[] = {
    {SHARD_TYPE_BOOL, 0, false, "bool"},       {SHARD_TYPE_INT8, 1, false, "int8"},
    {SHARD_TYPE_INT16, 2, false, "int16"},     {SHARD_TYPE_INT32, 4, false, "int32"},
    {SHARD_TYPE_INT64, 8, false, "int64"},     {SHARD_TYPE_UINT8, 1, false, "uint8"},
    {SHARD_TYPE_UINT16, 2, false, "uint16"},   {SHARD_TYPE_UINT32, 4, false, "uint32"},
    {SHARD_TYPE_UINT64, 8, false, "uint64"},   {SHARD_TYPE_FLOAT32, 4, false, "float32"},
    {SHARD_TYPE_FLOAT64, 8, false, "float64"}, {SHARD_TYPE_STRING, 0, false, "string"},
    {SHARD_TYPE_BINARY, 0, false, "binary"},   {SHARD_TYPE_LIST, 0, true, "list"},
    {SHARD_TYPE_SPARSE, 0, true, "sparse"},
};

static const struct type_entry *
type_find(enum shard_type t)
{
    for (size_t i = 0; i < BASE_ARRAY_LEN(types); i++)
        if (types[i].type == t)
            return &types[i];
    return NULL;
}

size_t
shard_type_size(enum shard_type type)
{
    const struct type_entry *e = type_find(type);

    return e ? e->size : 0;
}

bool
fmt_type_is_number(enum shard_type t)
{
    return shard_type_size(t) != 0;
}

bool
fmt_type_known(enum shard_type type, enum shard_type elem)
{
    const struct type_entry *e = type_find(type);

    if (e == NULL)
        return false;
    return e->has_elem ? fmt_type_is_number(elem) : elem == 0;
}

/* Append the name of one type at ret + len (cap bytes in all); returns the new length. */
static size_t
type_put(char *ret, size_t cap, size_t len, enum shard_type t)
{
    const struct type_entry *e = type_find(t);
    int n;

    if (e)
        n = snprintf(ret + len, cap - len, "%s", e->name);
    else
        n = snprintf(ret + len, cap - len, "type%u", (unsigned)t);
    return len + (size_t)(n > 0 ? n : 0);
}

char *
shard_field_type_name(const struct shard_field *f, char ret[32])
{
    size_t len = type_put(ret, TYPE_NAME_MAX, 0, f->type);

    if (f->elem) {
        ret[len++] = '<';
        len = type_put(ret, TYPE_NAME_MAX, len, f->elem);
        ret[len++] = '>';
    }
    if (f->nullable)
        ret[len++] = '?';
    ret[len] = '\0';
    return ret;
}

static const struct type_entry *
type_find_name(const char *name, size_t len)
{
    for (size_t i = 0; i < BASE_ARRAY_LEN(types); i++)
        if (strlen(types[i].name) == len && memcmp(types[i].name, name, len) == 0)
            return &types[i];
    return NULL;
}

int
fmt_type_parse(const char *text, enum shard_type *ret_type, enum shard_type *ret_elem,
               bool *ret_nullable, struct shard_error *err)
{
    const char *p = text + strcspn(text, "<?");
    const struct type_entry *t = type_find_name(text, (size_t)(p - text)), *elem = NULL;
    bool nullable = false;

    if (t && t->has_elem && *p == '<') {
        const char *end = strchr(p, '>');

        elem = end ? type_find_name(p + 1, (size_t)(end - p - 1)) : NULL;
        if (elem == NULL || elem->size == 0)
            return base_fail(err, SHARD_EPARSE,
                             "\"%s\": a %s holds a number type, as in %s<float32>", text, t->name,
                             t->name);
        p = end + 1;
    }
    if (*p == '?') {
        nullable = true;
        p++;
    }
    if (t == NULL || *p != '\0' || (t->has_elem && elem == NULL))
        return base_fail(err, SHARD_EPARSE,
                         "\"%s\" is no type; types are bool, int8 to int64, uint8 to uint64, "
                         "float32, float64, string, binary, list<number>, sparse<number>, each "
                         "with ? behind it where rows may be null",
                         text);
    *ret_type = t->type;
    *ret_elem = elem ? elem->type : 0;
    *ret_nullable = nullable;
    return 0;
}

void
fmt_schema_init(struct fmt_schema *s)
{
    *s = (struct fmt_schema){0};
}

void
fmt_schema_done(struct fmt_schema *s)
{
    for (uint32_t i = 0; i < s->n_fields; i++)
        free((void *)(uintptr_t)s->fields[i].name); /* const for readers, owned here */
    free(s->fields);
    fmt_schema_init(s);
}

static int
schema_grow(struct fmt_schema *s)
{
    uint32_t cap = s->cap ? s->cap * 2 : 8;
    struct shard_field *fields;

    fields = realloc(s->fields, cap * sizeof(*fields));
    if (fields == NULL)
        return -ENOMEM;
    s->fields = fields;
    s->cap = cap;
    return 0;
}

int
fmt_schema_add_raw(struct fmt_schema *s, const char *name, size_t name_len, enum shard_type type,
                   enum shard_type elem, bool nullable, uint32_t flags)
{
    char *copy;

    if (s->n_fields >= FMT_COLUMNS_MAX || name_len > FMT_NAME_MAX)
        return -EINVAL;
    if (s->n_fields == s->cap && schema_grow(s) < 0)
        return -ENOMEM;
    copy = malloc(name_len + 1);
    if (copy == NULL)
        return -ENOMEM;
    memcpy(copy, name, name_len);
    copy[name_len] = '\0';
    s->fields[s->n_fields++] = (struct shard_field){
        .name = copy, .type = type, .elem = elem, .nullable = nullable, .flags = flags};
    return 0;
}

int
fmt_schema_add(struct fmt_schema *s, const char *name, enum shard_type type, enum shard_type elem,
               bool nullable, uint32_t flags)
{
    if (!fmt_type_known(type, elem))
        return -EINVAL;
    return fmt_schema_add_raw(s, name, strlen(name), type, elem, nullable, flags);
}

int
fmt_schema_copy(struct fmt_schema *dst, const struct fmt_schema *src)
{
    struct fmt_schema s;
    int r = 0;

    fmt_schema_init(&s);
    for (uint32_t i = 0; i < src->n_fields && r == 0; i++) {
        const struct shard_field *f = &src->fields[i];

        r = fmt_schema_add_raw(&s, f->name, strlen(f->name), f->type, f->elem, f->nullable,
                               f->flags);
    }
    if (r < 0) {
        fmt_schema_done(&s);
        return r;
    }
    *dst = s;
    return 0;
}

int64_t
fmt_schema_find(const struct fmt_schema *s, const char *name)
{
    for (uint32_t i = 0; i < s->n_fields; i++)
        if (strcmp(s->fields[i].name, name) == 0)
            return i;
    return -1;
}

bool
fmt_schema_equal(const struct fmt_schema *a, const struct fmt_schema *b)
{
    if (a->n_fields != b->n_fields)
        return false;
    for (uint32_t i = 0; i < a->n_fields; i++) {
        const struct shard_field *x = &a->fields[i], *y = &b->fields[i];

        if (x->type != y->type || x->elem != y->elem || x->nullable != y->nullable ||
            x->flags != y->flags || strcmp(x->name, y->name) != 0)
            return false;
    }
    return true;
}

int64_t
fmt_schema_find_double(const struct fmt_schema *s)
{
    uint32_t cap = 16, *table;
    int64_t found = -1;

    while (cap < s->n_fields * 2)
        cap *= 2;
    table = calloc(cap, sizeof(*table)); /* field + 1; open addressing, at most half full */
    if (table == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < s->n_fields && found < 0; i++) {
        const char *name = s->fields[i].name;
        uint32_t slot = (uint32_t)base_hash64(name, strlen(name), 0) & (cap - 1);

        while (table[slot] && strcmp(s->fields[table[slot] - 1].name, name) != 0)
            slot = (slot + 1) & (cap - 1);
        if (table[slot])
            found = i;
        table[slot] = i + 1;
    }
    free(table);
    return found;
}
