/* libsvm lines to a label and a sparse vector. A value that the type of its column cannot hold
 * exactly is refused where the type was inferred, and rounded where it was given. */
#include "config.h"

#include <string.h>

#include "tools/ingest/number.h"
#include "tools/ingest/parser.h"
#include "tools/ingest/utf8.h"

#define CLIP 40u

/* The columns' places and types, looked up once per block. */
struct target {
    int32_t label, features;
    enum shard_type elem;
};

/* One value into out: 1, or 0 where the type cannot hold it. */
static bool
value_fits(enum shard_type t, const struct ingest_svm_token *token, bool round, void *out)
{
    union ingest_num num;
    double f64;
    float f32;
    bool exact;

    if (t == SHARD_TYPE_FLOAT32) {
        if (!ingest_num_f32(token->p, token->len, &f32, &exact))
            return false;
        memcpy(out, &f32, sizeof(f32));
        return exact || round;
    }
    switch (ingest_num_lenient(token->p, token->len, &num)) {
    case INGEST_NUM_FLOAT:
        f64 = num.f;
        break;
    case INGEST_NUM_INT:
        f64 = (double)num.i;
        if (!round && !ingest_i64_fits_double(num.i))
            return false;
        break;
    case INGEST_NUM_BIG:
        if (!round || !ingest_num_is_tiny(token->p, token->len, &f64))
            return false;
        break;
    default:
        return false;
    }
    memcpy(out, &f64, sizeof(f64));
    return t == SHARD_TYPE_FLOAT64;
}

static int
misfit(struct ingest_parser *p, uint32_t col, const struct ingest_svm_token *t, size_t start,
       size_t end)
{
    const struct shard_field *f = &p->plan->schema.fields[col];
    char type[SHARD_TYPE_NAME_MAX];

    return ingest_row_reject(&p->row, INGEST_BAD_TYPE, f->name, start, end,
                             "%.*s does not fit column %s of type %s%s",
                             ingest_utf8_clip(t->p, t->len, CLIP), t->p, f->name,
                             shard_field_type_name(f, type),
                             p->plan->impl->strict ? "" : ": give --schema");
}

static int
put_label(struct ingest_parser *p, const struct target *to, size_t start, size_t end)
{
    const enum shard_type t = p->plan->schema.fields[to->label].type;
    struct ingest_svm_token token = p->svm.label;
    struct ingest_json_node node = {.kind = INGEST_JSON_BIG, .span = 1};
    union ingest_num num;
    bool exact = true;
    float f32;
    int r = 0;

    if (t == SHARD_TYPE_STRING)
        return ingest_row_text(&p->row, (uint32_t)to->label, token.p, token.len);
    if (*token.p == '+') { /* "+1" is how labels are written */
        token.p++;
        token.len--;
    }
    if (t == SHARD_TYPE_FLOAT32 && !p->plan->impl->strict)
        exact = ingest_num_f32(token.p, token.len, &f32, &exact) && exact;
    switch (ingest_num_lenient(token.p, token.len, &num)) {
    case INGEST_NUM_INT:
        node.kind = INGEST_JSON_INT;
        node.v.i = num.i;
        break;
    case INGEST_NUM_FLOAT:
        node.kind = INGEST_JSON_FLOAT;
        node.v.f = num.f;
        break;
    default:
        break;
    }
    node.text = token.p;
    node.text_len = token.len;
    if (exact)
        r = ingest_row_node(&p->row, (uint32_t)to->label, &node);
    return r ? r : misfit(p, (uint32_t)to->label, &p->svm.label, start, end);
}

static int
put_features(struct ingest_parser *p, const struct target *to, size_t start, size_t end)
{
    const struct ingest_svm_token *tokens = ingest_svm_values(&p->svm);
    const size_t size = shard_type_size(to->elem), n = p->svm.n_features;
    int r;

    base_buf_reset(&p->values);
    r = base_buf_reserve(&p->values, n * size);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++)
        if (!value_fits(to->elem, &tokens[i], p->plan->impl->strict, p->values.data + i * size))
            return misfit(p, (uint32_t)to->features, &tokens[i], start, end);
    return ingest_row_sparse(&p->row, (uint32_t)to->features,
                             (const uint32_t *)(const void *)p->svm.indices.data, p->values.data,
                             n);
}

static int
take_line(struct ingest_parser *p, const struct target *to, size_t start, size_t end)
{
    const char *line = (const char *)p->row.block->data.data + start;
    int r = ingest_svm_line(&p->svm, line, end - start);

    if (r <= 0)
        return r;
    if (r == 1)
        r = ingest_row_begin(&p->row);
    if (r == 2)
        return ingest_row_reject(&p->row, INGEST_BAD_SVM, "", start, end, "%s", p->svm.detail);
    if (r == 0)
        r = to->label < 0 ? 1 : put_label(p, to, start, end);
    if (r == 1 && to->features >= 0)
        r = put_features(p, to, start, end);
    return r == 1 ? ingest_row_commit(&p->row, start, end) : r;
}

int
ingest_parse_libsvm(struct ingest_parser *p, const struct ingest_block *b)
{
    const char *data = (const char *)b->data.data;
    struct target to = {ingest_plan_column(p->plan->impl, "label"),
                        ingest_plan_column(p->plan->impl, "features"), 0};
    size_t start, stop;
    int r = 0;

    if (to.features >= 0)
        to.elem = p->plan->schema.fields[to.features].elem;
    if (to.features >= 0 && p->plan->schema.fields[to.features].type != SHARD_TYPE_SPARSE)
        to.features = INGEST_COL_NONE; /* another format's column of that name */
    for (start = 0; start < b->data.len && r >= 0; start = stop + 1) {
        const char *lf = memchr(data + start, '\n', b->data.len - start);

        stop = lf ? (size_t)(lf - data) : b->data.len;
        r = take_line(p, &to, start, stop);
    }
    return r < 0 ? r : 0;
}
