#include "config.h"

#include "tools/shardtrain/records.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/fail.h"

int
records_init(struct records *r, const struct train_spec *spec, bool json, struct shard_error *err)
{
    const uint32_t n = spec->o.n_columns;
    bool ok;

    memset(r, 0, sizeof(*r));
    r->spec = spec;
    r->json = json;
    r->values = calloc(n, sizeof(*r->values));
    r->offsets = calloc(RECORDS_MAX + 1, sizeof(*r->offsets));
    r->validity = calloc(n, sizeof(*r->validity));
    r->arrays = calloc(n, sizeof(*r->arrays));
    r->cols = calloc(n, sizeof(*r->cols));
    ok = r->values && r->offsets && r->validity && r->arrays && r->cols;
    for (uint32_t i = 0; ok && i < n; i++) {
        r->validity[i] = calloc(RECORDS_MAX / 8, 1);
        ok = r->validity[i] != NULL;
        r->cols[i] = &r->arrays[i];
    }
    if (ok)
        return 0;
    records_done(r);
    return base_fail(err, -ENOMEM, "a batch of records");
}

void
records_done(struct records *r)
{
    for (uint32_t i = 0; r->spec != NULL && i < r->spec->o.n_columns; i++) {
        if (r->values != NULL)
            base_buf_done(&r->values[i]);
        if (r->validity != NULL)
            free(r->validity[i]);
    }
    base_buf_done(&r->indices);
    free(r->values);
    free(r->offsets);
    free(r->validity);
    free(r->arrays);
    free(r->cols);
    memset(r, 0, sizeof(*r));
}

void
records_reset(struct records *r)
{
    for (uint32_t i = 0; i < r->spec->o.n_columns; i++) {
        base_buf_reset(&r->values[i]);
        memset(r->validity[i], 0, RECORDS_MAX / 8);
    }
    base_buf_reset(&r->indices);
    r->n_rows = 0;
}

bool
records_full(const struct records *r)
{
    return r->n_rows == RECORDS_MAX || r->values[0].len >= RECORDS_BYTES_MAX;
}

static int
add_text(struct records *r, const char *text, size_t len, struct shard_error *err)
{
    if (base_buf_append(&r->values[0], text, len) < 0)
        return base_fail(err, -ENOMEM, "a text of %zu bytes", len);
    return 0;
}

static int
add_pair(struct records *r, uint32_t index, double value, struct shard_error *err)
{
    if (base_buf_append(&r->indices, &index, sizeof(index)) < 0 ||
        base_buf_append(&r->values[0], &value, sizeof(value)) < 0)
        return base_fail(err, -ENOMEM, "a sparse vector");
    return 0;
}

/* A feature index in decimal, up to the character stop. */
static bool
parse_index(const char *text, char stop, uint32_t *ret, const char **ret_end)
{
    unsigned long long v;
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    v = strtoull(text, &end, 10);
    if (errno != 0 || v > UINT32_MAX || *end != stop)
        return false;
    *ret = (uint32_t)v;
    *ret_end = end;
    return true;
}

/* "[label] index:value ..."; line is NUL-terminated. */
static int
add_libsvm(struct records *r, const char *line, struct shard_error *err)
{
    const char *p = line + strspn(line, " \t");
    const size_t word = strcspn(p, " \t");
    int status = 0;

    if (memchr(p, ':', word) == NULL) /* a label */
        p += word;
    for (p += strspn(p, " \t\r"); *p != 0 && status >= 0; p += strspn(p, " \t\r")) {
        uint32_t index = 0;
        const char *colon = NULL;
        char *end = NULL;
        double v = 0;

        if (parse_index(p, ':', &index, &colon))
            v = strtod(colon + 1, &end);
        if (colon == NULL || end == colon + 1 || strchr(" \t\r", *end) == NULL || !isfinite(v))
            return base_fail(err, SHARD_EPARSE, "\"%.40s\" is no INDEX:VALUE", p);
        status = add_pair(r, index, v, err);
        p = end;
    }
    return status;
}

static int
add_sparse_json(struct records *r, json_t *obj, struct shard_error *err)
{
    const char *key;
    json_t *value;
    int status = 0;

    json_object_foreach(obj, key, value)
    {
        uint32_t index = 0;
        const char *end;

        if (!parse_index(key, 0, &index, &end) || !json_is_number(value))
            return base_fail(err, SHARD_EPARSE, "\"%.40s\" is no feature index with a number", key);
        status = add_pair(r, index, json_number_value(value), err);
        if (status < 0)
            return status;
    }
    return status;
}

