/* The classes of a model: the distinct values of its label column, in a fixed order.
 *
 * Order of calls: init, add arrays of labels (any order), finish, then lookups. Strings sort by
 * bytes, numbers ascending, false before true; so the list does not depend on the order of rows.
 *
 * Threads: building by one; after finish read-only, share freely.
 */
#ifndef TRAIN_CLASSES_H
#define TRAIN_CLASSES_H

#include <jansson.h>
#include <stdint.h>

#include <shardline/fmt.h>

#define TRAIN_CLASSES_MAX 65536u

enum train_label_kind {
    TRAIN_LABEL_STRING = 0,
    TRAIN_LABEL_BOOL = 1,
    TRAIN_LABEL_INT = 2,   /* int8 .. int64, uint8 .. uint32 */
    TRAIN_LABEL_UINT = 3,  /* uint64 */
    TRAIN_LABEL_FLOAT = 4, /* finite; -0 is 0 */
};

struct train_class {
    char *key; /* what is looked up: the string's bytes, or the number in 8 bytes */
    size_t key_len;
    char *name; /* NUL-terminated UTF-8 (a string may hold NULs itself: name_len) */
    size_t name_len;
};

struct train_classes {
    enum train_label_kind kind;
    uint32_t n;
    uint32_t cap;
    struct train_class *list;
    uint32_t *slots;  /* open addressing over list: index + 1, 0 = free */
    uint32_t n_slots; /* a power of two */
};

/* Whether labels of this type can be classes; if so *ret_kind. */
bool train_label_kind_of(enum shard_type type, enum train_label_kind *ret_kind);

void train_classes_init(struct train_classes *c, enum train_label_kind kind);
void train_classes_done(struct train_classes *c);
/* Take note of every value of a column. SHARD_ELIMIT above TRAIN_CLASSES_MAX distinct ones;
 * SHARD_EPARSE for a label that is no finite number. */
SHARD_NODISCARD int train_classes_add(struct train_classes *c, const struct shard_array *labels,
                                      struct shard_error *err);
/* Take note of one row, which is not null; its class's position so far (before finish). */
SHARD_NODISCARD int64_t train_classes_add_row(struct train_classes *c,
                                              const struct shard_array *labels, uint64_t i,
                                              struct shard_error *err);
SHARD_NODISCARD int train_classes_finish(struct train_classes *c, struct shard_error *err);

#define TRAIN_CLASS_NULL    (-1)
#define TRAIN_CLASS_UNKNOWN (-2)
/* Class of row i, or one of the above. The column's kind must be the classes'. */
int32_t train_classes_of(const struct train_classes *c, const struct shard_array *labels,
                         uint64_t i);

/* {"kind": "string", "names": [...]} and back. */
json_t *train_classes_to_json(const struct train_classes *c);
SHARD_NODISCARD int train_classes_from_json(struct train_classes *c, const json_t *obj,
                                            struct shard_error *err);

#endif
