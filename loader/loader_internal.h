/* The pipeline inside a loader.
 *
 *   part: a cursor per owned partition        planner thread: owns the I/O engine
 *     |  opens windows in the order of             |
 *     |  the step that needs them                  |  schedule.c decides, under l->lock
 *     v                                            v
 *   window -> set of groups -> [footer] -> [read] -> [decode] -> ready      pool threads
 *     |                                                            |
 *     +------- unit: some steps whose windows are all ready -------+
 *                       |  gather.c, pool threads
 *                       v
 *                ring of batches  ->  shard_loader_next()
 *
 * A window is a stretch of a partition's epoch whose rows are permuted among themselves; its set
 * is the row groups it needs (a split permuted whole has one set for all windows). Sets are loaded
 * strictly in the order of the step that needs them first: the one rule that keeps a small budget
 * from deadlock. Groups are counted by the sets that hold them.
 *
 * Locks, outermost first: loader.lock; then the leaves: arena.lock, and those inside base_pool and
 * base_io_wake(). What a field is guarded by is said where it stands; "constant" means after open.
 */
#ifndef LOADER_INTERNAL_H
#define LOADER_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/io.h"
#include "lib/pool.h"
#include "loader/arena.h"
#include "loader/order.h"
#include "shardfmt/snapshot.h"
#include "shardline/loader.h"

#define LOADER_FOOTER_OPENING  3u /* times what a footer takes: while it is read and parsed */
#define LOADER_READ_GAP_MAX    4096u /* unwanted bytes between wanted ones that are read along */
#define LOADER_PRIORITY_DECODE 2u
#define LOADER_PRIORITY_GATHER 4u /* it frees row groups, and the consumer waits for it */
#define LOADER_PRIORITY_FOOTER 6u /* others wait for it in line */

/* ----------------------------------------------------------------------------------- sources */

/* One shard of the split. All but the constants under loader.lock. */
struct loader_shard {
    struct base_task task;                /* opens it */
    struct shard_loader *l;                     /* constant */
    const struct fmt_shard_entry *entry;  /* constant; the dataset's */
    enum { LOADER_SHARD_CLOSED, LOADER_SHARD_OPENING, LOADER_SHARD_OPEN } state;
    int status;                           /* why it cannot be opened; then it stays CLOSED */
    struct shard_error err;
    struct fmt_footer *footer;            /* while OPEN */
    int fd, direct_fd;                    /* while OPEN; direct_fd -1 where there is none */
    uint32_t pins;                        /* groups in flight */
    uint64_t wanted;                      /* the planner's last pass that found it in line */
    uint64_t footer_memory;               /* of the footer; 0 = not known yet */
    uint64_t charged;                     /* to footer_bytes, while OPENING or OPEN */
};

/* Storage of a decoded row group, reused. Under loader.lock while it is kept. */
struct loader_slot {
    struct loader_slot *next;
    uint64_t charged;                     /* to the load arena's budget */
    struct fmt_decoded *columns[];        /* one per column delivered */
};

/* A part of a row group that is read in one request. */
struct loader_read {
    struct base_io_req req;
    struct loader_read *next;             /* in the planner's line; under loader.lock */
    struct loader_group *group;
    size_t skip;                          /* bytes in front that only alignment asked for */
    size_t need;                          /* bytes that must come, skip included */
    bool direct;
    bool alone;                           /* not to be joined: that failed */
    struct loader_joint *joint;           /* the request that it is the first of; NULL: only its own */
};

enum loader_group_state {
    LOADER_GROUP_ABSENT,
    LOADER_GROUP_READING,
    LOADER_GROUP_DECODING,
    LOADER_GROUP_READY,
    LOADER_GROUP_FAILED,
};

/* A set that waits for a group. */
struct loader_wait {
    struct loader_wait *next;
    struct loader_set *set;
};

/* One row group of the split, from the moment it is wanted until it is evicted. */
struct loader_group {
    struct base_task task;                /* decodes it */
    struct shard_loader *l;
    uint32_t index;                       /* in the split */
    enum loader_group_state state;        /* under loader.lock */
    uint32_t refs;                        /* sets that hold it; under loader.lock */
    uint32_t n_reads, n_pending;          /* n_pending: not back yet; under loader.lock */
    struct loader_shard *shard;           /* pinned while READING and DECODING */
    struct loader_wait *waits;            /* under loader.lock */
    struct loader_group *prev, *next;     /* kept without refs, oldest first; under loader.lock */
    struct loader_slot *slot;
    struct loader_block *raw;             /* while READING and DECODING */
    struct loader_read *reads;            /* n_reads; likewise */
    int status;                           /* of READING and DECODING */
    struct shard_error err;
    uint64_t data_bytes;                  /* of the arrays; constant while READY */
    uint64_t row_max;                     /* no row is longer; likewise */
    const uint64_t *row_numbers;          /* of a spilled batch: every row's own; else NULL */
    struct shard_batch *spilled;          /* what holds the rows of such a group */
    uint64_t row0;                        /* number in the snapshot of the first row */
    struct shard_array *arrays;           /* n_columns; constant while READY */
};

