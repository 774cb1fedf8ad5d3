/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_recovery.h - what a new runner finds: the logs of those before it
 *
 * Layer:    2 (actor, runner side).
 * Runs in:  runner, before its loop begins, and later for what failed.
 * Owns:     ending the logs of builds that nobody runs any more.
 */
#ifndef BL_RECOVERY_H
#define BL_RECOVERY_H

#include <apr_errno.h>

#include "bl_host.h"

/**
 * Fill the table with the latest builds, end logs that have no end as "lost",
 * and find the last id and the last number in use.
 *
 * @param host        logs_dir, table and now are used; last_id is raised
 * @param last_build  the highest number that a log has; 0: no logs
 * @param unended     apr_uint64_t: those that could not be read or ended now
 * @return APR_SUCCESS; the status of reading the directory
 */
apr_status_t bl_recovery_run(bl_host_t *host, apr_uint64_t *last_build,
                             apr_array_header_t *unended, apr_pool_t *p);

/** Try again; what succeeds is taken out of the list. */
void bl_recovery_retry(bl_host_t *host, apr_array_header_t *unended);

#endif /* BL_RECOVERY_H */
