/* Walks: what is put into archives comes out again, through every format, compression and nesting;
 * what is broken, locked or boundless is rejected, and the rest still comes. */
#include "config.h"

#include "tools/ingest/source.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/compiler.h"
#include "lib/hash.h"
#include "tests/source_util.h"
#include "tests/suite.h"

/* libarchive asks malloc() for what a hostile header says, and copes with NULL, as it gets without
 * AddressSanitizer, too. */
__attribute__((visibility("default"), used)) const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static struct base_buf text, big;

static void
setup(void)
{
    su_text(&text, 5000, 1);
    su_text(&big, 150000, 2);
}

static void
teardown(void)
{
    base_buf_done(&text);
    base_buf_done(&big);
    su_cleanup();
}

static void
assert_same(const struct su_entry *e, const void *data, size_t len)
{
    ck_assert_ptr_nonnull(e);
    ck_assert_msg(e->data.len == len, "%s: %zu bytes, not %zu", e->chain, e->data.len, len);
    ck_assert_msg(len == 0 || memcmp(e->data.data, data, len) == 0, "%s", e->chain);
    ck_assert(!e->broke_off);
}

static void
assert_rejects(const struct su_walk *w, size_t n)
{
    ck_assert_msg(w->rejects.count == n, "%zu rejects, not %zu; the first: %s", w->rejects.count, n,
                  w->rejects.count ? w->rejects.items[0].detail : "");
}

static void
assert_hash(const struct su_walk *w, const struct base_buf *file)
{
    ck_assert_uint_eq(w->size, file->len);
    ck_assert(base_hash128_eq(w->hash, base_hash128(file->data, file->len, 0)));
}

/* --------------------------------------------------------------------------------- formats */

static const struct {
    int format;
    bool flat; /* names have no folders */
    const char *options;
} formats[] = {
    {ARCHIVE_FORMAT_TAR_USTAR, false, NULL},
    {ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE, false, NULL},
    {ARCHIVE_FORMAT_TAR_GNUTAR, false, NULL},
    {ARCHIVE_FORMAT_CPIO_POSIX, false, NULL},
    {ARCHIVE_FORMAT_CPIO_SVR4_NOCRC, false, NULL},
    {ARCHIVE_FORMAT_AR_GNU, true, NULL},
    {ARCHIVE_FORMAT_AR_BSD, true, NULL},
    {ARCHIVE_FORMAT_ZIP, false, "zip:compression=deflate"},
    {ARCHIVE_FORMAT_ZIP, false, "zip:compression=store"},
    {ARCHIVE_FORMAT_7ZIP, false, NULL},
    {ARCHIVE_FORMAT_ISO9660, false, NULL},
    {ARCHIVE_FORMAT_XAR, false, NULL},
};

static void
make_format(struct base_buf *out, int i, int filter)
{
    const struct su_member members[] = {
        {.name = "plain.txt", .data = text.data, .len = text.len},
        {.name = "empty.txt", .data = "", .len = 0},
        {.name = formats[i].flat ? "big.txt" : "dir/sub/big.txt", .data = big.data, .len = big.len},
        {.name = "last.txt", .data = "x", .len = 1},
    };

    su_archive(out, formats[i].format, filter, formats[i].options, members,
               BASE_ARRAY_LEN(members));
}

static void
check_format(const struct su_walk *w, int i, const char *prefix)
{
    char name[128];

    assert_rejects(w, 0);
    ck_assert_uint_eq(w->n_entries, 4);
    (void)snprintf(name, sizeof(name), "%splain.txt", prefix);
    assert_same(su_find(w, name), text.data, text.len);
    (void)snprintf(name, sizeof(name), "%sempty.txt", prefix);
    assert_same(su_find(w, name), "", 0);
    (void)snprintf(name, sizeof(name), "%s%s", prefix,
                   formats[i].flat ? "big.txt" : "dir/sub/big.txt");
    assert_same(su_find(w, name), big.data, big.len);
    (void)snprintf(name, sizeof(name), "%slast.txt", prefix);
    assert_same(su_find(w, name), "x", 1);
}

START_TEST(test_reads_every_format)
{
    struct base_buf b = {0};
    struct su_walk w;

    make_format(&b, _i, ARCHIVE_FILTER_NONE);
    su_walk_bytes(&w, "archive", &b, NULL);
    check_format(&w, _i, "");
    assert_hash(&w, &b);
    ck_assert_str_eq(w.entries[0].path, w.entries[0].chain);
    su_walk_done(&w);
    base_buf_done(&b);
}
END_TEST

START_TEST(test_reads_every_format_through_a_pipe)
{
    struct base_buf b = {0};
    struct su_walk w;

    make_format(&b, _i, ARCHIVE_FILTER_NONE);
    su_walk_pipe(&w, &b, NULL);
    check_format(&w, _i, "");
    assert_hash(&w, &b);
    su_walk_done(&w);
    base_buf_done(&b);
}
END_TEST

