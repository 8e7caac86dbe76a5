/* Fuzz target: records of inputs. Input: u8 format and options, u8 size of blocks; then the input's
 * bytes. Bit 7: CSV has no header; bit 6: records are short; bit 5: the schema is given. They are cut into blocks, the schema is inferred, the blocks are parsed, and the rows
 * printed as JSON and CSV. What was printed as JSON must parse again, to as many rows. */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/compiler.h"
#include "shardfmt/snapshot.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_table.h"
#include "tools/ingest/entry.h"
#include "tools/ingest/parse.h"

#define BLOCKS_MAX 64u
#define SCHEMA                                                                                     \
    "a:timestamp[ms]?,b:tensor<int16,2,2>?,c:float16?,d:list<string>?,text:string?,label:int8?,"   \
    "features:sparse<float32>?,e:bool?,f:list<float64>?,g:binary?,h:bfloat16?,i:timestamp[s]?"

static const struct {
    enum ingest_format format;
    const char *name;
} formats[] = {
    {INGEST_JSONL, "x.jsonl"}, {INGEST_CSV, "x.csv"},     {INGEST_LIBSVM, "x.svm"},
    {INGEST_TEXT, "x.txt"},    {INGEST_JSON, "x.json"},   {INGEST_TSV, "x.tsv"},
    {INGEST_AUTO, "x"},
};

struct blocks {
    struct ingest_block *of[BLOCKS_MAX];
    unsigned n;
};

/* The file's blocks, as far as there is room. */
static void
cut(const char *path, const struct ingest_cut_opts *opts, struct blocks *ret)
{
    struct ingest_cutter *cutter = NULL;
    struct ingest_files files = {0};
    struct shard_error err = {0};
    int r = 1;

    fuzz_must(ingest_files_add(&files, path, &err) == 0, err.text);
    fuzz_must(ingest_cutter_open(&files.items[0], opts, &cutter, &err) == 0, err.text);
    ret->n = 0;
    while (ret->n < BLOCKS_MAX && r == 1) {
        r = ingest_cutter_next(cutter, &ret->of[ret->n], &err);
        ret->n += r == 1;
    }
    fuzz_must(r >= 0, err.text);
    ingest_cutter_close(cutter);
    ingest_files_done(&files);
}

/* Infer a schema from blocks, parse them into rows[]. Returns the plan, NULL where there can be none. */
static struct ingest_plan *
parse(const struct ingest_parse_opts *opts, const struct blocks *b, struct ingest_rows *rows[])
{
    struct ingest_parser *parser = NULL;
    struct ingest_infer *infer = NULL;
    struct ingest_plan *plan = NULL;
    struct shard_error err = {0};

    fuzz_must(ingest_infer_new(opts, &infer) == 0, "memory");
    for (unsigned i = 0; i < b->n; i++)
        fuzz_must(ingest_infer_block(infer, b->of[i], &err) == 0, err.text);
    if (ingest_plan_make(opts, infer, &plan, &err) == 0) {
        fuzz_must(ingest_parser_new(plan, &parser) == 0, "memory");
        for (unsigned i = 0; i < b->n; i++) {
            fuzz_must(ingest_rows_new(plan, &rows[i]) == 0, "memory");
            fuzz_must(ingest_parse_block(parser, b->of[i], rows[i], &err) == 0, err.text);
        }
        ingest_parser_free(parser);
    } else {
        plan = NULL;
    }
    ingest_infer_free(infer);
    return plan;
}

/* The rows as JSON lines. Returns how many. */
static uint64_t
print(const struct ingest_plan *plan, const struct ingest_rows *rows, struct ingest_export *x,
      struct base_buf *json)
{
    struct shard_array *arrays = calloc(rows->n_cols + 1u, sizeof(*arrays));
    struct base_buf csv = {0};
    struct shard_error err = {0};

