/* JSON: what is accepted and refused, what columns are inferred, and that every record comes back
 * as an equal JSON value. Equality is judged by jansson, which shares no code with simdjson. */
#include "config.h"

#include <check.h>
#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/compiler.h"
#include "tests/parse_util.h"
#include "tests/suite.h"

/* Equal as JSON values; 5 and 5.0 are equal, 0.0 and -0.0 are not. */
static bool
equal(const json_t *a, const json_t *b)
{
    const char *key;
    const json_t *v;
    size_t i;

    if (json_is_number(a) && json_is_number(b)) {
        if (json_is_integer(a) && json_is_integer(b))
            return json_integer_value(a) == json_integer_value(b);
        return json_number_value(a) == json_number_value(b) &&
               signbit(json_number_value(a)) == signbit(json_number_value(b));
    }
    if (json_typeof(a) != json_typeof(b))
        return false;
    if (json_is_array(a)) {
        if (json_array_size(a) != json_array_size(b))
            return false;
        for (i = 0; i < json_array_size(a); i++)
            if (!equal(json_array_get(a, i), json_array_get(b, i)))
                return false;
        return true;
    }
    if (!json_is_object(a))
        return json_equal(a, b);
    if (json_object_size(a) != json_object_size(b))
        return false;
    for (void *it = json_object_iter((json_t *)(uintptr_t)a); it;
         it = json_object_iter_next((json_t *)(uintptr_t)a, it)) {
        key = json_object_iter_key(it);
        v = json_object_get(b, key);
        if (v == NULL || !equal(json_object_iter_value(it), v))
            return false;
    }
    return true;
}

static json_t *
load(const char *text, size_t len)
{
    json_error_t err;
    json_t *v =
        json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &err);

    ck_assert_msg(v != NULL, "jansson: %s in %.200s", err.text, text);
    return v;
}

static void
assert_equal(const char *original, size_t len, const char *back, const char *what)
{
    json_t *a = load(original, len), *b = load(back, strlen(back));

    ck_assert_msg(equal(a, b), "%s: %.*s came back as %.2000s", what,
                  (int)(len < 2000 ? len : 2000), original, back);
    json_decref(a);
    json_decref(b);
}

/* Every line of a JSONL block that was parsed without rejects, in order. */
static void
assert_lines_come_back(const struct parsed *p, const struct ingest_block *b, const char *what)
{
    const char *line = (const char *)b->data.data, *end = line + b->data.len;
    uint64_t row = 0;

    ck_assert_msg(p->rows->rejects.count == 0, "%s: line %d: %s", what,
                  (int)p->rows->rejects.items[0].line, p->rows->rejects.items[0].detail);
    while (line < end) {
        const char *lf = memchr(line, '\n', (size_t)(end - line)), *stop = lf ? lf : end;
        char *back = parsed_json(p, row++);

        assert_equal(line, (size_t)(stop - line), back, what);
        free(back);
        line = stop + 1;
    }
    ck_assert_uint_eq(row, p->rows->n_rows);
}

/* The text's schema, and the rows as they come back, one per line. */
static void
assert_gives(const char *text, const char *schema, const char *back)
{
    struct parsed *p = parse_text(INGEST_JSONL, NULL, text);
    char all[8192] = "", *s = parsed_schema(p);

    ck_assert_str_eq(s, schema);
    ck_assert_msg(p->rows->rejects.count == 0, "%s", p->rows->rejects.items[0].detail);
    for (uint64_t i = 0; i < p->rows->n_rows; i++) {
        char *row = parsed_json(p, i);

        strncat(all, row, sizeof(all) - strlen(all) - 2);
        strcat(all, "\n");
        free(row);
    }
    ck_assert_str_eq(all, back);
    free(s);
    parsed_free(p);
}

/* _extra of the row, or "" */
static void
assert_extra(const struct parsed *p, uint64_t row, const char *text)
{
    const struct shard_array *a = &p->arrays[p->plan->extra];
    const int32_t *off = a->offsets + row;
    char got[4096];

    ck_assert(p->plan->extra >= 0);
    (void)snprintf(got, sizeof(got), "%.*s", off[1] - off[0],
                   off[1] > off[0] ? (const char *)a->values + off[0] : "");
    ck_assert_str_eq(got, text);
    ck_assert_int_eq(fmt_array_is_null(a, row), *text == '\0');
}