START_TEST(test_reads_every_format_within_others)
{
    struct base_buf inner = {0}, mid = {0}, outer = {0};
    struct su_walk w;

    make_format(&inner, _i, ARCHIVE_FILTER_NONE);
    su_compress(&mid, ARCHIVE_FILTER_GZIP, inner.data, inner.len);
    su_archive_one(&outer, ARCHIVE_FORMAT_TAR, ARCHIVE_FILTER_XZ, "./in/inner.x.gz", mid.data,
                   mid.len);
    su_walk_bytes(&w, "outer.tar.xz", &outer, NULL);
    check_format(&w, _i, "in/inner.x.gz!");
    ck_assert_str_eq(w.entries[0].path, strrchr(w.entries[0].chain, '!') + 1);
    assert_hash(&w, &outer);
    su_walk_done(&w);
    base_buf_done(&inner);
    base_buf_done(&mid);
    base_buf_done(&outer);
}
END_TEST

static const int filters[] = {ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_BZIP2, ARCHIVE_FILTER_XZ,
                              ARCHIVE_FILTER_LZMA, ARCHIVE_FILTER_LZIP, ARCHIVE_FILTER_LZ4,
                              ARCHIVE_FILTER_ZSTD, ARCHIVE_FILTER_COMPRESS};

START_TEST(test_reads_every_compression)
{
    const struct base_buf *const contents[] = {&big, &text, &(struct base_buf){0}};
    struct base_buf b = {0};
    struct su_walk w;

    for (size_t k = 0; k < BASE_ARRAY_LEN(contents); k++) {
        base_buf_reset(&b);
        su_compress(&b, filters[_i], contents[k]->data, contents[k]->len);
        su_walk_bytes(&w, "rows.jsonl.gz", &b, NULL);
        assert_rejects(&w, 0);
        ck_assert_uint_eq(w.n_entries, 1);
        assert_same(&w.entries[0], contents[k]->data, contents[k]->len);
        ck_assert_str_eq(w.entries[0].path, "rows.jsonl.gz");
        ck_assert_str_eq(w.entries[0].chain, "");
        ck_assert(w.entries[0].unpacked);
        assert_hash(&w, &b);
        su_walk_done(&w);
    }
    base_buf_done(&b);
}
END_TEST

START_TEST(test_reads_compressed_tar)
{
    struct base_buf b = {0};
    struct su_walk w;

    make_format(&b, 0, filters[_i]);
    su_walk_bytes(&w, "archive", &b, NULL);
    check_format(&w, 0, "");
    ck_assert(!w.entries[0].unpacked);
    su_walk_done(&w);
    base_buf_done(&b);
}
END_TEST

START_TEST(test_concatenated_streams_are_one)
{
    static const int many[] = {ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_BZIP2, ARCHIVE_FILTER_XZ,
                               ARCHIVE_FILTER_ZSTD, ARCHIVE_FILTER_LZ4};
    struct base_buf b = {0}, both = {0};
    struct su_walk w;

    su_compress(&b, many[_i], text.data, text.len);
    if (many[_i] != ARCHIVE_FILTER_LZ4) /* libarchive stops there; then the rest is a reject */
        su_compress(&b, many[_i], "", 0);
    su_compress(&b, many[_i], big.data, big.len);
    ck_assert_int_eq(base_buf_append(&both, text.data, text.len), 0);
    ck_assert_int_eq(base_buf_append(&both, big.data, big.len), 0);
    su_walk_bytes(&w, "x", &b, NULL);
    assert_rejects(&w, 0);
    ck_assert_uint_eq(w.n_entries, 1);
    assert_same(&w.entries[0], both.data, both.len);
    su_walk_done(&w);
    base_buf_done(&b);
    base_buf_done(&both);
}
END_TEST

START_TEST(test_concatenated_tars_are_read_to_the_end)
{
    struct base_buf b = {0};
    struct su_walk w;

    su_archive_one(&b, ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FILTER_NONE, "one", "1", 1);
    su_archive_one(&b, ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FILTER_NONE, "two", "22", 2);
    su_walk_bytes(&w, "x.tar", &b, NULL);
    assert_rejects(&w, 0);
    ck_assert_uint_eq(w.n_entries, 2);
    assert_same(su_find(&w, "two"), "22", 2);
    su_walk_done(&w);
    ck_assert_int_eq(base_buf_append(&b, "garbage", 7), 0);
    su_walk_bytes(&w, "x.tar", &b, NULL);
    ck_assert_uint_eq(w.n_entries, 2);
    assert_rejects(&w, 1);
    su_walk_done(&w);
    base_buf_done(&b);
}
END_TEST

/* ----------------------------------------------------------------------- entries and names */

START_TEST(test_links_are_skipped_and_counted)
{
    const struct su_member members[] = {
        {.name = "d", .type = AE_IFDIR},
        {.name = "d/a", .data = "aaa", .len = 3},
        {.name = "d/sym", .type = AE_IFLNK, .link = "a"},
        {.name = "d/hard", .link = "d/a"},
        {.name = "d/fifo", .type = AE_IFIFO},
        {.name = "d/b", .data = "bb", .len = 2},
    };
    struct base_buf b = {0};
    struct su_walk w;

    su_archive(&b, ARCHIVE_FORMAT_TAR, ARCHIVE_FILTER_GZIP, NULL, members,
               BASE_ARRAY_LEN(members));
    su_walk_bytes(&w, "x", &b, NULL);
    assert_rejects(&w, 0);
    ck_assert_uint_eq(w.n_entries, 2);
    ck_assert_uint_eq(w.counts.entries, 2);
    ck_assert_uint_eq(w.counts.links_skipped, 3);
    ck_assert_uint_eq(w.counts.entries_skipped, 0);
    assert_same(su_find(&w, "d/a"), "aaa", 3);
    su_walk_done(&w);
    base_buf_done(&b);
}
END_TEST

