/* Fuzz target: segments. Input: u8 mode, u8 what the root says of its rows (0: the truth); then
 *
 *     mode 0 to 127: shards: u8 what (WHAT_*), path, split, footer_bytes, more bytes of the
 *                    file, raw_bytes, u8 groups and the rows of each
 *     mode 128 to 255: as the input of fuzz_footer: any table
 *
 * What loads must be writable again, and load as the same. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/compiler.h"
#include "shardfmt/footer_write.h"
#include "shardfmt/manifest.h"
#include "tests/fuzz/fuzz_table.h"
#include "tests/shard_util.h"

#define WHAT_PATH  1u /* a path follows; else a good one is made */
#define WHAT_SPLIT 2u /* a split follows; else it is "train" */
#define WHAT_ROWS  4u /* the number of rows follows; else it is the groups' sum */
#define WHAT_HASH  8u /* a hash of any length follows */
#define WHAT_STATS 16u /* statistics follow; else there are none */
#define SEGMENT "tmp/segment"

static const struct fmt_table_field fields[] = {
    {"path", SHARD_TYPE_STRING, 0},      {"split", SHARD_TYPE_STRING, 0},
    {"rows", SHARD_TYPE_UINT64, 0},      {"file_bytes", SHARD_TYPE_UINT64, 0},
    {"raw_bytes", SHARD_TYPE_UINT64, 0}, {"footer_bytes", SHARD_TYPE_UINT32, 0},
    {"hash", SHARD_TYPE_BINARY, 0},      {"group_rows", SHARD_TYPE_LIST, SHARD_TYPE_UINT32},
    {"stats", SHARD_TYPE_BINARY, 0},
};

static void
put_text(struct fmt_builder *b, unsigned col, bool given, const char *text, struct base_cursor *c)
{
    if (given)
        fuzz_put_bytes(c, &b->cols[col]);
    else
        fuzz_must(fmt_put_text(&b->cols[col], text) == 0, "memory");
}

/* Returns its rows. */
static uint64_t
put_shard(struct fmt_builder *b, struct base_cursor *c)
{
    const unsigned what = base_cursor_u8(c);
    const uint8_t hash[16] = {(uint8_t)what, 1};
    uint32_t footer_bytes, groups[255], n;
    uint64_t rows = 0;

    put_text(b, 0, what & WHAT_PATH, "shards/x.shard", c);
    put_text(b, 1, what & WHAT_SPLIT, "train", c);
    footer_bytes = (uint32_t)fuzz_number(c);
    fuzz_put_u64(&b->cols[3], footer_bytes + fuzz_number(c));
    fuzz_put_u64(&b->cols[4], fuzz_number(c));
    fuzz_must(fmt_column_append_number(&b->cols[5], &footer_bytes) == 0, "memory");
    if (what & WHAT_HASH)
        fuzz_put_bytes(c, &b->cols[6]);
    else
        fuzz_must(fmt_column_append_bytes(&b->cols[6], hash, sizeof(hash)) == 0, "memory");
    n = base_cursor_u8(c);
    for (uint32_t i = 0; i < n; i++)
        rows += groups[i] = (uint32_t)fuzz_number(c);
    fuzz_must(fmt_column_append_list(&b->cols[7], groups, n) == 0, "memory");
    put_text(b, 8, what & WHAT_STATS, "", c);
    if (what & WHAT_ROWS)
        rows = fuzz_number(c);
    fuzz_put_u64(&b->cols[2], rows);
    return rows;
}

static uint64_t
make_shards(struct base_cursor c, struct fmt_table_info *info)
{
    struct fmt_builder b;
    uint64_t rows = 0;

    fuzz_must(fmt_builder_init(&b, fields, BASE_ARRAY_LEN(fields)) == 0, "memory");
    while (base_cursor_left(&c) && base_cursor_ok(&c))
        rows += put_shard(&b, &c);
    fuzz_write_table(&b, SEGMENT, info);
    fmt_builder_done(&b);
    return rows;
}