static void
assert_reject(enum ingest_format format, const char *text, size_t len, const char *reason)
{
    struct ingest_block *b = block_new(format, "input", NULL, text, len);
    struct parsed *p = parsed_new(NULL, &b, 1);

    parsed_block(p, b);
    ck_assert_msg(p->rows->rejects.count == 1 && p->rows->n_rows == 0, "%s: %d rejects, %d rows",
                  text, (int)p->rows->rejects.count, (int)p->rows->n_rows);
    ck_assert_str_eq(p->rows->rejects.items[0].reason, reason);
    parsed_free(p);
    ingest_block_free(b);
}

/* ------------------------------------------------------------------------------- inference */

START_TEST(test_nested_objects_become_dotted_columns)
{
    assert_gives("{\"a\":{\"b\":1,\"c\":{\"d\":\"x\"}},\"e\":true}\n{\"e\":false}\n",
                 "a.b:int64? a.c.d:string? e:bool? _extra:string?",
                 "{\"a\":{\"b\":1,\"c\":{\"d\":\"x\"}},\"e\":true}\n{\"e\":false}\n");
}
END_TEST

START_TEST(test_types_are_the_narrowest_that_hold_all)
{
    assert_gives("{\"i\":-1,\"u\":18446744073709551615,\"f\":1,\"l\":[1,2],\"m\":[1,0.5],"
                 "\"n\":[18446744073709551615],\"o\":[]}\n{\"f\":0.5,\"u\":0}\n",
                 "i:int64? u:uint64? f:float64? l:list<int64>? m:list<float64>? n:list<uint64>? "
                 "_extra:string?",
                 "{\"i\":-1,\"u\":18446744073709551615,\"f\":1.0,\"l\":[1,2],\"m\":[1.0,0.5],"
                 "\"n\":[18446744073709551615],\"o\":[]}\n{\"u\":0,\"f\":0.5}\n");
}
END_TEST

START_TEST(test_the_most_frequent_kind_is_the_type)
{
    assert_gives("{\"a\":\"x\"}\n{\"a\":1}\n{\"a\":2}\n{\"a\":null}\n{\"a\":{}}\n{\"a\":[\"x\"]}\n"
                 "{\"a\":{\"b\":1}}\n",
                 "a:int64? a.b:int64? _extra:string?",
                 "{\"a\":\"x\"}\n{\"a\":1}\n{\"a\":2}\n{\"a\":null}\n{\"a\":{}}\n{\"a\":[\"x\"]}\n"
                 "{\"a\":{\"b\":1}}\n");
}
END_TEST

START_TEST(test_merging_in_order_is_as_looking_at_all)
{
    const char *first = "{\"a\":1,\"b\":{\"c\":2}}\n",
               *second = "{\"d\":\"x\",\"a\":0.5,\"b\":{\"e\":1}}\n";
    struct ingest_block *b[2] = {block_new(INGEST_JSONL, "1", NULL, first, strlen(first)),
                                 block_new(INGEST_JSONL, "2", NULL, second, strlen(second))};
    struct parsed *all = parsed_new(NULL, b, 2);
    struct ingest_parse_opts opts = {0};
    struct ingest_infer *one, *two;
    struct ingest_plan *plan;

    ck_assert_int_eq(ingest_infer_new(&opts, &one), 0);
    ck_assert_int_eq(ingest_infer_new(&opts, &two), 0);
    ck_assert_int_eq(ingest_infer_block(one, b[0], NULL), 0);
    ck_assert_int_eq(ingest_infer_block(two, b[1], NULL), 0);
    ck_assert_int_eq(ingest_infer_merge(one, two), 0);
    ck_assert_int_eq(ingest_plan_make(&opts, one, &plan, NULL), 0);
    ck_assert(fmt_schema_equal(&plan->schema, &all->plan->schema));
    ck_assert_uint_eq(plan->schema.n_fields, 5);
    ingest_plan_free(plan);
    ingest_infer_free(one);
    ingest_infer_free(two);
    parsed_free(all);
    ingest_block_free(b[0]);
    ingest_block_free(b[1]);
}
END_TEST

