/* A snapshot in memory: lists of shards, quarantine files, splits and facts. What may stand in one
 * is decided here, for writers by fmt_snapshot_add_*() and for readers by the same predicates in
 * manifest.c. */
#include "config.h"

#include "shardfmt/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/arith.h"
#include "shardfmt/manifest.h"
#include "shardfmt/utf8.h"

void
fmt_snapshot_init(struct fmt_snapshot *s)
{
    memset(s, 0, sizeof(*s));
    fmt_schema_init(&s->schema);
}

/* Entries are many and small, and go all at once. */
struct fmt_block {
    struct fmt_block *next;
    size_t used, size; /* of data */
    uint64_t data[];
};
#define BLOCK_BYTES 65536u

void *
fmt_snapshot_alloc(struct fmt_snapshot *s, size_t size)
{
    struct fmt_block *b = s->blocks;
    void *p;

    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + 7) / 8 * 8;
    if (b == NULL || b->size - b->used < size) {
        const size_t room = size > BLOCK_BYTES ? size : BLOCK_BYTES;

        b = malloc(sizeof(*b) + room);
        if (b == NULL)
            return NULL;
        *b = (struct fmt_block){.next = s->blocks, .size = room};
        s->blocks = b;
    }
    p = (uint8_t *)b->data + b->used;
    b->used += size;
    return p;
}

char *
fmt_snapshot_text(struct fmt_snapshot *s, const char *text, size_t len)
{
    char *copy = fmt_snapshot_alloc(s, len + 1);

    if (copy == NULL)
        return NULL;
    if (len)
        memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

void
fmt_snapshot_done(struct fmt_snapshot *s)
{
    while (s->blocks) {
        struct fmt_block *next = s->blocks->next;

        free(s->blocks);
        s->blocks = next;
    }
    for (uint32_t i = 0; i < s->n_splits; i++)
        free(s->splits[i].name);
    for (uint32_t i = 0; i < s->n_facts; i++) {
        free(s->facts[i].kind);
        free(s->facts[i].name);
        free(s->facts[i].text);
    }
    free(s->shards);
    free(s->rejects);
    free(s->splits);
    free(s->facts);
    free(s->segments);
    fmt_schema_done(&s->schema);
    fmt_snapshot_init(s);
}

/* ----------------------------------------------------------------------------- growing lists */

/* Room for one more zeroed item in the list at *items; the item, or NULL. */
static void *
list_grow(void **items, uint32_t *count, uint32_t *cap, size_t size)
{
    uint8_t *p = *items;

    if (*count == *cap) {
        const uint32_t want = *cap ? *cap + (*cap >> 1) + 1 : 8;

        if (want <= *cap)
            return NULL;
        p = reallocarray(p, want, size);
        if (p == NULL)
            return NULL;
        *items = p;
        *cap = want;
    }
    p += (size_t)*count * size;
    memset(p, 0, size);
    ++*count;
    return p;
}

struct fmt_fact *
fmt_snapshot_new_fact(struct fmt_snapshot *s)
{
    void *items = s->facts;
    struct fmt_fact *f = list_grow(&items, &s->n_facts, &s->cap_facts, sizeof(*f));

    s->facts = items;
    return f;
}

struct fmt_shard_entry *
fmt_snapshot_new_shard(struct fmt_snapshot *s)
{
    void *items = s->shards;
    struct fmt_shard_entry *e = list_grow(&items, &s->n_shards, &s->cap_shards, sizeof(*e));

    s->shards = items;
    return e;
}

bool
fmt_snapshot_more_shards(struct fmt_snapshot *s, uint32_t n)
{
    struct fmt_shard_entry *p;

    if (n <= s->cap_shards - s->n_shards)
        return true;
    if (n > UINT32_MAX - s->n_shards)
        return false;
    p = reallocarray(s->shards, s->n_shards + n, sizeof(*p));
    if (p == NULL)
        return false;
    s->shards = p;
    s->cap_shards = s->n_shards + n;
    return true;
}

struct fmt_shard_entry *
fmt_snapshot_new_reject(struct fmt_snapshot *s)
{
    void *items = s->rejects;
    struct fmt_shard_entry *e = list_grow(&items, &s->n_rejects, &s->cap_rejects, sizeof(*e));

    s->rejects = items;
    return e;
}

struct fmt_segment *
fmt_snapshot_new_segment(struct fmt_snapshot *s)
{
    void *items = s->segments;
    struct fmt_segment *g = list_grow(&items, &s->n_segments, &s->cap_segments, sizeof(*g));

    s->segments = items;
    return g;
}

int64_t
fmt_snapshot_split(struct fmt_snapshot *s, const char *name, bool add)
{
    void *items = s->splits;
    struct fmt_split *split;
    char *copy;

    for (uint32_t i = 0; i < s->n_splits; i++)
        if (strcmp(s->splits[i].name, name) == 0)
            return i;
    if (!add)
        return SHARD_ENOTFOUND;
    if (s->n_splits >= FMT_SPLITS_MAX)
        return -EINVAL;
    copy = strdup(name);
    if (copy == NULL)
        return -ENOMEM;
    split = list_grow(&items, &s->n_splits, &s->cap_splits, sizeof(*split));
    s->splits = items;
    if (split == NULL) {
        free(copy);
        return -ENOMEM;
    }
    split->name = copy;
    return s->n_splits - 1;
}

/* --------------------------------------------------------------------- what may stand in one */

/* Of len bytes, add up those that no path has, and the slashes. len is a constant where this is
 * inlined, so that compilers vectorise it. */
static inline void
count_bytes(const uint8_t *p, size_t len, uint8_t *bad, uint8_t *slashes)
{
    uint8_t b = 0, s = 0;

    for (size_t i = 0; i < len; i++) {
        const uint8_t c = p[i], letter = (uint8_t)((c | 0x20) - 'a'), digit = (uint8_t)(c - '0');

        s = (uint8_t)(s + (c == '/'));
        b |= (uint8_t)!((letter < 26) | (digit < 10) | (c == '.') | (c == '-') | (c == '_') |
                        (c == '/'));
    }
    *bad |= b;
    *slashes = s;
}

bool
fmt_path_bytes_ok(const char *bytes, size_t len, size_t *ret_slashes)
{
    const uint8_t *p = (const uint8_t *)bytes;
    uint8_t bad = 0, slashes;
    size_t sum = 0;

    for (; len >= 192; len -= 192, p += 192, sum += slashes) /* 256 slashes would not fit */
        count_bytes(p, 192, &bad, &slashes);
    count_bytes(p, len, &bad, &slashes);
    *ret_slashes = sum + slashes;
    return bad == 0;
}

bool
fmt_path_ok(const char *path, const char *folder)
{
    const size_t n = strlen(folder), len = strlen(path);
    size_t slashes;

    /* One component without "/", so that ".." has nowhere to lead even if it were allowed. */
    return fmt_path_begins(path, len, folder, n) && fmt_path_bytes_ok(path, len, &slashes) &&
           slashes == 1;
}

bool
fmt_split_name_ok(const char *name)
{
    const size_t len = strlen(name);

    if (len == 0 || len > FMT_SPLIT_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            return false;
    return fmt_utf8_ok(name, len);
}

bool
fmt_fact_kind_reserved(const char *kind)
{
    static const char *const own[] = {"format", "parent",  "fingerprint", "column",
                                      "split",  "segment", "quarantine"};

    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        if (strcmp(kind, own[i]) == 0)
            return true;
    return kind[0] == '!';
}

/* --------------------------------------------------------------------------------- additions */

uint64_t
fmt_snapshot_rows(const struct fmt_snapshot *s)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < s->n_splits; i++)
        n += s->splits[i].n_rows;
    return n;
}

