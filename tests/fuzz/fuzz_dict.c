/* Fuzz target: dictionaries. Input: u8 type (index below, bit 7: nullable), u8 how (HOW_*), u8 encoding
 * of the codes, u8 entries, u8 rows / 8; then the entries (strings: u8 length and bytes); then u8
 * codes until the end, used again from the first on. From that a page is built, and so is
 * known what must come out: the target compares each value. */
#include "config.h"

#include <stdlib.h>

#include "lib/compiler.h"
#include "shardfmt/bits.h"
#include "tests/fuzz/fuzz_chunk.h"

static const struct {
    enum shard_type type;
    uint8_t size; /* 0: bytes */
} types[] = {
    {SHARD_TYPE_STRING, 0}, {SHARD_TYPE_UINT8, 1},   {SHARD_TYPE_INT16, 2},
    {SHARD_TYPE_INT32, 4},  {SHARD_TYPE_FLOAT64, 8}, {SHARD_TYPE_BINARY, 0},
};

#define ROWS_MAX (255u * 8)

struct dict {
    uint32_t n_rows, n_entries, n_codes;
    size_t size;
    bool nullable, codes_ok;
    uint32_t start[257]; /* of entries in bytes; the last one is the end */
    struct base_buf bytes;
    uint32_t codes[ROWS_MAX]; /* n_codes: those of rows that are not null */
    uint8_t validity[ROWS_MAX / 8];
};

static void
entries_parse(struct dict *d, struct base_cursor *c)
{
    fuzz_must(base_buf_reserve(&d->bytes, 1) == 0, "memory"); /* so that there is a place */
    for (uint32_t i = 0; i < d->n_entries; i++) {
        const size_t want = d->size ? d->size : base_cursor_u8(c);
        const size_t have = BASE_MIN(want, base_cursor_left(c));
        const uint8_t *p = base_cursor_bytes(c, have);

        fuzz_must(base_buf_append(&d->bytes, p, p ? have : 0) == 0 &&
                      base_buf_append_zero(&d->bytes, p ? want - have : want) == 0,
                  "memory");
        d->start[i + 1] = (uint32_t)d->bytes.len;
    }
}

/* Codes, and from the same bytes which rows are null. */
static void
codes_parse(struct dict *d, const struct base_cursor *c)
{
    const size_t n = base_cursor_left(c);

    d->codes_ok = true;
    for (uint32_t i = 0; i < d->n_rows; i++) {
        const unsigned v = n ? c->p[i % n] : 0;
        const bool null = d->nullable && v % 5 == 3;

        if (!null) {
            d->codes[d->n_codes++] = v;
            d->codes_ok &= v < d->n_entries;
        }
        d->validity[i / 8] |= (uint8_t)(!null << (i % 8));
    }
}

/* A u32 stream of these values in the encoding asked for. */
static struct fmt_stream_in
u32_stream(unsigned role, unsigned how, const uint32_t *v, uint32_t n, struct base_buf *store)
{
    struct fmt_stream_in s = {.role = (uint8_t)role, .count = n, .size = 4, .len = 4 * n};
    bool same = true;

    for (uint32_t i = 1; i < n; i++)
        same &= v[i] == v[0];
    s.encoding = how % 4 == 3 ? FMT_ENC_FOR : how % 4 == 2 && same && n ? FMT_ENC_CONST : FMT_ENC_PLAIN;
    if (s.encoding == FMT_ENC_FOR)
        s.len = (uint32_t)fmt_for_size(v, 4, false, n);
    else if (s.encoding == FMT_ENC_CONST)
        s.len = 4;
    else if (how % 4 == 1)
        s.size = 1, s.len = n;
    fuzz_must(base_buf_reserve(store, s.len + 4) == 0, "memory");
    if (s.encoding == FMT_ENC_FOR)
        fmt_for_encode(v, 4, false, n, store->data);
    else if (s.size == 4 && n)
        memcpy(store->data, v, s.len);
    else
        for (uint32_t i = 0; i < n; i++)
            store->data[i] = (uint8_t)v[i];
    s.data = store->data;
    return s;
}

/* Row i is null, or has this code. */
static void
check_row(const struct dict *d, const struct shard_array *a, uint64_t i, bool null, uint32_t code)
{
    static const uint8_t zeros[8];
    const uint32_t len = null ? 0 : d->start[code + 1] - d->start[code];
    const uint8_t *values = a->values, *want = len ? d->bytes.data + d->start[code] : zeros;

    fuzz_must(fmt_array_is_null(a, i) == null, "nulls");
    if (d->size) {
        fuzz_must(memcmp(values + i * d->size, null ? zeros : want, d->size) == 0, "numbers");
        return;
    }
    fuzz_must((uint32_t)(a->offsets[i + 1] - a->offsets[i]) == len, "lengths");
    fuzz_must(len == 0 || memcmp(values + a->offsets[i], want, len) == 0, "bytes");
}

