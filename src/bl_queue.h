/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_queue.h - the builds of a runner: those that wait, those that run
 *
 * Layer:    2 (actor, runner side).
 * Runs in:  runner.
 * Owns:     jobs from the moment they were accepted until they are done, and
 *           which may begin.
 * Not here: whether an order is accepted (bl_admission), a build itself
 *           (bl_job).
 *
 * Q1  at most max_builds run at once, at most one of a project; else first
 *     come, first served
 */
#ifndef BL_QUEUE_H
#define BL_QUEUE_H

#include "bl_host.h"
#include "bl_job.h"
#include "bl_orphans.h"

typedef struct bl_queue_t bl_queue_t;

/**
 * @param limits   what they say holds when it is asked; they and orphans live
 *                 as long as p
 * @param orphans  a project whose lost build has a process left is not built
 */
bl_queue_t *bl_queue_create(bl_host_t *host, const bl_limits_t *limits,
                            const bl_orphans_t *orphans, apr_pool_t *p);

/** At its end. @param order  of this job */
void bl_queue_add(bl_queue_t *queue, bl_job_t *job, const bl_order_t *order);

/** @return NULL: it is no job */
bl_job_t *bl_queue_find(const bl_queue_t *queue, apr_uint64_t build);

/** Those that wait; and those that run. */
apr_uint32_t bl_queue_waiting(const bl_queue_t *queue);
apr_uint32_t bl_queue_running(const bl_queue_t *queue);

int bl_queue_is_empty(const bl_queue_t *queue);

/** Would a build of this project begin at once? */
int bl_queue_may_begin(const bl_queue_t *queue, const char *project);

/** Let begin what may; the others learn their position. */
void bl_queue_start(bl_queue_t *queue);

/** Forget jobs that are done. @param ended  is told of each, after the log has
 * its end and before the job goes */
void bl_queue_sweep(bl_queue_t *queue,
                    void (*ended)(void *baton, apr_uint64_t build,
                                  bl_stamp_t last_id),
                    void *baton);

/** In each turn of the loop. @return when a job is due at the latest */
apr_time_t bl_queue_tick(bl_queue_t *queue);

/** The id below which all records of all jobs are written. @param id  of the
 * last record that was made */
bl_stamp_t bl_queue_written(const bl_queue_t *queue, bl_stamp_t id);

/** End all, for this reason. @return how long they may take to go */
apr_interval_time_t bl_queue_stop(bl_queue_t *queue, const char *reason);

#endif /* BL_QUEUE_H */
