/* Roots and segments: what a snapshot is in files. docs/format.md, "Datasets", is the specification;
 * the two schemas and the meaning of every fact stand here and there, and nowhere else.
 *
 * Whatever comes out of a file is hostile: texts may hold NUL bytes, paths may lead anywhere, counts
 * may contradict each other or overflow. It is refused here, so that nobody behind has to ask. */
#include "config.h"

#include "shardfmt/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/arith.h"
#include "lib/fail.h"
#include "shardfmt/table.h"
#include "shardfmt/utf8.h"

struct table_field {
    const char *name;
    enum shard_type type, elem;
};

enum { ROOT_KIND, ROOT_NAME, ROOT_NUMBER, ROOT_BYTES, ROOT_HASH, ROOT_TEXT, ROOT_N_COLUMNS };
static const struct table_field root_fields[ROOT_N_COLUMNS] = {
    {"kind", SHARD_TYPE_STRING, 0},   {"name", SHARD_TYPE_STRING, 0},
    {"number", SHARD_TYPE_UINT64, 0}, {"bytes", SHARD_TYPE_UINT64, 0},
    {"hash", SHARD_TYPE_BINARY, 0},   {"text", SHARD_TYPE_STRING, 0},
};

enum {
    SEG_PATH,
    SEG_SPLIT,
    SEG_ROWS,
    SEG_FILE_BYTES,
    SEG_RAW_BYTES,
    SEG_FOOTER_BYTES,
    SEG_HASH,
    SEG_GROUP_ROWS,
    SEG_N_COLUMNS
};
static const struct table_field segment_fields[SEG_N_COLUMNS] = {
    {"path", SHARD_TYPE_STRING, 0},         {"split", SHARD_TYPE_STRING, 0},
    {"rows", SHARD_TYPE_UINT64, 0},         {"file_bytes", SHARD_TYPE_UINT64, 0},
    {"raw_bytes", SHARD_TYPE_UINT64, 0},    {"footer_bytes", SHARD_TYPE_UINT32, 0},
    {"hash", SHARD_TYPE_BINARY, 0},         {"group_rows", SHARD_TYPE_LIST, SHARD_TYPE_UINT32},
};

void
fmt_segment_path(struct base_hash128 hash, char ret[FMT_SEGMENT_PATH_MAX])
{
    char hex[BASE_HEX128_LEN + 1];

    base_hex128(hash, hex);
    (void)snprintf(ret, FMT_SEGMENT_PATH_MAX, "%s/%s.seg", FMT_DIR_SEGMENTS, hex);
}

static int
schema_make(struct fmt_schema *s, const struct table_field *fields, size_t n)
{
    int r = 0;

    fmt_schema_init(s);
    for (size_t i = 0; r >= 0 && i < n; i++)
        r = fmt_schema_add(s, fields[i].name, fields[i].type, fields[i].elem, false, 0);
    if (r < 0)
        fmt_schema_done(s);
    return r;
}

static int
table_load(int dirfd, const char *path, const struct table_field *fields, size_t n,
           struct fmt_table *ret, struct shard_error *err)
{
    struct fmt_schema schema;
    int r = schema_make(&schema, fields, n);

    if (r < 0)
        return base_fail(err, r, "%s", path);
    r = fmt_table_load(dirfd, path, &schema, ret, err);
    fmt_schema_done(&schema);
    return r;
}

/* A copy of a text cell as a C string. */
static int
cell_text(const struct shard_array *a, uint64_t row, char **ret)
{
    size_t len;
    const char *p = fmt_table_bytes(a, row, &len);

    if (len && memchr(p, '\0', len))
        return SHARD_ECORRUPT;
    *ret = malloc(len + 1);
    if (*ret == NULL)
        return -ENOMEM;
    if (len)
        memcpy(*ret, p, len);
    (*ret)[len] = '\0';
    return 0;
}

/* A hash cell: 16 bytes, or none for a fact that has no hash. */
static int
cell_hash(const struct shard_array *a, uint64_t row, struct base_hash128 *ret)
{
    size_t len;
    const char *p = fmt_table_bytes(a, row, &len);

    if (len == 0) {
        *ret = (struct base_hash128){0, 0};
        return 0;
    }
    if (len != 16)
        return SHARD_ECORRUPT;
    *ret = base_hash128_load((const uint8_t *)p);
    return 0;
}

