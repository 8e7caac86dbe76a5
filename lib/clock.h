/* Time and memory as the program sees itself. Thread-safe. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

uint64_t base_now_ns(void);       /* monotonic */
/* Now + timeout_ms (>= 0) on CLOCK_MONOTONIC, for pthread_cond_timedwait(). */
struct timespec base_deadline(int64_t timeout_ms);
uint64_t base_cpu_ns(void);       /* user + system of the whole process */
uint64_t base_thread_cpu_ns(void);
uint64_t base_peak_rss(void);     /* highest resident set so far, bytes */

#endif
