/* The arithmetic of one row and one weight, apart from threads and storage.
 *
 * Generic in its number type, so that the tests can compile it for double and compare gradients
 * with finite differences: define TRAIN_REAL before including. Everything is static inline.
 *
 * Nothing here depends on the CPU at run time, and sums run in a fixed order: the same build gives
 * the same bits. Vectors are GCC's, which the compiler lowers to whatever the target has.
 *
 * A table row and a score row are "stride" numbers long: train_stride(width), with zeros behind
 * the width, so that loops run over whole vectors.
 */
#ifndef TRAIN_KERNEL_H
#define TRAIN_KERNEL_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef TRAIN_REAL
#define TRAIN_REAL float
#endif

typedef TRAIN_REAL train_real;

#define TRAIN_LANES 16u
/* 16 numbers; one cache line of float. Loads and stores need the alignment of the number only. */
typedef train_real train_vec __attribute__((vector_size(TRAIN_LANES * sizeof(train_real)),
                                            aligned(sizeof(train_real)), may_alias));

/* One contribution to one row of the table: what a row of the batch adds through one feature. */
struct train_entry {
    uint32_t id;  /* row of the table */
    uint32_t row; /* row within the slice: whose gradient */
};

/* 1, 2, 4, 8, 16, then multiples of 16: a row never crosses cache lines without need. */
static inline uint32_t
train_stride(uint32_t width)
{
    uint32_t s = 1;

    if (width > TRAIN_LANES)
        return (width + TRAIN_LANES - 1) / TRAIN_LANES * TRAIN_LANES;
    while (s < width)
        s *= 2;
    return s;
}

/* e^x for x <= 0, to about 1e-15. Not libm's, whose last bit depends on the CPU it finds. */
static inline double
train_exp(double x)
{
    const double ln2_hi = 0x1.62e42fefa38p-1, ln2_lo = 0x1.ef35793c7673p-45;
    double k, r, p;
    uint64_t bits;

    if (!(x > -700)) /* and NaN */
        return x == x ? 0 : x;
    k = (double)(int64_t)(x * 1.4426950408889634 - 0.5); /* nearest, as x <= 0 */
    r = (x - k * ln2_hi) - k * ln2_lo;
    p = 1 + r * (1.0 / 12);
    p = 1 + r * p * (1.0 / 11);
    p = 1 + r * p * (1.0 / 10);
    p = 1 + r * p * (1.0 / 9);
    p = 1 + r * p * (1.0 / 8);
    p = 1 + r * p * (1.0 / 7);
    p = 1 + r * p * (1.0 / 6);
    p = 1 + r * p * (1.0 / 5);
    p = 1 + r * p * (1.0 / 4);
    p = 1 + r * p * (1.0 / 3);
    p = 1 + r * p * (1.0 / 2);
    p = 1 + r * p;
    bits = (uint64_t)(1023 + (int64_t)k) << 52;
    memcpy(&k, &bits, sizeof(k));
    return p * k;
}

/* sum over i of vals[i] * table[ids[i]] (vals NULL: all 1) into ret[stride]. n_table rows exist;
 * an id beyond is a feature never seen: its weights are zero. */
static inline void
train_gather(train_real *ret, const train_real *table, uint64_t n_table, uint32_t stride,
             const uint32_t *ids, const float *vals, size_t n)
{
    if (stride == TRAIN_LANES && vals == NULL) { /* two sums, to hide the latency of adding */
        train_vec a = {0}, b = {0};
        size_t i = 0;

        for (; i + 2 <= n; i += 2) {
            a += *(const train_vec *)(table + (size_t)ids[i] * TRAIN_LANES);
            b += *(const train_vec *)(table + (size_t)ids[i + 1] * TRAIN_LANES);
        }
        if (i < n)
            a += *(const train_vec *)(table + (size_t)ids[i] * TRAIN_LANES);
        *(train_vec *)ret = a + b;
        return;
    }
    memset(ret, 0, stride * sizeof(*ret));
    for (size_t i = 0; i < n; i++) {
        const train_real *w = table + (size_t)ids[i] * stride;
        const train_real v = vals ? (train_real)vals[i] : 1;

        if (ids[i] >= n_table)
            continue;
        for (uint32_t d = 0; d < stride; d++)
            ret[d] += v * w[d];
    }
}

static inline train_real
train_dot(const train_real *a, const train_real *b, uint32_t stride)
{
    train_real s = 0;

    if (stride % TRAIN_LANES == 0) {
        train_vec v = {0};

        for (uint32_t d = 0; d < stride; d += TRAIN_LANES)
            v += *(const train_vec *)(a + d) * *(const train_vec *)(b + d);
        for (uint32_t w = TRAIN_LANES / 2; w > 0; w /= 2)
            for (uint32_t i = 0; i < w; i++)
                v[i] += v[i + w];
        return v[0];
    }
    for (uint32_t d = 0; d < stride; d++)
        s += a[d] * b[d];
    return s;
}

/* a += f * b */
static inline void
train_axpy(train_real *a, train_real f, const train_real *b, uint32_t stride)
{
    if (stride % TRAIN_LANES == 0) {
        for (uint32_t d = 0; d < stride; d += TRAIN_LANES)
            *(train_vec *)(a + d) += f * *(const train_vec *)(b + d);
        return;
    }
    for (uint32_t d = 0; d < stride; d++)
        a[d] += f * b[d];
}

