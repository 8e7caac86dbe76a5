#include "config.h"

#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "shardfmt/bits.h"

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
    if (a->offsets[0] != 0 || (uint64_t)a->offsets[a->n_rows] != a->n_values)
        abort();
    for (uint64_t i = 0; i < a->n_rows; i++) {
        if (a->offsets[i] > a->offsets[i + 1])
            abort();
        if (fmt_array_is_null(a, i) && a->offsets[i] != a->offsets[i + 1])
            abort();
    }
}

void
fuzz_touch(const struct shard_array *a)
{
    size_t size = shard_type_size(a->elem ? a->elem : a->type), len;
    volatile uint64_t s = 0;

    if (a->type == SHARD_TYPE_STRING || a->type == SHARD_TYPE_BINARY)
        size = 1;
    len = size ? (size_t)a->n_values * size : fmt_bits_bytes(a->n_rows);
    s += sum(a->values, len);
    if (a->validity) {
        s += sum(a->validity, fmt_bits_bytes(a->n_rows));
        if (a->n_rows - fmt_bits_count(a->validity, 0, a->n_rows) != a->n_nulls)
            abort();
    }
    if (a->offsets)
        check_offsets(a);
    if (a->indices)
        s += sum(a->indices, (size_t)a->n_values * sizeof(*a->indices));
    (void)s;
}

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
}
