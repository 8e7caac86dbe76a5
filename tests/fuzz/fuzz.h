/* What fuzz targets share. Each target defines LLVMFuzzerTestOneInput(); linked with fuzz_driver.c
 * it replays files, or makes inputs of its own; with clang's -fsanitize=fuzzer it is a fuzzer. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include "shardfmt/shard.h"

#define FUZZ_MEMORY_MAX (64u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Read every byte of an array, so that a sanitizer sees what lies outside; and check what readers
 * may rely on (aborts where it is not so). */
void fuzz_touch(const struct shard_array *a);
/* Give pages and pieces the hashes of what is there. */
void fuzz_fix_hashes(struct fmt_footer *f, const struct base_buf *file);

#endif
