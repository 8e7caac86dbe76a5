/* The one way a snapshot comes to be.
 *
 *   shards stand in shards/, synced         nobody refers to them
 *   segments -> tmp/, sync, rename          nobody refers to them
 *   root -> tmp/, sync, read back           nobody sees it
 *   sync shards/ quarantine/ segments/      what the root refers to is durable
 *   link(tmp, roots/N + 1)                  the commit: it is there or it is not
 *   unlink tmp, sync roots/                 the commit is durable
 *
 * A crash between any two lines leaves the last snapshot as it was, and files that nobody refers
 * to. link() fails where the name exists, so of two writers that follow the same root one wins and
 * the other one is told; rename() would let the second one overwrite the first. */
#include "config.h"

#include "shardfmt/snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fail.h"
#include "lib/fs.h"
#include "shardfmt/manifest.h"
#include "shardfmt/open.h"

#define ROOT_SUFFIX ".root"
#define ROOT_DIGITS 20
#define LABEL_MAX   100 /* bytes of the label in a shard's name */
#define ASIDE_MAX   1000

/* -------------------------------------------------------------------------------------- names */

int
fmt_tmp_path(const char *what, char ret[FMT_TMP_PATH_MAX], struct shard_error *err)
{
    uint64_t random[2];

    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return base_fail(err, -errno, "no random name for a temporary file");
    (void)snprintf(ret, FMT_TMP_PATH_MAX, "%s/%ld-%016" PRIx64 "%016" PRIx64 ".%.8s", FMT_DIR_TMP,
                   (long)getpid(), random[0], random[1], what);
    return 0;
}

void
fmt_root_path(uint64_t number, char ret[FMT_ROOT_PATH_MAX])
{
    (void)snprintf(ret, FMT_ROOT_PATH_MAX, "%s/%0*" PRIu64 "%s", FMT_DIR_ROOTS, ROOT_DIGITS, number,
                   ROOT_SUFFIX);
}

/* The number that a file name in roots/ stands for; 0 where it is not the name of a root. */
static uint64_t
root_number(const char *name)
{
    uint64_t n = 0;

    if (strlen(name) != ROOT_DIGITS + sizeof(ROOT_SUFFIX) - 1 ||
        strcmp(name + ROOT_DIGITS, ROOT_SUFFIX) != 0)
        return 0;
    for (int i = 0; i < ROOT_DIGITS; i++) {
        if (name[i] < '0' || name[i] > '9' || __builtin_mul_overflow(n, UINT64_C(10), &n) ||
            __builtin_add_overflow(n, (uint64_t)(name[i] - '0'), &n))
            return 0;
    }
    return n;
}

int
fmt_newest_root(int dirfd, uint64_t *ret_number, struct shard_error *err)
{
    return fmt_newest_root_upto(dirfd, UINT64_MAX, ret_number, err);
}

int
fmt_newest_root_upto(int dirfd, uint64_t max, uint64_t *ret_number, struct shard_error *err)
{
    const struct dirent *e;
    uint64_t newest = 0;
    DIR *dir;
    int fd, r = 0;

    fd = openat(dirfd, FMT_DIR_ROOTS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        *ret_number = 0;
        return 0;
    }
    if (fd < 0)
        return base_fail(err, -errno, "the folder %s cannot be opened", FMT_DIR_ROOTS);
    dir = fdopendir(fd);
    if (dir == NULL) {
        r = base_fail(err, -errno, "the folder %s cannot be read", FMT_DIR_ROOTS);
        (void)close(fd);
        return r;
    }
    while (errno = 0, (e = readdir(dir)) != NULL) {
        const uint64_t n = root_number(e->d_name);

        if (n > newest && n <= max)
            newest = n;
    }
    if (errno)
        r = base_fail(err, -errno, "the folder %s cannot be read", FMT_DIR_ROOTS);
    else
        *ret_number = newest;
    (void)closedir(dir);
    return r;
}

/* ------------------------------------------------------------------------------------- placing */

int
fmt_dataset_mkdirs(int dirfd, struct shard_error *err)
{
    static const char *const folders[] = {FMT_DIR_ROOTS, FMT_DIR_SEGMENTS, FMT_DIR_SHARDS,
                                          FMT_DIR_QUARANTINE, FMT_DIR_TMP};

    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        const int r = base_mkdir(dirfd, folders[i], err);

        if (r < 0)
            return r;
    }
    return base_fsync_dir(dirfd, ".", err);
}

