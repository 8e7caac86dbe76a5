/* Schemas: lists of named, typed columns, and how types are written as text.
 *
 * One table holds every type that this build knows, by its number, which is on disk. A type that is
 * not in it can still stand in a loaded footer or root; then its column cannot be decoded, and keeps
 * what was said about it as it stood there. */
#include "config.h"
#include "shardfmt/schema.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/compiler.h"
#include "lib/endian.h"
#include "lib/fail.h"
#include "lib/hash.h"

/* What a type has besides its name. */
enum args {
    ARGS_NONE,
    ARGS_NUMBER,            /* <number> */
    ARGS_NUMBER_OR_STRING,  /* <number> or <string> */
    ARGS_SHAPE,             /* <number,dim,...> */
    ARGS_UNIT,              /* [unit], or nothing for the default */
};

struct type_entry {
    const char *name;
    enum fmt_kind kind;
    enum fmt_number number;
    uint8_t size; /* bytes of one number; 0 where a value is no number */
    enum args args;
};

#define NUMBER(name, kind, size) {name, FMT_KIND_NUMBER, FMT_NUMBER_##kind, size, ARGS_NONE}

/* By number. */
static const struct type_entry types[] = {
    [SHARD_TYPE_BOOL] = {"bool", FMT_KIND_BIT, FMT_NUMBER_NONE, 0, ARGS_NONE},
    [SHARD_TYPE_INT8] = NUMBER("int8", SIGNED, 1),
    [SHARD_TYPE_INT16] = NUMBER("int16", SIGNED, 2),
    [SHARD_TYPE_INT32] = NUMBER("int32", SIGNED, 4),
    [SHARD_TYPE_INT64] = NUMBER("int64", SIGNED, 8),
    [SHARD_TYPE_UINT8] = NUMBER("uint8", UNSIGNED, 1),
    [SHARD_TYPE_UINT16] = NUMBER("uint16", UNSIGNED, 2),
    [SHARD_TYPE_UINT32] = NUMBER("uint32", UNSIGNED, 4),
    [SHARD_TYPE_UINT64] = NUMBER("uint64", UNSIGNED, 8),
    [SHARD_TYPE_FLOAT16] = NUMBER("float16", FLOAT, 2),
    [SHARD_TYPE_BFLOAT16] = NUMBER("bfloat16", FLOAT, 2),
    [SHARD_TYPE_FLOAT32] = NUMBER("float32", FLOAT, 4),
    [SHARD_TYPE_FLOAT64] = NUMBER("float64", FLOAT, 8),
    [SHARD_TYPE_STRING] = {"string", FMT_KIND_BYTES, FMT_NUMBER_NONE, 0, ARGS_NONE},
    [SHARD_TYPE_BINARY] = {"binary", FMT_KIND_BYTES, FMT_NUMBER_NONE, 0, ARGS_NONE},
    [SHARD_TYPE_TIMESTAMP] = {"timestamp", FMT_KIND_NUMBER, FMT_NUMBER_SIGNED, 8, ARGS_UNIT},
    [SHARD_TYPE_TENSOR] = {"tensor", FMT_KIND_TENSOR, FMT_NUMBER_NONE, 0, ARGS_SHAPE},
    [SHARD_TYPE_LIST] = {"list", FMT_KIND_LIST, FMT_NUMBER_NONE, 0, ARGS_NUMBER_OR_STRING},
    [SHARD_TYPE_SPARSE] = {"sparse", FMT_KIND_SPARSE, FMT_NUMBER_NONE, 0, ARGS_NUMBER},
};

static const char *const units[] = {
    [SHARD_UNIT_S] = "s", [SHARD_UNIT_MS] = "ms", [SHARD_UNIT_US] = "us", [SHARD_UNIT_NS] = "ns"};

/* ---------------------------------------------------------------------------- what a type is */

static const struct type_entry *
type_find(enum shard_type t)
{
    return (unsigned)t < BASE_ARRAY_LEN(types) && types[t].name ? &types[t] : NULL;
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
    const struct type_entry *e = type_find(t);

    return e && e->kind == FMT_KIND_NUMBER && e->args == ARGS_NONE;
}

