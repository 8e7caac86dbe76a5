/* shardtrain fit: options to a resolved spec, then a run. */
#include "config.h"

#include "tools/shardtrain/verbs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/fail.h"

enum {
    OPT_MODEL = 1, OPT_OUTPUT, OPT_TEXT, OPT_FEATURES, OPT_LABEL, OPT_SPLIT, OPT_EPOCHS, OPT_LR,
    OPT_LR_SCHEDULE, OPT_OPTIMIZER, OPT_BATCH_SIZE, OPT_SEED, OPT_PARTITIONS, OPT_SLICES,
    OPT_WINDOW, OPT_THREADS, OPT_MODE, OPT_DIM, OPT_WORD_NGRAMS, OPT_MINN, OPT_MAXN, OPT_BUCKETS,
    OPT_CHECKPOINT_EVERY, OPT_MEMORY, OPT_PROGRESS,
};

static const struct cli_opt opts[] = {
    {0, "model", "text|linear", "what to train: text = bag of hashed word and character n-grams\n"
     "through an embedding; linear = logistic or softmax regression", OPT_MODEL},
    {'o', "output", "RUN", "directory to make: configuration, metrics, checkpoints, model",
     OPT_OUTPUT},
    {0, "text", "COLUMN", "text to learn from (default: text, or the only string column)",
     OPT_TEXT},
    {0, "features", "COLUMN,...", "linear: one sparse column, columns of numbers, or one text\n"
     "column to be hashed (default: features)", OPT_FEATURES},
    {0, "label", "COLUMN", "what to predict (default: label)", OPT_LABEL},
    {0, "split", "NAME", "split to learn from (default: train, or the only one)", OPT_SPLIT},
    {0, "epochs", "N", "times that every row is seen (default: 5)", OPT_EPOCHS},
    {0, "lr", "X", "learning rate per row (default: text 0.5, linear 0.2; with another\n"
     "optimizer than the default: text 0.05, linear 0.02)", OPT_LR},
    {0, "lr-schedule", "linear|constant", "linear falls to 0 over the run (default)",
     OPT_LR_SCHEDULE},
    {0, "optimizer", "sgd|adagrad", "default: text sgd, linear adagrad", OPT_OPTIMIZER},
    {0, "batch-size", "N", "rows of a step (default: 128)", OPT_BATCH_SIZE},
    {0, "seed", "N", "of the order and of the start (default: 0)", OPT_SEED},
    {0, "partitions", "N", "streams an epoch is dealt into (default: gcd(batch size, 16))",
     OPT_PARTITIONS},
    {0, "slices", "N", "parts of a batch that threads share out; divides the partitions\n"
     "(default: up to 8)", OPT_SLICES},
    {0, "window", "N", "row groups that are mixed row by row (default: 2)", OPT_WINDOW},
    {0, "threads", "N", "default: all cores; the model does not depend on it", OPT_THREADS},
    {0, "mode", "sync", "sync = the same bits on any number of threads", OPT_MODE},
    {0, "dim", "N", "text: width of the embedding (default: 16)", OPT_DIM},
    {0, "word-ngrams", "N", "longest run of words that is a feature (default: 1)",
     OPT_WORD_NGRAMS},
    {0, "minn", "N", "shortest character n-gram (default: 1 where --maxn is given)", OPT_MINN},
    {0, "maxn", "N", "longest character n-gram (default: 0 = none)", OPT_MAXN},
    {0, "buckets", "N", "features are hashed into so many (default: text 2000000; linear\n"
     "with a sparse column: not hashed)", OPT_BUCKETS},
    {0, "checkpoint-every", "STEPS|SECONDSs", "default: 60s", OPT_CHECKPOINT_EVERY},
    {0, "memory", "SIZE", "for model and loader together", OPT_MEMORY},
    CLI_OPT_JSON,
    {0, "progress", "auto|always|never", "default: auto", OPT_PROGRESS},
    {0},
};

