/* Stream a split in shuffled batches and add up what came: cc count_rows.c $(pkg-config --cflags
 * --libs shardline) -o count_rows && ./count_rows DATASET */
#include <shardline/loader.h>
#include <stdio.h>

int
main(int argc, char **argv)
{
    struct shard_loader_opts opts = SHARD_LOADER_OPTS_INIT;
    struct shard_loader *loader = NULL;
    struct shard_loader_stats stats;
    struct shard_batch *batch;
    struct shard_error err = {0};
    unsigned long long rows = 0, values = 0;
    int r;

    opts.batch_size = 64;
    opts.seed = 7;
    if (argc != 2 || shard_loader_open(argv[1], &opts, &loader, &err) < 0) {
        fprintf(stderr, "%s\n", argc != 2 ? "usage: count_rows DATASET" : err.text);
        return 1;
    }
    while ((r = shard_loader_next(loader, &batch, -1, &err)) == 1) {
        rows += shard_batch_n_rows(batch);
        values += shard_batch_array(batch, 0)->n_values; /* bytes, where column 0 is text */
        shard_batch_unref(batch);
    }
    shard_loader_get_stats(loader, &stats);
    shard_loader_close(loader);
    if (r < 0)
        fprintf(stderr, "%s\n", err.text);
    printf("%llu rows, %llu values in column 0; limited by: %s\n", rows, values,
           shard_limit_name(stats.limit));
    return r < 0;
}
