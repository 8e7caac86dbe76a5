/* Pages: header, descriptors, streams. */
#include "config.h"
#include "shardfmt/decode.h"

#include <inttypes.h>
#include <string.h>

#include "lib/arith.h"
#include "lib/compiler.h"
#include "lib/cursor.h"
#include "lib/fail.h"
#include "shardfmt/newer.h"

static const char *const role_names[] = {
    [FMT_ROLE_VALIDITY] = "validity",
    [FMT_ROLE_LENGTHS] = "lengths",
    [FMT_ROLE_INDICES] = "indices",
    [FMT_ROLE_VALUES] = "values",
    [FMT_ROLE_BYTES] = "bytes",
    [FMT_ROLE_DICT_VALUES] = "dictionary",
    [FMT_ROLE_DICT_LENGTHS] = "dictionary lengths",
    [FMT_ROLE_DICT_BYTES] = "dictionary bytes",
    [FMT_ROLE_CODES] = "codes",
    [FMT_ROLE_OVERFLOW] = "overflow",
    [FMT_ROLE_ELEM_LENGTHS] = "element lengths",
};

const char *
fmt_role_name(unsigned role)
{
    return role < BASE_ARRAY_LEN(role_names) && role_names[role] ? role_names[role] : "unknown";
}

int
fmt_fail_encoding(unsigned encoding, unsigned role, struct shard_error *err)
{
    return base_fail(err, SHARD_EUNSUPPORTED, "encoding %u (%s) of the stream of %s" FMT_NEWER,
                     encoding, fmt_encoding_name((enum fmt_encoding)encoding), fmt_role_name(role));
}

/* One descriptor; its bytes are taken later. */
static int
stream_parse(struct base_cursor *c, unsigned last_role, struct fmt_stream_in *ret,
             struct shard_error *err)
{
    const unsigned role = base_cursor_u8(c), encoding = base_cursor_u8(c);
    const unsigned version = base_cursor_u8(c), size = base_cursor_u8(c);
    const uint32_t count = base_cursor_u32(c), len = base_cursor_u32(c);

    if (!base_cursor_ok(c))
        return base_fail(err, SHARD_ECORRUPT, "page of too few bytes");
    if (role == 0 || role <= last_role)
        return base_fail(err, SHARD_ECORRUPT, "stream of role %u behind one of role %u", role,
                         last_role);
    if (role > FMT_ROLE_LAST)
        return base_fail(err, SHARD_EUNSUPPORTED, "stream of role %u, which this build lacks"
                         FMT_NEWER, role);
    if (encoding > FMT_ENC_LAST)
        return fmt_fail_encoding(encoding, role, err);
    if (version != 0)
        return base_fail(err, SHARD_EUNSUPPORTED, "version %u of encoding %s of the stream of %s"
                         FMT_NEWER, version, fmt_encoding_name((enum fmt_encoding)encoding),
                         fmt_role_name(role));
    *ret = (struct fmt_stream_in){.role = (uint8_t)role,
                                  .encoding = (uint8_t)encoding,
                                  .size = (uint8_t)size,
                                  .count = count,
                                  .len = len};
    return 0;
}

/* The bytes of a stream: behind the last, or at the next multiple of FMT_ALIGN with zeros before. */
static int
stream_take(struct base_cursor *c, const uint8_t *raw, struct fmt_stream_in *s,
            struct shard_error *err)
{
    const size_t at = (size_t)(c->p - raw);
    size_t pad = 0;

    if (s->encoding == FMT_ENC_PLAIN && s->len >= FMT_STREAM_ALIGN_MIN)
        pad = (size_t)base_align_up(at, FMT_ALIGN) - at;
    for (; pad && base_cursor_ok(c); pad--)
        if (base_cursor_u8(c) != 0)
            return base_fail(err, SHARD_ECORRUPT, "padding that is not zero");
    s->data = base_cursor_bytes(c, s->len);
    if (s->data == NULL)
        return base_fail(err, SHARD_ECORRUPT, "the stream of %s goes past the page",
                         fmt_role_name(s->role));
    return 0;
}

int
fmt_page_parse(const uint8_t *raw, size_t raw_len, uint32_t n_rows, struct fmt_page_in *ret,
               struct shard_error *err)
{
    struct base_cursor c = base_cursor_make(raw, raw_len);
    const uint32_t rows = base_cursor_u32(&c), n_streams = base_cursor_u8(&c);
    const uint32_t kind = base_cursor_u8(&c), reserved = base_cursor_u16(&c);
    uint8_t roles[FMT_STREAMS_MAX];
    unsigned last_role = 0;
    int r = 0;

    *ret = (struct fmt_page_in){.n_rows = n_rows, .end = raw + raw_len};
    if (!base_cursor_ok(&c) || rows != n_rows)
        return base_fail(err, SHARD_ECORRUPT, "page of %" PRIu32 " rows instead of %" PRIu32, rows,
                         n_rows);
    if (kind || reserved || n_streams > FMT_STREAMS_MAX)
        return base_fail(err, SHARD_EUNSUPPORTED, "page of kind %" PRIu32 " with %" PRIu32
                         " streams and reserved bits 0x%" PRIx32 FMT_NEWER, kind, n_streams,
                         reserved);
    for (uint32_t i = 0; i < n_streams && r == 0; i++) {
        struct fmt_stream_in s;

        r = stream_parse(&c, last_role, &s, err);
        if (r == 0) {
            ret->streams[s.role] = s;
            roles[i] = s.role;
            last_role = s.role;
        }
    }
    for (uint32_t i = 0; i < n_streams && r == 0; i++)
        r = stream_take(&c, raw, &ret->streams[roles[i]], err);
    if (r == 0 && base_cursor_left(&c))
        return base_fail(err, SHARD_ECORRUPT, "%zu bytes behind the last stream",
                         base_cursor_left(&c));
    return r;
}

int
fmt_page_expect(const struct fmt_page_in *p, uint32_t required, uint32_t optional,
                struct shard_error *err)
{
    for (unsigned role = 1; role <= FMT_ROLE_LAST; role++) {
        const bool here = p->streams[role].data != NULL;

        if (here != (required >> role & 1) && !(here && (optional >> role & 1)))
            return base_fail(err, SHARD_ECORRUPT, "%s stream of %s",
                             here ? "unexpected" : "missing", fmt_role_name(role));
    }
    return 0;
}
