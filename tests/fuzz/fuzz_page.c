/* Fuzz target: one page of one column. Input, 12 bytes and then the raw page:
 *
 *     u8 type, u8 elem, u8 nullable, u8 how (HOW_*), u16 rows,
 *     u8 unit of timestamps or first dimension of tensors, u8 second dimension or 0, u32 data_len
 *
 * What decodes must encode again and decode to the same bits. Two pieces hold the page's first bytes.
 * The mutator knows what a page is made of, and mends the numbers that must agree, so that most of
 * what it makes gets through to the decoders. FUZZ_ENCODING=N has it give a stream encoding N. */
#include "config.h"

#include <stdlib.h>

#include "lib/arith.h"
#include "lib/compiler.h"
#include "lib/endian.h"
#include "shardfmt/bits.h"
#include "tests/fuzz/fuzz_chunk.h"
#include "tests/random.h"

#define HEAD 12u
#define INPUT_MAX (1u << 20)
#define DATA_MAX (3u << 20)

static struct fuzz_page_in
input_parse(const uint8_t *data, size_t len)
{
    struct fuzz_page_in in = {.field = {.name = "x",
                                        .type = (enum shard_type)data[0],
                                        .elem = (enum shard_type)data[1],
                                        .nullable = data[2] & 1},
                              .how = data[3],
                              .n_rows = base_load_le16(data + 4),
                              .data_len = base_load_le32(data + 8),
                              .raw = data + HEAD,
                              .len = (uint32_t)(len - HEAD)};

    if (in.field.type == SHARD_TYPE_TIMESTAMP)
        in.field.unit = data[6] & 3;
    if (in.field.type == SHARD_TYPE_TENSOR) {
        in.field.n_dims = in.how & HOW_LARGE && data[7] ? 3 : data[7] ? 2 : 1;
        in.field.dims[0] = data[6] ? data[6] : 1;
        in.field.dims[1] = data[7];
        in.field.dims[2] = 64;
    }
    return in;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz_page_in in;
    struct shard_array a;

    if (len < HEAD || len > INPUT_MAX)
        return 0;
    in = input_parse(data, len);
    if (in.n_rows && in.data_len <= DATA_MAX && fuzz_page_decode(&in, &a, NULL) == 0) {
        fuzz_touch(&a);
        fuzz_page_again(&in, &a);
    }
    return 0;
}

/* ------------------------------------------------------------------------------------ mutating */

#define PAYLOAD_MAX 16384u

struct stream {
    uint8_t role, encoding, version, size;
    uint32_t count, len;
    uint8_t data[PAYLOAD_MAX];
};

static struct {
    struct fuzz_page_in in;
    uint32_t n;
    struct stream s[FMT_STREAMS_MAX];
} page;

static const struct {
    uint8_t type, elem;
} types[] = {
    {SHARD_TYPE_BOOL, 0},       {SHARD_TYPE_INT8, 0},
    {SHARD_TYPE_INT16, 0},      {SHARD_TYPE_UINT32, 0},
    {SHARD_TYPE_INT64, 0},      {SHARD_TYPE_FLOAT32, 0},
    {SHARD_TYPE_FLOAT64, 0},    {SHARD_TYPE_STRING, 0},
    {SHARD_TYPE_BINARY, 0},     {SHARD_TYPE_LIST, SHARD_TYPE_UINT8},
    {SHARD_TYPE_LIST, SHARD_TYPE_INT32},    {SHARD_TYPE_LIST, SHARD_TYPE_FLOAT64},
    {SHARD_TYPE_SPARSE, SHARD_TYPE_FLOAT32}, {SHARD_TYPE_SPARSE, SHARD_TYPE_INT64},
    {SHARD_TYPE_FLOAT16, 0},    {SHARD_TYPE_TIMESTAMP, 0},
    {SHARD_TYPE_TENSOR, SHARD_TYPE_UINT8},   {SHARD_TYPE_TENSOR, SHARD_TYPE_FLOAT32},
    {SHARD_TYPE_LIST, SHARD_TYPE_STRING},    {SHARD_TYPE_LIST, SHARD_TYPE_BFLOAT16},
};

