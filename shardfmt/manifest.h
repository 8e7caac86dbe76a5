/* The files behind a snapshot, one at a time: the root as a table of facts, a segment as a table of
 * shards. fmt_snapshot_load() and fmt_publish() are made of these; verification, which must go on
 * after damage, calls them one by one. */
#ifndef FMT_MANIFEST_H
#define FMT_MANIFEST_H

#include "shardfmt/snapshot.h"

/* "segments/<32 hex>.seg" */
#define FMT_SEGMENT_PATH_MAX 48
void fmt_segment_path(struct base_hash128 hash, char ret[FMT_SEGMENT_PATH_MAX]);

/* Whether path is folder (FMT_DIR_*), "/" and one harmless file name. */
bool fmt_path_ok(const char *path, const char *folder);
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
/* A digest of the entries [i, end) in memory; of use in this process only. */
uint64_t fmt_segment_digest(const struct fmt_snapshot *s, uint32_t i, uint32_t end);
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

/* Inside shardfmt/: append a zeroed fact, shard or reject. NULL: out of memory. */
struct fmt_fact *fmt_snapshot_new_fact(struct fmt_snapshot *s);
struct fmt_shard_entry *fmt_snapshot_new_shard(struct fmt_snapshot *s);
struct fmt_shard_entry *fmt_snapshot_new_reject(struct fmt_snapshot *s);
struct fmt_segment *fmt_snapshot_new_segment(struct fmt_snapshot *s);
/* Find or add a split: its index, -ENOMEM, or -EINVAL above FMT_SPLITS_MAX. */
int64_t fmt_snapshot_split(struct fmt_snapshot *s, const char *name, bool add);
void fmt_shard_entry_done(struct fmt_shard_entry *e);
/* Whether the kind of a fact is one that the format itself uses, or critical. */
bool fmt_fact_kind_reserved(const char *kind);

#endif