/* ---------------------------------------------------------------------------------- _extra */

START_TEST(test_extra_holds_what_columns_cannot)
{
    static const char text[] =
        "{\"a\":1,\"b\":{\"c\":\"x\"}}\n"
        "{\"a\":null,\"b\":{\"c\":null}}\n"
        "{\"a\":1.5,\"b\":{\"c\":7,\"d\":[{\"e\":[]}]}}\n"
        "{\"a\":-0,\"b\":{},\"a.b\":1,\"\":2,\"_extra\":3}\n"
        "{\"a\":12345678901234567890123,\"b\":{\"c\":\"\\u0000\\ud83d\\ude00\"}}\n"
        "{}\n";
    struct ingest_block *b = block_new(INGEST_JSONL, "x", NULL, text, sizeof(text) - 1);
    struct ingest_block *head = block_new(INGEST_JSONL, "x", NULL, text, 23);
    struct parsed *p = parsed_new(NULL, &head, 1);
    char *row;

    parsed_block(p, b);
    assert_extra(p, 0, "");
    assert_extra(p, 1, "{\"a\":null,\"b\":{\"c\":null}}");
    assert_extra(p, 2, "{\"a\":1.5,\"b\":{\"c\":7,\"d\":[{\"e\":[]}]}}");
    assert_extra(p, 3, "{\"a\":-0,\"b\":{},\"a.b\":1,\"\":2,\"_extra\":3}");
    assert_extra(p, 4, "{\"a\":12345678901234567890123}");
    assert_extra(p, 5, "");
    row = parsed_json(p, 4);
    ck_assert_str_eq(row,
                     "{\"b\":{\"c\":\"\\u0000\xf0\x9f\x98\x80\"},\"a\":12345678901234567890123}");
    free(row);
    row = parsed_json(p, 5);
    ck_assert_str_eq(row, "{}");
    free(row);
    parsed_free(p);
    ingest_block_free(b);
    ingest_block_free(head);
}
END_TEST

/* What jansson cannot compare: the text itself must come back. */
START_TEST(test_numbers_that_no_type_holds_keep_their_text)
{
    static const char *const texts[] = {"{\"a\":0.5,\"b\":-0.0}",
                                        "{\"a\":1e400,\"b\":0.25}",
                                        "{\"b\":-1e-400,\"a\":0.5}",
                                        "{\"a\":0.5,\"b\":-0.0}",
                                        "{\"a\":18446744073709551616}",
                                        "{\"a\":9007199254740993}",
                                        "{\"a\":5e-324,\"b\":1.7976931348623157e+308}",
                                        "{\"a\":1e+22,\"b\":1e-05}"};
    char text[1024] = "", *row;
    struct parsed *p;

    for (size_t i = 0; i < BASE_ARRAY_LEN(texts); i++) {
        strcat(text, texts[i]);
        strcat(text, "\n");
    }
    p = parse_text(INGEST_JSONL, NULL, text);
    row = parsed_schema(p);
    ck_assert_str_eq(row, "a:float64? b:float64? _extra:string?");
    free(row);
    for (size_t i = 0; i < BASE_ARRAY_LEN(texts); i++) {
        row = parsed_json(p, i);
        if (i == 1)
            ck_assert_str_eq(row, "{\"b\":0.25,\"a\":1e400}");
        else if (i == 2)
            ck_assert_str_eq(row, "{\"a\":0.5,\"b\":-1e-400}");
        else
            ck_assert_str_eq(row, texts[i]);
        free(row);
    }
    parsed_free(p);
}
END_TEST

START_TEST(test_records_that_are_no_objects)
{
    assert_gives("5\n\"x\"\n6\n{\"value\":7,\"b\":1}\nnull\n[1,2]\n{}\n[]\n-7\n",
                 "b:int64? value:int64? _extra:string?",
                 "5\n\"x\"\n6\n{\"b\":1,\"value\":7}\nnull\n[1,2]\n{}\n[]\n-7\n");
}
END_TEST

