/* Shard files: writing one front to back, opening one from its tail, reading parts of it. */
#ifndef FMT_SHARD_H
#define FMT_SHARD_H

#include "lib/hash.h"
#include "shardfmt/column.h"
#include "shardfmt/group.h"
#include "shardfmt/layout.h"

/* ---------------------------------------------------------------------------------- writing */

struct fmt_writer;

/* Statistics of a whole shard: those of shardfmt/shard_stats.h. */
#define FMT_SHARD_STATS_COLUMNS 64u
#define FMT_SHARD_STATS_ENTRY   48u
#define FMT_SHARD_STATS_MAX     (FMT_SHARD_STATS_COLUMNS * FMT_SHARD_STATS_ENTRY)

/* What a finished shard file is, for the segment that will list it. */
struct fmt_shard_info {
    uint64_t n_rows, file_bytes, raw_bytes;
    uint32_t n_groups;
    uint32_t footer_bytes;        /* footer and trailer: one read of the tail gives all */
    uint32_t *group_rows;         /* n_groups; owned, free() */
    struct base_hash128 hash;     /* content hash: header, footer, trailer */
    uint32_t stats_len;           /* bytes of stats that are used */
    uint8_t stats[FMT_SHARD_STATS_MAX];
};

/* Where a shard's rows belong, as far as its writer knew: what `recover` goes by where no segment
 * tells. */
struct fmt_origin {
    char *split;          /* owned; "" in quarantine files; NULL: not known */
    uint32_t split_index; /* its place among the splits of the snapshot */
    uint64_t row0;        /* the shard's first row, counted within the split */
};

/* Write to dirfd/path, which must not exist. */
SHARD_NODISCARD int fmt_writer_open(int dirfd, const char *path, const struct fmt_schema *s,
                                    const struct fmt_encode_opts *opts,
                                    struct fmt_writer **ret_writer, struct shard_error *err);
/* Append a row group. Does not take ownership of im, but sets its page offsets and hashes. */
SHARD_NODISCARD int fmt_writer_append(struct fmt_writer *w, struct fmt_image *im,
                                      struct shard_error *err);
/* Before fmt_writer_finish(): note in the shard where its rows belong. Copies split. */
SHARD_NODISCARD int fmt_writer_set_origin(struct fmt_writer *w, const char *split,
                                          uint32_t split_index, uint64_t row0);
uint64_t fmt_writer_bytes(const struct fmt_writer *w); /* written so far */
uint64_t fmt_writer_rows(const struct fmt_writer *w);
/* Footer, trailer, fsync, close. The writer can then only be freed. */
SHARD_NODISCARD int fmt_writer_finish(struct fmt_writer *w, struct fmt_shard_info *ret_info,
                                      struct shard_error *err);
void fmt_writer_free(struct fmt_writer *w); /* closes; accepts NULL; does not unlink */

/* ---------------------------------------------------------------------------------- reading */

/* The index of one shard: everything of the footer, checked. Read-only after load: share freely. */
struct fmt_footer {
    struct fmt_schema schema;
    uint32_t n_groups, n_columns;
    uint64_t n_rows;
    uint32_t *group_rows;          /* n_groups */
    struct fmt_page *pages;        /* n_pages, in file order */
    uint32_t *chunk_first;         /* n_groups * n_columns + 1; chunk (g, c) is g * n_columns + c */
    struct fmt_page *pieces;       /* n_pieces; those of a group stand before its pages */
    uint32_t *piece_first;         /* n_groups + 1: pieces of group g are [g], [g + 1]) */
    uint32_t n_pages, n_pieces;
    struct fmt_page *lengths;      /* n_lengths: length indices, of a group behind its pages */
    uint32_t *length_chunk;        /* n_lengths: of which chunk, ascending */
    uint32_t n_lengths;
    struct fmt_chunk_stats *stats; /* n_groups * n_columns, or NULL */
    uint32_t *encodings;           /* n_columns: bit sets */
    struct fmt_zdicts zdicts;        /* of is NULL where no column has one that can be used */
    struct fmt_origin origin;      /* split NULL where the file does not say */
    struct base_hash128 hash;      /* content hash, computed while loading */
    uint64_t ro_compat;            /* of unknown features: the file may be read, not rewritten */
    uint64_t memory;               /* bytes that the footer holds */
    uint64_t footer_off;           /* where the pages have ended */
    uint8_t header[FMT_HEADER_SIZE]; /* what the file must begin with; it is not read on opening */
};

