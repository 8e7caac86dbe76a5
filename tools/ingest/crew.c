#include "config.h"

#include "tools/ingest/crew.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/fail.h"

int
ingest_crew_open(struct ingest_crew *c, unsigned n_threads, struct shard_error *err)
{
    pthread_condattr_t attr;
    int r;

    memset(c, 0, sizeof(*c));
    r = base_pool_open(n_threads, "ingest", &c->pool, err);
    if (r < 0)
        return r;
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&c->finished, &attr);
    (void)pthread_condattr_destroy(&attr);
    c->end = &c->first;
    return 0;
}

void
ingest_crew_close(struct ingest_crew *c)
{
    if (c->pool == NULL)
        return;
    base_pool_close(c->pool);
    (void)pthread_cond_destroy(&c->finished);
    (void)pthread_mutex_destroy(&c->lock);
    c->pool = NULL;
}

void
ingest_crew_post(struct ingest_work *w)
{
    struct ingest_crew *c = w->crew;

    (void)pthread_mutex_lock(&c->lock);
    w->next = NULL;
    *c->end = w;
    c->end = &w->next;
    (void)pthread_cond_signal(&c->finished); /* held: c may be closed right after the unlock */
    (void)pthread_mutex_unlock(&c->lock);
}

static void
work_run(struct base_task *task, struct base_worker *worker)
{
    struct ingest_work *w = BASE_CONTAINER_OF(task, struct ingest_work, task);

    if (atomic_load_explicit(&w->crew->stop, memory_order_relaxed))
        w->result = -ECANCELED;
    else
        w->run(w, worker);
    ingest_crew_post(w);
}

void
ingest_crew_promise(struct ingest_crew *c, struct ingest_work *w)
{
    w->crew = c;
    w->result = 0;
    w->err.text[0] = '\0';
    c->n_out++;
}

void
ingest_crew_submit(struct ingest_crew *c, struct ingest_work *w, enum ingest_priority prio)
{
    ingest_crew_promise(c, w);
    w->task.run = work_run;
    w->task.priority = (unsigned)prio;
    base_pool_submit(c->pool, &w->task);
}

/* Everything finished, waiting for the first at most until deadline_ns; NULL = none. */
static struct ingest_work *
crew_take(struct ingest_crew *c, uint64_t deadline_ns)
{
    const struct timespec ts = {.tv_sec = (time_t)(deadline_ns / 1000000000),
                                .tv_nsec = (long)(deadline_ns % 1000000000)};
    struct ingest_work *list;
    int r = 0;

    (void)pthread_mutex_lock(&c->lock);
    while (c->first == NULL && r == 0)
        r = pthread_cond_timedwait(&c->finished, &c->lock, &ts);
    list = c->first;
    c->first = NULL;
    c->end = &c->first;
    (void)pthread_mutex_unlock(&c->lock);
    return list;
}

static void
finish_all(struct ingest_crew *c, struct ingest_work *list)
{
    while (list) {
        struct ingest_work *w = list;

        list = w->next; /* done() may free w or submit it again */
        c->n_out--;
        w->done(w);
    }
}

void
ingest_crew_wait(struct ingest_crew *c, unsigned timeout_ms)
{
    finish_all(c, crew_take(c, base_now_ns() + (uint64_t)timeout_ms * 1000000));
}

bool
ingest_crew_stop(struct ingest_crew *c, unsigned timeout_ms)
{
    const uint64_t deadline = base_now_ns() + (uint64_t)timeout_ms * 1000000;

    atomic_store_explicit(&c->stop, true, memory_order_relaxed);
    while (c->n_out > 0 && base_now_ns() < deadline)
        finish_all(c, crew_take(c, deadline));
    return c->n_out == 0;
}
