#include "config.h"

#include "shardfmt/select.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "lib/fail.h"
#include "shardfmt/bits.h"
#include "shardfmt/dataset.h"
#include "shardfmt/manifest.h"
#include "shardfmt/shard_stats.h"
#include "shardfmt/table.h"

#define NO_SHARD   UINT32_MAX
#define NO_SEGMENT UINT32_MAX

struct fmt_select {
    struct shard_dataset *ds;
    const struct fmt_filter *f;
    const struct fmt_filter_input *in;
    uint32_t n_in;
    uint32_t *cols;       /* of the inputs, each once */
    uint32_t n_cols;
    uint32_t *in_col;     /* n_in: index into cols */
    struct shard_group *group;
    struct shard_group **lengths; /* n_in: of those inputs whose lengths are read by themselves */
    struct shard_array *arrays;              /* n_in */
    struct fmt_chunk_stats *shard_stats;     /* n_in: storage */
    const struct fmt_chunk_stats **stats;    /* n_in */
    struct base_buf bits;
    uint32_t shard; /* the last one that was looked at */
    bool skip_shard;
    uint32_t segment; /* whose statistics table holds */
    struct fmt_table table;
    const struct shard_array *segment_stats; /* into table */
    struct fmt_select_counts counts;
};

/* Index into s->cols; n_cols where it is not there. */
static uint32_t
find_column(const struct fmt_select *s, uint32_t column)
{
    uint32_t i = 0;

    while (i < s->n_cols && s->cols[i] != column)
        i++;
    return i;
}

/* Whether the lengths of input i are asked for by themselves: there may be an index, or the values be
 * large, and nobody else wants those. */
static bool
by_index(const struct fmt_select *s, uint32_t i)
{
    for (uint32_t k = 0; k < s->n_in; k++)
        if (s->in[k].column == s->in[i].column && !s->in[k].lengths)
            return false;
    return s->in[i].lengths;
}

int
fmt_select_new(struct shard_dataset *ds, const struct fmt_filter *f, struct fmt_select **ret,
               struct shard_error *err)
{
    struct fmt_select *s = calloc(1, sizeof(*s));
    int r = -ENOMEM;

    if (s == NULL)
        return base_fail(err, -ENOMEM, "a filter");
    s->ds = ds;
    s->f = f;
    s->shard = NO_SHARD;
    s->segment = NO_SEGMENT;
    s->in = fmt_filter_inputs(f, &s->n_in);
    s->cols = calloc(s->n_in + 1, sizeof(*s->cols));
    s->in_col = calloc(s->n_in + 1, sizeof(*s->in_col));
    s->arrays = calloc(s->n_in + 1, sizeof(*s->arrays));
    s->shard_stats = calloc(s->n_in + 1, sizeof(*s->shard_stats));
    s->stats = calloc(s->n_in + 1, sizeof(*s->stats));
    s->lengths = calloc(s->n_in + 1, sizeof(*s->lengths));
    if (s->cols && s->in_col && s->arrays && s->shard_stats && s->stats && s->lengths)
        r = shard_group_new(&s->group);
    for (uint32_t i = 0; r == 0 && i < s->n_in; i++)
        if (by_index(s, i)) {
            r = shard_group_new(&s->lengths[i]);
            if (r == 0)
                shard_group_set_far(s->lengths[i], FMT_INLINE_MAX);
        }
    if (r < 0) {
        fmt_select_free(s);
        return base_fail(err, r, "a filter");
    }
    for (uint32_t i = 0; i < s->n_in; i++) {
        const uint32_t c = find_column(s, s->in[i].column);

        if (s->lengths[i])
            continue;
        s->cols[c] = s->in[i].column;
        s->n_cols += c == s->n_cols;
        s->in_col[i] = c;
    }
    *ret = s;
    return 0;
}

void
fmt_select_free(struct fmt_select *s)
{
    if (s == NULL)
        return;
    shard_group_free(s->group);
    for (uint32_t i = 0; s->lengths && i < s->n_in; i++)
        shard_group_free(s->lengths[i]);
    free(s->lengths);
    fmt_table_done(&s->table);
    free(s->cols);
    free(s->in_col);
    free(s->arrays);
    free(s->shard_stats);
    free(s->stats);
    base_buf_done(&s->bits);
    free(s);
}

/* Have the statistics of the segment that lists the shard. */
static int
segment_load(struct fmt_select *s, uint32_t shard, struct shard_error *err)
{
    const struct fmt_snapshot *snap = &s->ds->snapshot;
    uint32_t i = 0;
    int r;

    while (shard - snap->segments[i].shard0 >= snap->segments[i].n_shards)
        i++;
    if (s->segment == i)
        return 0;
    fmt_table_done(&s->table);
    s->segment = NO_SEGMENT;
    r = fmt_segment_stats(s->ds->dirfd, snap, i, &s->table, &s->segment_stats, err);
    if (r < 0)
        return base_fail_in(err, r, "%s", s->ds->path);
    s->segment = i;
    return 0;
}

