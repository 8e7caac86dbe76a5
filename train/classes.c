#include "config.h"

#include "train/classes.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/compiler.h"
#include "lib/fail.h"
#include "lib/hash.h"

static const char *const kind_names[] = {"string", "bool", "int", "uint", "float"};

bool
train_label_kind_of(enum shard_type type, enum train_label_kind *ret_kind)
{
    switch (type) {
    case SHARD_TYPE_STRING:
        *ret_kind = TRAIN_LABEL_STRING;
        return true;
    case SHARD_TYPE_BOOL:
        *ret_kind = TRAIN_LABEL_BOOL;
        return true;
    case SHARD_TYPE_INT8:
    case SHARD_TYPE_INT16:
    case SHARD_TYPE_INT32:
    case SHARD_TYPE_INT64:
    case SHARD_TYPE_UINT8:
    case SHARD_TYPE_UINT16:
    case SHARD_TYPE_UINT32:
        *ret_kind = TRAIN_LABEL_INT;
        return true;
    case SHARD_TYPE_UINT64:
        *ret_kind = TRAIN_LABEL_UINT;
        return true;
    case SHARD_TYPE_FLOAT32:
    case SHARD_TYPE_FLOAT64:
        *ret_kind = TRAIN_LABEL_FLOAT;
        return true;
    default:
        return false;
    }
}

static bool
is_null(const struct shard_array *a, uint64_t i)
{
    return a->validity != NULL && !(a->validity[i / 8] >> (i % 8) & 1);
}

/* A label number as 8 bytes: of the column's own type, widened. */
static uint64_t
number_key(const struct shard_array *a, uint64_t i)
{
    uint64_t key;
    double d;

    switch (a->type) {
    case SHARD_TYPE_BOOL:
        return ((const uint8_t *)a->values)[i / 8] >> (i % 8) & 1;
    case SHARD_TYPE_INT8:
        return (uint64_t)(int64_t)((const int8_t *)a->values)[i];
    case SHARD_TYPE_INT16:
        return (uint64_t)(int64_t)((const int16_t *)a->values)[i];
    case SHARD_TYPE_INT32:
        return (uint64_t)(int64_t)((const int32_t *)a->values)[i];
    case SHARD_TYPE_UINT8:
        return ((const uint8_t *)a->values)[i];
    case SHARD_TYPE_UINT16:
        return ((const uint16_t *)a->values)[i];
    case SHARD_TYPE_UINT32:
        return ((const uint32_t *)a->values)[i];
    case SHARD_TYPE_FLOAT32:
        d = (double)((const float *)a->values)[i];
        break;
    case SHARD_TYPE_FLOAT64:
        d = ((const double *)a->values)[i];
        break;
    default: /* int64, uint64 */
        return ((const uint64_t *)a->values)[i];
    }
    d = d == 0 ? 0 : d; /* -0 is 0 */
    memcpy(&key, &d, sizeof(key));
    return key;
}

/* Borrow row i's key: bytes in the array, or in *number. */
static const char *
row_key(const struct shard_array *a, uint64_t i, uint64_t *number, size_t *ret_len)
{
    if (a->type == SHARD_TYPE_STRING) {
        *ret_len = (size_t)(a->offsets[i + 1] - a->offsets[i]);
        return (const char *)a->values + a->offsets[i];
    }
    *number = number_key(a, i);
    *ret_len = sizeof(*number);
    return (const char *)number;
}

/* Where key is, or the free slot where it would go. */
static uint32_t *
find_slot(const struct train_classes *c, const char *key, size_t len)
{
    uint32_t s = (uint32_t)base_hash64(key, len, 0) & (c->n_slots - 1);

    for (;; s = (s + 1) & (c->n_slots - 1)) {
        const struct train_class *k;

        if (c->slots[s] == 0)
            return &c->slots[s];
        k = &c->list[c->slots[s] - 1];
        if (k->key_len == len && memcmp(k->key, key, len) == 0)
            return &c->slots[s];
    }
}

void
train_classes_init(struct train_classes *c, enum train_label_kind kind)
{
    memset(c, 0, sizeof(*c));
    c->kind = kind;
}

void
train_classes_done(struct train_classes *c)
{
    for (uint32_t i = 0; i < c->n; i++) {
        free(c->list[i].key);
        free(c->list[i].name);
    }
    free(c->list);
    free(c->slots);
    memset(c, 0, sizeof(*c));
}

