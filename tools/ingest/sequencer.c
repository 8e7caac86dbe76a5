#include "config.h"

#include "tools/ingest/sequencer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/fail.h"
#include "tools/ingest/quarantine.h"
#include "tools/ingest/utf8.h"

#define PREFETCH_ROWS  8u     /* how far ahead the slots of keys are fetched */
#define EARLY_ROWS     10000u /* a share of bad records is not judged before so many */
#define EARLY_FACTOR   10u    /* nor, before the end, unless it is so many times too high */

/* ------------------------------------------------------------------------------ bad records */

static uint64_t
bad_allowed(const struct ingest_opts *opts, uint64_t rows)
{
    const uint64_t share = (uint64_t)(opts->max_bad * (double)rows);

    return BASE_MAX(share, opts->max_bad_rows);
}

/* The records themselves are gone with what was not published: one of them must do to show what is
 * wrong. */
static int
too_many_bad(const struct ingest_sequencer *sq, const char *of, struct shard_error *err)
{
    struct ingest_result *ret = sq->ret;

    ret->too_many_bad = true;
    return base_fail(err, SHARD_ELIMIT,
                     "%" PRIu64 " of %s%" PRIu64 " records are bad, more than --max-bad allows, so "
                     "nothing was published; the first is %s; --max-bad 100%% would publish the "
                     "rest and keep these for 'shardtool rejects'",
                     ret->rejected, of, ret->rows_read, sq->first_bad);
}

static int
keep_first_bad(struct ingest_sequencer *sq, const struct ingest_reject *rej)
{
    const char *why = rej->detail ? rej->detail : rej->reason;
    char place[SHARD_ERROR_TEXT_MAX];

    if (sq->first_bad)
        return 0;
    ingest_reject_place(rej, place);
    if (asprintf(&sq->first_bad, "%.*s: %.*s", ingest_utf8_clip(place, strlen(place), 180), place,
                 ingest_utf8_clip(why, strlen(why), 120), why) < 0) {
        sq->first_bad = NULL;
        return -ENOMEM;
    }
    return 0;
}

/* Bad beyond hope already? A share may still come down, unless it is far off. */
static bool
surely_too_bad(const struct ingest_sequencer *sq)
{
    const struct ingest_opts *opts = sq->opts;
    const uint64_t rows = sq->ret->rows_read, bad = sq->ret->rejected;

    if (opts->max_bad <= 0)
        return bad > opts->max_bad_rows;
    return rows >= EARLY_ROWS && bad / EARLY_FACTOR > bad_allowed(opts, rows);
}

/* The cutter rejects what is longer than the budget bears. As that must not decide what gets into
 * a dataset, it ends the job. */
static int
record_too_long(const struct ingest_reject *rej, struct shard_error *err)
{
    char place[SHARD_ERROR_TEXT_MAX];

    return base_fail(err, SHARD_EBUDGET,
                     "%s: a record of %" PRIu64 " bytes needs a memory budget of %" PRIu64
                     " MiB (--memory)",
                     ingest_reject_place(rej, place), rej->length,
                     (rej->length >> 20) * INGEST_RECORD_SHARE + INGEST_RECORD_SHARE);
}

static int
take_reject(struct ingest_sequencer *sq, const struct ingest_reject *rej, struct shard_error *err)
{
    char place[SHARD_ERROR_TEXT_MAX];
    int r;

    sq->ret->rows_read++;
    sq->ret->rejected++;
    if (strcmp(rej->reason, INGEST_BAD_RECORD_SIZE) == 0 && rej->length <= INGEST_RECORD_MAX)
        return record_too_long(rej, err);
    if (keep_first_bad(sq, rej) < 0)
        return base_fail(err, -ENOMEM, "noting a bad record");
    if (sq->opts->on_bad == INGEST_ABORT)
        return base_fail(err, SHARD_ECORRUPT, "%s: %s (%s)", ingest_reject_place(rej, place),
                         rej->detail ? rej->detail : "bad record", rej->reason);
    if (surely_too_bad(sq))
        return too_many_bad(sq, "the first ", err);
    if (sq->opts->on_bad == INGEST_SKIP)
        return 0;
    r = ingest_quarantine_add(sq->groups, sq->quarantine, rej);
    return r < 0 ? base_fail(err, r, "putting a record into quarantine") : 0;
}

