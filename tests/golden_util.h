/* The golden files of tests/golden/ and what is in them, by a formula: tests/make_golden.c writes
 * them, tests/check_golden.c reads them. tests/cli/check_golden.py has the same formula once more.
 *
 * A column's name is its type and how its values run, as "int32 delta"; most also name the encoding
 * that the writer was made to use. Its values depend on the name and the row alone:
 *
 *   mix(z):        the finaliser of splitmix64
 *   H(name, a, b): mix(FNV-1a-64(name) + a * 0x9E3779B97F4A7C15 + b * 0xC2B2AE3D27D4EB4F)
 *   number i       of a column: golden_number()
 *   row r          has number r; a tensor, or a list of n elements, numbers r, r + 1, ... (32 r, ...
 *                  in "even" columns)
 *   n              golden_length(); indices of sparse vectors: golden_index()
 *   string i       golden_text() of number i
 *   null           where the column can be and H(name, r, 1) % 8 is below 5 (in "even" columns: % 64 is
 *                  0; in "constant" ones also where r is below 1,024)
 *
 * "large" columns, whose values stand out of line, and "tiny" ones have values of their own. */
#ifndef TESTS_GOLDEN_UTIL_H
#define TESTS_GOLDEN_UTIL_H

#include "lib/buf.h"
#include "shardfmt/column.h"
#include "shardfmt/group.h"

struct golden_file {
    const char *name;
    const char *columns; /* which: "numbers", "others", "pages", "index", "large", "tiny" */
    bool nullable;
    int zstd_level;
    uint32_t page_bytes;
    bool zdicts;
    uint32_t n_groups;
    uint32_t group_rows[5];
};
extern const struct golden_file golden_files[];
extern const size_t golden_n_files;
/* The columns of the golden dataset, its splits in order, and its shards: one row group of so many
 * rows each, shard i in split i. */
extern const struct golden_file golden_dataset;
#define GOLDEN_DATASET "dataset"
extern const char *const golden_splits[];

/* The file's columns, and what encoding each is to have (FMT_ENC_*; n_fields of them; free()). */
int golden_schema(const struct golden_file *f, struct fmt_schema *ret, uint8_t **ret_encodings,
                  struct shard_error *err);
/* Append rows [row0, row0 + n) to c. */
int golden_fill(const struct shard_field *f, uint64_t row0, uint64_t n, struct fmt_column *c);

#endif
