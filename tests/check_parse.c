/* Numbers as text, UTF-8, and what all formats share: text lines, libsvm, whole files, path
 * columns, filters, hashes. */
#include "config.h"

#include <check.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/compiler.h"
#include "tests/parse_util.h"
#include "tests/suite.h"
#include "tools/ingest/number.h"
#include "tools/ingest/utf8.h"

/* --------------------------------------------------------------------------------- numbers */

static const char *
print(double v, bool point_zero)
{
    static char text[INGEST_NUM_TEXT_MAX + 1];

    text[ingest_print_double(v, point_zero, text)] = '\0';
    return text;
}

/* What Python's repr() gives. */
START_TEST(test_floats_are_printed_shortest)
{
    static const struct {
        double v;
        const char *text;
    } cases[] = {{0.0, "0.0"},
                 {-0.0, "-0.0"},
                 {1, "1.0"},
                 {-1.5, "-1.5"},
                 {0.1, "0.1"},
                 {1.0 / 3, "0.3333333333333333"},
                 {1e15, "1000000000000000.0"},
                 {1e16, "1e+16"},
                 {123456789012345680.0, "1.2345678901234568e+17"},
                 {0.0001, "0.0001"},
                 {0.00001, "1e-05"},
                 {5e-324, "5e-324"},
                 {DBL_MAX, "1.7976931348623157e+308"},
                 {9007199254740993.0, "9007199254740992.0"},
                 {0.1 + 0.2, "0.30000000000000004"},
                 {1234.5678, "1234.5678"},
                 {0.000123, "0.000123"},
                 {9.999e15, "9999000000000000.0"},
                 {1e100, "1e+100"},
                 {-2.5e-10, "-2.5e-10"}};

    for (size_t i = 0; i < BASE_ARRAY_LEN(cases); i++)
        ck_assert_str_eq(print(cases[i].v, true), cases[i].text);
    ck_assert_str_eq(print(5, false), "5");
    ck_assert_str_eq(print(-0.0, false), "-0");
    ck_assert_str_eq(print(1e15, false), "1000000000000000");
}
END_TEST

/* Printing and reading agree, and strtod() of the C locale, which shares no code, agrees with both.
 */
START_TEST(test_random_floats_read_back)
{
    uint64_t seed = 0x2545f4914f6cdd1du * (uint64_t)(_i + 1);

    for (int i = 0; i < 20000; i++) {
        uint64_t bits = next_random(&seed);
        union ingest_num num;
        const char *text;
        double v, back;

        if (i % 2)
            bits = (bits & ~(UINT64_C(0x7ff) << 52)) | (UINT64_C(1000) + bits % 50) << 52;
        memcpy(&v, &bits, sizeof(v));
        if (!isfinite(v) || v == 0)
            continue;
        text = print(v, true);
        ck_assert_msg(strtod(text, NULL) == v, "%s %.17g", text, v);
        ck_assert_int_eq(ingest_num_json(text, strlen(text), &num), INGEST_NUM_FLOAT);
        ck_assert_msg(num.f == v, "%s %.17g", text, v);
        text = print(v, false);
        ck_assert_msg(ingest_num_canonical_float(text, strlen(text), &back) && back == v, "%s",
                      text);
    }
}
END_TEST

/* Any decimal text: a canonical float is exactly what is printed, and the value is strtod()'s. */
START_TEST(test_random_decimals)
{
    uint64_t seed = 0x9e3779b97f4a7c15u * (uint64_t)(_i + 1);
    union ingest_num num;
    char text[64];
    double v;

    for (int i = 0; i < 20000; i++) {
        const uint64_t x = next_random(&seed);
        enum ingest_num_kind kind;
        bool canonical;

        if (x % 3 == 0)
            (void)snprintf(text, sizeof(text), "%" PRIu64 ".%" PRIu64, (x >> 20) % 100000,
                           (x >> 30) % 1000000);
        else if (x % 3 == 1)
            (void)snprintf(text, sizeof(text), "-%d.%0*d", (int)(x >> 55), (int)(x >> 40) % 9 + 1,
                           (int)(x >> 44) % 1000);
        else
            (void)snprintf(text, sizeof(text), "%d.%de%d", (int)(x >> 60), (int)(x >> 40) % 10000,
                           (int)(x >> 20) % 640 - 330);
        canonical = ingest_num_canonical_float(text, strlen(text), &v);
        ck_assert_msg(!canonical || strcmp(print(v, false), text) == 0, "%s", text);
        kind = ingest_num_json(text, strlen(text), &num);
        v = strtod(text, NULL);
        if (isinf(v) || (v == 0 && strpbrk(text, "123456789") < strpbrk(text, "e") &&
                         strpbrk(text, "123456789") != NULL && strchr(text, 'e')))
            ck_assert_msg(kind == INGEST_NUM_BIG, "%s", text);
        else
            ck_assert_msg(kind == INGEST_NUM_FLOAT && num.f == v, "%s", text);
        if (kind == INGEST_NUM_FLOAT && strcmp(print(num.f, false), text) == 0)
            ck_assert_msg(canonical, "%s", text);
    }
}
END_TEST

