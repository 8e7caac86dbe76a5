#include "config.h"

#include "train/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/arith.h"
#include "lib/endian.h"
#include "lib/fail.h"
#include "lib/fs.h"
#include "lib/hash.h"
#include "train/file.h"

#define HEADER_MAX (100u << 20) /* what readers of the format accept */
#define ALIGN      64u          /* of the first number in the file */

static char *
dump(json_t *obj)
{
    char *text = json_dumps(obj, JSON_COMPACT);

    json_decref(obj);
    return text;
}

static json_t *
metadata(const struct train_model *m, const struct train_spec *spec, uint64_t model_hash)
{
    char hex[BASE_HEX64_LEN + 1];
    char *options = dump(train_options_to_json(&spec->o));
    char *classes = dump(train_classes_to_json(&spec->classes));
    json_t *meta;

    base_hex64(model_hash, hex);
    meta = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "format", "shardline", "format_version",
                     "1", "model", train_model_kind_name(m->opts.kind), "options",
                     options ? options : "", "classes", classes ? classes : "", "snapshot",
                     spec->snapshot, "model_hash", hex);
    free(options);
    free(classes);
    return meta;
}

static json_t *
tensor_entry(const struct train_tensor *t, uint64_t off)
{
    json_t *shape = json_array();

    if (!t->vector)
        json_array_append_new(shape, json_integer((json_int_t)t->rows));
    json_array_append_new(shape, json_integer((json_int_t)t->width));
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F32", "shape", shape, "data_offsets",
                     (json_int_t)off, (json_int_t)(off + train_tensor_bytes(t)));
}

int
train_safetensors_write(int dirfd, const struct train_model *m, const struct train_spec *spec,
                        uint64_t model_hash, struct shard_error *err)
{
    struct train_tensor t[TRAIN_TENSORS_MAX];
    const unsigned n = train_model_tensors(m, t);
    struct train_file f = {.fd = -1};
    json_t *header = json_object();
    uint64_t off = 0;
    uint8_t len[8];
    char spaces[ALIGN], *text;
    size_t pad;
    int r;

    json_object_set_new(header, "__metadata__", metadata(m, spec, model_hash));
    for (unsigned i = 0; i < n && !t[i].state; i++) {
        json_object_set_new(header, t[i].name, tensor_entry(&t[i], off));
        off += train_tensor_bytes(&t[i]);
    }
    text = dump(header);
    if (text == NULL)
        return base_fail(err, -ENOMEM, TRAIN_MODEL_FILE);
    pad = base_align_up(8 + strlen(text), ALIGN) - 8 - strlen(text);
    memset(spaces, ' ', sizeof(spaces));
    base_store_le64(len, strlen(text) + pad);
    r = train_file_begin(&f, dirfd, TRAIN_MODEL_FILE, err);
    if (r >= 0)
        r = train_file_write(&f, len, sizeof(len), err);
    if (r >= 0)
        r = train_file_write(&f, text, strlen(text), err);
    if (r >= 0)
        r = train_file_write(&f, spaces, pad, err);
    for (unsigned i = 0; i < n && !t[i].state && r >= 0; i++)
        r = train_file_write_tensor(&f, &t[i], err);
    if (r >= 0)
        r = train_file_commit(&f, err);
    train_file_abort(&f);
    free(text);
    return r;
}

/* ---- reading ---- */

static json_t *
parse_string(const json_t *meta, const char *key)
{
    const json_t *text = json_object_get(meta, key);

    return json_loadb(json_string_value(text) ? json_string_value(text) : "",
                      json_string_length(text), JSON_ALLOW_NUL, NULL);
}

static int
read_spec(const json_t *meta, struct train_spec *spec, struct shard_error *err)
{
    const char *format = json_string_value(json_object_get(meta, "format"));
    const char *version = json_string_value(json_object_get(meta, "format_version"));
    const char *snapshot = json_string_value(json_object_get(meta, "snapshot"));
    const char *hash = json_string_value(json_object_get(meta, "model_hash"));
    json_t *options = parse_string(meta, "options"), *classes = parse_string(meta, "classes");
    int r;

    if (format == NULL || strcmp(format, "shardline") != 0)
        r = base_fail(err, SHARD_EUNSUPPORTED, "not a model of Shardline");
    else if (version == NULL || strcmp(version, "1") != 0)
        r = base_fail(err, SHARD_EUNSUPPORTED, "a model of another version of Shardline");
    else if (!options || !classes || !hash || !snapshot || strlen(snapshot) != 32)
        r = base_fail(err, SHARD_ECORRUPT, "its metadata is incomplete");
    else
        r = train_options_from_json(&spec->o, options, err);
    if (r >= 0) {
        memcpy(spec->snapshot, snapshot, 33);
        spec->model_hash = strtoull(hash, NULL, 16);
        r = train_classes_from_json(&spec->classes, classes, err);
    }
    json_decref(options);
    json_decref(classes);
    return r;
}

