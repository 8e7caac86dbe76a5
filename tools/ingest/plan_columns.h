/* From what the sample or --schema asks for to the list of a plan's columns, with --rename,
 * --columns and --path-column applied. Used by plan.c alone. */
#ifndef INGEST_PLAN_COLUMNS_H
#define INGEST_PLAN_COLUMNS_H

#include "tools/ingest/parse.h"

struct ingest_column {
    char *source, *name; /* in the input, in the dataset; owned */
    struct shard_field field; /* type, parameters of it, nullable and flags; its name is not used */
    int32_t path_column; /* or -1 */
};

struct ingest_columns {
    struct ingest_column *items;
    size_t count, cap;
};

/* in may be NULL where opts->schema is given. */
SHARD_NODISCARD int ingest_columns_make(const struct ingest_parse_opts *opts,
                                        const struct ingest_infer *in, struct ingest_columns *ret,
                                        struct shard_error *err);
void ingest_columns_done(struct ingest_columns *c);

#endif
