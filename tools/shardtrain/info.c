/* shardtrain info: what a run is, from its files alone. */
#include "config.h"

#include "tools/shardtrain/verbs.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "lib/report.h"
#include "train/checkpoint.h"
#include "train/safetensors.h"

static const struct cli_opt opts[] = {
    CLI_OPT_JSON,
    {0},
};

static const struct cli_usage usage = {
    "RUN", "Say what a run was asked for, what it learns from, and whether it is finished.", opts,
    NULL};

static int
report_json(const struct train_spec *s, bool finished, uint64_t model_hash)
{
    struct shard_error err;
    json_t *obj = train_options_to_json(&s->o), *classes = train_classes_to_json(&s->classes);
    int r;

    json_object_set_new(obj, "snapshot", json_string(s->snapshot));
    json_object_set_new(obj, "finished", json_boolean(finished));
    json_object_set_new(obj, "model_hash", finished ? base_report_hash64(model_hash) : json_null());
    json_object_set(obj, "classes", json_object_get(classes, "names"));
    json_decref(classes);
    r = base_report_line(stdout, obj, &err);
    json_decref(obj);
    return r < 0 ? cli_fail_err(CLI_FAILED, &err) : CLI_OK;
}

static int
report_text(const char *run, const struct train_spec *s, bool finished, uint64_t model_hash)
{
    const struct train_options *o = &s->o;

    printf("model      %s, %s, lr %g, %" PRIu32 " epochs, batches of %" PRIu32 "\n",
           train_model_kind_name(o->model), train_optimizer_name(o->optimizer), o->lr, o->epochs,
           o->batch_size);
    printf("learns     %s from", o->label);
    for (uint32_t i = 0; i < o->n_columns; i++)
        printf("%s %s", i ? "," : "", o->columns[i]);
    printf("\ndataset    %s, split %s, snapshot %s\n", o->dataset, o->split, s->snapshot);
    printf("classes    %" PRIu32 ":", s->classes.n);
    for (uint32_t i = 0; i < s->classes.n && i < 20; i++)
        printf(" %s", s->classes.list[i].name);
    printf("%s\n", s->classes.n > 20 ? " ..." : "");
    if (finished)
        printf("state      finished, model_hash %016" PRIx64 "\n", model_hash);
    else
        printf("state      not finished; go on with: shardtrain resume %s\n", run);
    return CLI_OK;
}

int
verb_info(int argc, char **argv)
{
    struct train_spec spec, model;
    struct shard_error err = {0};
    struct cli_args a;
    const char *run;
    bool finished = false;
    int id, dirfd, r, status;

    cli_args_init(&a, &usage, argc, argv);
    while ((id = cli_args_next(&a)) > 0)
        ;
    if (id < 0 || !cli_args_one(&a, "run", &run))
        return a.status;
    r = train_run_spec(run, &spec, &err);
    if (r < 0)
        return verb_fail(&err);
    dirfd = train_run_open_dir(run, &err);
    r = dirfd < 0 ? dirfd : train_safetensors_read(dirfd, &model, NULL, &err);
    if (dirfd >= 0)
        (void)close(dirfd);
    if (r >= 0) {
        finished = true;
        status = cli_json() ? report_json(&spec, finished, model.model_hash)
                            : report_text(run, &spec, finished, model.model_hash);
        train_spec_done(&model);
    } else if (r == -ENOENT) {
        status = cli_json() ? report_json(&spec, false, 0) : report_text(run, &spec, false, 0);
    } else {
        status = verb_fail(&err);
    }
    train_spec_done(&spec);
    return status;
}