/* Take the page apart, leniently. */
static void
page_parse(const uint8_t *data, size_t len)
{
    struct base_cursor c = base_cursor_make(data + HEAD, len - HEAD), desc;
    uint32_t n;

    page.in = input_parse(data, len);
    (void)base_cursor_u32(&c);
    n = base_cursor_u8(&c) % (FMT_STREAMS_MAX + 1);
    (void)base_cursor_bytes(&c, 3);
    desc = c;
    (void)base_cursor_bytes(&c, (size_t)n * FMT_STREAM_ENTRY);
    page.n = 0;
    for (uint32_t i = 0; i < n && base_cursor_ok(&c); i++) {
        struct stream *s = &page.s[page.n++];
        const uint8_t *p;

        s->role = base_cursor_u8(&desc);
        s->encoding = base_cursor_u8(&desc);
        s->version = base_cursor_u8(&desc);
        s->size = base_cursor_u8(&desc);
        s->count = base_cursor_u32(&desc);
        s->len = BASE_MIN(base_cursor_u32(&desc), PAYLOAD_MAX);
        if (s->encoding == FMT_ENC_PLAIN && s->len >= FMT_STREAM_ALIGN_MIN) {
            const size_t at = (size_t)(c.p - (data + HEAD));

            (void)base_cursor_bytes(
                &c, BASE_MIN((size_t)base_align_up(at, FMT_ALIGN) - at, base_cursor_left(&c)));
        }
        s->len = (uint32_t)BASE_MIN(s->len, base_cursor_left(&c));
        p = base_cursor_bytes(&c, s->len);
        if (p)
            memcpy(s->data, p, s->len);
    }
}

static struct fmt_stream_in
stream_view(const struct stream *s)
{
    return (struct fmt_stream_in){.data = s->data,
                                  .count = s->count,
                                  .len = s->len,
                                  .role = s->role,
                                  .encoding = s->encoding,
                                  .size = s->size};
}

/* Put it together again. Returns its length, 0 where it does not fit. */
static size_t
page_build(uint8_t *data, size_t max)
{
    uint8_t head[HEAD] = {(uint8_t)page.in.field.type, (uint8_t)page.in.field.elem,
                          page.in.field.nullable, (uint8_t)page.in.how};
    struct fmt_stream_in streams[FMT_STREAMS_MAX];
    struct base_buf b = {0};
    size_t len;

    base_store_le16(head + 4, (uint16_t)page.in.n_rows);
    head[6] = page.in.field.unit | (uint8_t)page.in.field.dims[0];
    head[7] = (uint8_t)page.in.field.dims[1];
    base_store_le32(head + 8, page.in.data_len);
    for (uint32_t i = 0; i < page.n; i++)
        streams[i] = stream_view(&page.s[i]);
    fuzz_page_build(page.in.n_rows, streams, page.n, &b);
    for (uint32_t i = 0; i < page.n; i++)
        b.data[FMT_PAGE_HEAD + i * FMT_STREAM_ENTRY + 2] = page.s[i].version;
    len = b.len + HEAD <= max ? b.len + HEAD : 0;
    if (len) {
        memcpy(data, head, HEAD);
        memcpy(data + HEAD, b.data, b.len);
    }
    base_buf_done(&b);
    return len;
}

static struct stream *
find(unsigned role)
{
    for (uint32_t i = 0; i < page.n; i++)
        if (page.s[i].role == role)
            return &page.s[i];
    return NULL;
}

/* A stream is to have count values: where its length follows from that, it gets it. */
static void
settle_count(unsigned role, uint64_t count)
{
    struct stream *s = find(role);
    uint64_t len;

    if (s == NULL)
        return;
    s->count = (uint32_t)count;
    if (s->encoding != FMT_ENC_PLAIN)
        return;
    len = s->size ? count * s->size : fmt_bits_bytes(count);
    if (len > PAYLOAD_MAX)
        return;
    if (len > s->len)
        memset(s->data + s->len, (int)(count & 0x0f), (size_t)len - s->len);
    s->len = (uint32_t)len;
    if (s->size == 0 && count % 8 && len)
        s->data[len - 1] &= (uint8_t)((1u << count % 8) - 1);
}

