#include "config.h"

#include "tools/ingest/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "lib/arith.h"
#include "lib/fail.h"

#define UNIT_FILES_MAX     256u
#define UNIT_BYTES         (1u << 20)
#define READ_CHARGE        (2ull * INGEST_BATCH_BYTES) /* while it is read; then what it is */
#define PARSE_FACTOR       3u  /* parsed rows and hashes against bytes of text, to begin with */
#define PARSE_AHEAD        2u  /* batches being parsed beyond one per thread */
#define REJECT_CHARGE      384u /* a record and its strings, each a piece of malloc() */
#define SPOOLED_CHARGE     (4ull << 20) /* an open file, and what is in it is on disk twice */
#define SPOOLED_SHARE      4u   /* one part in so many of the descriptors is for them */
#define MALLOC_SHARE       8u   /* one part in so many is lost between the pieces */
#define OPEN_AHEAD         3u  /* units open beyond one per thread */
#define UNIT_BATCHES_AHEAD 256u

/* ------------------------------------------------------------------------------------ units */

static bool
file_is_small(const struct ingest_file *f)
{
    return f->path != NULL && f->size > 0 && f->size < UNIT_BYTES;
}

/* Files that follow each other and are small together make one unit. */
static int
make_units(struct ingest_reader *rd)
{
    const struct ingest_files *files = rd->files;
    uint64_t bytes = 0;

    rd->units = calloc(files->count ? files->count : 1, sizeof(*rd->units));
    if (rd->units == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < files->count; i++) {
        struct ingest_unit *u = rd->n_units ? &rd->units[rd->n_units - 1] : NULL;

        if (u && bytes > 0 && file_is_small(&files->items[i]) && u->count < UNIT_FILES_MAX &&
            bytes + files->items[i].size <= UNIT_BYTES) {
            u->count++;
        } else {
            u = &rd->units[rd->n_units++];
            u->first = u->cur = i;
            u->count = 1;
            u->end = &u->batches;
            bytes = 0;
        }
        if (file_is_small(&files->items[i]))
            bytes += files->items[i].size;
    }
    return 0;
}

static bool
unit_is_open(const struct ingest_unit *u)
{
    return u->charge > 0;
}

/* Decompressors hold windows (xz: up to 8 MiB with the usual presets), but no more than a
 * multiple of what they read. */
static uint64_t
unit_charge(const struct ingest_reader *rd, const struct ingest_unit *u)
{
    const uint64_t size = rd->files->items[u->first].path ? rd->files->items[u->first].size
                                                          : UINT64_MAX / 8;

    return (1u << 20) + BASE_MIN(4 * size, 12u << 20);
}

static void
unit_close(struct ingest_reader *rd, struct ingest_unit *u)
{
    ingest_cutter_close(u->cutter);
    u->cutter = NULL;
    base_budget_give(rd->budget, u->charge);
    u->charge = 0;
}

/* ---------------------------------------------------------------------------------- batches */

void
ingest_batch_recharge(struct ingest_batch *b, uint64_t charge)
{
    base_budget_give(b->reader->budget, b->charge);
    base_budget_force(b->reader->budget, charge);
    b->charge = charge;
}

void
ingest_batch_free(struct ingest_batch *b)
{
    if (b == NULL)
        return;
    for (uint32_t i = 0; i < b->n_blocks; i++) {
        ingest_block_free(b->blocks[i]);
        ingest_rejects_done(&b->rejects[i]);
        ingest_rows_free(b->rows[i]);
        free(b->raw_bytes[i]);
    }
    ingest_infer_free(b->infer);
    base_budget_give(b->reader->budget, b->charge);
    b->reader->n_spooled -= b->spooled;
    free(b);
}

void
ingest_batch_unref(struct ingest_batch *b)
{
    if (--b->n_refs == 0)
        ingest_batch_free(b);
}

/* Values of the rows that are on disk. */
static size_t
count_spooled(const struct ingest_rows *rows)
{
    size_t n = 0;

    for (uint32_t c = 0; c < rows->n_cols; c++)
        n += rows->cols[c].far.len / sizeof(struct shard_far);
    return n;
}

uint64_t
ingest_batch_memory(const struct ingest_batch *b)
{
    uint64_t sum = sizeof(*b);

    for (uint32_t i = 0; i < b->n_blocks; i++) {
        const struct ingest_block *k = b->blocks[i];
        const struct ingest_rows *rows = b->rows[i];

        if (k)
            sum += sizeof(*k) + k->data.cap + k->header.cap + k->rejects.count * REJECT_CHARGE +
                   (k->spooled ? SPOOLED_CHARGE : 0);
        if (rows)
            sum += ingest_rows_memory(rows) + rows->n_rows * sizeof(uint32_t) +
                   count_spooled(rows) * SPOOLED_CHARGE;
        sum += b->rejects[i].count * REJECT_CHARGE;
    }
    return sum + sum / MALLOC_SHARE;
}

