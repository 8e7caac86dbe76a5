/* Restricted shard files, read and written whole. */
#include "config.h"

#include "shardfmt/table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/arith.h"
#include "lib/compiler.h"
#include "lib/fail.h"
#include "lib/fs.h"
#include "shardfmt/open.h"

/* ------------------------------------------------------------------------------------ reading */

#define TAIL 8192u /* bytes of which the footer of a large table takes one or two thousand */

/* Before anything is allocated after what the footer says. */
static int
table_check(const struct fmt_footer *f, uint64_t file_bytes, const struct fmt_schema *schema,
            const char *path, struct shard_error *err)
{
    const uint64_t limit = FMT_TABLE_RAW_BASE + file_bytes * FMT_TABLE_RATIO_MAX;
    uint64_t raw = 0, data = 0;

    /* Columns behind those that this build knows are of a newer one, and may be ignored. */
    if (!fmt_schema_begins(&f->schema, schema))
        return base_fail(err, SHARD_ECORRUPT, "%s: not the columns that docs/format.md gives it",
                         path);
    if (f->n_groups != 1)
        return base_fail(err, SHARD_ECORRUPT, "%s: %" PRIu32 " row groups instead of one", path,
                         f->n_groups);
    /* Plain pages hold no less than they decode to; one that says otherwise (a constant, a
     * dictionary) would take memory that its bytes do not answer for. (The first sum cannot
     * overflow, nor that of data_len, which the footer's reader has checked.) */
    for (uint32_t i = 0; i < f->n_pages; i++) {
        raw += f->pages[i].raw_len;
        data += f->pages[i].data_len;
    }
    raw = BASE_MAX(raw, data);
    if (raw > limit)
        return base_fail(err, SHARD_ELIMIT,
                         "%s: %" PRIu64 " bytes that say they hold %" PRIu64 ", more than this "
                         "build takes",
                         path, file_bytes, raw);
    return 0;
}

/* Decode column c, whose pages are in t->stored; off is where that begins in the file. */
static int
column_load(struct fmt_table *t, const struct fmt_footer *f, uint32_t c, uint64_t off,
            struct base_codec *codec, const char *path, struct shard_error *err)
{
    const uint32_t first = f->chunk_first[c], n = f->chunk_first[c + 1] - first;
    const uint8_t **stored;
    int r;

    stored = calloc(n ? n : 1, sizeof(*stored));
    if (stored == NULL)
        return base_fail(err, -ENOMEM, "%s: %" PRIu32 " pages", path, n);
    for (uint32_t i = 0; i < n; i++)
        stored[i] = t->stored + (f->pages[first + i].off - off);
    r = fmt_decoded_new(&t->decoded[c]);
    if (r < 0)
        (void)base_fail(err, r, "%s", path);
    else
        r = fmt_chunk_decode(f, 0, c, stored, codec, NULL, NULL, path, t->decoded[c], &t->arrays[c],
                             err);
    free(stored);
    return r;
}

/* What to read of the file for the columns in the set: they touch, or nearly. */
static void
columns_extent(const struct fmt_footer *f, uint32_t n_columns, uint32_t columns, uint64_t *ret_off,
               uint64_t *ret_len)
{
    uint64_t begin = UINT64_MAX, end = 0, off, len;

    for (uint32_t c = 0; c < n_columns; c++) {
        if ((columns >> c & 1) == 0)
            continue;
        fmt_chunk_extent(f, 0, c, &off, &len);
        if (len) {
            begin = BASE_MIN(begin, off);
            end = BASE_MAX(end, off + len);
        }
    }
    *ret_off = begin < end ? begin : 0;
    *ret_len = begin < end ? end - begin : 0;
}

static int
columns_load(struct fmt_table *t, int fd, const struct fmt_footer *f, uint32_t columns,
             const char *path, struct shard_error *err)
{
    struct base_codec *codec = NULL;
    uint64_t off, len;
    int r;

    t->arrays = calloc(t->n_columns, sizeof(*t->arrays));
    t->decoded = calloc(t->n_columns, sizeof(*t->decoded));
    columns_extent(f, t->n_columns, columns, &off, &len);
    t->stored = base_alloc_aligned((size_t)len);
    if (t->arrays == NULL || t->decoded == NULL || t->stored == NULL)
        return base_fail(err, -ENOMEM, "%s: %" PRIu64 " bytes", path, len);
    r = base_pread_full(fd, t->stored, (size_t)len, off, path, err);
    if (r < 0)
        return r;
    r = base_codec_new(&codec);
    if (r < 0)
        return base_fail(err, r, "%s", path);
    for (uint32_t c = 0; r >= 0 && c < t->n_columns; c++)
        if (columns >> c & 1)
            r = column_load(t, f, c, off, codec, path, err);
    base_codec_free(codec);
    return r;
}

