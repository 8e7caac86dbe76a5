#include "config.h"

#include "tests/fmt_util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fail.h"
#include "lib/fs.h"
#include "shardfmt/manifest.h"
#include "shardfmt/rowhash.h"
#include "tests/random.h"

static const struct fmt_util_spec spec_default = {0};

static const char *
spec_columns(const struct fmt_util_spec *spec)
{
    return spec->columns ? spec->columns : "row:uint64,text:string?,x:list<float32>";
}

static uint32_t
or_default(uint32_t v, uint32_t value)
{
    return v ? v : value;
}

/* ------------------------------------------------------------------------------------- values */

static uint64_t
name_hash(const char *name)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */

    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 1099511628211u;
    return h;
}

/* Text of words, some of them outside of ASCII. */
static size_t
make_text(uint64_t *state, char ret[64])
{
    static const char *const words[] = {
        "shard", "row ", "a",      "the ", "na\xc3\xafve ",    "\xe2\x82\xac",
        "",      "42 ",  "\"q\" ", "\n",   "\xf0\x9f\x90\x9f", "page "};
    const unsigned n = (unsigned)(test_random(state) % 9);
    size_t len = 0;

    for (unsigned i = 0; i < n; i++) {
        const char *w = words[test_random(state) % (sizeof(words) / sizeof(words[0]))];

        memcpy(ret + len, w, strlen(w));
        len += strlen(w);
    }
    return len;
}

/* A number of that type; floats are finite. */
static void
make_number(uint64_t *state, enum shard_type type, uint8_t ret[8])
{
    const uint64_t v = test_random(state);

    if (type == SHARD_TYPE_FLOAT32) {
        const float f = (float)(int32_t)v / 65536.0f;

        memcpy(ret, &f, sizeof(f));
    } else if (type == SHARD_TYPE_FLOAT64) {
        const double d = (double)(int64_t)v / 4294967296.0;

        memcpy(ret, &d, sizeof(d));
    } else {
        memcpy(ret, &v, 8);
        if (type == SHARD_TYPE_FLOAT16 || type == SHARD_TYPE_BFLOAT16)
            ret[1] &= 0xbf; /* the exponent is not all ones */
    }
}

/* Up to 999 elements; in every hundredth row so many that they stand out of line. */
static int
append_long(const struct shard_field *f, uint64_t *state, uint64_t row, struct fmt_column *c)
{
    const size_t size = shard_type_size(f->elem);
    const size_t n = row % 100 == 99 ? FMT_INLINE_MAX / size + 77 : test_random(state) % 1000;
    uint8_t *values = malloc(n * size + 8);
    int r;

    if (values == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const uint64_t v = test_random(state);

        memcpy(values + i * size, &v, size);
    }
    r = fmt_column_append_list(c, values, n);
    free(values);
    return r;
}

/* A row of a tensor. */
static int
fill_tensor(const struct shard_field *f, uint64_t *state, struct fmt_column *c)
{
    const size_t size = shard_type_size(f->elem);
    uint8_t *values = malloc(c->width * size + 8);
    int r;

    if (values == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < c->width; i++)
        make_number(state, f->elem, values + i * size);
    r = fmt_column_append_tensor(c, values);
    free(values);
    return r;
}

static int
fill_strings(uint64_t *state, struct fmt_column *c)
{
    const size_t n = test_random(state) % 6;
    uint32_t lens[5];
    char text[5 * 64];
    size_t len = 0;

    for (size_t i = 0; i < n; i++) {
        lens[i] = (uint32_t)make_text(state, text + len);
        len += lens[i];
    }
    return fmt_column_append_strings(c, text, lens, n);
}

static int
fill_elements(const struct shard_field *f, uint64_t *state, struct fmt_column *c)
{
    const size_t size = shard_type_size(f->elem), n = test_random(state) % 10;
    uint8_t values[9 * 8], number[8];
    uint32_t indices[9], index = 0;

    for (size_t i = 0; i < n; i++) {
        make_number(state, f->elem, number);
        memcpy(values + i * size, number, size);
        index += (uint32_t)(test_random(state) % 1000) + 1;
        indices[i] = index;
    }
    if (f->type == SHARD_TYPE_LIST)
        return fmt_column_append_list(c, values, n);
    return fmt_column_append_sparse(c, indices, values, n);
}

/* A short text in the first rows, 10 KiB of one letter in later ones. */
static int
append_late(uint64_t row, struct fmt_column *c)
{
    char text[10240];

    memset(text, 'a' + (char)(row % 26), sizeof(text));
    return fmt_column_append_bytes(c, text, row < FMT_UTIL_LATE_ROW ? 8 : sizeof(text));
}

