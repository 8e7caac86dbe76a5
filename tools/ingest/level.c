/* The stack of streams and libarchive readers: see level.h for the picture.
 *
 * libarchive is asked for exactly the one filter or format that our sniffing found, never for
 * all it knows, and never for one that would start a program. Compressed streams are appended by
 * name rather than bid for, so that levels are counted by us and not nested inside libarchive. */
#include "config.h"

#include "tools/ingest/level.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/compiler.h"
#include "lib/endian.h"
#include "lib/fail.h"
#include "tools/ingest/crc32.h"
#include "tools/ingest/entry.h"

#define ROCK_RIDGE_IS_SAFE  3008008    /* libarchive 3.8.8 */
#define RATIO_FLOOR         (64u << 20) /* bytes unpacked below which no ratio is too high */
#define DEFAULT_RATIO       2000u
#define DEFAULT_ENTRY_BYTES (UINT64_C(1) << 40)
#define DEFAULT_SEEK_BYTES  (32u << 20)

/* ---------------------------------------------------------------------------------- errors */

static void
stack_out_of_memory(struct ingest_stack *s)
{
    if (s->error == 0)
        s->error = base_fail(&s->error_text, -ENOMEM, "%s", s->file_name);
}

void
ingest_stack_break(struct ingest_stack *s, uint32_t i, const char *reason, uint64_t offset,
                   const char *detail, ...)
{
    struct ingest_stream *st = &s->streams[i];
    struct ingest_entry *e = NULL;
    char *text = NULL, *clean = NULL;
    uint64_t lost = 0;
    va_list ap;
    int n;

    st->ended = st->broken = true;
    va_start(ap, detail);
    n = vasprintf(&text, detail, ap);
    va_end(ap);
    if (n < 0)
        text = NULL;
    e = ingest_entry_new(s->file_name, st->chain ? st->chain : "", "", -1, false);
    clean = text ? ingest_name_clean(text) : NULL;
    if (st->size > 0 && (uint64_t)st->size > offset)
        lost = (uint64_t)st->size - offset;
    if (e == NULL || clean == NULL ||
        ingest_rejects_add(s->rejects, e, reason, NULL, 0, offset, NULL, lost, "%s", clean) < 0)
        stack_out_of_memory(s);
    ingest_entry_unref(e);
    free(clean);
    free(text);
}

char *
ingest_level_error(const struct ingest_level *l)
{
    const char *text = archive_error_string(l->a);
    char *line = text ? strndup(text, strcspn(text, "\n")) : NULL;
    char *clean = line ? ingest_name_clean(line) : NULL, *out = NULL;

    if (asprintf(&out, "%s: %s", ingest_kind_name(l->kind),
                 clean ? clean : "ends too early or is damaged") < 0)
        out = NULL;
    free(clean);
    free(line);
    return out;
}

const char *
ingest_level_reason(const char *text)
{
    return text != NULL && (strcasestr(text, "encrypt") || strcasestr(text, "passphrase"))
               ? INGEST_BAD_ENCRYPTED
               : INGEST_BAD_ARCHIVE;
}

/* ------------------------------------------------------------------------------- the limits */

/* More than a file of its size can honestly hold? Every level's output is compared on its own, as
 * the same bytes pass through several. */
static bool
over_ratio(const struct ingest_stack *s, const struct ingest_level *l)
{
    const uint64_t ratio = s->opts->max_ratio ? s->opts->max_ratio : DEFAULT_RATIO;

    return l->out_bytes > RATIO_FLOOR && l->out_bytes / ratio > s->counts->bytes_raw;
}

static void
check_limits(struct ingest_stack *s, uint32_t i, uint64_t got)
{
    const uint64_t max = s->opts->max_entry_bytes ? s->opts->max_entry_bytes : DEFAULT_ENTRY_BYTES;
    struct ingest_level *l = &s->levels[i];
    struct ingest_stream *st = &s->streams[i];

    l->out_bytes += got;
    if (over_ratio(s, l)) {
        ingest_stack_break(s, i, INGEST_BAD_LIMIT, st->pos,
                           "unpacks to more than %" PRIu64 " times its size: this looks like a "
                           "bomb, so the rest of %s is not read",
                           s->opts->max_ratio ? s->opts->max_ratio : DEFAULT_RATIO, s->file_name);
        s->stopped = true;
    } else if (st->filled > max) {
        ingest_stack_break(s, i, INGEST_BAD_LIMIT, st->pos,
                           "entry of more than %" PRIu64 " bytes", max);
    }
}

