/* Opening a shard: trailer, footer, and the index that they give. Every number is checked here, so
 * that the rest of the code may trust a struct fmt_footer: pages lie in the file, one behind the
 * other, in front of the footer, and the rows of a chunk's pages add up to its row group's. What it
 * cannot trust is what a page holds. Things that this build does not know (types, codecs, page
 * flags) are let through where they concern one column, for the decoder to refuse. */
#include "config.h"
#include "shardfmt/shard.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "lib/arith.h"
#include "lib/compiler.h"
#include "lib/cursor.h"
#include "lib/fail.h"
#include "lib/fs.h"
#include "shardfmt/footer_write.h"
#include "shardfmt/manifest.h"
#include "shardfmt/newer.h"
#include "shardfmt/zdict.h"

void
fmt_footer_free(struct fmt_footer *f)
{
    if (f == NULL)
        return;
    fmt_schema_done(&f->schema);
    free(f->group_rows);
    free(f->pages);
    free(f->chunk_first);
    free(f->pieces);
    free(f->piece_first);
    free(f->lengths);
    free(f->length_chunk);
    free(f->stats);
    free(f->encodings);
    free(f->origin.split);
    fmt_zdicts_done(&f->zdicts);
    free(f);
}

void
fmt_footer_forget_stats(struct fmt_footer *f)
{
    if (f->stats)
        f->memory -= (uint64_t)f->n_groups * f->n_columns * sizeof(*f->stats);
    free(f->stats);
    f->stats = NULL;
}

/* ------------------------------------------------------------------------------------ trailer */

struct trailer {
    struct fmt_version version;
    uint32_t stored_len, raw_len;
    uint64_t footer_off, footer_hash;
    const uint8_t *bytes;
};

/* The file does not end as a shard does: why? */
static int
fail_no_trailer(int fd, uint64_t file_size, const char *name, struct shard_error *err)
{
    uint8_t head[8] = {0};

    if (file_size < sizeof(head))
        return base_fail(err, SHARD_ETRUNC, "%s: %" PRIu64 " bytes are no shard file", name,
                         file_size);
    if (base_pread_full(fd, head, sizeof(head), 0, name, NULL) == 0 &&
        memcmp(head, FMT_MAGIC, sizeof(head)) == 0)
        return base_fail(err, SHARD_ETRUNC,
                         "%s: begins as a shard file but has no trailer: it was cut off, or "
                         "never finished",
                         name);
    return base_fail(err, SHARD_ECORRUPT, "%s is no shard file", name);
}

/* A flipped bit in the magic at the end, with everything else in place? */
static bool
trailer_hash_fits(const uint8_t *p, uint64_t off)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    (void)p;
    (void)off;
    return true;
#else
    return base_load_le64(p + 48) == base_hash64(p, 48, off);
#endif
}

static int
version_check(const struct fmt_version *v, const char *name, struct shard_error *err)
{
    if (v->major == 1)
        return base_fail(err, SHARD_EUNSUPPORTED,
                         "%s: format version 1, which only builds before the first release wrote; "
                         "this one reads version %u: make the dataset again from its input",
                         name, FMT_MAJOR);
    if (v->major != FMT_MAJOR)
        return base_fail(err, SHARD_EUNSUPPORTED, "%s: format version %u.%u; this build reads %u" FMT_NEWER, name, v->major,
                         v->minor, FMT_MAJOR);
    if (v->incompat & ~(uint64_t)FMT_INCOMPAT_KNOWN)
        return base_fail(err, SHARD_EUNSUPPORTED,
                         "%s: needs features 0x%" PRIx64 " that this build does not have"
                         FMT_NEWER, name, v->incompat & ~(uint64_t)FMT_INCOMPAT_KNOWN);
    return 0;
}

static int
trailer_parse(const uint8_t *p, int fd, uint64_t file_size, const char *name, struct trailer *ret,
              struct shard_error *err)
{
    const uint64_t off = file_size - FMT_TRAILER_SIZE;
    struct trailer t = {.bytes = p};
    int r;