struct fmt_type
fmt_type_of(enum shard_type type, enum shard_type elem)
{
    const struct type_entry *e = type_find(type), *v = e;
    struct fmt_type t = {.kind = FMT_KIND_UNKNOWN};

    if (e == NULL)
        return t;
    if (e->args == ARGS_NONE || e->args == ARGS_UNIT) {
        if (elem != 0)
            return t;
    } else if (fmt_type_is_number(elem)) {
        v = type_find(elem);
    } else if (e->args == ARGS_NUMBER_OR_STRING && elem == SHARD_TYPE_STRING) {
        return (struct fmt_type){FMT_KIND_STRINGS, FMT_NUMBER_NONE, 1, true};
    } else {
        return t;
    }
    t.kind = e->kind;
    t.number = v->number;
    t.size = e->kind == FMT_KIND_BYTES ? 1 : v->size;
    t.offsets = e->kind == FMT_KIND_BYTES || e->kind == FMT_KIND_LIST || e->kind == FMT_KIND_SPARSE;
    return t;
}

/* Elements of a shape; 0 where it cannot be. */
static uint32_t
shape_width(const struct shard_field *f)
{
    const uint64_t most = INT32_MAX / shard_type_size(f->elem);
    uint64_t width = 1;

    if (f->n_dims == 0 || f->n_dims > SHARD_DIMS_MAX)
        return 0;
    for (uint32_t i = 0; i < f->n_dims; i++) {
        width *= f->dims[i];
        if (width == 0 || width > most)
            return 0;
    }
    return (uint32_t)width;
}

struct fmt_type
fmt_field_type(const struct shard_field *f)
{
    const struct fmt_type unknown = {.kind = FMT_KIND_UNKNOWN};
    const struct fmt_type t = fmt_type_of(f->type, f->elem);

    if (f->params || f->unit >= BASE_ARRAY_LEN(units) ||
        (t.kind == FMT_KIND_TENSOR && shape_width(f) == 0))
        return unknown;
    return t;
}

uint32_t
fmt_field_width(const struct shard_field *f)
{
    return fmt_field_type(f).kind == FMT_KIND_TENSOR ? shape_width(f) : 0;
}

/* -------------------------------------------------------------------------------- parameters */

static enum args
args_of(const struct shard_field *f)
{
    const struct type_entry *e = type_find(f->type);

    return e ? e->args : ARGS_NONE;
}

size_t
fmt_params_len(const struct shard_field *f)
{
    if (f->params)
        return f->params_len;
    switch (args_of(f)) {
    case ARGS_UNIT:
        return 1;
    case ARGS_SHAPE:
        return 4 + 4 * (size_t)f->n_dims;
    default:
        return 0;
    }
}

void
fmt_params_write(const struct shard_field *f, uint8_t *ret)
{
    if (f->params) {
        memcpy(ret, f->params, f->params_len);
    } else if (args_of(f) == ARGS_UNIT) {
        *ret = f->unit;
    } else if (args_of(f) == ARGS_SHAPE) {
        base_store_le32(ret, f->n_dims);
        for (uint32_t i = 0; i < f->n_dims; i++)
            base_store_le32(ret + 4 + 4 * (size_t)i, f->dims[i]);
    }
}

void
fmt_params_read(struct shard_field *f, const uint8_t *params, uint32_t len)
{
    const enum args args = args_of(f);
    struct shard_field g = *f;

    if (args == ARGS_UNIT && len == 1) {
        g.unit = params[0];
    } else if (args == ARGS_SHAPE && len > 4 && len % 4 == 0 && len <= FMT_PARAMS_MAX &&
               base_load_le32(params) == len / 4 - 1) {
        g.n_dims = params[0];
        for (uint32_t i = 0; i < g.n_dims; i++)
            g.dims[i] = base_load_le32(params + 4 + 4 * (size_t)i);
    } else if (args == ARGS_UNIT || args == ARGS_SHAPE || len) {
        g.params = params;
    }
    if (g.params || fmt_field_type(&g).kind == FMT_KIND_UNKNOWN) {
        f->params = params;
        f->params_len = len;
    } else {
        *f = g;
        f->params_len = 0;
    }
}

/* -------------------------------------------------------------------------------------- text */

/* Text that is cut where there is no more room. */
struct text {
    char *p;
    size_t len;
};

static void __attribute__((format(printf, 2, 3)))
text_put(struct text *t, const char *fmt, ...)
{
    const size_t room = SHARD_TYPE_NAME_MAX - t->len;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(t->p + t->len, room, fmt, ap);
    va_end(ap);
    if (n > 0)
        t->len += BASE_MIN((size_t)n, room - 1);
}

