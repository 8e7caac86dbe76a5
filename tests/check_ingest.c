/* The ingest pipeline's parts, and the whole of it as a library: what the command line cannot reach. */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/compiler.h"
#include "shardfmt/snapshot.h"
#include "tools/ingest/crew.h"
#include "tools/ingest/dedup.h"
#include "tools/ingest/ingest.h"
#include "tools/ingest/splitter.h"
#include "tools/ingest/target.h"
#include "tests/suite.h"

static char tmp[200];

static void
setup(void)
{
    const char *dir = getenv("TMPDIR");

    snprintf(tmp, sizeof(tmp), "%s/check_ingest.XXXXXX", dir ? dir : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(tmp));
}

static void
teardown(void)
{
    char cmd[256];

    snprintf(cmd, sizeof(cmd), "rm -rf '%s'", tmp);
    ck_assert_int_eq(system(cmd), 0);
}

static const char *
path_of(const char *name)
{
    static char paths[4][256];
    static unsigned at;
    char *p = paths[at++ % 4];

    snprintf(p, 256, "%s/%s", tmp, name);
    return p;
}

static uint64_t
next_random(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    return base_hash64(state, sizeof(*state), 0);
}

/* ------------------------------------------------------------------------------------ dedup */

START_TEST(test_dedup_is_a_set)
{
    const uint64_t seed = 100 + (uint64_t)_i;
    const uint32_t n = 20000;
    uint8_t *seen = calloc(n, 1);
    struct base_budget budget;
    struct ingest_dedup d;
    uint64_t state = seed, distinct = 0;

    base_budget_init(&budget, 1u << 30);
    ingest_dedup_init(&d, &budget);
    for (uint32_t i = 0; i < 3 * n; i++) {
        const uint32_t id = (uint32_t)(next_random(&state) % n);
        struct base_hash128 key = base_hash128(&id, sizeof(id), seed);

        if (id == 0)
            key = (struct base_hash128){0, 0}; /* the mark of a free slot */
        ingest_dedup_prefetch(&d, key);
        ck_assert_msg(ingest_dedup_add(&d, key) == !seen[id], "seed %" PRIu64 ", key %u", seed, id);
        distinct += !seen[id];
        seen[id] = 1;
    }
    ck_assert_uint_eq(d.count, distinct);
    ck_assert_uint_eq(base_budget_used(&budget), d.memory);
    ingest_dedup_done(&d);
    ck_assert_uint_eq(base_budget_used(&budget), 0);
    free(seen);
}
END_TEST

START_TEST(test_dedup_stays_in_its_budget)
{
    struct base_budget budget;
    struct ingest_dedup d;
    uint64_t i, state = 1;
    int r = 1;

    base_budget_init(&budget, 8u << 20);
    ingest_dedup_init(&d, &budget);
    for (i = 0; r == 1; i++) {
        const uint64_t v = next_random(&state);

        r = ingest_dedup_add(&d, base_hash128(&v, sizeof(v), 0));
    }
    ck_assert_int_eq(r, SHARD_EBUDGET);
    ck_assert_uint_le(budget.peak, budget.limit);
    /* 16 bytes at 64 to 80% full, and one table in two copies. */
    ck_assert_msg(d.memory / d.count <= 26, "%" PRIu64 " bytes per key", d.memory / d.count);
    ck_assert_uint_ge(i, (8u << 20) / 27);
    /* What is in it is still known. */
    state = 1;
    for (uint64_t k = 0; k < 1000; k++) {
        const uint64_t v = next_random(&state);

        ck_assert_int_eq(ingest_dedup_add(&d, base_hash128(&v, sizeof(v), 0)), 0);
    }
    ingest_dedup_done(&d);
}
END_TEST

/* --------------------------------------------------------------------------------- splitter */