START_TEST(test_array_elements_are_records_of_a_document)
{
    static const char text[] =
        " [ {\"a\" : 1 , \"s\":\"x]\"} ,\n 5, \"t,\" , [ 1 , {} ], {\"a\":[ ]} ] \n";
    struct parsed *p = parse_text(INGEST_JSON, NULL, text);
    static const char *const back[] = {"{\"a\":1,\"s\":\"x]\"}", "5", "\"t,\"", "[1,{}]",
                                       "{\"a\":[]}"};

    ck_assert_uint_eq(p->rows->n_rows, 5);
    for (size_t i = 0; i < 5; i++) {
        char *row = parsed_json(p, i);

        ck_assert_str_eq(row, back[i]);
        free(row);
    }
    parsed_free(p);
}
END_TEST

/* --------------------------------------------------------------------------------- rejects */

START_TEST(test_rejects_have_their_reason)
{
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"{\"a\":1,\"b\":{\"c\":1,\"c\":2}}", INGEST_BAD_JSON_DUPKEY},
        {"[{\"zz\":[{\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"\\u0063\":2}]}]",
         INGEST_BAD_JSON_DUPKEY},
        {"{\"a\":\"\\ud800\"}", INGEST_BAD_JSON},
        {"{\"a\":\"\\udc00\"}", INGEST_BAD_JSON},
        {"{\"a\":\"\\ud800\\ud800\"}", INGEST_BAD_JSON},
        {"{\"\\ud800\":1}", INGEST_BAD_JSON},
        {"{\"a\":\"\xff\"}", INGEST_BAD_UTF8},
        {"{\"a\":\"\xed\xa0\x80\"}", INGEST_BAD_UTF8},
        {"{\"a\":1", INGEST_BAD_JSON},
        {"{\"a\":1}}", INGEST_BAD_JSON},
        {"{\"a\":1} {\"a\":1}", INGEST_BAD_JSON},
        {"{\"a\":01}", INGEST_BAD_JSON},
        {"{\"a\":+1}", INGEST_BAD_JSON},
        {"{\"a\":.5}", INGEST_BAD_JSON},
        {"{\"a\":1.}", INGEST_BAD_JSON},
        {"{\"a\":nul}", INGEST_BAD_JSON},
        {"{\"a\":NaN}", INGEST_BAD_JSON},
        {"{\"a\" 1}", INGEST_BAD_JSON},
        {"{a:1}", INGEST_BAD_JSON},
        {"{\"a\":1,}", INGEST_BAD_JSON},
        {"[1,]", INGEST_BAD_JSON},
        {"[1 2]", INGEST_BAD_JSON},
        {"1 2", INGEST_BAD_JSON},
        {"\"a\" \"b\"", INGEST_BAD_JSON},
        {"{\"a\":\"\\x\"}", INGEST_BAD_JSON},
        {"{\"a\":\"\\u12g4\"}", INGEST_BAD_JSON},
        {"{\"a\":\"\t\"}", INGEST_BAD_JSON},
        {"{\"a\":\"x\"y}", INGEST_BAD_JSON},
        {"{\"a\"x:1}", INGEST_BAD_JSON},
        {"{\"a\":\"x\"\"y\"}", INGEST_BAD_JSON},
        {"{1:2}", INGEST_BAD_JSON},
        {"]", INGEST_BAD_JSON},
        {"{\"a\":1]", INGEST_BAD_JSON},
        {"[\"a\"}", INGEST_BAD_JSON},
        {"{\"a\":}", INGEST_BAD_JSON},
        {"{,}", INGEST_BAD_JSON},
        {"{\"a\":1,,\"b\":2}", INGEST_BAD_JSON},
        {"[,1]", INGEST_BAD_JSON},
        {"[1,\"a\",\"k\":[]},{}]", INGEST_BAD_JSON},
        {"{\"c\":\"d\":null,\"e\":1}}", INGEST_BAD_JSON},
        {"{\"a\":1:2}", INGEST_BAD_JSON},
        {"tru", INGEST_BAD_JSON},
        {"\"", INGEST_BAD_JSON}};

    for (size_t i = 0; i < BASE_ARRAY_LEN(cases); i++)
        assert_reject(INGEST_JSONL, cases[i].text, strlen(cases[i].text), cases[i].reason);
}
END_TEST

