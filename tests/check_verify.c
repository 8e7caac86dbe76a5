/* Verification: a sound dataset has no damage and every byte of it was looked at; any flipped bit,
 * cut, swap or loss is found and the right file is named. */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "lib/clock.h"
#include "lib/endian.h"
#include "shardfmt/inspect.h"
#include "shardfmt/manifest.h"
#include "tests/fmt_util.h"
#include "tests/suite.h"

static char dir[256];
static int dirfd_ = -1;
static struct shard_error err;
static char **files; /* of the dataset, and their content */
static struct base_buf *content;
static enum fmt_verify_depth depth;
static size_t n_files;

static void
setup(void)
{
    fmt_util_tmpdir(dir);
    dirfd_ = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(dirfd_, 0);
    memset(&err, 0, sizeof(err));
    files = NULL;
    content = NULL;
    n_files = 0;
    depth = FMT_VERIFY_BYTES;
}

static void
teardown(void)
{
    for (size_t i = 0; i < n_files; i++)
        base_buf_done(&content[i]);
    free(content);
    fmt_util_files_free(files, n_files);
    (void)close(dirfd_);
    fmt_util_rmtree(dir);
}

/* What verification told. */
struct told {
    struct fmt_damage items[64];
    size_t count;
};

static void
keep(void *arg, const struct fmt_damage *d)
{
    struct told *t = arg;

    ck_assert_uint_gt(strlen(d->reason), 0);
    if (t->count < sizeof(t->items) / sizeof(t->items[0]))
        t->items[t->count] = *d;
    t->count++;
}

static void
verify(unsigned n_threads, struct told *t, struct fmt_verify_result *res)
{
    t->count = 0;
    must_ok(fmt_verify(dirfd_, depth, n_threads, keep, t, res, &err));
    ck_assert_uint_eq(res->n_damages, t->count);
}

/* Remember all files of the dataset and what is in them. */
static void
list(void)
{
    files = fmt_util_files(dir, &n_files);
    content = calloc(n_files, sizeof(*content));
    ck_assert_ptr_nonnull(content);
    for (size_t i = 0; i < n_files; i++)
        fmt_util_read(dirfd_, files[i], &content[i]);
}

static void
make(const struct fmt_util_spec *spec)
{
    must_ok(fmt_util_make(dir, spec, &err));
    list();
}

static void
restore(size_t i)
{
    fmt_util_write(dirfd_, files[i], content[i].data, content[i].len);
}

/* File i with a zero byte more. */
static void
grow(size_t i)
{
    const int fd = openat(dirfd_, files[i], O_WRONLY);

    restore(i);
    ck_assert_int_eq(ftruncate(fd, (off_t)content[i].len + 1), 0);
    (void)close(fd);
}

/* The first file whose path begins so. */
static size_t
find(const char *prefix)
{
    for (size_t i = 0; i < n_files; i++)
        if (strncmp(files[i], prefix, strlen(prefix)) == 0)
            return i;
    ck_abort_msg("no file %s", prefix);
}

/* Every damage names file i, and there is one. */
static void
names_only(const struct told *t, size_t i, const char *what)
{
    ck_assert_msg(t->count > 0, "%s: %s: nothing was found", files[i], what);
    for (size_t j = 0; j < t->count && j < 64; j++)
        ck_assert_msg(strcmp(t->items[j].file, files[i]) == 0, "%s: %s: but %s is named (%s)",
                      files[i], what, t->items[j].file, t->items[j].reason);
}

static const struct fmt_util_spec tiny = {
    .columns =
        "row:uint64,b:bool?,t:string?,l:list<int32>,sp:sparse<float32>?,bin:binary,f:float32,"
        "ls:list<string>?,tt:tensor<int16,2,2>,h:float16",
    .splits = "train,test",
    .n_shards = 2,
    .groups_per_shard = 2,
    .rows_per_group = 6,
    .zstd_level = 3,
    .n_rejects = 2,
    .seed = 9,
};

