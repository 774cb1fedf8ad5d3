/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_runner.h - the process that runs builds
 *
 * Layer:    2 (actor, runner side). A process of its own with one thread, one
 *           per server, forked by the httpd parent.
 * Runs in:  the runner process.
 * Owns:     the loop, its beginning and its end, the watermark, waking pumps.
 * Not here: fork, user, descriptors of the process (bl_daemon, layer 3), what
 *           is accepted (bl_admission), what may begin (bl_queue, Q1), numbers
 *           (bl_numbers, Q2).
 *
 * Q3  when the parent is gone (the lifeline is closed) all builds are ended to
 *     the last process, said so in their logs, and the runner exits
 */
#ifndef BL_RUNNER_H
#define BL_RUNNER_H

#include <apr_pools.h>
#include <sys/types.h>

#include "bl_cgroup.h"
#include "bl_seal.h"
#include "bl_table.h"
#include "bl_wake.h"
#include "bl_wire.h"

typedef struct {
    const char *state_dir;
    const char *home; /* of the user that this process runs as */
    bl_table_t *table;
    bl_wake_t *wake;
    int listen_fd;   /* unix socket, listening */
    int lifeline_fd; /* reading end; EOF: the parent is gone */
    pid_t parent;
    uid_t user; /* of httpd's children: who may give orders */
    bl_limits_t limits;
    const bl_cgroup_t *cgroup; /* it is in its runner/; NULL: none */
    const bl_seal_key_t *seal; /* for secrets of builds that wait */
    const char *db_driver;     /* of the history; NULL: there is none */
    const char *db_params;
    /* Called with the error log of a new generation. */
    void (*log_changed)(int fd);
} bl_runner_setup_t;

/**
 * Run until the parent is gone or SIGTERM comes.
 *
 * @return exit status of the process: 0, or 1 when it could not begin
 */
int bl_runner_main(const bl_runner_setup_t *setup, apr_pool_t *p);

#endif /* BL_RUNNER_H */