/* Zip keeps what a file is in its directory at the end, so also inside a stream it must be read. */
START_TEST(test_links_in_a_nested_zip_are_skipped)
{
    const struct su_member members[] = {
        {.name = "a", .data = "aaa", .len = 3},
        {.name = "sym", .type = AE_IFLNK, .link = "a"},
    };
    struct base_buf b = {0}, tar = {0};
    struct su_walk w;

    su_archive(&b, ARCHIVE_FORMAT_ZIP, ARCHIVE_FILTER_NONE, NULL, members, 2);
    su_archive_one(&tar, ARCHIVE_FORMAT_TAR, ARCHIVE_FILTER_NONE, "x.zip", b.data, b.len);
    su_walk_bytes(&w, "x.tar", &tar, NULL);
    assert_rejects(&w, 0);
    ck_assert_uint_eq(w.n_entries, 1);
    ck_assert_uint_eq(w.counts.links_skipped, 1);
    su_walk_done(&w);
    base_buf_done(&b);
    base_buf_done(&tar);
}
END_TEST

static const struct {
    const char *stored, *path;
    const char *zip_path; /* where libarchive itself changes the name of a zip's entry */
} names[] = {
    {"a/b.txt", "a/b.txt", NULL},
    {"./a/b.txt", "a/b.txt", NULL},
    {"/etc/x", "etc/x", NULL},
    {"../up", "../up", NULL},
    {".hidden", ".hidden", NULL},
    {"stra\xc3\x9f" "e.txt", "stra\xc3\x9f" "e.txt", NULL},
    {"e\xcc\x81.txt", "e\xcc\x81.txt", "\xc3\xa9.txt"}, /* decomposed stays so */
    {"latin-\xe9.txt", "latin-%E9.txt", "entry-1"},
    {"\xe6\xbc\xa2\xe5\xad\x97.txt", "\xe6\xbc\xa2\xe5\xad\x97.txt", NULL},
    {"tab\there", "tab%09here", NULL},
};

START_TEST(test_names_do_not_depend_on_the_locale)
{
    static const int with_bytes[] = {ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FORMAT_TAR_GNUTAR,
                                     ARCHIVE_FORMAT_CPIO_POSIX, ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE,
                                     ARCHIVE_FORMAT_ZIP};
    static const char *const locales[] = {"C", "C.UTF-8"};

    for (size_t f = 0; f < BASE_ARRAY_LEN(with_bytes); f++) {
        for (size_t k = 0; k < BASE_ARRAY_LEN(locales); k++) {
            const char *want;
            struct base_buf b = {0};
            struct su_walk w;

            if (names[_i].stored[0] == '/' && with_bytes[f] == ARCHIVE_FORMAT_ZIP)
                continue;
            (void)setlocale(LC_ALL, "C.UTF-8");
            su_archive_one(&b, with_bytes[f], ARCHIVE_FILTER_NONE, names[_i].stored, "x", 1);
            (void)setlocale(LC_ALL, locales[k]);
            su_walk_bytes(&w, "x", &b, NULL);
            (void)setlocale(LC_ALL, "C");
            assert_rejects(&w, 0);
            ck_assert_uint_eq(w.n_entries, 1);
            want = names[_i].path;
            if (with_bytes[f] == ARCHIVE_FORMAT_ZIP && names[_i].zip_path != NULL)
                want = names[_i].zip_path;
            ck_assert_msg(strcmp(w.entries[0].path, want) == 0,
                          "format %d, locale %s: %s", with_bytes[f], locales[k],
                          w.entries[0].path);
            su_walk_done(&w);
            base_buf_done(&b);
        }
    }
}
END_TEST

START_TEST(test_long_names_arrive)
{
    char name[400];
    struct base_buf b = {0};
    struct su_walk w;

    for (size_t i = 0; i < sizeof(name) - 1; i++)
        name[i] = i % 50 == 49 ? '/' : (char)('a' + i % 26);
    name[sizeof(name) - 1] = 0;
    su_archive_one(&b, ARCHIVE_FORMAT_TAR_GNUTAR, ARCHIVE_FILTER_NONE, name, "x", 1);
    su_walk_bytes(&w, "x", &b, NULL);
    ck_assert_uint_eq(w.n_entries, 1);
    ck_assert_str_eq(w.entries[0].path, name);
    su_walk_done(&w);
    base_buf_done(&b);
}
END_TEST

