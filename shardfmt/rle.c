/* Run lengths. */
#include "config.h"
#include "shardfmt/rle.h"

#include <string.h>

#include "lib/compiler.h"
#include "lib/fail.h"

#define SPLAT 16u /* values that are written at once where there is room for them */

#define RUNS(T)                                                                                    \
    do {                                                                                           \
        const T *v = values;                                                                       \
        for (size_t i = 1; i < n; i++) {                                                           \
            len++;                                                                                 \
            if (v[i] == v[i - 1] && len < FMT_RUN_MAX)                                             \
                continue;                                                                          \
            len = 0;                                                                               \
            if (++n_runs > max)                                                                    \
                break;                                                                             \
        }                                                                                          \
    } while (0)

size_t
fmt_rle_runs(const void *values, size_t size, size_t n, size_t max)
{
    size_t n_runs = n > 0, len = 0;

    switch (size) {
    case 1:
        RUNS(uint8_t);
        break;
    case 2:
        RUNS(uint16_t);
        break;
    case 4:
        RUNS(uint32_t);
        break;
    default:
        RUNS(uint64_t);
        break;
    }
    return n_runs;
}

#define RUNS_SPLIT(T)                                                                              \
    do {                                                                                           \
        const T *v = values;                                                                       \
        T *out = run_values;                                                                       \
        for (size_t i = 0, from = 0; i < n; i++) {                                                 \
            if (i + 1 < n && v[i + 1] == v[i] && i + 1 - from < FMT_RUN_MAX)                       \
                continue;                                                                          \
            *lengths++ = (uint8_t)(i - from);                                                      \
            *out++ = v[i];                                                                         \
            from = i + 1;                                                                          \
        }                                                                                          \
    } while (0)

void
fmt_rle_split(const void *values, size_t size, size_t n, uint8_t *lengths, void *run_values)
{
    switch (size) {
    case 1:
        RUNS_SPLIT(uint8_t);
        break;
    case 2:
        RUNS_SPLIT(uint16_t);
        break;
    case 4:
        RUNS_SPLIT(uint32_t);
        break;
    default:
        RUNS_SPLIT(uint64_t);
        break;
    }
}

int
fmt_rle_open(struct fmt_rle_reader *r, const uint8_t *src, size_t len, size_t stored, size_t size,
             bool is_signed, struct shard_error *err)
{
    const size_t n_runs = len / (1 + stored);

    if (len % (1 + stored))
        return base_fail(err, SHARD_ECORRUPT, "runs of %zu bytes in %zu bytes", 1 + stored, len);
    *r = (struct fmt_rle_reader){.length = src,
                                 .value = src + n_runs,
                                 .n_runs = n_runs,
                                 .stored = stored,
                                 .size = size,
                                 .is_signed = is_signed};
    return 0;
}

/* The value of the run at hand, with zeros or its sign in front. */
static inline uint64_t
run_value(const struct fmt_rle_reader *r)
{
    const unsigned unused = 64 - 8 * (unsigned)r->stored;
    uint64_t v = 0;

    memcpy(&v, r->value, r->stored);
    return r->is_signed ? (uint64_t)((int64_t)(v << unused) >> unused) : v;
}

#define FILL(T)                                                                                    \
    do {                                                                                           \
        T *d = dst, *const end = d + n;                                                            \
        while (d < end && r->n_runs) {                                                             \
            const T v = (T)run_value(r);                                                           \
            const size_t run = (size_t)*r->length + 1 - r->done, room = (size_t)(end - d);         \
            const size_t k = BASE_MIN(run, room);                                                  \
            size_t i = 0;                                                                          \
            if (room >= SPLAT)                                                                     \
                for (; i < SPLAT; i++)                                                             \
                    d[i] = v;                                                                      \
            for (; i < k; i++)                                                                     \
                d[i] = v;                                                                          \
            d += k;                                                                                \
            r->done += k;                                                                          \
            if (k == run) {                                                                        \
                r->done = 0;                                                                       \
                r->length++;                                                                       \
                r->value += r->stored;                                                             \
                r->n_runs--;                                                                       \
            }                                                                                      \
        }                                                                                          \
        left = (size_t)(end - d);                                                                  \
    } while (0)

int
fmt_rle_next(struct fmt_rle_reader *r, size_t n, bool last, void *dst, struct shard_error *err)
{
    size_t left;

    switch (r->size) {
    case 1:
        FILL(uint8_t);
        break;
    case 2:
        FILL(uint16_t);
        break;
    case 4:
        FILL(uint32_t);
        break;
    default:
        FILL(uint64_t);
        break;
    }
    if (left || (last && r->n_runs))
        return base_fail(err, SHARD_ECORRUPT, "runs of too %s values", left ? "few" : "many");
    return 0;
}
