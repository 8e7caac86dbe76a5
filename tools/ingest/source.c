/* What an INPUT argument stands for, and the small facts about entries: names, globs, references.
 * Names are bytes to the system and UTF-8 to us: whatever is not UTF-8 is percent-escaped, so that
 * a path can stand in a string column, in JSON and on a terminal. */
#include "config.h"

#include "tools/ingest/source.h"

#include <errno.h>
#include <fnmatch.h>
#include <fts.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/arith.h"
#include "lib/compiler.h"
#include "lib/fail.h"
#include "tools/ingest/entry.h"

/* ----------------------------------------------------------------------------------- names */

/* Bytes of the UTF-8 character at p (NUL-terminated), 0 if it is none (or a control character):
 * RFC 3629, so neither overlong nor a surrogate nor above U+10FFFF. */
static size_t
utf8_len(const uint8_t *p)
{
    size_t len;

    if (p[0] < 0x80)
        return p[0] >= 0x20 && p[0] != 0x7f;
    if (p[0] >= 0xc2 && p[0] <= 0xdf)
        len = 2;
    else if ((p[0] & 0xf0) == 0xe0)
        len = 3;
    else if (p[0] >= 0xf0 && p[0] <= 0xf4)
        len = 4;
    else
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return len;
}

static char *
name_escape(const char *name)
{
    static const char hex[] = "0123456789ABCDEF";
    const uint8_t *p = (const uint8_t *)name;
    char *out, *q;
    size_t bytes;

    if (base_mul_size(strlen(name), 3, &bytes) < 0)
        return NULL;
    out = q = malloc(bytes + 1);
    if (out == NULL)
        return NULL;
    while (*p) {
        size_t len = utf8_len(p);

        if (len == 0) {
            *q++ = '%';
            *q++ = hex[*p >> 4];
            *q++ = hex[*p++ & 15];
        }
        for (; len > 0; len--)
            *q++ = (char)*p++;
    }
    *q = 0;
    return out;
}

/* Past any leading "./" and "/". */
static const char *
name_strip(const char *name)
{
    for (;;) {
        if (name[0] == '/')
            name++;
        else if (name[0] == '.' && name[1] == '/')
            name += 2;
        else
            return name;
    }
}

char *
ingest_name_clean(const char *name)
{
    return name_escape(name_strip(name));
}

/* --------------------------------------------------------------------------------- entries */

struct ingest_entry *
ingest_entry_new(const char *file, const char *chain, const char *path, int64_t size, bool unpacked)
{
    struct ingest_entry *e = calloc(1, sizeof(*e));

    if (e == NULL)
        return NULL;
    atomic_init(&e->refs, 1);
    e->file = strdup(file);
    e->chain = strdup(chain);
    e->path = strdup(path);
    e->size = size;
    e->unpacked = unpacked;
    if (e->file == NULL || e->chain == NULL || e->path == NULL) {
        ingest_entry_unref(e);
        return NULL;
    }
    return e;
}

struct ingest_entry *
ingest_entry_ref(struct ingest_entry *e)
{
    atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
    return e;
}

void
ingest_entry_unref(struct ingest_entry *e)
{
    /* acquire and release: the last one must see all that others did with the entry */
    if (e == NULL || atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) != 1)
        return;
    free(e->file);
    free(e->chain);
    free(e->path);
    free(e);
}

/* A glob takes the path itself, or a folder that the path lies in. */
static bool
glob_takes(const char *glob, const char *path)
{
    char *folder;
    bool taken;

    glob = name_strip(glob);
    if (fnmatch(glob, path, 0) == 0)
        return true;
    if (asprintf(&folder, "%s%s*", glob, *glob && glob[strlen(glob) - 1] == '/' ? "" : "/") < 0)
        return false;
    taken = fnmatch(folder, path, 0) == 0;
    free(folder);
    return taken;
}

static bool
any_glob_takes(const char *const *globs, size_t n_globs, const char *path)
{
    for (size_t i = 0; i < n_globs; i++)
        if (glob_takes(globs[i], path))
            return true;
    return false;
}

bool
ingest_path_wanted(const struct ingest_walk_opts *opts, const char *path)
{
    if (opts->n_include > 0 && !any_glob_takes(opts->include, opts->n_include, path))
        return false;
    return !any_glob_takes(opts->exclude, opts->n_exclude, path);
}

/* ----------------------------------------------------------------------------------- files */

static void
file_done(struct ingest_file *f)
{
    free(f->path);
    free(f->name);
}

/* Takes ownership of path and name, also on failure. */
static int
files_push(struct ingest_files *f, char *path, char *name, size_t below, uint64_t size)
{
    struct ingest_file item = {.path = path, .name = name, .below = below, .size = size};

    if (name == NULL)
        goto oom;
    if (f->count == f->cap) {
        const size_t cap = f->cap ? f->cap * 2 : 16;
        struct ingest_file *p = reallocarray(f->items, cap, sizeof(*p));

        if (p == NULL)
            goto oom;
        f->items = p;
        f->cap = cap;
    }
    f->items[f->count++] = item;
    return 0;
oom:
    file_done(&item);
    return -ENOMEM;
}

