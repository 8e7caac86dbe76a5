/* Rows to CSV: RFC 4180 with LF. What _extra holds for a column that is null in the row, because
 * the cell did not fit the column's type, goes back into its cell. */
#include "config.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "lib/fail.h"
#include "shardfmt/half.h"
#include "tools/ingest/export.h"
#include "tools/ingest/json_text.h"
#include "tools/ingest/number.h"

/* A cell with quotes where they are needed; an empty text gets them, so that it is no null. */
static int
put_cell(struct base_buf *out, const char *p, size_t len, char delimiter)
{
    bool quote = len == 0;
    int r;

    for (size_t i = 0; i < len && !quote; i++)
        quote = p[i] == delimiter || p[i] == '"' || p[i] == '\n' || p[i] == '\r';
    if (!quote)
        return base_buf_append(out, p, len);
    r = base_buf_reserve(out, len * 2 + 2);
    if (r < 0)
        return r;
    base_buf_put(out, "\"", 1);
    for (size_t i = 0; i < len; i++) {
        if (p[i] == '"')
            base_buf_put(out, "\"", 1);
        base_buf_put(out, p + i, 1);
    }
    base_buf_put(out, "\"", 1);
    return 0;
}

/* Whole floats without ".0": that is how cells are that became floats. */
static int
put_float(const struct shard_array *a, uint64_t row, struct base_buf *out)
{
    char text[INGEST_NUM_TEXT_MAX];
    uint16_t u16;
    double f64;
    float f32;

    if (a->type == SHARD_TYPE_FLOAT16 || a->type == SHARD_TYPE_BFLOAT16) {
        const bool is_float16 = a->type == SHARD_TYPE_FLOAT16;

        memcpy(&u16, (const uint8_t *)a->values + row * sizeof(u16), sizeof(u16));
        f32 = is_float16 ? fmt_float16(u16) : fmt_bfloat16(u16);
        return isfinite(f32)
                   ? base_buf_append(out, text, ingest_print_half(u16, is_float16, false, text))
                   : 0;
    }
    if (a->type == SHARD_TYPE_FLOAT32) {
        memcpy(&f32, (const uint8_t *)a->values + row * sizeof(f32), sizeof(f32));
        return isfinite(f32) ? base_buf_append(out, text, ingest_print_float(f32, false, text)) : 0;
    }
    memcpy(&f64, (const uint8_t *)a->values + row * sizeof(f64), sizeof(f64));
    return isfinite(f64) ? base_buf_append(out, text, ingest_print_double(f64, false, text)) : 0;
}

static int
put_value(struct ingest_export *x, const struct shard_field *f, const struct shard_array *a,
          uint64_t row, char delimiter, struct base_buf *out)
{
    int r;

    switch (a->type) {
    case SHARD_TYPE_STRING:
        return put_cell(out, (const char *)a->values + a->offsets[row],
                        (size_t)(a->offsets[row + 1] - a->offsets[row]), delimiter);
    case SHARD_TYPE_FLOAT16:
    case SHARD_TYPE_BFLOAT16:
    case SHARD_TYPE_FLOAT32:
    case SHARD_TYPE_FLOAT64:
        return put_float(a, row, out);
    case SHARD_TYPE_TENSOR:
    case SHARD_TYPE_LIST:
    case SHARD_TYPE_SPARSE:
    case SHARD_TYPE_BINARY:
    case SHARD_TYPE_TIMESTAMP:
        base_buf_reset(&x->text);
        r = ingest_export_value(f, a, row, &x->text);
        if (r == 0 && x->text.data[0] == '"') /* base64 or a timestamp, without JSON's quotes */
            return put_cell(out, (const char *)x->text.data + 1, x->text.len - 2, delimiter);
        return r < 0 ? r : put_cell(out, (const char *)x->text.data, x->text.len, delimiter);
    default:
        return ingest_export_value(f, a, row, out);
    }
}

/* --------------------------------------------------------------------------- what _extra holds */