    if (memcmp(p + 56, FMT_MAGIC_END, 8) != 0 && !trailer_hash_fits(p, off))
        return fail_no_trailer(fd, file_size, name, err);
    if (memcmp(p + 56, FMT_MAGIC_END, 8) != 0 || !trailer_hash_fits(p, off))
        return base_fail(err, SHARD_ECHECKSUM, "%s: trailer at byte %" PRIu64 " is damaged", name,
                         off);
    t.version = (struct fmt_version){base_load_le16(p), base_load_le16(p + 2),
                                     base_load_le64(p + 24), base_load_le64(p + 32),
                                     base_load_le64(p + 40)};
    r = version_check(&t.version, name, err);
    if (r < 0)
        return r;
    t.stored_len = base_load_le32(p + 8);
    t.raw_len = base_load_le32(p + 12);
    t.footer_hash = base_load_le64(p + 16);
    if (base_load_le32(p + 4) != 0)
        return base_fail(err, SHARD_EUNSUPPORTED, "%s: reserved bits are set in the trailer"
                         FMT_NEWER, name);
    if (t.stored_len > off - FMT_HEADER_SIZE)
        return base_fail(err, SHARD_ETRUNC, "%s: footer of %" PRIu32 " bytes in a file of %" PRIu64,
                         name, t.stored_len, file_size);
    if (t.raw_len > FMT_FOOTER_RAW_MAX || t.stored_len > t.raw_len)
        return base_fail(err, t.raw_len > FMT_FOOTER_RAW_MAX ? SHARD_ELIMIT : SHARD_ECORRUPT,
                         "%s: footer of %" PRIu32 " bytes, %" PRIu32 " stored", name, t.raw_len,
                         t.stored_len);
    t.footer_off = off - t.stored_len;
    *ret = t;
    return 0;
}

/* ----------------------------------------------------------------------------------- sections */

/* A footer being taken apart. */
struct parser {
    const char *name;
    struct fmt_footer *f;
    uint64_t footer_off;
    struct base_cursor section[FMT_SECTION_LAST + 1];
    bool present[FMT_SECTION_LAST + 1];
    uint64_t *group_off;   /* n_groups */
    struct shard_error *err;
};

static int
fail_corrupt(const struct parser *p, const char *what)
{
    return base_fail(p->err, SHARD_ECORRUPT, "%s: footer: %s", p->name, what);
}

/* Find the sections; the directory and they fill the footer exactly. */
static int
sections_find(struct parser *p, struct base_cursor *c, uint32_t n_sections)
{
    const size_t dir_len = (size_t)n_sections * FMT_SECTION_ENTRY;
    const uint8_t *entries = base_cursor_bytes(c, dir_len);
    struct base_cursor dir;

    if (entries == NULL)
        return fail_corrupt(p, "the directory goes past its end");
    dir = base_cursor_make(entries, dir_len);
    for (uint32_t i = 0; i < n_sections; i++) {
        const uint16_t id = base_cursor_u16(&dir), flags = base_cursor_u16(&dir);
        const uint32_t len = base_cursor_u32(&dir);
        const uint8_t *data = base_cursor_bytes(c, len);

        if (data == NULL)
            return fail_corrupt(p, "a section goes past its end");
        if (flags & ~FMT_SECTION_CRITICAL)
            return base_fail(p->err, SHARD_EUNSUPPORTED, "%s: section %u has flags 0x%x" FMT_NEWER,
                             p->name, id, flags);
        if (id == 0 || id > FMT_SECTION_LAST) {
            if (flags & FMT_SECTION_CRITICAL)
                return base_fail(p->err, SHARD_EUNSUPPORTED,
                                 "%s: needs section %u, which this build lacks" FMT_NEWER, p->name,
                                 id);
            continue;
        }
        if (p->present[id])
            return fail_corrupt(p, "a section stands twice");
        p->present[id] = true;
        p->section[id] = base_cursor_make(data, len);
    }
    for (unsigned id = 1; id <= FMT_SECTION_CHUNKS; id++)
        if (!p->present[id])
            return base_fail(p->err, SHARD_ECORRUPT, "%s: footer: section %u is missing", p->name,
                             id);
    return base_cursor_left(c) ? fail_corrupt(p, "bytes behind the last section") : 0;
}

