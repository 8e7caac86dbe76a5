#include "config.h"

#include "loader/order.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "lib/arith.h"
#include "lib/compiler.h"
#include "lib/endian.h"
#include "lib/fail.h"
#include "lib/hash.h"

#define GAMMA    UINT64_C(0x9e3779b97f4a7c15)
#define KEY_INIT UINT64_C(0x5348415244303031) /* "SHARD001" */

uint64_t
loader_order_key(uint64_t seed, uint64_t epoch, uint64_t purpose, uint64_t i, uint64_t j)
{
    const uint64_t words[5] = {seed, epoch, purpose, i, j};
    uint64_t h = KEY_INIT;
    unsigned w;

    for (w = 0; w < 5; w++)
        h = loader_order_mix((h ^ words[w]) + GAMMA);
    return h;
}

/* Number c of the stream that key starts. */
static inline uint64_t
draw(uint64_t key, uint64_t c)
{
    return loader_order_mix(key + (c + 1) * GAMMA);
}

void
loader_order_shuffle(uint64_t key, uint32_t n, uint32_t *ret)
{
    uint64_t c = 0;
    uint32_t i;

    for (i = 0; i < n; i++)
        ret[i] = i;
    for (i = n; i > 1; i--) {
        const uint64_t reject = (0 - (uint64_t)i) % i; /* 2^64 mod i */
        unsigned __int128 m;
        uint32_t j, t;

        do { /* Lemire, TOMACS 29(1), 2019: unbiased */
            m = (unsigned __int128)draw(key, c++) * i;
        } while ((uint64_t)m < reject);
        j = (uint32_t)(m >> 64);
        t = ret[i - 1];
        ret[i - 1] = ret[j];
        ret[j] = t;
    }
}

/* -------------------------------------------------------------------------------- bijection */

void
loader_bijection_init(struct loader_bijection *f, uint64_t n, uint64_t key)
{
    uint64_t a = 1, lo = 1, hi = UINT64_C(1) << 24;
    unsigned r;

    while (lo < hi) { /* a: the least with a a >= n */
        a = (lo + hi) / 2;
        if (a * a >= n)
            hi = a;
        else
            lo = a + 1;
    }
    a = lo;
    f->n = n;
    f->a = (uint32_t)a;
    f->b = (uint32_t)(n ? (n + a - 1) / a : 1);
    f->n_rounds = n < LOADER_SMALL ? LOADER_ROUNDS_SMALL : LOADER_ROUNDS;
    for (r = 0; r < f->n_rounds; r++)
        f->keys[r] = draw(key, r);
}

/* A number below m that looks random for every (key, v). */
static inline uint64_t
round_value(uint64_t key, uint64_t v, uint64_t m)
{
    return (loader_order_mix(key + v) >> 32) * m >> 32;
}

static inline uint64_t
rounds(const struct loader_bijection *f, uint64_t left, uint64_t right)
{
    const uint64_t a = f->a, b = f->b;
    unsigned r;

    for (r = 0; r < f->n_rounds; r += 2) {
        left += round_value(f->keys[r], right, a);
        left -= left >= a ? a : 0;
        right += round_value(f->keys[r + 1], left, b);
        right -= right >= b ? b : 0;
    }
    return left * b + right;
}

/* Cycle walking: what falls into [n, a b) goes round again. */
static inline uint64_t
walk(const struct loader_bijection *f, uint64_t y)
{
    while (BASE_UNLIKELY(y >= f->n))
        y = rounds(f, y / f->b, y % f->b);
    return y;
}

uint64_t
loader_bijection_at(const struct loader_bijection *f, uint64_t x)
{
    if (f->n == 0)
        return x;
    return walk(f, rounds(f, x / f->b, x % f->b));
}

uint64_t
loader_bijection_inverse(const struct loader_bijection *f, uint64_t y)
{
    const uint64_t a = f->a, b = f->b;
    unsigned r;

    if (f->n == 0)
        return y;
    do {
        uint64_t left = y / b, right = y % b;

        for (r = f->n_rounds; r > 0; r -= 2) {
            right += b - round_value(f->keys[r - 1], left, b);
            right -= right >= b ? b : 0;
            left += a - round_value(f->keys[r - 2], right, a);
            left -= left >= a ? a : 0;
        }
        y = left * b + right;
    } while (y >= f->n);
    return y;
}

/* count <= RUN_BLOCK images from the pair (*left, *right) on, which moves on. Round by round over
 * an array: the rows are independent, so that the CPU overlaps their multiplications. */
