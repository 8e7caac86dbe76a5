/* XXH3 as Shardline uses it, and its hex form. XXH3 proves integrity, not authorship. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

struct base_hash128 {
    uint64_t lo, hi;
};

/* From here on it pays to ask whether the processor has AVX2 (from 300 with gcc 12, from 400 with clang 14,
 * Zen 5). The values are the same. */
#define BASE_HASH_LONG 512u
uint64_t base_hash64_long(const void *data, size_t len, uint64_t seed);
struct base_hash128 base_hash128_long(const void *data, size_t len, uint64_t seed);
void base_hash_update_long(XXH3_state_t *st, const void *data, size_t len);

static inline uint64_t
base_hash64(const void *data, size_t len, uint64_t seed)
{
    return len < BASE_HASH_LONG ? XXH3_64bits_withSeed(data, len, seed)
                                : base_hash64_long(data, len, seed);
}

static inline struct base_hash128
base_hash128(const void *data, size_t len, uint64_t seed)
{
    if (len < BASE_HASH_LONG) {
        const XXH128_hash_t h = XXH3_128bits_withSeed(data, len, seed);
        const struct base_hash128 r = {h.low64, h.high64};

        return r;
    }
    return base_hash128_long(data, len, seed);
}

/* The next bytes of a hash in pieces, of 64 or of 128 bits: their states are the same. */
static inline void
base_hash_update(XXH3_state_t *st, const void *data, size_t len)
{
    if (len < BASE_HASH_LONG)
        (void)XXH3_64bits_update(st, data, len);
    else
        base_hash_update_long(st, data, len);
}

static inline bool
base_hash128_eq(struct base_hash128 a, struct base_hash128 b)
{
    return a.lo == b.lo && a.hi == b.hi;
}

/* a + b modulo 2^128: what fingerprints are summed with. */
static inline struct base_hash128
base_hash128_add(struct base_hash128 a, struct base_hash128 b)
{
    unsigned __int128 s = (((unsigned __int128)a.hi << 64) | a.lo) +
                          (((unsigned __int128)b.hi << 64) | b.lo);
    struct base_hash128 r = {(uint64_t)s, (uint64_t)(s >> 64)};

    return r;
}

#define BASE_HEX64_LEN  16
#define BASE_HEX128_LEN 32
/* Lower-case hex, most significant digit first, NUL-terminated. */
void base_hex64(uint64_t v, char ret[BASE_HEX64_LEN + 1]);
void base_hex128(struct base_hash128 v, char ret[BASE_HEX128_LEN + 1]);
/* The other way; false if text is not exactly 32 hex digits. */
bool base_unhex128(const char *text, struct base_hash128 *ret);
/* On disk a 128-bit hash is 16 bytes: lo, then hi, each little-endian. */
void base_hash128_store(uint8_t ret[16], struct base_hash128 v);
struct base_hash128 base_hash128_load(const uint8_t bytes[16]);

#endif
