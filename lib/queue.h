/* A bounded blocking queue of pointers between threads. Internally locked. */
#ifndef BASE_QUEUE_H
#define BASE_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shardline/status.h"

struct base_queue {
    pthread_mutex_t lock;
    pthread_cond_t not_empty, not_full;
    void **items;      /* ring of cap pointers, under lock */
    size_t cap, head, count;
    bool closed;       /* under lock */
};

SHARD_NODISCARD int base_queue_init(struct base_queue *q, size_t cap); /* 0 or -ENOMEM */
void base_queue_done(struct base_queue *q); /* must be empty of owned items; no waiters */
/* Wait for room, then add. 0, or -ECANCELED after close (the caller keeps item). */
SHARD_NODISCARD int base_queue_push(struct base_queue *q, void *item);
/* Wait for an item at most timeout_ms (< 0: for ever). 1 item, 0 closed and empty,
 * -ETIMEDOUT. */
SHARD_NODISCARD int base_queue_pop(struct base_queue *q, void **ret_item, int64_t timeout_ms);
/* No more pushes; waiters wake. Items inside can still be popped. */
void base_queue_close(struct base_queue *q);

#endif
