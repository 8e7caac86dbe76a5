/* The footer's bytes: a head, a directory, and sections of fixed-width arrays, each array of one
 * field after the other, which compresses far better than records would. */
#include "config.h"
#include "shardfmt/footer_write.h"

#include <errno.h>

#include "lib/compiler.h"
#include "lib/endian.h"

static uint64_t
schema_size(const struct fmt_schema *s)
{
    uint64_t len = (uint64_t)s->n_fields * FMT_SCHEMA_ENTRY;

    for (uint32_t i = 0; i < s->n_fields; i++)
        len += strlen(s->fields[i].name) + fmt_params_len(&s->fields[i]);
    return len;
}

/* The column's dictionary, and its length; no bytes where there is none. */
static const void *
zdict_data(const struct fmt_footer_parts *p, uint32_t c, size_t *ret_len)
{
    *ret_len = 0;
    return p->zdicts && p->zdicts[c] ? base_dict_data(p->zdicts[c], ret_len) : NULL;
}

static uint64_t
zdicts_size(const struct fmt_footer_parts *p)
{
    uint64_t sum = 0;
    size_t len;

    for (uint32_t c = 0; c < p->schema->n_fields; c++) {
        (void)zdict_data(p, c, &len);
        sum += len;
    }
    return sum ? sum + (uint64_t)p->schema->n_fields * sizeof(uint32_t) : 0;
}

static void
sections_measure(const struct fmt_footer_parts *p, uint64_t len[FMT_SECTION_LAST + 1])
{
    const uint64_t n_chunks = (uint64_t)p->n_groups * p->schema->n_fields;

    len[FMT_SECTION_SCHEMA] = schema_size(p->schema);
    len[FMT_SECTION_GROUPS] = (uint64_t)p->n_groups * FMT_GROUP_ENTRY;
    len[FMT_SECTION_PAGES] = (uint64_t)p->n_pages * FMT_PAGE_ENTRY;
    len[FMT_SECTION_CHUNKS] = n_chunks * sizeof(uint32_t);
    len[FMT_SECTION_PIECES] = (uint64_t)p->n_pieces * FMT_PIECE_ENTRY;
    len[FMT_SECTION_STATS] = p->stats ? n_chunks * FMT_STATS_ENTRY : 0;
    len[FMT_SECTION_ENCODINGS] = (uint64_t)p->schema->n_fields * sizeof(uint32_t);
    len[FMT_SECTION_ORIGIN] = p->origin->split ? FMT_ORIGIN_HEAD + strlen(p->origin->split) : 0;
    len[FMT_SECTION_ZDICTS] = zdicts_size(p);
    len[FMT_SECTION_LENGTHS] = (uint64_t)p->n_lengths * FMT_LENGTHS_ENTRY;
}

/* Sections that would be empty are left out, but for those that every footer has. */
static bool
section_present(unsigned id, const uint64_t len[FMT_SECTION_LAST + 1])
{
    return id <= FMT_SECTION_CHUNKS || len[id] > 0;
}

uint64_t
fmt_footer_size(const struct fmt_footer_parts *p)
{
    uint64_t len[FMT_SECTION_LAST + 1], sum = FMT_FOOTER_HEAD;

    sections_measure(p, len);
    for (unsigned id = 1; id <= FMT_SECTION_LAST; id++)
        if (section_present(id, len))
            sum += FMT_SECTION_ENTRY + len[id];
    return sum;
}

static void
put16(struct base_buf *b, uint16_t v)
{
    base_store_le16(b->data + b->len, v);
    b->len += sizeof(v);
}

static void
put32(struct base_buf *b, uint32_t v)
{
    base_store_le32(b->data + b->len, v);
    b->len += sizeof(v);
}

static void
put64(struct base_buf *b, uint64_t v)
{
    base_store_le64(b->data + b->len, v);
    b->len += sizeof(v);
}

static void
put_schema(struct base_buf *b, const struct fmt_schema *s)
{
    for (uint32_t i = 0; i < s->n_fields; i++) {
        const struct shard_field *f = &s->fields[i];
        const uint8_t head[4] = {(uint8_t)f->type, (uint8_t)f->elem, f->nullable, 0};

        base_buf_put(b, head, sizeof(head));
        put32(b, f->flags);
        put32(b, (uint32_t)strlen(f->name));
        put32(b, (uint32_t)fmt_params_len(f));
    }
    for (uint32_t i = 0; i < s->n_fields; i++)
        base_buf_put(b, s->fields[i].name, strlen(s->fields[i].name));
    for (uint32_t i = 0; i < s->n_fields; i++) {
        fmt_params_write(&s->fields[i], b->data + b->len);
        b->len += fmt_params_len(&s->fields[i]);
    }
}

static uint32_t
page_kind(const struct fmt_page *p)
{
    return p->codec | (uint32_t)p->flags << 8 | (uint32_t)p->reserved << 16;
}

#define PUT_ARRAY(put, n, value)                                                                   \
    for (size_t i = 0; i < (n); i++)                                                               \
    put(b, value)

static void
put_pages(struct base_buf *b, const struct fmt_page *p, uint32_t n, bool pieces)
{
    PUT_ARRAY(put32, n, p[i].stored_len);
    PUT_ARRAY(put32, n, p[i].raw_len);
    if (!pieces) {
        PUT_ARRAY(put32, n, p[i].n_rows);
        PUT_ARRAY(put64, n, p[i].data_len);
    }
    PUT_ARRAY(put32, n, page_kind(&p[i]));
    PUT_ARRAY(put64, n, p[i].hash);
}