START_TEST(test_float32_is_exact_where_it_gives_the_decimal_back)
{
    static const struct {
        const char *text;
        bool exact;
    } cases[] = {{"0.708333", true},  {"0.7083330", true},    {"1", true},
                 {"+1", true},        {"-0.5", true},         {"16777216", true},
                 {"16777217", false}, {"0.1234567", true},    {"0.123456789", false},
                 {"1e10", true},      {"3.4028235e38", true}, {"0", true},
                 {"-0.0", true},      {"1e-3", true},         {"123456789", false},
                 {".5", true},        {"5.", true},           {"100000000000", true}};
    float f;
    bool exact;

    for (size_t i = 0; i < BASE_ARRAY_LEN(cases); i++) {
        ck_assert_msg(ingest_num_f32(cases[i].text, strlen(cases[i].text), &f, &exact), "%s",
                      cases[i].text);
        ck_assert_msg(f == strtof(cases[i].text, NULL), "%s", cases[i].text);
        ck_assert_msg(exact == cases[i].exact, "%s", cases[i].text);
    }
    ck_assert(!ingest_num_f32("1e39", 4, &f, &exact));
    ck_assert(!ingest_num_f32("-1e39", 5, &f, &exact));
    ck_assert(ingest_num_f32("-1e-50", 6, &f, &exact) && f == 0 && signbit(f) && !exact);
    ck_assert(ingest_num_f32("1e-500", 6, &f, &exact) && f == 0 && !signbit(f) && !exact);
    ck_assert(!ingest_num_f32("nan", 3, &f, &exact));
    ck_assert(!ingest_num_f32("", 0, &f, &exact));
}
END_TEST

START_TEST(test_integers_at_their_limits)
{
    union ingest_num num;
    static const struct {
        const char *text;
        enum ingest_num_kind canonical, json;
    } cases[] = {{"9223372036854775807", INGEST_NUM_INT, INGEST_NUM_INT},
                 {"9223372036854775808", INGEST_NUM_UINT, INGEST_NUM_UINT},
                 {"-9223372036854775808", INGEST_NUM_INT, INGEST_NUM_INT},
                 {"-9223372036854775809", INGEST_NUM_NONE, INGEST_NUM_BIG},
                 {"18446744073709551615", INGEST_NUM_UINT, INGEST_NUM_UINT},
                 {"18446744073709551616", INGEST_NUM_NONE, INGEST_NUM_BIG},
                 {"99999999999999999999", INGEST_NUM_NONE, INGEST_NUM_BIG},
                 {"-18446744073709551615", INGEST_NUM_NONE, INGEST_NUM_BIG},
                 {"100000000000000000000000", INGEST_NUM_NONE, INGEST_NUM_BIG},
                 {"0", INGEST_NUM_INT, INGEST_NUM_INT},
                 {"-0", INGEST_NUM_NONE, INGEST_NUM_FLOAT},
                 {"-", INGEST_NUM_NONE, INGEST_NUM_NONE},
                 {"", INGEST_NUM_NONE, INGEST_NUM_NONE},
                 {"00", INGEST_NUM_NONE, INGEST_NUM_NONE},
                 {"1a", INGEST_NUM_NONE, INGEST_NUM_NONE}};

    for (size_t i = 0; i < BASE_ARRAY_LEN(cases); i++) {
        const size_t len = strlen(cases[i].text);

        ck_assert_msg(ingest_num_canonical_int(cases[i].text, len, &num) == cases[i].canonical,
                      "%s", cases[i].text);
        if (cases[i].canonical == INGEST_NUM_INT)
            ck_assert_int_eq(num.i, strtoll(cases[i].text, NULL, 10));
        if (cases[i].canonical == INGEST_NUM_UINT)
            ck_assert_uint_eq(num.u, strtoull(cases[i].text, NULL, 10));
        ck_assert_msg(ingest_num_json(cases[i].text, len, &num) == cases[i].json, "%s",
                      cases[i].text);
        if (cases[i].json == INGEST_NUM_INT)
            ck_assert_int_eq(num.i, strtoll(cases[i].text, NULL, 10));
    }
    ck_assert(ingest_i64_fits_double(-(INT64_C(1) << 53)));
    ck_assert(!ingest_i64_fits_double((INT64_C(1) << 53) + 1));
    ck_assert(ingest_i64_fits_double((INT64_C(1) << 53) + 2));
    ck_assert(ingest_i64_fits_double(INT64_MIN));
    ck_assert(!ingest_i64_fits_double(INT64_MAX));
    ck_assert(ingest_u64_fits_double(UINT64_C(1) << 63));
    ck_assert(ingest_u64_fits_double(0));
}
END_TEST

