/* Bit packing. The loops over lanes have constant trip counts and one shift for all lanes: compilers
 * turn each into a few vector instructions, whatever the width, so there is one function for all
 * widths and no intrinsics. The layout is that of Afroozeh and Boncz, "The FastLanes Compression
 * Layout", VLDB 2023, without its reordering of values. */
#include "config.h"
#include "shardfmt/bitpack.h"

/* gcc vectorises all of the loops below at -O3 only; clang does at -O2. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__)
#pragma GCC optimize("O3")
#endif

#include <string.h>

#include "lib/compiler.h"
#include "lib/endian.h"
#include "lib/fail.h"

#define LANES32 32u /* value i of a block: lane i % 32, position i / 32 */
#define LANES64 16u

/* Words at any address. */
typedef uint32_t word32 __attribute__((aligned(1), may_alias));
typedef uint64_t word64 __attribute__((aligned(1), may_alias));

#define UNPACK(bits, lanes)                                                                        \
    void fmt_unpack##bits(const uint8_t *src, unsigned w, uint##bits##_t *restrict dst)            \
    {                                                                                              \
        const word##bits *in = (const void *)src;                                                  \
        const uint##bits##_t mask = w ? (uint##bits##_t)~(uint##bits##_t)0 >> (bits - w) : 0;      \
                                                                                                   \
        if (w == 0) {                                                                              \
            memset(dst, 0, FMT_FOR_BLOCK * sizeof(*dst));                                          \
            return;                                                                                \
        }                                                                                          \
        for (unsigned j = 0; j < bits; j++, dst += lanes) {                                        \
            const unsigned bit = j * w, shift = bit % bits;                                        \
            const word##bits *word = in + (size_t)(bit / bits) * lanes;                            \
                                                                                                   \
            if (shift + w <= bits) {                                                               \
                for (unsigned l = 0; l < lanes; l++)                                               \
                    dst[l] = (word[l] >> shift) & mask;                                            \
            } else {                                                                               \
                for (unsigned l = 0; l < lanes; l++)                                               \
                    dst[l] = (word[l] >> shift | word[l + lanes] << (bits - shift)) & mask;        \
            }                                                                                      \
        }                                                                                          \
    }
UNPACK(32, LANES32)
UNPACK(64, LANES64)

#define PACK(bits, lanes)                                                                          \
    static void pack##bits(const uint##bits##_t *restrict in, unsigned w, uint8_t *restrict dst)   \
    {                                                                                              \
        word##bits *out = (void *)dst;                                                             \
                                                                                                   \
        memset(dst, 0, (size_t)128 * w);                                                           \
        if (w == 0)                                                                                \
            return;                                                                                \
        for (unsigned j = 0; j < bits; j++, in += lanes) {                                         \
            const unsigned bit = j * w, shift = bit % bits;                                        \
            word##bits *word = out + (size_t)(bit / bits) * lanes;                                 \
                                                                                                   \
            for (unsigned l = 0; l < lanes; l++)                                                   \
                word[l] |= in[l] << shift;                                                         \
            if (shift + w > bits)                                                                  \
                for (unsigned l = 0; l < lanes; l++)                                               \
                    word[l + lanes] |= in[l] >> (bits - shift);                                    \
        }                                                                                          \
    }
PACK(32, LANES32)
PACK(64, LANES64)

/* ------------------------------------------------------- the last block: a string of bits */

static void
pack_tail(const uint64_t *in, size_t n, unsigned w, uint8_t *dst)
{
    unsigned __int128 acc = 0;
    unsigned have = 0;

    for (size_t i = 0; i < n; i++) {
        acc |= (unsigned __int128)in[i] << have;
        for (have += w; have >= 8; have -= 8, acc >>= 8)
            *dst++ = (uint8_t)acc;
    }
    if (have)
        *dst = (uint8_t)acc;
}

