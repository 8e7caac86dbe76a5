/* Rows to JSON: the way back from columns to records. */
#include "config.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "lib/endian.h"
#include "lib/fail.h"
#include "shardfmt/timestamp.h"
#include "shardfmt/half.h"
#include "tools/ingest/export.h"
#include "tools/ingest/extra.h"
#include "tools/ingest/json_text.h"
#include "tools/ingest/number.h"

int
ingest_export_new(struct ingest_export **ret)
{
    struct ingest_export *x = calloc(1, sizeof(*x));

    if (x == NULL)
        return -ENOMEM;
    *ret = x;
    return 0;
}

void
ingest_export_free(struct ingest_export *x)
{
    if (x == NULL)
        return;
    ingest_tree_done(&x->tree);
    ingest_json_free(x->parser);
    base_buf_done(&x->text);
    base_buf_done(&x->cells);
    base_buf_done(&x->cell_text);
    base_buf_done(&x->name);
    ingest_extra_done(&x->left);
    free(x);
}

/* ---------------------------------------------------------------------------------- values */

/* Number i of an array of type t. JSON has no text for what is not finite: null. */
static size_t
print_number(enum shard_type t, const void *values, uint64_t i, char *out)
{
    const size_t size = shard_type_size(t);
    const uint8_t *p = (const uint8_t *)values + i * size;
    union {
        int8_t i8;
        int16_t i16;
        int32_t i32;
        int64_t i64;
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
        uint64_t u64;
        float f32;
        double f64;
    } v;

    memcpy(&v, p, size);
    switch (t) {
    case SHARD_TYPE_INT8:
        return ingest_print_i64(v.i8, out);
    case SHARD_TYPE_INT16:
        return ingest_print_i64(v.i16, out);
    case SHARD_TYPE_INT32:
        return ingest_print_i64(v.i32, out);
    case SHARD_TYPE_INT64:
        return ingest_print_i64(v.i64, out);
    case SHARD_TYPE_UINT8:
        return ingest_print_u64(v.u8, out);
    case SHARD_TYPE_UINT16:
        return ingest_print_u64(v.u16, out);
    case SHARD_TYPE_UINT32:
        return ingest_print_u64(v.u32, out);
    case SHARD_TYPE_UINT64:
        return ingest_print_u64(v.u64, out);
    case SHARD_TYPE_FLOAT16:
        if (isfinite(fmt_float16(v.u16)))
            return ingest_print_half(v.u16, true, true, out);
        break;
    case SHARD_TYPE_BFLOAT16:
        if (isfinite(fmt_bfloat16(v.u16)))
            return ingest_print_half(v.u16, false, true, out);
        break;
    case SHARD_TYPE_FLOAT32:
        if (isfinite(v.f32))
            return ingest_print_float(v.f32, true, out);
        break;
    case SHARD_TYPE_FLOAT64:
        if (isfinite(v.f64))
            return ingest_print_double(v.f64, true, out);
        break;
    default:
        break;
    }
    memcpy(out, "null", 4);
    return 4;
}

static int
put_numbers(enum shard_type t, const void *values, uint64_t from, uint64_t to, struct base_buf *out)
{
    int r = base_buf_append(out, "[", 1);

    for (uint64_t i = from; i < to && r == 0; i++) {
        r = base_buf_reserve(out, INGEST_NUM_TEXT_MAX + 1);
        if (r < 0)
            break;
        if (i > from)
            base_buf_put(out, ",", 1);
        out->len += print_number(t, values, i, (char *)out->data + out->len);
    }
    return r < 0 ? r : base_buf_append(out, "]", 1);
}

static int
put_strings(const struct shard_array *a, uint64_t from, uint64_t to, struct base_buf *out)
{
    const int32_t *ends = a->elem_offsets;
    int r = base_buf_append(out, "[", 1);

    for (uint64_t i = from; i < to && r == 0; i++) {
        if (i > from)
            r = base_buf_append(out, ",", 1);
        if (r == 0)
            r = ingest_json_put_string(out, (const char *)a->values + ends[i],
                                       (size_t)(ends[i + 1] - ends[i]));
    }
    return r < 0 ? r : base_buf_append(out, "]", 1);
}