/* ----------------------------------------------------------------------------------- UTF-8 */

/* The file names each line's verdict; see utf8tests.txt. */
START_TEST(test_utf8_cases)
{
    const char *folder = data_folder("utf8_cases");
    size_t len, bad = 0, lines = 0;
    char *data, *line, *lf;

    if (folder == NULL)
        return;
    data = read_file(folder, "utf8_cases/utf8tests.bin", &len);
    for (line = data; (lf = memchr(line, '\n', (size_t)(data + len - line))) != NULL;
         line = lf + 1) {
        const size_t n = (size_t)(lf - line);

        lines++;
        bad += !ingest_utf8_valid(line, n);
        ck_assert_int_eq(ingest_utf8_valid(line, n), ingest_utf8_prefix(line, n) == n);
    }
    ck_assert_uint_eq(lines, 222);
    ck_assert_uint_eq(bad, 145);
    free(data);
}
END_TEST

/* The table-driven prefix and simdjson's vectors agree on all pairs, and on random bytes. */
START_TEST(test_utf8_prefix_agrees_with_the_fast_check)
{
    uint64_t seed = 7;
    uint8_t bytes[8];

    for (int i = 0; i < 60000; i++) {
        uint64_t x = next_random(&seed);

        for (int k = 0; k < 8; k++)
            bytes[k] = (uint8_t)(x >> (8 * k)) | (next_random(&seed) % 3 ? 0x80 : 0);
        for (size_t n = 1; n <= 4; n++)
            ck_assert_int_eq(ingest_utf8_valid(bytes, n), ingest_utf8_prefix(bytes, n) == n);
    }
}
END_TEST

/* ------------------------------------------------------------------------------------ text */

START_TEST(test_every_line_is_a_row)
{
    static const char text[] = "a\n\nb\r\n\rc\r\r\n\x80\n\nlast\r";
    struct parsed *p = parse_text(INGEST_TEXT, NULL, text);
    static const char *const want[] = {"a", "", "b", "\rc\r", "", "last\r"};
    char *s = parsed_schema(p);

    ck_assert_str_eq(s, "text:string");
    free(s);
    ck_assert_uint_eq(p->rows->n_rows, 6);
    for (size_t i = 0; i < 6; i++) {
        const int32_t *off = p->arrays[0].offsets + i;

        ck_assert_uint_eq((size_t)(off[1] - off[0]), strlen(want[i]));
        ck_assert_int_eq(
            memcmp((const char *)p->arrays[0].values + off[0], want[i], strlen(want[i])), 0);
    }
    ck_assert_uint_eq(p->rows->rejects.count, 1);
    ck_assert_uint_eq(p->rows->rejects.items[0].line, 5);
    ck_assert_str_eq(p->rows->rejects.items[0].reason, INGEST_BAD_UTF8);
    parsed_free(p);
}
END_TEST

