#include "config.h"

#include "train/model.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/arith.h"
#include "lib/compiler.h"
#include "lib/fail.h"
#include "lib/hash.h"
#include "train/kernel.h"

/* Zeroed memory of its own mapping: rows are hit at random, so huge pages save most of the TLB
 * misses, and a table that grows is moved by the kernel and not copied. */
static float *
map_floats(uint64_t n)
{
    void *p =
        mmap(NULL, n * sizeof(float), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return NULL;
    if (n * sizeof(float) >= (4u << 20))
        (void)madvise(p, n * sizeof(float), MADV_HUGEPAGE);
    return p;
}

static void
unmap_floats(float *p, uint64_t n)
{
    if (p != NULL)
        (void)munmap(p, n * sizeof(float));
}

static uint32_t
outputs_of(const struct train_model_opts *o)
{
    return o->kind == TRAIN_MODEL_LINEAR && o->n_classes == 2 ? 1 : o->n_classes;
}

static uint32_t
width_of(const struct train_model_opts *o)
{
    return o->kind == TRAIN_MODEL_TEXT ? o->dim : outputs_of(o);
}

/* Bytes of a table of that many rows and everything else; UINT64_MAX on overflow. */
static uint64_t
bytes_of(const struct train_model_opts *o, uint64_t n_table)
{
    const uint64_t row = (uint64_t)train_stride(width_of(o)) * sizeof(float);
    const uint64_t copies = o->trainable && o->optimizer == TRAIN_ADAGRAD ? 2 : 1;
    const uint64_t n_dense_rows = o->kind == TRAIN_MODEL_TEXT ? o->n_classes : 1;
    uint64_t rows, bytes;

    if (base_add_u64(n_table, n_dense_rows, &rows) < 0 ||
        __builtin_mul_overflow(rows, row * copies, &bytes))
        return UINT64_MAX;
    return bytes;
}

uint64_t
train_model_bytes(const struct train_model_opts *o)
{
    return bytes_of(o, o->n_table);
}

static uint64_t
mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Uniform in +-1/dim, a function of seed and position alone, so that the order of filling is free:
 * one 64-bit number gives two. */
static void
fill_embedding(struct train_model *m)
{
    const uint64_t base = mix(m->opts.seed + 0x9e3779b97f4a7c15u);
    const float scale = 1.0f / (float)m->width;
    const uint32_t width = m->width, stride = m->stride;
    const int64_t n = (int64_t)m->n_table;

#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) {
        float *row = m->table + (uint64_t)i * stride;

        for (uint32_t d = 0; d < width; d++) {
            const uint64_t u =
                mix(base + ((uint64_t)i * ((stride + 1) / 2) + d / 2) * 0x9e3779b97f4a7c15u);
            const uint32_t half = (uint32_t)(d % 2 ? u >> 32 : u);

            row[d] = ((float)(half >> 8) * 0x1p-23f - 1.0f) * scale;
        }
    }
}

int
train_model_new(const struct train_model_opts *o, struct train_model **ret_model,
                struct shard_error *err)
{
    const uint64_t limit = o->memory ? o->memory : TRAIN_MODEL_MEMORY;
    const bool squares = o->trainable && o->optimizer == TRAIN_ADAGRAD;
    struct train_model *m;

    if (o->n_classes < 2 || (o->kind == TRAIN_MODEL_TEXT && (o->dim == 0 || o->n_table == 0)))
        return base_fail(err, -EINVAL, "a model of %u classes and dimension %u", o->n_classes,
                         o->dim);
    if (bytes_of(o, o->n_table) > limit)
        return base_fail(err, SHARD_ELIMIT,
                         "the model takes %" PRIu64 " MiB, and %" PRIu64
                         " MiB are allowed; give --memory more, or less --buckets or --dim",
                         bytes_of(o, o->n_table) >> 20, limit >> 20);
    m = calloc(1, sizeof(*m));
    if (m == NULL)
        return base_fail(err, -ENOMEM, "a model");
    m->opts = *o;
    m->n_outputs = outputs_of(o);
    m->width = width_of(o);
    m->stride = train_stride(m->width);
    m->n_table = o->n_table;
    m->cap_table = BASE_MAX(o->n_table, 1024u);
    m->n_dense = (uint64_t)(o->kind == TRAIN_MODEL_TEXT ? o->n_classes : 1) * m->stride;
    m->table = map_floats(m->cap_table * m->stride);
    m->dense = map_floats(m->n_dense);
    if (squares) {
        m->table_squares = map_floats(m->cap_table * m->stride);
        m->dense_squares = map_floats(m->n_dense);
    }
    if (!m->table || !m->dense || (squares && (!m->table_squares || !m->dense_squares))) {
        train_model_free(m);
        return base_fail(err, -ENOMEM, "a model of %" PRIu64 " bytes", bytes_of(o, o->n_table));
    }
    if (o->kind == TRAIN_MODEL_TEXT && o->trainable)
        fill_embedding(m);
    *ret_model = m;
    return 0;
}

