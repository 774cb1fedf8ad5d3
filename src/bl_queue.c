/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_queue.c - the builds of a runner: those that wait, those that run
 *
 * INVARIANTS    see bl_queue.h
 */
#include "bl_queue.h"

/* libc */
#include <string.h>
/* APR */
#include <apr_tables.h>

struct bl_queue_t {
    bl_host_t *host;
    const bl_limits_t *limits;
    const bl_orphans_t *orphans;
    apr_array_header_t *jobs; /* bl_job_t *, in the order they came */
    apr_interval_time_t longest_grace;
};

static bl_job_t *job_at(const bl_queue_t *q, int i)
{
    return APR_ARRAY_IDX(q->jobs, i, bl_job_t *);
}

bl_queue_t *bl_queue_create(bl_host_t *host, const bl_limits_t *limits,
                            const bl_orphans_t *orphans, apr_pool_t *p)
{
    bl_queue_t *q = apr_pcalloc(p, sizeof(*q));

    q->host = host;
    q->limits = limits;
    q->orphans = orphans;
    q->jobs = apr_array_make(p, 16, sizeof(bl_job_t *));
    return q;
}

void bl_queue_add(bl_queue_t *q, bl_job_t *job, const bl_order_t *order)
{
    APR_ARRAY_PUSH(q->jobs, bl_job_t *) = job;
    if (order->kill_grace > q->longest_grace)
        q->longest_grace = order->kill_grace;
}

bl_job_t *bl_queue_find(const bl_queue_t *q, apr_uint64_t build)
{
    int i;

    for (i = 0; i < q->jobs->nelts; i++) {
        if (bl_job_build(job_at(q, i))->id == build)
            return job_at(q, i);
    }
    return NULL;
}

apr_uint32_t bl_queue_waiting(const bl_queue_t *q)
{
    apr_uint32_t n = 0;
    int i;

    for (i = 0; i < q->jobs->nelts; i++)
        n += bl_job_is_queued(job_at(q, i)) != 0;
    return n;
}

apr_uint32_t bl_queue_running(const bl_queue_t *q)
{
    return (apr_uint32_t)q->jobs->nelts - bl_queue_waiting(q);
}

int bl_queue_is_empty(const bl_queue_t *q)
{
    return q->jobs->nelts == 0;
}

static int runs(const bl_queue_t *q, const char *project)
{
    int i;

    for (i = 0; i < q->jobs->nelts; i++) {
        const bl_job_t *job = job_at(q, i);

        if (!bl_job_is_queued(job) &&
            strcmp(bl_job_build(job)->project, project) == 0)
            return 1;
    }
    return 0;
}

int bl_queue_may_begin(const bl_queue_t *q, const char *project)
{
    return bl_queue_running(q) < q->limits->max_builds && !runs(q, project) &&
           !bl_orphans_hold(q->orphans, project);
}

void bl_queue_start(bl_queue_t *q)
{
    apr_uint32_t position = 0;
    int i;

    for (i = 0; i < q->jobs->nelts; i++) {
        bl_job_t *job = job_at(q, i);

        if (!bl_job_is_queued(job))
            continue;
        if (bl_queue_may_begin(q, bl_job_build(job)->project)) {
            bl_job_start(job);
        }
        else {
            bl_job_wait(job);
            bl_job_set_position(job, ++position);
        }
    }
}

void bl_queue_sweep(bl_queue_t *q,
                    void (*ended)(void *baton, apr_uint64_t build,
                                  bl_stamp_t last_id),
                    void *baton)
{
    int i, kept = 0;

    for (i = 0; i < q->jobs->nelts; i++) {
        bl_job_t *job = job_at(q, i);

        if (bl_job_is_done(job)) {
            bl_counts_ended(bl_table_counts(q->host->table),
                            bl_job_build(job)->state);
            ended(baton, bl_job_build(job)->id, bl_job_last_id(job));
            bl_job_destroy(&job);
        }
        else
            APR_ARRAY_IDX(q->jobs, kept++, bl_job_t *) = job;
    }
    q->jobs->nelts = kept;
}

apr_time_t bl_queue_tick(bl_queue_t *q)
{
    apr_time_t next = APR_INT64_MAX;
    int i;

    for (i = 0; i < q->jobs->nelts; i++) {
        apr_time_t due = bl_job_tick(job_at(q, i));

        next = due < next ? due : next;
    }
    return next;
}

bl_stamp_t bl_queue_written(const bl_queue_t *q, bl_stamp_t id)
{
    int i;

    for (i = 0; i < q->jobs->nelts; i++) {
        bl_stamp_t pending = bl_job_first_pending(job_at(q, i));

        if (pending != 0 && pending <= id)
            id = pending - 1; /* T2 */
    }
    return id;
}

apr_interval_time_t bl_queue_stop(bl_queue_t *q, const char *reason)
{
    int i;

    for (i = 0; i < q->jobs->nelts; i++)
        bl_job_stop(job_at(q, i), BL_BUILD_CANCELLED, reason);
    return q->longest_grace;
}
