/* The walk over one top-level file: which entries it gives, under which names, and where it stops.
 * How bytes get here is level.c's business.
 *
 * Everything libarchive does with names depends on the locale of the calling thread, so every
 * public function here runs in C.UTF-8, whatever the process has. */
#include "config.h"

#include "tools/ingest/source.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/compiler.h"
#include "lib/fail.h"
#include "tools/ingest/entry.h"
#include "tools/ingest/level.h"

#define DEFAULT_DEPTH   8u
#define MAX_BAD_HEADERS 100u /* in a row: then the archive is given up */

struct ingest_walk {
    struct ingest_walk_opts opts;
    struct ingest_stack stack;
    struct ingest_walk_counts counts;
    struct ingest_rejects rejects;
    locale_t locale;  /* C.UTF-8, or 0 where the system has none */
    locale_t bytes;   /* C: names are bytes, and are not converted */
    bool started;
    bool delivering;  /* the top stream is the caller's to read */
};

static locale_t
locale_enter(const struct ingest_walk *w)
{
    return w->locale ? uselocale(w->locale) : (locale_t)0;
}

static void
locale_leave(locale_t before)
{
    if (before)
        (void)uselocale(before);
}

/* ------------------------------------------------------------------------------------ names */

/* The name of the entry that level l is at: as stored, as UTF-8, or at least a number. */
static char *
entry_name(const struct ingest_level *l, struct archive_entry *ae)
{
    const char *name = archive_entry_pathname(ae);
    char *clean;

    if (name == NULL)
        name = archive_entry_pathname_utf8(ae);
    clean = name ? ingest_name_clean(name) : strdup("");
    if (clean != NULL && *clean == 0) {
        free(clean);
        if (asprintf(&clean, "entry-%" PRIu64, l->entry_no) < 0)
            clean = NULL;
    }
    return clean;
}

/* Give the top stream the name of an entry of its level. Returns 0 or -ENOMEM. */
static int
stream_name(struct ingest_stack *s, char *name)
{
    struct ingest_stream *st = &s->streams[s->depth];
    const char *outer = s->streams[s->depth - 1].chain;

    st->path = name;
    if (name == NULL)
        return -ENOMEM;
    if (outer[0] == 0)
        st->chain = strdup(name);
    else if (asprintf(&st->chain, "%s!%s", outer, name) < 0)
        st->chain = NULL;
    return st->chain ? 0 : -ENOMEM;
}

static int
out_of_memory(struct ingest_walk *w)
{
    if (w->stack.error == 0)
        w->stack.error = base_fail(&w->stack.error_text, -ENOMEM, "%s", w->stack.file_name);
    return -ENOMEM;
}

/* ----------------------------------------------------------------------- from entry to entry */

static int look_into(struct ingest_walk *w, struct ingest_entry **ret_entry);

/* A compressed file has just been opened: its one entry is its bytes, under the same name. */
static int
enter_filter(struct ingest_walk *w, struct ingest_entry **ret_entry)
{
    struct ingest_stack *s = &w->stack;
    struct ingest_stream *st = &s->streams[s->depth];
    const struct ingest_stream *below = &s->streams[s->depth - 1];
    struct archive_entry *ae;
    char *text;

    st->unpacked = true;
    st->chain = strdup(below->chain);
    st->path = strdup(below->path);
    if (st->chain == NULL || st->path == NULL)
        return out_of_memory(w);
    if (archive_read_next_header(s->levels[s->depth].a, &ae) < ARCHIVE_WARN) {
        if (!below->broken) {
            text = ingest_level_error(&s->levels[s->depth]);
            ingest_stack_break(s, s->depth, INGEST_BAD_ARCHIVE, 0, "%s", text ? text : "");
            free(text);
        }
        return 0;
    }
    return look_into(w, ret_entry);
}

static int
deliver(struct ingest_walk *w, struct ingest_entry **ret_entry)
{
    struct ingest_stream *st = &w->stack.streams[w->stack.depth];
    struct ingest_entry *e;

    if (!ingest_path_wanted(&w->opts, st->path)) {
        w->counts.entries_skipped++;
        return 0;
    }
    e = ingest_entry_new(w->stack.file_name, st->chain, st->path, st->size, st->unpacked);
    if (e == NULL)
        return out_of_memory(w);
    w->counts.entries++;
    w->delivering = true;
    *ret_entry = e;
    return 1;
}

