/* How many cores there are for us. Thread-safe. */
#ifndef BASE_CPU_H
#define BASE_CPU_H

/* Cores this process may run on (affinity and cgroup respected), at least 1. */
unsigned base_cpu_count(void);

/* Cores, rounded up, that the cpu.max files of cgroup v2 below root leave to a process whose
 * /proc/self/cgroup reads self: the lowest of its group and those around it, at least 1;
 * UINT32_MAX where there is no limit. */
unsigned base_cpu_quota(const char *root, const char *self);

#endif
