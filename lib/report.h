/* JSON objects for machines (jansson), one line each. Only the programs use it. */
#ifndef BASE_REPORT_H
#define BASE_REPORT_H

#include <jansson.h>
#include <stdio.h>

#include "lib/hash.h"
#include "shardline/status.h"

/* At the start of a program: from then on no object that lost a part for want of memory is written
 * as if it were whole. (jansson's setters may fail silently.) */
void base_report_init(void);
/* Write obj as one line in insertion order, numbers with 15 digits, to f and flush; returns 0 or
 * -errno. */
SHARD_NODISCARD int base_report_line(FILE *f, const json_t *obj, struct shard_error *err);
json_t *base_report_hash64(uint64_t v);
json_t *base_report_hash128(struct base_hash128 v);

#endif
