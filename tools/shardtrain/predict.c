/* shardtrain predict: labels for lines or JSON records, one JSON object per record. */
#include "config.h"

#include "tools/shardtrain/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/fail.h"
#include "lib/report.h"
#include "tools/shardtrain/records.h"
#include "train/safetensors.h"
#include "train/step.h"

enum { OPT_INPUT_FORMAT = 1, OPT_TOP };

static const struct cli_opt opts[] = {
    {0, "input-format", "auto|lines|jsonl",
     "auto: jsonl for files named so and for models over columns of numbers, lines otherwise",
     OPT_INPUT_FORMAT},
    {0, "top", "K", "add the K most likely classes as \"top\"", OPT_TOP},
    {0, "json", NULL, "as for other verbs: a failure is an object on standard output, too",
     CLI_ID_JSON},
    {0},
};

static const struct cli_usage usage = {
    "RUN [INPUT]",
    "Predict a label for every record of INPUT (a file; default or -: standard input), and write\n"
    "{\"label\": ..., \"score\": ...} for each, in order. A line is a text, or a libsvm line for "
    "a\n"
    "model over a sparse column; JSON records hold the model's columns by name.",
    opts,
    "A record that cannot be understood gives {\"error\": ..., \"line\": N} in its place, and 3 "
    "as\n"
    "the exit status."};

struct predict {
    struct train_spec spec;
    struct train_model *model;
    struct train_step *step;
    struct train_source source;
    struct records records;
    float *probabilities;
    uint32_t *order; /* scratch: classes by score */
    uint64_t line, n_bad;
    unsigned top;
};

/* A float32 as it is: without the digits that double adds. */
static json_t *
score(float v)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%.7g", (double)v);
    return verb_number(strtod(text, NULL));
}

static json_t *
class_name(const struct predict *p, uint32_t k)
{
    const struct train_class *c = &p->spec.classes.list[k];

    return json_stringn(c->name, c->name_len);
}

/* The best n classes of a row to p->order: n passes, as n is small. */
static void
find_best(const struct predict *p, const float *prob, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t best = UINT32_MAX;

        for (uint32_t k = 0; k < p->spec.classes.n; k++) {
            bool taken = false;

            for (uint32_t j = 0; j < i && !taken; j++)
                taken = p->order[j] == k;
            if (!taken && (best == UINT32_MAX || prob[k] > prob[best]))
                best = k;
        }
        p->order[i] = best;
    }
}

static int
write_row(const struct predict *p, const float *prob, struct shard_error *err)
{
    const uint32_t n = p->top > 0 ? p->top : 1;
    json_t *obj = json_object();
    int r;

    find_best(p, prob, n);
    json_object_set_new(obj, "label", class_name(p, p->order[0]));
    json_object_set_new(obj, "score", score(prob[p->order[0]]));
    if (p->top > 0) {
        json_t *list = json_array();

        for (uint32_t i = 0; i < n; i++) {
            json_t *one = json_object();

            json_object_set_new(one, "label", class_name(p, p->order[i]));
            json_object_set_new(one, "score", score(prob[p->order[i]]));
            json_array_append_new(list, one);
        }
        json_object_set_new(obj, "top", list);
    }
    r = base_report_line(stdout, obj, err);
    json_decref(obj);
    return r;
}

static int
flush(struct predict *p, struct shard_error *err)
{
    const struct train_answers answers = {NULL, NULL, p->probabilities};
    struct train_totals totals;
    struct train_batch b;
    int r;

    if (p->records.n_rows == 0)
        return 0;
    records_batch(&p->records, &b);
    r = train_step_infer(p->step, &b, &answers, &totals, err);
    for (uint32_t i = 0; i < b.n_rows && r >= 0; i++)
        r = write_row(p, p->probabilities + (size_t)i * p->spec.classes.n, err);
    records_reset(&p->records);
    return r;
}

static int
write_bad(struct predict *p, const struct shard_error *why, struct shard_error *err)
{
    json_t *obj;
    int r = flush(p, err); /* what came before it comes out before it */

    if (r < 0)
        return r;
    p->n_bad++;
    cli_message("line %" PRIu64 ": %s", p->line, why->text);
    /* The text may quote bytes that are no UTF-8. */
    obj = json_pack("{s:o, s:I}", "error", cli_json_text(why->text), "line", (json_int_t)p->line);
    r = base_report_line(stdout, obj, err);
    json_decref(obj);
    return r;
}

/* Whether a person waits for each answer: then lines are answered as they come. */
static bool
is_interactive(FILE *f)
{
    return isatty(fileno(f));
}

