/* What the pages of a dataset's split cost: zstd alone (the bar for loader and decoding), or
 * verifying and decoding them. All stored bytes are read into memory first; then threads take page
 * after page (or chunk after chunk) and throw the result away. Prints JSON.
 *
 *     bench_pages DATASET SPLIT THREADS [ROUNDS [zstd|cold|decode [COLUMN]]]
 *
 * cold: zstd, but into COLD_BUFFERS buffers in turn, all of which were written to before: as much
 * memory as a shuffling loader keeps in row groups, and more than a cache holds.
 * `bytes` are those after zstd, or those of the decoded values. bench_pages_unchecked is the same
 * program without the pages' checksums. */
#include "config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/codec.h"
#include "lib/fs.h"
#include "shardfmt/snapshot.h"

/* A chunk: its pages' stored bytes stand in memory. */
struct chunk {
    const struct fmt_footer *f;
    uint32_t group, column, n_pages;
    const struct fmt_page *pages;
    const uint8_t **stored;
};

static struct chunk *chunks;
static size_t n_chunks;
static _Atomic size_t next_chunk;
static bool decoding;

#define COLD_BUFFERS 40u /* of all threads: 16 partitions of 2 row groups, and some in flight */
#define THREADS_MAX  64u

/* A thread and what its pages are decompressed into. */
struct worker {
    pthread_t thread;
    uint8_t *bufs[COLD_BUFFERS];
    unsigned n_bufs, turn;
};
static struct worker workers[THREADS_MAX];
static uint32_t raw_max;

static void
die(const char *what, const struct shard_error *err)
{
    fprintf(stderr, "bench_pages: %s: %s\n", what, err ? err->text : "failed");
    exit(1);
}

static void
take_chunk(const struct fmt_footer *f, uint32_t group, uint32_t column, const uint8_t *file)
{
    const size_t i = (size_t)group * f->n_columns + column;
    struct chunk c = {.f = f, .group = group, .column = column};

    c.n_pages = f->chunk_first[i + 1] - f->chunk_first[i];
    c.pages = f->pages + f->chunk_first[i];
    c.stored = calloc(c.n_pages + 1u, sizeof(*c.stored));
    if (c.stored == NULL)
        die("memory", NULL);
    for (uint32_t k = 0; k < c.n_pages; k++) {
        c.stored[k] = file + c.pages[k].off;
        raw_max = c.pages[k].raw_len > raw_max ? c.pages[k].raw_len : raw_max;
    }
    chunks[n_chunks++] = c;
}

static void
take_shard(int dirfd, const struct fmt_shard_entry *e, const struct fmt_schema *schema,
           const char *column)
{
    struct shard_error err = {0};
    struct fmt_footer *f;
    uint8_t *bytes = base_alloc_aligned(e->file_bytes);
    int fd;

    if (bytes == NULL || fmt_shard_open(dirfd, e, schema, &fd, &f, &err) < 0 ||
        base_pread_full(fd, bytes, e->file_bytes, 0, e->path, &err) < 0)
        die(e->path, &err);
    (void)close(fd);
    chunks = realloc(chunks, (n_chunks + (size_t)f->n_groups * f->n_columns) * sizeof(*chunks));
    if (chunks == NULL)
        die("memory", NULL);
    for (uint32_t g = 0; g < f->n_groups; g++)
        for (uint32_t c = 0; c < f->n_columns; c++)
            if (column == NULL || strcmp(column, f->schema.fields[c].name) == 0)
                take_chunk(f, g, c, bytes); /* footer and bytes stay until the end */
}

/* Small pages share a buffer: what is cold is what large ones are written to. */
static void
unzip(const struct chunk *c, struct base_codec *codec, struct worker *w)
{
    for (uint32_t i = 0; i < c->n_pages; i++) {
        if (c->pages[i].codec != FMT_CODEC_ZSTD)
            continue;
        if (base_codec_decompress(codec, w->bufs[w->turn % w->n_bufs], c->pages[i].raw_len,
                                  c->stored[i], c->pages[i].stored_len, NULL) < 0)
            die("a page", NULL);
        w->turn += c->pages[i].raw_len > raw_max / 2;
    }
}

