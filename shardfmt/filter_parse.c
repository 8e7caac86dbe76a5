/* From the text of a filter to its tree, by recursive descent without going back:
 *
 *   expr      = and { (OR | "||") and }
 *   and       = not { (AND | "&&") not }
 *   not       = (NOT | "!") not | "(" expr ")" | predicate
 *   predicate = TRUE | FALSE | column                              (a bool column)
 *             | literal op operand | operand op literal
 *             | operand IS [NOT] (NULL | NAN)
 *             | operand [NOT] (IN "(" literal { "," literal } ")" | LIKE string
 *                              | BETWEEN literal AND literal)
 *   operand   = column | LENGTH "(" column ")"
 *
 * Types are checked on the way, where it is known which character to point at. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "lib/compiler.h"
#include "lib/fail.h"
#include "lib/parse.h"
#include "shardfmt/filter_tree.h"
#include "shardfmt/timestamp.h"

enum token_kind { T_END, T_NAME, T_QUOTED, T_STRING, T_BYTES, T_NUMBER, T_MARK };

/* T_NAME, T_NUMBER, T_MARK: as it stands. The others: without quotes, doubled quotes made one; the
 * bytes are in the parser's text. */
struct token {
    enum token_kind kind;
    size_t at, len; /* in the expression */
};

enum literal_kind { LIT_INT, LIT_FLOAT, LIT_TEXT, LIT_BOOL };

struct literal {
    enum literal_kind kind;
    size_t at;
    __int128 i; /* LIT_INT, LIT_BOOL */
    double f;
    const uint8_t *text; /* LIT_TEXT; lives in parser.text */
    size_t len;
};

/* A column, or its lengths. What the filter takes of it is clear only with what follows. */
struct operand {
    uint32_t column;
    uint32_t input;
    enum filter_domain domain;
    const struct shard_field *field;
    bool lengths;
    size_t at;
};

struct parser {
    const char *p;
    const struct fmt_schema *s;
    struct fmt_filter *f;
    struct token t; /* the one that comes next */
    struct base_buf text;  /* decoded bytes of t */
    struct base_buf texts[2]; /* of literals: of one, or of both ends of BETWEEN */
    unsigned depth;
    size_t fail_at;
    struct shard_error *err;
};

/* ------------------------------------------------------------------------------------- failing */

#define FAIL_AT(p, where, ...)                                                                     \
    ((p)->fail_at = (where), base_fail((p)->err, SHARD_EPARSE, __VA_ARGS__))

static int
fail_memory(struct parser *p)
{
    return base_fail(p->err, -ENOMEM, "a filter");
}

/* The next token, as messages show it. */
static const char *
shown(const struct parser *p, char ret[48])
{
    int len = (int)BASE_MIN(p->t.len, 40);

    if (p->t.kind == T_END)
        return strcpy(ret, "the end");
    while (len > 0 && (size_t)len < p->t.len && (p->p[p->t.at + (size_t)len] & 0xc0) == 0x80)
        len--; /* no half of a character */
    (void)snprintf(ret, 48, "%.*s%s", len, p->p + p->t.at, (size_t)len < p->t.len ? "..." : "");
    return ret;
}

static int
fail_expected(struct parser *p, const char *what)
{
    char have[48];

    return FAIL_AT(p, p->t.at, "%s is expected, not %s", what, shown(p, have));
}

/* -------------------------------------------------------------------------------------- tokens */

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' ||
           (unsigned char)c >= 0x80;
}

/* Text between two quotes, from the first one on, into p->text. */
static int
lex_quoted(struct parser *p, size_t at, char quote, const char *what)
{
    const char *s = p->p + at + 1;

    for (;;) {
        const char *end = strchr(s, quote);

        if (end == NULL)
            return FAIL_AT(p, p->t.at, "%s has no end", what);
        if (base_buf_append(&p->text, s, (size_t)(end - s)) < 0)
            return fail_memory(p);
        s = end + 1;
        if (*s != quote)
            break;
        if (base_buf_append(&p->text, s++, 1) < 0)
            return fail_memory(p);
    }
    p->t.len = (size_t)(s - (p->p + p->t.at));
    return 0;
}

