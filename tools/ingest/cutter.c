/* The cutter: one entry after the other, read into one buffer that always starts at the start of a
 * record, and cut where a record ends. What a cut depends on (the content, block_bytes,
 * max_record) is never how much happened to be in the buffer. */
#include "config.h"

#include "tools/ingest/block.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/compiler.h"
#include "lib/fail.h"
#include "tools/ingest/detect.h"
#include "tools/ingest/entry.h"
#include "tools/ingest/utf8.h"

#define DEFAULT_BLOCK_BYTES ((size_t)1 << 20)
#define DEFAULT_MAX_RECORD  ((size_t)1 << 30)
#define FIRST_READ          ((size_t)64 << 10)
#define SPOOL_HEAD          ((size_t)64 << 10) /* of a long file, to tell what it is */
#define SPOOL_READ          ((size_t)1 << 20)
#define MAX_PENDING_REJECTS 1024u /* then a block without data carries them off */

enum csv_state { CSV_CELL_START = 0, CSV_BARE, CSV_QUOTED, CSV_QUOTE_IN_QUOTED };

struct ingest_cutter {
    struct ingest_cut_opts opts;
    struct ingest_walk *walk;
    const struct ingest_file *file;
    struct ingest_entry *entry;      /* the one being cut; a reference */
    enum ingest_format format;
    char delimiter, quote;
    struct base_buf buf;             /* its bytes from `offset` on */
    bool ended;                      /* buf holds all that is left of it */
    bool first;                      /* no block of it was given yet */
    uint64_t offset, line;           /* of buf's first byte */
    struct base_buf header;
    size_t csv_pos;                  /* how far the record at the front was scanned, and the */
    enum csv_state csv_state;        /* state there: so that a long record is scanned once */
    size_t csv_mixed;                /* lines that start before need a look at each byte */
    struct fmt_spooled *spooled;     /* the long file at hand, or NULL */
    bool spooled_utf8;
    struct ingest_rejects rejects;
    bool done;
};

/* ---------------------------------------------------------------------------------- reading */

/* Have at least want bytes in the buffer, or all there are. */
static int
fill(struct ingest_cutter *c, size_t want, struct shard_error *err)
{
    const bool is_long = c->offset > 0 ||
                         (c->entry->size > 0 && (uint64_t)c->entry->size >= want);

    while (!c->ended && c->buf.len < want) {
        /* Most entries are small and of unknown size: grow with what comes. */
        const size_t chunk = is_long ? want - c->buf.len
                                     : BASE_MIN(want - c->buf.len,
                                                BASE_MAX(FIRST_READ, c->buf.len));
        int64_t n;

        if (base_buf_reserve_exact(&c->buf, chunk) < 0)
            return base_fail(err, -ENOMEM, "%s", c->file->name);
        n = ingest_walk_read(c->walk, c->buf.data + c->buf.len, chunk, err);
        if (n < 0)
            return (int)n;
        c->buf.len += (size_t)n;
        c->ended = n == 0;
    }
    return 0;
}

/* Line ends among the first len bytes. */
static uint64_t
count_lines(const struct ingest_cutter *c, size_t len)
{
    const uint8_t *p = c->buf.data, *end = p + len;
    const bool csv = c->format == INGEST_CSV || c->format == INGEST_TSV;
    uint64_t n = 0;

    while (p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        n++;
        p++;
    }
    if (!csv || len == 0)
        return n;
    for (p = c->buf.data; p < end && (p = memchr(p, '\r', (size_t)(end - p))) != NULL; p++)
        n += p + 1 == end || p[1] != '\n';
    return n;
}

/* The record at the front is a new one. */
static void
csv_restart(struct ingest_cutter *c)
{
    c->csv_pos = 0;
    c->csv_state = CSV_CELL_START;
    c->csv_mixed = 0;
}

/* Drop the first len bytes. */
static void
consume(struct ingest_cutter *c, size_t len)
{
    if (len == 0)
        return;
    c->line += count_lines(c, len);
    c->offset += len;
    memmove(c->buf.data, c->buf.data + len, c->buf.len - len);
    c->buf.len -= len;
    csv_restart(c);
}

/* ------------------------------------------------------------------------------ record ends */

