/* The makefile compiles this file with -mavx2. The upper halves of the vector registers are cleared by
 * hand: gcc 12 forgets that in XXH3's loops, and with them dirty all SSE code of the process, zstd's as
 * well, runs at a quarter of its speed (Zen 5). The dispatching functions of libxxhash 0.8.1 have that fault,
 * and its static library does not have these functions, so they are of no use here. */
#include "config.h"
#include "lib/hash_avx2.h"

#include <immintrin.h>

uint64_t
base_hash64_avx2(const void *data, size_t len, uint64_t seed)
{
    const uint64_t h = XXH3_64bits_withSeed(data, len, seed);

    _mm256_zeroupper();
    return h;
}

struct base_hash128
base_hash128_avx2(const void *data, size_t len, uint64_t seed)
{
    const XXH128_hash_t h = XXH3_128bits_withSeed(data, len, seed);

    _mm256_zeroupper();
    return (struct base_hash128){h.low64, h.high64};
}

void
base_hash_update_avx2(XXH3_state_t *st, const void *data, size_t len)
{
    (void)XXH3_64bits_update(st, data, len);
    _mm256_zeroupper();
}
