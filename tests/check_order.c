/* The sample order: golden vectors that tests/order_reference.py made from docs/order.md alone,
 * what must hold for any plan, and how well the bijection mixes. */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "loader/order.h"
#include "tests/suite.h"

/* A small generator for test cases; its quality does not matter. */
static uint64_t
rnd(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    return loader_order_mix(*state);
}

static uint64_t
rnd_below(uint64_t *state, uint64_t n)
{
    return rnd(state) % n;
}

/* ----------------------------------------------------------------------------- golden vectors */

/* The plan that "step" lines belong to; groups without rows are left out of order, live says
 * which number a group had. */
struct golden {
    struct loader_order order;
    struct loader_epoch epoch;
    uint32_t live[64];
    uint64_t steps_seen;
    bool on;
};

static void
golden_end(struct golden *g)
{
    if (!g->on)
        return;
    ck_assert_uint_eq(g->steps_seen, g->order.steps);
    loader_epoch_done(&g->epoch);
    loader_order_done(&g->order);
    g->on = false;
}

static uint32_t
shuffle_of(const char *name)
{
    if (strcmp(name, "none") == 0)
        return SHARD_SHUFFLE_NONE;
    return strcmp(name, "full") == 0 ? SHARD_SHUFFLE_FULL : SHARD_SHUFFLE_WINDOW;
}

static void
golden_plan(struct golden *g, const char *head, char *rest)
{
    uint32_t rows[64], n = 0, number = 0, epoch, k, parts, batch;
    char how[16], *tok, *save = NULL;
    uint64_t seed;
    int drop;

    golden_end(g);
    ck_assert_int_eq(sscanf(head, "plan %" SCNu64 " %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu32
                            " %15s %d", &seed, &epoch, &k, &parts, &batch, how, &drop), 7);
    for (tok = strtok_r(rest, " \n", &save); tok; tok = strtok_r(NULL, " \n", &save), number++) {
        const uint32_t r = (uint32_t)strtoul(tok, NULL, 10);

        if (r) {
            g->live[n] = number;
            rows[n++] = r;
        }
    }
    ck_assert_int_eq(loader_order_init(&g->order, rows, n, seed, k, parts, batch, shuffle_of(how),
                                       drop != 0, NULL), 0);
    ck_assert_int_eq(loader_epoch_init(&g->epoch, &g->order, epoch), 0);
    g->steps_seen = 0;
    g->on = true;
}

/* What step s serves, as text, into ret. */
static void
step_text(const struct golden *g, uint64_t s, char *ret, size_t cap)
{
    const struct loader_order *o = &g->order;
    size_t len = 0;
    uint32_t p;

    ret[0] = '\0';
    for (p = 0; p < o->partitions; p++) {
        uint64_t lo, hi, t;

        loader_order_partition(o, p, &lo, &hi);
        for (t = s * o->quota; t < (s + 1) * o->quota && t < hi - lo; t++) {
            const struct loader_row row = loader_order_row(o, &g->epoch, p, t);
            const struct loader_position at = loader_order_locate(o, &g->epoch, row);

            ck_assert_uint_eq(at.step, s);
            ck_assert_uint_eq(at.partition, p);
            ck_assert_uint_eq(at.position, t);
            len += (size_t)snprintf(ret + len, cap - len, "%s%" PRIu32 "/%" PRIu32 "/%" PRIu32,
                                    len ? " " : "", at.slot, g->live[row.group], row.row);
            ck_assert_uint_lt(len, cap);
        }
    }
}

static void
golden_numbers(const char *head, char *rest)
{
    uint64_t key, n, x, i = 0, images[256];
    uint32_t perm[256];
    char *tok, *save = NULL;

    if (sscanf(head, "shuffle %" SCNx64 " %" SCNu64, &key, &n) == 2) {
        ck_assert_uint_le(n, 256);
        loader_order_shuffle(key, (uint32_t)n, perm);
        for (tok = strtok_r(rest, " \n", &save); tok; tok = strtok_r(NULL, " \n", &save), i++)
            ck_assert_uint_eq(perm[i], strtoul(tok, NULL, 10));
        ck_assert_uint_eq(i, n);
    } else {
        struct loader_bijection f;

        ck_assert_int_eq(sscanf(head, "bijection %" SCNx64 " %" SCNu64 " %" SCNu64, &key, &n, &x),
                         3);
        loader_bijection_init(&f, n, key);
        loader_bijection_run(&f, x, 1, images);
        for (tok = strtok_r(rest, " \n", &save); tok; tok = strtok_r(NULL, " \n", &save), i++) {
            const uint64_t image = strtoull(tok, NULL, 10);

            ck_assert_uint_eq(loader_bijection_at(&f, (x + i) % n), image);
            ck_assert_uint_eq(loader_bijection_inverse(&f, image), (x + i) % n);
        }
        ck_assert_uint_gt(i, 0);
    }
}

