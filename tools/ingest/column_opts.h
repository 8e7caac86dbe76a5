/* --encoding COLUMN=NAME and --codec COLUMN=CODEC: what is asked for single columns, told by name on the
 * command line and by number to the encoder. */
#ifndef INGEST_COLUMN_OPTS_H
#define INGEST_COLUMN_OPTS_H

#include "shardfmt/group.h"

/* One of the options: of the two things it sets one, the other says that nothing was asked. */
struct ingest_column_opt {
    char *column; /* as the dataset has it */
    struct fmt_column_opts want;
};

/* One entry per field of s, later options over earlier ones; NULL in *ret where n is 0. SHARD_ENOTFOUND for a
 * column that is not there, SHARD_EPARSE for an encoding that its type cannot have. */
SHARD_NODISCARD int ingest_column_opts(const struct fmt_schema *s,
                                       const struct ingest_column_opt *opts, size_t n,
                                       struct fmt_column_opts **ret, struct shard_error *err);
/* The highest level that any column may get, zstd_level being that of all others. */
int ingest_column_opts_level(const struct ingest_column_opt *opts, size_t n, int zstd_level);

#endif
