#include "config.h"

#include "tests/fuzz/fuzz_chunk.h"

#include <stdlib.h>

#include "lib/arith.h"
#include "lib/endian.h"
#include "tests/shard_util.h"

static void
append(struct base_buf *b, const void *data, size_t len)
{
    fuzz_must(base_buf_append(b, data, len) == 0, "memory");
}

static void
align(struct base_buf *b)
{
    fuzz_must(base_buf_append_zero(b, (size_t)base_align_up(b->len, FMT_ALIGN) - b->len) == 0,
              "memory");
}

void
fuzz_page_build(uint32_t n_rows, const struct fmt_stream_in *streams, uint32_t n,
                struct base_buf *ret)
{
    uint8_t head[FMT_PAGE_HEAD] = {0};

    base_store_le32(head, n_rows);
    head[4] = (uint8_t)n;
    append(ret, head, sizeof(head));
    for (uint32_t i = 0; i < n; i++) {
        const struct fmt_stream_in *s = &streams[i];
        uint8_t d[FMT_STREAM_ENTRY] = {s->role, s->encoding, 0, s->size};

        base_store_le32(d + 4, s->count);
        base_store_le32(d + 8, s->len);
        append(ret, d, sizeof(d));
    }
    for (uint32_t i = 0; i < n; i++) {
        if (streams[i].encoding == FMT_ENC_PLAIN && streams[i].len >= FMT_STREAM_ALIGN_MIN)
            align(ret);
        append(ret, streams[i].data, streams[i].len);
    }
}

/* Raw bytes behind what is in file, as a page or piece: with zstd where that is asked for and makes
 * them fewer. */
static void
store(const uint8_t *raw, uint32_t len, unsigned how, struct base_buf *file, struct fmt_page *page)
{
    const size_t bound = base_codec_bound(len);
    int64_t stored = -1;
    uint8_t *dst;

    align(file);
    fuzz_must(base_buf_reserve(file, bound) == 0, "memory");
    dst = file->data + file->len;
    *page = (struct fmt_page){.off = file->len, .stored_len = len, .raw_len = len};
    if (how & HOW_DICT)
        stored = base_codec_compress_with(fuzz_codec(), fuzz_zdict(), dst, bound, raw, len);
    else if (how & HOW_PACKED)
        stored = base_codec_compress(fuzz_codec(), 1, dst, bound, raw, len);
    if (stored >= 0 && stored < len) {
        page->codec = how & HOW_DICT ? FMT_CODEC_ZDICT : FMT_CODEC_ZSTD;
        page->stored_len = (uint32_t)stored;
        file->len += (size_t)stored;
    } else {
        base_buf_put(file, raw, len);
    }
}

/* FMT_INLINE_MAX times the same byte, as a piece. */
static void
store_large(struct base_buf *file, struct fmt_page *piece)
{
    static uint8_t stored[1024];
    static int64_t len;

    if (len == 0) {
        uint8_t *raw = malloc(FMT_INLINE_MAX);

        fuzz_must(raw != NULL, "memory");
        memset(raw, 'x', FMT_INLINE_MAX);
        len = base_codec_compress(fuzz_codec(), 1, stored, sizeof(stored), raw, FMT_INLINE_MAX);
        fuzz_must(len > 0, "a large piece");
        free(raw);
    }
    *piece = (struct fmt_page){.off = file->len,
                               .stored_len = (uint32_t)len,
                               .raw_len = FMT_INLINE_MAX,
                               .codec = FMT_CODEC_ZSTD};
    append(file, stored, (size_t)len);
}

/* The pieces hold the page's first bytes, and fewer of them. */
static void
store_pieces(const struct fuzz_page_in *in, struct base_buf *file, struct fmt_page pieces[2])
{
    const uint32_t n = in->len < 64 ? in->len : 64;

    if (in->how & HOW_LARGE)
        store_large(file, &pieces[0]);
    else
        store(in->raw, n, 0, file, &pieces[0]);
    store(in->raw, in->how & HOW_LARGE ? n : n / 8, 0, file, &pieces[1]);
}

int
fuzz_page_decode(const struct fuzz_page_in *in, struct shard_array *ret, struct shard_error *err)
{
    static struct fmt_decoded *d; /* kept: so one page sees what another left */
    const uint32_t n_pages = in->how & HOW_TWICE ? 2 : 1;
    struct shard_field field = in->field;
    struct base_dict *of[1] = {fuzz_zdict()};
    struct fmt_page pages[2], pieces[2];
    uint32_t chunk_first[2] = {0, n_pages}, piece_first[2] = {0, 2};
    uint32_t rows[1] = {in->n_rows * n_pages};
    struct fmt_footer f = {.schema = {.fields = &field, .n_fields = 1},
                           .n_groups = 1,
                           .n_columns = 1,
                           .n_rows = rows[0],
                           .group_rows = rows,
                           .pages = pages,
                           .chunk_first = chunk_first,
                           .pieces = pieces,
                           .piece_first = piece_first,
                           .zdicts = {.n_columns = 1, .of = of},
                           .n_pages = n_pages,
                           .n_pieces = 2};
    struct base_buf file = {0};
    int r;

    fuzz_must(d || fmt_decoded_new(&d) == 0, "memory");
    fmt_decoded_set_far(d, in->how & HOW_FAR ? 16 : 0);
    store_pieces(in, &file, pieces);
    for (uint32_t i = 0; i < n_pages; i++) {
        store(in->raw, in->len, in->how, &file, &pages[i]);
        pages[i].n_rows = in->n_rows;
        pages[i].data_len = in->data_len;
    }
    fuzz_fix_hashes(&f, &file);
    r = shard_util_decode(&f, &file, 0, 0, fuzz_codec(), d, ret, err);
    base_buf_done(&file);
    return r;
}

void
fuzz_page_again(const struct fuzz_page_in *in, const struct shard_array *a)
{
    const struct fmt_encode_opts opts = {.zstd_level = in->how & HOW_AGAIN_ZSTD ? 1 : 0,
                                         .page_bytes = in->how & HOW_AGAIN_4K ? 4096 : 0};

    if (a->n_far == 0) /* else it lacks values */
        fuzz_roundtrip(&in->field, a, &opts);
}
