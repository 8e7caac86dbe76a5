#include "config.h"

#include "tools/ingest/provenance.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/fail.h"

#define READ_BYTES (1u << 20)

static const struct base_hash128 no_hash = {0, 0};

/* The counts and where they stand in a result. */
static const struct {
    const char *name;
    size_t offset;
} counts_of[] = {
    {"rows_read", offsetof(struct ingest_result, rows_read)},
    {"rows_written", offsetof(struct ingest_result, rows_written)},
    {"duplicates", offsetof(struct ingest_result, duplicates)},
    {"near_duplicates", offsetof(struct ingest_result, near_duplicates)},
    {"filtered", offsetof(struct ingest_result, filtered)},
    {"rejected", offsetof(struct ingest_result, rejected)},
    {"bytes_in", offsetof(struct ingest_result, bytes_in)},
    {"entries", offsetof(struct ingest_result, entries)},
    {"entries_skipped", offsetof(struct ingest_result, entries_skipped)},
    {"links_skipped", offsetof(struct ingest_result, links_skipped)},
};

/* "name=value" in two: the length of the name, and the value. */
static size_t
option_name_len(const char *text, const char **ret_value)
{
    const char *eq = strchr(text, '=');

    *ret_value = eq ? eq + 1 : "";
    return eq ? (size_t)(eq - text) : strlen(text);
}

static int
add_option(struct fmt_snapshot *s, size_t place, const char *text)
{
    const char *value;
    const size_t len = option_name_len(text, &value);
    char *name = strndup(text, len);
    int r;

    if (name == NULL)
        return -ENOMEM;
    r = fmt_snapshot_add_fact(s, INGEST_FACT_OPTION, name, place, 0, no_hash, value);
    free(name);
    return r;
}

int
ingest_provenance_add(struct fmt_snapshot *s, const struct ingest_opts *opts,
                      const struct ingest_file_facts *files, const struct ingest_result *counts,
                      struct shard_error *err)
{
    int r = 0;

    for (size_t i = 0; i < opts->n_option_text && r == 0; i++)
        r = add_option(s, i, opts->option_text[i]);
    for (size_t i = 0; i < opts->files->count && r == 0; i++)
        r = fmt_snapshot_add_fact(s, INGEST_FACT_INPUT, opts->files->items[i].name, i,
                                  files[i].size, files[i].hash, "");
    for (size_t i = 0; i < BASE_ARRAY_LEN(counts_of) && r == 0; i++) {
        uint64_t v;

        memcpy(&v, (const char *)counts + counts_of[i].offset, sizeof(v));
        r = fmt_snapshot_add_fact(s, INGEST_FACT_COUNT, counts_of[i].name, v, 0, no_hash, "");
    }
    return r < 0 ? base_fail(err, r, "noting where the data come from") : 0;
}

void
ingest_provenance_counts(const struct fmt_snapshot *s, struct ingest_result *ret)
{
    for (size_t i = 0; i < BASE_ARRAY_LEN(counts_of); i++) {
        const struct fmt_fact *f = fmt_snapshot_fact(s, INGEST_FACT_COUNT, counts_of[i].name);

        if (f)
            memcpy((char *)ret + counts_of[i].offset, &f->number, sizeof(f->number));
    }
}

/* ---------------------------------------------------------------------------------- compare */

/* The next fact of the kind from *at on, or NULL. */
static const struct fmt_fact *
next_fact(const struct fmt_snapshot *s, const char *kind, uint32_t *at)
{
    while (*at < s->n_facts) {
        const struct fmt_fact *f = &s->facts[(*at)++];

        if (strcmp(f->kind, kind) == 0)
            return f;
    }
    return NULL;
}

static int
differs(const struct ingest_opts *opts, struct shard_error *err, const char *what,
        const char *name)
{
    return base_say(err, -EEXIST,
                    "%s exists and was made %s%.200s; give the output another name, or remove "
                    "the dataset",
                    opts->output, what, name);
}

static int
compare_options(const struct fmt_snapshot *s, const struct ingest_opts *opts,
                struct shard_error *err)
{
    const struct fmt_fact *f;
    uint32_t at = 0;

