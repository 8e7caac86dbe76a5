/* shardtool ingest: options in, progress and a summary out; the work is ingest_run()'s. */
#include "config.h"

#include "tools/shardtool/shardtool.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <malloc.h>
#include <stdio.h>

#include "lib/report.h"
#include "tools/shardtool/ingest_args.h"

static int
on_progress(void *arg, uint64_t done, uint64_t total, uint64_t rows)
{
    char count[32], text[48];

    (void)total;
    snprintf(text, sizeof(text), "%s rows", base_human_count(rows, count));
    base_progress_update(arg, done, text);
    return cli_signal();
}

static int
exit_status(const struct ingest_args *a, const struct ingest_result *res, int r)
{
    const bool quarantine = a->opts.on_bad == INGEST_QUARANTINE && !res->already_there;

    switch (r) {
    case 0:
        return res->rejected > 0 && quarantine ? CLI_REJECTS : CLI_OK;
    case SHARD_ELIMIT:
        /* Limits of the format have this code, too. */
        return res->too_many_bad ? CLI_TOO_BAD : CLI_FAILED;
    case -EEXIST:         /* the output is something else */
    case SHARD_EPARSE:    /* an option does not fit the data */
    case SHARD_ENOTFOUND:
    case SHARD_EBUDGET:
        return CLI_USAGE;
    default:
        return CLI_FAILED;
    }
}

static json_t *
columns_json(const struct fmt_schema *s)
{
    json_t *list = json_array();
    char type[SHARD_TYPE_NAME_MAX];

    for (uint32_t i = 0; i < s->n_fields; i++) {
        struct shard_field f = s->fields[i];

        f.nullable = false; /* a field of its own */
        json_array_append_new(list, json_pack("{s:s, s:s, s:b}", "name", f.name, "type",
                                              shard_field_type_name(&f, type), "nullable",
                                              s->fields[i].nullable));
    }
    return list;
}

static int
print_json(const struct ingest_args *a, const struct ingest_result *res, int r,
           const struct shard_error *err)
{
    json_t *obj;

    obj = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:o, s:o, s:o, s:b, s:b, s:I, s:I, s:I}",
        "rows_read", (json_int_t)res->rows_read, "rows_written", (json_int_t)res->rows_written,
        "duplicates", (json_int_t)res->duplicates, "near_duplicates",
        (json_int_t)res->near_duplicates, "filtered", (json_int_t)res->filtered, "rejected",
        (json_int_t)res->rejected, "bytes_in", (json_int_t)res->bytes_in, "bytes_out",
        (json_int_t)res->bytes_out, "shards", (json_int_t)res->shards, "seconds", res->seconds,
        "fingerprint", r < 0 ? json_null() : base_report_hash128(res->fingerprint), "snapshot",
        cli_json_text(res->snapshot[0] ? res->snapshot : NULL), "output", cli_json_text(a->opts.output), "already_there",
        res->already_there, "dry_run", a->opts.dry_run, "entries", (json_int_t)res->entries,
        "entries_skipped", (json_int_t)res->entries_skipped, "links_skipped",
        (json_int_t)res->links_skipped);
    if (r == 0)
        json_object_set_new(obj, "columns", columns_json(&res->schema));
    else
        json_object_set_new(obj, "error", cli_json_text(err->text[0] ? err->text : shard_strerror(r)));
    return cli_print_json(obj);
}

static void
print_row(const char *what, uint64_t n)
{
    char count[32];

    fprintf(stderr, "  %-16s %15s\n", what, base_human_count(n, count));
}

static void
print_schema(const struct fmt_schema *s)
{
    char type[SHARD_TYPE_NAME_MAX];

    fprintf(stderr, "columns:\n");
    for (uint32_t i = 0; i < s->n_fields; i++)
        fprintf(stderr, "  %-32s %s\n", s->fields[i].name,
                shard_field_type_name(&s->fields[i], type));
}

static void
print_summary(const struct ingest_args *a, const struct ingest_result *res)
{
    char in[16], out[16];

    if (res->already_there) {
        fprintf(stderr, "%s is there already, made from these inputs with these options\n",
                a->opts.output);
        return;
    }
    if (a->opts.dry_run)
        print_schema(&res->schema);
    print_row("rows read", res->rows_read);
    print_row("rows written", res->rows_written);
    print_row("duplicates", res->duplicates);
    print_row("filtered", res->filtered);
    print_row("rejected", res->rejected);
    fprintf(stderr, "  %-16s %15s\n  %-16s %15s\n", "bytes in", base_human_bytes(res->bytes_in, in),
            "bytes out", base_human_bytes(res->bytes_out, out));
    print_row("shards", res->shards);
    fprintf(stderr, "  %-16s %15.2f\n", "seconds", res->seconds);
    if (a->opts.dry_run)
        fprintf(stderr, "nothing was written (--dry-run)\n");
    else if (res->rejected > 0 && a->opts.on_bad == INGEST_QUARANTINE)
        fprintf(stderr, "'shardtool rejects %s' shows the records that could not be read\n",
                a->opts.output);
}

/* The failure, as told by ingest_run(). */
static void
print_failure(const struct shard_error *err, int r)
{
    if (r == -ECANCELED)
        cli_message("interrupted; nothing was published");
    else
        cli_message("%s", err->text[0] ? err->text : shard_strerror(r));
}

static int
run(struct ingest_args *a)
{
    struct ingest_result res;
    struct shard_error err = {0};
    struct base_progress *progress;
    uint64_t total = 0;
    int r, status;

    for (size_t i = 0; i < a->files.count; i++)
        total += a->files.items[i].size;
    progress = base_progress_new(a->progress, "ingest", "bytes", true, total);
    a->opts.progress = on_progress;
    a->opts.progress_arg = progress;
    cli_catch_signals();
    r = ingest_run(&a->opts, &res, &err);
    base_progress_finish(progress);
    status = exit_status(a, &res, r);
    if (r < 0)
        print_failure(&err, r);
    if (cli_json() && print_json(a, &res, r, &err) != CLI_OK)
        status = CLI_FAILED;
    else if (r == 0 && (!cli_json() || res.already_there))
        print_summary(a, &res);
    fmt_schema_done(&res.schema);
    return status;
}

/* Memory travels from thread to thread here: read by one, parsed by another, freed by a third. With
 * an arena per thread malloc() keeps a good part of it in holes; and large buffers should go back
 * to the system at once. Both cost little, and keep --memory's promise. */
static void
tune_malloc(void)
{
    (void)mallopt(M_ARENA_MAX, 2);
    (void)mallopt(M_MMAP_THRESHOLD, 512 << 10);
}

int
cmd_ingest(int argc, char **argv)
{
    struct ingest_args a;
    int status;

    tune_malloc();
    if (ingest_args_parse(&a, argc, argv, &status) == 0)
        status = run(&a);
    ingest_args_done(&a);
    return status;
}