/* Runs of long values among many short ones. */
static int
append_clump(uint64_t row, struct fmt_column *c)
{
    static char text[160 << 10];

    memset(text, 'a' + (char)(row % 26), sizeof(text));
    return fmt_column_append_bytes(c, text, row % FMT_UTIL_CLUMP_ROWS < 64 ? sizeof(text) : 8);
}

/* 8 bytes, or in every fiftieth row so many that they stand out of line. */
static int
append_huge(uint64_t row, struct fmt_column *c)
{
    const size_t len = row % 50 == 49 ? FMT_INLINE_MAX + FMT_INLINE_MAX / 8 : 8;
    char *text = malloc(len);
    int r;

    if (text == NULL)
        return -ENOMEM;
    memset(text, 'a' + (char)(row % 26), len);
    r = fmt_column_append_bytes(c, text, len);
    free(text);
    return r;
}

static int
fill_row(const struct shard_field *f, uint64_t *state, uint64_t row, struct fmt_column *c)
{
    uint8_t number[8];
    char text[64];
    size_t len;

    switch (f->type) {
    case SHARD_TYPE_BOOL:
        return fmt_column_append_bool(c, test_random(state) & 1);
    case SHARD_TYPE_STRING:
        if (strcmp(f->name, "late") == 0)
            return append_late(row, c);
        if (strcmp(f->name, "clump") == 0)
            return append_clump(row, c);
        if (strcmp(f->name, "huge") == 0)
            return append_huge(row, c);
        len = make_text(state, text);
        return fmt_column_append_bytes(c, text, len);
    case SHARD_TYPE_BINARY:
        len = test_random(state) % 41;
        for (size_t i = 0; i < len; i++)
            text[i] = (char)(unsigned char)test_random(state);
        return fmt_column_append_bytes(c, text, len);
    case SHARD_TYPE_TENSOR:
        return fill_tensor(f, state, c);
    case SHARD_TYPE_LIST:
        if (strcmp(f->name, "long") == 0)
            return append_long(f, state, row, c);
        __attribute__((fallthrough));
    case SHARD_TYPE_SPARSE:
        return f->elem == SHARD_TYPE_STRING ? fill_strings(state, c) : fill_elements(f, state, c);
    default:
        make_number(state, f->type, number);
        if (strcmp(f->name, "row") == 0)
            memcpy(number, &row, sizeof(number));
        return fmt_column_append_number(c, number);
    }
}

int
fmt_util_fill(const struct shard_field *f, uint64_t seed, uint64_t row0, uint64_t n,
              struct fmt_column *c)
{
    int r = 0;

    for (uint64_t row = row0; r >= 0 && row < row0 + n; row++) {
        uint64_t state = seed ^ name_hash(f->name) ^ row * UINT64_C(0x2545f4914f6cdd1d);

        if (f->nullable && test_random(&state) % 5 == 0)
            r = fmt_column_append_null(c);
        else
            r = fill_row(f, &state, row, c);
    }
    return r;
}

uint32_t
fmt_util_group_rows(const struct fmt_util_spec *spec, uint32_t s, uint32_t g)
{
    const uint32_t most = or_default(spec->rows_per_group, 100);
    uint64_t state = spec->seed ^ ((uint64_t)s << 32 | g);

    if (spec->group_rows)
        return spec->group_rows[g];
    return spec->vary ? most - (uint32_t)(test_random(&state) % (most / 2 + 1)) : most;
}

/* The next of "a:int32,b:tensor<int8,2,3>" at *p, ended with NUL; *p moves behind it, NULL behind
 * the last one. */
static char *
item_of(char **p)
{
    char *item = *p, *q = item;

    for (int depth = 0; *q && (*q != ',' || depth); q++)
        depth += (*q == '<') - (*q == '>');
    *p = *q ? q + 1 : NULL;
    *q = '\0';
    return item;
}

int
fmt_util_schema(const char *columns, struct fmt_schema *ret, struct shard_error *err)
{
    char *text = strdup(columns), *next_item = text, *item;
    int r = text ? 0 : base_fail(err, -ENOMEM, "columns");

    fmt_schema_init(ret);
    while (r >= 0 && next_item && (item = item_of(&next_item))) {
        char *colon = strchr(item, ':');
        struct shard_field f = {.name = item};

        if (colon == NULL) {
            r = base_fail(err, SHARD_EPARSE, "a column without a type: %s", item);
            break;
        }
        *colon = '\0';
        r = fmt_type_parse(colon + 1, &f, err);
        if (r >= 0) {
            r = fmt_schema_add_field(ret, &f);
            if (r < 0)
                (void)base_fail(err, r, "column %s", item);
        }
    }
    free(text);
    if (r < 0)
        fmt_schema_done(ret);
    return r;
}

