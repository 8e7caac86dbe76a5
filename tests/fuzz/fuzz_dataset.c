/* Fuzz target: a dataset whose one shard is anything. Input: as that of fuzz_footer.c. What loads is
 * published as a snapshot, and then read as users do: row groups, rows by number, values as streams,
 * verification. Where verification finds nothing every row can be read, and the other way round; rows
 * taken by number are those of the row groups. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/compiler.h"
#include "shardfmt/footer_write.h"
#include "shardfmt/manifest.h"
#include "shardfmt/rowhash.h"
#include "shardfmt/shard_stats.h"
#include "tests/fmt_util.h"
#include "tests/fuzz/fuzz_table.h"

#define ROWS_MAX    3000u
#define COLUMNS_MAX 16u

/* What a writer would have said about the file. */
static void
info_make(const struct fmt_footer *f, size_t file_len, struct fmt_shard_info *ret)
{
    *ret = (struct fmt_shard_info){.n_rows = f->n_rows,
                                   .file_bytes = file_len,
                                   .n_groups = f->n_groups,
                                   .footer_bytes = (uint32_t)(file_len - f->footer_off),
                                   .group_rows = f->group_rows,
                                   .hash = f->hash};
}

/* The dataset of the file, published. Returns whether that can be. */
static bool
publish(const struct fmt_footer *f, const struct base_buf *file, struct shard_error *err)
{
    char hex[BASE_HEX128_LEN + 1], path[256];
    struct fmt_shard_info info;
    struct fmt_table_info table;
    struct fmt_snapshot s;
    bool ok;

    fmt_snapshot_init(&s);
    base_hex128(f->hash, hex);
    (void)snprintf(path, sizeof(path), "shards/x-%s.shard", hex);
    info_make(f, file->len, &info);
    ok = fmt_schema_copy(&s.schema, &f->schema) == 0 &&
         fmt_snapshot_add_shard(&s, path, "train", &info) == 0;
    if (ok) {
        fuzz_write_file(file, path, &table);
        ok = fmt_publish(fuzz_dataset(), 0, &s, err) == 0;
        if (!ok)
            (void)unlinkat(fuzz_dataset(), path, 0);
    }
    fmt_snapshot_done(&s);
    return ok;
}

/* Rows of group g by number, backwards, are those of the row group. */
static void
check_taken(struct shard_taker *t, const struct shard_group_info *info, const struct shard_group *g,
            const uint32_t *cols, uint32_t n_cols)
{
    uint64_t *rows = calloc(info->n_rows + 1u, sizeof(*rows)), at;
    struct shard_error err = {0};
    uint32_t n = 0;

    fuzz_must(rows != NULL, "memory");
    for (uint32_t i = info->n_rows; i > 0; i -= BASE_MIN(i, 3u))
        rows[n++] = info->row0 + i - 1;
    fuzz_must(shard_taker_take(t, rows, n, cols, n_cols, &err) == 0, err.text);
    for (uint32_t c = 0; c < n_cols; c++) {
        const struct shard_array *a = shard_taker_array(t, c);

        fuzz_touch(a);
        for (uint32_t i = 0; i < n; i++)
            fuzz_must(fmt_util_equal(a, i, shard_group_array(g, c), rows[i] - info->row0, 1, &at),
                      "another row is taken");
    }
    free(rows);
}

/* The value of the first row of a column of strings, as a stream. */
static void
check_value(struct shard_dataset *ds, uint64_t row0, uint32_t col, const struct shard_array *a)
{
    struct shard_error err = {0};
    struct shard_value *v = NULL;
    uint8_t bytes[256];
    int64_t n;

    if (a->type != SHARD_TYPE_STRING && a->type != SHARD_TYPE_BINARY)
        return;
    fuzz_must(shard_value_open(ds, row0, col, &v, &err) == 0, err.text);
    fuzz_must(shard_value_is_null(v) == fmt_array_is_null(a, 0), "another null as a stream");
    fuzz_must(shard_value_size(v) == (uint64_t)a->offsets[1], "another size as a stream");
    n = shard_value_read(v, bytes, sizeof(bytes), &err);
    fuzz_must(n == BASE_MIN(a->offsets[1], (int64_t)sizeof(bytes)), "less as a stream");
    fuzz_must(n <= 0 || memcmp(bytes, a->values, (size_t)n) == 0, "another value as a stream");
    shard_value_close(v);
}

struct reading {
    struct shard_dataset *ds;
    struct shard_taker *taker;
    struct shard_group *g;
    struct fmt_rowhash *hash;
    uint32_t cols[COLUMNS_MAX], n_cols; /* of types that this build knows */
    bool damaged;                       /* verification says so */
};

