#include "config.h"

#include "train/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/compiler.h"
#include "lib/fail.h"
#include "lib/hash.h"
#include "lib/pool.h"

static const char *const model_names[] = {"text", "linear"};
static const char *const input_names[] = {"text", "sparse", "numbers"};
static const char *const optimizer_names[] = {"sgd", "adagrad"};
static const char *const schedule_names[] = {"linear", "constant"};

const char *
train_model_kind_name(enum train_model_kind kind)
{
    return model_names[kind];
}

const char *
train_optimizer_name(enum train_optimizer o)
{
    return optimizer_names[o];
}

void
train_spec_init(struct train_spec *s)
{
    memset(s, 0, sizeof(*s));
}

static void
options_done(struct train_options *o)
{
    for (uint32_t i = 0; i < o->n_columns; i++)
        free(o->columns[i]);
    free(o->columns);
    free(o->dataset);
    free(o->split);
    free(o->label);
    memset(o, 0, sizeof(*o));
}

void
train_spec_done(struct train_spec *s)
{
    options_done(&s->o);
    train_classes_done(&s->classes);
}

/* ---- checks and defaults ---- */

static uint32_t
gcd(uint32_t a, uint32_t b)
{
    while (b != 0) {
        const uint32_t t = a % b;

        a = b;
        b = t;
    }
    return a;
}

static double
default_lr(const struct train_options *o)
{
    if (o->model == TRAIN_MODEL_TEXT)
        return o->optimizer == TRAIN_SGD ? 0.5 : 0.05;
    return o->optimizer == TRAIN_SGD ? 0.02 : 0.2;
}

static int
check_batches(struct train_options *o, struct shard_error *err)
{
    if (o->batch_size == 0)
        o->batch_size = o->partitions > 0 ? 128 / gcd(128, o->partitions) * o->partitions : 128;
    if (o->partitions == 0)
        o->partitions = gcd(o->batch_size, 16);
    if (o->batch_size % o->partitions != 0)
        return base_fail(err, SHARD_EPARSE, "--batch-size %u is not a multiple of --partitions %u",
                         o->batch_size, o->partitions);
    if (o->slices == 0) {
        o->slices = BASE_MIN(o->partitions, 8u);
        while (o->partitions % o->slices != 0)
            o->slices--;
    }
    if (o->partitions % o->slices != 0)
        return base_fail(err, SHARD_EPARSE, "--slices %u does not divide the %u partitions",
                         o->slices, o->partitions);
    return 0;
}

int
train_options_check(struct train_options *o, struct shard_error *err)
{
    int r;

    if (o->epochs == 0)
        o->epochs = 5;
    r = check_batches(o, err);
    if (r < 0)
        return r;
    if (o->threads == 0)
        o->threads = base_cpu_count();
    if (o->lr == 0)
        o->lr = default_lr(o);
    if (o->dim == 0)
        o->dim = 16;
    if (o->word_ngrams == 0)
        o->word_ngrams = 1;
    if (o->word_ngrams > TRAIN_WORD_NGRAMS_MAX)
        return base_fail(err, SHARD_EPARSE, "--word-ngrams is at most %u", TRAIN_WORD_NGRAMS_MAX);
    if (o->maxn > 0 && o->minn == 0)
        o->minn = 1;
    if (o->minn > o->maxn)
        return base_fail(err, SHARD_EPARSE, "--minn %u is more than --maxn %u", o->minn, o->maxn);
    if (o->model == TRAIN_MODEL_TEXT && o->buckets == 0)
        o->buckets = 2000000;
    return 0;
}

/* ---- columns ---- */

static int
fail_columns(const struct shard_dataset *ds, const char *what, struct shard_error *err)
{
    struct base_buf list = {0};
    int r = 0;

    for (uint32_t i = 0; i < shard_dataset_n_columns(ds) && r >= 0 && list.len < 400; i++) {
        const struct shard_field *f = shard_dataset_field(ds, i);
        char type[SHARD_TYPE_NAME_MAX];

        r = base_buf_printf(&list, "%s%s:%s", i ? ", " : "", f->name,
                            shard_field_type_name(f, type));
    }
    r = base_fail(err, SHARD_EPARSE, "%s; the dataset's columns are: %.*s", what, (int)list.len,
                  list.data ? (const char *)list.data : "");
    base_buf_done(&list);
    return r;
}

