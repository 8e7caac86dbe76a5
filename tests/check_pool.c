/* The bounded queue and the pool of threads. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/compiler.h"
#include "lib/fs.h"
#include "lib/pool.h"
#include "lib/queue.h"
#include "tests/base_util.h"
#include "tests/suite.h"

/* -------------------------------------------------------------------------------------- queue */

START_TEST(test_queue_is_fifo_and_bounded)
{
    struct base_queue q;
    int items[6];
    void *item = NULL;
    uint64_t t0;

    ck_assert_int_eq(base_queue_init(&q, 3), 0);
    for (int round = 0; round < 5; round++) { /* the ring wraps */
        for (int i = 0; i < 3; i++)
            ck_assert_int_eq(base_queue_push(&q, &items[i]), 0);
        for (int i = 0; i < 3; i++) {
            ck_assert_int_eq(base_queue_pop(&q, &item, i - 1), 1);
            ck_assert_ptr_eq(item, &items[i]);
        }
        ck_assert_int_eq(base_queue_push(&q, &items[5]), 0);
        ck_assert_int_eq(base_queue_pop(&q, &item, -1), 1);
        ck_assert_ptr_eq(item, &items[5]);
    }
    ck_assert_int_eq(base_queue_pop(&q, &item, 0), -ETIMEDOUT);
    t0 = base_now_ns();
    ck_assert_int_eq(base_queue_pop(&q, &item, 30), -ETIMEDOUT);
    ck_assert_uint_ge(base_now_ns() - t0, 29000000u);
    ck_assert_int_eq(base_queue_push(&q, &items[4]), 0);
    base_queue_close(&q);
    ck_assert_int_eq(base_queue_push(&q, &items[0]), -ECANCELED);
    ck_assert_int_eq(base_queue_pop(&q, &item, -1), 1); /* what was inside still comes */
    ck_assert_ptr_eq(item, &items[4]);
    ck_assert_int_eq(base_queue_pop(&q, &item, -1), 0);
    base_queue_done(&q);
    ck_assert_int_eq(base_queue_init(&q, SIZE_MAX / 4), -ENOMEM);
}
END_TEST

enum { PER_THREAD = 20000 };

struct exchange {
    struct base_queue q;
    _Atomic uint64_t sum; /* relaxed: read after the threads were joined */
    unsigned *cells;
};

static void *
producer(void *arg)
{
    struct exchange *x = arg;

    for (int i = 0; i < PER_THREAD; i++)
        if (base_queue_push(&x->q, &x->cells[i]) < 0)
            return x;
    return NULL;
}

static void *
consumer(void *arg)
{
    struct exchange *x = arg;
    void *item;

    while (base_queue_pop(&x->q, &item, -1) == 1)
        atomic_fetch_add_explicit(&x->sum, *(const unsigned *)item, memory_order_relaxed);
    return NULL;
}

START_TEST(test_queue_loses_nothing_between_threads)
{
    struct exchange x = {.cells = malloc(PER_THREAD * sizeof(unsigned))};
    pthread_t from[3], to[3];
    void *bad;

    for (unsigned i = 0; i < PER_THREAD; i++)
        x.cells[i] = i;
    ck_assert_int_eq(base_queue_init(&x.q, 7), 0);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(pthread_create(&from[i], NULL, producer, &x), 0);
        ck_assert_int_eq(pthread_create(&to[i], NULL, consumer, &x), 0);
    }
    for (int i = 0; i < 3; i++) {
        (void)pthread_join(from[i], &bad);
        ck_assert_ptr_null(bad);
    }
    base_queue_close(&x.q);
    for (int i = 0; i < 3; i++)
        (void)pthread_join(to[i], NULL);
    /* three times 0 + 1 + ... + n - 1 */
    ck_assert_uint_eq(x.sum, (uint64_t)3 * PER_THREAD * (PER_THREAD - 1) / 2);
    base_queue_done(&x.q);
    free(x.cells);
}
END_TEST

static void *
close_later(void *arg)
{
    (void)usleep(20000);
    base_queue_close(arg);
    return NULL;
}

START_TEST(test_queue_close_wakes_both_sides)
{
    struct base_queue q;
    pthread_t thread;
    void *item;

    ck_assert_int_eq(base_queue_init(&q, 1), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, close_later, &q), 0);
    ck_assert_int_eq(base_queue_pop(&q, &item, -1), 0);
    (void)pthread_join(thread, NULL);
    base_queue_done(&q);

    ck_assert_int_eq(base_queue_init(&q, 1), 0);
    ck_assert_int_eq(base_queue_push(&q, &q), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, close_later, &q), 0);
    ck_assert_int_eq(base_queue_push(&q, &q), -ECANCELED);
    (void)pthread_join(thread, NULL);
    base_queue_done(&q);
}
END_TEST

/* --------------------------------------------------------------------------------------- pool */