static void
reading_begin(struct reading *r, struct shard_dataset *ds, bool damaged)
{
    const struct shard_taker_opts opts = {
        .struct_size = sizeof(opts), .threads = 1, .io = SHARD_IO_PREAD, .depth = 1};
    const struct fmt_schema *s = fmt_dataset_schema(ds);
    struct shard_error err = {0};

    *r = (struct reading){.ds = ds, .damaged = damaged};
    for (uint32_t c = 0; c < s->n_fields; c++)
        if (fmt_field_type(&s->fields[c]).kind != FMT_KIND_UNKNOWN)
            r->cols[r->n_cols++] = c;
    fuzz_must(shard_taker_open(ds, &opts, &r->taker, &err) == 0, err.text);
    fuzz_must(shard_group_new(&r->g) == 0 && fmt_rowhash_new(s, r->cols, r->n_cols, &r->hash) == 0,
              "memory");
}

static void
reading_end(struct reading *r)
{
    fmt_rowhash_free(r->hash);
    shard_group_free(r->g);
    shard_taker_close(r->taker);
}

/* Lengths by themselves are those of the values, from an index, too: verification compares them. */
static void
check_lengths(struct reading *r, uint64_t group, uint32_t i, const struct shard_array *a)
{
    struct shard_error err = {0};
    struct shard_group *g = NULL;
    const uint32_t *lens;
    int ret;

    if (a->offsets == NULL)
        return;
    fuzz_must(shard_group_new(&g) == 0, "memory");
    ret = shard_dataset_read_lengths(r->ds, group, r->cols[i], g, &err);
    lens = ret < 0 ? NULL : shard_group_array(g, 0)->values;
    for (uint64_t k = 0; lens && k < a->n_rows; k++)
        fuzz_must(lens[k] == (uint32_t)(a->offsets[k + 1] - a->offsets[k]) || r->damaged,
                  "lengths of other values");
    fuzz_must(ret == 0 || r->damaged, err.text);
    shard_group_free(g);
}

static void
check_group(struct reading *r, uint64_t group)
{
    static struct base_hash128 hashes[ROWS_MAX];
    struct shard_array arrays[COLUMNS_MAX] = {{0}};
    struct shard_group_info info;

    shard_dataset_group_info(r->ds, group, &info);
    for (uint32_t i = 0; i < r->n_cols; i++) {
        const struct shard_array *a = shard_group_array(r->g, i);

        arrays[r->cols[i]] = *a;
        fuzz_touch(a);
        check_value(r->ds, info.row0, r->cols[i], a);
        check_lengths(r, group, i, a);
    }
    fmt_rowhash_rows(r->hash, arrays, 0, info.n_rows, hashes);
    check_taken(r->taker, &info, r->g, r->cols, r->n_cols);
}

/* Returns whether every row group could be read, as far as its columns are known. */
static bool
read_all(struct shard_dataset *ds, bool damaged)
{
    struct shard_error err = {0};
    struct reading r;
    bool all = true;

    reading_begin(&r, ds, damaged);
    for (uint64_t i = 0; i < shard_dataset_n_groups(ds) && r.n_cols; i++) {
        const int ret = shard_dataset_read_group(ds, i, r.cols, r.n_cols, r.g, &err);

        if (ret == 0)
            check_group(&r, i);
        else if (ret != SHARD_EUNSUPPORTED) /* newer than this build is no damage */
            all = false;
    }
    reading_end(&r);
    return all;
}

/* Whether all of it can be had in little time and memory. */
static bool
modest(const struct fmt_footer *f)
{
    uint64_t sum = 0;

    if (f->n_rows > ROWS_MAX || f->n_columns > COLUMNS_MAX || f->n_groups > 8)
        return false;
    for (uint32_t g = 0; g < f->n_groups; g++)
        for (uint32_t c = 0; c < f->n_columns; c++)
            sum += fmt_chunk_decoded_bound(f, g, c);
    return sum <= FUZZ_MEMORY_MAX;
}

static void
run(const struct fmt_footer *f, const struct base_buf *file)
{
    struct fmt_verify_result verified;
    struct shard_dataset *ds = NULL;
    struct shard_error err = {0};
    bool all;

    if (!modest(f) || !publish(f, file, &err))
        return;
    fuzz_must(fmt_verify(fuzz_dataset(), FMT_VERIFY_DECODE, 1, NULL, NULL, &verified, &err) == 0,
              err.text);
    fuzz_must(shard_dataset_open(fuzz_dataset_path(), &ds, &err) == 0, err.text);
    all = read_all(ds, verified.n_damages > 0);
    fuzz_must(all || verified.n_damages, "verified, but cannot be read");
    shard_dataset_close(ds);
    fuzz_dataset_empty();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    fuzz_shard(data, len, run);
    return 0;
}