/* ----------------------------------------------------------------------------------- datasets */

/* What making one shard after the other needs. */
struct maker {
    int dirfd;
    const struct fmt_schema *schema;
    struct fmt_encode_opts opts;
    struct base_codec *codec;
    struct fmt_column *cols;    /* n_fields */
    struct shard_array *arrays; /* n_fields */
    uint64_t row;               /* number of the next row */
    struct fmt_rowhash *hash;   /* or NULL: no fingerprint */
    struct base_hash128 sum;
};

static void
maker_done(struct maker *m)
{
    for (uint32_t i = 0; m->cols && i < m->schema->n_fields; i++)
        fmt_column_done(&m->cols[i]);
    free(m->cols);
    free(m->arrays);
    base_codec_free(m->codec);
    fmt_rowhash_free(m->hash);
}

static int
maker_init(struct maker *m, int dirfd, const struct fmt_schema *schema,
           const struct fmt_util_spec *spec, uint64_t row0)
{
    *m = (struct maker){.dirfd = dirfd,
                        .schema = schema,
                        .opts = {.zstd_level = spec->zstd_level, .page_bytes = spec->page_bytes},
                        .row = row0};
    m->cols = calloc(schema->n_fields, sizeof(*m->cols));
    m->arrays = calloc(schema->n_fields, sizeof(*m->arrays));
    if (m->cols == NULL || m->arrays == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < schema->n_fields; i++)
        fmt_column_init_field(&m->cols[i], &schema->fields[i]);
    return base_codec_new(&m->codec);
}

static int
sum_rows(struct maker *m, uint32_t n_rows)
{
    struct base_hash128 *rows = calloc(n_rows, sizeof(*rows));

    if (rows == NULL)
        return -ENOMEM;
    fmt_rowhash_rows(m->hash, m->arrays, 0, n_rows, rows);
    for (uint32_t i = 0; i < n_rows; i++)
        m->sum = base_hash128_add(m->sum, rows[i]);
    free(rows);
    return 0;
}

static int
make_group(struct maker *m, struct fmt_writer *w, uint64_t seed, uint32_t n_rows,
           struct shard_error *err)
{
    struct fmt_image *im = NULL;
    int r = 0;

    for (uint32_t i = 0; r >= 0 && i < m->schema->n_fields; i++) {
        fmt_column_reset(&m->cols[i]);
        r = fmt_util_fill(&m->schema->fields[i], seed, m->row, n_rows, &m->cols[i]);
        fmt_column_array(&m->cols[i], &m->arrays[i]);
    }
    if (r >= 0 && m->hash)
        r = sum_rows(m, n_rows);
    if (r < 0)
        return base_fail(err, r, "row %llu", (unsigned long long)m->row);
    r = fmt_image_encode(m->schema, m->arrays, &m->opts, m->codec, &im, err);
    if (r >= 0)
        r = fmt_writer_append(w, im, err);
    fmt_image_free(im);
    m->row += n_rows;
    return r;
}

/* A shard of n_groups row groups in its place; its path and facts. */
static int
make_shard(struct maker *m, const char *folder, const char *label, uint32_t split_index,
           uint64_t row0, uint64_t seed,
           const uint32_t *rows, uint32_t n_groups, char ret_path[256],
           struct fmt_shard_info *ret_info, struct shard_error *err)
{
    struct fmt_writer *w = NULL;
    char tmp[FMT_TMP_PATH_MAX];
    int r;

    r = fmt_tmp_path("shard", tmp, err);
    if (r < 0)
        return r;
    r = fmt_writer_open(m->dirfd, tmp, m->schema, &m->opts, &w, err);
    if (r >= 0)
        r = fmt_writer_set_origin(w, label, split_index, row0);
    for (uint32_t g = 0; r >= 0 && g < n_groups; g++)
        r = make_group(m, w, seed, rows[g], err);
    if (r >= 0)
        r = fmt_writer_finish(w, ret_info, err);
    fmt_writer_free(w);
    if (r < 0)
        return r;
    return fmt_shard_place(m->dirfd, tmp, folder, label, ret_info->hash, ret_path, err);
}