/* Bytes of a section, which must be exactly so many. */
static int
section_expect(const struct parser *p, enum fmt_section id, uint64_t len)
{
    if (!p->present[id] && len)
        return base_fail(p->err, SHARD_ECORRUPT, "%s: footer: section %d is missing", p->name,
                         (int)id);
    if (p->present[id] && base_cursor_left(&p->section[id]) != len)
        return base_fail(p->err, SHARD_ECORRUPT,
                         "%s: footer: section %d has %zu bytes instead of %" PRIu64, p->name,
                         (int)id, base_cursor_left(&p->section[id]), len);
    return 0;
}

static int
fail_memory(const struct parser *p)
{
    return base_fail(p->err, -ENOMEM, "%s: footer", p->name);
}

/* An array of n things, zeroed; counts into the footer's memory. Never NULL for n = 0. */
static void *
footer_calloc(struct parser *p, size_t n, size_t size)
{
    p->f->memory += n * size;
    return calloc(n ? n : 1, size);
}

/* One column's 16 bytes, without the name. */
static int
schema_entry_parse(struct parser *p, struct base_cursor *c, struct shard_field *ret,
                   uint32_t *ret_name_len)
{
    const uint32_t kind = base_cursor_u32(c), flags = base_cursor_u32(c);
    const uint32_t name_len = base_cursor_u32(c), params_len = base_cursor_u32(c);

    *ret = (struct shard_field){.type = (enum shard_type)(kind & 0xff),
                                .elem = (enum shard_type)(kind >> 8 & 0xff),
                                .nullable = kind >> 16 & 1,
                                .flags = flags,
                                .params_len = params_len};
    *ret_name_len = name_len;
    if (kind >> 17)
        return base_fail(p->err, SHARD_EUNSUPPORTED,
                         "%s: a column has attributes 0x%" PRIx32 ", which this build lacks" FMT_NEWER,
                         p->name, kind >> 17);
    if (ret->type == 0)
        return fail_corrupt(p, "a column has no type");
    if (name_len > FMT_NAME_MAX || params_len > FMT_PARAMS_RAW_MAX)
        return base_fail(p->err, SHARD_ELIMIT,
                         "%s: a column name of %" PRIu32 " bytes, parameters of %" PRIu32, p->name,
                         name_len, params_len);
    return 0;
}

/* A column: its entry, and its name and parameters in their own places. */
static int
column_parse(struct parser *p, struct base_cursor *c, struct base_cursor *names,
             struct base_cursor *params)
{
    struct fmt_schema *s = &p->f->schema;
    char name[FMT_NAME_MAX + 1];
    struct shard_field f;
    uint32_t name_len;
    const uint8_t *at;
    int r = schema_entry_parse(p, c, &f, &name_len);

    if (r < 0)
        return r;
    at = base_cursor_bytes(names, name_len);
    if (at == NULL || memchr(at, 0, name_len))
        return fail_corrupt(p, "a column name is broken");
    memcpy(name, at, name_len);
    name[name_len] = '\0';
    f.name = name;
    at = base_cursor_bytes(params, f.params_len);
    if (at == NULL)
        return fail_corrupt(p, "a column's parameters go past its end");
    fmt_params_read(&f, at, f.params_len);
    p->f->memory += sizeof(f) + name_len + 1 + (f.params ? f.params_len : 0);
    return fmt_schema_add_field(s, &f) < 0 ? fail_memory(p) : 0;
}

/* Bytes of all names: where the parameters begin. */
static uint64_t
names_len(struct base_cursor c, uint32_t n)
{
    uint64_t len = 0;

    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *e = base_cursor_bytes(&c, FMT_SCHEMA_ENTRY);

        len += e ? base_load_le32(e + 8) : 0;
    }
    return len;
}

static int
schema_parse(struct parser *p)
{
    struct base_cursor *c = &p->section[FMT_SECTION_SCHEMA], names = *c, params;
    const uint32_t n = p->f->n_columns;
    const uint64_t len = names_len(*c, n);
    int64_t twice;

    if (base_cursor_bytes(&names, (size_t)n * FMT_SCHEMA_ENTRY) == NULL ||
        len > base_cursor_left(&names))
        return fail_corrupt(p, "the schema is too short");
    params = names;
    (void)base_cursor_bytes(&params, (size_t)len);
    for (uint32_t i = 0; i < n; i++) {
        int r = column_parse(p, c, &names, &params);

        if (r < 0)
            return r;
    }
    if (base_cursor_left(&params))
        return fail_corrupt(p, "bytes behind the schema");
    twice = fmt_schema_find_double(&p->f->schema);
    if (twice == -ENOMEM)
        return fail_memory(p);
    return twice >= 0 ? fail_corrupt(p, "two columns have one name") : 0;
}

