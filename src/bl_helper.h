/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_helper.h - a process beside the runner, for what may block
 *
 * Layer:    2 (actor, runner side).
 * Runs in:  the runner.
 * Owns:     its life: begun, listened to, begun again when it dies, ended. The
 *           socket between both: whole messages in both directions, and EOF
 *           when a side dies.
 * Not here: what it does, and what messages mean (bl_historian, bl_notifier).
 *
 *     runner                          helper
 *       | -- messages ------------->   |
 *       | <-- "BL0250 ..."             |  bl_diag: the runner logs it, for the
 *       |                              |  helper holds no error log open
 *       | -- EOF ------------------>   |  finish, and go
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
    /* In the runner: a new one has begun, and knows nothing yet. */
    void (*begun)(void *baton);
    void *baton;
} bl_helper_kind_t;

typedef struct bl_helper_t bl_helper_t;

/** Begin a helper. What fails is logged and tried again (bl_helper_tick).
 * @param host  outlives it; its pollset and keepers are there */
bl_helper_t *bl_helper_create(bl_host_t *host, const bl_helper_kind_t *kind,
                              apr_pool_t *p);

/** Is there one now? */
int bl_helper_lives(const bl_helper_t *helper);

/** Tell it something; does not wait. @return 0: there is no room; else it was
 * told, or there is none, or it is just dying: then begun will be called */
int bl_helper_tell(bl_helper_t *helper, const void *message, apr_size_t len);

/** In each turn of the loop. @return when it is due at the latest, by bl_tick;
 * APR_INT64_MAX: it lives */
apr_time_t bl_helper_tick(bl_helper_t *helper);

/** Another one takes its place, at once. */
void bl_helper_renew(bl_helper_t *helper);

/** Let it finish, and end it. Blocks. @param time  after that it is killed */
void bl_helper_stop(bl_helper_t **helper, apr_interval_time_t time);

#endif /* BL_HELPER_H */
