/* A greedy search for matches like zstd's strategy "fast" (one position per hash, two repeated offsets), of which
 * only histograms are kept: of literals, and of the codes of lengths and offsets as RFC 8878 has them
 * (3.1.1.3.2.1.1). Their entropy is what Huffman and FSE coding come close to. */
#include "config.h"
#include "shardfmt/estimate.h"

#include <string.h>

#include "lib/compiler.h"
#include "lib/endian.h"

#define MIN_MATCH     4u
#define FRAME_BYTES   14u /* headers of frame, block and sections */
#define SHORTEST      16u /* bytes that zstd may make fewer of */
#define SKIP_STRENGTH 5u  /* a step is one byte longer for each 2^5 without a match */
#define PRESET_BITS   5u  /* of a code by the tables that need not be sent, */
#define PRESET_MAX    64u /* which zstd takes for fewer than about so many */
#define BIT           256u /* fixed point: 1 bit */

struct histogram {
    uint32_t count[64];
    uint32_t n;
};

#define LANES 4 /* of literals: neighbours are often alike, and would wait for each other's count */

struct found {
    uint32_t literals[LANES][256];
    uint32_t n_literals;
    struct histogram lit_len, match_len, offset;
    uint64_t extra_bits;
};

static inline unsigned
high_bit(uint32_t v)
{
    return 31 - (unsigned)__builtin_clz(v);
}

/* log2(v), v > 0; off by 0.01 at most. */
static inline uint32_t
log2_fixed(uint32_t v)
{
    const unsigned hb = high_bit(v);
    const uint32_t f = (uint32_t)(((uint64_t)v << 16 >> hb) & 0xffff); /* v = 2^hb (1 + f / 2^16) */
    const uint32_t bend = (uint32_t)((uint64_t)f * (65536 - f) >> 16);

    return hb * BIT + (f + (uint32_t)((uint64_t)bend * 22500 >> 16)) / (65536 / BIT);
}

/* Entropy of a histogram, in bits; how many different things there are to *ret_distinct. */
static uint64_t
entropy(const uint32_t *count, unsigned size, uint32_t n, unsigned *ret_distinct)
{
    const uint32_t whole = n ? log2_fixed(n) : 0;
    uint64_t sum = 0;
    unsigned distinct = 0;

    for (unsigned i = 0; i < size; i++) {
        if (count[i] == 0)
            continue;
        distinct++;
        sum += (uint64_t)count[i] * (whole - log2_fixed(count[i]));
    }
    *ret_distinct = distinct;
    return sum / BIT;
}

/* Codes of a length: itself below 16, then two for each power of two; the rest is extra bits. */
static inline void
count_length(struct histogram *h, uint64_t *extra_bits, uint32_t len)
{
    unsigned hb;

    h->n++;
    if (len < 16) {
        h->count[len]++;
        return;
    }
    hb = high_bit(len);
    h->count[BASE_MIN(8 + 2 * hb + (len >> (hb - 1) & 1), 63)]++;
    *extra_bits += hb - 1;
}

static inline void
count_literals(struct found *f, const uint8_t *p, size_t n)
{
    size_t i = 0;

    for (; i + LANES <= n; i += LANES)
        for (unsigned l = 0; l < LANES; l++)
            f->literals[l][p[i + l]]++;
    for (; i < n; i++)
        f->literals[0][p[i]]++;
    f->n_literals += (uint32_t)n;
}

/* offset 0 or 1: a repeated one. */
static inline void
count_sequence(struct found *f, const uint8_t *literals, size_t n_literals, size_t match_len,
               uint32_t offset)
{
    const unsigned code = offset > 1 ? high_bit(offset + 2) : offset;

    count_literals(f, literals, n_literals);
    count_length(&f->lit_len, &f->extra_bits, (uint32_t)n_literals);
    count_length(&f->match_len, &f->extra_bits, (uint32_t)(match_len - MIN_MATCH));
    f->offset.count[code]++;
    f->offset.n++;
    f->extra_bits += offset > 1 ? code : 0;
}

/* Bytes from a on, before end, that are those from b on. */
static inline size_t
match_length(const uint8_t *a, const uint8_t *b, const uint8_t *end)
{
    const uint8_t *p = a;

    for (; (size_t)(end - p) >= 8; p += 8, b += 8) {
        const uint64_t x = base_load_le64(p) ^ base_load_le64(b);

        if (x)
            return (size_t)(p - a) + (unsigned)__builtin_ctzll(x) / 8;
    }
    while (p < end && *p == *b)
        p++, b++;
    return (size_t)(p - a);
}

