/* shardtool info: what a dataset holds and what it takes. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/fail.h"
#include "lib/report.h"
#include "shardfmt/snapshot.h"
#include "tools/cli.h"
#include "tools/ingest/target.h"
#include "tools/shardtool/info_encodings.h"
#include "tools/shardtool/shardtool.h"

enum { OPT_ENCODINGS = 1 };

static const struct cli_opt opts[] = {
    {0, "encodings", NULL, "read all pages, and print how each column's are stored\nand what that saves",
     OPT_ENCODINGS},
    CLI_OPT_JSON,
    {0},
};
static const struct cli_usage usage = {
    "DATASET", "Print what a dataset holds: rows, bytes, splits, and each column's share of them.",
    opts, NULL};

/* One column over all shards. */
struct column {
    uint64_t bytes, raw_bytes; /* stored; decoded */
    uint32_t encodings;        /* bit set of FMT_ENC_* */
};

struct info {
    struct shard_dataset *ds;
    const struct fmt_snapshot *s;
    struct column *columns;
    struct info_encodings *encodings; /* of each column; NULL: not wanted */
    uint64_t bytes, raw_bytes, rejected;
};

static void
add_footer(struct info *in, const struct fmt_footer *f)
{
    for (uint32_t g = 0; g < f->n_groups; g++) {
        for (uint32_t c = 0; c < f->n_columns; c++) {
            const uint32_t *first = &f->chunk_first[(size_t)g * f->n_columns + c];

            for (uint32_t p = first[0]; p < first[1]; p++) {
                in->columns[c].bytes += f->pages[p].stored_len;
                in->columns[c].raw_bytes += f->pages[p].data_len;
            }
        }
    }
    for (uint32_t c = 0; c < f->n_columns; c++)
        in->columns[c].encodings |= f->encodings[c];
}

static int
collect(struct info *in, bool encodings, struct shard_error *err)
{
    const int dirfd = fmt_dataset_dirfd(in->ds);
    int r;

    in->s = fmt_dataset_snapshot(in->ds);
    in->columns = calloc(in->s->schema.n_fields + 1, sizeof(*in->columns));
    if (in->columns == NULL)
        return base_fail(err, -ENOMEM, "looking at columns");
    if (encodings) {
        in->encodings = calloc(in->s->schema.n_fields + 1, sizeof(*in->encodings));
        if (in->encodings == NULL)
            return base_fail(err, -ENOMEM, "looking at columns");
    }
    for (uint32_t i = 0; i < in->s->n_shards; i++) {
        struct fmt_footer *f;
        int fd;

        in->raw_bytes += in->s->shards[i].raw_bytes;
        r = fmt_shard_open(dirfd, &in->s->shards[i], &in->s->schema, &fd, &f, err);
        if (r < 0)
            return r;
        add_footer(in, f);
        if (encodings)
            r = info_encodings_add(in->encodings, f, fd, in->s->shards[i].path, err);
        fmt_footer_free(f);
        (void)close(fd);
        if (r < 0)
            return r;
    }
    for (uint32_t i = 0; i < in->s->n_rejects; i++)
        in->rejected += in->s->rejects[i].n_rows;
    return ingest_dataset_bytes(dirfd, &in->bytes, err);
}

/* ------------------------------------------------------------------------------------- JSON */

static json_t *
encodings_json(uint32_t set)
{
    json_t *list = json_array();

    for (unsigned e = 0; e < 32; e++) {
        if (set >> e & 1)
            json_array_append_new(list, json_string(fmt_encoding_name((enum fmt_encoding)e)));
    }
    return list;
}

static json_t *
column_json(const struct info *in, uint32_t c)
{
    struct shard_field f = in->s->schema.fields[c];
    const struct column *col = &in->columns[c];
    char type[SHARD_TYPE_NAME_MAX];
    json_t *obj;

    f.nullable = false; /* that is a field of its own */
    obj = json_pack("{s:o, s:s, s:b, s:I, s:I, s:o}", "name", cli_json_text(f.name), "type",
                     shard_field_type_name(&f, type), "nullable",
                     in->s->schema.fields[c].nullable, "bytes", (json_int_t)col->bytes, "raw_bytes",
                     (json_int_t)col->raw_bytes, "encodings", encodings_json(col->encodings));
    if (in->encodings)
        json_object_set_new(obj, "stored", info_encodings_json(&in->encodings[c]));
    return obj;
}

