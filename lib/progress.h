/* What a person sees while a program works: a bar with rate and time left on a terminal, plain
 * lines now and then otherwise, on standard error. Only the programs use it. One thread. */
#ifndef BASE_PROGRESS_H
#define BASE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

enum base_progress_mode {
    BASE_PROGRESS_AUTO = 0, /* bar on a terminal, plain lines otherwise */
    BASE_PROGRESS_ALWAYS = 1,
    BASE_PROGRESS_NEVER = 2,
};

struct base_progress;

/* total and done are in bytes where bytes is true, else in things called unit ("steps").
 * total 0 = unknown. NULL on lack of memory; all functions accept NULL. */
struct base_progress *base_progress_new(enum base_progress_mode mode, const char *label,
                                        const char *unit, bool bytes, uint64_t total);
/* Cheap to call often: draws at most some times per second. note: short text shown at the end, or
 * NULL. */
void base_progress_update(struct base_progress *p, uint64_t done, const char *note);
void base_progress_set_total(struct base_progress *p, uint64_t total);
/* Clear the bar (so that a message can be printed), until the next update. */
void base_progress_clear(struct base_progress *p);
/* Last line, unless nothing was done; then free. */
void base_progress_finish(struct base_progress *p);

/* "1.4 GB", "312 kB": into ret, for people; returns ret. */
char *base_human_bytes(uint64_t bytes, char ret[16]);
char *base_human_count(uint64_t n, char ret[32]); /* "1,657,719" */

#endif
