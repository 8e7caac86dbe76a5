/* One shard file, byte by byte: [header][gap page | gap piece ...][gap][footer][trailer]. Footer
 * and trailer are checked by fmt_footer_load(); this is the rest. The footer's pages stand in the
 * order of the file and nowhere overlap (fmt_footer_load() sees to that), so that a row group is
 * read front to back in large reads, each byte hashed while it is in the cache, and looked at once.
 */
#include "config.h"

#include "shardfmt/inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/compiler.h"
#include "lib/fail.h"
#include "lib/fs.h"
#include "lib/hash.h"
#include "shardfmt/bits.h"
#include "shardfmt/layout.h"
#include "shardfmt/lengths.h"
#include "shardfmt/open.h"
#include "shardfmt/spooled.h"
#include "shardfmt/stats.h"

#define WINDOW (256u << 10) /* one read: fits into the cache that the hash then finds it in */

bool
fmt_inspect_fatal(int code)
{
    return code == -ENOMEM || code == -EMFILE || code == -ENFILE || code == -EACCES ||
           code == -EPERM;
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

int
fmt_inspect_open(const char *path, int fd, struct fmt_footer *footer, struct fmt_inspect **ret,
                 struct shard_error *err)
{
    struct fmt_inspect *in = calloc(1, sizeof(*in));
    int r;

    if (in == NULL) {
        fmt_footer_free(footer);
        (void)close(fd);
        return base_fail(err, -ENOMEM, "%s", path);
    }
    in->path = path;
    in->fd = fd;
    in->footer = footer;
    r = base_file_size(fd, path, &in->size, err);
    if (r < 0) {
        fmt_inspect_close(in);
        return r;
    }
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    *ret = in;
    return 0;
}

void
fmt_inspect_close(struct fmt_inspect *in)
{
    if (in == NULL)
        return;
    fmt_footer_free(in->footer);
    (void)close(in->fd);
    free(in);
}

void
fmt_inspect_scratch_done(struct fmt_inspect_scratch *s)
{
    base_buf_done(&s->window);
    base_buf_done(&s->chunk);
    fmt_decoded_free(s->decoded);
    fmt_decoded_free(s->index);
    base_buf_done(&s->lengths);
    free(s->stored);
    memset(s, 0, sizeof(*s));
}

/* ------------------------------------------------------------------------------------- the bytes */

/* A range of the file being read front to back. */
struct look {
    const struct fmt_inspect *in;
    struct fmt_inspect_scratch *s;
    struct fmt_findings *found;
    struct shard_error *err;
    uint64_t pos, end;     /* what comes next; of the range */
    uint64_t have0, have1; /* bytes of the file that stand in the window */
};

const char *
fmt_inspect_text(const char *text, const char *path)
{
    const size_t len = strlen(path);

    if (strncmp(text, path, len) == 0 && strncmp(text + len, ": ", 2) == 0)
        return text + len + 2;
    return text;
}

static int
look_begin(struct look *l, uint64_t pos, uint64_t end)
{
    l->pos = pos;
    l->end = end;
    l->have0 = l->have1 = 0;
    if (base_buf_reserve_exact(&l->s->window, WINDOW) < 0)
        return base_fail(l->err, -ENOMEM, "%s", l->in->path);
    return 0;
}

/* The next bytes of the range, at most max: how many. An error says why they cannot be read. */
static int64_t
look_next(struct look *l, uint64_t max, const uint8_t **ret, struct shard_error *err)
{
    uint64_t n;
    int r;

    if (l->pos >= l->have1) {
        n = BASE_MIN(l->end - l->pos, WINDOW);
        r = base_pread_full(l->in->fd, l->s->window.data, (size_t)n, l->pos, l->in->path, err);
        if (r < 0) {
            l->have0 = l->have1 = 0;
            return r;
        }
        l->have0 = l->pos;
        l->have1 = l->pos + n;
    }
    n = BASE_MIN(l->have1 - l->pos, max);
    *ret = l->s->window.data + (l->pos - l->have0);
    l->pos += n;
    return (int64_t)n;
}

static int
note(const struct look *l, const struct fmt_finding *f, const char *reason)
{
    const int r = fmt_findings_add(l->found, f, reason);

    return r < 0 ? base_fail(l->err, r, "%s", l->in->path) : 0;
}

/* The bytes up to `end`, which must be zero. f: what to say where they are not. */
static int
gap_look(struct look *l, uint64_t end, const struct fmt_finding *f)
{
    const uint64_t begin = l->pos;
    struct shard_error e = {0};
    const uint8_t *p;
    char text[128];

    while (l->pos < end) {
        const int64_t n = look_next(l, end - l->pos, &p, &e);
        bool zero = n >= 0;

        for (int64_t i = 0; i < n; i++)
            zero &= p[i] == 0;
        if (zero)
            continue;
        (void)snprintf(text, sizeof(text),
                       "bytes %" PRIu64 " to %" PRIu64 ", between pages, are not zero", begin, end);
        l->pos = end; /* one finding per gap */
        return note(l, f, n < 0 ? fmt_inspect_text(e.text, l->in->path) : text);
    }
    return 0;
}

/* The gap before a page or piece, and its hash. f: what is lost without it. */
static int
page_look(struct look *l, const struct fmt_page *p, struct fmt_finding *f)
{
    const struct fmt_finding gap = {.group = f->group, .column = -1, .page = -1};
    uint64_t left = p->stored_len, hash = 0;
    struct shard_error e = {0};
    const uint8_t *bytes;
    XXH3_state_t st;
    int r = gap_look(l, p->off, &gap);

    XXH3_INITSTATE(&st); /* a reset keeps the secret where the seed that it finds is the same */
    if (r < 0)
        return r;
    l->found->pages++;
    f->off = p->off;
    f->len = p->stored_len;
    if (left == 0)
        hash = base_hash64(NULL, 0, p->off);
    while (left) {
        const int64_t n = look_next(l, left, &bytes, &e);

        if (n < 0) {
            l->pos = p->off + p->stored_len;
            return note(l, f, fmt_inspect_text(e.text, l->in->path));
        }
        if ((uint64_t)n == p->stored_len) { /* whole in the window, as most are */
            hash = base_hash64(bytes, (size_t)n, p->off);
        } else {
            if (left == p->stored_len)
                (void)XXH3_64bits_reset_withSeed(&st, p->off);
            base_hash_update(&st, bytes, (size_t)n);
        }
        left -= (uint64_t)n;
        if (left == 0 && (uint64_t)n != p->stored_len)
            hash = XXH3_64bits_digest(&st);
    }
    return hash == p->hash ? 0 : note(l, f, NULL);
}

uint64_t
fmt_inspect_end(const struct fmt_inspect *in, uint32_t g)
{
    const struct fmt_footer *f = in->footer;
    const uint32_t first = f->chunk_first[(size_t)g * f->n_columns];
    const uint32_t end = f->chunk_first[(size_t)(g + 1) * f->n_columns];
    const struct fmt_page *last = NULL;

    if (end > first)
        last = &f->pages[end - 1];
    else if (f->piece_first[g + 1] > f->piece_first[g])
        last = &f->pieces[f->piece_first[g + 1] - 1];
    for (uint32_t c = f->n_columns; f->n_lengths && c-- > 0;) {
        const struct fmt_page *p = fmt_lengths_find(f, g, c);

        if (p) {
            last = p;
            break;
        }
    }
    return last ? last->off + last->stored_len : 0;
}

/* Where row group g begins; n_groups: where the last one ended. Groups without bytes have none. */
static uint64_t
group_begin(const struct fmt_inspect *in, uint32_t g)
{
    while (g-- > 0) {
        const uint64_t end = fmt_inspect_end(in, g);

        if (end)
            return end;
    }
    return FMT_HEADER_SIZE;
}

static int
chunk_look(struct look *l, uint32_t group, uint32_t column)
{
    const struct fmt_footer *f = l->in->footer;
    const size_t chunk = (size_t)group * f->n_columns + column;
    const uint32_t first = f->chunk_first[chunk], end = f->chunk_first[chunk + 1];
    uint64_t row0 = 0;
    int r = 0;

    for (uint32_t i = first; r >= 0 && i < end; i++) {
        const struct fmt_page *p = &f->pages[i];
        struct fmt_finding item = {.group = group,
                                   .column = column,
                                   .page = i - first,
                                   .row0 = row0,
                                   .rows_lost = p->n_rows};

        r = page_look(l, p, &item);
        row0 += p->n_rows;
    }
    return r;
}

int
fmt_inspect_group(const struct fmt_inspect *in, uint32_t group, struct fmt_inspect_scratch *s,
                  struct fmt_findings *ret, struct shard_error *err)
{
    const struct fmt_footer *f = in->footer;
    struct look l = {.in = in, .s = s, .found = ret, .err = err};
    const uint64_t end = fmt_inspect_end(in, group);
    int r;

    if (end == 0)
        return 0;
    r = look_begin(&l, group_begin(in, group), end);
    ret->bytes += end - l.pos;
    for (uint32_t i = f->piece_first[group]; r >= 0 && i < f->piece_first[group + 1]; i++) {
        struct fmt_finding item = {
            .group = group, .column = -1, .page = -1, .rows_lost = f->group_rows[group]};

        r = page_look(&l, &f->pieces[i], &item);
    }
    for (uint32_t c = 0; r >= 0 && c < f->n_columns; c++)
        r = chunk_look(&l, group, c);
    for (uint32_t c = 0; r >= 0 && f->n_lengths && c < f->n_columns; c++) {
        const struct fmt_page *p = fmt_lengths_find(f, group, c);
        struct fmt_finding item = {.group = group, .column = c, .page = -1};

        if (p) /* no rows are lost without it */
            r = page_look(&l, p, &item);
    }
    return r;
}

int
fmt_inspect_header(const struct fmt_inspect *in, struct fmt_findings *ret, struct shard_error *err)
{
    const struct fmt_finding f = {.group = -1, .column = -1, .page = -1};
    uint8_t header[FMT_HEADER_SIZE];
    struct shard_error e = {0};
    int r;

    r = base_pread_full(in->fd, header, sizeof(header), 0, in->path, &e);
    if (r >= 0 && memcmp(header, in->footer->header, sizeof(header)) == 0)
        return 0;
    r = fmt_findings_add(ret, &f,
                         r < 0 ? fmt_inspect_text(e.text, in->path)
                               : "the header is not the one that belongs to the footer");
    return r < 0 ? base_fail(err, r, "%s", in->path) : 0;
}

int
fmt_inspect_rest(const struct fmt_inspect *in, struct fmt_inspect_scratch *s,
                 struct fmt_findings *ret, struct shard_error *err)
{
    const struct fmt_finding gap = {.group = -1, .column = -1, .page = -1};
    struct look l = {.in = in, .s = s, .found = ret, .err = err};
    int r = fmt_inspect_header(in, ret, err);

    if (r >= 0)
        r = look_begin(&l, group_begin(in, in->footer->n_groups), in->footer->footer_off);
    ret->bytes += FMT_HEADER_SIZE + (in->size - l.pos); /* the footer was checked when it was loaded */
    return r < 0 ? r : gap_look(&l, l.end, &gap);
}

/* ------------------------------------------------------------------------------------- decoding */

int
fmt_inspect_chunk(const struct fmt_inspect *in, uint32_t group, uint32_t column,
                  struct base_codec *codec, struct fmt_inspect_scratch *s, struct fmt_decoded *d,
                  struct shard_array *ret_array, struct shard_error *err)
{
    const struct fmt_footer *f = in->footer;
    const uint32_t *const first = &f->chunk_first[(size_t)group * f->n_columns + column];
    const uint32_t n_pages = first[1] - first[0];
    struct fmt_file file = {in->fd, in->path};
    uint64_t off, len;
    int r;

    fmt_chunk_extent(f, group, column, &off, &len);
    base_buf_reset(&s->chunk);
    if (base_buf_reserve(&s->chunk, (size_t)len) < 0)
        return base_fail(err, -ENOMEM, "%s: %" PRIu64 " bytes", in->path, len);
    if (n_pages > s->cap_stored) {
        const uint8_t **p = reallocarray(s->stored, n_pages, sizeof(*p));

        if (p == NULL)
            return base_fail(err, -ENOMEM, "%s: %" PRIu32 " pages", in->path, n_pages);
        s->stored = p;
        s->cap_stored = n_pages;
    }
    r = base_pread_full(in->fd, s->chunk.data, (size_t)len, off, in->path, err);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < n_pages; i++)
        s->stored[i] = s->chunk.data + (f->pages[first[0] + i].off - off);
    return fmt_chunk_decode(f, group, column, s->stored, codec, fmt_file_read, &file, in->path, d,
                            ret_array, err);
}

