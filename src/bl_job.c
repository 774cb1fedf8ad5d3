/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_job.c - one build in the runner, from the queue to its last record
 *
 * INVARIANTS    see bl_job.h
 * DIAGNOSTICS   BL0210 begun, BL0211 ended: once a build
 */
#include "bl_job.h"

/* libc */
#include <string.h>
/* APR */
#include <apr_strings.h>
/* layer 0 */
#include "bl_diag.h"
#include "bl_mask.h"
#include "bl_words.h"
/* layer 1 */
#include "bl_spool.h"
/* this side of layer 2 */
#include "bl_group.h"
#include "bl_keeper.h"
#include "bl_output.h"
#include "bl_secret.h"

/* How far a running build is stands in the table so often. */
#define PROGRESS_TIME apr_time_from_sec(1)

/* An order that could not be stored is tried again. */
#define SPOOL_TIME apr_time_from_sec(1)

/* A place in the queue that changes more often is told at last. */
#define POSITION_TIME apr_time_from_sec(1)

typedef enum {
    PHASE_QUEUED,
    PHASE_STEPS,
    PHASE_ENDING,
    PHASE_WRITING,
    PHASE_DONE
} phase_e;

struct bl_job_t {
    apr_pool_t *pool;
    apr_pool_t *scratch; /* the record as it was made last */
    bl_host_t *host;
    bl_order_t *order;
    bl_build_t *build;
    phase_e phase;
    bl_output_t *output;
    bl_mask_t *mask;   /* NULL: nothing is secret, or it has not begun */
    bl_group_t *group; /* NULL: there is none */
    int row;
    bl_keeper_t *keeper; /* NULL: none */
    pid_t keeper_pid;
    bl_watch_t control;
    apr_time_t begun;     /* by the clock of the loop; 0: not yet */
    bl_build_state_e end; /* what the build will have ended as */
    const char *reason;
    int stopped;        /* end and reason are from bl_job_stop */
    bl_build_t unended; /* as it was before its end, which is being written */
    const char *final_json;
    int is_spooled;           /* its order is on disk */
    apr_time_t spool_due;     /* not before; 0: it was not tried yet */
    const char *shown_wait;   /* of bl_output_waits_for, in the table */
    apr_uint32_t told;        /* position that the log has */
    apr_time_t next_position; /* not before: the next one in the log */
    apr_uint64_t shown_bytes; /* that the table has */
    apr_time_t next_progress;
};

/* ---- what the log says ---------------------------------------------- */

/* A record grows while its build runs: a step gets its times and its result,
 * the build its reason and its sums. */
static apr_size_t record_growth(const bl_build_t *build)
{
    return 2048 + 128 * (apr_size_t)build->step_count;
}

/* The build as it is now, into the table alone: while its log cannot be
 * written this is all that can be told. Not of its end: that is told when it
 * is in the file (write_end). */
static void show_row(bl_job_t *job)
{
    bl_build_t build =
        job->phase == PHASE_WRITING ? job->unended : *job->build;

    apr_pool_clear(job->scratch);
    job->shown_wait = bl_output_waits_for(job->output);
    if (job->shown_wait != NULL)
        build.reason =
            apr_pstrcat(job->scratch, "waiting: ", job->shown_wait, NULL);
    bl_table_row_set(job->host->table, job->row, 0,
                     bl_build_to_json(&build, job->scratch));
}

/* The build's record as it is now, into log and table. */
static void show(bl_job_t *job)
{
    apr_pool_clear(job->scratch);
    bl_output_record(job->output, BL_REC_BUILD,
                     bl_build_to_json(job->build, job->scratch));
    show_row(job);
    job->host->changed = 1;
}

/* Nothing that those who wrote the project can mend. */
static int is_shortage(apr_status_t rv)
{
    return APR_STATUS_IS_EAGAIN(rv) || APR_STATUS_IS_ENOMEM(rv) ||
           APR_STATUS_IS_EMFILE(rv) || APR_STATUS_IS_ENFILE(rv);
}

static void unspool(bl_job_t *job);

/* ---- the end -------------------------------------------------------- */

/* Everything is said; the job is done when it is also in the file.
 * @return 1: call again in the next turn, 0: when due */
