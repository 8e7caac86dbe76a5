/* shardtool stats: what the footers' statistics say of each column. No values are read, so that what
 * they do not tell is not known: strings by their first bytes, different values by bounds. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/compiler.h"
#include "lib/endian.h"
#include "lib/fail.h"
#include "lib/report.h"
#include "shardfmt/snapshot.h"
#include "shardfmt/stats.h"
#include "tools/cli.h"
#include "tools/ingest/export.h"
#include "tools/ingest/json_text.h"
#include "tools/shardtool/shardtool.h"

static const struct cli_opt opts[] = {
    CLI_OPT_JSON,
    {0},
};
static const struct cli_usage usage = {
    "DATASET [COLUMN...]",
    "Print what is known of each column (or those named) without reading its values: nulls, minimum\n"
    "and maximum, how many values differ, lengths, bytes.",
    opts, NULL};

/* One column over all shards. */
struct column {
    const struct shard_field *field;
    struct fmt_chunk_stats sum;
    uint64_t n_rows;
    uint64_t bytes, raw_bytes; /* of pages */
    uint64_t distinct_min, distinct_max;
    bool no_stats, no_bounds; /* some shard does not say */
};

struct stats {
    struct shard_dataset *ds;
    const struct fmt_snapshot *s;
    struct column *columns; /* of the dataset */
    uint32_t *wanted;       /* n_wanted */
    uint32_t n_wanted;
    struct base_buf text;
};

/* ---------------------------------------------------------------------------------- collecting */

static void
add_chunk(struct column *col, const struct fmt_footer *f, uint32_t g, uint32_t c)
{
    const size_t chunk = (size_t)g * f->n_columns + c;
    const uint64_t n_rows = f->group_rows[g];
    struct fmt_chunk_stats s;
    uint64_t present;

    col->n_rows += n_rows;
    for (uint32_t p = f->chunk_first[chunk]; p < f->chunk_first[chunk + 1]; p++) {
        col->bytes += f->pages[p].stored_len;
        col->raw_bytes += f->pages[p].data_len;
    }
    if (f->stats == NULL) {
        col->no_stats = true;
        return;
    }
    s = f->stats[chunk];
    present = n_rows - s.n_nulls;
    if (!fmt_stats_merge(col->field->type, &col->sum, &s, n_rows))
        col->no_bounds = true;
    col->distinct_min = BASE_MAX(col->distinct_min, s.n_distinct ? s.n_distinct : present > 0);
    col->distinct_max += s.n_distinct ? s.n_distinct : present;
}

static void
add_footer(struct stats *st, const struct fmt_footer *f)
{
    for (uint32_t g = 0; g < f->n_groups; g++)
        for (uint32_t i = 0; i < st->n_wanted; i++)
            add_chunk(&st->columns[st->wanted[i]], f, g, st->wanted[i]);
    for (uint32_t i = 0; i < f->n_lengths; i++)
        st->columns[f->length_chunk[i] % f->n_columns].bytes += f->lengths[i].stored_len;
}

static int
collect(struct stats *st, struct shard_error *err)
{
    for (uint32_t i = 0; i < st->s->n_shards; i++) {
        struct fmt_footer *f;
        int fd, r;

        if (cli_signal())
            return base_fail(err, -ECANCELED, "interrupted");
        r = fmt_shard_open(fmt_dataset_dirfd(st->ds), &st->s->shards[i], &st->s->schema, &fd, &f,
                           err);
        if (r < 0)
            return r;
        add_footer(st, f);
        fmt_footer_free(f);
        (void)close(fd);
    }
    return 0;
}

/* ------------------------------------------------------------------------------------- values */

static bool
has_bounds(const struct column *c)
{
    return !c->no_stats && !c->no_bounds && fmt_stats_ordered(c->field->type) &&
           (c->sum.flags & FMT_STATS_MINMAX);
}

