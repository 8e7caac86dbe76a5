/* Where records go that could not be read: rows of the quarantine lane, in the order in which they
 * stood in the input. docs/format.md has the columns. */
#ifndef INGEST_QUARANTINE_H
#define INGEST_QUARANTINE_H

#include "tools/ingest/groups.h"
#include "tools/ingest/reject.h"

/* Add one record to lane, whose schema is fmt_quarantine_schema(). */
SHARD_NODISCARD int ingest_quarantine_add(struct ingest_groups *gs, struct ingest_lane *lane,
                                          const struct ingest_reject *rej);
/* "FILE!ENTRY, line 7, byte 120 (column price)": where it stood. Returns ret. */
char *ingest_reject_place(const struct ingest_reject *rej, char ret[SHARD_ERROR_TEXT_MAX]);

#endif