static int write_end(bl_job_t *job)
{
    if (job->final_json == NULL) {
        apr_status_t rv = bl_output_finish(job->output);

        if (rv != APR_SUCCESS)
            return APR_STATUS_IS_EAGAIN(rv);
        /* The table has it when it is in the file, not before: should this
         * runner be killed now the next one says lost. */
        job->final_json = bl_build_to_json(job->build, job->pool);
        bl_output_record(job->output, BL_REC_END, job->final_json);
    }
    if (bl_output_first_pending(job->output) != 0 &&
        bl_output_commit(job->output) != APR_SUCCESS)
        return 0;
    if (bl_table_row_set(job->host->table, job->row, 1, job->final_json) !=
        APR_SUCCESS)
        bl_diag(BL_DIAG_ERROR, 0,
                "BL0212 build %" APR_UINT64_T_FMT ": record too long",
                job->build->id);
    job->host->changed = 1;
    job->phase = PHASE_DONE;
    bl_diag(BL_DIAG_INFO, 0, "BL0211 build %" APR_UINT64_T_FMT " of %s %s%s%s",
            job->build->id, job->build->project,
            bl_build_state_name(job->build->state),
            job->reason != NULL ? ": " : "",
            job->reason != NULL ? job->reason : "");
    return 0;
}

static void end_build(bl_job_t *job)
{
    bl_build_t *build = job->build;
    const char *message = job->order->messages[job->end];

    if (job->mask == NULL)
        message = bl_secret_hide_text(message, job->order, job->pool);
    unspool(job);
    job->unended = *build;
    bl_build_move(build, job->end);
    build->reason = job->reason;
    build->step = -1;
    build->position = 0;
    build->ended = bl_stamp_next(job->host->last_id, job->host->now);
    bl_output_note(job->output, 0,
                   bl_words_last_line(build, message, job->pool));
    job->phase = PHASE_WRITING;
    write_end(job);
}

static void decide(bl_job_t *job, bl_build_state_e end, const char *reason)
{
    if (job->stopped)
        return;
    job->end = end;
    job->reason = bl_mask_text(job->mask, reason, job->pool);
}

static void keeper_gone(bl_job_t *job)
{
    int killed;

    bl_output_drain(job->output);
    bl_output_detach(job->output);
    bl_watch_set(job->host, &job->control, 0);
    bl_host_forget_keeper(job->host, job->keeper_pid);
    /* When somebody killed it, what it kept is the runner's to end now. */
    killed = !bl_keeper_close(&job->keeper);
    if (killed)
        bl_host_end_orphans(job->host);
    bl_group_end(job->group, killed, job->pool);
    job->keeper_pid = 0;
    if (job->phase == PHASE_STEPS)
        decide(job, BL_BUILD_LOST, "the process that kept it was killed");
    end_build(job);
}

/* ---- steps ---------------------------------------------------------- */

static void begin_step(bl_job_t *job, int step)
{
    bl_build_t *build = job->build;

    build->step = step;
    build->steps[step].started =
        bl_stamp_next(job->host->last_id, job->host->now);
    show(job);
    bl_output_note(
        job->output, (unsigned)step + 1,
        apr_pstrcat(job->pool, "$ ", job->order->steps[step].command, NULL));
    bl_output_commit(job->output);
    /* Killed up to here the runner has begun nothing, and the next one can;
     * from here on the build is lost with it, and never begun twice. */
    unspool(job);
    bl_keeper_run(job->keeper, step);
}

static void begin_ending(bl_job_t *job, bl_keeper_end_e how)
{
    job->phase = PHASE_ENDING;
    bl_keeper_end(job->keeper, how);
}

/* A step is over. reason: why it failed; NULL: it did not. */
static void judge_step(bl_job_t *job, const char *reason)
{
    const char *lack = bl_group_lack(job->group, job->pool);

    if (reason != NULL && lack != NULL)
        reason = apr_pstrcat(job->pool, reason, ": ", lack, NULL);
    else if (lack != NULL)
        bl_output_note(job->output, 0,
                       apr_pstrcat(job->pool, "In this step: ", lack, NULL));
    if (reason != NULL)
        decide(job, BL_BUILD_FAILED, reason);
}

