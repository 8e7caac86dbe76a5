/* What the sizes of pages and row groups and the level of zstd cost and give, on one kind of data:
 * bytes stored of 100 raw, encoding and scanning in MB/s of raw bytes, and bytes and time for a row at
 * random. One thread, everything in memory.
 *
 *     bench_defaults dataset DIR [BYTES]      the first rows of a dataset, all columns
 *     bench_defaults images FILE [BYTES]      IDX file of 28x28 bytes as tensor<uint8,28,28>
 *     bench_defaults tokens FILE [BYTES]      words of lines of text as list<uint16>
 *     bench_defaults tensors - [BYTES]        invented tensor<float32,256>
 *
 * BYTES is how much of it: default 32 MiB. */
#include "config.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/compiler.h"
#include "lib/fs.h"
#include "shardfmt/column.h"
#include "shardfmt/snapshot.h"
#include "tests/random.h"
#include "tests/shard_util.h"

#define N_ROWS 200 /* rows taken at random */

static uint64_t want = 32u << 20;

static void
must(int r, const struct shard_error *err)
{
    if (r < 0) {
        (void)fprintf(stderr, "bench_defaults: %d %s\n", r, err ? err->text : "");
        exit(1);
    }
}

/* ------------------------------------------------------------------------------------ the data */

struct table {
    struct fmt_schema schema;
    struct fmt_column *columns;
    uint64_t n_rows, raw_bytes;
};

static struct fmt_column *
one_column(struct table *t, struct shard_field f)
{
    f.name = "c";
    must(fmt_schema_add_field(&t->schema, &f), NULL);
    t->columns = calloc(1, sizeof(*t->columns));
    must(t->columns ? 0 : -1, NULL);
    fmt_column_init_field(&t->columns[0], &f);
    return &t->columns[0];
}

static void
load_file(const char *path, struct base_buf *b)
{
    struct shard_error err = {0};

    must(base_read_file(AT_FDCWD, path, 1u << 30, b, &err), &err);
}

static void
make_images(struct table *t, const char *path)
{
    struct fmt_column *c = one_column(t, (struct shard_field){.type = SHARD_TYPE_TENSOR,
                                                              .elem = SHARD_TYPE_UINT8,
                                                              .n_dims = 2,
                                                              .dims = {28, 28}});
    struct base_buf b = {0};

    load_file(path, &b);
    for (size_t at = 16; at + 784 <= b.len && c->values.len < want; at += 784)
        must(fmt_column_append_tensor(c, b.data + at), NULL);
    base_buf_done(&b);
}

static void
make_tensors(struct table *t)
{
    struct fmt_column *c = one_column(t, (struct shard_field){.type = SHARD_TYPE_TENSOR,
                                                              .elem = SHARD_TYPE_FLOAT32,
                                                              .n_dims = 1,
                                                              .dims = {256}});
    uint64_t state = 1;
    float row[256];

    while (c->values.len < want) {
        for (int i = 0; i < 256; i++) {
            double sum = -2;

            for (int k = 0; k < 4; k++)
                sum += (double)(test_random(&state) >> 11) * 0x1p-53;
            row[i] = (float)sum;
        }
        must(fmt_column_append_tensor(c, row), NULL);
    }
}

/* A number for each word, in the order of first use, as a vocabulary would have. */
static void
make_tokens(struct table *t, const char *path)
{
    enum { TABLE = 1 << 20 };
    struct fmt_column *c = one_column(t, (struct shard_field){.type = SHARD_TYPE_LIST,
                                                              .elem = SHARD_TYPE_UINT16});
    uint64_t *keys = calloc(TABLE, sizeof(*keys));
    uint16_t *ids = calloc(TABLE, sizeof(*ids)), row[65536], n_ids = 0;
    struct base_buf b = {0};
    size_t n = 0;

    must(keys && ids ? 0 : -1, NULL);
    load_file(path, &b);
    for (size_t at = 0, end; at < b.len && c->values.len < want; at = end + 1) {
        uint64_t key;
        uint32_t slot;

        for (end = at; end < b.len && b.data[end] != ' ' && b.data[end] != '\n'; end++)
            ;
        key = base_hash64(b.data + at, end - at, 0) | 1;
        for (slot = (uint32_t)(key >> 32) % TABLE; keys[slot] && keys[slot] != key;
             slot = (slot + 1) % TABLE)
            ;
        if (keys[slot] == 0) {
            keys[slot] = key;
            ids[slot] = n_ids < UINT16_MAX ? n_ids++ : n_ids;
        }
        row[n++] = ids[slot];
        if (end == b.len || b.data[end] == '\n' || n == BASE_ARRAY_LEN(row)) {
            must(fmt_column_append_list(c, row, n), NULL);
            n = 0;
        }
    }
    base_buf_done(&b);
    free(keys);
    free(ids);
}

