/* The parallel step: one global batch, from gradients to updated weights, with the same bits for
 * any number of threads.
 *
 * A batch is cut into V slices, runs of partitions. Two phases, each a parallel loop:
 *
 *   1. per slice, by exactly one thread: features, scores and the gradient of every row against the
 *      weights as they are at the beginning of the step (nobody writes them in this phase); the
 *      gradient of the dense part, summed row by row; and the slice's contributions to table rows,
 *      sorted by owner range (bits of the row's number).
 *   2. per owner range, by exactly one thread: contributions are applied slice by slice, row by
 *      row. So every weight sees its contributions in the order of rows in the batch. One more
 *      item of this loop sums the dense gradients of the slices in a fixed binary tree and applies
 *      them.
 *
 * What a step means. Gradients of rows are summed, not averaged: the learning rate is per row, and
 * a batch of B rows does the work of B single steps whose gradients were all taken at its start.
 * The loss of a row is the cross-entropy of its softmax (or logistic) over classes.
 *   SGD      every contribution: w -= lr g. The dense part of `text` is bounded: see
 *            TRAIN_SCORE_STEP_MAX.
 *   Adagrad  table: for every contribution, in row order: s += g g; w -= lr g / (sqrt(s) + 1e-8).
 *            Dense: the same, once, with the sum over the batch.
 * Rows without a label are left out and counted.
 *
 * Threads: one caller; the OpenMP team is the step's own.
 */
#ifndef TRAIN_STEP_H
#define TRAIN_STEP_H

#include <stdint.h>

#include "train/classes.h"
#include "train/feed.h"
#include "train/model.h"
#include "train/source.h"

/* No step moves the score of any row of its batch, in any class, by more than about this through
 * the output rows of a text model: where lr times the summed gradient would (judged by the longest
 * gradient row times the longest hidden vector), the dense gradient is scaled down. Summed
 * gradients of some hundred similar rows overshoot without it, and short texts diverge; where
 * single steps are stable it hardly ever acts. */
#define TRAIN_SCORE_STEP_MAX 2.0

struct train_totals {
    double loss;         /* sum over rows with a known class */
    uint64_t rows;       /* rows with a label */
    uint64_t correct;    /* of them, those predicted before they were learnt from */
    uint64_t unlabelled; /* rows whose label is null */
    uint64_t unknown;    /* rows (in rows, not in loss) whose label is no class */
    uint64_t features;   /* of all rows */
};

void train_totals_add(struct train_totals *t, const struct train_totals *more);

struct train_step_opts {
    uint32_t n_slices;  /* V; divides the feed's partitions */
    uint32_t n_threads; /* of the team; does not change results */
};

struct train_step;

/* model, source and classes are borrowed until free. Column 0 of batches is the label, if
 * has_label. */
SHARD_NODISCARD int train_step_new(struct train_model *model, const struct train_source *source,
                                   const struct train_classes *classes, bool has_label,
                                   const struct train_step_opts *opts, struct train_step **ret_step,
                                   struct shard_error *err);
void train_step_free(struct train_step *s); /* accepts NULL */

/* Learn from a batch; its totals into *ret. On an error (-ENOMEM, SHARD_ELIMIT of a growing model)
 * the model is as it was before. */
SHARD_NODISCARD int train_step_learn(struct train_step *s, const struct train_batch *b, double lr,
                                     struct train_totals *ret, struct shard_error *err);

/* What a model says about a batch; arrays are of the caller, or NULL. */
struct train_answers {
    int32_t *predicted;   /* n_rows: class */
    int32_t *labels;      /* n_rows: class or TRAIN_CLASS_* */
    float *probabilities; /* n_rows x n_classes */
};
SHARD_NODISCARD int train_step_infer(struct train_step *s, const struct train_batch *b,
                                     const struct train_answers *answers, struct train_totals *ret,
                                     struct shard_error *err);

#endif