/* The text of a cell that comes back from _extra. */
struct cell {
    size_t off, len; /* in ingest_export.cell_text */
    bool set;
};

struct walk {
    struct ingest_export *x;
    const struct fmt_schema *s;
    const struct shard_array *arrays;
    uint64_t row;
};

static struct cell *
cells_of(struct ingest_export *x)
{
    return (struct cell *)(void *)x->cells.data;
}

/* The column whose cell a leaf was: null in this row, and not of text, which would have held it. */
static int64_t
column_of_leaf(const struct walk *w, const struct ingest_json_node *leaf)
{
    struct base_buf *name = &w->x->name;
    int64_t col;

    if (leaf->kind < INGEST_JSON_BOOL || leaf->kind > INGEST_JSON_STRING ||
        memchr(name->data, '\0', name->len) || base_buf_append(name, "", 1) < 0)
        return -1;
    name->len--;
    col = fmt_schema_find(w->s, (const char *)name->data);
    if (col < 0 || !fmt_array_is_null(&w->arrays[col], w->row) || cells_of(w->x)[col].set ||
        (w->arrays[col].type == SHARD_TYPE_STRING && leaf->kind == INGEST_JSON_STRING))
        return -1;
    return col;
}

static int
take_leaf(const struct walk *w, const struct ingest_json_node *leaf)
{
    struct ingest_export *x = w->x;
    const int64_t col = column_of_leaf(w, leaf);
    struct cell *cell;
    int r;

    if (col < 0) {
        r = ingest_extra_key(&x->left, leaf->key, leaf->key_len);
        return r < 0 ? r : ingest_json_put_node(&x->left.text, leaf);
    }
    cell = &cells_of(x)[col];
    cell->set = true;
    cell->off = x->cell_text.len;
    cell->len = leaf->text_len;
    return base_buf_append(&x->cell_text, leaf->text, leaf->text_len);
}

/* Depth is bounded by the parser's limit. */
static int
walk_object(const struct walk *w, const struct ingest_json_node *object)
{
    const struct ingest_json_node *child = object + 1;
    struct base_buf *name = &w->x->name;
    const size_t len = name->len;
    int r = 0;

    for (uint32_t i = 0; i < object->n && r == 0; i++, child += child->span) {
        name->len = len;
        if (len)
            r = base_buf_append(name, ".", 1);
        if (r == 0)
            r = base_buf_append(name, child->key, child->key_len);
        if (r < 0)
            return r;
        if (child->kind != INGEST_JSON_OBJECT || child->n == 0) {
            r = take_leaf(w, child);
            continue;
        }
        r = ingest_extra_enter(&w->x->left, child->key, child->key_len);
        if (r == 0)
            r = walk_object(w, child);
        if (r == 0)
            r = ingest_extra_leave(&w->x->left);
    }
    name->len = len;
    return r;
}

static int
take_extra(void *arg, const struct ingest_json_node *nodes, size_t start, size_t end)
{
    const struct walk *w = arg;

    (void)start;
    (void)end;
    if (nodes->kind == INGEST_JSON_OBJECT)
        return walk_object(w, nodes);
    ingest_extra_record(&w->x->left);
    return ingest_json_put_node(&w->x->left.text, nodes);
}

/* Sort the row's _extra into cells and what is left over. *ret_left stays valid until the next
 * row; empty where nothing is left. */
static int
split_extra(struct ingest_export *x, const struct fmt_schema *s, const struct shard_array *arrays,
            uint64_t row, const struct base_buf **ret_left, struct shard_error *err)
{
    const int64_t extra = ingest_export_flagged(s, SHARD_FIELD_EXTRA);
    struct walk w = {x, s, arrays, row};
    const int32_t *off;
    int r;

    base_buf_reset(&x->cells);
    base_buf_reset(&x->cell_text);
    base_buf_reset(&x->name);
    *ret_left = NULL;
    if (extra < 0 || fmt_array_is_null(&arrays[extra], row))
        return 0;
    off = arrays[extra].offsets + row;
    r = base_buf_append_zero(&x->cells, (s->n_fields + 1) * sizeof(struct cell));
    if (r == 0)
        r = base_buf_append(&x->name, "", 0);
    if (r == 0)
        r = ingest_extra_begin(&x->left);
    if (r == 0)
        r = ingest_export_extra(x, (const char *)arrays[extra].values + off[0],
                                (size_t)(off[1] - off[0]), take_extra, &w, err);
    return r ? r : ingest_extra_end(&x->left, ret_left);
}

