/* The dataset directory that an ingest writes into: made, locked, cleared of what a killed ingest
 * left, and taken away again where nothing came of it. Not thread-safe. */
#ifndef INGEST_TARGET_H
#define INGEST_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "shardline/status.h"

struct ingest_target {
    const char *path;
    int dirfd;          /* locked: one writer at a time; -1 = not open */
    bool made;          /* the directory itself was made here */
    uint64_t newest;    /* number of the newest root; 0 = no dataset yet */
};

/* Open or make path. Nothing in it is touched. -EEXIST where it is something else than a dataset,
 * an interrupted ingest or an empty directory; -EBUSY where another program is writing to it. */
SHARD_NODISCARD int ingest_target_open(struct ingest_target *t, const char *path,
                                       struct shard_error *err);
/* Ready to be written into: what an interrupted ingest left is gone, the folders are there. Only
 * where newest is 0. */
SHARD_NODISCARD int ingest_target_prepare(struct ingest_target *t, struct shard_error *err);
/* Remove the files below tmp/ of a dataset, whose lock the caller holds: nobody else writes them. What
 * cannot be removed stays; an error is that the folder cannot be read. */
int ingest_clean_tmp(int dirfd, struct shard_error *err);
/* Nothing was published: remove what was written, and the directory if it was made here. */
void ingest_target_abandon(struct ingest_target *t);
void ingest_target_close(struct ingest_target *t);
/* Sum of the sizes of all files below the dataset directory. */
SHARD_NODISCARD int ingest_dataset_bytes(int dirfd, uint64_t *ret, struct shard_error *err);

#endif
