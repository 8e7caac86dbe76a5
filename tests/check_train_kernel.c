/* Gradients of the models' kernels, compiled for double, against finite differences; and the
 * exponential against libm's. */
#include "config.h"

#define TRAIN_REAL double
#include "train/kernel.h"

#include <check.h>
#include <stdlib.h>

#include "tests/random.h"
#include "tests/suite.h"
#include "tests/train_util.h"

#define N_TABLE   7
#define N_IDS     6
#define MAX_WIDTH 40
#define MAX_K     5

static double
uniform(uint64_t *state)
{
    return (double)(test_random(state) >> 11) * 0x1p-53 * 2 - 1;
}

struct problem {
    uint32_t width, stride, n_classes;
    double table[N_TABLE * 48], dense[MAX_K * 48]; /* padding stays zero */
    uint32_t ids[N_IDS];                           /* with a repeat */
    float vals[N_IDS];
    uint32_t y;
};

static void
fill(double *to, uint32_t rows, uint32_t width, uint32_t stride, uint64_t *state)
{
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t d = 0; d < stride; d++)
            to[r * stride + d] = d < width ? uniform(state) : 0;
}

static void
make(struct problem *p, uint32_t width, uint32_t n_classes, uint32_t dense_rows, uint64_t seed)
{
    uint64_t state = seed;

    memset(p, 0, sizeof(*p));
    p->width = width;
    p->stride = train_stride(width);
    p->n_classes = n_classes;
    fill(p->table, N_TABLE, width, p->stride, &state);
    fill(p->dense, dense_rows, width, p->stride, &state);
    for (int i = 0; i < N_IDS; i++) {
        p->ids[i] = (uint32_t)(test_random(&state) % N_TABLE);
        p->vals[i] = (float)uniform(&state);
    }
    p->ids[1] = p->ids[0];
    p->y = (uint32_t)(test_random(&state) % n_classes);
}

static double
text_loss(const struct problem *p)
{
    double hidden[48], scores[MAX_K], score;

    train_text_forward(p->table, N_TABLE, p->dense, p->n_classes, p->stride, p->ids, N_IDS, hidden,
                       scores);
    score = scores[p->y];
    return train_softmax(scores, p->n_classes) - score;
}

static double
linear_loss(const struct problem *p)
{
    double scores[48], score;

    train_linear_forward(p->table, N_TABLE, p->dense, p->stride, p->ids, p->vals, N_IDS, scores);
    if (p->n_classes == 2)
        return train_logistic_loss(scores[0], p->y);
    score = scores[p->y];
    return train_softmax(scores, p->n_classes) - score;
}

/* 4-point central difference. */
static double
slope(double (*loss)(const struct problem *), struct problem *p, double *at)
{
    const double h = 1e-3, x = *at;
    double f[4];
    const double steps[4] = {-2 * h, -h, h, 2 * h};

    for (int i = 0; i < 4; i++) {
        *at = x + steps[i];
        f[i] = loss(p);
    }
    *at = x;
    return (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h);
}

static void
compare(double (*loss)(const struct problem *), struct problem *p, double *at, uint32_t rows,
        const double *grad, const char *what, int seed)
{
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t d = 0; d < p->width; d++) {
            const uint32_t i = r * p->stride + d;
            const double want = slope(loss, p, &at[i]);

            ck_assert_msg(fabs(want - grad[i]) < 1e-8, "seed %d: %s[%u][%u]: %.12g, not %.12g",
                          seed, what, r, d, grad[i], want);
        }
}

/* Gradient of the whole table from that of a row, through the update that training uses: with a
 * rate of 1 from zero, a weight becomes minus its gradient. */
static void
table_gradient(const struct problem *p, const double *row_grad, bool values, double *ret)
{
    struct train_entry entries[N_IDS];

    for (int i = 0; i < N_IDS; i++)
        entries[i] = (struct train_entry){p->ids[i], 0};
    memset(ret, 0, N_TABLE * p->stride * sizeof(*ret));
    train_apply_sgd(ret, p->stride, entries, values ? p->vals : NULL, N_IDS, row_grad, -1.0);
}

