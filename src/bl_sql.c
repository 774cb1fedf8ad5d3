/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_sql.c - a connection to an SQL database, by apr_dbd
 *
 * INVARIANTS    Y1 apr_dbd gets the scratch pool, which each call of the owner
 *                  clears; only connecting and preparing take from the
 *                  connection's own
 *               Y2 a transaction in which something failed that could not be
 *                  undone alone is never committed
 * DIAGNOSTICS   none is logged here; bl_sql_why has the driver's words
 * LIMITS        sqlite3: a local file system; one process that writes. Its
 *               journal mode is DELETE: in no other can a reader open a file
 *               that it may not write
 *
 * What apr_dbd is not used for, and why (apr-util 1.6.3):
 * - its transactions: that of pgsql writes through a null pointer when BEGIN
 *   fails on a connection just lost, and all leave a cleanup that acts later
 * - apr_dbd_check_conn: that of pgsql connects anew without a word, and all
 *   prepared statements are gone; that of sqlite3 always says yes. Lost is a
 *   connection on which a statement fails, and then its owner makes another
 * - asynchronous selects: those of pgsql hide errors
 */
#include "bl_sql.h"

/* libc */
#include <string.h>
/* APR */
#include <apr_dbd.h>
#include <apr_file_info.h>
#include <apr_strings.h>

/* ---- the kinds of databases ----------------------------------------- */

typedef struct {
    const char *driver;
    int is_file;      /* params is the path of a file */
    int has_encoding; /* of its own choice */
    int savepoints;   /* a failed statement spoils the transaction */
    const char *begin;
    const char *has_table; /* followed by the name and "')" */
    const char *reading;
    const char *writing;
    const char *session[4]; /* both, first; NULL at the end */
    const char *settled;    /* both, last; NULL: nothing */
    const char *timeout;    /* of connecting; NULL: there is none */
    const char *claim;      /* waits for all others; NULL: not needed */
    const char *claimed[4]; /* before that; NULL at the end */
} kind_t;

static const kind_t kinds[] = {
    /* On the lock of somebody else the driver itself tries 15 more times, a
     * tenth of a second apart; SQLite's busy_timeout would come on top of each
     * try. But it does so only with what runs, and the first statement that is
     * prepared reads the schema: for that one SQLite waits, or who opens just
     * while a build's row is committed would be refused. trusted_schema: what
     * a build might put into the file, which it could write, does not run in
     * httpd. */
    {"sqlite3",
     1,
     0,
     0,
     "BEGIN IMMEDIATE",
     "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name IN ('",
     "PRAGMA query_only = 1",
     "PRAGMA journal_mode = DELETE",
     {"PRAGMA trusted_schema = 0", "PRAGMA busy_timeout = 1500",
      "EXPLAIN SELECT 1 FROM sqlite_master", NULL},
     "PRAGMA busy_timeout = 0",
     NULL,
     NULL,
     {NULL}},
    /* Nobody waits for ever for a lock in the server. What was claimed is free
     * when the connection ends, also that of a machine that lost its power:
     * the server asks after it. */
    {"pgsql",
     0,
     1,
     1,
     "BEGIN",
     "SELECT COUNT(*) FROM pg_class WHERE oid = to_regclass('",
     "SET default_transaction_read_only TO on",
     "SET default_transaction_read_only TO off",
     {"SET client_encoding TO 'UTF8'", "SET statement_timeout TO '5s'", NULL},
     NULL,
     "connect_timeout=3",
     "SELECT pg_advisory_lock('buildlog_schema'::regclass::oid::bigint)",
     {"SET tcp_keepalives_idle TO 20", "SET tcp_keepalives_interval TO 5",
      "SET tcp_keepalives_count TO 4", NULL}},
};

struct bl_sql_t {
    apr_pool_t *pool;
    apr_pool_t *scratch; /* Y1 */
    const kind_t *kind;
    const apr_dbd_driver_t *driver;
    apr_dbd_t *handle;
    const bl_sql_statement_t *list;
    apr_dbd_prepared_t *prepared[BL_SQL_STATEMENTS_MAX];
    apr_dbd_results_t *results;
    apr_dbd_row_t *row;
    const char *path; /* NULL: no file */
    apr_dev_t device;
    apr_ino_t inode;
    int in_transaction;
    int spoiled; /* Y2 */
    char why[512];
};

