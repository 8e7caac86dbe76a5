/* Encoding the row groups of a dataset again, from memory, against zstd on the same raw bytes: the
 * buffers of each column (values, offsets, indices, validity) in runs of 4 MiB. Prints JSON.
 *
 *     bench_encode DATASET THREADS ROUNDS encode|zstd [LEVEL]
 *
 * Without LEVEL zstd has 3, and encoding what ingest has by default, which goes by the page. With it both have
 * that level everywhere. */
#include "config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "lib/clock.h"
#include "lib/codec.h"
#include "lib/compiler.h"
#include "shardfmt/snapshot.h"

#define RUN (4u << 20)

struct buffer {
    const void *data;
    size_t len;
};

static const struct fmt_schema *schema;
static struct shard_group **groups;
static uint64_t n_groups;
static _Atomic uint64_t next_group, stored;
static bool encoding;
static int level = 3;
static bool adapt;

static void
die(const char *what, const struct shard_error *err)
{
    fprintf(stderr, "bench_encode: %s: %s\n", what, err ? err->text : "failed");
    exit(1);
}

/* The buffers of a column. */
static void
buffers(const struct shard_array *a, struct buffer ret[4])
{
    const enum shard_type number = a->elem ? a->elem : a->type;
    size_t len = (size_t)a->n_values;

    if (a->type == SHARD_TYPE_BOOL)
        len = (len + 7) / 8;
    else if (a->type != SHARD_TYPE_STRING && a->type != SHARD_TYPE_BINARY)
        len *= shard_type_size(number);
    ret[0] = (struct buffer){a->values, len};
    ret[1] = (struct buffer){a->offsets, a->offsets ? (size_t)a->n_rows * sizeof(int32_t) : 0};
    ret[2] = (struct buffer){a->indices, a->indices ? (size_t)a->n_values * sizeof(uint32_t) : 0};
    ret[3] = (struct buffer){a->validity, a->validity ? (size_t)(a->n_rows + 7) / 8 : 0};
}

static uint64_t
zip(const struct buffer *b, ZSTD_CCtx *zstd, uint8_t *out)
{
    uint64_t sum = 0;

    for (size_t at = 0; at < b->len; at += RUN) {
        const size_t n = ZSTD_compressCCtx(zstd, out, ZSTD_compressBound(RUN), (const uint8_t *)b->data + at,
                                           BASE_MIN(b->len - at, RUN), level);

        if (ZSTD_isError(n))
            die("zstd", NULL);
        sum += n;
    }
    return sum;
}

static uint64_t
zip_group(const struct shard_group *g, ZSTD_CCtx *zstd, uint8_t *out)
{
    struct buffer b[4];
    uint64_t sum = 0;

    for (uint32_t c = 0; c < schema->n_fields; c++) {
        buffers(shard_group_array(g, c), b);
        for (int i = 0; i < 4; i++)
            sum += zip(&b[i], zstd, out);
    }
    return sum;
}

static uint64_t
encode_group(const struct shard_group *g, struct base_codec *codec, struct shard_array *arrays)
{
    const struct fmt_encode_opts opts = {.zstd_level = level, .zstd_adapt = adapt};
    struct shard_error err = {0};
    struct fmt_image *im = NULL;
    uint64_t n;

    for (uint32_t c = 0; c < schema->n_fields; c++)
        arrays[c] = *shard_group_array(g, c);
    if (fmt_image_encode(schema, arrays, &opts, codec, &im, &err) < 0)
        die("encoding", &err);
    n = im->bytes.len;
    fmt_image_free(im);
    return n;
}

/* A thread: its contexts serve all rounds, as those of ingest serve all row groups. */
static void *
work(void *arg)
{
    const unsigned rounds = *(const unsigned *)arg;
    struct shard_array *arrays = calloc(schema->n_fields, sizeof(*arrays));
    uint8_t *out = malloc(ZSTD_compressBound(RUN));
    ZSTD_CCtx *zstd = ZSTD_createCCtx(); /* the plain library: no setting of ours */
    struct base_codec *codec = NULL;
    uint64_t i, sum = 0;

    if (arrays == NULL || out == NULL || zstd == NULL || base_codec_new(&codec) < 0)
        die("memory", NULL);
    while ((i = atomic_fetch_add(&next_group, 1)) < n_groups * rounds)
        sum += encoding ? encode_group(groups[i % n_groups], codec, arrays)
                        : zip_group(groups[i % n_groups], zstd, out);
    atomic_fetch_add(&stored, sum);
    base_codec_free(codec);
    (void)ZSTD_freeCCtx(zstd);
    free(arrays);
    free(out);
    return NULL;
}

static uint64_t
load(const char *path)
{
    struct shard_error err = {0};
    struct shard_dataset *ds;
    struct buffer b[4];
    uint64_t bytes = 0;

    if (shard_dataset_open(path, &ds, &err) < 0)
        die(path, &err);
    schema = fmt_dataset_schema(ds);
    n_groups = shard_dataset_n_groups(ds);
    groups = calloc(n_groups + 1, sizeof(struct shard_group *));
    for (uint64_t i = 0; groups && i < n_groups; i++) {
        if (shard_group_new(&groups[i]) < 0 ||
            shard_dataset_read_group(ds, i, NULL, 0, groups[i], &err) < 0)
            die(path, &err);
        for (uint32_t c = 0; c < schema->n_fields; c++) {
            buffers(shard_group_array(groups[i], c), b);
            bytes += b[0].len + b[1].len + b[2].len + b[3].len;
        }
    }
    if (groups == NULL)
        die("memory", NULL);
    return bytes;
}

int
main(int argc, char **argv)
{
    uint64_t bytes, wall, cpu;
    pthread_t threads[64];
    unsigned n_threads, rounds;

    if (argc < 5 || (n_threads = (unsigned)atoi(argv[2])) < 1 || n_threads > 64) {
        fputs("usage: bench_encode DATASET THREADS ROUNDS encode|zstd [LEVEL]\n", stderr);
        return 2;
    }
    rounds = (unsigned)atoi(argv[3]);
    encoding = strcmp(argv[4], "encode") == 0;
    adapt = argc <= 5;
    level = adapt ? level : atoi(argv[5]);
    bytes = load(argv[1]);
    wall = base_now_ns();
    cpu = base_cpu_ns();
    for (unsigned t = 0; t < n_threads; t++)
        if (pthread_create(&threads[t], NULL, work, &rounds) != 0)
            die("a thread", NULL);
    for (unsigned t = 0; t < n_threads; t++)
        (void)pthread_join(threads[t], NULL);
    wall = base_now_ns() - wall;
    cpu = base_cpu_ns() - cpu;
    printf("{\"groups\": %llu, \"bytes\": %llu, \"stored\": %llu, \"seconds\": %.4f, "
           "\"cpu_seconds\": %.4f}\n", (unsigned long long)n_groups,
           (unsigned long long)bytes * rounds, (unsigned long long)(stored / rounds), (double)wall / 1e9,
           (double)cpu / 1e9);
    return 0;
}