/* label as it can stand in a file name, with a "-" behind it unless it is empty. */
static void
label_safe(const char *label, char ret[LABEL_MAX + 2])
{
    size_t n = 0;

    for (; label[n] && n < LABEL_MAX; n++) {
        const char c = label[n];
        const bool alnum =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        ret[n] = alnum || c == '-' || c == '_' || (c == '.' && n) ? c : '_';
    }
    if (n)
        ret[n++] = '-';
    ret[n] = '\0';
}

/* A folder stands where a file shall be: it gets the first of the names "path.old-N" that is free. */
static int
folder_set_aside(int dirfd, const char *path)
{
    char aside[FMT_PATH_MAX + 32];
    struct stat st;

    for (unsigned n = 1; n <= ASIDE_MAX; n++) {
        (void)snprintf(aside, sizeof(aside), "%s.old-%u", path, n);
        if (fstatat(dirfd, aside, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return errno == ENOENT && renameat(dirfd, path, dirfd, aside) == 0 ? 0 : -errno;
    }
    return -EEXIST;
}

int
fmt_place(int dirfd, const char *tmp_path, const char *path, struct shard_error *err)
{
    int r;

    if (renameat(dirfd, tmp_path, dirfd, path) == 0)
        return 0;
    if (errno != EISDIR)
        return base_fail(err, -errno, "%s cannot be moved to %s", tmp_path, path);
    r = folder_set_aside(dirfd, path);
    if (r < 0)
        return base_fail(err, r, "%s is a folder and cannot be renamed to %s.old-1; move it away",
                         path, path);
    return renameat(dirfd, tmp_path, dirfd, path) == 0
               ? 0
               : base_fail(err, -errno, "%s cannot be moved to %s", tmp_path, path);
}

int
fmt_shard_place(int dirfd, const char *tmp_path, const char *folder, const char *label,
                struct base_hash128 hash, char ret_path[256], struct shard_error *err)
{
    char hex[BASE_HEX128_LEN + 1], safe[LABEL_MAX + 2], path[256];
    int r;

    base_hex128(hash, hex);
    label_safe(label, safe);
    (void)snprintf(path, sizeof(path), "%s/%s%s.shard", folder, safe, hex);
    if (!fmt_path_ok(path, folder))
        return base_fail(err, -EINVAL, "%s cannot be the name of a shard", path);
    r = fmt_place(dirfd, tmp_path, path, err);
    if (r < 0)
        return r;
    memcpy(ret_path, path, sizeof(path));
    return 0;
}

/* ----------------------------------------------------------------------------------- publishing */

/* The content hash of root number, which the child names as its parent. */
static int
parent_hash(int dirfd, uint64_t number, struct base_hash128 *ret, struct shard_error *err)
{
    struct fmt_footer *f = NULL;
    char path[FMT_ROOT_PATH_MAX];
    uint64_t size;
    int fd, r;

    fmt_root_path(number, path);
    r = fmt_file_open(dirfd, path, &fd, &size, err);
    if (r < 0)
        return r;
    r = fmt_footer_load(fd, size, 0, path, &f, err);
    if (r >= 0)
        *ret = f->hash;
    fmt_footer_free(f);
    (void)close(fd);
    return r;
}

static int
conflict(uint64_t parent, struct shard_error *err)
{
    return base_fail(err, SHARD_ECONFLICT,
                     "another writer has published snapshot %" PRIu64
                     " meanwhile; this one was not published and the dataset is as that writer "
                     "left it: start again from there",
                     parent + 1);
}

/* Whether root parent is the newest one: a cheap way to lose early. link() decides. */
static int
parent_check(int dirfd, uint64_t parent, struct shard_error *err)
{
    uint64_t newest;
    int r = fmt_newest_root(dirfd, &newest, err);

    if (r < 0)
        return r;
    if (newest > parent)
        return conflict(parent, err);
    if (newest < parent)
        return base_fail(err, SHARD_ENOTFOUND, "there is no snapshot %" PRIu64 " to follow",
                         parent);
    return parent < UINT64_MAX ? 0 : base_fail(err, SHARD_ELIMIT, "no snapshot number is left");
}

/* Segments for all shards of s: those it was loaded from where they still hold, else new ones.
 * Gives s a new list on success only. */
static int
segments_write(int dirfd, struct fmt_snapshot *s, struct shard_error *err)
{
    struct fmt_snapshot fresh; /* for its list of segments */
    uint32_t old = 0, end;
    int r = 0;

    fmt_snapshot_init(&fresh);
    for (uint32_t i = 0; r >= 0 && i < s->n_shards; i = end) {
        struct fmt_segment *g = fmt_snapshot_new_segment(&fresh);

        end = fmt_segment_end(s, i);
        while (old < s->n_segments && s->segments[old].shard0 < i)
            old++;
        if (g == NULL)
            r = base_fail(err, -ENOMEM, "segments");
        else if (old < s->n_segments && s->segments[old].shard0 == i &&
                 s->segments[old].n_shards == end - i &&
                 fmt_segment_holds(dirfd, &s->segments[old], &s->shards[i]))
            *g = s->segments[old];
        else
            r = fmt_segment_write(dirfd, s, i, end, g, err);
    }
    if (r < 0) {
        fmt_snapshot_done(&fresh);
        return r;
    }
    free(s->segments);
    s->segments = fresh.segments;
    s->n_segments = fresh.n_segments;
    s->cap_segments = fresh.cap_segments;
    return 0;
}

/* Write the root to tmp, read it back as every reader will, and sync what it refers to. */
static int
root_prepare(int dirfd, const char *tmp, struct fmt_snapshot *s, struct base_hash128 *ret_hash,
             struct shard_error *err)
{
    static const char *const folders[] = {FMT_DIR_SHARDS, FMT_DIR_QUARANTINE, FMT_DIR_SEGMENTS};
    struct fmt_snapshot back;
    int r;

    r = fmt_root_write(dirfd, tmp, s, ret_hash, err);
    if (r < 0)
        return r;
    r = fmt_root_load(dirfd, tmp, s->parent_number + 1, &back, err);
    fmt_snapshot_done(&back);
    if (r < 0)
        return base_fail_in(err, r, "the new root, read back");
    for (size_t i = 0; r >= 0 && i < sizeof(folders) / sizeof(folders[0]); i++)
        r = base_fsync_dir(dirfd, folders[i], err);
    return r;
}

/* The commit. */
static int
root_link(int dirfd, const char *tmp, uint64_t parent, struct shard_error *err)
{
    char path[FMT_ROOT_PATH_MAX];

    fmt_root_path(parent + 1, path);
    if (linkat(dirfd, tmp, dirfd, path, 0) == 0)
        return 0;
    if (errno == EEXIST)
        return conflict(parent, err);
    return base_fail(err, -errno, "%s cannot be linked; no snapshot was published", path);
}

/* before: the content hash of the parent, which is the newest root. */
static int
publish(int dirfd, uint64_t parent, struct base_hash128 before, struct fmt_snapshot *s,
        struct shard_error *err)
{
    char tmp[FMT_TMP_PATH_MAX] = "";
    struct base_hash128 hash;
    int r;

    r = segments_write(dirfd, s, err);
    if (r < 0)
        return r;
    s->parent_number = parent;
    s->parent_hash = before;
    r = fmt_tmp_path("root", tmp, err);
    if (r < 0)
        return r;
    r = root_prepare(dirfd, tmp, s, &hash, err);
    if (r >= 0)
        r = root_link(dirfd, tmp, parent, err);
    (void)unlinkat(dirfd, tmp, 0);
    if (r < 0)
        return r;
    s->number = parent + 1;
    s->hash = hash;
    r = base_fsync_dir(dirfd, FMT_DIR_ROOTS, err);
    if (r < 0)
        return base_fail_in(err, r,
                            "snapshot %" PRIu64 " is published, but may not survive a "
                            "power cut",
                            parent + 1);
    return 0;
}

int
fmt_publish(int dirfd, uint64_t parent, struct fmt_snapshot *s, struct shard_error *err)
{
    struct base_hash128 before = {0, 0};
    int r;

    r = parent_check(dirfd, parent, err);
    if (r >= 0 && parent)
        r = parent_hash(dirfd, parent, &before, err);
    return r < 0 ? r : publish(dirfd, parent, before, s, err);
}

int
fmt_publish_over(int dirfd, uint64_t parent, struct fmt_snapshot *s, struct shard_error *err)
{
    struct base_hash128 before = {0, 0};
    int r;

    r = parent_check(dirfd, parent, err);
    if (r < 0)
        return r;
    if (parent && parent_hash(dirfd, parent, &before, NULL) == -ENOMEM)
        return base_fail(err, -ENOMEM, "publishing");
    return publish(dirfd, parent, before, s, err);
}
