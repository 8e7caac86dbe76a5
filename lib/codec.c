/* zstd frames as pages use them: one frame, its content size in the header, no checksum, no
 * dictionary, single-threaded, so that the bytes depend on input, level and zstd version only. */
#include "config.h"
#include "lib/codec.h"

#include <errno.h>
#include <stdlib.h>

#include <zstd.h>
#include <zstd_errors.h>

#include "lib/endian.h"
#include "lib/fail.h"

struct base_codec {
    ZSTD_CCtx *cctx; /* NULL until something is compressed */
    ZSTD_DCtx *dctx; /* NULL until something is decompressed */
    int level;       /* what cctx is set to */
};

int
base_codec_new(struct base_codec **ret_codec)
{
    struct base_codec *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return -ENOMEM;
    *ret_codec = c;
    return 0;
}

void
base_codec_free(struct base_codec *c)
{
    if (c == NULL)
        return;
    (void)ZSTD_freeCCtx(c->cctx);
    (void)ZSTD_freeDCtx(c->dctx);
    free(c);
}

size_t
base_codec_bound(size_t src_len)
{
    return ZSTD_compressBound(src_len);
}

/* Make the context, or set another level; errors of zstd here mean lack of memory. */
static int
codec_prepare(struct base_codec *c, int level)
{
    ZSTD_CCtx *cctx = c->cctx;

    if (cctx != NULL && c->level == level)
        return 0;
    if (cctx == NULL) {
        cctx = ZSTD_createCCtx();
        if (cctx == NULL)
            return -ENOMEM;
        c->cctx = cctx;
    }
    if (ZSTD_isError(ZSTD_CCtx_setParameter(cctx, ZSTD_c_compressionLevel, level)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(cctx, ZSTD_c_contentSizeFlag, 1)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(cctx, ZSTD_c_checksumFlag, 0)))
        return -ENOMEM;
    c->level = level;
    return 0;
}

int64_t
base_codec_compress(struct base_codec *c, int level, void *dst, size_t dst_cap, const void *src,
                    size_t src_len)
{
    size_t n;
    int r;

    r = codec_prepare(c, level);
    if (r < 0)
        return r;
    n = ZSTD_compress2(c->cctx, dst, dst_cap, src, src_len);
    if (!ZSTD_isError(n))
        return (int64_t)n;
    return ZSTD_getErrorCode(n) == ZSTD_error_dstSize_tooSmall ? -ENOSPC : -ENOMEM;
}

int
base_codec_decompress(struct base_codec *c, void *dst, size_t raw_len, const void *src,
                      size_t src_len, struct shard_error *err)
{
    unsigned long long said = ZSTD_getFrameContentSize(src, src_len);
    size_t frame_len, n;

    /* Skippable and legacy frames are frames to zstd, but no pages of ours. */
    if (said == ZSTD_CONTENTSIZE_ERROR || said == ZSTD_CONTENTSIZE_UNKNOWN ||
        base_load_le32(src) != ZSTD_MAGICNUMBER)
        return base_fail(err, SHARD_ECORRUPT, "not a zstd frame with a content size");
    if (said != raw_len)
        return base_fail(err, SHARD_ECORRUPT, "zstd frame holds %llu bytes instead of %zu", said,
                         raw_len);
    frame_len = ZSTD_findFrameCompressedSize(src, src_len);
    if (ZSTD_isError(frame_len))
        return base_fail(err, SHARD_ECORRUPT, "zstd: %s", ZSTD_getErrorName(frame_len));
    if (frame_len != src_len)
        return base_fail(err, SHARD_ECORRUPT, "zstd frame of %zu bytes in a page of %zu",
                         frame_len, src_len);
    if (c->dctx == NULL) {
        c->dctx = ZSTD_createDCtx();
        if (c->dctx == NULL)
            return base_fail(err, -ENOMEM, "zstd decompression context");
    }
    n = ZSTD_decompressDCtx(c->dctx, dst, raw_len, src, src_len);
    if (ZSTD_isError(n)) {
        if (ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation)
            return base_fail(err, -ENOMEM, "zstd decompression context");
        return base_fail(err, SHARD_ECORRUPT, "zstd: %s", ZSTD_getErrorName(n));
    }
    if (n != raw_len)
        return base_fail(err, SHARD_ECORRUPT, "zstd gave %zu bytes instead of %zu", n, raw_len);
    return 0;
}