static uint64_t
cell_u64(const struct shard_array *a, uint64_t row)
{
    return ((const uint64_t *)a->values)[row];
}

/* ------------------------------------------------------------------------------ loading a root */

/* What is loaded, and where, for messages. */
struct root_load {
    struct fmt_snapshot s;
    const char *path;
    bool seen_parent, seen_fingerprint;
    struct shard_error *err;
};

static int
fact_column(struct root_load *l, const struct fmt_fact *f)
{
    enum shard_type type, elem;
    bool nullable;
    int r;

    if (f->number > UINT32_MAX || !fmt_utf8_ok(f->name, strlen(f->name)))
        return base_fail(l->err, SHARD_ECORRUPT, "%s: column %" PRIu32 " has a bad name or flags",
                         l->path, l->s.schema.n_fields);
    r = fmt_type_parse(f->text, &type, &elem, &nullable, NULL);
    if (r < 0)
        return base_fail(l->err, SHARD_EUNSUPPORTED,
                         "%s: column %s has the type \"%.64s\", which this build does not know",
                         l->path, f->name, f->text);
    r = fmt_schema_add(&l->s.schema, f->name, type, elem, nullable, (uint32_t)f->number);
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
    e->path = strdup(f->name);
    e->split = strdup("");
    if (e->path == NULL || e->split == NULL)
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
        {"column", fact_column},   {"split", fact_split},
        {"segment", fact_segment}, {"quarantine", fact_quarantine},
        {"parent", fact_parent},   {"fingerprint", fact_fingerprint},
    };

    *ret_keep = false;
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (strcmp(f->kind, own[i].kind) == 0)
            return own[i].use(l, f);
    if (f->kind[0] == '!')
        return base_fail(l->err, SHARD_EUNSUPPORTED,
                         "%s: the dataset needs \"%.64s\", which this build does not know; use a "
                         "newer one",
                         l->path, f->kind + 1);
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
    if (f->number != FMT_DATASET_VERSION)
        return base_fail(l->err, SHARD_EUNSUPPORTED,
                         "%s: version %" PRIu64 " of the dataset format; this build knows %u",
                         l->path, f->number, FMT_DATASET_VERSION);
    return 0;
}

static int
fact_read(struct root_load *l, const struct fmt_table *t, uint64_t row)
{
    struct fmt_fact f = {0}, *kept;
    bool keep = false;
    int r;

    r = cell_text(&t->arrays[ROOT_KIND], row, &f.kind);
    if (r >= 0)
        r = cell_text(&t->arrays[ROOT_NAME], row, &f.name);
    if (r >= 0)
        r = cell_text(&t->arrays[ROOT_TEXT], row, &f.text);
    if (r >= 0)
        r = cell_hash(&t->arrays[ROOT_HASH], row, &f.hash);
    if (r < 0) {
        (void)base_fail(l->err, r, "%s: fact %" PRIu64 " has a bad text or hash", l->path, row);
        goto out;
    }
    f.number = cell_u64(&t->arrays[ROOT_NUMBER], row);
    f.bytes = cell_u64(&t->arrays[ROOT_BYTES], row);
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
    r = table_load(dirfd, path, root_fields, ROOT_N_COLUMNS, &t, err);
    if (r < 0)
        return r;
    for (uint64_t row = 0; r >= 0 && row < t.n_rows; row++)
        r = fact_read(&l, &t, row);
    if (r >= 0)
        r = root_check(&l, number);
    l.s.number = number;
    l.s.hash = t.hash;
    fmt_table_done(&t);
    if (r < 0) {
        fmt_snapshot_done(&l.s);
        return r;
    }
    *ret = l.s;
    return 0;
}

/* --------------------------------------------------------------------------- loading a segment */

