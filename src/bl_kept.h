/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_kept.h - what runs inside a keeper process
 *
 * Layer:    2 (actor, runner side), private to bl_keeper.c and bl_kept.c.
 * Runs in:  the keeper process.
 */
#ifndef BL_KEPT_H
#define BL_KEPT_H

#include "bl_cgroup.h"
#include "bl_wire.h"

enum {
    /* to the keeper */
    BL_KEPT_RUN = 1,   /* step */
    BL_KEPT_END_CLEAN, /* BL_KEEPER_END_CLEAN */
    BL_KEPT_END_NOW,   /* BL_KEEPER_END_NOW */
    /* from the keeper */
    BL_KEPT_ENDED,       /* step, value: status of waitpid(2) */
    BL_KEPT_NOT_STARTED, /* step, value: status of apr_proc_create */
    BL_KEPT_LEFT_BEHIND  /* value: how many */
};

/* Both ends are the same program: a struct is message enough. */
typedef struct {
    int what;
    int step;
    int value;
} bl_kept_message_t;

/**
 * Be the keeper of a build: called in the child right after fork, never
 * returns.
 *
 * @param control  socket to the runner
 * @param out,err  writing ends of the build's pipes
 * @param group    of the build
 */
void bl_kept_main(const bl_order_t *order, int control, int out, int err,
                  const bl_cgroup_fds_t *group) __attribute__((noreturn));

#endif /* BL_KEPT_H */
