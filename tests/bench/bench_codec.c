/* How fast are encoding, decoding and hashing, next to zstd alone on the same bytes? One thread.
 *
 *     tests/bench/bench_codec [FILE]     FILE: text to make rows from; else invented words
 *
 * Prints one line per measurement: what, GB/s of decoded data (or rows/s), and a ratio where there
 * is something to compare with. Each figure is the best of several runs, pairs interleaved. */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/compiler.h"
#include "lib/fs.h"
#include "shardfmt/bitpack.h"
#include "shardfmt/rowhash.h"
#include "tests/random.h"
#include "tests/shard_util.h"

#define ROUNDS     7
#define TEXT_BYTES (16u << 20)

static void
must(int r, const struct shard_error *err)
{
    if (r < 0) {
        (void)fprintf(stderr, "bench_codec: %d %s\n", r, err ? err->text : "");
        exit(1);
    }
}

/* ------------------------------------------------------------------------------------ the data */

/* Words of the file, or invented ones. */
static void
load_text(const char *path, struct base_buf *b)
{
    struct shard_error err = {0};
    uint64_t st = 1;

    if (path) {
        must(base_read_file(AT_FDCWD, path, 64u << 20, b, &err), &err);
        return;
    }
    for (int i = 0; i < 20000; i++) {
        const uint64_t v = test_random(&st);

        must(base_buf_printf(b, "%.*s ", 2 + (int)(v % 9), &"thequickbrownfoxjumpsover"[v / 16 % 14]),
             NULL);
    }
}

/* Rows of about 235 bytes: stretches of the text with a third of the words drawn at random. */
static void
make_rows(const struct base_buf *text, struct fmt_column *c, size_t bytes)
{
    const char *t = (const char *)text->data;
    uint64_t st = 2;

    fmt_column_init(c, SHARD_TYPE_STRING, 0);
    while (c->n_values < bytes) {
        size_t at = (size_t)(test_random(&st) % (text->len - 600)), len = 0;
        const size_t want = 120 + (size_t)(test_random(&st) % 230);
        char row[1024];

        while (len < want) {
            size_t from = at, n;

            if (test_random(&st) % 3 == 0)
                from = (size_t)(test_random(&st) % (text->len - 600));
            while (t[from] != ' ' && from < text->len - 100)
                from++;
            for (n = 1; n < 30 && t[from + n] != ' '; n++)
                ;
            memcpy(row + len, t + from, n);
            len += n;
            at += n;
        }
        must(fmt_column_append_bytes(c, row, len), NULL);
    }
}

static void
make_numbers(struct fmt_column *c, enum shard_type type, unsigned bits, size_t n)
{
    uint64_t st = 3;

    fmt_column_init(c, type, 0);
    for (size_t i = 0; i < n; i++) {
        const uint64_t v = 1000 + (test_random(&st) >> (64 - bits));

        must(fmt_column_append_number(c, &v), NULL);
    }
}

/* ----------------------------------------------------------------------------- one column */

struct timing {
    double ours, zstd; /* seconds, the best */
};

static void
best(double *t, uint64_t t0)
{
    const double s = (double)(base_now_ns() - t0) / 1e9;

    if (*t == 0 || s < *t)
        *t = s;
}

