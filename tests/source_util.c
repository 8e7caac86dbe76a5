#include "config.h"

#include "tests/source_util.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/compiler.h"
#include "lib/fs.h"

/* ---------------------------------------------------------------------------------- making */

static la_ssize_t
on_write(struct archive *a, void *arg, const void *p, size_t n)
{
    (void)a;
    ck_assert_int_eq(base_buf_append(arg, p, n), 0);
    return (la_ssize_t)n;
}

static struct archive *
writer(struct base_buf *out, int format, int filter, const char *options)
{
    struct archive *a = archive_write_new();

    ck_assert_ptr_nonnull(a);
    ck_assert_int_eq(format == ARCHIVE_FORMAT_AR_GNU   ? archive_write_set_format_ar_svr4(a)
                     : format == ARCHIVE_FORMAT_AR_BSD ? archive_write_set_format_ar_bsd(a)
                                                       : archive_write_set_format(a, format),
                     ARCHIVE_OK);
    ck_assert_int_eq(archive_write_add_filter(a, filter), ARCHIVE_OK);
    ck_assert_int_eq(archive_write_set_bytes_per_block(a, 0), ARCHIVE_OK);
    if (options != NULL)
        ck_assert_msg(archive_write_set_options(a, options) == ARCHIVE_OK, "%s: %s", options,
                      archive_error_string(a));
    ck_assert_int_eq(archive_write_open(a, out, NULL, on_write, NULL), ARCHIVE_OK);
    return a;
}

void
su_archive(struct base_buf *out, int format, int filter, const char *options,
           const struct su_member *m, size_t n_members)
{
    struct archive *a = writer(out, format, filter, options);

    for (size_t i = 0; i < n_members; i++) {
        struct archive_entry *e = archive_entry_new();
        const unsigned type = m[i].type ? m[i].type : AE_IFREG;

        archive_entry_set_pathname(e, m[i].name);
        archive_entry_set_filetype(e, type);
        archive_entry_set_perm(e, type == AE_IFDIR ? 0755 : 0644);
        archive_entry_set_mtime(e, 1000000000, 0);
        if (m[i].link != NULL && type == AE_IFLNK)
            archive_entry_set_symlink(e, m[i].link);
        else if (m[i].link != NULL)
            archive_entry_set_hardlink(e, m[i].link);
        archive_entry_set_size(e, (int64_t)m[i].len);
        ck_assert_msg(archive_write_header(a, e) >= ARCHIVE_WARN, "%s: %s", m[i].name,
                      archive_error_string(a));
        if (m[i].len > 0)
            ck_assert_int_eq(archive_write_data(a, m[i].data, m[i].len), (la_ssize_t)m[i].len);
        archive_entry_free(e);
    }
    ck_assert_msg(archive_write_close(a) == ARCHIVE_OK, "%s", archive_error_string(a));
    ck_assert_int_eq(archive_write_free(a), ARCHIVE_OK);
}

void
su_archive_one(struct base_buf *out, int format, int filter, const char *name, const void *data,
               size_t len)
{
    const struct su_member m = {.name = name, .data = data, .len = len};

    su_archive(out, format, filter, NULL, &m, 1);
}

void
su_compress(struct base_buf *out, int filter, const void *data, size_t len)
{
    /* What `lz4` and `compress` make of nothing; libarchive's writers crash or err there. */
    static const uint8_t lz4[] = {4, 0x22, 0x4d, 0x18, 0x64, 0x40, 0xa7, 0,
                                  0, 0,    0,    5,    0x5d, 0xcc, 2};
    static const uint8_t z[] = {0x1f, 0x9d, 0x90};

    if (len == 0 && filter == ARCHIVE_FILTER_LZ4)
        ck_assert_int_eq(base_buf_append(out, lz4, sizeof(lz4)), 0);
    else if (len == 0 && filter == ARCHIVE_FILTER_COMPRESS)
        ck_assert_int_eq(base_buf_append(out, z, sizeof(z)), 0);
    else
        su_archive_one(out, ARCHIVE_FORMAT_RAW, filter, "data", data, len);
}

