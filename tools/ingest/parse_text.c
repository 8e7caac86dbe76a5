/* Lines of text: every line is a row, an empty one too. LF ends a line, and one CR before it
 * belongs to the line's end; a CR elsewhere is text. */
#include "config.h"

#include <string.h>

#include "tools/ingest/parser.h"
#include "tools/ingest/utf8.h"

static int
take_line(struct ingest_parser *p, int32_t col, const char *line, size_t len, size_t start,
          bool all_utf8)
{
    size_t good;
    int r = ingest_row_begin(&p->row);

    if (r < 0)
        return r;
    if (!all_utf8) {
        good = ingest_utf8_prefix(line, len);
        if (good < len)
            return ingest_row_reject(&p->row, INGEST_BAD_UTF8, "", start, start + len,
                                     "byte %zu of the line is not UTF-8", good);
    }
    if (col >= 0) {
        r = ingest_row_text(&p->row, (uint32_t)col, line, len);
        if (r == 0)
            r = ingest_text_misfit(p, (uint32_t)col, line, len, start, start + len);
        if (r <= 0)
            return r;
    }
    return ingest_row_commit(&p->row, start, start + len);
}

int
ingest_parse_text(struct ingest_parser *p, const struct ingest_block *b)
{
    const bool all_utf8 = ingest_utf8_valid(b->data.data, b->data.len);
    const int32_t col = ingest_plan_column(p->plan->impl, "text");
    const char *data = (const char *)b->data.data;
    size_t start, stop;
    int r = 0;

    for (start = 0; start < b->data.len && r >= 0; start = stop + 1) {
        const char *lf = memchr(data + start, '\n', b->data.len - start);
        size_t len;

        stop = lf ? (size_t)(lf - data) : b->data.len;
        len = stop - start;
        if (lf && len && lf[-1] == '\r')
            len--;
        r = take_line(p, col, data + start, len, start, all_utf8);
    }
    return r;
}