/* Load from an open file. tail_bytes: size of footer and trailer where known, else 0. name is for
 * messages. */
SHARD_NODISCARD int fmt_footer_load(int fd, uint64_t file_size, uint32_t tail_bytes,
                                    const char *name, struct fmt_footer **ret_footer,
                                    struct shard_error *err);
void fmt_footer_free(struct fmt_footer *f); /* accepts NULL */
/* For who needs none of them: they are half of what a footer holds. */
void fmt_footer_forget_stats(struct fmt_footer *f);

/* Verify and decode the pages of one chunk into *ret_array. stored[i] points to the stored bytes of
 * page i of the chunk (f->pages[chunk_first + i]), needed during the call only. What ret_array
 * points to lives in d until its next use; d also holds what was decompressed, which large plain
 * streams are used in without a copy. Out-of-line values are fetched through read, which gives
 * stored bytes of the file, unverified (NULL: chunks with such values give SHARD_EUNSUPPORTED).
 * Pure; one thread per d. */
struct fmt_decoded;             /* storage of one decoded chunk */
SHARD_NODISCARD int fmt_decoded_new(struct fmt_decoded **ret);
void fmt_decoded_free(struct fmt_decoded *d);
void fmt_decoded_clear(struct fmt_decoded *d); /* release the memory; d is as new */
uint64_t fmt_decoded_memory(const struct fmt_decoded *d); /* bytes held */
/* Out-of-line strings and bytes of more than so many (0: none) are left out from now on: the array
 * lists them in far, with their pieces, counted within the row group. */
void fmt_decoded_set_far(struct fmt_decoded *d, uint64_t bytes);
/* Value i of those in far, which is d's until its next use: with it the array can be hashed and encoded. */
struct fmt_spooled;
void fmt_decoded_set_source(struct fmt_decoded *d, uint32_t i, struct fmt_spooled *value);

typedef int (*fmt_read_fn)(void *arg, uint64_t off, void *buf, size_t len, struct shard_error *err);

SHARD_NODISCARD int fmt_chunk_decode(const struct fmt_footer *f, uint32_t group, uint32_t column,
                                     const uint8_t *const *stored, struct base_codec *codec,
                                     fmt_read_fn read, void *read_arg, const char *file,
                                     struct fmt_decoded *d, struct shard_array *ret_array,
                                     struct shard_error *err);

/* The same of pages [first, first + n_pages) of the chunk, as an array of their rows. */
SHARD_NODISCARD int fmt_pages_decode(const struct fmt_footer *f, uint32_t group, uint32_t column,
                                     uint32_t first, uint32_t n_pages,
                                     const uint8_t *const *stored, struct base_codec *codec,
                                     fmt_read_fn read, void *read_arg, const char *file,
                                     struct fmt_decoded *d, struct shard_array *ret_array,
                                     struct shard_error *err);

/* The same of one page without out-of-line values, which is decoded as one of a column `field`. err
 * does not say which. */
SHARD_NODISCARD int fmt_page_decode_alone(const struct fmt_page *page,
                                          const struct shard_field *field, const uint8_t *stored,
                                          struct base_codec *codec, struct fmt_decoded *d,
                                          struct shard_array *ret_array, struct shard_error *err);

/* Extent in the file of chunk (g, c): its pages touch. */
void fmt_chunk_extent(const struct fmt_footer *f, uint32_t group, uint32_t column,
                      uint64_t *ret_off, uint64_t *ret_len);
/* An upper bound of the memory that decoding chunk (g, c) takes (raw bytes plus offsets and
 * such), for budgets. */
uint64_t fmt_chunk_decoded_bound(const struct fmt_footer *f, uint32_t group, uint32_t column);
/* The same of decoding it into d, whose buffers only grow (NULL: a new one). in_page: the array will
 * point into its one decompressed page. */
uint64_t fmt_decoded_after(const struct fmt_decoded *d, const struct fmt_footer *f, uint32_t group,
                           uint32_t column, bool in_page);
/* The same of one of its pages alone. */
uint64_t fmt_page_decoded_bound(const struct fmt_footer *f, uint32_t group, uint32_t column,
                                uint32_t page);

#endif
