/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_history.c - the builds that have ended, in an SQL database
 *
 * FORMAT        see step_1: one row a build, times in microseconds since the
 *               epoch, NULL for what never was. "record" is what clients get,
 *               the other columns are for finding and counting
 * INVARIANTS    H1 SQL texts are constants: what comes from a build or a
 *                  client is bound to a prepared statement
 *               H2 tables are made and changed whole, in one transaction with
 *                  their version
 * DIAGNOSTICS   none is logged here; see bl_history_why
 * LIMITS        numbers up to APR_INT64_MAX
 */
#include "bl_history.h"

/* libc */
#include <string.h>
/* APR */
#include <apr_strings.h>
/* layer 0 */
#include "bl_json.h"
/* layer 1 */
#include "bl_sql.h"

/* ---- the tables ----------------------------------------------------- */

static const char *const step_1[] = {
    "CREATE TABLE buildlog_schema (version INTEGER NOT NULL)",
    "INSERT INTO buildlog_schema (version) VALUES (1)",
    /* "user" is a function in PostgreSQL. */
    "CREATE TABLE buildlog_builds ("
    "id BIGINT NOT NULL PRIMARY KEY, "
    "project TEXT NOT NULL, "
    "title TEXT NOT NULL, "
    "state TEXT NOT NULL, "
    "username TEXT, "
    "created BIGINT NOT NULL, "
    "started BIGINT, "
    "ended BIGINT NOT NULL, "
    "lines BIGINT NOT NULL, "
    "bytes BIGINT NOT NULL, "
    "record TEXT NOT NULL)",
    /* Newest first, for each filter. */
    "CREATE INDEX buildlog_by_project ON buildlog_builds (project, id)",
    "CREATE INDEX buildlog_by_state ON buildlog_builds (state, id)",
    "CREATE INDEX buildlog_by_both ON buildlog_builds (project, state, id)",
    NULL,
};

/* steps[n] leads from version n to n + 1; version 0 is no table at all. A new
 * version is a new step, which ends with "UPDATE buildlog_schema SET version =
 * ..."; those that were released are never changed. */
static const bl_history_step_t our_steps[] = {step_1};

static const bl_history_step_t *steps = our_steps;
static int step_count = sizeof(our_steps) / sizeof(our_steps[0]);

void bl_history_set_steps(const bl_history_step_t *list, int count)
{
    steps = list != NULL ? list : our_steps;
    step_count =
        list != NULL ? count : (int)(sizeof(our_steps) / sizeof(our_steps[0]));
}

/* ---- statements ----------------------------------------------------- */

typedef enum {
    FIND,
    KEYS,
    AVERAGE,
    LIST_ALL, /* these four in this order: see bl_history_list */
    LIST_PROJECT,
    LIST_STATE,
    LIST_BOTH,
    PUT, /* from here on only for writing */
    REMOVE,
    STATEMENT_COUNT
} statement_e;

/* As many keys are asked for at once. */
#define KEYS_AT_ONCE 10000

static const bl_sql_statement_t statements[STATEMENT_COUNT] = {
    [FIND] = {"buildlog_find",
              "SELECT record FROM buildlog_builds WHERE id = %lld"},
    [KEYS] = {"buildlog_keys", "SELECT id, ended FROM buildlog_builds "
                               "WHERE id > %lld ORDER BY id LIMIT %lld"},
    /* A clock that was set may have made a build end before it began. */
    [AVERAGE] = {"buildlog_average",
                 "SELECT COUNT(*), SUM(ended - started) FROM ("
                 "SELECT started, ended FROM buildlog_builds "
                 "WHERE project = %s AND state = %s AND ended >= started "
                 "ORDER BY id DESC LIMIT %lld) AS latest"},
    [LIST_ALL] = {"buildlog_list_all",
                  "SELECT id, project, record FROM buildlog_builds "
                  "WHERE id <= %lld ORDER BY id DESC LIMIT %lld"},
    [LIST_PROJECT] =
        {"buildlog_list_project",
         "SELECT id, project, record FROM buildlog_builds WHERE project = %s "
         "AND id <= %lld ORDER BY id DESC LIMIT %lld"},
    [LIST_STATE] =
        {"buildlog_list_state",
         "SELECT id, project, record FROM buildlog_builds WHERE state = %s "
         "AND id <= %lld ORDER BY id DESC LIMIT %lld"},
    [LIST_BOTH] = {"buildlog_list_both",
                   "SELECT id, project, record FROM buildlog_builds "
                   "WHERE project = %s AND state = %s "
                   "AND id <= %lld ORDER BY id DESC LIMIT %lld"},
    [PUT] = {"buildlog_put",
             "INSERT INTO buildlog_builds (id, project, title, state, "
             "username, created, started, ended, lines, bytes, record) VALUES "
             "(%lld, %s, %s, %s, %s, %lld, %lld, %lld, %lld, %lld, %s) "
             "ON CONFLICT (id) DO UPDATE SET project = excluded.project, "
             "title = excluded.title, state = excluded.state, "
             "username = excluded.username, created = excluded.created, "
             "started = excluded.started, ended = excluded.ended, "
             "lines = excluded.lines, bytes = excluded.bytes, "
             "record = excluded.record"},
    [REMOVE] = {"buildlog_remove",
                "DELETE FROM buildlog_builds WHERE id = %lld"},
};

