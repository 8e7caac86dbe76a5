/* Whether bytes are well-formed UTF-8 (RFC 3629: no surrogates, nothing overlong). For short names;
 * text that comes in by the gigabyte is checked where it is parsed. */
#ifndef FMT_UTF8_H
#define FMT_UTF8_H

#include <stdbool.h>
#include <stddef.h>

bool fmt_utf8_ok(const char *text, size_t len);

#endif