static int
set_string(char **to, const char *text, struct shard_error *err)
{
    char *copy = strdup(text);

    if (copy == NULL)
        return base_fail(err, -ENOMEM, "a name");
    free(*to);
    *to = copy;
    return 0;
}

static int
set_one_column(struct train_options *o, const char *name, struct shard_error *err)
{
    o->columns = calloc(1, sizeof(*o->columns));
    if (o->columns == NULL)
        return base_fail(err, -ENOMEM, "a name");
    o->n_columns = 1;
    return set_string(&o->columns[0], name, err);
}

/* No columns were given: "text" or "features", or else the only one of a type that fits. */
static int
guess_columns(struct train_options *o, const struct shard_dataset *ds, struct shard_error *err)
{
    const bool text = o->model == TRAIN_MODEL_TEXT;
    const char *usual = text ? "text" : "features", *only = NULL;
    const enum train_source_kind kind = text ? TRAIN_SOURCE_TEXT : TRAIN_SOURCE_SPARSE;
    uint32_t n = 0;

    for (uint32_t i = 0; i < shard_dataset_n_columns(ds); i++) {
        const struct shard_field *f = shard_dataset_field(ds, i);

        if (!train_source_takes(kind, f->type) || (f->flags & SHARD_FIELD_EXTRA) ||
            strcmp(f->name, o->label) == 0)
            continue;
        if (strcmp(f->name, usual) == 0)
            return set_one_column(o, usual, err);
        only = f->name;
        n++;
    }
    if (n == 1)
        return set_one_column(o, only, err);
    return fail_columns(ds,
                        text ? "say which column to learn from: --text COLUMN"
                             : "say which columns to learn from: --features COLUMN,...",
                        err);
}

static const struct shard_field *
find_field(const struct shard_dataset *ds, const char *name)
{
    const int64_t i = shard_dataset_find_column(ds, name);

    return i < 0 ? NULL : shard_dataset_field(ds, (uint32_t)i);
}

static int
check_column(const struct train_options *o, const struct shard_dataset *ds, const char *name,
             struct shard_error *err)
{
    static const char *const wanted[] = {"a string or binary column", "a sparse column",
                                         "a column of numbers"};
    const struct shard_field *f = find_field(ds, name);
    char what[300], type[SHARD_TYPE_NAME_MAX];

    if (f == NULL) {
        (void)snprintf(what, sizeof(what), "there is no column \"%.200s\"", name);
        return fail_columns(ds, what, err);
    }
    if (!train_source_takes(o->input, f->type)) {
        (void)snprintf(what, sizeof(what), "column \"%.100s\" is %s, and %s is needed", name,
                       shard_field_type_name(f, type), wanted[o->input]);
        return fail_columns(ds, what, err);
    }
    return 0;
}

static int
resolve_columns(struct train_options *o, const struct shard_dataset *ds, struct shard_error *err)
{
    const struct shard_field *f;
    int r = 0;

    if (o->n_columns == 0)
        r = guess_columns(o, ds, err);
    if (r < 0)
        return r;
    f = find_field(ds, o->columns[0]);
    if (o->model == TRAIN_MODEL_TEXT)
        o->input = TRAIN_SOURCE_TEXT;
    else if (f != NULL && o->n_columns == 1 && f->type == SHARD_TYPE_SPARSE)
        o->input = TRAIN_SOURCE_SPARSE;
    else if (f != NULL && o->n_columns == 1 && train_source_takes(TRAIN_SOURCE_TEXT, f->type))
        o->input = TRAIN_SOURCE_TEXT;
    else
        o->input = TRAIN_SOURCE_NUMBERS;
    if (o->input == TRAIN_SOURCE_TEXT && o->buckets == 0)
        o->buckets = 2000000;
    for (uint32_t i = 0; i < o->n_columns && r >= 0; i++) {
        if (strcmp(o->columns[i], o->label) == 0)
            r = base_fail(err, SHARD_EPARSE, "column \"%s\" cannot be both label and feature",
                          o->label);
        else
            r = check_column(o, ds, o->columns[i], err);
    }
    return r;
}

