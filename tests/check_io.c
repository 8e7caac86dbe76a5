/* The read engine: both backends must pass every test, by loop index. */
#include "config.h"
#include "lib/io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/io_backend.h"
#include "tests/base_util.h"
#include "tests/random.h"
#include "tests/suite.h"

#define FILE_LEN ((size_t)3 * 1024 * 1024 + 1234)

static const enum base_io_backend backends[] = {BASE_IO_URING, BASE_IO_PREAD};
#define N_BACKENDS 2

static char *dir;
static unsigned char *content;
static int fd = -1;

static void
setup(void)
{
    char path[256];

    dir = base_test_mkdir();
    (void)snprintf(path, sizeof(path), "%s/data", dir);
    content = malloc(FILE_LEN);
    ck_assert_ptr_nonnull(content);
    base_test_fill(content, FILE_LEN, 1);
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, content, FILE_LEN), (ssize_t)FILE_LEN);
}

static void
teardown(void)
{
    (void)close(fd);
    free(content);
    base_test_rmdir(dir);
}

/* NULL where this machine has no io_uring: main() has said so. */
static struct base_io *
open_backend(int i, unsigned depth, unsigned n_threads)
{
    struct base_io_opts opts = {.backend = backends[i], .depth = depth, .n_threads = n_threads};
    struct base_io *io = NULL;
    struct shard_error err = {0};
    int r = base_io_open(&opts, &io, &err);

    if (r < 0 && backends[i] == BASE_IO_URING)
        return NULL;
    ck_assert_msg(r == 0, "%s", err.text);
    ck_assert_int_eq(base_io_backend(io), backends[i]);
    return io;
}

/* Reap until nothing is in flight. */
static void
reap_all(struct base_io *io)
{
    struct base_io_req *done[7];
    struct shard_error err = {0};

    while (base_io_in_flight(io) > 0) {
        int n = base_io_reap(io, done, 7, 10000, &err);

        ck_assert_msg(n > 0, "%d %s", n, err.text);
    }
}

static int64_t
read_one(struct base_io *io, int from, void *buf, size_t len, uint64_t off)
{
    struct base_io_req req = {.fd = from, .buf = buf, .len = len, .off = off}, *done;

    base_io_queue(io, &req);
    ck_assert_int_ge(base_io_submit(io, NULL), 0);
    ck_assert_int_eq(base_io_reap(io, &done, 1, 10000, NULL), 1);
    ck_assert_ptr_eq(done, &req);
    return req.result;
}

#define N_RANDOM 600

/* Many reads in batches of random size, reaped now and then, give what is in the file. */
static void
random_reads(struct base_io *io, uint64_t seed)
{
    struct base_io_req *reqs = calloc(N_RANDOM, sizeof(*reqs)), *done[16];
    uint64_t state = seed, seen = 0, bytes = 0;
    struct base_io_stats stats;

    for (int i = 0; i < N_RANDOM; i++) {
        size_t off = test_random(&state) % FILE_LEN;
        size_t len = test_random(&state) % 9000;

        reqs[i] = (struct base_io_req){.fd = fd, .buf = malloc(len + 1), .len = len, .off = off};
        base_io_queue(io, &reqs[i]);
        if (test_random(&state) % 20 == 0)
            ck_assert_int_ge(base_io_submit(io, NULL), 1);
        if (test_random(&state) % 30 == 0) {
            int n = base_io_reap(io, done, 16, 0, NULL);

            ck_assert_int_ge(n, 0);
            seen += (uint64_t)n;
        }
    }
    ck_assert_int_ge(base_io_submit(io, NULL), 0);
    ck_assert_uint_eq(base_io_in_flight(io), N_RANDOM - seen);
    reap_all(io);
    for (int i = 0; i < N_RANDOM; i++) {
        const size_t left = FILE_LEN - reqs[i].off;
        const size_t want = reqs[i].len < left ? reqs[i].len : left;

        ck_assert_msg(reqs[i].result == (int64_t)want, "seed %lu, read %d: %ld of %zu",
                      (unsigned long)seed, i, (long)reqs[i].result, want);
        ck_assert_msg(memcmp(reqs[i].buf, content + reqs[i].off, want) == 0, "seed %lu, read %d",
                      (unsigned long)seed, i);
        bytes += want;
        free(reqs[i].buf);
    }
    base_io_get_stats(io, &stats);
    ck_assert_uint_eq(stats.reads, N_RANDOM);
    ck_assert_uint_eq(stats.bytes, bytes);
    free(reqs);
}

