/* Schema inference from the first bytes of the input, read and looked at by the crew. */
#ifndef INGEST_SAMPLE_H
#define INGEST_SAMPLE_H

#include "tools/ingest/reader.h"

/* Called now and then on the deciding thread; a negative number stops the work with it. */
typedef int (*ingest_check_fn)(void *arg, struct shard_error *err);

/* Look at whole batches, in order, until sample_bytes were seen, and make *ret_infer of them. They
 * are kept in rd for parsing where a quarter of the budget holds them; else the input is read again,
 * which a pipe cannot be: SHARD_EBUDGET. */
SHARD_NODISCARD int ingest_sample(struct ingest_reader *rd, uint64_t sample_bytes,
                                  ingest_check_fn check, void *check_arg,
                                  struct ingest_infer **ret_infer, struct shard_error *err);

#endif
