#include "config.h"

#include "train/step.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/compiler.h"
#include "lib/fail.h"
#include "train/kernel.h"

#define N_OWNERS   32u   /* ranges of the table; some per thread, so that they balance */
#define SMALL_STEP 6000u /* features: below, waking a team costs more than it saves */

/* One slice's part of a step; touched by one thread at a time. */
struct slice {
    struct train_features features; /* of all its rows, one after another */
    size_t *ends;                   /* per row: where its features end */
    float *grads;                   /* per row: the gradient by its features' table rows */
    struct train_entry *entries;    /* contributions, sorted by owner */
    float *entry_vals;              /* their values, where the source has values */
    size_t owner_first[N_OWNERS + 1];
    float *dense_grad;      /* n_dense, then: */
    float *hidden, *scores; /* scratch of one row */
    size_t cap_rows, cap_entries;
    uint32_t row0, n_rows; /* of the batch */
    double max_hidden;     /* longest hidden vector, squared */
    uint64_t max_id;
    struct train_totals totals;
    int status; /* first failure */
};

struct train_step {
    struct train_model *m;
    const struct train_source *source;
    const struct train_classes *classes;
    bool has_label;
    struct train_step_opts opts;
    struct slice *slices;
    uint64_t last_features; /* of the step before: decides on the team, not on results */
    unsigned owner_shift;
};

void
train_totals_add(struct train_totals *t, const struct train_totals *more)
{
    t->loss += more->loss;
    t->rows += more->rows;
    t->correct += more->correct;
    t->unlabelled += more->unlabelled;
    t->unknown += more->unknown;
    t->features += more->features;
}

int
train_step_new(struct train_model *model, const struct train_source *source,
               const struct train_classes *classes, bool has_label,
               const struct train_step_opts *opts, struct train_step **ret_step,
               struct shard_error *err)
{
    const size_t n_scores = (size_t)BASE_MAX(model->n_outputs, model->stride) + TRAIN_LANES;
    struct train_step *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return base_fail(err, -ENOMEM, "a trainer");
    s->m = model;
    s->source = source;
    s->classes = classes;
    s->has_label = has_label;
    s->opts = *opts;
    s->last_features = UINT64_MAX;
    s->owner_shift = 4; /* runs of 16 rows take turns, as a growing table's end is not known */
    if (!model->opts.growable)
        while ((model->n_table - 1) >> s->owner_shift >= N_OWNERS)
            s->owner_shift++;
    s->slices = calloc(opts->n_slices, sizeof(*s->slices));
    if (s->slices == NULL)
        goto no_memory;
    for (uint32_t v = 0; v < opts->n_slices; v++) {
        struct slice *sl = &s->slices[v];

        sl->dense_grad = base_alloc_aligned(model->n_dense * sizeof(float));
        sl->hidden = base_alloc_aligned(model->stride * sizeof(float));
        sl->scores = base_alloc_aligned(n_scores * sizeof(float));
        if (!sl->dense_grad || !sl->hidden || !sl->scores)
            goto no_memory;
    }
    *ret_step = s;
    return 0;
no_memory:
    train_step_free(s);
    return base_fail(err, -ENOMEM, "a trainer of %u slices", opts->n_slices);
}

void
train_step_free(struct train_step *s)
{
    if (s == NULL)
        return;
    for (uint32_t v = 0; s->slices != NULL && v < s->opts.n_slices; v++) {
        struct slice *sl = &s->slices[v];

        train_features_done(&sl->features);
        free(sl->ends);
        free(sl->grads);
        free(sl->entries);
        free(sl->entry_vals);
        free(sl->dense_grad);
        free(sl->hidden);
        free(sl->scores);
    }
    free(s->slices);
    free(s);
}

/* Cut the batch: slice v gets partitions [v P / V, (v + 1) P / V). */
static void
cut(struct train_step *s, const struct train_batch *b)
{
    const uint32_t per = b->n_partitions / s->opts.n_slices;

    for (uint32_t v = 0; v < s->opts.n_slices; v++) {
        struct slice *sl = &s->slices[v];

        sl->row0 = b->partition_first[v * per];
        sl->n_rows = b->partition_first[(v + 1) * per] - sl->row0;
        sl->features.n = 0;
        sl->max_hidden = 0;
        sl->max_id = 0;
        sl->totals = (struct train_totals){0};
        sl->status = 0;
    }
}

static int
slice_reserve_rows(const struct train_step *s, struct slice *sl)
{
    const size_t cap = BASE_MAX((size_t)sl->n_rows, 16u);
    float *grads;
    size_t *ends;

    if (sl->n_rows <= sl->cap_rows && sl->grads != NULL)
        return 0;
    ends = realloc(sl->ends, (cap + 1) * sizeof(*ends));
    if (ends == NULL)
        return -ENOMEM;
    sl->ends = ends;
    grads = base_alloc_aligned(cap * s->m->stride * sizeof(float));
    if (grads == NULL)
        return -ENOMEM;
    free(sl->grads);
    sl->grads = grads;
    sl->cap_rows = cap;
    return 0;
}

