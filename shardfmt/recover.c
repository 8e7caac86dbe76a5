/* Recovery: what roots and segments still say, then what shards say of themselves.
 *
 *   newest readable root  -> base: its shards in their order (none: an empty list)
 *   shards/ by their own bytes: footers, then every page of those that may be wanted
 *   base is the newest root, all its segments readable: its shards, and no others
 *   else: and every other whole shard of the same columns, put where its ORIGIN says, unless rows
 *         are in the list that have the same place; one that some segment lists goes first
 *   row groups that are whole, of shards that are not: written anew
 *   -> publish over the newest root
 */
#include "config.h"

#include "shardfmt/recover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/fail.h"
#include "shardfmt/inspect.h"
#include "shardfmt/manifest.h"
#include "shardfmt/newer.h"
#include "shardfmt/rowhash.h"
#include "shardfmt/survey.h"

#define LEVEL 3 /* of zstd, for what is written anew */
/* Longer values do not go through memory then. Each has a temporary file of its own, so that this is
 * more than a piece, and a row group has as many of them as when it was ingested. */
#define FAR_BYTES ((uint64_t)4 << 20)

/* A shard of the new snapshot. */
struct pick {
    const struct fmt_found *f; /* NULL: the base's shard is gone altogether */
    const struct fmt_shard_entry *e; /* of the base, or NULL */
    uint64_t base_row0;              /* of e, in the base */
    const char *split;
    bool has_place; /* the two next are known */
    uint32_t split_index;
    uint64_t row0; /* within the split */
};

struct recover {
    int dirfd;
    unsigned n_threads;
    bool dry_run;
    fmt_recover_fn fn;
    void *arg;
    struct fmt_recover_result res;
    struct fmt_snapshot base;  /* the newest root that can be read; else empty */
    struct fmt_snapshot hints; /* what any readable segment lists */
    bool complete;             /* the base is the newest root and all its segments are readable */
    struct fmt_schema schema;
    struct fmt_survey shards, rejects;
    bool *used; /* shards.count: is in the list */
    struct pick *picks;
    uint32_t n_picks, cap_picks;
    struct fmt_snapshot out;
    struct shard_error *err;
};

static void
tell(struct recover *r, enum fmt_recover_what what, const char *file, const char *reason)
{
    const struct fmt_recover_note note = {.what = what, .file = file, .reason = reason};

    r->fn(r->arg, &note);
}

static void
tell_lost(struct recover *r, const char *file, const char *split, uint64_t row0, uint64_t n_rows,
          bool in_split, const char *reason)
{
    const struct fmt_recover_note note = {.what = FMT_RECOVER_LOST,
                                          .file = file,
                                          .split = split,
                                          .row0 = row0,
                                          .n_rows = n_rows,
                                          .in_split = in_split,
                                          .reason = reason};

    if (n_rows)
        r->fn(r->arg, &note);
}

static int
fail_memory(struct recover *r)
{
    return base_fail(r->err, -ENOMEM, "recovering");
}

/* ----------------------------------------------------------------------------- roots, segments */

static int
segments_load(struct recover *r)
{
    for (uint32_t i = 0; i < r->base.n_segments; i++) {
        char path[FMT_SEGMENT_PATH_MAX];
        struct shard_error e = {0};
        int rc = fmt_segment_load(r->dirfd, &r->base, i, &e);

        if (rc >= 0)
            rc = fmt_segment_load_stats(r->dirfd, &r->base, i, &e);
        fmt_segment_path(r->base.segments[i].hash, path);
        if (fmt_inspect_fatal(rc))
            return base_fail(r->err, rc, "%s", path);
        if (rc == SHARD_EUNSUPPORTED)
            return base_fail(r->err, rc, "%s", e.text);
        if (rc >= 0)
            continue;
        r->complete = false;
        tell(r, FMT_RECOVER_DAMAGED, path, fmt_inspect_text(e.text, path));
    }
    return 0;
}

/* The newest root that can be read. A root of a newer version is no damage. */
static int
base_load(struct recover *r)
{
    uint64_t number;
    int rc = fmt_newest_root(r->dirfd, &number, r->err);

    r->res.newest = number;
    while (rc >= 0 && number) {
        char path[FMT_ROOT_PATH_MAX];
        struct shard_error e = {0};

        fmt_root_path(number, path);
        rc = fmt_root_load(r->dirfd, path, number, &r->base, &e);
        if (fmt_inspect_fatal(rc) || rc == SHARD_EUNSUPPORTED) {
            if (r->err)
                *r->err = e;
            return rc;
        }
        if (rc >= 0)
            break;
        tell(r, FMT_RECOVER_DAMAGED, path, fmt_inspect_text(e.text, path));
        rc = fmt_newest_root_upto(r->dirfd, number - 1, &number, r->err);
    }
    if (rc < 0)
        return rc;
    r->res.base = number;
    r->complete = r->res.exact = number && number == r->res.newest;
    rc = number ? segments_load(r) : 0;
    if (rc >= 0 && r->base.ro_compat)
        rc = base_fail(r->err, SHARD_EUNSUPPORTED,
                       "features 0x%" PRIx64 " of the snapshot, which this build lacks, forbid "
                       "successors of it" FMT_NEWER,
                       r->base.ro_compat);
    return rc;
}

