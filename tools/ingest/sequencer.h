/* The one place where order decides: takes batches strictly in the order of the input and says of
 * every row whether it is a duplicate, which split and which row group it goes to, and of every
 * bad record whether that was one too many. Cheap: all it reads of a row is hashes and a length.
 * So the result is the same for any number of threads. One thread. */
#ifndef INGEST_SEQUENCER_H
#define INGEST_SEQUENCER_H

#include "tools/ingest/dedup.h"
#include "tools/ingest/groups.h"
#include "tools/ingest/ingest.h"
#include "tools/ingest/splitter.h"

#define INGEST_RECORD_MAX   (1ull << 30) /* longer records are bad, whatever the budget */
#define INGEST_RECORD_SHARE 8u           /* a record may take so many parts of the budget */

struct ingest_sequencer {
    const struct ingest_opts *opts;
    struct ingest_groups *groups;
    struct ingest_lane *lanes;       /* one per split */
    struct ingest_lane *quarantine;
    struct ingest_splitter splitter;
    struct ingest_dedup dedup;
    struct ingest_result *ret;       /* its counts of rows are kept here */
    struct base_hash128 read_sum;    /* of the hashes of all rows but filtered ones */
    struct base_hash128 dropped_sum; /* of those of them that are not written */
    char *first_bad;                 /* place and reason, for messages; NULL = none yet; owned */
    double share;                    /* of the input that was taken, for messages; 0 = unknown */
};

/* SHARD_EBUDGET where the keys of all rows do not fit, SHARD_ELIMIT where surely too many records
 * are bad, SHARD_ECORRUPT for the first bad one under INGEST_ABORT. */
SHARD_NODISCARD int ingest_sequence(struct ingest_sequencer *sq, struct ingest_batch *b,
                                    struct shard_error *err);
void ingest_sequence_done(struct ingest_sequencer *sq);
/* After the last batch: SHARD_ELIMIT where too many records are bad. */
SHARD_NODISCARD int ingest_sequence_end(struct ingest_sequencer *sq, struct shard_error *err);

#endif
