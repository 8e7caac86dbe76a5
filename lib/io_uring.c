/* The io_uring backend. At most depth requests are with the kernel, so neither ring can overflow;
 * the others wait in a list that reap tops up from.
 *
 * Waiting is poll() on the ring's file and on an eventfd for base_io_wake(): that needs nothing
 * newer than the plain read operation (Linux 5.6), and no request of its own that would have to be
 * armed, told apart and drained. COOP_TASKRUN and SINGLE_ISSUER are not used: they tie the ring to
 * one thread, and io.h only promises one thread at a time. */
#include "config.h"
#include "lib/io_backend.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/compiler.h"
#include "lib/fail.h"

#define STALL_STEP_MS 10    /* between tries, where the kernel lacks memory for requests */
#define STALL_MAX_MS  10000

struct uring_io {
    struct base_io io; /* first */
    struct io_uring ring;
    int wake_fd;                 /* eventfd; written by base_io_wake() from any thread */
    struct base_io_list waiting; /* submitted by the caller, not yet in the ring */
    unsigned n_active;           /* in the ring: with the kernel, or about to be */
    unsigned stalled_ms;         /* the kernel has been refusing for that long */
};

static struct uring_io *
uring_of(struct base_io *io)
{
    return BASE_CONTAINER_OF(io, struct uring_io, io);
}

/* Put waiting requests into the ring, as many as may run. */
static void
uring_fill(struct uring_io *u)
{
    while (u->waiting.first != NULL && u->n_active < u->io.depth) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
        struct base_io_req *req;
        size_t left;

        if (sqe == NULL)
            break;
        req = base_io_list_take(&u->waiting);
        left = req->len - req->done;
        if (req->n_iov > 0)
            io_uring_prep_readv(sqe, req->fd, req->iov, req->n_iov, req->off + req->done);
        else
            io_uring_prep_read(sqe, req->fd, (char *)req->buf + req->done,
                               (unsigned)BASE_MIN(left, BASE_IO_CHUNK_MAX), req->off + req->done);
        if (req->tries > 0) /* refused without waiting: let a kernel thread wait for it */
            sqe->flags |= IOSQE_ASYNC;
        io_uring_sqe_set_data(sqe, req);
        u->n_active++;
    }
}

/* Fill the ring and hand it over, in one system call unless the kernel takes less. */
static int
uring_push(struct uring_io *u, struct shard_error *err)
{
    uring_fill(u);
    while (io_uring_sq_ready(&u->ring) > 0) {
        int r = io_uring_submit(&u->ring);

        if (r > 0) {
            u->io.stats.submits++;
            u->stalled_ms = 0;
        } else if (r == 0 || r == -EAGAIN || r == -EBUSY || r == -ENOMEM) {
            break; /* reap tries again after a while */
        } else if (r != -EINTR) {
            return base_fail(err, r, "io_uring_enter");
        }
    }
    return 0;
}

static int
uring_submit(struct base_io *io, struct base_io_list *batch, struct shard_error *err)
{
    struct uring_io *u = uring_of(io);

    base_io_list_move(&u->waiting, batch);
    return uring_push(u, err);
}

/* Take up to max finished requests from the completion ring. Unfinished ones go back to the front
 * of the waiting list. */
static unsigned
uring_collect(struct uring_io *u, struct base_io_req **ret_reqs, unsigned max)
{
    struct io_uring_cqe *cqe;
    unsigned n = 0;

    while (n < max && io_uring_peek_cqe(&u->ring, &cqe) == 0) {
        struct base_io_req *req = io_uring_cqe_get_data(cqe);
        const int res = cqe->res;

        io_uring_cqe_seen(&u->ring, cqe);
        u->n_active--;
        if (base_io_step(req, res))
            ret_reqs[n++] = req;
        else
            base_io_list_prepend(&u->waiting, req);
    }
    return n;
}

