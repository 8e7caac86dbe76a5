/* Verification of the newest snapshot: every byte of every file, going on after damage.
 *
 *   calling thread: root -> segments -> shards -> quarantine, opening file after file
 *     -> ring of jobs (one per row group, one for the rest of a file), in order
 *          -> pool: reads, hashes, may decode, keeps its findings
 *     <- the oldest job of the ring, when done: its findings are told, in order
 *
 * So what is told, and in which order, does not depend on the number of threads, and memory is
 * bounded by the ring: RING_PER_THREAD row groups per thread and the footers of their files. */
#include "config.h"

#include "shardfmt/snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/compiler.h"
#include "lib/fail.h"
#include "lib/pool.h"
#include "shardfmt/inspect.h"
#include "shardfmt/manifest.h"
#include "shardfmt/open.h"

#define RING_PER_THREAD 4u
/* A job reads a row group and so many bytes behind it. So each thread reads on from a place of its own,
 * in a file of its own or far from others in the same one, as the kernel's readahead wants it. */
#define RUN_BYTES ((uint64_t)64 << 20)

/* A file under verification, alive while jobs refer to it. The calling thread's alone. */
struct verify_file {
    char *path;
    struct fmt_inspect *in;
    unsigned refs;
    /* What of the snapshot is lost with the file: in a shard a bad page costs its own rows, in
     * another file every damage costs all of them. */
    bool is_shard;
    uint64_t row0, n_rows;
};

struct verify;

struct job {
    struct base_task task;
    struct verify *v;
    struct verify_file *file; /* NULL: the place is free */
    uint32_t group, end; /* row groups [group, end); with the last one goes the rest of the file */
    struct fmt_findings found; /* the pool thread's until done */
    struct shard_error err;    /* likewise */
    int r;                     /* likewise */
    bool done;                 /* set by the pool thread, under v->lock */
};

struct verify {
    int dirfd;
    enum fmt_verify_depth depth;
    fmt_damage_fn fn;
    void *arg;
    struct fmt_verify_result res;
    struct shard_error *err;
    int r; /* the first failure of verification itself */

    struct base_pool *pool;  /* NULL for one thread: jobs then run where they are added */
    struct base_worker self; /* used instead */
    unsigned n_threads;
    struct fmt_inspect_scratch *scratch; /* n_threads; each its worker's alone */
    struct job *ring;                    /* n_ring, used round and round */
    uint32_t n_ring, head, n_used;       /* head: the oldest job */
    pthread_mutex_t lock;
    pthread_cond_t done; /* some job is done */
};

/* -------------------------------------------------------------------------------------- telling */

/* Copy as much of text as fits, not ending within a character. */
static void
copy_text(char *ret, size_t cap, const char *text)
{
    size_t len = strlen(text);

    if (len >= cap) {
        len = cap - 1;
        while (len && ((unsigned char)text[len] & 0xc0) == 0x80)
            len--;
    }
    memcpy(ret, text, len);
    ret[len] = '\0';
}

static void
tell(struct verify *v, struct fmt_damage *d)
{
    v->res.n_damages++;
    if (v->fn)
        v->fn(v->arg, d);
}

/* A file as a whole, and what is lost with it: text is a message, whose "path: " is left out. */
static void
tell_file(struct verify *v, const char *path, const char *text, uint64_t row0, uint64_t rows_lost)
{
    struct fmt_damage d = {
        .row_group = -1, .column = -1, .page = -1, .row0 = row0, .rows_lost = rows_lost};

    copy_text(d.file, sizeof(d.file), path);
    copy_text(d.reason, sizeof(d.reason), fmt_inspect_text(text, path));
    tell(v, &d);
}

static void
tell_finding(struct verify *v, const struct verify_file *file, const struct fmt_finding *f)
{
    const struct fmt_schema *s = &file->in->footer->schema;
    struct fmt_damage d = {.row_group = f->group, .column = f->column, .page = f->page};

    d.row0 = file->row0;
    if (f->rows_lost)
        d.rows_lost = file->is_shard ? f->rows_lost : file->n_rows;
    if (file->is_shard) {
        for (int64_t g = 0; g < f->group; g++)
            d.row0 += file->in->footer->group_rows[g];
        d.row0 += f->row0;
    }
    copy_text(d.file, sizeof(d.file), file->path);
    if (f->column >= 0)
        copy_text(d.column_name, sizeof(d.column_name), s->fields[f->column].name);
    if (f->reason)
        copy_text(d.reason, sizeof(d.reason), f->reason);
    else
        (void)snprintf(d.reason, sizeof(d.reason),
                       "the %" PRIu64 " bytes at byte %" PRIu64 " do not match their checksum",
                       f->len, f->off);
    tell(v, &d);
}

