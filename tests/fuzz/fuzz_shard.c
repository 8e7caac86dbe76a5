/* Fuzz target: a whole shard file. The input stands in for everything behind the header: it is
 * given a trailer whose hashes fit, so that the parser behind it is reached. */
#include "config.h"

#include <stdlib.h>

#include "lib/compiler.h"
#include "shardfmt/footer_write.h"
#include "tests/fuzz/fuzz.h"
#include "tests/shard_util.h"

/* Decode what the footer says is there, as far as that is not too much. */
static void
decode_all(const struct fmt_footer *f, const struct base_buf *file)
{
    struct base_codec *codec = NULL;
    struct fmt_decoded *d = NULL;

    if (base_codec_new(&codec) < 0 || fmt_decoded_new(&d) < 0)
        abort();
    for (uint32_t g = 0; g < f->n_groups && g < 4; g++)
        for (uint32_t c = 0; c < f->n_columns && c < 16; c++) {
            struct shard_array a;

            if (fmt_chunk_decoded_bound(f, g, c) > FUZZ_MEMORY_MAX)
                continue;
            if (shard_util_decode(f, file, g, c, codec, d, &a, NULL) == 0)
                fuzz_touch(&a);
        }
    fmt_decoded_free(d);
    base_codec_free(codec);
}

/* Input: u16 length of what is the footer, at the end; before it the pages. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const struct fmt_version v = {.major = FMT_MAJOR};
    uint8_t header[FMT_HEADER_SIZE], trailer[FMT_TRAILER_SIZE];
    struct base_buf file = {0};
    struct fmt_footer *f = NULL;
    size_t footer_len;

    if (len < 2)
        return 0;
    footer_len = BASE_MIN((size_t)(data[0] | data[1] << 8), len - 2);
    data += 2;
    len -= 2;
    fmt_header_write(&v, header);
    fmt_trailer_write(&v, FMT_HEADER_SIZE + len - footer_len, data + len - footer_len,
                      (uint32_t)footer_len, (uint32_t)footer_len, trailer);
    if (base_buf_append(&file, header, sizeof(header)) < 0 ||
        base_buf_append(&file, data, len) < 0 ||
        base_buf_append(&file, trailer, sizeof(trailer)) < 0)
        abort();
    if (shard_util_load(file.data, file.len, 0, &f, NULL) == 0) {
        fuzz_fix_hashes(f, &file);
        decode_all(f, &file);
        fmt_footer_free(f);
    }
    base_buf_done(&file);
    return 0;
}