int
fmt_snapshot_add_split(struct fmt_snapshot *s, const char *name)
{
    int64_t i;

    if (!fmt_split_name_ok(name))
        return -EINVAL;
    i = fmt_snapshot_split(s, name, true);
    return i < 0 ? (int)i : 0;
}

/* Whether the numbers of info agree with each other. */
static bool
info_ok(const struct fmt_shard_info *info)
{
    uint64_t rows = 0;

    for (uint32_t i = 0; i < info->n_groups; i++) {
        if (info->group_rows[i] == 0)
            return false;
        rows += info->group_rows[i];
    }
    return rows == info->n_rows && info->footer_bytes <= info->file_bytes;
}

int
fmt_shard_entry_set_stats(struct fmt_snapshot *s, struct fmt_shard_entry *e, const void *bytes,
                          size_t len)
{
    e->stats = fmt_snapshot_alloc(s, len);
    if (e->stats == NULL)
        return -ENOMEM;
    if (len)
        memcpy(e->stats, bytes, len);
    e->stats_len = (uint32_t)len;
    return 0;
}

/* Fill a new, zeroed entry; after a failure it is still the last of its list. */
static int
entry_fill(struct fmt_snapshot *s, struct fmt_shard_entry *e, const char *path, const char *split,
           const struct fmt_shard_info *info)
{
    const size_t size = (size_t)info->n_groups * sizeof(uint32_t);

    e->path = fmt_snapshot_text(s, path, strlen(path));
    e->split = fmt_snapshot_text(s, split, strlen(split));
    e->group_rows = fmt_snapshot_alloc(s, size);
    if (e->path == NULL || e->split == NULL || e->group_rows == NULL ||
        fmt_shard_entry_set_stats(s, e, info->stats, info->stats_len) < 0)
        return -ENOMEM;
    if (size)
        memcpy(e->group_rows, info->group_rows, size);
    e->n_groups = info->n_groups;
    e->n_rows = info->n_rows;
    e->file_bytes = info->file_bytes;
    e->raw_bytes = info->raw_bytes;
    e->footer_bytes = info->footer_bytes;
    e->hash = info->hash;
    return 0;
}

