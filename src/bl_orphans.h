/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_orphans.h - processes of builds whose runner was killed
 *
 * Layer:    2 (actor, runner side).
 * Runs in:  runner, its only thread.
 * Owns:     waiting until nothing of a lost build runs, and ending what does
 *           not end by itself.
 * Not here: builds of this runner (bl_keeper).
 *
 * When a runner is killed its keepers end their builds, which takes their
 * grace; a keeper that was killed too leaves its build behind. Until nothing
 * of it runs its project is not built again.
 *
 * R1  only a process of this user whose environment has the number and the
 *     project of the lost build is signalled, by a handle that no other
 *     process can get, or one in the build's own control group: never a
 *     stranger's
 */
#ifndef BL_ORPHANS_H
#define BL_ORPHANS_H

#include "bl_build.h"
#include "bl_host.h"

typedef struct bl_orphans_t bl_orphans_t;

bl_orphans_t *bl_orphans_create(bl_host_t *host, apr_pool_t *p);

/** A build is lost. */
void bl_orphans_add(bl_orphans_t *orphans, const bl_build_t *build);

/** Does a process of a lost build of this project run, as far as is known? */
int bl_orphans_hold(const bl_orphans_t *orphans, const char *project);

/** Look, and end, when due. @return when to be called next at the latest */
apr_time_t bl_orphans_tick(bl_orphans_t *orphans);

#endif /* BL_ORPHANS_H */
