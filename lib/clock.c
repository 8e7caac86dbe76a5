#include "config.h"
#include "lib/clock.h"

#include <stdio.h>
#include <sys/resource.h>

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

struct timespec
base_deadline(int64_t timeout_ms)
{
    struct timespec ts = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    if (timeout_ms > INT32_MAX) /* 24 days: the caller will have to ask again */
        timeout_ms = INT32_MAX;
    ts.tv_sec += (time_t)(timeout_ms / 1000);
    ts.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (ts.tv_nsec >= 1000000000) {
        ts.tv_nsec -= 1000000000;
        ts.tv_sec++;
    }
    return ts;
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

/* Not getrusage() alone: that goes on counting across execve(), and so gives the size of whoever
 * started the program where that was larger. */
uint64_t
base_peak_rss(void)
{
    FILE *f = fopen("/proc/self/status", "re");
    unsigned long long kib = 0;
    struct rusage u;
    char line[128];

    while (f && kib == 0 && fgets(line, sizeof(line), f))
        (void)sscanf(line, "VmHWM: %llu kB", &kib);
    if (f)
        (void)fclose(f);
    if (kib > 0)
        return kib * 1024u;
    if (getrusage(RUSAGE_SELF, &u) != 0)
        return 0;
    return (uint64_t)u.ru_maxrss * 1024u; /* Linux counts in KiB */
}
