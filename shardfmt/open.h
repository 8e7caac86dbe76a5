/* Opening files of a dataset that may be anything. */
#ifndef FMT_OPEN_H
#define FMT_OPEN_H

#include <stddef.h>
#include <stdint.h>

#include "shardline/status.h"

/* Open a regular file for reading, and nothing else: a pipe or a device in its place is an error
 * and is not waited for. path, relative to dirfd, is also the name in messages. */
SHARD_NODISCARD int fmt_file_open(int dirfd, const char *path, int *ret_fd, uint64_t *ret_size,
                                  struct shard_error *err);

/* An open file as a source of stored bytes: fmt_chunk_decode() gets out-of-line values through
 * fmt_file_read(), a fmt_read_fn whose arg is a struct fmt_file. */
struct fmt_file {
    int fd;
    const char *path; /* for messages; borrowed */
};
SHARD_NODISCARD int fmt_file_read(void *arg, uint64_t off, void *buf, size_t len,
                                  struct shard_error *err);

/* Name the rows of the snapshot that an error costs, in front of the sentence that says which file,
 * row group, column and page. Returns r. Where r says nothing about the data it stays as it is. */
int fmt_fail_rows(struct shard_error *err, int r, uint64_t row0, uint64_t n_rows);

#endif
