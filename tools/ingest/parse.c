/* Blocks to rows: the format's parser, then what all formats share: path columns, hashes and
 * filters. */
#include "config.h"

#include "tools/ingest/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/fail.h"
#include "tools/ingest/parser.h"

/* ------------------------------------------------------------------------------------ rows */

int
ingest_rows_new(const struct ingest_plan *plan, struct ingest_rows **ret)
{
    struct ingest_rows *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return -ENOMEM;
    r->cols = calloc(plan->schema.n_fields + 1, sizeof(*r->cols));
    if (r->cols == NULL) {
        free(r);
        return -ENOMEM;
    }
    r->n_cols = plan->schema.n_fields;
    for (uint32_t i = 0; i < r->n_cols; i++)
        fmt_column_init_field(&r->cols[i], &plan->schema.fields[i]);
    *ret = r;
    return 0;
}

static void
free_hashes(struct ingest_rows *r)
{
    if (r->split_hash != r->dedup_hash)
        free(r->split_hash);
    if (r->dedup_hash != r->row_hash)
        free(r->dedup_hash);
    free(r->row_hash);
    r->row_hash = r->dedup_hash = r->split_hash = NULL;
}

void
ingest_rows_free(struct ingest_rows *r)
{
    if (r == NULL)
        return;
    for (uint32_t i = 0; i < r->n_cols; i++)
        fmt_column_done(&r->cols[i]);
    free(r->cols);
    free_hashes(r);
    ingest_rejects_done(&r->rejects);
    free(r);
}

static void
rows_reset(struct ingest_rows *r)
{
    for (uint32_t i = 0; i < r->n_cols; i++)
        fmt_column_reset(&r->cols[i]);
    free_hashes(r);
    ingest_rejects_done(&r->rejects);
    r->n_rows = r->n_filtered = r->bytes = 0;
    r->filtered_sum = (struct base_hash128){0, 0};
}

uint64_t
ingest_rows_memory(const struct ingest_rows *r)
{
    uint64_t sum = sizeof(*r) + r->rejects.cap * sizeof(*r->rejects.items);
    const uint64_t hashes = (r->n_rows + r->n_filtered) * sizeof(*r->row_hash);

    for (uint32_t i = 0; i < r->n_cols; i++)
        sum += fmt_column_memory(&r->cols[i]);
    for (size_t i = 0; i < r->rejects.count; i++)
        sum += r->rejects.items[i].raw_len;
    sum += r->row_hash ? hashes : 0;
    sum += r->dedup_hash != r->row_hash ? hashes : 0;
    sum += r->split_hash != r->dedup_hash ? hashes : 0;
    return sum;
}

/* ---------------------------------------------------------------------------------- parser */

int
ingest_parser_new(const struct ingest_plan *plan, struct ingest_parser **ret)
{
    struct ingest_parser *p = calloc(1, sizeof(*p));
    int r;

    if (p == NULL)
        return -ENOMEM;
    p->plan = plan;
    r = ingest_row_init(&p->row, plan);
    if (r == 0)
        r = ingest_json_new(&p->json);
    p->spare = calloc(plan->schema.n_fields + 1, sizeof(*p->spare));
    if (p->spare == NULL)
        r = -ENOMEM;
    for (uint32_t i = 0; p->spare && i < plan->schema.n_fields; i++)
        fmt_column_init_field(&p->spare[i], &plan->schema.fields[i]);
    if (r < 0) {
        ingest_parser_free(p);
        return r;
    }
    *ret = p;
    return 0;
}

void
ingest_parser_free(struct ingest_parser *p)
{
    if (p == NULL)
        return;
    for (uint32_t i = 0; p->spare && i < p->plan->schema.n_fields; i++)
        fmt_column_done(&p->spare[i]);
    free(p->spare);
    ingest_row_done(&p->row);
    ingest_json_free(p->json);
    base_buf_done(&p->table);
    ingest_csv_done(&p->csv);
    base_buf_done(&p->map.header);
    ingest_csv_names_done(&p->map.names);
    free(p->map.cols);
    ingest_svm_done(&p->svm);
    base_buf_done(&p->values);
    base_buf_done(&p->keep);
    free(p);
}

/* ---------------------------------------------------------------------- hashes and filters */

static int
hash_with(const struct fmt_rowhash *h, const struct shard_array *arrays, uint64_t n,
          struct base_hash128 **ret)
{
    struct base_hash128 *hashes = malloc((n + 1) * sizeof(*hashes));

    if (hashes == NULL)
        return -ENOMEM;
    fmt_rowhash_rows(h, arrays, 0, n, hashes);
    *ret = hashes;
    return 0;
}

static int
hash_rows(const struct ingest_plan *plan, struct ingest_rows *rows)
{
    struct shard_array *arrays = calloc(rows->n_cols + 1, sizeof(*arrays));
    int r;

    if (arrays == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < rows->n_cols; i++)
        fmt_column_array(&rows->cols[i], &arrays[i]);
    r = hash_with(plan->row_hash, arrays, rows->n_rows, &rows->row_hash);
    rows->dedup_hash = rows->row_hash;
    if (r == 0 && plan->dedup_hash)
        r = hash_with(plan->dedup_hash, arrays, rows->n_rows, &rows->dedup_hash);
    rows->split_hash = rows->dedup_hash;
    if (r == 0 && plan->split_hash)
        r = hash_with(plan->split_hash, arrays, rows->n_rows, &rows->split_hash);
    free(arrays);
    return r;
}