static const kind_t *kind_of(const char *driver)
{
    apr_size_t i;

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].driver, driver) == 0)
            return &kinds[i];
    }
    return NULL;
}

/* ---- failing -------------------------------------------------------- */

const char *bl_sql_why(const bl_sql_t *db)
{
    return db->why;
}

apr_status_t bl_sql_fail(bl_sql_t *db, const char *what, const char *text)
{
    char *s, *end = db->why;

    apr_snprintf(db->why, sizeof(db->why), "%s: %s", what, text);
    /* A server's words may be several lines, with what it was given inside. */
    for (s = db->why; *s != '\0'; s++) {
        if ((unsigned char)*s < ' ' || *s == 0x7f)
            *s = ' ';
        if (*s != ' ')
            end = s + 1;
    }
    *end = '\0';
    return APR_EGENERAL;
}

/* With the driver's words for what has just failed. */
static apr_status_t fail(bl_sql_t *db, const char *what, int error)
{
    const char *text = apr_dbd_error(db->driver, db->handle, error);

    return bl_sql_fail(db, what,
                       text != NULL && *text != '\0' ? text : "no reason");
}

/* ---- constants ------------------------------------------------------ */

apr_pool_t *bl_sql_scratch(bl_sql_t *db)
{
    return db->scratch;
}

static apr_status_t check_file(bl_sql_t *db)
{
    apr_finfo_t info;

    if (db->path == NULL)
        return APR_SUCCESS;
    if (apr_stat(&info, db->path, APR_FINFO_IDENT, db->scratch) !=
            APR_SUCCESS ||
        info.device != db->device || info.inode != db->inode)
        return bl_sql_fail(db, db->path, "the file was removed or replaced");
    return APR_SUCCESS;
}

apr_status_t bl_sql_enter(bl_sql_t *db)
{
    db->results = NULL;
    db->row = NULL;
    apr_pool_clear(db->scratch);
    return check_file(db);
}

apr_status_t bl_sql_run(bl_sql_t *db, const char *sql)
{
    int rows = 0;
    int error = apr_dbd_query(db->driver, db->handle, &rows, sql);

    return error == 0 ? APR_SUCCESS : fail(db, sql, error);
}

apr_status_t bl_sql_ask(bl_sql_t *db, const char **value, const char *sql)
{
    apr_dbd_results_t *results = NULL;
    apr_dbd_row_t *row = NULL;
    const char *text = NULL;
    int error;

    *value = "";
    error =
        apr_dbd_select(db->driver, db->scratch, db->handle, &results, sql, 1);
    if (error != 0)
        return fail(db, sql, error);
    if (apr_dbd_get_row(db->driver, db->scratch, results, &row, -1) == 0)
        text = apr_dbd_get_entry(db->driver, row, 0);
    *value = text != NULL ? text : "";
    return APR_SUCCESS;
}

apr_status_t bl_sql_has_table(bl_sql_t *db, int *yes, const char *table)
{
    const char *count;
    apr_status_t rv;

    rv = bl_sql_ask(
        db, &count,
        apr_pstrcat(db->scratch, db->kind->has_table, table, "')", NULL));
    if (rv == APR_SUCCESS)
        *yes = strcmp(count, "0") != 0;
    return rv;
}

apr_status_t bl_sql_claim(bl_sql_t *db)
{
    const char *const *setting = db->kind->claimed;
    apr_dbd_results_t *results = NULL;
    const char *answer;
    apr_status_t rv = APR_SUCCESS;
    int error;

    for (; rv == APR_SUCCESS && *setting != NULL; setting++)
        rv = bl_sql_ask(db, &answer, *setting);
    if (rv != APR_SUCCESS || db->kind->claim == NULL)
        return rv;
    error = apr_dbd_select(db->driver, db->scratch, db->handle, &results,
                           db->kind->claim, 1);
    return error == 0 ? APR_SUCCESS
                      : fail(db,
                             "does another server write to this database? "
                             "Each needs one of its own",
                             error);
}

/* ---- transactions --------------------------------------------------- */

apr_status_t bl_sql_begin(bl_sql_t *db)
{
    apr_status_t rv = bl_sql_run(db, db->kind->begin);

    db->in_transaction = rv == APR_SUCCESS;
    db->spoiled = 0;
    return rv;
}

