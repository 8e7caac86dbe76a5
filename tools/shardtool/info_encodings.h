/* What `shardtool info --encodings` tells: how the pages of each column are stored, as the pages
 * themselves say. */
#ifndef SHARDTOOL_INFO_ENCODINGS_H
#define SHARDTOOL_INFO_ENCODINGS_H

#include "lib/report.h"
#include "shardfmt/snapshot.h"

#define INFO_CODECS 3u /* FMT_CODEC_* */

/* The pages of one column that have one encoding and codec. */
struct info_pages {
    uint64_t pages;
    uint64_t raw;     /* bytes of their values in memory */
    uint64_t encoded; /* before the codec */
    uint64_t stored;  /* in the file */
};

/* By encoding of the values, then codec. A page without values (tensors that stand out of line) counts as
 * plain. */
struct info_encodings {
    struct info_pages of[FMT_ENC_LAST + 1][INFO_CODECS];
};

/* Read and check all pages of a shard, and add them to columns[]. */
SHARD_NODISCARD int info_encodings_add(struct info_encodings *columns, const struct fmt_footer *f,
                                       int fd, const char *path, struct shard_error *err);
/* A list of objects: what there is of one column. */
json_t *info_encodings_json(const struct info_encodings *e);
void info_encodings_print(const struct info_encodings *e, const char *column);
void info_encodings_print_head(void);

#endif
