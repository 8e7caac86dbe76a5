#include "config.h"

#include "tools/ingest/json_records.h"

#include <string.h>

/* The parser counts from the start of a text; a line starts somewhere in the block. */
struct shifted {
    const struct ingest_json_sink *sink;
    size_t base;
};

static int
give_shifted(void *arg, const struct ingest_json_node *nodes, size_t start, size_t end)
{
    const struct shifted *s = arg;
    int r = s->sink->record(s->sink->arg, nodes, s->base + start, s->base + end);

    return r > 0 ? 0 : r; /* 1 would mean that the text is bad */
}

static bool
is_blank(const char *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (p[i] != ' ' && p[i] != '\t' && p[i] != '\r' && p[i] != '\n')
            return false;
    return true;
}

static int
parse_span(struct ingest_json *j, const char *data, size_t start, size_t end, uint32_t max_depth,
           bool elements, const struct ingest_json_sink *sink)
{
    struct shifted s = {sink, start};
    struct ingest_json_bad bad = {0};
    int r = ingest_json_parse(j, data + start, end - start, max_depth, elements, give_shifted, &s,
                              &bad);

    return r == 1 ? sink->bad(sink->arg, &bad, start, end) : r;
}

int
ingest_json_records(struct ingest_json *j, const struct ingest_block *b, uint32_t max_depth,
                    const struct ingest_json_sink *sink)
{
    const char *data = (const char *)b->data.data;
    const size_t len = b->data.len;
    size_t start, stop;
    int r = 0;

    if (b->format == INGEST_JSON)
        return len == 0 ? 0 : parse_span(j, data, 0, len, max_depth, true, sink);
    for (start = 0; start < len && r >= 0; start = stop + 1) {
        const char *lf = memchr(data + start, '\n', len - start);

        stop = lf ? (size_t)(lf - data) : len;
        if ((data[start] == '{' || !is_blank(data + start, stop - start)))
            r = parse_span(j, data, start, stop, max_depth, false, sink);
    }
    return r < 0 ? r : 0;
}
