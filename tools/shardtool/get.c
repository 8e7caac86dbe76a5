/* shardtool get: rows by their number. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/fail.h"
#include "tools/shardtool/rows.h"
#include "tools/shardtool/shardtool.h"

enum { OPT_COLUMNS = 1, OPT_IO, OPT_RAW };

static const struct cli_opt opts[] = {
    {0, "columns", "A,B", "these columns only, in this order", OPT_COLUMNS},
    {0, "raw", "COLUMN", "the bytes of one row's value, in bounded memory, and nothing else", OPT_RAW},
    {0, "io", "HOW", "auto (default), uring or pread", OPT_IO},
    {0},
};

/* Row numbers as they come: from the arguments, and where one of them is -, from standard input. */
struct numbers {
    char **args;
    size_t n_args, arg;
    const char *text;    /* of the argument at hand; NULL: the next one */
    uint64_t next, last; /* of the range at hand; next > last: none */
    bool in_range;
    char *line;          /* of standard input */
    size_t line_cap;
    uint64_t n_lines;
};

/* "7" or "7-9" at *p; *p is then behind it. */
static bool
range_parse(struct numbers *n, const char **p)
{
    char *end;

    errno = 0;
    if (**p < '0' || **p > '9')
        return false;
    n->next = n->last = strtoull(*p, &end, 10);
    if (*end == '-') {
        if (end[1] < '0' || end[1] > '9')
            return false;
        n->last = strtoull(end + 1, &end, 10);
    }
    *p = end;
    n->in_range = n->next <= n->last;
    return errno == 0 && n->in_range;
}

/* The next range out of n->text. */
static int
text_range(struct numbers *n, struct shard_error *err)
{
    const char *p = n->text;

    if (!range_parse(n, &p) || (*p != '\0' && *p != ',')) {
        if (n->n_lines)
            return base_say(err, SHARD_EPARSE, "standard input, line %" PRIu64
                            ": '%s' is no row number and no range A-B", n->n_lines, n->text);
        return base_say(err, SHARD_EPARSE, "'%s' is no row number and no range A-B", n->text);
    }
    n->text = *p == ',' ? p + 1 : NULL;
    return 1;
}

/* A line of standard input that is not empty as n->text: 1, 0 at the end, or an error. */
static int
read_line(struct numbers *n, struct shard_error *err)
{
    for (;;) {
        ssize_t len;

        errno = 0;
        len = getline(&n->line, &n->line_cap, stdin);
        if (len < 0)
            return ferror(stdin) || errno ? base_fail(err, -errno, "reading standard input") : 0;
        n->n_lines++;
        if (memchr(n->line, '\0', (size_t)len))
            return base_say(err, SHARD_EPARSE, "standard input, line %" PRIu64
                            ": a zero byte in it", n->n_lines);
        while (len > 0 && strchr(" \t\r\n", n->line[len - 1]))
            n->line[--len] = '\0';
        n->text = n->line + strspn(n->line, " \t");
        if (*n->text)
            return 1;
    }
}

/* The next range: 1, 0 at the end, or an error. */
static int
next_range(struct numbers *n, struct shard_error *err)
{
    for (;;) {
        if (n->text)
            return text_range(n, err);
        if (n->arg < n->n_args && strcmp(n->args[n->arg], "-") == 0) {
            int r = read_line(n, err);

            if (r < 0)
                return r;
            if (r > 0)
                continue;
            n->n_lines = 0;
            n->arg++;
        } else if (n->arg < n->n_args) {
            n->text = n->args[n->arg++];
        } else {
            return 0;
        }
    }
}

/* For struct rows_opts. */
static int64_t
next_numbers(void *arg, uint64_t *ret, size_t cap, struct shard_error *err)
{
    struct numbers *n = arg;
    size_t k = 0;

    while (k < cap) {
        int r = n->in_range ? 1 : next_range(n, err);

        if (r < 0)
            return r;
        if (r == 0)
            break;
        ret[k++] = n->next;
        n->in_range = n->next < n->last;
        n->next++;
    }
    return (int64_t)k;
}

/* What the arguments say must be row numbers, before anything is read. */
static int
args_check(const struct numbers *n, struct shard_error *err)
{
    int r = 1;

    for (size_t i = 0; i < n->n_args && r > 0; i++) {
        struct numbers one = {.text = n->args[i]};

        while (r > 0 && one.text && strcmp(n->args[i], "-") != 0)
            r = text_range(&one, err);
    }
    return r;
}

int
cmd_get(int argc, char **argv)
{
    static const char *const ios[] = {"auto", "uring", "pread", NULL};
    static const struct cli_usage usage = {
        "DATASET ROW...",
        "Print rows by their number, counted from 0, one JSON text per line, in the order asked for.",
        opts,
        "ROW is a number, a range A-B (both included), or several of them with commas between.\n"
        "With - they are read from standard input, one or more in a line.\n"};
    struct rows_opts o = {.limit = UINT64_MAX, .form = ROWS_JSONL};
    struct shard_error err;
    struct numbers n = {0};
    const char *raw = NULL;
    struct cli_args a;
    int id, word = 0, status;

    cli_args_init(&a, &usage, argc, argv);
    while ((id = cli_args_next(&a)) > 0) {
        if (id == OPT_COLUMNS) {
            o.columns = a.value;
        } else if (id == OPT_RAW) {
            raw = a.value;
        } else {
            cli_arg_word(&a, ios, &word);
            o.io = (uint32_t)word; /* in the order of enum shard_io */
        }
    }
    if (id < 0)
        return a.status;
    if (raw && o.columns)
        return cli_usage_error("--raw and --columns exclude each other");
    o.dataset = cli_args_take(&a);
    if (o.dataset == NULL || cli_args_left(&a) == 0)
        return cli_usage_error(o.dataset ? "which rows?" : "which dataset?");
    n.args = calloc(cli_args_left(&a), sizeof(*n.args));
    if (n.args == NULL)
        return cli_fail(CLI_FAILED, "no memory for the arguments");
    while (cli_args_left(&a))
        n.args[n.n_args++] = (char *)(uintptr_t)cli_args_take(&a);
    o.numbers = next_numbers;
    o.numbers_arg = &n;
    status = args_check(&n, &err) < 0 ? cli_usage_error("%s", err.text)
             : raw                     ? rows_print_raw(&o, raw, stdout)
                                       : rows_print(&o, stdout, "standard output");
    free(n.args);
    free(n.line);
    return status;
}
