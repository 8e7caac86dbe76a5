/* Running filters: over the values of some rows, and over statistics of many.
 *
 * Rows are looked at in blocks. For each node of the tree and each block there are two bitmaps, of the
 * rows where it is true and of those where it is false; in neither it is unknown. Over statistics the
 * same logic runs on sets of outcomes: what a leaf can be in any of the rows. Where true is not among
 * those of the whole, no row is selected. */
#include "config.h"

#include "shardfmt/filter.h"

#include <stdlib.h>

#include "lib/compiler.h"
#include "lib/endian.h"
#include "shardfmt/bits.h"
#include "shardfmt/filter_tree.h"
#include "shardfmt/half.h"

#define BLOCK 1024u
#define WORDS (BLOCK / 64u)

void
fmt_filter_free(struct fmt_filter *f)
{
    if (f == NULL)
        return;
    free(f->inputs);
    free(f->nodes);
    free(f->spans);
    free(f->texts);
    base_buf_done(&f->store);
    free(f);
}

const struct fmt_filter_input *
fmt_filter_inputs(const struct fmt_filter *f, uint32_t *ret_n)
{
    *ret_n = f->n_inputs;
    return f->inputs;
}

enum filter_domain
filter_domain_of(const struct shard_field *f)
{
    const struct fmt_type t = fmt_field_type(f);

    switch (t.kind) {
    case FMT_KIND_BIT:
        return FILTER_OF_BOOL;
    case FMT_KIND_BYTES:
        return FILTER_OF_TEXT;
    case FMT_KIND_NUMBER:
        return t.number == FMT_NUMBER_FLOAT    ? FILTER_OF_FLOATS
               : t.number == FMT_NUMBER_SIGNED ? FILTER_OF_SIGNED
                                               : FILTER_OF_UNSIGNED;
    default:
        return FILTER_OF_NONE;
    }
}

/* --------------------------------------------------------------------------------------- rows */

/* The rows [row0, row0 + n) of the inputs. */
struct block {
    const struct fmt_filter *f;
    const struct shard_array *inputs;
    uint64_t row0;
    uint32_t n;
};

/* Outcomes of a node: bit i is row row0 + i. */
struct outcome {
    uint64_t is[WORDS], not[WORDS];
};

#define KEYS_OF(T, key)                                                                            \
    for (uint32_t i = 0; i < b->n; i++)                                                            \
        keys[i] = key(((const T *)a->values)[b->row0 + i]);                                        \
    break
#define KEY_UNSIGNED(v) (v)
#define KEY_FLOAT16(v)  filter_key_f64((double)fmt_float16(v))
#define KEY_BFLOAT16(v) filter_key_f64((double)fmt_bfloat16(v))

static void
keys_of(const struct block *b, const struct shard_array *a, uint64_t keys[BLOCK])
{
    switch (a->type) {
    case SHARD_TYPE_BOOL:
        for (uint32_t i = 0; i < b->n; i++)
            keys[i] = fmt_bits_get(a->values, b->row0 + i);
        break;
    case SHARD_TYPE_INT8: KEYS_OF(int8_t, filter_key_i64);
    case SHARD_TYPE_INT16: KEYS_OF(int16_t, filter_key_i64);
    case SHARD_TYPE_INT32: KEYS_OF(int32_t, filter_key_i64);
    case SHARD_TYPE_INT64:
    case SHARD_TYPE_TIMESTAMP: KEYS_OF(int64_t, filter_key_i64);
    case SHARD_TYPE_UINT8: KEYS_OF(uint8_t, KEY_UNSIGNED);
    case SHARD_TYPE_UINT16: KEYS_OF(uint16_t, KEY_UNSIGNED);
    case SHARD_TYPE_UINT32: KEYS_OF(uint32_t, KEY_UNSIGNED);
    case SHARD_TYPE_UINT64: KEYS_OF(uint64_t, KEY_UNSIGNED);
    case SHARD_TYPE_FLOAT16: KEYS_OF(uint16_t, KEY_FLOAT16);
    case SHARD_TYPE_BFLOAT16: KEYS_OF(uint16_t, KEY_BFLOAT16);
    case SHARD_TYPE_FLOAT32: KEYS_OF(float, filter_key_f64);
    case SHARD_TYPE_FLOAT64: KEYS_OF(double, filter_key_f64);
    default: break;
    }
}

