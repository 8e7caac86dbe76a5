/* A reading position in untrusted bytes that knows its end. Every read checks; the first failure
 * sticks, so a parser may read a whole record and look at base_cursor_ok() once. */
#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/endian.h"

struct base_cursor {
    const uint8_t *p, *end;
    bool failed;
};

static inline struct base_cursor
base_cursor_make(const void *data, size_t len)
{
    struct base_cursor c = {(const uint8_t *)data, (const uint8_t *)data + len, false};

    return c;
}

static inline size_t
base_cursor_left(const struct base_cursor *c)
{
    return (size_t)(c->end - c->p);
}

static inline bool
base_cursor_ok(const struct base_cursor *c)
{
    return !c->failed;
}

/* The next len bytes, borrowed, or NULL if there are fewer. */
static inline const uint8_t *
base_cursor_bytes(struct base_cursor *c, size_t len)
{
    const uint8_t *p = c->p;

    if (c->failed || len > base_cursor_left(c)) {
        c->failed = true;
        return NULL;
    }
    c->p += len;
    return p;
}

/* The number at the cursor, or 0 and a failed cursor. */
static inline uint8_t
base_cursor_u8(struct base_cursor *c)
{
    const uint8_t *p = base_cursor_bytes(c, 1);

    return p ? *p : 0;
}

#define BASE_CURSOR_FUNC(bits)                                                                     \
    static inline uint##bits##_t base_cursor_u##bits(struct base_cursor *c)                        \
    {                                                                                              \
        const uint8_t *p = base_cursor_bytes(c, bits / 8);                                         \
        return p ? base_load_le##bits(p) : 0;                                                      \
    }
BASE_CURSOR_FUNC(16)
BASE_CURSOR_FUNC(32)
BASE_CURSOR_FUNC(64)

#endif
