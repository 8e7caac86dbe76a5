/* What io.c and the two backends share; nobody else includes this.
 *
 *   queue()          submit()            backend              reap()
 *   noted  ------->  waiting  ------->  at most depth  ------->  the caller
 *
 * A backend embeds struct base_io as its first member. */
#ifndef BASE_IO_BACKEND_H
#define BASE_IO_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/io.h"

#define BASE_IO_DEPTH_MAX   4096u
#define BASE_IO_THREADS_MAX 256u
#define BASE_IO_CHUNK_MAX   ((size_t)1 << 30) /* one read of the kernel: below 2 GiB, aligned */

struct base_io_list {
    struct base_io_req *first, *last; /* last is meaningless while first is NULL */
};

static inline void
base_io_list_append(struct base_io_list *list, struct base_io_req *req)
{
    req->next = NULL;
    if (list->first == NULL)
        list->first = req;
    else
        list->last->next = req;
    list->last = req;
}

static inline void
base_io_list_prepend(struct base_io_list *list, struct base_io_req *req)
{
    if (list->first == NULL)
        list->last = req;
    req->next = list->first;
    list->first = req;
}

static inline struct base_io_req *
base_io_list_take(struct base_io_list *list)
{
    struct base_io_req *req = list->first;

    if (req != NULL) {
        list->first = req->next;
        req->next = NULL;
    }
    return req;
}

/* Move all of from to the end of to. */
static inline void
base_io_list_move(struct base_io_list *to, struct base_io_list *from)
{
    if (from->first == NULL)
        return;
    if (to->first == NULL)
        to->first = from->first;
    else
        to->last->next = from->first;
    to->last = from->last;
    from->first = NULL;
}

struct base_io_ops {
    /* Start what is in batch (at least one); takes all of it. 0 or -errno. */
    int (*submit)(struct base_io *io, struct base_io_list *batch, struct shard_error *err);
    /* As base_io_reap(), without statistics of requests. */
    int (*reap)(struct base_io *io, struct base_io_req **ret_reqs, unsigned max,
                int64_t timeout_ms, struct shard_error *err);
    void (*wake)(struct base_io *io);
    /* Wait for what runs, drop the rest, free io. */
    void (*close)(struct base_io *io);
};

struct base_io {
    const struct base_io_ops *ops;
    enum base_io_backend backend;
    unsigned depth;              /* requests running at a time */
    unsigned n_in_flight;        /* queued and not yet reaped */
    struct base_io_list noted;   /* queued, not yet submitted */
    struct base_io_list refused; /* nonsense, to be reaped with -EINVAL */
    struct base_io_stats stats;  /* the backend counts submits and wait_ns, io.c the rest */
};

/* Both get options without zeros. */
int base_io_uring_open(const struct base_io_opts *opts, struct base_io **ret_io,
                       struct shard_error *err);
int base_io_pread_open(const struct base_io_opts *opts, struct base_io **ret_io,
                       struct shard_error *err);

/* Take note that the kernel answered res (bytes or -errno) to reading the rest of req. True when
 * req is finished and its result set, false when it must be started again where it is now. */
bool base_io_step(struct base_io_req *req, int64_t res);

#endif