int
fmt_table_load(int dirfd, const char *path, const struct fmt_schema *schema, uint32_t columns,
               struct fmt_table *ret, struct shard_error *err)
{
    struct fmt_table t = {.n_columns = schema->n_fields};
    struct fmt_footer *f = NULL;
    int fd = -1, r;

    memset(ret, 0, sizeof(*ret));
    r = fmt_file_open(dirfd, path, &fd, &t.file_bytes, err);
    if (r < 0)
        return r;
    if (t.file_bytes > FMT_TABLE_FILE_MAX) {
        r = base_fail(err, SHARD_ELIMIT, "%s: %" PRIu64 " bytes, more than this build takes", path,
                      t.file_bytes);
        goto out;
    }
    r = fmt_footer_load(fd, t.file_bytes, t.file_bytes > FMT_TAIL_GUESS ? TAIL : 0, path, &f, err);
    if (r < 0)
        goto out;
    r = table_check(f, t.file_bytes, schema, path, err);
    if (r < 0)
        goto out;
    t.n_rows = f->n_rows;
    t.hash = f->hash;
    t.ro_compat = f->ro_compat;
    r = columns_load(&t, fd, f, columns, path, err);
    if (r < 0)
        goto out;
    *ret = t;
    memset(&t, 0, sizeof(t));
out:
    fmt_footer_free(f);
    fmt_table_done(&t);
    (void)close(fd);
    return r;
}

void
fmt_table_done(struct fmt_table *t)
{
    for (uint32_t c = 0; t->decoded && c < t->n_columns; c++)
        fmt_decoded_free(t->decoded[c]);
    free(t->decoded);
    free(t->arrays);
    free(t->stored);
    memset(t, 0, sizeof(*t));
}

/* ------------------------------------------------------------------------------------ writing */

static int
table_write(int dirfd, const char *path, const struct fmt_schema *schema,
            const struct fmt_encode_opts *opts, struct fmt_image *im, struct fmt_table_info *ret,
            struct shard_error *err)
{
    struct fmt_shard_info info = {0};
    struct fmt_writer *w = NULL;
    int r;

    r = fmt_writer_open(dirfd, path, schema, opts, &w, err);
    if (r >= 0)
        r = fmt_writer_append(w, im, err);
    if (r >= 0)
        r = fmt_writer_finish(w, &info, err);
    fmt_writer_free(w);
    free(info.group_rows);
    if (r < 0) {
        (void)unlinkat(dirfd, path, 0);
        return r;
    }
    ret->file_bytes = info.file_bytes;
    ret->hash = info.hash;
    return 0;
}

int
fmt_table_write(int dirfd, const char *path, const struct fmt_schema *schema,
                const struct fmt_column *cols, int level, struct fmt_table_info *ret,
                struct shard_error *err)
{
    const struct fmt_encode_opts opts = {.zstd_level = level, .plain_only = true};
    struct shard_array *arrays;
    struct base_codec *codec = NULL;
    struct fmt_image *im = NULL;
    int r;

    arrays = calloc(schema->n_fields, sizeof(*arrays));
    if (arrays == NULL)
        return base_fail(err, -ENOMEM, "%s", path);
    for (uint32_t c = 0; c < schema->n_fields; c++)
        fmt_column_array(&cols[c], &arrays[c]);
    r = base_codec_new(&codec);
    if (r < 0) {
        (void)base_fail(err, r, "%s", path);
        goto out;
    }
    r = fmt_image_encode(schema, arrays, &opts, codec, &im, err);
    if (r >= 0)
        r = table_write(dirfd, path, schema, &opts, im, ret, err);
out:
    fmt_image_free(im);
    base_codec_free(codec);
    free(arrays);
    return r;
}
