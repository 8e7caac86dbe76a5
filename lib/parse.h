/* Numbers and sizes as people type them on a command line. */
#ifndef BASE_PARSE_H
#define BASE_PARSE_H

#include <stdint.h>

#include "shardline/status.h"

/* "64", "4K", "256M", "2G", "1T" (powers of 1024; an optional iB or B follows). what is the
 * option's name for the message. Returns 0 or SHARD_EPARSE. */
SHARD_NODISCARD int base_parse_size(const char *text, const char *what, uint64_t *ret,
                                    struct shard_error *err);
/* A whole number in [min, max]. */
SHARD_NODISCARD int base_parse_u64(const char *text, const char *what, uint64_t min, uint64_t max,
                                   uint64_t *ret, struct shard_error *err);
/* A finite number in [min, max]. Locale-independent. */
SHARD_NODISCARD int base_parse_double(const char *text, const char *what, double min, double max,
                                      double *ret, struct shard_error *err);

#endif