/* Lines joined by LF again: the file. */
static void
check_text(const char *folder, const char *path, uint64_t n_lines)
{
    struct ingest_block *b = block_from_file(INGEST_TEXT, folder, path);
    struct parsed *p = parsed_new(NULL, &b, 1);
    const char *data = (const char *)b->data.data;
    size_t at = 0;

    parsed_block(p, b);
    ck_assert_msg(p->rows->n_rows == n_lines, "%s: %d", path, (int)p->rows->n_rows);
    for (uint64_t i = 0; i < n_lines; i++) {
        const int32_t *off = p->arrays[0].offsets + i;
        const size_t len = (size_t)(off[1] - off[0]);

        ck_assert(at + len <= b->data.len);
        ck_assert_int_eq(memcmp(data + at, (const char *)p->arrays[0].values + off[0], len), 0);
        at += len;
        at += at < b->data.len && data[at] == '\r';
        at += at < b->data.len;
    }
    ck_assert_uint_eq(at, b->data.len);
    parsed_free(p);
    ingest_block_free(b);
}

static void
check_novels(const char *folder)
{
    static const struct {
        const char *name;
        uint64_t lines;
    } novels[] = {{"1155_the_secret_adversary", 10848},
                  {"120_treasure_island", 7382},
                  {"24_o_pioneers", 5936},
                  {"271_black_beauty", 5897},
                  {"45_anne_of_green_gables", 10724},
                  {"521_the_life_and_adventures_of_robinson_crusoe", 9851},
                  {"74_the_adventures_of_tom_sawyer", 8378},
                  {"768_wuthering_heights", 12082},
                  {"84_frankenstein_or_the_modern_prometheus", 7234}};
    char path[256];

    for (size_t i = 0; i < BASE_ARRAY_LEN(novels); i++) {
        (void)snprintf(path, sizeof(path), "novels/%s.txt", novels[i].name);
        check_text(folder, path, novels[i].lines);
    }
}

START_TEST(test_texts_arrive_whole)
{
    const char *folder = data_folder("texts_arrive_whole");

    if (folder == NULL)
        return;
    check_text(folder, "naughty_strings/blns.txt", 742);
    check_text(folder, "tiny_shakespeare/input.txt", 40000);
    check_novels(folder);
}
END_TEST

/* ---------------------------------------------------------------------------------- libsvm */

START_TEST(test_libsvm_lines)
{
    static const char text[] = "+1 1:0.5 3:-2 # c 1:1\n-1\n\n# only\n0 7:1e-3 \r\n\t1\t2:.25\t9:1";
    struct parsed *p = parse_text(INGEST_LIBSVM, NULL, text);
    char *s = parsed_schema(p);
    const int32_t *label = p->arrays[0].values, *off = p->arrays[1].offsets;
    const float *v = p->arrays[1].values;

    ck_assert_str_eq(s, "label:int32 features:sparse<float32>");
    free(s);
    ck_assert_uint_eq(p->rows->n_rows, 4);
    ck_assert(label[0] == 1 && label[1] == -1 && label[2] == 0 && label[3] == 1);
    ck_assert(off[1] == 2 && off[2] == 2 && off[3] == 3 && off[4] == 5);
    ck_assert(p->arrays[1].indices[1] == 3 && p->arrays[1].indices[4] == 9);
    ck_assert(v[0] == 0.5f && v[1] == -2 && v[2] == 1e-3f && v[3] == 0.25f);
    ck_assert_uint_eq(p->rows->rejects.count, 0);
    parsed_free(p);
}
END_TEST

START_TEST(test_libsvm_rejects)
{
    static const char *const bad[] = {
        "x 1:1",          "1 1",     "1 1:",    "1 :1",    "1 2:1 1:1",   "1 1:1 1:1", "1 -1:1",
        "1 4294967296:1", "1 1:nan", "1 1:0x1", "1,2 1:1", "1 qid:3 1:1", "1 1:1x"};

    for (size_t i = 0; i < BASE_ARRAY_LEN(bad); i++) {
        struct parsed *p = parse_text(INGEST_LIBSVM, NULL, bad[i]);

        ck_assert_msg(p->rows->rejects.count == 1 && p->rows->n_rows == 0, "%s", bad[i]);
        ck_assert_str_eq(p->rows->rejects.items[0].reason, INGEST_BAD_SVM);
        parsed_free(p);
    }
}
END_TEST

