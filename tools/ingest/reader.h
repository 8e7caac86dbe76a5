/* Reading ahead: the inputs as batches of blocks, in order, read and parsed by the crew.
 *
 *   unit 0   [batch] [batch] [batch]      the head: what the sequencer takes next
 *   unit 1   [batch] ...                  read ahead, so that no core waits for one decompressor
 *   ...
 *
 * A unit is a run of input files (one, or several small ones in a row) and is read by at most one
 * work item at a time, so that a compressed file is one sequential stream; several units are
 * read at once. What a batch holds depends on the files alone, never on threads or memory. Everything
 * here belongs to the deciding thread, but for what a work item does with its batch. */
#ifndef INGEST_READER_H
#define INGEST_READER_H

#include "lib/budget.h"
#include "tools/ingest/crew.h"
#include "tools/ingest/parse.h"

#define INGEST_BATCH_BYTES  (256u << 10) /* a batch ends behind the block that reaches this */
#define INGEST_BATCH_BLOCKS 64u

enum ingest_batch_state {
    INGEST_BATCH_READING,  /* these with -ING belong to a work item */
    INGEST_BATCH_CUT,
    INGEST_BATCH_INFERRING,
    INGEST_BATCH_INFERRED,
    INGEST_BATCH_PARSING,
    INGEST_BATCH_PARSED,
};

/* A run of input files. */
struct ingest_unit {
    size_t first, count;            /* files */
    size_t cur;                     /* of them; the one that is read; the work item's */
    struct ingest_cutter *cutter;   /* of cur, or NULL; the work item's while one is reading */
    struct ingest_batch *batches;   /* in order */
    struct ingest_batch **end;
    struct ingest_batch *reading;   /* or NULL */
    uint64_t charge;                /* for the decompressors, while it is open */
    struct ingest_walk_counts closed; /* of files read to their end; the work item's */
    struct ingest_walk_counts counts; /* closed, and of the open one, as of the last batch */
    uint32_t n_ahead;               /* batches that were not taken or sampled yet */
    bool ended;                     /* read to its end */
};

struct ingest_batch {
    struct ingest_work work;
    struct ingest_reader *reader;
    struct ingest_unit *unit;
    struct ingest_batch *next;         /* of the unit */
    enum ingest_batch_state state;
    uint32_t n_blocks, n_refs;         /* refs: see ingest_batch_unref() */
    struct ingest_block *blocks[INGEST_BATCH_BLOCKS]; /* until parsed, then NULL */
    struct ingest_rejects rejects[INGEST_BATCH_BLOCKS]; /* of each block: walk and cutter first,
                                                         * then the parser's; once parsed */
    struct ingest_rows *rows[INGEST_BATCH_BLOCKS];    /* once parsed */
    uint32_t *raw_bytes[INGEST_BATCH_BLOCKS];         /* of each row; once parsed */
    struct ingest_infer *infer;        /* once inferred */
    uint64_t data_bytes;               /* of all blocks */
    struct ingest_walk_counts counts;  /* of the unit, when this was read */
    bool ends_unit, sampled;
    bool spooled;                      /* its last block is of a file that is not in memory */
    uint64_t charge;                   /* bytes taken from the budget */
};

/* What is known of one input file once it was read to its end. */
struct ingest_file_facts {
    uint64_t size;
    struct base_hash128 hash;
};

struct ingest_reader {
    struct ingest_crew *crew;
    struct base_budget *budget;
    const struct ingest_files *files;
    struct ingest_cut_opts cut;
    const struct ingest_parse_opts *parse;
    const struct ingest_plan *plan;    /* NULL while the schema is inferred */
    struct ingest_parser **parsers;    /* by worker; made on first use */
    unsigned n_threads;
    unsigned n_parsing;                /* batches that the crew is parsing */
    uint64_t parse_factor;             /* memory of parsed batches against their text, of late */
    uint64_t n_spooled, spooled_max;   /* batches with such a file; how many may wait */
    uint64_t spare;                    /* bytes of the budget that reading ahead leaves alone */
    struct ingest_unit *units;
    size_t n_units, head;              /* head: the unit that is consumed */
    struct ingest_file_facts *facts;   /* of each file; read once it is done */
    int result;                        /* the first failure; err says what */
    struct shard_error err;
};

SHARD_NODISCARD int ingest_reader_open(struct ingest_reader *rd, struct ingest_crew *crew,
                                       struct base_budget *budget,
                                       const struct ingest_files *files,
                                       const struct ingest_cut_opts *cut,
                                       const struct ingest_parse_opts *parse,
                                       struct shard_error *err);
/* The crew must be stopped, or have nothing out. Accepts a zeroed one. */
void ingest_reader_close(struct ingest_reader *rd);
/* Start whatever may be started now. */
void ingest_reader_pump(struct ingest_reader *rd);
/* All batches were taken. */
bool ingest_reader_ended(const struct ingest_reader *rd);
/* The next batch in order where it is parsed, else NULL. The caller has a reference. */
struct ingest_batch *ingest_reader_take(struct ingest_reader *rd);
/* Rows that were gathered elsewhere need the batch no more. */
void ingest_batch_unref(struct ingest_batch *b);
/* Of everything read so far. */
void ingest_reader_get_counts(const struct ingest_reader *rd, struct ingest_walk_counts *ret);

/* ------------------------------------------------------------------ for sample.c, beside this */

/* Read on in the units from the head on, as far as memory allows; the head must always move. */
void ingest_reader_pump_reads(struct ingest_reader *rd);
/* Note the first failure; w->result of a work item that was left out is none. */
void ingest_reader_fail(struct ingest_reader *rd, int result, const struct shard_error *err);
/* Forget everything that was read, to read it again. Nothing may be out. */
void ingest_reader_rewind(struct ingest_reader *rd);
void ingest_batch_free(struct ingest_batch *b); /* accepts NULL */
uint64_t ingest_batch_memory(const struct ingest_batch *b); /* bytes that it holds at rest */
/* The batch now holds charge bytes. */
void ingest_batch_recharge(struct ingest_batch *b, uint64_t charge);

#endif
