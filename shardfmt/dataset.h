/* What an open dataset is, for the files that implement it. */
#ifndef FMT_DATASET_H
#define FMT_DATASET_H

#include "shardfmt/cache.h"

/* Fixed when it is opened, but for the cache, which locks itself. */
struct shard_dataset {
    char *path; /* as given, for messages */
    int dirfd;
    struct fmt_snapshot snapshot;
    char name[BASE_HEX128_LEN + 1];
    uint64_t n_rows, n_groups;
    uint64_t *shard_group0; /* n_shards: number of the shard's first row group */
    uint32_t *group_shard;  /* n_groups */
    uint64_t *group_row0;   /* n_groups */
    struct fmt_cache cache; /* valid where has_cache */
    bool has_cache;
};

#endif
