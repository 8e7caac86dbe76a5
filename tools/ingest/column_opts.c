/* Options of single columns, checked against the schema once it is known. */
#include "config.h"
#include "tools/ingest/column_opts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/arith.h"
#include "lib/fail.h"

/* The type does not go with the encoding: say which ones do. */
static int
fail_encoding(const struct shard_field *f, unsigned encoding, struct shard_error *err)
{
    char type[SHARD_TYPE_NAME_MAX], names[96] = "auto";
    size_t len = strlen(names);

    for (unsigned e = 0; e <= FMT_ENC_LAST; e++)
        if (e != FMT_ENC_CONST && fmt_encoding_fits(f, e))
            len += (size_t)snprintf(names + len, sizeof(names) - len, ", %s",
                                    fmt_encoding_name((enum fmt_encoding)e));
    return base_fail(err, SHARD_EPARSE, "--encoding %s=%s: the column is %s, for which there are %s",
                     f->name, fmt_encoding_name((enum fmt_encoding)encoding),
                     shard_field_type_name(f, type), names);
}

int
ingest_column_opts(const struct fmt_schema *s, const struct ingest_column_opt *opts, size_t n,
                   struct fmt_column_opts **ret, struct shard_error *err)
{
    struct fmt_column_opts *columns;
    int r = 0;

    *ret = NULL;
    if (n == 0)
        return 0;
    columns = calloc((size_t)s->n_fields + 1, sizeof(*columns));
    if (columns == NULL)
        return base_fail(err, -ENOMEM, "options of columns");
    for (uint32_t c = 0; c < s->n_fields; c++)
        columns[c] = FMT_COLUMN_DEFAULT;
    for (size_t i = 0; i < n && r == 0; i++) {
        const struct fmt_column_opts *want = &opts[i].want;
        const int64_t c = fmt_schema_find(s, opts[i].column);

        if (c < 0) {
            r = base_fail(err, SHARD_ENOTFOUND,
                          "%s: there is no column %s; without it --dry-run shows the columns",
                          want->zstd_level == FMT_LEVEL_DEFAULT ? "--encoding" : "--codec",
                          opts[i].column);
        } else if (!fmt_encoding_fits(&s->fields[c], want->encoding)) {
            r = fail_encoding(&s->fields[c], want->encoding, err);
        } else if (want->zstd_level == FMT_LEVEL_DEFAULT) {
            columns[c].encoding = want->encoding;
        } else {
            columns[c].zstd_level = want->zstd_level;
            columns[c].zstd_adapt = want->zstd_adapt;
        }
    }
    if (r < 0)
        free(columns);
    else
        *ret = columns;
    return r;
}

int
ingest_column_opts_level(const struct ingest_column_opt *opts, size_t n, int zstd_level)
{
    int level = zstd_level;

    for (size_t i = 0; i < n; i++)
        level = BASE_MAX(level, opts[i].want.zstd_level);
    return level;
}