/* Whether path is a segment of the base; what is wrong with those was told. */
static bool
base_segment(const struct recover *r, const char *path)
{
    for (uint32_t i = 0; i < r->base.n_segments; i++) {
        char own[FMT_SEGMENT_PATH_MAX];

        fmt_segment_path(r->base.segments[i].hash, own);
        if (strcmp(path, own) == 0)
            return true;
    }
    return false;
}

/* All segments that stand there and can be read. */
static int
hints_load(struct recover *r)
{
    const int fd = openat(r->dirfd, FMT_DIR_SEGMENTS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;
    int rc = 0;

    if (dir == NULL) {
        if (fd >= 0)
            (void)close(fd);
        return fd < 0 && errno == ENOENT
                   ? 0
                   : base_fail(r->err, -errno, "the folder %s cannot be read", FMT_DIR_SEGMENTS);
    }
    while (rc >= 0 && (errno = 0, (e = readdir(dir)) != NULL)) {
        char path[FMT_PATH_MAX + 2];
        struct shard_error err = {0};

        (void)snprintf(path, sizeof(path), "%s/%.200s", FMT_DIR_SEGMENTS, e->d_name);
        if (fmt_path_ok(path, FMT_DIR_SEGMENTS))
            rc = fmt_segment_survey(r->dirfd, path, &r->hints, &err);
        if (fmt_inspect_fatal(rc) || rc == SHARD_EUNSUPPORTED) {
            (void)closedir(dir);
            return base_say(r->err, rc, "%s", err.text);
        }
        if (rc < 0 && !base_segment(r, path))
            tell(r, FMT_RECOVER_DAMAGED, path, fmt_inspect_text(err.text, path));
        rc = 0;
    }
    if (errno)
        rc = base_fail(r->err, -errno, "the folder %s cannot be read", FMT_DIR_SEGMENTS);
    (void)closedir(dir);
    if (rc < 0)
        return rc;
    if (r->hints.ro_compat)
        return base_fail(r->err, SHARD_EUNSUPPORTED,
                         "features 0x%" PRIx64 " of a segment, which this build lacks, forbid "
                         "successors of its snapshot" FMT_NEWER, r->hints.ro_compat);
    return 0;
}

static bool
base_lists(const struct fmt_shard_entry *entries, uint32_t n, const char *path)
{
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(entries[i].path, path) == 0)
            return true;
    return false;
}

/* Files that only a newer build can read are no damage: nothing may be made without them. */
static int
newer_refuse(struct recover *r, const struct fmt_survey *s, const struct fmt_shard_entry *entries,
             uint32_t n)
{
    for (uint32_t i = 0; i < s->count; i++) {
        const struct fmt_found *f = &s->items[i];

        if (f->code == SHARD_EUNSUPPORTED && (!r->complete || base_lists(entries, n, f->path)))
            return base_fail(r->err, f->code, "%s: %s", f->path, f->reason);
    }
    return 0;
}

static const struct fmt_shard_entry *
hint_of(const struct recover *r, const struct fmt_found *f)
{
    for (uint32_t i = 0; i < r->hints.n_shards; i++)
        if (base_hash128_eq(r->hints.shards[i].hash, f->info.hash))
            return &r->hints.shards[i];
    return NULL;
}

/* Whether a segment that is whole lists another file under the name of this one: names hold the
 * hash of the content, so that this one is a stranger. */
static bool
is_stranger(const struct recover *r, const struct fmt_found *f)
{
    return hint_of(r, f) == NULL && base_lists(r->hints.shards, r->hints.n_shards, f->path);
}

/* --------------------------------------------------------------------------------- which shards */

/* The columns: the base's, or else those that most rows have. */
static int
schema_choose(struct recover *r)
{
    const struct fmt_found *best = NULL;
    struct fmt_footer *footer;
    uint64_t most = 0;
    int fd, rc;

    if (r->res.base)
        return fmt_schema_copy(&r->schema, &r->base.schema) < 0 ? fail_memory(r) : 0;
    for (uint32_t i = 0; i < r->shards.count; i++) {
        const struct fmt_found *f = &r->shards.items[i];
        uint64_t rows = 0;

        for (uint32_t k = 0; f->code == 0 && k < r->shards.count; k++)
            if (r->shards.items[k].code == 0 && r->shards.items[k].schema_id == f->schema_id)
                rows += r->shards.items[k].info.n_rows;
        if (rows > most) {
            most = rows;
            best = f;
        }
    }
    if (best == NULL)
        return base_fail(r->err, SHARD_ENOTFOUND,
                         "no root can be read, and no shard: there is nothing to recover");
    rc = fmt_found_open(r->dirfd, best, &fd, &footer, r->err);
    if (rc < 0)
        return rc;
    rc = fmt_schema_copy(&r->schema, &footer->schema);
    fmt_footer_free(footer);
    (void)close(fd);
    return rc < 0 ? fail_memory(r) : 0;
}

