/* A training run: from a spec and a feed to a run directory.
 *
 *   RUN/config.json         options, classes, snapshot: written first, never changed
 *   RUN/metrics.jsonl       one object per interval of steps
 *   RUN/checkpoints/        the last two states (train/checkpoint.h)
 *   RUN/model.safetensors   the model, once it is finished
 *
 * fit makes the directory and trains; resume goes on from the last good checkpoint (or from the
 * start, where there is none yet) and ends with the bits that an undisturbed run would have had.
 *
 * Threads: one caller; the callbacks are called on its thread. */
#ifndef TRAIN_RUN_H
#define TRAIN_RUN_H

#include "train/feed.h"
#include "train/options.h"
#include "train/step.h"

/* What a run tells while it goes. */
struct train_status {
    uint64_t step, n_steps;
    uint32_t epoch, n_epochs;
    uint64_t samples;
    double loss; /* mean of the last interval */
    double accuracy;
    double lr;
    double samples_per_second; /* since this process began */
    double stall_fraction;     /* of its wall time */
};

struct train_env {
    train_feed_open_fn *open_feed; /* train_feed_open_loader, or what a test has */
    bool (*stop)(void *user);      /* true: write a checkpoint and return; may be NULL */
    void (*progress)(void *user, const struct train_status *status); /* may be NULL */
    void (*warn)(void *user, const char *text);                      /* may be NULL */
    void *user;
    /* Tests: end as if killed before this step, with no checkpoint (0 = never). */
    uint64_t die_at_step;
};

struct train_result {
    bool finished;     /* the model was written */
    bool was_finished; /* resume: there was nothing left to do */
    uint64_t step, n_steps;
    struct train_totals epoch; /* of the last epoch: each row before it was learnt from */
    uint64_t samples;          /* over all epochs */
    double seconds;            /* in the training loop, over all processes of the run */
    double samples_per_second, stall_fraction; /* of this process */
    double save_seconds;                       /* checkpoints and model */
    uint64_t model_hash;
};

/* spec is resolved. SHARD_EPARSE where dir is there and not empty. */
SHARD_NODISCARD int train_run_fit(const char *dir, const struct train_spec *spec,
                                  const struct train_env *env, struct train_result *ret,
                                  struct shard_error *err);
/* Overrides of what has no say in the result; zero keeps what the run was begun with. */
struct train_overrides {
    uint32_t threads;
    uint64_t memory;
    uint64_t checkpoint_steps;
    uint32_t checkpoint_seconds;
};
SHARD_NODISCARD int train_run_resume(const char *dir, const struct train_overrides *over,
                                     const struct train_env *env, struct train_result *ret,
                                     struct shard_error *err);
/* Read RUN/config.json. */
SHARD_NODISCARD int train_run_spec(const char *dir, struct train_spec *ret_spec,
                                   struct shard_error *err);
/* Open a run directory; its fd or an error that says what to do. */
SHARD_NODISCARD int train_run_open_dir(const char *dir, struct shard_error *err);

#endif