START_TEST(test_splitter_keeps_the_shares)
{
    char names[3][8] = {"a", "b", "c"};
    const struct ingest_split splits[] = {{names[0], 0.7}, {names[1], 0}, {names[2], 0.3}};
    struct ingest_splitter s;
    uint64_t state = 5, n[3] = {0};

    ck_assert_int_eq(ingest_splitter_init(&s, splits, 3), 0);
    for (int i = 0; i < 100000; i++) {
        const struct base_hash128 key = {next_random(&state), next_random(&state)};
        const size_t pick = ingest_splitter_pick(&s, key);

        ck_assert_uint_lt(pick, 3);
        ck_assert_uint_eq(pick, ingest_splitter_pick(&s, key));
        n[pick]++;
    }
    ck_assert_uint_eq(n[1], 0);
    ck_assert_msg(n[0] > 69000 && n[0] < 71000, "%" PRIu64, n[0]);
    ck_assert_uint_eq(ingest_splitter_pick(&s, (struct base_hash128){0, 0}), 0);
    ck_assert_uint_eq(ingest_splitter_pick(&s, (struct base_hash128){0, UINT64_MAX}), 2);
    ingest_splitter_done(&s);
    ck_assert_int_eq(ingest_splitter_init(&s, NULL, 0), 0);
    ck_assert_uint_eq(ingest_splitter_pick(&s, (struct base_hash128){0, UINT64_MAX}), 0);
    ingest_splitter_done(&s);
}
END_TEST

START_TEST(test_splitter_a_last_share_of_zero_gets_nothing)
{
    char names[2][8] = {"a", "b"};
    const struct ingest_split splits[] = {{names[0], 1}, {names[1], 0}};
    struct ingest_splitter s;

    ck_assert_int_eq(ingest_splitter_init(&s, splits, 2), 0);
    ck_assert_uint_eq(ingest_splitter_pick(&s, (struct base_hash128){0, UINT64_MAX}), 0);
    ingest_splitter_done(&s);
}
END_TEST

/* ------------------------------------------------------------------------------------- crew */

struct count {
    struct ingest_work work;
    unsigned runs, dones;
    unsigned *total;
};

static void
count_run(struct ingest_work *w, struct base_worker *worker)
{
    (void)worker;
    BASE_CONTAINER_OF(w, struct count, work)->runs++;
}

static void
count_done(struct ingest_work *w)
{
    struct count *c = BASE_CONTAINER_OF(w, struct count, work);

    c->dones++;
    ++*c->total;
    if (w->result == 0 && c->dones < 50) /* done() may submit again */
        ingest_crew_submit(w->crew, w, INGEST_PRIO_READ);
}

START_TEST(test_crew_runs_and_stops)
{
    struct count items[8] = {0};
    struct ingest_crew crew;
    struct shard_error err;
    unsigned total = 0;

    ck_assert_int_eq(ingest_crew_open(&crew, 3, &err), 0);
    for (int i = 0; i < 8; i++) {
        items[i].work.run = count_run;
        items[i].work.done = count_done;
        items[i].total = &total;
        ingest_crew_submit(&crew, &items[i].work, INGEST_PRIO_PARSE);
    }
    while (total < 200)
        ingest_crew_wait(&crew, 1000);
    ck_assert(ingest_crew_stop(&crew, 10000));
    ck_assert_uint_eq(crew.n_out, 0);
    for (int i = 0; i < 8; i++) /* what was left out came back all the same */
        ck_assert_uint_le(items[i].runs, items[i].dones);
    ingest_crew_close(&crew);
}
END_TEST

/* ----------------------------------------------------------------------------------- target */

START_TEST(test_target_made_is_taken_away_again)
{
    struct ingest_target t;
    struct shard_error err;
    struct stat st;
    const char *ds = path_of("ds");

    ck_assert_int_eq(ingest_target_open(&t, ds, &err), 0);
    ck_assert_int_eq(ingest_target_prepare(&t, &err), 0);
    ingest_target_abandon(&t);
    ingest_target_close(&t);
    ck_assert_int_lt(stat(ds, &st), 0);
    /* One that was there before stays. */
    ck_assert_int_eq(mkdir(ds, 0777), 0);
    ck_assert_int_eq(ingest_target_open(&t, ds, &err), 0);
    ck_assert_int_eq(ingest_target_prepare(&t, &err), 0);
    ingest_target_abandon(&t);
    ingest_target_close(&t);
    ck_assert_int_eq(rmdir(ds), 0);
}
END_TEST

START_TEST(test_target_is_locked)
{
    struct ingest_target a, b;
    struct shard_error err;
    const char *ds = path_of("ds");

    ck_assert_int_eq(ingest_target_open(&a, ds, &err), 0);
    ck_assert_int_eq(ingest_target_open(&b, ds, &err), -EBUSY);
    ingest_target_close(&a);
    ck_assert_int_eq(ingest_target_open(&b, ds, &err), 0);
    ingest_target_close(&b);
}
END_TEST

/* --------------------------------------------------------------------------- the whole of it */

