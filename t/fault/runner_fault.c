/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner_fault.c - a runner, its keepers and what they start, when any call of
 * the system fails (promises 5, 6 and 7; J1, K1, Q2)
 *
 * Builds are ordered, run and are cancelled; a runner begins where one was
 * killed. Each call of a kind fails in its turn, in the runner or in a keeper.
 * Whatever failed: the runner lives, each build has one end, which its log has
 * as well, and a reason when it did not succeed; no process and no descriptor
 * is left; the next build succeeds.
 *
 *   runner_fault          all of it
 *   runner_fault none     only what works without faults: for valgrind
 *   runner_fault ACT      building, cancelling, beginning, history, looking
 */
#include "alone.h"

/* layer 1 */
#include "bl_history.h"
#include "bl_tree.h"

#define STEP_ONE "echo out 1; echo err 1 >&2; echo out 2"
#define STEP_TWO "printf 'a b'"

static const char *const steps[] = {STEP_ONE, STEP_TWO, NULL};
static const char *const short_steps[] = {"echo short", NULL};
static const char *const long_steps[] = {"echo long; exec sleep 1000", NULL};

static apr_pool_t *pool; /* of an act */
static apr_pool_t *scratch;

/* Of the steps above that succeed, in this order; notes and stderr may stand
 * anywhere between. */
static int is_whole(const char *text)
{
    static const char *const lines[] = {"$ " STEP_ONE "|", "|out 1|",
                                        "|out 2|",         "|$ " STEP_TWO "|",
                                        "|a b|",           "|Build finished|"};
    const char *at = text;
    size_t i;

    for (i = 0; at != NULL && i < sizeof(lines) / sizeof(lines[0]); i++)
        at = strstr(at, lines[i]);
    return at != NULL && strstr(text, "|err 1|") != NULL;
}

/* ---- what must hold ----------------------------------------------------- */

static unsigned log_is_wrong(const bl_build_t *build)
{
    alone_log_t log;

    if (alone_read(&log, build->id, pool) != APR_SUCCESS)
        return wrong("the log of build %d cannot be read", (int)build->id);
    if (log.ends != 1 || log.behind != 0 || log.order != 0)
        return wrong("log %d: %d ends, %d records behind or none, %d ids that "
                     "do not grow: %s",
                     (int)build->id, log.ends, log.behind, log.order,
                     log.text);
    if (log.state != build->state)
        return wrong("log %d and its row end otherwise", (int)build->id);
    if (build->state == BL_BUILD_SUCCEEDED && build->step_count == 2 &&
        !is_whole(log.text))
        return wrong("log %d: not all lines: %s", (int)build->id, log.text);
    return 0;
}

static unsigned ends_well(apr_int64_t id, const char *what)
{
    bl_build_t *build =
        id > 0 ? alone_wait((apr_uint64_t)id, PATIENCE, scratch) : NULL;

    if (build == NULL)
        return wrong("%s: %s", what,
                     id < 0          ? "no answer"
                     : id == 0       ? "refused"
                     : alone_lives() ? "it has no end"
                                     : "the runner died");
    if (build->state != BL_BUILD_SUCCEEDED)
        return wrong("%s: %s: %s", what, bl_build_state_name(build->state),
                     build->reason);
    return log_is_wrong(build);
}

/* What went wrong is not the next one's matter. */
static unsigned end_if(unsigned bad)
{
    fault_rest();
    if (bad != 0)
        alone_end(SIGKILL);
    return bad;
}

#define NO_BUILD 1000000

static int files_at_rest; /* of this runner; 0: not looked yet */

/* What a failure may have left: soon there is nothing. */
static unsigned is_left(void)
{
    apr_time_t deadline = bl_tick_now() + PATIENCE;
    int processes, files, before = files_at_rest;

    do {
        files = alone_descriptors();
        processes = files == before ? alone_processes() : -1;
        if (processes == 0)
            return 0;
        usleep(5000);
    } while (bl_tick_now() < deadline && alone_lives());
    return wrong("left: %d processes, %d descriptors more", processes,
                 files - before);
}

