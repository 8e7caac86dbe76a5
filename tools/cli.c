#include "config.h"

#include "tools/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/parse.h"
#include "lib/report.h"

#define GETOPT_FIRST 1000 /* getopt_long() values of our options: clear of characters */
#define GETOPT_HELP    (GETOPT_FIRST + CLI_OPTS_MAX)
#define GETOPT_VERSION (GETOPT_FIRST + CLI_OPTS_MAX + 1)

/* Of the whole process: a program has one command line. */
static const struct cli_program *program;
static char context[64];
static bool json_wanted;
static bool stdout_taken; /* by rows */
static volatile sig_atomic_t caught; /* set by the handler, read by the main thread */

/* --------------------------------------------------------------------------------- messages */

bool
cli_json(void)
{
    return json_wanted;
}

const char *
cli_context(void)
{
    return context;
}

static void print_message(const char *fmt, va_list ap) BASE_PRINTF(1, 0);

static void
print_message(const char *fmt, va_list ap)
{
    fprintf(stderr, "%s: ", context);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
}

void
cli_message(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    print_message(fmt, ap);
    va_end(ap);
}

json_t *
cli_json_text(const char *text)
{
    struct base_buf buf = {0};
    json_t *s;
    int r = 0;

    if (text == NULL)
        return json_null();
    s = json_string(text);
    /* Rare: a path that is not UTF-8. Take what is valid, byte by byte. */
    for (const char *p = text; s == NULL && *p && r == 0;) {
        size_t len = 1;

        while (len <= 4) {
            s = json_stringn(p, len);
            if (s || p[len] == '\0')
                break;
            len++;
        }
        if (s) {
            r = base_buf_append(&buf, p, len);
            p += len;
        } else {
            r = base_buf_append(&buf, "\xEF\xBF\xBD", 3);
            p++;
        }
        json_decref(s);
        s = NULL;
    }
    if (s == NULL)
        s = json_stringn((const char *)buf.data, buf.len);
    base_buf_done(&buf);
    return s;
}

int
cli_print_json(json_t *obj)
{
    struct shard_error err = {0};
    int r = obj ? base_report_line(stdout, obj, &err) : -ENOMEM;

    json_decref(obj);
    if (r >= 0)
        return CLI_OK;
    if (r != -EPIPE)
        cli_message("%s", obj ? err.text : "JSON output: no memory");
    return CLI_FAILED;
}

void
cli_stdout_is_taken(void)
{
    stdout_taken = true;
}

/* The message on standard error and, where asked for, {"error": ...} on standard output, or behind
 * the message where rows are there. */
static void
print_failure(const char *text)
{
    struct shard_error err;
    json_t *obj;

    cli_message("%s", text);
    if (!json_wanted)
        return;
    obj = json_object();
    if (obj == NULL || json_object_set_new(obj, "error", cli_json_text(text)) < 0 ||
        base_report_line(stdout_taken ? stderr : stdout, obj, &err) < 0)
        cli_message("the error could not be written as JSON"); /* the exit status still tells */
    json_decref(obj);
}

