/* The typed columns of a dataset as CSV, exactly as they are stored (unlike shardtool export, which
 * makes records again), so that another program can be given the same columns.
 *
 *     dump_columns DATASET >t.csv
 *
 * Null is an empty cell; text is always in quotes; binary and tensors of uint8 are hex; timestamps are
 * their number; lists and other tensors are [1,2] or ["a","b"], sparse vectors
 * {'indices': [1,2], 'values': [0.5,1]}: DuckDB casts all of these. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shardline/fmt.h>

static void
die(const char *what, const struct shard_error *err)
{
    fprintf(stderr, "dump_columns: %s: %s\n", what, err->text);
    exit(1);
}

static void
put_text(const char *p, size_t len)
{
    putc_unlocked('"', stdout);
    for (size_t i = 0; i < len; i++) {
        if (p[i] == '"')
            putc_unlocked('"', stdout);
        putc_unlocked(p[i], stdout);
    }
    putc_unlocked('"', stdout);
}

static void
put_hex(const uint8_t *p, size_t len)
{
    static const char digits[] = "0123456789ABCDEF";

    putc_unlocked('"', stdout);
    for (size_t i = 0; i < len; i++) {
        putc_unlocked(digits[p[i] >> 4], stdout);
        putc_unlocked(digits[p[i] & 15], stdout);
    }
    putc_unlocked('"', stdout);
}

static void
put_number(enum shard_type type, const void *values, uint64_t i)
{
    switch (type) {
    case SHARD_TYPE_BOOL:
        printf("%d", ((const uint8_t *)values)[i / 8] >> i % 8 & 1);
        break;
    case SHARD_TYPE_INT8:
        printf("%d", ((const int8_t *)values)[i]);
        break;
    case SHARD_TYPE_INT16:
        printf("%d", ((const int16_t *)values)[i]);
        break;
    case SHARD_TYPE_INT32:
        printf("%" PRId32, ((const int32_t *)values)[i]);
        break;
    case SHARD_TYPE_INT64:
    case SHARD_TYPE_TIMESTAMP:
        printf("%" PRId64, ((const int64_t *)values)[i]);
        break;
    case SHARD_TYPE_UINT8:
        printf("%u", ((const uint8_t *)values)[i]);
        break;
    case SHARD_TYPE_UINT16:
        printf("%u", ((const uint16_t *)values)[i]);
        break;
    case SHARD_TYPE_UINT32:
        printf("%" PRIu32, ((const uint32_t *)values)[i]);
        break;
    case SHARD_TYPE_UINT64:
        printf("%" PRIu64, ((const uint64_t *)values)[i]);
        break;
    case SHARD_TYPE_FLOAT32:
        printf("%.9g", (double)((const float *)values)[i]);
        break;
    case SHARD_TYPE_FLOAT64:
        printf("%.17g", ((const double *)values)[i]);
        break;
    default:
        fprintf(stderr, "dump_columns: a type that it does not know: %d\n", (int)type);
        exit(1);
    }
}

static void
put_numbers(enum shard_type type, const void *values, int32_t from, int32_t to)
{
    putc_unlocked('[', stdout);
    for (int32_t i = from; i < to; i++) {
        if (i > from)
            putc_unlocked(',', stdout);
        put_number(type, values, (uint64_t)i);
    }
    putc_unlocked(']', stdout);
}

/* A list of strings: JSON within a quoted cell. */
static void
put_strings(const struct shard_array *a, int32_t from, int32_t to)
{
    const char *bytes = a->values;

    fputs("\"[", stdout);
    for (int32_t i = from; i < to; i++) {
        fputs(i > from ? ",\"\"" : "\"\"", stdout);
        for (int32_t k = a->elem_offsets[i]; k < a->elem_offsets[i + 1]; k++) {
            const char c = bytes[k];

            if (c == '"')
                fputs("\\\"\"", stdout);
            else if (c == '\\')
                fputs("\\\\", stdout);
            else if ((unsigned char)c < ' ')
                printf("\\u%04x", (unsigned char)c);
            else
                putc_unlocked(c, stdout);
        }
        fputs("\"\"", stdout);
    }
    fputs("]\"", stdout);
}

static void
put_cell(const struct shard_array *a, uint64_t row)
{
    const char *bytes = a->values;
    int32_t from = 0, to = 0;

    if (a->validity && !(a->validity[row / 8] >> row % 8 & 1))
        return;
    if (a->offsets) {
        from = a->offsets[row];
        to = a->offsets[row + 1];
    }
    switch (a->type) {
    case SHARD_TYPE_STRING:
        put_text(bytes + from, (size_t)(to - from));
        break;
    case SHARD_TYPE_BINARY:
        put_hex((const uint8_t *)bytes + from, (size_t)(to - from));
        break;
    case SHARD_TYPE_TENSOR:
        if (a->elem == SHARD_TYPE_UINT8) {
            put_hex((const uint8_t *)bytes + row * a->width, a->width);
            break;
        }
        from = (int32_t)row * (int32_t)a->width;
        to = from + (int32_t)a->width;
        putc_unlocked('"', stdout);
        put_numbers(a->elem, a->values, from, to);
        putc_unlocked('"', stdout);
        break;
    case SHARD_TYPE_LIST:
        if (a->elem == SHARD_TYPE_STRING) {
            put_strings(a, from, to);
            break;
        }
        putc_unlocked('"', stdout);
        put_numbers(a->elem, a->values, from, to);
        putc_unlocked('"', stdout);
        break;
    case SHARD_TYPE_SPARSE:
        fputs("\"{'indices': ", stdout);
        put_numbers(SHARD_TYPE_UINT32, a->indices, from, to);
        fputs(", 'values': ", stdout);
        put_numbers(a->elem, a->values, from, to);
        fputs("}\"", stdout);
        break;
    default:
        put_number(a->type, a->values, row);
    }
}

int
main(int argc, char **argv)
{
    static char buffer[1 << 20];
    struct shard_error err = {0};
    struct shard_dataset *ds;
    struct shard_group *g;
    uint32_t n_cols;

    if (argc != 2) {
        fputs("usage: dump_columns DATASET\n", stderr);
        return 2;
    }
    (void)setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
    if (shard_dataset_open(argv[1], &ds, &err) < 0 || shard_group_new(&g) < 0)
        die(argv[1], &err);
    n_cols = shard_dataset_n_columns(ds);
    for (uint32_t c = 0; c < n_cols; c++) {
        const char *name = shard_dataset_field(ds, c)->name;

        if (c > 0)
            putc_unlocked(',', stdout);
        put_text(name, strlen(name));
    }
    putc_unlocked('\n', stdout);
    for (uint64_t i = 0; i < shard_dataset_n_groups(ds); i++) {
        if (shard_dataset_read_group(ds, i, NULL, 0, g, &err) < 0)
            die(argv[1], &err);
        for (uint64_t row = 0; row < shard_group_n_rows(g); row++) {
            for (uint32_t c = 0; c < n_cols; c++) {
                if (c > 0)
                    putc_unlocked(',', stdout);
                put_cell(shard_group_array(g, c), row);
            }
            putc_unlocked('\n', stdout);
        }
    }
    shard_group_free(g);
    shard_dataset_close(ds);
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
