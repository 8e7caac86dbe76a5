/* Column names from CSV headers. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "shardfmt/schema.h"
#include "tools/ingest/csv.h"
#include "tools/ingest/trie.h"
#include "tools/ingest/utf8.h"

void
ingest_csv_names_done(struct ingest_csv_names *n)
{
    for (size_t i = 0; i < n->n_names; i++)
        free(n->names[i]);
    free(n->names);
    memset(n, 0, sizeof(*n));
}

/* The name of column i, made unique among those in taken. */
static int
unique_name(struct ingest_trie *taken, const struct ingest_csv_cell *cell, size_t i, char **ret)
{
    struct base_buf name = {0};
    uint32_t before = taken->n_nodes, id;
    size_t stem;
    int r = 0;

    if (cell && cell->len && cell->len <= FMT_NAME_MAX / 4)
        r = ingest_utf8_escape(cell->p, cell->len, &name);
    else
        r = base_buf_printf(&name, "c%zu", i);
    stem = name.len;
    for (unsigned copy = 2; r == 0; copy++) {
        r = ingest_trie_add(taken, INGEST_TRIE_ROOT, (const char *)name.data, name.len, &id);
        if (r < 0 || taken->n_nodes > before)
            break;
        name.len = stem;
        r = base_buf_printf(&name, "_%u", copy);
    }
    if (r == 0)
        r = base_buf_append(&name, "", 1);
    if (r == 0) {
        *ret = strdup((const char *)name.data);
        r = *ret ? 0 : -ENOMEM;
    }
    base_buf_done(&name);
    return r;
}

static int
make_names(const struct ingest_csv_cell *cells, size_t n, struct ingest_csv_names *ret)
{
    struct ingest_csv_names names = {0};
    struct ingest_trie taken = {0};
    int r;

    names.names = calloc(n ? n : 1, sizeof(*names.names));
    if (names.names == NULL)
        return -ENOMEM;
    r = ingest_trie_init(&taken);
    for (; r == 0 && names.n_names < n; names.n_names++) {
        r = unique_name(&taken, cells ? &cells[names.n_names] : NULL, names.n_names,
                        &names.names[names.n_names]);
        if (r < 0)
            break;
    }
    ingest_trie_done(&taken);
    if (r < 0) {
        ingest_csv_names_done(&names);
        return r;
    }
    *ret = names;
    return 0;
}

int
ingest_csv_names(struct ingest_csv *c, const struct base_buf *header, char delimiter, char quote,
                 struct ingest_csv_names *ret)
{
    int r;

    ingest_csv_begin(c, header->data, header->len, delimiter, quote);
    r = ingest_csv_next(c);
    if (r < 0)
        return r;
    return make_names(c->cells, r ? c->n_cells : 0, ret);
}

int
ingest_csv_numbered(size_t n, struct ingest_csv_names *ret)
{
    return make_names(NULL, n, ret);
}
