/* What a run of bytes is, told by strong magic numbers only, each validated as far as its header
 * goes. The rule that everything else follows: text must never be taken for an archive. So formats
 * whose files are plain text (mtree, uuencode, WARC, tar of a shell script) are not known here,
 * and neither is anything for which libarchive would start a program. */
#ifndef INGEST_SNIFF_H
#define INGEST_SNIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ingest_kind {
    INGEST_KIND_PLAIN = 0, /* not an archive: content */
    /* One compressed stream. */
    INGEST_KIND_GZIP,
    INGEST_KIND_BZIP2,
    INGEST_KIND_XZ,
    INGEST_KIND_LZMA,
    INGEST_KIND_LZIP,
    INGEST_KIND_LZ4,
    INGEST_KIND_ZSTD,
    INGEST_KIND_COMPRESS,
    /* Archives of entries. */
    INGEST_KIND_AR,
    INGEST_KIND_TAR,
    INGEST_KIND_ZIP,
    INGEST_KIND_7ZIP,
    INGEST_KIND_CPIO,
    INGEST_KIND_ISO9660,
    INGEST_KIND_RAR,
    INGEST_KIND_RAR5,
    INGEST_KIND_LHA,
    INGEST_KIND_XAR,
    INGEST_KIND_CAB,
};

#define INGEST_SNIFF_MIN 520u            /* bytes that decide everything but ISO 9660 */
#define INGEST_SNIFF_MAX (32768u + 8u)   /* bytes that decide that, too */

/* What the first len bytes are; whole: there are no more. With len < INGEST_SNIFF_MIN and not
 * whole the answer may be "plain" for want of bytes. Pure. */
enum ingest_kind ingest_sniff(const uint8_t *data, size_t len, bool whole);
/* Whether a plain answer may change with INGEST_SNIFF_MAX bytes: never so for text, which spares
 * it the long look ahead. */
bool ingest_sniff_wants_more(const uint8_t *data, size_t len);

static inline bool
ingest_kind_is_filter(enum ingest_kind k)
{
    return k >= INGEST_KIND_GZIP && k <= INGEST_KIND_COMPRESS;
}

const char *ingest_kind_name(enum ingest_kind k); /* "gzip", "tar", ...; "plain" */

#endif
