/* Recognising archives: everything we claim to read is recognised, and text never is. */
#include "config.h"

#include "tools/ingest/sniff.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/compiler.h"
#include "tests/source_util.h"
#include "tests/suite.h"

static enum ingest_kind
sniff_whole(const struct base_buf *b)
{
    return ingest_sniff(b->data, BASE_MIN(b->len, INGEST_SNIFF_MAX), b->len <= INGEST_SNIFF_MAX);
}

static const struct {
    int format;
    enum ingest_kind kind;
} formats[] = {
    {ARCHIVE_FORMAT_TAR_USTAR, INGEST_KIND_TAR}, {ARCHIVE_FORMAT_TAR, INGEST_KIND_TAR},
    {ARCHIVE_FORMAT_TAR_GNUTAR, INGEST_KIND_TAR}, {ARCHIVE_FORMAT_ZIP, INGEST_KIND_ZIP},
    {ARCHIVE_FORMAT_7ZIP, INGEST_KIND_7ZIP}, {ARCHIVE_FORMAT_CPIO_POSIX, INGEST_KIND_CPIO},
    {ARCHIVE_FORMAT_CPIO_SVR4_NOCRC, INGEST_KIND_CPIO}, {ARCHIVE_FORMAT_AR_GNU, INGEST_KIND_AR},
    {ARCHIVE_FORMAT_AR_BSD, INGEST_KIND_AR}, {ARCHIVE_FORMAT_ISO9660, INGEST_KIND_ISO9660},
    {ARCHIVE_FORMAT_XAR, INGEST_KIND_XAR},
};

START_TEST(test_knows_every_format)
{
    struct base_buf b = {0};

    su_archive_one(&b, formats[_i].format, ARCHIVE_FILTER_NONE, "a.txt", "hello\n", 6);
    ck_assert_str_eq(ingest_kind_name(sniff_whole(&b)), ingest_kind_name(formats[_i].kind));
    for (size_t len = 0; len < BASE_MIN(b.len, 600u); len++) { /* a copy, for the sanitizer */
        uint8_t *copy = malloc(len + 1);
        enum ingest_kind k;

        ck_assert_ptr_nonnull(copy);
        memcpy(copy, b.data, len);
        k = ingest_sniff(copy, len, false);
        ck_assert(k == INGEST_KIND_PLAIN || k == formats[_i].kind);
        (void)ingest_sniff_wants_more(copy, len);
        free(copy);
    }
    base_buf_done(&b);
}
END_TEST

static const struct {
    int filter;
    enum ingest_kind kind;
} filters[] = {
    {ARCHIVE_FILTER_GZIP, INGEST_KIND_GZIP}, {ARCHIVE_FILTER_BZIP2, INGEST_KIND_BZIP2},
    {ARCHIVE_FILTER_XZ, INGEST_KIND_XZ},     {ARCHIVE_FILTER_LZMA, INGEST_KIND_LZMA},
    {ARCHIVE_FILTER_LZIP, INGEST_KIND_LZIP}, {ARCHIVE_FILTER_LZ4, INGEST_KIND_LZ4},
    {ARCHIVE_FILTER_ZSTD, INGEST_KIND_ZSTD}, {ARCHIVE_FILTER_COMPRESS, INGEST_KIND_COMPRESS},
};

START_TEST(test_knows_every_compression)
{
    struct base_buf b = {0};

    su_compress(&b, filters[_i].filter, "hello\n", 6);
    ck_assert_str_eq(ingest_kind_name(sniff_whole(&b)), ingest_kind_name(filters[_i].kind));
    ck_assert(ingest_kind_is_filter(filters[_i].kind));
    base_buf_reset(&b);
    su_compress(&b, filters[_i].filter, "", 0);
    ck_assert_str_eq(ingest_kind_name(sniff_whole(&b)), ingest_kind_name(filters[_i].kind));
    base_buf_done(&b);
}
END_TEST

