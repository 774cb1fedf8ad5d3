/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_notifier.h - other servers are told how builds ended: BuildLogNotify
 *
 * Layer:    2 (actor, runner side). A process of its own, the courier, does it
 *           (bl_courier); there is none where nobody is to be told.
 * Runs in:  the runner.
 * Owns:     notices until their builds have ended, who the receivers are.
 * Not here: the process's life (bl_helper), POSTs (bl_post).
 */
#ifndef BL_NOTIFIER_H
#define BL_NOTIFIER_H

#include <apr_pools.h>
#include <apr_time.h>

#include "bl_host.h"
#include "bl_wire.h"

typedef struct bl_notifier_t bl_notifier_t;

/**
 * Begin, when recovery has ended the logs of runners before: what these have
 * left is told now.
 *
 * @param host  outlives it; its logs_dir, pollset and keepers are there
 */
void bl_notifier_create(bl_notifier_t **out, bl_host_t *host,
                        const char *state_dir, const bl_limits_t *limits,
                        apr_pool_t *p);

/** A new generation's receivers. They are copied. */
void bl_notifier_set_targets(bl_notifier_t *notifier,
                             const bl_limits_t *limits);

/** A build was accepted: whoever its order names will be told. */
void bl_notifier_expect(bl_notifier_t *notifier, apr_uint64_t build,
                        const bl_order_t *order);

/** The log of a build has its end. */
void bl_notifier_ended(bl_notifier_t *notifier, apr_uint64_t build);

/** In each turn of the loop. @return when it is due at the latest, by bl_tick
 */
apr_time_t bl_notifier_tick(bl_notifier_t *notifier);

/** Let it finish what goes on, and end it; what waits is the next one's.
 * Blocks. @param time  after that it is killed */
void bl_notifier_stop(bl_notifier_t **notifier, apr_interval_time_t time);

#endif /* BL_NOTIFIER_H */
