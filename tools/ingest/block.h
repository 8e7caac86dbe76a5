/* Entries cut into blocks of whole records: the unit of parsing. Cutting is sequential and cheap
 * (newlines, quote state); parsing a block needs nothing but the block. Where the blocks of an
 * entry end is a pure function of its bytes and the options.
 *
 * INGEST_AUTO goes by the extension of the innermost path, less the suffix of a compression that
 * was undone: .jsonl .ndjson; .json (JSON lines where the first line is a value of its own and
 * another follows, as many `.json` dumps are); .csv; .tsv; .txt .text .md; .svm .libsvm. Any other
 * name: bytes with NULs or control characters are a file; what begins with an object is JSON or
 * JSON lines; what has only lines of "label index:value ..." is libsvm; the rest is text.
 *
 * Records end: lines at LF (a CR before it belongs to the line and is the parser's to strip);
 * CSV and TSV at LF, CR LF or CR outside quotes, a quote being one only at the start of a cell,
 * as in RFC 4180; after a closing quote anything but a quote or delimiter goes on as unquoted
 * text. The last record needs no line end, but is dropped where an archive breaks off. */
#ifndef INGEST_BLOCK_H
#define INGEST_BLOCK_H

#include "lib/buf.h"
#include "shardfmt/spooled.h"
#include "tools/ingest/source.h"

enum ingest_format {
    INGEST_AUTO = 0, /* by the entry's extension (less .gz and such), then its first bytes */
    INGEST_JSONL,
    INGEST_JSON,     /* one document: an array's elements are the records, else it is one */
    INGEST_CSV,
    INGEST_TSV,
    INGEST_TEXT,
    INGEST_LIBSVM,
    INGEST_FILES,
};

/* A file longer than this does not stand in memory: it goes by a temporary file. A constant, as it is
 * part of what a row group holds. */
#define INGEST_SPOOL_BYTES ((size_t)4 << 20)

struct ingest_cut_opts {
    enum ingest_format format;
    size_t block_bytes;   /* target; 0 = 1 MiB. A longer record makes a longer block */
    size_t max_record;    /* a longer record becomes a reject (record-size), streamed past; 0 = 1 GiB */
    char delimiter;       /* CSV; 0 = ',' or, for TSV, tab */
    char quote;           /* 0 = '"' */
    bool no_header;       /* CSV: the first record is data */
    int spool_dirfd;      /* dataset in whose tmp/ long files go; -1: nowhere, it is a dry run */
    const char *spool_name; /* of that dataset, for messages */
    int spool_level;      /* of zstd, for them */
    const char *spool_column; /* name of the column that they get into; NULL = content */
    struct ingest_walk_opts walk;
};

/* Some whole records of one entry. Owned by whoever holds it. */
struct ingest_block {
    struct ingest_entry *entry;    /* a reference */
    enum ingest_format format;     /* never INGEST_AUTO */
    struct base_buf data;          /* BASE_BUF_SLACK readable bytes behind the end */
    struct fmt_spooled *spooled;   /* a long file: then data is only its first bytes; or NULL */
    bool spooled_utf8;             /* it is valid UTF-8 */
    uint64_t line;                 /* line number, from 1, of its first byte within the entry */
    uint64_t offset;               /* bytes of the entry before it */
    bool first, last;              /* of the entry. A UTF-8 BOM at the start is cut off */
    struct base_buf header;        /* CSV: bytes of the entry's header record (a copy in every
                                    * block, without its line end; empty with no_header); data
                                    * never holds it. A header without rows gives a block, too */
    char delimiter, quote;         /* CSV: as used */
    struct ingest_rejects rejects; /* found by the walk or the cutter before or in this block */
};
void ingest_block_free(struct ingest_block *b); /* accepts NULL */

struct ingest_cutter; /* one top-level file; moves between threads like a walk */

SHARD_NODISCARD int ingest_cutter_open(const struct ingest_file *file,
                                       const struct ingest_cut_opts *opts,
                                       struct ingest_cutter **ret_cutter, struct shard_error *err);
/* 1 and a block (small entries of text-like formats are not merged: one entry per block), 0 at
 * the end, or -errno. An empty entry gives no block unless there are rejects to carry (a block
 * with no data), or the format is files. */
SHARD_NODISCARD int ingest_cutter_next(struct ingest_cutter *c, struct ingest_block **ret_block,
                                       struct shard_error *err);
struct ingest_walk *ingest_cutter_walk(struct ingest_cutter *c);
void ingest_cutter_close(struct ingest_cutter *c); /* accepts NULL */
const char *ingest_format_name(enum ingest_format f);
SHARD_NODISCARD int ingest_format_parse(const char *text, enum ingest_format *ret,
                                        struct shard_error *err);

#endif
