/* Writing a shard file front to back: header, row groups as they come, footer, trailer. Memory is
 * the index gathered so far; the bytes of a row group are written from its image. */
#include "config.h"
#include "shardfmt/shard.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/arith.h"
#include "lib/compiler.h"
#include "lib/fail.h"
#include "lib/fs.h"
#include "shardfmt/footer_write.h"
#include "shardfmt/shard_stats.h"
#include "shardfmt/spooled.h"

struct fmt_writer {
    int fd;     /* -1 once finished */
    int failed; /* the first error: nothing can follow it */
    char *path; /* for messages */
    struct fmt_schema schema;
    struct fmt_encode_opts opts;
    uint64_t off, n_rows, raw_bytes;
    uint8_t header[FMT_HEADER_SIZE];
    uint32_t n_groups;
    struct base_buf groups;      /* struct fmt_group_entry */
    struct base_buf pages;       /* struct fmt_page */
    struct base_buf pieces;      /* struct fmt_page */
    struct base_buf chunk_pages; /* uint32 */
    struct base_buf lengths;     /* struct fmt_page */
    struct base_buf length_chunk; /* uint32 */
    struct base_buf stats;       /* struct fmt_chunk_stats */
    uint32_t *encodings;         /* n_columns */
    struct base_dict **zdicts;   /* n_columns: those of opts that some page needs */
    struct fmt_origin origin;
};

static const struct fmt_version version = {.major = FMT_MAJOR, .minor = FMT_MINOR};

static int
writer_put(struct fmt_writer *w, const void *data, size_t len, struct shard_error *err)
{
    int r = base_write_full(w->fd, data, len, w->path, err);

    if (r == 0)
        w->off += len;
    return r;
}

int
fmt_writer_open(int dirfd, const char *path, const struct fmt_schema *s,
                const struct fmt_encode_opts *opts, struct fmt_writer **ret_writer,
                struct shard_error *err)
{
    struct fmt_writer *w = calloc(1, sizeof(*w));
    int64_t twice;
    int r;

    if (w == NULL)
        return base_fail(err, -ENOMEM, "%s", path);
    w->fd = -1;
    w->opts = *opts;
    w->path = strdup(path);
    w->encodings = calloc((size_t)s->n_fields + 1, sizeof(*w->encodings));
    w->zdicts = calloc((size_t)s->n_fields + 1, sizeof(*w->zdicts));
    r = fmt_schema_copy(&w->schema, s);
    if (r < 0 || w->path == NULL || w->encodings == NULL || w->zdicts == NULL) {
        r = base_fail(err, -ENOMEM, "%s", path);
        goto out;
    }
    twice = fmt_schema_find_double(s);
    if (twice >= 0 || twice == -ENOMEM) {
        r = base_fail(err, twice >= 0 ? -EINVAL : -ENOMEM, "two columns named \"%s\"",
                      twice >= 0 ? s->fields[twice].name : "?");
        goto out;
    }
    w->fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (w->fd < 0) {
        r = base_fail(err, -errno, "creating %s", path);
        goto out;
    }
    fmt_header_write(&version, w->header);
    r = writer_put(w, w->header, sizeof(w->header), err);
out:
    if (r < 0)
        fmt_writer_free(w);
    else
        *ret_writer = w;
    return r;
}

/* Zeros up to the next place where a row group may begin. */
static int
writer_pad(struct fmt_writer *w, struct shard_error *err)
{
    static const uint8_t zeros[FMT_ALIGN];

    return writer_put(w, zeros, (size_t)(base_align_up(w->off, FMT_ALIGN) - w->off), err);
}

/* Move pages of an image to their place in the file. */
static void
pages_settle(struct fmt_page *pages, uint32_t n, const uint8_t *bytes, uint64_t base)
{
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *stored = bytes + pages[i].off;

        pages[i].off += base;
        pages[i].hash = base_hash64(stored, pages[i].stored_len, pages[i].off);
    }
}

