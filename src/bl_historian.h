/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_historian.h - the process that keeps the history, as the runner sees it
 *
 * Layer:    2 (actor, runner side). A process of its own, forked by the
 *           runner, one per runner; bl_scribe is its inside.
 * Runs in:  all functions here: the runner.
 * Owns:     which process it is, and whether there is one.
 * Not here: its life, and that it is told all (bl_helper), the database
 *           (bl_history), when logs are removed.
 *
 * A database blocks: it is locked, its server is gone, its disk is slow. In a
 * process of its own that holds up no line and loses no build, for the logs
 * are the truth and the database is an index of them. Of a build that ended
 * the last record of its log becomes a row, that of one that was removed goes;
 * to look at everything is to compare all logs with all rows.
 */
#ifndef BL_HISTORIAN_H
#define BL_HISTORIAN_H

#include <apr_pools.h>
#include <apr_time.h>

#include "bl_host.h"

typedef struct bl_historian_t bl_historian_t;

/**
 * Begin a historian. What fails is logged and tried again (bl_historian_tick).
 * In the runner, when recovery has ended the logs of runners before.
 *
 * @param host    outlives it; its logs_dir, pollset and keepers are there
 * @param driver  see bl_history_open; NULL: there is no history, and all
 *                calls do nothing
 */
void bl_historian_create(bl_historian_t **out, bl_host_t *host,
                         const char *driver, const char *params,
                         apr_pool_t *p);

/** The log of a build has its end. */
void bl_historian_ended(bl_historian_t *historian, apr_uint64_t id);

/** The log of a build was removed. */
void bl_historian_removed(bl_historian_t *historian, apr_uint64_t id);

/** In each turn of the loop. @return when it is due at the latest, by
 * bl_tick */
apr_time_t bl_historian_tick(bl_historian_t *historian);

/**
 * Let it write what it was told, and end it. Blocks.
 *
 * @param time  after that it is killed; the next one resyncs
 */
void bl_historian_stop(bl_historian_t **historian, apr_interval_time_t time);

#endif /* BL_HISTORIAN_H */