static void step_over(bl_job_t *job, const bl_keeper_event_t *event)
{
    bl_build_t *build = job->build;
    const char *reason = NULL;
    bl_build_step_t *step;

    if (event->step < 0 || event->step >= build->step_count)
        return;
    bl_output_drain(job->output); /* J2 */
    step = &build->steps[event->step];
    step->ended = bl_stamp_next(job->host->last_id, job->host->now);
    step->exit = event->exit;
    step->signal = event->signal;
    build->exit = event->exit;
    build->signal = event->signal;
    if (event->what == BL_KEEPER_NOT_STARTED) {
        if (is_shortage(event->error))
            bl_diag(BL_DIAG_ERROR, event->error,
                    "BL0213 build %" APR_UINT64_T_FMT
                    ": no process for its step \"%s\", it fails; see the "
                    "limits of processes and open files of its user",
                    build->id, step->name);
        reason =
            bl_words_not_started(build, event->step, event->error, job->pool);
    }
    else if (event->exit != 0)
        reason = bl_words_step_ended(build, event->step, job->pool);
    judge_step(job, reason);
    if (job->phase != PHASE_STEPS)
        bl_output_commit(job->output); /* already told to end */
    else if (reason == NULL && event->step + 1 < build->step_count)
        begin_step(job, event->step + 1);
    else
        begin_ending(job, BL_KEEPER_END_CLEAN);
}

static void left_behind(bl_job_t *job, int count)
{
    if (count > 0)
        bl_output_note(job->output, 0, bl_words_left_behind(count, job->pool));
}

static void keeper_ready(void *baton, apr_int16_t events)
{
    bl_job_t *job = baton;
    bl_keeper_event_t event;

    while (job->keeper != NULL &&
           bl_keeper_next(&event, job->keeper) == APR_SUCCESS) {
        switch (event.what) {
        case BL_KEEPER_ENDED:
        case BL_KEEPER_NOT_STARTED:
            step_over(job, &event);
            break;
        case BL_KEEPER_LEFT_BEHIND:
            left_behind(job, event.count);
            break;
        case BL_KEEPER_GONE:
            keeper_gone(job);
            break;
        }
    }
}

/* ---- beginning ------------------------------------------------------ */

/* The default environment, where the order does not say otherwise. */
static void add_environment(bl_job_t *job)
{
    apr_pool_t *p = job->pool;
    const char *base[] = {
        "PATH=/usr/local/bin:/usr/bin:/bin",
        apr_pstrcat(p, "HOME=", job->host->home, NULL),
        "LANG=C.UTF-8",
        "CI=true",
        "FORCE_COLOR=1",
        apr_psprintf(p, "BUILDLOG_ID=%" APR_UINT64_T_FMT, job->build->id),
        apr_pstrcat(p, "BUILDLOG_PROJECT=", job->build->project, NULL),
        job->host->server,
    };
    int base_count = (int)(sizeof(base) / sizeof(base[0]));
    int given = job->order->env_count, count = 0, i, j;
    const char **env =
        apr_pcalloc(p, sizeof(char *) * (apr_size_t)(given + base_count));

    for (i = 0; i < base_count; i++) {
        apr_size_t name = (apr_size_t)(strchr(base[i], '=') + 1 - base[i]);

        for (j = 0; j < given; j++) {
            if (strncmp(job->order->env[j], base[i], name) == 0)
                break;
        }
        if (j == given)
            env[count++] = base[i];
    }
    for (j = 0; j < given; j++)
        env[count++] = job->order->env[j];
    job->order->env = env;
    job->order->env_count = count;
}

/* ---- waiting -------------------------------------------------------- */

static apr_status_t spool(bl_job_t *job)
{
    apr_status_t rv;

    apr_pool_clear(job->scratch);
    rv = bl_spool_save(job->host->spool_dir, job->build->id, job->order,
                       job->host->seal, job->scratch);
    job->is_spooled = rv == APR_SUCCESS;
    return rv;
}

void bl_job_store(bl_job_t *job)
{
    if (!job->is_spooled)
        spool(job);
}

