#include "config.h"

#include "tests/fuzz/fuzz_table.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/compiler.h"
#include "shardfmt/footer_write.h"
#include "tests/shard_util.h"

void
fuzz_put_bytes(struct base_cursor *c, struct fmt_column *column)
{
    const size_t want = base_cursor_u8(c), n = BASE_MIN(want, base_cursor_left(c));
    const uint8_t *p = base_cursor_bytes(c, n);

    fuzz_must(fmt_column_append_bytes(column, p ? p : (const uint8_t *)"", p ? n : 0) == 0,
              "memory");
}

void
fuzz_put_u64(struct fmt_column *column, uint64_t v)
{
    fuzz_must(fmt_column_append_number(column, &v) == 0, "memory");
}

uint64_t
fuzz_number(struct base_cursor *c)
{
    const uint8_t v = base_cursor_u8(c);

    switch (v) {
    case 252:
        return base_cursor_u8(c);
    case 253:
        return base_cursor_u16(c);
    case 254:
        return base_cursor_u32(c);
    case 255:
        return base_cursor_u64(c);
    default:
        return v;
    }
}

void
fuzz_write_file(const struct base_buf *file, const char *path, struct fmt_table_info *ret)
{
    int fd = openat(fuzz_dataset(), path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    fuzz_must(fd >= 0 && write(fd, file->data, file->len) == (ssize_t)file->len, path);
    (void)close(fd);
    ret->file_bytes = file->len;
}

void
fuzz_write_table(const struct fmt_builder *b, const char *path, struct fmt_table_info *ret)
{
    const struct fmt_encode_opts opts = {.plain_only = true};
    struct shard_array arrays[FMT_BUILDER_COLUMNS];
    struct fmt_shard_info info = {0};
    struct base_buf file = {0};
    struct shard_error err = {0};

    for (uint32_t i = 0; i < b->schema.n_fields; i++)
        fmt_column_array(&b->cols[i], &arrays[i]);
    fuzz_must(shard_util_write(&b->schema, &opts, arrays, 1, &file, &info, &err) == 0, err.text);
    ret->hash = info.hash;
    fuzz_write_file(&file, path, ret);
    base_buf_done(&file);
    free(info.group_rows);
}
