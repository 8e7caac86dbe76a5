#include "config.h"

#include "tools/ingest/dedup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/compiler.h"

#define TABLE_FIRST 64u /* slots */

void
ingest_dedup_init(struct ingest_dedup *d, struct base_budget *budget)
{
    memset(d, 0, sizeof(*d));
    d->budget = budget;
}

void
ingest_dedup_done(struct ingest_dedup *d)
{
    for (unsigned i = 0; i < INGEST_DEDUP_TABLES; i++)
        free(d->tables[i].slots);
    if (d->memory)
        base_budget_give(d->budget, d->memory);
    memset(d, 0, sizeof(*d));
}

static inline bool
is_free(const struct base_hash128 *slot)
{
    return slot->lo == 0 && slot->hi == 0;
}

/* Where the search for a key starts: its low half, scaled to the table. The table was picked by the
 * low bits of the other half. */
static inline uint64_t
first_slot(const struct ingest_dedup_table *t, struct base_hash128 key)
{
    return (uint64_t)(((unsigned __int128)key.lo * t->cap) >> 64);
}

/* The slot that holds the key, or the free one where it belongs. There always is a free one. */
static struct base_hash128 *
find_slot(const struct ingest_dedup_table *t, struct base_hash128 key)
{
    uint64_t i = first_slot(t, key);

    while (!is_free(&t->slots[i]) && !base_hash128_eq(t->slots[i], key)) {
        if (++i == t->cap)
            i = 0;
    }
    return &t->slots[i];
}

static int
table_grow(struct ingest_dedup *d, struct ingest_dedup_table *t)
{
    struct ingest_dedup_table bigger = {.count = t->count};
    const uint64_t old_bytes = t->cap * sizeof(*t->slots);
    uint64_t bytes;

    bigger.cap = t->cap ? t->cap + t->cap / 4 : TABLE_FIRST;
    bytes = bigger.cap * sizeof(*t->slots);
    if (!base_budget_take(d->budget, bytes))
        return SHARD_EBUDGET;
    bigger.slots = calloc(bigger.cap, sizeof(*t->slots));
    if (bigger.slots == NULL) {
        base_budget_give(d->budget, bytes);
        return -ENOMEM;
    }
    for (uint64_t i = 0; i < t->cap; i++) {
        if (!is_free(&t->slots[i]))
            *find_slot(&bigger, t->slots[i]) = t->slots[i];
    }
    free(t->slots);
    base_budget_give(d->budget, old_bytes);
    d->memory += bytes - old_bytes;
    *t = bigger;
    return 0;
}

static struct ingest_dedup_table *
table_of(struct ingest_dedup *d, struct base_hash128 key)
{
    return &d->tables[key.hi % INGEST_DEDUP_TABLES];
}

int
ingest_dedup_add(struct ingest_dedup *d, struct base_hash128 key)
{
    struct ingest_dedup_table *t = table_of(d, key);
    struct base_hash128 *slot;
    int r;

    if (key.lo == 0 && key.hi == 0)
        key.lo = 1; /* zero marks free slots; 2^-128 is no worse than any other collision */
    if (t->cap > 0) {
        slot = find_slot(t, key);
        if (!is_free(slot))
            return 0;
    }
    if (t->count + 1 > t->cap - t->cap / 5) {
        r = table_grow(d, t);
        if (r < 0)
            return r;
    }
    *find_slot(t, key) = key;
    t->count++;
    d->count++;
    return 1;
}

void
ingest_dedup_prefetch(const struct ingest_dedup *d, struct base_hash128 key)
{
    const struct ingest_dedup_table *t = &d->tables[key.hi % INGEST_DEDUP_TABLES];

    if (t->cap > 0)
        __builtin_prefetch(&t->slots[first_slot(t, key)]);
}
