/* The only C++ of the project: simdjson and <charconv> behind json_dom.h and cxx.h.
 *
 * simdjson's On-Demand finds the structure and checks UTF-8; every value is visited, so every value
 * is checked. Numbers and strings are read here from their tokens: simdjson gives up a whole
 * document for a number beyond 64 bits or beyond double, and differs between versions on lone
 * surrogates. Nothing throws: the error-code interface is used throughout. Only what simdjson 1.0
 * has is used, so that Ubuntu 22.04's will do. */
#include "config.h"

#define SIMDJSON_EXCEPTIONS         0
#define SIMDJSON_DEVELOPMENT_CHECKS 0
#include <simdjson.h>

#include "tools/ingest/json_dom.h"

#include <charconv>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

extern "C" {
#include "tools/ingest/cxx.h"
#include "tools/ingest/number.h"
#include "tools/ingest/reject.h"
}

namespace od = simdjson::ondemand;

struct ingest_json {
    od::parser parser;
    ingest_json_node *nodes = nullptr;
    size_t n_nodes = 0, cap_nodes = 0;
    char *arena = nullptr; /* unescaped strings: never longer than the text, so it never moves */
    size_t arena_len = 0, cap_arena = 0;
    uint32_t max_depth = 0;
    const char *last = nullptr; /* the token looked at last, for messages */
    ingest_json_bad *bad = nullptr;
};

namespace
{

constexpr int kBad = 1;

inline bool
is_blank(char c) noexcept
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

int
refuse(ingest_json *j, const char *reason, const char *detail) noexcept
{
    j->bad->reason = reason;
    j->bad->detail = detail;
    return kBad;
}

int
refuse(ingest_json *j, simdjson::error_code code) noexcept
{
    switch (code) {
    case simdjson::MEMALLOC:
        return -ENOMEM;
    case simdjson::UTF8_ERROR:
        return refuse(j, INGEST_BAD_UTF8, "the bytes are not UTF-8");
    case simdjson::UNESCAPED_CHARS:
        return refuse(j, INGEST_BAD_JSON, "a control character stands unescaped in a string");
    case simdjson::UNCLOSED_STRING:
        return refuse(j, INGEST_BAD_JSON, "a string is not closed");
    case simdjson::EMPTY:
        return refuse(j, INGEST_BAD_JSON, "no JSON value");
    case simdjson::INCOMPLETE_ARRAY_OR_OBJECT:
        return refuse(j, INGEST_BAD_JSON, "an array or object is not closed");
    case simdjson::CAPACITY:
        return refuse(j, INGEST_BAD_RECORD_SIZE, "the text is longer than the parser takes");
    default:
        return refuse(j, INGEST_BAD_JSON, "a comma, colon, bracket or value is missing or stray");
    }
}

int
hex4(const char *p, const char *end) noexcept
{
    int v = 0;

    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        const char c = p[i];
        int digit;

        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            digit = (c | 32) - 'a' + 10;
        else
            return -1;
        v = v * 16 + digit;
    }
    return v;
}

char *
put_utf8(char *o, uint32_t c) noexcept
{
    if (c < 0x80) {
        *o++ = static_cast<char>(c);
    } else if (c < 0x800) {
        *o++ = static_cast<char>(0xc0 | c >> 6);
        *o++ = static_cast<char>(0x80 | (c & 63));
    } else if (c < 0x10000) {
        *o++ = static_cast<char>(0xe0 | c >> 12);
        *o++ = static_cast<char>(0x80 | (c >> 6 & 63));
        *o++ = static_cast<char>(0x80 | (c & 63));
    } else {
        *o++ = static_cast<char>(0xf0 | c >> 18);
        *o++ = static_cast<char>(0x80 | (c >> 12 & 63));
        *o++ = static_cast<char>(0x80 | (c >> 6 & 63));
        *o++ = static_cast<char>(0x80 | (c & 63));
    }
    return o;
}

