/* Filters: the language, exact comparisons, three-valued logic, and that statistics never leave out a
 * row that is wanted. The property test makes random expressions as trees, writes them as text, and
 * compares what the filter selects with a walk over the tree, row by row, in long double. */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/compiler.h"
#include "shardfmt/bits.h"
#include "shardfmt/filter.h"
#include "shardfmt/shard_stats.h"
#include "shardfmt/stats.h"
#include "tests/fmt_util.h"
#include "tests/random.h"
#include "tests/suite.h"

static struct shard_error err;

/* ------------------------------------------------------------------------------- the language */

#define COLUMNS                                                                                    \
    "i:int64?,u:uint64,b:bool?,f:float32?,d:float64,s:string?,x:binary,l:list<int32>?,a.b:int8,ls:list<string>,t:tensor<int8,2>,h:float16,"    \
    "and:int32,length:int32"

START_TEST(test_mistakes_are_pointed_at)
{
    static const struct {
        const char *text, *word;
        size_t at;
    } cases[] = {
        {"", "name of a column is expected, not the end", 0},
        {"  i = ", "a number", 6},
        {"i = 5 AND", "not the end", 9},
        {"i = 5 x", "AND, OR or the end is expected, not x", 6},
        {"nope = 1", "no column nope", 0},
        {"\"no pe\" = 1", "no column \"no pe\"", 0},
        {"i = 5 OR (u = 1", "AND, OR or )", 15},
        {"i = 'a'", "'i' is int64? and cannot be compared with a string", 4},
        {"s = 5", "cannot be compared with a number", 4},
        {"s = true", "cannot be compared with true or false", 4},
        {"b = 1", "cannot be compared with a number", 4},
        {"b < true", "no order", 4},
        {"l = 5", "only IS NULL and length()", 0},
        {"l IN (5)", "only IS NULL and length()", 0},
        {"length(i) = 5", "has no length", 0},
        {"length(t) = 2", "has no length", 0},
        {"ls = 'a'", "only IS NULL and length()", 0},
        {"h = 'a'", "cannot be compared with a string", 4},
        {"length(s) = 'a'", "a length is compared", 12},
        {"i = NULL", "write IS NULL", 4},
        {"i IN (1, NULL)", "write IS NULL", 9},
        {"i = u", "with a literal only", 4},
        {"s = \"de\"", "single quotes", 4},
        {"1 = 1", "two literals", 0},
        {"1", "a comparison", 1},
        {"i", "a comparison, IN, LIKE", 1},
        {"b NOT", "IN, LIKE or BETWEEN", 5},
        {"i IS 5", "NULL, NOT NULL or NAN", 5},
        {"i IS NAN", "floats only", 0},
        {"i LIKE 'a'", "strings and binary", 0},
        {"s LIKE 'a\\b'", "in a pattern", 7},
        {"s LIKE 'a\\'", "in a pattern", 7},
        {"i BETWEEN 1 OR 2", "BETWEEN 1 AND 5", 12},
        {"i IN 5", "( behind IN", 5},
        {"i IN ()", "a number", 6},
        {"i IN (1 2)", ", or )", 8},
        {"s = 'abc", "this string has no end", 4},
        {"\"s = 5", "this name has no end", 0},
        {"x = x'0'", "pairs of the digits", 4},
        {"x = x'0g'", "pairs of the digits", 4},
        {"i = 18446744073709551616", "beyond 64 bits", 4},
        {"i = 1e999", "'1e999' is no number that float64 can hold", 4},
        {"i = 0x10", "'0x10' is no number: those are decimal", 4},
        {"i = 1.2.3", "'1.2.3' is no number: those are decimal", 4},
        {"i = 5e", "'5e' is no number: those are decimal", 4},
        {"i = 12abc", "no number", 4},
        {"i = 0x10", "no number", 4},
        {"i = 1.2.3", "no number", 4},
        {"i % 2 = 1", "means nothing here", 2},
        {"i = 5;", "means nothing here", 5},
        {"i - u = 5", "quote a name", 2},
    };
    struct fmt_schema s;

    ck_assert_int_eq(fmt_util_schema(COLUMNS, &s, &err), 0);
    for (size_t i = 0; i < BASE_ARRAY_LEN(cases); i++) {
        struct fmt_filter *f = NULL;
        size_t at = 999;
        int r = fmt_filter_parse(cases[i].text, &s, &f, &at, &err);

        ck_assert_msg(r == SHARD_EPARSE, "%s gives %d", cases[i].text, r);
        ck_assert_msg(strstr(err.text, cases[i].word) != NULL, "%s: %s", cases[i].text, err.text);
        ck_assert_msg(at == cases[i].at, "%s: at %zu: %s", cases[i].text, at, err.text);
        ck_assert_ptr_null(f);
    }
    fmt_schema_done(&s);
}
END_TEST

START_TEST(test_hostile_expressions_end_soon)
{
    const size_t len = 60000;
    struct fmt_filter *f = NULL;
    struct fmt_schema s;
    char *text = malloc(len * 3);

    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq(fmt_util_schema(COLUMNS, &s, &err), 0);
    memset(text, '(', len);
    text[len] = '\0';
    ck_assert_int_eq(fmt_filter_parse(text, &s, &f, NULL, &err), SHARD_EPARSE);
    ck_assert_ptr_nonnull(strstr(err.text, "nested"));
    memset(text, '!', len);
    ck_assert_int_eq(fmt_filter_parse(text, &s, &f, NULL, &err), SHARD_EPARSE);
    ck_assert_ptr_nonnull(strstr(err.text, "nested"));
    memset(text, ' ', len * 2);
    text[len * 2] = '\0';
    ck_assert_int_eq(fmt_filter_parse(text, &s, &f, NULL, &err), SHARD_EPARSE);
    ck_assert_ptr_nonnull(strstr(err.text, "120000 bytes"));
    for (size_t i = 0; i < 9000; i++) /* a long chain is not a deep one */
        memcpy(text + 6 * i, "b OR  ", 6);
    memcpy(text + 54000, "b", 2);
    ck_assert_int_eq(fmt_filter_parse(text, &s, &f, NULL, &err), 0);
    fmt_filter_free(f);
    fmt_schema_done(&s);
    free(text);
}
END_TEST

