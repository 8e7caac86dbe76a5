/* Checkpoints: all that a run needs to go on, in one checked file.
 *
 *   offset  size  header of TRAIN_CHECKPOINT_HEADER bytes, little-endian
 *   0       8     "SHLCKPT\n"
 *   8       4     version, 1
 *   12      4     number of tensors
 *   16      8     step: the next one to take, counted over all epochs
 *   24      8     hash of the run's configuration, classes and snapshot
 *   32      32    snapshot of the dataset, hex
 *   64      48    totals of the epoch so far: loss (double), rows, correct, unlabelled, unknown,
 *                 features
 *   112     48    totals of the epoch before
 *   160     8     seconds of training so far (double)
 *   168     8     length of metrics.jsonl
 *   176     8     samples so far
 *   184     128   per tensor (4): rows (8), width (4), 0 (4), XXH3-64 of its numbers (8), 0 (8)
 *   312     8     XXH3-64 of the 312 bytes before
 *
 * Then the numbers of each tensor (float32, row by row), and the end: every byte is under a hash.
 * They lie in RUN/checkpoints as step-%012u.ckpt; the last two are kept. */
#ifndef TRAIN_CHECKPOINT_H
#define TRAIN_CHECKPOINT_H

#include <stdint.h>

#include "train/model.h"
#include "train/step.h"

#define TRAIN_CHECKPOINT_HEADER 320u

/* Where a run is. */
struct train_position {
    uint64_t step;              /* the next one */
    struct train_totals epoch;  /* of the current epoch */
    struct train_totals before; /* of the one before, all zero in the first */
    double seconds;
    uint64_t samples;
    uint64_t metrics_len; /* bytes of metrics.jsonl that belong to the steps taken */
};

/* Write RUN/checkpoints/step-..., durable when it returns, then remove all but the last two. dirfd
 * is RUN's. */
SHARD_NODISCARD int train_checkpoint_write(int dirfd, const struct train_model *m,
                                           const struct train_position *p, uint64_t config_hash,
                                           const char *snapshot, struct shard_error *err);

/* Load the newest good checkpoint into m (made with the run's options) and *ret. For each newer
 * one that is damaged, warn is called with a sentence.
 * Returns 1, 0 where there is none at all, SHARD_ECHECKSUM where there are but none is good (m is
 * then unusable), SHARD_ECONFLICT where they are of another configuration. */
SHARD_NODISCARD int train_checkpoint_load(int dirfd, struct train_model *m, uint64_t config_hash,
                                          const char *snapshot,
                                          void (*warn)(void *user, const char *text), void *user,
                                          struct train_position *ret, struct shard_error *err);

#endif