/* The escape behind the backslash at *p; moves *p behind it. Returns the new *o or nullptr. */
char *
unescape_one(ingest_json *j, const char **p, const char *end, char *o) noexcept
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *s = *p;
    const char *hit;
    int c, low;

    if (s == end)
        goto bad;
    if (*s != 'u') {
        hit = *s ? std::strchr(from, *s) : nullptr;
        if (hit == nullptr)
            goto bad;
        *o++ = to[hit - from];
        *p = s + 1;
        return o;
    }
    c = hex4(s + 1, end);
    if (c < 0)
        goto bad;
    s += 5;
    if (c >= 0xdc00 && c <= 0xdfff)
        goto lone;
    if (c >= 0xd800 && c <= 0xdbff) {
        if (end - s < 6 || s[0] != '\\' || s[1] != 'u')
            goto lone;
        low = hex4(s + 2, end);
        if (low < 0xdc00 || low > 0xdfff)
            goto lone;
        s += 6;
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    *p = s;
    return put_utf8(o, static_cast<uint32_t>(c));
bad:
    j->last = *p - 1;
    (void)refuse(j, INGEST_BAD_JSON, "an unknown escape in a string");
    return nullptr;
lone:
    j->last = *p - 1;
    (void)refuse(
        j, INGEST_BAD_JSON,
        "half of a surrogate pair (\\ud800 to \\udfff) stands alone: no UTF-8 can hold it");
    return nullptr;
}

/* The inside of a string, between its quotes. Where nothing is escaped it stays where it is. */
int
read_string(ingest_json *j, const char *p, const char *end, const char **ret,
            size_t *ret_len) noexcept
{
    char *const start = j->arena + j->arena_len;
    char *o = start;

    for (;;) {
        const size_t left = static_cast<size_t>(end - p);
        const char *slash = static_cast<const char *>(std::memchr(p, '\\', left));
        const size_t run = slash ? static_cast<size_t>(slash - p) : left;

        if (std::memchr(p, '"', run))
            return refuse(j, INGEST_BAD_JSON, "something stands behind a string's end");
        if (slash == nullptr && o == start) {
            *ret = p;
            *ret_len = run;
            return 0;
        }
        std::memcpy(o, p, run);
        o += run;
        if (slash == nullptr)
            break;
        p = slash + 1;
        o = unescape_one(j, &p, end, o);
        if (o == nullptr)
            return kBad;
    }
    *ret = start;
    *ret_len = static_cast<size_t>(o - start);
    j->arena_len += *ret_len;
    return 0;
}

int
grow(ingest_json *j) noexcept
{
    const size_t cap = j->cap_nodes ? j->cap_nodes * 2 : 256;
    void *p;

    if (cap > UINT32_MAX)
        return refuse(j, INGEST_BAD_RECORD_SIZE, "the record has too many values");
    p = std::realloc(j->nodes, cap * sizeof(*j->nodes));
    if (p == nullptr)
        return -ENOMEM;
    j->nodes = static_cast<ingest_json_node *>(p);
    j->cap_nodes = cap;
    return 0;
}

/* A fresh node at the end; its number in *ret. */
inline int
add_node(ingest_json *j, ingest_json_kind kind, const char *key, size_t key_len,
         uint32_t *ret) noexcept
{
    ingest_json_node *node;

    if (j->n_nodes == j->cap_nodes) {
        const int r = grow(j);

        if (r != 0)
            return r;
    }
    *ret = static_cast<uint32_t>(j->n_nodes);
    node = &j->nodes[j->n_nodes++];
    node->kind = kind;
    node->span = 1;
    node->n = 0;
    node->key = key;
    node->key_len = static_cast<uint32_t>(key_len);
    node->text = nullptr;
    node->text_len = 0;
    return 0;
}

bool
is_word(const char *p, size_t len, const char *word, size_t word_len) noexcept
{
    return len == word_len && std::memcmp(p, word, len) == 0;
}

