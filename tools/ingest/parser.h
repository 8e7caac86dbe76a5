/* Inside of parsing: the state of one thread, shared by parse*.c. */
#ifndef INGEST_PARSER_H
#define INGEST_PARSER_H

#include "tools/ingest/csv.h"
#include "tools/ingest/row.h"
#include "tools/ingest/svm.h"

/* The columns of the CSV header seen last: most blocks have the same one. */
struct ingest_csv_map {
    struct base_buf header;
    bool valid;
    char delimiter, quote;
    struct ingest_csv_names names;
    int32_t *cols; /* by cell: a column or INGEST_COL_* */
};

struct ingest_parser {
    const struct ingest_plan *plan;
    struct ingest_row row;
    struct ingest_json *json;
    struct base_buf table;
    struct ingest_csv csv;
    struct ingest_csv_map map;
    struct ingest_svm svm;
    struct base_buf values;   /* scratch of libsvm */
    struct base_buf keep;     /* rows that pass the filters */
    struct fmt_column *spare; /* as many as the schema has; filled while filtering */
};

/* Append the rows of a block to p->row. 0 or an error. */
SHARD_NODISCARD int ingest_parse_json(struct ingest_parser *p, const struct ingest_block *b);
SHARD_NODISCARD int ingest_parse_csv(struct ingest_parser *p, const struct ingest_block *b);
SHARD_NODISCARD int ingest_parse_text(struct ingest_parser *p, const struct ingest_block *b);
SHARD_NODISCARD int ingest_parse_libsvm(struct ingest_parser *p, const struct ingest_block *b);
SHARD_NODISCARD int ingest_parse_files(struct ingest_parser *p, const struct ingest_block *b);

/* A value that a column cannot hold, for columns that are not JSON's: text goes to _extra, or the
 * row is rejected where the type was given. 1 = still a row, 0 = rejected, or an error. */
SHARD_NODISCARD int ingest_text_misfit(struct ingest_parser *p, uint32_t col, const char *text,
                                       size_t len, size_t start, size_t end);

#endif
