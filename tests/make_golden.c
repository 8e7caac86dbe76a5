/* Writes the golden files:
 *
 *     make_golden DIR
 *
 * replaces what DIR (tests/golden/) has of them, and files.mk, which lists them for `make dist`.
 * What is in them is said in tests/golden_util.h; when to run this, in docs/testing.md. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/endian.h"
#include "lib/fail.h"
#include "shardfmt/footer_write.h"
#include "shardfmt/rowhash.h"
#include "shardfmt/snapshot.h"
#include "shardfmt/zdict.h"
#include "tests/fmt_util.h"
#include "tests/golden_util.h"

#define TRAINED_ROWS 30000u

struct maker {
    const struct golden_file *file;
    struct fmt_schema schema;
    struct fmt_encode_opts opts;
    struct base_codec *codec;
    struct fmt_column *cols;
    struct shard_array *arrays;
    struct fmt_column_opts columns[256];
    struct fmt_zdicts zdicts;
    struct shard_error err;
};

static void
must(const struct maker *m, int r)
{
    if (r < 0) {
        (void)fprintf(stderr, "%s: %s %s\n", m->file->name, strerror(r > -1000 ? -r : 0),
                      m->err.text);
        exit(1);
    }
}

static void
fill(struct maker *m, uint64_t row0, uint64_t n)
{
    for (uint32_t c = 0; c < m->schema.n_fields; c++) {
        fmt_column_reset(&m->cols[c]);
        must(m, golden_fill(&m->schema.fields[c], row0, n, &m->cols[c]));
        fmt_column_array(&m->cols[c], &m->arrays[c]);
    }
}

static void
maker_init(struct maker *m, const struct golden_file *f)
{
    struct fmt_image *im;
    uint8_t *encodings;

    *m = (struct maker){.file = f};
    must(m, golden_schema(f, &m->schema, &encodings, &m->err));
    must(m, base_codec_new(&m->codec));
    m->cols = calloc(m->schema.n_fields, sizeof(*m->cols));
    m->arrays = calloc(m->schema.n_fields, sizeof(*m->arrays));
    must(m, m->cols && m->arrays ? 0 : -ENOMEM);
    for (uint32_t c = 0; c < m->schema.n_fields; c++) {
        fmt_column_init_field(&m->cols[c], &m->schema.fields[c]);
        m->columns[c] = (struct fmt_column_opts){
            .zstd_level = FMT_LEVEL_DEFAULT, .encoding = encodings[c]};
    }
    free(encodings);
    m->opts = (struct fmt_encode_opts){
        .zstd_level = f->zstd_level, .page_bytes = f->page_bytes, .columns = m->columns};
    if (!f->zdicts)
        return;
    fill(m, 0, TRAINED_ROWS);
    must(m, fmt_image_encode(&m->schema, m->arrays, &m->opts, m->codec, &im, &m->err));
    must(m, fmt_zdicts_train(im, &m->opts, m->codec, &m->zdicts));
    must(m, m->zdicts.of ? 0 : -ENOENT);
    fmt_image_free(im);
    m->opts.zdicts = &m->zdicts;
}

static void
maker_done(struct maker *m)
{
    for (uint32_t c = 0; c < m->schema.n_fields; c++)
        fmt_column_done(&m->cols[c]);
    free(m->cols);
    free(m->arrays);
    fmt_zdicts_done(&m->zdicts);
    base_codec_free(m->codec);
    fmt_schema_done(&m->schema);
}

static void
put_group(struct maker *m, struct fmt_writer *w, uint64_t row0, uint32_t n)
{
    struct fmt_image *im;

    fill(m, row0, n);
    must(m, fmt_image_encode(&m->schema, m->arrays, &m->opts, m->codec, &im, &m->err));
    must(m, fmt_writer_append(w, im, &m->err));
    fmt_image_free(im);
}

/* The file's footer as it is before zstd, so that it can be read with the eye. */
static void
unpack_footer(struct maker *m, int dirfd, const char *path)
{
    const struct fmt_version version = {.major = FMT_MAJOR, .minor = FMT_MINOR};
    struct base_buf file = {0}, footer = {0};
    uint32_t stored, raw;
    size_t off;

    fmt_util_read(dirfd, path, &file);
    stored = base_load_le32(file.data + file.len - 56);
    raw = base_load_le32(file.data + file.len - 52);
    off = file.len - FMT_TRAILER_SIZE - stored;
    must(m, base_buf_reserve(&footer, raw + FMT_TRAILER_SIZE));
    must(m, base_codec_decompress(m->codec, footer.data, raw, file.data + off, stored, &m->err));
    fmt_trailer_write(&version, off, footer.data, raw, raw, footer.data + raw);
    file.len = off;
    must(m, base_buf_append(&file, footer.data, raw + FMT_TRAILER_SIZE));
    fmt_util_write(dirfd, path, file.data, file.len);
    base_buf_done(&file);
    base_buf_done(&footer);
}

