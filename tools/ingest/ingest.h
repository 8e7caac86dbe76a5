/* The ingest pipeline: inputs -> blocks -> rows -> dedup and split (one sequencer, in source
 * order) -> row groups -> shards -> snapshot. Options in, counts out; no printing. */
#ifndef INGEST_INGEST_H
#define INGEST_INGEST_H

#include "shardfmt/snapshot.h"
#include "tools/ingest/column_opts.h"
#include "tools/ingest/parse.h"

enum ingest_on_bad { INGEST_QUARANTINE = 0, INGEST_SKIP, INGEST_ABORT };

struct ingest_split { /* --split train=0.9,test=0.1 */
    char *name;
    double share;     /* normalised by the parser of the option */
};

struct ingest_opts {
    const char *output;             /* dataset directory */
    const struct ingest_files *files;
    struct ingest_cut_opts cut;
    struct ingest_parse_opts parse;
    struct ingest_split *splits;    /* or NULL: everything in split_name */
    size_t n_splits;
    const char *split_name;         /* NULL = "train" */
    bool dedup_exact;
    enum ingest_on_bad on_bad;
    /* So many records may be bad: this share of rows_read (0..1), and at least so many. */
    double max_bad;
    uint64_t max_bad_rows;
    int zstd_level;
    bool zstd_adapt;                /* struct fmt_encode_opts */
    const struct ingest_column_opt *column_opts;
    size_t n_column_opts;
    uint64_t group_bytes, shard_bytes; /* raw, stored; 0 = default */
    uint32_t page_bytes;
    uint64_t memory;                /* budget; 0 = 1 GiB */
    unsigned n_threads;             /* 0 = cores */
    uint64_t sample_bytes;          /* of schema inference; 0 = 64 MiB */
    bool dry_run;                   /* write nothing; output may be NULL */
    char *const *option_text;       /* the options that decide the bytes, "name=value", for the root */
    size_t n_option_text;
    /* Called now and then on the calling thread: bytes of input read and in total (0 = unknown).
     * Return non-zero to stop (the result is then -ECANCELED). May be NULL. */
    int (*progress)(void *arg, uint64_t done, uint64_t total, uint64_t rows);
    void *progress_arg;
};

struct ingest_result {
    uint64_t rows_read, rows_written, duplicates, near_duplicates, filtered, rejected;
    uint64_t bytes_in, bytes_out;
    uint32_t shards;
    double seconds;
    struct base_hash128 fingerprint;
    char snapshot[33];              /* "" where nothing was published */
    struct fmt_schema schema;       /* of the rows; fmt_schema_done() by the caller */
    uint64_t entries, entries_skipped, links_skipped;
    bool too_many_bad;  /* that is why it failed */
    bool already_there; /* the same inputs and options: nothing was done */
};

/* Returns 0 (also with rejects: see ret->rejected), -ECANCELED, -EEXIST where the dataset exists
 * and is another one, SHARD_ELIMIT with ret filled where too many records are bad (nothing
 * published), SHARD_EBUDGET, or what else went wrong. ret is filled as far as it got. */
SHARD_NODISCARD int ingest_run(const struct ingest_opts *opts, struct ingest_result *ret,
                               struct shard_error *err);

#endif
