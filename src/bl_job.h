/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_job.h - one build in the runner, from the queue to its last record
 *
 * Layer:    2 (actor, runner side).
 * Runs in:  runner, its only thread.
 * Owns:     the build's record and state, the order of its steps, its time
 *           limits, what the runner itself says in its log.
 * Not here: which build may start (bl_runner), its processes (bl_keeper), its
 *           output (bl_output).
 *
 *     QUEUED --start--> STEPS --last step over, or stop--> ENDING
 *        |                                                    |
 *        |                               keeper gone, all read|
 *        +--stop---------------------------------> WRITING <--+
 *                                                     |
 *                    its sums are known, its end is in the log
 *                                                     |
 *                                                   DONE
 *
 * J1  every build has exactly one final state, and its log ends with it
 * J2  a step's header stands behind all output of the step before
 */
#ifndef BL_JOB_H
#define BL_JOB_H

#include "bl_build.h"
#include "bl_host.h"
#include "bl_wire.h"

typedef struct bl_job_t bl_job_t;

/**
 * Take an order: create the log, begin it, show the build in the table.
 *
 * @param order     copied
 * @param position  in the queue, from 1
 * @param p         parent of the job's own pool
 * @return APR_SUCCESS; APR_EEXIST: take another id; APR_ENOSPC,
 *         APR_ENAMETOOLONG: see bl_table_row_add; an I/O status
 */
apr_status_t bl_job_create(bl_job_t **out, bl_host_t *host, apr_uint64_t id,
                           const bl_order_t *order, apr_uint32_t position,
                           apr_pool_t *p);

/**
 * Take up a build that has waited under an earlier runner.
 *
 * @param order  as it was given; copied
 * @param found  its record, out of its log; copied
 * @return as bl_job_create; the log is as it was when it is not APR_SUCCESS
 */
apr_status_t bl_job_resume(bl_job_t **out, bl_host_t *host,
                           const bl_order_t *order, const bl_build_t *found,
                           apr_uint32_t position, apr_pool_t *p);

/** The build's record; the job changes it. */
const bl_build_t *bl_job_build(const bl_job_t *job);

/** Keep its order on disk until it begins: in a moment, most likely, so that
 * nothing is said when it cannot be stored. */
void bl_job_store(bl_job_t *job);

/** It cannot begin now: its order must be on disk. */
void bl_job_wait(bl_job_t *job);

/** The place in the queue, from 1: shown in the table at once, and told to
 * viewers once a second at most. */
void bl_job_set_position(bl_job_t *job, apr_uint32_t position);

/** Leave the queue: fork the keeper, begin the first step. */
void bl_job_start(bl_job_t *job);

/**
 * End the build before its time. The first reason counts.
 *
 * @param state   BL_BUILD_CANCELLED or BL_BUILD_TIMED_OUT
 * @param reason  for people; copied
 * @return 0: its result stands already
 */
int bl_job_stop(bl_job_t *job, bl_build_state_e state, const char *reason);

int bl_job_is_queued(const bl_job_t *job);
int bl_job_is_done(const bl_job_t *job);

/** Id of the first record that waits to be written; 0: none waits. */
bl_stamp_t bl_job_first_pending(const bl_job_t *job);

/** Id of the last record in its log. */
bl_stamp_t bl_job_last_id(const bl_job_t *job);

/** Do what is due at host->now.
 * @return when to be called next at the latest */
apr_time_t bl_job_tick(bl_job_t *job);

void bl_job_destroy(bl_job_t **job);

#endif /* BL_JOB_H */