static const struct {
    const char *include, *exclude;
    const char *wanted; /* of a/x.txt, a/b/y.txt, a/b/z.csv, c/x.txt, as letters 0123 */
} globs[] = {
    {NULL, NULL, "0123"},          {"a", NULL, "012"},
    {"a/", NULL, "012"},           {"./a", NULL, "012"},
    {"/a/*", NULL, "012"},         {"*.txt", NULL, "013"},
    {"a/b", NULL, "12"},           {"a/b/?.txt", NULL, "1"},
    {"*/x.txt", NULL, "03"},       {"a/[xy].txt", NULL, "0"},
    {NULL, "*.csv", "013"},        {NULL, "a/b", "03"},
    {"a", "*/b/*", "0"},           {"b", NULL, ""},
    {"x.txt", NULL, ""},           {"a/x.txt", NULL, "0"},
};

START_TEST(test_globs_choose_entries)
{
    static const char *const paths[] = {"a/x.txt", "a/b/y.txt", "a/b/z.csv", "c/x.txt"};
    const struct ingest_walk_opts opts = {
        .include = &globs[_i].include, .n_include = globs[_i].include != NULL,
        .exclude = &globs[_i].exclude, .n_exclude = globs[_i].exclude != NULL,
    };
    struct su_member members[4];
    struct base_buf b = {0};
    struct su_walk w;

    for (size_t k = 0; k < 4; k++)
        members[k] = (struct su_member){.name = paths[k], .data = "x", .len = 1};
    su_archive(&b, ARCHIVE_FORMAT_TAR, ARCHIVE_FILTER_GZIP, NULL, members, 4);
    su_walk_bytes(&w, "x", &b, &opts);
    for (size_t k = 0; k < 4; k++)
        ck_assert_msg((su_find(&w, paths[k]) != NULL) ==
                          (strchr(globs[_i].wanted, '0' + (int)k) != NULL),
                      "case %d: %s", _i, paths[k]);
    ck_assert_uint_eq(w.counts.entries, strlen(globs[_i].wanted));
    ck_assert_uint_eq(w.counts.entries_skipped, 4 - strlen(globs[_i].wanted));
    su_walk_done(&w);
    base_buf_done(&b);
}
END_TEST

START_TEST(test_unwanted_archives_are_still_looked_into)
{
    const char *const glob = "want/*";
    const struct ingest_walk_opts opts = {.include = &glob, .n_include = 1};
    struct base_buf inner = {0}, b = {0};
    struct su_walk w;

    su_archive_one(&inner, ARCHIVE_FORMAT_TAR, ARCHIVE_FILTER_XZ, "want/a", "a", 1);
    su_archive_one(&b, ARCHIVE_FORMAT_AR_GNU, ARCHIVE_FILTER_NONE, "data.tar.xz", inner.data,
                   inner.len);
    su_walk_bytes(&w, "x.deb", &b, &opts);
    ck_assert_uint_eq(w.n_entries, 1);
    assert_same(su_find(&w, "data.tar.xz!want/a"), "a", 1);
    su_walk_done(&w);
    base_buf_done(&inner);
    base_buf_done(&b);
}
END_TEST

START_TEST(test_a_directory_is_its_files_in_order)
{
    static const char *const want[][2] = {
        {"corpus/a-b.txt", "a-b.txt"}, {"corpus/a/x.txt", "a/x.txt"},
        {"corpus/a/\xc3\xa4.txt", "a/\xc3\xa4.txt"}, {"corpus/b%FF.txt", "b%FF.txt"},
    };
    struct ingest_files files = {0};
    struct shard_error err = {0};
    char path[512];

    (void)snprintf(path, sizeof(path), "%s/corpus", su_dir());
    ck_assert_int_eq(mkdir(path, 0755), 0);
    (void)snprintf(path, sizeof(path), "%s/corpus/a", su_dir());
    ck_assert_int_eq(mkdir(path, 0755), 0);
    (void)su_put("corpus/b\xff.txt", "4", 1);
    (void)su_put("corpus/a/\xc3\xa4.txt", "3", 1);
    (void)su_put("corpus/a/x.txt", "22", 2);
    (void)su_put("corpus/a-b.txt", "1", 1);
    (void)snprintf(path, sizeof(path), "%s/corpus/link", su_dir());
    ck_assert_int_eq(symlink("a-b.txt", path), 0);
    (void)snprintf(path, sizeof(path), "%s/corpus/", su_dir());
    ck_assert_int_eq(ingest_files_add(&files, path, &err), 0);
    ck_assert_uint_eq(files.count, 4);
    for (size_t i = 0; i < 4; i++) {
        struct su_walk w;

        ck_assert_str_eq(files.items[i].name, want[i][0]);
        su_walk_file(&w, &files.items[i], NULL);
        ck_assert_uint_eq(w.n_entries, 1);
        ck_assert_str_eq(w.entries[0].path, want[i][1]);
        ck_assert_str_eq(w.entries[0].chain, "");
        ck_assert_uint_eq(w.entries[0].data.len, files.items[i].size);
        su_walk_done(&w);
    }
    ck_assert_int_eq(ingest_files_add(&files, "/no/such/file", &err), -ENOENT);
    ck_assert_ptr_nonnull(strstr(err.text, "/no/such/file"));
    ingest_files_done(&files);
}
END_TEST