/* The file that entry e means: the one of its name, or another of its content. */
static const struct fmt_found *
entry_found(const struct fmt_survey *s, const struct fmt_shard_entry *e)
{
    const struct fmt_found *other = NULL;

    for (uint32_t i = 0; i < s->count; i++) {
        const struct fmt_found *f = &s->items[i];

        if (f->code || !base_hash128_eq(f->info.hash, e->hash))
            continue;
        if (strcmp(f->path, e->path) == 0)
            return f;
        other = f;
    }
    return other;
}

static int
shards_check(struct recover *r)
{
    const uint64_t id = fmt_schema_id(&r->schema);
    struct fmt_rowhash *hash = NULL;
    bool *want = calloc((size_t)r->shards.count + 1, sizeof(*want));
    int rc = want ? fmt_rowhash_new(&r->schema, NULL, 0, &hash) : -ENOMEM;

    r->used = calloc((size_t)r->shards.count + 1, sizeof(*r->used));
    if (rc < 0 || r->used == NULL) {
        rc = fail_memory(r);
        goto out;
    }
    for (uint32_t i = 0; !r->complete && i < r->shards.count; i++)
        want[i] = r->shards.items[i].schema_id == id;
    for (uint32_t i = 0; i < r->base.n_shards; i++) {
        const struct fmt_found *f = entry_found(&r->shards, &r->base.shards[i]);

        if (f)
            want[f - r->shards.items] = f->schema_id == id;
    }
    rc = fmt_survey_check(r->dirfd, &r->shards, want, r->n_threads, &r->schema, hash, r->err);
out:
    fmt_rowhash_free(hash);
    free(want);
    return rc;
}

/* Rows of a file that can be had. */
static uint64_t
good_rows(const struct fmt_found *f)
{
    uint64_t n = 0;

    for (uint32_t g = 0; f && f->code == 0 && f->checked && g < f->info.n_groups; g++)
        if (!f->bad[g])
            n += f->info.group_rows[g];
    return n;
}

/* Put p into the list before number `at`. */
static int
pick_insert(struct recover *r, uint32_t at, const struct pick *p)
{
    if (r->n_picks == r->cap_picks) {
        const uint32_t cap = r->cap_picks ? r->cap_picks * 2 : 64;
        struct pick *grown = reallocarray(r->picks, cap, sizeof(*grown));

        if (grown == NULL)
            return fail_memory(r);
        r->picks = grown;
        r->cap_picks = cap;
    }
    memmove(&r->picks[at + 1], &r->picks[at], (r->n_picks - at) * sizeof(*p));
    r->picks[at] = *p;
    r->n_picks++;
    if (p->f)
        r->used[p->f - r->shards.items] = true;
    return 0;
}

static void
pick_place(struct pick *p)
{
    const struct fmt_origin *o = p->f ? &p->f->origin : NULL;

    p->has_place = o && o->split && strcmp(o->split, p->split) == 0;
    if (p->has_place) {
        p->split_index = o->split_index;
        p->row0 = o->row0;
    }
}

/* The base's shards, in their order. */
static int
base_pick(struct recover *r)
{
    const uint64_t id = fmt_schema_id(&r->schema);
    uint64_t row0 = 0;
    int rc = 0;

    for (uint32_t i = 0; i < r->base.n_segments; row0 += r->base.segments[i++].n_rows) {
        const struct fmt_segment *g = &r->base.segments[i];
        uint64_t row = row0;

        for (uint32_t k = 0; rc >= 0 && k < g->n_shards; k++) {
            const struct fmt_shard_entry *e = &r->base.shards[g->shard0 + k];
            struct pick p = {.f = entry_found(&r->shards, e),
                             .e = e,
                             .base_row0 = row,
                             .split = e->split};

            if (p.f && p.f->schema_id != id)
                p.f = NULL;
            pick_place(&p);
            rc = pick_insert(r, r->n_picks, &p);
            row += e->n_rows;
        }
    }
    return rc;
}

#define ORPHAN_TEXT_MAX (FMT_PATH_MAX + 64)

/* A shard that the base does not list. */
struct orphan {
    const struct fmt_found *f;
    struct pick p;
    bool listed, whole;
};

/* Which of two shards that have the same place is taken: listed ones first, then the one of more
 * rows that can be had, whole or not: it may be what a recovery that was killed made parts of.
 * Shards without a place come last. */
static int
orphan_compare(const void *a, const void *b)
{
    const struct orphan *x = a, *y = b;

    if (x->p.has_place != y->p.has_place)
        return x->p.has_place ? -1 : 1;
    if (x->listed != y->listed)
        return x->listed ? -1 : 1;
    if (good_rows(x->f) != good_rows(y->f))
        return good_rows(x->f) > good_rows(y->f) ? -1 : 1;
    if (x->whole != y->whole)
        return x->whole ? -1 : 1;
    return strcmp(x->f->path, y->f->path);
}