void
su_text(struct base_buf *out, size_t len, unsigned seed)
{
    static const char *const words[] = {"row", "group", "page", "shard", "of", "the", "order",
                                        "split", "and", "token", "gradient", "loader"};
    const size_t end = out->len + len;
    uint32_t x = seed * 2654435761u + 1;

    while (out->len < end) {
        x = x * 1664525u + 1013904223u;
        ck_assert_int_eq(base_buf_printf(out, "%s%c", words[(x >> 16) % BASE_ARRAY_LEN(words)],
                                         (x >> 8) % 9 ? ' ' : '\n'),
                         0);
    }
    out->len = end;
}

/* One line after "begin": a length, then groups of four characters for three bytes. */
static void
uu_line(struct base_buf *out, const uint8_t *p, const uint8_t *end)
{
    size_t len = (size_t)(*p++ - ' ') & 63;

    for (; len > 0 && p < end; p += 4) {
        uint32_t v = 0;
        uint8_t three[3];

        for (int k = 0; k < 4; k++)
            v = v << 6 | (p + k < end ? (uint32_t)(p[k] - ' ') & 63 : 0);
        three[0] = (uint8_t)(v >> 16);
        three[1] = (uint8_t)(v >> 8);
        three[2] = (uint8_t)v;
        ck_assert_int_eq(base_buf_append(out, three, BASE_MIN(len, 3u)), 0);
        len -= BASE_MIN(len, 3u);
    }
}

void
su_uudecode(struct base_buf *out, const uint8_t *text, size_t len)
{
    const uint8_t *p = text, *end = text + len, *eol;
    bool on = false;

    for (; p < end; p = eol + 1) {
        const uint8_t *stop;

        eol = memchr(p, '\n', (size_t)(end - p));
        if (eol == NULL)
            eol = end;
        stop = eol > p && eol[-1] == '\r' ? eol - 1 : eol;
        if (!on)
            on = stop - p > 6 && memcmp(p, "begin ", 6) == 0;
        else if (stop - p == 3 && memcmp(p, "end", 3) == 0)
            return;
        else if (stop > p)
            uu_line(out, p, stop);
        if (eol == end)
            return;
    }
}

/* ---------------------------------------------------------------------------------- walking */

static void
collect(struct su_walk *w, struct ingest_walk *walk, struct ingest_entry *e)
{
    static const size_t reads[] = {1, 7, 100, 65536, 3, 300000};
    struct shard_error err;
    struct su_entry *x;
    uint8_t *buf = malloc(300000);
    int64_t n;

    w->entries = reallocarray(w->entries, w->n_entries + 1, sizeof(*w->entries));
    ck_assert_ptr_nonnull(w->entries);
    ck_assert_ptr_nonnull(buf);
    x = &w->entries[w->n_entries++];
    memset(x, 0, sizeof(*x));
    x->chain = strdup(e->chain);
    x->path = strdup(e->path);
    x->unpacked = e->unpacked;
    for (size_t i = 0;; i++) {
        n = ingest_walk_read(walk, buf, reads[i % BASE_ARRAY_LEN(reads)], &err);
        if (n <= 0)
            break;
        if (x->data.len < (8u << 20)) /* of bombs, the beginning is enough */
            ck_assert_int_eq(base_buf_append(&x->data, buf, (size_t)n), 0);
    }
    if (n < 0)
        w->error = (int)n;
    x->broke_off = ingest_walk_broke_off(walk);
    free(buf);
    ingest_entry_unref(e);
}

