/* Cutting: whatever the size of a block, the same records; borders only between records; and what
 * is too long, broken off or in another encoding is a reject with its place. */
#include "config.h"

#include "tools/ingest/block.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/compiler.h"
#include "tests/source_util.h"
#include "tests/suite.h"

/* --------------------------------------------------------------------------------- helpers */

struct cut {
    struct ingest_block *blocks[4096];
    size_t n_blocks;
    struct ingest_rejects rejects;
};

static void
cut_file(struct cut *c, const struct ingest_file *f, const struct ingest_cut_opts *opts)
{
    struct ingest_cutter *cutter;
    struct shard_error err = {0};
    struct ingest_block *b;
    int r;

    memset(c, 0, sizeof(*c));
    r = ingest_cutter_open(f, opts, &cutter, &err);
    ck_assert_msg(r == 0, "%s", err.text);
    while ((r = ingest_cutter_next(cutter, &b, &err)) == 1) {
        ck_assert_uint_lt(c->n_blocks, BASE_ARRAY_LEN(c->blocks));
        ck_assert_int_ne(b->format, INGEST_AUTO);
        ck_assert_int_eq(ingest_rejects_move(&c->rejects, &b->rejects), 0);
        c->blocks[c->n_blocks++] = b;
    }
    ck_assert_msg(r == 0, "%s", err.text);
    ingest_cutter_close(cutter);
}

static void
cut_bytes(struct cut *c, const char *name, const void *data, size_t len,
          const struct ingest_cut_opts *opts)
{
    struct ingest_files files = {0};
    struct shard_error err = {0};

    ck_assert_int_eq(ingest_files_add(&files, su_put(name, data, len), &err), 0);
    cut_file(c, &files.items[0], opts);
    ingest_files_done(&files);
}

static void
cut_done(struct cut *c)
{
    for (size_t i = 0; i < c->n_blocks; i++)
        ingest_block_free(c->blocks[i]);
    ingest_rejects_done(&c->rejects);
}

static void
cut_text(struct cut *c, const char *name, const char *text, const struct ingest_cut_opts *opts)
{
    cut_bytes(c, name, text, strlen(text), opts);
}

/* Where records of CSV end, one character after the other: written apart from the cutter. */
static size_t
reference_csv_end(const char *p, size_t len, size_t from)
{
    bool quoted = false, cell_start = true;

    for (size_t i = from; i < len; i++) {
        if (quoted) {
            if (p[i] == '"' && i + 1 < len && p[i + 1] == '"')
                i++;
            else if (p[i] == '"')
                quoted = cell_start = false;
            continue;
        }
        if (p[i] == '\r' && i + 1 < len && p[i + 1] == '\n')
            return i + 2;
        if (p[i] == '\n' || p[i] == '\r')
            return i + 1;
        if (p[i] == '"' && cell_start)
            quoted = true;
        cell_start = !quoted && p[i] == ',';
    }
    return len;
}

/* The line that byte `at` is in, from 1: LF, CR LF and CR end lines (only LF does outside CSV). */
static uint64_t
reference_line(const char *p, size_t at, bool csv)
{
    uint64_t line = 1;

    for (size_t i = 0; i < at; i++)
        line += p[i] == '\n' || (csv && p[i] == '\r' && p[i + 1] != '\n');
    return line;
}

