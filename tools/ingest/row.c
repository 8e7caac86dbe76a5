#include "config.h"

#include "tools/ingest/row.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/compiler.h"
#include "shardfmt/half.h"
#include "shardfmt/timestamp.h"
#include "tools/ingest/json_text.h"
#include "tools/ingest/number.h"
#include "tools/ingest/utf8.h"

#define NULL_RUN 1024u /* rows of nulls that are appended at once */

int
ingest_row_init(struct ingest_row *w, const struct ingest_plan *plan)
{
    memset(w, 0, sizeof(*w));
    w->plan = plan;
    w->touched = malloc((plan->schema.n_fields + 1) * sizeof(*w->touched));
    return w->touched ? 0 : -ENOMEM;
}

void
ingest_row_done(struct ingest_row *w)
{
    free(w->touched);
    ingest_extra_done(&w->extra);
    base_buf_done(&w->list);
    base_buf_done(&w->lens);
}

void
ingest_row_start(struct ingest_row *w, struct ingest_rows *rows, const struct ingest_block *b)
{
    w->rows = rows;
    w->rejects = &rows->rejects;
    w->block = b;
    w->n = 0;
    w->n_touched = 0;
    w->counted_off = 0;
    w->counted_line = b->line;
}

int
ingest_row_begin(struct ingest_row *w)
{
    w->n_touched = 0;
    return ingest_extra_begin(&w->extra);
}

/* Nulls up to row n: in runs, as a wide schema has many columns that most rows lack. */
static int
pad(struct fmt_column *c, uint64_t n)
{
    static const uint64_t zeros[NULL_RUN + 1] BASE_ALIGNED(64);
    const struct shard_array nulls = {.type = c->type,
                                      .elem = c->elem,
                                      .n_rows = NULL_RUN,
                                      .n_nulls = NULL_RUN,
                                      .validity = (const uint8_t *)zeros,
                                      .offsets = (const int32_t *)(const void *)zeros,
                                      .elem_offsets = (const int32_t *)(const void *)zeros,
                                      .indices = (const uint32_t *)(const void *)zeros,
                                      .values = zeros};
    int r = 0;

    while (c->n_rows < n && r == 0)
        r = c->width ? fmt_column_append_null(c) /* rows that have values all the same */
                     : fmt_column_append_run(c, &nulls, 0, BASE_MIN(n - c->n_rows, NULL_RUN));
    return r;
}

/* The column, ready for this row's value. */
static inline int
open_column(struct ingest_row *w, uint32_t col, struct fmt_column **ret)
{
    struct fmt_column *c = &w->rows->cols[col];

    *ret = c;
    if (c->n_rows > w->n)
        return -EINVAL; /* two values for one row: the parsers see to it that there are none */
    w->touched[w->n_touched++] = col;
    return c->n_rows < w->n ? pad(c, w->n) : 0;
}

int
ingest_row_bytes(struct ingest_row *w, uint32_t col, const void *p, size_t len)
{
    struct fmt_column *c;
    int r = open_column(w, col, &c);

    if (r == 0)
        r = fmt_column_append_bytes(c, p, len);
    return r < 0 ? r : 1;
}

int
ingest_row_spooled(struct ingest_row *w, uint32_t col, struct fmt_spooled *value)
{
    struct fmt_column *c;
    int r = open_column(w, col, &c);

    if (r == 0)
        r = fmt_column_append_spooled(c, value);
    return r < 0 ? r : 1;
}

int
ingest_row_sparse(struct ingest_row *w, uint32_t col, const uint32_t *indices, const void *values,
                  size_t n)
{
    struct fmt_column *c;
    int r = open_column(w, col, &c);

    if (r == 0)
        r = fmt_column_append_sparse(c, indices, values, n);
    return r < 0 ? r : 1;
}

static int
put_bool(struct ingest_row *w, uint32_t col, bool v)
{
    struct fmt_column *c;
    int r = open_column(w, col, &c);

    if (r == 0)
        r = fmt_column_append_bool(c, v);
    return r < 0 ? r : 1;
}

/* --------------------------------------------------------------------------------- numbers */

union any_number {
    int8_t i8;
    int16_t i16;
    int32_t i32;
    int64_t i64;
    uint8_t u8;
    uint16_t u16; /* float16 and bfloat16, too */
    uint32_t u32;
    uint64_t u64;
    float f32;
    double f64;
};

