/* shardtrain eval: a finished model on the rows of a split, as stored. */
#include "config.h"

#include "tools/shardtrain/verbs.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include <shardline/fmt.h>

#include "lib/fail.h"
#include "lib/pool.h"
#include "lib/report.h"
#include "train/eval.h"
#include "train/safetensors.h"

#define EVAL_BATCH      1024u
#define EVAL_PARTITIONS 16u

enum { OPT_SPLIT = 1, OPT_THREADS, OPT_MEMORY, OPT_PROGRESS };

static const struct cli_opt opts[] = {
    {0, "split", "NAME", "default: test", OPT_SPLIT},
    {0, "threads", "N", "default: all cores", OPT_THREADS},
    {0, "memory", "SIZE", "for model and loader together", OPT_MEMORY},
    CLI_OPT_JSON,
    {0, "progress", "auto|always|never", "default: auto", OPT_PROGRESS},
    {0},
};

static const struct cli_usage usage = {
    "RUN [DATASET]",
    "Measure the model of a run on a split of a dataset (default: the one it learnt from).\n"
    "Labels that are no class of the model count as wrong. Rows without a label are left out.",
    opts, NULL};

struct args {
    const char *run, *dataset, *split;
    unsigned threads;
    uint64_t memory;
};

/* The loader was left too little: say what would do for it and the model. */
static int
fail_budget(const struct args *x, const struct train_feed_opts *feed_opts, uint64_t model_bytes,
            struct shard_error *err)
{
    struct train_feed_opts fo = *feed_opts;
    struct train_feed *feed;
    uint64_t least;
    int r;

    fo.memory = 0;
    r = train_feed_open_loader(NULL, &fo, &feed, err);
    if (r < 0)
        return r;
    least = model_bytes + feed->plan.memory_min;
    feed->close(feed);
    return base_fail(err, SHARD_EBUDGET,
                     "--memory %" PRIu64 " is too small for this model and this split: at least "
                     "%" PRIu64 " bytes (%" PRIu64 "M) will do",
                     x->memory, least, (least >> 20) + 1);
}

static int
open_feed(const struct args *x, const struct train_spec *spec, uint64_t model_bytes,
          struct train_feed **ret_feed, struct shard_error *err)
{
    const char **columns = calloc(spec->o.n_columns + 1, sizeof(*columns));
    struct train_feed_opts fo = {
        .path = x->dataset ? x->dataset : spec->o.dataset,
        .split = x->split,
        .n_columns = spec->o.n_columns + 1,
        .batch_size = EVAL_BATCH,
        .partitions = EVAL_PARTITIONS,
        .epochs = 1,
        .threads = x->threads,
        .as_stored = true,
        .memory = x->memory == 0            ? 0
                  : x->memory > model_bytes ? x->memory - model_bytes
                                            : 1,
    };
    struct shard_dataset *ds = NULL;
    bool label;
    int r;

    if (columns == NULL)
        return base_fail(err, -ENOMEM, "a feed");
    columns[0] = spec->o.label;
    for (uint32_t i = 0; i < spec->o.n_columns; i++)
        columns[i + 1] = spec->o.columns[i];
    fo.columns = columns;
    r = shard_dataset_open(fo.path, &ds, err);
    if (r >= 0 && shard_dataset_find_split(ds, x->split) < 0)
        r = base_fail(err, SHARD_EPARSE, "%s has no split \"%s\"; --split names another one", fo.path,
                      x->split);
    if (r >= 0)
        r = train_spec_fits(spec, ds, true, &label, err);
    shard_dataset_close(ds);
    if (r >= 0)
        r = train_feed_open_loader(NULL, &fo, ret_feed, err);
    if (r == SHARD_EBUDGET)
        r = fail_budget(x, &fo, model_bytes, err);
    free(columns);
    return r;
}

static json_t *
classes_json(const struct train_eval *e)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < e->n_classes; i++) {
        const struct train_eval_class *c = &e->classes[i];
        json_t *obj = json_object();

        json_object_set_new(obj, "name", json_stringn(c->name, c->name_len));
        json_object_set_new(obj, "rows", json_integer((json_int_t)c->rows));
        json_object_set_new(obj, "precision", verb_number(train_eval_precision(c)));
        json_object_set_new(obj, "recall", verb_number(train_eval_recall(c)));
        json_object_set_new(obj, "f1", verb_number(train_eval_f1(c)));
        json_object_set_new(obj, "known", json_boolean(c->known));
        json_array_append_new(list, obj);
    }
    return list;
}

static double
mean_loss(const struct train_totals *t)
{
    return t->rows > t->unknown ? t->loss / (double)(t->rows - t->unknown) : (double)NAN;
}

static double
accuracy(const struct train_totals *t)
{
    return t->rows ? (double)t->correct / (double)t->rows : (double)NAN;
}