/* Whether the segment's statistics rule out the whole shard: 1 or 0. */
static int
skip_shard(struct fmt_select *s, uint32_t shard, struct shard_error *err)
{
    const struct fmt_snapshot *snap = &s->ds->snapshot;
    const char *bytes;
    size_t len;
    int r = segment_load(s, shard, err);

    if (r < 0)
        return r;
    bytes = fmt_table_bytes(s->segment_stats, shard - snap->segments[s->segment].shard0, &len);
    for (uint32_t i = 0; i < s->n_in; i++)
        s->stats[i] = fmt_shard_stats_get((const uint8_t *)bytes, len, s->in[i].column,
                                          &s->shard_stats[i])
                          ? &s->shard_stats[i]
                          : NULL;
    return fmt_filter_prune(s->f, s->stats, snap->shards[shard].n_rows);
}

/* Whether the footer's rule out the row group: 1 or 0. */
static int
skip_group(struct fmt_select *s, const struct shard_group_info *info, struct shard_error *err)
{
    struct fmt_open_shard *o;
    int r = fmt_cache_acquire(&s->ds->cache, info->shard, &o, err);

    if (r < 0)
        return base_fail_in(err, r, "%s", s->ds->path);
    for (uint32_t i = 0; i < s->n_in; i++)
        s->stats[i] = o->footer->stats ? &o->footer->stats[(size_t)info->index *
                                                               o->footer->n_columns +
                                                           s->in[i].column]
                                       : NULL;
    r = fmt_filter_prune(s->f, s->stats, info->n_rows);
    fmt_cache_release(&s->ds->cache, o);
    return r;
}

/* Bytes have no index, and may be longer than what it holds. */
static int
lengths_read(struct fmt_select *s, uint64_t group, uint32_t column, struct shard_group *ret,
             struct shard_error *err)
{
    if (fmt_field_type(&s->ds->snapshot.schema.fields[column]).kind == FMT_KIND_BYTES)
        return shard_dataset_read_group(s->ds, group, &column, 1, ret, err);
    return shard_dataset_read_lengths(s->ds, group, column, ret, err);
}

static int64_t
read_group(struct fmt_select *s, uint64_t group, uint64_t n_rows, struct shard_error *err)
{
    int64_t n;
    int r = shard_dataset_read_group(s->ds, group, s->cols, s->n_cols, s->group, err);

    if (r < 0)
        return r;
    base_buf_reset(&s->bits);
    if (base_buf_append_zero(&s->bits, fmt_bits_bytes(n_rows)) < 0)
        return base_fail(err, -ENOMEM, "%s: %" PRIu64 " rows", s->ds->path, n_rows);
    for (uint32_t i = 0; r == 0 && i < s->n_in; i++) {
        if (s->lengths[i])
            r = lengths_read(s, group, s->in[i].column, s->lengths[i], err);
        if (r == 0)
            s->arrays[i] = s->lengths[i] ? *shard_group_array(s->lengths[i], 0)
                                         : *shard_group_array(s->group, s->in_col[i]);
    }
    if (r < 0)
        return r;
    n = (int64_t)fmt_filter_eval(s->f, s->arrays, n_rows, s->bits.data);
    s->counts.groups_read++;
    s->counts.rows_selected += (uint64_t)n;
    return n;
}

int64_t
fmt_select_group(struct fmt_select *s, uint64_t group, const uint8_t **ret_bits,
                 struct shard_error *err)
{
    struct shard_group_info info;
    int64_t r;

    shard_dataset_group_info(s->ds, group, &info);
    if (info.shard != s->shard) {
        r = skip_shard(s, info.shard, err);
        if (r < 0)
            return r;
        s->shard = info.shard;
        s->skip_shard = r == 1;
        s->counts.shards_skipped += s->skip_shard;
    }
    r = s->skip_shard ? 1 : skip_group(s, &info, err);
    if (r < 0)
        return r;
    if (r == 1) {
        s->counts.groups_skipped++;
        return 0;
    }
    r = read_group(s, group, info.n_rows, err);
    if (r >= 0)
        *ret_bits = s->bits.data;
    return r;
}

bool
fmt_select_reads(const struct fmt_select *s, uint32_t column)
{
    return find_column(s, column) < s->n_cols;
}

const struct shard_array *
fmt_select_array(const struct fmt_select *s, uint32_t column)
{
    return shard_group_array(s->group, find_column(s, column));
}

const struct fmt_select_counts *
fmt_select_counts(const struct fmt_select *s)
{
    return &s->counts;
}