void bl_job_wait(bl_job_t *job)
{
    apr_status_t rv;

    if (job->is_spooled || job->host->tick < job->spool_due)
        return;
    rv = spool(job);
    if (rv != APR_SUCCESS && job->spool_due == 0)
        bl_diag(BL_DIAG_WARNING, rv,
                "BL0214 build %" APR_UINT64_T_FMT
                " would not outlive this runner: its order in %s cannot be "
                "stored; it is tried again until it can",
                job->build->id, job->host->spool_dir);
    else if (rv == APR_SUCCESS && job->spool_due != 0)
        bl_diag(BL_DIAG_NOTICE, 0,
                "BL0217 build %" APR_UINT64_T_FMT
                ": its order is stored now, it would outlive this runner",
                job->build->id);
    job->spool_due = job->host->tick + SPOOL_TIME;
}

static void unspool(bl_job_t *job)
{
    if (job->is_spooled)
        bl_spool_remove(job->host->spool_dir, job->build->id, job->pool);
    job->is_spooled = 0;
}

void bl_job_set_position(bl_job_t *job, apr_uint32_t position)
{
    if (job->build->position == position)
        return;
    job->build->position = position;
    show_row(job);
}

/* A record in each log of a long queue, each time that a build begins, would
 * be most of what viewers get.
 * @return when it is due */
static apr_time_t tell_position(bl_job_t *job)
{
    if (job->build->position == job->told)
        return job->host->tick + POSITION_TIME;
    if (job->host->tick >= job->next_position) {
        show(job);
        bl_output_commit(job->output);
        job->told = job->build->position;
        job->next_position = job->host->tick + POSITION_TIME;
    }
    return job->next_position;
}

/* ---- life ----------------------------------------------------------- */

static const char *why_not(const bl_job_t *job, const char *what,
                           apr_status_t rv)
{
    char text[128];

    return apr_pstrcat(job->pool, what, ": ",
                       apr_strerror(rv, text, sizeof(text)), NULL);
}

/* @return why not; NULL: it is there */
static const char *start_keeper(bl_job_t *job)
{
    bl_cgroup_fds_t fds;
    apr_status_t rv;

    rv = bl_group_create(&job->group, job->host, job->build->id, job->pool);
    if (rv == APR_SUCCESS)
        rv = bl_group_open(&fds, job->group, job->pool);
    if (rv != APR_SUCCESS) {
        bl_diag(BL_DIAG_ERROR, rv,
                "BL0208 build %" APR_UINT64_T_FMT
                ": no control group for it, it fails; see BuildLogCgroup",
                job->build->id);
        bl_group_end(job->group, 0, job->pool);
        return why_not(job, "its control group could not be made", rv);
    }
    rv = bl_keeper_start(&job->keeper, job->order, &fds, job->pool);
    if (rv != APR_SUCCESS) {
        bl_diag(BL_DIAG_ERROR, rv,
                "BL0213 build %" APR_UINT64_T_FMT
                ": no process for it, it fails; see the limits of processes "
                "and open files of its user",
                job->build->id);
        bl_group_end(job->group, 0, job->pool);
        return why_not(job, "no process could be started", rv);
    }
    return NULL;
}

void bl_job_start(bl_job_t *job)
{
    bl_build_t *build = job->build;
    const char *why = NULL;

    build->position = 0;
    add_environment(job);
    bl_build_move(build, BL_BUILD_RUNNING);
    build->started = bl_stamp_next(job->host->last_id, job->host->now);
    job->begun = job->host->tick;
    job->phase = PHASE_STEPS;
    job->end = BL_BUILD_SUCCEEDED; /* unless something speaks against it */
    if (bl_secret_hide(&job->mask, job->order, build, job->output,
                       job->pool) != APR_SUCCESS)
        why = bl_words_not_masked(job->pool);
    if (why == NULL)
        why = start_keeper(job);
    if (why != NULL) {
        decide(job, BL_BUILD_FAILED, why);
        end_build(job);
        return;
    }
    bl_diag(BL_DIAG_INFO, 0, "BL0210 build %" APR_UINT64_T_FMT " of %s begins",
            build->id, build->project);
    job->keeper_pid = bl_keeper_pid(job->keeper);
    bl_host_add_keeper(job->host, job->keeper_pid);
    bl_watch_file(&job->control, bl_keeper_control(job->keeper), keeper_ready,
                  job, job->pool);
    bl_watch_set(job->host, &job->control, 1);
    bl_output_attach(job->output, bl_keeper_stdout(job->keeper),
                     bl_keeper_stderr(job->keeper));
    begin_step(job, 0);
}

