/* shardtool cat, and head, which is cat that stops early. */
#include "config.h"

#include "tools/shardtool/rows.h"
#include "tools/shardtool/shardtool.h"

#define HEAD_ROWS 10

static const struct cli_opt opts[] = {ROWS_OPTS, {0}};

static int
print(const struct cli_usage *usage, uint64_t limit, int argc, char **argv)
{
    struct rows_opts o = {.limit = limit, .form = ROWS_JSONL};
    struct cli_args a;
    int id;

    cli_args_init(&a, usage, argc, argv);
    while ((id = cli_args_next(&a)) > 0)
        rows_take_option(&a, id, &o);
    if (id < 0 || !cli_args_one(&a, "dataset", &o.dataset))
        return a.status;
    return rows_print(&o, stdout, "standard output");
}

int
cmd_cat(int argc, char **argv)
{
    static const struct cli_usage usage = {
        "DATASET", "Print the rows of a dataset, one JSON text per line.", opts, NULL};

    return print(&usage, UINT64_MAX, argc, argv);
}

int
cmd_head(int argc, char **argv)
{
    static const struct cli_usage usage = {
        "DATASET", "Print the first rows of a dataset (10 without -n), one JSON text per line.",
        opts, NULL};

    return print(&usage, HEAD_ROWS, argc, argv);
}
