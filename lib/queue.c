#include "config.h"
#include "lib/queue.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/arith.h"
#include "lib/clock.h"

int
base_queue_init(struct base_queue *q, size_t cap)
{
    pthread_condattr_t attr;
    size_t size;

    if (cap == 0)
        cap = 1;
    if (base_mul_size(cap, sizeof(*q->items), &size) < 0)
        return -ENOMEM;
    q->items = malloc(size);
    if (q->items == NULL)
        return -ENOMEM;
    q->cap = cap;
    q->head = q->count = 0;
    q->closed = false;
    (void)pthread_mutex_init(&q->lock, NULL); /* these cannot fail with glibc and musl */
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC); /* timeouts survive clock changes */
    (void)pthread_cond_init(&q->not_empty, &attr);
    (void)pthread_cond_init(&q->not_full, &attr);
    (void)pthread_condattr_destroy(&attr);
    return 0;
}

void
base_queue_done(struct base_queue *q)
{
    free(q->items);
    q->items = NULL;
    (void)pthread_cond_destroy(&q->not_full);
    (void)pthread_cond_destroy(&q->not_empty);
    (void)pthread_mutex_destroy(&q->lock);
}

int
base_queue_push(struct base_queue *q, void *item)
{
    int r = 0;

    (void)pthread_mutex_lock(&q->lock);
    while (!q->closed && q->count == q->cap)
        (void)pthread_cond_wait(&q->not_full, &q->lock);
    if (q->closed) {
        r = -ECANCELED;
    } else {
        q->items[(q->head + q->count) % q->cap] = item;
        q->count++;
        (void)pthread_cond_signal(&q->not_empty);
    }
    (void)pthread_mutex_unlock(&q->lock);
    return r;
}

int
base_queue_pop(struct base_queue *q, void **ret_item, int64_t timeout_ms)
{
    struct timespec deadline = {0};
    int r = 0;

    if (timeout_ms > 0)
        deadline = base_deadline(timeout_ms);
    (void)pthread_mutex_lock(&q->lock);
    while (!q->closed && q->count == 0 && r == 0) {
        if (timeout_ms < 0)
            (void)pthread_cond_wait(&q->not_empty, &q->lock);
        else if (timeout_ms == 0)
            r = ETIMEDOUT;
        else
            r = pthread_cond_timedwait(&q->not_empty, &q->lock, &deadline);
    }
    if (q->count > 0) { /* also where the item came with the timeout */
        *ret_item = q->items[q->head];
        q->head = (q->head + 1) % q->cap;
        q->count--;
        (void)pthread_cond_signal(&q->not_full);
        r = 1;
    } else {
        r = q->closed ? 0 : -ETIMEDOUT;
    }
    (void)pthread_mutex_unlock(&q->lock);
    return r;
}

void
base_queue_close(struct base_queue *q)
{
    (void)pthread_mutex_lock(&q->lock);
    q->closed = true;
    (void)pthread_cond_broadcast(&q->not_empty);
    (void)pthread_cond_broadcast(&q->not_full);
    (void)pthread_mutex_unlock(&q->lock);
}
