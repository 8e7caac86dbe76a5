/* Fuzz target: a whole shard file, above all its footer. Input: u16, of which bit 15 says that the
 * footer goes through zstd and the rest is its length; then the pages; at the end the footer.
 *
 * What loads must be writable again, and load as the same. */
#include "config.h"

#include <stdlib.h>

#include "lib/compiler.h"
#include "shardfmt/footer_write.h"
#include "tests/fuzz/fuzz.h"
#include "tests/random.h"
#include "tests/shard_util.h"

/* Where the groups began: pages follow their group's pieces, and the first of either begins it. */
static void
group_entries(const struct fmt_footer *f, struct fmt_group_entry *groups)
{
    uint64_t off = FMT_HEADER_SIZE;

    for (uint32_t g = 0; g < f->n_groups; g++) {
        const uint32_t page = f->chunk_first[(size_t)g * f->n_columns];

        if (f->piece_first[g] < f->piece_first[g + 1])
            off = f->pieces[f->piece_first[g]].off;
        else if (page < f->chunk_first[(size_t)(g + 1) * f->n_columns])
            off = f->pages[page].off;
        groups[g] = (struct fmt_group_entry){
            off, f->group_rows[g], f->piece_first[g + 1] - f->piece_first[g]};
    }
}

static void
same(const void *a, const void *b, size_t len)
{
    fuzz_must(len == 0 || memcmp(a, b, len) == 0, "another footer comes back");
}

static void
same_footers(const struct fmt_footer *a, const struct fmt_footer *b)
{
    const size_t n_chunks = (size_t)a->n_groups * a->n_columns;

    fuzz_must(fmt_schema_equal(&a->schema, &b->schema) && a->n_groups == b->n_groups &&
                  a->n_rows == b->n_rows && a->n_pages == b->n_pages &&
                  a->n_pieces == b->n_pieces && (a->stats != NULL) == (b->stats != NULL),
              "another footer comes back");
    same(a->group_rows, b->group_rows, a->n_groups * sizeof(*a->group_rows));
    same(a->pages, b->pages, a->n_pages * sizeof(*a->pages));
    same(a->pieces, b->pieces, a->n_pieces * sizeof(*a->pieces));
    fuzz_must(a->n_lengths == b->n_lengths, "other length indices come back");
    same(a->lengths, b->lengths, a->n_lengths * sizeof(*a->lengths));
    same(a->length_chunk, b->length_chunk, a->n_lengths * sizeof(*a->length_chunk));
    same(a->chunk_first, b->chunk_first, (n_chunks + 1) * sizeof(*a->chunk_first));
    same(a->piece_first, b->piece_first, (a->n_groups + 1u) * sizeof(*a->piece_first));
    if (a->stats)
        same(a->stats, b->stats, n_chunks * sizeof(*a->stats));
    same(a->encodings, b->encodings, a->n_columns * sizeof(*a->encodings));
    fuzz_must((a->origin.split != NULL) == (b->origin.split != NULL), "another origin comes back");
    if (a->origin.split)
        fuzz_must(strcmp(a->origin.split, b->origin.split) == 0 &&
                      a->origin.split_index == b->origin.split_index &&
                      a->origin.row0 == b->origin.row0,
                  "another origin comes back");
}

static void
write_again(const struct fmt_footer *f, const struct base_buf *file)
{
    const size_t n_chunks = (size_t)f->n_groups * f->n_columns;
    struct fmt_group_entry *groups = calloc(f->n_groups + 1u, sizeof(*groups));
    uint32_t *chunk_pages = calloc(n_chunks + 1, sizeof(*chunk_pages));
    struct fmt_footer_parts parts = {.schema = &f->schema,
                                     .n_rows = f->n_rows,
                                     .n_groups = f->n_groups,
                                     .n_pages = f->n_pages,
                                     .n_pieces = f->n_pieces,
                                     .groups = groups,
                                     .pages = f->pages,
                                     .pieces = f->pieces,
                                     .n_lengths = f->n_lengths,
                                     .lengths = f->lengths,
                                     .length_chunk = f->length_chunk,
                                     .chunk_pages = chunk_pages,
                                     .stats = f->stats,
                                     .encodings = f->encodings,
                                     .origin = &f->origin,
                                     .zdicts = f->zdicts.of};
    struct base_buf body = {0}, again = {0};
    struct fmt_footer *back = NULL;
    struct shard_error err = {0};
    size_t pages_len;

    fuzz_must(groups && chunk_pages, "memory");
    group_entries(f, groups);
    for (size_t i = 0; i < n_chunks; i++)
        chunk_pages[i] = f->chunk_first[i + 1] - f->chunk_first[i];
    pages_len = (size_t)f->footer_off - FMT_HEADER_SIZE;
    fuzz_must(base_buf_append(&body, file->data + FMT_HEADER_SIZE, pages_len) == 0 &&
                  fmt_footer_write(&parts, &body) == 0,
              "writing the footer again");
    fuzz_must(body.len - pages_len == fmt_footer_size(&parts), "size of the footer");
    fuzz_make_shard(body.data, body.len, body.len - pages_len, false, &again);
    fuzz_must(shard_util_load(again.data, again.len, 0, &back, &err) == 0, err.text);
    same_footers(f, back);
    fmt_footer_free(back);
    base_buf_done(&again);
    base_buf_done(&body);
    free(groups);
    free(chunk_pages);
}

static void
decode_and_write(const struct fmt_footer *f, const struct base_buf *file)
{
    fuzz_decode_all(f, file);
    write_again(f, file);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    fuzz_shard(data, len, decode_and_write);
    return 0;
}

/* Change one section in its place: whole footers that are changed anywhere hardly ever keep the
 * lengths that must agree. */
size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t max, unsigned seed)
{
    uint64_t st = seed;
    const unsigned head = len < 2 ? 0 : data[0] | (unsigned)data[1] << 8;
    size_t footer_len = head & 0x7fff, n, at;

    if (len < 2 || footer_len < FMT_FOOTER_HEAD || footer_len > len - 2 ||
        test_random(&st) % 8 == 0)
        return LLVMFuzzerMutate(data, len, max);
    data += len - footer_len;
    n = base_load_le32(data) % 16;
    at = FMT_FOOTER_HEAD + n * FMT_SECTION_ENTRY;
    if (test_random(&st) % 8 == 0 || n == 0 || at > footer_len) {
        at = BASE_MIN(at, footer_len);
        (void)LLVMFuzzerMutate(data, at, at);
        return len;
    }
    for (uint64_t i = test_random(&st) % n, k = 0; k <= i; k++) {
        const size_t size =
            base_load_le32(data + FMT_FOOTER_HEAD + k * FMT_SECTION_ENTRY + 4);

        if (size > footer_len - at)
            break;
        if (k == i && size)
            (void)LLVMFuzzerMutate(data + at, size, size);
        at += size;
    }
    return len;
}
