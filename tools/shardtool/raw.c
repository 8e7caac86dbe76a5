/* One value to standard output, as the bytes that it is. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "lib/fail.h"
#include "shardline/fmt.h"
#include "tools/shardtool/rows.h"

#define PART (1u << 20) /* read at a time */

/* The column whose values are bytes. */
static int64_t
raw_column(const struct shard_dataset *ds, const char *name, struct shard_error *err)
{
    const int64_t col = shard_dataset_find_column(ds, name);
    const struct shard_field *f = col < 0 ? NULL : shard_dataset_field(ds, (uint32_t)col);

    if (f == NULL)
        return base_fail(err, SHARD_EPARSE, "there is no column '%s'; 'shardtool schema' lists them",
                         name);
    if (f->type != SHARD_TYPE_STRING && f->type != SHARD_TYPE_BINARY)
        return base_fail(err, SHARD_EPARSE, "--raw: column %s is not of strings or bytes", name);
    return col;
}

/* The value of one row, whatever its size, as it is. */
static int
print_raw(const char *column, uint64_t row, FILE *out, struct shard_dataset *ds,
          struct shard_error *err)
{
    const int64_t col = raw_column(ds, column, err);
    uint8_t *buf = malloc(PART);
    struct shard_value *v = NULL;
    int64_t n = 0;
    int r;

    if (buf == NULL)
        r = base_fail(err, -ENOMEM, "reading a value");
    else if (col < 0)
        r = (int)col;
    else
        r = shard_value_open(ds, row, (uint32_t)col, &v, err);
    if (r == 0 && shard_value_is_null(v))
        r = base_fail(err, SHARD_ENOTFOUND, "row %" PRIu64 " is null in column %s", row, column);
    while (r == 0 && (n = shard_value_read(v, buf, PART, err)) > 0) {
        if (fwrite(buf, 1, (size_t)n, out) != (size_t)n)
            r = base_fail(err, -errno, "writing standard output");
    }
    shard_value_close(v);
    free(buf);
    return n < 0 ? (int)n : r;
}

int
rows_print_raw(const struct rows_opts *o, const char *column, FILE *out)
{
    struct shard_dataset *ds = NULL;
    struct shard_error err = {0};
    uint64_t rows[2];
    bool usage = true;
    int64_t n = 0;
    int r = shard_dataset_open(o->dataset, &ds, &err);

    if (r == 0) {
        n = o->numbers(o->numbers_arg, rows, 2, &err);
        r = n < 0 ? (int)n : 0;
        usage = n >= 0; /* arguments were checked before: this is what stands in standard input */
    }
    if (r == 0 && n != 1)
        r = base_fail(&err, SHARD_EPARSE, "--raw prints the value of one row");
    if (r == 0)
        r = print_raw(column, rows[0], out, ds, &err);
    shard_dataset_close(ds);
    if (r == 0 && fflush(out) != 0)
        r = base_fail(&err, -errno, "writing standard output");
    if (r == -EPIPE)
        return CLI_FAILED;
    if (r < 0)
        return cli_fail(usage && err.code == SHARD_EPARSE ? CLI_USAGE : CLI_FAILED, "%s",
                        err.text[0] ? err.text : shard_strerror(r));
    return CLI_OK;
}
