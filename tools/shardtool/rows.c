#include "config.h"

#include "tools/shardtool/rows.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/compiler.h"
#include "lib/fail.h"
#include "lib/report.h"
#include "shardfmt/bits.h"
#include "shardfmt/select.h"
#include "tools/ingest/json_text.h"
#include "tools/ingest/parse.h"

#define FLUSH_BYTES (1u << 18)
#define FAR_BYTES   (4u << 20)      /* longer values are streamed */
#define FAR_PART    (3u << 18)      /* read at a time; a multiple of 3 for base64 */
#define TAKE_BYTES  (16u << 20) /* of rows that are taken in one go, by the average row */
#define TAKE_ROWS   16384u

struct rows {
    const struct rows_opts *o;
    struct shard_dataset *ds;
    struct shard_group *group; /* of cat */
    struct shard_taker *taker; /* of get */
    struct fmt_schema schema; /* of the wanted columns */
    uint32_t *cols;           /* their indices */
    uint32_t n_cols;
    struct shard_array *arrays; /* of the current row group */
    struct ingest_export *export;
    struct base_buf text;
    struct base_buf row;      /* JSON with marks of values to be streamed */
    uint64_t row0;            /* number of the first row in arrays */
    FILE *out;
    const char *out_name;
    uint64_t left;            /* rows that may still be printed */
    struct fmt_filter *filter; /* --where, or NULL */
    struct fmt_select *select; /* its way through ds */
    uint32_t *rest;            /* of cols, those that the filter does not read */
    uint32_t n_rest;
};

void
rows_take_option(struct cli_args *a, int id, struct rows_opts *o)
{
    switch (id) {
    case ROWS_OPT_LIMIT: cli_arg_u64(a, 0, UINT64_MAX, &o->limit); break;
    case ROWS_OPT_COLUMNS: o->columns = a->value; break;
    case ROWS_OPT_SPLIT: o->split = a->value; break;
    case ROWS_OPT_WHERE: o->where = a->value; break;
    default: break;
    }
}

static int
add_column(struct rows *rows, uint32_t col)
{
    const struct shard_field *f = shard_dataset_field(rows->ds, col);

    rows->cols[rows->n_cols++] = col;
    return fmt_schema_add_field(&rows->schema, f);
}

/* Find the columns of "a,b". */
static int
pick_columns(struct rows *rows, int *ret_status, struct shard_error *err)
{
    const uint32_t all = shard_dataset_n_columns(rows->ds);
    const char *p = rows->o->columns;
    char *list, *rest, *name;
    uint32_t max = all;
    int r = 0;

    for (const char *c = p; c && *c; c++)
        max += *c == ',';
    rows->cols = calloc(max + 1, sizeof(*rows->cols));
    rows->arrays = calloc(max + 1, sizeof(*rows->arrays));
    if (rows->cols == NULL || rows->arrays == NULL)
        return base_fail(err, -ENOMEM, "reading rows");
    if (p == NULL) {
        for (uint32_t c = 0; c < all && r == 0; c++)
            r = add_column(rows, c);
        return r < 0 ? base_fail(err, r, "reading rows") : 0;
    }
    rest = list = strdup(p);
    if (list == NULL)
        r = base_fail(err, -ENOMEM, "reading rows");
    while (r == 0 && (name = cli_cut_name(&rest)) != NULL) {
        const int64_t col = shard_dataset_find_column(rows->ds, name);

        if (col == SHARD_ENOTFOUND)
            *ret_status = cli_fail(CLI_USAGE, "there is no column '%s'; 'shardtool schema' lists them",
                                   name);
        r = col < 0 ? (int)col : add_column(rows, (uint32_t)col);
    }
    free(list);
    return r;
}

static int
flush_text(struct rows *rows, struct shard_error *err)
{
    if (rows->text.len > 0 && rows->out == stdout)
        cli_stdout_is_taken();
    if (rows->text.len > 0 && fwrite(rows->text.data, 1, rows->text.len, rows->out) != rows->text.len)
        return base_fail(err, -errno, "writing %s", rows->out_name);
    base_buf_reset(&rows->text);
    return 0;
}

