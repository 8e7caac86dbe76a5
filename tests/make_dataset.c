/* Makes a dataset of generated rows (tests/fmt_util.h), for the scripts of tests/cli/:
 *
 *     make_dataset PATH COLUMNS ROWS ZSTD_LEVEL PAGE_BYTES */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/fmt_util.h"

int
main(int argc, char **argv)
{
    struct shard_error err = {0};
    struct fmt_util_spec spec = {.groups_per_shard = 2, .n_shards = 2, .seed = 3};

    if (argc != 6)
        return 2;
    spec.columns = argv[2];
    spec.rows_per_group = (uint32_t)strtoul(argv[3], NULL, 10);
    spec.zstd_level = atoi(argv[4]);
    spec.page_bytes = (uint32_t)strtoul(argv[5], NULL, 10);
    if (fmt_util_make(argv[1], &spec, &err) < 0) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    return 0;
}
