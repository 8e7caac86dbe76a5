/* zstd with contexts that are made once: one base_codec per thread. Not thread-safe. */
#ifndef BASE_CODEC_H
#define BASE_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "shardline/status.h"

struct base_codec;

/* Contexts are made on first use. Returns 0 or -ENOMEM. */
SHARD_NODISCARD int base_codec_new(struct base_codec **ret_codec);
void base_codec_free(struct base_codec *c); /* accepts NULL */

/* Room that any src_len bytes fit in when compressed. */
size_t base_codec_bound(size_t src_len);
/* Compress into dst; level as zstd has it. The frame has a content size and no checksum (pages
 * have their own). Returns the compressed length, or -ENOMEM, or -ENOSPC where dst_cap is too
 * small. Pure: same bytes for the same input, level and zstd version. */
SHARD_NODISCARD int64_t base_codec_compress(struct base_codec *c, int level, void *dst,
                                            size_t dst_cap, const void *src, size_t src_len);
/* Decompress one frame that must give exactly raw_len bytes into dst (cap raw_len).
 * Returns 0, SHARD_ECORRUPT or -ENOMEM. */
SHARD_NODISCARD int base_codec_decompress(struct base_codec *c, void *dst, size_t raw_len,
                                          const void *src, size_t src_len,
                                          struct shard_error *err);

#endif