static void
write_lines(const char *path, uint64_t n, uint64_t seed, unsigned distinct)
{
    FILE *f = fopen(path, "w");
    uint64_t state = seed;

    ck_assert_ptr_nonnull(f);
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t v = next_random(&state) % distinct;

        fprintf(f, "line %" PRIu64 " with some text behind it, the same for equal numbers %" PRIx64 "\n",
                v, v * 0x9e3779b97f4a7c15u);
    }
    ck_assert_int_eq(fclose(f), 0);
}

static struct ingest_opts
text_opts(const struct ingest_files *files, const char *output)
{
    struct ingest_opts o = {.output = output, .files = files, .zstd_level = 1, .dedup_exact = true};

    o.cut.format = INGEST_TEXT;
    return o;
}

static struct ingest_result
run(const struct ingest_opts *o, int want)
{
    struct shard_error err = {0};
    struct ingest_result res;
    const int r = ingest_run(o, &res, &err);

    fmt_schema_done(&res.schema);
    ck_assert_msg(r == want, "%d, not %d: %s", r, want, err.text);
    ck_assert_uint_eq(res.rows_read,
                      res.rows_written + res.duplicates + res.filtered + res.rejected);
    return res;
}

START_TEST(test_sample_that_does_not_fit_is_read_again)
{
    struct ingest_files files = {0};
    struct ingest_opts o, small;
    struct ingest_result a, b;
    struct shard_error err;
    const char *in = path_of("in.txt");

    write_lines(in, 400000, 1, 100000); /* some 27 MB: more than a quarter of the small budget */
    ck_assert_int_eq(ingest_files_add(&files, in, &err), 0);
    o = text_opts(&files, path_of("a"));
    o.n_threads = 2;
    small = text_opts(&files, path_of("b"));
    small.n_threads = 2;
    small.memory = 72u << 20;
    a = run(&o, 0);
    b = run(&small, 0);
    ck_assert_str_eq(a.snapshot, b.snapshot);
    ck_assert_uint_eq(a.rows_read, 400000);
    ck_assert_uint_eq(a.bytes_in, b.bytes_in);
    ck_assert_uint_gt(a.duplicates, 0);
    ingest_files_done(&files);
}
END_TEST

START_TEST(test_sample_of_a_pipe_must_fit)
{
    struct ingest_files files = {0};
    struct ingest_result res;
    struct ingest_opts o;
    struct shard_error err;
    struct stat st;
    const char *in = path_of("in.txt"), *ds = path_of("ds");
    int fd;

    write_lines(in, 400000, 1, 100000);
    ck_assert_int_eq(ingest_files_add(&files, "-", &err), 0);
    fd = open(in, O_RDONLY);
    ck_assert_int_eq(dup2(fd, STDIN_FILENO), STDIN_FILENO);
    o = text_opts(&files, ds);
    o.memory = 72u << 20;
    ck_assert_int_eq(ingest_run(&o, &res, &err), SHARD_EBUDGET);
    ck_assert_ptr_nonnull(strstr(err.text, "--memory"));
    ck_assert_int_lt(stat(ds, &st), 0);
    fmt_schema_done(&res.schema);
    ingest_files_done(&files);
    (void)close(fd);
}
END_TEST

START_TEST(test_dedup_that_does_not_fit_is_refused)
{
    struct ingest_files files = {0};
    struct ingest_result res;
    struct ingest_opts o;
    struct shard_error err;
    struct stat st;
    const char *in = path_of("in.txt"), *ds = path_of("ds");
    uint64_t state = 1;
    FILE *f = fopen(in, "w");

    ck_assert_ptr_nonnull(f);
    for (int i = 0; i < 3000000; i++)
        fprintf(f, "%" PRIx64 "\n", next_random(&state) >> 32);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_int_eq(ingest_files_add(&files, in, &err), 0);
    o = text_opts(&files, ds);
    o.memory = 64u << 20;
    ck_assert_int_eq(ingest_run(&o, &res, &err), SHARD_EBUDGET);
    ck_assert_msg(strstr(err.text, "rows") && strstr(err.text, "--memory"), "%s", err.text);
    ck_assert_int_lt(stat(ds, &st), 0);
    fmt_schema_done(&res.schema);
    ingest_files_done(&files);
}
END_TEST

static int
stop_after_a_while(void *arg, uint64_t done, uint64_t total, uint64_t rows)
{
    uint64_t *highest = arg;

    (void)total;
    (void)rows;
    ck_assert_uint_ge(done, *highest);
    *highest = done;
    return done > 0;
}

