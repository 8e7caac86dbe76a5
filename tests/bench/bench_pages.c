/* zstd alone on the pages of a dataset's split, as the bar for the loader: all stored bytes are read
 * into memory first, then threads decompress page after page into a buffer of their own and throw
 * the result away. Prints JSON.
 *
 *     bench_pages DATASET SPLIT THREADS [ROUNDS] */
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

struct page {
    const uint8_t *stored;
    struct fmt_page p;
};

static struct page *pages;
static size_t n_pages;
static _Atomic size_t next_page;

static void
die(const char *what, const struct shard_error *err)
{
    fprintf(stderr, "bench_pages: %s: %s\n", what, err ? err->text : "failed");
    exit(1);
}

static void
take_shard(int dirfd, const struct fmt_shard_entry *e, const struct fmt_schema *schema)
{
    struct shard_error err = {0};
    struct fmt_footer *f;
    uint8_t *bytes = malloc(e->file_bytes);
    uint32_t i;
    int fd;

    if (bytes == NULL || fmt_shard_open(dirfd, e, schema, &fd, &f, &err) < 0 ||
        base_pread_full(fd, bytes, e->file_bytes, 0, e->path, &err) < 0)
        die(e->path, &err);
    pages = realloc(pages, (n_pages + f->n_pages) * sizeof(*pages));
    for (i = 0; pages && i < f->n_pages; i++) {
        pages[n_pages].stored = bytes + f->pages[i].off;
        pages[n_pages++].p = f->pages[i];
    }
    fmt_footer_free(f);
    (void)close(fd);
}

static void *
work(void *arg)
{
    uint8_t *raw = base_alloc_aligned(64u << 20);
    struct base_codec *codec = NULL;
    size_t i;

    (void)arg;
    if (raw == NULL || base_codec_new(&codec) < 0)
        die("memory", NULL);
    while ((i = atomic_fetch_add(&next_page, 1)) < n_pages) {
        const struct page *pg = &pages[i];

        if (pg->p.codec == FMT_CODEC_ZSTD &&
            base_codec_decompress(codec, raw, pg->p.raw_len, pg->stored, pg->p.stored_len,
                                  NULL) < 0)
            die("a page", NULL);
    }
    base_codec_free(codec);
    free(raw);
    return NULL;
}

int
main(int argc, char **argv)
{
    struct shard_dataset *ds;
    struct shard_error err;
    const struct fmt_snapshot *s;
    uint64_t raw = 0, wall, cpu;
    unsigned n_threads, rounds, r, t;
    pthread_t threads[64];
    size_t i;

    if (argc < 4 || (n_threads = (unsigned)atoi(argv[3])) < 1 || n_threads > 64) {
        fputs("usage: bench_pages DATASET SPLIT THREADS [ROUNDS]\n", stderr);
        return 2;
    }
    rounds = argc > 4 ? (unsigned)atoi(argv[4]) : 1;
    if (shard_dataset_open(argv[1], &ds, &err) < 0)
        die(argv[1], &err);
    s = fmt_dataset_snapshot(ds);
    for (i = 0; i < s->n_shards; i++)
        if (strcmp(s->shards[i].split, argv[2]) == 0)
            take_shard(fmt_dataset_dirfd(ds), &s->shards[i], &s->schema);
    for (i = 0; i < n_pages; i++)
        raw += pages[i].p.raw_len;
    wall = base_now_ns();
    cpu = base_cpu_ns();
    for (r = 0; r < rounds; r++) {
        atomic_store(&next_page, 0);
        for (t = 0; t < n_threads; t++)
            if (pthread_create(&threads[t], NULL, work, NULL) != 0)
                die("a thread", NULL);
        for (t = 0; t < n_threads; t++)
            (void)pthread_join(threads[t], NULL);
    }
    wall = base_now_ns() - wall;
    cpu = base_cpu_ns() - cpu;
    printf("{\"pages\": %zu, \"bytes\": %llu, \"seconds\": %.4f, \"cpu_seconds\": %.4f, "
           "\"bytes_per_second\": %.0f}\n", n_pages, (unsigned long long)raw * rounds,
           (double)wall / 1e9, (double)cpu / 1e9, (double)raw * rounds * 1e9 / (double)wall);
    return 0;
}
