/* The read engine: many reads in flight, one owner thread.
 *
 * Two backends behind one interface with the same results: io_uring with batched submission, and
 * a pool of pread() threads where io_uring is missing or forbidden (containers), or by choice.
 *
 * Order of calls: open; then any mix of queue, submit, reap; close. queue only notes a request;
 * submit hands all noted ones to the kernel in one batch; reap collects finished ones. Short
 * reads are continued and EINTR/EAGAIN retried inside. Buffers belong to the kernel from submit
 * until reap returns the request; close drops what has not begun, waits for what has, then frees.
 *
 * Threads: one thread at a time, except base_io_wake(). */
#ifndef BASE_IO_H
#define BASE_IO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "shardline/status.h"

#define BASE_IO_IOV_MAX 256u

enum base_io_backend {
    BASE_IO_AUTO = 0, /* io_uring, or pread where that is refused */
    BASE_IO_URING = 1,
    BASE_IO_PREAD = 2,
};

struct base_io_opts {
    enum base_io_backend backend;
    unsigned depth;     /* requests running at a time, up to 4096; 0 = 32 */
    unsigned n_threads; /* of the pread backend, up to 256; 0 = 4 */
};

struct base_io_req {
    int fd;
    void *buf;                 /* len bytes; or, where n_iov > 0, into these one after the other: */
    struct iovec *iov;         /* len bytes together, none of them empty; used up while reading */
    unsigned n_iov;            /* up to BASE_IO_IOV_MAX */
    size_t len;
    uint64_t off;              /* bytes from the start of the file */
    int64_t result;            /* set by reap: bytes read (< len only at the end of the file) or
                                * -errno */
    void *user;                /* the caller's */
    struct base_io_req *next;  /* the engine's while queued or in flight */
    size_t done;               /* the engine's */
    unsigned tries;            /* the engine's */
};

struct base_io_stats {
    uint64_t reads;     /* requests finished */
    uint64_t bytes;     /* read */
    uint64_t submits;   /* batches handed over */
    uint64_t wait_ns;   /* time that reap blocked */
};

struct base_io;

SHARD_NODISCARD int base_io_open(const struct base_io_opts *opts, struct base_io **ret_io,
                                 struct shard_error *err);
void base_io_close(struct base_io *io); /* accepts NULL */
enum base_io_backend base_io_backend(const struct base_io *io); /* what was chosen */
void base_io_queue(struct base_io *io, struct base_io_req *req);
/* Hand over all noted requests. Returns their number, or -errno, after which io can only be closed.
 * Requests above depth wait inside and are started by reap. */
SHARD_NODISCARD int base_io_submit(struct base_io *io, struct shard_error *err);
/* Up to max finished requests into ret_reqs; blocks until at least one is there, or base_io_wake()
 * was called, or timeout_ms passed (< 0: no limit; 0: does not block). Returns their number. */
SHARD_NODISCARD int base_io_reap(struct base_io *io, struct base_io_req **ret_reqs, unsigned max,
                                 int64_t timeout_ms, struct shard_error *err);
/* Make a blocked (or the next) reap return early; from any thread. */
void base_io_wake(struct base_io *io);
unsigned base_io_in_flight(const struct base_io *io); /* queued or submitted, not yet reaped */
void base_io_get_stats(const struct base_io *io, struct base_io_stats *ret);

#endif