static int begin_if_needed(void)
{
    const char *why;

    if (alone_lives())
        return 1;
    alone_reap();
    if (!alone_begin())
        return 0;
    /* It has begun when it has no more to open: who gets a second answer knows
     * that a turn of its loop is over. */
    alone_cancel(NO_BUILD, &why, scratch);
    alone_cancel(NO_BUILD, &why, scratch);
    do {
        files_at_rest = alone_descriptors();
        usleep(50000);
    } while (files_at_rest != alone_descriptors());
    return 1;
}

/* ---- acts --------------------------------------------------------------- */

/* What a build may have come to when a call has failed. */
static unsigned may_have_ended(apr_int64_t id, const char *why)
{
    bl_build_t *build;

    if (id == 0)
        return *why != '\0' ? 0 : wrong("refused without a word");
    if (id < 0)
        return 0; /* the connection was lost: its client was told 503 */
    build = alone_wait((apr_uint64_t)id, PATIENCE, scratch);
    if (build == NULL)
        return wrong(alone_lives() ? "build %d has no end"
                                   : "build %d: the runner died",
                     (int)id);
    if (build->state != BL_BUILD_SUCCEEDED &&
        (build->reason == NULL || *build->reason == '\0'))
        return wrong("build %d %s without a reason", (int)id,
                     bl_build_state_name(build->state));
    return log_is_wrong(build);
}

static unsigned run_builds(void)
{
    const char *why = "";
    unsigned bad = 0;
    apr_int64_t id;

    fault_rest();
    apr_pool_clear(pool);
    if (!begin_if_needed())
        return wrong("no runner begins");
    bad = ends_well(alone_order(short_steps, &why, pool), "the build before");
    fault_go_on();
    id = alone_order(steps, &why, pool);
    bad += may_have_ended(id, why);
    fault_rest();
    if (!alone_lives())
        return end_if(bad + wrong("the runner died"));
    bad += is_left();
    bad += ends_well(alone_order(steps, &why, pool), "the next build");
    return end_if(bad);
}

/* One runs, one waits; both are cancelled. */
static unsigned cancel_builds(void)
{
    const char *why = "";
    apr_int64_t ids[2];
    unsigned bad = 0;
    int i, tries;

    fault_rest();
    apr_pool_clear(pool);
    if (!begin_if_needed())
        return wrong("no runner begins");
    ids[0] = alone_order(long_steps, &why, pool);
    ids[1] = alone_order(long_steps, &why, pool);
    fault_go_on();
    for (i = 1; i >= 0; i--) {
        bl_build_t *build = NULL;

        /* Who got no answer asks again. */
        for (tries = 0; tries < 20 && build == NULL; tries++) {
            apr_int64_t answer =
                alone_cancel((apr_uint64_t)ids[i], &why, pool);

            build = alone_wait((apr_uint64_t)ids[i],
                               answer > 0 ? PATIENCE : apr_time_from_msec(100),
                               scratch);
        }
        if (build == NULL)
            bad += wrong("build %d cannot be cancelled", (int)ids[i]);
        else if (build->reason == NULL)
            bad += wrong("build %d: %s", (int)ids[i],
                         bl_build_state_name(build->state));
        else
            bad += log_is_wrong(build);
    }
    fault_rest();
    bad += is_left();
    return end_if(bad);
}

/* ---- a runner begins ------------------------------------------------------
 */

static apr_int64_t ended, running, waiting;

/* A state directory whose runner was killed, kept beside. */
static void make_remains(void)
{
    const char *why;

    alone_begin();
    ended = alone_order(short_steps, &why, pool);
    alone_wait((apr_uint64_t)ended, PATIENCE, scratch);
    running = alone_order(long_steps, &why, pool);
    waiting = alone_order(short_steps, &why, pool);
    alone_end(SIGKILL);
    if (system(apr_psprintf(pool,
                            "cd '%s' && mkdir kept && cp -a logs queue "
                            "last-build kept/ && printf '2026-11-22T10:0' "
                            ">>kept/logs/%d.log",
                            alone.dir, (int)running)) != 0)
        printf("# the remains of a runner cannot be kept\n");
}

