/* Finished models as safetensors: 8 bytes of header length, a JSON header padded so that numbers
 * begin at a multiple of 64, then the tensors, float32, row by row.
 *
 *   text    embedding [buckets, dim], output [classes, dim]
 *   linear  weight [features, outputs], bias [outputs]
 *
 * The metadata (strings, as the format wants it) holds all that predict needs: "format"
 * "shardline", "format_version", "model", "options" and "classes" (JSON), "snapshot",
 * "model_hash". */
#ifndef TRAIN_SAFETENSORS_H
#define TRAIN_SAFETENSORS_H

#include "train/model.h"
#include "train/options.h"

#define TRAIN_MODEL_FILE "model.safetensors"

/* Write dirfd/model.safetensors, whole or not at all. model_hash is train_model_hash(m). */
SHARD_NODISCARD int train_safetensors_write(int dirfd, const struct train_model *m,
                                            const struct train_spec *spec, uint64_t model_hash,
                                            struct shard_error *err);
/* Read dirfd/model.safetensors: *ret_spec (initialised by the call, done by the caller) and the
 * model, not trainable, its hash checked. ret_model NULL: only the spec, the numbers unread. */
SHARD_NODISCARD int train_safetensors_read(int dirfd, struct train_spec *ret_spec,
                                           struct train_model **ret_model, struct shard_error *err);

#endif
