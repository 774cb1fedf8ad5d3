/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_daemon.h - the runner as httpd's parent sees it: begun, watched, kept
 *
 * Layer:    3 (httpd glue).
 * Runs in:  parent (post_config and its maintenance), children (the rest).
 * Owns:     what outlives a restart: table, wake pipes, socket, lifeline, the
 *           runner's pid.
 * Not here: what the runner does (bl_runner).
 *
 * D1  a graceful or hard restart does not touch the runner
 * D2  a runner that died is begun again, with back-off when it dies at once
 * D3  when the parent goes, in whatever way, the lifeline closes and the
 *     runner ends its builds; on an orderly stop the parent waits for that
 * D4  so it is, and the parent waits for it, when the module was replaced by
 *     one of another version, which can do nothing else with it
 */
#ifndef BL_DAEMON_H
#define BL_DAEMON_H

#include "httpd.h"

#include "bl_ask.h"
#include "bl_table.h"
#include "bl_wake.h"

/** Register the hooks of the parent and of children. */
void bl_daemon_register_hooks(apr_pool_t *p);

/** Child: the table; NULL when the module could not begin. */
bl_table_t *bl_daemon_table(void);
bl_wake_t *bl_daemon_wake(void);

/** Child: of the configuration that it has. */
apr_uint32_t bl_daemon_generation(void);

/** The directory of logs. */
const char *bl_daemon_logs_dir(void);

/** What the history's driver opens; NULL: there is no history. It is what the
 * historian writes to, whatever a reload says. */
const char *bl_daemon_database(const char **driver);

/** Request thread: give an order to the runner and wait for its reply. */
void bl_daemon_ask(bl_asked_t *asked, const bl_order_t *order, request_rec *r);

/** Request thread: ask the runner to end a build. */
void bl_daemon_cancel(bl_asked_t *asked, const bl_cancel_t *cancel,
                      request_rec *r);

/** Request thread: could the runner take a build now? */
void bl_daemon_ready(bl_asked_t *asked, request_rec *r);

#endif /* BL_DAEMON_H */
