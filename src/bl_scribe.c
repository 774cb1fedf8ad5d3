/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_scribe.c - what runs inside the historian's process
 *
 * INVARIANTS    N1 whatever was told or missed, after a resync that worked
 *                  there is a row for each log that has its end, of that
 *                  end, and no other
 *               N2 who fails forgets what it was told and resyncs: what waits
 *                  takes no memory, however long the database is away
 * DIAGNOSTICS   BL0250 cannot be written, once; BL0251 again; BL0252 opened.
 *               They go to the runner, which has the error log
 *
 * What it knows is what it was told since the last write, or that it has to
 * resync: at the beginning, when the runner says so, after every failure. Both
 * end with a write that worked.
 */
#include "bl_scribe.h"

/* libc */
#include <poll.h>
#include <string.h>
#include <unistd.h>
/* APR */
#include <apr_file_info.h>
#include <apr_pools.h>
#include <apr_strings.h>
#include <apr_tables.h>
/* layer 0 */
#include "bl_build.h"
#include "bl_diag.h"
/* layer 1 */
#include "bl_ending.h"
#include "bl_history.h"
#include "bl_log.h"
#include "bl_tick.h"
/* this side of layer 2 */
#include "bl_helper.h"

/* Between two tries when the database cannot be written. */
#define RETRY_LEAST apr_time_from_msec(200)
#define RETRY_MOST apr_time_from_sec(30)

/* So many rows are written in one transaction: readers are held up by a
 * commit, and not for long. Also as many messages are taken at once. */
#define ROWS_AT_ONCE 500

typedef struct {
    const char *logs_dir;
    const char *driver;
    const char *params;
    apr_pool_t *pool;
    apr_pool_t *turn;      /* cleared before each write */
    apr_pool_t *row;       /* cleared for each build */
    apr_pool_t *open_pool; /* of history; cleared when it is closed */
    bl_history_t *history; /* NULL: not open */
    int ended;             /* the runner has no more to tell, or is gone */

    int resync;               /* the rows must be compared with the logs */
    apr_array_header_t *told; /* bl_helper_message_t; empty if resync */

    int introduced; /* BL0252 was said */
    int failing;    /* BL0250 was said */
    apr_interval_time_t backoff;
    apr_time_t due; /* not before */

    /* Of the write that goes on. */
    int added;
    int removed;
    int left_out; /* builds that could not be read or written */
    const char *why;
} scribe_t;

/* ---- one row -------------------------------------------------------- */

static void leave_out(scribe_t *s, const char *why)
{
    s->left_out++;
    s->why = apr_pstrdup(s->turn, why);
}

static void remove_row(scribe_t *s, apr_uint64_t id)
{
    if (bl_history_remove(s->history, id) == APR_SUCCESS)
        s->removed++;
    else
        leave_out(s, bl_history_why(s->history));
}

static void put_row(scribe_t *s, apr_uint64_t id)
{
    bl_build_t *build = NULL;
    char text[128];
    apr_status_t rv = bl_ending_read(&build, NULL, s->logs_dir, id, s->row);

    if (APR_STATUS_IS_ENOENT(rv) && bl_ending_has_logs(s->logs_dir, s->row)) {
        remove_row(s, id);
        return;
    }
    /* It runs still, and will be told of; or it is damaged for ever. */
    if (rv == APR_NOTFOUND)
        return;
    if (rv != APR_SUCCESS) {
        leave_out(s, apr_pstrcat(s->row, bl_log_path(s->logs_dir, id, s->row),
                                 ": ", apr_strerror(rv, text, sizeof(text)),
                                 NULL));
        return;
    }
    rv = bl_history_put(s->history, build);
    if (rv == APR_SUCCESS)
        s->added++;
    else if (rv != APR_EINVAL)
        leave_out(s, bl_history_why(s->history));
}

/* ---- writing -------------------------------------------------------- */

static apr_status_t failed(scribe_t *s, apr_status_t rv)
{
    if (rv != APR_SUCCESS)
        s->why = apr_pstrdup(s->turn, bl_history_why(s->history));
    return rv;
}

/* One transaction. */
static apr_status_t write_some(scribe_t *s, const apr_array_header_t *list,
                               int from, int to)
{
    apr_status_t rv = failed(s, bl_history_begin(s->history));
    int i;

    if (rv != APR_SUCCESS)
        return rv;
    for (i = from; i < to; i++) {
        const bl_helper_message_t *m =
            &APR_ARRAY_IDX(list, i, bl_helper_message_t);

        apr_pool_clear(s->row);
        if (m->what == BL_HELPER_ENDED)
            put_row(s, m->build);
        else
            remove_row(s, m->build);
    }
    return failed(s, bl_history_commit(s->history));
}