    for (size_t i = 0; i < opts->n_option_text; i++) {
        const char *text = opts->option_text[i], *value;
        const size_t len = option_name_len(text, &value);
        char name[64];

        f = next_fact(s, INGEST_FACT_OPTION, &at);
        if (f == NULL || strlen(f->name) != len || memcmp(f->name, text, len) != 0 ||
            strcmp(f->text, value) != 0) {
            snprintf(name, sizeof(name), "%.*s", (int)BASE_MIN(len, sizeof(name) - 1), text);
            return differs(opts, err, "with other options, see --", name);
        }
    }
    f = next_fact(s, INGEST_FACT_OPTION, &at);
    return f ? differs(opts, err, "with other options, see --", f->name) : 0;
}

static int
hash_file(const struct ingest_opts *opts, const struct ingest_file *file, uint64_t total,
          uint64_t *done, struct base_hash128 *ret, struct shard_error *err)
{
    const int fd = file->path ? open(file->path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    uint8_t *buf = malloc(READ_BYTES);
    XXH3_state_t *state = XXH3_createState();
    XXH128_hash_t h;
    ssize_t n;
    int r = 0;

    if (fd < 0) {
        r = base_fail(err, -errno, "opening %s", file->path);
        goto out;
    }
    if (buf == NULL || state == NULL) {
        r = base_fail(err, -ENOMEM, "reading %s", file->name);
        goto out;
    }
    XXH3_128bits_reset(state);
    while ((n = read(fd, buf, READ_BYTES)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            r = base_fail(err, -errno, "reading %s", file->name);
            goto out;
        }
        base_hash_update(state, buf, (size_t)n);
        *done += (uint64_t)n;
        if (opts->progress && opts->progress(opts->progress_arg, *done, total, 0) != 0) {
            r = base_fail(err, -ECANCELED, "stopped");
            goto out;
        }
    }
    h = XXH3_128bits_digest(state);
    *ret = (struct base_hash128){h.low64, h.high64};
out:
    XXH3_freeState(state);
    free(buf);
    if (file->path && fd >= 0)
        (void)close(fd);
    return r;
}

static int
compare_inputs(const struct fmt_snapshot *s, const struct ingest_opts *opts,
               struct shard_error *err)
{
    const struct ingest_files *files = opts->files;
    const struct fmt_fact *f;
    struct base_hash128 hash = {0, 0};
    uint64_t total = 0, done = 0;
    uint32_t at = 0;
    int r;

    /* What costs nothing first. */
    for (size_t i = 0; i < files->count; i++) {
        const struct ingest_file *file = &files->items[i];

        f = next_fact(s, INGEST_FACT_INPUT, &at);
        if (f == NULL || strcmp(f->name, file->name) != 0)
            return differs(opts, err, "from other inputs: it does not know ", file->name);
        total += file->size;
        if (file->size > 0 && file->size != f->bytes)
            return differs(opts, err, "from other inputs: the size was different of ", file->name);
    }
    f = next_fact(s, INGEST_FACT_INPUT, &at);
    if (f)
        return differs(opts, err, "from more inputs: ", f->name);
    at = 0;
    for (size_t i = 0; i < files->count; i++) {
        f = next_fact(s, INGEST_FACT_INPUT, &at);
        r = hash_file(opts, &files->items[i], total, &done, &hash, err);
        if (r < 0)
            return r;
        if (f == NULL || !base_hash128_eq(hash, f->hash))
            return differs(opts, err, "from other inputs: the content was different of ",
                           files->items[i].name);
    }
    return 0;
}

int
ingest_provenance_compare(const struct fmt_snapshot *s, const struct ingest_opts *opts,
                          struct shard_error *err)
{
    int r;

    if (fmt_snapshot_fact(s, "recovery", "rows_lost"))
        return base_say(err, -EEXIST,
                        "%s was recovered after damage and need not hold all that the inputs do; "
                        "give the output another name, or remove the dataset",
                        opts->output);
    r = compare_options(s, opts, err);

    return r < 0 ? r : compare_inputs(s, opts, err);
}
