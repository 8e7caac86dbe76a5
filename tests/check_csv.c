/* CSV: cells, types that give every cell back, rejects, and export. */
#include "config.h"

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/compiler.h"
#include "tests/parse_util.h"
#include "tests/suite.h"

/* All rows as CSV, malloc()ed, without the column _extra; fails the test where that is needed. */
static char *
export_rows(const struct parsed *p)
{
    struct base_buf out = {0};
    struct shard_error err = {0};
    struct ingest_export *x;
    char *text;
    int r;

    ck_assert_int_eq(ingest_export_new(&x), 0);
    for (uint64_t i = 0; i < p->rows->n_rows; i++) {
        ck_assert_int_eq(ingest_export_csv_left(x, &p->plan->schema, p->arrays, i, &err), 0);
        r = ingest_export_csv(x, &p->plan->schema, p->arrays, i, ',', false, &out, &err);
        ck_assert_msg(r == 0, "%s", err.text);
    }
    ingest_export_free(x);
    text = malloc(out.len + 1);
    ck_assert_ptr_nonnull(text);
    if (out.len)
        memcpy(text, out.data, out.len);
    text[out.len] = '\0';
    base_buf_done(&out);
    return text;
}

static void
assert_gives(const char *header, const char *text, const char *schema, const char *back)
{
    struct parsed *p = parse_text(INGEST_CSV, header, text);
    char *s = parsed_schema(p), *rows;

    ck_assert_str_eq(s, schema);
    ck_assert_msg(p->rows->rejects.count == 0, "%s", p->rows->rejects.items[0].detail);
    rows = export_rows(p);
    ck_assert_str_eq(rows, back ? back : text);
    free(rows);
    free(s);
    parsed_free(p);
}

/* ----------------------------------------------------------------------------------- types */

START_TEST(test_a_number_column_gives_every_cell_back)
{
    static const struct {
        const char *cells, *type;
    } cases[] = {
        {"1\n-5\n0\n", "int64?"},
        {"9223372036854775807\n-9223372036854775808\n", "int64?"},
        {"18446744073709551615\n0\n", "uint64?"},
        {"18446744073709551615\n-1\n", "string?"},
        {"18446744073709551616\n", "string?"},
        {"007\n", "string?"},
        {"+1\n", "string?"},
        {"1\n 2\n", "string?"},
        {"1\n2 \n", "string?"},
        {"1.10\n", "string?"},
        {"1.0\n", "string?"},
        {"1.\n", "string?"},
        {".5\n", "string?"},
        {"1e5\n", "string?"},
        {"nan\n", "string?"},
        {"inf\n", "string?"},
        {"0x10\n", "string?"},
        {"1,5\n", NULL},
        {"true\n", "string?"},
        {"0.1\n-2.5\n7\n", "float64?"},
        {"-0\n0.5\n", "float64?"},
        {"1e+22\n0.5\n", "float64?"},
        {"0.1000000000000000055\n", "string?"},
        {"9007199254740993\n0.5\n", "string?"},
        {"0.30000000000000004\n", "float64?"},
        {"5e-324\n0.0001\n1.7976931348623157e+308\n", "float64?"},
        {"0.00001\n", "string?"},
        {"-0\n", "float64?"},
        {"-\n", "string?"},
        {"\"1\"\n\"\"\n", "string?"},
    };
    char schema[64];

    for (size_t i = 0; i < BASE_ARRAY_LEN(cases); i++) {
        if (cases[i].type == NULL)
            continue;
        (void)snprintf(schema, sizeof(schema), "n:%s _extra:string?", cases[i].type);
        assert_gives("n", cases[i].cells, schema, strchr(cases[i].cells, '"') ? "1\n\"\"\n" : NULL);
    }
}
END_TEST

START_TEST(test_empty_cells_are_null_and_quoted_ones_empty)
{
    assert_gives("a,b,c", "1,,x\n,\"\",\n", "a:int64? b:string? c:string? _extra:string?", NULL);
}
END_TEST

