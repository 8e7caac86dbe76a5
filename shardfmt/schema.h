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
/* Copies name. Returns 0, -ENOMEM, or -EINVAL for a type that cannot be, a name over FMT_NAME_MAX
 * or one column too many. */
SHARD_NODISCARD int fmt_schema_add(struct fmt_schema *s, const char *name, enum shard_type type,
                                   enum shard_type elem, bool nullable, uint32_t flags);
/* The same for a footer's fields: the type may be one that this build does not know. */
SHARD_NODISCARD int fmt_schema_add_raw(struct fmt_schema *s, const char *name, size_t name_len,
                                       enum shard_type type, enum shard_type elem, bool nullable,
                                       uint32_t flags);
SHARD_NODISCARD int fmt_schema_copy(struct fmt_schema *dst, const struct fmt_schema *src);
/* Index or -1; hashed only for wide schemas by callers that need it. */
int64_t fmt_schema_find(const struct fmt_schema *s, const char *name);
/* A column whose name an earlier one has; -1 where there is none (names must be unique); -ENOMEM. */
SHARD_NODISCARD int64_t fmt_schema_find_double(const struct fmt_schema *s);
bool fmt_schema_equal(const struct fmt_schema *a, const struct fmt_schema *b);
/* "int32", "list<float32>", "string?": the other way of shard_field_type_name(). */
SHARD_NODISCARD int fmt_type_parse(const char *text, enum shard_type *ret_type,
                                   enum shard_type *ret_elem, bool *ret_nullable,
                                   struct shard_error *err);
bool fmt_type_is_number(enum shard_type t);
/* Whether this build can hold a column of that type. */
bool fmt_type_known(enum shard_type type, enum shard_type elem);

#endif