START_TEST(test_nesting_has_a_limit)
{
    char text[4096], back[4100];

    memset(text, '[', 1025);
    memset(text + 1025, ']', 1025);
    assert_reject(INGEST_JSONL, text, 2050, INGEST_BAD_JSON_DEPTH);
    memset(text, '[', 1024);
    memset(text + 1024, ']', 1024);
    text[2048] = '\0';
    (void)stpcpy(stpcpy(back, text), "\n");
    assert_gives(text, "_extra:string?", back);
}
END_TEST

START_TEST(test_a_reject_tells_its_place_and_hurts_no_other)
{
    static const char text[] = "{\"a\":1}\n\n{\"a\":}\n  \n{\"a\":2}\r\nx\n{\"a\":3}";
    struct parsed *p = parse_text(INGEST_JSONL, NULL, text);
    const struct ingest_reject *j = p->rows->rejects.items;

    ck_assert_uint_eq(p->rows->n_rows, 3);
    ck_assert_uint_eq(p->rows->rejects.count, 2);
    ck_assert_uint_eq(j[0].line, 3);
    ck_assert_uint_eq(j[0].offset, 9);
    ck_assert_uint_eq(j[0].length, 6);
    ck_assert_int_eq(memcmp(j[0].raw, "{\"a\":}", 6), 0);
    ck_assert_uint_eq(j[1].line, 6);
    ck_assert_uint_eq(j[1].offset, 28);
    parsed_free(p);
}
END_TEST

START_TEST(test_a_broken_document_gives_no_rows)
{
    static const char text[] = "[{\"a\":1},{\"a\":2,\"a\":3},{\"a\":4},{\"a\":5}";

    assert_reject(INGEST_JSON, text, strlen(text), INGEST_BAD_JSON);
}
END_TEST

/* ----------------------------------------------------------------------------------- options */

/* Only the first line is the sample. */
static struct parsed *
parse_with(const struct ingest_parse_opts *opts, const char *text)
{
    struct ingest_block *b = block_new(INGEST_JSONL, "dir/en/x", NULL, text, strlen(text));
    struct ingest_block *sample =
        block_new(INGEST_JSONL, "dir/en/x", NULL, text, strcspn(text, "\n"));
    struct parsed *p = parsed_new(opts, &sample, 1);

    parsed_block(p, b);
    ingest_block_free(b);
    ingest_block_free(sample);
    return p;
}

static void
assert_rows(struct parsed *p, const char *schema, const char *const *back, size_t n)
{
    char *s = parsed_schema(p);

    ck_assert_str_eq(s, schema);
    free(s);
    ck_assert_uint_eq(p->rows->n_rows, n);
    for (size_t i = 0; i < n; i++) {
        s = parsed_json(p, i);
        ck_assert_str_eq(s, back[i]);
        free(s);
    }
    parsed_free(p);
}

START_TEST(test_columns_are_a_projection)
{
    char *columns[] = {(char[]){"c"}, (char[]){"a"}};
    struct ingest_parse_opts opts = {.columns = columns, .n_columns = 2};
    static const char *const back[] = {"{\"c\":{\"d\":2},\"a\":1}", "{\"a\":\"x\"}",
                                       "{\"a\":null}"};

    assert_rows(parse_with(&opts, "{\"a\":1,\"b\":1,\"c\":{\"d\":2}}\n{\"a\":\"x\",\"b\":\"y\"}\n"
                                  "{\"z\":0,\"a\":null,\"c\":7}\n"),
                "c.d:int64? a:int64? _extra:string?", back, 3);
}
END_TEST

