/* Looking through a folder of shards. Files are opened one after the other, their row groups are
 * read, decoded and hashed by a pool, BATCH_GROUPS at a time, so that memory is bounded by the
 * threads' row groups and the footers of a batch. */
#include "config.h"

#include "shardfmt/survey.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/compiler.h"
#include "lib/fail.h"
#include "lib/pool.h"
#include "shardfmt/inspect.h"
#include "shardfmt/manifest.h"
#include "shardfmt/newer.h"
#include "shardfmt/open.h"
#include "shardfmt/rowhash.h"
#include "shardfmt/shard_stats.h"

#define BATCH_GROUPS 64u
#define BATCH_FILES  16u
#define HASH_ROWS    4096u
#define SUFFIX       ".shard"

uint64_t
fmt_schema_id(const struct fmt_schema *s)
{
    uint64_t h = s->n_fields;

    for (uint32_t i = 0; i < s->n_fields; i++) {
        const struct shard_field *f = &s->fields[i];
        char type[SHARD_TYPE_NAME_MAX];

        /* Unknown types go with each other, as in fmt_schema_equal(). */
        if (fmt_field_type(f).kind == FMT_KIND_UNKNOWN)
            (void)snprintf(type, sizeof(type), "unknown%s", f->nullable ? "?" : "");
        else
            (void)shard_field_type_name(f, type);
        h = base_hash64(type, strlen(type) + 1, h);
        h = base_hash64(f->name, strlen(f->name) + 1, h);
        h = base_hash64(&f->flags, sizeof(f->flags), h);
    }
    return h;
}

bool
fmt_found_whole(const struct fmt_found *f)
{
    return f->code == 0 && f->checked && f->n_bad == 0 && f->reason == NULL;
}

int
fmt_found_open(int dirfd, const struct fmt_found *f, int *ret_fd, struct fmt_footer **ret_footer,
               struct shard_error *err)
{
    const struct fmt_shard_entry e = {.path = f->path,
                                      .n_rows = f->info.n_rows,
                                      .file_bytes = f->info.file_bytes,
                                      .footer_bytes = f->info.footer_bytes,
                                      .hash = f->info.hash};

    return fmt_shard_open(dirfd, &e, NULL, ret_fd, ret_footer, err);
}

/* --------------------------------------------------------------------------------- the folder */

static void
found_done(struct fmt_found *f)
{
    free(f->path);
    free(f->info.group_rows);
    free(f->origin.split);
    free(f->bad);
    free(f->sums);
    free(f->reason);
}

void
fmt_survey_done(struct fmt_survey *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        found_done(&s->items[i]);
    free(s->items);
    memset(s, 0, sizeof(*s));
}

/* Keep of the footer what a snapshot says of a shard. */
static int
found_fill(struct fmt_found *f, struct fmt_footer *footer, uint64_t size)
{
    f->info = (struct fmt_shard_info){.n_rows = footer->n_rows,
                                      .file_bytes = size,
                                      .n_groups = footer->n_groups,
                                      .footer_bytes = (uint32_t)(size - footer->footer_off),
                                      .hash = footer->hash};
    f->info.group_rows = calloc((size_t)footer->n_groups + 1, sizeof(uint32_t));
    f->bad = calloc((size_t)footer->n_groups + 1, sizeof(*f->bad));
    f->sums = calloc((size_t)footer->n_groups + 1, sizeof(*f->sums));
    if (f->info.group_rows == NULL || f->bad == NULL || f->sums == NULL)
        return -ENOMEM;
    if (footer->n_groups)
        memcpy(f->info.group_rows, footer->group_rows, footer->n_groups * sizeof(uint32_t));
    for (uint32_t i = 0; i < footer->n_pages; i++)
        f->info.raw_bytes += footer->pages[i].data_len;
    f->info.stats_len = fmt_shard_stats_make(&footer->schema, footer->stats, footer->group_rows,
                                             footer->n_groups, f->info.stats);
    f->schema_id = fmt_schema_id(&footer->schema);
    f->origin = footer->origin;
    footer->origin.split = NULL;
    return 0;
}