static void
put_stats(struct base_buf *b, const struct fmt_chunk_stats *s, size_t n)
{
    PUT_ARRAY(put64, n, s[i].n_nulls);
    PUT_ARRAY(put64, n, s[i].raw_bytes);
    PUT_ARRAY(put64, n, s[i].n_distinct);
    PUT_ARRAY(put32, n, s[i].flags);
    for (size_t i = 0; i < n; i++)
        base_buf_put(b, s[i].min, sizeof(s[i].min));
    for (size_t i = 0; i < n; i++)
        base_buf_put(b, s[i].max, sizeof(s[i].max));
}

static void
put_head(struct base_buf *b, const struct fmt_footer_parts *p,
         const uint64_t len[FMT_SECTION_LAST + 1])
{
    uint32_t n_sections = 0;

    for (unsigned id = 1; id <= FMT_SECTION_LAST; id++)
        n_sections += section_present(id, len);
    put32(b, n_sections);
    put32(b, p->schema->n_fields);
    put32(b, p->n_groups);
    put32(b, p->n_pages);
    put32(b, p->n_pieces);
    put32(b, 0);
    put64(b, p->n_rows);
    for (unsigned id = 1; id <= FMT_SECTION_LAST; id++) {
        if (!section_present(id, len))
            continue;
        put16(b, (uint16_t)id);
        put16(b, id <= FMT_SECTION_PIECES ? FMT_SECTION_CRITICAL : 0);
        put32(b, (uint32_t)len[id]);
    }
}

static void
put_zdicts(struct base_buf *b, const struct fmt_footer_parts *p)
{
    const void *data;
    size_t n;

    for (uint32_t c = 0; c < p->schema->n_fields; c++) {
        (void)zdict_data(p, c, &n);
        put32(b, (uint32_t)n);
    }
    for (uint32_t c = 0; c < p->schema->n_fields; c++) {
        data = zdict_data(p, c, &n);
        base_buf_put(b, data, n);
    }
}

int
fmt_footer_write(const struct fmt_footer_parts *p, struct base_buf *b)
{
    const size_t n_chunks = (size_t)p->n_groups * p->schema->n_fields;
    uint64_t len[FMT_SECTION_LAST + 1];

    sections_measure(p, len);
    if (base_buf_reserve_exact(b, (size_t)fmt_footer_size(p)) < 0)
        return -ENOMEM;
    put_head(b, p, len);
    put_schema(b, p->schema);
    for (uint32_t g = 0; g < p->n_groups; g++) {
        put64(b, p->groups[g].off);
        put32(b, p->groups[g].n_rows);
        put32(b, p->groups[g].n_pieces);
    }
    put_pages(b, p->pages, p->n_pages, false);
    PUT_ARRAY(put32, n_chunks, p->chunk_pages[i]);
    put_pages(b, p->pieces, p->n_pieces, true);
    if (p->stats)
        put_stats(b, p->stats, n_chunks);
    PUT_ARRAY(put32, p->schema->n_fields, p->encodings[i]);
    if (p->origin->split) {
        put64(b, p->origin->row0);
        put32(b, p->origin->split_index);
        base_buf_put(b, p->origin->split, strlen(p->origin->split));
    }
    if (len[FMT_SECTION_ZDICTS])
        put_zdicts(b, p);
    PUT_ARRAY(put32, p->n_lengths, p->length_chunk[i]);
    put_pages(b, p->lengths, p->n_lengths, true);
    return 0;
}

void
fmt_header_write(const struct fmt_version *v, uint8_t ret[FMT_HEADER_SIZE])
{
    memset(ret, 0, FMT_HEADER_SIZE);
    memcpy(ret, FMT_MAGIC, 8);
    base_store_le16(ret + 8, v->major);
    base_store_le16(ret + 10, v->minor);
    base_store_le32(ret + 12, FMT_HEADER_SIZE);
    base_store_le64(ret + 16, v->incompat);
    base_store_le64(ret + 24, v->ro_compat);
    base_store_le64(ret + 32, v->compat);
    base_store_le64(ret + 56, base_hash64(ret, 56, 0));
}

void
fmt_trailer_write(const struct fmt_version *v, uint64_t footer_off, const void *stored,
                  uint32_t stored_len, uint32_t raw_len, uint8_t ret[FMT_TRAILER_SIZE])
{
    memset(ret, 0, FMT_TRAILER_SIZE);
    base_store_le16(ret, v->major);
    base_store_le16(ret + 2, v->minor);
    base_store_le32(ret + 8, stored_len);
    base_store_le32(ret + 12, raw_len);
    base_store_le64(ret + 16, base_hash64(stored, stored_len, footer_off));
    base_store_le64(ret + 24, v->incompat);
    base_store_le64(ret + 32, v->ro_compat);
    base_store_le64(ret + 40, v->compat);
    base_store_le64(ret + 48, base_hash64(ret, 48, footer_off + stored_len));
    memcpy(ret + 56, FMT_MAGIC_END, 8);
}

struct base_hash128
fmt_content_hash(const uint8_t header[FMT_HEADER_SIZE], const void *stored, uint32_t stored_len,
                 const uint8_t trailer[FMT_TRAILER_SIZE])
{
    struct base_hash128 r;
    XXH3_state_t st;
    XXH128_hash_t h;

    (void)XXH3_128bits_reset(&st);
    base_hash_update(&st, header, FMT_HEADER_SIZE);
    base_hash_update(&st, stored, stored_len);
    base_hash_update(&st, trailer, FMT_TRAILER_SIZE);
    h = XXH3_128bits_digest(&st);
    r.lo = h.low64;
    r.hi = h.high64;
    return r;
}