static apr_status_t write_all(scribe_t *s, const apr_array_header_t *list)
{
    apr_status_t rv = APR_SUCCESS;
    int from, to;

    for (from = 0; rv == APR_SUCCESS && from < list->nelts; from = to) {
        to = from + ROWS_AT_ONCE < list->nelts ? from + ROWS_AT_ONCE
                                               : list->nelts;
        rv = write_some(s, list, from, to);
    }
    return rv;
}

static void push(apr_array_header_t *list, bl_helper_what_e what,
                 apr_uint64_t id)
{
    bl_helper_message_t *m = apr_array_push(list);

    m->what = what;
    m->build = id;
}

/* A directory that cannot be read to its end must not cost rows. */
static int is_gone(scribe_t *s, apr_uint64_t id)
{
    apr_finfo_t info;

    apr_pool_clear(s->row);
    return APR_STATUS_IS_ENOENT(apr_stat(
        &info, bl_log_path(s->logs_dir, id, s->row), APR_FINFO_TYPE, s->row));
}

/* A row under the number of a log may be another build's: of a server that
 * had this database before, or the number, before its state was removed. */
static int is_of_log(scribe_t *s, bl_history_key_t key)
{
    bl_build_t *build;
    apr_status_t rv;

    apr_pool_clear(s->row);
    rv = bl_ending_read(&build, NULL, s->logs_dir, key.id, s->row);
    if (rv == APR_SUCCESS)
        return build->ended == key.ended;
    return rv != APR_NOTFOUND; /* what cannot be read now costs no row */
}

/* What is missing and what is too much, both lists being in order. */
static apr_array_header_t *compare(scribe_t *s, const apr_array_header_t *logs,
                                   const apr_array_header_t *rows)
{
    apr_array_header_t *list =
        apr_array_make(s->turn, 64, sizeof(bl_helper_message_t));
    int l = 0, r = 0;

    while (l < logs->nelts || r < rows->nelts) {
        apr_uint64_t log = APR_UINT64_MAX;
        bl_history_key_t row = {.id = APR_UINT64_MAX};

        if (l < logs->nelts)
            log = APR_ARRAY_IDX(logs, l, apr_uint64_t);
        if (r < rows->nelts)
            row = APR_ARRAY_IDX(rows, r, bl_history_key_t);
        if (row.id < log && is_gone(s, row.id))
            push(list, BL_HELPER_REMOVED, row.id);
        else if (row.id == log && !is_of_log(s, row)) {
            push(list, BL_HELPER_REMOVED, row.id);
            push(list, BL_HELPER_ENDED, log);
        }
        else if (log < row.id)
            push(list, BL_HELPER_ENDED, log);
        l += log <= row.id;
        r += row.id <= log;
    }
    return list;
}

/* N1. First the rows: a log that goes in between costs a row too many at most
 * until the message comes that it went. */
static apr_status_t write_missing(scribe_t *s)
{
    apr_array_header_t *rows, *logs;
    char text[128];
    apr_status_t rv;

    rv = failed(s, bl_history_keys(&rows, s->history, s->turn));
    if (rv != APR_SUCCESS)
        return rv;
    rv = bl_log_list(&logs, s->logs_dir, s->turn);
    if (rv != APR_SUCCESS) {
        s->why = apr_pstrcat(s->turn, s->logs_dir, ": ",
                             apr_strerror(rv, text, sizeof(text)), NULL);
        return rv;
    }
    rv = write_all(s, compare(s, logs, rows));
    if (rv != APR_SUCCESS ||
        (s->introduced && s->added == 0 && s->removed == 0))
        return rv;
    s->introduced = 1;
    bl_diag(BL_DIAG_INFO, 0,
            "BL0252 rows in the history: %d; %d were added, %d removed",
            rows->nelts + s->added - s->removed, s->added, s->removed);
    return rv;
}

static void close_history(scribe_t *s)
{
    s->history = NULL;
    apr_pool_clear(s->open_pool);
}

/* @return APR_SUCCESS: all is written; else why is set, and the history is
 * closed */
