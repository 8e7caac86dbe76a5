/* Training: three pages of four are samples, the fourth is held out and says what it was worth. */
#include "config.h"
#include "shardfmt/zdict.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/arith.h"
#include "lib/compiler.h"

#define PAGES_MIN   32u          /* of a column: fewer say too little */
#define SAMPLES_MAX (8u << 20)   /* bytes */
#define LEN_WANTED  (64u << 10)  /* of a dictionary, where there are samples enough */
#define LEN_SHARE   16u          /* of the samples' bytes, at most one in so many */
#define TOTAL_MAX   (1u << 20)   /* bytes of all dictionaries: they stand in every shard */
#define SAVES_SHARE 6u           /* of the held out pages' bytes, at least one in so many: decoding with one
                                  * takes a quarter longer */

void
fmt_zdicts_done(struct fmt_zdicts *z)
{
    for (uint32_t i = 0; z->of && i < z->n_columns; i++)
        base_dict_free(z->of[i]);
    free(z->of);
    *z = (struct fmt_zdicts){0};
}

uint64_t
fmt_zdicts_memory(const struct fmt_zdicts *z)
{
    uint64_t sum = z->of ? (uint64_t)z->n_columns * sizeof(z->of[0]) : 0;

    for (uint32_t i = 0; z->of && i < z->n_columns; i++)
        sum += z->of[i] ? base_dict_memory(z->of[i]) : 0;
    return sum;
}

bool
fmt_zdicts_wanted(const struct fmt_encode_opts *opts)
{
    return opts->zstd_level != 0 && opts->page_bytes != 0 &&
           opts->page_bytes <= FMT_ZDICT_PAGE_MAX && !opts->plain_only;
}

/* The pages of one column. */
struct training {
    const struct fmt_encode_opts *opts;
    struct base_codec *codec;
    struct base_buf samples, held, dict, trial;
    struct base_buf sizes, held_sizes; /* size_t of each */
    uint64_t plain;                    /* bytes that the held out pages take without */
    uint64_t all;                      /* and all pages of the row group */
};

static void
training_done(struct training *t)
{
    base_buf_done(&t->samples);
    base_buf_done(&t->held);
    base_buf_done(&t->dict);
    base_buf_done(&t->trial);
    base_buf_done(&t->sizes);
    base_buf_done(&t->held_sizes);
}

/* The raw bytes of a page, behind those of others. */
static int
add_page(struct training *t, const struct fmt_page *p, const uint8_t *stored, struct base_buf *to,
         struct base_buf *sizes)
{
    const size_t len = p->raw_len;
    int r;

    if (base_buf_reserve(to, len) < 0 || base_buf_append(sizes, &len, sizeof(len)) < 0)
        return -ENOMEM;
    if (p->codec == FMT_CODEC_ZSTD) {
        r = base_codec_decompress(t->codec, to->data + to->len, len, stored, p->stored_len, NULL);
        if (r < 0)
            return r;
        to->len += len;
    } else {
        base_buf_put(to, stored, len);
    }
    return 0;
}

static int
collect(struct training *t, const struct fmt_image *im, uint32_t first, uint32_t end)
{
    int r = 0;

    base_buf_reset(&t->samples);
    base_buf_reset(&t->held);
    base_buf_reset(&t->sizes);
    base_buf_reset(&t->held_sizes);
    t->plain = t->all = 0;
    for (uint32_t i = first; i < end; i++)
        t->all += im->pages[i].stored_len;
    for (uint32_t i = first; i < end && r == 0; i++) {
        const struct fmt_page *p = &im->pages[i];
        const uint8_t *stored = im->bytes.data + p->off;

        if (t->samples.len + t->held.len + p->raw_len > SAMPLES_MAX)
            break;
        if ((i - first) % 4 == 3) {
            r = add_page(t, p, stored, &t->held, &t->held_sizes);
            t->plain += p->stored_len;
        } else {
            r = add_page(t, p, stored, &t->samples, &t->sizes);
        }
    }
    return r;
}

