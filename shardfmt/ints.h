/* The numbers of one stream, in the file and in memory: plain, constant, runs, packed, differences,
 * byte planes. (A dictionary is two streams of them.) */
#ifndef FMT_INTS_H
#define FMT_INTS_H

#include "lib/buf.h"
#include "shardfmt/bitpack.h"
#include "shardfmt/layout.h"
#include "shardfmt/rle.h"

/* What sort of numbers. Floats are neither narrowed nor packed nor subtracted. */
struct fmt_ints_kind {
    uint8_t size; /* of a value in memory: 1, 2, 4 or 8 */
    bool is_int, is_signed;
};

/* How to store them. */
struct fmt_ints_way {
    uint8_t encoding;
    uint8_t inner; /* DELTA: how the differences are stored, which is not DELTA again */
    uint8_t bytes; /* not DELTA: the fewest that hold each of the values, where that is known; else 0 */
};

struct fmt_ints_scratch {
    struct base_buf runs, deltas;
};
void fmt_ints_scratch_done(struct fmt_ints_scratch *s);

/* Append n > 0 values, stored that way, to out, at the fewest bytes per value that the encoding
 * allows. Returns the stream's size field (bytes per value), or -ENOMEM. */
SHARD_NODISCARD int fmt_ints_append(struct base_buf *out, struct fmt_ints_scratch *scratch,
                                    struct fmt_ints_way way, struct fmt_ints_kind kind,
                                    const void *values, size_t n);
/* The fewest bytes that hold every value of a range. */
size_t fmt_ints_narrowest(struct fmt_range r, size_t size, bool is_signed);

/* A stream of numbers as it stands in a page. Untrusted. */
struct fmt_stream_in {
    const uint8_t *data; /* len bytes; NULL where the page has no such stream */
    uint32_t count, len;
    uint8_t role, encoding, size;
};

/* Its values, in blocks of FMT_FOR_BLOCK. */
struct fmt_ints_reader {
    struct fmt_ints_kind kind;
    uint8_t role, encoding;
    bool is_delta;
    size_t stored; /* bytes per value in the file */
    size_t n, left;
    const uint8_t *in;
    uint64_t sum; /* DELTA: the last value */
    struct fmt_for_reader packed;
    struct fmt_rle_reader runs;
};
/* n values of size bytes; floats have is_int false. Returns 0; SHARD_ECORRUPT; SHARD_EUNSUPPORTED for an encoding that such values do not
 * have. */
SHARD_NODISCARD int fmt_ints_open(struct fmt_ints_reader *r, const struct fmt_stream_in *s,
                                  size_t size, bool is_int, bool is_signed, size_t n,
                                  struct shard_error *err);
/* The next min(left, FMT_FOR_BLOCK) into dst; how many, or SHARD_ECORRUPT. */
SHARD_NODISCARD int fmt_ints_next(struct fmt_ints_reader *r, void *dst, struct shard_error *err);
/* All of them. */
SHARD_NODISCARD int fmt_ints_all(const struct fmt_stream_in *s, size_t size, bool is_int,
                                 bool is_signed, size_t n, void *dst, struct shard_error *err);

#endif