START_TEST(test_random_reads_equal_the_file)
{
    static const unsigned depths[] = {1, 3, 64};

    for (unsigned d = 0; d < 3; d++) {
        struct base_io *io = open_backend(_i, depths[d], 3);

        if (io == NULL)
            return;
        random_reads(io, 100 + d);
        base_io_close(io);
    }
}
END_TEST

/* One request into many buffers gives what as many requests would, and touches nothing else. */
START_TEST(test_vectors_scatter_what_one_read_gives)
{
    struct base_io *io = open_backend(_i, 4, 2);
    unsigned char *buf = malloc(400000), *want = malloc(400000);
    struct iovec iov[BASE_IO_IOV_MAX];
    struct base_io_req req, *done;
    uint64_t state = 77;

    for (int round = 0; io && round < 200; round++) {
        const unsigned n = 1 + (unsigned)(test_random(&state) % BASE_IO_IOV_MAX);
        const size_t off = round % 5 ? test_random(&state) % FILE_LEN : FILE_LEN - 5000;
        size_t at = 0, len = 0;

        memset(buf, 0xee, 400000);
        memset(want, 0xee, 400000);
        for (unsigned k = 0; k < n; k++, at += 64) { /* 64 bytes between them */
            const size_t one = 1 + test_random(&state) % 1400, left = FILE_LEN - off;

            iov[k] = (struct iovec){.iov_base = buf + at, .iov_len = one};
            if (len < left)
                memcpy(want + at, content + off + len, one < left - len ? one : left - len);
            at += one;
            len += one;
        }
        req = (struct base_io_req){.fd = fd, .iov = iov, .n_iov = n, .len = len, .off = off};
        base_io_queue(io, &req);
        ck_assert_int_eq(base_io_submit(io, NULL), 1);
        ck_assert_int_eq(base_io_reap(io, &done, 1, 10000, NULL), 1);
        ck_assert_int_eq(req.result, (int64_t)(len < FILE_LEN - off ? len : FILE_LEN - off));
        ck_assert_msg(memcmp(buf, want, 400000) == 0, "round %d", round);
    }
    if (io) {
        req = (struct base_io_req){.fd = fd, .iov = iov, .n_iov = BASE_IO_IOV_MAX + 1, .len = 1};
        base_io_queue(io, &req);
        ck_assert_int_eq(base_io_reap(io, &done, 1, 10000, NULL), 1);
        ck_assert_int_eq(req.result, -EINVAL);
    }
    base_io_close(io);
    free(want);
    free(buf);
}
END_TEST

START_TEST(test_end_of_file_and_errors)
{
    struct base_io *io = open_backend(_i, 0, 0);
    char buf[4096];
    int dir_fd;

    if (io == NULL)
        return;
    ck_assert_int_eq(read_one(io, fd, buf, 100, FILE_LEN - 60), 60);
    ck_assert_mem_eq(buf, content + FILE_LEN - 60, 60);
    ck_assert_int_eq(read_one(io, fd, buf, 100, FILE_LEN), 0);
    ck_assert_int_eq(read_one(io, fd, buf, 100, FILE_LEN + 5000), 0);
    ck_assert_int_eq(read_one(io, fd, buf, 0, 10), 0);
    ck_assert_int_eq(read_one(io, -1, buf, 100, 0), -EBADF);
    ck_assert_int_eq(read_one(io, fd, buf, 100, UINT64_MAX), -EINVAL);
    ck_assert_int_eq(read_one(io, fd, buf, 100, INT64_MAX - 50), -EINVAL);
    dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
    ck_assert_int_eq(read_one(io, dir_fd, buf, 100, 0), -EISDIR);
    (void)close(dir_fd);
    /* and it still works */
    ck_assert_int_eq(read_one(io, fd, buf, sizeof(buf), 77), sizeof(buf));
    ck_assert_mem_eq(buf, content + 77, sizeof(buf));
    base_io_close(io);
}
END_TEST

START_TEST(test_one_submit_is_one_batch)
{
    struct base_io *io = open_backend(_i, 64, 4);
    struct base_io_req reqs[64];
    char buf[64][16];
    struct base_io_stats stats;

    if (io == NULL)
        return;
    for (unsigned i = 0; i < 64; i++) {
        reqs[i] = (struct base_io_req){.fd = fd, .buf = buf[i], .len = 16, .off = i * 1000};
        base_io_queue(io, &reqs[i]);
    }
    ck_assert_uint_eq(base_io_in_flight(io), 64);
    ck_assert_int_eq(base_io_submit(io, NULL), 64);
    ck_assert_int_eq(base_io_submit(io, NULL), 0);
    reap_all(io);
    base_io_get_stats(io, &stats);
    ck_assert_uint_eq(stats.reads, 64);
    ck_assert_uint_eq(stats.submits, 1);
    ck_assert_uint_eq(stats.bytes, 64 * 16);
    base_io_close(io);
}
END_TEST