void
ingest_reader_fail(struct ingest_reader *rd, int result, const struct shard_error *err)
{
    if (rd->result < 0 || result == -ECANCELED)
        return;
    rd->result = result;
    rd->err = *err;
    rd->err.code = result;
}

/* ---------------------------------------------------------------- reading, on a pool thread */

static void
counts_add(struct ingest_walk_counts *sum, const struct ingest_walk_counts *c)
{
    sum->entries += c->entries;
    sum->entries_skipped += c->entries_skipped;
    sum->links_skipped += c->links_skipped;
    sum->bytes_raw += c->bytes_raw;
    sum->bytes_unpacked += c->bytes_unpacked;
}

/* The open file is at its end: note what it was, go to the next. */
static int
unit_next_file(struct ingest_reader *rd, struct ingest_unit *u, struct shard_error *err)
{
    struct ingest_walk *walk = ingest_cutter_walk(u->cutter);
    struct ingest_file_facts *facts = &rd->facts[u->cur];
    struct ingest_walk_counts counts;
    int r;

    r = ingest_walk_file_hash(walk, &facts->hash, &facts->size, err);
    if (r < 0)
        return r;
    ingest_walk_get_counts(walk, &counts);
    counts_add(&u->closed, &counts);
    ingest_cutter_close(u->cutter);
    u->cutter = NULL;
    u->cur++;
    return 0;
}

/* 1 and a block, or 0 at the end of the unit. */
static int
unit_next_block(struct ingest_reader *rd, struct ingest_unit *u, struct ingest_block **ret,
                struct shard_error *err)
{
    int r;

