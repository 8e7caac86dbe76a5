/* Segments: lists of shards. As with roots, nothing that they say is believed unchecked. */
#include "config.h"

#include "shardfmt/manifest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/arith.h"
#include "lib/fail.h"
#include "shardfmt/cells.h"
#include "shardfmt/shard_stats.h"

enum {
    SEG_PATH,
    SEG_SPLIT,
    SEG_ROWS,
    SEG_FILE_BYTES,
    SEG_RAW_BYTES,
    SEG_FOOTER_BYTES,
    SEG_HASH,
    SEG_GROUP_ROWS,
    SEG_STATS,
    SEG_N_COLUMNS
};
static const struct fmt_table_field segment_fields[SEG_N_COLUMNS] = {
    {"path", SHARD_TYPE_STRING, 0},      {"split", SHARD_TYPE_STRING, 0},
    {"rows", SHARD_TYPE_UINT64, 0},      {"file_bytes", SHARD_TYPE_UINT64, 0},
    {"raw_bytes", SHARD_TYPE_UINT64, 0}, {"footer_bytes", SHARD_TYPE_UINT32, 0},
    {"hash", SHARD_TYPE_BINARY, 0},      {"group_rows", SHARD_TYPE_LIST, SHARD_TYPE_UINT32},
    {"stats", SHARD_TYPE_BINARY, 0},
};

void
fmt_segment_path(struct base_hash128 hash, char ret[FMT_SEGMENT_PATH_MAX])
{
    char hex[BASE_HEX128_LEN + 1];

    base_hex128(hash, hex);
    (void)snprintf(ret, FMT_SEGMENT_PATH_MAX, "%s/%s.seg", FMT_DIR_SEGMENTS, hex);
}

/* --------------------------------------------------------------------------- loading a segment */

/* The row groups of a shard, as its entry lists them. */
static int
entry_groups(struct fmt_shard_entry *e, const struct shard_array *a, uint64_t row)
{
    const int32_t first = a->offsets[row];
    const uint32_t n = (uint32_t)(a->offsets[row + 1] - first);
    uint64_t rows = 0;

    e->group_rows = malloc(n ? n * sizeof(uint32_t) : 1);
    if (e->group_rows == NULL)
        return -ENOMEM;
    if (n)
        memcpy(e->group_rows, (const uint32_t *)a->values + first, n * sizeof(uint32_t));
    e->n_groups = n;
    for (uint32_t i = 0; i < n; i++) {
        if (e->group_rows[i] == 0)
            return SHARD_ECORRUPT;
        rows += e->group_rows[i];
    }
    return rows == e->n_rows ? 0 : SHARD_ECORRUPT;
}

static int
entry_stats(const struct fmt_snapshot *s, struct fmt_shard_entry *e, const struct shard_array *a,
            uint64_t row)
{
    size_t len;
    const char *bytes = fmt_table_bytes(a, row, &len);
    int r = fmt_shard_stats_check((const uint8_t *)bytes, len, s->schema.n_fields, e->n_rows);

    if (r < 0)
        return r;
    e->stats = malloc(len ? len : 1);
    if (e->stats == NULL)
        return -ENOMEM;
    memcpy(e->stats, bytes, len);
    e->stats_len = (uint32_t)len;
    return 0;
}

/* survey: s is no snapshot of one schema; splits are added as they come. */
static int
entry_read(struct fmt_snapshot *s, struct fmt_shard_entry *e, const struct fmt_table *t,
           uint64_t row, bool survey)
{
    int64_t split;
    int r;

    r = fmt_cell_text(&t->arrays[SEG_PATH], row, &e->path);
    if (r >= 0)
        r = fmt_cell_text(&t->arrays[SEG_SPLIT], row, &e->split);
    if (r >= 0)
        r = fmt_cell_hash(&t->arrays[SEG_HASH], row, &e->hash);
    if (r < 0)
        return r;
    e->n_rows = fmt_cell_u64(&t->arrays[SEG_ROWS], row);
    e->file_bytes = fmt_cell_u64(&t->arrays[SEG_FILE_BYTES], row);
    e->raw_bytes = fmt_cell_u64(&t->arrays[SEG_RAW_BYTES], row);
    e->footer_bytes = ((const uint32_t *)t->arrays[SEG_FOOTER_BYTES].values)[row];
    split = fmt_snapshot_split(s, e->split, survey && fmt_split_name_ok(e->split));
    if (split < 0 || !fmt_path_ok(e->path, FMT_DIR_SHARDS) || e->footer_bytes > e->file_bytes)
        return SHARD_ECORRUPT;
    e->split_index = (uint32_t)split;
    r = survey ? 0 : entry_stats(s, e, &t->arrays[SEG_STATS], row);
    return r < 0 ? r : entry_groups(e, &t->arrays[SEG_GROUP_ROWS], row);
}

