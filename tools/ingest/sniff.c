/* One small function per format; each looks at as much of the header as tells it from text and
 * from other binaries. The layouts are those of the formats' own documents; where libarchive's
 * check is weaker than ours (ar, cpio, lha, tar), ours decides. */
#include "config.h"

#include "tools/ingest/sniff.h"

#include <string.h>

#include "lib/compiler.h"
#include "lib/endian.h"

struct view {
    const uint8_t *p;
    size_t len;
    bool whole;
};

static bool
starts_with(const struct view *v, const char *magic, size_t len)
{
    return v->len >= len && memcmp(v->p, magic, len) == 0;
}
#define STARTS_WITH(v, literal) starts_with(v, literal, sizeof(literal) - 1)

/* ---------------------------------------------------------------------- compressed streams */

static bool
is_gzip(const struct view *v) /* RFC 1952: method 8, reserved flags zero */
{
    return v->len >= 4 && STARTS_WITH(v, "\x1f\x8b\x08") && (v->p[3] & 0xe0) == 0;
}

static bool
is_bzip2(const struct view *v) /* "BZh", level, then a block or the end of the stream */
{
    return v->len >= 10 && STARTS_WITH(v, "BZh") && v->p[3] >= '1' && v->p[3] <= '9' &&
           (memcmp(v->p + 4, "\x31\x41\x59\x26\x53\x59", 6) == 0 ||
            memcmp(v->p + 4, "\x17\x72\x45\x38\x50\x90", 6) == 0);
}

static bool
is_xz(const struct view *v)
{
    return STARTS_WITH(v, "\xfd"
                          "7zXZ\0");
}

/* 2^n or 2^n + 2^(n-1), at least 4 KiB: what every known encoder writes. */
static bool
lzma_dict_is_sane(uint32_t dict)
{
    uint32_t top;

    if (dict < 4096)
        return false;
    if (dict == UINT32_MAX)
        return true;
    top = UINT32_C(1) << (31 - __builtin_clz(dict));
    return dict == top || dict == top + top / 2;
}

static bool
is_lzma(const struct view *v)
{
    uint64_t size;

    if (v->len < 14 || v->p[0] >= 225 || !lzma_dict_is_sane(base_load_le32(v->p + 1)))
        return false;
    size = base_load_le64(v->p + 5);
    if (size != UINT64_MAX && (size == 0 || size >= UINT64_C(1) << 38))
        return false;
    return v->p[13] == 0; /* the range coder's first byte */
}

static bool
is_lzip(const struct view *v)
{
    return v->len >= 5 && STARTS_WITH(v, "LZIP") && v->p[4] <= 1;
}

static bool
is_lz4(const struct view *v)
{
    if (v->len >= 7 && base_load_le32(v->p) == 0x184d2204u) /* frame: version 1, reserved zero */
        return (v->p[4] & 0xc2) == 0x40 && (v->p[5] & 0x8f) == 0 && (v->p[5] >> 4) >= 4;
    if (v->len >= 8 && base_load_le32(v->p) == 0x184c2102u) { /* legacy: a block size follows */
        const uint32_t block = base_load_le32(v->p + 4);

        return block > 0 && block <= (8u << 20) + (8u << 20) / 255 + 16;
    }
    return false;
}

static bool
is_zstd(const struct view *v)
{
    return v->len >= 4 && base_load_le32(v->p) == 0xfd2fb528u;
}

/* Skippable frames are common to lz4 and zstd: the first other frame tells, if it is near. */
static enum ingest_kind
behind_skippable(struct view v)
{
    while (v.len >= 8 && (base_load_le32(v.p) & ~0xfu) == 0x184d2a50u) {
        const uint32_t len = base_load_le32(v.p + 4);

        if (len > v.len - 8)
            return INGEST_KIND_PLAIN;
        v.p += 8 + len;
        v.len -= 8 + len;
    }
    return is_zstd(&v) ? INGEST_KIND_ZSTD : is_lz4(&v) ? INGEST_KIND_LZ4 : INGEST_KIND_PLAIN;
}

