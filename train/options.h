/* What a person asks of a training run, and what it came to: options as given (zero means default),
 * then resolved against a dataset, then kept as JSON in the run directory and in the model. */
#ifndef TRAIN_OPTIONS_H
#define TRAIN_OPTIONS_H

#include <jansson.h>
#include <stdint.h>

#include <shardline/fmt.h>

#include "train/classes.h"
#include "train/model.h"
#include "train/source.h"

enum train_schedule { TRAIN_LR_LINEAR = 0, TRAIN_LR_CONSTANT = 1 };

struct train_options {
    enum train_model_kind model;
    enum train_source_kind input; /* resolved from the columns */
    enum train_optimizer optimizer;
    enum train_schedule schedule;
    char *dataset; /* path; strings are owned, NULL = default */
    char *split, *label;
    char **columns; /* what features are made of: text, or --features */
    uint32_t n_columns;
    uint32_t epochs, batch_size, partitions, slices, window;
    uint32_t dim, word_ngrams, minn, maxn, buckets;
    double lr; /* 0 = default */
    uint64_t seed;
    /* Without influence on the result: */
    uint32_t threads;
    uint64_t memory;             /* bytes for model and loader; 0 = the loader's default */
    uint64_t checkpoint_steps;   /* 0 = by time */
    uint32_t checkpoint_seconds; /* 0 = TRAIN_CHECKPOINT_SECONDS */
};

#define TRAIN_CHECKPOINT_SECONDS 60u
#define TRAIN_WORD_NGRAMS_MAX    15u

/* A resolved run: all that is needed to read its data and to name its answers. */
struct train_spec {
    struct train_options o;
    struct train_classes classes;
    char snapshot[33];   /* of the dataset that it learns from */
    uint64_t model_hash; /* of a finished model that was loaded, else 0 */
};

void train_spec_init(struct train_spec *s);
void train_spec_done(struct train_spec *s);

/* Fill in defaults that need no dataset, and refuse what cannot work (SHARD_EPARSE). */
SHARD_NODISCARD int train_options_check(struct train_options *o, struct shard_error *err);
/* Find the columns in the dataset at o->dataset, fill in what was not given, and read the label
 * column of the split for the classes. Sets snapshot. SHARD_EPARSE for columns that are not there
 * or of the wrong type (the text lists those that are), and for a split with nothing to learn. */
SHARD_NODISCARD int train_spec_resolve(struct train_spec *s, struct shard_error *err);
/* The same checks for another dataset that a trained model is to read: its columns must be there
 * and of types that fit; the label may be missing where it is not needed. *ret_label says. */
SHARD_NODISCARD int train_spec_fits(const struct train_spec *s, const struct shard_dataset *ds,
                                    bool need_label, bool *ret_label, struct shard_error *err);

/* How the model and the features of a resolved spec are made. */
void train_spec_model_opts(const struct train_spec *s, bool trainable,
                           struct train_model_opts *ret);
void train_spec_source(const struct train_spec *s, bool has_label, struct train_source *ret);

json_t *train_options_to_json(const struct train_options *o);
SHARD_NODISCARD int train_options_from_json(struct train_options *o, const json_t *obj,
                                            struct shard_error *err);
/* XXH3-64 of everything that has a say in the result. */
uint64_t train_spec_hash(const struct train_spec *s);

const char *train_model_kind_name(enum train_model_kind kind);
const char *train_optimizer_name(enum train_optimizer o);

#endif
