/* Inside of the plan, shared by plan.c and the parsers. Read-only once made. */
#ifndef INGEST_PLAN_H
#define INGEST_PLAN_H

#include "tools/ingest/infer.h"
#include "tools/ingest/parse.h"
#include "tools/ingest/trie.h"

/* What a node of the names means for the parsers. */
#define INGEST_COL_NONE     (-1) /* no column */
#define INGEST_COL_RESERVED (-2) /* the name of a column made by an option: a clash */

struct ingest_plan_column {
    char *source;        /* name in the input */
    int32_t path_column; /* index of the path column, or -1 */
    /* Where a misfit stands in _extra: under its column's own name. same_parent: only the last
     * part of the name differs from the input's, if at all; else it is put in afterwards. */
    const char *extra_key;
    bool same_parent;
};

struct ingest_plan_impl {
    struct ingest_plan_column *cols; /* as schema.fields */
    struct ingest_trie keys;         /* input names split at dots: JSON */
    int32_t *key_col;                /* by node: a column, NONE or RESERVED */
    bool *key_below;                 /* by node: some node below is a column */
    struct ingest_trie names;        /* input names whole: CSV and the fixed columns */
    int32_t *name_col;
    bool strict;        /* --schema: a misfit is a reject */
    bool keep_unknown;  /* what has no column goes to _extra, else is not wanted */
    int record;         /* column of records that are no objects, or -1 */
    uint32_t *required; /* columns that may not be null */
    uint32_t n_required;
    uint32_t *min_col; /* --min-length, as opts->min_lengths */
    uint32_t max_depth;
    size_t csv_width; /* of records without header; 0 = not known */
};

/* The column of an input name, or INGEST_COL_*. */
int32_t ingest_plan_column(const struct ingest_plan_impl *impl, const char *name);

#endif
