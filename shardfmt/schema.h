/* Schemas inside the project: an owned list of fields. Read-only after it is built: share freely. */
#ifndef FMT_SCHEMA_H
#define FMT_SCHEMA_H

#include "shardline/fmt.h"

#define FMT_COLUMNS_MAX 1000000u /* docs/format.md */
#define FMT_NAME_MAX    4096u    /* bytes of a column name */

struct fmt_schema {
    struct shard_field *fields; /* names owned */
    uint32_t n_fields, cap;
};

void fmt_schema_init(struct fmt_schema *s);
void fmt_schema_done(struct fmt_schema *s);
/* A column of a type without parameters. Copies name. Returns 0, -ENOMEM, or -EINVAL for a type that
 * cannot be, a name over FMT_NAME_MAX or one column too many. */
SHARD_NODISCARD int fmt_schema_add(struct fmt_schema *s, const char *name, enum shard_type type,
                                   enum shard_type elem, bool nullable, uint32_t flags);
/* A column like f, whose name and params are copied. What f->type is, nobody looks at: it may be one
 * that this build does not know. */
SHARD_NODISCARD int fmt_schema_add_field(struct fmt_schema *s, const struct shard_field *f);
SHARD_NODISCARD int fmt_schema_copy(struct fmt_schema *dst, const struct fmt_schema *src);
/* Index or -1; hashed only for wide schemas by callers that need it. */
int64_t fmt_schema_find(const struct fmt_schema *s, const char *name);
/* A column whose name an earlier one has; -1 where there is none (names must be unique); -ENOMEM. */
SHARD_NODISCARD int64_t fmt_schema_find_double(const struct fmt_schema *s);
/* The same columns? A type that only its text is known of (from a root) goes with any type that this
 * build does not know either (from a shard). */
bool fmt_schema_equal(const struct fmt_schema *a, const struct fmt_schema *b);
/* Are those of b the first ones of a? */
bool fmt_schema_begins(const struct fmt_schema *a, const struct fmt_schema *b);
/* "int32", "list<float32>", "string?": the other way of shard_field_type_name(). Sets what f says of
 * its type, and nullable. Returns 0; SHARD_EPARSE. */
SHARD_NODISCARD int fmt_type_parse(const char *text, struct shard_field *f,
                                   struct shard_error *err);

/* What a type is: the one place that says so (schema.c has the table). Everybody else asks, and
 * compares no type numbers but for equality. */
enum fmt_kind {
    FMT_KIND_UNKNOWN = 0, /* this build cannot hold it */
    FMT_KIND_BIT,         /* bool */
    FMT_KIND_NUMBER,      /* one number a row */
    FMT_KIND_BYTES,       /* string, binary */
    FMT_KIND_TENSOR,      /* so many numbers in every row */
    FMT_KIND_LIST,        /* of numbers */
    FMT_KIND_SPARSE,
    FMT_KIND_STRINGS,     /* list of strings */
};
enum fmt_number {
    FMT_NUMBER_NONE = 0,
    FMT_NUMBER_UNSIGNED,
    FMT_NUMBER_SIGNED,
    FMT_NUMBER_FLOAT,
};
struct fmt_type {
    enum fmt_kind kind;
    enum fmt_number number; /* what values hold: of a list its elements */
    uint8_t size;           /* bytes of one thing in values: a number, an element, 1 of a string, 0 of
                             * a bit */
    bool offsets;           /* rows are of any length */
};
struct fmt_type fmt_type_of(enum shard_type type, enum shard_type elem);
/* The same of a column, which is of unknown kind where its parameters are not understood. */
struct fmt_type fmt_field_type(const struct shard_field *f);
/* Elements in a row of a tensor; 0 of other types. */
uint32_t fmt_field_width(const struct shard_field *f);
/* Numbers that lists, tensors and sparse vectors can be of: integers and floats. */
bool fmt_type_is_number(enum shard_type t);

/* Parameters of a type, as they stand in a footer. Bytes of them (FMT_PARAMS_MAX at most for types
 * that are known). */
#define FMT_PARAMS_MAX     (4u + 4u * SHARD_DIMS_MAX)
#define FMT_PARAMS_RAW_MAX 65536u /* of any type */
size_t fmt_params_len(const struct shard_field *f);
void fmt_params_write(const struct shard_field *f, uint8_t *ret);
/* Take what params say into f, whose type and elem are set; where it cannot be understood f->params
 * points to them. */
void fmt_params_read(struct shard_field *f, const uint8_t *params, uint32_t len);

#endif