static bool
is_compress(const struct view *v) /* reserved bits zero, 9 to 16 bits a code */
{
    return v->len >= 3 && STARTS_WITH(v, "\x1f\x9d") && (v->p[2] & 0x60) == 0 &&
           (v->p[2] & 0x1f) >= 9 && (v->p[2] & 0x1f) <= 16;
}

/* -------------------------------------------------------------------------------- archives */

static bool
is_ar(const struct view *v)
{
    if (!STARTS_WITH(v, "!<arch>\n"))
        return false;
    if (v->len == 8)
        return v->whole;
    return v->len >= 68 && v->p[66] == '`' && v->p[67] == '\n';
}

/* A number as tar has it: blanks, octal digits, then blanks or NULs to the end; or base 256. */
static bool
tar_number(const uint8_t *p, size_t len, bool may_be_empty, uint64_t *ret)
{
    uint64_t v = 0;
    size_t i = 0, digits = 0;

    if (p[0] & 0x80) {
        *ret = UINT64_MAX;
        return true;
    }
    while (i < len && p[i] == ' ')
        i++;
    for (; i < len && p[i] >= '0' && p[i] <= '7'; i++, digits++)
        v = v * 8 + (p[i] - '0');
    for (; i < len; i++)
        if (p[i] != ' ' && p[i] != 0)
            return false;
    *ret = v;
    return digits > 0 || may_be_empty;
}

static bool
is_tar(const struct view *v)
{
    const bool ustar = v->len >= 512 && memcmp(v->p + 257, "ustar", 5) == 0;
    uint64_t want, num;
    int64_t as_signed = 0;
    uint64_t as_unsigned = 0;

    if (v->len < 512 || !tar_number(v->p + 148, 8, false, &want) || want == UINT64_MAX)
        return false;
    for (size_t i = 0; i < 512; i++) {
        const uint8_t c = i >= 148 && i < 156 ? ' ' : v->p[i];

        as_unsigned += c;
        as_signed += (int8_t)c;
    }
    if (want != as_unsigned && (int64_t)want != as_signed)
        return false;
    if (ustar)
        return true;
    /* Version 7 has no magic: a name, and numbers where numbers go. */
    return v->p[0] != 0 && tar_number(v->p + 100, 8, false, &num) &&
           tar_number(v->p + 108, 8, true, &num) && tar_number(v->p + 116, 8, true, &num) &&
           tar_number(v->p + 124, 12, false, &num) && tar_number(v->p + 136, 12, true, &num);
}

static bool
zip_method_is_known(unsigned m)
{
    return m <= 20 || (m >= 93 && m <= 99);
}

static bool
is_zip(const struct view *v)
{
    /* Some writers put the "spanned" or "temporary span" marker in front. */
    const size_t skip = STARTS_WITH(v, "PK\x07\x08PK\x03\x04") || STARTS_WITH(v, "PK00PK\x03\x04")
                            ? 4 : 0;
    const uint8_t *p = v->p + skip;
    const size_t len = v->len - skip;

    if (len >= 30 && memcmp(p, "PK\x03\x04", 4) == 0)
        return zip_method_is_known(base_load_le16(p + 8)) && base_load_le16(p + 26) > 0;
    if (len >= 22 && memcmp(p, "PK\x05\x06", 4) == 0) /* an empty archive */
        return base_load_le64(p + 4) == 0;
    return false;
}

/* A fixed-width number of digits in base 8 or 16. */
static bool
ascii_number(const uint8_t *p, size_t len, unsigned base, uint64_t *ret)
{
    uint64_t v = 0;

    for (size_t i = 0; i < len; i++) {
        unsigned d = 99;

        if (p[i] >= '0' && p[i] <= '9')
            d = p[i] - '0';
        else if ((p[i] | 0x20) >= 'a' && (p[i] | 0x20) <= 'f')
            d = (p[i] | 0x20) - 'a' + 10u;
        if (d >= base)
            return false;
        v = v * base + d;
    }
    *ret = v;
    return true;
}