/* Bytes of a string's prefix: zeros at its end and half a character are not shown. */
static int32_t
prefix_len(const struct shard_field *f, const uint8_t bound[FMT_STATS_PREFIX])
{
    uint32_t n = FMT_STATS_PREFIX, lead;

    while (n > 0 && bound[n - 1] == 0)
        n--;
    if (f->type != SHARD_TYPE_STRING || n < FMT_STATS_PREFIX)
        return (int32_t)n;
    for (lead = n; lead > 0 && (bound[lead - 1] & 0xc0) == 0x80; lead--)
        ;
    if (lead > 0 && bound[lead - 1] >= 0xc0) {
        const uint8_t b = bound[lead - 1];
        const uint32_t want = b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;

        if (n - (lead - 1) < want)
            n = lead - 1;
    }
    return (int32_t)n;
}

/* Between minimum and maximum there are so many whole numbers, and where they differ there are two. */
static void
tighten(struct column *c)
{
    const struct fmt_type t = fmt_field_type(c->field);
    const bool floats = t.kind == FMT_KIND_NUMBER && t.number == FMT_NUMBER_FLOAT;
    const uint64_t span = base_load_le64(c->sum.max) - base_load_le64(c->sum.min);
    double low, high;

    if (!has_bounds(c))
        return;
    memcpy(&low, c->sum.min, sizeof(low));
    memcpy(&high, c->sum.max, sizeof(high));
    if (floats ? low < high : memcmp(c->sum.min, c->sum.max, FMT_STATS_PREFIX) != 0)
        c->distinct_min = BASE_MAX(c->distinct_min, 2); /* one zero's bounds are both zeros */
    if (!floats && t.kind != FMT_KIND_BYTES)
        c->distinct_max = BASE_MIN(c->distinct_max - 1, span) + 1;
}

/* Minimum or maximum as JSON, as cat would print it. */
static int
put_bound(const struct column *c, const uint8_t bound[FMT_STATS_PREFIX], struct base_buf *out)
{
    const struct fmt_type t = fmt_field_type(c->field);
    const int32_t offsets[2] = {0, t.kind == FMT_KIND_BYTES ? prefix_len(c->field, bound) : 0};
    uint64_t words[FMT_STATS_PREFIX / 8]; /* aligned as values are */
    struct shard_array a = {.type = c->field->type, .n_rows = 1, .n_values = 1, .values = words};
    double d;
    float f;

    memcpy(words, bound, sizeof(words));
    if (t.kind == FMT_KIND_BYTES) {
        a.offsets = offsets;
    } else if (t.number == FMT_NUMBER_FLOAT) { /* floats of every size stand as float64 */
        memcpy(&d, bound, sizeof(d));
        d += 0.0; /* no -0 */
        f = (float)d;
        a.type = t.size < sizeof(d) ? SHARD_TYPE_FLOAT32 : SHARD_TYPE_FLOAT64;
        a.values = t.size < sizeof(d) ? (const void *)&f : &d;
    } else if (t.kind == FMT_KIND_NUMBER && c->field->type != SHARD_TYPE_TIMESTAMP) {
        a.type = t.number == FMT_NUMBER_SIGNED ? SHARD_TYPE_INT64 : SHARD_TYPE_UINT64;
    }
    return ingest_export_value(c->field, &a, 0, out);
}

/* Elements of all lists, bytes of all strings: what decoded bytes leave besides the offsets. False
 * where there is no such thing or it cannot be told. */
static bool
total_length(const struct column *c, uint64_t *ret)
{
    const struct fmt_type t = fmt_field_type(c->field);
    const uint64_t bytes = c->raw_bytes - c->n_rows * sizeof(int32_t);

    if (!t.offsets || t.kind == FMT_KIND_STRINGS)
        return false;
    *ret = bytes / (t.size + (t.kind == FMT_KIND_SPARSE ? sizeof(uint32_t) : 0));
    return true;
}

static bool
cut(const struct column *c, bool is_max)
{
    if (fmt_field_type(c->field).kind != FMT_KIND_BYTES)
        return false;
    return is_max ? c->sum.flags & FMT_STATS_MAX_TRUNCATED : c->sum.min[FMT_STATS_PREFIX - 1] != 0;
}

/* --------------------------------------------------------------------------------------- JSON */

/* ,"name":number */
static int
put_number(struct base_buf *out, const char *name, bool known, uint64_t n)
{
    return known ? base_buf_printf(out, ",\"%s\":%" PRIu64, name, n)
                 : base_buf_printf(out, ",\"%s\":null", name);
}