/* Blocks tile the text from `start` on, each begins at a record, and knows where. */
static void
check_blocks(const struct cut *c, const char *p, size_t len, size_t start, bool csv, size_t block)
{
    size_t at = start, record = start;

    for (size_t i = 0; i < c->n_blocks; i++) {
        const struct ingest_block *b = c->blocks[i];

        ck_assert_uint_eq(b->offset, at);
        ck_assert_msg(b->line == reference_line(p, at, csv), "block size %zu, byte %zu: line %u",
                      block, at, (unsigned)b->line);
        ck_assert_int_eq(b->first, i == 0);
        ck_assert_msg(b->last == (i + 1 == c->n_blocks), "block size %zu, block %zu", block, i);
        ck_assert_uint_le(b->data.len, len - at);
        ck_assert(b->data.len == 0 || memcmp(b->data.data, p + at, b->data.len) == 0);
        at += b->data.len;
        while (record < at) {
            const char *lf = memchr(p + record, '\n', len - record);

            record = csv  ? reference_csv_end(p, len, record)
                     : lf ? (size_t)(lf - p) + 1
                          : len;
        }
        ck_assert_msg(record == at, "block size %zu: a border at %zu within a record", block, at);
        /* no longer than asked, unless it is one record */
        if (b->data.len > block && !csv)
            ck_assert(memchr(b->data.data, '\n', b->data.len - 1) == NULL);
    }
    ck_assert_uint_eq(at, len);
}

/* A random text from an alphabet of what matters. */
static size_t
random_text(char *p, size_t len, const char *alphabet, unsigned seed)
{
    const size_t n = strlen(alphabet);
    uint32_t x = seed * 2654435761u + 1;

    for (size_t i = 0; i < len; i++) {
        x = x * 1664525u + 1013904223u;
        p[i] = alphabet[(x >> 16) % n];
    }
    return len;
}

/* -------------------------------------------------------------------------------- any size */

START_TEST(test_lines_are_the_same_for_any_block_size)
{
    char p[401];
    const size_t len = random_text(p, 400 - (size_t)_i % 7, "abc \n\n\r", (unsigned)_i);
    struct cut c;

    for (size_t block = 1; block <= 64; block++) {
        const struct ingest_cut_opts opts = {.format = INGEST_TEXT, .block_bytes = block};

        cut_bytes(&c, "x", p, len, &opts);
        check_blocks(&c, p, len, 0, false, block);
        cut_done(&c);
    }
}
END_TEST

START_TEST(test_csv_is_the_same_for_any_block_size)
{
    static const char *const alphabets[] = {"ab,\"\n", "a,\"\"\n\r", "a,\n\r", "ab,,\"\"\"\n\n"};
    char p[301];
    const size_t len = random_text(p, 300, alphabets[_i % 4], (unsigned)_i);
    struct cut c;

    for (size_t block = 1; block <= 64; block++) {
        const struct ingest_cut_opts opts = {
            .format = INGEST_CSV, .block_bytes = block, .no_header = true};

        p[len] = 0;
        cut_bytes(&c, "x", p, len, &opts);
        check_blocks(&c, p, len, 0, true, block);
        cut_done(&c);
    }
}
END_TEST

/* The same text longer than what is read at once, so that records lie across reads. */
START_TEST(test_long_texts_are_cut_alike)
{
    static const size_t blocks[] = {1000, 65535, 65536, 65537, 200000, 1 << 20, 3 << 20};
    const size_t len = 700001;
    char *p = malloc(len + 1);
    struct cut c;

    ck_assert_ptr_nonnull(p);
    (void)random_text(p, len, _i ? "abcdefgh,\"\"\n" : "abcdefghijklmnop \n", 5);
    p[len] = 0;
    for (size_t k = 0; k < BASE_ARRAY_LEN(blocks); k++) {
        const struct ingest_cut_opts opts = {.format = _i ? INGEST_CSV : INGEST_TEXT,
                                             .block_bytes = blocks[k], .no_header = true};

        cut_bytes(&c, "x", p, len, &opts);
        ck_assert_uint_ge(c.n_blocks, len / blocks[k] / 2);
        for (size_t i = 0, at = 0; i < c.n_blocks; i++) {
            ck_assert_uint_eq(c.blocks[i]->offset, at);
            ck_assert(memcmp(c.blocks[i]->data.data, p + at, c.blocks[i]->data.len) == 0);
            at += c.blocks[i]->data.len;
            ck_assert(i + 1 < c.n_blocks || at == len);
        }
        cut_done(&c);
    }
    free(p);
}
END_TEST