/* The name that follows a cpio header at off: namesize bytes, the last one its only NUL. */
static bool
cpio_name_is_sane(const struct view *v, size_t off, uint64_t namesize)
{
    size_t avail;

    if (namesize < 2 || namesize > 4096 || v->len < off)
        return false;
    avail = BASE_MIN(v->len - off, (size_t)namesize);
    if (avail < namesize) /* a long name ends behind what we see */
        return avail > 0 && memchr(v->p + off, 0, avail) == NULL;
    return memchr(v->p + off, 0, avail) == v->p + off + namesize - 1;
}

static bool
is_cpio(const struct view *v)
{
    uint64_t n, namesize;

    if (STARTS_WITH(v, "070701") || STARTS_WITH(v, "070702")) { /* newc: 13 numbers of 8 digits */
        if (v->len < 110)
            return false;
        for (size_t i = 0; i < 13; i++)
            if (!ascii_number(v->p + 6 + i * 8, 8, 16, &n))
                return false;
        return ascii_number(v->p + 94, 8, 16, &namesize) && cpio_name_is_sane(v, 110, namesize);
    }
    if (STARTS_WITH(v, "070707")) /* odc */
        return v->len >= 76 && ascii_number(v->p + 6, 6, 8, &n) &&
               ascii_number(v->p + 12, 47, 8, &n) && ascii_number(v->p + 65, 11, 8, &n) &&
               ascii_number(v->p + 59, 6, 8, &namesize) && cpio_name_is_sane(v, 76, namesize);
    if (v->len >= 26 && (STARTS_WITH(v, "\xc7\x71") || STARTS_WITH(v, "\x71\xc7"))) {
        const bool le = v->p[0] == 0xc7;
        const unsigned type = (le ? v->p[7] : v->p[6]) >> 4;

        namesize = le ? base_load_le16(v->p + 20) : (unsigned)(v->p[20] << 8 | v->p[21]);
        return (type == 0 || type == 1 || type == 2 || type == 4 || type == 6 || type == 8 ||
                type == 0xa || type == 0xc) && cpio_name_is_sane(v, 26, namesize);
    }
    return false;
}

static bool
is_iso9660(const struct view *v) /* the first volume descriptor, in sector 16 */
{
    return v->len >= 32768 + 7 && memcmp(v->p + 32769, "CD001\x01", 6) == 0 &&
           (v->p[32768] <= 3 || v->p[32768] == 255);
}

/* LHA: a method "-lh?-" or "-lz?-" at 2, and a header whose checksum is right (levels 0 and 1) or
 * whose fixed part is plausible (levels 2 and 3, which end in a CRC far away). */
static bool
is_lha(const struct view *v)
{
    const uint8_t *p = v->p;
    uint8_t sum = 0;
    size_t size;

    if (v->len < 24 || p[2] != '-' || p[3] != 'l' || (p[4] != 'h' && p[4] != 'z') || p[6] != '-')
        return false;
    if (!((p[5] >= '0' && p[5] <= '9') || p[5] == 'd' || p[5] == 's' || p[5] == 'x'))
        return false;
    switch (p[20]) {
    case 0:
    case 1:
        size = p[0];
        if (size < 22 || v->len < size + 2)
            return false;
        for (size_t i = 0; i < size; i++)
            sum = (uint8_t)(sum + p[2 + i]);
        return sum == p[1];
    case 2:
        size = base_load_le16(p);
        return size >= 26 && p[0] != 0 && p[19] == 0x20;
    case 3:
        return base_load_le16(p) == 4 && p[19] == 0x20;
    default:
        return false;
    }
}

static bool
is_xar(const struct view *v) /* "xar!", header size, version 1; big-endian */
{
    return v->len >= 28 && STARTS_WITH(v, "xar!") && v->p[4] == 0 && v->p[5] >= 28 &&
           v->p[6] == 0 && v->p[7] == 1;
}