static void
unpack_tail(const uint8_t *src, size_t n, unsigned w, uint64_t *dst)
{
    const uint64_t mask = w ? ~UINT64_C(0) >> (64 - w) : 0;
    const size_t len = (n * w + 7) / 8;
    unsigned __int128 acc = 0;
    unsigned have = 0;
    size_t at = 0;

    for (size_t i = 0; i < n; i++) {
        if (have < w && len - at >= 8) {
            acc |= (unsigned __int128)base_load_le64(src + at) << have;
            have += 64, at += 8;
        }
        for (; have < w; have += 8)
            acc |= (unsigned __int128)src[at++] << have;
        dst[i] = (uint64_t)acc & mask;
        acc >>= w, have -= w;
    }
}

static size_t
packed_size(size_t n, unsigned w)
{
    return (n * w + 7) / 8; /* for a whole block: 128 w */
}

/* --------------------------------------------------------------------------------- encoding */

static unsigned
range_width(struct fmt_range r)
{
    return r.hi == r.lo ? 0 : 64 - (unsigned)__builtin_clzll(r.hi - r.lo);
}

size_t
fmt_for_measure(const void *values, size_t size, bool is_signed, size_t n,
                struct fmt_range *ret_range)
{
    const uint8_t *v = values;
    struct fmt_range all = {0, 0};
    size_t len = 0;

    for (size_t i = 0; i < n; i += FMT_FOR_BLOCK) {
        const size_t k = BASE_MIN(n - i, FMT_FOR_BLOCK);
        const struct fmt_range r = fmt_range_of(v + i * size, size, is_signed, k);

        all = i == 0 ? r : fmt_range_join(all, r, is_signed);
        len += 1 + size + packed_size(k, range_width(r));
    }
    *ret_range = all;
    return len;
}

size_t
fmt_for_size(const void *values, size_t size, bool is_signed, size_t n)
{
    struct fmt_range range;

    return fmt_for_measure(values, size, is_signed, n, &range);
}

#define SUBTRACT(T, U)                                                                             \
    do {                                                                                           \
        const T *v = values;                                                                       \
        for (size_t i = 0; i < n; i++)                                                             \
            dst[i] = (U)(T)(v[i] - (T)base);                                                       \
    } while (0)

#define DEFINE_SUBTRACT(U)                                                                         \
    static void subtract_##U(const void *values, size_t size, size_t n, uint64_t base,             \
                             U *restrict dst)                                                      \
    {                                                                                              \
        switch (size) {                                                                            \
        case 1:                                                                                    \
            SUBTRACT(uint8_t, U);                                                                  \
            break;                                                                                 \
        case 2:                                                                                    \
            SUBTRACT(uint16_t, U);                                                                 \
            break;                                                                                 \
        case 4:                                                                                    \
            SUBTRACT(uint32_t, U);                                                                 \
            break;                                                                                 \
        default:                                                                                   \
            SUBTRACT(uint64_t, U);                                                                 \
            break;                                                                                 \
        }                                                                                          \
    }
DEFINE_SUBTRACT(uint32_t)
DEFINE_SUBTRACT(uint64_t)

static void
block_encode(const void *values, size_t size, size_t n, uint64_t base, unsigned w, uint8_t *dst)
{
    union {
        uint32_t u32[FMT_FOR_BLOCK];
        uint64_t u64[FMT_FOR_BLOCK];
    } tmp;

    if (n == FMT_FOR_BLOCK && w <= 32) {
        subtract_uint32_t(values, size, n, base, tmp.u32);
        pack32(tmp.u32, w, dst);
        return;
    }
    subtract_uint64_t(values, size, n, base, tmp.u64);
    if (n == FMT_FOR_BLOCK)
        pack64(tmp.u64, w, dst);
    else
        pack_tail(tmp.u64, n, w, dst);
}

static size_t
block_count(size_t n)
{
    return (n + FMT_FOR_BLOCK - 1) / FMT_FOR_BLOCK;
}

size_t
fmt_for_bound(size_t size, size_t n)
{
    return block_count(n) * (1 + size) + n * size;
}

