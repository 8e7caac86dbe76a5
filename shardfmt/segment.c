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

/* What an entry is made of: all but the statistics, which are most of a segment, and which few need. */
#define SEG_ALL     ((1u << SEG_N_COLUMNS) - 1)
#define SEG_ENTRIES (SEG_ALL & ~(1u << SEG_STATS))

void
fmt_segment_path(struct base_hash128 hash, char ret[FMT_SEGMENT_PATH_MAX])
{
    char hex[BASE_HEX128_LEN + 1];

    base_hex128(hash, hex);
    (void)snprintf(ret, FMT_SEGMENT_PATH_MAX, "%s/%s.seg", FMT_DIR_SEGMENTS, hex);
}

/* --------------------------------------------------------------------------- loading a segment */

/* What is done for all entries of a table at once: memory for what they point to, and a look at the
 * splits, which mostly are one. */
struct entries_room {
    char *text;           /* of the paths, NUL-terminated; where the next one goes */
    uint32_t *group_rows; /* a copy of the column's values */
    size_t period;        /* the bytes of all splits repeat after so many; 0: they do not */
};

static int
entries_room_make(struct fmt_snapshot *s, const struct fmt_table *t, struct entries_room *ret)
{
    const struct shard_array *path = &t->arrays[SEG_PATH], *groups = &t->arrays[SEG_GROUP_ROWS];
    const struct shard_array *split = &t->arrays[SEG_SPLIT];
    const size_t size = (size_t)groups->n_values * sizeof(uint32_t);
    size_t len;
    const char *first = fmt_table_bytes(split, 0, &len);

    ret->text = fmt_snapshot_alloc(s, (size_t)(path->n_values + path->n_rows));
    ret->group_rows = fmt_snapshot_alloc(s, size);
    if (ret->text == NULL || ret->group_rows == NULL)
        return -ENOMEM;
    if (size)
        memcpy(ret->group_rows, groups->values, size);
    ret->period = memcmp(first, first + len, (size_t)split->n_values - len) == 0 ? len : 0;
    return 0;
}

/* The row groups of a shard, as its entry lists them. */
static int
entry_groups(const struct entries_room *room, struct fmt_shard_entry *e, const struct shard_array *a,
             uint64_t row)
{
    const int32_t first = a->offsets[row];
    const uint32_t n = (uint32_t)(a->offsets[row + 1] - first);
    uint64_t rows = 0;

    e->group_rows = room->group_rows + first;
    e->n_groups = n;
    for (uint32_t i = 0; i < n; i++) {
        if (e->group_rows[i] == 0)
            return SHARD_ECORRUPT;
        rows += e->group_rows[i];
    }
    return rows == e->n_rows ? 0 : SHARD_ECORRUPT;
}

/* What fmt_path_ok() is about, for the paths of all shards at once: each begins with the folder, and
 * there are no more slashes than that takes. */
static bool
paths_ok(const struct shard_array *a)
{
    size_t slashes, len;

    for (uint64_t row = 0; row < a->n_rows; row++) {
        const char *path = fmt_table_bytes(a, row, &len);

        if (!fmt_path_begins(path, len, FMT_DIR_SHARDS, sizeof(FMT_DIR_SHARDS) - 1))
            return false;
    }
    return fmt_path_bytes_ok(a->values, (size_t)a->n_values, &slashes) && slashes == a->n_rows;
}

static void
entry_path(struct entries_room *room, struct fmt_shard_entry *e, const struct shard_array *a,
           uint64_t row)
{
    size_t len;
    const char *p = fmt_table_bytes(a, row, &len);

    memcpy(room->text, p, len);
    room->text[len] = '\0';
    e->path = room->text;
    room->text += len + 1;
}

/* The split of an entry, which mostly is that of the one before. add: it may be a new one. */
static int
entry_split(struct fmt_snapshot *s, const struct entries_room *room, struct fmt_shard_entry *e,
            const struct shard_array *a, uint64_t row, bool add)
{
    size_t len;
    const char *p = fmt_table_bytes(a, row, &len);
    int64_t split;

    if (row > 0 && (size_t)(a->offsets[row] - a->offsets[row - 1]) == len &&
        (len == room->period || memcmp(p - len, p, len) == 0)) {
        e->split = e[-1].split;
        e->split_index = e[-1].split_index;
        return 0;
    }
    e->split = fmt_snapshot_text(s, p, len);
    if (e->split == NULL)
        return -ENOMEM;
    if (strlen(e->split) != len)
        return SHARD_ECORRUPT; /* a NUL byte */
    split = fmt_snapshot_split(s, e->split, add && fmt_split_name_ok(e->split));
    e->split_index = split < 0 ? 0 : (uint32_t)split;
    return split == -ENOMEM ? -ENOMEM : split < 0 ? SHARD_ECORRUPT : 0;
}