static int
groups_parse(struct parser *p)
{
    struct base_cursor *c = &p->section[FMT_SECTION_GROUPS];
    struct fmt_footer *f = p->f;
    uint64_t n_rows = 0, n_pieces = 0;
    int r = section_expect(p, FMT_SECTION_GROUPS, (uint64_t)f->n_groups * FMT_GROUP_ENTRY);

    if (r < 0)
        return r;
    f->group_rows = footer_calloc(p, f->n_groups, sizeof(*f->group_rows));
    f->piece_first = footer_calloc(p, (size_t)f->n_groups + 1, sizeof(*f->piece_first));
    p->group_off = calloc((size_t)f->n_groups + 1, sizeof(*p->group_off));
    if (f->group_rows == NULL || f->piece_first == NULL || p->group_off == NULL)
        return fail_memory(p);
    for (uint32_t g = 0; g < f->n_groups; g++) {
        p->group_off[g] = base_cursor_u64(c);
        f->group_rows[g] = base_cursor_u32(c);
        n_pieces += base_cursor_u32(c);
        n_rows += f->group_rows[g];
        if (f->group_rows[g] > FMT_GROUP_ROWS_MAX)
            return base_fail(p->err, SHARD_ELIMIT, "%s: row group %" PRIu32 " has %" PRIu32 " rows",
                             p->name, g, f->group_rows[g]);
        if (n_pieces > f->n_pieces)
            return fail_corrupt(p, "row groups have more pieces than there are");
        f->piece_first[g + 1] = (uint32_t)n_pieces;
    }
    if (n_rows != f->n_rows || n_pieces != f->n_pieces)
        return fail_corrupt(p, "row groups do not add up");
    return 0;
}

/* n entries of a PAGES, PIECES or LENGTHS section; sizes are checked, places not yet known. */
static int
pages_parse(struct parser *p, enum fmt_section id, uint32_t n, struct fmt_page **ret)
{
    const bool pieces = id != FMT_SECTION_PAGES;
    struct base_cursor *c = &p->section[id];
    const uint32_t limit = pieces ? FMT_INLINE_MAX : FMT_PAGE_RAW_LIMIT;
    struct fmt_page *pages;
    int r = section_expect(p, id, (uint64_t)n * (pieces ? FMT_PIECE_ENTRY : FMT_PAGE_ENTRY));

    if (r < 0)
        return r;
    pages = *ret = footer_calloc(p, n, sizeof(*pages));
    if (pages == NULL)
        return fail_memory(p);
    for (uint32_t i = 0; i < n; i++)
        pages[i].stored_len = base_cursor_u32(c);
    for (uint32_t i = 0; i < n; i++) {
        pages[i].raw_len = base_cursor_u32(c);
        if (pages[i].raw_len > limit)
            return base_fail(p->err, SHARD_ELIMIT, "%s: page %" PRIu32 " of %" PRIu32 " bytes",
                             p->name, i, pages[i].raw_len);
        if (pages[i].stored_len > pages[i].raw_len)
            return fail_corrupt(p, "a page is larger in the file than in memory");
    }
    for (uint32_t i = 0; i < n && !pieces; i++)
        pages[i].n_rows = base_cursor_u32(c);
    for (uint32_t i = 0; i < n && !pieces; i++)
        pages[i].data_len = base_cursor_u64(c);
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t kind = base_cursor_u32(c);

        pages[i].codec = (uint8_t)kind;
        pages[i].flags = (uint8_t)(kind >> 8);
        pages[i].reserved = (uint16_t)(kind >> 16);
    }
    for (uint32_t i = 0; i < n; i++)
        pages[i].hash = base_cursor_u64(c);
    return 0;
}