/* The split that the name of a file speaks of, where nothing better does. */
static int
split_of_name(struct recover *r, const char *path, const char **ret)
{
    char name[FMT_PATH_MAX + 1];
    const char *base = strchr(path, '/') + 1, *dash = strrchr(base, '-');
    int64_t i;

    (void)snprintf(name, sizeof(name), "%.*s", dash ? (int)(dash - base) : 0, base);
    i = fmt_snapshot_split(&r->hints, fmt_split_name_ok(name) ? name : "recovered", true);
    if (i < 0)
        return fail_memory(r);
    *ret = r->hints.splits[i].name;
    return 0;
}

static int
orphan_fill(struct recover *r, const struct fmt_found *f, struct orphan *ret)
{
    const struct fmt_shard_entry *hint = hint_of(r, f);
    int rc = 0;

    *ret = (struct orphan){
        .f = f, .p.f = f, .listed = hint != NULL, .whole = fmt_found_whole(f)};
    if (hint)
        ret->p.split = hint->split;
    else if (f->origin.split && f->origin.split[0])
        ret->p.split = f->origin.split;
    else
        rc = split_of_name(r, f->path, &ret->p.split);
    pick_place(&ret->p);
    return rc;
}

/* Whether something of it can be had, or it never had any rows. */
static bool
has_rows(const struct fmt_found *f)
{
    return good_rows(f) || f->info.n_rows == 0;
}

/* The pick whose rows, or whose very file, the orphan is again; or NULL. Those of which no row can
 * be had count only with dead. */
static const struct pick *
orphan_taken(const struct recover *r, const struct orphan *o, bool dead)
{
    for (uint32_t i = 0; i < r->n_picks; i++) {
        const struct pick *p = &r->picks[i];

        if (p->f == NULL || (good_rows(p->f) == 0 && !dead))
            continue;
        if (base_hash128_eq(p->f->info.hash, o->f->info.hash))
            return p;
        if (p->has_place && o->p.has_place && strcmp(p->split, o->p.split) == 0 &&
            p->row0 < o->p.row0 + o->f->info.n_rows && o->p.row0 < p->row0 + p->f->info.n_rows)
            return p;
    }
    return NULL;
}

/* Rows of a split in the list. */
static uint64_t
split_rows(const struct recover *r, const char *split)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < r->n_picks; i++)
        if (strcmp(r->picks[i].split, split) == 0)
            n += good_rows(r->picks[i].f);
    return n;
}

/* Rows of a split in the base; 0: it has none, or there is no base. */
static uint64_t
base_split_rows(const struct recover *r, const char *split)
{
    for (uint32_t i = 0; i < r->base.n_splits; i++)
        if (strcmp(r->base.splits[i].name, split) == 0)
            return r->base.splits[i].n_rows;
    return 0;
}

/* Whether the newest root says that its split has no room for so many rows more. */
static bool
orphan_too_much(const struct recover *r, const struct orphan *o)
{
    return r->res.exact &&
           split_rows(r, o->p.split) + good_rows(o->f) > base_split_rows(r, o->p.split);
}

/* Where the orphan stands in the list: in front of what comes later in its split, else behind the
 * last of its split, else behind the splits before. */
static uint32_t
orphan_where(const struct recover *r, const struct orphan *o)
{
    uint32_t behind = 0;
    bool same = false;

    for (uint32_t i = 0; i < r->n_picks; i++) {
        const struct pick *p = &r->picks[i];

        if (strcmp(p->split, o->p.split) == 0) {
            if (p->has_place && o->p.has_place && p->row0 > o->p.row0)
                return i;
            same = true;
            behind = i + 1;
        } else if (!same && (!p->has_place || !o->p.has_place ||
                             p->split_index <= o->p.split_index)) {
            behind = i + 1;
        }
    }
    return behind;
}

/* Why the orphan is not taken, or NULL. */
static const char *
orphan_refusal(const struct recover *r, const struct orphan *o, char text[static ORPHAN_TEXT_MAX])
{
    const struct pick *other = orphan_taken(r, o, false);

    if (is_stranger(r, o->f))
        return "a segment lists another content under this name";
    if (other == NULL)
        return orphan_too_much(r, o) ? "the newest root has no room for its rows" : NULL;
    (void)snprintf(text, ORPHAN_TEXT_MAX, "its rows have the same place as those of %s",
                   other->f->path);
    return text;
}

/* Orphans of which no row can be had tell how many rows there were, unless a root does. They come
 * into the list behind all others, whose places they might have. */
static int
orphans_dead(struct recover *r, const struct orphan *list, uint32_t n)
{
    int rc = 0;

    for (uint32_t i = 0; rc >= 0 && !r->res.exact && i < n; i++)
        if (!has_rows(list[i].f) && !is_stranger(r, list[i].f) && !orphan_taken(r, &list[i], true))
            rc = pick_insert(r, orphan_where(r, &list[i]), &list[i].p);
    return rc;
}

