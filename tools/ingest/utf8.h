/* Whether bytes are UTF-8, at the speed of memory, and where they stop being it. Stateless. */
#ifndef INGEST_UTF8_H
#define INGEST_UTF8_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/buf.h"

bool ingest_utf8_valid(const void *p, size_t len);
/* The length of the valid start: len where all of it is. */
size_t ingest_utf8_prefix(const void *p, size_t len);
/* The same of bytes that come bit by bit. Zeroed to begin with. */
struct ingest_utf8_check {
    uint8_t part[4]; /* a character whose rest is still to come */
    unsigned n_part;
    bool bad;
};
void ingest_utf8_feed(struct ingest_utf8_check *c, const void *p, size_t len);
/* Whether all of it was UTF-8. */
bool ingest_utf8_ended(const struct ingest_utf8_check *c);
/* How much of valid text to show in a message: at most max bytes, whole characters, up to a NUL. As
 * int, for printf's "%.*s". */
int ingest_utf8_clip(const char *p, size_t len, size_t max);
/* Append text with every byte that is not UTF-8, and every NUL, as %XX: for names. */
SHARD_NODISCARD int ingest_utf8_escape(const char *p, size_t len, struct base_buf *out);

#endif
