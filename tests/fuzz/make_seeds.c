/* Inputs that fuzzing begins with: make_seeds FOLDER writes FOLDER/TARGET/...
 *
 * Every type in several shapes of values, as this build writes it; every encoding of numbers;
 * out-of-line values, which are too long to be written by a writer into a small input; and the files of
 * a small dataset. */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/arith.h"
#include "lib/compiler.h"
#include "lib/endian.h"
#include "lib/fs.h"
#include "shardfmt/footer_write.h"
#include "shardfmt/ints.h"
#include "tests/fmt_util.h"
#include "tests/fuzz/fuzz_chunk.h"
#include "tests/shard_util.h"

#define PAGE_HEAD 12u /* of fuzz_page.c's inputs */

static const char *out;

/* FOLDER/target/name */
static void
put(const char *target, const char *name, const struct base_buf *b)
{
    char path[512];
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/%s", out, target);
    (void)mkdir(path, 0777);
    (void)snprintf(path, sizeof(path), "%s/%s/%s", out, target, name);
    f = fopen(path, "wb");
    fuzz_must(f && fwrite(b->data, 1, b->len, f) == b->len && fclose(f) == 0, path);
}

/* --------------------------------------------------------------------------------------- pages */

static void
put_page(const char *name, const struct shard_field *f, unsigned how, uint32_t n_rows,
         uint64_t data_len, const void *raw, size_t len)
{
    uint8_t head[PAGE_HEAD] = {(uint8_t)f->type, (uint8_t)f->elem, f->nullable, (uint8_t)how};
    struct base_buf b = {0};

    base_store_le16(head + 4, (uint16_t)n_rows);
    head[6] = f->unit | (uint8_t)f->dims[0];
    head[7] = (uint8_t)f->dims[1];
    base_store_le32(head + 8, (uint32_t)data_len);
    fuzz_must(base_buf_append(&b, head, sizeof(head)) == 0 && base_buf_append(&b, raw, len) == 0,
              "memory");
    put("page", name, &b);
    base_buf_done(&b);
}

static const char *const types[] = {
    "bool",  "int8",  "int16",  "int32",    "int64",         "uint8",          "uint16",
    "uint32", "uint64", "float16", "bfloat16", "float32",      "float64",        "string",
    "binary", "timestamp[ms]", "tensor<float32,2,3>", "tensor<uint8,5>", "list<uint8>",
    "list<int32>", "list<float64>", "list<string>", "sparse<float32>", "sparse<int64>"};

/* Which row of fmt_util_fill() stands in row i: what shapes are made of. */
static uint64_t
row_of(unsigned shape, uint64_t i)
{
    switch (shape) {
    case 0:
        return i; /* anything */
    case 1:
        return i / 9; /* runs */
    case 2:
        return i * 7919 % 5; /* few of them */
    default:
        return 3; /* one */
    }
}

static void
pages_of_type(const char *type, bool nullable, unsigned shape)
{
    const struct fmt_encode_opts opts = {.zstd_level = 0};
    char text[160], name[200];
    struct shard_error err = {0};
    struct fmt_schema s;
    struct fmt_column col;
    struct shard_array a;
    struct fmt_image *im;

    (void)snprintf(text, sizeof(text), "x:%s%s", type, nullable ? "?" : "");
    fuzz_must(fmt_util_schema(text, &s, &err) == 0, err.text);
    fmt_column_init_field(&col, &s.fields[0]);
    for (uint64_t i = 0; i < 60; i++)
        fuzz_must(fmt_util_fill(&s.fields[0], 11, row_of(shape, i), 1, &col) == 0, text);
    fmt_column_array(&col, &a);
    fuzz_must(fmt_image_encode(&s, &a, &opts, fuzz_codec(), &im, &err) == 0, err.text);
    for (uint32_t i = 0; i < im->n_pages; i++) {
        const struct fmt_page *p = &im->pages[i];

        (void)snprintf(name, sizeof(name), "%s%s-%u", type, nullable ? "-null" : "", shape);
        put_page(name, &s.fields[0], shape == 1 ? HOW_PACKED : shape == 2 ? HOW_DICT : 0, p->n_rows,
                 p->data_len, im->bytes.data + p->off, p->stored_len);
    }
    fmt_image_free(im);
    fmt_column_done(&col);
    fmt_schema_done(&s);
}