static uint64_t
make_file(struct base_cursor c, struct fmt_table_info *info)
{
    const unsigned head = base_cursor_u16(&c);
    const size_t len = base_cursor_left(&c);
    struct base_buf file = {0};
    struct fmt_footer *f;

    fuzz_make_shard(c.p, len, BASE_MIN(head & 0x7fff, len), head >> 15, &file);
    info->hash = (struct base_hash128){0, 0};
    if (shard_util_load(file.data, file.len, 0, &f, NULL) == 0) {
        info->hash = f->hash;
        fmt_footer_free(f);
    }
    fuzz_write_file(&file, SEGMENT, info);
    base_buf_done(&file);
    return 3;
}

/* A snapshot that lists one segment. */
static void
snapshot_make(struct fmt_snapshot *s, const struct fmt_segment *g)
{
    struct fmt_segment *mine;

    fmt_snapshot_init(s);
    fuzz_must(fmt_schema_add(&s->schema, "a", SHARD_TYPE_INT32, 0, false, 0) == 0 &&
                  fmt_schema_add(&s->schema, "b", SHARD_TYPE_STRING, 0, true, 0) == 0 &&
                  fmt_snapshot_add_split(s, "train") == 0 && fmt_snapshot_add_split(s, "test") == 0,
              "memory");
    mine = fmt_snapshot_new_segment(s);
    fuzz_must(mine != NULL, "memory");
    *mine = *g;
}

/* Load the segment in its place, which is then empty again. */
static int
load(struct fmt_snapshot *s, const struct fmt_segment *g, struct shard_error *err)
{
    char path[FMT_SEGMENT_PATH_MAX];
    int r;

    fmt_segment_path(g->hash, path);
    snapshot_make(s, g);
    r = fmt_segment_load(fuzz_dataset(), s, 0, err);
    if (r >= 0)
        r = fmt_segment_load_stats(fuzz_dataset(), s, 0, err);
    (void)unlinkat(fuzz_dataset(), path, 0);
    return r;
}

static void
write_again(const struct fmt_snapshot *s)
{
    struct fmt_segment g = {.hash = {0, 0}};
    struct shard_error err = {0};
    struct fmt_snapshot back;

    if (fmt_segment_end(s, 0) != s->n_shards) /* foreign writers may cut elsewhere */
        return;
    fuzz_must(fmt_segment_write(fuzz_dataset(), s, 0, s->n_shards, &g, &err) == 0, err.text);
    fuzz_must(fmt_segment_holds(fuzz_dataset(), &g, s->shards), "another segment was written");
    fuzz_must(load(&back, &g, &err) == 0, err.text);
    fuzz_must(back.n_shards == s->n_shards, "other shards come back");
    for (uint32_t i = 0; i < s->n_shards; i++)
        fuzz_must(back.shards[i].stats_len == s->shards[i].stats_len &&
                      memcmp(back.shards[i].stats, s->shards[i].stats, s->shards[i].stats_len) == 0,
                  "other statistics come back");
    fmt_snapshot_done(&back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct base_cursor c = base_cursor_make(data, len);
    const unsigned mode = base_cursor_u8(&c), lie = base_cursor_u8(&c);
    char path[FMT_SEGMENT_PATH_MAX];
    struct fmt_table_info info;
    struct fmt_segment g;
    struct fmt_snapshot s;

    if (len < 2 || len > 1u << 16)
        return 0;
    g = (struct fmt_segment){.n_rows = mode < 128 ? make_shards(c, &info) : make_file(c, &info)};
    g.n_rows += lie;
    g.hash = info.hash;
    g.file_bytes = info.file_bytes;
    fmt_segment_path(g.hash, path);
    fuzz_must(renameat(fuzz_dataset(), SEGMENT, fuzz_dataset(), path) == 0, path);
    if (load(&s, &g, NULL) == 0)
        write_again(&s);
    fmt_snapshot_done(&s);
    return 0;
}
