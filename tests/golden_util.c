#include "config.h"

#include "tests/golden_util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/compiler.h"
#include "lib/endian.h"
#include "tests/random.h"

#define LENGTHS {0, 1, 1023, 1024, 1025}

const struct golden_file golden_files[] = {
    {"numbers-none", "numbers", false, 0, 0, false, 5, LENGTHS},
    {"numbers-none-nullable", "numbers", true, 0, 0, false, 5, LENGTHS},
    {"numbers-zstd", "numbers", false, 3, 0, false, 5, LENGTHS},
    {"numbers-zstd-nullable", "numbers", true, 3, 0, false, 5, LENGTHS},
    {"others-none", "others", false, 0, 0, false, 5, LENGTHS},
    {"others-none-nullable", "others", true, 0, 0, false, 5, LENGTHS},
    {"others-zstd", "others", false, 3, 0, false, 5, LENGTHS},
    {"others-zstd-nullable", "others", true, 3, 0, false, 5, LENGTHS},
    {"pages-none", "pages", true, 0, 4096, false, 5, LENGTHS},
    {"pages-zdict", "pages", false, 3, 4096, true, 5, LENGTHS},
    {"pages-zdict-nullable", "pages", true, 3, 4096, true, 5, LENGTHS},
    {"index-none", "index", false, 0, 0, false, 5, LENGTHS},
    {"index-zstd-nullable", "index", true, 3, 0, false, 5, LENGTHS},
    {"large-zstd-nullable", "large", true, 3, 0, false, 2, {3, 3}},
    {"empty", "numbers", true, 3, 0, false, 0, {0}},
    {"tiny", "tiny", true, 0, 0, false, 1, {3}},
};
const size_t golden_n_files = BASE_ARRAY_LEN(golden_files);
const struct golden_file golden_dataset = {GOLDEN_DATASET, "pages", true, 3, 0, false, 3, {40, 7, 1}};
const char *const golden_splits[] = {"train", "test", "train"};

/* ------------------------------------------------------------------------------------- columns */

#define INTS     "plain narrow constant rle dict for delta bss"
#define FLOATS   "plain constant rle dict bss"
#define TEXT     "plain constant dict long"

static const struct columns {
    const char *which, *type, *shapes;
} columns[] = {
    {"numbers", "bool", "plain constant"},
    {"numbers", "int8", "plain constant rle dict for delta bss"},
    {"numbers", "uint8", "plain constant rle dict for delta bss"},
    {"numbers", "int16", INTS},
    {"numbers", "int32", INTS},
    {"numbers", "int64", INTS},
    {"numbers", "uint16", INTS},
    {"numbers", "uint32", INTS},
    {"numbers", "uint64", INTS},
    {"numbers", "float16", FLOATS},
    {"numbers", "bfloat16", FLOATS},
    {"numbers", "float32", FLOATS},
    {"numbers", "float64", FLOATS},
    {"numbers", "timestamp[s]", "narrow"},
    {"numbers", "timestamp[ms]", "narrow"},
    {"numbers", "timestamp[us]", INTS},
    {"numbers", "timestamp[ns]", "narrow"},
    {"others", "string", TEXT},
    {"others", "binary", TEXT},
    {"others", "list<string>", "plain constant dict"},
    {"others", "tensor<int16,3>", INTS},
    {"others", "tensor<float32,1,2>", FLOATS},
    {"others", "tensor<bfloat16,1,1,1,1,1,1,1,2>", "plain"},
    {"others", "tensor<uint8,1>", "plain"},
    {"others", "list<int8>", "plain"},
    {"others", "list<int16>", "plain"},
    {"others", "list<int32>", INTS},
    {"others", "list<int64>", "plain"},
    {"others", "list<uint8>", "plain long"},
    {"others", "list<uint16>", "plain"},
    {"others", "list<uint32>", "plain"},
    {"others", "list<uint64>", "plain"},
    {"others", "list<float16>", "plain"},
    {"others", "list<bfloat16>", "plain"},
    {"others", "list<float32>", FLOATS},
    {"others", "list<float64>", "plain"},
    {"others", "sparse<int8>", "plain"},
    {"others", "sparse<int16>", "plain"},
    {"others", "sparse<int32>", "plain"},
    {"others", "sparse<int64>", INTS},
    {"others", "sparse<uint8>", "plain"},
    {"others", "sparse<uint16>", "plain"},
    {"others", "sparse<uint32>", "plain"},
    {"others", "sparse<uint64>", "plain"},
    {"others", "sparse<float16>", "plain"},
    {"others", "sparse<bfloat16>", "plain"},
    {"others", "sparse<float32>", FLOATS},
    {"others", "sparse<float64>", "plain"},
    {"pages", "string", "plain dict words"},
    {"pages", "uint32", "plain for"},
    {"pages", "float64", "dict"},
    {"pages", "list<int32>", "plain"},
    {"pages", "list<string>", "words"},
    {"pages", "sparse<float32>", "bss"},
    {"pages", "tensor<float32,2,3>", "plain"},
    {"index", "list<uint8>", "even"},
    {"large", "string", "large"},
    {"large", "binary", "large"},
    {"large", "list<int16>", "large"},
    {"large", "list<string>", "large"},
    {"large", "sparse<float64>", "large"},
    {"large", "tensor<uint8,2,524289>", "large"},
    {"tiny", "uint16", "tiny"},
    {"tiny", "string", "tiny"},
};

