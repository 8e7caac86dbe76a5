#include "config.h"

#include "tools/ingest/svm.h"

#include "tools/ingest/number.h"

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* The next run of bytes that are no blanks; empty at the end. */
static struct ingest_svm_token
next_token(const char **p, const char *end)
{
    struct ingest_svm_token t;

    while (*p < end && is_blank(**p))
        ++*p;
    t.p = *p;
    while (*p < end && !is_blank(**p))
        ++*p;
    t.len = (size_t)(*p - t.p);
    return t;
}

static int
refuse(struct ingest_svm *s, const char *detail)
{
    s->detail = detail;
    return 2;
}

static bool
read_index(const char *p, size_t len, uint32_t *ret)
{
    uint64_t v = 0;

    if (len == 0 || len > 10)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (p[i] < '0' || p[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(p[i] - '0');
    }
    *ret = (uint32_t)v;
    return v <= UINT32_MAX;
}

static int
take_feature(struct ingest_svm *s, struct ingest_svm_token t, uint32_t *last)
{
    const char *colon = memchr(t.p, ':', t.len);
    struct ingest_svm_token value;
    uint32_t index;
    int r;

    if (colon == NULL)
        return refuse(s, "a feature is written index:value");
    if (t.len > 4 && memcmp(t.p, "qid:", 4) == 0)
        return refuse(s, "query numbers (qid:N) are not read");
    if (!read_index(t.p, (size_t)(colon - t.p), &index))
        return refuse(s, "a feature's index is no whole number below 2^32");
    if (s->n_features && index <= *last)
        return refuse(s, "the indices do not ascend");
    value.p = colon + 1;
    value.len = t.len - (size_t)(value.p - t.p);
    if (!ingest_num_is_lenient(value.p, value.len))
        return refuse(s, "a feature's value is no number");
    if (s->indices.cap - s->indices.len < sizeof(index) ||
        s->values.cap - s->values.len < sizeof(value)) {
        r = base_buf_reserve(&s->indices, sizeof(index));
        if (r == 0)
            r = base_buf_reserve(&s->values, sizeof(value));
        if (r < 0)
            return r;
    }
    base_buf_put(&s->indices, &index, sizeof(index));
    base_buf_put(&s->values, &value, sizeof(value));
    s->n_features++;
    *last = index;
    return 1;
}

int
ingest_svm_line(struct ingest_svm *s, const char *line, size_t len)
{
    const char *hash = memchr(line, '#', len), *p = line, *end = hash ? hash : line + len;
    struct ingest_svm_token t;
    uint32_t last = 0;
    int r = 1;

    base_buf_reset(&s->indices);
    base_buf_reset(&s->values);
    s->n_features = 0;
    s->label = next_token(&p, end);
    if (s->label.len == 0)
        return 0;
    if (!ingest_num_is_lenient(s->label.p, s->label.len))
        return refuse(s, "the label is no number");
    while (r == 1 && (t = next_token(&p, end)).len)
        r = take_feature(s, t, &last);
    return r;
}

void
ingest_svm_done(struct ingest_svm *s)
{
    base_buf_done(&s->indices);
    base_buf_done(&s->values);
    memset(s, 0, sizeof(*s));
}