/* Scores of a row into sl->scores: its features are [from, to) of the slice's. */
static void
row_forward(const struct train_step *s, struct slice *sl, size_t from, size_t to)
{
    const struct train_model *m = s->m;
    const uint32_t *ids = sl->features.ids + from;
    const float *vals = train_source_has_values(s->source) ? sl->features.vals + from : NULL;

    if (m->opts.kind == TRAIN_MODEL_TEXT)
        train_text_forward(m->table, m->n_table, m->dense, m->n_outputs, m->stride, ids, to - from,
                           sl->hidden, sl->scores);
    else
        train_linear_forward(m->table, m->n_table, m->dense, m->stride, ids, vals, to - from,
                             sl->scores);
}

/* The class that scores best; the first of equals. Not a number counts as lowest. */
static int32_t
best_class(const struct train_step *s, const float *scores)
{
    int32_t best = 0;

    if (s->m->n_outputs == 1)
        return scores[0] > 0;
    for (uint32_t k = 1; k < s->m->n_outputs; k++)
        if (scores[k] > scores[best])
            best = (int32_t)k;
    return best;
}

/* Turn scores into the gradient by them (p - y) and return the loss; y is a class. */
static double
row_loss(const struct train_step *s, float *scores, uint32_t y)
{
    double loss, score;

    if (s->m->n_outputs == 1) {
        loss = train_logistic_loss((double)scores[0], y);
        scores[0] = (float)(train_sigmoid((double)scores[0]) - (double)y);
        return loss;
    }
    score = (double)scores[y];
    loss = train_softmax(scores, s->m->n_outputs) - score;
    scores[y] -= 1;
    return loss;
}

static void
row_backward(const struct train_step *s, struct slice *sl, uint32_t row, size_t n)
{
    const struct train_model *m = s->m;
    float *grad = sl->grads + (size_t)row * m->stride;
    double h;

    if (m->opts.kind == TRAIN_MODEL_TEXT) {
        train_text_backward(m->dense, m->n_outputs, m->stride, n, sl->hidden, sl->scores, grad,
                            sl->dense_grad);
        h = (double)train_dot(sl->hidden, sl->hidden, m->stride);
        sl->max_hidden = h > sl->max_hidden ? h : sl->max_hidden;
        return;
    }
    memset(grad, 0, m->stride * sizeof(*grad));
    memcpy(grad, sl->scores, m->n_outputs * sizeof(*grad));
    train_axpy(sl->dense_grad, 1, grad, m->stride);
}

/* Predict a row whose label is y (a class or TRAIN_CLASS_*), and count. */
static int32_t
row_predict(const struct train_step *s, struct slice *sl, int32_t y)
{
    const int32_t best = best_class(s, sl->scores);

    if (y == TRAIN_CLASS_NULL) {
        sl->totals.unlabelled++;
        return best;
    }
    sl->totals.rows++;
    sl->totals.correct += best == y;
    sl->totals.unknown += y == TRAIN_CLASS_UNKNOWN;
    return best;
}

/* Sort the slice's contributions by owner: count, then place. Rows keep their order. */
static int
slice_sort(const struct train_step *s, struct slice *sl)
{
    const uint32_t *ids = sl->features.ids;
    const size_t n = sl->features.n;
    const bool values = train_source_has_values(s->source);
    const unsigned shift = s->owner_shift;
    size_t at[N_OWNERS] = {0}, sum = 0, i = 0;
    uint32_t max_id = 0;

    if (n > sl->cap_entries) {
        const size_t cap = sl->features.cap;

        free(sl->entries);
        free(sl->entry_vals);
        sl->cap_entries = 0;
        sl->entries = malloc(cap * sizeof(*sl->entries));
        sl->entry_vals = values ? malloc(cap * sizeof(float)) : NULL;
        if (sl->entries == NULL || (values && sl->entry_vals == NULL))
            return -ENOMEM;
        sl->cap_entries = cap;
    }
    for (size_t k = 0; k < n; k++) {
        at[(ids[k] >> shift) % N_OWNERS]++;
        max_id = ids[k] > max_id ? ids[k] : max_id;
    }
    for (uint32_t o = 0; o < N_OWNERS; o++) {
        const size_t count = at[o];

        sl->owner_first[o] = at[o] = sum;
        sum += count;
    }
    sl->owner_first[N_OWNERS] = sum;
    for (uint32_t row = 0; row < sl->n_rows; row++)
        for (; i < sl->ends[row]; i++) {
            const size_t to = at[(ids[i] >> shift) % N_OWNERS]++;

            sl->entries[to] = (struct train_entry){ids[i], row};
            if (values)
                sl->entry_vals[to] = sl->features.vals[i];
        }
    sl->max_id = n ? max_id : 0;
    return 0;
}

