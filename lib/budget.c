/* The account is one number moved by compare-and-swap: whoever waits for room does so on a
 * condition of its own (a queue, a pipeline stage), not here. */
#include "config.h"
#include "lib/budget.h"

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>

#include "lib/compiler.h"

void
base_budget_init(struct base_budget *b, uint64_t limit)
{
    b->limit = limit;
    atomic_init(&b->used, 0);
    atomic_init(&b->peak, 0);
}

static void
budget_note_peak(struct base_budget *b, uint64_t used)
{
    uint64_t peak = atomic_load_explicit(&b->peak, memory_order_relaxed);

    while (used > peak && !atomic_compare_exchange_weak_explicit(
                              &b->peak, &peak, used, memory_order_relaxed, memory_order_relaxed))
        ;
}

bool
base_budget_take(struct base_budget *b, uint64_t len)
{
    uint64_t used;

    if (b == NULL)
        return true;
    used = atomic_load_explicit(&b->used, memory_order_relaxed);
    do {
        /* used may be above limit after base_budget_force() */
        if (used > b->limit || len > b->limit - used)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&b->used, &used, used + len,
                                                    memory_order_relaxed, memory_order_relaxed));
    budget_note_peak(b, used + len);
    return true;
}

void
base_budget_force(struct base_budget *b, uint64_t len)
{
    uint64_t used;

    if (b == NULL)
        return;
    used = atomic_fetch_add_explicit(&b->used, len, memory_order_relaxed);
    budget_note_peak(b, used + len);
}

void
base_budget_give(struct base_budget *b, uint64_t len)
{
    uint64_t used BASE_UNUSED;

    if (b == NULL)
        return;
    used = atomic_fetch_sub_explicit(&b->used, len, memory_order_relaxed);
    assert(used >= len);
}

uint64_t
base_budget_used(const struct base_budget *b)
{
    return b == NULL ? 0 : atomic_load_explicit(&b->used, memory_order_relaxed);
}
