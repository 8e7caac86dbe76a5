/* shardtool rejects: what is in quarantine. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/fail.h"
#include "lib/fs.h"
#include "shardfmt/open.h"
#include "shardfmt/snapshot.h"
#include "tools/cli.h"
#include "tools/ingest/parse.h"
#include "tools/shardtool/shardtool.h"

#define RAW_SHOWN 160 /* bytes of a record shown to people */

enum { OPT_LIMIT = 1 };

static const struct cli_opt opts[] = {
    {'n', "rows", "N", "at most so many records", OPT_LIMIT},
    CLI_OPT_JSON,
    {0},
};
static const struct cli_usage usage = {
    "DATASET",
    "Print the records that could not be read, each with its reason and place, in the order of\n"
    "the input.",
    opts, NULL};

/* One quarantine file being read. */
struct file {
    const char *path;
    int fd;
    struct fmt_footer *footer;
    struct base_codec *codec;
    struct fmt_decoded *decoded[FMT_QUARANTINE_COLUMNS];
    struct shard_array arrays[FMT_QUARANTINE_COLUMNS];
    struct base_buf stored[FMT_QUARANTINE_COLUMNS]; /* chunks as read; text may point into them */
};

struct output {
    uint64_t left, shown;
    struct base_buf text;
};

static int
read_chunk(struct file *f, uint32_t group, uint32_t col, struct shard_error *err)
{
    struct fmt_file file = {f->fd, f->path};
    const uint32_t *first = &f->footer->chunk_first[(size_t)group * f->footer->n_columns + col];
    const uint32_t n_pages = first[1] - first[0];
    const uint8_t **pages;
    uint64_t off, len;
    int r;

    fmt_chunk_extent(f->footer, group, col, &off, &len);
    base_buf_reset(&f->stored[col]);
    pages = calloc(n_pages ? n_pages : 1, sizeof(*pages));
    r = base_buf_reserve(&f->stored[col], len);
    if (pages == NULL || r < 0) {
        r = base_fail(err, -ENOMEM, "%s", f->path);
        goto out;
    }
    r = fmt_file_read(&file, off, f->stored[col].data, len, err);
    if (r < 0)
        goto out;
    for (uint32_t p = 0; p < n_pages; p++)
        pages[p] = f->stored[col].data + (f->footer->pages[first[0] + p].off - off);
    r = fmt_chunk_decode(f->footer, group, col, pages, f->codec, fmt_file_read, &file, f->path,
                         f->decoded[col], &f->arrays[col], err);
out:
    free(pages);
    return r;
}

/* --------------------------------------------------------------------------------- printing */

/* A text; control characters, which would break the line or move the terminal, as \xNN. */
static void
print_text(const struct shard_array *a, uint64_t row)
{
    const uint8_t *p = (const uint8_t *)a->values;

    for (int32_t i = a->offsets[row]; i < a->offsets[row + 1]; i++) {
        if (p[i] < 0x20 || p[i] == 0x7f)
            printf("\\x%02x", p[i]);
        else
            putchar(p[i]);
    }
}

static bool
has_text(const struct shard_array *a, uint64_t row)
{
    return a->offsets[row + 1] > a->offsets[row];
}

/* The record's first bytes; what would disturb a terminal is shown as \xNN. */
static void
print_raw(const struct shard_array *a, uint64_t row)
{
    const uint8_t *p = (const uint8_t *)a->values + a->offsets[row];
    const int32_t len = a->offsets[row + 1] - a->offsets[row];

    if (len == 0)
        return;
    printf("    ");
    for (int32_t i = 0; i < len && i < RAW_SHOWN; i++) {
        if (p[i] < 0x20 || p[i] >= 0x7f || p[i] == '\\')
            printf("\\x%02x", p[i]);
        else
            putchar(p[i]);
    }
    puts(len > RAW_SHOWN ? "..." : "");
}

static void
print_person(const struct file *f, uint64_t row)
{
    const uint64_t line = ((const uint64_t *)f->arrays[FMT_QUARANTINE_LINE].values)[row];
    const uint64_t offset = ((const uint64_t *)f->arrays[FMT_QUARANTINE_OFFSET].values)[row];

    print_text(&f->arrays[FMT_QUARANTINE_FILE], row);
    if (has_text(&f->arrays[FMT_QUARANTINE_ENTRY], row)) {
        putchar('!');
        print_text(&f->arrays[FMT_QUARANTINE_ENTRY], row);
    }
    if (line)
        printf(", line %" PRIu64, line);
    printf(", byte %" PRIu64, offset);
    if (has_text(&f->arrays[FMT_QUARANTINE_COLUMN], row)) {
        printf(", column ");
        print_text(&f->arrays[FMT_QUARANTINE_COLUMN], row);
    }
    printf(": ");
    print_text(&f->arrays[FMT_QUARANTINE_REASON], row);
    if (has_text(&f->arrays[FMT_QUARANTINE_DETAIL], row)) {
        printf(": ");
        print_text(&f->arrays[FMT_QUARANTINE_DETAIL], row);
    }
    putchar('\n');
    print_raw(&f->arrays[FMT_QUARANTINE_RAW], row);
}