/* ------------------------------------------------------------------------------------ rows */

static bool
is_extra(const struct shard_field *f)
{
    return f->flags & SHARD_FIELD_EXTRA;
}

static int
put_field(struct ingest_export *x, const struct fmt_schema *s, const struct shard_array *arrays,
          uint64_t row, uint32_t col, const struct base_buf *left, char delimiter,
          struct base_buf *out)
{
    const struct cell *cell = x->cells.len ? &cells_of(x)[col] : NULL;

    if (is_extra(&s->fields[col]) && (left == NULL || left->len == 0))
        return 0;
    if (is_extra(&s->fields[col]))
        return put_cell(out, (const char *)left->data, left->len, delimiter);
    if (cell && cell->set)
        return put_cell(out, (const char *)x->cell_text.data + cell->off, cell->len, delimiter);
    return fmt_array_is_null(&arrays[col], row) ? 0
                                                : put_value(x, &s->fields[col], &arrays[col], row, delimiter, out);
}

int
ingest_export_csv(struct ingest_export *x, const struct fmt_schema *s,
                  const struct shard_array *arrays, uint64_t row, char delimiter, bool with_extra,
                  struct base_buf *out, struct shard_error *err)
{
    const size_t before = out->len;
    const struct base_buf *left;
    bool first = true;
    int r = split_extra(x, s, arrays, row, &left, err);

    if (r == 0 && left && left->len && !with_extra)
        return base_fail(err, SHARD_EUNSUPPORTED,
                         "a row has values that are in no column, and the CSV is to have no column "
                         "_extra");
    for (uint32_t i = 0; i < s->n_fields && r == 0; i++) {
        if (is_extra(&s->fields[i]) && !with_extra)
            continue;
        if (!first)
            r = base_buf_append(out, &delimiter, 1);
        first = false;
        if (r == 0)
            r = put_field(x, s, arrays, row, i, left, delimiter, out);
    }
    if (r == 0)
        r = base_buf_append(out, "\n", 1);
    if (r < 0)
        out->len = before;
    return r == -ENOMEM ? base_fail(err, r, "a row as CSV") : r;
}

int
ingest_export_csv_left(struct ingest_export *x, const struct fmt_schema *s,
                       const struct shard_array *arrays, uint64_t row, struct shard_error *err)
{
    const struct base_buf *left;
    int r = split_extra(x, s, arrays, row, &left, err);

    return r < 0 ? r : left && left->len;
}

int
ingest_export_csv_header(const struct fmt_schema *s, char delimiter, bool with_extra,
                         struct base_buf *out)
{
    bool first = true;
    int r = 0;

    for (uint32_t i = 0; i < s->n_fields && r == 0; i++) {
        if (is_extra(&s->fields[i]) && !with_extra)
            continue;
        if (!first)
            r = base_buf_append(out, &delimiter, 1);
        first = false;
        if (r == 0)
            r = put_cell(out, s->fields[i].name, strlen(s->fields[i].name), delimiter);
    }
    return r < 0 ? r : base_buf_append(out, "\n", 1);
}

int
ingest_row_to_csv(const struct fmt_schema *s, const struct shard_array *arrays, uint64_t row,
                  char delimiter, struct base_buf *out, struct shard_error *err)
{
    struct ingest_export *x;
    int r = ingest_export_new(&x);

    if (r < 0)
        return base_fail(err, r, "a row as CSV");
    r = ingest_export_csv(x, s, arrays, row, delimiter, true, out, err);
    ingest_export_free(x);
    return r;
}