/* A large value behind the text so far, without its quotes. */
static int
stream_value(struct rows *rows, struct shard_value *v, bool text, struct shard_error *err)
{
    uint8_t *buf = malloc(FAR_PART);
    int64_t n = 1;
    int r = buf ? 0 : base_fail(err, -ENOMEM, "reading a value");

    while (r == 0 && n > 0) {
        size_t len = 0;

        while (len < FAR_PART && (n = shard_value_read(v, buf + len, FAR_PART - len, err)) > 0)
            len += (size_t)n;
        if (n < 0)
            r = (int)n;
        else if (text)
            r = ingest_json_put_text(&rows->text, (const char *)buf, len);
        else
            r = ingest_export_base64(buf, len, &rows->text);
        if (r == 0)
            r = flush_text(rows, err);
        if (r == 0 && cli_signal())
            r = base_fail(err, -ECANCELED, "interrupted");
    }
    free(buf);
    return r;
}

/* The value that the mark is about. */
static int
print_far(struct rows *rows, const uint8_t *mark, struct shard_error *err)
{
    const struct shard_far *far = NULL;
    struct shard_value *v;
    uintptr_t address;
    uint32_t c = 0;
    int r;

    memcpy(&address, mark + 1, sizeof(address));
    for (; far == NULL && c < rows->n_cols; c++)
        for (uint32_t i = 0; i < rows->arrays[c].n_far; i++)
            if ((uintptr_t)&rows->arrays[c].far[i] == address)
                far = &rows->arrays[c].far[i];
    if (far == NULL)
        return base_fail(err, -EINVAL, "a value that nobody knows");
    c--; /* the column where it was found */
    r = shard_value_open(rows->ds, rows->row0 + far->row, rows->cols[c], &v, err);
    if (r < 0)
        return r;
    r = base_buf_append(&rows->text, "\"", 1);
    if (r == 0)
        r = stream_value(rows, v, rows->arrays[c].type == SHARD_TYPE_STRING, err);
    if (r == 0)
        r = base_buf_append(&rows->text, "\"", 1);
    shard_value_close(v);
    return r;
}

static bool
has_far(const struct rows *rows)
{
    for (uint32_t c = 0; c < rows->n_cols; c++)
        if (rows->arrays[c].n_far)
            return true;
    return false;
}

/* A row that may have values which are streamed. */
static int
print_row_far(struct rows *rows, uint64_t row, struct shard_error *err)
{
    const uint8_t *p, *end, *mark;
    int r;

    base_buf_reset(&rows->row);
    r = ingest_export_json(rows->export, &rows->schema, rows->arrays, row, &rows->row, err);
    if (r < 0)
        return r;
    p = rows->row.data;
    end = p + rows->row.len;
    while (r == 0 && (mark = memchr(p, '\0', (size_t)(end - p))) != NULL) {
        r = base_buf_append(&rows->text, p, (size_t)(mark - p));
        if (r == 0)
            r = print_far(rows, mark, err);
        p = mark + INGEST_FAR_MARK;
    }
    return r < 0 ? r : base_buf_append(&rows->text, p, (size_t)(end - p));
}

static int
print_row(struct rows *rows, uint64_t row, struct shard_error *err)
{
    int r;

    if (rows->o->form == ROWS_CSV)
        return ingest_export_csv(rows->export, &rows->schema, rows->arrays, row, ',', true,
                                 &rows->text, err);
    r = has_far(rows) ? print_row_far(rows, row, err)
                      : ingest_export_json(rows->export, &rows->schema, rows->arrays, row,
                                           &rows->text, err);
    if (r == 0)
        r = base_buf_append(&rows->text, "\n", 1);
    return r;
}

/* Rows [0, n) of rows->arrays, as far as wanted: those in bits (NULL: all). */
static int
print_arrays(struct rows *rows, uint64_t n, const uint8_t *bits, struct shard_error *err)
{
    for (uint64_t i = 0; i < n && rows->left > 0; i++) {
        const size_t before = rows->text.len;
        int r;

        if (bits && !fmt_bits_get(bits, i))
            continue;
        r = print_row(rows, i, err);
        if (r < 0 && !has_far(rows)) /* else a part of it may be printed already */
            rows->text.len = before;
        if (r == 0 && rows->text.len >= FLUSH_BYTES)
            r = flush_text(rows, err);
        if (r < 0)
            return r;
        rows->left--;
    }
    return 0;
}

/* The expression is wrong: say so, and show where. */
static int
fail_where(const struct rows *rows, size_t at, const struct shard_error *err)
{
    const char *text = rows->o->where;
    int status = cli_fail(CLI_USAGE, "--where: %s", err->text);

    if (strlen(text) < 1000 && strpbrk(text, "\r\n\t") == NULL) {
        fprintf(stderr, "  %s\n  ", text);
        for (size_t i = 0; i < at; i++)
            if ((text[i] & 0xc0) != 0x80) /* one for each character */
                fputc(' ', stderr);
        fputs("^\n", stderr);
    }
    return status;
}

