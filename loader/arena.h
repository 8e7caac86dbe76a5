/* Big blocks of memory under one budget: read buffers and batches. Freed blocks are kept and lent
 * again, as mapping and touching fresh pages costs as much as decoding half of their content.
 *
 * Counted: the loader holds an arena, and so does every block that is lent, so that batches outlive
 * the loader. Internally locked; the lock is a leaf. */
#ifndef LOADER_ARENA_H
#define LOADER_ARENA_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/budget.h"
#include "shardline/status.h"

#define LOADER_BLOCK_CLASSES 256

struct loader_arena;

struct loader_block {
    struct loader_block *next; /* the arena's while it is not lent */
    struct loader_arena *arena;
    uint8_t *data;             /* page aligned */
    size_t cap;
};

struct loader_arena {
    pthread_mutex_t lock;
    struct base_budget budget;   /* charged for every mapped block, and by the owner for more */
    struct loader_block *free[LOADER_BLOCK_CLASSES]; /* by size; under lock */
    uint64_t free_bytes;         /* under lock */
    uint32_t refs;               /* under lock */
};

/* What a block of len bytes takes: sizes are rounded up by at most an eighth. */
size_t loader_block_round(size_t len);

SHARD_NODISCARD int loader_arena_new(uint64_t limit, struct loader_arena **ret);
/* The owner's reference; accepts NULL. */
void loader_arena_unref(struct loader_arena *a);
/* A block of at least len bytes, or NULL: with errno EAGAIN where the budget has no room (not with
 * force), ENOMEM where the system has none. */
struct loader_block *loader_block_get(struct loader_arena *a, size_t len, bool force);
void loader_block_put(struct loader_block *b); /* accepts NULL; any thread */
/* Take len bytes from the budget, giving up kept blocks where that helps. */
bool loader_arena_take(struct loader_arena *a, uint64_t len);
/* Bytes that are not lent: what a new block may still take. */
uint64_t loader_arena_room(struct loader_arena *a);

#endif