    while (u->cur < u->first + u->count) {
        if (u->cutter == NULL) {
            r = ingest_cutter_open(&rd->files->items[u->cur], &rd->cut, &u->cutter, err);
            if (r < 0)
                return r;
        }
        r = ingest_cutter_next(u->cutter, ret, err);
        if (r != 0)
            return r;
        r = unit_next_file(rd, u, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static void
read_run(struct ingest_work *w, struct base_worker *worker)
{
    struct ingest_batch *b = BASE_CONTAINER_OF(w, struct ingest_batch, work);
    struct ingest_unit *u = b->unit;
    int r = 1;

    (void)worker;
    while (b->n_blocks < INGEST_BATCH_BLOCKS && b->data_bytes < INGEST_BATCH_BYTES) {
        struct ingest_block *k;

        r = unit_next_block(b->reader, u, &k, &w->err);
        if (r <= 0)
            break;
        b->blocks[b->n_blocks++] = k;
        b->spooled = k->spooled != NULL;
        b->data_bytes += k->spooled ? INGEST_BATCH_BYTES : k->data.len;
    }
    w->result = r < 0 ? r : 0;
    b->ends_unit = r == 0;
    b->counts = u->closed;
    if (u->cutter) {
        struct ingest_walk_counts open;

        ingest_walk_get_counts(ingest_cutter_walk(u->cutter), &open);
        counts_add(&b->counts, &open);
    }
}

static void
read_done(struct ingest_work *w)
{
    struct ingest_batch *b = BASE_CONTAINER_OF(w, struct ingest_batch, work);
    struct ingest_unit *u = b->unit;

    u->reading = NULL;
    b->reader->n_spooled += b->spooled;
    if (w->result < 0) {
        ingest_reader_fail(b->reader, w->result, &w->err);
        ingest_batch_free(b);
        return;
    }
    u->counts = b->counts;
    u->ended = b->ends_unit;
    if (u->ended)
        unit_close(b->reader, u);
    if (b->n_blocks == 0) {
        ingest_batch_free(b);
        return;
    }
    ingest_batch_recharge(b, ingest_batch_memory(b));
    b->state = INGEST_BATCH_CUT;
    *u->end = b;
    u->end = &b->next;
    u->n_ahead++;
}

/* ---------------------------------------------------------------- parsing, on a pool thread */

/* What each row counts for in its row group. */
static int
measure_rows(const struct ingest_rows *rows, uint32_t **ret)
{
    uint32_t *raw = calloc(rows->n_rows ? rows->n_rows : 1, sizeof(*raw));

    if (raw == NULL)
        return -ENOMEM;
    for (uint32_t c = 0; c < rows->n_cols && rows->n_rows > 0; c++) {
        struct shard_array a;
        uint32_t fixed;

        fmt_column_array(&rows->cols[c], &a);
        fixed = (uint32_t)fmt_array_raw_bytes(&a, 0, 1);
        for (uint64_t i = 0; i < rows->n_rows; i++) {
            const uint64_t sum = raw[i] + (a.offsets ? fmt_array_raw_bytes(&a, i, 1) : fixed);

            raw[i] = (uint32_t)BASE_MIN(sum, UINT32_MAX); /* which closes any row group */
        }
    }
    *ret = raw;
    return 0;
}

static int
parse_block(struct ingest_batch *b, uint32_t i, struct ingest_parser *parser,
            struct shard_error *err)
{
    const struct ingest_plan *plan = b->reader->plan;
    int r;

    r = ingest_rows_new(plan, &b->rows[i]);
    if (r < 0)
        return base_fail(err, r, "parsing a block");
    r = ingest_parse_block(parser, b->blocks[i], b->rows[i], err);
    if (r < 0)
        return r;
    r = ingest_rejects_move(&b->rejects[i], &b->blocks[i]->rejects);
    if (r == 0)
        r = ingest_rejects_move(&b->rejects[i], &b->rows[i]->rejects);
    if (r == 0)
        r = measure_rows(b->rows[i], &b->raw_bytes[i]);
    if (r < 0)
        return base_fail(err, r, "parsing a block");
    ingest_block_free(b->blocks[i]);
    b->blocks[i] = NULL;
    return 0;
}

static void
parse_run(struct ingest_work *w, struct base_worker *worker)
{
    struct ingest_batch *b = BASE_CONTAINER_OF(w, struct ingest_batch, work);
    struct ingest_parser **parser = &b->reader->parsers[worker->id]; /* this thread's alone */
    int r = 0;

    if (*parser == NULL)
        r = ingest_parser_new(b->reader->plan, parser);
    if (r < 0) {
        w->result = base_fail(&w->err, r, "making a parser");
        return;
    }
    for (uint32_t i = 0; i < b->n_blocks && r == 0; i++)
        r = parse_block(b, i, *parser, &w->err);
    w->result = r;
}

static void
parse_done(struct ingest_work *w)
{
    struct ingest_batch *b = BASE_CONTAINER_OF(w, struct ingest_batch, work);
    struct ingest_reader *rd = b->reader;
    uint64_t factor;

    b->state = INGEST_BATCH_PARSED;
    ingest_infer_free(b->infer); /* looked at beyond the sample, in vain */
    b->infer = NULL;
    if (w->result < 0)
        ingest_reader_fail(rd, w->result, &w->err);
    ingest_batch_recharge(b, ingest_batch_memory(b));
    /* Records of a few bytes, bad ones above all, take many times what they are in the file. */
    factor = 1 + b->charge / BASE_MAX(b->data_bytes, 1u);
    rd->parse_factor = BASE_MAX(PARSE_FACTOR, BASE_MAX(factor, rd->parse_factor - 1));
    rd->n_parsing--;
}

/* ------------------------------------------------------------------------ what to start next */

static bool
room_for(const struct ingest_reader *rd, uint64_t bytes)
{
    const uint64_t used = base_budget_used(rd->budget) + rd->spare;

    return used <= rd->budget->limit && bytes <= rd->budget->limit - used;
}

static int
start_read(struct ingest_reader *rd, struct ingest_unit *u, enum ingest_priority prio)
{
    struct ingest_batch *b = calloc(1, sizeof(*b));

    if (b == NULL)
        return base_fail(&rd->err, -ENOMEM, "reading the input");
    if (!unit_is_open(u)) {
        u->charge = unit_charge(rd, u);
        base_budget_force(rd->budget, u->charge);
    }
    b->reader = rd;
    b->unit = u;
    b->n_refs = 1;
    b->charge = READ_CHARGE;
    base_budget_force(rd->budget, b->charge);
    b->work.run = read_run;
    b->work.done = read_done;
    u->reading = b;
    ingest_crew_submit(rd->crew, &b->work, prio);
    return 0;
}

void
ingest_reader_pump_reads(struct ingest_reader *rd)
{
    unsigned n_open = 0;

    for (size_t i = rd->head; i < rd->n_units && rd->result == 0; i++) {
        struct ingest_unit *u = &rd->units[i];
        const uint64_t need = READ_CHARGE + (unit_is_open(u) ? 0 : unit_charge(rd, u));
        const bool must = i == rd->head && u->n_ahead == 0;

        if (u->ended)
            continue;
        if (++n_open > rd->n_threads + OPEN_AHEAD)
            return;
        if (u->reading || u->n_ahead >= UNIT_BATCHES_AHEAD)
            continue;
        if (!must && (!room_for(rd, need) || rd->n_spooled + n_open > rd->spooled_max))
            return;
        if (start_read(rd, u, i == rd->head ? INGEST_PRIO_READ : INGEST_PRIO_READ_LATER) < 0)
            rd->result = -ENOMEM;
    }
}

static void
pump_parses(struct ingest_reader *rd)
{
    for (size_t i = rd->head; i < rd->n_units; i++) {
        struct ingest_unit *u = &rd->units[i];

        for (struct ingest_batch *b = u->batches; b; b = b->next) {
            const uint64_t need = rd->parse_factor * b->data_bytes;
            const bool must = i == rd->head && b == u->batches;

            if (b->state != INGEST_BATCH_CUT && b->state != INGEST_BATCH_INFERRED)
                continue;
            if (!must && (rd->n_parsing >= rd->n_threads + PARSE_AHEAD || !room_for(rd, need)))
                return;
            rd->n_parsing++;
            ingest_batch_recharge(b, b->charge + need);
            b->state = INGEST_BATCH_PARSING;
            b->work.run = parse_run;
            b->work.done = parse_done;
            ingest_crew_submit(rd->crew, &b->work,
                               i == rd->head ? INGEST_PRIO_PARSE : INGEST_PRIO_PARSE_LATER);
        }
    }
}

void
ingest_reader_pump(struct ingest_reader *rd)
{
    if (rd->result < 0)
        return;
    if (rd->plan)
        pump_parses(rd);
    ingest_reader_pump_reads(rd);
}

/* Move the head past units that gave everything. */
static void
skip_ended(struct ingest_reader *rd)
{
    while (rd->head < rd->n_units) {
        const struct ingest_unit *u = &rd->units[rd->head];

        if (!u->ended || u->reading || u->batches)
            return;
        rd->head++;
    }
}

bool
ingest_reader_ended(const struct ingest_reader *rd)
{
    return rd->head == rd->n_units;
}

struct ingest_batch *
ingest_reader_take(struct ingest_reader *rd)
{
    struct ingest_unit *u;
    struct ingest_batch *b;

    skip_ended(rd);
    if (rd->head == rd->n_units)
        return NULL;
    u = &rd->units[rd->head];
    b = u->batches;
    if (b == NULL || b->state != INGEST_BATCH_PARSED)
        return NULL;
    u->batches = b->next;
    if (u->batches == NULL)
        u->end = &u->batches;
    u->n_ahead--;
    b->next = NULL;
    skip_ended(rd);
    return b;
}

/* ----------------------------------------------------------------------------- open, close */

/* Each holds a descriptor, and memory alone would let too many wait. */
static uint64_t
spooled_max(void)
{
    struct rlimit lim;

    return getrlimit(RLIMIT_NOFILE, &lim) < 0 ? UINT64_MAX : (uint64_t)lim.rlim_cur / SPOOLED_SHARE;
}

int
ingest_reader_open(struct ingest_reader *rd, struct ingest_crew *crew, struct base_budget *budget,
                   const struct ingest_files *files, const struct ingest_cut_opts *cut,
                   const struct ingest_parse_opts *parse, struct shard_error *err)
{
    memset(rd, 0, sizeof(*rd));
    rd->crew = crew;
    rd->budget = budget;
    rd->files = files;
    rd->cut = *cut;
    rd->parse = parse;
    rd->n_threads = base_pool_threads(crew->pool);
    rd->parse_factor = PARSE_FACTOR;
    rd->spooled_max = spooled_max();
    rd->parsers = calloc(rd->n_threads, sizeof(struct ingest_parser *));
    rd->facts = calloc(files->count ? files->count : 1, sizeof(*rd->facts));
    if (rd->parsers == NULL || rd->facts == NULL || make_units(rd) < 0) {
        ingest_reader_close(rd);
        return base_fail(err, -ENOMEM, "reading the input");
    }
    return 0;
}

void
ingest_reader_rewind(struct ingest_reader *rd)
{
    for (size_t i = 0; i < rd->n_units; i++) {
        struct ingest_unit *u = &rd->units[i];

        while (u->batches) {
            struct ingest_batch *b = u->batches;

            u->batches = b->next;
            ingest_batch_free(b);
        }
        unit_close(rd, u);
        *u = (struct ingest_unit){.first = u->first, .cur = u->first, .count = u->count};
        u->end = &u->batches;
    }
    rd->head = 0;
}

void
ingest_reader_close(struct ingest_reader *rd)
{
    if (rd->units)
        ingest_reader_rewind(rd);
    for (unsigned i = 0; rd->parsers && i < rd->n_threads; i++)
        ingest_parser_free(rd->parsers[i]);
    free(rd->parsers);
    free(rd->facts);
    free(rd->units);
    rd->parsers = NULL;
    rd->facts = NULL;
    rd->units = NULL;
    rd->n_units = 0;
}

void
ingest_reader_get_counts(const struct ingest_reader *rd, struct ingest_walk_counts *ret)
{
    memset(ret, 0, sizeof(*ret));
    for (size_t i = 0; i < rd->n_units; i++)
        counts_add(ret, &rd->units[i].counts);
}
