/* Runs a fuzz target without libFuzzer.
 *
 *     fuzz_x FILE|FOLDER...              replay
 *     fuzz_x -n N [FILE|FOLDER...]       also N inputs of each: the file (or nothing), changed
 */
#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/fs.h"
#include "tests/fuzz/fuzz.h"
#include "tests/random.h"

#define INPUT_MAX (1u << 20)

static uint64_t state = 1;
static size_t replayed;

__attribute__((weak)) size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t max,
                                                     unsigned seed);

size_t
LLVMFuzzerMutate(uint8_t *data, size_t len, size_t max)
{
    if (len == 0) {
        len = (size_t)(test_random(&state) % 600);
        len = len < max ? len : max;
        for (size_t i = 0; i < len; i++)
            data[i] = (uint8_t)(test_random(&state) >> 40);
        return len;
    }
    for (uint64_t i = 1 + test_random(&state) % 8; i > 0; i--) {
        const uint64_t v = test_random(&state);

        data[(v >> 20) % len] = v & 1 ? (uint8_t)(v >> 8) : (uint8_t)(1u << (v >> 8 & 7));
    }
    if (test_random(&state) % 8 == 0)
        len -= (size_t)(test_random(&state) % len);
    return len;
}

static void
run_bytes(const struct base_buf *file, long n)
{
    uint8_t *input = malloc(INPUT_MAX);

    fuzz_must(input && file->len <= INPUT_MAX, "input");
    (void)LLVMFuzzerTestOneInput(file->data, file->len);
    replayed++;
    for (long i = 0; i < n; i++) {
        size_t len = file->len;

        if (len)
            memcpy(input, file->data, len);
        len = LLVMFuzzerCustomMutator && test_random(&state) % 4
                  ? LLVMFuzzerCustomMutator(input, len, INPUT_MAX,
                                            (unsigned)test_random(&state))
                  : LLVMFuzzerMutate(input, len, INPUT_MAX);
        (void)LLVMFuzzerTestOneInput(input, len);
    }
    free(input);
}

static void
run_path(const char *path, long n)
{
    struct base_buf file = {0};
    struct shard_error err = {0};
    struct dirent **names;
    struct stat st;
    int count;

    fuzz_must(stat(path, &st) == 0, path);
    if (!S_ISDIR(st.st_mode)) {
        fuzz_must(base_read_file(AT_FDCWD, path, INPUT_MAX, &file, &err) == 0, err.text);
        run_bytes(&file, n);
        base_buf_done(&file);
        return;
    }
    count = scandir(path, &names, NULL, alphasort);
    fuzz_must(count >= 0, path);
    for (int i = 0; i < count; i++) {
        char name[4096];

        (void)snprintf(name, sizeof(name), "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.')
            run_path(name, n);
        free(names[i]);
    }
    free(names);
}

int
main(int argc, char **argv)
{
    const struct base_buf nothing = {0};
    long n = 0;
    int i = 1;

    if (argc > 2 && strcmp(argv[1], "-n") == 0) {
        n = strtol(argv[2], NULL, 10);
        i = 3;
    }
    if (i >= argc)
        run_bytes(&nothing, n);
    for (; i < argc; i++)
        run_path(argv[i], n);
    (void)printf("%zu inputs replayed, %ld made of each\n", replayed, n);
    return 0;
}