START_TEST(test_long_records_are_the_same_for_any_block_size)
{
    char p[301];
    const bool csv = _i % 2;
    const size_t len = random_text(p, 300, csv ? "abcd,\"\n" : "abcdefgh\n", (unsigned)_i);
    struct cut want, c;

    for (size_t block = 1; block <= 400; block += 1 + block / 3) {
        const struct ingest_cut_opts opts = {.format = csv ? INGEST_CSV : INGEST_TEXT,
                                             .block_bytes = block, .max_record = 9,
                                             .no_header = true};
        struct base_buf all = {0}, all_want = {0};

        cut_bytes(block == 1 ? &want : &c, "x", p, len, &opts);
        if (block == 1)
            continue;
        for (size_t i = 0; i < want.n_blocks; i++)
            ck_assert_int_eq(base_buf_append(&all_want, want.blocks[i]->data.data,
                                             want.blocks[i]->data.len), 0);
        for (size_t i = 0; i < c.n_blocks; i++) {
            ck_assert_int_eq(base_buf_append(&all, c.blocks[i]->data.data,
                                             c.blocks[i]->data.len), 0);
            ck_assert_uint_eq(c.blocks[i]->line, reference_line(p, c.blocks[i]->offset, csv));
        }
        ck_assert_uint_eq(all.len, all_want.len);
        ck_assert(all.len == 0 || memcmp(all.data, all_want.data, all.len) == 0);
        ck_assert_uint_eq(c.rejects.count, want.rejects.count);
        for (size_t i = 0; i < c.rejects.count; i++) {
            const struct ingest_reject *j = &c.rejects.items[i];

            ck_assert_uint_eq(j->offset, want.rejects.items[i].offset);
            ck_assert_uint_eq(j->length, want.rejects.items[i].length);
            ck_assert_uint_eq(j->line, want.rejects.items[i].line);
            ck_assert_uint_gt(j->length, 9);
            ck_assert(memcmp(j->raw, p + j->offset, j->raw_len) == 0);
            ck_assert_str_eq(j->reason, INGEST_BAD_RECORD_SIZE);
        }
        base_buf_done(&all);
        base_buf_done(&all_want);
        cut_done(&c);
    }
    cut_done(&want);
}
END_TEST

/* --------------------------------------------------------------------------------- by hand */

START_TEST(test_a_long_line_is_streamed_past)
{
    const size_t long_len = 3000000;
    char *p = malloc(long_len + 20);
    const struct ingest_cut_opts opts = {.format = INGEST_JSONL, .max_record = 100000};
    struct cut c;

    ck_assert_ptr_nonnull(p);
    memcpy(p, "one\n", 4);
    memset(p + 4, 'x', long_len);
    memcpy(p + 4 + long_len, "\r\nlast", 6);
    cut_bytes(&c, "x", p, long_len + 10, &opts);
    ck_assert_uint_eq(c.rejects.count, 1);
    ck_assert_uint_eq(c.rejects.items[0].line, 2);
    ck_assert_uint_eq(c.rejects.items[0].offset, 4);
    ck_assert_uint_eq(c.rejects.items[0].raw_len, INGEST_REJECT_RAW_MAX);
    ck_assert_uint_ge(c.rejects.items[0].length, long_len);
    ck_assert_uint_eq(c.n_blocks, 2);
    ck_assert_uint_eq(c.blocks[0]->data.len, 4);
    ck_assert_uint_eq(c.blocks[1]->data.len, 4);
    ck_assert_uint_eq(c.blocks[1]->line, 3);
    ck_assert(memcmp(c.blocks[1]->data.data, "last", 4) == 0);
    cut_done(&c);
    free(p);
}
END_TEST

