/* Encoding one page: rows of one column into the raw bytes of a page (before zstd). What is chosen
 * is a pure function of the rows and the options. Not thread-safe; buffers are kept from page to
 * page. */
#ifndef FMT_ENCODE_H
#define FMT_ENCODE_H

#include "lib/buf.h"
#include "shardfmt/dict.h"
#include "shardfmt/estimate.h"
#include "shardfmt/group.h"
#include "shardfmt/ints.h"
#include "shardfmt/layout.h"

/* A row whose value stands out of line, in pieces of at most FMT_INLINE_MAX bytes. */
struct fmt_overflow {
    uint64_t row;   /* of the array */
    uint64_t len;   /* bytes; of a sparse vector indices, then values */
    uint32_t first; /* piece, counted within the row group */
    uint32_t n_pieces;
};

/* A stream on its way into a page. */
struct fmt_stream_out {
    uint8_t role, encoding, size;
    uint32_t count, len;
    const uint8_t *ext; /* the bytes; NULL where they stand in the arena */
    size_t off;
};

struct fmt_encoder {
    const struct fmt_encode_opts *opts;
    uint8_t encoding;      /* asked for: FMT_ENC_*, or FMT_ENC_AUTO; the caller may change it */
    bool alternative;      /* the last page could have had plain values, which it has not */
    uint64_t plain_cost;   /* estimated bytes of it in the file then */
    struct base_buf page;  /* result of fmt_encode_page() */
    uint32_t used;         /* bit set of encodings; the caller clears it */
    uint32_t n_distinct;   /* of the last page, 0 = not known */
    struct fmt_stream_out streams[FMT_STREAMS_MAX];
    uint32_t n_streams;
    struct base_buf arena;    /* payloads of packed streams */
    struct base_buf lengths;  /* uint32 per row */
    struct base_buf present;  /* values or lengths of the rows that are not null */
    struct base_buf inlined;  /* values without those of out-of-line rows */
    struct base_buf inlined2; /* the same of indices */
    struct base_buf dict_lengths, dict_bytes;
    struct base_buf sample, deltas, packed; /* of choose.c */
    struct fmt_estimator estimator;
    struct fmt_ints_scratch scratch;
    struct fmt_dict dict;
};

void fmt_encoder_init(struct fmt_encoder *e, const struct fmt_encode_opts *opts);
void fmt_encoder_done(struct fmt_encoder *e);
/* Rows [row0, row0 + n), n > 0, of a into e->page. over: the n_over out-of-line rows among them.
 * Returns 0 or -ENOMEM. */
SHARD_NODISCARD int fmt_encode_page(struct fmt_encoder *e, const struct shard_array *a,
                                    uint64_t row0, uint32_t n, const struct fmt_overflow *over,
                                    uint32_t n_over);

/* How to store the numbers of one stream: the cheapest way, going by a sample. -ENOMEM possible. */
struct fmt_plan {
    struct fmt_ints_way way;
    uint64_t raw;  /* fewest bytes before zstd, by any of the ways tried */
    uint64_t cost; /* estimated bytes in the file */
    uint64_t plain; /* the same of plain values */
};
SHARD_NODISCARD int fmt_plan_numbers(struct fmt_encoder *e, const void *values,
                                     struct fmt_ints_kind kind, size_t n, struct fmt_plan *ret);
/* The same where the encoding was asked for (not DICT): all alike is CONST still. */
SHARD_NODISCARD int fmt_plan_forced(struct fmt_encoder *e, const void *values,
                                    struct fmt_ints_kind kind, size_t n, struct fmt_plan *ret);
/* Estimated bytes in the file of len bytes, going by a sample of them. */
SHARD_NODISCARD int64_t fmt_cost_bytes(struct fmt_encoder *e, const void *data, size_t len);

#endif