static int
print_json(const struct info *in)
{
    json_t *columns = json_array(), *splits = json_object(), *obj;

    for (uint32_t i = 0; i < shard_dataset_n_splits(in->ds); i++)
        json_object_set_new(splits, shard_dataset_split_name(in->ds, i),
                            json_integer((json_int_t)shard_dataset_split_rows(in->ds, i)));
    for (uint32_t c = 0; c < in->s->schema.n_fields; c++)
        json_array_append_new(columns, column_json(in, c));
    obj = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:o, s:o, s:o}", "rows",
                    (json_int_t)shard_dataset_n_rows(in->ds), "bytes", (json_int_t)in->bytes,
                    "raw_bytes", (json_int_t)in->raw_bytes, "shards", (json_int_t)in->s->n_shards,
                    "row_groups", (json_int_t)shard_dataset_n_groups(in->ds), "rejected",
                    (json_int_t)in->rejected, "snapshot", shard_dataset_snapshot(in->ds),
                    "fingerprint", base_report_hash128(in->s->fingerprint), "splits", splits,
                    "columns", columns);
    return cli_print_json(obj);
}

/* ----------------------------------------------------------------------------------- people */

static void
print_number(const char *what, uint64_t n)
{
    char text[32];

    printf("%-12s %s\n", what, base_human_count(n, text));
}

static void
print_columns(const struct info *in)
{
    printf("\n%-32s %-18s %10s %10s  %s\n", "column", "type", "bytes", "raw", "encodings");
    for (uint32_t c = 0; c < in->s->schema.n_fields; c++) {
        const struct column *col = &in->columns[c];
        char type[SHARD_TYPE_NAME_MAX], bytes[16], raw[16];

        printf("%-32s %-18s %10s %10s ", in->s->schema.fields[c].name,
               shard_field_type_name(&in->s->schema.fields[c], type),
               base_human_bytes(col->bytes, bytes), base_human_bytes(col->raw_bytes, raw));
        for (unsigned e = 0; e < 32; e++) {
            if (col->encodings >> e & 1)
                printf(" %s", fmt_encoding_name((enum fmt_encoding)e));
        }
        putchar('\n');
    }
}

static void
print_people(const struct info *in)
{
    char bytes[16], raw[16], print[BASE_HEX128_LEN + 1];

    base_hex128(in->s->fingerprint, print);
    print_number("rows", shard_dataset_n_rows(in->ds));
    for (uint32_t i = 0; i < shard_dataset_n_splits(in->ds); i++) {
        char text[32];

        printf("  %-10s %s\n", shard_dataset_split_name(in->ds, i),
               base_human_count(shard_dataset_split_rows(in->ds, i), text));
    }
    print_number("rejected", in->rejected);
    printf("%-12s %s (%s raw)\n", "bytes", base_human_bytes(in->bytes, bytes),
           base_human_bytes(in->raw_bytes, raw));
    print_number("shards", in->s->n_shards);
    print_number("row groups", shard_dataset_n_groups(in->ds));
    printf("%-12s %s\n%-12s %s\n", "snapshot", shard_dataset_snapshot(in->ds), "fingerprint", print);
    if (in->encodings == NULL) {
        print_columns(in);
        return;
    }
    info_encodings_print_head();
    for (uint32_t c = 0; c < in->s->schema.n_fields; c++)
        info_encodings_print(&in->encodings[c], in->s->schema.fields[c].name);
}

int
cmd_info(int argc, char **argv)
{
    struct info in = {0};
    struct shard_error err = {0};
    const char *path;
    struct cli_args a;
    int id, status = CLI_OK;
    bool encodings = false;

    cli_args_init(&a, &usage, argc, argv);
    while ((id = cli_args_next(&a)) > 0)
        encodings |= id == OPT_ENCODINGS;
    if (id < 0 || !cli_args_one(&a, "dataset", &path))
        return a.status;
    if (shard_dataset_open(path, &in.ds, &err) < 0)
        return cli_fail_err(CLI_FAILED, &err);
    if (collect(&in, encodings, &err) < 0)
        status = cli_fail(CLI_FAILED, "%s: %s", path, err.text);
    else if (cli_json())
        status = print_json(&in);
    else
        print_people(&in);
    free(in.columns);
    free(in.encodings);
    shard_dataset_close(in.ds);
    return status;
}
