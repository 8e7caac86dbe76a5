/* A growable byte buffer, 64-byte aligned, with BASE_BUF_SLACK readable bytes behind its end (for
 * vector loads and simdjson). Not thread-safe. Zero-initialised is a valid empty buffer. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "shardline/status.h"

#define BASE_BUF_SLACK 64u

struct base_buf {
    uint8_t *data; /* 64-byte aligned, NULL while cap is 0 */
    size_t len;    /* bytes in use */
    size_t cap;    /* bytes that fit before the slack */
};

/* Make room for extra more bytes. Returns 0 or -ENOMEM; the content stays. */
SHARD_NODISCARD int base_buf_reserve(struct base_buf *b, size_t extra);
/* The capacity that a buffer for cap bytes really gets: a last huge page that is nearly full is made
 * whole. For who accounts for memory before it is there. */
size_t base_buf_round(size_t cap);
/* Like reserve, but to exactly len + extra, for buffers whose size is known (rounded as above). */
SHARD_NODISCARD int base_buf_reserve_exact(struct base_buf *b, size_t extra);
SHARD_NODISCARD int base_buf_append(struct base_buf *b, const void *data, size_t len);
SHARD_NODISCARD int base_buf_printf(struct base_buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Add len zero bytes. */
SHARD_NODISCARD int base_buf_append_zero(struct base_buf *b, size_t len);
/* Keep the memory, forget the content. */
void base_buf_reset(struct base_buf *b);
/* Release the memory; b is then a valid empty buffer. */
void base_buf_done(struct base_buf *b);

/* Without a check: the room was reserved. */
static inline void
base_buf_put(struct base_buf *b, const void *data, size_t len)
{
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
}

/* 64-byte aligned memory that free() releases, with BASE_BUF_SLACK bytes behind it; or NULL. */
void *base_alloc_aligned(size_t len);

#endif
