/* Whole files to rows: path, content, size, and a guess at the type. */
#include "config.h"

#include <string.h>
#include <strings.h>

#include "lib/compiler.h"
#include "tools/ingest/parser.h"
#include "tools/ingest/number.h"
#include "tools/ingest/utf8.h"

struct magic {
    const char *bytes;
    size_t len;
    const char *type;
};

/* What the first bytes prove beats what the name says. */
static const struct magic magics[] = {
    {"\x89PNG\r\n\x1a\n", 8, "image/png"},
    {"\xff\xd8\xff", 3, "image/jpeg"},
    {"GIF87a", 6, "image/gif"},
    {"GIF89a", 6, "image/gif"},
    {"%PDF-", 5, "application/pdf"},
    {"\x93NUMPY", 6, "application/x-npy"},
    {"fLaC", 4, "audio/flac"},
    {"OggS", 4, "audio/ogg"},
    {"PAR1", 4, "application/vnd.apache.parquet"},
};

static const struct {
    const char *extension, *type;
} extensions[] = {
    {"txt", "text/plain"},
    {"md", "text/markdown"},
    {"html", "text/html"},
    {"htm", "text/html"},
    {"css", "text/css"},
    {"xml", "application/xml"},
    {"json", "application/json"},
    {"csv", "text/csv"},
    {"tsv", "text/tab-separated-values"},
    {"c", "text/x-c"},
    {"h", "text/x-c"},
    {"py", "text/x-python"},
    {"js", "text/javascript"},
    {"sh", "text/x-shellscript"},
    {"jpg", "image/jpeg"},
    {"jpeg", "image/jpeg"},
    {"png", "image/png"},
    {"gif", "image/gif"},
    {"webp", "image/webp"},
    {"svg", "image/svg+xml"},
    {"wav", "audio/wav"},
    {"mp3", "audio/mpeg"},
    {"mp4", "video/mp4"},
    {"pdf", "application/pdf"},
};

static const char *
guess_type(const struct ingest_block *b)
{
    const char *slash = strrchr(b->entry->path, '/'), *dot;

    for (size_t i = 0; i < BASE_ARRAY_LEN(magics); i++)
        if (b->data.len >= magics[i].len &&
            memcmp(b->data.data, magics[i].bytes, magics[i].len) == 0)
            return magics[i].type;
    dot = strrchr(slash ? slash : b->entry->path, '.');
    for (size_t i = 0; dot && i < BASE_ARRAY_LEN(extensions); i++)
        if (strcasecmp(dot + 1, extensions[i].extension) == 0)
            return extensions[i].type;
    return NULL;
}

/* 1 = still a row, 0 = rejected. */
static int
put(struct ingest_parser *p, const char *name, const char *text, size_t len)
{
    const int32_t col = ingest_plan_column(p->plan->impl, name);
    const size_t end = p->row.block->data.len;
    int r;

    if (col < 0 || text == NULL)
        return 1;
    r = ingest_row_text(&p->row, (uint32_t)col, text, len);
    return r ? r : ingest_text_misfit(p, (uint32_t)col, text, len, 0, end);
}

/* Bytes of the file, in memory or not. */
static uint64_t
file_size(const struct ingest_block *b)
{
    return b->spooled ? b->spooled->len : b->data.len;
}

static int
put_content(struct ingest_parser *p, const struct ingest_block *b)
{
    const int32_t col = ingest_plan_column(p->plan->impl, "content");

    if (col >= 0 && p->plan->schema.fields[col].type == SHARD_TYPE_STRING &&
        !(b->spooled ? b->spooled_utf8 : ingest_utf8_valid(b->data.data, b->data.len)))
        return ingest_row_reject(&p->row, INGEST_BAD_UTF8, "content", 0, b->data.len,
                                 "the file is not UTF-8: give --schema with content:binary");
    if (b->spooled && col >= 0 && (p->plan->schema.fields[col].type == SHARD_TYPE_STRING ||
                                   p->plan->schema.fields[col].type == SHARD_TYPE_BINARY))
        return ingest_row_spooled(&p->row, (uint32_t)col, b->spooled);
    return put(p, "content", b->data.data ? (const char *)b->data.data : "", b->data.len);
}

int
ingest_parse_files(struct ingest_parser *p, const struct ingest_block *b)
{
    const char *type = guess_type(b);
    const size_t n_rejects = p->row.rejects->count;
    char size[INGEST_NUM_TEXT_MAX];
    int r = ingest_row_begin(&p->row);

    if (r < 0)
        return r;
    r = put(p, "path", b->entry->path, strlen(b->entry->path));
    if (r == 1)
        r = put_content(p, b);
    if (r == 1)
        r = put(p, "size", size, ingest_print_u64(file_size(b), size));
    if (r == 1)
        r = put(p, "type", type, type ? strlen(type) : 0);
    if (r == 1)
        r = ingest_row_commit(&p->row, 0, b->data.len);
    if (p->row.rejects->count > n_rejects) /* what is in memory may be its head only */
        p->row.rejects->items[n_rejects].length = file_size(b);
    return r;
}
