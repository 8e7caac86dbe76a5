#include "config.h"

#include "tools/ingest/sample.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "lib/fail.h"

#define KEEP_SHARE 4u /* a sample above this part of the budget is read again instead of kept */

struct sample {
    struct ingest_reader *rd;
    struct ingest_infer *infer; /* of the batches so far, in order */
    uint64_t bytes, wanted;
    uint64_t kept;              /* charges of the sampled batches that wait for parsing */
    bool rewind;                /* they were too much: read again */
};

/* ------------------------------------------------------------------------- on a pool thread */

static void
infer_run(struct ingest_work *w, struct base_worker *worker)
{
    struct ingest_batch *b = BASE_CONTAINER_OF(w, struct ingest_batch, work);
    int r;

    (void)worker;
    r = ingest_infer_new(b->reader->parse, &b->infer);
    if (r < 0)
        base_fail(&w->err, r, "looking at the input");
    for (uint32_t i = 0; i < b->n_blocks && r == 0; i++)
        r = ingest_infer_block(b->infer, b->blocks[i], &w->err);
    w->result = r;
}

/* -------------------------------------------------------------------- on the deciding thread */

static void
infer_done(struct ingest_work *w)
{
    struct ingest_batch *b = BASE_CONTAINER_OF(w, struct ingest_batch, work);

    b->state = INGEST_BATCH_INFERRED;
    if (w->result < 0)
        ingest_reader_fail(b->reader, w->result, &w->err);
}

static void
pump_infers(struct ingest_reader *rd)
{
    for (size_t i = rd->head; i < rd->n_units; i++) {
        for (struct ingest_batch *b = rd->units[i].batches; b; b = b->next) {
            if (b->state != INGEST_BATCH_CUT || b->sampled)
                continue;
            b->state = INGEST_BATCH_INFERRING;
            b->work.run = infer_run;
            b->work.done = infer_done;
            ingest_crew_submit(rd->crew, &b->work,
                               i == rd->head ? INGEST_PRIO_PARSE : INGEST_PRIO_PARSE_LATER);
        }
    }
}

static bool
can_read_again(const struct ingest_files *files)
{
    struct stat st;

    for (size_t i = 0; i < files->count; i++) {
        if (files->items[i].path == NULL || stat(files->items[i].path, &st) < 0 ||
            !S_ISREG(st.st_mode))
            return false;
    }
    return true;
}

/* Whether what was sampled should not be kept; a pipe is, where memory alone does not forbid it. */
static bool
sample_is_large(const struct sample *s)
{
    const struct ingest_reader *rd = s->rd;

    return s->kept > rd->budget->limit / KEEP_SHARE ||
           (rd->n_spooled > rd->spooled_max && can_read_again(rd->files));
}

/* Give up keeping what was sampled. */
static int
sample_forget(struct sample *s, struct shard_error *err)
{
    struct ingest_reader *rd = s->rd;

    if (!can_read_again(rd->files))
        return base_fail(err, SHARD_EBUDGET,
                         "a memory budget of %" PRIu64 " MiB cannot hold the first %" PRIu64
                         " MiB of the input, from which the schema is inferred, and a pipe cannot "
                         "be read twice; --memory %" PRIu64 "M would do, or give --schema",
                         rd->budget->limit >> 20, s->wanted >> 20,
                         (KEEP_SHARE * s->wanted + (32u << 20)) >> 20);
    s->rewind = true;
    for (size_t i = 0; i <= rd->head && i < rd->n_units; i++) {
        struct ingest_unit *u = &rd->units[i];

        while (u->batches && u->batches->sampled) {
            struct ingest_batch *b = u->batches;

            u->batches = b->next;
            ingest_batch_free(b);
        }
        if (u->batches == NULL)
            u->end = &u->batches;
    }
    s->kept = 0;
    return 0;
}

/* The next batch in order that was not sampled yet, or NULL. Moves the head. */
static struct ingest_batch *
sample_next(struct ingest_reader *rd)
{
    while (rd->head < rd->n_units) {
        struct ingest_unit *u = &rd->units[rd->head];
        struct ingest_batch *b = u->batches;

        while (b && b->sampled)
            b = b->next;
        if (b || u->reading || !u->ended)
            return b;
        rd->head++;
    }
    return NULL;
}

/* Add what was inferred, in order. */
static int
sample_merge(struct sample *s, struct shard_error *err)
{
    struct ingest_batch *b;
    int r;

    while (s->bytes < s->wanted) {
        b = sample_next(s->rd);
        if (b == NULL || b->state != INGEST_BATCH_INFERRED || s->rd->result < 0)
            return 0;
        r = ingest_infer_merge(s->infer, b->infer);
        if (r < 0)
            return base_fail(err, r, "inferring the schema");
        ingest_infer_free(b->infer);
        b->infer = NULL;
        b->sampled = true;
        b->unit->n_ahead--;
        s->bytes += b->data_bytes;
        s->kept += b->charge;
        if (s->rewind || sample_is_large(s)) {
            r = sample_forget(s, err);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

/* Make the reader what it is at the start, but that it already holds some batches. */
static void
sample_hand_over(struct sample *s)
{
    struct ingest_reader *rd = s->rd;

    if (s->rewind) {
        while (rd->crew->n_out > 0)
            ingest_crew_wait(rd->crew, 1000);
        ingest_reader_rewind(rd);
        return;
    }
    rd->head = 0;
    for (size_t i = 0; i < rd->n_units; i++) {
        struct ingest_unit *u = &rd->units[i];

        u->n_ahead = 0;
        for (struct ingest_batch *b = u->batches; b; b = b->next)
            u->n_ahead++;
    }
}

int
ingest_sample(struct ingest_reader *rd, uint64_t sample_bytes, ingest_check_fn check,
              void *check_arg, struct ingest_infer **ret_infer, struct shard_error *err)
{
    struct sample s = {.rd = rd, .wanted = sample_bytes};
    int r;

    r = ingest_infer_new(rd->parse, &s.infer);
    if (r < 0)
        return base_fail(err, r, "inferring the schema");
    for (;;) {
        r = check(check_arg, err);
        if (r == 0)
            r = sample_merge(&s, err);
        if (r < 0)
            goto out;
        if (rd->result < 0) {
            r = rd->result;
            *err = rd->err;
            goto out;
        }
        if (s.bytes >= s.wanted || rd->head == rd->n_units)
            break;
        pump_infers(rd);
        ingest_reader_pump_reads(rd);
        ingest_crew_wait(rd->crew, 100);
    }
    sample_hand_over(&s);
    *ret_infer = s.infer;
    s.infer = NULL;
out:
    ingest_infer_free(s.infer);
    return r;
}
