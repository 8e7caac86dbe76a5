/* Which format an entry has, where the user did not say: see block.h for the rules. */
#ifndef INGEST_DETECT_H
#define INGEST_DETECT_H

#include "tools/ingest/block.h"

#define INGEST_DETECT_BYTES (256u << 10) /* what detection is given, if the entry has it */

/* data: the entry's first len bytes (a BOM cut off), all there are if whole. Never INGEST_AUTO.
 * A pure function of the path's extension and these bytes. */
enum ingest_format ingest_detect(const struct ingest_entry *e, const uint8_t *data, size_t len,
                                 bool whole);

#endif