static void
lengths_of(const struct block *b, const struct shard_array *a, uint64_t keys[BLOCK])
{
    for (uint32_t i = 0; i < b->n; i++)
        keys[i] = (uint64_t)(a->offsets[b->row0 + i + 1] - a->offsets[b->row0 + i]);
    for (uint32_t i = 0; i < a->n_far; i++)
        if (a->far[i].row >= b->row0 && a->far[i].row - b->row0 < b->n)
            keys[a->far[i].row - b->row0] = a->far[i].size;
}

/* NULL where it has none, and so the filter perhaps has none. */
static const struct filter_span *
spans_of(const struct fmt_filter *f, const struct filter_node *node)
{
    return node->n ? f->spans + node->first : NULL;
}

static bool
in_spans(const struct filter_span *s, uint32_t n, uint64_t key)
{
    uint32_t lo = 0, hi = n; /* the first span that ends at or behind key */

    while (lo < hi) {
        const uint32_t mid = lo + (hi - lo) / 2;

        if (s[mid].hi < key)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && s[lo].lo <= key;
}

static void
eval_number(const struct block *b, const struct filter_node *node, uint64_t is[WORDS])
{
    const struct shard_array *a = &b->inputs[node->input];
    const struct filter_span *s = spans_of(b->f, node);
    uint64_t keys[BLOCK];

    if (b->f->inputs[node->input].lengths && a->offsets)
        lengths_of(b, a, keys);
    else
        keys_of(b, a, keys);
    if (node->n == 0)
        return;
    for (uint32_t i = 0; i < b->n; i++) {
        const bool in = node->n == 1 ? keys[i] - s->lo <= s->hi - s->lo
                                     : in_spans(s, node->n, keys[i]);

        is[i / 64] |= (uint64_t)in << i % 64;
    }
}

static bool
op_holds(enum filter_op op, int c)
{
    switch (op) {
    case FILTER_EQ: return c == 0;
    case FILTER_NE: return c != 0;
    case FILTER_LT: return c < 0;
    case FILTER_LE: return c <= 0;
    case FILTER_GT: return c > 0;
    default: return c >= 0;
    }
}

static bool
in_texts(const struct fmt_filter *f, const struct filter_node *node, const uint8_t *p, size_t len)
{
    uint32_t lo = 0, hi = node->n;

    while (lo < hi) {
        const uint32_t mid = lo + (hi - lo) / 2;
        const struct filter_text *t = &f->texts[node->first + mid];
        const int c = filter_compare(filter_text_bytes(f, t), t->len, p, len);

        if (c == 0)
            return true;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}

/* Bytes of the character at p of a string; one in binary, and where it is no UTF-8. */
static size_t
char_len(const uint8_t *p, const uint8_t *end, bool utf8)
{
    const size_t n = *p < 0xc0 || !utf8 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;

    return BASE_MIN(n, (size_t)(end - p));
}

/* The pattern is pairs of kind and byte. A mismatch goes back to the last % only, which then takes
 * one character more: time is at most their lengths' product. */
static bool
like(const uint8_t *pat, size_t pat_len, const uint8_t *p, size_t len, bool utf8)
{
    const uint8_t *const pat_end = pat + pat_len, *const end = p + len;
    const uint8_t *back_pat = NULL, *back = NULL;

    for (;;) {
        if (pat < pat_end && pat[0] == FILTER_LIKE_MANY) {
            back_pat = pat += 2;
            back = p;
            continue;
        }
        if (pat == pat_end && p == end)
            return true;
        if (p < end && pat < pat_end && (pat[0] == FILTER_LIKE_ONE || pat[1] == *p)) {
            p += pat[0] == FILTER_LIKE_ONE ? char_len(p, end, utf8) : 1;
            pat += 2;
            continue;
        }
        if (back_pat == NULL || back == end)
            return false;
        back += char_len(back, end, utf8);
        p = back;
        pat = back_pat;
    }
}

static void
eval_text(const struct block *b, const struct filter_node *node, uint64_t is[WORDS])
{
    const struct shard_array *a = &b->inputs[node->input];
    const struct filter_text *t = &b->f->texts[node->first];
    const uint8_t *want = filter_text_bytes(b->f, t);
    const bool utf8 = a->type == SHARD_TYPE_STRING;

    for (uint32_t i = 0; i < b->n; i++) {
        const int32_t *off = &a->offsets[b->row0 + i];
        const uint8_t *p = (const uint8_t *)a->values + off[0];
        const size_t len = (size_t)(off[1] - off[0]);
        bool in;

        if (node->kind == FILTER_TEXT)
            in = op_holds(node->op, filter_compare(p, len, want, t->len));
        else if (node->kind == FILTER_TEXT_IN)
            in = in_texts(b->f, node, p, len);
        else
            in = like(want, t->len, p, len, utf8);
        is[i / 64] |= (uint64_t)in << i % 64;
    }
}

/* Bits of word w that are rows of the block. */
static uint64_t
rows_of(const struct block *b, uint32_t w)
{
    const uint32_t row = w * 64;

    if (row >= b->n)
        return 0;
    return b->n - row >= 64 ? UINT64_MAX : (UINT64_C(1) << (b->n - row)) - 1;
}

/* Those of them that are not null. */
static uint64_t
valid_of(const struct block *b, const struct shard_array *a, uint32_t w)
{
    const uint64_t rows = rows_of(b, w);
    uint8_t bytes[8] = {0};

    if (a->validity == NULL || rows == 0)
        return rows;
    memcpy(bytes, a->validity + b->row0 / 8 + w * 8, fmt_bits_bytes(BASE_MIN(b->n - w * 64, 64)));
    return base_load_le64(bytes) & rows;
}

static void
eval_leaf(const struct block *b, const struct filter_node *node, struct outcome *o)
{
    const struct shard_array *a = &b->inputs[node->input];

    memset(o->is, 0, sizeof(o->is));
    if (node->kind == FILTER_NUMBER)
        eval_number(b, node, o->is);
    else
        eval_text(b, node, o->is);
    for (uint32_t w = 0; w < WORDS; w++) {
        const uint64_t valid = valid_of(b, a, w);

        o->not[w] = ~o->is[w] & valid;
        o->is[w] &= valid;
    }
}

static void eval_node(const struct block *b, uint32_t index, struct outcome *ret);

static void
swap_outcome(struct outcome *o)
{
    const struct outcome old = *o;

    memcpy(o->is, old.not, sizeof(o->is));
    memcpy(o->not, old.is, sizeof(o->not));
}

static bool
false_everywhere(const struct block *b, const struct outcome *o)
{
    uint64_t others = 0;

    for (uint32_t w = 0; w < WORDS; w++)
        others |= rows_of(b, w) & ~o->not[w];
    return others == 0;
}

/* AND. OR is the same with true and false swapped. */
static void
eval_children(const struct block *b, const struct filter_node *node, struct outcome *ret)
{
    const bool is_or = node->kind == FILTER_OR;
    uint32_t child = node->child;

    eval_node(b, child, ret);
    if (is_or)
        swap_outcome(ret);
    while ((child = b->f->nodes[child].next) != FILTER_NONE && !false_everywhere(b, ret)) {
        struct outcome o;

        eval_node(b, child, &o);
        if (is_or)
            swap_outcome(&o);
        for (uint32_t w = 0; w < WORDS; w++) {
            ret->is[w] &= o.is[w];
            ret->not[w] |= o.not[w];
        }
    }
    if (is_or)
        swap_outcome(ret);
}

static void
eval_node(const struct block *b, uint32_t index, struct outcome *ret)
{
    const struct filter_node *node = &b->f->nodes[index];

    switch (node->kind) {
    case FILTER_AND:
    case FILTER_OR:
        eval_children(b, node, ret);
        break;
    case FILTER_NOT:
        eval_node(b, node->child, ret);
        swap_outcome(ret);
        break;
    case FILTER_CONST:
        for (uint32_t w = 0; w < WORDS; w++) {
            ret->is[w] = node->value ? rows_of(b, w) : 0;
            ret->not[w] = node->value ? 0 : rows_of(b, w);
        }
        break;
    case FILTER_IS_NULL:
        for (uint32_t w = 0; w < WORDS; w++) {
            ret->not[w] = valid_of(b, &b->inputs[node->input], w);
            ret->is[w] = rows_of(b, w) & ~ret->not[w];
        }
        break;
    default:
        eval_leaf(b, node, ret);
        break;
    }
}

uint64_t
fmt_filter_eval(const struct fmt_filter *f, const struct shard_array *inputs, uint64_t n_rows,
                uint8_t *ret_bits)
{
    for (uint64_t row0 = 0; row0 < n_rows; row0 += BLOCK) {
        const struct block b = {f, inputs, row0, (uint32_t)BASE_MIN(n_rows - row0, BLOCK)};
        struct outcome o;

        eval_node(&b, f->root, &o);
        for (uint32_t i = 0; i < b.n; i += 8)
            ret_bits[(row0 + i) / 8] = (uint8_t)(o.is[i / 64] >> i % 64);
    }
    fmt_bits_cut(ret_bits, n_rows);
    return fmt_bits_count(ret_bits, 0, n_rows);
}

/* --------------------------------------------------------------------------------- statistics */

/* What a node can be in any row, but for unknown: that never makes anything true. */
enum { MAY_BE = 1, MAY_NOT = 2 };

struct pruner {
    const struct fmt_filter *f;
    const struct fmt_chunk_stats *const *stats;
    uint64_t n_rows;
};

/* Keys of minimum and maximum. */
static bool
stats_keys(enum filter_domain domain, const struct fmt_chunk_stats *s, uint64_t *ret_lo,
           uint64_t *ret_hi)
{
    const uint64_t min = base_load_le64(s->min), max = base_load_le64(s->max);
    double lo, hi;

    switch (domain) {
    case FILTER_OF_SIGNED:
        *ret_lo = filter_key_i64((int64_t)min);
        *ret_hi = filter_key_i64((int64_t)max);
        break;
    case FILTER_OF_FLOATS:
        memcpy(&lo, &min, sizeof(lo));
        memcpy(&hi, &max, sizeof(hi));
        *ret_lo = filter_key_f64(lo);
        *ret_hi = filter_key_f64(hi);
        break;
    default:
        *ret_lo = min;
        *ret_hi = max;
        break;
    }
    return *ret_lo <= *ret_hi;
}

/* Values with keys from lo to hi, some at least. */
static int
prune_spans(const struct filter_span *s, uint32_t n, uint64_t lo, uint64_t hi)
{
    int may = 0;
    uint64_t at = lo; /* what lies before it is looked at */

    for (uint32_t i = 0; i < n && s[i].lo <= hi; i++) {
        if (s[i].hi < lo)
            continue;
        may |= MAY_BE;
        if (s[i].lo > at)
            may |= MAY_NOT;
        if (s[i].hi >= hi)
            return may;
        at = s[i].hi + 1;
    }
    return may | MAY_NOT;
}

static int
prune_number(const struct pruner *p, const struct filter_node *node,
             const struct fmt_chunk_stats *s)
{
    const struct filter_span *spans = spans_of(p->f, node);
    uint64_t lo, hi;
    int may = 0;

    if (p->f->inputs[node->input].lengths)
        return MAY_BE | MAY_NOT;
    if (s->flags & FMT_STATS_NAN && node->domain == FILTER_OF_FLOATS)
        may |= prune_spans(spans, node->n, FILTER_KEY_NAN, FILTER_KEY_NAN);
    if (!(s->flags & FMT_STATS_MINMAX))
        return may ? may : MAY_BE | MAY_NOT; /* values, but no minimum: all are NaN */
    if (!stats_keys(node->domain, s, &lo, &hi))
        return MAY_BE | MAY_NOT;
    return may | prune_spans(spans, node->n, lo, hi);
}

static void
pad(const uint8_t *p, size_t len, uint8_t with, uint8_t ret[FMT_STATS_PREFIX])
{
    memset(ret, with, FMT_STATS_PREFIX);
    if (len)
        memcpy(ret, p, BASE_MIN(len, FMT_STATS_PREFIX));
}

/* With p(x) the first 16 bytes of x, zeros behind a shorter one: p(x) < p(y) means x < y, and
 * p(min) <= p(x) <= p(max) holds for every value. Where prefixes are equal nothing is known. */
static int
prune_compare(enum filter_op op, const uint8_t want[FMT_STATS_PREFIX],
              const struct fmt_chunk_stats *s)
{
    const int min = memcmp(s->min, want, FMT_STATS_PREFIX);
    const int max = memcmp(s->max, want, FMT_STATS_PREFIX);

    switch (op) {
    case FILTER_EQ:
        return min > 0 || max < 0 ? MAY_NOT : MAY_BE | MAY_NOT;
    case FILTER_NE:
        return min > 0 || max < 0 ? MAY_BE : MAY_BE | MAY_NOT;
    case FILTER_LT:
    case FILTER_LE:
        return min > 0 ? MAY_NOT : max < 0 ? MAY_BE : MAY_BE | MAY_NOT;
    default:
        return max < 0 ? MAY_NOT : min > 0 ? MAY_BE : MAY_BE | MAY_NOT;
    }
}

static int
prune_text(const struct pruner *p, const struct filter_node *node, const struct fmt_chunk_stats *s)
{
    const struct filter_text *t = &p->f->texts[node->first];
    uint8_t lo[FMT_STATS_PREFIX], hi[FMT_STATS_PREFIX];
    int may = 0;

    if (!(s->flags & FMT_STATS_MINMAX) || memcmp(s->min, s->max, FMT_STATS_PREFIX) > 0)
        return MAY_BE | MAY_NOT;
    if (node->kind == FILTER_LIKE) { /* every match begins with t->prefix bytes */
        pad(filter_text_bytes(p->f, t) + t->len, t->prefix, 0, lo);
        pad(filter_text_bytes(p->f, t) + t->len, t->prefix, 0xff, hi);
        return memcmp(s->max, lo, FMT_STATS_PREFIX) < 0 || memcmp(s->min, hi, FMT_STATS_PREFIX) > 0
                   ? MAY_NOT
                   : MAY_BE | MAY_NOT;
    }
    if (node->kind == FILTER_TEXT) {
        pad(filter_text_bytes(p->f, t), t->len, 0, lo);
        return prune_compare(node->op, lo, s);
    }
    for (uint32_t i = 0; i < node->n; i++) {
        pad(filter_text_bytes(p->f, &t[i]), t[i].len, 0, lo);
        may |= prune_compare(FILTER_EQ, lo, s);
    }
    return may;
}

static int
prune_leaf(const struct pruner *p, const struct filter_node *node)
{
    const struct fmt_chunk_stats *s = p->stats[node->input];

    if (s == NULL || s->n_nulls > p->n_rows || s->flags & ~FMT_STATS_KNOWN)
        return MAY_BE | MAY_NOT;
    if (node->kind == FILTER_IS_NULL)
        return (s->n_nulls ? MAY_BE : 0) | (s->n_nulls < p->n_rows ? MAY_NOT : 0);
    if (s->n_nulls == p->n_rows)
        return 0;
    return node->kind == FILTER_NUMBER ? prune_number(p, node, s) : prune_text(p, node, s);
}

static int
prune_not(int may)
{
    return (may & MAY_BE ? MAY_NOT : 0) | (may & MAY_NOT ? MAY_BE : 0);
}

/* What x AND y can be, whatever outcomes of x go with which of y. */
static int
prune_and(int x, int y)
{
    return (x & y & MAY_BE) | ((x | y) & MAY_NOT);
}

static int
prune_node(const struct pruner *p, uint32_t index)
{
    const struct filter_node *node = &p->f->nodes[index];
    const bool is_or = node->kind == FILTER_OR;
    int may = MAY_BE;

    switch (node->kind) {
    case FILTER_CONST:
        return node->value ? MAY_BE : MAY_NOT;
    case FILTER_NOT:
        return prune_not(prune_node(p, node->child));
    case FILTER_AND:
    case FILTER_OR:
        for (uint32_t c = node->child; c != FILTER_NONE; c = p->f->nodes[c].next)
            may = prune_and(may, is_or ? prune_not(prune_node(p, c)) : prune_node(p, c));
        return is_or ? prune_not(may) : may;
    default:
        return prune_leaf(p, node);
    }
}

bool
fmt_filter_prune(const struct fmt_filter *f, const struct fmt_chunk_stats *const *stats,
                 uint64_t n_rows)
{
    const struct pruner p = {f, stats, n_rows};

    return n_rows == 0 || !(prune_node(&p, f->root) & MAY_BE);
}