/* Whether something was found in the column, or in the pieces, which belong to any column. */
static bool
column_known_bad(const struct fmt_findings *found, uint32_t group, uint32_t column)
{
    for (size_t i = 0; i < found->count; i++) {
        const struct fmt_finding *f = &found->items[i];

        if (f->group == group && f->rows_lost && (f->column < 0 || f->column == column))
            return true;
    }
    return false;
}

/* A large value, which is not decoded into the array: piece by piece, into `to` or (NULL) to see
 * whether that can be done. */
static int
far_unpack(const struct fmt_inspect *in, uint32_t group, const struct shard_far *far,
           struct base_codec *codec, struct fmt_inspect_scratch *s, struct fmt_spooled *to,
           struct shard_error *err)
{
    const struct fmt_footer *f = in->footer;
    const struct fmt_page *p = &f->pieces[f->piece_first[group] + far->first_piece];
    struct base_buf raw = {0};
    int r = 0;

    for (uint32_t i = 0; i < far->n_pieces && r == 0; i++, p++) {
        base_buf_reset(&s->chunk);
        if (base_buf_reserve(&s->chunk, p->stored_len) < 0)
            r = base_fail(err, -ENOMEM, "%s", in->path);
        if (r == 0)
            r = base_pread_full(in->fd, s->chunk.data, p->stored_len, p->off, in->path, err);
        if (r == 0)
            r = fmt_page_unpack(p, s->chunk.data, codec, NULL, &raw, err);
        if (r == 0 && to)
            r = fmt_spooled_put(to, raw.data, p->raw_len, err);
    }
    base_buf_done(&raw);
    return r;
}

