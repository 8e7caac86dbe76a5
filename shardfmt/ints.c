/* Streams of numbers. Writing trusts its caller; reading trusts nothing: every length is compared with
 * the number of values before the first one is decoded, or as runs and packed blocks are met. */
#include "config.h"
#include "shardfmt/ints.h"

#include <errno.h>
#include <inttypes.h>

#include "lib/compiler.h"
#include "lib/fail.h"
#include "shardfmt/bss.h"
#include "shardfmt/decode.h"
#include "shardfmt/delta.h"
#include "shardfmt/group.h"

/* ------------------------------------------------------------------------------------ writing */

void
fmt_ints_scratch_done(struct fmt_ints_scratch *s)
{
    base_buf_done(&s->runs);
    base_buf_done(&s->deltas);
}

size_t
fmt_ints_narrowest(struct fmt_range r, size_t size, bool is_signed)
{
    for (size_t k = 1; k < size; k++) {
        const unsigned bits = 8 * (unsigned)k;

        if (is_signed ? (int64_t)r.lo >= -(INT64_C(1) << (bits - 1)) &&
                            (int64_t)r.hi < INT64_C(1) << (bits - 1)
                      : r.hi >> bits == 0)
            return k;
    }
    return size;
}

/* The next power of two: what plain values and runs have. */
static size_t
round_size(size_t k)
{
    return k <= 2 ? k : k <= 4 ? 4 : 8;
}

/* Bytes per value that suffice. */
static size_t
stored_size(struct fmt_ints_way way, struct fmt_ints_kind kind, const void *values, size_t n)
{
    const uint8_t enc = way.encoding;
    size_t k = way.bytes;

    if (!kind.is_int || (enc != FMT_ENC_PLAIN && enc != FMT_ENC_RLE && enc != FMT_ENC_BSS))
        return kind.size;
    if (k == 0)
        k = fmt_ints_narrowest(fmt_range_of(values, kind.size, kind.is_signed, n), kind.size,
                               kind.is_signed);
    return enc == FMT_ENC_BSS ? k : round_size(k);
}

#define NARROW(from, to)                                                                           \
    for (size_t i = 0; i < n; i++) {                                                               \
        from v;                                                                                    \
        to x;                                                                                      \
        memcpy(&v, p + i * sizeof(v), sizeof(v));                                                  \
        x = (to)v;                                                                                 \
        memcpy(dst + i * sizeof(x), &x, sizeof(x));                                                \
    }

/* The low bytes of each of n values. */
static void
narrow(const void *values, size_t size, size_t n, size_t stored, uint8_t *dst)
{
    const uint8_t *p = values;

    switch (size * 16 + stored) {
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
        memcpy(dst, p, n * size);
        break;
    }
}

static int
append_runs(struct base_buf *out, struct base_buf *run_values, size_t size, size_t stored,
            const void *values, size_t n)
{
    const size_t n_runs = fmt_rle_runs(values, size, n, n);

    base_buf_reset(run_values);
    if (base_buf_reserve(run_values, n_runs * size) < 0 ||
        base_buf_reserve(out, n_runs * (1 + stored)) < 0)
        return -ENOMEM;
    fmt_rle_split(values, size, n, out->data + out->len, run_values->data);
    narrow(run_values->data, size, n_runs, stored, out->data + out->len + n_runs);
    out->len += n_runs * (1 + stored);
    return 0;
}

static int
append_delta(struct base_buf *out, struct fmt_ints_scratch *scratch, enum fmt_encoding inner,
             struct fmt_ints_kind kind, const void *values, size_t n)
{
    struct base_buf *deltas = &scratch->deltas;
    uint64_t start;
    size_t head;
    int r;

    base_buf_reset(deltas);
    if (base_buf_reserve(deltas, n * kind.size) < 0 ||
        base_buf_reserve(out, FMT_DELTA_HEAD(kind.size)) < 0)
        return -ENOMEM;
    start = fmt_delta_split(values, kind.size, n, deltas->data);
    base_buf_put(out, &start, kind.size); /* little-endian: the low bytes */
    head = out->len;
    out->len += 2;
    kind.is_signed = true;
    r = fmt_ints_append(out, scratch, (struct fmt_ints_way){.encoding = (uint8_t)inner}, kind,
                        deltas->data, n);
    if (r < 0)
        return r;
    out->data[head] = (uint8_t)inner;
    out->data[head + 1] = (uint8_t)r;
    return 0;
}

