/* Fuzz target: one page of one column. Input: u8 which type (bit 7: nullable), u16 rows, u32 data_len, then
 * the raw page. */
#include "config.h"

#include <stdlib.h>

#include "lib/compiler.h"
#include "lib/endian.h"
#include "tests/fuzz/fuzz.h"
#include "tests/shard_util.h"

static const struct {
    enum shard_type type, elem;
} types[] = {
    {SHARD_TYPE_BOOL, 0},
    {SHARD_TYPE_INT8, 0},
    {SHARD_TYPE_INT16, 0},
    {SHARD_TYPE_UINT32, 0},
    {SHARD_TYPE_INT64, 0},
    {SHARD_TYPE_FLOAT32, 0},
    {SHARD_TYPE_FLOAT64, 0},
    {SHARD_TYPE_STRING, 0},
    {SHARD_TYPE_BINARY, 0},
    {SHARD_TYPE_LIST, SHARD_TYPE_UINT8},
    {SHARD_TYPE_LIST, SHARD_TYPE_INT32},
    {SHARD_TYPE_LIST, SHARD_TYPE_FLOAT64},
    {SHARD_TYPE_SPARSE, SHARD_TYPE_FLOAT32},
    {SHARD_TYPE_SPARSE, SHARD_TYPE_INT64},
};

/* A footer that says: one row group of this page. Pieces: two, which lie in the page's bytes. */
static void
decode_page(const uint8_t *head, const uint8_t *raw, uint32_t len)
{
    const unsigned t = (head[0] & 0x7fu) % BASE_ARRAY_LEN(types);
    struct shard_field field = {
        .name = "x", .type = types[t].type, .elem = types[t].elem, .nullable = head[0] >> 7};
    struct fmt_page page = {.stored_len = len,
                            .raw_len = len,
                            .n_rows = base_load_le16(head + 1),
                            .data_len = base_load_le32(head + 3) & 0xffffff};
    struct fmt_page pieces[2] = {{.stored_len = BASE_MIN(len, 64), .raw_len = BASE_MIN(len, 64)},
                                 {.stored_len = BASE_MIN(len, 8), .raw_len = BASE_MIN(len, 8)}};
    uint32_t chunk_first[2] = {0, 1}, piece_first[2] = {0, 2}, rows[1] = {page.n_rows};
    struct fmt_footer f = {.schema = {.fields = &field, .n_fields = 1},
                           .n_groups = 1,
                           .n_columns = 1,
                           .n_rows = page.n_rows,
                           .group_rows = rows,
                           .pages = &page,
                           .chunk_first = chunk_first,
                           .pieces = pieces,
                           .piece_first = piece_first,
                           .n_pages = 1,
                           .n_pieces = 2};
    struct base_buf file = {0};
    struct base_codec *codec = NULL;
    struct fmt_decoded *d = NULL;
    struct shard_array a;

    if (base_codec_new(&codec) < 0 || fmt_decoded_new(&d) < 0 ||
        base_buf_append(&file, raw, len) < 0)
        abort();
    fuzz_fix_hashes(&f, &file);
    if (shard_util_decode(&f, &file, 0, 0, codec, d, &a, NULL) == 0)
        fuzz_touch(&a);
    fmt_decoded_free(d);
    base_codec_free(codec);
    base_buf_done(&file);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len >= 8 && len < 1u << 20)
        decode_page(data, data + 7, (uint32_t)(len - 7));
    return 0;
}
