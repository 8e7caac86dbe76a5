/* Fuzz target: filter expressions. Input: u8 which of the tables made here; then the expression, in
 * which a byte from 128 stands for a word of the language, so that it is easily found.
 *
 * What parses is evaluated and pruned: statistics must never leave out rows that are selected, and
 * lengths alone must do where only those are asked for. */
#include "config.h"

#include <stdlib.h>

#include "lib/compiler.h"
#include "shardfmt/bits.h"
#include "shardfmt/filter.h"
#include "tests/fmt_util.h"
#include "tests/fuzz/fuzz.h"

#define COLUMNS                                                                                    \
    "i:int64?,u:uint64,b:bool?,f:float32?,d:float64,s:string?,x:binary,l:list<int32>?,a.b:int8,"   \
    "ls:list<string>,t:tensor<int8,2>,h:float16,ts:timestamp[s]?,sp:sparse<float32>?"
#define N_COLUMNS 14u
#define N_TABLES  8u

static const char *const words[] = {
    " AND ", " OR ", " NOT ",    " IS NULL", " IS NAN", " IN (", ", ",  ")",    "(",     " = ",
    " <> ",  " < ",  " <= ",     " > ",      " >= ",    " LIKE ", "'",  " BETWEEN ", "i", "u",
    "b",     "f",    "d",        "s",        "x",       "l",     "ls",  "\"a.b\"", "h",  "ts",
    "length(", "true", "false",  "0",        "-1",      "1.5",   "1e3", "x'00'", "18446744073709551615",
    "-9223372036854775808", "'%a_'", "sp", "t", "!", " IS NOT NULL", "'page '", "0.1", "1e-400"};

/* A row group, its statistics, and the lengths of its columns. */
struct table {
    uint64_t n_rows;
    struct fmt_column cols[N_COLUMNS];
    struct shard_array arrays[N_COLUMNS], lengths[N_COLUMNS];
    struct fmt_image *im;
};

static struct fmt_schema schema;
static struct table tables[N_TABLES];

/* The lengths of a column, as uint32 that are null where it is. */
static void
lengths_make(const struct shard_array *a, struct shard_array *ret)
{
    uint32_t *lens;

    if (a->offsets == NULL)
        return;
    lens = calloc(a->n_rows + 1, sizeof(*lens));
    fuzz_must(lens != NULL, "memory");
    for (uint64_t i = 0; i < a->n_rows; i++)
        lens[i] = (uint32_t)(a->offsets[i + 1] - a->offsets[i]);
    *ret = (struct shard_array){.type = SHARD_TYPE_UINT32,
                                .n_rows = a->n_rows,
                                .n_values = a->n_rows,
                                .n_nulls = a->n_nulls,
                                .validity = a->validity,
                                .values = lens};
}

/* Tables of 1, 8, 15, ... rows: random ones, and some whose rows are all the same. */
static void
table_make(struct table *t, unsigned k)
{
    const struct fmt_encode_opts opts = {.zstd_level = 0};
    struct shard_error err = {0};

    t->n_rows = 1 + 7 * k;
    for (uint32_t c = 0; c < N_COLUMNS; c++) {
        fmt_column_init_field(&t->cols[c], &schema.fields[c]);
        for (uint64_t i = 0; i < t->n_rows; i++)
            fuzz_must(fmt_util_fill(&schema.fields[c], k, k % 3 == 2 ? 1 : i, 1, &t->cols[c]) == 0,
                      "memory");
        fmt_column_array(&t->cols[c], &t->arrays[c]);
        lengths_make(&t->arrays[c], &t->lengths[c]);
    }
    fuzz_must(fmt_image_encode(&schema, t->arrays, &opts, fuzz_codec(), &t->im, &err) == 0, err.text);
}

static void
tables_make(void)
{
    struct shard_error err = {0};

    if (schema.n_fields)
        return;
    fuzz_must(fmt_util_schema(COLUMNS, &schema, &err) == 0, err.text);
    for (unsigned k = 0; k < N_TABLES; k++)
        table_make(&tables[k], k);
}

static char *
expression(const uint8_t *data, size_t len)
{
    struct base_buf b = {0};

    for (size_t i = 0; i < len; i++) {
        const char *w = words[(data[i] & 0x7f) % BASE_ARRAY_LEN(words)];

        fuzz_must(base_buf_append(&b, data[i] < 128 ? (const char *)data + i : w,
                                  data[i] < 128 ? 1 : strlen(w)) == 0,
                  "memory");
    }
    fuzz_must(base_buf_append(&b, "", 1) == 0, "memory");
    return (char *)b.data;
}

static void
run(const struct fmt_filter *f, const struct table *t)
{
    const struct fmt_chunk_stats **stats;
    struct shard_array *in, *lengths;
    uint8_t bits[2][16] = {{0}};
    uint64_t n, by_lengths;
    uint32_t n_inputs;
    const struct fmt_filter_input *inputs = fmt_filter_inputs(f, &n_inputs);

    in = calloc(n_inputs + 1u, sizeof(*in));
    lengths = calloc(n_inputs + 1u, sizeof(*lengths));
    stats = calloc(n_inputs + 1u, sizeof(*stats));
    fuzz_must(in && lengths && stats && n_inputs <= 2 * N_COLUMNS, "inputs");
    for (uint32_t i = 0; i < n_inputs; i++) {
        in[i] = t->arrays[inputs[i].column];
        lengths[i] = inputs[i].lengths ? t->lengths[inputs[i].column] : in[i];
        stats[i] = &t->im->stats[inputs[i].column];
    }
    n = fmt_filter_eval(f, in, t->n_rows, bits[0]);
    fuzz_must(n == fmt_bits_count(bits[0], 0, t->n_rows), "number of selected rows");
    by_lengths = fmt_filter_eval(f, lengths, t->n_rows, bits[1]);
    fuzz_must(n == by_lengths && memcmp(bits[0], bits[1], fmt_bits_bytes(t->n_rows)) == 0,
              "lengths alone select other rows");
    fuzz_must(n == 0 || !fmt_filter_prune(f, stats, t->n_rows), "selected rows are pruned");
    memset(stats, 0, n_inputs * sizeof(*stats));
    fuzz_must(n == 0 || !fmt_filter_prune(f, stats, t->n_rows), "pruned without statistics");
    free(in);
    free(lengths);
    free(stats);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fmt_filter *f = NULL;
    struct shard_error err = {0};
    size_t at = 0;
    char *text;

    if (len < 1 || len > 1u << 14)
        return 0;
    tables_make();
    text = expression(data + 1, len - 1);
    if (fmt_filter_parse(text, &schema, &f, &at, &err) == 0)
        run(f, &tables[data[0] % N_TABLES]);
    else
        fuzz_must(at <= strlen(text) && err.text[0], "a mistake outside of the text");
    fmt_filter_free(f);
    free(text);
    return 0;
}