static const uint8_t *
find(const struct ingest_cutter *c, size_t from, int byte)
{
    return from < c->buf.len ? memchr(c->buf.data + from, byte, c->buf.len - from) : NULL;
}

/* At a CR outside quotes: 1 and the end of the line, or 0 if that cannot be told yet. */
static int
end_behind_cr(const struct ingest_cutter *c, size_t cr, size_t *ret_end)
{
    if (cr + 1 == c->buf.len && !c->ended)
        return 0;
    *ret_end = cr + 1 < c->buf.len && c->buf.data[cr + 1] == '\n' ? cr + 2 : cr + 1;
    return 1;
}

/* A line without quotes, and without a CR but at its end, needs no look at its single bytes. */
static bool
csv_simple_line(struct ingest_cutter *c, size_t from, size_t *ret_end)
{
    const uint8_t *p = c->buf.data + from, *lf, *cr;

    if (from < c->csv_mixed)
        return false;
    lf = find(c, from, '\n');
    if (lf != NULL && memchr(p, c->quote, (size_t)(lf - p)) == NULL) {
        cr = memchr(p, '\r', (size_t)(lf - p));
        if (cr == NULL || cr + 1 == lf) {
            *ret_end = (size_t)(lf - c->buf.data) + 1;
            return true;
        }
    }
    c->csv_mixed = lf ? (size_t)(lf - c->buf.data) + 1 : c->buf.len;
    return false;
}

/* 1 and the end of the record that starts at from, or 0 if it is not in the buffer. The scan of
 * the record at the front goes on where the last one stopped. */
static int
csv_end(struct ingest_cutter *c, size_t from, size_t *ret_end)
{
    const uint8_t *data = c->buf.data;
    const uint8_t quote = (uint8_t)c->quote, delimiter = (uint8_t)c->delimiter;
    enum csv_state state = from == 0 ? c->csv_state : CSV_CELL_START;
    size_t i = from == 0 ? c->csv_pos : from;

    if (i == from && csv_simple_line(c, from, ret_end))
        return 1;
    for (; i < c->buf.len; i++) {
        const uint8_t b = data[i];

        if (state == CSV_QUOTED) {
            const uint8_t *q = memchr(data + i, quote, c->buf.len - i);

            if (q == NULL) {
                i = c->buf.len;
                break;
            }
            i = (size_t)(q - data);
            state = CSV_QUOTE_IN_QUOTED;
        } else if (b == '\n') {
            *ret_end = i + 1;
            return 1;
        } else if (b == '\r') {
            if (end_behind_cr(c, i, ret_end))
                return 1;
            break;
        } else if (b == quote && state != CSV_BARE) {
            state = CSV_QUOTED; /* opens a cell, or is the second of "" */
        } else {
            state = b == delimiter ? CSV_CELL_START : CSV_BARE;
        }
    }
    if (from == 0) {
        c->csv_pos = i;
        c->csv_state = state;
    }
    return 0;
}

static int
record_end(struct ingest_cutter *c, size_t from, size_t *ret_end)
{
    const uint8_t *lf;

    if (c->format == INGEST_CSV || c->format == INGEST_TSV)
        return csv_end(c, from, ret_end);
    lf = find(c, from, '\n');
    if (lf == NULL)
        return 0;
    *ret_end = (size_t)(lf - c->buf.data) + 1;
    return 1;
}

/* Bytes of the record from..end without its line end. */
static size_t
record_len(const struct ingest_cutter *c, size_t from, size_t end)
{
    if (end > from && c->buf.data[end - 1] == '\n')
        end--;
    if (end > from && c->buf.data[end - 1] == '\r')
        end--;
    return end - from;
}

enum cut { CUT_MORE, CUT_HERE, CUT_TOO_LONG };

/* Where the next block ends: behind the last record that ends within block_bytes, or else behind
 * the first. CUT_MORE: that is not in the buffer. CUT_TOO_LONG: the record at the front is. */
