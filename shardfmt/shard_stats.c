/* Per column, 48 bytes: u32 column, u32 flags, u64 nulls, 16 bytes minimum, 16 bytes maximum. A column
 * of which any chunk says nothing is left out. */
#include "config.h"

#include "shardfmt/shard_stats.h"

#include <string.h>

#include "lib/endian.h"
#include "shardfmt/stats.h"

static bool
column_gather(const struct fmt_schema *s, const struct fmt_chunk_stats *chunks,
              const uint32_t *group_rows, uint32_t n_groups, uint32_t column,
              struct fmt_chunk_stats *ret)
{
    *ret = (struct fmt_chunk_stats){0};
    for (uint32_t g = 0; g < n_groups; g++)
        if (!fmt_stats_merge(s->fields[column].type, ret, &chunks[(size_t)g * s->n_fields + column],
                             group_rows[g]))
            return false;
    return true;
}

uint32_t
fmt_shard_stats_make(const struct fmt_schema *s, const struct fmt_chunk_stats *chunks,
                     const uint32_t *group_rows, uint32_t n_groups,
                     uint8_t ret[FMT_SHARD_STATS_MAX])
{
    uint32_t len = 0, n = 0;

    for (uint32_t c = 0; chunks && c < s->n_fields && n < FMT_SHARD_STATS_COLUMNS; c++) {
        struct fmt_chunk_stats sum;
        uint8_t *p = ret + len;

        if (!fmt_stats_ordered(s->fields[c].type))
            continue;
        n++;
        if (!column_gather(s, chunks, group_rows, n_groups, c, &sum))
            continue;
        base_store_le32(p, c);
        base_store_le32(p + 4, sum.flags);
        base_store_le64(p + 8, sum.n_nulls);
        memcpy(p + 16, sum.min, sizeof(sum.min));
        memcpy(p + 32, sum.max, sizeof(sum.max));
        len += FMT_SHARD_STATS_ENTRY;
    }
    return len;
}

int
fmt_shard_stats_check(const uint8_t *bytes, size_t len, uint32_t n_columns, uint64_t n_rows)
{
    uint32_t last = 0;

    if (len > FMT_SHARD_STATS_MAX || len % FMT_SHARD_STATS_ENTRY)
        return SHARD_ECORRUPT;
    for (size_t at = 0; at < len; at += FMT_SHARD_STATS_ENTRY) {
        const uint32_t column = base_load_le32(bytes + at);

        if (column >= n_columns || (at && column <= last) || base_load_le64(bytes + at + 8) > n_rows)
            return SHARD_ECORRUPT;
        last = column;
    }
    return 0;
}

/* Whether any of it has flags of a newer version: who does not know them cannot tell what follows. */
static bool
flags_unknown(const struct fmt_shard_entry *e, const struct fmt_footer *f)
{
    const size_t n = f->stats ? (size_t)f->n_groups * f->n_columns : 0;

    for (uint32_t at = 0; at < e->stats_len; at += FMT_SHARD_STATS_ENTRY)
        if (base_load_le32(e->stats + at + 4) & ~FMT_STATS_KNOWN)
            return true;
    for (size_t i = 0; i < n; i++)
        if (f->stats[i].flags & ~FMT_STATS_KNOWN)
            return true;
    return false;
}

bool
fmt_shard_stats_agree(const struct fmt_shard_entry *e, const struct fmt_footer *f)
{
    uint8_t have[FMT_SHARD_STATS_MAX];

    if (e->stats_len == 0 || flags_unknown(e, f))
        return true;
    for (uint32_t c = 0; c < f->schema.n_fields; c++)
        if (fmt_field_type(&f->schema.fields[c]).kind == FMT_KIND_UNKNOWN)
            return true; /* nobody knows whether such values have an order */
    return fmt_shard_stats_make(&f->schema, f->stats, f->group_rows, f->n_groups, have) ==
               e->stats_len &&
           memcmp(have, e->stats, e->stats_len) == 0;
}

bool
fmt_shard_stats_get(const uint8_t *bytes, size_t len, uint32_t column, struct fmt_chunk_stats *ret)
{
    for (size_t at = 0; at < len; at += FMT_SHARD_STATS_ENTRY) {
        const uint8_t *p = bytes + at;

        if (base_load_le32(p) != column)
            continue;
        *ret = (struct fmt_chunk_stats){.n_nulls = base_load_le64(p + 8),
                                        .flags = base_load_le32(p + 4)};
        memcpy(ret->min, p + 16, sizeof(ret->min));
        memcpy(ret->max, p + 32, sizeof(ret->max));
        return true;
    }
    return false;
}
