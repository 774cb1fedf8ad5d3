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

#include "bl_build.h"
#include "bl_host.h"
#include "bl_wire.h"

/* What is left to do for the runner. */
typedef struct {
    apr_uint64_t last_build;     /* the highest number that a log has */
    apr_array_header_t *unended; /* apr_uint64_t: could not be read or ended */
    apr_array_header_t *waiting; /* bl_found_t: are to be begun again */
    apr_array_header_t *lost;    /* bl_build_t *: were running; look for what
                                  is left of them */
    /* Called for each build that has its end, also by bl_recovery_retry. */
    void (*ended)(void *baton, apr_uint64_t build, bl_stamp_t last_id);
    void *baton;
} bl_recovered_t;

/* A build that waited, with its order. */
typedef struct {
    const bl_build_t *build;
    const bl_order_t *order;
} bl_found_t;

/**
 * Fill the table with the latest builds, end logs that have no end as "lost"
 * (but those of builds that waited), and find the last id.
 *
 * @param host  logs_dir, spool_dir, table and now are used; last_id is raised
 * @param out   zeroed but for ended and baton; the lists are made in p
 * @return APR_SUCCESS; the status of reading the directory
 */
apr_status_t bl_recovery_run(bl_recovered_t *out, bl_host_t *host,
                             apr_pool_t *p);

/** A build that waited cannot be begun: it is lost. */
void bl_recovery_give_up(bl_recovered_t *recovered, bl_host_t *host,
                         apr_uint64_t build);

/** Try again what could not be ended; what succeeds is taken out. More may be
 * lost then. */
void bl_recovery_retry(bl_recovered_t *recovered, bl_host_t *host);

#endif /* BL_RECOVERY_H */