START_TEST(test_sound_dataset_has_no_damage_and_all_bytes_were_seen)
{
    struct fmt_util_spec spec = tiny;
    struct fmt_verify_result res, again;
    struct told t;
    uint64_t bytes = 0;

    spec.n_shards = 5;
    spec.rows_per_group = 300;
    spec.zstd_level = _i & 1 ? 3 : 0;
    spec.page_bytes = _i & 2 ? 4096 : 0;
    make(&spec);
    for (size_t i = 0; i < n_files; i++)
        bytes += content[i].len;
    for (unsigned threads = 0; threads < 4; threads++) {
        verify(threads, &t, &res);
        if (t.count)
            ck_abort_msg("%s: %s", t.items[0].file, t.items[0].reason);
        ck_assert(!res.root_unreadable);
        ck_assert_uint_eq(res.bytes_checked, bytes);
        ck_assert_uint_ge(res.pages_checked, 5 * 2 * 7 + 9 + 6 + 8);
        depth = FMT_VERIFY_DECODE;
        verify(threads, &t, &again);
        ck_assert_mem_eq(&again, &res, sizeof(res));
        depth = FMT_VERIFY_QUICK;
        verify(threads, &t, &again);
        ck_assert_uint_eq(again.n_damages, 0);
        ck_assert_uint_lt(again.bytes_checked, bytes);
        ck_assert_uint_eq(again.pages_checked, 6 + 9);
        depth = FMT_VERIFY_BYTES;
    }
}
END_TEST

START_TEST(test_no_snapshot_is_not_found)
{
    struct fmt_verify_result res;

    ck_assert_int_eq(fmt_verify(dirfd_, FMT_VERIFY_BYTES, 1, NULL, NULL, &res, &err), SHARD_ENOTFOUND);
    must_ok(fmt_dataset_mkdirs(dirfd_, &err));
    ck_assert_int_eq(fmt_verify(dirfd_, FMT_VERIFY_BYTES, 1, NULL, NULL, &res, &err), SHARD_ENOTFOUND);
}
END_TEST

/* One random bit of every byte of every file, each in turn. */
START_TEST(test_any_flipped_bit_is_found_and_named)
{
    const uint64_t t0 = base_now_ns();
    uint64_t flips = 0, state = 88172645463325252u;
    struct fmt_verify_result res;
    struct fmt_util_spec spec = tiny;
    struct told t;

    if (_i) { /* without zstd pages are aligned, so that there are gaps */
        spec.zstd_level = 0;
        spec.columns = "row:uint64,b:bool?,t:string?,bin:binary";
        spec.n_shards = 1;
        spec.n_rejects = 0;
    }
    make(&spec);
    for (size_t i = 0; i < n_files; i++) {
        const int fd = openat(dirfd_, files[i], O_WRONLY);

        ck_assert_int_ge(fd, 0);
        for (size_t at = 0; at < content[i].len; at++, flips++) {
            uint8_t byte = content[i].data[at];
            char what[64];

            state ^= state << 13, state ^= state >> 7, state ^= state << 17; /* xorshift64 */
            byte ^= (uint8_t)(1u << (state >> 32) % 8);
            ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)at), 1);
            verify(1, &t, &res);
            (void)snprintf(what, sizeof(what), "byte %zu of %zu flipped", at, content[i].len);
            names_only(&t, i, what);
            ck_assert_int_eq(pwrite(fd, &content[i].data[at], 1, (off_t)at), 1);
        }
        (void)close(fd);
    }
    verify(1, &t, &res);
    ck_assert_uint_eq(t.count, 0);
    (void)printf("%" PRIu64 " flips in %zu files: %.1f s\n", flips, n_files,
                 (double)(base_now_ns() - t0) / 1e9);
}
END_TEST

