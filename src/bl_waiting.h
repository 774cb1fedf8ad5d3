/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_waiting.h - the notices that wait to be told: which is the next, and when
 *
 * Layer:    2 (actor, runner side), private to bl_courier.c.
 * Runs in:  the courier's process.
 * Owns:     their order, how often each is tried.
 * Not here: what is on disk (bl_notice), what is sent (bl_courier).
 *
 * INVARIANTS    W1 to one receiver one at a time; a receiver that takes its
 *                  time holds up no other
 *               W2 a notice is given up when it failed so often as
 *                  bl_notice_delay says, and so long apart: what is tried
 *                  earlier, because others were taken, does not count
 *               W3 a receiver that says nothing at all, twice, is not asked
 *                  about each: what was due counts as tried, until it takes
 *                  one
 *               W4 what was not taken goes behind the others of its receiver:
 *                  one that it never takes holds up none that it would
 *               W5 so many wait at most; one more, and the receiver for
 *                  which most wait loses the oldest
 */
#ifndef BL_WAITING_H
#define BL_WAITING_H

#include <apr_pools.h>
#include <apr_time.h>

#define BL_WAITING_MOST 1000

typedef struct bl_waiter_t bl_waiter_t;
struct bl_waiter_t {
    apr_uint64_t build;
    int index;
    int receiver;   /* 0 .. count - 1 */
    int tries;      /* that failed, and count */
    apr_time_t due; /* by the clock: it outlives the process */
    /* bl_waiting.c alone */
    bl_waiter_t *next;
    int is_early;   /* another one was taken: it need not wait until due */
    int is_changed; /* see bl_waiting_changed */
    int shared;     /* of the tries: those of others (W3) */
};

typedef struct bl_waiting_t bl_waiting_t;

/** @param receivers  how many there are */
void bl_waiting_create(bl_waiting_t **out, int receivers, apr_pool_t *p);

/** How many wait? */
int bl_waiting_count(const bl_waiting_t *waiting);

/** Does this one wait? */
int bl_waiting_knows(const bl_waiting_t *waiting, apr_uint64_t build,
                     int index);

/** W5. @return whom to remove before another one is added; NULL: there is
 * room, or all are being told */
bl_waiter_t *bl_waiting_surplus(const bl_waiting_t *waiting);

/** @param like  next and what is behind it is not looked at */
void bl_waiting_add(bl_waiting_t *waiting, const bl_waiter_t *like);

/** The next to be told: it is, until it was removed or has failed.
 * @param in  if there is none now: how long until there is one; APR_INT64_MAX:
 *            until something else happens. Set only then
 * @return NULL: none */
bl_waiter_t *bl_waiting_next(bl_waiting_t *waiting, apr_time_t now,
                             apr_interval_time_t *in);

/** It was told, or is given up. @param taken  its receiver is well: the others
 * may be tried, too */
void bl_waiting_remove(bl_waiting_t *waiting, bl_waiter_t *w, int taken);

/**
 * It was not told: it, and with W3 others, are tried later or given up, as
 * bl_waiting_changed says.
 *
 * @param least   not sooner than after this
 * @param silent  the receiver said nothing at all
 */
void bl_waiting_failed(bl_waiting_t *waiting, bl_waiter_t *w, apr_time_t now,
                       apr_interval_time_t least, int silent);

/** One whose tries or due have changed: to be written, or to be given up when
 * bl_notice_delay says so. @return NULL: no more */
bl_waiter_t *bl_waiting_changed(bl_waiting_t *waiting);

#endif /* BL_WAITING_H */
