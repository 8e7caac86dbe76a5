#include "config.h"

#include "tools/ingest/quarantine.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/compiler.h"
#include "shardfmt/column.h"

static const char *
or_empty(const char *text)
{
    return text ? text : "";
}

int
ingest_quarantine_add(struct ingest_groups *gs, struct ingest_lane *lane,
                      const struct ingest_reject *rej)
{
    const struct {
        int col;
        const char *text;
    } texts[] = {{FMT_QUARANTINE_FILE, or_empty(rej->file)}, {FMT_QUARANTINE_ENTRY, or_empty(rej->entry)},
                 {FMT_QUARANTINE_REASON, rej->reason}, {FMT_QUARANTINE_DETAIL, or_empty(rej->detail)},
                 {FMT_QUARANTINE_COLUMN, or_empty(rej->column)}};
    struct fmt_column *cols;
    uint64_t raw = 0;
    int r;

    r = ingest_groups_columns(gs, lane, &cols);
    for (size_t i = 0; i < BASE_ARRAY_LEN(texts) && r == 0; i++) {
        const size_t len = strlen(texts[i].text);

        r = fmt_column_append_bytes(&cols[texts[i].col], texts[i].text, len);
        raw += 4 + len;
    }
    if (r == 0)
        r = fmt_column_append_number(&cols[FMT_QUARANTINE_LINE], &rej->line);
    if (r == 0)
        r = fmt_column_append_number(&cols[FMT_QUARANTINE_OFFSET], &rej->offset);
    if (r == 0)
        r = fmt_column_append_number(&cols[FMT_QUARANTINE_LENGTH], &rej->length);
    if (r == 0)
        r = fmt_column_append_bytes(&cols[FMT_QUARANTINE_RAW], rej->raw, rej->raw ? rej->raw_len : 0);
    if (r < 0)
        return r;
    ingest_groups_added(gs, lane, raw + 3 * sizeof(uint64_t) + 4 + rej->raw_len);
    return 0;
}

char *
ingest_reject_place(const struct ingest_reject *rej, char ret[SHARD_ERROR_TEXT_MAX])
{
    const bool inside = rej->entry && rej->entry[0];
    const bool column = rej->column && rej->column[0];
    int len;

    len = snprintf(ret, SHARD_ERROR_TEXT_MAX, "%.160s%s%.160s", or_empty(rej->file),
                   inside ? "!" : "", inside ? rej->entry : "");
    if (rej->line)
        len += snprintf(ret + len, SHARD_ERROR_TEXT_MAX - (size_t)len, ", line %" PRIu64,
                        rej->line);
    len += snprintf(ret + len, SHARD_ERROR_TEXT_MAX - (size_t)len, ", byte %" PRIu64, rej->offset);
    if (column)
        snprintf(ret + len, SHARD_ERROR_TEXT_MAX - (size_t)len, ", column %.80s", rej->column);
    return ret;
}
