/* Files of a run directory that are written whole or not at all, and tensors within them.
 *
 * begin makes a temporary file, commit syncs it, renames it and syncs the directory; a file that
 * was never committed is removed by abort, and overwritten by the next begin in that directory.
 * Not thread-safe. */
#ifndef TRAIN_FILE_H
#define TRAIN_FILE_H

#include <stdint.h>

#include "shardline/status.h"
#include "train/model.h"

struct train_file {
    int dirfd;     /* borrowed */
    int fd;        /* -1: nothing begun */
    char name[64]; /* what it will be called */
    char temp[80];
};

SHARD_NODISCARD int train_file_begin(struct train_file *f, int dirfd, const char *name,
                                     struct shard_error *err);
SHARD_NODISCARD int train_file_write(struct train_file *f, const void *data, size_t len,
                                     struct shard_error *err);
/* The numbers of t, row after row without the space between them. */
SHARD_NODISCARD int train_file_write_tensor(struct train_file *f, const struct train_tensor *t,
                                            struct shard_error *err);
SHARD_NODISCARD int train_file_commit(struct train_file *f, struct shard_error *err);
void train_file_abort(struct train_file *f);

/* Fill t from a file at off and hash what came: the hash of train_tensor_hash(). */
SHARD_NODISCARD int train_file_read_tensor(int fd, const char *name, uint64_t off,
                                           const struct train_tensor *t, uint64_t *ret_hash,
                                           struct shard_error *err);
static inline uint64_t
train_tensor_bytes(const struct train_tensor *t)
{
    return t->rows * t->width * sizeof(float);
}
/* XXH3-64 of the numbers as they are written. */
uint64_t train_tensor_hash(const struct train_tensor *t);

#endif
