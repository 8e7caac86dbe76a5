#include "config.h"

#include "tools/shardtool/ingest_args.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/parse.h"
#include "shardfmt/group.h"

#define MAX_BAD_SHARE 0.01 /* default of --max-bad ... */
#define MAX_BAD_ROWS  10   /* ... but a handful never stops a small input */
#define ZSTD_LEVEL    3
#define ZSTD_MAX      19

enum {
    OPT_OUTPUT = 1, OPT_FORMAT, OPT_INCLUDE, OPT_EXCLUDE, OPT_PATH_COLUMN, OPT_SCHEMA, OPT_COLUMNS,
    OPT_RENAME, OPT_MIN_LENGTH, OPT_SPLIT, OPT_SPLIT_NAME, OPT_SPLIT_KEY, OPT_DEDUP, OPT_DEDUP_KEY,
    OPT_ON_BAD, OPT_MAX_BAD, OPT_CODEC, OPT_ENCODING, OPT_GROUP_BYTES, OPT_PAGE_BYTES, OPT_SHARD_BYTES,
    OPT_DELIMITER, OPT_NO_HEADER, OPT_NO_ARCHIVES, OPT_MEMORY, OPT_JOBS, OPT_DRY_RUN,
    OPT_PROGRESS,
};

static const struct cli_opt opts[] = {
    {'o', "output", "DATASET", "the directory to make", OPT_OUTPUT},
    {0, "format", "FORMAT", "auto (by name and first bytes), jsonl, json, csv,\ntsv, text (a row per "
     "line), libsvm, files (a row per file)", OPT_FORMAT},
    {0, "include", "GLOB", "only entries whose innermost path matches; * crosses /,\na folder stands "
     "for all below it; may be repeated", OPT_INCLUDE},
    {0, "exclude", "GLOB", "not these entries; may be repeated", OPT_EXCLUDE},
    {0, "path-column", "NAME=REGEX[:-DEFAULT]", "a column from the innermost path: the first group "
     "of a\nPOSIX extended regex; no match: the default, or null", OPT_PATH_COLUMN},
    {0, "schema", "NAME:TYPE,...", "instead of looking at the first 64 MiB of the input", OPT_SCHEMA},
    {0, "columns", "A,B", "keep only these columns", OPT_COLUMNS},
    {0, "rename", "A=B", "call column A B; may be repeated", OPT_RENAME},
    {0, "min-length", "COLUMN=BYTES", "filter out rows with a shorter value; may be repeated",
     OPT_MIN_LENGTH},
    {0, "split", "A=SHARE,B=SHARE", "divide rows by a hash of the split key; shares are\nrelative to "
     "their sum", OPT_SPLIT},
    {0, "split-name", "NAME", "one split of this name (default train)", OPT_SPLIT_NAME},
    {0, "split-key", "COLUMN,...", "rows with equal keys stay in one split\n(default: the dedup key)",
     OPT_SPLIT_KEY},
    {0, "dedup", "none|exact", "drop rows whose key was there before (default none)", OPT_DEDUP},
    {0, "dedup-key", "COLUMN,...", "what makes rows equal (default: all columns)", OPT_DEDUP_KEY},
    {0, "on-bad", "quarantine|skip|abort", "what to do with records that cannot be read\n(default "
     "quarantine; see 'shardtool rejects')", OPT_ON_BAD},
    {0, "max-bad", "N|N%", "publish nothing where more records are bad\n(default 1%, but at least 10 "
     "records)", OPT_MAX_BAD},
    {0, "codec", "[COLUMN=]CODEC", "compression: zstd (level 3, and 1 for pages of up to\n16 KiB; the "
     "default), zstd:1 to zstd:19, none;\nof all columns, or of one; may be repeated", OPT_CODEC},
    {0, "encoding", "COLUMN=NAME", "auto (what comes out smallest; the default), plain, rle,\ndict, for, "
     "delta or bss for the values of that column;\nmay be repeated", OPT_ENCODING},
    {0, "row-group-bytes", "SIZE", "raw bytes at which a row group ends\n(default 64K x columns, from "
     "4M to 64M)", OPT_GROUP_BYTES},
    {0, "page-bytes", "SIZE", "raw bytes of a page (default 4M; 4K to 64K for random\naccess)",
     OPT_PAGE_BYTES},
    {0, "shard-bytes", "SIZE", "stored bytes at which a shard ends (default 256M)", OPT_SHARD_BYTES},
    {0, "delimiter", "CHAR", "of csv (default a comma; 'tab' for a tab)", OPT_DELIMITER},
    {0, "no-header", NULL, "csv, tsv: the first record is data; columns are c0, c1, ...",
     OPT_NO_HEADER},
    {0, "no-archives", NULL, "open no archives and compressed files: take their bytes",
     OPT_NO_ARCHIVES},
    {0, "memory", "SIZE", "budget; the result does not depend on it (default 1G)", OPT_MEMORY},
    {'j', "jobs", "N", "threads; the result does not depend on it\n(default: all cores)", OPT_JOBS},
    {0, "dry-run", NULL, "do everything but write; print what would come out", OPT_DRY_RUN},
    CLI_OPT_JSON,
    {0, "progress", "auto|always|never", "a bar on a terminal, lines otherwise", OPT_PROGRESS},
    {0},
};