/* ------------------------------------------------------------------------------ single columns */

/* How many rows of one column the expression selects, and that the others are those of which it is
 * false or unknown. want: 't', 'f' or 'u' for each row. */
static void
check_rows(const char *text, const char *column, const struct fmt_column *c, const char *want)
{
    struct fmt_filter *f = NULL, *not = NULL;
    uint8_t is[8], isnt[8];
    struct fmt_schema s;
    struct shard_array a;
    char other[256];

    (void)snprintf(other, sizeof(other), "NOT (%s)", text);
    ck_assert_int_eq(fmt_util_schema(column, &s, &err), 0);
    ck_assert_msg(fmt_filter_parse(text, &s, &f, NULL, &err) == 0, "%s: %s", text, err.text);
    ck_assert_int_eq(fmt_filter_parse(other, &s, &not, NULL, &err), 0);
    fmt_column_array(c, &a);
    (void)fmt_filter_eval(f, &a, a.n_rows, is);
    (void)fmt_filter_eval(not, &a, a.n_rows, isnt);
    ck_assert_uint_eq(strlen(want), a.n_rows);
    for (uint64_t i = 0; i < a.n_rows; i++) {
        const char have = fmt_bits_get(is, i) ? 't' : fmt_bits_get(isnt, i) ? 'f' : 'u';

        ck_assert_msg(have == want[i], "%s: row %" PRIu64 " is %c", text, i, have);
    }
    fmt_filter_free(f);
    fmt_filter_free(not);
    fmt_schema_done(&s);
}

static void
put_i64(struct fmt_column *c, int64_t v)
{
    ck_assert_int_eq(fmt_column_append_number(c, &v), 0);
}

START_TEST(test_integers_are_compared_exactly)
{
    const int64_t two53 = INT64_C(1) << 53;
    struct fmt_column c;

    fmt_column_init(&c, SHARD_TYPE_INT64, 0);
    put_i64(&c, two53);
    put_i64(&c, two53 + 1);
    put_i64(&c, INT64_MAX);
    put_i64(&c, INT64_MIN);
    put_i64(&c, -1);
    check_rows("c = 9007199254740993", "c:int64", &c, "ftfff");
    check_rows("c = 9007199254740992.0", "c:int64", &c, "tffff");
    check_rows("c > 9007199254740992.0", "c:int64", &c, "fttff");
    check_rows("c < 9223372036854775807", "c:int64", &c, "ttftt");
    check_rows("c < 9223372036854775808.0", "c:int64", &c, "ttttt");
    check_rows("c = 9223372036854775808", "c:int64", &c, "fffff");
    check_rows("c <= 18446744073709551615", "c:int64", &c, "ttttt");
    check_rows("c >= -9223372036854775808", "c:int64", &c, "ttttt");
    check_rows("c > -9223372036854775808", "c:int64", &c, "tttft");
    check_rows("c < -9223372036854775809.0", "c:int64", &c, "fffff");
    check_rows("c <> -18446744073709551615", "c:int64", &c, "ttttt");
    check_rows("c < -1e300", "c:int64", &c, "fffff");
    check_rows("c < 1e300", "c:int64", &c, "ttttt");
    check_rows("c > -1.5", "c:int64", &c, "tttft");
    check_rows("c < -0.5", "c:int64", &c, "ffftt");
    check_rows("c <= -1.5", "c:int64", &c, "ffftf");
    check_rows("c = -0.5", "c:int64", &c, "fffff");
    check_rows("c <> -0.5", "c:int64", &c, "ttttt");
    check_rows("-1 = c", "c:int64", &c, "fffft");
    check_rows("-1 < c", "c:int64", &c, "tttff");
    check_rows("-1 >= c", "c:int64", &c, "ffftt");
    check_rows("c IN (-1, 9007199254740993, -1, 0.5)", "c:int64", &c, "ftfft");
    fmt_column_done(&c);
}
END_TEST

