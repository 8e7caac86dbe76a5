/* Timestamps as text, after RFC 3339: 2026-11-21T14:05:00.250Z. Stateless; no locale, no time zone
 * database. Days of the Gregorian calendar by H. Hinnant's "chrono-compatible low-level date
 * algorithms". */
#ifndef FMT_TIMESTAMP_H
#define FMT_TIMESTAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shardline/fmt.h"

#define FMT_TIMESTAMP_TEXT_MAX 40

/* A date, or a date and a time with T, t or a blank between; Z, z, an offset as +02:00, or nothing,
 * which is UTC. False where text is none, is out of range, or is finer than the unit. */
bool fmt_timestamp_parse(const char *text, size_t len, enum shard_unit unit, int64_t *ret);
/* With as many digits behind the second as the unit has, and Z. Returns the length; no NUL. 0 for
 * years that four digits do not hold. */
size_t fmt_timestamp_print(int64_t v, enum shard_unit unit, char ret[FMT_TIMESTAMP_TEXT_MAX]);

#endif
