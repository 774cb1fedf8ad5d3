/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_ending.h - how a build ended, from its log
 *
 * Layer:    1 (store). APR only.
 * Runs in:  the processes beside the runner.
 * Not here: logs that have no end (bl_recovery).
 */
#ifndef BL_ENDING_H
#define BL_ENDING_H

#include <apr_errno.h>
#include <apr_pools.h>

#include "bl_build.h"

/**
 * The last record of a log.
 *
 * @param build  made in p
 * @param json   the record as it stands there; NULL: not wanted
 * @return APR_SUCCESS; APR_NOTFOUND: it has no end, or one that is none, or
 *         another build's; APR_ENOENT: no log; an I/O status
 */
apr_status_t bl_ending_read(bl_build_t **build, const char **json,
                            const char *logs_dir, apr_uint64_t id,
                            apr_pool_t *p);

/** Without the directory nothing is known of a log that is not there: it may
 * come back with all of them. */
int bl_ending_has_logs(const char *logs_dir, apr_pool_t *p);

#endif /* BL_ENDING_H */