/* --------------------------------------------------------------------- stream 0: the file */

static void
file_failed(struct ingest_stack *s, int error)
{
    if (s->error == 0)
        s->error = base_fail(&s->error_text, -error, "cannot read %s", s->file_path);
}

static void
file_fill(struct ingest_stack *s)
{
    struct ingest_stream *st = &s->streams[0];
    ssize_t n;

    if (s->io == NULL)
        s->io = malloc(INGEST_IO_BYTES);
    if (s->io == NULL) {
        stack_out_of_memory(s);
        st->ended = st->broken = true;
        return;
    }
    do
        n = s->regular ? pread(s->fd, s->io, INGEST_IO_BYTES, (off_t)s->file_read)
                       : read(s->fd, s->io, INGEST_IO_BYTES);
    while (n < 0 && errno == EINTR);
    if (n <= 0) {
        if (n < 0)
            file_failed(s, errno);
        st->ended = true;
        st->broken = n < 0;
        return;
    }
    base_hash_update(s->hash, s->io, (size_t)n);
    s->file_read += (uint64_t)n;
    s->counts->bytes_raw += (uint64_t)n;
    st->filled += (uint64_t)n;
    st->blk = s->io;
    st->blk_len = (size_t)n;
}

/* ------------------------------------------------------------------------ what gzip forgets */

/* libarchive reads a gzip stream but checks neither CRC nor length (as of 3.8), so the level keeps
 * both. Exact for a stream of one member; where several are concatenated, libarchive does not tell
 * their borders, and only each one's deflate data are checked. */
static void
gzip_see_input(struct ingest_level *l, const uint8_t *p, size_t len)
{
    const uint8_t *q = p, *hit;

    while ((hit = memmem(q, len - (size_t)(q - p), "\x1f\x8b\x08", 3)) != NULL) {
        l->n_members++;
        q = hit + 1;
    }
    /* A header across the border of two blocks. */
    if (l->in_bytes >= 2 && len > 0) {
        uint8_t edge[4];

        memcpy(edge, l->tail + 6, 2);
        memcpy(edge + 2, p, BASE_MIN(len, 2u));
        if (memmem(edge, 2 + BASE_MIN(len, 2u), "\x1f\x8b\x08", 3) != NULL)
            l->n_members++;
    }
}

static bool
gzip_is_right(const struct ingest_level *l, uint64_t consumed)
{
    const uint64_t last0 = l->in_bytes - l->last_len;
    uint8_t trailer[8];
    uint32_t crc, isize;

    for (unsigned k = 0; k < 8; k++) { /* the 8 bytes before `consumed`, from tail and last */
        const uint64_t at = consumed - 8 + k;

        if (consumed < 18 || at >= l->in_bytes || at + 8 < last0)
            return consumed >= 18; /* out of sight: padding of many blocks followed */
        trailer[k] = at >= last0 ? l->last[at - last0] : l->tail[8 - (last0 - at)];
    }
    crc = base_load_le32(trailer);
    isize = base_load_le32(trailer + 4);
    if (isize == (uint32_t)l->out_bytes && crc == l->crc)
        return true;
    return isize != (uint32_t)l->out_bytes && l->n_members > 1;
}

