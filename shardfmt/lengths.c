#include "config.h"

#include "shardfmt/lengths.h"

#include <errno.h>
#include <inttypes.h>

#include "lib/fail.h"
#include "shardfmt/column.h"

bool
fmt_lengths_wanted(enum shard_type type, enum shard_type elem)
{
    const enum fmt_kind kind = fmt_type_of(type, elem).kind;

    return kind == FMT_KIND_LIST || kind == FMT_KIND_STRINGS;
}

uint64_t
fmt_lengths_allowed(uint64_t chunk_bytes)
{
    return chunk_bytes / 100;
}

int
fmt_lengths_of(const struct shard_array *a, struct base_buf *buf, struct shard_array *ret)
{
    uint32_t *len;

    base_buf_reset(buf);
    if (base_buf_reserve(buf, a->n_rows * sizeof(*len) + 1) < 0)
        return -ENOMEM;
    len = (uint32_t *)(void *)buf->data;
    for (uint64_t i = 0; i < a->n_rows; i++)
        len[i] = (uint32_t)(a->offsets[i + 1] - a->offsets[i]);
    for (uint32_t i = 0; i < a->n_far; i++) {
        if (a->far[i].size > UINT32_MAX)
            return SHARD_ELIMIT;
        len[a->far[i].row] = (uint32_t)a->far[i].size;
    }
    *ret = (struct shard_array){.type = SHARD_TYPE_UINT32,
                                .n_rows = a->n_rows,
                                .n_nulls = a->n_nulls,
                                .n_values = a->n_rows,
                                .validity = a->validity,
                                .values = len};
    return 0;
}

const struct fmt_page *
fmt_lengths_find(const struct fmt_footer *f, uint32_t group, uint32_t column)
{
    const uint64_t chunk = (uint64_t)group * f->n_columns + column;
    uint32_t lo = 0, hi = f->n_lengths;

    while (lo < hi) {
        const uint32_t mid = lo + (hi - lo) / 2;

        if (f->length_chunk[mid] < chunk)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < f->n_lengths && f->length_chunk[lo] == chunk ? &f->lengths[lo] : NULL;
}

/* Of lists of numbers the footer says how many elements they have together. */
static int
sum_check(const struct fmt_footer *f, uint32_t group, uint32_t column, const struct shard_array *a,
          struct shard_error *err)
{
    const struct fmt_type t = fmt_field_type(&f->schema.fields[column]);
    const uint32_t *first = &f->chunk_first[(size_t)group * f->n_columns + column];
    const uint32_t *len = a->values;
    uint64_t sum = 0, data = 0;

    if (t.kind != FMT_KIND_LIST)
        return 0;
    for (uint64_t i = 0; i < a->n_rows; i++)
        sum += len[i];
    for (uint32_t i = first[0]; i < first[1]; i++)
        data += f->pages[i].data_len;
    if (sum * t.size + a->n_rows * sizeof(int32_t) == data)
        return 0;
    return base_fail(err, SHARD_ECORRUPT, "%" PRIu64 " elements, the column has others", sum);
}

int
fmt_lengths_decode(const struct fmt_footer *f, uint32_t group, uint32_t column,
                   const uint8_t *stored, struct base_codec *codec, const char *file,
                   struct fmt_decoded *d, struct shard_array *ret, struct shard_error *err)
{
    const struct shard_field field = {
        .name = f->schema.fields[column].name, .type = SHARD_TYPE_UINT32, .nullable = true};
    const struct fmt_page *page = fmt_lengths_find(f, group, column);
    struct shard_array a;
    int r = fmt_page_decode_alone(page, &field, stored, codec, d, &a, err);

    if (r == 0)
        r = sum_check(f, group, column, &a, err);
    if (r < 0)
        return base_fail_in(err, r, "%s: row group %" PRIu32 ", column %" PRIu32
                            " (%s), length index", file, group, column, field.name);
    *ret = a;
    return 0;
}
