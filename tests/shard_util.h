/* One shard file in a temporary directory, for tests of encoding and of shard files. Aborts where
 * the system fails; what the format does is returned. */
#ifndef TESTS_SHARD_UTIL_H
#define TESTS_SHARD_UTIL_H

#include "shardfmt/shard.h"

/* Write one shard of the row groups given, each an array per field: groups[g * n_fields + c].
 * The bytes of the file are appended to ret. */
int shard_util_write(const struct fmt_schema *s, const struct fmt_encode_opts *opts,
                     const struct shard_array *groups, uint32_t n_groups, struct base_buf *ret,
                     struct fmt_shard_info *ret_info, struct shard_error *err);
/* Load the footer of a shard that stands in memory. */
int shard_util_load(const void *file, size_t len, uint32_t tail_bytes,
                    struct fmt_footer **ret, struct shard_error *err);
/* Decode chunk (g, c) of a shard that stands in memory. */
int shard_util_decode(const struct fmt_footer *f, const struct base_buf *file, uint32_t g,
                      uint32_t c, struct base_codec *codec, struct fmt_decoded *d,
                      struct shard_array *ret, struct shard_error *err);
/* A fmt_read_fn over a struct base_buf. */
int shard_util_read(void *file, uint64_t off, void *buf, size_t len, struct shard_error *err);


#endif
