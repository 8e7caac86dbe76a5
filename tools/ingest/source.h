/* Inputs as streams of entries: files, directories, archives, archives in archives, stdin.
 *
 * libarchive opens what our own sniffing recognises by strong magic numbers, and only that: text
 * that merely looks like an archive stays text. Nothing is unpacked to disk; nesting is streams
 * all the way. Names are bytes: percent-escaped where not UTF-8, whatever the locale. */
#ifndef INGEST_SOURCE_H
#define INGEST_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/hash.h"
#include "tools/ingest/reject.h"

/* One top-level file to read: what an INPUT argument stands for. */
struct ingest_file {
    char *path;     /* to open; NULL = standard input; owned */
    char *name;     /* in provenance and messages: the argument's last component, plus the path
                     * below it for directories; "-" for stdin; owned */
    size_t below;   /* name + below is the path below the argument directory (the entry's path if
                     * the file is no archive); 0 for an argument that is a file */
    uint64_t size;  /* bytes; 0 for stdin and pipes */
};

struct ingest_files {
    struct ingest_file *items;
    size_t count, cap;
    uint64_t links_skipped; /* symbolic links and devices in directories */
    const char *output;     /* a folder not to look into, as it is what will be made; NULL = none;
                             * borrowed, set before ingest_files_add() */
};

/* Append what the argument stands for: a file, "-", or a directory's regular files, recursively,
 * in byte order of their paths. Symbolic links are followed for arguments, not below. */
SHARD_NODISCARD int ingest_files_add(struct ingest_files *f, const char *arg,
                                     struct shard_error *err);
void ingest_files_done(struct ingest_files *f);

/* An entry: one innermost file. Counted, immutable after the walker returned it. */
struct ingest_entry {
    _Atomic int refs;
    char *file;     /* name of the top-level file */
    char *chain;    /* path inside it: "data.tar.xz!usr/share/man/man1/x.1.gz"; "" if plain */
    char *path;     /* the innermost path: "usr/share/man/man1/x.1.gz", without leading "./" or
                     * "/"; for a plain file its name */
    int64_t size;   /* bytes, -1 = not known before */
    bool unpacked;  /* the path's last suffix (.gz, ...) names a compression that was undone */
};
struct ingest_entry *ingest_entry_ref(struct ingest_entry *e);
void ingest_entry_unref(struct ingest_entry *e); /* accepts NULL; any thread */

struct ingest_walk_opts {
    const char *const *include; /* globs on the innermost path (fnmatch; "*" crosses "/"; a
                                 * pattern that names a folder takes all below it); NULL = all */
    size_t n_include;
    const char *const *exclude;
    size_t n_exclude;
    uint32_t max_depth;         /* levels of archives and compression; 0 = 8 */
    uint64_t max_entry_bytes;   /* 0 = 1 TiB */
    uint64_t max_ratio;         /* unpacked : packed of one top-level file, checked above 64 MiB
                                 * unpacked; 0 = 2000 */
    uint64_t max_seek_bytes;    /* memory of a walk for zip and 7-Zip archives inside others, which
                                 * need seeking; a larger zip is read as a stream, a larger
                                 * 7-Zip is a reject; 0 = 32 MiB */
    bool raw;                   /* open nothing: every input is its bytes (--no-archives) */
};

struct ingest_walk_counts {
    uint64_t entries, entries_skipped; /* skipped: not included, or excluded */
    uint64_t links_skipped;            /* links and devices in archives and folders */
    uint64_t bytes_raw;                /* read from the top-level file */
    uint64_t bytes_unpacked;           /* delivered by ingest_walk_read() */
};

struct ingest_walk; /* one top-level file being walked; not thread-safe, but may move between
                     * threads from call to call */

/* The file and the options (with their globs) must outlive the walk. */
SHARD_NODISCARD int ingest_walk_open(const struct ingest_file *file,
                                     const struct ingest_walk_opts *opts,
                                     struct ingest_walk **ret_walk, struct shard_error *err);
/* The next wanted entry: 1 and *ret_entry (a reference for the caller), 0 at the end, or -errno
 * where the top-level file itself cannot be read. Broken, encrypted or too deep members become
 * rejects (see ingest_walk_rejects) and the walk goes on with what can still be read. */
SHARD_NODISCARD int ingest_walk_next(struct ingest_walk *w, struct ingest_entry **ret_entry,
                                     struct shard_error *err);
/* Bytes of the current entry: > 0, 0 at its end (also when it breaks off, which adds a reject),
 * or -errno. */
SHARD_NODISCARD int64_t ingest_walk_read(struct ingest_walk *w, void *buf, size_t cap,
                                         struct shard_error *err);
/* Whether the current entry broke off, so that its last bytes may be half a record; to be asked
 * when ingest_walk_read() has returned 0. */
bool ingest_walk_broke_off(const struct ingest_walk *w);
/* What could not be read so far; the caller may move items out. */
struct ingest_rejects *ingest_walk_rejects(struct ingest_walk *w);
void ingest_walk_get_counts(const struct ingest_walk *w, struct ingest_walk_counts *ret);
/* XXH3-128 of the top-level file's bytes and its size, once the walk reached its end (the rest of
 * the file is read if needed). */
SHARD_NODISCARD int ingest_walk_file_hash(struct ingest_walk *w, struct base_hash128 *ret_hash,
                                          uint64_t *ret_size, struct shard_error *err);
void ingest_walk_close(struct ingest_walk *w); /* accepts NULL */

#endif