static void
worker_init(struct worker *w, unsigned n_bufs)
{
    for (w->n_bufs = 0; w->n_bufs < n_bufs; w->n_bufs++) {
        uint8_t *buf = base_alloc_aligned(raw_max);

        if (buf == NULL)
            die("memory", NULL);
        memset(buf, 1, raw_max);
        w->bufs[w->n_bufs] = buf;
    }
}

static void *
work(void *arg)
{
    struct base_codec *codec = NULL;
    struct fmt_decoded *d = NULL;
    struct shard_error err = {0};
    struct shard_array array;
    size_t i;

    if (base_codec_new(&codec) < 0 || fmt_decoded_new(&d) < 0)
        die("memory", NULL);
    while ((i = atomic_fetch_add(&next_chunk, 1)) < n_chunks) {
        const struct chunk *c = &chunks[i];

        if (!decoding)
            unzip(c, codec, arg);
        else if (fmt_chunk_decode(c->f, c->group, c->column, c->stored, codec, NULL, NULL,
                                  "shard", d, &array, &err) < 0)
            die("a chunk", &err);
    }
    fmt_decoded_free(d);
    base_codec_free(codec);
    return NULL;
}

static void
run(unsigned n_threads)
{
    atomic_store(&next_chunk, 0);
    for (unsigned t = 0; t < n_threads; t++)
        if (pthread_create(&workers[t].thread, NULL, work, &workers[t]) != 0)
            die("a thread", NULL);
    for (unsigned t = 0; t < n_threads; t++)
        (void)pthread_join(workers[t].thread, NULL);
}

int
main(int argc, char **argv)
{
    struct shard_dataset *ds;
    struct shard_error err;
    const struct fmt_snapshot *s;
    const char *column;
    uint64_t bytes = 0, wall, cpu;
    size_t n_pages = 0;
    unsigned n_threads, rounds;

    if (argc < 4 || (n_threads = (unsigned)atoi(argv[3])) < 1 || n_threads > THREADS_MAX) {
        fputs("usage: bench_pages DATASET SPLIT THREADS [ROUNDS [zstd|cold|decode "
              "[COLUMN]]]\n", stderr);
        return 2;
    }
    rounds = argc > 4 ? (unsigned)atoi(argv[4]) : 1;
    decoding = argc > 5 && strcmp(argv[5], "decode") == 0;
    const bool cold = argc > 5 && strcmp(argv[5], "cold") == 0;
    column = argc > 6 ? argv[6] : NULL;
    if (shard_dataset_open(argv[1], &ds, &err) < 0)
        die(argv[1], &err);
    s = fmt_dataset_snapshot(ds);
    for (size_t i = 0; i < s->n_shards; i++)
        if (strcmp(s->shards[i].split, argv[2]) == 0)
            take_shard(fmt_dataset_dirfd(ds), &s->shards[i], &s->schema, column);
    for (size_t i = 0; i < n_chunks; i++) {
        n_pages += chunks[i].n_pages;
        for (uint32_t k = 0; k < chunks[i].n_pages; k++)
            bytes += decoding ? chunks[i].pages[k].data_len : chunks[i].pages[k].raw_len;
    }
    for (unsigned t = 0; t < n_threads; t++)
        worker_init(&workers[t], cold ? (COLD_BUFFERS + n_threads - 1) / n_threads : 1);
    run(n_threads); /* once for the caches and for zstd's contexts */
    wall = base_now_ns();
    cpu = base_cpu_ns();
    for (unsigned r = 0; r < rounds; r++)
        run(n_threads);
    wall = base_now_ns() - wall;
    cpu = base_cpu_ns() - cpu;
    printf("{\"pages\": %zu, \"bytes\": %llu, \"seconds\": %.4f, \"cpu_seconds\": %.4f, "
           "\"bytes_per_second\": %.0f}\n", n_pages, (unsigned long long)bytes * rounds,
           (double)wall / 1e9, (double)cpu / 1e9, (double)bytes * rounds * 1e9 / (double)wall);
    return 0;
}
