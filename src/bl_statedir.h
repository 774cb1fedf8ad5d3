/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bl_statedir.h - the state directory: made, owned, locked, with its socket
 *
 * Layer:    3 (httpd glue).
 * Runs in:  httpd's parent, once, before the first fork.
 * Owns:     BuildLogStateDir: who it belongs to, that no other server uses it,
 *           the socket that the runner listens on.
 * Not here: what is in the logs.
 */
#ifndef BL_STATEDIR_H
#define BL_STATEDIR_H

#include "httpd.h"

typedef struct {
    const char *path;
    const char *logs;        /* directory */
    const char *socket_path; /* of the runner */
    uid_t user;              /* who the runner and the builds are */
    int listen_fd;           /* the runner accepts on it */
    int lock_fd;             /* locked by the parent, and by the runner */
} bl_statedir_t;

/** Who the runner and the builds are, by this generation's configuration. */
uid_t bl_statedir_user(void);

/**
 * Make what is not there, refuse what is not ours.
 *
 * @param p        for the strings in *dir
 * @param scratch  for messages
 * @return OK; otherwise it is said in the error log
 */
int bl_statedir_open(bl_statedir_t *dir, const char *path, server_rec *s,
                     apr_pool_t *p, apr_pool_t *scratch);

/**
 * Runner: wait until no other runner is at work in this directory.
 *
 * @param lifeline_fd  given up when it closes
 * @return OK; otherwise the runner has to exit
 */
int bl_statedir_wait(const bl_statedir_t *dir, int lifeline_fd, server_rec *s);

/** Say why the server cannot start. @return what post_config returns */
int bl_statedir_fail(server_rec *s, apr_status_t rv, const char *what);

#endif /* BL_STATEDIR_H */
