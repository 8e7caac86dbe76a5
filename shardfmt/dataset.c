/* The public face of a snapshot, and reading row groups of it.
 *
 * A dataset is fixed when it is opened. The one thing that changes is the cache of open shards (a
 * file descriptor and a footer each), under ds->lock: at most OPEN_MAX_SHARDS of them, so that neither
 * descriptors nor memory grow with the dataset. Opening a shard and reading from it happen outside
 * of the lock; a shard that is being read is pinned and stays. */
#include "config.h"

#include "shardline/fmt.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/arith.h"
#include "lib/buf.h"
#include "lib/codec.h"
#include "lib/fail.h"
#include "lib/fs.h"
#include "shardfmt/snapshot.h"

#define OPEN_MAX_SHARDS 64u

/* An open shard. fd and footer are constant while it lives. */
struct open_shard {
    uint32_t shard;
    int fd;
    struct fmt_footer *footer;
    unsigned pins; /* readers; under ds->lock */
    uint64_t used; /* ds->clock at its last use; under ds->lock */
    bool cached;   /* in ds->open; under ds->lock */
};

struct shard_dataset {
    char *path; /* as given, for messages */
    int dirfd;
    struct fmt_snapshot snapshot;
    char name[BASE_HEX128_LEN + 1];
    uint64_t n_rows, n_groups;
    uint64_t *shard_group0; /* n_shards: number of the shard's first row group */
    uint32_t *group_shard;  /* n_groups */
    uint64_t *group_row0;   /* n_groups */

    pthread_mutex_t lock;
    struct open_shard *open[OPEN_MAX_SHARDS]; /* under lock; NULL = free */
    uint64_t clock;                           /* under lock */
};

struct shard_group {
    struct base_codec *codec;
    uint64_t n_rows;
    uint32_t cap;
    struct shard_array *arrays;   /* cap */
    struct fmt_decoded **decoded; /* cap; made on first use */
    struct chunk *chunks;         /* cap */
    const uint8_t **stored;       /* pages of the chunk being decoded */
    uint32_t cap_stored;
    struct base_buf buf;          /* stored bytes of all chunks; text may point into it */
};

/* One wanted chunk of a row group. */
struct chunk {
    uint32_t i, column; /* the i-th that was asked for */
    uint64_t off, len;  /* in the file */
    size_t at;          /* where it stands in the buffer */
};

/* ---------------------------------------------------------------------------- open and getters */

/* Number row groups and rows through. */
static int
groups_index(struct shard_dataset *ds)
{
    const struct fmt_snapshot *s = &ds->snapshot;
    uint64_t n = 0, row0 = 0;

    for (uint32_t i = 0; i < s->n_shards; i++)
        n += s->shards[i].n_groups;
    ds->n_groups = n;
    ds->shard_group0 = calloc(s->n_shards ? s->n_shards : 1, sizeof(*ds->shard_group0));
    ds->group_shard = calloc(n ? n : 1, sizeof(*ds->group_shard));
    ds->group_row0 = calloc(n ? n : 1, sizeof(*ds->group_row0));
    if (ds->shard_group0 == NULL || ds->group_shard == NULL || ds->group_row0 == NULL)
        return -ENOMEM;
    n = 0;
    for (uint32_t i = 0; i < s->n_shards; i++) {
        ds->shard_group0[i] = n;
        for (uint32_t g = 0; g < s->shards[i].n_groups; g++, n++) {
            ds->group_shard[n] = i;
            ds->group_row0[n] = row0;
            row0 += s->shards[i].group_rows[g]; /* the sum was checked when the root was loaded */
        }
    }
    ds->n_rows = row0;
    return 0;
}

