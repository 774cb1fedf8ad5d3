/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_marks.h - places in logs whose line numbers are known
 *
 * Layer:    1 (store). APR only, no httpd.h.
 * Runs in:  marks: one thread. A shelf: any threads.
 * Owns:     which places are remembered, of which logs, for how long.
 * Not here: what the number of a line is, and the counting (bl_window).
 *
 * Lines are counted at the speed of the disk; of a large log that is too slow
 * for each request of somebody who scrolls. So a child remembers where it has
 * counted. That can be forgotten at any time.
 *
 * K1  memory is bounded: BL_MARKS_MOST places of a log, the farther apart the
 *     longer it is; BL_MARKS_LOGS logs, those that were asked for last
 * K2  numbers grow with the offsets. A place that contradicts those that are
 *     there (in a log that was damaged) is not taken
 * K3  a shelf gives what was counted in the same log, in the same state
 */
#ifndef BL_MARKS_H
#define BL_MARKS_H

#include <apr_errno.h>
#include <apr_pools.h>

/* Of a log of 1 GB they are 4 MB apart, which is counted in 3 ms. */
#define BL_MARKS_MOST 256
#define BL_MARKS_LOGS 16

/* Nearer to each other they are of no use; a log that is shorter has none. */
#define BL_MARKS_SPACING ((apr_off_t)1024 * 1024)

/* A record begins at the offset. The next line record has the number. */
typedef struct {
    apr_off_t offset;
    apr_uint64_t number;
} bl_mark_t;

/* Those of one log, in order. */
typedef struct {
    apr_off_t spacing;
    unsigned count;
    bl_mark_t at[BL_MARKS_MOST];
} bl_marks_t;

void bl_marks_clear(bl_marks_t *marks, apr_off_t spacing);

/** Remember a place, if none is nearby. */
void bl_marks_add(bl_marks_t *marks, const bl_mark_t *mark);

/** The last place with a smaller number. @return NULL: there is none */
const bl_mark_t *bl_marks_before(const bl_marks_t *marks, apr_uint64_t number);

/** The first place with this number or a greater one. @return NULL: none */
const bl_mark_t *bl_marks_behind(const bl_marks_t *marks, apr_uint64_t number);

/* ---- those of several logs ------------------------------------------ */

typedef struct bl_marks_shelf_t bl_marks_shelf_t;

/* Numbers depend on the hole of a log: on how far it reaches, and on whether
 * it is a line of the log or only told as one (W3 of bl_window.h). */
typedef struct {
    apr_uint64_t build;
    int grows;
    apr_off_t hole; /* its end; 0: there is none */
} bl_marks_key_t;

apr_status_t bl_marks_shelf_create(bl_marks_shelf_t **out, apr_pool_t *p);

/** Set marks to those of a log: none, if it is not known. */
void bl_marks_shelf_get(bl_marks_t *marks, bl_marks_shelf_t *shelf,
                        const bl_marks_key_t *key);

/** Add marks to those of a log. */
void bl_marks_shelf_put(bl_marks_shelf_t *shelf, const bl_marks_key_t *key,
                        const bl_marks_t *marks);

#endif /* BL_MARKS_H */
