/* What fuzz targets share. Each target defines LLVMFuzzerTestOneInput(), and may define
 * LLVMFuzzerCustomMutator(); linked with fuzz_driver.c it replays files or makes inputs of its own,
 * with clang's -fsanitize=fuzzer it is a fuzzer. A target aborts where a promise is broken. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include "lib/cursor.h"
#include "shardfmt/shard.h"

#define FUZZ_MEMORY_MAX (64u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t max, unsigned seed);
/* libFuzzer's (fuzz_driver.c has a simple one): changes data in place, returns its new length. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t len, size_t max);

/* For what our own side must be able to do. */
void fuzz_must(bool ok, const char *what);

/* Read every byte of an array, so that a sanitizer sees what lies outside; and check what readers
 * may rely on. */
void fuzz_touch(const struct shard_array *a);
/* Every chunk, as far as that is not too much. */
void fuzz_decode_all(const struct fmt_footer *f, const struct base_buf *file);
/* Encode an array that came out of a decoder, decode it, compare. */
void fuzz_roundtrip(const struct shard_field *field, const struct shard_array *a,
                    const struct fmt_encode_opts *opts);
/* Give pages and pieces the hashes of what is there. */
void fuzz_fix_hashes(struct fmt_footer *f, const struct base_buf *file);
/* A shard file around body, whose last footer_len bytes are the footer: header, trailer and every
 * hash fit what is there. With pack the footer goes through zstd. ret is emptied first. */
void fuzz_make_shard(const uint8_t *body, size_t len, size_t footer_len, bool pack,
                     struct base_buf *ret);
/* An input that is a shard: u16, of which bit 15 is pack and the rest footer_len; then the body. Where it
 * loads, go is called. */
void fuzz_shard(const uint8_t *data, size_t len,
                void (*go)(const struct fmt_footer *f, const struct base_buf *file));

/* Contexts that are made once. */
struct base_codec *fuzz_codec(void);
/* A dictionary of zstd, always the same. */
struct base_dict *fuzz_zdict(void);
/* A dataset's empty folders, made once: a directory in memory. */
int fuzz_dataset(void);
const char *fuzz_dataset_path(void);
/* Without its files again. */
void fuzz_dataset_empty(void);

#endif