/* Bytes that the held out pages take with d, or -ENOMEM. */
static int64_t
try_held(struct training *t, const struct base_dict *d)
{
    const size_t *sizes = (const void *)t->held_sizes.data;
    const uint8_t *p = t->held.data;
    int64_t sum = 0;

    for (size_t i = 0; i < t->held_sizes.len / sizeof(*sizes); i++) {
        int64_t n;

        base_buf_reset(&t->trial);
        if (base_buf_reserve(&t->trial, base_codec_bound(sizes[i])) < 0)
            return -ENOMEM;
        n = base_codec_compress_with(t->codec, d, t->trial.data, t->trial.cap, p, sizes[i]);
        if (n < 0)
            return n;
        sum += BASE_MIN(n, (int64_t)sizes[i]);
        p += sizes[i];
    }
    return sum;
}

/* Whether a dictionary of len bytes pays, with which the held out pages take so many. It must make up
 * for its own bytes within a row group, as there may be no other. */
static bool
pays(const struct training *t, uint64_t with, uint64_t len)
{
    return with < t->plain && t->plain - with >= t->plain / SAVES_SHARE &&
           base_muldiv_u64(t->plain - with, t->all, t->plain) > len;
}

/* A dictionary for the pages collected, of at most room bytes; *ret stays NULL where none pays. */
static int
train(struct training *t, size_t room, struct base_dict **ret)
{
    const size_t cap = BASE_MIN(BASE_MIN(LEN_WANTED, room), t->samples.len / LEN_SHARE);
    const uint32_t n = (uint32_t)(t->sizes.len / sizeof(size_t));
    struct base_dict *d = NULL;
    int64_t len, with;
    int r;

    if (cap < BASE_DICT_MIN || t->plain == 0)
        return 0;
    base_buf_reset(&t->dict);
    if (base_buf_reserve(&t->dict, cap) < 0)
        return -ENOMEM;
    len = base_dict_train(t->dict.data, cap, t->samples.data, (const void *)t->sizes.data, n);
    if (len <= 0)
        return (int)len;
    r = base_dict_new(t->dict.data, (size_t)len, t->opts->zstd_level, &d);
    if (r < 0)
        return r == -ENOMEM ? r : 0;
    with = try_held(t, d);
    if (with >= 0 && pays(t, (uint64_t)with, (uint64_t)len))
        *ret = d;
    else
        base_dict_free(d);
    return with < 0 ? (int)with : 0;
}

int
fmt_zdicts_train(const struct fmt_image *im, const struct fmt_encode_opts *opts,
                 struct base_codec *codec, struct fmt_zdicts *ret)
{
    struct fmt_zdicts z = {.n_columns = im->n_columns};
    struct training t = {.opts = opts, .codec = codec};
    size_t room = TOTAL_MAX;
    uint32_t count = 0;
    int r = 0;

    *ret = (struct fmt_zdicts){0};
    if (!fmt_zdicts_wanted(opts))
        return 0;
    z.of = calloc((size_t)im->n_columns + 1, sizeof(*z.of));
    if (z.of == NULL)
        return -ENOMEM;
    for (uint32_t c = 0; c < im->n_columns && r == 0 && count < FMT_ZDICT_COUNT_MAX; c++) {
        size_t len;

        if (im->chunk_first[c + 1] - im->chunk_first[c] < PAGES_MIN || fmt_column_has_level(opts, c))
            continue;
        r = collect(&t, im, im->chunk_first[c], im->chunk_first[c + 1]);
        if (r == 0)
            r = train(&t, room, &z.of[c]);
        if (r == 0 && z.of[c]) {
            (void)base_dict_data(z.of[c], &len);
            room -= len;
            count++;
        }
    }
    training_done(&t);
    if (r == 0 && count)
        *ret = z;
    else
        fmt_zdicts_done(&z);
    return r;
}