/* The sum of the u32 values of a stream; 0 where it cannot be read. */
static uint64_t
stream_sum(unsigned role)
{
    const struct stream *s = find(role);
    struct fmt_stream_in in;
    uint32_t *v;
    uint64_t n = 0;

    if (s == NULL || s->count > 1u << 17)
        return 0;
    in = stream_view(s);
    v = malloc(s->count * sizeof(*v) + FMT_FOR_BLOCK * sizeof(*v));
    fuzz_must(v != NULL, "memory");
    if (fmt_ints_all(&in, sizeof(*v), true, false, s->count, v, NULL) == 0)
        for (uint32_t i = 0; i < s->count; i++)
            n += v[i];
    free(v);
    return n;
}

/* Rows that are not null. */
static uint64_t
present(void)
{
    const struct stream *s = find(FMT_ROLE_VALIDITY);

    if (s == NULL || s->len == 0)
        return page.in.n_rows;
    if (s->encoding != FMT_ENC_PLAIN)
        return s->data[0] ? page.in.n_rows : 0;
    return fmt_bits_count(s->data, 0, BASE_MIN(page.in.n_rows, 8 * s->len));
}

/* Values that VALUES should have, or the strings, of n rows. */
static uint64_t
settle_rows(const struct fmt_type *t, uint64_t n)
{
    settle_count(FMT_ROLE_LENGTHS, n);
    if (t->kind == FMT_KIND_TENSOR)
        return n * fmt_field_width(&page.in.field);
    return find(FMT_ROLE_LENGTHS) ? stream_sum(FMT_ROLE_LENGTHS) : n;
}

/* The bytes of n strings. */
static uint64_t
settle_strings(uint64_t n, unsigned lengths)
{
    const struct stream *s = find(FMT_ROLE_BYTES);

    settle_count(FMT_ROLE_DICT_BYTES, stream_sum(FMT_ROLE_DICT_LENGTHS));
    settle_count(FMT_ROLE_CODES, n);
    if (s && s->encoding != FMT_ENC_PLAIN)
        return s->count;
    settle_count(lengths, n);
    settle_count(FMT_ROLE_BYTES, stream_sum(lengths));
    return stream_sum(lengths);
}

/* Entries of out-of-line values that may be: rows ascend, pieces are there, bytes are theirs. Returns
 * their sum. */
static uint64_t
settle_overflow(void)
{
    const uint32_t lens[3] = {page.in.how & HOW_LARGE ? FUZZ_LARGE - 64 : 64,
                              page.in.how & HOW_LARGE ? 64 : 8, 0};
    struct stream *s = find(FMT_ROLE_OVERFLOW);
    uint32_t row = 0;
    uint64_t sum = 0;

    if (s == NULL)
        return 0;
    s->encoding = FMT_ENC_PLAIN;
    s->size = FMT_OVERFLOW_ENTRY;
    s->count = s->len / FMT_OVERFLOW_ENTRY;
    s->len = s->count * FMT_OVERFLOW_ENTRY;
    for (uint32_t i = 0; i < s->count; i++) {
        uint8_t *p = s->data + (size_t)i * FMT_OVERFLOW_ENTRY;
        const uint32_t first = base_load_le32(p + 4) % 2;
        const uint32_t n = 1 + base_load_le32(p + 16) % (2 - first);
        const uint64_t bytes = (uint64_t)lens[first] + (n == 2 ? lens[1] : 0);

        row = BASE_MAX(row, base_load_le32(p));
        base_store_le32(p, row++);
        base_store_le32(p + 4, first);
        base_store_le64(p + 8, bytes);
        base_store_le32(p + 16, n);
        base_store_le32(p + 20, 0);
        sum += bytes;
    }
    return sum;
}

