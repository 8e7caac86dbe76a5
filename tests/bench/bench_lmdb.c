/* The same rows in LMDB (Debian: liblmdb-dev): key is the row's number, value is the text.
 *
 *     bench_lmdb load DATASET COLUMN FILE      rows of a Shardline dataset into a new FILE
 *     bench_lmdb take FILE CALLS ROWS-PER-CALL SEED
 *
 * take gets rows one by one, in the order drawn, in one read transaction, without readahead, and
 * prints what bench_take prints. */
#include "config.h"

#include <inttypes.h>
#include <lmdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shardline/fmt.h"
#include "tests/bench/random_rows.h"

#define MAP_BYTES (64ull << 30)

static void
must(int r)
{
    if (r != 0) {
        (void)fprintf(stderr, "bench_lmdb: %s\n", mdb_strerror(r));
        exit(1);
    }
}

static void
die(const struct shard_error *err)
{
    (void)fprintf(stderr, "bench_lmdb: %s\n", err->text);
    exit(1);
}

static void
open_env(const char *path, unsigned flags, unsigned db_flags, MDB_env **ret_env, MDB_txn **ret_txn,
         MDB_dbi *ret_dbi)
{
    must(mdb_env_create(ret_env));
    must(mdb_env_set_mapsize(*ret_env, MAP_BYTES));
    must(mdb_env_open(*ret_env, path, flags | MDB_NOSUBDIR, 0644));
    must(mdb_txn_begin(*ret_env, NULL, flags & MDB_RDONLY, ret_txn));
    must(mdb_dbi_open(*ret_txn, NULL, MDB_INTEGERKEY | db_flags, ret_dbi));
}

static void
put_group(MDB_txn *txn, MDB_dbi dbi, uint64_t row0, const struct shard_array *a)
{
    for (uint64_t i = 0; i < a->n_rows; i++) {
        uint64_t row = row0 + i;
        MDB_val key = {sizeof(row), &row};
        MDB_val value = {(size_t)(a->offsets[i + 1] - a->offsets[i]),
                         (char *)(uintptr_t)a->values + a->offsets[i]};

        must(mdb_put(txn, dbi, &key, &value, MDB_APPEND));
    }
}

static void
load(const char *dataset, const char *column, const char *path)
{
    struct shard_error err = {0};
    struct shard_group_info info;
    struct shard_dataset *ds;
    struct shard_group *g;
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    uint32_t col;

    if (shard_dataset_open(dataset, &ds, &err) < 0 || shard_group_new(&g) < 0)
        die(&err);
    col = (uint32_t)shard_dataset_find_column(ds, column);
    open_env(path, MDB_NOSYNC, MDB_CREATE, &env, &txn, &dbi);
    for (uint64_t i = 0; i < shard_dataset_n_groups(ds); i++) {
        shard_dataset_group_info(ds, i, &info);
        if (shard_dataset_read_group(ds, i, &col, 1, g, &err) < 0)
            die(&err);
        put_group(txn, dbi, info.row0, shard_group_array(g, 0));
    }
    must(mdb_txn_commit(txn));
    must(mdb_env_sync(env, 1));
    mdb_env_close(env);
    shard_group_free(g);
    shard_dataset_close(ds);
}

static void
take(const char *path, uint64_t n_calls, uint64_t n_rows, uint64_t seed)
{
    uint64_t *rows = calloc(n_rows + 1, sizeof(*rows)), *ns = calloc(n_calls + 1, sizeof(*ns));
    uint64_t total = 0, sum = 0;
    MDB_stat st;
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;

    if (rows == NULL || ns == NULL)
        exit(1);
    open_env(path, MDB_RDONLY | MDB_NORDAHEAD, 0, &env, &txn, &dbi);
    must(mdb_stat(txn, dbi, &st));
    for (uint64_t i = 0; i < n_calls; i++) {
        const uint64_t start = random_rows_now();

        random_rows_draw(&seed, st.ms_entries, rows, n_rows);
        for (uint64_t k = 0; k < n_rows; k++) {
            MDB_val key = {sizeof(rows[k]), &rows[k]}, value;

            must(mdb_get(txn, dbi, &key, &value));
            sum += random_rows_sum(value.mv_data, value.mv_size);
        }
        ns[i] = random_rows_now() - start;
        total += ns[i];
    }
    random_rows_print(ns, n_calls, total, n_rows, sum);
    printf("\"io\":\"mmap\"}\n");
    mdb_txn_abort(txn);
    mdb_env_close(env);
    free(rows);
    free(ns);
}

int
main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "load") == 0)
        load(argv[2], argv[3], argv[4]);
    else if (argc == 6 && strcmp(argv[1], "take") == 0)
        take(argv[2], strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10),
             strtoull(argv[5], NULL, 10));
    else
        return 2;
    return 0;
}