static int
put_bounds_json(const struct column *c, struct base_buf *out)
{
    const bool known = has_bounds(c);
    int r = base_buf_printf(out, ",\"min\":%s", known ? "" : "null");

    if (r == 0 && known)
        r = put_bound(c, c->sum.min, out);
    if (r == 0)
        r = base_buf_printf(out, ",\"max\":%s", known ? "" : "null");
    if (r == 0 && known)
        r = put_bound(c, c->sum.max, out);
    if (r == 0)
        r = base_buf_printf(out, ",\"min_cut\":%s,\"max_cut\":%s",
                            known && cut(c, false) ? "true" : "false",
                            known && cut(c, true) ? "true" : "false");
    return r;
}

static int
put_column_json(const struct column *c, struct base_buf *out)
{
    const bool ordered = fmt_stats_ordered(c->field->type), known = !c->no_stats;
    struct shard_field f = *c->field;
    char type[SHARD_TYPE_NAME_MAX];
    uint64_t length = 0;
    const bool has_length = total_length(c, &length);
    int r = base_buf_printf(out, "{\"name\":");

    f.nullable = false; /* that is a field of its own */
    if (r == 0)
        r = ingest_json_put_string(out, f.name, strlen(f.name));
    if (r == 0)
        r = base_buf_printf(out, ",\"type\":\"%s\",\"nullable\":%s,\"rows\":%" PRIu64,
                            shard_field_type_name(&f, type), c->field->nullable ? "true" : "false",
                            c->n_rows);
    if (r == 0)
        r = put_number(out, "nulls", known, c->sum.n_nulls);
    if (r == 0)
        r = base_buf_printf(out, ",\"nan\":%s", !known ? "null"
                                                : c->sum.flags & FMT_STATS_NAN ? "true" : "false");
    if (r == 0)
        r = put_bounds_json(c, out);
    if (r == 0)
        r = put_number(out, "distinct", known && ordered && c->distinct_min == c->distinct_max,
                       c->distinct_min);
    if (r == 0)
        r = put_number(out, "distinct_min", known && ordered, c->distinct_min);
    if (r == 0)
        r = put_number(out, "distinct_max", known && ordered, c->distinct_max);
    if (r == 0)
        r = put_number(out, "total_length", has_length, length);
    if (r == 0 && has_length && known && c->n_rows > c->sum.n_nulls)
        r = base_buf_printf(out, ",\"mean_length\":%.17g",
                            (double)length / (double)(c->n_rows - c->sum.n_nulls));
    else if (r == 0)
        r = base_buf_printf(out, ",\"mean_length\":null");
    if (r == 0)
        r = put_number(out, "bytes", true, c->bytes);
    if (r == 0)
        r = put_number(out, "raw_bytes", true, c->raw_bytes);
    return r < 0 ? r : base_buf_append(out, "}", 1);
}

/* By hand, as it holds numbers up to 2^64 - 1. */
static int
print_json(struct stats *st)
{
    struct base_buf *out = &st->text;
    int r = base_buf_printf(out, "{\"rows\":%" PRIu64 ",\"shards\":%" PRIu32 ",\"row_groups\":%" PRIu64
                            ",\"columns\":[", shard_dataset_n_rows(st->ds), st->s->n_shards,
                            shard_dataset_n_groups(st->ds));

    for (uint32_t i = 0; r == 0 && i < st->n_wanted; i++) {
        if (i)
            r = base_buf_append(out, ",", 1);
        if (r == 0)
            r = put_column_json(&st->columns[st->wanted[i]], out);
    }
    if (r == 0)
        r = base_buf_append(out, "]}\n", 3);
    if (r < 0)
        return cli_fail(CLI_FAILED, "%s", shard_strerror(r));
    (void)fwrite(out->data, 1, out->len, stdout); /* cli_main() looks whether it went well */
    return CLI_OK;
}

/* ------------------------------------------------------------------------------------- people */

static int
print_bound(struct stats *st, const struct column *c, bool is_max)
{
    int r;

    base_buf_reset(&st->text);
    r = put_bound(c, is_max ? c->sum.max : c->sum.min, &st->text);
    if (r == 0)
        printf("  %s %.*s%s", is_max ? "max" : "min", (int)st->text.len, (const char *)st->text.data,
               cut(c, is_max) ? "..." : "");
    return r;
}