static uint64_t
magnitude(int64_t v)
{
    return v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
}

static bool
fits_float(uint64_t v)
{
    return v == 0 || v >> __builtin_ctzll(v) <= UINT64_C(1) << 24;
}

static bool
fit_signed(enum shard_type t, int64_t v, union any_number *ret)
{
    switch (t) {
    case SHARD_TYPE_INT8:
        ret->i8 = (int8_t)v;
        return v >= INT8_MIN && v <= INT8_MAX;
    case SHARD_TYPE_INT16:
        ret->i16 = (int16_t)v;
        return v >= INT16_MIN && v <= INT16_MAX;
    case SHARD_TYPE_INT32:
        ret->i32 = (int32_t)v;
        return v >= INT32_MIN && v <= INT32_MAX;
    case SHARD_TYPE_INT64:
    case SHARD_TYPE_TIMESTAMP: /* counts of the unit */
        ret->i64 = v;
        return true;
    case SHARD_TYPE_FLOAT32:
        ret->f32 = (float)v;
        return fits_float(magnitude(v));
    case SHARD_TYPE_FLOAT64:
        ret->f64 = (double)v;
        return ingest_i64_fits_double(v);
    default:
        return false;
    }
}

static bool
fit_unsigned(enum shard_type t, uint64_t v, union any_number *ret)
{
    switch (t) {
    case SHARD_TYPE_UINT8:
        ret->u8 = (uint8_t)v;
        return v <= UINT8_MAX;
    case SHARD_TYPE_UINT16:
        ret->u16 = (uint16_t)v;
        return v <= UINT16_MAX;
    case SHARD_TYPE_UINT32:
        ret->u32 = (uint32_t)v;
        return v <= UINT32_MAX;
    case SHARD_TYPE_UINT64:
        ret->u64 = v;
        return true;
    case SHARD_TYPE_FLOAT32:
        ret->f32 = (float)v;
        return fits_float(v);
    case SHARD_TYPE_FLOAT64:
        ret->f64 = (double)v;
        return ingest_u64_fits_double(v);
    default:
        return false;
    }
}

/* Rounded: a float of 16 bits is asked for where precision does not matter. */
static bool
fit_half(enum shard_type t, double v, union any_number *ret)
{
    return t == SHARD_TYPE_FLOAT16 ? fmt_round_float(v, 5, 10, &ret->u16)
                                   : fmt_round_float(v, 8, 7, &ret->u16);
}

/* text: the number's, for float32, which is rounded once, from the text. */
static bool
fit_number(enum shard_type t, enum ingest_num_kind kind, union ingest_num v, const char *text,
           size_t len, union any_number *ret)
{
    const bool half = t == SHARD_TYPE_FLOAT16 || t == SHARD_TYPE_BFLOAT16;
    bool exact;

    if (kind == INGEST_NUM_BIG && ingest_num_is_tiny(text, len, &v.f))
        kind = INGEST_NUM_FLOAT;
    switch (kind) {
    case INGEST_NUM_INT:
        if (half)
            return fit_half(t, (double)v.i, ret);
        if (fit_signed(t, v.i, ret))
            return true;
        return t != SHARD_TYPE_FLOAT64 && v.i >= 0 && fit_unsigned(t, (uint64_t)v.i, ret);
    case INGEST_NUM_UINT:
        return half ? fit_half(t, (double)v.u, ret) : fit_unsigned(t, v.u, ret);
    case INGEST_NUM_FLOAT:
        if (half)
            return fit_half(t, v.f, ret);
        if (t == SHARD_TYPE_FLOAT32)
            return ingest_num_f32(text, len, &ret->f32, &exact);
        ret->f64 = v.f;
        return t == SHARD_TYPE_FLOAT64;
    default:
        return false;
    }
}

static int
put_number(struct ingest_row *w, uint32_t col, const union any_number *v)
{
    struct fmt_column *c;
    int r = open_column(w, col, &c);

    if (r == 0)
        r = fmt_column_append_number(c, v);
    return r < 0 ? r : 1;
}

/* What is only near a number's text is no fit for a type that was inferred. */
static bool
fit_node(const struct ingest_row *w, enum shard_type t, const struct ingest_json_node *node,
         union any_number *ret)
{
    union ingest_num v = {0};
    enum ingest_num_kind kind;

