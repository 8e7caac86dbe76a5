/* The JSON records of a block: lines of JSONL, or the one document of JSON (an array's elements are
 * the records). Shared by inference and parsing. */
#ifndef INGEST_JSON_RECORDS_H
#define INGEST_JSON_RECORDS_H

#include "tools/ingest/block.h"
#include "tools/ingest/json_dom.h"

struct ingest_json_sink {
    /* A record at bytes [start, end) of the block's data. 0, or an error that ends everything. */
    int (*record)(void *arg, const struct ingest_json_node *nodes, size_t start, size_t end);
    /* A line, or the whole document, is no JSON: records of it that were given are void. */
    int (*bad)(void *arg, const struct ingest_json_bad *bad, size_t start, size_t end);
    void *arg;
};

SHARD_NODISCARD int ingest_json_records(struct ingest_json *j, const struct ingest_block *b,
                                        uint32_t max_depth, const struct ingest_json_sink *sink);

#endif
