/* The numbers and limits of shard files. docs/format.md is the specification; this is the same for
 * the compiler. Nothing here may change once files exist. */
#ifndef FMT_LAYOUT_H
#define FMT_LAYOUT_H

#define FMT_MAGIC "\x89SHD\r\n\x1a\n" /* 8 bytes: catches text mode, as PNG's does */
#define FMT_MAGIC_END "\n\x1a\n\rDHS\x89"
#define FMT_MAJOR 2u
#define FMT_MINOR 0u

/* Header: magic, u16 major, u16 minor, u32 its size, u64 incompat, ro_compat, compat, 16 zero
 * bytes, XXH3-64 of the 56 bytes before. */
#define FMT_HEADER_SIZE 64u
/* Trailer: u16 major, u16 minor, u32 zero, u32 stored and raw length of the footer, u64 hash of the
 * stored footer seeded with its offset, u64 incompat, ro_compat, compat, XXH3-64 of the 48 bytes
 * before seeded with the trailer's offset, magic reversed. The footer ends where it begins. */
#define FMT_TRAILER_SIZE 64u

/* Feature words: bits that this build understands. Of unknown ones, incompat forbids reading,
 * ro_compat forbids appending, compat means nothing. */
#define FMT_INCOMPAT_KNOWN  0u
#define FMT_ROCOMPAT_KNOWN  0u

#define FMT_ALIGN           64u           /* of row groups, and of pages without zstd */
#define FMT_TAIL_GUESS      (64u << 10)   /* read from the end where the footer's size is unknown */
#define FMT_FOOTER_RAW_MAX  (256u << 20)
#define FMT_SHARD_GROUPS_MAX (1u << 20)   /* a segment lists their rows in one page: 4 MiB */
#define FMT_PAGE_RAW_LIMIT  (8u << 20)    /* no page's raw bytes are more */
#define FMT_STREAM_ALIGN_MIN 256u         /* plain streams of so many bytes start at FMT_ALIGN */

/* Footer: u32 n_sections, n_columns, n_groups, n_pages, n_pieces, zero, u64 n_rows; then a
 * directory of n_sections entries of u16 id, u16 flags, u32 length; then the sections, touching. */
#define FMT_FOOTER_HEAD   32u
#define FMT_SECTION_ENTRY 8u
#define FMT_SECTION_CRITICAL 1u /* flag: who does not know the section cannot read the file */
enum fmt_section {
    FMT_SECTION_SCHEMA = 1,
    FMT_SECTION_GROUPS = 2,
    FMT_SECTION_PAGES = 3,
    FMT_SECTION_CHUNKS = 4,
    FMT_SECTION_PIECES = 5,
    FMT_SECTION_STATS = 6,
    FMT_SECTION_ENCODINGS = 7,
    FMT_SECTION_ORIGIN = 8,
    FMT_SECTION_ZDICTS = 9,
    FMT_SECTION_LENGTHS = 10,
};
#define FMT_SECTION_LAST 10u
#define FMT_SCHEMA_ENTRY 16u /* u8 type, elem, flags (1 = nullable), zero, u32 flags, name, params */
#define FMT_GROUP_ENTRY  16u /* u64 off, u32 n_rows, u32 n_pieces */
#define FMT_PAGE_ENTRY   32u /* arrays: u32 stored, raw, n_rows; u64 data; u32 kind; u64 hash */
#define FMT_PIECE_ENTRY  20u /* arrays: u32 stored, raw, kind; u64 hash */
#define FMT_STATS_ENTRY  60u /* arrays: u64 nulls, raw, distinct; u32 flags; 16 bytes min, max */

#define FMT_LENGTHS_ENTRY 24u /* arrays: u32 chunk; then as of pieces */
#define FMT_ORIGIN_HEAD  12u /* u64 first row, u32 place of the split; its name fills the section */

/* Page: u32 n_rows, u8 n_streams, u8 zero, u16 zero; then n_streams descriptors of u8 role,
 * encoding, version, size, u32 count, u32 len, roles ascending; then the streams. */
#define FMT_PAGE_HEAD    8u
#define FMT_STREAM_ENTRY 12u
#define FMT_STREAMS_MAX  16u

/* What a stream is for. */
enum fmt_role {
    FMT_ROLE_VALIDITY = 1,     /* bitmap, 1 = present; absent where no row is null */
    FMT_ROLE_LENGTHS = 2,      /* u32 per row: bytes or elements */
    FMT_ROLE_INDICES = 3,      /* u32 per element of a sparse vector */
    FMT_ROLE_VALUES = 4,       /* numbers, per row or per element; bits of a bool */
    FMT_ROLE_BYTES = 5,        /* of strings and binary */
    FMT_ROLE_DICT_VALUES = 6,
    FMT_ROLE_DICT_LENGTHS = 7, /* u32 per entry */
    FMT_ROLE_DICT_BYTES = 8,
    FMT_ROLE_CODES = 9,        /* u32 per value: entry of the dictionary */
    FMT_ROLE_OVERFLOW = 10,    /* 24 bytes per out-of-line row, see below */
    FMT_ROLE_ELEM_LENGTHS = 11, /* u32 per string of a list of strings */
};
#define FMT_ROLE_LAST 11u
/* u32 row of the page, u32 first piece (counted within the row group), u64 bytes, u32 number of
 * pieces, u32 zero. The row's length is 0 in LENGTHS; of a list of strings the number of them. */
#define FMT_OVERFLOW_ENTRY 24u

#endif
