/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_runner.c - the process that runs builds
 *
 * INVARIANTS    see bl_runner.h
 * ORDER         each turn of the loop: events, timers, queue, then once the
 *               watermark and the wake-ups (T1, T2 in bl_table.h)
 * DIAGNOSTICS   BL0240 begun, BL0241 ended, BL0244, BL0246 what went wrong,
 *               BL0245 new limits
 */
#include "bl_runner.h"

/* libc */
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
/* APR */
#include <apr_allocator.h>
#include <apr_portable.h>
#include <apr_strings.h>
/* layer 0 */
#include "bl_diag.h"
/* layer 1 */
#include "bl_spool.h"
#include "bl_tick.h"
/* this side of layer 2 */
#include "bl_admission.h"
#include "bl_historian.h"
#include "bl_intake.h"
#include "bl_notifier.h"
#include "bl_numbers.h"
#include "bl_orphans.h"
#include "bl_queue.h"
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
    bl_admission_t *admission;
    bl_watch_t lifeline;
    bl_numbers_t *numbers;
    bl_queue_t *queue;
    bl_recovered_t recovered;
    int lost_taken;         /* so many of recovered.lost are looked for */
    apr_time_t groups_due;  /* when groups that are left are looked for */
    apr_time_t unended_due; /* when what could not be ended is tried again */
    bl_orphans_t *orphans;
    bl_retention_t *retention;
    bl_historian_t *historian; /* NULL: not yet, it will look by itself */
    bl_notifier_t *notifier;   /* NULL: not yet, it will look by itself */
    bl_stamp_t watermark;
    apr_time_t stop_deadline; /* 0: not stopping */
} runner_t;

static volatile sig_atomic_t terminated;

static void on_term(int sig)
{
    terminated = 1;
}

/* ---- builds that end, and that go ---------------------------------- */

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

    bl_numbers_remove(r->numbers, last_id, p);
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

/* ---- what comes over the socket ------------------------------------- */

static void take_order(void *baton, const bl_order_t *order,
                       const char **reply, apr_size_t *len, apr_pool_t *p)
{
    runner_t *r = baton;

    bl_admission_order(r->admission, order, reply, len, p);
}

static void take_cancel(void *baton, const bl_cancel_t *cancel,
                        const char **reply, apr_size_t *len, apr_pool_t *p)
{
    runner_t *r = baton;

    bl_admission_cancel(r->admission, cancel, reply, len, p);
}

static void take_probe(void *baton, const char **reply, apr_size_t *len,
                       apr_pool_t *p)
{
    runner_t *r = baton;

    bl_admission_probe(r->admission, reply, len, p);
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
    if (r->stop_deadline != 0)
        return;
    bl_admission_close(r->admission);
    r->stop_deadline = r->host.tick + STOP_TIME +
                       bl_queue_stop(r->queue, "the server stopped");
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

    bl_counts_beat(counts, r->host.tick, bl_queue_waiting(r->queue),
                   bl_queue_running(r->queue));
    if (r->host.lines == 0 && r->host.bytes == 0)
        return;
    bl_counts_input(counts, r->host.lines, r->host.bytes);
    r->host.lines = 0;
    r->host.bytes = 0;
}

static void publish(runner_t *r)
{
    bl_stamp_t watermark;
    int slot;

    if (!r->host.changed)
        return;
    r->host.changed = 0;
    watermark = bl_queue_written(r->queue, r->host.last_id);
    if (watermark > r->watermark)
        r->watermark = watermark;
    bl_table_set_last_id(r->host.table, r->host.last_id);
    bl_table_publish(r->host.table, r->watermark);
    for (slot = 0; bl_slots_next_to_wake(bl_table_slots(r->host.table), &slot);
         slot++)
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

    return bl_queue_find(r->queue, build) != NULL;
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

    if (r->host.late != NULL)
        next = bl_host_tick(&r->host);
    due = bl_queue_tick(r->queue);
    next = due < next ? due : next;
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
        bl_queue_sweep(r->queue, build_ended, r);
        if (r->stop_deadline == 0)
            bl_queue_start(r->queue);
        count(r);
        publish(r);
        if (r->stop_deadline != 0 &&
            (bl_queue_is_empty(r->queue) || r->host.tick >= r->stop_deadline))
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
    r->queue = bl_queue_create(&r->host, &r->limits, r->orphans, r->pool);
    look_for_lost(r);
    for (i = 0; i < r->recovered.waiting->nelts; i++) {
        const bl_found_t *found =
            &APR_ARRAY_IDX(r->recovered.waiting, i, bl_found_t);
        bl_job_t *job;

        if (bl_job_resume(&job, &r->host, found->order, found->build,
                          (apr_uint32_t)i + 1, r->pool) == APR_SUCCESS)
            bl_queue_add(r->queue, job, found->order);
        else
            bl_recovery_give_up(&r->recovered, &r->host, found->build->id);
    }
}

static void furnish_host(runner_t *r)
{
    const bl_runner_setup_t *setup = r->setup;
    bl_host_t *host = &r->host;

    bl_host_set_now(host);
    host->logs_dir = apr_pstrcat(r->pool, setup->state_dir, "/logs", NULL);
    host->spool_dir = bl_spool_dir(setup->state_dir, r->pool);
    host->home = setup->home;
    host->seal = setup->seal;
    host->cgroup = setup->cgroup;
    host->server =
        apr_pstrcat(r->pool, "BUILDLOG_SERVER=", setup->state_dir, NULL);
    host->table = setup->table;
    host->line_limit = r->limits.line_limit;
    host->read_buf = apr_palloc(r->pool, BL_HOST_READ_BYTES);
    host->keepers = apr_array_make(r->pool, 16, sizeof(pid_t));
    host->last_id = bl_table_last_id(host->table);
}

/* The state directory becomes rows, and what is to be done yet. */
static apr_status_t recover(runner_t *r)
{
    bl_retention_calls_t removing = {build_goes, build_gone, r};
    bl_stamp_t removed;
    apr_status_t rv;

    bl_table_reset(r->host.table);
    r->numbers = bl_numbers_load(r->setup->state_dir, r->pool);
    removed = bl_numbers_removed(r->numbers);
    /* What was removed had ids too: the next one is behind them, whatever the
     * clock says. */
    if (removed > r->host.last_id)
        r->host.last_id = removed;
    r->unended_due = r->host.tick + UNENDED_TIME;
    rv = bl_spool_make(r->host.spool_dir, r->pool);
    if (rv != APR_SUCCESS)
        bl_diag(BL_DIAG_WARNING, rv, "BL0214 cannot make %s",
                r->host.spool_dir);
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
    if (removed > bl_table_forgotten(r->host.table))
        bl_table_set_forgotten(r->host.table, removed);
    bl_numbers_pass(r->numbers, r->recovered.last_build);
    take_up(r);
    return APR_SUCCESS;
}

static void begin_admission(runner_t *r)
{
    bl_admission_parts_t parts = {.state_dir = r->setup->state_dir,
                                  .limits = &r->limits,
                                  .queue = r->queue,
                                  .numbers = r->numbers,
                                  .notifier = r->notifier};

    r->admission = bl_admission_create(&r->host, &parts, r->pool);
}

static apr_status_t begin(runner_t *r)
{
    bl_intake_calls_t calls = {take_order, take_cancel, take_probe,
                               take_limits, r};
    apr_file_t *lifeline = NULL;
    apr_os_file_t fd = r->setup->lifeline_fd;
    apr_status_t rv;

    furnish_host(r);
    rv = recover(r);
    if (rv != APR_SUCCESS)
        return rv;
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
    begin_admission(r);
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
