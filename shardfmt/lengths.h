/* The length index: how many elements each row of a list column has, in a page of its own per row group,
 * so that who plans by lengths reads no values. Such a page is one of a nullable column of uint32. The
 * footer's section LENGTHS lists those that there are; where the index would be more than a hundredth
 * of the chunk there is none. */
#ifndef FMT_LENGTHS_H
#define FMT_LENGTHS_H

#include "shardfmt/shard.h"

/* Whether columns of such a type have an index. */
bool fmt_lengths_wanted(enum shard_type type, enum shard_type elem);
/* Bytes in the file that an index may cost, its entry in the footer included, for a chunk of so many. */
uint64_t fmt_lengths_allowed(uint64_t chunk_bytes);
/* Lengths of the rows of an array that has offsets, far values included, as an array of uint32. Its
 * values are put into *buf. -ENOMEM, or SHARD_ELIMIT where one is over 4 GiB. */
SHARD_NODISCARD int fmt_lengths_of(const struct shard_array *a, struct base_buf *buf,
                                   struct shard_array *ret);

/* The index page of a chunk, or NULL. */
const struct fmt_page *fmt_lengths_find(const struct fmt_footer *f, uint32_t group,
                                        uint32_t column);
/* Verify and decode it: an array of uint32, null where the row is. stored is needed during the call
 * only; the array lives in d until its next use. */
SHARD_NODISCARD int fmt_lengths_decode(const struct fmt_footer *f, uint32_t group, uint32_t column,
                                       const uint8_t *stored, struct base_codec *codec,
                                       const char *file, struct fmt_decoded *d,
                                       struct shard_array *ret, struct shard_error *err);

#endif
