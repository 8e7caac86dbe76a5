/* One memory budget, shared by threads: an account of bytes with a limit that is never passed.
 * Internally atomic. A NULL budget is unlimited. */
#ifndef BASE_BUDGET_H
#define BASE_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

struct base_budget {
    uint64_t limit;         /* bytes; set before use, then constant */
    _Atomic uint64_t used;  /* bytes; relaxed: it guards no other data */
    _Atomic uint64_t peak;  /* highest used; relaxed */
};

void base_budget_init(struct base_budget *b, uint64_t limit);
/* Take len bytes: true, or false where the limit would be passed (nothing is taken). */
bool base_budget_take(struct base_budget *b, uint64_t len);
/* Take len bytes even past the limit: for what must go on to make anything free again. */
void base_budget_force(struct base_budget *b, uint64_t len);
void base_budget_give(struct base_budget *b, uint64_t len);
uint64_t base_budget_used(const struct base_budget *b);

#endif
