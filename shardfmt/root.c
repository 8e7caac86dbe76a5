/* Roots: what a snapshot is in a file. docs/format.md, "Datasets", is the specification; the schema
 * and the meaning of every fact stand here and there, and nowhere else.
 *
 * Whatever comes out of a file is hostile: texts may hold NUL bytes, paths may lead anywhere,
 * counts may contradict each other or overflow. It is refused here, so that nobody behind has to
 * ask. */
#include "config.h"

#include "shardfmt/manifest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/arith.h"
#include "lib/fail.h"
#include "shardfmt/cells.h"
#include "shardfmt/newer.h"
#include "shardfmt/utf8.h"

enum { ROOT_KIND, ROOT_NAME, ROOT_NUMBER, ROOT_BYTES, ROOT_HASH, ROOT_TEXT, ROOT_N_COLUMNS };
static const struct fmt_table_field root_fields[ROOT_N_COLUMNS] = {
    {"kind", SHARD_TYPE_STRING, 0},   {"name", SHARD_TYPE_STRING, 0},
    {"number", SHARD_TYPE_UINT64, 0}, {"bytes", SHARD_TYPE_UINT64, 0},
    {"hash", SHARD_TYPE_BINARY, 0},   {"text", SHARD_TYPE_STRING, 0},
};

/* ------------------------------------------------------------------------------ loading a root */

/* What is loaded, and where, for messages. */
struct root_load {
    struct fmt_snapshot s;
    const char *path;
    bool seen_parent, seen_fingerprint;
    struct shard_error *err;
};

/* A type that this build does not know keeps its text, without the ? at its end. */
static void
column_unknown(const char *text, struct shard_field *f)
{
    const size_t len = strlen(text);

    f->nullable = len > 0 && text[len - 1] == '?';
    f->params = text;
    f->params_len = (uint32_t)(len - f->nullable);
}

static int
fact_column(struct root_load *l, const struct fmt_fact *f)
{
    struct shard_field field = {.name = f->name, .flags = (uint32_t)f->number};
    int r;

    if (f->number > UINT32_MAX || !fmt_utf8_ok(f->name, strlen(f->name)))
        return base_fail(l->err, SHARD_ECORRUPT, "%s: column %" PRIu32 " has a bad name or flags",
                         l->path, l->s.schema.n_fields);
    if (strlen(f->text) >= SHARD_TYPE_NAME_MAX || !fmt_utf8_ok(f->text, strlen(f->text)))
        return base_fail(l->err, SHARD_ECORRUPT, "%s: column %" PRIu32 " has a bad type",
                         l->path, l->s.schema.n_fields);
    if (fmt_type_parse(f->text, &field, NULL) < 0)
        column_unknown(f->text, &field);
    r = fmt_schema_add_field(&l->s.schema, &field);
    if (r < 0)
        return base_fail(l->err, r == -ENOMEM ? r : SHARD_ECORRUPT,
                         "%s: column %" PRIu32 " cannot be", l->path, l->s.schema.n_fields);
    return 0;
}

static int
fact_split(struct root_load *l, const struct fmt_fact *f)
{
    uint64_t sum;
    int64_t i;

    if (!fmt_split_name_ok(f->name) || fmt_snapshot_split(&l->s, f->name, false) >= 0 ||
        l->s.n_splits >= FMT_SPLITS_MAX ||
        base_add_u64(fmt_snapshot_rows(&l->s), f->number, &sum) < 0)
        return base_fail(l->err, SHARD_ECORRUPT, "%s: split %" PRIu32 " cannot be", l->path,
                         l->s.n_splits);
    i = fmt_snapshot_split(&l->s, f->name, true);
    if (i < 0)
        return base_fail(l->err, (int)i, "%s", l->path);
    l->s.splits[i].n_rows = f->number;
    return 0;
}

static int
fact_segment(struct root_load *l, const struct fmt_fact *f)
{
    struct fmt_segment *g;
    char want[FMT_SEGMENT_PATH_MAX];

    fmt_segment_path(f->hash, want);
    if (strcmp(f->name, want) != 0)
        return base_fail(l->err, SHARD_ECORRUPT,
                         "%s: segment %" PRIu32 " is not named by its hash, %s", l->path,
                         l->s.n_segments, want);
    g = fmt_snapshot_new_segment(&l->s);
    if (g == NULL)
        return base_fail(l->err, -ENOMEM, "%s", l->path);
    g->hash = f->hash;
    g->n_rows = f->number;
    g->file_bytes = f->bytes;
    return 0;
}