START_TEST(test_header_names)
{
    struct parsed *p =
        parse_text(INGEST_CSV, "a,,a,\"x,y\",a_2,a,\xff,_extra", "1,2,3,4,5,6,7,8\n");
    char *s = parsed_schema(p), *row = parsed_json(p, 0);

    ck_assert_str_eq(s, "a:int64? c1:int64? a_2:int64? x,y:int64? a_2_2:int64? a_3:int64? "
                        "%FF:int64? _extra:string?");
    ck_assert_str_eq(row, "{\"a\":1,\"c1\":2,\"a_2\":3,\"x,y\":4,\"a_2_2\":5,\"a_3\":6,\"%FF\":7,"
                          "\"_extra\":\"8\"}");
    free(s);
    free(row);
    parsed_free(p);
}
END_TEST

START_TEST(test_without_header_columns_are_numbered)
{
    assert_gives(NULL, "1,x\n2,y\n", "c0:int64? c1:string? _extra:string?", NULL);
}
END_TEST

/* ----------------------------------------------------------------------------------- cells */

START_TEST(test_quotes_line_ends_and_blank_lines)
{
    assert_gives("a,b", "\n\"x\"\"y\",\" z\"\r\n\r\n\"l1\nl2\r\",\"\"\"\"\r q\"q,\rlast,\"c,d\"",
                 "a:string? b:string? _extra:string?",
                 "\"x\"\"y\", z\n\"l1\nl2\r\",\"\"\"\"\n\" q\"\"q\",\nlast,\"c,d\"\n");
}
END_TEST

START_TEST(test_nul_bytes_are_data)
{
    static const char text[] = "a\0b,1\n";
    struct ingest_block *b = block_new(INGEST_CSV, "x", "s,n", text, sizeof(text) - 1);
    struct parsed *p = parsed_new(NULL, &b, 1);

    parsed_block(p, b);
    ck_assert_uint_eq(p->rows->n_rows, 1);
    ck_assert_int_eq(p->arrays[0].offsets[1], 3);
    ck_assert_int_eq(memcmp(p->arrays[0].values, "a\0b", 3), 0);
    parsed_free(p);
    ingest_block_free(b);
}
END_TEST

START_TEST(test_misfits_come_back_in_their_cells)
{
    static const char sample[] = "1,0.5,x\n";
    static const char text[] = "1,0.5,x\n007,5.0,\"\"\nx,1e3,7\n\"\",\"a,b\",\n";
    struct ingest_block *s = block_new(INGEST_CSV, "x", "a,b.c,d", sample, sizeof(sample) - 1);
    struct ingest_block *b = block_new(INGEST_CSV, "x", "a,b.c,d", text, sizeof(text) - 1);
    struct parsed *p = parsed_new(NULL, &s, 1);
    char *rows, *json;

    parsed_block(p, b);
    json = parsed_schema(p);
    ck_assert_str_eq(json, "a:int64? b.c:float64? d:string? _extra:string?");
    free(json);
    rows = export_rows(p);
    ck_assert_str_eq(rows, text);
    free(rows);
    json = parsed_json(p, 1);
    ck_assert_str_eq(json, "{\"d\":\"\",\"a\":\"007\",\"b\":{\"c\":\"5.0\"}}");
    free(json);
    parsed_free(p);
    ingest_block_free(s);
    ingest_block_free(b);
}
END_TEST