static int
put_sparse(const struct shard_array *a, uint64_t from, uint64_t to, struct base_buf *out)
{
    int r = base_buf_append(out, "{\"indices\":", 11);

    if (r == 0)
        r = put_numbers(SHARD_TYPE_UINT32, a->indices, from, to, out);
    if (r == 0)
        r = base_buf_append(out, ",\"values\":", 10);
    if (r == 0)
        r = put_numbers(a->elem, a->values, from, to, out);
    return r < 0 ? r : base_buf_append(out, "}", 1);
}

/* Bytes that need not be UTF-8: base64 (RFC 4648). */
int
ingest_export_base64(const uint8_t *p, size_t len, struct base_buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    int r = base_buf_reserve(out, len / 3 * 4 + 4);

    if (r < 0)
        return r;
    for (size_t i = 0; i < len; i += 3) {
        const uint32_t v = (uint32_t)p[i] << 16 | (uint32_t)(i + 1 < len ? p[i + 1] : 0) << 8 |
                           (i + 2 < len ? p[i + 2] : 0);
        const char four[4] = {digits[v >> 18], digits[v >> 12 & 63],
                              i + 1 < len ? digits[v >> 6 & 63] : '=',
                              i + 2 < len ? digits[v & 63] : '='};

        base_buf_put(out, four, 4);
    }
    return 0;
}

static int
put_binary(const uint8_t *p, size_t len, struct base_buf *out)
{
    int r = base_buf_append(out, "\"", 1);

    if (r == 0)
        r = ingest_export_base64(p, len, out);
    return r < 0 ? r : base_buf_append(out, "\"", 1);
}

static int
put_far_mark(const struct shard_far *far, struct base_buf *out)
{
    const uintptr_t address = (uintptr_t)far;
    int r = base_buf_append(out, "", 1);

    return r < 0 ? r : base_buf_append(out, &address, sizeof(address));
}

/* Nested as its shape is. */
static int
put_tensor(const struct shard_field *f, const struct shard_array *a, uint64_t from, uint32_t dim,
           uint64_t width, struct base_buf *out)
{
    int r;

    if (dim + 1 == f->n_dims)
        return put_numbers(a->elem, a->values, from, from + width, out);
    width /= f->dims[dim];
    r = base_buf_append(out, "[", 1);
    for (uint32_t i = 0; i < f->dims[dim] && r == 0; i++) {
        if (i)
            r = base_buf_append(out, ",", 1);
        if (r == 0)
            r = put_tensor(f, a, from + i * width, dim + 1, width, out);
    }
    return r < 0 ? r : base_buf_append(out, "]", 1);
}

/* As text; as a number where the year has no four digits. */
static int
put_timestamp(const struct shard_field *f, const struct shard_array *a, uint64_t row,
              struct base_buf *out)
{
    const int64_t v = ((const int64_t *)a->values)[row];
    char text[FMT_TIMESTAMP_TEXT_MAX], number[INGEST_NUM_TEXT_MAX];
    const size_t len = fmt_timestamp_print(v, (enum shard_unit)f->unit, text);

    return len ? ingest_json_put_string(out, text, len)
               : base_buf_append(out, number, ingest_print_i64(v, number));
}

int
ingest_export_value(const struct shard_field *f, const struct shard_array *a, uint64_t row,
                    struct base_buf *out)
{
    const uint8_t *values = a->values;
    const struct shard_far *far = fmt_array_far(a, row);
    uint64_t from = 0, to = 0;
    bool bit;
    int r;

    if (far)
        return put_far_mark(far, out);
    if (a->offsets) {
        from = (uint64_t)a->offsets[row];
        to = (uint64_t)a->offsets[row + 1];
    }
    switch (a->type) {
    case SHARD_TYPE_BOOL:
        bit = values[row >> 3] >> (row & 7) & 1;
        return base_buf_append(out, bit ? "true" : "false", bit ? 4 : 5);
    case SHARD_TYPE_STRING:
        return ingest_json_put_string(out, to > from ? (const char *)values + from : "", to - from);
    case SHARD_TYPE_BINARY:
        return put_binary(to > from ? values + from : NULL, to - from, out);
    case SHARD_TYPE_TENSOR:
        return put_tensor(f, a, row * a->width, 0, a->width, out);
    case SHARD_TYPE_TIMESTAMP:
        return put_timestamp(f, a, row, out);
    case SHARD_TYPE_LIST:
        if (a->elem == SHARD_TYPE_STRING)
            return put_strings(a, from, to, out);
        return put_numbers(a->elem, a->values, from, to, out);
    case SHARD_TYPE_SPARSE:
        return put_sparse(a, from, to, out);
    default:
        r = base_buf_reserve(out, INGEST_NUM_TEXT_MAX);
        if (r == 0)
            out->len += print_number(a->type, a->values, row, (char *)out->data + out->len);
        return r;
    }
}

