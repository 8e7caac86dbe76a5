/* The Shardline loader: batches of a dataset, in an order that is a pure function of the seed.
 *
 *     struct shard_loader_opts o = SHARD_LOADER_OPTS_INIT;
 *     o.batch_size = 256; o.seed = 7; o.split = "train";
 *     shard_loader_open("corpus", &o, &loader, &err);
 *     while ((r = shard_loader_next(loader, &batch, -1, &err)) == 1) {
 *         ... shard_batch_array(batch, 0) ...
 *         shard_batch_unref(batch);
 *     }
 *     shard_loader_close(loader);
 *
 * The order (docs/order.md): an epoch's rows are cut into P partitions; step s takes the rows
 * [s q, (s + 1) q), q = batch_size / P, of every partition. It does not depend on threads, ranks,
 * timing, I/O backend or memory.
 *
 * Threads: shard_loader_next() by one thread at a time; batches may be read and unref'd by any
 * thread; everything else as said. The loader starts its own threads for reading and decoding.
 */
#ifndef SHARDLINE_LOADER_H
#define SHARDLINE_LOADER_H

#include <stdint.h>

#include "shardline/fmt.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Version of the sample order that this library implements (docs/order.md). */
#define SHARD_ORDER_VERSION 1

enum shard_shuffle {
    SHARD_SHUFFLE_WINDOW = 0, /* the order of docs/order.md */
    SHARD_SHUFFLE_NONE = 1,   /* rows as stored */
    SHARD_SHUFFLE_FULL = 2,   /* the whole split permuted row by row: it must fit the budget */
};

/* Zero means default for every field. Strings are copied. */
struct shard_loader_opts {
    uint32_t struct_size;      /* set by SHARD_LOADER_OPTS_INIT */
    uint32_t batch_size;       /* rows of a global batch, a multiple of partitions; 0 = 256 */
    uint32_t partitions;       /* P, up to 65,536; 0 = gcd(batch_size, 16) */
    uint32_t window;           /* k, row groups permuted together; 0 = 2 */
    uint64_t seed;
    const char *split;         /* NULL = the only split, else "train" */
    const char *const *columns;/* names, n_columns of them; NULL = all */
    uint32_t n_columns;
    uint32_t epochs;           /* 0 = 1 */
    uint32_t rank, n_ranks;    /* this process owns partitions [rank P / n_ranks, ...); 0, 0 = all */
    uint32_t threads;          /* decoding threads; 0 = cores */
    uint32_t shuffle;          /* enum shard_shuffle */
    uint32_t io;               /* enum shard_io */
    uint32_t flags;            /* SHARD_LOADER_*; unknown bits give -EINVAL */
    uint32_t reserved;         /* 0 */
    uint64_t memory;           /* bytes for everything the loader holds; 0 = 512 MiB, or twice
                                * what the plan needs at least where that is more */
    uint64_t start_step;       /* first step, counted over all epochs */
    uint64_t stop_step;        /* one past the last; 0 = to the end */
};
#define SHARD_LOADER_OPTS_INIT { .struct_size = sizeof(struct shard_loader_opts) }

#define SHARD_LOADER_DROP_LAST 1u /* leave out steps that are not full in every partition */
#define SHARD_LOADER_DIRECT    2u /* read past the page cache (O_DIRECT) */

struct shard_loader;
struct shard_batch;

/**
 * Open the newest snapshot of the dataset at path and start reading ahead.
 * Returns: 0; -EINVAL for options that contradict each other (the text says which);
 *          SHARD_ENOTFOUND for an unknown dataset, split or column; SHARD_EBUDGET for a memory
 *          budget that cannot work (the text names the smallest that can); errors of
 *          shard_dataset_open().
 */
SHARD_API SHARD_NODISCARD int shard_loader_open(const char *path,
                                                const struct shard_loader_opts *opts,
                                                struct shard_loader **ret_loader,
                                                struct shard_error *err);
/* Cancel what is in flight, free. Batches still referenced stay valid. Accepts NULL. */
SHARD_API void shard_loader_close(struct shard_loader *l);

/**
 * The next batch, in order; waits at most timeout_ms (< 0: as long as it takes).
 * Returns: 1 and a batch that the caller unrefs; 0 at the end; -ETIMEDOUT, after which it may be
 *          called again; or what went wrong: SHARD_ECHECKSUM, SHARD_ECORRUPT, SHARD_ETRUNC,
 *          SHARD_EUNSUPPORTED, SHARD_ELIMIT (a batch's column over 2 GiB), SHARD_EBUDGET (a later
 *          row group is larger than the plan could know), -ENOMEM, -errno, with the place in err,
 *          after which the loader can only be closed.
 */