/* The encoding that a column of that shape is to have. */
static uint8_t
encoding_of(const char *shape)
{
    static const char *const as_plain[] = {"narrow", "words", "long", "even", "large"};
    const int e = fmt_encoding_parse(shape);

    for (size_t i = 0; i < BASE_ARRAY_LEN(as_plain); i++)
        if (strcmp(shape, as_plain[i]) == 0)
            return FMT_ENC_PLAIN;
    return e < 0 ? FMT_ENC_AUTO : (uint8_t)e;
}

/* Add the column "TYPE SHAPE"; shape goes on up to len. */
static int
add_column(struct fmt_schema *s, const char *type, const char *shape, size_t len, bool nullable,
           uint8_t *ret_encoding, struct shard_error *err)
{
    char name[128], only[32];
    struct shard_field f = {.name = name};
    int r = fmt_type_parse(type, &f, err);

    (void)snprintf(only, sizeof(only), "%.*s", (int)len, shape);
    (void)snprintf(name, sizeof(name), "%s %s", type, only);
    f.nullable = nullable;
    *ret_encoding = encoding_of(only);
    return r < 0 ? r : fmt_schema_add_field(s, &f);
}

int
golden_schema(const struct golden_file *f, struct fmt_schema *ret, uint8_t **ret_encodings,
              struct shard_error *err)
{
    uint8_t *encodings = calloc(256, 1);
    int r = encodings ? 0 : -ENOMEM;

    fmt_schema_init(ret);
    for (size_t i = 0; i < BASE_ARRAY_LEN(columns) && r == 0; i++) {
        const char *p = columns[i].shapes;

        if (strcmp(columns[i].which, f->columns) != 0)
            continue;
        for (size_t len; *p && r == 0; p += len + (p[len] == ' ')) {
            len = strcspn(p, " ");
            r = add_column(ret, columns[i].type, p, len, f->nullable, &encodings[ret->n_fields],
                           err);
        }
    }
    *ret_encodings = encodings;
    return r;
}

/* ------------------------------------------------------------------------------------- formula */

static uint64_t
hash(const char *name, uint64_t a, uint64_t b)
{
    uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */

    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * UINT64_C(1099511628211);
    return test_mix(h + a * UINT64_C(0x9e3779b97f4a7c15) + b * UINT64_C(0xc2b2ae3d27d4eb4f));
}

static bool
shape_is(const char *name, const char *shape)
{
    return strcmp(strchr(name, ' ') + 1, shape) == 0;
}

