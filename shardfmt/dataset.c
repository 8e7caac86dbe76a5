/* Opening a dataset, and its getters. */
#include "config.h"

#include "shardfmt/dataset.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/fail.h"

/* What is kept open for shard_dataset_read_group(). */
#define SHARDS_MAX  64u
#define FOOTERS_MAX (64ull << 20) /* bytes */

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
    if (r >= 0)
        r = fmt_cache_init(&ds->cache, ds->dirfd, &ds->snapshot, SHARDS_MAX, FOOTERS_MAX);
    ds->has_cache = r >= 0;
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
    ds->path = strdup(path);
    r = ds->path ? dataset_load(ds, err) : base_fail(err, -ENOMEM, "a path");
    if (r < 0) {
        shard_dataset_close(ds);
        return base_fail_in(err, r, "%s", path);
    }
    *ret_ds = ds;
    return 0;
}

void
shard_dataset_close(struct shard_dataset *ds)
{
    if (ds == NULL)
        return;
    if (ds->has_cache)
        fmt_cache_done(&ds->cache);
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