static int
entry_read(struct fmt_snapshot *s, struct entries_room *room, struct fmt_shard_entry *e,
           const struct fmt_table *t, uint64_t row, bool add_splits)
{
    int r;

    e->stats = NULL; /* fmt_segment_load_stats() is for that; all else is set here and below */
    e->stats_len = 0;
    entry_path(room, e, &t->arrays[SEG_PATH], row);
    r = entry_split(s, room, e, &t->arrays[SEG_SPLIT], row, add_splits);
    if (r >= 0)
        r = fmt_cell_hash(&t->arrays[SEG_HASH], row, &e->hash);
    if (r < 0)
        return r;
    e->n_rows = fmt_cell_u64(&t->arrays[SEG_ROWS], row);
    e->file_bytes = fmt_cell_u64(&t->arrays[SEG_FILE_BYTES], row);
    e->raw_bytes = fmt_cell_u64(&t->arrays[SEG_RAW_BYTES], row);
    e->footer_bytes = ((const uint32_t *)t->arrays[SEG_FOOTER_BYTES].values)[row];
    if (e->footer_bytes > e->file_bytes)
        return SHARD_ECORRUPT;
    return entry_groups(room, e, &t->arrays[SEG_GROUP_ROWS], row);
}

/* Append all entries of the table; after an error some. */
static int
entries_read(struct fmt_snapshot *s, const struct fmt_table *t, bool add_splits, const char *path,
             uint64_t *ret_rows, struct shard_error *err)
{
    struct entries_room room;
    uint64_t rows = 0;

    if (t->n_rows == 0)
        return base_fail(err, SHARD_ECORRUPT, "%s: it lists no shards", path);
    if (!paths_ok(&t->arrays[SEG_PATH]))
        return base_fail(err, SHARD_ECORRUPT, "%s: a path outside of %s/", path, FMT_DIR_SHARDS);
    if (!fmt_snapshot_more_shards(s, (uint32_t)t->n_rows) || entries_room_make(s, t, &room) < 0)
        return base_fail(err, -ENOMEM, "%s", path);
    for (uint64_t row = 0; row < t->n_rows; row++) {
        struct fmt_shard_entry *e = &s->shards[s->n_shards++];
        int r = entry_read(s, &room, e, t, row, add_splits);

        if (r >= 0 && base_add_u64(rows, e->n_rows, &rows) < 0)
            r = SHARD_ECORRUPT;
        if (r < 0)
            return base_fail(err, r, "%s: the entry of shard %" PRIu64 " cannot be", path, row);
    }
    *ret_rows = rows;
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
    if (t->file_bytes != g->file_bytes || t->n_rows > FMT_SEGMENT_SHARDS_MAX)
        return base_fail(err, SHARD_ECORRUPT,
                         "%s: %" PRIu64 " bytes, %" PRIu64 " shards: not what can be", path,
                         t->file_bytes, t->n_rows);
    return 0;
}

/* Load the columns of a segment of a root that are in the set. */
static int
columns_load(int dirfd, const struct fmt_segment *g, uint32_t columns, const char *path,
             struct fmt_table *ret, struct shard_error *err)
{
    int r = fmt_manifest_load(dirfd, path, segment_fields, SEG_N_COLUMNS, columns, ret, err);

    if (r < 0)
        return r;
    r = segment_check(ret, g, path, err);
    if (r < 0)
        fmt_table_done(ret);
    return r;
}

int
fmt_segment_load(int dirfd, struct fmt_snapshot *s, uint32_t i, struct shard_error *err)
{
    struct fmt_segment *g = &s->segments[i];
    const uint32_t shard0 = s->n_shards;
    char path[FMT_SEGMENT_PATH_MAX];
    struct fmt_table t;
    uint64_t rows;
    int r;

    fmt_segment_path(g->hash, path);
    r = columns_load(dirfd, g, SEG_ENTRIES, path, &t, err);
    if (r < 0)
        return r;
    s->ro_compat |= t.ro_compat;
    r = entries_read(s, &t, false, path, &rows, err);
    fmt_table_done(&t);
    if (r >= 0 && rows != g->n_rows)
        r = base_fail(err, SHARD_ECORRUPT,
                      "%s: its shards have %" PRIu64 " rows, the root says %" PRIu64, path, rows,
                      g->n_rows);
    if (r < 0) {
        s->n_shards = shard0;
        return r;
    }
    g->shard0 = shard0;
    g->n_shards = s->n_shards - shard0;
    return 0;
}

