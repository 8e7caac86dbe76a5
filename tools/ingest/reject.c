/* The list of what could not be read. Items own copies of everything, because a reject outlives
 * its entry and its block. */
#include "config.h"

#include "tools/ingest/reject.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/arith.h"
#include "lib/compiler.h"
#include "tools/ingest/source.h"

static void
reject_done(struct ingest_reject *j)
{
    free(j->file);
    free(j->entry);
    free(j->detail);
    free(j->column);
    free(j->raw);
}

void
ingest_rejects_done(struct ingest_rejects *r)
{
    for (size_t i = 0; i < r->count; i++)
        reject_done(&r->items[i]);
    free(r->items);
    memset(r, 0, sizeof(*r));
}

static int
rejects_reserve(struct ingest_rejects *r, size_t extra)
{
    size_t need, bytes, cap;
    struct ingest_reject *p;

    if (base_add_size(r->count, extra, &need) < 0)
        return -ENOMEM;
    if (need <= r->cap)
        return 0;
    cap = BASE_MAX(need, r->cap * 2);
    if (base_mul_size(cap, sizeof(*p), &bytes) < 0)
        return -ENOMEM;
    p = realloc(r->items, bytes);
    if (p == NULL)
        return -ENOMEM;
    r->items = p;
    r->cap = cap;
    return 0;
}

int
ingest_rejects_add(struct ingest_rejects *r, const struct ingest_entry *entry, const char *reason,
                   const char *column, uint64_t line, uint64_t offset, const void *raw,
                   uint64_t length, const char *detail, ...)
{
    struct ingest_reject j = {.reason = reason, .line = line, .offset = offset, .length = length};
    va_list ap;
    int n;

    if (rejects_reserve(r, 1) < 0)
        return -ENOMEM;
    va_start(ap, detail);
    n = vasprintf(&j.detail, detail, ap);
    va_end(ap);
    if (n < 0) {
        j.detail = NULL;
        goto oom;
    }
    j.file = strdup(entry ? entry->file : "");
    j.entry = strdup(entry ? entry->chain : "");
    j.column = strdup(column ? column : "");
    if (j.file == NULL || j.entry == NULL || j.column == NULL)
        goto oom;
    if (raw != NULL && length > 0) {
        j.raw_len = (uint32_t)BASE_MIN(length, INGEST_REJECT_RAW_MAX);
        j.raw = malloc(j.raw_len);
        if (j.raw == NULL)
            goto oom;
        memcpy(j.raw, raw, j.raw_len);
    }
    r->items[r->count++] = j;
    return 0;
oom:
    reject_done(&j);
    return -ENOMEM;
}

int
ingest_rejects_move(struct ingest_rejects *dst, struct ingest_rejects *src)
{
    if (src->count == 0)
        return 0;
    if (dst->count == 0) { /* the common case: hand over the array */
        struct ingest_rejects t = *dst;

        *dst = *src;
        *src = t;
        return 0;
    }
    if (rejects_reserve(dst, src->count) < 0)
        return -ENOMEM;
    memcpy(dst->items + dst->count, src->items, src->count * sizeof(*src->items));
    dst->count += src->count;
    src->count = 0;
    return 0;
}