START_TEST(test_queue_alone_starts_nothing)
{
    struct base_io *io = open_backend(_i, 4, 2);
    char buf[16] = "untouched";
    struct base_io_req req = {.fd = fd, .buf = buf, .len = 9, .off = 0}, *done;

    if (io == NULL)
        return;
    base_io_queue(io, &req);
    ck_assert_int_eq(base_io_reap(io, &done, 1, 20, NULL), 0);
    ck_assert_str_eq(buf, "untouched");
    base_io_close(io);
    ck_assert_str_eq(buf, "untouched");
}
END_TEST

static void *
wake_later(void *arg)
{
    (void)usleep(30000);
    base_io_wake(arg);
    return NULL;
}

START_TEST(test_wake_and_timeout)
{
    struct base_io *io = open_backend(_i, 4, 2);
    struct base_io_req *done;
    struct base_io_stats stats;
    uint64_t t0, cpu0;
    pthread_t thread;

    if (io == NULL)
        return;
    t0 = base_now_ns();
    cpu0 = base_cpu_ns();
    ck_assert_int_eq(base_io_reap(io, &done, 1, 0, NULL), 0);
    ck_assert_int_eq(base_io_reap(io, &done, 1, 50, NULL), 0);
    ck_assert_uint_ge(base_now_ns() - t0, 49000000u);
    ck_assert_uint_lt(base_cpu_ns() - cpu0, 40000000u); /* waiting is not spinning */

    base_io_wake(io);
    ck_assert_int_eq(base_io_reap(io, &done, 1, -1, NULL), 0); /* the next one */
    t0 = base_now_ns();
    ck_assert_int_eq(base_io_reap(io, &done, 1, 20, NULL), 0); /* once only */
    ck_assert_uint_ge(base_now_ns() - t0, 19000000u);

    ck_assert_int_eq(pthread_create(&thread, NULL, wake_later, io), 0);
    ck_assert_int_eq(base_io_reap(io, &done, 1, -1, NULL), 0); /* a blocked one */
    (void)pthread_join(thread, NULL);
    base_io_get_stats(io, &stats);
    ck_assert_uint_ge(stats.wait_ns, 60000000u);
    base_io_close(io);
}
END_TEST

/* The file once more, past the page cache where that can be, so that reads take time and the
 * device writes into the buffers itself. */
static int
open_slow(void)
{
    char path[256];
    int slow;

    (void)fsync(fd);
    (void)snprintf(path, sizeof(path), "%s/data", dir);
    slow = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
    return slow >= 0 ? slow : open(path, O_RDONLY | O_CLOEXEC);
}

/* After close nothing writes into the buffers any more. */
START_TEST(test_close_with_reads_in_flight)
{
    enum { N = 100, LEN = 256 * 1024 };
    const int slow = open_slow();

    for (int round = 0; round < 5; round++) {
        struct base_io *io = open_backend(_i, 16, 3);
        struct base_io_req *reqs;
        unsigned char *buf;
        size_t n_written = 0;

        if (io == NULL)
            break;
        reqs = calloc(N, sizeof(*reqs));
        buf = aligned_alloc(4096, (size_t)N * LEN);
        for (unsigned i = 0; i < N; i++) {
            reqs[i] = (struct base_io_req){
                .fd = slow, .buf = buf + (size_t)i * LEN, .len = LEN, .off = i % 10 * LEN};
            base_io_queue(io, &reqs[i]);
        }
        ck_assert_int_eq(base_io_submit(io, NULL), N);
        base_io_close(io);
        memset(buf, 0xEE, (size_t)N * LEN);
        (void)usleep(20000);
        for (size_t i = 0; i < (size_t)N * LEN; i++)
            n_written += buf[i] != 0xEE;
        ck_assert_uint_eq(n_written, 0);
        free(buf);
        free(reqs);
    }
    (void)close(slow);
}
END_TEST