/* n values of a type in an encoding, whatever a writer would choose. */
static void
encoding_page(enum shard_type type, unsigned encoding, unsigned inner, uint32_t n)
{
    const struct shard_field f = {.name = "x", .type = type};
    const struct fmt_type t = fmt_field_type(&f);
    const struct fmt_ints_kind kind = {(uint8_t)t.size, t.number != FMT_NUMBER_FLOAT,
                                       t.number == FMT_NUMBER_SIGNED};
    const struct fmt_ints_way way = {(uint8_t)encoding, (uint8_t)inner, 0};
    struct fmt_ints_scratch scratch = {{0}, {0}};
    struct base_buf values = {0}, stream = {0}, page = {0};
    struct fmt_stream_in s = {.role = FMT_ROLE_VALUES, .encoding = (uint8_t)encoding, .count = n};
    char name[64];
    int size;

    for (uint32_t i = 0; i < n; i++) {
        uint8_t v[8];

        base_store_le64(v, encoding == FMT_ENC_CONST ? 77 : UINT64_C(3000000000) * (i / 3 % 5) + i / 3);
        fuzz_must(base_buf_append(&values, v, t.size) == 0, "memory");
    }
    size = fmt_ints_append(&stream, &scratch, way, kind, values.data, n);
    fuzz_must(size >= 0, "memory");
    s.size = (uint8_t)size;
    s.data = stream.data;
    s.len = (uint32_t)stream.len;
    fuzz_page_build(n, &s, 1, &page);
    (void)snprintf(name, sizeof(name), "type%d-encoding%u-%u-%u", (int)type, encoding, inner,
                   (unsigned)n);
    put_page(name, &f, 0, n, (uint64_t)n * t.size, page.data, page.len);
    fmt_ints_scratch_done(&scratch);
    base_buf_done(&values);
    base_buf_done(&stream);
    base_buf_done(&page);
}

static void
encoding_pages(void)
{
    static const enum shard_type ints[] = {SHARD_TYPE_INT8, SHARD_TYPE_UINT32, SHARD_TYPE_INT64};
    static const uint8_t ways[][2] = {{FMT_ENC_PLAIN, 0},           {FMT_ENC_CONST, 0},
                                      {FMT_ENC_RLE, 0},             {FMT_ENC_BSS, 0},
                                      {FMT_ENC_FOR, 0},             {FMT_ENC_DELTA, FMT_ENC_FOR},
                                      {FMT_ENC_DELTA, FMT_ENC_RLE}, {FMT_ENC_DELTA, FMT_ENC_BSS}};

    for (size_t w = 0; w < BASE_ARRAY_LEN(ways); w++) {
        for (size_t t = 0; t < BASE_ARRAY_LEN(ints); t++) {
            encoding_page(ints[t], ways[w][0], ways[w][1], 20);
            if (ways[w][0] == FMT_ENC_FOR || ways[w][0] == FMT_ENC_DELTA)
                encoding_page(ints[t], ways[w][0], ways[w][1], FMT_FOR_BLOCK + 6);
        }
        if (ways[w][0] <= FMT_ENC_RLE || ways[w][0] == FMT_ENC_BSS) {
            encoding_page(SHARD_TYPE_FLOAT32, ways[w][0], 0, 20);
            encoding_page(SHARD_TYPE_FLOAT64, ways[w][0], 0, 20);
        }
    }
}

/* -------------------------------------------------------------------------- out-of-line values */

static struct fmt_stream_in
plain(unsigned role, const void *data, uint32_t count, unsigned size)
{
    return (struct fmt_stream_in){.role = (uint8_t)role,
                                  .data = data,
                                  .count = count,
                                  .size = (uint8_t)size,
                                  .len = count * size};
}

static void
put_entry(uint8_t *p, uint32_t row, uint32_t first, uint32_t n_pieces, uint64_t bytes)
{
    base_store_le32(p, row);
    base_store_le32(p + 4, first);
    base_store_le64(p + 8, bytes);
    base_store_le32(p + 16, n_pieces);
    base_store_le32(p + 20, 0);
}