static const struct cli_usage usage = {
    .synopsis = "-o DATASET INPUT...",
    .about = "Make a dataset of files, folders, archives (also archives in archives) and standard\n"
             "input ('-'). The same inputs and options give the same bytes; where the dataset "
             "exists\nalready and is that one, nothing is done.",
    .opts = opts,
    .more = "Exit status: 0 complete; 1 failed; 2 wrong usage, or DATASET is something else; 3 "
            "complete,\nbut some records are in quarantine; 5 too many bad records, nothing "
            "published.",
};

/* ---------------------------------------------------------------------------------- strings */

static void *
xalloc(void *p)
{
    if (p == NULL) { /* a command line that does not fit into memory: there is nothing to save */
        fputs("shardtool: out of memory\n", stderr);
        exit(CLI_FAILED);
    }
    return p;
}

static void
strings_add(struct strings *s, const char *text, size_t len)
{
    if (s->count == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 8;
        s->items = xalloc(realloc(s->items, s->cap * sizeof(*s->items)));
    }
    s->items[s->count++] = xalloc(strndup(text, len));
}

static void
strings_done(struct strings *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->items[i]);
    free(s->items);
}

/* The parts of "a,b,c". */
static void
strings_split(struct cli_args *a, struct strings *s)
{
    char *list = xalloc(strdup(a->value)), *rest = list, *name;

    while ((name = cli_cut_name(&rest)) != NULL) {
        if (*name == '\0') {
            cli_arg_bad(a, "'%s' holds an empty name", a->value);
            break;
        }
        strings_add(s, name, strlen(name));
    }
    free(list);
}

/* "A=B": A as a new string and where B begins, or NULL and a message. */
static char *
cut_name(struct cli_args *a, const char *form, const char **ret_rest)
{
    const char *eq = strchr(a->value, '=');

    if (eq == NULL || eq == a->value) {
        cli_arg_bad(a, "'%s' is not of the form %s", a->value, form);
        return NULL;
    }
    *ret_rest = eq + 1;
    return xalloc(strndup(a->value, (size_t)(eq - a->value)));
}

/* Room for one more in an array of n. */
#define ARRAY_MORE(p, n) ((p) = xalloc(realloc((p), ((n) + 1) * sizeof(*(p)))))

/* ---------------------------------------------------------------------------------- options */

