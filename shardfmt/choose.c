/* Choosing: what would these values cost in the file?
 *
 * With zstd on top, fewer raw bytes are not always fewer stored ones: packing bits hides from zstd
 * the byte patterns that it lives on. So candidates are tried on a bounded sample, compressed as
 * the page will be, and the sample's ratio is applied to the whole. Small streams are tried whole.
 * Everything here depends on values and options only. */
#include "config.h"
#include "shardfmt/encode.h"

#include <errno.h>

#include "lib/arith.h"
#include "lib/compiler.h"
#include "lib/endian.h"
#include "shardfmt/bitpack.h"

#define SAMPLE_RUNS  4u    /* evenly spread runs of one block of values each */
#define SAMPLE_BYTES 16384u /* of bytes: as many, in four runs */

/* Runs of run_len things of size bytes, of n in all, into e->sample. Returns how many things. */
static int64_t
sample_take(struct fmt_encoder *e, const uint8_t *data, size_t size, size_t n, size_t run_len)
{
    base_buf_reset(&e->sample);
    if (n <= SAMPLE_RUNS * run_len) {
        if (base_buf_append(&e->sample, data, n * size) < 0)
            return -ENOMEM;
        return (int64_t)n;
    }
    for (size_t i = 0; i < SAMPLE_RUNS; i++) {
        const size_t at = (size_t)base_muldiv_u64(n - run_len, i, SAMPLE_RUNS - 1);

        if (base_buf_append(&e->sample, data + at * size, run_len * size) < 0)
            return -ENOMEM;
    }
    return (int64_t)(SAMPLE_RUNS * run_len);
}

/* Stored size of len bytes: compressed where that is smaller and zstd is on. */
static int64_t
trial_size(struct fmt_encoder *e, const void *data, size_t len)
{
    int64_t r;

    if (e->opts->zstd_level == 0 || len == 0)
        return (int64_t)len;
    base_buf_reset(&e->trial);
    if (base_buf_reserve(&e->trial, base_codec_bound(len)) < 0)
        return -ENOMEM;
    r = base_codec_compress(e->codec, e->opts->zstd_level, e->trial.data, e->trial.cap, data, len);
    return r < 0 ? r : BASE_MIN(r, (int64_t)len);
}

int64_t
fmt_cost_bytes(struct fmt_encoder *e, const void *data, size_t len)
{
    int64_t n, stored;

    if (e->opts->zstd_level == 0 || len == 0)
        return (int64_t)len;
    n = sample_take(e, data, 1, len, SAMPLE_BYTES / SAMPLE_RUNS);
    if (n < 0)
        return n;
    stored = trial_size(e, e->sample.data, (size_t)n);
    return stored < 0 ? stored : (int64_t)base_muldiv_u64(len, (uint64_t)stored, (uint64_t)n);
}

/* ------------------------------------------------------------------------------ narrow plain */

/* The fewest bytes that hold every value from lo to hi, extended with zeros or their sign. */
static size_t
narrow_size(uint64_t lo, uint64_t hi, size_t size, bool is_signed)
{
    for (size_t k = 1; k < size; k *= 2) {
        const unsigned bits = 8 * (unsigned)k;

        if (is_signed ? (int64_t)lo >= -(INT64_C(1) << (bits - 1)) &&
                            (int64_t)hi < INT64_C(1) << (bits - 1)
                      : hi >> bits == 0)
            return k;
    }
    return size;
}

#define NARROW(from, to)                                                                           \
    for (size_t i = 0; i < n; i++) {                                                               \
        from v;                                                                                    \
        to x;                                                                                      \
        memcpy(&v, p + i * sizeof(v), sizeof(v));                                                  \
        x = (to)v;                                                                                 \
        memcpy(dst + i * sizeof(x), &x, sizeof(x));                                                \
    }

void
fmt_narrow(const void *values, size_t size, size_t n, size_t narrow, uint8_t *dst)
{
    const uint8_t *p = values;

    switch (size * 16 + narrow) {
    case 2 * 16 + 1:
        NARROW(uint16_t, uint8_t);
        break;
    case 4 * 16 + 1:
        NARROW(uint32_t, uint8_t);
        break;
    case 4 * 16 + 2:
        NARROW(uint32_t, uint16_t);
        break;
    case 8 * 16 + 1:
        NARROW(uint64_t, uint8_t);
        break;
    case 8 * 16 + 2:
        NARROW(uint64_t, uint16_t);
        break;
    case 8 * 16 + 4:
        NARROW(uint64_t, uint32_t);
        break;
    default:
        if (n)
            memcpy(dst, p, n * size);
        break;
    }
}

/* ---------------------------------------------------------------------------------- integers */

/* Stored size of a sample of n values packed, and plain at narrow bytes each. */
static int
try_both(struct fmt_encoder *e, size_t size, bool is_signed, size_t n, size_t narrow,
         int64_t *ret_packed, int64_t *ret_plain)
{
    const size_t len = fmt_for_size(e->sample.data, size, is_signed, n);

    base_buf_reset(&e->packed);
    if (base_buf_reserve(&e->packed, BASE_MAX(len, n * narrow)) < 0)
        return -ENOMEM;
    fmt_for_encode(e->sample.data, size, is_signed, n, e->packed.data);
    *ret_packed = trial_size(e, e->packed.data, len);
    if (*ret_packed < 0)
        return (int)*ret_packed;
    fmt_narrow(e->sample.data, size, n, narrow, e->packed.data);
    *ret_plain = trial_size(e, e->packed.data, n * narrow);
    return *ret_plain < 0 ? (int)*ret_plain : 0;
}

int
fmt_plan_ints(struct fmt_encoder *e, const void *values, size_t size, bool is_signed, size_t n,
              struct fmt_int_plan *ret)
{
    const uint8_t *v = values;
    size_t narrow, packed_len;
    int64_t sampled, packed = 0, plain = 0;
    uint64_t lo, hi;
    int r;

    *ret = (struct fmt_int_plan){FMT_ENC_PLAIN, (uint8_t)size, n * size, n * size};
    if (e->opts->plain_only || n == 0)
        return 0;
    if (memcmp(v, v + size, (n - 1) * size) == 0) {
        *ret = (struct fmt_int_plan){FMT_ENC_CONST, (uint8_t)size, size, size};
        return 0;
    }
    packed_len = fmt_for_measure(v, size, is_signed, n, &lo, &hi);
    narrow = narrow_size(lo, hi, size, is_signed);
    *ret = (struct fmt_int_plan){FMT_ENC_PLAIN, (uint8_t)narrow, BASE_MIN(n * narrow, packed_len),
                                 n * narrow};
    if (e->opts->zstd_level == 0) {
        if (packed_len < n * narrow)
            *ret = (struct fmt_int_plan){FMT_ENC_FOR, (uint8_t)size, packed_len, packed_len};
        return 0;
    }
    sampled = sample_take(e, v, size, n, FMT_FOR_BLOCK);
    if (sampled < 0)
        return (int)sampled;
    r = try_both(e, size, is_signed, (size_t)sampled, narrow, &packed, &plain);
    if (r < 0)
        return r;
    /* Packed values decode several times as fast as zstd does: a near tie is theirs. */
    if (packed_len < n * narrow && packed <= plain + plain / 32) {
        ret->encoding = FMT_ENC_FOR;
        ret->size = (uint8_t)size;
        plain = packed;
    }
    ret->cost = base_muldiv_u64(n, (uint64_t)plain, (uint64_t)sampled);
    return 0;
}