/* Four rows, of which 0 and 2 are out of line and the others have 2 and 1 elements of each bytes. */
static void
far_page(const char *name, const struct shard_field *f, unsigned how, uint32_t each)
{
    const bool strings = f->elem == SHARD_TYPE_STRING, sparse = f->type == SHARD_TYPE_SPARSE;
    const bool bytes = f->type == SHARD_TYPE_STRING || f->type == SHARD_TYPE_BINARY;
    const bool small = strings || sparse; /* the second piece, of 8 bytes, is one value of them */
    const uint32_t long1 = small ? 8 : how & HOW_LARGE ? FUZZ_LARGE - 64 : 64;
    const uint32_t long2 = small ? 8 : how & HOW_LARGE ? FUZZ_LARGE : 72;
    uint8_t lengths[16] = {strings, 0, 0, 0, 2, 0, 0, 0, strings, 0, 0, 0, 1}, entries[48];
    static const uint8_t indices[12] = {1, 0, 0, 0, 5, 0, 0, 0, 3}, elem_lengths[12] = {1, 0, 0, 0, 2, 0, 0, 0, 1};
    static const uint8_t values[24] = "abcdefghijklmnopqrstuvw";
    struct fmt_stream_in s[5];
    struct base_buf page = {0};
    uint64_t data_len = 16 + long1 + long2 + 3 * each + (sparse ? 12 : 0) + (strings ? 16 : 0);
    uint32_t n = 0;

    put_entry(entries, 0, small, 1, long1);
    put_entry(entries + 24, 2, small, small ? 1 : 2, long2);
    s[n++] = plain(FMT_ROLE_LENGTHS, lengths, 4, 4);
    if (sparse)
        s[n++] = plain(FMT_ROLE_INDICES, indices, 3, 4);
    if (strings || bytes)
        s[n++] = plain(FMT_ROLE_BYTES, values, strings ? 4 : 3, 1);
    else
        s[n++] = plain(FMT_ROLE_VALUES, values, 3, each);
    s[n++] = plain(FMT_ROLE_OVERFLOW, entries, 2, FMT_OVERFLOW_ENTRY);
    if (strings)
        s[n++] = plain(FMT_ROLE_ELEM_LENGTHS, elem_lengths, 3, 4);
    fuzz_page_build(4, s, n, &page);
    put_page(name, f, how, 4, data_len, page.data, page.len);
    base_buf_done(&page);
}

static void
far_pages(void)
{
    const struct shard_field f[] = {
        {.type = SHARD_TYPE_STRING},
        {.type = SHARD_TYPE_BINARY},
        {.type = SHARD_TYPE_LIST, .elem = SHARD_TYPE_INT32},
        {.type = SHARD_TYPE_LIST, .elem = SHARD_TYPE_FLOAT64},
        {.type = SHARD_TYPE_SPARSE, .elem = SHARD_TYPE_FLOAT32},
        {.type = SHARD_TYPE_LIST, .elem = SHARD_TYPE_STRING},
    };
    const uint32_t each[] = {1, 1, 4, 8, 4, 0};
    const struct shard_field tensor = {.type = SHARD_TYPE_TENSOR,
                                       .elem = SHARD_TYPE_UINT8,
                                       .n_dims = 3,
                                       .dims = {145, 113, 64}}; /* FUZZ_LARGE */
    struct base_buf page = {0};
    struct fmt_stream_in s;
    uint8_t entries[48];
    char name[64];

    for (size_t i = 0; i < BASE_ARRAY_LEN(f); i++)
        for (unsigned how = 0; how < 4; how++) {
            (void)snprintf(name, sizeof(name), "outside-%zu-%u", i, how);
            far_page(name, &f[i], (how & 1 ? HOW_FAR : 0) | (how & 2 ? HOW_LARGE : 0), each[i]);
        }
    put_entry(entries, 0, 0, 2, FUZZ_LARGE);
    put_entry(entries + 24, 1, 0, 2, FUZZ_LARGE);
    s = plain(FMT_ROLE_OVERFLOW, entries, 2, FMT_OVERFLOW_ENTRY);
    fuzz_page_build(2, &s, 1, &page);
    put_page("outside-tensor", &tensor, HOW_LARGE, 2, UINT64_C(2) * FUZZ_LARGE, page.data, page.len);
    base_buf_done(&page);
}

/* --------------------------------------------------------------------------------------- files */

