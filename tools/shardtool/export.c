/* shardtool export: rows to a file that is whole or not there. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/shardtool/rows.h"
#include "tools/shardtool/shardtool.h"

enum { OPT_TO = 10, OPT_OUTPUT };

static const struct cli_opt opts[] = {
    {0, "to", "jsonl|csv", "which form (default jsonl)", OPT_TO},
    {'o', "output", "FILE", "where to; - is standard output", OPT_OUTPUT},
    ROWS_OPTS,
    {0},
};

static const struct cli_usage usage = {
    "DATASET -o FILE",
    "Write the rows of a dataset to a file. JSON lines give every record back, down to\n"
    "absent keys and empty objects; CSV has a header, and null is an empty cell.",
    opts, NULL};

/* Write beside the file, then put it in its place. Returns an exit status. */
static int
export_file(const struct rows_opts *o, const char *path)
{
    char *tmp = NULL;
    FILE *f = NULL;
    int fd, status;

    if (asprintf(&tmp, "%s.XXXXXX", path) < 0)
        return cli_fail(CLI_FAILED, "out of memory");
    fd = mkstemp(tmp);
    if (fd >= 0)
        f = fdopen(fd, "w");
    if (f == NULL) {
        status = cli_fail(CLI_FAILED, "making %s: %s", path, strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
            (void)unlink(tmp);
        }
        free(tmp);
        return status;
    }
    cli_catch_signals();
    status = rows_print(o, f, path);
    if (status == CLI_OK &&
        (fflush(f) != 0 || fchmod(fd, 0666 & ~umask(022)) < 0 || fsync(fd) < 0))
        status = cli_fail(CLI_FAILED, "writing %s: %s", path, strerror(errno));
    if (fclose(f) != 0 && status == CLI_OK)
        status = cli_fail(CLI_FAILED, "writing %s: %s", path, strerror(errno));
    if (status == CLI_OK && rename(tmp, path) < 0)
        status = cli_fail(CLI_FAILED, "making %s: %s", path, strerror(errno));
    if (status != CLI_OK)
        (void)unlink(tmp);
    free(tmp);
    return status;
}

/* Links, as /dev/stdout is one, and named pipes are written to, not replaced; a folder says so before any
 * work is done. */
static bool
is_special(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

static int
export_special(const struct rows_opts *o, const char *path)
{
    FILE *f = fopen(path, "w");
    int status;

    if (f == NULL)
        return cli_fail(CLI_FAILED, "opening %s: %s", path, strerror(errno));
    status = rows_print(o, f, path);
    if (fclose(f) != 0 && status == CLI_OK)
        status = cli_fail(CLI_FAILED, "writing %s: %s", path, strerror(errno));
    return status;
}

static void
arg_to(struct cli_args *a, struct rows_opts *o)
{
    static const char *const words[] = {"jsonl", "csv", NULL};
    int v = 0;

    if (strcmp(a->value, "libsvm") == 0 || strcmp(a->value, "webdataset") == 0) {
        cli_arg_bad(a, "%s is not built yet", a->value);
        return;
    }
    cli_arg_word(a, words, &v);
    o->form = v ? ROWS_CSV : ROWS_JSONL;
}

int
cmd_export(int argc, char **argv)
{
    struct rows_opts o = {.limit = UINT64_MAX, .form = ROWS_JSONL};
    const char *output = NULL;
    struct cli_args a;
    int id;

    cli_args_init(&a, &usage, argc, argv);
    while ((id = cli_args_next(&a)) > 0) {
        if (id == OPT_TO)
            arg_to(&a, &o);
        else if (id == OPT_OUTPUT)
            output = a.value;
        else
            rows_take_option(&a, id, &o);
    }
    if (id < 0 || !cli_args_one(&a, "dataset", &o.dataset))
        return a.status;
    if (output == NULL)
        return cli_usage_error("which FILE shall be written? (-o, - is standard output)");
    if (strcmp(output, "-") == 0)
        return rows_print(&o, stdout, "standard output");
    return is_special(output) ? export_special(&o, output) : export_file(&o, output);
}