size_t
fmt_for_encode(const void *values, size_t size, bool is_signed, size_t n, uint8_t *dst)
{
    const size_t n_blocks = block_count(n);
    const uint8_t *v = values;
    uint8_t *out = dst + n_blocks * (1 + size);

    for (size_t b = 0; b < n_blocks; b++) {
        const size_t i = b * FMT_FOR_BLOCK, k = BASE_MIN(n - i, FMT_FOR_BLOCK);
        const struct fmt_range r = fmt_range_of(v + i * size, size, is_signed, k);
        const unsigned w = range_width(r);

        dst[b] = (uint8_t)w;
        memcpy(dst + n_blocks + b * size, &r.lo, size); /* little-endian: the low bytes */
        block_encode(v + i * size, size, k, r.lo, w, out);
        out += packed_size(k, w);
    }
    return (size_t)(out - dst);
}

/* --------------------------------------------------------------------------------- decoding */

#define ADD(T)                                                                                     \
    do {                                                                                           \
        T *restrict d = dst;                                                                       \
        const T b = (T)base;                                                                       \
        for (size_t i = 0; i < n; i++)                                                             \
            d[i] = (T)((T)src[i] + b);                                                             \
    } while (0)

#define DEFINE_ADD(U)                                                                              \
    static void add_##U(const U *restrict src, size_t size, size_t n, uint64_t base, void *dst)    \
    {                                                                                              \
        switch (size) {                                                                            \
        case 1:                                                                                    \
            ADD(uint8_t);                                                                          \
            break;                                                                                 \
        case 2:                                                                                    \
            ADD(uint16_t);                                                                         \
            break;                                                                                 \
        case 4:                                                                                    \
            ADD(uint32_t);                                                                         \
            break;                                                                                 \
        default:                                                                                   \
            ADD(uint64_t);                                                                         \
            break;                                                                                 \
        }                                                                                          \
    }
DEFINE_ADD(uint32_t)
DEFINE_ADD(uint64_t)

static void
block_decode(const uint8_t *src, size_t size, size_t n, uint64_t base, unsigned w, void *dst)
{
    union {
        uint32_t u32[FMT_FOR_BLOCK];
        uint64_t u64[FMT_FOR_BLOCK];
    } tmp;

    if (n == FMT_FOR_BLOCK && w <= 32) {
        fmt_unpack32(src, w, tmp.u32);
        add_uint32_t(tmp.u32, size, FMT_FOR_BLOCK, base, dst);
        return;
    }
    if (n == FMT_FOR_BLOCK)
        fmt_unpack64(src, w, tmp.u64);
    else
        unpack_tail(src, n, w, tmp.u64);
    add_uint64_t(tmp.u64, size, n, base, dst);
}

int
fmt_for_open(struct fmt_for_reader *r, const uint8_t *src, size_t len, size_t size, size_t n,
             struct shard_error *err)
{
    const size_t n_blocks = block_count(n);

    if (n_blocks > len / (1 + size) || (n == 0 && len))
        return base_fail(err, SHARD_ECORRUPT, "%zu packed blocks in %zu bytes", n_blocks, len);
    *r = (struct fmt_for_reader){.width = src,
                                 .base = src + n_blocks,
                                 .in = src + n_blocks * (1 + size),
                                 .end = src + len,
                                 .size = size,
                                 .left = n};
    return 0;
}

int
fmt_for_next(struct fmt_for_reader *r, void *dst, struct shard_error *err)
{
    const size_t n = BASE_MIN(r->left, FMT_FOR_BLOCK);
    const unsigned w = n ? *r->width : 0;
    uint64_t base = 0;

    if (n == 0)
        return 0;
    if (w > 8 * r->size || packed_size(n, w) > (size_t)(r->end - r->in))
        return base_fail(err, SHARD_ECORRUPT, "a packed block of width %u goes too far", w);
    memcpy(&base, r->base, r->size);
    block_decode(r->in, r->size, n, base, w, dst);
    r->in += packed_size(n, w);
    r->width++;
    r->base += r->size;
    r->left -= n;
    if (r->left == 0 && r->in != r->end)
        return base_fail(err, SHARD_ECORRUPT, "bytes behind the packed blocks");
    return (int)n;
}