static void
take_dataset(struct table *t, const char *path)
{
    struct shard_error err = {0};
    struct shard_dataset *ds;
    struct shard_group *g;
    uint64_t bytes = 0;

    must(shard_dataset_open(path, &ds, &err), &err);
    must(shard_group_new(&g), NULL);
    must(fmt_schema_copy(&t->schema, fmt_dataset_schema(ds)), NULL);
    t->columns = calloc(t->schema.n_fields, sizeof(*t->columns));
    must(t->columns ? 0 : -1, NULL);
    for (uint32_t c = 0; c < t->schema.n_fields; c++)
        fmt_column_init_field(&t->columns[c], &t->schema.fields[c]);
    for (uint64_t i = 0; i < shard_dataset_n_groups(ds) && bytes < want; i++) {
        must(shard_dataset_read_group(ds, i, NULL, 0, g, &err), &err);
        for (uint32_t c = 0; c < t->schema.n_fields; c++) {
            const struct shard_array *a = shard_group_array(g, c);

            must(fmt_column_append_run(&t->columns[c], a, 0, a->n_rows), NULL);
            bytes += fmt_array_raw_bytes(a, 0, a->n_rows);
        }
    }
    shard_group_free(g);
    shard_dataset_close(ds);
}

/* --------------------------------------------------------------------------------- the figures */

struct config {
    uint64_t group_bytes; /* 0: the default */
    uint32_t page_bytes;
    int level;
};

/* Arrays of the table cut into row groups of about so many bytes: [group * n_fields + column]. */
static struct shard_array *
cut(const struct table *t, uint64_t group_bytes, uint32_t *ret_n)
{
    const uint32_t n_fields = t->schema.n_fields;
    const uint64_t limit = group_bytes ? group_bytes : fmt_group_raw_limit(n_fields);
    const uint64_t n = (t->raw_bytes + limit - 1) / limit;
    struct fmt_column *parts = calloc(n * n_fields, sizeof(*parts));
    struct shard_array *arrays = calloc(n * n_fields, sizeof(*arrays)), whole;

    must(parts && arrays ? 0 : -1, NULL);
    for (uint64_t g = 0; g < n; g++)
        for (uint32_t c = 0; c < n_fields; c++) {
            const uint64_t row0 = t->n_rows * g / n, row1 = t->n_rows * (g + 1) / n;
            struct fmt_column *part = &parts[g * n_fields + c];

            fmt_column_init_field(part, &t->schema.fields[c]);
            fmt_column_array(&t->columns[c], &whole);
            must(fmt_column_append_run(part, &whole, row0, row1 - row0), NULL);
            fmt_column_array(part, &arrays[g * n_fields + c]); /* parts stay until the end */
        }
    *ret_n = (uint32_t)n;
    return arrays;
}

struct reader {
    const struct fmt_footer *f;
    const struct base_buf *file;
    struct base_codec *codec;
    struct fmt_decoded *d;
};

static void
decode(const struct reader *r, uint32_t g, uint32_t c, uint32_t first, uint32_t n)
{
    const uint8_t **stored = calloc(n + 1u, sizeof(*stored));
    const struct fmt_page *pages =
        r->f->pages + r->f->chunk_first[(size_t)g * r->f->n_columns + c] + first;
    struct shard_error err = {0};
    struct shard_array a;

    must(stored ? 0 : -1, NULL);
    for (uint32_t i = 0; i < n; i++)
        stored[i] = r->file->data + pages[i].off;
    must(fmt_pages_decode(r->f, g, c, first, n, stored, r->codec, shard_util_read,
                          (void *)(uintptr_t)r->file, "x", r->d, &a, &err), &err);
    free(stored);
}

static void
scan(const struct reader *r)
{
    for (uint32_t g = 0; g < r->f->n_groups; g++)
        for (uint32_t c = 0; c < r->f->n_columns; c++) {
            const size_t chunk = (size_t)g * r->f->n_columns + c;

            decode(r, g, c, 0, r->f->chunk_first[chunk + 1] - r->f->chunk_first[chunk]);
        }
}

/* All columns of one row; returns the bytes of the pages that it stands in. */
static uint64_t
one_row(const struct reader *r, uint64_t row)
{
    uint64_t bytes = 0;
    uint32_t g = 0;

    for (; row >= r->f->group_rows[g]; g++)
        row -= r->f->group_rows[g];
    for (uint32_t c = 0; c < r->f->n_columns; c++) {
        const struct fmt_page *p = r->f->pages + r->f->chunk_first[(size_t)g * r->f->n_columns + c];
        uint64_t at = row;
        uint32_t i = 0;

        for (; at >= p[i].n_rows; i++)
            at -= p[i].n_rows;
        bytes += p[i].stored_len;
        decode(r, g, c, i, 1);
    }
    return bytes;
}