/* ------------------------------------------------------------------------------------ rows */

int64_t
ingest_export_flagged(const struct fmt_schema *s, uint32_t flag)
{
    for (uint32_t i = 0; i < s->n_fields; i++)
        if (s->fields[i].flags & flag)
            return i;
    return -1;
}

int
ingest_export_extra(struct ingest_export *x, const char *text, size_t len, ingest_json_fn fn,
                    void *arg, struct shard_error *err)
{
    struct ingest_json_bad bad = {0};
    int r = 0;

    if (x->parser == NULL)
        r = ingest_json_new(&x->parser);
    /* A copy: the parser reads behind the end, and whose memory that is depends on the caller. */
    base_buf_reset(&x->text);
    if (r == 0)
        r = base_buf_append(&x->text, text, len);
    if (r == 0)
        r = ingest_json_parse(x->parser, (const char *)x->text.data, len, INGEST_EXTRA_DEPTH, false,
                              fn, arg, &bad);
    if (r == 1)
        r = base_fail(err, SHARD_ECORRUPT, "_extra holds no JSON: %s", bad.detail);
    return r;
}

struct merge {
    struct ingest_export *x;
    struct base_buf *record; /* the text is a whole record that is no object: goes here */
};

static int
merge_extra(void *arg, const struct ingest_json_node *nodes, size_t start, size_t end)
{
    const struct merge *m = arg;
    int r;

    (void)start;
    (void)end;
    if (nodes->kind == INGEST_JSON_OBJECT)
        return ingest_tree_merge(&m->x->tree, nodes);
    r = ingest_json_put_node(m->record, nodes);
    return r;
}

/* All columns but the flagged ones into the tree. */
static int
add_columns(struct ingest_export *x, const struct fmt_schema *s, const struct shard_array *arrays,
            uint64_t row)
{
    int r = ingest_tree_reset(&x->tree);

    for (uint32_t i = 0; i < s->n_fields && r == 0; i++) {
        if (s->fields[i].flags & (SHARD_FIELD_EXTRA | SHARD_FIELD_RECORD) ||
            fmt_array_is_null(&arrays[i], row))
            continue;
        ingest_tree_begin(&x->tree);
        r = ingest_export_value(&s->fields[i], &arrays[i], row, &x->tree.text);
        if (r == 0)
            r = ingest_tree_end(&x->tree, s->fields[i].name);
    }
    return r;
}

int
ingest_export_json(struct ingest_export *x, const struct fmt_schema *s,
                   const struct shard_array *arrays, uint64_t row, struct base_buf *out,
                   struct shard_error *err)
{
    const int64_t record = ingest_export_flagged(s, SHARD_FIELD_RECORD);
    const int64_t extra = ingest_export_flagged(s, SHARD_FIELD_EXTRA);
    struct merge merge = {x, out};
    const size_t before = out->len;
    int r;

    if (record >= 0 && !fmt_array_is_null(&arrays[record], row))
        return ingest_export_value(&s->fields[record], &arrays[record], row, out);
    r = add_columns(x, s, arrays, row);
    if (r == 0 && extra >= 0 && !fmt_array_is_null(&arrays[extra], row)) {
        const int32_t *off = arrays[extra].offsets + row;

        r = ingest_export_extra(x, (const char *)arrays[extra].values + off[0],
                                (size_t)(off[1] - off[0]), merge_extra, &merge, err);
    }
    if (r == 0 && out->len == before)
        r = ingest_tree_print(&x->tree, out);
    if (r == -ENOMEM)
        return base_fail(err, r, "a row as JSON");
    return r;
}

int
ingest_row_to_json(const struct fmt_schema *s, const struct shard_array *arrays, uint64_t row,
                   struct base_buf *out, struct shard_error *err)
{
    struct ingest_export *x;
    int r = ingest_export_new(&x);

    if (r < 0)
        return base_fail(err, r, "a row as JSON");
    r = ingest_export_json(x, s, arrays, row, out, err);
    ingest_export_free(x);
    return r;
}
