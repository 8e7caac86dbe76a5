/* The sample order, version 1: docs/order.md, in C. Pure arithmetic: no I/O, no threads, no state
 * but what is passed in. Everything here is read-only after it was made: share freely.
 *
 * The row groups of the split, those without rows left out, are numbered 0 .. n_groups - 1 here as
 * they are stored. An epoch lays them end to end in shuffled order: the virtual sequence of N rows,
 * cut into P partitions; a partition is walked window by window, and in a window a keyed bijection
 * says which row comes when. */
#ifndef LOADER_ORDER_H
#define LOADER_ORDER_H

#include <stdint.h>

#include "shardline/loader.h"

#define LOADER_ORDER_ROWS_MAX (UINT64_C(1) << 48)
#define LOADER_SMALL          256 /* bijections of fewer take more rounds */
#define LOADER_ROUNDS         6
#define LOADER_ROUNDS_SMALL   24

/* ------------------------------------------------------------------------------- primitives */

/* What a key is for; part of what is hashed, so the numbers never change. */
enum loader_purpose {
    LOADER_PURPOSE_GROUPS = 1, /* the shuffle of row groups */
    LOADER_PURPOSE_WINDOW = 2, /* rows of window j of partition i */
    LOADER_PURPOSE_WHOLE = 3,  /* rows of a split that is permuted whole */
};

/* The finaliser of splitmix64 (Steele, Lea, Flood, OOPSLA 2014; constants by Stafford). */
static inline uint64_t
loader_order_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t loader_order_key(uint64_t seed, uint64_t epoch, uint64_t purpose, uint64_t i, uint64_t j);
/* Fisher-Yates over 0 .. n - 1, into ret[n]. */
void loader_order_shuffle(uint64_t key, uint32_t n, uint32_t *ret);

/* A keyed bijection of [0, n), forward and back in constant time and no memory: an unbalanced
 * Feistel network on the pair (x / b, x % b), with cycle walking; n = 0 and keyless: identity. */
struct loader_bijection {
    uint64_t n;                  /* 0: identity */
    uint32_t a, b;               /* a b >= n, the smallest near-square that holds it */
    uint32_t n_rounds, reserved;
    uint64_t keys[LOADER_ROUNDS_SMALL];
};

void loader_bijection_init(struct loader_bijection *f, uint64_t n, uint64_t key);
uint64_t loader_bijection_at(const struct loader_bijection *f, uint64_t x);
uint64_t loader_bijection_inverse(const struct loader_bijection *f, uint64_t y);
/* ret[i] = at(x0 + i) for i < count: the fast way. */
void loader_bijection_run(const struct loader_bijection *f, uint64_t x0, uint32_t count,
                          uint64_t *ret);

/* ------------------------------------------------------------------------------------- plan */

/* What is the same in every epoch. */
struct loader_order {
    uint32_t n_groups;
    uint32_t *rows;        /* n_groups; owned */
    uint64_t n_rows;       /* N */
    uint64_t seed;
    uint32_t window;       /* k; 1 where rows come as stored */
    uint32_t partitions;   /* P */
    uint32_t quota;        /* q = B / P: rows that a step takes of each partition */
    uint32_t shuffle;      /* enum shard_shuffle */
    bool whole;            /* permuted whole: one window, the split */
    uint64_t steps;        /* per epoch */
};

/* rows[n_groups] are copied; none may be 0. batch_size is a multiple of partitions.
 * Returns 0, -ENOMEM, -EINVAL, or SHARD_ELIMIT above LOADER_ORDER_ROWS_MAX rows. */
SHARD_NODISCARD int loader_order_init(struct loader_order *o, const uint32_t *rows,
                                      uint32_t n_groups, uint64_t seed, uint32_t window,
                                      uint32_t partitions, uint32_t batch_size, uint32_t shuffle,
                                      bool drop_last, struct shard_error *err);
void loader_order_done(struct loader_order *o);
/* Partition p owns [lo, hi) of the virtual sequence. */
void loader_order_partition(const struct loader_order *o, uint32_t p, uint64_t *ret_lo,
                            uint64_t *ret_hi);

/* The virtual sequence of one epoch: 12 bytes per row group. */
struct loader_epoch {
    uint32_t epoch;
    uint32_t *groups;      /* n_groups: which group stands at place i */
    uint64_t *starts;      /* n_groups + 1: virtual position of its first row */
};

SHARD_NODISCARD int loader_epoch_init(struct loader_epoch *e, const struct loader_order *o,
                                      uint32_t epoch);
void loader_epoch_done(struct loader_epoch *e);
/* The place i whose group holds virtual position v < N. */
uint32_t loader_epoch_place(const struct loader_epoch *e, const struct loader_order *o, uint64_t v);

/* A window clipped to its partition: virtual positions [lo, hi), served in this order:
 * position v serves the row at virtual position base + bijection(v - base). */
struct loader_window_span {
    uint32_t partition;
    uint32_t place, n_places;   /* its row groups: places [place, place + n_places) */
    uint64_t lo, hi, base;
    struct loader_bijection bijection;
};

/* The window of partition p that holds position v. */
void loader_order_window(const struct loader_order *o, const struct loader_epoch *e, uint32_t p,
                         uint64_t v, struct loader_window_span *ret);

/* ------------------------------------------------------------------------ single rows, slowly */

struct loader_row {
    uint32_t group, row;        /* group as stored, row in it */
};
struct loader_position {
    uint32_t partition;
    uint64_t position;          /* in the partition */
    uint64_t step;              /* in the epoch; rows of dropped steps have one, too */
    uint32_t slot;              /* in the global batch */
};

/* position < rows of the partition. */
struct loader_row loader_order_row(const struct loader_order *o, const struct loader_epoch *e,
                                   uint32_t p, uint64_t position);
/* The inverse: when and where the row is served. Scans the places once: O(n_groups). */
struct loader_position loader_order_locate(const struct loader_order *o,
                                           const struct loader_epoch *e, struct loader_row row);

/* What order hashes are summed of. row is the row's number in the snapshot. */
uint64_t loader_order_hash(uint64_t epoch, uint64_t step, uint64_t slot, uint64_t row);

#endif
