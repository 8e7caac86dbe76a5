/* zstd frames as pages use them: one frame, its content size in the header, no checksum, no number of
 * a dictionary, single-threaded, so that the bytes depend on input, level and zstd version only. */
#include "config.h"
#include "lib/codec.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <zdict.h>
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

/* What level 3 lacks for text: a table that holds more of it, a window over all of a page, and no search for
 * matches of 4 bytes, which it makes in up to 256 KiB. A table twice as large would save 3% more, but
 * is larger than most second-level caches. */
#define TEXT_LEVEL      3
#define TEXT_HASH_LOG   18
#define TEXT_MIN_MATCH  5
#define TEXT_WINDOW_LOG 22 /* zstd lowers it to the length of the input */

/* Make the context, or set it for another level; errors of zstd here mean lack of memory. */
static int
codec_prepare(struct base_codec *c, int level)
{
    const bool text = level == BASE_LEVEL_TEXT;
    ZSTD_CCtx *cctx = c->cctx;

    if (cctx != NULL && c->level == level)
        return 0;
    if (cctx == NULL) {
        cctx = ZSTD_createCCtx();
        if (cctx == NULL)
            return -ENOMEM;
        c->cctx = cctx;
    }
    if (ZSTD_isError(ZSTD_CCtx_setParameter(cctx, ZSTD_c_compressionLevel, text ? TEXT_LEVEL : level)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(cctx, ZSTD_c_hashLog, text ? TEXT_HASH_LOG : 0)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(cctx, ZSTD_c_minMatch, text ? TEXT_MIN_MATCH : 0)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(cctx, ZSTD_c_windowLog, text ? TEXT_WINDOW_LOG : 0)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(cctx, ZSTD_c_contentSizeFlag, 1)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(cctx, ZSTD_c_checksumFlag, 0)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(cctx, ZSTD_c_dictIDFlag, 0)))
        return -ENOMEM;
    c->level = level;
    return 0;
}

/* With the dictionary, or none. */
static int64_t
codec_compress(struct base_codec *c, int level, const ZSTD_CDict *dict, void *dst, size_t dst_cap,
               const void *src, size_t src_len)
{
    size_t n;
    int r;

    r = codec_prepare(c, level);
    if (r < 0)
        return r;
    if (ZSTD_isError(ZSTD_CCtx_refCDict(c->cctx, dict)))
        return -ENOMEM;
    n = ZSTD_compress2(c->cctx, dst, dst_cap, src, src_len);
    if (!ZSTD_isError(n))
        return (int64_t)n;
    return ZSTD_getErrorCode(n) == ZSTD_error_dstSize_tooSmall ? -ENOSPC : -ENOMEM;
}

int64_t
base_codec_compress(struct base_codec *c, int level, void *dst, size_t dst_cap, const void *src,
                    size_t src_len)
{
    return codec_compress(c, level, NULL, dst, dst_cap, src, src_len);
}

/* With the dictionary, or none. */
static int
codec_decompress(struct base_codec *c, const ZSTD_DDict *dict, void *dst, size_t raw_len,
                 const void *src, size_t src_len, struct shard_error *err)
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
    if (ZSTD_getDictID_fromFrame(src, src_len) != 0)
        return base_fail(err, SHARD_ECORRUPT, "zstd frame that names a dictionary");
    n = dict ? ZSTD_decompress_usingDDict(c->dctx, dst, raw_len, src, src_len, dict)
             : ZSTD_decompressDCtx(c->dctx, dst, raw_len, src, src_len);
    if (ZSTD_isError(n)) {
        if (ZSTD_getErrorCode(n) == ZSTD_error_memory_allocation)
            return base_fail(err, -ENOMEM, "zstd decompression context");
        return base_fail(err, SHARD_ECORRUPT, "zstd: %s", ZSTD_getErrorName(n));
    }
    if (n != raw_len)
        return base_fail(err, SHARD_ECORRUPT, "zstd gave %zu bytes instead of %zu", n, raw_len);
    return 0;
}

int
base_codec_decompress(struct base_codec *c, void *dst, size_t raw_len, const void *src,
                      size_t src_len, struct shard_error *err)
{
    return codec_decompress(c, NULL, dst, raw_len, src, src_len, err);
}

/* -------------------------------------------------------------------------------- dictionaries */

struct base_dict {
    ZSTD_CDict *cdict; /* NULL: for decompression only */
    ZSTD_DDict *ddict;
    int level;
    size_t len;
    uint8_t data[];
};

int64_t
base_dict_train(void *dst, size_t cap, const void *samples, const size_t *sizes, uint32_t n)
{
    const size_t len = ZDICT_trainFromBuffer(dst, cap, samples, sizes, n);

    if (!ZDICT_isError(len))
        return (int64_t)len;
    return ZSTD_getErrorCode(len) == ZSTD_error_memory_allocation ? -ENOMEM : 0;
}

int
base_dict_new(const void *data, size_t len, int level, struct base_dict **ret_dict)
{
    struct base_dict *d;

    /* What is no dictionary zstd would take as plain content. */
    if (ZDICT_getDictID(data, len) == 0)
        return SHARD_ECORRUPT;
    d = calloc(1, sizeof(*d) + len);
    if (d == NULL)
        return -ENOMEM;
    d->len = len;
    d->level = level;
    memcpy(d->data, data, len);
    d->ddict = ZSTD_createDDict(data, len);
    if (level != 0)
        d->cdict = ZSTD_createCDict(data, len, level);
    if (d->ddict == NULL || (level != 0 && d->cdict == NULL)) {
        const size_t head = ZDICT_getDictHeaderSize(data, len); /* zstd does not say why */

        base_dict_free(d);
        return ZDICT_isError(head) && ZSTD_getErrorCode(head) != ZSTD_error_memory_allocation
                   ? SHARD_ECORRUPT
                   : -ENOMEM;
    }
    *ret_dict = d;
    return 0;
}

void
base_dict_free(struct base_dict *d)
{
    if (d == NULL)
        return;
    (void)ZSTD_freeCDict(d->cdict);
    (void)ZSTD_freeDDict(d->ddict);
    free(d);
}

const void *
base_dict_data(const struct base_dict *d, size_t *ret_len)
{
    *ret_len = d->len;
    return d->data;
}

uint64_t
base_dict_memory(const struct base_dict *d)
{
    return sizeof(*d) + d->len + ZSTD_sizeof_DDict(d->ddict) +
           (d->cdict ? ZSTD_sizeof_CDict(d->cdict) : 0);
}

int64_t
base_codec_compress_with(struct base_codec *c, const struct base_dict *d, void *dst,
                         size_t dst_cap, const void *src, size_t src_len)
{
    return codec_compress(c, d->level, d->cdict, dst, dst_cap, src, src_len);
}

int
base_codec_decompress_with(struct base_codec *c, const struct base_dict *d, void *dst,
                           size_t raw_len, const void *src, size_t src_len,
                           struct shard_error *err)
{
    return codec_decompress(c, d->ddict, dst, raw_len, src, src_len, err);
}