/* ---- open and close ------------------------------------------------- */

struct bl_history_t {
    apr_pool_t *pool;
    bl_sql_t *db;
};

const char *bl_history_why(const bl_history_t *h)
{
    return bl_sql_why(h->db);
}

/* 0: there is no table yet. */
static apr_status_t version_of(bl_sql_t *db, int *version)
{
    const char *text;
    int yes = 0;
    apr_status_t rv = bl_sql_has_table(db, &yes, "buildlog_schema");

    *version = 0;
    if (rv != APR_SUCCESS || !yes)
        return rv;
    rv = bl_sql_ask(db, &text, "SELECT MAX(version) FROM buildlog_schema");
    if (rv == APR_SUCCESS)
        *version = (int)apr_atoi64(text);
    if (rv == APR_SUCCESS && *version > step_count)
        return bl_sql_fail(
            db, "its tables are of a newer mod_buildlog, their version is",
            apr_itoa(bl_sql_scratch(db), *version));
    return rv;
}

/* A file or a directory that is read-only shows when something is written:
 * better now than with the first build that ends. SQLite does not write what
 * is the same as before. */
static apr_status_t try_writing(bl_sql_t *db)
{
    apr_status_t rv;

    rv = bl_sql_run(db, "UPDATE buildlog_schema SET version = version + 1");
    if (rv == APR_SUCCESS)
        rv =
            bl_sql_run(db, "UPDATE buildlog_schema SET version = version - 1");
    return rv;
}

/* H2 */
static apr_status_t upgrade(bl_sql_t *db)
{
    const char *const *sql;
    int version = 0;
    apr_status_t rv = bl_sql_begin(db);

    if (rv != APR_SUCCESS)
        return rv;
    rv = version_of(db, &version);
    for (; rv == APR_SUCCESS && version < step_count; version++) {
        for (sql = steps[version]; rv == APR_SUCCESS && *sql != NULL; sql++)
            rv = bl_sql_run(db, *sql);
    }
    if (rv == APR_SUCCESS)
        rv = try_writing(db);
    if (rv == APR_SUCCESS)
        return bl_sql_commit(db);
    bl_sql_rollback(db);
    return rv;
}

static apr_status_t check_version(bl_sql_t *db)
{
    int version = 0;
    apr_status_t rv = version_of(db, &version);

    if (rv != APR_SUCCESS || version == step_count)
        return rv;
    bl_sql_fail(db, "its tables are not of this mod_buildlog yet, version",
                apr_itoa(bl_sql_scratch(db), version));
    return version == 0 ? APR_ENOENT : APR_EGENERAL;
}

apr_status_t bl_history_open(bl_history_t **out, const char **why,
                             const char *driver, const char *params,
                             bl_history_mode_e mode, apr_pool_t *p)
{
    int writing = mode == BL_HISTORY_WRITE;
    apr_pool_t *pool;
    bl_history_t *h;
    apr_status_t rv;

    apr_pool_create(&pool, p);
    h = apr_pcalloc(pool, sizeof(*h));
    h->pool = pool;
    rv = bl_sql_open(&h->db, why, driver, params, writing, pool);
    if (rv == APR_SUCCESS) {
        rv = writing ? upgrade(h->db) : check_version(h->db);
        if (rv == APR_SUCCESS)
            rv = bl_sql_prepare(h->db, statements,
                                writing ? STATEMENT_COUNT : PUT);
        *why = bl_sql_why(h->db);
    }
    if (rv == APR_SUCCESS) {
        *out = h;
        return APR_SUCCESS;
    }
    *why = apr_pstrdup(p, *why);
    bl_history_close(&h);
    return rv;
}