int bl_job_stop(bl_job_t *job, bl_build_state_e state, const char *reason)
{
    if (job->stopped)
        return 1;
    /* Once the last step is over its result stands. */
    if (job->phase >= PHASE_ENDING)
        return 0;
    decide(job, state, apr_pstrdup(job->pool, reason));
    job->stopped = 1;
    if (job->phase == PHASE_QUEUED)
        end_build(job);
    else
        begin_ending(job, BL_KEEPER_END_NOW);
    return 1;
}

/* @return when the next of the two limits is reached */
static apr_time_t check_limits(bl_job_t *job)
{
    const bl_order_t *order = job->order;
    apr_time_t quiet_since = bl_output_last_read(job->output);
    apr_time_t deadline = job->begun + order->timeout, idle_deadline;

    if (quiet_since < job->begun)
        quiet_since = job->begun;
    idle_deadline = quiet_since + order->idle_timeout;
    if (job->host->tick >= deadline)
        bl_job_stop(job, BL_BUILD_TIMED_OUT,
                    apr_pstrcat(job->pool, "not over after ",
                                bl_words_duration(order->timeout, job->pool),
                                NULL));
    else if (job->host->tick >= idle_deadline)
        bl_job_stop(
            job, BL_BUILD_TIMED_OUT,
            apr_pstrcat(job->pool, "no output for ",
                        bl_words_duration(order->idle_timeout, job->pool),
                        NULL));
    return deadline < idle_deadline ? deadline : idle_deadline;
}

/* Lines and bytes, for who asks; viewers see the lines themselves. */
static void show_progress(bl_job_t *job)
{
    if (job->build->bytes == job->shown_bytes ||
        job->host->tick < job->next_progress)
        return;
    job->shown_bytes = job->build->bytes;
    job->next_progress = job->host->tick + PROGRESS_TIME;
    show_row(job);
}

apr_time_t bl_job_tick(bl_job_t *job)
{
    apr_time_t next, limit;

    if (job->phase == PHASE_DONE)
        return job->host->tick + apr_time_from_sec(60);
    next = bl_output_tick(job->output);
    if (job->phase == PHASE_WRITING && write_end(job))
        next = job->host->tick;
    if (job->phase == PHASE_QUEUED) {
        limit = tell_position(job);
        next = limit < next ? limit : next;
    }
    if (job->phase < PHASE_WRITING && bl_output_record_is_gone(job->output)) {
        show(job);
        bl_output_commit(job->output);
    }
    if (job->phase != PHASE_DONE &&
        bl_output_waits_for(job->output) != job->shown_wait)
        show_row(job);
    if (job->phase != PHASE_STEPS)
        return next;
    show_progress(job);
    limit = check_limits(job);
    return limit < next ? limit : next;
}

static bl_build_t *make_build(const bl_job_t *job, apr_uint64_t id,
                              apr_uint32_t position)
{
    const bl_order_t *order = job->order;
    bl_build_t *build = apr_pcalloc(job->pool, sizeof(*build));
    int i;

    build->id = id;
    build->project = order->project;
    build->title = order->title;
    build->user = order->user;
    build->state = BL_BUILD_QUEUED;
    build->position = position;
    build->step = -1;
    build->step_count = order->step_count;
    build->steps = apr_pcalloc(job->pool, sizeof(bl_build_step_t) *
                                              (apr_size_t)order->step_count);
    for (i = 0; i < order->step_count; i++) {
        build->steps[i].name = order->steps[i].name;
        build->steps[i].exit = BL_BUILD_NONE;
        build->steps[i].signal = BL_BUILD_NONE;
    }
    build->exit = BL_BUILD_NONE;
    build->signal = BL_BUILD_NONE;
    build->created = bl_stamp_next(job->host->last_id, job->host->now);
    bl_secret_hide_words(build, order, job->pool);
    return build;
}

/* The order stands in a message that is gone when the reply is sent; the
 * message's own writer and reader make the copy. */