    fuzz_must(arrays != NULL, "memory");
    for (uint32_t c = 0; c < rows->n_cols; c++) {
        fmt_column_array(&rows->cols[c], &arrays[c]);
        fuzz_must(arrays[c].n_rows == rows->n_rows, "columns of different lengths");
        fuzz_touch(&arrays[c]);
    }
    for (uint64_t i = 0; i < rows->n_rows; i++) {
        fuzz_must(ingest_export_json(x, &plan->schema, arrays, i, json, &err) == 0, err.text);
        fuzz_must(base_buf_append(json, "\n", 1) == 0, "memory");
        fuzz_must(ingest_export_csv(x, &plan->schema, arrays, i, ',', true, &csv, &err) == 0,
                  err.text);
    }
    base_buf_done(&csv);
    free(arrays);
    return rows->n_rows;
}

static void
blocks_done(struct blocks *b)
{
    for (unsigned i = 0; i < b->n; i++)
        ingest_block_free(b->of[i]);
}

/* Rows that were printed are records of JSON lines, of as many levels as a column's name has dots. */
static void
parse_again(const struct base_buf *json, uint64_t n_rows)
{
    const struct ingest_parse_opts opts = {.max_json_depth = 1000};
    struct ingest_rows *rows[1] = {NULL};
    struct ingest_plan *plan;
    struct ingest_block b = {.format = INGEST_JSONL, .line = 1, .first = true, .last = true};
    const struct blocks blocks = {.of = {&b}, .n = 1};

    b.entry = ingest_entry_new("y.jsonl", "", "y.jsonl", (int64_t)json->len, false);
    fuzz_must(b.entry && base_buf_append(&b.data, json->data, json->len) == 0, "memory");
    plan = parse(&opts, &blocks, rows);
    fuzz_must(plan && rows[0]->n_rows == n_rows, "printed rows do not parse again");
    ingest_rows_free(rows[0]);
    ingest_plan_free(plan);
    ingest_entry_unref(b.entry);
    base_buf_done(&b.data);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct ingest_parse_opts opts = {.max_json_depth = 100};
    struct ingest_rows *rows[BLOCKS_MAX] = {NULL};
    struct ingest_cut_opts cut_opts = {.spool_dirfd = -1};
    struct ingest_export *x = NULL;
    struct ingest_plan *plan;
    struct fmt_table_info info;
    struct base_buf json = {0}, file;
    struct blocks b;
    uint64_t n = 0;
    char path[300], name[64];

    if (len < 2 || len > 1u << 16)
        return 0;
    cut_opts.format = formats[(data[0] & 0x1f) % BASE_ARRAY_LEN(formats)].format;
    opts.schema = data[0] & 0x20 ? SCHEMA : NULL;
    cut_opts.no_header = data[0] >> 7;
    cut_opts.block_bytes = data[1] ? data[1] * 16u : 0;
    cut_opts.max_record = data[0] & 0x40 ? 256 : 0;
    (void)snprintf(name, sizeof(name), "tmp/%s",
                   formats[(data[0] & 0x1f) % BASE_ARRAY_LEN(formats)].name);
    (void)snprintf(path, sizeof(path), "%s/%s", fuzz_dataset_path(), name);
    fuzz_must(base_buf_append(&json, data + 2, len - 2) == 0, "memory");
    file = json;
    fuzz_write_file(&file, name, &info);
    base_buf_reset(&json);
    cut(path, &cut_opts, &b);
    plan = parse(&opts, &b, rows);
    fuzz_must(ingest_export_new(&x) == 0, "memory");
    for (unsigned i = 0; plan && i < b.n; i++)
        n += print(plan, rows[i], x, &json);
    if (n)
        parse_again(&json, n);
    for (unsigned i = 0; i < b.n; i++)
        ingest_rows_free(rows[i]);
    ingest_export_free(x);
    ingest_plan_free(plan);
    blocks_done(&b);
    base_buf_done(&json);
    (void)unlinkat(fuzz_dataset(), name, 0);
    return 0;
}
