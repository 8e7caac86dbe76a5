#include "config.h"

#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/compiler.h"
#include "lib/endian.h"
#include "shardfmt/bits.h"
#include "shardfmt/lengths.h"
#include "shardfmt/footer_write.h"
#include "shardfmt/snapshot.h"
#include "tests/random.h"
#include "tests/shard_util.h"

void
fuzz_must(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "fuzz: %s\n", what);
        abort();
    }
}

struct base_codec *
fuzz_codec(void)
{
    static struct base_codec *codec;

    if (codec == NULL)
        fuzz_must(base_codec_new(&codec) == 0, "codec");
    return codec;
}

/* Trained on lines of a few words. */
struct base_dict *
fuzz_zdict(void)
{
    static struct base_dict *dict;
    uint8_t samples[200 * 64], bytes[1024];
    size_t sizes[200];
    uint64_t st = 1;
    int64_t len;

    if (dict)
        return dict;
    for (size_t i = 0; i < BASE_ARRAY_LEN(sizes); i++) {
        sizes[i] = 64;
        for (size_t k = 0; k < 64; k += 8) {
            const uint64_t word = UINT64_C(0x9e3779b97f4a7c15) * (1 + test_random(&st) % 40);

            base_store_le64(samples + i * 64 + k, word);
        }
    }
    len = base_dict_train(bytes, sizeof(bytes), samples, sizes, BASE_ARRAY_LEN(sizes));
    fuzz_must(len > 0 && base_dict_new(bytes, (size_t)len, 1, &dict) == 0, "dictionary");
    return dict;
}

static char dataset_path[] = "/dev/shm/shardline-fuzz.XXXXXX";

static const char *const folders[] = {FMT_DIR_ROOTS, FMT_DIR_SEGMENTS, FMT_DIR_SHARDS,
                                      FMT_DIR_QUARANTINE, FMT_DIR_TMP};

const char *
fuzz_dataset_path(void)
{
    (void)fuzz_dataset();
    return dataset_path;
}

