#include "config.h"
#include "lib/hash.h"

#include "lib/endian.h"

#ifdef HAVE_HASH_AVX2
#include "lib/hash_avx2.h"
#endif

uint64_t
base_hash64_long(const void *data, size_t len, uint64_t seed)
{
#ifdef HAVE_HASH_AVX2
    if (__builtin_cpu_supports("avx2"))
        return base_hash64_avx2(data, len, seed);
#endif
    return XXH3_64bits_withSeed(data, len, seed);
}

struct base_hash128
base_hash128_long(const void *data, size_t len, uint64_t seed)
{
    XXH128_hash_t h;

#ifdef HAVE_HASH_AVX2
    if (__builtin_cpu_supports("avx2"))
        return base_hash128_avx2(data, len, seed);
#endif
    h = XXH3_128bits_withSeed(data, len, seed);
    return (struct base_hash128){h.low64, h.high64};
}

void
base_hash_update_long(XXH3_state_t *st, const void *data, size_t len)
{
#ifdef HAVE_HASH_AVX2
    if (__builtin_cpu_supports("avx2")) {
        base_hash_update_avx2(st, data, len);
        return;
    }
#endif
    (void)XXH3_64bits_update(st, data, len);
}

static const char digits[] = "0123456789abcdef";

void
base_hex64(uint64_t v, char ret[BASE_HEX64_LEN + 1])
{
    for (unsigned i = 0; i < BASE_HEX64_LEN; i++)
        ret[i] = digits[(v >> (60 - 4 * i)) & 15];
    ret[BASE_HEX64_LEN] = '\0';
}

void
base_hex128(struct base_hash128 v, char ret[BASE_HEX128_LEN + 1])
{
    base_hex64(v.hi, ret);
    base_hex64(v.lo, ret + BASE_HEX64_LEN);
}

static int
unhex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool
base_unhex128(const char *text, struct base_hash128 *ret)
{
    uint64_t part[2] = {0, 0};

    for (unsigned i = 0; i < BASE_HEX128_LEN; i++) {
        int d = unhex(text[i]); /* a NUL is no digit, so this stops at the end of a short text */

        if (d < 0)
            return false;
        part[i / BASE_HEX64_LEN] = part[i / BASE_HEX64_LEN] << 4 | (uint64_t)d;
    }
    if (text[BASE_HEX128_LEN] != '\0')
        return false;
    ret->hi = part[0];
    ret->lo = part[1];
    return true;
}

void
base_hash128_store(uint8_t ret[16], struct base_hash128 v)
{
    base_store_le64(ret, v.lo);
    base_store_le64(ret + 8, v.hi);
}

struct base_hash128
base_hash128_load(const uint8_t bytes[16])
{
    struct base_hash128 v = {base_load_le64(bytes), base_load_le64(bytes + 8)};

    return v;
}