START_TEST(test_floats_are_compared_by_value)
{
    static const double values[] = {0.0, -0.0, NAN, INFINITY, -INFINITY, 9007199254740992.0, 0.1};
    static const float floats[] = {0.1f, 16777216.0f, 1e-45f};
    struct fmt_column c;

    fmt_column_init(&c, SHARD_TYPE_FLOAT64, 0);
    for (size_t i = 0; i < BASE_ARRAY_LEN(values); i++)
        ck_assert_int_eq(fmt_column_append_number(&c, &values[i]), 0);
    ck_assert_int_eq(fmt_column_append_null(&c), 0);
    check_rows("c = 0", "c:float64?", &c, "ttfffffu");
    check_rows("c >= -0.0", "c:float64?", &c, "ttftfttu");
    check_rows("c < 0", "c:float64?", &c, "fffftffu");
    check_rows("c <> 0", "c:float64?", &c, "fftttttu");
    check_rows("c > 1.7976931348623157e308", "c:float64?", &c, "ffftfffu");
    check_rows("c > 9007199254740993", "c:float64?", &c, "ffftfffu");
    check_rows("c >= 9007199254740993", "c:float64?", &c, "ffftfffu");
    check_rows("c < 9007199254740993", "c:float64?", &c, "ttffttt" "u");
    check_rows("c > 9007199254740991", "c:float64?", &c, "ffftftfu");
    check_rows("c = 9007199254740993", "c:float64?", &c, "fffffffu");
    check_rows("c <= 18446744073709551615", "c:float64?", &c, "ttffttt" "u");
    check_rows("c = 0.1", "c:float64?", &c, "fffffftu");
    check_rows("c IS NAN", "c:float64?", &c, "fftffffu");
    check_rows("c IS NOT NAN", "c:float64?", &c, "ttfttttu");
    check_rows("c IS NULL", "c:float64?", &c, "ffffffft");
    check_rows("c IS NOT NULL", "c:float64?", &c, "tttttttf");
    check_rows("c NOT IN (0, 0.1)", "c:float64?", &c, "ffttttfu");
    check_rows("c BETWEEN 0 AND 1", "c:float64?", &c, "ttfffftu");
    check_rows("c NOT BETWEEN 0 AND 1", "c:float64?", &c, "fftttt" "fu");
    fmt_column_done(&c);
    fmt_column_init(&c, SHARD_TYPE_FLOAT32, 0);
    for (size_t i = 0; i < BASE_ARRAY_LEN(floats); i++)
        ck_assert_int_eq(fmt_column_append_number(&c, &floats[i]), 0);
    check_rows("c > 0.1", "c:float32", &c, "ttf"); /* 0.1f is 0.10000000149 */
    check_rows("c = 0.1", "c:float32", &c, "fff");
    check_rows("c = 0.100000001490116119384765625", "c:float32", &c, "tff");
    check_rows("c >= 16777217", "c:float32", &c, "fff");
    check_rows("c > 0", "c:float32", &c, "ttt");
    fmt_column_done(&c);
}
END_TEST

START_TEST(test_strings_are_compared_bytewise)
{
    static const char *const values[] = {"", "a", "ab", "b", "\xc3\xa4", "a%b", "it's", "A", "a\nb"};
    struct fmt_column c;

    fmt_column_init(&c, SHARD_TYPE_STRING, 0);
    for (size_t i = 0; i < BASE_ARRAY_LEN(values); i++)
        ck_assert_int_eq(fmt_column_append_bytes(&c, values[i], strlen(values[i])), 0);
    ck_assert_int_eq(fmt_column_append_bytes(&c, "a\0", 2), 0);
    ck_assert_int_eq(fmt_column_append_null(&c), 0);
    check_rows("c = ''", "c:string?", &c, "tfffffffffu");
    check_rows("c > 'a'", "c:string?", &c, "fftttttfttu");
    check_rows("c <= 'a'", "c:string?", &c, "ttfffff" "t" "ffu");
    check_rows("c = 'it''s'", "c:string?", &c, "fffffftfffu");
    check_rows("c = x'6100'", "c:string?", &c, "ffffffffftu");
    check_rows("c LIKE 'a%'", "c:string?", &c, "fttfftffttu");
    check_rows("c LIKE '_'", "c:string?", &c, "ftfttfftffu");
    check_rows("c LIKE 'a_b'", "c:string?", &c, "fffff" "t" "ff" "t" "fu");
    check_rows("c LIKE 'a\\%b'", "c:string?", &c, "ffffftffffu");
    check_rows("c LIKE '%b'", "c:string?", &c, "ffttf" "t" "ff" "t" "fu");
    check_rows("c LIKE '%'", "c:string?", &c, "ttttttttttu");
    check_rows("c LIKE ''", "c:string?", &c, "tfffffffffu");
    check_rows("c NOT LIKE '%t%'", "c:string?", &c, "ttttttftttu");
    check_rows("c LIKE '%a%b%'", "c:string?", &c, "fftff" "t" "ff" "t" "fu");
    check_rows("c IN ('b', 'a', '', 'b')", "c:string?", &c, "ttftffffffu");
    check_rows("c not in ('b', 'a', '', 'b')", "c:string?", &c, "fftfttttttu");
    check_rows("c BETWEEN 'a' AND 'b'", "c:string?", &c, "ftttf" "t" "ff" "ttu");
    check_rows("length(c) = 2", "c:string?", &c, "fftft" "ffff" "tu");
    check_rows("LENGTH ( c ) >= 2.5", "c:string?", &c, "fffff" "tt" "f" "t" "fu");
    check_rows("length(c) IS NULL", "c:string?", &c, "ffffffffff" "t");
    fmt_column_done(&c);
}
END_TEST

START_TEST(test_like_does_not_take_exponential_time)
{
    char value[20001], pattern[64], want[] = "f";
    struct fmt_column c;

    memset(value, 'a', 20000);
    value[20000] = '\0';
    (void)snprintf(pattern, sizeof(pattern), "c LIKE '%s'", "%a%a%a%a%a%a%a%a%a%a%a%a%a%b");
    fmt_column_init(&c, SHARD_TYPE_BINARY, 0);
    ck_assert_int_eq(fmt_column_append_bytes(&c, value, 20000), 0);
    check_rows(pattern, "c:binary", &c, want);
    fmt_column_done(&c);
}
END_TEST

