/* Snapshots: the root, its segments, publish(), and verification.
 *
 * Order of calls for a writer: fmt_dataset_mkdirs(); fmt_tmp_path(), fmt_writer_*() and
 * fmt_shard_place() for every shard; fmt_snapshot_init() (or _load() of the newest root, to
 * append), its schema, fmt_snapshot_add_*(); fmt_publish(). For a reader: fmt_newest_root(),
 * fmt_snapshot_load(), fmt_shard_open(). A struct fmt_snapshot is not thread-safe while it is
 * built and read-only afterwards: share it freely.
 *
 *   DATASET/
 *     roots/00000000000000000001.root   link()ed into place by fmt_publish(), never replaced
 *     segments/<32 hex>.seg             lists of shards
 *     shards/<split>-<32 hex>.shard     named by content hash
 *     quarantine/<32 hex>.shard         rejected records
 *     tmp/                              whatever is being written; nothing in it counts
 */
#ifndef FMT_SNAPSHOT_H
#define FMT_SNAPSHOT_H

#include "lib/hash.h"
#include "shardfmt/shard.h"

#define FMT_DIR_ROOTS          "roots"
#define FMT_DIR_SEGMENTS       "segments"
#define FMT_DIR_SHARDS         "shards"
#define FMT_DIR_QUARANTINE     "quarantine"
#define FMT_DIR_TMP            "tmp"
#define FMT_SEGMENT_SHARDS_MAX 4096u      /* shards that one segment lists */
#define FMT_SEGMENT_GROUPS_MAX (1u << 20) /* their row groups, unless it lists one shard only */
#define FMT_PATH_MAX           255u       /* bytes of a path inside a dataset */
#define FMT_SPLIT_MAX          200u       /* bytes of a split's name */
#define FMT_FACT_TEXT_MAX      (1u << 20) /* bytes of a fact's text, at most: FMT_INLINE_MAX */
#define FMT_SPLITS_MAX         65536u
#define FMT_DATASET_VERSION    2u /* number of the fact "format" */

/* One shard as a segment lists it. What it points to belongs to the snapshot and lives as long. */
struct fmt_shard_entry {
    const char *path;     /* relative to the dataset */
    const char *split;    /* "" in quarantine entries */
    uint32_t split_index; /* of split in the snapshot's splits; 0 in quarantine entries */
    uint64_t n_rows, file_bytes, raw_bytes;
    uint32_t footer_bytes;
    struct base_hash128 hash;
    uint32_t n_groups;
    uint32_t *group_rows;
    uint32_t stats_len;
    uint8_t *stats; /* shardfmt/shard_stats.h; NULL: not loaded */
};
/* The root lists quarantine files itself, by path, n_rows, file_bytes and hash: in their entries
 * the rest is 0 or NULL after loading. */

/* A split and its rows. A split may be empty: rows that a writer promised and did not find. */
struct fmt_split {
    char *name; /* owned */
    uint64_t n_rows;
};

/* A segment that the snapshot was loaded from. fmt_publish() takes it over as it is where the
 * shards it lists have not changed, so that an append writes no old segment again. */
struct fmt_segment {
    struct base_hash128 hash; /* of the file: its name */
    uint64_t n_rows, file_bytes;
    uint32_t shard0, n_shards; /* which entries of the snapshot it lists */
};

/* A fact in the root: provenance, options, counts. kind and name say what it is, the rest is
 * whatever of number, hash and text the kind uses (docs/format.md). Readers skip kinds that they
 * do not know, unless the kind begins with "!". */
struct fmt_fact {
    char *kind, *name, *text; /* owned; never NULL, may be "" */
    uint64_t number, bytes;
    struct base_hash128 hash;
};