static void
arg_path_column(struct cli_args *a, struct ingest_args *in)
{
    struct ingest_path_column pc = {0};
    const char *rest, *p;
    char *regex;
    int r;

    pc.name = cut_name(a, "NAME=REGEX[:-DEFAULT]", &rest);
    if (pc.name == NULL)
        return;
    regex = xalloc(strdup(rest));
    for (p = strstr(regex, ":-"); p; p = strstr(p + 1, ":-")) {
        free(pc.fallback); /* the last one counts */
        pc.fallback = xalloc(strdup(p + 2));
    }
    if (pc.fallback)
        regex[strlen(regex) - strlen(pc.fallback) - 2] = '\0';
    r = regcomp(&pc.regex, regex, REG_EXTENDED);
    if (r != 0) {
        char text[128];

        regerror(r, &pc.regex, text, sizeof(text));
        cli_arg_bad(a, "'%s': %s", regex, text);
    } else if (pc.regex.re_nsub == 0) {
        cli_arg_bad(a, "'%s' has no group (...) to take the value from", regex);
        regfree(&pc.regex);
        r = -1;
    }
    free(regex);
    if (r != 0) {
        free(pc.name);
        free(pc.fallback);
        return;
    }
    ARRAY_MORE(in->path_columns, in->n_path_columns);
    in->path_columns[in->n_path_columns++] = pc;
    strings_add(&in->path_column_text, a->value, strlen(a->value));
}

static void
arg_min_length(struct cli_args *a, struct ingest_args *in)
{
    struct ingest_min_length ml = {0};
    struct shard_error err;
    const char *rest;

    ml.column = cut_name(a, "COLUMN=BYTES", &rest);
    if (ml.column == NULL)
        return;
    if (base_parse_size(rest, "--min-length", &ml.bytes, &err) < 0) {
        cli_arg_bad(a, "'%s' is no number of bytes", rest);
        free(ml.column);
        return;
    }
    ARRAY_MORE(in->min_lengths, in->n_min_lengths);
    in->min_lengths[in->n_min_lengths++] = ml;
}

static void
arg_rename(struct cli_args *a, struct ingest_args *in)
{
    struct ingest_rename rn = {0};
    const char *rest;

    rn.from = cut_name(a, "OLD=NEW", &rest);
    if (rn.from == NULL)
        return;
    if (*rest == '\0') {
        cli_arg_bad(a, "'%s' has no new name", a->value);
        free(rn.from);
        return;
    }
    rn.to = xalloc(strdup(rest));
    ARRAY_MORE(in->renames, in->n_renames);
    in->renames[in->n_renames++] = rn;
}

/* Names of splits become parts of file names. */
#define SPLIT_NAMES                                                                                \
    "; a name has up to 64 letters A to Z and a to z, digits, _, - and dots, but for the first"

static bool
split_name_ok(const char *name, size_t len)
{
    return len > 0 && len <= 64 && name[0] != '.' &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") >= len;
}

static bool
add_split(struct cli_args *a, struct ingest_args *in, const char *part, size_t len)
{
    const char *eq = memchr(part, '=', len);
    const size_t name_len = eq ? (size_t)(eq - part) : 0;
    struct ingest_split sp = {0};
    struct shard_error err;
    char number[64];

    if (eq == NULL || !split_name_ok(part, name_len)) {
        cli_arg_bad(a, "'%.*s' is not of the form NAME=SHARE" SPLIT_NAMES, (int)len, part);
        return false;
    }
    snprintf(number, sizeof(number), "%.*s", (int)(len - name_len - 1), eq + 1);
    if (base_parse_double(number, "--split", 0, 1e9, &sp.share, &err) < 0) {
        cli_arg_bad(a, "'%s' is no share", number);
        return false;
    }
    sp.name = xalloc(strndup(part, name_len));
    for (size_t i = 0; i < in->n_splits; i++) {
        if (strcmp(in->splits[i].name, sp.name) == 0) {
            cli_arg_bad(a, "'%s' is there twice", sp.name);
            free(sp.name);
            return false;
        }
    }
    ARRAY_MORE(in->splits, in->n_splits);
    in->splits[in->n_splits++] = sp;
    return true;
}

static void
arg_split(struct cli_args *a, struct ingest_args *in)
{
    const char *p = a->value;
    double sum = 0;

    if (in->n_splits > 0) {
        cli_arg_bad(a, "is there twice");
        return;
    }
    for (;;) {
        const size_t len = strcspn(p, ",");

        if (!add_split(a, in, p, len))
            return;
        sum += in->splits[in->n_splits - 1].share;
        if (p[len] == '\0')
            break;
        p += len + 1;
    }
    if (sum <= 0)
        cli_arg_bad(a, "the shares are all 0");
    for (size_t i = 0; i < in->n_splits && sum > 0; i++)
        in->splits[i].share /= sum;
}

