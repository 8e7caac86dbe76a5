#include "config.h"

#include "tests/parse_util.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ingest/entry.h"

struct ingest_block *
block_new(enum ingest_format format, const char *path, const char *header, const void *data,
          size_t len)
{
    struct ingest_block *b = calloc(1, sizeof(*b));

    ck_assert_ptr_nonnull(b);
    b->entry = ingest_entry_new(path, "", path, (int64_t)len, false);
    ck_assert_ptr_nonnull(b->entry);
    b->format = format;
    b->line = 1;
    b->first = b->last = true;
    b->delimiter = format == INGEST_TSV ? '\t' : ',';
    b->quote = '"';
    ck_assert_int_eq(base_buf_append(&b->data, data, len), 0);
    if (header)
        ck_assert_int_eq(base_buf_append(&b->header, header, strlen(header)), 0);
    return b;
}

const char *
data_folder(const char *test)
{
    const char *folder = getenv("SHARDLINE_DATA");

    if (folder == NULL || *folder == '\0') {
        printf("SKIP-DATA: %s\n", test);
        fflush(stdout);
        return NULL;
    }
    return folder;
}

char *
read_file(const char *folder, const char *path, size_t *ret_len)
{
    struct base_buf buf = {0};
    char name[4096];
    char *data;
    size_t n;
    FILE *f;

    (void)snprintf(name, sizeof(name), "%s/%s", folder, path);
    f = fopen(name, "rb");
    ck_assert_msg(f != NULL, "%s cannot be opened", name);
    do {
        ck_assert_int_eq(base_buf_reserve(&buf, 65536), 0);
        n = fread(buf.data + buf.len, 1, 65536, f);
        buf.len += n;
    } while (n > 0);
    (void)fclose(f);
    data = malloc(buf.len + 1);
    ck_assert_ptr_nonnull(data);
    memcpy(data, buf.data, buf.len);
    data[buf.len] = '\0';
    *ret_len = buf.len;
    base_buf_done(&buf);
    return data;
}

struct ingest_block *
block_from_file(enum ingest_format format, const char *folder, const char *path)
{
    const bool csv = format == INGEST_CSV || format == INGEST_TSV;
    struct ingest_block *b;
    size_t len, skip = 0;
    char *data = read_file(folder, path, &len), *lf, *header = NULL;

    if (csv) {
        lf = memchr(data, '\n', len);
        skip = lf ? (size_t)(lf + 1 - data) : len;
        header = strndup(data, strcspn(data, "\r\n"));
    }
    b = block_new(format, path, header, data + skip, len - skip);
    b->offset = skip;
    b->line = csv ? 2 : 1;
    free(header);
    free(data);
    return b;
}

struct parsed *
parsed_new(const struct ingest_parse_opts *opts, struct ingest_block *const *sample,
           size_t n_sample)
{
    struct parsed *p = calloc(1, sizeof(*p));
    struct shard_error err = {0};

    ck_assert_ptr_nonnull(p);
    if (opts)
        p->opts = *opts;
    ck_assert_int_eq(ingest_infer_new(&p->opts, &p->infer), 0);
    for (size_t i = 0; i < n_sample; i++)
        ck_assert_msg(ingest_infer_block(p->infer, sample[i], &err) == 0, "%s", err.text);
    ck_assert_msg(ingest_plan_make(&p->opts, p->infer, &p->plan, &err) == 0, "%s", err.text);
    ck_assert_int_eq(ingest_parser_new(p->plan, &p->parser), 0);
    ck_assert_int_eq(ingest_rows_new(p->plan, &p->rows), 0);
    p->arrays = calloc(p->plan->schema.n_fields + 1, sizeof(*p->arrays));
    ck_assert_ptr_nonnull(p->arrays);
    return p;
}

void
parsed_block(struct parsed *p, const struct ingest_block *b)
{
    struct shard_error err = {0};

    ck_assert_msg(ingest_parse_block(p->parser, b, p->rows, &err) == 0, "%s", err.text);
    for (uint32_t i = 0; i < p->rows->n_cols; i++) {
        fmt_column_array(&p->rows->cols[i], &p->arrays[i]);
        ck_assert_uint_eq(p->arrays[i].n_rows, p->rows->n_rows);
    }
}

void
parsed_free(struct parsed *p)
{
    ingest_rows_free(p->rows);
    ingest_parser_free(p->parser);
    ingest_plan_free(p->plan);
    ingest_infer_free(p->infer);
    free(p->arrays);
    free(p);
}

static char *
text_of(struct base_buf *buf)
{
    char *text;

    ck_assert_int_eq(base_buf_append(buf, "", 1), 0);
    text = malloc(buf->len);
    ck_assert_ptr_nonnull(text);
    memcpy(text, buf->data, buf->len);
    base_buf_done(buf);
    return text;
}

char *
parsed_json(const struct parsed *p, uint64_t row)
{
    struct base_buf buf = {0};
    struct shard_error err = {0};
    int r = ingest_row_to_json(&p->plan->schema, p->arrays, row, &buf, &err);

    ck_assert_msg(r == 0, "%s", err.text);
    return text_of(&buf);
}

char *
parsed_csv(const struct parsed *p, uint64_t row)
{
    struct base_buf buf = {0};
    struct shard_error err = {0};
    int r = ingest_row_to_csv(&p->plan->schema, p->arrays, row, ',', &buf, &err);

    ck_assert_msg(r == 0, "%s", err.text);
    return text_of(&buf);
}

char *
parsed_schema(const struct parsed *p)
{
    struct base_buf buf = {0};
    char type[SHARD_TYPE_NAME_MAX];

    for (uint32_t i = 0; i < p->plan->schema.n_fields; i++) {
        const struct shard_field *f = &p->plan->schema.fields[i];

        ck_assert_int_eq(
            base_buf_printf(&buf, "%s%s:%s", i ? " " : "", f->name, shard_field_type_name(f, type)),
            0);
    }
    return text_of(&buf);
}

struct parsed *
parse_text(enum ingest_format format, const char *header, const char *text)
{
    struct ingest_block *b = block_new(format, "input", header, text, strlen(text));
    struct parsed *p = parsed_new(NULL, &b, 1);

    parsed_block(p, b);
    ingest_block_free(b);
    return p;
}

uint64_t
next_random(uint64_t *state)
{
    uint64_t x = *state;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    *state = x;
    return x * UINT64_C(0x2545f4914f6cdd1d);
}