/* ------------------------------------------------------------------------------------- rows */

static int
dedup_full(const struct ingest_sequencer *sq, struct shard_error *err)
{
    const uint64_t limit = sq->dedup.budget->limit, keys = sq->dedup.memory;
    char enough[64] = "more";

    if (sq->share > 0)
        snprintf(enough, sizeof(enough), "some %" PRIu64 "M",
                 ((limit + (uint64_t)(1.25 * (double)keys * (1 / sq->share - 1))) >> 20) + 8);
    return base_fail(err, SHARD_EBUDGET,
                     "the memory budget is full after %" PRIu64 " rows: --dedup exact keeps some "
                     "22 bytes of each distinct row in memory, %" PRIu64 " MiB so far (doing it "
                     "on disk is not built yet); give --memory %s, or --dedup none",
                     sq->ret->rows_read, keys >> 20, enough);
}

static int
sequence_block(struct ingest_sequencer *sq, struct ingest_batch *b, uint32_t k,
               struct shard_error *err)
{
    const struct ingest_rows *rows = b->rows[k];
    struct base_hash128 read = {0, 0}, dropped = {0, 0};

    for (uint64_t i = 0; i < rows->n_rows; i++) {
        struct ingest_lane *lane;
        int r;

        read = base_hash128_add(read, rows->row_hash[i]);
        if (sq->opts->dedup_exact) {
            if (i + PREFETCH_ROWS < rows->n_rows)
                ingest_dedup_prefetch(&sq->dedup, rows->dedup_hash[i + PREFETCH_ROWS]);
            r = ingest_dedup_add(&sq->dedup, rows->dedup_hash[i]);
            if (r == SHARD_EBUDGET)
                return dedup_full(sq, err);
            if (r < 0)
                return base_fail(err, r, "looking for duplicates");
            if (r == 0) {
                sq->ret->rows_read++;
                sq->ret->duplicates++;
                dropped = base_hash128_add(dropped, rows->row_hash[i]);
                continue;
            }
        }
        lane = &sq->lanes[ingest_splitter_pick(&sq->splitter, rows->split_hash[i])];
        r = ingest_groups_add(sq->groups, lane, b, k, (uint32_t)i);
        if (r < 0)
            return base_fail(err, r, "making row groups");
        sq->ret->rows_read++;
        sq->ret->rows_written++;
    }
    sq->read_sum = base_hash128_add(sq->read_sum, read);
    sq->dropped_sum = base_hash128_add(sq->dropped_sum, dropped);
    return 0;
}

int
ingest_sequence(struct ingest_sequencer *sq, struct ingest_batch *b, struct shard_error *err)
{
    int r = 0;

    for (uint32_t k = 0; k < b->n_blocks && r == 0; k++) {
        const struct ingest_rows *rows = b->rows[k];

        sq->ret->rows_read += rows->n_filtered;
        sq->ret->filtered += rows->n_filtered;
        for (size_t i = 0; i < b->rejects[k].count && r == 0; i++)
            r = take_reject(sq, &b->rejects[k].items[i], err);
        if (r == 0)
            r = sequence_block(sq, b, k, err);
    }
    ingest_groups_end_batch(sq->groups);
    return r;
}

int
ingest_sequence_end(struct ingest_sequencer *sq, struct shard_error *err)
{
    if (sq->ret->rejected > bad_allowed(sq->opts, sq->ret->rows_read))
        return too_many_bad(sq, "", err);
    return 0;
}

void
ingest_sequence_done(struct ingest_sequencer *sq)
{
    free(sq->first_bad);
    sq->first_bad = NULL;
    ingest_splitter_done(&sq->splitter);
    ingest_dedup_done(&sq->dedup);
}