START_TEST(test_cut_and_grown_files_are_found)
{
    struct fmt_verify_result res;
    struct told t;

    make(&tiny);
    for (size_t i = 0; i < n_files; i++) {
        char what[64];

        for (size_t len = 0; len < content[i].len; len += 1 + content[i].len / 150) {
            fmt_util_write(dirfd_, files[i], content[i].data, len);
            verify(1, &t, &res);
            (void)snprintf(what, sizeof(what), "cut to %zu bytes of %zu", len, content[i].len);
            names_only(&t, i, what);
        }
        fmt_util_write(dirfd_, files[i], content[i].data, content[i].len - 1);
        verify(1, &t, &res);
        names_only(&t, i, "cut by a byte");
        grow(i);
        verify(1, &t, &res);
        names_only(&t, i, "grown by a byte");
        ck_assert_int_eq(unlinkat(dirfd_, files[i], 0), 0);
        if (strncmp(files[i], "roots/", 6) != 0) {
            verify(1, &t, &res);
            names_only(&t, i, "missing");
            ck_assert_uint_eq(t.count, 1);
        }
        restore(i);
    }
}
END_TEST

START_TEST(test_foreign_files_are_found)
{
    static const char zip[] = "PK\x03\x04\x14\0\0\0\0\0", text[] = "once upon a time\n";
    struct fmt_verify_result res;
    char zeros[700] = {0};
    struct told t;

    make(&tiny);
    for (size_t i = 0; i < n_files; i++) {
        fmt_util_write(dirfd_, files[i], text, sizeof(text) - 1);
        verify(1, &t, &res);
        names_only(&t, i, "text");
        fmt_util_write(dirfd_, files[i], zip, sizeof(zip) - 1);
        verify(1, &t, &res);
        names_only(&t, i, "zip");
        fmt_util_write(dirfd_, files[i], zeros, sizeof(zeros));
        verify(1, &t, &res);
        names_only(&t, i, "zeros");
        for (size_t j = 0; j < n_files; j++) { /* every other file of the dataset in its place */
            if (j == i)
                continue;
            fmt_util_write(dirfd_, files[i], content[j].data, content[j].len);
            verify(1, &t, &res);
            names_only(&t, i, files[j]);
        }
        ck_assert_int_eq(unlinkat(dirfd_, files[i], 0), 0);
        ck_assert_int_eq(mkfifoat(dirfd_, files[i], 0666), 0);
        verify(1, &t, &res);
        names_only(&t, i, "a pipe");
        ck_assert_int_eq(unlinkat(dirfd_, files[i], 0), 0);
        ck_assert_int_eq(mkdirat(dirfd_, files[i], 0777), 0);
        verify(1, &t, &res);
        names_only(&t, i, "a directory");
        ck_assert_int_eq(unlinkat(dirfd_, files[i], AT_REMOVEDIR), 0);
        restore(i);
    }
    fmt_util_write(dirfd_, "shards/unknown.shard", "x", 1);
    fmt_util_write(dirfd_, "tmp/left", "x", 1);
    fmt_util_write(dirfd_, "README", "x", 1);
    verify(1, &t, &res);
    ck_assert_uint_eq(t.count, 0);
}
END_TEST

/* Two sound shards of the same size that changed places. */
START_TEST(test_swapped_shards_are_both_found)
{
    const struct fmt_util_spec spec = {.columns = "u:uint64,d:float64", .n_shards = 60, .seed = 4};
    struct fmt_verify_result res;
    struct told t;
    size_t a, b;

    make(&spec);
    a = find("shards/");
    b = a + 1;
    while (b < n_files && content[b].len != content[a].len)
        b++;
    ck_assert_uint_lt(b, n_files);
    fmt_util_write(dirfd_, files[a], content[b].data, content[b].len);
    fmt_util_write(dirfd_, files[b], content[a].data, content[a].len);
    verify(1, &t, &res);
    ck_assert_uint_eq(t.count, 2);
    ck_assert_str_ne(t.items[0].file, t.items[1].file);
    ck_assert_uint_eq(t.items[0].rows_lost + t.items[1].rows_lost, 200);
}
END_TEST

