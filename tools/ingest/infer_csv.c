/* Inference from CSV: a column is a number only where every sampled cell is exactly what we would
 * print for its value, so that cells come back as they were. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "tools/ingest/infer.h"
#include "tools/ingest/number.h"
#include "tools/ingest/utf8.h"

static int
seen_reserve(struct ingest_infer *in)
{
    uint32_t cap = in->names.cap;
    void *p;

    if (in->names.n_nodes <= in->cap_csv)
        return 0;
    p = realloc(in->csv, cap * sizeof(*in->csv));
    if (p == NULL)
        return -ENOMEM;
    in->csv = p;
    memset(in->csv + in->cap_csv, 0, (cap - in->cap_csv) * sizeof(*in->csv));
    in->cap_csv = cap;
    return 0;
}

static void
count_cell(struct ingest_csv_seen *s, const struct ingest_csv_cell *cell)
{
    union ingest_num num;
    double f;

    if (cell->len == 0 && !cell->quoted)
        return;
    s->cells++;
    if (s->not_int && s->not_float)
        return;
    switch (ingest_num_canonical_int(cell->p, cell->len, &num)) {
    case INGEST_NUM_INT:
        s->negative = s->negative || num.i < 0;
        break;
    case INGEST_NUM_UINT:
        s->above_int64 = true;
        break;
    default:
        s->not_int = true;
    }
    if (!s->not_float && !ingest_num_canonical_float(cell->p, cell->len, &f))
        s->not_float = true;
}

/* The nodes of this header's columns. */
static int
map_names(struct ingest_infer *in, const struct ingest_csv_names *names, uint32_t **ret_ids)
{
    uint32_t *ids = malloc((names->n_names + 1) * sizeof(*ids));
    int r = 0;

    if (ids == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < names->n_names && r == 0; i++) {
        r = ingest_trie_add(&in->names, INGEST_TRIE_ROOT, names->names[i], strlen(names->names[i]),
                            &ids[i]);
        if (r == 0)
            r = seen_reserve(in);
    }
    if (r < 0) {
        free(ids);
        return r;
    }
    *ret_ids = ids;
    return 0;
}

/* The width of a headerless entry is its first record's. */
static int
names_of_block(struct ingest_infer *in, const struct ingest_block *b, struct ingest_csv_names *ret)
{
    int r;

    if (b->header.len)
        return ingest_csv_names(&in->reader, &b->header, b->delimiter, b->quote, ret);
    if (in->csv_width == 0) {
        ingest_csv_begin(&in->reader, b->data.data, b->data.len, b->delimiter, b->quote);
        r = ingest_csv_next(&in->reader);
        if (r < 0)
            return r;
        in->csv_width = r ? in->reader.n_cells : 0;
    }
    return ingest_csv_numbered(in->csv_width, ret);
}

int
ingest_infer_csv(struct ingest_infer *in, const struct ingest_block *b)
{
    struct ingest_csv_names names = {0};
    struct ingest_csv *c = &in->reader;
    uint32_t *ids = NULL;
    int r;

    in->any_csv = true;
    r = names_of_block(in, b, &names);
    if (r == 0)
        r = map_names(in, &names, &ids);
    if (r < 0)
        goto out;
    ingest_csv_begin(c, b->data.data, b->data.len, b->delimiter, b->quote);
    while ((r = ingest_csv_next(c)) > 0) {
        if (c->fault != INGEST_CSV_FINE || c->n_cells != names.n_names ||
            !ingest_utf8_valid(c->start, (size_t)(c->stop - c->start)))
            continue;
        for (size_t i = 0; i < c->n_cells; i++)
            count_cell(&in->csv[ids[i]], &c->cells[i]);
    }
out:
    free(ids);
    ingest_csv_names_done(&names);
    return r;
}

int
ingest_infer_csv_merge(struct ingest_infer *dst, const struct ingest_infer *src)
{
    uint32_t id, to;
    int r;

    dst->any_csv = dst->any_csv || src->any_csv;
    if (dst->csv_width == 0)
        dst->csv_width = src->csv_width;
    for (id = 1; id < src->names.n_nodes; id++) {
        struct ingest_csv_seen *d;
        const struct ingest_csv_seen *s;

        r = ingest_trie_add(&dst->names, INGEST_TRIE_ROOT, ingest_trie_name(&src->names, id),
                            src->names.nodes[id].name_len, &to);
        if (r == 0)
            r = seen_reserve(dst);
        if (r < 0)
            return r;
        d = &dst->csv[to];
        s = &src->csv[id];
        d->cells += s->cells;
        d->not_int = d->not_int || s->not_int;
        d->not_float = d->not_float || s->not_float;
        d->negative = d->negative || s->negative;
        d->above_int64 = d->above_int64 || s->above_int64;
    }
    return 0;
}

enum shard_type
ingest_csv_seen_type(const struct ingest_csv_seen *s)
{
    if (s->cells == 0)
        return SHARD_TYPE_STRING;
    if (!s->not_int && !(s->negative && s->above_int64))
        return s->above_int64 ? SHARD_TYPE_UINT64 : SHARD_TYPE_INT64;
    return s->not_float ? SHARD_TYPE_STRING : SHARD_TYPE_FLOAT64;
}