START_TEST(test_files_of_other_columns_share_a_schema)
{
    struct ingest_block *b[3] = {block_new(INGEST_CSV, "1", "a,b", "1,x\n", 4),
                                 block_new(INGEST_CSV, "2", "b,c", "y,0.5\n", 6),
                                 block_new(INGEST_CSV, "3", "d,a", "new,7\n", 6)};
    struct parsed *p = parsed_new(NULL, b, 2);
    struct ingest_export *x;
    char *s = parsed_schema(p);

    ck_assert_str_eq(s, "a:int64? b:string? c:float64? _extra:string?");
    free(s);
    parsed_block(p, b[1]);
    s = parsed_json(p, 0);
    ck_assert_str_eq(s, "{\"b\":\"y\",\"c\":0.5}");
    free(s);
    parsed_block(p, b[2]);
    s = parsed_csv(p, 0);
    ck_assert_str_eq(s, "7,,,\"{\"\"d\"\":\"\"new\"\"}\"\n");
    free(s);
    ck_assert_int_eq(ingest_export_new(&x), 0);
    ck_assert_int_eq(ingest_export_csv_left(x, &p->plan->schema, p->arrays, 0, NULL), 1);
    ingest_export_free(x);
    parsed_free(p);
    for (int i = 0; i < 3; i++)
        ingest_block_free(b[i]);
}
END_TEST

/* --------------------------------------------------------------------------------- rejects */

START_TEST(test_rejects_have_reason_and_place)
{
    static const char text[] = "1,2\n1,2,3\n1\n\"x\"y,2\n\"a\nb\",\xff\n3,4\n5,\"open\n6,7\n";
    struct ingest_block *b = block_new(INGEST_CSV, "x", "a,b", text, sizeof(text) - 1);
    struct parsed *p;
    static const struct {
        const char *reason;
        uint64_t line, offset, length;
    } want[] = {{INGEST_BAD_CSV_CELLS, 3, 14, 5},
                {INGEST_BAD_CSV_CELLS, 4, 20, 1},
                {INGEST_BAD_CSV_QUOTE, 5, 22, 6},
                {INGEST_BAD_UTF8, 6, 29, 7},
                {INGEST_BAD_CSV_QUOTE, 9, 41, 12}};

    b->line = 2;
    b->offset = 10;
    p = parsed_new(NULL, &b, 1);
    parsed_block(p, b);
    ck_assert_uint_eq(p->rows->n_rows, 2);
    ck_assert_uint_eq(p->rows->rejects.count, BASE_ARRAY_LEN(want));
    for (size_t i = 0; i < BASE_ARRAY_LEN(want); i++) {
        const struct ingest_reject *j = &p->rows->rejects.items[i];

        ck_assert_str_eq(j->reason, want[i].reason);
        ck_assert_uint_eq(j->line, want[i].line);
        ck_assert_uint_eq(j->offset, want[i].offset);
        ck_assert_uint_eq(j->length, want[i].length);
    }
    ck_assert_ptr_nonnull(strstr(p->rows->rejects.items[0].detail, "3 cells"));
    parsed_free(p);
    ingest_block_free(b);
}
END_TEST

START_TEST(test_a_given_schema_takes_numbers_as_people_write_them)
{
    struct ingest_parse_opts opts = {.schema = "a:int32?,b:float32?,c:bool?,d:string"};
    static const char text[] =
        " 007 ,1.50,true,x\n+5,.5,0,\"\"\n,,,y\nx,1,1,z\n1,2,maybe,z\n1,2,1,\n";
    struct ingest_block *b = block_new(INGEST_CSV, "x", "a,b,c,d", text, sizeof(text) - 1);
    struct parsed *p = parsed_new(&opts, &b, 1);
    char *rows;

    parsed_block(p, b);
    rows = export_rows(p);
    ck_assert_str_eq(rows, "7,1.5,true,x\n5,0.5,false,\"\"\n,,,y\n");
    ck_assert_uint_eq(p->rows->rejects.count, 3);
    ck_assert_str_eq(p->rows->rejects.items[0].column, "a");
    ck_assert_str_eq(p->rows->rejects.items[1].column, "c");
    ck_assert_str_eq(p->rows->rejects.items[2].column, "d");
    free(rows);
    parsed_free(p);
    ingest_block_free(b);
}
END_TEST