START_TEST(test_libsvm_values_decide_the_types)
{
    static const struct {
        const char *text, *schema;
    } cases[] = {{"1 1:0.708333\n", "label:int32 features:sparse<float32>"},
                 {"1 1:0.123456789\n", "label:int32 features:sparse<float64>"},
                 {"24.0 1:1\n", "label:float32 features:sparse<float32>"},
                 {"0.123456789 1:1\n", "label:float64 features:sparse<float32>"},
                 {"3000000000 1:1\n", "label:float32 features:sparse<float32>"}};

    for (size_t i = 0; i < BASE_ARRAY_LEN(cases); i++) {
        struct parsed *p = parse_text(INGEST_LIBSVM, NULL, cases[i].text);
        char *s = parsed_schema(p);

        ck_assert_str_eq(s, cases[i].schema);
        ck_assert_uint_eq(p->rows->n_rows, 1);
        free(s);
        parsed_free(p);
    }
}
END_TEST

START_TEST(test_a9a)
{
    const char *folder = data_folder("a9a");
    struct ingest_block *b;
    struct parsed *p;
    uint64_t positive = 0;

    if (folder == NULL)
        return;
    b = block_from_file(INGEST_LIBSVM, folder, "libsvm/a9a");
    p = parsed_new(NULL, &b, 1);
    parsed_block(p, b);
    ck_assert_uint_eq(p->rows->n_rows, 32561);
    ck_assert_uint_eq(p->rows->rejects.count, 0);
    ck_assert_uint_eq(p->arrays[1].n_values, 451592);
    for (int i = 0; i < 32561; i++)
        positive += ((const int32_t *)p->arrays[0].values)[i] == 1;
    ck_assert_uint_eq(positive, 7841);
    parsed_free(p);
    ingest_block_free(b);
}
END_TEST

/* ----------------------------------------------------------------------------------- files */

START_TEST(test_files_are_rows)
{
    struct ingest_block *b[3] = {block_new(INGEST_FILES, "d/a.txt", NULL, "hello\r\n", 7),
                                 block_new(INGEST_FILES, "d/empty", NULL, "", 0),
                                 block_new(INGEST_FILES, "d/b.bin", NULL, "GIF89a\xff", 7)};
    struct parsed *p = parsed_new(NULL, b, 2);
    char *s = parsed_schema(p);

    ck_assert_str_eq(s, "path:string content:string size:uint64 type:string?");
    free(s);
    parsed_block(p, b[0]);
    s = parsed_json(p, 0);
    ck_assert_str_eq(
        s, "{\"path\":\"d/a.txt\",\"content\":\"hello\\r\\n\",\"size\":7,\"type\":\"text/plain\"}");
    free(s);
    parsed_block(p, b[1]);
    s = parsed_json(p, 0);
    ck_assert_str_eq(s, "{\"path\":\"d/empty\",\"content\":\"\",\"size\":0}");
    free(s);
    parsed_block(p, b[2]); /* a type that the sample did not show */
    ck_assert_uint_eq(p->rows->n_rows, 0);
    ck_assert_str_eq(p->rows->rejects.items[0].reason, INGEST_BAD_UTF8);
    parsed_free(p);
    p = parsed_new(NULL, b, 3);
    parsed_block(p, b[2]);
    s = parsed_json(p, 0);
    ck_assert_str_eq(
        s, "{\"path\":\"d/b.bin\",\"content\":\"R0lGODlh/w==\",\"size\":7,\"type\":\"image/gif\"}");
    free(s);
    parsed_free(p);
    for (int i = 0; i < 3; i++)
        ingest_block_free(b[i]);
}
END_TEST

/* --------------------------------------------------------------------------------- options */

static struct parsed *
parse_with(struct ingest_parse_opts *opts, enum ingest_format format, const char *path,
           const char *header, const char *text)
{
    struct ingest_block *b = block_new(format, path, header, text, strlen(text));
    struct parsed *p = parsed_new(opts, &b, 1);

    parsed_block(p, b);
    ingest_block_free(b);
    return p;
}

