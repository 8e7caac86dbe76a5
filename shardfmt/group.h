/* One row group: encoding columns into the bytes that a shard holds, and the way back.
 *
 * Encoding is a pure function of values and options, so that workers may do it in parallel while
 * the order of groups is fixed elsewhere. What depends on the place in the file (page hashes are
 * seeded with their offset) is added by fmt_writer_append(). */
#ifndef FMT_GROUP_H
#define FMT_GROUP_H

#include "lib/buf.h"
#include "lib/codec.h"
#include "shardfmt/schema.h"

#define FMT_PAGE_RAW_MAX      (4u << 20)  /* default page limit, raw bytes of a chunk per page */
#define FMT_INLINE_MAX        (1u << 20)  /* longer values stand out of line, in pieces of this */
#define FMT_GROUP_RAW_MIN     (4u << 20)
#define FMT_GROUP_RAW_MAX     (64u << 20)
#define FMT_GROUP_ROWS_MAX    (64u << 20) /* at most one row per raw byte of a default group */
#define FMT_CHUNK_DATA_MAX    0x7fffffffu /* raw bytes of one column of one row group in an array */

/* Dictionaries of columns. Read-only once it is made: share freely. */
struct fmt_zdicts {
    uint32_t n_columns;
    struct base_dict **of; /* n_columns; NULL: the column has none */
};

/* What is asked for one column. */
struct fmt_column_opts {
    int zstd_level;   /* 0 = none; FMT_LEVEL_DEFAULT = as of all columns */
    bool zstd_adapt;  /* of this level */
    uint8_t encoding; /* of its values: FMT_ENC_* but CONST, or FMT_ENC_AUTO */
};
#define FMT_LEVEL_DEFAULT (-1)
#define FMT_ENC_AUTO      255u
#define FMT_COLUMN_DEFAULT ((struct fmt_column_opts){FMT_LEVEL_DEFAULT, false, FMT_ENC_AUTO})

struct fmt_encode_opts {
    int zstd_level;          /* 0 = no compression (codec none) */
    bool zstd_adapt;         /* another level where a page's size and type say so */
    const struct fmt_column_opts *columns; /* one per column, or NULL */
    uint32_t page_bytes;     /* raw bytes per page; 0 = FMT_PAGE_RAW_MAX, which is also the most */
    bool plain_only;         /* restricted files: encoding plain, no statistics */
    const struct fmt_zdicts *zdicts; /* NULL = none; must outlive what was encoded with it */
};

/* Whether the rows of a tensor of width elements of size bytes all stand out of line. */
static inline bool
fmt_tensor_outside(uint64_t width, size_t size)
{
    return width * size > FMT_INLINE_MAX;
}

/* Where a row group closes by default, raw bytes: clamp(64 KiB x columns, 4 MiB, 64 MiB). */
uint64_t fmt_group_raw_limit(uint32_t n_columns);

/* Description of one stored page (or piece); offsets are relative to the group's start until it
 * stands in a shard. */
struct fmt_page {
    uint64_t off;
    uint32_t stored_len; /* bytes in the file */
    uint32_t raw_len;    /* bytes after zstd */
    uint64_t hash;       /* XXH3-64 of the stored bytes, seeded with off; set by the writer */
    uint64_t data_len;   /* fmt_array_raw_bytes() of its rows, out-of-line values included */
    uint32_t n_rows;     /* 0 for a piece */
    uint8_t codec;       /* FMT_CODEC_* */
    uint8_t flags;       /* none yet */
    uint16_t reserved;
};
#define FMT_CODEC_NONE 0
#define FMT_CODEC_ZSTD 1
#define FMT_CODEC_ZDICT 2 /* zstd with the column's dictionary */

/* Verify flags, codec and hash of the stored bytes of a page or piece. */
SHARD_NODISCARD int fmt_page_verify(const struct fmt_page *p, const uint8_t *stored,
                                    struct shard_error *err);
/* Verify the stored bytes of a page or piece and get its raw bytes into buf (what it
 * held is gone). dict: the column's dictionary, or NULL. Returns 0, SHARD_ECHECKSUM, SHARD_ECORRUPT, SHARD_EUNSUPPORTED, -ENOMEM; err does
 * not say which page. */
SHARD_NODISCARD int fmt_page_unpack(const struct fmt_page *p, const uint8_t *stored,
                                    struct base_codec *codec, const struct base_dict *dict,
                                    struct base_buf *buf, struct shard_error *err);

