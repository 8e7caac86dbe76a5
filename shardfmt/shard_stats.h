/* Statistics of whole shards, as segments keep them, so that a reader can tell without opening a shard
 * that nothing in it is wanted: minimum, maximum and nulls of the first columns that can have them.
 * docs/format.md, chapter 14, has the bytes. */
#ifndef FMT_SHARD_STATS_H
#define FMT_SHARD_STATS_H

#include "shardfmt/snapshot.h"

/* Gather the statistics of a shard's chunks (n_groups * n_fields of them; NULL = none). Returns how
 * many of ret's bytes are used. Pure. */
uint32_t fmt_shard_stats_make(const struct fmt_schema *s, const struct fmt_chunk_stats *chunks,
                              const uint32_t *group_rows, uint32_t n_groups,
                              uint8_t ret[FMT_SHARD_STATS_MAX]);
/* Whether bytes from a file can be statistics of a shard of n_rows rows: 0, or SHARD_ECORRUPT. */
SHARD_NODISCARD int fmt_shard_stats_check(const uint8_t *bytes, size_t len, uint32_t n_columns,
                                          uint64_t n_rows);
/* Whether the entry's statistics are those of the shard's footer, or none, or not loaded. */
bool fmt_shard_stats_agree(const struct fmt_shard_entry *e, const struct fmt_footer *f);
/* Those of a column, out of checked bytes; false where there are none. Only what shards keep is set. */
bool fmt_shard_stats_get(const uint8_t *bytes, size_t len, uint32_t column,
                         struct fmt_chunk_stats *ret);

#endif