/* Write one page or piece behind the last. */
static int
writer_put_page(struct fmt_writer *w, struct fmt_page *p, const uint8_t *stored,
                struct shard_error *err)
{
    const int r = p->codec == FMT_CODEC_NONE ? writer_pad(w, err) : 0;

    if (r < 0)
        return r;
    p->off = w->off;
    p->hash = base_hash64(stored, p->stored_len, p->off);
    return writer_put(w, stored, p->stored_len, err);
}

/* An image that holds spooled values: its pieces come from there and from its bytes, so that everything
 * gets a place of its own. */
static int
writer_put_spooled(struct fmt_writer *w, struct fmt_image *im, struct shard_error *err)
{
    const uint8_t *bytes = im->bytes.data;
    uint8_t *buf = malloc(FMT_INLINE_MAX);
    int r = 0;

    if (buf == NULL)
        return base_fail(err, -ENOMEM, "%s", w->path);
    for (uint32_t i = 0; i < im->n_pieces && r == 0; i++) {
        struct fmt_page *p = &im->pieces[i];
        const struct fmt_image_piece *from = &im->spooled[i];

        if (from->value)
            r = fmt_spooled_read(from->value, from->piece, buf, err);
        if (r == 0)
            r = writer_put_page(w, p, from->value ? buf : bytes + p->off, err);
    }
    for (uint32_t i = 0; i < im->n_pages && r == 0; i++)
        r = writer_put_page(w, &im->pages[i], bytes + im->pages[i].off, err);
    for (uint32_t i = 0; i < im->n_lengths && r == 0; i++)
        r = writer_put_page(w, &im->lengths[i], bytes + im->lengths[i].off, err);
    free(buf);
    return r;
}

/* The image's bytes behind what is there. */
static int
writer_put_image(struct fmt_writer *w, struct fmt_image *im, struct shard_error *err)
{
    if (im->spooled)
        return writer_put_spooled(w, im, err);
    pages_settle(im->pieces, im->n_pieces, im->bytes.data, w->off);
    pages_settle(im->pages, im->n_pages, im->bytes.data, w->off);
    pages_settle(im->lengths, im->n_lengths, im->bytes.data, w->off);
    return writer_put(w, im->bytes.data, im->bytes.len, err);
}

/* Whether the writer has the dictionaries that the image was encoded with. */
static bool
zdicts_known(const struct fmt_writer *w, const struct fmt_image *im)
{
    for (uint32_t c = 0; c < im->n_columns; c++)
        for (uint32_t i = im->chunk_first[c]; i < im->chunk_first[c + 1]; i++)
            if (im->pages[i].codec == FMT_CODEC_ZDICT &&
                (w->opts.zdicts == NULL || w->opts.zdicts->of[c] == NULL))
                return false;
    return true;
}

/* Note the group in the index to be. */
static int
writer_note(struct fmt_writer *w, const struct fmt_image *im, uint64_t off)
{
    const struct fmt_group_entry g = {off, im->n_rows, im->n_pieces};
    const size_t n = im->n_columns;

    if (base_buf_append(&w->groups, &g, sizeof(g)) < 0 ||
        base_buf_append(&w->pages, im->pages, im->n_pages * sizeof(*im->pages)) < 0 ||
        base_buf_append(&w->pieces, im->pieces, im->n_pieces * sizeof(*im->pieces)) < 0 ||
        base_buf_reserve(&w->chunk_pages, n * sizeof(uint32_t)) < 0 ||
        base_buf_append(&w->lengths, im->lengths, im->n_lengths * sizeof(*im->lengths)) < 0 ||
        base_buf_reserve(&w->length_chunk, im->n_lengths * sizeof(uint32_t)) < 0 ||
        (im->stats && base_buf_append(&w->stats, im->stats, n * sizeof(*im->stats)) < 0))
        return -ENOMEM;
    for (size_t c = 0; c < n; c++) {
        const uint32_t k = im->chunk_first[c + 1] - im->chunk_first[c];

        base_buf_put(&w->chunk_pages, &k, sizeof(k));
        w->encodings[c] |= im->encodings[c];
        for (uint32_t i = im->chunk_first[c]; i < im->chunk_first[c + 1]; i++)
            if (im->pages[i].codec == FMT_CODEC_ZDICT)
                w->zdicts[c] = w->opts.zdicts->of[c];
    }
    for (uint32_t i = 0; i < im->n_pages; i++)
        w->raw_bytes += im->pages[i].data_len;
    for (uint32_t i = 0; i < im->n_lengths; i++) {
        const uint32_t chunk = w->n_groups * im->n_columns + im->length_column[i];

        base_buf_put(&w->length_chunk, &chunk, sizeof(chunk));
    }
    w->n_rows += im->n_rows;
    w->n_groups++;
    return 0;
}

