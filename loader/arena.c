#include "config.h"

#include "loader/arena.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define BLOCK_MIN  (16u << 10)
#define REUSE_UP   8u /* classes: a block up to twice as large as asked for is lent */
#define HUGE_PAGE  ((size_t)2 << 20)

/* Sizes are 8/8, 9/8, ... 15/8 of BLOCK_MIN times 8 times a power of two; below that, multiples of
 * BLOCK_MIN. */
static unsigned
block_class(size_t len, size_t *ret_cap)
{
    const size_t n = (len + BLOCK_MIN - 1) / BLOCK_MIN; /* in units */
    unsigned shift = 0;
    size_t rounded;

    while ((n - 1) >> shift >= 16)
        shift++;
    rounded = (n + ((size_t)1 << shift) - 1) >> shift; /* 9 .. 16 where shift > 0 */
    *ret_cap = (rounded << shift) * BLOCK_MIN;
    return (unsigned)(shift * 8 + rounded);
}

size_t
loader_block_round(size_t len)
{
    size_t cap;

    (void)block_class(len ? len : 1, &cap);
    return cap;
}

int
loader_arena_new(uint64_t limit, struct loader_arena **ret)
{
    struct loader_arena *a = calloc(1, sizeof(*a));

    if (a == NULL)
        return -ENOMEM;
    (void)pthread_mutex_init(&a->lock, NULL);
    base_budget_init(&a->budget, limit);
    a->refs = 1;
    *ret = a;
    return 0;
}

static void
block_free(struct loader_block *b)
{
    (void)munmap(b->data, b->cap);
    free(b);
}

/* Unmap kept blocks until len bytes were given back or none is left; under lock. */
static void
arena_trim(struct loader_arena *a, uint64_t len)
{
    uint64_t given = 0;
    unsigned c;

    for (c = LOADER_BLOCK_CLASSES; c-- > 0 && given < len;) {
        while (a->free[c] && given < len) {
            struct loader_block *b = a->free[c];

            a->free[c] = b->next;
            a->free_bytes -= b->cap;
            given += b->cap;
            base_budget_give(&a->budget, b->cap);
            block_free(b);
        }
    }
}

static void
arena_unlock_unref(struct loader_arena *a)
{
    const bool last = --a->refs == 0;

    (void)pthread_mutex_unlock(&a->lock);
    if (!last)
        return;
    arena_trim(a, UINT64_MAX);
    (void)pthread_mutex_destroy(&a->lock);
    free(a);
}

void
loader_arena_unref(struct loader_arena *a)
{
    if (a == NULL)
        return;
    (void)pthread_mutex_lock(&a->lock);
    arena_unlock_unref(a);
}

/* The smallest kept block that fits and is not wasted; under lock. */
static struct loader_block *
arena_reuse(struct loader_arena *a, unsigned class)
{
    unsigned c;

    for (c = class; c < class + REUSE_UP && c < LOADER_BLOCK_CLASSES; c++) {
        struct loader_block *b = a->free[c];

        if (b) {
            a->free[c] = b->next;
            a->free_bytes -= b->cap;
            return b;
        }
    }
    return NULL;
}

static bool
arena_take_locked(struct loader_arena *a, uint64_t len)
{
    if (base_budget_take(&a->budget, len))
        return true;
    arena_trim(a, len);
    return base_budget_take(&a->budget, len);
}

bool
loader_arena_take(struct loader_arena *a, uint64_t len)
{
    bool ok;

    (void)pthread_mutex_lock(&a->lock);
    ok = arena_take_locked(a, len);
    (void)pthread_mutex_unlock(&a->lock);
    return ok;
}

uint64_t
loader_arena_room(struct loader_arena *a)
{
    uint64_t lent;

    (void)pthread_mutex_lock(&a->lock);
    lent = base_budget_used(&a->budget) - a->free_bytes;
    (void)pthread_mutex_unlock(&a->lock);
    return lent < a->budget.limit ? a->budget.limit - lent : 0;
}

static struct loader_block *
block_map(struct loader_arena *a, size_t cap)
{
    struct loader_block *b = calloc(1, sizeof(*b));

    if (b == NULL)
        return NULL;
    b->data = mmap(NULL, cap, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (b->data == MAP_FAILED) {
        free(b);
        return NULL;
    }
    if (cap >= HUGE_PAGE) /* batches: many small copies to all over them */
        (void)madvise(b->data, cap & ~(HUGE_PAGE - 1), MADV_HUGEPAGE);
    b->arena = a;
    b->cap = cap;
    return b;
}

struct loader_block *
loader_block_get(struct loader_arena *a, size_t len, bool force)
{
    struct loader_block *b;
    size_t cap;
    const unsigned class = block_class(len ? len : 1, &cap);

    (void)pthread_mutex_lock(&a->lock);
    b = arena_reuse(a, class);
    if (b == NULL) {
        if (!arena_take_locked(a, cap)) {
            if (!force) {
                errno = EAGAIN;
                goto out;
            }
            base_budget_force(&a->budget, cap);
        }
        b = block_map(a, cap);
        if (b == NULL) {
            base_budget_give(&a->budget, cap);
            errno = ENOMEM;
        }
    }
    if (b)
        a->refs++;
out:
    (void)pthread_mutex_unlock(&a->lock);
    return b;
}

void
loader_block_put(struct loader_block *b)
{
    struct loader_arena *a;
    size_t cap;

    if (b == NULL)
        return;
    a = b->arena;
    (void)pthread_mutex_lock(&a->lock);
    if (base_budget_used(&a->budget) > a->budget.limit) { /* it was forced: don't keep it */
        base_budget_give(&a->budget, b->cap);
        block_free(b);
    } else {
        struct loader_block **list = &a->free[block_class(b->cap, &cap)];

        b->next = *list;
        *list = b;
        a->free_bytes += b->cap;
    }
    arena_unlock_unref(a);
}
