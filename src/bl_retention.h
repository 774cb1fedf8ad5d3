/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_retention.h - which ended builds are kept
 *
 * Layer:    2 (actor, runner side).
 * Runs in:  runner, its only thread.
 * Owns:     the list of ended builds and removing them, those first that ended
 *           first: BuildLogKeep.
 * Not here: what one log keeps of a long build (bl_trim).
 *
 * A viewer that is in the middle of a log when it is removed keeps its open
 * file, or is told of a gap and of the end; a stream of all builds that comes
 * back is told of a gap.
 */
#ifndef BL_RETENTION_H
#define BL_RETENTION_H

#include "bl_host.h"
#include "bl_wire.h"

typedef struct bl_retention_t bl_retention_t;

typedef struct {
    /* Before a log is removed: the id of its last record, and a pool for as
     * long as the call takes. */
    void (*goes)(void *baton, bl_stamp_t last_id, apr_pool_t *p);
    /* It is removed: who looks does not find it any more. */
    void (*gone)(void *baton, apr_uint64_t build);
    void *baton;
} bl_retention_calls_t;

bl_retention_t *bl_retention_create(bl_host_t *host,
                                    const bl_retention_calls_t *calls,
                                    apr_pool_t *p);

/** A build has ended. Builds may be added in any order.
 * @param last_id  of its log */
void bl_retention_add(bl_retention_t *retention, apr_uint64_t build,
                      bl_stamp_t last_id);

/** Forget ended builds whose logs somebody else removed: their rows go, and
 * the history's. */
void bl_retention_look(bl_retention_t *retention);

/** Remove what is too much or too old, some at a time.
 * @return when to be called next at the latest */
apr_time_t bl_retention_tick(bl_retention_t *retention,
                             const bl_limits_t *limits);

#endif /* BL_RETENTION_H */
