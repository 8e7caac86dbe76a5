/* Statistics of one column chunk. */
#ifndef FMT_STATS_H
#define FMT_STATS_H

#include "shardfmt/group.h"

/* All but n_distinct, which encoding finds out by the way. */
void fmt_stats_compute(const struct shard_array *a, struct fmt_chunk_stats *ret);

#endif
