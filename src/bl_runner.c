/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_runner.c - the process that runs builds
 *
 * INVARIANTS    see bl_runner.h
 * ORDER         each turn of the loop: events, timers, queue, then once the
 *               watermark and the wake-ups (T1, T2 in bl_table.h)
 * DIAGNOSTICS   BL0240 begun, BL0241 ended, BL0242..BL0244 what went wrong
 */
#include "bl_runner.h"

/* libc */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
/* APR */
#include <apr_allocator.h>
#include <apr_file_io.h>
#include <apr_portable.h>
#include <apr_strings.h>
#include <apr_tables.h>
/* layer 0 */
#include "bl_diag.h"
/* layer 1 */
#include "bl_log.h"
#include "bl_replace.h"
#include "bl_seen.h"
#include "bl_spool.h"
#include "bl_tick.h"
/* this side of layer 2 */
#include "bl_historian.h"
#include "bl_intake.h"
#include "bl_job.h"
#include "bl_notifier.h"
#include "bl_orphans.h"
#include "bl_recovery.h"
#include "bl_retention.h"

/* The loop looks at its parent at least this often. */
#define LOOK_TIME apr_time_from_sec(1)

/* When the server stops: longer than this nobody waits for a log that cannot
 * be written; the next runner ends it. Added to the builds' own grace. */
#define STOP_TIME apr_time_from_sec(10)

/* ...nor for a database; the next runner's historian compares logs and rows.
 */
#define HISTORY_TIME apr_time_from_sec(2)

/* ...nor for other servers; the next one's courier tells them. */
#define NOTIFY_TIME apr_time_from_sec(2)

/* A log that could not be ended is tried again. */
#define UNENDED_TIME apr_time_from_sec(10)

/* Groups that nobody needs cost next to nothing. */
#define GROUPS_TIME apr_time_from_sec(10)

/* Room for a log to begin in, and how long what was found holds. */
#define PROBE_BYTES (64 * 1024)
#define PROBE_TIME apr_time_from_sec(1)

#define POLL_RESULTS 256

/* What ended builds have used is kept for the next ones: of one or two. An
 * allocator that is told nothing keeps what most builds at once have needed,
 * and of blocks that are too small for the next one still more. */
#define KEPT_BYTES (2 * 1024 * 1024)

typedef struct {
    const bl_runner_setup_t *setup;
    apr_pool_t *pool;
    bl_host_t host;
    bl_limits_t limits;
    bl_intake_t *intake;
    bl_seen_t *seen; /* deliveries of hooks */
    int unseen;      /* they cannot be stored: it was said */
    bl_watch_t lifeline;
    apr_array_header_t *jobs; /* bl_job_t *, in the order they came */
    bl_recovered_t recovered;
    int lost_taken;         /* so many of recovered.lost are looked for */
    apr_time_t groups_due;  /* when groups that are left are looked for */
    apr_time_t unended_due; /* when what could not be ended is tried again */
    bl_orphans_t *orphans;
    bl_retention_t *retention;
    bl_historian_t *historian; /* NULL: not yet, it will look by itself */
    bl_notifier_t *notifier;   /* NULL: not yet, it will look by itself */
    apr_uint64_t last_build;
    bl_stamp_t removed_id; /* of the last record that was removed; 0: none */
    bl_stamp_t watermark;
    apr_time_t stop_deadline; /* 0: not stopping */
    apr_interval_time_t longest_grace;
    apr_time_t probe_due; /* not before: the disk is tried again */
    apr_status_t probed;
} runner_t;

static volatile sig_atomic_t terminated;

static void on_term(int sig)
{
    terminated = 1;
}

static bl_job_t *job_at(const runner_t *r, int i)
{
    return APR_ARRAY_IDX(r->jobs, i, bl_job_t *);
}

/* ---- numbers (Q2) --------------------------------------------------- */

/* Two lines: the last number given, and the id of the last record that was
 * removed (BuildLogKeep): both are in no log any more. */