/* A column of numbers: number, bool, or null. */
static int
add_number(struct records *r, uint32_t col, const json_t *v, struct shard_error *err)
{
    double d = 0;

    if (json_is_number(v))
        d = json_number_value(v);
    else if (json_is_boolean(v))
        d = json_is_true(v);
    else if (v != NULL && !json_is_null(v))
        return base_fail(err, SHARD_EPARSE, "\"%s\" is not a number", r->spec->o.columns[col]);
    if (v != NULL && !json_is_null(v))
        r->validity[col][r->n_rows / 8] |= (uint8_t)(1u << (r->n_rows % 8));
    if (base_buf_append(&r->values[col], &d, sizeof(d)) < 0)
        return base_fail(err, -ENOMEM, "a record");
    return 0;
}

static int
add_json(struct records *r, const char *line, size_t len, struct shard_error *err)
{
    const struct train_options *o = &r->spec->o;
    json_error_t why;
    json_t *obj = json_loadb(line, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    json_t *v = json_is_object(obj) ? json_object_get(obj, o->columns[0]) : obj;
    int status = 0;

    if (obj == NULL)
        return base_fail(err, SHARD_EPARSE, "no JSON: %s", why.text);
    if (o->input == TRAIN_SOURCE_TEXT) {
        if (json_is_string(v))
            status = add_text(r, json_string_value(v), json_string_length(v), err);
        else
            status = base_fail(err, SHARD_EPARSE, "no text under \"%s\"", o->columns[0]);
    } else if (o->input == TRAIN_SOURCE_SPARSE) {
        if (json_is_object(obj) && json_is_object(v))
            status = add_sparse_json(r, v, err);
        else
            status = base_fail(err, SHARD_EPARSE, "no {\"INDEX\": VALUE, ...} under \"%s\"",
                               o->columns[0]);
    } else if (!json_is_object(obj)) {
        status = base_fail(err, SHARD_EPARSE, "not a JSON object");
    } else {
        for (uint32_t i = 0; i < o->n_columns && status >= 0; i++)
            status = add_number(r, i, json_object_get(obj, o->columns[i]), err);
    }
    json_decref(obj);
    return status;
}

int
records_add(struct records *r, const char *line, size_t len, struct shard_error *err)
{
    const bool wide = r->spec->o.input == TRAIN_SOURCE_NUMBERS;
    const size_t before = r->values[0].len, indices = r->indices.len;
    int status;

    if (len > (size_t)INT32_MAX - 2 * RECORDS_BYTES_MAX) /* offsets have 32 bits */
        return base_fail(err, SHARD_EPARSE, "a record of %zu bytes is too long", len);
    if (r->json)
        status = add_json(r, line, len, err);
    else if (r->spec->o.input == TRAIN_SOURCE_TEXT)
        status = add_text(r, line, len, err);
    else
        status = add_libsvm(r, line, err);
    if (status < 0) { /* as if it had never been */
        r->values[0].len = before;
        r->indices.len = indices;
        for (uint32_t i = 0; wide && i < r->spec->o.n_columns; i++) {
            r->values[i].len = r->n_rows * sizeof(double);
            r->validity[i][r->n_rows / 8] &= (uint8_t) ~(1u << (r->n_rows % 8));
        }
        return status;
    }
    r->n_rows++;
    r->offsets[r->n_rows] = r->spec->o.input == TRAIN_SOURCE_TEXT
                                ? (int32_t)r->values[0].len
                                : (int32_t)(r->indices.len / sizeof(uint32_t));
    return 0;
}

void
records_batch(struct records *r, struct train_batch *ret)
{
    const enum train_source_kind input = r->spec->o.input;

    for (uint32_t i = 0; i < r->spec->o.n_columns; i++) {
        struct shard_array *a = &r->arrays[i];

        *a = (struct shard_array){.n_rows = r->n_rows, .values = r->values[i].data};
        if (input == TRAIN_SOURCE_NUMBERS) {
            a->type = SHARD_TYPE_FLOAT64;
            a->validity = r->validity[i];
            continue;
        }
        a->type = input == TRAIN_SOURCE_TEXT ? SHARD_TYPE_STRING : SHARD_TYPE_SPARSE;
        a->elem = input == TRAIN_SOURCE_TEXT ? 0 : SHARD_TYPE_FLOAT64;
        a->offsets = r->offsets;
        a->indices = (const uint32_t *)(const void *)r->indices.data;
    }
    r->first[1] = r->n_rows;
    *ret = (struct train_batch){
        .n_rows = r->n_rows,
        .n_partitions = 1,
        .n_cols = r->spec->o.n_columns,
        .partition_first = r->first,
        .cols = r->cols,
    };
}