int
fmt_snapshot_add_shard(struct fmt_snapshot *s, const char *path, const char *split,
                       const struct fmt_shard_info *info)
{
    struct fmt_shard_entry *e;
    uint64_t sum;
    int64_t i;
    int r;

    if (!fmt_path_ok(path, FMT_DIR_SHARDS) || !fmt_split_name_ok(split) || !info_ok(info) ||
        base_add_u64(fmt_snapshot_rows(s), info->n_rows, &sum) < 0)
        return -EINVAL;
    i = fmt_snapshot_split(s, split, true);
    if (i < 0)
        return (int)i;
    e = fmt_snapshot_new_shard(s);
    if (e == NULL)
        return -ENOMEM;
    r = entry_fill(s, e, path, split, info);
    if (r < 0) {
        s->n_shards--;
        return r;
    }
    e->split_index = (uint32_t)i;
    s->splits[i].n_rows += info->n_rows;
    return 0;
}

int
fmt_snapshot_add_reject(struct fmt_snapshot *s, const char *path, const struct fmt_shard_info *info)
{
    struct fmt_shard_entry *e;
    int r;

    if (!fmt_path_ok(path, FMT_DIR_QUARANTINE) || !info_ok(info))
        return -EINVAL;
    e = fmt_snapshot_new_reject(s);
    if (e == NULL)
        return -ENOMEM;
    r = entry_fill(s, e, path, "", info);
    if (r < 0)
        s->n_rejects--;
    return r;
}

int
fmt_snapshot_add_fact(struct fmt_snapshot *s, const char *kind, const char *name, uint64_t number,
                      uint64_t bytes, struct base_hash128 hash, const char *text)
{
    struct fmt_fact *f;

    if (kind[0] == '\0' || fmt_fact_kind_reserved(kind) || strlen(kind) > FMT_NAME_MAX ||
        strlen(name) > FMT_FACT_TEXT_MAX || strlen(text) > FMT_FACT_TEXT_MAX)
        return -EINVAL;
    f = fmt_snapshot_new_fact(s);
    if (f == NULL)
        return -ENOMEM;
    f->kind = strdup(kind);
    f->name = strdup(name);
    f->text = strdup(text);
    if (f->kind == NULL || f->name == NULL || f->text == NULL) {
        free(f->kind);
        free(f->name);
        free(f->text);
        s->n_facts--;
        return -ENOMEM;
    }
    f->number = number;
    f->bytes = bytes;
    f->hash = hash;
    return 0;
}

const struct fmt_fact *
fmt_snapshot_fact(const struct fmt_snapshot *s, const char *kind, const char *name)
{
    for (uint32_t i = 0; i < s->n_facts; i++)
        if (strcmp(s->facts[i].kind, kind) == 0 && strcmp(s->facts[i].name, name) == 0)
            return &s->facts[i];
    return NULL;
}

int
fmt_quarantine_schema(struct fmt_schema *ret)
{
    static const struct {
        const char *name;
        enum shard_type type;
    } fields[] = {
        {"file", SHARD_TYPE_STRING},   {"entry", SHARD_TYPE_STRING},  {"reason", SHARD_TYPE_STRING},
        {"detail", SHARD_TYPE_STRING}, {"column", SHARD_TYPE_STRING}, {"line", SHARD_TYPE_UINT64},
        {"offset", SHARD_TYPE_UINT64}, {"length", SHARD_TYPE_UINT64}, {"raw", SHARD_TYPE_BINARY},
    };
    int r = 0;

    fmt_schema_init(ret);
    for (size_t i = 0; r >= 0 && i < sizeof(fields) / sizeof(fields[0]); i++)
        r = fmt_schema_add(ret, fields[i].name, fields[i].type, 0, false, 0);
    if (r < 0)
        fmt_schema_done(ret);
    return r;
}