/* --------------------------------------------------------------------------------- properties */

static void
random_cell(char **o, uint64_t *seed, unsigned kind)
{
    static const char *const odd[] = {"",           "\"\"",     "\"a,b\"",
                                      "\"x\"\"y\"", "\"l\nm\"", "007",
                                      "1.10",       "-0",       "1e+30",
                                      "true",       "\xc3\xa9", "18446744073709551615",
                                      "\"\r\"",     "0.1",      "9007199254740993",
                                      " x"};
    const uint64_t x = next_random(seed);

    if (x % 16 == 0)
        *o = stpcpy(*o, odd[(x >> 8) % BASE_ARRAY_LEN(odd)]);
    else if (kind % 3 == 0)
        *o += sprintf(*o, "%d", (int)(x >> 40) - 8000000);
    else if (kind % 3 == 1)
        *o += sprintf(*o, "%d.%d5", (int)(x >> 50), (int)(x >> 20 & 1023));
    else
        *o += sprintf(*o, "t%d", (int)(x >> 50));
}

/* Whatever the sample saw, every later cell comes back, and it does not matter how records are
 * spread over blocks. */
START_TEST(test_any_cells_come_back)
{
    uint64_t seed = 0xda942042e4dd58b5u * (uint64_t)(_i + 1);
    char *text = malloc(1 << 20), *o = text, *cut[201], *rows, *parts;
    struct ingest_block *sample, *b;
    struct parsed *p;
    size_t n_rows = 200;

    cut[0] = text;
    for (size_t i = 0; i < n_rows; i++) {
        for (unsigned c = 0; c < 6; c++) {
            random_cell(&o, &seed, c + (i % 50 == 49));
            *o++ = c < 5 ? ',' : '\n';
        }
        cut[i + 1] = o;
    }
    *o = '\0';
    sample = block_new(INGEST_CSV, "x", "a,b,c,d,e,f", text, (size_t)(cut[30] - text));
    b = block_new(INGEST_CSV, "x", "a,b,c,d,e,f", text, (size_t)(o - text));
    p = parsed_new(NULL, &sample, 1);
    parsed_block(p, b);
    ck_assert_uint_eq(p->rows->rejects.count, 0);
    rows = export_rows(p);
    ck_assert_msg(strcmp(rows, text) == 0, "seed %d", _i);
    free(rows);
    parts = malloc((size_t)(o - text) + 1);
    *parts = '\0';
    for (size_t i = 0, k; i < n_rows; i = k) {
        struct ingest_block *part;

        k = i + 1 + next_random(&seed) % 20;
        k = BASE_MIN(k, n_rows);
        part = block_new(INGEST_CSV, "x", "a,b,c,d,e,f", cut[i], (size_t)(cut[k] - cut[i]));
        parsed_block(p, part);
        rows = export_rows(p);
        strcat(parts, rows);
        free(rows);
        ingest_block_free(part);
    }
    ck_assert_msg(strcmp(parts, text) == 0, "seed %d, in parts", _i);
    free(parts);
    parsed_free(p);
    ingest_block_free(sample);
    ingest_block_free(b);
    free(text);
}
END_TEST

/* ---------------------------------------------------------------------------------- real data */

/* A cell of ours against the text that the reference has. */
static void
assert_cell(const json_t *ours, const char *text, const char *what)
{
    char number[64] = "";

    if (json_is_integer(ours))
        (void)snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(ours));
    else if (json_is_real(ours))
        (void)snprintf(number, sizeof(number), "%g", json_real_value(ours));
    ck_assert_msg(strcmp(json_is_string(ours) ? json_string_value(ours) : number, text) == 0,
                  "%s: %s", what, text);
}

/* The *_crlf files of the collection came through git, which made LF of their CRLF (their expected
 * values still have it): put it back. */
