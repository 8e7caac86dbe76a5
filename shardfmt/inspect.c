/* One shard file, byte by byte: [header][gap page | gap piece ...][gap][footer][trailer]. Footer
 * and trailer are checked by fmt_footer_load(); this is the rest. */
#include "config.h"

#include "shardfmt/inspect.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/endian.h"
#include "lib/fail.h"
#include "lib/fs.h"
#include "shardfmt/layout.h"

#define GAP_READ (64u << 10) /* bytes between pages that are looked at in one go */

bool
fmt_inspect_fatal(int code)
{
    return code == -ENOMEM || code == -EMFILE || code == -ENFILE;
}

/* ------------------------------------------------------------------------------------- findings */

void
fmt_findings_reset(struct fmt_findings *f)
{
    for (size_t i = 0; i < f->count; i++)
        free(f->items[i].reason);
    f->count = 0;
    f->pages = 0;
    f->bytes = 0;
}

void
fmt_findings_done(struct fmt_findings *f)
{
    fmt_findings_reset(f);
    free(f->items);
    memset(f, 0, sizeof(*f));
}

int
fmt_findings_add(struct fmt_findings *f, const struct fmt_finding *item, const char *reason)
{
    struct fmt_finding *to;

    if (f->count == f->cap) {
        const size_t cap = f->cap ? f->cap * 2 : 8;
        struct fmt_finding *p = reallocarray(f->items, cap, sizeof(*p));

        if (p == NULL)
            return -ENOMEM;
        f->items = p;
        f->cap = cap;
    }
    to = &f->items[f->count];
    *to = *item;
    to->reason = reason ? strdup(reason) : NULL;
    if (reason && to->reason == NULL)
        return -ENOMEM;
    f->count++;
    return 0;
}

/* -------------------------------------------------------------------------------------- opening */

static int
extent_compare(const void *a, const void *b)
{
    const struct fmt_extent *x = a, *y = b;

    return x->off < y->off ? -1 : x->off > y->off;
}

static void
extents_fill(struct fmt_inspect *in)
{
    const struct fmt_footer *f = in->footer;
    struct fmt_extent *e = in->extents;

    for (uint32_t g = 0; g < f->n_groups; g++) {
        const uint32_t first = f->chunk_first[(size_t)g * f->n_columns];
        const uint32_t end = f->chunk_first[(size_t)(g + 1) * f->n_columns];

        for (uint32_t p = f->piece_first[g]; p < f->piece_first[g + 1]; p++)
            *e++ = (struct fmt_extent){f->pieces[p].off, f->pieces[p].stored_len, g};
        for (uint32_t p = first; p < end; p++)
            *e++ = (struct fmt_extent){f->pages[p].off, f->pages[p].stored_len, g};
    }
    in->n_extents = (size_t)(e - in->extents);
    for (size_t i = 0; i < in->n_extents; i++)
        in->n_page_bytes += in->extents[i].len;
    if (in->n_extents)
        qsort(in->extents, in->n_extents, sizeof(*in->extents), extent_compare);
}

/* Where the footer begins: the trailer, which fmt_footer_load() has checked, knows its length. */
static int
footer_begin(struct fmt_inspect *in, struct shard_error *err)
{
    uint8_t trailer[FMT_TRAILER_SIZE];
    uint64_t size, len;
    int r = base_file_size(in->fd, in->path, &size, err);

    if (r < 0)
        return r;
    in->size = size;
    if (size < FMT_HEADER_SIZE + FMT_TRAILER_SIZE)
        return base_fail(err, SHARD_ETRUNC, "%s: %" PRIu64 " bytes", in->path, size);
    r = base_pread_full(in->fd, trailer, sizeof(trailer), size - FMT_TRAILER_SIZE, in->path, err);
    if (r < 0)
        return r;
    len = base_load_le32(trailer + 8);
    if (len > size - FMT_HEADER_SIZE - FMT_TRAILER_SIZE)
        return base_fail(err, SHARD_ETRUNC, "%s: a footer of %" PRIu64 " bytes", in->path, len);
    in->end = size - FMT_TRAILER_SIZE - len;
    return 0;
}