/* The top stream has a name; what is it? 1 and an entry, 0 to go on, or an error. */
static int
look_into(struct ingest_walk *w, struct ingest_entry **ret_entry)
{
    struct ingest_stack *s = &w->stack;
    const uint32_t max_depth = w->opts.max_depth ? w->opts.max_depth : DEFAULT_DEPTH;
    struct ingest_stream *st = &s->streams[s->depth];
    enum ingest_kind kind = INGEST_KIND_PLAIN;
    const uint8_t *p;
    size_t len;

    if (!w->opts.raw) {
        ingest_stream_peek(s, s->depth, INGEST_SNIFF_MIN, &p, &len);
        if (ingest_sniff_wants_more(p, len) &&
            ingest_sniff(p, len, st->ended) == INGEST_KIND_PLAIN)
            ingest_stream_peek(s, s->depth, INGEST_SNIFF_MAX, &p, &len);
        kind = ingest_sniff(p, len, st->ended);
        if (s->error < 0)
            return s->error;
        if (st->broken && len == 0) /* nothing of it can be read, and that has been said */
            return 0;
    }
    if (kind == INGEST_KIND_PLAIN)
        return deliver(w, ret_entry);
    if (s->depth >= BASE_MIN(max_depth, INGEST_DEPTH_MAX)) {
        ingest_stack_break(s, s->depth, INGEST_BAD_LIMIT, 0,
                           "archives within archives deeper than %" PRIu32 " levels", max_depth);
        return 0;
    }
    if (!ingest_level_push(s, kind))
        return s->error;
    return ingest_kind_is_filter(kind) ? enter_filter(w, ret_entry) : 0;
}

/* The header of the next entry of the archive on top could not be read. */
static void
bad_header(struct ingest_walk *w, bool fatal)
{
    struct ingest_stack *s = &w->stack;
    struct ingest_level *l = &s->levels[s->depth];
    struct ingest_stream *below = &s->streams[s->depth - 1];
    const bool said = below->broken || s->error < 0;
    const bool was_ended = below->ended;
    char *text;

    if (!said) {
        text = ingest_level_error(l);
        ingest_stack_break(s, s->depth - 1, ingest_level_reason(text),
                           (uint64_t)BASE_MAX(archive_filter_bytes(l->a, 0), 0), "%s%s",
                           text ? text : "", fatal ? "; the rest of it is lost" : "");
        free(text);
        if (!fatal) { /* its next entries can still be read */
            below->broken = false;
            below->ended = was_ended;
        }
    }
    if (fatal)
        ingest_level_pop(s);
}

/* The archive on top has a next entry: a file, or something to step over. */
static int
enter_entry(struct ingest_walk *w, struct archive_entry *ae, struct ingest_entry **ret_entry)
{
    struct ingest_stack *s = &w->stack;
    struct ingest_level *l = &s->levels[s->depth];
    struct ingest_stream *st = &s->streams[s->depth];
    const unsigned type = archive_entry_filetype(ae);
    const bool has_data = archive_entry_size_is_set(ae) && archive_entry_size(ae) > 0;

    if (type == AE_IFDIR)
        return 0;
    /* cpio (newc) gives the bytes of hard links with the last of them. */
    if ((archive_entry_hardlink(ae) != NULL && !(l->kind == INGEST_KIND_CPIO && has_data)) ||
        (type != AE_IFREG && type != 0)) {
        w->counts.links_skipped++;
        return 0;
    }
    if (stream_name(s, entry_name(l, ae)) < 0)
        return out_of_memory(w);
    st->size = archive_entry_size_is_set(ae) ? archive_entry_size(ae) : -1;
    if (archive_entry_is_encrypted(ae)) {
        if (ingest_path_wanted(&w->opts, st->path))
            ingest_stack_break(s, s->depth, INGEST_BAD_ENCRYPTED, 0, "%s: the entry is encrypted",
                               ingest_kind_name(l->kind));
        else
            w->counts.entries_skipped++;
        return 0;
    }
    return look_into(w, ret_entry);
}

/* Formats that store names as bytes are read in the C locale, where libarchive, unable to convert
 * them, leaves them as they are; in C.UTF-8 it would normalise them to form C. With zip that cannot
 * be helped, as there it gives up names that it cannot convert. */
