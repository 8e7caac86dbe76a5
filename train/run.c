#include "config.h"

#include "train/run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/compiler.h"
#include "lib/fail.h"
#include "lib/fs.h"
#include "train/checkpoint.h"
#include "train/safetensors.h"

#define CONFIG_FILE  "config.json"
#define METRICS_FILE "metrics.jsonl"
#define CONFIG_MAX   (64u << 20)
#define POLL_MS      100  /* how long a signal may go unseen while the feed is slow */
#define INTERVALS    200u /* lines of metrics in a whole run, about */

struct run {
    int dirfd;
    FILE *metrics;
    struct train_spec *spec;
    const struct train_env *env;
    struct train_feed *feed;
    struct train_model *model;
    struct train_step *step;
    struct train_position pos;
    uint64_t config_hash;
    uint64_t interval;          /* steps */
    struct train_totals recent; /* since the last line of metrics */
    uint64_t start_ns, stall_ns, save_ns, last_save_ns;
    uint64_t start_samples;
    double start_seconds; /* pos.seconds of earlier processes */
};

/* ---- the directory ---- */

/* Whether nothing is there but what a fit leaves that was killed before its configuration stood. */
static bool
dir_is_empty(int dirfd)
{
    static const char unfinished[] = CONFIG_FILE ".tmp-";
    const int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;
    bool empty = d != NULL;

    while (empty && (e = readdir(d)) != NULL)
        empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
                strncmp(e->d_name, unfinished, strlen(unfinished)) == 0;
    if (d != NULL)
        (void)closedir(d);
    else if (fd >= 0)
        (void)close(fd);
    return empty;
}

int
train_run_open_dir(const char *dir, struct shard_error *err)
{
    const int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? base_fail(err, -errno, "%s", dir) : fd;
}

/* Two processes in one run would destroy each other's work: the second is refused. The lock ends
 * with the process, however it ends. */
static int
lock_dir(int fd, const char *dir, struct shard_error *err)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno == EWOULDBLOCK)
        return base_fail(err, SHARD_ECONFLICT, "another shardtrain is at work on %s", dir);
    return 0; /* a file system without locks */
}

static int
make_dir(const char *dir, struct shard_error *err)
{
    int r = base_mkdir(AT_FDCWD, dir, err), fd;

    if (r < 0)
        return r;
    fd = train_run_open_dir(dir, err);
    if (fd < 0)
        return fd;
    r = lock_dir(fd, dir, err); /* first, or two could find it empty one after the other */
    if (r >= 0 && !dir_is_empty(fd))
        r = base_fail(err, SHARD_EPARSE,
                      "%s is not empty: give another -o, or go on with shardtrain resume %s", dir,
                      dir);
    if (r >= 0)
        r = base_fsync_dir(fd, "..", err);
    if (r >= 0 || r == -EACCES) /* one may make folders where one may not read */
        return fd;
    (void)close(fd);
    return r;
}