static bool
all_zero(const uint8_t *p, size_t len)
{
    return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

/* A compressed stream came to its end: is nothing but padding behind it? Its own bytes are fine
 * either way. */
static void
filter_check_rest(struct ingest_stack *s, uint32_t i, uint64_t consumed)
{
    struct ingest_level *l = &s->levels[i];
    struct ingest_stream *st = &s->streams[i];
    const uint64_t left = l->in_bytes - BASE_MIN(consumed, l->in_bytes);
    bool padding = left == 0 || (left <= l->last_len &&
                                 all_zero(l->last + (l->last_len - left), (size_t)left));
    uint64_t extra = left;
    const uint8_t *p;
    size_t n;

    while ((n = ingest_stream_take(s, i - 1, SIZE_MAX, &p)) > 0) {
        padding = padding && all_zero(p, n);
        extra += n;
    }
    if (padding || s->streams[i - 1].broken)
        return;
    if (l->kind == INGEST_KIND_LZIP && l->out_bytes == 0 && extra == 20)
        return; /* libarchive leaves the trailer of an empty member unread */
    ingest_stack_break(s, i, INGEST_BAD_ARCHIVE, st->filled,
                       "%s: %" PRIu64 " bytes behind its end are something else",
                       ingest_kind_name(l->kind), extra);
    st->broken = false;
}

static void
filter_check_end(struct ingest_stack *s, uint32_t i)
{
    struct ingest_level *l = &s->levels[i];
    const uint64_t consumed = (uint64_t)archive_filter_bytes(l->a, -1);

    if (l->kind == INGEST_KIND_GZIP && !gzip_is_right(l, consumed))
        ingest_stack_break(s, i, INGEST_BAD_ARCHIVE, s->streams[i].filled,
                           "gzip: the checksum does not match what was unpacked");
    else
        filter_check_rest(s, i, consumed);
}

/* ------------------------------------------------------------- streams 1..: archive entries */

static void
level_data_failed(struct ingest_stack *s, uint32_t i)
{
    struct ingest_level *l = &s->levels[i];
    struct ingest_stream *st = &s->streams[i];
    char *text;

    st->ended = st->broken = true;
    if (s->streams[i - 1].broken || s->error < 0) /* it was said further down */
        return;
    text = ingest_level_error(l);
    ingest_stack_break(s, i, ingest_level_reason(text), st->filled, "%s", text ? text : "");
    free(text);
}

/* The block that libarchive gave, with the hole in front of it. */
static void
level_got(struct ingest_stack *s, uint32_t i, const void *p, size_t n, int64_t off)
{
    struct ingest_stream *st = &s->streams[i];

    if (off < 0 || (uint64_t)off < st->filled) {
        ingest_stack_break(s, i, INGEST_BAD_ARCHIVE, st->filled, "%s: data out of order",
                           ingest_kind_name(s->levels[i].kind));
        return;
    }
    st->gap = (uint64_t)off - st->filled;
    st->held = p;
    st->held_len = n;
}

static void
level_read(struct ingest_stack *s, uint32_t i)
{
    struct ingest_level *l = &s->levels[i];
    struct ingest_stream *st = &s->streams[i];
    int64_t off = (int64_t)st->filled;
    const void *p = NULL;
    size_t n = 0;

    switch (archive_read_data_block(l->a, &p, &n, &off)) {
    case ARCHIVE_OK:
        level_got(s, i, p, n, off);
        break;
    case ARCHIVE_WARN: /* the data are there, but a checksum says that they are not right */
        level_got(s, i, p, n, off);
        if (!st->broken) {
            level_data_failed(s, i);
            st->ended = false; /* until what came is handed up */
        }
        break;
    case ARCHIVE_EOF:
        if (off > (int64_t)st->filled && off == st->size) { /* a hole at the end */
            st->gap = (uint64_t)off - st->filled;
            st->gap_is_last = true;
        }
        st->ended = st->gap == 0;
        if (st->ended && ingest_kind_is_filter(l->kind))
            filter_check_end(s, i);
        break;
    default:
        level_data_failed(s, i);
        break;
    }
}

static void
level_fill(struct ingest_stack *s, uint32_t i)
{
    static const uint8_t zeros[64 << 10];
    struct ingest_stream *st = &s->streams[i];

    if (st->gap == 0 && st->held_len == 0)
        level_read(s, i);
    if (st->gap > 0) {
        st->blk = zeros;
        st->blk_len = (size_t)BASE_MIN(st->gap, sizeof(zeros));
        st->gap -= st->blk_len;
    } else {
        st->blk = st->held;
        st->blk_len = st->held_len;
        st->held_len = 0;
    }
    st->filled += st->blk_len;
    if (s->levels[i].kind == INGEST_KIND_GZIP)
        s->levels[i].crc = ingest_crc32(s->levels[i].crc, st->blk, st->blk_len);
    if ((st->broken || st->gap_is_last) && st->gap == 0 && st->held_len == 0)
        st->ended = true;
    if (!st->broken && st->blk_len > 0)
        check_limits(s, i, st->blk_len);
}

static void
stream_fill(struct ingest_stack *s, uint32_t i)
{
    if (s->stopped || s->error < 0) {
        s->streams[i].ended = s->streams[i].broken = true;
        return;
    }
    if (i == 0)
        file_fill(s);
    else
        level_fill(s, i);
}

/* --------------------------------------------------------------------------------- streams */

void
ingest_stream_peek(struct ingest_stack *s, uint32_t i, size_t want, const uint8_t **ret_p,
                   size_t *ret_len)
{
    struct ingest_stream *st = &s->streams[i];

    for (;;) {
        const size_t peeked = st->peek.len - st->peek_pos;

        if (peeked == 0 && (st->blk_len >= want || st->ended)) {
            *ret_p = st->blk;
            *ret_len = st->blk_len;
            return;
        }
        if (peeked >= want || (st->ended && st->blk_len == 0)) {
            *ret_p = st->peek.data + st->peek_pos;
            *ret_len = peeked;
            return;
        }
        if (base_buf_append(&st->peek, st->blk, st->blk_len) < 0) {
            stack_out_of_memory(s);
            st->ended = st->broken = true;
        }
        st->blk_len = 0;
        if (!st->ended)
            stream_fill(s, i);
    }
}

size_t
ingest_stream_take(struct ingest_stack *s, uint32_t i, size_t max, const uint8_t **ret_p)
{
    struct ingest_stream *st = &s->streams[i];
    size_t n = st->peek.len - st->peek_pos;

    if (n > 0) {
        n = BASE_MIN(n, max);
        *ret_p = st->peek.data + st->peek_pos;
        st->peek_pos += n;
        st->pos += n;
        return n;
    }
    while (st->blk_len == 0 && !st->ended)
        stream_fill(s, i);
    n = BASE_MIN(st->blk_len, max);
    *ret_p = st->blk;
    if (n > 0)
        st->blk += n;
    st->blk_len -= n;
    st->pos += n;
    return n;
}

void
ingest_stream_reset(struct ingest_stream *st)
{
    struct base_buf peek = st->peek;

    free(st->chain);
    free(st->path);
    base_buf_reset(&peek);
    memset(st, 0, sizeof(*st));
    st->peek = peek;
    st->size = -1;
}

/* --------------------------------------------------------------------- libarchive's callbacks */

static la_ssize_t
level_stream_read(struct archive *a, void *arg, const void **ret_buf)
{
    struct ingest_level *l = arg;
    const struct ingest_stream *below = &l->stack->streams[l->index - 1];
    const uint8_t *p;
    size_t n;

    if (l->last_len >= 8) {
        memcpy(l->tail, l->last + l->last_len - 8, 8);
    } else if (l->last_len > 0) {
        memmove(l->tail, l->tail + l->last_len, 8 - l->last_len);
        memcpy(l->tail + 8 - l->last_len, l->last, l->last_len);
    }
    l->last_len = 0;
    n = ingest_stream_take(l->stack, l->index - 1, SSIZE_MAX, &p);
    if (n == 0 && below->broken) {
        archive_set_error(a, EIO, "what it lies in is damaged");
        return -1;
    }
    if (n > 0 && l->kind == INGEST_KIND_GZIP)
        gzip_see_input(l, p, n);
    l->last = p;
    l->last_len = n;
    l->in_bytes += n;
    *ret_buf = p;
    return (la_ssize_t)n;
}

static la_ssize_t
level_seekable_read(struct archive *a, void *arg, const void **ret_buf)
{
    struct ingest_level *l = arg;
    struct ingest_stack *s = l->stack;
    ssize_t n;

    if (l->via == INGEST_VIA_MEMORY) {
        n = (ssize_t)(l->mem.len - l->file_pos);
        *ret_buf = l->mem.data + l->file_pos;
        l->file_pos = l->mem.len;
        return n;
    }
    do
        n = pread(s->fd, l->io, INGEST_IO_BYTES, (off_t)l->file_pos);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        file_failed(s, errno);
        archive_set_error(a, errno, "cannot read %s", s->file_path);
        return -1;
    }
    l->file_pos += (uint64_t)n;
    s->counts->bytes_raw += (uint64_t)n;
    *ret_buf = l->io;
    return n;
}

