/* One lock, one list of waiting tasks per priority. Tasks are row groups and blocks of text,
 * milliseconds each, so the lock is taken some thousand times per second at most. */
#include "config.h"
#include "lib/pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/compiler.h"
#include "lib/fail.h"

#define POOL_THREADS_MAX 4096u

struct pool_list {
    struct base_task *first, **end; /* end: where the next one is hung in */
};

struct pool_thread {
    struct base_pool *pool;
    struct base_worker worker;
    pthread_t id;
};

struct base_pool {
    pthread_mutex_t lock;
    pthread_cond_t work;           /* something is queued, or stop */
    pthread_cond_t idle;           /* nothing is queued or running */
    struct pool_list lists[BASE_POOL_PRIORITIES]; /* under lock */
    size_t n_queued, n_running;    /* under lock */
    bool stop;                     /* under lock */
    unsigned n_threads;            /* constant after open */
    struct pool_thread threads[];  /* constant after open */
};

/* The next task of the highest priority; the caller holds the lock. */
static struct base_task *
pool_take(struct base_pool *p)
{
    for (unsigned i = BASE_POOL_PRIORITIES; i-- > 0;) {
        struct pool_list *list = &p->lists[i];
        struct base_task *task = list->first;

        if (task == NULL)
            continue;
        list->first = task->next;
        if (list->first == NULL)
            list->end = &list->first;
        p->n_queued--;
        return task;
    }
    return NULL;
}

static void *
pool_main(void *arg)
{
    struct pool_thread *t = arg;
    struct base_pool *p = t->pool;

    (void)pthread_mutex_lock(&p->lock);
    for (;;) {
        struct base_task *task = pool_take(p);

        if (task == NULL) {
            if (p->stop)
                break;
            (void)pthread_cond_wait(&p->work, &p->lock);
            continue;
        }
        p->n_running++;
        (void)pthread_mutex_unlock(&p->lock);
        task->run(task, &t->worker);
        (void)pthread_mutex_lock(&p->lock);
        p->n_running--;
        if (p->n_running == 0 && p->n_queued == 0)
            (void)pthread_cond_broadcast(&p->idle);
    }
    (void)pthread_mutex_unlock(&p->lock);
    return NULL;
}

void
base_pool_submit(struct base_pool *p, struct base_task *task)
{
    const unsigned priority = BASE_MIN(task->priority, BASE_POOL_PRIORITIES - 1u);
    struct pool_list *list = &p->lists[priority];

    task->next = NULL;
    (void)pthread_mutex_lock(&p->lock);
    *list->end = task;
    list->end = &task->next;
    p->n_queued++;
    (void)pthread_cond_signal(&p->work);
    (void)pthread_mutex_unlock(&p->lock);
}

void
base_pool_drain(struct base_pool *p)
{
    (void)pthread_mutex_lock(&p->lock);
    while (p->n_queued > 0 || p->n_running > 0)
        (void)pthread_cond_wait(&p->idle, &p->lock);
    (void)pthread_mutex_unlock(&p->lock);
}

void
base_pool_close(struct base_pool *p)
{
    if (p == NULL)
        return;
    base_pool_drain(p);
    (void)pthread_mutex_lock(&p->lock);
    p->stop = true;
    (void)pthread_cond_broadcast(&p->work);
    (void)pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->n_threads; i++)
        (void)pthread_join(p->threads[i].id, NULL);
    for (unsigned i = 0; i < p->n_threads; i++)
        base_codec_free(p->threads[i].worker.codec);
    (void)pthread_cond_destroy(&p->idle);
    (void)pthread_cond_destroy(&p->work);
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
}

/* Start one more thread; n_threads counts those that run, so that close can stop a half-built
 * pool. The caller has blocked the signals, which the thread inherits. */
static int
pool_start_thread(struct base_pool *p, const char *name, struct shard_error *err)
{
    struct pool_thread *t = &p->threads[p->n_threads];
    char short_name[16];
    int r;

    t->pool = p;
    t->worker.id = p->n_threads;
    if (base_codec_new(&t->worker.codec) < 0)
        return base_fail(err, -ENOMEM, "pool of threads");
    r = pthread_create(&t->id, NULL, pool_main, t);
    if (r != 0) {
        base_codec_free(t->worker.codec);
        return base_fail(err, -r, "starting thread %u", p->n_threads);
    }
    p->n_threads++;
    (void)snprintf(short_name, sizeof(short_name), "%.15s", name);
    (void)pthread_setname_np(t->id, short_name);
    return 0;
}

int
base_pool_open(unsigned n_threads, const char *name, struct base_pool **ret_pool,
               struct shard_error *err)
{
    struct base_pool *p;
    sigset_t all, old;
    int r = 0;

    if (n_threads == 0)
        n_threads = base_cpu_count();
    if (n_threads > POOL_THREADS_MAX)
        return base_fail(err, -EINVAL, "%u threads; at most %u", n_threads, POOL_THREADS_MAX);
    p = calloc(1, sizeof(*p) + n_threads * sizeof(p->threads[0]));
    if (p == NULL)
        return base_fail(err, -ENOMEM, "pool of threads");
    (void)pthread_mutex_init(&p->lock, NULL);
    (void)pthread_cond_init(&p->work, NULL);
    (void)pthread_cond_init(&p->idle, NULL);
    for (unsigned i = 0; i < BASE_POOL_PRIORITIES; i++)
        p->lists[i].end = &p->lists[i].first;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    for (unsigned i = 0; i < n_threads && r == 0; i++)
        r = pool_start_thread(p, name, err);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (r < 0) {
        base_pool_close(p);
        return r;
    }
    *ret_pool = p;
    return 0;
}

unsigned
base_pool_threads(const struct base_pool *p)
{
    return p->n_threads;
}

uint64_t
base_pool_cpu_ns(struct base_pool *p)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < p->n_threads; i++) {
        struct timespec ts;
        clockid_t clock;

        if (pthread_getcpuclockid(p->threads[i].id, &clock) == 0 &&
            clock_gettime(clock, &ts) == 0)
            sum += (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
    }
    return sum;
}
