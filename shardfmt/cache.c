#include "config.h"

#include "shardfmt/cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/compiler.h"
#include "lib/fail.h"
#include "shardfmt/open.h"

int
fmt_cache_init(struct fmt_cache *c, int dirfd, const struct fmt_snapshot *s, uint32_t shards_max,
               uint64_t bytes_max)
{
    memset(c, 0, sizeof(*c));
    c->dirfd = dirfd;
    c->s = s;
    c->shards_max = BASE_MIN(shards_max, FMT_CACHE_SHARDS);
    c->bytes_max = bytes_max;
    return -pthread_mutex_init(&c->lock, NULL);
}

static void
open_shard_free(struct fmt_open_shard *o)
{
    if (o == NULL)
        return;
    fmt_footer_free(o->footer);
    if (o->fd >= 0)
        (void)close(o->fd);
    free(o);
}

void
fmt_cache_done(struct fmt_cache *c)
{
    for (uint32_t i = 0; i < c->shards_max; i++)
        open_shard_free(c->open[i]);
    (void)pthread_mutex_destroy(&c->lock);
}

/* The cached open shard, pinned, or NULL. Under c->lock. */
static struct fmt_open_shard *
cache_find(struct fmt_cache *c, uint32_t shard)
{
    for (uint32_t i = 0; i < c->shards_max; i++) {
        struct fmt_open_shard *o = c->open[i];

        if (o && o->shard == shard) {
            o->pins++;
            o->used = ++c->clock;
            return o;
        }
    }
    return NULL;
}

/* Take the shard that was unused for longest out of the cache, and put it in front of *out. False
 * where all are in use. Under c->lock. */
static bool
cache_evict(struct fmt_cache *c, struct fmt_open_shard **out)
{
    struct fmt_open_shard **oldest = NULL;

    for (uint32_t i = 0; i < c->shards_max; i++)
        if (c->open[i] && c->open[i]->pins == 0 &&
            (oldest == NULL || c->open[i]->used < (*oldest)->used))
            oldest = &c->open[i];
    if (oldest == NULL)
        return false;
    c->bytes -= (*oldest)->footer->memory;
    (*oldest)->next = *out;
    *out = *oldest;
    *oldest = NULL;
    return true;
}

/* Put o, pinned, into the cache, in the place of others where it is full; where it is full of shards
 * in use, o stays outside. Returns what is to be freed. Under c->lock. */
static struct fmt_open_shard *
cache_put(struct fmt_cache *c, struct fmt_open_shard *o)
{
    struct fmt_open_shard *out = NULL;
    uint32_t i = 0;

    o->used = ++c->clock;
    while (c->bytes + o->footer->memory > c->bytes_max && cache_evict(c, &out))
        continue;
    while (i < c->shards_max && c->open[i])
        i++;
    if (i == c->shards_max && cache_evict(c, &out))
        for (i = 0; c->open[i];)
            i++;
    if (i < c->shards_max) {
        c->open[i] = o;
        c->bytes += o->footer->memory;
        o->cached = true;
    }
    return out;
}

/* The shard cannot be opened: which rows of the dataset that costs. */
static int
fail_shard(const struct fmt_cache *c, uint32_t shard, int r, struct shard_error *err)
{
    uint64_t row0 = 0;

    for (uint32_t i = 0; i < shard; i++)
        row0 += c->s->shards[i].n_rows;
    return fmt_fail_rows(err, r, row0, c->s->shards[shard].n_rows);
}

int
fmt_cache_acquire(struct fmt_cache *c, uint32_t shard, struct fmt_open_shard **ret,
                  struct shard_error *err)
{
    struct fmt_open_shard *o, *mine, *unused;
    int r;

    pthread_mutex_lock(&c->lock);
    o = cache_find(c, shard);
    pthread_mutex_unlock(&c->lock);
    if (o) {
        *ret = o;
        return 0;
    }
    mine = calloc(1, sizeof(*mine));
    if (mine == NULL)
        return base_fail(err, -ENOMEM, "%s", c->s->shards[shard].path);
    mine->shard = shard;
    mine->pins = 1;
    mine->fd = -1;
    r = fmt_shard_open(c->dirfd, &c->s->shards[shard], &c->s->schema, &mine->fd, &mine->footer,
                       err);
    if (r < 0) {
        open_shard_free(mine);
        return fail_shard(c, shard, r, err);
    }
    pthread_mutex_lock(&c->lock);
    o = cache_find(c, shard); /* another thread may have been faster */
    unused = o ? mine : cache_put(c, mine);
    pthread_mutex_unlock(&c->lock);
    while (unused) {
        struct fmt_open_shard *next = unused->next;

        open_shard_free(unused);
        unused = next;
    }
    *ret = o ? o : mine;
    return 0;
}

void
fmt_cache_release(struct fmt_cache *c, struct fmt_open_shard *o)
{
    bool last;

    pthread_mutex_lock(&c->lock);
    last = --o->pins == 0 && !o->cached;
    pthread_mutex_unlock(&c->lock);
    if (last)
        open_shard_free(o);
}
