/* Format detection, by extension and then by content. Content may only turn unnamed data into what
 * it surely is; whatever is not sure is text if it is printable, and a file if it is not. */
#include "config.h"

#include "tools/ingest/detect.h"

#include <string.h>
#include <strings.h>

#include "lib/compiler.h"
#include "lib/fail.h"

static const char *const format_names[] = {
    [INGEST_AUTO] = "auto", [INGEST_JSONL] = "jsonl", [INGEST_JSON] = "json",
    [INGEST_CSV] = "csv",   [INGEST_TSV] = "tsv",     [INGEST_TEXT] = "text",
    [INGEST_LIBSVM] = "libsvm", [INGEST_FILES] = "files",
};

const char *
ingest_format_name(enum ingest_format f)
{
    return (unsigned)f < BASE_ARRAY_LEN(format_names) ? format_names[f] : "unknown";
}

int
ingest_format_parse(const char *text, enum ingest_format *ret, struct shard_error *err)
{
    static const char *const later[] = {"webdataset", "idx", "npy"};

    for (size_t i = 0; i < BASE_ARRAY_LEN(format_names); i++) {
        if (strcmp(text, format_names[i]) == 0) {
            *ret = (enum ingest_format)i;
            return 0;
        }
    }
    for (size_t i = 0; i < BASE_ARRAY_LEN(later); i++)
        if (strcmp(text, later[i]) == 0)
            return base_fail(err, SHARD_EUNSUPPORTED, "format %s cannot be read yet", text);
    return base_fail(err, SHARD_EPARSE,
                     "unknown format \"%s\"; there are auto, jsonl, json, csv, tsv, text, libsvm "
                     "and files",
                     text);
}

/* ------------------------------------------------------------------------------- extension */

struct name_part { /* the end of a path: borrowed */
    const char *p;
    size_t len;
};

/* The extension with its dot, or nothing; name shrinks to what is before it. */
static struct name_part
cut_extension(struct name_part *name)
{
    const char *dot = memrchr(name->p, '.', name->len);
    struct name_part ext = {"", 0};

    if (dot != NULL && dot != name->p) { /* ".csv" is a hidden file, not an extension */
        ext.p = dot;
        ext.len = name->len - (size_t)(dot - name->p);
        name->len = (size_t)(dot - name->p);
    }
    return ext;
}

static bool
part_is(struct name_part a, const char *b)
{
    return strlen(b) == a.len && strncasecmp(a.p, b, a.len) == 0;
}

static enum ingest_format
by_extension(const struct ingest_entry *e)
{
    static const char *const compressed[] = {".gz", ".bz2", ".xz", ".lzma", ".lz4", ".zst", ".z",
                                             ".lz"};
    static const struct {
        const char *ext;
        enum ingest_format format;
    } known[] = {
        {".jsonl", INGEST_JSONL}, {".ndjson", INGEST_JSONL}, {".json", INGEST_JSON},
        {".csv", INGEST_CSV},     {".tsv", INGEST_TSV},      {".txt", INGEST_TEXT},
        {".text", INGEST_TEXT},   {".md", INGEST_TEXT},      {".svm", INGEST_LIBSVM},
        {".libsvm", INGEST_LIBSVM},
    };
    const char *slash = strrchr(e->path, '/');
    struct name_part name = {slash ? slash + 1 : e->path, 0}, ext;

    name.len = strlen(name.p);
    ext = cut_extension(&name);
    for (size_t i = 0; e->unpacked && i < BASE_ARRAY_LEN(compressed); i++) {
        if (part_is(ext, compressed[i])) {
            ext = cut_extension(&name);
            break;
        }
    }
    for (size_t i = 0; i < BASE_ARRAY_LEN(known); i++)
        if (part_is(ext, known[i].ext))
            return known[i].format;
    return INGEST_AUTO;
}

/* ---------------------------------------------------------------------------------- content */

static bool
is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static const uint8_t *
skip_blanks(const uint8_t *p, const uint8_t *end)
{
    while (p < end && is_blank(*p))
        p++;
    return p;
}

/* Whether p..end is one whole JSON value, by brackets and quotes alone: enough to tell a line that
 * is a document from a line of one. */