/* Whether compressing a page or piece saved a thirty-second, which it must. */
static inline bool
fmt_zstd_pays(size_t raw_len, size_t compressed_len)
{
    return compressed_len < raw_len - raw_len / 32;
}

#define FMT_STATS_PREFIX 16u /* bytes of a string that are kept */
struct fmt_chunk_stats {
    uint64_t n_nulls;
    uint64_t raw_bytes;
    uint64_t n_distinct;       /* estimate, nulls not counted; 0 = unknown */
    uint32_t flags;            /* FMT_STATS_* */
    /* Integers: 8 bytes, extended with their sign; bool: 0 or 1 likewise; floats: as float64;
     * strings and binary: the first FMT_STATS_PREFIX bytes, zeros behind a shorter one.
     * Little-endian. */
    uint8_t min[FMT_STATS_PREFIX], max[FMT_STATS_PREFIX];
};
#define FMT_STATS_MINMAX        1u /* min and max are set: of the non-null values that are not NaN */
#define FMT_STATS_MAX_TRUNCATED 2u /* the string goes on: every string up to max + more is below */
#define FMT_STATS_NAN           4u /* a value is NaN */
#define FMT_STATS_KNOWN         7u /* all of them; what other bits mean this build cannot know */

struct fmt_spooled;

/* Where a piece's stored bytes are, if not in the image. */
struct fmt_image_piece {
    struct fmt_spooled *value; /* a reference; NULL: in the image */
    uint32_t piece;
};

/* An encoded row group: its bytes, pages and statistics. Made by a worker, consumed by the
 * writer. */
struct fmt_image {
    uint32_t n_rows, n_columns;
    struct base_buf bytes;          /* pieces, then pages of column 0, 1, ..., then lengths */
    struct fmt_page *pages;         /* n_pages, columns in order */
    uint32_t *chunk_first;          /* n_columns + 1: pages of column c are [c], [c + 1]) */
    uint32_t n_pages;
    struct fmt_page *pieces;        /* of out-of-line values, n_pieces; bytes stand before the
                                     * pages */
    uint32_t n_pieces;
    struct fmt_image_piece *spooled; /* n_pieces; NULL where all pieces are in the image */
    struct fmt_page *lengths;       /* n_lengths: length indices, behind the pages */
    uint32_t *length_column;        /* n_lengths: of which columns */
    uint32_t n_lengths;
    struct fmt_chunk_stats *stats;  /* n_columns, or NULL */
    uint32_t *encodings;            /* n_columns: bit set of FMT_ENC_* used, for `info` */
};

/* Encode one row group of equally long arrays, one per field. Rows of a column that is not nullable
 * must not be null, and sparse indices must ascend (-EINVAL). SHARD_ELIMIT above
 * FMT_GROUP_ROWS_MAX rows or FMT_CHUNK_DATA_MAX raw bytes of a column. Pure: the same bytes for
 * the same values and options, on any thread. */
SHARD_NODISCARD int fmt_image_encode(const struct fmt_schema *s, const struct shard_array *arrays,
                                     const struct fmt_encode_opts *opts, struct base_codec *codec,
                                     struct fmt_image **ret_image, struct shard_error *err);
void fmt_image_free(struct fmt_image *im); /* accepts NULL */

/* Encodings of a stream of values. The numbers are on disk and never change. */
enum fmt_encoding {
    FMT_ENC_PLAIN = 0,
    FMT_ENC_CONST = 1,
    FMT_ENC_RLE = 2,
    FMT_ENC_DICT = 3,
    FMT_ENC_FOR = 4,      /* frame of reference, bit packed */
    FMT_ENC_DELTA = 5,
    FMT_ENC_BSS = 6,      /* byte-stream split */
};
#define FMT_ENC_LAST 6u
const char *fmt_encoding_name(enum fmt_encoding e);
/* An encoding by the name that a user asks for it by: FMT_ENC_*, FMT_ENC_AUTO, or -1. "constant" is none:
 * it is found where it fits. */
int fmt_encoding_parse(const char *name);
/* Can values of the type have it? */
bool fmt_encoding_fits(const struct shard_field *f, unsigned encoding);

/* Has column col a level of its own? */
static inline bool
fmt_column_has_level(const struct fmt_encode_opts *o, uint32_t col)
{
    return o->columns && o->columns[col].zstd_level != FMT_LEVEL_DEFAULT;
}

#endif
