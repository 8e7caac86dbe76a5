#include "config.h"

#include "tools/ingest/utf8.h"

#include <stdint.h>
#include <string.h>

#include "tools/ingest/cxx.h"

bool
ingest_utf8_valid(const void *p, size_t len)
{
    return ingest_cxx_utf8_valid(p, len);
}

/* Bytes of the sequence at p, 0 where it is none (Unicode 15, table 3-7). */
static size_t
sequence(const uint8_t *p, size_t left)
{
    uint8_t low = 0x80, high = 0xbf;
    size_t n, i;

    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (left < n)
        return 0;
    if (p[0] == 0xe0)
        low = 0xa0;
    else if (p[0] == 0xed)
        high = 0x9f;
    else if (p[0] == 0xf0)
        low = 0x90;
    else if (p[0] == 0xf4)
        high = 0x8f;
    if (p[1] < low || p[1] > high)
        return 0;
    for (i = 2; i < n; i++)
        if (p[i] < 0x80 || p[i] > 0xbf)
            return 0;
    return n;
}

size_t
ingest_utf8_prefix(const void *data, size_t len)
{
    const uint8_t *p = data;
    size_t at = 0, n;

    while (at < len && (n = sequence(p + at, len - at)) != 0)
        at += n;
    return at;
}

int
ingest_utf8_clip(const char *p, size_t len, size_t max)
{
    return (int)ingest_utf8_prefix(p, strnlen(p, len < max ? len : max));
}

int
ingest_utf8_escape(const char *p, size_t len, struct base_buf *out)
{
    const uint8_t *bytes = (const uint8_t *)p;
    size_t at = 0, n;
    int r = 0;

    while (at < len && r == 0) {
        n = sequence(bytes + at, len - at);
        if (n == 0 || bytes[at] == 0) {
            r = base_buf_printf(out, "%%%02X", bytes[at]);
            n = 1;
        } else {
            r = base_buf_append(out, p + at, n);
        }
        at += n;
    }
    return r;
}

void
ingest_utf8_feed(struct ingest_utf8_check *c, const void *data, size_t len)
{
    const uint8_t *p = data;
    size_t n;

    for (; c->n_part && len && !c->bad; p++, len--) {
        c->part[c->n_part++] = *p;
        if (ingest_utf8_valid(c->part, c->n_part))
            c->n_part = 0;
        else
            c->bad = c->n_part == sizeof(c->part);
    }
    if (c->bad || len == 0)
        return;
    /* All but a last character, which may go on in the next part. */
    for (n = len; n > 0 && len - n < 3 && (p[n - 1] & 0xc0) == 0x80;)
        n--;
    n -= n > 0;
    c->bad = !ingest_utf8_valid(p, n);
    if (c->bad || ingest_utf8_valid(p + n, len - n))
        return;
    memcpy(c->part, p + n, len - n);
    c->n_part = (unsigned)(len - n);
    c->bad = c->n_part == sizeof(c->part);
}

bool
ingest_utf8_ended(const struct ingest_utf8_check *c)
{
    return !c->bad && c->n_part == 0;
}
