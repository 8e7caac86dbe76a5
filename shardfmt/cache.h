/* The open shards of a dataset: a file descriptor and a footer each, only so
 * many of them kept that their number and the memory of their footers are within limits, so that neither descriptors nor
 * memory grow with the dataset. Internally locked. Opening happens outside of the lock; a shard that
 * is in use stays. */
#ifndef FMT_CACHE_H
#define FMT_CACHE_H

#include <pthread.h>

#include "shardfmt/snapshot.h"

#define FMT_CACHE_SHARDS 256u /* at most, whatever the limit */

/* An open shard. fd and footer are constant while it lives. */
struct fmt_open_shard {
    uint32_t shard;
    int fd;
    struct fmt_footer *footer;
    unsigned pins; /* users; under the cache's lock */
    uint64_t used; /* the cache's clock at its last use; under its lock */
    bool cached;   /* it is in the cache; under its lock */
    struct fmt_open_shard *next; /* of those that were put out; their finder's alone */
};

struct fmt_cache {
    int dirfd; /* borrowed, as is s; constant after init */
    const struct fmt_snapshot *s;
    uint32_t shards_max;
    uint64_t bytes_max; /* of footers; both constant after init */
    pthread_mutex_t lock;
    struct fmt_open_shard *open[FMT_CACHE_SHARDS]; /* under lock; NULL = free; shards_max used */
    uint64_t clock, bytes;                         /* under lock; bytes: of the footers in open */
};

SHARD_NODISCARD int fmt_cache_init(struct fmt_cache *c, int dirfd, const struct fmt_snapshot *s,
                                   uint32_t shards_max, uint64_t bytes_max);
void fmt_cache_done(struct fmt_cache *c); /* nothing may be in use */
/* Shard number `shard` of the snapshot, opened if need be. Release it when done. */
SHARD_NODISCARD int fmt_cache_acquire(struct fmt_cache *c, uint32_t shard,
                                      struct fmt_open_shard **ret, struct shard_error *err);
void fmt_cache_release(struct fmt_cache *c, struct fmt_open_shard *o);

#endif
