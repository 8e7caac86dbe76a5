#include "config.h"

#include "tools/ingest/splitter.h"

#include <errno.h>
#include <stdlib.h>

int
ingest_splitter_init(struct ingest_splitter *s, const struct ingest_split *splits, size_t n_splits)
{
    double sum = 0;

    s->n = n_splits ? n_splits : 1;
    s->ends = calloc(s->n, sizeof(*s->ends));
    if (s->ends == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < n_splits; i++) {
        sum += splits[i].share;
        s->ends[i] = sum;
    }
    /* Shares that were rounded must not lose a row. A last split of share 0 gets none. */
    for (size_t i = s->n; i-- > 0;) {
        s->ends[i] = 2;
        if (n_splits == 0 || splits[i].share > 0)
            break;
    }
    return 0;
}

void
ingest_splitter_done(struct ingest_splitter *s)
{
    free(s->ends);
    s->ends = NULL;
}

size_t
ingest_splitter_pick(const struct ingest_splitter *s, struct base_hash128 key)
{
    const double fraction = (double)(key.hi >> 11) * 0x1p-53;
    size_t i = 0;

    while (fraction >= s->ends[i])
        i++;
    return i;
}