START_TEST(test_csv_header_is_taken_off)
{
    static const struct {
        const char *text, *header;
        size_t data0;  /* where the data start */
        uint64_t line;
    } cases[] = {
        {"a,b\n1,2\n3,4\n", "a,b", 4, 2},
        {"\xef\xbb\xbf" "a,b\r\n1,2\r\n", "a,b", 8, 2},
        {"\n\r\na,b\n1,2\n", "a,b", 7, 4},
        {"\"a\nx\",b\n1,2\n", "\"a\nx\",b", 8, 3},
        {"a,b\r1,2\r", "a,b", 4, 2},
        {"a,b", "a,b", 3, 1},
        {"a,b\n", "a,b", 4, 2},
    };
    const struct ingest_cut_opts opts = {.block_bytes = 4};
    struct cut c;

    cut_text(&c, "x.csv", cases[_i].text, &opts);
    ck_assert_uint_ge(c.n_blocks, 1);
    for (size_t i = 0; i < c.n_blocks; i++) {
        const struct base_buf *h = &c.blocks[i]->header;

        ck_assert_int_eq(c.blocks[i]->format, INGEST_CSV);
        ck_assert_uint_eq(h->len, strlen(cases[_i].header));
        ck_assert(memcmp(h->data, cases[_i].header, h->len) == 0);
    }
    ck_assert_uint_eq(c.blocks[0]->offset, cases[_i].data0);
    if (cases[_i].text[cases[_i].data0] != 0)
        ck_assert_uint_eq(c.blocks[0]->line, cases[_i].line);
    ck_assert(c.blocks[0]->first);
    ck_assert(c.blocks[c.n_blocks - 1]->last);
    cut_done(&c);
}
END_TEST

START_TEST(test_marks_of_encodings)
{
    static const struct ingest_cut_opts opts = {0}, files = {.format = INGEST_FILES};
    struct cut c;

    cut_text(&c, "x.txt", "\xef\xbb\xbfhello\n", &opts);
    ck_assert_uint_eq(c.n_blocks, 1);
    ck_assert_uint_eq(c.blocks[0]->data.len, 6);
    ck_assert_uint_eq(c.blocks[0]->offset, 3);
    cut_done(&c);
    cut_bytes(&c, "x.csv", "\xff\xfe" "a\0,\0b\0\n\0", 10, &opts);
    ck_assert_uint_eq(c.rejects.count, 1);
    ck_assert_str_eq(c.rejects.items[0].reason, INGEST_BAD_UTF8);
    ck_assert_ptr_nonnull(strstr(c.rejects.items[0].detail, "UTF-16"));
    ck_assert_uint_eq(c.rejects.items[0].length, 10);
    ck_assert_uint_eq(c.blocks[0]->data.len, 0);
    cut_done(&c);
    cut_bytes(&c, "x", "\xff\xfe" "a\0", 4, &files);
    ck_assert_uint_eq(c.rejects.count, 0);
    ck_assert_uint_eq(c.blocks[0]->data.len, 4);
    cut_done(&c);
}
END_TEST

START_TEST(test_empty_entries)
{
    static const enum ingest_format formats[] = {INGEST_TEXT, INGEST_JSONL, INGEST_JSON,
                                                 INGEST_CSV, INGEST_LIBSVM, INGEST_AUTO};
    struct ingest_cut_opts opts = {.format = formats[_i]};
    struct cut c;

    cut_text(&c, "x", "", &opts);
    ck_assert_uint_eq(c.n_blocks, 0);
    cut_done(&c);
    opts.format = INGEST_FILES;
    cut_text(&c, "x", "", &opts);
    ck_assert_uint_eq(c.n_blocks, 1);
    ck_assert(c.blocks[0]->first && c.blocks[0]->last);
    ck_assert_uint_eq(c.blocks[0]->data.len, 0);
    cut_done(&c);
}
END_TEST