/* Pages of each chunk; their rows must add up to the row group's. */
static int
chunks_parse(struct parser *p)
{
    struct base_cursor *c = &p->section[FMT_SECTION_CHUNKS];
    struct fmt_footer *f = p->f;
    const uint64_t n_chunks = (uint64_t)f->n_groups * f->n_columns;
    uint64_t data = 0; /* of the whole shard: sums of any of its pages do not overflow */
    uint32_t page = 0;
    int r = section_expect(p, FMT_SECTION_CHUNKS, n_chunks * sizeof(uint32_t));

    if (r < 0)
        return r;
    f->chunk_first = footer_calloc(p, (size_t)n_chunks + 1, sizeof(*f->chunk_first));
    if (f->chunk_first == NULL)
        return fail_memory(p);
    for (uint64_t i = 0; i < n_chunks; i++) {
        const uint32_t k = base_cursor_u32(c);
        uint64_t rows = 0;

        if (k > f->n_pages - page)
            return fail_corrupt(p, "chunks have more pages than there are");
        for (uint32_t end = page + k; page < end; page++) {
            if (f->pages[page].n_rows == 0)
                return fail_corrupt(p, "a page has no rows");
            rows += f->pages[page].n_rows;
            if (base_add_u64(data, f->pages[page].data_len, &data) < 0)
                return fail_corrupt(p, "pages hold more bytes than can be counted");
        }
        if (rows != f->group_rows[i / f->n_columns])
            return fail_corrupt(p, "pages of a chunk do not have the rows of its row group");
        f->chunk_first[i + 1] = page;
    }
    return page == f->n_pages ? 0 : fail_corrupt(p, "pages belong to no chunk");
}

/* The length indices: of which chunks, and their pages. */
static int
lengths_parse(struct parser *p)
{
    struct base_cursor *c = &p->section[FMT_SECTION_LENGTHS];
    struct fmt_footer *f = p->f;
    const uint64_t n_chunks = (uint64_t)f->n_groups * f->n_columns;
    const size_t n = base_cursor_left(c) / FMT_LENGTHS_ENTRY;
    int r;

    if (!p->present[FMT_SECTION_LENGTHS])
        return 0;
    if (n > n_chunks || n > UINT32_MAX)
        return fail_corrupt(p, "more length indices than chunks");
    f->length_chunk = footer_calloc(p, n, sizeof(*f->length_chunk));
    if (f->length_chunk == NULL)
        return fail_memory(p);
    f->n_lengths = (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        f->length_chunk[i] = base_cursor_u32(c);
        if (f->length_chunk[i] >= n_chunks || (i && f->length_chunk[i] <= f->length_chunk[i - 1]))
            return fail_corrupt(p, "a length index of a wrong chunk");
    }
    r = pages_parse(p, FMT_SECTION_LENGTHS, f->n_lengths, &f->lengths);
    for (size_t i = 0; r == 0 && i < n; i++) {
        f->lengths[i].n_rows = f->group_rows[f->length_chunk[i] / f->n_columns];
        f->lengths[i].data_len = (uint64_t)f->lengths[i].n_rows * sizeof(uint32_t);
        if (f->lengths[i].n_rows == 0)
            return fail_corrupt(p, "a length index of no rows");
    }
    return r;
}

/* Put n pages behind *off, which moves to their end. */
static int
pages_place(const struct parser *p, struct fmt_page *pages, uint32_t n, uint64_t *off)
{
    for (uint32_t i = 0; i < n; i++) {
        const uint64_t at =
            pages[i].codec == FMT_CODEC_NONE ? base_align_up(*off, FMT_ALIGN) : *off;

        if (at > p->footer_off || pages[i].stored_len > p->footer_off - at)
            return fail_corrupt(p, "pages go past the footer");
        pages[i].off = at;
        *off = at + pages[i].stored_len;
    }
    return 0;
}

