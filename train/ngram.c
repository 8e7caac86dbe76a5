#include "config.h"

#include "train/ngram.h"

#include <stdbool.h>
#include <string.h>

#include "lib/compiler.h"
#include "lib/hash.h"

#define SEED_WORD     1u /* of XXH3 over a word */
#define START_GRAM    0xcbf29ce484222325u
#define START_RUN     0x9e3779b97f4a7c15u
#define PRIME_GRAM    0x100000001b3u /* FNV's: one multiplication per byte, shared by n-grams */
#define PRIME_RUN     0x9fb21c651e98df25u
#define ID_EVERY_TEXT 0x2545f4914f6cdd1du /* hash of the feature that every text has */

struct out {
    uint32_t *ids;
    size_t n;
    uint32_t buckets;
    const char *table; /* rows to prefetch, or NULL */
    size_t row_bytes;
};

/* A hash of any quality to a feature number; scaled, as division would cost more than the hash. */
static inline void
out_put(struct out *o, uint64_t h)
{
    uint32_t id;

    if (BASE_UNLIKELY(o->n == TRAIN_ROW_IDS_MAX))
        return;
    h ^= h >> 29;
    h *= 0xbf58476d1ce4e5b9u;
    id = (uint32_t)(((h >> 32) * o->buckets) >> 32);
    if (o->table != NULL)
        __builtin_prefetch(o->table + (size_t)id * o->row_bytes, 1, 2);
    o->ids[o->n++] = id;
}

static inline bool
is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0;
}

static inline bool
is_continuation(uint8_t c)
{
    return (c & 0xc0) == 0x80;
}

/* Character n-grams of w, which has its brackets already. The hash of a longer one goes on from the
 * shorter one's. */
static void
put_grams(struct out *o, const struct train_ngram_opts *opts, const uint8_t *w, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        uint64_t h = START_GRAM;
        size_t j = i;

        if (is_continuation(w[i]))
            continue;
        for (uint32_t n = 1; j < len && n <= opts->maxn; n++) {
            h = (h ^ w[j++]) * PRIME_GRAM;
            while (j < len && is_continuation(w[j]))
                h = (h ^ w[j++]) * PRIME_GRAM;
            if (n >= opts->minn && !(n == 1 && (i == 0 || j == len)))
                out_put(o, h);
        }
    }
}

/* Length of the word at text: up to white space, the end, or the longest that is taken whole. */
static size_t
word_len(const uint8_t *text, size_t len)
{
    size_t i = 0, max = BASE_MIN(len, TRAIN_WORD_MAX);

    while (i < max && !is_space(text[i]))
        i++;
    if (i == max && i < len && is_continuation(text[i])) { /* cut before a character, not in it */
        while (i > max - 4 && is_continuation(text[i]))
            i--;
        if (is_continuation(text[i]))
            i = max; /* no UTF-8 at all: anywhere will do */
    }
    return i;
}

size_t
train_ngram_ids(const struct train_ngram_opts *opts, const uint8_t *text, size_t len,
                const void *table, size_t row_bytes, uint32_t *ids)
{
    struct out o = {ids, 0, opts->buckets, table, row_bytes};
    uint8_t word[TRAIN_WORD_MAX + 2];
    uint64_t last[16]; /* hashes of the words before, for runs of words: a ring */
    const uint32_t n_last = BASE_MIN(opts->word_ngrams, 16u);
    uint64_t n_words = 0;
    size_t i = 0;

    out_put(&o, ID_EVERY_TEXT);
    while (o.n < TRAIN_ROW_IDS_MAX) {
        size_t n;
        uint64_t h;

        while (i < len && is_space(text[i]))
            i++;
        if (i == len)
            break;
        n = word_len(text + i, len - i);
        h = base_hash64(text + i, n, SEED_WORD);
        out_put(&o, h);
        if (opts->maxn > 0) {
            word[0] = '<';
            memcpy(word + 1, text + i, n);
            word[n + 1] = '>';
            put_grams(&o, opts, word, n + 2);
        }
        if (n_last > 1) {
            uint64_t run = START_RUN ^ h;

            /* Backwards from this word, so that a longer run goes on from a shorter one. */
            for (uint32_t k = 1; k < n_last && k <= n_words; k++) {
                run = (run ^ (run >> 32)) * PRIME_RUN + last[(n_words - k) % 16];
                out_put(&o, run * PRIME_RUN);
            }
            last[n_words % 16] = h;
        }
        n_words++;
        i += n;
    }
    return o.n;
}