static inline uint32_t
hash5(const uint8_t *p)
{
    return (uint32_t)((base_load_le64(p) << 24) * UINT64_C(889523592379) >>
                      (64 - FMT_ESTIMATE_HASH_LOG));
}

static void
search(struct fmt_estimator *e, const uint8_t *data, size_t n, struct found *f)
{
    const uint8_t *const end = data + n, *const limit = end - 8;
    const uint8_t *p = data, *anchor = data;
    uint32_t rep = 1, rep2 = 4;

    while (p < limit) {
        const uint32_t at = (uint32_t)(p - data), h = hash5(p), seen = e->table[h];
        size_t len;

        e->table[h] = e->begun + at;
        if (at + 1 >= rep && base_load_le32(p + 1) == base_load_le32(p + 1 - rep)) {
            p++;
            len = match_length(p, p - rep, end);
            count_sequence(f, anchor, (size_t)(p - anchor), len, 0);
        } else if (seen >= e->begun && /* of this input, and so before p */
                   base_load_le32(p) == base_load_le32(data + (seen - e->begun))) {
            const uint8_t *m = data + (seen - e->begun);

            len = match_length(p, m, end);
            for (; p > anchor && m > data && p[-1] == m[-1]; p--, m--)
                len++;
            rep2 = rep;
            rep = (uint32_t)(p - m);
            count_sequence(f, anchor, (size_t)(p - anchor), len, rep + 1);
        } else {
            const size_t step = ((size_t)(p - anchor) >> SKIP_STRENGTH) + 1;

            p += BASE_MIN(step, (size_t)(limit - p));
            continue;
        }
        p += len;
        anchor = p;
        if (p >= limit)
            break;
        e->table[hash5(p - 2)] = e->begun + (uint32_t)(p - 2 - data);
        while (p < limit && (size_t)(p - data) >= rep2 &&
               base_load_le32(p) == base_load_le32(p - rep2)) {
            const uint32_t other = rep2;

            rep2 = rep;
            rep = other;
            len = match_length(p, p - rep, end);
            count_sequence(f, p, 0, len, 1);
            p += len;
            anchor = p;
        }
    }
    count_literals(f, anchor, (size_t)(end - anchor));
}

/* Bytes of the literals: as they are, all alike, or in Huffman's code, which has no part of a bit. */
static uint64_t
literal_bytes(struct found *f)
{
    uint64_t bits, bytes;
    unsigned distinct;

    for (unsigned l = 1; l < LANES; l++)
        for (unsigned i = 0; i < 256; i++)
            f->literals[0][i] += f->literals[l][i];
    bits = entropy(f->literals[0], 256, f->n_literals, &distinct);
    if (distinct <= 1)
        return BASE_MIN(f->n_literals, 1);
    bytes = BASE_MAX(bits, f->n_literals) / 8 + distinct / 2 + (f->n_literals >= 256 ? 6 : 0);
    return bytes + f->n_literals / 64 + 2 < f->n_literals ? bytes : f->n_literals;
}

static uint64_t
code_bits(const struct histogram *h)
{
    unsigned distinct;
    const uint64_t bits = entropy(h->count, BASE_ARRAY_LEN(h->count), h->n, &distinct);

    if (distinct <= 1)
        return 8;
    return h->n < PRESET_MAX ? (uint64_t)h->n * PRESET_BITS : bits + 16 + distinct * 5;
}

size_t
fmt_estimate(struct fmt_estimator *e, const void *data, size_t n)
{
    struct found f = {.n_literals = 0};
    uint64_t bytes;

    if (n < SHORTEST || n > UINT32_MAX / 2)
        return n;
    if (e->begun > UINT32_MAX - n - 1 || e->begun == 0) {
        memset(e->table, 0, sizeof(e->table));
        e->begun = 1;
    }
    search(e, data, n, &f);
    e->begun += (uint32_t)n;
    bytes = FRAME_BYTES + literal_bytes(&f);
    if (f.offset.n)
        bytes += (f.extra_bits + code_bits(&f.lit_len) + code_bits(&f.match_len) + code_bits(&f.offset)) / 8;
    return BASE_MIN(bytes, n);
}