START_TEST(test_renamed_columns_take_their_misfits_along)
{
    struct ingest_rename renames[] = {{(char[]){"a"}, (char[]){"b"}},
                                      {(char[]){"c.d"}, (char[]){"c.e"}},
                                      {(char[]){"c.f"}, (char[]){"g.h"}}};
    struct ingest_parse_opts opts = {.renames = renames, .n_renames = 3};
    static const char *const back[] = {
        "{\"b\":1,\"c\":{\"e\":2},\"g\":{\"h\":3}}",
        "{\"b\":\"x\",\"c\":{\"e\":\"y\"},\"g\":{\"i\":[],\"h\":\"z\"}}"};
    struct parsed *p =
        parse_with(&opts, "{\"a\":1,\"c\":{\"d\":2,\"f\":3}}\n"
                          "{\"a\":\"x\",\"c\":{\"d\":\"y\",\"f\":\"z\"},\"g\":{\"i\":[]}}\n"
                          "{\"b\":1}\n{\"g\":{\"h\":1}}\n");

    ck_assert_uint_eq(p->rows->rejects.count, 2); /* keys that have the new names */
    assert_extra(p, 1, "{\"b\":\"x\",\"c\":{\"e\":\"y\"},\"g\":{\"i\":[],\"h\":\"z\"}}");
    assert_rows(p, "b:int64? c.e:int64? g.h:int64? _extra:string?", back, 2);
}
END_TEST

START_TEST(test_a_given_schema_rejects_what_does_not_fit)
{
    struct ingest_parse_opts opts = {
        .schema = "a:int8, b:float32?, c.d:string?, e:list<uint8>?, f:bool?"};
    static const char *const back[] = {
        "{\"a\":1,\"b\":0.1,\"c\":{\"d\":\"x\"},\"e\":[1,255],\"f\":true}", "{\"a\":-128}"};
    struct parsed *p = parse_with(
        &opts, "{\"a\":1,\"b\":0.1,\"c\":{\"d\":\"x\"},\"e\":[1,255],\"f\":true,\"z\":1}\n"
               "{\"a\":-128,\"b\":null}\n{\"a\":128}\n{\"b\":1}\n{\"a\":null}\n"
               "{\"a\":1,\"e\":[256]}\n{\"a\":1,\"c\":{\"d\":1}}\n{\"a\":1,\"f\":1}\n7\n");

    ck_assert_uint_eq(p->rows->rejects.count, 7);
    ck_assert_str_eq(p->rows->rejects.items[0].column, "a");
    ck_assert_str_eq(p->rows->rejects.items[0].reason, INGEST_BAD_TYPE);
    ck_assert_str_eq(p->rows->rejects.items[4].column, "c.d");
    assert_rows(p, "a:int8 b:float32? c.d:string? e:list<uint8>? f:bool?", back, 2);
}
END_TEST

START_TEST(test_too_many_keys_go_to_extra)
{
    struct ingest_parse_opts opts = {.max_columns = 2};
    static const char *const back[] = {"{\"a\":1,\"b\":2,\"c\":3}"};

    assert_rows(parse_with(&opts, "{\"a\":1,\"b\":2,\"c\":3}\n"),
                "a:int64? b:int64? _extra:string?", back, 1);
}
END_TEST

/* --------------------------------------------------------------------------------- properties */

static const char *const keys[] = {"a",
                                   "b",
                                   "c",
                                   "k.d",
                                   "",
                                   "value",
                                   "_extra",
                                   "\xc3\xa9",
                                   "q\\\"uote",
                                   "new\\nline",
                                   "long key with blanks",
                                   "a"};

static void
put(char **o, const char *text)
{
    *o = stpcpy(*o, text);
}

/* Random JSON; depth bounds it. Each key leans to one kind, so that columns and misfits arise. */
static void
random_value(char **o, uint64_t *seed, int depth, unsigned leaning)
{
    static const char *const scalars[] = {"null",
                                          "true",
                                          "false",
                                          "0",
                                          "-1",
                                          "7",
                                          "9223372036854775807",
                                          "-9223372036854775808",
                                          "0.1",
                                          "-0.0",
                                          "1e300",
                                          "2.5",
                                          "1E-7",
                                          "123456.789",
                                          "\"\"",
                                          "\"x\"",
                                          "\"\\u0000\"",
                                          "\"\\ud83d\\ude00 \\\\ \\\" \\/\\b\\f\\n\\r\\t\"",
                                          "\"\xe2\x82\xac\"",
                                          "[]",
                                          "{}",
                                          "[1,2,3]",
                                          "[0.5,1]",
                                          "[-1]",
                                          "[[]]",
                                          "[null]",
                                          "[\"x\",1]",
                                          "[{\"a\":1,\"b\":[]}]"};
    uint64_t x = next_random(seed);

    if (x % 4 == 0)
        put(o, scalars[(x >> 8) % BASE_ARRAY_LEN(scalars)]);
    else if (leaning % 5 == 0)
        *o += sprintf(*o, "%d", (int)(x >> 40) - 8000000);
    else if (leaning % 5 == 1)
        *o += sprintf(*o, "\"s%d\"", (int)(x >> 40));
    else if (leaning % 5 == 2)
        *o += sprintf(*o, "%.17g", (double)(x >> 12) / 1e12);
    else if (leaning % 5 == 3)
        put(o, x & 1024 ? "true" : "false");
    else if (depth > 0) {
        const unsigned first = (unsigned)(x >> 20) % 11, n = (unsigned)(x >> 30) % 5;

        put(o, "{");
        for (unsigned i = 0; i < n; i++) {
            *o += sprintf(*o, "%s\"%s\": ", i ? ", " : "", keys[(first + i) % 11]);
            random_value(o, seed, depth - 1, leaning / 5 + first + i);
        }
        put(o, "}");
    } else {
        put(o, "[1, 2]");
    }
}