static int
origin_parse(struct parser *p)
{
    struct base_cursor *c = &p->section[FMT_SECTION_ORIGIN];
    struct fmt_origin *o = &p->f->origin;
    const uint8_t *name;
    size_t len;

    if (!p->present[FMT_SECTION_ORIGIN])
        return 0;
    if (base_cursor_left(c) < FMT_ORIGIN_HEAD)
        return fail_corrupt(p, "the origin is too short");
    o->row0 = base_cursor_u64(c);
    o->split_index = base_cursor_u32(c);
    len = base_cursor_left(c);
    name = base_cursor_bytes(c, len);
    if (name == NULL || len > FMT_SPLIT_MAX || memchr(name, 0, len))
        return fail_corrupt(p, "the origin's split has no name that can be");
    o->split = strndup((const char *)name, len);
    if (o->split == NULL)
        return fail_memory(p);
    if (len && !fmt_split_name_ok(o->split))
        return fail_corrupt(p, "the origin's split has no name that can be");
    return 0;
}

/* One that zstd does not take costs its column, whose pages then cannot be read. */
static int
zdicts_parse(struct parser *p)
{
    struct base_cursor *c = &p->section[FMT_SECTION_ZDICTS], data = *c;
    struct fmt_zdicts *z = &p->f->zdicts;
    uint32_t count = 0;

    if (!p->present[FMT_SECTION_ZDICTS])
        return 0;
    if (base_cursor_bytes(&data, (size_t)p->f->n_columns * sizeof(uint32_t)) == NULL)
        return fail_corrupt(p, "the section of dictionaries is too short");
    z->n_columns = p->f->n_columns;
    z->of = footer_calloc(p, z->n_columns, sizeof(*z->of));
    if (z->of == NULL)
        return fail_memory(p);
    for (uint32_t i = 0; i < z->n_columns; i++) {
        const uint32_t len = base_cursor_u32(c);
        const uint8_t *bytes = base_cursor_bytes(&data, len);

        if (bytes == NULL)
            return fail_corrupt(p, "the section of dictionaries is too short");
        count += len > 0;
        if (len > FMT_ZDICT_LEN_MAX || count > FMT_ZDICT_COUNT_MAX)
            return base_fail(p->err, SHARD_ELIMIT, "%s: dictionary %" PRIu32 " of %" PRIu32
                             " bytes", p->name, count, len);
        if (len > 0 && base_dict_new(bytes, len, 0, &z->of[i]) == -ENOMEM)
            return fail_memory(p);
    }
    p->f->memory += fmt_zdicts_memory(z);
    return base_cursor_left(&data) ? fail_corrupt(p, "bytes behind the dictionaries") : 0;
}

/* Where every piece and page stands: a group's follow each other from its start. */
static int
places_compute(struct parser *p)
{
    struct fmt_footer *f = p->f;
    uint64_t off = FMT_HEADER_SIZE;
    uint32_t k = 0;

    for (uint32_t g = 0; g < f->n_groups; g++) {
        const uint32_t piece = f->piece_first[g];
        const uint32_t first = f->chunk_first[(size_t)g * f->n_columns];
        const uint32_t end = f->chunk_first[(size_t)(g + 1) * f->n_columns];
        const uint32_t k0 = k;
        int r;

        if (p->group_off[g] % FMT_ALIGN || p->group_off[g] < off ||
            p->group_off[g] > p->footer_off)
            return fail_corrupt(p, "a row group begins in a wrong place");
        off = p->group_off[g];
        r = pages_place(p, f->pieces + piece, f->piece_first[g + 1] - piece, &off);
        if (r == 0)
            r = pages_place(p, f->pages + first, end - first, &off);
        while (k < f->n_lengths && f->length_chunk[k] / f->n_columns == g)
            k++;
        if (r == 0 && k > k0) /* else there may be no array */
            r = pages_place(p, f->lengths + k0, k - k0, &off);
        if (r < 0)
            return r;
    }
    return 0;
}

#define READ_ARRAY(read, n, dst)                                                                   \
    for (uint64_t i = 0; i < (n); i++)                                                             \
    dst = read(c)