START_TEST(test_damage_says_what_is_lost)
{
    struct fmt_verify_result res;
    struct fmt_snapshot s;
    struct fmt_footer *f;
    struct told t;
    uint8_t byte;
    size_t i;
    int fd;

    make(&tiny);
    must_ok(fmt_snapshot_load(dirfd_, 1, &s, &err));
    must_ok(fmt_shard_open(dirfd_, &s.shards[1], &s.schema, &fd, &f, &err));
    i = find(s.shards[1].path);
    /* A page: column 2 of row group 1. */
    byte = content[i].data[f->pages[f->chunk_first[f->n_columns + 2]].off] ^ 1;
    (void)close(fd);
    fd = openat(dirfd_, files[i], O_WRONLY);
    ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)f->pages[f->chunk_first[f->n_columns + 2]].off), 1);
    (void)close(fd);
    verify(2, &t, &res);
    ck_assert_uint_eq(t.count, 1);
    ck_assert_int_eq(t.items[0].row_group, 1);
    ck_assert_int_eq(t.items[0].column, 2);
    ck_assert_int_eq(t.items[0].page, 0);
    ck_assert_str_eq(t.items[0].column_name, "t");
    ck_assert_uint_eq(t.items[0].row0, 12 + 6); /* behind the other shard and row group 0 */
    ck_assert_uint_eq(t.items[0].rows_lost, 6);
    ck_assert(!res.root_unreadable);
    depth = FMT_VERIFY_QUICK; /* does not look at pages */
    verify(2, &t, &res);
    ck_assert_uint_eq(t.count, 0);
    depth = FMT_VERIFY_BYTES;
    restore(i);
    /* A shard's footer. */
    fmt_util_write(dirfd_, files[i], content[i].data, content[i].len - 70);
    verify(2, &t, &res);
    ck_assert_uint_eq(t.count, 1);
    ck_assert_int_eq(t.items[0].row_group, -1);
    ck_assert_int_eq(t.items[0].column, -1);
    ck_assert_int_eq(t.items[0].page, -1);
    ck_assert_uint_eq(t.items[0].row0, 12);
    ck_assert_uint_eq(t.items[0].rows_lost, 12);
    depth = FMT_VERIFY_QUICK;
    verify(1, &t, &res);
    ck_assert_uint_eq(t.count, 1);
    ck_assert_str_eq(t.items[0].file, files[i]);
    depth = FMT_VERIFY_BYTES;
    restore(i);
    content[i].data[9] ^= 1; /* its header, which readers do without */
    restore(i);
    for (depth = FMT_VERIFY_QUICK; depth <= FMT_VERIFY_DECODE; depth++) {
        verify(1, &t, &res);
        ck_assert_uint_eq(t.count, 1);
        ck_assert_str_eq(t.items[0].file, files[i]);
    }
    depth = FMT_VERIFY_BYTES;
    content[i].data[9] ^= 1;
    restore(i);
    /* A segment: all rows that it lists. A quarantine file: none. */
    i = find("segments/");
    fmt_util_write(dirfd_, files[i], "", 0);
    verify(2, &t, &res);
    ck_assert_uint_eq(t.count, 1);
    ck_assert_uint_eq(t.items[0].rows_lost, 24);
    content[i].data[64] ^= 1; /* a page of it */
    restore(i);
    verify(2, &t, &res);
    ck_assert_uint_eq(t.count, 1);
    ck_assert_uint_eq(t.items[0].rows_lost, 24);
    content[i].data[64] ^= 1;
    content[i].data[9] ^= 1; /* its header: read along with the rest, and so looked at */
    restore(i);
    verify(2, &t, &res);
    ck_assert_uint_eq(t.count, 1);
    ck_assert_uint_eq(t.items[0].row0, 0);
    ck_assert_uint_eq(t.items[0].rows_lost, 24);
    content[i].data[9] ^= 1;
    restore(i);
    i = find("quarantine/");
    fmt_util_write(dirfd_, files[i], "", 0);
    verify(2, &t, &res);
    ck_assert_uint_eq(t.count, 1);
    ck_assert_uint_eq(t.items[0].rows_lost, 0);
    restore(i);
    i = find("roots/");
    fmt_util_write(dirfd_, files[i], "", 0);
    verify(2, &t, &res);
    ck_assert_uint_eq(t.count, 1);
    ck_assert(res.root_unreadable);
    restore(i);
    fmt_footer_free(f);
    fmt_snapshot_done(&s);
}
END_TEST