START_TEST(test_any_records_come_back_equal)
{
    uint64_t seed = 0x9e3779b97f4a7c15u * (uint64_t)(_i + 1);
    char *text = malloc(1 << 20), *o = text, what[64];
    size_t half = 0;
    struct ingest_block *sample, *b;
    struct parsed *p;

    (void)snprintf(what, sizeof(what), "seed %d", _i);
    for (int i = 0; i < 200; i++) {
        random_value(&o, &seed, 3, next_random(&seed) % 9 ? 4 : (unsigned)next_random(&seed));
        put(&o, "\n");
        if (i == 100)
            half = (size_t)(o - text);
    }
    sample = block_new(INGEST_JSONL, "x", NULL, text, half);
    b = block_new(INGEST_JSONL, "x", NULL, text, (size_t)(o - text));
    p = parsed_new(NULL, &sample, 1);
    parsed_block(p, b);
    assert_lines_come_back(p, b, what);
    parsed_free(p);
    ingest_block_free(sample);
    ingest_block_free(b);
    free(text);
}
END_TEST

/* ---------------------------------------------------------------------------------- real data */

static void
check_lines(const char *folder, const char *path, uint64_t n)
{
    struct ingest_block *b = block_from_file(INGEST_JSONL, folder, path);
    struct parsed *p = parsed_new(NULL, &b, 1);

    parsed_block(p, b);
    ck_assert_uint_eq(p->rows->n_rows, n);
    assert_lines_come_back(p, b, path);
    parsed_free(p);
    ingest_block_free(b);
}

START_TEST(test_jsonl_files_come_back)
{
    static const char *const persona[] = {
        "agreeableness",          "conscientiousness", "extraversion",      "interest-in-art",
        "interest-in-literature", "interest-in-math",  "interest-in-music", "interest-in-science",
        "interest-in-sports",     "neuroticism",       "openness"};
    const char *folder = data_folder("jsonl_files_come_back");
    char path[256];

    if (folder == NULL)
        return;
    check_lines(folder, "gsm8k/train.jsonl", 7473);
    check_lines(folder, "gsm8k/test.jsonl", 1319);
    check_lines(folder, "json_examples/amazon_cellphones.ndjson", 793);
    for (size_t i = 0; i < BASE_ARRAY_LEN(persona); i++) {
        (void)snprintf(path, sizeof(path), "persona_jsonl/%s.jsonl", persona[i]);
        check_lines(folder, path, 1000);
    }
}
END_TEST

static void
check_document(const char *folder, const char *path, uint64_t n)
{
    struct ingest_block *b = block_from_file(INGEST_JSON, folder, path);
    struct parsed *p = parsed_new(NULL, &b, 1);
    json_t *doc = load((const char *)b->data.data, b->data.len);

    parsed_block(p, b);
    ck_assert_msg(p->rows->rejects.count == 0, "%s", path);
    ck_assert_uint_eq(p->rows->n_rows, n);
    for (uint64_t i = 0; i < n; i++) {
        char *row = parsed_json(p, i);
        json_t *back = load(row, strlen(row));

        ck_assert_msg(equal(json_is_array(doc) ? json_array_get(doc, i) : doc, back), "%s %d", path,
                      (int)i);
        json_decref(back);
        free(row);
    }
    json_decref(doc);
    parsed_free(p);
    ingest_block_free(b);
}

