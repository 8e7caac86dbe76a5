/* A library for LD_PRELOAD that lets one system call or allocation fail: tests only.
 *
 *   SHARDLINE_FAULT=kind:how:n   the n-th call of that kind (from 1; 0: none) fails. kind: read, write,
 *                                sync, alloc, open, place (link, rename), list (readdir). how: an errno number, or
 *                                "short": half of the bytes, as the kernel may do at any time
 *   SHARDLINE_FAULT_LOG=FILE     how many there were is written there at the end, and whether one failed
 *
 * Reads and writes count where they are of regular files. The real calls are made by syscall(), the
 * allocator's by glibc's other names for it, so that nothing has to be looked up, but readdir(). */
#undef _FILE_OFFSET_BITS /* else pread and pread64 are one name */
#undef _FORTIFY_SOURCE
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum kind { KIND_NONE, KIND_READ, KIND_WRITE, KIND_SYNC, KIND_ALLOC, KIND_OPEN, KIND_PLACE, KIND_LIST };
static const char *const names[] = {"", "read", "write", "sync", "alloc", "open", "place", "list"};

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);

static enum kind fault_kind;
static int fault_errno; /* 0: short */
static unsigned long fault_at;
static atomic_ulong count;

__attribute__((constructor)) static void
begin(void)
{
    const char *s = getenv("SHARDLINE_FAULT");
    char kind[16], how[16];
    unsigned long n;

    if (s == NULL || sscanf(s, "%15[a-z]:%15[^:]:%lu", kind, how, &n) != 3)
        return;
    fault_errno = strcmp(how, "short") == 0 ? 0 : atoi(how);
    fault_at = n;
    for (size_t i = 1; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(kind, names[i]) == 0)
            fault_kind = (enum kind)i;
}

__attribute__((destructor)) static void
end(void)
{
    const unsigned long n = atomic_load(&count);
    const char *path = getenv("SHARDLINE_FAULT_LOG");
    char text[64];
    int fd, len;

    if (path == NULL || fault_kind == KIND_NONE)
        return;
    fault_kind = KIND_NONE;
    fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    len = snprintf(text, sizeof(text), "%lu %d\n", n, fault_at > 0 && n >= fault_at);
    (void)!syscall(SYS_write, fd, text, len);
    (void)syscall(SYS_close, fd);
}

/* Whether this is the call; sets errno then. */
static int
fails(enum kind kind)
{
    if (kind != fault_kind || atomic_fetch_add(&count, 1) + 1 != fault_at)
        return 0;
    errno = fault_errno;
    return 1;
}

/* The same for len bytes of a regular file. A short one: *len gets smaller and the call is made. */
static int
fails_io(enum kind kind, int fd, size_t *len)
{
    const int saved = errno;
    struct stat st;

    if (kind != fault_kind || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || *len < 2) {
        errno = saved;
        return 0;
    }
    errno = saved;
    if (!fails(kind))
        return 0;
    if (fault_errno)
        return 1;
    *len /= 2;
    errno = saved;
    return 0;
}

ssize_t
read(int fd, void *buf, size_t len)
{
    return fails_io(KIND_READ, fd, &len) ? -1 : syscall(SYS_read, fd, buf, len);
}

ssize_t
pread64(int fd, void *buf, size_t len, off64_t off)
{
    return fails_io(KIND_READ, fd, &len) ? -1 : syscall(SYS_pread64, fd, buf, len, off);
}

ssize_t
pread(int fd, void *buf, size_t len, off_t off)
{
    return pread64(fd, buf, len, off);
}

ssize_t
write(int fd, const void *buf, size_t len)
{
    return fails_io(KIND_WRITE, fd, &len) ? -1 : syscall(SYS_write, fd, buf, len);
}

ssize_t
pwrite64(int fd, const void *buf, size_t len, off64_t off)
{
    return fails_io(KIND_WRITE, fd, &len) ? -1 : syscall(SYS_pwrite64, fd, buf, len, off);
}

ssize_t
pwrite(int fd, const void *buf, size_t len, off_t off)
{
    return pwrite64(fd, buf, len, off);
}

int
fsync(int fd)
{
    return fails(KIND_SYNC) ? -1 : (int)syscall(SYS_fsync, fd);
}

int
fdatasync(int fd)
{
    return fails(KIND_SYNC) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

/* What all ways of opening a file do. Where one is made, its mode stands behind flags. */
#define RETURN_OPEN(dirfd, path, flags)                                                            \
    do {                                                                                           \
        const int makes_ = (flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE;                \
        va_list rest_;                                                                             \
        int mode_;                                                                                 \
                                                                                                   \
        va_start(rest_, flags);                                                                    \
        mode_ = makes_ ? va_arg(rest_, int) : 0;                                                   \
        va_end(rest_);                                                                             \
        return fails(KIND_OPEN) ? -1 : (int)syscall(SYS_openat, dirfd, path, flags, mode_);        \
    } while (0)

int
open64(const char *path, int flags, ...)
{
    RETURN_OPEN(AT_FDCWD, path, flags);
}

int
open(const char *path, int flags, ...)
{
    RETURN_OPEN(AT_FDCWD, path, flags);
}

int
openat64(int dirfd, const char *path, int flags, ...)
{
    RETURN_OPEN(dirfd, path, flags);
}

int
openat(int dirfd, const char *path, int flags, ...)
{
    RETURN_OPEN(dirfd, path, flags);
}

int
linkat(int from, const char *path, int to, const char *name, int flags)
{
    return fails(KIND_PLACE) ? -1 : (int)syscall(SYS_linkat, from, path, to, name, flags);
}

int
rename(const char *path, const char *name)
{
    return fails(KIND_PLACE) ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, name, 0);
}

int
renameat(int from, const char *path, int to, const char *name)
{
    return fails(KIND_PLACE) ? -1 : (int)syscall(SYS_renameat2, from, path, to, name, 0);
}

struct dirent64 *
readdir64(DIR *dir)
{
    struct dirent64 *(*real)(DIR *);

    if (fails(KIND_LIST))
        return NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "readdir64");
    return real(dir);
}

struct dirent *
readdir(DIR *dir)
{
    struct dirent *(*real)(DIR *);

    if (fails(KIND_LIST))
        return NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "readdir");
    return real(dir);
}

void *
malloc(size_t n)
{
    return fails(KIND_ALLOC) ? NULL : __libc_malloc(n);
}

void *
calloc(size_t n, size_t size)
{
    return fails(KIND_ALLOC) ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *p, size_t n)
{
    return fails(KIND_ALLOC) ? NULL : __libc_realloc(p, n);
}

void *
aligned_alloc(size_t align, size_t n)
{
    return fails(KIND_ALLOC) ? NULL : __libc_memalign(align, n);
}

void *
mmap(void *at, size_t n, int prot, int flags, int fd, off_t off)
{
    if (flags & MAP_ANONYMOUS && fails(KIND_ALLOC))
        return MAP_FAILED;
    return (void *)syscall(SYS_mmap, at, n, prot, flags, fd, off);
}

int
posix_memalign(void **ret, size_t align, size_t n)
{
    void *p = fails(KIND_ALLOC) ? NULL : __libc_memalign(align, n);

    if (p == NULL)
        return ENOMEM;
    *ret = p;
    return 0;
}
