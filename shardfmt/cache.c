#include "config.h"

#include "shardfmt/cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/fail.h"

int
fmt_cache_init(struct fmt_cache *c, int dirfd, const struct fmt_snapshot *s)
{
    memset(c, 0, sizeof(*c));
    c->dirfd = dirfd;
    c->s = s;
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
    for (uint32_t i = 0; i < FMT_CACHE_SHARDS; i++)
        open_shard_free(c->open[i]);
    (void)pthread_mutex_destroy(&c->lock);
}

/* The cached open shard, pinned, or NULL. Under c->lock. */
static struct fmt_open_shard *
cache_find(struct fmt_cache *c, uint32_t shard)
{
    for (uint32_t i = 0; i < FMT_CACHE_SHARDS; i++) {
        struct fmt_open_shard *o = c->open[i];

        if (o && o->shard == shard) {
            o->pins++;
            o->used = ++c->clock;
            return o;
        }
    }
    return NULL;
}

/* Put o, pinned, into a free place or that of the one unused for longest, which is returned for
 * freeing. Where all are pinned o stays outside. Under c->lock. */
static struct fmt_open_shard *
cache_put(struct fmt_cache *c, struct fmt_open_shard *o)
{
    struct fmt_open_shard *victim = NULL;
    uint32_t best = FMT_CACHE_SHARDS;

    for (uint32_t i = 0; i < FMT_CACHE_SHARDS; i++) {
        if (c->open[i] == NULL) {
            best = i;
            break;
        }
        if (c->open[i]->pins == 0 &&
            (best == FMT_CACHE_SHARDS || c->open[i]->used < c->open[best]->used))
            best = i;
    }
    o->used = ++c->clock;
    if (best == FMT_CACHE_SHARDS)
        return NULL;
    victim = c->open[best];
    c->open[best] = o;
    o->cached = true;
    return victim;
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
        return r;
    }
    pthread_mutex_lock(&c->lock);
    o = cache_find(c, shard); /* another thread may have been faster */
    unused = o ? mine : cache_put(c, mine);
    pthread_mutex_unlock(&c->lock);
    open_shard_free(unused);
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