/* The row groups of a shard, as its entry lists them. */
static int
entry_groups(struct fmt_shard_entry *e, const struct shard_array *a, uint64_t row)
{
    const int32_t first = a->offsets[row];
    const uint32_t n = (uint32_t)(a->offsets[row + 1] - first);
    uint64_t rows = 0;

    e->group_rows = malloc(n ? n * sizeof(uint32_t) : 1);
    if (e->group_rows == NULL)
        return -ENOMEM;
    if (n)
        memcpy(e->group_rows, (const uint32_t *)a->values + first, n * sizeof(uint32_t));
    e->n_groups = n;
    for (uint32_t i = 0; i < n; i++) {
        if (e->group_rows[i] == 0)
            return SHARD_ECORRUPT;
        rows += e->group_rows[i];
    }
    return rows == e->n_rows ? 0 : SHARD_ECORRUPT;
}

static int
entry_read(struct fmt_snapshot *s, struct fmt_shard_entry *e, const struct fmt_table *t,
           uint64_t row)
{
    int64_t split;
    int r;

    r = cell_text(&t->arrays[SEG_PATH], row, &e->path);
    if (r >= 0)
        r = cell_text(&t->arrays[SEG_SPLIT], row, &e->split);
    if (r >= 0)
        r = cell_hash(&t->arrays[SEG_HASH], row, &e->hash);
    if (r < 0)
        return r;
    e->n_rows = cell_u64(&t->arrays[SEG_ROWS], row);
    e->file_bytes = cell_u64(&t->arrays[SEG_FILE_BYTES], row);
    e->raw_bytes = cell_u64(&t->arrays[SEG_RAW_BYTES], row);
    e->footer_bytes = ((const uint32_t *)t->arrays[SEG_FOOTER_BYTES].values)[row];
    split = fmt_snapshot_split(s, e->split, false);
    if (split < 0 || !fmt_path_ok(e->path, FMT_DIR_SHARDS) || e->footer_bytes > e->file_bytes)
        return SHARD_ECORRUPT;
    e->split_index = (uint32_t)split;
    return entry_groups(e, &t->arrays[SEG_GROUP_ROWS], row);
}

static int
entries_read(struct fmt_snapshot *s, const struct fmt_table *t, const struct fmt_segment *g,
             const char *path, struct shard_error *err)
{
    uint64_t rows = 0;
    int r = 0;

    for (uint64_t row = 0; row < t->n_rows; row++) {
        struct fmt_shard_entry *e = fmt_snapshot_new_shard(s);

        if (e == NULL)
            return base_fail(err, -ENOMEM, "%s", path);
        r = entry_read(s, e, t, row);
        if (r >= 0 && base_add_u64(rows, e->n_rows, &rows) < 0)
            r = SHARD_ECORRUPT;
        if (r < 0)
            return base_fail(err, r, "%s: the entry of shard %" PRIu64 " cannot be", path, row);
    }
    if (rows != g->n_rows)
        return base_fail(err, SHARD_ECORRUPT,
                         "%s: its shards have %" PRIu64 " rows, the root says %" PRIu64, path, rows,
                         g->n_rows);
    return 0;
}

/* Whether the table is the segment that the root means. */
static int
segment_check(const struct fmt_table *t, const struct fmt_segment *g, const char *path,
              struct shard_error *err)
{
    char have[BASE_HEX128_LEN + 1];

    if (!base_hash128_eq(t->hash, g->hash)) {
        base_hex128(t->hash, have);
        return base_fail(err, SHARD_ECHECKSUM,
                         "%s: this is not the segment that the root lists: its content hash is %s; "
                         "restore the file from a copy of the dataset",
                         path, have);
    }
    if (t->file_bytes != g->file_bytes || t->n_rows == 0 || t->n_rows > FMT_SEGMENT_SHARDS_MAX)
        return base_fail(err, SHARD_ECORRUPT,
                         "%s: %" PRIu64 " bytes, %" PRIu64 " shards: not what can be", path,
                         t->file_bytes, t->n_rows);
    return 0;
}

