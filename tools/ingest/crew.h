/* Work that is done by the pool's threads and finished on the calling thread.
 *
 * The pipeline is one thread that decides and a pool that works: the deciding thread submits work,
 * goes to sleep in ingest_crew_wait(), and takes back what is done. A work item is owned by the
 * pool from submit until its done() is called, so nothing in it needs a lock; only the list of
 * finished items is shared. Post lets another thread (the writer) hand items back likewise. */
#ifndef INGEST_CREW_H
#define INGEST_CREW_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "lib/pool.h"
#include "shardline/status.h"

enum ingest_priority { /* what unblocks the most goes first */
    INGEST_PRIO_READ_LATER = 1,
    INGEST_PRIO_PARSE_LATER = 2,
    INGEST_PRIO_READ = 4,
    INGEST_PRIO_PARSE = 5,
    INGEST_PRIO_GROUP = 6,
};

struct ingest_work {
    struct base_task task;    /* the pool's */
    struct ingest_crew *crew; /* set by submit and post */
    /* On a pool thread; sets result and err. Left out once the crew was stopped. */
    void (*run)(struct ingest_work *w, struct base_worker *worker);
    void (*done)(struct ingest_work *w); /* on the deciding thread; may free w */
    int result;               /* < 0: err says why; -ECANCELED: was left out */
    struct shard_error err;
    struct ingest_work *next; /* in the list of finished ones, under lock */
};

struct ingest_crew {
    struct base_pool *pool;
    atomic_bool stop;                  /* relaxed: run no more; seen soon enough */
    unsigned n_out;                    /* submitted or promised, not yet done; deciding thread */
    pthread_mutex_t lock;
    pthread_cond_t finished;
    struct ingest_work *first, **end;  /* finished, in order of finishing; under lock */
};

SHARD_NODISCARD int ingest_crew_open(struct ingest_crew *c, unsigned n_threads,
                                     struct shard_error *err);
/* Nothing may be out. Accepts a zeroed one. */
void ingest_crew_close(struct ingest_crew *c);
void ingest_crew_submit(struct ingest_crew *c, struct ingest_work *w, enum ingest_priority prio);
/* Another thread will post w. */
void ingest_crew_promise(struct ingest_crew *c, struct ingest_work *w);
void ingest_crew_post(struct ingest_work *w); /* any thread, after a promise */
/* Call done() of everything finished; where nothing is, wait for it at most timeout_ms. */
void ingest_crew_wait(struct ingest_crew *c, unsigned timeout_ms);
/* Start nothing more; take back everything that is out. False where something was still running
 * after timeout_ms (a read from a silent pipe cannot be interrupted). */
bool ingest_crew_stop(struct ingest_crew *c, unsigned timeout_ms);

#endif