static int
hex_digit(char c)
{
    return is_digit(c)              ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* x'00ff': p->text holds the digits, and then the bytes. */
static int
lex_bytes(struct parser *p)
{
    uint8_t *d;
    int r = lex_quoted(p, p->t.at + 1, '\'', "this x'...'");

    if (r < 0)
        return r;
    d = p->text.data;
    for (size_t i = 0; i < p->text.len; i += 2) {
        const int hi = hex_digit((char)d[i]);
        const int lo = i + 1 < p->text.len ? hex_digit((char)d[i + 1]) : -1;

        if (hi < 0 || lo < 0)
            return FAIL_AT(p, p->t.at, "x'...' holds pairs of the digits 0 to 9 and a to f");
        d[i / 2] = (uint8_t)(hi << 4 | lo);
    }
    p->text.len /= 2;
    return 0;
}

/* Digits with at most one sign, point and exponent; whether it is a number is seen later. */
static void
lex_number(struct parser *p)
{
    const char *s = p->p + p->t.at;

    for (s += *s == '-' || *s == '+'; is_digit(*s) || *s == '.' || is_name(*s); s++)
        if ((*s == 'e' || *s == 'E') && (s[1] == '-' || s[1] == '+'))
            s++;
    p->t.kind = T_NUMBER;
    p->t.len = (size_t)(s - (p->p + p->t.at));
}

static int
next_token(struct parser *p)
{
    static const char *const marks[] = {"==", "!=", "<>", "<=", ">=", "&&", "||",
                                        "=",  "<",  ">",  "!",  "(",  ")",  ","};
    const size_t at = p->t.at + p->t.len;
    const char *s = p->p + at + strspn(p->p + at, " \t\r\n");

    p->t = (struct token){T_END, (size_t)(s - p->p), 0};
    base_buf_reset(&p->text);
    if (*s == '\0')
        return 0;
    if (*s == '\'' || *s == '"') {
        p->t.kind = *s == '"' ? T_QUOTED : T_STRING;
        return lex_quoted(p, p->t.at, *s, *s == '"' ? "this name" : "this string");
    }
    if ((*s == 'x' || *s == 'X') && s[1] == '\'') {
        p->t.kind = T_BYTES;
        return lex_bytes(p);
    }
    if (is_digit(*s) || (*s == '.' && is_digit(s[1])) ||
        ((*s == '-' || *s == '+') && (is_digit(s[1]) || s[1] == '.'))) {
        lex_number(p);
        return 0;
    }
    if (is_name(*s)) {
        p->t.kind = T_NAME;
        while (is_name(*s) || is_digit(*s) || (*s == '.' && (is_name(s[1]) || is_digit(s[1]))))
            s++;
        p->t.len = (size_t)(s - (p->p + p->t.at));
        return 0;
    }
    for (size_t i = 0; i < BASE_ARRAY_LEN(marks); i++) {
        if (strncmp(s, marks[i], strlen(marks[i])) == 0) {
            p->t.kind = T_MARK;
            p->t.len = strlen(marks[i]);
            return 0;
        }
    }
    return FAIL_AT(p, p->t.at, "'%c' means nothing here%s", *s,
                   strchr("-+*/%", *s) ? "; quote a name that has it: \"a-b\"" : "");
}

static bool
is_mark(const struct parser *p, const char *mark)
{
    return p->t.kind == T_MARK && p->t.len == strlen(mark) &&
           strncmp(p->p + p->t.at, mark, p->t.len) == 0;
}

static bool
is_word(const struct parser *p, const char *word)
{
    return p->t.kind == T_NAME && p->t.len == strlen(word) &&
           strncasecmp(p->p + p->t.at, word, p->t.len) == 0;
}

/* Take the next token if it is this: 1, 0, or an error. */
static int
take_mark(struct parser *p, const char *mark)
{
    int r = is_mark(p, mark) ? next_token(p) : 1;

    return r < 0 ? r : !r;
}

static int
take_word(struct parser *p, const char *word)
{
    int r = is_word(p, word) ? next_token(p) : 1;

    return r < 0 ? r : !r;
}

static int
need_mark(struct parser *p, const char *mark, const char *what)
{
    return is_mark(p, mark) ? next_token(p) : fail_expected(p, what);
}

/* ----------------------------------------------------------------------------------- the tree */

/* Room for one more thing in an array of n. */
static int
grow(void *array, uint32_t n, uint32_t *cap, size_t size)
{
    void **a = array, *p;

    if (n < *cap)
        return 0;
    p = reallocarray(*a, *cap * 2 + 8, size);
    if (p == NULL)
        return -ENOMEM;
    *a = p;
    *cap = *cap * 2 + 8;
    return 0;
}

static int
add_node(struct parser *p, struct filter_node node, uint32_t *ret)
{
    struct fmt_filter *f = p->f;

    if (grow(&f->nodes, f->n_nodes, &f->cap_nodes, sizeof(*f->nodes)) < 0)
        return fail_memory(p);
    if (node.kind != FILTER_AND && node.kind != FILTER_OR && node.kind != FILTER_NOT)
        node.child = FILTER_NONE;
    node.next = FILTER_NONE;
    *ret = f->n_nodes;
    f->nodes[f->n_nodes++] = node;
    return 0;
}

static int
add_span(struct parser *p, uint64_t lo, uint64_t hi)
{
    struct fmt_filter *f = p->f;

    if (grow(&f->spans, f->n_spans, &f->cap_spans, sizeof(*f->spans)) < 0)
        return fail_memory(p);
    f->spans[f->n_spans++] = (struct filter_span){lo, hi};
    return 0;
}

/* What stands in the store from off on is a text. */
static int
add_text(struct parser *p, struct filter_text text)
{
    struct fmt_filter *f = p->f;

    if (grow(&f->texts, f->n_texts, &f->cap_texts, sizeof(*f->texts)) < 0)
        return fail_memory(p);
    f->texts[f->n_texts++] = text;
    return 0;
}

static int
add_input(struct parser *p, uint32_t column, bool lengths, uint32_t *ret)
{
    struct fmt_filter *f = p->f;

    for (uint32_t i = 0; i < f->n_inputs; i++) {
        if (f->inputs[i].column == column && f->inputs[i].lengths == lengths) {
            *ret = i;
            return 0;
        }
    }
    if (grow(&f->inputs, f->n_inputs, &f->cap_inputs, sizeof(*f->inputs)) < 0)
        return fail_memory(p);
    *ret = f->n_inputs;
    f->inputs[f->n_inputs++] = (struct fmt_filter_input){column, lengths};
    return 0;
}

static int
add_not(struct parser *p, bool negate, uint32_t *node)
{
    return negate ? add_node(p, (struct filter_node){.kind = FILTER_NOT, .child = *node}, node) : 0;
}

/* -------------------------------------------------------------------------------------- numbers */

/* How many keys of a domain are below a number (or, with or_equal, not above it): 0 to 2^64. */
typedef unsigned __int128 cut;
#define KEYS ((cut)1 << 64)

static cut
cut_clamp(__int128 v)
{
    return v < 0 ? 0 : v > (__int128)KEYS ? KEYS : (cut)v;
}

static cut
cut_of_int(enum filter_domain domain, __int128 v, bool or_equal)
{
    const __int128 zero = domain == FILTER_OF_SIGNED ? (__int128)1 << 63 : 0;

    return cut_clamp(v + zero + or_equal);
}

/* d is near v; is it v? */
static int
compare_exactly(double d, __int128 v)
{
    const __int128 whole = (__int128)d; /* of at most 2^64 both */

    return (whole > v) - (whole < v);
}

static cut
literal_cut(enum filter_domain domain, const struct literal *l, bool or_equal)
{
    double d = l->f;
    __int128 whole;
    int c;

    if (domain == FILTER_OF_FLOATS) {
        if (l->kind == LIT_FLOAT)
            return (cut)filter_key_f64(d) + or_equal;
        d = (double)l->i;
        c = compare_exactly(d, l->i);
        return (cut)filter_key_f64(d) + (c == 0 ? or_equal : c < 0);
    }
    if (l->kind != LIT_FLOAT)
        return cut_of_int(domain, l->i, or_equal);
    if (d >= 0x1p65 || d <= -0x1p65)
        return d > 0 ? KEYS : 0;
    whole = (__int128)d; /* towards zero */
    if (or_equal)
        return cut_of_int(domain, (double)whole > d ? whole - 1 : whole, true);
    return cut_of_int(domain, (double)whole < d ? whole + 1 : whole, false);
}

static int
add_cut_span(struct parser *p, cut from, cut to)
{
    return from < to ? add_span(p, (uint64_t)from, (uint64_t)(to - 1)) : 0;
}

/* The spans where op holds. NaN is above all keys: in none of them but that of <>. */
static int
add_op_spans(struct parser *p, enum filter_domain domain, enum filter_op op,
             const struct literal *l)
{
    const cut below = literal_cut(domain, l, false), up_to = literal_cut(domain, l, true);
    const cut top = domain == FILTER_OF_FLOATS ? (cut)filter_key_f64(INFINITY) + 1 : KEYS;
    int r;

    switch (op) {
    case FILTER_EQ: return add_cut_span(p, below, up_to);
    case FILTER_LT: return add_cut_span(p, 0, below);
    case FILTER_LE: return add_cut_span(p, 0, up_to);
    case FILTER_GT: return add_cut_span(p, up_to, top);
    case FILTER_GE: return add_cut_span(p, below, top);
    default: break;
    }
    r = add_cut_span(p, 0, below);
    return r < 0 ? r : add_cut_span(p, up_to, KEYS);
}

static int
span_compare(const void *a, const void *b)
{
    const struct filter_span *x = a, *y = b;

    return (x->lo > y->lo) - (x->lo < y->lo);
}

/* A node of the spans from first on, which are sorted and made disjoint. */
static int
add_number(struct parser *p, const struct operand *o, uint32_t first, uint32_t *ret)
{
    const uint32_t n = p->f->n_spans - first;
    struct filter_span *s = n ? p->f->spans + first : NULL; /* no number is wanted: no spans yet */
    uint32_t k = 0;

    if (n > 1)
        qsort(s, n, sizeof(*s), span_compare);
    for (uint32_t i = 0; i < n; i++) {
        if (k > 0 && s[i].lo <= s[k - 1].hi)
            s[k - 1].hi = BASE_MAX(s[k - 1].hi, s[i].hi);
        else
            s[k++] = s[i];
    }
    p->f->n_spans = first + k;
    return add_node(p,
                    (struct filter_node){.kind = FILTER_NUMBER,
                                         .domain = o->domain,
                                         .input = o->input,
                                         .first = first,
                                         .n = k},
                    ret);
}

/* ------------------------------------------------------------------------------------- literals */

static bool
at_literal(const struct parser *p)
{
    return p->t.kind == T_NUMBER || p->t.kind == T_STRING || p->t.kind == T_BYTES ||
           is_word(p, "true") || is_word(p, "false") || is_word(p, "null");
}

/* Digits with a sign, a point and an exponent. */
static bool
is_decimal(const char *s)
{
    size_t whole, part = 0;

    s += *s == '-' || *s == '+';
    whole = strspn(s, "0123456789");
    s += whole;
    if (*s == '.') {
        part = strspn(++s, "0123456789");
        s += part;
    }
    if (whole + part && (*s == 'e' || *s == 'E')) {
        s += 1 + (s[1] == '-' || s[1] == '+');
        part = strspn(s, "0123456789");
        whole = 0;
        s += part;
    }
    return whole + part && *s == '\0';
}

static int
number_literal(struct parser *p, struct literal *ret)
{
    const char *s = p->p + p->t.at;
    const bool negative = *s == '-';
    struct shard_error unused;
    char text[512];
    uint64_t v;
    int r;

    if (p->t.len >= sizeof(text))
        return FAIL_AT(p, p->t.at, "a number of %zu characters", p->t.len);
    memcpy(text, s, p->t.len);
    text[p->t.len] = '\0';
    if (strspn(text + (*s == '-' || *s == '+'), "0123456789") + (*s == '-' || *s == '+') ==
        p->t.len) {
        if (base_parse_u64(text + (*s == '-' || *s == '+'), "", 0, UINT64_MAX, &v, &unused) < 0)
            return FAIL_AT(p, p->t.at, "%s is beyond 64 bits; write it with an exponent", text);
        ret->kind = LIT_INT;
        ret->i = negative ? -(__int128)v : (__int128)v;
        return 0;
    }
    if (!is_decimal(text))
        return FAIL_AT(p, p->t.at, "'%s' is no number: those are decimal, as 12, -0.5 and 1e9", text);
    ret->kind = LIT_FLOAT;
    r = base_parse_double(text, "", -HUGE_VAL, HUGE_VAL, &ret->f, &unused);
    if (r == -ENOMEM)
        return fail_memory(p);
    return r < 0 ? FAIL_AT(p, p->t.at, "'%s' is no number that float64 can hold", text) : 0;
}

/* A literal of any kind. A text's bytes stand in *buf. */
static int
literal(struct parser *p, struct base_buf *buf, struct literal *ret)
{
    int r = 0;

    *ret = (struct literal){.at = p->t.at};
    if (is_word(p, "null"))
        return FAIL_AT(p, p->t.at, "a comparison with NULL is never true; write IS NULL");
    if (!at_literal(p))
        return fail_expected(p, "a number, a 'string', true or false");
    if (p->t.kind == T_NUMBER) {
        r = number_literal(p, ret);
    } else if (p->t.kind == T_NAME) {
        ret->kind = LIT_BOOL;
        ret->i = is_word(p, "true");
    } else {
        ret->kind = LIT_TEXT;
        base_buf_reset(buf);
        if (base_buf_append(buf, p->text.data, p->text.len) < 0)
            return fail_memory(p);
        ret->text = buf->data;
        ret->len = buf->len;
    }
    return r < 0 ? r : next_token(p);
}

static const char *
literal_name(const struct literal *l)
{
    return l->kind == LIT_TEXT ? "a string" : l->kind == LIT_BOOL ? "true or false" : "a number";
}

/* Text that stands for a time becomes the number that the column holds for it. */
static int
take_time(struct parser *p, const struct operand *o, struct literal *l)
{
    char type[SHARD_TYPE_NAME_MAX];
    int64_t v;

    if (!fmt_timestamp_parse((const char *)l->text, l->len, (enum shard_unit)o->field->unit, &v))
        return FAIL_AT(p, l->at, "this is no time that column '%s', %s, can hold; times are as in "
                       "'2026-11-21' and '2026-11-21T14:05:00.25Z', no finer than the column's unit",
                       o->field->name, shard_field_type_name(o->field, type));
    l->kind = LIT_INT;
    l->i = v;
    return 0;
}

/* Whether the operand can be compared with the literal. */
static int
check_types(struct parser *p, const struct operand *o, struct literal *l)
{
    const bool fits = o->domain == FILTER_OF_TEXT   ? l->kind == LIT_TEXT
                      : o->domain == FILTER_OF_BOOL ? l->kind == LIT_BOOL
                                                    : l->kind == LIT_INT || l->kind == LIT_FLOAT;
    char type[SHARD_TYPE_NAME_MAX];

    if (fits)
        return 0;
    if (o->field->type == SHARD_TYPE_TIMESTAMP && l->kind == LIT_TEXT)
        return take_time(p, o, l);
    if (o->lengths)
        return FAIL_AT(p, l->at, "a length is compared with %s; it wants a number",
                       literal_name(l));
    return FAIL_AT(p, l->at, "column '%s' is %s and cannot be compared with %s", o->field->name,
                   shard_field_type_name(o->field, type), literal_name(l));
}

/* Whether it can be compared with anything. */
static int
check_comparable(struct parser *p, const struct operand *o)
{
    char type[SHARD_TYPE_NAME_MAX];

    if (o->domain != FILTER_OF_NONE)
        return 0;
    return FAIL_AT(p, o->at, "column '%s' is %s: only IS NULL%s with it", o->field->name,
                   shard_field_type_name(o->field, type),
                   fmt_field_type(o->field).offsets ? " and length() go" : " goes");
}

/* ------------------------------------------------------------------------------------ predicates */

static int
compare(struct parser *p, const struct operand *o, enum filter_op op, struct literal *l,
        uint32_t *ret)
{
    struct fmt_filter *f = p->f;
    const uint32_t first = o->domain == FILTER_OF_TEXT ? f->n_texts : f->n_spans;
    int r = check_types(p, o, l);

    if (r < 0)
        return r;
    if (o->domain == FILTER_OF_BOOL && op != FILTER_EQ && op != FILTER_NE)
        return FAIL_AT(p, l->at, "true and false have no order: only = and <> go with them");
    if (o->domain != FILTER_OF_TEXT) {
        r = add_op_spans(p, o->domain, op, l);
        return r < 0 ? r : add_number(p, o, first, ret);
    }
    r = add_text(p, (struct filter_text){(uint32_t)f->store.len, (uint32_t)l->len, 0});
    if (r == 0 && base_buf_append(&f->store, l->text, l->len) < 0)
        r = fail_memory(p);
    if (r < 0)
        return r;
    return add_node(p,
                    (struct filter_node){
                        .kind = FILTER_TEXT, .op = op, .input = o->input, .first = first, .n = 1},
                    ret);
}

static int
text_compare(const void *a, const void *b, void *arg)
{
    const struct filter_text *x = a, *y = b;

    return filter_compare(filter_text_bytes(arg, x), x->len, filter_text_bytes(arg, y), y->len);
}

/* Behind IN. */
static int
in_list(struct parser *p, const struct operand *o, uint32_t *ret)
{
    struct fmt_filter *f = p->f;
    const uint32_t first = o->domain == FILTER_OF_TEXT ? f->n_texts : f->n_spans;
    struct literal l;
    int r = need_mark(p, "(", "( behind IN");

    while (r == 0) {
        r = literal(p, &p->texts[0], &l);
        if (r == 0)
            r = check_types(p, o, &l);
        if (r == 0 && o->domain != FILTER_OF_TEXT)
            r = add_op_spans(p, o->domain, FILTER_EQ, &l);
        if (r == 0 && o->domain == FILTER_OF_TEXT) {
            r = add_text(p, (struct filter_text){(uint32_t)f->store.len, (uint32_t)l.len, 0});
            if (r == 0 && base_buf_append(&f->store, l.text, l.len) < 0)
                r = fail_memory(p);
        }
        if (r < 0 || !is_mark(p, ","))
            break;
        r = next_token(p);
    }
    if (r == 0)
        r = need_mark(p, ")", ", or )");
    if (r < 0)
        return r;
    if (o->domain != FILTER_OF_TEXT)
        return add_number(p, o, first, ret);
    qsort_r(f->texts + first, f->n_texts - first, sizeof(*f->texts), text_compare, f);
    return add_node(p,
                    (struct filter_node){.kind = FILTER_TEXT_IN,
                                         .input = o->input,
                                         .first = first,
                                         .n = f->n_texts - first},
                    ret);
}

/* The pattern as pairs of kind and byte, then the bytes before its first wildcard, into the store. */
static int
put_pattern(struct parser *p, const struct literal *l, struct filter_text *ret)
{
    struct base_buf *store = &p->f->store;
    bool wild = false;

    *ret = (struct filter_text){.off = (uint32_t)store->len};
    if (base_buf_reserve(store, 3 * l->len) < 0)
        return fail_memory(p);
    for (size_t i = 0; i < l->len; i++) {
        uint8_t pair[2] = {FILTER_LIKE_BYTE, l->text[i]};

        if (pair[1] == '\\') {
            if (++i == l->len || memchr("\\%_", l->text[i], 3) == NULL)
                return FAIL_AT(p, l->at, "in a pattern \\ stands before \\, %% or _ only");
            pair[1] = l->text[i];
        } else if (pair[1] == '%' || pair[1] == '_') {
            pair[0] = pair[1] == '%' ? FILTER_LIKE_MANY : FILTER_LIKE_ONE;
            wild = true;
        }
        ret->prefix += !wild;
        base_buf_put(store, pair, sizeof(pair));
    }
    ret->len = (uint32_t)store->len - ret->off;
    for (uint32_t i = 0; i < ret->prefix; i++)
        base_buf_put(store, store->data + ret->off + 2 * (size_t)i + 1, 1);
    return 0;
}

/* Behind LIKE. */
static int
like(struct parser *p, const struct operand *o, uint32_t *ret)
{
    struct filter_text text;
    struct literal l;
    int r;

    if (o->domain != FILTER_OF_TEXT)
        return FAIL_AT(p, o->at, "LIKE goes with strings and binary only");
    r = literal(p, &p->texts[0], &l);
    if (r == 0)
        r = check_types(p, o, &l);
    if (r == 0)
        r = put_pattern(p, &l, &text);
    if (r == 0)
        r = add_text(p, text);
    if (r < 0)
        return r;
    return add_node(p,
                    (struct filter_node){.kind = FILTER_LIKE,
                                         .input = o->input,
                                         .first = p->f->n_texts - 1,
                                         .n = 1},
                    ret);
}

/* Behind BETWEEN. */
static int
between(struct parser *p, const struct operand *o, uint32_t *ret)
{
    struct literal lo, hi;
    uint32_t low, high;
    int r = literal(p, &p->texts[0], &lo);

    if (r == 0)
        r = is_word(p, "and") ? next_token(p) : fail_expected(p, "AND, as in BETWEEN 1 AND 5,");
    if (r == 0)
        r = literal(p, &p->texts[1], &hi);
    if (r == 0)
        r = compare(p, o, FILTER_GE, &lo, &low);
    if (r == 0)
        r = compare(p, o, FILTER_LE, &hi, &high);
    if (r < 0)
        return r;
    p->f->nodes[low].next = high;
    return add_node(p, (struct filter_node){.kind = FILTER_AND, .child = low}, ret);
}

/* The filter takes the values, or the lengths, of the column. */
static int
take_input(struct parser *p, struct operand *o)
{
    return add_input(p, o->column, o->lengths, &o->input);
}

/* The filter asks for its nulls only: where rows have lengths, those tell. */
static int
take_nulls(struct parser *p, struct operand *o)
{
    return add_input(p, o->column, o->lengths || fmt_field_type(o->field).offsets, &o->input);
}

/* Behind IS. */
static int
is_what(struct parser *p, struct operand *o, uint32_t *ret)
{
    const uint32_t first = p->f->n_spans;
    const int negate = take_word(p, "not");
    int r = negate;

    if (r >= 0 && is_word(p, "null")) {
        r = take_nulls(p, o);
        if (r == 0)
            r = add_node(p, (struct filter_node){.kind = FILTER_IS_NULL, .input = o->input}, ret);
    } else if (r >= 0 && is_word(p, "nan")) {
        if (o->domain != FILTER_OF_FLOATS)
            return FAIL_AT(p, o->at, "IS NAN goes with floats only");
        r = take_input(p, o);
        if (r == 0)
            r = add_span(p, FILTER_KEY_NAN, FILTER_KEY_NAN);
        if (r == 0)
            r = add_number(p, o, first, ret);
    } else if (r >= 0) {
        r = fail_expected(p, "NULL, NOT NULL or NAN");
    }
    if (r >= 0)
        r = next_token(p);
    return r < 0 ? r : add_not(p, negate, ret);
}

/* The comparison at the next token: 1 and taken, 0 where there is none. */
static int
take_op(struct parser *p, enum filter_op *ret)
{
    static const struct {
        const char *mark;
        enum filter_op op;
    } ops[] = {{"=", FILTER_EQ},  {"==", FILTER_EQ}, {"!=", FILTER_NE}, {"<>", FILTER_NE},
               {"<", FILTER_LT},  {"<=", FILTER_LE}, {">", FILTER_GT},  {">=", FILTER_GE}};

    for (size_t i = 0; i < BASE_ARRAY_LEN(ops); i++) {
        if (is_mark(p, ops[i].mark)) {
            *ret = ops[i].op;
            return take_mark(p, ops[i].mark);
        }
    }
    return 0;
}

/* The column of the next token, a name. */
static int
column(struct parser *p, int64_t *ret)
{
    const bool quoted = p->t.kind == T_QUOTED;
    const char *name = quoted ? (const char *)p->text.data : p->p + p->t.at;
    const size_t len = quoted ? p->text.len : p->t.len;
    char *copy, have[48];

    if (!quoted && p->t.kind != T_NAME)
        return fail_expected(p, "the name of a column");
    copy = strndup(len ? name : "", len);
    if (copy == NULL)
        return fail_memory(p);
    *ret = fmt_schema_find(p->s, copy);
    free(copy);
    if (*ret < 0)
        return FAIL_AT(p, p->t.at, "there is no column %s", shown(p, have));
    return next_token(p);
}

static int
operand(struct parser *p, struct operand *ret)
{
    const size_t at = p->t.at;
    const bool maybe_length = is_word(p, "length");
    bool lengths = false;
    int64_t col = -1;
    int r = 0;

    if (maybe_length && p->p[at + 6 + strspn(p->p + at + 6, " \t\r\n")] == '(') {
        lengths = true;
        r = next_token(p);
        if (r == 0)
            r = next_token(p);
    }
    if (r == 0)
        r = column(p, &col);
    if (r == 0 && lengths)
        r = need_mark(p, ")", ")");
    if (r < 0)
        return r;
    *ret = (struct operand){.domain = FILTER_OF_UNSIGNED,
                            .column = (uint32_t)col,
                            .field = &p->s->fields[col],
                            .lengths = lengths,
                            .at = at};
    if (!lengths)
        ret->domain = filter_domain_of(ret->field);
    else if (!fmt_field_type(ret->field).offsets)
        return FAIL_AT(p, at, "column '%s' has no length: it is no string and no list",
                       ret->field->name);
    return 0;
}

/* "5 < x": the operator as seen from x. */
static enum filter_op
op_turned(enum filter_op op)
{
    switch (op) {
    case FILTER_LT: return FILTER_GT;
    case FILTER_LE: return FILTER_GE;
    case FILTER_GT: return FILTER_LT;
    case FILTER_GE: return FILTER_LE;
    default: return op;
    }
}

/* A predicate that begins with a literal. */
static int
literal_first(struct parser *p, uint32_t *ret)
{
    const size_t at = p->t.at;
    enum filter_op op;
    struct literal l;
    struct operand o;
    int r = literal(p, &p->texts[0], &l);

    if (r < 0)
        return r;
    r = take_op(p, &op);
    if (r == 0 && l.kind == LIT_BOOL)
        return add_node(p, (struct filter_node){.kind = FILTER_CONST, .value = l.i != 0}, ret);
    if (r == 0)
        return fail_expected(p, "a comparison (=, <>, <, <=, >, >=)");
    if (r == 1 && at_literal(p))
        return FAIL_AT(p, at, "two literals are compared with each other; one side is a column");
    if (r == 1)
        r = operand(p, &o);
    if (r == 0)
        r = check_comparable(p, &o);
    if (r == 0)
        r = take_input(p, &o);
    return r < 0 ? r : compare(p, &o, op_turned(op), &l, ret);
}

/* What follows an operand. */
static int
operand_first(struct parser *p, uint32_t *ret)
{
    struct literal yes = {.kind = LIT_BOOL, .i = 1}, l;
    enum filter_op op;
    struct operand o;
    int r = operand(p, &o), negate;

    if (r < 0)
        return r;
    r = take_word(p, "is");
    if (r != 0)
        return r < 0 ? r : is_what(p, &o, ret);
    r = take_input(p, &o);
    if (r == 0)
        r = take_op(p, &op);
    if (r < 0)
        return r;
    if (r == 1) {
        r = check_comparable(p, &o);
        if (r == 0 && (p->t.kind == T_QUOTED || (p->t.kind == T_NAME && !at_literal(p))))
            return FAIL_AT(p, p->t.at, "a column is compared with a literal only; strings stand in "
                                       "single quotes");
        if (r == 0)
            r = literal(p, &p->texts[0], &l);
        return r < 0 ? r : compare(p, &o, op, &l, ret);
    }
    negate = take_word(p, "not");
    if (negate < 0)
        return negate;
    if (is_word(p, "in") || is_word(p, "like") || is_word(p, "between")) {
        const char kind = p->p[p->t.at];

        r = check_comparable(p, &o);
        if (r == 0)
            r = next_token(p);
        if (r == 0)
            r = kind == 'i' || kind == 'I'   ? in_list(p, &o, ret)
                : kind == 'l' || kind == 'L' ? like(p, &o, ret)
                                             : between(p, &o, ret);
        return r < 0 ? r : add_not(p, negate, ret);
    }
    if (o.domain == FILTER_OF_BOOL && !negate)
        return compare(p, &o, FILTER_EQ, &yes, ret);
    return fail_expected(p, negate ? "IN, LIKE or BETWEEN" : "a comparison, IN, LIKE, BETWEEN or IS");
}

/* ----------------------------------------------------------------------------------- expressions */

static int expression(struct parser *p, uint32_t *ret);

static int
parse_not(struct parser *p, uint32_t *ret)
{
    int r;

    if (p->depth == FMT_FILTER_DEPTH_MAX)
        return FAIL_AT(p, p->t.at, "parentheses and NOT are nested more than %u deep",
                       FMT_FILTER_DEPTH_MAX);
    p->depth++;
    if (is_word(p, "not") || is_mark(p, "!")) {
        r = next_token(p);
        if (r == 0)
            r = parse_not(p, ret);
        if (r == 0)
            r = add_not(p, true, ret);
    } else if (is_mark(p, "(")) {
        r = next_token(p);
        if (r == 0)
            r = expression(p, ret);
        if (r == 0)
            r = need_mark(p, ")", "AND, OR or )");
    } else {
        r = at_literal(p) ? literal_first(p, ret) : operand_first(p, ret);
    }
    p->depth--;
    return r;
}

/* AND binds closer than OR. */
static int
parse_chain(struct parser *p, bool is_or, uint32_t *ret)
{
    const char *word = is_or ? "or" : "and", *mark = is_or ? "||" : "&&";
    uint32_t last, next;
    bool first = true;
    int r = is_or ? parse_chain(p, false, ret) : parse_not(p, ret);

    for (last = *ret; r == 0 && (is_word(p, word) || is_mark(p, mark)); last = next) {
        r = next_token(p);
        if (r == 0 && first) /* the first one found becomes a child */
            r = add_node(p,
                         (struct filter_node){.kind = is_or ? FILTER_OR : FILTER_AND, .child = *ret},
                         ret);
        first = false;
        if (r == 0)
            r = is_or ? parse_chain(p, false, &next) : parse_not(p, &next);
        if (r < 0)
            return r;
        p->f->nodes[last].next = next;
    }
    return r;
}

static int
expression(struct parser *p, uint32_t *ret)
{
    return parse_chain(p, true, ret);
}

int
fmt_filter_parse(const char *text, const struct fmt_schema *s, struct fmt_filter **ret,
                 size_t *ret_at, struct shard_error *err)
{
    struct parser p = {.p = text, .s = s, .err = err};
    int r;

    if (strlen(text) > FMT_FILTER_TEXT_MAX) {
        if (ret_at)
            *ret_at = 0;
        return base_fail(err, SHARD_EPARSE, "an expression of %zu bytes; %u are allowed",
                         strlen(text), FMT_FILTER_TEXT_MAX);
    }
    p.f = calloc(1, sizeof(*p.f));
    r = p.f ? next_token(&p) : fail_memory(&p);
    if (r == 0)
        r = expression(&p, &p.f->root);
    if (r == 0 && p.t.kind != T_END)
        r = fail_expected(&p, "AND, OR or the end");
    base_buf_done(&p.text);
    base_buf_done(&p.texts[0]);
    base_buf_done(&p.texts[1]);
    if (r == 0)
        *ret = p.f;
    else
        fmt_filter_free(p.f);
    if (r == SHARD_EPARSE && ret_at)
        *ret_at = p.fail_at;
    return r;
}