/* A scalar from its token, which may have blanks behind it. */
int
read_scalar(ingest_json *j, const char *p, size_t len, const char *key, size_t key_len) noexcept
{
    ingest_json_node *node;
    ingest_num num;
    uint32_t at;
    int r = add_node(j, INGEST_JSON_NULL, key, key_len, &at);

    if (r != 0)
        return r;
    node = &j->nodes[at];
    j->last = p;
    while (len && is_blank(p[len - 1]))
        len--;
    node->text = p;
    node->text_len = len;
    if (len >= 2 && p[0] == '"' && p[len - 1] == '"') {
        node->kind = INGEST_JSON_STRING;
        return read_string(j, p + 1, p + len - 1, &node->text, &node->text_len);
    }
    if (is_word(p, len, "null", 4))
        return 0;
    if (is_word(p, len, "true", 4) || is_word(p, len, "false", 5)) {
        node->kind = INGEST_JSON_BOOL;
        node->v.b = len == 4;
        return 0;
    }
    switch (ingest_num_json(p, len, &num)) {
    case INGEST_NUM_INT:
        node->kind = INGEST_JSON_INT;
        node->v.i = num.i;
        return 0;
    case INGEST_NUM_UINT:
        node->kind = INGEST_JSON_UINT;
        node->v.u = num.u;
        return 0;
    case INGEST_NUM_FLOAT:
        node->kind = INGEST_JSON_FLOAT;
        node->v.f = num.f;
        return 0;
    case INGEST_NUM_BIG:
        node->kind = INGEST_JSON_BIG;
        return 0;
    default:
        return refuse(j, INGEST_BAD_JSON, "neither a string, a number, true, false nor null");
    }
}

/* An unescaped key; simdjson made sure that it starts with a quote and that strings end. */
int
read_key(ingest_json *j, const char *p, const char **ret, size_t *ret_len) noexcept
{
    const char *end = p;

    j->last = p - 1;
    while (*end != '"')
        end += 1 + (*end == '\\');
    if (static_cast<size_t>(end - p) > UINT32_MAX)
        return refuse(j, INGEST_BAD_RECORD_SIZE, "a key of more than 4 GiB");
    return read_string(j, p, end, ret, ret_len);
}

int read_object(ingest_json *j, od::object &object, uint32_t at, uint32_t depth) noexcept;
int read_array(ingest_json *j, od::array &array, uint32_t at, uint32_t depth) noexcept;

int
read_value(ingest_json *j, od::value &value, const char *key, size_t key_len,
           uint32_t depth) noexcept
{
    const std::string_view token = value.raw_json_token();
    const char first = token.empty() ? '\0' : token[0];
    simdjson::error_code code;
    uint32_t at;
    int r;

    if (first == '"') {
        /* On-Demand passes over what was not asked for, and then takes a string with a colon behind
         * it for a key: ask, so that it looks for a comma. */
        code = value.get_raw_json_string().error();
        if (code)
            return refuse(j, code);
    }
    if (first != '{' && first != '[')
        return read_scalar(j, token.data(), token.size(), key, key_len);
    j->last = token.data();
    if (depth >= j->max_depth)
        return refuse(j, INGEST_BAD_JSON_DEPTH, "nested deeper than the limit");
    r = add_node(j, first == '{' ? INGEST_JSON_OBJECT : INGEST_JSON_ARRAY, key, key_len, &at);
    if (r != 0)
        return r;
    if (first == '{') {
        od::object object;

        code = value.get_object().get(object);
        return code ? refuse(j, code) : read_object(j, object, at, depth + 1);
    }
    od::array array;

    code = value.get_array().get(array);
    return code ? refuse(j, code) : read_array(j, array, at, depth + 1);
}

int
read_object(ingest_json *j, od::object &object, uint32_t at, uint32_t depth) noexcept
{
    uint32_t n = 0;

    for (auto item : object) {
        const char *key = nullptr;
        size_t key_len = 0;
        od::field field;
        int r;

        if (const simdjson::error_code code = std::move(item).get(field))
            return refuse(j, code);
        r = read_key(j, reinterpret_cast<const char *>(field.key().raw()), &key, &key_len);
        if (r == 0)
            r = read_value(j, field.value(), key, key_len, depth);
        if (r != 0)
            return r;
        n++;
    }
    j->nodes[at].n = n;
    j->nodes[at].span = static_cast<uint32_t>(j->n_nodes) - at;
    return 0;
}

