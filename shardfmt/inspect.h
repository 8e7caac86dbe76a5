/* Looking at one shard file byte by byte: what verification does within a file. Every row group, and
 * what stands around them, is a piece of work of its own that any thread may do; findings are kept
 * in order and told by whoever collects them. */
#ifndef FMT_INSPECT_H
#define FMT_INSPECT_H

#include "lib/buf.h"
#include "lib/codec.h"
#include "shardfmt/shard.h"

/* An open file under inspection. Read-only once it is open: share freely. */
struct fmt_inspect {
    const char *path; /* borrowed; relative to the dataset */
    int fd;
    struct fmt_footer *footer;
    uint64_t size; /* of the file */
};

/* Takes ownership of fd and footer, also on failure. */
SHARD_NODISCARD int fmt_inspect_open(const char *path, int fd, struct fmt_footer *footer,
                                     struct fmt_inspect **ret, struct shard_error *err);
void fmt_inspect_close(struct fmt_inspect *in); /* accepts NULL */

/* One thing that is wrong. */
struct fmt_finding {
    int64_t group, column, page;  /* -1: not in one */
    uint64_t row0, rows_lost;     /* which rows of the row group cannot be had */
    uint64_t off, len; /* of the bytes, where reason is NULL: their checksum is wrong */
    char *reason;      /* owned */
};

struct fmt_findings {
    struct fmt_finding *items;
    size_t count, cap;
    uint64_t pages, bytes; /* that were looked at */
};
void fmt_findings_reset(struct fmt_findings *f);
void fmt_findings_done(struct fmt_findings *f);
/* Copies reason (NULL: a wrong checksum). Returns 0 or -ENOMEM. */
SHARD_NODISCARD int fmt_findings_add(struct fmt_findings *f, const struct fmt_finding *item,
                                     const char *reason);

/* Memory for looking, reusable, of one thread. */
struct fmt_inspect_scratch {
    struct base_buf window; /* the bytes of the file that are looked at */
    struct base_buf chunk;  /* stored pages of a chunk that is decoded */
    const uint8_t **stored;
    uint32_t cap_stored;
    struct fmt_decoded *decoded, *index; /* a chunk, and its length index */
    struct base_buf lengths;
};
void fmt_inspect_scratch_done(struct fmt_inspect_scratch *s);

/* Where the bytes of a row group end, its pages and pieces, and where those of the next begin; 0: it has
 * none. */
uint64_t fmt_inspect_end(const struct fmt_inspect *in, uint32_t group);
/* Read the bytes of a row group front to back, from where the one before ended: the hash of every
 * piece and page, zeros between them. Appends to ret. This and the next ones return 0 also where
 * something was found; an error only where looking failed (memory, descriptors). */
SHARD_NODISCARD int fmt_inspect_group(const struct fmt_inspect *in, uint32_t group,
                                      struct fmt_inspect_scratch *s, struct fmt_findings *ret,
                                      struct shard_error *err);
/* Then, whether the pages decode. Columns in which something was found already are left out. */
SHARD_NODISCARD int fmt_inspect_decode(const struct fmt_inspect *in, uint32_t group,
                                       struct base_codec *codec, struct fmt_inspect_scratch *s,
                                       struct fmt_findings *ret, struct shard_error *err);
/* The header, and the bytes between the last row group and the footer. */
SHARD_NODISCARD int fmt_inspect_rest(const struct fmt_inspect *in, struct fmt_inspect_scratch *s,
                                     struct fmt_findings *ret, struct shard_error *err);
/* The header alone. */
SHARD_NODISCARD int fmt_inspect_header(const struct fmt_inspect *in, struct fmt_findings *ret,
                                       struct shard_error *err);
/* Read chunk (group, column) and decode it into d. An error says what is wrong with the data. */
SHARD_NODISCARD int fmt_inspect_chunk(const struct fmt_inspect *in, uint32_t group, uint32_t column,
                                      struct base_codec *codec, struct fmt_inspect_scratch *s,
                                      struct fmt_decoded *d, struct shard_array *ret_array,
                                      struct shard_error *err);
/* Then read the values that were left out of the array (fmt_decoded_set_far()), piece by piece, and give
 * each a source. dirfd, zstd_level: where they are kept, as in fmt_spooled_new(). */
SHARD_NODISCARD int fmt_inspect_far(const struct fmt_inspect *in, uint32_t group, uint32_t column,
                                    int dirfd, int zstd_level, struct base_codec *codec,
                                    struct fmt_inspect_scratch *s, struct fmt_decoded *d,
                                    const struct shard_array *a, struct shard_error *err);
/* Whether an error says that the machine is at its limits, and nothing about the data. */
bool fmt_inspect_fatal(int code);
/* A message without the "path: " that whoever tells it puts in front of it again. */
const char *fmt_inspect_text(const char *text, const char *path);

#endif