static int
orphans_pick(struct recover *r)
{
    const uint64_t id = fmt_schema_id(&r->schema);
    struct orphan *list = calloc((size_t)r->shards.count + 1, sizeof(*list));
    uint32_t n = 0;
    int rc = list ? 0 : fail_memory(r);

    for (uint32_t i = 0; rc >= 0 && i < r->shards.count; i++) {
        const struct fmt_found *f = &r->shards.items[i];

        if (f->code == 0 && f->schema_id == id && !r->used[i])
            rc = orphan_fill(r, f, &list[n++]);
    }
    if (n && rc >= 0)
        qsort(list, n, sizeof(*list), orphan_compare);
    for (uint32_t i = 0; rc >= 0 && i < n; i++) {
        const struct orphan *o = &list[i];
        char text[ORPHAN_TEXT_MAX];
        const char *refusal;

        if (!has_rows(o->f))
            continue; /* told as damaged */
        refusal = orphan_refusal(r, o, text);
        if (refusal) {
            tell(r, FMT_RECOVER_LEFT_OUT, o->f->path, refusal);
            continue;
        }
        tell(r, FMT_RECOVER_TAKEN, o->f->path,
             o->listed ? "a segment lists it" : "by what it says of itself");
        rc = pick_insert(r, orphan_where(r, o), &o->p);
    }
    if (rc >= 0)
        rc = orphans_dead(r, list, n);
    free(list);
    return rc;
}

/* Whether a file of that name stands in shards/. */
static bool
is_there(const struct recover *r, const char *path)
{
    for (uint32_t i = 0; i < r->shards.count; i++)
        if (strcmp(r->shards.items[i].path, path) == 0)
            return true;
    return false;
}

/* Files that are missing, that are no shards, or not such shards; and those that nobody asked
 * for. */
static void
others_tell(struct recover *r)
{
    const uint64_t id = fmt_schema_id(&r->schema);

    for (uint32_t i = 0; i < r->n_picks; i++)
        if (r->picks[i].f == NULL && !is_there(r, r->picks[i].e->path))
            tell(r, FMT_RECOVER_DAMAGED, r->picks[i].e->path, "the file is missing");

    for (uint32_t i = 0; i < r->shards.count; i++) {
        const struct fmt_found *f = &r->shards.items[i];

        if (f->code)
            tell(r, f->foreign ? FMT_RECOVER_IGNORED : FMT_RECOVER_DAMAGED, f->path, f->reason);
        else if (f->reason)
            tell(r, FMT_RECOVER_DAMAGED, f->path, f->reason);
        else if (f->schema_id != id)
            tell(r, FMT_RECOVER_LEFT_OUT, f->path, "it has other columns");
        else if (r->complete && !r->used[i])
            tell(r, FMT_RECOVER_LEFT_OUT, f->path, "the newest snapshot does not list it");
    }
}

/* --------------------------------------------------------------------------------- what is lost */

/* Rows of the shards of the base: exact places. */
static void
base_lost_tell(struct recover *r)
{
    for (uint32_t i = 0; i < r->n_picks; i++) {
        const struct pick *p = &r->picks[i];
        uint64_t row = p->base_row0;

        if (p->e == NULL)
            continue;
        if (p->f == NULL) {
            tell_lost(r, p->e->path, p->split, row, p->e->n_rows, false,
                      "the shard is missing or cannot be read");
            continue;
        }
        for (uint32_t g = 0; g < p->f->info.n_groups; row += p->f->info.group_rows[g++])
            if (p->f->code || p->f->bad[g])
                tell_lost(r, p->e->path, p->split, row, p->f->info.group_rows[g], false,
                          "its row group is damaged");
    }
}

static int
place_compare(const void *a, const void *b)
{
    const struct pick *const x = *(const struct pick *const *)a, *const y =
                                                                     *(const struct pick *const *)b;

    return x->row0 != y->row0 ? (x->row0 < y->row0 ? -1 : 1) : 0;
}

/* Places in a split that no shard of the list has, up to its end where that is known. Returns the
 * rows that are missing. */
static uint64_t
split_gaps(struct recover *r, const char *split, const struct pick **sorted, uint64_t end)
{
    uint64_t pos = 0, have = split_rows(r, split), last = 0;
    bool all = true;
    uint32_t n = 0;

    for (uint32_t i = 0; i < r->n_picks; i++) {
        const struct pick *p = &r->picks[i];

        if (strcmp(p->split, split) != 0 || p->f == NULL)
            continue;
        all &= p->has_place;
        sorted[n++] = p;
        if (p->has_place && p->row0 + p->f->info.n_rows > last)
            last = p->row0 + p->f->info.n_rows;
    }
    if (last > end)
        end = last;
    if (have >= end)
        return 0;
    if (!all || n == 0) {
        tell_lost(r, NULL, split, 0, end - have, true, n ? "somewhere in the split" : "all of it");
        return end - have;
    }
    qsort(sorted, n, sizeof(*sorted), place_compare);
    for (uint32_t i = 0; i < n; i++) {
        const struct fmt_found *f = sorted[i]->f;

        if (sorted[i]->row0 > pos)
            tell_lost(r, NULL, split, pos, sorted[i]->row0 - pos, true, "no shard has them");
        pos = sorted[i]->row0;
        for (uint32_t g = 0; g < f->info.n_groups; pos += f->info.group_rows[g++])
            if (f->bad[g])
                tell_lost(r, f->path, split, pos, f->info.group_rows[g], true,
                          "its row group is damaged");
    }
    if (end > pos)
        tell_lost(r, NULL, split, pos, end - pos, true, "no shard has them");
    return end - have;
}