/* A shard file as fuzz_footer.c takes it: u16 length of the footer, pages, footer. */
static void
put_shard(const char *target, const char *name, const uint8_t *head, size_t head_len,
          const struct base_buf *file)
{
    const uint8_t *trailer = file->data + file->len - FMT_TRAILER_SIZE;
    const uint32_t stored_len = base_load_le32(trailer + 8), raw_len = base_load_le32(trailer + 12);
    const uint8_t *footer = trailer - stored_len;
    uint8_t *raw = malloc(raw_len + 1u), len[2];
    struct base_buf b = {0};

    fuzz_must(raw != NULL && raw_len < 0x8000, "footer");
    if (stored_len < raw_len)
        fuzz_must(base_codec_decompress(fuzz_codec(), raw, raw_len, footer, stored_len, NULL) == 0,
                  "footer");
    else
        memcpy(raw, footer, raw_len);
    base_store_le16(len, (uint16_t)raw_len);
    fuzz_must(base_buf_append(&b, head, head_len) == 0 && base_buf_append(&b, len, 2) == 0 &&
                  base_buf_append(&b, file->data + FMT_HEADER_SIZE,
                                  (size_t)(footer - file->data) - FMT_HEADER_SIZE) == 0 &&
                  base_buf_append(&b, raw, raw_len) == 0,
              "memory");
    put(target, name, &b);
    base_buf_done(&b);
    free(raw);
}

static void
shard_file(const char *name, const char *columns, uint32_t rows, const struct fmt_encode_opts *opts)
{
    struct shard_array arrays[32];
    struct fmt_shard_info info = {0};
    struct fmt_column cols[32];
    struct shard_error err = {0};
    struct base_buf file = {0};
    struct fmt_schema s;

    fuzz_must(fmt_util_schema(columns, &s, &err) == 0 && 2 * s.n_fields <= 32, columns);
    for (uint32_t i = 0; i < 2 * s.n_fields; i++) {
        const struct shard_field *f = &s.fields[i % s.n_fields];

        fmt_column_init_field(&cols[i], f);
        fuzz_must(fmt_util_fill(f, 3, i / s.n_fields * rows, rows, &cols[i]) == 0, "memory");
        fmt_column_array(&cols[i], &arrays[i]);
    }
    fuzz_must(shard_util_write(&s, opts, arrays, 2, &file, &info, &err) == 0, err.text);
    put_shard("footer", name, NULL, 0, &file);
    put_shard("dataset", name, NULL, 0, &file);
    for (uint32_t i = 0; i < 2 * s.n_fields; i++)
        fmt_column_done(&cols[i]);
    fmt_schema_done(&s);
    base_buf_done(&file);
    free(info.group_rows);
}

static void
shard_files(void)
{
    struct base_dict *of[2] = {fuzz_zdict(), fuzz_zdict()};
    const struct fmt_zdicts zdicts = {.n_columns = 2, .of = of};
    const struct fmt_encode_opts none = {.zstd_level = 0}, level = {.zstd_level = 3},
                                 dict = {.zstd_level = 3, .page_bytes = 4096, .zdicts = &zdicts};

    shard_file("numbers", "a:bool?,b:int8,c:int16?,d:int32,e:uint64?,f:float32", 9, &none);
    shard_file("small-floats", "a:float16,b:bfloat16?,c:float64?,d:timestamp[ns]?", 9, &level);
    shard_file("strings", "a:string?,b:binary,c:list<string>?", 9, &level);
    shard_file("lists", "a:list<int32>?,b:sparse<float32>,c:tensor<int16,2,3>?", 9, &none);
    shard_file("pages", "a:string,b:string?", 200, &dict);
}

static void
align(struct base_buf *b)
{
    fuzz_must(base_buf_append_zero(b, (size_t)base_align_up(b->len, FMT_ALIGN) - b->len) == 0,
              "memory");
}

/* Bytes at the next multiple of 64, where row groups, and pages without zstd, begin. */
static struct fmt_page
stand(struct base_buf *file, const void *data, uint32_t len)
{
    struct fmt_page p;

    align(file);
    p = (struct fmt_page){.off = file->len, .stored_len = len, .raw_len = len};
    fuzz_must(base_buf_append(file, data, len) == 0, "memory");
    p.hash = base_hash64(data, len, p.off);
    return p;
}

/* The length index of the values of outside_file(), as a page. */
static struct fmt_page
stand_lengths(struct base_buf *file)
{
    static const uint8_t lengths[4] = {43, 3, 16, 0};
    const struct fmt_stream_in s = plain(FMT_ROLE_VALUES, lengths, 4, 1);
    struct base_buf raw = {0};
    struct fmt_page page;

    fuzz_page_build(4, &s, 1, &raw);
    page = stand(file, raw.data, (uint32_t)raw.len);
    page.n_rows = 4;
    page.data_len = 16;
    base_buf_done(&raw);
    return page;
}