static int
print_column(struct stats *st, const struct column *c)
{
    char type[SHARD_TYPE_NAME_MAX], bytes[16], raw[16];
    const uint64_t present = c->n_rows - c->sum.n_nulls;
    uint64_t length;
    int r = 0;

    printf("%s  %s\n  rows %" PRIu64, c->field->name, shard_field_type_name(c->field, type),
           c->n_rows);
    if (!c->no_stats)
        printf("  null %" PRIu64, c->sum.n_nulls);
    if (c->sum.flags & FMT_STATS_NAN)
        printf("  some NaN");
    if (has_bounds(c))
        r = print_bound(st, c, false);
    if (r == 0 && has_bounds(c))
        r = print_bound(st, c, true);
    if (!c->no_stats && fmt_stats_ordered(c->field->type)) {
        printf("  distinct %" PRIu64, c->distinct_min);
        if (c->distinct_max != c->distinct_min)
            printf(" to %" PRIu64, c->distinct_max);
    }
    if (total_length(c, &length)) {
        printf("  length %" PRIu64, length);
        if (!c->no_stats && present)
            printf(" (mean %.1f)", (double)length / (double)present);
    }
    printf("  bytes %s (%s raw)\n", base_human_bytes(c->bytes, bytes),
           base_human_bytes(c->raw_bytes, raw));
    return r;
}

static int
print_people(struct stats *st)
{
    int r = 0;

    for (uint32_t i = 0; r == 0 && i < st->n_wanted; i++)
        r = print_column(st, &st->columns[st->wanted[i]]);
    return r < 0 ? cli_fail(CLI_FAILED, "%s", shard_strerror(r)) : CLI_OK;
}

/* --------------------------------------------------------------------------------------- verb */

/* The columns that are named, or all. */
static int
pick_columns(struct stats *st, struct cli_args *a)
{
    const uint32_t n = st->s->schema.n_fields;
    const size_t n_names = cli_args_left(a);
    const char *name;

    st->columns = calloc(n + 1, sizeof(*st->columns));
    st->wanted = calloc((n_names ? n_names : n) + 1, sizeof(*st->wanted));
    if (st->columns == NULL || st->wanted == NULL)
        return cli_fail(CLI_FAILED, "%s", shard_strerror(-ENOMEM));
    for (uint32_t c = 0; c < n; c++)
        st->columns[c].field = &st->s->schema.fields[c];
    for (uint32_t c = 0; n_names == 0 && c < n; c++)
        st->wanted[st->n_wanted++] = c;
    while ((name = cli_args_take(a)) != NULL) {
        const int64_t c = shard_dataset_find_column(st->ds, name);
        bool twice = false;

        if (c < 0)
            return cli_fail(CLI_USAGE, "there is no column '%s'; 'shardtool schema' lists them",
                            name);
        for (uint32_t i = 0; i < st->n_wanted; i++)
            twice |= st->wanted[i] == (uint32_t)c;
        if (!twice)
            st->wanted[st->n_wanted++] = (uint32_t)c;
    }
    return CLI_OK;
}

int
cmd_stats(int argc, char **argv)
{
    struct stats st = {0};
    struct shard_error err = {0};
    const char *path;
    struct cli_args a;
    int id, status;

    cli_args_init(&a, &usage, argc, argv);
    while ((id = cli_args_next(&a)) > 0)
        ;
    if (id < 0)
        return a.status;
    path = cli_args_take(&a);
    if (path == NULL)
        return cli_usage_error("which dataset?");
    if (shard_dataset_open(path, &st.ds, &err) < 0)
        return cli_fail_err(CLI_FAILED, &err);
    st.s = fmt_dataset_snapshot(st.ds);
    cli_catch_signals();
    status = pick_columns(&st, &a);
    if (status == CLI_OK && collect(&st, &err) < 0)
        status = cli_fail(CLI_FAILED, "%s: %s", path, err.text);
    for (uint32_t i = 0; i < st.n_wanted; i++)
        tighten(&st.columns[st.wanted[i]]);
    if (status == CLI_OK)
        status = cli_json() ? print_json(&st) : print_people(&st);
    base_buf_done(&st.text);
    free(st.columns);
    free(st.wanted);
    shard_dataset_close(st.ds);
    return status;
}
