/* Snapshots: the root, its segments, publish(), and verification.
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

#define FMT_DIR_ROOTS      "roots"
#define FMT_DIR_SEGMENTS   "segments"
#define FMT_DIR_SHARDS     "shards"
#define FMT_DIR_QUARANTINE "quarantine"
#define FMT_DIR_TMP        "tmp"
#define FMT_SEGMENT_SHARDS_MAX 4096u

/* One shard as a segment lists it. */
struct fmt_shard_entry {
    char *path;                /* relative to the dataset; owned */
    char *split;               /* owned; "" in quarantine entries */
    uint64_t n_rows, file_bytes, raw_bytes;
    uint32_t footer_bytes;
    struct base_hash128 hash;
    uint32_t n_groups;
    uint32_t *group_rows;      /* owned */
};

/* A fact in the root: provenance, options, counts. kind and name say what it is, the rest is
 * whatever of number, hash and text the kind uses (docs/format.md). */
struct fmt_fact {
    char *kind, *name, *text;  /* owned; never NULL, may be "" */
    uint64_t number, bytes;
    struct base_hash128 hash;
};

/* The content of a snapshot, as built by a writer or loaded by a reader. */
struct fmt_snapshot {
    uint64_t number;                 /* of the root file; 0 before publishing */
    struct base_hash128 hash;        /* of the root: its name */
    struct fmt_schema schema;
    struct fmt_shard_entry *shards;  /* in row order: splits in order of first use */
    uint32_t n_shards, cap_shards;
    struct fmt_shard_entry *rejects; /* quarantine files */
    uint32_t n_rejects, cap_rejects;
    struct fmt_fact *facts;
    uint32_t n_facts, cap_facts;
    struct base_hash128 fingerprint; /* of all rows */
};

void fmt_snapshot_init(struct fmt_snapshot *s);
void fmt_snapshot_done(struct fmt_snapshot *s);
/* Each takes ownership of nothing: strings and arrays are copied. */
SHARD_NODISCARD int fmt_snapshot_add_shard(struct fmt_snapshot *s, const char *path,
                                           const char *split, const struct fmt_shard_info *info);
SHARD_NODISCARD int fmt_snapshot_add_reject(struct fmt_snapshot *s, const char *path,
                                            const struct fmt_shard_info *info);
SHARD_NODISCARD int fmt_snapshot_add_fact(struct fmt_snapshot *s, const char *kind,
                                          const char *name, uint64_t number, uint64_t bytes,
                                          struct base_hash128 hash, const char *text);
const struct fmt_fact *fmt_snapshot_fact(const struct fmt_snapshot *s, const char *kind,
                                         const char *name); /* or NULL */

/* Make the folders of a dataset below dirfd (idempotent). */
SHARD_NODISCARD int fmt_dataset_mkdirs(int dirfd, struct shard_error *err);
/* A finished temporary shard moves to its final, content-named place under folder (FMT_DIR_*),
 * with label in front ("train"; may be ""). ret_path is relative to the dataset. */
SHARD_NODISCARD int fmt_shard_place(int dirfd, const char *tmp_path, const char *folder,
                                    const char *label, struct base_hash128 hash, char ret_path[256],
                                    struct shard_error *err);
/* Number of the newest root, 0 where there is none. */
SHARD_NODISCARD int fmt_newest_root(int dirfd, uint64_t *ret_number, struct shard_error *err);
SHARD_NODISCARD int fmt_snapshot_load(int dirfd, uint64_t number, struct fmt_snapshot *ret,
                                      struct shard_error *err);
/* Write segments and root and link() the root to parent + 1; the only way a snapshot comes to
 * be. SHARD_ECONFLICT where another writer took that number: nothing is lost, nothing changed.
 * Sets s->number and s->hash. The shards must stand in their places, synced. */
SHARD_NODISCARD int fmt_publish(int dirfd, uint64_t parent, struct fmt_snapshot *s,
                                struct shard_error *err);

/* ----------------------------------------------------------------------------- verification */

struct fmt_damage {
    char file[256];       /* relative to the dataset */
    int64_t row_group;    /* -1 where it is not in one */
    int64_t column, page; /* -1 likewise */
    char column_name[128];
    char reason[SHARD_ERROR_TEXT_MAX];
    uint64_t rows_lost;
};
typedef void (*fmt_damage_fn)(void *arg, const struct fmt_damage *d);

struct fmt_verify_result {
    uint64_t pages_checked, bytes_checked, n_damages;
    bool root_unreadable;
};

/* Check every byte of the newest snapshot of the dataset below dirfd: root, segments, shards,
 * quarantine, the zero bytes between pages, and that every page decodes. Calls fn for every damage
 * (one thread at a time). Returns 0 also where damage was found; -errno if it could not work. */
SHARD_NODISCARD int fmt_verify(int dirfd, unsigned n_threads, fmt_damage_fn fn, void *arg,
                               struct fmt_verify_result *ret, struct shard_error *err);

/* What shard_dataset_open() loaded, for the project's own layers. */
const struct fmt_snapshot *fmt_dataset_snapshot(const struct shard_dataset *ds);
const struct fmt_schema *fmt_dataset_schema(const struct shard_dataset *ds);
int fmt_dataset_dirfd(const struct shard_dataset *ds);

#endif