int
fmt_segment_stats(int dirfd, const struct fmt_snapshot *s, uint32_t i, struct fmt_table *ret_table,
                  const struct shard_array **ret_stats, struct shard_error *err)
{
    const struct fmt_segment *g = &s->segments[i];
    char path[FMT_SEGMENT_PATH_MAX];
    int r;

    fmt_segment_path(g->hash, path);
    r = columns_load(dirfd, g, 1u << SEG_STATS, path, ret_table, err);
    if (r < 0)
        return r;
    *ret_stats = &ret_table->arrays[SEG_STATS];
    if (ret_table->n_rows != g->n_shards)
        r = base_fail(err, SHARD_ECORRUPT, "%s: not the shards that it had", path);
    for (uint64_t row = 0; r >= 0 && row < g->n_shards; row++) {
        size_t len;
        const char *bytes = fmt_table_bytes(*ret_stats, row, &len);

        r = fmt_shard_stats_check((const uint8_t *)bytes, len, s->schema.n_fields,
                                  s->shards[g->shard0 + row].n_rows);
        if (r < 0)
            (void)base_fail(err, r, "%s: the statistics of shard %" PRIu64 " cannot be", path, row);
    }
    if (r < 0)
        fmt_table_done(ret_table);
    return r;
}

int
fmt_segment_load_stats(int dirfd, struct fmt_snapshot *s, uint32_t i, struct shard_error *err)
{
    const struct shard_array *stats;
    struct fmt_table t;
    int r = fmt_segment_stats(dirfd, s, i, &t, &stats, err);

    if (r < 0)
        return r;
    for (uint32_t row = 0; r >= 0 && row < t.n_rows; row++) {
        struct fmt_shard_entry *e = &s->shards[s->segments[i].shard0 + row];
        size_t len;
        const char *bytes = fmt_table_bytes(stats, row, &len);

        r = fmt_shard_entry_set_stats(s, e, bytes, len);
        if (r < 0)
            (void)base_fail(err, r, "statistics of shards");
    }
    fmt_table_done(&t);
    return r;
}

int
fmt_segment_survey(int dirfd, const char *path, struct fmt_snapshot *s, struct shard_error *err)
{
    const uint32_t shard0 = s->n_shards;
    char want[FMT_SEGMENT_PATH_MAX];
    struct fmt_table t;
    uint64_t rows;
    int r;

    r = fmt_manifest_load(dirfd, path, segment_fields, SEG_N_COLUMNS, SEG_ALL, &t, err);
    if (r < 0)
        return r;
    s->ro_compat |= t.ro_compat;
    fmt_segment_path(t.hash, want);
    if (strcmp(path, want) != 0)
        r = base_fail(err, SHARD_ECHECKSUM, "%s is not named by its hash", path);
    if (r >= 0)
        r = entries_read(s, &t, true, path, &rows, err);
    fmt_table_done(&t);
    if (r < 0)
        s->n_shards = shard0;
    return r;
}

/* ------------------------------------------------------------------------------------- writing */

static int
put_entry(struct fmt_builder *b, const struct fmt_shard_entry *e)
{
    int r = e->stats ? 0 : -EINVAL; /* fmt_snapshot_load_stats() was forgotten */

    if (r >= 0)
        r = fmt_put_text(&b->cols[SEG_PATH], e->path);
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

/* But for statistics. */
static bool
entry_equal(const struct fmt_shard_entry *a, const struct fmt_shard_entry *b)
{
    return strcmp(a->path, b->path) == 0 && strcmp(a->split, b->split) == 0 &&
           a->n_rows == b->n_rows && a->file_bytes == b->file_bytes &&
           a->raw_bytes == b->raw_bytes && a->footer_bytes == b->footer_bytes &&
           base_hash128_eq(a->hash, b->hash) && a->n_groups == b->n_groups &&
           memcmp(a->group_rows, b->group_rows, a->n_groups * sizeof(uint32_t)) == 0;
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

bool
fmt_segment_holds(int dirfd, const struct fmt_segment *g, const struct fmt_shard_entry *entries)
{
    char path[FMT_SEGMENT_PATH_MAX];
    struct fmt_snapshot there;
    bool same;

    fmt_segment_path(g->hash, path);
    fmt_snapshot_init(&there);
    same = fmt_segment_survey(dirfd, path, &there, NULL) >= 0 && there.n_shards == g->n_shards;
    for (uint32_t i = 0; same && i < g->n_shards; i++)
        same = entry_equal(&there.shards[i], &entries[i]);
    fmt_snapshot_done(&there);
    return same;
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
    r = fmt_table_write(dirfd, tmp, &b.schema, b.cols,
                        end - shard0 < FMT_MANIFEST_LARGE ? FMT_TABLE_LEVEL : 0, &info, err);
    if (r < 0)
        goto out;
    fmt_segment_path(info.hash, path);
    /* A file of that name has the same content, or had before it was damaged. */
    r = fmt_place(dirfd, tmp, path, err);
    if (r < 0) {
        (void)unlinkat(dirfd, tmp, 0);
        goto out;
    }
    *ret = (struct fmt_segment){.hash = info.hash,
                                .n_rows = n_rows,
                                .file_bytes = info.file_bytes,
                                .shard0 = shard0,
                                .n_shards = end - shard0};
out:
    fmt_builder_done(&b);
    return r;
}
