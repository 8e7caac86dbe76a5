/* predict's input: lines or JSON records gathered into a batch of arrays, as the trainer reads
 * them.
 *
 *   text model      a line is the text; a JSON record has it under the column's name, or is a
 *                   string itself
 *   sparse model    a line is "INDEX:VALUE ..." as in libsvm, a label before it is skipped; a JSON
 *                   record has {"INDEX": VALUE, ...} under the column's name
 *   numbers         JSON records only: a number, a bool, null or nothing under each column's name
 */
#ifndef SHARDTRAIN_RECORDS_H
#define SHARDTRAIN_RECORDS_H

#include "lib/buf.h"
#include "train/feed.h"
#include "train/options.h"

#define RECORDS_MAX       512u       /* rows of a batch */
#define RECORDS_BYTES_MAX (8u << 20) /* and bytes, after which it is full */

struct records {
    const struct train_spec *spec;
    bool json;
    uint32_t n_rows;
    struct base_buf *values; /* per column: text, or float64 */
    struct base_buf indices; /* sparse */
    int32_t *offsets;        /* RECORDS_MAX + 1: of text or sparse */
    uint8_t **validity;      /* per column of numbers: bits */
    struct shard_array *arrays;
    const struct shard_array **cols;
    uint32_t first[2];
};

SHARD_NODISCARD int records_init(struct records *r, const struct train_spec *spec, bool json,
                                 struct shard_error *err);
void records_done(struct records *r);
/* Add one record; where it cannot be understood SHARD_EPARSE with the reason, and r is as before.
 */
SHARD_NODISCARD int records_add(struct records *r, const char *line, size_t len,
                                struct shard_error *err);
bool records_full(const struct records *r);
/* The batch of what was added (one partition); valid until the next reset or add. */
void records_batch(struct records *r, struct train_batch *ret);
void records_reset(struct records *r);

#endif
