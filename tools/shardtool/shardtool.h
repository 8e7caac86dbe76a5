/* The verbs of shardtool, one file each: int cmd_X(int argc, char **argv) takes the arguments from
 * the verb's name on and returns an exit status (tools/cli.h). */
#ifndef SHARDTOOL_SHARDTOOL_H
#define SHARDTOOL_SHARDTOOL_H

int cmd_bench(int argc, char **argv);
int cmd_cat(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_get(int argc, char **argv);
int cmd_head(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_ingest(int argc, char **argv);
int cmd_recover(int argc, char **argv);
int cmd_rejects(int argc, char **argv);
int cmd_schema(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_verify(int argc, char **argv);

#endif