START_TEST(test_logic_has_three_values)
{
    struct fmt_column c;

    fmt_column_init(&c, SHARD_TYPE_BOOL, 0);
    ck_assert_int_eq(fmt_column_append_bool(&c, true), 0);
    ck_assert_int_eq(fmt_column_append_bool(&c, false), 0);
    ck_assert_int_eq(fmt_column_append_null(&c), 0);
    check_rows("c", "c:bool?", &c, "tfu");
    check_rows("NOT c", "c:bool?", &c, "ftu");
    check_rows("c AND true", "c:bool?", &c, "tfu");
    check_rows("c AND false", "c:bool?", &c, "fff");
    check_rows("c OR true", "c:bool?", &c, "ttt");
    check_rows("c OR false", "c:bool?", &c, "tfu");
    check_rows("c AND c", "c:bool?", &c, "tfu");
    check_rows("c OR NOT c", "c:bool?", &c, "ttu");
    check_rows("c AND NOT c", "c:bool?", &c, "ffu");
    check_rows("c = false", "c:bool?", &c, "ftu");
    check_rows("c <> true", "c:bool?", &c, "ftu");
    check_rows("c IN (true, false)", "c:bool?", &c, "ttu");
    check_rows("true", "c:bool?", &c, "ttt");
    check_rows("false OR c && !false", "c:bool?", &c, "tfu");
    check_rows("true OR true AND false", "c:bool?", &c, "ttt"); /* AND binds closer */
    check_rows("(true OR true) AND false", "c:bool?", &c, "fff");
    check_rows("NOT c IS NULL", "c:bool?", &c, "ttf");
    check_rows("NOT c AND c IS NULL", "c:bool?", &c, "ffu");
    fmt_column_done(&c);
}
END_TEST

START_TEST(test_names_and_quotes)
{
    struct fmt_schema s;
    static const char *const good[] = {
        "a.b = 1",      "\"a.b\" = 1",      "\"and\" = 1",   "length = 1",
        "and = 1",      "length(s) = 1",    "I IS NULL",     "i==1&&u!=2||b",
        "i=-1",         "i<>+1",            "((i=1))",       "i IS NOT NULL AND NOT b",
        "TRUE",         "l IS NULL",        "length(l) > 3", "i in(1,2,3)",
        "length(ls)=1", "t IS NOT NULL",    "h <= 0.5",      "h IS NAN",
    };

    ck_assert_int_eq(fmt_util_schema(COLUMNS, &s, &err), 0);
    for (size_t i = 0; i < BASE_ARRAY_LEN(good); i++) {
        struct fmt_filter *f = NULL;
        int r = fmt_filter_parse(good[i], &s, &f, NULL, &err);

        if (good[i][0] == 'I') /* names have a case */
            ck_assert_int_eq(r, SHARD_EPARSE);
        else
            ck_assert_msg(r == 0, "%s: %s", good[i], err.text);
        fmt_filter_free(f);
    }
    fmt_schema_done(&s);
}
END_TEST

/* -------------------------------------------------------------------- random expressions, random rows */

#define RANDOM_COLUMNS                                                                             \
    "i8:int8?,i64:int64?,u64:uint64?,u16:uint16,f32:float32?,f64:float64?,h:bfloat16?,g:float16?,"    \
    "t:timestamp[ms],b:bool?,s:string?,y:binary?,l:list<int32>?,ls:list<string>?,x:tensor<int8,2>?"
enum { COL_F32 = 4, COL_G = 7, COL_B = 9, COL_S, COL_Y, COL_L, COL_LS, COL_X, N_COLUMNS };
enum { N_ORDERED = COL_L, MAX_LITS = 5, N_GROUPS = 12 };

struct lit {
    long double v; /* 64 bits of mantissa: every int64, uint64 and double */
    char text[64]; /* of strings: the bytes */
    size_t len;
    char source[160]; /* as the expression has it */
};

struct expr {
    enum { E_CMP, E_IN, E_LIKE, E_NULL, E_NAN, E_BOOL, E_CONST, E_NOT, E_AND, E_OR } kind;
    uint32_t col;
    bool lengths, negated;
    int op; /* index into ops */
    struct lit lits[MAX_LITS];
    uint32_t n_lits;
    char pattern[64]; /* % and _ are wild */
    struct expr *kids[4];
    uint32_t n_kids;
};

static const char *const ops[] = {"=", "<>", "<", "<=", ">", ">="};

static uint64_t
below(uint64_t *rng, uint64_t n)
{
    return test_random(rng) % n;
}

/* Numbers at which types and rounding end. */
static const char *const numbers[] = {
    "0", "1", "-1", "2", "100", "127", "128", "-128", "-129", "65535", "65536", "16777216",
    "16777217", "9007199254740991", "9007199254740992", "9007199254740993", "-9007199254740993",
    "9223372036854775807", "-9223372036854775808", "9223372036854775808", "18446744073709551615",
    "0.5", "-0.5", "1.5", "0.1", "-0.0", "1e300", "-1e300", "9007199254740992.0", "3e-310",
    "9223372036854775808.0", "18446744073709551616.0", "-9223372036854775808.0", "127.5", "-128.5",
};

static void
number_lit(uint64_t *rng, struct lit *l)
{
    (void)snprintf(l->source, sizeof(l->source), "%s", numbers[below(rng, BASE_ARRAY_LEN(numbers))]);
    /* Integers as they are, others as the double nearest to them. */
    l->v = strpbrk(l->source, ".e") ? (long double)strtod(l->source, NULL) : strtold(l->source, NULL);
}

/* Few different strings, some alike beyond 16 bytes, some with zeros behind. */
static size_t
random_bytes(uint64_t *rng, char ret[64])
{
    static const char *const begins[] = {"", "a", "b", "aaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaab", "ab"};
    size_t len = strlen(strcpy(ret, begins[below(rng, BASE_ARRAY_LEN(begins))]));

    for (uint64_t n = below(rng, 3); n > 0; n--)
        ret[len++] = "ab%\0"[below(rng, 4)];
    return len;
}