#define NUMBERS_MOST 64 /* bytes */

static const char *number_path(const runner_t *r, apr_pool_t *p)
{
    return apr_pstrcat(p, r->setup->state_dir, "/last-build", NULL);
}

static apr_uint64_t number_read(const char **text)
{
    char *end;
    apr_int64_t n = apr_strtoi64(*text, &end, 10);

    *text = end;
    return n > 0 ? (apr_uint64_t)n : 0;
}

static void number_load(runner_t *r, apr_pool_t *p)
{
    const char *at;
    apr_size_t len;

    if (bl_replace_read(&at, &len, number_path(r, p), NUMBERS_MOST, p) !=
        APR_SUCCESS)
        return;
    r->last_build = number_read(&at);
    if (r->last_build > BL_BUILD_NUMBER_MAX)
        r->last_build = 0;
    r->removed_id = number_read(&at);
    if (r->removed_id >= BL_STAMP_MAX)
        r->removed_id = 0;
}

static void number_save(const runner_t *r, apr_pool_t *p)
{
    const char *text =
        apr_psprintf(p, "%" APR_UINT64_T_FMT "\n%" APR_UINT64_T_FMT "\n",
                     r->last_build, r->removed_id);
    apr_status_t rv = bl_replace(number_path(r, p), text, strlen(text), p);

    if (rv != APR_SUCCESS)
        bl_diag(BL_DIAG_WARNING, rv,
                "BL0242 the file last-build in %s cannot be written",
                r->setup->state_dir);
}

/* ---- queue (Q1) ----------------------------------------------------- */

static int running_of(const runner_t *r, const char *project, int *all)
{
    int i, same = 0;

    *all = 0;
    for (i = 0; i < r->jobs->nelts; i++) {
        const bl_job_t *job = job_at(r, i);

        if (bl_job_is_queued(job))
            continue;
        ++*all;
        if (strcmp(bl_job_build(job)->project, project) == 0)
            same++;
    }
    return same;
}

static apr_uint32_t queue_length(const runner_t *r)
{
    apr_uint32_t n = 0;
    int i;

    for (i = 0; i < r->jobs->nelts; i++)
        n += bl_job_is_queued(job_at(r, i)) != 0;
    return n;
}

/* A build has its end in its log. */
static void build_ended(void *baton, apr_uint64_t build, bl_stamp_t last_id)
{
    runner_t *r = baton;

    bl_retention_add(r->retention, build, last_id);
    if (r->historian != NULL)
        bl_historian_ended(r->historian, build);
    if (r->notifier != NULL)
        bl_notifier_ended(r->notifier, build);
}

/* Before its log goes: whoever comes back later, to whichever runner, is told
 * of the gap. */
static void build_goes(void *baton, bl_stamp_t last_id, apr_pool_t *p)
{
    runner_t *r = baton;

    if (last_id <= r->removed_id)
        return;
    r->removed_id = last_id;
    number_save(r, p);
}

/* Its log has gone. Told sooner, a historian that compares just then would
 * find the log, keep its row, and never hear of it again. */
static void build_gone(void *baton, apr_uint64_t build)
{
    runner_t *r = baton;

    r->host.changed = 1; /* viewers of all builds look again */
    if (r->historian != NULL)
        bl_historian_removed(r->historian, build);
}

/* Forget jobs that are done. */
static void sweep(runner_t *r)
{
    int i, kept = 0;

    for (i = 0; i < r->jobs->nelts; i++) {
        bl_job_t *job = job_at(r, i);

        if (bl_job_is_done(job)) {
            bl_counts_ended(bl_table_counts(r->host.table),
                            bl_job_build(job)->state);
            build_ended(r, bl_job_build(job)->id, bl_job_last_id(job));
            bl_job_destroy(&job);
        }
        else
            APR_ARRAY_IDX(r->jobs, kept++, bl_job_t *) = job;
    }
    r->jobs->nelts = kept;
}