static void
writer_parts(const struct fmt_writer *w, struct fmt_footer_parts *ret)
{
    *ret = (struct fmt_footer_parts){
        .schema = &w->schema,
        .n_rows = w->n_rows,
        .n_groups = w->n_groups,
        .n_pages = (uint32_t)(w->pages.len / sizeof(struct fmt_page)),
        .n_pieces = (uint32_t)(w->pieces.len / sizeof(struct fmt_page)),
        .groups = (const void *)w->groups.data,
        .pages = (const void *)w->pages.data,
        .pieces = (const void *)w->pieces.data,
        .n_lengths = (uint32_t)(w->lengths.len / sizeof(struct fmt_page)),
        .lengths = (const void *)w->lengths.data,
        .length_chunk = (const void *)w->length_chunk.data,
        .chunk_pages = (const void *)w->chunk_pages.data,
        .stats = w->stats.len ? (const void *)w->stats.data : NULL,
        .encodings = w->encodings,
        .origin = &w->origin,
        .zdicts = w->zdicts,
    };
}

int
fmt_writer_append(struct fmt_writer *w, struct fmt_image *im, struct shard_error *err)
{
    struct fmt_footer_parts parts;
    uint64_t off;
    int r;

    if (w->failed)
        return base_fail(err, w->failed, "%s: an earlier write failed", w->path);
    for (uint32_t i = 0; i < im->n_pages; i++)
        if (im->pages[i].raw_len > FMT_PAGE_RAW_LIMIT)
            return base_fail(err, SHARD_ELIMIT, "%s: a page of %" PRIu32 " bytes", w->path,
                             im->pages[i].raw_len);
    if (im->n_columns != w->schema.n_fields || (im->stats == NULL) != w->opts.plain_only ||
        !zdicts_known(w, im))
        return base_fail(err, -EINVAL, "%s: row group of another schema or other options",
                         w->path);
    r = writer_pad(w, err);
    off = w->off;
    if (r == 0)
        r = writer_put_image(w, im, err);
    if (r == 0) {
        r = writer_note(w, im, off);
        writer_parts(w, &parts);
        if (r < 0)
            (void)base_fail(err, r, "%s", w->path);
        else if (fmt_footer_size(&parts) > FMT_FOOTER_RAW_MAX || w->n_groups > FMT_SHARD_GROUPS_MAX)
            r = base_fail(err, SHARD_ELIMIT, "%s: the footer gets too large; use fewer row groups",
                          w->path);
    }
    w->failed = r;
    return r;
}

int
fmt_writer_set_origin(struct fmt_writer *w, const char *split, uint32_t split_index, uint64_t row0)
{
    char *copy = strdup(split);

    if (copy == NULL)
        return -ENOMEM;
    free(w->origin.split);
    w->origin = (struct fmt_origin){copy, split_index, row0};
    return 0;
}

uint64_t
fmt_writer_bytes(const struct fmt_writer *w)
{
    return w->off;
}

uint64_t
fmt_writer_rows(const struct fmt_writer *w)
{
    return w->n_rows;
}

/* Compress the footer where that saves anything: into packed, else raw stays what is stored. Not that
 * of a table: it is small, and a context of zstd costs more than the rest of loading a root. */
