#include "config.h"
#include "lib/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/compiler.h"
#include "lib/fail.h"

/* One read or write of the kernel moves at most this much anyway. */
#define FS_CHUNK_MAX ((size_t)1 << 30)

int
base_pread_full(int fd, void *buf, size_t len, uint64_t off, const char *name,
                struct shard_error *err)
{
    size_t done = 0;

    if (off > INT64_MAX || len > (uint64_t)INT64_MAX - off)
        return base_fail(err, -EINVAL, "%s: byte %" PRIu64, name, off);
    while (done < len) {
        const size_t want = BASE_MIN(len - done, FS_CHUNK_MAX);
        ssize_t n = pread(fd, (char *)buf + done, want, (off_t)(off + done));

        if (n > 0) {
            done += (size_t)n;
        } else if (n == 0) {
            return base_fail(err, SHARD_ETRUNC,
                             "%s: ends at byte %" PRIu64 ", %zu bytes are missing", name,
                             off + done, len - done);
        } else if (errno != EINTR) {
            return base_fail(err, -errno, "%s: reading %zu bytes at byte %" PRIu64, name, len,
                             off);
        }
    }
    return 0;
}

int
base_write_full(int fd, const void *buf, size_t len, const char *name, struct shard_error *err)
{
    size_t done = 0;

    while (done < len) {
        const size_t want = BASE_MIN(len - done, FS_CHUNK_MAX);
        struct pollfd pfd = {.fd = fd, .events = POLLOUT};
        ssize_t n = write(fd, (const char *)buf + done, want);

        if (n > 0)
            done += (size_t)n;
        else if (n == 0)
            return base_fail(err, -EIO, "%s: writing stopped after %zu bytes", name, done);
        else if (errno == EAGAIN) /* standard output may be a pipe that does not block */
            (void)poll(&pfd, 1, -1);
        else if (errno != EINTR)
            return base_fail(err, -errno, "%s: writing", name);
    }
    return 0;
}

/* Read fd to its end; the file may grow, shrink or have no size (a pipe, /proc). */
static int
read_to_end(int fd, const char *name, size_t max, struct base_buf *buf, struct shard_error *err)
{
    const size_t old_len = buf->len;

    for (;;) {
        size_t room;
        ssize_t n;

        if (buf->cap == buf->len && base_buf_reserve(buf, 65536) < 0)
            return base_fail(err, -ENOMEM, "%s", name);
        room = buf->cap - buf->len;
        n = read(fd, buf->data + buf->len, BASE_MIN(room, FS_CHUNK_MAX));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return base_fail(err, -errno, "%s: reading", name);
        if (n == 0)
            return 0;
        buf->len += (size_t)n;
        if (buf->len - old_len > max)
            return base_fail(err, SHARD_ELIMIT, "%s: more than %zu bytes", name, max);
    }
}

int
base_read_file(int dirfd, const char *path, size_t max, struct base_buf *buf,
               struct shard_error *err)
{
    const size_t old_len = buf->len;
    struct stat st;
    int fd, r;

    fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return base_fail(err, -errno, "%s", path);
    if (fstat(fd, &st) != 0) {
        r = base_fail(err, -errno, "%s", path);
        goto out;
    }
    if (S_ISREG(st.st_mode) && st.st_size > 0) {
        if ((uint64_t)st.st_size > max) {
            r = base_fail(err, SHARD_ELIMIT, "%s: %jd bytes, more than %zu", path,
                          (intmax_t)st.st_size, max);
            goto out;
        }
        /* one byte more, so that the end is seen without growing */
        if (base_buf_reserve_exact(buf, (size_t)st.st_size + 1) < 0) {
            r = base_fail(err, -ENOMEM, "%s", path);
            goto out;
        }
    }
    r = read_to_end(fd, path, max, buf, err);
out:
    if (r < 0)
        buf->len = old_len;
    (void)close(fd);
    return r;
}

int
base_file_size(int fd, const char *name, uint64_t *ret_size, struct shard_error *err)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return base_fail(err, -errno, "%s", name);
    if (!S_ISREG(st.st_mode))
        return base_fail(err, S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL, "%s: not a regular file",
                         name);
    *ret_size = (uint64_t)st.st_size;
    return 0;
}

int
base_fsync(int fd, const char *name, struct shard_error *err)
{
    int r;

    do
        r = fsync(fd);
    while (r != 0 && errno == EINTR);
    return r == 0 ? 0 : base_fail(err, -errno, "%s: fsync", name);
}

int
base_fsync_dir(int dirfd, const char *path, struct shard_error *err)
{
    int fd, r;

    fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return base_fail(err, -errno, "%s", path);
    r = base_fsync(fd, path, err);
    (void)close(fd);
    return r;
}

int
base_mkdir(int dirfd, const char *path, struct shard_error *err)
{
    struct stat st;

    if (mkdirat(dirfd, path, 0777) == 0)
        return 0;
    if (errno != EEXIST)
        return base_fail(err, -errno, "%s", path);
    if (fstatat(dirfd, path, &st, 0) != 0)
        return base_fail(err, -errno, "%s", path);
    return S_ISDIR(st.st_mode) ? 0 : base_fail(err, -ENOTDIR, "%s", path);
}

/* fsync the directory that path is in. */
static int
fsync_parent(int dirfd, const char *path, struct shard_error *err)
{
    const char *slash = strrchr(path, '/');
    char *parent;
    int r;

    if (slash == NULL)
        return base_fsync_dir(dirfd, ".", err);
    parent = strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (parent == NULL)
        return base_fail(err, -ENOMEM, "%s", path);
    r = base_fsync_dir(dirfd, parent, err);
    free(parent);
    return r;
}

int
base_replace_file(int dirfd, const char *path, const void *data, size_t len,
                  struct shard_error *err)
{
    char *tmp = NULL;
    bool made = false;
    int fd = -1, r;

    /* The process id keeps two programs apart; a file left by a killed one is overwritten. */
    if (asprintf(&tmp, "%s.tmp-%ld", path, (long)getpid()) < 0)
        return base_fail(err, -ENOMEM, "%s", path);
    fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0) {
        r = base_fail(err, -errno, "%s", tmp);
        goto out;
    }
    made = true;
    r = base_write_full(fd, data, len, tmp, err);
    if (r < 0)
        goto out;
    r = base_fsync(fd, tmp, err);
    if (r < 0)
        goto out;
    r = close(fd);
    fd = -1;
    if (r != 0) {
        r = base_fail(err, -errno, "%s", tmp);
        goto out;
    }
    if (renameat(dirfd, tmp, dirfd, path) != 0) {
        r = base_fail(err, -errno, "%s", path);
        goto out;
    }
    made = false;
    r = fsync_parent(dirfd, path, err);
out:
    if (fd >= 0)
        (void)close(fd);
    if (made)
        (void)unlinkat(dirfd, tmp, 0);
    free(tmp);
    return r;
}
