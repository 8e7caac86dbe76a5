/* Run lengths, encoding FMT_ENC_RLE. docs/format.md, "RLE", is normative.
 *
 *   u8 length - 1 of each run;  the value of each run, stored bytes each (as PLAIN has them)
 *
 * Longer runs than 256 are several: they hardly cost more, and the lengths stay bytes. */
#ifndef FMT_RLE_H
#define FMT_RLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shardline/status.h"

#define FMT_RUN_MAX 256u

/* How many runs n values of size 1, 2, 4 or 8 bytes are; some number above max where they are more. */
size_t fmt_rle_runs(const void *values, size_t size, size_t n, size_t max);
/* The length of each run less one at lengths, its value (size bytes) at run_values; there are
 * fmt_rle_runs() of them. */
void fmt_rle_split(const void *values, size_t size, size_t n, uint8_t *lengths, void *run_values);

/* Decoding in blocks from untrusted bytes. */
struct fmt_rle_reader {
    const uint8_t *length, *value; /* of the run at hand */
    size_t n_runs;                 /* left, the one at hand included */
    size_t done;                   /* values of the one at hand that were given */
    size_t stored, size;           /* bytes of a value in the file and in memory */
    bool is_signed;
};
/* Runs in exactly len bytes. Returns 0 or SHARD_ECORRUPT. */
SHARD_NODISCARD int fmt_rle_open(struct fmt_rle_reader *r, const uint8_t *src, size_t len,
                                 size_t stored, size_t size, bool is_signed,
                                 struct shard_error *err);
/* The next n values into dst, the last ones where last is set. Returns 0 or SHARD_ECORRUPT: too few,
 * or too many. */
SHARD_NODISCARD int fmt_rle_next(struct fmt_rle_reader *r, size_t n, bool last, void *dst,
                                 struct shard_error *err);

#endif