START_TEST(test_whole_entries_are_one_block)
{
    struct ingest_cut_opts opts = {.format = _i ? INGEST_JSON : INGEST_FILES, .block_bytes = 10};
    struct base_buf b = {0};
    struct cut c;

    su_text(&b, 300000, 3);
    cut_bytes(&c, "x", b.data, b.len, &opts);
    ck_assert_uint_eq(c.n_blocks, 1);
    ck_assert_uint_eq(c.blocks[0]->data.len, b.len);
    ck_assert(memcmp(c.blocks[0]->data.data, b.data, b.len) == 0);
    cut_done(&c);
    opts.max_record = b.len;
    cut_bytes(&c, "x", b.data, b.len, &opts);
    ck_assert_uint_eq(c.rejects.count, 0);
    cut_done(&c);
    opts.max_record = b.len - 1;
    cut_bytes(&c, "x", b.data, b.len, &opts);
    ck_assert_uint_eq(c.rejects.count, _i == 1); /* a file may be of any length */
    if (_i == 1) {
        ck_assert_str_eq(c.rejects.items[0].reason, INGEST_BAD_RECORD_SIZE);
        ck_assert_uint_eq(c.rejects.items[0].length, b.len);
    }
    cut_done(&c);
    base_buf_done(&b);
}
END_TEST

static const struct {
    const char *name, *text;
    enum ingest_format format;
} detections[] = {
    {"a.jsonl", "{}\n", INGEST_JSONL}, {"a.ndjson", "[1]\n[2]\n", INGEST_JSONL},
    {"a.JSON", "{\n \"a\": 1\n}\n", INGEST_JSON}, {"a.json", "{\"a\":1}\n", INGEST_JSON},
    {"a.json", "{\"a\":1}\n{\"a\":2}\n", INGEST_JSONL}, {"a.json", "[1,\n2]\n", INGEST_JSON},
    {"a.json", "[\n{\"a\":1},\n{\"a\":2}\n]\n", INGEST_JSON}, {"a.json", "[1]\n", INGEST_JSON},
    {"a.json", "{\"a\":\"}\\\"\\\\\"}\n{\"b\":2}", INGEST_JSONL}, {"a.json", "1\n2\n", INGEST_JSONL},
    {"a.json", "\"a\n", INGEST_JSON}, {"a.json", "", INGEST_JSON},
    {"a.csv", "x", INGEST_CSV}, {"a.tsv", "x", INGEST_TSV}, {"a.txt", "{\"a\":1}\n", INGEST_TEXT},
    {"a.md", "x", INGEST_TEXT}, {"a.svm", "x", INGEST_LIBSVM}, {"a.libsvm", "", INGEST_LIBSVM},
    {"a9a", "-1 3:1 11:1 \n+1 5:1\n", INGEST_LIBSVM}, {"a", "1 1:0.5 2:-1e-3 # c\n0\n", INGEST_LIBSVM},
    {"a", "1 2 3\n", INGEST_TEXT}, {"a", "12:30 lunch\n", INGEST_TEXT}, {"a", "1\n2\n", INGEST_TEXT},
    {"a", "{\"a\":1}\n{\"a\":2}\n", INGEST_JSONL}, {"a", " \n{\n\"a\":1}\n", INGEST_JSON},
    {"a.c", "{ int x; }\n", INGEST_TEXT}, {"x.1", ".TH X 1\n", INGEST_TEXT},
    {"noext", "plain\n", INGEST_TEXT}, {"b.bin", "\x01\x02\x03", INGEST_FILES},
    {".csv", "a,b\n", INGEST_TEXT}, {"a.csv.gz", "a,b\n", INGEST_TEXT}, /* .gz was not undone */
};