static void
arg_max_bad(struct cli_args *a, struct ingest_opts *o)
{
    const size_t len = strlen(a->value);
    struct shard_error err;
    char number[64];
    double percent;

    o->max_bad = 0;
    o->max_bad_rows = 0;
    if (len == 0 || a->value[len - 1] != '%') {
        cli_arg_u64(a, 0, UINT64_MAX, &o->max_bad_rows);
        return;
    }
    snprintf(number, sizeof(number), "%.*s", (int)BASE_MIN(len - 1, sizeof(number) - 1), a->value);
    if (base_parse_double(number, "--max-bad", 0, 100, &percent, &err) < 0)
        cli_arg_bad(a, "'%s' is no percentage", a->value);
    else
        o->max_bad = percent / 100;
}

/* One more thing that is asked for a column; NULL and a message where what stands before the last '=' is
 * no name. *ret_rest: what stands behind it. */
static struct ingest_column_opt *
add_column_opt(struct cli_args *a, struct ingest_args *in, const char *form, const char **ret_rest)
{
    const char *eq = strrchr(a->value, '=');
    struct ingest_column_opt *opt;

    if (eq == NULL || eq == a->value) {
        cli_arg_bad(a, "'%s' is not of the form %s", a->value, form);
        return NULL;
    }
    ARRAY_MORE(in->column_opts, in->n_column_opts);
    opt = &in->column_opts[in->n_column_opts++];
    opt->column = xalloc(strndup(a->value, (size_t)(eq - a->value)));
    opt->want = FMT_COLUMN_DEFAULT;
    *ret_rest = eq + 1;
    return opt;
}

static void
arg_codec(struct cli_args *a, struct ingest_args *in)
{
    const bool of_column = strchr(a->value, '=') != NULL;
    struct ingest_column_opt *opt = NULL;
    const char *codec = a->value;
    struct shard_error err;
    uint64_t level = ZSTD_LEVEL;
    bool adapt = false;

    if (of_column)
        opt = add_column_opt(a, in, "COLUMN=CODEC", &codec);
    if (of_column && opt == NULL)
        return;
    if (strcmp(codec, "none") == 0) {
        level = 0;
    } else if (strcmp(codec, "zstd") == 0) {
        adapt = true;
    } else if (strncmp(codec, "zstd:", 5) != 0 ||
               base_parse_u64(codec + 5, "--codec", 1, ZSTD_MAX, &level, &err) < 0) {
        cli_arg_bad(a, "'%s' is neither none nor zstd nor zstd:1 to zstd:%d", codec, ZSTD_MAX);
        return;
    }
    if (opt) {
        opt->want.zstd_level = (int)level;
        opt->want.zstd_adapt = adapt;
    } else {
        in->opts.zstd_level = (int)level;
        in->opts.zstd_adapt = adapt;
    }
}

static void
arg_encoding(struct cli_args *a, struct ingest_args *in)
{
    const char *name;
    struct ingest_column_opt *opt = add_column_opt(a, in, "COLUMN=NAME", &name);
    const int encoding = opt ? fmt_encoding_parse(name) : -1;

    if (opt && encoding < 0)
        cli_arg_bad(a, "'%s' is none of auto, plain, rle, dict, for, delta and bss", name);
    else if (opt)
        opt->want.encoding = (uint8_t)encoding;
}

static void
arg_delimiter(struct cli_args *a, struct ingest_opts *o)
{
    if (strcmp(a->value, "tab") == 0 || strcmp(a->value, "\\t") == 0)
        o->cut.delimiter = '\t';
    else if (strlen(a->value) == 1 && !strchr("\"\r\n", a->value[0]) && a->value[0] > 0)
        o->cut.delimiter = a->value[0];
    else
        cli_arg_bad(a, "'%s' is not one ASCII character (or 'tab')", a->value);
}