static int
report_json(const struct train_eval *e, const char *split, uint64_t model_hash)
{
    struct shard_error err;
    json_t *obj = json_object();
    int r;

    json_object_set_new(obj, "split", json_string(split));
    json_object_set_new(obj, "loss", verb_number(mean_loss(&e->totals)));
    json_object_set_new(obj, "accuracy", verb_number(accuracy(&e->totals)));
    json_object_set_new(obj, "samples", json_integer((json_int_t)e->totals.rows));
    json_object_set_new(obj, "unlabelled", json_integer((json_int_t)e->totals.unlabelled));
    json_object_set_new(obj, "seconds", verb_number(e->seconds));
    json_object_set_new(obj, "samples_per_second", verb_number(e->samples_per_second));
    json_object_set_new(obj, "stall_fraction", verb_number(e->stall_fraction));
    json_object_set_new(obj, "model_hash", base_report_hash64(model_hash));
    json_object_set_new(obj, "classes", classes_json(e));
    r = base_report_line(stdout, obj, &err);
    json_decref(obj);
    return r < 0 ? cli_fail_err(CLI_FAILED, &err) : CLI_OK;
}

static void
print_share(double v)
{
    if (isfinite(v))
        printf(" %9.4f", v);
    else
        printf(" %9s", "-");
}

/* For people: the table goes to standard output, as it is what was asked for. */
static int
report_text(const struct train_eval *e, const char *split)
{
    char count[32];

    printf("%-24s %12s %9s %9s %9s\n", "class", "rows", "precision", "recall", "f1");
    for (uint32_t i = 0; i < e->n_classes; i++) {
        const struct train_eval_class *c = &e->classes[i];

        printf("%-24s %12s", c->name, base_human_count(c->rows, count));
        print_share(train_eval_precision(c));
        print_share(train_eval_recall(c));
        print_share(train_eval_f1(c));
        printf("%s\n", c->known ? "" : "  (no class of the model)");
    }
    printf("%s of %s: accuracy %.4f, loss %.4f, %.2f s\n", base_human_count(e->totals.rows, count),
           split, accuracy(&e->totals), mean_loss(&e->totals), e->seconds);
    return CLI_OK;
}

static int
run(struct args *x, struct verb_watch *watch)
{
    struct train_env env = verb_watch_env(watch);
    struct train_spec spec;
    struct train_model *model = NULL;
    struct train_feed *feed = NULL;
    struct train_eval e = {0};
    struct shard_error err = {0};
    int dirfd, r, status = CLI_OK;

    train_spec_init(&spec);
    dirfd = train_run_open_dir(x->run, &err);
    if (dirfd < 0)
        return verb_fail(&err);
    r = train_safetensors_read(dirfd, &spec, &model, &err);
    (void)close(dirfd);
    if (r == -ENOENT)
        return cli_fail(CLI_FAILED, "%s has no finished model; go on with: shardtrain resume %s",
                        x->run, x->run);
    if (r >= 0) /* of the model as it is: one that grew says nothing in its options */
        r = open_feed(x, &spec, train_model_bytes(&model->opts), &feed, &err);
    if (r >= 0)
        r = train_eval_run(model, &spec, feed, x->threads, &env, &e, &err);
    verb_watch_done(watch);
    if (r < 0)
        status = verb_fail(&err);
    else if (e.stopped)
        cli_message("stopped after %" PRIu64 " rows", e.n_rows);
    else
        status =
            cli_json() ? report_json(&e, x->split, spec.model_hash) : report_text(&e, x->split);
    train_eval_done(&e);
    if (feed != NULL)
        feed->close(feed);
    train_model_free(model);
    train_spec_done(&spec);
    return status;
}

int
verb_eval(int argc, char **argv)
{
    struct args x = {.split = "test", .threads = base_cpu_count()};
    struct verb_watch watch = {.label = "evaluating", .unit = "rows"};
    struct cli_args a;
    int id;

    cli_args_init(&a, &usage, argc, argv);
    while ((id = cli_args_next(&a)) > 0)
        switch (id) {
        case OPT_SPLIT:
            x.split = a.value;
            break;
        case OPT_THREADS:
            cli_arg_unsigned(&a, 1, 1024, &x.threads);
            break;
        case OPT_MEMORY:
            cli_arg_size(&a, &x.memory);
            break;
        case OPT_PROGRESS:
            cli_arg_progress(&a, &watch.mode);
            break;
        default:
            break;
        }
    if (id < 0)
        return a.status;
    if (cli_args_left(&a) < 1 || cli_args_left(&a) > 2)
        return cli_usage_error("give a run, and if you like a dataset");
    x.run = cli_args_take(&a);
    x.dataset = cli_args_take(&a);
    return run(&x, &watch);
}
