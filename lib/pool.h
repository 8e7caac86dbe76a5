/* A pool of threads that run tasks, highest priority first, first come first served within one.
 *
 * A task is storage of the caller (embed it in your job), owned by the pool from submit until run
 * is called; run may free it or submit it again. Tasks must not wait for other tasks. */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "lib/codec.h"
#include "lib/cpu.h" /* base_cpu_count() is what n_threads defaults to */
#include "shardline/status.h"

struct base_pool;

/* What the pool lends to a running task; private to the thread that runs it. */
struct base_worker {
    unsigned id;              /* 0 .. n_threads - 1 */
    struct base_codec *codec; /* never NULL */
};

struct base_task {
    void (*run)(struct base_task *task, struct base_worker *worker);
    unsigned priority;        /* 0 .. BASE_POOL_PRIORITIES - 1; higher runs first */
    struct base_task *next;   /* the pool's while it is queued */
};

#define BASE_POOL_PRIORITIES 8

/* n_threads: 0 = base_cpu_count(). name: up to 15 characters, shown by top and gdb. Signals are blocked in pool threads. */
SHARD_NODISCARD int base_pool_open(unsigned n_threads, const char *name,
                                   struct base_pool **ret_pool, struct shard_error *err);
void base_pool_submit(struct base_pool *p, struct base_task *task); /* any thread; never fails */
/* Wait until nothing is queued or running. */
void base_pool_drain(struct base_pool *p);
/* Drain, stop the threads, free. Accepts NULL. */
void base_pool_close(struct base_pool *p);
unsigned base_pool_threads(const struct base_pool *p);
/* CPU time of all its threads so far, nanoseconds. */
uint64_t base_pool_cpu_ns(struct base_pool *p);

#endif