static int
predict_stream(struct predict *p, FILE *f, struct shard_error *err)
{
    const bool at_once = is_interactive(f);
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    int r = 0;

    while (r >= 0 && (errno = 0, len = getline(&line, &cap, f)) > 0) {
        struct shard_error why = {0};

        p->line++;
        if (line[len - 1] == '\n')
            line[--len] = 0;
        if (len > 0 && line[len - 1] == '\r')
            line[--len] = 0;
        r = records_add(&p->records, line, (size_t)len, &why);
        if (r == SHARD_EPARSE)
            r = write_bad(p, &why, err);
        else if (r < 0)
            r = base_fail(err, r, "%s", why.text);
        else if (at_once || records_full(&p->records))
            r = flush(p, err);
    }
    free(line);
    if (r >= 0 && !feof(f)) /* also a line that does not fit into memory */
        r = base_fail(err, errno ? -errno : -EIO, "reading the input");
    return r < 0 ? r : flush(p, err);
}

static int
load(struct predict *p, const char *run, bool *json, int format, const char *input,
     struct shard_error *err)
{
    static const struct train_step_opts so = {1, 1};
    const char *dot = input ? strrchr(input, '.') : NULL;
    int dirfd = train_run_open_dir(run, err), r;

    if (dirfd < 0)
        return dirfd;
    r = train_safetensors_read(dirfd, &p->spec, &p->model, err);
    (void)close(dirfd);
    if (r == -ENOENT)
        r = base_fail(err, SHARD_ENOTFOUND,
                      "%s has no finished model; go on with: shardtrain resume %s", run, run);
    if (r < 0)
        return r;
    *json = format == 2 ||
            (format == 0 && (p->spec.o.input == TRAIN_SOURCE_NUMBERS ||
                             (dot && (strcmp(dot, ".jsonl") == 0 || strcmp(dot, ".ndjson") == 0))));
    if (!*json && p->spec.o.input == TRAIN_SOURCE_NUMBERS)
        return base_fail(err, SHARD_EPARSE,
                         "this model reads columns of numbers: give it JSON records");
    if (p->top > p->spec.classes.n)
        p->top = p->spec.classes.n;
    train_spec_source(&p->spec, false, &p->source);
    p->probabilities = malloc((size_t)RECORDS_MAX * p->spec.classes.n * sizeof(float));
    p->order = calloc(p->spec.classes.n, sizeof(*p->order));
    if (p->probabilities == NULL || p->order == NULL)
        return base_fail(err, -ENOMEM, "a batch of answers");
    r = train_step_new(p->model, &p->source, &p->spec.classes, false, &so, &p->step, err);
    return r < 0 ? r : records_init(&p->records, &p->spec, *json, err);
}

static int
run(struct predict *p, const char *run_dir, const char *input, int format)
{
    struct shard_error err = {0};
    FILE *f = stdin;
    bool json = false;
    int r;

    train_spec_init(&p->spec);
    r = load(p, run_dir, &json, format, input, &err);
    if (r >= 0 && input != NULL && strcmp(input, "-") != 0) {
        f = fopen(input, "re");
        if (f == NULL)
            r = base_fail(&err, -errno, "%s", input);
    }
    if (r >= 0)
        r = predict_stream(p, f, &err);
    if (f != NULL && f != stdin)
        (void)fclose(f);
    records_done(&p->records);
    train_step_free(p->step);
    train_model_free(p->model);
    train_spec_done(&p->spec);
    free(p->probabilities);
    free(p->order);
    if (r < 0)
        return verb_fail(&err);
    return p->n_bad > 0 ? CLI_REJECTS : CLI_OK;
}

int
verb_predict(int argc, char **argv)
{
    static const char *const formats[] = {"auto", "lines", "jsonl", NULL};
    struct predict p = {0};
    struct cli_args a;
    const char *run_dir, *input;
    int id, format = 0;

    cli_args_init(&a, &usage, argc, argv);
    while ((id = cli_args_next(&a)) > 0)
        switch (id) {
        case OPT_INPUT_FORMAT:
            cli_arg_word(&a, formats, &format);
            break;
        case OPT_TOP:
            cli_arg_unsigned(&a, 1, TRAIN_CLASSES_MAX, &p.top);
            break;
        default:
            break;
        }
    if (id < 0)
        return a.status;
    if (cli_args_left(&a) < 1 || cli_args_left(&a) > 2)
        return cli_usage_error("give a run, and if you like a file to read");
    run_dir = cli_args_take(&a);
    input = cli_args_take(&a);
    return run(&p, run_dir, input, format);
}
