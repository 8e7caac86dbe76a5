/* Tables for benchmarks, deterministic, as CSV.
 *
 *     make_table numbers ROWS             numbers such as datasets have: see columns[]
 *     make_table wide COLUMNS ROWS        integers and short texts in turns
 *
 * The first line of `make_table schema` is what --schema takes for numbers. */
#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/random.h"

static uint64_t state = 1;

static uint64_t
next(void)
{
    return test_random(&state);
}

static double
uniform(void)
{
    return (double)(next() >> 11) * 0x1p-53;
}

/* About normal: the sum of four. */
static double
normal(void)
{
    return (uniform() + uniform() + uniform() + uniform() - 2) * 1.732;
}

static void
put_id(uint64_t row)
{
    printf("%" PRIu64, 100000 + row);
}

static void
put_time(uint64_t row)
{
    static uint64_t now = 1700000000000;

    (void)row;
    now += next() % 2000;
    printf("%" PRIu64, now);
}

static void
put_user(uint64_t row)
{
    (void)row;
    printf("%" PRIu64, (uint64_t)(uniform() * uniform() * 1000000));
}

static void
put_label(uint64_t row)
{
    (void)row;
    printf("%" PRIu64, next() % 10);
}

static void
put_count(uint64_t row)
{
    (void)row;
    printf("%.0f", exp(normal() * 2 + 4));
}

static void
put_price(uint64_t row)
{
    (void)row;
    printf("%.2f", (double)(next() % 5000) / 100);
}

static void
put_score(uint64_t row)
{
    (void)row;
    printf("%.9g", (double)(float)normal());
}

static void
put_measure(uint64_t row)
{
    (void)row;
    printf("%.17g", normal() * 100);
}

static const struct {
    const char *name, *type;
    void (*put)(uint64_t row);
} columns[] = {
    {"id", "int64", put_id},       {"time", "int64", put_time},     {"user", "int32", put_user},
    {"label", "uint8", put_label}, {"count", "int32", put_count},   {"price", "float64", put_price},
    {"score", "float32", put_score}, {"measure", "float64", put_measure},
};
#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

static void
put_schema(void)
{
    for (size_t c = 0; c < N_COLUMNS; c++)
        printf("%s%s:%s", c ? "," : "", columns[c].name, columns[c].type);
    putchar('\n');
}

static void
put_numbers(uint64_t n_rows)
{
    for (size_t c = 0; c < N_COLUMNS; c++)
        printf("%s%s", c ? "," : "", columns[c].name);
    for (uint64_t row = 0; row < n_rows; row++)
        for (size_t c = 0; c < N_COLUMNS; c++) {
            putchar(c ? ',' : '\n');
            columns[c].put(row);
        }
    putchar('\n');
}

static void
put_wide(uint64_t n_columns, uint64_t n_rows)
{
    for (uint64_t c = 0; c < n_columns; c++)
        printf("%sc%05" PRIu64, c ? "," : "", c);
    for (uint64_t row = 0; row < n_rows; row++)
        for (uint64_t c = 0; c < n_columns; c++) {
            putchar(c ? ',' : '\n');
            if (c % 2 == 0)
                printf("%" PRIu64, next() % 1000);
            else
                printf("w%" PRIx64, next() % 500);
        }
    putchar('\n');
}

int
main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "schema") == 0)
        put_schema();
    else if (argc == 3 && strcmp(argv[1], "numbers") == 0)
        put_numbers(strtoull(argv[2], NULL, 10));
    else if (argc == 4 && strcmp(argv[1], "wide") == 0)
        put_wide(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
    else
        return fputs("usage: make_table schema | numbers ROWS | wide COLUMNS ROWS\n", stderr), 2;
    return ferror(stdout) ? 1 : 0;
}
