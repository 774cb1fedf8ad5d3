/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_waiting.c - the notices that wait to be told
 *
 * INVARIANTS    W1 to W5 in bl_waiting.h
 */
#include "bl_waiting.h"

/* libc */
#include <string.h>
/* layer 1 */
#include "bl_notice.h"

/* More than any wait between two tries: then the clock was set back. */
#define DUE_MOST apr_time_from_sec(6 * 3600 + 60)

/* W3: once may be chance. */
#define SILENT_MOST 2

typedef struct {
    bl_waiter_t *first; /* in the order in which they are to be told */
    bl_waiter_t *told;  /* now; it is in the list; NULL: none */
    int count;
    int silent; /* so often in a row it said nothing */
} receiver_t;

struct bl_waiting_t {
    apr_pool_t *pool;
    bl_waiter_t *free;
    int count;
    int receiver_count;
    int turn; /* who is asked first: each in its turn */
    receiver_t *receivers;
};

void bl_waiting_create(bl_waiting_t **out, int receivers, apr_pool_t *p)
{
    bl_waiting_t *q = apr_pcalloc(p, sizeof(*q));

    q->pool = p;
    q->receiver_count = receivers;
    q->receivers =
        apr_pcalloc(p, sizeof(*q->receivers) * (apr_size_t)(receivers + 1));
    *out = q;
}

int bl_waiting_count(const bl_waiting_t *q)
{
    return q->count;
}

int bl_waiting_knows(const bl_waiting_t *q, apr_uint64_t build, int index)
{
    int i;

    for (i = 0; i < q->receiver_count; i++) {
        const bl_waiter_t *w = q->receivers[i].first;

        while (w != NULL && (w->build != build || w->index != index))
            w = w->next;
        if (w != NULL)
            return 1;
    }
    return 0;
}

bl_waiter_t *bl_waiting_surplus(const bl_waiting_t *q)
{
    const receiver_t *most = q->receivers; /* also when there is none */
    bl_waiter_t *w;
    int i;

    if (q->count < BL_WAITING_MOST)
        return NULL;
    for (i = 1; i < q->receiver_count; i++) {
        if (q->receivers[i].count > most->count)
            most = &q->receivers[i];
    }
    w = most->first;
    return w != NULL && w == most->told ? w->next : w;
}

/* ---- the order ------------------------------------------------------ */

static void unlink_it(receiver_t *r, bl_waiter_t *w)
{
    bl_waiter_t **at = &r->first;

    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    r->count--;
}

static void put_last(receiver_t *r, bl_waiter_t *w)
{
    bl_waiter_t **end = &r->first;

    while (*end != NULL)
        end = &(*end)->next;
    *end = w;
    w->next = NULL;
    r->count++;
}

void bl_waiting_add(bl_waiting_t *q, const bl_waiter_t *like)
{
    bl_waiter_t *w = q->free;

    if (w != NULL)
        q->free = w->next;
    else
        w = apr_palloc(q->pool, sizeof(*w));
    *w = *like;
    w->is_early = w->is_changed = w->shared = 0;
    put_last(&q->receivers[w->receiver], w);
    q->count++;
}

void bl_waiting_remove(bl_waiting_t *q, bl_waiter_t *w, int taken)
{
    receiver_t *r = &q->receivers[w->receiver];
    bl_waiter_t *other;

    unlink_it(r, w);
    if (r->told == w)
        r->told = NULL;
    w->next = q->free;
    q->free = w;
    q->count--;
    if (!taken)
        return;
    r->silent = 0;
    for (other = r->first; other != NULL; other = other->next) {
        other->is_early = 1;
        other->tries -= other->shared;
        other->shared = 0;
    }
}

/* ---- time ----------------------------------------------------------- */

static int is_due(const bl_waiter_t *w, apr_time_t now)
{
    return w->is_early || w->due <= now || w->due > now + DUE_MOST;
}

bl_waiter_t *bl_waiting_next(bl_waiting_t *q, apr_time_t now,
                             apr_interval_time_t *in)
{
    apr_interval_time_t least = APR_INT64_MAX;
    int i;

    for (i = 0; i < q->receiver_count; i++) {
        receiver_t *r =
            &q->receivers[(q->turn + i) % q->receiver_count]; /* W1 */
        bl_waiter_t *w = r->told == NULL ? r->first : NULL;

        for (; w != NULL && !is_due(w, now); w = w->next) {
            if (w->due - now < least)
                least = w->due - now;
        }
        if (w != NULL) {
            q->turn = (w->receiver + 1) % q->receiver_count;
            r->told = w;
            return w;
        }
    }
    *in = least;
    return NULL;
}

/* @return 1: it counts (W2) */
static int count_try(bl_waiter_t *w, apr_time_t now, apr_interval_time_t least)
{
    int counts = w->due <= now || w->due > now + DUE_MOST;
    apr_interval_time_t delay = 0;

    w->is_early = 0;
    if (counts) {
        delay = bl_notice_delay(++w->tries);
        w->due = now;
    }
    w->is_changed = w->is_changed || counts;
    if (w->due < now + delay)
        w->due = now + delay;
    if (w->due < now + least)
        w->due = now + least;
    return counts;
}

void bl_waiting_failed(bl_waiting_t *q, bl_waiter_t *w, apr_time_t now,
                       apr_interval_time_t least, int silent)
{
    receiver_t *r = &q->receivers[w->receiver];
    bl_waiter_t *other;

    r->told = NULL;
    r->silent = silent ? r->silent + 1 : 0;
    unlink_it(r, w);
    for (other = r->silent >= SILENT_MOST ? r->first : NULL; other != NULL;
         other = other->next) {
        if (is_due(other, now)) /* W3 */
            other->shared += count_try(other, now, 0);
    }
    put_last(r, w); /* W4 */
    count_try(w, now, least);
}

bl_waiter_t *bl_waiting_changed(bl_waiting_t *q)
{
    int i;

    for (i = 0; i < q->receiver_count; i++) {
        bl_waiter_t *w = q->receivers[i].first;

        while (w != NULL && !w->is_changed)
            w = w->next;
        if (w != NULL) {
            w->is_changed = 0;
            return w;
        }
    }
    return NULL;
}
