/* How long opening takes: of a dataset (root and segments), against opening plain files and reading
 * their first 4 KB; and of one shard of a dataset (its footer). Prints JSON, seconds.
 *
 *     bench_open PAIRS warm|cold DATASET FILE...     dataset and files in turns
 *     bench_open PAIRS warm|cold DATASET             its first shard
 *
 * Cold drops the kernel's caches before each, which takes root; everything is done once before, so that
 * the program's own pages are there. Warm: each figure is of the best of 20, and the allocator keeps the
 * memory of the one before, as it does in a program that goes on: else half of the time would be the
 * kernel's, clearing pages. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "shardfmt/snapshot.h"

static bool cold;
static char **files;
static int n_files;

static void
die(const char *what, const struct shard_error *err)
{
    fprintf(stderr, "bench_open: %s: %s\n", what, err ? err->text : strerror(errno));
    exit(1);
}

static void
open_dataset(const char *path)
{
    struct shard_dataset *ds;
    struct shard_error err;

    if (shard_dataset_open(path, &ds, &err) < 0)
        die(path, &err);
    shard_dataset_close(ds);
}

static void
open_files(const char *path)
{
    static char buf[4096];

    (void)path;
    for (int i = 0; i < n_files; i++) {
        const int fd = open(files[i], O_RDONLY | O_CLOEXEC);

        if (fd < 0 || read(fd, buf, sizeof(buf)) < 0)
            die(files[i], NULL);
        (void)close(fd);
    }
}

static const struct fmt_snapshot *snapshot;
static int dirfd;

static void
open_shard(const char *path)
{
    struct shard_error err;
    struct fmt_footer *f;
    int fd;

    if (fmt_shard_open(dirfd, &snapshot->shards[0], &snapshot->schema, &fd, &f, &err) < 0)
        die(path, &err);
    fmt_footer_free(f);
    (void)close(fd);
}

static void
drop_caches(void)
{
    const int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

    sync();
    if (fd < 0 || write(fd, "3", 1) != 1)
        die("/proc/sys/vm/drop_caches", NULL);
    (void)close(fd);
}

static double
once(void (*fn)(const char *), const char *path)
{
    uint64_t t0;

    if (cold)
        drop_caches();
    t0 = base_now_ns();
    fn(path);
    return (double)(base_now_ns() - t0) / 1e9;
}

static double
seconds(void (*fn)(const char *), const char *path)
{
    double best = once(fn, path);

    for (int i = 1; i < 20 && !cold; i++) {
        const double s = once(fn, path);

        best = s < best ? s : best;
    }
    return best;
}

static void
print(const char *name, const double *s, int n)
{
    printf("\"%s\": [", name);
    for (int i = 0; i < n; i++)
        printf("%s%.7f", i ? ", " : "", s[i]);
    printf("]");
}

int
main(int argc, char **argv)
{
    struct shard_dataset *ds;
    struct shard_error err;
    double a[100], b[100];
    int n;

    if (argc < 4 || (n = atoi(argv[1])) < 1 || n > 100) {
        fputs("usage: bench_open PAIRS warm|cold DATASET [FILE...]\n", stderr);
        return 2;
    }
    cold = strcmp(argv[2], "cold") == 0;
    (void)mallopt(M_MMAP_THRESHOLD, 32 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 128 << 20);
    files = argv + 4;
    n_files = argc - 4;
    if (shard_dataset_open(argv[3], &ds, &err) < 0)
        die(argv[3], &err);
    snapshot = fmt_dataset_snapshot(ds);
    dirfd = fmt_dataset_dirfd(ds);
    open_files(NULL);
    if (n_files == 0)
        open_shard(argv[3]);
    for (int i = 0; i < n; i++) {
        a[i] = seconds(n_files ? open_dataset : open_shard, argv[3]);
        b[i] = n_files ? seconds(open_files, NULL) : 0;
    }
    printf("{\"shards\": %u, \"columns\": %u, ", snapshot->n_shards, snapshot->schema.n_fields);
    print("ours", a, n);
    printf(", ");
    print("files", b, n);
    printf("}\n");
    shard_dataset_close(ds);
    return 0;
}