/* ------------------------------------------------------------------------------------- the ring */

static void
job_run(struct base_task *task, struct base_worker *worker)
{
    struct job *j = BASE_CONTAINER_OF(task, struct job, task);
    struct verify *v = j->v;
    const struct fmt_inspect *in = j->file->in;
    struct fmt_inspect_scratch *s = &v->scratch[worker->id];

    for (uint32_t g = j->group; j->r >= 0 && g < j->end; g++) {
        j->r = fmt_inspect_group(in, g, s, &j->found, &j->err);
        if (j->r >= 0 && v->depth == FMT_VERIFY_DECODE)
            j->r = fmt_inspect_decode(in, g, worker->codec, s, &j->found, &j->err);
    }
    if (j->r >= 0 && j->end == in->footer->n_groups)
        j->r = fmt_inspect_rest(in, s, &j->found, &j->err);
    pthread_mutex_lock(&v->lock);
    j->done = true;
    pthread_cond_signal(&v->done);
    pthread_mutex_unlock(&v->lock);
}

static void
file_unref(struct verify_file *f)
{
    if (f == NULL || --f->refs)
        return;
    fmt_inspect_close(f->in);
    free(f->path);
    free(f);
}

/* Wait for the oldest job, tell what it found, and free its place. */
static void
ring_collect(struct verify *v)
{
    struct job *j = &v->ring[v->head];

    pthread_mutex_lock(&v->lock);
    while (!j->done)
        pthread_cond_wait(&v->done, &v->lock);
    pthread_mutex_unlock(&v->lock);
    for (size_t i = 0; i < j->found.count; i++)
        tell_finding(v, j->file, &j->found.items[i]);
    v->res.pages_checked += j->found.pages;
    v->res.bytes_checked += j->found.bytes;
    if (j->r < 0 && v->r >= 0) {
        v->r = j->r;
        if (v->err)
            *v->err = j->err;
    }
    fmt_findings_reset(&j->found);
    file_unref(j->file);
    j->file = NULL;
    v->head = (v->head + 1) % v->n_ring;
    v->n_used--;
}

static void
ring_drain(struct verify *v)
{
    while (v->n_used)
        ring_collect(v);
}

static void
ring_add(struct verify *v, struct verify_file *file, uint32_t group, uint32_t end)
{
    struct job *j;

    if (v->n_used == v->n_ring)
        ring_collect(v);
    j = &v->ring[(v->head + v->n_used++) % v->n_ring];
    j->v = v;
    j->file = file;
    file->refs++;
    j->group = group;
    j->end = end;
    j->done = false;
    j->r = 0;
    j->task.run = job_run;
    j->task.priority = 0;
    if (v->pool)
        base_pool_submit(v->pool, &j->task);
    else
        job_run(&j->task, &v->self);
}

/* --------------------------------------------------------------------------------------- files */

static int
failed(struct verify *v, int r, const struct shard_error *e)
{
    if (v->r >= 0) {
        v->r = r;
        if (v->err)
            *v->err = *e;
    }
    return r;
}

/* Where the job that begins with a row group ends. Decoding takes processors rather than the disk, and
 * many small jobs. */
static uint32_t
run_end(const struct verify *v, const struct fmt_inspect *in, uint32_t group)
{
    const uint32_t n = in->footer->n_groups;
    uint64_t limit;

    if (group == n)
        return n;
    limit = fmt_inspect_end(in, group++) + RUN_BYTES;
    while (group < n && v->depth != FMT_VERIFY_DECODE && fmt_inspect_end(in, group) <= limit)
        group++;
    return group;
}

/* Hand all of an open file to the ring; of what, path and in are filled in here. Takes ownership of
 * fd and footer. */
static int
file_jobs(struct verify *v, const char *path, int fd, struct fmt_footer *footer,
          const struct verify_file *what)
{
    const uint32_t n_groups = footer->n_groups;
    struct verify_file *f = malloc(sizeof(*f));
    struct shard_error e = {0};
    uint32_t first, end = 0;
    int r;

    if (f) {
        *f = *what;
        f->path = strdup(path);
    }
    if (f == NULL || f->path == NULL) {
        free(f);
        fmt_footer_free(footer);
        (void)close(fd);
        return failed(v, base_fail(&e, -ENOMEM, "%s", path), &e);
    }
    f->refs = 1;
    r = fmt_inspect_open(f->path, fd, footer, &f->in, &e);
    if (fmt_inspect_fatal(r)) {
        file_unref(f);
        return failed(v, r, &e);
    }
    if (r < 0) {
        tell_file(v, path, e.text, what->row0, what->n_rows);
        file_unref(f);
        return 0;
    }
    do {
        first = end;
        end = run_end(v, f->in, first);
        ring_add(v, f, first, end);
    } while (v->r >= 0 && end < n_groups);
    file_unref(f);
    return v->r;
}

