/* Statistics of one column chunk. */
#ifndef FMT_STATS_H
#define FMT_STATS_H

#include "shardfmt/group.h"

/* All but n_distinct, which encoding finds out by the way. */
void fmt_stats_compute(const struct shard_array *a, struct fmt_chunk_stats *ret);

/* Whether values of a type have a minimum and a maximum. */
bool fmt_stats_ordered(enum shard_type type);
/* Make *sum, zeroed before the first, what it is of all chunks of a column so far and of one more; all
 * but n_distinct. False where the column is ordered and the chunk has values of which it does not
 * say minimum and maximum: sum then says nothing about them either. */
bool fmt_stats_merge(enum shard_type type, struct fmt_chunk_stats *sum,
                     const struct fmt_chunk_stats *chunk, uint64_t n_rows);

#endif
