#include "config.h"
#include "lib/report.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "lib/fail.h"

static atomic_bool incomplete; /* relaxed: read by whoever built the object */

static void *
report_malloc(size_t n)
{
    void *p = malloc(n);

    if (p == NULL)
        atomic_store_explicit(&incomplete, true, memory_order_relaxed);
    return p;
}

void
base_report_init(void)
{
    json_set_alloc_funcs(report_malloc, free);
}

int
base_report_line(FILE *f, const json_t *obj, struct shard_error *err)
{
    /* 15 digits: 0.9 is shown as 0.9 and not as 0.90000000000000002. */
    char *text = json_dumps(obj, JSON_PRESERVE_ORDER | JSON_COMPACT | JSON_REAL_PRECISION(15));
    int r = 0;

    if (text == NULL || atomic_load_explicit(&incomplete, memory_order_relaxed)) {
        free(text);
        return base_fail(err, obj == NULL ? -EINVAL : -ENOMEM, "JSON output");
    }
    errno = 0;
    if (fputs(text, f) == EOF || fputc('\n', f) == EOF || fflush(f) != 0)
        r = base_fail(err, errno != 0 ? -errno : -EIO, "writing JSON output");
    free(text);
    return r;
}

json_t *
base_report_hash64(uint64_t v)
{
    char hex[BASE_HEX64_LEN + 1];

    base_hex64(v, hex);
    return json_string(hex);
}

json_t *
base_report_hash128(struct base_hash128 v)
{
    char hex[BASE_HEX128_LEN + 1];

    base_hex128(v, hex);
    return json_string(hex);
}