static void
arg_format(struct cli_args *a, struct ingest_opts *o)
{
    struct shard_error err;

    if (ingest_format_parse(a->value, &o->cut.format, &err) < 0)
        cli_arg_bad(a, "%s", err.text);
}

static void
arg_bytes(struct cli_args *a, uint64_t min, uint64_t max, uint64_t *ret)
{
    uint64_t v = *ret;

    cli_arg_size(a, &v);
    if (!a->failed && (v < min || v > max))
        cli_arg_bad(a, "%s is not between %" PRIu64 " and %" PRIu64 " bytes", a->value, min, max);
    *ret = v;
}

static void
arg_page_bytes(struct cli_args *a, struct ingest_opts *o)
{
    uint64_t v = 0;

    arg_bytes(a, 4096, FMT_PAGE_RAW_MAX, &v);
    o->page_bytes = (uint32_t)v;
}

static void
arg_choice(struct cli_args *a, struct ingest_opts *o)
{
    static const char *const dedups[] = {"none", "exact", NULL};
    static const char *const on_bads[] = {"quarantine", "skip", "abort", NULL};
    int v = 0;

    if (a->opt->id == OPT_DEDUP) {
        if (strcmp(a->value, "near") == 0) {
            cli_arg_bad(a, "near duplicates are not built yet");
            return;
        }
        cli_arg_word(a, dedups, &v);
        o->dedup_exact = v == 1;
    } else {
        cli_arg_word(a, on_bads, &v);
        o->on_bad = (enum ingest_on_bad)v;
    }
}

static void
take_option(struct cli_args *a, struct ingest_args *in, int id)
{
    struct ingest_opts *o = &in->opts;

    switch (id) {
    case OPT_OUTPUT:
        o->output = a->value;
        if (*a->value == '\0')
            cli_arg_bad(a, "the name is empty");
        break;
    case OPT_FORMAT: arg_format(a, o); break;
    case OPT_INCLUDE: strings_add(&in->include, a->value, strlen(a->value)); break;
    case OPT_EXCLUDE: strings_add(&in->exclude, a->value, strlen(a->value)); break;
    case OPT_PATH_COLUMN: arg_path_column(a, in); break;
    case OPT_SCHEMA: o->parse.schema = a->value; break;
    case OPT_COLUMNS: strings_split(a, &in->columns); break;
    case OPT_RENAME: arg_rename(a, in); break;
    case OPT_MIN_LENGTH: arg_min_length(a, in); break;
    case OPT_SPLIT: arg_split(a, in); break;
    case OPT_SPLIT_NAME:
        o->split_name = a->value;
        if (!split_name_ok(a->value, strlen(a->value)))
            cli_arg_bad(a, "'%s' is no name for a split" SPLIT_NAMES, a->value);
        break;
    case OPT_SPLIT_KEY: strings_split(a, &in->split_key); break;
    case OPT_DEDUP: case OPT_ON_BAD: arg_choice(a, o); break;
    case OPT_DEDUP_KEY: strings_split(a, &in->dedup_key); break;
    case OPT_MAX_BAD: arg_max_bad(a, o); break;
    case OPT_CODEC: arg_codec(a, in); break;
    case OPT_ENCODING: arg_encoding(a, in); break;
    case OPT_GROUP_BYTES: arg_bytes(a, 1, 1u << 30, &o->group_bytes); break;
    case OPT_PAGE_BYTES: arg_page_bytes(a, o); break;
    case OPT_SHARD_BYTES: arg_bytes(a, 1, 1ull << 42, &o->shard_bytes); break;
    case OPT_DELIMITER: arg_delimiter(a, o); break;
    case OPT_NO_HEADER: o->cut.no_header = true; break;
    case OPT_NO_ARCHIVES: o->cut.walk.raw = true; break;
    case OPT_MEMORY: arg_bytes(a, 1u << 20, 1ull << 50, &o->memory); break;
    case OPT_JOBS: cli_arg_unsigned(a, 1, 1024, &o->n_threads); break;
    case OPT_DRY_RUN: o->dry_run = true; break;
    case OPT_PROGRESS: cli_arg_progress(a, &in->progress); break;
    default: break; /* --json: cli_json() */
    }
}

