/* Exact duplicates: the set of the keys (16-byte hashes) of all rows so far. In memory, within the
 * budget. Not thread-safe: the sequencer's.
 *
 * 256 tables, picked by eight bits of the key, each open-addressing with linear probing and grown
 * by a quarter when it is 80% full. So growing needs room for one 256th of the set, not for a
 * second copy of it, and a row takes some 22 bytes. */
#ifndef INGEST_DEDUP_H
#define INGEST_DEDUP_H

#include "lib/budget.h"
#include "lib/hash.h"
#include "shardline/status.h"

#define INGEST_DEDUP_TABLES 256u

struct ingest_dedup_table {
    struct base_hash128 *slots; /* cap; all zero = free */
    uint64_t cap, count;
};

struct ingest_dedup {
    struct ingest_dedup_table tables[INGEST_DEDUP_TABLES];
    struct base_budget *budget; /* what the slots are taken from */
    uint64_t count;             /* keys */
    uint64_t memory;            /* bytes taken from the budget */
};

void ingest_dedup_init(struct ingest_dedup *d, struct base_budget *budget);
void ingest_dedup_done(struct ingest_dedup *d);
/* 1 where the key is new (and now in the set), 0 where it was there, SHARD_EBUDGET where a new one
 * has no room, -ENOMEM. */
SHARD_NODISCARD int ingest_dedup_add(struct ingest_dedup *d, struct base_hash128 key);
/* The key will be added soon: fetch its slot. */
void ingest_dedup_prefetch(const struct ingest_dedup *d, struct base_hash128 key);

#endif