static int may_begin(const runner_t *r, const char *project)
{
    int all, same = running_of(r, project, &all);

    return same == 0 && (apr_uint32_t)all < r->limits.max_builds &&
           !bl_orphans_hold(r->orphans, project);
}

static void start_what_may(runner_t *r)
{
    apr_uint32_t position = 0;
    int i;

    for (i = 0; i < r->jobs->nelts; i++) {
        bl_job_t *job = job_at(r, i);

        if (!bl_job_is_queued(job))
            continue;
        if (may_begin(r, bl_job_build(job)->project)) {
            bl_job_start(job);
        }
        else {
            bl_job_wait(job);
            bl_job_set_position(job, ++position);
        }
    }
}

/* ---- orders --------------------------------------------------------- */

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

static apr_status_t create_job(runner_t *r, bl_job_t **job,
                               const bl_order_t *order, apr_pool_t *p)
{
    apr_uint32_t position = queue_length(r) + 1;
    apr_status_t rv;

    do {
        r->last_build++;
        rv = bl_job_create(job, &r->host, r->last_build, order, position,
                           r->pool);
    } while (APR_STATUS_IS_EEXIST(rv));
    if (rv != APR_SUCCESS)
        return rv;
    number_save(r, p);
    return APR_SUCCESS;
}

/* @return the build that this delivery of a hook has begun; 0: none, or it is
 * no delivery */
static apr_uint64_t begun_by(const runner_t *r, const bl_order_t *order)
{
    apr_uint64_t build = 0;
    int i;

    for (i = 0; i < BL_WIRE_MARKS && build == 0; i++) {
        if (order->marks[i] != NULL)
            build = bl_seen_find(r->seen, order->marks[i]);
    }
    return build;
}

static void say_unseen(runner_t *r, apr_status_t rv)
{
    if (!r->unseen)
        bl_diag(BL_DIAG_WARNING, rv,
                "BL0247 the file deliveries in %s cannot be used: what hooks "
                "were told is known only until the runner ends",
                r->setup->state_dir);
    r->unseen = 1;
}

static void note_delivery(runner_t *r, const bl_order_t *order,
                          apr_uint64_t build)
{
    int i;

    for (i = 0; i < BL_WIRE_MARKS; i++) {
        apr_status_t rv = APR_SUCCESS;

        if (order->marks[i] != NULL)
            rv = bl_seen_add(r->seen, order->marks[i], build);
        if (rv != APR_SUCCESS)
            say_unseen(r, rv);
    }
}

static void note_grace(runner_t *r, const bl_order_t *order)
{
    if (order->kill_grace > r->longest_grace)
        r->longest_grace = order->kill_grace;
}

static void take_order(void *baton, const bl_order_t *order,
                       const char **reply, apr_size_t *len, apr_pool_t *p)
{
    runner_t *r = baton;
    bl_accepted_t accepted;
    bl_job_t *job = NULL;
    apr_uint64_t again;
    apr_status_t rv;

    if (r->stop_deadline != 0) {
        refuse(reply, len, BL_REFUSED_STOPPING, "The server is stopping.", p);
        return;
    }
    again = begun_by(r, order);
    if (again != 0) {
        refuse(reply, len, BL_REFUSED_AGAIN,
               apr_psprintf(p,
                            "this delivery has begun build %" APR_UINT64_T_FMT
                            " already",
                            again),
               p);
        return;
    }
    /* So that what is counted as waiting really waits. */
    start_what_may(r);
    if (!may_begin(r, order->project) &&
        queue_length(r) >= r->limits.max_queue) {
        refuse(reply, len, BL_REFUSED_QUEUE_FULL,
               apr_psprintf(p,
                            "%u builds are waiting, and BuildLogMaxQueue "
                            "allows no more. Try again later.",
                            queue_length(r)),
               p);
        return;
    }
    rv = create_job(r, &job, order, p);
    if (rv == APR_SUCCESS) {
        APR_ARRAY_PUSH(r->jobs, bl_job_t *) = job;
        note_grace(r, order);
        /* Before it is accepted: should this runner be killed now the next one
         * has it. */
        bl_job_store(job);
        bl_notifier_expect(r->notifier, bl_job_build(job)->id, order);
        note_delivery(r, order, bl_job_build(job)->id);
        accepted.build = bl_job_build(job)->id;
        accepted.json = bl_build_to_json(bl_job_build(job), p);
        bl_wire_accepted_write(reply, len, &accepted, p);
        return;
    }
    bl_diag(BL_DIAG_ERROR, rv,
            "BL0243 a build of %s was refused: its log in %s cannot be made",
            order->project, r->host.logs_dir);
    refuse_store(reply, len, rv, p);
}