/* ------------------------------------------------------------- what decides the dataset's bytes */

static void
note(struct ingest_args *in, const char *name, const char *fmt, ...) BASE_PRINTF(3, 4);

static void
note(struct ingest_args *in, const char *name, const char *fmt, ...)
{
    char *value = NULL, *text = NULL;
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vasprintf(&value, fmt, ap);
    va_end(ap);
    if (len >= 0)
        len = asprintf(&text, "%s=%s", name, value);
    if (len < 0)
        text = NULL;
    strings_add(&in->option_text, xalloc(text), (size_t)len);
    free(text);
    free(value);
}

static void
note_list(struct ingest_args *in, const char *name, const struct strings *s)
{
    for (size_t i = 0; i < s->count; i++)
        note(in, name, "%s", s->items[i]);
}

static void
note_size(struct ingest_args *in, const char *name, uint64_t v)
{
    if (v)
        note(in, name, "%" PRIu64, v);
}

static const char *
codec_text(char ret[16], int level, bool adapt)
{
    if (level == 0 || adapt)
        return level == 0 ? "none" : "zstd";
    snprintf(ret, 16, "zstd:%d", level);
    return ret;
}

static const char *
encoding_text(unsigned encoding)
{
    return encoding == FMT_ENC_AUTO ? "auto" : fmt_encoding_name((enum fmt_encoding)encoding);
}

/* In a fixed order, defaults spelled out where they could change one day. */
static void
note_options(struct ingest_args *in)
{
    static const char *const on_bads[] = {"quarantine", "skip", "abort"};
    const struct ingest_opts *o = &in->opts;
    char text[16];

    note(in, "format", "%s", ingest_format_name(o->cut.format));
    note_list(in, "include", &in->include);
    note_list(in, "exclude", &in->exclude);
    note_list(in, "path-column", &in->path_column_text);
    if (o->parse.schema)
        note(in, "schema", "%s", o->parse.schema);
    note_list(in, "columns", &in->columns);
    for (size_t i = 0; i < in->n_renames; i++)
        note(in, "rename", "%s=%s", in->renames[i].from, in->renames[i].to);
    for (size_t i = 0; i < in->n_min_lengths; i++)
        note(in, "min-length", "%s=%" PRIu64, in->min_lengths[i].column, in->min_lengths[i].bytes);
    for (size_t i = 0; i < in->n_splits; i++)
        note(in, "split", "%s=%.17g", in->splits[i].name, in->splits[i].share);
    if (in->n_splits == 0)
        note(in, "split-name", "%s", o->split_name ? o->split_name : "train");
    note_list(in, "split-key", &in->split_key);
    note(in, "dedup", "%s", o->dedup_exact ? "exact" : "none");
    note_list(in, "dedup-key", &in->dedup_key);
    note(in, "on-bad", "%s", on_bads[o->on_bad]);
    note(in, "codec", "%s", codec_text(text, o->zstd_level, o->zstd_adapt));
    for (size_t i = 0; i < in->n_column_opts; i++) {
        const struct ingest_column_opt *c = &in->column_opts[i];

        if (c->want.zstd_level != FMT_LEVEL_DEFAULT)
            note(in, "codec", "%s=%s", c->column,
                 codec_text(text, c->want.zstd_level, c->want.zstd_adapt));
        else
            note(in, "encoding", "%s=%s", c->column, encoding_text(c->want.encoding));
    }
    note_size(in, "row-group-bytes", o->group_bytes);
    note_size(in, "page-bytes", o->page_bytes);
    note_size(in, "shard-bytes", o->shard_bytes);
    if (o->cut.delimiter)
        note(in, "delimiter", "%c", o->cut.delimiter);
    if (o->cut.no_header)
        note(in, "no-header", "%s", "");
    if (o->cut.walk.raw)
        note(in, "no-archives", "%s", "");
}

/* --------------------------------------------------------------------------------- together */