int
fmt_inspect_far(const struct fmt_inspect *in, uint32_t group, uint32_t column, int dirfd,
                int zstd_level, struct base_codec *codec, struct fmt_inspect_scratch *s,
                struct fmt_decoded *d, const struct shard_array *a, struct shard_error *err)
{
    const char *name = in->footer->schema.fields[column].name;
    int r = 0;

    for (uint32_t i = 0; i < a->n_far && r == 0; i++) {
        struct fmt_spooled *value = NULL;

        r = fmt_spooled_new(dirfd, name, zstd_level, &value, err);
        if (r == 0)
            r = far_unpack(in, group, &a->far[i], codec, s, value, err);
        if (r == 0)
            r = fmt_spooled_end(value, err);
        if (r == 0)
            fmt_decoded_set_source(d, i, value);
        else
            fmt_spooled_unref(value);
    }
    return r;
}

static bool
bits_equal(const uint8_t *a, const uint8_t *b, uint64_t n)
{
    return a && b ? memcmp(a, b, fmt_bits_bytes(n)) == 0 : a == b; /* NULL: no nulls */
}

/* Whether the length index of a chunk says what the column holds. */
static int
index_check(const struct fmt_inspect *in, uint32_t group, uint32_t column, struct base_codec *codec,
            struct fmt_inspect_scratch *s, const struct shard_array *a, struct shard_error *err)
{
    const struct fmt_page *p = fmt_lengths_find(in->footer, group, column);
    struct shard_array have, want;
    int r;