static la_int64_t
level_seekable_seek(struct archive *a, void *arg, la_int64_t off, int whence)
{
    struct ingest_level *l = arg;
    const int64_t size = (int64_t)(l->via == INGEST_VIA_MEMORY ? l->mem.len : l->stack->file_size);
    int64_t at = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? (int64_t)l->file_pos : size;

    (void)a;
    if (__builtin_add_overflow(at, off, &at) || at < 0)
        return ARCHIVE_FATAL;
    l->file_pos = (uint64_t)BASE_MIN(at, size);
    return (la_int64_t)l->file_pos;
}

static la_int64_t
level_seekable_skip(struct archive *a, void *arg, la_int64_t len)
{
    struct ingest_level *l = arg;
    const uint64_t size = l->via == INGEST_VIA_MEMORY ? l->mem.len : l->stack->file_size;
    const uint64_t n = BASE_MIN((uint64_t)BASE_MAX(len, 0), size - BASE_MIN(size, l->file_pos));

    (void)a;
    l->file_pos += n;
    return (la_int64_t)n;
}

/* ------------------------------------------------------------------------------ push and pop */

static int
filter_enable(struct archive *a, enum ingest_kind kind)
{
    static const int codes[] = {
        [INGEST_KIND_GZIP] = ARCHIVE_FILTER_GZIP, [INGEST_KIND_BZIP2] = ARCHIVE_FILTER_BZIP2,
        [INGEST_KIND_XZ] = ARCHIVE_FILTER_XZ,     [INGEST_KIND_LZMA] = ARCHIVE_FILTER_LZMA,
        [INGEST_KIND_LZIP] = ARCHIVE_FILTER_LZIP, [INGEST_KIND_LZ4] = ARCHIVE_FILTER_LZ4,
        [INGEST_KIND_ZSTD] = ARCHIVE_FILTER_ZSTD,
    };
    int r;

    if (kind == INGEST_KIND_COMPRESS) /* it reads while it is set up, so it must bid */
        r = archive_read_support_filter_compress(a);
    else
        r = archive_read_append_filter(a, codes[kind]);
    return r == ARCHIVE_OK ? archive_read_set_format(a, ARCHIVE_FORMAT_RAW) : r;
}