int
read_array(ingest_json *j, od::array &array, uint32_t at, uint32_t depth) noexcept
{
    uint32_t n = 0;

    for (auto item : array) {
        od::value value;
        int r;

        if (const simdjson::error_code code = std::move(item).get(value))
            return refuse(j, code);
        r = read_value(j, value, nullptr, 0, depth);
        if (r != 0)
            return r;
        n++;
    }
    j->nodes[at].n = n;
    j->nodes[at].span = static_cast<uint32_t>(j->n_nodes) - at;
    return 0;
}

struct sink {
    const char *text;
    size_t len;
    ingest_json_fn fn;
    void *arg;
};

void
forget(ingest_json *j) noexcept
{
    j->n_nodes = 0;
    j->arena_len = 0;
}

/* The last byte of a value is not told by On-Demand; what lies between it and the next token is
 * blanks and one comma or bracket, none of which a value ends with but for its own bracket. */
size_t
value_end(const sink &to, size_t start, const char *next) noexcept
{
    size_t end = next ? static_cast<size_t>(next - to.text) : to.len;

    while (end > start && is_blank(to.text[end - 1]))
        end--;
    return end;
}

/* The elements of the root array, each a record. */
int
give_elements(ingest_json *j, od::document &doc, od::array &array, const sink &to) noexcept
{
    for (auto item : array) {
        const char *next = nullptr;
        od::value value;
        size_t start;
        int r;

        if (const simdjson::error_code code = std::move(item).get(value))
            return refuse(j, code);
        forget(j);
        start = static_cast<size_t>(value.raw_json_token().data() - to.text);
        r = read_value(j, value, nullptr, 0, 1);
        if (r != 0)
            return r;
        if (j->nodes[0].kind < INGEST_JSON_ARRAY)
            next = to.text + start +
                   (j->nodes[0].kind == INGEST_JSON_STRING ? value.raw_json_token().size()
                                                           : j->nodes[0].text_len);
        else if (doc.current_location().get(next))
            next = nullptr;
        r = to.fn(to.arg, j->nodes, start, value_end(to, start, next));
        if (r != 0)
            return r;
    }
    return 0;
}

int
give_whole(ingest_json *j, const sink &to) noexcept
{
    size_t end = to.len, start = 0;

    while (end && is_blank(to.text[end - 1]))
        end--;
    while (start < end && is_blank(to.text[start]))
        start++;
    return to.fn(to.arg, j->nodes, start, end);
}

int
check_end(ingest_json *j, od::document &doc) noexcept
{
    const char *where = nullptr;

    if (doc.current_location().get(where) == simdjson::OUT_OF_BOUNDS)
        return 0;
    if (where)
        j->last = where;
    return refuse(j, INGEST_BAD_JSON, "something stands behind the value's end");
}

/* The document's root; simdjson treats scalars there in another way, so they are read directly. */
int
give_root(ingest_json *j, od::document &doc, const sink &to, bool elements) noexcept
{
    const char *p = to.text, *end = to.text + to.len;
    simdjson::error_code code;
    uint32_t at;
    int r;

    while (p < end && is_blank(*p))
        p++;
    if (p == end)
        return refuse(j, simdjson::EMPTY);
    j->last = p;
    if (*p != '{' && *p != '[') {
        r = read_scalar(j, p, static_cast<size_t>(end - p), nullptr, 0);
        return r ? r : give_whole(j, to);
    }
    if (j->max_depth == 0)
        return refuse(j, INGEST_BAD_JSON_DEPTH, "nested deeper than the limit");
    r = add_node(j, *p == '{' ? INGEST_JSON_OBJECT : INGEST_JSON_ARRAY, nullptr, 0, &at);
    if (r != 0)
        return r;
    if (*p == '{') {
        od::object object;

        code = doc.get_object().get(object);
        r = code ? refuse(j, code) : read_object(j, object, at, 1);
    } else {
        od::array array;

        code = doc.get_array().get(array);
        if (code)
            r = refuse(j, code);
        else
            r = elements ? give_elements(j, doc, array, to) : read_array(j, array, at, 1);
    }
    if (r == 0)
        r = check_end(j, doc);
    if (r == 0 && !(elements && *p == '['))
        r = give_whole(j, to);
    return r;
}

