/* Fuzz target: roots. Input: u8 mode, u8 number of the root; then
 *
 *     mode 0 to 127: facts: u8 kind (an index below, or one whose text follows), name, number,
 *                    bytes, u8 bytes of hash and so many (0 to 17), text. "format" stands before
 *                    them; a segment without a name gets the one that its hash calls for
 *     mode 128 to 255: as the input of fuzz_footer: any table
 *
 * What loads must be writable again, and load as the same. */
#include "config.h"

#include <stdlib.h>
#include <unistd.h>

#include "lib/compiler.h"
#include "shardfmt/manifest.h"
#include "tests/fuzz/fuzz_table.h"

#define ROOT  "tmp/root"
#define AGAIN "tmp/again"

static const struct fmt_table_field fields[] = {
    {"kind", SHARD_TYPE_STRING, 0},   {"name", SHARD_TYPE_STRING, 0},
    {"number", SHARD_TYPE_UINT64, 0}, {"bytes", SHARD_TYPE_UINT64, 0},
    {"hash", SHARD_TYPE_BINARY, 0},   {"text", SHARD_TYPE_STRING, 0},
};
static const char *const kinds[] = {"column", "split", "segment", "quarantine",
                                    "parent", "fingerprint", "format", "input", "!x"};

static void
put_name(struct fmt_builder *b, struct base_cursor *c, const char *kind, const uint8_t *hash)
{
    if (strcmp(kind, "segment") == 0 && base_cursor_left(c) && *c->p == 0) {
        const struct base_hash128 h = {base_load_le64(hash), base_load_le64(hash + 8)};
        char path[FMT_SEGMENT_PATH_MAX];

        fmt_segment_path(h, path);
        (void)base_cursor_u8(c);
        fuzz_must(fmt_put_text(&b->cols[1], path) == 0, "memory");
    } else {
        fuzz_put_bytes(c, &b->cols[1]);
    }
}

static void
put_fact(struct fmt_builder *b, struct base_cursor *c)
{
    const unsigned k = base_cursor_u8(c), hash_len = base_cursor_u8(c) % 18;
    uint8_t hash[17] = {0};

    for (unsigned i = 0; i < hash_len; i++)
        hash[i] = base_cursor_u8(c);
    if (k < BASE_ARRAY_LEN(kinds))
        fuzz_must(fmt_put_text(&b->cols[0], kinds[k]) == 0, "memory");
    else
        fuzz_put_bytes(c, &b->cols[0]);
    put_name(b, c, k < BASE_ARRAY_LEN(kinds) ? kinds[k] : "", hash);
    fuzz_put_u64(&b->cols[2], fuzz_number(c));
    fuzz_put_u64(&b->cols[3], fuzz_number(c));
    fuzz_must(fmt_column_append_bytes(&b->cols[4], hash, hash_len) == 0, "memory");
    fuzz_put_bytes(c, &b->cols[5]);
}

static void
make_facts(struct base_cursor c)
{
    static const uint8_t format[] = {6, 0, 9, 's', 'h', 'a', 'r', 'd', 'l', 'i', 'n', 'e',
                                     FMT_DATASET_VERSION, 0, 0};
    struct base_cursor first = base_cursor_make(format, sizeof(format));
    struct fmt_table_info info;
    struct fmt_builder b;

    fuzz_must(fmt_builder_init(&b, fields, BASE_ARRAY_LEN(fields)) == 0, "memory");
    put_fact(&b, &first);
    while (base_cursor_left(&c) && base_cursor_ok(&c))
        put_fact(&b, &c);
    fuzz_write_table(&b, ROOT, &info);
    fmt_builder_done(&b);
}

static void
make_file(struct base_cursor c)
{
    const unsigned head = base_cursor_u16(&c);
    const size_t len = base_cursor_left(&c);
    struct base_buf file = {0};
    struct fmt_table_info info;

    fuzz_make_shard(c.p, len, BASE_MIN(head & 0x7fff, len), head >> 15, &file);
    fuzz_write_file(&file, ROOT, &info);
    base_buf_done(&file);
}

static void
same_snapshots(const struct fmt_snapshot *a, const struct fmt_snapshot *b)
{
    fuzz_must(fmt_schema_equal(&a->schema, &b->schema) && a->n_splits == b->n_splits &&
                  a->n_segments == b->n_segments && a->n_rejects == b->n_rejects &&
                  a->n_facts == b->n_facts && a->parent_number == b->parent_number &&
                  base_hash128_eq(a->parent_hash, b->parent_hash) &&
                  base_hash128_eq(a->fingerprint, b->fingerprint),
              "another root comes back");
    for (uint32_t i = 0; i < a->n_splits; i++)
        fuzz_must(strcmp(a->splits[i].name, b->splits[i].name) == 0 &&
                      a->splits[i].n_rows == b->splits[i].n_rows,
                  "another split comes back");
    for (uint32_t i = 0; i < a->n_segments; i++)
        fuzz_must(base_hash128_eq(a->segments[i].hash, b->segments[i].hash) &&
                      a->segments[i].n_rows == b->segments[i].n_rows &&
                      a->segments[i].file_bytes == b->segments[i].file_bytes,
                  "another segment comes back");
    for (uint32_t i = 0; i < a->n_facts; i++)
        fuzz_must(strcmp(a->facts[i].kind, b->facts[i].kind) == 0 &&
                      strcmp(a->facts[i].name, b->facts[i].name) == 0 &&
                      strcmp(a->facts[i].text, b->facts[i].text) == 0 &&
                      a->facts[i].number == b->facts[i].number &&
                      base_hash128_eq(a->facts[i].hash, b->facts[i].hash),
                  "another fact comes back");
}

static void
write_again(const struct fmt_snapshot *s)
{
    struct base_hash128 hash;
    struct shard_error err = {0};
    struct fmt_snapshot back;

    fuzz_must(fmt_root_write(fuzz_dataset(), AGAIN, s, &hash, &err) == 0, err.text);
    fuzz_must(fmt_root_load(fuzz_dataset(), AGAIN, s->number, &back, &err) == 0, err.text);
    fuzz_must(base_hash128_eq(hash, back.hash), "hash of the root");
    same_snapshots(s, &back);
    fmt_snapshot_done(&back);
    (void)unlinkat(fuzz_dataset(), AGAIN, 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct base_cursor c = base_cursor_make(data, len);
    const unsigned mode = base_cursor_u8(&c), number = base_cursor_u8(&c);
    struct fmt_snapshot s;

    if (len < 2 || len > 1u << 16)
        return 0;
    if (mode < 128)
        make_facts(c);
    else
        make_file(c);
    if (fmt_root_load(fuzz_dataset(), ROOT, number ? number : 1, &s, NULL) == 0) {
        write_again(&s);
        fmt_snapshot_done(&s);
    }
    (void)unlinkat(fuzz_dataset(), ROOT, 0);
    return 0;
}