static int
next_header(struct ingest_walk *w, struct ingest_level *l, struct archive_entry **ret_entry)
{
    const bool bytes = l->kind == INGEST_KIND_TAR || l->kind == INGEST_KIND_CPIO ||
                       l->kind == INGEST_KIND_AR;
    const locale_t before = bytes && w->bytes ? uselocale(w->bytes) : (locale_t)0;
    const int r = archive_read_next_header(l->a, ret_entry);

    locale_leave(before);
    return r;
}

/* Go to the next entry of the level on top, or take the level off. */
static int
advance(struct ingest_walk *w, struct ingest_entry **ret_entry)
{
    struct ingest_stack *s = &w->stack;
    struct ingest_level *l = &s->levels[s->depth];
    struct archive_entry *ae;

    if (ingest_kind_is_filter(l->kind) || s->streams[s->depth - 1].broken) {
        ingest_level_pop(s);
        return 0;
    }
    ingest_stream_reset(&s->streams[s->depth]);
    l->entry_no++;
    switch (next_header(w, l, &ae)) {
    case ARCHIVE_OK:
    case ARCHIVE_WARN:
        l->n_failed = 0;
        return enter_entry(w, ae, ret_entry);
    case ARCHIVE_EOF:
        if (!ingest_level_again(s))
            ingest_level_pop(s);
        return 0;
    case ARCHIVE_RETRY:
    case ARCHIVE_FAILED:
        bad_header(w, ++l->n_failed >= MAX_BAD_HEADERS);
        return 0;
    default:
        bad_header(w, true);
        return 0;
    }
}

static int
walk_next(struct ingest_walk *w, struct ingest_entry **ret_entry)
{
    struct ingest_stack *s = &w->stack;
    int r = 0;

    w->delivering = false;
    if (!w->started) {
        w->started = true;
        r = look_into(w, ret_entry);
    }
    while (r == 0 && s->depth > 0 && !s->stopped && s->error == 0)
        r = advance(w, ret_entry);
    return s->error < 0 ? s->error : r;
}

/* ------------------------------------------------------------------------- public functions */

int
ingest_walk_open(const struct ingest_file *file, const struct ingest_walk_opts *opts,
                 struct ingest_walk **ret_walk, struct shard_error *err)
{
    struct ingest_walk *w = calloc(1, sizeof(*w));
    struct ingest_stack *s;
    struct stat st;
    int r = -ENOMEM;