static void
check(const struct dict *d, const struct shard_array *a)
{
    uint32_t k = 0;

    fuzz_must(a->n_rows % d->n_rows == 0, "rows");
    for (uint64_t i = 0; i < a->n_rows; i++) {
        const bool null = !fmt_bits_get(d->validity, i % d->n_rows);

        if (i % d->n_rows == 0)
            k = 0;
        check_row(d, a, i, null, null ? 0 : d->codes[k]);
        k += !null;
    }
}

/* data_len of the page. */
static uint64_t
data_bytes(const struct dict *d)
{
    uint64_t n = 0;

    if (d->size)
        return d->n_rows * d->size;
    for (uint32_t i = 0; i < d->n_codes; i++)
        if (d->codes[i] < d->n_entries)
            n += d->start[d->codes[i] + 1] - d->start[d->codes[i]];
    return n;
}

static void
run(struct dict *d, enum shard_type type, unsigned how, unsigned encoding)
{
    struct base_buf codes = {0}, entry_lens = {0}, page = {0};
    struct fmt_stream_in s[5] = {{0}};
    const uint64_t n_bytes = data_bytes(d);
    struct shard_error err = {0};
    struct shard_array a;
    uint32_t n = 0, lens[256];
    int r;

    for (uint32_t i = 0; i < d->n_entries; i++)
        lens[i] = d->start[i + 1] - d->start[i];
    if (d->nullable)
        s[n++] = (struct fmt_stream_in){.role = FMT_ROLE_VALIDITY,
                                        .data = d->validity,
                                        .count = d->n_rows,
                                        .len = d->n_rows / 8};
    s[n++] = (struct fmt_stream_in){.role = d->size ? FMT_ROLE_VALUES : FMT_ROLE_BYTES,
                                    .encoding = FMT_ENC_DICT,
                                    .size = (uint8_t)(d->size ? d->size : 1),
                                    .count = (uint32_t)(d->size ? d->n_codes : n_bytes)};
    if (!d->size)
        s[n++] = u32_stream(FMT_ROLE_DICT_LENGTHS, encoding >> 2, lens, d->n_entries, &entry_lens);
    s[n++] = (struct fmt_stream_in){.role = d->size ? FMT_ROLE_DICT_VALUES : FMT_ROLE_DICT_BYTES,
                                    .size = (uint8_t)(d->size ? d->size : 1),
                                    .count = (uint32_t)(d->bytes.len / (d->size ? d->size : 1)),
                                    .data = d->bytes.data,
                                    .len = (uint32_t)d->bytes.len};
    s[n++] = u32_stream(FMT_ROLE_CODES, encoding, d->codes, d->n_codes, &codes);
    fuzz_page_build(d->n_rows, s, n, &page);
    {
        const struct fuzz_page_in in = {
            .field = {.name = "x", .type = type, .nullable = d->nullable},
            .how = how,
            .n_rows = d->n_rows,
            .data_len = (uint32_t)(n_bytes + (d->size ? 0 : 4 * d->n_rows)),
            .raw = page.data,
            .len = (uint32_t)page.len};

        r = fuzz_page_decode(&in, &a, &err);
        fuzz_must((r == 0) == (d->codes_ok && (d->size || d->n_entries <= d->n_codes)),
                  r ? err.text : "a code past the dictionary");
        if (r == 0) {
            fuzz_touch(&a);
            check(d, &a);
            fuzz_page_again(&in, &a);
        }
    }
    base_buf_done(&codes);
    base_buf_done(&entry_lens);
    base_buf_done(&page);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct dict d;
    struct base_cursor c = base_cursor_make(data, len);
    const unsigned t = base_cursor_u8(&c), how = base_cursor_u8(&c), encoding = base_cursor_u8(&c);

    d = (struct dict){.n_entries = base_cursor_u8(&c), .n_rows = base_cursor_u8(&c) * 8u};
    d.size = types[(t & 0x7f) % BASE_ARRAY_LEN(types)].size;
    d.nullable = t >> 7;
    if (!base_cursor_ok(&c) || d.n_rows == 0 || len > 1u << 16)
        return 0;
    entries_parse(&d, &c);
    codes_parse(&d, &c);
    run(&d, types[(t & 0x7f) % BASE_ARRAY_LEN(types)].type, how, encoding);
    base_buf_done(&d.bytes);
    return 0;
}
