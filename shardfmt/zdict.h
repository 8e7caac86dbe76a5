/* zstd dictionaries of columns, for small pages: what all pages of a column share need not stand in
 * each. Trained once, stored in every shard whose pages need them. */
#ifndef FMT_ZDICT_H
#define FMT_ZDICT_H

#include "lib/codec.h"
#include "shardfmt/group.h"

#define FMT_ZDICT_LEN_MAX   (256u << 10) /* bytes of one */
#define FMT_ZDICT_COUNT_MAX 1024u        /* of a shard */
#define FMT_ZDICT_PAGE_MAX  (64u << 10)  /* larger pages get none */

void fmt_zdicts_done(struct fmt_zdicts *z); /* a zeroed one holds nothing */
uint64_t fmt_zdicts_memory(const struct fmt_zdicts *z);

/* Whether pages of these options may get any. */
bool fmt_zdicts_wanted(const struct fmt_encode_opts *opts);
/* Train on the pages of a row group that was encoded with these options and no dictionaries. A column
 * gets one where it saves a sixth of the bytes of pages that it was not trained on, and in the
 * row group more than it takes itself. ret->of is NULL
 * where no column does. Pure: the same for the same image and options. Returns 0 or -ENOMEM. */
SHARD_NODISCARD int fmt_zdicts_train(const struct fmt_image *im, const struct fmt_encode_opts *opts,
                                     struct base_codec *codec, struct fmt_zdicts *ret);

#endif