/* Of every split: what it should have, as far as that is known, and what it has. */
static int
lost_count(struct recover *r)
{
    const struct pick **sorted = calloc((size_t)r->n_picks + 1, sizeof(const struct pick *));

    if (sorted == NULL)
        return fail_memory(r);
    if (r->complete) {
        base_lost_tell(r);
        for (uint32_t i = 0; i < r->base.n_splits; i++)
            r->res.rows_lost += r->base.splits[i].n_rows - split_rows(r, r->base.splits[i].name);
    } else {
        for (uint32_t i = 0; i < r->out.n_splits; i++) {
            const char *name = r->out.splits[i].name;

            r->res.rows_lost += split_gaps(r, name, sorted, base_split_rows(r, name));
        }
    }
    free(sorted);
    return 0;
}

/* ------------------------------------------------------------------------- the new snapshot */

/* A column of a row group, with all its values. */
static int
column_read(struct recover *r, const struct fmt_inspect *in, uint32_t g, uint32_t c,
            struct base_codec *codec, struct fmt_inspect_scratch *scratch, struct fmt_decoded *d,
            struct shard_array *ret)
{
    int rc;

    fmt_decoded_set_far(d, FAR_BYTES);
    rc = fmt_inspect_chunk(in, g, c, codec, scratch, d, ret, r->err);
    if (rc >= 0)
        rc = fmt_inspect_far(in, g, c, r->dirfd, LEVEL, codec, scratch, d, ret, r->err);
    return rc;
}

/* Write the row groups [g, end) of an open file as a shard of their own and add it. */
static int
run_rewrite(struct recover *r, const struct fmt_inspect *in, const struct pick *p, uint32_t g,
            uint32_t end, struct base_codec *codec, struct fmt_decoded **decoded,
            struct shard_array *arrays)
{
    const struct fmt_encode_opts opts = {.zstd_level = LEVEL};
    struct fmt_inspect_scratch scratch = {0};
    struct fmt_shard_info info = {0};
    struct fmt_writer *w = NULL;
    char tmp[FMT_TMP_PATH_MAX] = "", path[FMT_PATH_MAX + 1];
    uint64_t row0 = p->row0;
    int rc;

    for (uint32_t i = 0; i < g; i++)
        row0 += p->f->info.group_rows[i];
    rc = fmt_tmp_path("shard", tmp, r->err);
    if (rc >= 0)
        rc = fmt_writer_open(r->dirfd, tmp, &r->schema, &opts, &w, r->err);
    if (rc >= 0 && p->has_place && fmt_writer_set_origin(w, p->split, p->split_index, row0) < 0)
        rc = fail_memory(r);
    for (; rc >= 0 && g < end; g++) {
        struct fmt_image *im = NULL;

        for (uint32_t c = 0; rc >= 0 && c < r->schema.n_fields; c++)
            rc = column_read(r, in, g, c, codec, &scratch, decoded[c], &arrays[c]);
        if (rc >= 0)
            rc = fmt_image_encode(&r->schema, arrays, &opts, codec, &im, r->err);
        if (rc >= 0)
            rc = fmt_writer_append(w, im, r->err);
        fmt_image_free(im);
    }
    if (rc >= 0)
        rc = fmt_writer_finish(w, &info, r->err);
    if (rc >= 0)
        rc = fmt_shard_place(r->dirfd, tmp, FMT_DIR_SHARDS, p->split, info.hash, path, r->err);
    if (rc < 0 && tmp[0])
        (void)unlinkat(r->dirfd, tmp, 0);
    if (rc >= 0) {
        rc = fmt_snapshot_add_shard(&r->out, path, p->split, &info);
        if (rc < 0)
            (void)base_fail(r->err, rc, "%s", path);
        r->res.n_rewritten++;
    }
    fmt_writer_free(w);
    free(info.group_rows);
    fmt_inspect_scratch_done(&scratch);
    return rc;
}

/* The whole row groups of a shard that is not whole. */
static int
shard_rewrite(struct recover *r, const struct pick *p)
{
    const uint32_t n = r->schema.n_fields, n_groups = p->f->info.n_groups;
    struct fmt_decoded **decoded = calloc(n, sizeof(*decoded));
    struct shard_array *arrays = calloc(n, sizeof(*arrays));
    struct base_codec *codec = NULL;
    struct fmt_inspect *in = NULL;
    struct fmt_footer *footer;
    int fd, rc = decoded && arrays ? base_codec_new(&codec) : -ENOMEM;

    for (uint32_t c = 0; rc >= 0 && c < n; c++)
        rc = fmt_decoded_new(&decoded[c]);
    if (rc < 0) {
        rc = fail_memory(r);
        goto out;
    }
    rc = fmt_found_open(r->dirfd, p->f, &fd, &footer, r->err);
    if (rc >= 0)
        rc = fmt_inspect_open(p->f->path, fd, footer, &in, r->err);
    for (uint32_t g = 0, end; rc >= 0 && g < n_groups; g = end + 1) {
        for (end = g; end < n_groups && !p->f->bad[end]; end++)
            ;
        if (end > g)
            rc = run_rewrite(r, in, p, g, end, codec, decoded, arrays);
    }
out:
    fmt_inspect_close(in);
    base_codec_free(codec);
    for (uint32_t c = 0; decoded && c < n; c++)
        fmt_decoded_free(decoded[c]);
    free(decoded);
    free(arrays);
    return rc;
}

