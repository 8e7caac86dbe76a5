/* What fit, resume and eval share: progress, signals, errors, the report at the end. */
#include "config.h"

#include "tools/shardtrain/verbs.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "lib/fail.h"
#include "lib/parse.h"
#include "lib/report.h"

static bool
watch_stop(void *user)
{
    (void)user;
    return cli_signal() != 0;
}

static void
watch_warn(void *user, const char *text)
{
    struct verb_watch *w = user;

    base_progress_clear(w->progress);
    cli_message("warning: %s", text);
}

static void
watch_progress(void *user, const struct train_status *s)
{
    struct verb_watch *w = user;
    char note[160];
    int n = 0;

    if (w->progress == NULL)
        w->progress = base_progress_new(w->mode, w->label, w->unit, false, s->n_steps);
    if (s->n_epochs > 0)
        n = snprintf(note, sizeof(note), "epoch %" PRIu32 "/%" PRIu32 ", loss %.4f, ",
                     s->epoch < s->n_epochs ? s->epoch + 1 : s->n_epochs, s->n_epochs, s->loss);
    (void)snprintf(note + n, sizeof(note) - (size_t)n, "accuracy %.3f, %.0f samples/s", s->accuracy,
                   s->samples_per_second);
    base_progress_update(w->progress, s->step, note);
}

struct train_env
verb_watch_env(struct verb_watch *w)
{
    cli_catch_signals();
    return (struct train_env){
        .open_feed = train_feed_open_loader,
        .stop = watch_stop,
        .progress = w->mode == BASE_PROGRESS_NEVER ? NULL : watch_progress,
        .warn = watch_warn,
        .user = w,
    };
}

void
verb_watch_done(struct verb_watch *w)
{
    base_progress_finish(w->progress);
    w->progress = NULL;
}

void
verb_arg_checkpoint(struct cli_args *a, uint64_t *ret_steps, unsigned *ret_seconds)
{
    const size_t len = strlen(a->value);
    char digits[32];
    struct shard_error err;
    uint64_t v;

    if (len == 0 || len >= sizeof(digits) || a->value[len - 1] != 's') {
        cli_arg_u64(a, 1, UINT64_MAX / 2, ret_steps);
        *ret_seconds = 0;
        return;
    }
    memcpy(digits, a->value, len - 1);
    digits[len - 1] = 0;
    if (base_parse_u64(digits, "--checkpoint-every", 1, 1000000000, &v, &err) < 0) {
        cli_arg_bad(a, "wants a number of steps (500) or of seconds (60s)");
        return;
    }
    *ret_seconds = (unsigned)v;
    *ret_steps = 0;
}

int
verb_fail(const struct shard_error *err)
{
    switch (err->code) {
    case SHARD_EPARSE:
    case SHARD_EBUDGET: /* the message names the --memory that will do */
    case -EINVAL:
        return cli_fail_err(CLI_USAGE, err);
    default:
        return cli_fail_err(CLI_FAILED, err);
    }
}

json_t *
verb_number(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static int
report_json(const struct train_result *res)
{
    const struct train_totals *t = &res->epoch;
    const double counted = (double)(t->rows - t->unknown);
    struct shard_error err;
    json_t *obj = json_object();
    int r;

    json_object_set_new(obj, "finished", json_boolean(res->finished));
    json_object_set_new(obj, "loss", verb_number(t->loss / counted));
    json_object_set_new(obj, "accuracy", verb_number((double)t->correct / (double)t->rows));
    json_object_set_new(obj, "samples", json_integer((json_int_t)res->samples));
    json_object_set_new(obj, "seconds", verb_number(res->seconds));
    json_object_set_new(obj, "samples_per_second", verb_number(res->samples_per_second));
    json_object_set_new(obj, "stall_fraction", verb_number(res->stall_fraction));
    json_object_set_new(obj, "save_seconds", verb_number(res->save_seconds));
    json_object_set_new(obj, "step", json_integer((json_int_t)res->step));
    json_object_set_new(obj, "steps", json_integer((json_int_t)res->n_steps));
    json_object_set_new(obj, "unlabelled", json_integer((json_int_t)t->unlabelled));
    json_object_set_new(obj, "model_hash",
                        res->finished ? base_report_hash64(res->model_hash) : json_null());
    r = base_report_line(stdout, obj, &err);
    json_decref(obj);
    return r < 0 ? cli_fail_err(CLI_FAILED, &err) : CLI_OK;
}

int
verb_report_run(const char *dir, const struct train_result *res)
{
    const struct train_totals *t = &res->epoch;
    char count[32];

    if (!res->finished) { /* a signal; cli_main() ends as it */
        cli_message("stopped at step %" PRIu64 " of %" PRIu64
                    ", a checkpoint was written; go on with: shardtrain resume %s",
                    res->step, res->n_steps, dir);
        return cli_json() ? report_json(res) : CLI_OK;
    }
    if (res->was_finished) {
        cli_message("%s is finished: its model is %s/model.safetensors", dir, dir);
    } else {
        cli_message("%s samples in %.2f s (%.0f per second; waited for data %.1f %% of the time)",
                    base_human_count(res->samples, count), res->seconds, res->samples_per_second,
                    100 * res->stall_fraction);
        cli_message("last epoch: loss %.4f, accuracy %.4f (each row before it was learnt from)",
                    t->loss / (double)(t->rows - t->unknown), (double)t->correct / (double)t->rows);
        if (t->unlabelled > 0)
            cli_message("%s rows of an epoch have no label and were left out",
                        base_human_count(t->unlabelled, count));
        cli_message("the model is %s/model.safetensors", dir);
    }
    return cli_json() ? report_json(res) : CLI_OK;
}
