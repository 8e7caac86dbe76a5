/* Runs a fuzz target without libFuzzer.
 *
 *     fuzz_x FILE...              replay
 *     fuzz_x -n N [FILE...]       also N inputs: the files (or nothing), with bytes changed
 */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/fs.h"
#include "tests/fuzz/fuzz.h"
#include "tests/shard_util.h"

static void
mutate(struct base_buf *b, uint64_t *st)
{
    const size_t len = (size_t)(shard_util_next(st) % 600);

    if (b->len == 0) {
        if (base_buf_append_zero(b, len) < 0)
            abort();
        for (size_t i = 0; i < len; i++)
            b->data[i] = (uint8_t)(shard_util_next(st) >> 40);
        return;
    }
    for (uint64_t i = 1 + shard_util_next(st) % 8; i > 0; i--) {
        const uint64_t v = shard_util_next(st);

        b->data[(v >> 20) % b->len] = v & 1 ? (uint8_t)(v >> 8) : (uint8_t)(1u << (v >> 8 & 7));
    }
    if (shard_util_next(st) % 8 == 0)
        b->len -= (size_t)(shard_util_next(st) % b->len);
}

static void
run_file(const char *path, long n)
{
    struct base_buf file = {0}, input = {0};
    struct shard_error err = {0};
    uint64_t st = 1;

    if (path && base_read_file(AT_FDCWD, path, 64u << 20, &file, &err) < 0) {
        (void)fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    if (path)
        (void)LLVMFuzzerTestOneInput(file.data, file.len);
    for (long i = 0; i < n; i++) {
        base_buf_reset(&input);
        if (base_buf_append(&input, file.data, file.len) < 0)
            abort();
        mutate(&input, &st);
        (void)LLVMFuzzerTestOneInput(input.data, input.len);
    }
    base_buf_done(&file);
    base_buf_done(&input);
}

int
main(int argc, char **argv)
{
    long n = 0;
    int i = 1;

    if (argc > 2 && strcmp(argv[1], "-n") == 0) {
        n = strtol(argv[2], NULL, 10);
        i = 3;
    }
    if (i >= argc)
        run_file(NULL, n);
    for (; i < argc; i++)
        run_file(argv[i], n);
    return 0;
}