START_TEST(test_formats_are_found)
{
    static const struct ingest_cut_opts opts = {0};
    struct base_buf gz = {0};
    char name[64];
    struct cut c;

    cut_text(&c, detections[_i].name, detections[_i].text, &opts);
    if (detections[_i].text[0] != 0) {
        ck_assert_uint_ge(c.n_blocks, 1);
        ck_assert_msg(c.blocks[0]->format == detections[_i].format, "%s: %s", detections[_i].name,
                      ingest_format_name(c.blocks[0]->format));
    }
    cut_done(&c);
    if (strstr(detections[_i].name, ".gz") != NULL || detections[_i].name[0] == '.')
        return;
    (void)snprintf(name, sizeof(name), "%s.gz", detections[_i].name);
    su_compress(&gz, ARCHIVE_FILTER_GZIP, detections[_i].text, strlen(detections[_i].text));
    cut_bytes(&c, name, gz.data, gz.len, &opts);
    if (c.n_blocks > 0)
        ck_assert_int_eq(c.blocks[0]->format, detections[_i].format);
    cut_done(&c);
    base_buf_done(&gz);
}
END_TEST

START_TEST(test_format_names_are_read_back)
{
    struct shard_error err = {0};
    enum ingest_format f;

    for (int i = INGEST_AUTO; i <= INGEST_FILES; i++) {
        ck_assert_int_eq(ingest_format_parse(ingest_format_name((enum ingest_format)i), &f, &err),
                         0);
        ck_assert_int_eq((int)f, i);
    }
    ck_assert_int_eq(ingest_format_parse("xml", &f, &err), SHARD_EPARSE);
    ck_assert_int_eq(ingest_format_parse("npy", &f, &err), SHARD_EUNSUPPORTED);
}
END_TEST

START_TEST(test_half_a_record_is_not_data)
{
    struct base_buf text = {0}, gz = {0};
    const struct ingest_cut_opts lines = {.format = INGEST_TEXT, .block_bytes = 5000},
                                 whole = {.format = INGEST_FILES};
    struct cut c;
    size_t at = 0;

    su_text(&text, 900000, 4);
    su_compress(&gz, ARCHIVE_FILTER_GZIP, text.data, text.len);
    cut_bytes(&c, "x.gz", gz.data, gz.len * 2 / 3, &lines);
    ck_assert_uint_eq(c.rejects.count, 1);
    ck_assert_str_eq(c.rejects.items[0].reason, INGEST_BAD_ARCHIVE);
    for (size_t i = 0; i < c.n_blocks; i++) {
        const struct ingest_block *b = c.blocks[i];

        ck_assert(memcmp(text.data + at, b->data.data, b->data.len) == 0);
        at += b->data.len;
    }
    ck_assert_uint_gt(at, 100000);
    ck_assert_uint_eq(text.data[at - 1], '\n');
    ck_assert_uint_eq(c.rejects.items[0].offset, at); /* nothing between them is lost unsaid */
    cut_done(&c);
    cut_bytes(&c, "x.gz", gz.data, gz.len * 2 / 3, &whole);
    ck_assert_uint_eq(c.rejects.count, 1);
    for (size_t i = 0; i < c.n_blocks; i++)
        ck_assert_int_ne(c.blocks[i]->format, INGEST_FILES);
    cut_done(&c);
    base_buf_done(&text);
    base_buf_done(&gz);
}
END_TEST

START_TEST(test_rejects_without_data_are_carried)
{
    static const struct ingest_cut_opts opts = {.format = INGEST_FILES};
    struct base_buf gz = {0};
    struct cut c;

    su_compress(&gz, ARCHIVE_FILTER_GZIP, "x", 1);
    gz.data[11] = 0xff;
    cut_bytes(&c, "x.gz", gz.data, gz.len, &opts);
    ck_assert_uint_eq(c.rejects.count, 1);
    ck_assert_uint_eq(c.n_blocks, 1);
    ck_assert_uint_eq(c.blocks[0]->data.len, 0);
    ck_assert_int_eq(c.blocks[0]->format, INGEST_TEXT); /* of which nothing is no row */
    cut_done(&c);
    base_buf_done(&gz);
}
END_TEST