/* A root or segment as a file, whatever it says. Returns once all of it was told: the number of
 * damages, or an error. */
static int64_t
table_verify(struct verify *v, const char *path, uint64_t row0, uint64_t n_rows)
{
    const struct verify_file what = {.row0 = row0, .n_rows = n_rows};
    const uint64_t before = v->res.n_damages;
    struct fmt_footer *footer = NULL;
    struct shard_error e = {0};
    uint64_t size;
    int fd = -1, r;

    r = fmt_file_open(v->dirfd, path, &fd, &size, &e);
    if (r >= 0) {
        r = fmt_footer_load(fd, size, 0, path, &footer, &e);
        if (r < 0)
            (void)close(fd);
    }
    if (fmt_inspect_fatal(r))
        return failed(v, r, &e);
    if (r < 0)
        tell_file(v, path, e.text, row0, n_rows);
    else
        r = file_jobs(v, path, fd, footer, &what);
    ring_drain(v);
    return v->r < 0 ? v->r : (int64_t)(v->res.n_damages - before);
}

/* The root and what it says. 1: it could be loaded into s. */
static int
root_verify(struct verify *v, uint64_t number, struct fmt_snapshot *s)
{
    char path[FMT_ROOT_PATH_MAX];
    struct shard_error e = {0};
    int64_t n;
    int r;

    fmt_root_path(number, path);
    n = table_verify(v, path, 0, 0);
    if (n < 0)
        return (int)n;
    r = fmt_root_load(v->dirfd, path, number, s, &e);
    if (fmt_inspect_fatal(r))
        return failed(v, r, &e);
    if (r < 0) {
        v->res.root_unreadable = true;
        if (n == 0)
            tell_file(v, path, e.text, 0, 0);
        return 0;
    }
    return 1;
}

/* All segments; what they say is added to s where it can be read. */
static int
segments_verify(struct verify *v, struct fmt_snapshot *s, const char *root_path)
{
    uint64_t row0 = 0;
    bool all = true;

    for (uint32_t i = 0; i < s->n_segments; row0 += s->segments[i++].n_rows) {
        char path[FMT_SEGMENT_PATH_MAX];
        struct shard_error e = {0};
        int64_t n;
        int r;

        fmt_segment_path(s->segments[i].hash, path);
        n = table_verify(v, path, row0, s->segments[i].n_rows);
        if (n < 0)
            return (int)n;
        r = fmt_segment_load(v->dirfd, s, i, &e);
        if (r >= 0)
            r = fmt_segment_load_stats(v->dirfd, s, i, &e);
        if (fmt_inspect_fatal(r))
            return failed(v, r, &e);
        if (r < 0) {
            all = false;
            if (n == 0)
                tell_file(v, path, e.text, row0, s->segments[i].n_rows);
        }
    }
    if (all) {
        struct shard_error e = {0};
        const int r = fmt_splits_check(s, root_path, &e);

        if (fmt_inspect_fatal(r))
            return failed(v, r, &e);
        if (r < 0)
            tell_file(v, root_path, e.text, 0, 0);
    }
    return 0;
}

/* Header and footer of an open file have been checked: is the header the right one? */
static int
quick_verify(struct verify *v, const char *path, int fd, struct fmt_footer *footer)
{
    struct fmt_findings found = {0};
    struct fmt_inspect *in = NULL;
    struct shard_error e = {0};
    int r;

    r = fmt_inspect_open(path, fd, footer, &in, &e);
    if (r >= 0)
        r = fmt_inspect_header(in, &found, &e);
    for (size_t i = 0; r >= 0 && i < found.count; i++)
        tell_file(v, path, found.items[i].reason, 0, 0);
    if (r >= 0)
        v->res.bytes_checked += FMT_HEADER_SIZE + (in->size - in->footer->footer_off);
    fmt_findings_done(&found);
    fmt_inspect_close(in);
    return r < 0 ? failed(v, r, &e) : 0;
}