void
train_model_free(struct train_model *m)
{
    if (m == NULL)
        return;
    unmap_floats(m->table, m->cap_table * m->stride);
    unmap_floats(m->table_squares, m->cap_table * m->stride);
    unmap_floats(m->dense, m->n_dense);
    unmap_floats(m->dense_squares, m->n_dense);
    free(m);
}

static int
remap(float **p, uint64_t old_n, uint64_t new_n)
{
    void *q = mremap(*p, old_n * sizeof(float), new_n * sizeof(float), MREMAP_MAYMOVE);

    if (q == MAP_FAILED)
        return -errno;
    *p = q;
    return 0;
}

int
train_model_grow(struct train_model *m, uint64_t n_rows, struct shard_error *err)
{
    const uint64_t limit = m->opts.memory ? m->opts.memory : TRAIN_MODEL_MEMORY;
    uint64_t cap = m->cap_table;
    int r = 0;

    if (n_rows <= m->n_table)
        return 0;
    if (n_rows > cap) {
        while (cap < n_rows)
            cap *= 2;
        if (bytes_of(&m->opts, cap) > limit)
            cap = n_rows;
        if (bytes_of(&m->opts, cap) > limit)
            return base_fail(err, SHARD_ELIMIT,
                             "a feature index of %" PRIu64 " needs a model of %" PRIu64
                             " MiB, and %" PRIu64
                             " MiB are allowed; give --memory more, or hash with --buckets N",
                             n_rows - 1, bytes_of(&m->opts, cap) >> 20, limit >> 20);
        /* The second may fail after the first has grown: cap_table stays the smaller, and what is
         * over is given back with the process. */
        r = remap(&m->table, m->cap_table * m->stride, cap * m->stride);
        if (r == 0 && m->table_squares != NULL)
            r = remap(&m->table_squares, m->cap_table * m->stride, cap * m->stride);
        if (r < 0)
            return base_fail(err, r, "a model of %" PRIu64 " rows", cap);
        m->cap_table = cap;
    }
    m->n_table = n_rows;
    return 0;
}

unsigned
train_model_tensors(const struct train_model *m, struct train_tensor ret[TRAIN_TENSORS_MAX])
{
    const bool text = m->opts.kind == TRAIN_MODEL_TEXT;
    const uint64_t n_dense_rows = m->n_dense / m->stride;
    unsigned n = 0;

    ret[n++] = (struct train_tensor){
        text ? "embedding" : "weight", m->table, m->n_table, m->width, m->stride, false, false};
    ret[n++] = (struct train_tensor){
        text ? "output" : "bias", m->dense, n_dense_rows, m->width, m->stride, !text, false};
    if (m->table_squares != NULL) {
        ret[n++] = (struct train_tensor){text ? "embedding.squares" : "weight.squares",
                                         m->table_squares,
                                         m->n_table,
                                         m->width,
                                         m->stride,
                                         false,
                                         true};
        ret[n++] = (struct train_tensor){text ? "output.squares" : "bias.squares",
                                         m->dense_squares,
                                         n_dense_rows,
                                         m->width,
                                         m->stride,
                                         !text,
                                         true};
    }
    return n;
}

uint64_t
train_model_hash(const struct train_model *m)
{
    struct train_tensor t[TRAIN_TENSORS_MAX];
    const unsigned n = train_model_tensors(m, t);
    XXH3_state_t state;

    XXH3_INITSTATE(&state);
    XXH3_64bits_reset(&state);
    for (unsigned i = 0; i < n && !t[i].state; i++) {
        const uint64_t shape[2] = {t[i].rows, t[i].width};

        base_hash_update(&state, t[i].name, strlen(t[i].name) + 1);
        base_hash_update(&state, shape, sizeof(shape));
        if (t[i].stride == t[i].width)
            base_hash_update(&state, t[i].data, t[i].rows * t[i].width * sizeof(float));
        else
            for (uint64_t row = 0; row < t[i].rows; row++)
                base_hash_update(&state, t[i].data + row * t[i].stride, t[i].width * sizeof(float));
    }
    return XXH3_64bits_digest(&state);
}

bool
train_model_is_finite(const struct train_model *m)
{
    struct train_tensor t[TRAIN_TENSORS_MAX];
    const unsigned n = train_model_tensors(m, t);

    for (unsigned i = 0; i < n; i++)
        for (uint64_t k = 0; k < t[i].rows * t[i].stride; k++) {
            uint32_t bits;

            memcpy(&bits, &t[i].data[k], sizeof(bits));
            if ((bits & 0x7f800000u) == 0x7f800000u)
                return false;
        }
    return true;
}