static int
found_read(int dirfd, struct fmt_found *f, struct shard_error *err)
{
    struct fmt_footer *footer = NULL;
    struct shard_error e = {0};
    uint64_t size;
    int fd = -1, r;

    r = fmt_file_open(dirfd, f->path, &fd, &size, &e);
    if (r >= 0) /* from the trailer on: a damaged header costs no row */
        r = fmt_footer_load(fd, size, FMT_TRAILER_SIZE, f->path, &footer, &e);
    if (fmt_inspect_fatal(r)) {
        (void)base_fail(err, r, "%s", f->path);
        goto out;
    }
    if (r >= 0 && footer->ro_compat)
        r = base_fail(&e, SHARD_EUNSUPPORTED,
                      "%s: features 0x%" PRIx64 ", which this build lacks, forbid to make others of it"
                      FMT_NEWER, f->path, footer->ro_compat);
    f->code = r < 0 ? r : 0;
    if (r < 0) {
        f->reason = strdup(fmt_inspect_text(e.text, f->path));
        r = f->reason ? 0 : -ENOMEM;
    } else {
        r = found_fill(f, footer, size);
    }
    if (r < 0)
        (void)base_fail(err, r, "%s", f->path);
out:
    fmt_footer_free(footer);
    if (fd >= 0)
        (void)close(fd);
    return r;
}

static int
survey_add(int dirfd, const char *folder, const char *name, struct fmt_survey *s,
           struct shard_error *err)
{
    const size_t len = strlen(name), cut = sizeof(SUFFIX) - 1;
    struct fmt_found *f;

    if (s->count == s->cap) {
        const uint32_t cap = s->cap ? s->cap * 2 : 64;

        f = reallocarray(s->items, cap, sizeof(*f));
        if (f == NULL)
            return base_fail(err, -ENOMEM, "%s", folder);
        s->items = f;
        s->cap = cap;
    }
    f = &s->items[s->count];
    memset(f, 0, sizeof(*f));
    if (asprintf(&f->path, "%s/%s", folder, name) < 0) {
        f->path = NULL;
        return base_fail(err, -ENOMEM, "%s", folder);
    }
    s->count++;
    f->foreign = len < cut || strcmp(name + len - cut, SUFFIX) != 0;
    if (fmt_path_ok(f->path, folder))
        return found_read(dirfd, f, err);
    f->foreign = true;
    f->code = -EINVAL;
    f->reason = strdup("its name cannot stand in a snapshot");
    return f->reason ? 0 : base_fail(err, -ENOMEM, "%s", folder);
}

static int
found_compare(const void *a, const void *b)
{
    return strcmp(((const struct fmt_found *)a)->path, ((const struct fmt_found *)b)->path);
}

int
fmt_survey_folder(int dirfd, const char *folder, struct fmt_survey *ret, struct shard_error *err)
{
    const int fd = openat(dirfd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const struct dirent *e;
    DIR *dir;
    int r = 0;

    memset(ret, 0, sizeof(*ret));
    if (fd < 0 && errno == ENOENT)
        return 0;
    dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        r = base_fail(err, -errno, "the folder %s cannot be read", folder);
        if (fd >= 0)
            (void)close(fd);
        return r;
    }
    while (r >= 0 && (errno = 0, (e = readdir(dir)) != NULL))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            r = survey_add(dirfd, folder, e->d_name, ret, err);
    if (r >= 0 && errno)
        r = base_fail(err, -errno, "the folder %s cannot be read", folder);
    (void)closedir(dir);
    if (ret->count)
        qsort(ret->items, ret->count, sizeof(*ret->items), found_compare);
    return r;
}

/* ------------------------------------------------------------------------------- whole or not? */

/* A thread's own. */
struct hand {
    struct fmt_inspect_scratch scratch;
    struct fmt_decoded **decoded; /* n_columns */
    struct shard_array *arrays;   /* n_columns */
    uint32_t n_columns;
    struct base_hash128 *hashes; /* HASH_ROWS */
};

struct check;

struct check_job {
    struct base_task task;
    struct check *c;
    struct fmt_inspect *in; /* read-only */
    struct fmt_found *file; /* this group's bad and sum are the pool thread's */
    uint32_t group;         /* n_groups: what stands around them */
    struct fmt_findings found;
    struct shard_error err;
    int r;
};

