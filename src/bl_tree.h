/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_tree.h - processes, as /proc shows them: below another, or by environment
 *
 * Layer:    1 (store). Linux.
 * Runs in:  keeper, runner. The caller is a subreaper, so that nothing below
 *           it can leave.
 * Owns:     reading /proc.
 * Not here: when to kill, how long to wait (bl_keeper).
 */
#ifndef BL_TREE_H
#define BL_TREE_H

#include <apr_pools.h>
#include <sys/types.h>

/**
 * Send a signal to every living process below root, not to root itself.
 *
 * @param sig   0: only count
 * @param skip  a direct child of root that is left out with all below it, for
 *              each: skip(baton, pid) != 0. NULL: none
 * @param p     cleared by the caller
 * @return how many were found; zombies do not count. -1: none, but it could
 * not look at all (no descriptors, no memory): look again
 */
int bl_tree_signal(pid_t root, int sig, int (*skip)(void *baton, pid_t child),
                   void *baton, apr_pool_t *p);

/** @return the parent of a process; 0: there is no such process, no descriptor
 *          for a look, or /proc does not show it to this user (hidepid) */
pid_t bl_tree_parent(pid_t pid);

/**
 * Send a signal to every living process of this user whose environment, as it
 * was when it began, has all these entries.
 *
 * @param entries  "NAME=value", NULL at the end
 * @param sig      0: only count
 * @return as above
 */
int bl_tree_signal_env(const char *const *entries, int sig);

#endif /* BL_TREE_H */