static int
stats_parse(struct parser *p)
{
    struct base_cursor *c = &p->section[FMT_SECTION_STATS];
    const uint64_t n = (uint64_t)p->f->n_groups * p->f->n_columns;
    struct fmt_chunk_stats *s;
    const uint8_t *min, *max;
    int r;

    if (!p->present[FMT_SECTION_STATS])
        return 0;
    r = section_expect(p, FMT_SECTION_STATS, n * FMT_STATS_ENTRY);
    if (r < 0)
        return r;
    s = p->f->stats = footer_calloc(p, (size_t)n, sizeof(*s));
    if (s == NULL)
        return fail_memory(p);
    READ_ARRAY(base_cursor_u64, n, s[i].n_nulls);
    READ_ARRAY(base_cursor_u64, n, s[i].raw_bytes);
    READ_ARRAY(base_cursor_u64, n, s[i].n_distinct);
    READ_ARRAY(base_cursor_u32, n, s[i].flags);
    min = base_cursor_bytes(c, (size_t)n * sizeof(s->min));
    max = base_cursor_bytes(c, (size_t)n * sizeof(s->max));
    for (uint64_t i = 0; i < n && min && max; i++) {
        memcpy(s[i].min, min + i * sizeof(s->min), sizeof(s->min));
        memcpy(s[i].max, max + i * sizeof(s->max), sizeof(s->max));
    }
    return 0;
}

static int
encodings_parse(struct parser *p)
{
    struct base_cursor *c = &p->section[FMT_SECTION_ENCODINGS];
    struct fmt_footer *f = p->f;

    f->encodings = footer_calloc(p, f->n_columns, sizeof(*f->encodings));
    if (f->encodings == NULL)
        return fail_memory(p);
    if (!p->present[FMT_SECTION_ENCODINGS])
        return 0;
    READ_ARRAY(base_cursor_u32, f->n_columns, f->encodings[i]);
    return base_cursor_ok(c) && base_cursor_left(c) == 0
               ? 0
               : fail_corrupt(p, "the section of encodings has a wrong length");
}

static int
footer_parse(struct parser *p, const uint8_t *raw, size_t raw_len)
{
    struct base_cursor c = base_cursor_make(raw, raw_len);
    struct fmt_footer *f = p->f;
    const uint32_t n_sections = base_cursor_u32(&c);
    int r;

    f->n_columns = base_cursor_u32(&c);
    f->n_groups = base_cursor_u32(&c);
    f->n_pages = base_cursor_u32(&c);
    f->n_pieces = base_cursor_u32(&c);
    if (base_cursor_u32(&c) != 0)
        return base_fail(p->err, SHARD_EUNSUPPORTED, "%s: reserved bits are set in the footer"
                         FMT_NEWER, p->name);
    f->n_rows = base_cursor_u64(&c);
    if (!base_cursor_ok(&c) || n_sections > base_cursor_left(&c) / FMT_SECTION_ENTRY)
        return fail_corrupt(p, "it is too short");
    if (f->n_columns > FMT_COLUMNS_MAX)
        return base_fail(p->err, SHARD_ELIMIT, "%s: %" PRIu32 " columns", p->name, f->n_columns);
    if (f->n_columns == 0 && f->n_groups)
        return fail_corrupt(p, "row groups without columns");
    r = sections_find(p, &c, n_sections);
    if (r == 0)
        r = schema_parse(p);
    if (r == 0)
        r = groups_parse(p);
    if (r == 0)
        r = pages_parse(p, FMT_SECTION_PAGES, f->n_pages, &f->pages);
    if (r == 0)
        r = pages_parse(p, FMT_SECTION_PIECES, f->n_pieces, &f->pieces);
    if (r == 0)
        r = chunks_parse(p);
    if (r == 0)
        r = lengths_parse(p);
    if (r == 0)
        r = places_compute(p);
    if (r == 0)
        r = stats_parse(p);
    if (r == 0)
        r = origin_parse(p);
    if (r == 0)
        r = zdicts_parse(p);
    return r < 0 ? r : encodings_parse(p);
}

/* ------------------------------------------------------------------------------------ loading */