START_TEST(test_documents_come_back)
{
    const char *folder = data_folder("documents_come_back");

    if (folder == NULL)
        return;
    check_document(folder, "json_examples/twitter.json", 1);
    check_document(folder, "json_examples/twitterescaped.json", 1);
    check_document(folder, "json_examples/citm_catalog.json", 1);
    check_document(folder, "json_examples/github_events.json", 30);
    check_document(folder, "json_examples/numbers.json", 10001);
    check_document(folder, "naughty_strings/blns.json", 515);
}
END_TEST

START_TEST(test_json_test_suite)
{
    const char *folder = data_folder("json_test_suite");
    int n_y = 0, n_n = 0, n_i = 0;
    char path[512];
    struct dirent *e;
    DIR *dir;

    if (folder == NULL)
        return;
    (void)snprintf(path, sizeof(path), "%s/json_test_suite/test_parsing", folder);
    dir = opendir(path);
    ck_assert_ptr_nonnull(dir);
    while ((e = readdir(dir)) != NULL) {
        struct ingest_block *b;
        struct parsed *p;
        bool one_record;

        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "json_test_suite/test_parsing/%s", e->d_name);
        b = block_from_file(INGEST_JSON, folder, path);
        p = parsed_new(NULL, &b, 1);
        parsed_block(p, b);
        /* Each file is one document; an array's elements are rows of their own. */
        one_record = p->rows->rejects.count == 0;
        if (e->d_name[0] == 'y' && strstr(e->d_name, "duplicated_key") == NULL)
            ck_assert_msg(one_record, "%s: %s", path, p->rows->rejects.items[0].detail);
        if (e->d_name[0] == 'n' && b->data.len)
            ck_assert_msg(!one_record && p->rows->n_rows == 0, "%s was accepted", path);
        n_y += e->d_name[0] == 'y';
        n_n += e->d_name[0] == 'n';
        n_i += e->d_name[0] == 'i';
        parsed_free(p);
        ingest_block_free(b);
    }
    (void)closedir(dir);
    ck_assert_int_eq(n_y, 48);
    ck_assert_int_eq(n_n, 95);
    ck_assert_int_eq(n_i, 18);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("json");
    TCase *tc = tcase_create("inference");

    tcase_add_test(tc, test_nested_objects_become_dotted_columns);
    tcase_add_test(tc, test_types_are_the_narrowest_that_hold_all);
    tcase_add_test(tc, test_the_most_frequent_kind_is_the_type);
    tcase_add_test(tc, test_merging_in_order_is_as_looking_at_all);
    suite_add_tcase(s, tc);
    tc = tcase_create("records");
    tcase_add_test(tc, test_extra_holds_what_columns_cannot);
    tcase_add_test(tc, test_numbers_that_no_type_holds_keep_their_text);
    tcase_add_test(tc, test_records_that_are_no_objects);
    tcase_add_test(tc, test_array_elements_are_records_of_a_document);
    tcase_add_test(tc, test_rejects_have_their_reason);
    tcase_add_test(tc, test_nesting_has_a_limit);
    tcase_add_test(tc, test_a_reject_tells_its_place_and_hurts_no_other);
    tcase_add_test(tc, test_a_broken_document_gives_no_rows);
    suite_add_tcase(s, tc);
    tc = tcase_create("options");
    tcase_add_test(tc, test_columns_are_a_projection);
    tcase_add_test(tc, test_renamed_columns_take_their_misfits_along);
    tcase_add_test(tc, test_a_given_schema_rejects_what_does_not_fit);
    tcase_add_test(tc, test_too_many_keys_go_to_extra);
    suite_add_tcase(s, tc);
    tc = tcase_create("properties");
    tcase_add_loop_test(tc, test_any_records_come_back_equal, 0, 20);
    suite_add_tcase(s, tc);
    tc = tcase_create("data");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_jsonl_files_come_back);
    tcase_add_test(tc, test_documents_come_back);
    tcase_add_test(tc, test_json_test_suite);
    suite_add_tcase(s, tc);
    return test_run(s);
}
