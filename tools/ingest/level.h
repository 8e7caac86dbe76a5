/* The stack under a walk: streams of bytes, and the archives opened on them.
 *
 *     stream 0  the top-level file
 *     level 1   a libarchive reader that pulls from stream 0
 *     stream 1  the data of level 1's current entry
 *     level 2   a reader that pulls from stream 1
 *     ...
 *
 * A compressed file is a level with one entry. Blocks are handed up as libarchive gives them,
 * without a copy; a stream's unread bytes are `peek` (what was looked at), then `blk`.
 *
 * When something breaks, the lowest stream that knows it becomes `broken` and is the one place
 * that adds a reject; what stands on it fails silently. Everything here belongs to the walk. */
#ifndef INGEST_LEVEL_H
#define INGEST_LEVEL_H

#include <archive.h>
#include <archive_entry.h>

#include "lib/buf.h"
#include "tools/ingest/sniff.h"
#include "tools/ingest/source.h"

#define INGEST_DEPTH_MAX 32u /* what --max-depth can be set to */

struct ingest_stream {
    struct base_buf peek;      /* bytes from peek_pos on are unread */
    size_t peek_pos;
    const uint8_t *blk;        /* borrowed until the next fill */
    size_t blk_len;
    const uint8_t *held;       /* the block behind a hole of `gap` zeros */
    size_t held_len;
    uint64_t gap;
    bool gap_is_last;          /* the entry ends with the hole */
    uint64_t filled;           /* bytes got from below, counted with holes */
    uint64_t pos;              /* bytes consumed from above */
    int64_t size;              /* of the entry, -1 = unknown */
    bool ended;                /* nothing more to get; what is unread is all */
    bool broken;               /* ... because something failed; a reject says what */
    bool unpacked;             /* the entry's bytes came out of a compressed stream */
    char *chain, *path;        /* as in struct ingest_entry; owned */
};

struct ingest_stack;

struct ingest_level {
    struct ingest_stack *stack;
    uint32_t index;            /* reads stream index-1, gives stream index */
    enum ingest_kind kind;
    struct archive *a;
    uint64_t entry_no;         /* of the current entry, from 1 */
    uint64_t out_bytes;        /* that all its entries gave: for the ratio limit */
    uint32_t n_failed;         /* headers that could not be read, in a row */
    /* Formats that seek read the top-level file at file_pos, or a copy of the stream below. */
    enum { INGEST_VIA_STREAM = 0, INGEST_VIA_FILE, INGEST_VIA_MEMORY } via;
    uint64_t file_pos;
    struct base_buf mem;
    uint8_t *io;
    /* gzip's trailer, which libarchive does not check: see gzip_check(). */
    const uint8_t *last;       /* the last block given to libarchive */
    size_t last_len;
    uint64_t in_bytes;         /* given to libarchive in all */
    uint8_t tail[8];           /* the 8 bytes before `last` */
    uint32_t crc;
    uint32_t n_members;        /* gzip headers seen, some of them perhaps by chance */
};

/* Owned by walk.c; pointers borrow from the walk. */
struct ingest_stack {
    struct ingest_stream streams[INGEST_DEPTH_MAX + 1];
    struct ingest_level levels[INGEST_DEPTH_MAX + 1]; /* [0] is not used */
    uint32_t depth;                                    /* the top level; 0 = the file itself */
    const struct ingest_walk_opts *opts;
    struct ingest_walk_counts *counts;
    struct ingest_rejects *rejects;
    const char *file_name;
    const char *file_path; /* as it was given, for messages */
    int fd;
    bool regular;          /* fd can be read at any place */
    uint64_t file_size;
    uint64_t file_read;    /* bytes of the file got in sequence, all of them hashed */
    uint64_t mem_bytes;    /* in the levels' mem */
    XXH3_state_t *hash;
    uint8_t *io;           /* stream 0's block */
    int error;             /* the top-level file cannot be read, or out of memory: ends the walk */
    struct shard_error error_text;
    bool stopped;          /* a limit of the whole file was hit: nothing more is opened */
};

#define INGEST_IO_BYTES (256u << 10)

/* Add a reject for stream i (its chain, its position) and mark it broken. */
void ingest_stack_break(struct ingest_stack *s, uint32_t i, const char *reason, uint64_t offset,
                        const char *detail, ...) __attribute__((format(printf, 5, 6)));
/* At least want unread bytes of stream i in one piece, or all there are; consumes nothing. */
void ingest_stream_peek(struct ingest_stack *s, uint32_t i, size_t want, const uint8_t **ret_p,
                        size_t *ret_len);
/* Consume: some unread bytes, up to max; 0 at the end. Borrowed until the next call on s. */
size_t ingest_stream_take(struct ingest_stack *s, uint32_t i, size_t max, const uint8_t **ret_p);
/* Forget the entry: for the next one. */
void ingest_stream_reset(struct ingest_stream *st);

/* Open what stream `depth` holds as a new top level; 1, or 0 where that failed (a reject tells). */
int ingest_level_push(struct ingest_stack *s, enum ingest_kind kind);
/* The top level came to its archive's end: 1 if another tar follows in the same stream, as after
 * `cat a.tar b.tar`, and is now open; else 0. Anything else there but zeros becomes a reject. */
int ingest_level_again(struct ingest_stack *s);
/* Close the top level, reading what is left of a compressed stream below it, so that damage at its
 * very end is found. */
void ingest_level_pop(struct ingest_stack *s);
/* Close all levels as they are and release what the streams hold. */
void ingest_stack_done(struct ingest_stack *s);
/* libarchive's sentence on what went wrong, in UTF-8; malloc()ed or NULL. */
char *ingest_level_error(const struct ingest_level *l);
/* The reject's reason that goes with such a sentence: encrypted, or plainly broken. */
const char *ingest_level_reason(const char *text);

#endif
