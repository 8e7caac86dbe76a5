/* Building the dictionary of a page: its distinct values in order of first appearance, and a code
 * for every value. Not thread-safe; buffers are kept between uses. */
#ifndef FMT_DICT_H
#define FMT_DICT_H

#include "lib/buf.h"
#include "shardline/fmt.h"

struct fmt_dict {
    uint32_t n;             /* entries */
    uint64_t n_bytes;       /* of the entries of strings */
    struct base_buf codes;  /* uint32 per value */
    struct base_buf values; /* entries of numbers */
    struct base_buf rows;   /* uint32 per entry of strings: the row where it first stands */
    struct base_buf hashes; /* uint64 per entry of strings */
    struct base_buf table;  /* uint32 slots: entry + 1 */
};

void fmt_dict_done(struct fmt_dict *d);
/* n values of size bytes. Returns 1, 0 where there are more than max of them, or -ENOMEM. */
SHARD_NODISCARD int fmt_dict_numbers(struct fmt_dict *d, const void *values, size_t size, size_t n,
                                     uint32_t max);
/* n rows of strings from row0 on, every stride-th; null rows get no code.
 * Returns 1, 0 where there are more than max entries or max_bytes of their bytes, or -ENOMEM. */
SHARD_NODISCARD int fmt_dict_strings(struct fmt_dict *d, const struct shard_array *a, uint64_t row0,
                                     size_t n, size_t stride, uint32_t max, uint64_t max_bytes);

#endif