int
fmt_inspect_open(const char *path, int fd, struct fmt_footer *footer, struct fmt_inspect **ret,
                 struct shard_error *err)
{
    struct fmt_inspect *in = calloc(1, sizeof(*in));
    size_t n;
    int r;

    if (in == NULL) {
        fmt_footer_free(footer);
        (void)close(fd);
        return base_fail(err, -ENOMEM, "%s", path);
    }
    in->path = path;
    in->fd = fd;
    in->footer = footer;
    n = (size_t)footer->n_pages + footer->n_pieces;
    in->extents = calloc(n ? n : 1, sizeof(*in->extents));
    r = in->extents ? footer_begin(in, err) : base_fail(err, -ENOMEM, "%s: %zu pages", path, n);
    if (r < 0) {
        fmt_inspect_close(in);
        return r;
    }
    extents_fill(in);
    *ret = in;
    return 0;
}

void
fmt_inspect_close(struct fmt_inspect *in)
{
    if (in == NULL)
        return;
    free(in->extents);
    fmt_footer_free(in->footer);
    (void)close(in->fd);
    free(in);
}

void
fmt_inspect_scratch_done(struct fmt_inspect_scratch *s)
{
    base_buf_done(&s->buf);
    fmt_decoded_free(s->decoded);
    free(s->stored);
    memset(s, 0, sizeof(*s));
}

/* ------------------------------------------------------------------------------------ row groups
 */

/* One row group being looked at. */
struct look {
    const struct fmt_inspect *in;
    uint32_t group;
    struct fmt_inspect_scratch *s;
    struct base_codec *codec;
    struct fmt_findings *found;
    struct shard_error *err;
    bool bad_piece;
};

/* A message without the "path: " that callers put in front of it again. */
static const char *
without_path(const char *text, const char *path)
{
    const size_t len = strlen(path);

    if (strncmp(text, path, len) == 0 && strncmp(text + len, ": ", 2) == 0)
        return text + len + 2;
    return text;
}

/* Note what is wrong; reason NULL: the checksum of these bytes. */
static int
note(const struct look *l, int64_t column, int64_t page, uint64_t off, uint64_t len,
     const char *reason)
{
    const struct fmt_finding f = {.group = l->group,
                                  .column = column,
                                  .page = page,
                                  .rows_lost = l->in->footer->group_rows[l->group],
                                  .off = off,
                                  .len = len};
    const int r = fmt_findings_add(l->found, &f, reason);

    return r < 0 ? base_fail(l->err, r, "%s", l->in->path) : 0;
}

/* How fmt_chunk_decode() gets out-of-line values. */
struct piece_reader {
    int fd;
    const char *path;
};

static int
piece_read(void *arg, uint64_t off, void *buf, size_t len, struct shard_error *err)
{
    const struct piece_reader *p = arg;

    return base_pread_full(p->fd, buf, len, off, p->path, err);
}

/* Read bytes into the scratch buffer; 1 = done, 0 = noted as damage. */
static int
bytes_read(const struct look *l, int64_t column, uint64_t off, uint64_t len)
{
    struct shard_error e = {0};
    int r;

    base_buf_reset(&l->s->buf);
    if (base_buf_reserve(&l->s->buf, (size_t)len) < 0)
        return base_fail(l->err, -ENOMEM, "%s: %" PRIu64 " bytes", l->in->path, len);
    r = base_pread_full(l->in->fd, l->s->buf.data, (size_t)len, off, l->in->path, &e);
    if (r < 0) {
        r = note(l, column, -1, off, len, without_path(e.text, l->in->path));
        return r < 0 ? r : 0;
    }
    return 1;
}