static bool
is_cab(const struct view *v) /* "MSCF", reserved words zero, version 1.3 */
{
    return v->len >= 36 && STARTS_WITH(v, "MSCF\0\0\0\0") && base_load_le32(v->p + 12) == 0 &&
           v->p[25] == 1 && v->p[24] <= 3;
}

enum ingest_kind
ingest_sniff(const uint8_t *data, size_t len, bool whole)
{
    const struct view v = {data, len, whole};

    if (len < 2)
        return INGEST_KIND_PLAIN;
    if (is_gzip(&v))
        return INGEST_KIND_GZIP;
    if (is_xz(&v))
        return INGEST_KIND_XZ;
    if (is_zstd(&v))
        return INGEST_KIND_ZSTD;
    if (is_bzip2(&v))
        return INGEST_KIND_BZIP2;
    if (is_lz4(&v))
        return INGEST_KIND_LZ4;
    if (is_compress(&v))
        return INGEST_KIND_COMPRESS;
    if (is_lzip(&v))
        return INGEST_KIND_LZIP;
    if (len >= 8 && (base_load_le32(data) & ~0xfu) == 0x184d2a50u)
        return behind_skippable(v);
    if (is_ar(&v))
        return INGEST_KIND_AR;
    if (is_zip(&v))
        return INGEST_KIND_ZIP;
    if (STARTS_WITH(&v, "7z\xbc\xaf\x27\x1c"))
        return INGEST_KIND_7ZIP;
    if (is_cpio(&v))
        return INGEST_KIND_CPIO;
    if (STARTS_WITH(&v, "Rar!\x1a\x07\0"))
        return INGEST_KIND_RAR;
    if (STARTS_WITH(&v, "Rar!\x1a\x07\x01\0"))
        return INGEST_KIND_RAR5;
    if (is_lha(&v))
        return INGEST_KIND_LHA;
    if (is_xar(&v))
        return INGEST_KIND_XAR;
    if (is_cab(&v))
        return INGEST_KIND_CAB;
    if (is_tar(&v))
        return INGEST_KIND_TAR;
    if (is_iso9660(&v))
        return INGEST_KIND_ISO9660;
    if (is_lzma(&v)) /* the weakest, so the last */
        return INGEST_KIND_LZMA;
    return INGEST_KIND_PLAIN;
}

bool
ingest_sniff_wants_more(const uint8_t *data, size_t len)
{
    /* The 32 KiB before an ISO image's descriptors are for boot code, and mostly zero. */
    return len >= INGEST_SNIFF_MIN && len < INGEST_SNIFF_MAX &&
           memchr(data, 0, INGEST_SNIFF_MIN) != NULL;
}

const char *
ingest_kind_name(enum ingest_kind k)
{
    static const char *const names[] = {
        [INGEST_KIND_PLAIN] = "plain",     [INGEST_KIND_GZIP] = "gzip",
        [INGEST_KIND_BZIP2] = "bzip2",     [INGEST_KIND_XZ] = "xz",
        [INGEST_KIND_LZMA] = "lzma",       [INGEST_KIND_LZIP] = "lzip",
        [INGEST_KIND_LZ4] = "lz4",         [INGEST_KIND_ZSTD] = "zstd",
        [INGEST_KIND_COMPRESS] = "compress", [INGEST_KIND_AR] = "ar",
        [INGEST_KIND_TAR] = "tar",         [INGEST_KIND_ZIP] = "zip",
        [INGEST_KIND_7ZIP] = "7-Zip",      [INGEST_KIND_CPIO] = "cpio",
        [INGEST_KIND_ISO9660] = "ISO 9660", [INGEST_KIND_RAR] = "RAR",
        [INGEST_KIND_RAR5] = "RAR 5",      [INGEST_KIND_LHA] = "LHA",
        [INGEST_KIND_XAR] = "xar",         [INGEST_KIND_CAB] = "cabinet",
    };

    return (unsigned)k < BASE_ARRAY_LEN(names) ? names[k] : "plain";
}