/* ---- classes ---- */

static int
read_classes(struct train_spec *s, struct shard_dataset *ds, uint32_t split, uint32_t col,
             struct shard_error *err)
{
    struct shard_group *g = NULL;
    int r = shard_group_new(&g);

    if (r < 0)
        return base_fail(err, r, "a row group");
    for (uint64_t i = 0; i < shard_dataset_n_groups(ds) && r >= 0; i++) {
        struct shard_group_info info;

        shard_dataset_group_info(ds, i, &info);
        if (info.split != split)
            continue;
        r = shard_dataset_read_group(ds, i, &col, 1, g, err);
        if (r >= 0)
            r = train_classes_add(&s->classes, shard_group_array(g, 0), err);
    }
    shard_group_free(g);
    if (r >= 0)
        r = train_classes_finish(&s->classes, err);
    if (r >= 0 && s->classes.n < 2)
        r = base_fail(err, SHARD_EPARSE, "every label in the split is \"%s\": nothing to learn",
                      s->classes.list[0].name);
    return r;
}

static int
resolve_split(struct train_options *o, const struct shard_dataset *ds, uint32_t *ret,
              struct shard_error *err)
{
    const uint32_t n = shard_dataset_n_splits(ds);
    char list[300] = "";
    int64_t i;
    int r = 0;

    if (o->split == NULL)
        r = set_string(&o->split, n == 1 ? shard_dataset_split_name(ds, 0) : "train", err);
    if (r < 0)
        return r;
    i = shard_dataset_find_split(ds, o->split);
    if (i < 0) {
        for (uint32_t k = 0; k < n; k++)
            (void)snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", k ? ", " : "",
                           shard_dataset_split_name(ds, k));
        return base_fail(err, SHARD_EPARSE, "there is no split \"%s\"; there are: %s", o->split,
                         list);
    }
    if (shard_dataset_split_rows(ds, (uint32_t)i) == 0)
        return base_fail(err, SHARD_EPARSE, "split \"%s\" has no rows", o->split);
    *ret = (uint32_t)i;
    return 0;
}

static int
resolve_label(struct train_options *o, const struct shard_dataset *ds, enum train_label_kind *kind,
              uint32_t *ret_col, struct shard_error *err)
{
    char what[300], type[SHARD_TYPE_NAME_MAX];
    const struct shard_field *f;
    int64_t col;
    int r = 0;

    if (o->label == NULL)
        r = set_string(&o->label, "label", err);
    if (r < 0)
        return r;
    col = shard_dataset_find_column(ds, o->label);
    if (col < 0) {
        (void)snprintf(what, sizeof(what), "there is no column \"%.200s\" (--label)", o->label);
        return fail_columns(ds, what, err);
    }
    f = shard_dataset_field(ds, (uint32_t)col);
    if (!train_label_kind_of(f->type, kind)) {
        (void)snprintf(what, sizeof(what),
                       "the label column \"%.100s\" is %s, which names no class", o->label,
                       shard_field_type_name(f, type));
        return fail_columns(ds, what, err);
    }
    *ret_col = (uint32_t)col;
    return 0;
}

int
train_spec_resolve(struct train_spec *s, struct shard_error *err)
{
    struct shard_dataset *ds = NULL;
    enum train_label_kind kind = TRAIN_LABEL_STRING;
    uint32_t split = 0, label = 0;
    int r;

    r = train_options_check(&s->o, err);
    if (r >= 0)
        r = shard_dataset_open(s->o.dataset, &ds, err);
    if (r < 0)
        return r;
    r = resolve_split(&s->o, ds, &split, err);
    if (r >= 0)
        r = resolve_label(&s->o, ds, &kind, &label, err);
    if (r >= 0)
        r = resolve_columns(&s->o, ds, err);
    if (r >= 0) {
        (void)snprintf(s->snapshot, sizeof(s->snapshot), "%s", shard_dataset_snapshot(ds));
        train_classes_done(&s->classes);
        train_classes_init(&s->classes, kind);
        r = read_classes(s, ds, split, label, err);
    }
    shard_dataset_close(ds);
    return r;
}