static void
text_lit(uint64_t *rng, struct lit *l)
{
    char *p = l->source;

    l->len = random_bytes(rng, l->text);
    p += sprintf(p, "x'");
    for (size_t i = 0; i < l->len; i++)
        p += sprintf(p, "%02x", (unsigned char)l->text[i]);
    (void)sprintf(p, "'");
}

static struct expr *
random_leaf(uint64_t *rng)
{
    struct expr *e = calloc(1, sizeof(*e));

    ck_assert_ptr_nonnull(e);
    e->col = (uint32_t)below(rng, N_COLUMNS);
    e->negated = below(rng, 3) == 0;
    e->op = (int)below(rng, BASE_ARRAY_LEN(ops));
    e->lengths = e->col == COL_L || e->col == COL_LS ||
                 ((e->col == COL_S || e->col == COL_Y) && below(rng, 4) == 0);
    if (below(rng, 8) == 0 || e->col == COL_X) {
        e->kind = E_NULL;
        return e;
    }
    if (below(rng, 20) == 0) {
        e->kind = E_CONST;
        return e;
    }
    if (e->col == COL_B) {
        e->kind = E_BOOL;
        return e;
    }
    if (e->col >= COL_F32 && e->col <= COL_G && below(rng, 6) == 0) {
        e->kind = E_NAN;
        return e;
    }
    if ((e->col == COL_S || e->col == COL_Y) && !e->lengths && below(rng, 3) == 0) {
        char *p = e->pattern;

        e->kind = E_LIKE;
        for (uint64_t n = below(rng, 20); n > 0; n--)
            *p++ = "aaaab%_"[below(rng, 7)];
        return e;
    }
    e->kind = below(rng, 4) ? E_CMP : E_IN;
    e->n_lits = e->kind == E_CMP ? 1 : 1 + (uint32_t)below(rng, MAX_LITS);
    for (uint32_t i = 0; i < e->n_lits; i++) {
        if (e->col >= COL_S && !e->lengths)
            text_lit(rng, &e->lits[i]);
        else
            number_lit(rng, &e->lits[i]);
    }
    return e;
}

static struct expr *
random_expr(uint64_t *rng, int depth)
{
    struct expr *e;

    if (depth == 0 || below(rng, 4) == 0)
        return random_leaf(rng);
    e = calloc(1, sizeof(*e));
    ck_assert_ptr_nonnull(e);
    e->kind = E_NOT + below(rng, 3);
    e->n_kids = e->kind == E_NOT ? 1 : 2 + (uint32_t)below(rng, 3);
    for (uint32_t i = 0; i < e->n_kids; i++)
        e->kids[i] = random_expr(rng, depth - 1);
    return e;
}

static void
expr_free(struct expr *e)
{
    for (uint32_t i = 0; i < e->n_kids; i++)
        expr_free(e->kids[i]);
    free(e);
}

static void
put_expr(const struct expr *e, const struct fmt_schema *s, struct base_buf *b)
{
    const char *col = s->fields[e->col].name, *not = e->negated ? " NOT" : "";
    char what[64];
    int r = 0;

    (void)snprintf(what, sizeof(what), e->lengths ? "length(%s)" : "%s", col);
    switch (e->kind) {
    case E_CMP: r = base_buf_printf(b, "%s %s %s", what, ops[e->op], e->lits[0].source); break;
    case E_LIKE: r = base_buf_printf(b, "%s%s LIKE '%s'", what, not, e->pattern); break;
    case E_NULL: r = base_buf_printf(b, "%s IS%s NULL", what, not); break;
    case E_NAN: r = base_buf_printf(b, "%s IS%s NAN", what, not); break;
    case E_BOOL: r = base_buf_printf(b, "%s %s", e->negated ? "NOT" : "", what); break;
    case E_CONST: r = base_buf_printf(b, "%s", e->negated ? "false" : "true"); break;
    case E_IN:
        r = base_buf_printf(b, "%s%s IN (", what, not);
        for (uint32_t i = 0; i < e->n_lits && r == 0; i++)
            r = base_buf_printf(b, "%s%s", i ? ", " : "", e->lits[i].source);
        if (r == 0)
            r = base_buf_printf(b, ")");
        break;
    default:
        if (e->kind == E_NOT)
            r = base_buf_printf(b, "NOT ");
        for (uint32_t i = 0; i < e->n_kids && r == 0; i++) {
            r = base_buf_printf(b, "%s(", i == 0 ? "" : e->kind == E_AND ? " AND " : " OR ");
            put_expr(e->kids[i], s, b);
            if (r == 0)
                r = base_buf_printf(b, ")");
        }
    }
    ck_assert_int_eq(r, 0);
}

/* IEEE 754, chapter 3.4: sign, 5 bits of exponent, 10 of mantissa. */
static long double
naive_half(uint16_t v)
{
    const int exponent = v >> 10 & 31;
    const long double mantissa = v & 1023, sign = v >> 15 ? -1 : 1;

    if (exponent == 31)
        return mantissa > 0 ? (long double)NAN : sign * (long double)INFINITY;
    return sign * (exponent ? ldexpl(1024 + mantissa, exponent - 25) : ldexpl(mantissa, -24));
}

