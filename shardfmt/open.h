/* Opening files of a dataset that may be anything. */
#ifndef FMT_OPEN_H
#define FMT_OPEN_H

#include <stdint.h>

#include "shardline/status.h"

/* Open a regular file for reading, and nothing else: a pipe or a device in its place is an error
 * and is not waited for. path, relative to dirfd, is also the name in messages. */
SHARD_NODISCARD int fmt_file_open(int dirfd, const char *path, int *ret_fd, uint64_t *ret_size,
                                  struct shard_error *err);

#endif
