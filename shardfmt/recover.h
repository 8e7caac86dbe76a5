/* A snapshot out of what is whole, where the newest one is damaged. docs/format.md, chapter 17, says
 * by which rules; nothing is ever removed or changed but segments that get their own bytes back. */
#ifndef FMT_RECOVER_H
#define FMT_RECOVER_H

#include "shardfmt/snapshot.h"

enum fmt_recover_what {
    FMT_RECOVER_DAMAGED,  /* a root, segment or shard that cannot be read, or not all of it */
    FMT_RECOVER_LOST,     /* rows that no file has any more */
    FMT_RECOVER_TAKEN,    /* a shard that no readable root lists, and that is in the new snapshot */
    FMT_RECOVER_LEFT_OUT, /* a whole shard that is not in it */
    FMT_RECOVER_IGNORED,  /* a file that is no shard and was not taken for one */
};

/* Something that the user should know. */
struct fmt_recover_note {
    enum fmt_recover_what what;
    const char *file;  /* relative to the dataset, or NULL */
    const char *split; /* or NULL */
    uint64_t row0, n_rows;
    bool in_split; /* row0 counts within the split, not in the snapshot that is recovered */
    const char *reason;
};
typedef void (*fmt_recover_fn)(void *arg, const struct fmt_recover_note *note);

struct fmt_recover_result {
    uint64_t newest, base; /* numbers of roots: the newest, the newest readable; 0: there is none */
    bool sound;            /* the newest snapshot is whole: there was nothing to do */
    uint64_t number;       /* of the new root; 0: none was published */
    struct base_hash128 snapshot, fingerprint;
    uint64_t n_rows, n_shards, n_rewritten; /* rewritten: shards made of parts of damaged ones */
    uint64_t rows_lost;
    bool rejects_lost; /* records of the quarantine are; how many is not known */
    bool exact; /* whether rows_lost is all that was lost, or only what is known of it */
};

/* Look at all of the dataset below dirfd and publish what is whole as a new snapshot, unless the
 * newest one is, or dry_run is set. fn is called on the calling thread. SHARD_ENOTFOUND: there is
 * not one row to be saved. */
SHARD_NODISCARD int fmt_recover(int dirfd, bool dry_run, unsigned n_threads, fmt_recover_fn fn,
                                void *arg, struct fmt_recover_result *ret, struct shard_error *err);

#endif