struct check {
    const struct fmt_schema *schema;
    const struct fmt_rowhash *hash;
    struct base_pool *pool;
    struct hand *hands; /* one per thread */
    unsigned n_threads;
    struct check_job jobs[BATCH_GROUPS];
    uint32_t n_jobs;
    struct fmt_inspect *files[BATCH_FILES + 1];
    uint32_t n_files;
};

static void
hand_done(struct hand *h)
{
    for (uint32_t i = 0; h->decoded && i < h->n_columns; i++)
        fmt_decoded_free(h->decoded[i]);
    free(h->decoded);
    free(h->arrays);
    free(h->hashes);
    fmt_inspect_scratch_done(&h->scratch);
}

/* Room for n columns. */
static int
hand_reserve(struct hand *h, uint32_t n)
{
    void *p;

    if (h->hashes == NULL)
        h->hashes = malloc(HASH_ROWS * sizeof(*h->hashes));
    if (h->hashes == NULL)
        return -ENOMEM;
    if (n <= h->n_columns)
        return 0;
    p = reallocarray(h->arrays, n, sizeof(*h->arrays));
    if (p == NULL)
        return -ENOMEM;
    h->arrays = p;
    p = reallocarray(h->decoded, n, sizeof(*h->decoded));
    if (p == NULL)
        return -ENOMEM;
    h->decoded = p;
    for (; h->n_columns < n; h->n_columns++) {
        const int r = fmt_decoded_new(&h->decoded[h->n_columns]);

        if (r < 0)
            return r;
    }
    return 0;
}

/* Decode the row group, and sum the hashes of its rows. What is wrong with the data is found. */
static int
group_decode(struct check_job *j, struct hand *h, struct base_codec *codec)
{
    const struct fmt_footer *f = j->in->footer;
    struct base_hash128 sum = {0, 0};
    int r = hand_reserve(h, f->n_columns);

    if (r < 0)
        return base_fail(&j->err, r, "%s", j->in->path);
    for (uint32_t c = 0; c < f->n_columns; c++) {
        const struct fmt_finding item = {
            .group = j->group, .column = c, .page = -1, .rows_lost = f->group_rows[j->group]};
        struct shard_error e = {0};

        fmt_decoded_set_far(h->decoded[c], FMT_INLINE_MAX);
        r = fmt_inspect_chunk(j->in, j->group, c, codec, &h->scratch, h->decoded[c], &h->arrays[c],
                              &e);
        if (r >= 0) /* their hashes only */
            r = fmt_inspect_far(j->in, j->group, c, -1, 0, codec, &h->scratch, h->decoded[c],
                                &h->arrays[c], &e);
        if (fmt_inspect_fatal(r) || r == SHARD_EUNSUPPORTED || r == SHARD_ELIMIT) {
            j->err = e; /* rows that are there and that this build cannot read: no loss */
            return r;
        }
        if (r < 0)
            return fmt_findings_add(&j->found, &item, fmt_inspect_text(e.text, j->in->path));
    }
    for (uint64_t row = 0; j->c->hash && row < f->group_rows[j->group]; row += HASH_ROWS) {
        const uint64_t n = BASE_MIN(HASH_ROWS, f->group_rows[j->group] - row);

        fmt_rowhash_rows(j->c->hash, h->arrays, row, n, h->hashes);
        for (uint64_t i = 0; i < n; i++)
            sum = base_hash128_add(sum, h->hashes[i]);
    }
    j->file->sums[j->group] = sum;
    return 0;
}

static bool
rows_lost(const struct fmt_findings *f)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->items[i].rows_lost)
            return true;
    return false;
}

static void
check_run(struct base_task *task, struct base_worker *worker)
{
    struct check_job *j = BASE_CONTAINER_OF(task, struct check_job, task);
    struct hand *h = &j->c->hands[worker->id];

    if (j->group == j->in->footer->n_groups) {
        j->r = fmt_inspect_rest(j->in, &h->scratch, &j->found, &j->err);
        return;
    }
    j->r = fmt_inspect_group(j->in, j->group, &h->scratch, &j->found, &j->err);
    if (j->r >= 0 && !rows_lost(&j->found)) /* padding and length indices hold none */
        j->r = group_decode(j, h, worker->codec);
}

