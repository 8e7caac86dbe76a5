#include "config.h"
#include "shardfmt/spooled.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/compiler.h"
#include "lib/fail.h"
#include "lib/fs.h"
#include "shardfmt/rowhash.h"
#include "shardfmt/snapshot.h"

static const char file_name[] = "a temporary file of the dataset";

/* What stands behind the public part. */
struct spool {
    struct fmt_spooled value;
    atomic_uint refs;
    int fd;                 /* -1 in a dry run */
    int zstd_level;
    uint64_t off;           /* bytes in the file */
    struct base_codec *codec;        /* while it is written */
    XXH3_state_t *string, *binary;   /* likewise */
    struct base_buf raw, stored;     /* likewise: the piece at hand */
    struct base_buf pieces;          /* struct fmt_page */
};

static struct spool *
spool_of(struct fmt_spooled *s)
{
    return BASE_CONTAINER_OF(s, struct spool, value);
}

/* What only writing needs. */
static void
spool_settle(struct spool *s)
{
    base_codec_free(s->codec);
    (void)XXH3_freeState(s->string);
    (void)XXH3_freeState(s->binary);
    base_buf_done(&s->raw);
    base_buf_done(&s->stored);
    s->codec = NULL;
    s->string = s->binary = NULL;
}

struct fmt_spooled *
fmt_spooled_ref(struct fmt_spooled *s)
{
    (void)atomic_fetch_add_explicit(&spool_of(s)->refs, 1, memory_order_relaxed);
    return s;
}

void
fmt_spooled_unref(struct fmt_spooled *value)
{
    struct spool *s;

    if (value == NULL)
        return;
    s = spool_of(value);
    if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) > 1)
        return;
    spool_settle(s);
    base_buf_done(&s->pieces);
    if (s->fd >= 0)
        (void)close(s->fd);
    free(s);
}

/* A file without a name: whatever happens, nothing is left behind. */
static int
open_nameless(int dirfd, struct shard_error *err)
{
    int fd = openat(dirfd, FMT_DIR_TMP, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    char path[FMT_TMP_PATH_MAX];
    int r;

    if (fd >= 0)
        return fd;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
        return base_fail(err, -errno, "making a temporary file in %s/", FMT_DIR_TMP);
    r = fmt_tmp_path("value", path, err); /* the file system has no such files */
    if (r < 0)
        return r;
    fd = openat(dirfd, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || unlinkat(dirfd, path, 0) < 0) {
        r = base_fail(err, -errno, "making %s", path);
        if (fd >= 0)
            (void)close(fd);
        return r;
    }
    return fd;
}

int
fmt_spooled_new(int dirfd, const char *column, int zstd_level, struct fmt_spooled **ret,
                struct shard_error *err)
{
    struct spool *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return base_fail(err, -ENOMEM, "a large value");
    atomic_init(&s->refs, 1);
    s->fd = -1;
    s->zstd_level = zstd_level;
    s->string = XXH3_createState();
    s->binary = XXH3_createState();
    if (s->string == NULL || s->binary == NULL || base_codec_new(&s->codec) < 0 ||
        base_buf_reserve_exact(&s->raw, FMT_INLINE_MAX) < 0 ||
        base_buf_reserve_exact(&s->stored, base_codec_bound(FMT_INLINE_MAX)) < 0) {
        fmt_spooled_unref(&s->value);
        return base_fail(err, -ENOMEM, "a large value");
    }
    (void)XXH3_128bits_reset_withSeed(s->string, fmt_rowhash_seed(column, SHARD_TYPE_STRING, 0));
    (void)XXH3_128bits_reset_withSeed(s->binary, fmt_rowhash_seed(column, SHARD_TYPE_BINARY, 0));
    if (dirfd >= 0) {
        s->fd = open_nameless(dirfd, err);
        if (s->fd < 0) {
            const int r = s->fd;

            fmt_spooled_unref(&s->value);
            return r;
        }
    }
    *ret = &s->value;
    return 0;
}

/* The piece at hand, compressed where that pays, to the end of the file. */
static int
put_piece(struct spool *s, struct shard_error *err)
{
    struct fmt_page p = {.off = s->off,
                         .raw_len = (uint32_t)s->raw.len,
                         .stored_len = (uint32_t)s->raw.len,
                         .codec = FMT_CODEC_NONE};
    const uint8_t *stored = s->raw.data;
    int64_t n;
    int r;

    if (s->raw.len == 0)
        return 0;
    if (s->zstd_level != 0) {
        n = base_codec_compress(s->codec, s->zstd_level, s->stored.data, s->stored.cap, stored,
                                s->raw.len);
        if (n < 0)
            return base_fail(err, (int)n, "a large value");
        if (fmt_zstd_pays(s->raw.len, (size_t)n)) {
            p.codec = FMT_CODEC_ZSTD;
            p.stored_len = (uint32_t)n;
            stored = s->stored.data;
        }
    }
    p.hash = base_hash64(stored, p.stored_len, p.off);
    if (s->fd >= 0) {
        r = base_write_full(s->fd, stored, p.stored_len, file_name, err);
        if (r < 0)
            return r;
    }
    if (base_buf_append(&s->pieces, &p, sizeof(p)) < 0)
        return base_fail(err, -ENOMEM, "a large value");
    s->off += p.stored_len;
    base_buf_reset(&s->raw);
    return 0;
}

int
fmt_spooled_put(struct fmt_spooled *value, const void *data, size_t len, struct shard_error *err)
{
    struct spool *s = spool_of(value);
    const uint8_t *p = data;
    int r = 0;

    base_hash_update(s->string, data, len);
    base_hash_update(s->binary, data, len);
    if (value->len < FMT_SPOOLED_HEAD)
        memcpy(value->head + value->len, p, BASE_MIN(len, FMT_SPOOLED_HEAD - (size_t)value->len));
    value->len += len;
    while (len && r == 0) {
        const size_t n = BASE_MIN(len, FMT_INLINE_MAX - s->raw.len);

        base_buf_put(&s->raw, p, n);
        p += n;
        len -= n;
        if (s->raw.len == FMT_INLINE_MAX)
            r = put_piece(s, err);
    }
    return r;
}

static struct base_hash128
digest(const XXH3_state_t *st)
{
    const XXH128_hash_t h = XXH3_128bits_digest(st);

    return (struct base_hash128){h.low64, h.high64};
}

int
fmt_spooled_end(struct fmt_spooled *value, struct shard_error *err)
{
    struct spool *s = spool_of(value);
    int r = put_piece(s, err);

    if (r < 0)
        return r;
    value->string_cell = digest(s->string);
    value->binary_cell = digest(s->binary);
    value->pieces = (const void *)s->pieces.data;
    value->n_pieces = (uint32_t)(s->pieces.len / sizeof(*value->pieces));
    spool_settle(s);
    return 0;
}

int
fmt_spooled_read(const struct fmt_spooled *value, uint32_t piece, uint8_t *ret,
                 struct shard_error *err)
{
    const struct spool *s = (const struct spool *)value; /* its first member */
    const struct fmt_page *p = &value->pieces[piece];
    int r = base_pread_full(s->fd, ret, p->stored_len, p->off, file_name, err);

    if (r == 0 && base_hash64(ret, p->stored_len, p->off) != p->hash)
        r = base_fail(err, SHARD_ECHECKSUM, "%s gave other bytes than were written", file_name);
    return r;
}