START_TEST(test_goes_on_after_damage_and_tells_in_one_order)
{
    struct fmt_util_spec spec = tiny;
    struct fmt_verify_result res, again;
    struct told one, more;
    size_t damaged = 0;

    spec.n_shards = 12;
    spec.groups_per_shard = 5;
    spec.rows_per_group = 40;
    make(&spec);
    for (size_t i = 0; i < n_files; i++) {
        const int fd = openat(dirfd_, files[i], O_WRONLY);

        if (strncmp(files[i], "shards/", 7) == 0 && i % 3 == 0) {
            ck_assert_int_eq(ftruncate(fd, (off_t)content[i].len / 2), 0);
            damaged++;
        } else if (strncmp(files[i], "shards/", 7) == 0 && i % 3 == 1) {
            /* Bytes all over before the footer: pages of several row groups. */
            const uint8_t *trailer = (const uint8_t *)content[i].data + content[i].len - 64;
            const size_t footer_off = content[i].len - 64 - base_load_le32(trailer + 8);

            for (size_t at = 100; at + 3 < footer_off; at += 150)
                ck_assert_int_eq(pwrite(fd, "\xff\0\xff", 3, (off_t)at), 3);
            damaged++;
        } else if (strncmp(files[i], "quarantine/", 11) == 0) {
            ck_assert_int_eq(pwrite(fd, "\xff\0\xff", 3, 80), 3);
            damaged++;
        }
        (void)close(fd);
    }
    ck_assert_uint_gt(damaged, 8);
    verify(1, &one, &res);
    ck_assert_uint_gt(one.count, damaged);
    for (unsigned threads = 2; threads <= 5; threads++) {
        verify(threads, &more, &again);
        ck_assert_uint_eq(more.count, one.count);
        ck_assert_mem_eq(&again, &res, sizeof(res));
        for (size_t i = 0; i < one.count && i < 64; i++) {
            ck_assert_str_eq(more.items[i].file, one.items[i].file);
            ck_assert_str_eq(more.items[i].reason, one.items[i].reason);
            ck_assert_int_eq(more.items[i].row_group, one.items[i].row_group);
            ck_assert_int_eq(more.items[i].column, one.items[i].column);
            ck_assert_int_eq(more.items[i].page, one.items[i].page);
        }
    }
}
END_TEST

/* A shard whose checksums are all right, but whose page was never a page. */
START_TEST(test_page_that_does_not_decode_is_found)
{
    const struct fmt_encode_opts opts = {.zstd_level = 0};
    struct fmt_verify_result res;
    struct fmt_shard_info info;
    struct fmt_image *im;
    struct fmt_writer *w;
    struct fmt_snapshot s;
    struct fmt_column c;
    struct shard_array array;
    struct base_codec *codec;
    char path[256];
    struct told t;

    must_ok(fmt_dataset_mkdirs(dirfd_, &err));
    fmt_snapshot_init(&s);
    must_ok(fmt_util_schema("x:string", &s.schema, &err));
    fmt_column_init(&c, SHARD_TYPE_STRING, 0);
    ck_assert_int_ge(fmt_util_fill(&s.schema.fields[0], 1, 0, 50, &c), 0);
    fmt_column_array(&c, &array);
    ck_assert_int_eq(base_codec_new(&codec), 0);
    must_ok(fmt_image_encode(&s.schema, &array, &opts, codec, &im, &err));
    memset(im->bytes.data, 0xee, im->bytes.len);
    must_ok(fmt_writer_open(dirfd_, "tmp/x", &s.schema, &opts, &w, &err));
    must_ok(fmt_writer_append(w, im, &err));
    must_ok(fmt_writer_finish(w, &info, &err));
    must_ok(fmt_shard_place(dirfd_, "tmp/x", FMT_DIR_SHARDS, "train", info.hash, path, &err));
    ck_assert_int_eq(fmt_snapshot_add_shard(&s, path, "train", &info), 0);
    must_ok(fmt_publish(dirfd_, 0, &s, &err));
    verify(1, &t, &res);
    ck_assert_uint_eq(t.count, 0); /* the bytes are those that were written */
    depth = FMT_VERIFY_DECODE;
    verify(1, &t, &res);
    ck_assert_uint_eq(t.count, 1);
    ck_assert_str_eq(t.items[0].file, path);
    ck_assert_int_eq(t.items[0].row_group, 0);
    ck_assert_int_eq(t.items[0].column, 0);
    ck_assert_uint_eq(t.items[0].rows_lost, 50);
    free(info.group_rows);
    fmt_writer_free(w);
    fmt_image_free(im);
    base_codec_free(codec);
    fmt_column_done(&c);
    fmt_snapshot_done(&s);
}
END_TEST