START_TEST(test_progress_can_stop_it)
{
    struct ingest_files files = {0};
    struct ingest_result res;
    struct ingest_opts o;
    struct shard_error err;
    uint64_t highest = 0;
    struct stat st;
    const char *in = path_of("in.txt"), *ds = path_of("ds");

    write_lines(in, 100000, 2, 1000);
    ck_assert_int_eq(ingest_files_add(&files, in, &err), 0);
    o = text_opts(&files, ds);
    o.progress = stop_after_a_while;
    o.progress_arg = &highest;
    ck_assert_int_eq(ingest_run(&o, &res, &err), -ECANCELED);
    ck_assert_int_lt(stat(ds, &st), 0);
    fmt_schema_done(&res.schema);
    ingest_files_done(&files);
}
END_TEST

START_TEST(test_many_small_files_have_one_order)
{
    struct ingest_files files = {0};
    struct ingest_result one, five;
    struct ingest_opts o;
    struct shard_error err;
    char name[32];

    for (int i = 0; i < 700; i++) {
        snprintf(name, sizeof(name), "f%03d.txt", i);
        write_lines(path_of(name), (uint64_t)(i % 5), (uint64_t)i, 50);
        ck_assert_int_eq(ingest_files_add(&files, path_of(name), &err), 0);
    }
    o = text_opts(&files, path_of("one"));
    o.n_threads = 1;
    one = run(&o, 0);
    o = text_opts(&files, path_of("five"));
    o.n_threads = 5;
    five = run(&o, 0);
    ck_assert_str_eq(one.snapshot, five.snapshot);
    ck_assert_uint_eq(one.rows_read, 1400);
    ck_assert_uint_eq(one.rows_written, 50);
    ingest_files_done(&files);
}
END_TEST

START_TEST(test_no_input_at_all)
{
    const struct ingest_files files = {0};
    struct ingest_opts o = text_opts(&files, path_of("ds"));

    ck_assert_uint_eq(run(&o, 0).rows_read, 0);
}
END_TEST

START_TEST(test_an_input_that_is_gone_fails)
{
    struct ingest_files files = {0};
    struct ingest_result res;
    struct ingest_opts o;
    struct shard_error err;
    struct stat st;
    const char *in = path_of("in.txt"), *ds = path_of("ds");

    write_lines(in, 10, 1, 10);
    ck_assert_int_eq(ingest_files_add(&files, in, &err), 0);
    ck_assert_int_eq(unlink(in), 0);
    o = text_opts(&files, ds);
    ck_assert_int_eq(ingest_run(&o, &res, &err), -ENOENT);
    ck_assert_ptr_nonnull(strstr(err.text, "in.txt"));
    ck_assert_int_lt(stat(ds, &st), 0);
    fmt_schema_done(&res.schema);
    ingest_files_done(&files);
}
END_TEST

static Suite *
make_suite(void)
{
    Suite *s = suite_create("ingest");
    TCase *parts = tcase_create("parts");
    TCase *whole = tcase_create("whole");

    tcase_add_checked_fixture(parts, setup, teardown);
    tcase_add_loop_test(parts, test_dedup_is_a_set, 0, 5);
    tcase_add_test(parts, test_dedup_stays_in_its_budget);
    tcase_add_test(parts, test_splitter_keeps_the_shares);
    tcase_add_test(parts, test_splitter_a_last_share_of_zero_gets_nothing);
    tcase_add_test(parts, test_crew_runs_and_stops);
    tcase_add_test(parts, test_target_made_is_taken_away_again);
    tcase_add_test(parts, test_target_is_locked);
    suite_add_tcase(s, parts);
    tcase_add_checked_fixture(whole, setup, teardown);
    tcase_set_timeout(whole, 120);
    tcase_add_test(whole, test_sample_that_does_not_fit_is_read_again);
    tcase_add_test(whole, test_sample_of_a_pipe_must_fit);
    tcase_add_test(whole, test_dedup_that_does_not_fit_is_refused);
    tcase_add_test(whole, test_progress_can_stop_it);
    tcase_add_test(whole, test_many_small_files_have_one_order);
    tcase_add_test(whole, test_no_input_at_all);
    tcase_add_test(whole, test_an_input_that_is_gone_fails);
    suite_add_tcase(s, whole);
    return s;
}

int
main(void)
{
    return test_run(make_suite());
}