START_TEST(test_text_gradient_matches_differences)
{
    static const uint32_t widths[] = {1, 2, 3, 8, 10, 16, 17, 40};
    struct problem p;
    double hidden[48], scores[MAX_K], grad[48], dense[MAX_K * 48] = {0}, table[N_TABLE * 48];

    make(&p, widths[_i % 8], 2 + (uint32_t)_i % (MAX_K - 1), MAX_K, (uint64_t)_i);
    train_text_forward(p.table, N_TABLE, p.dense, p.n_classes, p.stride, p.ids, N_IDS, hidden,
                       scores);
    (void)train_softmax(scores, p.n_classes);
    scores[p.y] -= 1;
    train_text_backward(p.dense, p.n_classes, p.stride, N_IDS, hidden, scores, grad, dense);
    table_gradient(&p, grad, false, table);
    compare(text_loss, &p, p.table, N_TABLE, table, "embedding", _i);
    compare(text_loss, &p, p.dense, p.n_classes, dense, "output", _i);
}
END_TEST

START_TEST(test_linear_gradient_matches_differences)
{
    struct problem p;
    double grad[48] = {0}, table[N_TABLE * 48];
    const uint32_t k = 2 + (uint32_t)_i % (MAX_K - 1);

    make(&p, k == 2 ? 1 : k, k, 1, (uint64_t)_i + 1000);
    train_linear_forward(p.table, N_TABLE, p.dense, p.stride, p.ids, p.vals, N_IDS, grad);
    if (k == 2) {
        grad[0] = train_sigmoid(grad[0]) - p.y;
    } else {
        (void)train_softmax(grad, k);
        grad[p.y] -= 1;
        memset(grad + k, 0, (p.stride - k) * sizeof(*grad));
    }
    table_gradient(&p, grad, true, table);
    compare(linear_loss, &p, p.table, N_TABLE, table, "weight", _i);
    compare(linear_loss, &p, p.dense, 1, grad, "bias", _i);
}
END_TEST

START_TEST(test_exp_is_as_good_as_libm)
{
    uint64_t state = 7;

    ck_assert(train_exp(0) == 1);
    ck_assert(train_exp(-1e9) == 0);
    ck_assert(isnan(train_exp((double)NAN)));
    for (int i = 0; i < 100000; i++) {
        const double x = -fabs(uniform(&state)) * (i % 2 ? 1 : 600), want = exp(x);

        ck_assert_msg(fabs(train_exp(x) - want) <= 4e-15 * want, "exp(%.17g)", x);
    }
}
END_TEST

START_TEST(test_extreme_scores_stay_finite)
{
    double s[3] = {1e30, -1e30, 0};

    ck_assert(isfinite(train_softmax(s, 3)));
    ck_assert(s[0] == 1 && s[1] == 0 && s[2] == 0);
    ck_assert(train_logistic_loss(1e6, 1) == 0);
    ck_assert(train_logistic_loss(1e6, 0) == 1e6);
    ck_assert(train_sigmoid(-1e6) == 0 && train_sigmoid(1e6) == 1);
}
END_TEST

START_TEST(test_adagrad_by_hand)
{
    const struct train_entry e[2] = {{1, 0}, {1, 1}};
    const double grads[2] = {3, 4};
    double w[2] = {0, 1}, s[2] = {0, 0};

    /* s = 9: w = 1 - 0.1 * 3 / 3 = 0.9; s = 25: w = 0.9 - 0.1 * 4 / 5 = 0.82 */
    train_apply_adagrad(w, s, 1, e, NULL, 2, grads, 0.1);
    ck_assert(fabs(w[1] - 0.82) < 1e-8 && s[1] == 25 && w[0] == 0 && s[0] == 0);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("train kernels");
    TCase *t = tcase_create("kernels");

    tcase_add_loop_test(t, test_text_gradient_matches_differences, 0, 24);
    tcase_add_loop_test(t, test_linear_gradient_matches_differences, 0, 24);
    tcase_add_test(t, test_exp_is_as_good_as_libm);
    tcase_add_test(t, test_extreme_scores_stay_finite);
    tcase_add_test(t, test_adagrad_by_hand);
    suite_add_tcase(s, t);
    return test_run(s);
}