/* A dataset of one shard with two row groups of long values, some out of line. */
static void
make_long(int zstd_level)
{
    static const size_t lens[] = {10, 3u << 20, 0, (1u << 20) + 4, 1u << 20, 2500001};
    const struct fmt_encode_opts opts = {.zstd_level = zstd_level};
    char *text = malloc(3u << 20), path[256];
    struct fmt_shard_info info;
    struct base_codec *codec;
    struct fmt_image *im;
    struct fmt_writer *w;
    struct fmt_snapshot s;
    struct fmt_column c;
    struct shard_array array;

    ck_assert_ptr_nonnull(text);
    for (size_t i = 0; i < 3u << 20; i++)
        text[i] = (char)('a' + (i * i >> 7) % 26);
    must_ok(fmt_dataset_mkdirs(dirfd_, &err));
    fmt_snapshot_init(&s);
    must_ok(fmt_util_schema("x:string", &s.schema, &err));
    fmt_column_init(&c, SHARD_TYPE_STRING, 0);
    for (size_t i = 0; i < 6; i++)
        ck_assert_int_eq(fmt_column_append_bytes(&c, text + i, lens[i] ? lens[i] - i : 0), 0);
    fmt_column_array(&c, &array);
    ck_assert_int_eq(base_codec_new(&codec), 0);
    must_ok(fmt_writer_open(dirfd_, "tmp/x", &s.schema, &opts, &w, &err));
    for (int i = 0; i < 2; i++) {
        must_ok(fmt_image_encode(&s.schema, &array, &opts, codec, &im, &err));
        must_ok(fmt_writer_append(w, im, &err));
        fmt_image_free(im);
    }
    must_ok(fmt_writer_finish(w, &info, &err));
    must_ok(fmt_shard_place(dirfd_, "tmp/x", FMT_DIR_SHARDS, "train", info.hash, path, &err));
    ck_assert_int_eq(fmt_snapshot_add_shard(&s, path, "train", &info), 0);
    must_ok(fmt_publish(dirfd_, 0, &s, &err));
    free(info.group_rows);
    fmt_writer_free(w);
    base_codec_free(codec);
    fmt_column_done(&c);
    fmt_snapshot_done(&s);
    free(text);
}

START_TEST(test_out_of_line_values_are_read_and_verified)
{
    struct fmt_verify_result res;
    struct shard_dataset *ds;
    struct shard_group *g;
    struct fmt_footer *f;
    struct told t;
    uint64_t bytes = 0;
    size_t shard;
    int fd, in;

    make_long(3);
    list();
    for (size_t i = 0; i < n_files; i++)
        bytes += content[i].len;
    verify(2, &t, &res);
    ck_assert_uint_eq(t.count, 0);
    ck_assert_uint_eq(res.bytes_checked, bytes);

    must_ok(shard_dataset_open(dir, &ds, &err));
    ck_assert_int_eq(shard_group_new(&g), 0);
    must_ok(shard_dataset_read_group(ds, 1, NULL, 0, g, &err));
    ck_assert_int_eq(shard_group_array(g, 0)->offsets[2] - shard_group_array(g, 0)->offsets[1],
                     (3 << 20) - 1);
    ck_assert_int_eq(((const char *)shard_group_array(g, 0)->values)[10 + 1000],
                     'a' + (1001 * 1001 >> 7) % 26);

    shard = find("shards/");
    must_ok(fmt_shard_open(fmt_dataset_dirfd(ds), &fmt_dataset_snapshot(ds)->shards[0],
                           fmt_dataset_schema(ds), &in, &f, &err));
    ck_assert_uint_ge(f->n_pieces, 2 * (3 + 2 + 3));
    fd = openat(dirfd_, files[shard], O_WRONLY);
    for (uint32_t i = 0; i < f->n_pieces; i++) {
        const off_t at = (off_t)(f->pieces[i].off + f->pieces[i].stored_len / 2);
        const uint8_t byte = content[shard].data[at] ^ 16;

        ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
        verify(1, &t, &res);
        ck_assert_uint_eq(t.count, 1);
        ck_assert_str_eq(t.items[0].file, files[shard]);
        ck_assert_int_eq(t.items[0].row_group, i >= f->n_pieces / 2);
        ck_assert_uint_eq(t.items[0].rows_lost, 6);
        ck_assert_int_eq(shard_dataset_read_group(ds, i >= f->n_pieces / 2, NULL, 0, g, &err),
                         SHARD_ECHECKSUM);
        ck_assert_int_eq(pwrite(fd, &content[shard].data[at], 1, at), 1);
    }
    must_ok(shard_dataset_read_group(ds, 0, NULL, 0, g, &err));
    (void)close(fd);
    (void)close(in);
    fmt_footer_free(f);
    shard_group_free(g);
    shard_dataset_close(ds);
}
END_TEST