static int
entries_read(struct fmt_snapshot *s, const struct fmt_table *t, const struct fmt_segment *g,
             const char *path, struct shard_error *err)
{
    uint64_t rows = 0;
    int r = 0;

    for (uint64_t row = 0; row < t->n_rows; row++) {
        struct fmt_shard_entry *e = fmt_snapshot_new_shard(s);

        if (e == NULL)
            return base_fail(err, -ENOMEM, "%s", path);
        r = entry_read(s, e, t, row, false);
        if (r >= 0 && base_add_u64(rows, e->n_rows, &rows) < 0)
            r = SHARD_ECORRUPT;
        if (r < 0)
            return base_fail(err, r, "%s: the entry of shard %" PRIu64 " cannot be", path, row);
    }
    if (rows != g->n_rows)
        return base_fail(err, SHARD_ECORRUPT,
                         "%s: its shards have %" PRIu64 " rows, the root says %" PRIu64, path, rows,
                         g->n_rows);
    return 0;
}

/* Whether the table is the segment that the root means. */
static int
segment_check(const struct fmt_table *t, const struct fmt_segment *g, const char *path,
              struct shard_error *err)
{
    char have[BASE_HEX128_LEN + 1];

    if (!base_hash128_eq(t->hash, g->hash)) {
        base_hex128(t->hash, have);
        return base_fail(err, SHARD_ECHECKSUM,
                         "%s: this is not the segment that the root lists: its content hash is %s; "
                         "restore the file from a copy of the dataset",
                         path, have);
    }
    if (t->file_bytes != g->file_bytes || t->n_rows == 0 || t->n_rows > FMT_SEGMENT_SHARDS_MAX)
        return base_fail(err, SHARD_ECORRUPT,
                         "%s: %" PRIu64 " bytes, %" PRIu64 " shards: not what can be", path,
                         t->file_bytes, t->n_rows);
    return 0;
}

int
fmt_segment_load(int dirfd, struct fmt_snapshot *s, uint32_t i, struct shard_error *err)
{
    struct fmt_segment *g = &s->segments[i];
    const uint32_t shard0 = s->n_shards;
    char path[FMT_SEGMENT_PATH_MAX];
    struct fmt_table t;
    int r;

    fmt_segment_path(g->hash, path);
    r = fmt_manifest_load(dirfd, path, segment_fields, SEG_N_COLUMNS, &t, err);
    if (r < 0)
        return r;
    s->ro_compat |= t.ro_compat;
    r = segment_check(&t, g, path, err);
    if (r >= 0)
        r = entries_read(s, &t, g, path, err);
    fmt_table_done(&t);
    if (r < 0) {
        while (s->n_shards > shard0)
            fmt_shard_entry_done(&s->shards[--s->n_shards]);
        return r;
    }
    g->shard0 = shard0;
    g->n_shards = s->n_shards - shard0;
    g->digest = fmt_segment_digest(s, shard0, s->n_shards);
    return 0;
}

int
fmt_segment_survey(int dirfd, const char *path, struct fmt_snapshot *s, struct shard_error *err)
{
    const uint32_t shard0 = s->n_shards;
    char want[FMT_SEGMENT_PATH_MAX];
    struct fmt_table t;
    int r;

    r = fmt_manifest_load(dirfd, path, segment_fields, SEG_N_COLUMNS, &t, err);
    if (r < 0)
        return r;
    s->ro_compat |= t.ro_compat;
    fmt_segment_path(t.hash, want);
    if (strcmp(path, want) != 0)
        r = base_fail(err, SHARD_ECHECKSUM, "%s is not named by its hash", path);
    for (uint64_t row = 0; r >= 0 && row < t.n_rows; row++) {
        struct fmt_shard_entry *e = fmt_snapshot_new_shard(s);

        r = e ? entry_read(s, e, &t, row, true) : -ENOMEM;
        if (r < 0)
            (void)base_fail(err, r, "%s: the entry of shard %" PRIu64 " cannot be", path, row);
    }
    fmt_table_done(&t);
    while (r < 0 && s->n_shards > shard0)
        fmt_shard_entry_done(&s->shards[--s->n_shards]);
    return r;
}