static enum cut
find_cut(struct ingest_cutter *c, size_t *ret_cut)
{
    const size_t block = c->opts.block_bytes;
    size_t pos = 0, end;

    /* The common cases, in one step. */
    if (block <= c->opts.max_record && c->ended && c->buf.len <= block) {
        *ret_cut = c->buf.len;
        return c->buf.len > 0 ? CUT_HERE : CUT_MORE;
    }
    if (block <= c->opts.max_record && c->format != INGEST_CSV && c->format != INGEST_TSV &&
        c->buf.len > block) {
        const uint8_t *lf = memrchr(c->buf.data, '\n', block);

        if (lf != NULL) {
            *ret_cut = (size_t)(lf - c->buf.data) + 1;
            return CUT_HERE;
        }
    }
    while (pos < c->buf.len) {
        if (!record_end(c, pos, &end)) {
            /* The line end may be missing at the end, and is at most two bytes. */
            if (!c->ended && c->buf.len - pos <= c->opts.max_record + 2)
                break;
            end = c->buf.len;
        }
        if (record_len(c, pos, end) > c->opts.max_record) {
            *ret_cut = pos;
            return pos > 0 ? CUT_HERE : CUT_TOO_LONG;
        }
        if (end > block && pos > 0)
            break;
        pos = end;
        if (end >= block)
            break;
    }
    *ret_cut = pos;
    return pos > 0 ? CUT_HERE : CUT_MORE;
}

/* ---------------------------------------------------------------------------------- rejects */

static int
reject(struct ingest_cutter *c, const char *reason, uint64_t length, const void *raw,
       uint64_t line, uint64_t offset, const char *detail, struct shard_error *err)
{
    int r = ingest_rejects_move(&c->rejects, ingest_walk_rejects(c->walk));

    if (r == 0)
        r = ingest_rejects_add(&c->rejects, c->entry, reason, "", line, offset, raw, length, "%s",
                               detail);
    return r < 0 ? base_fail(err, r, "%s", c->file->name) : 0;
}

/* The record at the front is too long: stream past it, keeping only what the reject shows. */
static int
skip_long_record(struct ingest_cutter *c, struct shard_error *err)
{
    const bool csv = c->format == INGEST_CSV || c->format == INGEST_TSV;
    const uint64_t line = c->line, offset = c->offset;
    /* Its end lies behind that many bytes; in CSV, where a quote may have swallowed all the rest,
     * the first line end there counts, quoted or not. */
    size_t from = c->opts.max_record + 1;
    uint8_t raw[INGEST_REJECT_RAW_MAX];
    char detail[128];
    uint64_t length;
    int r;

    memcpy(raw, c->buf.data, BASE_MIN(c->buf.len, sizeof(raw)));
    for (;;) {
        const uint8_t *lf = find(c, from, '\n'), *cr = csv ? find(c, from, '\r') : NULL;

        if (cr != NULL && (lf == NULL || cr < lf)) {
            size_t end;

            if (end_behind_cr(c, (size_t)(cr - c->buf.data), &end)) {
                length = c->offset + (size_t)(cr - c->buf.data) - offset;
                consume(c, end);
                break;
            }
            from = (size_t)(cr - c->buf.data);
        } else if (lf != NULL) {
            const size_t end = (size_t)(lf - c->buf.data);

            length = c->offset + end - offset;
            consume(c, end + 1);
            break;
        } else {
            consume(c, c->buf.len);
            from = 0;
        }
        if (c->ended && cr == NULL) {
            length = c->offset + c->buf.len - offset;
            consume(c, c->buf.len);
            break;
        }
        r = fill(c, c->buf.len + FIRST_READ, err);
        if (r < 0)
            return r;
    }
    /* Not the limit: it may come from --memory, which must not get into the quarantine. */
    (void)snprintf(detail, sizeof(detail), "a record of %" PRIu64 " bytes, longer than one may be",
                   length);
    return reject(c, INGEST_BAD_RECORD_SIZE, length, raw, line, offset, detail, err);
}

/* Read on to the end of the entry and forget it, with one reject for all of it. */
static int
reject_entry(struct ingest_cutter *c, const char *reason, const char *detail,
             struct shard_error *err)
{
    const uint64_t offset0 = c->offset;
    uint8_t raw[INGEST_REJECT_RAW_MAX];
    int r;

    memcpy(raw, c->buf.data, BASE_MIN(c->buf.len, sizeof(raw)));
    while (!c->ended || c->buf.len > 0) {
        c->offset += c->buf.len;
        c->buf.len = 0;
        r = fill(c, FIRST_READ, err);
        if (r < 0)
            return r;
    }
    return reject(c, reason, c->offset - offset0, raw, 1, offset0, detail, err);
}

