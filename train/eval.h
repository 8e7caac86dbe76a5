/* How well a model does on labelled rows. */
#ifndef TRAIN_EVAL_H
#define TRAIN_EVAL_H

#include "train/feed.h"
#include "train/options.h"
#include "train/run.h"
#include "train/step.h"

/* One class of the model, or a label of the data that is no class of the model: its rows count as
 * wrong, and it is never predicted. */
struct train_eval_class {
    char *name; /* may hold NULs: name_len */
    size_t name_len;
    bool known;
    uint64_t rows; /* with this label */
    uint64_t predicted;
    uint64_t correct; /* both */
};

struct train_eval {
    struct train_totals totals;
    struct train_eval_class *classes; /* the model's in order, then others as they were met */
    uint32_t n_classes;
    uint64_t n_rows; /* read */
    double seconds, samples_per_second, stall_fraction;
    bool stopped; /* env->stop said so: the numbers are of a part */
};

/* Evaluate on all that feed gives; column 0 of its batches is the label. Rows without a label are
 * left out. The result does not depend on n_threads. */
SHARD_NODISCARD int train_eval_run(struct train_model *m, const struct train_spec *spec,
                                   struct train_feed *feed, uint32_t n_threads,
                                   const struct train_env *env, struct train_eval *ret,
                                   struct shard_error *err);
void train_eval_done(struct train_eval *e);

double train_eval_precision(const struct train_eval_class *c); /* NaN where it has no meaning */
double train_eval_recall(const struct train_eval_class *c);
double train_eval_f1(const struct train_eval_class *c);

#endif