static void
make_file(int dirfd, const struct golden_file *f, FILE *list)
{
    struct fmt_shard_info info = {0};
    struct fmt_writer *w;
    struct maker m;
    uint64_t row = 0;
    char path[64];

    maker_init(&m, f);
    (void)snprintf(path, sizeof(path), "%s.shard", f->name);
    (void)unlinkat(dirfd, path, 0);
    must(&m, fmt_writer_open(dirfd, path, &m.schema, &m.opts, &w, &m.err));
    for (uint32_t g = 0; g < f->n_groups; row += f->group_rows[g++])
        put_group(&m, w, row, f->group_rows[g]);
    must(&m, fmt_writer_finish(w, &info, &m.err));
    fmt_writer_free(w);
    free(info.group_rows);
    if (strcmp(f->name, "tiny") == 0)
        unpack_footer(&m, dirfd, path);
    (void)fprintf(list, " \\\n\ttests/golden/%s", path);
    maker_done(&m);
}

/* A shard of the dataset: group_rows[i] rows. */
static void
make_shard(struct maker *m, int dirfd, uint32_t i, uint64_t row, struct fmt_snapshot *s)
{
    struct fmt_shard_info info = {0};
    char tmp[FMT_TMP_PATH_MAX], path[256];
    struct fmt_writer *w;
    int64_t split;

    must(m, fmt_snapshot_add_split(s, golden_splits[i]));
    for (split = 0; strcmp(s->splits[split].name, golden_splits[i]) != 0;)
        split++;
    must(m, fmt_tmp_path("shard", tmp, &m->err));
    must(m, fmt_writer_open(dirfd, tmp, &m->schema, &m->opts, &w, &m->err));
    must(m, fmt_writer_set_origin(w, golden_splits[i], (uint32_t)split, s->splits[split].n_rows));
    put_group(m, w, row, m->file->group_rows[i]);
    must(m, fmt_writer_finish(w, &info, &m->err));
    fmt_writer_free(w);
    must(m, fmt_shard_place(dirfd, tmp, FMT_DIR_SHARDS, golden_splits[i], info.hash, path, &m->err));
    must(m, fmt_snapshot_add_shard(s, path, golden_splits[i], &info));
    free(info.group_rows);
}

static void
add_fingerprint(struct maker *m, uint32_t n, struct fmt_snapshot *s)
{
    struct base_hash128 *hashes = calloc(n, sizeof(*hashes));
    struct fmt_rowhash *h;

    must(m, hashes ? 0 : -ENOMEM);
    must(m, fmt_rowhash_new(&m->schema, NULL, 0, &h));
    fill(m, 0, n);
    fmt_rowhash_rows(h, m->arrays, 0, n, hashes);
    for (uint32_t i = 0; i < n; i++)
        s->fingerprint = base_hash128_add(s->fingerprint, hashes[i]);
    fmt_rowhash_free(h);
    free(hashes);
}

/* Two snapshots, the second one with one shard more. */
static void
make_dataset(int dirfd)
{
    const struct golden_file *f = &golden_dataset;
    struct fmt_snapshot s;
    struct maker m;
    uint32_t row = 0;

    maker_init(&m, f);
    fmt_snapshot_init(&s);
    must(&m, fmt_schema_copy(&s.schema, &m.schema));
    must(&m, fmt_dataset_mkdirs(dirfd, &m.err));
    must(&m, fmt_snapshot_add_fact(&s, "option", "example", 17, 0, (struct base_hash128){0, 0},
                                   "a fact that readers skip"));
    for (uint32_t i = 0; i < f->n_groups; i++) {
        make_shard(&m, dirfd, i, row, &s);
        row += f->group_rows[i];
        if (i == 0)
            continue;
        add_fingerprint(&m, row, &s);
        must(&m, fmt_publish(dirfd, i - 1, &s, &m.err));
        fmt_snapshot_done(&s);
        must(&m, fmt_snapshot_load(dirfd, i, &s, &m.err));
        must(&m, fmt_snapshot_load_stats(dirfd, &s, &m.err));
        s.fingerprint = (struct base_hash128){0, 0};
    }
    fmt_snapshot_done(&s);
    maker_done(&m);
}

int
main(int argc, char **argv)
{
    char path[1024], **files;
    size_t n_files;
    int dirfd, fd;
    FILE *list;

    dirfd = argc == 2 ? open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (dirfd < 0) {
        (void)fprintf(stderr, "make_golden DIR\n");
        return 2;
    }
    fd = openat(dirfd, "files.mk", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    list = fd < 0 ? NULL : fdopen(fd, "w");
    if (list == NULL) {
        perror("files.mk");
        return 1;
    }
    (void)fprintf(list, "# Written by tests/make_golden.\ngolden_files =");
    for (size_t i = 0; i < golden_n_files; i++)
        make_file(dirfd, &golden_files[i], list);

    (void)snprintf(path, sizeof(path), "%s/" GOLDEN_DATASET, argv[1]);
    fmt_util_rmtree(path);
    if (mkdir(path, 0777) < 0 || (fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
        perror(path);
        return 1;
    }
    make_dataset(fd);
    (void)close(fd);
    files = fmt_util_files(path, &n_files);
    for (size_t i = 0; i < n_files; i++)
        (void)fprintf(list, " \\\n\ttests/golden/" GOLDEN_DATASET "/%s", files[i]);
    fmt_util_files_free(files, n_files);
    (void)fprintf(list, "\n");
    if (fclose(list) != 0) {
        perror("files.mk");
        return 1;
    }
    (void)close(dirfd);
    return 0;
}
