/* Where a dataset came from, as facts of its root: inputs by name, size and hash; the options that
 * decide its bytes; counts. And the question whether a dataset is what an ingest would make. */
#ifndef INGEST_PROVENANCE_H
#define INGEST_PROVENANCE_H

#include "shardfmt/snapshot.h"
#include "tools/ingest/ingest.h"
#include "tools/ingest/reader.h"

/* kind     name               number   bytes   hash     text
 * option   of the option      place    -       -        its value
 * input    of the file        place    size    XXH3-128 -
 * count    rows_read, ...     value    -       -        -
 *
 * place counts from 0, in the order given. */
#define INGEST_FACT_OPTION "option"
#define INGEST_FACT_INPUT  "input"
#define INGEST_FACT_COUNT  "count"

SHARD_NODISCARD int ingest_provenance_add(struct fmt_snapshot *s, const struct ingest_opts *opts,
                                          const struct ingest_file_facts *files,
                                          const struct ingest_result *counts,
                                          struct shard_error *err);
/* 0 where the snapshot was made from the same inputs (all are read) with the same options, else
 * -EEXIST and what differs in err. A pipe's content is used up by it. */
SHARD_NODISCARD int ingest_provenance_compare(const struct fmt_snapshot *s,
                                              const struct ingest_opts *opts,
                                              struct shard_error *err);
/* The counts that were noted when the snapshot was made. */
void ingest_provenance_counts(const struct fmt_snapshot *s, struct ingest_result *ret);

#endif