    switch (node->kind) {
    case INGEST_JSON_INT:
        kind = INGEST_NUM_INT;
        v.i = node->v.i;
        break;
    case INGEST_JSON_UINT:
        kind = INGEST_NUM_UINT;
        v.u = node->v.u;
        break;
    case INGEST_JSON_FLOAT:
        kind = INGEST_NUM_FLOAT;
        v.f = node->v.f;
        break;
    case INGEST_JSON_BIG:
        kind = INGEST_NUM_BIG;
        if (!w->plan->impl->strict)
            return false;
        break;
    default:
        return false;
    }
    return fit_number(t, kind, v, node->text, node->text_len, ret);
}

static int
put_list(struct ingest_row *w, uint32_t col, enum shard_type elem,
         const struct ingest_json_node *node)
{
    const size_t size = shard_type_size(elem);
    struct fmt_column *c;
    union any_number v;
    int r;

    if (node->kind != INGEST_JSON_ARRAY || node->span != node->n + 1)
        return 0;
    base_buf_reset(&w->list);
    for (uint32_t i = 1; i <= node->n; i++) {
        if (!fit_node(w, elem, &node[i], &v))
            return 0;
        r = base_buf_append(&w->list, &v, size);
        if (r < 0)
            return r;
    }
    r = open_column(w, col, &c);
    if (r == 0)
        r = fmt_column_append_list(c, w->list.data, node->n);
    return r < 0 ? r : 1;
}

static int
put_strings(struct ingest_row *w, uint32_t col, const struct ingest_json_node *node)
{
    struct fmt_column *c;
    int r = 0;

    if (node->kind != INGEST_JSON_ARRAY || node->span != node->n + 1)
        return 0;
    base_buf_reset(&w->list);
    base_buf_reset(&w->lens);
    for (uint32_t i = 1; i <= node->n && r == 0; i++) {
        const uint32_t len = (uint32_t)node[i].text_len;

        if (node[i].kind != INGEST_JSON_STRING || node[i].text_len > UINT32_MAX)
            return 0;
        r = base_buf_append(&w->list, node[i].text, node[i].text_len);
        if (r == 0)
            r = base_buf_append(&w->lens, &len, sizeof(len));
    }
    if (r == 0)
        r = open_column(w, col, &c);
    if (r == 0)
        r = fmt_column_append_strings(c, w->list.data, (const uint32_t *)(const void *)w->lens.data,
                                      node->n);
    return r < 0 ? r : 1;
}

/* The numbers of nested arrays of the shape dims, appended to w->list: 1, 0 where the node is none, or
 * an error. */
static int
take_tensor(struct ingest_row *w, enum shard_type elem, const struct ingest_json_node *node,
            const uint32_t *dims, uint32_t n_dims)
{
    const struct ingest_json_node *child = node + 1;
    union any_number v;
    int r = 1;

    if (n_dims == 0) {
        if (!fit_node(w, elem, node, &v))
            return 0;
        r = base_buf_append(&w->list, &v, shard_type_size(elem));
        return r < 0 ? r : 1;
    }
    if (node->kind != INGEST_JSON_ARRAY || node->n != dims[0])
        return 0;
    for (uint32_t i = 0; i < node->n && r == 1; i++, child += child->span)
        r = take_tensor(w, elem, child, dims + 1, n_dims - 1);
    return r;
}

/* Nested as its shape is, or flat. */
static int
put_tensor(struct ingest_row *w, uint32_t col, const struct shard_field *f,
           const struct ingest_json_node *node)
{
    const uint32_t width = fmt_field_width(f);
    const bool flat = node->kind == INGEST_JSON_ARRAY && node->span == node->n + 1;
    struct fmt_column *c;
    int r;

    base_buf_reset(&w->list);
    r = flat ? take_tensor(w, f->elem, node, &width, 1)
             : take_tensor(w, f->elem, node, f->dims, f->n_dims);
    if (r <= 0)
        return r;
    r = open_column(w, col, &c);
    if (r == 0)
        r = fmt_column_append_tensor(c, w->list.data);
    return r < 0 ? r : 1;
}

/* RFC 3339 text. */
static int
put_timestamp(struct ingest_row *w, uint32_t col, const char *text, size_t len)
{
    const enum shard_unit unit = (enum shard_unit)w->plan->schema.fields[col].unit;
    union any_number v;

    return fmt_timestamp_parse(text, len, unit, &v.i64) ? put_number(w, col, &v) : 0;
}