static void take_cancel(void *baton, const bl_cancel_t *cancel,
                        const char **reply, apr_size_t *len, apr_pool_t *p)
{
    runner_t *r = baton;
    bl_accepted_t accepted;
    int i;

    for (i = 0; i < r->jobs->nelts; i++) {
        bl_job_t *job = job_at(r, i);

        if (bl_job_build(job)->id != cancel->build)
            continue;
        /* Of two who cancel the first is named; to both it is accepted. */
        if (!bl_job_stop(job, BL_BUILD_CANCELLED,
                         apr_pstrcat(p, "by ", cancel->by, NULL)))
            break;
        accepted.build = cancel->build;
        accepted.json = bl_build_to_json(bl_job_build(job), p);
        bl_wire_accepted_write(reply, len, &accepted, p);
        return;
    }
    refuse(reply, len, BL_REFUSED_OVER, "This build is over already.", p);
}

/* However often it is asked, the disk is tried once in a while. */
static apr_status_t probe_logs(runner_t *r, apr_pool_t *p)
{
    if (r->host.tick >= r->probe_due) {
        r->probe_due = r->host.tick + PROBE_TIME;
        r->probed = bl_log_probe(r->host.logs_dir, PROBE_BYTES, p);
    }
    return r->probed;
}

static void take_probe(void *baton, const char **reply, apr_size_t *len,
                       apr_pool_t *p)
{
    runner_t *r = baton;
    apr_status_t rv;

    if (r->stop_deadline != 0) {
        refuse(reply, len, BL_REFUSED_STOPPING, "The server is stopping.", p);
        return;
    }
    rv = probe_logs(r, p);
    if (rv == APR_SUCCESS)
        bl_wire_bare_write(reply, len, BL_WIRE_READY, p);
    else
        refuse_store(reply, len, rv, p);
}

static void take_limits(void *baton, const bl_limits_t *limits, int log_fd)
{
    runner_t *r = baton;

    r->limits = *limits;
    /* These live only as long as the message. */
    r->limits.targets = NULL;
    r->limits.target_count = 0;
    bl_notifier_set_targets(r->notifier, limits);
    r->host.line_limit = limits->line_limit;
    if (log_fd >= 0)
        r->setup->log_changed(log_fd);
    bl_retention_look(r->retention);
    bl_diag(BL_DIAG_INFO, 0,
            "BL0245 new limits: %u builds, %u waiting, lines of %u bytes",
            limits->max_builds, limits->max_queue, limits->line_limit);
}

/* ---- the end -------------------------------------------------------- */

static void begin_stop(runner_t *r)
{
    int i;

    if (r->stop_deadline != 0)
        return;
    r->stop_deadline = r->host.tick + r->longest_grace + STOP_TIME;
    for (i = 0; i < r->jobs->nelts; i++)
        bl_job_stop(job_at(r, i), BL_BUILD_CANCELLED, "the server stopped");
}

static void lifeline_ready(void *baton, apr_int16_t events)
{
    runner_t *r = baton;
    char byte;
    ssize_t n = read(r->setup->lifeline_fd, &byte, 1);

    if (n == 0) {
        bl_watch_set(&r->host, &r->lifeline, 0);
        begin_stop(r);
    }
}

