/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_cgroup.h - a control group (version 2) for each build
 *
 * Layer:    1 (store). Linux.
 * Runs in:  parent (opening), runner, keeper (the descriptors alone).
 * Owns:     the groups below BuildLogCgroup: their names, limits and events.
 * Not here: when a build enters its group (bl_kept), what is said of it.
 *
 *     PATH              the parent makes it, if root, and gives it to the user
 *       runner/         the runner and its keepers
 *       build-42/       the steps of build 42, and all that they start
 *
 * G1  limits hold before the first process of a build is in its group
 * G2  runner and keepers are in no build's group: what a build lacks they
 *     have, and what ends it does not end them
 * G3  a group that is not empty is never removed
 */
#ifndef BL_CGROUP_H
#define BL_CGROUP_H

#include <apr_errno.h>
#include <apr_pools.h>
#include <sys/types.h>

typedef struct {
    const char *path; /* absolute, of a directory of a cgroup2 file system */
    apr_uint64_t memory; /* bytes of each build; 0: no limit */
    apr_uint32_t pids;   /* processes and threads of each; 0: no limit */
} bl_cgroup_t;

/* What the kernel has done to a build. */
typedef struct {
    apr_uint64_t oom_kills; /* processes ended for lack of memory */
    apr_uint64_t refused;   /* processes that could not be begun */
} bl_cgroup_events_t;

/* For one keeper. -1: there is none. */
typedef struct {
    int enter; /* write "0": go into the build's group */
    int leave; /* write "0": go back to the runner's */
    int kill;  /* write "1": end all that is in the build's group */
} bl_cgroup_fds_t;

/**
 * Could it be used, as far as can be seen without doing anything?
 *
 * @return NULL: it could; why it cannot, and what would help
 */
const char *bl_cgroup_check(const bl_cgroup_t *group, apr_pool_t *p);

/**
 * Parent: make the group if it is not there, switch its controllers on, and
 * give it to the user that the runner will be, who has to be able to go there.
 *
 * @return NULL: all is well; why it cannot be used
 */
const char *bl_cgroup_open(const bl_cgroup_t *group, uid_t user,
                           apr_pool_t *p);

/** Runner, before it becomes its user: go there. */
apr_status_t bl_cgroup_enter(const bl_cgroup_t *group, apr_pool_t *p);

/** Make the group of a build, with its limits. @return APR_SUCCESS; what the
 * kernel says: there is none then */
apr_status_t bl_cgroup_make(const bl_cgroup_t *group, apr_uint64_t build,
                            apr_pool_t *p);

/** Open what a keeper needs; it closes them. @return APR_SUCCESS; an I/O
 * status: nothing is open */
apr_status_t bl_cgroup_fds_open(bl_cgroup_fds_t *out, const bl_cgroup_t *group,
                                apr_uint64_t build, apr_pool_t *p);
void bl_cgroup_fds_close(bl_cgroup_fds_t *fds);

/** What has happened to a build so far; what cannot be read is 0. */
void bl_cgroup_events(bl_cgroup_events_t *out, const bl_cgroup_t *group,
                      apr_uint64_t build, apr_pool_t *p);

/** Is there a process in the group of a build? */
int bl_cgroup_is_populated(const bl_cgroup_t *group, apr_uint64_t build,
                           apr_pool_t *p);

/** End all processes in the group of a build, if it has one. */
void bl_cgroup_kill(const bl_cgroup_t *group, apr_uint64_t build,
                    apr_pool_t *p);

/** Remove the group of a build (G3). */
void bl_cgroup_remove(const bl_cgroup_t *group, apr_uint64_t build,
                      apr_pool_t *p);

/**
 * Remove groups that earlier runners have left (G3).
 *
 * @param is_used  is the group of this build still needed?
 * @return how many are left that nobody needs
 */
int bl_cgroup_sweep(const bl_cgroup_t *group,
                    int (*is_used)(void *baton, apr_uint64_t build),
                    void *baton, apr_pool_t *p);

/** For tests, which have directories of another kind: is it a directory of a
 * cgroup2 file system? */
extern int (*bl_cgroup_is_v2)(const char *path);

#endif /* BL_CGROUP_H */
