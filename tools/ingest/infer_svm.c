/* Inference from libsvm: the narrowest of int32, float32, float64 that holds what was seen. */
#include "config.h"

#include "tools/ingest/infer.h"
#include "tools/ingest/number.h"
#include "tools/ingest/svm.h"

static bool
f32_holds(const struct ingest_svm_token *t)
{
    bool exact;
    float f;

    return ingest_num_f32(t->p, t->len, &f, &exact) && exact;
}

static void
count_label(struct ingest_infer *in, const struct ingest_svm_token *t)
{
    union ingest_num num;

    if (ingest_num_lenient(t->p, t->len, &num) != INGEST_NUM_INT || num.i < INT32_MIN ||
        num.i > INT32_MAX)
        in->label_float = true;
    if (!f32_holds(t))
        in->label_f64 = true;
}

int
ingest_infer_svm(struct ingest_infer *in, const struct ingest_block *b)
{
    const char *p = (const char *)b->data.data, *end = p + b->data.len;
    struct ingest_svm line = {0};
    int r = 0;

    in->any_svm = true;
    while (p < end && r >= 0) {
        const char *lf = memchr(p, '\n', (size_t)(end - p)), *stop = lf ? lf : end;

        r = ingest_svm_line(&line, p, (size_t)(stop - p));
        if (r == 1) {
            count_label(in, &line.label);
            for (size_t i = 0; i < line.n_features && !in->value_f64; i++)
                in->value_f64 = !f32_holds(&ingest_svm_values(&line)[i]);
        }
        p = stop + 1;
    }
    ingest_svm_done(&line);
    return r < 0 ? r : 0;
}