/* The entry breaks off with half a record, from pos on: that is not data. The walk's reject, which
 * says where the archive broke, gets the record's place if it is about this entry. */
static int
drop_half_record(struct ingest_cutter *c, size_t pos, struct shard_error *err)
{
    const size_t len = c->buf.len - pos;
    const uint8_t *raw = c->buf.data + pos;
    const uint64_t line = c->line + count_lines(c, pos);
    struct ingest_reject *j;
    int r;

    if (len == 0)
        return 0;
    c->buf.len = pos;
    r = ingest_rejects_move(&c->rejects, ingest_walk_rejects(c->walk));
    if (r < 0)
        return base_fail(err, r, "%s", c->file->name);
    j = c->rejects.count ? &c->rejects.items[c->rejects.count - 1] : NULL;
    if (j == NULL || j->raw != NULL || strcmp(j->entry, c->entry->chain) != 0)
        return reject(c, INGEST_BAD_ARCHIVE, len, raw, line, c->offset + pos,
                      "the entry breaks off within this record", err);
    j->raw_len = (uint32_t)BASE_MIN(len, INGEST_REJECT_RAW_MAX);
    j->raw = malloc(j->raw_len);
    if (j->raw == NULL)
        return base_fail(err, -ENOMEM, "%s", c->file->name);
    memcpy(j->raw, raw, j->raw_len);
    j->length += len;
    j->offset = c->offset + pos;
    j->line = line;
    return 0;
}

/* ----------------------------------------------------------------------------------- blocks */

void
ingest_block_free(struct ingest_block *b)
{
    if (b == NULL)
        return;
    ingest_entry_unref(b->entry);
    fmt_spooled_unref(b->spooled);
    base_buf_done(&b->data);
    base_buf_done(&b->header);
    ingest_rejects_done(&b->rejects);
    free(b);
}

/* The first len bytes of the buffer become the block's. A large part is handed over with the
 * buffer, and the rest copied; a small one is copied. */
static int
take_data(struct ingest_cutter *c, size_t len, struct base_buf *ret)
{
    const size_t rest = c->buf.len - len;
    struct base_buf next = {0};
    const uint64_t lines = c->ended && rest == 0 ? 0 : count_lines(c, len);
    int r;

    if (len >= c->buf.cap / 2) {
        r = base_buf_append(&next, c->buf.data + len, rest);
        if (r < 0)
            return r;
        *ret = c->buf;
        ret->len = len;
        c->buf = next;
        c->offset += len;
        c->line += lines;
        csv_restart(c);
        return 0;
    }
    r = base_buf_reserve_exact(ret, len);
    if (r < 0)
        return r;
    base_buf_put(ret, c->buf.data, len);
    consume(c, len);
    return 0;
}

/* A block of the first len bytes, with all rejects so far. */
static int
emit(struct ingest_cutter *c, struct ingest_entry *entry, enum ingest_format format, size_t len,
     struct ingest_block **ret_block, struct shard_error *err)
{
    struct ingest_block *b = calloc(1, sizeof(*b));
    int r = -ENOMEM;

    if (b == NULL)
        goto fail;
    b->entry = ingest_entry_ref(entry);
    b->format = format;
    b->line = c->line;
    b->offset = c->offset;
    b->first = c->first;
    b->delimiter = c->delimiter;
    b->quote = c->quote;
    b->spooled = c->spooled;
    b->spooled_utf8 = c->spooled_utf8;
    c->spooled = NULL;
    r = len > 0 ? take_data(c, len, &b->data) : 0;
    if (r == 0 && c->header.len > 0)
        r = base_buf_append(&b->header, c->header.data, c->header.len);
    if (r == 0)
        r = ingest_rejects_move(&b->rejects, &c->rejects);
    if (r == 0)
        r = ingest_rejects_move(&b->rejects, ingest_walk_rejects(c->walk));
    if (r < 0)
        goto fail;
    b->last = c->ended && c->buf.len == 0;
    c->first = false;
    *ret_block = b;
    return 1;
fail:
    ingest_block_free(b);
    return base_fail(err, r, "%s", c->file->name);
}