/* ---- the loop ------------------------------------------------------- */

static void count(runner_t *r)
{
    bl_counts_t *counts = bl_table_counts(r->host.table);
    apr_uint32_t queued = queue_length(r);

    bl_counts_beat(counts, r->host.tick, queued,
                   (apr_uint32_t)r->jobs->nelts - queued);
    if (r->host.lines == 0 && r->host.bytes == 0)
        return;
    bl_counts_input(counts, r->host.lines, r->host.bytes);
    r->host.lines = 0;
    r->host.bytes = 0;
}

static void publish(runner_t *r)
{
    bl_stamp_t watermark = r->host.last_id;
    int i, slot;

    if (!r->host.changed)
        return;
    r->host.changed = 0;
    for (i = 0; i < r->jobs->nelts; i++) {
        bl_stamp_t pending = bl_job_first_pending(job_at(r, i));

        if (pending != 0 && pending <= watermark)
            watermark = pending - 1; /* T2 */
    }
    if (watermark > r->watermark)
        r->watermark = watermark;
    bl_table_set_last_id(r->host.table, r->host.last_id);
    bl_table_publish(r->host.table, r->watermark);
    for (slot = 0; bl_table_slot_next_to_wake(r->host.table, &slot); slot++)
        bl_wake_send(r->setup->wake, slot);
}

static void look_for_lost(runner_t *r)
{
    for (; r->lost_taken < r->recovered.lost->nelts; r->lost_taken++)
        bl_orphans_add(r->orphans,
                       APR_ARRAY_IDX(r->recovered.lost, r->lost_taken,
                                     const bl_build_t *));
}

static int is_job(void *baton, apr_uint64_t build)
{
    const runner_t *r = baton;
    int i;

    for (i = 0; i < r->jobs->nelts; i++) {
        if (bl_job_build(job_at(r, i))->id == build)
            return 1;
    }
    return 0;
}

/* Groups of builds that an earlier runner has left, or whose last process took
 * its time to go. */
static void sweep_groups(runner_t *r)
{
    apr_pool_t *scratch;

    if (r->host.cgroup == NULL || r->host.tick < r->groups_due)
        return;
    apr_pool_create(&scratch, r->pool);
    bl_cgroup_sweep(r->host.cgroup, is_job, r, scratch);
    apr_pool_destroy(scratch);
    r->groups_due = r->host.tick + GROUPS_TIME;
}

static apr_time_t tick(runner_t *r)
{
    apr_time_t next = r->host.tick + LOOK_TIME, due;
    int i;

    if (r->host.late != NULL)
        next = bl_host_tick(&r->host);

    for (i = 0; i < r->jobs->nelts; i++) {
        due = bl_job_tick(job_at(r, i));
        next = due < next ? due : next;
    }
    bl_intake_tick(r->intake);
    sweep_groups(r);
    if (r->recovered.unended->nelts > 0 && r->host.tick >= r->unended_due) {
        r->unended_due = r->host.tick + UNENDED_TIME;
        bl_recovery_retry(&r->recovered, &r->host);
        look_for_lost(r);
    }
    due = bl_orphans_tick(r->orphans);
    next = due < next ? due : next;
    due = bl_retention_tick(r->retention, &r->limits);
    next = due < next ? due : next;
    due = bl_notifier_tick(r->notifier);
    next = due < next ? due : next;
    due = bl_historian_tick(r->historian);
    return due < next ? due : next;
}

