/* Small datasets for tests, made through the project's own writer. Every value is a pure function
 * of (seed, column name, row), so that a test can say what must come out without keeping it. */
#ifndef TESTS_FMT_UTIL_H
#define TESTS_FMT_UTIL_H

#include "lib/buf.h"
#include "shardfmt/column.h"
#include "shardfmt/snapshot.h"

struct fmt_util_spec {
    const char *columns;       /* "row:uint64,text:string?,x:list<float32>"; NULL = these three */
    const char *splits;        /* "train,test": shard i is in split i modulo their number;
                                * NULL = "train" */
    uint32_t n_shards;         /* 0 = 1 */
    uint32_t groups_per_shard; /* 0 = 1 */
    uint32_t rows_per_group;   /* 0 = 100 */
    const uint32_t *group_rows; /* groups_per_shard numbers of rows; NULL = rows_per_group */
    bool vary;                 /* row groups hold between half of that and all of it */
    uint64_t seed;
    int zstd_level;      /* 0 = no compression */
    uint32_t page_bytes; /* 0 = default */
    uint32_t n_rejects;  /* records in one quarantine file; 0 = no such file */
};

/* For spec.columns: every type. */
#define FMT_UTIL_ALL_COLUMNS                                                                       \
    "row:uint64,b:bool?,i8:int8,i16:int16?,i32:int32,i64:int64?,u8:uint8,u16:uint16,u32:uint32?,"  \
    "f:float32?,d:float64,text:string?,bin:binary,l:list<int32>?,lf:list<float64>,"                \
    "sp:sparse<float32>,sd:sparse<float64>?,h:float16?,bf:bfloat16,ts:timestamp[ns],"              \
    "t3:tensor<float32,2,3>?,ls:list<string>?,lt:list<string>"

#define FMT_UTIL_LATE_ROW 4000u
#define FMT_UTIL_CLUMP_ROWS 4000u

/* Append rows [row0, row0 + n) of the column to c. A column named "row" holds the row's number, a
 * string column named "late" has 8 bytes in rows below FMT_UTIL_LATE_ROW and 10 KiB in others, one
 * named "clump" 160 KiB in the first 64 of every FMT_UTIL_CLUMP_ROWS rows and 8 bytes in others, one
 * named "huge" values that stand out of line in every fiftieth row. In nullable columns about every
 * fifth row is null. Text is of up to 60 bytes, binary of up to 40, lists and sparse vectors of up to
 * 9 elements (but a list named "long" of up to 999, and in every hundredth row of over 1 MiB), lists of
 * strings of up to 5; numbers take any value that their type can. */
int fmt_util_fill(const struct shard_field *f, uint64_t seed, uint64_t row0, uint64_t n,
                  struct fmt_column *c);
/* Rows of row group g of shard s, as spec gives them. */
uint32_t fmt_util_group_rows(const struct fmt_util_spec *spec, uint32_t s, uint32_t g);
/* "a:int32,b:string?" into ret, which is initialised here. */
int fmt_util_schema(const char *columns, struct fmt_schema *ret, struct shard_error *err);

/* Make a dataset of one snapshot in the directory path, which is created if need be. */
int fmt_util_make(const char *path, const struct fmt_util_spec *spec, struct shard_error *err);
/* The same, as far as shards in their places and the snapshot that lists them; not published.
 * row0: number of the first row. ret is initialised here. */
int fmt_util_shards(int dirfd, const struct fmt_util_spec *spec, uint64_t row0,
                    struct fmt_snapshot *ret, struct shard_error *err);

/* Whether rows [row0, row0 + n) of a equal rows [brow0, brow0 + n) of b. Where not, *ret_row is
 * the first such row, counted from row0. */
bool fmt_util_equal(const struct shard_array *a, uint64_t row0, const struct shard_array *b,
                    uint64_t brow0, uint64_t n, uint64_t *ret_row);

/* A fresh directory below $TMPDIR or /tmp; path is at least 256 bytes. Aborts on failure, as do the
 * next ones: tests cannot go on without. */
void fmt_util_tmpdir(char path[256]);
void fmt_util_rmtree(const char *path);
/* Regular files below path, relative to it, sorted; free each and the list. */
char **fmt_util_files(const char *path, size_t *ret_count);
void fmt_util_files_free(char **files, size_t count);
void fmt_util_read(int dirfd, const char *path, struct base_buf *ret); /* replaces its content */
void fmt_util_write(int dirfd, const char *path, const void *data, size_t len);

/* For programs with libcheck. That a call succeeds; it is given their struct shard_error err. */
#define must_ok(call) ck_assert_msg((call) >= 0, #call ": %s", err.text)

/* That it fails with this code, which err has too, and that the message holds `word`. */
#define must_fail(call, want, word)                                                                \
    do {                                                                                           \
        const int got_ = (call);                                                                   \
        ck_assert_msg(got_ == (want), #call " gave %d (%s), not %d", got_, err.text, (want));      \
        ck_assert_msg(strstr(err.text, (word)) != NULL, "\"%s\" does not say \"%s\"", err.text,    \
                      (word));                                                                     \
        ck_assert_int_eq(err.code, (want));                                                        \
    } while (0)

#endif
