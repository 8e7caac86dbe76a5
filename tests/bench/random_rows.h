/* What the benchmarks of random access share, so that both sides get the same rows: which rows,
 * a checksum of them, time, and how the result is printed. */
#ifndef TESTS_BENCH_RANDOM_ROWS_H
#define TESTS_BENCH_RANDOM_ROWS_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/random.h"

static inline uint64_t
random_rows_now(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* n row numbers below n_all. */
static inline void
random_rows_draw(uint64_t *seed, uint64_t n_all, uint64_t *rows, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        rows[i] = test_random(seed) % n_all;
}

/* Touches every byte, cheaply. */
static inline uint64_t
random_rows_sum(const char *p, size_t len)
{
    uint64_t sum = len, word;

    for (; len >= sizeof(word); p += sizeof(word), len -= sizeof(word)) {
        memcpy(&word, p, sizeof(word));
        sum += word;
    }
    for (; len; len--)
        sum += (unsigned char)*p++;
    return sum;
}

static inline int
random_rows_compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* The beginning of the JSON object; sorts ns. */
static inline void
random_rows_print(uint64_t *ns, uint64_t n_calls, uint64_t total, uint64_t n_rows, uint64_t sum)
{
    qsort(ns, n_calls, sizeof(*ns), random_rows_compare);
    printf("{\"seconds\":%.6f,\"rows_per_second\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f,"
           "\"sum\":\"%016" PRIx64 "\",",
           (double)total / 1e9, (double)(n_calls * n_rows) / ((double)total / 1e9),
           (double)ns[n_calls / 2] / 1e3, (double)ns[n_calls * 99 / 100] / 1e3, sum);
}

#endif