/* Block until something may have finished: 1; the time is up, or woken: 0; or -errno. */
static int
uring_wait(struct uring_io *u, int64_t timeout_ms, struct shard_error *err)
{
    struct pollfd fds[2] = {{.fd = u->ring.ring_fd, .events = POLLIN},
                            {.fd = u->wake_fd, .events = POLLIN}};
    const bool stalled = io_uring_sq_ready(&u->ring) > 0;
    const uint64_t start = base_now_ns();
    eventfd_t count;
    int n;

    if (stalled) {
        if (u->stalled_ms >= STALL_MAX_MS)
            return base_fail(err, -EAGAIN, "io_uring takes no more reads");
        u->stalled_ms += STALL_STEP_MS;
        if (timeout_ms < 0 || timeout_ms > STALL_STEP_MS)
            timeout_ms = STALL_STEP_MS;
    }
    n = poll(fds, 2, timeout_ms < 0 ? -1 : (int)BASE_MIN(timeout_ms, INT32_MAX));
    u->io.stats.wait_ns += base_now_ns() - start;
    if (n < 0 && errno != EINTR)
        return base_fail(err, -errno, "waiting for reads");
    if (n > 0 && fds[1].revents != 0) {
        (void)eventfd_read(u->wake_fd, &count);
        return 0;
    }
    return n != 0 || stalled;
}

static int
uring_reap(struct base_io *io, struct base_io_req **ret_reqs, unsigned max, int64_t timeout_ms,
           struct shard_error *err)
{
    struct uring_io *u = uring_of(io);
    const uint64_t start = timeout_ms > 0 ? base_now_ns() : 0;
    int64_t left_ms = timeout_ms;

    for (;;) {
        unsigned n = uring_collect(u, ret_reqs, max);
        int r = uring_push(u, n == 0 ? err : NULL);

        if (n > 0)
            return (int)n; /* an error comes again with the next call */
        if (r < 0)
            return r;
        if (io_uring_cq_ready(&u->ring) > 0) /* from the page cache: done while submitting */
            continue;
        if (timeout_ms > 0) {
            const int64_t spent_ms = (int64_t)((base_now_ns() - start) / 1000000u);

            left_ms = spent_ms < timeout_ms ? timeout_ms - spent_ms : 0;
        }
        if (left_ms == 0)
            return 0;
        r = uring_wait(u, left_ms, err);
        if (r <= 0)
            return r;
    }
}

static void
uring_wake(struct base_io *io)
{
    (void)eventfd_write(uring_of(io)->wake_fd, 1); /* can only fail where it is awake anyway */
}

/* Wait for the kernel to let go of every buffer. */
static void
uring_drain(struct uring_io *u)
{
    const unsigned unsent = io_uring_sq_ready(&u->ring); /* prepared, but never taken */

    while (u->n_active > unsent) {
        struct io_uring_cqe *cqe;
        int r = io_uring_wait_cqe(&u->ring, &cqe);

        if (r == 0) {
            io_uring_cqe_seen(&u->ring, cqe);
            u->n_active--;
        } else if (r != -EINTR && r != -EAGAIN) {
            break;
        }
    }
}

static void
uring_close(struct base_io *io)
{
    struct uring_io *u = uring_of(io);

    if (u->ring.ring_fd >= 0) {
        uring_drain(u);
        io_uring_queue_exit(&u->ring);
    }
    if (u->wake_fd >= 0)
        (void)close(u->wake_fd);
    free(u);
}

static const struct base_io_ops uring_ops = {
    .submit = uring_submit,
    .reap = uring_reap,
    .wake = uring_wake,
    .close = uring_close,
};

/* Linux 5.6 brought the read operation and the probe itself. */
static bool
uring_can_read(struct io_uring *ring)
{
    struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
    bool can;

    if (probe == NULL)
        return false;
    can = io_uring_opcode_supported(probe, IORING_OP_READ) != 0;
    io_uring_free_probe(probe);
    return can;
}

int
base_io_uring_open(const struct base_io_opts *opts, struct base_io **ret_io,
                   struct shard_error *err)
{
    struct uring_io *u;
    int r = 0;

    u = calloc(1, sizeof(*u));
    if (u == NULL)
        return base_fail(err, -ENOMEM, "read engine");
    u->io.ops = &uring_ops;
    u->io.backend = BASE_IO_URING;
    u->io.depth = opts->depth;
    u->ring.ring_fd = -1;
    u->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (u->wake_fd < 0) {
        r = base_fail(err, -errno, "eventfd");
        goto out;
    }
    r = io_uring_queue_init(opts->depth, &u->ring, 0);
    if (r < 0) {
        u->ring.ring_fd = -1; /* whatever a failed init left there */
        r = base_fail(err, r, "io_uring_setup");
        goto out;
    }
    if (!uring_can_read(&u->ring)) {
        r = base_fail(err, -ENOSYS, "io_uring of this kernel cannot read");
        goto out;
    }
    *ret_io = &u->io;
    u = NULL;
out:
    if (u != NULL)
        uring_close(&u->io);
    return r;
}