/* The options point to what was collected. */
static void
link_up(struct ingest_args *in)
{
    struct ingest_opts *o = &in->opts;

    o->files = &in->files;
    o->cut.walk.include = (const char *const *)in->include.items;
    o->cut.walk.n_include = in->include.count;
    o->cut.walk.exclude = (const char *const *)in->exclude.items;
    o->cut.walk.n_exclude = in->exclude.count;
    o->parse.path_columns = in->path_columns;
    o->parse.n_path_columns = in->n_path_columns;
    o->parse.min_lengths = in->min_lengths;
    o->parse.n_min_lengths = in->n_min_lengths;
    o->parse.renames = in->renames;
    o->parse.n_renames = in->n_renames;
    o->parse.columns = in->columns.items;
    o->parse.n_columns = in->columns.count;
    o->parse.dedup_key = in->dedup_key.items;
    o->parse.n_dedup_key = in->dedup_key.count;
    o->parse.split_key = in->split_key.items;
    o->parse.n_split_key = in->split_key.count;
    o->column_opts = in->column_opts;
    o->n_column_opts = in->n_column_opts;
    o->splits = in->splits;
    o->n_splits = in->n_splits;
    o->option_text = in->option_text.items;
    o->n_option_text = in->option_text.count;
}

static int
take_inputs(struct cli_args *a, struct ingest_args *in)
{
    struct shard_error err;
    const char *arg;
    unsigned n_stdin = 0;

    if (cli_args_left(a) == 0)
        return cli_usage_error("which INPUT?");
    if (in->opts.output == NULL && !in->opts.dry_run)
        return cli_usage_error("which DATASET shall be made? (-o)");
    if (in->n_splits > 0 && in->opts.split_name)
        return cli_usage_error("--split and --split-name exclude each other");
    in->files.output = in->opts.output;
    while ((arg = cli_args_take(a)) != NULL) {
        n_stdin += strcmp(arg, "-") == 0;
        if (n_stdin > 1)
            return cli_usage_error("standard input can be read once only");
        if (ingest_files_add(&in->files, arg, &err) < 0)
            return cli_fail_err(CLI_FAILED, &err);
    }
    return CLI_OK;
}

int
ingest_args_parse(struct ingest_args *in, int argc, char **argv, int *ret_status)
{
    struct cli_args a;
    int id;

    memset(in, 0, sizeof(*in));
    in->opts.max_bad = MAX_BAD_SHARE;
    in->opts.max_bad_rows = MAX_BAD_ROWS;
    in->opts.zstd_level = ZSTD_LEVEL;
    in->opts.zstd_adapt = true;
    cli_args_init(&a, &usage, argc, argv);
    while ((id = cli_args_next(&a)) > 0)
        take_option(&a, in, id);
    *ret_status = a.status;
    if (id < 0)
        return -1;
    *ret_status = take_inputs(&a, in);
    if (*ret_status != CLI_OK)
        return -1;
    note_options(in);
    link_up(in);
    return 0;
}

void
ingest_args_done(struct ingest_args *in)
{
    for (size_t i = 0; i < in->n_path_columns; i++) {
        free(in->path_columns[i].name);
        free(in->path_columns[i].fallback);
        regfree(&in->path_columns[i].regex);
    }
    for (size_t i = 0; i < in->n_min_lengths; i++)
        free(in->min_lengths[i].column);
    for (size_t i = 0; i < in->n_renames; i++) {
        free(in->renames[i].from);
        free(in->renames[i].to);
    }
    for (size_t i = 0; i < in->n_splits; i++)
        free(in->splits[i].name);
    for (size_t i = 0; i < in->n_column_opts; i++)
        free(in->column_opts[i].column);
    free(in->column_opts);
    free(in->path_columns);
    free(in->min_lengths);
    free(in->renames);
    free(in->splits);
    strings_done(&in->include);
    strings_done(&in->exclude);
    strings_done(&in->columns);
    strings_done(&in->dedup_key);
    strings_done(&in->split_key);
    strings_done(&in->option_text);
    strings_done(&in->path_column_text);
    ingest_files_done(&in->files);
}
