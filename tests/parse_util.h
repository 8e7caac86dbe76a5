/* What the tests of parsing share: blocks from text and files, rows from blocks, rows as text. */
#ifndef PARSE_UTIL_H
#define PARSE_UTIL_H

#include "tools/ingest/parse.h"

/* A block of one entry. header may be NULL. */
struct ingest_block *block_new(enum ingest_format format, const char *path, const char *header,
                               const void *data, size_t len);
/* The data folder, or NULL after one loud line that names the test. */
const char *data_folder(const char *test);
/* A file's bytes, ended by a NUL that len does not count; fails the test where it cannot be read.
 */
char *read_file(const char *folder, const char *path, size_t *ret_len);
/* A block from a file; for CSV its first line becomes the header (it must hold no quoted LF). */
struct ingest_block *block_from_file(enum ingest_format format, const char *folder,
                                     const char *path);

/* Blocks inferred from and parsed together: plan, parser, and rows of the block parsed last. */
struct parsed {
    struct ingest_parse_opts opts;
    struct ingest_infer *infer;
    struct ingest_plan *plan;
    struct ingest_parser *parser;
    struct ingest_rows *rows;
    struct shard_array *arrays;
};
/* Each fails the test on an error. opts may be NULL. */
struct parsed *parsed_new(const struct ingest_parse_opts *opts, struct ingest_block *const *sample,
                          size_t n_sample);
void parsed_block(struct parsed *p, const struct ingest_block *b);
void parsed_free(struct parsed *p);
/* Row as JSON or CSV text, malloc()ed. */
char *parsed_json(const struct parsed *p, uint64_t row);
char *parsed_csv(const struct parsed *p, uint64_t row);
/* "name:type name:type?" of the plan's schema, malloc()ed. */
char *parsed_schema(const struct parsed *p);

/* A sample of one text, which is then parsed. */
struct parsed *parse_text(enum ingest_format format, const char *header, const char *text);

/* xorshift: the same numbers for the same seed, everywhere. */
uint64_t next_random(uint64_t *state);

#endif
