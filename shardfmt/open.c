/* Opening the files of a dataset: fmt_shard_open() is the one place where a shard's footer is
 * compared with what the snapshot says of it, so that whoever holds a footer from here may rely on
 * it as much as on the segment. */
#include "config.h"

#include "shardfmt/open.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "lib/fail.h"
#include "lib/fs.h"
#include "shardfmt/shard_stats.h"

int
fmt_file_open(int dirfd, const char *path, int *ret_fd, uint64_t *ret_size, struct shard_error *err)
{
    uint64_t size;
    int fd, flags, r;

    /* O_NONBLOCK so that a pipe in the file's place does not hold us up; it is taken away again
     * because io_uring heeds it on regular files, too. */
    fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return base_fail(err, -errno, "%s: cannot be opened", path);
    r = base_file_size(fd, path, &size, err);
    if (r < 0)
        goto out;
    flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0) {
        r = base_fail(err, -errno, "%s: cannot be opened", path);
        goto out;
    }
    *ret_fd = fd;
    *ret_size = size;
    fd = -1;
out:
    if (fd >= 0)
        (void)close(fd);
    return r;
}

int
fmt_file_read(void *arg, uint64_t off, void *buf, size_t len, struct shard_error *err)
{
    const struct fmt_file *f = arg;

    return base_pread_full(f->fd, buf, len, off, f->path, err);
}

int
fmt_fail_rows(struct shard_error *err, int r, uint64_t row0, uint64_t n_rows)
{
    if (n_rows == 0 || r == -ENOMEM || r == -EMFILE || r == -ENFILE || r == -ECANCELED)
        return r;
    if (n_rows == 1)
        return base_fail_in(err, r, "row %" PRIu64 " cannot be read", row0);
    return base_fail_in(err, r, "rows %" PRIu64 " to %" PRIu64 " cannot be read", row0,
                        row0 + n_rows - 1);
}

/* Whether footer f is the one that entry e promises. */
static int
footer_check(const struct fmt_footer *f, const struct fmt_shard_entry *e,
             const struct fmt_schema *schema, struct shard_error *err)
{
    char have[BASE_HEX128_LEN + 1], want[BASE_HEX128_LEN + 1];

    if (!base_hash128_eq(f->hash, e->hash)) {
        base_hex128(f->hash, have);
        base_hex128(e->hash, want);
        return base_fail(err, SHARD_ECHECKSUM,
                         "%s: this is not the file that the snapshot lists: its content hash is %s "
                         "instead of %s; restore the file from a copy of the dataset",
                         e->path, have, want);
    }
    if (f->n_rows != e->n_rows)
        return base_fail(err, SHARD_ECORRUPT,
                         "%s: the footer counts %" PRIu64 " rows, the segment %" PRIu64, e->path,
                         f->n_rows, e->n_rows);
    if (schema == NULL)
        return 0;
    if (!fmt_shard_stats_agree(e, f))
        return base_fail(err, SHARD_ECORRUPT,
                         "%s: the statistics of the segment are not those of the footer", e->path);
    if (f->n_groups != e->n_groups ||
        (e->n_groups && memcmp(f->group_rows, e->group_rows, e->n_groups * sizeof(uint32_t))))
        return base_fail(err, SHARD_ECORRUPT,
                         "%s: the row groups of the footer are not those of the segment", e->path);
    if (!fmt_schema_equal(&f->schema, schema))
        return base_fail(err, SHARD_ECORRUPT, "%s: the columns are not those of the snapshot",
                         e->path);
    return 0;
}

int
fmt_shard_open(int dirfd, const struct fmt_shard_entry *e, const struct fmt_schema *schema,
               int *ret_fd, struct fmt_footer **ret_footer, struct shard_error *err)
{
    struct fmt_footer *f = NULL;
    uint64_t size;
    int fd = -1, r;

    r = fmt_file_open(dirfd, e->path, &fd, &size, err);
    if (r < 0)
        return r;
    if (size != e->file_bytes) {
        r = base_fail(err, size < e->file_bytes ? SHARD_ETRUNC : SHARD_ECORRUPT,
                      "%s: the file has %" PRIu64 " bytes, the snapshot says %" PRIu64
                      "; restore it from a copy of the dataset",
                      e->path, size, e->file_bytes);
        goto out;
    }
    r = fmt_footer_load(fd, size, e->footer_bytes, e->path, &f, err);
    if (r < 0)
        goto out;
    r = footer_check(f, e, schema, err);
    if (r < 0)
        goto out;
    *ret_fd = fd;
    *ret_footer = f;
    fd = -1;
    f = NULL;
out:
    fmt_footer_free(f);
    if (fd >= 0)
        (void)close(fd);
    return r;
}