/* Wait for the jobs of the batch and note what they found. */
static int
batch_end(struct check *c, struct shard_error *err)
{
    int r = 0;

    base_pool_drain(c->pool);
    for (uint32_t i = 0; i < c->n_jobs; i++) {
        struct check_job *j = &c->jobs[i];
        struct fmt_found *f = j->file;

        if (j->r < 0 && r >= 0) {
            r = j->r;
            if (err)
                *err = j->err;
        }
        for (size_t k = 0; k < j->found.count; k++) {
            const struct fmt_finding *item = &j->found.items[k];
            char text[128];

            if (item->rows_lost && !f->bad[j->group]) {
                f->bad[j->group] = 1;
                f->n_bad++;
            }
            if (f->reason)
                continue;
            (void)snprintf(text, sizeof(text), "row group %u: bytes that do not match their checksum",
                           j->group);
            f->reason = strdup(item->reason ? item->reason : text);
            if (f->reason == NULL && r >= 0)
                r = base_fail(err, -ENOMEM, "%s", f->path);
        }
        fmt_findings_done(&j->found);
    }
    c->n_jobs = 0;
    return r;
}

static void
batch_close(struct check *c)
{
    while (c->n_files)
        fmt_inspect_close(c->files[--c->n_files]);
}

static int
check_file(struct check *c, int dirfd, struct fmt_found *f, struct shard_error *err)
{
    struct fmt_footer *footer;
    struct fmt_inspect *in;
    struct shard_error e = {0};
    int fd, r;

    r = fmt_found_open(dirfd, f, &fd, &footer, &e);
    if (r >= 0)
        r = fmt_inspect_open(f->path, fd, footer, &in, &e);
    if (r >= 0 && !fmt_schema_equal(&in->footer->schema, c->schema)) { /* the id is no proof */
        fmt_inspect_close(in);
        r = base_fail(&e, SHARD_ECORRUPT, "%s: it has other columns", f->path);
    }
    if (fmt_inspect_fatal(r))
        return base_fail(err, r, "%s", f->path);
    f->checked = true;
    if (r < 0) { /* it was there a moment ago */
        f->code = r;
        f->reason = strdup(fmt_inspect_text(e.text, f->path));
        return f->reason ? 0 : base_fail(err, -ENOMEM, "%s", f->path);
    }
    c->files[c->n_files++] = in;
    for (uint32_t g = 0; r >= 0 && g <= in->footer->n_groups; g++) {
        struct check_job *j;

        if (c->n_jobs == BATCH_GROUPS)
            r = batch_end(c, err);
        if (r < 0)
            return r;
        j = &c->jobs[c->n_jobs++];
        *j = (struct check_job){.c = c, .in = in, .file = f, .group = g, .task.run = check_run};
        base_pool_submit(c->pool, &j->task);
    }
    if (c->n_files == BATCH_FILES) {
        r = batch_end(c, err);
        batch_close(c);
    }
    return r;
}

int
fmt_survey_check(int dirfd, struct fmt_survey *s, const bool *want, unsigned n_threads,
                 const struct fmt_schema *schema, const struct fmt_rowhash *hash,
                 struct shard_error *err)
{
    struct check *c = calloc(1, sizeof(*c));
    int r, end = 0;

    if (c == NULL)
        return base_fail(err, -ENOMEM, "looking at shards");
    c->schema = schema;
    c->hash = hash;
    c->n_threads = n_threads ? n_threads : base_cpu_count();
    c->hands = calloc(c->n_threads, sizeof(*c->hands));
    if (c->hands == NULL)
        r = base_fail(err, -ENOMEM, "%u threads", c->n_threads);
    else
        r = base_pool_open(c->n_threads, "recover", &c->pool, err);
    for (uint32_t i = 0; r >= 0 && i < s->count; i++)
        if (want[i] && s->items[i].code == 0)
            r = check_file(c, dirfd, &s->items[i], err);
    if (c->pool)
        end = batch_end(c, r >= 0 ? err : NULL);
    batch_close(c);
    base_pool_close(c->pool);
    for (unsigned i = 0; c->hands && i < c->n_threads; i++)
        hand_done(&c->hands[i]);
    free(c->hands);
    free(c);
    return r < 0 ? r : end;
}