#define RUN_BLOCK 64
static void
run_block(const struct loader_bijection *f, uint64_t *left, uint64_t *right, uint32_t count,
          uint64_t *ret)
{
    const uint64_t a = f->a, b = f->b;
    uint64_t lefts[RUN_BLOCK], rights[RUN_BLOCK];
    uint32_t i, r;

    for (i = 0; i < count; i++) {
        lefts[i] = *left;
        rights[i] = *right;
        if (++*right == b) {
            *right = 0;
            ++*left;
        }
    }
    for (r = 0; r < f->n_rounds; r += 2) {
        const uint64_t k0 = f->keys[r], k1 = f->keys[r + 1];

        for (i = 0; i < count; i++) {
            uint64_t x = lefts[i], y = rights[i];

            x += round_value(k0, y, a);
            x -= x >= a ? a : 0;
            y += round_value(k1, x, b);
            y -= y >= b ? b : 0;
            lefts[i] = x;
            rights[i] = y;
        }
    }
    for (i = 0; i < count; i++)
        ret[i] = walk(f, lefts[i] * b + rights[i]);
}

void
loader_bijection_run(const struct loader_bijection *f, uint64_t x0, uint32_t count, uint64_t *ret)
{
    uint64_t left, right;
    uint32_t i;

    if (f->n == 0) {
        for (i = 0; i < count; i++)
            ret[i] = x0 + i;
        return;
    }
    left = x0 / f->b;
    right = x0 % f->b;
    for (i = 0; i < count; i += RUN_BLOCK)
        run_block(f, &left, &right, BASE_MIN(count - i, RUN_BLOCK), ret + i);
}

/* ------------------------------------------------------------------------------------- plan */

static int
order_check(const struct loader_order *o, uint32_t batch_size, struct shard_error *err)
{
    if (o->partitions == 0 || batch_size == 0 || batch_size % o->partitions != 0)
        return base_say(err, -EINVAL, "a batch of %" PRIu32 " rows cannot be cut into %" PRIu32
                        " partitions", batch_size, o->partitions);
    if (o->window == 0)
        return base_say(err, -EINVAL, "a window of 0 row groups");
    if (o->shuffle > SHARD_SHUFFLE_FULL)
        return base_say(err, -EINVAL, "unknown way to shuffle: %" PRIu32, o->shuffle);
    return 0;
}

int
loader_order_init(struct loader_order *o, const uint32_t *rows, uint32_t n_groups, uint64_t seed,
                  uint32_t window, uint32_t partitions, uint32_t batch_size, uint32_t shuffle,
                  bool drop_last, struct shard_error *err)
{
    struct loader_order v = {.n_groups = n_groups, .seed = seed, .partitions = partitions,
                             .shuffle = shuffle, .window = window};
    uint32_t i;
    int r;

    r = order_check(&v, batch_size, err);
    if (r < 0)
        return r;
    v.rows = calloc(n_groups ? n_groups : 1, sizeof(*v.rows));
    if (v.rows == NULL)
        return base_fail(err, -ENOMEM, "the order of %" PRIu32 " row groups", n_groups);
    for (i = 0; i < n_groups; i++) {
        v.rows[i] = rows[i];
        v.n_rows += rows[i];
        if (rows[i] == 0 || v.n_rows > LOADER_ORDER_ROWS_MAX) {
            free(v.rows);
            return base_fail(err, rows[i] ? SHARD_ELIMIT : -EINVAL, "row group %" PRIu32 " of the "
                             "split has %s", i, rows[i] ? "rows above 2^48" : "no rows");
        }
    }
    v.quota = batch_size / partitions;
    v.whole = shuffle == SHARD_SHUFFLE_FULL ||
              (shuffle == SHARD_SHUFFLE_WINDOW &&
               n_groups <= (uint64_t)partitions * ((uint64_t)window + 1));
    if (shuffle == SHARD_SHUFFLE_NONE)
        v.window = 1;
    /* Sizes of partitions differ by one row at most: N / P rounded down or up. */
    v.steps = drop_last ? v.n_rows / partitions / v.quota
                        : ((v.n_rows + partitions - 1) / partitions + v.quota - 1) / v.quota;
    *o = v;
    return 0;
}

void
loader_order_done(struct loader_order *o)
{
    free(o->rows);
    o->rows = NULL;
}

void
loader_order_partition(const struct loader_order *o, uint32_t p, uint64_t *ret_lo,
                       uint64_t *ret_hi)
{
    *ret_lo = base_muldiv_u64(p, o->n_rows, o->partitions);
    *ret_hi = base_muldiv_u64((uint64_t)p + 1, o->n_rows, o->partitions);
}

int
loader_epoch_init(struct loader_epoch *e, const struct loader_order *o, uint32_t epoch)
{
    uint64_t start = 0;
    uint32_t i;

    e->epoch = epoch;
    e->groups = calloc((size_t)o->n_groups + 1, sizeof(*e->groups));
    e->starts = calloc((size_t)o->n_groups + 1, sizeof(*e->starts));
    if (e->groups == NULL || e->starts == NULL) {
        loader_epoch_done(e);
        return -ENOMEM;
    }
    if (o->whole || o->shuffle == SHARD_SHUFFLE_NONE) {
        for (i = 0; i < o->n_groups; i++)
            e->groups[i] = i;
    } else {
        loader_order_shuffle(loader_order_key(o->seed, epoch, LOADER_PURPOSE_GROUPS, 0, 0),
                             o->n_groups, e->groups);
    }
    for (i = 0; i < o->n_groups; i++) {
        e->starts[i] = start;
        start += o->rows[e->groups[i]];
    }
    e->starts[o->n_groups] = start;
    return 0;
}