static int
fact_quarantine(struct root_load *l, const struct fmt_fact *f)
{
    struct fmt_shard_entry *e;

    if (!fmt_path_ok(f->name, FMT_DIR_QUARANTINE))
        return base_fail(l->err, SHARD_ECORRUPT,
                         "%s: quarantine file %" PRIu32 " does not stand in %s/", l->path,
                         l->s.n_rejects, FMT_DIR_QUARANTINE);
    e = fmt_snapshot_new_reject(&l->s);
    if (e == NULL)
        return base_fail(l->err, -ENOMEM, "%s", l->path);
    e->path = fmt_snapshot_text(&l->s, f->name, strlen(f->name));
    e->split = "";
    if (e->path == NULL)
        return base_fail(l->err, -ENOMEM, "%s", l->path);
    e->n_rows = f->number;
    e->file_bytes = f->bytes;
    e->hash = f->hash;
    return 0;
}

static int
fact_parent(struct root_load *l, const struct fmt_fact *f)
{
    if (l->seen_parent || f->number == 0)
        return base_fail(l->err, SHARD_ECORRUPT, "%s: a parent that cannot be", l->path);
    l->seen_parent = true;
    l->s.parent_number = f->number;
    l->s.parent_hash = f->hash;
    return 0;
}

static int
fact_fingerprint(struct root_load *l, const struct fmt_fact *f)
{
    if (l->seen_fingerprint)
        return base_fail(l->err, SHARD_ECORRUPT, "%s: two fingerprints", l->path);
    l->seen_fingerprint = true;
    l->s.fingerprint = f->hash;
    return 0;
}

/* Use one fact. Sets *ret_keep where it stays in the list, for whoever asks for it. */
static int
fact_use(struct root_load *l, const struct fmt_fact *f, bool *ret_keep)
{
    static const struct {
        const char *kind;
        int (*use)(struct root_load *l, const struct fmt_fact *f);
    } own[] = {
        {"column", fact_column},         {"split", fact_split},   {"segment", fact_segment},
        {"quarantine", fact_quarantine}, {"parent", fact_parent}, {"fingerprint", fact_fingerprint},
    };

    *ret_keep = false;
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (strcmp(f->kind, own[i].kind) == 0)
            return own[i].use(l, f);
    if (f->kind[0] == '!')
        return base_fail(l->err, SHARD_EUNSUPPORTED,
                         "%s: the dataset needs \"%.64s\", which this build lacks" FMT_NEWER, l->path,
                         f->kind + 1);
    if (fmt_fact_kind_reserved(f->kind))
        return base_fail(l->err, SHARD_ECORRUPT, "%s: \"%.64s\" out of place", l->path, f->kind);
    *ret_keep = true;
    return 0;
}

/* The first fact must be the version, so that a reader knows before it reads on. */
static int
fact_format(struct root_load *l, const struct fmt_fact *f)
{
    if (strcmp(f->kind, "format") != 0)
        return base_fail(l->err, SHARD_ECORRUPT, "%s: the first fact is not \"format\"", l->path);
    if (f->number == 1)
        return base_fail(l->err, SHARD_EUNSUPPORTED,
                         "%s: version 1 of the dataset format, which only builds before the first "
                         "release wrote; this one reads version %u: make the dataset again",
                         l->path, FMT_DATASET_VERSION);
    if (f->number != FMT_DATASET_VERSION)
        return base_fail(l->err, SHARD_EUNSUPPORTED,
                         "%s: version %" PRIu64 " of the dataset format; this build knows %u" FMT_NEWER,
                         l->path, f->number, FMT_DATASET_VERSION);
    return 0;
}

static int
fact_read(struct root_load *l, const struct fmt_table *t, uint64_t row)
{
    struct fmt_fact f = {0}, *kept;
    bool keep = false;
    int r;

    r = fmt_cell_text(&t->arrays[ROOT_KIND], row, &f.kind);
    if (r >= 0)
        r = fmt_cell_text(&t->arrays[ROOT_NAME], row, &f.name);
    if (r >= 0)
        r = fmt_cell_text(&t->arrays[ROOT_TEXT], row, &f.text);
    if (r >= 0)
        r = fmt_cell_hash(&t->arrays[ROOT_HASH], row, &f.hash);
    if (r < 0) {
        (void)base_fail(l->err, r, "%s: fact %" PRIu64 " has a bad text or hash", l->path, row);
        goto out;
    }
    f.number = fmt_cell_u64(&t->arrays[ROOT_NUMBER], row);
    f.bytes = fmt_cell_u64(&t->arrays[ROOT_BYTES], row);
    r = row == 0 ? fact_format(l, &f) : fact_use(l, &f, &keep);
    if (r < 0 || !keep)
        goto out;
    kept = fmt_snapshot_new_fact(&l->s);
    if (kept == NULL) {
        r = base_fail(l->err, -ENOMEM, "%s", l->path);
        goto out;
    }
    *kept = f;
    return 0;
out:
    free(f.kind);
    free(f.name);
    free(f.text);
    return r;
}

