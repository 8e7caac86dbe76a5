/* shardtrain resume: go on from the last good checkpoint. */
#include "config.h"

#include "tools/shardtrain/verbs.h"

enum { OPT_THREADS = 1, OPT_MEMORY, OPT_CHECKPOINT_EVERY, OPT_PROGRESS };

static const struct cli_opt opts[] = {
    {0, "threads", "N", "default: as the run was begun; the model does not depend on it",
     OPT_THREADS},
    {0, "memory", "SIZE", "for model and loader together", OPT_MEMORY},
    {0, "checkpoint-every", "STEPS|SECONDSs", "default: as the run was begun",
     OPT_CHECKPOINT_EVERY},
    CLI_OPT_JSON,
    {0, "progress", "auto|always|never", "default: auto", OPT_PROGRESS},
    {0},
};

static const struct cli_usage usage = {
    "RUN",
    "Go on with a run from its last good checkpoint, or from its start where there is none.\n"
    "It ends with the model that an undisturbed run would have given, bit for bit.",
    opts, NULL};

int
verb_resume(int argc, char **argv)
{
    struct train_overrides over = {0};
    struct verb_watch watch = {.label = "training", .unit = "steps"};
    struct train_result res;
    struct train_env env;
    struct shard_error err = {0};
    struct cli_args a;
    const char *run;
    int id, r;

    cli_args_init(&a, &usage, argc, argv);
    while ((id = cli_args_next(&a)) > 0)
        switch (id) {
        case OPT_THREADS:
            cli_arg_unsigned(&a, 1, 1024, &over.threads);
            break;
        case OPT_MEMORY:
            cli_arg_size(&a, &over.memory);
            break;
        case OPT_CHECKPOINT_EVERY:
            verb_arg_checkpoint(&a, &over.checkpoint_steps, &over.checkpoint_seconds);
            break;
        case OPT_PROGRESS:
            cli_arg_progress(&a, &watch.mode);
            break;
        default:
            break;
        }
    if (id < 0 || !cli_args_one(&a, "run", &run))
        return a.status;
    env = verb_watch_env(&watch);
    r = train_run_resume(run, &over, &env, &res, &err);
    verb_watch_done(&watch);
    return r < 0 ? verb_fail(&err) : verb_report_run(run, &res);
}
