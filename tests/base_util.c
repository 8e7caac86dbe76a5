#include "config.h"
#include "tests/base_util.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/random.h"

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

void
base_test_fill(void *dst, size_t len, uint64_t seed)
{
    unsigned char *p = dst;

    for (size_t i = 0; i < len; i += 8) {
        uint64_t v = test_random(&seed);

        memcpy(p + i, &v, len - i < 8 ? len - i : 8);
    }
}