static int
grow(struct train_classes *c, struct shard_error *err)
{
    const uint32_t cap = c->cap ? 2 * c->cap : 64;
    struct train_class *list = realloc(c->list, cap * sizeof(*list));
    uint32_t *slots;

    if (list == NULL)
        return base_fail(err, -ENOMEM, "a list of classes");
    c->list = list;
    slots = calloc(4 * (size_t)cap, sizeof(*slots));
    if (slots == NULL)
        return base_fail(err, -ENOMEM, "a list of classes");
    free(c->slots);
    c->slots = slots;
    c->n_slots = 4 * cap;
    c->cap = cap;
    for (uint32_t i = 0; i < c->n; i++)
        *find_slot(c, c->list[i].key, c->list[i].key_len) = i + 1;
    return 0;
}

/* The key as people see it; NUL-terminated, to be freed. */
static char *
key_name(enum train_label_kind kind, const char *key, size_t len, size_t *ret_len)
{
    char *name;
    uint64_t u;
    double d;
    int n;

    if (kind == TRAIN_LABEL_STRING) {
        name = malloc(len + 1);
        if (name == NULL)
            return NULL;
        if (len)
            memcpy(name, key, len);
        name[len] = 0;
        *ret_len = len;
        return name;
    }
    name = malloc(40);
    if (name == NULL)
        return NULL;
    memcpy(&u, key, sizeof(u));
    memcpy(&d, key, sizeof(d));
    if (kind == TRAIN_LABEL_BOOL)
        n = snprintf(name, 40, "%s", u ? "true" : "false");
    else if (kind == TRAIN_LABEL_INT)
        n = snprintf(name, 40, "%" PRId64, (int64_t)u);
    else if (kind == TRAIN_LABEL_UINT)
        n = snprintf(name, 40, "%" PRIu64, u);
    else
        for (int digits = 1; n = snprintf(name, 40, "%.*g", digits, d), digits < 17; digits++)
            if (strtod(name, NULL) == d)
                break;
    *ret_len = (size_t)n;
    return name;
}

static int64_t
add_key(struct train_classes *c, const char *key, size_t len, struct shard_error *err)
{
    struct train_class k = {0};
    uint32_t *slot;

    if (c->n == c->cap) {
        const int r = grow(c, err);

        if (r < 0)
            return r;
    }
    slot = find_slot(c, key, len);
    if (*slot != 0)
        return (int64_t)*slot - 1;
    if (c->n == TRAIN_CLASSES_MAX)
        return base_fail(err, SHARD_ELIMIT,
                         "the label column has more than %u distinct values; that is no column of "
                         "classes",
                         TRAIN_CLASSES_MAX);
    k.key_len = len;
    k.key = malloc(len + 1);
    k.name = key_name(c->kind, key, len, &k.name_len);
    if (k.key == NULL || k.name == NULL) {
        free(k.key);
        free(k.name);
        return base_fail(err, -ENOMEM, "a class");
    }
    if (len)
        memcpy(k.key, key, len);
    c->list[c->n++] = k;
    *slot = c->n;
    return (int64_t)c->n - 1;
}

int64_t
train_classes_add_row(struct train_classes *c, const struct shard_array *a, uint64_t i,
                      struct shard_error *err)
{
    uint64_t number = 0;
    size_t len;
    const char *key = row_key(a, i, &number, &len);
    double d;

    if (c->kind == TRAIN_LABEL_FLOAT) {
        memcpy(&d, &number, sizeof(d));
        if (!isfinite(d))
            return base_fail(err, SHARD_EPARSE,
                             "the label column holds a number that is not finite");
    }
    return add_key(c, key, len, err);
}

int
train_classes_add(struct train_classes *c, const struct shard_array *a, struct shard_error *err)
{
    enum train_label_kind kind;

    if (!train_label_kind_of(a->type, &kind) || kind != c->kind)
        return base_fail(err, -EINVAL, "labels of another type");
    for (uint64_t i = 0; i < a->n_rows; i++) {
        int64_t at;

        if (is_null(a, i))
            continue;
        at = train_classes_add_row(c, a, i, err);
        if (at < 0)
            return (int)at;
    }
    return 0;
}

static int
compare_strings(const void *a, const void *b)
{
    const struct train_class *x = a, *y = b;
    const size_t n = BASE_MIN(x->key_len, y->key_len);
    const int r = n ? memcmp(x->key, y->key, n) : 0;

    return r ? r : (x->key_len > y->key_len) - (x->key_len < y->key_len);
}

static int
compare_ints(const void *a, const void *b)
{
    int64_t x, y;

    memcpy(&x, ((const struct train_class *)a)->key, sizeof(x));
    memcpy(&y, ((const struct train_class *)b)->key, sizeof(y));
    return (x > y) - (x < y);
}

