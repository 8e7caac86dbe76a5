/* See number.h. Two facts make most of this fast: a decimal of at most 15 digits survives
 * text -> double -> shortest text (6 digits for float), and a mantissa below 2^53 times or over a
 * power of ten up to 10^22 is one exact operation (Clinger 1990). The rest asks <charconv>. */
#include "config.h"

#include "tools/ingest/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shardfmt/half.h"
#include "tools/ingest/cxx.h"

static const double pow10_exact[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                     1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                     1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* A decimal taken apart: (-1)^neg * mant * 10^exp10, where mant holds all digits if n_digits is
 * at most 19. */
struct decimal {
    bool neg, has_point, has_exp;
    uint64_t mant;
    uint32_t n_digits; /* significant: without leading zeros, with trailing ones */
    uint32_t int_digits, frac_digits;
    bool leading_zero; /* "01" */
    int64_t exp10;
};

static inline bool
is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

static const char *
take_digits(const char *p, const char *end, struct decimal *d, uint32_t *count)
{
    const char *start = p;

    for (; p < end && is_digit(*p); p++) {
        if (d->n_digits < 19)
            d->mant = d->mant * 10 + (uint64_t)(*p - '0');
        if (d->n_digits || *p != '0')
            d->n_digits++;
    }
    *count = (uint32_t)(p - start);
    return p;
}

/* An exponent that is absurdly large is clamped: it is out of any range either way. */
static const char *
take_exponent(const char *p, const char *end, int64_t *ret)
{
    bool neg = false;
    int64_t e = 0;
    const char *start;

    if (p < end && (*p == '+' || *p == '-'))
        neg = *p++ == '-';
    for (start = p; p < end && is_digit(*p); p++)
        if (e < 100000000)
            e = e * 10 + (*p - '0');
    *ret = neg ? -e : e;
    return p == start ? NULL : p;
}

/* Any decimal but a leading '+': the caller decides what of it is allowed. */
static bool
decimal_parse(const char *p, size_t len, struct decimal *d)
{
    const char *end = p + len;
    int64_t e = 0;

    memset(d, 0, sizeof(*d));
    if (p < end && *p == '-') {
        d->neg = true;
        p++;
    }
    d->leading_zero = end - p > 1 && p[0] == '0' && is_digit(p[1]);
    p = take_digits(p, end, d, &d->int_digits);
    if (p < end && *p == '.') {
        d->has_point = true;
        p = take_digits(p + 1, end, d, &d->frac_digits);
    }
    if (d->int_digits + d->frac_digits == 0)
        return false;
    if (p < end && (*p == 'e' || *p == 'E')) {
        d->has_exp = true;
        p = take_exponent(p + 1, end, &e);
        if (p == NULL)
            return false;
    }
    d->exp10 = e - (int64_t)d->frac_digits;
    return p == end;
}

/* False where the value is out of double's range; a text of zeros is zero whatever its exponent. */
static bool
decimal_value(const struct decimal *d, const char *p, size_t len, double *ret)
{
    double v;

    if (d->n_digits == 0) {
        *ret = d->neg ? -0.0 : 0.0;
        return true;
    }
    if (d->n_digits <= 19 && d->mant <= (UINT64_C(1) << 53) && d->exp10 >= -22 && d->exp10 <= 22) {
        v = (double)d->mant;
        v = d->exp10 < 0 ? v / pow10_exact[-d->exp10] : v * pow10_exact[d->exp10];
        *ret = d->neg ? -v : v;
        return true;
    }
    if (!ingest_cxx_double(p, len, &v) || !isfinite(v) || v == 0)
        return false;
    *ret = v;
    return true;
}

/* n_digits <= 20 here; 20 digits may still fit uint64, which mant (19 digits) does not tell. */
static enum ingest_num_kind
integer_value(const struct decimal *d, const char *p, size_t len, union ingest_num *ret)
{
    uint64_t v = d->mant;

    if (d->n_digits > 20)
        return INGEST_NUM_NONE;
    if (d->n_digits == 20 && (__builtin_mul_overflow(v, UINT64_C(10), &v) ||
                              __builtin_add_overflow(v, (uint64_t)(p[len - 1] - '0'), &v)))
        return INGEST_NUM_NONE;
    if (d->neg) {
        if (v > (uint64_t)INT64_MAX + 1)
            return INGEST_NUM_NONE;
        ret->i = (int64_t)(0 - v);
        return INGEST_NUM_INT;
    }
    if (v > INT64_MAX) {
        ret->u = v;
        return INGEST_NUM_UINT;
    }
    ret->i = (int64_t)v;
    return INGEST_NUM_INT;
}

enum ingest_num_kind
ingest_num_json(const char *p, size_t len, union ingest_num *ret)
{
    struct decimal d;
    enum ingest_num_kind kind;

    if (!decimal_parse(p, len, &d) || d.leading_zero || d.int_digits == 0 ||
        (d.has_point && d.frac_digits == 0))
        return INGEST_NUM_NONE;
    if (!d.has_point && !d.has_exp && !(d.neg && d.n_digits == 0)) {
        kind = integer_value(&d, p, len, ret);
        return kind == INGEST_NUM_NONE ? INGEST_NUM_BIG : kind;
    }
    return decimal_value(&d, p, len, &ret->f) ? INGEST_NUM_FLOAT : INGEST_NUM_BIG;
}

enum ingest_num_kind
ingest_num_canonical_int(const char *p, size_t len, union ingest_num *ret)
{
    size_t neg = len && p[0] == '-';
    uint64_t v = 0;
    size_t i;

    if (len == neg || len > 20 || (p[neg] == '0' && len > 1))
        return INGEST_NUM_NONE;
    for (i = neg; i < len; i++) {
        uint64_t digit = (unsigned char)p[i] - (uint64_t)'0';

        if (digit > 9 || (i >= 19 && (__builtin_mul_overflow(v, UINT64_C(10), &v) ||
                                      __builtin_add_overflow(v, digit, &v))))
            return INGEST_NUM_NONE;
        if (i < 19)
            v = v * 10 + digit;
    }
    if (neg ? v > (uint64_t)INT64_MAX + 1 : v > INT64_MAX) {
        ret->u = v;
        return neg ? INGEST_NUM_NONE : INGEST_NUM_UINT;
    }
    ret->i = (int64_t)(neg ? 0 - v : v);
    return INGEST_NUM_INT;
}

bool
ingest_num_canonical_float(const char *p, size_t len, double *ret)
{
    char text[INGEST_NUM_TEXT_MAX];
    struct decimal d;

    if (len == 0 || len > INGEST_NUM_TEXT_MAX || !decimal_parse(p, len, &d) || d.leading_zero ||
        d.int_digits == 0 || (d.has_point && d.frac_digits == 0) ||
        (d.has_point && !d.has_exp && p[len - 1] == '0') || !decimal_value(&d, p, len, ret))
        return false;
    /* Few digits, and of a size that is printed without exponent: printing gives it back. */
    if (!d.has_exp && d.n_digits <= 15 && (fabs(*ret) >= 1e-4 || d.frac_digits <= 4))
        return !(d.has_point && d.n_digits == 0);
    return ingest_print_double(*ret, false, text) == len && memcmp(text, p, len) == 0;
}

/* decimal_parse() behind a '+', where there is one. */
static bool
lenient_parse(const char **p, size_t *len, struct decimal *d)
{
    if (*len > 1 && **p == '+' && (*p)[1] != '-') {
        ++*p;
        --*len;
    }
    return decimal_parse(*p, *len, d);
}

bool
ingest_num_is_lenient(const char *p, size_t len)
{
    struct decimal d;

    return (len == 1 && is_digit(*p)) || lenient_parse(&p, &len, &d);
}

/* Of a number that is beyond the range of a float: whether it is below it, not above. */
static bool
is_tiny(const struct decimal *d)
{
    return (int64_t)d->n_digits + d->exp10 < 0;
}

bool
ingest_num_is_tiny(const char *p, size_t len, double *ret)
{
    struct decimal d;

    if (!lenient_parse(&p, &len, &d))
        return false;
    *ret = d.neg ? -0.0 : 0.0;
    return is_tiny(&d);
}

enum ingest_num_kind
ingest_num_lenient(const char *p, size_t len, union ingest_num *ret)
{
    struct decimal d;
    enum ingest_num_kind kind;

    if (!lenient_parse(&p, &len, &d))
        return INGEST_NUM_NONE;
    if (!d.has_point && !d.has_exp && !(d.neg && d.n_digits == 0)) {
        kind = integer_value(&d, p, len, ret);
        if (kind != INGEST_NUM_NONE)
            return kind;
    }
    return decimal_value(&d, p, len, &ret->f) ? INGEST_NUM_FLOAT : INGEST_NUM_BIG;
}

/* The decimal's significant digits without trailing zeros, and the power of ten of the first. */
static size_t
significant(const char *p, size_t len, char *digits, size_t cap, int64_t *ret_exp)
{
    int64_t first = 0, int_left = 0, e = 0;
    const char *end = p + len;
    bool point = false, seen = false;
    size_t n = 0;

    for (; p < end && *p != 'e' && *p != 'E'; p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        if (!is_digit(*p))
            continue;
        seen = seen || *p != '0';
        if (seen && n < cap)
            digits[n++] = *p;
        if (!point && seen)
            int_left++;
        if (point && !seen)
            first--;
    }
    if (p < end)
        (void)take_exponent(p + 1, end, &e);
    while (n && digits[n - 1] == '0')
        n--;
    *ret_exp = n ? (int_left ? int_left : first) + e : 0;
    return n;
}

bool
ingest_num_f32(const char *p, size_t len, float *ret, bool *ret_exact)
{
    char text[INGEST_NUM_TEXT_MAX], a[40], b[40];
    struct decimal d;
    int64_t exp_a, exp_b;
    size_t n;
    float v;

    if (len == 1 && is_digit(*p)) { /* most features of most files */
        *ret = (float)(*p - '0');
        *ret_exact = true;
        return true;
    }
    if (!lenient_parse(&p, &len, &d))
        return false;
    if (d.n_digits == 0) {
        *ret = d.neg ? -0.0f : 0.0f;
        *ret_exact = true;
        return true;
    }
    if (d.n_digits <= 7 && d.exp10 >= -10 && d.exp10 <= 10) {
        v = (float)d.mant; /* both operands are exact floats: one rounding, the right one */
        v = d.exp10 < 0 ? v / (float)pow10_exact[-d.exp10] : v * (float)pow10_exact[d.exp10];
        if (d.mant <= (1u << 24)) {
            *ret = d.neg ? -v : v;
            if (d.n_digits <= 6) {
                *ret_exact = true;
                return true;
            }
        } else if (!ingest_cxx_float(p, len, ret)) {
            return false;
        }
    } else if (!ingest_cxx_float(p, len, ret)) {
        *ret = d.neg ? -0.0f : 0.0f;
        *ret_exact = false;
        return is_tiny(&d);
    }
    if (!isfinite(*ret))
        return false;
    n = significant(p, len, a, sizeof(a), &exp_a);
    *ret_exact = n == significant(text, ingest_cxx_print_float(*ret, text), b, sizeof(b), &exp_b) &&
                 exp_a == exp_b && memcmp(a, b, n) == 0;
    return true;
}

bool
ingest_i64_fits_double(int64_t v)
{
    uint64_t m = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

    return ingest_u64_fits_double(m);
}

bool
ingest_u64_fits_double(uint64_t v)
{
    return v <= (UINT64_C(1) << 53) || (v >> __builtin_ctzll(v)) < (UINT64_C(1) << 53);
}

size_t
ingest_print_u64(uint64_t v, char *out)
{
    char tmp[20];
    size_t n = 0, i;

    do {
        tmp[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    for (i = 0; i < n; i++)
        out[i] = tmp[n - 1 - i];
    return n;
}

size_t
ingest_print_i64(int64_t v, char *out)
{
    if (v >= 0)
        return ingest_print_u64((uint64_t)v, out);
    out[0] = '-';
    return 1 + ingest_print_u64(0 - (uint64_t)v, out + 1);
}

/* "-d.ddde+NN" laid out as Python does. */
static size_t
lay_out(const char *sci, size_t len, bool point_zero, char *out)
{
    char digits[24];
    size_t n = 0, o = 0, i = 0;
    int64_t e = 0;

    if (sci[0] == '-')
        out[o++] = sci[i++];
    for (; i < len && sci[i] != 'e'; i++)
        if (sci[i] != '.' && n < sizeof(digits))
            digits[n++] = sci[i];
    if (i < len)
        (void)take_exponent(sci + i + 1, sci + len, &e);
    if (e < -4 || e >= 16) {
        memcpy(out, sci, len);
        return len;
    }
    if (e < 0) {
        memcpy(out + o, "0.000", (size_t)(1 - e));
        o += (size_t)(1 - e);
        memcpy(out + o, digits, n);
        return o + n;
    }
    for (i = 0; i < n || i <= (size_t)e; i++) {
        if (i == (size_t)e + 1)
            out[o++] = '.';
        out[o++] = i < n ? digits[i] : '0';
    }
    if (point_zero && n <= (size_t)e + 1) {
        out[o++] = '.';
        out[o++] = '0';
    }
    return o;
}

size_t
ingest_print_double(double v, bool point_zero, char *out)
{
    char sci[INGEST_NUM_TEXT_MAX];
    size_t n;

    if (v >= -9e15 && v <= 9e15 && v == (double)(int64_t)v && (v != 0 || !signbit(v))) {
        n = ingest_print_i64((int64_t)v, out);
        if (point_zero) {
            out[n++] = '.';
            out[n++] = '0';
        }
        return n;
    }
    n = ingest_cxx_print_double(v, sci);
    return lay_out(sci, n, point_zero, out);
}

size_t
ingest_print_float(float v, bool point_zero, char *out)
{
    char sci[INGEST_NUM_TEXT_MAX];
    size_t n = ingest_cxx_print_float(v, sci);

    return lay_out(sci, n, point_zero, out);
}

size_t
ingest_print_half(uint16_t bits, bool is_float16, bool point_zero, char *out)
{
    const double v = (double)(is_float16 ? fmt_float16(bits) : fmt_bfloat16(bits));
    const unsigned exponent = is_float16 ? 5 : 8, mantissa = is_float16 ? 10 : 7;
    char text[INGEST_NUM_TEXT_MAX];
    double shortest = v;
    uint16_t back;

    /* Five digits tell all float16 apart, four all bfloat16. */
    for (int digits = 0; digits < 5; digits++) {
        (void)snprintf(text, sizeof(text), "%.*e", digits, v);
        shortest = strtod(text, NULL);
        if (fmt_round_float(shortest, exponent, mantissa, &back) && back == bits)
            break;
    }
    return ingest_print_double(shortest, point_zero, out);
}