static apr_status_t copy_order(bl_order_t **out, const bl_order_t *order,
                               apr_pool_t *p)
{
    bl_wire_frame_t frame;
    const char *text;
    apr_size_t len, need;
    apr_status_t rv;

    rv = bl_wire_order_write(&text, &len, order, p);
    if (rv == APR_SUCCESS)
        rv = bl_wire_frame_read(&frame, &need, text, len);
    if (rv == APR_SUCCESS)
        rv = bl_wire_order_read(out, &frame, p);
    return rv;
}

/* The log is there: show the build. */
static apr_status_t job_show_first(bl_job_t *job)
{
    bl_build_t *build = job->build;
    const char *json = bl_build_to_json(build, job->pool);
    apr_status_t rv = APR_ENAMETOOLONG;

    if (strlen(json) + record_growth(build) < BL_TABLE_JSON_MAX)
        rv = bl_table_row_add(job->host->table, &job->row, build->id,
                              build->project, json);
    if (rv != APR_SUCCESS)
        return rv;
    bl_output_set_row(job->output, job->row);
    show(job);
    job->told = build->position;
    return APR_SUCCESS;
}

static apr_status_t job_make(bl_job_t **out, bl_host_t *host,
                             const bl_order_t *order, apr_pool_t *p)
{
    apr_pool_t *pool;
    bl_job_t *job;
    apr_status_t rv;

    apr_pool_create(&pool, p);
    job = apr_pcalloc(pool, sizeof(*job));
    job->pool = pool;
    apr_pool_create(&job->scratch, pool);
    job->host = host;
    rv = copy_order(&job->order, order, pool);
    if (rv != APR_SUCCESS)
        apr_pool_destroy(pool);
    else
        *out = job;
    return rv;
}

apr_status_t bl_job_create(bl_job_t **out, bl_host_t *host, apr_uint64_t id,
                           const bl_order_t *order, apr_uint32_t position,
                           apr_pool_t *p)
{
    bl_job_t *job;
    apr_status_t rv = job_make(&job, host, order, p);

    if (rv != APR_SUCCESS)
        return rv;
    job->build = make_build(job, id, position);
    rv = bl_output_create(&job->output, host, job->build, job->order->max_log,
                          job->pool);
    if (rv == APR_SUCCESS) {
        rv = job_show_first(job);
        if (rv == APR_SUCCESS) {
            rv = bl_output_commit(job->output);
            /* A build that cannot be written down is refused, not begun. */
            if (rv != APR_SUCCESS)
                bl_table_row_drop(host->table, job->row);
        }
        if (rv != APR_SUCCESS)
            bl_output_discard(job->output);
    }
    if (rv != APR_SUCCESS)
        bl_job_destroy(&job);
    else
        *out = job;
    return rv;
}

apr_status_t bl_job_resume(bl_job_t **out, bl_host_t *host,
                           const bl_order_t *order, const bl_build_t *found,
                           apr_uint32_t position, apr_pool_t *p)
{
    bl_job_t *job;
    apr_status_t rv = job_make(&job, host, order, p);

    if (rv != APR_SUCCESS)
        return rv;
    job->build = make_build(job, found->id, position);
    job->build->created = found->created;
    job->is_spooled = 1;
    rv = bl_output_reopen(&job->output, host, job->build, job->order->max_log,
                          job->pool);
    if (rv == APR_SUCCESS)
        rv = job_show_first(job);
    if (rv != APR_SUCCESS) {
        bl_job_destroy(&job);
        return rv;
    }
    /* On a full disk it waits on: it was accepted. */
    bl_output_commit(job->output);
    *out = job;
    return APR_SUCCESS;
}

void bl_job_destroy(bl_job_t **job)
{
    apr_pool_t *pool = (*job)->pool;

    *job = NULL;
    apr_pool_destroy(pool);
}

const bl_build_t *bl_job_build(const bl_job_t *job)
{
    return job->build;
}

int bl_job_is_queued(const bl_job_t *job)
{
    return job->phase == PHASE_QUEUED;
}

int bl_job_is_done(const bl_job_t *job)
{
    return job->phase == PHASE_DONE;
}

bl_stamp_t bl_job_first_pending(const bl_job_t *job)
{
    return bl_output_first_pending(job->output);
}

bl_stamp_t bl_job_last_id(const bl_job_t *job)
{
    return bl_output_last_id(job->output);
}