static void
golden_line(struct golden *g, char *line, unsigned counts[6])
{
    uint64_t w[5], v;
    char *rest = strchr(line, ':'), text[4096];

    if (rest)
        *rest++ = '\0';
    if (sscanf(line, "mix %" SCNx64 " %" SCNx64, &w[0], &v) == 2) {
        ck_assert_uint_eq(loader_order_mix(w[0]), v);
        counts[0]++;
    } else if (sscanf(line, "key %" SCNx64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
                      " %" SCNx64, &w[0], &w[1], &w[2], &w[3], &w[4], &v) == 6) {
        ck_assert_uint_eq(loader_order_key(w[0], w[1], w[2], w[3], w[4]), v);
        counts[1]++;
    } else if (sscanf(line, "hash %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &w[0], &w[1],
                      &w[2], &w[3]) == 4) {
        ck_assert_uint_eq(loader_order_hash(w[0], w[1], w[2], w[3]), strtoull(rest, NULL, 16));
        counts[2]++;
    } else if (strncmp(line, "plan ", 5) == 0) {
        golden_plan(g, line, rest);
        counts[3]++;
    } else if (sscanf(line, "step %" SCNu64, &v) == 1) {
        ck_assert_uint_eq(v, g->steps_seen++);
        step_text(g, v, text, sizeof(text));
        rest += strspn(rest, " ");
        rest[strcspn(rest, "\n")] = '\0';
        ck_assert_str_eq(text, rest);
        counts[4]++;
    } else {
        golden_numbers(line, rest);
        counts[5]++;
    }
}

START_TEST(test_golden_vectors)
{
    FILE *f = fopen(SRCDIR "/tests/data/order_v1.txt", "r");
    unsigned counts[6] = {0}, i;
    struct golden g = {.on = false};
    char line[8192];

    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof(line), f))
        if (line[0] != '#')
            golden_line(&g, line, counts);
    golden_end(&g);
    (void)fclose(f);
    for (i = 0; i < 6; i++)
        ck_assert_msg(counts[i] >= 3, "kind %u of line: only %u", i, counts[i]);
}
END_TEST

/* ---------------------------------------------------------------------------------- bijection */

START_TEST(test_bijection_is_onto_and_inverts)
{
    const uint64_t seed = (uint64_t)_i;
    uint64_t state = seed, n, x, images[4096];
    uint8_t seen[4096];
    struct loader_bijection f;

    for (n = 1; n <= 4096; n += 1 + (n > 300 ? rnd_below(&state, 400) : 0)) {
        loader_bijection_init(&f, n, rnd(&state));
        loader_bijection_run(&f, 0, (uint32_t)n, images);
        memset(seen, 0, sizeof(seen));
        for (x = 0; x < n; x++) {
            ck_assert_uint_lt(images[x], n);
            ck_assert_msg(!seen[images[x]], "seed %" PRIu64 ", n %" PRIu64, seed, n);
            seen[images[x]] = 1;
            ck_assert_uint_eq(images[x], loader_bijection_at(&f, x));
            ck_assert_uint_eq(x, loader_bijection_inverse(&f, images[x]));
        }
    }
}
END_TEST

START_TEST(test_bijection_inverts_at_every_size)
{
    uint64_t state = 11, images[100];
    unsigned bits, i, j;

    for (bits = 1; bits <= 48; bits++)
        for (i = 0; i < 20; i++) {
            const uint64_t top = UINT64_C(1) << bits, n = top - rnd_below(&state, top / 2);
            const uint64_t x = rnd_below(&state, n);
            const uint32_t count = (uint32_t)(n - x < 100 ? n - x : 100);
            struct loader_bijection f;

            loader_bijection_init(&f, n, rnd(&state));
            ck_assert_uint_ge((uint64_t)f.a * f.b, n);
            ck_assert_uint_lt((uint64_t)f.a * f.b - n, f.a);
            loader_bijection_run(&f, x, count, images);
            for (j = 0; j < count; j++) {
                ck_assert_uint_lt(images[j], n);
                ck_assert_uint_eq(loader_bijection_inverse(&f, images[j]), x + j);
                ck_assert_uint_eq(loader_bijection_at(&f, x + j), images[j]);
            }
        }
}
END_TEST

