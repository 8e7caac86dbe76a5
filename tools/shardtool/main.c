/* shardtool: raw corpora to datasets, and looking into datasets. */
#include "config.h"

#include "tools/cli.h"
#include "tools/shardtool/shardtool.h"

static const struct cli_verb verbs[] = {
    {"ingest", cmd_ingest, "make a dataset of files, folders and archives"},
    {"info", cmd_info, "what a dataset holds and what it takes"},
    {"schema", cmd_schema, "its columns and their types"},
    {"stats", cmd_stats, "what is known of each column without reading it"},
    {"head", cmd_head, "its first rows, as JSON lines"},
    {"cat", cmd_cat, "all rows, as JSON lines"},
    {"get", cmd_get, "rows by their number, as JSON lines"},
    {"export", cmd_export, "rows as JSON lines or CSV, to a file"},
    {"rejects", cmd_rejects, "the records that could not be read, each with its reason"},
    {"bench", cmd_bench, "stream it as training would, and say what limits that"},
    {"verify", cmd_verify, "check every byte of a dataset"},
    {"recover", cmd_recover, "make a snapshot of what is whole where the newest one is damaged"},
    {0},
};

/* Verbs of the design that are not built yet. */
static const char *const later[] = {"plan",    "log",    "dedup",    "split", "merge",
                                    "compact", "delete", "rollback", "gc",    "diff", NULL};

int
main(int argc, char **argv)
{
    static const struct cli_program program = {
        .name = "shardtool",
        .summary = "Turn raw corpora into sharded, columnar, compressed datasets.",
        .verbs = verbs,
        .later = later,
    };

    return cli_main(&program, argc, argv);
}