int
fmt_ints_append(struct base_buf *out, struct fmt_ints_scratch *scratch, struct fmt_ints_way way,
                struct fmt_ints_kind kind, const void *values, size_t n)
{
    const size_t size = kind.size, stored = stored_size(way, kind, values, n);
    size_t len = n * stored;
    int r = 0;

    switch (way.encoding) {
    case FMT_ENC_DELTA:
        r = append_delta(out, scratch, way.inner, kind, values, n);
        return r < 0 ? r : (int)size;
    case FMT_ENC_RLE:
        r = append_runs(out, &scratch->runs, size, stored, values, n);
        return r < 0 ? r : (int)stored;
    case FMT_ENC_CONST:
        len = size;
        break;
    case FMT_ENC_FOR:
        len = fmt_for_bound(size, n);
        break;
    default:
        break;
    }
    if (base_buf_reserve(out, len) < 0)
        return -ENOMEM;
    if (way.encoding == FMT_ENC_CONST)
        memcpy(out->data + out->len, values, size);
    else if (way.encoding == FMT_ENC_FOR)
        len = fmt_for_encode(values, size, kind.is_signed, n, out->data + out->len);
    else if (way.encoding == FMT_ENC_BSS)
        fmt_bss_split(values, size, n, stored, out->data + out->len);
    else
        narrow(values, size, n, stored, out->data + out->len);
    out->len += len;
    return (int)stored;
}

/* ------------------------------------------------------------------------------------ reading */

static int
fail_length(const struct fmt_ints_reader *r, size_t len, struct shard_error *err)
{
    return base_fail(err, SHARD_ECORRUPT, "stream of %s: %zu bytes, %zu each, for %zu values",
                     fmt_role_name(r->role), len, r->stored, r->n);
}

/* May values of this kind be stored at so many bytes each? */
static bool
stored_ok(const struct fmt_ints_reader *r)
{
    const size_t stored = r->stored, size = r->kind.size;

    if (stored == size || !r->kind.is_int || stored == 0 || stored > size)
        return stored == size;
    if (r->encoding == FMT_ENC_BSS)
        return true;
    return (r->encoding == FMT_ENC_PLAIN || r->encoding == FMT_ENC_RLE) &&
           stored == round_size(stored);
}

static int delta_open(struct fmt_ints_reader *r, size_t len, struct shard_error *err);

/* The len bytes at r->in, by r->encoding. */
static int
reader_open(struct fmt_ints_reader *r, size_t len, struct shard_error *err)
{
    const bool is_int = r->kind.is_int;
    const size_t n = r->n, size = r->kind.size;

    if (r->encoding > FMT_ENC_LAST)
        return fmt_fail_encoding(r->encoding, r->role, err);
    if (!stored_ok(r))
        return fail_length(r, len, err);
    switch (r->encoding) {
    case FMT_ENC_PLAIN:
    case FMT_ENC_BSS:
        return len == (uint64_t)n * r->stored ? 0 : fail_length(r, len, err);
    case FMT_ENC_CONST:
        return len == size ? 0 : fail_length(r, len, err);
    case FMT_ENC_RLE:
        if (n == 0 && len)
            return fail_length(r, len, err);
        return fmt_rle_open(&r->runs, r->in, len, r->stored, size, r->kind.is_signed, err);
    case FMT_ENC_FOR:
        if (is_int)
            return fmt_for_open(&r->packed, r->in, len, size, n, err);
        break;
    case FMT_ENC_DELTA:
        if (is_int && !r->is_delta)
            return delta_open(r, len, err);
        break;
    default:
        break;
    }
    return fmt_fail_encoding(r->encoding, r->role, err);
}

/* Go on with the differences: the reader gives sums of them. */
static int
delta_open(struct fmt_ints_reader *r, size_t len, struct shard_error *err)
{
    const size_t size = r->kind.size, head = FMT_DELTA_HEAD(size);

    if (len < head)
        return fail_length(r, len, err);
    memcpy(&r->sum, r->in, size);
    r->encoding = r->in[size];
    r->stored = r->in[size + 1];
    r->in += head;
    r->kind.is_signed = true;
    r->is_delta = true;
    return reader_open(r, len - head, err);
}