void bl_sql_rollback(bl_sql_t *db)
{
    int rows;

    /* Why something failed before is worth more than why this did. */
    apr_dbd_query(db->driver, db->handle, &rows, "ROLLBACK");
    db->in_transaction = 0;
    db->spoiled = 0;
}

apr_status_t bl_sql_commit(bl_sql_t *db)
{
    apr_status_t rv = APR_EGENERAL;

    if (!db->spoiled)
        rv = check_file(db);
    if (rv == APR_SUCCESS)
        rv = bl_sql_run(db, "COMMIT");
    if (rv == APR_SUCCESS)
        db->in_transaction = 0;
    else
        bl_sql_rollback(db);
    return rv;
}

/* ---- prepared statements -------------------------------------------- */

apr_status_t bl_sql_prepare(bl_sql_t *db, const bl_sql_statement_t *list,
                            int count)
{
    int i, error;

    db->list = list;
    for (i = 0; i < count; i++) {
        error = apr_dbd_prepare(db->driver, db->pool, db->handle, list[i].sql,
                                list[i].label, &db->prepared[i]);
        if (error != 0)
            return fail(db, list[i].label, error);
    }
    return APR_SUCCESS;
}

apr_status_t bl_sql_change(bl_sql_t *db, int which, const void **args)
{
    int guarded = db->in_transaction && db->kind->savepoints;
    int rows = 0, error;
    char why[sizeof(db->why)];

    if (db->spoiled)
        return APR_EGENERAL;
    if (guarded && bl_sql_run(db, "SAVEPOINT one") != APR_SUCCESS) {
        db->spoiled = 1;
        return APR_EGENERAL;
    }
    error = apr_dbd_pbquery(db->driver, db->scratch, db->handle, &rows,
                            db->prepared[which], args);
    if (error == 0) {
        db->spoiled =
            guarded && bl_sql_run(db, "RELEASE SAVEPOINT one") != APR_SUCCESS;
        return db->spoiled ? APR_EGENERAL : APR_SUCCESS;
    }
    fail(db, db->list[which].label, error);
    if (guarded) {
        apr_cpystrn(why, db->why, sizeof(why));
        db->spoiled =
            bl_sql_run(db, "ROLLBACK TO SAVEPOINT one") != APR_SUCCESS;
        apr_cpystrn(db->why, why, sizeof(why));
    }
    return APR_EGENERAL;
}

apr_status_t bl_sql_look(bl_sql_t *db, int which, const void **args)
{
    int error;

    if (db->spoiled)
        return APR_EGENERAL;
    db->results = NULL;
    db->row = NULL;
    error = apr_dbd_pbselect(db->driver, db->scratch, db->handle, &db->results,
                             db->prepared[which], 1, args);
    if (error == 0)
        return APR_SUCCESS;
    db->spoiled = db->in_transaction && db->kind->savepoints;
    return fail(db, db->list[which].label, error);
}

int bl_sql_next(bl_sql_t *db)
{
    return apr_dbd_get_row(db->driver, db->scratch, db->results, &db->row,
                           -1) == 0;
}

apr_int64_t bl_sql_number(bl_sql_t *db, int column)
{
    const char *text = apr_dbd_get_entry(db->driver, db->row, column);

    return text != NULL ? apr_atoi64(text) : 0;
}

const char *bl_sql_text(bl_sql_t *db, int column, apr_pool_t *p)
{
    const char *text = apr_dbd_get_entry(db->driver, db->row, column);

    return apr_pstrdup(p, text != NULL ? text : "");
}

/* ---- open and close ------------------------------------------------- */

static apr_status_t disconnect(void *baton)
{
    bl_sql_t *db = baton;

    return apr_dbd_close(db->driver, db->handle);
}

/* The file is there from here on: opening made it if it had to. */
static void remember_file(bl_sql_t *db, const char *params)
{
    apr_finfo_t info;

    if (!db->kind->is_file ||
        apr_stat(&info, params, APR_FINFO_IDENT, db->scratch) != APR_SUCCESS)
        return;
    db->path = apr_pstrdup(db->pool, params);
    db->device = info.device;
    db->inode = info.inode;
}

/* libpq itself waits for a server that does not answer until TCP gives up,
 * minutes; threads of httpd would wait with it. */