/* Splits in the base's order, then as they come. */
static int
splits_add(struct recover *r)
{
    int rc = 0;

    for (uint32_t i = 0; rc >= 0 && i < r->base.n_splits; i++)
        rc = fmt_snapshot_add_split(&r->out, r->base.splits[i].name);
    for (uint32_t i = 0; rc >= 0 && i < r->n_picks; i++)
        rc = fmt_snapshot_add_split(&r->out, r->picks[i].split);
    return rc < 0 ? fail_memory(r) : 0;
}

static int
shards_add(struct recover *r)
{
    int rc = 0;

    for (uint32_t i = 0; rc >= 0 && i < r->n_picks; i++) {
        const struct pick *p = &r->picks[i];

        if (good_rows(p->f) == 0)
            continue;
        r->res.n_rows += good_rows(p->f);
        for (uint32_t g = 0; g < p->f->info.n_groups; g++)
            if (!p->f->bad[g])
                r->out.fingerprint = base_hash128_add(r->out.fingerprint, p->f->sums[g]);
        if (!fmt_found_whole(p->f)) {
            if (!r->dry_run)
                rc = shard_rewrite(r, p);
        } else {
            rc = fmt_snapshot_add_shard(&r->out, p->f->path, p->split, &p->f->info);
            if (rc < 0)
                (void)base_fail(r->err, rc, "%s", p->f->path);
        }
    }
    r->res.n_shards = r->out.n_shards;
    r->res.fingerprint = r->out.fingerprint;
    return rc;
}

static int
origin_compare(const void *a, const void *b)
{
    const struct fmt_found *x = *(const struct fmt_found *const *)a;
    const struct fmt_found *y = *(const struct fmt_found *const *)b;

    if (x->origin.row0 != y->origin.row0)
        return x->origin.row0 < y->origin.row0 ? -1 : 1;
    return strcmp(x->path, y->path);
}

/* Whether the very file is listed, under another name. */
static bool
is_copy(const struct fmt_found *f, const struct fmt_found *const *all, uint32_t n_all)
{
    for (uint32_t i = 0; i < n_all; i++)
        if (base_hash128_eq(all[i]->info.hash, f->info.hash))
            return true;
    return false;
}

/* Quarantine: the base's files that are whole; without the newest root all others, too. */
static int
rejects_add(struct recover *r)
{
    const uint32_t n = r->rejects.count;
    const struct fmt_found **all = calloc((size_t)n + 1, sizeof(const struct fmt_found *));
    bool *want = calloc((size_t)n + 1, sizeof(*want));
    struct fmt_schema schema;
    uint64_t id;
    uint32_t n_all = 0;
    int rc = fmt_quarantine_schema(&schema);

    if (rc < 0 || all == NULL || want == NULL) {
        rc = fail_memory(r);
        goto out;
    }
    id = fmt_schema_id(&schema);
    for (uint32_t i = 0; i < n; i++)
        want[i] = r->rejects.items[i].schema_id == id;
    rc = fmt_survey_check(r->dirfd, &r->rejects, want, r->n_threads, &schema, NULL, r->err);
    for (uint32_t i = 0; i < r->base.n_rejects; i++) {
        const struct fmt_found *f = entry_found(&r->rejects, &r->base.rejects[i]);

        if (f && fmt_found_whole(f)) {
            want[f - r->rejects.items] = false;
            all[n_all++] = f;
        } else {
            tell(r, FMT_RECOVER_DAMAGED, r->base.rejects[i].path,
                 f && f->reason ? f->reason : "the quarantine file is missing or cannot be read");
            r->res.rejects_lost = true;
        }
    }
    for (uint32_t i = 0, first = n_all; !r->res.exact && i < n; i++) {
        const struct fmt_found *f = &r->rejects.items[i];

        if (want[i] && fmt_found_whole(f)) {
            if (is_copy(f, all, n_all))
                tell(r, FMT_RECOVER_LEFT_OUT, f->path, "it is a copy of another file");
            else
                all[n_all++] = f;
        } else if (f->reason && !f->foreign &&
                   !base_lists(r->base.rejects, r->base.n_rejects, f->path)) {
            tell(r, FMT_RECOVER_DAMAGED, f->path, f->reason);
            r->res.rejects_lost = true;
        }
        if (i == n - 1 && n_all > first)
            qsort(all + first, n_all - first, sizeof(*all), origin_compare);
    }
    for (uint32_t i = 0; rc >= 0 && i < n_all; i++)
        if (fmt_snapshot_add_reject(&r->out, all[i]->path, &all[i]->info) < 0)
            rc = fail_memory(r);
out:
    fmt_schema_done(&schema);
    free(all);
    free(want);
    return rc;
}