static void restore_remains(void)
{
    if (system(apr_psprintf(pool,
                            "cd '%s' && rm -rf logs queue last-build && cp -a "
                            "kept/logs kept/queue kept/last-build .",
                            alone.dir)) != 0)
        printf("# the remains of a runner cannot be restored\n");
}

/* It ended one log, and goes on with what waited. */
static unsigned has_taken_up(void)
{
    bl_build_t *build;
    unsigned bad = 0;

    build = alone_wait((apr_uint64_t)running, PATIENCE, scratch);
    if (build == NULL || build->state != BL_BUILD_LOST)
        bad += wrong("what ran is not lost");
    else
        bad += log_is_wrong(build);
    build = alone_wait((apr_uint64_t)waiting, PATIENCE, scratch);
    if (build == NULL)
        bad += wrong("what waited has no end");
    else
        bad += log_is_wrong(build);
    return bad;
}

static unsigned begin_anew(void)
{
    const char *why = "";
    unsigned bad = 0;
    apr_int64_t id;
    int begun;

    fault_rest();
    apr_pool_clear(pool);
    alone_end(SIGKILL);
    restore_remains();
    fault_go_on();
    begun = alone_begin();
    if (begun)
        alone_wait((apr_uint64_t)waiting, apr_time_from_msec(400), scratch);
    fault_rest();
    /* What it could not do at once is done by the next one at once. */
    if (!begun && alone_lives())
        bad += wrong("it neither begins nor ends");
    alone_end(SIGTERM);
    if (!alone_begin())
        return bad + wrong("the next one does not begin");
    bad += has_taken_up();
    id = alone_order(short_steps, &why, pool);
    if (id <= waiting)
        bad += wrong("number %d was given before", (int)id);
    bad += ends_well(id, "the next build");
    if (alone_end(SIGTERM) != 0)
        bad += wrong("processes are left");
    return bad;
}

/* ---- the history
 * ------------------------------------------------------------ */

/* @return rows; -1: they cannot be read now */
static int rows(void)
{
    apr_array_header_t *keys = NULL;
    bl_history_t *h = NULL;
    const char *why;

    apr_pool_clear(scratch);
    if (bl_history_open(&h, &why, "sqlite3", alone.database, BL_HISTORY_READ,
                        scratch) != APR_SUCCESS ||
        bl_history_keys(&keys, h, scratch) != APR_SUCCESS)
        keys = NULL;
    bl_history_close(&h);
    return keys != NULL ? keys->nelts : -1;
}

/* A row for each log. */
static unsigned is_in_history(void)
{
    apr_time_t deadline = bl_tick_now() + PATIENCE;
    apr_array_header_t *logs;
    int count;

    if (bl_log_list(&logs, alone.logs, pool) != APR_SUCCESS)
        return wrong("no logs");
    while ((count = rows()) != logs->nelts && bl_tick_now() < deadline)
        usleep(5000);
    return count == logs->nelts
               ? 0
               : wrong("%d rows of %d logs", count, logs->nelts);
}

/* A build gets its row, however late; whoever waits for it is not the runner.
 */
static unsigned one_more(void)
{
    const char *why = "";
    apr_int64_t id = alone_order(short_steps, &why, pool);
    unsigned bad = may_have_ended(id, why);

    return end_if(bad + is_in_history());
}

static unsigned keep_history(void)
{
    fault_rest();
    apr_pool_clear(pool);
    if (!begin_if_needed())
        return wrong("no runner begins");
    fault_go_on();
    return one_more();
}

/* The historian is killed: another one is begun, and looks at all logs. */
static unsigned kill_historian(void)
{
    pid_t pid = 0;

    fault_rest();
    apr_pool_clear(pool);
    /* One that was killed often begins ever later: not with a new runner. */
    alone_end(SIGTERM);
    if (!begin_if_needed() || alone_children(alone.runner, &pid) != 1)
        return end_if(wrong("no runner, or no historian"));
    fault_go_on();
    kill(pid, SIGKILL);
    return one_more();
}