int
cli_fail(int status, const char *fmt, ...)
{
    char text[2 * SHARD_ERROR_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    print_failure(text);
    return status;
}

int
cli_fail_err(int status, const struct shard_error *err)
{
    return cli_fail(status, "%s", err->text[0] ? err->text : shard_strerror(err->code));
}

static void
print_hint(void)
{
    fprintf(stderr, "Try '%s --help' for more information.\n", context);
}

int
cli_usage_error(const char *fmt, ...)
{
    char text[2 * SHARD_ERROR_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    print_failure(text);
    print_hint();
    return CLI_USAGE;
}

/* ------------------------------------------------------------------------------------- help */

/* Text whose further lines are indented like the first. */
static void
print_indented(const char *text, int indent)
{
    for (const char *p = text; *p; p++) {
        putchar(*p);
        if (*p == '\n')
            printf("%*s", indent, "");
    }
    putchar('\n');
}

static void
print_opt(char letter, const char *name, const char *arg, const char *help)
{
    char left[64];
    int len;

    len = snprintf(left, sizeof(left), "  %c%c%s --%s%s%s", letter ? '-' : ' ',
                   letter ? letter : ' ', letter ? "," : " ", name, arg ? " " : "", arg ? arg : "");
    if (len > 32)
        printf("%s\n%34s", left, "");
    else
        printf("%-34s", left);
    print_indented(help, 34);
}

static void
print_help(const struct cli_usage *u)
{
    printf("Usage: %s [options] %s\n%s\n\nOptions:\n", context, u->synopsis, u->about);
    for (const struct cli_opt *o = u->opts; o->name; o++)
        print_opt(o->letter, o->name, o->arg, o->help);
    print_opt(0, "help", NULL, "print this and exit");
    print_opt(0, "version", NULL, "print the version and exit");
    if (u->more)
        printf("\n%s\n", u->more);
}

static void
print_version(void)
{
    printf("%s (%s) %s\n", program->name, PACKAGE_NAME, PACKAGE_VERSION);
}

static void
print_program_help(void)
{
    printf("Usage: %s COMMAND [options] ...\n%s\n\nCommands:\n", program->name, program->summary);
    for (const struct cli_verb *v = program->verbs; v->name; v++)
        printf("  %-10s %s\n", v->name, v->summary);
    printf("\n'%s COMMAND --help' tells more about one.\n"
           "Sizes take K, M, G and T. Exit status: 0 complete, 1 failed, 2 wrong usage; others are\n"
           "said there.\n",
           program->name);
}

/* ---------------------------------------------------------------------------------- options */

void
cli_args_init(struct cli_args *a, const struct cli_usage *usage, int argc, char **argv)
{
    memset(a, 0, sizeof(*a));
    a->usage = usage;
    a->argc = argc;
    a->argv = argv;
    optind = 0; /* glibc: start over */
    opterr = 0;
}

/* What getopt_long() wants, from our table. */
static void
make_getopt(const struct cli_opt *opts, struct option *ret_long, char *ret_short)
{
    size_t n = 0;
    char *s = ret_short;

    *s++ = ':'; /* tell a missing value from an unknown option */
    for (; opts[n].name && n < CLI_OPTS_MAX; n++) {
        ret_long[n] = (struct option){opts[n].name, opts[n].arg ? required_argument : no_argument,
                                      NULL, GETOPT_FIRST + (int)n};
        if (opts[n].letter) {
            *s++ = opts[n].letter;
            if (opts[n].arg)
                *s++ = ':';
        }
    }
    *s = '\0';
    ret_long[n++] = (struct option){"help", no_argument, NULL, GETOPT_HELP};
    ret_long[n++] = (struct option){"version", no_argument, NULL, GETOPT_VERSION};
    ret_long[n] = (struct option){NULL, 0, NULL, 0};
}

static int
args_failed(struct cli_args *a)
{
    a->failed = true;
    a->status = CLI_USAGE;
    return -1;
}

/* letter came from getopt_long(), so it is in the table. */
static const struct cli_opt *
opt_by_letter(const struct cli_opt *opts, int letter)
{
    while (opts->letter != letter)
        opts++;
    return opts;
}

int
cli_args_next(struct cli_args *a)
{
    struct option longs[CLI_OPTS_MAX + 3];
    char shorts[2 * CLI_OPTS_MAX + 2];
    int c, at = optind ? optind : 1;

    if (a->failed)
        return -1;
    make_getopt(a->usage->opts, longs, shorts);
    c = getopt_long(a->argc, a->argv, shorts, longs, NULL);
    switch (c) {
    case -1:
        return 0;
    case GETOPT_HELP:
        print_help(a->usage);
        return -1;
    case GETOPT_VERSION:
        print_version();
        return -1;
    case ':':
        cli_usage_error("%s needs a value", a->argv[optind - 1]);
        return args_failed(a);
    case '?':
        if (optopt && optopt < GETOPT_FIRST)
            cli_usage_error("there is no option -%c", optopt);
        else if (optopt >= GETOPT_FIRST)
            cli_usage_error("%s takes no value", a->argv[optind - 1]);
        else
            cli_usage_error("there is no option %s (or it is not unique)",
                            a->argv[optind > at ? optind - 1 : at]);
        return args_failed(a);
    default:
        a->opt = c >= GETOPT_FIRST ? &a->usage->opts[c - GETOPT_FIRST]
                                   : opt_by_letter(a->usage->opts, c);
        a->value = optarg;
        if (strcmp(a->opt->name, "json") == 0)
            json_wanted = true; /* it was abbreviated */
        return a->opt->id;
    }
}

void
cli_arg_bad(struct cli_args *a, const char *fmt, ...)
{
    char text[SHARD_ERROR_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    cli_usage_error("--%s: %s", a->opt->name, text);
    (void)args_failed(a);
}

/* The library's parsers name the option themselves. */
static void
arg_check(struct cli_args *a, int r, const struct shard_error *err)
{
    if (r < 0) {
        cli_usage_error("%s", err->text);
        (void)args_failed(a);
    }
}

static const char *
opt_what(const struct cli_args *a, char ret[64])
{
    snprintf(ret, 64, "--%s", a->opt->name);
    return ret;
}

void
cli_arg_size(struct cli_args *a, uint64_t *ret)
{
    struct shard_error err;
    char what[64];

    arg_check(a, base_parse_size(a->value, opt_what(a, what), ret, &err), &err);
}

void
cli_arg_u64(struct cli_args *a, uint64_t min, uint64_t max, uint64_t *ret)
{
    struct shard_error err;
    char what[64];

    arg_check(a, base_parse_u64(a->value, opt_what(a, what), min, max, ret, &err), &err);
}

void
cli_arg_unsigned(struct cli_args *a, unsigned min, unsigned max, unsigned *ret)
{
    uint64_t v = *ret;

    cli_arg_u64(a, min, max, &v);
    *ret = (unsigned)v;
}

void
cli_arg_double(struct cli_args *a, double min, double max, double *ret)
{
    struct shard_error err;
    char what[64];

    arg_check(a, base_parse_double(a->value, opt_what(a, what), min, max, ret, &err), &err);
}

void
cli_arg_word(struct cli_args *a, const char *const *words, int *ret)
{
    char list[256] = "";

    for (int i = 0; words[i]; i++) {
        if (strcmp(a->value, words[i]) == 0) {
            *ret = i;
            return;
        }
        snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i ? ", " : "", words[i]);
    }
    cli_arg_bad(a, "'%s' is none of %s", a->value, list);
}

void
cli_arg_progress(struct cli_args *a, enum base_progress_mode *ret)
{
    static const char *const words[] = {"auto", "always", "never", NULL};
    int v = (int)*ret;

    cli_arg_word(a, words, &v);
    *ret = (enum base_progress_mode)v;
}

/* Where the quotes that p begins with end, before a comma or the end of all; else NULL. */
static char *
quotes_end(char *p)
{
    while ((p = strchr(p + 1, '"')) != NULL && p[1] == '"')
        p++;
    return p && (p[1] == ',' || p[1] == '\0') ? p : NULL;
}

char *
cli_cut_name(char **list)
{
    char *name = *list, *end = name && *name == '"' ? quotes_end(name) : NULL, *to;

    if (end == NULL)
        return strsep(list, ",");
    *list = end[1] == ',' ? end + 2 : NULL;
    to = ++name;
    for (const char *from = name; from < end; from += 1 + (*from == '"'))
        *to++ = *from;
    *to = '\0';
    return name;
}

size_t
cli_args_left(const struct cli_args *a)
{
    return (size_t)(a->argc - optind);
}

const char *
cli_args_take(struct cli_args *a)
{
    return optind < a->argc ? a->argv[optind++] : NULL;
}

bool
cli_args_one(struct cli_args *a, const char *what, const char **ret)
{
    const char *arg = cli_args_take(a);

    a->status = CLI_USAGE;
    if (arg == NULL) {
        cli_usage_error("which %s?", what);
        return false;
    }
    if (cli_args_left(a) > 0) {
        cli_usage_error("one %s at a time: '%s' is too much", what, cli_args_take(a));
        return false;
    }
    *ret = arg;
    return true;
}

/* ---------------------------------------------------------------------------------- signals */

static void
on_signal(int sig)
{
    if (caught) { /* the user insists */
        signal(sig, SIG_DFL);
        raise(sig);
    }
    caught = sig;
}

void
cli_catch_signals(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, old;

    sigemptyset(&sa.sa_mask);
    for (size_t i = 0; i < BASE_ARRAY_LEN(signals); i++) {
        /* nohup and background jobs of a shell ignore some on purpose */
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            (void)sigaction(signals[i], &sa, NULL);
    }
    (void)signal(SIGXFSZ, SIG_IGN); /* a file over ulimit -f fails like one on a full disk */
}

int
cli_signal(void)
{
    return caught;
}

/* The caller's shell should see what ended the program. */
static void
die_by_signal(int sig)
{
    sigset_t set;

    signal(sig, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, sig);
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
    raise(sig);
}

/* ---------------------------------------------------------------------------------- program */

/* What was printed must have arrived. A reader that went away is no failure worth a message. */
static int
close_stdout(int status)
{
    bool failed = ferror(stdout) != 0;
    int e;

    errno = 0;
    if (fflush(stdout) != 0)
        failed = true;
    e = errno;
    if (!failed)
        return status;
    if (e == 0 && status == CLI_FAILED)
        return status; /* it failed earlier, and whoever saw that has said so, or it was EPIPE */
    if (e != EPIPE)
        cli_message("cannot write to standard output%s%s", e ? ": " : "", e ? strerror(e) : "");
    return status ? status : CLI_FAILED;
}

static int
run_verb(const struct cli_verb *v, int argc, char **argv)
{
    int status;

    snprintf(context, sizeof(context), "%s %s", program->name, v->name);
    status = close_stdout(v->run(argc, argv));
    if (caught)
        die_by_signal(caught);
    return status;
}

/* Where a standard descriptor is closed, the next file opened would take its number, and messages
 * would end up in a shard. Each is filled with what fails as a closed one does. A folder cannot be
 * written to, nor be opened for that anew, as /dev/stdout. */
static int
fill_standard_fds(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 &&
            (fd == STDIN_FILENO ? open("/dev/null", O_WRONLY) : open("/", O_RDONLY | O_DIRECTORY)) < 0)
            return -1;
    }
    return 0;
}

static bool
find_json(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--json") == 0)
            return true;
    }
    return false;
}

int
cli_main(const struct cli_program *prog, int argc, char **argv)
{
    if (fill_standard_fds() < 0)
        return CLI_FAILED; /* and no way to say so */
    program = prog;
    base_report_init();
    json_wanted = find_json(argc, argv);
    snprintf(context, sizeof(context), "%s", prog->name);
    if (argc < 2)
        return cli_usage_error("what shall be done?");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_program_help();
        return close_stdout(CLI_OK);
    }
    if (strcmp(argv[1], "--version") == 0) {
        print_version();
        return close_stdout(CLI_OK);
    }
    for (const struct cli_verb *v = prog->verbs; v->name; v++) {
        if (strcmp(argv[1], v->name) == 0)
            return run_verb(v, argc - 1, argv + 1);
    }
    for (const char *const *w = prog->later; *w; w++) {
        if (strcmp(argv[1], *w) == 0)
            return cli_usage_error("'%s' is not built yet", argv[1]);
    }
    return cli_usage_error("there is no command '%s'", argv[1]);
}