static const char *with_timeout(const kind_t *kind, const char *params,
                                apr_pool_t *p)
{
    const char *timeout = kind->timeout;

    if (timeout == NULL || strstr(params, "connect_timeout") != NULL)
        return params;
    if (strstr(params, "://") == NULL)
        return apr_pstrcat(p, params, " ", timeout, NULL);
    return apr_pstrcat(p, params, strchr(params, '?') != NULL ? "&" : "?",
                       timeout, NULL);
}

static apr_status_t connect_to(bl_sql_t *db, const char *params, int writing)
{
    const char *text = NULL;
    apr_finfo_t info;
    apr_status_t rv = apr_dbd_init(db->pool);

    if (rv == APR_SUCCESS)
        rv = apr_dbd_get_driver(db->pool, db->kind->driver, &db->driver);
    if (rv != APR_SUCCESS) {
        bl_sql_fail(db, "no apr_dbd driver", db->kind->driver);
        return APR_ENOTIMPL;
    }
    if (db->kind->is_file) {
        rv = apr_stat(&info, params, APR_FINFO_TYPE, db->scratch);
        if (!writing && APR_STATUS_IS_ENOENT(rv)) {
            bl_sql_fail(db, params, "no such file yet");
            return APR_ENOENT;
        }
        /* A fifo, say, would be waited for. */
        if (rv == APR_SUCCESS && info.filetype != APR_REG)
            return bl_sql_fail(db, params, "is no file");
    }
    rv = apr_dbd_open_ex(db->driver, db->pool,
                         with_timeout(db->kind, params, db->scratch),
                         &db->handle, &text);
    if (rv != APR_SUCCESS)
        return bl_sql_fail(db, "cannot connect",
                           text != NULL ? text : "no reason");
    apr_pool_cleanup_register(db->pool, db, disconnect, apr_pool_cleanup_null);
    remember_file(db, params);
    return APR_SUCCESS;
}

static apr_status_t settle(bl_sql_t *db, int writing)
{
    const char *const *setting = db->kind->session;
    const char *answer = "";
    apr_status_t rv = APR_SUCCESS;

    for (; rv == APR_SUCCESS && *setting != NULL; setting++)
        rv = bl_sql_ask(db, &answer, *setting);
    if (rv == APR_SUCCESS)
        rv = bl_sql_ask(db, &answer,
                        writing ? db->kind->writing : db->kind->reading);
    if (rv == APR_SUCCESS && strcmp(answer, "wal") == 0)
        return bl_sql_fail(db, "the journal mode stays", answer);
    if (rv == APR_SUCCESS && db->kind->settled != NULL)
        rv = bl_sql_ask(db, &answer, db->kind->settled);
    if (rv != APR_SUCCESS || !db->kind->has_encoding)
        return rv;
    /* In another a build could be refused for the characters of its title. */
    rv = bl_sql_ask(db, &answer, "SHOW server_encoding");
    if (rv == APR_SUCCESS && strcmp(answer, "UTF8") != 0)
        return bl_sql_fail(db, "the database must be in UTF8, it is in",
                           answer);
    return rv;
}

apr_status_t bl_sql_open(bl_sql_t **out, const char **why, const char *driver,
                         const char *params, int writing, apr_pool_t *p)
{
    const kind_t *kind = kind_of(driver);
    apr_pool_t *pool;
    bl_sql_t *db;
    apr_status_t rv;

    if (kind == NULL) {
        *why = apr_psprintf(p, "no driver %s here, only sqlite3 and pgsql",
                            driver);
        return APR_ENOTIMPL;
    }
    apr_pool_create(&pool, p);
    db = apr_pcalloc(pool, sizeof(*db));
    db->pool = pool;
    db->kind = kind;
    apr_pool_create(&db->scratch, pool);
    rv = connect_to(db, params, writing);
    if (rv == APR_SUCCESS)
        rv = settle(db, writing);
    if (rv == APR_SUCCESS) {
        *out = db;
        return APR_SUCCESS;
    }
    *why = apr_pstrdup(p, db->why);
    bl_sql_close(&db);
    return rv;
}

void bl_sql_close(bl_sql_t **db)
{
    if (*db != NULL)
        apr_pool_destroy((*db)->pool);
    *db = NULL;
}