/* A shard of strings, or lists, of which two are out of line: short ones, as a writer would not have
 * it. Lists get an index, which would not pay, either. */
static void
outside_file(const char *name, bool list)
{
    static const uint8_t lengths[16] = {0, 0, 0, 0, 3}, bytes[4] = "abc";
    struct shard_field field = {.name = "x",
                                .type = list ? SHARD_TYPE_LIST : SHARD_TYPE_STRING,
                                .elem = list ? SHARD_TYPE_UINT8 : 0};
    const struct fmt_schema schema = {.fields = &field, .n_fields = 1};
    struct fmt_group_entry group = {.off = FMT_HEADER_SIZE, .n_rows = 4, .n_pieces = 2};
    const struct fmt_origin origin = {.split = (char *)(uintptr_t)"train"};
    const uint32_t chunk_pages[1] = {1}, encodings[1] = {1}, length_chunk[1] = {0};
    struct base_buf file = {0}, raw = {0}, body = {0};
    struct fmt_page page, pieces[2], index;
    struct fmt_footer_parts parts = {.schema = &schema,
                                     .n_rows = 4,
                                     .n_groups = 1,
                                     .n_pages = 1,
                                     .n_pieces = 2,
                                     .groups = &group,
                                     .pages = &page,
                                     .pieces = pieces,
                                     .n_lengths = list,
                                     .lengths = &index,
                                     .length_chunk = length_chunk,
                                     .chunk_pages = chunk_pages,
                                     .encodings = encodings,
                                     .origin = &origin};
    struct fmt_stream_in s[3];
    uint8_t entries[48], len[2] = {0};

    fuzz_must(base_buf_append_zero(&file, FMT_HEADER_SIZE) == 0, "memory");
    pieces[0] = stand(&file, "a value that is out of line", 27);
    pieces[1] = stand(&file, ", and more of it", 16);
    put_entry(entries, 0, 0, 2, 43);
    put_entry(entries + 24, 2, 1, 1, 16);
    s[0] = plain(FMT_ROLE_LENGTHS, lengths, 4, 4);
    s[1] = plain(list ? FMT_ROLE_VALUES : FMT_ROLE_BYTES, bytes, 3, 1);
    s[2] = plain(FMT_ROLE_OVERFLOW, entries, 2, FMT_OVERFLOW_ENTRY);
    fuzz_page_build(4, s, 3, &raw);
    page = stand(&file, raw.data, (uint32_t)raw.len);
    page.n_rows = 4;
    page.data_len = 16 + 3 + 43 + 16;
    if (list)
        index = stand_lengths(&file);
    fuzz_must(base_buf_append(&body, len, 2) == 0 &&
                  base_buf_append(&body, file.data + FMT_HEADER_SIZE,
                                  file.len - FMT_HEADER_SIZE) == 0 &&
                  fmt_footer_write(&parts, &body) == 0,
              "memory");
    base_store_le16(body.data, (uint16_t)(body.len - 2 - (file.len - FMT_HEADER_SIZE)));
    put("footer", name, &body);
    put("dataset", name, &body);
    base_buf_done(&file);
    base_buf_done(&raw);
    base_buf_done(&body);
}

/* The root and the segment of a small dataset, with its rejects. */
static void
dataset_files(void)
{
    static const uint8_t root[] = {128, 1}, segment[] = {128, 9};
    const struct fmt_util_spec spec = {.columns = "a:int32,b:string?",
                                       .splits = "train,test",
                                       .n_shards = 2,
                                       .groups_per_shard = 2,
                                       .rows_per_group = 3,
                                       .n_rejects = 1};
    struct shard_error err = {0};
    char dir[256], path[600];
    size_t n;
    char **files;

    fmt_util_tmpdir(dir);
    fuzz_must(fmt_util_make(dir, &spec, &err) == 0, err.text);
    files = fmt_util_files(dir, &n);
    for (size_t i = 0; i < n; i++) {
        const bool is_root = strncmp(files[i], "roots/", 6) == 0;
        struct base_buf file = {0};

        (void)snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
        fmt_util_read(AT_FDCWD, path, &file);
        if (is_root || strncmp(files[i], "segments/", 9) == 0)
            put_shard(is_root ? "root" : "segment", "written", is_root ? root : segment, 2, &file);
        base_buf_done(&file);
    }
    fmt_util_files_free(files, n);
    fmt_util_rmtree(dir);
}

