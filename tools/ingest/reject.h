/* Records that could not be read: each with its reason and place. A list is owned by whoever made
 * it; not thread-safe. */
#ifndef INGEST_REJECT_H
#define INGEST_REJECT_H

#include <stddef.h>
#include <stdint.h>

#include "shardline/status.h"

#define INGEST_REJECT_RAW_MAX 4096u /* bytes of the record kept; the length tells the rest */

/* Reason codes, stable words for `shardtool rejects` (docs/shardtool.1 lists them). */
#define INGEST_BAD_JSON        "json-syntax"
#define INGEST_BAD_JSON_DUPKEY "json-duplicate-key"
#define INGEST_BAD_JSON_DEPTH  "json-depth"
#define INGEST_BAD_UTF8        "utf8-invalid"
#define INGEST_BAD_CSV_CELLS   "csv-cells"
#define INGEST_BAD_CSV_QUOTE   "csv-quote"
#define INGEST_BAD_SVM         "libsvm-syntax"
#define INGEST_BAD_TYPE        "type"          /* does not fit a schema that was given */
#define INGEST_BAD_RECORD_SIZE "record-size"   /* longer than the budget allows */
#define INGEST_BAD_ARCHIVE     "archive"       /* broken; one reject for the span that is lost */
#define INGEST_BAD_ENCRYPTED   "archive-encrypted"
#define INGEST_BAD_LIMIT       "archive-limit" /* depth, size or ratio */

struct ingest_reject {
    char *file;          /* the input, as provenance names it; owned */
    char *entry;         /* path inside it, levels joined by "!"; "" for a plain file; owned */
    const char *reason;  /* INGEST_BAD_*; static */
    char *detail;        /* one sentence; owned */
    char *column;        /* "" where it is none; owned */
    uint64_t line;       /* from 1 within the entry; 0 = unknown */
    uint64_t offset;     /* bytes from the start of the entry */
    uint64_t length;     /* bytes of the record */
    uint8_t *raw;        /* the first INGEST_REJECT_RAW_MAX bytes of it; owned; may be NULL */
    uint32_t raw_len;
};

struct ingest_rejects {
    struct ingest_reject *items;
    size_t count, cap;
};

struct ingest_entry;
void ingest_rejects_done(struct ingest_rejects *r);
/* Copies everything. detail is printf-like. Returns 0 or -ENOMEM. */
SHARD_NODISCARD int ingest_rejects_add(struct ingest_rejects *r, const struct ingest_entry *entry,
                                       const char *reason, const char *column, uint64_t line,
                                       uint64_t offset, const void *raw, uint64_t length,
                                       const char *detail, ...)
    __attribute__((format(printf, 9, 10)));
/* Move all of src to the end of dst. */
SHARD_NODISCARD int ingest_rejects_move(struct ingest_rejects *dst, struct ingest_rejects *src);

#endif
