/* What people type. The C library's number parsers skip blanks, take signs and (for floats) obey
 * the locale; here a number is digits and nothing else is let through silently. */
#include "config.h"
#include "lib/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/arith.h"
#include "lib/fail.h"

static bool
all_digits(const char *text)
{
    return *text != '\0' && text[strspn(text, "0123456789")] == '\0';
}

/* Digits at *text, moved past; false where there are none or they do not fit. */
static bool
parse_digits(const char **text, uint64_t *ret)
{
    const char *p = *text;
    uint64_t v = 0;

    if (*p < '0' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
            base_add_u64(v, (uint64_t)(*p - '0'), &v) < 0)
            return false;
    }
    *text = p;
    *ret = v;
    return true;
}

/* The power of two of a unit letter, or -1. */
static int
unit_shift(char c)
{
    switch (c) {
    case 'k':
    case 'K':
        return 10;
    case 'm':
    case 'M':
        return 20;
    case 'g':
    case 'G':
        return 30;
    case 't':
    case 'T':
        return 40;
    default:
        return -1;
    }
}

int
base_parse_size(const char *text, const char *what, uint64_t *ret, struct shard_error *err)
{
    const char *p = text + strspn(text, "0123456789"), *digits = text;
    const bool number = p > text;
    int shift = 0;
    uint64_t v;

    if (unit_shift(*p) > 0) {
        shift = unit_shift(*p++);
        if (p[0] == 'i' && p[1] == 'B')
            p += 2;
        else if (p[0] == 'B')
            p++;
    } else if (p[0] == 'B') {
        p++;
    }
    if (!number || *p != '\0')
        return base_fail(err, SHARD_EPARSE,
                         "%s: '%s' is not a size; write a whole number and K, M, G or T, as in 256M",
                         what, text);
    if (!parse_digits(&digits, &v) || v > UINT64_MAX >> shift)
        return base_fail(err, SHARD_EPARSE, "%s: %s is more than 64 bits hold", what, text);
    *ret = v << shift;
    return 0;
}

int
base_parse_u64(const char *text, const char *what, uint64_t min, uint64_t max, uint64_t *ret,
               struct shard_error *err)
{
    const char *p = text;
    uint64_t v;
    bool fits;

    if (!all_digits(text))
        return base_fail(err, SHARD_EPARSE, "%s: '%s' is not a whole number", what, text);
    fits = parse_digits(&p, &v);
    if (!fits || v < min || v > max) {
        if (max < UINT64_MAX)
            return base_fail(err, SHARD_EPARSE, "%s: %s is not between %" PRIu64 " and %" PRIu64,
                             what, text, min, max);
        return base_fail(err, SHARD_EPARSE, "%s: %s is %s %" PRIu64, what, text,
                         fits ? "below" : "above", fits ? min : max);
    }
    *ret = v;
    return 0;
}

/* Only what looks like a decimal number: strtod() would also take "nan", "inf", " 1" and "0x1". */
static bool
looks_decimal(const char *text)
{
    return *text != '\0' && strspn(text, "0123456789+-.eE") == strlen(text);
}

int
base_parse_double(const char *text, const char *what, double min, double max, double *ret,
                  struct shard_error *err)
{
    locale_t c_locale, old;
    char *end = NULL;
    double v;

    if (!looks_decimal(text))
        return base_fail(err, SHARD_EPARSE, "%s: '%s' is not a number", what, text);
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (c_locale == (locale_t)0)
        return base_fail(err, -ENOMEM, "%s", what);
    old = uselocale(c_locale); /* of this thread only */
    v = strtod(text, &end);
    (void)uselocale(old);
    freelocale(c_locale);
    if (end == text || *end != '\0' || !isfinite(v))
        return base_fail(err, SHARD_EPARSE, "%s: '%s' is not a number", what, text);
    if (v < min || v > max)
        return base_fail(err, SHARD_EPARSE, "%s: %s is not between %g and %g", what, text, min,
                         max);
    *ret = v;
    return 0;
}
