/* Choosing: what would these values cost in the file?
 *
 * With zstd on top, fewer raw bytes are not always fewer stored ones: packing bits hides from zstd
 * the byte patterns that it lives on. So candidates are tried on a bounded sample, it is estimated what
 * zstd would make of each (estimate.h), and the sample's ratio is applied to the whole. Small streams
 * are tried whole. Everything here depends on values and options only. */
#include "config.h"
#include "shardfmt/encode.h"

#include <errno.h>

#include "lib/arith.h"
#include "lib/compiler.h"
#include "lib/endian.h"
#include "shardfmt/bitpack.h"
#include "shardfmt/delta.h"

#define SAMPLE_RUN      FMT_FOR_BLOCK /* neighbouring values, or bytes */
#define SAMPLE_RUNS_MIN 3u            /* evenly spread runs: an eighth of all, but no fewer than these */
#define SAMPLE_RUNS_MAX 16u           /* and no more than these */
#define DECODE_WEIGHT   64u /* so many bytes that zstd has to give weigh as one in the file */
#define NOTHING_TO_GAIN 64u /* bytes of a sample: what takes no more is tried no other way but as differences */
/* A way that leaves zstd more than so many times the bytes that another one takes when it is through with
 * them is not tried: packed bits and runs have little left in them, the others more. */
#define PACKED_SHRINKS 2u
#define BYTES_SHRINK   4u

/* A sample of n things of size bytes into e->sample. Returns how many things. */
static int64_t
sample_take(struct fmt_encoder *e, const uint8_t *data, size_t size, size_t n)
{
    const size_t want = n / (8 * SAMPLE_RUN);
    const size_t runs = BASE_MIN(BASE_MAX(want, SAMPLE_RUNS_MIN), SAMPLE_RUNS_MAX);

    base_buf_reset(&e->sample);
    if (n <= runs * SAMPLE_RUN) {
        if (base_buf_append(&e->sample, data, n * size) < 0)
            return -ENOMEM;
        return (int64_t)n;
    }
    for (size_t i = 0; i < runs; i++) {
        const size_t at = (size_t)base_muldiv_u64(n - SAMPLE_RUN, i, runs - 1);

        if (base_buf_append(&e->sample, data + at * size, SAMPLE_RUN * size) < 0)
            return -ENOMEM;
    }
    return (int64_t)(runs * SAMPLE_RUN);
}

/* Stored size of len bytes: compressed where that is smaller and zstd is on. */
static uint64_t
trial_size(struct fmt_encoder *e, const void *data, size_t len)
{
    return e->opts->zstd_level ? fmt_estimate(&e->estimator, data, len) : len;
}

int64_t
fmt_cost_bytes(struct fmt_encoder *e, const void *data, size_t len)
{
    int64_t n;

    if (e->opts->zstd_level == 0 || len == 0)
        return (int64_t)len;
    n = sample_take(e, data, 1, len);
    if (n < 0)
        return n;
    return (int64_t)base_muldiv_u64(len, trial_size(e, e->sample.data, (size_t)n), (uint64_t)n);
}

/* ----------------------------------------------------------------------------------- numbers */

/* What the sample says of one way to store it. */
struct trial {
    struct fmt_ints_way way;
    uint64_t raw, stored; /* bytes before and after zstd */
    uint64_t cost;        /* stored, and what decoding takes */
    uint64_t plain;       /* bytes that plain values take after zstd */
    uint64_t packed;      /* bytes of packed bits before zstd; 0 where that was not asked */
};

/* Where zstd does nothing, decoding is many times as fast: it weighs nothing. */
static uint64_t
weigh(uint64_t raw, uint64_t stored)
{
    return stored + (stored < raw ? raw / DECODE_WEIGHT : 0);
}

/* n values of the sample, bytes each at least, stored one way; *best is kept where that is no dearer. */
static int
try_way(struct fmt_encoder *e, enum fmt_encoding enc, struct fmt_ints_kind kind, size_t bytes,
        const void *values, size_t n, struct trial *best)
{
    const struct fmt_ints_way way = {.encoding = (uint8_t)enc, .bytes = (uint8_t)bytes};
    uint64_t stored, cost;
    int r;

    base_buf_reset(&e->packed);
    r = fmt_ints_append(&e->packed, &e->scratch, way, kind, values, n);
    if (r < 0)
        return r;
    stored = trial_size(e, e->packed.data, e->packed.len);
    if (enc == FMT_ENC_PLAIN)
        best->plain = stored;
    best->raw = BASE_MIN(best->raw, e->packed.len);
    cost = weigh(e->packed.len, stored);
    if (cost < best->cost) {
        best->way = (struct fmt_ints_way){.encoding = (uint8_t)enc};
        best->stored = stored;
        best->cost = cost;
    }
    return 0;
}

