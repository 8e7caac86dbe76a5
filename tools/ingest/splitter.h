/* Which split a row belongs to: its key's hash as a fraction, against the shares. So rows with equal
 * keys are never on two sides, whatever else is in the input. Read-only after init. */
#ifndef INGEST_SPLITTER_H
#define INGEST_SPLITTER_H

#include "lib/hash.h"
#include "shardline/status.h"
#include "tools/ingest/ingest.h"

struct ingest_splitter {
    double *ends; /* n; cumulative shares; the last is above every fraction */
    size_t n;
};

/* n_splits 0: one split takes all. Returns 0 or -ENOMEM. */
SHARD_NODISCARD int ingest_splitter_init(struct ingest_splitter *s,
                                         const struct ingest_split *splits, size_t n_splits);
void ingest_splitter_done(struct ingest_splitter *s);
/* Index of the split. */
size_t ingest_splitter_pick(const struct ingest_splitter *s, struct base_hash128 key);

#endif
