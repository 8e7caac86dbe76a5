/* Shardline datasets: what is in them, and reading them row group by row group.
 *
 * A dataset is a directory. Its newest snapshot lists shards; a shard is one file of row groups; a
 * row group is a run of rows, stored column by column. docs/format.md specifies the bytes.
 *
 * Order of calls: shard_dataset_open(), look around, shard_dataset_read_group() as often as
 * wanted, shard_dataset_close(). For rows by number: shard_taker_open(), shard_taker_take() as often
 * as wanted, shard_taker_close(). To train, use <shardline/loader.h> instead.
 *
 * Threads: a dataset is read-only after open; its getters may be called from any thread.
 * shard_dataset_read_group() is internally locked where it must be and may be called from many
 * threads, each with its own struct shard_group.
 */
#ifndef SHARDLINE_FMT_H
#define SHARDLINE_FMT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shardline/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Types of a column. The numbers are on disk and never change. */
enum shard_type {
    SHARD_TYPE_BOOL = 1,
    SHARD_TYPE_INT8 = 2,
    SHARD_TYPE_INT16 = 3,
    SHARD_TYPE_INT32 = 4,
    SHARD_TYPE_INT64 = 5,
    SHARD_TYPE_UINT8 = 6,
    SHARD_TYPE_UINT16 = 7,
    SHARD_TYPE_UINT32 = 8,
    SHARD_TYPE_UINT64 = 9,
    SHARD_TYPE_FLOAT16 = 10,  /* IEEE 754 binary16 */
    SHARD_TYPE_BFLOAT16 = 11, /* the upper half of a float32 */
    SHARD_TYPE_FLOAT32 = 12,
    SHARD_TYPE_FLOAT64 = 13,
    SHARD_TYPE_STRING = 16, /* UTF-8 */
    SHARD_TYPE_BINARY = 17,
    SHARD_TYPE_TIMESTAMP = 20, /* int64 units since 1970-01-01T00:00:00Z */
    SHARD_TYPE_TENSOR = 21,    /* of a number type and a fixed shape, row-major */
    SHARD_TYPE_LIST = 24,      /* of any length, of a number type or of strings */
    SHARD_TYPE_SPARSE = 25,    /* (index, value) pairs, indices uint32 and ascending */
};

/* What a timestamp counts. On disk, too. */
enum shard_unit {
    SHARD_UNIT_S = 0,
    SHARD_UNIT_MS = 1,
    SHARD_UNIT_US = 2,
    SHARD_UNIT_NS = 3,
};

#define SHARD_DIMS_MAX 8

/* One column of a schema. Borrowed from the dataset; valid until it is closed. */
struct shard_field {
    const char *name;      /* UTF-8, dotted where it came from a nested object */
    enum shard_type type;  /* 0: one that this build does not even know by name, see params */
    enum shard_type elem;  /* of lists, sparse vectors and tensors: what they hold; else 0 */
    bool nullable;
    uint8_t unit;          /* of a timestamp: enum shard_unit; else 0 */
    uint8_t n_dims;        /* of a tensor: 1 to SHARD_DIMS_MAX; else 0 */
    uint32_t flags;        /* SHARD_FIELD_* */
    uint32_t dims[SHARD_DIMS_MAX]; /* of a tensor, n_dims of them, the last one varying fastest */
    const void *params;    /* NULL in all columns that this build can read. Else what it does not
                            * understand of the type: where type is 0 the type's name as text, */
    uint32_t params_len;   /* else the parameters as they stand in the shard. Bytes of it */
};

/* The column _extra: JSON text of what the typed columns of the row cannot reproduce. */
#define SHARD_FIELD_EXTRA  1u
/* The column value: the whole record, where records are not JSON objects. */
#define SHARD_FIELD_RECORD 2u

/* A value that is not in its array, as it is longer than was asked for (shard_group_set_far()):
 * shard_value_open() reads it. In the array its row is not null and has no bytes. */
struct shard_far {
    uint64_t row;  /* of the array */
    uint64_t size; /* bytes of the value */
    void *source;  /* this and the rest are the library's own */
    uint32_t first_piece, n_pieces;
};