/* The odd tail of a file comes the same way through O_DIRECT. */
START_TEST(test_direct_reads_the_odd_tail)
{
    struct base_io *io = open_backend(_i, 4, 2);
    const size_t off = FILE_LEN / 4096 * 4096 - 4096;
    void *buf;
    int direct;

    if (io == NULL)
        return;
    direct = open_slow();
    if ((fcntl(direct, F_GETFL) & O_DIRECT) == 0)
        (void)printf("SKIP: O_DIRECT is not supported in %s\n", dir);
    buf = aligned_alloc(4096, 16384);
    ck_assert_int_eq(read_one(io, direct, buf, 16384, off), (int64_t)(FILE_LEN - off));
    ck_assert_mem_eq(buf, content + off, FILE_LEN - off);
    free(buf);
    (void)close(direct);
    base_io_close(io);
}
END_TEST

START_TEST(test_step_continues_and_retries)
{
    struct base_io_req req = {.len = 5000};

    ck_assert(!base_io_step(&req, 1000)); /* short: goes on */
    ck_assert_uint_eq(req.done, 1000);
    ck_assert(!base_io_step(&req, -EINTR));
    ck_assert(!base_io_step(&req, -EAGAIN));
    ck_assert(!base_io_step(&req, 3096));
    ck_assert(base_io_step(&req, 904));
    ck_assert_int_eq(req.result, 5000);

    {
        char buf[3][100];
        struct iovec iov[3] = {{buf[0], 100}, {buf[1], 100}, {buf[2], 100}};

        req = (struct base_io_req){.len = 300, .iov = iov, .n_iov = 3};
        ck_assert(!base_io_step(&req, 130)); /* on in the middle of the second */
        ck_assert_uint_eq(req.n_iov, 2);
        ck_assert_ptr_eq(req.iov->iov_base, buf[1] + 30);
        ck_assert_uint_eq(req.iov->iov_len, 70);
        ck_assert(!base_io_step(&req, 70)); /* on at the start of the third */
        ck_assert_uint_eq(req.n_iov, 1);
        ck_assert_ptr_eq(req.iov->iov_base, buf[2]);
        ck_assert(base_io_step(&req, 100));
        ck_assert_int_eq(req.result, 300);
    }

    req = (struct base_io_req){.len = 5000, .done = 4096};
    ck_assert(base_io_step(&req, 0)); /* the end of the file */
    ck_assert_int_eq(req.result, 4096);

    req = (struct base_io_req){.len = 5000, .done = 100};
    ck_assert(base_io_step(&req, -EINVAL)); /* O_DIRECT after the odd tail */
    ck_assert_int_eq(req.result, 100);

    req = (struct base_io_req){.len = 5000, .done = 1024};
    ck_assert(base_io_step(&req, -EINVAL)); /* a real one */
    ck_assert_int_eq(req.result, -EINVAL);

    req = (struct base_io_req){.len = 5000, .done = 100};
    ck_assert(base_io_step(&req, -EIO));
    ck_assert_int_eq(req.result, -EIO);
}
END_TEST

START_TEST(test_step_gives_up_on_endless_eagain)
{
    struct base_io_req req = {.len = 10};
    int n = 0;

    while (!base_io_step(&req, -EAGAIN))
        ck_assert_int_lt(n++, 1000);
    ck_assert_int_eq(req.result, -EAGAIN);
}
END_TEST

START_TEST(test_nonsense_options_are_refused)
{
    struct base_io_opts many = {.backend = BASE_IO_PREAD, .depth = 1u << 20};
    struct base_io_opts threads = {.backend = BASE_IO_PREAD, .n_threads = 1u << 20};
    struct base_io_opts odd = {.backend = (enum base_io_backend)9};
    struct base_io *io = NULL;
    struct base_io_req *done;

    ck_assert_int_eq(base_io_open(&many, &io, NULL), -EINVAL);
    ck_assert_int_eq(base_io_open(&threads, &io, NULL), -EINVAL);
    ck_assert_int_eq(base_io_open(&odd, &io, NULL), -EINVAL);
    ck_assert_ptr_null(io);
    base_io_close(NULL);
    ck_assert_int_eq(base_io_open(NULL, &io, NULL), 0);
    ck_assert_int_eq(base_io_reap(io, &done, 0, 0, NULL), -EINVAL);
    base_io_close(io);
}
END_TEST

/* Let a system call fail in this process from now on, as container runtimes do. */
static void
forbid(unsigned call, unsigned error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {.len = 4, .filter = code};

    ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog), 0);
}

/* Without a process per test a filter would stay for the tests after it. */
static bool
can_forbid(void)
{
    const char *fork_mode = getenv("CK_FORK");

    return fork_mode == NULL || strcmp(fork_mode, "no") != 0;
}