/* Mend the numbers of the page that must agree. */
static void
settle(void)
{
    const struct fmt_type t = fmt_field_type(&page.in.field);
    uint64_t n, values, bytes;

    settle_count(FMT_ROLE_VALIDITY, page.in.n_rows);
    n = present();
    values = settle_rows(&t, n);
    bytes = values * t.size;
    if (!t.offsets) /* null rows count, too */
        bytes = page.in.n_rows * (t.kind == FMT_KIND_TENSOR ? values / (n ? n : 1) : 1) *
                (t.size ? t.size : 1);

    if (t.kind == FMT_KIND_STRINGS) {
        bytes = settle_strings(values, FMT_ROLE_ELEM_LENGTHS) + 4 * values;
    } else if (t.kind == FMT_KIND_BYTES) {
        bytes = settle_strings(n, FMT_ROLE_LENGTHS);
    } else {
        settle_count(FMT_ROLE_VALUES, values);
        settle_count(FMT_ROLE_INDICES, values);
        settle_count(FMT_ROLE_CODES, values);
    }
    if (t.kind == FMT_KIND_SPARSE)
        bytes += 4 * values;
    if (t.offsets)
        bytes += settle_overflow();
    page.in.data_len = (uint32_t)(bytes + (t.offsets ? 4 * page.in.n_rows : 0));
}

static void
mutate_descriptor(struct stream *s, uint64_t *st)
{
    static const uint8_t sizes[] = {0, 1, 2, 4, 8, 24};

    switch (test_random(st) % 4) {
    case 0:
        s->encoding = (uint8_t)(test_random(st) % 8);
        break;
    case 1:
        s->size = sizes[test_random(st) % BASE_ARRAY_LEN(sizes)];
        break;
    case 2:
        s->count = (uint32_t)(test_random(st) % 3000);
        break;
    default:
        s->version = (uint8_t)(test_random(st) % 32 == 0);
        break;
    }
}

/* Add a stream, or take one out; roles stay in order. */
static void
mutate_streams(uint64_t *st)
{
    const uint64_t v = test_random(st);
    const uint8_t role = (uint8_t)(1 + v % FMT_ROLE_LAST);
    uint32_t i = 0;

    while (i < page.n && page.s[i].role < role)
        i++;
    if (i < page.n && page.s[i].role == role) {
        memmove(&page.s[i], &page.s[i + 1], (page.n - i - 1) * sizeof(page.s[0]));
        page.n--;
    } else if (page.n < FMT_STREAMS_MAX) {
        memmove(&page.s[i + 1], &page.s[i], (page.n - i) * sizeof(page.s[0]));
        memset(&page.s[i], 0, sizeof(page.s[0]));
        page.s[i].role = role;
        page.s[i].size = (uint8_t)(v >> 8 & 3 ? 4 : 0);
        page.n++;
    }
}

static void
mutate_page(uint64_t *st)
{
    const uint64_t v = test_random(st);
    struct stream *s = page.n ? &page.s[(v >> 8) % page.n] : NULL;
    const char *encoding = getenv("FUZZ_ENCODING");

    if (v % 16 == 0) {
        page.in.n_rows = (uint32_t)(1 + (v >> 16) % (v & 32 ? 8 : 2100));
    } else if (v % 16 == 1) {
        page.in.field.type = (enum shard_type)types[(v >> 16) % BASE_ARRAY_LEN(types)].type;
        page.in.field.elem = (enum shard_type)types[(v >> 16) % BASE_ARRAY_LEN(types)].elem;
    } else if (v % 16 == 2) {
        page.in.how = (uint32_t)(v >> 16) & (v >> 24 & 15 ? 0x3f : 0x7f);
    } else if (v % 16 == 3) {
        page.in.field.nullable = v >> 16 & 1;
    } else if (v % 16 == 4) {
        mutate_streams(st);
    } else if (v % 16 < 8 && s) {
        mutate_descriptor(s, st);
    } else if (s) {
        s->len = (uint32_t)LLVMFuzzerMutate(s->data, s->len, PAYLOAD_MAX);
    }
    if (encoding && *encoding && page.n && v >> 40 & 1)
        page.s[(v >> 41) % page.n].encoding = (uint8_t)atoi(encoding);
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t max, unsigned seed)
{
    uint64_t st = seed;
    size_t n;

    if (len < HEAD + FMT_PAGE_HEAD || test_random(&st) % 8 == 0)
        return LLVMFuzzerMutate(data, len, max);
    page_parse(data, len);
    for (uint64_t i = 1 + test_random(&st) % 4; i > 0; i--)
        mutate_page(&st);
    if (test_random(&st) % 8)
        settle();
    n = page_build(data, max);
    return n ? n : LLVMFuzzerMutate(data, len, max);
}