/* The i-th of the names in "a,b,c", counted modulo their number. */
static void
split_name(const char *splits, uint32_t i, char ret[64])
{
    uint32_t n = 1;

    for (const char *p = splits; *p; p++)
        n += *p == ',';
    for (i %= n; i; i--)
        splits = strchr(splits, ',') + 1;
    (void)snprintf(ret, 64, "%.*s", (int)strcspn(splits, ","), splits);
}

static int
make_rejects(int dirfd, const struct fmt_util_spec *spec, struct fmt_snapshot *s,
             struct shard_error *err)
{
    struct fmt_shard_info info = {0};
    struct fmt_schema schema;
    struct maker m = {0};
    char path[256];
    int r = fmt_quarantine_schema(&schema);

    if (r < 0)
        return base_fail(err, r, "quarantine");
    r = maker_init(&m, dirfd, &schema, spec, 0);
    if (r >= 0)
        r = make_shard(&m, FMT_DIR_QUARANTINE, "", 0, 0, spec->seed, &spec->n_rejects, 1, path, &info,
                       err);
    if (r >= 0) {
        r = fmt_snapshot_add_reject(s, path, &info);
        if (r < 0)
            (void)base_fail(err, r, "%s", path);
    }
    free(info.group_rows);
    maker_done(&m);
    fmt_schema_done(&schema);
    return r;
}

static int
make_shards(struct maker *m, const struct fmt_util_spec *spec, struct fmt_snapshot *s,
            struct shard_error *err)
{
    const uint32_t n_groups = or_default(spec->groups_per_shard, 1);
    uint32_t *rows = calloc(n_groups, sizeof(*rows));
    int r = rows ? 0 : base_fail(err, -ENOMEM, "row groups");

    for (uint32_t i = 0; r >= 0 && i < or_default(spec->n_shards, 1); i++) {
        struct fmt_shard_info info = {0};
        char path[256], split[64];
        int64_t k;

        for (uint32_t g = 0; g < n_groups; g++)
            rows[g] = fmt_util_group_rows(spec, i, g);
        split_name(spec->splits ? spec->splits : "train", i, split);
        k = fmt_snapshot_split(s, split, true);
        if (k < 0)
            abort();
        r = make_shard(m, FMT_DIR_SHARDS, split, (uint32_t)k, s->splits[k].n_rows, spec->seed, rows,
                       n_groups, path, &info, err);
        if (r >= 0) {
            r = fmt_snapshot_add_shard(s, path, split, &info);
            if (r < 0)
                (void)base_fail(err, r, "%s", path);
        }
        free(info.group_rows);
    }
    free(rows);
    return r;
}

int
fmt_util_shards(int dirfd, const struct fmt_util_spec *spec, uint64_t row0,
                struct fmt_snapshot *ret, struct shard_error *err)
{
    struct maker m = {0};
    int r;

    if (spec == NULL)
        spec = &spec_default;
    fmt_snapshot_init(ret);
    r = fmt_dataset_mkdirs(dirfd, err);
    if (r < 0)
        return r;
    r = fmt_util_schema(spec_columns(spec), &ret->schema, err);
    if (r < 0)
        return r;
    r = maker_init(&m, dirfd, &ret->schema, spec, row0);
    if (r >= 0)
        r = fmt_rowhash_new(&ret->schema, NULL, 0, &m.hash);
    if (r >= 0)
        r = make_shards(&m, spec, ret, err);
    if (r >= 0 && spec->n_rejects)
        r = make_rejects(dirfd, spec, ret, err);
    ret->fingerprint = m.sum;
    maker_done(&m);
    if (r < 0)
        fmt_snapshot_done(ret);
    return r;
}

int
fmt_util_make(const char *path, const struct fmt_util_spec *spec, struct shard_error *err)
{
    struct fmt_snapshot s;
    int dirfd, r;

    if (mkdir(path, 0777) < 0 && errno != EEXIST)
        return base_fail(err, -errno, "%s", path);
    dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dirfd < 0)
        return base_fail(err, -errno, "%s", path);
    r = fmt_util_shards(dirfd, spec, 0, &s, err);
    if (r >= 0) {
        r = fmt_publish(dirfd, 0, &s, err);
        fmt_snapshot_done(&s);
    }
    (void)close(dirfd);
    return r;
}

/* ------------------------------------------------------------------------------------ comparing */

/* n strings, the first of which begins at *x of a and *y of b. */
static bool
strings_equal(const struct shard_array *a, const int32_t *x, const struct shard_array *b,
              const int32_t *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (x[i + 1] - x[0] != y[i + 1] - y[0])
            return false;
    return memcmp((const uint8_t *)a->values + x[0], (const uint8_t *)b->values + y[0],
                  (size_t)(x[n] - x[0])) == 0;
}

