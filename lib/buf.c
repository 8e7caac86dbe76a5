/* Growable buffers: capacity grows by half, so that appending is amortised O(1). */
#include "config.h"
#include "lib/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "lib/arith.h"

#define BUF_ALIGN   64u
#define BUF_HUGE    ((size_t)2 << 20) /* from this size on huge pages are asked for: pages that are
                                       * decompressed and gathered from all over miss the TLB less */
#define BUF_ROUND   ((size_t)512 << 10) /* what may be added to make the last huge page whole */
#define BUF_CAP_MIN 192u

void *
base_alloc_aligned(size_t len)
{
    size_t total, huge;
    void *p;

    /* no object may be larger than PTRDIFF_MAX */
    if (base_add_size(len, BASE_BUF_SLACK + BUF_ALIGN - 1, &total) < 0 || total > PTRDIFF_MAX)
        return NULL;
    total &= ~(size_t)(BUF_ALIGN - 1); /* the size must be a multiple, too */
    huge = total & ~(BUF_HUGE - 1);
    if (posix_memalign(&p, huge ? BUF_HUGE : BUF_ALIGN, total) != 0)
        return NULL;
    if (huge) /* the rest stays in small pages, so that it becomes resident only when used */
        (void)madvise(p, huge, MADV_HUGEPAGE);
    /* vector loads may look at the slack; let it be the same on every run */
    memset((char *)p + len, 0, total - len);
    return p;
}

size_t
base_buf_round(size_t cap)
{
    const size_t past = (cap + BASE_BUF_SLACK) % BUF_HUGE;

    if (cap < BUF_HUGE - BUF_ROUND || past < BUF_HUGE - BUF_ROUND || cap > PTRDIFF_MAX - BUF_HUGE)
        return cap;
    return cap + (BUF_HUGE - past);
}

/* Move to memory for cap bytes. */
static int
buf_grow(struct base_buf *b, size_t cap)
{
    uint8_t *p;

    cap = base_buf_round(cap);
    p = base_alloc_aligned(cap);
    if (p == NULL)
        return -ENOMEM;
    if (b->len)
        memcpy(p, b->data, b->len);
    free(b->data);
    b->data = p;
    b->cap = cap;
    return 0;
}

int
base_buf_reserve(struct base_buf *b, size_t extra)
{
    size_t need, cap;

    if (extra <= b->cap - b->len && b->data != NULL)
        return 0;
    if (base_add_size(b->len, extra, &need) < 0)
        return -ENOMEM;
    if (base_add_size(b->cap, b->cap / 2, &cap) < 0 || cap < need)
        cap = need;
    if (cap < BUF_CAP_MIN)
        cap = BUF_CAP_MIN;
    return buf_grow(b, cap);
}

int
base_buf_reserve_exact(struct base_buf *b, size_t extra)
{
    size_t need;

    if (extra <= b->cap - b->len && b->data != NULL)
        return 0;
    if (base_add_size(b->len, extra, &need) < 0)
        return -ENOMEM;
    return buf_grow(b, need);
}

int
base_buf_append(struct base_buf *b, const void *data, size_t len)
{
    int r = base_buf_reserve(b, len);

    if (r < 0)
        return r;
    base_buf_put(b, data, len);
    return 0;
}

int
base_buf_printf(struct base_buf *b, const char *fmt, ...)
{
    va_list ap;
    int n, r;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        return -EINVAL;
    r = base_buf_reserve(b, (size_t)n + 1);
    if (r < 0)
        return r;
    va_start(ap, fmt);
    (void)vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
    return 0;
}

int
base_buf_append_zero(struct base_buf *b, size_t len)
{
    int r = base_buf_reserve(b, len);

    if (r < 0)
        return r;
    if (len)
        memset(b->data + b->len, 0, len);
    b->len += len;
    return 0;
}

void
base_buf_reset(struct base_buf *b)
{
    b->len = 0;
}

void
base_buf_done(struct base_buf *b)
{
    free(b->data);
    b->data = NULL;
    b->len = b->cap = 0;
}