START_TEST(test_path_columns)
{
    struct ingest_path_column columns[] = {{.name = (char[]){"lang"}, .fallback = (char[]){"en"}},
                                           {.name = (char[]){"page"}}};
    struct ingest_parse_opts opts = {.path_columns = columns, .n_path_columns = 2};
    static const struct {
        const char *path, *row;
    } cases[] = {
        {"usr/share/man/de/man1/ls.1", "{\"text\":\"x\",\"lang\":\"de\",\"page\":\"ls.1\"}"},
        {"usr/share/man/pt_BR/man1/", "{\"text\":\"x\",\"lang\":\"pt_BR\"}"},
        {"usr/share/man/man1/ls.1", "{\"text\":\"x\",\"lang\":\"en\",\"page\":\"ls.1\"}"}};

    ck_assert_int_eq(regcomp(&columns[0].regex, "man/([a-z][a-zA-Z_]+)/", REG_EXTENDED), 0);
    ck_assert_int_eq(regcomp(&columns[1].regex, "/([^/]+)$", REG_EXTENDED), 0);
    for (size_t i = 0; i < BASE_ARRAY_LEN(cases); i++) {
        struct parsed *p = parse_with(&opts, INGEST_TEXT, cases[i].path, NULL, "x\nx\n");
        char *s = parsed_schema(p);

        ck_assert_str_eq(s, "text:string lang:string page:string?");
        free(s);
        s = parsed_json(p, 1);
        ck_assert_str_eq(s, cases[i].row);
        free(s);
        parsed_free(p);
    }
    regfree(&columns[0].regex);
    regfree(&columns[1].regex);
}
END_TEST

START_TEST(test_short_rows_are_filtered_but_counted_in_the_fingerprint)
{
    struct ingest_min_length min = {(char[]){"text"}, 3};
    struct ingest_parse_opts opts = {.min_lengths = &min, .n_min_lengths = 1}, none = {0};
    static const char text[] = "ab\nabc\n\nabcd\n\xc3\xa9\xc3\xa9\nx\n";
    struct parsed *all = parse_with(&none, INGEST_TEXT, "x", NULL, text);
    struct parsed *p = parse_with(&opts, INGEST_TEXT, "x", NULL, text);
    struct base_hash128 want = {0, 0}, got = p->rows->filtered_sum;
    static const int kept[] = {1, 3, 4};

    ck_assert_uint_eq(p->rows->n_rows, 3);
    ck_assert_uint_eq(p->rows->n_filtered, 3);
    for (int i = 0; i < 3; i++) {
        ck_assert(base_hash128_eq(p->rows->row_hash[i], all->rows->row_hash[kept[i]]));
        got = base_hash128_add(got, p->rows->row_hash[i]);
    }
    for (int i = 0; i < 6; i++)
        want = base_hash128_add(want, all->rows->row_hash[i]);
    ck_assert(base_hash128_eq(got, want));
    parsed_free(all);
    parsed_free(p);
}
END_TEST

START_TEST(test_keys_choose_what_is_hashed)
{
    char *dedup[] = {(char[]){"a"}, (char[]){"b"}}, *split[] = {(char[]){"a"}};
    struct ingest_parse_opts opts = {
        .dedup_key = dedup, .n_dedup_key = 2, .split_key = split, .n_split_key = 1};
    struct parsed *p =
        parse_with(&opts, INGEST_CSV, "x", "a,b,c", "1,x,p\n1,x,q\n1,y,p\n2,x,p\n1,x,p\n");
    const struct base_hash128 *h = p->rows->row_hash, *d = p->rows->dedup_hash,
                              *s = p->rows->split_hash;

    ck_assert(base_hash128_eq(h[0], h[4]) && !base_hash128_eq(h[0], h[1]));
    ck_assert(base_hash128_eq(d[0], d[1]) && !base_hash128_eq(d[0], d[2]));
    ck_assert(base_hash128_eq(s[0], s[2]) && !base_hash128_eq(s[0], s[3]));
    parsed_free(p);
}
END_TEST