/* ---- looking for processes -------------------------------------------------
 */

static pid_t orphan;

static const char *const entries[] = {"BUILDLOG_ID=7", "BUILDLOG_FAULT=test",
                                      NULL};

static void make_orphan(void)
{
    char *const argv[] = {"sleep", "1000", NULL};

    orphan = fork();
    if (orphan == 0) {
        execve("/bin/sleep", argv, (char *const *)entries);
        _exit(1);
    }
}

/* It is there: whoever cannot see it must not say that it is gone. */
static unsigned look_around(void)
{
    int by_env, by_tree;

    fault_rest();
    apr_pool_clear(pool);
    fault_go_on();
    by_env = bl_tree_signal_env(entries, 0);
    by_tree = bl_tree_signal(getpid(), 0, NULL, NULL, pool);
    fault_rest();
    if (by_env == 0 || by_tree == 0)
        return wrong("a process that lives is not there");
    return 0;
}

/* ---- all of it
 * -------------------------------------------------------------- */

static void test_building(int faults)
{
    static const seam_t seams[] = {
        {"open", RUNNER, EMFILE, 1},   {"open", RUNNER, ENOSPC, 1},
        {"pwrite", RUNNER, ENOSPC, 1}, {"pwrite", RUNNER, 0, 1},
        {"write", RUNNER, ENOSPC, 1},  {"rename", RUNNER, EIO, 1},
        {"unlink", RUNNER, EIO, 1},    {"fork", RUNNER, EAGAIN, 1},
        {"pipe", RUNNER, EMFILE, 1},   {"socket", RUNNER, EMFILE, 1},
        {"epoll", RUNNER, ENOMEM, 1},  {"epoll", RUNNER, ENOSPC, 3},
        {"wait", RUNNER, EINTR, 1},    {"waitpid", RUNNER, EINTR, 1},
        {"accept", RUNNER, EMFILE, 1}, {"accept", RUNNER, ECONNABORTED, 1},
        {"recv", RUNNER, EINTR, 1},    {"recv", RUNNER, ENOMEM, 1},
        {"send", RUNNER, ENOBUFS, 1},  {"read", RUNNER, EINTR, 1},
        {"open", KEEPER, EMFILE, 1},   {"fcntl", KEEPER, EMFILE, 1},
        {"fork", KEEPER, EAGAIN, 1},   {"chdir", KEEPER, EACCES, 1},
        {"exec", KEEPER, ENOMEM, 1},   {"recv", KEEPER, EINTR, 1},
        {"send", KEEPER, ENOBUFS, 1},  {"wait", KEEPER, EINTR, 1},
        {"waitpid", KEEPER, EINTR, 1},
    };
    size_t i;

    ok(run_builds() == 0, "with all calls working: builds");
    for (i = 0; faults && i < sizeof(seams) / sizeof(seams[0]); i++)
        every(&seams[i], run_builds);
}

static void test_cancelling(int faults)
{
    static const seam_t seams[] = {
        {"send", RUNNER, ENOBUFS, 1},
        {"recv", RUNNER, ENOMEM, 1},
        {"accept", RUNNER, EMFILE, 2},
        {"pwrite", RUNNER, ENOSPC, 1},
        {"opendir", KEEPER, EMFILE, 1},
        {"kill", KEEPER, EPERM, 1},
        {"recv", KEEPER, EINTR, 1},
        {"waitpid", KEEPER, EINTR, 1},
        /* A keeper looks at all processes, again and again. */
        {"open", KEEPER, EMFILE, 1},
        {"open", KEEPER, EMFILE, 1000},
        {"readdir", KEEPER, EIO, 1},
    };
    size_t i;

    ok(cancel_builds() == 0, "with all calls working: cancelled builds");
    for (i = 0; faults && i < sizeof(seams) / sizeof(seams[0]); i++)
        some(&seams[i], 20, 151, cancel_builds);
}