static int
format_enable(struct archive *a, enum ingest_kind kind)
{
    int r;

    switch (kind) {
    case INGEST_KIND_AR:
        return archive_read_support_format_ar(a);
    case INGEST_KIND_TAR:
        return archive_read_support_format_tar(a);
    case INGEST_KIND_ZIP:
        return archive_read_support_format_zip(a);
    case INGEST_KIND_7ZIP:
        return archive_read_support_format_7zip(a);
    case INGEST_KIND_CPIO:
        return archive_read_support_format_cpio(a);
    case INGEST_KIND_ISO9660:
        r = archive_read_support_format_iso9660(a);
        /* Before this release a Rock Ridge entry that continues in itself made libarchive eat all
         * memory and end the process; names are then those of Joliet or plain ISO 9660. */
        return r == ARCHIVE_OK && archive_version_number() < ROCK_RIDGE_IS_SAFE
                   ? archive_read_set_format_option(a, "iso9660", "rockridge", NULL)
                   : r;
    case INGEST_KIND_RAR:
        return archive_read_support_format_rar(a);
    case INGEST_KIND_RAR5:
        return archive_read_support_format_rar5(a);
    case INGEST_KIND_LHA:
        return archive_read_support_format_lha(a);
    case INGEST_KIND_XAR:
        return archive_read_support_format_xar(a);
    case INGEST_KIND_CAB:
        return archive_read_support_format_cab(a);
    default:
        return ARCHIVE_FATAL;
    }
}