static void
restore_crlf(struct ingest_block *b)
{
    struct base_buf crlf = {0};

    for (size_t i = 0; i < b->data.len; i++) {
        if (b->data.data[i] == '\n' && (i == 0 || b->data.data[i - 1] != '\r'))
            ck_assert_int_eq(base_buf_append(&crlf, "\r", 1), 0);
        ck_assert_int_eq(base_buf_append(&crlf, b->data.data + i, 1), 0);
    }
    base_buf_done(&b->data);
    b->data = crlf;
}

START_TEST(test_csv_spectrum)
{
    static const char *const names[] = {"comma_in_quotes",
                                        "empty",
                                        "empty_crlf",
                                        "escaped_quotes",
                                        "json",
                                        "newlines",
                                        "newlines_crlf",
                                        "quotes_and_newlines",
                                        "simple",
                                        "simple_crlf",
                                        "utf8"};
    const char *folder = data_folder("csv_spectrum"), *key;
    char path[256];
    json_t *cell;

    if (folder == NULL)
        return;
    for (size_t i = 0; i < BASE_ARRAY_LEN(names); i++) {
        struct ingest_block *b;
        struct parsed *p;
        json_t *want;

        (void)snprintf(path, sizeof(path), "%s/csv_spectrum/json/%s.json", folder, names[i]);
        want = json_load_file(path, 0, NULL);
        ck_assert_ptr_nonnull(want);
        (void)snprintf(path, sizeof(path), "csv_spectrum/csvs/%s.csv", names[i]);
        b = block_from_file(INGEST_CSV, folder, path);
        if (strstr(names[i], "_crlf"))
            restore_crlf(b);
        p = parsed_new(NULL, &b, 1);
        parsed_block(p, b);
        ck_assert_uint_eq(p->rows->n_rows, json_array_size(want));
        for (uint64_t row = 0; row < p->rows->n_rows; row++) {
            char *text = parsed_json(p, row);
            json_t *ours = json_loads(text, 0, NULL);

            json_object_foreach(json_array_get(want, row), key, cell)
                assert_cell(json_object_get(ours, key), json_string_value(cell), path);
            json_decref(ours);
            free(text);
        }
        json_decref(want);
        parsed_free(p);
        ingest_block_free(b);
    }
}
END_TEST

/* Where a file quotes as little as we do, its records come back byte for byte. */
static struct parsed *
check_file(const char *folder, const char *path, enum ingest_format format, uint64_t n_rows,
           bool same_bytes)
{
    struct ingest_block *b = block_from_file(format, folder, path);
    struct parsed *p = parsed_new(NULL, &b, 1);
    char *rows;
    size_t o = 0;

    parsed_block(p, b);
    ck_assert_msg(p->rows->rejects.count == 0, "%s", path);
    ck_assert_msg(p->rows->n_rows == n_rows, "%s: %d rows", path, (int)p->rows->n_rows);
    if (same_bytes) {
        for (size_t i = 0; i < b->data.len; i++) /* blank lines are no records, CRLF is LF */
            if (b->data.data[i] != '\r' &&
                !(b->data.data[i] == '\n' && (o == 0 || b->data.data[o - 1] == '\n')))
                b->data.data[o++] = b->data.data[i];
        if (o && b->data.data[o - 1] != '\n')
            b->data.data[o++] = '\n'; /* within the slack */
        rows = export_rows(p);
        ck_assert_msg(strlen(rows) == o && memcmp(rows, b->data.data, o) == 0, "%s", path);
        free(rows);
    }
    ingest_block_free(b);
    return p;
}

static uint64_t
n_nulls(const struct parsed *p, const char *name)
{
    int64_t i = fmt_schema_find(&p->plan->schema, name);

    ck_assert_msg(i >= 0, "no column %s", name);
    return p->arrays[i].n_nulls;
}