/* How many standard deviations a chi-square of dof degrees of freedom is off what chance gives
 * (Wilson and Hilferty's cube root). */
static double
chi_z(double chi, double dof)
{
    return (cbrt(chi / dof) - (1 - 2 / (9 * dof))) / sqrt(2 / (9 * dof));
}

static double
chi_sum(const uint32_t *cells, uint64_t n_cells, double expect)
{
    double chi = 0;
    uint64_t i;

    for (i = 0; i < n_cells; i++)
        chi += (cells[i] - expect) * (cells[i] - expect) / expect;
    return chi;
}

/* For a sum of random permutation matrices: their rows and columns are not independent. */
static double
chi_z_matrix(const uint32_t *cells, uint64_t n, uint64_t n_permutations)
{
    const double k = (double)n;

    return chi_z(chi_sum(cells, n * n, (double)n_permutations / k) * (k - 1) / k,
                 (k - 1) * (k - 1));
}

START_TEST(test_every_element_comes_to_every_place)
{
    static uint32_t cells[300 * 300];
    uint64_t state = 77, n, x, images[300];

    for (n = 2; n <= 300; n += n < 40 ? 1 : 37) {
        const uint64_t keys = n < 40 ? 6000 : 12000;
        uint64_t i;
        double z;

        memset(cells, 0, sizeof(cells));
        for (i = 0; i < keys; i++) {
            struct loader_bijection f;

            loader_bijection_init(&f, n, rnd(&state));
            loader_bijection_run(&f, 0, (uint32_t)n, images);
            for (x = 0; x < n; x++)
                cells[x * n + images[x]]++;
        }
        z = chi_z_matrix(cells, n, keys);
        ck_assert_msg(fabs(z) < 5, "n %" PRIu64 ": %.2f standard deviations off", n, z);
    }
}
END_TEST

/* Where do two elements come together? Neighbours, and pairs that share a column of the square. */
START_TEST(test_pairs_come_to_every_pair_of_places)
{
    static uint32_t cells[300 * 300];
    uint64_t state = 78, n, i;
    unsigned kind;

    for (n = 2; n <= 300; n += n < 24 ? 1 : 69)
        for (kind = 0; kind < 2; kind++) {
            const uint64_t pairs = n * (n - 1), keys = pairs * 10 < 40000 ? 40000 : pairs * 10;
            struct loader_bijection f;
            double expect, z;

            memset(cells, 0, sizeof(cells));
            for (i = 0; i < keys; i++) {
                uint64_t other;

                loader_bijection_init(&f, n, rnd(&state));
                other = kind == 0 || f.b >= n ? 1 : f.b;
                cells[loader_bijection_at(&f, 0) * n + loader_bijection_at(&f, other)]++;
            }
            for (i = 0; i < n; i++) /* impossible cells must be empty */
                ck_assert_uint_eq(cells[i * n + i], 0);
            expect = (double)keys / (double)pairs;
            z = chi_z(chi_sum(cells, n * n, expect) - (double)n * expect, (double)(pairs - 1));
            ck_assert_msg(fabs(z) < 5, "n %" PRIu64 ", kind %u: %.2f standard deviations off", n, kind,
                          z);
        }
}
END_TEST

/* Whole permutations of 4 elements: the 24 of them, none much rarer than another. */
START_TEST(test_small_permutations_all_occur)
{
    uint32_t cells[256] = {0}, seen = 0;
    uint64_t state = 79, images[4];
    unsigned i;

    for (i = 0; i < 48000; i++) {
        struct loader_bijection f;

        loader_bijection_init(&f, 4, rnd(&state));
        loader_bijection_run(&f, 0, 4, images);
        cells[images[0] << 6 | images[1] << 4 | images[2] << 2 | images[3]]++;
    }
    for (i = 0; i < 256; i++)
        if (cells[i]) {
            seen++;
            ck_assert_msg(cells[i] > 1600 && cells[i] < 2400, "permutation %x: %u of 2000", i,
                          cells[i]);
        }
    ck_assert_uint_eq(seen, 24);
}
END_TEST

START_TEST(test_bijection_costs_nothing)
{
    static uint64_t images[16384];
    struct loader_bijection f;
    uint64_t best = UINT64_MAX, sum = 0;
    unsigned i;

    loader_bijection_init(&f, 34567, 5);
    for (i = 0; i < 20; i++) {
        uint64_t t = base_now_ns();

        loader_bijection_run(&f, 100, 16384, images);
        t = base_now_ns() - t;
        best = t < best ? t : best;
        sum += images[i];
    }
    printf("bijection: %.1f ns per row (%" PRIu64 ")\n", (double)best / 16384, sum % 10);
    ck_assert_msg(best / 16384 < 500, "%.1f ns per row", (double)best / 16384);
}
END_TEST