/* ------------------------------------------------------------------------------- texts of people */

/* A target's input: head, then text. */
static void
put_text(const char *target, unsigned number, const uint8_t *head, size_t head_len,
         const char *text)
{
    struct base_buf b = {0};
    char name[16];

    fuzz_must(base_buf_append(&b, head, head_len) == 0 &&
                  base_buf_append(&b, text, strlen(text)) == 0,
              "memory");
    (void)snprintf(name, sizeof(name), "%02u", number);
    put(target, name, &b);
    base_buf_done(&b);
}

static void
filters(void)
{
    static const char *const texts[] = {
        "i >= -5 AND u < 18446744073709551615", "b = true OR NOT (b IS NULL)",
        "f BETWEEN -1.5 AND 1e3 AND f IS NOT NAN", "s LIKE '%page%' OR s IN ('', 'a''b')",
        "x = x'00ff' OR length(x) > 3", "length(l) <= 4 AND length(ls) <> 0 AND l IS NOT NULL",
        "\"a.b\" IN (1, -2, 3.5) AND h < 0.1", "NOT (s < 'm' AND s > 'a') OR d = -0.0",
        "ts > 1000000 OR length(sp) = 2"};

    for (unsigned i = 0; i < BASE_ARRAY_LEN(texts); i++)
        put_text("filter", i, (const uint8_t[]){(uint8_t)(7 - i % 7)}, 1, texts[i]);
}

static void
records(void)
{
    static const struct {
        uint8_t head[2]; /* as fuzz_records.c has it */
        const char *text;
    } of[] = {
        {{0, 0}, "{\"a\":1,\"b\":[1,2.5],\"c\":{\"d\":\"x\\u00e9\",\"e\":null}}\n{\"a\":-3,\"f\":[\"s\",\"\"]}\n[1]\n"},
        {{0x40, 2}, "{\"a\":true,\"b.c\":9007199254740993}\r\n{\"a\":1e400}\n{\"a\":1,\"a\":2}\n{bad\n"},
        {{1, 0}, "id,text,\"a \"\"b\"\"\"\n1,\"x\ny\",2.5\r\n-2,,\n3,\"open"},
        {{0x81, 1}, "1;2\t3,4\r5,\"6\"7\n,,,\n"},
        {{2, 0}, "+1 1:0.5 7:-2e3 # c\n-1 2:1\n0\n1 3:1 2:1\n"},
        {{3, 1}, "a line\n\n\xc3\xa9\xff\n"},
        {{4, 0}, "[{\"a\":1},{\"a\":\"x\",\"_extra\":{}} , 5]"},
        {{4, 0}, "{\"a\":[[1],[2]],\"a.b\":2,\"\":3}"},
        {{5, 0}, "x\ty\n1\t2.50\n\"\t\"\t\n"},
        {{0x20, 0}, "{\"a\":\"2026-11-21T16:13:31.5Z\",\"b\":[[1,2],[3,-4]],\"c\":0.1,\"d\":[\"x\",\"\"]}\n"
                    "{\"e\":true,\"f\":[1,2e9],\"g\":\"AAEC\",\"h\":1e39,\"i\":\"1969-12-31 23:59:59\"}\n{\"b\":[1]}\n"},
        {{0x21, 0}, "a,c,label,e,text,b,f\n2026-01-02T03:04:05+01:00,-0.5,300,yes,\"x\",\"[[1,2],[3,4]]\",[1]\n1,nan,-1,0,,[],x\n"},
        {{0x22, 0}, "1 1:0.5 3:2\n-129 1:1\n"},
        {{6, 0}, "\xef\xbb\xbf{\"a\":1}\n{\"a\":2}\n"},
    };

    for (unsigned i = 0; i < BASE_ARRAY_LEN(of); i++)
        put_text("records", i, of[i].head, sizeof(of[i].head), of[i].text);
}

int
main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: make_seeds FOLDER\n");
        return 2;
    }
    out = argv[1];
    (void)mkdir(out, 0777);
    for (size_t t = 0; t < BASE_ARRAY_LEN(types); t++)
        for (unsigned shape = 0; shape < 8; shape++)
            pages_of_type(types[t], shape & 4, shape & 3);
    encoding_pages();
    far_pages();
    shard_files();
    outside_file("outside-strings", false);
    outside_file("outside-lists", true);
    dataset_files();
    filters();
    records();
    return 0;
}