/* The content of a snapshot, as built by a writer or loaded by a reader. */
struct fmt_snapshot {
    uint64_t number;          /* of the root file; 0 before publishing */
    struct base_hash128 hash; /* of the root: its name */
    struct fmt_schema schema;
    struct fmt_shard_entry *shards; /* in row order: splits in order of first use */
    uint32_t n_shards, cap_shards;
    struct fmt_shard_entry *rejects; /* quarantine files */
    uint32_t n_rejects, cap_rejects;
    struct fmt_split *splits; /* in order of first use; rows are the sums over shards */
    uint32_t n_splits, cap_splits;
    struct fmt_fact *facts; /* but for those that the fields here are made of */
    uint32_t n_facts, cap_facts;
    struct base_hash128 fingerprint; /* of all rows */
    uint64_t parent_number;          /* the root before this one; 0 = none */
    struct base_hash128 parent_hash;
    uint64_t ro_compat;              /* unknown features of root or segments: no successors */
    struct fmt_segment *segments; /* as loaded; empty in a new snapshot */
    uint32_t n_segments, cap_segments;
    struct fmt_block *blocks; /* memory of the entries */
};

void fmt_snapshot_init(struct fmt_snapshot *s);
void fmt_snapshot_done(struct fmt_snapshot *s);
/* Each takes ownership of nothing: strings and arrays are copied. They return 0, -ENOMEM, or
 * -EINVAL for what no reader would take (a path outside its folder, a split without a name, a
 * kind of fact that is the format's own). */
SHARD_NODISCARD int fmt_snapshot_add_shard(struct fmt_snapshot *s, const char *path,
                                           const char *split, const struct fmt_shard_info *info);
SHARD_NODISCARD int fmt_snapshot_add_reject(struct fmt_snapshot *s, const char *path,
                                            const struct fmt_shard_info *info);
SHARD_NODISCARD int fmt_snapshot_add_fact(struct fmt_snapshot *s, const char *kind,
                                          const char *name, uint64_t number, uint64_t bytes,
                                          struct base_hash128 hash, const char *text);
/* Name a split before any of its rows come, or though none will. Adding one twice is fine. */
SHARD_NODISCARD int fmt_snapshot_add_split(struct fmt_snapshot *s, const char *name);
/* Rows of all shards. Never overflows: the sum is checked when shards are added and loaded. */
uint64_t fmt_snapshot_rows(const struct fmt_snapshot *s);
const struct fmt_fact *fmt_snapshot_fact(const struct fmt_snapshot *s, const char *kind,
                                         const char *name); /* or NULL */

/* Make the folders of a dataset below dirfd (idempotent). */
SHARD_NODISCARD int fmt_dataset_mkdirs(int dirfd, struct shard_error *err);
/* A name that nobody else has, "tmp/<pid>-<random>.<what>", relative to the dataset. what is
 * letters only. */
#define FMT_TMP_PATH_MAX 64
SHARD_NODISCARD int fmt_tmp_path(const char *what, char ret[FMT_TMP_PATH_MAX],
                                 struct shard_error *err);
/* "roots/<20 digits>.root" */
#define FMT_ROOT_PATH_MAX 40
void fmt_root_path(uint64_t number, char ret[FMT_ROOT_PATH_MAX]);
/* Rename a finished temporary file to its content-named place. A file there is replaced, as it has
 * the same content or had; a folder there is renamed to "path.old-1", or the next number that is
 * free. */
SHARD_NODISCARD int fmt_place(int dirfd, const char *tmp_path, const char *path,
                              struct shard_error *err);
/* A finished temporary shard moves to its final, content-named place under folder (FMT_DIR_*),
 * with label in front ("train"; may be ""; what cannot stand in a file name becomes "_"). A file of
 * that name has the same content and is replaced. ret_path is relative to the dataset. The folder
 * is not synced: fmt_publish() does that once for all. */
SHARD_NODISCARD int fmt_shard_place(int dirfd, const char *tmp_path, const char *folder,
                                    const char *label, struct base_hash128 hash, char ret_path[256],
                                    struct shard_error *err);
/* Number of the newest root, 0 where there is none. */
SHARD_NODISCARD int fmt_newest_root(int dirfd, uint64_t *ret_number, struct shard_error *err);
/* The same of those up to max. */
SHARD_NODISCARD int fmt_newest_root_upto(int dirfd, uint64_t max, uint64_t *ret_number,
                                         struct shard_error *err);
/* Load root and segments, every hash and number checked; no shard is opened. ret need not be
 * initialised, and holds nothing after an error. */