/* Softmax in place: scores[n] become probabilities. Returns log(sum of e^(s - max)) + max, so that
 * the loss of class y is that minus its score. */
static inline double
train_softmax(train_real *scores, uint32_t n)
{
    double max = (double)scores[0], sum = 0;

    for (uint32_t k = 1; k < n; k++)
        max = (double)scores[k] > max ? (double)scores[k] : max;
    for (uint32_t k = 0; k < n; k++) {
        const double e = train_exp((double)scores[k] - max);

        scores[k] = (train_real)e;
        sum += e;
    }
    for (uint32_t k = 0; k < n; k++)
        scores[k] = (train_real)((double)scores[k] / sum);
    return log(sum) + max;
}

/* Logistic: the probability of class 1 from its score. */
static inline double
train_sigmoid(double s)
{
    const double e = train_exp(s < 0 ? s : -s);

    return s < 0 ? e / (1 + e) : 1 / (1 + e);
}

/* log(1 + e^-|s|) + max(-m, 0), m = the margin: s for class 1, -s for class 0. */
static inline double
train_logistic_loss(double s, uint32_t y)
{
    const double m = y ? s : -s;

    return log1p(train_exp(m < 0 ? m : -m)) + (m < 0 ? -m : 0);
}

/* ---- text: hidden = mean of rows, scores = output x hidden, softmax ---- */

/* ret_hidden[stride] and ret_scores[n_classes] of a row with n features (n >= 1). */
static inline void
train_text_forward(const train_real *table, uint64_t n_table, const train_real *output,
                   uint32_t n_classes, uint32_t stride, const uint32_t *ids, size_t n,
                   train_real *ret_hidden, train_real *ret_scores)
{
    const train_real f = (train_real)1 / (train_real)n;

    train_gather(ret_hidden, table, n_table, stride, ids, NULL, n);
    for (uint32_t d = 0; d < stride; d++)
        ret_hidden[d] *= f;
    for (uint32_t k = 0; k < n_classes; k++)
        ret_scores[k] = train_dot(output + (size_t)k * stride, ret_hidden, stride);
}

/* From g[n_classes], the gradient by the scores: ret_grad[stride] is that by each feature's row,
 * and that by the output rows is added to grad_output. */
static inline void
train_text_backward(const train_real *output, uint32_t n_classes, uint32_t stride, size_t n,
                    const train_real *hidden, const train_real *g, train_real *ret_grad,
                    train_real *grad_output)
{
    const train_real f = (train_real)1 / (train_real)n;

    memset(ret_grad, 0, stride * sizeof(*ret_grad));
    for (uint32_t k = 0; k < n_classes; k++) {
        train_axpy(ret_grad, g[k], output + (size_t)k * stride, stride);
        train_axpy(grad_output + (size_t)k * stride, g[k], hidden, stride);
    }
    for (uint32_t d = 0; d < stride; d++)
        ret_grad[d] *= f;
}

/* ---- linear: scores = sum of value x weights, and bias ---- */

static inline void
train_linear_forward(const train_real *table, uint64_t n_table, const train_real *bias,
                     uint32_t stride, const uint32_t *ids, const float *vals, size_t n,
                     train_real *ret_scores)
{
    train_gather(ret_scores, table, n_table, stride, ids, vals, n);
    for (uint32_t d = 0; d < stride; d++)
        ret_scores[d] += bias[d];
}

/* ---- updates: entries of one range of the table, in row order ---- */

#define TRAIN_ADAGRAD_EPS 1e-8f

/* w -= lr * value * gradient of the row. */
static inline void
train_apply_sgd(train_real *table, uint32_t stride, const struct train_entry *e, const float *vals,
                size_t n, const train_real *grads, train_real lr)
{
    const size_t ahead = 12;

    for (size_t i = 0; i < n; i++) {
        const train_real v = vals ? (train_real)vals[i] : 1;

        if (i + ahead < n)
            __builtin_prefetch(table + (size_t)e[i + ahead].id * stride, 1, 3);
        train_axpy(table + (size_t)e[i].id * stride, -lr * v, grads + (size_t)e[i].row * stride,
                   stride);
    }
}

/* One weight: s += g^2, w -= lr g / (sqrt(s) + eps). */
static inline void
train_adagrad_one(train_real *w, train_real *s, train_real g, train_real lr)
{
    *s += g * g;
    *w -= lr * g / ((train_real)sqrt((double)*s) + (train_real)TRAIN_ADAGRAD_EPS);
}

static inline void
train_apply_adagrad(train_real *table, train_real *squares, uint32_t stride,
                    const struct train_entry *e, const float *vals, size_t n,
                    const train_real *grads, train_real lr)
{
    const size_t ahead = 12;

    for (size_t i = 0; i < n; i++) {
        const train_real v = vals ? (train_real)vals[i] : 1;
        const train_real *g = grads + (size_t)e[i].row * stride;
        const size_t at = (size_t)e[i].id * stride;

        if (i + ahead < n) {
            __builtin_prefetch(table + (size_t)e[i + ahead].id * stride, 1, 3);
            __builtin_prefetch(squares + (size_t)e[i + ahead].id * stride, 1, 3);
        }
        for (uint32_t d = 0; d < stride; d++)
            train_adagrad_one(&table[at + d], &squares[at + d], v * g[d], lr);
    }
}

#endif