/* Every way but differences, if it may pay. */
static int
try_simple(struct fmt_encoder *e, struct fmt_ints_kind kind, const void *values, size_t n,
           struct trial *best)
{
    const bool zstd = e->opts->zstd_level != 0;
    struct fmt_range range;
    size_t k = kind.size, runs;
    int r;

    *best = (struct trial){.raw = UINT64_MAX, .cost = UINT64_MAX};
    if (kind.is_int) {
        best->packed = fmt_for_measure(values, kind.size, kind.is_signed, n, &range);
        k = fmt_ints_narrowest(range, kind.size, kind.is_signed);
    }
    r = try_way(e, FMT_ENC_PLAIN, kind, k, values, n, best);
    if (r < 0 || best->stored <= NOTHING_TO_GAIN)
        return r;
    if (kind.is_int) {
        best->raw = BASE_MIN(best->raw, best->packed);
        if (best->packed <= PACKED_SHRINKS * best->cost)
            r = try_way(e, FMT_ENC_FOR, kind, k, values, n, best);
    }
    if (r == 0 && k > 1 && (zstd || k == 3 || (k > 4 && k < kind.size)) &&
        n * k <= BYTES_SHRINK * best->cost)
        r = try_way(e, FMT_ENC_BSS, kind, k, values, n, best);
    if (r < 0)
        return r;
    runs = BASE_MIN(n / 2, PACKED_SHRINKS * best->cost / (k + 1));
    if (fmt_rle_runs(values, kind.size, n, runs) <= runs)
        r = try_way(e, FMT_ENC_RLE, kind, k, values, n, best);
    return r;
}

/* Differences, where they take fewer bits than the values (or in any case, with force). The sample's runs
 * are apart. */
static int
try_delta(struct fmt_encoder *e, struct fmt_ints_kind kind, size_t n, bool force,
          struct trial *best)
{
    const size_t size = kind.size;
    struct trial t;
    int r;

    base_buf_reset(&e->deltas);
    if (base_buf_reserve(&e->deltas, n * size) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < n; i += SAMPLE_RUN)
        (void)fmt_delta_split(e->sample.data + i * size, size, BASE_MIN(SAMPLE_RUN, n - i),
                              e->deltas.data + i * size);
    kind.is_signed = true;
    if (!force && fmt_for_size(e->deltas.data, size, true, n) >= best->packed)
        return 0;
    r = try_simple(e, kind, e->deltas.data, n, &t);
    if (r == 0 && (t.cost < best->cost || force)) {
        t.raw = BASE_MIN(t.raw, best->raw);
        t.plain = best->plain;
        *best = t;
        best->way = (struct fmt_ints_way){FMT_ENC_DELTA, t.way.encoding, 0};
    }
    return r;
}

/* 1 where there is nothing to try: *ret says how they are stored. */
static int
plan_trivial(const struct fmt_encoder *e, const uint8_t *v, size_t size, size_t n,
             struct fmt_plan *ret)
{
    *ret = (struct fmt_plan){{FMT_ENC_PLAIN, 0, 0}, n * size, n * size, n * size};
    if (e->opts->plain_only || n == 0)
        return 1;
    if (memcmp(v, v + size, (n - 1) * size) != 0)
        return 0;
    *ret = (struct fmt_plan){{FMT_ENC_CONST, 0, 0}, size, size, n * size};
    return 1;
}

int
fmt_plan_numbers(struct fmt_encoder *e, const void *values, struct fmt_ints_kind kind, size_t n,
                 struct fmt_plan *ret)
{
    struct trial best;
    int64_t sampled;
    int r;

    if (plan_trivial(e, values, kind.size, n, ret))
        return 0;
    sampled = sample_take(e, values, kind.size, n);
    if (sampled < 0)
        return (int)sampled;
    r = try_simple(e, kind, e->sample.data, (size_t)sampled, &best);
    if (r == 0 && kind.is_int)
        r = try_delta(e, kind, (size_t)sampled, false, &best);
    if (r < 0)
        return r;
    *ret = (struct fmt_plan){best.way, base_muldiv_u64(n, best.raw, (uint64_t)sampled),
                             base_muldiv_u64(n, best.stored, (uint64_t)sampled),
                             base_muldiv_u64(n, best.plain, (uint64_t)sampled)};
    return 0;
}

int
fmt_plan_forced(struct fmt_encoder *e, const void *values, struct fmt_ints_kind kind, size_t n,
                struct fmt_plan *ret)
{
    struct trial best = {.cost = UINT64_MAX};
    int64_t sampled;
    int r;

    if (plan_trivial(e, values, kind.size, n, ret))
        return 0;
    ret->way.encoding = e->encoding;
    if (e->encoding != FMT_ENC_DELTA)
        return 0;
    sampled = sample_take(e, values, kind.size, n);
    if (sampled < 0)
        return (int)sampled;
    r = try_delta(e, kind, (size_t)sampled, true, &best);
    ret->way = best.way;
    return r;
}
