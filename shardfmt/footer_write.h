/* From what a writer gathered to the bytes of footer, header and trailer. */
#ifndef FMT_FOOTER_WRITE_H
#define FMT_FOOTER_WRITE_H

#include "shardfmt/shard.h"

/* Where a row group stands. */
struct fmt_group_entry {
    uint64_t off;
    uint32_t n_rows, n_pieces;
};

/* What goes into a footer; all borrowed. */
struct fmt_footer_parts {
    const struct fmt_schema *schema;
    uint64_t n_rows;
    uint32_t n_groups, n_pages, n_pieces;
    const struct fmt_group_entry *groups;
    const struct fmt_page *pages, *pieces;
    uint32_t n_lengths;
    const struct fmt_page *lengths;      /* n_lengths */
    const uint32_t *length_chunk;        /* n_lengths */
    const uint32_t *chunk_pages;         /* n_groups * n_columns: pages of each chunk */
    const struct fmt_chunk_stats *stats; /* n_groups * n_columns, or NULL */
    const uint32_t *encodings;           /* n_columns */
    const struct fmt_origin *origin;     /* split NULL: not written */
    struct base_dict *const *zdicts;     /* n_columns, NULL for those that no page needs; or NULL */
};

/* Bytes of the footer before zstd, in 64 bits so that a limit can be held against it. */
uint64_t fmt_footer_size(const struct fmt_footer_parts *p);
/* Append them to buf. Returns 0 or -ENOMEM. */
SHARD_NODISCARD int fmt_footer_write(const struct fmt_footer_parts *p, struct base_buf *buf);

/* Version and feature words, as header and trailer both have them. */
struct fmt_version {
    uint16_t major, minor;
    uint64_t incompat, ro_compat, compat;
};
void fmt_header_write(const struct fmt_version *v, uint8_t ret[FMT_HEADER_SIZE]);
void fmt_trailer_write(const struct fmt_version *v, uint64_t footer_off, const void *stored,
                       uint32_t stored_len, uint32_t raw_len, uint8_t ret[FMT_TRAILER_SIZE]);
/* Content hash of a shard: XXH3-128 over header, stored footer and trailer. */
struct base_hash128 fmt_content_hash(const uint8_t header[FMT_HEADER_SIZE], const void *stored,
                                     uint32_t stored_len, const uint8_t trailer[FMT_TRAILER_SIZE]);

#endif