static int
write_config(int dirfd, const struct train_spec *s, struct shard_error *err)
{
    json_t *obj = json_pack("{s:s, s:i, s:o, s:s, s:o}", "format", "shardline-run", "version", 1,
                            "options", train_options_to_json(&s->o), "snapshot", s->snapshot,
                            "classes", train_classes_to_json(&s->classes));
    char *text = json_dumps(obj, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    int r;

    json_decref(obj);
    if (text == NULL)
        return base_fail(err, -ENOMEM, CONFIG_FILE);
    r = base_replace_file(dirfd, CONFIG_FILE, text, strlen(text), err);
    free(text);
    return r;
}

static int
read_config(int dirfd, const char *dir, struct train_spec *s, struct shard_error *err)
{
    struct base_buf buf = {0};
    json_t *obj = NULL;
    const char *snapshot;
    int r;

    train_spec_init(s);
    r = base_read_file(dirfd, CONFIG_FILE, CONFIG_MAX, &buf, err);
    if (r == -ENOENT)
        r = base_fail(err, r, "%s is no run of shardtrain: it has no " CONFIG_FILE, dir);
    if (r < 0)
        goto out;
    obj = json_loadb((const char *)buf.data, buf.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    snapshot = json_string_value(json_object_get(obj, "snapshot"));
    if (snapshot == NULL || strlen(snapshot) != 32 ||
        json_integer_value(json_object_get(obj, "version")) != 1) {
        r = base_fail(err, SHARD_ECORRUPT, "%s/" CONFIG_FILE " cannot be understood", dir);
        goto out;
    }
    memcpy(s->snapshot, snapshot, 33);
    r = train_options_from_json(&s->o, json_object_get(obj, "options"), err);
    if (r >= 0)
        r = train_classes_from_json(&s->classes, json_object_get(obj, "classes"), err);
out:
    json_decref(obj);
    base_buf_done(&buf);
    if (r < 0)
        train_spec_done(s);
    return r;
}

int
train_run_spec(const char *dir, struct train_spec *ret_spec, struct shard_error *err)
{
    const int fd = train_run_open_dir(dir, err);
    int r;

    if (fd < 0)
        return fd;
    r = read_config(fd, dir, ret_spec, err);
    (void)close(fd);
    return r;
}

/* Metrics of steps after the checkpoint will be written again: cut them off. */
static int
open_metrics(struct run *run, struct shard_error *err)
{
    const int fd = openat(run->dirfd, METRICS_FILE, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    struct stat st;

    if (fd < 0)
        return base_fail(err, -errno, METRICS_FILE);
    if (fstat(fd, &st) == 0 && (uint64_t)st.st_size > run->pos.metrics_len &&
        ftruncate(fd, (off_t)run->pos.metrics_len) < 0) {
        const int e = errno;

        (void)close(fd);
        return base_fail(err, -e, METRICS_FILE);
    }
    run->metrics = fdopen(fd, "a");
    if (run->metrics == NULL) {
        (void)close(fd);
        return base_fail(err, -ENOMEM, METRICS_FILE);
    }
    return 0;
}

/* ---- the loop ---- */

static double
since(uint64_t ns)
{
    return (double)(base_now_ns() - ns) * 1e-9;
}

static double
rate_at(const struct run *run, uint64_t step)
{
    const struct train_options *o = &run->spec->o;

    if (o->schedule == TRAIN_LR_CONSTANT)
        return o->lr;
    return o->lr * (1 - (double)step / (double)run->feed->plan.stop_step);
}

static double
ratio(double a, double b)
{
    return b > 0 ? a / b : 0;
}

/* Mean loss of what was counted; rows of unknown classes have none. */
static double
mean_loss(const struct train_totals *t)
{
    return ratio(t->loss, (double)(t->rows - t->unknown));
}

static void
get_status(const struct run *run, double lr, struct train_status *ret)
{
    const double wall = since(run->start_ns);
    const struct train_feed_plan *plan = &run->feed->plan;

    *ret = (struct train_status){
        .step = run->pos.step,
        .n_steps = plan->stop_step,
        .epoch = (uint32_t)(run->pos.step / BASE_MAX(plan->steps_per_epoch, 1u)),
        .n_epochs = plan->epochs,
        .samples = run->pos.samples,
        .loss = mean_loss(&run->recent),
        .accuracy = ratio((double)run->recent.correct, (double)run->recent.rows),
        .lr = lr,
        .samples_per_second = ratio((double)(run->pos.samples - run->start_samples), wall),
        .stall_fraction = ratio((double)run->stall_ns * 1e-9, wall),
    };
}

static int
write_metrics(struct run *run, double lr, struct shard_error *err)
{
    struct train_status s;
    json_t *obj;
    char *text;
    int n;

    get_status(run, lr, &s);
    obj = json_pack("{s:I, s:i, s:I, s:f, s:f, s:f, s:f, s:f, s:f}", "step", (json_int_t)s.step,
                    "epoch", (int)s.epoch, "samples", (json_int_t)s.samples, "loss", s.loss,
                    "accuracy", s.accuracy, "lr", s.lr, "seconds", run->pos.seconds,
                    "samples_per_second", s.samples_per_second, "stall_fraction", s.stall_fraction);
    text = obj ? json_dumps(obj, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(obj);
    if (text == NULL)
        return base_fail(err, -ENOMEM, METRICS_FILE);
    n = fprintf(run->metrics, "%s\n", text);
    free(text);
    if (n < 0 || fflush(run->metrics) != 0)
        return base_fail(err, -errno, METRICS_FILE);
    run->pos.metrics_len += (uint64_t)n;
    if (run->env->progress != NULL)
        run->env->progress(run->env->user, &s);
    run->recent = (struct train_totals){0};
    return 0;
}

static int
fail_not_finite(const struct run *run, double lr, struct shard_error *err)
{
    return base_fail(err, SHARD_ELIMIT,
                     "the loss is not a finite number any more at step %" PRIu64 " (epoch %" PRIu64
                     ", lr %g): the rate is too high for these data, or the features hold huge or "
                     "non-finite numbers; try --lr %g. A checkpoint made before is kept",
                     run->pos.step, run->pos.step / run->feed->plan.steps_per_epoch, lr,
                     run->spec->o.lr / 5);
}

static int
save_checkpoint(struct run *run, struct shard_error *err)
{
    const uint64_t t = base_now_ns();
    int r;

    run->pos.seconds = run->start_seconds + since(run->start_ns);
    if (!train_model_is_finite(run->model))
        return fail_not_finite(run, rate_at(run, run->pos.step), err);
    r = base_fsync(fileno(run->metrics), METRICS_FILE, err); /* pos.metrics_len must be true */
    if (r < 0)
        return r;
    r = train_checkpoint_write(run->dirfd, run->model, &run->pos, run->config_hash,
                               run->spec->snapshot, err);
    run->last_save_ns = base_now_ns();
    run->save_ns += run->last_save_ns - t;
    return r;
}

static bool
checkpoint_is_due(const struct run *run)
{
    const struct train_options *o = &run->spec->o;
    const uint64_t seconds =
        o->checkpoint_seconds ? o->checkpoint_seconds : TRAIN_CHECKPOINT_SECONDS;

    if (run->pos.step == run->feed->plan.stop_step)
        return false;
    if (o->checkpoint_steps > 0)
        return run->pos.step % o->checkpoint_steps == 0;
    return base_now_ns() - run->last_save_ns >= seconds * 1000000000u;
}

/* The next batch: 1, 0 at the end or when told to stop (*stopped). */
static int
next_batch(struct run *run, struct train_batch *b, bool *stopped, struct shard_error *err)
{
    const uint64_t t = base_now_ns();
    int r;

    do {
        *stopped = run->env->stop != NULL && run->env->stop(run->env->user);
        r = *stopped ? 0 : run->feed->next(run->feed, b, POLL_MS, err);
    } while (r == -ETIMEDOUT);
    run->stall_ns += base_now_ns() - t;
    return r;
}

static int
take_step(struct run *run, const struct train_batch *b, struct shard_error *err)
{
    const double lr = rate_at(run, b->step);
    struct train_totals t = {0};
    int r;

    if (b->step != run->pos.step)
        return base_fail(err, SHARD_ECORRUPT, "the loader gave step %" PRIu64 ", not %" PRIu64,
                         b->step, run->pos.step);
    if (b->step > 0 && b->step % run->feed->plan.steps_per_epoch == 0) {
        run->pos.before = run->pos.epoch;
        run->pos.epoch = (struct train_totals){0};
    }
    r = train_step_learn(run->step, b, lr, &t, err);
    if (r < 0)
        return r;
    if (!isfinite(t.loss))
        return fail_not_finite(run, lr, err);
    run->pos.step++;
    run->pos.samples += b->n_rows;
    train_totals_add(&run->pos.epoch, &t);
    train_totals_add(&run->recent, &t);
    run->pos.seconds = run->start_seconds + since(run->start_ns);
    if (run->pos.step % run->interval == 0 || run->pos.step == run->feed->plan.stop_step)
        r = write_metrics(run, lr, err);
    return r;
}

static int
loop(struct run *run, bool *ret_stopped, struct shard_error *err)
{
    bool stopped = false;
    int r;

    run->start_ns = run->last_save_ns = base_now_ns();
    run->start_samples = run->pos.samples;
    run->start_seconds = run->pos.seconds;
    for (;;) {
        struct train_batch b;

        r = next_batch(run, &b, &stopped, err);
        if (r <= 0)
            break;
        r = take_step(run, &b, err);
        run->feed->release(run->feed, &b);
        if (r >= 0 && run->env->die_at_step != 0 && run->pos.step == run->env->die_at_step)
            return base_fail(err, -ECANCELED, "killed by the test");
        if (r >= 0 && checkpoint_is_due(run))
            r = save_checkpoint(run, err);
        if (r < 0)
            break;
    }
    *ret_stopped = stopped;
    if (r >= 0 && !stopped && run->pos.step != run->feed->plan.stop_step)
        return base_fail(err, SHARD_ECORRUPT, "the loader ended at step %" PRIu64 " of %" PRIu64,
                         run->pos.step, run->feed->plan.stop_step);
    return r;
}

/* ---- setting up ---- */

/* The budget is too small: find out what would do for both. */
static int
fail_budget(const struct run *run, const struct train_feed_opts *opts, uint64_t model_bytes,
            struct shard_error *err)
{
    struct train_feed_opts fo = *opts;
    struct train_model_opts mo;
    struct train_feed *feed;
    uint64_t least;
    int r;

    fo.memory = 0;
    r = run->env->open_feed(run->env->user, &fo, &feed, err);
    if (r < 0)
        return r;
    least = feed->plan.memory_min;
    feed->close(feed);
    train_spec_model_opts(run->spec, true, &mo);
    least = mo.growable ? 2 * least : least + model_bytes; /* what grows has half of it all */
    return base_fail(
        err, SHARD_EBUDGET,
        "--memory %" PRIu64 " is too small for this model and this order of rows: at "
        "least %" PRIu64 " bytes (%" PRIu64
        "M) will do; or take fewer --buckets, a smaller --window or fewer --partitions",
        run->spec->o.memory, least, (least >> 20) + 1);
}

static int
open_feed(struct run *run, uint64_t start_step, struct shard_error *err)
{
    const struct train_options *o = &run->spec->o;
    struct train_model_opts mo;
    const char **columns = calloc(o->n_columns + 1, sizeof(*columns));
    struct train_feed_opts fo;
    uint64_t model_bytes;
    int r;

    if (columns == NULL)
        return base_fail(err, -ENOMEM, "a feed");
    columns[0] = o->label;
    for (uint32_t i = 0; i < o->n_columns; i++)
        columns[i + 1] = o->columns[i];
    train_spec_model_opts(run->spec, true, &mo);
    model_bytes = mo.growable ? mo.memory : train_model_bytes(&mo);
    fo = (struct train_feed_opts){
        .path = o->dataset,
        .split = o->split,
        .columns = columns,
        .n_columns = o->n_columns + 1,
        .batch_size = o->batch_size,
        .partitions = o->partitions,
        .window = o->window,
        .epochs = o->epochs,
        .threads = o->threads,
        .seed = o->seed,
        .memory = o->memory > model_bytes ? o->memory - model_bytes
                  : o->memory             ? 1
                                          : 0,
        .start_step = start_step,
    };
    r = run->env->open_feed(run->env->user, &fo, &run->feed, err);
    if (r == SHARD_EBUDGET)
        r = fail_budget(run, &fo, model_bytes, err);
    free(columns);
    if (r >= 0 && strcmp(run->feed->plan.snapshot, run->spec->snapshot) != 0)
        return base_fail(err, SHARD_ECONFLICT,
                         "the dataset %s has changed: this run learns from snapshot %s, and the "
                         "newest is %s",
                         o->dataset, run->spec->snapshot, run->feed->plan.snapshot);
    return r;
}

/* The model in its first state or, for resume, in that of the last good checkpoint. */
static int
make_model(struct run *run, bool resume, struct shard_error *err)
{
    struct train_model_opts mo;
    int r;

    train_spec_model_opts(run->spec, true, &mo);
    r = train_model_new(&mo, &run->model, err);
    if (r >= 0 && resume)
        r = train_checkpoint_load(run->dirfd, run->model, run->config_hash, run->spec->snapshot,
                                  run->env->warn, run->env->user, &run->pos, err);
    return r;
}

static int
make_step(struct run *run, struct train_source *source, struct shard_error *err)
{
    const struct train_step_opts so = {run->spec->o.slices, run->spec->o.threads};

    train_spec_source(run->spec, true, source);
    return train_step_new(run->model, source, &run->spec->classes, true, &so, &run->step, err);
}

static int
finish(struct run *run, struct train_result *ret, struct shard_error *err)
{
    const uint64_t t = base_now_ns();
    int r;

    if (!train_model_is_finite(run->model))
        return fail_not_finite(run, rate_at(run, run->pos.step), err);
    ret->model_hash = train_model_hash(run->model);
    r = train_safetensors_write(run->dirfd, run->model, run->spec, ret->model_hash, err);
    run->save_ns += base_now_ns() - t;
    ret->finished = r >= 0;
    return r;
}

static int
run_all(struct run *run, bool resume, struct train_result *ret, struct shard_error *err)
{
    struct train_source source;
    double wall = 0;
    bool stopped = false;
    int r;

    run->config_hash = train_spec_hash(run->spec);
    r = make_model(run, resume, err);
    if (r >= 0 && resume)
        r = open_feed(run, run->pos.step, err);
    if (r >= 0)
        r = make_step(run, &source, err);
    if (r >= 0)
        r = open_metrics(run, err);
    if (r < 0)
        return r;
    run->interval = BASE_MAX(run->feed->plan.stop_step / INTERVALS, 1u);
    r = loop(run, &stopped, err);
    wall = since(run->start_ns);
    if (r >= 0 && stopped)
        r = save_checkpoint(run, err);
    else if (r >= 0)
        r = finish(run, ret, err);
    ret->step = run->pos.step;
    ret->n_steps = run->feed->plan.stop_step;
    ret->epoch = run->pos.epoch;
    ret->samples = run->pos.samples;
    ret->seconds = run->pos.seconds;
    ret->samples_per_second = ratio((double)(run->pos.samples - run->start_samples), wall);
    ret->stall_fraction = ratio((double)run->stall_ns * 1e-9, wall);
    ret->save_seconds = (double)run->save_ns * 1e-9;
    return r;
}

static void
run_done(struct run *run)
{
    if (run->metrics != NULL)
        (void)fclose(run->metrics);
    train_step_free(run->step);
    train_model_free(run->model);
    if (run->feed != NULL)
        run->feed->close(run->feed);
    if (run->dirfd >= 0)
        (void)close(run->dirfd);
}

int
train_run_fit(const char *dir, const struct train_spec *spec, const struct train_env *env,
              struct train_result *ret, struct shard_error *err)
{
    struct train_spec copy = *spec; /* shallow: spec keeps what it owns */
    struct run run = {.dirfd = -1, .spec = &copy, .env = env};
    int r;

    memset(ret, 0, sizeof(*ret));
    r = open_feed(&run, 0, err); /* reads ahead while the model is made */
    if (r < 0)
        goto out;
    copy.o.window = run.feed->plan.window; /* as the loader resolved it */
    run.dirfd = make_dir(dir, err);
    if (run.dirfd < 0) {
        r = run.dirfd;
        goto out;
    }
    r = write_config(run.dirfd, &copy, err);
    if (r >= 0)
        r = run_all(&run, false, ret, err);
out:
    run_done(&run);
    return r;
}

static void
override(struct train_options *o, const struct train_overrides *over)
{
    if (over == NULL)
        return;
    if (over->threads > 0)
        o->threads = over->threads;
    if (over->memory > 0)
        o->memory = over->memory;
    if (over->checkpoint_steps > 0 || over->checkpoint_seconds > 0) {
        o->checkpoint_steps = over->checkpoint_steps;
        o->checkpoint_seconds = over->checkpoint_seconds;
    }
}

/* Nothing to do: say what is there, once it has been read. */
static int
already_finished(struct run *run, struct train_result *ret, struct shard_error *err)
{
    struct train_model *model = NULL;
    struct train_spec spec;
    int r = train_safetensors_read(run->dirfd, &spec, &model, err);

    if (r < 0)
        return r;
    ret->finished = ret->was_finished = true;
    ret->model_hash = spec.model_hash;
    train_model_free(model);
    train_spec_done(&spec);
    return 0;
}

int
train_run_resume(const char *dir, const struct train_overrides *over, const struct train_env *env,
                 struct train_result *ret, struct shard_error *err)
{
    struct train_spec spec;
    struct run run = {.dirfd = -1, .spec = &spec, .env = env};
    int r;

    memset(ret, 0, sizeof(*ret));
    train_spec_init(&spec);
    run.dirfd = train_run_open_dir(dir, err);
    if (run.dirfd < 0)
        return run.dirfd;
    r = lock_dir(run.dirfd, dir, err);
    if (r >= 0)
        r = read_config(run.dirfd, dir, &spec, err);
    if (r < 0)
        goto out;
    override(&spec.o, over);
    if (faccessat(run.dirfd, TRAIN_MODEL_FILE, F_OK, 0) == 0)
        r = already_finished(&run, ret, err);
    else
        r = run_all(&run, true, ret, err);
out:
    run_done(&run);
    train_spec_done(&spec);
    return r;
}