SHARD_API SHARD_NODISCARD int shard_loader_next(struct shard_loader *l,
                                                struct shard_batch **ret_batch, int64_t timeout_ms,
                                                struct shard_error *err);

/* What the plan came to. */
struct shard_loader_plan {
    uint32_t batch_size, partitions, window, epochs;
    uint32_t first_partition, n_partitions; /* owned by this rank */
    uint32_t permuted_whole;                /* 1: small data, or SHARD_SHUFFLE_FULL */
    uint32_t n_columns;
    uint64_t split_rows;                    /* N */
    uint64_t steps_per_epoch;
    uint64_t start_step, stop_step;
    uint64_t memory;                        /* the budget in force, bytes */
    uint64_t memory_min;                    /* the smallest that works */
    char snapshot[33], split[256];
};
SHARD_API void shard_loader_get_plan(const struct shard_loader *l, struct shard_loader_plan *ret);
/* Field of the i-th column delivered; valid until the loader is closed. NULL out of range. Any
 * thread, as for shard_loader_get_plan(). */
SHARD_API const struct shard_field *shard_loader_field(const struct shard_loader *l, uint32_t i);

/* Where the time went so far. Any thread. */
struct shard_loader_stats {
    uint64_t rows, batches;
    uint64_t bytes_decoded;   /* of Arrow data delivered */
    uint64_t bytes_read, reads, submits;
    uint64_t stall_ns;        /* next() waiting for a batch */
    uint64_t consumer_ns;     /* between calls of next() */
    uint64_t read_wait_ns;    /* the pipeline waiting for the disk */
    uint64_t decode_ns;       /* CPU of verifying and decoding, all threads */
    uint64_t gather_ns;       /* CPU of making batches, all threads */
    uint64_t memory_wait_ns;  /* the pipeline waiting for budget */
    uint64_t first_batch_ns;  /* from open to the first batch */
    uint64_t memory_peak;     /* highest use of the budget */
    uint32_t io;              /* enum shard_io in use */
    uint32_t limit;           /* enum shard_limit */
};
enum shard_limit { /* the verdict: what limits the pipeline */
    SHARD_LIMIT_CONSUMER = 0,
    SHARD_LIMIT_DISK = 1,     /* the device: more reads in flight did not help */
    SHARD_LIMIT_READ = 2,     /* too few reads in flight */
    SHARD_LIMIT_DECODE = 3,   /* threads */
    SHARD_LIMIT_MEMORY = 4,   /* the budget */
    SHARD_LIMIT_NONE = 5,     /* no row was given out: nothing can be said */
};
SHARD_API void shard_loader_get_stats(const struct shard_loader *l, struct shard_loader_stats *ret);
/* "decode" and so on. */
SHARD_API const char *shard_limit_name(uint32_t limit);
/* One sentence: the limiting stage and the option to turn. Constant. */
SHARD_API const char *shard_limit_advice(uint32_t limit);

/* ---------------------------------------------------------------------------------- batches */

/* A batch holds the rows of one step that belong to this rank's partitions, partition by
 * partition. In an epoch's last step partitions may have run out: then it holds fewer rows, on some
 * ranks none, but every rank gets a batch for every step. Counted; immutable; its memory is
 * private to it, and part of the loader's budget until it is unref'd. */
SHARD_API struct shard_batch *shard_batch_ref(struct shard_batch *b);
SHARD_API void shard_batch_unref(struct shard_batch *b); /* accepts NULL; any thread */

SHARD_API uint64_t shard_batch_step(const struct shard_batch *b);  /* counted over all epochs */
SHARD_API uint32_t shard_batch_epoch(const struct shard_batch *b); /* from 0 */
SHARD_API uint32_t shard_batch_n_rows(const struct shard_batch *b);
/* Rows of owned partition i (0 = first owned) are [first[i], first[i + 1]); n_partitions + 1
 * numbers, valid as long as the batch. */
SHARD_API const uint32_t *shard_batch_partition_first(const struct shard_batch *b);
/* Column i of those asked for, i < n_columns of the plan; valid as long as the batch. */
SHARD_API const struct shard_array *shard_batch_array(const struct shard_batch *b, uint32_t i);
/* For every row its number in the snapshot. */
SHARD_API const uint64_t *shard_batch_row_numbers(const struct shard_batch *b);
/* For every row its slot in the global batch: partition * q + position. */
SHARD_API const uint32_t *shard_batch_slots(const struct shard_batch *b);

#ifdef __cplusplus
}
#endif
#endif