START_TEST(test_options_that_do_not_fit_are_named)
{
    static const char text[] = "1,x\n";
    struct ingest_block *b = block_new(INGEST_CSV, "x", "a,b", text, sizeof(text) - 1);
    char *no[] = {(char[]){"nope"}}, *twice[] = {(char[]){"a"}, (char[]){"a"}};
    struct ingest_min_length min_none = {no[0], 1}, min_number = {(char[]){"a"}, 1};
    struct ingest_rename rename_none = {no[0], (char[]){"x"}},
                         rename_taken = {(char[]){"a"}, (char[]){"b"}};
    struct ingest_path_column taken = {.name = (char[]){"a"}};
    const struct {
        struct ingest_parse_opts opts;
        int code;
        const char *says;
    } cases[] = {
        {{.min_lengths = &min_none, .n_min_lengths = 1}, SHARD_ENOTFOUND, "--min-length"},
        {{.min_lengths = &min_number, .n_min_lengths = 1}, SHARD_EPARSE, "--min-length"},
        {{.dedup_key = no, .n_dedup_key = 1}, SHARD_ENOTFOUND, "--dedup-key"},
        {{.split_key = no, .n_split_key = 1}, SHARD_ENOTFOUND, "--split-key"},
        {{.columns = no, .n_columns = 1}, SHARD_ENOTFOUND, "--columns"},
        {{.columns = twice, .n_columns = 2}, SHARD_EPARSE, "--columns"},
        {{.renames = &rename_none, .n_renames = 1}, SHARD_ENOTFOUND, "--rename"},
        {{.renames = &rename_taken, .n_renames = 1}, SHARD_EPARSE, "--rename"},
        {{.path_columns = &taken, .n_path_columns = 1}, SHARD_EPARSE, "--path-column"},
        {{.schema = "a"}, SHARD_EPARSE, "--schema"},
        {{.schema = "a:int31"}, SHARD_EPARSE, "--schema"},
        {{.schema = "a:int32,a:int32"}, SHARD_EPARSE, "--schema"},
        {{.schema = ""}, SHARD_EPARSE, "--schema"},
    };

    for (size_t i = 0; i < BASE_ARRAY_LEN(cases); i++) {
        struct shard_error err = {0};
        struct ingest_infer *in;
        struct ingest_plan *plan;

        ck_assert_int_eq(ingest_infer_new(&cases[i].opts, &in), 0);
        ck_assert_int_eq(ingest_infer_block(in, b, &err), 0);
        ck_assert_int_eq(ingest_plan_make(&cases[i].opts, in, &plan, &err), cases[i].code);
        ck_assert_msg(strncmp(err.text, cases[i].says, strlen(cases[i].says)) == 0, "%s", err.text);
        ingest_infer_free(in);
    }
    ingest_block_free(b);
}
END_TEST

START_TEST(test_formats_mix_by_column_name)
{
    struct ingest_block *b[3] = {
        block_new(INGEST_JSONL, "1", NULL, "{\"text\":\"x\",\"n\":1}\n", 19),
        block_new(INGEST_CSV, "2", "n,text", "0.5,y\n", 6),
        block_new(INGEST_TEXT, "3", NULL, "z\n", 2)};
    struct parsed *p = parsed_new(NULL, b, 3);
    static const char *const rows[] = {"{\"text\":\"x\",\"n\":1.0}", "{\"text\":\"y\",\"n\":0.5}",
                                       "{\"text\":\"z\"}"};
    char *s = parsed_schema(p);

    ck_assert_str_eq(s, "text:string? n:float64? _extra:string?");
    free(s);
    for (int i = 0; i < 3; i++) {
        parsed_block(p, b[i]);
        s = parsed_json(p, 0);
        ck_assert_str_eq(s, rows[i]);
        free(s);
        ingest_block_free(b[i]);
    }
    parsed_free(p);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("parse");
    TCase *tc = tcase_create("numbers");

    tcase_add_test(tc, test_floats_are_printed_shortest);
    tcase_add_loop_test(tc, test_random_floats_read_back, 0, 4);
    tcase_add_loop_test(tc, test_random_decimals, 0, 4);
    tcase_add_test(tc, test_float32_is_exact_where_it_gives_the_decimal_back);
    tcase_add_test(tc, test_integers_at_their_limits);
    suite_add_tcase(s, tc);
    tc = tcase_create("utf8");
    tcase_add_test(tc, test_utf8_cases);
    tcase_add_test(tc, test_utf8_prefix_agrees_with_the_fast_check);
    suite_add_tcase(s, tc);
    tc = tcase_create("formats");
    tcase_add_test(tc, test_every_line_is_a_row);
    tcase_add_test(tc, test_texts_arrive_whole);
    tcase_add_test(tc, test_libsvm_lines);
    tcase_add_test(tc, test_libsvm_rejects);
    tcase_add_test(tc, test_libsvm_values_decide_the_types);
    tcase_add_test(tc, test_a9a);
    tcase_add_test(tc, test_files_are_rows);
    suite_add_tcase(s, tc);
    tc = tcase_create("options");
    tcase_add_test(tc, test_path_columns);
    tcase_add_test(tc, test_short_rows_are_filtered_but_counted_in_the_fingerprint);
    tcase_add_test(tc, test_keys_choose_what_is_hashed);
    tcase_add_test(tc, test_options_that_do_not_fit_are_named);
    tcase_add_test(tc, test_formats_mix_by_column_name);
    suite_add_tcase(s, tc);
    return test_run(s);
}
