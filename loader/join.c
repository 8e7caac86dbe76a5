/* Reads that stand side by side in a file, of several row groups, made one request: the engine reads
 * into all of their buffers. Only what is handed over at the same time is joined, so that nothing
 * waits for company; and only half of that and READ_JOIN_MAX bytes at a time, so that there are
 * requests to overlap and decoding begins early. */
#include "config.h"

#include "loader/loader_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/arith.h"
#include "lib/compiler.h"

#define READ_JOIN_MAX ((uint64_t)9 << 20) /* two row groups of 4 MiB, and what is between them */

struct loader_joint {
    struct base_io_req req;
    struct loader_joint *prev, *next;     /* of those under way */
    uint32_t n_reads, n_iov;
    struct loader_read **reads;           /* in the order of the file */
    struct iovec iov[BASE_IO_IOV_MAX];
    uint8_t gap[LOADER_READ_GAP_MAX];     /* what lies between them; nobody looks at it */
};

static uint64_t
read_end(const struct loader_read *rd)
{
    return rd->req.off + rd->req.len;
}

/* By file, then by place. */
static int
read_cmp(const void *a, const void *b)
{
    const struct loader_read *x = *(struct loader_read *const *)a, *y = *(struct loader_read *const *)b;

    if (x->req.fd != y->req.fd)
        return x->req.fd < y->req.fd ? -1 : 1;
    return x->req.off < y->req.off ? -1 : x->req.off > y->req.off;
}

/* How many of the reads, from the first on and up to n_max, one request can serve. */
static uint32_t
joint_length(struct loader_read *const *reads, uint32_t n_max)
{
    uint32_t n = 1;

    while (n < n_max && 2 * n < BASE_IO_IOV_MAX) {
        const struct loader_read *a = reads[n - 1], *b = reads[n];

        if (a->direct || b->direct || a->alone || b->alone || a->req.fd != b->req.fd ||
            b->req.off < read_end(a) || b->req.off - read_end(a) > LOADER_READ_GAP_MAX ||
            read_end(b) - reads[0]->req.off > READ_JOIN_MAX)
            break;
        n++;
    }
    return n;
}

static void
joint_iov(struct loader_joint *j, void *base, size_t len)
{
    if (len > 0)
        j->iov[j->n_iov++] = (struct iovec){.iov_base = base, .iov_len = len};
}

static struct loader_joint *
joint_new(struct shard_loader *l, struct loader_read *const *reads, uint32_t n)
{
    struct loader_joint *j = malloc(sizeof(*j) + n * sizeof(struct loader_read *));
    uint32_t i;

    if (j == NULL)
        return NULL;
    j->req = (struct base_io_req){.fd = reads[0]->req.fd, .off = reads[0]->req.off,
                                  .len = (size_t)(read_end(reads[n - 1]) - reads[0]->req.off),
                                  .iov = j->iov, .user = reads[0]};
    j->n_reads = n;
    j->n_iov = 0;
    j->reads = (struct loader_read **)(void *)(j + 1);
    for (i = 0; i < n; i++) {
        j->reads[i] = reads[i];
        joint_iov(j, reads[i]->req.buf, reads[i]->req.len);
        if (i + 1 < n)
            joint_iov(j, j->gap, (size_t)(reads[i + 1]->req.off - read_end(reads[i])));
    }
    j->req.n_iov = j->n_iov;
    reads[0]->joint = j;
    j->prev = NULL;
    j->next = l->joints;
    if (j->next)
        j->next->prev = j;
    l->joints = j;
    return j;
}

static void
joint_free(struct shard_loader *l, struct loader_joint *j)
{
    *(j->prev ? &j->prev->next : &l->joints) = j->next;
    if (j->next)
        j->next->prev = j->prev;
    free(j);
}

void
loader_reads_drop(struct shard_loader *l)
{
    while (l->joints)
        joint_free(l, l->joints);
}

void
loader_reads_queue(struct shard_loader *l, struct loader_read *first)
{
    struct loader_read **reads, *rd;
    uint32_t n_reads = 0, i, n;

    for (rd = first; rd; rd = rd->next)
        n_reads++;
    reads = calloc(n_reads + UINT64_C(1), sizeof(struct loader_read *));
    for (i = 0; first; first = rd, i++) {
        rd = first->next;
        if (reads)
            reads[i] = first;
        else
            base_io_queue(l->io, &first->req);
    }
    if (reads == NULL)
        return;
    qsort(reads, n_reads, sizeof(struct loader_read *), read_cmp);
    for (i = 0; i < n_reads; i += n) {
        struct loader_joint *j = NULL;

        n = joint_length(reads + i, BASE_MIN(n_reads - i, (n_reads + 1) / 2));
        if (n > 1)
            j = joint_new(l, reads + i, n);
        if (j == NULL)
            n = 1;
        base_io_queue(l->io, j ? &j->req : &reads[i]->req);
    }
    free(reads);
}

void
loader_reads_done(struct shard_loader *l, struct loader_read *rd)
{
    struct loader_joint *j = rd->joint;
    uint32_t i;

    if (j == NULL) {
        loader_read_done(l, rd);
        return;
    }
    rd->joint = NULL;
    for (i = 0; i < j->n_reads; i++) {
        struct loader_read *one = j->reads[i];
        const int64_t at = (int64_t)(one->req.off - j->req.off), len = (int64_t)one->req.len;

        one->alone = j->req.result < 0; /* whose fault it was, the reads themselves will tell */
        one->req.result = BASE_MIN(BASE_MAX(j->req.result - at, 0), len);
        if (one->alone)
            loader_read_want(l, one);
        else
            loader_read_done(l, one);
    }
    joint_free(l, j);
}