/* Leave on the stack what hashes with this seed could have left there, their secrets overwritten since.
 * shift: where they begin, in 64 bytes. */
static void __attribute__((noinline))
leave_states(uint64_t seed, size_t shift)
{
    uint8_t stack[32768 + 64] __attribute__((aligned(64)));
    XXH3_state_t st;

    memset(&st, 0, sizeof(st));
    st.seed = seed;
    for (size_t at = shift * 64; at + sizeof(st) <= sizeof(stack); at += sizeof(st))
        memcpy(stack + at, &st, sizeof(st));
    __asm__ volatile("" : : "r"(stack) : "memory"); /* the stores are not for nothing */
}

START_TEST(test_what_was_on_the_stack_does_not_matter)
{
    struct fmt_inspect_scratch scratch = {0};
    struct fmt_findings found = {0};
    struct shard_dataset *ds;
    struct fmt_inspect *in;
    struct fmt_footer *f;
    int fd;

    make_long(0); /* so that no piece fits into one read */
    must_ok(shard_dataset_open(dir, &ds, &err));
    must_ok(fmt_shard_open(fmt_dataset_dirfd(ds), &fmt_dataset_snapshot(ds)->shards[0],
                           fmt_dataset_schema(ds), &fd, &f, &err));
    must_ok(fmt_inspect_open("shard", fd, f, &in, &err));
    must_ok(fmt_inspect_group(in, 0, &scratch, &found, &err));
    for (uint32_t i = 0; i < f->piece_first[1]; i++) {
        for (size_t shift = 0; shift < sizeof(XXH3_state_t) / 64; shift++) {
            leave_states(f->pieces[i].off, shift);
            must_ok(fmt_inspect_group(in, 0, &scratch, &found, &err));
        }
    }
    ck_assert_uint_eq(found.count, 0);
    fmt_findings_done(&found);
    fmt_inspect_scratch_done(&scratch);
    fmt_inspect_close(in);
    shard_dataset_close(ds);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("verify");
    TCase *t = tcase_create("verify");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 300);
    tcase_add_loop_test(t, test_sound_dataset_has_no_damage_and_all_bytes_were_seen, 0, 4);
    tcase_add_test(t, test_no_snapshot_is_not_found);
    tcase_add_loop_test(t, test_any_flipped_bit_is_found_and_named, 0, 2);
    tcase_add_test(t, test_cut_and_grown_files_are_found);
    tcase_add_test(t, test_foreign_files_are_found);
    tcase_add_test(t, test_swapped_shards_are_both_found);
    tcase_add_test(t, test_damage_says_what_is_lost);
    tcase_add_test(t, test_goes_on_after_damage_and_tells_in_one_order);
    tcase_add_test(t, test_what_was_on_the_stack_does_not_matter);
    tcase_add_test(t, test_page_that_does_not_decode_is_found);
    tcase_add_test(t, test_out_of_line_values_are_read_and_verified);
    suite_add_tcase(suite, t);
    return test_run(suite);
}