/* A shard, whose first row is row0, or a quarantine file (schema NULL), in which no row of the
 * dataset can be lost. */
static int
shard_verify(struct verify *v, const struct fmt_shard_entry *e, const struct fmt_schema *schema,
             uint64_t row0)
{
    const struct verify_file what = {
        .is_shard = schema != NULL, .row0 = row0, .n_rows = schema ? e->n_rows : 0};
    struct fmt_footer *footer;
    struct shard_error err = {0};
    int fd, r;

    r = fmt_shard_open(v->dirfd, e, schema, &fd, &footer, &err);
    if (fmt_inspect_fatal(r))
        return failed(v, r, &err);
    if (r < 0) {
        ring_drain(v); /* what is before it comes first */
        tell_file(v, e->path, err.text, what.row0, what.n_rows);
        return v->r;
    }
    return v->depth == FMT_VERIFY_QUICK ? quick_verify(v, e->path, fd, footer)
                                        : file_jobs(v, e->path, fd, footer, &what);
}

/* The shards of all segments that could be read. Rows are numbered through the others, too. */
static int
shards_verify(struct verify *v, const struct fmt_snapshot *s)
{
    uint64_t row0 = 0;
    int r = 0;

    for (uint32_t i = 0; i < s->n_segments; row0 += s->segments[i++].n_rows) {
        const struct fmt_segment *g = &s->segments[i];
        uint64_t row = row0;

        for (uint32_t k = 0; r >= 0 && k < g->n_shards; k++) {
            const struct fmt_shard_entry *e = &s->shards[g->shard0 + k];

            r = shard_verify(v, e, &s->schema, row);
            row += e->n_rows;
        }
    }
    return r;
}

static void
snapshot_verify(struct verify *v, uint64_t number)
{
    char root_path[FMT_ROOT_PATH_MAX];
    struct fmt_snapshot s;
    int r;

    fmt_root_path(number, root_path);
    r = root_verify(v, number, &s);
    if (r <= 0)
        return;
    r = segments_verify(v, &s, root_path);
    if (r >= 0)
        r = shards_verify(v, &s);
    for (uint32_t i = 0; r >= 0 && i < s.n_rejects; i++)
        r = shard_verify(v, &s.rejects[i], NULL, 0);
    ring_drain(v);
    fmt_snapshot_done(&s);
}

int
fmt_verify(int dirfd, enum fmt_verify_depth depth, unsigned n_threads, fmt_damage_fn fn, void *arg,
           struct fmt_verify_result *ret, struct shard_error *err)
{
    struct verify v = {.dirfd = dirfd, .depth = depth, .fn = fn, .arg = arg, .err = err};
    uint64_t number;
    int r;

    memset(ret, 0, sizeof(*ret));
    r = fmt_newest_root(dirfd, &number, err);
    if (r < 0)
        return r;
    if (number == 0)
        return base_fail(err, SHARD_ENOTFOUND, "no snapshot in %s/: nothing to verify",
                         FMT_DIR_ROOTS);
    v.n_threads = n_threads ? n_threads : base_cpu_count();
    v.n_ring = v.n_threads * RING_PER_THREAD;
    v.ring = calloc(v.n_ring, sizeof(*v.ring));
    v.scratch = calloc(v.n_threads, sizeof(*v.scratch));
    if (v.ring == NULL || v.scratch == NULL) {
        r = base_fail(err, -ENOMEM, "%u threads", v.n_threads);
        goto out;
    }
    (void)pthread_mutex_init(&v.lock, NULL); /* neither fails with default attributes on Linux */
    (void)pthread_cond_init(&v.done, NULL);
    if (v.n_threads > 1) {
        r = base_pool_open(v.n_threads, "verify", &v.pool, err);
    } else {
        r = base_codec_new(&v.self.codec);
        if (r < 0)
            (void)base_fail(err, r, "verification");
    }
    if (r >= 0)
        snapshot_verify(&v, number);
    base_pool_close(v.pool);
    base_codec_free(v.self.codec);
    (void)pthread_cond_destroy(&v.done);
    (void)pthread_mutex_destroy(&v.lock);
    if (r >= 0)
        r = v.r;
    *ret = v.res;
out:
    for (unsigned i = 0; v.scratch && i < v.n_threads; i++)
        fmt_inspect_scratch_done(&v.scratch[i]);
    for (uint32_t i = 0; v.ring && i < v.n_ring; i++)
        fmt_findings_done(&v.ring[i].found);
    free(v.scratch);
    free(v.ring);
    return r;
}
