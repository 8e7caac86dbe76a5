#include "config.h"
#include "lib/clock.h"

#include <sys/resource.h>
#include <time.h>

static uint64_t
clock_ns(clockid_t id)
{
    struct timespec ts;

    if (clock_gettime(id, &ts) != 0)
        return 0;
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t
base_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t
base_cpu_ns(void)
{
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

uint64_t
base_thread_cpu_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t
base_peak_rss(void)
{
    struct rusage u;

    if (getrusage(RUSAGE_SELF, &u) != 0)
        return 0;
    return (uint64_t)u.ru_maxrss * 1024u; /* Linux counts in KiB */
}