START_TEST(test_shuffle_is_uniform)
{
    uint32_t perm[7], cells[49] = {0};
    uint64_t state = 80;
    unsigned i, x;

    for (i = 0; i < 20000; i++) {
        loader_order_shuffle(rnd(&state), 7, perm);
        for (x = 0; x < 7; x++)
            cells[x * 7 + perm[x]]++;
    }
    ck_assert(fabs(chi_z_matrix(cells, 7, 20000)) < 5);
}
END_TEST

/* --------------------------------------------------------------------------------------- plan */

struct fuzz_plan {
    struct loader_order order;
    struct loader_epoch epoch;
    uint32_t rows[64], n_groups;
};

static void
fuzz_plan_make(struct fuzz_plan *f, uint64_t seed)
{
    static const uint32_t maxima[] = {1, 3, 17, 200};
    uint64_t state = seed;
    const uint32_t max = maxima[rnd_below(&state, 4)];
    uint32_t i, parts = 1 + (uint32_t)rnd_below(&state, 9);
    uint32_t shuffle = (uint32_t)rnd_below(&state, 8);

    f->n_groups = (uint32_t)rnd_below(&state, 64);
    for (i = 0; i < f->n_groups; i++)
        f->rows[i] = 1 + (uint32_t)rnd_below(&state, max);
    ck_assert_int_eq(loader_order_init(&f->order, f->rows, f->n_groups, rnd(&state),
                                       1 + (uint32_t)rnd_below(&state, 5), parts,
                                       parts * (1 + (uint32_t)rnd_below(&state, 40)),
                                       shuffle < 6 ? SHARD_SHUFFLE_WINDOW : shuffle - 5,
                                       rnd_below(&state, 3) == 0, NULL), 0);
    ck_assert_int_eq(loader_epoch_init(&f->epoch, &f->order, (uint32_t)rnd_below(&state, 4)), 0);
}

static void
fuzz_plan_done(struct fuzz_plan *f)
{
    loader_epoch_done(&f->epoch);
    loader_order_done(&f->order);
}

/* Every row is served once, windows tile the partitions, partitions tile the sequence, and the
 * way through windows and arrays says the same as the way row by row and its inverse. */
static void
plan_walk_partition(const struct fuzz_plan *f, uint32_t p, uint8_t (*seen)[256], uint64_t *total)
{
    const struct loader_order *o = &f->order;
    uint64_t lo, hi, v, images[16384];

    loader_order_partition(o, p, &lo, &hi);
    ck_assert_uint_eq(lo, *total);
    for (v = lo; v < hi;) {
        struct loader_window_span w;
        uint64_t i;

        loader_order_window(o, &f->epoch, p, v, &w);
        ck_assert_uint_eq(w.lo, v);
        ck_assert(w.hi > v && w.hi <= hi);
        if (!o->whole)
            ck_assert_uint_le(w.n_places, o->window);
        loader_bijection_run(&w.bijection, v - w.base, (uint32_t)(w.hi - v), images);
        for (i = 0; i < w.hi - v; i++) {
            const struct loader_row row = loader_order_row(o, &f->epoch, p, v + i - lo);
            const struct loader_position at = loader_order_locate(o, &f->epoch, row);
            const uint32_t place = loader_epoch_place(&f->epoch, o, w.base + images[i]);

            ck_assert(place >= w.place && place < w.place + w.n_places);
            ck_assert_uint_eq(f->epoch.groups[place], row.group);
            ck_assert_uint_lt(row.row, f->rows[row.group]);
            ck_assert(!seen[row.group][row.row]);
            seen[row.group][row.row] = 1;
            ck_assert_uint_eq(at.partition, p);
            ck_assert_uint_eq(at.position, v + i - lo);
            ck_assert_uint_eq(at.slot, p * o->quota + at.position % o->quota);
        }
        v = w.hi;
    }
    *total = hi;
}

START_TEST(test_plan_serves_every_row_once)
{
    struct fuzz_plan f;
    uint8_t seen[64][256];
    uint64_t total = 0;
    uint32_t p;

    memset(seen, 0, sizeof(seen));
    fuzz_plan_make(&f, (uint64_t)_i);
    for (p = 0; p < f.order.partitions; p++)
        plan_walk_partition(&f, p, seen, &total);
    ck_assert_msg(total == f.order.n_rows, "seed %d", _i);
    fuzz_plan_done(&f);
}
END_TEST