/* zstd alone over the raw bytes of the pages, there and back. */
static void
zstd_alone(struct base_codec *codec, const struct fmt_footer *f, const struct base_buf *file,
           const struct base_buf *raw, int level, struct timing *enc, struct timing *dec)
{
    struct base_buf out = {0}, back = {0};
    size_t at = 0;
    uint64_t t0;

    must(base_buf_reserve(&out, base_codec_bound(8u << 20)), NULL);
    must(base_buf_reserve(&back, 8u << 20), NULL);
    t0 = base_now_ns();
    for (; at < raw->len; at += 4u << 20)
        must((int)base_codec_compress(codec, level ? level : 3, out.data, out.cap, raw->data + at,
                                      BASE_MIN(raw->len - at, 4u << 20)) < 0 ? -1 : 0, NULL);
    best(&enc->zstd, t0);
    t0 = base_now_ns();
    for (uint32_t i = 0; i < f->n_pages; i++)
        if (f->pages[i].codec == FMT_CODEC_ZSTD)
            must(base_codec_decompress(codec, back.data, f->pages[i].raw_len,
                                       file->data + f->pages[i].off, f->pages[i].stored_len, NULL),
                 NULL);
    best(&dec->zstd, t0);
    base_buf_done(&out);
    base_buf_done(&back);
}

static void
bench_column(const char *what, struct fmt_column *col, int level)
{
    const struct fmt_encode_opts opts = {.zstd_level = level};
    struct timing enc = {0, 0}, dec = {0, 0};
    struct base_buf file = {0}, raw = {0};
    struct fmt_shard_info info = {0};
    struct fmt_footer *f = NULL;
    struct fmt_decoded *d = NULL;
    struct base_codec *codec = NULL;
    struct shard_array all, out;
    struct shard_error err = {0};
    struct fmt_schema s;
    const uint8_t **stored;
    const uint8_t *values;
    uint64_t bytes;

    fmt_schema_init(&s);
    must(fmt_schema_add(&s, "c", col->type, col->elem, false, 0), NULL);
    must(base_codec_new(&codec), NULL);
    must(fmt_decoded_new(&d), NULL);
    fmt_column_array(col, &all);
    bytes = fmt_array_raw_bytes(&all, 0, all.n_rows);
    must(shard_util_write(&s, &opts, &all, 1, &file, &info, &err), &err);
    must(shard_util_load(file.data, file.len, 0, &f, &err), &err);
    values = all.values;
    must(base_buf_append(&raw, values, col->values.len), NULL);
    stored = calloc(f->n_pages, sizeof(*stored));
    for (uint32_t i = 0; i < f->n_pages; i++)
        stored[i] = file.data + f->pages[i].off;
    for (int round = 0; round < ROUNDS; round++) {
        struct fmt_image *im = NULL;
        uint64_t t0 = base_now_ns();

        must(fmt_image_encode(&s, &all, &opts, codec, &im, &err), &err);
        best(&enc.ours, t0);
        fmt_image_free(im);
        t0 = base_now_ns();
        must(fmt_chunk_decode(f, 0, 0, stored, codec, NULL, NULL, "x", d, &out, &err), &err);
        best(&dec.ours, t0);
        zstd_alone(codec, f, &file, &raw, level, &enc, &dec);
    }
    (void)printf("%-28s size %5.3f  encode %6.3f GB/s (%.2f of zstd -%d)  decode %6.2f GB/s",
                 what, (double)file.len / (double)bytes, (double)bytes / enc.ours / 1e9,
                 enc.zstd / enc.ours, level ? level : 3, (double)bytes / dec.ours / 1e9);
    if (dec.zstd > 1e-6)
        (void)printf(" (%.2f of zstd alone)", dec.zstd / dec.ours);
    (void)printf("  [0x%x]\n", f->encodings[0]);
    free(stored);
    free(info.group_rows);
    fmt_footer_free(f);
    fmt_decoded_free(d);
    base_codec_free(codec);
    base_buf_done(&file);
    base_buf_done(&raw);
    fmt_schema_done(&s);
}

/* ---------------------------------------------------------------------------------- the parts */