static long double
naive_number(const struct shard_array *a, uint64_t row)
{
    switch (a->type) {
    case SHARD_TYPE_INT8: return ((const int8_t *)a->values)[row];
    case SHARD_TYPE_INT64: return ((const int64_t *)a->values)[row];
    case SHARD_TYPE_UINT16: return ((const uint16_t *)a->values)[row];
    case SHARD_TYPE_UINT64: return ((const uint64_t *)a->values)[row];
    case SHARD_TYPE_TIMESTAMP: return ((const int64_t *)a->values)[row];
    case SHARD_TYPE_BFLOAT16: { /* the upper half of a float */
        const uint32_t bits = (uint32_t)((const uint16_t *)a->values)[row] << 16;
        float f;

        memcpy(&f, &bits, sizeof(f));
        return (long double)f;
    }
    case SHARD_TYPE_FLOAT16: return naive_half(((const uint16_t *)a->values)[row]);
    case SHARD_TYPE_FLOAT32: return (long double)((const float *)a->values)[row];
    case SHARD_TYPE_FLOAT64: return (long double)((const double *)a->values)[row];
    default: return a->offsets[row + 1] - a->offsets[row];
    }
}

static bool
naive_like(const char *pat, const char *p, const char *end)
{
    if (*pat == '\0')
        return p == end;
    if (*pat == '%')
        return naive_like(pat + 1, p, end) || (p < end && naive_like(pat, p + 1, end));
    return p < end && (*pat == '_' || *pat == *p) && naive_like(pat + 1, p + 1, end);
}

static bool
naive_cmp(const struct expr *e, int op, const struct lit *l, const struct shard_array *a,
          uint64_t row)
{
    long double v = 0, w = 0;

    if (e->col >= COL_S && !e->lengths) { /* bytes: make the comparison one of numbers */
        const size_t len = (size_t)(a->offsets[row + 1] - a->offsets[row]);
        const size_t n = len < l->len ? len : l->len;
        const int c = n ? memcmp((const char *)a->values + a->offsets[row], l->text, n) : 0;

        v = c ? c : (len > l->len) - (len < l->len);
    } else {
        v = naive_number(a, row);
        w = l->v;
    }
    switch (op) {
    case 0: return v == w;
    case 1: return v != w;
    case 2: return v < w;
    case 3: return v <= w;
    case 4: return v > w;
    default: return v >= w;
    }
}

/* 1, 0, or -1 for unknown. */
static int
naive(const struct expr *e, const struct shard_array *arrays, uint64_t row)
{
    const struct shard_array *a = &arrays[e->col];
    const bool null = a->validity && !fmt_bits_get(a->validity, row);
    bool yes = false;

    switch (e->kind) {
    case E_NOT: {
        const int v = naive(e->kids[0], arrays, row);

        return v < 0 ? v : !v;
    }
    case E_AND:
    case E_OR: {
        const int strong = e->kind == E_OR;
        int found = !strong;

        for (uint32_t i = 0; i < e->n_kids; i++) {
            const int v = naive(e->kids[i], arrays, row);

            if (v == strong)
                return strong;
            if (v < 0)
                found = -1;
        }
        return found;
    }
    case E_CONST: return !e->negated;
    case E_NULL: return null != e->negated;
    default: break;
    }
    if (null)
        return -1;
    if (e->kind == E_CMP)
        return naive_cmp(e, e->op, &e->lits[0], a, row);
    if (e->kind == E_NAN)
        yes = isnan(naive_number(a, row));
    if (e->kind == E_BOOL)
        yes = fmt_bits_get(a->values, row);
    if (e->kind == E_LIKE)
        yes = naive_like(e->pattern, (const char *)a->values + a->offsets[row],
                         (const char *)a->values + a->offsets[row + 1]);
    for (uint32_t i = 0; e->kind == E_IN && i < e->n_lits; i++)
        yes |= naive_cmp(e, 0, &e->lits[i], a, row);
    return yes != e->negated;
}

static void
put_random_number(uint64_t *rng, struct fmt_column *c)
{
    struct lit l;
    const double fs[] = {NAN, INFINITY, -INFINITY, DBL_MIN};
    /* 0, -0, 0.5, -0.5, 1.5, 1, 100, 127.5, the least and the greatest, infinite, none */
    const uint16_t halves[] = {0,      0x8000, 0x3800, 0xb800, 0x3e00, 0x3c00, 0x5640,
                               0x57f8, 1,      0xfbff, 0x7c00, 0xfc00, 0x7e00, 0xfe01};
    const uint16_t half = halves[below(rng, BASE_ARRAY_LEN(halves))];
    double d;
    float f;
    int64_t i;
    uint64_t u;

    number_lit(rng, &l);
    d = below(rng, 8) ? (double)l.v : fs[below(rng, 4)];
    f = (float)d;
    i = l.v >= 0x1p63L ? INT64_MAX : l.v < -0x1p63L ? INT64_MIN : (int64_t)l.v;
    u = l.v >= 0x1p64L ? UINT64_MAX : l.v < 0 ? (uint64_t)-l.v % 7 : (uint64_t)l.v;
    ck_assert_int_eq(fmt_column_append_number(c, c->type == SHARD_TYPE_FLOAT64   ? (void *)&d
                                                 : c->type == SHARD_TYPE_FLOAT32 ? (void *)&f
                                                 : c->type == SHARD_TYPE_FLOAT16 ? (const void *)&half
                                                 : c->type == SHARD_TYPE_BFLOAT16
                                                     ? (void *)((char *)&f + 2)
                                                 : c->type == SHARD_TYPE_UINT64 ||
                                                         c->type == SHARD_TYPE_UINT16
                                                     ? (void *)&u
                                                     : (void *)&i),
                     0);
}