START_TEST(test_raw_opens_nothing)
{
    const struct ingest_walk_opts opts = {.raw = true};
    struct base_buf b = {0};
    struct su_walk w;

    make_format(&b, 0, ARCHIVE_FILTER_GZIP);
    su_walk_bytes(&w, "x.tar.gz", &b, &opts);
    ck_assert_uint_eq(w.n_entries, 1);
    assert_same(&w.entries[0], b.data, b.len);
    ck_assert(!w.entries[0].unpacked);
    assert_hash(&w, &b);
    su_walk_done(&w);
    base_buf_done(&b);
}
END_TEST

START_TEST(test_an_empty_file_is_an_empty_entry)
{
    struct base_buf b = {0};
    struct su_walk w;

    su_walk_bytes(&w, "nothing.txt", &b, NULL);
    assert_rejects(&w, 0);
    ck_assert_uint_eq(w.n_entries, 1);
    ck_assert_uint_eq(w.entries[0].data.len, 0);
    assert_hash(&w, &b);
    su_walk_done(&w);
}
END_TEST

/* ----------------------------------------------------------------------------------- damage */

/* Whatever came is a prefix of the truth, and what did not come has a reject. */
static void
check_truncated(const struct su_walk *w, size_t cut, bool must_reject)
{
    ck_assert_msg(!must_reject || w->rejects.count > 0, "cut at %zu: no reject", cut);
    for (size_t i = 0; i < w->n_entries; i++) {
        const struct su_entry *e = &w->entries[i];
        const struct base_buf *whole = strstr(e->path, "big.txt") ? &big : &text;

        if (strstr(e->path, "last.txt") || strstr(e->path, "empty.txt") || e->chain[0] == 0)
            continue;
        ck_assert_uint_le(e->data.len, whole->len);
        ck_assert_msg(e->data.len == whole->len || e->broke_off, "cut at %zu: %s", cut, e->chain);
        ck_assert(e->data.len == 0 || memcmp(e->data.data, whole->data, e->data.len) == 0);
    }
}

START_TEST(test_truncated_archives_are_rejected)
{
    const bool is_iso = formats[_i].format == ARCHIVE_FORMAT_ISO9660;
    struct base_buf b = {0};
    struct su_walk w;
    size_t whole, n_cuts = 0;

    make_format(&b, _i, _i == 0 ? ARCHIVE_FILTER_XZ : _i == 1 ? ARCHIVE_FILTER_GZIP
                                                              : ARCHIVE_FILTER_NONE);
    whole = b.len;
    for (size_t cut = 1; cut < whole; cut += cut < 64 ? 3 : 1 + whole / 60, n_cuts++) {
        b.len = cut;
        su_walk_bytes(&w, "x", &b, NULL);
        /* The first bytes alone are no archive yet, and tar and cpio end in padding. */
        check_truncated(&w, cut, cut > (is_iso ? 40000u : 600u) &&
                                     cut < whole - (is_iso ? 400000 : 12000));
        su_walk_done(&w);
    }
    ck_assert_uint_gt(n_cuts, 30);
    base_buf_done(&b);
}
END_TEST

START_TEST(test_one_cut_gives_one_reject_and_the_rest_goes_on)
{
    struct base_buf inner = {0}, broken = {0}, outer = {0};
    struct su_member members[2];
    struct su_walk w;

    make_format(&inner, 0, ARCHIVE_FILTER_GZIP); /* a tar.gz, cut in the middle */
    ck_assert_int_eq(base_buf_append(&broken, inner.data, inner.len / 2), 0);
    members[0] = (struct su_member){.name = "cut.tgz", .data = broken.data, .len = broken.len};
    members[1] = (struct su_member){.name = "after.txt", .data = "after", .len = 5};
    su_archive(&outer, ARCHIVE_FORMAT_TAR, ARCHIVE_FILTER_NONE, NULL, members, 2);
    su_walk_bytes(&w, "outer.tar", &outer, NULL);
    assert_rejects(&w, 1);
    ck_assert_str_eq(w.rejects.items[0].file, "outer.tar");
    ck_assert_str_eq(w.rejects.items[0].entry, "cut.tgz");
    ck_assert_str_eq(w.rejects.items[0].reason, INGEST_BAD_ARCHIVE);
    ck_assert_uint_gt(w.rejects.items[0].offset, 1000);
    assert_same(su_find(&w, "after.txt"), "after", 5);
    assert_same(su_find(&w, "cut.tgz!plain.txt"), text.data, text.len);
    su_walk_done(&w);
    base_buf_done(&inner);
    base_buf_done(&broken);
    base_buf_done(&outer);
}
END_TEST

START_TEST(test_gzip_checksum_and_length_are_checked)
{
    struct base_buf b = {0};
    struct su_walk w;

    su_compress(&b, ARCHIVE_FILTER_GZIP, text.data, text.len);
    b.data[b.len - 8 + (size_t)_i] ^= 4; /* each byte of the trailer in turn */
    su_walk_bytes(&w, "x.gz", &b, NULL);
    assert_rejects(&w, 1);
    ck_assert_uint_eq(w.n_entries, 1);
    ck_assert(w.entries[0].broke_off);
    su_walk_done(&w);
    base_buf_done(&b);
}
END_TEST

