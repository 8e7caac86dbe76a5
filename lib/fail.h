/* How a function inside Shardline reports an error: see shardline/status.h for the convention. */
#ifndef BASE_FAIL_H
#define BASE_FAIL_H

#include "lib/compiler.h"
#include "shardline/status.h"

/* Fill *err (may be NULL) with code and the sentence, and return code, so that callers write
 * `return base_fail(err, SHARD_ETRUNC, "footer ends past byte %" PRIu64, size);`.
 * For -errno codes ": " and the system's text are appended. */
int base_fail(struct shard_error *err, int code, const char *fmt, ...) BASE_PRINTF(3, 4);

/* The same for sentences that need no more words, whatever the code. */
int base_say(struct shard_error *err, int code, const char *fmt, ...) BASE_PRINTF(3, 4);

/* Put "context: " in front of a sentence that a deeper function wrote; returns err's code, or
 * code where err is NULL. For callers that know a name (file, dataset) the deeper one did not. */
int base_fail_in(struct shard_error *err, int code, const char *fmt, ...) BASE_PRINTF(3, 4);

#endif