/* What is known about a row group before anything is read. Constant. */
struct loader_group_info {
    uint64_t row0;
    uint32_t shard, index;
};

/* ----------------------------------------------------------------------------------- windows */

struct loader_set {
    struct loader_set *load_next;         /* in line to be loaded; under loader.lock */
    uint32_t refs;                        /* windows; under loader.lock */
    uint32_t n_groups, n_missing;         /* n_missing: not READY; under loader.lock */
    uint32_t n_asked;                     /* groups[asks[0 .. n_asked)] are held; loader.lock */
    int status;                           /* of a group that failed; under loader.lock */
    struct shard_error *err;
    uint64_t first_step;                  /* that needs it */
    uint64_t row_bytes;                   /* of an average row; 0 = not yet asked for; loader.lock */
    uint64_t row_max, data_bytes;         /* no row is longer; all rows; set with row_bytes */
    uint32_t *indices;                    /* n_groups; constant */
    uint32_t *asks;                       /* places in the order of the files; n_groups; constant */
    uint64_t *starts;                     /* n_groups + 1 virtual positions; constant */
    struct loader_group **groups;         /* constant once n_missing is 0; NULL: not asked for */
    struct loader_wait *waits;
};

struct loader_window {
    struct loader_window *next;           /* in its part; under loader.lock */
    struct loader_set *set;
    uint32_t epoch;
    uint64_t first_step;                  /* over all epochs */
    uint64_t begin, end;                  /* virtual positions to be served */
    uint64_t rows_left;                   /* not gathered yet; under loader.lock */
    uint64_t base;                        /* as in struct loader_window_span */
    struct loader_bijection bijection;
};

/* An owned partition. Under loader.lock but for the constants. */
struct loader_part {
    uint32_t partition;                   /* constant */
    uint64_t lo, hi;                      /* its virtual positions; constant */
    struct loader_window *first, *last;   /* windows that are open, in order */
    struct loader_window *gather;         /* where the next unit begins; NULL: not open yet */
    uint32_t n_windows;                   /* open */
    uint32_t epoch;                       /* of the next window to open */
    uint64_t next;                        /* its first position */
    uint64_t next_step;                   /* that needs it; plan.stop_step where none is left */
};

/* Some steps of one epoch to be gathered by one task. */
struct loader_unit {
    struct base_task task;
    struct shard_loader *l;
    struct loader_unit *next;             /* while it is kept */
    uint64_t step;
    uint32_t n_steps;
    uint64_t expected;                    /* bytes of its batches, if rows are average */
    uint64_t bytes;                       /* set aside for the most that may come; loader.lock */
    struct shard_batch **batches;         /* plan's unit_steps; the running task's */
    struct loader_window *first[];        /* per part: the window that holds its first row */
};

/* A row to be gathered: arrays of its row group (all columns), and which row of them. */
struct loader_source {
    const struct shard_array *arrays;
    uint32_t row;
};

/* A batch that is being made. */
struct loader_batch_head {
    uint64_t step;
    uint32_t epoch, n_rows, n_parts;
    size_t len;                           /* expected, all in all */
};

struct shard_batch {
    uint32_t refs;                        /* atomic */
    struct loader_block *fixed;           /* holds this struct, too */
    struct loader_block *values;          /* of what did not fit behind that; NULL = nothing */
    size_t fixed_len;                     /* in use of fixed */
    uint64_t step;
    uint32_t epoch, n_rows;
    uint64_t data_bytes;
    uint32_t *first;                      /* n_parts + 1 */
    uint64_t *rows;
    uint32_t *slots;
    struct shard_array *arrays;
};

/* A batch with room for head->n_rows rows; arrays are not filled. */
SHARD_NODISCARD int loader_batch_new(struct loader_arena *a, const struct shard_field *fields,
                                     const uint32_t *columns, uint32_t n_columns,
                                     const struct loader_batch_head *head,
                                     struct shard_batch **ret);