    if (p == NULL)
        return 0;
    if (a->offsets == NULL)
        return base_fail(err, SHARD_ECORRUPT, "a length index of a column without lengths");
    r = s->index ? 0 : fmt_decoded_new(&s->index);
    base_buf_reset(&s->chunk);
    if (r < 0 || base_buf_reserve(&s->chunk, p->stored_len) < 0)
        return base_fail(err, -ENOMEM, "%s", in->path);
    r = base_pread_full(in->fd, s->chunk.data, p->stored_len, p->off, in->path, err);
    if (r == 0)
        r = fmt_lengths_decode(in->footer, group, column, s->chunk.data, codec, in->path, s->index,
                               &have, err);
    if (r < 0)
        return r == SHARD_ECHECKSUM ? 0 : r; /* the hash was looked at */
    r = fmt_lengths_of(a, &s->lengths, &want);
    if (r < 0)
        return base_fail(err, r, "%s", in->path);
    if (bits_equal(have.validity, want.validity, a->n_rows) &&
        (a->n_rows == 0 || memcmp(have.values, want.values, a->n_rows * sizeof(uint32_t)) == 0))
        return 0;
    return base_fail(err, SHARD_ECORRUPT, "the length index has not the lengths of the column");
}

/* Whether the statistics of a chunk are those of its values. How many are distinct is an estimate. */
static int
stats_check(const struct fmt_inspect *in, uint32_t group, uint32_t column,
            const struct shard_array *a, struct shard_error *err)
{
    const struct fmt_footer *f = in->footer;
    const struct fmt_chunk_stats *have;
    struct fmt_chunk_stats want;

    if (f->stats == NULL || a->n_far)
        return 0; /* values that are not here have no place in a minimum */
    have = &f->stats[(size_t)group * f->n_columns + column];
    fmt_stats_compute(a, &want);
    if (have->flags & ~FMT_STATS_KNOWN ||
        (have->n_nulls == want.n_nulls && have->raw_bytes == want.raw_bytes &&
         have->flags == want.flags && memcmp(have->min, want.min, sizeof(want.min)) == 0 &&
         memcmp(have->max, want.max, sizeof(want.max)) == 0))
        return 0;
    return base_fail(err, SHARD_ECORRUPT, "the statistics are not those of the values");
}