/* The kernel lacks memory for requests: that is waited for without spinning, and close returns. */
START_TEST(test_waits_where_the_kernel_takes_no_requests)
{
    struct base_io *io = open_backend(0, 4, 0);
    struct base_io_req reqs[9], *done;
    char buf[9][64];
    uint64_t cpu0;

    if (io == NULL || !can_forbid())
        return;
    forbid(SYS_io_uring_enter, EAGAIN);
    for (unsigned i = 0; i < 9; i++) {
        reqs[i] = (struct base_io_req){.fd = fd, .buf = buf[i], .len = 64};
        base_io_queue(io, &reqs[i]);
    }
    cpu0 = base_cpu_ns();
    ck_assert_int_eq(base_io_submit(io, NULL), 9);
    ck_assert_int_eq(base_io_reap(io, &done, 1, 200, NULL), 0);
    ck_assert_uint_lt(base_cpu_ns() - cpu0, 100000000u);
    ck_assert_uint_eq(base_io_in_flight(io), 9);
    base_io_close(io);
}
END_TEST

START_TEST(test_says_when_the_kernel_refuses_requests)
{
    struct base_io *io = open_backend(0, 4, 0);
    char buf[64];
    struct base_io_req req = {.fd = fd, .buf = buf, .len = 64}, *done;
    struct shard_error err = {0};

    if (io == NULL || !can_forbid())
        return;
    forbid(SYS_io_uring_enter, EACCES);
    base_io_queue(io, &req);
    ck_assert_int_eq(base_io_submit(io, &err), -EACCES);
    ck_assert_str_eq(err.text, "io_uring_enter: Permission denied");
    ck_assert_int_eq(base_io_reap(io, &done, 1, -1, &err), -EACCES);
    base_io_close(io);
}
END_TEST

START_TEST(test_falls_back_where_io_uring_is_forbidden)
{
    struct base_io_opts uring = {.backend = BASE_IO_URING};
    struct shard_error err = {0};
    struct base_io *io = NULL;

    if (!can_forbid())
        return;
    forbid(SYS_io_uring_setup, EPERM);
    ck_assert_int_eq(base_io_open(&uring, &io, &err), -EPERM);
    ck_assert_ptr_null(io);
    ck_assert_msg(strstr(err.text, "--io pread") != NULL, "%s", err.text);
    ck_assert_int_eq(base_io_open(NULL, &io, &err), 0);
    ck_assert_int_eq(base_io_backend(io), BASE_IO_PREAD);
    random_reads(io, 7);
    base_io_close(io);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("io");
    TCase *both = tcase_create("both backends"), *one = tcase_create("engine");
    struct base_io_opts uring = {.backend = BASE_IO_URING};
    struct base_io *io = NULL;
    struct shard_error err = {0};

    if (base_io_open(&uring, &io, &err) < 0)
        (void)printf("SKIP: the io_uring half of check_io: %s\n", err.text);
    base_io_close(io);

    tcase_add_checked_fixture(both, setup, teardown);
    tcase_set_timeout(both, 60);
    tcase_add_loop_test(both, test_random_reads_equal_the_file, 0, N_BACKENDS);
    tcase_add_loop_test(both, test_vectors_scatter_what_one_read_gives, 0, N_BACKENDS);
    tcase_add_loop_test(both, test_end_of_file_and_errors, 0, N_BACKENDS);
    tcase_add_loop_test(both, test_one_submit_is_one_batch, 0, N_BACKENDS);
    tcase_add_loop_test(both, test_queue_alone_starts_nothing, 0, N_BACKENDS);
    tcase_add_loop_test(both, test_wake_and_timeout, 0, N_BACKENDS);
    tcase_add_loop_test(both, test_close_with_reads_in_flight, 0, N_BACKENDS);
    tcase_add_loop_test(both, test_direct_reads_the_odd_tail, 0, N_BACKENDS);
    suite_add_tcase(suite, both);
    tcase_add_checked_fixture(one, setup, teardown);
    tcase_add_test(one, test_step_continues_and_retries);
    tcase_add_test(one, test_step_gives_up_on_endless_eagain);
    tcase_add_test(one, test_nonsense_options_are_refused);
    tcase_add_test(one, test_falls_back_where_io_uring_is_forbidden);
    tcase_add_test(one, test_waits_where_the_kernel_takes_no_requests);
    tcase_add_test(one, test_says_when_the_kernel_refuses_requests);
    suite_add_tcase(suite, one);
    return test_run(suite);
}