static int
facts_add(struct recover *r)
{
    const struct base_hash128 none = {0, 0};
    int rc = 0;

    for (uint32_t i = 0; rc >= 0 && i < r->base.n_facts; i++) {
        const struct fmt_fact *f = &r->base.facts[i];

        rc = fmt_snapshot_add_fact(&r->out, f->kind, f->name, f->number, f->bytes, f->hash,
                                   f->text);
    }
    if (rc >= 0)
        rc = fmt_snapshot_add_fact(&r->out, "recovery", "base", r->res.base, 0, none, "");
    if (rc >= 0)
        rc = fmt_snapshot_add_fact(&r->out, "recovery", "rows_lost", r->res.rows_lost, 0, none,
                                   r->res.exact ? "exact" : "at least");
    return rc < 0 ? fail_memory(r) : 0;
}

/* Whether all that the newest snapshot lists is whole and in its place. */
static bool
is_sound(const struct recover *r)
{
    for (uint32_t i = 0; r->complete && i < r->n_picks; i++) {
        const struct pick *p = &r->picks[i];

        if (p->f == NULL || !fmt_found_whole(p->f) || strcmp(p->f->path, p->e->path) != 0)
            return false;
    }
    return r->complete;
}

static int
snapshot_build(struct recover *r)
{
    int rc = splits_add(r);

    if (rc >= 0)
        rc = lost_count(r);
    if (rc >= 0)
        rc = rejects_add(r);
    if (rc < 0)
        return rc;
    r->res.sound = is_sound(r) && !r->res.rejects_lost;
    if (r->res.sound) {
        r->res.n_rows = fmt_snapshot_rows(&r->base);
        r->res.n_shards = r->base.n_shards;
        r->res.fingerprint = r->base.fingerprint;
        return 0;
    }
    rc = r->dry_run ? 0 : fmt_dataset_mkdirs(r->dirfd, r->err); /* whole folders may be lost */
    if (rc >= 0)
        rc = shards_add(r);
    if (rc >= 0 && r->res.n_rows == 0 && (r->res.rows_lost || r->res.base == 0))
        return base_fail(r->err, SHARD_ENOTFOUND,
                         "not one row can be saved; nothing was published");
    if (rc >= 0)
        rc = facts_add(r);
    if (rc < 0 || r->dry_run)
        return rc;
    rc = fmt_publish_over(r->dirfd, r->res.newest, &r->out, r->err);
    if (rc < 0)
        return rc;
    r->res.number = r->out.number;
    r->res.snapshot = r->out.hash;
    return 0;
}

static void
nobody(void *arg, const struct fmt_recover_note *note)
{
    (void)arg;
    (void)note;
}

int
fmt_recover(int dirfd, bool dry_run, unsigned n_threads, fmt_recover_fn fn, void *arg,
            struct fmt_recover_result *ret, struct shard_error *err)
{
    struct recover r = {.dirfd = dirfd,
                        .dry_run = dry_run,
                        .n_threads = n_threads,
                        .fn = fn ? fn : nobody,
                        .arg = arg,
                        .err = err};
    int rc;

    fmt_snapshot_init(&r.base);
    fmt_snapshot_init(&r.hints);
    fmt_snapshot_init(&r.out);
    fmt_schema_init(&r.schema);
    rc = base_load(&r);
    if (rc >= 0)
        rc = fmt_survey_folder(dirfd, FMT_DIR_SHARDS, &r.shards, err);
    if (rc >= 0)
        rc = fmt_survey_folder(dirfd, FMT_DIR_QUARANTINE, &r.rejects, err);
    if (rc >= 0 && !r.complete)
        rc = hints_load(&r);
    if (rc >= 0)
        rc = newer_refuse(&r, &r.shards, r.base.shards, r.base.n_shards);
    if (rc >= 0)
        rc = newer_refuse(&r, &r.rejects, r.base.rejects, r.base.n_rejects);
    if (rc >= 0)
        rc = schema_choose(&r);
    if (rc >= 0 && fmt_schema_copy(&r.out.schema, &r.schema) < 0)
        rc = fail_memory(&r);
    if (rc >= 0)
        rc = shards_check(&r);
    if (rc >= 0)
        rc = base_pick(&r);
    if (rc >= 0 && !r.complete)
        rc = orphans_pick(&r);
    if (rc >= 0) {
        others_tell(&r);
        rc = snapshot_build(&r);
    }
    if (rc >= 0)
        *ret = r.res;
    free(r.picks);
    free(r.used);
    fmt_survey_done(&r.shards);
    fmt_survey_done(&r.rejects);
    fmt_schema_done(&r.schema);
    fmt_snapshot_done(&r.out);
    fmt_snapshot_done(&r.hints);
    fmt_snapshot_done(&r.base);
    return rc;
}
