#include "config.h"

#include "loader/arena.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "lib/arith.h"

#define BLOCK_ROUND (64u << 10)

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

    while (a->free && given < len) {
        struct loader_block *b = a->free;

        a->free = b->next;
        a->free_bytes -= b->cap;
        given += b->cap;
        base_budget_give(&a->budget, b->cap);
        block_free(b);
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

/* The smallest kept block that fits and is not wasted on len; under lock. */
static struct loader_block *
arena_reuse(struct loader_arena *a, size_t len)
{
    struct loader_block **at, **best = NULL, *b;

    for (at = &a->free; *at; at = &(*at)->next)
        if ((*at)->cap >= len && (*at)->cap / 4 <= len && (best == NULL || (*at)->cap < (*best)->cap))
            best = at;
    if (best == NULL)
        return NULL;
    b = *best;
    *best = b->next;
    a->free_bytes -= b->cap;
    return b;
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
    b->arena = a;
    b->cap = cap;
    return b;
}

struct loader_block *
loader_block_get(struct loader_arena *a, size_t len, bool force)
{
    const size_t cap = base_align_up(len ? len : 1, BLOCK_ROUND);
    struct loader_block *b;

    (void)pthread_mutex_lock(&a->lock);
    b = arena_reuse(a, len ? len : 1);
    if (b == NULL) {
        if (!arena_take_locked(a, cap)) {
            if (!force)
                goto out;
            base_budget_force(&a->budget, cap);
        }
        b = block_map(a, cap);
        if (b == NULL)
            base_budget_give(&a->budget, cap);
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

    if (b == NULL)
        return;
    a = b->arena;
    (void)pthread_mutex_lock(&a->lock);
    if (base_budget_used(&a->budget) > a->budget.limit) { /* it was forced: don't keep it */
        base_budget_give(&a->budget, b->cap);
        block_free(b);
    } else {
        b->next = a->free;
        a->free = b;
        a->free_bytes += b->cap;
    }
    arena_unlock_unref(a);
}