static int
pieces_look(struct look *l)
{
    const struct fmt_footer *f = l->in->footer;

    for (uint32_t i = f->piece_first[l->group]; i < f->piece_first[l->group + 1]; i++) {
        const struct fmt_page *p = &f->pieces[i];
        int r;

        l->found->pages++;
        l->found->bytes += p->stored_len;
        r = bytes_read(l, -1, p->off, p->stored_len);
        if (r < 0)
            return r;
        if (r > 0 && base_hash64(l->s->buf.data, p->stored_len, p->off) == p->hash)
            continue;
        l->bad_piece = true;
        if (r > 0 && note(l, -1, -1, p->off, p->stored_len, NULL) < 0)
            return -ENOMEM;
    }
    return 0;
}

/* The pages of the chunk stand in the buffer and have the right bytes: do they decode? */
static int
chunk_decode_look(struct look *l, uint32_t column)
{
    const struct fmt_footer *f = l->in->footer;
    struct piece_reader reader = {l->in->fd, l->in->path};
    struct shard_error e = {0};
    struct shard_array array;
    char text[128];
    int r;

    if (l->s->decoded == NULL) {
        r = fmt_decoded_new(&l->s->decoded);
        if (r < 0)
            return base_fail(l->err, r, "%s", l->in->path);
    }
    r = fmt_chunk_decode(f, l->group, column, l->s->stored, l->codec, piece_read, &reader,
                         l->in->path, l->s->decoded, &array, &e);
    /* An encoding of a newer version, or a column too long for one array, is no damage: the bytes
     * are those that were written. */
    if (r == SHARD_EUNSUPPORTED || r == SHARD_ELIMIT || (r == SHARD_ECHECKSUM && l->bad_piece))
        return 0;
    if (fmt_inspect_fatal(r))
        return base_fail(l->err, r, "%s", l->in->path);
    if (r < 0)
        return note(l, column, -1, 0, 0, without_path(e.text, l->in->path));
    if (array.n_rows != f->group_rows[l->group]) {
        (void)snprintf(text, sizeof(text),
                       "%" PRIu64 " rows in the pages, %" PRIu32 " in the footer", array.n_rows,
                       f->group_rows[l->group]);
        return note(l, column, -1, 0, 0, text);
    }
    return 0;
}

static int
chunk_look(struct look *l, uint32_t column)
{
    const struct fmt_footer *f = l->in->footer;
    const uint32_t *const first = &f->chunk_first[(size_t)l->group * f->n_columns + column];
    const uint32_t n_pages = first[1] - first[0];
    uint64_t off, len;
    bool good = true;
    int r;

    fmt_chunk_extent(f, l->group, column, &off, &len);
    l->found->pages += n_pages;
    r = bytes_read(l, column, off, len);
    if (r <= 0)
        return r;
    if (n_pages > l->s->cap_stored) {
        const uint8_t **p = reallocarray(l->s->stored, n_pages, sizeof(*p));

        if (p == NULL)
            return base_fail(l->err, -ENOMEM, "%s: %" PRIu32 " pages", l->in->path, n_pages);
        l->s->stored = p;
        l->s->cap_stored = n_pages;
    }
    for (uint32_t i = 0; i < n_pages; i++) {
        const struct fmt_page *p = &f->pages[first[0] + i];

        l->found->bytes += p->stored_len;
        l->s->stored[i] = l->s->buf.data + (p->off - off);
        if (base_hash64(l->s->stored[i], p->stored_len, p->off) == p->hash)
            continue;
        good = false;
        r = note(l, column, i, p->off, p->stored_len, NULL);
        if (r < 0)
            return r;
    }
    return good ? chunk_decode_look(l, column) : 0;
}