/* Room for a text of len bytes, a power of two at a time. */
int
prepare(ingest_json *j, size_t len) noexcept
{
    size_t cap = 65536;
    simdjson::error_code code;
    char *arena;

    if (len > 0xf0000000u)
        return refuse(j, simdjson::CAPACITY);
    if (len <= j->cap_arena && j->parser.max_depth() >= j->max_depth)
        return 0;
    while (cap < len)
        cap *= 2;
    if (cap > 0xf0000000u)
        cap = 0xf0000000u;
    code = j->parser.allocate(cap, j->max_depth > 1024 ? j->max_depth : 1024);
    if (code)
        return refuse(j, code);
    arena = static_cast<char *>(std::realloc(j->arena, cap));
    if (arena == nullptr)
        return -ENOMEM;
    j->arena = arena;
    j->cap_arena = cap;
    return 0;
}

} // namespace

extern "C" int
ingest_json_new(struct ingest_json **ret)
{
    struct ingest_json *j = new (std::nothrow) ingest_json;

    if (j == nullptr)
        return -ENOMEM;
    *ret = j;
    return 0;
}

extern "C" void
ingest_json_free(struct ingest_json *j)
{
    if (j == nullptr)
        return;
    std::free(j->nodes);
    std::free(j->arena);
    delete j;
}

extern "C" int
ingest_json_parse(struct ingest_json *j, const char *text, size_t len, uint32_t max_depth,
                  bool elements, ingest_json_fn fn, void *arg, struct ingest_json_bad *bad)
{
    const sink to = {text, len, fn, arg};
    simdjson::error_code code;
    od::document doc;
    int r;

    j->bad = bad;
    j->max_depth = max_depth;
    j->last = text;
    forget(j);
    r = prepare(j, len);
    if (r == 0) {
        const simdjson::padded_string_view view(text, len, len + simdjson::SIMDJSON_PADDING);

        code = j->parser.iterate(view).get(doc);
        r = code ? refuse(j, code) : give_root(j, doc, to, elements);
    }
    if (r == kBad)
        bad->offset = static_cast<size_t>(j->last - text);
    return r;
}

extern "C" bool
ingest_cxx_utf8_valid(const void *p, size_t len)
{
    return simdjson::validate_utf8(static_cast<const char *>(p), len);
}

namespace
{

template <typename T>
bool
from_text(const char *p, size_t len, T *ret) noexcept
{
    const std::from_chars_result r = std::from_chars(p, p + len, *ret);

    return r.ec == std::errc() && r.ptr == p + len;
}

template <typename T>
size_t
to_text(T v, char *out) noexcept
{
    const std::to_chars_result r =
        std::to_chars(out, out + INGEST_NUM_TEXT_MAX, v, std::chars_format::scientific);

    return r.ec == std::errc() ? static_cast<size_t>(r.ptr - out) : 0;
}

} // namespace

extern "C" bool
ingest_cxx_double(const char *p, size_t len, double *ret)
{
    return from_text(p, len, ret);
}

extern "C" bool
ingest_cxx_float(const char *p, size_t len, float *ret)
{
    return from_text(p, len, ret);
}

extern "C" size_t
ingest_cxx_print_double(double v, char *out)
{
    return to_text(v, out);
}

extern "C" size_t
ingest_cxx_print_float(float v, char *out)
{
    return to_text(v, out);
}