int
fmt_segment_load(int dirfd, struct fmt_snapshot *s, uint32_t i, struct shard_error *err)
{
    struct fmt_segment *g = &s->segments[i];
    const uint32_t shard0 = s->n_shards;
    char path[FMT_SEGMENT_PATH_MAX];
    struct fmt_table t;
    int r;

    fmt_segment_path(g->hash, path);
    r = table_load(dirfd, path, segment_fields, SEG_N_COLUMNS, &t, err);
    if (r < 0)
        return r;
    r = segment_check(&t, g, path, err);
    if (r >= 0)
        r = entries_read(s, &t, g, path, err);
    fmt_table_done(&t);
    if (r < 0) {
        while (s->n_shards > shard0)
            fmt_shard_entry_done(&s->shards[--s->n_shards]);
        return r;
    }
    g->shard0 = shard0;
    g->n_shards = s->n_shards - shard0;
    g->digest = fmt_segment_digest(s, shard0, s->n_shards);
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

/* ------------------------------------------------------------------------------------- writing */

/* The columns of a table being built. */
struct builder {
    struct fmt_schema schema;
    struct fmt_column cols[SEG_N_COLUMNS]; /* the wider of the two */
};

static int
builder_init(struct builder *b, const struct table_field *fields, size_t n)
{
    memset(b, 0, sizeof(*b));
    for (size_t i = 0; i < n; i++)
        fmt_column_init(&b->cols[i], fields[i].type, fields[i].elem);
    return schema_make(&b->schema, fields, n);
}

static void
builder_done(struct builder *b)
{
    for (uint32_t i = 0; i < b->schema.n_fields; i++)
        fmt_column_done(&b->cols[i]);
    fmt_schema_done(&b->schema);
}

static int
put_text(struct fmt_column *c, const char *text)
{
    return fmt_column_append_bytes(c, text, strlen(text));
}

static int
put_hash(struct fmt_column *c, struct base_hash128 hash)
{
    uint8_t bytes[16];

    base_hash128_store(bytes, hash);
    return fmt_column_append_bytes(c, bytes, hash.lo || hash.hi ? sizeof(bytes) : 0);
}

static int
put_fact(struct builder *b, const char *kind, const char *name, uint64_t number, uint64_t bytes,
         struct base_hash128 hash, const char *text)
{
    int r = put_text(&b->cols[ROOT_KIND], kind);

    if (r >= 0)
        r = put_text(&b->cols[ROOT_NAME], name);
    if (r >= 0)
        r = fmt_column_append_number(&b->cols[ROOT_NUMBER], &number);
    if (r >= 0)
        r = fmt_column_append_number(&b->cols[ROOT_BYTES], &bytes);
    if (r >= 0)
        r = put_hash(&b->cols[ROOT_HASH], hash);
    if (r >= 0)
        r = put_text(&b->cols[ROOT_TEXT], text);
    return r;
}

/* The facts that the fields of s are made of, in the order of docs/format.md. */
static int
put_own_facts(struct builder *b, const struct fmt_snapshot *s)
{
    const struct base_hash128 none = {0, 0};
    char text[FMT_SEGMENT_PATH_MAX];
    int r = put_fact(b, "format", "shardline", FMT_DATASET_VERSION, 0, none, "");

    if (r >= 0 && s->parent_number)
        r = put_fact(b, "parent", "", s->parent_number, 0, s->parent_hash, "");
    if (r >= 0)
        r = put_fact(b, "fingerprint", "", 0, 0, s->fingerprint, "");
    for (uint32_t i = 0; r >= 0 && i < s->schema.n_fields; i++) {
        const struct shard_field *f = &s->schema.fields[i];

        r = put_fact(b, "column", f->name, f->flags, 0, none, shard_field_type_name(f, text));
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
    struct builder b;
    int r;

    r = builder_init(&b, root_fields, ROOT_N_COLUMNS);
    if (r >= 0)
        r = put_own_facts(&b, s);
    for (uint32_t i = 0; r >= 0 && i < s->n_facts; i++) {
        const struct fmt_fact *f = &s->facts[i];

        r = put_fact(&b, f->kind, f->name, f->number, f->bytes, f->hash, f->text);
    }
    if (r < 0)
        (void)base_fail(err, r, "%s: the root's %" PRIu32 " facts", path, s->n_facts);
    else
        r = fmt_table_write(dirfd, path, &b.schema, b.cols, &info, err);
    if (r >= 0)
        *ret_hash = info.hash;
    builder_done(&b);
    return r;
}

static int
put_entry(struct builder *b, const struct fmt_shard_entry *e)
{
    int r = put_text(&b->cols[SEG_PATH], e->path);

    if (r >= 0)
        r = put_text(&b->cols[SEG_SPLIT], e->split);
    if (r >= 0)
        r = fmt_column_append_number(&b->cols[SEG_ROWS], &e->n_rows);
    if (r >= 0)
        r = fmt_column_append_number(&b->cols[SEG_FILE_BYTES], &e->file_bytes);
    if (r >= 0)
        r = fmt_column_append_number(&b->cols[SEG_RAW_BYTES], &e->raw_bytes);
    if (r >= 0)
        r = fmt_column_append_number(&b->cols[SEG_FOOTER_BYTES], &e->footer_bytes);
    if (r >= 0)
        r = put_hash(&b->cols[SEG_HASH], e->hash);
    if (r >= 0)
        r = fmt_column_append_list(&b->cols[SEG_GROUP_ROWS], e->group_rows, e->n_groups);
    return r;
}

uint32_t
fmt_segment_end(const struct fmt_snapshot *s, uint32_t i)
{
    const uint32_t first = i;
    uint64_t groups = 0;

    for (; i < s->n_shards && i - first < FMT_SEGMENT_SHARDS_MAX; i++) {
        groups += s->shards[i].n_groups;
        if (groups > FMT_SEGMENT_GROUPS_MAX && i > first)
            break;
    }
    return i;
}

uint64_t
fmt_segment_digest(const struct fmt_snapshot *s, uint32_t i, uint32_t end)
{
    uint64_t h = 0;

    for (; i < end; i++) {
        const struct fmt_shard_entry *e = &s->shards[i];
        const uint64_t numbers[] = {e->n_rows,  e->file_bytes, e->raw_bytes, e->footer_bytes,
                                    e->hash.lo, e->hash.hi,    e->n_groups};

        h = base_hash64(e->path, strlen(e->path) + 1, h);
        h = base_hash64(e->split, strlen(e->split) + 1, h);
        h = base_hash64(numbers, sizeof(numbers), h);
        h = base_hash64(e->group_rows, e->n_groups * sizeof(uint32_t), h);
    }
    return h;
}

int
fmt_segment_write(int dirfd, const struct fmt_snapshot *s, uint32_t i, uint32_t end,
                  struct fmt_segment *ret, struct shard_error *err)
{
    const uint32_t shard0 = i;
    char tmp[FMT_TMP_PATH_MAX], path[FMT_SEGMENT_PATH_MAX];
    struct fmt_table_info info;
    struct builder b;
    uint64_t n_rows = 0;
    int r;

    r = builder_init(&b, segment_fields, SEG_N_COLUMNS);
    for (; r >= 0 && i < end; i++) {
        r = put_entry(&b, &s->shards[i]);
        n_rows += s->shards[i].n_rows;
    }
    if (r < 0) {
        (void)base_fail(err, r, "a segment of %" PRIu32 " shards", end - shard0);
        goto out;
    }
    r = fmt_tmp_path("seg", tmp, err);
    if (r < 0)
        goto out;
    r = fmt_table_write(dirfd, tmp, &b.schema, b.cols, &info, err);
    if (r < 0)
        goto out;
    fmt_segment_path(info.hash, path);
    /* A file of that name has the same content, or had before it was damaged. */
    if (renameat(dirfd, tmp, dirfd, path) < 0) {
        r = base_fail(err, -errno, "%s cannot be moved to %s", tmp, path);
        (void)unlinkat(dirfd, tmp, 0);
        goto out;
    }
    *ret = (struct fmt_segment){.hash = info.hash,
                                .n_rows = n_rows,
                                .file_bytes = info.file_bytes,
                                .shard0 = shard0,
                                .n_shards = end - shard0,
                                .digest = fmt_segment_digest(s, shard0, end)};
out:
    builder_done(&b);
    return r;
}
