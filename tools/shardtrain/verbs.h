/* The verbs of shardtrain, and the little that they share. */
#ifndef SHARDTRAIN_VERBS_H
#define SHARDTRAIN_VERBS_H

#include <jansson.h>

#include "tools/cli.h"
#include "train/run.h"

/* Each is run by cli_main(); argv[0] is the verb; returns an exit status. */
int verb_fit(int argc, char **argv);
int verb_resume(int argc, char **argv);
int verb_eval(int argc, char **argv);
int verb_predict(int argc, char **argv);
int verb_info(int argc, char **argv);

/* ---- watch.c: what a person sees, and signals ---- */

struct verb_watch {
    enum base_progress_mode mode;
    const char *label;
    const char *unit;
    struct base_progress *progress; /* made at the first report */
};
/* An env whose callbacks show progress, print warnings and stop at a signal. w outlives it. */
struct train_env verb_watch_env(struct verb_watch *w);
void verb_watch_done(struct verb_watch *w);

/* "STEPS" or "SECONDSs" of the current option. */
void verb_arg_checkpoint(struct cli_args *a, uint64_t *ret_steps, unsigned *ret_seconds);
/* The exit status that an error of fit, resume or eval stands for, after telling it. */
int verb_fail(const struct shard_error *err);
/* After fit and resume: JSON on standard output, or a few lines for people on standard error. dir
 * is the run. */
int verb_report_run(const char *dir, const struct train_result *res);
/* A number for JSON: null where it is not finite. */
json_t *verb_number(double v);

#endif
