/* The pread() backend: threads that take requests from one list and put them on another. */
#include "config.h"
#include "lib/io_backend.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/compiler.h"
#include "lib/fail.h"

struct pread_io {
    struct base_io io;           /* of the owner thread; first */
    pthread_mutex_t lock;
    pthread_cond_t work;         /* something in todo, or stop */
    pthread_cond_t news;         /* something in done, or woken */
    struct base_io_list todo;    /* under lock */
    struct base_io_list done;    /* under lock */
    bool woken, stop;            /* under lock */
    unsigned n_threads;          /* constant after open */
    pthread_t threads[];         /* constant after open */
};

static struct pread_io *
pread_of(struct base_io *io)
{
    return BASE_CONTAINER_OF(io, struct pread_io, io);
}

/* The whole request, in this thread. */
static void
pread_run(struct base_io_req *req)
{
    int64_t res;

    do {
        const size_t left = req->len - req->done;
        struct pollfd pfd = {.fd = req->fd, .events = POLLIN};

        if (req->tries > 0) /* EAGAIN: something else than a file; do not spin on it */
            (void)poll(&pfd, 1, 10);
        if (req->n_iov > 0)
            res = preadv(req->fd, req->iov, (int)req->n_iov, (off_t)(req->off + req->done));
        else
            res = pread(req->fd, (char *)req->buf + req->done, BASE_MIN(left, BASE_IO_CHUNK_MAX),
                        (off_t)(req->off + req->done));
        if (res < 0)
            res = -errno;
    } while (!base_io_step(req, res));
}

static void *
pread_main(void *arg)
{
    struct pread_io *p = arg;

    (void)pthread_mutex_lock(&p->lock);
    while (!p->stop) {
        struct base_io_req *req = base_io_list_take(&p->todo);

        if (req == NULL) {
            (void)pthread_cond_wait(&p->work, &p->lock);
            continue;
        }
        (void)pthread_mutex_unlock(&p->lock);
        pread_run(req);
        (void)pthread_mutex_lock(&p->lock);
        base_io_list_append(&p->done, req);
        (void)pthread_cond_signal(&p->news);
    }
    (void)pthread_mutex_unlock(&p->lock);
    return NULL;
}

static int
pread_submit(struct base_io *io, struct base_io_list *batch, struct shard_error *err BASE_UNUSED)
{
    struct pread_io *p = pread_of(io);
    const bool many = batch->first != batch->last;

    (void)pthread_mutex_lock(&p->lock);
    base_io_list_move(&p->todo, batch);
    if (many)
        (void)pthread_cond_broadcast(&p->work);
    else
        (void)pthread_cond_signal(&p->work);
    (void)pthread_mutex_unlock(&p->lock);
    io->stats.submits++;
    return 0;
}

/* Wait until there is news or the time is up; the caller holds the lock. */
static void
pread_wait(struct pread_io *p, int64_t timeout_ms)
{
    const uint64_t start = base_now_ns();
    struct timespec deadline = {0};
    int r = 0;

    if (timeout_ms > 0)
        deadline = base_deadline(timeout_ms);
    while (p->done.first == NULL && !p->woken && r == 0) {
        if (timeout_ms < 0)
            (void)pthread_cond_wait(&p->news, &p->lock);
        else
            r = pthread_cond_timedwait(&p->news, &p->lock, &deadline);
    }
    p->woken = false;
    p->io.stats.wait_ns += base_now_ns() - start;
}

static int
pread_reap(struct base_io *io, struct base_io_req **ret_reqs, unsigned max, int64_t timeout_ms,
           struct shard_error *err BASE_UNUSED)
{
    struct pread_io *p = pread_of(io);
    unsigned n = 0;

    (void)pthread_mutex_lock(&p->lock);
    if (p->done.first == NULL && timeout_ms != 0)
        pread_wait(p, timeout_ms);
    while (n < max && p->done.first != NULL)
        ret_reqs[n++] = base_io_list_take(&p->done);
    (void)pthread_mutex_unlock(&p->lock);
    return (int)n;
}

static void
pread_wake(struct base_io *io)
{
    struct pread_io *p = pread_of(io);

    (void)pthread_mutex_lock(&p->lock);
    p->woken = true;
    (void)pthread_cond_signal(&p->news);
    (void)pthread_mutex_unlock(&p->lock);
}

static void
pread_close(struct base_io *io)
{
    struct pread_io *p = pread_of(io);

    (void)pthread_mutex_lock(&p->lock);
    p->stop = true; /* a thread ends after the request that it is at */
    (void)pthread_cond_broadcast(&p->work);
    (void)pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->n_threads; i++)
        (void)pthread_join(p->threads[i], NULL);
    (void)pthread_cond_destroy(&p->news);
    (void)pthread_cond_destroy(&p->work);
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
}

static const struct base_io_ops pread_ops = {
    .submit = pread_submit,
    .reap = pread_reap,
    .wake = pread_wake,
    .close = pread_close,
};

/* Start n threads, which inherit the blocked signals; n_threads counts those that run. */
static int
pread_start(struct pread_io *p, unsigned n, struct shard_error *err)
{
    sigset_t all, old;
    int r = 0;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    while (p->n_threads < n) {
        r = pthread_create(&p->threads[p->n_threads], NULL, pread_main, p);
        if (r != 0)
            break;
        (void)pthread_setname_np(p->threads[p->n_threads], "shl-pread");
        p->n_threads++;
    }
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return r == 0 ? 0 : base_fail(err, -r, "starting a thread for reading");
}

int
base_io_pread_open(const struct base_io_opts *opts, struct base_io **ret_io,
                   struct shard_error *err)
{
    const unsigned n = BASE_MIN(opts->n_threads, opts->depth); /* each runs one request */
    pthread_condattr_t attr;
    struct pread_io *p;
    int r;

    p = calloc(1, sizeof(*p) + n * sizeof(p->threads[0]));
    if (p == NULL)
        return base_fail(err, -ENOMEM, "read engine");
    p->io.ops = &pread_ops;
    p->io.backend = BASE_IO_PREAD;
    p->io.depth = opts->depth;
    (void)pthread_mutex_init(&p->lock, NULL);
    (void)pthread_cond_init(&p->work, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&p->news, &attr);
    (void)pthread_condattr_destroy(&attr);
    r = pread_start(p, n, err);
    if (r < 0) {
        pread_close(&p->io);
        return r;
    }
    *ret_io = &p->io;
    return 0;
}