static int32_t
label_of(const struct train_step *s, const struct train_batch *b, uint32_t row)
{
    return s->has_label ? train_classes_of(s->classes, b->cols[0], row) : TRAIN_CLASS_NULL;
}

static int
next_features(const struct train_step *s, struct slice *sl, const struct train_batch *b,
              uint32_t row)
{
    return train_source_row(s->source, b, row, s->m->table, s->m->stride * sizeof(float),
                            &sl->features);
}

/* Phase 1 of learning. The features of a row are made one row ahead of their use, so that their
 * table rows are on their way meanwhile. */
static int
slice_learn(const struct train_step *s, struct slice *sl, const struct train_batch *b)
{
    size_t from = 0;
    int r;

    r = slice_reserve_rows(s, sl);
    if (r < 0)
        return r;
    memset(sl->dense_grad, 0, s->m->n_dense * sizeof(float));
    if (sl->n_rows > 0)
        r = next_features(s, sl, b, sl->row0);
    for (uint32_t i = 0; i < sl->n_rows && r >= 0; i++) {
        const size_t to = sl->features.n;
        const int32_t y = label_of(s, b, sl->row0 + i);

        if (i + 1 < sl->n_rows) {
            r = next_features(s, sl, b, sl->row0 + i + 1);
            if (r < 0)
                return r;
        }
        sl->ends[i] = to;
        row_forward(s, sl, from, to);
        (void)row_predict(s, sl, y);
        if (y >= 0) {
            sl->totals.loss += row_loss(s, sl->scores, (uint32_t)y);
            row_backward(s, sl, i, to - from);
        } else {
            memset(sl->grads + (size_t)i * s->m->stride, 0, s->m->stride * sizeof(float));
        }
        from = to;
    }
    sl->totals.features = sl->features.n;
    return r < 0 ? r : slice_sort(s, sl);
}

/* The slices' dense gradients into slice 0's, pairwise: (0+1)+(2+3) and so on. */
static void
sum_dense(struct train_step *s)
{
    const uint32_t n = s->opts.n_slices;

    for (uint32_t w = 1; w < n; w *= 2)
        for (uint32_t v = 0; v + w < n; v += 2 * w) {
            float *a = s->slices[v].dense_grad;
            const float *b = s->slices[v + w].dense_grad;

            for (uint64_t i = 0; i < s->m->n_dense; i++)
                a[i] += b[i];
        }
}

/* How much of the dense step of a text model may be taken: TRAIN_SCORE_STEP_MAX. */
static double
dense_bound(const struct train_step *s, const float *grad, double lr)
{
    double max_grad = 0, max_hidden = 0, move;

    if (s->m->opts.kind != TRAIN_MODEL_TEXT)
        return 1;
    for (uint32_t k = 0; k < s->m->n_outputs; k++) {
        const float *g = grad + (size_t)k * s->m->stride;
        const double len = (double)train_dot(g, g, s->m->stride);

        max_grad = len > max_grad ? len : max_grad;
    }
    for (uint32_t v = 0; v < s->opts.n_slices; v++)
        max_hidden = BASE_MAX(max_hidden, s->slices[v].max_hidden);
    move = lr * sqrt(max_grad * max_hidden);
    return move > TRAIN_SCORE_STEP_MAX ? TRAIN_SCORE_STEP_MAX / move : 1;
}

static void
update_dense(struct train_step *s, double lr)
{
    struct train_model *m = s->m;
    const float *grad = s->slices[0].dense_grad;

    sum_dense(s);
    if (m->opts.optimizer == TRAIN_SGD) {
        const float step = (float)(lr * dense_bound(s, grad, lr));

        for (uint64_t i = 0; i < m->n_dense; i++)
            m->dense[i] -= step * grad[i];
        return;
    }
    for (uint64_t i = 0; i < m->n_dense; i++)
        train_adagrad_one(&m->dense[i], &m->dense_squares[i], grad[i], (float)lr);
}

/* Phase 2 for one owner range. */
static void
update_range(struct train_step *s, uint32_t owner, float lr)
{
    struct train_model *m = s->m;

    for (uint32_t v = 0; v < s->opts.n_slices; v++) {
        const struct slice *sl = &s->slices[v];
        const size_t from = sl->owner_first[owner], n = sl->owner_first[owner + 1] - from;
        const float *vals = sl->entry_vals ? sl->entry_vals + from : NULL;

        if (n == 0)
            continue;
        if (m->opts.optimizer == TRAIN_SGD)
            train_apply_sgd(m->table, m->stride, sl->entries + from, vals, n, sl->grads, lr);
        else
            train_apply_adagrad(m->table, m->table_squares, m->stride, sl->entries + from, vals, n,
                                sl->grads, lr);
    }
}

