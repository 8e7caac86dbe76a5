#include "config.h"

#include "tools/ingest/csv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "lib/compiler.h"

void
ingest_csv_begin(struct ingest_csv *c, const void *data, size_t len, char delimiter, char quote)
{
    c->p = len ? data : ""; /* an empty buffer is NULL, which nothing may be added to */
    c->end = c->p + len;
    c->delimiter = delimiter;
    c->quote = quote;
    c->n_cells = 0;
}

void
ingest_csv_done(struct ingest_csv *c)
{
    free(c->cells);
    base_buf_done(&c->scratch);
    memset(c, 0, sizeof(*c));
}

/* The first delimiter, LF or CR from p on, or end. Reads up to 15 bytes behind end. */
static inline const char *
find_stop(const char *p, const char *end, char delimiter)
{
#ifdef __SSE2__
    const __m128i d = _mm_set1_epi8(delimiter), lf = _mm_set1_epi8('\n'), cr = _mm_set1_epi8('\r');

    for (; p < end; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(v, d),
                                   _mm_or_si128(_mm_cmpeq_epi8(v, lf), _mm_cmpeq_epi8(v, cr)));
        int mask = _mm_movemask_epi8(hit);

        if (mask) {
            p += __builtin_ctz((unsigned)mask);
            return p < end ? p : end;
        }
    }
    return end;
#else
    while (p < end && *p != delimiter && *p != '\n' && *p != '\r')
        p++;
    return p;
#endif
}

static int
grow_cells(struct ingest_csv *c)
{
    size_t cap = c->cap ? c->cap * 2 : 64;
    void *p = realloc(c->cells, cap * sizeof(*c->cells));

    if (p == NULL)
        return -ENOMEM;
    c->cells = p;
    c->cap = cap;
    return 0;
}

/* A cell that starts with a quote at c->p; ends at the byte behind its closing quote. Where quotes
 * are doubled the text is put together in scratch, which was made as large as all that is left:
 * it never moves while a record's cells point into it. */
static int
quoted_cell(struct ingest_csv *c, struct ingest_csv_cell *cell)
{
    const char *from = c->p + 1, *q;
    size_t at = c->scratch.len;
    bool doubled = false;

    for (;;) {
        q = memchr(from, c->quote, (size_t)(c->end - from));
        if (q == NULL) {
            c->fault = INGEST_CSV_OPEN;
            q = c->end;
        }
        if (q >= c->end || q + 1 == c->end || q[1] != c->quote)
            break;
        if (!doubled && c->scratch.len == 0 &&
            base_buf_reserve(&c->scratch, (size_t)(c->end - c->p)) < 0)
            return -ENOMEM;
        doubled = true;
        base_buf_put(&c->scratch, from, (size_t)(q + 1 - from));
        from = q + 2;
    }
    if (doubled) {
        base_buf_put(&c->scratch, from, (size_t)(q - from));
        cell->p = (const char *)c->scratch.data + at;
        cell->len = c->scratch.len - at;
    } else {
        cell->p = from;
        cell->len = (size_t)(q - from);
    }
    c->p = q < c->end ? q + 1 : q;
    return 0;
}

static inline bool
at_cell_end(const struct ingest_csv *c)
{
    return c->p >= c->end || *c->p == c->delimiter || *c->p == '\n' || *c->p == '\r';
}

static void
skip_blank_lines(struct ingest_csv *c)
{
    while (c->p < c->end && (*c->p == '\n' || *c->p == '\r'))
        c->p++;
}

int
ingest_csv_next(struct ingest_csv *c)
{
    int r;

    skip_blank_lines(c);
    if (c->p >= c->end)
        return 0;
    c->start = c->p;
    c->n_cells = 0;
    c->fault = INGEST_CSV_FINE;
    base_buf_reset(&c->scratch);
    for (;;) {
        struct ingest_csv_cell *cell;

        if (BASE_UNLIKELY(c->n_cells == c->cap) && (r = grow_cells(c)) < 0)
            return r;
        cell = &c->cells[c->n_cells++];
        cell->quoted = c->p < c->end && *c->p == c->quote;
        if (cell->quoted) {
            r = quoted_cell(c, cell);
            if (r < 0)
                return r;
            if (!at_cell_end(c)) {
                c->fault = INGEST_CSV_AFTER;
                c->p = find_stop(c->p, c->end, c->delimiter);
            }
        } else {
            cell->p = c->p;
            c->p = find_stop(c->p, c->end, c->delimiter);
            cell->len = (size_t)(c->p - cell->p);
        }
        if (c->p >= c->end || *c->p != c->delimiter)
            break;
        c->p++;
    }
    c->stop = c->p;
    if (c->p < c->end)
        c->p += 1 + (c->p[0] == '\r' && c->p + 1 < c->end && c->p[1] == '\n');
    return 1;
}