static double
seconds(uint64_t t0)
{
    return (double)(base_now_ns() - t0) / 1e9;
}

static void
measure(const struct table *t, const struct config *k)
{
    const struct fmt_encode_opts opts = {.zstd_level = k->level, .page_bytes = k->page_bytes};
    struct base_buf file = {0};
    struct fmt_shard_info info = {0};
    struct fmt_footer *f = NULL;
    struct shard_error err = {0};
    struct reader r = {.file = &file};
    uint32_t n_groups;
    struct shard_array *arrays = cut(t, k->group_bytes, &n_groups);
    uint64_t t0 = base_now_ns(), state = 7, bytes = 0;
    double enc, dec = 1e9, take;

    must(shard_util_write(&t->schema, &opts, arrays, n_groups, &file, &info, &err), &err);
    enc = seconds(t0);
    must(shard_util_load(file.data, file.len, 0, &f, &err), &err);
    must(base_codec_new(&r.codec), NULL);
    must(fmt_decoded_new(&r.d), NULL);
    r.f = f;
    for (int round = 0; round < 3; round++) {
        double s;

        t0 = base_now_ns();
        scan(&r);
        s = seconds(t0);
        dec = BASE_MIN(dec, s);
    }
    t0 = base_now_ns();
    for (int i = 0; i < N_ROWS; i++)
        bytes += one_row(&r, test_random(&state) % t->n_rows);
    take = seconds(t0);
    printf("%8.2f %8.2f %5d %9.2f %8.0f %8.0f %11.1f %10.1f\n",
           (double)(k->group_bytes ? k->group_bytes : fmt_group_raw_limit(t->schema.n_fields)) /
               1048576,
           (double)(k->page_bytes ? k->page_bytes : FMT_PAGE_RAW_MAX) / 1024, k->level,
           100 * (double)file.len / (double)t->raw_bytes, (double)t->raw_bytes / enc / 1e6,
           (double)t->raw_bytes / dec / 1e6, (double)bytes / N_ROWS / 1024, take * 1e6 / N_ROWS);
    (void)fflush(stdout);
    fmt_footer_free(f);
    fmt_decoded_free(r.d);
    base_codec_free(r.codec);
    base_buf_done(&file);
    free(info.group_rows);
    free(arrays);
}

int
main(int argc, char **argv)
{
    static const struct config configs[] = {
        {0, 4096, 3},     {0, 16384, 3},    {0, 65536, 3}, {0, 262144, 3}, {0, 1u << 20, 3},
        {0, 0, 3},        {1u << 20, 0, 3}, {4u << 20, 0, 3}, {16u << 20, 0, 3},
        {64u << 20, 0, 3}, {0, 0, 0},       {0, 0, 1},     {0, 0, 6},      {0, 0, 9},
    };
    struct table t = {0};

    if (argc < 3)
        return fputs("usage: bench_defaults dataset|images|tokens|tensors FILE [BYTES]\n", stderr), 2;
    if (argc > 3)
        want = strtoull(argv[3], NULL, 10);
    fmt_schema_init(&t.schema);
    if (strcmp(argv[1], "images") == 0)
        make_images(&t, argv[2]);
    else if (strcmp(argv[1], "tokens") == 0)
        make_tokens(&t, argv[2]);
    else if (strcmp(argv[1], "tensors") == 0)
        make_tensors(&t);
    else
        take_dataset(&t, argv[2]);
    for (uint32_t c = 0; c < t.schema.n_fields; c++) {
        struct shard_array a;

        fmt_column_array(&t.columns[c], &a);
        t.raw_bytes += fmt_array_raw_bytes(&a, 0, a.n_rows);
        t.n_rows = a.n_rows;
    }
    must(t.n_rows ? 0 : -1, NULL);
    printf("%u columns, %llu rows, %llu raw bytes\n%8s %8s %5s %9s %8s %8s %11s %10s\n",
           t.schema.n_fields, (unsigned long long)t.n_rows, (unsigned long long)t.raw_bytes,
           "group", "page", "level", "stored", "encode", "scan", "random row", "random row");
    printf("%8s %8s %5s %9s %8s %8s %11s %10s\n", "MiB", "KiB", "", "% of raw", "MB/s", "MB/s",
           "KiB read", "us");
    for (size_t i = 0; i < BASE_ARRAY_LEN(configs); i++)
        measure(&t, &configs[i]);
    return 0;
}