/* Bytes of an array's buffers; and what none of its rows exceeds. */
uint64_t loader_array_bytes(const struct shard_array *a);
uint64_t loader_array_row_max(const struct shard_array *a);
/* What a batch takes whose values are so many bytes. */
uint64_t loader_batch_bytes(uint64_t n_rows, uint32_t n_columns, uint64_t data_bytes);
/* Fill the arrays with the rows that the first sources name. n_all, not fewer than the batch has
 * rows: so many there are, and those behind the batch's come next, so that it pays to prefetch. */
SHARD_NODISCARD int loader_batch_fill(struct shard_batch *b, uint32_t n_columns,
                                      const struct loader_source *sources, uint64_t n_all,
                                      struct shard_error *err);

/* ------------------------------------------------------------------------------------ loader */

/* How the pipeline stood while the consumer waited. */
enum loader_blame { LOADER_BLAME_DECODE, LOADER_BLAME_DISK, LOADER_BLAME_READ,
                    LOADER_BLAME_MEMORY, LOADER_BLAME_COUNT };

struct shard_loader {
    /* constant after open */
    struct shard_dataset *ds;
    const struct fmt_schema *schema;
    uint32_t *columns, n_columns;         /* schema indices */
    struct loader_order order;
    struct shard_loader_plan plan;
    uint32_t n_groups, n_shards, n_parts;
    struct loader_group_info *infos;      /* n_groups */
    struct loader_joint *joints;          /* requests under way; the planner's */
    bool direct, keep;                    /* keep: row groups stay for the next epoch */
    uint32_t ring_cap, unit_steps;
    uint64_t step_rows;                   /* of the fullest batch */
    uint64_t batch_bytes;                 /* of a full one with average rows */
    uint32_t windows_max;                 /* open per part at most, but for those that a step needs */
    uint32_t windows_ahead;               /* open in all parts together behind their first ones */
    uint64_t load_share, batch_share;     /* of the budget, bytes */
    uint64_t slot_max;                    /* bytes up to which a slot keeps what its group lacks */
    uint64_t footers_max;                 /* bytes */
    uint64_t footer_unit;                 /* bytes per column of a row group, as far as is known */
    uint32_t flight_max;                  /* row groups being read or decoded */
    uint32_t shards_max;                  /* open files */
    struct base_pool *pool;
    struct base_io *io;                   /* the planner's; others only wake it */
    struct loader_arena *load_mem, *batch_mem;
    _Atomic bool cancelled;               /* relaxed: tasks that see it late only work in vain */
    pthread_t planner;
    bool planner_runs;
    uint64_t open_ns;

    pthread_mutex_t lock;
    pthread_cond_t ready;                 /* the ring's head was filled, or fail_step came near */
    /* all that follows under lock */
    bool closing;
    struct loader_shard *shards;          /* n_shards */
    struct loader_group **groups;         /* n_groups, NULL where absent */
    struct loader_group *kept_first, *kept_last; /* without refs */
    struct loader_slot *slots;            /* free */
    struct loader_part *parts;            /* n_parts */
    struct loader_epoch epochs[2];        /* cursors are in at most two; .groups NULL = none */
    struct loader_set *whole;             /* of a split permuted whole */
    struct loader_set *load_first, *load_last; /* sets not fully asked for, in order */
    struct loader_read *read_first, *read_last; /* for the planner to hand to the engine */
    struct loader_unit *units;            /* free */
    struct shard_batch **ring;            /* ring_cap; step s is at s % ring_cap */
    uint64_t head, next_gather;           /* next step to deliver; to be gathered */
    uint64_t fail_step;                   /* first that cannot be made; UINT64_MAX = none */
    struct shard_error fail;
    uint32_t n_live;                      /* groups not ABSENT */
    uint32_t n_reading, n_decoding, n_units, n_opening, n_reads_in_flight;
    uint64_t bytes_out;                   /* of units that are queued or running */
    uint64_t n_open_shards, footer_bytes, footer_peak, plan_peak, pass;
    bool flight_full;                     /* flight_max was reached, and half of it not yet left */
    bool memory_blocked;                  /* the next group in line has no room */
    bool waiting;                         /* the consumer is in next() without a batch */
    uint64_t first_stall_ns;              /* stall_ns when the first batch came */
    uint64_t delivered_ns;                /* when next() last returned */
    uint64_t account_ns;                  /* when blame and memory_wait were last counted */
    uint64_t blame[LOADER_BLAME_COUNT];
    uint64_t piece_bytes, piece_reads;    /* of out-of-line values */
    struct shard_loader_stats stats;
};