static bool
is_balanced_value(const uint8_t *p, const uint8_t *end)
{
    int64_t depth = 0;
    bool closed = false;

    for (p = skip_blanks(p, end); p < end; p++) {
        if (closed && !is_blank(*p))
            return false; /* more behind the value */
        switch (*p) {
        case '"':
            for (p++; p < end && *p != '"'; p++)
                if (*p == '\\')
                    p++;
            if (p >= end)
                return false;
            closed = depth == 0;
            break;
        case '{':
        case '[':
            depth++;
            break;
        case '}':
        case ']':
            if (--depth < 0)
                return false;
            closed = depth == 0;
            break;
        case ',':
        case ':':
            if (depth == 0)
                return false;
            break;
        default:
            break;
        }
    }
    return depth == 0;
}

static bool
starts_value(const uint8_t *p, const uint8_t *end)
{
    return p < end && (*p == '{' || *p == '[' || *p == '"' || *p == '-' || is_digit(*p) ||
                       *p == 't' || *p == 'f' || *p == 'n');
}

/* One document, or one to a line? Several lines, of which the first is a value on its own. */
static enum ingest_format
json_or_jsonl(const uint8_t *data, size_t len)
{
    const uint8_t *end = data + len, *p = skip_blanks(data, end);
    const uint8_t *eol = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;

    if (eol == NULL || !is_balanced_value(p, eol))
        return INGEST_JSON;
    return starts_value(skip_blanks(eol, end), end) ? INGEST_JSONL : INGEST_JSON;
}

static const uint8_t *
skip_number(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *start;
    bool digits = false;

    if (p < end && (*p == '+' || *p == '-'))
        p++;
    for (start = p; p < end && (is_digit(*p) || *p == '.'); p++)
        digits = digits || is_digit(*p);
    if (!digits)
        return NULL;
    if (p < end && (*p == 'e' || *p == 'E') && p > start) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        if (p == end || !is_digit(*p))
            return NULL;
        while (p < end && is_digit(*p))
            p++;
    }
    return p;
}

/* "label idx:value ...": number of pairs, or -1 where it is something else. */
static int
libsvm_pairs(const uint8_t *p, const uint8_t *end)
{
    int n = 0;

    p = skip_number(p, end);
    if (p == NULL)
        return -1;
    while (p < end) {
        if (!is_blank(*p))
            return -1;
        p = skip_blanks(p, end);
        if (p == end || *p == '#')
            break;
        if (!is_digit(*p))
            return -1;
        while (p < end && is_digit(*p))
            p++;
        if (p == end || *p != ':')
            return -1;
        p = skip_number(p + 1, end);
        if (p == NULL)
            return -1;
        n++;
    }
    return n;
}

static bool
looks_like_libsvm(const uint8_t *data, size_t len, bool whole)
{
    const uint8_t *p = data, *end = data + len, *eol;
    int pairs = 0;

    for (unsigned lines = 0; lines < 8 && p < end; p = eol + 1) {
        int n;

        eol = memchr(p, '\n', (size_t)(end - p));
        if (eol == NULL && (!whole || p == end))
            break;
        if (eol == NULL)
            eol = end;
        if (skip_blanks(p, eol) == eol) {
            if (eol == end)
                break;
            continue;
        }
        n = libsvm_pairs(p, eol);
        if (n < 0)
            return false;
        pairs += n;
        lines++;
        if (eol == end)
            break;
    }
    return pairs > 0;
}

/* No NUL and no control characters but those that texts have. */
static bool
is_printable(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const uint8_t c = data[i];

        if ((c < 0x20 && !(c >= '\b' && c <= '\r') && c != 0x1b) || c == 0x7f)
            return false;
    }
    return true;
}

enum ingest_format
ingest_detect(const struct ingest_entry *e, const uint8_t *data, size_t len, bool whole)
{
    const enum ingest_format named = by_extension(e);
    const uint8_t *p, *end;

    if (named == INGEST_JSON)
        return json_or_jsonl(data, len);
    if (named != INGEST_AUTO)
        return named;
    if (!is_printable(data, BASE_MIN(len, 4096u)))
        return INGEST_FILES;
    if (len == 0)
        return INGEST_TEXT;
    end = data + len;
    p = skip_blanks(data, end);
    if (p < end && *p == '{') { /* an object, not a block of C */
        const uint8_t *q = skip_blanks(p + 1, end);

        if (q < end && (*q == '"' || *q == '}'))
            return json_or_jsonl(data, len);
    }
    return looks_like_libsvm(data, len, whole) ? INGEST_LIBSVM : INGEST_TEXT;
}