START_TEST(test_what_follows_a_stream_is_padding_or_a_reject)
{
    static const int kinds[] = {ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_BZIP2};
    struct base_buf b = {0};
    struct su_walk w;

    su_compress(&b, kinds[_i], big.data, big.len);
    ck_assert_int_eq(base_buf_append_zero(&b, 1000000), 0);
    su_walk_bytes(&w, "x.gz", &b, NULL);
    assert_rejects(&w, 0);
    assert_same(&w.entries[0], big.data, big.len);
    su_walk_done(&w);
    b.data[b.len - 500] = 'x';
    su_walk_bytes(&w, "x.gz", &b, NULL);
    assert_rejects(&w, 1);
    assert_same(&w.entries[0], big.data, big.len);
    su_walk_done(&w);
    base_buf_done(&b);
}
END_TEST

START_TEST(test_flipped_bytes_never_crash)
{
    static const int kinds[] = {0, 5, 7, 9, 10, 11};
    struct base_buf b = {0};
    uint32_t x = (uint32_t)_i + 1;

    big.len = 3000;
    make_format(&b, kinds[_i], ARCHIVE_FILTER_NONE);
    for (unsigned round = 0; round < 60; round++) {
        struct su_walk w;
        size_t at;

        x = x * 1664525u + 1013904223u;
        at = (size_t)(x >> 4) % b.len;
        b.data[at] ^= (uint8_t)(1u << (x & 7));
        su_walk_bytes(&w, "x", &b, NULL);
        su_walk_done(&w);
        b.data[at] ^= (uint8_t)(1u << (x & 7));
    }
    base_buf_done(&b);
}
END_TEST

/* ----------------------------------------------------------------------------------- limits */

START_TEST(test_depth_is_limited)
{
    struct base_buf a = {0}, b = {0};
    const struct ingest_walk_opts opts = {.max_depth = 3};
    struct su_walk w;

    su_compress(&a, ARCHIVE_FILTER_GZIP, "deep\n", 5);
    for (int level = 2; level <= 9; level++) {
        base_buf_reset(&b);
        su_compress(&b, ARCHIVE_FILTER_GZIP, a.data, a.len);
        base_buf_reset(&a);
        ck_assert_int_eq(base_buf_append(&a, b.data, b.len), 0);
        su_walk_bytes(&w, "x.gz", &a, NULL);
        assert_rejects(&w, level > 8);
        ck_assert_uint_eq(w.n_entries, level <= 8);
        su_walk_done(&w);
        su_walk_bytes(&w, "x.gz", &a, &opts);
        assert_rejects(&w, level > 3);
        if (level > 3)
            ck_assert_str_eq(w.rejects.items[0].reason, INGEST_BAD_LIMIT);
        su_walk_done(&w);
    }
    base_buf_done(&a);
    base_buf_done(&b);
}
END_TEST

START_TEST(test_a_bomb_is_stopped)
{
    struct base_buf zeros = {0}, gz = {0}, zip = {0}, tar = {0};
    struct su_member members[20];
    struct su_walk w;

    /* 384 MiB of zeros in 400 kB, that in 1 kB, and twenty of those in a zip. */
    ck_assert_int_eq(base_buf_append_zero(&zeros, 64u << 20), 0);
    for (unsigned k = 0; k < 6; k++)
        su_compress(&gz, ARCHIVE_FILTER_GZIP, zeros.data, zeros.len);
    base_buf_done(&zeros);
    su_compress(&zip, ARCHIVE_FILTER_XZ, gz.data, gz.len);
    for (size_t k = 0; k < 20; k++)
        members[k] = (struct su_member){.name = "bomb.gz.xz", .data = zip.data, .len = zip.len};
    su_archive(&tar, ARCHIVE_FORMAT_TAR, ARCHIVE_FILTER_NONE, NULL, members, 20);
    su_walk_bytes(&w, "x.tar", &tar, NULL);
    assert_rejects(&w, 1);
    ck_assert_str_eq(w.rejects.items[0].reason, INGEST_BAD_LIMIT);
    ck_assert_uint_le(w.n_entries, 1);
    ck_assert_uint_lt(w.counts.bytes_unpacked, UINT64_C(300) << 20);
    assert_hash(&w, &tar);
    su_walk_done(&w);
    base_buf_done(&gz);
    base_buf_done(&zip);
    base_buf_done(&tar);
}
END_TEST

START_TEST(test_entry_size_is_limited)
{
    const struct ingest_walk_opts opts = {.max_entry_bytes = 100000};
    struct base_buf b = {0};
    struct su_walk w;

    make_format(&b, 0, ARCHIVE_FILTER_NONE);
    su_walk_bytes(&w, "x", &b, &opts);
    assert_rejects(&w, 1);
    ck_assert_str_eq(w.rejects.items[0].reason, INGEST_BAD_LIMIT);
    ck_assert_str_eq(w.rejects.items[0].entry, "dir/sub/big.txt");
    assert_same(su_find(&w, "last.txt"), "x", 1);
    su_walk_done(&w);
    base_buf_done(&b);
}
END_TEST

