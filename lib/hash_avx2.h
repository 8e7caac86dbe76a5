/* XXH3 of long inputs once more, compiled for AVX2: for hash.c alone, which asks the processor first. */
#ifndef BASE_HASH_AVX2_H
#define BASE_HASH_AVX2_H

#include "lib/hash.h"

uint64_t base_hash64_avx2(const void *data, size_t len, uint64_t seed);
struct base_hash128 base_hash128_avx2(const void *data, size_t len, uint64_t seed);
void base_hash_update_avx2(XXH3_state_t *st, const void *data, size_t len);

#endif