/* One column of some rows, in Arrow's memory layout. A view: see the function that fills it for
 * how long it lives. Every pointer is 64-byte aligned or NULL where not applicable.
 *
 *   type            values                 offsets (n_rows + 1)   indices
 *   bool            bits, LSB first        -                      -
 *   numbers         T[n_rows]              -                      -
 *   string, binary  bytes                  of each value in bytes -
 *   tensor          elem[n_rows * width]   -                      -
 *   list            elem[n_values]         in elements            -
 *   list<string>    bytes                  in elements            -
 *   sparse          elem[n_values]         in elements            uint32[n_values]
 *
 * Numbers are integers, floats (float16 and bfloat16 as their 2 bytes) and
 * timestamps (int64). Element i of a list<string> is the bytes from elem_offsets[i] to
 * elem_offsets[i + 1] of values. A null row has zero bits and no bytes or elements; that of a tensor
 * has zeros. offsets[0] and elem_offsets[0] are 0. */
struct shard_array {
    enum shard_type type, elem;
    uint32_t width;           /* elements per row of a tensor; else 0 */
    uint32_t n_far;           /* values that are not here; 0 unless they were asked to be left out */
    uint64_t n_rows;
    uint64_t n_nulls;
    uint64_t n_values;        /* elements in values (bytes for string and binary; strings for
                               * list<string>) */
    const uint8_t *validity;  /* bits, 1 = present; NULL where no row is null */
    const int32_t *offsets;
    const uint32_t *indices;
    const void *values;
    const int32_t *elem_offsets; /* n_values + 1, list<string> only; else NULL */
    const struct shard_far *far; /* n_far, by row */
};

/* Size in bytes of one number of a type; 0 for types that are no number: bool, string, binary,
 * tensor, list, sparse. */
SHARD_API size_t shard_type_size(enum shard_type type);
#define SHARD_TYPE_NAME_MAX 128
/* How a field's type is written: "int32", "list<float32>", "sparse<float32>?" (? = nullable),
 * "timestamp[ms]", "tensor<uint8,28,28>". Into ret (cut to SHARD_TYPE_NAME_MAX bytes with NUL);
 * returns ret. */
SHARD_API char *shard_field_type_name(const struct shard_field *f, char ret[SHARD_TYPE_NAME_MAX]);

/* ---------------------------------------------------------------------------------- dataset */

struct shard_dataset;

/**
 * Open the newest snapshot of the dataset at path.
 * Reads the root and its segments, no shard. A damaged newest root is an error, never a silent
 * step back to an older one.
 * Returns: 0, or SHARD_ENOTFOUND where there is no dataset or no snapshot yet, SHARD_ECHECKSUM,
 *          SHARD_ECORRUPT, SHARD_ETRUNC, SHARD_EUNSUPPORTED, -errno.
 */
SHARD_API SHARD_NODISCARD int shard_dataset_open(const char *path, struct shard_dataset **ret_ds,
                                                 struct shard_error *err);
/* Accepts NULL. Every borrowed pointer of the dataset ends here. */
SHARD_API void shard_dataset_close(struct shard_dataset *ds);

SHARD_API uint32_t shard_dataset_n_columns(const struct shard_dataset *ds);
/* col < n_columns. */
SHARD_API const struct shard_field *shard_dataset_field(const struct shard_dataset *ds,
                                                        uint32_t col);
/* Index of the column of that name, or SHARD_ENOTFOUND. */
SHARD_API int64_t shard_dataset_find_column(const struct shard_dataset *ds, const char *name);

/* Name of the snapshot: 32 hex digits. */
SHARD_API const char *shard_dataset_snapshot(const struct shard_dataset *ds);
SHARD_API uint64_t shard_dataset_n_rows(const struct shard_dataset *ds);
SHARD_API uint32_t shard_dataset_n_splits(const struct shard_dataset *ds);
SHARD_API const char *shard_dataset_split_name(const struct shard_dataset *ds, uint32_t split);
SHARD_API uint64_t shard_dataset_split_rows(const struct shard_dataset *ds, uint32_t split);
/* Index of the split of that name, or SHARD_ENOTFOUND. */
SHARD_API int64_t shard_dataset_find_split(const struct shard_dataset *ds, const char *name);

