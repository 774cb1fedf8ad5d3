/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_admission.c - which orders a runner accepts, and what it answers
 *
 * DIAGNOSTICS   BL0243 refused: its log cannot be made; BL0247 deliveries
 *               cannot be stored
 */
#include "bl_admission.h"

/* APR */
#include <apr_strings.h>
/* layer 0 */
#include "bl_diag.h"
/* layer 1 */
#include "bl_log.h"
#include "bl_seen.h"

/* Room for a log to begin in, and how long what was found holds. */
#define PROBE_BYTES (64 * 1024)
#define PROBE_TIME apr_time_from_sec(1)

struct bl_admission_t {
    bl_host_t *host;
    bl_admission_parts_t parts;
    apr_pool_t *pool;
    int closed;
    bl_seen_t *seen;      /* deliveries of hooks */
    int unseen;           /* they cannot be stored: it was said */
    apr_time_t probe_due; /* not before: the disk is tried again */
    apr_status_t probed;
};

static void refuse(const char **reply, apr_size_t *len, bl_refused_e why,
                   const char *text, apr_pool_t *p)
{
    bl_refusal_t refusal = {why, text};

    bl_wire_refused_write(reply, len, &refusal, p);
}

static void refuse_store(const char **reply, apr_size_t *len, apr_status_t rv,
                         apr_pool_t *p)
{
    char text[128];

    refuse(reply, len, BL_REFUSED_STORE,
           apr_psprintf(p, "The log of a build cannot be stored: %s.",
                        apr_strerror(rv, text, sizeof(text))),
           p);
}

static apr_status_t create_job(bl_admission_t *a, bl_job_t **job,
                               const bl_order_t *order, apr_pool_t *p)
{
    apr_uint32_t position = bl_queue_waiting(a->parts.queue) + 1;
    apr_status_t rv;

    do {
        rv = bl_job_create(job, a->host, bl_numbers_next(a->parts.numbers),
                           order, position, a->pool);
    } while (APR_STATUS_IS_EEXIST(rv));
    if (rv != APR_SUCCESS)
        return rv;
    bl_numbers_save(a->parts.numbers, p);
    return APR_SUCCESS;
}

/* @return the build that this delivery of a hook has begun; 0: none, or it is
 * no delivery */
static apr_uint64_t begun_by(const bl_admission_t *a, const bl_order_t *order)
{
    apr_uint64_t build = 0;
    int i;

    for (i = 0; i < BL_WIRE_MARKS && build == 0; i++) {
        if (order->marks[i] != NULL)
            build = bl_seen_find(a->seen, order->marks[i]);
    }
    return build;
}

static void say_unseen(bl_admission_t *a, apr_status_t rv)
{
    if (!a->unseen)
        bl_diag(BL_DIAG_WARNING, rv,
                "BL0247 the file deliveries in %s cannot be used: what hooks "
                "were told is known only until the runner ends",
                a->parts.state_dir);
    a->unseen = 1;
}

static void note_delivery(bl_admission_t *a, const bl_order_t *order,
                          apr_uint64_t build)
{
    int i;

    for (i = 0; i < BL_WIRE_MARKS; i++) {
        apr_status_t rv = APR_SUCCESS;

        if (order->marks[i] != NULL)
            rv = bl_seen_add(a->seen, order->marks[i], build);
        if (rv != APR_SUCCESS)
            say_unseen(a, rv);
    }
}

/* Before it is said that it is accepted: should this runner be killed now the
 * next one has it. */
static void keep_order(bl_admission_t *a, bl_job_t *job,
                       const bl_order_t *order)
{
    apr_uint64_t build = bl_job_build(job)->id;

    bl_queue_add(a->parts.queue, job, order);
    bl_job_store(job);
    bl_notifier_expect(a->parts.notifier, build, order);
    note_delivery(a, order, build);
}

static void accept_order(const char **reply, apr_size_t *len,
                         const bl_job_t *job, apr_pool_t *p)
{
    bl_accepted_t accepted;

    accepted.build = bl_job_build(job)->id;
    accepted.json = bl_build_to_json(bl_job_build(job), p);
    bl_wire_accepted_write(reply, len, &accepted, p);
}