/* Number i of the column, its lowest bits. */
static uint64_t
golden_number(const char *name, struct fmt_type t, uint64_t i)
{
    const unsigned bits = t.number == FMT_NUMBER_NONE ? 64 : 8u * t.size;
    const bool is_signed = t.number == FMT_NUMBER_SIGNED, is_float = t.number == FMT_NUMBER_FLOAT;
    const uint64_t h = hash(name, i, 0);

    if (shape_is(name, "narrow"))
        return h % 100 - (is_signed ? 50 : 0);
    if (shape_is(name, "constant"))
        return hash(name, 0, 0);
    if (shape_is(name, "rle"))
        return hash(name, i / 300, 0);
    if (shape_is(name, "dict"))
        return hash(name, h % 7, 1);
    if (shape_is(name, "even")) /* zstd finds nothing: an index has to be small against its chunk */
        return hash(name, i, 4);
    if (shape_is(name, "words"))
        return hash(name, h % 400, 1);
    if (shape_is(name, "for")) { /* so many bits, another number for every 512 */
        const unsigned w = (unsigned)(i / 512 * 11 % (bits + 1));

        return (w ? h >> (64 - w) : 0) - (is_signed && w ? UINT64_C(1) << (w - 1) : 0);
    }
    if (shape_is(name, "delta"))
        return i * 1000 + h % 16;
    if (shape_is(name, "bss"))
        return is_float ? hash(name, i / 4, 0) : hash(name, i / 2, 0) % (1u << 20);
    switch (i % 64) { /* plain, long */
    case 5:
        return UINT64_MAX; /* -1, NaN */
    case 6:
        return UINT64_C(1) << (bits - 1); /* the least, -0.0 */
    case 7:
        return 0;
    default:
        return hash(name, i / 8, 0);
    }
}

/* Bytes or elements of a row. */
static uint32_t
golden_length(const char *name, bool text, uint64_t number, uint64_t row)
{
    static const uint32_t lengths[] = LENGTHS;
    const uint64_t h = hash(name, row, 2);

    if (shape_is(name, "long") && row % 1024 < BASE_ARRAY_LEN(lengths))
        return lengths[row % 1024];
    if (text)
        return (uint32_t)(number >> 32) % 16;
    if (shape_is(name, "even")) /* such lists get a length index */
        return 24;
    return h % 16 ? 0 : (uint32_t)(1 + h / 16 % 3);
}

/* len bytes of string number; letters unless raw. */
static void
golden_text(uint64_t number, uint32_t len, bool raw, uint8_t *ret)
{
    for (uint32_t j = 0; j < len; j++) {
        const uint8_t byte = (uint8_t)(test_mix(number + j / 8) >> 8 * (j % 8));

        ret[j] = raw ? byte : (uint8_t)('a' + byte % 26);
    }
    if (!raw && len >= 2 && number % 5 == 0)
        memcpy(ret, "\xc3\xa9", 2);
}

static bool
golden_null(const struct shard_field *f, uint64_t row)
{
    if (!f->nullable)
        return false;
    if (shape_is(f->name, "large"))
        return row == 1;
    if (shape_is(f->name, "even"))
        return hash(f->name, row, 1) % 64 == 0;
    return hash(f->name, row, 1) % 8 < 5 || (shape_is(f->name, "constant") && row < 1024);
}

/* --------------------------------------------------------------------------------------- rows */

static void
put_numbers(const struct shard_field *f, struct fmt_type t, uint64_t i, uint32_t n, uint8_t *ret)
{
    for (uint32_t k = 0; k < n; k++) {
        const uint64_t v = golden_number(f->name, t, i + k);

        for (unsigned b = 0; b < t.size; b++)
            ret[k * t.size + b] = (uint8_t)(v >> 8 * b);
    }
}

static int
fill_strings(const struct shard_field *f, uint64_t row, uint32_t n, struct fmt_column *c)
{
    uint8_t text[3 * 16];
    uint32_t lens[3], at = 0;

    for (uint32_t k = 0; k < n; k++) {
        const uint64_t v = golden_number(f->name, (struct fmt_type){0}, row + k);

        lens[k] = golden_length(f->name, true, v, row + k);
        golden_text(v, lens[k], false, text + at);
        at += lens[k];
    }
    return fmt_column_append_strings(c, text, lens, n);
}

static int
fill_row(const struct shard_field *f, uint64_t row, struct fmt_column *c)
{
    const struct fmt_type t = fmt_field_type(f);
    const bool text = t.kind == FMT_KIND_BYTES;
    const uint64_t number = golden_number(f->name, (struct fmt_type){0}, row);
    const uint32_t n = golden_length(f->name, text, number, row);
    uint8_t values[1025 * 8];
    uint32_t indices[3];

    if (text)
        golden_text(number, n, f->type == SHARD_TYPE_BINARY, values);
    else if (t.kind != FMT_KIND_STRINGS && t.kind != FMT_KIND_BIT)
        put_numbers(f, t, shape_is(f->name, "even") ? 32 * row : row,
                    t.kind == FMT_KIND_NUMBER ? 1 : c->width ? c->width : n, values);
    switch (t.kind) {
    case FMT_KIND_BIT:
        return fmt_column_append_bool(c, number & 1);
    case FMT_KIND_NUMBER:
        return fmt_column_append_number(c, values);
    case FMT_KIND_BYTES:
        return fmt_column_append_bytes(c, values, n);
    case FMT_KIND_TENSOR:
        return fmt_column_append_tensor(c, values);
    case FMT_KIND_LIST:
        return fmt_column_append_list(c, values, n);
    case FMT_KIND_STRINGS:
        return fill_strings(f, row, n, c);
    default:
        for (uint32_t k = 0; k < n; k++)
            indices[k] = (uint32_t)(hash(f->name, row, 3 + k) % 1000) +
                         (k ? indices[k - 1] + 1 : 0);
        return fmt_column_append_sparse(c, indices, values, n);
    }
}

