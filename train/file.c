#include "config.h"

#include "train/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/compiler.h"
#include "lib/fail.h"
#include "lib/fs.h"
#include "lib/hash.h"

#define STAGE_FLOATS (UINT64_C(1) << 18) /* a megabyte of rows pressed together at a time */

int
train_file_begin(struct train_file *f, int dirfd, const char *name, struct shard_error *err)
{
    f->dirfd = dirfd;
    (void)snprintf(f->name, sizeof(f->name), "%s", name);
    (void)snprintf(f->temp, sizeof(f->temp), ".unfinished.tmp"); /* one process per run */
    f->fd = openat(dirfd, f->temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (f->fd < 0)
        return base_fail(err, -errno, "%s: making it", f->temp);
    return 0;
}

int
train_file_write(struct train_file *f, const void *data, size_t len, struct shard_error *err)
{
    return base_write_full(f->fd, data, len, f->temp, err);
}

int
train_file_commit(struct train_file *f, struct shard_error *err)
{
    int r = base_fsync(f->fd, f->temp, err);

    if (close(f->fd) < 0 && r >= 0)
        r = base_fail(err, -errno, "%s: closing it", f->temp);
    f->fd = -1;
    if (r >= 0 && renameat(f->dirfd, f->temp, f->dirfd, f->name) < 0)
        r = base_fail(err, -errno, "%s: renaming it to %s", f->temp, f->name);
    if (r < 0) {
        (void)unlinkat(f->dirfd, f->temp, 0);
        return r;
    }
    return base_fsync_dir(f->dirfd, ".", err);
}

void
train_file_abort(struct train_file *f)
{
    if (f->fd < 0)
        return;
    (void)close(f->fd);
    f->fd = -1;
    (void)unlinkat(f->dirfd, f->temp, 0);
}

/* Rows per stage for a tensor whose rows are not packed in memory. */
static uint64_t
stage_rows(const struct train_tensor *t)
{
    return BASE_MAX(STAGE_FLOATS / t->width, 1u);
}

static void
pack(float *to, const struct train_tensor *t, uint64_t row0, uint64_t n_rows)
{
    for (uint64_t i = 0; i < n_rows; i++)
        memcpy(to + i * t->width, t->data + (row0 + i) * t->stride, t->width * sizeof(float));
}

static void
unpack(const struct train_tensor *t, uint64_t row0, uint64_t n_rows, const float *from)
{
    for (uint64_t i = 0; i < n_rows; i++)
        memcpy(t->data + (row0 + i) * t->stride, from + i * t->width, t->width * sizeof(float));
}

int
train_file_write_tensor(struct train_file *f, const struct train_tensor *t, struct shard_error *err)
{
    float *stage;
    int r = 0;

    if (t->stride == t->width)
        return train_file_write(f, t->data, train_tensor_bytes(t), err);
    stage = malloc(stage_rows(t) * t->width * sizeof(float));
    if (stage == NULL)
        return base_fail(err, -ENOMEM, "%s", f->name);
    for (uint64_t row = 0; row < t->rows && r >= 0; row += stage_rows(t)) {
        const uint64_t n = BASE_MIN(stage_rows(t), t->rows - row);

        pack(stage, t, row, n);
        r = train_file_write(f, stage, n * t->width * sizeof(float), err);
    }
    free(stage);
    return r;
}

int
train_file_read_tensor(int fd, const char *name, uint64_t off, const struct train_tensor *t,
                       uint64_t *ret_hash, struct shard_error *err)
{
    float *stage = NULL;
    int r = 0;

    if (t->stride == t->width) {
        r = base_pread_full(fd, t->data, train_tensor_bytes(t), off, name, err);
    } else {
        stage = malloc(stage_rows(t) * t->width * sizeof(float));
        if (stage == NULL)
            return base_fail(err, -ENOMEM, "%s", name);
        for (uint64_t row = 0; row < t->rows && r >= 0; row += stage_rows(t)) {
            const uint64_t n = BASE_MIN(stage_rows(t), t->rows - row);

            r = base_pread_full(fd, stage, n * t->width * sizeof(float),
                                off + row * t->width * sizeof(float), name, err);
            if (r >= 0)
                unpack(t, row, n, stage);
        }
        free(stage);
    }
    if (r >= 0)
        *ret_hash = train_tensor_hash(t);
    return r;
}

uint64_t
train_tensor_hash(const struct train_tensor *t)
{
    XXH3_state_t state;

    if (t->stride == t->width)
        return base_hash64(t->data, train_tensor_bytes(t), 0);
    XXH3_INITSTATE(&state);
    XXH3_64bits_reset(&state);
    for (uint64_t row = 0; row < t->rows; row++)
        base_hash_update(&state, t->data + row * t->stride, t->width * sizeof(float));
    return XXH3_64bits_digest(&state);
}