/* A row group: each column has nulls or not, and many or few different values. */
static void
random_group(uint64_t *rng, const struct fmt_schema *s, uint64_t n, struct fmt_column *cols)
{
    for (uint32_t c = 0; c < s->n_fields; c++) {
        const uint64_t nulls = s->fields[c].nullable ? below(rng, 4) : 0; /* none, few, ..., all */
        const uint64_t seed = test_random(rng), kinds = 1 + below(rng, 6);

        fmt_column_init_field(&cols[c], &s->fields[c]);
        for (uint64_t row = 0; row < n; row++) {
            uint64_t r = seed + below(rng, kinds);
            char text[64];
            size_t len;
            int ok = 0;

            if (below(rng, 3) < nulls)
                ok = fmt_column_append_null(&cols[c]);
            else if (c == COL_B)
                ok = fmt_column_append_bool(&cols[c], test_random(&r) & 1);
            else if (c == COL_L)
                ok = fmt_column_append_list(&cols[c], "0123456789abcdef", below(&r, 4));
            else if (c == COL_LS)
                ok = fmt_column_append_strings(&cols[c], "abc", (const uint32_t[]){1, 0, 2},
                                               below(&r, 4));
            else if (c == COL_X)
                ok = fmt_column_append_tensor(&cols[c], "ab");
            else if (c == COL_S || c == COL_Y) {
                len = random_bytes(&r, text);
                ok = fmt_column_append_bytes(&cols[c], text, len);
            } else
                put_random_number(&r, &cols[c]);
            ck_assert_int_eq(ok, 0);
        }
    }
}

/* What a filter wants to be given of a row group. */
struct given {
    struct shard_array inputs[2 * N_COLUMNS];
    const struct fmt_chunk_stats *stats[2 * N_COLUMNS];
};

static void
give(const struct fmt_filter *f, const struct shard_array *arrays,
     const struct fmt_chunk_stats *stats, struct given *ret)
{
    uint32_t n;
    const struct fmt_filter_input *in = fmt_filter_inputs(f, &n);

    ck_assert_uint_le(n, 2 * N_COLUMNS);
    for (uint32_t i = 0; i < n; i++) {
        ret->inputs[i] = arrays[in[i].column];
        ret->stats[i] = &stats[in[i].column];
    }
}

static uint64_t n_pruned, n_empty, n_shards_pruned;

/* One random expression over all groups. */
static void
check_expr(uint64_t *rng, const struct fmt_schema *s, struct fmt_column cols[][N_COLUMNS],
           struct fmt_chunk_stats stats[][N_COLUMNS], const uint32_t *group_rows,
           const struct fmt_shard_entry *shard)
{
    struct expr *e = random_expr(rng, 3);
    struct fmt_chunk_stats of_shard[N_COLUMNS];
    struct fmt_filter *f = NULL;
    struct base_buf text = {0};
    uint64_t n_all = 0;
    struct given give_shard = {0};
    uint32_t n_inputs;

    put_expr(e, s, &text);
    ck_assert_int_eq(base_buf_append(&text, "", 1), 0);
    ck_assert_msg(fmt_filter_parse((const char *)text.data, s, &f, NULL, &err) == 0, "%s: %s",
                  (const char *)text.data, err.text);
    for (uint32_t g = 0; g < N_GROUPS; g++) {
        struct shard_array arrays[N_COLUMNS];
        struct given given = {0};
        uint64_t n_want = 0, n_rows;
        uint8_t bits[512];

        for (uint32_t c = 0; c < N_COLUMNS; c++)
            fmt_column_array(&cols[g][c], &arrays[c]);
        give(f, arrays, stats[g], &given);
        n_rows = fmt_filter_eval(f, given.inputs, group_rows[g], bits);
        for (uint32_t row = 0; row < group_rows[g]; row++) {
            const int want = naive(e, arrays, row);

            ck_assert_msg(fmt_bits_get(bits, row) == (want == 1), "%s: row %" PRIu32 " is %d",
                          (const char *)text.data, row, want);
            n_want += want == 1;
        }
        ck_assert_uint_eq(n_rows, n_want);
        if (fmt_filter_prune(f, given.stats, group_rows[g])) {
            ck_assert_msg(n_want == 0, "%s: %" PRIu64 " rows were to be left out",
                          (const char *)text.data, n_want);
            n_pruned++;
        }
        n_empty += n_want == 0;
        n_all += n_want;
    }
    for (uint32_t c = 0; c < N_COLUMNS; c++)
        give_shard.stats[c] =
            fmt_shard_stats_get(shard->stats, shard->stats_len, c, &of_shard[c]) ? &of_shard[c] : NULL;
    (void)fmt_filter_inputs(f, &n_inputs);
    {
        const struct fmt_chunk_stats *by_input[2 * N_COLUMNS];
        const struct fmt_filter_input *in = fmt_filter_inputs(f, &n_inputs);

        for (uint32_t i = 0; i < n_inputs; i++)
            by_input[i] = give_shard.stats[in[i].column];
        if (fmt_filter_prune(f, by_input, shard->n_rows)) {
            ck_assert_msg(n_all == 0, "%s: a shard with %" PRIu64 " rows was to be left out",
                          (const char *)text.data, n_all);
            n_shards_pruned++;
        }
    }
    fmt_filter_free(f);
    base_buf_done(&text);
    expr_free(e);
}

