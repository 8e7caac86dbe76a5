/* What the targets for roots and segments share: their tables, made of cells that the input gives. */
#ifndef TESTS_FUZZ_TABLE_H
#define TESTS_FUZZ_TABLE_H

#include "shardfmt/cells.h"
#include "tests/fuzz/fuzz.h"

/* u8 length and so many bytes, as far as they are there, as a cell. */
void fuzz_put_bytes(struct base_cursor *c, struct fmt_column *column);
void fuzz_put_u64(struct fmt_column *column, uint64_t v);
/* A number whose size the input chooses: u8, of which values from 252 say that 1, 2, 4 or 8 bytes
 * follow. */
uint64_t fuzz_number(struct base_cursor *c);
/* Write the table in b into the file path of the dataset. */
void fuzz_write_table(const struct fmt_builder *b, const char *path, struct fmt_table_info *ret);
/* The same of a file that stands in memory. */
void fuzz_write_file(const struct base_buf *file, const char *path, struct fmt_table_info *ret);

#endif