/* ---------------------------------------------------------------------------------- entries */

static void
entry_done(struct ingest_cutter *c)
{
    ingest_entry_unref(c->entry);
    c->entry = NULL;
    base_buf_reset(&c->buf);
    base_buf_reset(&c->header);
}

/* CSV: move the first record that is not empty into c->header. Returns 1, or 0 where the entry is
 * over or was rejected. */
static int
take_header(struct ingest_cutter *c, struct shard_error *err)
{
    size_t want = FIRST_READ, end, len;
    int r;

    for (;;) {
        r = fill(c, want, err);
        if (r < 0)
            return r;
        if (!record_end(c, 0, &end)) {
            if (c->buf.len > c->opts.max_record + 2)
                break;
            if (!c->ended) {
                want = BASE_MIN(want * 2, c->opts.max_record + 3);
                continue;
            }
            if (ingest_walk_broke_off(c->walk))
                return drop_half_record(c, 0, err);
            end = c->buf.len;
        }
        len = record_len(c, 0, end);
        if (len > c->opts.max_record)
            break;
        if (len > 0 && base_buf_append(&c->header, c->buf.data, len) < 0)
            return base_fail(err, -ENOMEM, "%s", c->file->name);
        consume(c, end);
        if (len > 0)
            return 1;
        if (end == 0)
            return 0;
    }
    return reject_entry(c, INGEST_BAD_RECORD_SIZE,
                        "the header is longer than a record may be, so nothing of this can be read",
                        err);
}

static bool
has_utf16_bom(const struct base_buf *b)
{
    return b->len >= 2 && (memcmp(b->data, "\xff\xfe", 2) == 0 || memcmp(b->data, "\xfe\xff", 2) == 0);
}

/* A new entry: which format, and whether it begins with a mark. Returns 1, or 0 where there is
 * nothing more to do for it. */
static int
entry_start(struct ingest_cutter *c, struct shard_error *err)
{
    const bool is_auto = c->opts.format == INGEST_AUTO;
    size_t bom = 0;
    int r;

    c->first = true;
    c->ended = false;
    c->offset = 0;
    c->line = 1;
    csv_restart(c);
    c->format = c->opts.format;
    r = fill(c, is_auto ? INGEST_DETECT_BYTES : FIRST_READ, err);
    if (r < 0)
        return r;
    if (c->buf.len >= 3 && memcmp(c->buf.data, "\xef\xbb\xbf", 3) == 0)
        bom = 3;
    if (is_auto && has_utf16_bom(&c->buf))
        c->format = INGEST_TEXT;
    else if (is_auto)
        c->format = ingest_detect(c->entry, c->buf.data + bom,
                                  BASE_MIN(c->buf.len, INGEST_DETECT_BYTES) - bom,
                                  c->ended && c->buf.len <= INGEST_DETECT_BYTES);
    c->quote = c->opts.quote ? c->opts.quote : '"';
    c->delimiter = c->opts.delimiter ? c->opts.delimiter : c->format == INGEST_TSV ? '\t' : ',';
    if (c->format == INGEST_FILES)
        return 1;
    if (has_utf16_bom(&c->buf))
        return reject_entry(c, INGEST_BAD_UTF8,
                            "this is UTF-16; convert it to UTF-8, for instance with iconv", err);
    consume(c, bom);
    if ((c->format == INGEST_CSV || c->format == INGEST_TSV) && !c->opts.no_header)
        return take_header(c, err);
    return 1;
}