START_TEST(test_pruning_and_evaluation_are_those_of_a_naive_walk)
{
    static struct fmt_column cols[N_GROUPS][N_COLUMNS];
    static struct fmt_chunk_stats stats[N_GROUPS][N_COLUMNS];
    uint8_t bytes[FMT_SHARD_STATS_MAX];
    uint32_t group_rows[N_GROUPS];
    struct fmt_shard_entry shard = {.stats = bytes};
    uint64_t rng = (uint64_t)_i + 1;
    struct fmt_schema s;

    ck_assert_int_eq(fmt_util_schema(RANDOM_COLUMNS, &s, &err), 0);
    n_pruned = n_empty = n_shards_pruned = 0;
    for (int round = 0; round < 30; round++) {
        const uint32_t n_groups = round % 2 ? N_GROUPS : 1; /* of the shard; others are left empty */

        shard.n_rows = 0;
        for (uint32_t g = 0; g < N_GROUPS; g++) {
            group_rows[g] = g >= n_groups ? 0 : g == 3 ? 2500 : 1 + (uint32_t)below(&rng, 30);
            shard.n_rows += group_rows[g];
            random_group(&rng, &s, group_rows[g], cols[g]);
            for (uint32_t c = 0; c < N_COLUMNS; c++) {
                struct shard_array a;

                fmt_column_array(&cols[g][c], &a);
                fmt_stats_compute(&a, &stats[g][c]);
            }
        }
        shard.stats_len = fmt_shard_stats_make(&s, &stats[0][0], group_rows, n_groups, bytes);
        ck_assert_int_eq(fmt_shard_stats_check(bytes, shard.stats_len, N_COLUMNS, shard.n_rows), 0);
        ck_assert_uint_eq(shard.stats_len, N_ORDERED * 48); /* all but lists and tensor */
        for (int k = 0; k < 60; k++)
            check_expr(&rng, &s, cols, stats, group_rows, &shard);
        for (uint32_t g = 0; g < N_GROUPS; g++)
            for (uint32_t c = 0; c < N_COLUMNS; c++)
                fmt_column_done(&cols[g][c]);
    }
    fmt_schema_done(&s);
    ck_assert_uint_gt(n_pruned * 3, n_empty); /* it is of use, too */
    ck_assert_uint_gt(n_shards_pruned, 50);
}
END_TEST

/* What must be left out, so that nobody makes pruning safe by not doing it. */
START_TEST(test_pruning_leaves_out_what_it_can)
{
    static const struct {
        const char *text;
        bool prune;
    } cases[] = {
        {"row >= 100", true},
        {"row > 99", true},
        {"row > 98", false},
        {"row < 0 AND row > 5", true},
        {"row = 100", true},
        {"row IN (100, 200, -5)", true},
        {"row IN (100, 50)", false},
        {"NOT row < 100", true},
        {"NOT (row < 100 OR name = 'x')", true},
        {"row BETWEEN 100 AND 200", true},
        {"row IS NULL", true},
        {"NOT row IS NOT NULL", true},
        {"name = 'n5'", false},
        {"name = 'n'", true},
        {"name < 'a'", true},
        {"name >= 'o'", true},
        {"name LIKE 'x%'", true},
        {"name LIKE 'n%'", false},
        {"name LIKE '%x'", false},
        {"name IN ('a', 'z')", true},
        {"empty = '5'", true},
        {"empty <> '5'", true},
        {"empty IS NULL", false},
        {"length(empty) = 5", true},
        {"row >= 100 OR name = 'n5'", false},
        {"false", true},
    };
    struct fmt_column cols[3];
    struct fmt_chunk_stats stats[3];
    struct fmt_schema s;

    ck_assert_int_eq(fmt_util_schema("row:int32,name:string,empty:string?", &s, &err), 0);
    for (uint32_t c = 0; c < 3; c++)
        fmt_column_init(&cols[c], s.fields[c].type, 0);
    for (int32_t i = 0; i < 100; i++) {
        char name[16];
        const int len = snprintf(name, sizeof(name), "n%d", (int)i);

        ck_assert_int_eq(fmt_column_append_number(&cols[0], &i), 0);
        ck_assert_int_eq(fmt_column_append_bytes(&cols[1], name, (size_t)len), 0);
        ck_assert_int_eq(fmt_column_append_null(&cols[2]), 0);
    }
    for (uint32_t c = 0; c < 3; c++) {
        struct shard_array a;

        fmt_column_array(&cols[c], &a);
        fmt_stats_compute(&a, &stats[c]);
        fmt_column_done(&cols[c]);
    }
    for (size_t i = 0; i < BASE_ARRAY_LEN(cases); i++) {
        const struct fmt_chunk_stats *by_input[3];
        const struct fmt_filter_input *in;
        struct fmt_filter *f = NULL;
        const char *text = cases[i].text;
        uint32_t n;

        ck_assert_msg(fmt_filter_parse(text, &s, &f, NULL, &err) == 0, "%s: %s", text, err.text);
        in = fmt_filter_inputs(f, &n);
        for (uint32_t k = 0; k < n; k++)
            by_input[k] = &stats[in[k].column];
        ck_assert_msg(fmt_filter_prune(f, by_input, 100) == cases[i].prune, "%s", text);
        for (uint32_t k = 0; k < n; k++)
            by_input[k] = NULL;
        if (strcmp(text, "false") != 0)
            ck_assert_msg(!fmt_filter_prune(f, by_input, 100), "%s, without statistics", text);
        fmt_filter_free(f);
    }
    fmt_schema_done(&s);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("filter");
    TCase *t = tcase_create("language");

    tcase_add_test(t, test_mistakes_are_pointed_at);
    tcase_add_test(t, test_hostile_expressions_end_soon);
    tcase_add_test(t, test_names_and_quotes);
    tcase_add_test(t, test_logic_has_three_values);
    tcase_add_test(t, test_integers_are_compared_exactly);
    tcase_add_test(t, test_floats_are_compared_by_value);
    tcase_add_test(t, test_strings_are_compared_bytewise);
    tcase_add_test(t, test_like_does_not_take_exponential_time);
    suite_add_tcase(s, t);
    t = tcase_create("statistics");
    tcase_add_loop_test(t, test_pruning_and_evaluation_are_those_of_a_naive_walk, 0, 6);
    tcase_add_test(t, test_pruning_leaves_out_what_it_can);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    return test_run(s);
}
