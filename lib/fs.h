/* Files, done whole: EINTR and short transfers are handled, errors name the file. */
#ifndef BASE_FS_H
#define BASE_FS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "shardline/status.h"

/* Exactly len bytes at off, or SHARD_ETRUNC, or -errno. name is for the message. */
SHARD_NODISCARD int base_pread_full(int fd, void *buf, size_t len, uint64_t off, const char *name,
                                    struct shard_error *err);
SHARD_NODISCARD int base_write_full(int fd, const void *buf, size_t len, const char *name,
                                    struct shard_error *err);
/* The whole file into buf (appended), refused with SHARD_ELIMIT above max bytes. */
SHARD_NODISCARD int base_read_file(int dirfd, const char *path, size_t max, struct base_buf *buf,
                                   struct shard_error *err);
/* Size of an open regular file. */
SHARD_NODISCARD int base_file_size(int fd, const char *name, uint64_t *ret_size,
                                   struct shard_error *err);
SHARD_NODISCARD int base_fsync(int fd, const char *name, struct shard_error *err);
/* fsync the directory path relative to dirfd ("." for dirfd itself). */
SHARD_NODISCARD int base_fsync_dir(int dirfd, const char *path, struct shard_error *err);
/* mkdir that is content with an existing directory. */
SHARD_NODISCARD int base_mkdir(int dirfd, const char *path, struct shard_error *err);
/* Replace dirfd/path by len bytes of data: temporary file, fsync, rename, fsync the directory. */
SHARD_NODISCARD int base_replace_file(int dirfd, const char *path, const void *data, size_t len,
                                      struct shard_error *err);

#endif
