/* Text to feature numbers, as fastText's supervised mode does it, without a dictionary.
 *
 * Words are runs of bytes between ASCII white space (and NUL). Features of a text are, in order:
 *   - one that every text has (fastText's </s>): it plays the part of a bias;
 *   - for each word: the word itself, then its character n-grams: of every start in "<word>" those
 *     of minn to maxn UTF-8 characters, but not a lone < or >;
 *   - every run of 2 to word_ngrams consecutive words.
 * Each is hashed with 64 bits, apart by kind, and scaled into [0, buckets).
 *
 * Limits, so that one hostile row cannot take all memory: a word of more than TRAIN_WORD_MAX bytes
 * counts as several, and a text gives at most TRAIN_ROW_IDS_MAX features (the first ones).
 *
 * The hashes are part of a saved model: changing them needs a new model format version.
 */
#ifndef TRAIN_NGRAM_H
#define TRAIN_NGRAM_H

#include <stddef.h>
#include <stdint.h>

#define TRAIN_WORD_MAX    4096u
#define TRAIN_ROW_IDS_MAX 65536u

struct train_ngram_opts {
    uint32_t word_ngrams; /* longest run of words, 1 = single words only */
    uint32_t minn, maxn;  /* characters; maxn 0 = no character n-grams */
    uint32_t buckets;     /* at least 1 */
};

/* Write the features of text to ids (room for TRAIN_ROW_IDS_MAX); returns their number, at least 1.
 * While it goes, rows of the table (stride bytes each) are fetched into the cache, where table is
 * not NULL. Pure. */
size_t train_ngram_ids(const struct train_ngram_opts *o, const uint8_t *text, size_t len,
                       const void *table, size_t row_bytes, uint32_t *ids);

#endif