void bl_history_close(bl_history_t **h)
{
    if (*h != NULL) {
        bl_sql_close(&(*h)->db);
        apr_pool_destroy((*h)->pool);
    }
    *h = NULL;
}

/* ---- writing -------------------------------------------------------- */

apr_status_t bl_history_claim(bl_history_t *h)
{
    apr_status_t rv = bl_sql_enter(h->db);

    return rv == APR_SUCCESS ? bl_sql_claim(h->db) : rv;
}

apr_status_t bl_history_begin(bl_history_t *h)
{
    apr_status_t rv = bl_sql_enter(h->db);

    return rv == APR_SUCCESS ? bl_sql_begin(h->db) : rv;
}

apr_status_t bl_history_commit(bl_history_t *h)
{
    return bl_sql_commit(h->db);
}

void bl_history_rollback(bl_history_t *h)
{
    bl_sql_rollback(h->db);
}

static int is_utf8(bl_history_t *h, const char *text)
{
    bl_json_t *json = bl_json_object(bl_sql_scratch(h->db));

    bl_json_set_string(json, "text", text);
    return text == NULL || strcmp(bl_json_string(json, "text"), text) == 0;
}

static apr_status_t check_build(bl_history_t *h, const bl_build_t *build)
{
    const char *what = NULL;

    if (!bl_build_state_is_final(build->state))
        what = "it has not ended";
    else if (!is_utf8(h, build->project) || !is_utf8(h, build->title) ||
             !is_utf8(h, build->user))
        what = "a text of it is not UTF-8";
    else if (build->id > APR_INT64_MAX || build->created > APR_INT64_MAX ||
             build->started > APR_INT64_MAX || build->ended > APR_INT64_MAX ||
             build->lines > APR_INT64_MAX || build->bytes > APR_INT64_MAX)
        what = "a number of it is too great";
    if (what == NULL)
        return APR_SUCCESS;
    bl_sql_fail(h->db, "this build cannot be stored", what);
    return APR_EINVAL;
}

apr_status_t bl_history_put(bl_history_t *h, const bl_build_t *build)
{
    apr_int64_t id = (apr_int64_t)build->id;
    apr_int64_t created = (apr_int64_t)build->created;
    apr_int64_t started = (apr_int64_t)build->started;
    apr_int64_t ended = (apr_int64_t)build->ended;
    apr_int64_t lines = (apr_int64_t)build->lines;
    apr_int64_t bytes = (apr_int64_t)build->bytes;
    const void *args[] = {
        &id,  build->project, build->title, NULL,   build->user, &created,
        NULL, &ended,         &lines,       &bytes, NULL,
    };
    apr_status_t rv = bl_sql_enter(h->db);

    if (rv == APR_SUCCESS)
        rv = check_build(h, build);
    if (rv != APR_SUCCESS)
        return rv;
    args[3] = bl_build_state_name(build->state);
    if (started != 0)
        args[6] = &started;
    args[10] = bl_build_to_json(build, bl_sql_scratch(h->db));
    return bl_sql_change(h->db, PUT, args);
}

apr_status_t bl_history_remove(bl_history_t *h, apr_uint64_t id)
{
    apr_int64_t number = (apr_int64_t)id;
    const void *args[] = {&number};
    apr_status_t rv = bl_sql_enter(h->db);

    return rv == APR_SUCCESS ? bl_sql_change(h->db, REMOVE, args) : rv;
}

/* ---- reading -------------------------------------------------------- */

