/* Frame of reference with bit packing, encoding FMT_ENC_FOR. docs/format.md, "FOR", is normative.
 *
 *   width[n_blocks]         u8, bits per value of the block, 0 to 8 * size
 *   base[n_blocks]          size bytes each, the block's smallest value
 *   packed values           block by block
 *
 * A block is 1,024 values, the last one what is left. A whole block of width w takes 128 w bytes and
 * is interleaved over lanes, so that plain C loops over the lanes turn into vector code. The last
 * block, where it is not whole, is one bit string, ceil(n w / 8) bytes. */
#ifndef FMT_BITPACK_H
#define FMT_BITPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shardfmt/range.h"
#include "shardline/status.h"

#define FMT_FOR_BLOCK 1024u

/* Bytes that n values of size 1, 2, 4 or 8 bytes take. is_signed decides what the smallest is. */
size_t fmt_for_size(const void *values, size_t size, bool is_signed, size_t n);
/* The same, and the range of all values (0 where n is 0). */
size_t fmt_for_measure(const void *values, size_t size, bool is_signed, size_t n,
                       struct fmt_range *ret_range);
/* The most that n values of size bytes may take. */
size_t fmt_for_bound(size_t size, size_t n);
/* Encode into dst, which has room for fmt_for_bound() bytes. Returns how many it took, which is
 * fmt_for_size(). */
size_t fmt_for_encode(const void *values, size_t size, bool is_signed, size_t n, uint8_t *dst);

/* Decoding block by block from untrusted bytes. */
struct fmt_for_reader {
    const uint8_t *width, *base, *in, *end;
    size_t size, left; /* bytes per value; values still to come */
};
/* n values in exactly len bytes. Returns 0 or SHARD_ECORRUPT. */
SHARD_NODISCARD int fmt_for_open(struct fmt_for_reader *r, const uint8_t *src, size_t len,
                                 size_t size, size_t n, struct shard_error *err);
/* The next block, FMT_FOR_BLOCK values or what is left, into dst. Returns how many values, or
 * SHARD_ECORRUPT. Call until nothing is left: the last block checks the end. */
SHARD_NODISCARD int fmt_for_next(struct fmt_for_reader *r, void *dst, struct shard_error *err);

/* One whole block: FMT_FOR_BLOCK values of w bits, 128 * w bytes. For tests and benchmarks. */
void fmt_unpack32(const uint8_t *src, unsigned w, uint32_t *restrict dst); /* w <= 32 */
void fmt_unpack64(const uint8_t *src, unsigned w, uint64_t *restrict dst); /* 32 < w <= 64 */

#endif
