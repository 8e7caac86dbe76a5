#include "config.h"
#include "shardfmt/timestamp.h"

#include <stdio.h>

#define DAY 86400

static const unsigned digits_of[] = {
    [SHARD_UNIT_S] = 0, [SHARD_UNIT_MS] = 3, [SHARD_UNIT_US] = 6, [SHARD_UNIT_NS] = 9};
static const int64_t per_second[] = {[SHARD_UNIT_S] = 1,
                                     [SHARD_UNIT_MS] = 1000,
                                     [SHARD_UNIT_US] = 1000000,
                                     [SHARD_UNIT_NS] = 1000000000};

/* Days since 1970-01-01 of a day of the Gregorian calendar. */
static int64_t
days_of(int y, int m, int d)
{
    const int years = m <= 2 ? y - 1 : y, era = (years >= 0 ? years : years - 399) / 400;
    const int of_era = years - era * 400, day = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;

    return (int64_t)era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + day - 719468;
}

static void
date_of(int64_t days, int *y, int *m, int *d)
{
    const int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
    const int of_era = (int)(z - era * 146097);
    const int years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    const int day = of_era - (365 * years + years / 4 - years / 100), month = (5 * day + 2) / 153;

    *d = day - (153 * month + 2) / 5 + 1;
    *m = month < 10 ? month + 3 : month - 9;
    *y = (int)(years + era * 400) + (*m <= 2);
}

static int
days_in(int y, int m)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);

    return days[m - 1] + (m == 2 && leap);
}

/* Exactly n digits at *p. */
static bool
take_digits(const char **p, const char *end, int n, int *ret)
{
    int v = 0;

    for (; n > 0; n--, (*p)++) {
        if (*p == end || **p < '0' || **p > '9')
            return false;
        v = v * 10 + (**p - '0');
    }
    *ret = v;
    return true;
}

static bool
take(const char **p, const char *end, char c)
{
    if (*p == end || **p != c)
        return false;
    (*p)++;
    return true;
}

/* "HH:MM:SS" */
static bool
take_clock(const char **p, const char *end, int64_t *ret)
{
    int h, m, s;

    if (!take_digits(p, end, 2, &h) || !take(p, end, ':') || !take_digits(p, end, 2, &m) ||
        !take(p, end, ':') || !take_digits(p, end, 2, &s) || h > 23 || m > 59 || s > 59)
        return false;
    *ret = h * 3600 + m * 60 + s;
    return true;
}

/* ".250": as many units as it is; at most digits of it count, zeros may follow. */
static bool
take_fraction(const char **p, const char *end, unsigned digits, int64_t *ret)
{
    unsigned n = 0;

    *ret = 0;
    if (take(p, end, '.')) {
        for (; *p < end && **p >= '0' && **p <= '9'; (*p)++, n++) {
            if (n < digits)
                *ret = *ret * 10 + (**p - '0');
            else if (**p != '0')
                return false;
        }
        if (n == 0)
            return false;
    }
    for (; n < digits; n++)
        *ret *= 10;
    return true;
}

/* "Z", "+02:00" or nothing: seconds to take off. */
static bool
take_zone(const char **p, const char *end, int64_t *ret)
{
    int h, m;
    bool west;

    *ret = 0;
    if (*p == end || take(p, end, 'Z') || take(p, end, 'z'))
        return true;
    west = take(p, end, '-');
    if ((!west && !take(p, end, '+')) || !take_digits(p, end, 2, &h) || !take(p, end, ':') ||
        !take_digits(p, end, 2, &m) || h > 23 || m > 59)
        return false;
    *ret = (west ? -1 : 1) * (h * 3600 + m * 60);
    return true;
}

bool
fmt_timestamp_parse(const char *text, size_t len, enum shard_unit unit, int64_t *ret)
{
    const char *p = text, *end = text + len;
    int64_t clock = 0, fraction = 0, zone = 0;
    __int128 v; /* the first second may begin before what 64 bits hold */
    int y, m, d;

    if (!take_digits(&p, end, 4, &y) || !take(&p, end, '-') || !take_digits(&p, end, 2, &m) ||
        !take(&p, end, '-') || !take_digits(&p, end, 2, &d) || m < 1 || m > 12 || d < 1 ||
        d > days_in(y, m))
        return false;
    if (p < end && ((!take(&p, end, 'T') && !take(&p, end, 't') && !take(&p, end, ' ')) ||
                    !take_clock(&p, end, &clock) ||
                    !take_fraction(&p, end, digits_of[unit], &fraction) ||
                    !take_zone(&p, end, &zone)))
        return false;
    v = (__int128)(days_of(y, m, d) * DAY + clock - zone) * per_second[unit] + fraction;
    *ret = (int64_t)v;
    return p == end && v == *ret;
}

size_t
fmt_timestamp_print(int64_t v, enum shard_unit unit, char ret[FMT_TIMESTAMP_TEXT_MAX])
{
    int64_t seconds = v / per_second[unit], fraction = v % per_second[unit], days, clock;
    int y, m, d, n;

    if (fraction < 0) {
        fraction += per_second[unit];
        seconds--;
    }
    days = seconds / DAY;
    clock = seconds % DAY;
    if (clock < 0) {
        clock += DAY;
        days--;
    }
    if (days < days_of(0, 1, 1) || days > days_of(9999, 12, 31))
        return 0;
    date_of(days, &y, &m, &d);
    n = snprintf(ret, FMT_TIMESTAMP_TEXT_MAX, "%04d-%02d-%02dT%02d:%02d:%02d", y, m, d,
                 (int)(clock / 3600), (int)(clock / 60 % 60), (int)(clock % 60));
    if (unit != SHARD_UNIT_S)
        n += snprintf(ret + n, FMT_TIMESTAMP_TEXT_MAX - (size_t)n, ".%0*lld",
                      (int)digits_of[unit], (long long)fraction);
    n += snprintf(ret + n, FMT_TIMESTAMP_TEXT_MAX - (size_t)n, "Z");
    return (size_t)n;
}
