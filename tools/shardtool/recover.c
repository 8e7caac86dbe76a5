/* shardtool recover: a snapshot out of what is whole. */
#include "config.h"

#include "shardfmt/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib/fail.h"
#include "lib/report.h"
#include "tools/cli.h"
#include "tools/ingest/target.h"
#include "tools/shardtool/shardtool.h"

enum { OPT_JOBS = 1, OPT_DRY_RUN };

static const struct cli_opt opts[] = {
    {0, "dry-run", NULL, "say what would be, and change nothing", OPT_DRY_RUN},
    {'j', "jobs", "N", "threads (default: all cores)", OPT_JOBS},
    CLI_OPT_JSON,
    {0},
};
static const struct cli_usage usage = {
    "DATASET",
    "Read all of a dataset and, where its newest snapshot is damaged, publish a new one of what is\n"
    "whole. Says what is lost. Nothing is removed but what a killed program left in tmp/.",
    opts,
    "Exit status: 0 no row is lost; 1 nothing could be done; 4 rows are lost, or may be."};

/* The lists of the JSON object, by enum fmt_recover_what. */
static const char *const lists[] = {"damaged", "lost", "taken", "left_out", "ignored"};
static const char *const words[] = {"damaged", "lost", "taken", "left out", "ignored"};

static void
on_note_json(void *arg, const struct fmt_recover_note *n)
{
    json_t *o = json_pack("{s:o, s:o}", "file", cli_json_text(n->file), "reason",
                          cli_json_text(n->reason));

    if (n->what == FMT_RECOVER_LOST) {
        json_object_set_new(o, "split", cli_json_text(n->split));
        json_object_set_new(o, "rows", json_integer((json_int_t)n->n_rows));
        json_object_set_new(o, "row_first", json_integer((json_int_t)n->row0));
        json_object_set_new(o, "row_last", json_integer((json_int_t)(n->row0 + n->n_rows - 1)));
        json_object_set_new(o, "rows_of", json_string(n->in_split ? "split" : "snapshot"));
    }
    json_array_append_new(json_object_get(arg, lists[n->what]), o);
}

static void
on_note(void *arg, const struct fmt_recover_note *n)
{
    (void)arg;
    printf("%s: ", words[n->what]);
    if (n->what == FMT_RECOVER_LOST) {
        printf("%" PRIu64 " row%s, ", n->n_rows, n->n_rows == 1 ? "" : "s");
        printf("%" PRIu64 " to %" PRIu64 " of ", n->row0, n->row0 + n->n_rows - 1);
        if (n->in_split)
            printf("split %s", n->split);
        else
            printf("the snapshot (split %s)", n->split);
        if (n->file)
            printf(", %s", n->file);
        printf(": ");
    } else {
        printf("%s: ", n->file);
    }
    puts(n->reason);
}

static json_t *
root_or_null(uint64_t number)
{
    return number ? json_integer((json_int_t)number) : json_null();
}

static int
print_json(json_t *obj, const struct fmt_recover_result *res, bool dry_run)
{
    char hex[BASE_HEX128_LEN + 1];

    base_hex128(res->snapshot, hex);
    json_object_set_new(obj, "ok", json_boolean(res->rows_lost == 0 && res->exact));
    json_object_set_new(obj, "sound", json_boolean(res->sound));
    json_object_set_new(obj, "dry_run", json_boolean(dry_run));
    json_object_set_new(obj, "newest", root_or_null(res->newest));
    json_object_set_new(obj, "base", root_or_null(res->base));
    json_object_set_new(obj, "published", root_or_null(res->number));
    json_object_set_new(obj, "snapshot", res->number ? json_string(hex) : json_null());
    base_hex128(res->fingerprint, hex);
    json_object_set_new(obj, "fingerprint", json_string(hex));
    json_object_set_new(obj, "rows", json_integer((json_int_t)res->n_rows));
    json_object_set_new(obj, "shards", json_integer((json_int_t)res->n_shards));
    json_object_set_new(obj, "rewritten", json_integer((json_int_t)res->n_rewritten));
    json_object_set_new(obj, "rows_lost", json_integer((json_int_t)res->rows_lost));
    json_object_set_new(obj, "rejects_lost", json_boolean(res->rejects_lost));
    json_object_set_new(obj, "exact", json_boolean(res->exact));
    return cli_print_json(json_incref(obj));
}

static void
print_person(const struct fmt_recover_result *res, bool dry_run)
{
    if (res->sound) {
        printf("snapshot %" PRIu64 " is whole: nothing to do\n", res->newest);
        return;
    }
    if (dry_run)
        printf("would publish %" PRIu64 " rows", res->n_rows);
    else
        printf("published as snapshot %" PRIu64 ": %" PRIu64 " rows in %" PRIu64 " shards",
               res->number, res->n_rows, res->n_shards);
    printf(", %s%" PRIu64 " rows lost\n", res->exact ? "" : "at least ", res->rows_lost);
    if (res->rejects_lost)
        puts("Records of the quarantine are lost.");
    if (!res->exact)
        printf("The newest root cannot be read: whether shards are missing behind the last ones "
               "of each split cannot be told%s.\n",
               res->base ? "" : ", and what was noted of inputs and options is lost");
}

static int
recover(const char *path, bool dry_run, unsigned n_threads)
{
    const int dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct fmt_recover_result res = {0};
    struct shard_error err = {0};
    json_t *obj = json_object();
    bool locked, clean;
    int r, status;

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        json_object_set_new(obj, lists[i], json_array());
    if (dirfd < 0) {
        status = cli_fail(CLI_FAILED, "%s: %s", path, strerror(errno));
        goto out;
    }
    /* The lock that an ingest holds: its shards are no leftovers. */
    locked = flock(dirfd, LOCK_EX | LOCK_NB) == 0;
    if (!locked && errno == EWOULDBLOCK) {
        status = cli_fail(CLI_FAILED, "%s: another program is writing to it; wait until it ends", path);
        goto out;
    }
    clean = locked && !dry_run;
    r = clean ? ingest_clean_tmp(dirfd, &err) : 0; /* there may be no other room on the disk */
    if (r >= 0)
        r = fmt_recover(dirfd, dry_run, n_threads, cli_json() ? on_note_json : on_note, obj, &res,
                        &err);
    if (r < 0) {
        if (clean)
            (void)ingest_clean_tmp(dirfd, NULL);
        status = cli_fail(CLI_FAILED, "%s: %s", path, err.text);
        goto out;
    }
    status = res.rows_lost || !res.exact ? CLI_DAMAGE : CLI_OK;
    if (!cli_json())
        print_person(&res, dry_run);
    else if (print_json(obj, &res, dry_run) != CLI_OK)
        status = CLI_FAILED;
out:
    json_decref(obj);
    if (dirfd >= 0)
        (void)close(dirfd);
    return status;
}

int
cmd_recover(int argc, char **argv)
{
    unsigned n_threads = 0;
    bool dry_run = false;
    const char *path;
    struct cli_args a;
    int id;

    cli_args_init(&a, &usage, argc, argv);
    while ((id = cli_args_next(&a)) > 0) {
        if (id == OPT_JOBS)
            cli_arg_unsigned(&a, 1, 1024, &n_threads);
        dry_run |= id == OPT_DRY_RUN;
    }
    if (id < 0 || !cli_args_one(&a, "dataset", &path))
        return a.status;
    return recover(path, dry_run, n_threads);
}
