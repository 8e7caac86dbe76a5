/* The part of the read engine that both backends share: options, the list of noted requests, what
 * an answer of the kernel means, and counting. */
#include "config.h"
#include "lib/io.h"

#include <errno.h>
#include <inttypes.h>

#include "lib/fail.h"
#include "lib/io_backend.h"

#define IO_TRIES_MAX    100u /* EAGAIN and the like, in a row, before it is an error */
#define IO_SECTOR_BYTES 512u

static int
open_auto(const struct base_io_opts *opts, struct base_io **ret_io, struct shard_error *err)
{
    /* Whatever the reason (no such system call, seccomp, locked memory), pread() does the same. */
    if (base_io_uring_open(opts, ret_io, NULL) == 0)
        return 0;
    return base_io_pread_open(opts, ret_io, err);
}

int
base_io_open(const struct base_io_opts *opts, struct base_io **ret_io, struct shard_error *err)
{
    struct base_io_opts o = {.depth = 32, .n_threads = 4};
    int r;

    if (opts != NULL) {
        o.backend = opts->backend;
        o.depth = opts->depth != 0 ? opts->depth : o.depth;
        o.n_threads = opts->n_threads != 0 ? opts->n_threads : o.n_threads;
    }
    if (o.depth > BASE_IO_DEPTH_MAX)
        return base_fail(err, -EINVAL, "%u reads in flight; at most %u", o.depth,
                         BASE_IO_DEPTH_MAX);
    if (o.n_threads > BASE_IO_THREADS_MAX)
        return base_fail(err, -EINVAL, "%u threads for reading; at most %u", o.n_threads,
                         BASE_IO_THREADS_MAX);
    switch (o.backend) {
    case BASE_IO_AUTO:
        return open_auto(&o, ret_io, err);
    case BASE_IO_URING:
        r = base_io_uring_open(&o, ret_io, err);
        if (r < 0)
            return base_fail(err, r,
                             "io_uring is refused here, as in many containers; pread threads give "
                             "the same results (--io pread, SHARD_IO_PREAD)");
        return 0;
    case BASE_IO_PREAD:
        return base_io_pread_open(&o, ret_io, err);
    }
    return base_fail(err, -EINVAL, "unknown I/O backend %d", (int)o.backend);
}

void
base_io_close(struct base_io *io)
{
    if (io != NULL)
        io->ops->close(io);
}

enum base_io_backend
base_io_backend(const struct base_io *io)
{
    return io->backend;
}

void
base_io_queue(struct base_io *io, struct base_io_req *req)
{
    req->result = 0;
    req->done = 0;
    req->tries = 0;
    io->n_in_flight++;
    /* Also keeps off from -1, which io_uring takes for "the current position". */
    if (req->off > INT64_MAX || req->len > (uint64_t)INT64_MAX - req->off ||
        req->n_iov > BASE_IO_IOV_MAX) {
        req->result = -EINVAL;
        base_io_list_append(&io->refused, req);
    } else {
        base_io_list_append(&io->noted, req);
    }
}

int
base_io_submit(struct base_io *io, struct shard_error *err)
{
    struct base_io_list batch = io->noted;
    int n = 0, r;

    if (batch.first == NULL)
        return 0;
    for (const struct base_io_req *req = batch.first; req != NULL; req = req->next)
        n++;
    io->noted.first = NULL;
    r = io->ops->submit(io, &batch, err);
    return r < 0 ? r : n;
}

/* Requests that never reached a backend. */
static unsigned
reap_refused(struct base_io *io, struct base_io_req **ret_reqs, unsigned max)
{
    unsigned n = 0;

    while (n < max && io->refused.first != NULL)
        ret_reqs[n++] = base_io_list_take(&io->refused);
    return n;
}

int
base_io_reap(struct base_io *io, struct base_io_req **ret_reqs, unsigned max, int64_t timeout_ms,
             struct shard_error *err)
{
    int n;

    if (max == 0 || max > INT32_MAX)
        return base_fail(err, -EINVAL, "room for %u finished reads", max);
    n = (int)reap_refused(io, ret_reqs, max);
    if (n == 0)
        n = io->ops->reap(io, ret_reqs, max, timeout_ms, err);
    for (int i = 0; i < n; i++) {
        io->n_in_flight--;
        io->stats.reads++;
        if (ret_reqs[i]->result > 0)
            io->stats.bytes += (uint64_t)ret_reqs[i]->result;
    }
    return n;
}

void
base_io_wake(struct base_io *io)
{
    io->ops->wake(io);
}

unsigned
base_io_in_flight(const struct base_io *io)
{
    return io->n_in_flight;
}

void
base_io_get_stats(const struct base_io *io, struct base_io_stats *ret)
{
    *ret = io->stats;
}

/* n bytes came: what is left of the vector is where the rest goes. */
static void
iov_advance(struct base_io_req *req, size_t n)
{
    for (; req->n_iov > 0 && n >= req->iov->iov_len; req->iov++, req->n_iov--)
        n -= req->iov->iov_len;
    if (req->n_iov > 0) {
        req->iov->iov_base = (char *)req->iov->iov_base + n;
        req->iov->iov_len -= n;
    }
}

bool
base_io_step(struct base_io_req *req, int64_t res)
{
    /* ECANCELED: nobody here cancels, but the kernel does when the thread that submitted ends. */
    if ((res == -EINTR || res == -EAGAIN || res == -ECANCELED) && req->tries < IO_TRIES_MAX) {
        req->tries++;
        return false;
    }
    /* With O_DIRECT the last, odd piece of a file cannot be followed by another read: where an odd
     * number of bytes came, that was the end of the file. */
    if (res == -EINVAL && req->done % IO_SECTOR_BYTES != 0)
        res = 0;
    if (res < 0) {
        req->result = res;
        return true;
    }
    req->tries = 0;
    req->done += (size_t)res;
    if (res != 0 && req->done < req->len) {
        iov_advance(req, (size_t)res);
        return false;
    }
    req->result = (int64_t)req->done;
    return true;
}
