/* One page as an input of a fuzz target, and pages made from streams. */
#ifndef TESTS_FUZZ_CHUNK_H
#define TESTS_FUZZ_CHUNK_H

#include "shardfmt/decode.h"
#include "tests/fuzz/fuzz.h"

#define HOW_PACKED     1u /* the page goes through zstd */
#define HOW_TWICE      2u /* the chunk is the page, twice */
#define HOW_AGAIN_ZSTD 4u /* encode again: with zstd */
#define HOW_AGAIN_4K   8u /* encode again: small pages */
#define HOW_FAR        16u /* out-of-line values of more than 16 bytes stay out of the array */
#define HOW_DICT       32u /* the page goes through zstd with a dictionary of the column */
#define HOW_LARGE      64u /* the first piece is of a mebibyte; tensors of two dimensions get a third,
                             * 64. So out-of-line values can be longer than inputs */

#define FUZZ_LARGE (FMT_INLINE_MAX + 64u) /* both pieces then */

struct fuzz_page_in {
    struct shard_field field;
    uint32_t how, n_rows, data_len;
    const uint8_t *raw; /* the page, len bytes */
    uint32_t len;
};

/* Decode the row group that consists of the page; two pieces lie in its bytes. What ret points to
 * lives until the next call. */
int fuzz_page_decode(const struct fuzz_page_in *in, struct shard_array *ret,
                     struct shard_error *err);
/* Encode what it decoded to, decode, compare. */
void fuzz_page_again(const struct fuzz_page_in *in, const struct shard_array *a);
/* A page of these streams, appended to an empty ret. */
void fuzz_page_build(uint32_t n_rows, const struct fmt_stream_in *streams, uint32_t n,
                     struct base_buf *ret);

#endif