    if (w == NULL)
        return base_fail(err, -ENOMEM, "%s", file->name);
    s = &w->stack;
    s->fd = -1;
    if (opts != NULL)
        w->opts = *opts;
    s->opts = &w->opts;
    s->counts = &w->counts;
    s->rejects = &w->rejects;
    s->file_name = file->name;
    s->file_path = file->path ? file->path : "standard input";
    s->hash = XXH3_createState();
    s->streams[0].chain = strdup("");
    s->streams[0].path = strdup(file->name + file->below);
    if (s->hash == NULL || s->streams[0].chain == NULL || s->streams[0].path == NULL) {
        r = base_fail(err, -ENOMEM, "%s", file->name);
        goto fail;
    }
    (void)XXH3_128bits_reset(s->hash);
    s->fd = file->path ? open(file->path, O_RDONLY | O_CLOEXEC)
                       : fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    if (s->fd < 0 || fstat(s->fd, &st) < 0) {
        r = base_fail(err, -errno, "cannot read %s", s->file_path);
        goto fail;
    }
    /* Standard input may have been read from already: only a file we opened starts at 0. */
    s->regular = file->path != NULL && S_ISREG(st.st_mode);
    s->file_size = s->regular ? (uint64_t)st.st_size : 0;
    s->streams[0].size = s->regular ? (int64_t)st.st_size : -1;
    if (s->regular)
        (void)posix_fadvise(s->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    w->locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    w->bytes = newlocale(LC_CTYPE_MASK, "C", (locale_t)0);
    *ret_walk = w;
    return 0;
fail:
    ingest_walk_close(w);
    return r;
}

int
ingest_walk_next(struct ingest_walk *w, struct ingest_entry **ret_entry, struct shard_error *err)
{
    const locale_t before = locale_enter(w);
    const int r = walk_next(w, ret_entry);

    locale_leave(before);
    if (r < 0 && err != NULL)
        *err = w->stack.error_text;
    return r;
}

/* A plain file goes from the system into the caller's buffer without a stop in between. */
static int64_t
read_plain(struct ingest_stack *s, void *buf, size_t cap)
{
    struct ingest_stream *st = &s->streams[0];
    ssize_t n;

    do
        n = pread(s->fd, buf, cap, (off_t)s->file_read);
    while (n < 0 && errno == EINTR);
    if (n < 0) {
        s->error = base_fail(&s->error_text, -errno, "cannot read %s", s->file_path);
        return s->error;
    }
    base_hash_update(s->hash, buf, (size_t)n);
    s->file_read += (uint64_t)n;
    s->counts->bytes_raw += (uint64_t)n;
    st->filled += (uint64_t)n;
    st->pos += (uint64_t)n;
    st->ended = n == 0;
    return n;
}

static int64_t
walk_read(struct ingest_walk *w, uint8_t *buf, size_t cap)
{
    struct ingest_stack *s = &w->stack;
    struct ingest_stream *st = &s->streams[s->depth];
    size_t got = 0, n;
    const uint8_t *p;

    while (got < cap && s->error == 0) {
        if (s->depth == 0 && s->regular && !st->ended && st->blk_len == 0 &&
            st->peek_pos == st->peek.len) {
            const int64_t direct = read_plain(s, buf + got, cap - got);

            if (direct <= 0)
                break;
            got += (size_t)direct;
            continue;
        }
        n = ingest_stream_take(s, s->depth, cap - got, &p);
        if (n == 0)
            break;
        memcpy(buf + got, p, n);
        got += n;
    }
    w->counts.bytes_unpacked += got;
    return s->error < 0 && got == 0 ? s->error : (int64_t)got;
}

int64_t
ingest_walk_read(struct ingest_walk *w, void *buf, size_t cap, struct shard_error *err)
{
    locale_t before;
    int64_t r;

    if (!w->delivering)
        return base_fail(err, -EINVAL, "no entry of %s is open", w->stack.file_name);
    before = locale_enter(w);
    r = walk_read(w, buf, BASE_MIN(cap, (size_t)SSIZE_MAX));
    locale_leave(before);
    if (r < 0 && err != NULL)
        *err = w->stack.error_text;
    return r;
}

bool
ingest_walk_broke_off(const struct ingest_walk *w)
{
    return w->delivering && w->stack.streams[w->stack.depth].broken;
}

struct ingest_rejects *
ingest_walk_rejects(struct ingest_walk *w)
{
    return &w->rejects;
}

void
ingest_walk_get_counts(const struct ingest_walk *w, struct ingest_walk_counts *ret)
{
    *ret = w->counts;
    if (w->stack.regular) /* what seeking read twice counts once */
        ret->bytes_raw = BASE_MIN(ret->bytes_raw, w->stack.file_size);
}

int
ingest_walk_file_hash(struct ingest_walk *w, struct base_hash128 *ret_hash, uint64_t *ret_size,
                      struct shard_error *err)
{
    struct ingest_stack *s = &w->stack;
    struct ingest_stream *st = &s->streams[0];
    const uint8_t *p;
    XXH128_hash_t h;

    /* What a limit or damage left unread belongs to the file all the same. */
    s->stopped = false;
    st->ended = st->broken = false;
    while (s->error == 0 && ingest_stream_take(s, 0, SIZE_MAX, &p) > 0)
        continue;
    if (s->error < 0) {
        if (err != NULL)
            *err = s->error_text;
        return s->error;
    }
    h = XXH3_128bits_digest(s->hash);
    *ret_hash = (struct base_hash128){h.low64, h.high64};
    *ret_size = s->file_read;
    return 0;
}

void
ingest_walk_close(struct ingest_walk *w)
{
    if (w == NULL)
        return;
    ingest_stack_done(&w->stack);
    if (w->stack.fd >= 0)
        (void)close(w->stack.fd);
    if (w->stack.hash != NULL)
        (void)XXH3_freeState(w->stack.hash);
    if (w->locale)
        freelocale(w->locale);
    if (w->bytes)
        freelocale(w->bytes);
    ingest_rejects_done(&w->rejects);
    free(w);
}
