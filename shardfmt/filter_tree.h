/* Inside filters: the tree that the parser makes, and how numbers become keys.
 *
 * A key is a number's place among all numbers of its column's domain, so that comparing keys is
 * comparing values: int64 and smaller by value plus 2^63, unsigned and bool by value, floats by value
 * (as float64) with both zeros the same, and NaN above everything. A comparison with a number is then
 * a set of spans of keys. */
#ifndef FMT_FILTER_TREE_H
#define FMT_FILTER_TREE_H

#include "shardfmt/filter.h"

enum filter_kind {
    FILTER_CONST,   /* value */
    FILTER_AND,     /* children */
    FILTER_OR,      /* children */
    FILTER_NOT,     /* one child */
    FILTER_IS_NULL, /* of an input */
    FILTER_NUMBER,  /* the key of an input is in one of spans [first, first + n) */
    FILTER_TEXT,    /* the bytes of an input stand to texts[first] as op says */
    FILTER_TEXT_IN, /* they are one of texts [first, first + n), which are sorted */
    FILTER_LIKE,    /* they match the pattern texts[first] */
};

enum filter_op { FILTER_EQ, FILTER_NE, FILTER_LT, FILTER_LE, FILTER_GT, FILTER_GE };

#define FILTER_NONE UINT32_MAX

enum filter_domain {
    FILTER_OF_SIGNED,
    FILTER_OF_UNSIGNED,
    FILTER_OF_FLOATS,
    FILTER_OF_BOOL,
    FILTER_OF_TEXT,
    FILTER_OF_NONE, /* nothing can be compared with it */
};

struct filter_node {
    enum filter_kind kind;
    enum filter_op op;
    enum filter_domain domain; /* of a number's keys */
    bool value;
    uint32_t input;
    uint32_t first, n;
    uint32_t child, next; /* first child, next sibling; FILTER_NONE */
};

struct filter_span {
    uint64_t lo, hi; /* keys, both included */
};

/* Bytes in a filter's store. A LIKE pattern is len bytes, pairs of kind and byte; behind it stand the
 * prefix bytes that every match begins with. */
struct filter_text {
    uint32_t off, len;
    uint32_t prefix;
};

/* What pairs of a pattern mean. */
enum filter_like { FILTER_LIKE_BYTE, FILTER_LIKE_ONE, FILTER_LIKE_MANY };

struct fmt_filter {
    struct fmt_filter_input *inputs;
    uint32_t n_inputs, cap_inputs;
    struct filter_node *nodes;
    uint32_t n_nodes, cap_nodes, root;
    struct filter_span *spans;
    uint32_t n_spans, cap_spans;
    struct filter_text *texts;
    uint32_t n_texts, cap_texts;
    struct base_buf store;
};

#define FILTER_KEY_NAN UINT64_MAX

static inline uint64_t
filter_key_i64(int64_t v)
{
    return (uint64_t)v ^ UINT64_C(1) << 63;
}

static inline uint64_t
filter_key_f64(double v)
{
    union {
        double d;
        uint64_t u;
    } bits = {v + 0.0}; /* -0.0 + 0.0 is 0.0 */

    if (__builtin_isnan(v))
        return FILTER_KEY_NAN;
    return bits.u >> 63 ? ~bits.u : bits.u | UINT64_C(1) << 63;
}

static inline const uint8_t *
filter_text_bytes(const struct fmt_filter *f, const struct filter_text *t)
{
    return f->store.data + t->off;
}

/* < 0, 0, > 0: bytewise, and the shorter one first. */
static inline int
filter_compare(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
    const size_t n = a_len < b_len ? a_len : b_len;
    const int c = n ? memcmp(a, b, n) : 0;

    return c ? c : (a_len > b_len) - (a_len < b_len);
}

enum filter_domain filter_domain_of(const struct shard_field *f);

#endif
