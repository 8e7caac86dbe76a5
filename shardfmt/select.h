/* Rows of a dataset that a filter selects, row group by row group. A shard whose statistics in the
 * segment rule it out is not even opened; a row group whose statistics in the footer rule it out is not
 * read; of the others only the columns that the filter looks at are. Not thread-safe: one per thread,
 * as many as wanted on one dataset. */
#ifndef FMT_SELECT_H
#define FMT_SELECT_H

#include "shardfmt/filter.h"
#include "shardfmt/snapshot.h"

struct fmt_select;

struct fmt_select_counts {
    uint64_t groups_read;    /* those whose filter columns were read */
    uint64_t groups_skipped; /* spared by statistics, of segments or footers */
    uint64_t shards_skipped; /* of these row groups: shards that were not opened */
    uint64_t rows_selected;
};

/* Both are borrowed. */
SHARD_NODISCARD int fmt_select_new(struct shard_dataset *ds, const struct fmt_filter *f,
                                   struct fmt_select **ret, struct shard_error *err);
void fmt_select_free(struct fmt_select *s); /* accepts NULL */
/* The rows of a row group: *ret_bits is a bitmap, valid until the next call. Returns how many are
 * selected, or an error. */
SHARD_NODISCARD int64_t fmt_select_group(struct fmt_select *s, uint64_t group,
                                         const uint8_t **ret_bits, struct shard_error *err);
/* Whether the values of a column are read for the filter. */
bool fmt_select_reads(const struct fmt_select *s, uint32_t column);
/* That column of the last row group, where rows of it are selected. */
const struct shard_array *fmt_select_array(const struct fmt_select *s, uint32_t column);
const struct fmt_select_counts *fmt_select_counts(const struct fmt_select *s);

#endif