static const struct cli_usage usage = {
    "DATASET --model MODEL -o RUN",
    "Train a model on a split of a dataset. The same options and data give the same bits,\n"
    "on any number of threads. A run that was stopped goes on with: shardtrain resume RUN",
    opts, NULL};

static const char *const model_words[] = {"text", "linear", NULL};
static const char *const models_later[] = {"mlp", "fm", "gpt", NULL};
static const char *const optimizer_words[] = {"sgd", "adagrad", NULL};
static const char *const optimizers_later[] = {"momentum", "nesterov", "adam", "adamw", "ftrl",
                                               NULL};
static const char *const schedule_words[] = {"linear", "constant", NULL};

struct args {
    struct train_spec spec;
    const char *run;
    const char *text, *features;
    struct verb_watch watch;
    int model, optimizer; /* -1: not given */
};

/* One of words, or a word on what is planned. */
static void
arg_word_or_later(struct cli_args *a, const char *const *words, const char *const *later, int *ret)
{
    for (int i = 0; later[i] != NULL; i++)
        if (strcmp(a->value, later[i]) == 0) {
            cli_arg_bad(a, "%s comes in a later version", a->value);
            return;
        }
    cli_arg_word(a, words, ret);
}

static void
arg_mode(struct cli_args *a)
{
    static const char *const words[] = {"sync", NULL};
    static const char *const later[] = {"hogwild", NULL};
    int mode = 0;

    arg_word_or_later(a, words, later, &mode);
}

static char *
copy(const char *text)
{
    char *s = strdup(text);

    if (s == NULL)
        abort(); /* a few bytes at the program's start */
    return s;
}

static void
arg_text(char **to, const char *text)
{
    free(*to);
    *to = copy(text);
}

static void
take_option(struct cli_args *a, int id, struct args *x)
{
    struct train_options *o = &x->spec.o;
    uint64_t size = 0;
    int word = 0;

    switch (id) {
    case OPT_MODEL: arg_word_or_later(a, model_words, models_later, &x->model); break;
    case OPT_OUTPUT: x->run = a->value; break;
    case OPT_TEXT: x->text = a->value; break;
    case OPT_FEATURES: x->features = a->value; break;
    case OPT_LABEL: arg_text(&o->label, a->value); break;
    case OPT_SPLIT: arg_text(&o->split, a->value); break;
    case OPT_EPOCHS: cli_arg_unsigned(a, 1, 1000000, &o->epochs); break;
    case OPT_LR: cli_arg_double(a, 1e-12, 1e6, &o->lr); break;
    case OPT_LR_SCHEDULE:
        cli_arg_word(a, schedule_words, &word);
        o->schedule = (enum train_schedule)word;
        break;
    case OPT_OPTIMIZER:
        arg_word_or_later(a, optimizer_words, optimizers_later, &x->optimizer);
        break;
    case OPT_BATCH_SIZE: cli_arg_unsigned(a, 1, 1u << 20, &o->batch_size); break;
    case OPT_SEED: cli_arg_u64(a, 0, INT64_MAX, &o->seed); break;
    case OPT_PARTITIONS: cli_arg_unsigned(a, 1, 1u << 16, &o->partitions); break;
    case OPT_SLICES: cli_arg_unsigned(a, 1, 1u << 16, &o->slices); break;
    case OPT_WINDOW: cli_arg_unsigned(a, 1, 1u << 16, &o->window); break;
    case OPT_THREADS: cli_arg_unsigned(a, 1, 1024, &o->threads); break;
    case OPT_MODE: arg_mode(a); break;
    case OPT_DIM: cli_arg_unsigned(a, 1, 1u << 14, &o->dim); break;
    case OPT_WORD_NGRAMS: cli_arg_unsigned(a, 1, TRAIN_WORD_NGRAMS_MAX, &o->word_ngrams); break;
    case OPT_MINN: cli_arg_unsigned(a, 0, 64, &o->minn); break;
    case OPT_MAXN: cli_arg_unsigned(a, 0, 64, &o->maxn); break;
    case OPT_BUCKETS:
        cli_arg_size(a, &size);
        if (size < 1 || size > UINT32_MAX)
            cli_arg_bad(a, "wants a number from 1 to 4294967295");
        o->buckets = (uint32_t)size;
        break;
    case OPT_CHECKPOINT_EVERY:
        verb_arg_checkpoint(a, &o->checkpoint_steps, &o->checkpoint_seconds);
        break;
    case OPT_MEMORY: cli_arg_size(a, &o->memory); break;
    case OPT_PROGRESS: cli_arg_progress(a, &x->watch.mode); break;
    default: break; /* --json is seen by cli.c */
    }
}

