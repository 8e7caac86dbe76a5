#include "config.h"

#include "tests/shard_util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fail.h"
#include "lib/fs.h"

static void
must(int ok, const char *what)
{
    if (!ok) {
        perror(what);
        abort();
    }
}

static int
write_groups(struct fmt_writer *w, const struct fmt_schema *s, const struct fmt_encode_opts *opts,
             const struct shard_array *groups, uint32_t n_groups, struct shard_error *err)
{
    struct base_codec *codec = NULL;
    int r = base_codec_new(&codec);

    for (uint32_t g = 0; g < n_groups && r == 0; g++) {
        struct fmt_image *im = NULL;

        r = fmt_image_encode(s, groups + (size_t)g * s->n_fields, opts, codec, &im, err);
        if (r == 0)
            r = fmt_writer_append(w, im, err);
        fmt_image_free(im);
    }
    base_codec_free(codec);
    return r;
}

int
shard_util_write(const struct fmt_schema *s, const struct fmt_encode_opts *opts,
                 const struct shard_array *groups, uint32_t n_groups, struct base_buf *ret,
                 struct fmt_shard_info *ret_info, struct shard_error *err)
{
    /* In memory where that can be: syncing thousands of small files is slow. */
    char shm[] = "/dev/shm/shard_util.XXXXXX", tmp[] = "/tmp/shard_util.XXXXXX", path[64];
    const char *dir = mkdtemp(shm) ? shm : mkdtemp(tmp);
    const int dirfd = -100; /* AT_FDCWD: path is absolute */
    struct fmt_writer *w = NULL;
    int r;

    must(dir != NULL, "mkdtemp");
    (void)snprintf(path, sizeof(path), "%s/x.shard", dir);
    r = fmt_writer_open(dirfd, path, s, opts, &w, err);
    if (r == 0)
        r = write_groups(w, s, opts, groups, n_groups, err);
    if (r == 0)
        r = fmt_writer_finish(w, ret_info, err);
    fmt_writer_free(w);
    if (r == 0)
        r = base_read_file(dirfd, path, SIZE_MAX / 4, ret, err);
    (void)unlink(path);
    must(rmdir(dir) == 0, "rmdir");
    return r;
}

int
shard_util_load(const void *file, size_t len, uint32_t tail_bytes, struct fmt_footer **ret,
                struct shard_error *err)
{
    int fd = memfd_create("shard", MFD_CLOEXEC), r;

    must(fd >= 0, "memfd_create");
    must(write(fd, file, len) == (ssize_t)len, "write");
    r = fmt_footer_load(fd, len, tail_bytes, "file", ret, err);
    (void)close(fd);
    return r;
}

int
shard_util_read(void *file, uint64_t off, void *buf, size_t len, struct shard_error *err)
{
    const struct base_buf *b = file;

    if (off > b->len || len > b->len - off)
        return base_fail(err, SHARD_ETRUNC, "reading past the end");
    memcpy(buf, b->data + off, len);
    return 0;
}

int
shard_util_decode(const struct fmt_footer *f, const struct base_buf *file, uint32_t g, uint32_t c,
                  struct base_codec *codec, struct fmt_decoded *d, struct shard_array *ret,
                  struct shard_error *err)
{
    const size_t chunk = (size_t)g * f->n_columns + c;
    const uint32_t first = f->chunk_first[chunk], n = f->chunk_first[chunk + 1] - first;
    uint8_t **stored = calloc(n + 1u, sizeof(*stored));
    struct base_buf copy = *file;
    int r;

    must(stored != NULL, "calloc");
    for (uint32_t i = 0; i < n; i++) { /* each page by itself, so that a sanitizer sees its end */
        const struct fmt_page *p = &f->pages[first + i];

        stored[i] = malloc(p->stored_len + 1u);
        must(stored[i] != NULL, "malloc");
        memcpy(stored[i] + 1, file->data + p->off, p->stored_len); /* not aligned, either */
        stored[i]++;
    }
    r = fmt_chunk_decode(f, g, c, (const uint8_t *const *)stored, codec, shard_util_read, &copy,
                         "file", d, ret, err);
    for (uint32_t i = 0; i < n; i++)
        free(stored[i] - 1);
    free(stored);
    return r;
}
