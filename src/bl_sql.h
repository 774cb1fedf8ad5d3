/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_sql.h - a connection to an SQL database, by apr_dbd
 *
 * Layer:    1 (store), private to bl_history. The only door to apr_dbd.
 * Runs in:  one thread per connection at a time; it does not survive fork.
 * Owns:     what the drivers differ in, transactions, memory, errors.
 * Not here: tables and what is in them (bl_history).
 *
 * Every call but the ones that return nothing returns APR_SUCCESS, or
 * APR_EGENERAL with bl_sql_why. SQL texts are constants; what comes from
 * elsewhere is bound to a prepared statement.
 */
#ifndef BL_SQL_H
#define BL_SQL_H

#include <apr_errno.h>
#include <apr_pools.h>

typedef struct bl_sql_t bl_sql_t;

typedef struct {
    const char *label; /* a name in the session, for servers */
    const char *sql;   /* %lld: const apr_int64_t *, %s: text; or NULL */
} bl_sql_statement_t;

/* Most that can be prepared. */
#define BL_SQL_STATEMENTS_MAX 16

/**
 * Connect.
 *
 * @param why      on failure what went wrong, one line, made in p
 * @param driver   "sqlite3" or "pgsql"
 * @param params   sqlite3: path of the file; pgsql: as for PQconnectdb
 * @param writing  0: nothing is created or changed
 * @return APR_SUCCESS; APR_ENOTIMPL: no such driver here; APR_ENOENT: not
 *         writing, and there is no such file; APR_EGENERAL
 */
apr_status_t bl_sql_open(bl_sql_t **out, const char **why, const char *driver,
                         const char *params, int writing, apr_pool_t *p);

/** What is not committed is undone. Takes NULL. */
void bl_sql_close(bl_sql_t **db);

/** What the last call that failed met, one line; valid until the next. */
const char *bl_sql_why(const bl_sql_t *db);

/** Make "what: text" the reason of a failure. @return APR_EGENERAL */
apr_status_t bl_sql_fail(bl_sql_t *db, const char *what, const char *text);

/**
 * A call of the owner begins: what the one before made in the scratch pool is
 * gone. Fails when the file was removed or replaced: who goes on then reads
 * and writes what nobody else sees any more.
 */
apr_status_t bl_sql_enter(bl_sql_t *db);

/** For what is passed to the calls below; cleared by bl_sql_enter. */
apr_pool_t *bl_sql_scratch(bl_sql_t *db);

/* ---- constants ------------------------------------------------------ */

/** Run one statement that returns no rows. */
apr_status_t bl_sql_run(bl_sql_t *db, const char *sql);

/** The first column of the first row; "" for NULL and for no row. In the
 * scratch pool. */
apr_status_t bl_sql_ask(bl_sql_t *db, const char **value, const char *sql);

apr_status_t bl_sql_has_table(bl_sql_t *db, int *yes, const char *table);

/** Be the only one who has claimed this database, until it is closed. Waits a
 * moment for who has; a file is nobody else's, and is not asked for. */
apr_status_t bl_sql_claim(bl_sql_t *db);

/* ---- transactions: BEGIN to COMMIT or ROLLBACK ---------------------- */

apr_status_t bl_sql_begin(bl_sql_t *db);
/** On failure nothing of it was stored; or all, when the last moment alone
 * went wrong: a lock could not be let go, the answer was lost. */
apr_status_t bl_sql_commit(bl_sql_t *db);
void bl_sql_rollback(bl_sql_t *db);

/* ---- prepared statements -------------------------------------------- */

/** Once per connection. */
apr_status_t bl_sql_prepare(bl_sql_t *db, const bl_sql_statement_t *list,
                            int count);

/** Run number which of the list, for what returns no rows. In a transaction a
 * statement that fails is undone alone. */
apr_status_t bl_sql_change(bl_sql_t *db, int which, const void **args);

/** Run number which of the list, and stand before its first row. */
apr_status_t bl_sql_look(bl_sql_t *db, int which, const void **args);
/** @return 0: that was the last row */
int bl_sql_next(bl_sql_t *db);
/** A column of this row. NULL, and what is no number, is 0. */
apr_int64_t bl_sql_number(bl_sql_t *db, int column);
/** The same, made in p. NULL is "". */
const char *bl_sql_text(bl_sql_t *db, int column, apr_pool_t *p);

#endif /* BL_SQL_H */
