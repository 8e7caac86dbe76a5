/* The pages of datasets compressed again at several levels of zstd, by their size and by whether they
 * are of strings: what the default level of each is chosen by. Prints bytes and processor time in percent
 * of level 3's; the time is the least of ROUNDS.
 *
 *     bench_levels DATASET... */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/codec.h"
#include "lib/compiler.h"
#include "lib/fs.h"
#include "shardfmt/snapshot.h"

#define ROUNDS 5

struct page {
    uint8_t *raw;
    uint32_t len;
    bool text;
};
static struct page *pages;
static size_t n_pages;
static struct base_codec *codec;

static const uint32_t limits[] = {4u << 10, 16u << 10, 128u << 10, 256u << 10, UINT32_MAX};
static const int levels[] = {3, 1, 4, 6, BASE_LEVEL_TEXT};

static void
die(const char *what, const struct shard_error *err)
{
    fprintf(stderr, "bench_levels: %s: %s\n", what, err ? err->text : "failed");
    exit(1);
}

static void
take_page(const struct fmt_page *p, const uint8_t *stored, bool text)
{
    struct shard_error err = {0};
    struct page page = {malloc(p->raw_len), p->raw_len, text};

    if (page.raw == NULL)
        die("memory", NULL);
    if (base_codec_decompress(codec, page.raw, p->raw_len, stored, p->stored_len, &err) < 0)
        die("a page", &err);
    pages[n_pages++] = page;
}

/* Pages without zstd are left out: no level made anything of them. */
static void
take_shard(int dirfd, const struct fmt_shard_entry *e, const struct fmt_schema *schema)
{
    struct shard_error err = {0};
    uint8_t *bytes = base_alloc_aligned(e->file_bytes);
    struct fmt_footer *f = NULL;
    int fd;

    if (bytes == NULL || fmt_shard_open(dirfd, e, schema, &fd, &f, &err) < 0 ||
        base_pread_full(fd, bytes, e->file_bytes, 0, e->path, &err) < 0)
        die(e->path, &err);
    pages = realloc(pages, (n_pages + f->n_pages) * sizeof(*pages));
    if (pages == NULL)
        die("memory", NULL);
    for (uint32_t i = 0; i < f->n_groups * f->n_columns; i++) {
        const enum fmt_kind kind = fmt_field_type(&f->schema.fields[i % f->n_columns]).kind;

        for (uint32_t k = f->chunk_first[i]; k < f->chunk_first[i + 1]; k++)
            if (f->pages[k].codec == FMT_CODEC_ZSTD)
                take_page(&f->pages[k], bytes + f->pages[k].off,
                          kind == FMT_KIND_BYTES || kind == FMT_KIND_STRINGS);
    }
    (void)close(fd);
    fmt_footer_free(f);
    free(bytes);
}

/* The pages of more than `over` bytes and of `limit` at most. */
static void
measure(bool text, uint32_t over, uint32_t limit, uint8_t *out, size_t cap)
{
    uint64_t stored[BASE_ARRAY_LEN(levels)], ns[BASE_ARRAY_LEN(levels)], raw = 0;
    size_t n = 0;

    for (int round = 0; round < ROUNDS; round++)
        for (size_t l = 0; l < BASE_ARRAY_LEN(levels); l++) {
            const uint64_t before = base_cpu_ns();
            uint64_t took;

            stored[l] = raw = n = 0;
            for (size_t i = 0; i < n_pages; i++) {
                int64_t r;

                if (pages[i].text != text || pages[i].len <= over || pages[i].len > limit)
                    continue;
                r = base_codec_compress(codec, levels[l], out, cap, pages[i].raw, pages[i].len);
                if (r < 0)
                    die("zstd", NULL);
                stored[l] += (uint64_t)r;
                raw += pages[i].len;
                n++;
            }
            took = base_cpu_ns() - before;
            ns[l] = round == 0 ? took : BASE_MIN(took, ns[l]);
        }
    if (n == 0)
        return;
    printf("| %s, ", text ? "strings" : "others");
    if (limit == UINT32_MAX)
        printf("more");
    else
        printf("to %u KiB", limit >> 10);
    printf(" | %zu | %.1f |", n, (double)raw / 1e6);
    for (size_t l = 1; l < BASE_ARRAY_LEN(levels); l++)
        printf(" %.1f, %.0f |", 100 * (double)stored[l] / (double)stored[0],
               100 * (double)ns[l] / (double)ns[0]);
    printf("\n");
}

int
main(int argc, char **argv)
{
    const size_t cap = base_codec_bound(FMT_PAGE_RAW_LIMIT);
    uint8_t *out = malloc(cap);

    if (argc < 2) {
        fputs("usage: bench_levels DATASET...\n", stderr);
        return 2;
    }
    if (out == NULL || base_codec_new(&codec) < 0)
        die("memory", NULL);
    for (int i = 1; i < argc; i++) {
        const struct fmt_snapshot *s;
        struct shard_dataset *ds;
        struct shard_error err;

        if (shard_dataset_open(argv[i], &ds, &err) < 0)
            die(argv[i], &err);
        s = fmt_dataset_snapshot(ds);
        for (size_t k = 0; k < s->n_shards; k++)
            take_shard(fmt_dataset_dirfd(ds), &s->shards[k], &s->schema);
        shard_dataset_close(ds);
    }
    printf("| pages of | pages | MB | level 1 | level 4 | level 6 | level 3 for text |\n"
           "|---|---|---|---|---|---|---|\n");
    for (int text = 1; text >= 0; text--)
        for (size_t k = 0; k < BASE_ARRAY_LEN(limits); k++)
            measure(text != 0, k ? limits[k - 1] : 0, limits[k], out, cap);
    return 0;
}
