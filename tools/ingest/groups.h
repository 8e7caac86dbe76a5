/* Row groups in the making: rows that the sequencer picked are gathered into columns, encoded and
 * compressed by the crew, and written by one thread in the order in which the groups were closed.
 *
 *   lane (a split, or quarantine)
 *     open group <- gather: rows of a batch, copied while the next batch is sequenced
 *     closed     -> encode -> out, in closing order -> writer thread -> shard files
 *
 * Rows are gathered at once, not when the group closes, so that a batch of which few rows are new
 * does not stay in memory for their sake. Where pages are small, the first group of rows that closes
 * trains dictionaries for all; others wait for it with being encoded. A group's gathers run one after the other, each on
 * some pool thread. All functions are the deciding thread's. */
#ifndef INGEST_GROUPS_H
#define INGEST_GROUPS_H

#include <pthread.h>

#include "lib/queue.h"
#include "shardfmt/zdict.h"
#include "shardfmt/snapshot.h"
#include "tools/ingest/reader.h"

#define INGEST_GROUP_ROWS_MAX (1u << 24) /* rows may have no bytes at all */

/* A shard file in its place. */
struct ingest_stored {
    char path[256];
    struct fmt_shard_info info;
};

struct ingest_group;

struct ingest_lane {
    const char *label;               /* name of the split; "" for quarantine */
    const char *folder;              /* FMT_DIR_* */
    const struct fmt_schema *schema;
    const struct fmt_rowhash *hash;  /* to check what was gathered; NULL: the caller fills columns */
    uint64_t raw_limit;              /* a group closes when it has so many raw bytes */
    struct ingest_group *open;       /* or NULL */
    /* The writer thread's until ingest_groups_finish(): */
    struct fmt_writer *writer;
    char tmp_path[FMT_TMP_PATH_MAX];
    struct ingest_stored *shards;    /* in order */
    size_t n_shards, cap_shards;
};

struct ingest_groups {
    struct ingest_crew *crew;
    int dirfd;                       /* of the dataset; -1 = write nothing */
    const char *dataset;             /* its name, for messages */
    struct fmt_encode_opts encode;
    uint64_t shard_bytes;            /* stored; a shard ends with the group that reaches it */
    struct ingest_lane *lanes;       /* n_lanes */
    size_t n_lanes;
    struct ingest_group *out, **out_end; /* closed, not yet given to the writer, in order */
    unsigned n_closed;               /* closed, not yet written */
    bool train;                      /* dictionaries are wanted, and not there yet */
    struct ingest_group *trainer;    /* the group that makes them; NULL: none has closed yet */
    struct fmt_zdicts zdicts;        /* for all groups of rows */
    struct base_hash128 sum;         /* of the hashes of the rows written */
    struct base_queue queue;         /* to the writer thread */
    pthread_t writer;
    bool started;
    uint64_t bytes_out;              /* of images written; after finish */
    int result;                      /* the first failure; err says what */
    struct shard_error err;
    int writer_result;               /* the writer thread's until finish */
    struct shard_error writer_err;
};

/* lanes stay the caller's, label to raw_limit filled in, the rest zero. */
SHARD_NODISCARD int ingest_groups_open(struct ingest_groups *gs, struct ingest_crew *crew,
                                       int dirfd, const char *dataset,
                                       const struct fmt_encode_opts *encode,
                                       uint64_t shard_bytes, struct ingest_lane *lanes,
                                       size_t n_lanes, struct shard_error *err);
/* Add row `row` of block `block` of b to the lane. */
SHARD_NODISCARD int ingest_groups_add(struct ingest_groups *gs, struct ingest_lane *lane,
                                      struct ingest_batch *b, uint32_t block, uint32_t row);
/* The columns of the lane's open group, for a lane whose caller fills them; and then that a row of
 * raw bytes was added. */
SHARD_NODISCARD int ingest_groups_columns(struct ingest_groups *gs, struct ingest_lane *lane,
                                          struct fmt_column **ret_cols);
void ingest_groups_added(struct ingest_groups *gs, struct ingest_lane *lane, uint64_t raw);
/* All rows of the batch were added: let them be gathered. */
void ingest_groups_end_batch(struct ingest_groups *gs);
/* Close what is open: no more rows will come. */
void ingest_groups_close_all(struct ingest_groups *gs);
/* Once n_closed is 0: finish the last shards, stop the writer. The lanes' shards are then known. */
SHARD_NODISCARD int ingest_groups_finish(struct ingest_groups *gs, struct shard_error *err);
/* Free everything, finished or not. The crew must have nothing out. Accepts a zeroed one. */
void ingest_groups_done(struct ingest_groups *gs);

#endif