void
loader_epoch_done(struct loader_epoch *e)
{
    free(e->groups);
    free(e->starts);
    e->groups = NULL;
    e->starts = NULL;
}

uint32_t
loader_epoch_place(const struct loader_epoch *e, const struct loader_order *o, uint64_t v)
{
    uint32_t lo = 0, hi = o->n_groups; /* starts[lo] <= v < starts[hi] */

    while (hi - lo > 1) {
        const uint32_t mid = lo + (hi - lo) / 2;

        if (e->starts[mid] <= v)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

void
loader_order_window(const struct loader_order *o, const struct loader_epoch *e, uint32_t p,
                    uint64_t v, struct loader_window_span *ret)
{
    uint64_t lo, hi, number, first, last;

    loader_order_partition(o, p, &lo, &hi);
    ret->partition = p;
    ret->lo = lo;
    ret->hi = hi;
    if (o->whole) {
        ret->place = 0;
        ret->n_places = o->n_groups;
        ret->base = 0;
        loader_bijection_init(&ret->bijection, o->n_rows,
                              loader_order_key(o->seed, e->epoch, LOADER_PURPOSE_WHOLE, 0, 0));
        return;
    }
    number = loader_epoch_place(e, o, v) / o->window;
    first = number * o->window;
    last = BASE_MIN(first + o->window, o->n_groups);
    ret->lo = BASE_MAX(lo, e->starts[first]);
    ret->hi = BASE_MIN(hi, e->starts[last]);
    /* A clipped window may not touch all of its groups. */
    while (e->starts[first + 1] <= ret->lo)
        first++;
    while (e->starts[last - 1] >= ret->hi)
        last--;
    ret->place = (uint32_t)first;
    ret->n_places = (uint32_t)(last - first);
    ret->base = ret->lo;
    if (o->shuffle == SHARD_SHUFFLE_NONE)
        ret->bijection = (struct loader_bijection){.n = 0};
    else
        loader_bijection_init(&ret->bijection, ret->hi - ret->lo,
                              loader_order_key(o->seed, e->epoch, LOADER_PURPOSE_WINDOW, p,
                                               number));
}

/* ------------------------------------------------------------------------------ single rows */

struct loader_row
loader_order_row(const struct loader_order *o, const struct loader_epoch *e, uint32_t p,
                 uint64_t position)
{
    struct loader_window_span w;
    struct loader_row row;
    uint64_t lo, hi, v;
    uint32_t place;

    loader_order_partition(o, p, &lo, &hi);
    loader_order_window(o, e, p, lo + position, &w);
    v = w.base + loader_bijection_at(&w.bijection, lo + position - w.base);
    place = loader_epoch_place(e, o, v);
    row.group = e->groups[place];
    row.row = (uint32_t)(v - e->starts[place]);
    return row;
}

/* The partition that owns virtual position v. */
static uint32_t
partition_of(const struct loader_order *o, uint64_t v)
{
    uint32_t p = (uint32_t)base_muldiv_u64(v, o->partitions, o->n_rows);
    uint64_t lo, hi;

    for (;;) { /* the division rounds down, so p is right or one too small */
        loader_order_partition(o, p, &lo, &hi);
        if (v < hi)
            return p;
        p++;
    }
}

struct loader_position
loader_order_locate(const struct loader_order *o, const struct loader_epoch *e,
                    struct loader_row row)
{
    struct loader_window_span w;
    struct loader_position ret;
    uint64_t lo, hi, v;
    uint32_t place = 0;

    while (e->groups[place] != row.group)
        place++;
    v = e->starts[place] + row.row;
    if (o->whole) {
        loader_order_window(o, e, 0, 0, &w);
        v = loader_bijection_inverse(&w.bijection, v);
        ret.partition = partition_of(o, v);
    } else {
        ret.partition = partition_of(o, v);
        loader_order_window(o, e, ret.partition, v, &w);
        v = w.base + loader_bijection_inverse(&w.bijection, v - w.base);
    }
    loader_order_partition(o, ret.partition, &lo, &hi);
    ret.position = v - lo;
    ret.step = ret.position / o->quota;
    ret.slot = ret.partition * o->quota + (uint32_t)(ret.position % o->quota);
    return ret;
}

uint64_t
loader_order_hash(uint64_t epoch, uint64_t step, uint64_t slot, uint64_t row)
{
    const uint64_t words[4] = {epoch, step, slot, row};
    uint8_t bytes[32];
    unsigned i;

    for (i = 0; i < 4; i++)
        base_store_le64(bytes + 8 * i, words[i]);
    return base_hash64(bytes, sizeof(bytes), 0);
}