/* ------------------------------------------------------------------------------------- writing */

static int
put_entry(struct fmt_builder *b, const struct fmt_shard_entry *e)
{
    int r = fmt_put_text(&b->cols[SEG_PATH], e->path);

    if (r >= 0)
        r = fmt_put_text(&b->cols[SEG_SPLIT], e->split);
    if (r >= 0)
        r = fmt_column_append_number(&b->cols[SEG_ROWS], &e->n_rows);
    if (r >= 0)
        r = fmt_column_append_number(&b->cols[SEG_FILE_BYTES], &e->file_bytes);
    if (r >= 0)
        r = fmt_column_append_number(&b->cols[SEG_RAW_BYTES], &e->raw_bytes);
    if (r >= 0)
        r = fmt_column_append_number(&b->cols[SEG_FOOTER_BYTES], &e->footer_bytes);
    if (r >= 0)
        r = fmt_put_hash(&b->cols[SEG_HASH], e->hash);
    if (r >= 0)
        r = fmt_column_append_list(&b->cols[SEG_GROUP_ROWS], e->group_rows, e->n_groups);
    if (r >= 0)
        r = fmt_column_append_bytes(&b->cols[SEG_STATS], e->stats, e->stats_len);
    return r;
}

uint32_t
fmt_segment_end(const struct fmt_snapshot *s, uint32_t i)
{
    const uint32_t first = i;
    uint64_t groups = 0;

    for (; i < s->n_shards && i - first < FMT_SEGMENT_SHARDS_MAX; i++) {
        groups += s->shards[i].n_groups;
        if (groups > FMT_SEGMENT_GROUPS_MAX && i > first)
            break;
    }
    return i;
}

uint64_t
fmt_segment_digest(const struct fmt_snapshot *s, uint32_t i, uint32_t end)
{
    uint64_t h = 0;

    for (; i < end; i++) {
        const struct fmt_shard_entry *e = &s->shards[i];
        const uint64_t numbers[] = {e->n_rows,  e->file_bytes, e->raw_bytes, e->footer_bytes,
                                    e->hash.lo, e->hash.hi,    e->n_groups};

        h = base_hash64(e->path, strlen(e->path) + 1, h);
        h = base_hash64(e->split, strlen(e->split) + 1, h);
        h = base_hash64(numbers, sizeof(numbers), h);
        h = base_hash64(e->group_rows, e->n_groups * sizeof(uint32_t), h);
        h = base_hash64(e->stats, e->stats_len, h);
    }
    return h;
}

int
fmt_segment_write(int dirfd, const struct fmt_snapshot *s, uint32_t i, uint32_t end,
                  struct fmt_segment *ret, struct shard_error *err)
{
    const uint32_t shard0 = i;
    char tmp[FMT_TMP_PATH_MAX], path[FMT_SEGMENT_PATH_MAX];
    struct fmt_table_info info;
    struct fmt_builder b;
    uint64_t n_rows = 0;
    int r;

    r = fmt_builder_init(&b, segment_fields, SEG_N_COLUMNS);
    for (; r >= 0 && i < end; i++) {
        r = put_entry(&b, &s->shards[i]);
        n_rows += s->shards[i].n_rows;
    }
    if (r < 0) {
        (void)base_fail(err, r, "a segment of %" PRIu32 " shards", end - shard0);
        goto out;
    }
    r = fmt_tmp_path("seg", tmp, err);
    if (r < 0)
        goto out;
    r = fmt_table_write(dirfd, tmp, &b.schema, b.cols, &info, err);
    if (r < 0)
        goto out;
    fmt_segment_path(info.hash, path);
    /* A file of that name has the same content, or had before it was damaged. */
    if (renameat(dirfd, tmp, dirfd, path) < 0) {
        r = base_fail(err, -errno, "%s cannot be moved to %s", tmp, path);
        (void)unlinkat(dirfd, tmp, 0);
        goto out;
    }
    *ret = (struct fmt_segment){.hash = info.hash,
                                .n_rows = n_rows,
                                .file_bytes = info.file_bytes,
                                .shard0 = shard0,
                                .n_shards = end - shard0,
                                .digest = fmt_segment_digest(s, shard0, end)};
out:
    fmt_builder_done(&b);
    return r;
}
