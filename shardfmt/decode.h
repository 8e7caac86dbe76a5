/* Taking apart the raw bytes of a page. Everything here is untrusted: the hash says that the bytes
 * are those that somebody wrote, not that a writer of ours did. */
#ifndef FMT_DECODE_H
#define FMT_DECODE_H

#include "shardfmt/bitpack.h"
#include "shardfmt/group.h"
#include "shardfmt/layout.h"

struct fmt_stream_in {
    const uint8_t *data; /* len bytes; NULL where the page has no such stream */
    uint32_t count, len;
    uint8_t role, encoding, size;
};

struct fmt_page_in {
    uint32_t n_rows;
    const uint8_t *end; /* of the raw bytes */
    struct fmt_stream_in streams[FMT_ROLE_LAST + 1]; /* by role */
};

/* Returns 0; SHARD_ECORRUPT; SHARD_EUNSUPPORTED for a role, an encoding or a version of one that
 * this build does not know. */
SHARD_NODISCARD int fmt_page_parse(const uint8_t *raw, size_t raw_len, uint32_t n_rows,
                                   struct fmt_page_in *ret, struct shard_error *err);
/* Fails unless the page has exactly the streams of the set (1u << role), optional ones perhaps. */
SHARD_NODISCARD int fmt_page_expect(const struct fmt_page_in *p, uint32_t required,
                                    uint32_t optional, struct shard_error *err);

/* Values of a stream, in blocks of FMT_FOR_BLOCK. */
struct fmt_ints_reader {
    const struct fmt_stream_in *s;
    size_t size;    /* of a value in memory */
    bool is_signed;
    size_t left;
    const uint8_t *in;
    struct fmt_for_reader packed;
};
/* n values of size bytes from a stream of numbers; floats have is_int false and are plain or
 * constant. */
SHARD_NODISCARD int fmt_ints_open(struct fmt_ints_reader *r, const struct fmt_stream_in *s,
                                  size_t size, bool is_int, bool is_signed, size_t n,
                                  struct shard_error *err);
/* The next min(left, FMT_FOR_BLOCK) into dst; how many, or SHARD_ECORRUPT. */
SHARD_NODISCARD int fmt_ints_next(struct fmt_ints_reader *r, void *dst, struct shard_error *err);
/* All of them. */
SHARD_NODISCARD int fmt_ints_all(const struct fmt_stream_in *s, size_t size, bool is_int,
                                 bool is_signed, size_t n, void *dst, struct shard_error *err);

#endif