/* Hash, zstd and all of the stored footer. */
static int
footer_open(struct parser *p, const struct trailer *t, const uint8_t *stored)
{
    struct base_codec *codec = NULL;
    struct base_buf raw = {0};
    int r;

#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    if (base_hash64(stored, t->stored_len, t->footer_off) != t->footer_hash)
        return base_fail(p->err, SHARD_ECHECKSUM, "%s: footer at byte %" PRIu64 " is damaged",
                         p->name, t->footer_off);
#endif
    p->footer_off = p->f->footer_off = t->footer_off;
    p->f->ro_compat = t->version.ro_compat & ~(uint64_t)FMT_ROCOMPAT_KNOWN;
    fmt_header_write(&t->version, p->f->header);
    p->f->hash = fmt_content_hash(p->f->header, stored, t->stored_len, t->bytes);
    if (t->stored_len == t->raw_len)
        return footer_parse(p, stored, t->raw_len);
    if (base_buf_reserve_exact(&raw, t->raw_len) < 0 || base_codec_new(&codec) < 0) {
        r = fail_memory(p);
        goto out;
    }
    r = base_codec_decompress(codec, raw.data, t->raw_len, stored, t->stored_len, p->err);
    if (r < 0)
        (void)base_fail_in(p->err, r, "%s: footer", p->name);
    else
        r = footer_parse(p, raw.data, t->raw_len);
out:
    base_codec_free(codec);
    base_buf_done(&raw);
    return r;
}

/* Where the whole file has been read anyway, its header is looked at, too. */
static int
header_check(const struct fmt_footer *f, const uint8_t *header, const char *name,
             struct shard_error *err)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    header = f->header;
#endif
    if (memcmp(header, f->header, FMT_HEADER_SIZE) != 0)
        return base_fail(err, SHARD_ECHECKSUM,
                         "%s: the header is not the one that belongs to the footer", name);
    return 0;
}

/* Have at least len bytes of the file's end in buf (at its end). */
static int
tail_read(int fd, uint64_t file_size, uint64_t len, const char *name, struct base_buf *buf,
          struct shard_error *err)
{
    base_buf_reset(buf);
    if (base_buf_reserve_exact(buf, (size_t)len) < 0)
        return base_fail(err, -ENOMEM, "%s: footer", name);
    buf->len = (size_t)len;
    return base_pread_full(fd, buf->data, (size_t)len, file_size - len, name, err);
}

int
fmt_footer_load(int fd, uint64_t file_size, uint32_t tail_bytes, const char *name,
                struct fmt_footer **ret_footer, struct shard_error *err)
{
    uint64_t want = tail_bytes ? BASE_MAX(tail_bytes, FMT_TRAILER_SIZE) : FMT_TAIL_GUESS;
    struct parser p = {.name = name, .err = err};
    struct base_buf tail = {0};
    struct trailer t;
    int r;

    if (file_size < FMT_HEADER_SIZE + FMT_TRAILER_SIZE)
        return fail_no_trailer(fd, file_size, name, err);
    want = BASE_MIN(want, file_size);
    p.f = calloc(1, sizeof(*p.f));
    r = p.f ? tail_read(fd, file_size, want, name, &tail, err) : fail_memory(&p);
    if (r == 0)
        r = trailer_parse(tail.data + want - FMT_TRAILER_SIZE, fd, file_size, name, &t, err);
    if (r == 0 && t.stored_len > want - FMT_TRAILER_SIZE) {
        want = (uint64_t)t.stored_len + FMT_TRAILER_SIZE;
        r = tail_read(fd, file_size, want, name, &tail, err);
        t.bytes = tail.data + want - FMT_TRAILER_SIZE;
    }
    if (r == 0) {
        p.f->memory = sizeof(*p.f);
        r = footer_open(&p, &t, tail.data + want - FMT_TRAILER_SIZE - t.stored_len);
    }
    if (r == 0 && want == file_size)
        r = header_check(p.f, tail.data, name, err);
    if (r == 0) {
        *ret_footer = p.f;
        p.f = NULL;
    }
    free(p.group_off);
    fmt_footer_free(p.f);
    base_buf_done(&tail);
    return r;
}

void
fmt_chunk_extent(const struct fmt_footer *f, uint32_t group, uint32_t column, uint64_t *ret_off,
                 uint64_t *ret_len)
{
    const size_t chunk = (size_t)group * f->n_columns + column;
    const uint32_t first = f->chunk_first[chunk], end = f->chunk_first[chunk + 1];

    *ret_off = *ret_len = 0;
    if (first == end)
        return;
    *ret_off = f->pages[first].off;
    *ret_len = f->pages[end - 1].off + f->pages[end - 1].stored_len - *ret_off;
}
