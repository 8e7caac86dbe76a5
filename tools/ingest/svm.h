/* One line of libsvm: "label index:value ... # comment". Not thread-safe. */
#ifndef INGEST_SVM_H
#define INGEST_SVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"

struct ingest_svm_token {
    const char *p;
    size_t len;
};

/* Zeroed is a valid empty reader. */
struct ingest_svm {
    struct ingest_svm_token label;
    size_t n_features;
    struct base_buf indices; /* uint32, strictly ascending */
    struct base_buf values;  /* struct ingest_svm_token */
    const char *detail;      /* why a line is refused; static */
};

/* 1 = a record, 0 = a line with nothing on it but blanks or a comment, 2 = refused (detail),
 * -ENOMEM. line: without its LF. */
SHARD_NODISCARD int ingest_svm_line(struct ingest_svm *s, const char *line, size_t len);
void ingest_svm_done(struct ingest_svm *s);

static inline const struct ingest_svm_token *
ingest_svm_values(const struct ingest_svm *s)
{
    return (const struct ingest_svm_token *)(const void *)s->values.data;
}

#endif
