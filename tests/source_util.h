/* For tests of sources: archives made in memory with libarchive's writer, and walks collected. */
#ifndef SOURCE_UTIL_H
#define SOURCE_UTIL_H

#include <archive.h>
#include <archive_entry.h>

#include "lib/buf.h"
#include "tools/ingest/source.h"

struct su_member {
    const char *name;
    const void *data;
    size_t len;
    unsigned type;       /* AE_IFREG where 0 */
    const char *link;    /* symbolic (type AE_IFLNK), or else hard */
};

/* An archive of the members, appended to out. filter: ARCHIVE_FILTER_*; options as
 * archive_write_set_options() has them, or NULL. */
void su_archive(struct base_buf *out, int format, int filter, const char *options,
                const struct su_member *m, size_t n_members);
/* The same for one member. */
void su_archive_one(struct base_buf *out, int format, int filter, const char *name,
                    const void *data, size_t len);
/* data compressed, appended to out. */
void su_compress(struct base_buf *out, int filter, const void *data, size_t len);
/* len bytes of lines that compress, different for each seed; appended. */
void su_text(struct base_buf *out, size_t len, unsigned seed);
/* What a uuencoded file holds, appended. */
void su_uudecode(struct base_buf *out, const uint8_t *text, size_t len);

struct su_entry {
    char *chain, *path;
    struct base_buf data;
    bool broke_off, unpacked;
};
struct su_walk {
    struct su_entry *entries;
    size_t n_entries;
    struct ingest_rejects rejects;
    struct ingest_walk_counts counts;
    struct base_hash128 hash;
    uint64_t size;
    int error; /* of the walk, or 0 */
};
/* Walk a file with small and odd reads; everything in w is new. */
void su_walk_file(struct su_walk *w, const struct ingest_file *f,
                  const struct ingest_walk_opts *opts);
/* The bytes as a file called name. */
void su_walk_bytes(struct su_walk *w, const char *name, const struct base_buf *bytes,
                   const struct ingest_walk_opts *opts);
/* The bytes through a pipe. */
void su_walk_pipe(struct su_walk *w, const struct base_buf *bytes,
                  const struct ingest_walk_opts *opts);
void su_walk_done(struct su_walk *w);
const struct su_entry *su_find(const struct su_walk *w, const char *chain); /* or NULL */

/* A directory for the test's files, made on first use; su_cleanup() removes it. */
const char *su_dir(void);
/* The path of a file there with these bytes; valid until the next call. */
const char *su_put(const char *name, const void *data, size_t len);
void su_cleanup(void);

/* A file of the data folder, appended; or SKIP-DATA and false. */
bool su_data(const char *test, const char *path, struct base_buf *out);
/* The path of the data folder, or SKIP-DATA and NULL. */
const char *su_data_dir(const char *test);

#endif