static int
columns_check(const struct fmt_schema *s, const char *path, struct shard_error *err)
{
    int64_t twice;

    if (s->n_fields == 0)
        return base_fail(err, SHARD_ECORRUPT, "%s: no columns", path);
    twice = fmt_schema_find_double(s);
    if (twice == -ENOMEM)
        return base_fail(err, -ENOMEM, "%s: %" PRIu32 " columns", path, s->n_fields);
    if (twice >= 0)
        return base_fail(err, SHARD_ECORRUPT, "%s: two columns named %s", path,
                         s->fields[twice].name);
    return 0;
}

/* What only the whole root shows. */
static int
root_check(const struct root_load *l, uint64_t number)
{
    const struct fmt_snapshot *s = &l->s;
    uint64_t rows = 0;
    int r;

    if (number != s->parent_number + 1)
        return base_fail(l->err, SHARD_ECORRUPT,
                         "%s: this is the root that follows number %" PRIu64
                         "; the file was renamed or copied",
                         l->path, s->parent_number);
    if (!l->seen_fingerprint)
        return base_fail(l->err, SHARD_ECORRUPT, "%s: no fingerprint", l->path);
    r = columns_check(&s->schema, l->path, l->err);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < s->n_segments; i++)
        if (base_add_u64(rows, s->segments[i].n_rows, &rows) < 0)
            return base_fail(l->err, SHARD_ECORRUPT, "%s: too many rows", l->path);
    if (rows != fmt_snapshot_rows(s))
        return base_fail(l->err, SHARD_ECORRUPT,
                         "%s: the segments have %" PRIu64 " rows, the splits %" PRIu64, l->path,
                         rows, fmt_snapshot_rows(s));
    return 0;
}

int
fmt_root_load(int dirfd, const char *path, uint64_t number, struct fmt_snapshot *ret,
              struct shard_error *err)
{
    struct root_load l = {.path = path, .err = err};
    struct fmt_table t;
    int r;

    fmt_snapshot_init(ret);
    fmt_snapshot_init(&l.s);
    r = fmt_manifest_load(dirfd, path, root_fields, ROOT_N_COLUMNS, (1u << ROOT_N_COLUMNS) - 1,
                          &t, err);
    if (r < 0)
        return r;
    for (uint64_t row = 0; r >= 0 && row < t.n_rows; row++)
        r = fact_read(&l, &t, row);
    if (r >= 0)
        r = root_check(&l, number);
    l.s.number = number;
    l.s.hash = t.hash;
    l.s.ro_compat = t.ro_compat;
    fmt_table_done(&t);
    if (r < 0) {
        fmt_snapshot_done(&l.s);
        return r;
    }
    *ret = l.s;
    return 0;
}

int
fmt_splits_check(const struct fmt_snapshot *s, const char *root_path, struct shard_error *err)
{
    uint64_t *rows = calloc(s->n_splits ? s->n_splits : 1, sizeof(*rows));
    int r = 0;

    if (rows == NULL)
        return base_fail(err, -ENOMEM, "%s", root_path);
    for (uint32_t i = 0; i < s->n_shards; i++) /* no overflow: the segments' sums were checked */
        rows[s->shards[i].split_index] += s->shards[i].n_rows;
    for (uint32_t i = 0; r >= 0 && i < s->n_splits; i++)
        if (rows[i] != s->splits[i].n_rows)
            r = base_fail(err, SHARD_ECORRUPT,
                          "%s: split %s has %" PRIu64 " rows, its shards have %" PRIu64, root_path,
                          s->splits[i].name, s->splits[i].n_rows, rows[i]);
    free(rows);
    return r;
}

