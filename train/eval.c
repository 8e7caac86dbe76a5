#include "config.h"

#include "train/eval.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/compiler.h"
#include "lib/fail.h"

#define POLL_MS    100
#define TELL_STEPS 64u /* batches between calls of progress */

struct eval {
    struct train_step *step;
    const struct train_spec *spec;
    const struct train_env *env;
    struct train_feed *feed;
    struct train_eval out;
    struct train_classes strangers; /* labels that are no class */
    uint64_t *stranger_rows;
    uint32_t cap_strangers;
    int32_t *predicted, *labels; /* per row of a batch */
    uint64_t stall_ns;
};

static double
ratio(double a, double b)
{
    return b > 0 ? a / b : (double)NAN;
}

double
train_eval_precision(const struct train_eval_class *c)
{
    return ratio((double)c->correct, (double)c->predicted);
}

double
train_eval_recall(const struct train_eval_class *c)
{
    return ratio((double)c->correct, (double)c->rows);
}

double
train_eval_f1(const struct train_eval_class *c)
{
    return ratio(2 * (double)c->correct, (double)(c->rows + c->predicted));
}

static int
count_stranger(struct eval *e, const struct shard_array *labels, uint64_t row,
               struct shard_error *err)
{
    const int64_t at = train_classes_add_row(&e->strangers, labels, row, err);

    if (at < 0)
        return (int)at;
    if (e->strangers.n > e->cap_strangers) {
        const uint32_t cap = 2 * e->strangers.n + 16;
        uint64_t *rows = realloc(e->stranger_rows, cap * sizeof(*rows));

        if (rows == NULL)
            return base_fail(err, -ENOMEM, "a list of labels");
        memset(rows + e->cap_strangers, 0, (cap - e->cap_strangers) * sizeof(*rows));
        e->stranger_rows = rows;
        e->cap_strangers = cap;
    }
    e->stranger_rows[at]++;
    return 0;
}

static int
count_batch(struct eval *e, const struct train_batch *b, struct shard_error *err)
{
    struct train_eval_class *c = e->out.classes;
    int r = 0;

    for (uint32_t i = 0; i < b->n_rows && r >= 0; i++) {
        if (e->labels[i] == TRAIN_CLASS_NULL)
            continue;
        c[e->predicted[i]].predicted++;
        if (e->labels[i] == TRAIN_CLASS_UNKNOWN) {
            r = count_stranger(e, b->cols[0], i, err);
            continue;
        }
        c[e->labels[i]].rows++;
        c[e->labels[i]].correct += e->labels[i] == e->predicted[i];
    }
    return r;
}

static void
tell(const struct eval *e, uint64_t start_ns)
{
    const double wall = (double)(base_now_ns() - start_ns) * 1e-9;
    const struct train_status s = {
        .n_steps = e->feed->plan.n_rows,
        .step = e->out.n_rows,
        .samples = e->out.n_rows,
        .samples_per_second = wall > 0 ? (double)e->out.n_rows / wall : 0,
        .accuracy =
            e->out.totals.rows ? (double)e->out.totals.correct / (double)e->out.totals.rows : 0,
    };

    if (e->env->progress != NULL)
        e->env->progress(e->env->user, &s);
}

static int
eval_loop(struct eval *e, struct shard_error *err)
{
    const struct train_answers answers = {e->predicted, e->labels, NULL};
    const uint64_t start = base_now_ns();
    double wall;
    int r;

    for (uint64_t n = 1;; n++) {
        const uint64_t t = base_now_ns();
        struct train_totals totals;
        struct train_batch b;

        do {
            e->out.stopped = e->env->stop != NULL && e->env->stop(e->env->user);
            r = e->out.stopped ? 0 : e->feed->next(e->feed, &b, POLL_MS, err);
        } while (r == -ETIMEDOUT);
        e->stall_ns += base_now_ns() - t;
        if (r <= 0)
            break;
        r = train_step_infer(e->step, &b, &answers, &totals, err);
        if (r >= 0)
            r = count_batch(e, &b, err);
        e->out.n_rows += b.n_rows;
        e->feed->release(e->feed, &b);
        if (r < 0)
            break;
        train_totals_add(&e->out.totals, &totals);
        if (n % TELL_STEPS == 0)
            tell(e, start);
    }
    wall = (double)(base_now_ns() - start) * 1e-9;
    e->out.seconds = wall;
    e->out.samples_per_second = wall > 0 ? (double)e->out.n_rows / wall : 0;
    e->out.stall_fraction = wall > 0 ? (double)e->stall_ns * 1e-9 / wall : 0;
    return r;
}

static char *
copy_name(const struct train_class *c)
{
    char *name = malloc(c->name_len + 1);

    if (name != NULL)
        memcpy(name, c->name, c->name_len + 1);
    return name;
}

/* Room for the model's classes now, and for strangers when their number is known. */
static int
add_classes(struct train_eval *out, const struct train_classes *from, const uint64_t *rows,
            bool known, struct shard_error *err)
{
    const size_t n = (size_t)out->n_classes + from->n;
    struct train_eval_class *list = realloc(out->classes, (n + 1) * sizeof(*list));

    if (list == NULL)
        return base_fail(err, -ENOMEM, "a list of classes");
    out->classes = list;
    for (uint32_t i = 0; i < from->n; i++) {
        struct train_eval_class *c = &list[out->n_classes];

        *c = (struct train_eval_class){
            copy_name(&from->list[i]), from->list[i].name_len, known, rows ? rows[i] : 0, 0, 0};
        if (c->name == NULL)
            return base_fail(err, -ENOMEM, "a list of classes");
        out->n_classes++;
    }
    return 0;
}

int
train_eval_run(struct train_model *m, const struct train_spec *spec, struct train_feed *feed,
               uint32_t n_threads, const struct train_env *env, struct train_eval *ret,
               struct shard_error *err)
{
    const uint32_t p = feed->plan.partitions;
    const struct train_step_opts so = {p, n_threads};
    struct train_source source;
    struct eval e = {.spec = spec, .env = env, .feed = feed};
    int r;

    train_classes_init(&e.strangers, spec->classes.kind);
    train_spec_source(spec, true, &source);
    r = train_step_new(m, &source, &spec->classes, true, &so, &e.step, err);
    if (r >= 0)
        r = add_classes(&e.out, &spec->classes, NULL, true, err);
    if (r < 0)
        goto out;
    e.predicted = calloc(feed->plan.batch_size, sizeof(*e.predicted));
    e.labels = calloc(feed->plan.batch_size, sizeof(*e.labels));
    if (e.predicted == NULL || e.labels == NULL) {
        r = base_fail(err, -ENOMEM, "a batch of answers");
        goto out;
    }
    r = eval_loop(&e, err);
    if (r >= 0)
        r = add_classes(&e.out, &e.strangers, e.stranger_rows, false, err);
    if (r >= 0)
        *ret = e.out;
out:
    if (r < 0)
        train_eval_done(&e.out);
    train_step_free(e.step);
    train_classes_done(&e.strangers);
    free(e.stranger_rows);
    free(e.predicted);
    free(e.labels);
    return r;
}

void
train_eval_done(struct train_eval *e)
{
    for (uint32_t i = 0; i < e->n_classes; i++)
        free(e->classes[i].name);
    free(e->classes);
    memset(e, 0, sizeof(*e));
}