START_TEST(test_skippable_frames_lead_to_the_real_one)
{
    static const uint8_t skip[] = {0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 'a', 'b', 'c'};
    struct base_buf b = {0};

    ck_assert_int_eq(base_buf_append(&b, skip, sizeof(skip)), 0);
    ck_assert_int_eq(base_buf_append(&b, skip, sizeof(skip)), 0);
    ck_assert_int_eq(sniff_whole(&b), INGEST_KIND_PLAIN);
    su_compress(&b, ARCHIVE_FILTER_ZSTD, "hello\n", 6);
    ck_assert_int_eq(sniff_whole(&b), INGEST_KIND_ZSTD);
    b.len = 2 * sizeof(skip);
    su_compress(&b, ARCHIVE_FILTER_LZ4, "hello\n", 6);
    ck_assert_int_eq(sniff_whole(&b), INGEST_KIND_LZ4);
    base_buf_done(&b);
}
END_TEST

/* Lines of print that begin as some archive does. */
static const char *const lookalikes[] = {
    "!<arch>\nis how an ar archive begins, and this is a text about it that is long enough to hold "
    "a header of sixty bytes.\n",
    "PK is short for many things\n", "PK\x03\x04 and so on, for more than thirty bytes, is no zip\n",
    "BZh91 is a bzip2 header without its magic number behind it\n", "BZh\n",
    "070701 is a cpio magic, and 070707 too\n", "070707 070707 070707 070707 070707 070707 070707 "
    "070707 070707 070707 070707 070707\n",
    "7z is a program\n", "Rar! said the lion\n", "Rar!\x1a\n", "xar! xar! xar! xar! xar! xar! xar!\n",
    "MSCF is a magic number of four letters, and more must follow it\n",
    "ab-lh5- is at its place, but the header does not add up at all, not by far\n",
    "#mtree\n./a type=file\n", "begin 644 a.txt\n#86)C\n`\nend\n", "LZIP archives are rare\n",
    "WARC/1.0\r\nWARC-Type: warcinfo\r\n", "ustar\n", "\x1f\x8b is a magic number\n",
    "]\n", "(\xc2\xb5/\n", "1234567890123456789012345678901234567890\n",
};

START_TEST(test_text_is_never_an_archive)
{
    struct base_buf b = {0};
    const char *text = lookalikes[_i];

    for (unsigned seed = 0; seed < 40; seed++) {
        base_buf_reset(&b);
        ck_assert_int_eq(base_buf_append(&b, text, strlen(text)), 0);
        su_text(&b, seed * 37, seed);
        ck_assert_msg(sniff_whole(&b) == INGEST_KIND_PLAIN, "seed %u: %s: %s", seed, text,
                      ingest_kind_name(sniff_whole(&b)));
    }
    base_buf_done(&b);
}
END_TEST

/* A page that tells of tar, with "ustar" and octal numbers where a header has them. */
START_TEST(test_text_with_a_tar_header_needs_its_checksum)
{
    struct base_buf b = {0};

    su_text(&b, 1024, 1);
    memcpy(b.data + 257, "ustar", 5);
    memcpy(b.data + 148, "0012345 ", 8);
    ck_assert_int_eq(sniff_whole(&b), INGEST_KIND_PLAIN);
    base_buf_done(&b);
}
END_TEST

START_TEST(test_random_bytes_are_hardly_ever_an_archive)
{
    uint32_t x = (uint32_t)_i * 2654435761u + 1;
    uint8_t data[1024];
    unsigned hits = 0;

    for (unsigned round = 0; round < 2000; round++) {
        for (size_t k = 0; k < sizeof(data); k++) {
            x = x * 1664525u + 1013904223u;
            data[k] = (uint8_t)(x >> 24);
        }
        hits += ingest_sniff(data, sizeof(data), true) != INGEST_KIND_PLAIN;
    }
    ck_assert_msg(hits <= 1, "seed %d: %u of 2000", _i, hits); /* compress has 16 + 5 bits */
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("sniff");
    TCase *tc = tcase_create("sniff");

    tcase_add_checked_fixture(tc, NULL, su_cleanup);
    tcase_add_loop_test(tc, test_knows_every_format, 0, BASE_ARRAY_LEN(formats));
    tcase_add_loop_test(tc, test_knows_every_compression, 0, BASE_ARRAY_LEN(filters));
    tcase_add_test(tc, test_skippable_frames_lead_to_the_real_one);
    tcase_add_loop_test(tc, test_text_is_never_an_archive, 0, BASE_ARRAY_LEN(lookalikes));
    tcase_add_test(tc, test_text_with_a_tar_header_needs_its_checksum);
    tcase_add_loop_test(tc, test_random_bytes_are_hardly_ever_an_archive, 0, 3);
    suite_add_tcase(s, tc);
    return test_run(s);
}
