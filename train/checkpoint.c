#include "config.h"

#include "train/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cursor.h"
#include "lib/endian.h"
#include "lib/fail.h"
#include "lib/fs.h"
#include "lib/hash.h"
#include "train/file.h"

#define DIR_NAME     "checkpoints"
#define KEEP         2u
#define FILE_VERSION 1u
#define LIST_MAX     64u /* checkpoints looked at; more than two only where somebody copied them in */

static const char magic[8] = "SHLCKPT\n";

/* ---- the header ---- */

static uint8_t *
put_u64(uint8_t *p, uint64_t v)
{
    base_store_le64(p, v);
    return p + 8;
}

static uint8_t *
put_double(uint8_t *p, double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof(bits));
    return put_u64(p, bits);
}

static uint8_t *
put_totals(uint8_t *p, const struct train_totals *t)
{
    p = put_double(p, t->loss);
    p = put_u64(p, t->rows);
    p = put_u64(p, t->correct);
    p = put_u64(p, t->unlabelled);
    p = put_u64(p, t->unknown);
    return put_u64(p, t->features);
}

static void
header_make(uint8_t h[TRAIN_CHECKPOINT_HEADER], const struct train_model *m,
            const struct train_position *pos, uint64_t config_hash, const char *snapshot)
{
    struct train_tensor t[TRAIN_TENSORS_MAX];
    const unsigned n = train_model_tensors(m, t);
    uint8_t *p = h;

    memset(h, 0, TRAIN_CHECKPOINT_HEADER);
    memcpy(p, magic, 8);
    base_store_le32(p + 8, FILE_VERSION);
    base_store_le32(p + 12, n);
    p = put_u64(p + 16, pos->step);
    p = put_u64(p, config_hash);
    memcpy(p, snapshot, 32);
    p = put_totals(p + 32, &pos->epoch);
    p = put_totals(p, &pos->before);
    p = put_double(p, pos->seconds);
    p = put_u64(p, pos->metrics_len);
    p = put_u64(p, pos->samples);
    for (unsigned i = 0; i < n; i++, p += 32) {
        base_store_le64(p, t[i].rows);
        base_store_le32(p + 8, t[i].width);
        base_store_le64(p + 16, train_tensor_hash(&t[i]));
    }
    base_store_le64(h + TRAIN_CHECKPOINT_HEADER - 8,
                    base_hash64(h, TRAIN_CHECKPOINT_HEADER - 8, 0));
}

static double
get_double(struct base_cursor *c)
{
    const uint64_t bits = base_cursor_u64(c);
    double v;

    memcpy(&v, &bits, sizeof(v));
    return v;
}

static void
get_totals(struct base_cursor *c, struct train_totals *t)
{
    t->loss = get_double(c);
    t->rows = base_cursor_u64(c);
    t->correct = base_cursor_u64(c);
    t->unlabelled = base_cursor_u64(c);
    t->unknown = base_cursor_u64(c);
    t->features = base_cursor_u64(c);
}

struct header {
    uint32_t n_tensors;
    uint64_t config_hash;
    char snapshot[33];
    struct train_position pos;
    uint64_t rows[TRAIN_TENSORS_MAX], hashes[TRAIN_TENSORS_MAX];
    uint32_t widths[TRAIN_TENSORS_MAX];
};

static int
header_parse(const uint8_t *bytes, const char *name, struct header *h, struct shard_error *err)
{
    struct base_cursor c = base_cursor_make(bytes, TRAIN_CHECKPOINT_HEADER);
    const uint8_t *p = base_cursor_bytes(&c, 8);
    uint32_t version;

    if (p == NULL || memcmp(p, magic, 8) != 0)
        return base_fail(err, SHARD_ECORRUPT, "%s: not a checkpoint", name);
    if (base_load_le64(bytes + TRAIN_CHECKPOINT_HEADER - 8) !=
        base_hash64(bytes, TRAIN_CHECKPOINT_HEADER - 8, 0))
        return base_fail(err, SHARD_ECHECKSUM, "%s: its header is damaged", name);
    version = base_cursor_u32(&c);
    h->n_tensors = base_cursor_u32(&c);
    if (version != FILE_VERSION || h->n_tensors > TRAIN_TENSORS_MAX)
        return base_fail(err, SHARD_EUNSUPPORTED, "%s: of version %u", name, version);
    h->pos.step = base_cursor_u64(&c);
    h->config_hash = base_cursor_u64(&c);
    p = base_cursor_bytes(&c, 32);
    memcpy(h->snapshot, p ? p : (const uint8_t *)"", p ? 32 : 0);
    get_totals(&c, &h->pos.epoch);
    get_totals(&c, &h->pos.before);
    h->pos.seconds = get_double(&c);
    h->pos.metrics_len = base_cursor_u64(&c);
    h->pos.samples = base_cursor_u64(&c);
    for (uint32_t i = 0; i < h->n_tensors; i++) {
        h->rows[i] = base_cursor_u64(&c);
        h->widths[i] = base_cursor_u32(&c);
        (void)base_cursor_u32(&c);
        h->hashes[i] = base_cursor_u64(&c);
        (void)base_cursor_u64(&c);
    }
    return 0;
}