struct job {
    struct base_task task;
    struct base_pool *pool;
    _Atomic unsigned *count; /* relaxed: read after drain */
    unsigned again;          /* times to submit itself */
    sem_t *gate;             /* wait for it first, or NULL */
    int id, *order, *n_order;
    bool odd;                /* what it saw of its worker was wrong */
};

static void
job_run(struct base_task *task, struct base_worker *worker)
{
    struct job *job = BASE_CONTAINER_OF(task, struct job, task);
    sigset_t blocked;

    if (job->gate != NULL)
        (void)sem_wait(job->gate);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    if (worker->codec == NULL || worker->id >= base_pool_threads(job->pool) ||
        !sigismember(&blocked, SIGINT) || !sigismember(&blocked, SIGTERM))
        job->odd = true;
    if (job->order != NULL) /* one thread only */
        job->order[(*job->n_order)++] = job->id;
    atomic_fetch_add_explicit(job->count, 1, memory_order_relaxed);
    if (job->again > 0) {
        job->again--;
        base_pool_submit(job->pool, &job->task);
    }
}

enum { N_JOBS = 2000, AGAIN = 3 };

START_TEST(test_pool_runs_everything)
{
    struct base_pool *pool = NULL;
    struct job *jobs = calloc(N_JOBS, sizeof(*jobs));
    _Atomic unsigned count = 0;

    ck_assert_int_eq(base_pool_open((unsigned)_i, "check-pool-with-a-long-name", &pool, NULL), 0);
    ck_assert_uint_eq(base_pool_threads(pool), (unsigned)_i);
    base_pool_drain(pool); /* nothing there */
    for (int i = 0; i < N_JOBS; i++) {
        jobs[i] = (struct job){.task = {.run = job_run, .priority = (unsigned)i % 11},
                               .pool = pool,
                               .count = &count,
                               .again = AGAIN};
        base_pool_submit(pool, &jobs[i].task);
    }
    base_pool_drain(pool);
    ck_assert_uint_eq(count, N_JOBS * (AGAIN + 1));
    for (int i = 0; i < N_JOBS; i++)
        ck_assert(!jobs[i].odd);
    ck_assert_uint_gt(base_pool_cpu_ns(pool), 0);
    /* close drains, too */
    for (int i = 0; i < N_JOBS; i++)
        base_pool_submit(pool, &jobs[i].task);
    base_pool_close(pool);
    ck_assert_uint_eq(count, N_JOBS * (AGAIN + 2));
    free(jobs);
}
END_TEST

START_TEST(test_pool_respects_priority_then_order)
{
    enum { N = 40 };
    struct base_pool *pool = NULL;
    struct job jobs[N + 1] = {0};
    _Atomic unsigned count = 0;
    int order[N + 1], n_order = 0;
    sem_t gate;

    ck_assert_int_eq(sem_init(&gate, 0, 0), 0);
    ck_assert_int_eq(base_pool_open(1, "check", &pool, NULL), 0);
    for (int i = 0; i <= N; i++)
        jobs[i] = (struct job){.task = {.run = job_run, .priority = (unsigned)(i * 7 % 4)},
                               .pool = pool,
                               .count = &count,
                               .id = i,
                               .order = order,
                               .n_order = &n_order};
    jobs[N].gate = &gate; /* the thread stands at this one while the others queue up */
    base_pool_submit(pool, &jobs[N].task);
    for (int i = 0; i < N; i++)
        base_pool_submit(pool, &jobs[i].task);
    ck_assert_int_eq(sem_post(&gate), 0);
    base_pool_drain(pool);
    ck_assert_int_eq(n_order, N + 1);
    /* order[0] is N, unless the thread saw more than one task before it took the first */
    for (int i = 2; i <= N; i++) {
        const struct job *a = &jobs[order[i - 1]], *b = &jobs[order[i]];

        if (a->id == N || b->id == N)
            continue;
        ck_assert_uint_ge(a->task.priority, b->task.priority);
        if (a->task.priority == b->task.priority)
            ck_assert_int_lt(a->id, b->id);
    }
    base_pool_close(pool);
    (void)sem_destroy(&gate);
}
END_TEST

struct meeting {
    struct base_task task;
    pthread_barrier_t *all;
    bool over; /* read after drain */
};

static void
meet_run(struct base_task *task, struct base_worker *worker BASE_UNUSED)
{
    struct meeting *meeting = BASE_CONTAINER_OF(task, struct meeting, task);

    (void)pthread_barrier_wait(meeting->all);
    (void)usleep(40000);
    meeting->over = true;
}

