/* Taking apart the raw bytes of a page. Everything here is untrusted: the hash says that the bytes
 * are those that somebody wrote, not that a writer of ours did. */
#ifndef FMT_DECODE_H
#define FMT_DECODE_H

#include "shardfmt/group.h"
#include "shardfmt/ints.h"
#include "shardfmt/layout.h"

struct fmt_page_in {
    uint32_t n_rows;
    const uint8_t *end; /* of the raw bytes */
    struct fmt_stream_in streams[FMT_ROLE_LAST + 1]; /* by role */
};

const char *fmt_role_name(unsigned role);
/* SHARD_EUNSUPPORTED: an encoding that this build lacks, at all or in such a stream. */
int fmt_fail_encoding(unsigned encoding, unsigned role, struct shard_error *err);
/* Returns 0; SHARD_ECORRUPT; SHARD_EUNSUPPORTED for a role, an encoding or a version of one that
 * this build does not know. */
SHARD_NODISCARD int fmt_page_parse(const uint8_t *raw, size_t raw_len, uint32_t n_rows,
                                   struct fmt_page_in *ret, struct shard_error *err);
/* Fails unless the page has exactly the streams of the set (1u << role), optional ones perhaps. */
SHARD_NODISCARD int fmt_page_expect(const struct fmt_page_in *p, uint32_t required,
                                    uint32_t optional, struct shard_error *err);

#endif
