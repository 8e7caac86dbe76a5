#include "config.h"
#include "lib/cpu.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/compiler.h"
#include "lib/fs.h"

static unsigned
affinity_count(void)
{
    unsigned count = 1;

    /* the kernel refuses a set smaller than its own, so try larger ones */
    for (int n = 1024; n <= 1 << 18; n *= 4) {
        cpu_set_t *set = CPU_ALLOC((size_t)n);
        const size_t size = CPU_ALLOC_SIZE((size_t)n);
        bool done;

        if (set == NULL)
            break;
        done = sched_getaffinity(0, size, set) == 0;
        if (done)
            count = (unsigned)CPU_COUNT_S(size, set);
        CPU_FREE(set);
        if (done)
            break;
    }
    return BASE_MAX(count, 1u);
}

/* Cores that a cpu.max of cgroup v2 ("QUOTA PERIOD" or "max PERIOD") allows, rounded up. */
static unsigned
quota_of(const char *cpu_max)
{
    uint64_t quota, period;

    if (sscanf(cpu_max, "%" SCNu64 " %" SCNu64, &quota, &period) != 2 || period == 0)
        return UINT32_MAX;
    quota = quota / period + (quota % period != 0);
    return quota > UINT32_MAX ? UINT32_MAX : (unsigned)quota;
}

/* The limit of one cgroup, UINT32_MAX where it has none. */
static unsigned
quota_in(const char *root, const char *group)
{
    struct base_buf file = {0};
    unsigned quota = UINT32_MAX;
    char *path = NULL;

    if (asprintf(&path, "%s%s/cpu.max", root, group) < 0)
        return quota;
    if (base_read_file(AT_FDCWD, path, 4096, &file, NULL) == 0 &&
        base_buf_append_zero(&file, 1) == 0)
        quota = quota_of((const char *)file.data);
    free(path);
    base_buf_done(&file);
    return quota;
}

unsigned
base_cpu_quota(const char *root, const char *self)
{
    unsigned lowest = UINT32_MAX;
    const char *line = self;
    char *group;

    while (strncmp(line, "0::/", 4) != 0) { /* the one line of cgroup v2 */
        line = strchr(line, '\n');
        if (line == NULL)
            return lowest;
        line++;
    }
    group = strndup(line + 3, strcspn(line + 3, "\n"));
    if (group == NULL)
        return lowest;
    for (;;) { /* our group, then those around it */
        const unsigned quota = quota_in(root, group);
        char *slash = strrchr(group, '/');

        lowest = BASE_MIN(lowest, quota);
        if (slash == NULL)
            break;
        *slash = '\0';
    }
    free(group);
    return BASE_MAX(lowest, 1u);
}

unsigned
base_cpu_count(void)
{
    struct base_buf self = {0};
    unsigned count = affinity_count();

    if (base_read_file(AT_FDCWD, "/proc/self/cgroup", 65536, &self, NULL) == 0 &&
        base_buf_append_zero(&self, 1) == 0) {
        const unsigned quota = base_cpu_quota("/sys/fs/cgroup", (const char *)self.data);

        count = BASE_MIN(count, quota);
    }
    base_buf_done(&self);
    return count;
}
