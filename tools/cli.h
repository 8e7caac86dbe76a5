/* What the two programs share: verbs, options, messages, signals and exit codes.
 *
 * A verb describes its options once, in a table; parsing and --help come from it:
 *
 *     static const struct cli_opt opts[] = {
 *         {'o', "output", "DATASET", "where to write", OPT_OUTPUT},
 *         CLI_OPT_JSON,
 *         {0},
 *     };
 *     static const struct cli_usage usage = {"DATASET", "What it does.", opts, NULL};
 *
 *     cli_args_init(&a, &usage, argc, argv);
 *     while ((id = cli_args_next(&a)) > 0) {
 *         switch (id) { case OPT_OUTPUT: arg_output = a.value; break; ... }
 *     }
 *     if (id < 0)
 *         return a.status;      (--help, --version, or a message was printed)
 *
 * --help and --version are understood everywhere without being in a table. Messages go to standard
 * error as "shardtool ingest: text"; where --json is among the arguments a failure also prints
 * {"error": "text"} on standard output. Not thread-safe; the programs' main thread only. */
#ifndef TOOLS_CLI_H
#define TOOLS_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"
#include "lib/progress.h"
#include "shardline/status.h"

enum cli_status {
    CLI_OK = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
    CLI_REJECTS = 3,  /* complete, but some records are in quarantine */
    CLI_DAMAGE = 4,   /* verification found damage */
    CLI_TOO_BAD = 5,  /* too many bad records, nothing published */
    CLI_DIFFERENT = 6,
};

/* ---------------------------------------------------------------------------------- program */

struct cli_verb {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the verb; returns an exit status */
    const char *summary;               /* one line of --help */
};

struct cli_program {
    const char *name;             /* "shardtool" */
    const char *summary;
    const struct cli_verb *verbs; /* ends with a NULL name */
    const char *const *later;     /* verbs that are planned but not built; ends with NULL */
};

/* Find the verb, run it, check standard output, end as the signal that was caught if any. What
 * main() returns. */
int cli_main(const struct cli_program *prog, int argc, char **argv);

/* ---------------------------------------------------------------------------------- options */

struct cli_opt {
    char letter;      /* 'o', or 0 */
    const char *name; /* without the dashes; NULL ends the table */
    const char *arg;  /* what --help calls its value; NULL = takes none */
    const char *help; /* may hold newlines; they are indented */
    int id;           /* > 0, what cli_args_next() returns */
};

/* The row of --json. Its id means nothing to a verb: cli_json() tells. */
#define CLI_OPT_JSON {0, "json", NULL, "one JSON object on standard output", CLI_ID_JSON}
enum { CLI_ID_JSON = 1000 };

struct cli_usage {
    const char *synopsis; /* after "shardtool ingest [options] " */
    const char *about;    /* one or more lines */
    const struct cli_opt *opts;
    const char *more;     /* printed after the options, or NULL */
};

#define CLI_OPTS_MAX 64

struct cli_args {
    const struct cli_usage *usage;
    int argc;
    char **argv;
    const struct cli_opt *opt; /* the current one */
    const char *value;         /* its value, or NULL; lives as long as argv */
    int status;                /* what to exit with where cli_args_next() gave < 0 */
    bool failed;
};

void cli_args_init(struct cli_args *a, const struct cli_usage *usage, int argc, char **argv);
/* The id of the next option, 0 after the last one, -1 where the verb should return a->status.
 * Options and other arguments may be mixed. */
int cli_args_next(struct cli_args *a);
/* Values of the current option, checked. On bad input a message is printed and the next
 * cli_args_next() gives -1; *ret is then untouched. */
void cli_arg_size(struct cli_args *a, uint64_t *ret);
void cli_arg_u64(struct cli_args *a, uint64_t min, uint64_t max, uint64_t *ret);
void cli_arg_unsigned(struct cli_args *a, unsigned min, unsigned max, unsigned *ret);
void cli_arg_double(struct cli_args *a, double min, double max, double *ret);
/* One of the words, which end with NULL: its index. */
void cli_arg_word(struct cli_args *a, const char *const *words, int *ret);
void cli_arg_progress(struct cli_args *a, enum base_progress_mode *ret);
/* The current option's value is wrong: say why. */
void cli_arg_bad(struct cli_args *a, const char *fmt, ...) BASE_PRINTF(2, 3);

/* Cut the next name off a list "A,B", as strsep() does: NULL behind the last. A name may stand in double
 * quotes, a double quote in it doubled, and then have commas. */
char *cli_cut_name(char **list);

/* After the options: the arguments that are none. */
size_t cli_args_left(const struct cli_args *a);
const char *cli_args_take(struct cli_args *a); /* the next one, or NULL */
/* Exactly one argument (a dataset, a run): *ret, or a message and false (exit with a->status). */
bool cli_args_one(struct cli_args *a, const char *what, const char **ret);

/* --------------------------------------------------------------------------------- messages */

bool cli_json(void);                        /* --json is among the arguments */
const char *cli_context(void);              /* "shardtool ingest" */
/* A usage error with a hint to --help. Returns CLI_USAGE. */
int cli_usage_error(const char *fmt, ...) BASE_PRINTF(1, 2);
/* Rows go to standard output: from now on {"error": ...} of --json goes to standard error. */
void cli_stdout_is_taken(void);
/* A failure; returns status. */
int cli_fail(int status, const char *fmt, ...) BASE_PRINTF(2, 3);
int cli_fail_err(int status, const struct shard_error *err);
/* A JSON string of any bytes: what is not UTF-8 becomes U+FFFD. NULL gives null. */
json_t *cli_json_text(const char *text);
/* The one object of --json on standard output; NULL is one that memory was lacking for. Takes
 * ownership. Returns CLI_OK, or CLI_FAILED after saying why. */
int cli_print_json(json_t *obj);
/* Only the line on standard error, for verbs that put "error" into an object of their own. */
void cli_message(const char *fmt, ...) BASE_PRINTF(1, 2);

/* ---------------------------------------------------------------------------------- signals */

/* From now on SIGINT, SIGTERM and SIGHUP only set a flag, so that the verb can leave everything
 * consistent; a second one ends the program at once. cli_main() ends as the signal. */
void cli_catch_signals(void);
int cli_signal(void); /* the signal that was caught, or 0 */

#endif