/* Make ready to filter. *ret_status is set where the user is wrong. */
static int
where_begin(struct rows *rows, int *ret_status, struct shard_error *err)
{
    size_t at = 0;
    int r;

    r = fmt_filter_parse(rows->o->where, fmt_dataset_schema(rows->ds), &rows->filter, &at, err);
    if (r == SHARD_EPARSE)
        *ret_status = fail_where(rows, at, err);
    if (r < 0)
        return r;
    rows->rest = calloc(rows->n_cols + 1, sizeof(*rows->rest));
    if (rows->rest == NULL)
        return base_fail(err, -ENOMEM, "reading rows");
    r = fmt_select_new(rows->ds, rows->filter, &rows->select, err);
    for (uint32_t c = 0; r == 0 && c < rows->n_cols; c++)
        if (!fmt_select_reads(rows->select, rows->cols[c]))
            rows->rest[rows->n_rest++] = rows->cols[c];
    return r;
}

/* Read the wanted columns of a row group. 1; 0 where no row of it is wanted. *ret_bits is which, or
 * NULL for all. */
static int
read_group(struct rows *rows, uint64_t group, const uint8_t **ret_bits, struct shard_error *err)
{
    uint32_t rest = 0;
    int64_t n = 1;
    int r;

    *ret_bits = NULL;
    if (rows->select)
        n = fmt_select_group(rows->select, group, ret_bits, err);
    if (n <= 0)
        return (int)n;
    r = shard_dataset_read_group(rows->ds, group, rows->select ? rows->rest : rows->cols,
                                 rows->select ? rows->n_rest : rows->n_cols, rows->group, err);
    for (uint32_t c = 0; r == 0 && c < rows->n_cols; c++) {
        rows->arrays[c] = rows->select && fmt_select_reads(rows->select, rows->cols[c])
                              ? *fmt_select_array(rows->select, rows->cols[c])
                              : *shard_group_array(rows->group, rest++);
    }
    return r < 0 ? r : 1;
}

static int
print_group(struct rows *rows, uint64_t group, struct shard_error *err)
{
    const uint8_t *bits;
    struct shard_group_info info;
    int r = read_group(rows, group, &bits, err);

    if (r <= 0)
        return r;
    shard_dataset_group_info(rows->ds, group, &info);
    rows->row0 = info.row0;
    return print_arrays(rows, info.n_rows, bits, err);
}

/* How many rows to take at a time. */
static size_t
take_rows(const struct rows *rows)
{
    const struct fmt_snapshot *s = fmt_dataset_snapshot(rows->ds);
    uint64_t bytes = 0, n;

    for (uint32_t i = 0; i < s->n_shards; i++)
        bytes += s->shards[i].raw_bytes;
    n = TAKE_BYTES / (bytes / (shard_dataset_n_rows(rows->ds) + 1) + 1);
    return (size_t)BASE_MAX(BASE_MIN(n, TAKE_ROWS), 1);
}

/* Rows with values of more than the taker's memory holds: what to do about it. */
static int
fail_budget(struct shard_error *err)
{
    const struct shard_error e = *err;

    return base_say(err, SHARD_EBUDGET, "%s; here it is a fixed one: --raw COLUMN gives one value of "
                    "any size, --columns leaves columns out", e.text);
}

/* The rows whose numbers rows->o->numbers gives. */
static int
print_taken(struct rows *rows, struct shard_error *err)
{
    const struct shard_taker_opts opts = {.struct_size = sizeof(opts), .io = rows->o->io};
    const size_t cap = take_rows(rows);
    uint64_t *numbers = calloc(cap, sizeof(*numbers));
    int64_t n = 0;
    int r;

    if (numbers == NULL)
        return base_fail(err, -ENOMEM, "reading rows");
    r = shard_taker_open(rows->ds, &opts, &rows->taker, err);
    while (r == 0) {
        n = rows->o->numbers(rows->o->numbers_arg, numbers, cap, err);
        if (n <= 0)
            break;
        r = shard_taker_take(rows->taker, numbers, (uint64_t)n, rows->cols, rows->n_cols, err);
        if (r == SHARD_EBUDGET)
            r = fail_budget(err);
        for (uint32_t c = 0; r == 0 && c < rows->n_cols; c++)
            rows->arrays[c] = *shard_taker_array(rows->taker, c);
        if (r == 0)
            r = print_arrays(rows, (uint64_t)n, NULL, err);
    }
    free(numbers);
    return n < 0 ? (int)n : r;
}