int
fmt_inspect_group(const struct fmt_inspect *in, uint32_t group, struct base_codec *codec,
                  struct fmt_inspect_scratch *s, struct fmt_findings *ret, struct shard_error *err)
{
    struct look l = {.in = in, .group = group, .s = s, .codec = codec, .found = ret, .err = err};
    int r = in->footer->n_pieces ? pieces_look(&l) : 0;

    for (uint32_t c = 0; r >= 0 && c < in->footer->n_columns; c++)
        r = chunk_look(&l, c);
    return r < 0 ? r : 0;
}

/* ------------------------------------------------------------------------------------------ gaps
 */

static bool
all_zero(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (p[i])
            return false;
    return true;
}

/* Look at [off, end), which must be zero, before the extent `next` or the footer (NULL). */
static int
gap_look(const struct look *l, uint64_t off, uint64_t end, const struct fmt_extent *next)
{
    struct fmt_finding f = {.group = next ? (int64_t)next->group : -1, .column = -1, .page = -1};
    char text[128];
    int r;

    while (off < end) {
        const uint64_t len = end - off < GAP_READ ? end - off : GAP_READ;
        struct shard_error e = {0};

        base_buf_reset(&l->s->buf);
        if (base_buf_reserve(&l->s->buf, (size_t)len) < 0)
            return base_fail(l->err, -ENOMEM, "%s", l->in->path);
        r = base_pread_full(l->in->fd, l->s->buf.data, (size_t)len, off, l->in->path, &e);
        if (r >= 0 && all_zero(l->s->buf.data, (size_t)len)) {
            off += len;
            continue;
        }
        (void)snprintf(text, sizeof(text),
                       "bytes %" PRIu64 " to %" PRIu64 ", between pages, are "
                       "not zero",
                       off, off + len);
        r = fmt_findings_add(l->found, &f, r < 0 ? without_path(e.text, l->in->path) : text);
        return r < 0 ? base_fail(l->err, r, "%s", l->in->path) : 0; /* one finding per gap */
    }
    return 0;
}

/* The header: nobody reads it to read the file, so nobody would notice. */
static int
header_look(const struct look *l)
{
    const struct fmt_finding f = {.group = -1, .column = -1, .page = -1};
    uint8_t header[FMT_HEADER_SIZE];
    struct shard_error e = {0};
    int r;

    r = base_pread_full(l->in->fd, header, sizeof(header), 0, l->in->path, &e);
    if (r >= 0 && memcmp(header, l->in->footer->header, sizeof(header)) == 0)
        return 0;
    r = fmt_findings_add(l->found, &f,
                         r < 0 ? without_path(e.text, l->in->path)
                               : "the header is not the one that belongs to the footer");
    return r < 0 ? base_fail(l->err, r, "%s", l->in->path) : 0;
}

int
fmt_inspect_gaps(const struct fmt_inspect *in, struct fmt_inspect_scratch *s,
                 struct fmt_findings *ret, struct shard_error *err)
{
    const struct look l = {.in = in, .s = s, .found = ret, .err = err};
    uint64_t pos = FMT_HEADER_SIZE;
    char text[128];
    int r = 0;

    ret->bytes += in->size - in->n_page_bytes; /* the footer was checked when it was loaded */
    r = header_look(&l);
    for (size_t i = 0; r >= 0 && i < in->n_extents; i++) {
        const struct fmt_extent *e = &in->extents[i];
        const struct fmt_finding f = {.group = e->group, .column = -1, .page = -1};

        if (e->off < pos || e->off > in->end || e->len > in->end - e->off) {
            (void)snprintf(text, sizeof(text),
                           "the page at byte %" PRIu64 " overlaps another one "
                           "or the footer",
                           e->off);
            r = fmt_findings_add(ret, &f, text);
            return r < 0 ? base_fail(err, r, "%s", in->path) : 0;
        }
        r = gap_look(&l, pos, e->off, e);
        pos = e->off + e->len;
    }
    return r < 0 ? r : gap_look(&l, pos, in->end, NULL);
}
