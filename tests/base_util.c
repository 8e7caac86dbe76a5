#include "config.h"
#include "tests/base_util.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *
base_test_mkdir(void)
{
    const char *tmp = getenv("TMPDIR");
    char *dir = NULL;

    ck_assert(asprintf(&dir, "%s/shl-base-XXXXXX", tmp != NULL ? tmp : "/tmp") > 0);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    return dir;
}

void
base_test_rmdir(char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *e;

    ck_assert_ptr_nonnull(d);
    while ((e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (unlinkat(dirfd(d), e->d_name, 0) != 0)
            (void)unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
    }
    (void)closedir(d);
    ck_assert_int_eq(rmdir(dir), 0);
    free(dir);
}

uint64_t
base_test_random(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

void
base_test_fill(void *dst, size_t len, uint64_t seed)
{
    unsigned char *p = dst;

    for (size_t i = 0; i < len; i += 8) {
        uint64_t v = base_test_random(&seed);

        memcpy(p + i, &v, len - i < 8 ? len - i : 8);
    }
}

int
base_test_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    int failed;

    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