/* source.c: shards and row groups. All under l->lock unless said. */
/* A row group of the shard is in line: have it opened, unless it is or failed, closing others that
 * are not in line. False where there is no room for its footer yet; first: it stands before all
 * others, and gets more than there is if need be. */
bool loader_shard_want(struct shard_loader *l, struct loader_shard *s, bool first);
/* What its footer takes, as far as is known. */
uint64_t loader_footer_memory(const struct shard_loader *l, const struct loader_shard *s);
/* The same at once, for planning: no other thread runs yet. */
int loader_shard_open_now(struct shard_loader *l, struct loader_shard *s,
                          struct shard_error *err);
void loader_shards_trim(struct shard_loader *l);  /* to what the plan allows */
void loader_shards_close(struct shard_loader *l); /* without lock, at the end */
/* Try to begin reading group index: 0; -EAGAIN where memory is missing (*ret_need bytes); or the
 * error, with which the group now FAILED. Its shard is open or failed. */
SHARD_NODISCARD int loader_group_start(struct shard_loader *l, uint32_t index, uint64_t *ret_need);
/* A set holds g, or lets go of it. */
void loader_group_ref(struct shard_loader *l, struct loader_group *g);
void loader_group_release(struct shard_loader *l, struct loader_group *g);
void loader_groups_free(struct shard_loader *l);
/* Put the read in line for the planner. */
void loader_read_want(struct shard_loader *l, struct loader_read *rd);
/* Planner thread: a read came back. */
void loader_read_done(struct shard_loader *l, struct loader_read *rd);
/* Bytes of a row group's wanted columns, from its footer. */
struct loader_group_sizes {
    uint64_t decoded; /* in memory, at most */
    uint64_t stored;  /* in the file */
    uint64_t data;    /* of the arrays alone */
    uint64_t largest_data; /* of the largest of them, */
    uint32_t largest;      /* which is this */
};
void loader_group_sizes(const struct shard_loader *l, const struct fmt_footer *f, uint32_t group,
                        struct loader_group_sizes *ret);
/* Add the bytes of the group's arrays to sums, one per wanted column. */
void loader_column_sizes(const struct shard_loader *l, const struct fmt_footer *f, uint32_t group,
                         uint64_t *sums);

/* join.c: planner thread. */
/* Give the list of reads to the engine, in as few requests as they allow. Without l->lock. */
void loader_reads_queue(struct shard_loader *l, struct loader_read *first);
/* The request of rd came back. Under l->lock. */
void loader_reads_done(struct shard_loader *l, struct loader_read *rd);
/* Forget requests that never came back. The engine is closed. */
void loader_reads_drop(struct shard_loader *l);

/* schedule.c: what comes next. Under l->lock. */
SHARD_NODISCARD int loader_schedule_init(struct shard_loader *l);
void loader_schedule_free(struct shard_loader *l);
void loader_schedule_loads(struct shard_loader *l);  /* planner thread */
void loader_schedule_gather(struct shard_loader *l); /* any thread */
void loader_set_ready(struct loader_group *g); /* g became READY or FAILED */
/* The step cannot be made; what comes before is still delivered. */
void loader_fail_at(struct shard_loader *l, uint64_t step, const struct shard_error *err);
/* Before any counter of the pipeline's state changes: says how it stood until now. */
void loader_account(struct shard_loader *l);
/* Virtual positions of the part that steps [step, step + n_steps) of one epoch take. */
void loader_part_range(const struct shard_loader *l, const struct loader_part *part, uint64_t step,
                       uint32_t n_steps, uint64_t *ret_begin, uint64_t *ret_end);
/* Rows [begin, end) of the part, beginning in w, were gathered; true where windows closed. */
bool loader_part_done(struct shard_loader *l, struct loader_part *part, struct loader_window *w,
                      uint64_t begin, uint64_t end);
void loader_set_unref(struct shard_loader *l, struct loader_set *set);

/* gather.c */
/* What gathering so many rows takes besides their batches. */
uint64_t loader_scratch_bytes(uint64_t n_rows);
void loader_unit_run(struct base_task *task, struct base_worker *worker);
/* Copy rows [w->begin, w->end) into memory of their own and let go of the row groups. No unit is
 * queued or running. */
SHARD_NODISCARD int loader_window_spill(struct shard_loader *l, struct loader_window *w,
                                        struct shard_error *err);

/* plan.c */
/* From options to constants: split, columns, order, shares of the budget. */
SHARD_NODISCARD int loader_plan_make(struct shard_loader *l, const struct shard_loader_opts *o,
                                     struct shard_error *err);

#endif
