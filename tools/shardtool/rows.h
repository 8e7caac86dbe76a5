/* Rows of a dataset as text, for head, cat, get and export. */
#ifndef SHARDTOOL_ROWS_H
#define SHARDTOOL_ROWS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "shardline/status.h"
#include "tools/cli.h"

enum rows_form { ROWS_JSONL, ROWS_CSV };

struct rows_opts {
    const char *dataset;
    const char *split;    /* NULL = all, in row order */
    const char *columns;  /* "a,b" or NULL = all */
    const char *where;    /* an expression, or NULL */
    uint64_t limit;       /* rows at most; UINT64_MAX = all */
    enum rows_form form;
    /* Where it is set: the rows whose numbers it gives, instead of all. Up to cap of them into ret;
     * how many, 0 at the end, or an error. io: enum shard_io, how they are read. */
    int64_t (*numbers)(void *arg, uint64_t *ret, size_t cap, struct shard_error *err);
    void *numbers_arg;
    uint32_t io;
};

/* Write them to out. Returns an exit status; a message was printed where it is not CLI_OK. */
int rows_print(const struct rows_opts *o, FILE *out, const char *out_name);

/* The same of one row (by o->numbers) and one column of strings or bytes, as the bytes that they are. */
int rows_print_raw(const struct rows_opts *o, const char *column, FILE *out);

/* Options that these verbs share: ids of the table below 10 are taken. */
enum { ROWS_OPT_LIMIT = 1, ROWS_OPT_COLUMNS, ROWS_OPT_SPLIT, ROWS_OPT_WHERE };
#define ROWS_OPTS                                                                                  \
    {'n', "rows", "N", "at most so many rows", ROWS_OPT_LIMIT},                                    \
    {0, "columns", "A,B", "these columns only, in this order", ROWS_OPT_COLUMNS},                  \
    {0, "split", "NAME", "rows of this split only", ROWS_OPT_SPLIT},                               \
    {0, "where", "EXPR", "rows of which this is true: \"year >= 1990 AND lang IN ('de', 'fr')\"",    \
     ROWS_OPT_WHERE},                                                                              \
    {0, "json", NULL, "with --where: what was read and skipped as a JSON object, on standard\n"     \
     "error where rows are on standard output", CLI_ID_JSON}
void rows_take_option(struct cli_args *a, int id, struct rows_opts *o);

#endif