/* Offset of tensor t within the file's data, after checking that its entry has t's shape. */
static int
find_tensor(const json_t *header, const struct train_tensor *t, uint64_t data_len, uint64_t *ret,
            struct shard_error *err)
{
    const json_t *e = json_object_get(header, t->name);
    const json_t *shape = json_object_get(e, "shape"), *offs = json_object_get(e, "data_offsets");
    const char *dtype = json_string_value(json_object_get(e, "dtype"));
    const json_int_t rows = json_integer_value(json_array_get(shape, 0));
    const json_int_t width = json_integer_value(json_array_get(shape, t->vector ? 0 : 1));
    const json_int_t from = json_integer_value(json_array_get(offs, 0));
    const json_int_t to = json_integer_value(json_array_get(offs, 1));

    if (dtype == NULL || strcmp(dtype, "F32") != 0 ||
        json_array_size(shape) != (t->vector ? 1u : 2u) || width != (json_int_t)t->width ||
        (!t->vector && rows != (json_int_t)t->rows) || from < 0 || to < from ||
        (uint64_t)to > data_len || (uint64_t)(to - from) != train_tensor_bytes(t))
        return base_fail(err, SHARD_ECORRUPT, "tensor %s is missing or of another shape", t->name);
    *ret = (uint64_t)from;
    return 0;
}

static int
read_model(int fd, const json_t *header, uint64_t data_off, uint64_t data_len,
           const struct train_spec *spec, struct train_model **ret_model, struct shard_error *err)
{
    struct train_tensor t[TRAIN_TENSORS_MAX];
    struct train_model_opts mo;
    struct train_model *m = NULL;
    unsigned n;
    int r;

    train_spec_model_opts(spec, false, &mo);
    mo.memory = UINT64_MAX; /* the file's size is the limit, below: it was trained somewhere */
    if (mo.growable) { /* as many rows as were learnt */
        const json_t *shape = json_object_get(json_object_get(header, "weight"), "shape");
        const json_int_t rows = json_integer_value(json_array_get(shape, 0));

        if (rows < 0 || (uint64_t)rows > data_len)
            return base_fail(err, SHARD_ECORRUPT, "tensor weight has an impossible shape");
        mo.n_table = (uint64_t)rows;
    }
    if (train_model_bytes(&mo) / 16 > data_len + (1u << 20)) /* strides pad by less than that */
        return base_fail(err, SHARD_ETRUNC, "the file is too short for its model");
    r = train_model_new(&mo, &m, err);
    if (r < 0)
        return r;
    n = train_model_tensors(m, t);
    for (unsigned i = 0; i < n && r >= 0; i++) {
        uint64_t off = 0, hash;

        r = find_tensor(header, &t[i], data_len, &off, err);
        if (r >= 0)
            r = train_file_read_tensor(fd, TRAIN_MODEL_FILE, data_off + off, &t[i], &hash, err);
    }
    if (r >= 0 && train_model_hash(m) != spec->model_hash)
        r = base_fail(err, SHARD_ECHECKSUM, "its numbers do not match its model_hash");
    if (r >= 0)
        *ret_model = m;
    else
        train_model_free(m);
    return r;
}

int
train_safetensors_read(int dirfd, struct train_spec *ret_spec, struct train_model **ret_model,
                       struct shard_error *err)
{
    uint64_t size = 0, len;
    char *text = NULL;
    json_t *header = NULL;
    uint8_t bytes[8];
    int fd, r;

    train_spec_init(ret_spec);
    fd = openat(dirfd, TRAIN_MODEL_FILE, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return base_fail(err, -errno, TRAIN_MODEL_FILE);
    r = base_file_size(fd, TRAIN_MODEL_FILE, &size, err);
    if (r >= 0)
        r = base_pread_full(fd, bytes, sizeof(bytes), 0, TRAIN_MODEL_FILE, err);
    if (r < 0)
        goto out;
    len = base_load_le64(bytes);
    if (len > HEADER_MAX || len > size - 8) {
        r = base_fail(err, SHARD_ECORRUPT, "a header of %" PRIu64 " bytes", len);
        goto out;
    }
    text = malloc(len + 1);
    if (text == NULL) {
        r = base_fail(err, -ENOMEM, "a header of %" PRIu64 " bytes", len);
        goto out;
    }
    r = base_pread_full(fd, text, len, 8, TRAIN_MODEL_FILE, err);
    if (r < 0)
        goto out;
    header = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(header)) {
        r = base_fail(err, SHARD_ECORRUPT, "its header is no JSON object");
        goto out;
    }
    r = read_spec(json_object_get(header, "__metadata__"), ret_spec, err);
    if (r >= 0 && ret_model != NULL)
        r = read_model(fd, header, 8 + len, size - 8 - len, ret_spec, ret_model, err);
out:
    json_decref(header);
    free(text);
    (void)close(fd);
    if (r < 0) {
        train_spec_done(ret_spec);
        r = base_fail_in(err, r, TRAIN_MODEL_FILE);
    }
    return r;
}