/* The row groups of the snapshot, in order: shards as listed, groups within a shard. */
SHARD_API uint64_t shard_dataset_n_groups(const struct shard_dataset *ds);
/* Plain facts about one row group, known without reading its shard. */
struct shard_group_info {
    uint32_t shard;     /* which shard of the snapshot */
    uint32_t index;     /* which row group of that shard */
    uint32_t split;
    uint32_t n_rows;
    uint64_t row0;      /* row number, in the snapshot, of its first row */
};
/* group < n_groups. */
SHARD_API void shard_dataset_group_info(const struct shard_dataset *ds, uint64_t group,
                                        struct shard_group_info *ret);

/* ------------------------------------------------------------------------------- row groups */

/* Storage for one decoded row group, reusable. Not thread-safe. */
struct shard_group;

SHARD_API SHARD_NODISCARD int shard_group_new(struct shard_group **ret_group); /* 0, -ENOMEM */
SHARD_API void shard_group_free(struct shard_group *g);                        /* accepts NULL */

/**
 * Read, verify and decode n_cols columns (indices in cols; NULL = all) of one row group into g.
 * What g held before is gone, also after an error.
 * Returns: 0; SHARD_ECHECKSUM, SHARD_ECORRUPT, SHARD_ETRUNC with file, row group, column and page
 *          in err; SHARD_EUNSUPPORTED for an encoding that this build does not know; SHARD_ELIMIT
 *          where a column of the group is over 2 GiB; -EINVAL for an index out of range; -errno.
 */
SHARD_API SHARD_NODISCARD int shard_dataset_read_group(struct shard_dataset *ds, uint64_t group,
                                                       const uint32_t *cols, uint32_t n_cols,
                                                       struct shard_group *g,
                                                       struct shard_error *err);
/**
 * How long the values of column col of one row group are: elements of lists, entries of sparse vectors,
 * bytes of strings and binary. Most list columns have an index, so that only that is read; of others
 * the column is read and decoded. g then holds one array of uint32, 0 and not valid where the value is
 * null. What g held before is gone, also after an error.
 * Returns: as shard_dataset_read_group(); -EINVAL also for columns of types without lengths.
 */
SHARD_API SHARD_NODISCARD int shard_dataset_read_lengths(struct shard_dataset *ds, uint64_t group,
                                                         uint32_t col, struct shard_group *g,
                                                         struct shard_error *err);
SHARD_API uint64_t shard_group_n_rows(const struct shard_group *g);
/* The i-th of the columns asked for; valid until g is read into again or freed. */
SHARD_API const struct shard_array *shard_group_array(const struct shard_group *g, uint32_t i);

/* ----------------------------------------------------------------------------- random access */

/* How to read. */
enum shard_io {
    SHARD_IO_AUTO = 0, /* io_uring, or pread threads where that is refused */
    SHARD_IO_URING = 1,
    SHARD_IO_PREAD = 2,
};

/* What picks rows by their number: it owns a read engine, threads, memory for decoding and open
 * shards, so make it once and use it for many calls. It belongs to one thread at a time; several
 * takers of one dataset are independent. The dataset must stay open for longer. */
struct shard_taker;

/* Zero means default for every field. */
struct shard_taker_opts {
    uint32_t struct_size; /* set by SHARD_TAKER_OPTS_INIT */
    uint32_t threads;     /* that decode; 0 = cores */
    uint32_t io;          /* enum shard_io */
    uint32_t depth;       /* reads running at a time; 0 = 128 */
    uint64_t memory;      /* bytes for pages in flight, decoding and open footers; 0 = 256 MiB. The
                           * arrays come on top */
};
#define SHARD_TAKER_OPTS_INIT { .struct_size = sizeof(struct shard_taker_opts) }

/**
 * Returns: 0; -EINVAL, -E2BIG for options that cannot be; SHARD_EBUDGET for less than 1 MiB of
 *          memory; -errno.
 */
