/* Error sentences: one bounded text, always NUL-terminated, never with a newline or half a UTF-8
 * character at its end. */
#include "config.h"
#include "lib/fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *
shard_strerror(int code)
{
    switch (code) {
    case 0:
        return "success";
    case SHARD_ETRUNC:
        return "data end too early";
    case SHARD_ECORRUPT:
        return "data contradict the format";
    case SHARD_ECHECKSUM:
        return "checksum mismatch";
    case SHARD_EUNSUPPORTED:
        return "not supported by this version";
    case SHARD_ELIMIT:
        return "above a safety limit";
    case SHARD_ECONFLICT:
        return "another writer published first";
    case SHARD_ENOTFOUND:
        return "not found";
    case SHARD_EBUDGET:
        return "memory budget too small";
    case SHARD_EPARSE:
        return "cannot be understood";
    default:
        break;
    }
    if (code < 0 && code > SHARD_ETRUNC) {
        const char *text = strerrordesc_np(-code); /* constant text, unlike strerror() */

        if (text != NULL)
            return text;
    }
    return "unknown error";
}

/* Cut text at len bytes or a little before, where a UTF-8 character starts. */
static void
cut_utf8(char *text, size_t len)
{
    size_t i = len, lead;

    while (i > 0 && len - i < 3 && ((unsigned char)text[i - 1] & 0xC0) == 0x80)
        i--;
    if (i > 0) {
        unsigned char c = (unsigned char)text[i - 1];

        lead = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
        if (lead > 1 && i - 1 + lead > len)
            len = i - 1;
    }
    text[len] = '\0';
}

/* Control characters could tear the one line that a message is, or steer a terminal. */
static void
clean(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7F)
            *text = ' ';
}

/* Append to text (cap bytes with its NUL, used of them taken); returns the new length. */
static size_t BASE_PRINTF(4, 0)
append_v(char *text, size_t cap, size_t used, const char *fmt, va_list ap)
{
    int n;

    if (used + 1 >= cap)
        return used;
    n = vsnprintf(text + used, cap - used, fmt, ap);
    if (n < 0) {
        text[used] = '\0';
        return used;
    }
    if ((size_t)n < cap - used)
        return used + (size_t)n;
    cut_utf8(text, cap - 1);
    return strlen(text);
}

static size_t BASE_PRINTF(4, 5)
append(char *text, size_t cap, size_t used, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    used = append_v(text, cap, used, fmt, ap);
    va_end(ap);
    return used;
}

int
base_fail(struct shard_error *err, int code, const char *fmt, ...)
{
    char text[SHARD_ERROR_TEXT_MAX] = ""; /* not err's: that may be among the arguments */
    va_list ap;
    size_t len;

    if (err == NULL)
        return code;
    va_start(ap, fmt);
    len = append_v(text, sizeof(text), 0, fmt, ap);
    va_end(ap);
    if (code < 0 && code > SHARD_ETRUNC)
        (void)append(text, sizeof(text), len, ": %s", shard_strerror(code));
    clean(text);
    err->code = code;
    memcpy(err->text, text, sizeof(err->text));
    return code;
}

int
base_say(struct shard_error *err, int code, const char *fmt, ...)
{
    char text[SHARD_ERROR_TEXT_MAX] = "";
    va_list ap;

    if (err == NULL)
        return code;
    va_start(ap, fmt);
    (void)append_v(text, sizeof(text), 0, fmt, ap);
    va_end(ap);
    clean(text);
    err->code = code;
    memcpy(err->text, text, sizeof(err->text));
    return code;
}

int
base_fail_in(struct shard_error *err, int code, const char *fmt, ...)
{
    char text[SHARD_ERROR_TEXT_MAX] = "";
    va_list ap;
    size_t len;

    if (err == NULL)
        return code;
    if (err->code == 0)
        err->code = code;
    va_start(ap, fmt);
    len = append_v(text, sizeof(text), 0, fmt, ap);
    va_end(ap);
    (void)append(text, sizeof(text), len, ": %s",
                 err->text[0] != '\0' ? err->text : shard_strerror(err->code));
    clean(text);
    memcpy(err->text, text, sizeof(err->text));
    return err->code;
}