/* The argument's last component, malloc()ed; of "." and ".." the directory's own name. */
static char *
last_component(const char *arg)
{
    char *copy = strdup(arg), *whole = NULL, *name = NULL;
    const char *base;
    size_t len;

    if (copy == NULL)
        return NULL;
    for (len = strlen(copy); len > 1 && copy[len - 1] == '/'; len--)
        copy[len - 1] = 0;
    base = strrchr(copy, '/') && copy[1] ? strrchr(copy, '/') + 1 : copy;
    if (strcmp(base, ".") == 0 || strcmp(base, "..") == 0) {
        whole = realpath(arg, NULL);
        if (whole != NULL && strrchr(whole, '/') != NULL)
            base = strrchr(whole, '/') + 1;
    }
    name = name_escape(base);
    free(whole);
    free(copy);
    return name;
}

static int
file_by_path(const void *a, const void *b)
{
    return strcmp(((const struct ingest_file *)a)->path, ((const struct ingest_file *)b)->path);
}

/* One thing that fts found below root. */
static int
add_found(struct ingest_files *f, const char *base, size_t root_len, const FTSENT *e,
          struct shard_error *err)
{
    const char *rel;
    char *clean, *name = NULL;
    size_t below;
    int r;

    switch (e->fts_info) {
    case FTS_F:
        break;
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        return base_fail(err, -e->fts_errno, "cannot read %s", e->fts_path);
    case FTS_SL:
    case FTS_SLNONE:
    case FTS_DEFAULT:
        f->links_skipped++;
        return 0;
    default: /* directories */
        return 0;
    }
    rel = e->fts_path + root_len;
    while (*rel == '/')
        rel++;
    clean = name_escape(rel);
    if (clean == NULL || asprintf(&name, "%s/%s", base, clean) < 0)
        name = NULL;
    free(clean);
    below = strlen(base) + 1;
    r = name == NULL ? -ENOMEM
                     : files_push(f, strdup(e->fts_path), name, below,
                                  (uint64_t)e->fts_statp->st_size);
    if (r == 0 && f->items[f->count - 1].path == NULL) { /* NULL would mean standard input */
        file_done(&f->items[--f->count]);
        r = -ENOMEM;
    }
    return r < 0 ? base_fail(err, r, "%s", e->fts_path) : 0;
}

/* The output below an input: a second run must see what the first one saw. */
static bool
is_output(const FTSENT *e, const struct stat *output)
{
    return e->fts_info == FTS_D && e->fts_level > 0 && output->st_ino == e->fts_statp->st_ino &&
           output->st_dev == e->fts_statp->st_dev && S_ISDIR(output->st_mode);
}

static int
add_directory(struct ingest_files *f, const char *arg, struct shard_error *err)
{
    const size_t count0 = f->count;
    struct stat output = {0};
    char *root = strdup(arg), *base = last_component(arg);
    char *roots[] = {root, NULL};
    FTS *fts = NULL;
    FTSENT *e;
    int r = 0;

    if (root == NULL || base == NULL) {
        r = base_fail(err, -ENOMEM, "%s", arg);
        goto out;
    }
    if (f->output == NULL || stat(f->output, &output) < 0)
        output.st_mode = 0; /* there is none yet */
    fts = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, NULL);
    if (fts == NULL) {
        r = base_fail(err, -errno, "cannot read %s", arg);
        goto out;
    }
    while (errno = 0, (e = fts_read(fts)) != NULL) {
        if (is_output(e, &output)) {
            (void)fts_set(fts, e, FTS_SKIP);
            continue;
        }
        r = add_found(f, base, strlen(root), e, err);
        if (r < 0)
            goto out;
    }
    if (errno != 0)
        r = base_fail(err, -errno, "cannot read %s", arg);
    if (f->count > count0)
        qsort(f->items + count0, f->count - count0, sizeof(*f->items), file_by_path);
out:
    if (fts != NULL)
        (void)fts_close(fts);
    free(base);
    free(root);
    return r;
}

int
ingest_files_add(struct ingest_files *f, const char *arg, struct shard_error *err)
{
    struct stat st;
    char *path;
    int r;

    if (strcmp(arg, "-") == 0) {
        r = files_push(f, NULL, strdup("-"), 0, 0);
        return r < 0 ? base_fail(err, r, "standard input") : 0;
    }
    if (stat(arg, &st) < 0)
        return base_fail(err, -errno, "cannot read %s", arg);
    if (S_ISDIR(st.st_mode))
        return add_directory(f, arg, err);
    path = strdup(arg);
    if (path == NULL)
        return base_fail(err, -ENOMEM, "%s", arg);
    r = files_push(f, path, last_component(arg), 0,
                   S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0);
    return r < 0 ? base_fail(err, r, "%s", arg) : 0;
}

void
ingest_files_done(struct ingest_files *f)
{
    for (size_t i = 0; i < f->count; i++)
        file_done(&f->items[i]);
    free(f->items);
    memset(f, 0, sizeof(*f));
}