static void poll_once(runner_t *r, apr_time_t until)
{
    const apr_pollfd_t *ready;
    apr_int32_t n = 0, i;
    apr_interval_time_t time = until - bl_tick_now();
    apr_status_t rv;

    /* The pollset rounds down to milliseconds: not in circles before a
     * deadline. */
    time = time < 0 ? 0 : time + apr_time_from_msec(1);
    rv = apr_pollset_poll(r->host.pollset, time, &n, &ready);
    bl_host_set_now(&r->host);
    if (rv != APR_SUCCESS) {
        if (!APR_STATUS_IS_TIMEUP(rv) && !APR_STATUS_IS_EINTR(rv))
            bl_diag(BL_DIAG_ERROR, rv, "BL0244 poll in the runner");
        return;
    }
    for (i = 0; i < n; i++) {
        bl_watch_t *watch = ready[i].client_data;

        /* What an event before this one took out is not called. */
        if (watch->added)
            watch->ready(watch->baton, ready[i].rtnevents);
    }
}

static void loop(runner_t *r)
{
    apr_time_t next = r->host.tick;

    for (;;) {
        poll_once(r, next);
        if (terminated || getppid() != r->setup->parent)
            begin_stop(r);
        next = tick(r);
        sweep(r);
        if (r->stop_deadline == 0)
            start_what_may(r);
        count(r);
        publish(r);
        if (r->stop_deadline != 0 &&
            (r->jobs->nelts == 0 || r->host.tick >= r->stop_deadline))
            return;
    }
}

/* ---- beginning ------------------------------------------------------ */