START_TEST(test_what_must_seek_is_limited_inside_archives)
{
    const struct ingest_walk_opts opts = {.max_seek_bytes = 2000};
    struct base_buf zip = {0}, seven = {0}, tar = {0};
    struct su_member members[2];
    struct su_walk w;

    make_format(&zip, 8, ARCHIVE_FILTER_NONE);
    make_format(&seven, 9, ARCHIVE_FILTER_NONE);
    members[0] = (struct su_member){.name = "a.7z", .data = seven.data, .len = seven.len};
    members[1] = (struct su_member){.name = "b.zip", .data = zip.data, .len = zip.len};
    su_archive(&tar, ARCHIVE_FORMAT_TAR, ARCHIVE_FILTER_NONE, NULL, members, 2);
    su_walk_bytes(&w, "x.tar", &tar, &opts);
    ck_assert_uint_eq(w.n_entries, 4); /* the zip, read as a stream */
    assert_same(su_find(&w, "b.zip!dir/sub/big.txt"), big.data, big.len);
    assert_rejects(&w, 1);
    ck_assert_str_eq(w.rejects.items[0].entry, "a.7z");
    ck_assert_str_eq(w.rejects.items[0].reason, INGEST_BAD_LIMIT);
    su_walk_done(&w);
    base_buf_done(&zip);
    base_buf_done(&seven);
    base_buf_done(&tar);
}
END_TEST

/* ------------------------------------------------------------------------- the data folder */

START_TEST(test_hostile_texts_arrive_whole)
{
    static const char *const paths[] = {
        "naughty_strings/blns.txt", "naughty_strings/blns.json", "utf8_cases/utf8tests.bin",
        "utf8_cases/utf8tests.txt", "libarchive_uu/test_read_format_mtree.mtree.uu",
    };
    struct base_buf b = {0};
    struct su_walk w;

    if (!su_data("test_hostile_texts_arrive_whole", paths[_i], &b))
        return;
    su_walk_bytes(&w, "text", &b, NULL);
    assert_rejects(&w, 0);
    ck_assert_uint_eq(w.n_entries, 1);
    assert_same(&w.entries[0], b.data, b.len);
    su_walk_done(&w);
    base_buf_done(&b);
}
END_TEST

/* A folder of hostile archives is walked in a few processes of their own (libcheck forks),
 * with an alarm; what comes is not judged here. */
static void
walk_folder(const char *data, const char *folder, int part, int n_parts, bool uu)
{
    struct dirent **list;
    char path[1024];
    int n, walked = 0;

    (void)snprintf(path, sizeof(path), "%s/%s", data, folder);
    n = scandir(path, &list, NULL, alphasort);
    ck_assert_int_gt(n, 2);
    for (int i = 0; i < n; i++) {
        struct base_buf raw = {0}, b = {0};
        struct su_walk w;

        (void)snprintf(path, sizeof(path), "%s/%s", folder, list[i]->d_name);
        if (list[i]->d_name[0] != '.' && i % n_parts == part &&
            (!uu || strstr(path, ".uu") != NULL) && su_data("", path, &raw)) {
            if (uu)
                su_uudecode(&b, raw.data, raw.len);
            su_walk_bytes(&w, "hostile", uu ? &b : &raw, NULL);
            ck_assert_msg(w.n_entries > 0 || w.rejects.count > 0 || w.counts.links_skipped > 0 ||
                              uu, "%s: neither entries nor rejects", path);
            ck_assert_msg(w.error == 0, "%s", path);
            assert_hash(&w, uu ? &b : &raw);
            su_walk_done(&w);
            walked++;
        }
        base_buf_done(&raw);
        base_buf_done(&b);
        free(list[i]);
    }
    free(list);
    ck_assert_int_gt(walked, 0);
}

#define UU_PARTS 8

START_TEST(test_libarchives_own_cases_do_not_crash)
{
    const char *data = su_data_dir("test_libarchives_own_cases_do_not_crash");

    if (data != NULL)
        walk_folder(data, "libarchive_uu", _i, UU_PARTS, true);
}
END_TEST

START_TEST(test_compression_cases_do_not_crash)
{
    static const char *const folders[] = {"xz_cases", "zstd_go_cases",
                                          "zstd_golden/golden-decompression",
                                          "zstd_golden/golden-decompression-errors"};
    const char *data = su_data_dir("test_compression_cases_do_not_crash");

    if (data != NULL)
        walk_folder(data, folders[_i], 0, 1, false);
}
END_TEST

/* The verdicts that the upstream names give, for the formats whose library we rely on. */
START_TEST(test_xz_cases_get_their_verdicts)
{
    const char *data = su_data_dir("test_xz_cases_get_their_verdicts");
    struct dirent **list;
    char path[1024];
    int n;

    if (data == NULL)
        return;
    (void)snprintf(path, sizeof(path), "%s/xz_cases", data);
    n = scandir(path, &list, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        const char *name = list[i]->d_name;
        struct base_buf b = {0};
        struct su_walk w;

        (void)snprintf(path, sizeof(path), "xz_cases/%s", name);
        if (name[0] != '.' && su_data("", path, &b)) {
            su_walk_bytes(&w, name, &b, NULL);
            if (strncmp(name, "good-", 5) == 0) {
                ck_assert_msg(w.n_entries == 1 && !w.entries[0].broke_off, "%s", name);
            } else if (strstr(name, "v1-magic") == NULL) { /* a magic broken is no magic */
                ck_assert_msg(w.rejects.count == 1, "%s", name);
            }
            su_walk_done(&w);
        }
        base_buf_done(&b);
        free(list[i]);
    }
    free(list);
}
END_TEST