static void test_beginning(int faults)
{
    static const seam_t seams[] = {
        {"open", RUNNER, EMFILE, 1},   {"open", RUNNER, EMFILE, 3},
        {"pread", RUNNER, EIO, 1},     {"pwrite", RUNNER, ENOSPC, 1},
        {"ftruncate", RUNNER, EIO, 1}, {"opendir", RUNNER, EMFILE, 1},
        {"readdir", RUNNER, EIO, 1},   {"mkdir", RUNNER, EACCES, 1},
        {"fstat", RUNNER, EIO, 1},     {"read", RUNNER, EIO, 1},
        {"epoll", RUNNER, ENOMEM, 1},  {"unlink", RUNNER, EIO, 1},
        {"fork", RUNNER, EAGAIN, 1},   {"wait", RUNNER, EINTR, 1},
    };
    size_t i;

    is_u64((apr_uint64_t)alone_end(SIGTERM), 0,
           "one ends, and leaves nothing");
    make_remains();
    ok(begin_anew() == 0, "with all calls working: one begins behind another");
    for (i = 0; faults && i < sizeof(seams) / sizeof(seams[0]); i++)
        some(&seams[i], 20, 151, begin_anew);
}

static void test_history(int faults)
{
    static const seam_t seams[] = {
        {"open", HISTORIAN, EMFILE, 1},   {"pread", HISTORIAN, EIO, 1},
        {"pwrite", HISTORIAN, ENOSPC, 1}, {"fsync", HISTORIAN, EIO, 1},
        {"fcntl", HISTORIAN, EIO, 1},     {"fstat", HISTORIAN, EIO, 1},
        {"recv", HISTORIAN, EINTR, 1},    {"wait", HISTORIAN, EINTR, 1},
        {"send", RUNNER, ENOBUFS, 1},
    };
    static const seam_t killing[] = {
        {"fork", RUNNER, EAGAIN, 1},    {"socket", RUNNER, EMFILE, 1},
        {"epoll", RUNNER, ENOMEM, 1},   {"opendir", HISTORIAN, EMFILE, 1},
        {"readdir", HISTORIAN, EIO, 1},
    };
    size_t i;

    alone_end(SIGTERM);
    alone_remove_logs();
    alone.database = alone_path("history.db");
    ok(keep_history() == 0, "with all calls working: the history");
    ok(kill_historian() == 0, "... whose process is killed");
    for (i = 0; faults && i < sizeof(seams) / sizeof(seams[0]); i++)
        every(&seams[i], keep_history);
    for (i = 0; faults && i < sizeof(killing) / sizeof(killing[0]); i++)
        some(&killing[i], 2, 5, kill_historian);
    alone_end(SIGTERM);
    alone.database = NULL;
}

static void test_looking(int faults)
{
    static const seam_t seams[] = {
        {"open", "", EMFILE, 1},    {"open", "", ENFILE, 3},
        {"opendir", "", EMFILE, 1}, {"readdir", "", EIO, 1},
        {"read", "", ENOMEM, 1},    {"fstat", "", ENOMEM, 1},
    };
    size_t i;

    alone_end(SIGTERM);
    make_orphan();
    for (i = 0; faults && i < sizeof(seams) / sizeof(seams[0]); i++)
        some(&seams[i], 60, 7, look_around);
    kill(orphan, SIGKILL);
    alone_reap();
}

int main(int argc, const char *const argv[])
{
    static const struct {
        const char *name;
        void (*test)(int faults);
    } acts[] = {
        {"building", test_building},   {"cancelling", test_cancelling},
        {"beginning", test_beginning}, {"history", test_history},
        {"looking", test_looking},
    };
    const char *only = argc > 1 ? argv[1] : NULL;
    int faults = only == NULL || strcmp(only, "none") != 0;
    size_t i;

    alone_init("runner_fault");
    apr_pool_create(&pool, alone.pool);
    apr_pool_create(&scratch, alone.pool);
    for (i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
        fault_plan()->hits = 0;
        if (only == NULL || !faults || strcmp(only, acts[i].name) == 0)
            acts[i].test(faults);
    }
    alone_end(SIGTERM);
    alone_remove_all();
    apr_terminate();
    return done_testing();
}
