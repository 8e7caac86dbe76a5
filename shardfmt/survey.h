/* What stands in a folder of shards, whatever roots and segments say: every file by what its own
 * bytes tell, and whether it is whole. recover builds a snapshot of that. */
#ifndef FMT_SURVEY_H
#define FMT_SURVEY_H

#include "shardfmt/snapshot.h"

struct fmt_rowhash;

/* A file in the folder. */
struct fmt_found {
    char *path;                 /* relative to the dataset */
    int code;                   /* 0: a shard with a sound footer; else why it is none */
    bool foreign;               /* not even named as one */
    uint64_t schema_id;         /* equal for equal schemas, in this process */
    struct fmt_shard_info info; /* info.group_rows is owned */
    struct fmt_origin origin;
    /* From fmt_survey_check(): */
    bool checked;
    uint32_t n_bad;            /* row groups that cannot be had */
    uint8_t *bad;              /* n_groups */
    struct base_hash128 *sums; /* n_groups: of the hashes of their rows */
    char *reason;              /* of code, or the first that was found wrong; NULL: nothing */
};

struct fmt_survey {
    struct fmt_found *items; /* by path */
    uint32_t count, cap;
};

/* Look at the footer of every file in folder (FMT_DIR_*). ret need not be initialised, and is to be
 * ended also after an error. Whatever is wrong with a file stands in its item. */
SHARD_NODISCARD int fmt_survey_folder(int dirfd, const char *folder, struct fmt_survey *ret,
                                      struct shard_error *err);
void fmt_survey_done(struct fmt_survey *s);

/* Read and decode all of the files for which want is set (one per item), on n_threads (0 = cores),
 * and hash their rows with hash (NULL: not). One with other columns than schema's is damaged. */
SHARD_NODISCARD int fmt_survey_check(int dirfd, struct fmt_survey *s, const bool *want,
                                     unsigned n_threads, const struct fmt_schema *schema,
                                     const struct fmt_rowhash *hash, struct shard_error *err);
/* Whether every row of a file that was checked can be had, and nothing else is wrong with it. */
bool fmt_found_whole(const struct fmt_found *f);
uint64_t fmt_schema_id(const struct fmt_schema *s);
/* Open the file and load its footer again. */
SHARD_NODISCARD int fmt_found_open(int dirfd, const struct fmt_found *f, int *ret_fd,
                                   struct fmt_footer **ret_footer, struct shard_error *err);

#endif