/* Mark in keep[] the rows whose text in the column is long enough; null has no length. */
static void
mark_long(const struct fmt_column *c, uint64_t bytes, bool *keep)
{
    struct shard_array a;

    fmt_column_array(c, &a);
    for (uint64_t i = 0; i < a.n_rows; i++)
        if ((uint64_t)(a.offsets[i + 1] - a.offsets[i]) < bytes) {
            const struct shard_far *far = fmt_array_far(&a, i);

            keep[i] = keep[i] && far && far->size >= bytes;
        }
}

/* The rows to keep, ascending, into p->keep. */
static int
choose_rows(struct ingest_parser *p, struct ingest_rows *rows, uint64_t *ret_kept)
{
    const struct ingest_parse_opts *opts = p->plan->opts;
    bool *keep = malloc(rows->n_rows + 1);
    uint32_t *list;
    uint64_t n = 0;

    base_buf_reset(&p->keep);
    if (keep == NULL || base_buf_reserve(&p->keep, (rows->n_rows + 1) * sizeof(*list)) < 0) {
        free(keep);
        return -ENOMEM;
    }
    memset(keep, true, rows->n_rows);
    for (size_t i = 0; i < opts->n_min_lengths && rows->n_rows; i++)
        mark_long(&rows->cols[p->plan->impl->min_col[i]], opts->min_lengths[i].bytes, keep);
    list = (uint32_t *)(void *)p->keep.data;
    for (uint64_t i = 0; i < rows->n_rows; i++) {
        if (keep[i])
            list[n++] = (uint32_t)i;
        else
            rows->filtered_sum = base_hash128_add(rows->filtered_sum, rows->row_hash[i]);
    }
    free(keep);
    *ret_kept = n;
    return 0;
}

static void
pick_hashes(struct base_hash128 *hashes, const uint32_t *list, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        hashes[i] = hashes[list[i]];
}

static int
pick_columns(struct ingest_parser *p, struct ingest_rows *rows, const uint32_t *list, uint64_t n)
{
    for (uint32_t i = 0; i < rows->n_cols; i++) {
        struct fmt_column all = rows->cols[i];
        struct shard_array a;
        int r;

        fmt_column_array(&all, &a);
        fmt_column_reset(&p->spare[i]);
        r = fmt_column_append_rows(&p->spare[i], &a, list, n);
        if (r < 0)
            return r;
        rows->cols[i] = p->spare[i];
        p->spare[i] = all;
    }
    return 0;
}

static int
filter_rows(struct ingest_parser *p, struct ingest_rows *rows)
{
    const uint32_t *list;
    uint64_t kept;
    int r;

    if (p->plan->opts->n_min_lengths == 0)
        return 0;
    r = choose_rows(p, rows, &kept);
    if (r < 0 || kept == rows->n_rows)
        return r;
    list = (const uint32_t *)(const void *)p->keep.data;
    r = pick_columns(p, rows, list, kept);
    if (r < 0)
        return r;
    pick_hashes(rows->row_hash, list, kept);
    if (rows->dedup_hash != rows->row_hash)
        pick_hashes(rows->dedup_hash, list, kept);
    if (rows->split_hash != rows->dedup_hash)
        pick_hashes(rows->split_hash, list, kept);
    rows->n_filtered = rows->n_rows - kept;
    rows->n_rows = kept;
    return 0;
}

/* ---------------------------------------------------------------------------------- blocks */

static int
parse_records(struct ingest_parser *p, const struct ingest_block *b)
{
    if (b->data.len == 0 && b->format != INGEST_FILES)
        return 0;
    switch (b->format) {
    case INGEST_JSONL:
    case INGEST_JSON:
        return ingest_parse_json(p, b);
    case INGEST_CSV:
    case INGEST_TSV:
        return ingest_parse_csv(p, b);
    case INGEST_TEXT:
        return ingest_parse_text(p, b);
    case INGEST_LIBSVM:
        return ingest_parse_libsvm(p, b);
    case INGEST_FILES:
        /* A block that only carries rejects has no file. */
        return b->first && b->last ? ingest_parse_files(p, b) : 0;
    default:
        return -EINVAL;
    }
}

int
ingest_parse_block(struct ingest_parser *p, const struct ingest_block *b, struct ingest_rows *rows,
                   struct shard_error *err)
{
    int r;

    rows_reset(rows);
    rows->bytes = b->data.len;
    ingest_row_start(&p->row, rows, b);
    r = parse_records(p, b);
    if (r == 0)
        r = ingest_row_finish(&p->row);
    rows->n_rows = p->row.n;
    if (r == 0)
        r = hash_rows(p->plan, rows);
    if (r == 0)
        r = filter_rows(p, rows);
    return r < 0 ? base_fail(err, r, "the records of %s from byte %" PRIu64 " on",
                             b->entry ? b->entry->path : "an input", b->offset)
                 : 0;
}
