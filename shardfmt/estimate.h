/* Estimating what zstd would make of some bytes, for choosing among ways to store them: mostly within some percent of
 * its level 1, in a third of the time, and the same whatever the version of zstd. Integers only, so
 * that every machine comes to the same choice. */
#ifndef FMT_ESTIMATE_H
#define FMT_ESTIMATE_H

#include <stddef.h>
#include <stdint.h>

#define FMT_ESTIMATE_HASH_LOG 12

/* Kept from use to use; zero before the first. Not thread-safe. */
struct fmt_estimator {
    uint32_t begun; /* lower positions in the table are those of earlier inputs */
    uint32_t table[1u << FMT_ESTIMATE_HASH_LOG];
};

/* Bytes of the frame, n at most. */
size_t fmt_estimate(struct fmt_estimator *e, const void *data, size_t n);

#endif