SHARD_API SHARD_NODISCARD int shard_taker_open(struct shard_dataset *ds,
                                               const struct shard_taker_opts *opts,
                                               struct shard_taker **ret_taker,
                                               struct shard_error *err);
SHARD_API void shard_taker_close(struct shard_taker *t); /* accepts NULL */

/**
 * Get rows[0..n_rows), numbers of the snapshot's rows in any order, also more than once, of n_cols
 * columns (indices in cols; NULL = all). Every page that is needed is read, verified and decoded
 * once; all reads are one batch, or several where the memory does not hold them.
 * Returns: 0, and shard_taker_array() has the rows in the order asked for. SHARD_ENOTFOUND for a
 *          row that is not there; -EINVAL for a column that is not; SHARD_ECHECKSUM, SHARD_ECORRUPT,
 *          SHARD_ETRUNC with file, row group, column and page in err; SHARD_EUNSUPPORTED for an
 *          encoding that this build does not know; SHARD_EBUDGET for a page that the memory does
 *          not hold; SHARD_ELIMIT where a column comes to more than 2 GiB, or 2^31 rows; -errno.
 *          After an error the arrays hold nothing of use; the taker can be used again.
 */
SHARD_API SHARD_NODISCARD int shard_taker_take(struct shard_taker *t, const uint64_t *rows,
                                               uint64_t n_rows, const uint32_t *cols,
                                               uint32_t n_cols, struct shard_error *err);
/* The i-th of the columns asked for, n_rows rows; valid until the next call or the close. NULL out
 * of range. */
SHARD_API const struct shard_array *shard_taker_array(const struct shard_taker *t, uint32_t i);

/* What it took so far, over all calls. */
struct shard_taker_stats {
    uint64_t rows;                    /* delivered */
    uint64_t pages;                   /* decoded */
    uint64_t reads, bytes_read;       /* of pages */
    uint64_t submits;                 /* batches handed to the kernel */
    uint64_t piece_reads, piece_bytes; /* of out-of-line values */
    uint32_t io;                      /* enum shard_io in use */
    uint32_t reserved;
};
SHARD_API void shard_taker_get_stats(const struct shard_taker *t, struct shard_taker_stats *ret);

/* ----------------------------------------------------------------------------- large values */

/* From now on leave values of strings and bytes that are longer than size (at least 1 MiB; 0: none)
 * out of what is read into g: the arrays list them in far. */
SHARD_API void shard_group_set_far(struct shard_group *g, uint64_t size);

/* One value of a string or binary column as a stream: whatever its size, it takes the memory of two
 * pieces of 1 MiB. Not thread-safe; close it before its dataset. */
struct shard_value;

/**
 * Row number `row` of the snapshot, column col.
 * Returns: 0; -EINVAL for a row or column that is not there, or a column of another type;
 *          SHARD_ECHECKSUM, SHARD_ECORRUPT, SHARD_ETRUNC, SHARD_EUNSUPPORTED, -errno.
 */
SHARD_API SHARD_NODISCARD int shard_value_open(struct shard_dataset *ds, uint64_t row,
                                               uint32_t col, struct shard_value **ret_value,
                                               struct shard_error *err);
SHARD_API void shard_value_close(struct shard_value *v); /* accepts NULL */
SHARD_API bool shard_value_is_null(const struct shard_value *v);
/* Bytes in all; 0 where it is null. */
SHARD_API uint64_t shard_value_size(const struct shard_value *v);
/* Up to len bytes from where the last read ended, at first from the start. Returns how many, 0 at
 * the end, or SHARD_ECHECKSUM, SHARD_ECORRUPT, -errno, each piece being checked before a byte of it
 * is given. */
SHARD_API SHARD_NODISCARD int64_t shard_value_read(struct shard_value *v, void *buf, size_t len,
                                                   struct shard_error *err);
/* The next read begins at byte `at`, or the end. */
SHARD_API void shard_value_seek(struct shard_value *v, uint64_t at);

#ifdef __cplusplus
}
#endif
#endif
