/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_history.h - the builds that have ended, in an SQL database
 *
 * Layer:    1 (store). No httpd.h.
 * Runs in:  writing: the historian alone. Reading: any thread, one thread per
 *           handle at a time. A handle does not survive fork.
 * Owns:     the tables, their versions, every SQL text.
 * Not here: the database itself (bl_sql), when a row is written
 * (bl_historian), who may see it (layer 3).
 *
 * The logs are the truth. This is an index of them: a row for each log that
 * has its end, for pages that go back and for averages. It may be removed at
 * any time and is made again.
 *
 * Calls block: for sqlite3 up to two seconds on a lock of somebody else, for
 * pgsql up to some more (and a connect for as long as connect_timeout in
 * params says, or 3 s). Memory does not grow with the number of calls.
 *
 * Unless said otherwise a call returns APR_SUCCESS, or APR_EGENERAL when the
 * database failed, with bl_history_why for the log. Then close the handle and
 * open another one: a lost connection, a file that was replaced or tables that
 * were changed are all mended by that, and by nothing less.
 */
#ifndef BL_HISTORY_H
#define BL_HISTORY_H

#include <apr_errno.h>
#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>

#include "bl_build.h"

typedef struct bl_history_t bl_history_t;

typedef enum {
    BL_HISTORY_READ, /* nothing is created or changed */
    BL_HISTORY_WRITE /* made or brought to this version's tables if needed */
} bl_history_mode_e;

/**
 * Open the database.
 *
 * @param why     on failure what went wrong, one line, made in p
 * @param driver  "sqlite3" or "pgsql"
 * @param params  sqlite3: the path of the file, which is made with the
 *                umask of the process. pgsql: as for PQconnectdb
 * @param p       the handle lives no longer than it
 * @return APR_SUCCESS; APR_ENOTIMPL: no such driver here; APR_ENOENT:
 *         BL_HISTORY_READ, and nobody has written yet; APR_EGENERAL: it cannot
 *         be opened, or its tables are newer than this module. *out is set
 *         only on APR_SUCCESS
 */
apr_status_t bl_history_open(bl_history_t **out, const char **why,
                             const char *driver, const char *params,
                             bl_history_mode_e mode, apr_pool_t *p);

/** What is not committed is undone. Takes NULL. */
void bl_history_close(bl_history_t **h);

/** What the last call that failed met, one line; valid until the next call. */
const char *bl_history_why(const bl_history_t *h);

/* ---- writing -------------------------------------------------------- */

/**
 * Be the only one who writes, until the handle is closed: two servers with one
 * database would each remove the rows of the other. Waits some seconds for
 * another to go. (sqlite3: the file is taken for one server's alone.)
 */
apr_status_t bl_history_claim(bl_history_t *h);

/**
 * Between begin and commit other calls belong together: all is stored, or
 * nothing. After a commit that failed it is mostly nothing: do it again. A put
 * or a remove that failed has changed nothing, and what else there is can be
 * put and committed before the handle is closed.
 */
apr_status_t bl_history_begin(bl_history_t *h);
apr_status_t bl_history_commit(bl_history_t *h);
void bl_history_rollback(bl_history_t *h);

/**
 * Store the row of a build, in place of what is there under its id.
 *
 * @return also APR_EINVAL: it has not ended, or has a text that is not UTF-8
 *         or a number that SQL does not have; the database was not asked
 */
apr_status_t bl_history_put(bl_history_t *h, const bl_build_t *build);

/** Also when there is no such row. */
apr_status_t bl_history_remove(bl_history_t *h, apr_uint64_t id);

/* ---- reading -------------------------------------------------------- */

/* Enough of a row to say whether it is that of a log. */
typedef struct {
    apr_uint64_t id;
    bl_stamp_t ended;
} bl_history_key_t;

/** The keys of all rows (bl_history_key_t), ids ascending, made in p. */
apr_status_t bl_history_keys(apr_array_header_t **out, bl_history_t *h,
                             apr_pool_t *p);

/**
 * The record of a build as bl_build_to_json made it, in p.
 *
 * @return also APR_NOTFOUND: no such row
 */
apr_status_t bl_history_find(const char **json, bl_history_t *h,
                             apr_uint64_t id, apr_pool_t *p);

#define BL_HISTORY_ANY_STATE BL_BUILD_STATE_COUNT

typedef struct {
    const char *project;    /* NULL: any */
    bl_build_state_e state; /* or BL_HISTORY_ANY_STATE */
    apr_uint64_t before;    /* only ids below it; 0: all */
    int limit;              /* most rows */
} bl_history_filter_t;

/* A build without reading its record: most that are looked at are not shown
 * when others may not be seen. */
typedef struct {
    apr_uint64_t id;
    const char *project;
    const char *json; /* the record, as by bl_history_find */
} bl_history_row_t;

/**
 * Rows (bl_history_row_t, their texts made in p), newest first. The next page
 * is before the id of the last of them.
 *
 * @return also APR_EINVAL: project is not UTF-8
 */
apr_status_t bl_history_list(apr_array_header_t **out, bl_history_t *h,
                             const bl_history_filter_t *filter, apr_pool_t *p);

/* So many builds make an average. */
#define BL_HISTORY_AVERAGE_OF 10

/**
 * How long the last successful builds of a project took from start to end, on
 * the average.
 *
 * @param duration  0 if there was none
 * @param count     of how many, at most BL_HISTORY_AVERAGE_OF
 * @return also APR_EINVAL: project is not UTF-8
 */
apr_status_t bl_history_average(apr_interval_time_t *duration, int *count,
                                bl_history_t *h, const char *project);

/* ---- versions ------------------------------------------------------- */

/* The SQL that leads from one version of the tables to the next, statement by
 * statement, NULL at the end. */
typedef const char *const *bl_history_step_t;

/**
 * Replaces the steps from nothing up to the version of this module: for tests
 * of what was not released yet.
 *
 * @param steps  NULL: our own again
 */
void bl_history_set_steps(const bl_history_step_t *steps, int count);

#endif /* BL_HISTORY_H */