/* All rows, or those of a split. */
static int
print_groups(struct rows *rows, int64_t split, struct shard_error *err)
{
    int r = shard_group_new(&rows->group);

    if (r == 0 && rows->o->form == ROWS_JSONL) /* a cell of CSV is written whole */
        shard_group_set_far(rows->group, FAR_BYTES);
    for (uint64_t g = 0; g < shard_dataset_n_groups(rows->ds) && rows->left > 0 && r == 0; g++) {
        struct shard_group_info info;

        if (cli_signal())
            return base_fail(err, -ECANCELED, "interrupted");
        shard_dataset_group_info(rows->ds, g, &info);
        if (split < 0 || info.split == (uint32_t)split)
            r = print_group(rows, g, err);
    }
    return r;
}

/* What --where read and what it did not need to. */
static int
where_report(const struct rows *rows, struct shard_error *err)
{
    const struct fmt_select_counts *n = fmt_select_counts(rows->select);
    FILE *out = rows->out == stdout ? stderr : stdout;
    json_t *obj;
    int r;

    if (!cli_json()) {
        const uint64_t n_rows = rows->o->limit - rows->left;

        cli_message("%" PRIu64 " row%s; row groups read: %" PRIu64 ", skipped by statistics: %" PRIu64
                    ", shards not opened: %" PRIu64,
                    n_rows, n_rows == 1 ? "" : "s", n->groups_read, n->groups_skipped,
                    n->shards_skipped);
        return 0;
    }
    obj = json_pack("{s:I, s:I, s:I, s:I}", "rows", (json_int_t)(rows->o->limit - rows->left),
                    "groups_read", (json_int_t)n->groups_read, "groups_skipped",
                    (json_int_t)n->groups_skipped, "shards_skipped", (json_int_t)n->shards_skipped);
    r = obj ? base_report_line(out, obj, err) : base_fail(err, -ENOMEM, "a report");
    json_decref(obj);
    return r;
}

static int
print_rows(struct rows *rows, int *ret_status, struct shard_error *err)
{
    int64_t split = -1;
    int r;

    r = shard_dataset_open(rows->o->dataset, &rows->ds, err);
    if (r < 0)
        return r;
    if (rows->o->split) {
        split = shard_dataset_find_split(rows->ds, rows->o->split);
        if (split < 0) {
            *ret_status = cli_fail(CLI_USAGE, "%s has no split '%s'", rows->o->dataset,
                                   rows->o->split);
            return SHARD_ENOTFOUND;
        }
    }
    r = pick_columns(rows, ret_status, err);
    if (r == 0 && rows->o->where)
        r = where_begin(rows, ret_status, err);
    if (r == 0 && rows->o->form == ROWS_CSV)
        r = ingest_export_csv_header(&rows->schema, ',', true, &rows->text);
    if (r == 0)
        r = rows->o->numbers ? print_taken(rows, err) : print_groups(rows, split, err);
    if (r == 0)
        r = flush_text(rows, err);
    else if (!ferror(rows->out)) /* the rows before what is damaged */
        (void)flush_text(rows, NULL);
    return r == 0 && rows->select ? where_report(rows, err) : r;
}

int
rows_print(const struct rows_opts *o, FILE *out, const char *out_name)
{
    struct rows rows = {.o = o, .out = out, .out_name = out_name, .left = o->limit};
    struct shard_error err = {0};
    int r, status = CLI_OK;

    fmt_schema_init(&rows.schema);
    r = ingest_export_new(&rows.export);
    if (r == 0)
        r = print_rows(&rows, &status, &err);
    if (status != CLI_OK)
        ; /* it was said */
    else if (r == -EPIPE)
        status = CLI_FAILED; /* whoever read it has seen enough: nothing to say */
    else if (r < 0)
        status = cli_fail(CLI_FAILED, "%s", err.text[0] ? err.text : shard_strerror(r));
    ingest_export_free(rows.export);
    shard_group_free(rows.group);
    shard_taker_close(rows.taker);
    fmt_select_free(rows.select);
    fmt_filter_free(rows.filter);
    shard_dataset_close(rows.ds);
    fmt_schema_done(&rows.schema);
    base_buf_done(&rows.text);
    base_buf_done(&rows.row);
    free(rows.cols);
    free(rows.arrays);
    free(rows.rest);
    return status;
}
