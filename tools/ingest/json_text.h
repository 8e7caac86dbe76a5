/* Writing JSON. Appends to a buffer; 0 or -ENOMEM. */
#ifndef INGEST_JSON_TEXT_H
#define INGEST_JSON_TEXT_H

#include "lib/buf.h"
#include "tools/ingest/json_dom.h"

/* A string with its quotes. text must be UTF-8; "/" and what is not ASCII stay as they are. */
SHARD_NODISCARD int ingest_json_put_string(struct base_buf *out, const char *text, size_t len);
/* The same without the quotes, for text that comes in parts. */
SHARD_NODISCARD int ingest_json_put_text(struct base_buf *out, const char *text, size_t len);
/* A node and all below it, without blanks; numbers as they were written. */
SHARD_NODISCARD int ingest_json_put_node(struct base_buf *out, const struct ingest_json_node *node);
/* Two members of one object have the same key, anywhere in the record: the second one, or NULL.
 * table is scratch. -ENOMEM where that is lacking. */
SHARD_NODISCARD int ingest_json_find_twin(const struct ingest_json_node *nodes,
                                          struct base_buf *table,
                                          const struct ingest_json_node **ret_twin);

#endif