int
fmt_ints_open(struct fmt_ints_reader *r, const struct fmt_stream_in *s, size_t size, bool is_int,
              bool is_signed, size_t n, struct shard_error *err)
{
    *r = (struct fmt_ints_reader){.kind = {(uint8_t)size, is_int, is_signed},
                                  .role = s->role,
                                  .encoding = s->encoding,
                                  .stored = s->size,
                                  .n = n,
                                  .left = n,
                                  .in = s->data};
    if (s->count != n)
        return base_fail(err, SHARD_ECORRUPT, "stream of %s: %" PRIu32 " values instead of %zu",
                         fmt_role_name(s->role), s->count, n);
    return reader_open(r, s->len, err);
}

#define WIDEN(from, to)                                                                            \
    do {                                                                                           \
        to *d = dst;                                                                               \
        for (size_t i = 0; i < n; i++) {                                                           \
            from v;                                                                                \
            memcpy(&v, src + i * sizeof(v), sizeof(v));                                            \
            d[i] = (to)v;                                                                          \
        }                                                                                          \
    } while (0)

/* Extending with the sign is the same for every wider type: int64 stands for uint64, too. */
#define WIDEN_TO(to)                                                                               \
    do {                                                                                           \
        switch (from * 2 + is_signed) {                                                            \
        case 2:                                                                                    \
            WIDEN(uint8_t, to);                                                                    \
            break;                                                                                 \
        case 3:                                                                                    \
            WIDEN(int8_t, to);                                                                     \
            break;                                                                                 \
        case 4:                                                                                    \
            WIDEN(uint16_t, to);                                                                   \
            break;                                                                                 \
        case 5:                                                                                    \
            WIDEN(int16_t, to);                                                                    \
            break;                                                                                 \
        case 8:                                                                                    \
            WIDEN(uint32_t, to);                                                                   \
            break;                                                                                 \
        default:                                                                                   \
            WIDEN(int32_t, to);                                                                    \
            break;                                                                                 \
        }                                                                                          \
    } while (0)

static void
widen(const uint8_t *src, size_t from, bool is_signed, size_t n, void *dst, size_t size)
{
    if (from == size)
        memcpy(dst, src, n * size);
    else if (size == 2)
        WIDEN_TO(uint16_t);
    else if (size == 4)
        WIDEN_TO(uint32_t);
    else
        WIDEN_TO(uint64_t);
}

#define FILL(T)                                                                                    \
    do {                                                                                           \
        T v, *d = dst;                                                                             \
        memcpy(&v, src, sizeof(v));                                                                \
        for (size_t i = 0; i < n; i++)                                                             \
            d[i] = v;                                                                              \
    } while (0)

static void
fill(const uint8_t *src, size_t size, size_t n, void *dst)
{
    switch (size) {
    case 1:
        memset(dst, *src, n);
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
}

int
fmt_ints_next(struct fmt_ints_reader *r, void *dst, struct shard_error *err)
{
    const size_t n = BASE_MIN(r->left, FMT_FOR_BLOCK), size = r->kind.size;
    int status = 0;

    switch (r->encoding) {
    case FMT_ENC_FOR:
        status = fmt_for_next(&r->packed, dst, err);
        break;
    case FMT_ENC_RLE:
        status = fmt_rle_next(&r->runs, n, n == r->left, dst, err);
        break;
    case FMT_ENC_CONST:
        fill(r->in, size, n, dst);
        break;
    case FMT_ENC_BSS:
        fmt_bss_join(r->in, r->n, r->stored, r->kind.is_signed, n, dst, size);
        r->in += n;
        break;
    default:
        widen(r->in, r->stored, r->kind.is_signed, n, dst, size);
        r->in += n * r->stored;
        break;
    }
    if (status < 0)
        return status;
    r->left -= n;
    if (r->is_delta)
        r->sum = fmt_delta_join(dst, size, n, r->sum);
    return (int)n;
}

int
fmt_ints_all(const struct fmt_stream_in *s, size_t size, bool is_int, bool is_signed, size_t n,
             void *dst, struct shard_error *err)
{
    struct fmt_ints_reader rd;
    uint8_t *p = dst;
    int r = fmt_ints_open(&rd, s, size, is_int, is_signed, n, err);

    while (r >= 0 && rd.left) {
        r = fmt_ints_next(&rd, p, err);
        if (r > 0)
            p += (size_t)r * size;
    }
    return r < 0 ? r : 0;
}