/* The n bytes at p, all there are of the stream below, become the level's memory. */
static int
level_take_all(struct ingest_stack *s, struct ingest_level *l, const uint8_t *p, size_t n)
{
    struct ingest_stream *below = &s->streams[l->index - 1];

    if (below->peek_pos == 0 && below->peek.len == n) {
        l->mem = below->peek;
        memset(&below->peek, 0, sizeof(below->peek));
    } else if (base_buf_append(&l->mem, p, n) < 0) {
        stack_out_of_memory(s);
        return 1;
    }
    below->pos += n;
    below->blk_len = 0;
    below->peek_pos = below->peek.len;
    s->mem_bytes += n;
    l->via = INGEST_VIA_MEMORY;
    return 0;
}

/* Formats that want to seek (zip for its directory, 7-Zip altogether) get the file itself at the
 * top, and a copy in memory further down if it is small. Returns 0, or 1 where that cannot be. */
static int
level_choose_via(struct ingest_stack *s, struct ingest_level *l)
{
    const uint64_t max = s->opts->max_seek_bytes ? s->opts->max_seek_bytes : DEFAULT_SEEK_BYTES;
    struct ingest_stream *below = &s->streams[l->index - 1];
    const bool wants_seek = l->kind == INGEST_KIND_ZIP || l->kind == INGEST_KIND_7ZIP;
    const uint8_t *p;
    size_t n = 0;

    if (l->index == 1 && s->regular && s->file_size > 0 &&
        (wants_seek || l->kind == INGEST_KIND_ISO9660 || l->kind == INGEST_KIND_XAR)) {
        l->via = INGEST_VIA_FILE;
        l->io = malloc(INGEST_IO_BYTES);
        if (l->io == NULL)
            stack_out_of_memory(s);
        return l->io ? 0 : 1;
    }
    if (!wants_seek)
        return 0;
    if (s->mem_bytes < max && (below->size < 0 || (uint64_t)below->size <= max - s->mem_bytes)) {
        ingest_stream_peek(s, l->index - 1, (size_t)(max - s->mem_bytes) + 1, &p, &n);
        if (below->ended && n <= max - s->mem_bytes) {
            return level_take_all(s, l, p, n);
        }
    }
    if (l->kind == INGEST_KIND_ZIP) /* entry by entry, in the order of the file */
        return 0;
    ingest_stack_break(s, l->index - 1, INGEST_BAD_LIMIT, 0,
                       "a 7-Zip archive of more than %" PRIu64 " bytes inside another archive "
                       "cannot be read as a stream; unpack it or give it as an input of its own",
                       max);
    return 1;
}

static void
level_done(struct ingest_level *l)
{
    if (l->a != NULL)
        (void)archive_read_free(l->a);
    l->stack->mem_bytes -= l->mem.len;
    base_buf_done(&l->mem);
    free(l->io);
    memset(l, 0, sizeof(*l));
}

static int
level_open(struct ingest_level *l)
{
    int r;

    l->a = archive_read_new();
    if (l->a == NULL) {
        stack_out_of_memory(l->stack);
        return ARCHIVE_FATAL;
    }
    r = ingest_kind_is_filter(l->kind) ? filter_enable(l->a, l->kind)
                                       : format_enable(l->a, l->kind);
    if (r != ARCHIVE_OK) { /* a warning means: only by starting a program */
        archive_set_error(l->a, ENOSYS, "this libarchive was built without it");
        return ARCHIVE_FATAL;
    }
    if (l->via == INGEST_VIA_STREAM) {
        (void)archive_read_set_read_callback(l->a, level_stream_read);
    } else {
        (void)archive_read_set_read_callback(l->a, level_seekable_read);
        (void)archive_read_set_seek_callback(l->a, level_seekable_seek);
        (void)archive_read_set_skip_callback(l->a, level_seekable_skip);
    }
    (void)archive_read_set_callback_data(l->a, l);
    return archive_read_open1(l->a);
}