START_TEST(test_epochs_and_seeds_differ)
{
    uint32_t rows[100], i, e, same = 0;
    struct loader_order o;
    struct loader_epoch epochs[4];

    for (i = 0; i < 100; i++)
        rows[i] = 50 + i;
    ck_assert_int_eq(loader_order_init(&o, rows, 100, 3, 2, 4, 64, 0, false, NULL), 0);
    for (e = 0; e < 4; e++)
        ck_assert_int_eq(loader_epoch_init(&epochs[e], &o, e), 0);
    for (i = 0; i < 1000; i++) {
        const struct loader_row a = loader_order_row(&o, &epochs[0], 1, i);

        for (e = 1; e < 4; e++) {
            const struct loader_row b = loader_order_row(&o, &epochs[e], 1, i);

            same += a.group == b.group && a.row == b.row;
        }
    }
    ck_assert_uint_lt(same, 10);
    for (e = 0; e < 4; e++)
        loader_epoch_done(&epochs[e]);
    loader_order_done(&o);
}
END_TEST

START_TEST(test_huge_splits_do_not_overflow)
{
    enum { GROUPS = 70000 };
    uint32_t *rows = malloc(GROUPS * sizeof(*rows)), i;
    struct loader_order o;
    struct loader_epoch e;
    struct shard_error err;

    ck_assert_ptr_nonnull(rows);
    for (i = 0; i < GROUPS; i++)
        rows[i] = UINT32_MAX - i;
    ck_assert_int_eq(loader_order_init(&o, rows, GROUPS, 1, 2, 16, 256, 0, false, &err),
                     SHARD_ELIMIT);
    ck_assert_int_eq(loader_order_init(&o, rows, 65000, 1, 2, 16, 256, 0, false, &err), 0);
    ck_assert_int_eq(loader_epoch_init(&e, &o, 0), 0);
    for (i = 0; i < 16; i++) {
        uint64_t lo, hi;
        struct loader_row row;
        struct loader_position at;

        loader_order_partition(&o, i, &lo, &hi);
        row = loader_order_row(&o, &e, i, hi - lo - 1);
        at = loader_order_locate(&o, &e, row);
        ck_assert_uint_eq(at.partition, i);
        ck_assert_uint_eq(at.position, hi - lo - 1);
    }
    ck_assert_uint_eq(o.steps, (o.n_rows / 16 + 1 + 15) / 16);
    loader_epoch_done(&e);
    loader_order_done(&o);
    free(rows);
}
END_TEST

START_TEST(test_nonsense_is_refused)
{
    const uint32_t rows[2] = {5, 0};
    struct loader_order o;

    ck_assert_int_eq(loader_order_init(&o, rows, 1, 0, 2, 3, 4, 0, false, NULL), -EINVAL);
    ck_assert_int_eq(loader_order_init(&o, rows, 1, 0, 2, 0, 4, 0, false, NULL), -EINVAL);
    ck_assert_int_eq(loader_order_init(&o, rows, 1, 0, 0, 2, 4, 0, false, NULL), -EINVAL);
    ck_assert_int_eq(loader_order_init(&o, rows, 1, 0, 2, 2, 4, 3, false, NULL), -EINVAL);
    ck_assert_int_eq(loader_order_init(&o, rows, 2, 0, 2, 2, 4, 0, false, NULL), -EINVAL);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("order");
    TCase *golden = tcase_create("golden"), *bijection = tcase_create("bijection"),
          *plan = tcase_create("plan");

    tcase_add_test(golden, test_golden_vectors);
    suite_add_tcase(s, golden);
    tcase_set_timeout(bijection, 120);
    tcase_add_loop_test(bijection, test_bijection_is_onto_and_inverts, 0, 3);
    tcase_add_test(bijection, test_bijection_inverts_at_every_size);
    tcase_add_test(bijection, test_every_element_comes_to_every_place);
    tcase_add_test(bijection, test_pairs_come_to_every_pair_of_places);
    tcase_add_test(bijection, test_small_permutations_all_occur);
    tcase_add_test(bijection, test_bijection_costs_nothing);
    tcase_add_test(bijection, test_shuffle_is_uniform);
    suite_add_tcase(s, bijection);
    tcase_set_timeout(plan, 60);
    tcase_add_loop_test(plan, test_plan_serves_every_row_once, 0, 400);
    tcase_add_test(plan, test_epochs_and_seeds_differ);
    tcase_add_test(plan, test_huge_splits_do_not_overflow);
    tcase_add_test(plan, test_nonsense_is_refused);
    suite_add_tcase(s, plan);
    return test_run(s);
}
