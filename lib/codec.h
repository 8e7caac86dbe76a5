/* zstd with contexts that are made once: one base_codec per thread. Not thread-safe. Dictionaries are
 * read-only once they are made: share them freely. */
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
/* Level 3, but with a larger table and window: for more than 128 KiB of text. */
#define BASE_LEVEL_TEXT 100
/* Compress into dst; level as zstd has it, or BASE_LEVEL_TEXT. The frame has a content size and no checksum (pages
 * have their own). Returns the compressed length, or -ENOMEM, or -ENOSPC where dst_cap is too
 * small. Pure: same bytes for the same input, level and zstd version. */
SHARD_NODISCARD int64_t base_codec_compress(struct base_codec *c, int level, void *dst,
                                            size_t dst_cap, const void *src, size_t src_len);
/* Decompress one frame that must give exactly raw_len bytes into dst (cap raw_len).
 * Returns 0, SHARD_ECORRUPT or -ENOMEM. */
SHARD_NODISCARD int base_codec_decompress(struct base_codec *c, void *dst, size_t raw_len,
                                          const void *src, size_t src_len,
                                          struct shard_error *err);

/* ------------------------------------------------------------------------------ dictionaries */

struct base_dict;

#define BASE_DICT_MIN 256u /* bytes that training needs room for, at least */

/* Train on n samples that stand one behind the other: up to cap bytes, in the format of RFC 8878,
 * chapter 5, into dst. Returns their number, 0 where these samples give none, or -ENOMEM. Pure: same
 * bytes for the same samples and zstd version. */
SHARD_NODISCARD int64_t base_dict_train(void *dst, size_t cap, const void *samples,
                                        const size_t *sizes, uint32_t n);
/* Copies data. level: as for base_codec_compress(); 0 = for decompression only. Returns 0, -ENOMEM, or
 * SHARD_ECORRUPT where it is no dictionary. */
SHARD_NODISCARD int base_dict_new(const void *data, size_t len, int level,
                                  struct base_dict **ret_dict);
void base_dict_free(struct base_dict *d); /* accepts NULL */
const void *base_dict_data(const struct base_dict *d, size_t *ret_len);
uint64_t base_dict_memory(const struct base_dict *d); /* bytes held */

/* As without, but with a dictionary; the frame does not name it. */
SHARD_NODISCARD int64_t base_codec_compress_with(struct base_codec *c, const struct base_dict *d,
                                                 void *dst, size_t dst_cap, const void *src,
                                                 size_t src_len);
SHARD_NODISCARD int base_codec_decompress_with(struct base_codec *c, const struct base_dict *d,
                                               void *dst, size_t raw_len, const void *src,
                                               size_t src_len, struct shard_error *err);

#endif