void
su_walk_file(struct su_walk *w, const struct ingest_file *f, const struct ingest_walk_opts *opts)
{
    struct ingest_walk *walk;
    struct ingest_entry *e;
    struct shard_error err = {0};
    int r;

    memset(w, 0, sizeof(*w));
    r = ingest_walk_open(f, opts, &walk, &err);
    ck_assert_msg(r == 0, "%s", err.text);
    while ((r = ingest_walk_next(walk, &e, &err)) == 1)
        collect(w, walk, e);
    if (r < 0)
        w->error = r;
    if (r == 0)
        ck_assert_int_eq(ingest_walk_file_hash(walk, &w->hash, &w->size, &err), 0);
    ingest_walk_get_counts(walk, &w->counts);
    ck_assert_int_eq(ingest_rejects_move(&w->rejects, ingest_walk_rejects(walk)), 0);
    ingest_walk_close(walk);
}

void
su_walk_bytes(struct su_walk *w, const char *name, const struct base_buf *bytes,
              const struct ingest_walk_opts *opts)
{
    struct ingest_files files = {0};
    struct shard_error err = {0};

    ck_assert_msg(ingest_files_add(&files, su_put(name, bytes->data, bytes->len), &err) == 0, "%s",
                  err.text);
    su_walk_file(w, &files.items[0], opts);
    ingest_files_done(&files);
}

void
su_walk_pipe(struct su_walk *w, const struct base_buf *bytes, const struct ingest_walk_opts *opts)
{
    char name[64];
    struct ingest_file f = {.path = name, .name = name};
    int fds[2], status;
    pid_t pid;

    ck_assert_int_eq(pipe(fds), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        size_t off = 0;
        ssize_t n = 1;

        (void)close(fds[0]);
        for (; off < bytes->len && n > 0; off += (size_t)n)
            n = write(fds[1], bytes->data + off, bytes->len - off);
        _exit(0);
    }
    (void)close(fds[1]);
    (void)snprintf(name, sizeof(name), "/dev/fd/%d", fds[0]);
    su_walk_file(w, &f, opts);
    (void)close(fds[0]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
}

void
su_walk_done(struct su_walk *w)
{
    for (size_t i = 0; i < w->n_entries; i++) {
        free(w->entries[i].chain);
        free(w->entries[i].path);
        base_buf_done(&w->entries[i].data);
    }
    free(w->entries);
    ingest_rejects_done(&w->rejects);
    memset(w, 0, sizeof(*w));
}

const struct su_entry *
su_find(const struct su_walk *w, const char *chain)
{
    for (size_t i = 0; i < w->n_entries; i++)
        if (strcmp(w->entries[i].chain, chain) == 0)
            return &w->entries[i];
    return NULL;
}

/* ------------------------------------------------------------------------------------ files */

static char dir[256];

const char *
su_dir(void)
{
    const char *tmp = getenv("TMPDIR");

    if (dir[0] == 0) {
        (void)snprintf(dir, sizeof(dir), "%s/shardline-source-XXXXXX", tmp ? tmp : "/tmp");
        ck_assert_ptr_nonnull(mkdtemp(dir));
    }
    return dir;
}

const char *
su_put(const char *name, const void *data, size_t len)
{
    static char path[512];
    struct shard_error err;
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%s", su_dir(), name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ck_assert_msg(fd >= 0, "%s", path);
    ck_assert_int_eq(base_write_full(fd, data, len, name, &err), 0);
    ck_assert_int_eq(close(fd), 0);
    return path;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void
su_cleanup(void)
{
    if (dir[0] != 0)
        (void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    dir[0] = 0;
}

const char *
su_data_dir(const char *test)
{
    const char *data = getenv("SHARDLINE_DATA");

    if (data == NULL || *data == 0) {
        printf("SKIP-DATA: %s\n", test);
        (void)fflush(stdout);
        return NULL;
    }
    return data;
}

bool
su_data(const char *test, const char *path, struct base_buf *out)
{
    const char *data = su_data_dir(test);
    struct shard_error err = {0};
    char full[1024];

    if (data == NULL)
        return false;
    (void)snprintf(full, sizeof(full), "%s/%s", data, path);
    ck_assert_msg(base_read_file(AT_FDCWD, full, 256u << 20, out, &err) == 0, "%s", err.text);
    return true;
}