static void settle_signals(void)
{
    struct sigaction action;
    sigset_t none;

    memset(&action, 0, sizeof(action));
    action.sa_handler = SIG_DFL;
    sigaction(SIGCHLD, &action, NULL);
    sigaction(SIGALRM, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGPIPE, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    sigaction(SIGWINCH, &action, NULL);
    /* A limit on the size of files is a log that cannot be written. */
    sigaction(SIGXFSZ, &action, NULL);
    action.sa_handler = on_term;
    sigaction(SIGTERM, &action, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* What the runner before this one has left: builds that wait go on waiting,
 * and processes of those that ran must be gone before their project is built
 * again. */
static void take_up(runner_t *r)
{
    int i;

    r->orphans = bl_orphans_create(&r->host, r->pool);
    look_for_lost(r);
    for (i = 0; i < r->recovered.waiting->nelts; i++) {
        const bl_found_t *found =
            &APR_ARRAY_IDX(r->recovered.waiting, i, bl_found_t);
        bl_job_t *job;

        if (bl_job_resume(&job, &r->host, found->order, found->build,
                          (apr_uint32_t)i + 1, r->pool) == APR_SUCCESS) {
            APR_ARRAY_PUSH(r->jobs, bl_job_t *) = job;
            note_grace(r, found->order);
        }
        else
            bl_recovery_give_up(&r->recovered, &r->host, found->build->id);
    }
}

static apr_status_t begin(runner_t *r)
{
    bl_intake_calls_t calls = {take_order, take_cancel, take_probe,
                               take_limits, r};
    bl_retention_calls_t removing = {build_goes, build_gone, r};
    apr_file_t *lifeline = NULL;
    apr_os_file_t fd = r->setup->lifeline_fd;
    apr_status_t rv;

    bl_host_set_now(&r->host);
    r->host.logs_dir =
        apr_pstrcat(r->pool, r->setup->state_dir, "/logs", NULL);
    r->host.spool_dir = bl_spool_dir(r->setup->state_dir, r->pool);
    r->host.home = r->setup->home;
    r->host.seal = r->setup->seal;
    r->host.cgroup = r->setup->cgroup;
    r->host.server =
        apr_pstrcat(r->pool, "BUILDLOG_SERVER=", r->setup->state_dir, NULL);
    r->host.table = r->setup->table;
    r->host.line_limit = r->limits.line_limit;
    r->host.read_buf = apr_palloc(r->pool, BL_HOST_READ_BYTES);
    r->host.keepers = apr_array_make(r->pool, 16, sizeof(pid_t));
    r->jobs = apr_array_make(r->pool, 16, sizeof(bl_job_t *));
    r->host.last_id = bl_table_last_id(r->host.table);
    bl_table_reset(r->host.table);
    number_load(r, r->pool);
    /* What was removed had ids too: the next one is behind them, whatever the
     * clock says. */
    if (r->removed_id > r->host.last_id)
        r->host.last_id = r->removed_id;
    r->unended_due = r->host.tick + UNENDED_TIME;
    rv = bl_spool_make(r->host.spool_dir, r->pool);
    if (rv != APR_SUCCESS)
        bl_diag(BL_DIAG_WARNING, rv, "BL0214 cannot make %s",
                r->host.spool_dir);
    rv = bl_seen_open(
        &r->seen,
        apr_pstrcat(r->pool, r->setup->state_dir, "/deliveries", NULL),
        r->pool);
    if (rv != APR_SUCCESS)
        say_unseen(r, rv);
    r->retention = bl_retention_create(&r->host, &removing, r->pool);
    r->recovered.ended = build_ended;
    r->recovered.baton = r;
    rv = bl_recovery_run(&r->recovered, &r->host, r->pool);
    if (rv != APR_SUCCESS) {
        bl_diag(BL_DIAG_ERROR, rv, "BL0246 cannot read %s", r->host.logs_dir);
        return rv;
    }
    /* A new server has no record yet, but its viewers have a place all the
     * same: 0 is none. */
    if (r->host.last_id == 0)
        r->host.last_id = (bl_stamp_t)r->host.now;
    if (r->host.last_id > (bl_stamp_t)r->host.now)
        r->host.skew = (apr_interval_time_t)r->host.last_id - r->host.now;
    if (r->removed_id > bl_table_forgotten(r->host.table))
        bl_table_set_forgotten(r->host.table, r->removed_id);
    if (r->recovered.last_build > r->last_build)
        r->last_build = r->recovered.last_build;
    take_up(r);
    rv = apr_pollset_create(&r->host.pollset, POLL_RESULTS, r->pool,
                            APR_POLLSET_NOCOPY);
    if (rv != APR_SUCCESS)
        return rv;
    apr_os_file_put(&lifeline, &fd, APR_FOPEN_READ, r->pool);
    bl_watch_file(&r->lifeline, lifeline, lifeline_ready, r, r->pool);
    bl_watch_set(&r->host, &r->lifeline, 1);
    bl_historian_create(&r->historian, &r->host, r->setup->db_driver,
                        r->setup->db_params, r->pool);
    bl_notifier_create(&r->notifier, &r->host, r->setup->state_dir,
                       &r->setup->limits, r->pool);
    return bl_intake_create(&r->intake, &r->host, r->setup->listen_fd,
                            r->setup->parent, r->setup->user, &calls, r->pool);
}

int bl_runner_main(const bl_runner_setup_t *setup, apr_pool_t *p)
{
    runner_t r;
    apr_status_t rv;

    memset(&r, 0, sizeof(r));
    r.setup = setup;
    r.pool = p;
    r.limits = setup->limits;
    apr_allocator_max_free_set(apr_pool_allocator_get(p), KEPT_BYTES);
    settle_signals();
    prctl(PR_SET_NAME, "buildlog-runner");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    rv = begin(&r);
    if (rv != APR_SUCCESS) {
        bl_diag(BL_DIAG_ERROR, rv, "BL0244 the runner cannot begin");
        return 1;
    }
    bl_counts_begin(bl_table_counts(r.host.table), r.host.now);
    count(&r);
    bl_table_set_runner(r.host.table, (apr_uint32_t)getpid());
    r.host.changed = 1;
    publish(&r);
    bl_diag(BL_DIAG_NOTICE, 0, "BL0240 runner %ld begins, state in %s",
            (long)getpid(), setup->state_dir);
    loop(&r);
    bl_table_set_runner(r.host.table, 0);
    bl_notifier_stop(&r.notifier, NOTIFY_TIME);
    bl_historian_stop(&r.historian, HISTORY_TIME);
    bl_diag(BL_DIAG_NOTICE, 0, "BL0241 runner %ld ends", (long)getpid());
    return 0;
}