static int
compare_uints(const void *a, const void *b)
{
    uint64_t x, y;

    memcpy(&x, ((const struct train_class *)a)->key, sizeof(x));
    memcpy(&y, ((const struct train_class *)b)->key, sizeof(y));
    return (x > y) - (x < y);
}

static int
compare_floats(const void *a, const void *b)
{
    double x, y;

    memcpy(&x, ((const struct train_class *)a)->key, sizeof(x));
    memcpy(&y, ((const struct train_class *)b)->key, sizeof(y));
    return (x > y) - (x < y);
}

int
train_classes_finish(struct train_classes *c, struct shard_error *err)
{
    static int (*const compare[])(const void *, const void *) = {
        compare_strings, compare_uints, compare_ints, compare_uints, compare_floats};

    if (c->n == 0)
        return base_fail(err, SHARD_EPARSE, "the label column holds nothing but nulls");
    qsort(c->list, c->n, sizeof(*c->list), compare[c->kind]);
    memset(c->slots, 0, c->n_slots * sizeof(*c->slots));
    for (uint32_t i = 0; i < c->n; i++)
        *find_slot(c, c->list[i].key, c->list[i].key_len) = i + 1;
    return 0;
}

int32_t
train_classes_of(const struct train_classes *c, const struct shard_array *a, uint64_t i)
{
    uint64_t number = 0;
    const char *key;
    uint32_t slot;
    size_t len;

    if (is_null(a, i))
        return TRAIN_CLASS_NULL;
    key = row_key(a, i, &number, &len);
    slot = *find_slot(c, key, len);
    return slot ? (int32_t)slot - 1 : TRAIN_CLASS_UNKNOWN;
}

json_t *
train_classes_to_json(const struct train_classes *c)
{
    json_t *names = json_array();

    for (uint32_t i = 0; i < c->n; i++)
        json_array_append_new(names, json_stringn(c->list[i].name, c->list[i].name_len));
    return json_pack("{s:s, s:o}", "kind", kind_names[c->kind], "names", names);
}

/* The other way of key_name(). */
static int
key_of_name(enum train_label_kind kind, const char *name, size_t len, uint64_t *ret)
{
    char *end;
    double d;

    errno = 0;
    if (kind == TRAIN_LABEL_BOOL) {
        *ret = strcmp(name, "true") == 0;
        return *ret || strcmp(name, "false") == 0 ? 0 : -EINVAL;
    }
    if (kind == TRAIN_LABEL_INT)
        *ret = (uint64_t)strtoll(name, &end, 10);
    else if (kind == TRAIN_LABEL_UINT)
        *ret = strtoull(name, &end, 10);
    else {
        d = strtod(name, &end);
        memcpy(ret, &d, sizeof(*ret));
    }
    return errno == 0 && len > 0 && end == name + len ? 0 : -EINVAL;
}

int
train_classes_from_json(struct train_classes *c, const json_t *obj, struct shard_error *err)
{
    const char *kind_name = json_string_value(json_object_get(obj, "kind"));
    const json_t *names = json_object_get(obj, "names");
    size_t kind = 0;
    int r = 0;

    while (kind_name && kind < BASE_ARRAY_LEN(kind_names) && strcmp(kind_name, kind_names[kind]))
        kind++;
    if (kind_name == NULL || kind == BASE_ARRAY_LEN(kind_names) || !json_is_array(names))
        return base_fail(err, SHARD_ECORRUPT, "the list of classes cannot be understood");
    train_classes_init(c, (enum train_label_kind)kind);
    for (size_t i = 0; i < json_array_size(names) && r >= 0; i++) {
        const json_t *name = json_array_get(names, i);
        const char *text = json_string_value(name);
        const size_t len = json_string_length(name);
        uint64_t number = 0;

        if (text == NULL ||
            (kind != TRAIN_LABEL_STRING && key_of_name(c->kind, text, len, &number) < 0))
            r = base_fail(err, SHARD_ECORRUPT, "class %zu cannot be understood", i);
        else if (kind == TRAIN_LABEL_STRING)
            r = (int)add_key(c, text, len, err);
        else
            r = (int)add_key(c, (const char *)&number, sizeof(number), err);
    }
    if (r >= 0 && c->n != json_array_size(names))
        r = base_fail(err, SHARD_ECORRUPT, "a class stands twice in the list of classes");
    if (r >= 0)
        r = train_classes_finish(c, err);
    if (r < 0)
        train_classes_done(c);
    return r;
}
