#include "config.h"

#include "shardfmt/cells.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/fail.h"

static int
schema_make(struct fmt_schema *s, const struct fmt_table_field *fields, size_t n)
{
    int r = 0;

    fmt_schema_init(s);
    for (size_t i = 0; r >= 0 && i < n; i++)
        r = fmt_schema_add(s, fields[i].name, fields[i].type, fields[i].elem, false, 0);
    if (r < 0)
        fmt_schema_done(s);
    return r;
}

int
fmt_manifest_load(int dirfd, const char *path, const struct fmt_table_field *fields, size_t n,
                  uint32_t columns, struct fmt_table *ret, struct shard_error *err)
{
    struct fmt_schema schema;
    int r = schema_make(&schema, fields, n);

    if (r < 0)
        return base_fail(err, r, "%s", path);
    r = fmt_table_load(dirfd, path, &schema, columns, ret, err);
    fmt_schema_done(&schema);
    return r;
}

int
fmt_cell_text(const struct shard_array *a, uint64_t row, char **ret)
{
    size_t len;
    const char *p = fmt_table_bytes(a, row, &len);

    if (len && memchr(p, '\0', len))
        return SHARD_ECORRUPT;
    *ret = malloc(len + 1);
    if (*ret == NULL)
        return -ENOMEM;
    if (len)
        memcpy(*ret, p, len);
    (*ret)[len] = '\0';
    return 0;
}

int
fmt_cell_hash(const struct shard_array *a, uint64_t row, struct base_hash128 *ret)
{
    size_t len;
    const char *p = fmt_table_bytes(a, row, &len);

    if (len == 0) {
        *ret = (struct base_hash128){0, 0};
        return 0;
    }
    if (len != 16)
        return SHARD_ECORRUPT;
    *ret = base_hash128_load((const uint8_t *)p);
    return 0;
}

int
fmt_builder_init(struct fmt_builder *b, const struct fmt_table_field *fields, size_t n)
{
    memset(b, 0, sizeof(*b));
    assert(n <= FMT_BUILDER_COLUMNS);
    for (size_t i = 0; i < n; i++)
        fmt_column_init(&b->cols[i], fields[i].type, fields[i].elem);
    return schema_make(&b->schema, fields, n);
}

void
fmt_builder_done(struct fmt_builder *b)
{
    for (uint32_t i = 0; i < b->schema.n_fields; i++)
        fmt_column_done(&b->cols[i]);
    fmt_schema_done(&b->schema);
}

int
fmt_put_text(struct fmt_column *c, const char *text)
{
    return fmt_column_append_bytes(c, text, strlen(text));
}

int
fmt_put_hash(struct fmt_column *c, struct base_hash128 hash)
{
    uint8_t bytes[16];

    base_hash128_store(bytes, hash);
    return fmt_column_append_bytes(c, bytes, hash.lo || hash.hi ? sizeof(bytes) : 0);
}