int
ingest_row_node(struct ingest_row *w, uint32_t col, const struct ingest_json_node *node)
{
    const struct shard_field *f = &w->plan->schema.fields[col];
    union any_number v;

    switch (f->type) {
    case SHARD_TYPE_STRING:
    case SHARD_TYPE_BINARY:
        return node->kind == INGEST_JSON_STRING
                   ? ingest_row_bytes(w, col, node->text, node->text_len)
                   : 0;
    case SHARD_TYPE_BOOL:
        return node->kind == INGEST_JSON_BOOL ? put_bool(w, col, node->v.b) : 0;
    case SHARD_TYPE_LIST:
        return f->elem == SHARD_TYPE_STRING ? put_strings(w, col, node)
                                            : put_list(w, col, f->elem, node);
    case SHARD_TYPE_TENSOR:
        return put_tensor(w, col, f, node);
    case SHARD_TYPE_TIMESTAMP:
        if (node->kind == INGEST_JSON_STRING)
            return put_timestamp(w, col, node->text, node->text_len);
        return fit_node(w, f->type, node, &v) ? put_number(w, col, &v) : 0;
    default:
        return fit_node(w, f->type, node, &v) ? put_number(w, col, &v) : 0;
    }
}

/* ------------------------------------------------------------------------------------ text */

static int
text_to_bool(struct ingest_row *w, uint32_t col, const char *p, size_t len)
{
    if (len == 1 && (*p == '0' || *p == '1'))
        return put_bool(w, col, *p == '1');
    if (len == 4 && strncasecmp(p, "true", 4) == 0)
        return put_bool(w, col, true);
    if (len == 5 && strncasecmp(p, "false", 5) == 0)
        return put_bool(w, col, false);
    return 0;
}

/* Where the type was given, any way to write a number will do; where it was inferred, only the one
 * that gives the text back. */
static enum ingest_num_kind
number_of_text(const struct ingest_row *w, enum shard_type t, const char *p, size_t len,
               union ingest_num *ret)
{
    if (w->plan->impl->strict)
        return ingest_num_lenient(p, len, ret);
    if (t != SHARD_TYPE_FLOAT64)
        return ingest_num_canonical_int(p, len, ret);
    return ingest_num_canonical_float(p, len, &ret->f) ? INGEST_NUM_FLOAT : INGEST_NUM_NONE;
}

int
ingest_row_text(struct ingest_row *w, uint32_t col, const char *p, size_t len)
{
    const enum shard_type type = w->plan->schema.fields[col].type;
    const bool strict = w->plan->impl->strict;
    enum ingest_num_kind kind;
    union any_number v;
    union ingest_num num;

    if (type == SHARD_TYPE_STRING || type == SHARD_TYPE_BINARY)
        return ingest_row_bytes(w, col, p, len);
    if (type == SHARD_TYPE_LIST || type == SHARD_TYPE_SPARSE || type == SHARD_TYPE_TENSOR)
        return 0;
    for (; strict && len && (*p == ' ' || *p == '\t'); len--)
        p++;
    while (strict && len && (p[len - 1] == ' ' || p[len - 1] == '\t'))
        len--;
    if (type == SHARD_TYPE_BOOL)
        return strict ? text_to_bool(w, col, p, len) : 0;
    if (type == SHARD_TYPE_TIMESTAMP) {
        const int r = put_timestamp(w, col, p, len);

        if (r != 0)
            return r;
    }
    kind = number_of_text(w, type, p, len, &num);
    return fit_number(type, kind, num, p, len, &v) ? put_number(w, col, &v) : 0;
}

/* ---------------------------------------------------------------------------- rows whole */

static void
forget_row(struct ingest_row *w)
{
    for (uint32_t i = 0; i < w->n_touched; i++)
        fmt_column_truncate(&w->rows->cols[w->touched[i]], w->n);
    w->n_touched = 0;
}

/* A CR alone ends a line of CSV, as the cutter counts. */
static uint64_t
count_lone_cr(const uint8_t *p, const uint8_t *end, const uint8_t *data_end)
{
    uint64_t n = 0;

    for (; p < end && (p = memchr(p, '\r', (size_t)(end - p))) != NULL; p++)
        n += p + 1 == data_end || p[1] != '\n';
    return n;
}

