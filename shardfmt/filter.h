/* Filters: expressions as in SQL over the columns of a schema, "year >= 1990 AND lang IN ('de', 'fr')".
 * docs/shardtool.1, chapter EXPRESSIONS, is the specification of the language.
 *
 * Order of calls: fmt_filter_parse(), which checks types too; fmt_filter_inputs() for what must be
 * read; fmt_filter_prune() with statistics to find out whether reading can be spared; then
 * fmt_filter_eval() over the rows. A filter is read-only after it is parsed: share it freely.
 *
 * Logic is three-valued: a comparison with null is neither true nor false, and a row is selected
 * where the whole is true. Comparisons are exact: every number, of whatever type, and every literal
 * is turned into a place on the number line of the column, so that nothing is rounded on the way. */
#ifndef FMT_FILTER_H
#define FMT_FILTER_H

#include <stddef.h>

#include "shardfmt/group.h"

#define FMT_FILTER_TEXT_MAX  (64u << 10) /* bytes of an expression */
#define FMT_FILTER_DEPTH_MAX 100u        /* levels of parentheses and NOT */

struct fmt_filter;

/* What a filter looks at: a column's values, its validity included, or the lengths of them only. */
struct fmt_filter_input {
    uint32_t column;
    bool lengths;
};

/* Parse text over s, which is needed during the call only. On SHARD_EPARSE (and on nothing else)
 * *ret_at, which may be NULL, is where in text the mistake stands, in bytes. */
SHARD_NODISCARD int fmt_filter_parse(const char *text, const struct fmt_schema *s,
                                     struct fmt_filter **ret, size_t *ret_at,
                                     struct shard_error *err);
void fmt_filter_free(struct fmt_filter *f); /* accepts NULL */
/* No two are equal. Owned by the filter. */
const struct fmt_filter_input *fmt_filter_inputs(const struct fmt_filter *f, uint32_t *ret_n);

/* Which of n_rows rows are selected. inputs[i] is the column of input i; where that wants lengths,
 * either the column with its offsets, or its lengths as an array of uint32, null where the value
 * is. Into a bitmap of n_rows bits, least significant first. Returns how many. */
uint64_t fmt_filter_eval(const struct fmt_filter *f, const struct shard_array *inputs,
                         uint64_t n_rows, uint8_t *ret_bits);

/* Whether no row can be selected among n_rows rows of which stats[i] are the statistics of the column
 * of input i (NULL: not known). False also where it cannot be told. */
bool fmt_filter_prune(const struct fmt_filter *f, const struct fmt_chunk_stats *const *stats,
                      uint64_t n_rows);

#endif
