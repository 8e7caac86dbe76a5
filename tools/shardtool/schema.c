/* shardtool schema: the columns, in a form that --schema takes. */
#include "config.h"

#include <stdio.h>

#include "lib/report.h"
#include "shardfmt/schema.h"
#include "shardline/fmt.h"
#include "tools/cli.h"
#include "tools/shardtool/shardtool.h"

static const struct cli_opt opts[] = {
    CLI_OPT_JSON,
    {0},
};
static const struct cli_usage usage = {
    "DATASET", "Print the columns of a dataset and their types; ? marks one that may be null.", opts,
    NULL};

static json_t *
column_json(const struct shard_field *field)
{
    struct shard_field f = *field;
    char type[SHARD_TYPE_NAME_MAX];

    f.nullable = false; /* that is a field of its own */
    return json_pack("{s:o, s:s, s:b}", "name", cli_json_text(f.name), "type",
                     shard_field_type_name(&f, type), "nullable", field->nullable);
}

static int
print_json(const struct shard_dataset *ds)
{
    json_t *obj = json_object(), *list = json_array();

    for (uint32_t i = 0; i < shard_dataset_n_columns(ds); i++)
        json_array_append_new(list, column_json(shard_dataset_field(ds, i)));
    json_object_set_new(obj, "columns", list);
    return cli_print_json(obj);
}

int
cmd_schema(int argc, char **argv)
{
    struct shard_dataset *ds;
    struct shard_error err;
    const char *path;
    struct cli_args a;
    char type[SHARD_TYPE_NAME_MAX];
    int id, status = CLI_OK;

    cli_args_init(&a, &usage, argc, argv);
    while ((id = cli_args_next(&a)) > 0)
        ;
    if (id < 0 || !cli_args_one(&a, "dataset", &path))
        return a.status;
    if (shard_dataset_open(path, &ds, &err) < 0)
        return cli_fail_err(CLI_FAILED, &err);
    if (cli_json())
        status = print_json(ds);
    for (uint32_t i = 0; i < shard_dataset_n_columns(ds) && !cli_json(); i++) {
        const struct shard_field *f = shard_dataset_field(ds, i);

        printf("%s:%s\n", f->name, shard_field_type_name(f, type));
    }
    shard_dataset_close(ds);
    return status;
}