static void
text_put_type(struct text *t, enum shard_type type)
{
    const struct type_entry *e = type_find(type);

    if (e)
        text_put(t, "%s", e->name);
    else
        text_put(t, "type%u", (unsigned)type);
}

char *
shard_field_type_name(const struct shard_field *f, char ret[SHARD_TYPE_NAME_MAX])
{
    struct text t = {ret, 0};

    ret[0] = '\0';
    if (f->type == 0) {
        text_put(&t, "%.*s", (int)f->params_len, f->params ? (const char *)f->params : "");
    } else {
        text_put_type(&t, f->type);
        if (args_of(f) == ARGS_UNIT && f->params == NULL)
            text_put(&t, "[%s]", units[f->unit]);
        if (f->elem) {
            text_put(&t, "<");
            text_put_type(&t, f->elem);
            for (uint32_t i = 0; i < f->n_dims; i++)
                text_put(&t, ",%" PRIu32, f->dims[i]);
            text_put(&t, ">");
        }
        if (f->params)
            text_put(&t, "(unknown parameters)");
    }
    if (f->nullable)
        text_put(&t, "?");
    return ret;
}

static const struct type_entry *
type_find_name(const char *name, size_t len)
{
    for (size_t i = 0; i < BASE_ARRAY_LEN(types); i++)
        if (types[i].name && strlen(types[i].name) == len &&
            memcmp(types[i].name, name, len) == 0)
            return &types[i];
    return NULL;
}

static enum shard_type
type_number(const struct type_entry *e)
{
    return (enum shard_type)(e - types);
}

/* ",28,28" at p into the shape; where it ends. NULL where it cannot be. */
static const char *
parse_shape(const char *p, struct shard_field *f)
{
    while (*p == ',') {
        uint64_t v = 0;

        p += 1 + strspn(p + 1, " ");
        if (f->n_dims == SHARD_DIMS_MAX || *p < '1' || *p > '9')
            return NULL;
        for (; *p >= '0' && *p <= '9' && v <= INT32_MAX; p++)
            v = v * 10 + (uint64_t)(*p - '0');
        if (v > INT32_MAX)
            return NULL;
        f->dims[f->n_dims++] = (uint32_t)v;
    }
    return shape_width(f) ? p : NULL;
}

/* What stands behind the name of the type e; where it ends. NULL where it is wrong. */
static const char *
parse_args(const char *p, const struct type_entry *e, struct shard_field *f)
{
    const struct type_entry *elem;
    size_t n;

    if (e->args == ARGS_NONE)
        return p;
    if (e->args == ARGS_UNIT) {
        f->unit = SHARD_UNIT_US;
        if (*p != '[')
            return p;
        n = strcspn(++p, "]");
        for (f->unit = 0; f->unit < BASE_ARRAY_LEN(units); f->unit++)
            if (strlen(units[f->unit]) == n && memcmp(units[f->unit], p, n) == 0)
                return p[n] == ']' ? p + n + 1 : NULL;
        return NULL;
    }
    if (*p++ != '<')
        return NULL;
    n = strcspn(p, ",>");
    elem = type_find_name(p, n);
    if (elem == NULL)
        return NULL;
    f->elem = type_number(elem);
    if (fmt_type_of(type_number(e), f->elem).kind == FMT_KIND_UNKNOWN)
        return NULL;
    p += n;
    if (e->args == ARGS_SHAPE)
        p = parse_shape(p, f);
    return p && *p == '>' ? p + 1 : NULL;
}

int
fmt_type_parse(const char *text, struct shard_field *ret, struct shard_error *err)
{
    const char *p = text + strcspn(text, "<[?");
    const struct type_entry *t = type_find_name(text, (size_t)(p - text));
    struct shard_field f = {0};

    if (t)
        p = parse_args(p, t, &f);
    if (t && p && *p == '?') {
        f.nullable = true;
        p++;
    }
    if (t && (p == NULL || *p != '\0') && t->args == ARGS_SHAPE)
        return base_fail(err, SHARD_EPARSE,
                         "\"%s\": a tensor is of a number type and has 1 to %d dimensions, under "
                         "2 GiB in all, as in tensor<uint8,28,28>",
                         text, SHARD_DIMS_MAX);
    if (t && (p == NULL || *p != '\0') && t->args == ARGS_UNIT)
        return base_fail(err, SHARD_EPARSE,
                         "\"%s\": a timestamp's unit is s, ms, us or ns, as in timestamp[ms]",
                         text);
    if (t && p == NULL)
        return base_fail(err, SHARD_EPARSE, "\"%s\": a %s holds a number type%s, as in %s<float32>",
                         text, t->name, t->args == ARGS_NUMBER_OR_STRING ? " or strings" : "",
                         t->name);
    if (t == NULL || *p != '\0')
        return base_fail(err, SHARD_EPARSE,
                         "\"%s\" is no type; types are bool, int8 to int64, uint8 to uint64, "
                         "float16, bfloat16, float32, float64, string, binary, timestamp[unit], "
                         "tensor<number,dims>, list<number>, list<string>, sparse<number>, each "
                         "with ? behind it where rows may be null",
                         text);
    ret->type = type_number(t);
    ret->elem = f.elem;
    ret->nullable = f.nullable;
    ret->unit = f.unit;
    ret->n_dims = f.n_dims;
    memcpy(ret->dims, f.dims, sizeof(ret->dims));
    ret->params = NULL;
    ret->params_len = 0;
    return 0;
}