/* ---- the list of them ---- */

static bool
name_step(const char *name, uint64_t *ret)
{
    char again[40];
    uint64_t step;

    if (sscanf(name, "step-%" SCNu64 ".ckpt", &step) != 1)
        return false;
    (void)snprintf(again, sizeof(again), "step-%012" PRIu64 ".ckpt", step);
    *ret = step;
    return strcmp(name, again) == 0;
}

static int
newest_first(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x < y) - (x > y);
}

/* Steps of the checkpoints there, newest first; 0 where the folder is missing. */
static int
list_steps(int dirfd, uint64_t steps[LIST_MAX], struct shard_error *err)
{
    const int fd = openat(dirfd, DIR_NAME, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;
    unsigned n = 0;

    if (fd < 0 && errno == ENOENT)
        return 0;
    if (dir == NULL) {
        if (fd >= 0)
            (void)close(fd);
        return base_fail(err, -errno, DIR_NAME);
    }
    while (n < LIST_MAX && (e = readdir(dir)) != NULL)
        if (name_step(e->d_name, &steps[n]))
            n++;
    (void)closedir(dir);
    qsort(steps, n, sizeof(*steps), newest_first);
    return (int)n;
}

/* What processes left that were killed while they wrote a checkpoint. This one holds the run's lock
 * and is not writing now. */
static void
remove_unfinished(int ckpt_fd)
{
    const int fd = openat(ckpt_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;

    while (dir != NULL && (e = readdir(dir)) != NULL) {
        const size_t len = strlen(e->d_name);

        if (strncmp(e->d_name, ".step-", 6) == 0 && len > 4 &&
            strcmp(e->d_name + len - 4, ".tmp") == 0)
            (void)unlinkat(ckpt_fd, e->d_name, 0);
    }
    if (dir != NULL)
        (void)closedir(dir);
    else if (fd >= 0)
        (void)close(fd);
}

static void
remove_old(int ckpt_fd, int dirfd)
{
    uint64_t steps[LIST_MAX];
    const int n = list_steps(dirfd, steps, NULL);

    for (int i = KEEP; i < n; i++) {
        char name[40];

        (void)snprintf(name, sizeof(name), "step-%012" PRIu64 ".ckpt", steps[i]);
        (void)unlinkat(ckpt_fd, name, 0);
    }
}

/* ---- write and load ---- */

int
train_checkpoint_write(int dirfd, const struct train_model *m, const struct train_position *p,
                       uint64_t config_hash, const char *snapshot, struct shard_error *err)
{
    uint8_t header[TRAIN_CHECKPOINT_HEADER];
    struct train_tensor t[TRAIN_TENSORS_MAX];
    struct train_file f = {.fd = -1};
    const unsigned n = train_model_tensors(m, t);
    char name[40];
    int fd = -1, r;

    r = base_mkdir(dirfd, DIR_NAME, err);
    if (r >= 0)
        r = base_fsync_dir(dirfd, ".", err); /* DIR_NAME itself, and the metrics beside it */
    if (r < 0)
        return r;
    fd = openat(dirfd, DIR_NAME, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return base_fail(err, -errno, DIR_NAME);
    (void)snprintf(name, sizeof(name), "step-%012" PRIu64 ".ckpt", p->step);
    header_make(header, m, p, config_hash, snapshot);
    r = train_file_begin(&f, fd, name, err);
    if (r >= 0)
        r = train_file_write(&f, header, sizeof(header), err);
    for (unsigned i = 0; i < n && r >= 0; i++)
        r = train_file_write_tensor(&f, &t[i], err);
    if (r >= 0)
        r = train_file_commit(&f, err);
    if (r >= 0) {
        remove_old(fd, dirfd);
        remove_unfinished(fd);
    }
    train_file_abort(&f);
    (void)close(fd);
    return r;
}

/* Rows up to before came from a newer checkpoint that turned out to be damaged: they must be zero
 * when the table grows to them again. */
static void
forget_rows(struct train_model *m, uint64_t before)
{
    const uint64_t from = m->n_table * m->stride;
    size_t bytes;

    if (before <= m->n_table)
        return;
    bytes = (size_t)(before - m->n_table) * m->stride * sizeof(float);
    memset(m->table + from, 0, bytes);
    if (m->table_squares != NULL)
        memset(m->table_squares + from, 0, bytes);
}

/* Check the header against the model and the file's size before a byte of the model changes. */
static int
check_shape(const struct header *h, struct train_model *m, const char *name, uint64_t size,
            struct shard_error *err)
{
    struct train_tensor t[TRAIN_TENSORS_MAX];
    unsigned n = train_model_tensors(m, t);
    uint64_t want = TRAIN_CHECKPOINT_HEADER;
    int r;

    if (n != h->n_tensors)
        return base_fail(err, SHARD_ECONFLICT, "%s: %u tensors, not %u", name, h->n_tensors, n);
    for (unsigned i = 0; i < n; i++) {
        if (h->widths[i] != t[i].width || h->rows[i] > size)
            return base_fail(err, SHARD_ECONFLICT, "%s: %s is of another shape", name, t[i].name);
        want += h->rows[i] * t[i].width * sizeof(float);
    }
    if (want != size)
        return base_fail(err, SHARD_ETRUNC, "%s: %" PRIu64 " bytes, not %" PRIu64, name, size,
                         want);
    if (m->opts.growable) {
        const uint64_t before = m->n_table;

        r = train_model_grow(m, h->rows[0], err);
        if (r < 0)
            return r;
        m->n_table = h->rows[0];
        forget_rows(m, before);
        n = train_model_tensors(m, t);
    }
    for (unsigned i = 0; i < n; i++)
        if (h->rows[i] != t[i].rows)
            return base_fail(err, SHARD_ECONFLICT, "%s: %s is of another shape", name, t[i].name);
    return 0;
}

static int
load_one(int ckpt_fd, const char *name, struct train_model *m, uint64_t config_hash,
         const char *snapshot, struct train_position *ret, struct shard_error *err)
{
    uint8_t bytes[TRAIN_CHECKPOINT_HEADER];
    struct train_tensor t[TRAIN_TENSORS_MAX];
    struct header h = {0};
    uint64_t size = 0, off = TRAIN_CHECKPOINT_HEADER;
    unsigned n;
    int fd, r;

    fd = openat(ckpt_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return base_fail(err, -errno, "%s", name);
    r = base_file_size(fd, name, &size, err);
    if (r >= 0)
        r = base_pread_full(fd, bytes, sizeof(bytes), 0, name, err);
    if (r >= 0)
        r = header_parse(bytes, name, &h, err);
    if (r >= 0 && (h.config_hash != config_hash || memcmp(h.snapshot, snapshot, 32) != 0))
        r = base_fail(err, SHARD_ECONFLICT, "%s: it belongs to another configuration", name);
    if (r >= 0)
        r = check_shape(&h, m, name, size, err);
    n = train_model_tensors(m, t);
    for (unsigned i = 0; i < n && r >= 0; i++) {
        uint64_t hash = 0;

        r = train_file_read_tensor(fd, name, off, &t[i], &hash, err);
        off += train_tensor_bytes(&t[i]);
        if (r >= 0 && hash != h.hashes[i])
            r = base_fail(err, SHARD_ECHECKSUM, "%s: %s is damaged", name, t[i].name);
    }
    (void)close(fd);
    if (r >= 0)
        *ret = h.pos;
    return r;
}

int
train_checkpoint_load(int dirfd, struct train_model *m, uint64_t config_hash, const char *snapshot,
                      void (*warn)(void *user, const char *text), void *user,
                      struct train_position *ret, struct shard_error *err)
{
    uint64_t steps[LIST_MAX];
    struct shard_error one = {0};
    const int n = list_steps(dirfd, steps, err);
    int fd, r = 0;

    if (n <= 0)
        return n;
    fd = openat(dirfd, DIR_NAME, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return base_fail(err, -errno, DIR_NAME);
    for (int i = 0; i < n; i++) {
        char name[40];

        (void)snprintf(name, sizeof(name), "step-%012" PRIu64 ".ckpt", steps[i]);
        r = load_one(fd, name, m, config_hash, snapshot, ret, &one);
        if (r >= 0 || r == SHARD_ECONFLICT || r == -ENOMEM || r == SHARD_ELIMIT)
            break;
        if (warn != NULL)
            warn(user, one.text);
    }
    (void)close(fd);
    if (r >= 0)
        return 1;
    if (r == SHARD_ECONFLICT || r == -ENOMEM || r == SHARD_ELIMIT)
        return base_fail(err, r, "%s", one.text);
    return base_fail(err, SHARD_ECHECKSUM,
                     "no checkpoint is good (the last: %s); start again with fit", one.text);
}
