/* Inside of export, shared by export_json.c and export_csv.c. */
#ifndef INGEST_EXPORT_H
#define INGEST_EXPORT_H

#include "tools/ingest/extra.h"
#include "tools/ingest/json_tree.h"
#include "tools/ingest/parse.h"

/* Zeroed is a valid empty one. What one row needs, kept for the next. */
struct ingest_export {
    struct ingest_tree tree;
    struct ingest_json *parser; /* of _extra; made when first needed */
    struct base_buf text;       /* a value, or the text of _extra */
    /* CSV */
    struct base_buf cells; /* struct cell per column; empty where the row has no _extra */
    struct base_buf cell_text;
    struct base_buf name;     /* of the leaf that is looked at */
    struct ingest_extra left; /* what no cell takes */
};

/* The value of a row that is not null, as JSON without blanks. */
SHARD_NODISCARD int ingest_export_value(const struct shard_field *f, const struct shard_array *a,
                                        uint64_t row, struct base_buf *out);
/* Give the parsed _extra text of a row to fn. SHARD_ECORRUPT where it is no JSON. */
SHARD_NODISCARD int ingest_export_extra(struct ingest_export *x, const char *text, size_t len,
                                        ingest_json_fn fn, void *arg, struct shard_error *err);
/* The column with the flag, or -1. */
int64_t ingest_export_flagged(const struct fmt_schema *s, uint32_t flag);

#endif
