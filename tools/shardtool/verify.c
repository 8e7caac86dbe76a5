/* shardtool verify: every byte of a dataset against its checksums. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/fail.h"
#include "lib/report.h"
#include "shardfmt/snapshot.h"
#include "tools/cli.h"
#include "tools/shardtool/shardtool.h"

enum { OPT_JOBS = 1, OPT_QUICK, OPT_DECODE };

static const struct cli_opt opts[] = {
    {0, "quick", NULL,
     "only that every file is there, its size, header and footer: no pages", OPT_QUICK},
    {0, "decode", NULL, "also that every page decodes, which takes longer", OPT_DECODE},
    {'j', "jobs", "N", "threads (default: all cores)", OPT_JOBS},
    CLI_OPT_JSON,
    {0},
};
static const struct cli_usage usage = {
    "DATASET",
    "Check every byte of the newest snapshot against its checksums: root, segments, shards and\n"
    "quarantine. Whatever changed since it was written is found, and the rows that are lost named.",
    opts, "Exit status: 0 all is well; 1 it could not be checked; 4 damage was found."};

static json_t *
number_or_null(int64_t n)
{
    return n < 0 ? json_null() : json_integer(n);
}

static void
on_damage_json(void *arg, const struct fmt_damage *d)
{
    json_array_append_new(
        arg, json_pack("{s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o}", "file", cli_json_text(d->file),
                       "row_group",
                       number_or_null(d->row_group), "column",
                       d->column_name[0] ? cli_json_text(d->column_name)
                                         : number_or_null(d->column),
                       "page", number_or_null(d->page), "reason", cli_json_text(d->reason),
                       "rows_lost", (json_int_t)d->rows_lost, "row_first",
                       number_or_null(d->rows_lost ? (int64_t)d->row0 : -1), "row_last",
                       number_or_null(d->rows_lost ? (int64_t)(d->row0 + d->rows_lost - 1) : -1)));
}

static void
on_damage(void *arg, const struct fmt_damage *d)
{
    (void)arg;
    printf("%s", d->file);
    if (d->row_group >= 0)
        printf(", row group %" PRId64, d->row_group);
    if (d->column_name[0])
        printf(", column %s", d->column_name);
    if (d->page >= 0)
        printf(", page %" PRId64, d->page);
    printf(": %s", d->reason);
    if (d->rows_lost)
        printf(" (%" PRIu64 " row%s lost: %" PRIu64 " to %" PRIu64 ")", d->rows_lost,
               d->rows_lost == 1 ? "" : "s", d->row0, d->row0 + d->rows_lost - 1);
    putchar('\n');
}

static int
print_json(json_t *errors, const struct fmt_verify_result *res)
{
    json_t *obj = json_pack("{s:b, s:I, s:I, s:O}", "ok", res->n_damages == 0, "pages_checked",
                            (json_int_t)res->pages_checked, "bytes_checked",
                            (json_int_t)res->bytes_checked, "errors", errors);

    return cli_print_json(obj);
}

static int
verify(const char *path, enum fmt_verify_depth depth, unsigned n_threads)
{
    const int dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct fmt_verify_result res = {0};
    struct shard_error err = {0};
    json_t *errors = json_array();
    int r, status;

    if (dirfd < 0) {
        status = cli_fail(CLI_FAILED, "%s: %s", path, strerror(errno));
        goto out;
    }
    r = fmt_verify(dirfd, depth, n_threads, cli_json() ? on_damage_json : on_damage, errors,
                   &res, &err);
    if (r < 0) {
        status = cli_fail(CLI_FAILED, "%s: %s", path, err.text);
        goto out;
    }
    status = res.n_damages > 0 || res.root_unreadable ? CLI_DAMAGE : CLI_OK;
    if (cli_json()) {
        if (print_json(errors, &res) != CLI_OK)
            status = CLI_FAILED;
    } else {
        char bytes[16];

        printf("%" PRIu64 " pages, %s checked: ", res.pages_checked,
               base_human_bytes(res.bytes_checked, bytes));
        if (res.n_damages)
            printf("damaged in %" PRIu64 " place%s\n", res.n_damages,
                   res.n_damages == 1 ? "" : "s");
        else
            printf("all is well%s\n",
                   depth == FMT_VERIFY_QUICK ? " (of the shards only headers and footers were read)"
                                             : "");
        if (status == CLI_DAMAGE)
            printf("Restore the files from a copy. Without one, 'shardtool recover %s' makes a "
                   "snapshot of the row groups that are whole.\n",
                   path);
    }
out:
    json_decref(errors);
    if (dirfd >= 0)
        (void)close(dirfd);
    return status;
}

int
cmd_verify(int argc, char **argv)
{
    enum fmt_verify_depth depth = FMT_VERIFY_BYTES;
    bool quick = false, decode = false;
    unsigned n_threads = 0;
    const char *path;
    struct cli_args a;
    int id;

    cli_args_init(&a, &usage, argc, argv);
    while ((id = cli_args_next(&a)) > 0) {
        if (id == OPT_JOBS)
            cli_arg_unsigned(&a, 1, 1024, &n_threads);
        quick |= id == OPT_QUICK;
        decode |= id == OPT_DECODE;
    }
    if (id < 0 || !cli_args_one(&a, "dataset", &path))
        return a.status;
    if (quick && decode)
        return cli_usage_error("--quick and --decode exclude each other");
    if (quick || decode)
        depth = quick ? FMT_VERIFY_QUICK : FMT_VERIFY_DECODE;
    return verify(path, depth, n_threads);
}