SHARD_NODISCARD int fmt_snapshot_load(int dirfd, uint64_t number, struct fmt_snapshot *ret,
                                      struct shard_error *err);
/* Load the shards' statistics, too, which fmt_snapshot_load() leaves out: they are most of a segment.
 * A snapshot that was loaded and gets more shards needs them to be published. */
SHARD_NODISCARD int fmt_snapshot_load_stats(int dirfd, struct fmt_snapshot *s,
                                            struct shard_error *err);
/* Open the file of entry e (a shard, or with schema == NULL a quarantine file) and load its
 * footer, checked against the entry: size, content hash, rows, rows of its groups, schema. On
 * success the caller owns *ret_fd and *ret_footer. Messages name the file by its path in the
 * dataset. Stateless: any thread. */
SHARD_NODISCARD int fmt_shard_open(int dirfd, const struct fmt_shard_entry *e,
                                   const struct fmt_schema *schema, int *ret_fd,
                                   struct fmt_footer **ret_footer, struct shard_error *err);
/* Write segments and root and link() the root to parent + 1; the only way a snapshot comes to
 * be. SHARD_ECONFLICT where another writer took that number: nothing is lost, nothing changed.
 * Sets s->number, s->hash and the parent. The shards must stand in their places, synced; their
 * folders are synced here. */
SHARD_NODISCARD int fmt_publish(int dirfd, uint64_t parent, struct fmt_snapshot *s,
                                struct shard_error *err);

/* The columns of quarantine files: file, entry, reason, detail, column: string; line, offset,
 * length: uint64; raw: binary. */
enum fmt_quarantine_column {
    FMT_QUARANTINE_FILE,
    FMT_QUARANTINE_ENTRY,
    FMT_QUARANTINE_REASON,
    FMT_QUARANTINE_DETAIL,
    FMT_QUARANTINE_COLUMN,
    FMT_QUARANTINE_LINE,
    FMT_QUARANTINE_OFFSET,
    FMT_QUARANTINE_LENGTH,
    FMT_QUARANTINE_RAW,
};
#define FMT_QUARANTINE_COLUMNS 9u
/* Their schema; ret is initialised here. */
SHARD_NODISCARD int fmt_quarantine_schema(struct fmt_schema *ret);

/* ----------------------------------------------------------------------------- verification */

struct fmt_damage {
    char file[256];       /* relative to the dataset */
    int64_t row_group;    /* -1 where it is not in one */
    int64_t column, page; /* -1 likewise */
    char column_name[128];
    char reason[SHARD_ERROR_TEXT_MAX];
    uint64_t row0, rows_lost; /* rows [row0, row0 + rows_lost) of the snapshot cannot be had */
};
typedef void (*fmt_damage_fn)(void *arg, const struct fmt_damage *d);

struct fmt_verify_result {
    uint64_t pages_checked, bytes_checked, n_damages;
    bool root_unreadable;
};

/* How much verification looks at. */
enum fmt_verify_depth {
    FMT_VERIFY_QUICK,  /* root and segments whole; of other files that they are there, their sizes,
                        * headers and footers */
    FMT_VERIFY_BYTES,  /* every byte of every file against its checksum */
    FMT_VERIFY_DECODE, /* and that every page decodes to what its footer says */
};

/* Check the newest snapshot of the dataset below dirfd: root, segments, shards, quarantine, the
 * zero bytes between pages. Calls fn (may be NULL) for every damage, on the calling thread and in
 * the order of the files, whatever n_threads (0 = cores). Returns 0 also where damage was found;
 * SHARD_ENOTFOUND where there is no snapshot; -errno if it could not work. */
SHARD_NODISCARD int fmt_verify(int dirfd, enum fmt_verify_depth depth, unsigned n_threads,
                               fmt_damage_fn fn, void *arg, struct fmt_verify_result *ret,
                               struct shard_error *err);

/* What shard_dataset_open() loaded, for the project's own layers. */
const struct fmt_snapshot *fmt_dataset_snapshot(const struct shard_dataset *ds);
const struct fmt_schema *fmt_dataset_schema(const struct shard_dataset *ds);
int fmt_dataset_dirfd(const struct shard_dataset *ds);

#endif