int
ingest_level_push(struct ingest_stack *s, enum ingest_kind kind)
{
    struct ingest_level *l = &s->levels[s->depth + 1];
    struct ingest_stream *below = &s->streams[s->depth];
    char *text;

    l->stack = s;
    l->index = s->depth + 1;
    l->kind = kind;
    if (level_choose_via(s, l) == 0) {
        if (level_open(l) >= ARCHIVE_WARN) {
            s->depth++;
            ingest_stream_reset(&s->streams[s->depth]);
            return 1;
        }
        if (!below->broken && s->error == 0) {
            text = ingest_level_error(l);
            ingest_stack_break(s, s->depth, INGEST_BAD_ARCHIVE, 0, "%s", text ? text : "");
            free(text);
        }
    }
    level_done(l);
    return 0;
}

/* Give back to the stream below what libarchive got but did not want. */
static void
stream_unread(struct ingest_level *l)
{
    struct ingest_stream *below = &l->stack->streams[l->index - 1];
    const uint64_t consumed = (uint64_t)archive_filter_bytes(l->a, -1);
    const uint64_t left = l->in_bytes - BASE_MIN(consumed, l->in_bytes);

    if (left == 0 || left > l->last_len) /* more than the last block: it was at the end anyway */
        return;
    if (below->peek.len > 0 && l->last + l->last_len == below->peek.data + below->peek.len) {
        below->peek_pos -= left;
    } else {
        below->blk -= left;
        below->blk_len += left;
    }
    below->pos -= left;
}

int
ingest_level_again(struct ingest_stack *s)
{
    struct ingest_level *l = &s->levels[s->depth];
    struct ingest_stream *below = &s->streams[s->depth - 1];
    const uint64_t entry_no = l->entry_no, out_bytes = l->out_bytes;
    const uint32_t index = l->index;
    const uint8_t *p;
    size_t n;

    if (l->kind != INGEST_KIND_TAR)
        return 0;
    stream_unread(l);
    for (;;) { /* past the padding */
        ingest_stream_peek(s, index - 1, 512, &p, &n);
        if (n == 0)
            return 0;
        if (!all_zero(p, BASE_MIN(n, 512u)))
            break;
        (void)ingest_stream_take(s, index - 1, BASE_MIN(n, 512u), &p);
    }
    if (ingest_sniff(p, n, below->ended) != INGEST_KIND_TAR) {
        if (!below->broken)
            ingest_stack_break(s, index - 1, INGEST_BAD_ARCHIVE, below->pos,
                               "tar: what follows its end is something else");
        return 0;
    }
    ingest_stream_reset(&s->streams[index]);
    (void)archive_read_free(l->a);
    memset(l, 0, sizeof(*l));
    l->stack = s;
    l->index = index;
    l->kind = INGEST_KIND_TAR;
    l->entry_no = entry_no;
    l->out_bytes = out_bytes;
    return level_open(l) >= ARCHIVE_WARN;
}

void
ingest_level_pop(struct ingest_stack *s)
{
    struct ingest_level *l = &s->levels[s->depth];
    const uint8_t *p;

    ingest_stream_reset(&s->streams[s->depth]);
    if (l->via == INGEST_VIA_STREAM && s->depth > 1 && !ingest_kind_is_filter(l->kind) &&
        ingest_kind_is_filter(s->levels[s->depth - 1].kind))
        while (ingest_stream_take(s, s->depth - 1, SIZE_MAX, &p) > 0)
            continue;
    level_done(l);
    s->depth--;
}

void
ingest_stack_done(struct ingest_stack *s)
{
    for (; s->depth > 0; s->depth--) {
        ingest_stream_reset(&s->streams[s->depth]);
        level_done(&s->levels[s->depth]);
    }
    for (uint32_t i = 0; i <= INGEST_DEPTH_MAX; i++) {
        ingest_stream_reset(&s->streams[i]);
        base_buf_done(&s->streams[i].peek);
    }
    free(s->io);
    s->io = NULL;
}