int
fmt_inspect_decode(const struct fmt_inspect *in, uint32_t group, struct base_codec *codec,
                   struct fmt_inspect_scratch *s, struct fmt_findings *ret, struct shard_error *err)
{
    struct shard_array array;
    int r = s->decoded ? 0 : fmt_decoded_new(&s->decoded);

    if (r < 0)
        return base_fail(err, r, "%s", in->path);
    fmt_decoded_set_far(s->decoded, FMT_INLINE_MAX);
    for (uint32_t c = 0; c < in->footer->n_columns; c++) {
        const struct fmt_finding f = {.group = group,
                                      .column = c,
                                      .page = -1,
                                      .rows_lost = in->footer->group_rows[group]};
        struct shard_error e = {0};

        if (column_known_bad(ret, group, c))
            continue;
        r = fmt_inspect_chunk(in, group, c, codec, s, s->decoded, &array, &e);
        for (uint32_t i = 0; r >= 0 && i < array.n_far; i++)
            r = far_unpack(in, group, &array.far[i], codec, s, NULL, &e);
        if (r == 0)
            r = stats_check(in, group, c, &array, &e);
        if (r == 0)
            r = index_check(in, group, c, codec, s, &array, &e);
        if (fmt_inspect_fatal(r))
            return base_fail(err, r, "%s", in->path);
        /* An encoding of a newer version, or a column too long for one array, is no damage: the
         * bytes are those that were written. */
        if (r >= 0 || r == SHARD_EUNSUPPORTED || r == SHARD_ELIMIT)
            continue;
        if (fmt_findings_add(ret, &f, fmt_inspect_text(e.text, in->path)) < 0)
            return base_fail(err, -ENOMEM, "%s", in->path);
    }
    return 0;
}
