/* shardtool info --encodings: the footer says which encodings a column has in all; which page has which
 * one is in its head. */
#include "config.h"

#include "tools/shardtool/info_encodings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "lib/endian.h"
#include "lib/fail.h"
#include "shardfmt/decode.h"
#include "shardfmt/open.h"
#include "tools/cli.h"

static const char *const codec_names[INFO_CODECS] = {
    [FMT_CODEC_NONE] = "none", [FMT_CODEC_ZSTD] = "zstd", [FMT_CODEC_ZDICT] = "zstd+dict"};

/* How the page's values are stored. */
static unsigned
page_encoding(const struct fmt_page_in *p)
{
    return p->streams[FMT_ROLE_BYTES].data ? p->streams[FMT_ROLE_BYTES].encoding
                                           : p->streams[FMT_ROLE_VALUES].encoding;
}

/* The pieces of the page's out-of-line values. */
static int
add_pieces(const struct fmt_footer *f, uint32_t group, const struct fmt_page_in *in,
           struct info_pages *sum, struct shard_error *err)
{
    const struct fmt_stream_in *s = &in->streams[FMT_ROLE_OVERFLOW];
    const struct fmt_page *pieces = f->pieces + f->piece_first[group];
    const uint32_t n = f->piece_first[group + 1] - f->piece_first[group];

    for (uint32_t at = 0; s->data && at + FMT_OVERFLOW_ENTRY <= s->len; at += FMT_OVERFLOW_ENTRY) {
        const uint32_t first = base_load_le32(s->data + at + 4);
        const uint32_t count = base_load_le32(s->data + at + 16);

        if (first > n || count > n - first)
            return base_fail(err, SHARD_ECORRUPT, "piece %" PRIu32 " of %" PRIu32, first, n);
        for (uint32_t i = first; i < first + count; i++) {
            sum->encoded += pieces[i].raw_len;
            sum->stored += pieces[i].stored_len;
        }
    }
    return 0;
}

struct reading {
    const struct fmt_footer *f;
    struct fmt_file file;
    struct base_codec *codec;
    struct base_buf stored, raw;
};

static int
add_page(struct reading *rd, uint32_t group, uint32_t column, const struct fmt_page *p,
         struct info_encodings *to, struct shard_error *err)
{
    struct fmt_page_in in;
    struct info_pages *sum;
    int r;

    base_buf_reset(&rd->stored);
    if (base_buf_reserve(&rd->stored, p->stored_len) < 0)
        return base_fail(err, -ENOMEM, "a page of %" PRIu32 " bytes", p->stored_len);
    r = fmt_file_read(&rd->file, p->off, rd->stored.data, p->stored_len, err);
    if (r == 0)
        r = fmt_page_unpack(p, rd->stored.data, rd->codec,
                            rd->f->zdicts.of ? rd->f->zdicts.of[column] : NULL, &rd->raw, err);
    if (r == 0)
        r = fmt_page_parse(rd->raw.data, rd->raw.len, p->n_rows, &in, err);
    if (r < 0)
        return r;
    sum = &to->of[page_encoding(&in)][p->codec];
    sum->pages++;
    sum->raw += p->data_len;
    sum->encoded += p->raw_len;
    sum->stored += p->stored_len;
    return add_pieces(rd->f, group, &in, sum, err);
}

int
info_encodings_add(struct info_encodings *columns, const struct fmt_footer *f, int fd,
                   const char *path, struct shard_error *err)
{
    struct reading rd = {.f = f, .file = {fd, path}};
    int r = base_codec_new(&rd.codec);

    if (r < 0)
        return base_fail(err, r, "%s", path);
    for (uint64_t i = 0; i < (uint64_t)f->n_groups * f->n_columns && r == 0; i++) {
        const uint32_t c = (uint32_t)(i % f->n_columns);

        for (uint32_t p = f->chunk_first[i]; p < f->chunk_first[i + 1] && r == 0; p++) {
            r = add_page(&rd, (uint32_t)(i / f->n_columns), c, &f->pages[p], &columns[c], err);
            if (r < 0)
                r = base_fail_in(err, r, "%s: row group %" PRIu64 ", column %s, page %" PRIu32,
                                 path, i / f->n_columns, f->schema.fields[c].name,
                                 p - f->chunk_first[i]);
        }
    }
    base_buf_done(&rd.stored);
    base_buf_done(&rd.raw);
    base_codec_free(rd.codec);
    return r;
}

json_t *
info_encodings_json(const struct info_encodings *e)
{
    json_t *list = json_array();

    for (unsigned i = 0; i <= FMT_ENC_LAST; i++) {
        for (unsigned k = 0; k < INFO_CODECS; k++) {
            const struct info_pages *p = &e->of[i][k];

            if (p->pages)
                json_array_append_new(
                    list, json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "encoding",
                                    fmt_encoding_name((enum fmt_encoding)i), "codec", codec_names[k],
                                    "pages", (json_int_t)p->pages, "raw_bytes", (json_int_t)p->raw,
                                    "encoded_bytes", (json_int_t)p->encoded, "bytes",
                                    (json_int_t)p->stored, "saved_bytes",
                                    (json_int_t)p->raw - (json_int_t)p->stored));
        }
    }
    return list;
}

void
info_encodings_print_head(void)
{
    printf("\n%-32s %-9s %-9s %8s %10s %10s %10s %7s\n", "column", "encoding", "codec", "pages", "raw",
           "encoded", "stored", "saved");
}

void
info_encodings_print(const struct info_encodings *e, const char *column)
{
    for (unsigned i = 0; i <= FMT_ENC_LAST; i++) {
        for (unsigned k = 0; k < INFO_CODECS; k++) {
            const struct info_pages *p = &e->of[i][k];
            char raw[16], encoded[16], stored[16];

            if (p->pages)
                printf("%-32s %-9s %-9s %8" PRIu64 " %10s %10s %10s %6.1f%%\n", column,
                       fmt_encoding_name((enum fmt_encoding)i), codec_names[k], p->pages,
                       base_human_bytes(p->raw, raw), base_human_bytes(p->encoded, encoded),
                       base_human_bytes(p->stored, stored),
                       p->raw ? 100 - 100 * (double)p->stored / (double)p->raw : 0.0);
        }
    }
}