int
fmt_snapshot_load(int dirfd, uint64_t number, struct fmt_snapshot *ret, struct shard_error *err)
{
    char path[FMT_ROOT_PATH_MAX];
    int r;

    fmt_root_path(number, path);
    r = fmt_root_load(dirfd, path, number, ret, err);
    for (uint32_t i = 0; r >= 0 && i < ret->n_segments; i++)
        r = fmt_segment_load(dirfd, ret, i, err);
    if (r >= 0)
        r = fmt_splits_check(ret, path, err);
    if (r < 0)
        fmt_snapshot_done(ret);
    return r;
}

int
fmt_snapshot_load_stats(int dirfd, struct fmt_snapshot *s, struct shard_error *err)
{
    int r = 0;

    for (uint32_t i = 0; r >= 0 && i < s->n_segments; i++)
        r = fmt_segment_load_stats(dirfd, s, i, err);
    return r;
}

/* ------------------------------------------------------------------------------------- writing */

static int
put_fact(struct fmt_builder *b, const char *kind, const char *name, uint64_t number, uint64_t bytes,
         struct base_hash128 hash, const char *text)
{
    int r = fmt_put_text(&b->cols[ROOT_KIND], kind);

    if (r >= 0)
        r = fmt_put_text(&b->cols[ROOT_NAME], name);
    if (r >= 0)
        r = fmt_column_append_number(&b->cols[ROOT_NUMBER], &number);
    if (r >= 0)
        r = fmt_column_append_number(&b->cols[ROOT_BYTES], &bytes);
    if (r >= 0)
        r = fmt_put_hash(&b->cols[ROOT_HASH], hash);
    if (r >= 0)
        r = fmt_put_text(&b->cols[ROOT_TEXT], text);
    return r;
}

/* The facts that the fields of s are made of, in the order of docs/format.md. */
static int
put_own_facts(struct fmt_builder *b, const struct fmt_snapshot *s)
{
    const struct base_hash128 none = {0, 0};
    char text[FMT_SEGMENT_PATH_MAX], type[SHARD_TYPE_NAME_MAX];
    int r = put_fact(b, "format", "shardline", FMT_DATASET_VERSION, 0, none, "");

    if (r >= 0 && s->parent_number)
        r = put_fact(b, "parent", "", s->parent_number, 0, s->parent_hash, "");
    if (r >= 0)
        r = put_fact(b, "fingerprint", "", 0, 0, s->fingerprint, "");
    for (uint32_t i = 0; r >= 0 && i < s->schema.n_fields; i++) {
        const struct shard_field *f = &s->schema.fields[i];

        r = put_fact(b, "column", f->name, f->flags, 0, none, shard_field_type_name(f, type));
    }
    for (uint32_t i = 0; r >= 0 && i < s->n_splits; i++)
        r = put_fact(b, "split", s->splits[i].name, s->splits[i].n_rows, 0, none, "");
    for (uint32_t i = 0; r >= 0 && i < s->n_segments; i++) {
        const struct fmt_segment *g = &s->segments[i];

        fmt_segment_path(g->hash, text);
        r = put_fact(b, "segment", text, g->n_rows, g->file_bytes, g->hash, "");
    }
    for (uint32_t i = 0; r >= 0 && i < s->n_rejects; i++) {
        const struct fmt_shard_entry *e = &s->rejects[i];

        r = put_fact(b, "quarantine", e->path, e->n_rows, e->file_bytes, e->hash, "");
    }
    return r;
}

int
fmt_root_write(int dirfd, const char *path, const struct fmt_snapshot *s,
               struct base_hash128 *ret_hash, struct shard_error *err)
{
    struct fmt_table_info info;
    struct fmt_builder b;
    int r;

    r = fmt_builder_init(&b, root_fields, ROOT_N_COLUMNS);
    if (r >= 0)
        r = put_own_facts(&b, s);
    for (uint32_t i = 0; r >= 0 && i < s->n_facts; i++) {
        const struct fmt_fact *f = &s->facts[i];

        r = put_fact(&b, f->kind, f->name, f->number, f->bytes, f->hash, f->text);
    }
    if (r < 0)
        (void)base_fail(err, r, "%s: the root's %" PRIu32 " facts", path, s->n_facts);
    else
        r = fmt_table_write(dirfd, path, &b.schema, b.cols,
                            s->n_shards < FMT_MANIFEST_LARGE ? FMT_TABLE_LEVEL : 0, &info, err);
    if (r >= 0)
        *ret_hash = info.hash;
    fmt_builder_done(&b);
    return r;
}
