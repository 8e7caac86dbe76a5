/* Dictionaries: an open-addressing table, at most half full, of entries in order of appearance. */
#include "config.h"
#include "shardfmt/dict.h"

#include <errno.h>

#include "lib/compiler.h"
#include "lib/hash.h"
#include "shardfmt/column.h"

void
fmt_dict_done(struct fmt_dict *d)
{
    base_buf_done(&d->codes);
    base_buf_done(&d->values);
    base_buf_done(&d->rows);
    base_buf_done(&d->hashes);
    base_buf_done(&d->table);
}

/* Forget what there was; room for n codes and an empty table for max + 1 entries. Returns the
 * table's mask, or -ENOMEM. */
static int64_t
dict_begin(struct fmt_dict *d, size_t n, uint32_t max)
{
    uint32_t cap = 16;

    while (cap / 2 <= max)
        cap *= 2;
    d->n = 0;
    d->n_bytes = 0;
    base_buf_reset(&d->codes);
    base_buf_reset(&d->values);
    base_buf_reset(&d->rows);
    base_buf_reset(&d->hashes);
    base_buf_reset(&d->table);
    if (base_buf_reserve(&d->codes, n * sizeof(uint32_t)) < 0 ||
        base_buf_append_zero(&d->table, cap * sizeof(uint32_t)) < 0)
        return -ENOMEM;
    return cap - 1;
}

static inline __attribute__((always_inline)) uint64_t
load_number(const uint8_t *p, size_t size)
{
    uint64_t v = 0;

    memcpy(&v, p, size);
    return v;
}

/* The loop for one size, which is a constant wherever this is expanded. */
static inline __attribute__((always_inline)) int
dict_numbers(struct fmt_dict *d, const uint8_t *p, size_t size, size_t n, uint32_t max,
             uint64_t mask)
{
    uint32_t *codes = (uint32_t *)(void *)d->codes.data, n_entries = 0;
    uint32_t *table = (uint32_t *)(void *)d->table.data;
    uint8_t *values = d->values.data;

    for (size_t i = 0; i < n; i++, p += size) {
        const uint64_t v = load_number(p, size);
        uint64_t slot = v * UINT64_C(0x9e3779b97f4a7c15) >> 40;
        uint32_t e;

        while ((e = table[slot & mask]) != 0 && load_number(values + (e - 1) * size, size) != v)
            slot++;
        if (e == 0) {
            if (n_entries == max)
                return 0;
            memcpy(values + n_entries * size, p, size);
            e = table[slot & mask] = ++n_entries;
        }
        codes[i] = e - 1;
    }
    d->n = n_entries;
    d->codes.len = n * sizeof(*codes);
    d->values.len = n_entries * size;
    return 1;
}

int
fmt_dict_numbers(struct fmt_dict *d, const void *values, size_t size, size_t n, uint32_t max)
{
    const int64_t mask = dict_begin(d, n, max);

    if (mask < 0 || base_buf_reserve(&d->values, (size_t)max * size) < 0)
        return -ENOMEM;
    switch (size) {
    case 1:
        return dict_numbers(d, values, 1, n, max, (uint64_t)mask);
    case 2:
        return dict_numbers(d, values, 2, n, max, (uint64_t)mask);
    case 4:
        return dict_numbers(d, values, 4, n, max, (uint64_t)mask);
    default:
        return dict_numbers(d, values, 8, n, max, (uint64_t)mask);
    }
}

static inline size_t
row_len(const struct shard_array *a, uint64_t row)
{
    return (size_t)(a->offsets[row + 1] - a->offsets[row]);
}

/* What looking up strings needs, in registers rather than behind pointers. */
struct strings {
    const struct shard_array *a;
    uint32_t *table, *rows; /* rows: of the entries, as hashes */
    uint64_t *hashes, mask, n_bytes, max_bytes;
    uint32_t n, max;
};

/* The entry that holds row's string, or a new one; -1 where that would be one too many. */
static inline int64_t
strings_find(struct strings *s, uint64_t row)
{
    const uint8_t *values = s->a->values, *p = values + s->a->offsets[row];
    const size_t len = row_len(s->a, row);
    const uint64_t hash = base_hash64(p, len, 0);
    uint64_t slot = hash;
    uint32_t e;

    for (; (e = s->table[slot & s->mask]) != 0; slot++) {
        const uint32_t first = s->rows[e - 1];

        if (s->hashes[e - 1] == hash && row_len(s->a, first) == len &&
            memcmp(values + s->a->offsets[first], p, len) == 0)
            return e - 1;
    }
    if (s->n == s->max || len > s->max_bytes - s->n_bytes)
        return -1;
    s->rows[s->n] = (uint32_t)row;
    s->hashes[s->n] = hash;
    s->n_bytes += len;
    s->table[slot & s->mask] = ++s->n;
    return s->n - 1;
}

/* Which of 64 rows from row on, each stride-th, but n at most, are not null. */
static uint64_t
valid_word(const struct shard_array *a, uint64_t row, size_t stride, size_t n)
{
    uint64_t w = 0;

    n = BASE_MIN(n, 64);
    if (a->validity == NULL)
        return UINT64_MAX >> (64 - n);
    if (stride == 1)
        return fmt_bits_word(a->validity, row, n);
    for (size_t i = 0; i < n; i++)
        w |= (uint64_t)fmt_bits_get(a->validity, row + i * stride) << i;
    return w;
}

int
fmt_dict_strings(struct fmt_dict *d, const struct shard_array *a, uint64_t row0, size_t n,
                 size_t stride, uint32_t max, uint64_t max_bytes)
{
    const int64_t mask = dict_begin(d, n, max);
    struct strings s;
    uint32_t *codes;
    int64_t code;
    size_t n_codes = 0;

    if (mask < 0 || base_buf_reserve(&d->rows, (size_t)max * sizeof(uint32_t)) < 0 ||
        base_buf_reserve(&d->hashes, (size_t)max * sizeof(uint64_t)) < 0)
        return -ENOMEM;
    s = (struct strings){.a = a,
                         .table = (uint32_t *)(void *)d->table.data,
                         .rows = (uint32_t *)(void *)d->rows.data,
                         .hashes = (uint64_t *)(void *)d->hashes.data,
                         .mask = (uint64_t)mask,
                         .max_bytes = max_bytes,
                         .max = max};
    codes = (uint32_t *)(void *)d->codes.data;
    for (size_t i = 0; i < n; i += 64) {
        uint64_t w = valid_word(a, row0 + i * stride, stride, n - i);

        for (; w; w &= w - 1) {
            code = strings_find(&s, row0 + (i + (size_t)__builtin_ctzll(w)) * stride);
            if (code < 0)
                return 0;
            codes[n_codes++] = (uint32_t)code;
        }
    }
    d->n = s.n;
    d->n_bytes = s.n_bytes;
    d->rows.len = s.n * sizeof(uint32_t);
    d->codes.len = n_codes * sizeof(*codes);
    return 1;
}