static int
print_json(const struct file *f, uint64_t row, struct output *out, struct shard_error *err)
{
    int r;

    base_buf_reset(&out->text);
    r = ingest_row_to_json(&f->footer->schema, f->arrays, row, &out->text, err);
    if (r < 0)
        return r;
    if (out->shown > 0)
        printf(", ");
    fwrite(out->text.data, 1, out->text.len, stdout);
    return 0;
}

static int
print_file(struct file *f, struct output *out, struct shard_error *err)
{
    int r = 0;

    for (uint32_t g = 0; g < f->footer->n_groups && out->left > 0; g++) {
        for (uint32_t c = 0; c < FMT_QUARANTINE_COLUMNS && r == 0; c++)
            r = read_chunk(f, g, c, err);
        for (uint32_t i = 0; r == 0 && i < f->footer->group_rows[g] && out->left > 0; i++) {
            if (cli_json())
                r = print_json(f, i, out, err);
            else
                print_person(f, i);
            out->left--;
            out->shown++;
        }
        if (r < 0)
            return r;
    }
    return 0;
}

static int
open_and_print(int dirfd, const struct fmt_shard_entry *e, struct output *out,
               struct shard_error *err)
{
    struct file f = {.path = e->path, .fd = -1};
    struct fmt_schema schema;
    int r;

    r = fmt_shard_open(dirfd, e, NULL, &f.fd, &f.footer, err);
    if (r < 0)
        return r;
    r = fmt_quarantine_schema(&schema);
    if (r == 0)
        r = base_codec_new(&f.codec);
    for (uint32_t c = 0; c < FMT_QUARANTINE_COLUMNS && r == 0; c++)
        r = fmt_decoded_new(&f.decoded[c]);
    if (r < 0)
        base_fail(err, r, "%s", e->path);
    else if (!fmt_schema_equal(&f.footer->schema, &schema)) /* the types are relied on */
        r = base_fail(err, SHARD_ECORRUPT, "%s is no quarantine file", e->path);
    else
        r = print_file(&f, out, err);
    for (uint32_t c = 0; c < FMT_QUARANTINE_COLUMNS; c++) {
        fmt_decoded_free(f.decoded[c]);
        base_buf_done(&f.stored[c]);
    }
    base_codec_free(f.codec);
    fmt_schema_done(&schema);
    fmt_footer_free(f.footer);
    (void)close(f.fd);
    return r;
}

int
cmd_rejects(int argc, char **argv)
{
    struct output out = {.left = UINT64_MAX};
    const struct fmt_snapshot *s;
    struct shard_error err = {0};
    struct shard_dataset *ds;
    struct cli_args a;
    const char *path;
    uint64_t total = 0;
    int id, r = 0;

    cli_args_init(&a, &usage, argc, argv);
    while ((id = cli_args_next(&a)) > 0) {
        if (id == OPT_LIMIT)
            cli_arg_u64(&a, 0, UINT64_MAX, &out.left);
    }
    if (id < 0 || !cli_args_one(&a, "dataset", &path))
        return a.status;
    if (shard_dataset_open(path, &ds, &err) < 0)
        return cli_fail_err(CLI_FAILED, &err);
    s = fmt_dataset_snapshot(ds);
    for (uint32_t i = 0; i < s->n_rejects; i++)
        total += s->rejects[i].n_rows;
    /* The list is printed as it is read: there may be many. */
    if (cli_json())
        printf("{\"rejected\": %" PRIu64 ", \"rejects\": [", total);
    for (uint32_t i = 0; i < s->n_rejects && out.left > 0 && r == 0; i++)
        r = open_and_print(fmt_dataset_dirfd(ds), &s->rejects[i], &out, &err);
    if (cli_json() && r < 0) {
        json_t *text = cli_json_text(err.text);
        char *dump = text ? json_dumps(text, JSON_ENCODE_ANY) : NULL;

        printf("], \"error\": %s}\n", dump ? dump : "null");
        free(dump);
        json_decref(text);
    } else if (cli_json()) {
        printf("]}\n");
    }
    if (r < 0)
        cli_message("%s: %s", path, err.text);
    base_buf_done(&out.text);
    shard_dataset_close(ds);
    return r < 0 ? CLI_FAILED : CLI_OK;
}