static void
bench_unpack(void)
{
    static uint8_t in[8192];
    static uint32_t out32[FMT_FOR_BLOCK];
    static uint64_t out64[FMT_FOR_BLOCK];

    for (size_t i = 0; i < sizeof(in); i++)
        in[i] = (uint8_t)(i * 31);
    for (unsigned w = 1; w <= 64; w = w < 32 ? w + 5 : w + 13) {
        const int n = 100000;
        double t = 0;

        for (int round = 0; round < 3; round++) {
            const uint64_t t0 = base_now_ns();

            for (int i = 0; i < n; i++) {
                if (w <= 32)
                    fmt_unpack32(in, w, out32);
                else
                    fmt_unpack64(in, w, out64);
                __asm__ volatile("" ::: "memory");
            }
            best(&t, t0);
        }
        (void)printf("unpack width %-2u               %6.1f GB/s of %d-bit values\n", w,
                     n * 1024.0 * (w <= 32 ? 4 : 8) / t / 1e9, w <= 32 ? 32 : 64);
    }
}

static void
bench_rows(struct fmt_column *col)
{
    struct fmt_rowhash *h = NULL;
    struct fmt_column to;
    struct base_hash128 *hashes = calloc(col->n_rows, sizeof(*hashes));
    uint32_t *rows = calloc(col->n_rows, sizeof(*rows));
    struct shard_array a;
    struct fmt_schema s;
    uint64_t st = 4;
    double hash = 0, gather = 0;

    fmt_schema_init(&s);
    must(fmt_schema_add(&s, "text", col->type, 0, false, 0), NULL);
    must(fmt_rowhash_new(&s, NULL, 0, &h), NULL);
    fmt_column_init(&to, col->type, 0);
    fmt_column_array(col, &a);
    for (uint64_t i = 0; i < a.n_rows; i++)
        rows[i] = (uint32_t)(test_random(&st) % a.n_rows);
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t t0 = base_now_ns();

        fmt_rowhash_rows(h, &a, 0, a.n_rows, hashes);
        best(&hash, t0);
        fmt_column_reset(&to);
        t0 = base_now_ns();
        must(fmt_column_append_rows(&to, &a, rows, a.n_rows), NULL);
        best(&gather, t0);
    }
    (void)printf("row hashes                   %6.1f million rows/s\n",
                 (double)a.n_rows / hash / 1e6);
    (void)printf("gather of rows at random     %6.1f million rows/s\n",
                 (double)a.n_rows / gather / 1e6);
    fmt_column_done(&to);
    fmt_rowhash_free(h);
    fmt_schema_done(&s);
    free(hashes);
    free(rows);
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *what;
        enum shard_type type;
        unsigned bits;
    } numbers[] = {
        {"int64 of 10 bits", SHARD_TYPE_INT64, 10},   {"int64 of 40 bits", SHARD_TYPE_INT64, 40},
        {"int32 of 3 bits", SHARD_TYPE_INT32, 3},     {"int32 of 17 bits", SHARD_TYPE_INT32, 17},
        {"uint8 of 4 bits", SHARD_TYPE_UINT8, 4},     {"float64 of any bits", SHARD_TYPE_FLOAT64, 63},
        {"float32 of 200 values", SHARD_TYPE_FLOAT32, 7},
    };
    struct base_buf text = {0};
    struct fmt_column c;

    load_text(argc > 1 ? argv[1] : NULL, &text);
    make_rows(&text, &c, TEXT_BYTES);
    bench_rows(&c);
    fmt_column_done(&c);
    make_rows(&text, &c, 3900000);
    bench_column("text, zstd 3", &c, 3);
    bench_column("text, zstd 1", &c, 1);
    bench_column("text, no zstd", &c, 0);
    fmt_column_done(&c);
    for (size_t i = 0; i < BASE_ARRAY_LEN(numbers); i++) {
        char what[64];

        make_numbers(&c, numbers[i].type, numbers[i].bits, 500000);
        for (int level = 3; level >= 0; level -= 3) {
            (void)snprintf(what, sizeof(what), "%s%s", numbers[i].what, level ? "" : ", no zstd");
            bench_column(what, &c, level);
        }
        fmt_column_done(&c);
    }
    bench_unpack();
    base_buf_done(&text);
    return 0;
}