static int
footer_compress(const struct fmt_writer *w, const struct base_buf *raw, struct base_buf *packed)
{
    struct base_codec *codec;
    int64_t n;

    if (w->opts.plain_only)
        return 0;
    if (base_buf_reserve_exact(packed, base_codec_bound(raw->len)) < 0 ||
        base_codec_new(&codec) < 0)
        return -ENOMEM;
    n = base_codec_compress(codec, BASE_MAX(w->opts.zstd_level, 3), packed->data, packed->cap,
                            raw->data, raw->len);
    base_codec_free(codec);
    if (n < 0)
        return (int)n;
    packed->len = (size_t)n < raw->len ? (size_t)n : 0;
    return 0;
}

/* Footer and trailer; fills in what can be told about the file. */
static int
writer_close_file(struct fmt_writer *w, struct fmt_shard_info *info, struct shard_error *err)
{
    struct base_buf raw = {0}, packed = {0};
    const struct base_buf *stored;
    uint8_t trailer[FMT_TRAILER_SIZE];
    struct fmt_footer_parts parts;
    int r;

    writer_parts(w, &parts);
    if (fmt_footer_write(&parts, &raw) < 0 || footer_compress(w, &raw, &packed) < 0) {
        r = base_fail(err, -ENOMEM, "%s: footer", w->path);
        goto out;
    }
    stored = packed.len ? &packed : &raw;
    fmt_trailer_write(&version, w->off, stored->data, (uint32_t)stored->len, (uint32_t)raw.len,
                      trailer);
    info->hash = fmt_content_hash(w->header, stored->data, (uint32_t)stored->len, trailer);
    info->footer_bytes = (uint32_t)stored->len + FMT_TRAILER_SIZE;
    r = writer_put(w, stored->data, stored->len, err);
    if (r == 0)
        r = writer_put(w, trailer, sizeof(trailer), err);
out:
    base_buf_done(&raw);
    base_buf_done(&packed);
    return r;
}

int
fmt_writer_finish(struct fmt_writer *w, struct fmt_shard_info *ret_info, struct shard_error *err)
{
    const struct fmt_group_entry *groups = (const void *)w->groups.data;
    struct fmt_shard_info info = {
        .n_rows = w->n_rows, .raw_bytes = w->raw_bytes, .n_groups = w->n_groups};
    int r;

    if (w->failed || w->fd < 0)
        return base_fail(err, w->failed ? w->failed : -EINVAL, "%s cannot be finished", w->path);
    info.group_rows = calloc((size_t)w->n_groups + 1, sizeof(*info.group_rows));
    if (info.group_rows == NULL)
        return base_fail(err, -ENOMEM, "%s", w->path);
    for (uint32_t g = 0; g < w->n_groups; g++)
        info.group_rows[g] = groups[g].n_rows;
    info.stats_len =
        fmt_shard_stats_make(&w->schema, w->stats.len ? (const void *)w->stats.data : NULL,
                             info.group_rows, w->n_groups, info.stats);
    r = writer_close_file(w, &info, err);
    info.file_bytes = w->off;
    if (r == 0)
        r = base_fsync(w->fd, w->path, err);
    if (close(w->fd) < 0 && r == 0)
        r = base_fail(err, -errno, "closing %s", w->path);
    w->fd = -1;
    if (r < 0)
        free(info.group_rows);
    else
        *ret_info = info;
    return r;
}

void
fmt_writer_free(struct fmt_writer *w)
{
    if (w == NULL)
        return;
    if (w->fd >= 0)
        (void)close(w->fd);
    free(w->path);
    free(w->encodings);
    free(w->zdicts);
    free(w->origin.split);
    fmt_schema_done(&w->schema);
    base_buf_done(&w->groups);
    base_buf_done(&w->pages);
    base_buf_done(&w->pieces);
    base_buf_done(&w->chunk_pages);
    base_buf_done(&w->lengths);
    base_buf_done(&w->length_chunk);
    base_buf_done(&w->stats);
    free(w);
}