static apr_status_t write_once(scribe_t *s)
{
    const char *why;
    apr_status_t rv = APR_SUCCESS;

    apr_pool_clear(s->turn);
    s->added = s->removed = s->left_out = 0;
    if (s->history == NULL) {
        /* It may be another one than before. */
        s->resync = 1;
        rv = bl_history_open(&s->history, &why, s->driver, s->params,
                             BL_HISTORY_WRITE, s->open_pool);
        if (rv != APR_SUCCESS)
            s->why = apr_pstrdup(s->turn, why);
        else
            rv = failed(s, bl_history_claim(s->history));
    }
    if (rv == APR_SUCCESS)
        rv = s->resync ? write_missing(s) : write_all(s, s->told);
    if (rv == APR_SUCCESS && s->left_out > 0)
        rv = APR_INCOMPLETE; /* the others are written */
    if (rv != APR_SUCCESS)
        close_history(s);
    return rv;
}

/* ---- failing, and mending ------------------------------------------- */

static void set_failing(scribe_t *s)
{
    if (!s->failing)
        bl_diag(BL_DIAG_WARNING, 0,
                "BL0250 the history cannot be written, and is tried again "
                "until it can: %s",
                s->why);
    s->failing = 1;
    s->resync = 1;
    s->due = bl_tick_now() + s->backoff;
    s->backoff = s->backoff * 2 < RETRY_MOST ? s->backoff * 2 : RETRY_MOST;
}

static void set_well(scribe_t *s)
{
    if (s->failing)
        bl_diag(BL_DIAG_NOTICE, 0,
                "BL0251 the history can be written again; what was missing "
                "is there");
    s->failing = 0;
    s->resync = 0;
    s->due = 0;
    s->backoff = RETRY_LEAST;
}

static void write_now(scribe_t *s)
{
    int was_open = s->history != NULL;
    apr_status_t rv = write_once(s);

    /* A server that was restarted, a file that was replaced: nothing to tell
     * anybody, if a new connection mends it. */
    if (rv != APR_SUCCESS && was_open)
        rv = write_once(s);
    apr_array_clear(s->told); /* N2 */
    if (rv == APR_SUCCESS)
        set_well(s);
    else
        set_failing(s);
}

/* ---- the process ---------------------------------------------------- */

static void take(scribe_t *s, const bl_helper_message_t *m)
{
    apr_time_t soon = bl_tick_now() + RETRY_LEAST;

    if (m->what == BL_HELPER_LOOK) {
        s->resync = 1;
        apr_array_clear(s->told);
    }
    else if (!s->resync)
        push(s->told, m->what, m->build);
    /* News are a reason to look whether it has been mended. */
    if (s->due > soon)
        s->due = soon;
}

static void take_all(scribe_t *s)
{
    bl_helper_message_t m;
    int taken;

    for (taken = 0; taken < ROWS_AT_ONCE; taken++) {
        apr_status_t rv = bl_helper_hear(&m);

        s->ended = APR_STATUS_IS_EOF(rv);
        if (rv != APR_SUCCESS)
            return;
        take(s, &m);
    }
}

static void sleep_until_due(const scribe_t *s)
{
    struct pollfd control = {BL_HELPER_CONTROL, POLLIN, 0};
    apr_time_t left;
    int ms = -1;

    if (s->resync || s->told->nelts > 0) {
        left = s->due - bl_tick_now();
        ms = left > 0 ? (int)apr_time_as_msec(left) + 1 : 0;
    }
    poll(&control, 1, ms);
}

static void keep_history(scribe_t *s)
{
    s->resync = 1;
    while (!s->ended) {
        sleep_until_due(s);
        take_all(s);
        /* At the end once more, whatever time it is. */
        if ((s->resync || s->told->nelts > 0) &&
            (s->ended || bl_tick_now() >= s->due))
            write_now(s);
    }
    if (s->history != NULL)
        close_history(s);
}

void bl_scribe_main(const char *logs_dir, const char *driver,
                    const char *params)
{
    scribe_t s;

    memset(&s, 0, sizeof(s));
    /* Pools of its own: those of the runner have cleanups that are not the
     * historian's to run. */
    apr_pool_create(&s.pool, NULL);
    apr_pool_create(&s.turn, s.pool);
    apr_pool_create(&s.row, s.pool);
    apr_pool_create(&s.open_pool, s.pool);
    s.told = apr_array_make(s.pool, ROWS_AT_ONCE, sizeof(bl_helper_message_t));
    s.logs_dir = logs_dir;
    s.driver = driver;
    s.params = params;
    s.backoff = RETRY_LEAST;
    keep_history(&s);
    _exit(0);
}