apr_status_t bl_history_keys(apr_array_header_t **out, bl_history_t *h,
                             apr_pool_t *p)
{
    apr_array_header_t *keys = apr_array_make(p, 64, sizeof(bl_history_key_t));
    apr_int64_t after = -1, most = KEYS_AT_ONCE;
    const void *args[] = {&after, &most};
    int before;

    do {
        apr_status_t rv = bl_sql_enter(h->db);

        if (rv == APR_SUCCESS)
            rv = bl_sql_look(h->db, KEYS, args);
        if (rv != APR_SUCCESS)
            return rv;
        before = keys->nelts;
        while (bl_sql_next(h->db)) {
            bl_history_key_t *key = apr_array_push(keys);

            after = bl_sql_number(h->db, 0);
            key->id = (apr_uint64_t)after;
            key->ended = (bl_stamp_t)bl_sql_number(h->db, 1);
        }
    } while (keys->nelts - before == KEYS_AT_ONCE);
    *out = keys;
    return APR_SUCCESS;
}

apr_status_t bl_history_find(const char **json, bl_history_t *h,
                             apr_uint64_t id, apr_pool_t *p)
{
    apr_int64_t number = (apr_int64_t)id;
    const void *args[] = {&number};
    apr_status_t rv = bl_sql_enter(h->db);

    if (rv == APR_SUCCESS)
        rv = bl_sql_look(h->db, FIND, args);
    if (rv != APR_SUCCESS)
        return rv;
    if (!bl_sql_next(h->db)) {
        bl_sql_fail(h->db, statements[FIND].label, "no such build");
        return APR_NOTFOUND;
    }
    *json = bl_sql_text(h->db, 0, p);
    return APR_SUCCESS;
}

static apr_status_t check_project(bl_history_t *h, const char *project)
{
    if (is_utf8(h, project))
        return APR_SUCCESS;
    bl_sql_fail(h->db, "the project asked for", "not UTF-8");
    return APR_EINVAL;
}

apr_status_t bl_history_list(apr_array_header_t **out, bl_history_t *h,
                             const bl_history_filter_t *filter, apr_pool_t *p)
{
    apr_int64_t last = APR_INT64_MAX, limit = filter->limit;
    statement_e which = LIST_ALL;
    apr_array_header_t *rows;
    const void *args[4];
    int n = 0;
    apr_status_t rv = bl_sql_enter(h->db);

    if (rv == APR_SUCCESS)
        rv = check_project(h, filter->project);
    if (rv != APR_SUCCESS)
        return rv;
    if (filter->project != NULL) {
        args[n++] = filter->project;
        which += LIST_PROJECT - LIST_ALL;
    }
    if (filter->state != BL_HISTORY_ANY_STATE) {
        args[n++] = bl_build_state_name(filter->state);
        which += LIST_STATE - LIST_ALL;
    }
    if (filter->before > 0 && filter->before <= APR_INT64_MAX)
        last = (apr_int64_t)filter->before - 1;
    args[n++] = &last;
    args[n] = &limit;
    rv = bl_sql_look(h->db, which, args);
    if (rv != APR_SUCCESS)
        return rv;
    rows = apr_array_make(p, filter->limit, sizeof(bl_history_row_t));
    while (bl_sql_next(h->db)) {
        bl_history_row_t *row = apr_array_push(rows);

        row->id = (apr_uint64_t)bl_sql_number(h->db, 0);
        row->project = bl_sql_text(h->db, 1, p);
        row->json = bl_sql_text(h->db, 2, p);
    }
    *out = rows;
    return APR_SUCCESS;
}

apr_status_t bl_history_average(apr_interval_time_t *duration, int *count,
                                bl_history_t *h, const char *project)
{
    apr_int64_t most = BL_HISTORY_AVERAGE_OF, n = 0;
    const void *args[] = {project, NULL, &most};
    apr_status_t rv = bl_sql_enter(h->db);

    if (rv == APR_SUCCESS)
        rv = check_project(h, project);
    if (rv != APR_SUCCESS)
        return rv;
    args[1] = bl_build_state_name(BL_BUILD_SUCCEEDED);
    rv = bl_sql_look(h->db, AVERAGE, args);
    if (rv != APR_SUCCESS)
        return rv;
    *duration = 0;
    if (bl_sql_next(h->db)) {
        n = bl_sql_number(h->db, 0);
        if (n > 0)
            *duration = bl_sql_number(h->db, 1) / n;
    }
    *count = (int)n;
    return APR_SUCCESS;
}