int
train_spec_fits(const struct train_spec *s, const struct shard_dataset *ds, bool need_label,
                bool *ret_label, struct shard_error *err)
{
    const struct shard_field *label = find_field(ds, s->o.label);
    enum train_label_kind kind;
    char what[300];
    int r = 0;

    for (uint32_t i = 0; i < s->o.n_columns && r >= 0; i++)
        r = check_column(&s->o, ds, s->o.columns[i], err);
    if (r < 0)
        return r;
    *ret_label =
        label != NULL && train_label_kind_of(label->type, &kind) && kind == s->classes.kind;
    if (need_label && !*ret_label) {
        (void)snprintf(what, sizeof(what),
                       "there is no column \"%.200s\" with labels as in training", s->o.label);
        return fail_columns(ds, what, err);
    }
    return 0;
}

/* ---- what follows from a spec ---- */

void
train_spec_model_opts(const struct train_spec *s, bool trainable, struct train_model_opts *ret)
{
    const struct train_options *o = &s->o;

    *ret = (struct train_model_opts){
        .kind = o->model,
        .optimizer = o->optimizer,
        .n_classes = s->classes.n,
        .dim = o->dim,
        .n_table = o->buckets,
        .growable = o->input == TRAIN_SOURCE_SPARSE && o->buckets == 0,
        .trainable = trainable,
        .memory = o->memory, /* what can grow shares it with the loader by halves */
        .seed = o->seed,
    };
    if (ret->growable)
        ret->memory = o->memory / 2;
    if (o->input == TRAIN_SOURCE_NUMBERS)
        ret->n_table = o->n_columns;
}

void
train_spec_source(const struct train_spec *s, bool has_label, struct train_source *ret)
{
    const struct train_options *o = &s->o;

    *ret = (struct train_source){
        .kind = o->input,
        .col0 = has_label ? 1 : 0,
        .n_cols = o->n_columns,
        .buckets = o->buckets,
        .ngram = {o->word_ngrams, o->minn, o->maxn, o->buckets},
    };
}

/* ---- JSON ---- */

static json_t *
columns_to_json(const struct train_options *o)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < o->n_columns; i++)
        json_array_append_new(list, json_string(o->columns[i]));
    return list;
}

/* Those that have a say in the result. */
static json_t *
identity_to_json(const struct train_options *o)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
                     "s:I, s:I, s:f, s:I}",
                     "model", model_names[o->model], "input", input_names[o->input], "optimizer",
                     optimizer_names[o->optimizer], "lr_schedule", schedule_names[o->schedule],
                     "split", o->split, "label", o->label, "columns", columns_to_json(o), "epochs",
                     (json_int_t)o->epochs, "batch_size", (json_int_t)o->batch_size, "partitions",
                     (json_int_t)o->partitions, "slices", (json_int_t)o->slices, "window",
                     (json_int_t)o->window, "dim", (json_int_t)o->dim, "word_ngrams",
                     (json_int_t)o->word_ngrams, "minn", (json_int_t)o->minn, "maxn",
                     (json_int_t)o->maxn, "buckets", (json_int_t)o->buckets, "lr", o->lr, "seed",
                     (json_int_t)o->seed);
}

json_t *
train_options_to_json(const struct train_options *o)
{
    json_t *obj = identity_to_json(o);

    json_object_set_new(obj, "dataset", json_string(o->dataset));
    json_object_set_new(obj, "threads", json_integer(o->threads));
    json_object_set_new(obj, "memory", json_integer((json_int_t)o->memory));
    json_object_set_new(obj, "checkpoint_steps", json_integer((json_int_t)o->checkpoint_steps));
    json_object_set_new(obj, "checkpoint_seconds", json_integer(o->checkpoint_seconds));
    return obj;
}

static bool
get_word(const json_t *obj, const char *key, const char *const *words, size_t n_words, size_t *ret)
{
    const char *text = json_string_value(json_object_get(obj, key));

    for (size_t i = 0; text != NULL && i < n_words; i++)
        if (strcmp(text, words[i]) == 0) {
            *ret = i;
            return true;
        }
    return false;
}

static bool
get_u32(const json_t *obj, const char *key, uint32_t min, uint32_t *ret)
{
    const json_t *v = json_object_get(obj, key);

    if (!json_is_integer(v) || json_integer_value(v) < (json_int_t)min ||
        json_integer_value(v) > UINT32_MAX)
        return false;
    *ret = (uint32_t)json_integer_value(v);
    return true;
}

