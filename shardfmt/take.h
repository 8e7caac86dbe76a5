/* Inside of struct shard_taker: rows picked from anywhere in a dataset.
 *
 *   rows asked for --sort--> wanted rows --plan--> wave: pages, and the reads that they come in
 *     --run--> each page verified, decoded, its wanted rows appended to the column's collection
 *     --put in order--> the arrays that the caller sees
 *
 * A wave is what the memory share bears, for most calls all of it: one batch of reads. A page is in
 * one wave, so it is read once. */
#ifndef FMT_TAKE_H
#define FMT_TAKE_H

#include <pthread.h>

#include "lib/io.h"
#include "lib/pool.h"
#include "shardfmt/column.h"
#include "shardfmt/dataset.h"

#define TAKE_SHARDS_MAX 64u /* pinned by one wave */

/* A page with wanted rows. */
struct take_page {
    struct fmt_open_shard *o;
    uint64_t first;       /* wanted rows [first, first + n) stand in it */
    uint64_t row0;        /* number, in the dataset, of its first row */
    uint32_t n;
    uint32_t group, page; /* row group of the shard; page of the chunk */
    uint32_t slot;
};

/* Pages that are read in one go. */
struct take_read {
    struct base_io_req req;
    struct base_task task;
    struct shard_taker *t;
    uint32_t first, n; /* pages [first, first + n) of the wave */
    size_t at;         /* where it stands in the wave's buffer */
};

/* A wanted column. */
struct take_slot {
    uint32_t column;
    struct fmt_column collected; /* its wanted rows as they came; under t->lock while a wave runs */
    struct fmt_column result;    /* in the caller's order */
    uint32_t *place;             /* by wanted row: where it was collected; each set by the page's
                                  * worker alone */
    struct shard_array array;    /* of collected or result */
};

/* What a thread decodes with. */
struct take_scratch {
    struct fmt_decoded *decoded;
    uint32_t *rows;
    uint64_t cap_rows;
};

/* How far planning has come. */
struct take_cursor {
    uint64_t wanted, end; /* wanted rows [wanted, end) are those of the row group at hand */
    uint64_t group;       /* of the dataset */
    uint32_t slot;        /* the column at hand, */
    uint64_t at;          /* its next wanted row, */
    uint32_t page;        /* its page to look at */
    uint64_t row0;        /* and that one's first row in the dataset */
};

struct shard_taker {
    struct shard_dataset *ds; /* borrowed */
    struct fmt_cache cache;
    struct base_io *io;    /* NULL once it has failed */
    struct base_pool *pool; /* NULL: the caller's thread does it all */
    struct base_worker self; /* the caller, as a worker */
    struct take_scratch *scratch; /* by worker; the last one is the caller's */
    unsigned n_threads;
    uint64_t wave_max;     /* bytes */
    uint64_t scratch_keep; /* bytes of decode memory that a thread keeps between pages */

    /* The call. */
    uint64_t *wanted; /* n_wanted, ascending */
    uint32_t *which;  /* by row asked for: which wanted row it is */
    uint64_t n_wanted, n_rows, cap_rows;
    struct take_slot *slots; /* n_slots, by column */
    uint32_t n_slots, cap_slots;
    uint32_t *column_slot; /* by column of the dataset: its slot + 1; 0 = not wanted */
    uint32_t *array_slot;  /* by column asked for */
    uint32_t n_arrays, cap_arrays;
    struct take_cursor cursor;

    /* The wave. */
    struct take_page *pages;
    struct take_read *reads;
    uint32_t n_pages, cap_pages, n_reads, cap_reads;
    struct fmt_open_shard *open[TAKE_SHARDS_MAX];
    uint32_t n_open;
    uint64_t stored, bound; /* bytes of its buffer; the most that one of its pages decodes to */
    struct base_buf buf;

    pthread_mutex_t lock;
    uint64_t fail_page;      /* under lock: the first page that failed, or UINT64_MAX */
    struct shard_error fail; /* under lock: why */
    struct shard_taker_stats stats; /* the caller's; piece_* under lock */
};

/* The next wave into t: 1, 0 where there is none, or an error. */
SHARD_NODISCARD int take_plan_wave(struct shard_taker *t, struct shard_error *err);
/* Read it, decode it, collect its rows. */
SHARD_NODISCARD int take_run_wave(struct shard_taker *t, struct shard_error *err);
/* Forget it. */
void take_end_wave(struct shard_taker *t);

#endif