START_TEST(test_encrypted_entries_have_their_reason)
{
    static const struct {
        const char *path;
        size_t entries, rejects;
    } cases[] = {
        {"test_read_format_zip_traditional_encryption_data.zip.uu", 0, 2},
        {"test_read_format_zip_winzip_aes256.zip.uu", 0, 1},
        {"test_read_format_rar4_encrypted.rar.uu", 2, 2},
        {"test_read_format_7zip_encryption_header.7z.uu", 0, 1},
    };
    struct base_buf raw = {0}, b = {0};
    struct su_walk w;
    char path[256];

    (void)snprintf(path, sizeof(path), "libarchive_uu/%s", cases[_i].path);
    if (!su_data("test_encrypted_entries_have_their_reason", path, &raw))
        return;
    su_uudecode(&b, raw.data, raw.len);
    su_walk_bytes(&w, "locked", &b, NULL);
    ck_assert_uint_eq(w.n_entries, cases[_i].entries);
    assert_rejects(&w, cases[_i].rejects);
    for (size_t i = 0; i < w.rejects.count; i++)
        ck_assert_str_eq(w.rejects.items[i].reason, INGEST_BAD_ENCRYPTED);
    su_walk_done(&w);
    base_buf_done(&raw);
    base_buf_done(&b);
}
END_TEST

static TCase *
add_case(Suite *s, const char *name)
{
    TCase *tc = tcase_create(name);

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    suite_add_tcase(s, tc);
    return tc;
}

int
main(void)
{
    Suite *s = suite_create("source");
    TCase *tc;

    tc = add_case(s, "formats");
    tcase_add_loop_test(tc, test_reads_every_format, 0, BASE_ARRAY_LEN(formats));
    tcase_add_loop_test(tc, test_reads_every_format_through_a_pipe, 0, BASE_ARRAY_LEN(formats));
    tcase_add_loop_test(tc, test_reads_every_format_within_others, 0, BASE_ARRAY_LEN(formats));
    tcase_add_loop_test(tc, test_reads_every_compression, 0, BASE_ARRAY_LEN(filters));
    tcase_add_loop_test(tc, test_reads_compressed_tar, 0, BASE_ARRAY_LEN(filters));
    tcase_add_loop_test(tc, test_concatenated_streams_are_one, 0, 5);
    tcase_add_test(tc, test_concatenated_tars_are_read_to_the_end);
    tc = add_case(s, "entries");
    tcase_add_test(tc, test_links_are_skipped_and_counted);
    tcase_add_test(tc, test_links_in_a_nested_zip_are_skipped);
    tcase_add_loop_test(tc, test_names_do_not_depend_on_the_locale, 0, BASE_ARRAY_LEN(names));
    tcase_add_test(tc, test_long_names_arrive);
    tcase_add_loop_test(tc, test_globs_choose_entries, 0, BASE_ARRAY_LEN(globs));
    tcase_add_test(tc, test_unwanted_archives_are_still_looked_into);
    tcase_add_test(tc, test_a_directory_is_its_files_in_order);
    tcase_add_test(tc, test_raw_opens_nothing);
    tcase_add_test(tc, test_an_empty_file_is_an_empty_entry);
    tc = add_case(s, "damage");
    tcase_add_loop_test(tc, test_truncated_archives_are_rejected, 0, BASE_ARRAY_LEN(formats));
    tcase_add_test(tc, test_one_cut_gives_one_reject_and_the_rest_goes_on);
    tcase_add_loop_test(tc, test_gzip_checksum_and_length_are_checked, 0, 8);
    tcase_add_loop_test(tc, test_what_follows_a_stream_is_padding_or_a_reject, 0, 2);
    tcase_add_loop_test(tc, test_flipped_bytes_never_crash, 0, 6);
    tc = add_case(s, "limits");
    tcase_add_test(tc, test_depth_is_limited);
    tcase_add_test(tc, test_a_bomb_is_stopped);
    tcase_add_test(tc, test_entry_size_is_limited);
    tcase_add_test(tc, test_what_must_seek_is_limited_inside_archives);
    tc = add_case(s, "data");
    tcase_add_loop_test(tc, test_hostile_texts_arrive_whole, 0, 5);
    tcase_add_loop_test(tc, test_libarchives_own_cases_do_not_crash, 0, UU_PARTS);
    tcase_add_loop_test(tc, test_compression_cases_do_not_crash, 0, 4);
    tcase_add_test(tc, test_xz_cases_get_their_verdicts);
    tcase_add_loop_test(tc, test_encrypted_entries_have_their_reason, 0, 4);
    return test_run(s);
}