static int
dataset_load(struct shard_dataset *ds, struct shard_error *err)
{
    uint64_t number;
    int r;

    ds->dirfd = open(ds->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (ds->dirfd < 0 && errno == ENOENT)
        return base_fail(err, SHARD_ENOTFOUND, "there is no such directory");
    if (ds->dirfd < 0)
        return base_fail(err, -errno, "the dataset cannot be opened");
    r = fmt_newest_root(ds->dirfd, &number, err);
    if (r < 0)
        return r;
    if (number == 0)
        return base_fail(err, SHARD_ENOTFOUND,
                         "no snapshot here (nothing in %s/): not a dataset, or one whose first "
                         "ingest did not end",
                         FMT_DIR_ROOTS);
    r = fmt_snapshot_load(ds->dirfd, number, &ds->snapshot, err);
    if (r < 0)
        return r;
    base_hex128(ds->snapshot.hash, ds->name);
    r = groups_index(ds);
    return r < 0 ? base_fail(err, r, "%" PRIu64 " row groups", ds->n_groups) : 0;
}

int
shard_dataset_open(const char *path, struct shard_dataset **ret_ds, struct shard_error *err)
{
    struct shard_dataset *ds;
    int r;

    if (path == NULL || ret_ds == NULL)
        return base_fail(err, -EINVAL, "no path of a dataset");
    ds = calloc(1, sizeof(*ds));
    if (ds == NULL)
        return base_fail(err, -ENOMEM, "%s", path);
    ds->dirfd = -1;
    fmt_snapshot_init(&ds->snapshot);
    if (pthread_mutex_init(&ds->lock, NULL) != 0) {
        free(ds);
        return base_fail(err, -ENOMEM, "%s", path);
    }
    ds->path = strdup(path);
    r = ds->path ? dataset_load(ds, err) : base_fail(err, -ENOMEM, "a path");
    if (r < 0) {
        shard_dataset_close(ds);
        return base_fail_in(err, r, "%s", path);
    }
    *ret_ds = ds;
    return 0;
}

static void
open_shard_free(struct open_shard *o)
{
    if (o == NULL)
        return;
    fmt_footer_free(o->footer);
    if (o->fd >= 0)
        (void)close(o->fd);
    free(o);
}

void
shard_dataset_close(struct shard_dataset *ds)
{
    if (ds == NULL)
        return;
    for (uint32_t i = 0; i < OPEN_MAX_SHARDS; i++)
        open_shard_free(ds->open[i]);
    (void)pthread_mutex_destroy(&ds->lock);
    fmt_snapshot_done(&ds->snapshot);
    free(ds->shard_group0);
    free(ds->group_shard);
    free(ds->group_row0);
    if (ds->dirfd >= 0)
        (void)close(ds->dirfd);
    free(ds->path);
    free(ds);
}

const struct fmt_snapshot *
fmt_dataset_snapshot(const struct shard_dataset *ds)
{
    return &ds->snapshot;
}

const struct fmt_schema *
fmt_dataset_schema(const struct shard_dataset *ds)
{
    return &ds->snapshot.schema;
}

int
fmt_dataset_dirfd(const struct shard_dataset *ds)
{
    return ds->dirfd;
}

uint32_t
shard_dataset_n_columns(const struct shard_dataset *ds)
{
    return ds->snapshot.schema.n_fields;
}

const struct shard_field *
shard_dataset_field(const struct shard_dataset *ds, uint32_t col)
{
    return &ds->snapshot.schema.fields[col];
}

int64_t
shard_dataset_find_column(const struct shard_dataset *ds, const char *name)
{
    const int64_t i = fmt_schema_find(&ds->snapshot.schema, name);

    return i < 0 ? SHARD_ENOTFOUND : i;
}

const char *
shard_dataset_snapshot(const struct shard_dataset *ds)
{
    return ds->name;
}

uint64_t
shard_dataset_n_rows(const struct shard_dataset *ds)
{
    return ds->n_rows;
}

uint32_t
shard_dataset_n_splits(const struct shard_dataset *ds)
{
    return ds->snapshot.n_splits;
}

const char *
shard_dataset_split_name(const struct shard_dataset *ds, uint32_t split)
{
    return ds->snapshot.splits[split].name;
}

uint64_t
shard_dataset_split_rows(const struct shard_dataset *ds, uint32_t split)
{
    return ds->snapshot.splits[split].n_rows;
}

int64_t
shard_dataset_find_split(const struct shard_dataset *ds, const char *name)
{
    for (uint32_t i = 0; i < ds->snapshot.n_splits; i++)
        if (strcmp(ds->snapshot.splits[i].name, name) == 0)
            return i;
    return SHARD_ENOTFOUND;
}

uint64_t
shard_dataset_n_groups(const struct shard_dataset *ds)
{
    return ds->n_groups;
}

void
shard_dataset_group_info(const struct shard_dataset *ds, uint64_t group,
                         struct shard_group_info *ret)
{
    const uint32_t shard = ds->group_shard[group];
    const struct fmt_shard_entry *e = &ds->snapshot.shards[shard];
    const uint32_t index = (uint32_t)(group - ds->shard_group0[shard]);

    *ret = (struct shard_group_info){.shard = shard,
                                     .index = index,
                                     .split = e->split_index,
                                     .n_rows = e->group_rows[index],
                                     .row0 = ds->group_row0[group]};
}

/* ---------------------------------------------------------------------------------- open shards */

/* The cached open shard, pinned, or NULL. Under ds->lock. */
static struct open_shard *
cache_find(struct shard_dataset *ds, uint32_t shard)
{
    for (uint32_t i = 0; i < OPEN_MAX_SHARDS; i++) {
        struct open_shard *o = ds->open[i];

        if (o && o->shard == shard) {
            o->pins++;
            o->used = ++ds->clock;
            return o;
        }
    }
    return NULL;
}

/* Put o, pinned, into a free place or that of the one unused for longest, which is returned for
 * freeing. Where all are pinned o stays outside. Under ds->lock. */
static struct open_shard *
cache_put(struct shard_dataset *ds, struct open_shard *o)
{
    struct open_shard *victim = NULL;
    uint32_t best = OPEN_MAX_SHARDS;

    for (uint32_t i = 0; i < OPEN_MAX_SHARDS; i++) {
        if (ds->open[i] == NULL) {
            best = i;
            break;
        }
        if (ds->open[i]->pins == 0 &&
            (best == OPEN_MAX_SHARDS || ds->open[i]->used < ds->open[best]->used))
            best = i;
    }
    o->used = ++ds->clock;
    if (best == OPEN_MAX_SHARDS)
        return NULL;
    victim = ds->open[best];
    ds->open[best] = o;
    o->cached = true;
    return victim;
}

static int
shard_acquire(struct shard_dataset *ds, uint32_t shard, struct open_shard **ret,
              struct shard_error *err)
{
    struct open_shard *o, *mine, *unused;
    int r;

    pthread_mutex_lock(&ds->lock);
    o = cache_find(ds, shard);
    pthread_mutex_unlock(&ds->lock);
    if (o) {
        *ret = o;
        return 0;
    }
    mine = calloc(1, sizeof(*mine));
    if (mine == NULL)
        return base_fail(err, -ENOMEM, "%s", ds->snapshot.shards[shard].path);
    mine->shard = shard;
    mine->pins = 1;
    mine->fd = -1;
    r = fmt_shard_open(ds->dirfd, &ds->snapshot.shards[shard], &ds->snapshot.schema, &mine->fd,
                       &mine->footer, err);
    if (r < 0) {
        open_shard_free(mine);
        return r;
    }
    pthread_mutex_lock(&ds->lock);
    o = cache_find(ds, shard); /* another thread may have been faster */
    unused = o ? mine : cache_put(ds, mine);
    pthread_mutex_unlock(&ds->lock);
    open_shard_free(unused);
    *ret = o ? o : mine;
    return 0;
}

static void
shard_release(struct shard_dataset *ds, struct open_shard *o)
{
    bool last;

    pthread_mutex_lock(&ds->lock);
    last = --o->pins == 0 && !o->cached;
    pthread_mutex_unlock(&ds->lock);
    if (last)
        open_shard_free(o);
}

/* ------------------------------------------------------------------------------------ row groups */

int
shard_group_new(struct shard_group **ret_group)
{
    struct shard_group *g = calloc(1, sizeof(*g));
    int r;

    if (g == NULL)
        return -ENOMEM;
    r = base_codec_new(&g->codec);
    if (r < 0) {
        free(g);
        return r;
    }
    *ret_group = g;
    return 0;
}

void
shard_group_free(struct shard_group *g)
{
    if (g == NULL)
        return;
    for (uint32_t i = 0; i < g->cap; i++)
        fmt_decoded_free(g->decoded[i]);
    free(g->decoded);
    free(g->arrays);
    free(g->chunks);
    free(g->stored);
    base_buf_done(&g->buf);
    base_codec_free(g->codec);
    free(g);
}

uint64_t
shard_group_n_rows(const struct shard_group *g)
{
    return g->n_rows;
}

const struct shard_array *
shard_group_array(const struct shard_group *g, uint32_t i)
{
    return &g->arrays[i];
}

/* Room for n columns. */
static int
group_reserve(struct shard_group *g, uint32_t n)
{
    void *p;

    if (n <= g->cap)
        return 0;
    p = reallocarray(g->arrays, n, sizeof(*g->arrays));
    if (p == NULL)
        return -ENOMEM;
    g->arrays = p;
    p = reallocarray(g->chunks, n, sizeof(*g->chunks));
    if (p == NULL)
        return -ENOMEM;
    g->chunks = p;
    p = reallocarray(g->decoded, n, sizeof(*g->decoded));
    if (p == NULL)
        return -ENOMEM;
    g->decoded = p;
    for (uint32_t i = g->cap; i < n; i++)
        g->decoded[i] = NULL;
    g->cap = n;
    return 0;
}

static int
chunk_compare(const void *a, const void *b)
{
    const struct chunk *x = a, *y = b;

    return x->off != y->off ? (x->off < y->off ? -1 : 1) : x->i < y->i ? -1 : x->i > y->i;
}

/* End of the run of touching (or equal) chunks that begins with chunk i of n; its bytes. */
static uint32_t
run_end(const struct chunk *chunks, uint32_t i, uint32_t n, uint64_t *ret_len)
{
    const uint64_t off = chunks[i].off;
    uint64_t end = off + chunks[i].len;

    for (i++; i < n && chunks[i].off <= end; i++)
        if (chunks[i].off + chunks[i].len > end)
            end = chunks[i].off + chunks[i].len;
    *ret_len = end - off;
    return i;
}

/* Place every run in the buffer, at the same distance from a multiple of 64 as in the file, so that
 * what is aligned there can be used where it lands; then read each in one request. */
static int
chunks_read(struct shard_group *g, uint32_t n, const struct open_shard *o, const char *path,
            struct shard_error *err)
{
    uint64_t len, total = 0;
    uint32_t end;
    int r = 0;

    for (uint32_t i = 0; i < n; i = end) {
        end = run_end(g->chunks, i, n, &len);
        total = base_align_up(total, 64) + g->chunks[i].off % 64;
        for (uint32_t j = i; j < end; j++)
            g->chunks[j].at = (size_t)(total + (g->chunks[j].off - g->chunks[i].off));
        total += len;
    }
    base_buf_reset(&g->buf);
    if (base_buf_reserve_exact(&g->buf, (size_t)total) < 0)
        return base_fail(err, -ENOMEM, "%s: a row group of %" PRIu64 " bytes", path, total);
    for (uint32_t i = 0; r >= 0 && i < n; i = end) {
        end = run_end(g->chunks, i, n, &len);
        r = base_pread_full(o->fd, g->buf.data + g->chunks[i].at, (size_t)len, g->chunks[i].off,
                            path, err);
    }
    return r;
}

/* How fmt_chunk_decode() gets out-of-line values. */
struct piece_reader {
    int fd;
    const char *path;
};

static int
piece_read(void *arg, uint64_t off, void *buf, size_t len, struct shard_error *err)
{
    const struct piece_reader *p = arg;

    return base_pread_full(p->fd, buf, len, off, p->path, err);
}

static int
chunk_decode(struct shard_group *g, const struct chunk *c, const struct open_shard *o,
             uint32_t group, const char *path, struct shard_error *err)
{
    const struct fmt_footer *f = o->footer;
    const uint32_t *const first = &f->chunk_first[(size_t)group * f->n_columns + c->column];
    const uint32_t n_pages = first[1] - first[0];
    struct piece_reader reader = {o->fd, path};
    int r;

    if (n_pages > g->cap_stored) {
        const uint8_t **p = reallocarray(g->stored, n_pages, sizeof(*p));

        if (p == NULL)
            return base_fail(err, -ENOMEM, "%s: %" PRIu32 " pages", path, n_pages);
        g->stored = p;
        g->cap_stored = n_pages;
    }
    for (uint32_t i = 0; i < n_pages; i++)
        g->stored[i] = g->buf.data + c->at + (f->pages[first[0] + i].off - c->off);
    if (g->decoded[c->i] == NULL) {
        r = fmt_decoded_new(&g->decoded[c->i]);
        if (r < 0)
            return base_fail(err, r, "%s", path);
    }
    return fmt_chunk_decode(f, group, c->column, g->stored, g->codec, piece_read, &reader, path,
                            g->decoded[c->i], &g->arrays[c->i], err);
}

/* Read and decode chunks of row group `group` of shard o into g. */
static int
group_read(struct shard_group *g, const struct open_shard *o, uint32_t group, const uint32_t *cols,
           uint32_t n, const char *path, struct shard_error *err)
{
    int r;

    for (uint32_t i = 0; i < n; i++) {
        struct chunk *c = &g->chunks[i];

        c->i = i;
        c->column = cols ? cols[i] : i;
        fmt_chunk_extent(o->footer, group, c->column, &c->off, &c->len);
    }
    if (n > 1)
        qsort(g->chunks, n, sizeof(*g->chunks), chunk_compare);
    r = chunks_read(g, n, o, path, err);
    for (uint32_t i = 0; r >= 0 && i < n; i++)
        r = chunk_decode(g, &g->chunks[i], o, group, path, err);
    return r;
}

int
shard_dataset_read_group(struct shard_dataset *ds, uint64_t group, const uint32_t *cols,
                         uint32_t n_cols, struct shard_group *g, struct shard_error *err)
{
    const uint32_t n_all = ds->snapshot.schema.n_fields;
    const uint32_t n = cols ? n_cols : n_all;
    struct shard_group_info info;
    struct open_shard *o = NULL;
    int r;

    g->n_rows = 0;
    if (group >= ds->n_groups)
        return base_fail(err, -EINVAL, "row group %" PRIu64 " of %" PRIu64, group, ds->n_groups);
    for (uint32_t i = 0; cols && i < n; i++)
        if (cols[i] >= n_all)
            return base_fail(err, -EINVAL, "column %" PRIu32 " of %" PRIu32, cols[i], n_all);
    if (group_reserve(g, n) < 0)
        return base_fail(err, -ENOMEM, "%" PRIu32 " columns", n);
    shard_dataset_group_info(ds, group, &info);
    r = shard_acquire(ds, info.shard, &o, err);
    if (r >= 0) {
        r = group_read(g, o, info.index, cols, n, ds->snapshot.shards[info.shard].path, err);
        shard_release(ds, o);
    }
    if (r < 0)
        return base_fail_in(err, r, "%s", ds->path);
    g->n_rows = info.n_rows;
    return 0;
}