/* "A,B,C" to the options' columns. */
static int
set_columns(struct train_options *o, const char *list)
{
    char *rest = copy(list), *all = rest, *name;

    while ((name = cli_cut_name(&rest)) != NULL) {
        char **columns = realloc(o->columns, (o->n_columns + 1) * sizeof(*columns));

        if (columns == NULL)
            abort();
        o->columns = columns;
        o->columns[o->n_columns++] = copy(name);
        if (*name == 0) {
            free(all);
            return cli_usage_error("--features: an empty name in \"%s\"", list);
        }
    }
    free(all);
    return CLI_OK;
}

/* What options mean together; a message and CLI_USAGE where they contradict each other. */
static int
check(struct args *x)
{
    struct train_options *o = &x->spec.o;

    if (x->model < 0)
        return cli_usage_error("say which model: --model text or --model linear");
    if (x->run == NULL)
        return cli_usage_error("say where to: -o RUN");
    o->model = (enum train_model_kind)x->model;
    o->optimizer = x->optimizer >= 0 ? (enum train_optimizer)x->optimizer
                   : o->model == TRAIN_MODEL_TEXT ? TRAIN_SGD
                                                  : TRAIN_ADAGRAD;
    if (x->features != NULL && (x->text != NULL || o->model == TRAIN_MODEL_TEXT))
        return cli_usage_error("--features is for --model linear, and not together with --text");
    if (x->text != NULL || x->features != NULL)
        return x->text != NULL ? set_columns(o, x->text) : set_columns(o, x->features);
    return CLI_OK;
}

static int
run(struct args *x)
{
    struct train_env env;
    struct train_result res;
    struct shard_error err = {0};
    int r;

    /* May take its time over the labels; until it is done a signal ends the program. */
    r = train_spec_resolve(&x->spec, &err);
    env = verb_watch_env(&x->watch);
    if (r >= 0)
        r = train_run_fit(x->run, &x->spec, &env, &res, &err);
    verb_watch_done(&x->watch);
    return r < 0 ? verb_fail(&err) : verb_report_run(x->run, &res);
}

static bool
is_utf8(const char *text)
{
    json_t *s = json_string(text);
    const bool ok = s != NULL;

    json_decref(s);
    return ok;
}

int
verb_fit(int argc, char **argv)
{
    struct args x = {.model = -1, .optimizer = -1, .watch = {.label = "training", .unit = "steps"}};
    struct cli_args a;
    const char *dataset;
    int id, status;

    train_spec_init(&x.spec);
    cli_args_init(&a, &usage, argc, argv);
    while ((id = cli_args_next(&a)) > 0)
        take_option(&a, id, &x);
    if (id < 0 || !cli_args_one(&a, "dataset", &dataset)) {
        train_spec_done(&x.spec);
        return a.status;
    }
    x.spec.o.dataset = realpath(dataset, NULL);
    if (x.spec.o.dataset == NULL)
        x.spec.o.dataset = copy(dataset); /* the dataset's own message follows */
    status = is_utf8(x.spec.o.dataset)
                 ? check(&x)
                 : cli_usage_error("%s: the run keeps this path as JSON, so it must be UTF-8; move "
                                   "the dataset to where its whole path is",
                                   dataset);
    if (status == CLI_OK)
        status = run(&x);
    train_spec_done(&x.spec);
    return status;
}