/* Between the phases, by one thread: did every slice succeed, and is the table long enough? */
static int
between(struct train_step *s, struct shard_error *err)
{
    uint64_t max_id = 0;

    for (uint32_t v = 0; v < s->opts.n_slices; v++) {
        if (s->slices[v].status < 0)
            return base_fail(err, s->slices[v].status, "a step's features");
        if (s->slices[v].features.n > 0)
            max_id = BASE_MAX(max_id, s->slices[v].max_id + 1);
    }
    return s->m->opts.growable ? train_model_grow(s->m, max_id, err) : 0;
}

static int
team_size(const struct train_step *s)
{
    return s->last_features < SMALL_STEP ? 1 : (int)s->opts.n_threads;
}

/* Totals of the slices, loss in the fixed tree, into *ret. */
static void
sum_totals(struct train_step *s, struct train_totals *ret)
{
    const uint32_t n = s->opts.n_slices;

    for (uint32_t w = 1; w < n; w *= 2)
        for (uint32_t v = 0; v + w < n; v += 2 * w)
            train_totals_add(&s->slices[v].totals, &s->slices[v + w].totals);
    *ret = s->slices[0].totals;
}

int
train_step_learn(struct train_step *s, const struct train_batch *b, double lr,
                 struct train_totals *ret, struct shard_error *err)
{
    const int n_slices = (int)s->opts.n_slices;
    int status = 0;

    if (b->n_partitions % s->opts.n_slices != 0)
        return base_fail(err, -EINVAL, "%u slices do not divide %u partitions", s->opts.n_slices,
                         b->n_partitions);
    cut(s, b);
#pragma omp parallel num_threads(team_size(s))
    {
#pragma omp for schedule(dynamic, 1)
        for (int v = 0; v < n_slices; v++)
            s->slices[v].status = slice_learn(s, &s->slices[v], b);
#pragma omp single
        status = between(s, err);
        if (status >= 0) {
#pragma omp for schedule(dynamic, 1) nowait
            for (int o = -1; o < (int)N_OWNERS; o++) {
                if (o < 0)
                    update_dense(s, lr);
                else
                    update_range(s, (uint32_t)o, (float)lr);
            }
        }
    }
    if (status < 0)
        return status;
    sum_totals(s, ret);
    s->last_features = ret->features;
    return 0;
}

static void
row_probabilities(const struct train_step *s, float *scores, float *ret)
{
    if (s->m->n_outputs == 1) {
        ret[1] = (float)train_sigmoid((double)scores[0]);
        ret[0] = 1 - ret[1];
        return;
    }
    (void)train_softmax(scores, s->m->n_outputs);
    memcpy(ret, scores, s->m->n_outputs * sizeof(*ret));
}

static int
slice_infer(const struct train_step *s, struct slice *sl, const struct train_batch *b,
            const struct train_answers *a)
{
    const uint32_t n_classes = s->m->opts.n_classes;

    for (uint32_t i = sl->row0; i < sl->row0 + sl->n_rows; i++) {
        const int32_t y = label_of(s, b, i);
        int32_t best;
        int r;

        sl->features.n = 0;
        r = next_features(s, sl, b, i);
        if (r < 0)
            return r;
        sl->totals.features += sl->features.n;
        row_forward(s, sl, 0, sl->features.n);
        best = row_predict(s, sl, y);
        if (a->predicted != NULL)
            a->predicted[i] = best;
        if (a->labels != NULL)
            a->labels[i] = y;
        if (a->probabilities != NULL)
            row_probabilities(s, sl->scores, a->probabilities + (size_t)i * n_classes);
        else if (y >= 0)
            sl->totals.loss += row_loss(s, sl->scores, (uint32_t)y);
    }
    return 0;
}

int
train_step_infer(struct train_step *s, const struct train_batch *b,
                 const struct train_answers *answers, struct train_totals *ret,
                 struct shard_error *err)
{
    const int n_slices = (int)s->opts.n_slices;

    if (b->n_partitions % s->opts.n_slices != 0)
        return base_fail(err, -EINVAL, "%u slices do not divide %u partitions", s->opts.n_slices,
                         b->n_partitions);
    cut(s, b);
#pragma omp parallel for schedule(dynamic, 1) num_threads(team_size(s))
    for (int v = 0; v < n_slices; v++)
        s->slices[v].status = slice_infer(s, &s->slices[v], b, answers);
    for (int v = 0; v < n_slices; v++)
        if (s->slices[v].status < 0)
            return base_fail(err, s->slices[v].status, "a step's features");
    sum_totals(s, ret);
    s->last_features = ret->features;
    return 0;
}
