/* RFC 4180 records as cells, with any delimiter and quote. A quote opens a quoted cell only as
 * its first byte; anywhere else it is a byte like others. LF, CRLF and a CR alone end a record;
 * a blank line is none. Shared by inference and parsing; not thread-safe. */
#ifndef INGEST_CSV_H
#define INGEST_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"

struct ingest_csv_cell {
    const char *p; /* into the data, or into scratch where quotes were doubled */
    size_t len;
    bool quoted;
};

enum ingest_csv_fault {
    INGEST_CSV_FINE = 0,
    INGEST_CSV_OPEN,  /* the data end inside a quoted cell */
    INGEST_CSV_AFTER, /* text behind a closing quote */
};

/* Zeroed is a valid empty reader. */
struct ingest_csv {
    const char *p, *end;
    char delimiter, quote;
    const char *start, *stop; /* of the last record; without its line end */
    enum ingest_csv_fault fault;
    struct ingest_csv_cell *cells;
    size_t n_cells, cap;
    struct base_buf scratch;
};

/* data: with BASE_BUF_SLACK readable bytes behind it. */
void ingest_csv_begin(struct ingest_csv *c, const void *data, size_t len, char delimiter,
                      char quote);
/* 1 and a record (its cells valid until the next call), 0 at the end, -ENOMEM. */
SHARD_NODISCARD int ingest_csv_next(struct ingest_csv *c);
void ingest_csv_done(struct ingest_csv *c);

/* Column names of one entry's header. */
struct ingest_csv_names {
    char **names;
    size_t n_names;
};
/* Names are unique: a repeated one gets _2, _3, ...; an empty one is c<number from 0>. Bytes that
 * are not UTF-8 are percent-escaped. 0, -ENOMEM. */
SHARD_NODISCARD int ingest_csv_names(struct ingest_csv *c, const struct base_buf *header,
                                     char delimiter, char quote, struct ingest_csv_names *ret);
/* Without a header: c0, c1, ... */
SHARD_NODISCARD int ingest_csv_numbered(size_t n, struct ingest_csv_names *ret);
void ingest_csv_names_done(struct ingest_csv_names *n);

#endif