/* ----------------------------------------------------------------------------------- schemas */

void
fmt_schema_init(struct fmt_schema *s)
{
    *s = (struct fmt_schema){0};
}

void
fmt_schema_done(struct fmt_schema *s)
{
    for (uint32_t i = 0; i < s->n_fields; i++) { /* const for readers, owned here */
        free((void *)(uintptr_t)s->fields[i].name);
        free((void *)(uintptr_t)s->fields[i].params);
    }
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
fmt_schema_add_field(struct fmt_schema *s, const struct shard_field *f)
{
    const size_t name_len = strlen(f->name);
    void *params = NULL;
    char *name;

    if (s->n_fields >= FMT_COLUMNS_MAX || name_len > FMT_NAME_MAX)
        return -EINVAL;
    if (s->n_fields == s->cap && schema_grow(s) < 0)
        return -ENOMEM;
    name = strdup(f->name);
    if (f->params)
        params = malloc(f->params_len ? f->params_len : 1);
    if (name == NULL || (f->params && params == NULL)) {
        free(name);
        free(params);
        return -ENOMEM;
    }
    if (params)
        memcpy(params, f->params, f->params_len);
    s->fields[s->n_fields] = *f;
    s->fields[s->n_fields].name = name;
    s->fields[s->n_fields++].params = params;
    return 0;
}

int
fmt_schema_add(struct fmt_schema *s, const char *name, enum shard_type type, enum shard_type elem,
               bool nullable, uint32_t flags)
{
    const struct shard_field f = {
        .name = name, .type = type, .elem = elem, .nullable = nullable, .flags = flags};

    if (fmt_field_type(&f).kind == FMT_KIND_UNKNOWN || fmt_params_len(&f))
        return -EINVAL;
    return fmt_schema_add_field(s, &f);
}

int
fmt_schema_copy(struct fmt_schema *dst, const struct fmt_schema *src)
{
    struct fmt_schema s;
    int r = 0;

    fmt_schema_init(&s);
    for (uint32_t i = 0; i < src->n_fields && r == 0; i++)
        r = fmt_schema_add_field(&s, &src->fields[i]);
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

static bool
type_equal(const struct shard_field *x, const struct shard_field *y)
{
    if ((x->type == 0) != (y->type == 0))
        return fmt_field_type(x).kind == FMT_KIND_UNKNOWN &&
               fmt_field_type(y).kind == FMT_KIND_UNKNOWN;
    return x->type == y->type && x->elem == y->elem && x->unit == y->unit &&
           x->n_dims == y->n_dims && memcmp(x->dims, y->dims, sizeof(x->dims)) == 0 &&
           (x->params == NULL) == (y->params == NULL) && x->params_len == y->params_len &&
           (x->params == NULL || memcmp(x->params, y->params, x->params_len) == 0);
}

bool
fmt_schema_equal(const struct fmt_schema *a, const struct fmt_schema *b)
{
    return a->n_fields == b->n_fields && fmt_schema_begins(a, b);
}

bool
fmt_schema_begins(const struct fmt_schema *a, const struct fmt_schema *b)
{
    if (a->n_fields < b->n_fields)
        return false;
    for (uint32_t i = 0; i < b->n_fields; i++) {
        const struct shard_field *x = &a->fields[i], *y = &b->fields[i];

        if (!type_equal(x, y) || x->nullable != y->nullable || x->flags != y->flags ||
            strcmp(x->name, y->name) != 0)
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