/* The next block of an entry that is cut into records: 1 and a block, or 0 at its end. */
static int
next_of_records(struct ingest_cutter *c, struct ingest_block **ret_block, struct shard_error *err)
{
    size_t want = c->opts.block_bytes + 1, cut;
    int r;

    for (;;) {
        r = fill(c, want, err);
        if (r < 0)
            return r;
        if (c->ended && ingest_walk_broke_off(c->walk)) {
            /* Only what ends with a line end is surely whole. */
            size_t pos = 0, end;

            while (record_end(c, pos, &end))
                pos = end;
            r = drop_half_record(c, pos, err);
            if (r < 0)
                return r;
        }
        switch (find_cut(c, &cut)) {
        case CUT_HERE:
            if (cut == c->buf.len && !c->ended) { /* is there more? the block says so */
                r = fill(c, cut + FIRST_READ, err);
                if (r < 0)
                    return r;
            }
            return emit(c, c->entry, c->format, cut, ret_block, err);
        case CUT_TOO_LONG:
            r = skip_long_record(c, err);
            if (r < 0)
                return r;
            want = c->opts.block_bytes + 1;
            break;
        case CUT_MORE:
            if (c->ended) {
                if (c->first && c->header.len > 0)
                    return emit(c, c->entry, c->format, 0, ret_block, err);
                return 0;
            }
            want = BASE_MIN(BASE_MAX(want, c->buf.len) * 2, c->opts.max_record + 3);
            want = BASE_MAX(want, c->opts.block_bytes + 1);
            break;
        }
        if (c->rejects.count > MAX_PENDING_REJECTS)
            return emit(c, c->entry, c->format, 0, ret_block, err);
    }
}

/* The one block of an entry that is one record: 1 and the block, or 0 where there is none. */
static int
next_whole(struct ingest_cutter *c, struct ingest_block **ret_block, struct shard_error *err)
{
    size_t want = BASE_MIN(c->opts.max_record, FIRST_READ) + 1;
    int r;

    if (!c->first)
        return 0;
    if (c->entry->size >= 0)
        want = (size_t)BASE_MIN((uint64_t)c->entry->size, c->opts.max_record) + 1;
    while (!c->ended && c->buf.len <= c->opts.max_record) {
        r = fill(c, want, err);
        if (r < 0)
            return r;
        want = BASE_MIN(BASE_MAX(want, c->buf.len) * 2, c->opts.max_record + 1);
    }
    if (c->buf.len > c->opts.max_record)
        return reject_entry(c, INGEST_BAD_RECORD_SIZE, "longer than a record may be", err);
    if (ingest_walk_broke_off(c->walk))
        return drop_half_record(c, 0, err);
    if (c->buf.len == 0)
        return 0;
    return emit(c, c->entry, c->format, c->buf.len, ret_block, err);
}

/* A failure of the temporary file is about the dataset, where it stands. */
static int
spooled(const struct ingest_cutter *c, int r, struct shard_error *err)
{
    return r < 0 && c->opts.spool_name ? base_fail_in(err, r, "%s", c->opts.spool_name) : r;
}

/* All that is left of a long file into a temporary one; its first bytes stay in the buffer. */
static int
spool_rest(struct ingest_cutter *c, struct shard_error *err)
{
    const char *column = c->opts.spool_column ? c->opts.spool_column : "content";
    struct ingest_utf8_check utf8 = {0};
    struct base_buf head = {0};
    int r;

    if (base_buf_append(&head, c->buf.data, SPOOL_HEAD) < 0)
        return base_fail(err, -ENOMEM, "%s", c->file->name);
    r = fmt_spooled_new(c->opts.spool_dirfd, column, c->opts.spool_level, &c->spooled, err);
    r = spooled(c, r, err);
    while (r == 0 && (c->buf.len || !c->ended)) {
        ingest_utf8_feed(&utf8, c->buf.data, c->buf.len);
        r = spooled(c, fmt_spooled_put(c->spooled, c->buf.data, c->buf.len, err), err);
        c->offset += c->buf.len;
        c->buf.len = 0;
        if (r == 0)
            r = fill(c, SPOOL_READ, err);
    }
    if (r == 0)
        r = spooled(c, fmt_spooled_end(c->spooled, err), err);
    if (r < 0) {
        base_buf_done(&head);
        return base_fail_in(err, r, "%s", c->file->name);
    }
    c->spooled_utf8 = ingest_utf8_ended(&utf8);
    c->offset = 0;
    base_buf_done(&c->buf);
    c->buf = head;
    return 0;
}

