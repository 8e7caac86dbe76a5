/* CSV records to rows: cells to columns by the entry's header. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ingest/json_text.h"
#include "tools/ingest/parser.h"
#include "tools/ingest/utf8.h"

#define CLIP 80u /* bytes of a cell in a message */

/* ------------------------------------------------------------------------- header to columns */

static bool
map_is_for(const struct ingest_csv_map *m, const struct ingest_block *b)
{
    return m->valid && m->delimiter == b->delimiter && m->quote == b->quote &&
           m->header.len == b->header.len &&
           (m->header.len == 0 || memcmp(m->header.data, b->header.data, m->header.len) == 0);
}

/* Without a header every record has as many cells as the first of the sample. Where nothing was
 * sampled (--schema), the block's first record tells. */
static int
numbered_names(struct ingest_parser *p, const struct ingest_block *b, struct ingest_csv_names *ret)
{
    size_t width = p->plan->impl->csv_width;
    int r = 0;

    if (width == 0) {
        ingest_csv_begin(&p->csv, b->data.data, b->data.len, b->delimiter, b->quote);
        r = ingest_csv_next(&p->csv);
        width = r > 0 ? p->csv.n_cells : 0;
    }
    return r < 0 ? r : ingest_csv_numbered(width, ret);
}

static int
map_make(struct ingest_parser *p, const struct ingest_block *b)
{
    struct ingest_csv_map *m = &p->map;
    int r;

    m->valid = false;
    ingest_csv_names_done(&m->names);
    if (b->header.len)
        r = ingest_csv_names(&p->csv, &b->header, b->delimiter, b->quote, &m->names);
    else
        r = numbered_names(p, b, &m->names);
    if (r < 0)
        return r;
    free(m->cols);
    m->cols = malloc((m->names.n_names + 1) * sizeof(*m->cols));
    if (m->cols == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < m->names.n_names; i++)
        m->cols[i] = ingest_plan_column(p->plan->impl, m->names.names[i]);
    base_buf_reset(&m->header);
    if (b->header.len && base_buf_append(&m->header, b->header.data, b->header.len) < 0)
        return -ENOMEM;
    m->delimiter = b->delimiter;
    m->quote = b->quote;
    m->valid = b->header.len || p->plan->impl->csv_width;
    return 0;
}

/* ------------------------------------------------------------------------------------ cells */

/* A dotted name is nested in _extra as its column is on export, so it cannot be written in place:
 * another part of the same object may follow. */
static int
put_extra(struct ingest_extra *x, const char *name, const char *text, size_t len)
{
    const bool loose = strchr(name, '.') != NULL;
    struct base_buf *out = loose ? &x->loose_text : &x->text;
    int r = loose ? ingest_extra_loose(x, name) : ingest_extra_key(x, name, strlen(name));

    if (r == 0)
        r = ingest_json_put_string(out, text, len);
    if (r == 0 && loose)
        r = base_buf_append(out, "", 1);
    return r < 0 ? r : 1;
}

int
ingest_text_misfit(struct ingest_parser *p, uint32_t col, const char *text, size_t len,
                   size_t start, size_t end)
{
    const struct shard_field *f = &p->plan->schema.fields[col];
    char type[SHARD_TYPE_NAME_MAX];

    if (!p->plan->impl->strict && p->plan->extra >= 0)
        return put_extra(&p->row.extra, f->name, text, len);
    return ingest_row_reject(
        &p->row, INGEST_BAD_TYPE, f->name, start, end, "\"%.*s\" does not fit column %s of type %s",
        ingest_utf8_clip(text, len, CLIP), text, f->name, shard_field_type_name(f, type));
}

static int
put_cell(struct ingest_parser *p, size_t i, const struct ingest_csv_cell *cell, size_t start,
         size_t end)
{
    const int32_t col = p->map.cols[i];
    int r;

    if (col >= 0) {
        r = ingest_row_text(&p->row, (uint32_t)col, cell->p, cell->len);
        return r ? r : ingest_text_misfit(p, (uint32_t)col, cell->p, cell->len, start, end);
    }
    if (col == INGEST_COL_RESERVED)
        return ingest_row_reject(&p->row, INGEST_BAD_TYPE, "", start, end,
                                 "the header's %s is the name of a column that an option made",
                                 p->map.names.names[i]);
    if (p->plan->impl->keep_unknown && p->plan->extra >= 0)
        return put_extra(&p->row.extra, p->map.names.names[i], cell->p, cell->len);
    return 1;
}

static int
put_cells(struct ingest_parser *p, size_t start, size_t end)
{
    const struct ingest_csv *c = &p->csv;
    int r = 1;

    for (size_t i = 0; i < c->n_cells && r == 1; i++)
        if (c->cells[i].len || c->cells[i].quoted)
            r = put_cell(p, i, &c->cells[i], start, end);
    return r;
}

/* ---------------------------------------------------------------------------------- records */

/* 1 where the record may become a row, 0 where it was rejected. */
static int
check_record(struct ingest_parser *p, size_t start, size_t end, bool all_utf8)
{
    const struct ingest_csv *c = &p->csv;
    size_t good;

    if (c->fault == INGEST_CSV_OPEN)
        return ingest_row_reject(&p->row, INGEST_BAD_CSV_QUOTE, "", start, end,
                                 "a quoted cell is not closed before the entry's end");
    if (c->fault == INGEST_CSV_AFTER)
        return ingest_row_reject(&p->row, INGEST_BAD_CSV_QUOTE, "", start, end,
                                 "text follows a cell's closing quote");
    if (c->n_cells != p->map.names.n_names)
        return ingest_row_reject(&p->row, INGEST_BAD_CSV_CELLS, "", start, end,
                                 "%zu cell%s, where there are %zu column%s", c->n_cells,
                                 c->n_cells == 1 ? "" : "s", p->map.names.n_names,
                                 p->map.names.n_names == 1 ? "" : "s");
    if (!all_utf8) {
        good = ingest_utf8_prefix(c->start, end - start);
        if (good < end - start)
            return ingest_row_reject(&p->row, INGEST_BAD_UTF8, "", start, end,
                                     "byte %zu of the record is not UTF-8", good);
    }
    return 1;
}

static int
take_record(struct ingest_parser *p, size_t start, size_t end, bool all_utf8)
{
    int r = ingest_row_begin(&p->row);

    if (r == 0)
        r = check_record(p, start, end, all_utf8);
    if (r == 1)
        r = put_cells(p, start, end);
    return r == 1 ? ingest_row_commit(&p->row, start, end) : r;
}

int
ingest_parse_csv(struct ingest_parser *p, const struct ingest_block *b)
{
    const bool all_utf8 = ingest_utf8_valid(b->data.data, b->data.len);
    const char *data = (const char *)b->data.data;
    struct ingest_csv *c = &p->csv;
    int r = 0;

    if (!map_is_for(&p->map, b))
        r = map_make(p, b);
    if (r < 0)
        return r;
    ingest_csv_begin(c, data, b->data.len, b->delimiter, b->quote);
    while ((r = ingest_csv_next(c)) > 0) {
        r = take_record(p, (size_t)(c->start - data), (size_t)(c->stop - data), all_utf8);
        if (r < 0)
            break;
    }
    return r;
}
