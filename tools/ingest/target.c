#include "config.h"

#include "tools/ingest/target.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/compiler.h"
#include "lib/fail.h"
#include "lib/fs.h"
#include "shardfmt/snapshot.h"

static const char *const folders[] = {FMT_DIR_ROOTS, FMT_DIR_SEGMENTS, FMT_DIR_SHARDS,
                                      FMT_DIR_QUARANTINE, FMT_DIR_TMP};

/* Call fn for every entry of the directory but "." and ".."; stops at a non-zero result. */
typedef int (*entry_fn)(void *arg, int dirfd, const char *name);

static int
each_entry(int parent, const char *path, entry_fn fn, void *arg)
{
    const int fd = openat(parent, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct dirent *e;
    DIR *dir;
    int r = 0;

    if (fd < 0)
        return -errno;
    dir = fdopendir(fd);
    if (dir == NULL) {
        r = -errno;
        (void)close(fd);
        return r;
    }
    errno = 0;
    while (r == 0 && (e = readdir(dir)) != NULL) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            r = fn(arg, fd, e->d_name);
        errno = 0;
    }
    if (r == 0 && errno)
        r = -errno;
    (void)closedir(dir);
    return r;
}

/* ------------------------------------------------------------------------- what is it, then? */

static int
entry_exists(void *arg, int dirfd, const char *name)
{
    (void)arg;
    (void)dirfd;
    (void)name;
    return 1;
}

/* What of ours is in a directory. */
struct look {
    unsigned n_folders, n_filled; /* our folders, and those of them that hold something */
    bool other;                   /* something that an ingest never leaves */
};

static int
entry_look(void *arg, int dirfd, const char *name)
{
    struct look *l = arg;

    for (size_t i = 0; i < BASE_ARRAY_LEN(folders); i++) {
        if (strcmp(name, folders[i]) == 0) {
            const int r = each_entry(dirfd, name, entry_exists, NULL);

            if (r < 0)
                return r;
            l->n_folders++;
            l->n_filled += r == 1;
            /* A root comes to be by link(), and then there is a dataset. */
            l->other |= r == 1 && strcmp(name, FMT_DIR_ROOTS) == 0;
            return 0;
        }
    }
    l->other = true;
    return 0;
}

/* May an ingest start here? The folders of a dataset are made first, so that where one of them is
 * missing the others must be empty still: anything else is not ours. */
static int
check_ours(const struct ingest_target *t, struct shard_error *err)
{
    struct look l = {0, 0, false};
    int r;

    r = each_entry(t->dirfd, ".", entry_look, &l);
    if (r < 0 && r != -ENOTDIR)
        return base_fail(err, r, "%s", t->path);
    if (r < 0 || l.other || (l.n_filled > 0 && l.n_folders < BASE_ARRAY_LEN(folders)))
        return base_say(err, -EEXIST,
                        "%s holds something that is no dataset; give the output another name",
                        t->path);
    return 0;
}

int
ingest_target_open(struct ingest_target *t, const char *path, struct shard_error *err)
{
    int r;

    *t = (struct ingest_target){.path = path, .dirfd = -1};
    if (mkdir(path, 0777) == 0)
        t->made = true;
    else if (errno != EEXIST)
        return base_fail(err, -errno, "making %s", path);
    t->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (t->dirfd < 0) {
        r = errno == ENOTDIR ? base_say(err, -EEXIST, "%s is no directory", path)
                             : base_fail(err, -errno, "opening %s", path);
        goto out;
    }
    /* Where the file system knows no locks, publish() still lets only one win. */
    if (flock(t->dirfd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
        r = base_say(err, -EBUSY, "%s: another program is writing to it; wait until it ends", path);
        goto out;
    }
    r = fmt_newest_root(t->dirfd, &t->newest, err);
    if (r == 0 && t->newest == 0)
        r = check_ours(t, err);
    else if (r < 0)
        r = base_fail_in(err, r, "%s", path);
out:
    if (r < 0) {
        if (t->made)
            (void)rmdir(path);
        ingest_target_close(t);
    }
    return r;
}

void
ingest_target_close(struct ingest_target *t)
{
    if (t->dirfd >= 0)
        (void)close(t->dirfd); /* and with it the lock */
    t->dirfd = -1;
}

/* ------------------------------------------------------------------------------------- clear */

static int
entry_unlink(void *arg, int dirfd, const char *name)
{
    (void)arg;
    return unlinkat(dirfd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static int
clear_folder(struct ingest_target *t, const char *folder)
{
    const int r = each_entry(t->dirfd, folder, entry_unlink, NULL);

    return r == -ENOENT ? 0 : r;
}

int
ingest_target_prepare(struct ingest_target *t, struct shard_error *err)
{
    int r;

    for (size_t i = 1; i < BASE_ARRAY_LEN(folders); i++) { /* all but roots/, which is empty */
        r = clear_folder(t, folders[i]);
        if (r < 0)
            return base_fail(err, r, "clearing %s/%s of an interrupted ingest", t->path,
                             folders[i]);
    }
    r = fmt_dataset_mkdirs(t->dirfd, err);
    if (r == 0)
        r = base_fsync_dir(t->dirfd, "..", err); /* the dataset's own name must last, too */
    if (r == -EACCES)
        return 0; /* one may make folders where one may not read */
    return r < 0 ? base_fail_in(err, r, "%s", t->path) : 0;
}

/* What cannot be removed, a folder of somebody's say, is no reason to leave the rest. */
static int
entry_clean(void *arg, int dirfd, const char *name)
{
    (void)arg;
    (void)unlinkat(dirfd, name, 0);
    return 0;
}

int
ingest_clean_tmp(int dirfd, struct shard_error *err)
{
    const int r = each_entry(dirfd, FMT_DIR_TMP, entry_clean, NULL);

    return r == 0 || r == -ENOENT || r == -EACCES
               ? 0
               : base_fail(err, r, "the folder %s cannot be read", FMT_DIR_TMP);
}

void
ingest_target_abandon(struct ingest_target *t)
{
    struct shard_error err;
    uint64_t newest;

    /* Where publishing failed halfway the dataset may be there all the same. */
    if (fmt_newest_root(t->dirfd, &newest, &err) < 0 || newest > 0) {
        (void)ingest_clean_tmp(t->dirfd, NULL);
        return;
    }
    for (size_t i = 0; i < BASE_ARRAY_LEN(folders); i++) {
        if (i > 0)
            (void)clear_folder(t, folders[i]);
        (void)unlinkat(t->dirfd, folders[i], AT_REMOVEDIR);
    }
    if (t->made)
        (void)rmdir(t->path);
}

/* -------------------------------------------------------------------------------------- size */

static int
entry_size(void *arg, int dirfd, const char *name)
{
    uint64_t *sum = arg;
    struct stat st;

    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (S_ISREG(st.st_mode))
        *sum += (uint64_t)st.st_size;
    return 0;
}

int
ingest_dataset_bytes(int dirfd, uint64_t *ret, struct shard_error *err)
{
    uint64_t sum = 0;
    int r;

    for (size_t i = 0; i < BASE_ARRAY_LEN(folders); i++) {
        if (strcmp(folders[i], FMT_DIR_TMP) == 0)
            continue;
        r = each_entry(dirfd, folders[i], entry_size, &sum);
        if (r < 0 && r != -ENOENT)
            return base_fail(err, r, "adding up the files in %s", folders[i]);
    }
    *ret = sum;
    return 0;
}
