/* One JSON text as an array of nodes in document order: the thin C face of simdjson.
 *
 * A node's children follow it; `span` counts it and all below it. Numbers keep their text, so
 * that what no type holds exactly still comes back. Not thread-safe: one parser per thread. */
#ifndef INGEST_JSON_DOM_H
#define INGEST_JSON_DOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shardline/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum ingest_json_kind {
    INGEST_JSON_NULL = 0,
    INGEST_JSON_BOOL,
    INGEST_JSON_INT,  /* int64 */
    INGEST_JSON_UINT, /* above INT64_MAX */
    INGEST_JSON_FLOAT,
    INGEST_JSON_BIG, /* a number that only its text gives exactly */
    INGEST_JSON_STRING,
    INGEST_JSON_ARRAY,
    INGEST_JSON_OBJECT,
};

struct ingest_json_node {
    enum ingest_json_kind kind;
    uint32_t span; /* nodes from this one to the last below it */
    uint32_t n;    /* children of an array or object */
    uint32_t key_len;
    const char *key;  /* of an object's member, unescaped; else NULL */
    const char *text; /* a string, unescaped; a number's or word's text */
    size_t text_len;
    union {
        bool b;
        int64_t i;
        uint64_t u;
        double f;
    } v;
};

/* Why a text was refused. */
struct ingest_json_bad {
    const char *reason; /* INGEST_BAD_* */
    const char *detail; /* static */
    size_t offset;      /* bytes from the start of the text to about where */
};

struct ingest_json;

SHARD_NODISCARD int ingest_json_new(struct ingest_json **ret); /* 0, -ENOMEM */
void ingest_json_free(struct ingest_json *j);                  /* accepts NULL */

/* Called per record: its nodes (valid during the call) and where it starts and ends in the text.
 * A result other than 0 stops the parse and becomes its result. */
typedef int (*ingest_json_fn)(void *arg, const struct ingest_json_node *nodes, size_t start,
                              size_t end);

/**
 * Parse one JSON text: the whole of [text, text + len), with 64 readable bytes behind it.
 * elements: an array's elements are records of their own, each given to fn; else the text is one.
 * Elements before a fault have been given to fn when the fault is found.
 * Returns: 0; 1 and *bad where the text is no JSON, not UTF-8 or nested deeper than max_depth;
 *          what fn returned; -ENOMEM. Duplicate keys are not looked for here.
 */
SHARD_NODISCARD int ingest_json_parse(struct ingest_json *j, const char *text, size_t len,
                                      uint32_t max_depth, bool elements, ingest_json_fn fn,
                                      void *arg, struct ingest_json_bad *bad);

#ifdef __cplusplus
}
#endif
#endif