/* ------------------------------------------------------------------------- the data folder */

/* Counts of the data folder's README: records by an own state machine and Python's csv. */
START_TEST(test_real_files_have_their_format)
{
    static const struct {
        const char *path;
        enum ingest_format format;
        uint64_t lines; /* LF in the data, headers not counted; 0 = not checked */
    } cases[] = {
        {"gharchive/2015-01-01-0.json.gz", INGEST_JSONL, 7702},
        {"libsvm/a9a", INGEST_LIBSVM, 32561}, {"libsvm/heart_scale", INGEST_LIBSVM, 270},
        {"json_examples/amazon_cellphones.ndjson", INGEST_JSONL, 793},
        {"json_examples/twitter.json", INGEST_JSON, 0},
        {"json_examples/twitterescaped.json", INGEST_JSON, 0},
        {"humaneval/HumanEval.jsonl.gz", INGEST_JSONL, 164},
        {"naughty_strings/blns.txt", INGEST_TEXT, 0},
        {"adult/adult.data", INGEST_TEXT, 32563},
    };
    static const struct ingest_cut_opts opts = {.block_bytes = 1 << 16};
    const char *data = su_data_dir("test_real_files_have_their_format");
    struct ingest_files files = {0};
    struct shard_error err = {0};
    uint64_t lines = 0;
    char path[1024];
    struct cut c;

    if (data == NULL)
        return;
    (void)snprintf(path, sizeof(path), "%s/%s", data, cases[_i].path);
    ck_assert_msg(ingest_files_add(&files, path, &err) == 0, "%s", err.text);
    cut_file(&c, &files.items[0], &opts);
    ck_assert_uint_ge(c.n_blocks, 1);
    ck_assert_uint_eq(c.rejects.count, 0);
    for (size_t i = 0; i < c.n_blocks; i++) {
        ck_assert_str_eq(ingest_format_name(c.blocks[i]->format),
                         ingest_format_name(cases[_i].format));
        for (size_t k = 0; k < c.blocks[i]->data.len; k++)
            lines += c.blocks[i]->data.data[k] == '\n';
    }
    if (cases[_i].lines != 0)
        ck_assert_uint_eq(lines, cases[_i].lines);
    cut_done(&c);
    ingest_files_done(&files);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("cutter");
    TCase *tc = tcase_create("sizes"), *hand = tcase_create("hand"), *data = tcase_create("data");

    tcase_add_checked_fixture(tc, NULL, su_cleanup);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, test_lines_are_the_same_for_any_block_size, 0, 12);
    tcase_add_loop_test(tc, test_csv_is_the_same_for_any_block_size, 0, 24);
    tcase_add_loop_test(tc, test_long_texts_are_cut_alike, 0, 2);
    tcase_add_loop_test(tc, test_long_records_are_the_same_for_any_block_size, 0, 24);
    suite_add_tcase(s, tc);
    tcase_add_checked_fixture(hand, NULL, su_cleanup);
    tcase_add_test(hand, test_a_long_line_is_streamed_past);
    tcase_add_loop_test(hand, test_csv_header_is_taken_off, 0, 7);
    tcase_add_test(hand, test_marks_of_encodings);
    tcase_add_loop_test(hand, test_empty_entries, 0, 6);
    tcase_add_loop_test(hand, test_whole_entries_are_one_block, 0, 2);
    tcase_add_loop_test(hand, test_formats_are_found, 0, BASE_ARRAY_LEN(detections));
    tcase_add_test(hand, test_format_names_are_read_back);
    tcase_add_test(hand, test_half_a_record_is_not_data);
    tcase_add_test(hand, test_rejects_without_data_are_carried);
    suite_add_tcase(s, hand);
    tcase_add_checked_fixture(data, NULL, su_cleanup);
    tcase_add_loop_test(data, test_real_files_have_their_format, 0, 9);
    suite_add_tcase(s, data);
    return test_run(s);
}