static bool
get_text(const json_t *obj, const char *key, char **ret)
{
    const char *text = json_string_value(json_object_get(obj, key));

    if (text == NULL)
        return false;
    *ret = strdup(text);
    return *ret != NULL;
}

static bool
get_columns(const json_t *obj, struct train_options *o)
{
    const json_t *list = json_object_get(obj, "columns");
    const size_t n = json_array_size(list);

    if (n == 0 || n > UINT16_MAX)
        return false;
    o->columns = calloc(n, sizeof(*o->columns));
    if (o->columns == NULL)
        return false;
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_array_get(list, i));

        if (name == NULL || (o->columns[i] = strdup(name)) == NULL)
            return false;
        o->n_columns = (uint32_t)i + 1;
    }
    return true;
}

int
train_options_from_json(struct train_options *o, const json_t *obj, struct shard_error *err)
{
    size_t model = 0, input = 0, optimizer = 0, schedule = 0;
    const json_t *lr = json_object_get(obj, "lr");
    struct shard_error ignored;
    bool ok;

    memset(o, 0, sizeof(*o));
    ok = get_word(obj, "model", model_names, BASE_ARRAY_LEN(model_names), &model) &&
         get_word(obj, "input", input_names, BASE_ARRAY_LEN(input_names), &input) &&
         get_word(obj, "optimizer", optimizer_names, BASE_ARRAY_LEN(optimizer_names), &optimizer) &&
         get_word(obj, "lr_schedule", schedule_names, BASE_ARRAY_LEN(schedule_names), &schedule) &&
         get_text(obj, "split", &o->split) && get_text(obj, "label", &o->label) &&
         get_text(obj, "dataset", &o->dataset) && get_columns(obj, o) &&
         get_u32(obj, "epochs", 1, &o->epochs) && get_u32(obj, "batch_size", 1, &o->batch_size) &&
         get_u32(obj, "partitions", 1, &o->partitions) && get_u32(obj, "slices", 1, &o->slices) &&
         get_u32(obj, "window", 0, &o->window) && get_u32(obj, "dim", 1, &o->dim) &&
         get_u32(obj, "word_ngrams", 1, &o->word_ngrams) && get_u32(obj, "minn", 0, &o->minn) &&
         get_u32(obj, "maxn", 0, &o->maxn) && get_u32(obj, "buckets", 0, &o->buckets) &&
         get_u32(obj, "threads", 1, &o->threads) &&
         get_u32(obj, "checkpoint_seconds", 0, &o->checkpoint_seconds) && json_is_number(lr);
    if (ok) {
        o->model = (enum train_model_kind)model;
        o->input = (enum train_source_kind)input;
        o->optimizer = (enum train_optimizer)optimizer;
        o->schedule = (enum train_schedule)schedule;
        o->lr = json_number_value(lr);
        o->seed = (uint64_t)json_integer_value(json_object_get(obj, "seed"));
        o->memory = (uint64_t)json_integer_value(json_object_get(obj, "memory"));
        o->checkpoint_steps =
            (uint64_t)json_integer_value(json_object_get(obj, "checkpoint_steps"));
        /* Together they must make sense as well; text needs its buckets. */
        ok = train_options_check(o, &ignored) == 0 &&
             (o->input != TRAIN_SOURCE_TEXT || o->buckets > 0) &&
             (o->model != TRAIN_MODEL_TEXT || o->input == TRAIN_SOURCE_TEXT);
    }
    if (ok)
        return 0;
    options_done(o);
    return base_fail(err, SHARD_ECORRUPT, "the options kept with the model cannot be understood");
}

uint64_t
train_spec_hash(const struct train_spec *s)
{
    json_t *obj = identity_to_json(&s->o);
    char *text;
    uint64_t h;

    json_object_set_new(obj, "classes", train_classes_to_json(&s->classes));
    json_object_set_new(obj, "snapshot", json_string(s->snapshot));
    text = json_dumps(obj, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
    h = text ? base_hash64(text, strlen(text), 0) : 0;
    free(text);
    json_decref(obj);
    return h;
}