/* Four tasks that wait for each other and for us end only where four run at once. */
START_TEST(test_pool_runs_in_parallel_and_waits_without_spinning)
{
    struct base_pool *pool = NULL;
    struct meeting meetings[4] = {0};
    pthread_barrier_t all;
    uint64_t cpu0;

    ck_assert_int_eq(pthread_barrier_init(&all, NULL, 5), 0);
    ck_assert_int_eq(base_pool_open(4, "check", &pool, NULL), 0);
    cpu0 = base_cpu_ns();
    for (int i = 0; i < 4; i++) {
        meetings[i] = (struct meeting){.task = {.run = meet_run}, .all = &all};
        base_pool_submit(pool, &meetings[i].task);
    }
    (void)pthread_barrier_wait(&all); /* nothing is queued any more, but all are running */
    base_pool_drain(pool);
    for (int i = 0; i < 4; i++)
        ck_assert(meetings[i].over);
    ck_assert_uint_lt(base_cpu_ns() - cpu0, 35000000u);
    base_pool_close(pool);
    (void)pthread_barrier_destroy(&all);
}
END_TEST

START_TEST(test_pool_size)
{
    struct base_pool *pool = NULL;
    cpu_set_t one, all;

    base_pool_close(NULL);
    ck_assert_int_eq(base_pool_open(1u << 20, "check", &pool, NULL), -EINVAL);
    ck_assert_ptr_null(pool);
    ck_assert_uint_ge(base_cpu_count(), 1);
    ck_assert_int_eq(base_pool_open(0, "check", &pool, NULL), 0);
    ck_assert_uint_eq(base_pool_threads(pool), base_cpu_count());
    base_pool_close(pool);

    ck_assert_int_eq(sched_getaffinity(0, sizeof(all), &all), 0);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &all)) {
            CPU_SET(i, &one);
            break;
        }
    ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
    ck_assert_uint_eq(base_cpu_count(), 1);
    ck_assert_int_eq(sched_setaffinity(0, sizeof(all), &all), 0);
}
END_TEST

/* What cgroup v2 looks like below its root, made of plain files. */
START_TEST(test_cpu_quota_is_the_lowest_around)
{
    char *root = base_test_mkdir();
    const int fd = open(root, O_RDONLY | O_DIRECTORY);

    ck_assert_int_eq(mkdirat(fd, "a", 0700), 0);
    ck_assert_int_eq(mkdirat(fd, "a/b", 0700), 0);
    ck_assert_uint_eq(base_cpu_quota(root, "0::/a/b\n"), UINT32_MAX);
    ck_assert_int_eq(base_replace_file(fd, "a/b/cpu.max", "max 100000\n", 11, NULL), 0);
    ck_assert_uint_eq(base_cpu_quota(root, "0::/a/b\n"), UINT32_MAX);
    ck_assert_int_eq(base_replace_file(fd, "a/b/cpu.max", "250000 100000\n", 14, NULL), 0);
    ck_assert_uint_eq(base_cpu_quota(root, "0::/a/b\n"), 3);
    ck_assert_int_eq(base_replace_file(fd, "cpu.max", "150000 100000\n", 14, NULL), 0);
    ck_assert_uint_eq(base_cpu_quota(root, "0::/a/b\n"), 2);
    ck_assert_int_eq(base_replace_file(fd, "a/cpu.max", "1000 100000\n", 12, NULL), 0);
    ck_assert_uint_eq(base_cpu_quota(root, "9:name=systemd:/\n0::/a/b\n"), 1);
    ck_assert_uint_eq(base_cpu_quota(root, "0::/\n"), 2);
    ck_assert_uint_eq(base_cpu_quota(root, "9:name=0::/a\n1:cpu:/\n"), UINT32_MAX);
    ck_assert_int_eq(base_replace_file(fd, "a/b/cpu.max", "5 0\n", 4, NULL), 0);
    ck_assert_int_eq(base_replace_file(fd, "a/cpu.max", "junk\n", 5, NULL), 0);
    ck_assert_uint_eq(base_cpu_quota(root, "0::/a/b"), 2);

    ck_assert_int_eq(unlinkat(fd, "a/b/cpu.max", 0), 0);
    ck_assert_int_eq(unlinkat(fd, "a/b", AT_REMOVEDIR), 0);
    ck_assert_int_eq(unlinkat(fd, "a/cpu.max", 0), 0);
    (void)close(fd);
    base_test_rmdir(root);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("pool");
    TCase *queue = tcase_create("queue"), *pool = tcase_create("pool");

    tcase_set_timeout(queue, 30);
    tcase_add_test(queue, test_queue_is_fifo_and_bounded);
    tcase_add_test(queue, test_queue_loses_nothing_between_threads);
    tcase_add_test(queue, test_queue_close_wakes_both_sides);
    suite_add_tcase(suite, queue);
    tcase_set_timeout(pool, 30);
    tcase_add_loop_test(pool, test_pool_runs_everything, 1, 6);
    tcase_add_test(pool, test_pool_respects_priority_then_order);
    tcase_add_test(pool, test_pool_runs_in_parallel_and_waits_without_spinning);
    tcase_add_test(pool, test_pool_size);
    tcase_add_test(pool, test_cpu_quota_is_the_lowest_around);
    suite_add_tcase(suite, pool);
    return test_run(suite);
}