START_TEST(test_titanic)
{
    const char *folder = data_folder("titanic");
    struct parsed *p;
    char *s;
    uint64_t survived = 0;

    if (folder == NULL)
        return;
    p = check_file(folder, "titanic/titanic.csv", INGEST_CSV, 891, true);
    s = parsed_schema(p);
    ck_assert_str_eq(s, "PassengerId:int64? Survived:int64? Pclass:int64? Name:string? Sex:string? "
                        "Age:float64? SibSp:int64? Parch:int64? Ticket:string? Fare:float64? "
                        "Cabin:string? Embarked:string? _extra:string?");
    free(s);
    ck_assert_uint_eq(n_nulls(p, "Age"), 177);
    ck_assert_uint_eq(n_nulls(p, "Cabin"), 687);
    ck_assert_uint_eq(n_nulls(p, "Embarked"), 2);
    ck_assert_uint_eq(n_nulls(p, "_extra"), 891);
    for (int i = 0; i < 891; i++)
        survived += (uint64_t)((const int64_t *)p->arrays[1].values)[i];
    ck_assert_uint_eq(survived, 342);
    parsed_free(p);
}
END_TEST

START_TEST(test_real_files)
{
    static const struct {
        const char *path;
        enum ingest_format format;
        uint64_t n_rows;
        bool same_bytes;
    } files[] = {
        {"adult/adult.data", INGEST_CSV, 32561, true},
        {"sst2/train.tsv", INGEST_TSV, 67349, false},
        {"sst2/dev.tsv", INGEST_TSV, 872, false},
        {"febrl/dataset1.csv", INGEST_CSV, 1000, true},
        {"febrl/dataset4a.csv", INGEST_CSV, 5000, true},
        {"tennis_atp/atp_matches_1968.csv", INGEST_CSV, 4377, true},
        {"tennis_atp/atp_matches_2024.csv", INGEST_CSV, 3076, true},
        {"banking77/train.csv", INGEST_CSV, 10003, false},
        {"google_play/googleplaystore.csv", INGEST_CSV, 10841, false},
        {"fivethirtyeight/riddler-castles__castle-solutions.csv", INGEST_CSV, 1349, false},
        {"fivethirtyeight/nutrition-studies__raw_anonymized_data.csv", INGEST_CSV, 54, false},
        {"fivethirtyeight/comic-characters__marvel-wikia-data.csv", INGEST_CSV, 16376, false},
    };
    const char *folder = data_folder("real_files");

    for (size_t i = 0; folder && i < BASE_ARRAY_LEN(files); i++)
        parsed_free(check_file(folder, files[i].path, files[i].format, files[i].n_rows,
                               files[i].same_bytes));
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("csv");
    TCase *tc = tcase_create("types");

    tcase_add_test(tc, test_a_number_column_gives_every_cell_back);
    tcase_add_test(tc, test_empty_cells_are_null_and_quoted_ones_empty);
    tcase_add_test(tc, test_header_names);
    tcase_add_test(tc, test_without_header_columns_are_numbered);
    suite_add_tcase(s, tc);
    tc = tcase_create("cells");
    tcase_add_test(tc, test_quotes_line_ends_and_blank_lines);
    tcase_add_test(tc, test_nul_bytes_are_data);
    tcase_add_test(tc, test_misfits_come_back_in_their_cells);
    tcase_add_test(tc, test_files_of_other_columns_share_a_schema);
    tcase_add_test(tc, test_rejects_have_reason_and_place);
    tcase_add_test(tc, test_a_given_schema_takes_numbers_as_people_write_them);
    suite_add_tcase(s, tc);
    tc = tcase_create("properties");
    tcase_add_loop_test(tc, test_any_cells_come_back, 0, 20);
    suite_add_tcase(s, tc);
    tc = tcase_create("data");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_csv_spectrum);
    tcase_add_test(tc, test_titanic);
    tcase_add_test(tc, test_real_files);
    suite_add_tcase(s, tc);
    return test_run(s);
}