void
fuzz_dataset_empty(void)
{
    for (size_t i = 0; i < BASE_ARRAY_LEN(folders); i++) {
        const int fd = openat(fuzz_dataset(), folders[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = fdopendir(fd);
        struct dirent *e;

        fuzz_must(dir != NULL, folders[i]);
        while ((e = readdir(dir)) != NULL)
            (void)unlinkat(fd, e->d_name, 0);
        (void)closedir(dir);
    }
}

static void
dataset_remove(void)
{
    fuzz_dataset_empty();
    for (size_t i = 0; i < BASE_ARRAY_LEN(folders); i++)
        (void)unlinkat(fuzz_dataset(), folders[i], AT_REMOVEDIR);
    (void)rmdir(dataset_path);
}

int
fuzz_dataset(void)
{
    static int fd = -1;

    if (fd >= 0)
        return fd;
    fuzz_must(mkdtemp(dataset_path) != NULL, "mkdtemp");
    fd = open(dataset_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fuzz_must(fd >= 0 && fmt_dataset_mkdirs(fd, NULL) == 0, dataset_path);
    (void)atexit(dataset_remove);
    return fd;
}

/* ------------------------------------------------------------------------------------- arrays */

static size_t
values_bytes(const struct shard_array *a)
{
    const struct fmt_type t = fmt_type_of(a->type, a->elem);

    if (t.kind == FMT_KIND_BIT)
        return fmt_bits_bytes(a->n_rows);
    if (t.kind == FMT_KIND_STRINGS)
        return (size_t)a->elem_offsets[a->n_values];
    return (size_t)a->n_values * t.size;
}

static uint64_t
sum(const void *data, size_t len)
{
    const uint8_t *p = data;
    uint64_t s = 0;

    for (size_t i = 0; i < len; i++)
        s += p[i];
    return s;
}

static void
check_offsets(const struct shard_array *a)
{
    fuzz_must(a->offsets[0] == 0 && (uint64_t)a->offsets[a->n_rows] == a->n_values, "offsets");
    for (uint64_t i = 0; i < a->n_rows; i++) {
        fuzz_must(a->offsets[i] <= a->offsets[i + 1], "offsets go down");
        fuzz_must(!fmt_array_is_null(a, i) || a->offsets[i] == a->offsets[i + 1], "a null's value");
    }
}

void
fuzz_touch(const struct shard_array *a)
{
    volatile uint64_t s = sum(a->values, values_bytes(a));

    if (a->validity) {
        s += sum(a->validity, fmt_bits_bytes(a->n_rows));
        fuzz_must(a->n_rows - fmt_bits_count(a->validity, 0, a->n_rows) == a->n_nulls, "nulls");
    }
    if (a->offsets)
        check_offsets(a);
    for (uint64_t i = 0; a->elem_offsets && i < a->n_values; i++)
        fuzz_must(a->elem_offsets[i] <= a->elem_offsets[i + 1], "offsets of elements go down");
    if (a->indices)
        s += sum(a->indices, (size_t)a->n_values * sizeof(*a->indices));
    (void)s;
}

static void
same(const void *a, const void *b, size_t len, const char *what)
{
    fuzz_must((a != NULL) == (b != NULL), what);
    fuzz_must(a == NULL || len == 0 || memcmp(a, b, len) == 0, what);
}

/* Bit for bit: null rows hold zeros, so nothing else can be right. */
static void
same_arrays(const struct shard_array *a, const struct shard_array *b)
{
    fuzz_must(a->type == b->type && a->elem == b->elem && a->n_rows == b->n_rows &&
                  a->n_nulls == b->n_nulls && a->n_values == b->n_values && a->width == b->width,
              "another array comes back");
    same(a->validity, b->validity, fmt_bits_bytes(a->n_rows), "other nulls come back");
    same(a->offsets, b->offsets, (size_t)(a->n_rows + 1) * sizeof(*a->offsets),
         "other offsets come back");
    same(a->indices, b->indices, (size_t)a->n_values * sizeof(*a->indices),
         "other indices come back");
    same(a->elem_offsets, b->elem_offsets, (size_t)(a->n_values + 1) * sizeof(*a->elem_offsets),
         "other elements come back");
    same(a->values, b->values, values_bytes(a), "other values come back");
}

/* The footer of an image, as a writer and a reader would come to it. Ended by footer_done(). */
static struct fmt_footer
image_footer(const struct fmt_image *im, struct shard_field *field)
{
    struct fmt_footer f = {.schema = {.fields = field, .n_fields = 1},
                           .n_groups = 1,
                           .n_columns = 1,
                           .n_rows = im->n_rows,
                           .pages = im->pages,
                           .n_pages = im->n_pages,
                           .pieces = im->pieces,
                           .n_pieces = im->n_pieces,
                           .chunk_first = im->chunk_first};

    f.group_rows = malloc(sizeof(*f.group_rows));
    f.piece_first = calloc(2, sizeof(*f.piece_first));
    fuzz_must(f.group_rows && f.piece_first, "memory");
    f.group_rows[0] = im->n_rows;
    f.piece_first[1] = im->n_pieces;
    return f;
}

void
fuzz_roundtrip(const struct shard_field *field, const struct shard_array *a,
               const struct fmt_encode_opts *opts)
{
    static struct fmt_decoded *d; /* not freed: what it points to is reachable */
    struct shard_field copy = *field;
    const struct fmt_schema schema = {.fields = &copy, .n_fields = 1};
    struct shard_error err = {0};
    struct fmt_image *im = NULL;
    struct shard_array back;
    struct fmt_footer f;

    fuzz_must(d || fmt_decoded_new(&d) == 0, "memory");
    fuzz_must(fmt_image_encode(&schema, a, opts, fuzz_codec(), &im, &err) == 0, err.text);
    f = image_footer(im, &copy);
    fuzz_fix_hashes(&f, &im->bytes);
    fuzz_must(a->n_rows == 0 ||
                  shard_util_decode(&f, &im->bytes, 0, 0, fuzz_codec(), d, &back, &err) == 0,
              err.text);
    if (a->n_rows)
        same_arrays(a, &back);
    free(f.group_rows);
    free(f.piece_first);
    fmt_image_free(im);
}

static void
decode_lengths(const struct fmt_footer *f, const struct base_buf *file, uint32_t g, uint32_t c,
               struct fmt_decoded *d)
{
    const struct fmt_page *p = fmt_lengths_find(f, g, c);
    struct shard_array a;
    uint8_t *stored;

    if (p == NULL || p->data_len > FUZZ_MEMORY_MAX)
        return;
    stored = malloc(p->stored_len + 1u); /* by itself, so that a sanitizer sees its end */
    fuzz_must(stored != NULL, "memory");
    memcpy(stored, file->data + p->off, p->stored_len);
    if (fmt_lengths_decode(f, g, c, stored, fuzz_codec(), "file", d, &a, NULL) == 0)
        fuzz_touch(&a);
    free(stored);
}

void
fuzz_decode_all(const struct fmt_footer *f, const struct base_buf *file)
{
    struct fmt_decoded *d = NULL;

    fuzz_must(fmt_decoded_new(&d) == 0, "memory");
    for (uint32_t g = 0; g < f->n_groups && g < 4; g++)
        for (uint32_t c = 0; c < f->n_columns && c < 16; c++) {
            struct shard_array a;

            if (fmt_chunk_decoded_bound(f, g, c) > FUZZ_MEMORY_MAX)
                continue;
            if (shard_util_decode(f, file, g, c, fuzz_codec(), d, &a, NULL) == 0)
                fuzz_touch(&a);
            decode_lengths(f, file, g, c, d);
        }
    fmt_decoded_free(d);
}

/* -------------------------------------------------------------------------------------- files */

static void
fix(struct fmt_page *p, uint32_t n, const struct base_buf *file)
{
    for (uint32_t i = 0; i < n; i++)
        p[i].hash = base_hash64(file->data + p[i].off, p[i].stored_len, p[i].off);
}

void
fuzz_fix_hashes(struct fmt_footer *f, const struct base_buf *file)
{
    fix(f->pages, f->n_pages, file);
    fix(f->pieces, f->n_pieces, file);
    fix(f->lengths, f->n_lengths, file);
}

/* The hashes are the last array of the sections PAGES, PIECES and LENGTHS. */
static void
fix_section(uint8_t *section, size_t len, const struct fmt_page *p, uint32_t n)
{
    if (len < (size_t)n * 8)
        return;
    for (uint32_t i = 0; i < n; i++)
        base_store_le64(section + len - ((size_t)n - i) * 8, p[i].hash);
}

static void
fix_footer(uint8_t *footer, size_t len, const struct fmt_footer *f)
{
    struct base_cursor c = base_cursor_make(footer, len), dir;
    const size_t dir_len = base_cursor_u32(&c) * (size_t)FMT_SECTION_ENTRY;

    (void)base_cursor_bytes(&c, FMT_FOOTER_HEAD - 4);
    dir = base_cursor_make(base_cursor_bytes(&c, dir_len), dir_len);
    while (base_cursor_left(&dir)) {
        const unsigned id = base_cursor_u16(&dir), flags = base_cursor_u16(&dir);
        const size_t n = base_cursor_u32(&dir);
        const size_t at = (size_t)(base_cursor_bytes(&c, n) - footer);

        (void)flags;
        if (id == FMT_SECTION_PAGES)
            fix_section(footer + at, n, f->pages, f->n_pages);
        if (id == FMT_SECTION_PIECES)
            fix_section(footer + at, n, f->pieces, f->n_pieces);
        if (id == FMT_SECTION_LENGTHS)
            fix_section(footer + at, n, f->lengths, f->n_lengths);
    }
}

static void
append(struct base_buf *b, const void *data, size_t len)
{
    fuzz_must(base_buf_append(b, data, len) == 0, "memory");
}

static void
put_footer(struct base_buf *b, const uint8_t *footer, size_t len, bool pack)
{
    const struct fmt_version v = {.major = FMT_MAJOR};
    const size_t off = b->len, bound = base_codec_bound(len);
    uint8_t trailer[FMT_TRAILER_SIZE];
    int64_t stored = -1;

    if (pack) {
        fuzz_must(base_buf_reserve(b, bound) == 0, "memory");
        stored = base_codec_compress(fuzz_codec(), 1, b->data + off, bound, footer, len);
        b->len += stored > 0 ? (size_t)stored : 0;
    }
    if (stored <= 0 || stored >= (int64_t)len) {
        b->len = off;
        append(b, footer, len);
    }
    fmt_trailer_write(&v, off, b->data + off, (uint32_t)(b->len - off), (uint32_t)len, trailer);
    append(b, trailer, sizeof(trailer));
}

void
fuzz_make_shard(const uint8_t *body, size_t len, size_t footer_len, bool pack,
                struct base_buf *ret)
{
    const struct fmt_version v = {.major = FMT_MAJOR};
    const size_t off = FMT_HEADER_SIZE + len - footer_len;
    uint8_t header[FMT_HEADER_SIZE];
    struct base_buf footer = {0};
    struct fmt_footer *f = NULL;

    base_buf_reset(ret);
    fmt_header_write(&v, header);
    append(ret, header, sizeof(header));
    append(ret, body, len - footer_len);
    append(&footer, body + len - footer_len, footer_len);
    put_footer(ret, footer.data, footer_len, false);
    if (shard_util_load(ret->data, ret->len, 0, &f, NULL) == 0) {
        fuzz_fix_hashes(f, ret);
        fix_footer(footer.data, footer.len, f);
        fmt_footer_free(f);
    }
    ret->len = off;
    put_footer(ret, footer.data, footer_len, pack);
    base_buf_done(&footer);
}

void
fuzz_shard(const uint8_t *data, size_t len,
           void (*go)(const struct fmt_footer *f, const struct base_buf *file))
{
    struct base_buf file = {0};
    struct fmt_footer *f = NULL;
    unsigned head;

    if (len < 2)
        return;
    head = data[0] | (unsigned)data[1] << 8;
    fuzz_make_shard(data + 2, len - 2, BASE_MIN(head & 0x7fff, len - 2), head >> 15, &file);
    if (shard_util_load(file.data, file.len, 0, &f, NULL) == 0) {
        go(f, &file);
        fmt_footer_free(f);
    }
    base_buf_done(&file);
}
