/* A value that is too large for memory, on its way from an input into a shard: cut into pieces that
 * are stored as the shard will have them, in a temporary file without a name. Written by one
 * thread; once ended it is read-only and may be shared. */
#ifndef FMT_SPOOLED_H
#define FMT_SPOOLED_H

#include "lib/codec.h"
#include "lib/hash.h"
#include "shardfmt/group.h"

#define FMT_SPOOLED_HEAD 32u /* first bytes that are kept, for statistics */

struct fmt_spooled {
    uint64_t len;                      /* bytes of the value */
    uint8_t head[FMT_SPOOLED_HEAD];    /* its first ones, zeros behind a shorter value */
    struct base_hash128 string_cell;   /* its hash in a row, where the column is a string, */
    struct base_hash128 binary_cell;   /* and where it is binary */
    const struct fmt_page *pieces;     /* off: in the temporary file */
    uint32_t n_pieces;
};

/* Begin a value for the column of that name (its row hash depends on it). dirfd: where the temporary
 * file is made; -1: keep no bytes, only what the struct has, for a dry run. */
SHARD_NODISCARD int fmt_spooled_new(int dirfd, const char *column, int zstd_level,
                                    struct fmt_spooled **ret, struct shard_error *err);
SHARD_NODISCARD int fmt_spooled_put(struct fmt_spooled *s, const void *data, size_t len,
                                    struct shard_error *err);
/* That was all: from here on the value is what the struct says. */
SHARD_NODISCARD int fmt_spooled_end(struct fmt_spooled *s, struct shard_error *err);
struct fmt_spooled *fmt_spooled_ref(struct fmt_spooled *s);
void fmt_spooled_unref(struct fmt_spooled *s); /* accepts NULL */
/* The stored bytes of a piece, at most FMT_INLINE_MAX, checked. */
SHARD_NODISCARD int fmt_spooled_read(const struct fmt_spooled *s, uint32_t piece, uint8_t *ret,
                                     struct shard_error *err);

#endif
