/* Pages: header, descriptors, streams; and the values of one stream of numbers. */
#include "config.h"
#include "shardfmt/decode.h"

#include <inttypes.h>
#include <string.h>

#include "lib/arith.h"
#include "lib/compiler.h"
#include "lib/cursor.h"
#include "lib/fail.h"

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
};

static bool
encoding_known(unsigned encoding)
{
    return encoding == FMT_ENC_PLAIN || encoding == FMT_ENC_CONST || encoding == FMT_ENC_DICT ||
           encoding == FMT_ENC_FOR;
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
        return base_fail(err, SHARD_EUNSUPPORTED, "stream of role %u, which this build lacks",
                         role);
    if (!encoding_known(encoding))
        return base_fail(err, SHARD_EUNSUPPORTED, "encoding %u of the stream of %s", encoding,
                         role_names[role]);
    if (version != 0)
        return base_fail(err, SHARD_EUNSUPPORTED, "version %u of encoding %s of the stream of %s",
                         version, fmt_encoding_name((enum fmt_encoding)encoding),
                         role_names[role]);
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
                         role_names[s->role]);
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
                         " streams", kind, n_streams);
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
                             here ? "unexpected" : "missing", role_names[role]);
    }
    return 0;
}

/* ----------------------------------------------------------------------------------- integers */

static int
fail_length(const struct fmt_stream_in *s, struct shard_error *err)
{
    return base_fail(err, SHARD_ECORRUPT,
                     "stream of %s: %" PRIu32 " bytes, %u each, for %" PRIu32 " values",
                     role_names[s->role], s->len, s->size, s->count);
}

int
fmt_ints_open(struct fmt_ints_reader *r, const struct fmt_stream_in *s, size_t size, bool is_int,
              bool is_signed, size_t n, struct shard_error *err)
{
    const bool narrow = is_int && s->size < size && (s->size == 1 || s->size == 2 || s->size == 4);

    *r = (struct fmt_ints_reader){
        .s = s, .size = size, .is_signed = is_signed, .left = n, .in = s->data};
    if (s->count != n)
        return base_fail(err, SHARD_ECORRUPT, "stream of %s: %" PRIu32 " values instead of %zu",
                         role_names[s->role], s->count, n);
    if (s->size != size && !(narrow && s->encoding == FMT_ENC_PLAIN))
        return fail_length(s, err);
    switch (s->encoding) {
    case FMT_ENC_PLAIN:
        return s->len == (uint64_t)n * s->size ? 0 : fail_length(s, err);
    case FMT_ENC_CONST:
        return s->len == size ? 0 : fail_length(s, err);
    case FMT_ENC_FOR:
        if (is_int)
            return fmt_for_open(&r->packed, s->data, s->len, size, n, err);
        break;
    default:
        break;
    }
    return base_fail(err, SHARD_EUNSUPPORTED, "encoding %s of the stream of %s",
                     fmt_encoding_name((enum fmt_encoding)s->encoding), role_names[s->role]);
}

#define WIDEN(from, to)                                                                            \
    do {                                                                                           \
        to *d = dst;                                                                               \
        for (size_t i = 0; i < n; i++) {                                                           \
            from v;                                                                                \
            memcpy(&v, src + i * sizeof(v), sizeof(v));                                            \
            d[i] = (to)v;                                                                          \
        }                                                                                          \
    } while (0)

/* Extending with the sign is the same for every wider type: int64 stands for uint64, too. */
#define WIDEN_TO(to)                                                                               \
    do {                                                                                           \
        switch (from * 2 + is_signed) {                                                            \
        case 2:                                                                                    \
            WIDEN(uint8_t, to);                                                                    \
            break;                                                                                 \
        case 3:                                                                                    \
            WIDEN(int8_t, to);                                                                     \
            break;                                                                                 \
        case 4:                                                                                    \
            WIDEN(uint16_t, to);                                                                   \
            break;                                                                                 \
        case 5:                                                                                    \
            WIDEN(int16_t, to);                                                                    \
            break;                                                                                 \
        case 8:                                                                                    \
            WIDEN(uint32_t, to);                                                                   \
            break;                                                                                 \
        default:                                                                                   \
            WIDEN(int32_t, to);                                                                    \
            break;                                                                                 \
        }                                                                                          \
    } while (0)

static void
widen(const uint8_t *src, size_t from, bool is_signed, size_t n, void *dst, size_t size)
{
    if (from == size)
        memcpy(dst, src, n * size);
    else if (size == 2)
        WIDEN_TO(uint16_t);
    else if (size == 4)
        WIDEN_TO(uint32_t);
    else
        WIDEN_TO(uint64_t);
}

#define FILL(T)                                                                                    \
    do {                                                                                           \
        T v, *d = dst;                                                                             \
        memcpy(&v, src, sizeof(v));                                                                \
        for (size_t i = 0; i < n; i++)                                                             \
            d[i] = v;                                                                              \
    } while (0)

static void
fill(const uint8_t *src, size_t size, size_t n, void *dst)
{
    switch (size) {
    case 1:
        memset(dst, *src, n);
        break;
    case 2:
        FILL(uint16_t);
        break;
    case 4:
        FILL(uint32_t);
        break;
    default:
        FILL(uint64_t);
        break;
    }
}

int
fmt_ints_next(struct fmt_ints_reader *r, void *dst, struct shard_error *err)
{
    const size_t n = BASE_MIN(r->left, FMT_FOR_BLOCK);

    r->left -= n;
    if (r->s->encoding == FMT_ENC_FOR)
        return fmt_for_next(&r->packed, dst, err);
    if (r->s->encoding == FMT_ENC_CONST) {
        fill(r->in, r->size, n, dst);
    } else {
        widen(r->in, r->s->size, r->is_signed, n, dst, r->size);
        r->in += n * r->s->size;
    }
    return (int)n;
}

int
fmt_ints_all(const struct fmt_stream_in *s, size_t size, bool is_int, bool is_signed, size_t n,
             void *dst, struct shard_error *err)
{
    struct fmt_ints_reader rd;
    uint8_t *p = dst;
    int r = fmt_ints_open(&rd, s, size, is_int, is_signed, n, err);

    if (r < 0)
        return r;
    if (s->encoding != FMT_ENC_FOR) {
        if (s->encoding == FMT_ENC_CONST)
            fill(s->data, size, n, dst);
        else
            widen(s->data, s->size, is_signed, n, dst, size);
        return 0;
    }
    while (rd.left) {
        r = fmt_ints_next(&rd, p, err);
        if (r < 0)
            return r;
        p += (size_t)r * size;
    }
    return 0;
}
