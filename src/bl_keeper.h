/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_keeper.h - the process that starts a build's steps and ends them all
 *
 * Layer:    2 (actor, runner side). A process of its own, forked by the
 *           runner, one per running build.
 * Runs in:  all functions here: the runner.
 * Owns:     the build's processes: its session, their environment and limits,
 *           reaping, the kill of the whole tree.
 * Not here: output (the runner reads the pipes), the order of steps (bl_job).
 *
 * The keeper is a subreaper: whatever a build starts stays below it, also what
 * calls setsid() or forks twice. It goes when nothing below it is left.
 *
 *     runner                      keeper
 *       | -- run 0 ------------->  |  fork and exec step 0
 *       | <------- ended 0, status |  (or: not started, errno)
 *       | -- run 1 ...             |
 *       | -- end (grace) ------->  |  TERM, grace, KILL until none is left
 *       | <----- left behind, n    |  (when a step had left processes)
 *       | <---------------- EOF    |  gone
 *
 * When the runner dies the keeper sees EOF and does the same as on "end".
 */
#ifndef BL_KEEPER_H
#define BL_KEEPER_H

#include <apr_errno.h>
#include <apr_file_io.h>
#include <apr_pools.h>

#include "bl_cgroup.h"
#include "bl_wire.h"

typedef struct bl_keeper_t bl_keeper_t;

typedef enum {
    BL_KEEPER_ENDED,       /* the step's first process ended: exit, signal */
    BL_KEEPER_NOT_STARTED, /* error: why */
    BL_KEEPER_LEFT_BEHIND, /* count: processes that had to be killed though
                              the last step had ended by itself */
    BL_KEEPER_GONE         /* no process is left and no more events come */
} bl_keeper_event_e;

typedef struct {
    bl_keeper_event_e what;
    int step;
    int exit;   /* or BL_BUILD_NONE */
    int signal; /* or BL_BUILD_NONE */
    int count;
    apr_status_t error;
} bl_keeper_event_t;

/* How a keeper is asked to end. */
typedef enum {
    BL_KEEPER_END_CLEAN, /* the last step is over: kill what it left */
    BL_KEEPER_END_NOW    /* a step may be running: stop the build */
} bl_keeper_end_e;

/**
 * Fork a keeper.
 *
 * @param order  what to run; env is the whole environment of the steps
 * @param group  of the build; closed here
 * @param p      lives until the keeper is gone
 * @return APR_SUCCESS; the reason why no process or pipe could be made, *out
 *         untouched
 */
apr_status_t bl_keeper_start(bl_keeper_t **out, const bl_order_t *order,
                             bl_cgroup_fds_t *group, apr_pool_t *p);

pid_t bl_keeper_pid(const bl_keeper_t *keeper);

/** To poll for input: events. */
apr_file_t *bl_keeper_control(const bl_keeper_t *keeper);
/** To poll and read: the output of all steps; nonblocking. */
apr_file_t *bl_keeper_stdout(const bl_keeper_t *keeper);
apr_file_t *bl_keeper_stderr(const bl_keeper_t *keeper);

/** Start a step; an event tells how it went. */
void bl_keeper_run(bl_keeper_t *keeper, int step);

/** End everything; a second call may only make it more urgent. */
void bl_keeper_end(bl_keeper_t *keeper, bl_keeper_end_e how);

/**
 * Take an event.
 *
 * @return APR_SUCCESS; APR_EAGAIN: none now. After BL_KEEPER_GONE do not call
 *         again.
 */
apr_status_t bl_keeper_next(bl_keeper_event_t *event, bl_keeper_t *keeper);

/** The keeper is gone: reap it, close its descriptors.
 * @return 0: it did not end by itself, and may have left processes */
int bl_keeper_close(bl_keeper_t **keeper);

#endif /* BL_KEEPER_H */