/* @return 1: there is no room for it, which is answered */
static int is_too_many(bl_admission_t *a, const bl_order_t *order,
                       const char **reply, apr_size_t *len, apr_pool_t *p)
{
    bl_queue_t *queue = a->parts.queue;
    apr_uint32_t waiting;

    /* So that what is counted as waiting really waits. */
    bl_queue_start(queue);
    waiting = bl_queue_waiting(queue);
    if (bl_queue_may_begin(queue, order->project) ||
        waiting < a->parts.limits->max_queue)
        return 0;
    refuse(reply, len, BL_REFUSED_QUEUE_FULL,
           apr_psprintf(p,
                        "%u %s waiting, and BuildLogMaxQueue allows no more. "
                        "Try again later.",
                        waiting, waiting == 1 ? "build is" : "builds are"),
           p);
    return 1;
}

void bl_admission_order(bl_admission_t *a, const bl_order_t *order,
                        const char **reply, apr_size_t *len, apr_pool_t *p)
{
    bl_job_t *job = NULL;
    apr_uint64_t again;
    apr_status_t rv;

    if (a->closed) {
        refuse(reply, len, BL_REFUSED_STOPPING, "The server is stopping.", p);
        return;
    }
    again = begun_by(a, order);
    if (again != 0) {
        refuse(reply, len, BL_REFUSED_AGAIN,
               apr_psprintf(p,
                            "this delivery has begun build %" APR_UINT64_T_FMT
                            " already",
                            again),
               p);
        return;
    }
    if (is_too_many(a, order, reply, len, p))
        return;
    rv = create_job(a, &job, order, p);
    if (rv == APR_SUCCESS) {
        keep_order(a, job, order);
        accept_order(reply, len, job, p);
        return;
    }
    bl_diag(BL_DIAG_ERROR, rv,
            "BL0243 a build of %s was refused: its log in %s cannot be made",
            order->project, a->host->logs_dir);
    refuse_store(reply, len, rv, p);
}

void bl_admission_cancel(bl_admission_t *a, const bl_cancel_t *cancel,
                         const char **reply, apr_size_t *len, apr_pool_t *p)
{
    bl_job_t *job = bl_queue_find(a->parts.queue, cancel->build);

    /* Of two who cancel the first is named; to both it is accepted. */
    if (job != NULL && bl_job_stop(job, BL_BUILD_CANCELLED,
                                   apr_pstrcat(p, "by ", cancel->by, NULL)))
        accept_order(reply, len, job, p);
    else
        refuse(reply, len, BL_REFUSED_OVER, "This build is over already.", p);
}

/* However often it is asked, the disk is tried once in a while. */
static apr_status_t probe_logs(bl_admission_t *a, apr_pool_t *p)
{
    if (a->host->tick >= a->probe_due) {
        a->probe_due = a->host->tick + PROBE_TIME;
        a->probed = bl_log_probe(a->host->logs_dir, PROBE_BYTES, p);
    }
    return a->probed;
}

void bl_admission_probe(bl_admission_t *a, const char **reply, apr_size_t *len,
                        apr_pool_t *p)
{
    apr_status_t rv;

    if (a->closed) {
        refuse(reply, len, BL_REFUSED_STOPPING, "The server is stopping.", p);
        return;
    }
    rv = probe_logs(a, p);
    if (rv == APR_SUCCESS)
        bl_wire_bare_write(reply, len, BL_WIRE_READY, p);
    else
        refuse_store(reply, len, rv, p);
}

bl_admission_t *bl_admission_create(bl_host_t *host,
                                    const bl_admission_parts_t *parts,
                                    apr_pool_t *p)
{
    bl_admission_t *a = apr_pcalloc(p, sizeof(*a));
    apr_status_t rv;

    a->host = host;
    a->parts = *parts;
    a->pool = p;
    rv = bl_seen_open(
        &a->seen, apr_pstrcat(p, parts->state_dir, "/deliveries", NULL), p);
    if (rv != APR_SUCCESS)
        say_unseen(a, rv);
    return a;
}

void bl_admission_close(bl_admission_t *a)
{
    a->closed = 1;
}
