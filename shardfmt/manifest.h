/* The files behind a snapshot, one at a time: the root as a table of facts, a segment as a table of
 * shards. fmt_snapshot_load() and fmt_publish() are made of these; verification, which must go on
 * after damage, calls them one by one. */
#ifndef FMT_MANIFEST_H
#define FMT_MANIFEST_H

#include <string.h>

#include "shardfmt/snapshot.h"

/* "segments/<32 hex>.seg" */
#define FMT_SEGMENT_PATH_MAX 48
void fmt_segment_path(struct base_hash128 hash, char ret[FMT_SEGMENT_PATH_MAX]);

/* Whether path is folder (FMT_DIR_*), "/" and one harmless file name. */
bool fmt_path_ok(const char *path, const char *folder);
/* The parts of that, for who checks many: does path begin with folder and a slash, and a name that may
 * be one begin there; and are bytes such as paths have, and how many of them slashes. */
static inline bool
fmt_path_begins(const char *path, size_t len, const char *folder, size_t folder_len)
{
    return len <= FMT_PATH_MAX && len > folder_len + 1 && memcmp(path, folder, folder_len) == 0 &&
           path[folder_len] == '/' && path[folder_len + 1] != '.';
}
bool fmt_path_bytes_ok(const char *bytes, size_t len, size_t *ret_slashes);
/* Whether name can name a split: some bytes, none of them a control character, UTF-8. */
bool fmt_split_name_ok(const char *name);

/* Load the root at dirfd/path into ret, which is initialised here, all but the shards: splits have
 * the rows that the root says, segments their hash, rows and size. number is what the root's name
 * says. ret holds nothing after an error. */
SHARD_NODISCARD int fmt_root_load(int dirfd, const char *path, uint64_t number,
                                  struct fmt_snapshot *ret, struct shard_error *err);
/* Load segment i and append its shards to s. After an error s has none of them. */
SHARD_NODISCARD int fmt_segment_load(int dirfd, struct fmt_snapshot *s, uint32_t i,
                                     struct shard_error *err);
/* Load the statistics of the loaded segment i: row k of *ret_stats are those of its shard k, checked;
 * they live until fmt_table_done(ret_table). */
struct fmt_table;
SHARD_NODISCARD int fmt_segment_stats(int dirfd, const struct fmt_snapshot *s, uint32_t i,
                                      struct fmt_table *ret_table,
                                      const struct shard_array **ret_stats,
                                      struct shard_error *err);
/* Load them into the entries. */
SHARD_NODISCARD int fmt_segment_load_stats(int dirfd, struct fmt_snapshot *s, uint32_t i,
                                           struct shard_error *err);
/* Append what the segment at path lists to s, whatever root it belongs to, if it is whole and named
 * by its hash. Splits are added as they come. */
SHARD_NODISCARD int fmt_segment_survey(int dirfd, const char *path, struct fmt_snapshot *s,
                                       struct shard_error *err);
/* After the last segment: whether the splits' rows are those of their shards. */
SHARD_NODISCARD int fmt_splits_check(const struct fmt_snapshot *s, const char *root_path,
                                     struct shard_error *err);

/* Where the segment that begins with shard i ends: the only rule that cuts segments, so that equal
 * lists of shards make equal segments however they came about. */
uint32_t fmt_segment_end(const struct fmt_snapshot *s, uint32_t i);
/* Whether the file of segment g is there, and lists g->n_shards shards that are just these. */
bool fmt_segment_holds(int dirfd, const struct fmt_segment *g,
                       const struct fmt_shard_entry *entries);
/* Write the shards [i, end) as a segment into its place. Replaces a file of the same content. */
SHARD_NODISCARD int fmt_segment_write(int dirfd, const struct fmt_snapshot *s, uint32_t i,
                                      uint32_t end, struct fmt_segment *ret,
                                      struct shard_error *err);
/* Write the root of s, its segments and parent set, to dirfd/path (a temporary name). */
SHARD_NODISCARD int fmt_root_write(int dirfd, const char *path, const struct fmt_snapshot *s,
                                   struct base_hash128 *ret_hash, struct shard_error *err);

/* As fmt_publish(), but over a newest root that cannot be read: the new root then names it as its
 * parent by number, with the hash 0. */
SHARD_NODISCARD int fmt_publish_over(int dirfd, uint64_t parent, struct fmt_snapshot *s,
                                     struct shard_error *err);

/* From so many shards on neither root nor segments are compressed: their hashes, and names made of them,
 * would take most of the time of opening the dataset, and their size is nothing to that of the shards. */
#define FMT_MANIFEST_LARGE 64u

/* Inside shardfmt/: append a zeroed fact, shard or reject. NULL: out of memory. */
struct fmt_fact *fmt_snapshot_new_fact(struct fmt_snapshot *s);
struct fmt_shard_entry *fmt_snapshot_new_shard(struct fmt_snapshot *s);
/* Make room for n more at once. */
bool fmt_snapshot_more_shards(struct fmt_snapshot *s, uint32_t n);
struct fmt_shard_entry *fmt_snapshot_new_reject(struct fmt_snapshot *s);
struct fmt_segment *fmt_snapshot_new_segment(struct fmt_snapshot *s);
/* Find or add a split: its index, -ENOMEM, or -EINVAL above FMT_SPLITS_MAX. */
int64_t fmt_snapshot_split(struct fmt_snapshot *s, const char *name, bool add);
/* Memory that lives as long as the snapshot, aligned for any number; NULL: there is none. */
void *fmt_snapshot_alloc(struct fmt_snapshot *s, size_t size);
/* A copy of text in it, with a NUL behind. */
char *fmt_snapshot_text(struct fmt_snapshot *s, const char *text, size_t len);
/* Statistics of an entry, copied: 0 or -ENOMEM. */
SHARD_NODISCARD int fmt_shard_entry_set_stats(struct fmt_snapshot *s, struct fmt_shard_entry *e,
                                              const void *bytes, size_t len);
/* Whether the kind of a fact is one that the format itself uses, or critical. */
bool fmt_fact_kind_reserved(const char *kind);

#endif
