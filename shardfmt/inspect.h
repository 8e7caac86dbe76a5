/* Looking at one shard file byte by byte: what verification does within a file. Every row group,
 * and the bytes between pages, is a piece of work of its own that any thread may do; findings are
 * kept in order and told by whoever collects them. */
#ifndef FMT_INSPECT_H
#define FMT_INSPECT_H

#include "lib/buf.h"
#include "lib/codec.h"
#include "shardfmt/shard.h"

/* Where a page or piece stands. */
struct fmt_extent {
    uint64_t off;
    uint32_t len, group;
};

/* An open file under inspection. Read-only once it is open: share freely. */
struct fmt_inspect {
    const char *path; /* borrowed; relative to the dataset */
    int fd;
    struct fmt_footer *footer;
    struct fmt_extent *extents; /* n_extents, by off */
    size_t n_extents;
    uint64_t size, end;    /* of the file; where its footer begins */
    uint64_t n_page_bytes; /* sum of the extents */
};

/* Takes ownership of fd and footer, also on failure. */
SHARD_NODISCARD int fmt_inspect_open(const char *path, int fd, struct fmt_footer *footer,
                                     struct fmt_inspect **ret, struct shard_error *err);
void fmt_inspect_close(struct fmt_inspect *in); /* accepts NULL */

/* One thing that is wrong. */
struct fmt_finding {
    int64_t group, column, page; /* -1: not in one */
    uint64_t rows_lost;
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
    struct base_buf buf;
    struct fmt_decoded *decoded;
    const uint8_t **stored;
    uint32_t cap_stored;
};
void fmt_inspect_scratch_done(struct fmt_inspect_scratch *s);

/* Check all pieces and pages of a row group, and that the pages decode. Appends to ret. Returns 0
 * also where something was found; an error only where looking failed (memory, descriptors). */
SHARD_NODISCARD int fmt_inspect_group(const struct fmt_inspect *in, uint32_t group,
                                      struct base_codec *codec, struct fmt_inspect_scratch *s,
                                      struct fmt_findings *ret, struct shard_error *err);
/* Check the header, that pages and pieces do not overlap, and that all bytes between them are
 * zero. */
SHARD_NODISCARD int fmt_inspect_gaps(const struct fmt_inspect *in, struct fmt_inspect_scratch *s,
                                     struct fmt_findings *ret, struct shard_error *err);
/* Whether an error says that the machine is at its limits, and nothing about the data. */
bool fmt_inspect_fatal(int code);

#endif
