/* Random rows of a dataset by the public API: what shard_taker_take() gives, call by call.
 *
 *     bench_take DATASET COLUMN CALLS ROWS-PER-CALL THREADS SEED
 *
 * Prints one JSON object: seconds of all calls together, rows per second, bytes read per row, the
 * median and the 99th percentile of a call in microseconds, and a checksum of the rows. */
#include "config.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "shardline/fmt.h"
#include "tests/bench/random_rows.h"

static void
die(const char *what, const struct shard_error *err)
{
    (void)fprintf(stderr, "bench_take: %s: %s\n", what, err->text);
    exit(1);
}

/* Bytes of column 0 of the rows that came, summed, so that nothing is left out. */
static uint64_t
sum_rows(const struct shard_taker *t)
{
    const struct shard_array *a = shard_taker_array(t, 0);
    uint64_t sum = 0;

    for (uint64_t i = 0; i < a->n_rows; i++)
        sum += random_rows_sum((const char *)a->values + a->offsets[i],
                               (size_t)(a->offsets[i + 1] - a->offsets[i]));
    return sum;
}

int
main(int argc, char **argv)
{
    struct shard_taker_opts opts = SHARD_TAKER_OPTS_INIT;
    struct shard_error err = {0};
    struct shard_taker_stats stats;
    struct shard_dataset *ds;
    struct shard_taker *t;
    uint64_t *rows, n_rows, n_calls, seed, total = 0, sum = 0, *ns;
    int64_t col;
    uint32_t cols[1];

    if (argc != 7)
        return 2;
    n_calls = strtoull(argv[3], NULL, 10);
    n_rows = strtoull(argv[4], NULL, 10);
    opts.threads = (uint32_t)strtoul(argv[5], NULL, 10);
    seed = strtoull(argv[6], NULL, 10);
    rows = calloc(n_rows + 1, sizeof(*rows));
    ns = calloc(n_calls + 1, sizeof(*ns));
    if (rows == NULL || ns == NULL)
        return 1;
    if (shard_dataset_open(argv[1], &ds, &err) < 0)
        die(argv[1], &err);
    col = shard_dataset_find_column(ds, argv[2]);
    if (col < 0)
        return 2;
    cols[0] = (uint32_t)col;
    if (shard_taker_open(ds, &opts, &t, &err) < 0)
        die(argv[1], &err);
    for (uint64_t i = 0; i < n_calls; i++) {
        const uint64_t start = random_rows_now();

        random_rows_draw(&seed, shard_dataset_n_rows(ds), rows, n_rows);
        if (shard_taker_take(t, rows, n_rows, cols, 1, &err) < 0)
            die(argv[1], &err);
        sum += sum_rows(t);
        ns[i] = random_rows_now() - start;
        total += ns[i];
    }
    shard_taker_get_stats(t, &stats);
    random_rows_print(ns, n_calls, total, n_rows, sum);
    printf("\"pages\":%" PRIu64 ",\"reads\":%" PRIu64 ",\"submits\":%" PRIu64
           ",\"bytes_read_per_row\":%.0f,\"io\":\"%s\"}\n",
           stats.pages, stats.reads, stats.submits,
           (double)(stats.bytes_read + stats.piece_bytes) / (double)stats.rows,
           stats.io == SHARD_IO_URING ? "uring" : "pread");
    shard_taker_close(t);
    shard_dataset_close(ds);
    free(rows);
    free(ns);
    return 0;
}
