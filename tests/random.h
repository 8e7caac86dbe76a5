/* splitmix64 (Steele, Lea, Flood, OOPSLA 2014): a small generator, so that a seed in a message is enough
 * to repeat a failure, and the same numbers come everywhere. */
#ifndef TESTS_RANDOM_H
#define TESTS_RANDOM_H

#include <stdint.h>

/* Its finaliser alone. */
static inline uint64_t
test_mix(uint64_t z)
{
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* The next number of the sequence at *state. */
static inline uint64_t
test_random(uint64_t *state)
{
    return test_mix(*state += UINT64_C(0x9e3779b97f4a7c15));
}

#endif