/* A whole file, however long: 1 and its block, or 0 where it was rejected. */
static int
next_file(struct ingest_cutter *c, struct ingest_block **ret_block, struct shard_error *err)
{
    const size_t most = INGEST_SPOOL_BYTES;
    size_t want = FIRST_READ;
    int r;

    if (!c->first)
        return 0;
    if (c->entry->size >= 0)
        want = (size_t)BASE_MIN((uint64_t)c->entry->size, most) + 1;
    while (!c->ended && c->buf.len <= most) {
        r = fill(c, want, err);
        if (r < 0)
            return r;
        want = BASE_MIN(BASE_MAX(want, c->buf.len) * 2, most + 1);
    }
    if (c->buf.len > most) {
        r = spool_rest(c, err);
        if (r < 0)
            return r;
    }
    if (ingest_walk_broke_off(c->walk)) {
        const uint64_t unseen = c->spooled ? c->spooled->len - c->buf.len : 0;

        fmt_spooled_unref(c->spooled);
        c->spooled = NULL;
        r = drop_half_record(c, 0, err);
        if (r == 0 && c->rejects.count)
            c->rejects.items[c->rejects.count - 1].length += unseen;
        return r;
    }
    return emit(c, c->entry, c->format, c->buf.len, ret_block, err);
}

/* Rejects that no block of data carries get a block of their own, of no rows. */
static int
emit_rejects(struct ingest_cutter *c, struct ingest_block **ret_block, struct shard_error *err)
{
    struct ingest_entry *e;
    int r;

    if (c->rejects.count == 0 && ingest_walk_rejects(c->walk)->count == 0)
        return 0;
    e = ingest_entry_new(c->file->name, "", c->file->name + c->file->below, 0, false);
    if (e == NULL)
        return base_fail(err, -ENOMEM, "%s", c->file->name);
    c->line = 1;
    c->offset = 0;
    c->first = c->ended = true;
    base_buf_reset(&c->header);
    r = emit(c, e, INGEST_TEXT, 0, ret_block, err);
    ingest_entry_unref(e);
    return r;
}

/* ------------------------------------------------------------------------- public functions */

int
ingest_cutter_open(const struct ingest_file *file, const struct ingest_cut_opts *opts,
                   struct ingest_cutter **ret_cutter, struct shard_error *err)
{
    struct ingest_cutter *c = calloc(1, sizeof(*c));
    int r;

    if (c == NULL)
        return base_fail(err, -ENOMEM, "%s", file->name);
    c->opts = *opts;
    c->file = file;
    if (c->opts.block_bytes == 0)
        c->opts.block_bytes = DEFAULT_BLOCK_BYTES;
    if (c->opts.max_record == 0)
        c->opts.max_record = DEFAULT_MAX_RECORD;
    /* sums of these two and small numbers must not wrap */
    c->opts.max_record = BASE_MIN(c->opts.max_record, SIZE_MAX / 8);
    c->opts.block_bytes = BASE_MIN(c->opts.block_bytes, SIZE_MAX / 8);
    r = ingest_walk_open(file, &c->opts.walk, &c->walk, err);
    if (r < 0) {
        ingest_cutter_close(c);
        return r;
    }
    *ret_cutter = c;
    return 0;
}

int
ingest_cutter_next(struct ingest_cutter *c, struct ingest_block **ret_block,
                   struct shard_error *err)
{
    int r;

    while (!c->done) {
        if (c->entry == NULL) {
            r = ingest_walk_next(c->walk, &c->entry, err);
            if (r < 0)
                return r;
            if (r == 0) {
                c->done = true;
                break;
            }
            r = entry_start(c, err);
            if (r < 0)
                return r;
            if (r == 0) {
                entry_done(c);
                continue;
            }
        }
        if (c->format == INGEST_FILES)
            r = next_file(c, ret_block, err);
        else if (c->format == INGEST_JSON)
            r = next_whole(c, ret_block, err);
        else
            r = next_of_records(c, ret_block, err);
        if (r != 0)
            return r;
        entry_done(c);
        if (c->rejects.count > MAX_PENDING_REJECTS)
            return emit_rejects(c, ret_block, err);
    }
    return emit_rejects(c, ret_block, err);
}

struct ingest_walk *
ingest_cutter_walk(struct ingest_cutter *c)
{
    return c->walk;
}

void
ingest_cutter_close(struct ingest_cutter *c)
{
    if (c == NULL)
        return;
    ingest_entry_unref(c->entry);
    ingest_walk_close(c->walk);
    fmt_spooled_unref(c->spooled);
    base_buf_done(&c->buf);
    base_buf_done(&c->header);
    ingest_rejects_done(&c->rejects);
    free(c);
}
