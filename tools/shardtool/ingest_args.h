/* The command line of `shardtool ingest`, understood. */
#ifndef SHARDTOOL_INGEST_ARGS_H
#define SHARDTOOL_INGEST_ARGS_H

#include "lib/progress.h"
#include "tools/cli.h"
#include "tools/ingest/ingest.h"

/* Strings in a row; owned. */
struct strings {
    char **items;
    size_t count, cap;
};

struct ingest_args {
    struct ingest_opts opts;      /* points into the rest */
    struct ingest_files files;
    struct strings include, exclude, columns, dedup_key, split_key;
    struct strings option_text;   /* every option that decides the bytes of the dataset */
    struct ingest_path_column *path_columns;
    struct ingest_min_length *min_lengths;
    struct ingest_rename *renames;
    struct ingest_split *splits;
    struct ingest_column_opt *column_opts;
    size_t n_path_columns, n_min_lengths, n_renames, n_splits, n_column_opts;
    struct strings path_column_text; /* as given, for option_text */
    enum base_progress_mode progress;
};

/* 0, or the status to exit with (a message was printed, or --help) in *ret_status and -1. Call
 * ingest_args_done() in any case. */
int ingest_args_parse(struct ingest_args *a, int argc, char **argv, int *ret_status);
void ingest_args_done(struct ingest_args *a);

#endif
