/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_group.h - the control group of one build (BuildLogCgroup)
 *
 * Layer:    2 (actor, runner side).
 * Runs in:  runner, its only thread.
 * Owns:     from making it to removing it, and what its limits did to the
 *           build, in words.
 * Not here: files of the kernel (bl_cgroup), who goes into it (bl_kept).
 *
 * Without BuildLogCgroup there is none: a build's group is NULL then, and all
 * functions take that.
 */
#ifndef BL_GROUP_H
#define BL_GROUP_H

#include "bl_cgroup.h"
#include "bl_host.h"

typedef struct bl_group_t bl_group_t;

/** Make the group of a build. @return APR_SUCCESS, also when there is to be
 * none; what the kernel says */
apr_status_t bl_group_create(bl_group_t **out, const bl_host_t *host,
                             apr_uint64_t build, apr_pool_t *p);

/** What its keeper needs. */
apr_status_t bl_group_open(bl_cgroup_fds_t *out, const bl_group_t *group,
                           apr_pool_t *p);

/** What the build has lacked since this was asked last, in words made in p;
 * NULL: nothing. */
const char *bl_group_lack(bl_group_t *group, apr_pool_t *p);

/** The keeper is gone: remove the group. killed: it did not end by itself, and
 * may have left processes */
void bl_group_end(bl_group_t *group, int killed, apr_pool_t *p);

#endif /* BL_GROUP_H */