/* Rows of the file that docs/format.md takes apart. */
static int
fill_tiny(const struct shard_field *f, uint64_t row, struct fmt_column *c)
{
    static const uint16_t numbers[] = {7, 7, 300};
    static const char *const texts[] = {"one", NULL, "three"};

    if (f->type == SHARD_TYPE_UINT16)
        return fmt_column_append_number(c, &numbers[row]);
    return texts[row] ? fmt_column_append_bytes(c, texts[row], strlen(texts[row]))
                      : fmt_column_append_null(c);
}

/* Values around 1 MiB. Byte j of row r is 'a' + (j / 997 + r) % 26, number j is j / 5000 + r, index j
 * j + r; the strings of a list have 2,500 bytes, but for the last one. Of sparse vectors only the
 * first is large: indices that ascend are. */
static int
append_large(const struct shard_field *f, uint64_t row, uint32_t size, uint8_t *bytes,
             uint32_t *u32, struct fmt_column *c)
{
    const uint32_t n_strings = size / 2500 + 1;
    uint32_t n = size;

    switch (fmt_field_type(f).kind) {
    case FMT_KIND_BYTES:
    case FMT_KIND_STRINGS:
        for (uint32_t j = 0; j < n; j++)
            bytes[j] = (uint8_t)('a' + (j / 997 + row) % 26);
        for (uint32_t j = 0; j < n_strings; j++)
            u32[j] = j + 1 < n_strings ? 2500 : size % 2500;
        return c->elem ? fmt_column_append_strings(c, bytes, u32, n_strings)
                       : fmt_column_append_bytes(c, bytes, n);
    case FMT_KIND_LIST: /* of int16 */
        n = (size + 1) / 2;
        for (uint32_t j = 0; j < n; j++)
            base_store_le16(bytes + (size_t)2 * j, (uint16_t)(j / 5000 + row));
        return fmt_column_append_list(c, bytes, n);
    case FMT_KIND_TENSOR: /* of uint8 */
        for (uint32_t j = 0; j < c->width; j++)
            bytes[j] = (uint8_t)(j / 5000 + row);
        return fmt_column_append_tensor(c, bytes);
    default: /* sparse vectors of float64 */
        n = row == 0 ? size / 12 + 1 : (uint32_t)row;
        for (uint32_t j = 0; j < n; j++) {
            const double v = j / 5000 + (double)row;

            memcpy(bytes + (size_t)8 * j, &v, sizeof(v));
            u32[j] = (uint32_t)(j + row);
        }
        return fmt_column_append_sparse(c, u32, bytes, n);
    }
}

static int
fill_large(const struct shard_field *f, uint64_t row, struct fmt_column *c)
{
    static const uint32_t sizes[] = {(1u << 20) + 1, 3, 1u << 20, 0, 2500000, 1};
    const size_t most = 2500000;
    uint8_t *bytes = malloc(most + 1);
    uint32_t *u32 = malloc(most * sizeof(*u32));
    const int r = bytes && u32 ? append_large(f, row, sizes[row], bytes, u32, c) : -ENOMEM;

    free(bytes);
    free(u32);
    return r;
}

int
golden_fill(const struct shard_field *f, uint64_t row0, uint64_t n, struct fmt_column *c)
{
    int r = 0;

    for (uint64_t row = row0; r == 0 && row < row0 + n; row++) {
        if (shape_is(f->name, "tiny"))
            r = fill_tiny(f, row, c);
        else if (golden_null(f, row))
            r = fmt_column_append_null(c);
        else
            r = shape_is(f->name, "large") ? fill_large(f, row, c) : fill_row(f, row, c);
    }
    return r;
}