/* Rejects come in order, so lines are counted once. */
static uint64_t
line_at(struct ingest_row *w, size_t off)
{
    const bool csv = w->block->format == INGEST_CSV || w->block->format == INGEST_TSV;
    const uint8_t *data = w->block->data.data;

    if (off < w->counted_off) {
        w->counted_off = 0;
        w->counted_line = w->block->line;
    }
    if (csv && off > w->counted_off)
        w->counted_line +=
            count_lone_cr(data + w->counted_off, data + off, data + w->block->data.len);
    while (w->counted_off < off) {
        const uint8_t *from = data + w->counted_off;
        const uint8_t *lf = memchr(from, '\n', off - w->counted_off);

        w->counted_line += lf != NULL;
        w->counted_off = lf ? (size_t)(lf + 1 - data) : off;
    }
    return w->counted_line;
}

int
ingest_row_reject(struct ingest_row *w, const char *reason, const char *column, size_t start,
                  size_t end, const char *detail, ...)
{
    const struct ingest_block *b = w->block;
    char text[SHARD_ERROR_TEXT_MAX];
    va_list ap;

    forget_row(w);
    va_start(ap, detail);
    (void)vsnprintf(text, sizeof(text), detail, ap);
    va_end(ap);
    text[ingest_utf8_prefix(text, strlen(text))] = '\0'; /* cut within a character */
    return ingest_rejects_add(w->rejects, b->entry, reason, column, line_at(w, start),
                              b->offset + start, end > start ? b->data.data + start : NULL,
                              end - start, "%s", text);
}

static const struct shard_field *
missing_column(const struct ingest_row *w)
{
    const struct ingest_plan_impl *impl = w->plan->impl;

    for (uint32_t i = 0; i < impl->n_required; i++)
        if (w->rows->cols[impl->required[i]].n_rows <= w->n)
            return &w->plan->schema.fields[impl->required[i]];
    return NULL;
}

int
ingest_row_commit(struct ingest_row *w, size_t start, size_t end)
{
    const struct shard_field *missing = missing_column(w);
    const struct base_buf *extra;
    int r;

    if (missing)
        return ingest_row_reject(w, INGEST_BAD_TYPE, missing->name, start, end,
                                 "column %s may not be null, and the record has no value for it",
                                 missing->name);
    r = ingest_extra_end(&w->extra, &extra);
    if (r == 0 && extra->len && w->plan->extra >= 0)
        r = ingest_row_bytes(w, (uint32_t)w->plan->extra, extra->data, extra->len);
    if (r < 0)
        return r;
    w->n++;
    w->n_touched = 0;
    return 0;
}

void
ingest_row_rollback(struct ingest_row *w, uint64_t n)
{
    for (uint32_t i = 0; i < w->rows->n_cols; i++)
        if (w->rows->cols[i].n_rows > n)
            fmt_column_truncate(&w->rows->cols[i], n);
    w->n = n;
    w->n_touched = 0;
}

/* The path column's value for this entry, borrowed; false where it is null. */
static bool
path_value(const struct ingest_path_column *p, const char *path, const char **ret, size_t *ret_len)
{
    const size_t group = p->regex.re_nsub ? 1 : 0;
    regmatch_t match[2];

    if (regexec(&p->regex, path, 2, match, 0) == 0 && match[group].rm_so >= 0) {
        *ret = path + match[group].rm_so;
        *ret_len = (size_t)(match[group].rm_eo - match[group].rm_so);
        return true;
    }
    *ret = p->fallback;
    *ret_len = p->fallback ? strlen(p->fallback) : 0;
    return p->fallback != NULL;
}

static int
fill_path_column(struct ingest_row *w, struct fmt_column *c, const struct ingest_path_column *p)
{
    const char *value;
    size_t len;
    int r = 0;

    if (!path_value(p, w->block->entry->path, &value, &len))
        return pad(c, w->n);
    while (c->n_rows < w->n && r == 0)
        r = fmt_column_append_bytes(c, value, len);
    return r;
}

int
ingest_row_finish(struct ingest_row *w)
{
    const struct ingest_parse_opts *opts = w->plan->opts;
    int r = 0;

    for (uint32_t i = 0; i < w->rows->n_cols && r == 0; i++) {
        const int32_t path = w->plan->impl->cols[i].path_column;
        struct fmt_column *c = &w->rows->cols[i];

        r = path >= 0 ? fill_path_column(w, c, &opts->path_columns[path]) : pad(c, w->n);
    }
    return r;
}
