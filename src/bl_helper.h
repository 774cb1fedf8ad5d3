/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_helper.h - a process beside the runner, for what may block
 *
 * Layer:    2 (actor, runner side).
 * Runs in:  the runner.
 * Owns:     its life: begun, listened to, begun again when it dies, ended. The
 *           socket between both: what it is told of builds, and that it is
 *           told all.
 * Not here: what it does for them (bl_scribe, bl_courier).
 *
 *     runner                          helper
 *       | -- ended 42 ------------->   |
 *       | -- removed 7 ------------>   |
 *       | -- look ----------------->   |  (when the socket was full) at
 *       |                              |  everything
 *       | <-- "BL0250 ..."             |  bl_diag: the runner logs it, for the
 *       |                              |  helper holds no error log open
 *       | -- EOF ------------------>   |  finish, and go
 *
 * E2  what a helper was told and cannot know is in the logs, or in files of
 *     its own: one that begins looks at everything, and so does one for whose
 *     messages there was no room. Nothing waits in the runner
 */
#ifndef BL_HELPER_H
#define BL_HELPER_H

#include <apr_pools.h>
#include <apr_time.h>

#include "bl_host.h"

/* In the helper: its end of the socket. */
#define BL_HELPER_CONTROL 3

typedef struct {
    const char *process; /* its name for ps: 15 bytes of it are shown */
    const char *died;    /* "BL0253 the historian died" */
    const char *none;    /* "BL0254 no process for the history" */
    const char *harm;    /* what that means: "no build is lost by that" */
    /* Be the helper: called in the child right after fork, never returns. */
    void (*run)(void *baton);
    void *baton;
} bl_helper_kind_t;

typedef struct bl_helper_t bl_helper_t;

/** Begin a helper. What fails is logged and tried again (bl_helper_tick).
 * @param host  outlives it; its pollset and keepers are there */
bl_helper_t *bl_helper_create(bl_host_t *host, const bl_helper_kind_t *kind,
                              apr_pool_t *p);

/* What of a build. */
typedef enum {
    BL_HELPER_LOOK,   /* at all builds: not all was told */
    BL_HELPER_ENDED,  /* its log has its end */
    BL_HELPER_REMOVED /* its log was removed */
} bl_helper_what_e;

/* Both ends are the same program: a struct is message enough. */
typedef struct {
    apr_uint64_t build;
    bl_helper_what_e what;
} bl_helper_message_t;

/** Tell it of a build; does not wait (E2). @param helper  NULL: nobody */
void bl_helper_tell(bl_helper_t *helper, bl_helper_what_e what,
                    apr_uint64_t build);

/** Tell it to look, if there was no room for something; bl_helper_tick does it
 * once in a while. */
void bl_helper_remind(bl_helper_t *helper);

/** In each turn of the loop. @param helper  may be NULL. @return when it is
 * due at the latest, by bl_tick; APR_INT64_MAX: there is nothing to do */
apr_time_t bl_helper_tick(bl_helper_t *helper);

/** Another one takes its place, at once. */
void bl_helper_renew(bl_helper_t *helper);

/** Let it finish, and end it. Blocks. @param time  after that it is killed */
void bl_helper_stop(bl_helper_t **helper, apr_interval_time_t time);

/* ---- in the helper -------------------------------------------------- */

/** What it is told next; does not wait: BL_HELPER_CONTROL can be read when
 * there is something.
 * @return APR_SUCCESS; APR_EAGAIN: nothing now; APR_EOF: finish, and go */
apr_status_t bl_helper_hear(bl_helper_message_t *message);

#endif /* BL_HELPER_H */
