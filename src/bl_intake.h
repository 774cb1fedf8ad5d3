/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_intake.h - what httpd says to the runner: the socket's side of it
 *
 * Layer:    2 (actor, runner side).
 * Runs in:  runner, its only thread.
 * Owns:     the connections: who may speak, one message and one reply each,
 *           how long it may take.
 * Not here: what a message means (bl_runner).
 *
 * A peer must be httpd's parent or one of its children, whose users alone
 * could also be those of a CGI program or of a build; limits are taken from
 * the parent only.
 */
#ifndef BL_INTAKE_H
#define BL_INTAKE_H

#include "bl_host.h"
#include "bl_wire.h"

typedef struct bl_intake_t bl_intake_t;

typedef struct {
    /* Answer an order with a frame made in p. */
    void (*order)(void *baton, const bl_order_t *order, const char **reply,
                  apr_size_t *len, apr_pool_t *p);
    void (*cancel)(void *baton, const bl_cancel_t *cancel, const char **reply,
                   apr_size_t *len, apr_pool_t *p);
    void (*probe)(void *baton, const char **reply, apr_size_t *len,
                  apr_pool_t *p);
    /* log_fd: the error log of the new generation, to be closed by the
     * receiver; -1: none came. */
    void (*limits)(void *baton, const bl_limits_t *limits, int log_fd);
    void *baton;
} bl_intake_calls_t;

/**
 * Begin to listen.
 *
 * @param fd      a listening unix socket
 * @param parent  pid of the httpd parent
 * @param user    the uid that httpd's children have
 */
apr_status_t bl_intake_create(bl_intake_t **out, bl_host_t *host, int fd,
                              pid_t parent, uid_t user,
                              const bl_intake_calls_t *calls, apr_pool_t *p);

/** Close connections that took too long; host->now is the time. */
void bl_intake_tick(bl_intake_t *intake);

#endif /* BL_INTAKE_H */