static bool
row_equal(const struct shard_array *a, uint64_t i, const struct shard_array *b, uint64_t j)
{
    const struct fmt_type t = fmt_type_of(a->type, a->elem);
    const size_t size = t.kind == FMT_KIND_TENSOR ? t.size * a->width : t.size;

    if (fmt_array_is_null(a, i) || fmt_array_is_null(b, j))
        return fmt_array_is_null(a, i) && fmt_array_is_null(b, j);
    if (a->type == SHARD_TYPE_BOOL)
        return (((const uint8_t *)a->values)[i >> 3] >> (i & 7) & 1) ==
               (((const uint8_t *)b->values)[j >> 3] >> (j & 7) & 1);
    if (a->offsets) {
        const size_t n = (size_t)(a->offsets[i + 1] - a->offsets[i]);
        const size_t x = (size_t)a->offsets[i], y = (size_t)b->offsets[j];

        if (n != (size_t)(b->offsets[j + 1] - b->offsets[j]))
            return false;
        if (n && a->type == SHARD_TYPE_SPARSE &&
            memcmp(a->indices + x, b->indices + y, n * sizeof(uint32_t)) != 0)
            return false;
        if (t.kind == FMT_KIND_STRINGS)
            return strings_equal(a, a->elem_offsets + x, b, b->elem_offsets + y, n);
        return n == 0 || memcmp((const uint8_t *)a->values + x * size,
                                (const uint8_t *)b->values + y * size, n * size) == 0;
    }
    return memcmp((const uint8_t *)a->values + i * size, (const uint8_t *)b->values + j * size,
                  size) == 0;
}

bool
fmt_util_equal(const struct shard_array *a, uint64_t row0, const struct shard_array *b,
               uint64_t brow0, uint64_t n, uint64_t *ret_row)
{
    *ret_row = 0;
    if (a->type != b->type || a->elem != b->elem || a->width != b->width || row0 + n > a->n_rows || brow0 + n > b->n_rows)
        return false;
    for (uint64_t i = 0; i < n; i++) {
        if (!row_equal(a, row0 + i, b, brow0 + i)) {
            *ret_row = i;
            return false;
        }
    }
    return true;
}

/* ---------------------------------------------------------------------------------------- files */

static void
must(bool ok, const char *what)
{
    if (!ok) {
        perror(what);
        abort();
    }
}

void
fmt_util_tmpdir(char path[256])
{
    const char *base = getenv("TMPDIR");

    (void)snprintf(path, 256, "%s/shardline-XXXXXX", base && *base ? base : "/tmp");
    must(mkdtemp(path) != NULL, path);
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

void
fmt_util_rmtree(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int
string_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Append the regular files of base/sub to the list. */
static void
list_files(const char *base, const char *sub, char ***files, size_t *count)
{
    char full[1024], path[768];
    const struct dirent *e;
    DIR *dir;

    (void)snprintf(full, sizeof(full), "%s/%s", base, sub);
    dir = opendir(full);
    must(dir != NULL, full);
    while ((e = readdir(dir)) != NULL) {
        struct stat st;

        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "%.400s%s%.255s", sub, *sub ? "/" : "", e->d_name);
        must(fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0, path);
        if (S_ISDIR(st.st_mode)) {
            list_files(base, path, files, count);
        } else {
            *files = reallocarray(*files, *count + 1, sizeof(**files));
            must(*files != NULL, "files");
            (*files)[*count] = strdup(path);
            must((*files)[*count] != NULL, "files");
            ++*count;
        }
    }
    (void)closedir(dir);
}

char **
fmt_util_files(const char *path, size_t *ret_count)
{
    char **files = NULL;

    *ret_count = 0;
    list_files(path, "", &files, ret_count);
    if (*ret_count)
        qsort(files, *ret_count, sizeof(*files), string_compare);
    return files;
}

void
fmt_util_files_free(char **files, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(files[i]);
    free(files);
}

void
fmt_util_read(int dirfd, const char *path, struct base_buf *ret)
{
    struct shard_error err = {0};

    base_buf_reset(ret);
    if (base_read_file(dirfd, path, SIZE_MAX >> 1, ret, &err) < 0) {
        (void)fprintf(stderr, "%s\n", err.text);
        abort();
    }
}

void
fmt_util_write(int dirfd, const char *path, const void *data, size_t len)
{
    const int fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    must(fd >= 0, path);
    must(base_write_full(fd, data, len, path, NULL) >= 0, path);
    must(close(fd) == 0, path);
}
