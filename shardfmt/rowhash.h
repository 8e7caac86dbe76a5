/* The fingerprint of rows: XXH3-128 over names, types and values in name order, summed modulo
 * 2^128 over rows, so that it is the same for any order and any sharding. docs/format.md. */
#ifndef FMT_ROWHASH_H
#define FMT_ROWHASH_H

#include "lib/hash.h"
#include "shardfmt/schema.h"

struct fmt_rowhash; /* the plan for one schema and one choice of columns; read-only after new */

/* cols: which columns count (NULL = all n_fields). Their order does not matter: names are sorted.
 * Nulls do not count (a row hashes alike with and without a column that is null in it). */
SHARD_NODISCARD int fmt_rowhash_new(const struct fmt_schema *s, const uint32_t *cols,
                                    uint32_t n_cols, struct fmt_rowhash **ret);
void fmt_rowhash_free(struct fmt_rowhash *h);
/* The seed of a column's cells, where its type has no parameters. */
uint64_t fmt_rowhash_seed(const char *name, enum shard_type type, enum shard_type elem);
/* Hash rows [row0, row0 + n) of arrays (one per schema field) into ret[n]. */
void fmt_rowhash_rows(const struct fmt_rowhash *h, const struct shard_array *arrays,
                      uint64_t row0, uint64_t n, struct base_hash128 *ret);

#endif
